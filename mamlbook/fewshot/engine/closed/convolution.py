"""3 x 3 convolutions of many groups, each with its own weights, and their two adjoints.

Images are (G, n, height, width, channels). Weights are (W, outputs, 9 * inputs): W divides G,
and G / W consecutive groups share one set of weights. Padding is 1. `Direct` calls oneDNN's
convolution once per set of weights, which is fastest on a CPU but for the smallest images;
`Gemm` is one batched matrix product over all sets at once, which is what a GPU wants.
"""

import torch
import torch.nn.functional as F


def output_size(side: int, stride: int) -> int:
    """Side of the output for an input of side `side`."""
    return (side - 1) // stride + 1


def patches(x: torch.Tensor, stride: int) -> torch.Tensor:
    """The 3 x 3 neighbourhoods of x, (G, n * h' * w', 9 * channels)."""
    padded = F.pad(x, (0, 0, 1, 1, 1, 1))
    windows = padded.unfold(2, 3, stride).unfold(3, 3, stride)  # G, n, h', w', c, 3, 3
    return windows.permute(0, 1, 2, 3, 5, 6, 4).reshape(x.shape[0], -1, 9 * x.shape[-1])


def columns(x: torch.Tensor, stride: int) -> torch.Tensor:
    """`patches` of images of few channels, each a column that ends with a one.

    (G, 9 * channels + 1, n * h' * w'): laid out so, they take half the time, also as a factor.
    """
    padded = F.pad(x, (0, 0, 1, 1, 1, 1))
    windows = padded.unfold(2, 3, stride).unfold(3, 3, stride).permute(0, 5, 6, 4, 1, 2, 3)
    laid = x.new_ones(x.shape[0], 9 * x.shape[-1] + 1, *windows.shape[4:])
    laid[:, :-1].unflatten(1, (3, 3, -1)).copy_(windows)
    return laid.flatten(2)


class Direct:
    """One call of the library's convolution for each set of weights, unless they are so small
    that its fixed costs exceed those of `Gemm`."""

    SMALL, SMALL_TO_WEIGHTS = 100, 400  # output pixels of a set

    @staticmethod
    def forward(x: torch.Tensor, weights: torch.Tensor, stride: int) -> torch.Tensor:
        pixels = x.shape[1] * output_size(x.shape[2], stride) * output_size(x.shape[3], stride)
        if len(x) * pixels <= Direct.SMALL * len(weights):
            return Gemm.forward(x, weights, stride)
        images = _nchw(x, len(weights))
        outputs = [
            F.conv2d(image, kernel, stride=stride, padding=1)
            for image, kernel in zip(images, _kernels(weights), strict=True)
        ]
        return _nhwc(outputs, x.shape[0])

    @staticmethod
    def to_input(
        dy: torch.Tensor, weights: torch.Tensor, stride: int, shape: torch.Size
    ) -> torch.Tensor:
        """Adjoint of `forward` in x, which has the shape `shape`."""
        if dy[..., 0].numel() <= Direct.SMALL * len(weights):
            return Gemm.to_input(dy, weights, stride, shape)
        outputs = []
        for image, kernel in zip(_nchw(dy, len(weights)), _kernels(weights), strict=True):
            like = image.new_empty(len(image), *shape[2:]).permute(0, 3, 1, 2)
            outputs.append(_to_input(image, like, kernel, stride))
        return _nhwc(outputs, shape[0])

    @staticmethod
    def to_weights(x: torch.Tensor, dy: torch.Tensor, stride: int, sets: int) -> torch.Tensor:
        """Adjoint of `forward` in the weights, summed over the groups that share a set."""
        if dy[..., 0].numel() <= Direct.SMALL_TO_WEIGHTS * sets:
            return Gemm.to_weights(x, dy, stride, sets)
        like = x.new_empty(dy.shape[-1], 3, 3, x.shape[-1]).permute(0, 3, 1, 2)
        gradients = [
            _to_weights(out, image, like, stride)
            for image, out in zip(_nchw(x, sets), _nchw(dy, sets), strict=True)
        ]
        return torch.stack([g.permute(0, 2, 3, 1).flatten(1) for g in gradients])


