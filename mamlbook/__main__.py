"""The command line: python -m mamlbook list | reproduce | train | diagnose | adapt | verify."""

import difflib
import io
import shlex
import sys
import time
import traceback
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path
from types import ModuleType
from typing import Annotated

import tyro

from mamlbook import __version__, jobs, records
from mamlbook.errors import ComputationError, InputError, Stopped
from mamlbook.experiments.catalogue import ITEMS, Item, Lacking, check, lacking

USAGE = """\
usage: python -m mamlbook COMMAND

  list                  every figure and table, where its record is, and what it costs
  reproduce ITEM        compute a figure or table; --help after ITEM shows its settings
  train omniglot|cifar  train and evaluate cells of Table 1 or 2, resumably; --help shows all
  train folder PATH     the same on a folder of class folders of your own pictures
  diagnose TABLE        whether MAML pays on the tasks in your own table; --help shows all
  adapt MODEL FOLDER    adapt a trained network to pictures of your own, and classify others
  export omniglot|cifar write a trained cell as a model: weights and a card
  export classifier     train a plain classifier of Omniglot's characters; write it as a model
  verify [ITEM ...]     check every record, or these, against the code; cheap ones are recomputed
  --version             the version of the package and, where it is known, the commit of its code
"""
HELP = ("-h", "--help")


def main(arguments: list[str]) -> int:
    """Run one command; bad input ends it with one sentence and exit status 2.

    Lets an error through that is none of the kinds of `mamlbook.errors`: a fault of the program.
    """
    commands: dict[str, Callable[[list[str]], int]] = {
        "list": list_items,
        "reproduce": reproduce,
        "train": train,
        "diagnose": diagnose,
        "adapt": adapt,
        "export": export,
        "verify": verify,
    }
    if not arguments or arguments[0] in HELP:
        print(USAGE, end="")
        return 0
    if lines := _usage(arguments):
        print("\n".join(lines))
        return 0
    if arguments == ["--version"]:
        known_as = records.commit()
        print(f"mamlbook {__version__}" + (f", commit {known_as}" if known_as else ""))
        return 0
    try:
        return commands[known("command", arguments[0], commands)](arguments[1:])
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    except ComputationError as error:
        print(error, file=sys.stderr)
        return 1
    except Stopped as stop:
        print(stop, file=sys.stderr)
        return 128 + stop.signum
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        return 130
    except OSError as error:
        named = f": {error.filename}" if error.filename else ""
        print(f"{error.strerror or error}{named}; what was saved before is whole.", file=sys.stderr)
        return 1
    except MemoryError as error:
        print(f"The memory is not enough; choose smaller counts. {error}".strip(), file=sys.stderr)
        return 1


def _usage(arguments: list[str]) -> list[str]:
    """What `COMMAND --help` prints for a command that has no settings of its own, or none yet."""
    if len(arguments) != 2 or arguments[1] not in HELP or arguments[0] in ("diagnose", "adapt"):
        return []
    first, _, *lines = USAGE.splitlines()
    own = [line for line in lines if line.split()[0] == arguments[0]]
    return [first, "", *own] if own else []


def known(kind: str, name: str, names) -> str:
    """The name itself; InputError naming the nearest known one if there is no such name."""
    if name in names:
        return name
    near = difflib.get_close_matches(name.lower(), names, n=1, cutoff=0)[0]
    shown = "list` shows every item" if kind == "item" else "--help` shows every command"
    raise InputError(
        f"There is no {kind} {name!r}; did you mean {near!r}? `python -m mamlbook {shown}."
    )


def list_items(arguments: list[str]) -> int:
    """Print every item, its place in the paper, its record, and the cost of computing it."""
    if arguments:
        raise InputError(f"`list` takes no arguments, got {' '.join(arguments)!r}.")
    print(f"{'item':19}{'in the paper':30}{'full cost':16}record")
    for item in ITEMS.values():
        print(f"{item.name:19}{item.reference:30}{item.cost:16}{_where(item)}")
    print(
        "\nOn tasks of your own: `python -m mamlbook diagnose TABLE --task COLUMN --target COLUMN` "
        "says whether MAML pays on them; --help shows its settings."
    )
    return 0


def reproduce(arguments: list[str]) -> int:
    """Make one item with its settings and write ITEM.csv, ITEM.json and ITEM.svg."""
    if not arguments or arguments[0].startswith("-"):
        raise InputError("`reproduce` needs an item; `python -m mamlbook list` shows every one.")
    item = ITEMS[known("item", arguments[0], ITEMS)]

    def run(
        settings, out: Path = Path("runs"), rows_only: bool = False, cluster: str | None = None
    ) -> int:
        """Make the item.

        Args:
            out: the folder for ITEM.csv, ITEM.json and ITEM.svg; what is trained for it is kept
                in folders within it.
            rows_only: leave arrays (ITEM.npz, megabytes) out of the record, as in results/.
            cluster: the address of a dask scheduler whose workers train, such as tcp://host:8786.
        """
        from mamlbook import figures

        check(settings)
        records.check_folder(out)
        if cluster and not hasattr(settings, "workers"):
            raise InputError(f"{item.name} trains no cells; leave out --cluster.")
        commit = records.commit()  # of the code that runs, whatever is committed meanwhile
        if commit is None:
            print(
                "The commit of this code is not known, so `verify` will not accept the record; "
                f"set {records.COMMIT} to it, or run from a checkout that git can read.",
                file=sys.stderr,
            )
        start = time.perf_counter()
        with jobs.at(out, cluster):
            made = item.load("make")(settings)
        rows, arrays = made if isinstance(made, tuple) else (made, {})
        provenance = records.provenance(
            settings,
            command=f"python -m mamlbook reproduce {shlex.join(arguments)}",
            commit=commit,
            wall_seconds=time.perf_counter() - start,
            device=getattr(settings, "device", "cpu"),
            data_digest=_digest(item.data) if item.data else None,
        )
        records.check_finite(rows, item.name)
        if item.data:
            from mamlbook.fewshot.training.canary import canary

            settled = provenance["settings"]
            provenance["canary"] = canary(item.data, settled, rows, commit or "unknown")
        stored = records.Record(item.name, rows, provenance, {} if rows_only else arrays)
        path = records.save(stored, out)  # before the drawing, which may fail
        with figures.style.house():
            figure = item.load("draw")(*((rows, arrays) if arrays else (rows,)))
        figures.save(figure, out / f"{item.name}.svg")
        print(f"{item.reference}: {len(rows)} rows in {path}, {provenance['wall_seconds']:.1f} s")
        return 0

    kind = item.load("settings")
    run.__annotations__["settings"] = Annotated[kind, tyro.conf.OmitArgPrefixes]
    run.__defaults__ = (kind(), *run.__defaults__)
    return tyro.cli(
        run,
        prog=f"python -m mamlbook reproduce {item.name}",
        description=kind.__doc__,
        args=arguments[1:],
    )


