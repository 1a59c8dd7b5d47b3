"""The whole app as a visitor meets it: Gradio's import, seconds to the first page, and the memory that all tabs together take.

    python -m benchmarks.app RECORDING

Imports Gradio with `quick_gradio.py` and without, in turn; starts `app.py` in a process of its own, asks for the page until it
answers, looks at what it computes while nobody is there, opens the page as somebody who reads before they click, then uses every
endpoint twice.
"""

from __future__ import annotations

import argparse
import functools
import os
import subprocess
import sys
import time

import httpx
from gradio_client import Client, handle_file
from playwright.sync_api import sync_playwright

from benchmarks.page import CHROMIUM
from tests.measures import megabytes_held, seconds_of_computing

PORT = 7871
ASKING_EVERY = 0.05  # seconds
ROUNDS = 4
IDLE_SECONDS = 10
READING_SECONDS = 10


def import_seconds(module: str) -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", f"import {module}"], check=True)
    return time.perf_counter() - began


def main(recording: str) -> None:
    rounds = [(import_seconds("gradio"), import_seconds("quick_gradio")) for _ in range(ROUNDS)]
    slow, quick = (min(seconds) for seconds in zip(*rounds, strict=True))
    print(f"import gradio {slow:.1f} s, import quick_gradio {quick:.1f} s: {quick / slow:.2f} of it")
    began = time.perf_counter()
    app = subprocess.Popen([sys.executable, "app.py", "--port", str(PORT)], stdout=subprocess.DEVNULL)
    held_at_most = functools.partial(megabytes_held, app.pid, "VmHWM")
    try:
        while True:
            try:
                httpx.get(f"http://127.0.0.1:{PORT}/", timeout=10).raise_for_status()
                break
            except httpx.HTTPError:
                time.sleep(ASKING_EVERY)
        print(f"load {os.getloadavg()[0]:.1f}; first page after {time.perf_counter() - began:.1f} s, {held_at_most():.0f} MB")
        before = seconds_of_computing(app)
        time.sleep(IDLE_SECONDS)
        print(f"while nobody is there: {(seconds_of_computing(app) - before) / IDLE_SECONDS:.3f} s of computing per second")
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
            page = browser.new_page()
            page.goto(f"http://127.0.0.1:{PORT}")
            page.wait_for_timeout(1000 * READING_SECONDS)
            browser.close()
        client = Client(f"http://127.0.0.1:{PORT}", verbose=False)
        sound = handle_file(recording)
        calls: dict[str, tuple[object, ...]] = {
            "/transcribe": (sound, "english"),
            "/stream_accumulated": (sound, "english", True),
            "/stream_chunks": (sound, "english", True),
            "/captions": (sound, True, "transcribe", "english"),
            "/translate": (sound,),
            "/synthesise": ("The birch canoe slid on the smooth planks.",),
            "/speech_to_speech_translation": (sound,),
        }
        for name, arguments in calls.items():
            seconds = []
            for _ in range(2):
                start = time.perf_counter()
                client.predict(*arguments, api_name=name)
                seconds.append(time.perf_counter() - start)
            print(f"  {name:32} first {seconds[0]:5.1f} s, then {seconds[1]:5.1f} s, peak memory so far {held_at_most():.0f} MB")
    finally:
        app.terminate()
        app.wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recording")
    main(parser.parse_args().recording)
