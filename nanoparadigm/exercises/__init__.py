"""The exercises of the book, a file a chapter. `check.py` grades them."""

from . import bound, masking

ALL = {**masking.EXERCISES, **bound.EXERCISES}
