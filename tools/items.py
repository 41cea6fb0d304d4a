"""Sphinx extension: the directive {items}, every figure and table with the cost of its record."""

from collections.abc import Iterator

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from mamlbook import records
from mamlbook.experiments import catalogue

HEAD = ("item", "in the paper", "full cost", "record took", "training", "on", "verified")


class Items(SphinxDirective):
    """A table of every item of the catalogue; what a record says comes from the record."""

    def run(self) -> list[nodes.Node]:
        for path in (catalogue.__file__, *map(str, records.RESULTS.glob("*.json"))):
            self.env.note_dependency(path)
        table = [HEAD, ("---",) * len(HEAD), *rows()]
        lines = ["| " + " | ".join(cells) + " |" for cells in table]
        holder = nodes.container()
        self.state.nested_parse(StringList(lines, source=__file__), self.content_offset, holder)
        return holder.children


def rows() -> Iterator[tuple[str, ...]]:
    """One row an item, in the columns of HEAD."""
    for item in catalogue.ITEMS.values():
        record = records.load(item.name)
        took, training, device = cost(record)
        done = "one case" if item.canary else "canary" if item.expensive else "computed again"
        yield f"`{item.name}`", item.reference, item.cost, took, training, device, done


def cost(record: records.Record) -> tuple[str, str, str]:
    """How long its command ran, how long its networks were trained (if any were), on what."""
    training = ""
    if "train_seconds" in record.rows:  # the same in every row of a training
        training = duration(record.rows["train_seconds"].drop_duplicates().sum())
    return duration(record.provenance["wall_seconds"]), training, record.provenance["device"]


def duration(seconds: float) -> str:
    """Seconds for people: 0.4 s, 12 s, 3 min, 1.5 h."""
    for size, unit in ((3600, "h"), (60, "min")):
        if seconds >= 1.5 * size:
            return f"{seconds / size:.2g} {unit}"
    return f"{seconds:.2g} s" if seconds < 100 else f"{seconds:.0f} s"


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("items", Items)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
