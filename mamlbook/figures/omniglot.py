"""Figures of the chapter on Omniglot."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from mamlbook.experiments.paper import CHANCE, TABLE1
from mamlbook.figures import fewshot
from mamlbook.figures.style import COLOURS, GREY, subplots


def _short(alphabet: str) -> str:
    """An alphabet's name beside a bar."""
    return alphabet.replace("_", " ").replace("Canadian Aboriginal Syllabics", "syllabics")


def alphabets(rows: pd.DataFrame) -> Figure:
    """Accuracy after one step of the trained network, alphabet by alphabet; losses step by step."""
    from mamlbook.fewshot.settings import HARD_ALPHABETS  # brings torch, which no other needs

    hard = rows[rows["hardness"] == "hard"]
    after = hard[(hard["network"] == "trained") & (hard["step"] == 1)].sort_values("accuracy")
    figure, (left, right) = subplots(1, 2, height=9.6, gridspec_kw={"width_ratios": [1.35, 1]})
    heights = np.arange(len(after))[::-1]
    colours = [COLOURS["hard"] if group in HARD_ALPHABETS else GREY for group in after["group"]]
    left.barh(heights, after["accuracy"], 0.62, color=colours, alpha=0.85)
    left.errorbar(
        after["accuracy"], heights, xerr=after["accuracy_ci95"], fmt="none", color="#111827", lw=0.8
    )
    left.set_yticks(heights, [_short(name) for name in after["group"]], fontsize=9)
    left.set_ylim(-0.7, len(after) - 0.3)
    left.set_xlim(after["accuracy"].min() - 8, 100)
    left.set_xlabel("accuracy after one step, %")
    left.set_title("Tasks within one alphabet")
    left.grid(axis="y", visible=False)
    for name, style in (("untrained", ":"), ("trained", "-")):
        part = rows[rows["network"] == name]
        groups = {
            "hard": part[part["group"].isin(HARD_ALPHABETS)],
            "other": part[(part["hardness"] == "hard") & ~part["group"].isin(HARD_ALPHABETS)],
            "easy": part[part["hardness"] == "easy"],
        }
        words = {"hard": "the ten hard alphabets", "other": "the other forty", "easy": "easy tasks"}
        for kind, own in groups.items():
            course = own.groupby("step")["loss"].mean()
            right.plot(
                course.index, course, f"o{style}", markersize=4, color=COLOURS.get(kind, GREY),
                label=f"{words[kind]}, {name}",
            )  # fmt: skip
    right.set_yscale("log")
    right.set_xticks(sorted(rows["step"].unique()))
    right.set_xlabel("inner steps")
    right.set_title("Loss on the query set")
    figure.legend(*right.get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return figure


def alphabets_lineage(rows: pd.DataFrame) -> Figure:
    """As `alphabets`."""
    return alphabets(rows)


def table1(rows: pd.DataFrame, arrays: dict[str, np.ndarray]) -> Figure:
    """Table 1 beside the paper's."""
    return fewshot.against_paper(rows, TABLE1, "omniglot")


def table1_lineage(rows: pd.DataFrame, arrays: dict[str, np.ndarray]) -> Figure:
    """As `table1`."""
    return table1(rows[rows["algorithm"] != "none"], arrays)


def omniglot_rates(rows: pd.DataFrame, arrays: dict[str, np.ndarray] | None = None) -> Figure:
    """The search for the outer rate: validation accuracy against the rate, a panel for each
    network, with the paper's choices marked."""
    names = {"lineage": "pooled, leaky (lineage)", "text": "strided, ReLU (text)"}
    figure, panels = subplots(1, 2, height=3.1, sharey=True)
    part = rows[rows["split"] == "validation"]
    score = part.groupby(["configuration", "algorithm", "optimiser", "outer_rate"])["accuracy"]
    for axes, (configuration, title) in zip(panels, names.items(), strict=True):
        for (algorithm, optimiser), own in score.mean()[configuration].groupby(level=[0, 1]):
            own = own.droplevel([0, 1])
            optimiser = {"adam": "Adam", "sgd": "SGD"}[optimiser]
            axes.plot(
                own.index, own, fewshot.MARKS[algorithm] + ("-" if optimiser == "Adam" else ":"),
                color=fewshot.colour(algorithm), markersize=4, linewidth=1.4,
                label=f"{fewshot.ALGORITHMS[algorithm]}, {optimiser}",
            )  # fmt: skip
        fewshot.chance(axes, CHANCE["omniglot"]["easy"])
        axes.set_xscale("log")
        axes.set_title(title)
        axes.set_xlabel("outer learning rate")
    panels[0].set_ylabel("validation accuracy, %")
    fewshot.legend(figure, panels[0], 4)
    return figure


def ablation(rows: pd.DataFrame, arrays: dict[str, np.ndarray]) -> Figure:
    """Accuracy with one part of `lineage` changed at a time, with intervals over seeds."""
    lines = rows["part"] + ", " + rows["algorithm"].map(fewshot.ALGORITHMS)
    named = sorted(dict.fromkeys(lines), key=lambda name: "NAL" in name)
    return fewshot.controls(rows.assign(line=lines), "omniglot", named)


ARM_NAMES = {
    "wide": "five alphabets",
    "few": "five alphabets,\nas many characters\nas one",
    "close": "one alphabet",
}


def packing(rows: pd.DataFrame, arrays: dict[str, np.ndarray]) -> Figure:
    """MAML's accuracy minus NAL's on hard tasks in each arm, a gray line for each permutation."""
    figure, panels = subplots(1, 2, height=3.1, sharey=True)
    splits = {"test": "tested on one hard alphabet", "test-5": "tested on five hard alphabets"}
    keyed = dict(
        zip(
            rows[["algorithm", "setting", "split", "hardness"]].itertuples(index=False, name=None),
            arrays["accuracy"],
            strict=True,
        )
    )
    for axes, (split, title) in zip(panels, splits.items(), strict=True):
        gains = np.array(
            [
                keyed["maml", arm, split, "hard"] - keyed["nal-1", arm, split, "hard"]
                for arm in ARM_NAMES
            ]
        )
        axes.plot(range(3), gains, color=GREY, linewidth=0.7, alpha=0.6)
        axes.plot(range(3), gains.mean(1), "o-", color=COLOURS["maml"], label="mean")
        axes.set_xticks(range(3), ARM_NAMES.values(), fontsize=9)
        axes.set_xlim(-0.4, 2.4)
        axes.set_title(title)
    panels[0].set_ylabel("MAML minus NAL, points")
    return figure


def omniglot_controls(rows: pd.DataFrame, arrays: dict[str, np.ndarray]) -> Figure:
    """The controls of both settings, with intervals over seeds."""

    def line(row) -> str:
        words = [row.control] + [fewshot.ALGORITHMS[row.algorithm]] * (
            row.algorithm != "classifier"
        )
        words += [row.setting.capitalize()]
        words += [f"{row.steps} steps"] * (row.steps > 1)
        return ", ".join(words + ["running statistics"] * (row.statistics == "running"))

    lines = [line(row) for row in rows.itertuples()]
    named = sorted(dict.fromkeys(lines), key=lambda name: "Small" in name)
    return fewshot.controls(rows.assign(line=lines), "omniglot", named)


def crossed(rows: pd.DataFrame, arrays: dict[str, np.ndarray]) -> Figure:
    """Networks on the other setting's tasks, with intervals over seeds."""
    lines = "trained in " + rows["trained_in"].str.capitalize() + ", " + rows["setting"] + " tasks"
    named = list(dict.fromkeys(lines))
    return fewshot.controls(rows.assign(line=lines), "omniglot", named)


def dispersion(rows: pd.DataFrame) -> Figure:
    """r_E, r_H and R in both settings, a mark for each seed, by split."""
    figure, grid = subplots(1, 2, height=2.8, sharey=True)
    part = rows[(rows["part"] == "features") & (rows["network"] == "trained")]
    kinds = {"r_easy": ("$r_E$", COLOURS["easy"]), "r_hard": ("$r_H$", COLOURS["hard"])}
    kinds["R"] = ("$R$", GREY)
    for axes, split in zip(grid, fewshot.SPLITS, strict=True):
        for shift, (column, (name, colour)) in zip((-0.2, 0, 0.2), kinds.items(), strict=True):
            for at, setting in enumerate(("large", "small")):
                own = part[(part["setting"] == setting) & (part["split"] == split)][column]
                axes.plot(at + shift, own.mean(), "_", color=colour, markersize=16)
                axes.plot(
                    [at + shift] * len(own), own, "o", color=colour, alpha=0.6,
                    label=name if at == 0 else None,
                )  # fmt: skip
        axes.set_xticks([0, 1], ["Large", "Small"])
        axes.set_xlim(-0.5, 1.5)
        axes.set_ylim(bottom=0)
        axes.set_title(f"{fewshot.SPLITS[split]} classes")
        axes.grid(axis="x", visible=False)
    grid[0].set_ylabel("distance in parameters")
    fewshot.legend(figure, grid[0], 3)
    return figure
