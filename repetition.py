"""What is said again and again, or only written so: a loop, which Whisper falls into, or speech.

The decoder's attention tells them apart: in speech each time comes later in the audio than the one before, in a loop it stays
where it was. Knows: tokens, and where in the audio each is said. Does not know: models, audio, windows.

Source: openai/whisper `transcribe.py` for the compression ratio, which cannot tell them apart.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import numpy as np

COMPRESSION_RATIO = 2.4  # a text with more than that is repetitive; openai/whisper's
TOKENS_PER_SECOND = 24  # nobody speaks faster: scripts such as Devanagari, byte by byte, come to 20; English to 4
# A tail of one phrase over and over is looked at once it is this long.
LOOP_REPEATS = 4
LOOP_TOKENS = 16
LOOP_PERIOD = 24  # tokens in the longest phrase that is looked for
TWICE_TOKENS = 5  # in the shortest phrase that is worth a look once it is said twice
TOGETHER_TOKENS = 8  # whose places are taken together, because a single one's may be anywhere


def compression_ratio(text: str) -> float:
    """How much of a text is repetition: bytes over compressed bytes."""
    content = text.encode()
    return len(content) / len(zlib.compress(content))


def loop_period(tokens: Sequence[int]) -> int:
    """The length of the phrase that the tokens end in over and over; 0 where they do not."""
    for period in range(1, LOOP_PERIOD + 1):
        span = period * max(LOOP_REPEATS, -(-LOOP_TOKENS // period))
        tail = tokens[-span:]
        if len(tail) == span and tail[period:] == tail[:-period]:
            return period
    return 0


def is_endless(tokens: Sequence[int]) -> bool:
    """Whether a loop is all that there is, from the first token on."""
    period = loop_period(tokens)
    return bool(period) and tokens[period:] == tokens[:-period]


def twice_period(tokens: Sequence[int]) -> int:
    """The length of a phrase that the tokens end in twice; 0 where they do not. Whisper does so where a window ends too soon for it."""
    for period in range(TWICE_TOKENS, len(tokens) // 2 + 1):
        if tuple(tokens[-period:]) == tuple(tokens[-2 * period : -period]):
            return period
    return 0


def moves_on(places: np.ndarray, n_together: int = TOGETHER_TOKENS) -> list[bool]:
    """Of so many tokens at a time, counted from the end, whether they are said after those before them, as fast as people speak.

    Args:
        places: seconds, (n_tokens,).
    """
    centres = np.median(places[len(places) % n_together :].reshape(-1, n_together), 1)
    return [bool(moved) for moved in np.diff(centres) > n_together / TOKENS_PER_SECOND]


def made_up(tokens: Sequence[int], places: np.ndarray, seconds: float) -> tuple[int, bool]:
    """How many tokens of a loop nobody says, and whether all is said before them: the phrase again would be after the end.

    Args:
        tokens: `loop_period` has a phrase that they end in.
        places: seconds, (n_tokens,).
        seconds: of audio.
    """
    period = loop_period(tokens)
    n_looping = next((n for n in range(period, len(tokens)) if tokens[-n - 1] != tokens[-n - 1 + period]), len(tokens))
    n_begun = n_looping % period  # of the phrase once more
    last = places[: len(places) - n_begun][-period * LOOP_REPEATS :]
    spoken = moves_on(last, period)
    if all(spoken):
        return 0, False
    n_spoken = 1 + spoken.index(False)
    first, latest = (float(np.median(last[n * period : (n + 1) * period])) for n in (0, n_spoken - 1))
    following = latest + (latest - first) / max(1, n_spoken - 1)
    return period * (LOOP_REPEATS - n_spoken) + n_begun, n_spoken > 1 and following > seconds
