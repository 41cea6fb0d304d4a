"""Exact means of products of the inner step P = I - alpha X'X/s of a Gaussian task."""

from collections.abc import Iterator, Sequence
from functools import cache
from itertools import combinations
from string import ascii_letters

import numpy as np

from mamlbook.linear.population import check_step

P = "P"  # in a product: the random inner step


def mean_product(
    covariance: np.ndarray,
    alpha: float,
    samples: int,
    product: Sequence[np.ndarray | str],
    trace: Sequence[np.ndarray | str] = (),
) -> np.ndarray:
    """E[tr(trace) product], for products of fixed matrices and the random step P.

    P = I - alpha S, S = X'X/s with s rows x ~ N(0, Sigma). Multiplied out, every term is the mean
    of a product of entries S_ab, and Isserlis' theorem sums it over the pairings of its indices:
        E[S_{a b} S_{c e} ...] = s^-k sum over pairings s^(cycles) prod over pairs Sigma,
    where k counts the factors S, and the cycles are those of the graph that joins the two indices
    of each S and the two of each pair: each cycle is one sample.

    Example: mean_product(Sigma, alpha, s, [P, Sigma, P]) is Q^(s), Lemma 2 of the paper.
    Shapes: Sigma and every fixed matrix (..., d, d) -> (..., d, d).
    Raises ValueError as `q_matrix` does.
    """
    check_step(alpha, samples)
    letters = iter(ascii_letters)
    fixed: list[tuple[str, np.ndarray]] = []
    steps: list[str] = []

    def lay(factors: Sequence[np.ndarray | str]) -> tuple[str, str]:
        first = last = next(letters)
        for factor in (np.eye(covariance.shape[-1]), *factors):
            begin, last = last, next(letters)
            if isinstance(factor, str):
                steps.append(begin + last)
            else:
                fixed.append((begin + last, factor))
        return first, last

    left, right = lay(product)
    names = {}
    if trace:
        first, last = lay(trace)
        names[last] = first  # the trace closes its product to a ring
    total = np.zeros_like(covariance)
    for k in range(len(steps) + 1):
        for sampled in combinations(steps, k):
            same = names | {end: begin for begin, end in steps if begin + end not in sampled}
            for pairs in pairings("".join(sampled)):
                factors = fixed + [(pair, covariance) for pair in pairs]
                scale = (-alpha) ** k * float(samples) ** (cycles(sampled, pairs) - k)
                total = total + scale * _contract(factors, left + right, same)
    return total


def pairings(items: str) -> Iterator[list[str]]:
    """All ways to part an even number of letters into pairs."""
    if not items:
        yield []
        return
    first, rest = items[0], items[1:]
    for i, partner in enumerate(rest):
        for others in pairings(rest[:i] + rest[i + 1 :]):
            yield [first + partner, *others]


def cycles(one: Sequence[str], other: Sequence[str]) -> int:
    """The number of cycles in the union of two pairings of the same letters."""
    across = {a: b for pair in one for a, b in (pair, pair[::-1])}
    along = {a: b for pair in other for a, b in (pair, pair[::-1])}
    count = 0
    unseen = set(across)
    while unseen:
        count += 1
        start = at = min(unseen)
        while True:
            unseen -= {at, across[at]}
            at = along[across[at]]
            if at == start:
                break
    return count


def _contract(
    factors: Sequence[tuple[str, np.ndarray]], result: str, same: dict[str, str]
) -> np.ndarray:
    """Sum the product of the factors over all letters but the result's two; `same` are equal."""

    def name(letter: str) -> str:
        while letter in same:
            letter = same[letter]
        return letter

    indices = ["..." + "".join(map(name, pair)) for pair, _ in factors]
    formula = f"{','.join(indices)}->...{''.join(map(name, result))}"
    matrices = [matrix for _, matrix in factors]
    return np.einsum(formula, *matrices, optimize=_order(formula, *map(np.shape, matrices)))


@cache  # to find the order takes longer than the sums
def _order(formula: str, *shapes: tuple[int, ...]) -> list[str | tuple[int, ...]]:
    """In which order np.einsum does best to contract matrices of these shapes."""
    return np.einsum_path(formula, *map(np.empty, shapes), optimize="greedy")[0]
