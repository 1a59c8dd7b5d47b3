"""What a person hands over <-> 16 kHz mono float32; PCM in and out.

Knows: files of every common container, Gradio's `(sampling_rate, array)` pairs, chunks of a live microphone.
Does not know: models, the page. A *waveform* is float32, shape (n_samples,), 16 kHz mono, in [-1, 1].
"""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import soundfile
import soxr

from errors import RefusalError

SAMPLING_RATE = 16_000  # Hz, what Whisper hears and SpeechT5 speaks
MIN_SECONDS = 0.1  # a click, not a word
SILENCE_PEAK = 3 / 32768  # -81 dBFS: dither, or a microphone that is switched off
LOWEST_RATE, HIGHEST_RATE = 1_000, 768_000  # Hz, what a header may claim
USUAL_RATE = 48_000  # Hz; a chunk at a higher one may hold no more samples than at this
UNKNOWN_FRAMES = 2**62  # libsndfile's length of what does not say how long it is
BLOCK_FRAMES = 65_536  # frames read at a time, so that a long file is refused before it fills the memory
MAX_SECONDS = 30 * 60.0  # longest recording unless the caller says otherwise
BUFFER_SAMPLES = 30 * SAMPLING_RATE  # room that a live recording begins with
MOST_EARLY = 8  # chunks of a live recording that wait for one before them, until it is given up

SUFFIXES = ("wav", "flac", "mp3", "ogg", "opus", "m4a", "aac", "aiff", "webm", "mp4")
READABLE = f"{', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}"
# FFmpeg's names of the containers that may be opened. Playlists are not among them: they could name other files.
FFMPEG_CONTAINERS = "aac,ac3,aiff,amr,asf,au,caf,flac,matroska,webm,mov,mp4,m4a,mp3,mpeg,mpegts,ogg,w64,wav"

Audio = str | Path | tuple[int, np.ndarray]


class AudioError(RefusalError):
    """Something about the audio that a person handed over; the message is a plain sentence saying what would work."""


class NoSpeechError(AudioError):
    """The audio is fine, but nobody speaks in it."""

    def __init__(self) -> None:
        super().__init__(
            "No speech was heard. If you recorded it, check that the right microphone is chosen and not muted, then speak again."
        )


def load_audio(audio: Audio | None, max_seconds: float = MAX_SECONDS) -> np.ndarray:
    """A file path, or `(sampling_rate, pcm)` as Gradio exchanges it, as a waveform.

    Args:
        audio: path of a sound or video file; or a sampling rate in Hz and an array of shape (n_samples,) or
            (n_samples, n_channels), of any integer type or of floats in [-1, 1]. Integers are scaled by their range,
            never by their peak.
        max_seconds: refuse what is longer.

    Returns:
        float32, shape (n_samples,), 16 kHz mono, in [-1, 1].

    Raises:
        AudioError: there is none, or it is empty, silent, too short, too long, damaged or not audio.
    """
    sampling_rate, blocks = _blocks(audio, max_seconds)
    resample = Resampler(sampling_rate)
    pieces, n_samples = [], 0
    for block in blocks:
        pieces.append(resample(block))
        n_samples += len(pieces[-1])
        if n_samples > max_seconds * SAMPLING_RATE:
            raise _too_long(max_seconds)
    pieces.append(resample(np.zeros(0, np.float32), last=True))
    waveform = np.concatenate(pieces)
    check_waveform(waveform)
    return np.clip(waveform, -1.0, 1.0)


def read_pcm(audio: Audio | None, max_seconds: float = MAX_SECONDS) -> tuple[int, np.ndarray]:
    """The same inputs at their own sampling rate, unchecked: one chunk of a stream, where a silent one is a pause.

    Returns:
        (sampling_rate in Hz, float32 of shape (n_samples,)).

    Raises:
        AudioError: there is none, or it is too long, damaged or not audio.
    """
    sampling_rate, blocks = _blocks(audio, max_seconds)
    pieces, n_samples = [np.zeros(0, np.float32)], 0
    for block in blocks:
        pieces.append(block)
        n_samples += len(block)
        if n_samples > max_seconds * min(sampling_rate, USUAL_RATE):
            raise _too_long(max_seconds)
    return sampling_rate, np.concatenate(pieces)


def check_waveform(waveform: np.ndarray) -> None:
    """Raises an `AudioError` if it is empty, too short, damaged or silent."""
    seconds = len(waveform) / SAMPLING_RATE
    if len(waveform) == 0:
        raise AudioError("The recording is empty. Record again, or choose another file.")
    if seconds < MIN_SECONDS:
        raise AudioError(f"The recording is too short ({seconds:.2f} s). Speak for at least a second.")
    if not np.isfinite(waveform).all():
        raise AudioError("The file holds samples that are not numbers, so it is damaged. Export it again, for example as 16-bit wav.")
    if np.abs(waveform).max() < SILENCE_PEAK:
        raise AudioError("There is only silence. If you recorded it, check that the right microphone is chosen and not muted.")


