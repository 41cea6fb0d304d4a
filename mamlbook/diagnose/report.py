"""A diagnosis in words: for the terminal, and as one file of HTML that opens alone."""

import html
import io
from collections.abc import Iterator

import pandas as pd

from mamlbook.diagnose.diagnosis import Diagnosis
from mamlbook.diagnose.evidence import THRESHOLD, coverage
from mamlbook.diagnose.methods import NAMES

SHOWN = 8  # tasks in the report: the hardest and the easiest half
HEADINGS = {
    "pays": "MAML's initialization pays",
    "pays-but": "MAML's initialization pays, but {other} is better",
    "does-not": "MAML's initialization does not pay",
    "cannot-tell": "These tasks cannot tell whether MAML's initialization pays",
}


def verdict(diagnosis: Diagnosis) -> str:
    """One sentence: the class, the gain with its interval, and the better alternative."""
    gain, other = diagnosis.gain, diagnosis.alternative
    known = coverage(len(diagnosis.rows))
    said = HEADINGS[diagnosis.kind].format(other=f"the method '{NAMES[other[0]]}'" if other else "")
    said += (
        f": after adapting on {diagnosis.settings.support} rows, NAL's loss is "
        f"{_number(gain.value, 2)} times MAML's (interval {_number(gain.low, 2)} to "
        f"{_number(gain.high, 2)}, measured coverage "
        f"{known['gain_low']:.0f} to {known['gain_high']:.0f}%)"
    )
    if other:
        name, found = other
        said += (
            f"; the loss of the better of the two is {_number(found.value, 2)} times "
            f"({_number(found.low, 2)} to {_number(found.high, 2)}) that of '{NAMES[name]}'"
        )
    return said + "."


def _number(value: float, digits: int = 3) -> str:
    """A loss or a ratio with so many decimals, from 100 on with none."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.{digits}f}"


def methods_table(diagnosis: Diagnosis) -> pd.DataFrame:
    """The loss of each method, and its ratio to MAML's, with their intervals, in words."""

    def known(value: float, low: float, high: float) -> str:
        alone, *ends = map(_number, (value, low, high))
        interval = "\u00a0to\u00a0".join(ends)  # which no line break tears apart
        return alone if ends == [alone, alone] else f"{alone} ({interval})"

    rows = diagnosis.methods
    loss = rows[["loss", "low", "high"]].itertuples(index=False)
    over = rows[["over_maml", "over_maml_low", "over_maml_high"]].itertuples(index=False)
    return pd.DataFrame(
        {
            "loss": [known(*each) for each in loss],
            "ratio to MAML's": [known(*each) for each in over],
        },
        index=list(rows["method"].map(NAMES)),
    ).rename_axis(columns="method")


Section = tuple[str, pd.DataFrame | None, list[str]]


