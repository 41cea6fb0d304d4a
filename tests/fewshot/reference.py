"""The package's plain-autograd network on one vector of parameters, and MAML's loss of it."""

import torch
import torch.nn.functional as F

from mamlbook.fewshot.engine.algorithms import NetworkLoss
from mamlbook.fewshot.engine.network import BLOCKS, Network


def logits(network: Network, theta: torch.Tensor, images: torch.Tensor, ways: int) -> torch.Tensor:
    """(n, ways) of images (n, side, side, channels) with parameters (size,)."""
    return NetworkLoss(network).logits(network.named(theta[None]), images, ways)


def loss(network, theta, images, labels):
    ways = int(labels.max()) + 1
    return F.cross_entropy(logits(network, theta, images, ways), labels)


def maml_loss(
    network, theta, support, support_labels, query, query_labels, rate, first=False, frozen=False
):
    """The query loss after one inner step, differentiable through the step unless `first`;
    `frozen`: batch norm's scales and shifts take no part in the step."""
    (gradient,) = torch.autograd.grad(
        loss(network, theta, support, support_labels), theta, create_graph=not first
    )
    if frozen:
        names = ["weights", "scale", "shift"] * BLOCKS + ["head", "bias"]
        moves = [
            torch.full(shape, float(name not in ("scale", "shift"))).flatten()
            for name, shape in zip(names, network.shapes, strict=True)
        ]
        gradient = gradient * torch.cat(moves).to(gradient)
    return loss(network, theta - rate * gradient, query, query_labels)
