"""Hugging Face ZeroGPU: a GPU that is lent for the length of one call.

Knows: what that asks of an app, which is that its weights are on "cuda" at import, and that what computes is decorated with how long it
may take. Does not know: anything else; elsewhere than on ZeroGPU this module is not imported.
A decorated function runs in another process, so it may only be given what can be sent there: arrays and text, no visitor, no lock.
Not run for want of such a Space; a stand-in for the `spaces` package shows that all is placed and decorated.

Source: https://huggingface.co/docs/hub/spaces-zerogpu
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import spaces

import asr
import captions
import checkpoints
import stst
import tts
from checkpoints import Settings

# Seconds that one call may take: what is asked for is kept free for it, so that a caption does not ask for a long file's.
SECONDS: tuple[tuple[ModuleType, str, int], ...] = ((captions, "update", 15), (tts, "synthesise", 60))
WINDOW_BY_WINDOW: tuple[tuple[ModuleType, str, int], ...] = (
    (asr, "windows", 60),
    (stst, "translate_windows", 60),
    (stst, "stream", 120),
    (tts, "stream", 60),
)


def place(settings: Settings) -> None:
    """Every model of every tab on the GPU, now rather than on first use; and what computes, decorated."""
    checkpoints.load_whisper(settings.asr_checkpoint, settings)
    checkpoints.load_whisper(settings.translation_checkpoint, settings)
    if tts.default_voice(settings) == "SpeechT5":
        checkpoints.load_speecht5(settings)
    else:
        checkpoints.load_embedded_voice()
    for module, name, seconds in WINDOW_BY_WINDOW:
        setattr(module, name, _until_stopped(spaces.GPU(duration=seconds)(getattr(module, name))))
    for module, name, seconds in SECONDS:
        setattr(module, name, spaces.GPU(duration=seconds)(getattr(module, name)))


def _until_stopped(lent: Callable[..., Iterator[Any]]) -> Callable[..., Iterator[Any]]:
    """`stopped` cannot be sent to the other process; it is asked here, between two pieces."""

    def run(*given: Any, stopped: Callable[[], bool] | None = None, **how: Any) -> Iterator[Any]:
        for each in lent(*given, **how):
            yield each
            if stopped is not None and stopped():
                return

    return run
