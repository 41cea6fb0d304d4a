"""Figures follow the theme of the page, and on a phone they keep their size and scroll."""

import io
import re

import pytest
from PIL import Image
from playwright.sync_api import Locator, Page

from tools.drawings import DARK, PAPER

from .conftest import OpenPage, at, desk, phone
from .test_pages import PAGES

DRAWINGS = "article img[src$='.svg']"
NAL = "#0072b2"
GROUND = "getComputedStyle(document.body).backgroundColor"
WIDTH = 640  # of a figure on a phone: its smallest ticks have 11 pixels there


def rgb(colour: str) -> tuple[int, ...]:
    return tuple(bytes.fromhex(colour[1:]))


def seen(figure: Locator) -> Image.Image:
    return Image.open(io.BytesIO(figure.screenshot())).convert("RGB")


def turned(page: Page, theme: str) -> tuple[int, ...]:
    """The page in another theme, and the color of its ground."""
    page.emulate_media(color_scheme=theme)
    page.wait_for_function(f"document.documentElement.dataset.theme === '{theme}'")
    faded = "document.getAnimations().every(fading => fading.playState === 'finished')"
    page.wait_for_function(faded, polling=50)
    return tuple(map(int, re.findall(r"\d+", page.evaluate(GROUND))))


@at(desk("chapters/hardness.html"))
def test_a_figure_has_the_colors_of_the_theme(look, open_page: OpenPage):
    page = open_page(look)
    figures = page.locator(DRAWINGS)
    assert figures.count() > 3
    for theme in ("dark", "light"):
        ground = turned(page, theme)
        paper, nal = (rgb(DARK[c] if theme == "dark" else c) for c in (PAPER, NAL))
        assert ground == paper
        for figure in figures.all():
            figure.scroll_into_view_if_needed()
            assert figure.evaluate("image => getComputedStyle(image).filter") == "none"
            picture = seen(figure)
            colours = dict((colour, count) for count, colour in picture.getcolors(1 << 24))
            assert max(colours, key=colours.get) == paper == picture.getpixel((2, 2))
        assert nal in dict(
            (colour, count) for count, colour in seen(figures.first).getcolors(1 << 24)
        )


@at(desk("chapters/two_layer_net.html"))
def test_darker_is_more_in_both_themes(look, open_page: OpenPage):
    """The landscapes look the same; what stands around them does not."""
    page = open_page(look)
    landscape = page.locator(DRAWINGS).first
    pictures = {}
    for theme in ("dark", "light"):
        turned(page, theme)
        landscape.scroll_into_view_if_needed()
        pictures[theme] = seen(landscape)
    width, height = pictures["light"].size
    inside = (round(0.2 * width), round(0.14 * height), round(0.45 * width), round(0.45 * height))
    dark, light = (pictures[theme].crop(inside) for theme in ("dark", "light"))
    assert dark.tobytes() == light.tobytes()
    far, near = (
        light.convert("L").getpixel((round(x * light.width), round(y * light.height)))
        for x, y in ((0.97, 0.97), (0.32, 0.62))
    )
    assert far < near  # from the minimum
    assert pictures["dark"].getpixel((2, 2)) != pictures["light"].getpixel((2, 2))


@at(*(phone(f"chapters/{name}.html") for name in ("hardness", "two_layer_net", "omniglot")))
@pytest.mark.parametrize("width", [360, 390])
def test_a_figure_keeps_its_size_on_a_phone_and_scrolls(look, width, open_page: OpenPage):
    page = open_page(look)
    page.set_viewport_size({"width": width, "height": 844})
    page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    boxes = page.locator("article .drawing").evaluate_all(
        """boxes => boxes.map((box) => {
            box.scrollLeft = 1e6;
            const [scrolled, stop] = [box.scrollLeft, box.tabIndex];
            box.scrollLeft = 0;
            const figure = box.firstElementChild.getBoundingClientRect();
            return [figure.width, box.clientWidth, scrolled, stop];
        })"""
    )
    page.set_viewport_size({"width": look.width, "height": 844})
    assert boxes
    for figure, box, scrolled, stop in boxes:
        assert figure == WIDTH and box <= width
        assert scrolled == pytest.approx(figure - box, abs=1) and stop == 0


# Numbers in tables that stand on two lines, and formulas of which a part is cut off.
BROKEN = r"""
() => {
  const found = [];
  const number = /(?<![\w.,−-])[−+-]?\d[\d.,]*(?:\s*±\s*\d[\d.,]*)?(?:\s*%)?/g;
  for (const cell of document.querySelectorAll("article :is(td, th)")) {
    const walk = document.createTreeWalker(cell, NodeFilter.SHOW_TEXT);
    while (walk.nextNode()) {
      const text = walk.currentNode;
      if (text.parentElement.closest("mjx-container")) continue;
      for (const match of text.data.matchAll(number)) {
        const range = document.createRange();
        range.setStart(text, match.index);
        range.setEnd(text, match.index + match[0].trimEnd().length);
        const lines = [...range.getClientRects()].filter((box) => box.width > 0.5);
        if (new Set(lines.map((box) => Math.round(box.top))).size > 1) found.push(match[0]);
      }
    }
  }
  return found;
}
"""
CUT = """
() => {
  const found = [];
  for (const formula of document.querySelectorAll("article mjx-container")) {
    const inner = formula.querySelector("mjx-math")?.getBoundingClientRect();
    if (!inner?.width || !formula.checkVisibility()) continue;
    for (let box = formula; box.tagName !== "ARTICLE"; box = box.parentElement) {
      const { overflowX, overflowY } = getComputedStyle(box);
      const place = box.getBoundingClientRect();
      const high = /hidden|clip/.test(overflowY) && (inner.top < place.top - 1.5 || inner.bottom > place.bottom + 1.5);
      const wide = /hidden|clip/.test(overflowX) && inner.right > place.right + 1;
      if (high || wide) found.push(formula.textContent.slice(0, 40));
      if (/auto|scroll/.test(overflowX)) break;
      if (box.parentElement.tagName === "ARTICLE" && inner.right > innerWidth + 1) found.push(formula.textContent.slice(0, 40));
    }
  }
  return found;
}
"""  # noqa: E501


@at(*(phone(name) for name in PAGES if not name.startswith("reference")))
def test_at_360_px_no_number_is_broken_and_no_formula_cut(look, open_page: OpenPage):
    page = open_page(look)
    page.set_viewport_size({"width": 360, "height": 844})
    broken, cut = page.evaluate(BROKEN), page.evaluate(CUT)
    page.set_viewport_size({"width": look.width, "height": 844})
    assert broken == [] and cut == []
