"""The ways to stream, as an app calls them: what one recording holds between two steps, and what each way says of itself.

Knows: the tutorial's two ways (asr.py) and live captions (captions.py). Does not know: who speaks, the page, how anything is decoded.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

import asr
from audio import SAMPLING_RATE, Recording
from checkpoints import Settings, import_frameworks

if TYPE_CHECKING:  # importing it imports torch: seconds that an app which only starts up need not wait for
    from captions import Captions
    from decoding import Task


class Stream(Protocol):
    """One recording and what was understood of it so far. Frozen: a step takes one and gives the next."""

    @property
    def recording(self) -> Recording: ...


Tutorial = TypeVar("Tutorial", asr.Accumulated, asr.ChunkOnly)


@dataclass(frozen=True)
class StreamingMode(Generic[Tutorial]):
    """One of the tutorial's ways to stream, and how its page calls it."""

    name: str
    title: str
    begin: Callable[[Recording], Tutorial]
    decode: Callable[[Tutorial, str | None, Settings], Tutorial]
    cost: Callable[[Tutorial], str]


def _accumulated_cost(stream: asr.Accumulated) -> str:
    heard, decoded = len(stream.recording) / SAMPLING_RATE, stream.seconds_decoded
    if not heard:
        return f"Heard {heard:.1f} s. Decoded {decoded:.1f} s so far: each step starts again at the beginning."
    times = decoded / heard
    return f"Heard {heard:.1f} s. Decoded {decoded:.1f} s so far, {times:.1f} times what was said: each step starts again at the beginning."


def _chunk_cost(stream: asr.ChunkOnly) -> str:
    heard, decoded = len(stream.recording) / SAMPLING_RATE, stream.n_decoded / SAMPLING_RATE
    return f"Heard {heard:.1f} s. Decoded {decoded:.1f} s so far: each second once, and each piece without the ones before it."


ACCUMULATED = StreamingMode(
    "accumulated", "everything said so far is decoded again every time", asr.Accumulated, asr.decode_accumulated, _accumulated_cost
)
CHUNK_ONLY = StreamingMode("chunks", "each chunk is decoded alone", asr.ChunkOnly, asr.decode_chunk, _chunk_cost)


@dataclass(frozen=True, eq=False)
class Captioned:
    """A recording with live captions."""

    recording: Recording
    task: Task = "transcribe"
    language: str | None = None  # None detects it
    captions: Captions | None = None  # None until the first update
    is_over: bool = False

    @property
    def n_decoded(self) -> int:
        return self.captions.n_heard if self.captions else 0


def decode_captions(stream: Captioned, settings: Settings, final: bool = False) -> Captioned:
    """Updates the captions by one step if enough has come since the last time, and forgets the audio that is not needed any more.

    Args:
        final: the recording is over, so that anything is enough, all of it is decoded, and every word is committed.
    """
    import_frameworks()
    import captions  # imports torch

    n_new = len(stream.recording) - stream.n_decoded
    if stream.is_over or (not final and n_new < captions.UPDATE_SECONDS * SAMPLING_RATE):
        return stream
    before = stream.captions or captions.Captions(task=stream.task, language=stream.language)
    waveform = stream.recording.waveform(before.window_start)
    if not final:  # one step, so that the page shows what is done of many
        waveform = waveform[: before.step_end - before.window_start]
    after = captions.update(before, waveform, settings, final=final)
    stream.recording.forget(after.window_start)
    return dataclasses.replace(stream, captions=after, is_over=final)
