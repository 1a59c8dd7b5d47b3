"""The page: one builder per tab, event handlers, the messages a person reads; launch.

Knows: Gradio, what a visitor sees, and for how long what they said is kept. Does not know: how anything is decoded or
spoken; that is in asr.py, stst.py and tts.py.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import logging
import os
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, TypeVar

import gradio as gr

import asr
import checkpoints
import stst
import tts
from audio import SAMPLING_RATE, NoSpeechError, Recording, load_audio, to_pcm16
from checkpoints import Settings

log = logging.getLogger(__name__)

STREAM_EVERY = 0.5  # seconds of sound in a chunk; below that, Gradio loses and reorders chunks
IN_FLIGHT_SECONDS = 0.4  # after Stop, the last chunk may still be on its way
GRACE_SECONDS = 60.0  # a phone that sleeps, or a network that blinks, is not a visitor who left
IDLE_SECONDS = 3600.0  # a program that opened a session and never closed it
MODEL: dict[str, Any] = {"concurrency_id": "model", "concurrency_limit": 8}  # whatever runs a model; the decodes take turns inside
DETECT = "detect"
LANGUAGE_CHOICES = [("Detect", DETECT), *((language.title(), language) for language in asr.LANGUAGES)]
SPEECH_TO_SPEECH_TABS: list[tuple[str, Literal["microphone", "upload"]]] = [("Microphone", "microphone"), ("Audio File", "upload")]
VOICE_CHOICES = [("SpeechT5", "SpeechT5"), ("Embedded voice", "embedded")]


# --- what one visitor has said ------------------------------------------------------------------------------------

Stream = TypeVar("Stream", asr.Accumulated, asr.ChunkOnly)


@dataclass(frozen=True)
class StreamingMode(Generic[Stream]):
    """One of the tutorial's ways to stream, and how its page calls it."""

    name: str
    begin: Callable[[Recording], Stream]
    decode: Callable[[Stream, str | None, Settings], Stream]
    cost: Callable[[Stream], str]


def _accumulated_cost(stream: asr.Accumulated) -> str:
    heard = len(stream.recording) / SAMPLING_RATE
    times = f", {stream.seconds_decoded / heard:.1f} times what was said" if heard else ""
    return f"Heard {heard:.1f} s. Decoded {stream.seconds_decoded:.1f} s so far{times}: each step starts again at the beginning."


def _chunk_cost(stream: asr.ChunkOnly) -> str:
    heard, decoded = len(stream.recording) / SAMPLING_RATE, stream.n_decoded / SAMPLING_RATE
    return f"Heard {heard:.1f} s. Decoded {decoded:.1f} s so far: each second once, and each piece without the ones before it."


ACCUMULATED = StreamingMode("accumulated", asr.Accumulated, asr.decode_accumulated, _accumulated_cost)
CHUNK_ONLY = StreamingMode("chunks", asr.ChunkOnly, asr.decode_chunk, _chunk_cost)


@dataclass(eq=False)
class Visitor:
    """One browser tab's, or one API client's, streams by name."""

    streams: dict[str, Any] = field(default_factory=dict)
    changing: threading.Lock = field(default_factory=threading.Lock)  # held for an assignment
    decoding: threading.Lock = field(default_factory=threading.Lock)  # held for a decode
    last_seen: float = field(default_factory=time.monotonic)
    left: bool = False


class Visitors:
    """Everyone's streams, each under the session that Gradio gave its page; freed when the page is closed."""

    def __init__(self) -> None:
        self._visitors: dict[str, Visitor] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._visitors)

    def of(self, request: gr.Request) -> Visitor:
        if request.session_hash is None:  # a bare HTTP call without a session: nothing is kept for it
            return Visitor()
        with self._lock:
            self._free(lambda visitor: time.monotonic() - visitor.last_seen > IDLE_SECONDS)
            visitor = self._visitors.setdefault(request.session_hash, Visitor())
            visitor.last_seen, visitor.left = time.monotonic(), False
            return visitor

    def leave(self, request: gr.Request) -> None:
        """The page was closed; a visitor who is not back after a grace is forgotten."""
        visitor = self._visitors.get(request.session_hash or "")
        if visitor is not None:
            visitor.left = True
            timer = threading.Timer(GRACE_SECONDS, self._forget_those_who_left)
            timer.daemon = True
            timer.start()

    def _forget_those_who_left(self) -> None:
        with self._lock:
            self._free(lambda visitor: visitor.left and time.monotonic() - visitor.last_seen >= GRACE_SECONDS)

    def _free(self, gone: Callable[[Visitor], bool]) -> None:
        self._visitors = {session: visitor for session, visitor in self._visitors.items() if not gone(visitor)}


