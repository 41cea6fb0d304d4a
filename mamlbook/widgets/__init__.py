"""What moves in a page: each widget computes and draws in the browser, and needs no kernel.

In a live kernel its traits are synchronized, so Python reads what the reader has set.
"""

import base64
import io
from pathlib import Path

import anywidget
import numpy as np
import pandas as pd
import traitlets
from PIL import Image

from mamlbook.diagnose import evidence
from mamlbook.linear import TrainingLaw

HERE = Path(__file__).parent


def _script(*names: str) -> str:
    """The shared kit and the widget's own scripts, as one module."""
    return "\n".join((HERE / f"{name}.js").read_text(encoding="utf-8") for name in ("kit", *names))


STYLE = (HERE / "widget.css").read_text(encoding="utf-8")


class Hardness(anywidget.AnyWidget):
    """Section 3.1's two tasks, Sigma = rho I with rho_E = 1: both solutions and both risks.

    Traits: `rho_hard`, samples `m`, dimension `d`, inner learning rate `alpha`, and the `distance`
    ||w1* - w2*||. The first values are those of Figure 2.
    """

    _esm = _script("linear", "hardness")
    _css = STYLE
    rho_hard = traitlets.Float(0.25).tag(sync=True)
    m = traitlets.Int(2000).tag(sync=True)
    d = traitlets.Int(10).tag(sync=True)
    alpha = traitlets.Float(1.0).tag(sync=True)
    distance = traitlets.Float(6.3).tag(sync=True)


class Descent(anywidget.AnyWidget):
    """Gradient descent on NAL's and MAML's objectives for Figure 2's two tasks, m = 2000.

    Traits: outer steps `step` (between whole ones the picture moves), the hard task's `rho_hard`,
    the outer learning rate `rate`, and the first initialization: `x` along the line between the
    tasks, where the hard one is at 1 and the easy one at -1, and `y` across it.
    """

    _esm = _script("linear", "descent")
    _css = STYLE + (HERE / "descent.css").read_text(encoding="utf-8")
    step = traitlets.Float(8.0).tag(sync=True)
    rho_hard = traitlets.Float(0.25).tag(sync=True)
    rate = traitlets.Float(1.0).tag(sync=True)
    x = traitlets.Float(-0.25).tag(sync=True)
    y = traitlets.Float(1.25).tag(sync=True)


class Geography(anywidget.AnyWidget):
    """Section 3.2's mixture in 10 dimensions, alpha = 1/rho_easy: clouds and risks.

    Traits: the centers' distance `R`, the spreads `r_hard` and `r_easy`, the hardnesses `rho_hard`
    and `rho_easy`, and the samples `m`. The first values are those of our Figure 1 (d).
    """

    _esm = _script("linear", "geography")
    _css = STYLE
    R = traitlets.Float(2.0).tag(sync=True)
    r_hard = traitlets.Float(0.3).tag(sync=True)
    r_easy = traitlets.Float(0.3).tag(sync=True)
    rho_hard = traitlets.Float(0.1).tag(sync=True)
    rho_easy = traitlets.Float(0.9).tag(sync=True)
    m = traitlets.Int(500).tag(sync=True)


class GainMap(anywidget.AnyWidget):
    """The gain of MAML over hardness ratio and packing in 10 dimensions, and its cost.

    Traits: `x` = rho_hard/rho_easy, `packing` = R^2/r_hard, samples `m`, `spread` = r_easy/R^2.
    """

    _esm = _script("linear", "gain")
    _css = STYLE
    x = traitlets.Float(0.1).tag(sync=True)
    packing = traitlets.Float(10.0).tag(sync=True)
    m = traitlets.Int(500).tag(sync=True)
    spread = traitlets.Float(0.1).tag(sync=True)


class Budget(anywidget.AnyWidget):
    """A budget of samples split between tasks and the episodes of each, and what excess is left.

    nal, maml: the laws of one episode of `episode` samples. The excess is half the mean squared
    distance of `TrainingLaw.rms` with T = budget/split tasks: the expected excess of each method's
    own objective over its minimum, as T grows.

    Traits that move: the places `split` and `budget` in `splits` (episodes of each task) and
    `budgets` (episodes in all).
    """

    _esm = _script("budget")
    _css = STYLE
    parts = traitlets.Dict().tag(sync=True)
    splits = traitlets.List([1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 16, 20, 24, 30, 40]).tag(sync=True)
    budgets = traitlets.List([960, 1920, 3840, 7680]).tag(sync=True)
    episode = traitlets.Int(125).tag(sync=True)
    split = traitlets.Int(7).tag(sync=True)
    budget = traitlets.Int(0).tag(sync=True)

    def __init__(self, nal: TrainingLaw, maml: TrainingLaw, **traits) -> None:
        parts = {"nal": [nal.between, nal.within], "maml": [maml.between, maml.within]}
        super().__init__(parts=parts, **traits)


