"""Weights and a waveform -> text: the one path that every tab takes.

Knows: Whisper's windows, temperatures and token budgets, and when nobody speaks.
Does not know: where audio or weights come from, streams, the page.
"""

from __future__ import annotations

import functools
import threading
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from audio import SAMPLING_RATE
from checkpoints import Whisper, load_speech_detector

Task = Literal["transcribe", "translate"]

WINDOW_SECONDS = 30  # Whisper hears 30 s at a time; longer audio is decoded window after window
# A clip may cost no more tokens than people can speak in its time. Byte-level scripts such as Devanagari come to about
# 20 tokens a second of speech; English to 4.
TOKENS_PER_SECOND = 24
MIN_TOKENS = 16
MAX_TOKENS = 440  # of the decoder's 448 positions, some are the prompt's

# openai/whisper transcribe.py: a decode that repeats itself or that the model itself thinks unlikely is done again, hotter.
TEMPERATURES = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
COMPRESSION_RATIO = 2.4
LOG_PROBABILITY = -1.0
NO_SPEECH_PROBABILITY = 0.6

# Silero's detector: frames of 32 ms. On recordings without speech its probability stays under 0.4.
FRAME = 512  # samples
SPEECH_PROBABILITY = 0.5
SPEECH_FRAMES = 3  # in a row: 96 ms, shorter than the shortest word

_detecting = threading.Lock()  # the detector carries state from frame to frame
_decoding = threading.Lock()  # one decode at a time: two would only share the same two cores


@dataclass(frozen=True)
class Decoded:
    """What was understood."""

    text: str  # "" where nobody speaks


def decode(
    whisper: Whisper,
    waveform: np.ndarray,
    *,
    task: Task = "transcribe",
    language: str | None = None,
    max_new_tokens: int | None = None,
) -> Decoded:
    """Text of a waveform of any length.

    Args:
        whisper: a loaded checkpoint.
        waveform: float32, (n_samples,), 16 kHz.
        task: "transcribe", or "translate" into English.
        language: the language spoken, such as "italian" or "it"; None detects it.
        max_new_tokens: at most this many tokens per 30 s window, besides the limit that the audio's length sets.
    """
    import torch

    # 1. Silence, noise and music are never worth a guess.
    if not has_speech(waveform):
        return Decoded("")
    # 2. What Whisper is asked, and how much it may say.
    seconds = len(waveform) / SAMPLING_RATE
    budget = min(MAX_TOKENS, MIN_TOKENS + round(TOKENS_PER_SECOND * min(seconds, WINDOW_SECONDS)))
    generate_kwargs: dict[str, Any] = {
        "max_new_tokens": min(budget, max_new_tokens or budget),
        "num_beams": 1,
        "temperature": TEMPERATURES,
        "compression_ratio_threshold": COMPRESSION_RATIO,
        "logprob_threshold": LOG_PROBABILITY,
        "no_speech_threshold": NO_SPEECH_PROBABILITY,
        "condition_on_prev_tokens": False,  # one bad window would spoil those after it
    }
    if whisper.is_multilingual:  # an English-only checkpoint refuses both
        generate_kwargs |= {"task": task, "language": _language(whisper, language)}
    # 3. The tutorial's pipeline, with timestamps where it needs them to step from window to window.
    with _decoding, torch.inference_mode():
        result = _pipeline(whisper)(
            {"raw": waveform, "sampling_rate": SAMPLING_RATE},
            return_timestamps=seconds > WINDOW_SECONDS,
            generate_kwargs=generate_kwargs,
        )
    return Decoded(result["text"].strip())


def has_speech(waveform: np.ndarray) -> bool:
    """Whether somebody speaks in it; reads only as far as the first word."""
    import torch

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


def _language(whisper: Whisper, language: str | None) -> str | None:
    """The language as this checkpoint names it; raises a ValueError if it was not taught it."""
    from transformers.models.whisper.tokenization_whisper import TO_LANGUAGE_CODE

    if language is None:
        return None
    code = TO_LANGUAGE_CODE.get(language.lower(), language.lower())
    if f"<|{code}|>" not in whisper.model.generation_config.lang_to_id:
        raise ValueError(f"{whisper.source.found} does not know {language}. Choose another language, or let it be detected.")
    return code


@functools.lru_cache(maxsize=8)
def _pipeline(whisper: Whisper) -> Any:
    """`pipeline("automatic-speech-recognition", ...)` as in Gradio's tutorial, around weights already loaded."""
    from transformers import logging, pipeline

    logging.set_verbosity_error()  # it warns of its own internals at every call
    return pipeline(
        "automatic-speech-recognition",
        model=whisper.model,
        tokenizer=whisper.tokenizer,
        feature_extractor=whisper.feature_extractor,
        device=whisper.model.device,
    )
