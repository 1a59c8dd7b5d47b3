"""Live captions: what is committed stays, nothing said is lost, the window is bounded, silence has no words."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import captions as live
from audio import SAMPLING_RATE, load_audio
from checkpoints import Settings
from decoding import Decoded, Options, Segment, Task, Word
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
            words.append(Word(f" w{number}", float(at[0]), float(at[-1]), (int(number),)))
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
    assert fake.longest <= live.LONGEST_SECONDS * SAMPLING_RATE
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
        return Word(text, start, end, (1,))

    real = [word(" for", 1.0, 1.2), word(" you.", 1.2, 1.6)]
    made_up = [word(" Thank", 1.6, 1.6), word(" you", 1.6, 1.6), word(" for", 1.6, 2.0)]
    assert live._supported([*real, *made_up]) == real
    assert live._supported([*real, made_up[0]]) == real, "nor the last by itself"
    assert live._supported([*real, made_up[0], word(" you", 1.6, 1.69)]) == real, "two words take longer"
    assert len(live._supported([*real, made_up[0], word(" you", 1.6, 1.71)])) == 4
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


# --- what the decoder is told, and what becomes of its answer -----------------------------------------------------


def word(number: int, start: float = 0.0, end: float = 0.0, text: str = "") -> Word:
    return Word(text or f" w{number}", start, end, (number,))


def answer(patch: pytest.MonkeyPatch, *answers: Decoded) -> list[tuple[object, np.ndarray, Options, dict[str, object]]]:
    """A decoder that gives these answers in turn; what it was called with."""
    calls: list[tuple[object, np.ndarray, Options, dict[str, object]]] = []

    def decode(whisper: object, waveform: np.ndarray, options: Options, **changes: object) -> Decoded:
        calls.append((whisper, waveform, options, changes))
        return answers[len(calls) - 1]

    patch.setattr(live, "decode", decode)
    patch.setattr(live, "load_whisper", lambda name, settings: (name, settings))
    return calls


@pytest.mark.parametrize(("task", "checkpoint"), [("transcribe", "openai/whisper-base.en"), ("translate", "openai/whisper-base")])
def test_the_decoder_is_told_what_is_committed(monkeypatch: pytest.MonkeyPatch, task: Task, checkpoint: str) -> None:
    calls = answer(monkeypatch, Decoded("", words=(word(98), word(99), word(100, 1.0, 1.5))))
    before = live.Captions(
        task=task, language="it", words=tuple(word(number) for number in range(100)), n_words_in_window=2, window_start=SAMPLING_RATE
    )
    decoded = live._decode_window(before, np.zeros(10), Settings(), temperatures=(0.0,))
    [(whisper, waveform, options, changes)] = calls
    assert whisper == (checkpoint, Settings())
    assert len(waveform) == 10
    assert (options.task, options.language, options.word_times, options.prefix) == (task, "it", True, (98, 99))
    assert options.context == tuple(range(98 - live.CONTEXT_TOKENS, 98))
    assert changes == {"temperatures": (0.0,)}
    assert decoded.words == (word(100, 2.0, 2.5),), "times are since the recording began, and the prefix is not heard again"
    calls = answer(monkeypatch, Decoded(""))
    live._decode_window(live.Captions(words=(word(1), word(2))), np.zeros(10), Settings())
    assert calls[0][2].context == (1, 2), "all of it, where that is little"


def test_a_word_never_begins_before_the_last_committed_one_has_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    answer(monkeypatch, Decoded("", words=(word(1), word(2, 0.2, 0.4), word(3, 0.4, 0.9))))
    before = live.Captions(words=(word(1, 0.0, 0.6),), n_words_in_window=1)
    assert live._decode_window(before, np.zeros(10), Settings()).words == (word(2, 0.6, 0.6), word(3, 0.6, 0.9))
    answer(monkeypatch, Decoded("", words=(word(1, 0.2, 0.4),)))
    assert live._decode_window(live.Captions(), np.zeros(10), Settings()).words == (word(1, 0.2, 0.4),)


def test_what_is_not_heard_after_a_pause_is_decoded_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    committed = (word(1, 1.0, 1.5), word(2, 1.5, 2.0))
    calls = answer(monkeypatch, Decoded("", words=committed), Decoded("", words=(word(3, 0.5, 1.0),)))
    before = live.Captions(
        words=committed, n_words_in_window=2, hypothesis=(word(9),), window_start=SAMPLING_RATE, n_committed=3 * SAMPLING_RATE
    )
    after, decoded = live._decode(before, np.arange(4.0 * SAMPLING_RATE), Settings(), temperatures=(0.0,))
    assert [(len(waveform), waveform[0], options.prefix) for _, waveform, options, _ in calls] == [
        (4 * SAMPLING_RATE, 0.0, (1, 2)),
        (2 * SAMPLING_RATE, 2.0 * SAMPLING_RATE, ()),
    ]
    assert all(changes == {"temperatures": (0.0,)} for *_, changes in calls)
    assert (after.window_start, after.n_words_in_window, after.hypothesis) == (3 * SAMPLING_RATE, 0, ())
    assert decoded.words == (word(3, 3.5, 4.0),)


@pytest.mark.parametrize(
    ("n_in_window", "end", "start"),
    [(2, 2.0, 2.0), (2, 6.0, 5.0), (2, 0.5, 1.0), (0, 0.5, 1.0)],  # behind them, inside the window; where they lie before it, all of it
)
def test_words_that_lead_into_a_loop_are_not_told_again(
    monkeypatch: pytest.MonkeyPatch, n_in_window: int, end: float, start: float
) -> None:
    committed = (word(1, 0.2, 0.4), word(2, 0.4, end))
    loop = replace(heard(2, endless=True), words=committed[: n_in_window or 2])
    calls = answer(monkeypatch, loop, replace(heard(0), words=(word(3, 0.5, 1.0),)), loop, loop)
    before = live.Captions(words=committed, n_words_in_window=n_in_window, hypothesis=(word(9),), window_start=SAMPLING_RATE)
    waveform = np.arange(4.0 * SAMPLING_RATE)
    after, decoded = live._decode(before, waveform, Settings())
    assert [(len(heard), options.prefix, options.context) for _, heard, options, _ in calls] == [
        (4 * SAMPLING_RATE, (1, 2)[2 - n_in_window :], () if n_in_window else (1, 2)),
        (round((5 - start) * SAMPLING_RATE), (), ()),
    ]
    assert (after.window_start, after.n_words_in_window, after.n_untold, after.hypothesis) == (start * SAMPLING_RATE, 0, 2, ())
    assert [word.tokens for word in decoded.words] == [(3,)]
    live._decode(replace(after, language="en"), waveform, Settings())
    assert len(calls) == 3, "with nothing told there is nothing to leave out"


def test_the_word_that_led_into_a_loop_is_not_heard_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    committed = (word(1, 0.2, 0.4), word(2, 0.4, 1.0))
    answer(monkeypatch, heard(0, endless=True), Decoded("", words=(word(2, 0.0, 0.3), word(3, 0.3, 0.8))))
    after, decoded = live._decode(live.Captions(words=committed, n_words_in_window=2), np.zeros(4 * SAMPLING_RATE), Settings())
    assert decoded.words == (word(3, 1.3, 1.8),)
    assert after.window_start == round(1.3 * SAMPLING_RATE), "nor in the next window"


@pytest.mark.parametrize("n_committed", [0, SAMPLING_RATE])
def test_what_is_heard_at_once_is_decoded_once(monkeypatch: pytest.MonkeyPatch, n_committed: int) -> None:
    """Nor is there anything to try again where nothing is committed."""
    words = (word(1, 0.5, 1.0),) if n_committed else ()
    calls = answer(monkeypatch, Decoded("", words=words))
    live._decode(live.Captions(n_committed=n_committed), np.zeros(4 * SAMPLING_RATE), Settings())
    assert len(calls) == 1


@pytest.mark.parametrize(
    ("seconds", "words", "chosen", "kept"),
    [(3.9, 1, None, None), (4.0, 1, None, "it"), (9.0, 0, None, None), (9.0, 1, "fr", "fr")],
)
def test_a_language_is_kept_once_enough_of_it_was_heard(
    monkeypatch: pytest.MonkeyPatch, seconds: float, words: int, chosen: str | None, kept: str | None
) -> None:
    answer(monkeypatch, Decoded("", language="it", words=(word(1, 0.5, 1.0),) * words))
    before = live.Captions(language=chosen, n_speech=round(seconds * SAMPLING_RATE))
    after, _ = live._decode(before, np.zeros(SAMPLING_RATE), Settings())
    assert (after.heard_language, after.language) == ("it", kept)


@pytest.mark.parametrize(
    ("words", "before", "n_certain"),
    [
        ([word(1, 7.0, 7.9), word(2, 8.1, 8.9), word(3, 8.9, 9.3)], [], 1),  # 2 s are heard after the first
        ([word(1, 7.0, 7.9), word(2, 8.1, 8.9), word(3, 8.9, 9.3)], [word(1), word(2)], 2),  # two decodes agree on the second
        ([word(1, 7.0, 7.9), word(2, 8.1, 9.5), word(3, 9.5, 9.6)], [word(1), word(2)], 1),  # it may be cut
        ([word(1, 7.0, 7.5), word(2, 7.5, 8.0)], [], 1),  # more of the last may come
        ([word(1, 7.0, 8.0), word(2, 8.0, 8.1)], [], 1),  # exactly 2 s
        ([word(1, 7.0, 9.4), word(2, 9.4, 9.5)], [word(1)], 1),  # exactly at the guard
        ([word(1, 7.0, 8.1), word(2, 8.1, 8.9), word(3, 8.9, 9.0)], [word(4), word(2)], 0),  # one that is not certain holds up the next
        ([], [word(1)], 0),
    ],
)
def test_a_word_is_certain_once_two_decodes_agree_or_enough_is_heard_after_it(
    words: list[Word], before: list[Word], n_certain: int
) -> None:
    captions = live._commit_certain(live.Captions(hypothesis=tuple(before), n_heard=10 * SAMPLING_RATE), words)
    assert captions.words == tuple(words[:n_certain])
    assert captions.hypothesis == tuple(words[n_certain:])
    assert captions.n_words_in_window == n_certain


@pytest.mark.parametrize("n_committed", [0, 3])
def test_a_phrase_said_twice_waits_until_two_decodes_agree(n_committed: int) -> None:
    """Whisper in a loop gives it with times like any other; committed, it would be the prefix of ever more of the same."""
    said = [word(number % 5, index / 10, (index + 1) / 10) for index, number in enumerate(range(13))]
    before = live.Captions(words=tuple(said[:n_committed]), n_words_in_window=n_committed, n_heard=10 * SAMPLING_RATE)
    once = live._commit_certain(before, said[n_committed:])
    assert once.words == tuple(said[:9]), "the tenth ends the repetition"
    assert live._commit_certain(once, once.hypothesis).words == tuple(said[:12])


def cut_at(words: list[Word], n_heard: float = 13.0, **more: Any) -> live.Captions:
    return live._cut(live.Captions(words=tuple(words), n_words_in_window=len(words), n_heard=round(n_heard * SAMPLING_RATE), **more))


def test_a_window_is_cut_after_a_sentence_or_else_at_the_longest_gap_in_its_second_half() -> None:
    words = [word(number, number, number + 0.5) for number in range(10)]  # a second each; 9 s is the latest place to cut
    words[2], words[3] = word(2, 2.0, 2.1), word(3, 3.0, 3.1)  # the longest gaps, but in the first half
    words[7] = word(7, 7.0, 7.2)
    assert (cut_at(words).window_start, cut_at(words).n_words_in_window) == (8 * SAMPLING_RATE, 2)
    for mark in ".?!。？！":
        words[5] = word(5, 5.0, 5.5, f" w5{mark} ")
        assert (cut_at(words).window_start, cut_at(words).n_words_in_window) == (6 * SAMPLING_RATE, 4), mark
    assert cut_at(words, n_speech=10**9).n_speech == 7 * SAMPLING_RATE
    assert cut_at(words, n_speech=5).n_speech == 5


def test_the_first_word_of_a_window_is_no_place_to_cut_and_the_last_is_one() -> None:
    words = [word(0, 0.0, 0.5), word(1, 9.0, 9.5)]
    assert (cut_at(words).window_start, cut_at(words).n_words_in_window) == (9 * SAMPLING_RATE, 1)
    assert cut_at(words[:1]).window_start == 9 * SAMPLING_RATE, "only what came last is kept where there is none"
    assert cut_at(words[:1]).n_words_in_window == 0


def test_where_nothing_is_committed_for_a_window_what_was_understood_last_is_taken() -> None:
    words = (word(1, 1.0, 2.0), word(2, 8.0, 9.0), word(3, 9.25, 10.0))

    def cut(hypothesis: tuple[Word, ...], seconds_of_speech: float = 9.0) -> tuple[tuple[Word, ...], tuple[Word, ...], float, int]:
        n_speech = round(seconds_of_speech * SAMPLING_RATE)
        captions = cut_at([], hypothesis=hypothesis, n_speech=n_speech)
        return captions.words, captions.hypothesis, captions.window_start / SAMPLING_RATE, captions.n_words_in_window

    assert cut(words) == (words[:2], words[2:], 9.25, 0), "up to 4 s before its end; the next begins with what is left"
    assert cut(words[:2]) == (words[:2], (), 9.0, 0)
    assert cut(words[2:]) == ((), words[2:], 9.0, 0), "nothing is taken that is not over"
    assert cut(words, 0.2) == (words[:2], words[2:], 9.25, 0), "two words in a fifth of a second"
    assert cut(words, 0.1) == ((), words, 9.0, 0), "nobody speaks so fast"
    assert cut_at([], hypothesis=words[2:], window_start=round(9.5 * SAMPLING_RATE)).window_start == 9.5 * SAMPLING_RATE, (
        "it never goes back"
    )


def heard(n_words: int, *, repetitive: bool = False, logprob: float = -0.5, endless: bool = False) -> Decoded:
    segment = Segment(0.0, 1.0, "", (), logprob, repetitive, endless)
    return Decoded("", words=tuple(word(number) for number in range(n_words)), segments=(segment,))


@pytest.mark.parametrize(
    ("n_in_window", "n_new", "seconds", "is_committed"),
    [(0, 10, 1.0, True), (0, 11, 1.0, False), (4, 6, 1.0, True), (4, 7, 1.0, False), (0, 1, 0.05, True), (0, 2, 0.05, False)],
)
def test_more_words_than_anybody_could_have_said_are_let_go(n_in_window: int, n_new: int, seconds: float, is_committed: bool) -> None:
    before = live.Captions(
        words=(word(99),) * n_in_window,
        n_words_in_window=n_in_window,
        speech_end=SAMPLING_RATE,
        n_speech=round(seconds * SAMPLING_RATE),
    )
    after = live._commit_all(before, heard(n_new))
    assert len(after.words) == n_in_window + n_new * is_committed
    assert after.n_words_in_window == len(after.words)


@pytest.mark.parametrize(
    ("seconds", "decoded", "is_committed"),
    [
        (0.9, heard(1), True),
        (0.9, heard(1, logprob=-1.0), True),
        (0.9, heard(1, repetitive=True), False),
        (0.9, heard(1, logprob=-1.1), False),
        (1.0, heard(1, repetitive=True, logprob=-1.1), True),
    ],
)
def test_what_is_heard_in_little_sound_must_be_likely(seconds: float, decoded: Decoded, is_committed: bool) -> None:
    for begins in ("window_start", "n_committed"):  # whichever is later
        before = live.Captions(**{begins: 5 * SAMPLING_RATE}, speech_end=round((5 + seconds) * SAMPLING_RATE), n_speech=SAMPLING_RATE)
        assert len(live._commit_all(before, decoded).words) == is_committed
    late = live.Captions(speech_end=5 * SAMPLING_RATE, n_speech=round(seconds * SAMPLING_RATE))
    assert len(live._commit_all(late, decoded).words) == is_committed, "a drum near the end of a window that was quiet until then"


# --- one step -----------------------------------------------------------------------------------------------------


def seconds(*parts: tuple[float, float]) -> np.ndarray:
    """Samples of these values for so many seconds each."""
    return np.concatenate([np.full(round(length * SAMPLING_RATE), value, np.float32) for value, length in parts])


def test_the_last_second_is_kept_while_nobody_speaks(fake: SimpleNamespace) -> None:
    committed = round(1.0 * SAMPLING_RATE)
    before = live.Captions(
        words=(word(1), word(2)),
        n_words_in_window=2,
        hypothesis=(word(3),),
        n_speech=5,
        n_heard=committed,
        speech_end=committed,
        n_committed=committed,
    )
    for length, start in ((1.5, 0.0), (3.0, 0.0), (3.5, 2.5), (4.0, 3.0)):  # forgotten after more than two seconds
        after = live.update(before, seconds((0.0, length)), WHISPER_BASE)
        assert after.window_start == start * SAMPLING_RATE
        left = (0, (), 0) if start else (2, (word(3),), 5)
        assert (after.n_words_in_window, after.hypothesis, after.n_speech) == left
        assert live._step(before, seconds((0.0, length)), WHISPER_BASE).window_start == after.window_start
    ended = live.update(before, seconds((0.0, 1.5)), WHISPER_BASE, final=True)
    assert (ended.window_start, ended.n_words_in_window, ended.hypothesis, ended.n_speech) == (1.5 * SAMPLING_RATE, 0, (), 0)
    far = replace(before, window_start=committed)  # the last second begins before the window
    assert live.update(far, seconds((0.0, 2.5)), WHISPER_BASE).window_start == 2.5 * SAMPLING_RATE
    assert fake.n == 0


def test_as_much_as_one_step_takes_is_one_step(fake: SimpleNamespace) -> None:
    live.update(live.Captions(), words_of(*range(1, 33)), WHISPER_BASE)  # 16 s
    assert fake.n == 1


@pytest.mark.parametrize("start", [0, 3 * SAMPLING_RATE])
@pytest.mark.parametrize(("silence", "is_over"), [(0.59, False), (0.6, True)])
def test_a_pause_ends_an_utterance_a_little_after_its_last_sound(
    monkeypatch: pytest.MonkeyPatch, start: int, silence: float, is_over: bool
) -> None:
    use_fake(monkeypatch)
    calls = answer(monkeypatch, Decoded("", words=(word(1, 0.2, 0.9),)))
    before = live.Captions(window_start=start, n_heard=start, hypothesis=(word(9),))
    after = live._step(before, seconds((0.1, 1.024), (0.0, silence)), WHISPER_BASE)
    [(_, waveform, _, changes)] = calls
    assert after.speech_end == start + round(1.024 * SAMPLING_RATE)
    assert len(waveform) == round((1.324 if is_over else 1.024 + silence) * SAMPLING_RATE)
    assert changes == ({} if is_over else {"temperatures": (0.0,)}), "while somebody speaks nothing is tried twice"
    assert len(after.words) == is_over
    assert after.n_committed == (start + round(1.324 * SAMPLING_RATE) if is_over else 0)
    assert after.hypothesis == (() if is_over else (word(1, start / SAMPLING_RATE + 0.2, start / SAMPLING_RATE + 0.9),))


def test_the_end_leaves_an_empty_window(monkeypatch: pytest.MonkeyPatch) -> None:
    use_fake(monkeypatch)
    answer(monkeypatch, Decoded("", words=(word(1, 0.2, 0.9),)))
    after = live.update(live.Captions(), seconds((0.1, 1.024)), WHISPER_BASE, final=True)
    assert (after.committed, after.window_start, after.n_words_in_window, after.n_speech) == ("w1", round(1.024 * SAMPLING_RATE), 0, 0)


def test_what_is_unlikely_commits_nothing_while_somebody_speaks(monkeypatch: pytest.MonkeyPatch) -> None:
    use_fake(monkeypatch)
    words = (word(1, 0.2, 0.9), word(2, 0.9, 1.5))
    for decoded, n_committed in ((heard(0), 1), (heard(0, repetitive=True), 0), (heard(0, logprob=-1.1), 0), (heard(0, endless=True), 0)):
        answer(monkeypatch, replace(decoded, words=words))
        assert len(live.update(live.Captions(), seconds((0.1, 5.12)), WHISPER_BASE).words) == n_committed


@pytest.mark.parametrize(("length", "start"), [(12.0, 0.0), (12.032, 8.032)])
def test_a_window_is_cut_once_it_is_longer_than_it_may_be(monkeypatch: pytest.MonkeyPatch, length: float, start: float) -> None:
    use_fake(monkeypatch)
    answer(monkeypatch, Decoded("", words=(word(1, 9.0, length),)))
    assert live.update(live.Captions(), seconds((0.1, length)), WHISPER_BASE).window_start == round(start * SAMPLING_RATE)


@pytest.mark.usefixtures("fake")
def test_speech_is_counted_once_by_the_frames_that_end_in_what_is_new() -> None:
    waveform = np.zeros(4 * live.FRAME, np.float32)
    waveform[live.FRAME : 2 * live.FRAME] = 0.1
    for n_heard, n_speech in ((0, live.FRAME), (2 * live.FRAME - 1, live.FRAME), (2 * live.FRAME, 0)):
        after = live._listen(live.Captions(n_heard=n_heard), waveform)
        assert (after.n_speech, after.speech_end) == (n_speech, 2 * n_speech)
        assert after.n_heard == len(waveform)


# --- subtitles ----------------------------------------------------------------------------------------------------


def test_cues_end_where_they_are_full_or_somebody_pauses_or_ends_a_sentence() -> None:
    assert live.cues([word(1, 0.0, 1.0, " a" * 41), word(2, 1.0, 2.0, " bc")]) == [(0.0, 2.0, ("a " * 41 + "bc"))]
    assert len(live.cues([word(1, 0.0, 1.0, " a" * 41), word(2, 1.0, 2.0, " bcd")])) == 2, "84 characters are two full lines"
    assert len(live.cues([word(1, 0.0, 0.1, " a")] * 42)) == 1, "counted as they are read"
    assert len(live.cues([word(1, 1.0, 2.0), word(2, 2.0, 7.0)])) == 1
    assert len(live.cues([word(1, 1.0, 2.0), word(2, 2.0, 7.1)])) == 2, "six seconds"
    assert len(live.cues([word(1, 0.0, 1.0), word(2, 1.8, 3.0)])) == 1
    assert len(live.cues([word(1, 1.0, 2.0), word(2, 2.85, 3.0)])) == 2, "a pause"
    for mark in ".?!。？！":
        assert len(live.cues([word(1, 0.0, 1.0, f" a{mark}"), word(2, 1.0, 2.0)])) == 2, mark
    for title in (" Mr.", " 1."):
        assert [text for *_, text in live.cues([word(1, 0.0, 0.3, title), word(2, 0.3, 1.0, " Smith.")])] == [f"{title.strip()} Smith."]
    assert live.cues([word(1, 3.0, 3.0, " x")]) == [(3.0, 3.1, "x")], "a player shows nothing that takes no time"


@pytest.mark.parametrize(
    ("said", "seconds", "expected"),
    [
        ("one two three four five six seven eight", 0.9, ["one two three four", "five six seven eight"]),  # not seven and one
        ("one two, three four five six seven eight", 0.9, ["one two,", "three four five six seven eight"]),  # a comma
        ("one, two three four five six seven eight nine", 0.8, ["one, two three four five", "six seven eight nine"]),  # one too far off
        ("one two three-four five six", 1.2, ["one two three-four", "five six"]),  # not within a word
        ("one two three four five six seven eight nine", 1.8, ["one two three", "four five six", "seven eight nine"]),
    ],
)
def test_a_long_sentence_is_cut_evenly_or_behind_a_comma(said: str, seconds: float, expected: list[str]) -> None:
    texts = re.findall(r" [a-z,]+|-[a-z]+", f" {said}")
    words = [word(index, index * seconds, (index + 1) * seconds, text) for index, text in enumerate(texts)]
    assert [text for *_, text in live.cues(words)] == expected


def test_markup_in_subtitles_is_text() -> None:
    assert "\na &amp; &lt;b> c\n" in live.to_vtt([word(1, 0.0, 1.0, " a & <b> c")])
    assert "\na & <b> c\n" in live.to_srt([word(1, 0.0, 1.0, " a & <b> c")])


def test_subtitles_are_what_players_read() -> None:
    words = [Word(" Hello,", 0.0, 0.4, (1,)), Word(" <b>.", 0.5, 1.0, (2,)), Word(" Later.", 3661.5, 3662.0, (3,))]
    assert live.to_srt(words) == "1\n00:00:00,000 --> 00:00:01,000\nHello, <b>.\n\n2\n01:01:01,500 --> 01:01:02,000\nLater.\n"
    assert live.to_vtt(words).startswith("WEBVTT\n\n00:00:00.000 --> 00:00:01.000\nHello, &lt;b>.\n")
    assert re.findall(r"-->", live.to_vtt(words)) == ["-->"] * 2


@given(st.lists(st.tuples(st.floats(0, 2), st.floats(0.01, 1), st.text("ab. ", min_size=1, max_size=12)), max_size=60))
def test_cues_are_in_order_and_no_longer_than_a_screen(spans: list[tuple[float, float, str]]) -> None:
    words, now = [], 0.0
    for gap, length, text in spans:
        words.append(Word(" " + text, now + gap, now + gap + length, (1,)))
        now += gap + length
    cues = live.cues(words)
    assert "".join("".join(text.split()) for *_, text in cues) == "".join("".join(word.text.split()) for word in words)
    assert all(len(text) <= live.CUE_CHARACTERS for *_, text in cues)
    assert [start for start, *_ in cues] == sorted(start for start, *_ in cues)
