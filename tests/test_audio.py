"""Whatever a person hands over becomes the same 16 kHz waveform, or gets a plain sentence."""

from __future__ import annotations

import threading
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from audio import (
    HIGHEST_RATE,
    MIN_SECONDS,
    MOST_EARLY,
    SAMPLING_RATE,
    SILENCE_PEAK,
    AudioError,
    Recording,
    load_audio,
    pcm_to_float,
    read_pcm,
    to_pcm16,
)
from tests.sounds import QUICK_BROWN_FOX, chirp, write, write_silent_video

FILES = [
    *[(f"{subtype}-{rate}-{channels}.wav", subtype, rate, channels) for subtype, rate, channels in [
        ("PCM_U8", 8000, 1), ("PCM_16", 8000, 1), ("PCM_16", 44100, 2), ("PCM_24", 48000, 2), ("PCM_32", 96000, 1),
        ("FLOAT", 22050, 1), ("DOUBLE", 48000, 2), ("ULAW", 8000, 1), ("ALAW", 8000, 1), ("PCM_16", 48000, 6),
    ]],
    ("x.flac", "PCM_16", 44100, 2), ("x.mp3", "MPEG_LAYER_III", 44100, 2), ("x.ogg", "VORBIS", 44100, 2),
    ("x.opus.ogg", "OPUS", 48000, 1), ("x.aiff", "PCM_16", 44100, 2), ("x.m4a", "aac", 44100, 2), ("x.aac", "aac", 16000, 1),
    ("x.webm", "libopus", 48000, 2), ("x.mp4", "aac", 48000, 2),
]  # fmt: skip


def similarity(heard: np.ndarray, reference: np.ndarray) -> float:
    """Highest correlation at any shift: codecs add a little silence at the start."""
    size = len(heard) + len(reference)
    products = np.fft.irfft(np.fft.rfft(heard, size) * np.fft.rfft(reference, size).conj(), size)
    return float(products.max() / (np.linalg.norm(heard) * np.linalg.norm(reference) + 1e-9))


@pytest.mark.parametrize(("name", "codec", "rate", "channels"), FILES, ids=[file[0] for file in FILES])
def test_every_container_gives_the_same_waveform(tmp_path: Path, name: str, codec: str, rate: int, channels: int) -> None:
    waveform = load_audio(write(tmp_path / name, chirp(2, rate), rate, codec, channels))
    assert waveform.dtype == np.float32
    assert waveform.ndim == 1
    assert len(waveform) / SAMPLING_RATE == pytest.approx(2, abs=0.15)
    assert np.abs(waveform).max() == pytest.approx(0.5, abs=0.1)
    assert similarity(waveform, chirp(2, SAMPLING_RATE)) > 0.96, "AAC at FFmpeg's default rate keeps 0.974"


def test_the_sound_of_a_video_is_read(tmp_path: Path) -> None:
    assert len(load_audio(write(tmp_path / "x.mkv", chirp(1, 48000), 48000, "aac"))) > 0


@given(
    hnp.arrays(st.sampled_from([np.int8, np.int16, np.int32, np.uint8, np.uint16]), st.tuples(st.integers(1, 50), st.integers(1, 6))),
)
def test_integers_are_scaled_by_their_range_and_never_by_their_peak(pcm: np.ndarray) -> None:
    half = 2.0 ** (8 * pcm.dtype.itemsize - 1)
    expected = (pcm.astype(np.float64) - (half if pcm.dtype.kind == "u" else 0)).mean(axis=1) / half
    assert np.allclose(pcm_to_float(pcm), expected, atol=1e-6)
    assert np.abs(pcm_to_float(pcm)).max() <= 1


