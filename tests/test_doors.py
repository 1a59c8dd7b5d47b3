"""What people who try doors find: no file of the server, no address fetched, no word of another, limits that say what would fit."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import numpy as np
import pytest
import torch
from gradio_client import Client, handle_file
from playwright.sync_api import expect, sync_playwright

import app
import checkpoints
import decoding
import service
import streams
import visitors
from audio import SAMPLING_RATE, load_audio
from checkpoints import Settings
from cores import Turns
from endpoints import WholeFiles
from errors import RefusalError
from service import Service
from tests.conftest import ROOT, free_port, once_it_answers, start_app
from tests.measures import seconds_of_computing
from tests.sounds import COUNTING, PARAGRAPH, QUICK_BROWN_FOX, spoken, write
from tests.test_browser import CHROMIUM, FLAGS, opened, press, record, shown_text, tab

NUMBERS = (
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
    "twenty",
    "thirty",
    "forty",
)
DIGITS = dict(zip(NUMBERS, (*map(str, range(11, 20)), "20", "30", "40"), strict=True))


@pytest.fixture
def of_short_grace(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """An app that forgets who has left after a second, and what nobody owns after 20, not an hour: its process, its address."""
    port = free_port()
    shorter = "visitors.GRACE_SECONDS, visitors.UNCLAIMED_SECONDS, app.SWEEP_SECONDS = 1.0, 20.0, 1.0"
    code = f"import sys, app, visitors\n{shorter}\nsys.argv = ['app.py', '--port', '{port}']\napp.main()"
    process = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, env={**os.environ, "GRADIO_TEMP_DIR": str(tmp_path)})
    yield process, once_it_answers(process, port)
    process.terminate()
    process.wait(timeout=30)


@pytest.fixture
def client(app_url: str) -> Client:
    return Client(app_url, verbose=False)


def file_data(path: str) -> dict[str, Any]:
    return {"path": path, "meta": {"_type": "gradio.FileData"}}


def call(url: str, endpoint: str, *data: Any) -> str:
    """An endpoint by bare HTTP, as somebody who does not use the client calls it; the stream of what happened."""
    event = httpx.post(f"{url}gradio_api/call/{endpoint}", json={"data": list(data)}, timeout=30).json()["event_id"]
    return httpx.get(f"{url}gradio_api/call/{endpoint}/{event}", timeout=60).text


@pytest.mark.parametrize("path", ["/etc/passwd", "../../../../etc/passwd", "app.py", "/proc/self/environ", "file:///etc/passwd"])
def test_no_file_of_the_server_is_read(app_url: str, path: str) -> None:
    told = call(app_url, "transcribe", file_data(path), "english")
    assert "event: error" in told
    assert "root:" not in told
    assert "Traceback" not in told
    for route in (f"gradio_api/file={path}", f"file={path}", f"static/{path}"):
        assert httpx.get(app_url + route).status_code in (400, 403, 404)


def test_no_address_is_fetched(app_url: str) -> None:
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # named by http.server
            asked.append(self.path)
            self.send_error(404)

        def log_message(self, *_: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}/x.wav"
    for given in (file_data(address), {**file_data("x.wav"), "url": address}):
        assert "event: error" in call(app_url, "transcribe", given, "english")
    playlist = f"#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:0\n#EXTINF:10.0,\n{address}\n#EXT-X-ENDLIST\n"
    uploaded = httpx.post(f"{app_url}gradio_api/upload", files={"files": ("x.wav", playlist.encode())}).json()[0]
    assert "event: error" in call(app_url, "transcribe", file_data(uploaded), "english")
    server.shutdown()
    assert asked == []
    public = call(app_url, "transcribe", file_data("https://huggingface.co/x.wav"), "english")
    assert "event: error" in public


@pytest.mark.slow
def test_many_at_once_never_show_a_word_of_each_other(app_url: str, tmp_path: Path) -> None:
    def speak(number: str) -> tuple[str, str]:
        clip = write(tmp_path / f"{number}.wav", spoken(f"My number is {number}."), SAMPLING_RATE, "PCM_16")
        client = Client(app_url, verbose=False)
        whole = client.predict(handle_file(clip), "english", api_name="/transcribe")
        client.predict(handle_file(clip), "english", api_name="/stream_accumulated")
        committed, _ = client.predict(handle_file(clip), True, "transcribe", "english", api_name="/captions")
        again = client.predict(handle_file(clip), "english", api_name="/stream_accumulated")
        return number, f"{whole} {committed} {again}".lower()

    with ThreadPoolExecutor(6) as people:
        for number, text in people.map(speak, NUMBERS):
            found = set(re.findall(r"\d+|" + "|".join(NUMBERS), text))
            assert found, text
            assert found <= {number, DIGITS[number]}, (number, text)


@pytest.mark.slow
def test_logs_hold_no_word_and_no_sound() -> None:
    code = (
        "import endpoints, logging, service, sys\n"
        "from pathlib import Path\n"
        "logging.basicConfig(level=logging.DEBUG, stream=sys.stdout)\n"
        "from checkpoints import Settings\n"
        "whole = endpoints.WholeFiles(service.Service(Settings(), Path('cache')))\n"
        f"print(len(whole.transcribe({str(QUICK_BROWN_FOX)!r}, 'english')), file=sys.stderr)\n"
    )
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert int(result.stderr.split()[-1]) > 20
    assert "fox" not in result.stdout.lower()


# --- limits -------------------------------------------------------------------------------------------------------


def test_more_visitors_than_the_limit_are_told_and_those_who_left_make_room() -> None:
    everyone = visitors.Visitors(max_visitors=2)
    for name in ("somebody", "who only", "looks"):
        everyone.of(name)
    for name in ("ana", "ben"):
        everyone.of(name).streams["captions"] = streams.Captioned(app.Recording())
    ana = everyone.of("ana")
    with pytest.raises(visitors.LimitError, match=r"2 visitors are here already.*Try again"):
        everyone.of("cleo")
    assert everyone.of("ana") is ana
    everyone.leave("ben")
    assert everyone.of("cleo")


def test_whoever_has_only_looked_is_told_when_they_begin_and_there_is_no_room() -> None:
    everyone = visitors.Visitors(max_visitors=1)
    ana, ben = everyone.of("ana"), everyone.of("ben")
    ana.streams["captions"] = streams.Captioned(app.Recording())
    assert everyone.of("ben") is ben, "to look on costs nothing"
    with pytest.raises(visitors.LimitError, match="1 visitors are here already"):
        everyone.of("ben", to_begin=True)
    assert everyone.of("ana", to_begin=True) is ana
    ana.streams.clear()
    assert everyone.of("ben", to_begin=True) is ben


def test_what_somebody_who_is_gone_asked_for_ends(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Whoever closes a page while a run is under way has left, whatever the run does meanwhile."""
    monkeypatch.setattr(visitors, "GRACE_SECONDS", 0.2)
    page, request = app.Page(Settings()), SimpleNamespace(session_hash="ana")
    recording = write(tmp_path / "long.wav", np.tile(load_audio(QUICK_BROWN_FOX), 20), SAMPLING_RATE, "PCM_16")
    ana = page.service.visitor(request)
    heard = page.service.transcribed(str(recording), "english", ana, lambda *_: None)
    assert "fox" in next(heard).text.lower()
    page.leave(request)  # type: ignore[arg-type]
    deadline = time.monotonic() + 10
    while len(page.service.visitors) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert ana.is_gone
    with pytest.raises(RefusalError, match="The page was closed"):
        next(heard)
    assert ana.n_running == 0


