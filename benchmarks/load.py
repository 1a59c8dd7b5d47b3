"""Many at once, on loopback: microphones at the pace of speech, uploads, syntheses; and the same for long, to see what stays.

    python -m benchmarks.load once RECORDING --microphones 2 --uploads 2 --syntheses 2
    python -m benchmarks.load soak RECORDING --minutes 30

Starts `app.py`, and speaks to it as programs do. Bounded in count and in time: `--microphones`, `--uploads`, `--syntheses`, `--minutes`.
`once` says how long each kind waited, whether any failed, and whether a word is missing. `soak` has visitors come and go for that
long, and says what the server held at seven moments, and once all have left: memory, threads, temporary files.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import numpy as np
import soundfile
from gradio_client import Client, handle_file

from audio import SAMPLING_RATE, load_audio
from tests.conftest import start_app
from tests.measures import megabytes_held

CHUNK_SECONDS = 1.0
LOOKS = 7  # at what the server holds, that are told of a soak
LEFT_SECONDS = 90.0  # until who has left is seen to have, and forgotten
SENTENCE = "The birch canoe slid on the smooth planks."


def microphone(client: Client, chunks: list[str]) -> tuple[float, str]:
    """Live captions at the pace of speech: how long after its end the last word was there, and the text."""
    began = time.perf_counter()
    for index, chunk in enumerate(chunks):
        time.sleep(max(0.0, began + (index + 1) * CHUNK_SECONDS - time.perf_counter()))
        client.predict(handle_file(chunk), False, "transcribe", "english", api_name="/captions")
    committed, _ = client.predict(None, True, "transcribe", "english", api_name="/captions")
    return time.perf_counter() - began - len(chunks) * CHUNK_SECONDS, committed


def upload(client: Client, recording: str) -> tuple[float, str]:
    began = time.perf_counter()
    text = client.predict(handle_file(recording), "english", api_name="/transcribe")
    return time.perf_counter() - began, text


def synthesis(client: Client) -> tuple[float, str]:
    began = time.perf_counter()
    path = client.predict(SENTENCE, api_name="/synthesise")
    return time.perf_counter() - began, str(soundfile.info(path).frames > 0)


def cut(recording: str, folder: Path) -> list[str]:
    waveform, size = load_audio(recording), round(CHUNK_SECONDS * SAMPLING_RATE)
    paths = []
    for index, begin in enumerate(range(0, len(waveform), size)):
        paths.append(str(folder / f"{index}.wav"))
        soundfile.write(paths[-1], waveform[begin : begin + size], SAMPLING_RATE)
    return paths


def together(url: str, recording: str, chunks: list[str], counts: dict[str, int]) -> dict[str, list[tuple[float, str]]]:
    """All at once; what each kind waited, and got. An error ends it: none may fail."""
    kinds: dict[str, Callable[[Client], tuple[float, str]]] = {
        "microphones": lambda client: microphone(client, chunks),
        "uploads": lambda client: upload(client, recording),
        "syntheses": synthesis,
    }

    def visit(kind: str) -> tuple[float, str]:
        with closing(Client(url, verbose=False)) as client:
            return kinds[kind](client)

    with ThreadPoolExecutor(sum(counts.values())) as people:
        jobs = {kind: [people.submit(visit, kind) for _ in range(count)] for kind, count in counts.items()}
        return {kind: [job.result(timeout=600) for job in each] for kind, each in jobs.items()}


def once(url: str, recording: str, chunks: list[str], counts: dict[str, int]) -> None:
    together(url, recording, chunks, counts)  # everything is loaded
    alone = {kind: together(url, recording, chunks, {kind: 1})[kind][0] for kind in counts}
    results = together(url, recording, chunks, counts)
    for kind, each in results.items():
        waits = np.array([seconds for seconds, _ in each])
        same = sum(text == alone[kind][1] for _, text in each)
        print(
            f"{len(each):3} {kind:12} waited {waits.mean():5.1f} s on average, {waits.max():5.1f} s at most; alone {alone[kind][0]:.1f} s; "
            f"none failed; {same} of {len(each)} got what one alone gets"
        )
    print(f"load {os.getloadavg()[0]:.1f}")


def held(app: subprocess.Popen[bytes], folder: Path) -> dict[str, float]:
    status = Path(f"/proc/{app.pid}/status").read_text(encoding="ascii").split()
    return {
        "MB": megabytes_held(app.pid),
        "threads": int(status[status.index("Threads:") + 1]),
        "files": sum(path.is_file() for path in folder.rglob("*")),
    }


def soak(
    url: str, recording: str, chunks: list[str], counts: dict[str, int], minutes: float, app: subprocess.Popen[bytes], folder: Path
) -> None:
    together(url, recording, chunks, counts)  # everything is loaded
    until, rounds, seen = time.perf_counter() + 60 * minutes, 0, [held(app, folder)]
    while time.perf_counter() < until:
        together(url, recording, chunks, counts)
        rounds += 1
        seen.append(held(app, folder))
    time.sleep(LEFT_SECONDS)
    left = held(app, folder)
    people = rounds * sum(counts.values())
    print(f"{minutes:g} minutes, {people} visitors came and went, none failed")
    for name in left:
        values = [each[name] for each in seen]
        looks = np.linspace(0, len(values) - 1, LOOKS).round().astype(int)
        print(f"  {name:8} {', '.join(f'{values[look]:.0f}' for look in looks)}; once all had left {left[name]:.0f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["once", "soak"])
    parser.add_argument("recording")
    for kind in ("microphones", "uploads", "syntheses"):
        parser.add_argument(f"--{kind}", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=30.0)
    options = parser.parse_args()
    wanted = {kind: n for kind in ("microphones", "uploads", "syntheses") if (n := getattr(options, kind))}
    with tempfile.TemporaryDirectory() as temporary:
        pieces, cache = cut(options.recording, Path(temporary)), Path(temporary) / "cache"
        server, address = start_app(GRADIO_TEMP_DIR=str(cache))
        try:
            if options.what == "once":
                once(address, options.recording, pieces, wanted)
            else:
                soak(address, options.recording, pieces, wanted, options.minutes, server, cache)
        finally:
            server.terminate()
            server.wait()
