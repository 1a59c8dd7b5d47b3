"""What the page tells a person, in their language: mistakes as sentences, captions, how far something is, what took how long.

Knows: which words, in English, and who reads Chinese. Does not know: where on the page they stand, nor how they read in Chinese; that is in
translations.py.
"""

from __future__ import annotations

import base64
import errno
import functools
import html
import inspect
import logging
import re
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import gradio as gr
import numpy as np
from fastapi import Request, Response
from gradio.context import LocalContext

import checkpoints
import stst
import translations
from audio import SAMPLING_RATE
from checkpoints import Report, Settings, language_name
from errors import RefusalError
from streams import Captioned, StreamingMode

Cue = tuple[float, float, str]  # from and to, in seconds, and what is said

log = logging.getLogger(__name__)

PARTIAL = "opacity: 0.6"  # words that may still change
LOADING = "The model is being loaded; what you say is kept."
BUSY_SECONDS = 5.0  # captions that are further behind than this say why
SHOWN_CHARACTERS = 3000  # of live captions at most: what the page is sent must not grow with the hour
SENTENCE = re.compile(r"[^.?!。？！]+[.?!。？！]*\s*|[.?!。？！]+\s*")

DISK_FULL = (errno.ENOSPC, errno.EDQUOT)
NO_ROOM = "The server's disk is full. What you recorded or chose is still here: try again in a few minutes."

t = gr.I18n(**translations.for_page())  # text that is on the page from the beginning: the browser chooses the language


def say(sentence: str) -> str:
    """A sentence that the server has to tell, in the language of whoever is being served."""
    request = LocalContext.request.get(None)
    return translations.in_language(sentence, translations.preferred(request.headers.get("accept-language") if request else None))


def progress_report(progress: gr.Progress) -> Report:
    """Tells how far something is on Gradio's bar."""
    return lambda fraction, what: progress(fraction, desc=say(what))


def _in_a_line(sentences: Sequence[str]) -> str:
    """Each in the language of whoever is being served; no space follows a Chinese full stop."""
    return " ".join(say(sentence) for sentence in sentences).replace("。 ", "。")


# --- what a person reads when something goes wrong ----------------------------------------------------------------


def plainly(handler: Callable[..., Any]) -> Callable[..., Any]:
    """A handler whose errors reach the page as a sentence. What was said or uploaded stays where it is."""

    @functools.wraps(handler)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        with _plain_errors(handler.__name__):
            return handler(*args, **kwargs)

    @functools.wraps(handler)
    def wrapped_generator(*args: Any, **kwargs: Any) -> Any:
        with _plain_errors(handler.__name__):
            yield from handler(*args, **kwargs)

    return wrapped_generator if inspect.isgeneratorfunction(handler) else wrapped


@contextmanager
def _plain_errors(name: str) -> Iterator[None]:
    try:
        yield
    except gr.Error:
        raise
    except Exception as error:
        raise gr.Error(in_words(error, name), duration=None, print_exception=False, title="") from error


def in_words(error: Exception, name: str) -> str:
    """An error as a person reads it; in full in the log where nobody foresaw it, with this name."""
    if isinstance(error, RefusalError):
        return say(str(error))
    message = "Something went wrong on the server. What you recorded or chose is still here: try again."
    if isinstance(error, OSError) and error.errno in DISK_FULL:
        message = NO_ROOM
    if type(error).__name__ == "OutOfMemoryError":  # torch's; importing it takes seconds
        checkpoints.leave_cuda()
        message = "The GPU's memory is full. From now on everything is computed on the CPU, more slowly: try again."
    log.error("%s failed", name, exc_info=error)
    return say(message)


def no_room(request: Request, error: Exception) -> Response:
    """The answer to an upload that the disk has no room for; Gradio shows it on the page."""
    if not isinstance(error, OSError) or error.errno not in DISK_FULL:
        raise error
    return Response(translations.in_language(NO_ROOM, translations.preferred(request.headers.get("accept-language"))), 507)


# --- what a person reads of the models ----------------------------------------------------------------------------


def model_line(name: str, settings: Settings, factor: float | None, precise: bool = False) -> str:
    """Which checkpoint, from where; once it is loaded, on what it computes and in what; once it has run, how fast."""
    try:
        parts = [f"Model: {checkpoints.find_whisper(name).sentence}."]
    except RefusalError as error:
        return say(str(error))
    whisper = checkpoints.loaded_whisper(name, settings)
    if whisper is not None:
        import decoding

        parts.append(f"Computes on {decoding.precision(whisper, settings.engine, precise)}.")
    return _in_a_line([*parts, *_last_run(factor)])


def voice_line(settings: Settings, factor: float | None) -> str:
    try:
        parts = [f"Voice: {checkpoints.find_voice(settings).sentence}."]
    except RefusalError as error:
        return say(str(error))
    return _in_a_line([*parts, *_last_run(factor)])


def _last_run(factor: float | None) -> list[str]:
    return [] if factor is None else [f"The last run took {factor:.2f} s per second of sound."]


def segments_html(cues: Sequence[Cue], player: str, seconds: float) -> str:
    """Buttons that play a sound from where they begin, for segments.js. What a visitor said is never markup."""
    style = "display: block; width: 100%; text-align: start; padding: 4px 8px; font-weight: 400"
    buttons = "".join(
        f'<button data-start="{start:.2f}" style="{style}"><span style="opacity: 0.7">{clock(start)}</span> {html.escape(text)}</button>'
        for start, _, text in cues
    )
    return f'<div data-player="{player}" data-seconds="{seconds:.3f}" style="max-height: 14em; overflow-y: auto">{buttons}</div>'


def clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"


# --- what a person reads of live captions -------------------------------------------------------------------------


def captions_html(stream: Captioned) -> str:
    """Committed words, then lighter the ones that may still change. What a visitor said is never markup."""
    if stream.captions is None:
        return ""
    committed = stream.captions.committed
    if len(committed) > SHOWN_CHARACTERS:  # cut in large steps, so that what is on the page seldom moves
        step = SHOWN_CHARACTERS // 3
        committed = committed[-(-(len(committed) - SHOWN_CHARACTERS) // step) * step :].partition(" ")[2]
    # A sentence each: what has not changed since the last time stays as it is, and a screen reader reads only what is new.
    pieces = [html.escape(piece) for piece in SENTENCE.findall(committed)]
    sentences = "".join(f"<span>{piece}</span>" for piece in pieces)
    partial = f'<span class="partial" aria-hidden="true" style="{PARTIAL}">{html.escape(stream.captions.partial)}</span>'
    return sentences + partial


def listening(task: str, settings: Settings) -> str:
    """What a stream says of itself before anything is decoded, in one line."""
    parts = ["Listening."]
    return _in_a_line([*parts, LOADING] if _is_to_be_loaded(settings.whisper_for(task), settings) else parts)


def _is_to_be_loaded(name: str, settings: Settings) -> bool:
    """Whether the next decode with a checkpoint waits until it is loaded and made ready. Loads nothing."""
    whisper = checkpoints.loaded_whisper(name, settings)
    if whisper is None:
        return True
    import fast_whisper  # imports torch, which is there where a checkpoint is

    return settings.engine == "fast" and not fast_whisper.is_ready(whisper)


def stream_status(mode: StreamingMode[Any], stream: Any, settings: Settings) -> str:
    """What one of the tutorial's streams has cost so far, in one line."""
    parts = [mode.cost(stream)]
    if stream.recording.is_full:
        parts.append(f"The recording is full ({settings.max_minutes:g} minutes): press Stop.")
    elif _is_to_be_loaded(settings.whisper_for("transcribe"), settings):
        parts.append(LOADING)
    return _in_a_line(parts)


def captions_status(stream: Captioned, settings: Settings) -> str:
    """How far the captions are, in one line."""
    heard, decoded = len(stream.recording) / SAMPLING_RATE, stream.n_decoded / SAMPLING_RATE
    behind, captions = heard - decoded, stream.captions
    if stream.is_over:
        parts = [f"{heard:.1f} s received and decoded."]
    else:
        parts = [f"{behind:.1f} s behind: {heard:.1f} s received, {decoded:.1f} s decoded."]
    if captions is not None and not captions.hears_speech and not stream.is_over:
        parts.append("No speech is heard.")
    elif captions is not None and captions.heard_language is not None:
        parts.append(f"Language heard: {language_name(captions.heard_language)}.")
    if stream.recording.is_full:
        parts.append("Too much waits to be decoded, and no more is recorded: press Stop.")
    elif not stream.is_over and _is_to_be_loaded(settings.whisper_for(stream.task), settings):
        parts.append(LOADING)
    elif behind > BUSY_SECONDS and not stream.is_over:
        parts.append("This machine is busy: the words come later, none is lost.")
    return _in_a_line(parts)


# --- what a person reads and hears of speech that is made ---------------------------------------------------------


class Playing:
    """Speech while it is made, as player.js takes it.

    Where two updates come within a moment, the page is told of the second alone. So each has all pieces, and the last one has, too;
    Gradio sends what is new.
    """

    def __init__(self) -> None:
        self.value: dict[str, Any] = {"run": secrets.token_hex(8), "rate": 0, "pieces": []}  # another run begins anew

    def __len__(self) -> int:
        return len(self.value["pieces"])

    def add(self, sampling_rate: int, speech: np.ndarray) -> None:
        """A piece, int16 of shape (n_samples,)."""
        piece = base64.b64encode(speech.astype("<i2").tobytes()).decode()
        self.value = {**self.value, "rate": sampling_rate, "pieces": [*self.value["pieces"], piece]}  # Gradio compares it with the last


def with_times(parts: Sequence[stst.Sentence | stst.Timed]) -> str:
    """One line each, after the minute and second at which it is said."""
    return "\n".join(f"{clock(part.start)} {part.text.strip()}" for part in parts)


def cascade_status(cascade: stst.Cascade, is_over: bool = True) -> str:
    """What has been done so far, and how long each stage took, in one line."""
    parts = [f"Language heard: {language_name(cascade.language)}."] if cascade.language else []
    parts.append(f"{cascade.heard_seconds:.0f} of {cascade.audio_seconds:.0f} s.")
    parts += [f"{stage.title()}: {seconds:.1f} s." for stage, seconds in cascade.seconds.items()]
    if is_over and cascade.heard_seconds:
        parts.append(f"Together {cascade.real_time_factor:.2f} s per second of sound.")
    return _in_a_line(parts)


def speech_cues(cascade: stst.Cascade) -> list[Cue]:
    """Each sentence, and when it is spoken in the translated speech."""
    cues, start = [], 0.0
    for sentence in cascade.sentences:
        end = start + len(sentence.speech) / cascade.sampling_rate
        cues.append((start, end, sentence.text))
        start = end
    return cues


def listed(lines: Sequence[str]) -> str:
    """Lines under each other, none of them markup."""
    return "<ul>" + "".join(f"<li>{html.escape(line)}</li>" for line in lines) + "</ul>"