def test_a_file_counts_as_a_run_from_before_it_is_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    serves = Service(dataclasses.replace(Settings(), max_runs=1), tmp_path)
    monkeypatch.setattr(service, "load_audio", lambda *_: pytest.fail("read, though it was one too many"))
    ana = serves.visitor(SimpleNamespace(session_hash="ana"))
    with ana.running(1):
        for refused in (
            serves.transcribed("x.wav", "english", ana, lambda *_: None),
            serves.translated("x.wav", ana, lambda *_: None),
            serves.cascade("x.wav", None, "english", False, ana, lambda *_: None),
        ):
            with pytest.raises(visitors.LimitError, match="You have 1 runs under way"):
                next(refused)  # type: ignore[call-overload]


def test_whoever_only_looks_at_a_full_page_sees_it(monkeypatch: pytest.MonkeyPatch) -> None:
    page = app.Page(dataclasses.replace(Settings(), max_visitors=0))
    page.build()
    assert any("Model:" in str(each) for each in page.prepare(None))
    with pytest.raises(app.gr.Error, match="0 visitors are here already"):
        app.plainly(WholeFiles(page.service).transcribe)(str(QUICK_BROWN_FOX), "english", SimpleNamespace(session_hash="late"))
    cancel, *lines = page.tell_ended("full")(SimpleNamespace(session_hash="late"))
    assert not cancel.visible
    assert all("Model:" in line or "Voice:" in line for line in lines), "told once is enough"


