"""The displayed formulas of the chapter on hardness that are not tests of mamlbook.linear."""

import math

import numpy as np
import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st

from mamlbook.experiments import hardness
from mamlbook.linear import excess_risk, maml_solution, nal_solution, two_tasks


def test_the_factorisation_behind_the_range():
    """a_H - a_E = rho_E (1 - x) [x(1 - x) - c(1 + x + x^2)], and its roots."""
    x, c = sympy.symbols("x c", positive=True)
    difference = x * (1 - x) ** 2 + c * x**3 - c
    bracket = x * (1 - x) - c * (1 + x + x**2)
    assert sympy.expand(difference - (1 - x) * bracket) == 0
    assert sympy.expand(bracket + ((1 + c) * x**2 - (1 - c) * x + c)) == 0
    discriminant = sympy.expand((1 - c) ** 2 - 4 * c * (1 + c))
    assert sympy.expand(discriminant - (1 - 6 * c - 3 * c**2)) == 0
    assert sympy.simplify(discriminant.subs(c, 2 / sympy.sqrt(3) - 1)) == 0


def test_the_largest_gain_is_golden():
    """x(1-x)^2/(1+x)^2 peaks at sqrt(5) - 2 = phi^-3 with value (5 sqrt(5) - 11)/2 = phi^-5."""
    x = sympy.symbols("x", positive=True)
    gain = x * (1 - x) ** 2 / (1 + x) ** 2
    best = sympy.sqrt(5) - 2
    phi = sympy.GoldenRatio
    assert sympy.simplify(sympy.diff(gain, x).subs(x, best)) == 0
    assert sympy.simplify(gain.subs(x, best) - (5 * sympy.sqrt(5) - 11) / 2) == 0
    assert sympy.simplify((best - phi**-3).rewrite(sympy.sqrt)) == 0
    assert sympy.simplify((gain.subs(x, best) - phi**-5).rewrite(sympy.sqrt)) == 0


@pytest.mark.parametrize(("d", "m"), [(1, 10**6), (10, 10**7), (40, 10**7)])
def test_the_largest_gain_in_the_general_object(d, m):
    rows = hardness.gain(d, [m], np.linspace(0.2, 0.28, 81))
    best = rows.loc[rows["gain"].idxmax()]
    assert best["x"] == pytest.approx(math.sqrt(5) - 2, abs=0.002)
    assert best["gain"] == pytest.approx((5 * math.sqrt(5) - 11) / 2 * m / (d + 1), rel=1e-3)


def test_fig2_holds_what_the_chapter_says():
    """Rows against the printed scalar formulas, (9) with its missing factor d."""
    settings = hardness.Fig2()
    rows = hardness.fig2(settings).set_index(["m", "rho_hard", "algorithm"])
    assert len(rows) == 400
    for m in settings.m:
        for rho in settings.rho_hard:
            a_easy = 11 / m
            a_hard = rho * (1 - rho) ** 2 + 11 / m * rho**3
            nal, maml = rows.loc[m, rho, "nal"], rows.loc[m, rho, "maml"]
            assert nal["coordinate"] == pytest.approx((rho - 1) / (rho + 1), abs=1e-12)
            assert maml["coordinate"] == pytest.approx((a_hard - a_easy) / (a_hard + a_easy))
            assert nal["excess_risk"] == pytest.approx(
                10 * (a_easy * rho**2 + a_hard) / (1 + rho) ** 2
            )
            assert maml["excess_risk"] == pytest.approx(10 * a_easy * a_hard / (a_easy + a_hard))


def test_fig7_agrees_with_theory_at_its_seed():
    """A short version of the figure: coordinates within five standard errors of their mean."""
    settings = hardness.Fig7(m=(200,), rho_hard=(0.1, 0.4), iterations=1500, test_tasks=500)
    rows = hardness.fig7(settings).set_index(["rho_hard", "algorithm"])
    for rho in settings.rho_hard:
        env = hardness.environment(settings, rho)
        for algorithm, w in (("nal", nal_solution(env)), ("maml", maml_solution(env, 1.0, 200))):
            row = rows.loc[rho, algorithm]
            error = row["coordinate_ci95"] / 2.262  # Student's quantile with 9 degrees
            assert abs(row["coordinate"] - w[0]) <= 5 * error
            assert row["excess_risk"] == pytest.approx(excess_risk(env, w, 1.0, 200), rel=0.15)


@given(st.floats(0.02, 0.98))
def test_without_its_half_the_inner_loss_sends_maml_to_the_easy_task(rho):
    """alpha = 2/rho_E, as MSELoss makes it: MAML sits on the easy side."""
    one = np.ones(10)
    env = two_tasks(rho, 1.0, one, -one)
    assert maml_solution(env, 2.0, 2000)[0] < 0
