"""The app as a person starts it, on this machine, with the embedded weights."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import datasets
import pytest
from huggingface_hub import constants

import checkpoints
from tests import small_checkpoints

ROOT = Path(__file__).parent.parent
Mount = Callable[[str], Path]  # mount's options -> a folder
NOT_A_HUB = "http://127.0.0.1:9"  # nothing listens there: the connection is refused at once


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start_app(*arguments: str, **environment: str) -> tuple[subprocess.Popen[bytes], str]:
    """`python app.py` with these arguments; its process, and its address once the page answers."""
    port = free_port()
    command = [sys.executable, "app.py", "--port", str(port), *arguments]
    process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, **environment})
    return process, once_it_answers(process, port)


def once_it_answers(process: subprocess.Popen[bytes], port: int) -> str:
    """The address of a server on this machine."""
    url = f"http://127.0.0.1:{port}/"
    for _ in range(600):
        try:
            urllib.request.urlopen(url, timeout=5).read()
            return url
        except OSError:
            assert process.poll() is None, "the app ended before its page answered"
            time.sleep(0.1)
    process.kill()
    raise TimeoutError("the page did not answer within a minute")


def run(code: str, home: Path, endpoint: str = NOT_A_HUB, **environment: str) -> Any:
    """What the code prints last, as JSON, in a process of its own with its own Hub and cache."""
    names = {"HF_ENDPOINT": endpoint, "HF_HOME": str(home), "PYTHONDONTWRITEBYTECODE": "1", "HF_UPDATE_DOWNLOAD_COUNTS": "0"}
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "TRANSFORMERS_"))}
    command = [sys.executable, "-c", "import json\nimport checkpoints\nfrom checkpoints import *\n" + code]
    result = subprocess.run(command, cwd=ROOT, env={**clean, **names, **environment}, capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stderr[-3000:]
    return json.loads(result.stdout.splitlines()[-1])


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


@pytest.fixture
def afresh(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Nothing loaded, an empty cache, the Hub out of reach and not asked yet; all as before afterwards."""
    monkeypatch.setattr(checkpoints, "_loaded", {})
    monkeypatch.setattr(checkpoints, "_locks", {})
    monkeypatch.setattr(constants, "ENDPOINT", NOT_A_HUB)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "datasets")
    monkeypatch.setattr(datasets.config, "HF_UPDATE_DOWNLOAD_COUNTS", False)
    asked = (checkpoints.hub_reachable, checkpoints._hub_names)
    for each in asked:
        each.cache_clear()
    yield
    for each in asked:
        each.cache_clear()


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Mount]:
    """A file system of its own, by mount's options; it takes root to make one."""
    if os.geteuid() != 0:
        pytest.skip("mounting takes root")
    mounted = []

    def new(options: str) -> Path:
        folder = tmp_path / f"mounted-{len(mounted)}"
        folder.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], check=True)
        mounted.append(folder)
        return folder

    yield new
    for folder in mounted:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
