// Colors and borders are those of the reader's theme from the first paint on; the theme's own script,
// which comes after it, would move the page by them.
{
  const { dataset } = document.documentElement;
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  dataset.theme = ["light", "dark"].includes(dataset.mode) ? dataset.mode : dark ? "dark" : "light";
}

// Text in a font that arrives after the first paint would move the page: the first paint waits for the
// fonts, but not long; a page whose fonts come later does without them, as book.css says.
{
  const PATIENCE = 500; // ms
  const FONTS = ["1em 'Source Serif 4'", "italic 1em 'Source Serif 4'", "1em 'Source Sans 3'", "1em 'Source Code Pro'"];
  const { style, dataset } = document.documentElement;
  style.visibility = "hidden";
  const there = Promise.all(FONTS.map((font) => document.fonts.load(font)));
  Promise.race([there, new Promise((_, late) => setTimeout(late, PATIENCE))])
    .catch(() => (dataset.fonts = "late"))
    .finally(() => style.removeProperty("visibility"));
}

// A page opened from a file may not fetch its neighbours: the search then lists titles alone.
if (location.protocol === "file:") DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;

// A formula or figure too wide for its place scrolls, by the keyboard too; the others are no stops for it.
{
  const reach = () => {
    const formulas = [...document.querySelectorAll("article .math, article mjx-container, article .drawing")];
    const scrolls = (formula) => getComputedStyle(formula).overflowX !== "visible"; // others may be a rounding wider
    const wide = formulas.map((formula) => formula.scrollWidth > formula.clientWidth && scrolls(formula));
    formulas.forEach((formula, i) => (wide[i] ? formula.setAttribute("tabindex", "0") : formula.removeAttribute("tabindex")));
  };
  addEventListener("load", () => document.fonts.ready.then(reach));
  addEventListener("resize", reach);
}

// docutils puts entries of a deprecated role into a list; a list has list items.
document.addEventListener("DOMContentLoaded", () => {
  for (const entry of document.querySelectorAll(".citation-list > .citation")) entry.role = "listitem";
});

// The theme gives the arrows that open a group of pages no name.
document.addEventListener("DOMContentLoaded", () => {
  for (const arrow of document.querySelectorAll("summary"))
    if (!arrow.textContent.trim()) arrow.setAttribute("aria-label", "Pages of this group");
});

// A result of the search: the section of the page that has the words, and the sentence around them
// without code, formulas and what else is no text.
document.addEventListener("DOMContentLoaded", () => {
  if (typeof Search === "undefined") return;
  const NO_TEXT = "script, style, .headerlink, .cell_input, pre, svg, dt.sig, .in-the-code, .run-this, .legend, .rubric";
  const AROUND = 110; // characters
  const own = (section) =>
    [...section.querySelectorAll("p, li, dt, td, h1, h2, h3")].filter(
      (part) => part.closest("section") === section && !part.querySelector("p, li"),
    );
  const said = (part) =>
    (part.matches("dt") ? `${part.textContent}: ${part.nextElementSibling?.textContent}` : part.textContent)
      .replace(/\s+/g, " ").trim();
  const found = (part, words) => words.filter((word) => said(part).toLowerCase().includes(word)).length;

  Search.makeSearchSummary = (html, keywords, anchor) => {
    const page = new DOMParser().parseFromString(html, "text/html");
    for (const part of page.querySelectorAll(NO_TEXT)) part.remove();
    for (const formula of page.querySelectorAll(".math")) formula.textContent = "…";
    const words = [...keywords].map((word) => word.toLowerCase());
    const parts = [...page.querySelectorAll("article section[id]")]
      .filter((section) => !anchor || `#${section.id}` === anchor || section.querySelector(anchor))
      .flatMap((section) => own(section).map((part) => ({ section, part, score: found(part, words) })));
    const best = parts.reduce((most, each) => (each.score > most.score ? each : most), { score: 0 });
    if (!best.score) return document.createDocumentFragment(); // nothing to show, which Sphinx appends
    const text = said(best.part);
    const at = Math.max(0, Math.min(...words.map((word) => text.toLowerCase().indexOf(word)).filter((i) => i >= 0)));
    const from = at > AROUND ? text.indexOf(" ", at - AROUND) + 1 : 0;
    const to = at + AROUND < text.length ? text.lastIndexOf(" ", at + AROUND) : text.length;
    const summary = document.createElement("p");
    summary.className = "context";
    summary.textContent = `${from ? "… " : ""}${text.slice(from, to)}${to < text.length ? " …" : ""}`;
    queueMicrotask(() => {
      const result = summary.parentElement?.querySelector("a");
      if (!result) return;
      const place = document.createElement("a");
      place.className = "section";
      place.href = `${result.getAttribute("href").split("#")[0]}#${best.section.id}`;
      place.textContent = best.section.querySelector("h1, h2, h3").textContent;
      summary.prepend(place, ": ");
    });
    return summary;
  };
});
