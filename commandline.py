"""The command line: flags and environment -> Settings; files -> results, one after another.

Knows: how a flag and its environment variable are called, which files to work on, what went wrong with which, the exit code.
Does not know: what is done with a file; asr.py, stst.py and tts.py bring that.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

from checkpoints import Settings
from errors import RefusalError

ENVIRONMENT_PREFIX = "SPEECH_"  # SPEECH_ASR_CHECKPOINT is --asr-checkpoint, and so on: a Space has no command line
HELP = {
    "asr_checkpoint": "Whisper for the recognition tabs: a Hub name or a folder",
    "translation_checkpoint": "multilingual Whisper for the translation tabs: a Hub name or a folder",
    "tts_checkpoint": "SpeechT5: a Hub name or a folder",
    "vocoder_checkpoint": "SpeechT5's HiFi-GAN: a Hub name or a folder",
    "x_vectors": "table of speaker embeddings, Parquet: a Hub dataset or a folder",
    "x_vector_index": "which row of that table speaks",
    "text_translation_checkpoint": "M2M-100, for targets other than English: a Hub name or a folder",
    "mms_voices": "MMS-TTS voices, {} is the language: Hub names or folders",
    "device": "auto, cpu, cuda or cuda:N",
    "dtype": "auto, float32, float16 or bfloat16",
    "engine": "fast, or pipeline: the tutorial's own call to transformers",
    "max_minutes": "longest recording or file that is accepted",
    "max_characters": "longest text that is spoken",
    "max_visitors": "visitors who are served at a time; who only looks at the page does not count",
    "max_runs": "runs that one visitor may have under way at once",
    "max_run_minutes": "after which a run is ended",
}
CHOICES = {"engine": ("fast", "pipeline"), "dtype": ("auto", "float32", "float16", "bfloat16")}

Progress = Callable[[float], None]  # told the fraction of a file that is done, from 0 to 1
Work = Callable[[str, Path, str, Progress], Sequence[Path]]  # (file, folder and name for its results, progress) -> the files written


# --- flags --------------------------------------------------------------------------------------------------------


def new_parser(description: str) -> argparse.ArgumentParser:
    """A parser with a flag for each of `Settings`."""
    parser = argparse.ArgumentParser(
        description=description,
        epilog=f"Models and limits can be chosen by environment variables, too: {ENVIRONMENT_PREFIX}DEVICE for --device.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    for choice in dataclasses.fields(Settings):
        add(parser, choice.name, choice.default, HELP[choice.name], type=type(choice.default), choices=CHOICES.get(choice.name))
    return parser


def add(parser: argparse.ArgumentParser, name: str, default: Any, text: str, **more: Any) -> None:
    """A flag whose default the environment may set."""
    variable = ENVIRONMENT_PREFIX + name.upper()
    default = os.environ.get(variable, default)
    if more.get("choices") and default not in more["choices"]:  # argparse looks at what is on the command line only
        parser.error(f"{variable} is {default}. Choose from {', '.join(more['choices'])}.")
    parser.add_argument("--" + name.replace("_", "-"), default=default, help=text, **more)


def add_switch(parser: argparse.ArgumentParser, name: str, text: str) -> None:
    """A flag without a value, which the environment may set, too."""
    on = os.environ.get(ENVIRONMENT_PREFIX + name.upper(), "").lower() in ("1", "true", "yes")
    parser.add_argument("--" + name, action="store_true", default=on, help=text)


def settings_of(options: argparse.Namespace) -> Settings:
    return Settings(**{choice.name: getattr(options, choice.name) for choice in dataclasses.fields(Settings)})


def new_tool(description: str, inputs: str) -> argparse.ArgumentParser:
    """`new_parser` of a tool that works on files: FILE... --out DIR."""
    parser = new_parser(description)
    parser.add_argument("inputs", nargs="+", metavar="FILE", help=inputs)
    parser.add_argument("--out", type=Path, default=Path(), metavar="DIR", help="where the results go")
    return parser


# --- files --------------------------------------------------------------------------------------------------------


def run(inputs: Sequence[str], out: Path, suffixes: Collection[str], work: Work) -> int:
    """Works on each file, with a progress bar and a summary. One that fails does not stop the others.

    Args:
        inputs: files, or folders, of which every file with one of the suffixes is taken.
        out: the folder for the results; made if it is not there.

    Returns:
        The exit code: 1 if any failed.
    """
    from tqdm.auto import tqdm

    files = list(_in_folders(inputs, suffixes))
    if not files:
        print(f"There is nothing to do: no {', '.join(sorted(suffixes))} file in {', '.join(inputs)}.", file=sys.stderr)
        return 1
    out.mkdir(parents=True, exist_ok=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # rather than at once, with what is unfinished left behind
    began, failed, names = time.perf_counter(), 0, set[str]()
    with tqdm(total=len(files), bar_format="{percentage:3.0f} %|{bar}| {elapsed}<{remaining}  {desc}", file=sys.stderr) as bar:
        for index, file in enumerate(files):

            def progress(fraction: float, index: int = index) -> None:
                bar.n = index + fraction
                bar.refresh()

            bar.set_description_str(_shown(file))
            try:
                with tempfile.TemporaryDirectory(prefix=".unfinished-", dir=out) as folder:  # a result is there whole, or not at all
                    for written in work(file, Path(folder), unique_name(file, names), progress):
                        bar.write(str(written.replace(out / written.name)), file=sys.stdout)
            except Exception as error:
                failed += 1
                known = isinstance(error, RefusalError | OSError)  # written to be read
                bar.write(f"{_shown(file)}: {error if known else f'{type(error).__name__}: {error}'}", file=sys.stderr)
            progress(1.0)
    print(f"{len(files) - failed} of {len(files)} done in {time.perf_counter() - began:.0f} s, {failed} failed.", file=sys.stderr)
    return 1 if failed else 0


def _in_folders(inputs: Sequence[str], suffixes: Collection[str]) -> Iterator[str]:
    for name in inputs:
        if os.path.isdir(name):
            yield from (str(file) for file in sorted(Path(name).iterdir()) if file.suffix.lower().lstrip(".") in suffixes)
        else:
            yield name


def _shown(file: str) -> str:
    return file if len(file) <= 60 else f"{file[:57]}..."


def unique_name(file: str, names: set[str]) -> str:
    """A name for a file's results that no other file's have: of a second talk.wav, talk-2. A text by itself is called text."""
    stem = name = Path(file).stem if os.path.exists(file[:1000]) else "text"
    number = 1
    while name in names:
        number += 1
        name = f"{stem}-{number}"
    names.add(name)
    return name
