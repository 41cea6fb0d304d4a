"""Table 2's experiments on made-up pictures, and the arithmetic that the chapter rests on."""

import dataclasses

import numpy as np
import pytest
import torch

from mamlbook import figures, jobs
from mamlbook.experiments import cifar, live, omniglot
from mamlbook.experiments.catalogue import ITEMS
from mamlbook.experiments.paper import TABLE2, beside
from mamlbook.fewshot import training
from mamlbook.fewshot.data import images
from mamlbook.fewshot.settings import Cell, Cifar
from mamlbook.fewshot.training.evaluation import TABLE
from mamlbook.records import Record, seed_accuracies
from tests.fewshot import synthetic

SMALL = {"filters": 2, "targets": 2, "easy_shots": 4, "hard_shots": 1, "evaluation_tasks": 4}


@pytest.fixture(scope="module", name="pictures")
def pictures_fixture():
    return synthetic.pictures()


@pytest.fixture
def held(pictures, monkeypatch, tmp_path):
    """Made-up pictures for CIFAR-100, networks of two filters, checkpoints out of the way."""
    monkeypatch.setattr(images, "load", lambda name, device="cpu": pictures)
    monkeypatch.setattr(cifar, "Cifar", lambda **given: Cifar(**{**SMALL, **given, "filters": 2}))
    with jobs.at(tmp_path):
        yield pictures


def made(item, settings):
    result = ITEMS[item].load("make")(settings)
    return result if isinstance(result, tuple) else (result, {})


def test_table2_has_a_row_for_every_number_of_the_paper(held):
    settings = cifar.Table2(iterations=2, seeds=2, filters=2, evaluation_tasks=4)
    rows, arrays = made("table2", settings)
    assert list(rows.columns[: len(TABLE)]) == TABLE
    keys = ["setting", "algorithm", "split", "hardness"]
    assert set(rows[keys].itertuples(index=False)) == set(TABLE2[keys].itertuples(index=False))
    assert len(rows) == len(TABLE2)
    assert arrays["accuracy"].shape == (len(rows), 2)
    np.testing.assert_allclose(arrays["accuracy"].mean(1), rows["accuracy"])
    assert arrays["course"].shape == (6, 2, 1, 2)
    nal, maml = (rows[rows["algorithm"] == name] for name in ("nal", "maml"))
    assert set(nal["steps"]) == {5} and set(maml["steps"]) == {1}
    assert set(nal["outer_rate"]) == {1e-6} and set(maml["outer_rate"]) == {1e-3}
    by_seed = seed_accuracies(Record("table2", rows, {}, arrays))
    for key, mean in rows.set_index(keys)["accuracy"].items():
        assert by_seed[key].shape == (2,) and np.isclose(by_seed[key].mean(), mean)
    with pytest.raises(ValueError, match="Rows of table2 share their setting, split; give more"):
        seed_accuracies(Record("table2", rows, {}, arrays), ["setting", "split"])
    figures.table2(rows, arrays)
    figures.training_curves(rows, arrays["course"], "cifar100")


def test_table2_in_the_most_probable_configuration(held):
    settings = cifar.Table2Lineage(iterations=2, until=1, seeds=2, filters=2, evaluation_tasks=4)
    rows, arrays = made("table2_lineage", settings)
    assert set(rows["setting"]) == {"p=0.99", "p=0.5"}
    assert set(rows["algorithm"]) == {"maml", "nal", "none"}
    assert set(rows["configuration"]) == {"lineage"} and set(rows["optimiser"]) == {"adam"}
    bare = rows["algorithm"] == "none"
    assert set(rows["iterations"][~bare]) == {1} and set(rows["iterations"][bare]) == {0}
    assert ((rows["distance"] > 0) == ~bare).all()
    assert set(rows["steps"][bare]) == {5}  # adapted as NAL is
    assert len(arrays["accuracy"]) == len(rows)
    figures.table2_lineage(rows, arrays)


def test_the_other_items(held):
    rates, _ = made("cifar_rates", cifar.Rates(iterations=1, filters=2, evaluation_tasks=4))
    assert len(rates) == 2 * 2 * 6 * 4 and len(rates.value_counts(["algorithm", "optimiser"])) == 4
    controls, arrays = made(
        "cifar_controls", cifar.Controls(1, 2, filters=2, batch_iterations=1, evaluation_tasks=4)
    )
    assert np.allclose(arrays["accuracy"].mean(1), controls["accuracy"])
    assert arrays["accuracy"].shape == (len(controls), 2)
    keys = ["control", "algorithm", "steps", "split", "hardness"]
    assert not controls.duplicated(keys).any()
    steps = controls[controls["control"] == "table 2"].groupby(["setting", "algorithm"])["steps"]
    assert (steps.unique().map(sorted) == [[1, 5]] * 2).all()
    start = controls[controls["control"] == "untrained"]
    assert set(start["algorithm"]) == {"none"} and set(start["iterations"]) == {0}
    steps, arrays_of_steps = made(
        "cifar_steps", cifar.Steps(iterations=1, seeds=2, filters=2, p=(0.5,), tasks=2, steps=1)
    )
    assert len(steps) == (3 + 2) * 2 * 2 * 2 and set(steps["step"]) == {0, 1}
    assert not steps.duplicated(["setting", "algorithm", "split", "hardness", "step"]).any()
    assert np.allclose(arrays_of_steps["accuracy"].mean(1), steps["accuracy"])
    figures.cifar_steps(steps, arrays_of_steps)
    for rows in (rates, controls):
        assert not rows.drop(columns="accuracy_ci95").isna().any().any()
    figures.cifar_rates(rates)
    figures.cifar_controls(controls, arrays)


def test_equal_cost_is_equal_in_the_images_that_are_drawn(held, tmp_path):
    small = {"iterations": 20, "seeds": 1, "filters": 2, "evaluation_tasks": 4}
    rows, arrays = made("scarcity", cifar.Scarcity(p=(0.1, 0.9), **small))
    # Table 2 has cells with these names: apart, neither is refused for the other's length.
    assert {path.name for path in (tmp_path / "cells").iterdir()} == {"scarcity"}
    assert len(rows) == 4 * 2 and arrays["accuracy"].shape == (len(rows), 1)
    per_step = {p: cifar.images_of_a_step(cifar.Cifar(p=p)) for p in (0.1, 0.5, 0.9)}
    for p, own in rows.groupby("p"):
        assert own["images"].nunique() == 1
        assert abs(own["images"].iloc[0] - 20 * per_step[0.5]) <= per_step[p] / 2
        assert (own["images"] == own["iterations"] * per_step[p]).all()
    figures.scarcity(rows, arrays)


@pytest.mark.parametrize("p", [0.0, 0.3, 1.0])
def test_images_of_a_step_are_those_that_are_drawn(pictures, p):
    settings = Cifar(p=p, tasks=4, targets=3, easy_shots=4, hard_shots=2)
    mixture = settings.problem(pictures, split=0).training
    flags, easy, hard = mixture.draw(4000, (0,), "cpu")
    used = [each.support.shape[1] + each.query.shape[1] for each in (easy, hard)]
    drawn = 4 * np.where(flags, used[1], used[0])
    error = 4 * drawn.std() / np.sqrt(4000) + 1e-9
    assert abs(drawn.mean() - cifar.images_of_a_step(settings)) <= error


def test_nal_sees_fifteen_samples_of_a_class_and_maml_its_shots_and_ten(pictures):
    held = dataclasses.replace(pictures, images=torch.zeros(100, 600, 1, 1, 1, dtype=torch.uint8))
    seen = {}
    for algorithm in ("nal", "maml"):
        problem = Cifar(algorithm=algorithm).problem(held, split=0)
        _, *pair = problem.training.draw(1, (0,), "cpu")
        seen[algorithm] = [
            (one.shape.ways, (one.support.shape[1] + one.query.shape[1]) // one.shape.ways)
            for one in pair
        ]
        classes, places = problem.training.easy.groups[0], problem.training.easy.examples
        assert len(classes) == 80 and places.shape[1] == 450
        used = problem.evaluation["train"].easy.examples
        assert used.shape[1] == 150
        for one, other in zip(places.tolist(), used.tolist(), strict=True):
            assert not set(one) & set(other)
        test = problem.evaluation["test"].hard.groups[0]
        assert len(test) == 20 and not set(test) & set(classes)
    assert seen == {"nal": [(2, 15), (20, 15)], "maml": [(2, 60), (20, 15)]}


def test_agreement_is_by_both_intervals():
    ours = TABLE2.head(3).assign(accuracy=[78.0, 12.0, 74.8], accuracy_ci95=[0.1, 1.0, np.nan])
    found = beside(ours, TABLE2)
    assert found["agrees"].tolist() == [True, False, False]
    assert found["paper"].tolist() == TABLE2.head(3)["accuracy"].tolist()


def test_a_live_training_tells_of_every_task_and_ends_where_training_ends(held, capsys):
    small = {**SMALL, "iterations": 30}
    preset = live.Preset((Cifar(**small), Cifar(algorithm="nal", **small)))
    rows = live.watch(preset)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 * 4 and lines[0].startswith("maml  step   25  course easy ")
    course = rows[rows["split"] == "course"]
    assert (course.groupby("algorithm")["tasks"].sum() == 60).all()
    assert sorted(set(course["iteration"])) == [25, 30]
    after = rows[rows["split"] != "course"]
    assert len(after.drop_duplicates(["algorithm", "split", "hardness"])) == len(after) == 8
    whole = training.train(
        [Cell(Cifar(**small), 0)], held, progress=False, dtype=torch.float64
    ).history[0, -1]
    last = course[(course["algorithm"] == "maml") & (course["iteration"] == 30)]
    np.testing.assert_allclose(last["accuracy"], 100 * whole[:, 2] / whole[:, 0], rtol=1e-6)
    figures.live(rows, "cifar100")


def test_a_live_training_is_refused_in_a_sentence(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ValueError, match="no GPU here; choose the preset 'preview'"):
        next(live.live(cifar.PRESETS["full"]))
    with pytest.raises(ValueError, match="every 30 steps; it must be a multiple of 25"):
        live.Preset((), every=30)


def test_settings_are_refused_before_any_training():
    with pytest.raises(ValueError, match=r"p is 2\.0; a probability lies between 0 and 1"):
        cifar.Scarcity(p=(0.5, 2.0))
    with pytest.raises(ValueError, match="tasks is 1; a spread needs at least 2"):
        omniglot.Dispersion(tasks=1)


def test_example_tasks_are_of_training_classes(held):
    tasks = cifar.example_tasks(held, shown=3)
    assert [len(tasks[name]) for name in ("easy", "hard")] == [2, 20]
    assert next(iter(tasks["hard"].values())).shape == (1, 32, 32, 3)
    test = {
        name for name, group in zip(held.classes, held.groups, strict=True)
        if group in ("aquatic_mammals", "insects", "medium_mammals", "people")
    }  # fmt: skip
    assert not test & set(tasks["hard"])
    figures.tasks(**tasks)
