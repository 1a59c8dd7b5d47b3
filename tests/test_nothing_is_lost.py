"""What was said is what is decoded, in a real browser: no gap, no repetition, and the words before Stop are among it.

The microphone plays a chirp, whose pitch tells the time. The decoders are spies that note which samples they were given.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import CDPSession, Locator, Page, expect, sync_playwright

import app
import asr
import captions
import visitors
from audio import SAMPLING_RATE
from checkpoints import Settings
from tests.conftest import free_port
from tests.sounds import chirp, write
from tests.test_browser import CHROMIUM, FLAGS, tab

pytestmark = pytest.mark.slow

CHIRP_SECONDS = 24.0
SPEAKING_SECONDS = 9.0
KEPT_SECONDS = 4.0  # what the captions' spy lets the recording keep
TOLERANCE_SECONDS = 0.02  # of a pitch as a clock; the shortest loss there can be is a chunk of 0.5 s
MODES = {"accumulated": "Streaming, accumulated", "chunks": "Streaming, chunk only", "captions": "Live captions"}
# When the browser captured the first frame of each microphone, read from a clone of its track, and when Stop was clicked; ms.
CAPTURE = """
    const open = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
    window.microphoneBegan = [];
    navigator.mediaDevices.getUserMedia = async () => {
        const stream = await open({audio: {echoCancellation: false, noiseSuppression: false, autoGainControl: false}});
        const frames = [], track = stream.getAudioTracks()[0].clone();
        window.microphoneBegan.push(frames);
        (async () => {
            const reader = new MediaStreamTrackProcessor({track, maxBufferSize: 1000}).readable.getReader();
            for (let read = await reader.read(); !read.done && frames.length < 500; read = await reader.read()) {
                const {timestamp, numberOfFrames, sampleRate} = read.value;
                frames.push([timestamp / 1000, 1000 * numberOfFrames / sampleRate, performance.now()]);
                read.value.close();
            }
            track.stop();
        })();
        return stream;
    };
    window.addEventListener("click", (event) => { if (event.isTrusted) window.clicked = performance.now(); }, true);
"""


@dataclass
class Spy:
    """Stands where the decoders are."""

    seconds: float  # that a decode takes
    spans: list[tuple[int, np.ndarray]] = field(default_factory=list)  # (position, samples) of every decode

    def decode(self, waveform: np.ndarray, language: str | None, settings: Settings) -> str:
        self.spans.append((-1, waveform))
        time.sleep(self.seconds)
        return f"{len(self.spans)} decoded."

    def update(self, before: captions.Captions, waveform: np.ndarray, settings: Settings, final: bool = False) -> captions.Captions:
        self.spans.append((before.window_start, waveform))
        time.sleep(self.seconds)
        n_heard = before.window_start + len(waveform)
        word = captions.Word(f" {len(self.spans)} decoded.", 0.0, 1.0, ())
        start = max(before.window_start, n_heard - round(KEPT_SECONDS * SAMPLING_RATE))
        return replace(before, words=(*before.words, word), window_start=start, n_heard=n_heard, speech_end=n_heard)

    def decoded(self, mode: str) -> np.ndarray:
        """All samples that were decoded, each once; fails where two decodes differ about a sample or leave one out."""
        whole = np.zeros(0, np.float32)
        for position, samples in self.spans:
            start = position if mode == "captions" else 0 if mode == "accumulated" else len(whole)
            assert start <= len(whole), "a gap between two decodes"
            known = whole[start : start + len(samples)]
            np.testing.assert_array_equal(known, samples[: len(known)])
            whole = np.concatenate([whole, samples[len(known) :]])
        return whole


@pytest.fixture
def spied_app(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Spy], str]]:
    running = []

    def start(spy: Spy) -> str:
        monkeypatch.setattr(asr, "decode", spy.decode)
        monkeypatch.setattr(captions, "update", spy.update)
        demo = app.Page(Settings()).build()
        running.append(demo)
        return str(demo.launch(prevent_thread_lock=True, quiet=True, server_port=free_port(), head=app.head(), run_history=False)[1])

    yield start
    for demo in running:
        demo.close()


@pytest.fixture
def page(tmp_path: Path) -> Iterator[Page]:
    """A browser whose microphone hears the chirp, and which notes when the microphone was opened and Stop clicked."""
    microphone = write(tmp_path / "chirp.wav", chirp(CHIRP_SECONDS, 48_000), 48_000, "PCM_16")
    with sync_playwright() as playwright:
        arguments = [*FLAGS, f"--use-file-for-fake-audio-capture={microphone}%noloop"]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, headless=True, args=arguments)
        page = browser.new_page()
        page.set_default_timeout(60_000)
        page.add_init_script(CAPTURE)
        yield page
        browser.close()


def times(waveform: np.ndarray) -> np.ndarray:
    """The time that the chirp's pitch tells, every 10 ms: seconds since the chirp began."""
    hop, size = SAMPLING_RATE // 100, 2048
    padded = 8 * size
    found = []
    for start in range(0, len(waveform) - size, hop):
        spectrum = np.abs(np.fft.rfft(waveform[start : start + size] * np.hanning(size), padded))
        peak = int(spectrum.argmax())
        below, at, above = np.log(spectrum[peak - 1 : peak + 2] + 1e-9)
        pitch = (peak + 0.5 * (below - above) / (below - 2 * at + above)) * SAMPLING_RATE / padded
        found.append((pitch - 200) * CHIRP_SECONDS / 1800 - size / 2 / SAMPLING_RATE)
    return np.array(found)


