"""Text -> speech: SpeechT5 with its vocoder and x-vector, the embedded voice beside it, and MMS-TTS in other languages.

Source: Hugging Face audio course, "Speech-to-speech translation"
(https://huggingface.co/learn/audio-course/chapter7/speech-to-speech): `synthesise`. It points to MMS-TTS (Pratap et al. 2023,
"Scaling Speech Technology to 1,000+ Languages") for other languages.
Knows: how long a text each voice takes at once, and how long speech can last. Does not know: how English is read aloud
(that is in spoken.py), where the text comes from, the page.
"""

from __future__ import annotations

import itertools
import os
import re
import sys
import typing
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
from num2words import num2words

from audio import SAMPLING_RATE, to_pcm16, write_wav
from checkpoints import (
    MMSVoice,
    Settings,
    SpeechT5,
    find_voice,
    language_code,
    load_embedded_voice,
    load_mms_voice,
    load_speecht5,
    load_x_vector,
)
from errors import RefusalError, Stopped
from sentences import SENTENCE_END
from spoken import in_alphabet, spoken_english

if TYPE_CHECKING:
    import torch

Voice = Literal["SpeechT5", "awb", "bdl", "clb", "jmk", "ksp", "rms", "slt", "embedded"]

# SpeechT5's encoder has 600 positions for text, one a character, and dies past them; well under, it also speaks better.
MAX_PIECE = 300  # characters
PIECES_AT_ONCE = 4  # spoken together, in less than half the time that one after another takes
CLAUSE_PAUSE, SENTENCE_PAUSE, PARAGRAPH_PAUSE = 0.2, 0.45, 0.9  # seconds between pieces, by what the earlier one ends
QUIET = 0.005  # -46 dBFS: what is quieter at a piece's ends is the voice's own pause, and gives way to these
EDGE_SECONDS = 0.04  # kept of it, so that a last consonant dies away
# English takes 0.05 to 0.1 s a character, spelled letters 0.2. SpeechT5 that does not find its end goes on, in noise, to 0.32.
LONGEST_PER_CHARACTER = 0.15  # seconds
LONGEST_BESIDE = 2.0  # seconds more, as a single word may be drawn out
LONGEST_NUMBER = 12  # digits; a longer one is spelled


class Piece(NamedTuple):
    """Text that is spoken in one go, and the seconds of silence after it."""

    text: str
    pause: float


class Spoken(NamedTuple):
    """A piece's speech, with the pause before it."""

    sampling_rate: int  # Hz
    speech: np.ndarray  # int16, (n_samples,)
    done: float  # how much of the text has been spoken with it: up to 1.0


class TextError(RefusalError):
    """The text cannot be spoken; the message is a plain sentence saying what would work."""


def synthesise(
    text: str,
    voice: Voice | None = None,
    settings: Settings = Settings(),
    language: str = "english",
    check: Callable[[], None] = lambda: None,
) -> tuple[int, np.ndarray]:
    """The text, spoken.

    Args:
        text: as it is written, of any length up to `settings.max_characters`.
        voice: "SpeechT5" (16 kHz) as in the course, the same model with the voice of one of `checkpoints.SPEAKERS`, or
            "embedded" (24 kHz); None is SpeechT5 where it can be had. Other languages have one voice each.
        language: of the text, like "english" or "it"; any but English is spoken by MMS-TTS (16 kHz).
        check: called now and then, by SpeechT5 at every frame; ends it all by raising.

    Returns:
        (sampling_rate in Hz, int16 of shape (n_samples,)), as Gradio plays it.

    Raises:
        TextError: there is nothing to say, or too much.
        CheckpointError: the voice's weights cannot be had.
    """
    return joined(list(_spoken(text, voice, settings, language, check)))


def stream(
    text: str,
    voice: Voice | None = None,
    settings: Settings = Settings(),
    language: str = "english",
    *,
    stopped: Callable[[], bool] = lambda: False,
) -> Iterator[Spoken]:
    """`synthesise`, piece by piece, each as soon as it is spoken; an English text's first sentence is one by itself.

    Args:
        stopped: asked now and then, by SpeechT5 at every frame; once it says so, the speech ends.

    Raises:
        TextError, CheckpointError: as `synthesise`.
    """

    def check() -> None:
        if stopped():
            raise Stopped

    with suppress(Stopped):
        yield from _spoken(text, voice, settings, language, check)


def joined(parts: Sequence[Spoken]) -> tuple[int, np.ndarray]:
    """What `stream` gives one by one, as `synthesise` has it."""
    sampling_rate = parts[0].sampling_rate if parts else SAMPLING_RATE
    return sampling_rate, np.concatenate([np.zeros(0, np.int16), *(part.speech for part in parts)])


