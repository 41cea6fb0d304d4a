"""Small worlds of tasks for the tests."""

import numpy as np


def confounded(
    tasks: int = 40, rows: int = 15, features: int = 2, seed: int = 0, pull: float = 1.0
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Tasks whose level goes against their mean input: slopes 1 within, less between."""
    rng = np.random.default_rng(seed)
    made = []
    for _ in range(tasks):
        n = int(rng.integers(rows, 2 * rows))
        level = rng.normal()
        x = rng.normal(size=(n, features)) + pull * level
        slopes = 1 + 0.2 * rng.normal(size=features)
        made.append((x, x @ slopes - 1.5 * pull * level + 0.5 * rng.normal(size=n)))
    return made


def stacked(tasks: list[tuple[np.ndarray, np.ndarray]]) -> list[np.ndarray]:
    """Rows z = (1, x, y) of each task."""
    return [np.column_stack([np.ones(len(y)), x, y]) for x, y in tasks]
