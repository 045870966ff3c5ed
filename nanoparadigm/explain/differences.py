"""Say what kind of difference there is between the numbers of an answer and the right ones.

Whatever is said holds for every number of every case, so that it is true even where it does not
explain the mistake.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

import torch
from torch import Tensor

from .arguments import number

Pairs = Sequence[tuple[Tensor, Tensor]]
"""for every case: what an answer gives, and what is right"""
Agree = Callable[[Tensor, Tensor], bool]
"""whether two tensors have one shape and, up to the tolerance, the same numbers"""

CONSTANTS = {
    "log 2": math.log(2),
    "1 / log 2": 1 / math.log(2),
    "log 10": math.log(10),
    "1 / log 10": 1 / math.log(10),
    "pi": math.pi,
    "1 / pi": 1 / math.pi,
    "2 pi": 2 * math.pi,
    "pi / 2": math.pi / 2,
    "2 / pi": 2 / math.pi,
    "e": math.e,
    "1 / e": 1 / math.e,
    "the square root of 2": math.sqrt(2),
    "1 over the square root of 2": 1 / math.sqrt(2),
}


def kind(pairs: Pairs, agree: Agree, sizes: Mapping[str, Sequence[float]]) -> str | None:
    """Return what kind of difference there is, one or two sentences, or None.

    sizes: what the right numbers might have been multiplied by -> its value in each case
    """
    everywhere = Everywhere(pairs, agree)
    if any(ours.shape != right.shape for ours, right in pairs):
        ways = [not_numbers, shapes]
    else:
        times = partial(scaled, sizes=sizes)
        ways = [not_numbers, constant, signs, factors, times, added, functions, orders, types, near]
    return next((said for way in ways for said in way(everywhere)), None)


class Everywhere:
    """The pairs of all cases, of which something holds only if it does of each."""

    def __init__(self, pairs: Pairs, agree: Agree) -> None:
        self.raw = pairs
        self.pairs = [(ours.double(), right.double()) for ours, right in pairs]
        self.agree = agree
        self.ours, self.right = (torch.cat([p[n].flatten() for p in self.pairs]) for n in (0, 1))

    def made(self, change: Callable[[Tensor], Tensor]) -> bool:
        """Tell whether what an answer gives is the right numbers, changed."""
        return self.holds(lambda ours, right: self.agree(ours, change(right)))

    def becomes(self, change: Callable[[Tensor], Tensor]) -> bool:
        """Tell whether what an answer gives, changed, is the right numbers."""
        return self.holds(lambda ours, right: self.agree(change(ours), right))

    def holds(self, claim: Callable[[Tensor, Tensor], bool]) -> bool:
        """Tell whether something holds of every pair, and can be computed of each."""
        try:
            return all(claim(ours, right) for ours, right in self.pairs)
        except (RuntimeError, IndexError):  # of other shapes than it is about
            return False

    def times(self, factors: Sequence[float]) -> bool:
        """Tell whether what an answer gives is the right numbers times a factor for each case.

        Numbers that are not nearly 0 decide, and there must be different ones.
        """
        found = []
        for factor, (ours, right) in zip(factors, self.pairs, strict=True):
            tells = right.isfinite() & (right.abs() > 1e-3)
            off = ours[tells] / right[tells] / factor - 1
            if not self.agree(ours, factor * right) or (off.abs() > 1e-4).any():
                return False
            found.append(right[tells].flatten())
        return len(torch.cat(found).round(decimals=6).unique()) > 1

    def several(self, least: int = 2) -> bool:
        """Tell whether there are several different right numbers, so that no rule fits by luck."""
        return len(self.right[self.right.isfinite()].round(decimals=6).unique()) >= least


Way = Iterator[str]
"""the sentences of one kind of difference that hold, mostly none"""


def not_numbers(e: Everywhere) -> Way:
    """Tell of NaN, and of infinities, where the right numbers are finite."""
    causes = {
        "NaN": "0 / 0, inf - inf, 0 times inf and the logarithm of a negative number make one",
        "infinite number": "a division by 0, log(0) and exp of a large number make one",
    }
    for what, test in ("NaN", torch.isnan), ("infinite number", torch.isinf):
        for n, (ours, right) in enumerate(e.pairs, 1):
            strange = test(ours)
            if strange.any() and not test(right).any():
                place = strange.nonzero()[0].tolist()
                where = f"at {place} of" if place else "on"
                yield f"The first {what} among yours is {where} case {n}; {causes[what]}."
                return


# -------------------------------------------------------------------------------- of other shapes


def shapes(e: Everywhere) -> Way:
    """Tell where the shape is what is wrong, or an axis is one too many or too few."""
    if e.holds(lambda ours, right: e.agree(ours.squeeze(), right.squeeze())):
        yield (
            "The numbers are right: only axes of size 1 are too many or too few (see keepdim, "
            "squeeze, unsqueeze)."
        )
    yield from turned(e)
    if e.holds(lambda ours, right: e.agree(ours.flatten(), right.flatten())):
        yield "The numbers are right, and in the right order: only the shape is not."
    ndim = max(ours.ndim for ours, _ in e.pairs)
    for axis in range(ndim):
        if e.becomes(partial(torch.sum, dim=axis)):
            yield f"Summed over axis {axis}, your numbers are right."
        if e.becomes(partial(torch.mean, dim=axis)):
            yield f"Averaged over axis {axis}, your numbers are right."
    if e.becomes(torch.sum):
        yield "The sum of all your numbers is right."
    if e.becomes(torch.mean):
        yield "The mean of all your numbers is right."
    if e.holds(lambda ours, right: e.agree(ours.expand_as(right), right)):
        yield "Your numbers are right, but each stands only once: they must be repeated (expand)."
    for axis in range(ndim):
        along = f" along axis {axis}" if ndim > 1 else ""
        for which, side in ("first", 1), ("last", 0):
            if e.becomes(partial(without, axis=axis, side=side)):
                yield f"The {which} of your numbers{along} is one too many; the others are right."
            if e.made(partial(without, axis=axis, side=side)):
                yield f"The {which} number{along} is missing; the others are right."


def without(x: Tensor, axis: int, side: int) -> Tensor:
    """Return a tensor without its first (side 1) or its last (side 0) entry along an axis."""
    return x.narrow(axis, side, x.shape[axis] - 1)


# ----------------------------------------------------------------------------------- of one shape


def constant(e: Everywhere) -> Way:
    """Tell of a number that is given everywhere, but for what rounding leaves of it, as 1e-17."""
    first = e.ours[:1].round(decimals=12) + 0.0  # no -0
    if len(e.ours) > 1 and torch.isclose(e.ours, first, 0, 1e-12).all() and e.several():
        yield f"Every number that you return is {number(first.item())}."


def signs(e: Everywhere) -> Way:
    """Tell of signs turned, and of what is left to 1."""
    if e.several() and e.made(torch.neg):
        yield "Your numbers are right but for the sign: each is minus the right one."
    if e.several() and e.made(lambda right: 1 - right):
        yield "Each of your numbers is 1 minus the right one."
    if e.several() and e.made(torch.abs):
        yield "Your numbers are right but for the sign: none of yours is negative."


def factors(e: Everywhere) -> Way:
    """Tell of a factor that all numbers share."""
    if not len(e.right):
        return
    place = torch.where(e.right.isfinite(), e.right.abs(), 0).argmax()
    factor = (e.ours[place] / e.right[place]).item()
    if math.isfinite(factor) and factor != 0 and e.times([factor] * len(e.pairs)):
        yield f"Each of your numbers is the right one times {named(factor)}."


def named(factor: float) -> str:
    """Return a factor in words: 3, 1 / 3, or a constant with its name."""
    for name, value in CONSTANTS.items():
        for sign, minus in (1, ""), (-1, "minus "):
            if math.isclose(factor, sign * value, rel_tol=1e-5):
                return f"{number(factor)}, which is {minus}{name}"
    for over in range(2, 101):
        if math.isclose(abs(factor), 1 / over, rel_tol=1e-5):
            return f"{'-' if factor < 0 else ''}1/{over}"
    return number(factor)


def scaled(e: Everywhere, sizes: Mapping[str, Sequence[float]]) -> Way:
    """Tell of a factor that is one of the arguments, or the size of one."""
    powers = {
        "times {}": lambda s: s,
        "divided by {}": lambda s: 1 / s,
        "times the square root of {}": lambda s: s**0.5,
        "divided by the square root of {}": lambda s: s**-0.5,
    }
    for name, values in sizes.items():
        for words, power in powers.items():
            if min(values) > 0 and len({*values}) > 1 and e.times([power(v) for v in values]):
                yield f"Each of your numbers is the right one {words.format(name)}."


def added(e: Everywhere) -> Way:
    """Tell of a difference that all numbers share."""
    finite = e.right.isfinite() & e.ours.isfinite()
    if e.several() and finite.any():
        more = (e.ours - e.right)[finite][0].item()
        if e.made(lambda right: right + more):
            which = "more" if more > 0 else "less"
            yield f"Each of your numbers is {number(abs(more))} {which} than the right one."


def functions(e: Everywhere) -> Way:
    """Tell of a function that was applied once too often, or not at all."""
    if not e.several(3):
        return
    known: dict[str, Callable[[Tensor], Tensor]] = {
        "e to the right one: take the logarithm, or leave out an exp": torch.exp,
        "e to minus the right one: take minus the logarithm": lambda r: (-r).exp(),
        "the logarithm of the right one: take exp, or leave out a log": torch.log,
        "minus the logarithm of the right one": lambda r: -r.log(),
        "the right one in bits, its logarithm to the base 2": torch.log2,
        "the square of the right one": torch.square,
        "the square root of the right one": torch.sqrt,
        "1 over the right one": torch.reciprocal,
    }
    for words, function in known.items():
        if e.made(function):
            yield f"Each of your numbers is {words}."


def orders(e: Everywhere) -> Way:
    """Tell of right numbers in wrong places."""
    ndim = e.pairs[0][1].ndim
    yield from turned(e)
    for axis in range(ndim):
        along = f" along axis {axis}" if ndim > 1 else ""
        if e.made(partial(torch.flip, dims=(axis,))):
            yield f"Your numbers are right, but in reversed order{along}."
        if max(right.shape[axis] for _, right in e.pairs) > 2:
            for words, shift in ("late", 1), ("early", -1):
                claim = partial(shifted, e.agree, axis, shift)
                if e.holds(claim):
                    yield f"Your numbers are right, but one place too {words}{along}."
    if e.several(3) and e.holds(lambda ours, right: e.agree(ordered(ours), ordered(right))):
        yield "Your numbers are the right ones, but they stand in other places."


def turned(e: Everywhere) -> Way:
    """Tell of two axes that are swapped."""
    ndim = max(right.ndim for _, right in e.pairs)
    for one in range(ndim):
        for other in range(one + 1, ndim):
            if e.made(partial(torch.transpose, dim0=one, dim1=other)):
                which = "" if ndim == 2 else f": axes {one} and {other} are swapped"
                yield f"Your numbers are right, but transposed{which}."


def shifted(agree: Agree, axis: int, shift: int, ours: Tensor, right: Tensor) -> bool:
    """Tell whether ours are the right numbers one place further on, and not in place as well."""
    if right.shape[axis] < 2:
        return True
    behind, ahead = (1, 0) if shift > 0 else (0, 1)
    moved = without(ours, axis, behind)
    stays = agree(moved, without(right, axis, behind))
    return agree(moved, without(right, axis, ahead)) and not stays


def ordered(x: Tensor) -> Tensor:
    """Return the numbers of a tensor from the smallest to the largest."""
    return x.flatten().sort().values


def types(e: Everywhere) -> Way:
    """Tell of whole numbers or truth values where fractions are due."""
    rounded = any(e.made(way) for way in (torch.floor, torch.round, torch.trunc, torch.ceil))
    if e.several() and rounded:
        yield "Your numbers are right but for the fraction: they are rounded to whole numbers."
    elif all(ours.dtype == torch.bool for ours, _ in e.raw):
        if any(right.dtype != torch.bool for _, right in e.raw):
            yield "You return truth values, and numbers are asked for."


def near(e: Everywhere) -> Way:
    """Tell of numbers that are nearly right."""
    finite = e.right.isfinite()
    off, sizes = (e.ours - e.right).abs()[finite], e.right.abs()[finite].clamp(min=1e-2)
    if not len(off) or (off > 3e-3 * sizes).any() or not e.ours[~finite].equal(e.right[~finite]):
        return
    low = {ours.dtype for ours, _ in e.raw} & {torch.float32, torch.float16, torch.bfloat16}
    cause = f"you compute in {low.pop()}" if low else "something is rounded, clamped or padded"
    most = number(off.max().item(), 1)
    yield (
        f"Your numbers are nearly right (the largest difference is about {most}): perhaps {cause}, "
        "as in 0.693 for math.log(2) or + 1e-3."
    )
