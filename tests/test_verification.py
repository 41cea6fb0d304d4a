"""Records against the code: what is committed holds, and whatever was tampered with is found."""

import json
import re
from dataclasses import dataclass, replace
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import pytest
import torch

from mamlbook import records, verification
from mamlbook.__main__ import main
from mamlbook.experiments.catalogue import ITEMS
from mamlbook.experiments.hardness import Fig2
from mamlbook.experiments.neuron import Fig5
from mamlbook.fewshot.data.images import SOURCES
from mamlbook.fewshot.engine.closed import curvature
from mamlbook.fewshot.training import canary
from mamlbook.records import Record, RecordError
from mamlbook.verification import difference, verify
from tools.notebooks import chapters

EXPENSIVE = [name for name, item in ITEMS.items() if item.expensive]


@pytest.mark.parametrize("name", EXPENSIVE)
def test_an_expensive_record_is_checked(name):
    found = verify(ITEMS[name])
    assert found in (["one case"] if ITEMS[name].canary else verification.SAID)


def test_every_other_record_is_held_by_a_chapter_against_the_rows_it_shows():
    """Under nbval it makes the rows, and its last cell ends in an error if a record differs."""
    held = []
    for path in chapters():
        notebook = nbformat.read(path, as_version=4)
        code = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
        for last in (cell for cell in code if "verify(ITEMS[name], made=rows)" in cell):
            names = re.findall(r'"(\w+)": ', last)
            for name in names:  # made there, not read from the record
                assert any(re.search(rf"(?<!figures)\.{name}\(", cell) for cell in code)
            held += names
    assert sorted(held + EXPENSIVE) == sorted(ITEMS)


@pytest.mark.parametrize("name", EXPENSIVE)
def test_an_expensive_record_is_drawn_as_reproduce_draws_it(name):
    record = records.load(name)
    assert ITEMS[name].load("draw")(*filter(len, (record.rows, record.arrays))).axes


def test_records_of_items_alone_are_committed():
    stored = list(records.RESULTS.iterdir())
    assert {path.stem for path in stored} == set(ITEMS)
    assert {path.suffix for path in stored} <= {".csv", ".json", ".npz"}
    assert sum(path.stat().st_size for path in stored) < 1_000_000
    for name in ITEMS:
        command = records.load(name).provenance["command"]
        assert " /" not in command, f"{name} names a folder of one machine: {command}"