def pcm_to_float(pcm: np.ndarray) -> np.ndarray:
    """Samples as Gradio hands them over -> float32 mono, shape (n_samples,), at their own rate.

    Args:
        pcm: (n_samples,) or (n_samples, n_channels); signed integers, unsigned bytes, or floats.
    """
    pcm = np.asarray(pcm)
    if pcm.ndim not in (1, 2) or pcm.dtype.kind not in "iuf":
        raise AudioError(f"This is not audio: an array of {pcm.dtype} with shape {pcm.shape}. It takes (samples,) or (samples, channels).")
    samples = pcm.astype(np.float32)
    if pcm.dtype.kind == "u":
        samples -= 2.0 ** (8 * pcm.dtype.itemsize - 1)  # unsigned PCM rests at the middle of its range
    if pcm.dtype.kind in "iu":
        samples /= 2.0 ** (8 * pcm.dtype.itemsize - 1)
    return samples.mean(axis=1) if samples.ndim == 2 else samples


def to_pcm16(waveform: np.ndarray) -> np.ndarray:
    """float32 in [-1, 1] -> int16. Clipped first: without that, 1.2 would wrap around to -26216."""
    return (np.clip(waveform, -1.0, 1.0) * np.iinfo(np.int16).max).astype(np.int16)


def write_wav(path: Path, sampling_rate: int, pcm: np.ndarray) -> None:
    """int16, (n_samples,), as a file. Made in memory first: a full disk is an `OSError`, where libsndfile would say "System error"."""
    file = io.BytesIO()
    soundfile.write(file, pcm, sampling_rate, format="WAV", subtype="PCM_16")
    path.write_bytes(file.getvalue())


class Recording:
    """What one visitor has said since they pressed Record: appended to by one event, read by another.

    Chunks come at the microphone's rate and are resampled by one running filter, so there is no seam between them.
    Positions are samples at 16 kHz since the recording began, whatever of it was forgotten since.
    """

    def __init__(self, max_seconds: float = MAX_SECONDS) -> None:
        """max_seconds: the most that is held at a time; what is forgotten does not count."""
        self.max_seconds = max_seconds
        self.n_chunks = 0
        self._lock = threading.Lock()
        self._buffer = np.empty(BUFFER_SAMPLES, np.float32)
        self._buffer_start = 0  # position of the buffer's first sample
        self._start = 0  # position of the first sample that is not forgotten
        self._n_samples = 0
        self._sampling_rate = 0
        self._resample: Resampler | None = None
        self._early: dict[int, tuple[int, np.ndarray]] = {}  # chunks that overtook the ones before them, by number

    def __len__(self) -> int:
        """Samples heard so far, at 16 kHz."""
        return self._n_samples

    @property
    def is_full(self) -> bool:
        return self._n_samples - self._start >= self.max_seconds * SAMPLING_RATE

    def append(self, sampling_rate: int, pcm: np.ndarray, number: int | None = None) -> None:
        """Adds a chunk; one at another rate than the last (the microphone was changed) starts a new filter.

        Args:
            number: which chunk of the recording this is, from 1. One that comes before its turn waits for the ones
                before it, or until `MOST_EARLY` wait for one that is lost; one that comes twice is heard once.
        """
        samples = np.nan_to_num(pcm_to_float(pcm))
        with self._lock:
            if number is not None and number <= self.n_chunks:
                return
            self._early[self.n_chunks + 1 if number is None else number] = (sampling_rate, samples)
            while self.n_chunks + 1 in self._early or len(self._early) > MOST_EARLY:
                self._append(min(self._early))

    def finish(self) -> None:
        """The person pressed Stop: what still waits, and what the filter still holds, is heard too."""
        with self._lock:
            for number in sorted(self._early):
                self._append(number)
            self._flush()

    def waveform(self, start: int = 0) -> np.ndarray:
        """A copy of what was heard from sample `start` on."""
        with self._lock:
            if start < self._start:
                raise ValueError(f"Sample {start} is forgotten; the recording is held from {self._start} on.")
            return self._buffer[start - self._buffer_start : self._n_samples - self._buffer_start].copy()

    def forget(self, before: int) -> None:
        """Gives up what was heard before this sample: memory then holds what comes after it, however long one speaks."""
        with self._lock:
            self._start = max(self._start, min(before, self._n_samples))

    def _append(self, number: int) -> None:
        sampling_rate, samples = self._early.pop(number)
        self.n_chunks = number
        if self.is_full:
            return
        if sampling_rate != self._sampling_rate:
            self._flush()
        if self._resample is None:
            self._sampling_rate, self._resample = sampling_rate, Resampler(sampling_rate)
        self._store(self._resample(samples))

    def _flush(self) -> None:
        if self._resample is not None:
            self._store(self._resample(np.zeros(0, np.float32), last=True))
            self._resample = None

    def _store(self, waveform: np.ndarray) -> None:
        end = self._n_samples + len(waveform)
        if end - self._buffer_start > len(self._buffer):  # what is held moves to a buffer with as much room again
            held = self._buffer[self._start - self._buffer_start : self._n_samples - self._buffer_start]
            self._buffer = np.concatenate([held, np.empty(max(BUFFER_SAMPLES, end - self._start), np.float32)])
            self._buffer_start = self._start
        self._buffer[self._n_samples - self._buffer_start : end - self._buffer_start] = np.clip(waveform, -1.0, 1.0)
        self._n_samples = end


