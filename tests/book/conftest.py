"""A book of one page, to try what builds the true one."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tools import ROOT

Build = Callable[[Path], subprocess.CompletedProcess[str]]
# The chapters for what the first page takes from them; the table of contents leaves them out.
SOURCES = (
    "_config.yml",
    "references.bib",
    "chapters",
    "mamlbook",
    "tools",
    "vendor",
    "results",
    "pyproject.toml",
)


@pytest.fixture(scope="module")
def booklet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A book of one page, with all that builds the true one; not yet built."""
    folder = tmp_path_factory.mktemp("booklet")
    for name in SOURCES:
        if (ROOT / name).is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / name, folder / name, ignore=ignored)
        else:
            shutil.copy(ROOT / name, folder / name)
    (folder / "_toc.yml").write_text("format: jb-book\nroot: intro\n", encoding="utf-8")
    (folder / "intro.md").write_text("# The only page\n", encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def build() -> Build:
    """Build the book in a folder, and return the finished command."""

    def run(folder: Path) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "tools.build"]
        return subprocess.run(command, cwd=folder, capture_output=True, text=True)

    return run
