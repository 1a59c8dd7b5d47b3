"""Text is spoken to its end or refused in a plain sentence.

SpeechT5's calls run for real, on a small checkpoint with random weights and the real limits. The embedded voice is itself.
"""

from __future__ import annotations

import itertools
import re
import typing
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import datasets
import numpy as np
import pytest
import torch
from huggingface_hub import constants
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from transformers import SpeechT5ForTextToSpeech

import asr
import checkpoints
import fast_speecht5
import tts
from checkpoints import Engine, Settings, load_speecht5
from errors import CheckpointError
from tests import small_checkpoints
from tests.measures import word_error_rate
from tts import (
    CLAUSE_PAUSE,
    LONGEST_BESIDE,
    LONGEST_PER_CHARACTER,
    MAX_PIECE,
    PARAGRAPH_PAUSE,
    QUIET,
    SENTENCE_PAUSE,
    Piece,
    TextError,
    default_voice,
    split_text,
    synthesise,
)

ROWS = 20  # of the small x-vector table
LONG_TEXT = "The quick brown fox jumps over the lazy dog. " * 15  # 675 characters
NOT_A_HUB = "http://127.0.0.1:9"  # nothing listens there: the connection is refused at once


@pytest.fixture(scope="module")
def speecht5(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings that name three local folders with the parts of a small SpeechT5."""
    folder = tmp_path_factory.mktemp("speecht5")
    return Settings(
        tts_checkpoint=str(small_checkpoints.save_speecht5(folder / "speecht5_tts")),
        vocoder_checkpoint=str(small_checkpoints.save_vocoder(folder / "speecht5_hifigan")),
        x_vectors=str(small_checkpoints.save_x_vectors(folder / "cmu-arctic-xvectors", ROWS)),
        x_vector_index=7,
    )


@pytest.fixture(autouse=True)
def out_of_the_hubs_reach(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.setattr(constants, "ENDPOINT", NOT_A_HUB)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "datasets")
    monkeypatch.setattr(datasets.config, "HF_UPDATE_DOWNLOAD_COUNTS", False)
    checkpoints.hub_reachable.cache_clear()
    yield
    checkpoints.hub_reachable.cache_clear()


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> list[torch.Tensor]:
    """The `input_ids` of every sentence that either engine speaks, and goes on to speak."""
    calls: list[torch.Tensor] = []
    generate_speech, fast_generate_speech = SpeechT5ForTextToSpeech.generate_speech, fast_speecht5.generate_speech

    def listen_fast(prepared: fast_speecht5.PreparedSpeechT5, sentences: list[torch.Tensor], *args: torch.Tensor) -> list[np.ndarray]:
        calls.extend(sentences)
        return fast_generate_speech(prepared, sentences, *args)

    monkeypatch.setattr(fast_speecht5, "generate_speech", listen_fast)

    def listen(self: SpeechT5ForTextToSpeech, input_ids: torch.Tensor, *args: object, **kwargs: object) -> torch.Tensor:
        calls.append(input_ids)
        return generate_speech(self, input_ids, *args, **kwargs)

    monkeypatch.setattr(SpeechT5ForTextToSpeech, "generate_speech", listen)
    return calls


# --- SpeechT5 -----------------------------------------------------------------------------------------------------


def test_speecht5_gives_what_gradio_plays(speecht5: Settings) -> None:
    sampling_rate, speech = synthesise("Hello there.", settings=speecht5)
    assert (sampling_rate, speech.dtype, speech.ndim) == (16_000, np.int16, 1)
    assert np.abs(speech.astype(int)).max() > 100


def test_speecht5_dies_past_its_600_positions(speecht5: Settings) -> None:
    """The limit that the next test is about is the model's own."""
    loaded = load_speecht5(speecht5)
    inputs = loaded.processor(text=LONG_TEXT, return_tensors="pt")
    with pytest.raises(RuntimeError, match="600"):
        loaded.model.generate_speech(inputs["input_ids"], loaded.x_vector, vocoder=loaded.vocoder)


def test_a_speaker_is_found_in_the_table_by_name(speecht5: Settings) -> None:
    rows = {speaker: [row for row in range(ROWS) if 7 * row // ROWS == index] for index, speaker in enumerate(checkpoints.SPEAKERS)}
    for speaker in checkpoints.SPEAKERS:
        x_vector = checkpoints.load_x_vector(speecht5, speaker)
        assert x_vector.shape == (1, 512)
        matching = [row for row in range(ROWS) if np.array_equal(x_vector[0], small_checkpoints.x_vector(row))]
        assert len(matching) == 1
        assert matching[0] in rows[speaker]
    # The course's row is the voice of the speaker to whom it belongs.
    assert torch.equal(checkpoints.load_x_vector(speecht5, "clb"), load_speecht5(speecht5).x_vector)


def test_a_speaker_is_its_most_usual_recording(speecht5: Settings) -> None:
    spoken = np.stack([small_checkpoints.x_vector(row) for row in range(ROWS) if 7 * row // ROWS == 1])
    usual = spoken[np.linalg.norm(spoken - spoken.mean(0), axis=1).argmin()]
    assert np.array_equal(checkpoints.load_x_vector(speecht5, "bdl")[0], usual)


def test_a_table_without_a_speaker_says_so(speecht5: Settings, tmp_path: Path) -> None:
    table = replace(speecht5, x_vectors=str(small_checkpoints.save_x_vectors(tmp_path, 1)), x_vector_index=0)
    assert checkpoints.load_x_vector(table, "awb").shape == (1, 512)
    with pytest.raises(CheckpointError, match=r"no recording of slt\. Choose another voice"):
        synthesise("Hello there.", "slt", table)


@pytest.mark.parametrize("engine", ["fast", "pipeline"])
def test_another_speaker_sounds_different_and_shares_the_model(speecht5: Settings, engine: Engine) -> None:
    chosen, spoken = replace(speecht5, engine=engine), []
    for voice in ("clb", "bdl"):
        torch.manual_seed(0)
        spoken.append(synthesise("Hello there.", voice, chosen)[1])  # type: ignore[arg-type]
    assert not np.array_equal(*spoken)
    assert len([key for key in checkpoints._loaded if isinstance(key, tuple) and key[0] == "speecht5" and chosen.x_vectors in key]) == 1


def test_every_speaker_is_a_voice() -> None:
    assert set(typing.get_args(tts.Voice)) == {"SpeechT5", "embedded", *checkpoints.SPEAKERS}


@pytest.mark.parametrize("engine", ["fast", "pipeline"])
def test_a_text_past_the_limit_is_spoken_to_its_end(speecht5: Settings, heard: list[torch.Tensor], engine: Engine) -> None:
    sampling_rate, speech = synthesise(LONG_TEXT, settings=replace(speecht5, engine=engine))
    assert sampling_rate == 16_000
    tokenizer = load_speecht5(speecht5).processor.tokenizer
    spoken = [tokenizer.decode(input_ids[0], skip_special_tokens=True).strip() for input_ids in heard]
    assert " ".join(spoken) == LONG_TEXT.strip()
    assert all(sentence.endswith(".") for sentence in spoken)
    assert len(speech) > (len(spoken) - 1) * SENTENCE_PAUSE * sampling_rate


@pytest.mark.parametrize("text", ["a" + "\ufdfa" * 299, "a" + "8 " * 149])
def test_characters_that_become_words_do_not_pass_the_limit(speecht5: Settings, heard: list[torch.Tensor], text: str) -> None:
    """A digit is up to five letters, U+FDFA a sentence."""
    assert len(text) <= MAX_PIECE
    synthesise(text, settings=speecht5)
    assert sum(input_ids.shape[1] for input_ids in heard) > 600
    assert all(input_ids.shape[1] <= 600 for input_ids in heard)


def test_the_speaker_is_the_row_that_was_asked_for(speecht5: Settings) -> None:
    vector = load_speecht5(speecht5).x_vector
    assert vector.shape == (1, 512)
    np.testing.assert_array_equal(vector[0].numpy(), small_checkpoints.x_vector(7))


@pytest.mark.parametrize("index", [-1, ROWS, 7306])
def test_a_speaker_outside_the_table_is_refused(speecht5: Settings, index: int) -> None:
    settings = Settings(
        tts_checkpoint=speecht5.tts_checkpoint,
        vocoder_checkpoint=speecht5.vocoder_checkpoint,
        x_vectors=speecht5.x_vectors,
        x_vector_index=index,
    )
    with pytest.raises(CheckpointError, match=f"table has {ROWS} .*{index} is not"):
        synthesise("Hello.", settings=settings)


# --- which voice --------------------------------------------------------------------------------------------------


def test_without_a_choice_the_voice_is_speecht5_where_it_can_be_had(speecht5: Settings) -> None:
    assert default_voice(speecht5) == "SpeechT5"
    assert synthesise("Hello.", None, speecht5)[0] == 16_000


def test_without_a_choice_the_embedded_voice_speaks_where_speecht5_cannot_be_had(speecht5: Settings) -> None:
    assert synthesise("Hello.", None, Settings())[0] == 24_000
    without_x_vectors = Settings(tts_checkpoint=speecht5.tts_checkpoint, vocoder_checkpoint=speecht5.vocoder_checkpoint)
    assert default_voice(without_x_vectors) == "embedded"


def test_a_chosen_voice_is_never_swapped(speecht5: Settings) -> None:
    assert synthesise("Hello.", "embedded", speecht5)[0] == 24_000
    with pytest.raises(CheckpointError, match=r"microsoft/speecht5_tts .*local folder"):
        synthesise("Hello.", "SpeechT5", Settings())


# --- the embedded voice -------------------------------------------------------------------------------------------


def test_the_embedded_voice_is_audible_and_does_not_clip() -> None:
    sampling_rate, speech = synthesise("Good morning! How are you today?", "embedded")
    assert (sampling_rate, speech.dtype, speech.ndim) == (24_000, np.int16, 1)
    assert 1 < len(speech) / sampling_rate < 6
    peak = np.abs(speech.astype(int)).max()
    assert 32767 * 0.1 < peak < 32767


def test_whisper_understands_the_embedded_voice() -> None:
    sentences = [
        "The weather is lovely today, and we are walking to the harbour.",
        "Please remember to bring your passport when you come to the station tomorrow morning.",
        "Many people believe that learning a new language opens the door to another culture.",
    ]
    settings = Settings(asr_checkpoint="openai/whisper-base")
    heard = asr.transcribe(synthesise(" ".join(sentences), "embedded"), "english", settings)
    assert word_error_rate(" ".join(sentences), heard) < 0.1, heard


def texts(pieces: list[Piece]) -> list[str]:
    return [piece.text for piece in pieces]


# --- texts --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("voice", ["embedded", "SpeechT5"])
@pytest.mark.parametrize("text", ["", "   \n", "...", "?! -- …", "«»"])
def test_nothing_to_say_is_told_plainly(speecht5: Settings, text: str, voice: str) -> None:
    with pytest.raises(TextError, match=r"^There is nothing to say yet\. Type some English text\.$"):
        synthesise(text, voice, speecht5)


def test_the_english_voice_refuses_chinese_plainly() -> None:
    with pytest.raises(TextError, match=r"speaks English only.*Type some English text\.$"):
        synthesise("你好，世界。", "embedded")


@pytest.mark.parametrize("voice", ["embedded", "SpeechT5"])
def test_a_text_too_long_is_refused_with_its_length_and_the_limit(speecht5: Settings, voice: str) -> None:
    with pytest.raises(TextError, match=r"has 5001 characters; at most 5000 .*Shorten it\.$"):
        synthesise("a" * 5001, voice, speecht5)


@given(text=st.text(st.sampled_from("ab .,;!?…\n\t\u2003'\")é—世"), max_size=400), limit=st.integers(1, 60))
@hypothesis_settings(max_examples=300, deadline=None)
def test_splitting_loses_no_letter_and_keeps_the_limit(text: str, limit: int) -> None:
    pieces = texts(split_text(text, limit))
    assert re.findall(r"\w", "".join(pieces)) == re.findall(r"\w", text)
    assert all(0 < len(piece) <= limit and piece == piece.strip() for piece in pieces)


@given(words=st.lists(st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=12), max_size=80), limit=st.integers(12, 60))
@hypothesis_settings(max_examples=200, deadline=None)
def test_splitting_never_cuts_a_word_that_fits(words: list[str], limit: int) -> None:
    assert [word for piece in split_text(" ".join(words), limit) for word in piece.text.split()] == words


@given(lengths=st.lists(st.integers(1, 40), min_size=1, max_size=30))
@hypothesis_settings(max_examples=200, deadline=None)
def test_splitting_ends_at_sentences_where_they_fit(lengths: list[int]) -> None:
    sentences = [("word, " * length)[:length].strip(" ,") + "." for length in lengths]
    pieces = texts(split_text(" ".join(sentences), 60))
    assert all(piece.endswith(".") for piece in pieces)
    assert all(len(piece) + 1 + len(following.split(". ")[0]) >= 60 for piece, following in itertools.pairwise(pieces))


def test_splitting_falls_back_to_clauses_then_words_then_characters() -> None:
    assert texts(split_text("One, two three four", 12)) == ["One,", "two three", "four"]
    assert texts(split_text("one two three", 8)) == ["one two", "three"]
    assert texts(split_text("abcdefghij", 4)) == ["abcd", "efgh", "ij"]
    assert split_text(" \n ") == []
    assert texts(split_text("One two. Three four.", 20)) == ["One two. Three four."], "as many as there may be"


def test_of_nothing_nothing_is_spoken() -> None:
    assert tts._first_sentence_first([]) == []
    sampling_rate, speech = tts.joined([])
    assert (sampling_rate, speech.dtype, len(speech)) == (16_000, np.int16, 0)


def test_splitting_does_not_take_an_initial_for_a_sentence() -> None:
    assert texts(split_text("Ask J. K. Rowling. She knows it.", 20)) == ["Ask J. K. Rowling.", "She knows it."]


def test_a_pause_is_the_longer_the_more_has_ended() -> None:
    pieces = split_text("One, two three. Four.\nFive.\n\nSix.", 10)
    assert [(piece.text, piece.pause) for piece in pieces] == [
        ("One,", CLAUSE_PAUSE),
        ("two three.", SENTENCE_PAUSE),
        ("Four.", SENTENCE_PAUSE),
        ("Five.", PARAGRAPH_PAUSE),
        ("Six.", SENTENCE_PAUSE),
    ]
    assert CLAUSE_PAUSE < SENTENCE_PAUSE < PARAGRAPH_PAUSE


def test_a_paragraph_is_heard_as_the_longest_pause() -> None:
    """The embedded voice, whose own silence around what it says does not add to the pause."""

    def longest_pause(text: str) -> float:
        sampling_rate, speech = synthesise(text, "embedded")
        loud = np.flatnonzero(np.abs(speech.astype(int)) > 32767 * QUIET)
        return float(np.diff(loud).max() / sampling_rate)

    assert longest_pause("Good morning.\n\nHow are you?") == pytest.approx(PARAGRAPH_PAUSE, abs=0.15)
    assert longest_pause("Good morning.\nHow are you?") == pytest.approx(SENTENCE_PAUSE, abs=0.15)


# --- written and spoken -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("engine", ["fast", "pipeline"])
def test_speecht5_is_given_words_in_its_own_characters(speecht5: Settings, heard: list[torch.Tensor], engine: Engine) -> None:
    synthesise("Dr. Müller paid $3.20 “in a café” (Прага) in 2026 🎉!", settings=replace(speecht5, engine=engine))
    tokenizer = load_speecht5(speecht5).processor.tokenizer
    assert tokenizer.unk_token_id not in torch.cat(heard, dim=1)
    (said,) = [tokenizer.decode(input_ids[0], skip_special_tokens=True) for input_ids in heard]
    expected = "Doctor Muller paid three dollars and twenty cents in a cafe, Praga, in twenty twenty-six, party popper!"
    assert " ".join(said.split()) == expected


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the embedded voice is given; it says a tenth of a second of noise to each."""
    given: list[str] = []

    def listen(text: str) -> np.ndarray:
        given.append(text)
        return np.ones(2400, np.float32)

    listen.sample_rate = 24_000  # type: ignore[attr-defined]
    monkeypatch.setattr(tts, "load_embedded_voice", lambda: listen)
    return given


def test_both_voices_are_given_the_same_words(said: list[str]) -> None:
    synthesise("It is 10:30.\n\nIt is 20 °C.", "embedded")
    assert said == ["It is ten thirty.", "It is twenty degrees Celsius."]


# --- piece by piece -----------------------------------------------------------------------------------------------


def test_a_stream_gives_the_first_sentence_before_the_next_is_spoken(said: list[str]) -> None:
    parts = []
    for part in tts.stream(f"Good morning. {LONG_TEXT}", "embedded"):
        parts.append(part)
        assert len(said) == len(parts)
    assert said[0] == "Good morning."
    assert " ".join(said) == f"Good morning. {LONG_TEXT.strip()}"
    assert [part.done for part in parts] == sorted(part.done for part in parts)
    assert parts[0].done < 0.1
    assert parts[-1].done == 1.0
    sampling_rate, speech = synthesise(f"Good morning. {LONG_TEXT}", "embedded")
    assert sampling_rate == 24_000
    assert np.array_equal(speech, np.concatenate([part.speech for part in parts]))
    assert len(parts[0].speech) == 2400, "nothing before the first"
    assert len(parts[1].speech) == 2400 + round(24_000 * SENTENCE_PAUSE)


def test_a_text_in_which_nobody_ends_a_sentence_is_one_piece(said: list[str]) -> None:
    assert len(list(tts.stream("no full stop, Dr. Jones", "embedded"))) == 1
    assert said == ["no full stop, Doctor Jones"]


def test_a_stream_that_is_stopped_ends(said: list[str], speecht5: Settings) -> None:
    parts: list[tts.Spoken] = []
    parts.extend(tts.stream(LONG_TEXT, "embedded", stopped=lambda: len(said) == 2))
    assert len(parts) == len(said) == 2
    assert list(tts.stream(LONG_TEXT, "SpeechT5", speecht5, stopped=lambda: True)) == []


def test_speecht5_speaks_the_first_piece_alone_and_then_several_at_once(speecht5: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    together: list[int] = []

    def generate_speech(_: object, sentences: list[torch.Tensor], *__: object) -> list[np.ndarray]:
        together.append(len(sentences))
        return [np.full(1600, 0.1, np.float32) for _ in sentences]

    monkeypatch.setattr(fast_speecht5, "generate_speech", generate_speech)
    sentences = [f"This is sentence number {number}, and it takes its time until it comes to a full stop. " * 4 for number in "abcdef"]
    assert len(list(tts.stream("".join(sentences), "SpeechT5", speecht5))) == sum(together)
    assert together[:2] == [1, tts.PIECES_AT_ONCE]


# --- speech without an end ----------------------------------------------------------------------------------------


def speak_in_turn(monkeypatch: pytest.MonkeyPatch, *seconds: float) -> list[float]:
    """SpeechT5 speaks for so many seconds, one call after another; the list keeps what is left."""
    left = list(seconds)

    def generate_speech(_: object, sentences: list[torch.Tensor], *__: object) -> list[np.ndarray]:
        return [np.full(round(left.pop(0) * 16_000), 0.1, np.float32) for _ in sentences]

    monkeypatch.setattr(fast_speecht5, "generate_speech", generate_speech)
    return left


def test_speech_as_long_as_its_text_is_kept(speecht5: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    left = speak_in_turn(monkeypatch, 1.0, 1.0)
    assert len(synthesise("Good morning.", settings=speecht5)[1]) == 16_000
    assert left == [1.0]


def test_speech_without_an_end_is_spoken_once_more(speecht5: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    left = speak_in_turn(monkeypatch, 60.0, 1.0, 1.0)
    assert len(synthesise("Good morning.", settings=speecht5)[1]) == 16_000
    assert left == [1.0]


def test_speech_without_an_end_twice_is_cut(speecht5: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    left = speak_in_turn(monkeypatch, 60.0, 60.0, 1.0)
    speech = synthesise("Good morning.", settings=speecht5)[1]
    assert len(speech) == round(16_000 * (LONGEST_BESIDE + LONGEST_PER_CHARACTER * len("Good morning.")))
    assert left == [1.0]
