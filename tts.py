"""Text -> speech: SpeechT5 with its vocoder and x-vector, and the embedded voice beside it.

Source: Hugging Face audio course, "Speech-to-speech translation"
(https://huggingface.co/learn/audio-course/chapter7/speech-to-speech): `synthesise`.
Knows: how long a text each voice takes at once. Does not know: where the text comes from, the page.
"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, Literal

import numpy as np

from audio import SAMPLING_RATE, to_pcm16
from checkpoints import Settings, SpeechT5, find_voice, load_embedded_voice, load_speecht5

if TYPE_CHECKING:
    import torch

Voice = Literal["SpeechT5", "embedded"]

# SpeechT5's encoder has 600 positions for text, one a character, and dies past them; well under, it also speaks better.
MAX_PIECE = 300  # characters
PIECES_AT_ONCE = 4  # spoken together, in less than half the time that one after another takes
PAUSE_SECONDS = 0.25  # between pieces: a breath between sentences


class TextError(ValueError):
    """The text cannot be spoken; the message is a plain sentence saying what would work."""


def synthesise(text: str, voice: Voice | None = None, settings: Settings = Settings()) -> tuple[int, np.ndarray]:
    """The text, spoken.

    Args:
        text: English, of any length up to `settings.max_characters`.
        voice: "SpeechT5" (16 kHz) as in the course, or "embedded" (24 kHz); None is SpeechT5 where it can be had.

    Returns:
        (sampling_rate in Hz, int16 of shape (n_samples,)), as Gradio plays it.

    Raises:
        TextError: there is nothing to say, or too much.
        CheckpointError: the voice's weights cannot be had.
    """
    check_text(text, settings)
    if (voice or default_voice(settings)) == "SpeechT5":
        return SAMPLING_RATE, to_pcm16(_speecht5(text, settings))
    hibari = load_embedded_voice()
    speech = hibari(text)
    if not speech.size:
        raise TextError("The voice speaks English only and found nothing to read. Type some English text.")
    return hibari.sample_rate, to_pcm16(speech)


def check_text(text: str, settings: Settings) -> None:
    """Raises a `TextError` if there is nothing to say, or too much."""
    if not re.search(r"\w", text):
        raise TextError("There is nothing to say yet. Type some English text.")
    if len(text) > settings.max_characters:
        raise TextError(f"The text has {len(text)} characters; at most {settings.max_characters} are spoken at once. Shorten it.")


def default_voice(settings: Settings) -> Voice:
    """SpeechT5 where it can be had, else the embedded voice."""
    return "embedded" if find_voice(settings).kind == "embedded" else "SpeechT5"


def _speecht5(text: str, settings: Settings) -> np.ndarray:
    """float32, (n_samples,), 16 kHz: the course's `synthesise`, piece by piece."""
    speecht5 = load_speecht5(settings)
    # As its tokenizer normalises: one character may become eighteen, and counts as so many.
    pieces = split_text(unicodedata.normalize("NFKC", text))
    input_ids = [speecht5.processor(text=piece, return_tensors="pt")["input_ids"] for piece in pieces]
    if settings.engine == "fast" and speecht5.model.device.type == "cpu" and str(speecht5.model.dtype) == "torch.float32":
        import fast_speecht5

        prepared = fast_speecht5.fast(speecht5)
        spoken = []
        for start in range(0, len(input_ids), PIECES_AT_ONCE):
            spoken += fast_speecht5.generate_speech(prepared, input_ids[start : start + PIECES_AT_ONCE], speecht5.x_vector)
    else:
        spoken = [_generate_speech(speecht5, ids) for ids in input_ids]
    pause = np.zeros(round(PAUSE_SECONDS * SAMPLING_RATE), np.float32)
    return np.concatenate([part for speech in spoken for part in (speech, pause)][:-1])


def _generate_speech(speecht5: SpeechT5, input_ids: torch.Tensor) -> np.ndarray:
    """The course's own call."""
    import torch

    with torch.inference_mode():
        device = speecht5.model.device
        speech = speecht5.model.generate_speech(input_ids.to(device), speecht5.x_vector, vocoder=speecht5.vocoder)
        return speech.float().cpu().numpy()


def split_text(text: str, max_characters: int = MAX_PIECE) -> list[str]:
    """Pieces of at most `max_characters`: whole sentences where they fit, else clauses, else words, else cut."""
    rest = " ".join(text.split())
    pieces = []
    while len(rest) > max_characters:
        window = rest[: max_characters + 1]
        for boundary in (r"[.!?…][\"')\]]*\s", r"[,;:—]\s", r"\s"):
            ends = [match.end() for match in re.finditer(boundary, window)]
            if ends:
                cut = ends[-1]
                break
        else:
            cut = max_characters
        pieces.append(rest[:cut].strip())
        rest = rest[cut:].strip()
    return [*pieces, rest] if rest else pieces
