"""`python -m tools.execute [CHAPTER ...]`: execute chapters and store their outputs.

A second run gives the same bytes; `--times` also stores what each took, which differs. A chapter
runs in its own folder, in this Python, with the repository's package importable; it is written only
when every cell has succeeded.
"""

import json
import time
from pathlib import Path
from typing import Annotated

import ipykernel.kernelspec
import nbformat
import tyro
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from jupyter_core.utils import run_sync
from nbclient import NotebookClient
from nbformat import NotebookNode

from mamlbook.records import write_atomic
from tools import TIMES, environment
from tools.notebooks import chapters, settled


class ThisPython(KernelSpecManager):
    """Whatever kernel a notebook names, it runs in the interpreter that runs this."""

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
        return KernelSpec(
            resource_dir=ipykernel.kernelspec.RESOURCES, **ipykernel.kernelspec.get_kernel_dict()
        )


def run(path: Path, timeout: int = 600) -> NotebookNode:
    """The chapter at `path`, executed. `timeout` is for one cell, in seconds.

    Raises nbclient.exceptions.CellExecutionError if a cell fails.
    """
    notebook = nbformat.read(path, as_version=4)
    notebook.metadata.pop("widgets", None)
    client = NotebookClient(
        notebook,
        km=AsyncKernelManager(kernel_spec_manager=ThisPython()),
        extra_arguments=["--IPKernelApp.log_level=ERROR"],
        timeout=timeout,
        resources={"metadata": {"path": str(path.parent)}},
        coalesce_streams=True,
        record_timing=False,
        store_widget_state=True,
    )
    try:
        return client.execute(env=environment())
    finally:  # nbclient leaves a kernel that it was given running
        if client.km.has_kernel:
            run_sync(client.km.shutdown_kernel)(now=True)


def main(names: Annotated[tuple[str, ...], tyro.conf.Positional] = (), times: bool = False) -> None:
    """Execute chapters and store their outputs.

    Args:
        names: the chapters to execute, such as `hardness`; all of them if none is named.
        times: store the seconds that each took, for the pages.
    """
    known = {path.stem: path for path in chapters()}
    if unknown := set(names) - set(known):
        raise SystemExit(f"No chapter {', '.join(sorted(unknown))}: there are {', '.join(known)}.")
    for name in names or known:
        start = time.perf_counter()
        write_atomic(known[name], settled(run(known[name])))
        seconds = time.perf_counter() - start
        print(f"{name}: {seconds:.1f} s", flush=True)
        if times:
            measured = json.loads(TIMES.read_bytes()) if TIMES.exists() else {}
            measured[name] = round(seconds)
            text = json.dumps(dict(sorted(measured.items())), indent=1) + "\n"
            TIMES.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    tyro.cli(main)
