// A page with widgets loads this between require.js and the widget manager, which looks for its fonts
// where require.js says that its parts come from.
const home = new URL(document.currentScript.dataset.home, document.currentScript.src).href;
require.config({paths: {"@jupyter-widgets": home, "@jupyter-widgets/html-manager/dist": home}});
