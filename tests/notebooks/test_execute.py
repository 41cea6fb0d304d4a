"""The runner: executed twice, a notebook has the same bytes."""

import json
import re
import subprocess
import sys

import nbformat
import pytest
from nbclient.exceptions import CellExecutionError
from nbformat.v4 import new_code_cell, new_notebook

from tools import ROOT, environment
from tools.execute import run
from tools.notebooks import models, settled


def test_a_second_run_gives_the_same_bytes(restless, tmp_path):
    path = tmp_path / "again.ipynb"
    path.write_bytes(restless)
    assert settled(run(path)) == restless
    text = restless.decode()
    for trace in (" at 0x", "ipykernel_", "dc:date", '"execution":', "iopub"):
        assert trace not in text


def test_settling_keeps_what_belongs_together(restless):
    notebook = nbformat.reads(restless, as_version=4)
    state = models(notebook)
    assert list(state) == [f"{number:032x}" for number in range(len(state))]
    views = [
        output.data["application/vnd.jupyter.widget-view+json"]["model_id"]
        for output in notebook.cells[3].outputs
    ]
    assert [state[view]["model_name"] for view in views] == ["VBoxModel"]
    children = state[views[0]]["state"]["children"]
    named = [state[child.removeprefix("IPY_MODEL_")]["model_name"] for child in children]
    assert named == ["FloatSliderModel", "LabelModel"]
    svg = notebook.cells[1].outputs[0].data["image/svg+xml"]
    used = re.findall(r'(?:url\(|href=")#([\w-]+)', svg)
    assert used
    assert set(used) <= set(re.findall(r'\bid="([\w-]+)"', svg))
    assert [output.text for output in notebook.cells[4].outputs if "text" in output] == [
        "a\nb\nc\n"
    ]


def test_metadata_of_cells_is_kept(tmp_path):
    described = {"mystnb": {"image": {"alt": "a curve"}}, "tags": ["hide-input"]}
    path = tmp_path / "kept.ipynb"
    nbformat.write(new_notebook(cells=[new_code_cell("1 + 1", metadata=described)]), path)
    cell = json.loads(settled(run(path)))["cells"][0]
    assert cell["metadata"] == described
    assert cell["outputs"][0]["data"]["text/plain"] == ["2"]


def test_a_failing_chapter_is_not_written(tmp_path):
    path = tmp_path / "fails.ipynb"
    nbformat.write(new_notebook(cells=[new_code_cell("1 / 0")]), path)
    with pytest.raises(CellExecutionError, match="ZeroDivisionError"):
        run(path)


def test_an_unknown_chapter_is_named():
    said = subprocess.run(
        [sys.executable, "-m", "tools.execute", "hardnes"],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
    )
    assert said.returncode == 1
    assert "No chapter hardnes: there are verdict, hardness" in said.stderr
