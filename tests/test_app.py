"""The app over HTTP, as programs use it, and what it keeps of whom."""

from __future__ import annotations

import dataclasses
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError

import app
import captions
import checkpoints
import commandline
import decoding
import streams
import telling
import visitors
from audio import SAMPLING_RATE, Recording, load_audio
from checkpoints import Settings
from endpoints import WholeFiles
from errors import CheckpointError
from int8_graph import int8_is_faster
from service import Service
from tests.conftest import ROOT, run, start_app
from tests.measures import word_error_rate
from tests.sounds import BONJOUR, COUNTING, PARAGRAPH, QUICK_BROWN_FOX, chirp, spoken, text_of, write

FOX = "The quick brown fox jumps over the lazy dog."


@pytest.fixture
def client(app_url: str) -> Client:
    return Client(app_url, verbose=False)


def chunk_files(tmp_path: Path, clip: Path, seconds: float) -> list[Path]:
    waveform = load_audio(clip)
    size = round(seconds * SAMPLING_RATE)
    tmp_path.mkdir(exist_ok=True)
    starts = range(0, len(waveform), size)
    return [write(tmp_path / f"{start}.wav", waveform[start : start + size], SAMPLING_RATE, "PCM_16") for start in starts]


def test_transcribe(client: Client) -> None:
    assert word_error_rate(FOX, client.predict(handle_file(QUICK_BROWN_FOX), api_name="/transcribe")) == 0


def test_translate(client: Client) -> None:
    assert word_error_rate("1 2 3 4 5 6 7 8 9 10", client.predict(handle_file(COUNTING), api_name="/translate")) <= 0.2


def test_synthesise(client: Client) -> None:
    speech = client.predict(FOX, api_name="/synthesise")
    assert word_error_rate(FOX, client.predict(handle_file(speech), api_name="/transcribe")) == 0


def test_speech_to_speech_translation(client: Client) -> None:
    speech, text = client.predict(handle_file(COUNTING), api_name="/speech_to_speech_translation")
    assert word_error_rate("1 2 3 4 5 6 7 8 9 10", text) <= 0.2
    info = soundfile.info(speech)
    assert (info.samplerate, info.channels, info.subtype) == (24_000, 1, "PCM_16")


@pytest.mark.parametrize(("name", "worst"), [("/stream_accumulated", 0.12), ("/stream_chunks", 0.8)])
def test_a_program_streams_by_sending_chunks_in_order(client: Client, tmp_path: Path, name: str, worst: float) -> None:
    texts = [client.predict(handle_file(chunk), "english", api_name=name) for chunk in chunk_files(tmp_path, QUICK_BROWN_FOX, 1)]
    assert word_error_rate(text_of(QUICK_BROWN_FOX), texts[-1]) <= worst
    assert len(texts[-1]) > len(texts[0])
    again = client.predict(handle_file(write(tmp_path / "tone.wav", chirp(1, 16000), 16000, "PCM_16")), "english", True, api_name=name)
    assert again == "", "a new recording starts clean"


def test_a_program_reads_captions_by_sending_chunks_in_order(client: Client, tmp_path: Path) -> None:
    chunks = chunk_files(tmp_path, QUICK_BROWN_FOX, 1)
    for chunk in chunks:
        committed, partial = client.predict(handle_file(chunk), api_name="/captions")
    assert word_error_rate(FOX, committed + partial) <= 0.3
    committed, partial = client.predict(None, True, api_name="/captions")
    assert word_error_rate(FOX, committed) <= 0.3
    assert partial == ""
    tone = handle_file(write(tmp_path / "tone.wav", chirp(1, 16000), 16000, "PCM_16"))
    assert client.predict(tone, True, api_name="/captions") == ("", ""), "after the final chunk a new recording begins"