@pytest.fixture
def results(tmp_path, monkeypatch) -> Path:
    """Copies of the records of fig1 and fig2, the only items there are."""
    for path in records.RESULTS.glob("fig[12].*"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    monkeypatch.setattr(records, "RESULTS", tmp_path)
    for name in set(ITEMS) - {"fig1", "fig2"}:
        monkeypatch.delitem(ITEMS, name)
    return tmp_path


def altered(results: Path, change) -> None:
    """Change the record of fig2 and write it with digests that agree: a forger's work."""
    record = records.load("fig2", results)
    records.save(change(record), results)


def test_verify_prints_one_line_per_item(results, capsys):
    assert main(["verify"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["fig1", "fig2", "2"]
    assert all("computed again" in line and line.endswith("agrees") for line in lines[:2])
    assert lines[2] == "2 of 2 records agree."
    assert main(["verify", "fig2", "fig2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["fig2", "1"]


@pytest.mark.parametrize("name", ["fig2.csv", "fig2.json"])
def test_a_record_edited_by_hand_is_caught(results, name, capsys):
    text = (results / name).read_text()
    digit = next(i for i in range(len(text) // 2, len(text)) if text[i] in "1234567")
    (results / name).write_text(text[:digit] + str(int(text[digit]) + 1) + text[digit + 1 :])
    assert main(["verify"]) == 1
    fig1, fig2, last = capsys.readouterr().out.splitlines()
    assert fig1.endswith("agrees") and "DOES NOT AGREE" in fig2 and name in fig2
    assert last == "1 of 2 records agree."


def test_a_missing_record_is_named(results):
    (results / "fig2.json").unlink()
    with pytest.raises(RecordError, match=r"no record fig2\.json .* reproduce fig2"):
        verify(ITEMS["fig2"], results)


def test_forged_rows_are_caught_where_they_differ(results):
    def change(record: Record) -> Record:
        rows = record.rows.copy()
        rows.loc[7, "excess_risk"] *= 1 + 3e-6
        return replace(record, rows=rows)

    altered(results, change)
    with pytest.raises(RecordError, match=r"not what the code gives: excess_risk of row 8 is"):
        verify(ITEMS["fig2"], results)


def test_rows_that_are_made_already_are_compared_with_the_record(results, monkeypatch):
    """As a chapter does: nothing is computed again, and a number that is another is named."""
    rows = ITEMS["fig2"].load("make")(Fig2())
    monkeypatch.setattr("mamlbook.experiments.hardness.fig2", NotMade.again)
    assert verify(ITEMS["fig2"], results, made=rows) == "computed again"
    rows.loc[7, "excess_risk"] *= 1 + 3e-6
    with pytest.raises(RecordError, match="not what the code gives: excess_risk of row 8 is"):
        verify(ITEMS["fig2"], results, made=rows)


def test_rows_are_made_without_their_landscapes(monkeypatch):
    monkeypatch.setattr("mamlbook.experiments.neuron.fig5", NotMade.again)
    monkeypatch.setattr(NotMade.again, "__annotations__", {"settings": Fig5})
    assert verify(ITEMS["fig5"]) == "computed again"


def test_changed_code_is_caught(results, monkeypatch):
    from mamlbook.linear import population

    curvature = population.q_matrix
    monkeypatch.setattr(population, "q_matrix", lambda *a, **k: 1.00001 * curvature(*a, **k) + 1e-5)
    with pytest.raises(RecordError, match="not what the code gives"):
        verify(ITEMS["fig2"], results)


def test_other_settings_than_the_items_are_caught(results, tmp_path):
    main(["reproduce", "fig2", "--out", str(results), "--m", "50"])
    with pytest.raises(RecordError, match=r"made with m = \[50\], the item has \[2000, 100\]"):
        verify(ITEMS["fig2"], results)


@pytest.mark.parametrize("name", verification.REQUIRED)
def test_a_record_must_say_how_it_was_made(results, name):
    altered(results, lambda record: replace(record, provenance=record.provenance | {name: None}))
    with pytest.raises(RecordError, match=f"does not state its {name}"):
        verify(ITEMS["fig2"], results)


def test_a_record_must_be_made_from_a_commit(results):
    def change(record: Record) -> Record:
        commit = record.provenance["commit"] + "-dirty"
        return replace(record, provenance=record.provenance | {"commit": commit})

    altered(results, change)
    with pytest.raises(RecordError, match="fig2 was made from changes that no commit holds"):
        verify(ITEMS["fig2"], results)


@pytest.mark.parametrize(
    ("edits", "fault"),
    [
        ({}, None),
        ({"settings": {"m": [50]}}, None),
        ({"settings": {"k": 50}}, "made with k = 50, the item has no such setting"),
        ({"data_digest": "0" * 64}, "made of other images"),
        ({"data_digest": None}, "made of other images"),
        ({"commit": "0" * 40 + "-dirty"}, "from changes that no commit holds"),
    ],
)
def test_an_expensive_item_is_checked_and_not_computed_again(results, edits, fault, monkeypatch):
    item = replace(ITEMS["fig2"], data="omniglot")
    monkeypatch.setattr("mamlbook.experiments.hardness.fig2", NotMade.again)
    settings = records.load("fig2", results).provenance["settings"] | edits.pop("settings", {})
    edits = {"data_digest": SOURCES["omniglot"].digest, "settings": settings} | edits
    altered(results, lambda record: replace(record, provenance=record.provenance | edits))
    if fault is None:
        assert verify(item, results) == "digest"
    else:
        with pytest.raises(RecordError, match=fault):
            verify(item, results)


class NotMade:
    @staticmethod
    def again(settings: Fig2):
        raise AssertionError("an expensive item was computed again")


@dataclass(frozen=True)
class Case:
    then: list
    now: list
    found: str | None


@pytest.mark.parametrize(
    "case",
    [
        Case([1.0, None, 1e-17], [1.0 + 5e-7, None, -1e-17], None),
        Case([1.0, 0.5], [1.0, 0.500001], "x of row 2 is 0.5"),
        Case([1.0, 0.0], [1.0, 2e-7], "x of row 2 is 0.0"),
        Case([1.0, None], [1.0, 0.0], "x of row 2 is nan"),
        Case([1, 2], [1, 3], "x of row 2 is 2, now 3"),
        Case([True, False], [True, True], "x of row 2 is False, now True"),
        Case(["nal", None], ["nal", None], None),
        Case(["nal", "maml"], ["nal", "nal"], "x of row 2 is maml"),
        Case([1.0], [1.0, 2.0], "it has 1 rows, now 2"),
        Case([1.0, np.inf], [1.0, np.inf], None),
        Case([1.0, np.inf], [5.0, np.inf], "x of row 1 is 1.0, now 5.0"),
    ],
)
def test_tables_differ_where_they_differ(case):
    found = difference(pd.DataFrame({"x": case.then}), pd.DataFrame({"x": case.now}))
    assert found is None if case.found is None else found.startswith(case.found)


def test_columns_are_compared():
    found = difference(pd.DataFrame({"x": [1]}), pd.DataFrame({"y": [1]}))
    assert found == "its columns are x, now y"


def test_verify_without_torch_says_what_is_lacking(monkeypatch, capsys):
    monkeypatch.setitem(__import__("sys").modules, "mamlbook.experiments.networks", None)
    item = ITEMS["theorem1"]
    with pytest.raises(ValueError, match=r"theorem1 needs .*networks, which is not installed"):
        verify(item)


def test_verify_names_the_items_that_it_could_not_check(results, monkeypatch, capsys):
    monkeypatch.setitem(ITEMS, "fig2", replace(ITEMS["fig2"], module="nothing_of_this_name"))
    assert main(["verify"]) == 0
    fig1, fig2, last = capsys.readouterr().out.splitlines()
    assert fig1.endswith("agrees") and "NOT CHECKED: fig2 needs " in fig2
    assert last == "1 of 2 records agree. Not checked: fig2."


@pytest.fixture
def crossed(tmp_path) -> tuple[Path, dict]:
    """A copy of the record of `crossed`, with a canary of the present code."""
    record = records.load("crossed")
    edits = canary.canary("omniglot", record.provenance["settings"], record.rows, "0" * 40)
    records.save(replace(record, provenance=record.provenance | {"canary": edits}), tmp_path)
    return tmp_path, edits


def test_a_canary_agrees_with_the_code_that_made_it(crossed):
    assert verify(ITEMS["crossed"], crossed[0]) == "canary"
    assert list(crossed[1]["values"]) == ["strided maml"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"code": "0" * 64}, "code changed since, canary agrees"),
        ({"values": "loss"}, None),
        ({"values": "norm"}, None),
        ({"values": "along"}, None),
    ],
)
def test_a_canary_tells_older_code_from_other_results(crossed, change, said):
    folder, edits = crossed
    record = records.load("crossed", folder)
    if said is None:
        name, case = change["values"], dict(edits["values"]["strided maml"])
        change = {"values": {"strided maml": case | {name: case[name] * (1 + 1e-6)}}}
    records.save(replace(record, provenance=record.provenance | {"canary": edits | change}), folder)
    if said is None:
        with pytest.raises(RecordError, match=f"the canary's {name} of strided maml is"):
            verify(ITEMS["crossed"], folder)
    else:
        assert verification.SAID[verify(ITEMS["crossed"], folder)] == said


def test_a_canary_sings_when_the_training_code_changes(crossed, monkeypatch):
    """A second derivative left out: MAML's gradient without its Hessian."""
    monkeypatch.setattr(curvature, "hessian_vector_product", lambda *given, **how: torch.zeros(()))
    with pytest.raises(RecordError, match="not what the code gives: the canary's norm"):
        verify(ITEMS["crossed"], crossed[0])


def test_rows_only_leaves_the_arrays_out(tmp_path):
    main(["reproduce", "fig1", "--out", str(tmp_path), "--rows-only"])
    assert {path.name for path in tmp_path.iterdir()} == {"fig1.csv", "fig1.json", "fig1.svg"}
    edits = json.loads((tmp_path / "fig1.json").read_text())
    assert list(edits["sha256"]) == ["fig1.csv"]
