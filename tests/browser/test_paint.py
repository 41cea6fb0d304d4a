"""The first paint of a page is whole: nothing of it moves, and its widgets soon come to life."""

import json
import re
import time

import nbformat
import numpy as np
import pytest
from playwright.sync_api import Browser

from tools import HTML, ROOT
from tools.browser import view
from tools.notebooks import chapters, pages
from tools.paint import shared, typeset

from .conftest import SETTLED, WATCH, shifts_of, stays

SOURCES = {page.relative_to(ROOT).with_suffix(".html").as_posix(): page for page in pages()}
PAGES = list(SOURCES)
VIEW = "application/vnd.jupyter.widget-view+json"
MOUNT = re.compile(r"<div [^>]*\bdata-frame\b[^>]*>")
SCRIPTS = re.compile(r"_static/(widgets|opening|live)\.js")
ALIVE = 300  # ms after the first paint
LOADER = 30_000  # bytes
TRIES = 3  # a time is that of the page and not of what else the machine does: the best counts

PAINTED = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime"


def widgets_of(name: str) -> int:
    """How many widgets and other pictures that move a page of the book has."""
    source = SOURCES[name]
    if source.suffix != ".ipynb":
        return source.read_text(encoding="utf-8").count("data-frame")
    cells = nbformat.read(source, as_version=4).cells
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    return sum(VIEW in output.get("data", {}) for output in outputs)


MOVING = [name for name in PAGES if widgets_of(name)]


def test_fonts_that_come_late_do_not_move_the_page(browser: Browser, addresses):
    context = view(browser)
    context.add_init_script(WATCH)
    context.route("**/*.woff2", lambda route: (time.sleep(0.6), route.continue_()))
    page = context.new_page()
    page.goto(addresses["http"] + "reference/linear.html")
    page.wait_for_load_state("load")
    shifts = shifts_of(page)
    assert page.evaluate("document.documentElement.dataset.fonts") == "late"
    assert "Source" not in page.locator("article p").first.evaluate(
        "p => getComputedStyle(p).fontFamily"
    )
    stays(shifts)
    context.close()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_theme_is_the_readers_before_its_script_has_come(browser: Browser, addresses, theme):
    """Colors and the borders of code come with it: else the first paint moves and flashes."""
    seen = []
    for held_back in (True, False):
        context = view(browser, theme=theme)
        if held_back:
            context.route("**/pydata-sphinx-theme.js*", lambda route: route.abort())
        page = context.new_page()
        page.goto(addresses["http"] + "reference/linear.html")
        page.wait_for_load_state("load")
        looks = "e => [getComputedStyle(e).color, getComputedStyle(e).borderWidth]"
        seen.append(page.locator("article code").first.evaluate(looks))
        context.close()
    assert seen[0] == seen[1] and seen[0][1] != "0px"


def test_without_scripts_the_theme_is_light(browser: Browser, addresses):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(addresses["http"] + "reference/linear.html")
    border = page.locator("article code").first.evaluate("e => getComputedStyle(e).borderWidth")
    assert border == "1px"
    context.close()


@pytest.mark.alone
@pytest.mark.parametrize("name", MOVING)
def test_widgets_live_soon_and_ask_for_no_manager(browser: Browser, addresses, name):
    """Nor do they wait for MathJax, or for any script that is slow to come."""
    late, asked = [], []
    for _ in range(TRIES):
        context = view(browser)
        context.add_init_script(WATCH)
        context.route("**/mathjax/*.js*", lambda route: None)  # which never answers
        page = context.new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.goto(addresses["http"] + name, wait_until="commit")
        page.wait_for_function(f"lives.length === {widgets_of(name)}")
        page.wait_for_function(PAINTED)
        late.append(page.evaluate(f"Math.max(...lives) - {PAINTED}"))
        context.close()
        if late[-1] < ALIVE:
            break
    assert min(late) < ALIVE, late
    assert not [url for url in asked if re.search("embed-amd|require|anywidget|mathjax/tex", url)]


@pytest.mark.parametrize("name", MOVING)
def test_the_first_frame_is_the_widget_before_scripts(browser: Browser, addresses, name):
    """The same words in the same place and size, and out of the reader's hands without scripts."""
    seen = {}
    for look in ("no scripts", "still", "alive"):
        context = browser.new_context(
            viewport={"width": 1280, "height": 900},
            java_script_enabled=look != "no scripts",
            reduced_motion="reduce",
        )
        if look == "still":
            context.route(SCRIPTS, lambda route: route.abort())
        page = context.new_page()
        page.goto(addresses["http"] + name)
        page.wait_for_function("document.documentElement.style.visibility === ''")
        if page.evaluate("document.documentElement.dataset.fonts"):
            page.reload()  # they were late, and a label would break elsewhere than with them
        page.evaluate("document.fonts.ready.then(() => null)")
        if look == "alive":
            page.wait_for_function("!document.querySelector('[data-still], [aria-busy=true]')")
        frames = page.locator("[data-frame]")
        assert frames.count() == widgets_of(name)
        seen[look] = [(frame.inner_text().split(), frame.bounding_box()) for frame in frames.all()]
        pictures = page.locator("[data-frame] :is(svg, .mb-tile):visible")
        assert pictures.count() >= frames.count()
        free = page.locator("[data-frame] :is(input, button, select, textarea):enabled").count()
        assert bool(free) is (look == "alive")
        context.close()
    for without, still, alive in zip(*seen.values(), strict=True):
        assert len(without[0]) > 10 and without[0] == still[0] == alive[0]
        for side in ("width", "height"):
            assert still[1][side] == pytest.approx(alive[1][side], abs=2)


