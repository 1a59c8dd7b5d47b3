"""Whether anybody speaks in a waveform, and when.

Knows: Silero's detector and how sure it must be. Does not know: what is said.
"""

from __future__ import annotations

import threading

import numpy as np
import torch

from audio import SAMPLING_RATE
from checkpoints import load_speech_detector

# Silero's detector: frames of 32 ms. On recordings without speech its probability stays under 0.4.
FRAME = 512  # samples
SPEECH_PROBABILITY = 0.5
SPEECH_FRAMES = 3  # in a row: 96 ms, shorter than the shortest word

_detecting = threading.Lock()  # the detector carries state from frame to frame


def has_speech(waveform: np.ndarray) -> bool:
    """Whether somebody speaks in it; reads only as far as the first word."""
    detector = load_speech_detector()
    with _detecting, torch.inference_mode():
        detector.reset_states()
        run = 0
        for start in range(0, len(waveform), FRAME):
            frame = np.zeros(FRAME, np.float32)
            frame[: len(waveform) - start] = waveform[start : start + FRAME]
            speech = detector(torch.from_numpy(frame), SAMPLING_RATE).item() > SPEECH_PROBABILITY
            run = run + 1 if speech else 0
            if run == SPEECH_FRAMES:
                return True
    return False


def spoken(waveform: np.ndarray) -> np.ndarray:
    """Which frames of a waveform belong to speech: bool, (n_frames,), 32 ms each; a last incomplete one is left out."""
    frames = waveform[: len(waveform) // FRAME * FRAME]
    if not len(frames):
        return np.zeros(0, bool)
    detector = load_speech_detector()
    with _detecting, torch.inference_mode():
        likely = detector.audio_forward(torch.from_numpy(frames)[None], SAMPLING_RATE)[0].numpy() > SPEECH_PROBABILITY
    # Shorter runs than a word are clicks.
    runs = np.lib.stride_tricks.sliding_window_view(np.pad(likely, SPEECH_FRAMES - 1), SPEECH_FRAMES).all(1)
    return np.asarray(np.lib.stride_tricks.sliding_window_view(runs, SPEECH_FRAMES).any(1))
