"""The blocks of the network, taken apart: what each keeps, and the steps that the passes share.

Sizes: G groups, n images of a group, m = n h w pixels of a group, C filters. Batch norm of z
within a group, with s = (variance + eps)^-1/2 and h = (z - mean) s, has
    h_dot = s P z_dot,   d_z = s P d_h,   P u = u - mean(u) - h mean(u h).
All are sums of a few tensors (G, m, C), each with a coefficient (G, 1, C), and are made as such:
on any machine it is the passes over memory that take the time.
"""

from dataclasses import dataclass, field

import torch
import torch.nn.functional as F

from mamlbook.fewshot.engine.closed.folding import Fold
from mamlbook.fewshot.engine.network import EPSILON, Network

Statistics = list[tuple[torch.Tensor, torch.Tensor]]  # mean and variance (G, C) of each block


def gate(d: torch.Tensor, output: torch.Tensor, slope: float) -> torch.Tensor:
    """d, in place, times the activation's slope where it gave `output`."""
    return torch.ops.aten.leaky_relu_backward.grad_input(d, output, slope, True, grad_input=d)


@dataclass
class Block:
    """What a block keeps: its input x (centred columns in the first), its output, and between
    them the mean of z and s, (G, 1, C), and h or, where batch norm is the library's own, z, both
    (G, m, C); `where` (G, n, h', w', C) each maximum was. For tangents, after the backward
    pass, also d_y and d_z (G, m, C), d_scale and d_shift (G, C)."""

    x: torch.Tensor
    shape: tuple[int, ...]  # of the convolution's output (G, n, h, w, C)
    output: torch.Tensor | None = None
    mean: torch.Tensor | None = None
    s: torch.Tensor | None = None
    h: torch.Tensor | None = None
    z: torch.Tensor | None = None
    fold: Fold | None = None
    where: torch.Tensor | None = None
    d_y: torch.Tensor | None = None
    d_z: torch.Tensor | None = None
    d_scale: torch.Tensor | None = None
    d_shift: torch.Tensor | None = None

    def normal(self) -> torch.Tensor:
        """h, also where batch norm was the library's own."""
        return self.h if self.z is None else blend(-self.mean * self.s, (self.s, self.z))


@dataclass
class Tape:
    """A forward pass of `ways` logits, to be walked backwards."""

    ways: int
    tangents: bool
    blocks: list[Block] = field(default_factory=list)
    features: torch.Tensor | None = None
    probabilities: torch.Tensor | None = None
    d_logits: torch.Tensor | None = None

    def statistics(self) -> Statistics:
        """Mean and variance of each block's convolution, by group."""
        return [
            (block.mean.flatten(1), (block.s**-2 - EPSILON).flatten(1)) for block in self.blocks
        ]


def first(
    block: Block,
    weights: torch.Tensor,
    scale: torch.Tensor,
    shift: torch.Tensor,
    pooled: bool,
    given: tuple[torch.Tensor, torch.Tensor] | None,
) -> torch.Tensor:
    """The first block up to its activation (G, n, h, w, C); its patches are centred in place."""
    patches = block.x[:, :-1]
    centre = patches.mean(2, keepdim=True)
    patches -= centre
    block.mean = torch.bmm(weights, centre).mT
    if given is not None:
        mean, variance = given
        gain = scale * (variance + EPSILON).rsqrt()
        shift = shift + gain * (block.mean[:, 0] - mean)
        weights = gain[:, :, None] * weights
    else:
        block.fold = Fold.of(patches, weights, scale, block.shape[1])
        block.s = block.fold.s.mT
        weights = block.fold.folded
    factor = affine(weights, shift)
    if not pooled:
        return torch.bmm(block.x.mT, factor).view(block.shape)
    maxima, where = [], []
    for x in _pieces(block):
        y = torch.bmm(x.mT, factor).unflatten(1, (-1, *block.shape[2:4]))
        high, low = pool(y)
        maxima.append(high)
        where.append(low)
    block.where = torch.cat(where, 1)
    return torch.cat(maxima, 1)


def affine(weights: torch.Tensor, shift: torch.Tensor) -> torch.Tensor:
    """(G, k + 1, C): weights (G, C, k) and shift (G, C) as one factor of the patches."""
    return torch.cat((weights, shift[:, :, None]), 2).mT


