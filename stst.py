"""Speech -> translation -> speech: the course's cascade, and the same cascade heard while it is being made.

Source: Hugging Face audio course, "Speech-to-speech translation"
(https://huggingface.co/learn/audio-course/chapter7/speech-to-speech): `translate`, `synthesise`,
`speech_to_speech_translation`.
Knows: the order of the stages, sentences and their times. Does not know: how each stage works, the page.

`stream` is the cascade. It translates one of Whisper's windows after another and speaks each sentence as soon as it is
whole; what it has come to is handed out each time as a `Cascade`, and the last one is the result.
"""

from __future__ import annotations

import io
import re
import sys
import time
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
import soundfile

from audio import SAMPLING_RATE, SUFFIXES, Audio, NoSpeechError, load_audio, to_pcm16, write_wav
from checkpoints import (
    Settings,
    Source,
    Whisper,
    find_mms_voices,
    import_frameworks,
    is_multilingual,
    language_code,
    language_name,
    load_mms_voice,
    load_text_translator,
    load_whisper,
    translates,
)
from errors import CheckpointError, Stopped
from sentences import ends_sentence
from text_translation import translate_text
from tts import SENTENCE_PAUSE, TextError, Voice, default_voice, synthesise

if TYPE_CHECKING:
    from decoding import Decoded

__all__ = ["Cascade", "Sentence", "save", "speech_to_speech_translation", "stream", "synthesise", "translate"]

MAX_NEW_TOKENS = 256  # the course's, for each 30 s that Whisper hears at a time
N_BEAMS = 5  # today's transformers takes five for the course's call, too
CAPITAL_NOUNS = ("de", "lb")  # where a capital begins no sentence
LONGEST_SENTENCE = 200  # characters; past them it ends where Whisper's segment does

Stage = Literal["translating", "speaking", "transcribing"]


class Timed(NamedTuple):
    """Text, with its leading space, and when it was said in the source: seconds."""

    text: str
    start: float
    end: float


@dataclass(frozen=True, eq=False)
class Sentence:
    """One sentence of the translation."""

    text: str
    start: float  # seconds, of the source
    end: float
    speech: np.ndarray  # int16, (n_samples,); with the pause before it, if it is not the first


@dataclass(frozen=True, eq=False)
class Cascade:
    """What the cascade has come to."""

    audio_seconds: float  # of the source
    heard_seconds: float = 0.0  # of it translated and spoken
    transcribed_seconds: float = 0.0  # of it written down
    language: str = ""  # Whisper's code of the one spoken; "" is not known
    sentences: tuple[Sentence, ...] = ()
    transcript: tuple[Timed, ...] = ()  # what was said, if it was asked for
    sampling_rate: int = 0  # Hz, of the speech; 0 before the first sentence
    seconds: Mapping[Stage, float] = field(default_factory=dict)  # spent in each stage

    @property
    def text(self) -> str:
        return " ".join(sentence.text for sentence in self.sentences)

    @property
    def speech(self) -> np.ndarray:
        """int16, (n_samples,): everything that was spoken, pauses included."""
        return np.concatenate([np.zeros(0, np.int16), *(sentence.speech for sentence in self.sentences)])

    @property
    def real_time_factor(self) -> float:
        return sum(self.seconds.values()) / max(self.heard_seconds, 0.01)


def translate(audio: Audio | None, settings: Settings = Settings()) -> str:
    """Speech in any of Whisper's languages -> English text, to its end however long it is.

    Args:
        audio: a path, or `(sampling_rate, pcm)`.

    Raises:
        AudioError: the audio cannot be used, or nobody speaks in it.
        CheckpointError: the weights cannot be had, or cannot translate.
    """
    import_frameworks()
    import decoding  # imports torch: seconds that an app which only starts up need not wait for

    waveform = load_audio(audio, settings.max_seconds)
    text = decoding.joined(translate_windows(waveform, settings)).text
    if not text:
        raise NoSpeechError
    return text


def speech_to_speech_translation(
    audio: Audio | None, voice: Voice | None = None, settings: Settings = Settings(), target: str = "english", *, shortcut: bool = False
) -> tuple[int, np.ndarray]:
    """Speech in any of Whisper's languages -> speech in the target: all that `stream` speaks, in one piece.

    Returns:
        (sampling_rate in Hz, int16 of shape (n_samples,)): 16 kHz from SpeechT5 and MMS-TTS, the embedded voice's own 24 kHz.

    Raises:
        AudioError, CheckpointError: as `translate` and `synthesise`.
    """
    *_, cascade = stream(audio, voice, settings, target, shortcut=shortcut)
    return cascade.sampling_rate, cascade.speech


