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
from tools.nbval_plugin import NEEDS_DATA
from tools.notebooks import chapters, models

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


def nbval(copy: Path, *arguments: str) -> str:
    """What nbval says in the copy."""
    command = (
        "-m pytest --nbval --nbval-current-env --nbval-cell-timeout 300 -q -p no:cacheprovider"
    )
    said = subprocess.run(
        [sys.executable, *command.split(), *arguments],
        cwd=copy,
        env=environment(),
        capture_output=True,
        text=True,
    )
    assert said.returncode in (0, 1), said.stdout + said.stderr
    return said.stdout


def caught(copy: Path, *arguments: str) -> set[str]:
    """What failed, such as `hardness.ipynb::Cell 3`."""
    said = nbval(copy, *arguments)
    return set(re.findall(r"^FAILED chapters/(.+?)(?: - |$)", said, re.MULTILINE))


def alter(path: Path, *changes: Callable[[nbformat.NotebookNode], bool]) -> set[str]:
    """Make each change in the first cell that allows it and has none yet; end the notebook there.

    They are cells that nbval runs everywhere, with the real images at hand or without. Returns
    nbval's names of them.
    """
    notebook = nbformat.read(path, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    changed: list[int] = []
    for change in changes:
        changed.append(
            next(
                number
                for number, cell in enumerate(code)
                if number not in changed
                and NEEDS_DATA not in cell.metadata.get("tags", [])
                and change(cell)
            )
        )
    del notebook.cells[notebook.cells.index(code[max(changed)]) + 1 :]
    nbformat.write(notebook, path)
    return {f"{path.name}::Cell {number}" for number in changed}


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


def test_every_fault_is_caught_and_nothing_else(copy, restless):
    """Outputs changed and deleted, a widget gone stale; what is restless passes."""
    chapter = copy / "chapters" / "hardness.ipynb"
    planted = alter(chapter, edit_fourth_digit, edit_drawing, delete_output)
    # The widgets of a chapter are compared at its end, and this one has lost its own.
    end = f"--deselect=chapters/{chapter.name}::widgets"
    stale = nbformat.reads(restless, as_version=4)
    slider = next(m for m in models(stale).values() if m["model_name"] == "FloatSliderModel")
    slider["state"]["value"] += 0.0001
    nbformat.write(stale, copy / "chapters" / "restless.ipynb")
    found = caught(copy, end, f"chapters/{chapter.name}", "chapters/restless.ipynb")
    assert found == {*planted, "restless.ipynb::widgets"}


def test_every_cell_of_every_chapter_is_in_the_net():
    said = nbval(ROOT, "--collect-only", "chapters")
    for chapter in chapters():
        cells = nbformat.read(chapter, as_version=4).cells
        code = sum(cell.cell_type == "code" for cell in cells)
        names = [*(f"Cell {number}" for number in range(code)), "widgets"]
        assert re.findall(rf"^chapters/{chapter.name}::(.+)$", said, re.MULTILINE) == names


@pytest.mark.parametrize(("file", "pattern", "other", "chapter"), COEFFICIENTS)
def test_a_perturbed_coefficient_is_caught(copy, file, pattern, other, chapter):
    text, changes = re.subn(pattern, other, (copy / file).read_text(encoding="utf-8"))
    assert changes == 1, f"{pattern} stands {changes} times in {file}"
    (copy / file).write_text(text, encoding="utf-8")
    assert len(caught(copy, "-x", chapter)) == 1


def test_without_the_images_what_needs_them_is_skipped_with_the_reason(copy, monkeypatch):
    path = copy / "chapters" / "reads.ipynb"
    cells = [new_code_cell("one = 1"), new_code_cell("1 / 0", metadata={"tags": [NEEDS_DATA]})]
    nbformat.write(new_notebook(cells=cells), path)
    monkeypatch.delenv("MAMLBOOK_DATA", raising=False)
    said = nbval(copy, "chapters/reads.ipynb")
    assert "1 passed, 2 skipped" in said and "MAMLBOOK_DATA is not set" in said
    monkeypatch.setenv("MAMLBOOK_DATA", str(copy))
    assert caught(copy, "chapters/reads.ipynb") == {"reads.ipynb::Cell 1"}
