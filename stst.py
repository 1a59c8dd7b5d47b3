"""Speech -> translation -> speech: the course's cascade.

Source: Hugging Face audio course, "Speech-to-speech translation"
(https://huggingface.co/learn/audio-course/chapter7/speech-to-speech): `translate`, `synthesise`,
`speech_to_speech_translation`.
Knows: the order of the stages. Does not know: how each works, the page.
"""

from __future__ import annotations

import io

import numpy as np
import soundfile

from audio import Audio, NoSpeechError, load_audio, to_pcm16
from checkpoints import CheckpointError, Settings, Source, load_whisper
from tts import Voice, synthesise

__all__ = ["speech_to_speech_translation", "synthesise", "translate"]

MAX_NEW_TOKENS = 256  # the course's, for each 30 s that Whisper hears at a time


def translate(audio: Audio | None, settings: Settings = Settings()) -> str:
    """Speech in any of Whisper's languages -> English text, to its end however long it is.

    Args:
        audio: a path, or `(sampling_rate, pcm)`.

    Raises:
        AudioError: the audio cannot be used, or nobody speaks in it.
        CheckpointError: the weights cannot be had, or know English only.
    """
    waveform = load_audio(audio, settings.max_seconds)
    whisper = load_whisper(settings.translation_checkpoint, settings)
    if not whisper.is_multilingual:
        raise CheckpointError(knows_english_only(whisper.source))
    import decoding  # imports torch: seconds that an app which only starts up need not wait for

    text = decoding.decode(whisper, waveform, task="translate", max_new_tokens=MAX_NEW_TOKENS, engine=settings.engine).text
    if not text:
        raise NoSpeechError
    return text


def knows_english_only(source: Source) -> str:
    return f"{source.found} knows English only. Translate with a multilingual one, like openai/whisper-base."


def speech_to_speech_translation(
    audio: Audio | None, voice: Voice | None = None, settings: Settings = Settings()
) -> tuple[int, np.ndarray]:
    """Speech in any of Whisper's languages -> English speech.

    Returns:
        (sampling_rate in Hz, int16 of shape (n_samples,)): 16 kHz from SpeechT5, the embedded voice's own 24 kHz.

    Raises:
        AudioError, CheckpointError: as `translate` and `synthesise`.
    """
    translated_text = translate(audio, settings)
    return synthesise(translated_text, voice, settings)


def first_example() -> tuple[int, np.ndarray]:
    """The course's first example: VoxPopuli, Italian, validation, first sample, streamed.

    Returns:
        (sampling_rate in Hz, int16 of shape (n_samples,)).
    """
    from datasets import Audio as AudioFeature
    from datasets import load_dataset

    # facebook/voxpopuli is a loading script, which datasets no longer runs; the Hub keeps a Parquet copy of it.
    dataset = load_dataset(
        "facebook/voxpopuli",
        revision="refs/convert/parquet",
        data_files={"validation": "it/validation/0000.parquet"},
        split="validation",
        streaming=True,
    )
    sample = next(iter(dataset.cast_column("audio", AudioFeature(decode=False))))  # decode=True would want torchcodec
    samples, sampling_rate = soundfile.read(io.BytesIO(sample["audio"]["bytes"]), dtype="float32")
    return sampling_rate, to_pcm16(samples)
