"""Live captions: what is committed stays, nothing said is lost, the window is bounded, silence has no words."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import captions as live
from audio import SAMPLING_RATE, load_audio
from checkpoints import Settings
from decoding import Decoded, Word
from tests.measures import word_error_rate
from tests.sounds import CLIPS, QUICK_BROWN_FOX

WHISPER_BASE = Settings(asr_checkpoint="openai/whisper-base", device="cpu")
WORD_SECONDS = 0.5  # in the fake's speech


def stream(waveform: np.ndarray, seconds: float = 1.0, **begin: str) -> Iterator[live.Captions]:
    """Every state on the way through a recording that comes in pieces."""
    captions, arrived = live.Captions(**begin), 0
    while arrived < len(waveform):
        arrived = min(len(waveform), arrived + round(seconds * SAMPLING_RATE))
        final = arrived == len(waveform)
        captions = live.update(captions, waveform[captions.window_start : arrived], WHISPER_BASE, final=final)
        yield captions


def use_fake(patch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A decoder that hears word n where the samples hold n: it answers by what it is given, and keeps its prefix.

    The detector is one, too: speech is what is not zero.
    """
    called = SimpleNamespace(n=0, longest=0)

    def decode(whisper: object, waveform: np.ndarray, options: object, **changes: object) -> Decoded:
        called.n += 1
        called.longest = max(called.longest, len(waveform))
        numbers = np.round(waveform * 1000).astype(int)
        words = []
        for number in np.unique(numbers[numbers > 0]):
            at = np.flatnonzero(numbers == number) / SAMPLING_RATE
            words.append(Word(f" w{number}", float(at[0]), float(at[-1]), 1.0, (int(number),)))
        prefix = list(options.prefix)
        assert [word.tokens[0] for word in words][: len(prefix)] == prefix, "the prefix is what the window begins with"
        return Decoded("".join(word.text for word in words[len(prefix) :]), words=tuple(words))

    def detect(waveform: np.ndarray) -> np.ndarray:
        frames = waveform[: len(waveform) // live.FRAME * live.FRAME].reshape(-1, live.FRAME)
        return frames.any(1)

    patch.setattr(live, "decode", decode)
    patch.setattr(live, "load_whisper", lambda *_: None)
    patch.setattr(live, "spoken", detect)
    return called


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    return use_fake(monkeypatch)


def words_of(*numbers: int) -> np.ndarray:
    return np.repeat(np.array(numbers, np.float32) / 1000, round(WORD_SECONDS * SAMPLING_RATE))


@pytest.mark.parametrize("seconds", [0.5, 1.0, 3.3, 20.0, 150.0])
def test_every_word_of_minutes_is_committed_once_and_in_order(fake: SimpleNamespace, seconds: float) -> None:
    n_words = 300
    recording = words_of(*(number if number % 17 else 0 for number in range(1, n_words + 1)))
    *_, last = stream(recording, seconds)
    assert last.committed == " ".join(f"w{number}" for number in range(1, n_words + 1) if number % 17)
    assert not last.partial


def test_the_window_is_bounded_and_a_late_minute_costs_what_an_early_one_does(fake: SimpleNamespace) -> None:
    costs = []
    for captions in stream(words_of(*range(1, 601))):
        costs.append(captions.n_heard - captions.window_start)
        assert costs[-1] <= (live.WINDOW_SECONDS + 1) * SAMPLING_RATE
    assert fake.longest <= (live.WINDOW_SECONDS + 1) * SAMPLING_RATE
    list(stream(words_of(*range(1, 601)), 90.0))
    assert fake.longest <= (live.WINDOW_SECONDS + live.STEP_SECONDS) * SAMPLING_RATE
    assert np.mean(costs[-60:]) <= 1.1 * np.mean(costs[60:120])


def test_committed_words_never_change(fake: SimpleNamespace) -> None:
    before: tuple[Word, ...] = ()
    for captions in stream(words_of(*(number if number % 7 else 0 for number in range(1, 200)))):
        assert captions.words[: len(before)] == before
        before = captions.words


@given(st.lists(st.integers(1, 40_000), min_size=1, max_size=30))
@settings(deadline=None, max_examples=15)
def test_how_the_chunks_are_cut_changes_nothing_of_what_is_heard(chunks: list[int]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        use_fake(patch)
        recording = words_of(*range(1, 30))
        captions, arrived = live.Captions(), 0
        for chunk in [*chunks, len(recording)]:
            arrived = min(len(recording), arrived + chunk)
            captions = live.update(captions, recording[captions.window_start : arrived], final=arrived == len(recording))
            if arrived == len(recording):
                break
    assert captions.committed == " ".join(f"w{number}" for number in range(1, 30))


def test_words_that_no_two_decodes_agree_on_are_taken_once_the_window_is_full(monkeypatch: pytest.MonkeyPatch) -> None:
    called = use_fake(monkeypatch)
    decode = live.decode

    def undecided(*given: object, **how: object) -> Decoded:
        decoded = decode(*given, **how)
        return replace(decoded, words=tuple(replace(word, text=f"{word.text}-{called.n}") for word in decoded.words))

    monkeypatch.setattr(live, "decode", undecided)
    for captions in stream(words_of(*range(1, 90))):
        heard = [int(re.sub(r"w|-\d+", "", word)) for word in captions.committed.split()]
        assert heard == list(range(1, len(heard) + 1))
    assert heard == list(range(1, 90))


@pytest.mark.usefixtures("fake")
def test_a_pause_commits_what_came_before_it() -> None:
    states = list(stream(words_of(1, 2, 3, 0, 0, 0, 0, 0)))
    assert states[-1].committed == "w1 w2 w3"
    assert states[-2].committed == "w1 w2 w3", "before the end"


def test_silence_is_not_decoded_and_not_kept(fake: SimpleNamespace) -> None:
    *_, last = stream(np.zeros(60 * SAMPLING_RATE, np.float32))
    assert fake.n == 0
    assert not last.committed
    assert last.n_heard - last.window_start <= live.PRE_ROLL_SECONDS * SAMPLING_RATE


def test_noise_and_a_tone_have_no_words() -> None:
    noise = np.random.default_rng(0).normal(0, 0.02, 20 * SAMPLING_RATE).astype(np.float32)
    tone = 0.2 * np.sin(2 * np.pi * 440 * np.arange(20 * SAMPLING_RATE) / SAMPLING_RATE).astype(np.float32)
    for sound in (noise, tone):
        *_, last = stream(sound)
        assert not last.committed


def test_words_in_no_sound_are_left_out() -> None:
    def word(text: str, start: float, end: float) -> Word:
        return Word(text, start, end, 1.0, (1,))

    real = [word(" for", 1.0, 1.2), word(" you.", 1.2, 1.6)]
    made_up = [word(" Thank", 1.6, 1.6), word(" you", 1.6, 1.6), word(" for", 1.6, 2.0)]
    assert live._supported([*real, *made_up]) == real
    assert live._supported([word(" a", 0.5, 0.5), *real]) == [word(" a", 0.5, 0.5), *real], "one short word is none made up"


def test_a_recording_is_understood_as_it_is_spoken() -> None:
    fox = load_audio(QUICK_BROWN_FOX)
    waveform = np.concatenate([fox, np.zeros(SAMPLING_RATE, np.float32), fox])
    *_, last = stream(waveform, language="en")
    assert word_error_rate(" ".join(["The quick brown fox jumps over the lazy dog."] * 2), last.committed) <= 0.1
    times = [time for word in last.words for time in (word.start, word.end)]
    assert times == sorted(times)
    assert times[-1] <= len(waveform) / SAMPLING_RATE


def test_the_language_is_detected_and_kept_and_may_be_translated() -> None:
    italian = np.concatenate([load_audio(CLIPS / "it" / "pangrama.wav")] * 2)
    *_, last = stream(italian)
    assert last.heard_language == "it"
    *_, translated = stream(italian, task="translate", language="it")
    assert translated.committed
    assert translated.committed != last.committed


def test_subtitles_are_what_players_read() -> None:
    words = [Word(" Hello,", 0.0, 0.4, 1.0, (1,)), Word(" <b>.", 0.5, 1.0, 1.0, (2,)), Word(" Later.", 3661.5, 3662.0, 1.0, (3,))]
    assert live.to_srt(words) == "1\n00:00:00,000 --> 00:00:01,000\nHello, <b>.\n\n2\n01:01:01,500 --> 01:01:02,000\nLater.\n"
    assert live.to_vtt(words).startswith("WEBVTT\n\n00:00:00.000 --> 00:00:01.000\nHello, &lt;b>.\n")
    assert re.findall(r"-->", live.to_vtt(words)) == ["-->"] * 2


@given(st.lists(st.tuples(st.floats(0, 2), st.floats(0.01, 1), st.text("ab. ", min_size=1, max_size=12)), max_size=60))
def test_cues_are_in_order_and_no_longer_than_a_screen(spans: list[tuple[float, float, str]]) -> None:
    words, now = [], 0.0
    for gap, length, text in spans:
        words.append(Word(" " + text, now + gap, now + gap + length, 1.0, (1,)))
        now += gap + length
    cues = live.cues(words)
    assert "".join("".join(text.split()) for *_, text in cues) == "".join("".join(word.text.split()) for word in words)
    assert all(len(text) <= live.CUE_CHARACTERS for *_, text in cues)
    assert [start for start, *_ in cues] == sorted(start for start, *_ in cues)
