"""The tutorial's ways to recognise speech: the whole recording, a stream that accumulates, single chunks.

Source: Gradio, "Real Time Speech Recognition" (https://www.gradio.app/guides/real-time-speech-recognition), its
full-context and its streaming demo, and the chunk-only variant of the latter.
Knows: what each of the three decodes again and what it forgets. Does not know: the page, other visitors.

A stream is an argument and a result, as in the tutorial: `stream, text = transcribe_accumulated(new_chunk, stream)`.
Hearing and decoding are there as separate steps too, because a page that waits for a decode before it hears the next
chunk loses that chunk: one event appends to `stream.recording`, another decodes what has come since it last looked.

Can `transcribe` be asynchronous? It is, and it needs no `async def`: Gradio runs a plain function in a thread of its
own, and torch lets other threads run while it computes, so hearing goes on during a decode. In an `async def` the same
decode would hold Gradio's event loop, and with it every visitor, until it ends.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from audio import MIN_SECONDS, SAMPLING_RATE, SUFFIXES, Audio, NoSpeechError, Recording, load_audio, read_pcm
from checkpoints import Settings, import_frameworks, load_whisper

if TYPE_CHECKING:
    from decoding import Decoded

N_BEAMS = 5  # hypotheses for a whole recording: a fifth fewer wrong words than greed, in four thirds of the time
# The languages of openai/whisper tokenizer.py, in its order: most heard in training first.
LANGUAGES = (
    "english,chinese,german,spanish,russian,korean,french,japanese,portuguese,turkish,polish,catalan,dutch,arabic,"
    "swedish,italian,indonesian,hindi,finnish,vietnamese,hebrew,ukrainian,greek,malay,czech,romanian,danish,"
    "hungarian,tamil,norwegian,thai,urdu,croatian,bulgarian,lithuanian,latin,maori,malayalam,welsh,slovak,telugu,"
    "persian,latvian,bengali,serbian,azerbaijani,slovenian,kannada,estonian,macedonian,breton,basque,icelandic,"
    "armenian,nepali,mongolian,bosnian,kazakh,albanian,swahili,galician,marathi,punjabi,sinhala,khmer,shona,yoruba,"
    "somali,afrikaans,occitan,georgian,belarusian,tajik,sindhi,gujarati,amharic,yiddish,lao,uzbek,faroese,"
    "haitian creole,pashto,turkmen,nynorsk,maltese,sanskrit,luxembourgish,myanmar,tibetan,tagalog,malagasy,"
    "assamese,tatar,hawaiian,lingala,hausa,bashkir,javanese,sundanese,cantonese"
).split(",")


def transcribe(audio: Audio | None, language: str | None = None, settings: Settings = Settings()) -> str:
    """The text of a whole recording, decoded with all of it at hand.

    Args:
        audio: a path, or `(sampling_rate, pcm)`.
        language: the language spoken, one of `LANGUAGES` or its code; None detects it. An English-only checkpoint ignores it.

    Raises:
        AudioError: the audio cannot be used, or nobody speaks in it.
        CheckpointError: the weights cannot be had.
        RefusalError: the checkpoint does not know the language.
    """
    waveform = load_audio(audio, settings.max_seconds)
    import_frameworks()
    import decoding  # imports torch: seconds that an app which only starts up need not wait for

    text = decoding.joined(windows(waveform, language, settings, n_beams=N_BEAMS)).text
    if not text:
        raise NoSpeechError
    return text


def decode(waveform: np.ndarray, language: str | None, settings: Settings) -> str:
    """The text of a waveform, "" where nobody speaks."""
    import_frameworks()
    import decoding

    return decoding.joined(windows(waveform, language, settings)).text


def windows(
    waveform: np.ndarray,
    language: str | None,
    settings: Settings,
    *,
    word_times: bool = False,
    n_beams: int = 1,
    stopped: Callable[[], bool] = lambda: False,
) -> Iterator[Decoded]:
    """Text window by window, and when each word was said where that is asked for.

    Args:
        n_beams: a recording is worth `N_BEAMS`; a stream has not the time.

    Raises:
        Stopped: `stopped`, which is asked at every step, said so.
    """
    import_frameworks()
    import decoding

    whisper = load_whisper(settings.asr_checkpoint, settings)
    how: dict[str, Any] = {"language": language, "word_times": word_times, "n_beams": n_beams, "engine": settings.engine}
    at_once = 1 if n_beams > 1 else decoding.WINDOWS_AT_ONCE  # hypotheses of one window go together, and nothing else
    yield from decoding.decode_windows(whisper, waveform, windows_at_once=at_once, stopped=stopped, **how)


@dataclass(frozen=True, eq=False)
class Accumulated:
    """A stream that decodes everything again at every step, as the tutorial does."""

    recording: Recording = field(default_factory=Recording)
    n_decoded: int = 0  # samples that the last decode heard
    text: str = ""  # hypothesis: every word may still change
    seconds_decoded: float = 0.0  # audio that went through the model so far, each second as often as it did


def transcribe_accumulated(
    new_chunk: Audio, stream: Accumulated | None = None, language: str | None = None, settings: Settings = Settings()
) -> tuple[Accumulated, str]:
    """The tutorial's streaming `transcribe(stream, new_chunk)`: hears a chunk, decodes all audio so far.

    Args:
        new_chunk: a path, or `(sampling_rate, pcm)`.
        stream: what the last call returned; None begins a recording.
    """
    stream = stream or Accumulated(Recording(settings.max_seconds))
    hear(stream.recording, new_chunk)
    stream = decode_accumulated(stream, language, settings)
    return stream, stream.text


def decode_accumulated(stream: Accumulated, language: str | None, settings: Settings) -> Accumulated:
    """Decodes all audio so far, if any has come since the last time."""
    waveform = stream.recording.waveform()
    if len(waveform) == stream.n_decoded or len(waveform) < MIN_SECONDS * SAMPLING_RATE:
        return stream
    return replace(
        stream,
        n_decoded=len(waveform),
        text=decode(waveform, language, settings),
        seconds_decoded=stream.seconds_decoded + len(waveform) / SAMPLING_RATE,
    )


@dataclass(frozen=True, eq=False)
class ChunkOnly:
    """A stream that decodes each chunk alone: it costs the least, and a word that a cut falls into is lost."""

    recording: Recording = field(default_factory=Recording)
    n_decoded: int = 0  # samples whose text is in the list
    texts: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        return " ".join(self.texts)


def transcribe_chunk(
    new_chunk: Audio, stream: ChunkOnly | None = None, language: str | None = None, settings: Settings = Settings()
) -> tuple[ChunkOnly, str]:
    """The chunk-only variant's `transcribe(new_chunk)`: decodes the chunk alone, appends its text to the list.

    Args:
        new_chunk: a path, or `(sampling_rate, pcm)`.
        stream: what the last call returned; None begins a recording.
    """
    stream = stream or ChunkOnly(Recording(settings.max_seconds))
    hear(stream.recording, new_chunk)
    stream = decode_chunk(stream, language, settings)
    return stream, stream.text


def decode_chunk(stream: ChunkOnly, language: str | None, settings: Settings) -> ChunkOnly:
    """Decodes, alone, what has come since the last time."""
    chunk = stream.recording.waveform(start=stream.n_decoded)
    if len(chunk) < MIN_SECONDS * SAMPLING_RATE:
        return stream
    text = decode(chunk, language, settings)
    return replace(stream, n_decoded=stream.n_decoded + len(chunk), texts=(*stream.texts, *([text] if text else [])))


def hear(recording: Recording, new_chunk: Audio | None, number: int | None = None) -> None:
    """Appends a chunk to what was heard, in the order of the numbers. A silent chunk is a pause, not a mistake."""
    recording.append(*read_pcm(new_chunk, recording.max_seconds), number)


def main(arguments: Sequence[str] | None = None) -> int:
    """`python asr.py FILE... --out DIR`: NAME.txt with the text of each."""
    import commandline

    parser = commandline.new_tool("Speech -> text and subtitles.", "sound or video files, or folders of them")
    parser.add_argument("--language", choices=LANGUAGES, metavar="LANGUAGE", help="the language spoken; detected if not given")
    options = parser.parse_args(arguments)
    settings = commandline.settings_of(options)

    def work(file: str, folder: Path, name: str, progress: commandline.Progress) -> list[Path]:
        import_frameworks()
        import captions
        import decoding

        waveform = load_audio(file, settings.max_seconds)
        done: list[Decoded] = []
        for window in windows(waveform, options.language, settings, word_times=True, n_beams=N_BEAMS):
            done.append(window)
            progress(window.end * SAMPLING_RATE / len(waveform))
        decoded = decoding.joined(done)
        if not decoded.text:
            raise NoSpeechError
        written = {"txt": f"{decoded.text}\n"}
        if decoded.words:  # engine "pipeline" times none
            written |= {"srt": captions.to_srt(decoded.words), "vtt": captions.to_vtt(decoded.words)}
        for suffix, text in written.items():
            (folder / f"{name}.{suffix}").write_text(text, encoding="utf-8")
        return [folder / f"{name}.{suffix}" for suffix in written]

    return commandline.run(options.inputs, options.out, SUFFIXES, work)


if __name__ == "__main__":
    sys.exit(main())
