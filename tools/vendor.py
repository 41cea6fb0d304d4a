"""`python -m tools.vendor`: fetch the third-party files of the pages again into vendor/.

Needs npm. The packages come from the npm registry at the versions below; vendor/manifest.json tells
of each its version, licence and the SHA-256 of every file; a test checks them.
To move to a newer release change its version here, run, build and test.
"""

import hashlib
import json
import shutil
import subprocess
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from tools import ROOT

VENDOR = ROOT / "vendor"
MANIFEST = VENDOR / "manifest.json"


@dataclass(frozen=True)
class Package:
    """An npm package: the files we carry (glob patterns below `root`) and the folder they go to."""

    name: str
    version: str
    licence: str
    folder: str
    root: str
    files: tuple[str, ...]


PACKAGES = (
    Package(
        "mathjax",
        "3.2.2",
        "Apache-2.0",
        "mathjax",
        "es5",
        ("tex-chtml-full.js", "output/chtml/fonts/woff-v2/*.woff"),
    ),
    Package(
        "@fontsource-variable/source-serif-4",
        "5.3.1",
        "OFL-1.1",
        "fonts/source-serif-4",
        "files",
        ("source-serif-4-latin-wght-*.woff2",),
    ),
    Package(
        "@fontsource-variable/source-sans-3",
        "5.3.0",
        "OFL-1.1",
        "fonts/source-sans-3",
        "files",
        ("source-sans-3-latin-wght-*.woff2",),
    ),
    Package(
        "@fontsource-variable/source-code-pro",
        "5.3.1",
        "OFL-1.1",
        "fonts/source-code-pro",
        "files",
        ("source-code-pro-latin-wght-normal.woff2", "source-code-pro-greek-wght-normal.woff2"),
    ),
)


def fetch(package: Package, scratch: Path) -> None:
    """Put the package's files and its licence into its folder below vendor/."""
    spec = f"{package.name}@{package.version}"
    packed = subprocess.run(
        ["npm", "pack", "--silent", spec], cwd=scratch, check=True, capture_output=True, text=True
    )
    with tarfile.open(scratch / packed.stdout.split()[-1]) as archive:
        archive.extractall(scratch / package.folder, filter="data")
    source = scratch / package.folder / "package"
    target = VENDOR / package.folder
    target.mkdir(parents=True)
    for pattern in package.files:
        for file in sorted((source / package.root).glob(pattern)):
            place = target / file.relative_to(source / package.root)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, place)
    shutil.copyfile(source / "LICENSE", target / "LICENSE")


def sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def manifest() -> list[dict[str, object]]:
    """What vendor/ holds: one entry a package, with the SHA-256 of each of its files."""
    return [
        {
            "name": package.name,
            "version": package.version,
            "licence": package.licence,
            "sha256": {
                str(PurePosixPath(file.relative_to(VENDOR))): sha256(file)
                for file in sorted((VENDOR / package.folder).rglob("*"))
                if file.is_file()
            },
        }
        for package in PACKAGES
    ]


def main() -> None:
    shutil.rmtree(VENDOR, ignore_errors=True)
    with tempfile.TemporaryDirectory() as scratch:
        for package in PACKAGES:
            print(f"{package.name} {package.version}")
            fetch(package, Path(scratch))
    MANIFEST.write_text(json.dumps(manifest(), indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
