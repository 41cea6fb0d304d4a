"""The network's forward pass and its gradient, in closed form.

Both run over groups: images (G, n, side, side, channels) hold one task's images per group,
theta (W, size) holds W sets of parameters, each shared by G / W consecutive groups. Batch norm
normalizes within a group, so tasks never see each other; the first block's is folded into its
weights (folding.py). No autograd is involved. In the names, `d_x` is the derivative of the loss
in x. The derivative of these two passes, the Hessian-vector product, is in curvature.py.
"""

import torch
import torch.nn.functional as F

from mamlbook.errors import InputError
from mamlbook.fewshot.engine.closed.blocks import (
    Block,
    Statistics,
    Tape,
    collect,
    expand,
    first,
    first_backward,
    gate,
    normalised,
    normalised_backward,
    pool,
    spread,
    unpool,
)  # fmt: skip
from mamlbook.fewshot.engine.closed.convolution import Convolution, columns, output_size, suited
from mamlbook.fewshot.engine.network import BLOCKS, Network


def forward(
    network: Network,
    theta: torch.Tensor,
    images: torch.Tensor,
    ways: int,
    *,
    tangents: bool = False,
    statistics: Statistics | None = None,
    convolution: Convolution | None = None,
) -> tuple[torch.Tensor, Tape]:
    """Logits (G, n, ways) of images (G, n, side, side, channels), and the tape.

    `tangents`: keep what `hessian_vector_product` needs. `statistics`: normalize with these, not
    the batch's own, for prediction only. Of the head only the first `ways` outputs exist.
    """
    if ways > network.outputs:
        raise InputError(f"The head has {network.outputs} outputs, too few for {ways} ways.")
    convolution = convolution or suited(theta.device)
    groups, parts = images.shape[0], network.parts(theta)
    tape = Tape(ways, tangents)
    fused = groups == 1 and theta.device.type == "cpu"
    pooled, x = network.downsampling == "pooled", network.standardized(images)
    for index in range(BLOCKS):
        weights, scale, shift = parts[3 * index : 3 * index + 3]
        high = output_size(x.shape[2], network.stride)
        shape = (*x.shape[:2], high, high, network.filters)
        scale, shift = expand(scale, groups), expand(shift, groups)
        given = None if statistics is None else statistics[index]
        if index == 0:
            block = Block(columns(x, network.stride), shape)
            y = first(block, expand(weights, groups), scale, shift, pooled, given)
        else:
            block = Block(x, shape)
            z = convolution.forward(x, weights, network.stride).view(groups, -1, shape[4])
            y = normalised(block, z, scale, shift, fused, given).view(shape)
            if pooled:
                y, block.where = pool(y)
        block.output = x = F.leaky_relu_(y, network.slope)
        tape.blocks.append(block)
    tape.features = x.flatten(2) if pooled else x.mean((2, 3))
    head, bias = (expand(part[:, :ways], groups) for part in parts[-2:])
    return torch.baddbmm(bias[:, None], tape.features, head.mT), tape


def cross_entropy(
    tape: Tape, logits: torch.Tensor, labels: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean cross entropy (G,) and accuracy (G,) of logits (G, n, ways) against labels (n,).

    Leaves the loss's derivative in the logits on the tape.
    """
    logs = logits.log_softmax(2)
    tape.probabilities = logs.exp()
    hot = (labels[:, None] == torch.arange(tape.ways, device=labels.device)).to(logits.dtype)
    tape.d_logits = (tape.probabilities - hot) / len(labels)
    loss = -(logs * hot).sum((1, 2)) / len(labels)
    return loss, (logits.argmax(2) == labels).to(logits.dtype).mean(1)


def backward(
    network: Network,
    theta: torch.Tensor,
    tape: Tape,
    sets: int,
    *,
    convolution: Convolution | None = None,
) -> torch.Tensor:
    """The loss's gradient (sets, size): one for each set of G / sets groups, summed over them."""
    convolution = convolution or suited(theta.device)
    groups, parts = len(tape.features), network.parts(theta)
    d_logits, last = tape.d_logits, tape.blocks[-1].output
    gradient: list[torch.Tensor] = []
    head = expand(parts[-2][:, : tape.ways], groups)
    rest = network.outputs - tape.ways
    d_head = F.pad(torch.bmm(d_logits.mT, tape.features), (0, 0, 0, rest))
    d_bias = F.pad(d_logits.sum(1), (0, rest))
    gradient += [collect(d_bias, sets), collect(d_head, sets)]
    d_x = spread(network, torch.bmm(d_logits, head), last)
    for index in reversed(range(BLOCKS)):
        block, (weights, scale) = tape.blocks[index], parts[3 * index : 3 * index + 2]
        scale = expand(scale, groups)
        d_y = gate(d_x, block.output, network.slope)
        if block.fold is not None:
            a, d_shift = first_backward(block, d_y)
            d_weights, d_scale = block.fold.backward(a)
            d_weights = collect(d_weights, sets)
        else:
            if block.where is not None:
                d_y = unpool(d_y, block.where, block.shape)
            d_y = d_y.flatten(1, 3)
            d_z, d_scale, d_shift = normalised_backward(block, d_y, scale)
            if tape.tangents:
                block.d_y, block.d_z, block.d_scale, block.d_shift = d_y, d_z, d_scale, d_shift
            d_z = d_z.view(block.shape)
            d_weights = convolution.to_weights(block.x, d_z, network.stride, sets)
            d_x = convolution.to_input(d_z, weights, network.stride, block.x.shape)
        gradient += [collect(d_shift, sets), collect(d_scale, sets), d_weights]
    return network.joined(gradient[::-1], theta.shape[1])