def test_captions_of_large_chunks_lose_nothing(client: Client, tmp_path: Path) -> None:
    whole = write(tmp_path / "paragraph.wav", spoken(PARAGRAPH), 16000, "PCM_16")
    for chunk in chunk_files(tmp_path, whole, 20):
        committed, _ = client.predict(handle_file(chunk), False, "transcribe", "english", api_name="/captions")
        assert committed
    committed, _ = client.predict(None, True, api_name="/captions")
    assert word_error_rate(PARAGRAPH, committed) <= 0.1


def test_captions_translate(client: Client) -> None:
    committed, _ = client.predict(handle_file(COUNTING), True, "translate", "italian", api_name="/captions")
    assert word_error_rate("1 2 3 4 5 6 7 8 9 10", committed) <= 0.3


def test_captions_go_on_after_a_language_that_the_checkpoint_does_not_know(client: Client) -> None:
    with pytest.raises(AppError, match="does not know cantonese"):
        client.predict(handle_file(QUICK_BROWN_FOX), False, "transcribe", "cantonese", api_name="/captions")
    committed, _ = client.predict(handle_file(QUICK_BROWN_FOX), True, "transcribe", "english", api_name="/captions")
    assert word_error_rate(FOX, committed) <= 0.3


@pytest.mark.parametrize("name", ["/stream_accumulated", "/stream_chunks"])
def test_a_stream_without_a_chunk_is_told_what_would_work(client: Client, name: str) -> None:
    with pytest.raises(AppError, match="There is no recording yet"):
        client.predict(None, "english", True, api_name=name)


def test_speech_without_a_text_is_told_what_would_work(client: Client) -> None:
    with pytest.raises(AppError, match="nothing to say yet"):
        client.predict(None, api_name="/synthesise")


@pytest.mark.slow
def test_a_full_recording_is_told_of_and_a_chunk_longer_than_it_is_refused(tmp_path: Path) -> None:
    process, url = start_app("--max-minutes", "0.1", GRADIO_TEMP_DIR=str(tmp_path / "uploads"))
    try:
        client, long = Client(url, verbose=False), write(tmp_path / "long.wav", spoken(PARAGRAPH), 16_000, "PCM_16")
        with pytest.raises(AppError, match="longer than 6 seconds"):
            client.predict(handle_file(long), "english", True, api_name="/stream_chunks")
        chunks = chunk_files(tmp_path / "chunks", long, 4)
        for chunk in chunks[:2]:
            assert client.predict(handle_file(chunk), "english", api_name="/stream_chunks")
        with pytest.raises(AppError, match="Begin a new one"):
            client.predict(handle_file(chunks[2]), "english", api_name="/stream_chunks")
        assert client.predict(handle_file(chunks[2]), "english", True, api_name="/stream_chunks")
    finally:
        process.terminate()


def test_captions_of_two_sessions_never_mix(app_url: str, client: Client, tmp_path: Path) -> None:
    other = Client(app_url, verbose=False)
    for fox, count in zip(chunk_files(tmp_path, QUICK_BROWN_FOX, 1.5), chunk_files(tmp_path / "it", COUNTING, 1.5), strict=False):
        client.predict(handle_file(fox), api_name="/captions")
        other.predict(handle_file(count), False, "transcribe", "italian", api_name="/captions")
    fox_text, count_text = (each.predict(None, True, api_name="/captions")[0].lower() for each in (client, other))
    assert "fox" in fox_text
    assert "fox" not in count_text
    assert count_text


