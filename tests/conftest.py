"""The app as a person starts it, on this machine, with the embedded weights."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import small_checkpoints

ROOT = Path(__file__).parent.parent


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start_app(*arguments: str, **environment: str) -> tuple[subprocess.Popen[bytes], str]:
    """`python app.py` with these arguments; its process, and its address once the page answers."""
    port = free_port()
    command = [sys.executable, "app.py", "--port", str(port), *arguments]
    process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, **environment})
    url = f"http://127.0.0.1:{port}/"
    for _ in range(600):
        try:
            urllib.request.urlopen(url, timeout=5).read()
            return process, url
        except OSError:
            assert process.poll() is None, "the app ended before its page answered"
            time.sleep(0.1)
    process.kill()
    raise TimeoutError("the page did not answer within a minute")


@pytest.fixture(scope="session")
def app_url() -> Iterator[str]:
    process, url = start_app()
    yield url
    process.terminate()
    process.wait(timeout=30)


@pytest.fixture(scope="session")
def small_english_whisper(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A folder with an English-only Whisper of random weights."""
    return str(small_checkpoints.save_english_whisper(tmp_path_factory.mktemp("whisper.en")))