class Gemm:
    """Neighbourhoods laid out as a matrix, then one batched product."""

    @staticmethod
    def forward(x: torch.Tensor, weights: torch.Tensor, stride: int) -> torch.Tensor:
        height, width = output_size(x.shape[2], stride), output_size(x.shape[3], stride)
        rows = patches(x, stride).view(len(weights), -1, weights.shape[2])
        y = torch.bmm(rows, weights.mT)
        return y.view(x.shape[0], x.shape[1], height, width, -1)

    @staticmethod
    def to_input(
        dy: torch.Tensor, weights: torch.Tensor, stride: int, shape: torch.Size
    ) -> torch.Tensor:
        """Adjoint of `forward` in x, which has the shape `shape`."""
        groups, images, high, wide = dy.shape[:4]
        rows = torch.bmm(dy.reshape(len(weights), -1, dy.shape[4]), weights)
        rows = rows.view(groups, images, high, wide, 3, 3, shape[4])
        dx = dy.new_zeros(groups, images, shape[2] + 2, shape[3] + 2, shape[4])
        for i in range(3):
            for j in range(3):
                into = dx[:, :, i : i + stride * high : stride, j : j + stride * wide : stride]
                into += rows[:, :, :, :, i, j]
        return dx[:, :, 1:-1, 1:-1].contiguous()

    @staticmethod
    def to_weights(x: torch.Tensor, dy: torch.Tensor, stride: int, sets: int) -> torch.Tensor:
        """Adjoint of `forward` in the weights, summed over the groups that share a set."""
        rows = patches(x, stride)
        return torch.bmm(dy.reshape(sets, -1, dy.shape[4]).mT, rows.view(sets, -1, rows.shape[2]))


Convolution = type[Direct] | type[Gemm]


def suited(device: torch.device) -> Convolution:
    """The faster way on this device."""
    return Gemm if device.type == "cuda" else Direct


def _nchw(x: torch.Tensor, sets: int) -> tuple[torch.Tensor, ...]:
    """For each set (images, channels, height, width), channels-last in memory."""
    x = x if len(x) == sets else x.reshape(sets, -1, *x.shape[2:])
    return x.permute(0, 1, 4, 2, 3).unbind()


def _nhwc(outputs: list[torch.Tensor], groups: int) -> torch.Tensor:
    merged = outputs[0] if len(outputs) == 1 else torch.cat(outputs)
    return merged.permute(0, 2, 3, 1).contiguous().unflatten(0, (groups, -1))


def _kernels(weights: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """For each set (outputs, inputs, 3, 3), channels-last in memory, of (W, outputs, 9 inputs)."""
    return weights.unflatten(2, (3, 3, -1)).permute(0, 1, 4, 2, 3).unbind()


# The tracer of traced.py cannot record a call that takes a tuple of booleans; it can a script's.
@torch.jit.script_if_tracing
def _to_input(
    dy: torch.Tensor, like: torch.Tensor, kernel: torch.Tensor, stride: int
) -> torch.Tensor:
    return torch.ops.aten.convolution_backward(
        dy, like, kernel, None, [stride, stride], [1, 1], [1, 1],
        False, [0, 0], 1, [True, False, False],
    )[0]  # fmt: skip


@torch.jit.script_if_tracing
def _to_weights(dy: torch.Tensor, x: torch.Tensor, like: torch.Tensor, stride: int) -> torch.Tensor:
    return torch.ops.aten.convolution_backward(
        dy, x, like, None, [stride, stride], [1, 1], [1, 1],
        False, [0, 0], 1, [False, True, False],
    )[1]  # fmt: skip
