"""Each tab in Chromium, with a microphone that plays a file, read as a person reads it."""

from __future__ import annotations

import re
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Page, expect, sync_playwright

from audio import SAMPLING_RATE, load_audio
from tests import small_checkpoints
from tests.conftest import start_app
from tests.measures import word_error_rate
from tests.sounds import BONJOUR, COUNTING, PARAGRAPH, QUICK_BROWN_FOX, chirp, spoken, write

CHROMIUM = "/usr/bin/chromium"
SCREENSHOTS = Path(tempfile.gettempdir()) / "speech-screenshots"  # to be looked at
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--mute-audio", "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
]  # fmt: skip
FOX = "The quick brown fox jumps over the lazy dog."

Browse = Callable[[Path], AbstractContextManager[Page]]


@contextmanager
def opened(url: str, microphone: Path) -> Iterator[Page]:
    """The page in a browser of its own, whose microphone hears this file, then silence."""
    with sync_playwright() as playwright:
        arguments = [*FLAGS, f"--use-file-for-fake-audio-capture={microphone}%noloop"]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, headless=True, args=arguments)
        page = browser.new_page()
        page.set_default_timeout(60_000)
        page.goto(url)
        page.get_by_text("Model:").first.wait_for()
        yield page
        browser.close()


@pytest.fixture
def browse(app_url: str, tmp_path: Path) -> Browse:
    @contextmanager
    def open_page(clip: Path) -> Iterator[Page]:
        """The page, with a microphone that hears half a second of silence, then the clip, then silence."""
        waveform = np.concatenate([np.zeros(SAMPLING_RATE // 2, np.float32), load_audio(clip)])
        microphone = write(tmp_path / f"{clip.stem}.wav", waveform, SAMPLING_RATE, "PCM_16")
        with opened(app_url, microphone) as page:
            yield page
            assert page.locator(".toast-body.error").count() == 0

    return open_page


def tab(page: Page, *names: str) -> None:
    for name in names:
        page.get_by_role("tab", name=name, exact=True).click()


def record(page: Page, clip: Path) -> None:
    """Presses Record, lets the clip be heard, presses Stop."""
    page.get_by_role("button", name="Record", exact=True).locator("visible=true").click()
    time.sleep(len(load_audio(clip)) / SAMPLING_RATE + 2)
    page.locator("button.stop-button:visible, button.spinner-button:visible").click()


def shown_text(page: Page, name: str) -> str:
    """What the text box says once it says something."""
    box = page.locator(f"#text-{name} textarea")
    expect(box).not_to_have_value("", timeout=60_000)
    return str(box.input_value())


def press(page: Page, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).locator("visible=true").click()


def test_full_context_from_the_microphone(browse: Browse) -> None:
    with browse(QUICK_BROWN_FOX) as page:
        record(page, QUICK_BROWN_FOX)
        press(page, "Transcribe")
        assert word_error_rate(FOX, shown_text(page, "full")) <= 0.12


def words_of(text: str) -> set[str]:
    return set(re.findall(r"\w+", text.lower()))


@pytest.mark.parametrize(
    ("title", "name", "fewest"), [("Streaming, accumulated", "accumulated", 7), ("Streaming, chunk only", "chunks", 2)]
)
def test_streaming_from_the_microphone(browse: Browse, title: str, name: str, fewest: int) -> None:
    """How many of the sentence's eight words a chunk-only stream keeps depends on where it is cut: it is shown because it loses some."""
    with browse(QUICK_BROWN_FOX) as page:
        tab(page, title)
        record(page, QUICK_BROWN_FOX)
        expect(page.locator(f"#mic-{name}").get_by_role("button", name="Record", exact=True)).to_be_visible()
        expect(page.locator(f"#cost-{name}")).to_contain_text("Heard")
        if name == "chunks":  # the rest is decoded after Stop
            expect(page.locator("#cost-chunks")).to_contain_text(re.compile(r"Heard (\d+\.\d) s\. Decoded \1 s"), timeout=30_000)
        else:  # the last word is there in the end
            expect(page.locator(f"#text-{name} textarea")).to_have_value(re.compile("dog"), timeout=60_000)
        assert len(words_of(FOX) & words_of(shown_text(page, name))) >= fewest
        if name == "accumulated":
            assert word_error_rate(FOX, shown_text(page, name)) <= 0.12
        # Record again: it starts clean, and nobody speaks now that the file has been played.
        page.get_by_role("button", name="Record", exact=True).locator("visible=true").click()
        expect(page.locator(f"#text-{name} textarea")).to_have_value("")


@pytest.mark.slow
def test_record_pressed_as_soon_as_a_tab_is_open_records_on_a_slow_network(browse: Browse) -> None:
    """Gradio's recorder is a script of its own, asked for when the microphone is shown: before it has come, Record would record nothing."""
    with browse(QUICK_BROWN_FOX) as page:
        network = page.context.new_cdp_session(page)
        network.send("Network.enable")
        network.send(
            "Network.emulateNetworkConditions", {"offline": False, "latency": 300, "downloadThroughput": 2e5, "uploadThroughput": 2e5}
        )
        tab(page, "Live captions")
        page.get_by_role("button", name="Record", exact=True).locator("visible=true").click()
        expect(page.locator("#live-captions .prose")).to_contain_text(re.compile("lazy dog", re.IGNORECASE), timeout=60_000)


def test_live_captions_from_the_microphone(browse: Browse) -> None:
    with browse(QUICK_BROWN_FOX) as page:
        tab(page, "Live captions")
        page.get_by_role("button", name="Record", exact=True).locator("visible=true").click()
        live = page.locator("#live-captions .prose")
        expect(live.locator("span:not(.partial)").first).to_contain_text(re.compile("quick", re.IGNORECASE), timeout=60_000)
        expect(live).to_have_attribute("aria-live", "polite")
        box, text = (live.locator(part).bounding_box() for part in ("> div", "> div > div"))
        assert box
        assert text
        assert text["y"] - box["y"] < 5, "the first line is at the top"
        expect(page.locator("#status-captions")).to_contain_text("s behind")
        page.locator("#mic-captions .stop-button").press("Enter")
        assert word_error_rate(FOX, shown_text(page, "captions")) <= 0.12, "the last word too"
        expect(page.locator("#status-captions")).to_contain_text("received and decoded. Language heard: English.")
        for name, start in (("srt", "1\n00:00:0"), ("vtt", "WEBVTT\n\n00:00:0")):
            with page.expect_download() as download:
                page.locator(f"#{name}-captions").click()
            assert download.value.suggested_filename == f"captions.{name}"
            text = download.value.path().read_text(encoding="utf-8")
            assert text.startswith(start)
            assert "fox" in text
        # Record again: it starts clean, and nobody speaks now that the file has been played.
        page.get_by_role("button", name="Record", exact=True).locator("visible=true").click()
        expect(page.locator("#text-captions")).to_be_hidden()
        expect(page.locator("#srt-captions")).to_be_hidden()
        expect(live).to_have_text("")


def test_an_example_is_translated_on_the_first_click(browse: Browse) -> None:
    with browse(BONJOUR) as page:
        tab(page, "Speech translation")
        press(page, "Example in Italian")
        assert word_error_rate("1 2 3 4 5 6 7 8 9 10", shown_text(page, "translation")) <= 0.2


@pytest.mark.slow
def test_each_example_is_heard_in_place_of_the_one_before(browse: Browse) -> None:
    with browse(BONJOUR) as page:
        text = page.locator("#text-full textarea")
        for language, said in (
            ("Italian", r"(1|uno)\W+(2|due)"),
            ("English", "quick brown fox"),
            ("French", "bonjour"),
            ("Italian", r"(1|uno)\W+(2|due)"),
        ):
            press(page, f"Example in {language}")
            expect(text).to_have_value(re.compile(said, re.IGNORECASE), timeout=60_000)
            expect(page.get_by_role("button", name="Cancel", exact=True).locator("visible=true")).to_have_count(0, timeout=30_000)


@pytest.mark.slow
def test_translation_from_the_microphone(browse: Browse) -> None:
    with browse(COUNTING) as page:
        tab(page, "Speech translation")
        record(page, COUNTING)
        press(page, "Translate")
        assert word_error_rate("1 2 3 4 5 6 7 8 9 10", shown_text(page, "translation")) <= 0.2


def spoken_text(page: Page, source: str) -> str:
    """The translation, without its times, once its speech is there to the end."""
    expect(page.locator(f"#files-{source}")).to_be_visible(timeout=120_000)
    return re.sub(r"(?m)^\d+:\d\d ", "", shown_text(page, source))


def test_speech_to_speech_from_the_microphone(browse: Browse) -> None:
    with browse(COUNTING) as page:
        tab(page, "Speech-to-speech translation", "Microphone")
        record(page, COUNTING)
        press(page, "Translate and speak")
        assert word_error_rate("1 2 3 4 5 6 7 8 9 10", spoken_text(page, "microphone")) <= 0.2
        expect(page.locator("#speech-microphone time").last).not_to_have_text("0:00")
        expect(page.locator("#status-microphone")).to_contain_text("Italian")


def test_text_to_speech(browse: Browse) -> None:
    with browse(BONJOUR) as page:
        tab(page, "Text to speech")
        page.locator("#text-synthesis textarea").fill(FOX)
        press(page, "Speak")
        expect(page.locator("#speech-synthesis time").last).to_have_text("0:02")


@pytest.mark.slow
def test_a_page_in_chinese_is_chinese_in_what_its_scripts_say(app_url: str) -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, headless=True, args=FLAGS)
        page = browser.new_page(locale="zh-CN")
        page.goto(app_url)
        expect(page).to_have_title("语音")
        assert page.get_attribute("html", "lang") == "zh-CN"
        tab(page, "文字转语音")
        page.locator("#text-synthesis textarea").fill(FOX)
        press(page, "朗读")
        expect(page.locator("#player-synthesis")).to_contain_text(re.compile(r"播放 \d:\d\d / \d:\d\d"), timeout=60_000)
        tab(page, "语音识别", "实时字幕")
        page.locator(".record-button:visible").click()
        page.wait_for_timeout(2000)
        page.locator("button.stop-button:visible").click()
        expect(page.locator("#mic-captions")).to_contain_text("正在结束")
        browser.close()


@pytest.mark.slow
def test_a_long_text_is_heard_while_it_is_made_and_what_is_spoken_stays_when_it_is_cancelled(browse: Browse) -> None:
    with browse(BONJOUR) as page:
        tab(page, "Text to speech")
        page.locator("#text-synthesis textarea").fill(" ".join([PARAGRAPH] * 7))  # as long as may be: a fast machine is soon done
        press(page, "Speak")
        player, status = page.locator("#player-synthesis"), page.locator("#status-synthesis")
        expect(player).to_contain_text("Playing", timeout=60_000)
        cancel = page.get_by_role("button", name="Cancel", exact=True).locator("visible=true")
        cancel.click()  # at once: the rest is still being made, but not for long
        expect(status).to_contain_text(re.compile(r"Cancelled\. \d+\.\d s of speech\."), timeout=30_000)
        expect(cancel).to_have_count(0)
        expect(player).not_to_contain_text("Play")
        expect(page.locator("#speech-synthesis time").last).not_to_have_text("0:00")
        page.screenshot(path=SCREENSHOTS / "speaking-cancelled.png")
        # The next text takes its place.
        page.locator("#text-synthesis textarea").fill(FOX)
        press(page, "Speak")
        expect(status).to_have_text(re.compile(r"^\s*[23]\.\d s of speech\.\s*$"), timeout=30_000)
        expect(page.locator("#speech-synthesis time").last).to_have_text("0:02")


@pytest.fixture(scope="module")
def long_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four of Whisper's windows."""
    pause = np.zeros(SAMPLING_RATE, np.float32)
    waveform = np.concatenate([spoken(PARAGRAPH), pause, load_audio(COUNTING)])
    return write(tmp_path_factory.mktemp("long") / "long.wav", waveform, SAMPLING_RATE, "PCM_16")


def upload(page: Page, clip: Path) -> None:
    tab(page, "Speech-to-speech translation", "Audio File")
    page.locator("input[type=file][accept*='audio/aac']").last.set_input_files(clip)


@pytest.mark.slow
def test_words_can_be_read_while_the_rest_is_decoded(browse: Browse, long_clip: Path) -> None:
    with browse(BONJOUR) as page:
        page.get_by_role("button", name="Upload file").locator("visible=true").click()
        page.locator("input[type=file]").first.set_input_files(long_clip)
        press(page, "Transcribe")
        shown_text(page, "full")
        expect(page.locator(".progress .progress-bar-wrap:visible")).to_be_visible()
        expect(page.get_by_role("button", name="Cancel", exact=True).locator("visible=true")).to_be_visible()
        expect(page.locator("#text-full :is(.translucent, .pending)")).to_have_count(0)


@pytest.mark.slow
def test_an_upload_is_heard_before_it_is_finished_and_without_a_gap(browse: Browse, long_clip: Path) -> None:
    with browse(BONJOUR) as page:
        upload(page, long_clip)
        page.get_by_role("button", name="Choices").locator("visible=true").click()
        page.get_by_label("Also write down what was said").locator("visible=true").check()
        press(page, "Translate and speak")
        player = page.locator("#player-upload")
        expect(player).to_contain_text("Playing", timeout=120_000)
        assert page.get_by_role("button", name="Cancel", exact=True).locator("visible=true").count() == 1, "the rest is still being made"
        expect(page.locator("#files-upload")).to_be_hidden()
        page.wait_for_timeout(1000)
        page.screenshot(path=SCREENSHOTS / "speech-to-speech-playing.png")
        text = spoken_text(page, "upload")
        assert word_error_rate(f"{PARAGRAPH} 1 2 3 4 5 6 7 8 9 10", text) <= 0.1
        assert "Glue the sheet to the dark blue background." in page.locator("#transcript-upload textarea").input_value()
        # One piece after another, but for where this machine was too slow to make the next one in time.
        made = player.locator("[data-made]").evaluate("element => element.dataset")
        duration = page.locator("#speech-upload time").last
        expect(duration).not_to_have_text("0:00", timeout=30_000)
        (minutes, seconds) = duration.inner_text().split(":")
        assert float(made["made"]) - float(made["silence"]) == pytest.approx(60 * int(minutes) + int(seconds), abs=1.1)
        for file in ["long.wav", *(f"long.{kind}.{suffix}" for kind in ("translation", "transcript") for suffix in ("txt", "srt", "vtt"))]:
            expect(page.get_by_role("cell", name=file, exact=True)).to_be_visible()
        expect(page.get_by_role("button", name="Cancel", exact=True).locator("visible=true")).to_have_count(0)
        page.screenshot(path=SCREENSHOTS / "speech-to-speech-finished.png", full_page=True)


@pytest.mark.slow
def test_several_files_are_translated_and_a_bad_one_does_not_stop_the_others(browse: Browse, tmp_path: Path) -> None:
    tone = write(tmp_path / "tone <b>.wav", chirp(3, SAMPLING_RATE), SAMPLING_RATE, "PCM_16")
    with browse(BONJOUR) as page:
        tab(page, "Speech-to-speech translation", "Several files")
        button = page.get_by_role("button", name="Translate and speak all", exact=True)
        expect(button).to_be_disabled()
        page.locator("input[type=file][multiple]").last.set_input_files([COUNTING, tone, BONJOUR])
        button.click()
        status = page.locator("#status-files")
        expect(status).to_contain_text("No speech was heard.", timeout=60_000)
        expect(status.locator("li")).to_have_count(3, timeout=60_000)
        expect(status.locator("li").last).to_contain_text("French")
        assert status.locator("b").count() == 0, "a file's name is never markup"
        for file in ("conteggio.wav", "conteggio.translation.srt", "bonjour_monde.wav", "bonjour_monde.translation.txt"):
            expect(page.locator("#files-files").get_by_role("cell", name=file, exact=True)).to_be_visible()
        page.screenshot(path=SCREENSHOTS / "speech-to-speech-files.png", full_page=True)


@pytest.mark.slow
def test_a_cancelled_run_stops_and_what_is_done_stays(browse: Browse, long_clip: Path) -> None:
    with browse(BONJOUR) as page:
        upload(page, long_clip)
        press(page, "Translate and speak")
        expect(page.locator("#player-upload")).to_contain_text("Playing", timeout=120_000)
        press(page, "Cancel")
        expect(page.locator("#status-upload")).to_contain_text("Cancelled.", timeout=10_000)
        expect(page.locator("#player-upload")).not_to_contain_text("Playing")
        assert "The birch can" in shown_text(page, "upload")
        assert "pot of tea" not in shown_text(page, "upload"), "the rest was not made"
        expect(page.locator("#speech-upload time").last).not_to_have_text("0:00")
        expect(page.get_by_role("cell", name="long.translation.srt", exact=True)).to_be_visible()
        page.screenshot(path=SCREENSHOTS / "speech-to-speech-cancelled.png", full_page=True)


@pytest.mark.parametrize(
    ("title", "action"),
    [("Speech recognition", "Transcribe"), pytest.param("Speech translation", "Translate", marks=pytest.mark.slow)],
)
def test_a_recording_stays_when_its_run_is_cancelled_before_the_first_word_or_begun_twice(browse: Browse, title: str, action: str) -> None:
    with browse(BONJOUR) as page:
        tab(page, title)
        begin = page.get_by_role("button", name=action, exact=True)
        cancel = page.get_by_role("button", name="Cancel", exact=True).locator("visible=true")
        page.get_by_role("button", name="Upload file").locator("visible=true").first.click()
        page.locator("input[type=file][accept*='audio/aac']").last.set_input_files(BONJOUR)
        expect(begin).to_be_enabled()
        for click in (lambda: (begin.click(), cancel.click()), begin.dblclick):
            click()
            expect(cancel).to_have_count(0, timeout=30_000)  # weights that are being loaded cannot be cancelled
            page.wait_for_timeout(1000)  # what empties the box would come after the end
            expect(begin).to_be_enabled()
            expect(page.get_by_label("Play", exact=True).locator("visible=true").first).to_be_visible()


def test_a_chunk_of_the_recording_before_is_handed_over_as_of_none(browse: Browse) -> None:
    """The server deletes it then (tests/test_app.py); held back by the page, it would lie there for an hour."""
    late = """async () => {
        const body = new FormData();
        body.append("files", new Blob(["RIFF"]), "audio.wav");
        const [path] = await (await window.fetch("gradio_api/upload", { method: "POST", body })).json();
        window.microphones.begin("captions", 500);
        return ["late", "next"].map((which) => window.microphones.handOver("captions", { path: which === "late" ? path : which }));
    }"""
    with browse(BONJOUR) as page:
        (chunk, of_none), (_, of_this) = page.evaluate(late)
        assert chunk["path"].endswith("audio.wav")
        assert of_none == {"take": 0, "chunks": 0}
        assert of_this["take"] > 0
        assert of_this["chunks"] == 1, "the late one is not counted"


@pytest.mark.slow
def test_another_recording_takes_the_place_of_the_one_that_is_decoded(browse: Browse, long_clip: Path) -> None:
    with browse(BONJOUR) as page:
        inputs, cancel = page.locator("input[type=file]"), page.get_by_role("button", name="Cancel", exact=True).locator("visible=true")
        page.get_by_role("button", name="Upload file").locator("visible=true").first.click()
        inputs.first.set_input_files(long_clip)
        press(page, "Transcribe")
        assert "birch" in shown_text(page, "full"), "what is done is shown before all is"
        expect(cancel).to_be_visible()
        page.get_by_label("Clear").locator("visible=true").first.click()
        expect(cancel).to_have_count(0)
        inputs.first.set_input_files(QUICK_BROWN_FOX)
        press(page, "Transcribe")
        expect(page.locator("#text-full textarea")).to_have_value(re.compile("fox"), timeout=60_000)
        expect(cancel).to_have_count(0)
        page.wait_for_timeout(3000)
        assert word_error_rate(FOX, shown_text(page, "full")) <= 0.12, "the first one does not come after all"
        expect(page.locator("#segments-full")).to_contain_text("fox")


def test_a_stage_that_fails_says_so_and_the_next_run_works(browse: Browse, tmp_path: Path) -> None:
    with browse(BONJOUR) as page:
        upload(page, write(tmp_path / "tone.wav", chirp(3, SAMPLING_RATE), SAMPLING_RATE, "PCM_16"))
        press(page, "Translate and speak")
        toast = page.locator(".toast-body")
        expect(toast).to_contain_text("No speech was heard.", timeout=120_000)
        assert "Traceback" not in page.inner_text("body")
        page.wait_for_timeout(500)  # it slides in
        page.screenshot(path=SCREENSHOTS / "speech-to-speech-failed.png")
        toast.get_by_label("Close").click()
        expect(page.get_by_role("button", name="Cancel", exact=True).locator("visible=true")).to_have_count(0)
        page.get_by_label("Clear").locator("visible=true").first.click()
        upload(page, COUNTING)
        press(page, "Translate and speak")
        assert word_error_rate("1 2 3 4 5 6 7 8 9 10", spoken_text(page, "upload")) <= 0.2


@pytest.mark.slow
def test_a_stream_that_fails_says_so_once(tmp_path: Path) -> None:
    """As with weights of which half are there: no visitor could have foreseen it, and no tick tells it again."""
    broken = small_checkpoints.save_whisper(tmp_path / "whisper")
    (broken / "model.safetensors").write_bytes(b"")
    process, url = start_app("--asr-checkpoint", str(broken))
    try:
        microphone = write(tmp_path / "fox.wav", load_audio(QUICK_BROWN_FOX), SAMPLING_RATE, "PCM_16")
        with opened(url, microphone) as page:
            for title, line in (("Streaming, accumulated", "#cost-accumulated"), ("Live captions", "#status-captions")):
                tab(page, title)
                record(page, QUICK_BROWN_FOX)
                expect(page.locator(line)).to_contain_text("Something went wrong on the server.", timeout=60_000)
                page.wait_for_timeout(3000)
                assert page.locator(".toast-body").count() == 0
    finally:
        process.terminate()
        process.wait(timeout=30)


@pytest.mark.slow
def test_the_sound_of_a_video_is_transcribed(browse: Browse, tmp_path: Path) -> None:
    video = write(tmp_path / "fox.webm", load_audio(QUICK_BROWN_FOX), SAMPLING_RATE, "libopus")
    with browse(BONJOUR) as page:
        page.locator("input[type=file][accept*=video]").first.set_input_files(video)
        press(page, "Transcribe")
        assert word_error_rate(FOX, shown_text(page, "full")) == 0


def test_a_mistake_is_told_in_a_sentence_and_the_page_goes_on(browse: Browse) -> None:
    with browse(BONJOUR) as page:
        expect(page.get_by_role("button", name="Transcribe", exact=True)).to_be_disabled()
        tab(page, "Text to speech")
        press(page, "Speak")
        toast = page.locator(".toast-body")
        expect(toast).to_contain_text("There is nothing to say yet. Type some English text.")
        assert "Traceback" not in page.inner_text("body")
        toast.get_by_label("Close").click()
        expect(toast).to_have_count(0)
        page.locator("#text-synthesis textarea").fill(FOX)
        press(page, "Speak")
        expect(page.locator("#speech-synthesis time").last).to_have_text("0:02")


@pytest.mark.slow
def test_two_browsers_never_see_a_word_of_each_other(browse: Browse, app_url: str) -> None:
    with browse(QUICK_BROWN_FOX) as page:
        tab(page, "Streaming, accumulated")
        record(page, QUICK_BROWN_FOX)
        expect(page.locator("#text-accumulated textarea")).to_have_value(re.compile("fox", re.IGNORECASE))
        other = page.context.browser.new_context().new_page()  # type: ignore[union-attr]
        other.goto(app_url)
        other.get_by_text("Model:").first.wait_for()
        tab(other, "Streaming, accumulated")
        assert "fox" not in other.inner_text("body").lower()
        assert [box.input_value() for box in other.locator("textarea").all()] == [""] * other.locator("textarea").count()


@pytest.mark.slow
def test_a_chosen_voice_is_chosen_on_every_tab_and_after_a_reload(tmp_path: Path) -> None:
    folders = {
        "--tts-checkpoint": small_checkpoints.save_speecht5(tmp_path / "speecht5"),
        "--vocoder-checkpoint": small_checkpoints.save_vocoder(tmp_path / "vocoder"),
        "--x-vectors": small_checkpoints.save_x_vectors(tmp_path / "x-vectors", 20),
    }
    process, url = start_app(*(str(part) for pair in folders.items() for part in pair), "--x-vector-index", "7")
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, headless=True, args=FLAGS)
            page = browser.new_page()
            page.goto(url)
            tab(page, "Text to speech")
            voice = page.get_by_label("Voice").locator("visible=true")
            expect(voice).to_have_value("SpeechT5 in the course's voice", timeout=60_000)
            voice.click()
            page.get_by_role("option", name="SpeechT5 bdl: US English, male").click()
            tab(page, "Speech-to-speech translation", "Audio File")
            expect(voice).to_have_value("SpeechT5 bdl: US English, male")
            page.reload()
            tab(page, "Text to speech")
            expect(voice).to_have_value("SpeechT5 bdl: US English, male", timeout=60_000)
            browser.close()
    finally:
        process.terminate()
        process.wait(timeout=30)


def test_a_transcript_plays_from_where_it_is_clicked_and_a_reload_does_not_lose_it(browse: Browse) -> None:
    with browse(BONJOUR) as page:
        page.get_by_role("button", name="Example in English", exact=True).locator("visible=true").click()
        assert "fox" in shown_text(page, "full").lower()
        segment = page.locator("#segments-full button").first
        expect(segment).to_contain_text(re.compile("quick", re.IGNORECASE))
        recording = page.locator("#speech-full")
        expect(recording.get_by_test_id("subtitles-toggle")).to_be_visible()
        page.screenshot(path=SCREENSHOTS / "transcript.png", full_page=True)
        segment.click()
        expect(recording.locator("#time")).not_to_have_text("0:00", timeout=10_000)
        expect(recording.get_by_test_id("subtitle-display")).to_contain_text(re.compile("quick", re.IGNORECASE))
        expect(page.locator(".source").first).to_contain_text(re.compile(r"Computes on cpu.*The last run took \d\.\d\d s"))
        text = shown_text(page, "full")
        page.reload()
        expect(page.locator("#text-full textarea")).to_have_value(text, timeout=30_000)


def test_a_reload_in_mid_recording_does_not_lose_the_live_captions(browse: Browse) -> None:
    with browse(QUICK_BROWN_FOX) as page:
        tab(page, "Live captions")
        page.get_by_role("button", name="Record", exact=True).locator("visible=true").click()
        sure = page.locator("#live-captions .prose span:not(.partial)").first
        expect(sure).to_contain_text(re.compile("quick", re.IGNORECASE), timeout=60_000)
        page.reload()
        tab(page, "Live captions")
        assert "quick" in shown_text(page, "captions").lower()


@pytest.mark.slow
def test_a_browser_in_german_that_stores_nothing_finds_the_models_and_plays_what_is_clicked(app_url: str) -> None:
    refuse = (
        "for (const name of ['localStorage', 'sessionStorage']) Object.defineProperty(window, name, { get() { throw Error('refused') } })"
    )
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, headless=True, args=FLAGS)
        page = browser.new_page(locale="de-DE")
        page.add_init_script(refuse)
        page.goto(app_url)
        page.get_by_text("Model:").first.wait_for()
        page.get_by_role("button", name="Example in English", exact=True).locator("visible=true").click()
        assert "fox" in shown_text(page, "full").lower()
        recording, segment = page.locator("#speech-full"), page.locator("#segments-full button").first
        expect(recording.get_by_label("Abspielen")).to_be_visible()
        segment.click()
        expect(recording.locator("#time")).not_to_have_text("0:00", timeout=10_000)
        segment.click()  # from the beginning again, and on
        expect(recording.get_by_label("Abspielen")).to_have_count(0)
        browser.close()


def test_a_reload_loses_none_of_several_texts(browse: Browse) -> None:
    texts = {"full": "One.", "captions": "Two.", "translation": "Three.", "upload": "Four."}
    with browse(QUICK_BROWN_FOX) as page:
        page.evaluate("(texts) => Object.entries(texts).forEach(([name, text]) => sessionStorage.setItem(`speech-${name}`, text))", texts)
        for _ in range(2):  # what the first one restores is kept for the second
            page.reload()
            expect(page.locator("#text-full textarea")).to_have_value("One.")
        tab(page, "Live captions")
        expect(page.locator("#text-captions textarea")).to_have_value("Two.")
        tab(page, "Speech translation")
        expect(page.locator("#text-translation textarea")).to_have_value("Three.")
        tab(page, "Speech-to-speech translation")
        tab(page, "Audio File")
        expect(page.locator("#text-upload textarea")).to_have_value("Four.")
        assert page.evaluate("(names) => names.map((name) => sessionStorage.getItem(`speech-${name}`))", [*texts]) == [*texts.values()]
