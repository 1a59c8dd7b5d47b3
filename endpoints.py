"""Every way in for programs: named endpoints with documented parameters, which are the MCP tools, too.

Knows: what each takes and gives, in the words of the "Use via API" page. Does not know: how any of it is done.
The page's own events are private: they carry what only a page needs, such as which of its recordings a chunk is of.
"""

from __future__ import annotations

import typing
from typing import TYPE_CHECKING, Any

import gradio as gr

import asr
import tts
from audio import Recording
from errors import RefusalError
from streams import ACCUMULATED, CHUNK_ONLY, StreamingMode
from telling import plainly, progress_report
from visitors import LimitError

if TYPE_CHECKING:
    from service import Service

MODEL: dict[str, Any] = {"concurrency_id": "model", "concurrency_limit": 8}  # whatever runs a model; the decodes take turns inside
STEP: dict[str, Any] = {"concurrency_id": "step", "concurrency_limit": 16}  # of a stream: it waits for no place that a whole file has
DETECT = "detect"
LANGUAGES = [DETECT, *asr.LANGUAGES]
TASKS = ["transcribe", "translate"]


def chosen_language(language: str) -> str | None:
    """None detects it."""
    return None if language == DETECT else language


def add(service: Service) -> None:
    """The endpoints of an app, on components that nobody sees."""
    # What is hidden itself, rather than by a column around it, the browser does not load.
    speech = gr.Audio(type="filepath", label="Speech", visible=False)
    language = gr.Dropdown(LANGUAGES, value=DETECT, label="Language spoken", visible=False)
    text, send = gr.Textbox(label="Text", visible=False), gr.Button(visible=False)
    whole = WholeFiles(service)
    send.click(plainly(whole.transcribe), [speech, language], text, api_name="transcribe", **MODEL)
    send.click(plainly(whole.translate), speech, text, api_name="translate", **MODEL)
    voice = gr.Dropdown([*typing.get_args(tts.Voice)], value=None, label="Voice", visible=False)
    sound = gr.Audio(label="Speech", visible=False)
    send.click(plainly(whole.synthesise), [text, voice], sound, api_name="synthesise", **MODEL)
    target = gr.Textbox("english", label="Target language", visible=False)
    shortcut = gr.Checkbox(label="Shortcut", visible=False)
    given, name = [speech, voice, target, shortcut], "speech_to_speech_translation"
    send.click(plainly(whole.speech_to_speech_translation), given, [sound, text], api_name=name, **MODEL)
    for mode in (ACCUMULATED, CHUNK_ONLY):
        _add_stream(service, mode, speech, language, text, send)
    _add_captions(service, speech, language, text, send)


class WholeFiles:
    """The endpoints that take all of something, and give all of the result. They are the MCP tools."""

    def __init__(self, service: Service) -> None:
        self.service = service

    def transcribe(
        self, audio: str | None, language: str = DETECT, request: gr.Request | None = None, progress: gr.Progress = gr.Progress()
    ) -> str:
        """The text of a recording, in the language that is spoken.

        Args:
            audio: a sound or video file.
            language: the language spoken; detected if not given.
        """
        visitor = self.service.visitor(request, to_begin=True)
        *_, decoded = self.service.transcribed(audio, chosen_language(language), visitor, progress_report(progress))
        return decoded.text

    def translate(self, audio: str | None, request: gr.Request | None = None, progress: gr.Progress = gr.Progress()) -> str:
        """The English text of a recording in any of 99 languages.

        Args:
            audio: a sound or video file.
        """
        *_, decoded = self.service.translated(audio, self.service.visitor(request, to_begin=True), progress_report(progress))
        return decoded.text

    def synthesise(
        self, text: str, voice: str | None = None, request: gr.Request | None = None, progress: gr.Progress = gr.Progress()
    ) -> str:
        """English text, spoken: a sound file.

        Args:
            text: English as it is written.
            voice: SpeechT5, one of its seven speakers, or embedded; SpeechT5 where it can be had, if not given.
        """
        visitor = self.service.visitor(request, to_begin=True)
        parts = list(self.service.synthesised(text, voice, visitor, progress_report(progress)))
        return self.service.sound_file("speech", tts.joined(parts), visitor)

    def speech_to_speech_translation(
        self,
        audio: str | None,
        voice: str | None = None,
        target: str = "english",
        shortcut: bool = False,
        request: gr.Request | None = None,
        progress: gr.Progress = gr.Progress(),
    ) -> tuple[str, str]:
        """A recording in any of 99 languages, spoken in English or another language: a sound file, and its text.

        Args:
            audio: a sound or video file.
            voice: for English: SpeechT5, one of its seven speakers, or embedded.
            target: the language to speak, like "english" or "it".
            shortcut: into another language than English by the course's shortcut rather than by text translation.
        """
        visitor = self.service.visitor(request, to_begin=True)
        *_, cascade = self.service.cascade(audio, voice, target, shortcut, visitor, progress_report(progress))
        return self.service.sound_file("speech", (cascade.sampling_rate, cascade.speech), visitor), cascade.text


