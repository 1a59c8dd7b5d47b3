"""Live captions as a person would get them: error rate, delay and computing, streamed at 1x.

    python -m benchmarks.captions CLIPS

The clock is simulated: an update begins when the one before it has ended and a second of new audio is there, and lasts as
long as it really took. So the delays are those of a live microphone on this machine, without waiting for the silence.
A word's delay is from its end, as a decode of the whole recording times it, to the end of the update that committed it.
"""

from __future__ import annotations

import argparse
import difflib
import time
from dataclasses import dataclass, field
from pathlib import Path

import jiwer
import numpy as np
from transformers.models.whisper.english_normalizer import EnglishTextNormalizer

import captions as live
from audio import SAMPLING_RATE
from benchmarks.whisper import Clip, clips
from checkpoints import Settings, load_whisper
from decoding import Word, decode

SETTINGS = Settings(asr_checkpoint="openai/whisper-base", device="cpu")
CHUNK_SECONDS = 0.5  # what a page sends
MIN_SECONDS = 9.9
plain = EnglishTextNormalizer({})


@dataclass
class Streamed:
    captions: live.Captions
    commits: list[tuple[Word, float]] = field(default_factory=list)  # with when each was on the page, seconds
    updates: list[tuple[float, float]] = field(default_factory=list)  # (when it began, how long it took)


def stream(waveform: np.ndarray, language: str | None = "en") -> Streamed:
    captions, now, n_chunk = live.Captions(language=language), 0.0, round(CHUNK_SECONDS * SAMPLING_RATE)
    streamed = Streamed(captions)
    while captions.n_heard < len(waveform):
        arrived = min(len(waveform), int(now * SAMPLING_RATE) // n_chunk * n_chunk)
        final = arrived == len(waveform) or arrived + n_chunk > len(waveform)
        if final:
            arrived, now = len(waveform), max(now, len(waveform) / SAMPLING_RATE)
        if arrived - captions.n_heard < live.UPDATE_SECONDS * SAMPLING_RATE and not final:
            now = (captions.n_heard + live.UPDATE_SECONDS * SAMPLING_RATE) / SAMPLING_RATE
            continue
        began = time.perf_counter()
        after = live.update(captions, waveform[captions.window_start : arrived], SETTINGS, final=final)
        took = time.perf_counter() - began
        streamed.updates.append((now, took))
        now += took
        streamed.commits += [(word, now) for word in after.words[len(captions.words) :]]
        captions = after
    streamed.captions = captions
    return streamed


def delays(streamed: Streamed, words: tuple[Word, ...]) -> list[float]:
    """From each word's end in the whole recording's decode to its commit."""
    ours, theirs = [[plain(word.text) for word in each] for each in ([word for word, _ in streamed.commits], words)]
    pairs = difflib.SequenceMatcher(None, ours, theirs, autojunk=False).get_matching_blocks()
    return [streamed.commits[a + i][1] - words[b + i].end for a, b, n in pairs for i in range(n)]


def main(folder: Path, verbose: bool) -> None:
    chosen = [clip for clip in clips(folder) if clip.language == "en" and clip.seconds > MIN_SECONDS]
    whisper = load_whisper(SETTINGS.asr_checkpoint, SETTINGS)
    stream(chosen[0].waveform)  # loaded and warm
    rows: list[tuple[Clip, str, str, list[float], float]] = []
    for clip in chosen:
        whole = decode(whisper, clip.waveform, language="en", word_times=True)
        streamed = stream(clip.waveform)
        took = sum(seconds for _, seconds in streamed.updates)
        rows.append((clip, whole.text, streamed.captions.committed, delays(streamed, whole.words), took))
        if verbose:
            print(f"{clip.name}\n  full {plain(whole.text)}\n  live {plain(streamed.captions.committed)}")
    for title, picked in (("all over 10 s", rows), ("long by themselves", [row for row in rows if row[0].seconds > 30])):
        reference = [plain(clip.text) for clip, *_ in picked]
        full, committed = ([plain(row[index]) for row in picked] for index in (1, 2))
        waits = np.array([wait for row in picked for wait in row[3]])
        spoken = sum(clip.seconds for clip, *_ in picked)
        print(
            f"{title}: {len(picked)} clips, {spoken:.0f} s; word error rate {100 * jiwer.wer(reference, committed):.2f} % live, "
            f"{100 * jiwer.wer(reference, full):.2f} % full context; delay {waits.mean():.2f} s on average, "
            f"{np.percentile(waits, 95):.2f} s at the 95th percentile; {sum(row[4] for row in picked) / spoken:.3f} s per second of audio"
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", type=Path)
    parser.add_argument("--verbose", action="store_true", help="print the texts")
    arguments = parser.parse_args()
    main(arguments.clips, arguments.verbose)