def test_one_session_never_shows_the_words_of_another(app_url: str, client: Client, tmp_path: Path) -> None:
    client.predict(handle_file(QUICK_BROWN_FOX), "english", api_name="/stream_accumulated")
    tone = write(tmp_path / "tone.wav", chirp(1, 16000), 16000, "PCM_16")
    assert Client(app_url, verbose=False).predict(handle_file(tone), "english", api_name="/stream_accumulated") == ""
    assert "fox" in client.predict(handle_file(tone), "english", api_name="/stream_accumulated").lower()


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"", "empty"), (b"<html>", "is not sound that can be read"), (b"RIFF\x00\x00\x00\x00WAVE", "")],
    ids=["empty", "html", "header"],
)
def test_a_bad_file_gets_a_sentence_and_the_next_request_is_served(client: Client, tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "x.wav").write_bytes(content)
    with pytest.raises(AppError) as caught:
        client.predict(handle_file(tmp_path / "x.wav"), api_name="/translate")
    assert words in str(caught.value)
    assert "Traceback" not in str(caught.value)
    assert "/" not in str(caught.value), "no path of the server"
    assert client.predict(handle_file(BONJOUR), api_name="/translate")


def test_nothing_recorded_gets_a_sentence(client: Client) -> None:
    with pytest.raises(AppError, match="Press record"):
        client.predict(None, api_name="/transcribe")


def test_nothing_typed_gets_a_sentence(client: Client) -> None:
    with pytest.raises(AppError, match="Type some English text"):
        client.predict("  ", api_name="/synthesise")


def test_the_endpoints_are_the_promised_ones_and_need_only_their_first_input(client: Client) -> None:
    endpoints = client.view_api(return_format="dict", print_info=False)["named_endpoints"]
    assert set(endpoints) == {
        "/transcribe", "/stream_accumulated", "/stream_chunks", "/captions", "/translate", "/synthesise", "/speech_to_speech_translation",
    }  # fmt: skip
    for endpoint in endpoints.values():
        assert all(parameter["parameter_has_default"] for parameter in endpoint["parameters"][1:])


def request(session: str) -> Any:
    return SimpleNamespace(session_hash=session)


