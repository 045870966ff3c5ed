"""Grade notebooks: one, and several at a time."""

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from threading import Event

import nbformat

from ..errors import InputError
from ..exercises import CHAPTERS, QUESTIONS, Verdict, check
from ..exercises.yours import seed_of
from ..files import parse_json
from . import notebooks
from .answers import answer
from .gradebook import Grade
from .kernel import START, Kernel, Limits, Stopped


@dataclass(frozen=True)
class Cases:
    """The seeds on whose cases answers are tried."""

    seed: int
    """of all exercises but the questions about a language of one's own"""
    own: int | None = None
    """of these questions, for everybody; None for the seed that is written in each copy"""
    people: Mapping[str, int] = field(default_factory=dict)
    """student -> the seed of the copies that were handed out to them, if each has one"""

    def seeds(self, notebook: nbformat.NotebookNode, found: Grade) -> dict[str, int]:
        """Return the name of each exercise of a notebook -> its seed.

        Raises InputError if it should be known whose notebook it is, and is not.
        """
        questions = notebooks.asked(notebook) & {*QUESTIONS}
        own = notebooks.own_seed(notebook) if self.own is None else self.own
        if self.people and (own := seed_of(found.student)) not in self.people.values():
            raise InputError(
                f"{found.path} would be of {found.student}, who is not among the names: name the "
                "file, or its folder, after its student"
            )
        everybody = dict.fromkeys(CHAPTERS[found.chapter].EXERCISES, self.seed)
        return everybody | dict.fromkeys(sorted(questions), own)


def graded(paths: Sequence[Path], cases: Cases, limits: Limits, jobs: int) -> Iterator[Grade]:
    """Yield the Grade of each file, in their order; so many notebooks run at a time."""
    stop = Event()
    with ThreadPoolExecutor(jobs) as pool:
        try:
            one = partial(grade, cases=cases, limits=limits, stop=stop.is_set)
            yield from pool.map(one, paths)
        finally:  # also of Ctrl-C: those that run are ended, those that wait never begin
            stop.set()
            pool.shutdown(wait=False, cancel_futures=True)


def grade(path: Path, cases: Cases, limits: Limits, stop: Callable[[], bool] = bool) -> Grade:
    """Return the Grade of a file, whatever is in it."""
    found = Grade(path)
    try:
        notebook = notebooks.load(path)
        found.chapter = notebooks.chapter(path, notebook)
        seeds = cases.seeds(notebook, found)
        found.verdicts = dict.fromkeys(seeds)
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            with closing(Kernel(Path(folder), limits, stop)) as kernel:
                execute(notebook, kernel, found, seeds, cases.people)
    except InputError as problem:
        found.problem = str(problem)
    except Exception as error:  # whatever a notebook does to its process; others wait
        found.problem = f"{path} could not be graded: {error or type(error).__name__}"
    return found


def execute(
    notebook: nbformat.NotebookNode,
    kernel: Kernel,
    found: Grade,
    seeds: Mapping[str, int],
    people: Mapping[str, int],
) -> None:
    """Run the code cells in order; what one gives to `check` is judged before the next one runs."""
    kernel.run("__import__('handed_in').begin()", START, silent=True)
    sources = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    for n, source in enumerate(sources, 1):
        if reason := kernel.over():
            found.problem = f"{found.path} could be graded only up to code cell {n - 1}: {reason}"
            return
        try:
            kernel.run(source, kernel.limits.cell)
        except Stopped as how:
            found.cells[n] = str(how)
        for name in handed_in(kernel):
            if name in found.verdicts and not found.verdicts[name]:
                verdict = check(name, answer(kernel, name), seeds[name])
                if name in QUESTIONS and not verdict and not verdict.mistake:
                    verdict = whose(verdict, kernel, name, people)
                found.verdicts[name] = verdict


def whose(verdict: Verdict, kernel: Kernel, name: str, people: Mapping[str, int]) -> Verdict:
    """Return the verdict on wrong numbers, which says whose they are if they are somebody's."""
    for student, seed in people.items():
        if check(name, answer(kernel, name), seed):
            return replace(verdict, message=f"{name}: not yet. These are the numbers of {student}.")
    return verdict


def handed_in(kernel: Kernel) -> list[str]:
    """Return the names for which `check` was given an answer since this was last asked."""
    if kernel.over():
        return []
    told, look = kernel.ask("names()", START), "look into the notebook"
    return parse_json(told, list[str], "the list of what was given to check", look)
