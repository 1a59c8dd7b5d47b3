"""The cascade, on the embedded whisper-base and the embedded voice."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import numpy as np
import pytest
import soundfile

import asr
import decoding
import stst
from audio import SAMPLING_RATE, NoSpeechError, load_audio
from checkpoints import Settings, load_whisper
from errors import CheckpointError, Stopped
from int8_graph import int8_is_faster
from kernels import int8_rows_are_faster
from stst import Timed, cut_sentences, words_of
from tests.measures import word_error_rate
from tests.sounds import BONJOUR, CLIPS, COUNTING, PARAGRAPH, chirp, spoken

ONE_TO_TEN = "1 2 3 4 5 6 7 8 9 10"


def test_french_and_italian_are_translated_into_english() -> None:
    text = f"{stst.translate(BONJOUR)} {stst.translate(COUNTING)}"
    assert word_error_rate(f"Hello world. {ONE_TO_TEN}", text) <= 0.1


def test_translation_computes_in_the_precise_form(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "free_threads", lambda: 1)  # beside another process one run might have one, and another two
    waveform = load_audio(BONJOUR)
    whisper = load_whisper(Settings().translation_checkpoint, Settings())
    how = {"task": "translate", "max_new_tokens": stst.MAX_NEW_TOKENS, "n_beams": stst.N_BEAMS, "padding_seconds": None}
    ours = next(stst.translate_windows(waveform, Settings())).segments[0].avg_logprob
    precise, fast = (decoding.decode(whisper, waveform, precise=precise, **how).segments[0].avg_logprob for precise in (True, False))
    assert ours == precise
    assert (ours != fast) == (int8_is_faster() or int8_rows_are_faster())


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


# --- while it is being made ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def long_recording() -> tuple[int, np.ndarray]:
    """Three of Whisper's windows: English, then ten numbers in Italian."""
    pause = np.zeros(SAMPLING_RATE, np.float32)
    return SAMPLING_RATE, np.concatenate([spoken(PARAGRAPH), pause, load_audio(COUNTING)])


@pytest.fixture(scope="module")
def cascades(long_recording: tuple[int, np.ndarray]) -> list[stst.Cascade]:
    return list(stst.stream(long_recording, with_transcript=True))


