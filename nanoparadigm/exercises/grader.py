"""Grade an answer to an exercise, and name the mistake: `check("masked_bound", mine)`.

An exercise holds the cases on which an answer is tried, a reference that is right on them, and the
usual mistakes, each a function that makes it. The results of an answer are compared case by case,
never on average, where two mistakes may cancel. An answer with the results of the reference is
right. If it has the results of a known mistake, the student is told which; otherwise, where it
differs.
"""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Mistake:
    """A usual mistake, and what to tell a student who makes it."""

    function: Callable
    """an answer that makes it"""
    hint: str
    """one sentence: what was done, and what to do instead"""


@dataclass(frozen=True)
class Exercise:
    """What it takes to grade one exercise."""

    reference: Callable
    variant: Callable
    """a second right answer, written differently, which the grader must accept too"""
    mistakes: dict[str, Mistake]
    cases: Callable
    """(seed=0) -> a list of tuples of arguments: seed 0 draws the book's, any other fresh ones"""
    measure: Callable = lambda answer, *case: answer(*case)
    """(answer, *case) -> numbers; of an answer that draws, frequencies"""
    tolerance: float = 1e-5
    """of each number, relative to its size where that is above 1"""


@dataclass(frozen=True)
class Verdict:
    """The result of `check`: true if the answer is right, and shown as its message."""

    right: bool
    mistake: str | None
    """the name of the known mistake"""
    message: str

    def __bool__(self) -> bool:
        return self.right

    def __repr__(self) -> str:
        return self.message


def grade(name: str, exercise: Exercise, answer: Callable, seed: int = 0) -> Verdict:
    """Try `answer` on the cases of an exercise. name: of the exercise, for the message."""
    cases = exercise.cases(seed)
    right = [numbers(exercise, exercise.reference, case) for case in cases]
    said = []
    for n, case in enumerate(cases, 1):
        try:
            said.append(numbers(exercise, answer, case))
        except Unusable as problem:
            return Verdict(False, None, f"{name}: not yet. On case {n} it {problem}.")
    pairs = zip(said, right, strict=True)
    wrong = [n for n, (ours, truth) in enumerate(pairs) if not same(exercise, ours, truth)]
    if not wrong:
        tried = f", on all {len(cases)} cases" if len(cases) > 1 else ""
        return Verdict(True, None, f"{name}: right{tried}.")
    for mistake, known in exercise.mistakes.items():
        if makes(exercise, known.function, cases, said):
            return Verdict(False, mistake, f"{name}: not yet. {known.hint}")
    first = wrong[0]
    return Verdict(
        False,
        None,
        f"{name}: not yet, right on {len(cases) - len(wrong)} of {len(cases)} cases. "
        f"{difference(exercise, said[first], right[first], first + 1)}",
    )


class Unusable(Exception):
    """Raised if an answer stops or gives no numbers; the message says which, as in "it ..."."""


def numbers(exercise: Exercise, answer: Callable, case: tuple) -> Tensor:
    """Return what an answer gives for a case, float64. Raises Unusable.

    It gets a copy, so that an answer that works in place spoils the case for no other.
    """
    case = copy.deepcopy(case)

    try:
        return exercise.measure(lambda *given: tensor_of(answer, *given), *case).double()
    except Unusable:
        raise
    except Exception as error:
        raise stopped(error) from error


def tensor_of(answer: Callable, *given) -> Tensor:
    """Return what an answer returns as a tensor. Raises Unusable, or what the answer raises."""
    said = answer(*given)
    if said is None or said is Ellipsis:
        raise Unusable("gave nothing: end it with return")
    try:
        if isinstance(said, list | tuple) and any(isinstance(s, torch.Tensor) for s in said):
            return torch.stack([torch.as_tensor(s) for s in said]).cpu()
        return torch.as_tensor(said).cpu().to_dense()
    except (TypeError, ValueError, RuntimeError) as error:  # a tensor without numbers, too
        raise Unusable(f"gave a {type(said).__name__}, not a tensor of numbers") from error


def stopped(error: Exception) -> Unusable:
    """Return the Unusable that says which error stopped an answer."""
    lines = str(error).splitlines() or ["without a reason"]
    return Unusable(f"stopped with {type(error).__name__}: {lines[0].rstrip('.')}")


def same(exercise: Exercise, a: Tensor, b: Tensor) -> bool:
    """Tell whether two tensors agree in shape, and in every number up to the tolerance."""
    return a.shape == b.shape and bool(close(exercise, a, b).all())


def close(exercise: Exercise, a: Tensor, b: Tensor) -> Tensor:
    """Tell of every number whether it agrees up to the tolerance."""
    tolerance = exercise.tolerance
    return torch.isclose(a, b, rtol=tolerance, atol=tolerance, equal_nan=True)


def makes(
    exercise: Exercise, mistaken: Callable, cases: Sequence[tuple], said: Sequence[Tensor]
) -> bool:
    """Tell whether a mistaken function gives what an answer `said` on every case."""
    for case, ours in zip(cases, said, strict=True):
        try:
            if not same(exercise, ours, numbers(exercise, mistaken, case)):
                return False
        except Unusable:
            return False
    return True


def difference(exercise: Exercise, ours: Tensor, right: Tensor, case: int) -> str:
    """Return where two tensors first differ, in words."""
    if ours.shape != right.shape:
        return f"On case {case} its shape is {tuple(ours.shape)}, not {tuple(right.shape)}."
    place = tuple((~close(exercise, ours, right)).nonzero()[0].tolist())
    where = f" at {list(place)}" if place else ""
    return f"On case {case}{where} it says {ours[place]:.6g}; {right[place]:.6g} is right."
