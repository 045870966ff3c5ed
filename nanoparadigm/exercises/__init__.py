"""The exercises of the book, a file a chapter: `check("masked_bound", mine)` names the mistake."""

from collections.abc import Callable

from ..errors import lookup
from . import (
    below,
    blocks,
    bound,
    flow,
    mamba,
    masking,
    model,
    next_word,
    rates,
    real,
    ruler,
    scan,
    schedules,
    spaces,
    steps,
    training,
    truth,
)
from .grader import Exercise, Mistake, Verdict, grade

CHAPTERS = (
    *(truth, next_word, training, masking, bound, model),
    *(steps, schedules, rates, flow, spaces, scan, mamba, ruler, blocks, real, below),
)
ALL = {name: exercise for chapter in CHAPTERS for name, exercise in chapter.EXERCISES.items()}

__all__ = ["ALL", "CHAPTERS", "Exercise", "Mistake", "Verdict", "check"]


def check(name: str, answer: Callable, seed: int = 0) -> Verdict:
    """Try `answer` on the exercise of that name. Raises InputError for an unknown name."""
    return grade(name, lookup("exercise", name, ALL), answer, seed)
