"""The page: one builder per tab, event handlers; launch.

Knows: Gradio, what a visitor sees and what a click does. Does not know: how what they ask for is done and within which
limits (service.py), for how long what was said is kept (visitors.py), in which words a person is told of it (telling.py), or how programs
come in (endpoints.py).
"""

from __future__ import annotations

import quick_gradio  # noqa: F401  before all that imports gradio

# isort: split
import argparse
import base64
import functools
import html
import importlib.util
import json
import logging
import os
import re
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import gradio as gr
from gradio.events import Dependency
from gradio.utils import get_upload_folder
from starlette.middleware import Middleware

import asr
import checkpoints
import commandline
import doors
import endpoints
import how_it_works
import stst
import translations
import tts
from audio import SAMPLING_RATE, NoSpeechError, Recording, load_audio, to_pcm16
from checkpoints import Report, Settings, language_name
from endpoints import DETECT, MODEL, STEP, chosen_language
from errors import RefusalError
from quick_page import QuickPage
from service import Service
from streams import ACCUMULATED, CHUNK_ONLY, StreamingMode
from telling import (
    Cue,
    Playing,
    captions_html,
    captions_status,
    cascade_status,
    in_words,
    listed,
    listening,
    model_line,
    no_room,
    plainly,
    progress_report,
    say,
    segments_html,
    speech_cues,
    stream_status,
    t,
    voice_line,
    with_times,
)
from visitors import LimitError, Sent, Visitor

STREAM_EVERY = 0.5  # seconds of sound in a chunk; below that, Gradio loses and reorders chunks
IN_FLIGHT_SECONDS = 5.0  # after Stop, chunks that the page has sent are waited for that long
# As tall as its text, within limits; beyond them the newest words stay in sight unless somebody scrolls up.
LIVE = """<div style="display: flex; flex-direction: column-reverse; min-height: 6em; max-height: 14em; overflow-y: auto">
<div style="margin-bottom: auto !important; font-size: var(--text-lg)">${value}</div></div>"""
HERE = Path(__file__).parent
RECORDER = r"import\(`\./(module-[\w-]+\.js)`\)"  # in the script of Gradio's microphone: what it asks for once it is shown
PLAYER = (HERE / "player.js").read_text(encoding="utf-8")
SEGMENTS = (HERE / "segments.js").read_text(encoding="utf-8")
PLAYER_HTML = '<button class="sm secondary" hidden></button> <span></span>'
SENTENCE = "<p style='white-space: pre-line'>${value.replaceAll('&', '&amp;').replaceAll('<', '&lt;')}</p>"
SAID_BY_SCRIPTS = ("Finishing", "Pause", "Play", "Played {} of {}", "Playing {} of {}", "Speech")
SILENCE = {"run": "", "rate": 0, "pieces": []}  # what the player is given to be quiet
CANCELLED = "Cancelled. What is done is put together."
LATER_SECONDS = 1.0  # from a page's start until what is on tabs behind others is loaded
CLOCK_SECONDS = 2.0  # between two looks at how far the captions are
SWEEP_SECONDS = 300.0  # between two looks at what lies around
PAGES_PER_VISITOR = 4  # open at a time, of whoever only looks
QUEUE_SECONDS = 0.01  # between two looks for an event; Gradio's thousand a second take a sixteenth of a core while nothing happens
NO_FILES = "The server's disk is full, so there are no files to download."
# A screen reader reads what is new when it has time.
POLITE = "element.setAttribute('aria-live', 'polite'); element.setAttribute('aria-atomic', 'false')"
PRIVATE: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
STOP: dict[str, Any] = {"trigger_mode": "multiple", **STEP, **PRIVATE}  # the next recording's may come before the last one's is done
LANGUAGE_CHOICES = [(str(t("Detect")), DETECT), *((str(t(language.title())), language) for language in asr.LANGUAGES)]
SPEECH_TO_SPEECH_TABS: list[tuple[str, Literal["microphone", "upload"]]] = [("Microphone", "microphone"), ("Audio File", "upload")]
TASK_CHOICES = [(str(t("Transcribe")), "transcribe"), (str(t("Translate to English")), "translate")]
VOICE_CHOICES = [
    (str(t("SpeechT5 in the course's voice")), "SpeechT5"),
    *((f"SpeechT5 {speaker}: " + t(who), speaker) for speaker, who in checkpoints.SPEAKERS.items()),
    *([(str(t("Embedded voice")), "embedded")] if importlib.util.find_spec("hibari") else ()),
]
EXAMPLE_WIDTH = 90  # pixels at least; three fit beside each other on a phone
CSS = """
#how-it-works :is(td, th) { word-break: normal; overflow-wrap: normal; }  /* Gradio breaks words, even short ones */
#how-it-works table { display: block; overflow-x: auto; }  /* wider than a phone */
@media (max-width: 640px) { #how-it-works :is(td, th) { padding: 4px; font-size: var(--text-sm); } }
.block.sentence .html-container { padding: 0; }
.block.progress:has(.pending, .generating) { min-height: 80px; }  /* as tall as Gradio's bar, for a whole run */
.dark { --color-accent: var(--primary-500); }  /* the theme has one accent for both, and on black the darker one is too dark */
"""
# Gradio's own colours have too little contrast for many: 1.9 for what is grey, 2.8 for what is orange, where 4.5 is enough.
# Of Gradio's fonts, the page needs one.
THEME = gr.themes.Default(font_mono=["ui-monospace", "Consolas", "monospace"]).set(
    color_accent="*primary_700",
    button_primary_background_fill="*primary_700",
    button_primary_background_fill_hover="*primary_800",
    button_primary_background_fill_dark="*primary_700",
    button_primary_background_fill_hover_dark="*primary_800",
    body_text_color_subdued="*neutral_500",
)
ENGLISH_EXAMPLE = "The quick brown fox jumps over the lazy dog. Rice is often served in round bowls."
EXAMPLES = {"Example in Italian": HERE / "examples" / "conteggio.ogg", "Example in French": HERE / "examples" / "bonjour_monde.ogg"}


