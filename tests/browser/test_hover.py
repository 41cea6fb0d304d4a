"""What a link leads to is shown beside it, by pointer and by keyboard, served or from a file."""

import pytest

from .conftest import Look, at, desk

CHAPTER = "chapters/geography.html"


@at(desk(CHAPTER), Look(CHAPTER, "file", 390, "dark"))
@pytest.mark.parametrize(
    ("link", "shown"),
    [
        ("a[href='glossary.html#term-spread']", "The variance"),
        ("a[href*='intro.html#']", "ask landscape affect MAML"),
        ("a[href='hardness.html#prop-risk']", "Proposition 1"),
        ("a[href='#equation-eq-corollary-1']", "="),
    ],
)
def test_a_link_shows_what_it_leads_to(open_page, look, link, shown):
    page = open_page(look)
    target = (
        page.locator(f"article .internal{link.removeprefix('a')}").locator("visible=true").first
    )
    target.scroll_into_view_if_needed()
    target.hover()
    box = page.locator("#hover")
    box.wait_for()
    page.wait_for_function("!document.querySelector('#hover').textContent.includes('\\\\(')")
    assert shown in box.inner_text()
    assert target.get_attribute("aria-describedby") == "hover"
    place = box.bounding_box()
    assert place["x"] >= 0 and place["x"] + place["width"] <= look.width
    box.hover()  # the pointer may rest on it
    page.wait_for_timeout(400)
    assert box.is_visible()
    page.keyboard.press("Escape")
    assert box.count() == 0


@at(desk(CHAPTER))
def test_the_keyboard_shows_it_too(open_page, look):
    page = open_page(look)
    page.mouse.move(0, 0)
    link = page.locator("article a[href='glossary.html#term-spread']").locator("visible=true").first
    page.locator("article a.internal").first.focus()
    for _ in range(200):
        page.keyboard.press("Tab")
        if link.evaluate("link => link === document.activeElement"):
            break
    page.locator("#hover").wait_for()
    assert "variance" in page.locator("#hover").inner_text()
    page.keyboard.press("Tab")
    assert "spread" not in (page.locator("#hover").all_inner_texts() or [""])[0][:6]
    page.keyboard.press("Escape")
