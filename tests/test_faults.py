"""What breaks around the app, each caused: a full disk, a browser closed in the middle of an upload, a clock that jumps, a tool stopped.

A decoder that hangs, a run that takes too long, the GPU's memory and SIGTERM are in test_doors.py; the Hub's faults and
the cache's in test_checkpoints.py.
"""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import urlsplit

import numpy as np
import pytest
from gradio_client import Client, handle_file
from httpx import HTTPStatusError
from playwright.sync_api import expect, sync_playwright

import app
import stst
from audio import SAMPLING_RATE, write_wav
from checkpoints import Settings
from endpoints import WholeFiles
from service import Service
from tests.conftest import ROOT, Mount, start_app
from tests.sounds import COUNTING, PARAGRAPH, QUICK_BROWN_FOX, spoken, write
from tests.test_browser import CHROMIUM, FLAGS, shown_text, tab
from visitors import Visitor


def fill(folder: Path) -> Path:
    """A file that takes all that is left."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            return filler


@pytest.mark.slow
def test_a_full_disk_costs_files_and_not_the_text_that_was_understood(mount: Mount) -> None:
    cache = mount("size=4m")
    process, url = start_app(GRADIO_TEMP_DIR=str(cache))
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, headless=True, args=FLAGS)
            page = browser.new_page()
            page.goto(url)
            page.locator("input[type=file]").first.set_input_files(str(QUICK_BROWN_FOX))
            button = page.get_by_role("button", name="Transcribe", exact=True)
            expect(button).to_be_enabled()
            filler = fill(cache)
            button.click()
            assert "fox" in shown_text(page, "full").lower()
            assert page.get_by_text("Subtitles (SRT)").count() == 0
            with pytest.raises(HTTPStatusError, match="507"):
                Client(url, verbose=False).predict(handle_file(str(COUNTING)), api_name="/transcribe")
            tab(page, "Speech translation")
            page.locator("[role=tabpanel]:visible input[type=file]").first.set_input_files(str(COUNTING))
            expect(page.locator(".toast-body.error")).to_contain_text("The server's disk is full. What you recorded or chose is still here")
            assert not list(cache.glob("tmp*")), "half of an upload is left"
            filler.unlink()
            tab(page, "Speech recognition")
            button.click()
            expect(page.get_by_text("Subtitles (SRT)").first).to_be_visible(timeout=60_000)  # it is decoded once more
            browser.close()
    finally:
        process.terminate()
        process.wait(timeout=30)


def test_a_sound_that_the_disk_has_no_room_for_is_an_error_of_the_system_that_says_so(mount: Mount) -> None:
    with pytest.raises(OSError, match="No space left"):
        write_wav(mount("size=16k") / "speech.wav", SAMPLING_RATE, np.zeros(5 * SAMPLING_RATE, np.int16))


def test_translated_speech_that_the_disk_has_no_room_for_is_told_of(mount: Mount) -> None:
    sentence = stst.Sentence("Hello.", 0.0, 5.0, np.zeros(5 * SAMPLING_RATE, np.int16))
    cascade = stst.Cascade(5.0, sentences=(sentence,), sampling_rate=SAMPLING_RATE)
    assert app._saved(cascade, Visitor(), mount("size=64k"), "speech") == ([], app.NO_FILES)


@pytest.mark.slow
def test_an_upload_that_breaks_off_leaves_nothing_and_the_next_is_served(tmp_path: Path) -> None:
    process, url = start_app(GRADIO_TEMP_DIR=str(tmp_path))
    try:
        head = (
            f"POST /gradio_api/upload HTTP/1.1\r\nHost: {urlsplit(url).netloc}\r\nContent-Length: 50000000\r\n"
            "Content-Type: multipart/form-data; boundary=cut\r\n\r\n"
            '--cut\r\nContent-Disposition: form-data; name="files"; filename="talk.wav"\r\n\r\n'
        )
        for _ in range(3):
            with socket.create_connection((urlsplit(url).hostname, urlsplit(url).port)) as browser:
                browser.sendall(head.encode() + bytes(5_000_000))
                assert until(lambda: files_in(tmp_path)), "it arrives"
        assert until(lambda: not files_in(tmp_path)), "half of an upload is left"
        assert Client(url, verbose=False).predict(handle_file(str(COUNTING)), "english", api_name="/transcribe")
    finally:
        process.terminate()
        process.wait(timeout=30)


def files_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def until(holds: Callable[[], object], seconds: float = 20.0) -> bool:
    """Whether it comes to hold."""
    ends = time.monotonic() + seconds
    while not holds() and time.monotonic() < ends:
        time.sleep(0.05)
    return bool(holds())


def test_a_clock_that_jumps_neither_frees_a_visitor_nor_ends_their_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    serves, request = Service(Settings(asr_checkpoint="openai/whisper-base"), tmp_path), SimpleNamespace(session_hash="ana")
    visitor = serves.visitor(request)
    visitor.streams["captions"] = "what she said"
    transcribe = app.plainly(WholeFiles(serves).transcribe)
    for years in (10, -10):
        now = time.time() + years * 365 * 86400
        monkeypatch.setattr(time, "time", lambda now=now: now)
        serves.visitors.of("ben")
        assert "fox" in transcribe(str(QUICK_BROWN_FOX), "english", request).lower()
        assert serves.visitor(request).streams["captions"] == "what she said"


@pytest.mark.slow
def test_a_tool_that_is_stopped_leaves_no_half_of_a_result(tmp_path: Path) -> None:
    recording, out = write(tmp_path / "long.wav", np.tile(spoken(PARAGRAPH), 4), SAMPLING_RATE, "PCM_16"), tmp_path / "out"
    command = [sys.executable, "stst.py", str(recording), "--out", str(out)]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL)
    assert until(lambda: out.is_dir() and list(out.iterdir()), 60)
    time.sleep(5)  # by now it translates
    assert list(out.iterdir()), "it is not done yet"
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=60) == 128 + signal.SIGTERM
    assert not list(out.iterdir())
