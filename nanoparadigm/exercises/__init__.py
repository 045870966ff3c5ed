"""The exercises of the book, a file a chapter. `check.py` grades them."""

from . import bound, masking, scan, truth

ALL = {**truth.EXERCISES, **masking.EXERCISES, **bound.EXERCISES, **scan.EXERCISES}
