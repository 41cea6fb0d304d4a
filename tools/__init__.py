"""How the book is executed, built and checked."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HTML = ROOT / "_build" / "html"
TIMES = ROOT / "tools" / "times.json"  # chapter -> seconds that executing it took
# What a machine may lack: the extras `book` and `test` of pyproject.toml, and what comes with them.
OPTIONAL = [
    *(
        "axe_playwright_python",
        "bs4",
        "docutils",
        "filelock",
        "hypothesis",
        "ipykernel",
        "jupyter_book",
    ),
    *("jupyter_client", "myst_nb", "nbclient", "nbformat", "nbval", "playwright", "sphinx"),
    *("statsmodels", "sympy", "xdist", "yaml"),
]


def environment() -> dict[str, str]:
    """The environment of a kernel or a build: this tree's packages before any installed ones."""
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "PYTHONHASHSEED": "0"}
