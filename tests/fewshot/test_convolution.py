"""The convolutions' adjoints, and what a GPU's make few passes of, checked on a CPU."""

import pytest
import torch

from mamlbook.fewshot.engine import learners
from mamlbook.fewshot.engine.closed import blocks, convolution
from mamlbook.fewshot.engine.closed.convolution import Direct, Gemm
from tests.fewshot.test_gradients import NETWORKS, case, error

CASES = [(side, stride) for stride in (1, 2) for side in (2, 3, 4, 7, 14)]


@pytest.mark.parametrize("way", [Direct, Gemm])
@pytest.mark.parametrize("sets", [1, 3])
@pytest.mark.parametrize(("side", "stride"), CASES)
def test_adjoints_are_those_of_the_convolution(side, stride, sets, way):
    """For weights and outputs at random, by autograd."""
    generator = torch.Generator().manual_seed(side)

    def random(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    x, weights = random(6, side, side, 5).permute(0, 3, 1, 2), random(sets, 4, 45)
    high = convolution.output_size(side, stride)
    dy = random(6, high, high, 4).permute(0, 3, 1, 2)
    x.requires_grad_(), weights.requires_grad_()
    y = torch.cat(
        [
            torch.nn.functional.conv2d(
                own, each.view(4, 3, 3, 5).permute(0, 3, 1, 2), None, stride, 1
            )
            for own, each in zip(x.chunk(sets), weights, strict=True)
        ]
    )
    to_x, to_weights = torch.autograd.grad(y, (x, weights), dy)
    x, weights = x.detach(), weights.detach()
    laid = way.lay(x, stride)
    for found, true in (
        (way.forward(laid, weights, stride), y),
        (way.to_input(dy, weights, stride, laid), to_x),
        (way.to_weights(laid, dy, stride, sets), to_weights),
    ):
        assert found.shape == true.shape and error(found, true.detach()) < 1e-14


@pytest.mark.parametrize("network", NETWORKS)
def test_patches_are_laid_out_once(network, monkeypatch):
    """In a step of MAML, of three blocks in three forward passes: of the support images, of the
    query images, and of the tangents."""
    theta, images, episodes = case(network, 2)
    laid = []
    monkeypatch.setattr(
        convolution, "patches", lambda *given, of=convolution.patches: laid.append(1) or of(*given)
    )
    learners.outer_gradient(
        learners.Learner("maml"), network, theta, images, episodes, convolution=Gemm
    )
    assert len(laid) == 3 * 3


def test_moments_in_one_pass_are_those_in_two(monkeypatch):
    z = 3 + torch.randn(4, 50, 7, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for one, two in zip(blocks._in_one(z), blocks._in_two(z), strict=True):
        torch.testing.assert_close(one, two, rtol=1e-12, atol=1e-12)
    theta, images, episodes = case(NETWORKS[0], 2)
    gradients = []
    for way in (blocks._in_two, blocks._in_one):
        monkeypatch.setattr(blocks, "_in_two", way)
        gradients.append(
            learners.outer_gradient(
                learners.Learner("maml"), NETWORKS[0], theta, images, episodes, convolution=Gemm
            ).gradient
        )
    assert error(*gradients) < 1e-10


def test_a_gpu_takes_its_moments_in_one_pass(monkeypatch):
    """On tensors without data, which stand for a GPU's."""
    monkeypatch.setattr(blocks, "_in_two", None)
    block = blocks.Block(None, (2, 3, 1, 1, 4))
    z, scale = torch.empty(6, 4, 1, 1, device="meta"), torch.ones(2, 4, device="meta")
    assert blocks.normalised(block, z, scale, scale, False, None).shape == (6, 4, 1, 1)
