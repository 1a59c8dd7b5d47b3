"""The page: one builder per tab, event handlers, the messages a person reads; launch.

Knows: Gradio, what a visitor sees and in which words. Does not know: how anything is decoded or spoken; that is in asr.py,
captions.py, stst.py and tts.py. Nor for how long what was said is kept; that is in visitors.py.
"""

from __future__ import annotations

import argparse
import base64
import functools
import html
import inspect
import logging
import os
import re
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, cast

import gradio as gr

import asr
import checkpoints
import commandline
import stst
import tts
from audio import SAMPLING_RATE, NoSpeechError, Recording, load_audio, to_pcm16
from checkpoints import Settings, language_name
from visitors import ACCUMULATED, CHUNK_ONLY, Captioned, Sent, StreamingMode, Visitor, Visitors, decode_captions

log = logging.getLogger(__name__)

STREAM_EVERY = 0.5  # seconds of sound in a chunk; below that, Gradio loses and reorders chunks
IN_FLIGHT_SECONDS = 5.0  # after Stop, chunks that the page has sent are waited for that long
# As tall as its text, within limits; beyond them the newest words stay in sight unless somebody scrolls up.
LIVE = """<div style="display: flex; flex-direction: column-reverse; min-height: 6em; max-height: 14em; overflow-y: auto">
<div style="margin-bottom: auto; font-size: var(--text-lg)">${value}</div></div>"""
PARTIAL = "opacity: 0.6"  # words that may still change
LOADING_SECONDS = 2.5  # captions of which there are none by then wait for the weights
BUSY_SECONDS = 5.0  # captions that are further behind than this say why
SHOWN_CHARACTERS = 3000  # of live captions at most: what the page is sent must not grow with the hour
SENTENCE = re.compile(r"[^.?!。？！]+[.?!。？！]*\s*|[.?!。？！]+\s*")
HEAD = f"<script>{Path(__file__).with_name('microphone.js').read_text(encoding='utf-8')}</script>"
PLAYER = Path(__file__).with_name("player.js").read_text(encoding="utf-8")
PLAYER_HTML = '<button class="sm secondary" hidden>Pause</button> <span></span>'
SILENCE = {"index": 0, "rate": 0, "pcm": ""}  # what the player is given to be quiet
CLOCK_SECONDS = 2.0  # between two looks at how far the captions are
# A screen reader reads what is new when it has time.
POLITE = "element.setAttribute('aria-live', 'polite'); element.setAttribute('aria-atomic', 'false')"
PRIVATE: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
MODEL: dict[str, Any] = {"concurrency_id": "model", "concurrency_limit": 8}  # whatever runs a model; the decodes take turns inside
DETECT = "detect"
LANGUAGE_CHOICES = [("Detect", DETECT), *((language.title(), language) for language in asr.LANGUAGES)]
SPEECH_TO_SPEECH_TABS: list[tuple[str, Literal["microphone", "upload"]]] = [("Microphone", "microphone"), ("Audio File", "upload")]
TASK_CHOICES = [("Transcribe", "transcribe"), ("Translate to English", "translate")]
VOICE_CHOICES = [
    ("SpeechT5 in the course's voice", "SpeechT5"),
    *((f"SpeechT5 as {speaker}: {who}", speaker) for speaker, who in checkpoints.SPEAKERS.items()),
    ("Embedded voice", "embedded"),
]


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
    except ValueError as error:  # AudioError, TextError, CheckpointError: written to be read
        raise gr.Error(str(error), duration=None, print_exception=False, title="") from error
    except gr.Error:
        raise
    except Exception as error:
        log.exception("%s failed", name)
        message = "Something went wrong on the server. What you recorded or chose is still here: try again."
        raise gr.Error(message, duration=None, print_exception=False, title="") from error


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


def captions_status(stream: Captioned) -> str:
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
    elif captions is None and behind > LOADING_SECONDS:
        parts.append("The model is being loaded; what you say is kept.")
    elif behind > BUSY_SECONDS and not stream.is_over:
        parts.append("Many people are speaking at once, or this machine is busy: the words come later, none is lost.")
    return " ".join(parts)


# --- what a person reads and hears of speech-to-speech translation ------------------------------------------------


def _piece(index: int, cascade: stst.Cascade) -> dict[str, Any]:
    """A sentence's speech, as player.js takes it."""
    pcm = cascade.sentences[index].speech.astype("<i2").tobytes()
    return {"index": index, "rate": cascade.sampling_rate, "pcm": base64.b64encode(pcm).decode()}


def _with_times(parts: Sequence[stst.Sentence | stst.Timed]) -> str:
    """One line each, after the minute and second at which it is said."""
    return "\n".join(f"{int(part.start) // 60}:{int(part.start) % 60:02} {part.text.strip()}" for part in parts)


