"""The three ways to recognise speech, on the embedded whisper-base."""

from __future__ import annotations

import time
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

import asr
import decoding
from audio import SAMPLING_RATE, AudioError, NoSpeechError, Recording, load_audio, to_pcm16
from checkpoints import Settings, load_whisper
from errors import RefusalError
from tests.measures import word_error_rate
from tests.sounds import BONJOUR, CLIPS, PARAGRAPH, QUICK_BROWN_FOX, at_rate, chirp, spoken, text_of

SETTINGS = Settings(asr_checkpoint="openai/whisper-base")


def chunks(waveform: np.ndarray, seconds: float, sampling_rate: int = 48_000) -> list[tuple[int, np.ndarray]]:
    """The waveform as a microphone would send it."""
    pcm = to_pcm16(at_rate(waveform, sampling_rate))
    size = round(seconds * sampling_rate)
    return [(sampling_rate, pcm[start : start + size]) for start in range(0, len(pcm), size)]


@pytest.fixture(scope="module")
def fox() -> np.ndarray:
    return load_audio(QUICK_BROWN_FOX)


@pytest.mark.parametrize("clip", [QUICK_BROWN_FOX, CLIPS / "it" / "pangrama.wav", BONJOUR], ids=["english", "italian", "french"])
def test_a_known_sentence_is_recognised_with_its_language_detected(clip) -> None:
    assert word_error_rate(text_of(clip), asr.transcribe(clip, settings=SETTINGS)) <= 0.35


def test_english_is_recognised_word_for_word() -> None:
    assert word_error_rate(text_of(QUICK_BROWN_FOX), asr.transcribe(QUICK_BROWN_FOX, "english", SETTINGS)) == 0


def test_audio_alone_is_enough_as_path_or_as_rate_and_array(fox: np.ndarray) -> None:
    stereo = np.repeat(to_pcm16(at_rate(fox, 44_100))[:, None], 2, axis=1)
    assert word_error_rate(asr.transcribe(str(QUICK_BROWN_FOX)), asr.transcribe((44_100, stereo))) == 0


def test_audio_longer_than_thirty_seconds_is_transcribed_to_its_end() -> None:
    waveform = spoken(PARAGRAPH)
    assert len(waveform) > 35 * SAMPLING_RATE
    text = asr.transcribe((SAMPLING_RATE, waveform), "english", SETTINGS)
    assert word_error_rate(PARAGRAPH, text) <= 0.05


NOT_SPEECH = {
    "white noise": lambda n: np.random.default_rng(1).normal(0, 0.05, n),
    "hum": lambda n: 0.3 * np.sin(2 * np.pi * 50 * np.arange(n) / SAMPLING_RATE),
    "chord": lambda n: sum(0.1 * np.sin(2 * np.pi * f * np.arange(n) / SAMPLING_RATE) for f in (262, 330, 392)),
    "clicks": lambda n: (np.arange(n) % 8000 == 0) * 0.9,
}


@pytest.mark.parametrize("sound", NOT_SPEECH)
def test_what_is_not_speech_never_becomes_words(sound: str) -> None:
    waveform = NOT_SPEECH[sound](10 * SAMPLING_RATE).astype(np.float32)
    with pytest.raises(NoSpeechError, match="No speech"):
        asr.transcribe((SAMPLING_RATE, waveform), settings=SETTINGS)


def test_silence_is_told_apart_from_nobody_speaking() -> None:
    with pytest.raises(AudioError, match="There is only silence"):
        asr.transcribe((SAMPLING_RATE, np.zeros(SAMPLING_RATE, np.int16)), settings=SETTINGS)


def test_no_clip_costs_more_tokens_than_its_length_can_hold() -> None:
    whisper = load_whisper("openai/whisper-base", SETTINGS)
    generated: list[int] = []
    generate = whisper.model.generate

    def counting(*args, **kwargs):
        generated.append(kwargs["max_new_tokens"])
        return generate(*args, **kwargs)

    whisper.model.generate = counting
    try:
        asr.transcribe(QUICK_BROWN_FOX, settings=replace(SETTINGS, engine="pipeline"))
    finally:
        whisper.model.generate = generate
    seconds = len(load_audio(QUICK_BROWN_FOX)) / SAMPLING_RATE
    assert generated == [decoding.MIN_TOKENS + round(decoding.TOKENS_PER_SECOND * seconds)]


