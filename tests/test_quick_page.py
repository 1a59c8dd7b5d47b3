"""The page in less time: what of it is compressed, what is kept, and what of it Svelte does not watch."""

from __future__ import annotations

import posixpath
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import gradio as gr
import httpx
import pytest
from fastapi import FastAPI, Response
from fastapi.responses import FileResponse
from fastapi.testclient import TestClient
from playwright.sync_api import expect, sync_playwright

import app
from quick_page import QuickPage
from tests.test_browser import CHROMIUM, FLAGS

ASSETS = Path(gr.__file__).parent / "templates" / "frontend" / "assets"
LARGEST = max(ASSETS.glob("audio-*.js"), key=lambda file: file.stat().st_size)


@pytest.fixture
def asked() -> Counter[str]:
    """How often the app behind was asked for each of its files."""
    return Counter()


@pytest.fixture
def client(asked: Counter[str]) -> Iterator[TestClient]:
    behind = FastAPI()

    @behind.get("/assets/{name:path}")
    def asset(name: str) -> Response:
        asked[name] += 1
        file = ASSETS / posixpath.normpath(name).lstrip("/")
        return FileResponse(file) if file.exists() else Response(status_code=404)

    behind.add_middleware(QuickPage)
    with TestClient(behind) as client:
        yield client


@pytest.mark.parametrize("encoding", ["br", "gzip", "identity"])
def test_a_script_is_read_and_compressed_once_for_everybody(client: TestClient, asked: Counter[str], encoding: str) -> None:
    answers = [client.get(f"/assets/{LARGEST.name}", headers={"Accept-Encoding": encoding}) for _ in range(3)]
    assert asked[LARGEST.name] == 1
    for answer in answers:
        assert answer.content == LARGEST.read_bytes()
        assert answer.headers.get("content-encoding", "identity") == encoding
        assert "immutable" in answer.headers["cache-control"]
        assert answer.headers == answers[0].headers


def test_nobody_gets_an_encoding_that_another_asked_for(client: TestClient) -> None:
    for encoding in ("gzip", "br", "identity", "gzip"):
        answer = client.get(f"/assets/{LARGEST.name}", headers={"Accept-Encoding": encoding})
        assert answer.headers.get("content-encoding", "identity") == encoding


def test_what_is_not_there_is_not_kept(client: TestClient, asked: Counter[str]) -> None:
    for _ in range(2):
        answer = client.get("/assets/none.js")
        assert answer.status_code == 404
        assert "cache-control" not in answer.headers
    assert asked["none.js"] == 2


def test_what_has_no_end_of_names_is_kept_under_one(client: TestClient, asked: Counter[str]) -> None:
    for other in (f"a/%2e%2e/{LARGEST.name}", f"%2e/{LARGEST.name}", f"/{LARGEST.name}"):
        for _ in range(2):
            assert client.get(f"/assets/{other}").content == LARGEST.read_bytes()
    assert set(asked.values()) == {2}
    assert len(asked) == 3


def test_part_of_a_file_is_not_kept_for_the_whole(client: TestClient) -> None:
    part = client.get(f"/assets/{LARGEST.name}", headers={"Range": "bytes=0-99", "Accept-Encoding": "identity"})
    assert part.status_code == 206
    assert len(part.content) == 100
    assert client.get(f"/assets/{LARGEST.name}", headers={"Accept-Encoding": "identity"}).content == LARGEST.read_bytes()


def test_the_page_and_its_scripts_come_compressed(app_url: str) -> None:
    """By Gradio's compressor; a slower one of ours once came before it."""
    accepted = {"Accept-Encoding": "br, gzip"}
    page = httpx.get(app_url, headers=accepted)
    script = re.search(r"assets/index-[\w-]+\.js", page.text)
    assert script
    for answer in (page, httpx.get(app_url + script[0], headers=accepted)):
        assert answer.headers["content-encoding"] == "br"
        assert answer.num_bytes_downloaded < len(answer.content) / 2
    assert page.num_bytes_downloaded < len(page.content) / 5
    assert "immutable" not in page.headers.get("cache-control", "")


def test_svelte_does_not_watch_what_never_changes(app_url: str) -> None:
    """Each event of the page that it did would be a Proxy."""
    count = """
const { Proxy } = window;
window.watched = { events: 0, others: 0 };
window.Proxy = new Proxy(Proxy, { construct: (proxy, [target, handler]) => {
  window.watched["targets" in target && "trigger_after" in target ? "events" : "others"] += 1;
  return new proxy(target, handler);
} });
"""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, headless=True, args=FLAGS)
        page = browser.new_page()
        page.add_init_script(count)
        page.goto(app_url)
        page.get_by_text("Model:").first.wait_for()
        watched = page.evaluate("window.watched")
        browser.close()
    assert watched["others"] > 100, "Svelte watches by proxies"
    assert watched["events"] == 0


def test_a_sentence_is_shown_as_it_is() -> None:
    """No markup, and nothing for either of the template languages of Gradio's HTML."""
    nasty = "<b>x</b> &amp; ${window.ran = 1} {{value}} ` \\ <img src=x onerror='window.ran = 1'> 5 < 6 & 7"
    with gr.Blocks() as demo:
        app.sentence(nasty, elem_id="nasty")
    _, url, _ = demo.launch(prevent_thread_lock=True, quiet=True)
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, headless=True, args=FLAGS)
            page = browser.new_page()
            page.goto(url)
            expect(page.locator("#nasty p")).to_have_text(nasty)
            assert page.locator("#nasty :is(b, img)").count() == 0
            assert page.evaluate("window.ran") is None
            browser.close()
    finally:
        demo.close()
