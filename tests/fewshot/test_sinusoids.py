"""Sinusoids: the law of the tasks, gradients of tasks side by side, a study from start to end."""

import math
from itertools import islice

import numpy as np
import pytest
import torch
from torch.func import grad, vmap

from mamlbook import figures
from mamlbook.experiments import sinusoids as study
from mamlbook.fewshot.data import sinusoids
from mamlbook.fewshot.engine import algorithms
from mamlbook.fewshot.engine.algorithms import side_by_side
from mamlbook.records import Record

RATE = 0.01


def test_tasks_have_the_law_of_finn_et_al():
    generator = torch.Generator().manual_seed(0)
    waves = sinusoids.draw(200_000, generator, torch.float64)
    laws = {
        "amplitudes": (waves.amplitudes, 0.1, 5.0),
        "phases": (waves.phases, 0.0, math.pi),
        "inputs": (waves.examples(1, generator)[0].flatten(), -5.0, 5.0),
    }
    for name, (values, low, high) in laws.items():
        error = (high - low) / math.sqrt(12 * len(values))
        assert abs(values.mean() - (low + high) / 2) < 4 * error, name
        assert values.var() == pytest.approx((high - low) ** 2 / 12, rel=0.01), name
        assert low <= values.min() < low + 0.001 and high - 0.001 < values.max() <= high, name
    together = torch.corrcoef(torch.stack([values for values, _, _ in laws.values()]))
    assert (together - torch.eye(3)).abs().max() < 0.01


def test_an_output_is_that_of_its_wave():
    waves = sinusoids.Waves(torch.tensor([2.0, 3.0]), torch.tensor([0.0, 1.0]))
    x, y = waves.examples(4, torch.Generator().manual_seed(0))
    assert x.shape == y.shape == (4, 2, 1)
    assert torch.allclose(y[:, 0], 2 * torch.sin(x[:, 0]))
    assert torch.allclose(y[:, 1], 3 * torch.sin(x[:, 1] - 1))


def test_the_best_function_without_adaptation_is_the_mean_of_the_tasks():
    waves = sinusoids.draw(400_000, torch.Generator().manual_seed(0), torch.float64)
    x = torch.tensor([-4.0, 0.0, 1.3], dtype=torch.float64)
    mean = waves(x[:, None, None].expand(3, len(waves.phases), 1)).mean((1, 2))
    assert torch.allclose(mean, sinusoids.mean(x), atol=0.02)
    nothing = {name: 0 * w for name, w in sinusoids.initial(range(1)).items()}
    cosine = 2.55 * 2 / math.pi * math.sqrt(0.5 + math.sin(10) / 20)
    assert study.distance_from_mean(nothing)[0] == pytest.approx(cosine, rel=2e-3)
    floor = (5**3 - 0.1**3) / 4.9 / 6 - cosine**2
    many = study.error_of_mean(study.Study(test_tasks=20_000))
    assert many == pytest.approx(floor, rel=0.02)


def single(vector, x):
    """One network of the layers 1-40-40-1, from its weights alone: x (n, 1)."""
    h = torch.relu(x @ vector["layer1.weights"] + vector["layer1.bias"])
    h = torch.relu(h @ vector["layer2.weights"] + vector["layer2.bias"])
    return h @ vector["layer3.weights"] + vector["layer3.bias"]


def single_loss(vector, x, y):
    return ((single(vector, x) - y) ** 2).mean()


def maml_loss(vector, support, query):
    slopes = grad(single_loss)(vector, *support)
    return single_loss({n: w - RATE * slopes[n] for n, w in vector.items()}, *query)


def nal_loss(vector, support, query):
    return single_loss(vector, *(torch.cat(pair) for pair in zip(support, query, strict=True)))


@pytest.mark.parametrize(("name", "own"), [("maml", maml_loss), ("nal", nal_loss)])
def test_a_batch_side_by_side_has_the_gradients_of_its_tasks(name, own):
    networks, tasks = 2, 3
    weights = sinusoids.initial(range(networks), torch.float64)
    batch = next(sinusoids.batches((5, 6), tasks, 10, 7, torch.float64))
    algorithm = side_by_side(getattr(algorithms, name)(sinusoids.loss, RATE))
    found = algorithm.gradient(weights, batch)
    per_task = vmap(grad(own), in_dims=(None, 1, 1))
    for network in range(networks):
        mine = slice(network * tasks, (network + 1) * tasks)
        support, query = (tuple(each[:, mine] for each in part) for part in batch[0])
        true = per_task({n: w[network] for n, w in weights.items()}, support, query)
        for part, slopes in true.items():
            error = (found[part][network] - slopes.mean(0)).norm() / slopes.mean(0).norm()
            assert error < 1e-10, part


