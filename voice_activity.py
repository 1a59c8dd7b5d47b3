"""Whether anybody speaks in a waveform, and when.

Knows: Silero's detector and how sure it must be. Does not know: what is said.
"""

from __future__ import annotations

import numpy as np

from audio import SAMPLING_RATE
from checkpoints import load_speech_detector

# Silero's detector: frames of 32 ms. On recordings without speech its probability stays under 0.4.
FRAME = 512  # samples
SPEECH_PROBABILITY = 0.5
SPEECH_FRAMES = 3  # in a row: 96 ms, shorter than the shortest word
BREATH_SECONDS = 0.3  # a stop within a word is shorter
FIRST_LOOK = 32 * FRAME  # samples, a second: most recordings begin with speech


def has_speech(waveform: np.ndarray) -> bool:
    """Whether somebody speaks in it; hears not much more than there is before the first word."""
    n_samples = FIRST_LOOK
    while not (found := spoken(waveform[:n_samples]).any()) and n_samples < len(waveform):
        n_samples *= 2
    return bool(found)


def spoken(waveform: np.ndarray) -> np.ndarray:
    """Which frames of a waveform belong to speech: bool, (n_frames,), 32 ms each; a last incomplete one is left out."""
    frames = waveform[: len(waveform) // FRAME * FRAME]
    if not len(frames):
        return np.zeros(0, bool)
    likely = load_speech_detector().audio_forward(frames, SAMPLING_RATE) > SPEECH_PROBABILITY
    # Shorter runs than a word are clicks.
    runs = np.convolve(likely, np.ones(SPEECH_FRAMES)) == SPEECH_FRAMES
    return np.convolve(runs, np.ones(SPEECH_FRAMES), "valid") > 0


def stretches(waveform: np.ndarray) -> list[tuple[float, float]]:
    """From when to when somebody speaks, in seconds; what is quiet for less than `BREATH_SECONDS` is part of it."""
    edges = np.flatnonzero(np.diff(np.pad(spoken(waveform).astype(int), 1))) * (FRAME / SAMPLING_RATE)
    joined: list[tuple[float, float]] = []
    for start, end in edges.reshape(-1, 2).tolist():
        if joined and start - joined[-1][1] < BREATH_SECONDS:
            start = joined.pop()[0]
        joined.append((start, end))
    return joined
