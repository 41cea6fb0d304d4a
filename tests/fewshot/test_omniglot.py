"""The items of the Omniglot chapter, made from real images with the smallest networks."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from mamlbook import figures, jobs
from mamlbook.experiments import causes, omniglot
from mamlbook.experiments.cells import effect_of_training
from mamlbook.experiments.paper import TABLE1
from mamlbook.fewshot import training
from mamlbook.fewshot.data import images
from mamlbook.fewshot.settings import ARMS, Cell, Omniglot
from mamlbook.fewshot.training import evaluation
from mamlbook.intervals import mean_ci95
from mamlbook.records import Record

TINY = {"iterations": 1, "seeds": 2, "filters": 1, "evaluation_tasks": 6}


@pytest.fixture(autouse=True)
def apart(tmp_path, real_data):
    with jobs.at(tmp_path):
        yield


def test_table1_has_the_papers_cells_in_its_order():
    rows, arrays = omniglot.table1(omniglot.Table1(**TINY))
    named = ["setting", "algorithm", "split", "hardness"]
    assert sorted(map(tuple, rows[named].values)) == sorted(map(tuple, TABLE1[named].values))
    assert list(rows.columns[:9]) == [*named, "accuracy", "accuracy_ci95", "seeds", "iterations",
                                      "device"]  # fmt: skip
    assert (rows["seeds"] == 2).all() and (rows["train_seconds"] > 0).all()
    assert np.allclose(arrays["accuracy"].mean(1), rows["accuracy"])
    assert arrays["course"].shape == (6, 2, 1, 2)


def test_what_one_item_trained_another_finds(monkeypatch, tmp_path):
    omniglot.table1(omniglot.Table1(**TINY))
    trained = {path.name for path in (tmp_path / "cells").iterdir()}
    spreads = omniglot.dispersion(omniglot.Dispersion(**TINY, tasks=3, steps=1))
    assert {path.name for path in (tmp_path / "cells").iterdir()} == trained
    assert (spreads[["r_easy", "r_hard"]] > 0).all(axis=None)
    keys = ["network", "seed", "split", "part"]
    easy = spreads.pivot(index=keys, columns="setting", values="r_easy")
    # From one network Large's easy tasks and Small's are the same tasks, and spread alike.
    np.testing.assert_allclose(easy["large"], easy["small"], rtol=1e-12)
    hard = spreads.pivot(index=keys, columns="setting", values="r_hard")
    assert (hard["large"] != hard["small"]).all()


def test_crossed_networks_are_table1s_on_the_other_settings_tasks(tmp_path):
    rows, arrays = omniglot.crossed(omniglot.Crossed(**TINY))
    assert list(rows["setting"]) == ["small"] * 4 + ["large"] * 4
    assert list(rows["trained_in"]) == ["large"] * 4 + ["small"] * 4
    held = images.load("omniglot")
    for line in (0, 7):  # the same network by hand
        there = omniglot.Omniglot(
            setting=rows["setting"][line], **omniglot.ADAM, iterations=1, filters=1,
            evaluation_tasks=6,
        )  # fmt: skip
        here = dataclasses.replace(there, setting=rows["trained_in"][line])
        kept = training.train(
            [Cell(here, 1)], held, folder=tmp_path / "cells" / Cell(here, 1).label, progress=False
        )
        own = evaluation.evaluate(Cell(there, 1), kept.theta, held)
        assert np.isclose(own["accuracy"][line % 4], arrays["accuracy"][line, 1])
    figures.crossed(rows, arrays)


def test_controls_tell_every_question():
    rows, arrays = omniglot.omniglot_controls(omniglot.Controls(**TINY | {"seeds": 1}, batches=1))
    asked = {"untrained", "the paper's rate", "best rate", "classifier", "SGD", "Adam"}
    assert set(rows["control"]) == asked
    assert set(rows[rows["control"] == "best rate"]["steps"]) == {1, 5, 10}
    assert set(rows[rows["control"] == "Adam"]["statistics"]) == {"batch", "running"}
    # A row says of what training it is.
    how = ["algorithm", "optimiser", "outer_rate", "iterations", "planned"]
    said = rows.set_index("control")[how]
    assert {*said.loc["classifier"].itertuples(index=False, name=None)} == {
        ("classifier", "adam", 1e-3, 1, 1)
    }
    assert {*said.loc["untrained"].itertuples(index=False, name=None)} == {
        (algorithm, "none", 0.0, 0, 0) for algorithm in ("nal-1", "nal-10")
    }
    by = {"the paper's rate": "sgd", "best rate": "sgd", "SGD": "sgd", "Adam": "adam"}
    for control, optimiser in by.items():
        assert {*said.loc[control, "optimiser"]} == {optimiser}, control
    assert (rows[rows["control"] == "classifier"]["train_seconds"] > 0).all()
    assert np.allclose(arrays["accuracy"][:, 0], rows["accuracy"])
    figures.omniglot_controls(rows, arrays)


def test_a_budget_of_nothing_is_refused():
    with pytest.raises(ValueError, match="seeds is 0; it must be at least 1"):
        dataclasses.replace(omniglot.Table1(), seeds=0)


# With a head of zeros no gradient reaches the features in the first step.
@pytest.mark.filterwarnings("ignore:.*the network is dead:UserWarning")
def test_a_configuration_s_table_and_its_causes(tmp_path):
    tiny = TINY | {"filters": 2}
    rows, arrays = omniglot.table1_lineage(
        omniglot.Table1Lineage(**tiny | {"iterations": 2}, until=1)
    )
    assert set(rows["configuration"]) == {"lineage"}
    assert set(rows["algorithm"]) == {"maml", "nal-1", "none"}
    bare = rows["algorithm"] == "none"
    assert set(rows["iterations"][~bare]) == {1} and set(rows["iterations"][bare]) == {0}
    assert set(rows["planned"]) == {2}
    assert ((rows["distance"] > 0) == ~bare).all()
    assert len(arrays["accuracy"]) == len(rows)
    assert set(rows["optimiser"]) == {"adam"}
    figures.table1_lineage(rows, arrays)
    courses = arrays["course"]
    assert courses.shape == (4, 2, 1, 2)
    rows = omniglot.alphabets_lineage(
        omniglot.AlphabetsLineage(**tiny | {"seeds": 1}, until=1, tasks=2)
    )
    (cell,) = (path.name for path in (tmp_path / "cells").glob("*-all-*"))
    of = Omniglot(setting="all", configuration="lineage", iterations=1, filters=2)
    assert cell == Cell(of, 0).label
    assert set(rows["network"]) == {"untrained", "trained"} and set(rows["step"]) == {0, 1}
    figures.alphabets_lineage(rows)
    tiny["seeds"] = 1
    rows, arrays = causes.omniglot_rates(causes.Rates(**tiny, grid=(1e-3, 1e-2)))
    assert set(rows["split"]) == {"train", "validation"} and (rows["distance"] > 0).all()
    assert len(rows.value_counts(["configuration", "algorithm", "optimiser", "outer_rate"])) == 16
    figures.omniglot_rates(rows, arrays)
    rows, arrays = causes.ablation(causes.Ablation(**tiny))
    assert list(dict.fromkeys(rows["part"])) == list(causes.PARTS)
    figures.ablation(rows, arrays)


def test_the_arms_differ_in_what_they_say(characters):
    rows, arrays = causes.packing(causes.Packing(**TINY | {"filters": 2, "seeds": 1}))
    assert set(rows["setting"]) == set(ARMS) and set(rows["split"]) == {"test", "test-5"}
    figures.packing(rows, arrays)
    held = images.load("omniglot-binary")
    for seed in range(10):
        wide, few, close = (
            Omniglot(configuration="lineage", setting=arm).problem(held, seed) for arm in ARMS
        )
        counts = [sum(map(len, each.training.hard.groups)) for each in (wide, few, close)]
        assert counts[0] > 3 * counts[1] and 0 <= counts[1] - counts[2] <= 4
        assert len(few.training.hard.groups) == 5 and len(close.training.hard.groups) == 1
        assert {c for g in few.training.hard.groups for c in g} <= {
            c for g in wide.training.hard.groups for c in g
        }
        assert wide.training.hard.groups[0] == close.training.hard.groups[0]
        for split in ("test", "test-5"):
            met = [each.evaluation[split].hard.groups for each in (wide, few, close)]
            assert met[0] == met[1] == met[2]
            assert not {c for g in met[0] for c in g} & {
                c for g in wide.training.hard.groups for c in g
            }


def test_the_effect_of_training_is_paired_by_seed():
    rng = np.random.default_rng(0)
    keys = ["setting", "algorithm", "split", "hardness"]
    lines = [("a", name, "test", "hard") for name in ("maml", "nal", "none")]
    accuracy = rng.uniform(0, 100, (3, 5))
    accuracy[1] = accuracy[2] + 3 + rng.uniform(-1, 1, 5)  # seeds differ, training adds three
    record = Record("x", pd.DataFrame(lines, columns=keys), {}, {"accuracy": accuracy})
    (row,) = effect_of_training(record, "nal").itertuples()
    assert row.Index == ("a", "test", "hard")
    assert (row.untrained, row.trained) == (accuracy[2].mean(), accuracy[1].mean())
    assert (row.difference, row.half) == mean_ci95(accuracy[1] - accuracy[2])
    assert row.half < 2 < mean_ci95(accuracy[1])[1]
