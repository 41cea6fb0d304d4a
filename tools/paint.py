"""Sphinx extension: the first paint of a page is whole, and what is there does not move afterwards.

Formulas are set, and the first frame of each widget is drawn, in headless Chromium when the book is
built: pages show both before any script has run, without JavaScript, and in print. Where a page is
built without Chromium, MathJax and the widgets' own scripts do it in front of the reader.

A widget is <div class="mb-widget" data-frame>, followed by its script and values; assets/alive.js
brings it to life after the first paint, in place of ipywidgets' manager of widgets, which weighs
3.6 MB. Another element that a script fills, such as the first page's picture, asks for a first
frame with the same attribute.
"""

import hashlib
import json
import re
from html import unescape
from itertools import takewhile
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page
from sphinx.application import Sphinx
from sphinx.errors import SphinxError
from sphinx.util import logging

from tools import HTML
from tools.browser import REMEDY, chromium, launched, served, view
from tools.drawings import light, themed

ASSETS = Path(__file__).parent / "assets"
CACHE = HTML.parent / "formulas.json"
SHEET = "formulas.css"

STATE = re.compile(
    r'\s*<script type="application/vnd\.jupyter\.widget-state\+json">(.*?)</script>', re.S
)
VIEW = re.compile(
    r'<script type="application/vnd\.jupyter\.widget-view\+json">.*?"model_id": "(\w+)".*?</script>'
)
MOUNT = re.compile(r"<div ([^>]*\bdata-frame\b[^>]*)></div>")
MOUNTED = '<div class="mb-widget" data-frame></div>'
EXPORT = "export default { render };"
# In the widgets' scripts what stands at the beginning of a line is not within anything else.
STATEMENT = re.compile(r"\n(?=/\*\*|//|async |const |for |function |let )")
DEFINED = re.compile(r"^(?:async )?(?:const|function) (\w+|\[[\w, ]+\])", re.M)
# Formulas as Sphinx writes them, and those that stand by themselves in an output's table.
FORMULA = re.compile(
    r"<(pre|code|script|style|textarea|head)\b.*?</\1>|"
    r'(?P<head><(?:span|div) class="[^"]*\bmath\b[^"]*"[^>]*>'
    r'\s*(?:<span class="eqno">.*?</span>)?)?'
    r"(?P<tex>\\\([^<]*?\\\)|\\\[[^<]*?\\\])",
    re.S,
)
MATHJAX = re.compile(
    r"(\s*<script>window\.MathJax = .*?</script>)?\s*<script [^>]*mathjax/[^>]*></script>"
)
IMAGE = re.compile(r'<img (?![^>]*\b(?:width|height)=)([^>]*\bsrc="([^"]+\.svg)"[^>]*)>')
CELL = re.compile(r"<t[dh]\b.*?</t[dh]>", re.S)
NUMBER = re.compile(r"(?<=\d) (?=[±%])|(?<=±) (?=\d)")
SIZE = re.compile(r'<svg\b[^>]*?\bwidth="([\d.]+)pt"[^>]*?\bheight="([\d.]+)pt"|<svg\b[^>]*?\bheight="([\d.]+)pt"[^>]*?\bwidth="([\d.]+)pt"')  # fmt: skip  # noqa: E501

# The formulas of a page as MathJax sets them, and the rules of its style sheet.
TYPESET = """
async (formulas) => {
  await MathJax.startup.promise;
  const all = formulas.map((tex) => {
    const node = document.createElement("span");
    node.className = "math";
    node.textContent = tex;
    return node;
  });
  document.body.replaceChildren(...all);
  await MathJax.typesetPromise();
  const rules = [...document.getElementById("MJX-CHTML-styles").sheet.cssRules];
  const each = (what, act) => document.querySelectorAll(what).forEach(act);
  // What HTML can do without.
  each("mjx-assistive-mml math", (math) => math.removeAttribute("xmlns"));
  each("mjx-assistive-mml", (mml) => mml.removeAttribute("unselectable"));
  each("mjx-assistive-mml[display=inline]", (mml) => mml.removeAttribute("display"));
  // MathJax's classes of TeX are for itself: no rule and no reader of MathML knows them.
  each("mjx-container *", (node) => {
    for (const name of node.getAttributeNames())
      if (/^(texclass|data-mjx-.+)$/.test(name)) node.removeAttribute(name);
  });
  // All boxes have the same position and size: a rule says it once.
  const { position, fontSize } = document.querySelector("mjx-container").style;
  each("mjx-container", ({ style }) => Object.assign(style, { position: "", fontSize: "" }));
  each("mjx-container[style='']", (box) => box.removeAttribute("style"));
  return [all.map((node) => node.innerHTML), [...rules.map((rule) => rule.cssText),
    `mjx-container { position: ${position}; font-size: ${fontSize}; }`]];
}
"""
# The frames of a page, with what the reader could set as it is set, and out of the reader's hands:
# where there are no scripts nothing would happen.
FRAMES = """
() => [...document.querySelectorAll("[data-frame]")].map((mount) => {
  for (const input of mount.querySelectorAll("input, select, textarea, button")) {
    if (input.type === "checkbox") input.toggleAttribute("checked", input.checked);
    else if (input.tagName === "INPUT" && input.type !== "file") input.setAttribute("value", input.value);
    else if (input.tagName === "TEXTAREA") input.textContent = input.value.split("\\n", 20).join("\\n");
    for (const option of input.options ?? []) option.toggleAttribute("selected", option.selected);
    input.setAttribute("disabled", "");
  }
  for (const stop of mount.querySelectorAll("[tabindex]")) stop.removeAttribute("tabindex");
  return [mount.className, mount.innerHTML];
})
"""  # noqa: E501
DRAWN = """
() => [...document.querySelectorAll("[data-frame]")].every((mount) =>
  mount.firstElementChild && !mount.querySelector("[aria-busy=true]"))
"""