def stream(
    audio: Audio | None,
    voice: Voice | None = None,
    settings: Settings = Settings(),
    target: str = "english",
    *,
    shortcut: bool = False,
    with_transcript: bool = False,
    stopped: Callable[[], bool] = lambda: False,
) -> Iterator[Cascade]:
    """The cascade, sentence by sentence.

    Args:
        audio: a path, or `(sampling_rate, pcm)`.
        voice: for English; other languages have one voice each.
        target: the language to speak, like "english" or "it". Into English Whisper translates by itself, as taught; for any
            other, it writes down what was said and text_translation.py translates that.
        shortcut: for any other, the course's trick instead: `task="transcribe"` with the target as the language spoken.
            Whisper was not trained for it, and often just writes down what it hears.
        with_transcript: also write down what was said. Whisper decodes everything once more for it, after the last sentence is
            spoken, so that nobody waits for speech because of it. By text, the transcript comes anyway.
        stopped: asked at every step of a decode and before every sentence; once it says so, the cascade ends.

    Yields:
        What it has come to, after each sentence and each window. The text of all is that of `translate`.

    Raises:
        AudioError, CheckpointError: as `translate` and `synthesise`.
    """
    import_frameworks()

    waveform = load_audio(audio, settings.max_seconds)
    into = language_code(target)
    by_text = into != "en" and not shortcut
    whisper = load_translator(settings, into)
    if into == "en":
        voice = voice or default_voice(settings)
    else:  # what cannot be had is told before anything is listened to
        load_mms_voice(into, settings)
    if by_text:
        load_text_translator(settings)
    cascade = Cascade(len(waveform) / SAMPLING_RATE)
    spent: dict[Stage, float] = {}

    @contextmanager
    def clock(stage: Stage) -> Iterator[None]:
        began = time.perf_counter()
        try:
            yield
        finally:
            spent[stage] = spent.get(stage, 0.0) + time.perf_counter() - began

    def check() -> None:
        if stopped():
            raise Stopped

    words: list[Timed] = []  # of a sentence that has not ended yet
    try:
        if into == "en":
            windows = _translated(whisper, waveform, settings, stopped)
        else:
            windows = _windows(whisper, waveform, settings, stopped, task="transcribe", language=into if shortcut else None)
        begin = 0.0
        while begin < cascade.audio_seconds:
            # 1. Translate a window, or write it down.
            with clock("transcribing" if by_text else "translating"):
                window = next(windows)
            # 2. Speak its sentences. The last one goes on in the next window, perhaps.
            is_last = window.end >= cascade.audio_seconds
            sentences, words = cut_sentences(words, _timed(window, begin), is_last, "en" if into == "en" else window.language)
            for said in sentences:
                check()
                sentence = said
                if by_text and window.language != into:
                    with clock("translating"):
                        sentence = said._replace(text=translate_text(said.text, window.language, into, settings, check))
                with clock("speaking"):
                    try:
                        sampling_rate, speech = synthesise(sentence.text, voice, settings, into, check)
                    except TextError:  # a musical note, or whatever else nobody says
                        continue
                if cascade.sentences:
                    speech = np.concatenate([np.zeros(round(SENTENCE_PAUSE * sampling_rate), np.int16), speech])
                cascade = replace(
                    cascade,
                    heard_seconds=sentence.end,
                    language="" if shortcut else window.language,
                    transcript=(*cascade.transcript, said._replace(text=f" {said.text}")) if by_text else (),
                    sentences=(*cascade.sentences, Sentence(*sentence, speech)),
                    sampling_rate=sampling_rate,
                    seconds=dict(spent),
                )
                yield cascade
            if is_last and not cascade.sentences:
                raise NoSpeechError
            begin = window.end
            cascade = replace(cascade, heard_seconds=begin, seconds=dict(spent))
            yield cascade
        # 3. Write down what was said.
        if by_text or not with_transcript:
            return
        transcribed, words = _windows(whisper, waveform, settings, stopped, task="transcribe", language=cascade.language or None), []
        while cascade.transcribed_seconds < cascade.audio_seconds:
            with clock("transcribing"):
                window = next(transcribed)
            is_last = window.end >= cascade.audio_seconds
            sentences, words = cut_sentences(words, _timed(window, cascade.transcribed_seconds), is_last, window.language)
            transcript = (*cascade.transcript, *(said._replace(text=f" {said.text}") for said in sentences))
            cascade = replace(cascade, transcript=transcript, transcribed_seconds=window.end, seconds=dict(spent))
            yield cascade
    except Stopped:
        return