def train(arguments: list[str]) -> int:
    """Train and evaluate networks: `train omniglot`, `train cifar` or `train folder PATH`."""
    try:
        from mamlbook.fewshot import command
    except ModuleNotFoundError as missing:
        raise InputError(lacking("Training", missing)) from None
    kinds: dict[str, Callable[..., None]] = {
        "omniglot": command.omniglot,
        "cifar": command.cifar,
        "folder": command.folder,
    }
    if not arguments:
        raise InputError(f"`train` needs one of {', '.join(kinds)}.")
    kind = known("training", arguments[0], kinds)
    tyro.cli(kinds[kind], prog=f"python -m mamlbook train {kind}", args=arguments[1:])
    return 0


def diagnose(arguments: list[str]) -> int:
    """Say whether MAML's initialization pays on the tasks in a table."""
    from mamlbook.diagnose import command

    return command.run(arguments)


def adapt(arguments: list[str]) -> int:
    """Adapt a trained network to a folder of pictures: `adapt MODEL FOLDER`."""
    command = _fewshot("models.command")
    tyro.cli(command.adapt, prog="python -m mamlbook adapt", args=arguments)
    return 0


def export(arguments: list[str]) -> int:
    """Write a trained cell as a model: `export omniglot`, `cifar` or `classifier`."""
    command = _fewshot("models.command")
    kinds = {
        "omniglot": command.export_omniglot,
        "cifar": command.export_cifar,
        "classifier": command.export_classifier,
    }
    if not arguments:
        raise InputError(f"`export` needs one of {', '.join(kinds)}.")
    kind = known("data set", arguments[0], kinds)
    tyro.cli(kinds[kind], prog=f"python -m mamlbook export {kind}", args=arguments[1:])
    return 0


def _fewshot(module: str) -> ModuleType:
    """A module of `mamlbook.fewshot`; InputError, with the remedy, where torch is missing."""
    try:
        return import_module(f"mamlbook.fewshot.{module}")
    except ModuleNotFoundError as missing:
        raise InputError(lacking("This", missing)) from None


def verify(arguments: list[str]) -> int:
    """Check stored records, all or those named, one line per item; 1 if any does not agree."""
    from mamlbook import verification

    items = [ITEMS[known("item", name, ITEMS)] for name in dict.fromkeys(arguments)]
    items = items or list(ITEMS.values())
    failed, unchecked = 0, []
    for item in items:
        start = time.perf_counter()
        try:
            done = verification.verify(item, records.RESULTS)
            said = verification.SAID.get(done, "agrees")
        except Lacking as lack:
            done, said = "", f"NOT CHECKED: {lack}"
            unchecked.append(item.name)
        except (InputError, ComputationError) as fault:
            done, said, failed = "", f"DOES NOT AGREE: {fault}", failed + 1
        seconds = time.perf_counter() - start
        print(f"{item.name:19}{done or '-':15}{seconds:6.1f} s  {said}", flush=True)
    agree = len(items) - failed - len(unchecked)
    left = f" Not checked: {', '.join(unchecked)}." if unchecked else ""
    print(f"{agree} of {len(items)} records agree.{left}")
    return min(failed, 1)


def _digest(data: str) -> str:
    from mamlbook.fewshot.data.images import SOURCES

    return SOURCES[data].digest


def _where(item: Item) -> str:
    stored = records.RESULTS / f"{item.name}.json"
    if not stored.exists():
        return "made in its chapter"
    return f"results/{stored.name}, {records.load(item.name).provenance['made'][:10]}"


def entry() -> int:
    """The console script `mamlbook`; a terminal that lacks a letter shows its code instead."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        return main(sys.argv[1:])
    except Exception:
        traceback.print_exc()
        print(f"\n{_report()}", file=sys.stderr)
        return 1


def _report() -> str:
    """Where to report a fault of the program: the address that the package was built with."""
    try:
        addresses = metadata("mamlbook").get_all("Project-URL") or []
    except PackageNotFoundError:
        addresses = []
    named = dict(each.split(", ", 1) for each in addresses)
    where = named.get("Issues") or "the place you have this book from"
    return (
        f"This is a fault of mamlbook {__version__}, not of your input. "
        f"Please report it, with the lines above, to {where}."
    )


if __name__ == "__main__":
    sys.exit(entry())
