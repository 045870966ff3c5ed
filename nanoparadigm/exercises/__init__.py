"""The exercises of the book, a file a chapter. `check.py` grades them."""

from . import bound, masking, model, ruler, truth

CHAPTERS = truth, masking, bound, model, ruler
ALL = {name: exercise for chapter in CHAPTERS for name, exercise in chapter.EXERCISES.items()}
from . import bound, flow, masking, truth

ALL = {**truth.EXERCISES, **masking.EXERCISES, **bound.EXERCISES, **flow.EXERCISES}