@dataclass(frozen=True)
class Examples:
    """Buttons that put a sound where somebody's own would be."""

    audio: gr.Audio
    buttons: Sequence[gr.Button]
    sound: Callable[[gr.Button, Visitor, Report], str | None]  # a file; None for a button that is none of these


def sentence(value: Any = "", elem_classes: Sequence[str] = (), **how: Any) -> gr.HTML:
    """Text that is never markup. Gradio's Markdown would bring a parser and a highlighter of code with it."""
    return gr.HTML(value, html_template=SENTENCE, js_on_load=None, elem_classes=["sentence", *elem_classes], **how)


def place_for_progress() -> gr.HTML:
    """Where Gradio shows its bar: on a component with text it would hide the text.

    Progress is told after what is shown, not before: Gradio takes the bar away with all that it shows.
    """
    return sentence(elem_classes=["progress"])


# --- the page -----------------------------------------------------------------------------------------------------


class Page:
    """The handlers and tabs of one app, around what whoever started it chose."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.service = Service(settings, Path(get_upload_folder()))
        self.languages: list[tuple[Sequence[str], gr.Dropdown | gr.Accordion]] = []  # shown once one of these is known to be multilingual
        self.later: list[gr.Accordion | gr.Radio | gr.Checkbox | gr.File] = []  # on tabs behind others: shown once the page is up
        self.sources: list[tuple[str, gr.HTML]] = []  # with what they tell of: "asr", "translation" or "voice"
        self.voices: list[gr.Dropdown] = []
        self.examples: list[gr.Button] = []  # of the Hub's
        self.foreign_examples: list[gr.Button] = []  # for what may know English only
        self.texts: dict[str, gr.Textbox] = {}  # that a reload does not lose
        self.runs: list[tuple[str, Dependency, gr.Button]] = []  # by name, with the button that cancels it

    def build(self) -> gr.Blocks:
        with gr.Blocks(title="Speech", analytics_enabled=False) as demo:
            endpoints.add(self.service)  # first: the tabs' own events would take the names of the functions that they share
            gr.HTML(t("Speech"), html_template="<h1>${value}</h1>", elem_classes="sentence")
            sentence(t("Speak or choose a file: read it, read it in English, or hear it in English."))
            with gr.Tabs():
                with gr.Tab(t("Speech recognition")), gr.Tabs():
                    with gr.Tab(t("Full context"), id="full"):
                        self.full_context_tab()
                    with gr.Tab(t("Streaming, accumulated"), id="accumulated"):
                        self.streaming_tab(ACCUMULATED, "Press record and speak: everything said so far is decoded again and again.")
                    with gr.Tab(t("Streaming, chunk only"), id="chunks"):
                        self.streaming_tab(CHUNK_ONLY, "Press record and speak: each piece is decoded alone, and its text added to a list.")
                    with gr.Tab(t("Live captions"), id="captions"):
                        self.captions_tab()
                with gr.Tab(t("Speech translation")):
                    self.translation_tab()
                with gr.Tab(t("Text to speech")):
                    self.synthesis_tab()
                with gr.Tab(t("Speech-to-speech translation")):
                    self.speech_to_speech_tab()
                with gr.Tab(t("How it works")) as tab:
                    explanation, picture = gr.Markdown(elem_id="how-it-works", visible=False), gr.HTML()
            tab.select(self.explain, None, [explanation, picture], api_visibility="private")
            sources, languages = [source for _, source in self.sources], [choice for _, choice in self.languages]
            choices = [*languages, *self.voices, self.target, self.shortcut, *self.examples, *self.foreign_examples]
            outputs = [*sources, *choices]
            remembered = gr.JSON(visible=False)  # the voice that was chosen in this browser
            # What is hidden, the browser does not load before there is something to click on.
            shown = f"Array({len(self.later)}).fill({{ visible: true, __type__: 'update' }})"
            show = f"() => new Promise((tell) => setTimeout(() => tell({shown}), {1000 * LATER_SECONDS:g}))"
            demo.load(None, None, self.later, js=show, **PRIVATE)
            demo.load(None, None, None, js="() => { document.title = window.say?.('Speech') ?? document.title; }", **PRIVATE)
            demo.load(self.prepare, remembered, outputs, js="() => [window.session?.voice() ?? null]", **PRIVATE)
            for voice in self.voices:  # chosen on one tab, it is chosen on all
                chosen = f"(voice) => {{ window.session?.choose(voice); return Array({len(self.voices)}).fill(voice); }}"
                voice.input(None, voice, self.voices, js=chosen, queue=False, api_visibility="private")
            for name, run, cancel in self.runs:
                for ended in (run.success, run.failure):
                    ended(self.tell_ended(name), None, [cancel, *sources], queue=False, **PRIVATE)
            names, texts = json.dumps([*self.texts]), [*self.texts.values()]
            keep = f"(...texts) => {{ window.session?.keep({names}, texts); }}"
            gr.on([text.change for text in texts], None, texts, None, js=keep, queue=False, api_visibility="private")
            demo.load(None, None, texts, js=f"() => window.session?.kept({names})", api_visibility="private")
            demo.unload(self.leave)
        return demo

    # Handlers: what a click does.

    def leave(self, request: gr.Request) -> None:
        self.service.visitors.leave(request.session_hash)

    def prepare(self, voice: str | None) -> list[Any]:
        """Tells, once a page is up, which weights there are: finding out asks the Hub, but loads nothing.

        Then torch and transformers are imported, while whoever has opened the page reads it and speaks.
        """
        find: dict[str, Callable[[], checkpoints.Source]] = {
            "asr": lambda: checkpoints.find_whisper(self.settings.asr_checkpoint),
            "translation": lambda: checkpoints.find_whisper(self.settings.translation_checkpoint),
            "voice": lambda: checkpoints.find_voice(self.settings),
        }
        found: dict[str, checkpoints.Source] = {}
        for role in find:
            with suppress(RefusalError):  # its status line says so
                found[role] = find[role]()
        multilingual = {role for role in ("asr", "translation") if role in found and checkpoints.is_multilingual(found[role])}
        both_voices = "voice" in found and found["voice"].kind != "embedded"
        targets = [(say(language_name(code)), code) for code in stst.targets(self.settings)]
        lines = self.status_lines({})
        threading.Thread(target=checkpoints.import_frameworks, daemon=True).start()
        return [
            *lines,
            *[gr.update(visible=not multilingual.isdisjoint(roles)) for roles, _ in self.languages],
            *[gr.update(visible=both_voices, value=(voice or "SpeechT5") if both_voices else None) for _ in self.voices],
            gr.update(visible=len(targets) > 1, choices=targets, value="en"),
            gr.update(visible=len(targets) > 1),
            *[gr.update(visible=checkpoints.hub_reachable()) for _ in self.examples],
            *[gr.update(visible="asr" in multilingual) for _ in self.foreign_examples],
        ]

    def tell_ended(self, name: str) -> Callable[..., list[Any]]:
        """Cancel, and the status lines, once a visitor's run of this name is over."""

        def tell(request: gr.Request) -> list[Any]:
            try:
                visitor = self.service.visitor(request)
            except LimitError:  # the run has said so
                return [gr.Button(visible=False), *self.status_lines({})]
            return [gr.Button(visible=name in visitor.runs), *self.status_lines(visitor.factors)]

        return tell

    def status_lines(self, factors: Mapping[str, float]) -> list[str]:
        """Which checkpoint, from where, on what and how exactly it computes, how fast the last run was."""
        lines = {}
        for role, name in (("asr", self.settings.asr_checkpoint), ("translation", self.settings.translation_checkpoint)):
            lines[role] = model_line(name, self.settings, factors.get(role), precise=role == "translation")
        lines["voice"] = voice_line(self.settings, factors.get("voice"))
        return [lines[role] for role, _ in self.sources]

    def explain(self) -> tuple[gr.Markdown, str]:
        """When the tab is opened, and not before: the picture weighs as much as the rest of the page's own."""
        picture = base64.b64encode((HERE / "benchmarks" / "streaming.png").read_bytes()).decode()
        shows = say("Accumulated: the delay grows by the second. Chunk only and live captions: it stays.")
        image = f'<img src="data:image/png;base64,{picture}" alt="{html.escape(shows)}" style="max-width: 100%">'
        return gr.Markdown(how_it_works.page(say), visible=True), image

    # Tabs: what is where.

    def full_context_tab(self) -> None:
        sentence(t("Record or choose a file; the whole of it is decoded at once."))
        audio = gr.Audio(sources=["microphone", "upload"], type="filepath", label=t("Speech"), buttons=["download"])
        with gr.Row():
            button = self.button_for(audio, "Transcribe")
            self.video_button(audio)
            cancel = self.cancel_button("full", audio)
        examples = self.example_buttons("full", audio)
        language = self.language_by_itself(DETECT)
        progress_bar = place_for_progress()
        text = self.text("full", "Transcription", lines=4)
        recording, segments = self.playable("full", "Recording with subtitles")
        files = self.subtitle_files("full")
        self.source("asr")

        def run(audio: str | None, language: str, visitor: Visitor, report: Report) -> Iterator[list[Any]]:
            import captions

            decoded = None
            with visitor.cancellable("full") as run:
                for decoded in self.service.transcribed(audio, chosen_language(language), visitor, report, run.is_set, word_times=True):
                    if visitor.is_current("full", run):  # what stood there for the last recording goes with the first words
                        yield [decoded.text, *_played(None, (), "full", 0.0), *_offered(())]
                if decoded is None or not visitor.is_current("full", run):
                    return
                written = self.service.subtitles("transcription", decoded.words, visitor)
                cues = captions.cues(decoded.words)
                yield [decoded.text, *_played(audio, cues, "full", decoded.end), *_offered(written if cues else ())]

        outputs = [text, recording, segments, *files]
        self.on_run(button, "full", run, [audio, language], outputs, cancel, examples, show_progress_on=progress_bar)

    def streaming_tab(self, mode: StreamingMode[Any], does: str) -> None:
        sentence(t(does))
        microphone, sent = self.microphone(mode.name)
        # A short piece in another language than the page expects is heard as nonsense, so it starts with the checkpoint's own.
        language = self.language_by_itself("english" if self.settings.asr_checkpoint.endswith(".en") else DETECT)
        text = self.text(mode.name, "Transcription", lines=4)
        cost = sentence(elem_id=f"cost-{mode.name}")
        timer = gr.Timer(STREAM_EVERY, active=False)
        self.source("asr")

        def begin(sent: Sent, request: gr.Request) -> tuple[Any, ...]:
            self.service.visitor(request, to_begin=True).begin(mode.name, mode.begin(Recording(self.settings.max_seconds)), sent)
            return "", listening("transcribe", self.settings), gr.Timer(active=True)

        def decode(language: str, request: gr.Request) -> Any:
            try:
                stream = self.service.decode(mode, mode.name, chosen_language(language), self.service.visitor(request))
            except Exception as error:  # told once, where the next tick would tell it again
                return gr.skip(), in_words(error, mode.name), gr.Timer(active=False)
            return (stream.text, stream_status(mode, stream, self.settings), gr.skip()) if stream else (gr.skip(), gr.skip(), gr.skip())

        def finish(language: str, sent: Sent, request: gr.Request) -> tuple[Any, ...]:
            visitor = self.service.visitor(request)
            try:
                heard = visitor.heard_all(mode.name, sent, IN_FLIGHT_SECONDS)
                stream = self.service.decode(mode, mode.name, chosen_language(language), visitor, sent) if heard else None
            except Exception as error:  # as above, and the ticks end all the same
                return gr.skip(), in_words(error, mode.name), gr.Timer(active=False)
            if stream is None and mode.name in visitor.streams:  # a new recording has begun meanwhile
                return gr.skip(), gr.skip(), gr.skip()
            if stream is None or not stream.text:
                return "", say(str(NoSpeechError())), gr.Timer(active=False)
            return stream.text, stream_status(mode, stream, self.settings), gr.Timer(active=False)

        def settle(request: gr.Request) -> Any:
            """Shows the end again: what a tick decoded just before it may have reached the page after it."""
            stream = self.service.visitor(request).streams.get(mode.name)
            return (stream.text, stream_status(mode, stream, self.settings)) if stream and stream.text else (gr.skip(), gr.skip())

        outputs = [text, cost, timer]
        microphone.start_recording(plainly(begin), sent, outputs, js=_begin(mode.name), queue=False, **PRIVATE)
        timer.tick(plainly(decode), language, outputs, trigger_mode="once", **STEP, **PRIVATE)
        stop = microphone.stop_recording(plainly(finish), [language, sent], outputs, js=_finish(mode.name), **STOP)
        stop.then(plainly(settle), None, [text, cost], **PRIVATE)

    def microphone(self, name: str) -> tuple[gr.Audio, gr.JSON]:
        """A microphone whose chunks go to the visitor's stream of this name, all of them and in order.

        Returns:
            It, and what the page tells of each chunk, of the beginning and of the end: which recording, how many chunks.
        """
        microphone = gr.Audio(sources=["microphone"], streaming=True, type="filepath", label=t("Speech"), elem_id=f"mic-{name}")
        sent = gr.JSON(visible=False)

        def hear(chunk: str | None, sent: Sent, request: gr.Request) -> None:
            try:
                stream = self.service.visitor(request).stream(name, sent)
            except LimitError:  # the recording was refused when it began; what it goes on sending is deleted
                stream = None
            if chunk is not None:
                self.service.hear(stream.recording if stream else None, chunk, sent["chunks"] if sent else None)

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

    def captions_tab(self) -> None:
        sentence(t("Press record, talk, and read along for as long as you like. Lighter words may still change."))
        microphone, sent = self.microphone("captions")
        with gr.Accordion(t("Choices"), open=False, visible=False) as choices:
            task = gr.Radio(TASK_CHOICES, value="transcribe", label=t("Task"), visible=False)
            language = self.language(DETECT, "asr", "translation")
        self.later += [choices, task]
        live = gr.HTML(elem_id="live-captions", html_template=LIVE, container=True, js_on_load=POLITE)
        text = self.text("captions", "Captions", lines=4, max_lines=20, visible=False)
        status = sentence(elem_id="status-captions")
        files = self.subtitle_files("captions")
        timer, clock = gr.Timer(STREAM_EVERY, active=False), gr.Timer(CLOCK_SECONDS, active=False)
        self.source("asr")

        def begin(task: str, language: str, sent: Sent, request: gr.Request) -> list[Any]:
            self.service.visitor(request, to_begin=True).begin(
                "captions", self.service.begin_captions(task, chosen_language(language)), sent
            )
            return shown("", listening(task, self.settings), live=True)

        def decode(request: gr.Request) -> tuple[Any, ...]:
            try:
                visitor = self.service.visitor(request)
                before, stream = visitor.streams.get("captions"), self.service.caption("captions", visitor)
            except Exception as error:  # told once, where the next tick would tell it again
                return gr.skip(), in_words(error, "captions"), gr.Timer(active=False), gr.Timer(active=False)
            if stream is None or stream is before or stream.is_over:
                return gr.skip(), gr.skip(), gr.skip(), gr.skip()
            return captions_html(stream), captions_status(stream, self.settings), gr.skip(), gr.skip()

        def tell(request: gr.Request) -> Any:
            """The line under the captions: while a decode waits for its turn, and once more after the end."""
            stream = self.service.visitor(request).streams.get("captions")
            return gr.skip() if stream is None or (stream.is_over and not stream.captions.words) else captions_status(stream, self.settings)

        def finish(sent: Sent, request: gr.Request) -> list[Any]:
            visitor = self.service.visitor(request)
            try:
                heard = visitor.heard_all("captions", sent, IN_FLIGHT_SECONDS)
                stream = self.service.caption("captions", visitor, final=True, sent=sent) if heard else None
            except Exception as error:  # as above, and the ticks end all the same
                before = visitor.streams.get("captions")
                return shown(before.captions.committed if before and before.captions else "", in_words(error, "captions"))
            if stream is None and "captions" in visitor.streams:  # a new recording has begun meanwhile
                return [gr.skip() for _ in outputs]
            if stream is None or stream.captions is None or not stream.captions.words:
                return shown("", say(str(NoSpeechError())))
            words = stream.captions.words
            written = self.service.subtitles("captions", words, visitor)
            return shown(stream.captions.committed, captions_status(stream, self.settings), written)

        def shown(said: str, told: str, written: Sequence[Path | None] = (), live: bool = False) -> list[Any]:
            """All that is on the tab: while one speaks the captions, after Stop the whole text and its files."""
            return [
                gr.HTML("", visible=live or not said),
                gr.Textbox(said, visible=bool(said)),
                told,
                *_offered(written),
                gr.Timer(active=live),
                gr.Timer(active=live),
            ]

        live.change(None, live, None, js="(markup) => { window.session?.keepCaptions(markup); }", queue=False, **PRIVATE)
        outputs = [live, text, status, *files, timer, clock]
        microphone.start_recording(plainly(begin), [task, language, sent], outputs, js=_begin("captions"), queue=False, **PRIVATE)
        timer.tick(plainly(decode), None, [live, status, timer, clock], trigger_mode="once", **STEP, **PRIVATE)
        clock.tick(plainly(tell), None, status, trigger_mode="once", concurrency_limit=None, **PRIVATE)
        stop = microphone.stop_recording(plainly(finish), sent, outputs, js=_finish("captions"), **STOP)
        stop.then(plainly(tell), None, status, **PRIVATE)

    def translation_tab(self) -> None:
        sentence(t("Record or choose a file in any of 99 languages; read it in English."))
        audio = gr.Audio(sources=["microphone", "upload"], type="filepath", label=t("Speech"), buttons=["download"])
        with gr.Row():
            button = self.button_for(audio, "Translate")
            self.video_button(audio)
            cancel = self.cancel_button("translation", audio)
        examples = self.example_buttons("translation", audio, foreign=True)
        progress_bar = place_for_progress()
        text = self.text("translation", "English", lines=4)
        self.source("translation")

        def run(audio: str | None, visitor: Visitor, report: Report) -> Iterator[list[Any]]:
            with visitor.cancellable("translation") as run:
                for decoded in self.service.translated(audio, visitor, report, run.is_set):
                    if visitor.is_current("translation", run):
                        yield [decoded.text]

        self.on_run(button, "translation", run, [audio], [text], cancel, examples, show_progress_on=progress_bar)

    def synthesis_tab(self) -> None:
        sentence(t("Type English text; hear it."))
        text = gr.Textbox(label=t("Text"), lines=4, elem_id="text-synthesis", placeholder=t("The birch canoe slid on the smooth planks."))
        voice = self.voice()
        with gr.Row():
            button = gr.Button(t("Speak"), variant="primary")
            cancel = self.cancel_button("synthesis")
        player = gr.HTML(html_template=PLAYER_HTML, js_on_load=PLAYER, elem_id="player-synthesis")
        progress_bar, status = place_for_progress(), sentence(elem_id="status-synthesis")
        speech = gr.Audio(label=t("Speech"), interactive=False, buttons=["download"], elem_id="speech-synthesis")
        self.source("voice")

        def run(text: str, voice: str | None, visitor: Visitor, report: Report) -> Iterator[list[Any]]:
            parts, seconds, ended = list[tts.Spoken](), 0.0, ""
            playing = Playing()
            with visitor.cancellable("synthesis") as run:
                try:
                    for part in self.service.synthesised(text, voice, visitor, report, run.is_set):
                        if not visitor.is_current("synthesis", run):
                            return
                        parts.append(part)
                        seconds += len(part.speech) / part.sampling_rate
                        playing.add(part.sampling_rate, part.speech)
                        yield [playing.value, say(f"{seconds:.1f} s of speech."), None]
                except LimitError as error:  # what is spoken until then is put together all the same
                    ended = say(str(error))
                if not visitor.is_current("synthesis", run):
                    return
                if run.is_set():
                    ended = say("Cancelled.")
                if not parts:
                    yield [SILENCE, ended, gr.skip()]
                    return
                told = f"{ended} {say(f'{seconds:.1f} s of speech.')}"
                try:
                    yield [playing.value, told, self.service.sound_file("speech", tts.joined(parts), visitor)]
                except OSError:
                    yield [playing.value, f"{told} {say(NO_FILES)}", gr.skip()]

        self.on_run(button, "synthesis", run, [text, voice], [player, status, speech], cancel, show_progress_on=progress_bar)
        cancel.click(self.fall_silent("synthesis"), None, [player, status], queue=False, **PRIVATE)

    def speech_to_speech_tab(self) -> None:
        sentence(t("Speech in any of 99 languages is translated, then spoken: you hear it while it is made."))
        # The language to speak, and how to come to it: shown where there is a voice for another one than English.
        self.target = gr.Dropdown([(str(t("English")), "en")], value="en", label=t("Into"), visible=False)
        what = "Another language than English by the course's shortcut: Whisper writes down as if it were spoken (quicker, often wrong)"
        self.shortcut = gr.Checkbox(label=t(what), visible=False)
        how = [self.voice(), self.target, self.shortcut]
        with gr.Tabs():
            for title, source in SPEECH_TO_SPEECH_TABS:
                with gr.Tab(t(title)):
                    self.speech_to_speech_from(source, how)
            with gr.Tab(t("Several files")):
                self.speech_to_speech_of_files(how)
        self.source("translation")
        self.source("voice")

    def speech_to_speech_from(self, source: Literal["microphone", "upload"], how: list[Any]) -> None:
        audio = gr.Audio(sources=[source], type="filepath", label=t("Speech"), buttons=["download"])
        with gr.Accordion(t("Choices"), open=False, visible=False) as choices:
            with_transcript = gr.Checkbox(label=t("Also write down what was said (takes about twice as long)"), visible=False)
        self.later += [choices, with_transcript]
        with gr.Row():
            button = self.button_for(audio, "Translate and speak")
            if source == "upload":
                self.video_button(audio)
            cancel = self.cancel_button(source, audio)
        examples = self.example_buttons(source, audio, foreign=True) if source == "upload" else None
        player = gr.HTML(html_template=PLAYER_HTML, js_on_load=PLAYER, elem_id=f"player-{source}")
        progress_bar, status = place_for_progress(), sentence(elem_id=f"status-{source}")
        text = self.text(source, "Translation, with its times in the recording", lines=3, max_lines=15)
        transcript = gr.Textbox(label=t("What was said"), lines=3, max_lines=15, visible=False, elem_id=f"transcript-{source}")
        speech, segments = self.playable(source, "Translated speech")
        files = gr.File(label=t("Files"), file_count="multiple", interactive=False, visible=False, elem_id=f"files-{source}")
        outputs = [player, status, text, transcript, speech, segments, files]

        def run(
            audio: str | None,
            voice: str | None,
            target: str,
            shortcut: bool,
            with_transcript: bool,
            visitor: Visitor,
            report: Report,
        ) -> Iterator[list[Any]]:
            hidden, playing, cascade, ended = gr.update(visible=False, value=None), Playing(), None, ""
            with visitor.cancellable(source) as run:
                yield [SILENCE, "", "", gr.update(visible=with_transcript, value=""), hidden, hidden, hidden]
                try:
                    for cascade in self.service.cascade(audio, voice, target, shortcut, visitor, report, run.is_set, with_transcript):
                        if not visitor.is_current(source, run):
                            return
                        for sentence in cascade.sentences[len(playing) :]:
                            playing.add(cascade.sampling_rate, sentence.speech)
                        said = gr.update(value=with_times(cascade.transcript), visible=with_transcript or bool(cascade.transcript))
                        yield [playing.value, cascade_status(cascade, is_over=False), with_times(cascade.sentences), said, *[gr.skip()] * 3]
                except LimitError as error:  # what is done until then is put together all the same
                    ended = say(str(error))
                if not visitor.is_current(source, run):
                    return
                if run.is_set():
                    ended = say("Cancelled.")
                if cascade is None:
                    yield [SILENCE, ended, *[gr.skip()] * 5]
                    return
                written, full = _saved(cascade, visitor, self.service.cache, Path(str(audio)).stem)
                seconds = len(cascade.speech) / max(1, cascade.sampling_rate)
                played = _played(written[0] if written and cascade.sentences else None, speech_cues(cascade), source, seconds)
                listed_files = gr.update(visible=bool(written), value=written)
                yield [playing.value, f"{ended} {cascade_status(cascade)} {full}", gr.skip(), gr.skip(), *played, listed_files]

        given = [audio, *how, with_transcript]
        self.on_run(button, source, run, given, outputs, cancel, examples, show_progress_on=progress_bar)
        cancel.click(self.fall_silent(source), None, [player, status], queue=False, **PRIVATE)

    def speech_to_speech_of_files(self, how: list[Any]) -> None:
        files = gr.File(label=t("Sound or video files"), file_count="multiple", file_types=["audio", "video"], height=140, visible=False)
        self.later.append(files)
        with gr.Row():
            button = gr.Button(t("Translate and speak all"), variant="primary", interactive=False)
            cancel = self.cancel_button("files", files)
        progress_bar = place_for_progress()
        status = gr.HTML(elem_id="status-files", elem_classes="sentence", js_on_load=None)
        results = gr.File(label=t("Files"), file_count="multiple", interactive=False, visible=False, elem_id="files-files")

        def given(paths: list[str] | None, request: gr.Request) -> gr.Button:
            for path in paths or ():
                self.service.own(path, self.service.visitor(request))
            return gr.Button(interactive=bool(paths))

        files.change(plainly(given), files, button, queue=False, **PRIVATE)

        def run(paths: list[str], voice: str | None, target: str, shortcut: bool, visitor: Visitor, report: Report) -> Iterator[list[Any]]:
            names, lines, written = set[str](), list[str](), list[str]()
            with visitor.cancellable("files") as run:
                yield ["", gr.update(visible=False, value=None)]
                for path in paths:
                    if run.is_set():
                        break
                    cascade, name, ended = None, Path(path).name, ""
                    try:
                        for cascade in self.service.cascade(path, voice, target, shortcut, visitor, report, run.is_set):
                            if not visitor.is_current("files", run):
                                return
                            yield [listed([*lines, f"{name}: {cascade_status(cascade, is_over=False)}"]), gr.skip()]
                    except Exception as error:  # the others go on
                        ended = in_words(error, "files")
                    if cascade is not None:
                        saved, full = _saved(cascade, visitor, self.service.cache, commandline.unique_name(path, names))
                        written += saved
                        ended = f"{ended} {cascade_status(cascade)} {full}"
                    if ended:
                        lines.append(ended if ended.startswith(name) else f"{name}: {ended}")
                    if not visitor.is_current("files", run):
                        return
                    yield [listed(lines), gr.update(visible=bool(written), value=written)]
                yield [listed([*lines, say("Cancelled.")] if run.is_set() else lines), gr.skip()]

        self.on_run(button, "files", run, [files, *how], [status, results], cancel, show_progress_on=progress_bar)

    # Parts that several tabs have.

    def cancel_button(self, name: str, given: gr.Audio | gr.File | None = None) -> gr.Button:
        """Seen while what has this name runs, for `on_run`. To take away the sound it works on cancels it, too."""

        def cancel(request: gr.Request) -> None:
            self.service.visitor(request).cancel(name)

        button = gr.Button(t("Cancel"), variant="stop", visible=False)
        gr.on([button.click, *([given.clear] if given is not None else [])], cancel, None, None, queue=False, **PRIVATE)
        return button

    def fall_silent(self, name: str) -> Callable[..., list[Any]]:
        """For Cancel's player and status line. A run that had just ended has said so itself."""

        def silence(request: gr.Request) -> list[Any]:
            return [SILENCE, say(CANCELLED) if self.service.visitor(request).cancel(name) else gr.skip()]

        return silence

    def on_run(
        self,
        button: gr.Button,
        name: str,
        run: Callable[..., Iterator[list[Any]]],
        inputs: list[Any],
        outputs: list[Any],
        cancel: gr.Button,
        examples: Examples | None = None,
        **how: Any,
    ) -> None:
        """What begins a run. One that begins before the last has ended takes its place; Cancel is seen meanwhile.

        Args:
            run: takes the inputs, the visitor, and what is told how far it is; yields the outputs.
            examples: buttons which begin it, too, with a sound of their own in place of the first input.
        """

        def ask(request: gr.Request) -> gr.Button:
            with suppress(LimitError):  # the run says so
                self.service.visitor(request).ask(name)
            return gr.Button(visible=True)

        # Gradio's own come first: only before what a handler takes any number of does it give them.
        def begin(clicked: gr.EventData, request: gr.Request, progress: gr.Progress = gr.Progress(), *given: Any) -> Iterator[list[Any]]:
            visitor = self.service.visitor(request, to_begin=True)  # once: who leaves meanwhile is not to be taken for somebody who is back
            report = progress_report(progress)
            # Where a run shows nothing, cancelled before its first word, Gradio would empty all, the recording too.
            yield [gr.skip() for _ in shown]
            if examples and (example := examples.sound(cast(gr.Button, clicked.target), visitor, report)):
                given = (example, *given[1:])
                yield [example, *[gr.skip() for _ in outputs]]
            for update in run(*given, visitor, report):
                yield [gr.skip(), *update] if examples else update

        clicks = [each.click for each in (button, *(examples.buttons if examples else ()))]
        shown = [examples.audio, *outputs] if examples else outputs
        how |= {"trigger_mode": "multiple", "api_visibility": "private", **MODEL}
        gr.on(clicks, ask, None, cancel, queue=False, **PRIVATE)
        self.runs.append((name, gr.on(clicks, plainly(begin), inputs, shown, **how), cancel))

    def text(self, name: str, label: str, **how: Any) -> gr.Textbox:
        """What was understood; a reload does not lose it."""
        box = gr.Textbox(label=t(label), buttons=["copy"], elem_id=f"text-{name}", **how)
        self.texts[name] = box
        return box

    def playable(self, name: str, label: str) -> tuple[gr.Audio, gr.HTML]:
        """Sound with its words on it, and under it each piece of what is said, to be played from there."""
        sound = gr.Audio(label=t(label), interactive=False, visible=False, buttons=["download"], elem_id=f"speech-{name}")
        return sound, gr.HTML(js_on_load=SEGMENTS, elem_id=f"segments-{name}", visible=False)

    def subtitle_files(self, name: str) -> list[gr.DownloadButton]:
        """What `_offered` shows."""
        with gr.Row():
            return [
                gr.DownloadButton(str(title), size="md", visible=False, elem_id=f"{suffix}-{name}")
                for title, suffix in ((t("Subtitles (SRT)"), "srt"), (t("Subtitles (WebVTT)"), "vtt"))
            ]

    def language(self, value: str, *roles: str) -> gr.Dropdown:
        """A choice that is shown where a checkpoint in one of these roles knows more than English."""
        dropdown = gr.Dropdown(LANGUAGE_CHOICES, value=value, label=t("Language spoken"), visible=False)
        self.languages.append((roles or ("asr",), dropdown))
        return dropdown

    def language_by_itself(self, value: str) -> gr.Dropdown:
        """Folded; where there is nothing to choose, there is nothing to unfold."""
        with gr.Accordion(t("Choices"), open=False, visible=False) as choices:
            self.languages.append((["asr"], choices))
            return self.language(value)

    def voice(self) -> gr.Dropdown:
        dropdown = gr.Dropdown(VOICE_CHOICES, value=None, label=t("Voice"), visible=False)
        self.voices.append(dropdown)
        return dropdown

    def source(self, role: str) -> None:
        self.sources.append((role, sentence(t("Looking for the model."), elem_classes=["source"])))

    def button_for(self, audio: gr.Audio, title: str) -> gr.Button:
        """A button that waits for the sound: between Stop and the end of its upload there would be nothing to work on."""
        button = gr.Button(t(title), variant="primary", interactive=False)

        def given(path: str | None, request: gr.Request) -> gr.Button:
            self.service.own(path, self.service.visitor(request))
            return gr.Button(interactive=path is not None)

        audio.change(plainly(given), audio, button, queue=False, **PRIVATE)
        return button

    def video_button(self, audio: gr.Audio) -> None:
        """The recorder refuses files that the browser calls video; their sound is as good."""
        button = gr.UploadButton(str(t("Choose a video (mp4, webm)")), file_types=["video", "audio"], size="md")

        def sound_of(path: str, request: gr.Request) -> str:
            visitor = self.service.visitor(request)
            self.service.own(path, visitor)
            return self.service.sound_file(Path(path).stem, (SAMPLING_RATE, to_pcm16(load_audio(path, self.settings.max_seconds))), visitor)

        button.upload(plainly(sound_of), button, audio, api_visibility="private")

    def example_buttons(self, name: str, audio: gr.Audio, *, foreign: bool = False) -> Examples:
        """Sound to begin with, for whoever has none.

        Args:
            foreign: no English; for a translation. Otherwise other languages are shown once the checkpoint is known to know them.
        """
        how: dict[str, Any] = {"size": "sm", "min_width": EXAMPLE_WIDTH}
        # Each is known again by its `elem_id`: to show or hide one, Gradio makes another for the session, with another `_id`.
        with gr.Row():
            english = gr.Button(t("Example in English"), visible=not foreign, elem_id=f"english-{name}", **how)
            others = [gr.Button(t(title), visible=foreign, elem_id=f"{file.stem}-{name}", **how) for title, file in EXAMPLES.items()]
            of_the_hub = gr.Button(t("First example: VoxPopuli, Italian"), visible=False, elem_id=f"voxpopuli-{name}", **how)
        if foreign:
            self.examples.append(of_the_hub)
        else:
            self.foreign_examples += others
        files = {f"{file.stem}-{name}": file for file in EXAMPLES.values()}

        def sound(button: gr.Button, visitor: Visitor, report: Report) -> str | None:
            if button.elem_id in files:
                return str(shutil.copy(files[button.elem_id], visitor.new_folder(self.service.cache)))
            if button.elem_id == of_the_hub.elem_id:
                return self.service.sound_file("example", stst.first_example(), visitor)
            if button.elem_id == english.elem_id:
                self.service.load_voice(tts.default_voice(self.settings), report)
                return self.service.sound_file("example", tts.synthesise(ENGLISH_EXAMPLE, settings=self.settings), visitor)
            return None

        return Examples(audio, [english, *others, of_the_hub], sound)


