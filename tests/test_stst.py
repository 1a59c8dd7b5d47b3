"""The cascade, on the embedded whisper-base and the embedded voice."""

from __future__ import annotations

import numpy as np
import pytest

import asr
import stst
from audio import SAMPLING_RATE, NoSpeechError, load_audio
from checkpoints import CheckpointError, Settings
from tests.measures import word_error_rate
from tests.sounds import BONJOUR, COUNTING, PARAGRAPH, chirp, spoken

ONE_TO_TEN = "1 2 3 4 5 6 7 8 9 10"


def test_french_and_italian_are_translated_into_english() -> None:
    text = f"{stst.translate(BONJOUR)} {stst.translate(COUNTING)}"
    assert word_error_rate(f"Hello world. {ONE_TO_TEN}", text) <= 0.1


def test_audio_longer_than_thirty_seconds_is_translated_to_its_end() -> None:
    pause = np.zeros(SAMPLING_RATE, np.float32)
    text = stst.translate((SAMPLING_RATE, np.concatenate([spoken(PARAGRAPH), pause, load_audio(COUNTING)])))
    assert word_error_rate(f"{PARAGRAPH} {ONE_TO_TEN}", text) <= 0.1, "what is English already stays as it is"
    assert "10" in text.split()[-1]


def test_speech_becomes_english_speech() -> None:
    sampling_rate, speech = stst.speech_to_speech_translation(BONJOUR)
    assert (sampling_rate, speech.dtype, speech.ndim) == (24_000, np.int16, 1)
    assert word_error_rate(stst.translate(BONJOUR), asr.transcribe((sampling_rate, speech), "english")) == 0


def test_no_speech_is_not_translated() -> None:
    with pytest.raises(NoSpeechError):
        stst.translate((SAMPLING_RATE, chirp(3, SAMPLING_RATE)))


def test_an_english_only_checkpoint_is_refused_with_one_that_works(small_english_whisper: str) -> None:
    with pytest.raises(CheckpointError, match=r"English only.*openai/whisper-base"):
        stst.translate(BONJOUR, Settings(translation_checkpoint=small_english_whisper))
