"""Sphinx extension: the directive {picture}, a chapter's stored figure on another page."""

import nbformat
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from tools import HTML, ROOT

FOLDER = HTML.parent / "pictures"  # below the source, as Sphinx demands of images


class Picture(SphinxDirective):
    """`{picture} chapters/hardness fig-2`: that figure, with its alt text; the content is the
    caption."""

    required_arguments = 2
    has_content = True

    def run(self) -> list[nodes.Node]:
        page, name = self.arguments
        path = ROOT / f"{page}.ipynb"
        self.env.note_dependency(str(path))
        for cell in nbformat.read(path, as_version=4).cells:
            mystnb = cell.metadata.get("mystnb", {})
            if mystnb.get("figure", {}).get("name") == name:
                [svg] = [
                    output.data["image/svg+xml"]
                    for output in cell.outputs
                    if "image/svg+xml" in output.get("data", {})
                ]
                break
        else:
            raise self.error(f"{page} has no figure {name}.")
        FOLDER.mkdir(parents=True, exist_ok=True)
        (FOLDER / f"{name}.svg").write_text(svg, encoding="utf-8")
        uri = f"/{(FOLDER / name).relative_to(ROOT).as_posix()}.svg"
        caption = nodes.container()
        self.state.nested_parse(self.content, self.content_offset, caption)
        [sentence] = caption.children
        image = nodes.image(uri=uri, alt=mystnb["image"]["alt"])
        # A legend, since a caption would give it a number of its own.
        return [nodes.figure("", image, nodes.legend("", sentence))]


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("picture", Picture)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
