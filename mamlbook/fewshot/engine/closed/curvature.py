"""The Hessian-vector product of the network's loss, in closed form: forward over reverse.

In the names, `x_dot` is the derivative of x along the tangent direction, `d_x` that of the loss
in x, and `d_x_dot` the former of the latter. Groups and sets are as in passes.py.
"""

from dataclasses import dataclass
from typing import Any

import torch

from mamlbook.fewshot.engine.closed.blocks import (
    Block,
    Tape,
    affine,
    blend,
    collect,
    expand,
    features,
    first_backward,
    gate,
    head_gradient,
    matched,
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
    x_dot: Any = None
    kept: list[
        tuple[torch.Tensor | None, Any]
    ] = []  # of each block its input's tangent, and its own
    for index, block in enumerate(tape.blocks):
        weights, scale = parts[3 * index : 3 * index + 2]
        weights_dot, scale_dot, shift_dot = dots[3 * index : 3 * index + 3]
        if block.fold is not None:
            folded_dot, fold_dots = block.fold.tangent(weights_dot, scale_dot)
            y_dot = block.images(torch.bmm(block.x.mT, affine(folded_dot, shift_dot)))
            kept.append((None, fold_dots))
        else:
            x_dot = convolution.lay(x_dot, stride)
            z_dot = convolution.forward(block.x, weights_dot, stride)
            z_dot += convolution.forward(x_dot, weights, stride)
            normal = Normal.of(block, matched(scale, groups), scale_dot, z_dot)
            y_dot = block.images(normal.forward(shift_dot))
            kept.append((x_dot, normal))
        if block.where is not None:
            y_dot = take(y_dot, block.where)
        x_dot = gate(y_dot, block.output, network.slope)
    features_dot = features(network, x_dot, groups)

    head, head_dot = expand(parts[-2][:, : tape.ways], groups), dots[-2][:, : tape.ways]
    logits_dot = torch.baddbmm(dots[-1][:, None, : tape.ways], features_dot, head.mT)
    logits_dot += torch.bmm(tape.features, head_dot.mT)
    p, d_logits = tape.probabilities, tape.d_logits
    d_logits_dot = p * (logits_dot - (p * logits_dot).sum(2, keepdim=True)) / p.shape[1]
    d_head_dot = torch.bmm(d_logits_dot.mT, tape.features) + torch.bmm(d_logits.mT, features_dot)
    result = head_gradient(network, d_logits_dot.sum(1), d_head_dot, sets)
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
            d_weights_dot = collect(d_weights_dot, groups, sets)
        else:
            if block.where is not None:
                d_y_dot = unpool(d_y_dot, block.where, block.shape)
            d_z_dot, d_scale_dot, d_shift_dot = tangent.backward(d_y_dot)
            d_weights_dot = convolution.to_weights(block.x, d_z_dot, stride, sets)
            d_weights_dot += convolution.to_weights(x_dot, block.d_z, stride, sets)
            d_x_dot = convolution.to_input(d_z_dot, weights, stride, x_dot)
            d_x_dot += convolution.to_input(block.d_z, weights_dot, stride, x_dot)
        result += [collect(each, groups, sets) for each in (d_shift_dot, d_scale_dot)]
        result.append(d_weights_dot.reshape(sets, -1))
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
        """scale, scale_dot: (G, C); z_dot: (G n, C, h, w)."""
        h, z_dot = block.normal(), block.rows(z_dot)
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
        """d_z_dot (G n, C, h, w), d_scale_dot and d_shift_dot (G, 1, C), of d_y_dot.

        d_z_dot = s_dot P d_h + s (P d_h_dot - h_dot mean(d_h h) - h mean(d_h h_dot)), where
        d_h = scale d_y and d_h_dot = scale_dot d_y + scale d_y_dot. With a = s scale_dot -
        s^2 scale sigma and b = -s^2 scale mean(d_y h), and as P z_dot = h_dot / s, that is
        a P d_y + b P z_dot + s scale (P d_y_dot - h mean(d_y h_dot)).
        """
        block, h, s, m = self.block, self.h, self.block.s, self.h.shape[1]
        d_y, d_y_dot = block.rows(block.d_y), block.rows(d_y_dot)
        # Means of d_y, d_y h, d_y z_dot, d_y_dot, d_y_dot h, and of d_y h_dot.
        level, slant = block.d_shift / m, block.d_scale / m
        across = (d_y * self.z_dot).mean(1, keepdim=True)
        d_shift_dot, turned = sums(d_y_dot, h)
        bent = s * (across - self.mu_dot * level - self.sigma * slant)
        d_scale_dot = torch.add(turned, bent, alpha=m)
        gain = s * self.scale
        square = s * gain
        a, b = s * self.scale_dot - square * self.sigma, -square * slant
        d_z_dot = blend(
            -(a * level + b * self.mu_dot + gain * d_shift_dot / m),
            (a, d_y),
            (b, self.z_dot),
            (gain, d_y_dot),
            (-(a * slant + b * self.sigma + gain * d_scale_dot / m), h),
        )
        return block.images(d_z_dot), d_scale_dot, d_shift_dot
