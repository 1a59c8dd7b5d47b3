"""The page beside a bare gr.Interface: what the browser loads, and how soon somebody can click.

    python -m benchmarks.page

Both are opened in turn, in Debian's Chromium with an empty cache, from servers on this machine.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys

from playwright.sync_api import Browser, sync_playwright

from tests.conftest import free_port, once_it_answers, start_app

CHROMIUM = "/usr/bin/chromium"
ROUNDS = 20  # one visit takes a fifth more or less than the next
SETTLED = 3000  # ms
# Asked before every frame. Playwright's own waiting asks after 0.3 s, then every half second.
READY = """new Promise((resolve) => {
  const isSeen = (button) => button.textContent.trim() === "Record" && button.checkVisibility();
  const look = () => [...document.querySelectorAll("button")].some(isSeen) ? resolve(performance.now()) : requestAnimationFrame(look);
  look();
})"""
BARE = """
import gradio as gr
gr.Interface(lambda audio: "", gr.Audio(sources=["microphone"], type="filepath"), "text").launch(server_port={port})
"""


def start_bare() -> tuple[subprocess.Popen[bytes], str]:
    port = free_port()
    process = subprocess.Popen([sys.executable, "-c", BARE.format(port=port)], stdout=subprocess.DEVNULL)
    return process, once_it_answers(process, port)


def visit(browser: Browser, url: str, settled: int = 0) -> tuple[float, float]:
    """Seconds until there is something to click on, and MB that came until so many ms after."""
    context = browser.new_context()
    page = context.new_page()
    session, received = context.new_cdp_session(page), [0.0]
    session.send("Network.enable")
    session.on("Network.loadingFinished", lambda event: received.append(event["encodedDataLength"]))
    page.goto(url, wait_until="commit")
    seconds = page.evaluate(READY) / 1000
    page.wait_for_timeout(settled)  # it keeps a connection open, so that the network is never idle
    context.close()
    return seconds, sum(received) / 1e6


def main() -> None:
    (ours, our_url), (bare, bare_url) = start_app(), start_bare()
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
            weights = {url: visit(browser, url, SETTLED)[1] for url in (our_url, bare_url)}  # a server's first answer is its slowest
            rounds = [{url: visit(browser, url)[0] for url in weights} for _ in range(ROUNDS)]
            browser.close()
    finally:
        for process in (ours, bare):
            process.terminate()
            process.wait()
    seconds = {url: statistics.median(each[url] for each in rounds) for url in weights}
    for name, url in (("this page", our_url), ("bare gr.Interface", bare_url)):
        print(f"{name:18} something to click on after {seconds[url]:.2f} s, {weights[url]:.2f} MB")
    time_ratio, weight_ratio = seconds[our_url] / seconds[bare_url], weights[our_url] / weights[bare_url]
    print(f"this page / bare: {time_ratio:.2f} in time, {weight_ratio:.2f} in weight; load {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
