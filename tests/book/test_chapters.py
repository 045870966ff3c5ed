"""The chapters as files: pairs that agree, figures that can be heard, exercises that are real.

That what they print is what they print again is nbval's test, which `make test` runs beside these.
"""

import copy
import os
import re
import shutil
import subprocess
import sys
import tomllib
from types import SimpleNamespace

import chapters
import nbformat
import pytest
from bs4 import BeautifulSoup
from helpers import ROOT
from IPython.core.inputtransformer2 import TransformerManager
from jupyter_server.services.contents.largefilemanager import LargeFileManager
from jupytext.sync_contentsmanager import build_sync_jupytext_contents_manager_class
from packaging.requirements import Requirement

from nanoparadigm.exercises import ALL

TEXTS = chapters.texts()
each = pytest.mark.parametrize("text", TEXTS, ids=lambda path: path.stem)


def cells(text, kind="code"):
    notebook = nbformat.read(text.with_suffix(".ipynb"), as_version=4)
    return [cell for cell in notebook.cells if cell.cell_type == kind]


def made_of(*sources):
    """A notebook of these code cells."""
    notebook = nbformat.v4.new_notebook()
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
    notebook.cells = [nbformat.v4.new_code_cell(source) for source in sources]
    return notebook


@each
def test_the_notebook_is_the_execution_of_its_text(text):
    assert chapters.stale(text) is None, "run: make chapters"


@each
def test_a_chapter_saved_in_jupyterlab_is_the_same_chapter(text, tmp_path):
    """Also where the text is the older file, which it is after every execution."""
    shutil.copy(text.with_name("jupytext.toml"), tmp_path)
    for path in text, text.with_suffix(".ipynb"):
        shutil.copy(path, tmp_path)
    copied = tmp_path / text.name
    os.utime(copied, (0, 0))
    manager = build_sync_jupytext_contents_manager_class(LargeFileManager)()
    manager.root_dir = str(tmp_path)
    name = copied.with_suffix(".ipynb").name
    manager.save(manager.get(name), name)
    assert os.path.getmtime(copied) > 0 and chapters.stale(copied) is None
    assert copied.read_text().split("---")[1] == text.read_text().split("---")[1]


@each
def test_the_first_cell_brings_the_package(text):
    first, second = cells(text)[:2]
    assert chapters.repository() in first.source and "remove-cell" in first.metadata["tags"]
    assert "launch" not in second.metadata.get("tags", [])


def test_the_first_cell_does_nothing_where_the_package_is(monkeypatch):
    said = []
    code = TransformerManager().transform_cell(chapters.LAUNCH)
    shell = SimpleNamespace(run_line_magic=lambda *magic: said.append(" ".join(magic)))
    exec(code, {"get_ipython": lambda: shell})
    assert not said

    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    exec(code, {"get_ipython": lambda: shell})
    assert [line.split()[:2] for line in said] == [["pip", "install"]] * 2
    assert "--no-deps git+{repository}" in said[0]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    declared = {Requirement(line).name for line in project["dependencies"]}
    assert declared - {"torch", "numpy", "matplotlib"} == set(said[1].split()[3:])


def test_the_first_cell_is_put_in_once_and_follows_the_address(monkeypatch):
    bare = "# Title\n\nText.\n\n```{code-cell} ipython3\n1 + 1\n```\n\nMore.\n"
    given = chapters.launching(bare)
    assert chapters.launching(given) == given and given.count("%pip") == 2
    assert given.startswith("# Title\n\nText.\n\n```{code-cell} ipython3\n:tags: [launch")
    assert given.endswith(bare.removeprefix("# Title\n\nText.\n\n"))
    monkeypatch.setattr(chapters, "repository", lambda: "https://elsewhere.org/a/b")
    moved = chapters.launching(given)
    assert "git+https://elsewhere.org/a/b\n" in moved and moved.count("%pip") == 2


@each
def test_cells_are_short_and_quiet(text):
    for cell in cells(text):
        assert len(cell.source.splitlines()) <= 25, cell.source
        for output in cell.outputs:
            assert output.get("name") != "stderr", output.text


def number(text):
    return int(text.stem[:2])


@each
def test_no_figure_is_stored_as_words_alone(text):
    """As those are that come before anything has told Jupyter how to show a figure."""
    for cell in cells(text):
        for data in (output.get("data", {}) for output in cell.outputs):
            assert "<Figure" not in data.get("text/plain", "") or chapters.FIGURES & data.keys()


def drawn(text):
    """The cells of a chapter that show a figure, each with what it stores of it."""
    for cell in cells(text):
        data = [output.get("data", {}) for output in cell.outputs]
        if stored := [d for d in data if chapters.FIGURES & d.keys()]:
            yield cell, stored