def _spoken(text: str, voice: Voice | None, settings: Settings, language: str, check: Callable[[], None]) -> Iterator[Spoken]:
    code = language_code(language)
    check_text(text, settings, code)
    # 1. Pieces, and what speaks them.
    if code != "en":
        mms = load_mms_voice(code, settings)
        sampling_rate = int(mms.model.config.sampling_rate)
        pieces = split_text(_numbers_in_words(text, code))
        speeches = _mms(pieces, mms, check)
    elif (voice or default_voice(settings)) == "embedded":
        hibari = load_embedded_voice()
        sampling_rate = hibari.sample_rate
        pieces = _first_sentence_first(split_text(spoken_english(text)))
        speeches = _embedded(pieces, hibari, check)
    else:
        speecht5 = load_speecht5(settings)
        sampling_rate = SAMPLING_RATE
        x_vector = speecht5.x_vector if voice in (None, "SpeechT5") else load_x_vector(settings, str(voice))
        known = {token for token in speecht5.processor.tokenizer.get_vocab() if len(token) == 1}
        pieces = _first_sentence_first(split_text(in_alphabet(spoken_english(text), known | {" ", "\n"})))
        speeches = _speecht5(pieces, speecht5, x_vector, settings, check)
    # 2. Their speech, with pauses in place of the silence that the voice has around it.
    n_characters, n_spoken, pause, edge = sum(len(piece.text) for piece in pieces), 0, 0.0, round(EDGE_SECONDS * sampling_rate)
    for piece, speech in zip(pieces, speeches, strict=True):
        n_spoken += len(piece.text)
        loud = np.flatnonzero(np.abs(speech) > QUIET)
        if loud.size:
            before = np.zeros(round(pause * sampling_rate), np.float32)
            speech = np.concatenate([before, speech[max(0, loud[0] - edge) : loud[-1] + edge]])
            yield Spoken(sampling_rate, to_pcm16(speech), n_spoken / n_characters)
            pause = piece.pause


def _first_sentence_first(pieces: list[Piece]) -> list[Piece]:
    """The first sentence by itself: it is heard while the others are made."""
    end = re.search(SENTENCE_END, pieces[0].text) if pieces else None
    if end is None:
        return pieces
    text, pause = pieces[0]
    return [Piece(text[: end.end()].strip(), SENTENCE_PAUSE), Piece(text[end.end() :], pause), *pieces[1:]]


def check_text(text: str, settings: Settings, code: str = "en") -> None:
    """Raises a `TextError` if there is nothing to say, or too much."""
    if not re.search(r"\w", text):
        raise TextError("There is nothing to say yet. Type some English text.")
    if code == "en" and not re.search(r"[a-zA-Z0-9]", unicodedata.normalize("NFKD", text)):
        raise TextError("The voice speaks English only and found nothing to read. Type some English text.")
    if len(text) > settings.max_characters:
        raise TextError(f"The text has {len(text)} characters; at most {settings.max_characters} are spoken at once. Shorten it.")


def default_voice(settings: Settings) -> Voice:
    """SpeechT5 where it can be had, else the embedded voice."""
    return "embedded" if find_voice(settings).kind == "embedded" else "SpeechT5"


def _embedded(pieces: list[Piece], hibari: Callable[[str], np.ndarray], check: Callable[[], None]) -> Iterator[np.ndarray]:
    for piece in pieces:
        check()
        yield hibari(piece.text)


def _mms(pieces: list[Piece], voice: MMSVoice, check: Callable[[], None]) -> Iterator[np.ndarray]:
    """In the MMS-TTS voice of a language, which knows its letters in lower case and little else."""
    import torch

    known = {token for token in voice.tokenizer.get_vocab() if len(token) == 1}
    for piece in pieces:
        check()
        letters = in_alphabet(piece.text.lower(), known | {" "})
        if not any(character.isalpha() for character in letters):  # a name in another script, by itself: the model takes no empty text
            yield np.zeros(0, np.float32)
            continue
        inputs = voice.tokenizer(text=letters, return_tensors="pt").to(voice.model.device)
        with torch.inference_mode():
            waveform = voice.model(**inputs).waveform[0].float().cpu().numpy()
        yield waveform


def _numbers_in_words(text: str, code: str) -> str:
    """Whole numbers as their language says them; in English words where num2words does not know that language."""

    def say(match: re.Match[str]) -> str:
        digits = re.sub(r"\D", "", match[0])
        numbers = [int(digits)] if len(digits) <= LONGEST_NUMBER else [int(digit) for digit in digits]
        try:
            return " ".join(num2words(number, lang=code) for number in numbers)
        except NotImplementedError:
            return " ".join(num2words(number) for number in numbers)

    return re.sub(r"\d{1,3}(?:[.,\u00a0\u202f ]\d{3})+(?!\d)|\d+", say, text)


