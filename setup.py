"""The wheel carries two things that lie elsewhere in the source tree: the records of results/, and
the commit it was built from. Everything else is in pyproject.toml."""

import shutil
import subprocess
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent


class WithRecords(build_py):
    """Copy the records into the package, and note the commit beside them."""

    def run(self) -> None:
        super().run()
        if self.editable_mode:  # a checkout has its own
            return
        package = Path(self.build_lib) / "mamlbook"
        shutil.copytree(ROOT / "results", package / "results", dirs_exist_ok=True)
        if (ROOT / ".git").exists():
            command = ["git", "describe", "--always", "--abbrev=40", "--dirty", "--exclude=*"]
            said = subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8")
            if said.returncode == 0:
                (package / "COMMIT").write_text(said.stdout, encoding="utf-8")


setup(cmdclass={"build_py": WithRecords})
