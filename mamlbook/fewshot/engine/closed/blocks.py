"""The blocks of the network, taken apart: what each keeps, and the steps that the passes share.

Sizes: G groups, n images of a group, m = n h w pixels of a group, C filters. What convolutions
take is (G n, C, h, w), channels-last in memory, and its `rows` (G, m, C) are a view. Batch norm of
z within a group, with s = (variance + eps)^-1/2 and h = (z - mean) s, has
    h_dot = s P z_dot,   d_z = s P d_h,   P u = u - mean(u) - h mean(u h).
All are sums of a few tensors (G, m, C), each with a coefficient (G, 1, C), and are made as such:
on any machine it is the passes over memory that take the time.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from math import prod
from typing import Any

import torch
import torch.nn.functional as F

from mamlbook.fewshot.engine.closed.folding import Fold
from mamlbook.fewshot.engine.network import EPSILON, Network

TOGETHER = 5  # images whose first block a CPU pools together
Statistics = list[tuple[torch.Tensor, torch.Tensor]]  # mean and variance (G, C) of each block


def gate(d: torch.Tensor, output: torch.Tensor, slope: float) -> torch.Tensor:
    """d, in place, times the activation's slope where it gave `output`."""
    return torch.ops.aten.leaky_relu_backward.grad_input(d, output, slope, True, grad_input=d)


@dataclass
class Block:
    """What a block keeps: its input x (centered columns in the first), its output, and between
    them the mean of z and s, (G, 1, C), and h (G, m, C) or, where batch norm is the library's own,
    z; `where` (G n, C, h', w') each maximum was. For tangents, after the backward pass, also d_y
    and d_z, as z, d_scale and d_shift, as s. The library's mean and s of one group are (C,)."""

    x: Any  # a tensor, or what `Gemm.lay` makes of it
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
        if self.z is None:
            return self.h
        return blend(-self.mean * self.s, (self.s, self.rows(self.z)))

    def rows(self, images: torch.Tensor) -> torch.Tensor:
        """(G n, C, h, w) as (G, m, C)."""
        return images.permute(0, 2, 3, 1).reshape(self.shape[0], -1, self.shape[4])

    def images(self, rows: torch.Tensor) -> torch.Tensor:
        """(G, m, C) as (G n, C, h, w)."""
        return rows.view(-1, *self.shape[2:]).permute(0, 3, 1, 2)


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
            (
                each.mean.reshape(each.shape[0], -1),
                (each.s**-2 - EPSILON).reshape(each.shape[0], -1),
            )
            for each in self.blocks
        ]


def first(
    block: Block,
    weights: torch.Tensor,
    scale: torch.Tensor,
    shift: torch.Tensor,
    pooled: bool,
    given: tuple[torch.Tensor, torch.Tensor] | None,
) -> torch.Tensor:
    """The first block up to its activation (G n, C, h, w); its patches are centered in place.

    weights: (G, C, k); scale, shift: (G, C), or (1, C) for all groups.
    """
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
    factor = affine(weights, expand(shift, len(weights)))
    if not pooled:
        return block.images(torch.bmm(block.x.mT, factor))
    maxima, where = [], []
    for group, _, x in _pieces(block):
        high, low = pool(block.images(torch.bmm(x.mT, factor[group])))
        maxima.append(high)
        where.append(low)
    block.where = torch.cat(where)
    return torch.cat(maxima)


def affine(weights: torch.Tensor, shift: torch.Tensor) -> torch.Tensor:
    """(G, k + 1, C): weights (G, C, k) and shift (G, C) as one factor of the patches."""
    return torch.cat((weights, shift[:, :, None]), 2).mT


