"""A task's loss after gradient steps, as a quadratic in the initialization.

With a row z = (x, y), x_1 = 1, and v = (w, -1) the residual is <z, v>. A step of rate alpha on m
support rows moves the adapted parameters, marked by the diagonal matrix D, and is linear in v:
    v' = (I - alpha D S) v,   S = mean of z z' over the support.
So the mean squared error on query rows is v' M v with
    M = E[(I - alpha D S)' z z' (I - alpha D S)],   M = [[H, h], [h', c]],   loss = w'Hw - 2h'w + c.
"""

from dataclasses import dataclass

import numpy as np

SPLITS = 8  # random splits of a task where no exact average is known


@dataclass(frozen=True)
class Moments:
    """Means over different rows of each of N tasks: products of one, two and three z z'.

    Fields (N, q, q): `one` of z_i z_i'; `two` of S_i D S_q; `three` of S_i D S_q D S_j; and
    `twice` of S_i D S_q D S_i, where S_i = z_i z_i' and i, q, j are three different rows.
    """

    one: np.ndarray
    two: np.ndarray
    three: np.ndarray
    twice: np.ndarray

    def quadratic(self, alpha: float, m: float) -> np.ndarray:
        """M of one step on m rows, the exact mean over all splits of a task: (N, q, q).

        M = A + B/m, A = one - alpha (two + two') + alpha^2 three, B = alpha^2 (twice - three):
        of independent rows this is unbiased for every m, also beyond the rows at hand.
        """
        cross = self.two + self.two.swapaxes(-1, -2)
        second = self.three + (self.twice - self.three) / m
        return self.one - alpha * cross + alpha**2 * second


def moments(rows: list[np.ndarray], adapted: np.ndarray) -> Moments:
    """The moments of tasks with rows z (n, q), n >= 3, and `adapted`, the diagonal of D (q,).

    Sums over different rows are sums over all rows less those over equal ones; with
    T = sum S_i, a_i = z_i'Dz_i, T_a = sum a_i S_i and g_i = z_i'DTDz_i:
        two   = (TDT - T_a) / n(n-1)
        twice = sum (g_i - a_i^2) S_i / n(n-1)
        three = (TDTDT - T_a DT - TD T_a - sum (g_i - 2 a_i^2) S_i) / n(n-1)(n-2)
    """
    found = []
    for z in rows:
        n = len(z)
        total = z.T @ z
        masked = z * adapted
        a = (masked * z).sum(1)
        once = (z * a[:, None]).T @ z
        g = ((masked @ total) * masked).sum(1)
        pair = n * (n - 1)
        across = (total * adapted) @ total
        twice = (z * (g - a**2)[:, None]).T @ z
        equal = (once * adapted) @ total
        three = (across * adapted) @ total - equal - equal.T
        three -= (z * (g - 2 * a**2)[:, None]).T @ z
        found.append((total / n, (across - once) / pair, three / (pair * (n - 2)), twice / pair))
    return Moments(*(np.stack(each) for each in zip(*found, strict=True)))


def generator(seed: int):
    """Mulberry32, the generator of the book's pages: uniform numbers in [0, 1)."""
    state = seed & 0xFFFFFFFF
    while True:
        state = (state + 0x6D2B79F5) & 0xFFFFFFFF
        t = ((state ^ (state >> 15)) * (state | 1)) & 0xFFFFFFFF
        t ^= (t + (((t ^ (t >> 7)) * (t | 61)) & 0xFFFFFFFF)) & 0xFFFFFFFF
        yield ((t ^ (t >> 14)) & 0xFFFFFFFF) / 4294967296


def splits(n: int, m: int, seed: int) -> np.ndarray:
    """`SPLITS` supports of m among n rows, as a mask (SPLITS, n): windows of a random order."""
    random, order = generator(seed), list(range(n))
    for i in range(n - 1, 0, -1):
        j = int(next(random) * (i + 1))
        order[i], order[j] = order[j], order[i]
    mask = np.zeros((SPLITS, n), bool)
    for r in range(SPLITS):
        mask[r, [order[(r * n // SPLITS + k) % n] for k in range(m)]] = True
    return mask


def split_moments(rows: list[np.ndarray], m: int) -> tuple[np.ndarray, np.ndarray]:
    """Means of z z' over the support and over the query rows of each split: (N, SPLITS, q, q)."""
    support, query = [], []
    for i, z in enumerate(rows):
        mask = splits(len(z), m, i + 1)
        total = z.T @ z
        chosen = np.stack([z[each].T @ z[each] for each in mask])
        support.append(chosen / m)
        query.append((total - chosen) / (len(z) - m))
    return np.stack(support), np.stack(query)


def steps_quadratic(
    support: np.ndarray, query: np.ndarray, adapted: np.ndarray, alpha: float, steps: int
) -> np.ndarray:
    """M of K steps on the same m rows, the mean over the splits: (N, q, q).

    The K-th power of I - alpha D S is taken in full; unlike `linear.q_matrix`, whose K steps draw
    new rows each time, all steps see the same rows, which is what users do.
    """
    step = np.eye(support.shape[-1]) - alpha * adapted[:, None] * support
    walk = np.linalg.matrix_power(step, steps)
    return (walk.swapaxes(-1, -2) @ query @ walk).mean(1)


def largest_eigenvalues(second: np.ndarray, adapted: np.ndarray) -> np.ndarray:
    """The largest eigenvalue of D S D for each S (..., q, q): steps are stable below 2/lambda."""
    return np.linalg.eigvalsh(adapted[:, None] * second * adapted)[..., -1]


def loss(quadratic: np.ndarray, w: np.ndarray) -> np.ndarray:
    """v' M v with v = (w, -1), for M (..., q, q) and w (..., q - 1)."""
    v = np.concatenate([w, np.full((*w.shape[:-1], 1), -1.0)], axis=-1)
    return np.einsum("...i,...ij,...j->...", v, quadratic, v)