class Scarcity(anywidget.AnyWidget):
    """Accuracies on FS-CIFAR100 by the number of adaptation steps, for each p of the record.

    rows: those of the item cifar_steps, means over its seeds. chance: "hard" and "easy",
    the accuracies of guessing, in percent.

    Traits that move: the place `p` in `ps`, `steps`, and `classes`, 0 for test and 1 for training.
    """

    _esm = _script("scarce")
    _css = STYLE + (HERE / "scarce.css").read_text(encoding="utf-8")
    accuracies = traitlets.Dict().tag(sync=True)
    ps: traitlets.List = traitlets.List().tag(sync=True)
    chance = traitlets.Dict().tag(sync=True)
    p = traitlets.Int(0).tag(sync=True)
    steps = traitlets.Int(1).tag(sync=True)
    classes = traitlets.Int(0).tag(sync=True)

    def __init__(self, rows: pd.DataFrame, chance: dict[str, float], **traits) -> None:
        ps = sorted({name for name in rows["setting"].dropna() if name}, key=_probability)
        rows = rows.assign(setting=rows["setting"].fillna(""))
        keys = ["split", "hardness", "algorithm", "setting", "step"]
        mean = rows.set_index(keys)["accuracy"].sort_index()
        accuracies = {
            split: {
                kind: {
                    name: [
                        mean[split, kind, name, setting].round(3).tolist()
                        for setting in (ps if (split, kind, name, ps[0]) in mean.index else [""])
                    ]
                    for name in ("nal", "maml", "classifier", "none")
                }
                for kind in ("hard", "easy")
            }
            for split in ("test", "train")
        }
        values = [_probability(name) for name in ps]
        super().__init__(accuracies=accuracies, ps=values, chance=chance, **traits)


class Landscapes(anywidget.AnyWidget):
    """Four softplus neurons in the plane, one of them hard: both landscapes, both minimizers.

    Traits: the variance `hard_variance` of the hard task's inputs and the inner learning rate
    `alpha`. Positions, other variances and first values are those of our Figure 4 (c, d).
    """

    _esm = _script("neuron", "landscape")
    _css = STYLE
    hard_variance = traitlets.Float(0.5).tag(sync=True)
    alpha = traitlets.Float(1.8).tag(sync=True)


class Adaptation(anywidget.AnyWidget):
    """One step of each of Figure 4's four tasks from an initialization of the reader's.

    Traits: the initialization `w1`, `w2`, and those of `Landscapes`.
    """

    _esm = _script("neuron", "adaptation")
    _css = STYLE
    w1 = traitlets.Float(0.5).tag(sync=True)
    w2 = traitlets.Float(2.5).tag(sync=True)
    hard_variance = traitlets.Float(0.5).tag(sync=True)
    alpha = traitlets.Float(1.8).tag(sync=True)


class GradientNorms(anywidget.AnyWidget):
    """Theorem 1 over alpha: the gradient norms at MAML's stationary point of two softplus neurons.

    The hard task's weights are (0, 1), the easy one's (distance, 1), with inputs of variance 1.
    Numbers are those of `mamlbook.networks` with task 1 the hard one: printed_bound and
    square_bound with the curvatures at the point.

    Traits: the inner learning rate `alpha`, the variance `hard_variance` of the hard task's inputs,
    and the `distance`.
    """

    _esm = _script("neuron", "norms")
    _css = STYLE
    alpha = traitlets.Float(1.2).tag(sync=True)
    hard_variance = traitlets.Float(0.3).tag(sync=True)
    distance = traitlets.Float(1.0).tag(sync=True)


class Tasks(anywidget.AnyWidget):
    """Few-shot tasks dealt to the reader: supports, one query, and the reader's own score.

    images: uint8 (classes, examples, side, side, channels), all that tasks are dealt from;
    groups: the classes of each alphabet. easy, hard: {"ways", "shots", "distinct"} of a task.
    networks: name -> {"easy", "hard"}, accuracies in percent to stand below the reader's.

    Traits that move: `hardness`, the number of the `deal`, and the `tally` of [right, asked].
    """

    _esm = _script("tasks")
    _css = STYLE + (HERE / "tasks.css").read_text(encoding="utf-8")
    title = traitlets.Unicode("a few-shot task").tag(sync=True)
    question = traitlets.Unicode("Which is it?").tag(sync=True)
    sheet = traitlets.Unicode().tag(sync=True)
    examples = traitlets.Int().tag(sync=True)
    groups = traitlets.List(traitlets.List(traitlets.Int())).tag(sync=True)
    easy = traitlets.Dict().tag(sync=True)
    hard = traitlets.Dict().tag(sync=True)
    networks = traitlets.Dict().tag(sync=True)
    hardness = traitlets.Unicode("easy").tag(sync=True)
    deal = traitlets.Int(0).tag(sync=True)
    tally = traitlets.Dict({"easy": [0, 0], "hard": [0, 0]}).tag(sync=True)

    def __init__(self, images: np.ndarray, groups: list[list[int]], **traits) -> None:
        super().__init__(
            sheet=_png(_sheet(images)), examples=images.shape[1], groups=groups, **traits
        )


class OwnTasks(anywidget.AnyWidget):
    """The reader's own table of tasks, diagnosed in the page as `mamlbook.diagnose` does it.

    examples: name -> {"table" (CSV text), "task", "target", "features", "adapt", "support"}; the
    first is shown at the start. `coverages` are those of `evidence.coverages`.
    """

    _esm = _script("algebra", "diagnose", "table", "own")
    _css = STYLE + (HERE / "own.css").read_text(encoding="utf-8")
    examples = traitlets.Dict().tag(sync=True)
    coverages: traitlets.List = traitlets.List().tag(sync=True)

    @traitlets.default("coverages")
    def _coverages(self) -> list[dict[str, float]]:
        return evidence.coverages()


def _probability(setting: str) -> float:
    """The p of a setting such as p=0.5."""
    return float(setting.removeprefix("p="))


def _sheet(images: np.ndarray) -> np.ndarray:
    """A row of pictures for each class, a column for each example."""
    rows, columns, side, _, channels = images.shape
    return images.swapaxes(1, 2).reshape(rows * side, columns * side, channels)


def _png(pixels: np.ndarray) -> str:
    """A data URL; eight grays are enough for drawings."""
    grey = pixels.shape[2] == 1
    picture = Image.fromarray(pixels[:, :, 0]).quantize(8) if grey else Image.fromarray(pixels)
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