def test_what_brings_widgets_to_life_is_small():
    assert (HTML / "_static" / "widgets.js").stat().st_size < LOADER
    assert sorted(path.name for path in (HTML / "_static").glob("*require*")) == []
    for name in PAGES:
        text = (HTML / name).read_text(encoding="utf-8")
        assert len(MOUNT.findall(text)) == widgets_of(name)
        assert not re.search(r"embed-amd|requirejs|vnd\.jupyter\.widget|mathjax/tex", text), name


@pytest.mark.parametrize("name", MOVING)
def test_what_widgets_share_stands_once_on_a_page(name):
    text = (HTML / name).read_text(encoding="utf-8")
    assert len(re.findall(r"^function axes\(", text, re.M)) <= 1
    assert text.count("const shared = once(") == (text.count("= shared();") > 1)


def test_scripts_share_whole_statements_and_no_variable():
    kit = "const a = 1;\nfunction f() {\n  return a;\n}"
    one, two = kit + "\nfunction one() {}", kit + "\nfunction other() {}"
    assert shared([one, two]) == kit and shared([one]) == ""
    assert shared([one + "\nlet n;\nconst b = n;"] * 2) == one
    assert shared(["function f() {\n  x();\n}", "function f() {\n  y();\n}"]) == ""


def test_every_widget_of_the_book_is_counted():
    assert {path.stem for path in chapters()} >= {"hardness", "geography", "two_layer_net"}
    assert len(MOVING) >= 7 and "intro.html" in MOVING


@pytest.mark.parametrize("name", ["chapters/errata.html", "chapters/proofs.html"])
@pytest.mark.parametrize("width", [390, 1280])
def test_only_a_formula_that_scrolls_is_a_stop_for_the_keyboard(browser, addresses, name, width):
    context = view(browser, width)
    page = context.new_page()
    page.goto(addresses["http"] + name)
    page.wait_for_load_state("load")
    page.evaluate(SETTLED)
    stops, wide, formulas = page.evaluate(
        """() => {
          const all = [...document.querySelectorAll("article .math, article mjx-container")];
          return [
            document.querySelectorAll("article .math[tabindex], article .math [tabindex]").length,
            all.filter((e) => { e.scrollLeft = 9; return e.scrollLeft; }).length, all.length];
        }"""
    )
    context.close()
    assert stops == wide < formulas / 4


FORMULAS = [
    r"\(w_1^* \le \|\nabla f_2\|,\ \mathbf{\Sigma}\)",
    r"\(\left(\frac{a}{\sqrt{\beta}}\right)^2\)",
    r"\[\sum_{i=1}^{n}\Big(\underbrace{\mathbb{E}\,x}_{\text{mean}}\Big)\tag{P1}\]",
    r"\[\begin{aligned}Q &= \begin{pmatrix}1 & 0\\ \rho & 2\end{pmatrix}\\ &\ne x\end{aligned}\]",
]
CHARTED = """
() => document.fonts.ready.then(() =>
  [...document.querySelectorAll("mjx-container, mjx-container *")].map((part) => {
    const { x, y, width, height } = part.getBoundingClientRect();
    return [x, y, width, height];
  }))
"""


def charted(browser: Browser, root: str, body: str) -> tuple[list[list[float]], int]:
    """The boxes of all parts of the formulas in a page of its own, and the page's length."""
    html = f"<!doctype html><meta charset='utf-8'>{body}"
    page = view(browser).new_page()
    page.route("**/formulas.html", lambda route: route.fulfill(body=html, content_type="text/html"))
    page.goto(f"{root}_static/formulas.html")
    page.evaluate("window.MathJax?.startup.promise.then(() => null)")
    page.wait_for_load_state("networkidle")  # its fonts have come
    boxes = page.evaluate(CHARTED)
    length = page.evaluate("document.body.innerHTML.length")
    page.context.close()
    return boxes, length


def test_formulas_are_lighter_than_mathjaxs_and_stand_where_its_stand(browser: Browser, addresses):
    settings = {"chtml": {"matchFontHeight": False, "scale": 1.12}}
    root = addresses["http"]
    made, rules = typeset(FORMULAS, browser, root, settings)
    head = (
        f"<script>window.MathJax = {json.dumps(settings)}</script>"
        '<script src="mathjax/tex-chtml-full.js"></script><body>'
    )
    math = '<p>A formula <span class="math">{}</span> in a line.</p>'
    theirs, long = charted(browser, root, head + "".join(map(math.format, FORMULAS)))
    style = f"<style>{' '.join(rules)}</style><body>"
    ours, short = charted(browser, root, style + "".join(map(math.format, made)))
    assert len(ours) > 100 and short < 0.9 * long
    np.testing.assert_array_equal(ours, theirs)


def test_formulas_carry_nothing_that_nobody_reads():
    text = (HTML / "chapters" / "convergence.html").read_text(encoding="utf-8")
    formulas = "".join(re.findall(r"<mjx-container\b.*?</mjx-container>", text, re.S))
    assert "mjx-mi" in formulas
    assert not re.search(r'texclass=|data-mjx-|display="inline"|font-size: 112%', formulas)
