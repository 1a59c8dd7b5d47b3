"""Several hundred files that no honest recorder writes, made from a seed.

Every container and codec that the app reads, cut at many points and with bytes changed; headers that lie; what is no sound at all;
playlists that point elsewhere; very much in very little. What is in them is a chirp, so that none of it is speech.
"""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile

from tests.sounds import chirp, write

SEED = 7
CONTAINERS = [
    ("16.wav", "PCM_16"), ("24.wav", "PCM_24"), ("float.wav", "FLOAT"), ("law.wav", "ULAW"), ("lossless.flac", "PCM_16"),
    ("vorbis.ogg", "VORBIS"), ("opus.ogg", "OPUS"), ("layer3.mp3", "MPEG_LAYER_III"), ("big.aiff", "PCM_16"),
    ("apple.m4a", "aac"), ("stream.aac", "aac"), ("browser.webm", "libopus"), ("film.mp4", "aac"), ("matroska.mkv", "libopus"),
]  # fmt: skip
CUTS, FLIPS = 12, 8


def make(folder: Path) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    return list(dict.fromkeys(_all(folder)))


def _all(folder: Path) -> Iterator[Path]:
    random = np.random.default_rng(SEED)

    def put(name: str, content: bytes) -> Path:
        path = folder / name
        path.write_bytes(content)
        return path

    # 1. Good files, cut and changed.
    for name, codec in CONTAINERS:
        whole = write(folder / name, chirp(1.0, 16_000), 48_000 if "opus" in codec.lower() else 16_000, codec).read_bytes()
        yield folder / name
        ends = np.unique(np.concatenate([np.arange(0, 48, 8), random.integers(48, len(whole), CUTS - 6)]))
        for end in ends:
            yield put(f"cut-{end}-{name}", whole[:end])
        for index in range(FLIPS):
            changed = bytearray(whole)
            for at in random.integers(0, min(len(whole), 512) if index % 2 else len(whole), 1 + 4 * index):
                changed[at] ^= int(random.integers(1, 256))
            yield put(f"changed-{index}-{name}", bytes(changed))
    # 2. Headers that lie.
    wav = (folder / "16.wav").read_bytes()
    lies = {"tag": (20, "<H", [0, 2, 85, 0xFFFE, 0xFFFF]), "channels": (22, "<H", [0, 64, 255, 1024, 65535])}
    lies |= {"rate": (24, "<I", [0, 1, 999, 768_001, 2**31 - 1, 2**32 - 1]), "align": (32, "<H", [0, 1, 65535])}
    lies |= {"bits": (34, "<H", [0, 1, 7, 12, 64, 65535]), "size": (40, "<I", [0, 1, 2**31, 2**32 - 1])}
    for what, (at, code, values) in lies.items():
        for value in values:
            yield put(f"{what}-{value}.wav", wav[:at] + struct.pack(code, value) + wav[at + struct.calcsize(code) :])
    for rate in (1, 1_000, 768_000):
        soundfile.write(folder / f"honest-{rate}.wav", chirp(1.0, 8_000), rate)
        yield folder / f"honest-{rate}.wav"
    # 3. Samples that are none, or few, or many at a time.
    for name, samples in {
        "nan.wav": np.full(16_000, np.nan, np.float32),
        "infinite.wav": np.full(16_000, np.inf, np.float32),
        "huge.wav": np.full(16_000, 1e30, np.float32),
        "some-nan.wav": np.where(np.arange(16_000) % 999, 0.1, np.nan).astype(np.float32),
        "one.wav": np.ones(1, np.float32),
        "none.wav": np.ones(0, np.float32),
        "silent.wav": np.zeros(16_000, np.float32),
        "many-channels.wav": np.repeat(chirp(1.0, 16_000)[:, None], 64, axis=1),
    }.items():
        soundfile.write(folder / name, samples, 16_000, subtype="FLOAT")
        yield folder / name
    # 4. Very much in very little.
    with soundfile.SoundFile(folder / "four-hours.flac", "w", 16_000, 1) as file:
        for _ in range(4 * 60):
            file.write(np.zeros(60 * 16_000, np.int16))
    yield folder / "four-hours.flac"
    with soundfile.SoundFile(folder / "fast.flac", "w", 655_350, 1) as file:
        for _ in range(120):
            file.write(np.zeros(655_350, np.int16))
    yield folder / "fast.flac"
    soundfile.write(folder / "100-megabytes.wav", np.zeros(50_000_000, np.int16), 16_000)
    yield folder / "100-megabytes.wav"
    with (folder / "four-gigabytes.wav").open("wb") as sparse:  # that many bytes are claimed, and a few are there
        sparse.write(wav[:4] + struct.pack("<I", 2**32 - 1) + wav[8:40] + struct.pack("<I", 2**32 - 37) + wav[44:])
    yield folder / "four-gigabytes.wav"
    # 5. Something else.
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as bomb:
        bomb.writestr("zeros", bytes(10_000_000))
    other = {"zip": archive.getvalue(), "html": b"<html><script>alert(1)</script>", "pdf": b"%PDF-1.7\n", "png": b"\x89PNG\r\n\x1a\n"}
    other |= {"empty": b"", "zeros": bytes(4096), "ones": b"\xff" * 4096, "noise": random.bytes(65_536), "text": b"hello " * 1000}
    other |= {"pickle": b"\x80\x04cos\nsystem\n(S'true'\ntR.", "elf": b"\x7fELF" + bytes(100), "utf16": "RIFF".encode("utf-16")}
    for name, content in other.items():
        yield put(f"{name}.wav", content)
        yield put(f"{name}.mp3", content)
    # 6. Playlists that point elsewhere.
    targets = (
        "/etc/passwd",
        "file:///etc/passwd",
        "http://127.0.0.1:9/x.mp3",
        "concat:/etc/passwd|/x",
        "subfile,,start,0,end,9,,:/etc/passwd",
    )
    for number, target in enumerate(targets):
        yield put(f"list-{number}.m3u8", f"#EXTM3U\n#EXTINF:10,\n{target}\n#EXT-X-ENDLIST\n".encode())
        yield put(f"list-{number}.wav", f"#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:0\n#EXTINF:10.0,\n{target}\n#EXT-X-ENDLIST\n".encode())
        yield put(f"concat-{number}.wav", f"ffconcat version 1.0\nfile '{target}'\n".encode())
        session = f"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 9 RTP/AVP 0\na=control:{target}\n"
        yield put(f"list-{number}.sdp", session.encode())
        yield put(f"list-{number}.pls", f"[playlist]\nFile1={target}\nNumberOfEntries=1\n".encode())
    # 7. Names.
    names = ("line\nbreak", "..\\..\\up", "<img src=x onerror=alert(1)>", "%2e%2e%2fup", "-rf", "a" * 200, "\u202egnp", "{0}")
    for name in (f"{name}.wav" for name in names):
        yield put(name, wav[:100])
