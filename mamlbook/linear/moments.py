"""Exact means of products of the inner step P = I - alpha X'X/s of a Gaussian task."""

from collections.abc import Iterator, Sequence
from itertools import combinations
from string import ascii_letters

import numpy as np

from mamlbook.linear.population import check_step

Link = tuple[str, np.ndarray]  # two indices and the matrix between them

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
    Raises InputError as `q_matrix` does.
    """
    check_step(alpha, samples)
    letters, identity = iter(ascii_letters), np.eye(covariance.shape[-1])
    fixed: list[Link] = []
    steps: list[str] = []

    def lay(factors: Sequence[np.ndarray | str]) -> str:
        first = last = next(letters)
        for factor in factors:
            begin, last = last, next(letters)
            if isinstance(factor, str):
                steps.append(begin + last)
            else:
                fixed.append((begin + last, factor))
        return first + last

    left, _ = lay(product)
    if trace:
        fixed.append((lay(trace), identity))  # closes the product to a ring
    total = np.zeros_like(covariance)
    for k in range(len(steps) + 1):
        for sampled in combinations(steps, k):
            links = fixed + [(step, identity) for step in steps if step not in sampled]
            for pairs in pairings("".join(sampled)):
                scale = (-alpha) ** k * float(samples) ** (cycles(sampled, pairs) - k)
                term = _contract(links + [(pair, covariance) for pair in pairs], left)
                total = total + scale * term
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


def _contract(links: Sequence[Link], left: str) -> np.ndarray:
    """Sum the product of the links over all letters but the two that stand in one link only.

    The others stand in two, so that the links form a chain, from `left` to the other end, and
    rings: the chain is a product of matrices and each ring a trace.
    """
    unused = dict(enumerate(links))
    at: dict[str, list[int]] = {}  # which links a letter stands in
    for number, (letters, _) in unused.items():
        for letter in letters:
            at.setdefault(letter, []).append(number)

    def follow(letter: str) -> np.ndarray:
        product = None
        while found := [number for number in at[letter] if number in unused]:
            (begin, end), matrix = unused.pop(found[0])
            if letter != begin:
                begin, end, matrix = end, begin, matrix.swapaxes(-1, -2)
            product = matrix if product is None else product @ matrix
            letter = end
        return product

    result = follow(left)
    while unused:
        (letter, _), _ = next(iter(unused.values()))
        result = result * np.trace(follow(letter), axis1=-2, axis2=-1)[..., None, None]
    return result
