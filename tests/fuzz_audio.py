"""A coverage-guided fuzz of what reads files: `python tests/fuzz_audio.py -max_total_time=600` (needs `pip install atheris`).

Each input is a file; anything but a waveform or an `AudioError` is a finding. Starts from `tests/corpus.py`.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).parent.parent))
with atheris.instrument_imports(include=["audio"]):
    from audio import AudioError, load_audio, read_pcm

import contextlib

from tests import corpus

FILE = Path(tempfile.mkdtemp()) / "input.wav"


def one(content: bytes) -> None:
    FILE.write_bytes(content)
    for read in (load_audio, read_pcm):
        with contextlib.suppress(AudioError):
            read(FILE, max_seconds=60)


if __name__ == "__main__":
    seeds = Path(tempfile.mkdtemp())
    for path in corpus.make(seeds):
        if path.stat().st_size > 1 << 20:
            path.unlink()
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # libmpg123 tells of every mistake
    atheris.Setup([*sys.argv, str(seeds)], one)
    atheris.Fuzz()
