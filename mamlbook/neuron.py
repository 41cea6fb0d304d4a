"""One neuron in the plane (Section 4, M = 1, d = 2): losses, one-step adaptation, minimizers.

Task i has inputs x ~ N(0, s_i I) and labels y = sigma(<w_i*, x>). Everything here is made of
losses: objects with `loss`, `gradient` and `hessian`, each taking points w of shape (..., 2). A
population loss, the loss of a sample, a loss after adaptation and a mean of losses are all
losses, so that with f_i the task losses

    NAL  = Mean(f_i),        MAML = Mean(Adapted(inner_i, outer_i, alpha)),

where (inner, outer) is (f_i, f_i) for a full inner step, (f_i of m samples, f_i) for a stochastic
one, and two samples for the empirical objective (P4).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.polynomial.hermite_e import hermegauss

from mamlbook.errors import InputError
from mamlbook.landscape import Loss, SmoothLoss

ORDER = 40  # nodes per axis: see `population` for the accuracy
NEGLIGIBLE = 1e-16  # quadrature nodes of less weight are dropped
BLOCK = 2**14  # floats in one block of activations: larger ones leave the cache, six times slower


def _softplus(z: np.ndarray, order: int) -> list[np.ndarray]:
    e = np.minimum(z, 40.0)  # from where on softplus is z to the last bit
    np.exp(e, out=e)
    one = e + 1.0
    jet = [np.log(one)]
    np.maximum(jet[0], z, out=jet[0])
    if order > 0:
        e /= one
        jet.append(e)
    if order > 1:
        jet.append(e / one)
    return jet


def _sigmoid(z: np.ndarray, order: int) -> list[np.ndarray]:
    # by tanh, which does not overflow and is several times faster than scipy's expit
    jet = _tanh(0.5 * z, order)
    for part, scale in zip(jet, (0.5, 0.25, 0.125), strict=False):
        part *= scale
    jet[0] += 0.5
    return jet


def _tanh(z: np.ndarray, order: int) -> list[np.ndarray]:
    jet = [np.tanh(z)]
    if order > 0:
        slope = jet[0] * jet[0]
        jet.append(np.subtract(1.0, slope, out=slope))
    if order > 1:
        jet.append(-2.0 * jet[0] * slope)
    return jet


def _relu(z: np.ndarray, order: int) -> list[np.ndarray]:
    return [np.maximum(z, 0.0), (z > 0.0).astype(float), np.zeros_like(z)][: order + 1]


# Each activation, as a function of (z, k) that gives its value and its first k <= 2 derivatives at
# z. The second derivative of ReLU is zero almost everywhere, which is right for samples only: its
# population loss is `ArcCosine`.
ACTIVATIONS: dict[str, Callable[[np.ndarray, int], list[np.ndarray]]] = {
    "softplus": _softplus,
    "sigmoid": _sigmoid,
    "tanh": _tanh,
    "relu": _relu,
}
# Odd but for a constant: residuals at x and -x are opposite, so half the nodes of a symmetric rule
# do, which `gauss_hermite` lists so that the mirror image of the first is the last.
ODD = ("sigmoid", "tanh")


@dataclass(frozen=True)
class Task:
    """A ground-truth neuron and the variance of its inputs (smaller variance, harder task)."""

    optimum: tuple[float, float]
    variance: float = 1.0

    def __post_init__(self) -> None:
        if len(self.optimum) != 2 or not np.all(np.isfinite(self.optimum)):
            raise InputError(f"optimum must be two finite numbers, not {self.optimum}.")
        if not 0.0 < self.variance < np.inf:
            raise InputError(f"variance must be positive and finite, not {self.variance}.")


@dataclass(frozen=True)
class Points:
    """f(w) = 1/2 sum_j p_j (sigma(<w, x_j>) - y_j)^2: a sample (p_j = 1/m) or a quadrature.

    `x` is (q, 2), `y` and `p` are (q,); `activation` names an entry of ACTIVATIONS.
    """

    x: np.ndarray
    y: np.ndarray
    p: np.ndarray
    activation: str

    def loss(self, w: np.ndarray) -> np.ndarray:
        """f at w."""

        def block(w: np.ndarray) -> np.ndarray:
            (residual,) = self._activation(w, 0)
            residual -= self.y
            residual *= residual
            return residual @ (0.5 * self.p)

        return self._in_blocks(block, w)

    def gradient(self, w: np.ndarray) -> np.ndarray:
        """sum_j p_j (sigma - y_j) sigma' x_j at w."""
        weighted = self.p[:, None] * self.x

        def block(w: np.ndarray) -> np.ndarray:
            residual, slope = self._activation(w, 1)
            residual -= self.y
            residual *= slope
            return residual @ weighted

        return self._in_blocks(block, w)

    def hessian(self, w: np.ndarray) -> np.ndarray:
        """sum_j p_j (sigma'^2 + (sigma - y_j) sigma'') x_j x_j' at w."""
        weighted = (self.p[:, None, None] * self.x[:, :, None] * self.x[:, None, :]).reshape(-1, 4)

        def block(w: np.ndarray) -> np.ndarray:
            value, slope, curve = self._activation(w, 2)
            return (slope**2 + (value - self.y) * curve) @ weighted

        return self._in_blocks(block, w).reshape(*np.shape(w), 2)

    def _activation(self, w: np.ndarray, order: int) -> list[np.ndarray]:
        if not self._mirrored:
            return ACTIVATIONS[self.activation](w @ self.x.T, order)
        # softplus(-z) = softplus(z) - z: the second half of the nodes needs no exponentials.
        z = w @ self.x[: len(self.x) // 2].T
        jet = _softplus(z, order)
        mirrors = [jet[0] - z, *(1.0 - slope for slope in jet[1:2]), *jet[2:]]
        return [
            np.concatenate([part, mirror[..., ::-1]], -1)
            for part, mirror in zip(jet, mirrors, strict=True)
        ]

    @cached_property
    def _mirrored(self) -> bool:
        """Whether this is softplus on nodes of which the last mirrors the first, and so on."""
        even = len(self.x) % 2 == 0
        return self.activation == "softplus" and even and np.array_equal(self.x, -self.x[::-1])

    def _in_blocks(self, block: Callable[[np.ndarray], np.ndarray], w: np.ndarray) -> np.ndarray:
        flat = np.asarray(w, float).reshape(-1, 2)
        rows = max(1, BLOCK // len(self.x))
        parts = [block(flat[start : start + rows]) for start in range(0, len(flat), rows)]
        done = np.concatenate(parts)
        return done.reshape(np.shape(w)[:-1] + done.shape[1:])


@dataclass(frozen=True)
class ArcCosine:
    """The population loss of a ReLU neuron in closed form (the arc-cosine kernel of degree 1).

    With v the optimum, s the variance and theta the angle between w and v,
        f(w) = s/4 (|w|^2 + |v|^2) - K(w, v),
        K(w, v) = s/(2 pi) (|w| |v| sin theta + (pi - theta) <w, v>).
    At w = 0 the loss has a kink; its gradient and Hessian there are those of ReLU'(0) = 0.
    """

    task: Task

    def loss(self, w: np.ndarray) -> np.ndarray:
        """f at w."""
        v, s = np.array(self.task.optimum), self.task.variance
        across, angle = self._angle(w)
        kernel = (across + (np.pi - angle) * (w @ v)) / (2 * np.pi)
        return s * (0.25 * ((w**2).sum(-1) + v @ v) - kernel)

    def gradient(self, w: np.ndarray) -> np.ndarray:
        """s w/2 - s/(2 pi) (|v| sin theta w/|w| + (pi - theta) v) at w."""
        v, s = np.array(self.task.optimum), self.task.variance
        across, angle = self._angle(w)
        radial = (across / self._square(w))[..., None] * w
        kernel = (radial + (np.pi - angle)[..., None] * v) / (2 * np.pi)
        return s * np.where(w.any(-1, keepdims=True), 0.5 * w - kernel, 0.0)

    def hessian(self, w: np.ndarray) -> np.ndarray:
        """s/2 I - s |v| sin theta/(pi |w|) (I - w w'/|w|^2) at w."""
        s = self.task.variance
        across, _ = self._angle(w)
        square = self._square(w)[..., None, None]
        tangent = np.eye(2) - w[..., :, None] * w[..., None, :] / square
        curved = 0.5 * np.eye(2) - across[..., None, None] / (np.pi * square) * tangent
        return s * np.where(np.any(w, axis=-1)[..., None, None], curved, 0.0)

    def _angle(self, w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """|w| |v| sin theta and theta, the latter exact near 0 and pi too."""
        v = self.task.optimum
        across = np.abs(w[..., 0] * v[1] - w[..., 1] * v[0])
        return across, np.arctan2(across, w @ np.array(v))

    @staticmethod
    def _square(w: np.ndarray) -> np.ndarray:
        square = (w**2).sum(-1)
        return np.where(square > 0.0, square, 1.0)


@dataclass(frozen=True)
class Adapted:
    """The loss after one inner step, outer(w - alpha grad inner(w)): the summand of (P1), (P4)."""

    inner: SmoothLoss
    outer: Loss
    alpha: float

    def __post_init__(self) -> None:
        if not 0.0 <= self.alpha < np.inf:
            raise InputError(f"alpha must be finite and not negative, it is {self.alpha}.")

    def step(self, w: np.ndarray) -> np.ndarray:
        """w - alpha grad inner(w), of the shape of w."""
        return w - self.alpha * self.inner.gradient(w)

    def loss(self, w: np.ndarray) -> np.ndarray:
        """The outer loss after the step."""
        return self.outer.loss(self.step(w))

    def gradient(self, w: np.ndarray) -> np.ndarray:
        """(I - alpha hess inner(w)) grad outer(w - alpha grad inner(w))."""
        after = self.outer.gradient(self.step(w))
        return after - self.alpha * np.einsum("...ij,...j->...i", self.inner.hessian(w), after)


@dataclass(frozen=True)
class Mean:
    """The mean of losses: the NAL objective of task losses, the MAML objective of adapted ones."""

    losses: Sequence[Loss]

    def loss(self, w: np.ndarray) -> np.ndarray:
        """The mean loss at w."""
        return sum((each.loss(w) for each in self.losses), start=np.zeros(())) / len(self.losses)

    def gradient(self, w: np.ndarray) -> np.ndarray:
        """The mean gradient at w."""
        return sum((each.gradient(w) for each in self.losses), start=np.zeros(())) / len(
            self.losses
        )


def gauss_hermite(order: int, d: int) -> tuple[np.ndarray, np.ndarray]:
    """Nodes (q, d) and weights (q,), summing to 1, of a product rule for N(0, I_d)."""
    node, weight = hermegauss(order)
    x = np.stack(np.meshgrid(*[node] * d, indexing="ij"), -1).reshape(-1, d)
    p = np.stack(np.meshgrid(*[weight] * d, indexing="ij"), -1).reshape(-1, d).prod(1)
    p /= p.sum()
    kept = p > NEGLIGIBLE
    return x[kept], p[kept] / p[kept].sum()


def population(task: Task, activation: str, order: int = ORDER) -> SmoothLoss:
    """The population loss f_i of a task, with its gradient and Hessian.

    ReLU has its closed form; the others take Gauss-Hermite quadrature of `order` nodes an axis.
    Its error grows with r = sqrt(variance) max(|w|, |optimum|), as the activation bends within
    1/r of the origin: with 40 nodes it is below 1e-13, 1e-7, 2e-5 and 2e-4 in the loss at
    r = 1, 2, 3 and 4 for softplus and sigmoid; tanh(z) = 2 sigmoid(2 z) - 1 is as at 2 r.
    """
    _check(activation)
    if activation == "relu":
        return ArcCosine(task)
    x, p = gauss_hermite(order, 2)
    if activation in ODD:
        x, p = x[: len(x) // 2], 2 * p[: len(p) // 2]
    x = x * np.sqrt(task.variance)
    (y,) = ACTIVATIONS[activation](x @ np.array(task.optimum), 0)
    return Points(x, y, p, activation)


def sample(task: Task, activation: str, m: int, rng: np.random.Generator) -> Points:
    """The empirical loss of m samples drawn from a task."""
    _check(activation)
    if m < 1:
        raise InputError(f"A sample needs at least one point, not m = {m}.")
    x = np.sqrt(task.variance) * rng.standard_normal((m, 2))
    (y,) = ACTIVATIONS[activation](x @ np.array(task.optimum), 0)
    return Points(x, y, np.full(m, 1.0 / m), activation)


def _check(activation: str) -> None:
    if activation not in ACTIVATIONS:
        raise InputError(f"There is no activation {activation!r}; take one of {[*ACTIVATIONS]}.")