def captioned(text):
    return [cell.metadata.get("mystnb", {}).get("figure", {}) for cell, _ in drawn(text)]


@each
def test_every_figure_says_what_it_shows(text):
    """To who sees it in a caption, and to who does not in words that stand for it."""
    for cell, stored in drawn(text):
        alt = cell.metadata.get("mystnb", {}).get("image", {}).get("alt", "")
        assert len(alt) > 30, cell.source
        if number(text) <= 5:
            (data,) = stored  # one caption is for one figure
            assert "image/svg+xml" in data, "svg, which a screen can scale and a theme can colour"
            assert "<dc:date>1970" in data["image/svg+xml"], "the file says when it was drawn"
            assert len(data["image/svg+xml"]) < 400_000
    for figure in captioned(text):
        if figure or number(text) <= 5:
            assert len(figure["caption"]) > 20 and figure["name"].startswith("fig-")
    assert len(captioned(text)) >= 2


def test_no_name_of_a_figure_occurs_twice():
    names = [figure["name"] for text in TEXTS for figure in captioned(text) if figure]
    assert len(names) == len(set(names))


def views(text):
    outputs = [output.get("data", {}) for cell in cells(text) for output in cell.outputs]
    return [data["text/html"] for data in outputs if "text/html" in data]


@each
def test_a_view_is_small_and_stands_alone(text):
    """Frames under a slider, or one script of its own; how they behave: tests/show."""
    assert views(text)
    for view in views(text):
        soup = BeautifulSoup(view, "html.parser")
        (figure,) = soup("figure")
        assert len(view) <= 150_000 and figure["aria-label"]
        assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)|<link|<iframe|src=", view)
        if figure.has_attr("data-playground"):
            (script,) = soup("script")
            assert not script.attrs and "run its cell" in figure.find("div").text
        else:
            assert not soup("script")
            assert figure.select("[type=range][aria-label][aria-valuetext]")
            assert figure.select("button") and figure.select("[data-frame]")


@pytest.mark.parametrize("text", [t for t in TEXTS if number(t) <= 5], ids=lambda path: path.stem)
def test_something_in_a_chapter_can_be_changed_by_who_reads_it(text):
    assert any("data-playground" in view for view in views(text))


def test_a_chapter_run_twice_draws_the_same():
    code = """\
%config InlineBackend.figure_formats = ["svg"]
import matplotlib.pyplot as plt
plt.style.use("nanoparadigm.show.book")
plt.plot([1, 3, 2], "o-")
plt.show()"""
    notebooks = [made_of(code) for _ in range(2)]
    for notebook in notebooks:
        chapters.run(notebook)
    (first,), (second,) = (notebook.cells[0].outputs for notebook in notebooks)
    assert first.data["image/svg+xml"] == second.data["image/svg+xml"]
    assert chapters.kinds(notebooks[0]) == (1, 0)


@each
def test_exercises_begin_unsolved_and_their_solutions_are_right(text):
    asked, solved = [], []
    for cell in cells(text):
        tags = cell.metadata.get("tags", [])
        if not {"exercise", "solution"} & set(tags):
            continue
        name = chapters.checked(cell)
        if "exercise" in tags:
            asked.append(name)
            assert not cell.outputs, "a stub has nothing to say to who only reads"
        else:
            solved.append(name)
            (said,) = [o.data["text/plain"] for o in cell.outputs]
            assert said.startswith(f"{name}: right")
    assert asked == solved and 4 <= len(asked) <= 7 and set(asked) <= set(ALL)


def test_changed_words_need_no_execution_and_changed_code_does(tmp_path):
    text = tmp_path / "04-bound.md"
    (original,) = [path for path in TEXTS if path.name == text.name]
    for path in (original, original.with_suffix(".ipynb")):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    source = text.read_text()
    text.write_text(source.replace("· The masked-diffusion bound", "· The bound"))
    assert chapters.stale(text) and chapters.reworded(text) and chapters.stale(text) is None
    text.write_text(source.replace("small, L = tiny(), 5", "small, L = tiny(), 4"))
    assert not chapters.reworded(text) and chapters.stale(text)


def test_the_page_on_how_to_use_the_book_leads_to_every_chapter():
    using = (ROOT / "book" / "using.md").read_text()
    assert re.findall(r"^\| \[\d+b? · .+?\]\((.+?)\)", using, flags=re.M) == [t.name for t in TEXTS]


def test_an_altered_output_is_noticed(tmp_path):
    """nbval, which compares what chapters print, can fail: on one changed word of one output."""
    notebook = made_of("print('the truth')")
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
