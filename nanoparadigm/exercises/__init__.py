"""The exercises of the book, a file a chapter. `check.py` grades them."""

from . import bound, flow, masking, truth

ALL = {**truth.EXERCISES, **masking.EXERCISES, **bound.EXERCISES, **flow.EXERCISES}
