"""The exercises of the book, a file a chapter: `check("masked_bound", mine)` names the mistake."""

from ..errors import lookup
from . import bound, flow, masking, model, ruler, scan, schedules, truth
from .grader import Exercise, Mistake, Verdict, grade

CHAPTERS = truth, masking, bound, model, schedules, flow, scan, ruler
ALL = {name: exercise for chapter in CHAPTERS for name, exercise in chapter.EXERCISES.items()}

__all__ = ["ALL", "CHAPTERS", "Exercise", "Mistake", "Verdict", "check"]


def check(name, answer, seed=0):
    """Try `answer` on the exercise of that name -> Verdict. Raises InputError if there is none."""
    return grade(name, lookup("exercise", name, ALL), answer, seed)
