"""The directive `side-by-side`: two files of a folder next to each other, what differs highlighted.

    ```{side-by-side} ../micro ar mdlm flow mamba block
    ```

Sphinx loads this file as an extension. The reader chooses the two files; of the lines that they
share only the heads of parts and functions show until the others are asked for. Without scripts
there is a sentence that says where they are.
"""

import difflib
import json
import re
from itertools import permutations
from pathlib import Path

from docutils import nodes
from docutils.parsers.rst import Directive
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

from nanoparadigm.show.figures import PALETTE

COLOURS = PALETTE | {"mdlm": PALETTE["diffusion"]}
PAGE = r"""
<div class="highlight side-by-side">
<p>
  <label>left <select aria-label="the file on the left"></select></label>
  <label>right <select aria-label="the file on the right"></select></label>
  <label><input type="checkbox"> show the lines they share</label>
  <output></output>
</p>
<div class="lines"></div>
<noscript>The view needs JavaScript; the files are in the folder <code>micro</code>.</noscript>
<script type="application/json">DATA</script>
<script>
(() => {
  const view = document.currentScript.parentElement, data = JSON.parse(
    view.querySelector("script[type='application/json']").textContent);
  const [left, right] = view.querySelectorAll("select"), all = view.querySelector("input");
  const lines = view.querySelector(".lines"), said = view.querySelector("output");
  for (const [select, chosen] of [[left, 0], [right, 1]])
    for (const [i, name] of data.names.entries())
      select.add(new Option(name + ".py", name, false, i === chosen));
  const column = (name, from, to, same) => {
    const column = document.createElement("div");
    if (!same) column.style.setProperty("--tint", data.colours[name]);
    for (const html of data.lines[name].slice(from, to)) {
      const line = document.createElement("code");
      line.innerHTML = html;
      if (/^(def|class|# \w+ --)/.test(line.textContent)) line.className = "landmark";
      column.append(line);
    }
    return column;
  };
  const draw = () => {
    const a = left.value, b = right.value;
    lines.replaceChildren();
    if (a === b) { said.textContent = "choose two different files"; return; }
    let ours = 0, theirs = 0;
    for (const [same, i, k, j, m] of data.pairs[a + " " + b]) {
      const part = document.createElement("div");
      part.className = same ? "same" : "changed";
      part.append(column(a, i, k, same), column(b, j, m, same));
      lines.append(part);
      if (!same) { ours += k - i; theirs += m - j; }
    }
    const total = data.lines[b].length;
    said.textContent = `${a}.py has ${ours} lines of its own, ${b}.py has ${theirs}; ` +
      `${total - theirs} are the same`;
  };
  all.addEventListener("change", () => lines.classList.toggle("all", all.checked));
  left.addEventListener("change", draw);
  right.addEventListener("change", draw);
  draw();
})();
</script>
</div>"""


def view(sources):
    """The HTML of the view, of name -> source."""
    lines, plain = {}, {name: source.splitlines() for name, source in sources.items()}
    for name, source in sources.items():
        coloured = highlight(source, PythonLexer(), HtmlFormatter(nowrap=True))
        coloured = re.sub("-{8,}", "--------", coloured)  # the rules above the parts
        lines[name] = coloured.rstrip("\n").split("\n")
    pairs = {}
    for one, other in permutations(plain, 2):
        match = difflib.SequenceMatcher(None, plain[one], plain[other], autojunk=False)
        pairs[f"{one} {other}"] = [
            [tag == "equal", i, k, j, m] for tag, i, k, j, m in match.get_opcodes()
        ]
    colours = {name: COLOURS[name] for name in sources}
    data = dict(names=[*sources], lines=lines, pairs=pairs, colours=colours)
    return PAGE.replace("DATA", json.dumps(data).replace("</", "<\\/"))


class SideBySide(Directive):
    """A folder, relative to the page, and the names of its Python files."""

    required_arguments = 1
    optional_arguments = 99

    def run(self):
        """Return the view, and let the page be made anew when a file changes."""
        environment = self.state.document.settings.env
        folder, *names = self.arguments
        page = Path(environment.doc2path(environment.docname)).parent
        paths = {name: page / folder / f"{name}.py" for name in names}
        for path in paths.values():
            environment.note_dependency(str(path.resolve()))
        sources = {name: path.read_text(encoding="utf-8") for name, path in paths.items()}
        return [nodes.raw("", view(sources), format="html")]


def setup(app):
    app.add_directive("side-by-side", SideBySide)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
