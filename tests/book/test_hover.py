"""Terms of the glossary are links where a section first uses them; what links lead to is shown."""

import json
import re

import pytest
from docutils import nodes
from sphinx import addnodes

from tools import hover
from tools.notebooks import chapters

NEEDED = {
    "NAL", "support set", "query set", "episode", "hardness", "spread", "record", "preview",
}  # fmt: skip


def data(book) -> dict[str, str]:
    text = (book / "_static" / "hovered.js").read_text(encoding="utf-8")
    return json.loads(re.fullmatch(r"window\.hovered\((.*)\);\n", text, re.S)[1])


def test_the_glossary_has_the_terms_that_a_reader_needs():
    assert set(hover.terms()) >= NEEDED


def test_terms_of_chapters_show_their_meaning(book):
    shown = data(book)
    linked = {
        anchor
        for path in chapters()
        for anchor in re.findall(
            r'href="glossary\.html#(term-[^"]+)"',
            (book / "chapters" / f"{path.stem}.html").read_text(encoding="utf-8"),
        )
    }
    assert len(linked) >= 15
    for anchor in linked:
        assert "<dd" in shown[f"chapters/glossary.html#{anchor}"]


def test_works_and_theorems_show_what_they_say(book):
    shown = data(book)
    works = [html for key, html in shown.items() if key.startswith("intro.html#")]
    assert any("task landscape affect maml" in html.lower() for html in works)
    proposition = shown["chapters/hardness.html#prop-risk"]
    # A formula as MathJax has set it, or its TeX where the book was built without Chromium.
    assert '<mi mathvariant="bold">Q</mi>' in proposition or "mathbf Q" in proposition
    assert all("<a" not in html and ' id="' not in html for html in shown.values())


def paragraph(*parts: nodes.Node) -> nodes.section:
    section = nodes.section("", nodes.paragraph("", "", *parts))
    known = {"query set": "query set", "nal": "NAL", "spread": "spread"}
    word = hover.pattern(known)
    used: set[str] = set()
    for text in list(section.findall(nodes.Text)):
        if not hover._apart(text, section):
            hover._link(text, word, known, used)
    return section


@pytest.mark.parametrize(
    ("text", "linked"),
    [
        ("NAL has a query set; NAL again, and Query sets.", ["NAL", "query set"]),
        ("the spreads of NAL's tasks", ["spread"]),
        ("finally, a spreadsheet", []),
    ],
)
def test_the_first_use_is_a_link(text, linked):
    found = [
        link["reftarget"] for link in paragraph(nodes.Text(text)).findall(addnodes.pending_xref)
    ]
    assert found == linked


def test_code_and_links_are_left_alone():
    part = nodes.literal("", "NAL"), nodes.reference("", "spread", refuri="x")
    section = paragraph(nodes.Text("see "), *part)
    assert not list(section.findall(addnodes.pending_xref))
