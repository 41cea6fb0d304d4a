/** A widget comes to life, right after the first paint: `script` returns its `render`, which draws it
 * from the values that stand in the page, as it would under ipywidgets in a kernel. */
function alive(traits, script) {
  const still = document.currentScript.previousElementSibling;
  requestAnimationFrame(() => setTimeout(() => enliven(script(), lone(traits), still)));
}

/** What several widgets of a page share is made once, when the first of them comes to life. */
function once(script) {
  let made;
  return () => (made ??= script());
}
