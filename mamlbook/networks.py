"""Two-layer networks with a fixed second layer (Section 4, B): Lemma 1 and Theorem 1, measured.

A task loss is a function of w (D,), a float64 tensor, twice differentiable by autograd. For a
network of M neurons w is W (d, M) row by row. Task 1 is the hard one.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.polynomial.legendre import leggauss
from scipy.optimize import minimize
from torch import Tensor
from torch.autograd.functional import hessian
from torch.nn.functional import softplus

from mamlbook.errors import ComputationError, InputError
from mamlbook.neuron import gauss_hermite

TaskLoss = Callable[[Tensor], Tensor]

SMOOTH: dict[str, Callable[[Tensor], Tensor]] = {
    "softplus": softplus,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
}
STATIONARY = 1e-10  # the gradient norm at which a point counts as stationary
NEWTON_STEPS = 30


def network_loss(
    truth: Tensor, activation: str, variance: float = 1.0, order: int = 24
) -> TaskLoss:
    """The population loss f(w) = 1/2 E (sum_k sigma(<w^k, x>) - y)^2 with x ~ N(0, variance I).

    `truth` is W* (d, M) and y = sum_k sigma(<w*^k, x>). Softplus, sigmoid and tanh take a product
    Gauss-Hermite rule of `order` nodes an axis (see mamlbook.neuron.population for its accuracy),
    relu the closed form of its arc-cosine kernel, away from parallel neurons.
    Raises InputError for another activation, a truth that is no matrix, or a variance <= 0.
    """
    if truth.ndim != 2 or truth.dtype != torch.float64:
        raise InputError(f"truth must be a float64 matrix (d, M), not {truth.dtype} {truth.shape}.")
    if not variance > 0:
        raise InputError(f"variance must be positive, not {variance}.")
    d, _ = truth.shape
    if activation == "relu":
        target = truth.T

        def relu_loss(w: Tensor) -> Tensor:
            rows = w.reshape(truth.shape).T
            own, cross = _arc_cosine_own(rows), _arc_cosine(rows, target).sum()
            return 0.5 * variance * (own - 2 * cross + _arc_cosine_own(target))

        return relu_loss
    if activation not in SMOOTH:
        raise InputError(f"There is no activation {activation!r}; take one of {[*SMOOTH, 'relu']}.")
    sigma = SMOOTH[activation]
    x, p = (torch.from_numpy(each) for each in gauss_hermite(order, d))
    x = x * variance**0.5
    y = sigma(x @ truth).sum(1)

    def smooth_loss(w: Tensor) -> Tensor:
        return 0.5 * p @ (sigma(x @ w.reshape(truth.shape)).sum(1) - y) ** 2

    return smooth_loss


def _arc_cosine(u: Tensor, v: Tensor) -> Tensor:
    """E relu(<u_j, x>) relu(<v_k, x>) for rows u (J, d), v (K, d), none parallel; shape (J, K)."""
    dot = u @ v.T
    across = torch.sqrt((u**2).sum(1)[:, None] * (v**2).sum(1) - dot**2)
    return (across + (torch.pi - torch.atan2(across, dot)) * dot) / (2 * torch.pi)


def _arc_cosine_own(u: Tensor) -> Tensor:
    """E (sum_j relu(<u_j, x>))^2: a neuron is parallel to itself, where the kernel is |u|^2/2."""
    j, k = torch.triu_indices(len(u), len(u), offset=1)
    pairs = sum(_arc_cosine(u[a : a + 1], u[b : b + 1]).sum() for a, b in zip(j, k, strict=True))
    return 0.5 * (u**2).sum() + 2 * pairs


def quadratic(curvature: Tensor, optimum: Tensor) -> TaskLoss:
    """f(w) = 1/2 (w - optimum)' curvature (w - optimum), curvature (D, D) symmetric."""
    return lambda w: 0.5 * (w - optimum) @ curvature @ (w - optimum)


def gradient(f: TaskLoss, w: Tensor) -> Tensor:
    """grad f(w), shape (D,); where w is tracked by autograd, so is the gradient."""
    tracked = w.requires_grad
    at = w if tracked else w.detach().requires_grad_()
    return torch.autograd.grad(f(at), at, create_graph=tracked)[0]


def maml_objective(f1: TaskLoss, f2: TaskLoss, alpha: float) -> TaskLoss:
    """Equation (P30): 1/2 sum_i f_i(w - alpha grad f_i(w))."""
    return lambda w: 0.5 * (f1(w - alpha * gradient(f1, w)) + f2(w - alpha * gradient(f2, w)))


def nal_objective(f1: TaskLoss, f2: TaskLoss) -> TaskLoss:
    """1/2 (f_1 + f_2)."""
    return lambda w: 0.5 * (f1(w) + f2(w))


