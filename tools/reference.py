"""Sphinx extension: the package's docstrings as a page, and in every chapter links to what it uses.

The docstrings are plain text: code stands in backticks, formulas are typed as they would be said
and displayed ones are indented. Nothing else in them is markup, so w* stays w* and |w| stays |w|.
"""

import ast
import inspect
import re
from collections.abc import Iterator
from importlib import import_module
from itertools import groupby
from pathlib import Path

import nbformat
from docutils import nodes
from sphinx.addnodes import index, pending_xref
from sphinx.application import Sphinx
from sphinx.domains.python import PythonDomain

PACKAGE = "mamlbook"

_CODE = re.compile(r"`+[^`]+`+")
_MARKS = re.compile(r"[\\*_|]")
_OWN = re.compile(
    rf"\w*Path\('{re.escape(Path(__file__).resolve().parents[1].as_posix())}/(.+?)'\)"
)
_LONG = re.compile(r"\(([-\w.]+), ([-\w.]+)(?:, [-\w.]+){6,}, ([-\w.]+)\)")


def setup(app: Sphinx) -> dict[str, bool | int]:
    app.setup_extension("sphinx.ext.autodoc")
    app.add_domain(Unsearched, override=True)
    app.connect("autodoc-process-docstring", _take_as_text)
    app.connect("autodoc-process-signature", _shorten)
    app.connect("doctree-read", _link_to_the_code)
    app.connect("doctree-resolved", _without_index)
    # A new number has every page read again: it links to where the objects are now.
    return {"env_version": 2, "parallel_read_safe": True, "parallel_write_safe": True}


class Unsearched(PythonDomain):
    """Names of the package's objects, linked to as ever, but no results of a search of their own:
    each has "mamlbook" in it, and who searches for MAML wants the chapters. The page that tells of
    them is found by its text."""

    def get_objects(self) -> Iterator[tuple[str, str, str, str, str, int]]:
        for *entry, _ in super().get_objects():
            yield *entry, -1


def markup(lines: list[str]) -> list[str]:
    """The reStructuredText that shows the lines of a docstring as they are."""
    made: list[str] = []
    for previous, line in zip(["", *lines], lines, strict=False):
        inside = previous.startswith("    ")
        if line.startswith("    "):
            made += [line] if inside else ["", ".. code-block:: text", "", line]
            continue
        if inside or (line.startswith("- ") and not previous.startswith(("- ", "  "))):
            made.append("")
        made.append(_escaped(line))
    return made


def uses(cells: list[str]) -> list[str]:
    """The package's functions and classes that code cells name, as full names, sorted."""
    trees = [ast.parse(re.sub(r"^\s*[%!].*", "", cell, flags=re.M)) for cell in cells]
    every = [node for tree in trees for node in ast.walk(tree)]
    known = {
        name.asname or name.name: f"{node.module}.{name.name}"
        for node in every
        if isinstance(node, ast.ImportFrom) and f"{node.module}.".startswith(f"{PACKAGE}.")
        for name in node.names
    }
    found = {known[node.id] for node in every if isinstance(node, ast.Name) and node.id in known}
    for node in every:
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            found.add(f"{known.get(node.value.id, '')}.{node.attr}")
    return sorted(filter(_is_code, found))


def _is_code(name: str) -> bool:
    module, _, last = name.rpartition(".")
    if not module.startswith(PACKAGE):
        return False
    try:
        thing = getattr(import_module(module), last, None)
    except ModuleNotFoundError:  # an attribute of a class or a function
        return False
    return inspect.isfunction(thing) or inspect.isclass(thing)


def _escaped(line: str) -> str:
    """Single backticks to double ones, and a backslash before all that could be markup."""
    parts, end = [], 0
    for code in _CODE.finditer(line):
        parts += [_MARKS.sub(r"\\\g<0>", line[end : code.start()]), f"``{code[0].strip('`')}``"]
        end = code.end()
    return "".join([*parts, _MARKS.sub(r"\\\g<0>", line[end:])])


def _take_as_text(app: Sphinx, what: str, name: str, obj, options, lines: list[str]) -> None:
    lines[:] = markup(lines)


def _shorten(app: Sphinx, what: str, name: str, obj, options, signature, returns):
    """Of a long tuple of defaults the first two and the last; of a path its part in the source."""
    if signature:
        signature = _LONG.sub(r"(\1, \2, ..., \3)", signature)
        signature = _OWN.sub(r"'\1'", signature)
    return signature, returns


def _link_to_the_code(app: Sphinx, doctree: nodes.document) -> None:
    path = Path(app.env.doc2path(app.env.docname))
    if path.suffix != ".ipynb":
        return
    cells = nbformat.read(path, as_version=4).cells
    names = uses([cell.source for cell in cells if cell.cell_type == "code"])
    listed = nodes.bullet_list(classes=["in-the-code"])
    for module, members in groupby(names, lambda name: name.rpartition(".")[0]):
        line = nodes.paragraph("", "", nodes.literal(text=module), nodes.Text(": "))
        for number, name in enumerate(members):
            target = pending_xref(
                "", refdomain="py", reftype="obj", reftarget=name, refexplicit=True, refwarn=True
            )
            target += nodes.literal(text=name.rpartition(".")[2])
            line += [nodes.Text(", "), target] if number else [target]
        listed += nodes.list_item("", line)
    if names:
        doctree[0] += [nodes.rubric(text="In the code"), listed]


def _without_index(app: Sphinx, doctree: nodes.document, name: str) -> None:
    """The book has no index. Its entries would be results of a search beside the pages, but only
    until the next build, which forgets them."""
    for entry in list(doctree.findall(index)):
        entry.parent.remove(entry)
