"""The chapters as files: pairs that agree, figures that can be heard, exercises that are real.

That what they print is what they print again is nbval's test, which `make test` runs beside these.
"""

import copy
import re
import subprocess
import sys
from pathlib import Path

import jupytext
import nbformat
import pytest

from nanoparadigm.exercises import ALL

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "book"))

import chapters  # noqa: E402

TEXTS = chapters.texts()
each = pytest.mark.parametrize("text", TEXTS, ids=lambda path: path.stem)


def cells(text, kind="code"):
    notebook = nbformat.read(text.with_suffix(".ipynb"), as_version=4)
    return [cell for cell in notebook.cells if cell.cell_type == kind]


@each
def test_the_notebook_is_the_execution_of_its_text(text):
    assert chapters.stale(text) is None, "run: make chapters"


@each
def test_cells_are_short_and_quiet(text):
    for cell in cells(text):
        assert len(cell.source.splitlines()) <= 25, cell.source
        for output in cell.outputs:
            assert output.get("name") != "stderr", output.text


@each
def test_every_figure_says_what_it_shows(text):
    figures = 0
    for cell in cells(text):
        if any("image/png" in output.get("data", {}) for output in cell.outputs):
            alt = cell.metadata.get("mystnb", {}).get("image", {}).get("alt", "")
            assert len(alt) > 30, cell.source
            figures += 1
    assert figures >= 2


@each
def test_a_view_is_small_and_stands_alone(text):
    views = [
        o.data["text/html"]
        for c in cells(text)
        for o in c.outputs
        if "data" in o and "text/html" in o.data
    ]
    assert views
    for view in views:
        assert len(view) <= 150_000 and not re.search(r"https?://|<script|<link", view)
        assert 'type="range"' in view and "aria-label" in view and "aria-valuetext" in view


@each
def test_exercises_begin_unsolved_and_their_solutions_are_right(text):
    asked, solved = [], []
    for cell in cells(text):
        tags = cell.metadata.get("tags", [])
        if not {"exercise", "solution"} & set(tags):
            continue
        (name,) = re.findall(r'^check\("(\w+)", \w+\)$', cell.source, flags=re.M)
        (said,) = [o.data["text/plain"] for o in cell.outputs]
        if "exercise" in tags:
            asked.append(name)
            assert said == f"{name}: not yet. On case 1 it gave nothing: end it with return."
        else:
            solved.append(name)
            assert said.startswith(f"{name}: right")
    assert asked == solved and 4 <= len(asked) <= 6 and set(asked) <= set(ALL)


@each
def test_a_students_copy_runs_to_its_end_with_the_solutions_pasted_in(text):
    notebook = chapters.student(jupytext.read(text))
    sources = "\n".join(cell.source for cell in notebook.cells)
    assert "solution" not in sources
    solutions = iter(c.source for c in cells(text) if "solution" in c.metadata.get("tags", []))
    for cell in notebook.cells:
        if "exercise" in cell.metadata.get("tags", []):
            cell.source = next(solutions)
    assert next(solutions, None) is None
    chapters.run(notebook)
    said = [
        cell.outputs[0].data["text/plain"]
        for cell in notebook.cells
        if "exercise" in cell.metadata.get("tags", [])
    ]
    assert said and all(": right" in verdict for verdict in said)


def test_an_altered_output_is_noticed(tmp_path):
    """nbval, which compares what chapters print, can fail: on one changed word of one output."""
    notebook = nbformat.v4.new_notebook()
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
    notebook.cells = [nbformat.v4.new_code_cell("print('the truth')")]
    chapters.run(notebook)
    altered = copy.deepcopy(notebook)
    altered.cells[0].outputs[0].text = "the lie\n"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:xdist", "--nbval"]
    for name, version, code in ("same", notebook, 0), ("altered", altered, 1):
        path = tmp_path / f"{name}.ipynb"
        nbformat.write(version, path)
        assert (
            subprocess.run([*command, path], cwd=tmp_path, capture_output=True).returncode == code
        )
