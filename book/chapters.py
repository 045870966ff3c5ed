"""A chapter is a pair: NN-name.md, which people edit, and NN-name.ipynb, the same cells executed.

python book/chapters.py                  execute the chapters whose text has changed
python book/chapters.py book/03-*.md     execute these, changed or not
python book/chapters.py --table          how long each is, and how many seconds it takes here
"""

import argparse
import copy
import os
import re
import time
from pathlib import Path

import jupytext
import nbclient
import nbformat
import yaml

from nanoparadigm.evaluate.tables import markdown
from nanoparadigm.exercises import ALL
from nanoparadigm.show.figures import WIDGET

BOOK = Path(__file__).parent

# The first cell of every chapter. --no-deps, because PyTorch is large and Colab has its own; the
# second line names what Colab may lack.
LAUNCH = """\
# Where the package is missing, as on Colab, this brings it. Elsewhere it does nothing.
import importlib.util

if importlib.util.find_spec("nanoparadigm") is None:
    %pip install -q --no-deps git+{repository}
    %pip install -q filelock msgspec pillow pooch rich safetensors tokenizers tqdm tyro
"""


FIGURES = {"image/svg+xml", "image/png"}  # as what a notebook may store one


def texts():
    return sorted(BOOK.glob("[0-9]*.md"))


def repository():
    """The project's address, which _config.yml names."""
    return yaml.safe_load((BOOK.parent / "_config.yml").read_bytes())["repository"]["url"]


def launching(source):
    """A chapter's text with the first cell that it should have, which the page does not show."""
    before, fence, after = source.partition("```{code-cell}")
    if after.startswith(" ipython3\n:tags: [launch"):
        fence, after = "", after.partition("\n```\n\n")[2]
    cell = "```{code-cell} ipython3\n:tags: [launch, remove-cell]\n\n" + LAUNCH + "```\n\n"
    return before + cell.replace("{repository}", repository()) + fence + after


def stale(text):
    """Why the notebook beside a text is not its execution, or None."""
    source = text.read_text(encoding="utf-8")
    if source != launching(source):
        return "its first cell is not the one that brings the package"
    path = text.with_suffix(".ipynb")
    if not path.exists():
        return "there is no notebook"
    cells = nbformat.read(path, as_version=4).cells
    if [content(c) for c in jupytext.read(text).cells] != [content(c) for c in cells]:
        return "its cells are others"
    code = [c for c in cells if c.cell_type == "code"]
    if [c.execution_count for c in code] != list(range(1, len(code) + 1)):
        return "it was not run from the first cell to the last"
    if any(o.output_type == "error" for c in code for o in c.outputs):
        return "a cell has failed"
    if any(WIDGET in o.get("data", {}) for c in code for o in c.outputs):
        return "it holds a widget, which only a kernel can show"
    return None


def content(cell):
    """What a cell is, apart from its outputs: what people wrote."""
    metadata = {k: v for k, v in cell.metadata.items() if k in ("tags", "mystnb")}
    return cell.cell_type, cell.source.strip(), metadata


def execute(text):
    """Run a text's cells in a kernel of its own and write the notebook beside it."""
    text.write_text(launching(text.read_text(encoding="utf-8")), encoding="utf-8")
    notebook = jupytext.read(text)
    run(notebook)
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if "text/html" in output.get("data", {}):  # the page has no kernel for the widget
                output.data.pop(WIDGET, None)
    write(notebook, text)


def reworded(text):
    """Take the outputs over if only words outside of code have changed; whether that was enough."""
    path = text.with_suffix(".ipynb")
    if not path.exists():
        return False
    notebook = jupytext.read(text)
    pair = (notebook, nbformat.read(path, as_version=4))
    new, old = ([c for c in n.cells if c.cell_type == "code"] for n in pair)
    if [content(c) for c in new] != [content(c) for c in old]:
        return False
    for cell, executed in zip(new, old, strict=True):
        cell.outputs, cell.execution_count = executed.outputs, executed.execution_count
    write(notebook, text)
    return stale(text) is None


KEPT = "kernelspec", "nanoparadigm"  # what a notebook says of itself: its language, and its seed


def write(notebook, text):
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{number}"  # the random ones would make every run a difference
    told = {key: notebook.metadata[key] for key in KEPT if key in notebook.metadata}
    notebook.metadata = nbformat.from_dict(told)
    nbformat.write(notebook, text.with_suffix(".ipynb"))


def run(notebook):
    """Execute in place, as nbval does. Raises nbclient's error where a cell fails."""
    os.environ.setdefault("TQDM_DISABLE", "1")
    os.environ["SOURCE_DATE_EPOCH"] = "0"  # a figure does not say when it was drawn
    options = dict(timeout=600, record_timing=False, coalesce_streams=True)
    options["resources"] = {"metadata": {"path": str(BOOK)}}
    nbclient.NotebookClient(notebook, **options).execute()


def checked(cell):
    """The name of the exercise that an exercise or solution cell checks."""
    (name,) = re.findall(r'^check\("(\w+)", \w+\)$', cell.source, flags=re.M)
    return name


def tagged(notebook, tag):
    return [cell for cell in notebook.cells if tag in cell.metadata.get("tags", [])]


def kinds(notebook):
    """How many figures and views its stored outputs hold."""
    data = [o.get("data", {}) for c in notebook.cells for o in c.get("outputs", [])]
    return sum(bool(FIGURES & d.keys()) for d in data), sum("text/html" in d for d in data)


def measures(text):
    """What a chapter is measured by, as a dict; it is executed for the seconds."""
    notebook = nbformat.read(text.with_suffix(".ipynb"), as_version=4)
    prose = " ".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    exercises = [checked(cell) for cell in tagged(notebook, "exercise")]
    figures, views = kinds(notebook)
    began = time.perf_counter()
    run(copy.deepcopy(notebook))
    return dict(
        chapter=text.stem,
        words=len(prose.split()),
        cells=len(code),
        longest=max(len(cell.source.splitlines()) for cell in code),
        figures=figures,
        views=views,
        exercises=len(exercises),
        mistakes=sum(len(ALL[name].mistakes) for name in exercises),
        seconds=round(time.perf_counter() - began),
    )


def main():
    raw = argparse.RawTextHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("texts", nargs="*", type=Path)
    parser.add_argument("--table", action="store_true")
    options = parser.parse_args()
    if options.table:
        rows = [measures(text) for text in options.texts or texts()]
        print(markdown(list(rows[0]), [list(map(str, row.values())) for row in rows]), end="")
        return
    for text in options.texts or [t for t in texts() if stale(t) and not reworded(t)]:
        print(f"executing {text}", flush=True)
        execute(text)


if __name__ == "__main__":
    main()
