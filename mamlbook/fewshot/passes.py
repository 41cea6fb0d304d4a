"""The network's forward pass, its gradient, and its Hessian-vector product, in closed form.

All three run over groups: images (G, n, side, side, channels) hold one task's images per group,
theta (W, size) holds W sets of parameters, each shared by G / W consecutive groups. Batch norm
normalises within a group, so tasks never see each other. No autograd is involved; in the names,
`d_x` is the derivative of the loss in x and `x_dot` that of x along the tangent direction.

Batch norm of z, with s = (variance + eps)^-1/2 and h = (z - mean) s over a group:
    h_dot = s P z_dot,   d_z = s P d_h,   P u = u - mean(u) - h mean(u h).
The first block's batch norm is folded into its weights (folding.py).
"""

from dataclasses import dataclass, field

import torch
import torch.nn.functional as F

from mamlbook.fewshot.convolution import Convolution, outer, patches, suited
from mamlbook.fewshot.folding import Fold
from mamlbook.fewshot.network import BLOCKS, EPSILON, Network

Statistics = list[tuple[torch.Tensor, torch.Tensor]]  # mean and variance (G, C) of each block
_gate = torch.ops.aten.leaky_relu_backward


@dataclass
class Block:
    """What a block keeps: its input x (centred patches in the first), its output, and between
    them s (G, 1, C), h (G, m, C) or, where batch norm is the library's own, z and its mean;
    `where` each maximum was. After the backward pass also d_y and u = P d_h (G, m, C)."""

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
    u: torch.Tensor | None = None


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

    `tangents`: keep what `hessian_vector` needs. `statistics`: normalise with these instead of
    the batch's own, for prediction only. Of the head only the first `ways` outputs exist.
    """
    if ways > network.outputs:
        raise ValueError(f"The head has {network.outputs} outputs, too few for {ways} ways.")
    convolution = convolution or suited(theta.device)
    groups, parts = images.shape[0], network.parts(theta)
    tape = Tape(ways, tangents)
    fused = groups == 1 and theta.device.type == "cpu" and not tangents
    x = images
    for index in range(BLOCKS):
        weights, scale, shift = parts[3 * index : 3 * index + 3]
        high = outer(x.shape[2], network.stride)
        shape = (*x.shape[:2], high, high, network.filters)
        scale, shift = _expand(scale, groups), _expand(shift, groups)
        given = None if statistics is None else statistics[index]
        if index == 0:
            block = Block(patches(x, network.stride), shape)
            y = _folded(block, _expand(weights, groups), scale, shift, given)
        else:
            block = Block(x, shape)
            z = convolution.forward(x, weights, network.stride).view(groups, -1, shape[4])
            y = _normalised(block, z, scale, shift, fused, given)
        y = y.view(shape)
        if network.downsampling == "pooled":
            y, block.where = _pool(y)
        block.output = x = F.leaky_relu(y, network.slope)
        tape.blocks.append(block)
    tape.features = x.mean((2, 3)) if network.downsampling == "strided" else x.flatten(2)
    head, bias = (_expand(part[:, :ways], groups) for part in parts[-2:])
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
    head = _expand(parts[-2][:, : tape.ways], groups)
    rest = network.outputs - tape.ways
    d_head = F.pad(torch.bmm(d_logits.mT, tape.features), (0, 0, 0, rest))
    d_bias = F.pad(d_logits.sum(1), (0, rest))
    gradient += [_collect(d_bias, sets), _collect(d_head, sets)]
    d_x = _spread(network, torch.bmm(d_logits, head), last)
    for index in reversed(range(BLOCKS)):
        block, (weights, scale) = tape.blocks[index], parts[3 * index : 3 * index + 2]
        scale = _expand(scale, groups)
        d_y = _gate(d_x, block.output, network.slope, True)
        if block.where is not None:
            d_y = _unpool(d_y, block)
        d_y = d_y.reshape(groups, -1, network.filters)
        if block.fold is not None:
            d_shift = d_y.sum(1)
            d_weights, d_scale = block.fold.backward(_outer(d_y, block.x))
            d_weights = _collect(d_weights, sets)
        else:
            d_z, d_scale, d_shift = _normalised_backward(block, d_y, scale)
            d_weights = convolution.to_weights(block.x, d_z, network.stride, sets)
            d_x = convolution.to_input(d_z, weights, network.stride, block.x.shape)
        if tape.tangents:
            block.d_y = d_y
        gradient += [_collect(d_shift, sets), _collect(d_scale, sets), d_weights]
    return torch.cat([part.flatten(1) for part in reversed(gradient)], 1)


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
            y_dot = torch.baddbmm(shift_dot[:, None], block.x, folded_dot.mT)
            kept.append((None, None, fold_dots))
        else:
            z_dot = convolution.forward(block.x, weights_dot, stride)
            z_dot += convolution.forward(x_dot, weights, stride)
            z_dot = z_dot.view(groups, -1, filters)
            h_dot, slant = _project(z_dot, block.h)
            h_dot = block.s * h_dot
            s_dot = -(block.s**2) * slant
            scale = _expand(scale, groups)[:, None]
            y_dot = scale * h_dot + scale_dot[:, None] * block.h + shift_dot[:, None]
            kept.append((x_dot, h_dot, s_dot))
        y_dot = y_dot.view(block.shape)
        if block.where is not None:
            y_dot = _take(y_dot, block)
        x_dot = _gate(y_dot, block.output, network.slope, True)
    features_dot = x_dot.mean((2, 3)) if network.downsampling == "strided" else x_dot.flatten(2)

    head, head_dot = _expand(parts[-2][:, : tape.ways], groups), dots[-2][:, : tape.ways]
    logits_dot = torch.baddbmm(dots[-1][:, None, : tape.ways], features_dot, head.mT)
    logits_dot += torch.bmm(tape.features, head_dot.mT)
    p, d_logits = tape.probabilities, tape.d_logits
    d_logits_dot = p * (logits_dot - (p * logits_dot).sum(2, keepdim=True)) / p.shape[1]
    rest = network.outputs - tape.ways
    d_head_dot = torch.bmm(d_logits_dot.mT, tape.features) + torch.bmm(d_logits.mT, features_dot)
    product = [
        _collect(F.pad(d_logits_dot.sum(1), (0, rest)), sets),
        _collect(F.pad(d_head_dot, (0, 0, 0, rest)), sets),
    ]
    d_features_dot = torch.bmm(d_logits_dot, head) + torch.bmm(d_logits, head_dot)
    d_x_dot = _spread(network, d_features_dot, tape.blocks[-1].output)
    for index in reversed(range(BLOCKS)):
        block, (weights, scale) = tape.blocks[index], parts[3 * index : 3 * index + 2]
        weights_dot, scale_dot = dots[3 * index : 3 * index + 2]
        x_dot, h_dot, s_dot = kept[index]
        d_y_dot = _gate(d_x_dot, block.output, network.slope, True)
        if block.where is not None:
            d_y_dot = _unpool(d_y_dot, block)
        d_y_dot = d_y_dot.reshape(groups, -1, filters)
        if block.fold is not None:
            a_dot = _outer(d_y_dot, block.x)
            d_weights_dot, d_scale_dot = block.fold.backward_tangent(s_dot, a_dot)
            d_weights_dot = _collect(d_weights_dot, sets)
        else:
            d_scale_dot = (d_y_dot * block.h + block.d_y * h_dot).sum(1)
            scale = _expand(scale, groups)[:, None]
            d_h = scale * block.d_y
            d_h_dot = scale_dot[:, None] * block.d_y + scale * d_y_dot
            u_dot, _ = _project(d_h_dot, block.h)
            u_dot -= h_dot * (d_h * block.h).mean(1, keepdim=True)
            u_dot -= block.h * (d_h * h_dot).mean(1, keepdim=True)
            d_z = (block.s * block.u).view(block.shape)
            d_z_dot = (s_dot * block.u + block.s * u_dot).view(block.shape)
            d_weights_dot = convolution.to_weights(block.x, d_z_dot, stride, sets)
            d_weights_dot += convolution.to_weights(x_dot, d_z, stride, sets)
            d_x_dot = convolution.to_input(d_z_dot, weights, stride, x_dot.shape)
            d_x_dot += convolution.to_input(d_z, weights_dot, stride, x_dot.shape)
        product += [_collect(d_y_dot.sum(1), sets), _collect(d_scale_dot, sets), d_weights_dot]
    return torch.cat([part.flatten(1) for part in reversed(product)], 1)


def _folded(
    block: Block,
    weights: torch.Tensor,
    scale: torch.Tensor,
    shift: torch.Tensor,
    given: tuple[torch.Tensor, torch.Tensor] | None,
) -> torch.Tensor:
    """The first block up to its activation, (G, m, C); its patches are centred in place."""
    centre = block.x.mean(1, keepdim=True)
    block.x = block.x.sub_(centre)
    block.mean = torch.bmm(centre, weights.mT)
    if given is not None:
        mean, variance = given
        gain = scale * (variance + EPSILON).rsqrt()
        shift = shift + gain * (block.mean[:, 0] - mean)
        return torch.baddbmm(shift[:, None], block.x, (gain[:, :, None] * weights).mT)
    block.fold = Fold.of(block.x, weights, scale)
    block.s = block.fold.s.mT
    return torch.baddbmm(shift[:, None], block.x, block.fold.folded.mT)


def _normalised(
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
    return torch.addcmul(shift[:, None], block.h, scale[:, None])


def _normalised_backward(
    block: Block, d_y: torch.Tensor, scale: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """d_z (G, n, h, w, C), d_scale and d_shift (G, C)."""
    if block.z is not None:
        d_z, d_scale, d_shift = torch.ops.aten.native_batch_norm_backward(
            d_y[0], block.z[0], scale[0], None, None, block.mean[0, 0], block.s[0, 0],
            True, EPSILON, [True, True, True],
        )  # fmt: skip
        return d_z.view(block.shape), d_scale[None], d_shift[None]
    block.u, _ = _project(scale[:, None] * d_y, block.h)
    d_scale = (d_y * block.h).sum(1)
    return (block.s * block.u).view(block.shape), d_scale, d_y.sum(1)


def _project(u: torch.Tensor, h: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """P u = u - mean(u) - h mean(u h) over m of (G, m, C), and mean(u h)."""
    slant = (u * h).mean(1, keepdim=True)
    return u - u.mean(1, keepdim=True) - h * slant, slant


def _outer(d_y: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """d_y' x; as a product the other way round it takes a CPU a fifteenth of the time."""
    return torch.bmm(x.mT, d_y).mT


