"""The landing page: three pictures, the findings with their numbers, the paper, how to cite."""

import re

import nbformat
import pytest

from tools import ROOT
from tools.drawings import light, themed
from tools.notebooks import pages


@pytest.fixture(scope="module")
def landing(book) -> str:
    return (book / "intro.html").read_text(encoding="utf-8")


def test_its_pictures_are_the_chapters_own(landing, book):
    found = re.findall(
        r'<figure.*?<img (?:width="\d+" height="\d+" )?alt="([^"]+)" src="([^"]+)".*?</figure>',
        landing,
        re.S,
    )
    assert len(found) == 3 and all(len(alt) > 20 for alt, _ in found)
    for (_, source), (page, name) in zip(
        found,
        re.findall(r"```\{picture\} (\S+) (\S+)", (ROOT / "intro.md").read_text(encoding="utf-8")),
        strict=True,
    ):
        [svg] = [
            output.data["image/svg+xml"]
            for cell in nbformat.read(ROOT / f"{page}.ipynb", as_version=4).cells
            if cell.metadata.get("mystnb", {}).get("figure", {}).get("name") == name
            for output in cell.outputs
        ]
        assert (book / source).read_text(encoding="utf-8") == themed(light(svg))


def test_the_score_is_on_it_and_the_verdict_is_the_second_page(landing):
    assert "{picture} chapters/verdict fig-verdicts" in (ROOT / "intro.md").read_text("utf-8")
    assert pages()[1].stem == "verdict"


def test_it_links_to_the_paper_and_says_how_to_cite(landing):
    assert 'href="https://arxiv.org/abs/2010.14672"' in landing
    assert "@misc" in landing and 'id="how-to-cite"' in landing


def test_its_numbers_come_from_cells():
    """No decimal, percentage or count of its findings is typed, in figures or in words."""
    text = (ROOT / "intro.md").read_text(encoding="utf-8")
    findings = text[text.index("## In two minutes") : text.index("## The chapters")]
    typed = re.sub(r"\{glue:text\}`[^`]*`|`[^`]*`|\]\([^)]*\)|arXiv:[\d.]+", "", findings)
    assert re.findall(r"\d+\.\d+|\d+ ?%|\b\d{2,}\b|\b\d+,\d", typed) == []
    counted = r"\b(?:two|three|five|ten|hundred|thousand) (?:steps|samples|images|points|times)"
    assert re.findall(counted, typed) == []
