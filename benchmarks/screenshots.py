"""Every tab as a person sees it: two languages, two themes, two widths.

    python -m benchmarks.screenshots FOLDER

Starts `app.py`, opens each tab in Debian's Chromium, and writes FOLDER/LANGUAGE-THEME-WIDTH-NUMBER.png, the whole page each, and
one sheet per language, theme and width with all of them beside each other. To be looked at.
"""

from __future__ import annotations

import argparse
import itertools
from pathlib import Path
from typing import Any, Literal

from PIL import Image
from playwright.sync_api import Page, ViewportSize, sync_playwright

from tests.conftest import start_app

CHROMIUM = "/usr/bin/chromium"
LANGUAGES = ("en-US", "zh-CN")
THEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
WIDE: ViewportSize = {"width": 1280, "height": 800}
WIDTHS = {"desktop": 1280, "phone": 390}


def tabs(page: Page) -> list[tuple[int, ...]]:
    """Which tab to click of each row of tabs, for every tab that holds no others."""
    found: list[tuple[int, ...]] = []
    for outer in range(page.locator(".tab-container[role=tablist]").first.get_by_role("tab").count()):
        open_tab(page, (outer,))
        inner = page.locator(".tab-container[role=tablist]:visible")
        if inner.count() == 1:
            found.append((outer,))
        else:
            found += [(outer, index) for index in range(inner.nth(1).get_by_role("tab").count())]
    return found


def open_tab(page: Page, path: tuple[int, ...]) -> None:
    for row, index in enumerate(path):
        page.locator(".tab-container[role=tablist]:visible").nth(row).get_by_role("tab").nth(index).evaluate("tab => tab.click()")
        page.wait_for_timeout(300)


def sheet(files: list[Path], target: Path) -> None:
    """All of them beside each other, in two rows, at half their size."""
    images = [Image.open(file).convert("RGB") for file in files]
    images = [image.resize((image.width // 2, image.height // 2)) for image in images]
    half = -(-len(images) // 2)
    rows, top = [images[:half], images[half:]], 0
    heights = [max(image.height for image in row) + 8 for row in rows]
    together = Image.new("RGB", (half * (images[0].width + 8), sum(heights)), "gray")
    for row, height in zip(rows, heights, strict=True):
        for index, image in enumerate(row):
            together.paste(image, (index * (image.width + 8), top))
        top += height
    together.save(target)


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    process, url = start_app()
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
            for language, theme, (name, width) in itertools.product(LANGUAGES, THEMES, WIDTHS.items()):
                how: dict[str, Any] = {"locale": language, "color_scheme": theme, "viewport": WIDE}
                page = browser.new_context(**how).new_page()
                page.goto(url)
                page.locator(".source").first.wait_for()
                page.wait_for_timeout(3000)
                files = []
                for number, path in enumerate(tabs(page)):
                    page.set_viewport_size(WIDE)  # a narrow one has most tabs in a menu
                    open_tab(page, path)
                    page.set_viewport_size({"width": width, "height": 800})
                    page.wait_for_timeout(300)
                    files.append(folder / f"{language}-{theme}-{name}-{number}.png")
                    page.screenshot(path=files[-1], full_page=True)
                sheet(files, folder / f"{language}-{theme}-{name}.png")
                print(folder / f"{language}-{theme}-{name}.png")
                page.context.close()
            browser.close()
    finally:
        process.terminate()
        process.wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    main(parser.parse_args().folder)
