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
    features,
    first,
    first_backward,
    gate,
    head_gradient,
    matched,
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
        raise InputError(
            f"The head has {network.outputs} outputs, too few for {ways} ways; give at most "
            f"{network.outputs} classes."
        )
    convolution = convolution or suited(theta.device)
    groups, parts = images.shape[0], network.parts(theta)
    tape = Tape(ways, tangents)
    fused = groups == 1 and theta.device.type == "cpu"
    pooled, side = network.downsampling == "pooled", images.shape[2]
    x = columns(network.standardized(images), network.stride)
    for index in range(BLOCKS):
        weights, scale, shift = parts[3 * index : 3 * index + 3]
        scale, shift = matched(scale, groups), matched(shift, groups)
        given = None if statistics is None else statistics[index]
        high = output_size(side, network.stride)
        shape = (*images.shape[:2], high, high, network.filters)
        block = Block(convolution.lay(x, network.stride) if index else x, shape)
        if index == 0:
            y = first(block, expand(weights, groups), scale, shift, pooled, given)
        else:
            z = convolution.forward(block.x, weights, network.stride)
            y = normalised(block, z, scale, shift, fused, given)
            if pooled:
                y, block.where = pool(y)
        block.output = x = F.leaky_relu_(y, network.slope)
        side = x.shape[2]
        tape.blocks.append(block)
    tape.features = features(network, x, groups)
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
    d_head = torch.bmm(d_logits.mT, tape.features)
    gradient += head_gradient(network, d_logits.sum(1), d_head, sets)
    d_x = spread(network, torch.bmm(d_logits, head), last)
    for index in reversed(range(BLOCKS)):
        block, (weights, scale) = tape.blocks[index], parts[3 * index : 3 * index + 2]
        scale = matched(scale, groups)
        d_y = gate(d_x, block.output, network.slope)
        if block.fold is not None:
            a, d_shift = first_backward(block, d_y)
            d_weights, d_scale = block.fold.backward(a)
            d_weights = collect(d_weights, groups, sets)
        else:
            if block.where is not None:
                d_y = unpool(d_y, block.where, block.shape)
            d_z, d_scale, d_shift = normalised_backward(block, d_y, scale)
            if tape.tangents:
                block.d_y, block.d_z, block.d_scale, block.d_shift = d_y, d_z, d_scale, d_shift
            d_weights = convolution.to_weights(block.x, d_z, network.stride, sets)
            d_x = convolution.to_input(d_z, weights, network.stride, block.x)
        gradient += [collect(each, groups, sets) for each in (d_shift, d_scale)]
        gradient.append(d_weights.reshape(sets, -1))
    return network.joined(gradient[::-1], theta.shape[1])
