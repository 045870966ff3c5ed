"""What was found of each notebook, as lines, and as tables for a gradebook."""

import csv
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..exercises import CHAPTERS, Verdict
from ..files import StrPath
from ..terminal import visible
from . import notebooks

Row = tuple[object, ...]
FORMULA = tuple("=+-@")
"""how a cell begins that a spreadsheet would compute"""


@dataclass
class Grade:
    """What was found of one notebook."""

    path: Path
    chapter: str = ""
    verdicts: dict[str, Verdict | None] = field(default_factory=dict)
    """the name of each exercise of the chapter -> its Verdict, None where no answer came"""
    cells: dict[int, str] = field(default_factory=dict)
    """the number of a code cell, from 1 -> how it was stopped"""
    problem: str = ""
    """a sentence if it could not be graded, or not to its end"""

    @property
    def student(self) -> str:
        """Return who handed it in."""
        return notebooks.student(self.path, self.chapter)

    @property
    def points(self) -> int:
        """Return how many answers are right."""
        return sum(map(bool, self.verdicts.values()))

    def remarks(self) -> dict[str, str]:
        """Return the name of each exercise -> what there is to say of it."""
        missing = "{}: not yet. No answer was given to check."
        return {
            name: missing.format(name) if verdict is None else verdict.message
            for name, verdict in self.verdicts.items()
        }

    def lines(self) -> Iterator[str]:
        """Yield what there is to say, each line safe for a terminal."""
        if self.verdicts:
            yield one_line(f"{self.path}: {self.points} of {len(self.verdicts)} right")
        if self.problem:
            yield one_line(self.problem)
        yield from (f"  {one_line(remark)}" for remark in self.remarks().values())
        yield from (f"  code cell {n} {one_line(how)}" for n, how in self.cells.items())


def rows(grades: Iterable[Grade]) -> Iterator[Row]:
    """Yield the rows of a table with a row for each exercise: a point for a right answer."""
    yield "student", "chapter", "exercise", "points", "hint", "file"
    for found in grades:
        for name, remark in found.remarks().items():
            points = int(bool(found.verdicts[name]))
            yield found.student, found.chapter, name, points, remark, found.path
        if found.problem:
            yield found.student, found.chapter, "", "", found.problem, found.path


def totals(grades: Iterable[Grade]) -> Iterator[Row]:
    """Yield the rows of a table: student, points in each chapter, their sum.

    Of several notebooks of one student and chapter the best one counts.
    """
    points: dict[str, dict[str, int]] = {}
    for found in grades:
        mine = points.setdefault(found.student, {})
        mine[found.chapter] = max(found.points, mine.get(found.chapter, 0))
    handed_in = [
        chapter for chapter in CHAPTERS if any(chapter in mine for mine in points.values())
    ]
    yield "student", *handed_in, "total"
    for student, mine in sorted(points.items()):
        yield student, *(mine.get(chapter, 0) for chapter in handed_in), sum(mine.values())


def twice(grades: Sequence[Grade]) -> Iterator[str]:
    """Yield a line for every student with more than one notebook of a chapter.

    They may be two tries, or two people of one name.
    """
    files: dict[tuple[str, str], list[Path]] = {}
    for found in grades:
        if found.chapter:
            files.setdefault((found.student, found.chapter), []).append(found.path)
    for (student, chapter), paths in files.items():
        if len(paths) > 1:
            listed = ", ".join(map(str, paths))
            yield one_line(f"{student} has {len(paths)} notebooks of {chapter}: {listed}")


def write(path: StrPath, table: Iterable[Row]) -> None:
    """Write the rows of a table as CSV."""
    with open(path, "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([cell(entry) for entry in row] for row in table)


def cell(entry: object) -> str:
    """Return what stands in a cell: one line, which no spreadsheet takes for a formula."""
    text = one_line(str(entry))
    return f"'{text}" if text.startswith(FORMULA) else text


def one_line(text: str) -> str:
    """Return text of a stranger's in one line, without commands to a terminal."""
    return "".join(map(visible, text))
