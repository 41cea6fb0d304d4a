"""How stored and fresh texts are compared."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.nbval_plugin import alike, same
from tools.notebooks import steady_text

REALS = st.floats(min_value=1e-8, max_value=1e8)
PLACES = st.integers(min_value=5, max_value=12)


@given(REALS, PLACES, st.floats(-9e-7, 9e-7))
def test_noise_below_one_in_a_million_passes(value, decimals, noise):
    stored, computed = (f"risk {x:.{decimals}e}, as said" for x in (value, value * (1 + noise)))
    assert alike(stored, computed)


@given(REALS, st.integers(min_value=3, max_value=15), st.integers(0, 3), st.sampled_from([-1, 1]))
def test_a_change_of_the_first_four_digits_is_caught(value, decimals, place, step):
    mantissa, exponent = f"{value:.{decimals}e}".split("e")
    digits = mantissa.replace(".", "")
    digit = int(digits[place]) + step
    if not 0 <= digit <= 9:
        digit -= 2 * step
    changed = f"{digits[:place]}{digit}{digits[place + 1 :]}"
    assert not alike(f"{mantissa}e{exponent}", f"{changed[0]}.{changed[1:]}e{exponent}")


@pytest.mark.parametrize(
    ("stored", "computed"),
    [
        ("m = 10 samples", "m = 11 samples"),
        ("1000000", "1000001"),
        ("MAML 0.5", "NAL 0.5"),
        ("0.5 0.5", "0.5"),
        ("0.5", ""),
        ("0.5", "nan"),
        ("0.5", "-0.5"),
        ("1.", "2."),
        ("0.1234", "0.1235"),
        ("1e400", "2e400"),
        ("0.123456789", "0.123456984"),  # by 1.6 in a million
        ("1.00000e-05", "1.00002e-05"),  # by two units of the last digit
        ("True", "False"),
    ],
)
def test_what_is_not_alike(stored, computed):
    assert not alike(stored, computed)
    assert not alike(computed, stored)


@pytest.mark.parametrize(
    ("stored", "computed"),
    [
        ("0.1234567890123", "0.1234567890124"),
        ("[0.50000 1.25000]", "[0.50001  1.25000]"),
        ("-0.00000", "0.00000"),
        ("nan", "nan"),
        ("1.00000e-05", "1.00001e-05"),
        ("9.99999", "10.00000"),
    ],
)
def test_what_is_alike(stored, computed):
    assert alike(stored, computed)
    assert alike(computed, stored)


def test_widget_states():
    state = {"value": 0.25, "n": 3, "path": "M 1.5 2.25", "on": True, "items": [1.0, None]}
    assert same(state, {**state, "value": 0.25 * (1 + 6e-7)})
    for change in (
        {"value": 0.2501},
        {"value": 0.25 * (1 + 1.6e-6)},
        {"value": float("nan")},
        {"n": 4},
        {"path": "M 1.5 2.26"},
        {"on": 1},
        {"items": [1.0]},
        {"new": 0},
    ):
        assert not same(state, {**state, **change})


def test_what_differs_from_run_to_run_is_taken_out_and_an_image_is_no_burden():
    image = "iVBORw0KGgo" * 100_000
    began = time.perf_counter()
    assert steady_text(f"<image {image}/> in /tmp/ipykernel_12/345.py:7") == (
        f"<image {image}/> in <cell>:7"
    )
    assert steady_text("<Axes at 0x7f3c8a1b>") == "<Axes>"
    assert time.perf_counter() - began < 5, "a megabyte without a blank took as long as its square"
