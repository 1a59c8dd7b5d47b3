"""Speed and error rates of the decoding path beside the tutorial's pipeline and faster-whisper int8, same weights, same clips.

    python -m benchmarks.whisper short|long|translate|prefix|repeated|encoder|lengths CLIPS

CLIPS is a folder with `manifest.jsonl`, one clip a line: file, lang, text, translation_en, duration_s, kind. Rivals take
turns clip by clip, so that whatever else the machine does slows all of them, each in a process of its own: in one, a rival's
sleeping threads are counted against the cores, and the others' no longer spin. Quiet the machine all the same: close browsers, and
look at the load that is printed. Error rates are after Whisper's own text normalisers.
"""

from __future__ import annotations

import argparse
import functools
import itertools
import json
import multiprocessing
import os
import re
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soxr

import embedded
from audio import SAMPLING_RATE, load_audio
from checkpoints import Settings, Whisper, load_embedded_voice, load_whisper
from cores import N_THREADS, threads
from decoding import PADDING_SECONDS, decode
from fast_whisper import encode, fast
from tests.measures import megabytes_held

MAX_SHORT_SECONDS = 28
PHRASES = ("No.", "Hello.", "We are ready.", "Left, right.", "I will not talk in class again.")
PAUSES = (0.0, 0.4, 1.0)  # seconds
TIMES = 8
ENCODES = 15  # by each form; the fastest counts
FORCED = "And so, my fellow Americans, ask not what your country can do for you, ask"  # 15 words, at most 5 follow in 10 s


@dataclass(frozen=True, eq=False)
class Clip:
    waveform: np.ndarray
    language: str
    text: str
    translation: str
    name: str

    @property
    def seconds(self) -> float:
        return len(self.waveform) / SAMPLING_RATE


def clips(folder: Path) -> list[Clip]:
    found = []
    for line in (folder / "manifest.jsonl").read_text(encoding="utf-8").splitlines():
        entry = json.loads(line)
        if entry["kind"] == "speech":
            waveform = load_audio(folder / entry["file"])
            found.append(Clip(waveform, entry["lang"], entry["text"], entry.get("translation_en") or "", entry["file"]))
    return found


@functools.cache
def whisper() -> Whisper:
    return load_whisper("openai/whisper-base", Settings(device="cpu"))


@functools.cache
def faster_whisper() -> Any:
    """faster-whisper on the same weights, in int8, on as many threads as torch has."""
    import torch
    from faster_whisper import WhisperModel

    with tempfile.TemporaryDirectory() as folder:
        parts = [embedded.read_file(package, path) for package, path in embedded.WHISPER_FILES]
        (Path(folder) / "model.bin").write_bytes(b"".join(parts))
        package = embedded.WHISPER_FILES[0][0]
        for name in ("config.json", "tokenizer.json", "vocabulary.txt"):
            (Path(folder) / name).write_bytes(embedded.read_file(package, f"data/{name}"))
        return WhisperModel(folder, device="cpu", compute_type="int8", cpu_threads=torch.get_num_threads())


@functools.cache
def pipeline() -> Any:
    """The tutorial's call, float32."""
    from transformers import logging
    from transformers import pipeline as make

    logging.set_verbosity_error()
    loaded = whisper()
    return make("automatic-speech-recognition", model=loaded.model, tokenizer=loaded.tokenizer, feature_extractor=loaded.feature_extractor)


def with_fast(waveform: np.ndarray, language: str, task: str = "transcribe", prefix: str = "") -> str:
    return decode(whisper(), waveform, language=language, task=task, prefix=prefix).text


def with_faster_whisper(waveform: np.ndarray, language: str, task: str = "transcribe", prefix: str = "") -> str:
    more: dict[str, Any] = {"prefix": prefix} if prefix else {}
    timed = len(waveform) > 30 * SAMPLING_RATE
    segments, _ = faster_whisper().transcribe(
        waveform, language=language, task=task, beam_size=1, without_timestamps=not timed, condition_on_previous_text=False, **more
    )
    return "".join(segment.text for segment in segments)


def with_pipeline(waveform: np.ndarray, language: str, task: str = "transcribe", prefix: str = "") -> str:
    del prefix  # it has no such thing: it decodes the whole window
    result = pipeline()(
        {"raw": waveform, "sampling_rate": SAMPLING_RATE},
        return_timestamps=len(waveform) > 30 * SAMPLING_RATE,
        generate_kwargs={"language": language, "task": task, "num_beams": 1},
    )
    return str(result["text"])


