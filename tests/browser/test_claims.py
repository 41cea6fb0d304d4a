"""The verdict's claims are chosen by chapter, verdict and kind, and counted as in Python."""

from itertools import product

import pytest

from mamlbook.verdict import CLAIMS, table

from .conftest import OpenPage, at, desk, phone

PAGE = "chapters/verdict.html"
COLUMNS = ("page", "verdict", "kind")
SHOWN = """
() => [...document.querySelectorAll("table.verdicts tbody tr")]
  .filter((row) => row.checkVisibility())
  .map(({ dataset: { page, verdict, kind } }) => [page, verdict, kind])
"""
# Every combination of the three choices: what is shown, and what is said of it.
CHOOSE = """
(choices) => choices.map((values) => {
  const form = document.querySelector("form.claims");
  Object.entries(values).forEach(([name, value]) => { form.elements[name].value = value; });
  form.elements.kind.dispatchEvent(new Event("change", { bubbles: true }));
  const rows = (SHOWN)();
  const seen = (part) => part.checkVisibility();
  const empty = [...document.querySelectorAll("table.verdicts")].filter(
    (one) => seen(one) && ![...one.tBodies[0].rows].some(seen));
  return [rows, form.querySelector("output").textContent, empty.length];
})
""".replace("SHOWN", SHOWN)


@pytest.fixture(scope="module")
def judged():
    return table(CLAIMS)


@at(desk(PAGE))
def test_the_claims_shown_are_those_chosen(look, open_page: OpenPage, judged):
    page = open_page(look)
    values = [["", *judged[column].unique()] for column in COLUMNS]
    choices = [dict(zip(COLUMNS, each, strict=True)) for each in product(*values)]
    assert len(choices) == 9 * 5 * 4
    for choice, (rows, said, empty) in zip(choices, page.evaluate(CHOOSE, choices), strict=True):
        own = judged
        for column, value in choice.items():
            own = own[own[column] == value] if value else own
        assert sorted(rows) == sorted(own[list(COLUMNS)].to_numpy().tolist()), choice
        assert said.startswith(f"{len(own)} of {len(judged)} claims") and not empty
        for name, word in (("reproduced", "reproduced"), ("partly", "in part")):
            number = (own["verdict"] == name).sum()
            assert (f" {number} {word}" in said) == bool(number), (said, choice)
    page.get_by_role("button", name="show all").click()
    assert len(page.evaluate(SHOWN)) == len(judged)


@at(phone(PAGE))
def test_they_are_chosen_by_keyboard_and_counted_aloud(look, open_page: OpenPage, judged):
    page = open_page(look)
    form = page.locator("form.claims")
    chapter, verdict, kind = form.locator("select").all()
    button = form.locator("button")
    assert button.is_disabled()
    for part in (chapter, verdict, kind, button):
        assert part.bounding_box()["height"] >= 44
    chapter.focus()
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowDown")  # to the first verdict, reproduced
    count = (judged["verdict"] == "reproduced").sum()
    assert page.get_by_role("status").inner_text() == f"{count} of 39 claims: {count} reproduced."
    button.press("Enter")
    assert button.is_disabled() and len(page.evaluate(SHOWN)) == len(judged)
    assert chapter.evaluate("one => one === document.activeElement")


@at(desk(PAGE))
def test_a_link_to_what_is_not_shown_shows_it(look, open_page: OpenPage, judged):
    page = open_page(look)
    page.locator("form.claims select").first.select_option("cifar")
    assert {page for page, *_ in page.evaluate(SHOWN)} == {"cifar"}
    section = page.locator("section:has(> h2)", has_text="geography").last
    assert not section.is_visible()
    page.evaluate(
        "id => document.querySelector(`a[href='#${id}']`).click()", section.get_attribute("id")
    )
    assert section.is_visible() and len(page.evaluate(SHOWN)) == len(judged)


@at(desk(PAGE), phone(PAGE))
def test_the_comparison_of_configurations_fits(look, open_page: OpenPage):
    """Its sentences are broken into lines; on a phone each verdict has its configuration's name."""
    page = open_page(look)
    table = page.locator("table.compared")
    room = page.locator("article").first.bounding_box()["width"]
    assert table.bounding_box()["width"] <= room + 1
    named = table.locator("tbody td:nth-child(3)").first.evaluate(
        "cell => getComputedStyle(cell, '::before').content"
    )
    assert ("lineage" in named) == (look.width < 600)


def test_without_scripts_all_are_shown(browser, addresses, judged):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(addresses["http"] + PAGE)
    assert page.locator("table.verdicts tbody tr:visible").count() == len(judged)
    assert page.locator("form.claims").count() == 1 and not page.locator("form.claims").is_visible()
    context.close()


def test_kinds_are_those_of_the_paper(judged):
    kinds = judged.set_index("name")["kind"]
    assert kinds["equation8"] == kinds["theorem1"] == kinds["corollary2"] == "formula"
    assert kinds["table1"] == kinds["figure7"] == kinds["figure2_risks"] == "picture"
    assert kinds["condition_i"] == kinds["packed"] == kinds["nal_stays"] == "words"
