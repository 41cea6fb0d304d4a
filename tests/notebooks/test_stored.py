"""What the chapters store: outputs complete and in order, in the one form the runner writes."""

import re
from pathlib import Path

import nbformat
import pytest

from tools.notebooks import chapters, settled

CHAPTERS = chapters()
LIMIT = 3_000_000


@pytest.fixture(params=CHAPTERS, ids=lambda path: path.stem)
def path(request: pytest.FixtureRequest) -> Path:
    return request.param


@pytest.fixture
def code(path: Path) -> list[nbformat.NotebookNode]:
    cells = nbformat.read(path, as_version=4).cells
    return [cell for cell in cells if cell.cell_type == "code"]


def test_the_book_has_chapters():
    assert CHAPTERS


def test_every_cell_was_executed_in_order(code):
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert any(cell.outputs for cell in code)


def test_no_cell_failed_or_complained(code):
    kinds = [(output.output_type, output.get("name")) for cell in code for output in cell.outputs]
    assert not [kind for kind in kinds if kind[0] == "error" or kind[1] == "stderr"]


def test_no_output_is_left_unchecked(code):
    """nbval skips what is tagged so, and never looks at bitmaps."""
    tags = {tag for cell in code for tag in cell.metadata.get("tags", [])}
    assert not [tag for tag in tags if re.match("nbval|raises-exception", tag)]
    assert not [cell.source for cell in code if re.search("NBVAL|PYTEST_VALIDATE", cell.source)]
    data = [output.get("data", {}) for cell in code for output in cell.outputs]
    assert not [kind for kinds in data for kind in kinds if kind in ("image/png", "image/jpeg")]


def test_every_figure_says_what_to_see(code):
    for cell in code:
        if any("image/svg+xml" in output.get("data", {}) for output in cell.outputs):
            mystnb = cell.metadata.get("mystnb", {})
            assert mystnb.get("image", {}).get("alt"), f"no alt text:\n{cell.source}"
            assert mystnb.get("figure", {}).get("caption"), f"no caption:\n{cell.source}"


def test_the_file_is_as_the_runner_writes_it(path):
    assert settled(nbformat.read(path, as_version=4)) == path.read_bytes()


def test_the_file_is_small(path):
    assert path.stat().st_size < LIMIT
