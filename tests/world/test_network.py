"""Stacked networks against one network at a time, and the inner step against plain autograd."""

import pytest
import torch
from torch.nn.functional import conv2d, linear

from mamlbook.world.network import Network, adapted, repeated

KINDS = [Network(), Network(biases=True), Network("convolutional"), Network("convolutional", True)]


def stack(network, count, dtype=torch.float64):
    generator = torch.Generator().manual_seed(0)
    many = [network.initial(generator) for _ in range(count)]
    return [
        (torch.cat(parts) + (0.1 if parts[0].ndim == 2 else 0)).to(dtype)
        for parts in zip(*many, strict=True)
    ]


def alone(network, weights, images):
    """One network on (n, pixels), written with torch's own layers."""
    step = 2 if network.biases else 1
    layers = [weights[i : i + step] for i in range(0, len(weights), step)]
    bias = [layer[1] if network.biases else None for layer in layers]
    x = images
    if network.kind == "convolutional":
        x = x.reshape(len(x), 1, 16, 16)
        x = conv2d(x, layers[0][0], bias[0], stride=2, padding=2).relu()
        x = conv2d(x, layers[1][0], bias[1], stride=2, padding=1).relu().flatten(1)
    else:
        x = linear(x, layers[0][0].T, bias[0]).relu()
        x = linear(x, layers[1][0].T, bias[1]).relu()
    return linear(linear(x, layers[2][0].T, bias[2]), layers[3][0].T, bias[3])[:, 0]


@pytest.mark.parametrize("network", KINDS)
def test_a_stack_is_its_networks(network):
    weights = stack(network, 3)
    x = torch.randn(3, 5, 256, dtype=torch.float64)
    out = network(weights, x)
    for i in range(3):
        assert torch.allclose(out[i], alone(network, [w[i] for w in weights], x[i]))


@pytest.mark.parametrize("network", KINDS)
def test_without_biases_the_output_is_proportional_to_the_ink(network):
    weights = stack(network, 1)
    x = torch.randn(1, 5, 256, dtype=torch.float64)
    proportional = torch.allclose(network(weights, 0.3 * x), 0.3 * network(weights, x))
    assert proportional is not network.biases


@pytest.mark.parametrize("network", KINDS)
@pytest.mark.parametrize("readout", [False, True])
def test_the_inner_step_is_a_gradient_step_of_every_network(network, readout):
    weights = repeated(stack(network, 1), 2)
    x, y = torch.randn(2, 7, 256, dtype=torch.float64), torch.randn(2, 7, dtype=torch.float64)
    offset, rates = torch.randn(2, 7, dtype=torch.float64), torch.tensor([0.1, 0.4]).double()
    kept = network.readout if readout else 0
    moving = [w.requires_grad_() for w in weights]
    moved = adapted(network, moving, x, y, rates, readout=kept, offset=offset)
    for i in range(2):
        own = [w[i].detach().clone().requires_grad_() for w in weights]
        loss = 0.5 * (alone(network, own, x[i]) + offset[i] - y[i]).square().mean()
        loss.backward()
        for place, (w, new) in enumerate(zip(own, moved, strict=True)):
            fixed = readout and place < len(own) - kept
            assert torch.allclose(new[i], w if fixed else w - rates[i] * w.grad)


def test_an_unknown_network_is_refused():
    with pytest.raises(ValueError, match="'recurrent'; it must be dense or convolutional"):
        Network("recurrent")