def _saved(cascade: stst.Cascade, visitor: Visitor, parent: Path, name: str) -> tuple[list[str], str]:
    """The files of a cascade, and what is to be told where the disk takes none: what is on the page stays."""
    try:
        return [str(file) for file in stst.save(cascade, visitor.new_folder(parent), name)], ""
    except OSError:
        return [], say(NO_FILES)


def _played(sound: str | None, cues: Sequence[Cue], name: str, seconds: float) -> list[Any]:
    """A sound with these words on it, and the same as segments, for what `playable` gave."""
    if not sound or not cues:  # engine "pipeline" times no words
        return [gr.Audio(None, visible=False), gr.HTML("", visible=False)]
    subtitles = [{"text": text, "timestamp": [start, end]} for start, end, text in cues]
    return [gr.Audio(sound, visible=True, subtitles=subtitles), gr.HTML(segments_html(cues, f"speech-{name}", seconds), visible=True)]


def _offered(subtitles: Sequence[Path | None]) -> list[gr.DownloadButton]:
    """SRT and WebVTT to be downloaded; nothing, unless both could be written."""
    if not subtitles or None in subtitles:
        return [gr.DownloadButton(visible=False), gr.DownloadButton(visible=False)]
    return [gr.DownloadButton(value=path, visible=True) for path in subtitles]


