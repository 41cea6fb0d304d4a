"""The moving pictures of the world with dials; what they carry comes from its record."""

import base64
from dataclasses import asdict

import anywidget
import numpy as np
import traitlets

from mamlbook.experiments.world import CENTRE, World
from mamlbook.records import Record
from mamlbook.widgets import STYLE, _script
from mamlbook.world.network import Network
from mamlbook.world.renderer import Pen, shift
from mamlbook.world.tasks import landscape

SUPPORT = 100


class Dials(anywidget.AnyWidget):
    """The record's pairs of networks at every mark of the dials, beside the theory.

    Traits that move: the places `hardness_mark`, `packing_mark` and `m_mark` in the lists of
    `marks`, and `biases`, 0 or 1. Theory and glyphs are computed in the page.
    """

    _esm = _script("pen", "dials")
    _css = STYLE
    hardness_mark = traitlets.Int(2).tag(sync=True)
    packing_mark = traitlets.Int(4).tag(sync=True)
    m_mark = traitlets.Int(2).tag(sync=True)
    biases = traitlets.Int(0).tag(sync=True)
    marks = traitlets.Dict().tag(sync=True)
    cells = traitlets.Dict().tag(sync=True)
    pen = traitlets.Dict().tag(sync=True)
    mean = traitlets.Unicode().tag(sync=True)

    def __init__(self, record: Record, **traits) -> None:
        grid = World()
        marks = {"hardness": grid.hardnesses, "packing": grid.packings, "m": grid.samples}
        super().__init__(
            marks={name: list(values) for name, values in marks.items()},
            cells=cells(record),
            **_pen(),
            **traits,
        )


class Glyph(anywidget.AnyWidget):
    """A glyph of the reader's, and what the record's pair says of it before and after one step.

    Traits that move: the latent `z1` to `z6`, and `hard`, 0 or 1, the kind of task.
    """

    _esm = _script("pen", "glyph")
    _css = STYLE
    z1 = traitlets.Float(1.0).tag(sync=True)
    z2 = traitlets.Float(0.5).tag(sync=True)
    z3 = traitlets.Float(1.0).tag(sync=True)
    z4 = traitlets.Float(-0.5).tag(sync=True)
    z5 = traitlets.Float(1.0).tag(sync=True)
    z6 = traitlets.Float(1.0).tag(sync=True)
    hard = traitlets.Int(1).tag(sync=True)
    pen = traitlets.Dict().tag(sync=True)
    mean = traitlets.Unicode().tag(sync=True)
    sizes = traitlets.List(traitlets.Int()).tag(sync=True)
    nal = traitlets.Unicode().tag(sync=True)
    maml = traitlets.Unicode().tag(sync=True)
    task = traitlets.Dict().tag(sync=True)

    def __init__(self, record: Record, **traits) -> None:
        shapes = Network().shapes
        super().__init__(
            sizes=[shapes[0][0], *(shape[1] for shape in shapes)],
            nal=_text(record.arrays["pair_nal"]),
            maml=_text(record.arrays["pair_maml"]),
            task={
                "rate": float(record.arrays["pair_rate"]),
                "support": SUPPORT,
                "hardness": CENTRE[0],
                "solutions": [w.tolist() for w in example_solutions()],
            },
            **_pen(),
            **traits,
        )


def example_solutions() -> tuple[np.ndarray, np.ndarray]:
    """The solutions w* (d,) of an easy task and of a hard one, two thirds of a spread off."""
    env = landscape(*CENTRE[:2])
    aside = np.array([1.0, -1.0, 1.0, -1.0, 1.0, -1.0]) * 2 / 3
    hard, easy = (
        centre + np.sqrt(np.diag(spread)) * aside
        for centre, spread in zip(env.centres, env.spreads, strict=True)
    )
    return easy, hard


def cells(record: Record) -> dict[str, dict]:
    """Means over seeds at every mark of the dials where networks were trained."""
    rows = record.rows
    pairs = rows[rows["part"] == "total"].reset_index(drop=True)
    keys = ["hardness", "packing", "m", "network"]
    gains = rows.groupby([*keys, "part"])["gain"].mean()
    nal = rows[rows["part"] == "position"].groupby(keys)["position"].mean()
    found = {}
    for key, own in pairs[pairs["network"].str.startswith("dense")].groupby(keys):
        hardness, packing, m, network = key
        at = own.index.to_numpy()
        order = np.sort(record.arrays["speeds"][at], axis=2)[:, :, ::-1].mean(0)
        name = f"{hardness:g} {packing:g} {m} {int(network != 'dense')}"
        found[name] = {
            **{part: float(gains[(*key, part)]) for part in ("total", "position", "kernel")},
            "nal": float(nal[key]),
            "maml": own["position"].tolist(),
            "mean": float(own["position"].mean()),
            "risks": _rounded(record.arrays["risks"][at].mean(0)),
            "speeds": _rounded(order),
        }
    return found


def _rounded(array: np.ndarray) -> list:
    return [[float(f"{value:.4g}") for value in line] for line in array]


def _pen() -> dict[str, object]:
    """The renderer's settings, its mean picture and its scale."""
    moved = shift(Pen())
    pen = {**asdict(Pen()), "scale": moved.scale}
    return {"pen": pen, "mean": _text(moved.mean.astype(np.float32))}


def _text(array: np.ndarray) -> str:
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()
