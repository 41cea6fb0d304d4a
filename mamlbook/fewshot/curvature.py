"""The Hessian-vector product of the network's loss, in closed form: forward over reverse.

In the names, `x_dot` is the derivative of x along the tangent direction, `d_x` that of the loss
in x, and `d_x_dot` the former of the latter. Groups and sets are as in passes.py.
"""

import torch
import torch.nn.functional as F

from mamlbook.fewshot.blocks import (
    Tape,
    affine,
    collect,
    expand,
    first_backward,
    gate,
    project,
    spread,
    take,
    unpool,
)
from mamlbook.fewshot.convolution import Convolution, suited
from mamlbook.fewshot.network import BLOCKS, Network


def hessian_vector(
    network: Network,
    theta: torch.Tensor,
    tape: Tape,
    direction: torch.Tensor,
    sets: int,
    *,
    convolution: Convolution | None = None,
) -> torch.Tensor:
    """The loss's Hessian times `direction` (G, size), a direction for each group.

    Returns (sets, size), summed over the groups of a set. The tape must have been kept with
    `tangents` and walked by `backward`. This is the derivative of that walk: forward over reverse.
    """
    convolution = convolution or suited(theta.device)
    groups, parts, dots = len(tape.features), network.parts(theta), network.parts(direction)
    stride, filters = network.stride, network.filters
    x_dot, kept = None, []
    for index, block in enumerate(tape.blocks):
        weights, scale = parts[3 * index : 3 * index + 2]
        weights_dot, scale_dot, shift_dot = dots[3 * index : 3 * index + 3]
        if block.fold is not None:
            folded_dot, fold_dots = block.fold.tangent(weights_dot, scale_dot)
            y_dot = torch.bmm(block.x.mT, affine(folded_dot, shift_dot))
            kept.append((None, None, fold_dots))
        else:
            z_dot = convolution.forward(block.x, weights_dot, stride)
            z_dot += convolution.forward(x_dot, weights, stride)
            z_dot = z_dot.view(groups, -1, filters)
            h_dot, slant = project(z_dot, block.h)
            h_dot = block.s * h_dot
            s_dot = -(block.s**2) * slant
            scale = expand(scale, groups)[:, None]
            y_dot = scale * h_dot + scale_dot[:, None] * block.h + shift_dot[:, None]
            kept.append((x_dot, h_dot, s_dot))
        y_dot = y_dot.view(block.shape)
        if block.where is not None:
            y_dot = take(y_dot, block.where)
        x_dot = gate(y_dot, block.output, network.slope)
    features_dot = x_dot.mean((2, 3)) if network.downsampling == "strided" else x_dot.flatten(2)

    head, head_dot = expand(parts[-2][:, : tape.ways], groups), dots[-2][:, : tape.ways]
    logits_dot = torch.baddbmm(dots[-1][:, None, : tape.ways], features_dot, head.mT)
    logits_dot += torch.bmm(tape.features, head_dot.mT)
    p, d_logits = tape.probabilities, tape.d_logits
    d_logits_dot = p * (logits_dot - (p * logits_dot).sum(2, keepdim=True)) / p.shape[1]
    rest = network.outputs - tape.ways
    d_head_dot = torch.bmm(d_logits_dot.mT, tape.features) + torch.bmm(d_logits.mT, features_dot)
    result = [
        collect(F.pad(d_logits_dot.sum(1), (0, rest)), sets),
        collect(F.pad(d_head_dot, (0, 0, 0, rest)), sets),
    ]
    d_features_dot = torch.bmm(d_logits_dot, head) + torch.bmm(d_logits, head_dot)
    d_x_dot = spread(network, d_features_dot, tape.blocks[-1].output)
    for index in reversed(range(BLOCKS)):
        block, (weights, scale) = tape.blocks[index], parts[3 * index : 3 * index + 2]
        weights_dot, scale_dot = dots[3 * index : 3 * index + 2]
        x_dot, h_dot, s_dot = kept[index]
        d_y_dot = gate(d_x_dot, block.output, network.slope)
        if block.fold is not None:
            a_dot, d_shift_dot = first_backward(block, d_y_dot)
            d_weights_dot, d_scale_dot = block.fold.backward_tangent(s_dot, a_dot)
            d_weights_dot = collect(d_weights_dot, sets)
        else:
            if block.where is not None:
                d_y_dot = unpool(d_y_dot, block.where, block.shape)
            d_y_dot = d_y_dot.flatten(1, 3)
            d_shift_dot = d_y_dot.sum(1)
            d_scale_dot = (d_y_dot * block.h + block.d_y * h_dot).sum(1)
            scale = expand(scale, groups)[:, None]
            d_h = scale * block.d_y
            d_h_dot = scale_dot[:, None] * block.d_y + scale * d_y_dot
            u_dot, _ = project(d_h_dot, block.h)
            u_dot -= h_dot * (d_h * block.h).mean(1, keepdim=True)
            u_dot -= block.h * (d_h * h_dot).mean(1, keepdim=True)
            d_z = (block.s * block.u).view(block.shape)
            d_z_dot = (s_dot * block.u + block.s * u_dot).view(block.shape)
            d_weights_dot = convolution.to_weights(block.x, d_z_dot, stride, sets)
            d_weights_dot += convolution.to_weights(x_dot, d_z, stride, sets)
            d_x_dot = convolution.to_input(d_z_dot, weights, stride, x_dot.shape)
            d_x_dot += convolution.to_input(d_z, weights_dot, stride, x_dot.shape)
        result += [collect(d_shift_dot, sets), collect(d_scale_dot, sets), d_weights_dot]
    return torch.cat([part.flatten(1) for part in reversed(result)], 1)
