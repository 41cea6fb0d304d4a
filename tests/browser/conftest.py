"""The built book in headless Chromium, cut off from every other host."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Request,
    Response,
    Route,
)

from tools import ROOT
from tools.browser import REMEDY, chromium, launched, served, view

# Shifts of what is shown, and when each widget takes the place of its first frame.
WATCH = """
window.shifts = [];
window.lives = [];
new PerformanceObserver((list) => {
  for (const { value, hadRecentInput, sources } of list.getEntries())
    if (!hadRecentInput) shifts.push([value, sources.map(({ node }) => node?.outerHTML?.slice(0, 80))]);
}).observe({ type: "layout-shift", buffered: true });
new MutationObserver((changes) => {
  for (const { removedNodes } of changes)
    for (const node of removedNodes) if (node.dataset?.still !== undefined) lives.push(performance.now());
}).observe(document, { childList: true, subtree: true });
"""  # noqa: E501
SETTLED = """
() => document.fonts.ready.then(() => new Promise((done) =>
  requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done, 100)))))
"""
LATE = "document.documentElement.dataset.fonts === 'late'"
SHIFT = 0.05  # of the cumulative layout shift, half of what is called good


class Look(NamedTuple):
    """A page of the book and how to look at it: over http or as a file, the window, the theme."""

    name: str
    over: str = "http"
    width: int = 1280
    theme: str = "light"

    def __str__(self) -> str:
        return f"{self.name}-{self.over}-{self.width}"


def desk(name: str) -> Look:
    """A wide window on a served page."""
    return Look(name)


def phone(name: str) -> Look:
    """A narrow window in the dark on a file."""
    return Look(name, "file", 390, "dark")


def at(*looks: Look) -> pytest.MarkDecorator:
    """The looks that a test is to have; it shares their pages with other tests."""
    return pytest.mark.parametrize("look", looks, ids=str)


OpenPage = Callable[[Look], Page]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    lacking = None if chromium() else REMEDY
    places: dict[object, int] = {}
    for item in items:
        if item.path.is_relative_to(ROOT / "tests" / "browser"):
            item.add_marker(pytest.mark.browser)
            if lacking:
                item.add_marker(pytest.mark.skip(reason=lacking))
        places.setdefault(look_of(item) or item, len(places))
    items.sort(key=lambda item: places[look_of(item) or item])


def look_of(item: pytest.Item) -> Look | None:
    """The look that a test asks for as its parameter `look`."""
    return item.callspec.params.get("look") if hasattr(item, "callspec") else None


@pytest.fixture(scope="package")  # playwright suffers no second one in the same process
def browser() -> Iterator[Browser]:
    with launched() as started:
        yield started


@pytest.fixture(scope="package")
def addresses(book: Path) -> Iterator[dict[str, str]]:
    """Where the book stands: over http and as files."""
    with served(book) as http:
        yield {"http": http, "file": f"{book.as_uri()}/"}


@pytest.fixture(scope="package")
def standing() -> dict[Look, Page]:
    """The one page that stays open after a test, for the next test with the same look."""
    return {}


@pytest.fixture
def open_page(
    browser: Browser, addresses: dict[str, str], standing: dict[Look, Page]
) -> Iterator[OpenPage]:
    """Open a page of the book: `open_page(desk("chapters/hardness.html"))`.

    Returns playwright's page once its formulas are set and its widgets stand. To open a chapter
    takes seconds, so tests that have the same look as their parameter `look` run one after the
    other on one page, each as the one before has left it. When a test ends it fails if a page that
    it has opened asked for something outside the book, or for what is not there, or complained in
    the console: `page.complaints`. `page.first_load` lists what the page was answered until then,
    `page.shifts` what moved.
    """
    opened = []

    def open_one(look: Look) -> Page:
        if look not in standing:
            for page in standing.values():
                page.context.close()
            standing.clear()
            page = page_of(view(browser, look.width, look.theme), addresses[look.over])
            opened.append(page)
            page.goto(addresses[look.over] + look.name)
            settle(page)
            if page.evaluate(LATE):  # on a busy machine; the next time they are in the cache
                page.reload()
                settle(page)
            page.first_load = tuple(page.responses)
            page.shifts = shifts_of(page)
            standing[look] = page
        opened.append(standing[look])
        return standing[look]

    yield open_one
    complaints = dict.fromkeys(
        f"{page.url}: {complaint}" for page in opened for complaint in page.complaints
    )
    for page in opened:
        page.complaints.clear()
    assert not complaints, "\n".join(complaints)


def page_of(context: BrowserContext, origin: str) -> Page:
    """A page that may ask for nothing outside `origin`, and on which all it does is noted."""
    context.add_init_script(WATCH)
    page = context.new_page()
    page.responses, page.complaints = [], []

    def refuse(route: Route, request: Request) -> None:
        page.complaints.append(f"asks for {request.url}")
        route.abort()

    def answer(response: Response) -> None:
        page.responses.append(response)
        if response.status >= 400:
            page.complaints.append(f"{response.status} {response.url}")

    def message(said: ConsoleMessage) -> None:
        if said.type == "error":
            page.complaints.append(said.text)

    def failed(request: Request) -> None:
        page.complaints.append(f"{request.url} {request.failure}")

    context.route(re.compile(f"^(?!{re.escape(origin)})"), refuse)
    page.on("response", answer)
    page.on("console", message)
    page.on("pageerror", lambda error: page.complaints.append(str(error)))
    page.on("requestfailed", failed)
    return page


def settle(page: Page) -> None:
    """Wait for fonts, formulas and widgets."""
    page.wait_for_load_state("load")
    page.evaluate("document.fonts.ready.then(() => null)")
    page.evaluate("window.MathJax?.startup?.promise.then(() => null)")
    page.wait_for_function("!document.querySelector('[data-still]')")


def shifts_of(page: Page) -> list[list]:
    """What has moved on a page since its first paint, and how far, once all of it is there."""
    page.evaluate(SETTLED)
    return page.evaluate("shifts")


def stays(shifts: list[list]) -> None:
    """Nothing of a page moves after its first paint, or next to nothing."""
    assert sum(value for value, _ in shifts) < SHIFT, shifts