@given(hnp.arrays(np.float32, st.integers(0, 50), elements=st.floats(-4, 4, width=32)))
def test_pcm16_clips_instead_of_wrapping(waveform: np.ndarray) -> None:
    pcm = to_pcm16(waveform)
    assert pcm.dtype == np.int16
    assert np.all(np.sign(pcm) * np.sign(waveform) >= 0)
    assert np.allclose(pcm / 32767, np.clip(waveform, -1, 1), atol=1 / 32767)


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from([8000, 16000, 22050, 44100, 48000, 96000]),
    st.lists(st.integers(0, 30_000), min_size=1, max_size=8),
)
def test_chunking_never_changes_what_was_heard(rate: int, sizes: list[int]) -> None:
    pcm = to_pcm16(chirp(max(1, sum(sizes)) / rate, rate))
    whole, chunked = Recording(), Recording()
    whole.append(rate, pcm)
    start = 0
    for size in [*sizes, len(pcm)]:
        chunked.append(rate, pcm[start : start + size])
        start += size
    whole.finish()
    chunked.finish()
    assert len(chunked) == len(whole)
    assert abs(len(whole) - len(pcm) * SAMPLING_RATE / rate) <= 2
    assert np.allclose(chunked.waveform(), whole.waveform(), atol=1e-6)


def test_a_change_of_rate_in_the_middle_loses_nothing() -> None:
    recording = Recording()
    recording.append(48000, to_pcm16(chirp(1, 48000)))
    recording.append(44100, to_pcm16(chirp(1, 44100)))
    recording.finish()
    assert len(recording) == pytest.approx(2 * SAMPLING_RATE, abs=4)
    assert similarity(recording.waveform(SAMPLING_RATE), chirp(1, SAMPLING_RATE)) > 0.99


def test_a_recording_can_be_read_while_it_grows() -> None:
    recording, block = Recording(), to_pcm16(np.full(1600, 0.25, np.float32))
    speaker = threading.Thread(target=lambda: [recording.append(16000, block) for _ in range(400)])
    speaker.start()
    while speaker.is_alive():
        assert np.all(recording.waveform() == recording.waveform()[:1])
    assert len(recording.waveform()) == len(recording) == 400 * 1600
    assert len(recording.waveform(start=399 * 1600)) == 1600


def test_a_full_recording_hears_no_more() -> None:
    recording = Recording(max_seconds=1)
    for _ in range(4):
        recording.append(16000, np.zeros(8000, np.int16))
    assert recording.is_full
    assert len(recording) == 16000


def test_silence_in_a_stream_is_a_pause_and_not_a_number_lost_for_good() -> None:
    recording = Recording()
    recording.append(16000, np.zeros(8000, np.int16))
    recording.append(16000, np.full(8000, np.nan, np.float32))
    recording.append(16000, np.full(8000, 8192, np.int16))
    assert np.array_equal(np.unique(recording.waveform()), [0, 0.25])


def test_a_chunk_file_keeps_its_rate_and_its_silence(tmp_path: Path) -> None:
    rate, samples = read_pcm(write(tmp_path / "x.wav", np.zeros(4410, np.float32), 44100, "PCM_16"))
    assert (rate, samples.shape, samples.dtype) == (44100, (4410,), np.float32)


def broken(tmp_path: Path) -> dict[str, tuple[object, str]]:
    """Bad inputs by what is wrong with them, with words that the sentence must hold."""
    (tmp_path / "empty.wav").touch()
    (tmp_path / "byte.wav").write_bytes(b"R")
    (tmp_path / "samples.raw").write_bytes(bytes(range(256)) * 40)
    (tmp_path / "text.wav").write_text("<html>Not found</html>")
    (tmp_path / "noise.mp3").write_bytes(bytes(range(256)) * 40)
    (tmp_path / "playlist.m3u8").write_text(f"#EXTM3U\n#EXTINF:1,\n{QUICK_BROWN_FOX}\n")
    (tmp_path / "playlist.wav").write_text(f"#EXTM3U\n#EXTINF:1,\n{QUICK_BROWN_FOX}\n")
    write(tmp_path / "neighbour.wav", chirp(1, 16000), 16000, "PCM_16")
    (tmp_path / "concat.mp3").write_text("ffconcat version 1.0\nfile neighbour.wav\n")
    m4a = write(tmp_path / "cut.m4a", chirp(3, 16000), 16000, "aac").read_bytes()
    (tmp_path / "cut.m4a").write_bytes(m4a[: len(m4a) // 2])
    (tmp_path / "odd.m4a").write_bytes(m4a.replace(b"mp4a", b"zzzz").replace(b"esds", b"free"))
    sound = m4a.index(b"mdat") + 2000
    (tmp_path / "spoilt.m4a").write_bytes(m4a[:sound] + b"\xff" * 2000 + m4a[sound + 2000 :])
    flac = write(tmp_path / "cut.flac", chirp(3, 16000), 16000, "PCM_16").read_bytes()
    (tmp_path / "cut.flac").write_bytes(flac[:200] + bytes(2000) + flac[2200:])
    return {
        "nothing": (None, "Press record"),
        "no file": (tmp_path / "gone.wav", "no file gone.wav"),
        "empty file": (tmp_path / "empty.wav", "empty.wav is an empty file"),
        "one byte": (tmp_path / "byte.wav", "byte.wav is not sound that can be read"),
        "header only": (write(tmp_path / "header.wav", np.zeros(0, np.float32), 16000, "PCM_16"), "The recording is empty. Record again"),
        "empty array": ((16000, np.zeros(0, np.int16)), "empty"),
        "silent": ((16000, np.zeros(16000, np.int16)), "There is only silence. If you recorded it, check"),
        "too short": ((16000, np.full(100, 9000, np.int16)), "too short"),
        "too long": ((16000, np.full(16000 * 5, 9000, np.int16)), "longer than 4 seconds"),
        "not numbers": (
            write(tmp_path / "nan.wav", np.full(8000, np.nan, np.float32), 16000, "FLOAT"),
            "The file holds samples that are not numbers, so it is damaged",
        ),
        "infinite": (write(tmp_path / "inf.wav", np.full(8000, np.inf, np.float32), 16000, "DOUBLE"), "damaged"),
        "text": (tmp_path / "text.wav", "is not sound that can be read"),
        "bytes": (tmp_path / "noise.mp3", "noise.mp3"),
        "bytes that say nothing of themselves": (tmp_path / "samples.raw", "samples.raw is not sound that can be read"),
        "damaged": (tmp_path / "cut.flac", "cut.flac is damaged and cannot be read to its end"),
        "damaged in the middle": (tmp_path / "spoilt.m4a", "spoilt.m4a is damaged and cannot be read to its end"),
        "a codec that nobody knows": (tmp_path / "odd.m4a", "odd.m4a is not sound that can be read"),
        "playlist": (tmp_path / "playlist.m3u8", "is not sound that can be read"),
        "playlist of a neighbour": (tmp_path / "concat.mp3", "concat.mp3 is not sound that can be read"),
        "playlist in disguise": (tmp_path / "playlist.wav", "is not sound that can be read"),
        "video without sound": (write_silent_video(tmp_path / "mute.mp4"), "no sound in it"),
        "absurd rate": ((3, np.full(16000, 9000, np.int16)), "3 Hz"),
        "pictures": ((16000, np.zeros((4, 4, 3), np.int16)), "not audio"),
        "words": ((16000, np.array(["a"])), "not audio"),
        "folder": (tmp_path, "no file"),
        "text in place of a name": ("Rice is often served in round bowls. " * 20, "no file"),
    }


BROKEN = [
    "nothing", "no file", "empty file", "one byte", "header only", "empty array", "silent", "too short", "too long",
    "not numbers", "infinite", "text", "bytes", "damaged", "damaged in the middle", "playlist",
    "playlist of a neighbour", "playlist in disguise", "video without sound", "absurd rate", "pictures", "words",
    "bytes that say nothing of themselves", "folder", "a codec that nobody knows", "text in place of a name",
]  # fmt: skip


@pytest.mark.parametrize("wrong", BROKEN)
def test_what_is_wrong_is_said_in_a_sentence(tmp_path: Path, wrong: str) -> None:
    audio, words = broken(tmp_path)[wrong]
    with pytest.raises(AudioError) as caught:
        load_audio(audio, max_seconds=4)  # type: ignore[arg-type]
    message = str(caught.value)
    assert words in message
    assert message.endswith(".")
    assert str(tmp_path) not in message, "a path of the server is nobody's business"


def test_each_mistake_has_a_sentence_of_its_own(tmp_path: Path) -> None:
    sentences = set()
    for wrong in ["nothing", "empty array", "silent", "too short", "too long", "damaged", "text"]:
        with pytest.raises(AudioError) as caught:
            load_audio(broken(tmp_path)[wrong][0], max_seconds=4)  # type: ignore[arg-type]
        sentences.add(str(caught.value))
    assert len(sentences) == 7


def test_a_long_file_is_refused_before_it_is_read_to_its_end(tmp_path: Path) -> None:
    path = write(tmp_path / "hour.flac", np.zeros(60 * 60 * 8000, np.float32), 8000, "PCM_16")
    with pytest.raises(AudioError, match="longer than 4 seconds"):
        load_audio(path, max_seconds=4)


@pytest.mark.parametrize(("seconds", "said"), [(119.0, "119 seconds"), (120.0, "2 minutes"), (150.0, "2.5 minutes")])
def test_the_limit_is_said_as_a_person_would(seconds: float, said: str) -> None:
    with pytest.raises(AudioError, match=rf"^This is longer than {said}, the most"):
        load_audio((1000, np.full(1000 * 200, 9000, np.int16)), max_seconds=seconds)


def test_what_just_meets_a_limit_is_taken(tmp_path: Path) -> None:
    shortest = np.full(round(MIN_SECONDS * SAMPLING_RATE), SILENCE_PEAK, np.float32)
    np.testing.assert_array_equal(load_audio((SAMPLING_RATE, shortest), max_seconds=MIN_SECONDS), shortest)
    file = write(tmp_path / "x.wav", np.full(8000, 0.3, np.float32), 8000, "PCM_16")
    assert len(read_pcm(file, max_seconds=1)[1]) == len(read_pcm((8000, np.full(8000, 9000, np.int16)), max_seconds=1)[1]) == 8000
    assert len(load_audio((HIGHEST_RATE, np.full(HIGHEST_RATE // 2, 9000, np.int16)))) == SAMPLING_RATE // 2
    with pytest.raises(AudioError, match="longer than 1 seconds"):
        read_pcm((8000, np.full(8001, 9000, np.int16)), max_seconds=1)


def test_a_chunk_that_does_not_say_how_long_it_is_is_read_no_further_than_the_limit(tmp_path: Path) -> None:
    path = write(tmp_path / "x.m4a", chirp(3, 16000), 16000, "aac")
    assert len(read_pcm(path, max_seconds=4)[1]) / 16000 == pytest.approx(3, abs=0.15)
    assert len(load_audio(path, max_seconds=4)) / 16000 == pytest.approx(3, abs=0.15)
    for read in (read_pcm, load_audio):
        with pytest.raises(AudioError, match="longer than 2 seconds"):
            read(path, max_seconds=2)


def test_the_first_sound_of_a_film_is_read_whatever_its_samples_are(tmp_path: Path) -> None:
    """A picture comes first, and the samples are not FFmpeg's own floats."""
    path, pcm = tmp_path / "film.mkv", to_pcm16(chirp(1, 48000))
    with av.open(str(path), "w") as container:
        picture = container.add_stream("mpeg4", rate=10)
        picture.width = picture.height = 32
        sound = container.add_stream("pcm_s16le", rate=48000, layout="stereo")
        container.mux(picture.encode(av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), format="rgb24")))
        frame = av.AudioFrame.from_ndarray(np.repeat(pcm, 2)[None], format="s16", layout="stereo")
        frame.sample_rate = 48000
        container.mux([*sound.encode(frame), *sound.encode(None), *picture.encode(None)])
    rate, samples = read_pcm(path)
    assert (rate, samples.dtype) == (48000, np.float32)
    np.testing.assert_allclose(samples, pcm / 2**15, atol=1e-6)


def test_a_file_that_was_put_together_from_others_keeps_its_pace(tmp_path: Path) -> None:
    parts = [write(tmp_path / f"{rate}.ts", chirp(1, rate), rate, "mp2", channels) for rate, channels in ((48000, 1), (16000, 2))]
    (tmp_path / "both.ts").write_bytes(b"".join(part.read_bytes() for part in parts))
    waveform = load_audio(tmp_path / "both.ts")
    assert len(waveform) / SAMPLING_RATE == pytest.approx(2, abs=0.1)
    halves = [np.sqrt(np.square(half).mean()) for half in np.array_split(waveform, 2)]
    assert halves[0] == pytest.approx(halves[1], rel=0.1)


def test_what_is_too_loud_is_clipped_as_it_is_heard() -> None:
    recording = Recording()
    recording.append(SAMPLING_RATE, np.array([-3.0, -0.5, 0.5, 3.0], np.float32))
    np.testing.assert_array_equal(recording.waveform(), np.array([-1.0, -0.5, 0.5, 1.0], np.float32))
    loud = load_audio((SAMPLING_RATE, np.tile(np.array([-3.0, -0.5, 0.5, 3.0], np.float32), SAMPLING_RATE)))
    assert (loud.min(), loud.max()) == (-1.0, 1.0)


def test_chunks_that_overtake_each_other_are_heard_in_their_order_and_once() -> None:
    recording, waveform = Recording(), chirp(2, SAMPLING_RATE)
    chunks = np.split(waveform, 4)
    for number in (1, 3, 3, 1, 4, 2, 4):
        recording.append(SAMPLING_RATE, chunks[number - 1], number)
    assert recording.n_chunks == 4
    np.testing.assert_array_equal(recording.waveform(), waveform)


def test_a_chunk_that_never_comes_is_waited_for_only_so_long() -> None:
    recording = Recording()
    for number in range(2, MOST_EARLY + 2):
        recording.append(SAMPLING_RATE, np.full(100, number / 100, np.float32), number)
    assert len(recording) == 0
    recording.append(SAMPLING_RATE, np.full(100, 0.5, np.float32), MOST_EARLY + 2)
    assert len(recording) == 100 * (MOST_EARLY + 1)
    recording.append(SAMPLING_RATE, np.full(100, 0.5, np.float32), MOST_EARLY + 4)
    recording.finish()
    assert len(recording) == 100 * (MOST_EARLY + 2), "at the end nothing is waited for"


def test_what_is_forgotten_takes_no_memory_and_positions_stay() -> None:
    recording = Recording(max_seconds=10)
    numbers = np.random.default_rng(0).uniform(-1, 1, 600 * SAMPLING_RATE).astype(np.float32)
    for number in range(600):  # ten minutes
        recording.append(SAMPLING_RATE, numbers[number * SAMPLING_RATE : (number + 1) * SAMPLING_RATE])
        recording.forget((number - 3) * SAMPLING_RATE)
        first = max(0, number - 3) * SAMPLING_RATE
        np.testing.assert_array_equal(recording.waveform(first), numbers[first : (number + 1) * SAMPLING_RATE])
        assert recording._buffer.nbytes < 4 * 60 * SAMPLING_RATE
    assert len(recording) == 600 * SAMPLING_RATE
    assert not recording.is_full
    with pytest.raises(ValueError, match="forgotten"):
        recording.waveform(0)
    recording.forget(10**9)
    assert len(recording.waveform(len(recording))) == 0


def test_forgetting_and_hearing_at_the_same_time_spoil_nothing() -> None:
    recording, waveform = Recording(), chirp(60, SAMPLING_RATE)

    def hear() -> None:
        for chunk in np.split(waveform, 240):
            recording.append(SAMPLING_RATE, chunk)

    thread = threading.Thread(target=hear)
    thread.start()
    read = 0
    while thread.is_alive() or read < len(waveform):
        new = recording.waveform(read)
        np.testing.assert_array_equal(new, waveform[read : read + len(new)])
        read += len(new)
        recording.forget(read)
    thread.join()
