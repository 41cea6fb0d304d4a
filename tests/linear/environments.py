"""Random environments for property tests: anisotropic, of any size, some families degenerate."""

import numpy as np
from hypothesis import strategies as st

from mamlbook.linear import Environment


def random_environment(
    seed: int, d: int, families: int, noise: float, singular: bool = False
) -> Environment:
    """Covariances with rotated, spread-out eigenvalues; one family's may be singular."""
    rng = np.random.default_rng(seed)

    def semidefinite(low: float, high: float) -> np.ndarray:
        rotation = np.linalg.qr(rng.standard_normal((d, d)))[0]
        return rotation * rng.uniform(low, high, d) @ rotation.T

    covariances = np.array([semidefinite(0.05, 1.5) for _ in range(families)])
    if singular and families > 1 and d > 1:
        direction = np.linalg.qr(rng.standard_normal((d, d)))[0][:, :1]
        covariances[0] = direction @ direction.T
    covariances = (covariances + covariances.swapaxes(1, 2)) / 2
    return Environment(
        weights=rng.dirichlet(np.full(families, 5.0)),
        covariances=covariances,
        centres=rng.normal(0, 2, (families, d)),
        spreads=[rng.choice([0.0, 1.0]) * np.diag(rng.uniform(0, 1, d)) for _ in range(families)],
        noise=noise,
    )


environments = st.builds(
    random_environment,
    seed=st.integers(0, 2**32 - 1),
    d=st.integers(1, 5),
    families=st.integers(1, 3),
    noise=st.sampled_from([0.0, 0.01, 1.0]),
    singular=st.booleans(),
)
alphas = st.floats(0.05, 1.5)
samples = st.integers(1, 40)
seeds = st.integers(0, 2**32 - 1)
