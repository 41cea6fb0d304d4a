// Runs between require.js and the widget manager. Modules come from beside this file, and the icon
// fonts from @jupyter-widgets/ beside it, where each of the manager's modules must think it lives.
(() => {
  const here = new URL(".", document.currentScript.src).href;
  window.__jupyter_widgets_assets_path__ = `${here}@jupyter-widgets/`;
  const embed = "html-manager/dist/libembed-amd";
  requirejs.config({
    baseUrl: here,
    paths: { [`@jupyter-widgets/${embed}`]: "@jupyter-widgets/libembed-amd" },
  });
})();