def setup(app: Sphinx) -> dict[str, bool]:
    # A change of what paints writes every page again.
    painters = [Path(__file__), *(ASSETS / f"{name}.js" for name in ("alive", "lone"))]
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in painters)).hexdigest()
    app.add_config_value("painters", digest, "html")
    # Before the first page is copied (900) and links' targets are collected (950).
    app.connect("build-finished", _paint, priority=890)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _paint(app: Sphinx, exception: Exception | None) -> None:
    if exception is not None or app.builder.format != "html":
        return
    out = Path(app.outdir)
    for path in (out / "_images").glob("*.svg"):
        drawing = path.read_text(encoding="utf-8")
        if "prefers-color-scheme" not in drawing:
            path.write_text(themed(light(drawing)), encoding="utf-8")
    pages = [path for path in sorted(out.rglob("*.html")) if "_static" not in path.parts]
    for path in pages:
        html = path.read_text(encoding="utf-8")
        whole = in_light(sized(own_widgets(html), path.parent))
        if whole != html:
            path.write_text(whole, encoding="utf-8")
    raw = [path for path in pages if unpainted(path.read_text(encoding="utf-8"))]
    if not raw:
        return
    if not chromium():
        logging.getLogger(__name__).info("Formulas and first frames are left to readers. " + REMEDY)
        return
    with launched() as browser, served(out) as address:
        # Before the formulas, of whose many parts a page is laid out more slowly.
        drawn = {
            path: frames(browser, address + path.relative_to(out).as_posix())
            for path in raw
            if MOUNT.search(path.read_text(encoding="utf-8"))
        }
        set_formulas(raw, out, browser, address, app.config.mathjax3_config or {})
        for path, each in drawn.items():
            framed = with_frames(path.read_text(encoding="utf-8"), each)
            path.write_text(framed, encoding="utf-8")


def in_light(html: str) -> str:
    """A page in the light theme until book.js knows the reader's; "auto" has no colors at all."""
    return html.replace('data-theme="auto"', 'data-theme="light"', 1)


def unpainted(html: str) -> bool:
    """Whether a page asks for MathJax or has a widget without its first frame."""
    return bool(MOUNT.search(html) or MATHJAX.search(html))


def own_widgets(html: str) -> str:
    """The page with its widgets ready for assets/alive.js.

    Raises SphinxError for a widget that is no anywidget, which needs a kernel or ipywidgets.
    """
    found = STATE.search(html)
    if not found:
        return html
    stored, styles = json.loads(found[1])["state"], dict[str, None]()

    def module(view: re.Match) -> str:
        state = stored[view[1]]["state"]
        if "_esm" not in state:
            raise SphinxError(f"A built page can show no {stored[view[1]]['model_name']}.")
        module, own, _ = state["_esm"].partition(EXPORT)
        if not own:
            raise SphinxError(f"A widget's script must end in {EXPORT}")
        return module

    common = shared([module(view) for view in VIEW.finditer(html)])
    names = [name for names in DEFINED.findall(common) for name in re.findall(r"\w+", names)]

    def mount(view: re.Match) -> str:
        state = stored[view[1]]["state"]
        own = f"{module(view).removeprefix(common)}\nreturn render;"
        styles[state["_css"]] = None
        traits = {name: value for name, value in state.items() if name[0] != "_"}
        data = json.dumps(traits, ensure_ascii=False, separators=(",", ":"))
        used = ", ".join(name for name in names if re.search(rf"\b{name}\b", own))
        taken = f"const {{ {used} }} = shared();\n" if used else ""
        return MOUNTED + _script(f"alive({data}, () => {{\n{taken}{own}\n}});")

    html = VIEW.sub(mount, html)
    if common:
        made = f"const shared = once(() => {{\n{common}\nreturn {{ {', '.join(names)} }};\n}});"
        html = html.replace(MOUNTED, _script(made) + MOUNTED, 1)
    return html.replace(found[0], "".join(f"\n<style>\n{css}</style>" for css in styles), 1)


def _script(text: str) -> str:
    inline = text.replace("</", "<\\/")  # within a string of JavaScript the same
    return f'<script>"use strict"; {inline}</script>'