def _begin(name: str) -> str:
    """The last input, which nobody sees, becomes which recording begins."""
    return f"(...inputs) => [...inputs.slice(0, -1), window.microphones?.begin('{name}', {1000 * STREAM_EVERY:g}) ?? null]"


def _finish(name: str) -> str:
    """The last input, which nobody sees, becomes which recording ends, and how many chunks were sent of it."""
    return f"(...inputs) => [...inputs.slice(0, -1), window.microphones?.sent('{name}') ?? null]"


# --- command line -------------------------------------------------------------------------------------------------


def parse(arguments: Sequence[str] | None = None) -> tuple[Settings, argparse.Namespace]:
    """What was chosen on the command line, else in the environment, else the defaults."""
    parser = commandline.new_parser("Speech recognition, translation and synthesis in the browser.")
    add = functools.partial(commandline.add, parser)
    add("host", os.environ.get("GRADIO_SERVER_NAME", "127.0.0.1"), "address to listen on; 0.0.0.0 is every one of this machine's")
    add("port", int(os.environ.get("GRADIO_SERVER_PORT", 7860)), "port to listen on", type=int)
    add("root_path", "", "where a reverse proxy puts the app, like /speech")
    add("auth", None, "USER:PASSWORD that visitors must give")
    add("max_queue", 100, "runs that may wait; whoever comes after them is told so", type=int)
    add("max_upload", "200mb", "largest file that is accepted")
    commandline.add_switch(parser, "mcp", "also offer the endpoints as MCP tools, at /gradio_api/mcp/")
    commandline.add_switch(parser, "share", "also give the page a public address for 72 hours")
    options = parser.parse_args(arguments)
    if options.auth is not None and ":" not in options.auth:
        parser.error("--auth takes USER:PASSWORD")
    if options.mcp and importlib.util.find_spec("mcp") is None:
        parser.error("--mcp needs what is in requirements-mcp.txt: pip install -r requirements-mcp.txt")
    return commandline.settings_of(options), options


