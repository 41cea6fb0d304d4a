"""The theory with learned rates: exact moments, true minima, and the jump to the easy centre."""

import numpy as np
import pytest

from mamlbook.linear import (
    P,
    direction_rates,
    excess_risk,
    learned_maml,
    learned_nal,
    maml_solution,
    mean_product,
    nal_solution,
    preconditioned_curvature,
    preconditioned_risk,
    q_matrix,
)
from mamlbook.world.tasks import landscape


def spd(rng, d):
    a = rng.standard_normal((d, d))
    return a @ a.T / d + 0.1 * np.eye(d)


def test_one_rate_for_all_directions_is_the_papers_curvature():
    rng = np.random.default_rng(0)
    sigma = np.stack([spd(rng, 4), spd(rng, 4)])
    found = preconditioned_curvature(sigma, 0.3 * np.eye(4), 7)
    assert np.allclose(found, q_matrix(sigma, 0.3, 7))


def test_the_curvature_is_isserlis_sum_over_pairings():
    """(I - SA) Sigma (I - AS) multiplied out, S = I - P, each moment by `mean_product`."""
    rng = np.random.default_rng(1)
    sigma, a, s = spd(rng, 3), spd(rng, 3), 5
    eye = np.eye(3)

    def mean_sms(matrix):
        once = mean_product(sigma, 1.0, s, [P])
        twice = mean_product(sigma, 1.0, s, [P, matrix, P])
        return matrix - once @ matrix - matrix @ once + twice

    mean_s = eye - mean_product(sigma, 1.0, s, [P])
    expanded = sigma - mean_s @ a @ sigma - sigma @ a @ mean_s + mean_sms(a @ sigma @ a)
    assert np.allclose(preconditioned_curvature(sigma, a, s), expanded)


@pytest.mark.parametrize("hardness", [0.1, 0.25, 0.5, 1.0])
@pytest.mark.parametrize("packing", [0.3, 10.0])
def test_no_point_of_a_grid_is_lower_than_the_lowest_minimum(hardness, packing):
    env, m = landscape(hardness, packing), 100
    centre = env.centres[0]
    best = learned_maml(env, m, centre)[0]
    for along in np.linspace(0, 2.5, 11):
        for across in np.linspace(0, 2.5, 11):
            a = direction_rates(centre, along, across)
            risks = [preconditioned_risk(env, w * centre, a, m) for w in np.linspace(-0.2, 1.2, 15)]
            assert min(risks) >= best.risk * (1 - 1e-9)


@pytest.mark.parametrize("direction", [None, np.ones(6)])
def test_every_minimum_is_one(direction):
    env, m = landscape(0.5, 10.0), 100
    rng = np.random.default_rng(2)
    minima = learned_maml(env, m, direction)
    assert sorted(one.risk for one in minima) == [one.risk for one in minima]
    for one in minima:
        assert one.risk == pytest.approx(preconditioned_risk(env, one.w, one.preconditioner, m))
        for _ in range(20):
            step = 1e-3 * rng.standard_normal(3)
            by = step[0] * np.eye(6) if direction is None else direction_rates(direction, *step[:2])
            w = one.w + 1e-3 * rng.standard_normal(6)
            assert preconditioned_risk(env, w, one.preconditioner + by, m) >= one.risk


def test_near_a_ratio_of_one_half_there_are_two_minima_and_loose_packing_leaves_the_easy_one():
    centre = landscape(0.5, 10.0).centres[0]

    def at(hardness, packing):
        found = learned_maml(landscape(hardness, packing), 100, centre)
        return [one.w @ centre / (centre @ centre) for one in found]

    assert len(at(0.5, 10.0)) == 2
    assert at(0.25, 10.0)[0] > 0.6 and at(0.25, 0.3)[0] < 0.1  # it gives the hard tasks up


def test_a_learned_single_rate_is_no_worse_than_any_fixed_one():
    env = landscape(0.25, 10.0)
    best = learned_maml(env, 50)[0]
    fixed = [excess_risk(env, maml_solution(env, a, 50), a, 50) for a in np.linspace(0.1, 2, 60)]
    assert best.risk <= min(fixed) and best.risk == pytest.approx(min(fixed), rel=1e-3)
    rates = np.diag(best.preconditioner)
    assert np.allclose(best.preconditioner, rates[0] * np.eye(6))


def test_nal_stays_where_it_is_and_takes_its_best_rate_along_itself():
    env = landscape(0.25, 10.0)
    found = learned_nal(env, 50)
    assert np.allclose(found.w, nal_solution(env))
    each = [
        preconditioned_risk(env, found.w, direction_rates(found.w, a, 0.0), 50)
        for a in np.linspace(0, 3, 3001)
    ]
    assert found.risk == pytest.approx(min(each), rel=1e-6)
    assert np.linalg.matrix_rank(found.preconditioner) == 1


@pytest.mark.parametrize("hardness", [0.1, 0.25, 0.5])
def test_the_rates_of_a_minimum_are_the_chapters_formula(hardness):
    """a and b at the minimum's own w, from V = (w - mu)^2 + r of either family."""
    env, m, d = landscape(hardness, 3.0), 30, 6
    rho, r = np.array([hardness, 1.0]), np.array([1 / (3 * d), 0.1 / d])
    u = np.full(d, d**-0.5)
    for one in learned_maml(env, m, u):
        V = (one.w @ u - np.array([1.0, 0.0])) ** 2 + r
        a = (rho**2 * V).sum() / (rho**3 * ((1 + 2 / m) * V + (d - 1) / m * r)).sum()
        b = (rho**2 * r).sum() / (rho**3 * ((1 + d / m) * r + V / m)).sum()
        assert u @ one.preconditioner @ u == pytest.approx(a, rel=1e-4)
        assert (np.trace(one.preconditioner) - a) / (d - 1) == pytest.approx(b, rel=1e-4)