def _expand(part: torch.Tensor, groups: int) -> torch.Tensor:
    """(W, ...) to (G, ...): each set of parameters for all the groups that share it."""
    return part if len(part) == groups else part.repeat_interleave(groups // len(part), 0)


def _collect(part: torch.Tensor, sets: int) -> torch.Tensor:
    """(G, ...) to (sets, ...): the sum over the groups of each set."""
    return part if len(part) == sets else part.unflatten(0, (sets, -1)).sum(1)


def _spread(network: Network, d_features: torch.Tensor, last: torch.Tensor) -> torch.Tensor:
    """The features' derivative to that of the last block's output (G, n, h, w, C)."""
    if network.downsampling == "pooled":
        return d_features.view(last.shape)
    area = last.shape[2] * last.shape[3]
    return (d_features / area)[:, :, None, None].expand(last.shape).contiguous()


def _pool(y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """2 x 2 maxima of (G, n, h, w, C), and where they were: indices into h * w."""
    maxima, where = F.max_pool2d(y.flatten(0, 1).permute(0, 3, 1, 2), 2, return_indices=True)
    pooled = maxima.permute(0, 2, 3, 1).contiguous().unflatten(0, y.shape[:2])
    return pooled, where.permute(0, 2, 3, 1).contiguous().flatten(1, 2)


def _unpool(d: torch.Tensor, block: Block) -> torch.Tensor:
    """Adjoint of `_take`."""
    groups, count, high, wide, filters = block.shape
    full = d.new_zeros(groups * count, high * wide, filters)
    full.scatter_(1, block.where, d.reshape(groups * count, -1, filters))
    return full.view(block.shape)


def _take(y: torch.Tensor, block: Block) -> torch.Tensor:
    """The values of y where the maxima were, in the shape of the block's output."""
    flat = y.flatten(0, 1).flatten(1, 2)
    return flat.gather(1, block.where).view(block.output.shape)
