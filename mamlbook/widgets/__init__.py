"""What moves in a page: each widget computes and draws in the browser, and needs no kernel.

In a live kernel its traits are synchronised, so Python reads what the reader has set.
"""

from pathlib import Path

import anywidget
import traitlets

HERE = Path(__file__).parent


def _script(name: str) -> str:
    """The shared kit and the widget's own script, as one module."""
    return (HERE / "kit.js").read_text() + (HERE / f"{name}.js").read_text()


class Hardness(anywidget.AnyWidget):
    """Section 3.1's two tasks, Sigma = rho I with rho_E = 1: both solutions and both risks.

    Traits: `rho_hard`, samples `m`, dimension `d`, inner learning rate `alpha`, and the `distance`
    ||w1* - w2*||. The first values are those of Figure 2.
    """

    _esm = _script("hardness")
    _css = (HERE / "widget.css").read_text()
    rho_hard = traitlets.Float(0.25).tag(sync=True)
    m = traitlets.Int(2000).tag(sync=True)
    d = traitlets.Int(10).tag(sync=True)
    alpha = traitlets.Float(1.0).tag(sync=True)
    distance = traitlets.Float(6.3).tag(sync=True)
