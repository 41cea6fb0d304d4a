"""In a live kernel a widget is an ordinary ipywidget: Python reads what the reader has set."""

import base64
import io

import numpy as np
import pytest
import traitlets
from PIL import Image

from mamlbook import widgets


@pytest.mark.parametrize(
    ("kind", "moved"),
    [
        (widgets.Hardness, {"rho_hard": 0.4, "m": 77, "d": 3, "alpha": 0.5, "distance": 2.0}),
        (widgets.Descent, {"step": 3.5, "rho_hard": 0.4, "rate": 0.7, "x": 0.5, "y": 0.1}),
        (widgets.Geography, {"R": 1.0, "r_hard": 0.2, "r_easy": 3.0, "m": 40}),
        (widgets.GainMap, {"x": 0.3, "packing": 2.0, "m": 900, "spread": 1.0}),
        (widgets.Landscapes, {"hard_variance": 0.3, "alpha": 1.1}),
        (widgets.Adaptation, {"w1": 0.7, "w2": -1.0}),
        (widgets.GradientNorms, {"alpha": 2.0, "hard_variance": 0.5, "distance": 0.4}),
    ],
)
def test_what_the_page_sends_python_reads(kind, moved):
    widget, seen = kind(), []
    widget.observe(lambda change: seen.append(change.name), names=list(moved))
    widget.set_state(moved)  # what arrives from the front end when a slider moves
    assert {name: getattr(widget, name) for name in moved} == moved
    assert set(seen) == set(moved)
    assert set(moved) <= set(widget.get_state())  # and what Python sets, the page receives


def test_a_trait_refuses_what_is_not_a_number():
    with pytest.raises(traitlets.TraitError, match="rho_hard"):
        widgets.Hardness(rho_hard="hard")


@pytest.mark.parametrize("channels", [1, 3])
def test_the_sheet_of_tasks_has_a_row_for_each_class(channels):
    images = np.random.default_rng(0).integers(0, 256, (3, 4, 5, 5, channels), dtype=np.uint8)
    kind = {"ways": 2, "shots": 1, "distinct": False}
    widget = widgets.Tasks(images, [[0, 1, 2]], easy=kind, hard=kind)
    data = widget.sheet.removeprefix("data:image/png;base64,")
    sheet = Image.open(io.BytesIO(base64.b64decode(data)))
    assert sheet.size == (4 * 5, 3 * 5) and widget.examples == 4
    pixels = np.asarray(sheet.convert("L" if channels == 1 else "RGB"), float).reshape(15, 20, -1)
    off = pixels[5:10, 15:20] - images[1, 3]
    assert abs(off).max() <= (40 if channels == 1 else 0)  # greys are rounded to eight


def test_python_reads_the_readers_score():
    images = np.zeros((3, 4, 5, 5, 1), np.uint8)
    kind = {"ways": 2, "shots": 1, "distinct": False}
    widget = widgets.Tasks(images, [[0, 1, 2]], easy=kind, hard=kind)
    widget.set_state({"hardness": "hard", "deal": 3, "tally": {"easy": [0, 0], "hard": [2, 3]}})
    assert widget.hardness == "hard" and widget.tally["hard"] == [2, 3]
