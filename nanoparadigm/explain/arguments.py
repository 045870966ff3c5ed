"""Show the arguments of a case as one would type them, and the numbers in a message."""

import inspect
import math
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

FEW = 30
"""numbers of a tensor that are typed out"""
WIDE = 72
"""characters of nested lists in one line"""
LARGE = "...  # a"
"""what stands for a value that is not typed out, before what it is"""
USUAL = (torch.float32, torch.int64, torch.bool)
"""what torch.tensor makes of numbers, without being told"""


def names(function: Callable, count: int) -> list[str]:
    """Return the names of a function's first arguments, as many as a case has."""
    found = [
        p.name for p in inspect.signature(function).parameters.values() if p.kind < p.KEYWORD_ONLY
    ]
    return (found + [f"argument_{n}" for n in range(len(found) + 1, count + 1)])[:count]


def listed(function: Callable, case: Sequence) -> Iterator[str]:
    """Yield a line or more for each argument of a case: its name, and it."""
    for name, value in zip(names(function, len(case)), case, strict=True):
        yield f"{name} = {typed(value, len(name) + 3)}"


def typed(value: object, indent: int = 0) -> str:
    """Return a value as one would type it; of a large tensor, what it is."""
    if isinstance(value, Tensor):
        if value.numel() > FEW:
            return f"{LARGE} tensor of shape {tuple(value.shape)}, {value.dtype}"
        kind = "" if value.dtype in USUAL else f", dtype={value.dtype}"
        if not value.numel():
            return f"torch.empty({tuple(value.shape)}, dtype={value.dtype})"
        start = "torch.tensor("
        return f"{start}{rows(value.detach().tolist(), indent + len(start))}{kind})"
    if isinstance(value, torch.Generator):
        return "torch.Generator()"
    if isinstance(value, float | list | tuple):
        return rows(value, indent)
    if inspect.isroutine(value):
        return f"...  # the function {value.__name__}"
    said = repr(value)
    return said if len(said) <= WIDE else f"{LARGE} {type(value).__name__}"


def rows(value: object, indent: int) -> str:
    """Return nested lists of numbers as one would type them, in several lines if one is long."""
    if isinstance(value, float):
        return literal(value)
    if not isinstance(value, list | tuple):
        return typed(value)
    items = [rows(item, indent + 1) for item in value]
    one = ", ".join(items)
    nested = any(isinstance(item, list | tuple) for item in value)
    if nested and (len(one) + indent > WIDE or "\n" in one):
        one = f",\n{' ' * (indent + 1)}".join(items)
    if isinstance(value, tuple):
        return f"({one},)" if len(value) == 1 else f"({one})"
    return f"[{one}]"


def literal(x: float) -> str:
    """Return a float as one would type it: six digits, or up to 12 where fewer make it whole.

    What is whole to 12 digits is whole but for the error of floats, as 0.9999999999999999 is 1.
    """
    if not math.isfinite(x):
        return "torch.nan" if math.isnan(x) else "torch.inf" if x > 0 else "-torch.inf"
    said = [f"{x + 0.0:.{digits}g}" for digits in range(6, 13)]
    short = next((s for s in said if not float(s).is_integer()), said[-1])
    return short if any(c in short for c in ".e") else f"{short}.0"


def number(x: float, digits: int = 6) -> str:
    """Return a number for a sentence: without the minus of -0."""
    return f"{x + 0.0:.{digits}g}"


def apart(a: float, b: float) -> tuple[str, str]:
    """Return two different numbers for a sentence, with as many digits as show that they differ."""
    for digits in range(6, 18):
        said = number(a, digits), number(b, digits)
        if said[0] != said[1]:
            break
    return said
