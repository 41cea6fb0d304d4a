"""Every page, as a reader sees it: whole, quiet, light, and fit for every screen."""

import gzip

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from tools import HTML, ROOT
from tools.notebooks import pages

PAGES = [page.relative_to(ROOT).with_suffix(".html").as_posix() for page in pages()]
OWN_LIMIT = 1_000_000
LOAD_LIMIT, GZIPPED_LIMIT = 7_500_000, 2_500_000
# Without `preload` axe fetches no style sheets again, from addresses of its own guessing.
AXE = {"resultTypes": ["violations"], "preload": False}

every_page = pytest.mark.parametrize("name", PAGES)


@every_page
def test_a_page_on_a_desk(open_page, name):
    page = open_page(name)
    is_light(page, name)
    is_whole(page)
    for theme in ("light", "dark"):
        is_fit(page, theme)


@every_page
def test_a_page_on_a_phone_without_a_server(open_page, name):
    page = open_page(name, over="file", width=390, theme="dark")
    is_whole(page)
    for theme in ("dark", "light"):
        is_fit(page, theme)


def is_fit(page: Page, theme: str) -> None:
    """Nothing to scroll sideways for, nothing serious to axe, in the light and in the dark."""
    page.emulate_media(color_scheme=theme)
    page.wait_for_function(f"document.documentElement.dataset.theme === '{theme}'")
    page.evaluate("Promise.all(document.getAnimations().map(fading => fading.finished))")
    content, window = page.evaluate("[document.documentElement.scrollWidth, window.innerWidth]")
    assert content <= window, f"{content} px of content in a window of {window} px"
    found = [
        f"{fault['id']} ({fault['impact']}): {node['target']} {node['failureSummary']}"
        for fault in Axe().run(page, options=AXE).response["violations"]
        if fault["impact"] in ("serious", "critical")
        for node in fault["nodes"]
    ]
    assert not found, "\n".join(found)


def is_whole(page: Page) -> None:
    """Formulas are set, widgets stand, pictures are there and described, nothing is left raw."""
    unset = "[...document.querySelectorAll('.math')].filter(e => !e.querySelector('mjx-container'))"
    assert page.evaluate(f"{unset}.map(e => e.textContent)") == []
    assert page.locator("mjx-merror").count() == 0
    assert page.locator(".jupyter-widgets-error-widget, .output.error, .output.stderr").count() == 0
    text = page.locator("article").evaluate(
        """article => {
            const copy = article.cloneNode(true);
            const apart = copy.querySelectorAll("pre, code, script, style, mjx-container");
            apart.forEach(element => element.remove());
            return copy.textContent;
        }"""
    )
    marks = ("$", "\\(", "\\[", "{eq}", "{numref}", "{cite", "{glue", "{prf")
    assert not [mark for mark in marks if mark in text]
    for image in page.locator("article img").all():
        assert image.get_attribute("alt"), f"no alt text: {image.get_attribute('src')}"
        assert image.evaluate("image => image.complete && image.naturalWidth > 0")
    icons = page.locator("i.fa-solid:visible, i.fas:visible")
    drawn = icons.evaluate_all("all => all.map(i => getComputedStyle(i, '::before').content)")
    assert drawn, "the theme's buttons have no icons"
    assert not [content for content in drawn if content in ("none", "normal")]


def is_light(page: Page, name: str) -> None:
    """The page's own weight, and the first load of it with all that pages share."""
    bodies = {answer.url: answer.body() for answer in page.responses if answer.status == 200}
    own = sum(len(body) for url, body in bodies.items() if "/_static/" not in url)
    whole = sum(map(len, bodies.values()))
    gzipped = sum(len(gzip.compress(body)) for body in bodies.values())
    print(f"{name}: {own} bytes of its own, {whole} in all, {gzipped} gzipped")
    assert own >= (HTML / name).stat().st_size
    assert own < OWN_LIMIT, f"{name} itself weighs {own} bytes"
    assert whole < LOAD_LIMIT, f"the first load of {name} is {whole} bytes"
    assert gzipped < GZIPPED_LIMIT, f"the first load of {name} is {gzipped} bytes gzipped"


@pytest.mark.parametrize("over", ["http", "file"])
def test_the_search_finds_a_chapter(open_page, over):
    page = open_page(PAGES[1], over=over)
    title = page.locator("article h1").evaluate("heading => heading.firstChild.textContent")
    page = open_page(f"search.html?q={title.replace(' ', '+')}", over=over)
    page.locator(f"#search-results a[href^='{PAGES[1]}']").first.wait_for()


def test_the_reader_can_turn_the_lights_off(open_page):
    page = open_page(PAGES[0])
    colours = {}
    for _ in range(3):
        page.locator("button.theme-switch-button:visible").click()
        theme = page.evaluate("document.documentElement.dataset.theme")
        colours[theme] = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert set(colours) == {"light", "dark"}
    assert colours["light"] != colours["dark"]


def test_the_tests_would_notice(open_page):
    """A page that asks another host, or fails at a script, does not pass unseen."""
    page = open_page(PAGES[0])
    page.evaluate("fetch('https://example.org/').catch(() => 0)")
    page.evaluate("fetch('nowhere.json').catch(() => 0)")
    page.evaluate("console.error('a complaint')")
    page.wait_for_load_state("networkidle")
    told = "\n".join(page.complaints)
    for part in ("asks for https://example.org/", "404 ", "a complaint"):
        assert part in told
    page.complaints.clear()
