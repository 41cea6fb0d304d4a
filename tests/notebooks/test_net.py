"""The net holds: whatever could go wrong with a chapter, done to a copy of it, nbval catches."""

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from tools import ROOT, environment
from tools.execute import run
from tools.nbval_plugin import NEEDS_DATA
from tools.notebooks import chapters, models, settled

NUMBER = re.compile(r"\d+\.\d{4,}")
COPIED = ("_toc.yml", "chapters", "conftest.py", "mamlbook", "pyproject.toml", "results", "tools")

# A coefficient of the package, what it becomes, and the chapter that shows it.
COEFFICIENTS = [
    (
        "mamlbook/linear/population.py",
        r"alpha\*\*2 / samples \* drawn",
        "1.001 * alpha**2 / samples * drawn",
        "chapters/hardness.ipynb",
    ),
]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the chapters and of all that they need."""
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            ignored = shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints")
            shutil.copytree(source, tmp_path / name, ignore=ignored)
        elif source.exists():
            shutil.copy(source, tmp_path / name)
    return tmp_path


def nbval(copy: Path, notebook: str) -> str:
    """What nbval says of a notebook of the copy, up to its first failure."""
    command = (
        "-m pytest --nbval --nbval-current-env --nbval-cell-timeout 300 -x -q -p no:cacheprovider"
    )
    said = subprocess.run(
        [sys.executable, *command.split(), notebook],
        cwd=copy,
        env=environment(),
        capture_output=True,
        text=True,
    )
    assert said.returncode in (0, 1), said.stdout + said.stderr
    return said.stdout


def caught(copy: Path, notebook: str) -> list[str]:
    """The names of what failed."""
    return re.findall(r"^FAILED [^:]+::(.+?)(?: - |$)", nbval(copy, notebook), re.MULTILINE)


def altered(path: Path, change: Callable[[nbformat.NotebookNode], bool]) -> str:
    """Let `change` alter the first cell it can, write the notebook, and give nbval's name of it.

    It is a cell that nbval runs everywhere, with the real images at hand or without.
    """
    notebook = nbformat.read(path, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    number = next(
        number
        for number, cell in enumerate(code)
        if NEEDS_DATA not in cell.metadata.get("tags", []) and change(cell)
    )
    nbformat.write(notebook, path)
    return f"Cell {number}"


def edit_fourth_digit(cell: nbformat.NotebookNode) -> bool:
    """Change the fourth significant digit of a number that the cell has printed, by one."""
    for output in cell.outputs:
        texts = output if "text" in output else output.get("data", {})
        for kind, text in texts.items():
            if not kind.startswith(("text", "application/papermill")):
                continue
            for number in NUMBER.finditer(text):
                digits = [place for place in range(*number.span()) if text[place] != "."]
                while digits and text[digits[0]] == "0":
                    digits.pop(0)
                if len(digits) >= 4:
                    place = digits[3]
                    digit = int(text[place])
                    texts[kind] = (
                        f"{text[:place]}{digit + (-1 if digit == 9 else 1)}{text[place + 1 :]}"
                    )
                    return True
    return False


def edit_drawing(cell: nbformat.NotebookNode) -> bool:
    """Move the first corner of the last curve of a figure."""
    for output in cell.outputs:
        svg = output.get("data", {}).get("image/svg+xml")
        if svg:
            head, mark, tail = svg.rpartition("M ")
            x = tail.split()[0]
            output.data["image/svg+xml"] = head + mark + tail.replace(x, str(float(x) + 0.1), 1)
            return True
    return False


def delete_output(cell: nbformat.NotebookNode) -> bool:
    return bool(cell.outputs and (cell.outputs.pop() or True))


@pytest.mark.parametrize("change", [edit_fourth_digit, edit_drawing, delete_output])
def test_a_changed_output_is_caught(copy, change):
    path = copy / chapters()[0].relative_to(ROOT)
    cell = altered(path, change)
    assert caught(copy, str(path.relative_to(copy))) == [cell]


@pytest.mark.parametrize("chapter", chapters()[1:], ids=lambda path: path.stem)
def test_every_chapter_is_in_the_net(copy, chapter):
    path = copy / chapter.relative_to(ROOT)
    cell = altered(path, delete_output)
    assert caught(copy, str(path.relative_to(copy))) == [cell]


@pytest.mark.parametrize(("file", "pattern", "other", "chapter"), COEFFICIENTS)
def test_a_perturbed_coefficient_is_caught(copy, file, pattern, other, chapter):
    text, changes = re.subn(pattern, other, (copy / file).read_text(encoding="utf-8"))
    assert changes == 1, f"{pattern} stands {changes} times in {file}"
    (copy / file).write_text(text, encoding="utf-8")
    assert len(caught(copy, chapter)) == 1


def test_a_stale_widget_is_caught(copy, restless):
    """Its value in the page is not what the code gives; all that is restless passes."""
    path = copy / "chapters" / restless.name
    notebook = nbformat.reads(settled(run(restless)), as_version=4)
    slider = next(m for m in models(notebook).values() if m["model_name"] == "FloatSliderModel")
    slider["state"]["value"] += 0.0001
    nbformat.write(notebook, path)
    assert caught(copy, str(path.relative_to(copy))) == ["widgets"]


def test_without_the_images_what_needs_them_is_skipped_with_the_reason(copy, monkeypatch):
    path = copy / "chapters" / "reads.ipynb"
    cells = [new_code_cell("one = 1"), new_code_cell("1 / 0", metadata={"tags": [NEEDS_DATA]})]
    nbformat.write(new_notebook(cells=cells), path)
    monkeypatch.delenv("MAMLBOOK_DATA", raising=False)
    said = nbval(copy, "chapters/reads.ipynb")
    assert "1 passed, 2 skipped" in said and "MAMLBOOK_DATA is not set" in said
    monkeypatch.setenv("MAMLBOOK_DATA", str(copy))
    assert caught(copy, "chapters/reads.ipynb") == ["Cell 1"]