def test_what_a_visitor_said_is_freed_when_they_leave_and_not_when_their_network_blinks(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(visitors, "GRACE_SECONDS", 0.2)
    everyone = visitors.Visitors()
    ana, ben = everyone.of("a"), everyone.of("b")
    of_ana, of_ben = (visitor.write(tmp_path, "captions.srt", "1") for visitor in (ana, ben))
    everyone.leave("a")
    everyone.leave("b")
    assert everyone.of("b") is ben, "back within the grace"
    for _ in range(100):
        if len(everyone) == 1:
            break
        threading.Event().wait(0.05)
    assert len(everyone) == 1
    assert everyone.of("b") is ben
    assert everyone.of("a") is not ana
    assert of_ben.exists()
    assert not of_ana.parent.exists()


def test_cancel_reaches_every_run_that_waits_and_none_after_them() -> None:
    visitor = visitors.Visitor()
    for _ in range(2):
        visitor.ask("full")
    assert visitor.cancel("full")
    for _ in range(2):
        with visitor.cancellable("full") as run:
            assert run.is_set()
    visitor.ask("full")
    with visitor.cancellable("full") as run:
        assert not run.is_set()


def test_nobody_can_guess_where_the_files_of_another_are(tmp_path: Path) -> None:
    ana, ben = visitors.Visitor(), visitors.Visitor()
    first, second = ana.write(tmp_path, "captions.srt", "a"), ben.write(tmp_path, "captions.srt", "b")
    assert first.parent.parent != second.parent.parent
    assert min(len(first.parent.parent.name), len(second.parent.parent.name)) >= 22, "128 bits"
    assert first.parent.stat().st_mode & 0o077 == 0
    assert ana.write(tmp_path, "captions.srt", "c").parent not in (first.parent, second.parent), "browsers keep the last one by its name"


def test_a_session_that_never_closes_is_freed_in_the_end(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    everyone = visitors.Visitors()
    idle = everyone.of("idle")
    monkeypatch.setattr(visitors, "IDLE_SECONDS", -1.0)
    with idle.running(max_runs=1):  # for hours, if whoever runs the app allows it
        everyone.sweep(tmp_path)
        assert len(everyone) == 1
    everyone.of("new")
    assert len(everyone) == 1
    assert everyone.of("idle") is not idle


def test_many_who_leave_are_waited_for_by_one_thread_and_each_has_their_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(visitors, "GRACE_SECONDS", 0.5)
    everyone, n_before = visitors.Visitors(), threading.active_count()
    for number in range(20):
        everyone.of(str(number))
        everyone.leave(str(number))
    assert threading.active_count() == n_before + 1
    time.sleep(0.3)
    everyone.of("late")
    everyone.leave("late")
    time.sleep(0.35)
    assert len(everyone) == 1, "the late one has not had their half second"
    time.sleep(0.35)
    assert len(everyone) == 0


def test_each_call_without_a_session_is_somebody_else_who_is_forgotten_in_the_end(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    everyone = visitors.Visitors()
    first, second = everyone.of(None), everyone.of(None)
    assert first is not second
    made = [visitor.write(tmp_path, "speech.txt", "1") for visitor in (first, second)]
    assert made[0].parent != made[1].parent
    monkeypatch.setattr(visitors, "IDLE_SECONDS", -1.0)
    everyone.sweep(tmp_path)
    assert (len(everyone), [*tmp_path.iterdir()]) == (0, [])


def test_an_hour_old_is_swept_away_unless_it_is_of_somebody_who_is_here(tmp_path: Path) -> None:
    everyone = visitors.Visitors()
    ana = everyone.of("ana")
    hers, given_up, new = (tmp_path / name / "fox.wav" for name in ("1", "2", "3"))
    for upload in (hers, given_up, new):
        upload.parent.mkdir()
        upload.write_bytes(b"fox")
    ana.own(hers)
    written = ana.write(tmp_path, "captions.srt", "1")
    loose = tmp_path / "tmp1"
    loose.write_bytes(b"half of an upload")
    for path in (hers, given_up, written, loose):
        os.utime(path, (0, 0))
        os.utime(path.parent, (0, 0))
    everyone.sweep(tmp_path)
    assert [path.exists() for path in (hers, written, new)] == [True] * 3
    assert not given_up.parent.exists()
    assert not loose.exists()
    everyone.sweep(tmp_path / "deleted by something else")


@pytest.mark.parametrize("recording", [None, Recording()])
def test_a_chunk_is_deleted_whether_it_is_wanted_or_not_and_no_other_file_is(tmp_path: Path, recording: Recording | None) -> None:
    serves = Service(Settings(), tmp_path / "cache")
    serves.cache.mkdir()
    chunks = [write(folder / "chunk.wav", chirp(1, SAMPLING_RATE), SAMPLING_RATE, "PCM_16") for folder in (serves.cache, tmp_path)]
    for chunk in chunks:
        serves.hear(recording, str(chunk))
    assert [chunk.exists() for chunk in chunks] == [False, True]
    assert recording is None or len(recording) == 2 * SAMPLING_RATE


def test_what_waits_for_its_turn_can_be_cancelled_and_the_next_goes_on() -> None:
    visitor = visitors.Visitor()
    assert not visitor.cancel("full"), "there is nothing"
    visitor.ask("full")
    assert visitor.cancel("full")
    with visitor.cancellable("full") as run:
        assert run.is_set()
    visitor.ask("full")
    with visitor.cancellable("full") as run:
        assert not run.is_set()
        assert visitor.cancel("full")
        assert run.is_set()
    assert not visitor.cancel("full"), "it is over"


def test_a_decode_that_ends_after_a_new_recording_began_is_dropped() -> None:
    visitor = visitors.Visitor()
    old, new = app.asr.Accumulated(), app.asr.Accumulated()
    visitor.streams["accumulated"] = old

    def slow(stream: app.asr.Accumulated) -> app.asr.Accumulated:
        visitor.streams["accumulated"] = new
        return dataclasses.replace(stream, text="old words")

    assert visitor.advance("accumulated", slow) is None
    assert visitor.streams["accumulated"] is new


def test_a_stop_that_waits_for_a_decode_leaves_alone_the_recording_that_begins_meanwhile() -> None:
    visitor = visitors.Visitor()
    visitor.begin("chunks", app.asr.ChunkOnly(), {"take": 1, "chunks": 0})
    assert visitor.heard_all("chunks", {"take": 1, "chunks": 0}, 1.0)
    visitor.begin("chunks", new := app.asr.ChunkOnly(), {"take": 2, "chunks": 0})
    assert visitor.advance("chunks", lambda _: pytest.fail("of another recording"), {"take": 1, "chunks": 0}) is None
    assert visitor.stream("chunks") is new


def test_what_fails_in_the_last_recording_is_not_told_of_the_new_one() -> None:
    visitor = visitors.Visitor()
    visitor.begin("chunks", app.asr.ChunkOnly(), {"take": 1, "chunks": 0})

    def fail(stream: app.asr.ChunkOnly) -> app.asr.ChunkOnly:
        if again:
            visitor.begin("chunks", app.asr.ChunkOnly(), {"take": 2, "chunks": 0})
        raise RuntimeError("no weights")

    again = False
    with pytest.raises(RuntimeError, match="no weights"):
        visitor.advance("chunks", fail)
    again = True
    assert visitor.advance("chunks", fail) is None


def test_a_stop_that_comes_after_a_new_recording_began_leaves_it_alone() -> None:
    visitor = visitors.Visitor()
    visitor.begin("captions", streams.Captioned(app.Recording()), {"take": 1, "chunks": 0})
    visitor.begin("captions", new := streams.Captioned(app.Recording()), {"take": 2, "chunks": 0})
    assert not visitor.heard_all("captions", {"take": 1, "chunks": 5}, 1.0)
    assert visitor.stream("captions", {"take": 1, "chunks": 6}) is None, "nor is its last chunk heard in the new one"
    assert visitor.stream("captions", {"take": 0, "chunks": 0}) is None, "nor what the page knows to be of none"
    assert visitor.stream("captions", {"take": 2, "chunks": 1}) is new


def test_stop_waits_for_the_chunks_on_their_way_and_not_for_ever() -> None:
    visitor = visitors.Visitor()
    recording = app.Recording()
    visitor.begin("captions", streams.Captioned(recording), {"take": 1, "chunks": 0})
    late = threading.Timer(0.2, recording.append, (SAMPLING_RATE, np.zeros(800, np.float32), 1))
    late.start()
    assert visitor.heard_all("captions", {"take": 1, "chunks": 1}, 5.0)
    assert len(recording) == 800
    assert visitor.heard_all("captions", {"take": 1, "chunks": 2}, 0.1)


def fake_update(before: captions.Captions, waveform: np.ndarray, settings: Settings, final: bool = False) -> captions.Captions:
    """Says how many samples it heard, and needs only the last second again."""
    n_heard = before.window_start + len(waveform)
    word = captions.Word(f" {len(waveform)}", before.window_start / SAMPLING_RATE, n_heard / SAMPLING_RATE, ())
    return dataclasses.replace(before, words=(*before.words, word), n_heard=n_heard, window_start=max(0, n_heard - SAMPLING_RATE))


def test_captions_wait_for_a_second_and_forget_what_is_not_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(captions, "update", fake_update)
    stream = streams.Captioned(app.Recording(max_seconds=3), "translate", "italian")
    second = np.zeros(SAMPLING_RATE, np.float32)
    stream.recording.append(SAMPLING_RATE, second[:8000])
    assert streams.decode_captions(stream, Settings()) is stream, "half a second is not worth a decode"
    for _ in range(60):  # a minute, of which three seconds would be too much to hold
        stream.recording.append(SAMPLING_RATE, second)
        stream = streams.decode_captions(stream, Settings())
    assert stream.captions is not None
    assert (stream.captions.task, stream.captions.language) == ("translate", "italian")
    assert stream.n_decoded == len(stream.recording) == 60.5 * SAMPLING_RATE
    assert stream.captions.committed.split()[-1] == str(2 * SAMPLING_RATE)
    stream.recording.append(SAMPLING_RATE, second[:100])
    stream = streams.decode_captions(stream, Settings(), final=True)
    assert stream.n_decoded == len(stream.recording)
    assert streams.decode_captions(stream, Settings(), final=True) is stream, "what is over stays over"


def captioned(*words: str, partial: str = "", **more: Any) -> streams.Captioned:
    times = [captions.Word(text, index, index + 1, ()) for index, text in enumerate(words)]
    hypothesis = (captions.Word(partial, 0, 1, ()),) if partial else ()
    return streams.Captioned(app.Recording(), captions=captions.Captions(words=tuple(times), hypothesis=hypothesis, **more))


def test_what_is_said_is_never_markup() -> None:
    shown = telling.captions_html(captioned(" <b>Tom</b> &", ' "Jerry".', partial=" <script>"))
    assert "&lt;b&gt;Tom&lt;/b&gt; &amp; &quot;Jerry&quot;." in shown
    assert "<script>" not in shown
    assert "<b>" not in shown


def test_the_page_is_sent_the_end_of_a_long_talk_and_not_all_of_it() -> None:
    shown = telling.captions_html(captioned(*(f" Sentence number {number}." for number in range(5000)), partial=" and so"))
    assert len(shown) < 3 * telling.SHOWN_CHARACTERS
    text = re.sub(r"<[^>]*>", "", shown)
    assert telling.SHOWN_CHARACTERS // 2 < len(text) <= telling.SHOWN_CHARACTERS + len(" and so")
    assert text.endswith("Sentence number 4999. and so")


def test_captions_say_how_far_behind_they_are_and_why() -> None:
    settings = Settings(asr_checkpoint="openai/whisper-base")
    decoding.decode(checkpoints.load_whisper(settings.asr_checkpoint, settings), load_audio(COUNTING), language="it")
    stream = captioned(" Hello.", heard_language="en", speech_end=16000, n_heard=16000)
    stream.recording.append(SAMPLING_RATE, np.zeros(3 * SAMPLING_RATE, np.float32))
    told = telling.captions_status(stream, settings)
    assert told == "2.0 s behind: 3.0 s received, 1.0 s decoded. Language heard: English."
    stream.recording.append(SAMPLING_RATE, np.zeros(5 * SAMPLING_RATE, np.float32))
    assert "This machine is busy" in telling.captions_status(stream, settings)
    silent = captioned(n_heard=16000, window_start=16000, speech_end=0)
    assert "No speech is heard." in telling.captions_status(silent, settings)
    not_loaded = dataclasses.replace(settings, translation_checkpoint="somebody/elses")
    assert "is being loaded" in telling.captions_status(dataclasses.replace(stream, task="translate"), not_loaded)


def test_a_stream_says_what_it_waits_for_until_its_checkpoint_has_decoded(small_english_whisper: str, tmp_path: Path) -> None:
    settings = Settings(asr_checkpoint=str(shutil.copytree(small_english_whisper, tmp_path / "new")))
    stream = streams.Captioned(Recording(10))
    stream.recording.append(SAMPLING_RATE, np.zeros(SAMPLING_RATE, np.float32))

    def told() -> tuple[str, str]:
        return telling.listening("transcribe", settings), telling.captions_status(stream, settings)

    waiting = "Listening. The model is being loaded; what you say is kept."
    assert told() == (waiting, "1.0 s behind: 1.0 s received, 0.0 s decoded. The model is being loaded; what you say is kept.")
    whisper = checkpoints.load_whisper(settings.asr_checkpoint, settings)
    assert told()[0] == waiting  # the first decode makes it ready
    decoding.decode(whisper, np.zeros(SAMPLING_RATE, np.float32), precise=True)
    assert (told()[0] == waiting) == int8_is_faster()  # a translation's graph is another one
    decoding.decode(whisper, np.zeros(SAMPLING_RATE, np.float32))
    assert told() == ("Listening.", "1.0 s behind: 1.0 s received, 0.0 s decoded.")
    nothing_heard = streams.ACCUMULATED.begin(Recording(10))
    assert "being loaded" not in telling.stream_status(streams.ACCUMULATED, nothing_heard, settings)
    not_loaded = dataclasses.replace(settings, asr_checkpoint="somebody/elses")
    assert telling.stream_status(streams.ACCUMULATED, nothing_heard, not_loaded).endswith(telling.LOADING)


def test_captions_by_a_checkpoint_that_knows_english_only_do_not_translate(small_english_whisper: str, tmp_path: Path) -> None:
    serves = Service(Settings(translation_checkpoint=small_english_whisper), tmp_path)
    with pytest.raises(CheckpointError, match="knows English only"):
        serves.begin_captions("translate", None)
    assert serves.begin_captions("transcribe", None)


def test_flags_win_over_the_environment_and_both_over_the_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    assert app.parse([])[0] == Settings()
    monkeypatch.setenv("SPEECH_ASR_CHECKPOINT", "./large-v3")
    monkeypatch.setenv("SPEECH_X_VECTOR_INDEX", "12")
    monkeypatch.setenv("SPEECH_PORT", "11147")
    settings, options = app.parse(["--asr-checkpoint", "other", "--device", "cuda"])
    assert (settings.asr_checkpoint, settings.x_vector_index, settings.device) == ("other", 12, "cuda")
    assert options.port == 11147
    assert app.parse(["--max-minutes", "0.5"])[0].max_seconds == 30


def test_every_choice_has_a_line_of_help() -> None:
    text = subprocess.run([sys.executable, "app.py", "--help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for choice in commandline.HELP:
        assert "--" + choice.replace("_", "-") in text


def test_a_wrong_flag_is_refused_in_a_sentence() -> None:
    result = subprocess.run([sys.executable, "app.py", "--auth", "nobody"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert "USER:PASSWORD" in result.stderr


def test_a_wrong_choice_in_the_environment_is_refused_as_in_a_flag(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SPEECH_ENGINE", "pipelin")
    with pytest.raises(SystemExit):
        app.parse([])
    assert "SPEECH_ENGINE is pipelin. Choose from fast, pipeline." in capsys.readouterr().err


@pytest.mark.slow
def test_auth_closes_the_endpoints() -> None:
    process, url = start_app("--auth", "ana:secret")
    try:
        with pytest.raises(Exception, match=r"(?i)auth|login|401"):
            Client(url, verbose=False)
        assert Client(url, auth=("ana", "secret"), verbose=False).predict("Hello.", api_name="/synthesise")
    finally:
        process.terminate()
        process.wait(timeout=30)


def test_a_recording_longer_than_the_limit_is_refused_with_what_would_fit(tmp_path: Path) -> None:
    serves = Service(Settings(asr_checkpoint="openai/whisper-base", max_minutes=0.05), tmp_path)
    with pytest.raises(app.gr.Error, match="3 seconds"):
        app.plainly(WholeFiles(serves).transcribe)(
            str(write(tmp_path / "long.wav", np.tile(load_audio(QUICK_BROWN_FOX), 3), SAMPLING_RATE, "PCM_16"))
        )


@pytest.mark.slow
def test_what_takes_long_to_import_comes_while_a_page_is_read(tmp_path: Path) -> None:
    """Not at the start, which it would delay, and not at the first click, which it would make wait."""
    code = """
import sys, threading
import app
page = app.Page(Settings())
page.build()
before = "torch" in sys.modules
page.prepare(None)
[thread.join() for thread in threading.enumerate() if thread is not threading.current_thread() and thread.daemon]
print(json.dumps([before, "torch" in sys.modules and "transformers" in sys.modules]))
"""
    assert run(code, tmp_path) == [False, True]
