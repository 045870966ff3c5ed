"""The chapters as a course for nbgrader: with solutions, and with tests that nobody else sees.

python book/nbgrader_export.py                build/nbgrader/: a course folder with its source/
python book/nbgrader_export.py --seed 4711    hidden tests on the cases that this seed draws
python book/nbgrader_export.py --overwrite    also what may have been edited there

`nbgrader generate_assignment 03-masking`, in that folder, writes what students get to release/.
Each exercise with a checker is worth a point. The others stay text, to be read by you.
"""

import argparse
import re
from textwrap import indent

import chapters
import jupytext
import nbformat

import student

COURSE = student.ROOT / "build" / "nbgrader"
# nbgrader itself gives a cell 30 seconds, and a training takes longer.
CONFIG = """\
c = get_config()
c.Execute.timeout = 600
c.ClearSolutions.code_stub = {"python": "..."}
"""
SOLUTION = """\
{stub}
    ### BEGIN SOLUTION
{solution}
### END SOLUTION"""
TESTS = """\
verdict = {check}
assert verdict, verdict
### BEGIN HIDDEN TESTS
verdict = {fresh}
assert verdict, verdict
### END HIDDEN TESTS"""


def source(text, seed):
    """A chapter as nbgrader's source. seed: draws the cases of the hidden tests."""
    whole = jupytext.read(text)
    solutions = {chapters.checked(cell): cell for cell in chapters.tagged(whole, "solution")}
    notebook, cells = student.student(whole), []
    for cell in notebook.cells:
        if student.exercise(cell):
            cells += graded(cell, solutions[chapters.checked(cell)], seed)
            continue
        if cell.cell_type == "markdown":  # every assignment has a folder of its own
            cell.source = re.sub(r"\]\(([\w-]+)\.ipynb\)", r"](../\1/\1.ipynb)", cell.source)
        cells.append(cell)
    notebook.cells = cells
    return notebook


def graded(exercise, solution, seed):
    """Two cells in the place of an exercise: one to answer in, and a locked one that tests it."""
    name = chapters.checked(exercise)
    stub, check = (part.strip() for part in exercise.source.split("\n    ...\n"))
    imports, _, body = solution.source.strip().removesuffix(check).partition(stub)
    body = (indent(imports.strip(), "    ") + body).strip("\n")
    fresh = student.CHECK.sub(rf"\1, seed={seed})", check)
    answer = nbformat.v4.new_code_cell(SOLUTION.format(stub=stub, solution=body))
    tests = nbformat.v4.new_code_cell(TESTS.format(check=check, fresh=fresh))
    answer.metadata["nbgrader"] = metadata(f"answer-{name}", solution=True)
    tests.metadata["nbgrader"] = metadata(name, grade=True, locked=True, points=1)
    return answer, tests


def metadata(grade_id, **given):
    """What nbgrader wants to know of a cell."""
    plain = dict(schema_version=3, grade=False, solution=False, locked=False, task=False)
    return {**plain, "grade_id": grade_id, **given}


def main():
    raw = argparse.RawTextHelpFormatter
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    arguments.add_argument("--overwrite", action="store_true")
    arguments.add_argument("--seed", type=int, default=29, help="of the hidden tests")
    options = arguments.parse_args()
    if not 0 < options.seed < 2**31:
        arguments.error(f"seed is {options.seed}: give a whole number from 1 to {2**31 - 1}")
    for text in chapters.texts():
        made = {text.with_suffix(".ipynb").name: source(text, options.seed)}
        student.write(made, COURSE / "source" / text.stem, overwrite=options.overwrite)
    config = COURSE / "nbgrader_config.py"
    if options.overwrite or not config.exists():
        config.write_text(CONFIG, encoding="utf-8")


if __name__ == "__main__":
    main()
