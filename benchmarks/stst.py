"""Speech-to-speech translation as a person gets it: how soon, how good, how much memory, how fast it is cancelled.

    python -m benchmarks.stst first|chrf|memory|cancel CLIPS

CLIPS is the folder that benchmarks/whisper.py describes. `first`, `memory` and `cancel` join the Italian clips with half a
second between, over and over, to as long a recording as they need. The voice is the one that can be had here.
"""

from __future__ import annotations

import argparse
import itertools
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

import stst
from audio import SAMPLING_RATE
from benchmarks.whisper import Clip, clips, pipeline
from checkpoints import Settings
from tests.measures import megabytes_held

SETTINGS = Settings(device="cpu")
LANGUAGES = ("it", "fr", "de", "es", "pt")
CANCEL_AFTER = (0.5, 2.0, 4.0, 8.0)  # seconds


def italian(found: list[Clip], seconds: float) -> tuple[int, np.ndarray]:
    pause = np.zeros(SAMPLING_RATE // 2, np.float32)
    once = np.concatenate([piece for clip in found if clip.language == "it" for piece in (clip.waveform, pause)])
    return SAMPLING_RATE, np.resize(once, round(seconds * SAMPLING_RATE))


def timed(recording: tuple[int, np.ndarray]) -> Iterator[tuple[float, stst.Cascade]]:
    began = time.perf_counter()
    for cascade in stst.stream(recording, settings=SETTINGS):
        yield time.perf_counter() - began, cascade


def first(found: list[Clip]) -> None:
    """When the first translated sound of 60 s is there, against the whole, in one run."""
    list(timed(italian(found, 10)))  # loaded and warm
    steps = list(timed(italian(found, 60)))
    soonest, whole = steps[0][0], steps[-1][0]
    spoken = [(seconds, len(cascade.speech) / cascade.sampling_rate) for seconds, cascade in steps]
    waited = max(0.0, *(after - soonest - speech for (_, speech), (after, _) in itertools.pairwise(spoken)))
    print(f"first sound after {soonest:.2f} s of {whole:.2f} s: {soonest / whole:.2f} of the whole; load {os.getloadavg()[0]:.1f}")
    print(f"whoever listens from the first sound on waits {waited:.2f} s for a later one")


def as_the_course(waveform: np.ndarray) -> str:
    """The course's `translate`: its pipeline, its arguments."""
    result = pipeline()(
        {"raw": waveform, "sampling_rate": SAMPLING_RATE},
        return_timestamps=len(waveform) > 30 * SAMPLING_RATE,  # without, it refuses more than 30 s
        generate_kwargs={"task": "translate", "max_new_tokens": 256},
    )
    return str(result["text"]).strip()


def chrf(found: list[Clip]) -> None:
    """The translations beside the course's own, same weights and clips, language detected."""
    import sacrebleu

    chosen = [clip for clip in found if clip.language in LANGUAGES and clip.translation]
    texts = {"cascade": [stst.translate((SAMPLING_RATE, clip.waveform), SETTINGS) for clip in chosen]}
    texts["course"] = [as_the_course(clip.waveform) for clip in chosen]
    print(f"chrF of {len(chosen)} clips, {sum(clip.seconds for clip in chosen):.0f} s")
    for language in ("all", *LANGUAGES):
        picked = [index for index, clip in enumerate(chosen) if language in ("all", clip.language)]
        references = [[chosen[index].translation for index in picked]]
        scores = {name: sacrebleu.corpus_chrf([each[index] for index in picked], references).score for name, each in texts.items()}
        print(f"  {language:4} {len(picked):3} clips  " + "  ".join(f"{name} {score:.2f}" for name, score in scores.items()))


def memory(found: list[Clip]) -> None:
    """Five minutes to their end, and what they hold on to."""
    held, seconds = [], 0.0
    for seconds, cascade in timed(italian(found, 300)):  # noqa: B007
        held.append((cascade.heard_seconds, megabytes_held()))
    print(f"300 s in {seconds:.0f} s, {len(cascade.sentences)} sentences, load {os.getloadavg()[0]:.1f}")
    for minute in range(1, 6):
        print(f"  minute {minute}: at most {max(mb for heard, mb in held if 60 * (minute - 1) <= heard <= 60 * minute):.0f} MB")


def cancel(found: list[Clip]) -> None:
    """How long the cascade goes on after it was stopped, at several moments of 60 s."""
    recording = italian(found, 60)
    list(timed(italian(found, 10)))
    for after in CANCEL_AFTER:
        stopped, told = threading.Event(), [0.0]

        def stop(stopped: threading.Event = stopped, told: list[float] = told) -> None:
            told[0] = time.perf_counter()
            stopped.set()

        timer = threading.Timer(after, stop)
        timer.start()
        done = list(stst.stream(recording, settings=SETTINGS, stopped=stopped.is_set))
        took = time.perf_counter() - told[0]
        timer.cancel()
        if told[0]:
            n_sentences = len(done[-1].sentences) if done else 0
            print(f"cancelled after {after} s: {n_sentences} sentences stay; ended {took:.2f} s later; load {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    tables = {"first": first, "chrf": chrf, "memory": memory, "cancel": cancel}
    parser.add_argument("table", choices=tables)
    parser.add_argument("clips", type=Path)
    arguments = parser.parse_args()
    tables[arguments.table](clips(arguments.clips))
