"""The built book in headless Chromium, cut off from every other host."""

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, Response, Route

from tools import HTML
from tools.browser import REMEDY, chromium, launched, served, view

OpenPage = Callable[..., Page]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    lacking = None if chromium() else REMEDY
    if not (HTML / "index.html").is_file():
        lacking = lacking or "There is no book to look at: build it with `make book`."
    for item in items:
        if item.path.is_relative_to(HTML.parent.parent / "tests" / "browser"):
            item.add_marker(pytest.mark.browser)
            if lacking:
                item.add_marker(pytest.mark.skip(reason=lacking))


@pytest.fixture(scope="module")  # playwright suffers no second one in the same process
def browser() -> Iterator[Browser]:
    with launched() as started:
        yield started


@pytest.fixture(scope="module")
def addresses() -> Iterator[dict[str, str]]:
    """Where the book stands: over http and as files."""
    with served(HTML) as http:
        yield {"http": http, "file": f"{HTML.as_uri()}/"}


@pytest.fixture
def open_page(browser: Browser, addresses: dict[str, str]) -> Iterator[OpenPage]:
    """Open a page of the book: `open_page("chapters/hardness.html", over="file", width=390)`.

    Returns playwright's page once its formulas are set and its widgets stand. When the test ends it
    fails if any page asked for something outside the book, or for what is not there, or complained
    in the console: `page.complaints`. `page.responses` lists what the page was answered.
    """
    contexts, complaints = [], []

    def open_one(name: str, over: str = "http", width: int = 1280, theme: str = "light") -> Page:
        origin = addresses[over]
        context = view(browser, width, theme)
        contexts.append(context)

        def guard(route: Route, request: Request) -> None:
            if request.url.startswith(origin):
                route.continue_()
            else:
                complaints.append(f"{name}: asks for {request.url}")
                route.abort()

        def answer(response: Response) -> None:
            page.responses.append(response)
            if response.status >= 400:
                complaints.append(f"{name}: {response.status} {response.url}")

        def message(said: ConsoleMessage) -> None:
            if said.type == "error":
                complaints.append(f"{name}: {said.text}")

        context.route("**/*", guard)
        page = context.new_page()
        page.responses, page.complaints = [], complaints
        page.on("response", answer)
        page.on("console", message)
        page.on("pageerror", lambda error: complaints.append(f"{name}: {error}"))
        page.on(
            "requestfailed",
            lambda request: complaints.append(f"{name}: {request.url} {request.failure}"),
        )
        page.goto(origin + name)
        settle(page)
        return page

    yield open_one
    for context in contexts:
        context.close()
    assert not complaints, "\n".join(dict.fromkeys(complaints))


def settle(page: Page) -> None:
    """Wait for fonts, formulas and widgets."""
    page.wait_for_load_state("networkidle")
    page.evaluate("document.fonts.ready.then(() => null)")
    page.evaluate("window.MathJax?.startup?.promise.then(() => null)")
    views = 'script[type="application/vnd.jupyter.widget-view+json"]'
    mounted = "view => view.parentElement.querySelector('.widget-subarea > *')"
    page.wait_for_function(f"[...document.querySelectorAll('{views}')].every({mounted})")
