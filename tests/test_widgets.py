"""In a live kernel a widget is an ordinary ipywidget: Python reads what the reader has set."""

import pytest
import traitlets

from mamlbook import widgets


@pytest.mark.parametrize(
    ("kind", "moved"),
    [
        (widgets.Hardness, {"rho_hard": 0.4, "m": 77, "d": 3, "alpha": 0.5, "distance": 2.0}),
        (widgets.Geography, {"R": 1.0, "r_hard": 0.2, "r_easy": 3.0, "m": 40}),
        (widgets.GainMap, {"x": 0.3, "packing": 2.0, "m": 900, "spread": 1.0}),
        (widgets.Landscapes, {"hard_variance": 0.3, "alpha": 1.1}),
        (widgets.Adaptation, {"w1": 0.7, "w2": -1.0}),
    ],
)
def test_what_the_page_sends_python_reads(kind, moved):
    widget, seen = kind(), []
    widget.observe(lambda change: seen.append(change.name), names=list(moved))
    widget.set_state(moved)  # what arrives from the front end when a slider moves
    assert {name: getattr(widget, name) for name in moved} == moved
    assert set(seen) == set(moved)
    assert set(moved) <= set(widget.get_state())  # and what Python sets, the page is told


def test_a_trait_refuses_what_is_not_a_number():
    with pytest.raises(traitlets.TraitError, match="rho_hard"):
        widgets.Hardness(rho_hard="hard")
