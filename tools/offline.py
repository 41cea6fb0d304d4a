"""Sphinx extension: pages that ask nothing of any other host, on http and from file://.

MathJax and the fonts come from vendor/ (see tools/vendor.py), which is not named _static because
jupyter-book puts every script under that name into every page.
"""

import base64
import json
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.errors import SphinxError

from mamlbook.widgets.weights import packed
from tools import ROOT

ASSETS = Path(__file__).parent / "assets"
WIDGETS = ROOT / "mamlbook" / "widgets"


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("config-inited", _use_own_copies)
    app.connect("config-inited", _silence_thebe)
    app.connect("config-inited", _no_buttons_of_the_theme)
    app.connect("builder-inited", _refuse_print)
    app.connect("env-get-outdated", _never_idle)
    app.connect("build-finished", _settle_scripts)
    app.add_css_file("book.css", priority=900)
    app.add_js_file("book.js")
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _use_own_copies(app: Sphinx, config: Config) -> None:
    config.html_static_path += [str(ROOT / "vendor"), str(ASSETS)]
    config.mathjax_path = "mathjax/tex-chtml-full.js"
    config.nb_ipywidgets_js = {"widgets.js": {}}


def _silence_thebe(app: Sphinx, config: Config) -> None:
    """sphinx_thebe, which jupyter-book always loads, writes a CDN's address into every page."""
    for event in ("env-before-read-docs", "doctree-resolved"):
        for listener in list(app.events.listeners[event]):
            if listener.handler.__module__ == "sphinx_thebe":
                app.disconnect(listener.id)


def _no_buttons_of_the_theme(app: Sphinx, config: Config) -> None:
    """Its buttons that open a chapter elsewhere would stand on every chapter, also where it cannot
    run, and fail without a repository's address; tools/published.py has a link instead."""
    config.html_theme_options.pop("launch_buttons", None)


def _refuse_print(app: Sphinx) -> None:
    """LaTeX would lose every figure, which is SVG, and every widget, without a word."""
    if app.builder.name in ("latex", "texinfo", "epub"):
        raise SphinxError(
            f"The book has no {app.builder.name} version: its figures are SVG and its widgets "
            "scripts. Build the pages, `python -m tools.build`, and print one from a browser."
        )


def _never_idle(app: Sphinx, *_: object) -> list[str]:
    """With no page to write Sphinx would leave changed scripts and styles uncopied."""
    return [app.config.root_doc]


def _settle_scripts(app: Sphinx, exception: Exception | None) -> None:
    if exception is None and app.builder.format == "html":
        # GitHub Pages would otherwise leave out the folders whose names begin with _.
        (Path(app.outdir) / ".nojekyll").touch()
        static = Path(app.outdir) / "_static"
        alive = "".join(_read(ASSETS / f"{name}.js") for name in ("lone", "alive"))
        (static / "widgets.js").write_text(alive, encoding="utf-8")
        # The first page is no notebook: its pictures are two chapters', as classic scripts.
        _classic(static / "opening.js", "linear", "hardness", "opening")
        _classic(
            static / "live.js", "network", "live", "first", prelude=_live_networks(static / "live")
        )
        style = "".join(_read(WIDGETS / f"{name}.css") for name in ("widget", "live"))
        (static / "widget.css").write_text(style, encoding="utf-8")
        # 1.5 MB to draw the icons that the theme's style sheet draws from its font as well.
        (static / "scripts" / "fontawesome.js").write_text("// see tools/offline.py\n")


def _classic(path: Path, *names: str, prelude: str = "") -> None:
    """Write widgets' scripts, the last of which is ours, as one that no module loader needs."""
    parts = [*(WIDGETS / f"{name}.js" for name in ("kit", *names[:-1]))]
    parts += [ASSETS / "lone.js", ASSETS / f"{names[-1]}.js"]
    text = "\n".join(map(_read, parts)).replace("export default { render };", "")
    path.write_text(f"(() => {{\n{prelude}{text}\n}})();\n", encoding="utf-8")


def _live_networks(folder: Path) -> str:
    """Write the weights of the Omniglot chapter's live network, for pages to fetch, and as scripts,
    which are all that a page opened from a file may load. Return the widget's state, with MAML and
    NAL alone, for the first page."""
    stored = json.loads(_read(ROOT / "chapters" / "omniglot.ipynb"))["metadata"]["widgets"]
    models = stored["application/vnd.jupyter.widget-state+json"]["state"].values()
    (state,) = [m["state"] for m in models if {"networks", "rate"} <= set(m["state"])]
    folder.mkdir(exist_ok=True)
    for network in state["networks"].values():
        if name := network.get("weights"):
            data = packed(name, network["seed"])
            (folder / f"{name}.f16").write_bytes(data)
            text = f'(window.mbWeights ??= {{}})["{name}"] = "{base64.b64encode(data).decode()}";\n'
            (folder / f"{name}.js").write_text(text, encoding="utf-8")
    networks = {name: state["networks"][name] for name in ("MAML", "NAL-1")}
    kept = {"networks": networks, **{name: state[name] for name in ("tasks", "steps", "rate")}}
    return f"const STATE = {json.dumps(kept)};\n"


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8")
