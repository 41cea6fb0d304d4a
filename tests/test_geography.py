"""The displayed formulas of the chapter on geography, against the general linear object."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mamlbook.experiments import geography, paper
from mamlbook.linear import easy_and_hard, maml_solution, q_matrix

rhos = st.floats(0.02, 1.0)
spreads = st.floats(0.0, 5.0)
mixtures = st.fixed_dictionaries(
    {
        "rho_hard": rhos,
        "rho_easy": rhos,
        "R": st.floats(0.1, 4.0),
        "r_hard": spreads,
        "r_easy": spreads,
        "d": st.integers(1, 12),
    }
)
steps = st.floats(0.1, 1.5)
sizes = st.integers(1, 3000)


def parts(mixture, alpha, m):
    """rho_H, rho_E, R, r_H, r_E, d, and a_H, a_E from the general Q."""
    d = mixture["d"]
    curvatures = [
        q_matrix(mixture[name] * np.eye(d), alpha, m)[0, 0] for name in ("rho_hard", "rho_easy")
    ]
    names = ("rho_hard", "rho_easy", "R", "r_hard", "r_easy", "d")
    return (*(mixture[name] for name in names), *curvatures)


@given(mixtures, steps, sizes)
def test_corollary_1_as_printed_and_in_short(mixture, alpha, m):
    """(10) and (11) as the paper prints them, and the chapter's three-term forms."""
    h, e, R, rh, re, d, ah, ae = parts(mixture, alpha, m)
    risks = {k: v[1] for k, v in geography.both(easy_and_hard(**mixture), alpha, m).items()}
    printed_nal = (
        d
        / (4 * (e + h) ** 2)
        * (
            (ae * e**2 + 2 * ae * e * h) * re
            + ae * h**2 * (re + R**2)
            + (ah * h**2 + 2 * ah * e * h) * rh
            + ah * e**2 * (rh + R**2)
        )
    )
    printed_maml = (
        d
        / (4 * (ae + ah) ** 2)
        * (
            (ae**3 + 2 * ae**2 * ah) * re
            + (ah**3 + 2 * ae * ah**2) * rh
            + ae * ah**2 * (re + R**2)
            + ae**2 * ah * (rh + R**2)
        )
    )
    price = ah * rh + ae * re
    assert risks["nal"] == pytest.approx(printed_nal)
    assert risks["maml"] == pytest.approx(printed_maml)
    assert risks["nal"] == pytest.approx(
        d / 4 * (price + (ah * e**2 + ae * h**2) / (e + h) ** 2 * R**2)
    )
    assert risks["maml"] == pytest.approx(d / 4 * (price + ae * ah / (ae + ah) * R**2))


@given(mixtures, steps, sizes)
def test_the_difference_is_free_of_the_spreads(mixture, alpha, m):
    h, e, R, _, _, d, ah, ae = parts(mixture, alpha, m)
    expected = d * R**2 / 4 * (ah * e - ae * h) ** 2 / ((ae + ah) * (e + h) ** 2)
    for r_hard, r_easy in ((0.0, 0.0), (0.7, 2.0)):
        env = easy_and_hard(**{**mixture, "r_hard": r_hard, "r_easy": r_easy})
        risks = geography.both(env, alpha, m)
        difference = risks["nal"][1] - risks["maml"][1]
        assert difference == pytest.approx(expected, rel=1e-6, abs=1e-9 * risks["nal"][1])


@given(mixtures, steps, sizes)
def test_gain_and_ceiling(mixture, alpha, m):
    h, e, R, rh, re, _, ah, ae = parts(mixture, alpha, m)
    factor = (ah * e - ae * h) ** 2 / ((ae + ah) * (e + h) ** 2)
    exact = 1 + factor * R**2 / (ah * rh + ae * re + ae * ah / (ae + ah) * R**2)
    ceiling = 1 + factor / (ae * re / R**2 + ae * ah / (ae + ah))
    assert geography.gain(easy_and_hard(**mixture), alpha, m) == pytest.approx(exact)
    packed = easy_and_hard(**{**mixture, "r_hard": 0.0})
    assert geography.gain(packed, alpha, m) == pytest.approx(ceiling)
    assert exact <= ceiling * (1 + 1e-12)