def _add_stream(
    service: Service, mode: StreamingMode[Any], speech: gr.Audio, language: gr.Dropdown, text: gr.Textbox, send: gr.Button
) -> None:
    def stream_chunk(chunk: str, language: str, new_recording: bool, request: gr.Request) -> str:
        visitor, name = service.visitor(request, to_begin=True), f"{mode.name}-endpoint"
        if new_recording or name not in visitor.streams:
            visitor.streams[name] = mode.begin(Recording(service.settings.max_seconds))
        recording = visitor.streams[name].recording
        if recording.is_full:
            service.hear(None, chunk)
            raise LimitError(f"The recording is full ({service.settings.max_minutes:g} minutes). Begin a new one.")
        with visitor.running(service.settings.max_runs):
            service.hear(recording, chunk)
            stream = service.decode(mode, name, chosen_language(language), visitor)
        return stream.text if stream else ""

    stream_chunk._mcp_type = "page"  # type: ignore[attr-defined]  # no tool: each MCP call is a session of its own, which forgets
    stream_chunk.__doc__ = f"""Streaming recognition, {mode.title}: send chunks in order, get the text so far.

    Args:
        chunk: a sound file with what was said since the last one.
        language: the language spoken; detected if not given.
        new_recording: begin anew, rather than go on with what this session has sent.
    """
    new_recording = gr.Checkbox(label="New recording", visible=False)
    given = [speech, language, new_recording]
    send.click(plainly(stream_chunk), given, text, api_name=f"stream_{mode.name}", **STEP)


def _add_captions(service: Service, speech: gr.Audio, language: gr.Dropdown, text: gr.Textbox, send: gr.Button) -> None:
    def caption_chunk(chunk: str | None, final: bool, task: str, language: str, request: gr.Request) -> tuple[str, str]:
        """Live captions: send chunks in order, get committed text, which will not change, and partial text, which may.

        Args:
            chunk: a sound file with what was said since the last one; nothing if only the end is to be told.
            final: the recording is over: all of it is committed, and the next call begins anew.
            task: transcribe, or translate into English.
            language: the language spoken; detected if not given.
        """
        visitor, name = service.visitor(request, to_begin=True), "captions-endpoint"
        if name not in visitor.streams:
            visitor.streams[name] = service.begin_captions(task, chosen_language(language))
        recording = visitor.streams[name].recording
        with visitor.running(service.settings.max_runs):
            if chunk is not None:
                service.hear(recording, chunk)
            if final:
                recording.finish()
            try:
                before, stream = None, service.caption(name, visitor, final)
                while stream is not None and stream is not before and not final:  # by itself, a step is all that is decoded
                    before, stream = stream, service.caption(name, visitor)
            except RefusalError:  # such as a language that the checkpoint does not know: the next call may name another
                visitor.streams.pop(name, None)
                raise
        if final:
            visitor.streams.pop(name, None)
        if stream is None or stream.captions is None:
            return "", ""
        return stream.captions.committed, stream.captions.partial

    caption_chunk._mcp_type = "page"  # type: ignore[attr-defined]  # as above
    final = gr.Checkbox(label="Final", visible=False)
    task = gr.Dropdown(TASKS, value=TASKS[0], label="Task", visible=False)
    partial = gr.Textbox(label="Partial", visible=False)
    send.click(plainly(caption_chunk), [speech, final, task, language], [text, partial], api_name="captions", **STEP)