def load_translator(settings: Settings, into: str = "en") -> Whisper:
    """The checkpoint that translates, or writes down other languages.

    Raises:
        CheckpointError: the weights cannot be had, or cannot do that.
    """
    whisper = load_whisper(settings.translation_checkpoint, settings)
    check_translates(whisper.source, into)
    return whisper


def check_translates(source: Source, into: str = "en") -> None:
    """Raises a `CheckpointError` that names checkpoints that would do, if this one does not translate into a language."""
    if not is_multilingual(source):
        raise CheckpointError(f"{source.found} knows English only. Translate with a multilingual one, like openai/whisper-base.")
    if into == "en" and not translates(source):
        raise CheckpointError(
            f"{source.found} was trained to transcribe only. Translate with one that can, like openai/whisper-base or whisper-large-v3."
        )


def translate_windows(waveform: np.ndarray, settings: Settings, *, stopped: Callable[[], bool] = lambda: False) -> Iterator[Decoded]:
    """`translate`, window by window. `stopped` is asked at every step of a decode; once it says so, `Stopped` is raised."""
    yield from _translated(load_translator(settings), waveform, settings, stopped)


def _translated(whisper: Whisper, waveform: np.ndarray, settings: Settings, stopped: Callable[[], bool]) -> Iterator[Decoded]:
    # Heard with all of Whisper's 30 s, as by the course, it translates better by two points of chrF: a quarter more computing in
    # bfloat16, more in float32.
    how: dict[str, Any] = {"max_new_tokens": MAX_NEW_TOKENS, "n_beams": N_BEAMS, "padding_seconds": None, "precise": True}
    return _windows(whisper, waveform, settings, stopped, task="translate", **how)


def _windows(whisper: Whisper, waveform: np.ndarray, settings: Settings, stopped: Callable[[], bool], **options: Any) -> Iterator[Decoded]:
    """One window at a time, so that the first has not to wait for others."""
    import decoding

    how: dict[str, Any] = {"windows_at_once": 1, "word_times": True, "stopped": stopped, "engine": settings.engine}
    return decoding.decode_windows(whisper, waveform, **how, **options)


def targets(settings: Settings) -> list[str]:
    """Whisper's codes of the languages that can be spoken: English, and those whose voice is on this disk or to be had."""
    return ["en", *sorted(find_mms_voices(settings), key=language_name)]


# --- sentences ----------------------------------------------------------------------------------------------------


def _timed(window: Decoded, start: float) -> list[list[Timed]]:
    """The words of each of a window's segments, as alignment has them; engine "pipeline" aligns none."""
    segments = [Timed(segment.text, segment.start, segment.end) for segment in window.segments]
    if not segments and window.text:
        segments = [Timed(f" {window.text}", start, window.end)]
    if not window.words:
        return [words_of(segment) for segment in segments]
    words, ends = [Timed(word.text, word.start, word.end) for word in window.words], np.cumsum([len(part.text) for part in segments])
    grouped: list[list[Timed]] = [[] for _ in segments]
    for word, end in zip(words, np.cumsum([len(word.text) for word in words]), strict=True):
        grouped[min(int(np.searchsorted(ends, end)), len(segments) - 1)].append(word)
    return [part for part in grouped if part]


def _joined(words: Sequence[Timed]) -> Timed:
    return Timed("".join(word.text for word in words), words[0].start, words[-1].end)


def words_of(part: Timed) -> list[Timed]:
    """Its words, each with a share of its time by length; of Chinese and Japanese the characters, as they have no spaces."""
    words = re.findall(r"\s*(?:[\u3040-\u9fff\uff01-\uff60]|[^\s\u3040-\u9fff\uff01-\uff60]+)", part.text)
    n_before = np.cumsum([0, *map(len, words)])
    times = part.start + (part.end - part.start) * n_before / max(1, n_before[-1])
    return [Timed(word, float(start), float(end)) for word, start, end in zip(words, times, times[1:], strict=False)]


