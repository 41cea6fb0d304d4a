"""Every picture has an alternative text and a caption that says something; the numbers in both are
watched by test_typed_numbers.py."""

import re
from collections.abc import Iterator

import nbformat
import pytest

from tools.notebooks import chapters

PICTURES = ("image/svg+xml", "image/png")


def pictures() -> Iterator:
    for path in chapters():
        for number, cell in enumerate(nbformat.read(path, as_version=4).cells):
            kinds = {kind for output in cell.get("outputs", []) for kind in output.get("data", {})}
            if kinds & set(PICTURES):
                yield pytest.param(cell, id=f"{path.stem}-{number}")


@pytest.mark.parametrize("cell", list(pictures()))
def test_a_picture_is_described_and_says_its_point(cell):
    mystnb = cell.metadata["mystnb"]
    alt, caption = mystnb["image"]["alt"], mystnb["figure"]["caption"]
    assert 20 < len(alt) < 400
    # A caption says what is seen, as a sentence: more than a title.
    assert re.search(r"[a-z]\w+ .*[.)]$", caption, re.S) and len(caption.split()) > 8
