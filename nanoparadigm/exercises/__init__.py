"""The exercises of the book, a file a chapter. `check.py` grades them."""

from . import bound, flow, masking, model, ruler, scan, schedules, truth

CHAPTERS = truth, masking, bound, model, schedules, flow, scan, ruler
ALL = {name: exercise for chapter in CHAPTERS for name, exercise in chapter.EXERCISES.items()}