# --- what a person reads when something goes wrong ----------------------------------------------------------------


def plainly(handler: Callable[..., Any]) -> Callable[..., Any]:
    """A handler whose errors reach the page as a sentence. What was said or uploaded stays where it is."""

    @functools.wraps(handler)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        try:
            return handler(*args, **kwargs)
        except ValueError as error:  # AudioError, TextError, CheckpointError: written to be read
            raise gr.Error(str(error), duration=None, print_exception=False, title="") from error
        except gr.Error:
            raise
        except Exception as error:
            log.exception("%s failed", handler.__name__)
            message = "Something went wrong on the server. What you recorded or chose is still here: try again."
            raise gr.Error(message, duration=None, print_exception=False, title="") from error

    return wrapped


# --- the page -----------------------------------------------------------------------------------------------------


class Page:
    """The handlers and tabs of one app, around what whoever started it chose."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.visitors = Visitors()
        self.languages: list[gr.Dropdown] = []  # shown once it is known that the checkpoint is multilingual
        self.sources: list[tuple[str, gr.Markdown]] = []  # with what they tell of: "asr", "translation" or "voice"
        self.voices: list[gr.Dropdown] = []
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
                with gr.Tab("Speech translation"):
                    self.translation_tab()
                with gr.Tab("Text to speech"):
                    self.synthesis_tab()
                with gr.Tab("Speech-to-speech translation"):
                    self.speech_to_speech_tab()
            outputs = [*(markdown for _, markdown in self.sources), *self.languages, *self.voices, *self.examples]
            demo.load(self.prepare, None, outputs, api_visibility="private", show_progress="hidden")
            demo.unload(self.visitors.leave)
        return demo

    # Handlers: what a click does.

    def prepare(self) -> list[Any]:
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
        multilingual = "asr" in found and checkpoints.is_multilingual(found["asr"])
        both_voices = "voice" in found and found["voice"].kind != "embedded"
        example = checkpoints.hub_reachable()
        return [
            *[sentences[role] for role, _ in self.sources],
            *[gr.update(visible=multilingual) for _ in self.languages],
            *[gr.update(visible=both_voices, value="SpeechT5" if both_voices else None) for _ in self.voices],
            *[gr.update(visible=example) for _ in self.examples],
        ]

    def load_whisper(self, name: str, progress: gr.Progress) -> None:
        """Loads what the next step needs, with progress on the page; nothing at all from the second use on."""
        progress(0, desc=f"Loading {name}")
        checkpoints.load_whisper(name, self.settings, lambda fraction, what: progress(fraction, desc=what))

    def load_voice(self, voice: tts.Voice, progress: gr.Progress) -> None:
        progress(0, desc="Loading the voice")
        if voice == "SpeechT5":
            checkpoints.load_speecht5(self.settings, lambda fraction, what: progress(fraction, desc=what))
        else:
            checkpoints.load_embedded_voice()

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
        chosen: tts.Voice = "embedded" if voice == "embedded" else "SpeechT5" if voice else tts.default_voice(self.settings)
        self.load_voice(chosen, progress)
        progress(0.1, desc="Speaking")
        return tts.synthesise(text, chosen, self.settings)

    def speech_to_speech_translation(
        self, audio: str | None, voice: str | None = None, progress: gr.Progress = gr.Progress()
    ) -> tuple[Any, str]:
        translated_text = self.translate(audio, progress)
        return self.synthesise(translated_text, voice, progress), translated_text

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
        microphone = gr.Audio(sources=["microphone"], streaming=True, type="numpy", label="Speech", elem_id=f"mic-{mode.name}")
        # A short piece in another language than the page expects is heard as nonsense, so it starts with the checkpoint's own.
        language = self.language("english" if self.settings.asr_checkpoint.endswith(".en") else DETECT)
        text = gr.Textbox(label="Transcription", lines=4, buttons=["copy"], elem_id=f"text-{mode.name}")
        cost = gr.Markdown(elem_id=f"cost-{mode.name}")
        timer = gr.Timer(STREAM_EVERY, active=False)
        self.source("asr")

        def begin(request: gr.Request) -> tuple[Any, ...]:
            self.visitors.of(request).streams[mode.name] = mode.begin(Recording(self.settings.max_seconds))
            return "", "Listening.", gr.Timer(active=True)

        def hear(chunk: tuple[int, Any] | None, request: gr.Request) -> None:
            stream = self.visitors.of(request).streams.get(mode.name)
            if chunk is not None and stream is not None:
                asr.hear(stream.recording, chunk)

        def decode(language: str, request: gr.Request) -> Any:
            stream = self.decode(mode, mode.name, language, request)
            return (stream.text, self.told(mode, stream)) if stream else (gr.skip(), gr.skip())

        def finish(language: str, request: gr.Request) -> tuple[Any, ...]:
            time.sleep(IN_FLIGHT_SECONDS)
            visitor = self.visitors.of(request)
            if mode.name in visitor.streams:
                visitor.streams[mode.name].recording.finish()
            stream = self.decode(mode, mode.name, language, request)
            if stream is None or not stream.text:
                return "", str(NoSpeechError()), gr.Timer(active=False)
            return stream.text, self.told(mode, stream), gr.Timer(active=False)

        private: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
        # `.stream` sets the pace of the chunks and nothing else: it has one slot and no queue, so a chunk that comes
        # while its handler runs would overwrite the one waiting. `.change` goes through the ordinary queue, in order.
        microphone.stream(lambda _: None, microphone, None, stream_every=STREAM_EVERY, **private)
        microphone.change(plainly(hear), microphone, None, trigger_mode="multiple", concurrency_limit=1, **private)
        microphone.start_recording(plainly(begin), None, [text, cost, timer], queue=False, **private)
        timer.tick(plainly(decode), language, [text, cost], trigger_mode="once", **MODEL, **private)
        microphone.stop_recording(plainly(finish), language, [text, cost, timer], **MODEL, **private)
        self.stream_endpoint(mode)

    def stream_endpoint(self, mode: StreamingMode[Any]) -> None:
        """The same stream for programs, which cannot call a page's stream event: a chunk file in, the text so far out."""

        def stream_chunk(chunk: str, language: str, new_recording: bool, request: gr.Request) -> str:
            visitor, name = self.visitors.of(request), f"{mode.name}-endpoint"
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

    def decode(self, mode: StreamingMode[Stream], name: str, language: str, request: gr.Request) -> Stream | None:
        """Decodes what a visitor has said since the last time; None where a new recording has begun meanwhile."""
        visitor = self.visitors.of(request)
        with visitor.decoding:
            before = visitor.streams.get(name)
            if before is None:
                return None
            after = mode.decode(before, _spoken(language), self.settings)
            with visitor.changing:
                if visitor.streams.get(name) is not before:
                    return None
                visitor.streams[name] = after
            return after

    def told(self, mode: StreamingMode[Any], stream: Any) -> str:
        full = f" The recording is full ({self.settings.max_minutes:g} minutes): press Stop." if stream.recording.is_full else ""
        return mode.cost(stream) + full

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
        gr.Markdown("Speech in any of 99 languages is translated by Whisper, then spoken in English.")
        with gr.Tabs():
            for title, source in SPEECH_TO_SPEECH_TABS:
                with gr.Tab(title):
                    audio = gr.Audio(sources=[source], type="filepath", label="Speech")
                    voice = self.voice()
                    with gr.Row():
                        if source == "upload":
                            self.video_button(audio)
                            self.example_button(audio)
                        button = self.button_for(audio, "Translate and speak")
                    speech = gr.Audio(label="Speech in English", interactive=False, autoplay=True, elem_id=f"speech-{source}")
                    text = gr.Textbox(label="English", lines=3, buttons=["copy"], elem_id=f"text-{source}")
                    named: dict[str, Any] = (
                        {"api_name": "speech_to_speech_translation"} if source == "microphone" else {"api_visibility": "private"}
                    )
                    button.click(plainly(self.speech_to_speech_translation), [audio, voice], [speech, text], **named, **MODEL)
        self.source("translation")
        self.source("voice")

    # Parts that several tabs have.

    def language(self, value: str) -> gr.Dropdown:
        dropdown = gr.Dropdown(LANGUAGE_CHOICES, value=value, label="Language spoken", visible=False)
        self.languages.append(dropdown)
        return dropdown

    def voice(self) -> gr.Dropdown:
        dropdown = gr.Dropdown(VOICE_CHOICES, value=None, label="Voice", visible=False)
        self.voices.append(dropdown)
        return dropdown

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