class Resampler:
    """A band-limited, running resampler to 16 kHz."""

    def __init__(self, sampling_rate: int) -> None:
        if not LOWEST_RATE <= sampling_rate <= HIGHEST_RATE:
            raise AudioError(f"The sampling rate is said to be {sampling_rate} Hz, which is no speech. Export it again at 16000 Hz.")
        self._stream = None
        if sampling_rate != SAMPLING_RATE:
            self._stream = soxr.ResampleStream(sampling_rate, SAMPLING_RATE, num_channels=1, dtype="float32")

    def __call__(self, samples: np.ndarray, last: bool = False) -> np.ndarray:
        return samples if self._stream is None else self._stream.resample_chunk(samples, last=last)


def _too_long(max_seconds: float) -> AudioError:
    return AudioError(f"This is longer than {_duration(max_seconds)}, the most that is accepted here. Cut it and try again.")


def _blocks(audio: Audio | None, max_seconds: float) -> tuple[int, Iterator[np.ndarray]]:
    """Sampling rate in Hz, and blocks of mono float32 at that rate."""
    if audio is None:
        raise AudioError("There is no recording yet. Press record and speak, or choose a file.")
    if isinstance(audio, str | Path):
        return _file_blocks(Path(audio), max_seconds)
    return audio[0], iter([pcm_to_float(audio[1])])


def _file_blocks(path: Path, max_seconds: float) -> tuple[int, Iterator[np.ndarray]]:
    """Sampling rate, and blocks of mono float32, of a file that libsndfile or else FFmpeg's libraries can read."""
    if not os.path.isfile(path):  # where pathlib raises, of names that are too long, this is False
        raise AudioError(f"There is no file {path.name}. Choose another.")
    if path.stat().st_size == 0:
        raise AudioError(f"{path.name} is an empty file. Choose another.")
    try:
        file = soundfile.SoundFile(path)
    except (soundfile.LibsndfileError, TypeError):  # the second is its answer to x.raw, which says nothing of itself
        return _ffmpeg_blocks(path)
    if max_seconds * file.samplerate < file.frames < UNKNOWN_FRAMES:  # as it says itself: no need to read that far
        file.close()
        raise _too_long(max_seconds)
    return file.samplerate, _soundfile_blocks(file, path.name)


def _soundfile_blocks(file: soundfile.SoundFile, name: str) -> Iterator[np.ndarray]:
    with file:
        try:
            for block in file.blocks(BLOCK_FRAMES, dtype="float32", always_2d=True):
                yield block.mean(axis=1)
        except soundfile.LibsndfileError as error:
            raise AudioError(_damaged(name)) from error


def _ffmpeg_blocks(path: Path) -> tuple[int, Iterator[np.ndarray]]:
    try:
        container = av.open(str(path), options={"format_whitelist": FFMPEG_CONTAINERS, "protocol_whitelist": "file"})
    except (av.FFmpegError, ValueError, OSError) as error:
        raise _unreadable(path.name) from error
    if not container.streams.audio:
        container.close()
        raise AudioError(f"{path.name} has no sound in it. Choose a file with somebody speaking.")
    stream = container.streams.audio[0]
    if stream.codec_context is None:  # a codec that this FFmpeg does not know
        container.close()
        raise _unreadable(path.name)
    sampling_rate = stream.sample_rate  # of its beginning: it changes with what is decoded

    def blocks() -> Iterator[np.ndarray]:
        form, to_float = "", av.AudioResampler("fltp")
        with container:
            try:
                for frame in container.decode(stream):
                    # Downmixed here rather than by FFmpeg, whose stereo-to-mono differs between versions. What was put together from
                    # several files may change all of it in the middle.
                    if form != (form := f"{frame.format.name} {frame.layout.name} {frame.sample_rate}"):
                        to_float = av.AudioResampler("fltp", rate=sampling_rate)
                    for converted in to_float.resample(frame):
                        yield converted.to_ndarray().mean(axis=0)
            except av.FFmpegError as error:
                raise AudioError(_damaged(path.name)) from error

    return sampling_rate, blocks()


def _unreadable(name: str) -> AudioError:
    return AudioError(f"{name} is not sound that can be read here. Choose a {READABLE} file.")


def _damaged(name: str) -> str:
    return f"{name} is damaged and cannot be read to its end. Export or download it again."


def _duration(seconds: float) -> str:
    return f"{seconds / 60:g} minutes" if seconds >= 120 else f"{seconds:g} seconds"