def test_adaptation_is_gradient_descent_on_each_task_alone():
    weights = sinusoids.initial(range(2), torch.float64)
    generator = torch.Generator().manual_seed(3)
    waves = sinusoids.draw(3, generator, torch.float64)
    support, query = (waves.examples(n, generator) for n in (10, 20))
    found = study.course_of_errors(weights, support, query, RATE, 2)
    assert found.shape == (3, 2)
    for network in range(2):
        true = np.zeros(3)
        for task in range(3):
            vector = {n: w[network] for n, w in weights.items()}
            for step in range(3):
                x, y = (each[:, task] for each in query)
                true[step] += single_loss(vector, x, y).item() / 3
                slopes = grad(single_loss)(vector, *(each[:, task] for each in support))
                vector = {n: w - RATE * slopes[n] for n, w in vector.items()}
        np.testing.assert_allclose(found[:, network], true, rtol=1e-12)


def test_a_diverging_error_is_infinite():
    weights = sinusoids.initial(range(1))
    tasks = sinusoids.draw(2, torch.Generator().manual_seed(0))
    examples = tasks.examples(10, torch.Generator().manual_seed(1))
    found = study.course_of_errors(weights, examples, examples, 1e6, 10)
    assert np.isfinite(found[0]).all() and (found[-1] == np.inf).all()


def test_a_seeds_network_does_not_depend_on_its_neighbours():
    short = study.Study(iterations=5, tasks=3)
    both = study.train("maml", 1e-2, short, range(2))
    again = study.train("maml", 1e-2, short, range(2))
    alone = study.train("maml", 1e-2, short, range(1))
    for name, w in both.items():
        assert torch.equal(w, again[name])
        assert torch.allclose(w[:1], alone[name], rtol=1e-4, atol=1e-6)
        assert not torch.allclose(w[:1], w[1:], atol=1e-3)
    drawn = islice(sinusoids.batches((0,), 2, 3, 3), 2)
    first, second = (support[0] for ((support, _),) in drawn)
    assert not torch.equal(first, second)


SMALL = study.Study(
    iterations=60, seeds=2, tasks=5, outer_rates=(1e-3, 1e-2), inner_rates=(0.005, 0.01, 30.0),
    test_tasks=10,
)  # fmt: skip


def test_a_study_searches_for_both_methods_and_is_drawn():
    rows, arrays = study.sinusoids(SMALL)
    columns = "algorithm outer_rate inner_rate split step seed error"
    assert list(rows.columns) == columns.split()
    assert not rows.isna().any().any()
    test = rows[rows["split"] == "test"]
    assert set(test["algorithm"]) == {"none", "nal", "maml"}
    for name in ("nal", "maml"):
        tried = rows[(rows["split"] == "validation") & (rows["algorithm"] == name)]
        assert set(tried["outer_rate"]) == {1e-3, 1e-2}
        assert set(tried["inner_rate"]) == {0.005, 0.01, 30.0}
        last = tried[(tried["step"] == 10) & (tried["inner_rate"] == 0.01)]
        lowest = last.groupby("outer_rate")["error"].mean().idxmin()
        assert set(test.loc[test["algorithm"] == name, "outer_rate"]) == {lowest}
    diverged = rows[rows["inner_rate"] == 30.0]
    assert np.isinf(diverged["error"]).any()
    assert figures.sinusoids(rows, arrays).axes and figures.fits(arrays).axes
    again, others = study.sinusoids(SMALL)
    assert again.equals(rows)
    assert all(np.array_equal(arrays[name], others[name]) for name in arrays)


def test_the_canary_notices_another_algorithm(monkeypatch):
    record = Record("sinusoids", None, {}, {"canary": study.short_runs()})
    assert study.canary(record) is None
    first_order = {**study.ALGORITHMS, "maml": algorithms.first_order_maml}
    monkeypatch.setattr(study, "ALGORITHMS", first_order)
    assert "the error of maml after 100 iterations" in study.canary(record)


def test_ten_steps_go_through_each_other():
    """`adapted` in one call is as many calls of one step."""
    weights = sinusoids.initial(range(2))
    waves = sinusoids.draw(2, torch.Generator().manual_seed(0))
    support = waves.examples(10, torch.Generator().manual_seed(1))
    once = study.adapted(weights, support, RATE, 3)
    for _ in range(3):
        weights = study.adapted(weights, support, RATE)
    for name, w in weights.items():
        assert torch.equal(once[name], w)
