"""The command `grade`: which exercises are right in notebooks that were handed in."""

import os
import secrets
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import tyro
from tqdm import tqdm

from ..errors import MOST, InputError, check_positive, check_seed
from ..exercises.yours import people_in
from .registry import flag
from .shared import Command, progress


@dataclass(frozen=True)
class Grade(Command):
    """Say which exercises are right in notebooks that students handed in.

    Give files, folders, or both. A student is called as the file is, without the chapter's name,
    or, where nothing is left of that, as the folder. Each notebook runs in a process of its own,
    and its answers are called there, on cases that nobody has seen; what they return is compared
    here, where no line of a notebook runs. It runs with your rights, though: grade the work of
    strangers in a container. Examples:

      nanoparadigm grade handed-in
      nanoparadigm grade handed-in --csv grades.csv --totals sums.csv
      nanoparadigm grade ada-03-masking.ipynb bob-03-masking.ipynb --seed 7

    Exit status: 0 if all were graded, 1 if some could not be graded to their end.
    """

    files: tyro.conf.Positional[
        flag(tuple[str, ...], "notebooks, and folders with notebooks in them")
    ] = ()
    csv: str | None = None
    """write a table with a row for each exercise: student, chapter, exercise, points, hint, file"""
    totals: str | None = None
    """write a table with a row for each student: the points in each chapter, and their sum"""
    answer: float = 30.0
    """seconds that one call of an answer may take"""
    cell: float = 300.0
    """seconds that a cell may take"""
    notebook: float = 1200.0
    """seconds that a notebook may take"""
    memory: float = 8.0
    """GiB that a process of a notebook may take, where the system can limit it"""
    jobs: int = 1
    """notebooks to run at a time"""
    seed: int | None = None
    """of the cases, to repeat a grading (default: fresh ones; 0: those that the students see), and
    of the copies, if they were written with `make student SEED=...`"""
    names: str | None = None
    """the file from which `make student NAMES=...` has written the copies, a name in each line"""

    def run(self) -> None:
        """Print what is right, and write the tables. Raises InputError where nothing can begin."""
        seed = 1 + secrets.randbelow(2**31) if self.seed is None else self.seed
        check_positive(self, ["jobs"])
        check_seed(seed)
        self.check_limits()
        self.check_tables()
        if not self.files:
            raise InputError("no notebook is named: give files, or folders with notebooks in them")
        if not hasattr(os, "killpg"):
            raise InputError("notebooks are graded on Linux and macOS: on Windows, do it in WSL")
        try:
            from .. import grading
        except ModuleNotFoundError as error:
            raise InputError(
                f"grading needs Jupyter, and {error.name} is not installed: "
                "pip install 'nanoparadigm[grade]'"
            ) from error
        people = people_in(self.names) if self.names else {}
        cases = grading.Cases(seed, self.seed, people)
        threads = max(1, (os.cpu_count() or 1) // self.jobs) if self.jobs > 1 else None
        limits = grading.Limits(self.answer, self.cell, self.notebook, self.memory, threads)
        files, grades = [*grading.find(map(Path, self.files))], []
        tables = {self.csv: grading.rows, self.totals: grading.totals}

        def write() -> None:
            for path, table in tables.items():
                if path:
                    grading.write(path, table(grades))

        write()  # before the work, where that cannot be done
        with closing(grading.graded(files, cases, limits, self.jobs)) as found:
            for one in progress(found, "notebooks", total=len(files)):
                tqdm.write("\n".join(one.lines()))
                grades.append(one)
                write()
        for line in grading.twice(grades):
            print(f"{line}; in the totals the best one counts")
        print(f"these cases again: --seed {seed}")
        if any(one.problem for one in grades):
            raise SystemExit(1)

    def check_limits(self) -> None:
        """Raise InputError for a limit that nothing can keep."""
        for name in ("answer", "cell", "notebook", "memory"):
            if not 0 < getattr(self, name) < MOST:
                raise InputError(f"{name} is {getattr(self, name)}: give a number above 0")

    def check_tables(self) -> None:
        """Raise InputError for the name of a table that might be something else."""
        for path in filter(None, (self.csv, self.totals)):
            if not path.endswith(".csv"):
                raise InputError(f"{path} is no .csv file: give the table a name that ends so")
        if self.csv and self.csv == self.totals:
            raise InputError("--csv and --totals are one file: give each a name of its own")
