"""The net holds: whatever could go wrong with a chapter, done to a copy of it, nbval catches."""

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest

from tools import ROOT, environment
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


def caught(copy: Path, *arguments: str) -> set[str]:
    """Run nbval in the copy: what failed, such as `hardness.ipynb::Cell 3`."""
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
    return set(re.findall(r"^FAILED chapters/(.+?)(?: - |$)", said.stdout, re.MULTILINE))


def alter(path: Path, *changes: Callable[[nbformat.NotebookNode], bool]) -> set[str]:
    """Make each change in the first cell that allows it and has none yet; end the notebook there.

    Returns nbval's names of the changed cells.
    """
    notebook = nbformat.read(path, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    changed: list[int] = []
    for change in changes:
        rest = (n for n, cell in enumerate(code) if n not in changed and change(cell))
        changed.append(next(rest))
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
    """Outputs changed and deleted, a widget gone stale, in every chapter; what is restless passes.

    The first chapter has each kind of changed output, the others show that they are in the net.
    """
    first, *others = [copy / chapter.relative_to(ROOT) for chapter in chapters()]
    planted = alter(first, edit_fourth_digit, edit_drawing, delete_output)
    for chapter in others:
        planted |= alter(chapter, delete_output)
    # The widgets of a chapter are compared at its end, and these have lost theirs.
    ends = [f"--deselect=chapters/{chapter.name}::widgets" for chapter in (first, *others)]
    stale = nbformat.reads(restless, as_version=4)
    slider = next(m for m in models(stale).values() if m["model_name"] == "FloatSliderModel")
    slider["state"]["value"] += 0.0001
    nbformat.write(stale, copy / "chapters" / "restless.ipynb")
    assert caught(copy, *ends, "chapters") == {*planted, "restless.ipynb::widgets"}


@pytest.mark.parametrize(("file", "pattern", "other", "chapter"), COEFFICIENTS)
def test_a_perturbed_coefficient_is_caught(copy, file, pattern, other, chapter):
    text, changes = re.subn(pattern, other, (copy / file).read_text(encoding="utf-8"))
    assert changes == 1, f"{pattern} stands {changes} times in {file}"
    (copy / file).write_text(text, encoding="utf-8")
    assert len(caught(copy, "-x", chapter)) == 1
