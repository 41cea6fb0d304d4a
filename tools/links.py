"""`python -m tools.links`: every link of the built pages leads somewhere.

Links within the book are followed to their page and anchor; links out of it are not fetched, only
required to be whole https addresses.
"""

import sys
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

from tools import HTML

ADDRESSES = {("a", "href"), ("link", "href"), ("img", "src"), ("script", "src"), ("source", "src")}


@dataclass
class Page(HTMLParser):
    """The anchors of a page, the addresses it links to and those it loads."""

    anchors: set[str] = field(default_factory=set)
    links: list[str] = field(default_factory=list)
    loads: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "id" or (tag, name) == ("a", "name"):
                self.anchors.add(value or "")
            elif (tag, name) in ADDRESSES:
                (self.links if tag == "a" else self.loads).append(value or "")


def read(folder: Path) -> dict[Path, Page]:
    """Every page of `folder`, read."""
    pages = {}
    for path in sorted(folder.resolve().rglob("*.html")):
        if "_static" not in path.relative_to(folder.resolve()).parts:
            pages[path] = Page()
            pages[path].feed(path.read_text(encoding="utf-8"))
    return pages


def broken(folder: Path) -> list[str]:
    """One sentence for each link of the pages in `folder` that leads nowhere."""
    pages = read(folder)
    if not pages:
        return [f"There are no pages in {folder}: build the book with `python -m tools.build`."]
    return [
        f"{path.relative_to(folder.resolve())}: {address!r} {fault}"
        for path, page in pages.items()
        for address, loaded in [(a, False) for a in page.links] + [(a, True) for a in page.loads]
        if (fault := _fault(path, address, loaded, pages))
    ]


def _fault(path: Path, address: str, loaded: bool, pages: dict[Path, Page]) -> str | None:
    parts = urlsplit(address)
    if parts.scheme or parts.netloc:
        if loaded:
            return "is loaded from outside the book"
        whole = parts.scheme == "https" and "." in parts.netloc and " " not in address
        return None if whole or parts.scheme == "mailto" else "is not a whole https address"
    target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
    if not target.is_file():
        return "leads to no file"
    if parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].anchors:
        return "leads to no anchor"
    return None


def main() -> int:
    faults = broken(HTML)
    print("\n".join(faults) or f"Every link of {len(read(HTML))} pages leads somewhere.")
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main())