def test_the_first_sentence_is_spoken_before_the_second_window_is_heard(
    long_recording: tuple[int, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded: list[int] = []
    decode = decoding._decode_windows

    def listen(fast_whisper: object, waveform: np.ndarray, spans: list[tuple[int, int]], options: object) -> object:
        decoded.extend(start for start, _ in spans)
        return decode(fast_whisper, waveform, spans, options)  # type: ignore[arg-type]

    monkeypatch.setattr(decoding, "_decode_windows", listen)
    first = next(stst.stream(long_recording))
    assert decoded == [0]
    assert len(first.sentences) == 1
    assert first.sentences[0].speech.size > 0


@pytest.mark.slow
def test_the_text_is_the_same_as_of_the_whole_at_once(long_recording: tuple[int, np.ndarray], cascades: list[stst.Cascade]) -> None:
    whisper = load_whisper(Settings().translation_checkpoint, Settings())
    how = {"max_new_tokens": stst.MAX_NEW_TOKENS, "n_beams": stst.N_BEAMS, "padding_seconds": None, "precise": True}
    whole = decoding.decode(whisper, long_recording[1], task="translate", windows_at_once=1, **how)
    assert cascades[-1].text == whole.text == stst.translate(long_recording)


def test_sentences_come_one_by_one_in_the_order_of_their_times(cascades: list[stst.Cascade]) -> None:
    counts = [len(cascade.sentences) for cascade in cascades]
    assert all(after - before in (0, 1) for before, after in itertools.pairwise(counts))
    sentences = cascades[-1].sentences
    assert len(sentences) > 10
    assert all(re.search(r"[.?!]$", sentence.text) for sentence in sentences[:-1])
    times = [time for sentence in sentences for time in (sentence.start, sentence.end)]
    assert times == sorted(times)
    assert times[-1] <= cascades[-1].audio_seconds == cascades[-1].heard_seconds


def test_what_was_said_is_written_down_in_its_language(cascades: list[stst.Cascade]) -> None:
    assert word_error_rate(PARAGRAPH, "".join(said.text for said in cascades[-1].transcript)) <= 0.25, (
        "of the windows in English, which is most"
    )
    assert cascades[-1].language == "en"
    assert set(cascades[-1].seconds) == {"translating", "speaking", "transcribing"}
    assert cascades[-1].real_time_factor > 0


def test_the_pieces_of_speech_joined_are_the_speech_of_the_whole(cascades: list[stst.Cascade]) -> None:
    last = cascades[-1]
    assert last.speech.dtype == np.int16
    assert len(last.speech) == sum(len(sentence.speech) for sentence in last.sentences)
    for sentence in last.sentences[1:]:
        assert not sentence.speech[: round(stst.SENTENCE_PAUSE * last.sampling_rate)].any(), "a pause before each but the first"
    assert last.sentences[0].speech[: last.sampling_rate // 10].any()


def test_a_cascade_that_is_stopped_ends_at_the_next_step_and_keeps_what_is_done(long_recording: tuple[int, np.ndarray]) -> None:
    asked: list[int] = []
    done: list[stst.Cascade] = []

    def stopped() -> bool:
        asked.append(1)
        return len(done) > 1

    for cascade in stst.stream(long_recording, stopped=stopped):
        done.append(cascade)
        n_asked = len(asked)
    assert len(done) == 2
    assert len(done[-1].sentences) == 2
    assert len(asked) == n_asked + 1


def test_a_decode_is_stopped_in_its_middle() -> None:
    asked: list[int] = []
    whisper = load_whisper(Settings().translation_checkpoint, Settings())
    with pytest.raises(Stopped):
        decoding.decode(whisper, load_audio(COUNTING), stopped=lambda: bool(asked.append(1)) or len(asked) > 3)
    assert len(asked) == 4


def test_what_is_done_is_saved_as_files_that_others_read(cascades: list[stst.Cascade], tmp_path: Path) -> None:
    files = stst.save(cascades[-1], tmp_path, "talk")
    assert [file.name for file in files] == ["talk.wav"] + [
        f"talk.{kind}.{suffix}" for kind in ("translation", "transcript") for suffix in ("txt", "srt", "vtt")
    ]
    assert soundfile.info(files[0]).frames == len(cascades[-1].speech)
    assert " ".join(files[1].read_text(encoding="utf-8").split()) == cascades[-1].text
    cues = re.findall(r"(\d\d):(\d\d):(\d\d),(\d{3}) --> .*\n(.+)", files[2].read_text(encoding="utf-8"))
    assert " ".join(text for *_, text in cues) == cascades[-1].text
    starts = [int(cue[1]) * 60 + int(cue[2]) + int(cue[3]) / 1000 for cue in cues]
    assert starts == sorted(starts)
    assert files[3].read_text(encoding="utf-8").startswith("WEBVTT\n")


def test_a_translation_and_a_transcript_are_timed_by_the_voice() -> None:
    """Two clips with silence around them: what is said of each is told of its own time."""
    pause = np.zeros(4 * SAMPLING_RATE, np.float32)
    clips = [load_audio(COUNTING), load_audio(CLIPS / "it" / "pangrama.wav")]
    waveform = np.concatenate([pause, clips[0], pause, clips[1], pause])
    *_, cascade = stst.stream((SAMPLING_RATE, waveform), with_transcript=True)
    second = 8 + len(clips[0]) / SAMPLING_RATE
    for timed in (cascade.sentences, cascade.transcript):
        begins, ends = [each.start for each in timed], [each.end for each in timed]
        assert 3.5 < begins[0] < 5
        assert second - 0.5 < max(begins) < second + 1
        assert max(ends) < len(waveform) / SAMPLING_RATE - 3
        assert not any(begin < second - 0.5 and end > second - 3 for begin, end in zip(begins, ends, strict=True)), "none spans the pause"


def test_sentences_end_where_a_reader_would_end_them() -> None:
    segments = [
        Timed(" Dr. Smith came at 3.5 km. Then the U.S. team", 0.0, 4.0),
        Timed(" left, and", 4.0, 5.0),
        Timed(" so did she. He", 5.0, 6.0),
    ]
    sentences, begun = cut_sentences([], [words_of(segment) for segment in segments], is_last=False)
    assert [sentence.text for sentence in sentences] == ["Dr. Smith came at 3.5 km.", "Then the U.S. team left, and so did she."]
    assert sentences[0].end == sentences[1].start
    assert [word.text for word in begun] == [" He"]
    sentences, begun = cut_sentences(begun, [words_of(Timed(" said nothing", 6.0, 7.0))], is_last=True)
    assert (sentences, begun) == ([Timed("He said nothing", begun_at := sentences[0].start, 7.0)], [])
    assert 5.0 < begun_at < 6.0


def test_where_whisper_leaves_out_a_full_stop_the_next_segments_capital_tells() -> None:
    segments = [
        Timed(" Our lines are busy", 0.0, 2.0),
        Timed(" Please wait,", 2.0, 4.0),
        Timed(" Peter,", 4.0, 5.0),
        Timed(" I am", 5.0, 6.0),
    ]
    sentences, _ = cut_sentences([], [words_of(segment) for segment in segments], is_last=True)
    assert [sentence.text for sentence in sentences] == ["Our lines are busy", "Please wait, Peter, I am"]
    german = [words_of(Timed(text, 0.0, 1.0)) for text in (" Ich habe mit meinem", " Bruder gesprochen.")]
    sentences, _ = cut_sentences([], german, is_last=True, language="de")
    assert [sentence.text for sentence in sentences] == ["Ich habe mit meinem Bruder gesprochen."], "there every noun has a capital"


def test_a_text_without_an_end_is_cut_in_the_end() -> None:
    segments = [Timed(" and on it goes, and on", float(second), second + 1.0) for second in range(60)]
    sentences, _ = cut_sentences([], [words_of(segment) for segment in segments], is_last=True)
    assert all(len(sentence.text) <= stst.LONGEST_SENTENCE + 24 for sentence in sentences)
    assert " ".join(sentence.text for sentence in sentences) == "".join(segment.text for segment in segments).strip()


def test_words_share_a_segments_time_also_where_there_are_no_spaces() -> None:
    assert [word.text for word in words_of(Timed(" 今日は GPU の話", 0.0, 1.0))] == [" 今", "日", "は", " GPU", " の", "話"]
    words = words_of(Timed(" one two", 2.0, 4.0))
    assert words == [Timed(" one", 2.0, 3.0), Timed(" two", 3.0, 4.0)]
    assert words_of(Timed("", 0.0, 1.0)) == []
