"""The package's modules stand in rooms, and short paths to them hold."""

import subprocess
import sys

from mamlbook import fewshot
from tools import ROOT


def test_no_module_stands_outside_a_room():
    found = {path.name for path in (ROOT / "mamlbook/fewshot").glob("*.py")}
    assert found == {"__init__.py", "settings.py", "command.py"}


def test_a_short_path_leads_to_the_module():
    """However it is imported, in a process that has imported nothing else."""
    lines = []
    for module in fewshot.SHORT:
        name = module.__name__.rpartition(".")[2]
        ways = f"""
import mamlbook.fewshot.{name} as first
from mamlbook.fewshot import {name} as second
import {module.__name__} as third
assert first is second is third
"""
        lines.append(ways)
    subprocess.run([sys.executable, "-c", "".join(lines)], cwd=ROOT, check=True)


def test_own_images_by_the_short_path():
    from mamlbook.fewshot.images import from_folder

    assert from_folder is fewshot.images.from_folder
