// What a link within the book leads to, shown beside it: from this page, or from hovered.js. With
// the pointer or the keyboard; Escape closes it, and the pointer may rest on it.
{
  const ROOT = new URL(document.documentElement.dataset.content_root || "./", location.href);
  const LINKS = "article a.internal[href*='#']";
  const DELAY = 250; // ms, so that a pointer on its way elsewhere opens nothing
  let shown, waiting, loading;

  const others = () =>
    (loading ??= new Promise((resolve) => {
      window.hovered = resolve;
      const script = document.createElement("script");
      script.src = new URL("_static/hovered.js", ROOT);
      script.onerror = () => resolve({});
      document.head.append(script);
    }));

  const copied = (element) => {
    if (!element || element.matches("section, article, dt.sig")) return null;
    const part = element.matches("dt") ? element.nextElementSibling : element;
    const copy = part.cloneNode(true);
    for (const extra of copy.querySelectorAll("a.headerlink, button, script, .eqno, .legend")) extra.remove();
    for (const link of copy.querySelectorAll("a")) link.replaceWith(...link.childNodes);
    for (const each of [copy, ...copy.querySelectorAll("[id]")]) each.removeAttribute("id");
    return copy;
  };

  const content = async (link) => {
    const address = new URL(link.href);
    if (address.pathname === location.pathname) return copied(document.getElementById(decodeURIComponent(address.hash.slice(1))));
    const key = address.href.slice(ROOT.href.length);
    const html = (await others())[decodeURIComponent(key)];
    if (!html) return null;
    const part = document.createElement("div");
    part.innerHTML = html;
    return part;
  };

  const hide = () => {
    clearTimeout(waiting);
    shown?.link.removeAttribute("aria-describedby");
    shown?.box.remove();
    shown = undefined;
  };
  const soon = (what) => {
    clearTimeout(waiting);
    waiting = setTimeout(what, DELAY);
  };

  const show = async (link) => {
    const part = await content(link);
    hide();
    if (!part) return;
    const box = document.createElement("div");
    box.id = "hover";
    box.role = "tooltip";
    box.append(part);
    document.body.append(box);
    shown = { link, box };
    link.setAttribute("aria-describedby", box.id);
    await window.MathJax?.typesetPromise?.([box]);
    const at = link.getBoundingClientRect();
    const below = at.bottom + box.offsetHeight + 8 < innerHeight || at.top < box.offsetHeight + 8;
    const left = Math.max(8, Math.min(at.left, document.documentElement.clientWidth - box.offsetWidth - 8));
    box.style.left = `${left + scrollX}px`;
    box.style.top = `${(below ? at.bottom + 4 : at.top - box.offsetHeight - 4) + scrollY}px`;
    box.addEventListener("pointerenter", () => clearTimeout(waiting));
    box.addEventListener("pointerleave", () => soon(hide));
  };

  for (const link of document.querySelectorAll(LINKS)) {
    link.removeAttribute("title"); // the browser's own would cover this one
    link.addEventListener("pointerenter", (event) => event.pointerType === "mouse" && soon(() => show(link)));
    link.addEventListener("pointerleave", () => soon(hide));
    link.addEventListener("focus", () => link.matches(":focus-visible") && show(link));
    link.addEventListener("blur", hide);
  }
  document.addEventListener("keydown", (event) => event.key === "Escape" && hide());
}