def shared(modules: list[str]) -> str:
    """What several scripts begin with alike, in whole statements: a page needs it once.

    It ends before a widget's first variable, which is its own.
    """
    side_by_side = zip(*map(STATEMENT.split, modules), strict=False)
    alike = takewhile(lambda each: each == each[:1] * len(each), side_by_side)
    common = takewhile(lambda each: not each[0].startswith("let "), alike)
    return "\n".join(each[0] for each in common) if modules[1:] else ""


def sized(html: str, folder: Path) -> str:
    """The page with the width and height of its figures, so that their place is kept, each in a box
    that scrolls on a phone; and no number in a table with its interval or percent sign broken."""

    def image(found: re.Match) -> str:
        file = folder / found[2]
        size = SIZE.search(file.read_text(encoding="utf-8")) if file.is_file() else None
        if not size:
            return found[0]
        width, height = (size[1], size[2]) if size[1] else (size[4], size[3])
        pixels = [round(float(points) * 4 / 3) for points in (width, height)]
        drawing = f'<img width="{pixels[0]}" height="{pixels[1]}" {found[1]}>'
        return f'<span class="drawing">{drawing}</span>'

    return CELL.sub(lambda cell: NUMBER.sub("&#160;", cell[0]), IMAGE.sub(image, html))


def set_formulas(
    pages: list[Path], out: Path, browser: Browser, address: str, config: dict[str, Any]
) -> None:
    """Replace TeX in `pages` by what MathJax makes of it; its rules go into a style sheet of all.

    A formula that was set in an earlier build is not set again.
    """
    known = _known(config)
    texts = {path: path.read_text(encoding="utf-8") for path in pages}
    wanted = {tex for text in texts.values() for f in FORMULA.finditer(text) if (tex := _tex(f))}
    new = sorted(wanted - set(known["formulas"]))
    if new:
        made, rules = typeset(new, browser, address, config)
        known["formulas"] |= dict(zip(new, made, strict=True))
        known["rules"] = list(dict.fromkeys([*known["rules"], *rules]))
        CACHE.write_text(json.dumps(known), encoding="utf-8")
    (out / "_static" / SHEET).write_text("\n".join(known["rules"]) + "\n", encoding="utf-8")

    def made_of(found: re.Match) -> str:
        if not (tex := _tex(found)):
            return found[0]
        html = known["formulas"][tex]
        return found["head"] + html if found["head"] else f'<span class="math">{html}</span>'

    for path, text in texts.items():
        text = FORMULA.sub(made_of, text)
        root = "../" * (len(path.relative_to(out).parts) - 1)
        link = f'\n<link rel="stylesheet" href="{root}_static/{SHEET}">'
        text = MATHJAX.sub(link, text, count=1)
        path.write_text(MATHJAX.sub("", text), encoding="utf-8")


def _tex(found: re.Match) -> str:
    """The formula of a match of FORMULA, or nothing where it is code."""
    return unescape(found["tex"] or "")


def _known(config: dict[str, Any]) -> dict[str, Any]:
    """What earlier builds have set in the same way: under these settings, by this script."""
    way = [config, TYPESET]
    if CACHE.is_file() and (known := json.loads(CACHE.read_text())).get("way") == way:
        return known
    return {"way": way, "formulas": {}, "rules": []}


def typeset(
    formulas: list[str], browser: Browser, address: str, config: dict[str, Any]
) -> tuple[list[str], list[str]]:
    """The HTML of TeX formulas, each within its delimiters, and the rules of style it needs."""
    options = {**config.get("options", {}), "enableMenu": False}
    settings = {**config, "options": options, "startup": {"typeset": False}}
    body = (
        f"<!doctype html><script>window.MathJax = {json.dumps(settings)}</script>"
        f'<script src="{address}_static/mathjax/tex-chtml-full.js"></script><body>'
    )
    page = _page(browser)
    page.route("**/typeset.html", lambda route: route.fulfill(body=body, content_type="text/html"))
    page.goto(f"{address}_static/mathjax/typeset.html")
    page.set_default_timeout(120_000)
    made, rules = page.evaluate(TYPESET, formulas)
    page.context.close()
    if wrong := [tex for tex, html in zip(formulas, made, strict=True) if "merror" in html]:
        raise SphinxError(f"MathJax refuses {wrong}")
    return made, [rule.replace(f"{address}_static/", "") for rule in rules]


def frames(browser: Browser, address: str) -> list[tuple[str, str]]:
    """Class and content of each first frame of a page, in their order."""
    page = _page(browser)
    page.route("**/mathjax/*.js*", lambda route: route.abort())
    page.goto(address)
    page.wait_for_function(DRAWN)
    found = page.evaluate(FRAMES)
    page.context.close()
    return found


def with_frames(html: str, frames: list[tuple[str, str]]) -> str:
    """The page with these frames in its widgets' places."""
    left = iter(frames)

    def mount(found: re.Match) -> str:
        kind, content = next(left)
        attributes = re.sub(r'\s*\bclass="[^"]*"', "", found[1])
        return f'<div class="{kind}" {attributes} data-still>{content}</div>'

    return MOUNT.sub(mount, html)


def _page(browser: Browser) -> Page:
    context = view(browser)
    context.set_default_timeout(60_000)
    page = context.new_page()
    page.emulate_media(reduced_motion="reduce")
    return page