def _report(cascade: stst.Cascade) -> str:
    """What has been done so far, and how long each stage took, in one line."""
    language = f"{language_name(cascade.language)}. " if cascade.language else ""
    stages = ", ".join(f"{stage} {seconds:.1f} s" for stage, seconds in cascade.seconds.items())
    factor = f", {cascade.real_time_factor:.2f} s per second of audio" if cascade.heard_seconds else ""
    return f"{language}{cascade.heard_seconds:.0f} of {cascade.audio_seconds:.0f} s: {stages}{factor}."


def _list(lines: Sequence[str]) -> str:
    """Lines under each other, none of them markup."""
    return "\n".join("- " + re.sub(r"([\\`*_{}\[\]<>()#+.!|~$-])", r"\\\1", line) for line in lines)


# --- the page -----------------------------------------------------------------------------------------------------


class Page:
    """The handlers and tabs of one app, around what whoever started it chose."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.visitors = Visitors()
        self.languages: list[tuple[Sequence[str], gr.Dropdown]] = []  # shown once one of these is known to be multilingual
        self.sources: list[tuple[str, gr.Markdown]] = []  # with what they tell of: "asr", "translation" or "voice"
        self.voices: list[gr.Dropdown] = []
        self.targets: list[gr.Dropdown] = []
        self.shortcuts: list[gr.Checkbox] = []
        self.examples: list[gr.Button] = []

    def build(self) -> gr.Blocks:
        with gr.Blocks(title="Speech", analytics_enabled=False, delete_cache=(300, 3600)) as demo:
            gr.Markdown("# Speech\nSpeak or choose a file: read it, read it in English, or hear it in English.")
            with gr.Tabs():
                with gr.Tab("Speech recognition"), gr.Tabs():
                    with gr.Tab("Full context", id="full"):
                        self.full_context_tab()
                    with gr.Tab("Streaming, accumulated", id="accumulated"):
                        self.streaming_tab(ACCUMULATED, "While you speak, everything said so far is decoded again and again.")
                    with gr.Tab("Streaming, chunk only", id="chunks"):
                        self.streaming_tab(CHUNK_ONLY, "While you speak, each piece is decoded alone, and its text added to a list.")
                    with gr.Tab("Live captions", id="captions"):
                        self.captions_tab()
                with gr.Tab("Speech translation"):
                    self.translation_tab()
                with gr.Tab("Text to speech"):
                    self.synthesis_tab()
                with gr.Tab("Speech-to-speech translation"):
                    self.speech_to_speech_tab()
            languages = [dropdown for _, dropdown in self.languages]
            outputs = [
                *(markdown for _, markdown in self.sources),
                *languages,
                *self.voices,
                *self.targets,
                *self.shortcuts,
                *self.examples,
            ]
            remembered = gr.BrowserState(storage_key="speech-voice", secret="not one")  # any that outlasts a restart
            demo.load(self.prepare, remembered, outputs, api_visibility="private", show_progress="hidden")
            for voice in self.voices:  # chosen on one tab, it is chosen on all
                chosen = f"(voice) => Array({len(self.voices) + 1}).fill(voice)"
                voice.input(None, voice, [remembered, *self.voices], js=chosen, queue=False, api_visibility="private")
            demo.unload(self.leave)
        return demo

    # Handlers: what a click does.

    def visitor(self, request: gr.Request) -> Visitor:
        return self.visitors.of(request.session_hash)

    def leave(self, request: gr.Request) -> None:
        self.visitors.leave(request.session_hash)

    def prepare(self, voice: str | None = None) -> list[Any]:
        """Tells, once a page is up, which weights there are: finding out asks the Hub, but loads nothing."""
        find: dict[str, Callable[[], checkpoints.Source]] = {
            "asr": lambda: checkpoints.find_whisper(self.settings.asr_checkpoint),
            "translation": lambda: checkpoints.find_whisper(self.settings.translation_checkpoint),
            "voice": lambda: checkpoints.find_voice(self.settings),
        }
        found: dict[str, checkpoints.Source] = {}
        sentences = {}
        for role in find:
            try:
                found[role] = find[role]()
                sentences[role] = f"Model: {found[role].sentence}."
            except ValueError as error:
                sentences[role] = str(error)
        multilingual = {role for role in ("asr", "translation") if role in found and checkpoints.is_multilingual(found[role])}
        both_voices = "voice" in found and found["voice"].kind != "embedded"
        example = checkpoints.hub_reachable()
        targets = [(language_name(code), code) for code in stst.targets(self.settings)]
        return [
            *[sentences[role] for role, _ in self.sources],
            *[gr.update(visible=not multilingual.isdisjoint(roles)) for roles, _ in self.languages],
            *[gr.update(visible=both_voices, value=(voice or "SpeechT5") if both_voices else None) for _ in self.voices],
            *[gr.update(visible=len(targets) > 1, choices=targets, value="en") for _ in self.targets],
            *[gr.update(visible=len(targets) > 1) for _ in self.shortcuts],
            *[gr.update(visible=example) for _ in self.examples],
        ]

    def load_whisper(self, name: str, progress: gr.Progress) -> None:
        """Loads what the next step needs, with progress on the page; nothing at all from the second use on."""
        progress(0, desc=f"Loading {name}")
        checkpoints.load_whisper(name, self.settings, lambda fraction, what: progress(fraction, desc=what))

    def load_voice(self, voice: tts.Voice, progress: gr.Progress) -> None:
        progress(0, desc="Loading the voice")
        if voice != "embedded":
            checkpoints.load_speecht5(self.settings, lambda fraction, what: progress(fraction, desc=what))
        else:
            checkpoints.load_embedded_voice()

    def load_target(self, into: str, shortcut: bool, progress: gr.Progress) -> None:
        """The voice of another language than English, and what translates text into it."""

        def report(fraction: float, what: str) -> None:
            progress(fraction, desc=what)

        progress(0, desc=f"Loading a voice for {language_name(into)}")
        checkpoints.load_mms_voice(into, self.settings, report)
        if not shortcut:
            progress(0, desc=f"Loading {self.settings.text_translation_checkpoint}")
            checkpoints.load_text_translator(self.settings, report)

    def transcribe(self, audio: str | None, language: str = DETECT, progress: gr.Progress = gr.Progress()) -> str:
        waveform = load_audio(audio, self.settings.max_seconds)  # a mistake is told before anything is loaded
        self.load_whisper(self.settings.asr_checkpoint, progress)
        progress(0.1, desc="Listening")
        return asr.transcribe((SAMPLING_RATE, waveform), _spoken(language), self.settings)

    def translate(self, audio: str | None, progress: gr.Progress = gr.Progress()) -> str:
        waveform = load_audio(audio, self.settings.max_seconds)
        self.load_whisper(self.settings.translation_checkpoint, progress)
        progress(0.1, desc="Translating")
        return stst.translate((SAMPLING_RATE, waveform), self.settings)

    def synthesise(self, text: str, voice: str | None = None, progress: gr.Progress = gr.Progress()) -> Any:
        tts.check_text(text, self.settings)
        chosen = self.chosen_voice(voice)
        self.load_voice(chosen, progress)
        progress(0.1, desc="Speaking")
        return tts.synthesise(text, chosen, self.settings)

    def chosen_voice(self, voice: str | None) -> tts.Voice:
        return cast(tts.Voice, voice) if voice else tts.default_voice(self.settings)

    def cascade(
        self, audio: str | None, voice: str | None, target: str, shortcut: bool, progress: gr.Progress, **how: Any
    ) -> Iterator[stst.Cascade]:
        """The cascade, sentence by sentence, once everything is loaded."""
        waveform = load_audio(audio, self.settings.max_seconds)
        into = checkpoints.language_code(target)
        stst.check_translates(checkpoints.find_whisper(self.settings.translation_checkpoint), into)
        chosen = self.chosen_voice(voice)
        self.load_whisper(self.settings.translation_checkpoint, progress)
        if into == "en":
            self.load_voice(chosen, progress)
        else:
            self.load_target(into, shortcut, progress)
        progress(0, desc="Translating")
        for cascade in stst.stream((SAMPLING_RATE, waveform), chosen, self.settings, into, shortcut=shortcut, **how):
            if cascade.transcribed_seconds:
                progress(cascade.transcribed_seconds / cascade.audio_seconds, desc="Writing down what was said")
            else:
                progress(cascade.heard_seconds / cascade.audio_seconds, desc="Translating")
            yield cascade

    def speech_to_speech_translation(
        self,
        audio: str | None,
        voice: str | None = None,
        target: str = "en",
        shortcut: bool = False,
        progress: gr.Progress = gr.Progress(),
    ) -> tuple[Any, str]:
        *_, cascade = self.cascade(audio, voice, target, shortcut, progress)
        return (cascade.sampling_rate, cascade.speech), cascade.text

    # Tabs: what is where.

    def full_context_tab(self) -> None:
        gr.Markdown("Record or choose a file; the whole of it is decoded at once.")
        audio = gr.Audio(sources=["microphone", "upload"], type="filepath", label="Speech")
        language = self.language(DETECT)
        with gr.Row():
            self.video_button(audio)
            button = self.button_for(audio, "Transcribe")
        text = gr.Textbox(label="Transcription", lines=4, buttons=["copy"], elem_id="text-full")
        self.source("asr")
        button.click(plainly(self.transcribe), [audio, language], text, api_name="transcribe", **MODEL)

    def streaming_tab(self, mode: StreamingMode[Any], does: str) -> None:
        gr.Markdown(f"{does} Press record and speak.")
        microphone, sent = self.microphone(mode.name)
        # A short piece in another language than the page expects is heard as nonsense, so it starts with the checkpoint's own.
        language = self.language("english" if self.settings.asr_checkpoint.endswith(".en") else DETECT)
        text = gr.Textbox(label="Transcription", lines=4, buttons=["copy"], elem_id=f"text-{mode.name}")
        cost = gr.Markdown(elem_id=f"cost-{mode.name}")
        timer = gr.Timer(STREAM_EVERY, active=False)
        self.source("asr")

        def begin(sent: Sent, request: gr.Request) -> tuple[Any, ...]:
            self.visitor(request).begin(mode.name, mode.begin(Recording(self.settings.max_seconds)), sent)
            return "", "Listening.", gr.Timer(active=True)

        def decode(language: str, request: gr.Request) -> Any:
            try:
                stream = self.decode(mode, mode.name, language, request)
            except ValueError as error:  # told once, where the next tick would tell it again
                return gr.skip(), str(error), gr.Timer(active=False)
            return (stream.text, self.told(mode, stream), gr.skip()) if stream else (gr.skip(), gr.skip(), gr.skip())

        def finish(language: str, sent: Sent, request: gr.Request) -> tuple[Any, ...]:
            if not self.visitor(request).heard_all(mode.name, sent, IN_FLIGHT_SECONDS):
                return gr.skip(), gr.skip(), gr.skip()
            stream = self.decode(mode, mode.name, language, request)
            if stream is None or not stream.text:
                return "", str(NoSpeechError()), gr.Timer(active=False)
            return stream.text, self.told(mode, stream), gr.Timer(active=False)

        def settle(request: gr.Request) -> Any:
            """Shows the end again: what a tick decoded just before it may have reached the page after it."""
            stream = self.visitor(request).streams.get(mode.name)
            return (stream.text, self.told(mode, stream)) if stream and stream.text else (gr.skip(), gr.skip())

        outputs = [text, cost, timer]
        microphone.start_recording(plainly(begin), sent, outputs, js=_begin(mode.name), queue=False, **PRIVATE)
        timer.tick(plainly(decode), language, outputs, trigger_mode="once", **MODEL, **PRIVATE)
        stop = microphone.stop_recording(plainly(finish), [language, sent], outputs, js=_finish(mode.name), **MODEL, **PRIVATE)
        stop.then(plainly(settle), None, [text, cost], **PRIVATE)
        self.stream_endpoint(mode)

    def microphone(self, name: str) -> tuple[gr.Audio, gr.JSON]:
        """A microphone whose chunks go to the visitor's stream of this name, all of them and in order.

        Returns:
            It, and what the page tells of each chunk, of the beginning and of the end: which recording, how many chunks.
        """
        microphone = gr.Audio(sources=["microphone"], streaming=True, type="numpy", label="Speech", elem_id=f"mic-{name}")
        sent = gr.JSON(visible=False)

        def hear(chunk: tuple[int, Any] | None, sent: Sent, request: gr.Request) -> None:
            stream = self.visitor(request).stream(name, sent)
            if chunk is not None and stream is not None:
                asr.hear(stream.recording, chunk, sent["chunks"] if sent else None)

        # Gradio tells the pace only to what is on the page when that loads: in a tab behind others it would be 0.1 s.
        pace = f"() => ({{stream_every: {STREAM_EVERY}, __type__: 'update'}})"
        microphone.start_recording(None, None, microphone, js=pace)
        # `.stream` makes chunks come at that pace, and does nothing else. With a handler on the server it would have one
        # slot and no queue: a chunk that comes while the handler runs overwrites the one waiting, and while it connects
        # none is taken. `.change` goes through the ordinary queue.
        microphone.stream(None, microphone, None, js="() => undefined", stream_every=STREAM_EVERY)
        hand_over = f"(chunk) => window.microphones?.handOver('{name}', chunk) ?? [chunk, null]"
        heard: dict[str, Any] = {"trigger_mode": "multiple", "concurrency_limit": 1, **PRIVATE}
        microphone.change(plainly(hear), [microphone, sent], None, js=hand_over, **heard)
        return microphone, sent

    def stream_endpoint(self, mode: StreamingMode[Any]) -> None:
        """The same stream for programs, which cannot call a page's stream event: a chunk file in, the text so far out."""

        def stream_chunk(chunk: str, language: str, new_recording: bool, request: gr.Request) -> str:
            visitor, name = self.visitor(request), f"{mode.name}-endpoint"
            if new_recording or name not in visitor.streams:
                visitor.streams[name] = mode.begin(Recording(self.settings.max_seconds))
            asr.hear(visitor.streams[name].recording, chunk)
            stream = self.decode(mode, name, language, request)
            return stream.text if stream else ""

        with gr.Column(visible=False):
            chunk = gr.Audio(type="filepath", label="Chunk")
            language = gr.Dropdown(LANGUAGE_CHOICES, value=DETECT, label="Language")
            new_recording = gr.Checkbox(label="New recording")
            text = gr.Textbox(label="Text so far")
            send = gr.Button()
        inputs = [chunk, language, new_recording]
        send.click(plainly(stream_chunk), inputs, text, api_name=f"stream_{mode.name}", **MODEL)

    def decode(self, mode: StreamingMode[Any], name: str, language: str, request: gr.Request) -> Any:
        """Decodes what a visitor has said since the last time; None where a new recording has begun meanwhile."""
        return self.visitor(request).advance(name, lambda stream: mode.decode(stream, _spoken(language), self.settings))

    def told(self, mode: StreamingMode[Any], stream: Any) -> str:
        full = f" The recording is full ({self.settings.max_minutes:g} minutes): press Stop." if stream.recording.is_full else ""
        return mode.cost(stream) + full

    def captions_tab(self) -> None:
        gr.Markdown("Press record, talk, and read along for as long as you like. Lighter words may still change.")
        microphone, sent = self.microphone("captions")
        with gr.Accordion("Choices", open=False):
            task = gr.Radio(TASK_CHOICES, value="transcribe", label="Task")
            language = self.language(DETECT, "asr", "translation")
        live = gr.HTML(elem_id="live-captions", html_template=LIVE, container=True, js_on_load=POLITE)
        text = gr.Textbox(label="Captions", lines=4, max_lines=20, buttons=["copy"], elem_id="text-captions", visible=False)
        status = gr.Markdown(elem_id="status-captions")
        with gr.Row(visible=False) as files:
            srt = gr.DownloadButton("Subtitles (SRT)", size="md", elem_id="srt-captions")
            vtt = gr.DownloadButton("Subtitles (WebVTT)", size="md", elem_id="vtt-captions")
        timer, clock = gr.Timer(STREAM_EVERY, active=False), gr.Timer(CLOCK_SECONDS, active=False)
        self.source("asr")

        def begin(task: str, language: str, sent: Sent, request: gr.Request) -> list[Any]:
            self.visitor(request).begin("captions", self.captioned(task, language), sent)
            return shown("", "Listening.", live=True)

        def decode(request: gr.Request) -> tuple[Any, ...]:
            before = self.visitor(request).streams.get("captions")
            try:
                stream = self.visitor(request).advance("captions", lambda stream: decode_captions(stream, self.settings))
            except ValueError as error:  # told once, where the next tick would tell it again
                return gr.skip(), str(error), gr.Timer(active=False), gr.Timer(active=False)
            if stream is None or stream is before or stream.is_over:
                return gr.skip(), gr.skip(), gr.skip(), gr.skip()
            return captions_html(stream), captions_status(stream), gr.skip(), gr.skip()

        def tell(request: gr.Request) -> Any:
            """The line under the captions: while a decode waits for its turn, and once more after the end."""
            stream = self.visitor(request).streams.get("captions")
            return gr.skip() if stream is None or (stream.is_over and not stream.captions.words) else captions_status(stream)

        def finish(sent: Sent, request: gr.Request) -> list[Any]:
            import captions

            visitor = self.visitor(request)
            if not visitor.heard_all("captions", sent, IN_FLIGHT_SECONDS):
                return [gr.skip() for _ in outputs]
            stream = visitor.advance("captions", lambda stream: decode_captions(stream, self.settings, final=True))
            if stream is None or stream.captions is None or not stream.captions.words:
                return shown("", str(NoSpeechError()))
            words = stream.captions.words
            written = [
                visitor.write(srt.GRADIO_CACHE, "captions.srt", captions.to_srt(words)),
                visitor.write(vtt.GRADIO_CACHE, "captions.vtt", captions.to_vtt(words)),
            ]
            return shown(stream.captions.committed, captions_status(stream), written)

        def shown(said: str, told: str, written: Sequence[Path] = (), live: bool = False) -> list[Any]:
            """All that is on the tab: while one speaks the captions, after Stop the whole text and its files."""
            return [
                gr.HTML("", visible=live or not said),
                gr.Textbox(said, visible=bool(said)),
                told,
                gr.Row(visible=bool(written)),
                *(written or (None, None)),
                gr.Timer(active=live),
                gr.Timer(active=live),
            ]

        outputs = [live, text, status, files, srt, vtt, timer, clock]
        microphone.start_recording(plainly(begin), [task, language, sent], outputs, js=_begin("captions"), queue=False, **PRIVATE)
        timer.tick(plainly(decode), None, [live, status, timer, clock], trigger_mode="once", **MODEL, **PRIVATE)
        clock.tick(plainly(tell), None, status, trigger_mode="once", concurrency_limit=None, **PRIVATE)
        stop = microphone.stop_recording(plainly(finish), sent, outputs, js=_finish("captions"), **MODEL, **PRIVATE)
        stop.then(plainly(tell), None, status, **PRIVATE)
        self.captions_endpoint()

    def captioned(self, task: str, language: str) -> Captioned:
        """A new recording. What it holds at a time is limited, and captions forget: there is no limit to how long one speaks."""
        if task == "translate":
            stst.check_translates(checkpoints.find_whisper(self.settings.translation_checkpoint))
            return Captioned(Recording(self.settings.max_seconds), "translate", _spoken(language))
        return Captioned(Recording(self.settings.max_seconds), "transcribe", _spoken(language))

    def captions_endpoint(self) -> None:
        """The same captions for programs: a chunk file in, committed and partial text out."""

        def caption_chunk(chunk: str | None, final: bool, task: str, language: str, request: gr.Request) -> tuple[str, str]:
            visitor, name = self.visitor(request), "captions-endpoint"
            if name not in visitor.streams:
                visitor.streams[name] = self.captioned(task, language)
            recording = visitor.streams[name].recording
            if chunk is not None:
                asr.hear(recording, chunk)
            if final:
                recording.finish()
            stream = visitor.advance(name, lambda stream: decode_captions(stream, self.settings, final))
            if final:
                visitor.streams.pop(name, None)
            if stream is None or stream.captions is None:
                return "", ""
            return stream.captions.committed, stream.captions.partial

        with gr.Column(visible=False):
            chunk = gr.Audio(type="filepath", label="Chunk")
            final = gr.Checkbox(label="Final")
            task = gr.Dropdown(TASK_CHOICES, value="transcribe", label="Task")
            language = gr.Dropdown(LANGUAGE_CHOICES, value=DETECT, label="Language")
            texts = [gr.Textbox(label="Committed"), gr.Textbox(label="Partial")]
            send = gr.Button()
        send.click(plainly(caption_chunk), [chunk, final, task, language], texts, api_name="captions", **MODEL)

    def translation_tab(self) -> None:
        gr.Markdown("Record or choose a file in any of 99 languages; read it in English.")
        audio = gr.Audio(sources=["microphone", "upload"], type="filepath", label="Speech")
        with gr.Row():
            self.video_button(audio)
            self.example_button(audio)
            button = self.button_for(audio, "Translate")
        text = gr.Textbox(label="English", lines=4, buttons=["copy"], elem_id="text-translation")
        self.source("translation")
        button.click(plainly(self.translate), audio, text, api_name="translate", **MODEL)

    def synthesis_tab(self) -> None:
        gr.Markdown("Type English text; hear it.")
        text = gr.Textbox(label="Text", lines=4, elem_id="text-synthesis", placeholder="The birch canoe slid on the smooth planks.")
        voice = self.voice()
        button = gr.Button("Speak", variant="primary")
        speech = gr.Audio(label="Speech", interactive=False, elem_id="speech-synthesis")
        self.source("voice")
        button.click(plainly(self.synthesise), [text, voice], speech, api_name="synthesise", **MODEL)

    def speech_to_speech_tab(self) -> None:
        gr.Markdown("Speech in any of 99 languages is translated, then spoken: you hear it while it is made.")
        with gr.Tabs():
            for title, source in SPEECH_TO_SPEECH_TABS:
                with gr.Tab(title):
                    self.speech_to_speech_from(source)
            with gr.Tab("Several files"):
                self.speech_to_speech_of_files()
        self.source("translation")
        self.source("voice")
        self.speech_to_speech_endpoint()

    def speech_to_speech_from(self, source: Literal["microphone", "upload"]) -> None:
        audio = gr.Audio(sources=[source], type="filepath", label="Speech")
        target, shortcut = self.target()
        voice = self.voice()
        with_transcript = gr.Checkbox(label="Also write down what was said (takes about twice as long)")
        with gr.Row():
            if source == "upload":
                self.video_button(audio)
                self.example_button(audio)
            button = self.button_for(audio, "Translate and speak")
            cancel = gr.Button("Cancel", variant="stop", interactive=False)
        player = gr.HTML(html_template=PLAYER_HTML, js_on_load=PLAYER, elem_id=f"player-{source}")
        status = gr.Markdown(elem_id=f"status-{source}", min_height=50)
        text = gr.Textbox(label="Translation", lines=3, max_lines=15, buttons=["copy"], elem_id=f"text-{source}")
        transcript = gr.Textbox(label="What was said", lines=3, max_lines=15, visible=False, elem_id=f"transcript-{source}")
        speech = gr.Audio(label="Translated speech", interactive=False, visible=False, elem_id=f"speech-{source}")
        files = gr.File(label="Files", file_count="multiple", interactive=False, visible=False, elem_id=f"files-{source}")
        outputs = [player, status, text, transcript, speech, files, cancel]

        def run(
            audio: str | None,
            voice: str | None,
            target: str,
            shortcut: bool,
            with_transcript: bool,
            request: gr.Request,
            progress: gr.Progress = gr.Progress(),
        ) -> Iterator[list[Any]]:
            visitor, cancelled = self.visitor(request), threading.Event()
            visitor.streams[source] = cancelled
            hidden, n_played, cascade = gr.update(visible=False, value=None), 0, None
            how = {"with_transcript": with_transcript, "stopped": cancelled.is_set}
            yield [SILENCE, "", "", gr.update(visible=with_transcript, value=""), hidden, hidden, gr.Button(interactive=True)]
            for cascade in self.cascade(audio, voice, target, shortcut, progress, **how):
                piece = gr.skip()
                if len(cascade.sentences) > n_played:
                    piece = _piece(n_played, cascade)
                    n_played += 1
                said = gr.update(value=_with_times(cascade.transcript), visible=with_transcript or bool(cascade.transcript))
                yield [piece, _report(cascade), _with_times(cascade.sentences), said, *[gr.skip()] * 3]
            if cascade is None:
                yield [SILENCE, "Cancelled.", *[gr.skip()] * 5]
                return
            folder = tempfile.mkdtemp(dir=visitor.folder(speech.GRADIO_CACHE))  # new each time, as browsers keep what they got
            written = [str(file) for file in stst.save(cascade, Path(folder), Path(str(audio)).stem)]
            has_speech = bool(cascade.sentences)
            shown = [
                gr.update(visible=has_speech, value=written[0] if has_speech else None),
                gr.update(visible=bool(written), value=written),
            ]
            word = "Cancelled. " if cancelled.is_set() else ""
            yield [gr.skip(), word + _report(cascade), gr.skip(), gr.skip(), *shown, gr.skip()]

        def stop(request: gr.Request) -> Any:
            cancelled = self.visitor(request).streams.get(source)
            if cancelled is not None:
                cancelled.set()
            return SILENCE, "Cancelled. What is done is put together.", gr.Button(interactive=False)

        started = button.click(
            plainly(run),
            [audio, voice, target, shortcut, with_transcript],
            outputs,
            show_progress_on=status,
            api_visibility="private",
            **MODEL,
        )
        for ended in (started.success, started.failure):
            ended(lambda: gr.Button(interactive=False), None, cancel, queue=False, **PRIVATE)
        cancel.click(stop, None, [player, status, cancel], queue=False, **PRIVATE)

    def speech_to_speech_of_files(self) -> None:
        files = gr.File(label="Sound or video files", file_count="multiple", file_types=["audio", "video"], height=140)
        target, shortcut = self.target()
        voice = self.voice()
        with gr.Row():
            button = gr.Button("Translate and speak all", variant="primary", interactive=False)
            cancel = gr.Button("Cancel", variant="stop", interactive=False)
        status = gr.Markdown(elem_id="status-files", min_height=50)
        results = gr.File(label="Files", file_count="multiple", interactive=False, visible=False, elem_id="files-files")
        ready = "(files) => ({interactive: Boolean(files?.length), __type__: 'update'})"
        files.change(None, files, button, js=ready, queue=False, api_visibility="private")

        def run(
            paths: list[str], voice: str | None, target: str, shortcut: bool, request: gr.Request, progress: gr.Progress = gr.Progress()
        ) -> Iterator[tuple[Any, ...]]:
            visitor, cancelled = self.visitor(request), threading.Event()
            visitor.streams["files"] = cancelled
            lines: list[str] = []
            written: list[str] = []
            names = Counter[str]()
            folder = tempfile.mkdtemp(dir=visitor.folder(results.GRADIO_CACHE))
            yield "", gr.update(visible=False, value=None), gr.Button(interactive=True)
            for path in paths:
                if cancelled.is_set():
                    lines.append("Cancelled.")
                    break
                cascade, name = None, Path(path).name
                try:
                    for cascade in self.cascade(path, voice, target, shortcut, progress, stopped=cancelled.is_set):
                        yield _list([*lines, f"{name}: {_report(cascade)}"]), gr.skip(), gr.skip()
                    if cascade is not None:
                        written += [str(file) for file in stst.save(cascade, Path(folder), commandline.unique_name(path, names))]
                        lines.append(f"{name}: {_report(cascade)}")
                except ValueError as error:  # written to be read; the others go on
                    lines.append(f"{name}: {error}")
                yield _list(lines), gr.update(visible=bool(written), value=written), gr.skip()

        def stop(request: gr.Request) -> Any:
            cancelled = self.visitor(request).streams.get("files")
            if cancelled is not None:
                cancelled.set()
            return gr.Button(interactive=False)

        inputs, outputs = [files, voice, target, shortcut], [status, results, cancel]
        started = button.click(plainly(run), inputs, outputs, show_progress_on=status, api_visibility="private", **MODEL)
        for ended in (started.success, started.failure):
            ended(lambda: gr.Button(interactive=False), None, cancel, queue=False, **PRIVATE)
        cancel.click(stop, None, cancel, queue=False, **PRIVATE)

    def speech_to_speech_endpoint(self) -> None:
        """The same for programs, in one piece: a file in, speech and its text out."""
        with gr.Column(visible=False):
            audio = gr.Audio(type="filepath", label="Speech")
            voice = gr.Dropdown(VOICE_CHOICES, value=None, label="Voice")
            target = gr.Textbox("en", label="Target language")
            shortcut = gr.Checkbox(label="Shortcut")
            speech = gr.Audio(label="Translated speech")
            text = gr.Textbox(label="Translation")
            send = gr.Button()
        inputs = [audio, voice, target, shortcut]
        send.click(plainly(self.speech_to_speech_translation), inputs, [speech, text], api_name="speech_to_speech_translation", **MODEL)

    # Parts that several tabs have.

    def language(self, value: str, *roles: str) -> gr.Dropdown:
        """A choice that is shown where a checkpoint in one of these roles knows more than English."""
        dropdown = gr.Dropdown(LANGUAGE_CHOICES, value=value, label="Language spoken", visible=False)
        self.languages.append((roles or ("asr",), dropdown))
        return dropdown

    def voice(self) -> gr.Dropdown:
        dropdown = gr.Dropdown(VOICE_CHOICES, value=None, label="Voice", visible=False)
        self.voices.append(dropdown)
        return dropdown

    def target(self) -> tuple[gr.Dropdown, gr.Checkbox]:
        """The language to speak, and how to come to it: shown where there is a voice for another one than English."""
        target = gr.Dropdown([("English", "en")], value="en", label="Into", visible=False)
        what = "Another language than English by the course's shortcut: Whisper writes down as if it were spoken (quicker, often wrong)"
        shortcut = gr.Checkbox(label=what, visible=False)
        self.targets.append(target)
        self.shortcuts.append(shortcut)
        return target, shortcut

    def source(self, role: str) -> None:
        self.sources.append((role, gr.Markdown("Looking for the model.", elem_classes="source")))

    def button_for(self, audio: gr.Audio, title: str) -> gr.Button:
        """A button that waits for the sound: between Stop and the end of its upload there would be nothing to work on."""
        button = gr.Button(title, variant="primary", interactive=False)
        ready = "(audio) => ({interactive: audio !== null, __type__: 'update'})"
        audio.change(None, audio, button, js=ready, queue=False, api_visibility="private")
        return button

    def video_button(self, audio: gr.Audio) -> None:
        """The recorder refuses files that the browser calls video; their sound is as good."""
        button = gr.UploadButton("Choose a video (mp4, webm)", file_types=["video", "audio"], size="md")
        button.upload(plainly(_sound_of), button, audio, api_visibility="private")

    def example_button(self, audio: gr.Audio) -> None:
        button = gr.Button("First example: VoxPopuli, Italian", visible=False)
        button.click(plainly(stst.first_example), None, audio, api_visibility="private")
        self.examples.append(button)


