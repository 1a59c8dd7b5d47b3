"""What the README says is so."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import app
import checkpoints
import commandline
from audio import SAMPLING_RATE, load_audio
from tests import small_checkpoints
from tests.conftest import ROOT
from tests.sounds import BONJOUR, COUNTING, write

README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(mark: str) -> list[str]:
    return re.findall(rf"^```{mark}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """A folder with the files that the snippets speak of."""
    recording = load_audio(COUNTING)
    write(tmp_path / "recording.wav", recording, SAMPLING_RATE, "PCM_16")
    write(tmp_path / "talk.mp3", recording, SAMPLING_RATE, "MPEG_LAYER_III")
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    (tmp_path / "recordings").mkdir()
    write(tmp_path / "recordings" / "bonjour.wav", load_audio(BONJOUR), SAMPLING_RATE, "PCM_16")
    for number, piece in enumerate(np.array_split(recording, 3)):
        write(tmp_path / f"{number}.wav", piece, SAMPLING_RATE, "PCM_16")
    (tmp_path / "chapter.txt").write_text("It was a dark night.", encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize("snippet", blocks("python"))
@pytest.mark.slow
def test_its_python_snippets_run(snippet: str, here: Path, app_url: str) -> None:
    code = snippet.replace("http://127.0.0.1:7860", app_url.rstrip("/"))
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    result = subprocess.run([sys.executable, "-c", code], cwd=here, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr[-2000:]


@pytest.mark.slow
def test_its_tools_run_as_they_are_shown(here: Path) -> None:
    """Voices and the translator that are not here are small ones of random weights."""
    small = here / "small"
    chosen = {
        "TTS_CHECKPOINT": small_checkpoints.save_speecht5(small / "speecht5"),
        "VOCODER_CHECKPOINT": small_checkpoints.save_vocoder(small / "vocoder"),
        "X_VECTORS": small_checkpoints.save_x_vectors(small / "x-vectors", 20),
        "X_VECTOR_INDEX": 7,
        "TEXT_TRANSLATION_CHECKPOINT": small_checkpoints.save_text_translator(
            small / "m2m100", [("it", "Uno, due, tre.", "de", "Eins, zwei.")]
        ),
        "MMS_VOICES": f"{small}/mms-tts-{{}}",
    }
    small_checkpoints.save_mms_voice(small / "mms-tts-deu")
    environment = {**os.environ, **{f"SPEECH_{name}": str(value) for name, value in chosen.items()}}
    commands = [line for block in blocks("sh") for line in block.splitlines() if re.match(r"python (stst|asr|tts)\.py", line)]
    assert len(commands) >= 4
    for command in commands:
        _, module, *arguments = shlex.split(command, comments=True)
        result = subprocess.run(
            [sys.executable, ROOT / module, *arguments], cwd=here, env=environment, capture_output=True, text=True, check=False
        )
        assert result.returncode == 0, (command, result.stderr[-2000:])
    for written in (
        "translated/conteggio.wav",
        "translated/bonjour.translation.srt",
        "texts/conteggio.txt",
        "spoken/chapter.wav",
        "spoken/text.wav",
    ):
        assert (here / written).is_file()


def test_the_chinese_one_is_in_step() -> None:
    """The same headings, commands, code, flags, files and pictures, in the same order."""
    chinese = (ROOT / "README.zh-CN.md").read_text(encoding="utf-8")
    english = README.split("---", 2)[2]
    for pattern in (r"^#+ ", r"^```.*?^```", r"`[^`\n]+`", r"!\[.*?\]\((.*?)\)", r"^\|.*?\|"):
        ours, theirs = (re.findall(pattern, text, re.MULTILINE | re.DOTALL) for text in (english, chinese))
        if pattern == r"`[^`\n]+`":
            assert set(ours) == set(theirs), set(ours) ^ set(theirs)
        elif pattern == r"^\|.*?\|":
            assert len(ours) == len(theirs)
        elif pattern.startswith("^```"):
            assert [re.sub(r"#.*", "", block) for block in ours] == [re.sub(r"#.*", "", block) for block in theirs]
        else:
            assert ours == theirs


def test_every_function_and_test_of_the_table_exists() -> None:
    for module, function in re.findall(r"\| `(asr|stst|tts)\.(\w+)` \|", README):
        assert callable(getattr(__import__(module), function))
    for path in re.findall(r"`(tests/\w+\.py)`", README):
        assert (ROOT / path).is_file()


def test_every_flag_it_names_is_one_and_has_the_default_it_says() -> None:
    flags = set(re.findall(r"--[a-z][a-z-]+", "".join(re.findall(r"^\| `--.*$", README, re.MULTILINE))))
    assert flags == {
        "--" + name.replace("_", "-")
        for name in [*commandline.HELP, "host", "port", "share", "auth", "mcp", "root_path", "max_upload", "max_queue"]
    }
    settings = checkpoints.Settings()
    assert f"| `--asr-checkpoint` | `{settings.asr_checkpoint}` |" in README
    assert f"| `--translation-checkpoint` | `{settings.translation_checkpoint}` |" in README
    assert f"{settings.max_minutes:g}, {settings.max_characters}, `200mb`" in README
    assert f"| {settings.max_visitors}, {settings.max_runs} at once each, 100, {settings.max_run_minutes:g} |" in README


def test_the_flags_of_its_example_are_understood() -> None:
    command = next(line for block in blocks("sh") for line in block.splitlines() if "--asr-checkpoint" in line)
    settings, options = app.parse(command.split()[2:])
    assert (settings.asr_checkpoint, settings.device, options.host, options.port) == ("./large-v3", "cuda", "0.0.0.0", 11147)


def test_the_space_header_names_this_app_and_the_pinned_gradio() -> None:
    header = README.split("---")[1]
    assert "app_file: app.py" in header
    version = re.search(r"sdk_version: (\S+)", header)
    assert version is not None
    assert f"gradio=={version[1]}" in (ROOT / "requirements.txt").read_text(encoding="utf-8")
    for name in re.findall(r"^  - (\S+)$", header, re.MULTILINE):
        assert name in vars(checkpoints.Settings()).values()
