// Runs between require.js and the widget manager: modules and icon fonts come from beside this file.
(() => {
  const here = new URL(".", document.currentScript.src).href;
  window.__jupyter_widgets_assets_path__ = `${here}@jupyter-widgets/html-manager/dist/`;
  requirejs.config({ baseUrl: here });
})();
