"""The copies to work in: plain Markdown, the book's numbers, the chapter's code, no solutions."""

import re
import shutil
import sys
from pathlib import Path

import chapters
import jupytext
import launch
import nbformat
import pytest
from helpers import ROOT, make
from jupyterlab.commands import get_app_dir
from jupyterlab_server.settings_utils import get_settings

import student
from nanoparadigm import grading
from nanoparadigm.exercises import CHAPTERS, QUESTIONS
from nanoparadigm.exercises.yours import seed_of
from nanoparadigm.show.figures import WIDGET

TEXTS = chapters.texts()
each = pytest.mark.parametrize("text", TEXTS, ids=lambda path: path.stem)

# What a reader without Sphinx would see as it is written
RAW = re.compile(
    r"\{[\w:+-]+\}`|^[\s>]*(```|~~~)\{|:::|^[\s>]*:[\w-]+:"
    r"|^\([\w-]+\)=|\$\$[ ]*\([\w-]+\)|^%|^\+\+\+",
    flags=re.M,
)


def of(notebook, kind):
    return [cell for cell in notebook.cells if cell.cell_type == kind]


def asking(text):
    """The source of a chapter without the words of its solutions."""
    solution = r"```\{solution-start\}.*?```\{solution-end\}\n```"
    return re.sub(solution, "", text.read_text(encoding="utf-8"), flags=re.S)


def prose(notebook):
    return "\n\n".join(cell.source for cell in of(notebook, "markdown"))


def made_of(*sources):
    """A notebook of these cells of Markdown."""
    notebook = nbformat.v4.new_notebook()
    notebook.cells = [nbformat.v4.new_markdown_cell(source) for source in sources]
    return notebook


def words(source):
    return prose(student.student(made_of(source)))


@each
def test_nothing_in_a_copy_needs_sphinx(text):
    notebook = jupytext.read(text)
    assert RAW.search(prose(notebook))
    assert not RAW.search(prose(student.student(notebook)))


@pytest.mark.parametrize(
    "source",
    [
        "{doc}`speed`",
        "{ref}`a-heading`",
        "```{figure} a.png\n```",
        ":::{card}\n:::",
        "![a](figures/a.png)",
        "Text.[^1]\n\n[^1]: A note.",
        "Term\n: what it means",
        "\\begin{align}\na\n\\end{align}",
    ],
)
def test_what_has_no_plain_words_is_refused(source):
    with pytest.raises(ValueError, match="no plain words"):
        words(source)


def test_what_is_not_shown_in_the_book_is_not_shown_in_a_copy():
    assert words("% why\n\nText.\n\n+++\n\n(here)=\n## More") == "Text.\n\n\n## More"


@each
def test_the_equations_of_a_copy_bear_their_numbers_and_are_referred_to_by_them(text):
    source, copied = asking(text), prose(student.student(jupytext.read(text)))
    tags = {}
    for body, label in re.findall(r"^\$\$\n([^$]+)\n\$\$ \(([\w-]+)\)", source, flags=re.M):
        (tags[label],) = re.findall(re.escape(body) + r"\n\\tag\{(.+?)\}\n\$\$", copied)
    assert re.findall(r"\\tag\{(.+?)\}", copied) == list(tags.values())
    assert len(set(tags.values())) == len(tags) == source.count("$$ (")
    for before, label in re.findall(r"([^`)]{0,15})\{eq\}`([\w-]+)`", source):
        page, number = student.numbers()[label]
        if label in tags:
            assert f"{before}({tags[label]})" in copied
        else:
            assert f"{before}[({number})]({page}.ipynb)" in copied


@each
def test_the_exercises_of_a_copy_bear_their_numbers(text):
    copied = prose(student.student(jupytext.read(text)))
    asked = re.findall(r"^:label: (exercise-[\w-]+)$", text.read_text(), flags=re.M)
    numbers = [student.numbers()[label][1] for label in asked]
    assert asked and re.findall(r"^\*\*Exercise (.+?)\.\*\*\n\S", copied, flags=re.M) == numbers


@each
def test_what_a_copy_cites_is_listed_at_its_end(text):
    cited = re.findall(r"\{cite\}`([^`]+)`", asking(text))
    keys = {key.strip() for entry in cited for key in entry.split(",")}
    before, _, after = prose(student.student(jupytext.read(text))).partition("## References\n")
    assert sorted(after.strip().splitlines()) == sorted(
        f"* {authors} ({year}): {entry}"
        for authors, year, entry in (student.references()[key] for key in keys)
    )
    for authors, year, _ in (student.references()[key] for key in keys):
        spaced = " ".join(before.split())
        assert re.search(rf"{re.escape(authors)}(, {year}|('s)? \({year}\))", spaced)


def test_no_two_works_are_called_the_same():
    called = [work[:2] for work in student.references().values()]
    assert len(set(called)) == len(called)


