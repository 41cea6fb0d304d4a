"""The reference: docstrings shown unchanged, every module once, every chapter linked to it."""

import pkgutil
import re
import sys
import tempfile
from pathlib import Path

import nbformat
import pytest

import mamlbook
from tools import ROOT
from tools.notebooks import chapters
from tools.reference import markup, uses

# The command lines, packages without code, and what only the engine calls.
APART = "__main__ experiments fewshot fewshot.command fewshot.data fewshot.engine.closed"
INSIDE = """data.decode engine.grouped engine.optimisers engine.closed.blocks
    engine.closed.convolution engine.closed.curvature engine.closed.folding
    engine.closed.passes"""


def test_every_module_is_in_the_reference():
    found = {module.name for module in pkgutil.walk_packages(mamlbook.__path__, "mamlbook.")}
    pages = (ROOT / "reference").glob("*.md")
    text = "\n".join(page.read_text(encoding="utf-8") for page in pages)
    named = re.findall(r"^\.\. automodule:: (\S+)", text, re.M)
    assert len(set(named)) == len(named)
    # What a package exports stands under the package.
    exported = {
        name for name in found if re.match(r"mamlbook\.(linear|figures|verdict)\.\w+", name)
    }
    apart = {f"mamlbook.{name}" for name in APART.split()}
    inside = {f"mamlbook.fewshot.{name}" for name in INSIDE.split()}
    assert found - exported - apart - inside <= set(named) <= found


@pytest.mark.parametrize("path", chapters(), ids=lambda path: path.stem)
def test_a_chapter_links_to_what_it_uses(book, path):
    cells = nbformat.read(path, as_version=4).cells
    names = uses([cell.source for cell in cells if cell.cell_type == "code"])
    assert names
    page = (book / path.relative_to(ROOT)).with_suffix(".html").read_text(encoding="utf-8")
    linked = {
        link.rpartition(".")[2] for link in re.findall(r'reference/\w+\.html#([\w.]+)"', page)
    }
    assert {name.rpartition(".")[2] for name in names} <= linked


def test_no_page_shows_the_disk_it_was_built_on(book):
    """Nor the builder's home or environment; a default that is a path shows its place here."""
    disk = {str(ROOT), sys.prefix, str(Path.home()), tempfile.gettempdir()}
    shown = re.compile("|".join(rf"(?<![\w.]){re.escape(folder)}/" for folder in sorted(disk)))
    pages = [path for path in book.rglob("*.html") if "_static" not in path.parts]
    files = [*pages, book / "searchindex.js"]
    found = {
        f"{path.relative_to(book)}: {hit[0]}"
        for path in files
        for hit in shown.finditer(path.read_text(encoding="utf-8"))
    }
    assert pages and not found
    assert "'mamlbook/fewshot/models'" in (book / "reference/fewshot.html").read_text(
        encoding="utf-8"
    )


@pytest.mark.parametrize(
    ("docstring", "shown"),
    [
        ("w*_NAL and |w|_2 of `n2`", r"w\*\_NAL and \|w\|\_2 of ``n2``"),
        ("`a_b` * ``c_d``", r"``a_b`` \* ``c_d``"),
        (
            "is:\n    Q = P*P\n      + S\nwith",
            "is:\n\n.. code-block:: text\n\n    Q = P*P\n      + S\n\nwith",
        ),
        ("is:\n\n    Q = P\n\nwith", "is:\n\n\n.. code-block:: text\n\n    Q = P\n\n\nwith"),
        ("Columns:\n- a\n- b\n  c\n- d", "Columns:\n\n- a\n- b\n  c\n- d"),
    ],
)
def test_docstrings_are_text(docstring, shown):
    assert "\n".join(markup(docstring.split("\n"))) == shown


def test_what_cells_use():
    cells = [
        "%matplotlib inline\nimport numpy as np\nfrom mamlbook import figures as pictures",
        "from mamlbook.linear import Environment, excess_risk as risk, sgd\nrisk(np.ones(2))",
        "pictures.fig2(1)\npictures.NAMES\nEnvironment.dimension\nfrom mambook.linear import x\nx",
    ]
    assert uses(cells) == [
        "mamlbook.figures.fig2",
        "mamlbook.linear.Environment",
        "mamlbook.linear.excess_risk",
    ]
