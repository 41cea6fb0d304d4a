"""`python -m mamlbook diagnose TABLE`: the command line of a diagnosis."""

import shlex
from pathlib import Path
from typing import Annotated, Literal

import tyro

from mamlbook import records
from mamlbook.diagnose.diagnosis import diagnose
from mamlbook.diagnose.report import page, text
from mamlbook.diagnose.table import from_frame, read


def run(arguments: list[str]) -> int:
    """Diagnose a table and print the report; TableError, in one sentence, if it cannot be."""

    def command(
        table: tyro.conf.Positional[Path],
        task: str,
        target: str,
        features: tuple[str, ...] = (),
        support: int = 5,
        adapt: Literal["all", "intercept"] = "all",
        steps: tuple[int, ...] = (1, 5),
        out: Annotated[Path | None, tyro.conf.arg(metavar="FOLDER")] = None,
        html: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None,
    ) -> int:
        """Does MAML's initialization beat NAL's on these tasks, by how much, and does something
        simpler beat both?

        Args:
            table: a row for each observation, as .csv (comma, semicolon, tab), .npz or .parquet.
            task: the column that says which task a row belongs to.
            target: the column to be predicted.
            features: the columns to predict from; all others that have a name if none is given.
            support: how many rows a new task will have to adapt on.
            adapt: what the inner loop changes, all parameters or the intercept alone; try both.
            steps: the numbers of inner steps to choose from.
            out: write diagnose.csv, diagnose.json and the pictures into this folder.
            html: write the report as one HTML file.
        """
        for path in (out, html and html.parent):
            if path is not None:
                records.check_folder(path)
        tasks = from_frame(read(table, task), task, target, features)
        found = diagnose(tasks, support=support, adapt=adapt, steps=steps)
        print(text(found), end="")
        if out is not None:
            from mamlbook import figures

            typed = f"python -m mamlbook diagnose {shlex.join(arguments)}"
            records.save(found.record(typed), out)
            for name in figures.diagnose.ALT:
                drawn = getattr(figures.diagnose, name)(found)
                figures.save(drawn, out / f"diagnose_{name}.svg")
        if html is not None:
            html.parent.mkdir(parents=True, exist_ok=True)
            records.write_atomic(html, page(found, f"MAML on {table.name}?").encode())
        return 0

    return tyro.cli(command, prog="python -m mamlbook diagnose", args=arguments)
