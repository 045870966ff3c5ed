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
from .yours import QUESTIONS, Question

CHAPTERS = {
    "00-language": truth,
    "01-next-word": next_word,
    "02-training": training,
    "03-masking": masking,
    "04-bound": bound,
    "05-model": model,
    "06-steps": steps,
    "06b-schedules": schedules,
    "07-rates": rates,
    "08-flow": flow,
    "09-spaces": spaces,
    "10-scan": scan,
    "11-mamba": mamba,
    "12-ruler": ruler,
    "13-blocks": blocks,
    "14-real": real,
    "15-below": below,
}
"""the name of a chapter's file -> its exercises"""
ALL = {
    name: exercise for module in CHAPTERS.values() for name, exercise in module.EXERCISES.items()
}

__all__ = ["ALL", "CHAPTERS", "QUESTIONS", "Exercise", "Mistake", "Verdict", "check"]


def check(name: str, answer: Callable, seed: int = 0) -> Verdict:
    """Try `answer` on the exercise of that name. Raises InputError for an unknown name.

    seed: 0 has the book's cases. Any other draws cases of its own, and a question about a language
    of one's own is about `language(seed)` and `tiny(seed)`.
    """
    found = lookup("exercise", name, {**ALL, **QUESTIONS})
    exercise = found.exercise(seed) if isinstance(found, Question) else found
    return grade(name, exercise, answer, seed)
