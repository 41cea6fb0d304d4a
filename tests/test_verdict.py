"""The verdict's rules, and that they look at the records."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mamlbook import records, verdict
from mamlbook.experiments.catalogue import ITEMS
from mamlbook.fewshot.settings import HARD_ALPHABETS
from mamlbook.verdict import claims, images

IN_THE_PAPER = (
    [f"Figure {n}" for n in range(1, 9)]
    + [f"Table {n}" for n in range(1, 6)]
    + ["Proposition 1", "Corollary 1", "Corollary 2", "Theorem 1", "Theorem 2", "Theorem 3"]
    + ["Condition (i)", "Condition (ii)"]
)


@pytest.mark.parametrize("name", IN_THE_PAPER)
def test_everything_that_the_paper_numbers_is_judged(name):
    told = " ".join(re.sub(r"Tables (\d) and (\d)", r"Table \1, Table \2", claim.reference) + ";"
                    for claim in verdict.CLAIMS)  # fmt: skip
    assert re.search(rf"{re.escape(name)}\b|{re.escape(name)}[ ;]", told)


@pytest.mark.parametrize(
    "checks, expected",
    [
        ({"a": True, "b": True}, "reproduced"),
        ({"a": True, "b": False}, "partly"),
        ({"a": False, "b": False}, "not"),
        ({}, "untestable"),
    ],
)
def test_the_rule(checks, expected):
    assert verdict.verdict(verdict.Judged("", checks=checks)) == expected


def test_every_claim_has_its_page_and_its_item():
    chapters = {path.stem for path in Path("chapters").iterdir()}
    for claim in verdict.CLAIMS:
        assert claim.page in chapters
        assert not claim.item or ITEMS[claim.item].dear


@pytest.fixture
def other_records(monkeypatch):
    """Have the judges read records as `change` makes them: change(item, record) -> record."""

    def read(change):
        def record(item):
            return change(item, records.load(item))

        monkeypatch.setattr(claims, "record", record)
        monkeypatch.setattr(images, "record", record)
        images.seeds.cache_clear()

    yield read
    images.seeds.cache_clear()


def test_a_judge_looks_at_the_record(other_records):
    def swapped(item, record):
        """NAL's accuracies for MAML's, and the other way round."""
        rows = record.rows.replace({"algorithm": {"maml": "nal", "nal": "maml"}})
        return replace(record, rows=rows)

    other_records(swapped)
    assert verdict.verdict(images.gains_on_hard()) == "not"


@pytest.mark.parametrize(
    ("slope", "expected"), [(0, "partly"), (10, "reproduced"), (-10, "partly")]
)
def test_oversampling_is_judged_by_what_hard_tasks_gain(other_records, slope, expected):
    def sloped(item, record):
        """Accuracies that rise with p by `slope` on hard tasks and stay on easy ones."""
        rise = slope * record.rows["p"] * (record.rows["hardness"] == "hard")
        return replace(record, arrays={"accuracy": np.c_[rise, rise + 0.1, rise - 0.1]})

    other_records(sloped)
    assert verdict.verdict(images.oversampling()) == expected


def test_a_rate_is_judged_by_the_search(other_records):
    def best_at(rate):
        def change(item, record):
            rows = record.rows.copy()
            rows["accuracy"] = 50.0 + 40 * (rows["outer_rate"] == rate)
            return replace(record, rows=rows)

        return change

    for rate, expected in ((1e-3, "reproduced"), (1e-2, "not")):
        other_records(best_at(rate))
        assert verdict.verdict(images.searched("omniglot_rates", "maml", 1e-3)) == expected


def test_a_preview_is_what_has_less_than_the_papers_budget(other_records):
    (claim,) = (each for each in verdict.CLAIMS if each.judge is images.table2)
    full = {"iterations": 10_000, "seeds": 5, "filters": 64}
    for change, expected in (({}, False), ({"seeds": 4}, True), ({"iterations": 9_999}, True)):
        other_records(
            lambda item, record, change=change: replace(
                record, provenance={**record.provenance, "settings": {**full, **change}}
            )
        )
        assert claim.preview is expected


def test_the_hard_alphabets_are_the_ten_that_the_record_says():
    found = records.load("alphabets").rows
    after = found[
        (found["network"] == "trained") & (found["step"] == 1) & (found["hardness"] == "hard")
    ]
    named = ["Sanskrit", "Bengali"]
    others = after[~after["group"].isin(named)].nsmallest(8, "accuracy")["group"]
    assert list(HARD_ALPHABETS) == [*named, *others]