def main() -> None:
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    settings, options = parse()
    if os.environ.get("SPACES_ZERO_GPU"):
        import zero_gpu

        zero_gpu.place(settings)
    doors.close()
    os.environ["GRADIO_TEMP_DIR"] = _folder_of_its_own(Path(get_upload_folder()))
    page = Page(settings)
    demo = page.build()
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):  # the last one is a closed terminal's, which Windows has not
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), lambda *_: _leave(page))
    threading.Thread(target=_sweep, args=(page, demo), daemon=True).start()
    demo.queue(max_size=int(options.max_queue))
    demo._queue.sleep_when_free = QUEUE_SECONDS
    demo.launch(
        server_name=options.host,
        server_port=options.port,
        root_path=options.root_path or None,
        share=options.share,
        auth=tuple(options.auth.split(":", 1)) if options.auth else None,
        max_file_size=options.max_upload,
        head=head(),
        i18n=t,
        css=CSS,
        theme=THEME,
        mcp_server=options.mcp,
        # Gradio keeps half a megabyte of each session's page, and of 10000 unless told. Pages that are only looked at count, too.
        state_session_capacity=PAGES_PER_VISITOR * settings.max_visitors,
        app_kwargs={"exception_handlers": {OSError: no_room}, "middleware": [Middleware(QuickPage)]},
        run_history=False,  # it would keep a visitor's inputs in the browser for whoever sits there next
        show_error=True,
    )


