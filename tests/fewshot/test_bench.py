"""What `make bench` counts and times on a GPU, as far as a CPU can tell."""

import dataclasses

import pytest

from benchmarks import gpu
from mamlbook.experiments import cifar, omniglot
from mamlbook.experiments.cells import cells
from mamlbook.fewshot.data.tasks import Shape
from mamlbook.fewshot.settings import Cifar, Omniglot
from mamlbook.fewshot.training import alike


def test_the_tables_train_in_five_groups():
    of_1 = alike(cells(omniglot.variants(), omniglot.Table1()))
    of_2 = alike(cells(cifar.variants(), cifar.Table2()))
    assert [len(group) for group in of_1] == [10, 10, 10]
    assert [len(group) for group in of_2] == [15, 15]


@pytest.mark.parametrize(
    ("settings", "shape", "inputs"),
    [
        (Omniglot(algorithm="nal-1"), Shape(5, 1, 10), 1),
        (Cifar(algorithm="nal"), Shape(2, 5, 10), 3),
    ],
)
def test_flops_are_those_of_the_convolutions(settings, shape, inputs):
    """Forward and to the weights, nine taps each, and to the input, sixteen with those that are
    zero, 2 to a product; the first block has the covariance of its patches instead of the last,
    and a shift beside its weights."""
    side = (settings.network.side + 1) // 2
    products = side**2 * (2 * (9 * inputs + 1) * 64 + (9 * inputs) ** 2)
    for _ in range(3):
        side = (side + 1) // 2
        products += side**2 * (2 * 9 + 16) * 64 * 64
    images = shape.ways * (shape.shots + shape.queries)
    assert 1 < gpu.flops(settings, shape) / (2 * products * images) < 1.002


def test_exact_maml_costs_what_its_passes_do():
    """Three passes over the query sets; over the support sets nine, two of them with the inputs'
    covariance for company."""
    nal, first, exact = (
        gpu.flops(Omniglot(algorithm=name), Shape(5, 1, 10))
        for name in ("nal-1", "maml-first", "maml")
    )
    assert first == pytest.approx(nal, rel=1e-3)
    assert (exact - first) / first == pytest.approx(6 * 5 / (3 * 55), rel=0.05)


def test_the_time_of_a_group_is_measured_without_a_gpu_too():
    budget = dataclasses.replace(omniglot.Table1(), seeds=1, filters=2, iterations=25)
    variants = [dataclasses.replace(each, tasks=2) for each in omniglot.variants()[:2]]
    (group,) = alike(cells(variants, budget))
    seconds, flops = gpu.measure(group, gpu.characters(), 1)
    assert seconds > 0
    assert flops == 2 * 2 * gpu.flops(group[0].settings, Shape(5, 1, 10))
