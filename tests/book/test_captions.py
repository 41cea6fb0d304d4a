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


UNSET = re.compile(r"rho_\w|\b\d(?:\.\d+)?e[-+]\d\d+\b")


@pytest.mark.parametrize("path", chapters(), ids=lambda path: path.stem)
def test_outputs_are_typeset(path):
    """No name of a variable for a symbol, and no number as a computer prints it."""
    for cell in nbformat.read(path, as_version=4).cells:
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            shown = [
                output.get("text", ""),
                data.get("text/html", ""),
                data.get("text/markdown", ""),
            ]
            if not any(shown) and "image/svg+xml" not in data:
                continue
            words = re.sub(r"\$[^$]*\$|\\\(.*?\\\)|<[^>]*>", " ", " ".join(shown), flags=re.S)
            assert not UNSET.findall(words)


def test_an_untypeset_number_is_noticed():
    assert UNSET.findall("rho_H, 1e-16 and 3.2e-05, at 2e3") == ["rho_H", "1e-16", "3.2e-05"]
