/** A widget comes to life, right after the first paint: `script` returns its `render`, which draws it
 * from the values that stand in the page, as it would under ipywidgets in a kernel. */
function alive(traits, script) {
  const still = document.currentScript.previousElementSibling;
  requestAnimationFrame(() => setTimeout(() => enliven(script(), lone(traits), still)));
}
