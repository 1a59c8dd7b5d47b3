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
from telling import plainly
from visitors import ACCUMULATED, CHUNK_ONLY, LimitError, StreamingMode, decode_captions

if TYPE_CHECKING:
    from app import Page

MODEL: dict[str, Any] = {"concurrency_id": "model", "concurrency_limit": 8}  # whatever runs a model; the decodes take turns inside
STEP: dict[str, Any] = {"concurrency_id": "step", "concurrency_limit": 16}  # of a stream: it waits for no place that a whole file has
DETECT = "detect"
LANGUAGES = [DETECT, *asr.LANGUAGES]
TASKS = ["transcribe", "translate"]


def spoken(language: str) -> str | None:
    return None if language == DETECT else language


def add(page: Page) -> None:
    """The endpoints of an app, on components that nobody sees."""
    # What is hidden itself, rather than by a column around it, the browser does not load.
    speech = gr.Audio(type="filepath", label="Speech", visible=False)
    language = gr.Dropdown(LANGUAGES, value=DETECT, label="Language spoken", visible=False)
    text, send = gr.Textbox(label="Text", visible=False), gr.Button(visible=False)
    send.click(plainly(page.transcribe), [speech, language], text, api_name="transcribe", **MODEL)
    send.click(plainly(page.translate), speech, text, api_name="translate", **MODEL)
    voice = gr.Dropdown([*typing.get_args(tts.Voice)], value=None, label="Voice", visible=False)
    sound = gr.Audio(label="Speech", visible=False)
    send.click(plainly(page.synthesise), [text, voice], sound, api_name="synthesise", **MODEL)
    target = gr.Textbox("english", label="Target language", visible=False)
    shortcut = gr.Checkbox(label="Shortcut", visible=False)
    given, name = [speech, voice, target, shortcut], "speech_to_speech_translation"
    send.click(plainly(page.speech_to_speech_translation), given, [sound, text], api_name=name, **MODEL)
    for mode in (ACCUMULATED, CHUNK_ONLY):
        _add_stream(page, mode, speech, language, text, send)
    _add_captions(page, speech, language, text, send)


def _add_stream(page: Page, mode: StreamingMode[Any], speech: gr.Audio, language: gr.Dropdown, text: gr.Textbox, send: gr.Button) -> None:
    def stream_chunk(chunk: str, language: str, new_recording: bool, request: gr.Request) -> str:
        visitor, name = page.visitor(request, to_begin=True), f"{mode.name}-endpoint"
        if new_recording or name not in visitor.streams:
            visitor.streams[name] = mode.begin(Recording(page.settings.max_seconds))
        recording = visitor.streams[name].recording
        if recording.is_full:
            page.hear(None, chunk)
            raise LimitError(f"The recording is full ({page.settings.max_minutes:g} minutes). Begin a new one.")
        with visitor.running(page.settings.max_runs):
            page.hear(recording, chunk)
            stream = page.decode(mode, name, language, visitor)
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


def _add_captions(page: Page, speech: gr.Audio, language: gr.Dropdown, text: gr.Textbox, send: gr.Button) -> None:
    def caption_chunk(chunk: str | None, final: bool, task: str, language: str, request: gr.Request) -> tuple[str, str]:
        """Live captions: send chunks in order, get committed text, which will not change, and partial text, which may.

        Args:
            chunk: a sound file with what was said since the last one; nothing if only the end is to be told.
            final: the recording is over: all of it is committed, and the next call begins anew.
            task: transcribe, or translate into English.
            language: the language spoken; detected if not given.
        """
        visitor, name = page.visitor(request, to_begin=True), "captions-endpoint"
        if name not in visitor.streams:
            visitor.streams[name] = page.captioned(task, language)
        recording = visitor.streams[name].recording
        with visitor.running(page.settings.max_runs):
            if chunk is not None:
                page.hear(recording, chunk)
            if final:
                recording.finish()
            try:
                before, stream = None, visitor.advance(name, lambda stream: decode_captions(stream, page.settings, final))
                while stream is not None and stream is not before and not final:  # by itself, a step is all that is decoded
                    before, stream = stream, visitor.advance(name, lambda stream: decode_captions(stream, page.settings))
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