RIVALS: dict[str, Callable[..., str]] = {"fast": with_fast, "faster-whisper": with_faster_whisper, "pipeline": with_pipeline}


def timed(name: str, clip: Clip, asked: dict[str, str]) -> tuple[float, str]:
    start = time.perf_counter()
    text = RIVALS[name](clip.waveform, clip.language, **asked)
    return time.perf_counter() - start, text


def race(chosen: list[Clip], rounds: int = 1, n_warming: int = 1, **asked: str) -> dict[str, list[str]]:
    """Runs every rival over every clip in turn, prints the times, returns the texts.

    Args:
        n_warming: clips that each hears before that, untimed.
    """
    processes = {name: ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) for name in RIVALS}
    for name, process in processes.items():
        for clip in chosen[:n_warming]:
            process.submit(timed, name, clip, asked).result()
    seconds: dict[str, list[float]] = {name: [] for name in RIVALS}
    texts: dict[str, list[str]] = {name: [] for name in RIVALS}
    for turn in range(rounds):
        for clip in chosen:
            for name, process in processes.items():
                took, text = process.submit(timed, name, clip, asked).result()
                seconds[name].append(took)
                if turn == 0:
                    texts[name].append(text)
    for process in processes.values():
        process.shutdown()
    spoken = sum(clip.seconds for clip in chosen) * rounds
    print(f"{len(chosen)} clips, {spoken / rounds:.0f} s, {rounds} rounds, load {os.getloadavg()[0]:.1f}")
    for name, each in seconds.items():
        print(
            f"  {name:15} {sum(each) / spoken:.4f} s per second of speech   fast is {sum(each) / sum(seconds['fast']):5.2f} times as fast"
        )
    return texts


def error_rates(chosen: list[Clip], texts: dict[str, list[str]]) -> None:
    import jiwer
    from transformers.models.whisper.english_normalizer import BasicTextNormalizer, EnglishTextNormalizer

    normalise = {True: EnglishTextNormalizer({}), False: BasicTextNormalizer()}
    spaced = [index for index, clip in enumerate(chosen) if clip.language not in ("zh", "ja")]  # no words to count there
    for name, heard in texts.items():
        rates = []
        for title, test in (("all", lambda _: True), ("English", lambda english: english), ("other", lambda english: not english)):
            picked = [index for index in spaced if test(chosen[index].language == "en")]
            if picked:
                reference = [normalise[chosen[index].language == "en"](chosen[index].text) for index in picked]
                hypothesis = [normalise[chosen[index].language == "en"](heard[index]) or "*" for index in picked]
                rates.append(f"{title} {100 * jiwer.wer(reference, hypothesis):.2f} %")
        print(f"  {name:15} word error rate: {', '.join(rates)}")


def short(found: list[Clip]) -> None:
    """All of them twice: oneDNN gets ready for each of some fifteen lengths of window once in a server's life, not in every table."""
    chosen = [clip for clip in found if clip.seconds <= MAX_SHORT_SECONDS]
    error_rates(chosen, race(chosen, n_warming=len(chosen)))