@given(mixtures)
def test_corollary_2_has_its_factor(mixture):
    """With full gradients and alpha = 1/rho_E the ratio is 1 + (rho_E/(rho_E+rho_H))^2 R^2/r_H."""
    mixture = {**mixture, "r_hard": mixture["r_hard"] + 0.1}
    if mixture["rho_hard"] > 0.9 * mixture["rho_easy"]:
        mixture["rho_hard"] = 0.5 * mixture["rho_easy"]
    h, e, R, rh = (mixture[name] for name in ("rho_hard", "rho_easy", "R", "r_hard"))
    limit = 1 + (e / (e + h)) ** 2 * R**2 / rh
    env = easy_and_hard(**mixture)
    assert geography.gain(env, 1 / e, np.inf) == pytest.approx(limit)
    off = [abs(geography.gain(env, 1 / e, m) - limit) for m in (10**5, 10**7, 10**9)]
    assert off[0] >= off[1] >= off[2] and off[2] <= 1e-4 * limit


@given(mixtures, st.floats(0.2, 5.0))
def test_ratios_do_not_depend_on_scale(mixture, scale):
    """Why Figure 3 (b, d) are horizontal, and the map may set R = rho_E = 1."""
    grown = {
        **mixture,
        "R": mixture["R"] * scale,
        "r_hard": mixture["r_hard"] * scale**2,
        "r_easy": mixture["r_easy"] * scale**2,
    }
    stretched = {
        **mixture,
        "rho_hard": mixture["rho_hard"] * scale,
        "rho_easy": mixture["rho_easy"] * scale,
    }
    gain = geography.gain(easy_and_hard(**mixture), 0.5, 40)
    assert geography.gain(easy_and_hard(**grown), 0.5, 40) == pytest.approx(gain)
    assert geography.gain(easy_and_hard(**stretched), 0.5 / scale, 40) == pytest.approx(gain)


def test_zeta_that_makes_nal_start_where_maml_does():
    """zeta = (a_H/rho_H)/(a_E/rho_E), as an overall weight."""
    env = easy_and_hard(0.1, 1.0, 2.0, 1.0, 1.0, d=10)
    a_hard, a_easy = q_matrix(env.covariances, 1.0, 500)[:, 0, 0]
    zeta = a_hard / 0.1 / a_easy
    start = 2 * zeta * 0.1 / (zeta * 0.1 + 1)
    assert maml_solution(env, 1.0, 500)[0] == pytest.approx(start)


def test_table3_runs_end_where_its_theory_says():
    settings = geography.Table3(repeats=6, iterations=1500, rate_maml=0.2, test_tasks=400)
    ours, theory = geography.table3(settings), geography.table3_theory(settings)
    off = (ours["coordinate"] - theory["coordinate"]) / (ours["coordinate_sd"] / 6**0.5)
    assert (off.abs() < 5).all()
    assert np.allclose(ours["test_error"], theory["test_error"], rtol=0.1)


def test_table3_reading_of_the_paper():
    """n2 = 500 and per-batch weights explain the coordinates; r = 1 does not explain the errors."""
    theory = geography.table3_theory(geography.Table3())
    assert np.allclose(theory["coordinate"], paper.TABLE3["coordinate"], atol=0.035)
    assert (theory["test_error"] - paper.TABLE3["test_error"] > 0.1).all()


def test_fig1_draws_the_tasks_it_says():
    rows, clouds = geography.fig1(geography.Fig1())
    assert set(rows["panel"]) == set("abcd") and len(clouds) == 8
    for panel, R, r in (("c", 2.0, 3.0), ("d", 2.0, 0.3)):
        hard, easy = clouds[f"{panel}_hard"], clouds[f"{panel}_easy"]
        assert hard.shape == easy.shape == (100, 10)
        assert hard.mean() == pytest.approx(R, abs=5 * (r / 1000) ** 0.5)
        assert hard.var() == pytest.approx(r, rel=0.2)
        assert easy.mean() == pytest.approx(0, abs=5 * (0.3 / 1000) ** 0.5)


def test_cost_counts_passes_over_samples():
    """Counted by hand for n1 = 3, n2 = 5: NAL 8; MAML 5 + 5 + 3."""
    assert geography.cost_ratio(3, 5) == 13 / 8
