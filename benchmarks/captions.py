"""Live captions as a person would get them, streamed at 1x: errors, delay, computing, many at once, silence, a picture.

    python -m benchmarks.captions quality|hour|visitors|silence|plot CLIPS

Except for `visitors` the clock is simulated: an update begins when the one before it has ended and a second of new audio is
there, and lasts as long as it really took. So the delays are those of a live microphone on this machine, without waiting for
it. A word's delay is from its end, as a decode of the whole recording times it, to the end of the update that committed it.
"""

from __future__ import annotations

import argparse
import difflib
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jiwer
import numpy as np
from transformers.models.whisper.english_normalizer import EnglishTextNormalizer

import asr
import captions as live
from audio import SAMPLING_RATE, Recording, load_audio
from benchmarks.whisper import Clip, clips
from checkpoints import Settings, load_whisper
from decoding import Word, decode
from tests.measures import megabytes_held

SETTINGS = Settings(asr_checkpoint="openai/whisper-base", device="cpu")
CHUNK_SECONDS = 0.5  # what a page sends
MIN_SECONDS = 9.9
LEADS = (0.0, 0.17, 0.33)  # seconds of silence before a recording: where updates fall in it changes some words
plain = EnglishTextNormalizer({})


@dataclass
class Streamed:
    captions: live.Captions
    commits: list[tuple[Word, float]] = field(default_factory=list)  # with when each was on the page, seconds
    updates: list[tuple[float, float]] = field(default_factory=list)  # (when it began, how long it took)
    resident: list[float] = field(default_factory=list)  # MB after each update


class Simulated:
    """A clock that only computing and waiting move."""

    def __init__(self) -> None:
        self.now, self._began = 0.0, 0.0

    def until(self, seconds: float) -> None:
        self.now = max(self.now, seconds)

    def start(self) -> None:
        self._began = time.perf_counter()

    def stop(self) -> None:
        self.now += time.perf_counter() - self._began


class Real:
    """The wall's, for several microphones at once."""

    def __init__(self) -> None:
        self._zero = time.perf_counter()

    @property
    def now(self) -> float:
        return time.perf_counter() - self._zero

    def until(self, seconds: float) -> None:
        time.sleep(max(0.0, seconds - self.now))

    def start(self) -> None:
        pass

    stop = start


def stream(waveform: np.ndarray, clock: Simulated | Real | None = None, language: str | None = "en") -> Streamed:
    clock = clock or Simulated()
    n_chunk, seconds = round(CHUNK_SECONDS * SAMPLING_RATE), len(waveform) / SAMPLING_RATE
    streamed = Streamed(live.Captions(language=language))
    while streamed.captions.n_heard < len(waveform):
        before = streamed.captions
        clock.until(min(seconds, before.n_heard / SAMPLING_RATE + live.UPDATE_SECONDS))
        final = clock.now >= seconds
        arrived = len(waveform) if final else int(clock.now * SAMPLING_RATE) // n_chunk * n_chunk
        began = clock.now
        clock.start()
        after = live.update(before, waveform[before.window_start : arrived], SETTINGS, final=final)
        clock.stop()
        streamed.updates.append((began, clock.now - began))
        streamed.resident.append(megabytes_held())
        streamed.commits += [(word, clock.now) for word in after.words[len(before.words) :]]
        streamed.captions = after
    return streamed


def delays(streamed: Streamed, words: tuple[Word, ...]) -> list[float]:
    """From each word's end in the whole recording's decode to its commit."""
    ours, theirs = [[plain(word.text) for word in each] for each in ([word for word, _ in streamed.commits], words)]
    pairs = difflib.SequenceMatcher(None, ours, theirs, autojunk=False).get_matching_blocks()
    return [streamed.commits[a + i][1] - words[b + i].end for a, b, n in pairs for i in range(n)]


def quality(folder: Path) -> None:
    """Error rate and delay, beside a decode of the whole recording; each is streamed once with each lead."""
    chosen = [clip for clip in clips(folder) if clip.language == "en" and clip.seconds > MIN_SECONDS]
    whisper = load_whisper(SETTINGS.asr_checkpoint, SETTINGS)
    stream(chosen[0].waveform)  # loaded and warm
    rows: list[tuple[Clip, str, str, list[float], float]] = []
    for clip in chosen:
        whole = decode(whisper, clip.waveform, language="en", word_times=True)
        for lead in LEADS:
            streamed = stream(np.concatenate([np.zeros(round(lead * SAMPLING_RATE), np.float32), clip.waveform]))
            took = sum(seconds for _, seconds in streamed.updates)
            waits = [wait - lead for wait in delays(streamed, whole.words)]
            rows.append((clip, whole.text, streamed.captions.committed, waits, took))
    for title, picked in (("all over 10 s", rows), ("long by themselves", [row for row in rows if row[0].seconds > 30])):
        reference = [plain(clip.text) for clip, *_ in picked]
        full, committed = ([plain(row[index]) for row in picked] for index in (1, 2))
        waits = np.array([wait for row in picked for wait in row[3]])
        spoken = sum(clip.seconds for clip, *_ in picked)
        print(
            f"{title}: {len(picked)} streams, {spoken:.0f} s, load {os.getloadavg()[0]:.1f}; "
            f"word error rate {100 * jiwer.wer(reference, committed):.2f} % live, {100 * jiwer.wer(reference, full):.2f} % full context; "
            f"delay {waits.mean():.2f} s on average, {np.percentile(waits, 95):.2f} s at the 95th percentile; "
            f"{sum(row[4] for row in picked) / spoken:.3f} s of computing per second of audio"
        )