def long(found: list[Clip]) -> None:
    """The long English clips joined, and all English ones with half a second between."""
    english = [clip for clip in found if clip.language == "en"]
    pause = np.zeros(SAMPLING_RATE // 2, np.float32)

    def joined(parts: list[Clip], name: str) -> Clip:
        waveform = np.concatenate([piece for clip in parts for piece in (clip.waveform, pause)])
        return Clip(waveform, "en", " ".join(clip.text for clip in parts), "", name)

    longer = [clip for clip in english if clip.seconds > MAX_SHORT_SECONDS]
    once = [clip for clip in english if clip.seconds <= MAX_SHORT_SECONDS and "sonnet" not in clip.name and "jfk_" not in clip.name]
    chosen = [joined(longer, "long"), joined(once, "short")]
    error_rates(chosen, race(chosen))


def translate(found: list[Clip]) -> None:
    import sacrebleu

    chosen = [clip for clip in found if clip.language != "en" and clip.translation and clip.seconds <= MAX_SHORT_SECONDS]
    texts = race(chosen, task="translate")
    for name, heard in texts.items():
        score = sacrebleu.corpus_chrf([text.strip() for text in heard], [[clip.translation for clip in chosen]]).score
        print(f"  {name:15} chrF {score:.2f}")


def prefix(found: list[Clip]) -> None:
    """A 10 s window whose first words are decided: what a live caption decodes again and again."""
    clip = next(clip for clip in found if "jfk.flac" in clip.name and "noisy" not in clip.name)
    window = Clip(clip.waveform[: 10 * SAMPLING_RATE], clip.language, clip.text, "", clip.name)
    for name, heard in race([window], rounds=8, prefix=FORCED).items():
        print(f"  {name:15} {heard[0].strip()!r}")


def repeated(_: list[Clip]) -> None:
    """Phrases that the embedded voice says over and over: how often they are written."""
    pattern = re.compile(r"[^a-z ]")
    for phrase, pause in itertools.product(PHRASES, PAUSES):
        spoken = soxr.resample(load_embedded_voice()(phrase, seed=0), 24_000, SAMPLING_RATE)
        waveform = np.tile(np.concatenate([spoken, np.zeros(round(pause * SAMPLING_RATE), np.float32)]), TIMES)
        written = {name: pattern.sub(" ", RIVALS[name](waveform, "en").lower()).split() for name in ("fast", "pipeline")}
        word = pattern.sub("", phrase.lower()).split()[-1]
        counts = ", ".join(f"{name} {words.count(word)}" for name, words in written.items())
        print(f"  {phrase!r} {TIMES} times, {pause} s between: {counts}", flush=True)


def encoder(found: list[Clip]) -> None:
    """The encoder in its fastest form and in the precise one, in turn: what it takes, what the decoder gets."""
    import torch

    waveforms = [clip.waveform[: 10 * SAMPLING_RATE] for clip in found if 10 < clip.seconds <= MAX_SHORT_SECONDS]
    forms = {"fastest": fast(whisper()), "precise": fast(whisper(), precise=True)}
    differences = []
    for waveform in waveforms:
        heard = [encode(form, [waveform], PADDING_SECONDS) for form in forms.values()]
        given, precise = (torch.cat([part.flatten() for part in each.in_floats()]) for each in heard)
        differences.append(float((given - precise).norm() / precise.norm()))
    print(f"{len(waveforms)} times 10 s: relative difference {np.mean(differences):.4f} on average, {max(differences):.4f} at most")
    for n_threads in sorted({1, N_THREADS}):
        seconds: dict[str, list[float]] = {name: [] for name in forms}
        with threads(n_threads):
            for _, (name, form) in itertools.product(range(ENCODES), forms.items()):
                start = time.perf_counter()
                encode(form, waveforms[:1], PADDING_SECONDS)
                seconds[name].append(time.perf_counter() - start)
        took = ", ".join(f"{name} {1000 * min(each):.0f} ms" for name, each in seconds.items())
        ratio = min(seconds["fastest"]) / min(seconds["precise"])
        print(f"  {n_threads} threads: {took}: {ratio:.2f} of it; load {os.getloadavg()[0]:.1f}")


def lengths(found: list[Clip]) -> None:
    """Windows of every half second, twice: what torch does and keeps for a length that it has not met."""
    form, waveform = fast(whisper()), np.resize(found[0].waveform, 29 * SAMPLING_RATE)
    windows = [waveform[: n * SAMPLING_RATE // 2] for n in range(7, 59)]
    n_positions = {encode(form, [window], PADDING_SECONDS).keys[0].shape[-2] for window in (windows[0], windows[-1])}
    before, seconds = megabytes_held(), []
    for _ in range(2):
        start = time.perf_counter()
        n_positions |= {encode(form, [window], PADDING_SECONDS).keys[0].shape[-2] for window in windows}
        seconds.append(time.perf_counter() - start)
    print(f"{len(windows)} windows of 3.5 to 29 s, heard at {len(n_positions)} lengths, load {os.getloadavg()[0]:.1f}")
    print(f"  first {seconds[0]:.1f} s, again {seconds[1]:.1f} s; {megabytes_held() - before:.0f} MB more")


TABLES = {
    "short": short,
    "long": long,
    "translate": translate,
    "prefix": prefix,
    "repeated": repeated,
    "encoder": encoder,
    "lengths": lengths,
}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", choices=TABLES)
    parser.add_argument("clips", type=Path)
    arguments = parser.parse_args()
    TABLES[arguments.table](clips(arguments.clips))