def _speecht5(
    pieces: list[Piece], speecht5: SpeechT5, x_vector: torch.Tensor, settings: Settings, check: Callable[[], None]
) -> Iterator[np.ndarray]:
    """The course's `synthesise` of each piece: float32, (n_samples,), 16 kHz."""
    if settings.engine == "fast" and speecht5.model.device.type == "cpu" and str(speecht5.model.dtype) == "torch.float32":
        import fast_speecht5

        prepared = fast_speecht5.fast(speecht5)

        def speak(sentences: list[torch.Tensor]) -> list[np.ndarray]:
            return fast_speecht5.generate_speech(prepared, sentences, x_vector, check)
    else:

        def speak(sentences: list[torch.Tensor]) -> list[np.ndarray]:
            return [_generate_speech(speecht5, input_ids, x_vector) for input_ids in sentences]

    input_ids = [speecht5.processor(text=piece.text, return_tensors="pt")["input_ids"] for piece in pieces]
    for start, end in itertools.pairwise([0, *range(1, len(pieces), PIECES_AT_ONCE), len(pieces)]):  # nobody waits for the first
        check()
        for piece, own, speech in zip(pieces[start:end], input_ids[start:end], speak(input_ids[start:end]), strict=True):
            longest = round((LONGEST_BESIDE + LONGEST_PER_CHARACTER * len(piece.text)) * SAMPLING_RATE)
            # What ran past its end is spoken again: another attempt draws other dropouts and seldom does.
            yield speech if len(speech) <= longest else speak([own])[0][:longest]


def _generate_speech(speecht5: SpeechT5, input_ids: torch.Tensor, x_vector: torch.Tensor) -> np.ndarray:
    """The course's own call."""
    import torch

    with torch.inference_mode():
        device = speecht5.model.device
        speech = speecht5.model.generate_speech(input_ids.to(device), x_vector, vocoder=speecht5.vocoder)
        return speech.float().cpu().numpy()


def split_text(text: str, max_characters: int = MAX_PIECE) -> list[Piece]:
    """Pieces of at most `max_characters`: whole sentences where they fit, else clauses, else words, else cut.

    A line break ends a piece, too, and an empty line ends a paragraph. What holds neither letter nor digit is left out.
    """
    pieces = []
    lines = re.split(r"(\n+)", text)
    for line, line_break in zip(lines[::2], [*lines[1::2], ""], strict=True):
        rest = " ".join(line.split())
        while len(rest) > max_characters:
            cut = _cut(rest[: max_characters + 1], max_characters)
            piece, rest = rest[:cut].strip(), rest[cut:].strip()
            pieces.append(Piece(piece, SENTENCE_PAUSE if re.search(SENTENCE_END, piece + " ") else CLAUSE_PAUSE))
        pieces.append(Piece(rest, PARAGRAPH_PAUSE if "\n\n" in line_break else SENTENCE_PAUSE))
    return [piece for piece in pieces if re.search(r"\w", piece.text)]


def _cut(window: str, max_characters: int) -> int:
    """Where to end a piece that begins a text longer than `window`."""
    for boundary in (SENTENCE_END, r"[,;:—]\s", r"\s"):
        ends = [match.end() for match in re.finditer(boundary, window)]
        if ends:
            return ends[-1]
    return max_characters


def main(arguments: Sequence[str] | None = None) -> int:
    """`python tts.py TEXT... --out DIR`: NAME.wav of each text file, text.wav of a text given as it is."""
    import commandline

    parser = commandline.new_tool("Text -> speech.", "text files, folders of them (*.txt), or texts as they are, in quotes")
    parser.add_argument("--voice", choices=typing.get_args(Voice), help="SpeechT5 where it can be had, if not given")
    parser.add_argument("--language", default="english", help="of the texts; any but English is spoken by MMS-TTS")
    options = parser.parse_args(arguments)
    settings = commandline.settings_of(options)

    def work(file: str, folder: Path, name: str, progress: commandline.Progress) -> list[Path]:
        parts = []
        for part in stream(_read(file), options.voice, settings, options.language):
            parts.append(part)
            progress(part.done)
        path = folder / f"{name}.wav"
        write_wav(path, *joined(parts))
        return [path]

    return commandline.run(options.inputs, options.out, ("txt",), work)


def _read(file: str) -> str:
    """A file's text, or, where there is no such file, the text itself."""
    if not os.path.isfile(file[:1000]):
        if re.fullmatch(r"\S+\.\w{1,4}", file):
            raise TextError(f"There is no file {file}. Choose another, or give a sentence.")
        return file
    try:
        return Path(file).read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise TextError(f"{Path(file).name} is not text in UTF-8. Save it as that, and try again.") from error


if __name__ == "__main__":
    sys.exit(main())