def head() -> str:
    """The page's own scripts, what they say in Chinese, and under what names they find the recorder's, which are others in every Gradio."""
    assets = Path(gr.__file__).parent / "templates" / "frontend" / "assets"
    recorder = [name for file in assets.glob("audio-*.js") for name in re.findall(RECORDER, file.read_text(encoding="utf-8"))]
    given = {"recorder": recorder, "chinese": {english: translations.CHINESE[english] for english in SAID_BY_SCRIPTS}}
    own = [(HERE / name).read_text(encoding="utf-8") for name in ("quick_page.js", "words.js", "microphone.js", "session.js")]
    return "".join(f"<script>{script}</script>" for script in (f"Object.assign(window, {json.dumps(given)})", *own))


def _folder_of_its_own(parent: Path) -> str:
    """Deleted as a whole at the end: another process may have its own beside it."""
    parent.mkdir(parents=True, exist_ok=True)
    return tempfile.mkdtemp(prefix="speech-", dir=parent)


def _sweep(page: Page, demo: gr.Blocks) -> None:
    """In place of Gradio's `delete_cache`, which keeps the name of what others deleted for good."""
    while True:
        time.sleep(SWEEP_SECONDS)
        page.service.visitors.sweep(page.service.cache)
        for names in demo.temp_file_sets:
            names.clear()


def _leave(page: Page) -> None:
    """At once, as whoever stops a server expects, but with nothing of its visitors left behind, uploads included.

    Waiting for what computes would take minutes, and Python's own way out aborts while torch's threads run.
    """
    page.service.visitors.free()
    shutil.rmtree(page.service.cache, ignore_errors=True)
    os._exit(0)


if __name__ == "__main__":
    main()
