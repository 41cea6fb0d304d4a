/** A widget comes to life, right after the first paint: `script` returns its `render`, which draws it
 * from the values that stand in the page, as it would under ipywidgets in a kernel. One that the page
 * reaches later does not wait for the next paint, before which all of a long page is laid out. */
let painted = false;
function alive(traits, script) {
  const still = document.currentScript.previousElementSibling;
  const live = () => enliven(script(), lone(traits), still);
  if (painted) live();
  else
    requestAnimationFrame(() =>
      setTimeout(() => {
        painted = true;
        live();
      }),
    );
}

/** What several widgets of a page share is made once, when the first of them comes to life. */
function once(script) {
  let made;
  return () => (made ??= script());
}
