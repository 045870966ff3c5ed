"""The course for nbgrader: what it says of its cells, and what is left of them for students."""

import math
import re
import sys
from functools import cache

import chapters
import jupytext
import nbformat
import nbgrader_export
import pytest
import torch

import student
from nanoparadigm.exercises import ALL, CHAPTERS, check

SEED = 4711
TEXTS = chapters.texts()
each = pytest.mark.parametrize("text", TEXTS, ids=lambda path: path.stem)

# what the chapter has imported before its exercises
IMPORTED = {"math": math, "torch": torch, "check": check}

# nbgrader's schema 3: what must be there, and what may be
REQUIRED = {"schema_version": int, "grade": bool, "locked": bool, "solution": bool}
ALLOWED = {**REQUIRED, "task": bool, "grade_id": str, "points": int}


@cache
def course(text):
    return nbgrader_export.source(text, SEED)


@cache
def copy(text):
    return student.student(jupytext.read(text))


def of_nbgrader(notebook):
    """Its cells that nbgrader knows, by their ids."""
    cells = [cell for cell in notebook.cells if "nbgrader" in cell.metadata]
    found = {cell.metadata["nbgrader"]["grade_id"]: cell for cell in cells}
    assert len(found) == len(cells), "an id comes twice"
    return found


def stripped(source, region, stub=()):
    """A cell's source without what stands in a region, as nbgrader takes it out, line by line."""
    kept, inside = [], False
    for line in source.split("\n"):
        if f"BEGIN {region}" in line:
            assert not inside
            inside = True
            kept += [re.match(r"\s*", line)[0] + words for words in stub]
        elif f"END {region}" in line:
            inside = False
        elif not inside:
            kept.append(line)
    assert not inside
    return "\n".join(kept)


@each
def test_what_is_said_of_a_cell_is_what_schema_3_wants(text):
    for name, cell in of_nbgrader(course(text)).items():
        said = cell.metadata["nbgrader"]
        assert said.keys() >= REQUIRED.keys() and said.keys() <= ALLOWED.keys()
        assert all(type(value) is ALLOWED[key] for key, value in said.items())
        assert said["schema_version"] == 3 and not said["task"]
        assert re.fullmatch(r"[a-zA-Z0-9_\-]+", name)
        assert ("points" in said) == said["grade"] == said["locked"] != said["solution"]


@each
def test_every_exercise_has_one_cell_to_answer_in_and_below_it_one_point(text):
    notebook = course(text)
    nbformat.validate(notebook)
    names = list(CHAPTERS[text.stem].EXERCISES)
    cells = of_nbgrader(notebook)
    assert sorted(cells) == sorted([*names, *(f"answer-{name}" for name in names)])
    for name in names:
        answer, tests = cells[f"answer-{name}"], cells[name]
        assert answer.metadata["nbgrader"]["solution"]
        assert tests.metadata["nbgrader"]["points"] == 1
        assert notebook.cells.index(tests) == notebook.cells.index(answer) + 1


@each
def test_the_instructor_has_the_solution_of_the_chapter(text):
    solutions = chapters.tagged(jupytext.read(text), "solution")
    cells = of_nbgrader(course(text))
    for solution in solutions:
        answer = cells[f"answer-{chapters.checked(solution)}"].source
        compile(answer, text.stem, "exec")
        lines = [line.strip() for line in answer.split("\n") if line and "SOLUTION" not in line]
        *wanted, _ = [line.strip() for line in solution.source.split("\n") if line]
        assert sorted(lines) == sorted(wanted)


@each
def test_students_get_the_stub_and_none_of_the_solution(text):
    asked = {chapters.checked(c): c.source for c in chapters.tagged(copy(text), "exercise")}
    for name, cell in of_nbgrader(course(text)).items():
        left = stripped(stripped(cell.source, "SOLUTION", ["..."]), "HIDDEN TESTS")
        stub, _, check = asked[name.removeprefix("answer-")].rpartition("\n\n\n")
        if cell.metadata["nbgrader"]["grade"]:
            assert left == f"verdict = {check}\nassert verdict, verdict"
            assert cell.source.count("seed=") == cell.source.count(f"seed={SEED})") == 1
        else:
            assert left == stub
            assert "check(" not in cell.source


@each
def test_all_else_is_the_copy_that_students_get(text):
    given = [cell for cell in copy(text).cells if not student.exercise(cell)]
    cells = [cell for cell in course(text).cells if "nbgrader" not in cell.metadata]
    inside = re.compile(r"\]\(\.\./([\w-]+)/\1\.ipynb\)")
    beside = [inside.sub(r"](\1.ipynb)", cell.source) for cell in cells]
    assert beside == [cell.source for cell in given]
    assert not any(re.search(r"\]\([\w-]+\.ipynb\)", cell.source) for cell in cells)
    assert not any(re.search("BEGIN|SOLUTION|HIDDEN", cell.source) for cell in cells)


def test_solutions_pass_the_tests_and_stubs_do_not():
    (text,) = (text for text in TEXTS if text.stem == "03-masking")
    cells = of_nbgrader(course(text))
    for name in CHAPTERS[text.stem].EXERCISES:
        answer, tests = cells[f"answer-{name}"].source, cells[name].source
        exec(f"{answer}\n{tests}", dict(IMPORTED))
        with pytest.raises(AssertionError, match=f"^{name}: not yet"):
            exec(f"{stripped(answer, 'SOLUTION', ['...'])}\n{tests}", dict(IMPORTED))


def test_who_knows_only_the_cases_that_students_see_fails_the_hidden_test():
    exercise = ALL["reveal_probability"]
    rights = {case: exercise.reference(*case) for case in exercise.cases(0)}

    def by_heart(*given):
        return next((right for case, right in rights.items() if case == given), given[0])

    (text,) = (text for text in TEXTS if text.stem == "03-masking")
    tests = of_nbgrader(course(text))["reveal_probability"].source
    names = {**IMPORTED, "my_reveal": by_heart}
    exec(stripped(tests, "HIDDEN TESTS"), names)
    with pytest.raises(AssertionError, match="not yet"):
        exec(tests, names)


def test_an_edited_course_is_kept(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(nbgrader_export, "COURSE", tmp_path)
    monkeypatch.setattr(chapters, "texts", lambda: TEXTS[:1])
    stem = TEXTS[0].stem
    edited = tmp_path / "source" / stem / f"{stem}.ipynb", tmp_path / "nbgrader_config.py"
    for arguments, kept in ([], True), (["--overwrite"], False):
        for path in edited:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("mine")
        monkeypatch.setattr(sys, "argv", ["nbgrader_export.py", *arguments])
        nbgrader_export.main()
        assert all((path.read_text() == "mine") == kept for path in edited)
    assert "kept: " in capsys.readouterr().out
