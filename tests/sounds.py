"""Sounds and files of sound that the tests make."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import av
import numpy as np
import soundfile
import soxr

from checkpoints import load_embedded_voice

CLIPS = Path(str(files("pytest_audioeval") / "samples" / "audio"))
QUICK_BROWN_FOX = CLIPS / "en" / "quick_brown_fox.wav"
COUNTING = CLIPS / "it" / "conteggio.wav"  # from one to ten, in Italian
BONJOUR = CLIPS / "fr" / "bonjour_monde.wav"


# Long enough for two of Whisper's windows, and no sentence twice.
PARAGRAPH = (
    "The birch canoe slid on the smooth planks. Glue the sheet to the dark blue background. It is easy to tell the depth of a well. "
    "These days a chicken leg is a rare dish. Rice is often served in round bowls. The juice of lemons makes fine punch. "
    "The box was thrown beside the parked truck. The hogs were fed chopped corn and garbage. Four hours of steady work faced us. "
    "A large size in stockings is hard to sell. The boy was there when the sun rose. A rod is used to catch pink salmon. "
    "The source of the huge river is the clear spring. Kick the ball straight and follow through. Help the woman get back to her feet. "
    "A pot of tea helps to pass the evening."
)  # the Harvard sentences, IEEE 1969


def spoken(text: str) -> np.ndarray:
    """The text in the embedded voice, 16 kHz, the same every time."""
    return soxr.resample(load_embedded_voice()(text, seed=0), 24_000, 16_000)


def text_of(clip: Path) -> str:
    return clip.with_suffix(".txt").read_text(encoding="utf-8").strip()


def chirp(seconds: float, sampling_rate: int) -> np.ndarray:
    """A tone that rises from 200 to 2000 Hz: its pitch tells the time. float32, peak 0.5."""
    t = np.arange(round(seconds * sampling_rate)) / sampling_rate
    return (0.5 * np.sin(2 * np.pi * (200 * t + 1800 * t**2 / (2 * seconds)))).astype(np.float32)


def write(path: Path, waveform: np.ndarray, sampling_rate: int, codec: str, channels: int = 1) -> Path:
    """A file in the container that its suffix names, by libsndfile (codec is a subtype) or FFmpeg (codec is its name)."""
    samples = np.repeat(waveform[:, None], channels, axis=1)
    if codec.isupper():
        soundfile.write(path, samples, sampling_rate, subtype=codec)
        return path
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=sampling_rate, layout="stereo" if channels == 2 else "mono")
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples.T), format="fltp", layout=stream.layout.name)
        frame.sample_rate = sampling_rate
        fifo = av.AudioFifo()
        fifo.write(frame)
        size = stream.codec_context.frame_size or 1024
        while (piece := fifo.read(size, partial=True)) is not None:
            container.mux(stream.encode(piece))
        container.mux(stream.encode(None))
    return path


def write_silent_video(path: Path) -> Path:
    """An mp4 with a picture and no sound track."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width = stream.height = 32
        for _ in range(5):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), format="rgb24")))
        container.mux(stream.encode(None))
    return path


def at_rate(waveform: np.ndarray, sampling_rate: int) -> np.ndarray:
    """A 16 kHz waveform at another rate."""
    return soxr.resample(waveform, 16_000, sampling_rate)