def test_a_citation_does_not_say_the_authors_twice():
    said = words(
        "Austin et\nal.'s {cite}`austin2021structured`, "
        "see {cite}`gu2023mamba,shannon1951prediction`."
    )
    assert said.startswith(
        "Austin et\nal.'s (2021), see (Gu and Dao, 2024; Shannon, 1951).\n\n## References"
    )
    assert said.count("\n* ") == 3


def test_a_reference_from_elsewhere_leads_to_the_chapter():
    said = words("See {eq}`bound-u` and {ref}`exercise-step`.")
    (page, u), (_, step) = (student.numbers()[label] for label in ("bound-u", "exercise-step"))
    assert u.startswith("4.") and step.startswith("4.")
    assert said == f"See [({u})]({page}.ipynb) and [Exercise {step}]({page}.ipynb)."


def test_a_box_is_a_quotation():
    said = words(":::{admonition} A trap\n:class: warning\nIt is\n\n* deep.\n:::")
    assert said == "> **A trap**\n>\n> It is\n>\n> * deep."
    assert words("```{note}\nWell.\n```") == "> **Note**\n>\n> Well."


@each
def test_links_lead_to_other_copies_or_out(text, monkeypatch):
    site = "https://example.org/book/"
    beside = {text.with_suffix(".ipynb").name for text in TEXTS}
    named = (ROOT / "book/references.bib").read_text() + text.read_text()
    student.parser()  # which asks the true configuration
    for config in {}, {"baseurl": site}:
        monkeypatch.setattr(student, "config", lambda config=config: {"html": config})
        copied = student.student(jupytext.read(text))
        tokens = student.parser().parse(prose(copied))
        inside = [child for token in tokens for child in token.children or []]
        for link in (token.attrs["href"] for token in inside if token.type == "link_open"):
            if link.startswith(site):
                assert (ROOT / link.removeprefix(site)).with_suffix(".md").exists()
            else:
                assert link in beside or re.search(r"arxiv\.org/|doi\.org/", link) or link in named


def outside_solutions(notebook):
    """The code cells of no solution, which may have more than the one that is checked."""
    solving = False
    for cell in notebook.cells:
        if marks := re.findall(r"\{solution-(start|end)\}", cell.source):
            solving = marks[-1] == "start"
        if cell.cell_type == "code" and not solving:
            yield cell


@each
def test_a_copy_has_the_code_of_its_chapter_and_no_solution(text):
    notebook = jupytext.read(text)
    written = "\n\n".join(c.source for c in of(notebook, "markdown"))
    # each solution's first words, up to what a copy may write in another way
    answers = re.findall(r"\{solution-start\}[^`]*```\s+([\w ,.]{20,})", written)
    for launching in False, True:
        copied = student.student(notebook, launching)
        left = set() if launching else {"launch"}
        kept = [
            c for c in outside_solutions(notebook) if not left & set(c.metadata.get("tags", []))
        ]
        given = [c for c in of(copied, "code") if "show.live import race" not in c.source]
        assert [chapters.content(c) for c in given] == [chapters.content(c) for c in kept]
        races = len(of(copied, "code")) - len(given)
        assert races == sum(c.source.count("</nano-race>") for c in of(notebook, "markdown"))
        assert not any(c.outputs or c.execution_count for c in of(copied, "code"))
        assert "{solution" not in prose(copied)
        assert not any(answer in prose(copied) for answer in answers)
        title, second = copied.cells[:2]
        assert title.source.startswith("# ")
        assert ("launch" in second.metadata.get("tags", [])) == launching


def solved(text):
    """A copy with the solutions pasted in."""
    notebook = student.student(jupytext.read(text))
    stubs = chapters.tagged(notebook, "exercise")
    solutions = chapters.tagged(jupytext.read(text), "solution")
    for stub, solution in zip(stubs, solutions, strict=True):
        stub.source = solution.source
    return notebook


@each
def test_a_copy_runs_to_its_end_with_the_solutions_pasted_in_and_gets_full_marks(text, tmp_path):
    nbformat.write(solved(text), path := tmp_path / f"ada-{text.stem} (1).ipynb")
    found = grading.grade(path, grading.Cases(1), limits=grading.Limits(60, 600, 1800))
    assert found.verdicts and all(found.verdicts.values()), found.remarks()
    assert not found.cells and not found.problem


def test_the_views_of_a_copy_are_live():
    text = next(text for text in TEXTS if "\nexplore(" in text.read_text(encoding="utf-8"))
    chapters.run(notebook := solved(text))
    views = [c for c in of(notebook, "code") if re.search(r"^explore\(", c.source, flags=re.M)]
    assert views
    for cell in views:
        assert any(WIDGET in output.get("data", {}) for output in cell.outputs)


def test_what_the_buttons_open_is_up_to_date():
    made = dict(student.copies(launch=True))
    assert {path.name for path in student.PUBLISHED.iterdir()} == set(made)
    for name, notebook in made.items():
        stored = nbformat.read(student.PUBLISHED / name, as_version=4)
        pair = ([chapters.content(c) for c in n.cells] for n in (stored, notebook))
        assert next(pair) == next(pair), "run: make chapters"


