"""The environment refuses, in one sentence, what is not a mixture of tasks."""

import math

import numpy as np
import pytest

from mamlbook.errors import InputError
from mamlbook.linear import (
    Environment,
    easy_and_hard,
    excess_risk,
    maml_solution,
    monte_carlo_risk,
    q_matrix,
    sgd,
    two_tasks,
)

GOOD = {
    "weights": [0.5, 0.5],
    "covariances": [np.eye(2), 2 * np.eye(2)],
    "centres": [[0, 0], [1, 1]],
    "spreads": np.zeros((2, 2, 2)),
    "noise": 0.1,
}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"weights": [0.5, 0.6]}, "sum to 1.*1.1"),
        ({"weights": [1.5, -0.5]}, "positive"),
        ({"weights": [1.0]}, r"weights must have shape \(2,\).*got \(1,\)"),
        ({"covariances": [np.eye(2), [[1, 0.5], [0, 1]]]}, "symmetric"),
        ({"covariances": [np.eye(2), [[1, 0], [0, -0.25]]]}, "semidefinite.*-0.25"),
        ({"covariances": [np.eye(3), np.eye(3)]}, r"covariances must have shape \(2, 2, 2\)"),
        ({"covariances": np.array([np.diag([1, 0]), np.diag([2, 0])])}, "singular"),
        ({"centres": [0, 1]}, "centres must have shape"),
        ({"centres": [[0, np.nan], [1, 1]]}, "centres must be finite, got nan"),
        ({"centres": [["a", "b"], [1, 1]]}, "array of numbers"),
        ({"spreads": [-np.eye(2), np.eye(2)]}, "spreads must be positive semidefinite"),
        ({"centres": np.zeros((2, 0))}, r"at least one family of one dimension.*2, 0"),
        ({"weights": np.array([0.5, 0.5j])}, "weights must be an array of numbers"),
        ({"weights": [np.nan, 0.5]}, "weights must be finite, got nan"),
        ({"noise": -0.1}, "cannot be negative, got -0.1"),
        ({"noise": float("inf")}, "finite, got inf"),
    ],
)
def test_bad_mixtures_are_refused(change, sentence):
    with pytest.raises(ValueError, match=sentence) as caught:
        Environment(**{**GOOD, **change})
    assert "\n" not in str(caught.value)


def test_a_good_mixture_is_kept_as_given_and_cannot_be_changed():
    env = Environment(**GOOD)
    assert env.dimension == 2
    with pytest.raises(ValueError, match="read-only"):
        env.covariances[0, 0, 0] = 3


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: two_tasks(0, 1, [1], [0]), "rho_hard must be a positive variance, got 0"),
        (lambda: two_tasks(0.1, -2, [1], [0]), "rho_easy must be a positive variance, got -2"),
        (lambda: two_tasks(np.nan, 1, [1], [0]), "rho_hard .* got nan"),
        (lambda: two_tasks(0.1, 1, [1, 2], [0]), "one length"),
        (lambda: easy_and_hard(0.1, 1, 2, -1, 1, 3), "r_hard .* cannot be negative, got -1"),
        (lambda: easy_and_hard(0.1, 1, 2, 1, np.nan, 3), "r_easy .* got nan"),
        (lambda: easy_and_hard(0.1, 1, 2, 1, 1, 0), "whole number, at least 1, got 0"),
        (lambda: easy_and_hard(0.1, 1, 2, 1, 1, 2.5), "whole number, at least 1, got 2.5"),
        (lambda: q_matrix(np.eye(2), 0, 10), "alpha must be positive, got 0"),
        (lambda: q_matrix(np.eye(2), np.nan, 10), "alpha must be positive, got nan"),
        (lambda: q_matrix(np.eye(2), 1, 0), "at least 1 .*got 0"),
        (lambda: q_matrix(np.eye(2), 1, 2.5), "whole number.*got 2.5"),
        (lambda: q_matrix(np.eye(2), 1, 2, steps=0), "number of steps .* got 0"),
        (lambda: maml_solution(Environment(**GOOD), -1, 10), "alpha must be positive, got -1"),
        (lambda: excess_risk(Environment(**GOOD), [0, 0, 0], 1, 1), r"shape \(2,\), got \(3,\)"),
        (lambda: excess_risk(Environment(**GOOD), [0, np.nan], 1, 1), "w must be finite, got nan"),
        (lambda: excess_risk(Environment(**GOOD), [0, 1j], 1, 1), "w must be an array of numbers"),
        (lambda: drawn_risk(steps=-2), "steps must be a whole number, at least 1, got -2"),
        (lambda: drawn_risk(m=np.inf), "m must be a whole number, at least 1, got inf"),
        (lambda: drawn_risk(draws=1), "at least 2 draws, got 1"),
    ],
)
def test_bad_arguments_are_refused(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call()


def drawn_risk(**change):
    arguments = {"alpha": 1.0, "m": 2, "draws": 2, "rng": np.random.default_rng(0)} | change
    return monte_carlo_risk(Environment(**GOOD), np.zeros(2), **arguments)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"n1": 0.5}, "n1 must be a whole number, at least 1, got 0.5"),
        ({"n2": math.inf}, "n2 must be a whole number, at least 1, got inf"),
        ({"iterations": 0}, "iterations must be a whole number, at least 1, got 0"),
        ({"repeats": 0}, "repeats must be a whole number, at least 1, got 0"),
        ({"rate": 0}, "rate must be positive and finite, got 0"),
        ({"rate": math.nan}, "rate must be positive and finite, got nan"),
        ({"emphasis": [2, 1, 1]}, r"emphasis must be 2 positive numbers.*got \[2, 1, 1\]"),
        ({"emphasis": [2, -1]}, "emphasis must be 2 positive numbers"),
    ],
)
def test_sgd_refuses_what_it_cannot_draw(change, sentence):
    good = {"alpha": 1.0, "n1": 2, "n2": 2, "rate": 0.1, "iterations": 1, "repeats": 1}
    with pytest.raises(InputError, match=sentence):
        sgd([Environment(**GOOD)], **{**good, **change}, rng=np.random.default_rng(0))


def test_emphasis_may_be_whole_numbers():
    good = {"alpha": 1.0, "n1": 2, "n2": 2, "rate": 0.1, "iterations": 30, "repeats": 2}
    whole, real = (
        sgd([Environment(**GOOD)], emphasis=e, **good, rng=np.random.default_rng(0))
        for e in ([2, 1], [2.0, 1.0])
    )
    assert np.array_equal(whole, real)