def stationary_point(objective: TaskLoss, initial: Tensor) -> Tensor:
    """A point (D,) of gradient norm below 1e-10: BFGS from `initial`, then Newton's method.

    Raises ComputationError if Newton's method does not get there from where BFGS stopped.
    """

    def value_and_gradient(w: np.ndarray) -> tuple[float, np.ndarray]:
        at = torch.from_numpy(w).requires_grad_()
        value = objective(at)
        value.backward()
        return value.item(), at.grad.numpy()

    coarse = minimize(value_and_gradient, initial.numpy(), jac=True, method="BFGS")
    w = torch.from_numpy(coarse.x)
    for _ in range(NEWTON_STEPS):
        g = gradient(objective, w)
        if torch.linalg.norm(g) < STATIONARY:
            return w
        w = w - torch.linalg.lstsq(hessian(objective, w), g).solution
    norm = torch.linalg.norm(gradient(objective, w))
    raise ComputationError(
        f"No stationary point near the initial point: the gradient norm is {norm}."
    )


def spectrum(f: TaskLoss, w: Tensor) -> tuple[float, float]:
    """beta and L: the extreme eigenvalues of the Hessian at w."""
    return _extremes(hessian(f, w))


def step_spectrum(f: TaskLoss, w: Tensor, alpha: float, nodes: int = 5) -> tuple[float, float]:
    """beta and L that hold for both matrices of the step from w to w - alpha grad f(w).

    They bound the Hessian at w and its mean over the segment, H = int_0^1 hess f(w - t alpha
    grad f(w)) dt, for which grad f(w - alpha grad f(w)) = (I - alpha H) grad f(w) holds exactly;
    the integral is a Gauss-Legendre rule.
    """
    t, weight = map(torch.from_numpy, leggauss(nodes))
    along = w - 0.5 * (1 + t[:, None]) * alpha * gradient(f, w)
    mean = sum(0.5 * p * hessian(f, at) for p, at in zip(weight, along, strict=True))
    (b0, L0), (b1, L1) = spectrum(f, w), _extremes(mean)
    return min(b0, b1), max(L0, L1)


def _extremes(matrix: Tensor) -> tuple[float, float]:
    values = torch.linalg.eigvalsh(matrix)
    return values[0].item(), values[-1].item()


def printed_bound(alpha: float, beta_2: float, L_1: float) -> float:
    """The factor of (P13) and (P29): (1 - 2 alpha beta_2)/(1 - alpha L_1)^2."""
    return (1 - 2 * alpha * beta_2) / (1 - alpha * L_1) ** 2


def square_bound(alpha: float, beta_2: float, L_1: float) -> float:
    """The factor that the proof gives: ((1 - alpha beta_2)/(1 - alpha L_1))^2.

    Let w be stationary for (P30), 0 < alpha, alpha L_1 < 1 and alpha (beta_2 + L_2) <= 2, with
    beta and L from `step_spectrum`. Then ||grad f_1(w)|| <= this times ||grad f_2(w)||, with no
    remainder: stationarity says (I - alpha H_1)(I - alpha G_1) grad f_1 = -(I - alpha H_2)
    (I - alpha G_2) grad f_2 with H the Hessian at w and G its mean over the inner step; the left
    side is at least (1 - alpha L_1)^2 ||grad f_1||, the right at most (1 - alpha beta_2)^2
    ||grad f_2||. Neither convexity nor beta_1 < beta_2 is used.
    """
    return ((1 - alpha * beta_2) / (1 - alpha * L_1)) ** 2


@dataclass(frozen=True)
class Geometry:
    """What Theorem 1 reads off a ground truth W* (d, M): its singular values, falling (M,)."""

    singular_values: np.ndarray

    @property
    def kappa(self) -> float:
        """s_1/s_M."""
        return float(self.singular_values[0] / self.singular_values[-1])

    @property
    def lambda_(self) -> float:
        """prod_k s_k / s_M^M."""
        return float(np.prod(self.singular_values / self.singular_values[-1]))

    def radius(self, c1: float = 1.0, c: float = 0.0) -> float:
        """The radius of the region S_i: c1/(s_1^c lambda kappa^2 M^2).

        c is the homogeneity of the activation, 0 <= sigma'(z) <= a |z|^c; the four activations
        of the paper have bounded slopes, hence c = 0. The paper leaves c1 open.
        """
        s = self.singular_values
        return float(c1 / (s[0] ** c * self.lambda_ * self.kappa**2 * len(s) ** 2))


def geometry(truth: Tensor) -> Geometry:
    """Singular values, kappa, lambda and the region of a ground truth (d, M).

    Raises InputError if it has fewer than M singular values or one is zero: kappa is infinite.
    """
    d, M = truth.shape
    s = torch.linalg.svdvals(truth).numpy()
    if d < M or s[-1] <= np.finfo(float).eps * d * s[0]:
        raise InputError(f"Theorem 1 needs M = {M} independent neurons, and d = {d} >= M.")
    return Geometry(s)


def region_constant(w: Tensor, truth: Tensor) -> float:
    """The smallest c1 for which W lies in the region S_i of `truth`: ||W - W*||_2 over radius()."""
    distance = torch.linalg.matrix_norm(w.reshape(truth.shape) - truth, ord=2).item()
    return distance / geometry(truth).radius()