def cut_sentences(
    begun: Sequence[Timed], parts: Sequence[Sequence[Timed]], is_last: bool, language: str = "en"
) -> tuple[list[Timed], list[Timed]]:
    """Whisper's segments, which end anywhere, as sentences.

    Args:
        begun: words of a sentence that has not ended yet, from the last call.
        parts: the words of the segments that follow.
        is_last: nothing follows: every sentence ends.
        language: that they are in.

    Returns:
        (sentences without their leading space, words of one that has not ended yet).
    """
    sentences, words = [], list(begun)

    def end() -> None:
        if words:
            sentence = _joined(words)
            sentences.append(sentence._replace(text=sentence.text.strip()))
            words.clear()

    for part in parts:
        # Whisper often leaves the full stop out where a segment ends; the next one's capital tells. "I" is always one.
        is_capital = language not in CAPITAL_NOUNS and re.match(r"\s*(?!I\b)[A-Z0-9]", part[0].text)
        if is_capital and words and not words[-1].text.endswith((",", ";", ":")):
            end()
        for word in part:
            words.append(word)
            if ends_sentence(word.text):
                end()
        if sum(len(word.text) for word in words) > LONGEST_SENTENCE:
            end()
    if is_last:
        end()
    return sentences, words


# --- files --------------------------------------------------------------------------------------------------------


def save(cascade: Cascade, folder: Path, name: str) -> list[Path]:
    """Writes speech, text and subtitles into a folder: NAME.wav, NAME.translation.txt, .srt and .vtt, the same as .transcript.*

    Returns:
        The files that were written.
    """
    from captions import to_srt, to_vtt  # imports torch

    files = []
    if cascade.sentences:
        files.append(folder / f"{name}.wav")
        write_wav(files[0], cascade.sampling_rate, cascade.speech)
    translation = [Timed(f" {sentence.text}", sentence.start, sentence.end) for sentence in cascade.sentences]
    for kind, parts in (("translation", translation), ("transcript", cascade.transcript)):
        words = [word for part in parts for word in words_of(part)]
        text = "".join(f"{part.text.strip()}\n" for part in parts)
        for suffix, content in (("txt", text), ("srt", to_srt(words)), ("vtt", to_vtt(words))):
            if parts:
                files.append(folder / f"{name}.{kind}.{suffix}")
                files[-1].write_text(content, encoding="utf-8")
    return files


def first_example() -> tuple[int, np.ndarray]:
    """The course's first example: VoxPopuli, Italian, validation, first sample, streamed.

    Returns:
        (sampling_rate in Hz, int16 of shape (n_samples,)).

    Raises:
        CheckpointError: it cannot be had from the Hub.
    """
    from datasets import Audio as AudioFeature
    from datasets import load_dataset

    try:
        # facebook/voxpopuli is a loading script, which datasets no longer runs; the Hub keeps a Parquet copy of it.
        dataset = load_dataset(
            "facebook/voxpopuli",
            revision="refs/convert/parquet",
            data_files={"validation": "it/validation/0000.parquet"},
            split="validation",
            streaming=True,
        )
        sample = next(iter(dataset.cast_column("audio", AudioFeature(decode=False))))  # decode=True would want torchcodec
    except Exception as error:  # datasets has one of its own for each of many reasons
        raise CheckpointError(
            f"The first example could not be had from the Hugging Face Hub ({type(error).__name__}). Take another, or a file of your own."
        ) from error
    samples, sampling_rate = soundfile.read(io.BytesIO(sample["audio"]["bytes"]), dtype="float32")
    return sampling_rate, to_pcm16(samples)


def main(arguments: Sequence[str] | None = None) -> int:
    """`python stst.py FILE... --out DIR`: the files of `save` for each."""
    import commandline

    parser = commandline.new_tool("Speech -> speech in another language, text and subtitles.", "sound or video files, or folders of them")
    parser.add_argument("--voice", choices=typing.get_args(Voice), help="SpeechT5 where it can be had, if not given")
    parser.add_argument("--into", default="english", metavar="LANGUAGE", help="the language to speak; any but English by text translation")
    parser.add_argument(
        "--shortcut", action="store_true", help="into any but English by the course's trick: Whisper transcribes as if it were spoken"
    )
    parser.add_argument("--transcript", action="store_true", help="also write down what was said; takes about twice as long")
    options = parser.parse_args(arguments)
    settings = commandline.settings_of(options)

    def work(file: str, folder: Path, name: str, progress: commandline.Progress) -> list[Path]:
        how = {"shortcut": options.shortcut, "with_transcript": options.transcript}
        for cascade in stream(file, options.voice, settings, options.into, **how):
            done = cascade.heard_seconds + cascade.transcribed_seconds
            progress(done / cascade.audio_seconds / (2 if options.transcript else 1))
        return save(cascade, folder, name)

    return commandline.run(options.inputs, options.out, SUFFIXES, work)


if __name__ == "__main__":
    sys.exit(main())
