"""Headless Chromium and a server of the built book, for browser tests and screenshots."""

import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from playwright.sync_api import Browser, BrowserContext, sync_playwright

# Without a sandbox as root; and nothing asked of any host behind the page's back.
FLAGS = (
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--no-first-run",
)
# The first is Chromium without the parts that draw a window: it takes a fifth less of a core.
NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
REMEDY = (
    "There is no Chromium: install it (Debian: apt-get install chromium fonts-dejavu-core) "
    "or name one in MAMLBOOK_CHROMIUM."
)


def chromium() -> str | None:
    """The Chromium or Chrome of this machine, or None."""
    named = os.environ.get("MAMLBOOK_CHROMIUM")
    found = map(shutil.which, NAMES)
    return named or next(filter(None, found), None)


@contextmanager
def launched() -> Iterator[Browser]:
    """A headless browser. Raises FileNotFoundError, with the remedy, if there is none."""
    path = chromium()
    if path is None:
        raise FileNotFoundError(REMEDY)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address, ending in a slash, under which `folder` is served on this machine."""
    handler = partial(_Quiet, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def view(
    browser: Browser, width: int = 1280, theme: str = "light", scale: float = 1
) -> BrowserContext:
    """A window of `width` pixels on the book in its light or dark theme."""
    context = browser.new_context(
        viewport={"width": width, "height": 900 if width > 600 else 844},
        color_scheme=theme,
        has_touch=width < 600,
        device_scale_factor=scale,
    )
    context.set_default_timeout(15_000)
    return context


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass
