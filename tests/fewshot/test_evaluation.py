import dataclasses

import numpy as np
import pandas as pd
import pytest
import torch

from mamlbook.fewshot.data import images, tasks
from mamlbook.fewshot.engine import learners
from mamlbook.fewshot.engine.closed import passes
from mamlbook.fewshot.settings import Cell, Cifar, Omniglot, Seeds, split_alphabets
from mamlbook.fewshot.training import evaluation
from mamlbook.intervals import half_width
from tests.fewshot import reference
from tests.fewshot.run_to_be_killed import SETTINGS

CELL = Cell(SETTINGS, 0)


@pytest.fixture(scope="module")
def theta():
    return SETTINGS.network.initial(5)


def test_accuracy_is_that_of_a_plain_network(characters):
    """K steps by autograd, then the share of query images whose largest logit is the right one."""
    network = dataclasses.replace(SETTINGS.network, filters=8)
    theta = network.initial(2)
    mixture = SETTINGS.problem(characters, 0).training
    _, easy, _ = mixture.draw(12, (0,), "cpu")
    flat = characters.images.flatten(0, 1)
    found = evaluation.accuracies(learners.Learner("maml"), network, theta, flat, easy, 2)
    for row in range(12):
        x, y = (
            learners.inputs(flat, each[row : row + 1], theta.dtype)[0]
            for each in (easy.support, easy.query)
        )
        own = theta[0]
        for _ in range(2):
            own = own.detach().requires_grad_()
            loss = reference.loss(network, own, x, tasks.labels(5, 1))
            own = own - 0.1 * torch.autograd.grad(loss, own)[0]
        guessed = reference.logits(network, own.detach(), y, 5).argmax(1)
        right = (guessed == tasks.labels(5, 2)).float().mean()
        assert abs(found[row] - right) < 0.11  # one near-tie of ten may fall otherwise
    assert len(found.unique()) > 2


def test_rows_of_a_cell(characters, theta):
    rows = evaluation.evaluate(CELL, theta, characters)
    assert rows[["split", "hardness"]].values.tolist() == [["train", "easy"], ["train", "hard"]]
    assert rows.tasks.sum() == SETTINGS.evaluation_tasks
    assert rows.accuracy.between(10, 100).all() and (rows.accuracy_ci95 > 0).all()
    again = evaluation.evaluate(CELL, theta, characters)
    pd.testing.assert_frame_equal(rows, again)


def test_splits_of_cifar_share_no_image(pictures):
    settings = Cifar(targets=2, filters=4, easy_shots=4, hard_shots=1)
    problem = settings.problem(pictures, 3)
    seen = {}
    mixtures = {"fit": problem.training, **problem.evaluation}
    for name, mixture in mixtures.items():
        _, easy, hard = mixture.draw(400, (1,), "cpu")
        parts = (easy.support, easy.query, hard.support, hard.query)
        seen[name] = set(torch.cat([part.flatten() for part in parts]).tolist())
    classes = {name: {index // 60 for index in held} for name, held in seen.items()}
    assert not seen["fit"] & seen["train"] and classes["fit"] == classes["train"]
    assert len(classes["fit"]) == 80 and len(classes["test"]) == 20
    assert not classes["fit"] & classes["test"]
    per_class = np.bincount([index // 60 for index in seen["fit"]], minlength=100)
    assert per_class.max() <= 45


def test_alphabets_are_split_as_in_the_paper(real_data):
    held = images.load("omniglot")
    alphabets = sorted(set(held.groups))
    for seed in range(3):
        easy, hard = split_alphabets(alphabets, seed)
        sizes = [len(each[name]) for each in (easy, hard) for name in ("train", "test")]
        assert sizes == [25, 15, 5, 5]
        assert sorted([*easy["train"], *easy["test"], *hard["train"], *hard["test"]]) == alphabets
        assert "Sanskrit" in hard["train"] and "Bengali" in hard["test"]
    problem = Omniglot(setting="small").problem(held, 0)
    for mixture, name in ((problem.training, "Sanskrit"), (problem.evaluation["test"], "Bengali")):
        (group,) = mixture.hard.groups
        assert {held.groups[index] for index in group} == {name}
    assert split_alphabets(alphabets, 0) != split_alphabets(alphabets, 1)


def test_the_evaluation_seed_matters(characters, theta, monkeypatch):
    before = evaluation.evaluate(CELL, theta, characters)
    other = dataclasses.replace(Seeds.of(0), evaluation=1)
    monkeypatch.setattr(evaluation.Seeds, "of", classmethod(lambda cls, seed: other))
    assert (evaluation.evaluate(CELL, theta, characters).accuracy != before.accuracy).any()


def test_running_statistics_switch_off_transduction(characters):
    """With fixed statistics a prediction does not depend on what else is predicted."""
    network, theta = SETTINGS.network, SETTINGS.network.initial(5)
    flat = characters.images.flatten(0, 1)
    mixture = SETTINGS.problem(characters, 0).training
    kept = evaluation.running_statistics(
        learners.Learner("maml"), network, theta, flat, mixture, 1, 0, count=10
    )
    assert [tuple(each.shape) for each in kept[0]] == [(1, 4), (1, 4)]
    x = learners.inputs(flat, torch.arange(0, 400, 20)[None], theta.dtype)
    for given, same in ((kept, True), (None, False)):
        whole, _ = passes.forward(network, theta, x, 5, statistics=given)
        half, _ = passes.forward(network, theta, x[:, :7], 5, statistics=given)
        assert torch.allclose(whole[:, :7], half, atol=1e-5) == same
    rows = evaluation.evaluate(CELL, theta, characters, statistics="running")
    assert (rows.statistics == "running").all()
    with pytest.raises(ValueError, match="'batch' or 'running'"):
        evaluation.evaluate(CELL, theta, characters, statistics="both")


@pytest.mark.parametrize("steps", [0, 2])
def test_running_statistics_are_means_over_adapted_tasks(characters, steps):
    """Of the easy tasks and of the hard ones, in double precision."""
    learner, network = SETTINGS.learner, SETTINGS.network
    theta = network.initial(5).double()
    flat = characters.images.flatten(0, 1)
    mixture = SETTINGS.problem(characters, 0).training
    flags, easy, hard = mixture.draw(6, (4,), "cpu")
    measured = []
    for place, kind in enumerate(flags):
        task = (easy, hard)[int(kind)][torch.tensor([place])]
        weights = learners.adapt(learner, network, theta, flat, task, steps)
        x = learners.inputs(flat, task.query, theta.dtype)
        _, tape = passes.forward(network, weights, x, 5)
        measured.append([torch.stack(block)[:, 0] for block in tape.statistics()])
    assert 0 < flags.sum() < 6
    found = evaluation.running_statistics(learner, network, theta, flat, mixture, steps, 4, count=6)
    for block, *each in zip(found, *measured, strict=True):
        torch.testing.assert_close(torch.stack(block)[:, 0], torch.stack(each).mean(0))


def test_given_statistics_that_are_the_batchs_change_nothing():
    network = SETTINGS.network
    theta = network.initial(0).double()
    x = torch.rand(1, 10, 28, 28, 1).double()
    own, tape = passes.forward(network, theta, x, 5)
    given, _ = passes.forward(network, theta, x, 5, statistics=tape.statistics())
    torch.testing.assert_close(own, given, rtol=1e-9, atol=1e-9)


def test_a_table_keeps_seeds_and_tasks_apart(characters, theta):
    rows = pd.concat(
        [
            evaluation.evaluate(Cell(SETTINGS, seed), SETTINGS.network.initial(seed), characters)
            for seed in range(3)
        ]
    )
    table = evaluation.summarise(rows)
    assert list(table.columns[:10]) == evaluation.TABLE and (table.seeds == 3).all()
    easy = rows[rows.hardness == "easy"]
    first = table[table.hardness == "easy"].iloc[0]
    assert np.isclose(first.accuracy, easy.accuracy.mean())
    assert np.isclose(first.accuracy_ci95, half_width(easy.accuracy))
    assert np.isclose(first.accuracy_ci95_tasks, np.sqrt((easy.accuracy_ci95**2).sum()) / 3)


def test_each_alphabet_is_followed_through_adaptation(characters, theta):
    rows = evaluation.by_group(CELL, theta, characters, count=12, steps=2)
    assert set(rows.group) == {*characters.groups, "distinct"}
    assert (rows[rows.group == "distinct"].hardness == "easy").all()
    assert rows.groupby("group").step.apply(list).map(lambda steps: steps == [0, 1, 2]).all()
    mean = rows.groupby("step").loss.mean()
    assert mean[0] > mean[1] > mean[2]


def test_the_course_of_an_alphabet_is_in_percent_and_its_interval_over_tasks(
    characters, theta, monkeypatch
):
    right = torch.tensor([[0.2, 0.5], [0.4, 1.0], [0.6, 0.6]])
    monkeypatch.setattr(evaluation, "descent", lambda *_: (3 * right, right))
    rows = evaluation.by_group(CELL, theta, characters, count=3)
    for step, own in rows.groupby("step"):
        values = right[:, step].numpy()
        assert np.allclose(own.accuracy, 100 * values.mean())
        assert np.allclose(own.accuracy_ci95, 100 * half_width(values))
        assert np.allclose(own.loss, 3 * values.mean())
        assert np.allclose(own.loss_ci95, 3 * half_width(values))


def test_descent_is_adaptation_step_by_step(characters, theta):
    learner, network = SETTINGS.learner, SETTINGS.network
    _, easy, _ = SETTINGS.problem(characters, 0).training.draw(13, (0,), "cpu")
    flat = characters.images.flatten(0, 1)
    loss, accuracy = evaluation.descent(learner, network, theta, flat, easy, 3)
    assert loss.shape == accuracy.shape == (13, 4)
    for step in range(4):
        whole = evaluation.accuracies(learner, network, theta, flat, easy, step)
        assert (accuracy[:, step] - whole).abs().max() < 0.11  # a near-tie may fall otherwise
        assert (accuracy[:, step] - whole).abs().mean() < 0.02


def test_steps_of_evaluation_are_the_papers():
    assert Omniglot(algorithm="nal-1").adaptation_steps == 1
    assert Cifar(algorithm="nal").adaptation_steps == 5
    assert Cifar(algorithm="maml").adaptation_steps == 1
    assert Cifar(algorithm="nal", steps=1).adaptation_steps == 1