def _sound_of(path: str) -> tuple[int, Any]:
    return SAMPLING_RATE, to_pcm16(load_audio(path))


# --- command line -------------------------------------------------------------------------------------------------

ENVIRONMENT_PREFIX = "SPEECH_"  # SPEECH_ASR_CHECKPOINT is --asr-checkpoint, and so on: a Space has no command line
HELP = {
    "asr_checkpoint": "Whisper for the recognition tabs: a Hub name or a folder",
    "translation_checkpoint": "multilingual Whisper for the translation tabs: a Hub name or a folder",
    "tts_checkpoint": "SpeechT5: a Hub name or a folder",
    "vocoder_checkpoint": "SpeechT5's HiFi-GAN: a Hub name or a folder",
    "x_vectors": "table of speaker embeddings, Parquet: a Hub dataset or a folder",
    "x_vector_index": "which row of that table speaks",
    "device": "auto, cpu, cuda or cuda:N",
    "dtype": "auto, float32, float16 or bfloat16",
    "engine": "fast, or pipeline: the tutorial's own call to transformers",
    "max_minutes": "longest recording or file that is accepted",
    "max_characters": "longest text that is spoken",
}

CHOICES = {"engine": ("fast", "pipeline"), "dtype": ("auto", "float32", "float16", "bfloat16")}