def _spoken(language: str) -> str | None:
    return None if language == DETECT else language


def _begin(name: str) -> str:
    """The last input, which nobody sees, becomes which recording begins."""
    return f"(...inputs) => [...inputs.slice(0, -1), window.microphones?.begin('{name}', {1000 * STREAM_EVERY:g}) ?? null]"


def _finish(name: str) -> str:
    """The last input, which nobody sees, becomes which recording ends, and how many chunks were sent of it."""
    return f"(...inputs) => [...inputs.slice(0, -1), window.microphones?.sent('{name}') ?? null]"


def _sound_of(path: str) -> tuple[int, Any]:
    return SAMPLING_RATE, to_pcm16(load_audio(path))


# --- command line -------------------------------------------------------------------------------------------------


def parse(arguments: Sequence[str] | None = None) -> tuple[Settings, argparse.Namespace]:
    """What was chosen on the command line, else in the environment, else the defaults."""
    parser = commandline.new_parser("Speech recognition, translation and synthesis in the browser.")
    add = functools.partial(commandline.add, parser)
    add("host", os.environ.get("GRADIO_SERVER_NAME", "127.0.0.1"), "address to listen on; 0.0.0.0 is every one of this machine's")
    add("port", int(os.environ.get("GRADIO_SERVER_PORT", 7860)), "port to listen on", type=int)
    add("auth", None, "USER:PASSWORD that visitors must give")
    add("max_upload", "200mb", "largest file that is accepted")
    share = os.environ.get(f"{commandline.ENVIRONMENT_PREFIX}SHARE", "").lower() in ("1", "true", "yes")
    parser.add_argument("--share", action="store_true", default=share, help="also give the page a public address for 72 hours")
    options = parser.parse_args(arguments)
    if options.auth is not None and ":" not in options.auth:
        parser.error("--auth takes USER:PASSWORD")
    return commandline.settings_of(options), options


def main() -> None:
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    settings, options = parse()
    if os.environ.get("SPACES_ZERO_GPU"):  # ZeroGPU moves to its GPU only what was put on "cuda" before the first call
        load_everything(settings)
    Page(settings).build().launch(
        server_name=options.host,
        server_port=options.port,
        share=options.share,
        auth=tuple(options.auth.split(":", 1)) if options.auth else None,
        max_file_size=options.max_upload,
        head=HEAD,
        run_history=False,  # it would keep a visitor's inputs in the browser for whoever sits there next
        show_error=True,
    )


def load_everything(settings: Settings) -> None:
    """Every model of every tab, now rather than on first use."""
    checkpoints.load_whisper(settings.asr_checkpoint, settings)
    checkpoints.load_whisper(settings.translation_checkpoint, settings)
    if tts.default_voice(settings) == "SpeechT5":
        checkpoints.load_speecht5(settings)
    else:
        checkpoints.load_embedded_voice()


if __name__ == "__main__":
    main()