def sections(diagnosis: Diagnosis) -> Iterator[Section]:
    """What the report says after the verdict, in its order: heading, table, and sentences."""
    d = diagnosis
    heading = "Methods: mean squared error on new rows, as a share of the target's variance"
    yield heading, methods_table(d), []
    rows = (
        d.rows
        if len(d.rows) <= SHOWN
        else d.rows.iloc[[*range(SHOWN // 2), *range(-SHOWN // 2, 0)]]
    )
    tasks = pd.DataFrame(
        {
            "rows": rows["rows"].map(str),
            "share left": rows["share_left"].map("{:.3f}".format),
            "loss before": rows["distance"].map("{:.4f}".format),
            "after NAL": rows["loss_nal"].map("{:.4f}".format),
            "after MAML": rows["loss_maml"].map("{:.4f}".format),
            "share of change": rows["share_of_change"].map("{:.1%}".format),
        }
    )
    tasks = tasks.set_axis(rows["task"].str[:23].to_list()).rename_axis(columns="task")
    largest = d.rows.reindex(d.rows["share_of_change"].abs().sort_values(ascending=False).index)[:3]
    shares = ", ".join(f"{r.task} ({abs(r.share_of_change):.0%})" for r in largest.itertuples())
    lines = [
        f"MAML helps {int(d.rows['helped'].sum())} of {len(d.rows)} tasks; of all that it changes, "
        f"for better or worse, most falls on {shares}.",
        "With MAML's inner loop, and fitted to all tasks, NAL's initialization loses "
        f"{d.explained:.3g} more than MAML's: the squared distance of the two, in the metric of "
        "the curvature that adapting leaves.",
    ]
    yield "Tasks, hardest first: the share of the loss that adapting from NAL leaves", tasks, lines

    known = coverage(len(d.rows))
    yield (
        "What this number of tasks can find",
        None,
        [
            f"{len(d.rows)} tasks find a gain of {d.least_gain:.3g} in four cases of five; a gain "
            f"of 1.1 would need about {d.tasks_for:,} such tasks.",
            f"A gain counts if its interval lies above {THRESHOLD}.",
            "The intervals are Student's over tasks, nominally 95%. In simulated worlds whose "
            f"answer is known, with {known['tasks']} tasks and every choice nested as here, the "
            f"interval of a gain contains it in {known['gain_low']:.0f} to "
            f"{known['gain_high']:.0f}% of the worlds, that of a loss in "
            f"{known['loss_low']:.0f} to {known['loss_high']:.0f}%.",
        ],
    )

    def loop(name: str) -> str:
        steps = d.steps[name]
        return f"{steps} step{'s' * (steps > 1)} of {d.alpha[name]:.3g}"

    what = "all parameters" if d.settings.adapt == "all" else "the intercept alone"
    dropped = f"; {d.dropped} tasks with fewer rows were dropped" if d.dropped else ""
    yield (
        "Cost and settings",
        None,
        [
            f"Adapting {what}: NAL {loop('nal')}, MAML {loop('maml')}, each chosen by nested "
            "cross-validation over tasks.",
            f"One outer step of MAML costs about {d.cost:.2g} times one of NAL.",
            f"Features ({', '.join(d.features)}) and target were standardized over all rows; every "
            f"task weighs the same{dropped}.",
        ],
    )


def text(diagnosis: Diagnosis) -> str:
    """The report for a terminal."""
    parts = [diagnosis.verdict]
    for heading, table, lines in sections(diagnosis):
        parts.append("\n".join([heading, *(f"  {line}" for line in [*_printed(table), *lines])]))
    return "\n\n".join(parts) + "\n"


def _printed(table: pd.DataFrame | None) -> list[str]:
    """A table's lines, its index to the left."""
    if table is None:
        return []
    heading = table.columns.name
    width = max(map(len, [*table.index, heading]))
    labels = table.index.str.ljust(width).rename(heading.ljust(width))
    return (
        table.set_index(labels)
        .reset_index()
        .to_string(index=False)
        .replace("\u00a0", " ")
        .splitlines()
    )


def page(diagnosis: Diagnosis, title: str) -> str:
    """The report as one HTML file with its pictures inside, which asks for nothing else."""
    from mamlbook.figures import diagnose as figures

    parts = [
        f"<h1>{html.escape(title)}</h1>",
        f"<p><strong>{html.escape(diagnosis.verdict)}</strong></p>",
    ]
    for heading, table, lines in sections(diagnosis):
        parts.append(f"<h2>{html.escape(heading)}</h2>")
        if table is not None:
            parts.append(f'<div tabindex="0">{table.to_html(border=0)}</div>')
        parts += [f"<p>{html.escape(line)}</p>" for line in lines]
    for name, alt in figures.ALT.items():
        buffer = io.StringIO()
        figure = getattr(figures, name)(diagnosis)
        with figures.style():
            figure.savefig(buffer, format="svg", metadata={"Date": None})
        drawn = buffer.getvalue()
        drawn = drawn[drawn.index("<svg") :]
        labeled = f'<figure tabindex="0" role="img" aria-label="{html.escape(alt)}">'
        parts.append(f"{labeled}{drawn}</figure>")
        parts.append(f"<p>{html.escape(alt)}</p>")
    return PAGE.format(title=html.escape(title), body="\n".join(parts))


PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
body {{ font: 16px/1.5 sans-serif; max-width: 46rem; margin: 2rem auto; padding: 0 1rem;
  color: #1f2937; background: #ffffff; }}
h1 {{ font-size: 1.6rem; line-height: 1.25; }}
h2 {{ font-size: 1.15rem; line-height: 1.3; margin: 2rem 0 0.5rem; }}
div {{ overflow-x: auto; }}
table {{ border-collapse: collapse; font-size: 0.85rem; font-variant-numeric: tabular-nums; }}
th, td {{ padding: 0.25rem 0.5rem; text-align: right; border-bottom: 1px solid #d1d5db; }}
th:first-child {{ text-align: left; }}
tbody th {{ font-weight: normal; }}
figure {{ margin: 1rem 0; overflow-x: auto; }}
svg {{ width: 100%; min-width: 32rem; height: auto; }}
</style>
</head>
<body>
{body}
</body>
</html>
"""