def parse(arguments: Sequence[str] | None = None) -> tuple[Settings, argparse.Namespace]:
    """What was chosen on the command line, else in the environment, else the defaults."""
    parser = argparse.ArgumentParser(
        description="Speech recognition, translation and synthesis in the browser.",
        epilog=f"Each option can be given as an environment variable too: {ENVIRONMENT_PREFIX}DEVICE for --device.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )

    def add(name: str, default: Any, text: str, **more: Any) -> None:
        default = os.environ.get(ENVIRONMENT_PREFIX + name.upper(), default)
        parser.add_argument("--" + name.replace("_", "-"), default=default, help=text, **more)

    for choice in dataclasses.fields(Settings):
        add(choice.name, choice.default, HELP[choice.name], type=type(choice.default), choices=CHOICES.get(choice.name))
    add("host", os.environ.get("GRADIO_SERVER_NAME", "127.0.0.1"), "address to listen on; 0.0.0.0 is every one of this machine's")
    add("port", int(os.environ.get("GRADIO_SERVER_PORT", 7860)), "port to listen on", type=int)
    add("auth", None, "USER:PASSWORD that visitors must give")
    add("max_upload", "200mb", "largest file that is accepted")
    share = os.environ.get(f"{ENVIRONMENT_PREFIX}SHARE", "").lower() in ("1", "true", "yes")
    parser.add_argument("--share", action="store_true", default=share, help="also give the page a public address for 72 hours")
    options = parser.parse_args(arguments)
    if options.auth is not None and ":" not in options.auth:
        parser.error("--auth takes USER:PASSWORD")
    return Settings(**{choice.name: getattr(options, choice.name) for choice in dataclasses.fields(Settings)}), options


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
