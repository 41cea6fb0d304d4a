"""`python -m tools.screenshot [PAGE]`: the README's picture, of the built page."""

import io
from typing import Annotated

import tyro
from PIL import Image

from mamlbook.records import write_atomic
from tools import HTML, ROOT
from tools.browser import launched, view

PICTURE = ROOT / "page.png"
SIZE_LIMIT = 200_000


def main(page: Annotated[str, tyro.conf.Positional] = "chapters/hardness.html") -> None:
    """Picture the top of a built page into page.png.

    Args:
        page: the page below _build/html.
    """
    if not (HTML / page).is_file():
        raise SystemExit(f"There is no page {page} in {HTML}: build the book with `make book`.")
    with launched() as browser:
        window = view(browser).new_page()
        window.goto((HTML / page).as_uri())
        window.wait_for_load_state("networkidle")
        window.evaluate("window.MathJax?.startup?.promise.then(() => null)")
        shot = Image.open(io.BytesIO(window.screenshot()))
    buffer = io.BytesIO()
    shot.quantize(128, dither=Image.Dither.NONE).save(buffer, "PNG", optimize=True)
    if buffer.tell() > SIZE_LIMIT:
        raise SystemExit(f"The picture is {buffer.tell()} bytes, more than {SIZE_LIMIT}.")
    write_atomic(PICTURE, buffer.getvalue())
    print(f"{PICTURE}: {buffer.tell()} bytes")


if __name__ == "__main__":
    tyro.cli(main)
