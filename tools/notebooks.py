"""Chapters as notebooks: which there are, and the one form in which their outputs are stored."""

import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import yaml
from nbformat import NotebookNode

from tools import ROOT

WIDGET_STATE = "application/vnd.jupyter.widget-state+json"
MARKUP = ("image/svg+xml", "text/html")
KERNELSPEC = {"display_name": "Python 3", "language": "python", "name": "python3"}
LANGUAGE = {"file_extension": ".py", "name": "python", "pygments_lexer": "ipython3"}

_ADDRESS = re.compile(r" at 0x[0-9a-f]{6,}")
# From the start of a word alone: tried at each of its letters, an embedded image takes minutes.
_CELL_FILE = re.compile(r"(?<!\S)\S*ipykernel_\d+/\d+\.py")
_DATE = re.compile(r"\s*<dc:date>[^<]*</dc:date>")
# matplotlib hashes with a salt, pandas' Styler draws at random.
_RANDOM_ID = re.compile(r'\bid="([A-Za-z_]\w*?[0-9a-f]{10}|T_[0-9a-f]{5})(?![0-9a-f])')


def pages(root: Path = ROOT) -> list[Path]:
    """Every page of the book in the order of _toc.yml, as paths of their sources."""
    toc = yaml.safe_load((root / "_toc.yml").read_text(encoding="utf-8"))
    names = [toc["root"], *_files(toc.get("parts", [])), *_files(toc.get("chapters", []))]
    return [_source(root, name) for name in names]


def chapters(root: Path = ROOT) -> list[Path]:
    """The pages that are notebooks."""
    return [page for page in pages(root) if page.suffix == ".ipynb"]


def settled(notebook: NotebookNode) -> bytes:
    """The notebook's file, free of all that differs from run to run.

    Model ids of widgets are numbered in the order of their making, random ids in SVG and HTML
    follow from the content; memory addresses, the kernel's temporary files, dates and timings are
    removed.
    """
    notebook.metadata.kernelspec = KERNELSPEC
    notebook.metadata.language_info = LANGUAGE
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        for output in cell.get("outputs", []):
            if "text" in output:
                output.text = steady_text(output.text)
            for kind, content in output.get("data", {}).items():
                if kind in MARKUP:
                    output.data[kind] = steady_markup(content, _hashed)
                elif isinstance(content, str) and kind.split("/")[0] != "image":
                    output.data[kind] = steady_text(content)
    nbformat.validate(notebook)
    text = nbformat.writes(notebook)
    for number, model in enumerate(models(notebook)):
        text = text.replace(model, f"{number:032x}")
    # Sorted once more: the renumbered models stand in the order of their making.
    return (
        json.dumps(json.loads(text), ensure_ascii=False, indent=1, sort_keys=True) + "\n"
    ).encode()


def models(notebook: NotebookNode) -> dict[str, Any]:
    """The stored widgets: model id -> model, in the order of their making."""
    return notebook.metadata.get("widgets", {}).get(WIDGET_STATE, {}).get("state", {})


def steady_text(text: str) -> str:
    """A text without memory addresses and the kernel's temporary files."""
    return _CELL_FILE.sub("<cell>", _ADDRESS.sub("", text))


def steady_markup(
    text: str, rename: Callable[[int, str], str] = lambda order, _: f"id{order}"
) -> str:
    """SVG or HTML without its date, its random ids renamed.

    `rename` makes a new name of an id's order and of the text without random ids.
    """
    text = steady_text(_DATE.sub("", text))
    order = {name: number for number, name in enumerate(dict.fromkeys(_RANDOM_ID.findall(text)))}
    if not order:
        return text
    random = re.compile(rf"\b(?:{'|'.join(order)})(?![0-9a-f])")
    blank = random.sub("", text)
    return random.sub(lambda match: rename(order[match[0]], blank), text)


def _hashed(order: int, blank: str) -> str:
    """An id unlike those of other figures and tables of the page."""
    return "m" + hashlib.sha256(f"{order} {blank}".encode()).hexdigest()[:10]


def _files(entries: list[dict[str, Any]]) -> list[str]:
    names = []
    for entry in entries:
        names += [entry["file"]] if "file" in entry else []
        names += _files(entry.get("chapters", []) + entry.get("sections", []))
    return names


def _source(root: Path, name: str) -> Path:
    for suffix in ("", ".md", ".ipynb"):
        if (path := root / f"{name}{suffix}").is_file():
            return path
    raise FileNotFoundError(f"_toc.yml names {name}, but there is no {name}.md or {name}.ipynb.")
