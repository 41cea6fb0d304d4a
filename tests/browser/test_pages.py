"""Every page, as a reader sees it: whole, quiet, light, and fit for every screen."""

import gzip
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from tools import HTML, ROOT
from tools.notebooks import pages

from .conftest import Look, at, desk, phone, stays

PAGES = [page.relative_to(ROOT).with_suffix(".html").as_posix() for page in pages()]
SHARED = ("_static/", "searchindex.js")  # of all pages
OWN_LIMIT = 1_000_000
LOAD_LIMIT, GZIPPED_LIMIT = 4_000_000, 1_500_000
# Without `preload` axe fetches no style sheets again, from addresses of its own guessing.
AXE = {"resultTypes": ["violations"], "preload": False}
ALL_RULES: dict[str, object] = {}
COLOURS = {"runOnly": ["color-contrast"]}
ALL_BUT_COLOURS = {"rules": {"color-contrast": {"enabled": False}}}

PHONES = (320, 360, 390)
# Families of text, heading and code; the last is wider than any that a reader is likely to have.
SYSTEM_FONTS = (
    ["serif", "sans-serif", "monospace"],
    ["DejaVu Serif", "DejaVu Sans", "DejaVu Sans Mono"],
    ["DejaVu Sans Mono", "DejaVu Sans Mono", "DejaVu Sans Mono"],
)
SET_FONTS = """
(families) => {
  ["--book-serif", "--book-sans", "--book-code"].forEach((name, i) =>
    families
      ? document.documentElement.style.setProperty(name, families[i])
      : document.documentElement.style.removeProperty(name));
}
"""
# What reaches past the window's edge and is not in a box that scrolls.
WIDE = """
(edge) => {
  const scrolls = (e) => e && (/auto|scroll|hidden/.test(getComputedStyle(e).overflowX)
    || scrolls(e.parentElement));
  const wide = [...document.querySelectorAll("article *")].filter((e) =>
    e.getBoundingClientRect().right > edge + 0.5 && !scrolls(e.parentElement));
  return wide.slice(0, 5).map((e) => `${e.tagName}.${e.className}: ${e.textContent.slice(0, 60)}`);
}
"""

# What stands in for a formula: a word of its size. And code with the first token of each look on
# each ground alone: see `plain`.
PLAIN = """
() => {
  const whole = [];
  const replace = (element, ...parts) => {
    whole.push([element, [...element.childNodes]]);
    element.replaceChildren(...parts);
  };
  const set = [...document.querySelectorAll("mjx-container:not(:has(a, [tabindex]))")];
  const sizes = set.map((formula) => formula.querySelector("mjx-math").getBoundingClientRect());
  set.forEach((formula, i) => {
    const word = document.createElement("span");
    word.textContent = "formula";
    const size = `width: ${sizes[i].width}px; height: ${sizes[i].height}px`;
    word.style = `display: inline-block; overflow: hidden; ${size}`;
    replace(formula, word);
  });
  const ground = (element) => {
    const colour = element && getComputedStyle(element).backgroundColor;
    return colour === "rgba(0, 0, 0, 0)" ? ground(element.parentElement) : colour;
  };
  const look = (token) => {
    const style = getComputedStyle(token);
    return [style.color, style.backgroundColor, style.fontSize, style.fontWeight];
  };
  const blocks = [...document.querySelectorAll("pre, dt.sig")];
  const kinds = blocks.map((block) => {
    const under = ground(block);
    return [...block.querySelectorAll("span")].map((token) => [under, ...look(token)].join());
  });
  const seen = new Set();
  blocks.forEach((block, i) => {
    const copy = block.cloneNode(true);
    copy.querySelectorAll("span").forEach((token, j) => {
      if (seen.has(kinds[i][j])) token.replaceWith(...token.childNodes);
      seen.add(kinds[i][j]);
    });
    copy.normalize();
    replace(block, ...copy.childNodes);
  });
  window.whole = whole;
}
"""
WHOLE = "() => window.whole.forEach(([element, parts]) => element.replaceChildren(...parts))"
# Mark the first element with text of each look: see `is_fair`.
LOOKS = """
() => {
  const look = (element) => {
    const own = getComputedStyle(element);
    const parts = [own.color, own.fill, own.fontSize, own.fontWeight, own.textShadow];
    let covered = false;
    for (let up = element; up; up = up.parentElement) {
      const style = getComputedStyle(up);
      parts.push(style.opacity);
      if (!covered) parts.push(style.backgroundColor, style.backgroundImage);
      covered ||= style.backgroundColor.startsWith("rgb(");
      if (style.position !== "static") parts.push(up.tagName, up.className);
    }
    return parts.join();
  };
  const seen = new Set();
  for (const element of document.body.querySelectorAll("*")) {
    const words = [...element.childNodes].some((part) => part.nodeType === 3 && part.data.trim());
    if (!words && !element.matches("input, select, textarea")) continue;
    if (!element.checkVisibility() || seen.has(look(element))) continue;
    seen.add(look(element));
    element.dataset.look = "";
  }
}
"""
JUDGE = """
(options) => {
  const marked = "[data-look], [data-look] *";
  // A rule's own impact is that of all it finds: what is never serious need not be looked for.
  const slight = axe._audit.rules.filter(({ impact }) => /moderate|minor/.test(impact));
  axe.configure({ rules: [
    { id: "color-contrast", selector: marked },
    ...slight.map(({ id }) => ({ id, enabled: false })),
  ] });
  return axe.run(document, options).then((found) => found.violations);
}
"""
UNMARKED = "() => document.querySelectorAll('[data-look]').forEach((e) => delete e.dataset.look)"


