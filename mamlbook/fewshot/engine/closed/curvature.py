"""The Hessian-vector product of the network's loss, in closed form: forward over reverse.

In the names, `x_dot` is the derivative of x along the tangent direction, `d_x` that of the loss
in x, and `d_x_dot` the former of the latter. Groups and sets are as in passes.py.
"""

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F

from mamlbook.fewshot.engine.closed.blocks import (
    Block,
    Tape,
    affine,
    blend,
    collect,
    expand,
    first_backward,
    gate,
    spread,
    sums,
    take,
    unpool,
)
from mamlbook.fewshot.engine.closed.convolution import Convolution, suited
from mamlbook.fewshot.engine.network import BLOCKS, Network


def hessian_vector_product(
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
    stride = network.stride
    x_dot: torch.Tensor | None = None
    kept: list[
        tuple[torch.Tensor | None, Any]
    ] = []  # of each block its input's tangent, and its own
    for index, block in enumerate(tape.blocks):
        weights, scale = parts[3 * index : 3 * index + 2]
        weights_dot, scale_dot, shift_dot = dots[3 * index : 3 * index + 3]
        if block.fold is not None:
            folded_dot, fold_dots = block.fold.tangent(weights_dot, scale_dot)
            y_dot = torch.bmm(block.x.mT, affine(folded_dot, shift_dot))
            kept.append((None, fold_dots))
        else:
            z_dot = convolution.forward(block.x, weights_dot, stride)
            z_dot += convolution.forward(x_dot, weights, stride)
            normal = Normal.of(block, expand(scale, groups), scale_dot, z_dot)
            y_dot = normal.forward(shift_dot)
            kept.append((x_dot, normal))
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
        block, weights = tape.blocks[index], parts[3 * index]
        weights_dot = dots[3 * index]
        x_dot, tangent = kept[index]
        d_y_dot = gate(d_x_dot, block.output, network.slope)
        if block.fold is not None:
            a_dot, d_shift_dot = first_backward(block, d_y_dot)
            d_weights_dot, d_scale_dot = block.fold.backward_tangent(tangent, a_dot)
            d_weights_dot = collect(d_weights_dot, sets)
        else:
            if block.where is not None:
                d_y_dot = unpool(d_y_dot, block.where, block.shape)
            d_z_dot, d_scale_dot, d_shift_dot = tangent.backward(d_y_dot.flatten(1, 3))
            d_z, d_z_dot = block.d_z.view(block.shape), d_z_dot.view(block.shape)
            d_weights_dot = convolution.to_weights(block.x, d_z_dot, stride, sets)
            d_weights_dot += convolution.to_weights(x_dot, d_z, stride, sets)
            d_x_dot = convolution.to_input(d_z_dot, weights, stride, x_dot.shape)
            d_x_dot += convolution.to_input(d_z, weights_dot, stride, x_dot.shape)
        result += [collect(d_shift_dot, sets), collect(d_scale_dot, sets), d_weights_dot]
    return network.joined(result[::-1], theta.shape[1])


@dataclass
class Normal:
    """The tangent of a block's batch norm y = scale h + shift, along scale_dot and z_dot.

    With the means mu_dot of z_dot, sigma of z_dot h:
        h_dot = s (z_dot - mu_dot - sigma h),   s_dot = -s^2 sigma.
    h, z_dot: (G, m, C); the rest (G, 1, C).
    """

    block: Block
    h: torch.Tensor
    scale: torch.Tensor
    scale_dot: torch.Tensor
    z_dot: torch.Tensor
    mu_dot: torch.Tensor
    sigma: torch.Tensor

    @classmethod
    def of(
        cls, block: Block, scale: torch.Tensor, scale_dot: torch.Tensor, z_dot: torch.Tensor
    ) -> "Normal":
        """scale, scale_dot: (G, C); z_dot: (G, n, h, w, C)."""
        h, z_dot = block.normal(), z_dot.flatten(1, 3)
        level, slant = (total / h.shape[1] for total in sums(z_dot, h))
        return cls(block, h, scale[:, None], scale_dot[:, None], z_dot, level, slant)

    def forward(self, shift_dot: torch.Tensor) -> torch.Tensor:
        """y_dot = scale h_dot + scale_dot h + shift_dot."""
        gain = self.scale * self.block.s
        return blend(
            shift_dot[:, None] - gain * self.mu_dot,
            (gain, self.z_dot),
            (self.scale_dot - gain * self.sigma, self.h),
        )

    def backward(self, d_y_dot: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """d_z_dot (G, m, C), d_scale_dot and d_shift_dot (G, C).

        d_z_dot = s_dot P d_h + s (P d_h_dot - h_dot mean(d_h h) - h mean(d_h h_dot)), where
        d_h = scale d_y and d_h_dot = scale_dot d_y + scale d_y_dot.
        """
        block, h, s, m = self.block, self.h, self.block.s, self.h.shape[1]
        scale, scale_dot, sigma = self.scale, self.scale_dot, self.sigma
        # Means of d_y, d_y h, d_y z_dot, d_y_dot, d_y_dot h, and of d_y h_dot.
        level, slant = block.d_shift[:, None] / m, block.d_scale[:, None] / m
        across = (block.d_y * self.z_dot).mean(1, keepdim=True)
        d_shift_dot, turned = sums(d_y_dot, h)
        level_dot, slant_dot = d_shift_dot / m, turned / m
        bent = s * (across - self.mu_dot * level - sigma * slant)
        gain = s * scale
        d_z_dot = blend(
            gain * (s * (sigma * level + slant * self.mu_dot) - level_dot) - s * scale_dot * level,
            (s * scale_dot - s * gain * sigma, block.d_y),
            (gain, d_y_dot),
            (-s * gain * slant, self.z_dot),
            (gain * (2 * s * sigma * slant - slant_dot - bent) - s * scale_dot * slant, h),
        )
        return d_z_dot, (turned + m * bent)[:, 0], d_shift_dot[:, 0]
