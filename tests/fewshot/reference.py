"""The same network and learners in plain PyTorch, one task at a time, by (double) backward."""

import torch
import torch.nn.functional as F

from mamlbook.fewshot.network import BLOCKS, EPSILON, Network


def logits(network: Network, theta: torch.Tensor, images: torch.Tensor, ways: int) -> torch.Tensor:
    """(n, ways) of images (n, side, side, channels) with parameters (size,)."""
    parts = [part[0] for part in network.parts(theta[None])]
    if network.mean:
        images = (images - images.new_tensor(network.mean)) / images.new_tensor(network.std)
    x = images.permute(0, 3, 1, 2)
    for block in range(BLOCKS):
        weights, scale, shift = parts[3 * block : 3 * block + 3]
        kernel = weights.reshape(network.filters, 3, 3, -1).permute(0, 3, 1, 2)
        z = F.conv2d(x, kernel, stride=network.stride, padding=1)
        mean = z.mean((0, 2, 3), keepdim=True)
        variance = ((z - mean) ** 2).mean((0, 2, 3), keepdim=True)
        h = (z - mean) / torch.sqrt(variance + EPSILON)
        y = h * scale[:, None, None] + shift[:, None, None]
        x = F.leaky_relu(y, network.slope)
        if network.downsampling == "pooled":
            x = F.max_pool2d(x, 2)
    if network.downsampling == "strided":
        features = x.mean((2, 3))
    else:
        features = x.permute(0, 2, 3, 1).flatten(1)
    return features @ parts[-2][:ways].T + parts[-1][:ways]


def loss(network, theta, images, labels):
    ways = int(labels.max()) + 1
    return F.cross_entropy(logits(network, theta, images, ways), labels)


def maml_loss(
    network, theta, support, support_labels, target, target_labels, rate, first=False, frozen=False
):
    """The target loss after one inner step, differentiable through the step unless `first`;
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
    return loss(network, theta - rate * gradient, target, target_labels)