@at(*map(desk, PAGES))
def test_a_page_on_a_desk(open_page, look):
    page = open_page(look)
    stays(page.shifts)
    is_light(page, look.name)
    is_whole(page)
    fits(page)
    with plain(page):
        is_fair(page)
    fits(page)


@at(*map(phone, PAGES))
def test_a_page_on_a_phone_without_a_server(open_page, look):
    """In the dark."""
    page = open_page(look)
    stays(page.shifts)
    is_whole(page)
    fits_every_phone(page)
    with plain(page):
        is_fair(page)


@at(desk("chapters/verdict.html"))
def test_a_desk_in_the_dark(open_page, look):
    """What stands beside the text on a desk alone is the same on every page."""
    page = open_page(look)
    page.emulate_media(color_scheme="dark")
    page.wait_for_function("document.documentElement.dataset.theme === 'dark'")
    faded = "document.getAnimations().every(fading => fading.playState === 'finished')"
    page.wait_for_function(faded, polling=50)
    with plain(page):
        is_fair(page, COLOURS)
    page.emulate_media(color_scheme=look.theme)


@at(desk("chapters/errata.html"))
def test_formulas_as_they_are_set(open_page, look):
    """MathJax's elements are the same on every page: axe looks at them on one."""
    page = open_page(look)
    assert page.locator("mjx-container mjx-assistive-mml").count() > 0
    is_fair(page, ALL_BUT_COLOURS)


