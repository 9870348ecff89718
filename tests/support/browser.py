"""A headless Chromium that opens a page of the report, where this machine has one; else a test is skipped.

Playwright is one of the packages of `make setup`. Its own browsers would be a download from its own servers, so the
browser is the system's: `$SALT_CHROMIUM`, or Chromium or Chrome in the system's folders of programs.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
NONE = (
    "no browser here: Chromium or Chrome in /usr/bin, or its path in SALT_CHROMIUM (Debian: apt-get install chromium)"
)
HEIGHT = 900


def chromium() -> str | None:
    """Its path. `make test` hides what is installed on a machine, so the system's folders are looked into by name."""
    found = (shutil.which(name, path=folders) for folders in (None, os.defpath) for name in NAMES)
    return os.environ.get("SALT_CHROMIUM") or next((path for path in found if path), None)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One for all tests."""
    program = chromium()
    if program is None:
        pytest.skip(NONE)
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield started
        started.close()


@contextmanager
def opened(browser: Browser, path: Path, width: int, scheme: Literal["light", "dark"] = "light") -> Iterator[Page]:
    """A page in a window of some width; what it wrote to the console as a warning or an error fails the test."""
    page = browser.new_page(viewport={"width": width, "height": HEIGHT}, color_scheme=scheme)
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text) if message.type != "log" else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("requestfailed", lambda request: said.append(request.url[:80]))
    page.goto(path.as_uri())
    yield page
    page.close()
    assert said == []


def is_wider_than_its_window(page: Page) -> list[str]:
    """What reaches beyond the right edge, with everything open; what scrolls within itself is not meant."""
    page.evaluate("for (const part of document.querySelectorAll('details')) part.open = true")
    found: list[str] = page.evaluate(
        """() => {
          const wide = [...document.querySelectorAll('body *')].filter((part) =>
            part.getBoundingClientRect().right > innerWidth + 1 && part.checkVisibility() && !part.closest('.wide'));
          const whole = document.documentElement.scrollWidth > innerWidth ? ['the page'] : [];
          return whole.concat(wide.map((part) => `${part.tagName} ${part.className} ${part.textContent.slice(0, 40)}`));
        }"""
    )
    return found