def speech(folder: Path, minutes: float) -> np.ndarray:
    """The long English clips over and over."""
    once = np.concatenate([clip.waveform for clip in clips(folder) if clip.language == "en" and clip.seconds > 30])
    return np.resize(once, round(minutes * 60 * SAMPLING_RATE))


def hour(folder: Path, minutes: int = 20) -> None:
    """Whether a late minute costs what an early one does."""
    stream(speech(folder, 0.2))
    streamed = stream(speech(folder, minutes))
    by_minute: list[tuple[float, float]] = []  # seconds of computing, MB at most
    for minute in range(minutes):
        in_it = [(took, held) for (began, took), held in zip(streamed.updates, streamed.resident, strict=True) if int(began / 60) == minute]
        by_minute.append((sum(took for took, _ in in_it), max(held for _, held in in_it)))
    print(f"seconds of computing by minute: {', '.join(f'{took:.1f}' for took, _ in by_minute)}")
    print(f"MB at most by minute: {', '.join(f'{held:.0f}' for _, held in by_minute)}")
    (first, held_first), (last, held_last) = by_minute[0], by_minute[-1]
    print(f"last minute / first: {last / first:.2f} in computing, {held_last / held_first:.2f} in memory; load {os.getloadavg()[0]:.1f}")


def visitors(folder: Path, counts: tuple[int, ...] = (1, 2, 4, 6, 12)) -> None:
    """Live microphones at once, in real time."""
    waveform = speech(folder, 0.75)
    words = decode(load_whisper(SETTINGS.asr_checkpoint, SETTINGS), waveform, language="en", word_times=True).words
    for count in counts:
        with ThreadPoolExecutor(count) as microphones:
            results = list(microphones.map(lambda _: stream(waveform, Real()), range(count)))
        waits = max((np.array(delays(each, words)) for each in results), key=np.mean)
        print(f"{count} at once: the slowest waits {waits.mean():.2f} s, {np.percentile(waits, 95):.2f} s at the 95th percentile")


def silence(folder: Path) -> None:
    """A minute each of what nobody says."""
    n_samples = 60 * SAMPLING_RATE
    hum = np.cumsum(np.random.default_rng(0).normal(0, 1, n_samples))
    fan = (hum - np.convolve(hum, np.ones(1600) / 1600, "same")).astype(np.float32)
    sounds = {"digital silence": np.zeros(n_samples, np.float32), "fan": fan / np.abs(fan).max() * 0.1}
    for path in sorted((folder / "nonspeech").iterdir()):
        if "silence" not in path.name:
            sounds[path.name] = np.resize(load_audio(path), n_samples)
    for name, sound in sounds.items():
        print(f"{name}: {len(stream(sound, language=None).captions.words)} words")


def plot(folder: Path) -> None:
    """How old the newest text is, over time, for the tutorial's two streams and for live captions."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    waveform = speech(folder, 0.75)
    stream(waveform[: 2 * SAMPLING_RATE])  # loaded and warm
    lags = {
        "accumulated: all of it, every time": _lags(waveform, asr.Accumulated, asr.decode_accumulated),
        "chunk only: each piece once": _lags(waveform, asr.ChunkOnly, asr.decode_chunk),
        "live captions: a bounded window": [(began + took, took) for began, took in stream(waveform).updates],
    }
    figure, axes = pyplot.subplots(figsize=(8, 4), layout="constrained")
    for name, each in lags.items():
        axes.plot(*zip(*each, strict=True), label=name)
    axes.set(xlabel="seconds since Record", ylabel="seconds from sound to text", ylim=0)
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(Path(__file__).with_name("streaming.png"), dpi=120)


def _lags(waveform: np.ndarray, begin: Callable[[Recording], Any], decode_stream: Callable[..., Any]) -> list[tuple[float, float]]:
    """(when a text appears, how long before that its last sound was)."""
    clock, recording, n_chunk = Simulated(), Recording(), round(CHUNK_SECONDS * SAMPLING_RATE)
    state, lags = begin(recording), []
    while len(recording) < len(waveform):
        clock.until((len(recording) + n_chunk) / SAMPLING_RATE)
        arrived = min(len(waveform), int(clock.now * SAMPLING_RATE) // n_chunk * n_chunk)
        recording.append(SAMPLING_RATE, waveform[len(recording) : arrived])
        clock.start()
        state = decode_stream(state, "english", SETTINGS)
        clock.stop()
        lags.append((clock.now, clock.now - arrived / SAMPLING_RATE))
    return lags


if __name__ == "__main__":
    tables = {"quality": quality, "hour": hour, "visitors": visitors, "silence": silence, "plot": plot}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", choices=tables)
    parser.add_argument("clips", type=Path)
    arguments = parser.parse_args()
    tables[arguments.table](arguments.clips)
