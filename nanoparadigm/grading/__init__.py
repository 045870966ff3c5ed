"""Grade notebooks that were handed in: which exercises of its chapter are right in each."""

from .gradebook import Grade, rows, totals, twice, write
from .graded import Cases, Limits, grade, graded
from .notebooks import find

__all__ = [
    "Cases",
    "Grade",
    "Limits",
    "find",
    "grade",
    "graded",
    "rows",
    "totals",
    "twice",
    "write",
]
