"""What the chapters store: outputs complete and in order, in the one form the runner writes."""

import ast
import json
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest

from tools import ROOT
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


def test_the_first_cell_says_how_to_install_what_is_missing(path, code, without_torch):
    """With torch for the chapters that import it, and for no other."""
    assert without_torch[path.stem] in (0, 3)
    extra = "fewshot,book" if without_torch[path.stem] else "book"
    first = f"# If an import fails, in a checkout of the book: pip install -e '.[{extra}]'"
    assert code[0].source.splitlines()[0] == first


@pytest.fixture(scope="module")
def without_torch() -> dict[str, int]:
    """What the imports of each chapter end with where there is no torch."""
    lines = {}
    for chapter in CHAPTERS:
        cells = nbformat.read(chapter, as_version=4).cells
        code = [cell.source for cell in cells if cell.cell_type == "code"]
        lines[chapter.stem] = [line for source in code for line in imports(source)]
    command = [sys.executable, "-c", WITHOUT_TORCH]
    said = subprocess.run(
        command, input=json.dumps(lines), cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True
    )
    return json.loads(said.stdout)


def imports(source: str) -> list[str]:
    """The import statements of a cell, each on a line."""
    found = ast.walk(ast.parse(source))
    return [ast.unparse(node) for node in found if isinstance(node, ast.Import | ast.ImportFrom)]


# A process for each chapter, which finds the libraries of all of them loaded: they take seconds.
# Not `sys.modules["torch"] = None`, which SciPy takes for a torch that is loaded.
WITHOUT_TORCH = """
import json, os, sys

class NoTorch:
    def find_spec(self, name, *_):
        if name.partition(".")[0] == "torch":
            raise ModuleNotFoundError("no torch", name="torch")

def tried(lines):
    for line in lines:
        try:
            exec(line, {})
        except ModuleNotFoundError as error:
            return 3 if error.name == "torch" else 4
    return 0

sys.meta_path.insert(0, NoTorch())
import IPython.display, matplotlib.pyplot, pandas, scipy.optimize, scipy.stats
found = {}
for chapter, lines in json.load(sys.stdin).items():
    if child := os.fork():
        found[chapter] = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    else:
        code = 1
        try:
            code = tried(lines)
        finally:
            os._exit(code)
json.dump(found, sys.stdout)
"""


def test_a_preset_is_a_parameter(path, code):
    """A cell that papermill puts after the one tagged `parameters` takes effect: it holds nothing
    but what a reader may choose, and nothing later chooses again."""
    tagged = [cell for cell in code if "parameters" in cell.metadata.get("tags", [])]
    assigned = [names(cell.source, ast.Store) for cell in code]
    choosing = [cell for cell, given in zip(code, assigned, strict=True) if "PRESET" in given]
    assert tagged == choosing and len(tagged) == (path.stem in ("cifar", "omniglot"))
    for cell in tagged:
        statements = ast.parse(cell.source).body
        assert all(isinstance(each, ast.Assign) for each in statements)
        notebook = nbformat.v4.new_notebook(cells=list(code))
        place = code.index(cell) + 1
        notebook.cells.insert(place, nbformat.v4.new_code_cell('PRESET = "injected"'))
        seen = []
        space = {"watch": seen.append, "PRESETS": Presets()}
        space["cifar"] = SimpleNamespace(PRESETS=Presets())
        for each in notebook.cells[place - 1 :]:
            if "PRESET" in names(each.source, ast.Load, ast.Store):
                exec(each.source, space)
        assert seen == ["settings of injected"]


def names(source: str, *contexts: type) -> set[str]:
    """The names that a cell uses so."""
    found = ast.walk(ast.parse(source))
    return {each.id for each in found if isinstance(each, ast.Name) and type(each.ctx) in contexts}


class Presets(dict):
    def __missing__(self, name: str) -> str:
        return f"settings of {name}"


def test_the_file_is_as_the_runner_writes_it(path):
    assert settled(nbformat.read(path, as_version=4)) == path.read_bytes()


def test_the_file_is_small(path):
    assert path.stat().st_size < LIMIT


RAW = r"\b[rFQwR]_[A-Za-z]|\brho_|\bnu\^|\d[eE]-\d\d|R²/|\*\*2|[-+−]0\.0+ ±"


def test_no_output_has_a_raw_symbol_or_a_signed_zero(code):
    """What a reader sees is typeset: a table has no r_H, no 1e-16 and no -0.0 ± 0.1."""
    for cell in code:
        for output in cell.outputs:
            data = output.get("data", {})
            if "application/vnd.jupyter.widget-view+json" in data:
                continue
            kinds = ("text/html", "text/markdown", "application/papermill.record/text/plain")
            shown = " ".join("".join(data.get(kind, "")) for kind in kinds)
            shown = re.sub(r"<style.*?</style>|<script.*?</script>|<[^>]*>", " ", shown, flags=re.S)
            shown = re.sub(r"\\\(.*?\\\)|\$[^$]*\$|`[^`]*`", "", shown, flags=re.S)
            assert re.findall(rf".{{0,20}}(?:{RAW}).{{0,20}}", shown) == []
