"""Recorded operations give the bits of the operations where they are written."""

import gc
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from mamlbook.fewshot.engine import learners, recorded
from mamlbook.fewshot.engine.learners import Learner
from tests.fewshot.test_gradients import ALGORITHMS, NETWORKS, case

LEARNERS = [
    *(Learner(algorithm) for algorithm in ALGORITHMS),
    Learner("maml", inner_steps=3),
    *(Learner("maml", adapted=part) for part in ("weights", "head", "body")),
]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("learner", LEARNERS)
@pytest.mark.parametrize("network", NETWORKS)
def test_a_recorded_gradient_has_the_same_bits(network, learner, dtype, monkeypatch):
    """For other parameters and tasks than those it was recorded with, in two threads."""
    monkeypatch.setattr(recorded, "PATIENCE", 0)
    theta, images, episodes = case(network, 6, count=2)
    each = [(theta[row : row + 1].to(dtype), episodes[[0, 1 + row]]) for row in range(6)]
    gradients = recorded.Gradients(learner, network, images)
    with ThreadPoolExecutor(2) as team:
        found = list(team.map(lambda one: gradients(*one), each))
    (kept,) = gradients.idle.values()
    assert 1 <= len(kept) <= 2
    for one, (weights, tasks) in zip(found, each, strict=True):
        true = learners.outer_gradient(learner, network, weights, images, tasks)
        for name in ("gradient", "loss", "accuracy"):
            assert torch.equal(getattr(one, name), getattr(true, name)), name
    assert len({one.loss.sum().item() for one in found}) == 6


def test_only_what_is_called_often_is_recorded():
    theta, images, episodes = case(NETWORKS[0], 1)
    gradients = recorded.Gradients(Learner("nal"), NETWORKS[0], images)
    for call in range(recorded.PATIENCE + 2):
        gradients(theta, episodes)
        assert any(gradients.idle.values()) == (call >= recorded.PATIENCE)
    gradients(theta, episodes[:2])
    assert len(gradients.idle) == 1


# Each takes the tensors so far, (3, 4) all of them, and two numbers that say which it uses, and
# returns a new one or changes one of them.
OPERATIONS = [
    lambda t, i, j: t[i] + t[j],
    lambda t, i, j: t[i].mul_(1.5),
    lambda t, i, j: t[i].add_(t[j].sum(0)),
    lambda t, i, j: t[i].clone(),
    lambda t, i, j: t[i].mT.reshape(3, 4),
    lambda t, i, j: torch.cat((t[i][:1], t[j][1:])),
    lambda t, i, j: torch.stack(t[i].unbind(1)[::-1], 1),
    lambda t, i, j: F.conv2d(t[i].view(1, 1, 3, 4), t[j][:, :3].view(1, 1, 3, 3), padding=1)[0, 0],
    lambda t, i, j: t[i].flip(0)[:, :2].repeat(1, 2),
    lambda t, i, j: t[i].new_zeros(3, 4).index_copy_(0, torch.tensor([i % 3]), t[j][:1]),
    lambda t, i, j: torch.ones(3, 4).add_(t[i]),
    lambda t, i, j: F.pad(t[i][:, 1:3], (1, 1)),
    lambda t, i, j: t[i] * (torch.arange(4) == j % 4),
    lambda t, i, j: torch.where(t[i] > 0, t[j], -t[i]),
    lambda t, i, j: t[i].view(12)[::2].view(3, 2).expand(2, 3, 2).permute(1, 0, 2).reshape(3, 4),
    lambda t, i, j: F.leaky_relu_(t[i], 0.1),
    lambda t, i, j: torch.max(t[i], 1, keepdim=True)[0].expand(3, 4),
    lambda t, i, j: t[i].sort(1)[0].sigmoid(),
    lambda t, i, j: t[i][1:].zero_() if t[i].is_contiguous() else t[i].sin(),
]
PROGRAM = st.lists(
    st.tuples(st.sampled_from(range(len(OPERATIONS))), st.integers(0, 30), st.integers(0, 30)),
    min_size=1,
    max_size=25,
)


@given(PROGRAM, st.integers(0, 2**31))
def test_a_recorded_program_has_the_same_bits(program, seed):
    """Whatever is written where, viewed, kept or dropped: for other inputs, and twice the same."""

    def run(x, y):
        made = [x, y]
        for operation, i, j in program:
            chosen = OPERATIONS[operation](made, i % len(made), j % len(made))
            if chosen.shape == (3, 4):
                # What is written to is not expanded, and no input is changed.
                made.append(chosen * 1 if chosen.stride() in ((1, 0), (0, 1)) else chosen)
        return made[-1], made[len(made) // 2] * 2

    generator = torch.Generator().manual_seed(seed)
    first, second, third = torch.randn(3, 2, 3, 4, generator=generator)
    recording = recorded.Recording(lambda x, y: run(x * 1, y * 1), *first)
    gc.collect()
    for pair in (second, third, second, first):
        before = pair.clone()
        for one, true in zip(recording(*pair), run(*pair.clone()), strict=True):
            assert torch.equal(one, true)
        assert torch.equal(pair, before)