@at(desk("chapters/errata.html"))
@pytest.mark.parametrize(
    ("pale", "fault"),
    [
        ("color: #aaa", "mjx-container.*#aaaaaa"),
        ("opacity: 0.4", "mjx-container"),
        ("background: #555", "mjx-container.*#555555"),
    ],
)
def test_a_pale_formula_is_noticed(open_page, look, pale, fault):
    page = open_page(look)
    formulas = page.locator("article .math")
    formula = formulas.nth(formulas.count() // 2)
    formula.evaluate("(formula, pale) => { formula.style = pale }", pale)
    with plain(page), pytest.raises(AssertionError, match=rf"(?s)color-contrast.*{fault}"):
        is_fair(page, COLOURS)
    formula.evaluate("formula => { formula.style = '' }")


@at(desk("chapters/errata.html"))
def test_a_pale_word_and_a_nameless_button_are_noticed(open_page, look):
    page = open_page(look)
    fault = '<p id="fault" style="color: #bbb">pale <button></button></p>'
    page.locator("article").evaluate("(a, f) => a.insertAdjacentHTML('beforeend', f)", fault)
    with plain(page), pytest.raises(AssertionError) as failure:
        is_fair(page)
    page.locator("#fault").evaluate("fault => fault.remove()")
    found = set(re.findall(r"([\w-]+) \((?:serious|critical)\)", str(failure.value)))
    assert found == {"button-name", "color-contrast"}


@contextmanager
def plain(page: Page) -> Iterator[None]:
    """Words in the place of formulas, and in code each look of a token once: these are most of a
    page's elements and cost axe minutes.

    A word has the size and the colour of its formula and its place in what may be scrolled, so axe
    misses nothing of the page; and it can judge its contrast, which it cannot of a formula, whose
    letters are not text but styled content. A formula that holds a link stays as it is.
    """
    page.evaluate(PLAIN)
    try:
        yield
    finally:
        page.evaluate(WHOLE)


def fits(page: Page) -> None:
    """Nothing to scroll sideways for."""
    content, window = page.evaluate("[document.documentElement.scrollWidth, window.innerWidth]")
    if content <= window:
        return
    wide = page.evaluate(WIDE, window)
    raise AssertionError(f"{content} px of content in a window of {window} px: {wide}")


def fits_every_phone(page: Page) -> None:
    """On phones of several widths, also where the book's own fonts did not load."""
    size = page.viewport_size
    for fonts in (None, *SYSTEM_FONTS):
        page.evaluate(SET_FONTS, fonts)
        for width in PHONES:
            page.set_viewport_size({"width": width, "height": size["height"]})
            fits(page)
    page.evaluate(SET_FONTS, None)
    page.set_viewport_size(size)


def is_fair(page: Page, rules: dict[str, object] = ALL_RULES) -> None:
    """Nothing serious to axe: text stands out from its ground, all can be reached and is named.

    Texts of one colour and size on one ground have one contrast: the first speaks for the others.
    """
    page.evaluate(LOOKS)
    page.evaluate(Axe().axe_script)
    faults = page.evaluate(JUDGE, {**AXE, **rules})
    page.evaluate(UNMARKED)
    found = "\n".join(
        f"{fault['id']} ({fault['impact']}): {node['target']} {node['failureSummary']}"
        for fault in faults
        if fault["impact"] in ("serious", "critical")
        for node in fault["nodes"]
    )
    assert not found, found


def is_whole(page: Page) -> None:
    """Formulas are set, widgets stand, pictures are there and described, nothing is left raw."""
    unset = "[...document.querySelectorAll('.math')].filter(e => !e.querySelector('mjx-container'))"
    assert page.evaluate(f"{unset}.map(e => e.textContent)") == []
    assert page.locator("mjx-merror").count() == 0
    assert page.locator(".output.error, .output.stderr").count() == 0
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
    images = page.locator("article img").evaluate_all(
        "all => all.map(i => [i.getAttribute('src'), i.alt, i.complete && i.naturalWidth > 0])"
    )
    for source, alt, drawn in images:
        assert alt, f"no alt text: {source}"
        assert drawn, f"not there: {source}"
    icons = page.locator("i.fa-solid:visible, i.fas:visible")
    drawn = icons.evaluate_all("all => all.map(i => getComputedStyle(i, '::before').content)")
    assert drawn, "the theme's buttons have no icons"
    assert not [content for content in drawn if content in ("none", "normal")]


def is_light(page: Page, name: str) -> None:
    """The page's own weight, and the first load of it with all that pages share."""
    # As the server sends them; the browser does not keep every body until it is asked.
    files = {urlsplit(answer.url).path.lstrip("/") for answer in page.first_load if answer.ok}
    bodies = {file: (HTML / file).read_bytes() for file in files}
    own = sum(len(body) for file, body in bodies.items() if not file.startswith(SHARED))
    whole = sum(map(len, bodies.values()))
    gzipped = sum(map(weight_gzipped, bodies.values()))
    print(f"{name}: {own} bytes of its own, {whole} in all, {gzipped} gzipped")
    assert own >= (HTML / name).stat().st_size
    assert own < OWN_LIMIT, f"{name} itself weighs {own} bytes"
    assert whole < LOAD_LIMIT, f"the first load of {name} is {whole} bytes"
    assert gzipped < GZIPPED_LIMIT, f"the first load of {name} is {gzipped} bytes gzipped"


@cache  # most of a page's load is what all pages share
def weight_gzipped(body: bytes) -> int:
    return len(gzip.compress(body))


@pytest.mark.parametrize("over", ["http", "file"])
def test_the_search_finds_a_chapter(open_page, over):
    title = re.search("<h1>(.+?)<", (HTML / PAGES[1]).read_text(encoding="utf-8"))[1]
    page = open_page(Look(f"search.html?q={title.replace(' ', '+')}", over))
    page.locator(f"#search-results a[href^='{PAGES[1]}']").first.wait_for()


def test_the_search_for_maml_finds_pages(open_page):
    """The package is called after it, but its functions are not what is meant."""
    page = open_page(desk("search.html?q=MAML"))
    page.get_by_text("Search finished").wait_for()
    links = page.locator("#search-results li > a").evaluate_all("a => a.map(a => a.pathname)")
    found = [link.lstrip("/") for link in links]
    assert set(found) <= set(PAGES) and len(found) == len(set(found))
    assert {PAGES[1], "chapters/geography.html", "chapters/verdict.html"} <= set(found)


def test_the_magnifier_stands_beside_the_query(open_page):
    page = open_page(desk("search.html?q=hardness"))
    fields = page.locator("form.bd-search:visible").evaluate_all(
        """forms => forms.map((form) => {
            const [icon, input] = ["i", "input"].map((name) => form.querySelector(name));
            return [icon.getBoundingClientRect().right, input.getBoundingClientRect().left
                    + parseFloat(getComputedStyle(input).paddingLeft)];
        })"""
    )
    assert fields and all(icon + 4 < query for icon, query in fields)


def test_the_search_finds_the_section_of_fine_tuning(open_page):
    """Each result names the section, and its excerpt is a sentence: no code, no TeX."""
    page = open_page(desk("search.html?q=fine-tuning"))
    page.get_by_text("Search finished").wait_for()
    result = page.locator("#search-results li", has=page.locator("a[href^='chapters/omniglot']"))
    place = result.locator("a.section")
    place.wait_for()
    excerpts = page.locator("#search-results p.context").all_inner_texts()
    assert excerpts and all(len(text) < 400 for text in excerpts)
    assert not any(re.search(r"\\|\$|import ", text) for text in excerpts)
    assert "fine-tuning" in result.locator("p.context").inner_text()
    place.click()
    section = page.locator(page.evaluate("location.hash"))
    section.get_by_text("fine-tuning").first.wait_for()


@at(desk(PAGES[0]))
def test_the_reader_can_turn_the_lights_off(open_page, look):
    page = open_page(look)
    colours = {}
    for _ in range(3):
        page.locator("button.theme-switch-button:visible").click()
        theme = page.evaluate("document.documentElement.dataset.theme")
        colours[theme] = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert set(colours) == {"light", "dark"}
    assert colours["light"] != colours["dark"]


@at(desk(PAGES[0]))
def test_the_tests_would_notice(open_page, look):
    """A page that asks another host, or fails at a script, does not pass unseen."""
    page = open_page(look)
    page.evaluate("fetch('https://example.org/').catch(() => 0)")
    page.evaluate("fetch('nowhere.json').catch(() => 0)")
    page.evaluate("console.error('a complaint')")
    page.wait_for_load_state("networkidle")
    failure = "\n".join(page.complaints)
    for part in ("asks for https://example.org/", "404 ", "a complaint"):
        assert part in failure
    page.complaints.clear()
