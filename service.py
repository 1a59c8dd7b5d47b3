"""What a visitor can have done: a whole file transcribed, translated or spoken, a stream decoded. Each within the limits of this machine.

Knows: who asks (visitors.py), what has to be loaded first, how long a run may take, and which files become whose.
Does not know: the page, Gradio, or how anything is decoded or spoken; that is in asr.py, captions.py, stst.py and tts.py.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

import asr
import checkpoints
import stst
import tts
from audio import SAMPLING_RATE, NoSpeechError, Recording, load_audio, write_wav
from checkpoints import Report, Settings, language_name
from errors import RefusalError, Stopped
from streams import Captioned, StreamingMode, decode_captions
from visitors import LimitError, Sent, Visitor, Visitors, delete_upload

if TYPE_CHECKING:
    from decoding import Decoded, Word


class Request(Protocol):
    """Gradio's."""

    session_hash: str | None


@dataclass
class Run:
    """One run of a model."""

    deadline: float  # on the monotonic clock
    seconds: float  # of sound that it works on, or makes
    cancelled: Callable[[], bool]

    def is_late(self) -> bool:
        return time.monotonic() > self.deadline

    def is_over(self) -> bool:
        return self.cancelled() or self.is_late()


def never() -> bool:
    return False


class Service:
    """All of it, for one app."""

    def __init__(self, settings: Settings, cache: Path) -> None:
        self.settings = settings
        self.cache = cache  # where the page's files come and go
        self.visitors = Visitors(settings.max_visitors)

    # What is somebody's.

    def visitor(self, request: Request | None, to_begin: bool = False) -> Visitor:
        """Whose call it is, as `Visitors.of`; an MCP tool's comes without a request."""
        return self.visitors.of(request.session_hash if request else None, to_begin)

    def own(self, path: str | None, visitor: Visitor) -> None:
        """What somebody has uploaded is deleted when they are gone; what else there is on this machine never."""
        if path is not None and Path(path).is_relative_to(self.cache):
            visitor.own(Path(path))

    def sound_file(self, name: str, sound: tuple[int, Any], visitor: Visitor) -> str:
        """A sound that was made for somebody: (Hz, int16 of shape (n_samples,)).

        Raises:
            OSError: the disk is full.
        """
        path = visitor.new_folder(self.cache) / f"{name}.wav"
        write_wav(path, *sound)
        return str(path)

    def subtitles(self, name: str, words: Sequence[Word], visitor: Visitor) -> list[Path | None]:
        """SRT and WebVTT; None where the disk is full."""
        import captions

        written = {"srt": captions.to_srt(words), "vtt": captions.to_vtt(words)}
        return [visitor.write(self.cache, f"{name}.{suffix}", text) for suffix, text in written.items()]

    # Runs.

    @contextmanager
    def run(self, role: str, visitor: Visitor, seconds: float = 0.0, cancelled: Callable[[], bool] = never) -> Iterator[Run]:
        """A run of a model, for as long as one may take; how fast it was is kept for the visitor's status line. One that is cancelled just
        ends, and so does one of a visitor who is gone.

        Raises:
            LimitError: it was ended because it took too long.
        """
        began = time.perf_counter()
        run = Run(time.monotonic() + 60 * self.settings.max_run_minutes, seconds, lambda: cancelled() or visitor.is_gone)
        try:
            yield run
        except Stopped as error:
            if cancelled():
                return
            raise RefusalError("The page was closed.") if visitor.is_gone else self.too_long() from error
        if run.seconds > 0:
            visitor.factors[role] = (time.perf_counter() - began) / run.seconds

    def too_long(self) -> LimitError:
        minutes = self.settings.max_run_minutes
        return LimitError(f"This took longer than {minutes:g} minutes, the most that one run may take here. Try something shorter.")

    def load_whisper(self, name: str, report: Report) -> None:
        """Loads what the next step needs, and tells of it; nothing at all from the second use on."""
        report(0, f"Loading {name}")
        checkpoints.load_whisper(name, self.settings, report)

    def load_voice(self, voice: tts.Voice, report: Report) -> None:
        report(0, "Loading the voice")
        if voice != "embedded":
            checkpoints.load_speecht5(self.settings, report)
        else:
            checkpoints.load_embedded_voice()

    def load_target(self, into: str, shortcut: bool, report: Report) -> None:
        """The voice of another language than English, and what translates text into it."""
        checkpoints.find_mms_voice(into, self.settings)  # before anything is kept or said of it: a program may ask for any text
        report(0, f"Loading a voice for {language_name(into)}")
        checkpoints.load_mms_voice(into, self.settings, report)
        if not shortcut:
            report(0, f"Loading {self.settings.text_translation_checkpoint}")
            checkpoints.load_text_translator(self.settings, report)

    def transcribed(
        self,
        audio: str | None,
        language: str | None,
        visitor: Visitor,
        report: Report,
        cancelled: Callable[[], bool] = never,
        word_times: bool = False,
    ) -> Iterator[Decoded]:
        """What is understood so far, after each window.

        Args:
            language: the one that is spoken; None detects it.
        """
        self.own(audio, visitor)
        with visitor.running(self.settings.max_runs):
            waveform = load_audio(audio, self.settings.max_seconds)  # a mistake is told before anything is loaded
            self.load_whisper(self.settings.asr_checkpoint, report)
            seconds = len(waveform) / SAMPLING_RATE
            with self.run("asr", visitor, seconds, cancelled) as run:
                how: dict[str, Any] = {"word_times": word_times, "n_beams": asr.N_BEAMS, "stopped": run.is_over}
                yield from _so_far(asr.windows(waveform, language, self.settings, **how), seconds, report, "Listening")

    def translated(self, audio: str | None, visitor: Visitor, report: Report, cancelled: Callable[[], bool] = never) -> Iterator[Decoded]:
        """What is translated into English so far, after each window."""
        self.own(audio, visitor)
        with visitor.running(self.settings.max_runs):
            waveform = load_audio(audio, self.settings.max_seconds)
            self.load_whisper(self.settings.translation_checkpoint, report)
            seconds = len(waveform) / SAMPLING_RATE
            with self.run("translation", visitor, seconds, cancelled) as run:
                yield from _so_far(stst.translate_windows(waveform, self.settings, stopped=run.is_over), seconds, report, "Translating")

    def synthesised(
        self, text: str, voice: str | None, visitor: Visitor, report: Report, cancelled: Callable[[], bool] = never
    ) -> Iterator[tts.Spoken]:
        """Its speech, piece by piece.

        Raises:
            LimitError: as `run`; what was spoken until then was handed out.
        """
        tts.check_text(text or "", self.settings)  # a program may send null
        chosen = self._chosen_voice(voice)
        self.load_voice(chosen, report)
        report(0, "Speaking")
        with visitor.running(self.settings.max_runs), self.run("voice", visitor, cancelled=cancelled) as run:
            for part in tts.stream(text, chosen, self.settings, stopped=run.is_over):
                run.seconds += len(part.speech) / part.sampling_rate
                yield part
                report(part.done, "Speaking")
            if run.is_late() and not run.cancelled():
                raise self.too_long()

    def cascade(
        self,
        audio: str | None,
        voice: str | None,
        target: str,
        shortcut: bool,
        visitor: Visitor,
        report: Report,
        cancelled: Callable[[], bool] = never,
        with_transcript: bool = False,
    ) -> Iterator[stst.Cascade]:
        """The cascade, sentence by sentence, once everything is loaded.

        Raises:
            LimitError: as `run`; what it had come to until then was handed out.
        """
        self.own(audio, visitor)
        with visitor.running(self.settings.max_runs):
            waveform = load_audio(audio, self.settings.max_seconds)
            into = checkpoints.language_code(target or "english")  # a program may send null
            stst.check_translates(checkpoints.find_whisper(self.settings.translation_checkpoint), into)
            chosen = self._chosen_voice(voice) if into == "en" else None
            self.load_whisper(self.settings.translation_checkpoint, report)
            if chosen is not None:
                self.load_voice(chosen, report)
            else:
                self.load_target(into, shortcut, report)
            report(0, "Translating")
            with self.run("translation", visitor, cancelled=cancelled) as run:
                cascades = stst.stream(
                    (SAMPLING_RATE, waveform),
                    chosen,
                    self.settings,
                    into,
                    shortcut=shortcut,
                    with_transcript=with_transcript,
                    stopped=run.is_over,
                )
                for cascade in cascades:
                    run.seconds = cascade.heard_seconds
                    yield cascade
                    if cascade.transcribed_seconds:
                        report(cascade.transcribed_seconds / cascade.audio_seconds, "Writing down what was said")
                    else:
                        report(cascade.heard_seconds / cascade.audio_seconds, "Translating")
                if run.is_late() and not run.cancelled():
                    raise self.too_long()

    def _chosen_voice(self, voice: str | None) -> tts.Voice:
        return cast(tts.Voice, voice) if voice else tts.default_voice(self.settings)

    # Streams.

    def hear(self, recording: Recording | None, chunk: str | None, number: int | None = None) -> None:
        """A chunk of a stream, or of none that is still wanted. Its file has served then."""
        try:
            if recording is not None:
                asr.hear(recording, chunk, number)
        finally:
            if chunk is not None and Path(chunk).is_relative_to(self.cache):
                delete_upload(Path(chunk))

    def decode(self, mode: StreamingMode[Any], name: str, language: str | None, visitor: Visitor, sent: Sent = None) -> Any:
        """Decodes what a visitor has said since the last time, as `Visitor.advance`."""
        return visitor.advance(name, lambda stream: mode.decode(stream, language, self.settings), sent)

    def caption(self, name: str, visitor: Visitor, final: bool = False, sent: Sent = None) -> Captioned | None:
        """The next step of a visitor's captions, as `Visitor.advance`.

        Args:
            final: as `decode_captions`.
        """
        return visitor.advance(name, lambda stream: decode_captions(stream, self.settings, final), sent)

    def begin_captions(self, task: str, language: str | None) -> Captioned:
        """A new recording. What it holds at a time is limited, and captions forget: there is no limit to how long one speaks."""
        if task == "translate":
            stst.check_translates(checkpoints.find_whisper(self.settings.translation_checkpoint))
            return Captioned(Recording(self.settings.max_seconds), "translate", language)
        return Captioned(Recording(self.settings.max_seconds), "transcribe", language)


def _so_far(windows: Iterator[Decoded], seconds: float, report: Report, doing: str) -> Iterator[Decoded]:
    """Everything up to each window.

    Raises:
        NoSpeechError: nobody spoke in any of them.
    """
    import decoding

    done: list[Decoded] = []
    report(0, doing)
    for window in windows:
        done.append(window)
        yield decoding.joined(done)
        report(min(1.0, window.end / seconds), doing)
    if not decoding.joined(done).text:
        raise NoSpeechError
