"""What was found becomes lines and tables, whatever the files are called."""

import csv
import os
import unicodedata
from pathlib import Path

import nbformat
import pytest

from nanoparadigm import InputError
from nanoparadigm.grading import Grade, find, notebooks, rows, totals, twice, write

STEM = "03-masking"


@pytest.mark.parametrize(
    "path, student",
    [
        (f"{STEM}.ipynb", "handed-in"),
        (f"Ada Lovelace/{STEM}.ipynb", "Ada Lovelace"),
        (f"Ada Lovelace/{STEM} (1).ipynb", "Ada Lovelace"),
        (f"ada-{STEM}.ipynb", "ada"),
        (f"ada@example.org-{STEM}.ipynb", "ada@example.org"),
        (f"{STEM}_ada2.ipynb", "ada2"),
        (f"ada-{STEM.title()}-copy.ipynb", "ada"),
        (f"{unicodedata.normalize('NFD', 'Zoë')}-{STEM}.ipynb", "Zoë"),
    ],
)
def test_a_student_is_called_as_the_file_or_the_folder(path, student):
    assert Grade(Path("handed-in") / path, STEM).student == student


def test_a_student_without_a_name_is_called_as_the_folder_one_is_in(tmp_path, monkeypatch):
    (tmp_path / "ada").mkdir()
    monkeypatch.chdir(tmp_path / "ada")
    assert Grade(Path(f"{STEM}.ipynb"), STEM).student == "ada"


def test_folders_are_searched_for_notebooks(tmp_path):
    for name in "b/2.ipynb", "a/1.ipynb", "a/.ipynb_checkpoints/1.ipynb", "a/._1.ipynb":
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "none").mkdir()
    found = [*find([tmp_path / "b" / "2.ipynb", tmp_path / "a", tmp_path / "none"])]
    assert found == [tmp_path / "b/2.ipynb", tmp_path / "a/1.ipynb", tmp_path / "none"]


def graded(path, *right, chapter=STEM, problem=""):
    """A Grade of a file, by which of its answers are right."""
    return Grade(Path(path), chapter, dict(zip("abc", right, strict=False)), problem=problem)


def test_of_several_notebooks_the_best_one_counts_and_all_are_named():
    none = None
    tries = [
        graded("x/ada.ipynb", True, none, none),
        graded("y/ada.ipynb", True, True, none),
        graded("z/ada.ipynb", none, none, none),
        graded("x/bob.ipynb", True, chapter="08-flow"),
    ]
    assert [*totals(tries)] == [
        ("student", STEM, "08-flow", "total"),
        ("ada", 2, 0, 2),
        ("bob", 0, 1, 1),
    ]
    assert [*twice(tries)] == [
        f"ada has 3 notebooks of {STEM}: x/ada.ipynb, y/ada.ipynb, z/ada.ipynb"
    ]


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t=", "\r="])
def test_no_cell_of_a_table_is_a_formula(start, tmp_path):
    name = f"{start}1+cmd|'x'!A1, \"z\"\n=2;"
    found = graded(f"{name}.ipynb", problem=f"{name} is nothing")
    found.path = Path(f"{name}/{STEM}.ipynb")
    for table in rows([found]), totals([found]):
        write(tmp_path / "table.csv", table)
        with (tmp_path / "table.csv").open(newline="", encoding="utf-8") as file:
            cells = [cell for row in csv.reader(file) for cell in row]
        assert len({*map(len, csv.reader((tmp_path / "table.csv").open(newline="")))}) == 1
        assert any("cmd" in cell for cell in cells)
        assert not any(cell[:1] in tuple("=+-@\t\r") or "\n" in cell for cell in cells if cell)


def test_a_name_does_not_command_the_terminal_and_any_bytes_can_be_written(tmp_path):
    path = os.fsdecode(b"\x1b[2J\xff\n-03-masking.ipynb")
    found = graded(path, None, problem=f"{path}: \x1b]0;\x07")
    assert all(line.isprintable() for line in found.lines())
    write(tmp_path / "table.csv", rows([found]))
    assert "\x1b" not in (tmp_path / "table.csv").read_text(encoding="utf-8")


def test_what_is_no_ordinary_file_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "fifo.ipynb")
    os.truncate(os.open(tmp_path / "large.ipynb", os.O_CREAT | os.O_WRONLY), 2**40)
    (tmp_path / "zero.ipynb").symlink_to("/dev/zero")
    for name, said in ("fifo", "no ordinary"), ("large", "larger than"), ("zero", "no ordinary"):
        with pytest.raises(InputError, match=said):
            notebooks.load(tmp_path / f"{name}.ipynb")


def test_a_notebook_is_read_whatever_its_size_up_to_that(tmp_path):
    made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("x" * 2**20)])
    nbformat.write(made, tmp_path / "a.ipynb")
    assert notebooks.load(tmp_path / "a.ipynb").cells[0].source == "x" * 2**20