def test_a_button_opens_the_copy():
    buttons = [{"url": "https://a.org/main/book/04-bound.ipynb"}, {"url": "https://a.org/b"}]
    context = {"header_buttons": [{"label": "launch-buttons", "buttons": buttons}, {"text": "x"}]}
    launch.open_copies(None, "book/04-bound", "page.html", context, None)
    assert [b["url"] for b in buttons] == [
        "https://a.org/main/student/04-bound.ipynb",
        "https://a.org/b",
    ]


def test_the_start_leads_to_every_copy():
    (cell,) = student.start().cells
    assert re.findall(r"^\* \[.+?\]\((.+?)\)\. .+[.?]$", cell.source, flags=re.M) == [
        text.with_suffix(".ipynb").name for text in TEXTS
    ]


def test_what_has_been_worked_on_is_kept(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(student, "STUDENT", tmp_path)
    monkeypatch.setattr(student.chapters, "texts", lambda: TEXTS[:1])
    worked_on = tmp_path / TEXTS[0].with_suffix(".ipynb").name
    for arguments, kept in ([], True), (["--overwrite"], False):
        worked_on.write_text("mine")
        monkeypatch.setattr(sys, "argv", ["student.py", *arguments])
        student.main()
        assert (worked_on.read_text() == "mine") == kept
    assert "kept: " in capsys.readouterr().out


@each
def test_a_private_copy_differs_in_its_seed_alone(text):
    public = student.student(jupytext.read(text))
    copied = student.private(public, text.stem, 17)
    added = [c.source for c in copied.cells if c.source not in {c.source for c in public.cells}]
    note, *rest = added
    assert "**Your own seed is 17.**" in note and copied.cells[1].source == note
    asked = [name for name, q in QUESTIONS.items() if q.chapter == text.stem]
    words = [cell for cell in rest if not re.search(r"^check\(", cell, flags=re.M)]
    checks = "\n".join(cell for cell in rest if cell not in words)
    assert len(words) == len(asked) and all("`tiny(17)`" in w or "language(17)" in w for w in words)
    assert "{" not in "".join(words).replace("\\frac{", "").replace("{,}", "")
    names = re.findall(r"check\(\"(\w+)\", \w+, seed=17\)", checks)
    assert names == [*CHAPTERS[text.stem].EXERCISES, *asked]
    assert copied.metadata["nanoparadigm"] == {"seed": 17}
    assert not any(c.source in added for c in public.cells)  # the public copy is as it was
    kept = [c.source.replace(", seed=17)", ")") for c in copied.cells]
    assert [c.source for c in public.cells] == [c for c in kept if c not in (note, *added_of(kept))]


def added_of(sources):
    """The cells of the question about one's own language."""
    return [s for s in sources if "**About your own language.**" in s or "def my_numbers()" in s]


def test_everybody_gets_a_copy_of_their_own(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(student, "STUDENT", tmp_path / "student")
    monkeypatch.setattr(student.chapters, "texts", lambda: TEXTS[:1])
    (tmp_path / "class.txt").write_text("Ada Lovelace\nbob\n")
    for arguments in ["--names", str(tmp_path / "class.txt")], ["--seed", "17"]:
        monkeypatch.setattr(sys, "argv", ["student.py", *arguments])
        student.main()
    name = TEXTS[0].with_suffix(".ipynb").name
    folders = ["students/Ada Lovelace", "students/bob", "student-17"]
    read = [nbformat.read(tmp_path / f / name, as_version=4) for f in folders]
    seeds = [notebook.metadata["nanoparadigm"]["seed"] for notebook in read]
    assert seeds == [seed_of("ada lovelace"), seed_of("bob"), 17]
    for arguments, said in (
        (["--names", str(tmp_path / "nobody.txt")], "cannot read"),
        (["--seed", "-1"], "give a whole number from 0"),
    ):
        monkeypatch.setattr(sys, "argv", ["student.py", *arguments])
        with pytest.raises(SystemExit):
            student.main()
        assert said in capsys.readouterr().err


@pytest.mark.skipif(not shutil.which("make"), reason="needs make")
@pytest.mark.parametrize("target", ["lab", "learn"])
def test_jupyterlab_does_not_ask_about_news(target):
    said = make("-n", "-o", ".venv/installed", target, cwd=ROOT).splitlines()[-1]
    (folder,) = re.findall(r"jupyter lab --LabApp.app_settings_dir=(\S+) ", said)
    schemas = Path(get_app_dir()) / "schemas"
    name = "@jupyterlab/apputils-extension:notification"
    found, _ = get_settings(folder, str(schemas), "", schema_name=name)
    assert found["schema"]["properties"]["fetchNews"]["default"] == "false"
