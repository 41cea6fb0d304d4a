"""Pages and docstrings keep to the field's terms; private words stay out."""

import ast
import re
from pathlib import Path

import nbformat
import pytest

from tools import ROOT

# What a page must not say, as a regular expression, and what to say instead.
PRIVATE = {
    r"came out": "resulted, agreed",
    r"made anew|drawn anew": "computed again, drawn again",
    r"held against": "compared with",
    r"vouched for": "checked",
    r"is not to be had": "is not available",
    r"ours less the paper's": "this book minus the paper",
    r"luck of the draw": "sampling error",
    r"(?:NAL|MAML)'s start\b|\bthe two starts\b|\bboth starts\b": "initialization",
    r"stands on its head|upside down": "is inverted",
    r"\bnobody need\b|\bkindest\b": "plain words",
    r"reproduced in kind": "reproduced qualitatively",
}
PAGES = [
    "hardness",
    "geography",
    "logistic",
    "two_layer_net",
    "convergence",
    "errata",
    "proofs",
    "glossary",
]
MODULES = [
    *sorted((ROOT / "mamlbook" / "linear").glob("*.py")),
    *(ROOT / "mamlbook" / f"{name}.py" for name in ("logistic", "neuron", "networks", "landscape")),
    *(
        ROOT / "mamlbook" / folder / f"{name}.py"
        for folder in ("experiments", "figures")
        for name in ("hardness", "geography", "logistic", "neuron", "convergence")
    ),
]


def said_on(page: str) -> str:
    """The prose of a page, its captions and its alt texts."""
    [path] = (ROOT / "chapters").glob(f"{page}.*")
    if path.suffix == ".md":
        return path.read_text(encoding="utf-8")
    parts = []
    for cell in nbformat.read(path, as_version=4).cells:
        mystnb = cell.metadata.get("mystnb", {})
        parts += [cell.source if cell.cell_type == "markdown" else ""]
        parts += [
            mystnb.get("figure", {}).get("caption", ""),
            mystnb.get("image", {}).get("alt", ""),
        ]
    return "\n".join(parts)


def said_in(module: Path) -> str:
    """The strings of a module: docstrings, messages, labels."""
    tree = ast.parse(module.read_text(encoding="utf-8"))
    return "\n".join(
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    )


def private(text: str) -> list[str]:
    text = " ".join(text.split())
    return [
        f"{found[0]!r}: say {instead}"
        for pattern, instead in PRIVATE.items()
        for found in re.finditer(pattern, text)
    ]


@pytest.mark.parametrize("page", PAGES)
def test_a_page_keeps_to_the_words_of_the_field(page):
    assert private(said_on(page)) == []


@pytest.mark.parametrize("module", MODULES, ids=lambda path: f"{path.parent.name}.{path.stem}")
def test_a_module_keeps_to_the_words_of_the_field(module):
    assert private(said_in(module)) == []


@pytest.mark.parametrize("page", [page for page in PAGES if page != "glossary"])
def test_a_chapter_opens_with_its_answer(page):
    head = said_on(page)[:2500]
    assert "**In short.**" in head


def test_a_private_word_is_noticed():
    assert private("the ratio in (d)\ncame  out") == ["'came out': say resulted, agreed"]
