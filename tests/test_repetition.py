"""Loops and speech, told apart by where each token is said."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import repetition

PHRASE = [11, 12, 13, 14, 15, 16]


def said(times: int, seconds: float = 1.0, stays: int = 0) -> tuple[list[int], np.ndarray]:
    """A phrase said so often, so many seconds apart, and written some times more: tokens and their places."""
    starts = [seconds * min(n, times - 1) for n in range(times + stays)]
    places = [start + 0.1 * index for start in starts for index in range(len(PHRASE))]
    return PHRASE * (times + stays), np.array(places)


@given(st.lists(st.integers(0, 9), min_size=1, max_size=8), st.integers(4, 9))
def test_a_phrase_over_and_over_may_be_a_loop(phrase: list[int], times: int) -> None:
    tokens = phrase * max(times, -(-repetition.LOOP_TOKENS // len(phrase)))
    assert 0 < repetition.loop_period([90, 91, 92, *tokens]) <= len(phrase)
    assert repetition.is_endless(tokens)
    assert not repetition.is_endless([90, 91, 92, *tokens])


@given(st.lists(st.integers(0, 10_000), unique=True, max_size=100))
def test_what_never_repeats_is_no_loop(tokens: list[int]) -> None:
    assert repetition.loop_period(tokens) == 0
    assert not repetition.is_endless(tokens)
    assert repetition.twice_period(tokens) == 0


def test_a_phrase_at_the_end_twice_is_found() -> None:
    assert repetition.twice_period([1, 2, *PHRASE, *PHRASE]) == len(PHRASE)
    assert repetition.twice_period([1, 2, 3, 4, 1, 2, 3, 4]) == 0, "too short to be worth a look"


def test_what_is_said_again_is_not_made_up() -> None:
    tokens, places = said(6)
    assert repetition.made_up(tokens, places, seconds=10.0) == (0, False)


@pytest.mark.parametrize("seconds", [5.2, 60.0])
def test_a_loop_is_made_up_from_where_it_stays(seconds: float) -> None:
    tokens, places = said(5, stays=2)
    last = 0.1 * np.arange(3) + places[-1]  # on its way once more
    n_made_up, is_over = repetition.made_up([*tokens, *PHRASE[:3]], np.concatenate([places, last]), seconds)
    assert n_made_up == 2 * len(PHRASE) + 3, "the phrase is cut where it ends"
    assert is_over == (seconds < 6), "there is no room for it once more"


def test_a_loop_that_never_moved_leaves_the_phrase_once_and_is_not_over() -> None:
    tokens, places = said(1, stays=3)
    assert repetition.made_up(tokens, places, seconds=1.0) == (3 * len(PHRASE), False)


def test_faster_than_anybody_speaks_is_no_speech() -> None:
    tokens, places = said(6, seconds=len(PHRASE) / repetition.TOKENS_PER_SECOND - 0.01)
    assert repetition.made_up(tokens, places, seconds=10.0)[0] == (repetition.LOOP_REPEATS - 1) * len(PHRASE)


def test_places_are_taken_from_the_end() -> None:
    assert repetition.moves_on(np.array([9.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0]), 2) == [True, False]
    assert repetition.moves_on(np.array([1.0])) == []
