"""Copies with a language of their own: the grader knows whose numbers are right."""

from contextlib import suppress

import nbformat
import pytest
from test_grading import notebook

from nanoparadigm.commands import main as cli
from nanoparadigm.exercises import QUESTIONS
from nanoparadigm.exercises.yours import seed_of
from nanoparadigm.grading import notebooks

QUESTION = QUESTIONS["my_step"]
STEM = QUESTION.chapter


def handed_in(folder, student, seed, written=None):
    """A notebook with the numbers of a seed, in a copy of the seed that is written in it."""
    numbers = QUESTION.right(seed)
    made = notebook(f'def mine():\n    return {numbers}\n\n\ncheck("my_step", mine, seed=1)')
    if written is not None:
        made.metadata["nanoparadigm"] = {"seed": written}
    (folder / student).mkdir(exist_ok=True)
    nbformat.write(made, folder / student / f"{STEM}.ipynb")


def graded(capsys, *words):
    """What the grader says of the question, or of the notebook, in the order of the students."""
    with suppress(SystemExit):  # 1, where a notebook could not be graded
        cli.main(["grade", *words])
    lines = capsys.readouterr().out.splitlines()
    return [line.strip() for line in lines if "my_step:" in line or "among" in line]


def test_everybody_is_asked_about_their_own_language(tmp_path, capsys):
    (tmp_path / "class.txt").write_text("Ada Lovelace\nbob\neve\n")
    for student, whose in (
        ("ada lovelace", "Ada Lovelace"),
        ("bob", "ADA LOVELACE"),
        ("mallory", "eve"),
    ):
        handed_in(tmp_path, student, seed_of(whose), seed_of(whose))
    handed_in(tmp_path, "eve", 0)
    ada, bob, eve, mallory = graded(
        capsys, str(tmp_path), "--names", str(tmp_path / "class.txt"), "--jobs", "2"
    )
    assert ada.startswith("my_step: right")
    assert bob == "my_step: not yet. These are the numbers of Ada Lovelace."
    assert "the numbers of the book's language" in eve
    assert "mallory, who is not among the names" in mallory


def test_a_class_may_share_a_seed_and_a_copy_knows_its_own(tmp_path, capsys):
    handed_in(tmp_path, "ada", 17, 17)
    handed_in(tmp_path, "bob", 18, 17)
    for words in [str(tmp_path)], [str(tmp_path), "--seed", "17"]:
        ada, bob = graded(capsys, *words)
        assert ada == "my_step: right." and "not right" in bob
    ada, bob = graded(capsys, str(tmp_path), "--seed", "18")
    assert "not right" in ada and bob == "my_step: right."


@pytest.mark.parametrize("told", [None, 3.5, -1, 2**40, "17", {"seed": [1]}])
def test_a_seed_that_is_none_counts_as_the_book_s(told):
    made = notebook()
    made.metadata["nanoparadigm"] = {"seed": told}
    assert notebooks.own_seed(made) == 0