def test_more_runs_than_the_limit_are_refused_and_room_comes_back() -> None:
    visitor = visitors.Visitor()
    with visitor.running(1), pytest.raises(visitors.LimitError, match="You have 1 runs under way"), visitor.running(1):
        pass
    with visitor.running(1):
        assert visitor.n_running == 1
    assert visitor.n_running == 0


@pytest.mark.slow
def test_whoever_has_to_wait_is_told_their_place_and_served(tmp_path: Path) -> None:
    """Twice as many at once as the app works on: the eight it does, and eight who wait; then a person at the page."""
    recording = write(tmp_path / "paragraph.wav", spoken(PARAGRAPH), SAMPLING_RATE, "PCM_16")
    process, url = start_app()
    try:
        with ThreadPoolExecutor(16) as people:
            clients = list(people.map(lambda _: Client(url, verbose=False), range(16)))
        jobs = [client.submit(handle_file(recording), "english", api_name="/transcribe") for client in clients]
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, headless=True, args=FLAGS)
            page = browser.new_page()
            page.goto(url)
            page.locator("input[type=file]").first.set_input_files(str(QUICK_BROWN_FOX))
            page.get_by_role("button", name="Transcribe", exact=True).click()
            expect(page.get_by_text(re.compile(r"queue: \d+/\d+")).first).to_be_visible(timeout=30_000)
            assert max(job.status().rank or 0 for job in jobs) >= 1, "programs are told, too"
            expect(page.locator("#text-full textarea")).to_have_value(re.compile("fox"), timeout=300_000)
            browser.close()
        assert len({job.result(timeout=300) for job in jobs}) == 1, "each gets the whole text"
    finally:
        process.terminate()
        process.wait(timeout=30)


