"""Each module as a tool: `python stst.py FILE... --out DIR`, and the same for asr.py and tts.py."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import soundfile

import asr
import commandline
import stst
import tts
from errors import RefusalError
from tests.conftest import ROOT
from tests.measures import word_error_rate
from tests.sounds import BONJOUR, COUNTING, QUICK_BROWN_FOX

FOX = "The quick brown fox jumps over the lazy dog."


def write_name(file: str, folder: Path, name: str, report: commandline.Report) -> list[Path]:
    path = folder / f"{name}.done"
    path.write_text(file, encoding="utf-8")
    report(0.5)
    if "bad" in Path(file).name:
        raise RefusalError(f"{file} is bad. Choose another.")
    return [path]


def test_one_bad_file_does_not_stop_the_others(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "new" / "folder"
    files = [str(tmp_path / name) for name in ("a.wav", "bad.wav", "c.wav")]
    for file in files:
        Path(file).touch()
    assert commandline.run(files, out, ("wav",), write_name) == 1
    assert sorted(path.name for path in out.iterdir()) == ["a.done", "c.done"]
    told = capsys.readouterr()
    assert "bad.wav is bad. Choose another." in told.err
    assert "2 of 3 done" in told.err
    assert told.out.split() == [str(out / "a.done"), str(out / "c.done")]
    assert commandline.run(files[:1], out, ("wav",), write_name) == 0


def test_a_folder_is_every_file_in_it_of_that_kind(tmp_path: Path) -> None:
    for name in ("a.wav", "b.MP3", "notes.txt"):
        (tmp_path / name).touch()
    out = tmp_path / "out"
    assert commandline.run([str(tmp_path)], out, ("wav", "mp3"), write_name) == 0
    assert sorted(path.name for path in out.iterdir()) == ["a.done", "b.done"]


def test_nothing_to_do_is_told_and_counts_as_failed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert commandline.run([str(tmp_path)], tmp_path, ("wav",), write_name) == 1
    assert "nothing to do" in capsys.readouterr().err


def test_files_of_the_same_name_do_not_overwrite_each_others_results(tmp_path: Path) -> None:
    files = [tmp_path / folder / "talk.wav" for folder in ("one", "two")]
    for file in files:
        file.parent.mkdir()
        file.touch()
    out = tmp_path / "out"
    commandline.run([str(file) for file in files], out, ("wav",), write_name)
    assert (out / "talk.done").read_text(encoding="utf-8") == str(files[0])
    assert (out / "talk-2.done").read_text(encoding="utf-8") == str(files[1])


def test_no_name_is_given_twice(tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("talk-2.wav", "talk.mp3", "talk.wav")]
    for file in files:
        file.touch()
    names: set[str] = set()
    assert len({commandline.unique_name(str(file), names) for file in files}) == 3


def test_stst_translates_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "page.wav").write_text("<html>", encoding="utf-8")
    assert stst.main([str(COUNTING), str(tmp_path / "page.wav"), str(BONJOUR), "--out", str(tmp_path), "--transcript"]) == 1
    assert "page.wav is not sound that can be read" in capsys.readouterr().err
    for clip in (COUNTING, BONJOUR):
        assert soundfile.info(tmp_path / f"{clip.stem}.wav").frames > 0
        assert "-->" in (tmp_path / f"{clip.stem}.translation.srt").read_text(encoding="utf-8")
    assert "monde" in (tmp_path / f"{BONJOUR.stem}.transcript.txt").read_text(encoding="utf-8").lower()


def test_asr_transcribes_files(tmp_path: Path) -> None:
    assert asr.main([str(QUICK_BROWN_FOX), "--language", "english", "--out", str(tmp_path)]) == 0
    text, srt, vtt = ((tmp_path / f"{QUICK_BROWN_FOX.stem}.{suffix}").read_text(encoding="utf-8") for suffix in ("txt", "srt", "vtt"))
    assert word_error_rate(FOX, text) == 0
    assert srt.startswith("1\n00:00:00")
    assert vtt.startswith("WEBVTT\n\n00:00:00")
    assert text in srt


def test_tts_speaks_files_and_sentences(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "fox.txt").write_text(FOX, encoding="utf-8")
    (tmp_path / "latin1.txt").write_bytes("naïve".encode("latin-1"))
    arguments = [str(tmp_path / "fox.txt"), str(tmp_path / "latin1.txt"), "Hello there.", "nowhere.txt", "--voice", "embedded"]
    assert tts.main([*arguments, "--out", str(tmp_path)]) == 1
    told = capsys.readouterr().err
    assert "latin1.txt is not text in UTF-8" in told
    assert "There is no file nowhere.txt" in told
    assert "2 of 4 done" in told
    assert soundfile.info(tmp_path / "fox.wav").duration > soundfile.info(tmp_path / "text.wav").duration > 0.3


@pytest.mark.parametrize("module", ["asr", "stst", "tts"])
def test_each_tool_tells_how_it_is_used(module: str) -> None:
    told = subprocess.run([sys.executable, f"{module}.py", "--help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert "--out DIR" in told
    assert "SPEECH_" in told