def first_backward(block: Block, d_y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """A (G, C, k) of the first block and d_shift (G, C), from the derivative d_y
    (G, n, h, w, C), pooled or not."""
    if block.where is None:
        total = torch.bmm(block.x, d_y.flatten(1, 3))
    else:
        total = d_y.new_zeros(())
        step = _together(block)
        for d, where, x in zip(
            d_y.split(step, 1), block.where.split(step, 1), _pieces(block), strict=True
        ):
            total = total + torch.bmm(x, unpool(d, where, block.shape).flatten(1, 3))
    return total[:, :-1].mT, total[:, -1]


def _pieces(block: Block) -> tuple[torch.Tensor, ...]:
    """The patches of a few images at a time."""
    return block.x.split(_together(block) * block.shape[2] * block.shape[3], 2)


def _together(block: Block) -> int:
    """Images whose first block is pooled together: on a CPU, what stays in its cache."""
    return 5 if block.x.device.type == "cpu" else block.shape[1]


def normalised(
    block: Block,
    z: torch.Tensor,
    scale: torch.Tensor,
    shift: torch.Tensor,
    fused: bool,
    given: tuple[torch.Tensor, torch.Tensor] | None,
) -> torch.Tensor:
    """scale h + shift of z, all (G, m, C)."""
    if given is not None:
        mean, variance = given
        gain = scale * (variance + EPSILON).rsqrt()
        return z * gain[:, None] + (shift - gain * mean)[:, None]
    if fused:
        block.z = z
        y, mean, s = torch.native_batch_norm(
            z[0], scale[0], shift[0], None, None, True, 0.0, EPSILON
        )
        block.mean, block.s = mean[None, None], s[None, None]
        return y[None]
    block.mean = z.mean(1, keepdim=True)
    centred = z - block.mean
    block.s = (centred.square().mean(1, keepdim=True) + EPSILON).rsqrt()
    block.h = centred.mul_(block.s)
    return blend(shift[:, None], (scale[:, None], block.h))


def normalised_backward(
    block: Block, d_y: torch.Tensor, scale: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """d_z (G, m, C), d_scale and d_shift (G, C)."""
    if block.z is not None:
        d_z, d_scale, d_shift = _fused_backward(
            d_y[0], block.z[0], scale[0], block.mean[0, 0], block.s[0, 0], EPSILON
        )
        return d_z[None], d_scale[None], d_shift[None]
    d_shift, d_scale = sums(d_y, block.h)
    gain, m = block.s * scale[:, None], d_y.shape[1]
    d_z = blend(-gain * d_shift / m, (gain, d_y), (-gain * d_scale / m, block.h))
    return d_z, d_scale[:, 0], d_shift[:, 0]


@torch.jit.script_if_tracing  # as in convolution.py
def _fused_backward(
    d_y: torch.Tensor,
    z: torch.Tensor,
    scale: torch.Tensor,
    mean: torch.Tensor,
    s: torch.Tensor,
    epsilon: float,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    return torch.ops.aten.native_batch_norm_backward(
        d_y, z, scale, None, None, mean, s, True, epsilon, [True, True, True]
    )


def sums(u: torch.Tensor, h: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The sums of u and of u h over m, (G, 1, C), for u and h (G, m, C)."""
    return u.sum(1, keepdim=True), (u * h).sum(1, keepdim=True)


def blend(constant: torch.Tensor, *terms: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
    """constant + the sum of coefficient * tensor over the terms; coefficients (G, 1, C)."""
    (coefficient, tensor), *rest = terms
    total = torch.addcmul(constant, coefficient, tensor)
    for coefficient, tensor in rest:
        total.addcmul_(coefficient, tensor)
    return total


def expand(part: torch.Tensor, groups: int) -> torch.Tensor:
    """(W, ...) to (G, ...): each set of parameters for all the groups that share it."""
    return part if len(part) == groups else part.repeat_interleave(groups // len(part), 0)


def collect(part: torch.Tensor, sets: int) -> torch.Tensor:
    """(G, ...) to (sets, ...): the sum over the groups of each set."""
    return part if len(part) == sets else part.unflatten(0, (sets, -1)).sum(1)


def spread(network: Network, d_features: torch.Tensor, last: torch.Tensor) -> torch.Tensor:
    """The features' derivative to that of the last block's output (G, n, h, w, C)."""
    if network.downsampling == "pooled":
        return d_features.view(last.shape)
    area = last.shape[2] * last.shape[3]
    return (d_features / area)[:, :, None, None].expand(last.shape).contiguous()


def pool(y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """2 x 2 maxima of (G, n, h, w, C), and where they were: indices into h * w."""
    maxima, where = F.max_pool2d(_images(y), 2, return_indices=True)
    return tuple(
        each.permute(0, 2, 3, 1).contiguous().unflatten(0, y.shape[:2]) for each in (maxima, where)
    )


def unpool(d: torch.Tensor, where: torch.Tensor, shape: tuple[int, ...]) -> torch.Tensor:
    """Adjoint of `take`: d (G, n, h', w', C) at the maxima's places, zero elsewhere."""
    like = d.new_empty(d.shape[0] * d.shape[1], *shape[2:]).permute(0, 3, 1, 2)
    full = torch.ops.aten.max_pool2d_with_indices_backward(
        _images(d), like, [2, 2], [2, 2], [0, 0], [1, 1], False, _images(where)
    )
    return full.permute(0, 2, 3, 1).contiguous().unflatten(0, d.shape[:2])


def take(y: torch.Tensor, where: torch.Tensor) -> torch.Tensor:
    """The values of y (G, n, h, w, C) where the maxima were, (G, n, h', w', C)."""
    return y.flatten(2, 3).gather(2, where.flatten(2, 3)).view(where.shape)


def _images(x: torch.Tensor) -> torch.Tensor:
    """(G, n, h, w, C) as the library wants it: (G n, C, h, w), channels-last in memory."""
    return x.flatten(0, 1).permute(0, 3, 1, 2)