def test_a_run_that_takes_too_long_is_ended_and_the_next_is_served(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    serves = Service(Settings(asr_checkpoint="openai/whisper-base", max_run_minutes=0.01), tmp_path)
    transcribe = app.plainly(WholeFiles(serves).transcribe)
    decode = decoding._decode_windows

    def hang(fast_whisper: Any, waveform: np.ndarray, spans: Any, options: decoding.Options) -> Any:
        while True:
            options.check()
            time.sleep(0.01)

    serves.load_whisper("openai/whisper-base", lambda *_: None)
    monkeypatch.setattr(decoding, "_decode_windows", hang)
    with pytest.raises(app.gr.Error, match=r"longer than 0.01 minutes, the most that one run may take"):
        transcribe(str(QUICK_BROWN_FOX), "english")
    monkeypatch.setattr(decoding, "_decode_windows", decode)
    serves.settings = dataclasses.replace(serves.settings, max_run_minutes=5.0)
    assert "fox" in transcribe(str(QUICK_BROWN_FOX), "english").lower()


def test_a_cascade_that_takes_too_long_says_so_and_keeps_what_is_done(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    serves = Service(Settings(), tmp_path)
    late: list[bool] = []
    monkeypatch.setattr(service.Run, "is_late", lambda _: bool(late))
    recording = write(tmp_path / "long.wav", np.concatenate([spoken(PARAGRAPH), load_audio(COUNTING)]), SAMPLING_RATE, "PCM_16")
    cascades = serves.cascade(str(recording), None, "english", False, visitors.Visitor(), lambda *_: None)
    done = [next(cascades)]
    late.append(True)
    with pytest.raises(visitors.LimitError, match=r"longer than 30 minutes.*Try something shorter"):
        done.extend(cascades)
    assert done[-1].sentences
    assert done[-1].heard_seconds < done[-1].audio_seconds


def test_one_decoder_that_hangs_does_not_stop_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "_turns", Turns(2))  # as on two cores
    released, decode = threading.Event(), decoding._decode_windows
    whisper = checkpoints.load_whisper("openai/whisper-base", Settings())

    def hang(fast_whisper: Any, waveform: np.ndarray, spans: Any, options: decoding.Options) -> Any:
        if threading.current_thread().name == "stuck":
            released.wait(60)
        return decode(fast_whisper, waveform, spans, options)

    monkeypatch.setattr(decoding, "_decode_windows", hang)
    fox = load_audio(QUICK_BROWN_FOX)
    stuck = threading.Thread(target=decoding.decode, args=(whisper, fox), name="stuck")
    stuck.start()
    try:
        assert "fox" in decoding.decode(whisper, fox, language="en").text.lower()
    finally:
        released.set()
        stuck.join()


# --- faults -------------------------------------------------------------------------------------------------------


def test_a_gpu_that_is_full_is_left_for_the_cpu_and_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """torch raises what it raises on a GPU; there is none here."""
    monkeypatch.setattr(checkpoints, "_cuda_is_full", False)
    monkeypatch.setattr(checkpoints, "_loaded", {("whisper", "x", "cuda", None): object(), ("whisper", "x", "cpu", None): object()})

    def too_much() -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    assert checkpoints.choose_device("cuda") == "cuda"
    with pytest.raises(app.gr.Error, match=r"GPU's memory is full.*on the CPU.*try again"):
        app.plainly(too_much)()
    assert checkpoints.choose_device("cuda") == checkpoints.choose_device("auto") == "cpu"
    assert list(checkpoints._loaded) == [("whisper", "x", "cpu", None)]


def held(cache: Path) -> set[str]:
    """The names of what lies there."""
    return {path.name for path in cache.rglob("*") if path.is_file()}


def wait_until(is_so: Callable[[], bool]) -> None:
    """As long as it takes the server to see that a client's connection is closed; the caller's assertions tell."""
    until = time.monotonic() + 40
    while not is_so() and time.monotonic() < until:
        time.sleep(0.1)


@pytest.mark.slow
def test_what_a_visitor_uploaded_and_was_given_is_deleted_when_they_have_left(
    tmp_path: Path, of_short_grace: tuple[subprocess.Popen[bytes], str]
) -> None:
    ana, ben = (Client(of_short_grace[1], verbose=False) for _ in range(2))
    ana.predict(handle_file(QUICK_BROWN_FOX), True, "transcribe", "english", api_name="/captions")
    assert held(tmp_path) == set(), "a chunk has served once it is heard"
    for client in (ana, ben):
        client.predict(handle_file(QUICK_BROWN_FOX), "english", api_name="/transcribe")
    ana.predict("Hello.", api_name="/synthesise")
    assert len([*tmp_path.rglob(QUICK_BROWN_FOX.name)]) == 2, "the same file, but each has their own"
    ana.close()
    wait_until(lambda: len([*tmp_path.rglob("*.wav")]) == 1)
    (left,) = tmp_path.rglob("*.wav")
    assert "fox" in ben.predict(file_data(str(left)), "english", api_name="/transcribe").lower(), "what is of others stays"
    ben.close()
    (folder,) = tmp_path.glob("speech-*")
    wait_until(lambda: not [*folder.iterdir()])
    assert [*folder.iterdir()] == [], "nor an empty folder"


@pytest.mark.slow
def test_what_a_browser_left_is_deleted(tmp_path: Path, of_short_grace: tuple[subprocess.Popen[bytes], str]) -> None:
    with opened(of_short_grace[1], QUICK_BROWN_FOX) as page:
        page.locator("input[type=file]").first.set_input_files(str(QUICK_BROWN_FOX))
        expect(page.get_by_role("button", name="Transcribe", exact=True)).to_be_enabled()  # and not pressed
        tab(page, "Live captions")
        record(page, QUICK_BROWN_FOX)
        expect(page.locator("#text-captions textarea")).to_have_value(re.compile("fox"), timeout=60_000)
        assert len([*tmp_path.rglob("audio.wav")]) <= 1, "chunks have served once they are heard"
        tab(page, "Speech translation")
        press(page, "Example in French")
        assert shown_text(page, "translation")
        tab(page, "Text to speech")
        page.locator("#text-synthesis textarea").fill("Hello.")
        press(page, "Speak")
        expect(page.locator("#speech-synthesis time").last).not_to_have_text("0:00")
        assert held(tmp_path) >= {QUICK_BROWN_FOX.name, "captions.srt", "bonjour_monde.ogg", "speech.wav"}
    wait_until(lambda: not held(tmp_path))
    assert held(tmp_path) == set()


@pytest.mark.slow
@pytest.mark.parametrize("doing", ["a stream", "a transcription", "a translation", "a synthesis"])
def test_a_browser_closed_in_the_middle_of_anything_leaves_nothing_to_do(
    tmp_path: Path, of_short_grace: tuple[subprocess.Popen[bytes], str], doing: str
) -> None:
    process, url = of_short_grace
    recording = write(tmp_path.with_suffix(".wav"), np.tile(spoken(PARAGRAPH), 6), SAMPLING_RATE, "PCM_16")  # minutes
    with opened(url, recording) as page:
        if doing == "a stream":
            tab(page, "Live captions")
            press(page, "Record")
            expect(page.locator("#live-captions")).to_contain_text("birch", timeout=60_000)
        elif doing == "a synthesis":
            tab(page, "Text to speech")
            page.locator("#text-synthesis textarea").fill(f"{PARAGRAPH} " * 6)
            press(page, "Speak")
            expect(page.locator("#status-synthesis")).to_contain_text("s of speech", timeout=60_000)
        else:
            if doing == "a translation":
                tab(page, "Speech translation")
            page.locator("[role=tabpanel]:visible input[type=file]").first.set_input_files(str(recording))
            press(page, "Transcribe" if doing == "a transcription" else "Translate")
            assert shown_text(page, "full" if doing == "a transcription" else "translation"), "its first words"
    wait_until(lambda: not held(tmp_path))
    assert held(tmp_path) == set()
    time.sleep(3)  # what is under way ends at its next step
    before = seconds_of_computing(process)
    time.sleep(3)
    assert seconds_of_computing(process) - before < 0.5, "nothing goes on for nobody"
    assert "fox" in Client(url, verbose=False).predict(handle_file(QUICK_BROWN_FOX), "english", api_name="/transcribe").lower()


@pytest.mark.slow
@pytest.mark.parametrize("stopped_by", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_server_that_is_stopped_leaves_nothing_of_its_visitors(tmp_path: Path, stopped_by: signal.Signals) -> None:
    process, url = start_app(GRADIO_TEMP_DIR=str(tmp_path))
    client = Client(url, verbose=False)
    client.predict(handle_file(QUICK_BROWN_FOX), "english", api_name="/transcribe")
    client.submit(handle_file(QUICK_BROWN_FOX), api_name="/speech_to_speech_translation")  # in its middle
    time.sleep(0.5)
    process.send_signal(stopped_by)
    assert process.wait(timeout=30) == 0
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [], "no upload, no speech, no text"


@pytest.mark.slow
def test_two_processes_with_one_cache_serve_both(tmp_path: Path) -> None:
    apps = [start_app(GRADIO_TEMP_DIR=str(tmp_path)) for _ in range(2)]
    try:
        for _, url in apps:
            text = Client(url, verbose=False).predict(handle_file(QUICK_BROWN_FOX), "english", api_name="/transcribe")
            assert "fox" in text.lower()
    finally:
        for process, _ in apps:
            process.terminate()
        for process, _ in apps:
            process.wait(timeout=30)


def test_weights_are_never_pickles_but_where_the_hub_has_no_others() -> None:
    """SpeechT5 and its vocoder are on the Hub as pytorch_model.bin only; transformers reads that with torch's weights-only unpickler."""
    assert not any("bin" in pattern for pattern in checkpoints.MODEL_FILES)
    for file in ROOT.glob("*.py"):
        text = file.read_text(encoding="utf-8")
        assert not re.search(r"\bpickle\b|torch\.load|trust_remote_code|allow_pickle|(?<!\.)\beval\(|(?<!\.)\bexec\(", text), file.name


def test_auth_covers_every_route() -> None:
    process, url = start_app("--auth", "ana:secret")
    try:
        uploaded = httpx.post(f"{url}gradio_api/upload", files={"files": b"x"})
        routes = ["config", "gradio_api/info", "gradio_api/file=app.py", "gradio_api/queue/status"]
        answers = {route: httpx.get(url + route).status_code for route in routes}
        assert uploaded.status_code == 401
        assert httpx.post(f"{url}gradio_api/call/transcribe", json={"data": [None, "english"]}).status_code == 401
        assert {route: code for route, code in answers.items() if code not in (401, 403, 404)} == {}
        page = httpx.get(url).text
        assert "text-full" not in page, "nothing of the page but its login"
    finally:
        process.terminate()
        process.wait(timeout=30)


def test_another_site_cannot_read_what_is_answered(app_url: str) -> None:
    headers = {"Origin": "https://elsewhere.example"}
    answer = httpx.post(f"{app_url}gradio_api/call/transcribe", json={"data": [None, "english"]}, headers=headers)
    assert answer.headers.get("access-control-allow-origin") != "https://elsewhere.example"
    assert json.dumps(dict(answer.headers)).find('"access-control-allow-origin": "*"') < 0


def secrets_in(folder: Path) -> list[str]:
    """Keys, tokens and passwords that detect-secrets finds; hashes, of which there are many here, are not looked for."""
    hashes = ("HexHighEntropyString", "Base64HighEntropyString")
    command = [sys.executable, "-m", "detect_secrets", "scan", "--all-files", *(f"--disable-plugin={name}" for name in hashes), "."]
    found = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout
    return sorted(json.loads(found)["results"])


def test_no_secret_is_in_the_repository(tmp_path: Path) -> None:
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    for name in tracked:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    assert secrets_in(tmp_path) == []
    (tmp_path / "left_behind.py").write_text(f"token = '{'ghp_' + 'a1B2' * 9}'", encoding="utf-8")
    assert secrets_in(tmp_path) == ["left_behind.py"], "the check is able to fail"
