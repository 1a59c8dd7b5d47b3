"""axe-core, the accessibility checker, on every tab in both themes; the keyboard; a page that asks nobody else."""

from __future__ import annotations

from typing import Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect, sync_playwright

from benchmarks.screenshots import WIDE, open_tab, tabs
from tests.test_browser import CHROMIUM, FLAGS

# What Gradio's own components have, which no app can mend; each was looked at.
KNOWN = {"aria-prohibited-attr": "the empty player's placeholder has a label and no role"}

SETTLED = """() => Promise.allSettled(
  document.getAnimations().filter((each) => each.effect.getComputedTiming().endTime < Infinity).map((each) => each.finished))"""


@pytest.mark.parametrize("theme", ["light", pytest.param("dark", marks=pytest.mark.slow)])
def test_no_tab_has_a_serious_finding(app_url: str, theme: Literal["light", "dark"]) -> None:
    found: dict[str, list[str]] = {}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, headless=True, args=FLAGS)
        page = browser.new_context(color_scheme=theme, viewport=WIDE).new_page()
        page.goto(app_url)
        page.get_by_text("Model:").first.wait_for()
        for path in tabs(page):
            open_tab(page, path)
            expect(page.locator(".pending:visible")).to_have_count(0)  # what is still to come is dimmed
            page.evaluate(SETTLED)  # and what has just come is not yet as bright as it will be
            for violation in Axe().run(page).response["violations"]:
                if violation["impact"] in ("serious", "critical") and violation["id"] not in KNOWN:
                    found.setdefault(violation["id"], []).extend(node["html"][:160] for node in violation["nodes"][:3])
        browser.close()
    assert found == {}


@pytest.mark.slow
def test_the_keyboard_alone_is_enough_to_hear_a_text(app_url: str) -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, headless=True, args=FLAGS)
        page = browser.new_page()
        page.goto(app_url)
        page.get_by_text("Model:").first.wait_for()

        def go_to(what: str) -> None:
            for _ in range(60):
                page.keyboard.press("Tab")
                if page.evaluate("document.activeElement.textContent || document.activeElement.placeholder").strip() == what:
                    return
            raise AssertionError(f"the Tab key never came to {what}")

        go_to("Text to speech")
        page.keyboard.press("Enter")
        go_to("The birch canoe slid on the smooth planks.")
        page.keyboard.type("Good morning.")
        go_to("Speak")
        page.keyboard.press("Enter")
        expect(page.locator("#speech-synthesis time").last).not_to_have_text("0:00", timeout=60_000)
        browser.close()


def test_the_page_asks_nobody_but_its_own_server(app_url: str) -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, headless=True, args=FLAGS)
        page = browser.new_page()
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.goto(app_url)
        page.get_by_text("Model:").first.wait_for()
        for path in tabs(page):
            open_tab(page, path)
        browser.close()
    assert len(asked) > 10
    assert [url for url in asked if not url.startswith((app_url, "data:", "blob:"))] == []