def test_a_language_that_the_checkpoint_was_not_taught_is_refused_in_a_sentence() -> None:
    with pytest.raises(RefusalError, match="does not know cantonese"):
        asr.transcribe(QUICK_BROWN_FOX, "cantonese", SETTINGS)


def test_the_accumulated_stream_ends_with_the_text_of_the_whole(fox: np.ndarray) -> None:
    stream, costs = None, [0.0]
    for chunk in chunks(fox, 1.0):
        stream, text = asr.transcribe_accumulated(chunk, stream, "english", SETTINGS)
        costs.append(stream.seconds_decoded)
    assert word_error_rate(text_of(QUICK_BROWN_FOX), text) <= 0.12
    steps = [after - before for before, after in pairwise(costs)]
    assert steps == sorted(steps), "every step decodes more than the one before"
    assert costs[-1] > 2 * len(fox) / SAMPLING_RATE


def test_the_chunk_only_stream_decodes_every_second_once_and_appends(fox: np.ndarray) -> None:
    stream, lists = None, [()]
    for chunk in chunks(np.concatenate([fox, fox]), len(fox) / SAMPLING_RATE):
        stream, _ = asr.transcribe_chunk(chunk, stream, "english", SETTINGS)
        lists.append(stream.texts)
    assert all(after[: len(before)] == before for before, after in pairwise(lists)), "what is in the list stays as it is"
    assert stream.n_decoded == pytest.approx(2 * len(fox), abs=SAMPLING_RATE * asr.MIN_SECONDS)
    assert word_error_rate(" ".join([text_of(QUICK_BROWN_FOX)] * 2), stream.text) <= 0.15


@pytest.mark.parametrize("step", [asr.transcribe_accumulated, asr.transcribe_chunk])
def test_a_chunk_without_speech_adds_no_words(step) -> None:
    stream, text = step((SAMPLING_RATE, np.zeros(SAMPLING_RATE, np.int16)), None, "english", SETTINGS)
    stream, text = step((SAMPLING_RATE, to_pcm16(chirp(2, SAMPLING_RATE))), stream, "english", SETTINGS)
    assert text == ""


@pytest.mark.parametrize("step", [asr.transcribe_accumulated, asr.transcribe_chunk])
def test_two_streams_share_nothing(step, fox: np.ndarray) -> None:
    mine, _ = step((SAMPLING_RATE, fox), None, "english", SETTINGS)
    yours, text = step((SAMPLING_RATE, np.zeros(SAMPLING_RATE, np.int16)), None, "english", SETTINGS)
    assert text == ""
    assert len(mine.recording) != len(yours.recording)


class SlowWhisper:
    """Stands where the model is; answers after a while, by how many samples it hears."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
        self.heard: list[int] = []
        self.seconds = seconds
        monkeypatch.setattr(asr, "decode", self)

    def __call__(self, waveform: np.ndarray, *_: object) -> str:
        self.heard.append(len(waveform))
        time.sleep(self.seconds)
        return f"{len(waveform)} samples"


def test_hearing_goes_on_while_a_slow_decode_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """The author's question, whether `transcribe` can be asynchronous: a thread decodes, another hears."""
    import threading

    model = SlowWhisper(monkeypatch, 0.3)
    stream = asr.ChunkOnly(Recording())
    asr.hear(stream.recording, (SAMPLING_RATE, np.zeros(SAMPLING_RATE, np.int16)))
    results = []
    decoding_thread = threading.Thread(target=lambda: results.append(asr.decode_chunk(stream, None, SETTINGS)))
    decoding_thread.start()
    while not model.heard:
        time.sleep(0.01)
    for _ in range(5):
        asr.hear(stream.recording, (SAMPLING_RATE, np.zeros(8000, np.int16)))
    assert decoding_thread.is_alive(), "hearing waited for the decode"
    decoding_thread.join()
    after = asr.decode_chunk(results[0], None, SETTINGS)
    assert model.heard == [SAMPLING_RATE, 5 * 8000], "every sample is decoded, and only once"
    assert after.n_decoded == len(stream.recording)


def test_nothing_new_is_not_decoded_again(monkeypatch: pytest.MonkeyPatch) -> None:
    model = SlowWhisper(monkeypatch, 0)
    stream, _ = asr.transcribe_accumulated((SAMPLING_RATE, np.zeros(SAMPLING_RATE, np.int16)), settings=SETTINGS)
    assert asr.decode_accumulated(stream, None, SETTINGS) is stream
    assert model.heard == [SAMPLING_RATE]
