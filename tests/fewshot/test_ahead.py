"""What keeps a GPU from waiting, and its devices apart, checked without one."""

from dataclasses import replace
from unittest import mock

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from mamlbook.fewshot import training
from mamlbook.fewshot.data.tasks import Episodes, Family, Shape
from mamlbook.fewshot.engine.grouped import GroupedStep
from mamlbook.fewshot.engine.network import Network
from mamlbook.fewshot.settings import Cifar, Omniglot
from tests.fewshot.test_grouped import CASES, group
from tests.fewshot.test_training import MIXED, SMALL, quietly


class Operations(TorchDispatchMode):
    """The names of the operations that run."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        self.names.add(operation.overloadpacket.__name__)
        return operation(*args, **(kwargs or {}))


@pytest.mark.parametrize("distinct", [True, False])
def test_a_family_is_copied_to_a_device_once(distinct):
    """Drawing again makes no tensor of the host's numbers, and draws the same tasks."""
    family = Family(
        Shape(2, 1, 2), ((0, 1), (2, 3, 4), (5, 6)), distinct, torch.arange(4).expand(7, 4)
    )
    drawn, made = [], []
    for _ in range(2):
        with Operations() as seen:
            drawn.append(family.draw(9, torch.Generator().manual_seed(3), 4))
        made.append(seen.names & {"lift_fresh", "copy_"})
    assert made[0] and not made[1]
    assert torch.equal(drawn[0].support, drawn[1].support)
    assert torch.equal(drawn[0].query, drawn[1].query)


@pytest.mark.parametrize(("images", "settings"), CASES[::3])
def test_the_next_tasks_are_drawn_before_the_device_is_waited_for(
    images, settings, request, monkeypatch
):
    """Reading the losses waits: by then the device has its steps and the host the next tasks."""
    run = training._Run(group(settings), request.getfixturevalue(images), True)
    done = []
    for kind, name in ((GroupedStep, "block"), (run, "_draw"), (run, "_check")):
        monkeypatch.setattr(kind, name, noted(getattr(kind, name), name, done))
    for start in (0, training.BLOCK):
        run.block(start, start + training.BLOCK, None, False)
    assert done == ["_draw", *2 * ["block", "_draw", "_check"]]


def noted(function, name, done):
    def called(*args):
        done.append(name)
        return function(*args)

    return called


@pytest.mark.parametrize("settings", [Omniglot(), Omniglot(configuration="text"), Cifar()])
def test_every_weight_of_a_group_is_aligned(settings):
    """In the vector that the grouped step trains, each matrix begins at 16 bytes in float32."""
    network = settings.network
    theta = network.aligned(torch.zeros(3, network.size))
    for part in network.parts(theta):
        if part.ndim == 3:
            assert {each.storage_offset() % 4 for each in part} == {0}
    assert {each.storage_offset() % 4 for each in theta} == {0}


@pytest.mark.parametrize(("images", "settings"), CASES[1::2])
def test_alignment_changes_no_result(images, settings, request, monkeypatch):
    """Nor what a checkpoint holds: the padding stays zero and out of it."""
    images, cells = request.getfixturevalue(images), group(replace(settings, filters=5))
    assert cells[0].settings.network.size % 4
    aligned = quietly(cells, images, grouped=True, dtype=torch.float64)
    monkeypatch.setattr(Network, "aligned", lambda self, theta: theta)
    plain = quietly(cells, images, grouped=True, dtype=torch.float64)
    assert aligned.state.keys() == plain.state.keys()
    for name, tensor in plain.state.items():
        torch.testing.assert_close(aligned.state[name], tensor, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(("images", "settings"), [("characters", SMALL), ("pictures", MIXED)])
def test_singly_all_tensors_are_on_the_device(images, settings, request):
    """Of tensors without data, which stand for a GPU's: one of the host's raises an error."""
    run = training._Run(group(settings)[:1], request.getfixturevalue(images), False)
    flags, *both = run.problems[0].training.draw(6, (0, 0), "cpu")
    assert 0 < flags.sum() < len(flags)  # of both kinds
    both = [Episodes(each.shape, each.support.to("meta"), each.query.to("meta")) for each in both]
    own = run.optimiser
    own.theta, own.rates, own.count = (
        each.to("meta") for each in (own.theta, own.rates, own.count)
    )
    own.moments = [moment.to("meta") for moment in own.moments]
    run.images, history = run.images.to("meta"), run.history[:, 0].to("meta")
    run._singly([(flags, *both)], history, mock.Mock(map=map))
    assert run.gradient.is_meta