def first_backward(block: Block, d_y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """A (G, C, k) of the first block and d_shift (G, C), of the derivative d_y
    (G n, C, h, w), pooled or not."""
    if block.where is None:
        total = torch.bmm(block.x, block.rows(d_y))
    else:
        total = d_y.new_zeros(block.shape[0], block.x.shape[1], block.shape[4])
        for group, images, x in _pieces(block):
            d = unpool(d_y[images], block.where[images], block.shape)
            d = d.permute(0, 2, 3, 1).reshape(len(x), -1, block.shape[4])
            total[group].baddbmm_(x, d)
    return total[:, :-1].mT, total[:, -1]


def _pieces(block: Block) -> Iterator[tuple[slice, slice, torch.Tensor]]:
    """Which groups and images, and their patches: on a CPU those of a few images of one group,
    which stay in its cache, else all at once."""
    groups, images, *side = block.shape[:4]
    if block.x.device.type != "cpu":
        yield slice(None), slice(None), block.x
        return
    for group in range(groups):
        for start in range(0, images, TOGETHER):
            stop = min(start + TOGETHER, images)
            x = block.x[group : group + 1, :, start * prod(side) : stop * prod(side)]
            first = group * images
            yield slice(group, group + 1), slice(first + start, first + stop), x


def normalised(
    block: Block,
    z: torch.Tensor,
    scale: torch.Tensor,
    shift: torch.Tensor,
    fused: bool,
    given: tuple[torch.Tensor, torch.Tensor] | None,
) -> torch.Tensor:
    """scale h + shift of z (G n, C, h, w); scale and shift are (G, C), or (1, C) for all groups."""
    if fused and given is None:
        block.z = z
        y, block.mean, block.s = torch.native_batch_norm(
            z, scale[0], shift[0], None, None, True, 0.0, EPSILON
        )
        return y
    z = block.rows(z)
    if given is not None:
        mean, variance = given
        gain = scale * (variance + EPSILON).rsqrt()
        return block.images(z * gain[:, None] + (shift - gain * mean)[:, None])
    block.h, block.mean, block.s = (_in_two if z.device.type == "cpu" else _in_one)(z)
    return block.images(blend(shift[:, None], (scale[:, None], block.h)))


def _in_two(z: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """h (G, m, C), mean and s (G, 1, C) of z (G, m, C), with a pass for the mean."""
    mean = z.mean(1, keepdim=True)
    centered = z - mean
    s = (centered.square().mean(1, keepdim=True) + EPSILON).rsqrt()
    return centered.mul_(s), mean, s


def _in_one(z: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The same in fewer passes over memory, which saves a GPU's time; a CPU's is in the sums."""
    variance, mean = torch.var_mean(z, 1, correction=0, keepdim=True)
    s = (variance + EPSILON).rsqrt()
    return blend(-mean * s, (s, z)), mean, s


def normalised_backward(
    block: Block, d_y: torch.Tensor, scale: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """d_z (G n, C, h, w), d_scale and d_shift, as s, of d_y (G n, C, h, w)."""
    if block.z is not None:
        return _fused_backward(d_y, block.z, scale[0], block.mean, block.s, EPSILON)
    d_y = block.rows(d_y)
    d_shift, d_scale = sums(d_y, block.h)
    gain = block.s * scale[:, None]
    less = gain / -d_y.shape[1]
    d_z = blend(less * d_shift, (gain, d_y), (less * d_scale, block.h))
    return block.images(d_z), d_scale, d_shift


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
    part = matched(part, groups)
    return part if len(part) == groups else part.expand(groups, *part.shape[1:])


def matched(part: torch.Tensor, groups: int) -> torch.Tensor:
    """(W, ...) to (G, ...), or as it is if all groups share it: what G groups broadcast with."""
    if len(part) in (1, groups):
        return part
    return part.repeat_interleave(groups // len(part), 0)


def collect(part: torch.Tensor, groups: int, sets: int) -> torch.Tensor:
    """(G, ...) to (sets, size): the sum over the groups of each set."""
    if groups == sets:
        return part.reshape(sets, -1)
    return part.reshape(sets, groups // sets, -1).sum(1)


def head_gradient(
    network: Network, d_bias: torch.Tensor, d_head: torch.Tensor, sets: int
) -> list[torch.Tensor]:
    """The head's part of a gradient, bias first, by set; d_bias (G, ways), d_head (G, ways,
    features). Outputs that the task has no use for get zeros."""
    rest, groups = network.outputs - d_bias.shape[1], len(d_bias)
    if rest:
        d_bias, d_head = F.pad(d_bias, (0, rest)), F.pad(d_head, (0, 0, 0, rest))
    return [collect(each, groups, sets) for each in (d_bias, d_head)]


def features(network: Network, x: torch.Tensor, groups: int) -> torch.Tensor:
    """What the head sees (G, n, features) of the last block's output (G n, C, h, w)."""
    x = x.mean((2, 3)) if network.downsampling == "strided" else x.permute(0, 2, 3, 1)
    return x.reshape(groups, -1, network.features)


def spread(network: Network, d_features: torch.Tensor, last: torch.Tensor) -> torch.Tensor:
    """Adjoint of `features`: d_features (G, n, features) to the last block's output, `last`."""
    images, filters, *side = last.shape
    if network.downsampling == "pooled":
        return d_features.view(images, *side, filters).permute(0, 3, 1, 2)
    d_features = (d_features / prod(side)).view(images, filters, 1, 1)
    return d_features.expand(last.shape).contiguous(memory_format=torch.channels_last)


def pool(y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """2 x 2 maxima of (images, C, h, w), and where they were: indices into h * w."""
    return F.max_pool2d(y, 2, return_indices=True)


def unpool(d: torch.Tensor, where: torch.Tensor, shape: tuple[int, ...]) -> torch.Tensor:
    """Adjoint of `take`: d (images, C, h', w') at the maxima's places, zero elsewhere."""
    like = d.new_empty(len(d), *shape[2:]).permute(0, 3, 1, 2)
    return torch.ops.aten.max_pool2d_with_indices_backward.default(
        d, like, [2, 2], [2, 2], [0, 0], [1, 1], False, where
    )


def take(y: torch.Tensor, where: torch.Tensor) -> torch.Tensor:
    """The values of y (G n, C, h, w) where the maxima were, (G n, C, h', w')."""
    pixels = y.permute(0, 2, 3, 1).flatten(1, 2)
    places = where.permute(0, 2, 3, 1)
    found = pixels.gather(1, places.flatten(1, 2))
    return found.view(places.shape).permute(0, 3, 1, 2)
