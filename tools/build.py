"""`python -m tools.build`: the book, strictly, into _build/html.

A warning fails the build. Sphinx tells of a page's warnings only when it reads the page, so after a
failure the next build starts from nothing rather than pass in silence.
"""

import shutil
import subprocess
import sys
from pathlib import Path

from tools import HTML, ROOT, environment


def build() -> int:
    """Build the book and return the exit status, 0 if there was not one warning."""
    book = Path(sys.executable).parent / "jupyter-book"
    command = [book, "build", ".", "-W", "--keep-going", "-n"]
    status = subprocess.run(command, cwd=ROOT, env=environment()).returncode
    if status:
        shutil.rmtree(HTML.parent, ignore_errors=True)
    else:
        print(f"The book is at {HTML / 'index.html'}")
    return status


if __name__ == "__main__":
    sys.exit(build())