def stop_button(page: Page, mode: str) -> Locator:
    return page.locator(f"#mic-{mode} .stop-button, #mic-{mode} .spinner-button")


def speak(page: Page, mode: str, during: Callable[[float], None] = lambda _: None) -> float:
    """Records for a while, presses Stop, waits for the end; how many seconds after the microphone began Stop was clicked."""
    page.wait_for_timeout(3000)  # a component that is new on the page is still fetching its recorder
    page.get_by_role("button", name="Record", exact=True).locator("visible=true").click()
    began = time.monotonic()
    while time.monotonic() - began < SPEAKING_SECONDS:
        during(time.monotonic() - began)
        page.wait_for_timeout(100)
    stop_button(page, mode).click()
    expect(page.locator(f"#mic-{mode}").get_by_role("button", name="Record", exact=True)).to_be_visible(timeout=30_000)
    began = []
    for frames in page.evaluate("window.microphoneBegan"):
        captured, lasting, read = np.array(frames).T
        began.append(captured[0] + (read - captured - lasting).min())  # on the page's clock, as the most prompt reading tells it
    return float(page.evaluate("window.clicked") - min(began)) / 1000


def check(spy: Spy, mode: str, page: Page, stopped: float) -> None:
    told = page.locator("#status-captions" if mode == "captions" else f"#cost-{mode}")
    for _ in range(300):  # the rest is decoded after Stop
        n_spans = len(spy.spans)
        page.wait_for_timeout(int(1000 * spy.seconds) + 1500)
        if len(spy.spans) == n_spans:
            break
    decoded = spy.decoded(mode)
    clock = times(decoded)
    line = clock - np.arange(len(clock)) / 100
    off, end = float(np.abs(line - np.median(line)).max()), float(np.median(line)) + len(decoded) / SAMPLING_RATE
    print(f"{mode}: {len(spy.spans)} decodes, chirp {clock[0]:.3f} to {end:.3f} s, Stop at {stopped:.3f} s, off by {1000 * off:.1f} ms")
    assert off < TOLERANCE_SECONDS, "a gap or a repetition"
    assert clock[0] < 1, "the beginning is missing"
    assert end > stopped, "the words before Stop are missing"
    expect(told).to_contain_text(f"{len(decoded) / SAMPLING_RATE:.1f} s")


@pytest.mark.parametrize("mode", MODES)
def test_a_decoder_that_takes_two_seconds_loses_nothing(mode: str, spied_app: Callable[[Spy], str], page: Page) -> None:
    spy = Spy(seconds=2)
    page.goto(spied_app(spy))
    tab(page, MODES[mode])
    check(spy, mode, page, speak(page, mode))


def slow(page: Page, milliseconds: float) -> CDPSession:
    network = page.context.new_cdp_session(page)
    network.send("Network.enable")
    delay(network, milliseconds)
    return network


def delay(network: CDPSession, milliseconds: float) -> None:
    limits = {"offline": False, "latency": milliseconds, "downloadThroughput": -1, "uploadThroughput": -1}
    network.send("Network.emulateNetworkConditions", limits)


@pytest.mark.parametrize("mode", MODES)
def test_a_network_that_takes_400_ms_loses_nothing(mode: str, spied_app: Callable[[Spy], str], page: Page) -> None:
    spy = Spy(seconds=0.1)
    page.goto(spied_app(spy))
    tab(page, MODES[mode])
    slow(page, 400)
    check(spy, mode, page, speak(page, mode))


@pytest.mark.parametrize("mode", MODES)
def test_a_network_that_stalls_loses_nothing_and_keeps_the_order(mode: str, spied_app: Callable[[Spy], str], page: Page) -> None:
    spy = Spy(seconds=0.1)
    page.goto(spied_app(spy))
    tab(page, MODES[mode])
    network = slow(page, 0)
    check(spy, mode, page, speak(page, mode, lambda second: delay(network, 1800 if second % 4 > 3 else 0)))


def test_when_the_page_is_closed_its_captions_are_gone(
    spied_app: Callable[[Spy], str], page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(visitors, "GRACE_SECONDS", 0.5)
    page.goto(spied_app(Spy(seconds=0.1)))
    tab(page, MODES["captions"])
    speak(page, "captions")
    with page.expect_download() as download:
        page.locator("#srt-captions").click()
    srt = Path(download.value.url.partition("file=")[2])
    assert srt.exists()
    page.close()
    for _ in range(300):
        if not srt.parent.exists():
            return
        time.sleep(0.1)
    pytest.fail("its files are still there")
