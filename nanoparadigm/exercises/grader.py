"""Grade an answer to an exercise, and name the mistake: `check("masked_bound", mine)`.

An exercise holds the cases on which an answer is tried, a reference that is right on them, and the
usual mistakes, each a function that makes it. The results of an answer are compared case by case,
never on average, where two mistakes may cancel. An answer with the results of the reference is
right. If it has the results of a known mistake, the student is told which; otherwise, where it
differs, and how, if all its numbers differ in one way.
"""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import Tensor

from ..explain.arguments import LARGE, apart, listed, names, rows
from ..explain.calling import Nothing, Unusable, tensor_of, unwritten
from ..explain.differences import kind
from ..explain.errors import meaning


@dataclass(frozen=True)
class Mistake:
    """A usual mistake, and what to tell a student who makes it."""

    function: Callable
    """an answer that makes it"""
    hint: str
    """one or two sentences: what was done, and what to do instead"""


def returned(answer: Callable, *case) -> Tensor:
    """Return what an answer returns: the usual measure."""
    return answer(*case)


@dataclass(frozen=True)
class Exercise:
    """What it takes to grade one exercise."""

    reference: Callable
    """its arguments have the names that the student knows them by"""
    variant: Callable
    """a second right answer, written differently, which the grader must accept too"""
    mistakes: dict[str, Mistake]
    cases: Callable
    """(seed=0) -> a list of tuples of arguments: seed 0 draws the book's, any other fresh ones"""
    measure: Callable = returned
    """(answer, *case) -> the numbers that are compared; of an answer that draws, frequencies"""
    tolerance: float = 1e-5
    """of each number, relative to its size where that is above 1"""
    says: Callable | None = None
    """(index, *case) -> what the measure's number at that index is, in the student's words"""
    shown: Callable | None = None
    """(number) -> what the student returned, where the measure has transformed it"""
    secret: bool = False
    """whether the right numbers are told to nobody: only which of them are wrong"""


@dataclass(frozen=True)
class Verdict:
    """The result of `check`: true if the answer is right, and shown as its message.

    Below the message of a wrong answer stand the arguments of the first case that it gets wrong;
    `mine(*verdict.case)` calls it on them.
    """

    right: bool
    mistake: str | None
    """the name of the known mistake"""
    message: str
    """in one line"""
    details: str = field(default="", compare=False)
    """the arguments of the first wrong case, and the results if they are few"""
    case: tuple = field(default=(), compare=False)
    """these arguments"""
    silent: bool = field(default=False, compare=False)
    """whether a notebook shows nothing, as of an exercise that nobody has begun"""

    def __bool__(self) -> bool:
        return self.right

    def __repr__(self) -> str:
        return f"{self.message}\n{self.details}" if self.details else self.message

    def _ipython_display_(self) -> None:
        """Let a notebook show nothing, or, by NotImplementedError, what it usually does."""
        if not self.silent:
            raise NotImplementedError


# ------------------------------------------------------------------------------------- the verdict


def grade(name: str, exercise: Exercise, answer: Callable, seed: int = 0) -> Verdict:
    """Try `answer` on the cases of an exercise. name: of the exercise, for the message."""
    cases = exercise.cases(seed)
    right = [numbers(exercise, exercise.reference, case) for case in cases]
    trial, said = Trial(answer), []
    for n, case in enumerate(cases, 1):
        try:
            said.append(numbers(exercise, trial, case))
        except Unusable as problem:
            nothing = isinstance(problem, Nothing)
            details = "" if nothing else arguments(name, exercise, n, case)
            message = f"{name}: not yet. On case {n} it {problem}."
            return Verdict(False, None, message, details, case, nothing and unwritten(answer))
    pairs = list(zip(said, right, strict=True))
    wrong = [n for n, (ours, truth) in enumerate(pairs) if not same(exercise, ours, truth)]
    if not wrong:
        tried = f", on all {len(cases)} cases" if len(cases) > 1 else ""
        return Verdict(True, None, f"{name}: right{tried}.{trial.remark(exercise)}")
    first = wrong[0]
    results = () if exercise.secret else pairs[first]
    details = arguments(name, exercise, first + 1, cases[first], *results)
    for mistake, known in exercise.mistakes.items():
        if makes(exercise, known.function, cases, said):
            message = f"{name}: not yet. {known.hint}"
            return Verdict(False, mistake, message, details, cases[first])
    if exercise.secret:
        return Verdict(False, None, f"{name}: not yet. {which(exercise, *pairs[first])}")
    count = f", right on {len(cases) - len(wrong)} of {len(cases)} cases" if len(cases) > 1 else ""
    message = f"{name}: not yet{count}. "
    message += difference(exercise, *pairs[first], first + 1, cases[first])
    if how := way(exercise, pairs, cases):
        message += f" {how}"
    return Verdict(False, None, message, details, cases[first])


def which(exercise: Exercise, ours: Tensor, right: Tensor) -> str:
    """Return which of the numbers are wrong, in words that do not tell the right ones."""
    if ours.shape != right.shape:
        return f"Return {len(right)} numbers, in a list."
    wrong = [str(n) for n, ok in enumerate(close(exercise, ours, right).tolist(), 1) if not ok]
    those, are = ("Number", "is") if len(wrong) == 1 else ("Numbers", "are")
    return f"{those} {', '.join(wrong)} of {len(right)} {are} not right."


def same(exercise: Exercise, a: Tensor, b: Tensor) -> bool:
    """Tell whether two tensors agree in shape, and in every number up to the tolerance."""
    return a.shape == b.shape and bool(close(exercise, a, b).all())


def close(exercise: Exercise, a: Tensor, b: Tensor) -> Tensor:
    """Tell of every number whether it agrees up to the tolerance."""
    tolerance = exercise.tolerance
    a, b = a.double(), b.double()
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


def plain(exercise: Exercise) -> bool:
    """Tell whether what is compared is what the student returned."""
    return exercise.measure is returned


def way(
    exercise: Exercise, pairs: Sequence[tuple[Tensor, Tensor]], cases: Sequence[tuple]
) -> str | None:
    """Return in which one way all numbers of an answer differ from the right ones, if in one."""
    returned = [(as_returned(exercise, a), as_returned(exercise, b)) for a, b in pairs]
    told = [(a, b) for a, b in returned if a is not None and b is not None]
    return kind(told, partial(same, exercise), sizes(exercise, cases)) if told else None


def as_returned(exercise: Exercise, x: Tensor) -> Tensor | None:
    """Return what is compared as the student returned it, or None if the measure does not tell.

    It does where it changes each number by itself, and `shown` undoes that (subs). After any other
    measure a sentence such as "each of your numbers is the right one times 2" might be false. For
    numbers are then compared that nobody returned: frequencies in texts that were drawn (corrupt,
    flow_corrupt), properties of a function that may be any that has them (own_schedule), a gradient
    beside a matrix (segment_decay).
    """
    if plain(exercise):
        return x
    if exercise.shown is None:
        return None
    undone = [exercise.shown(number) for number in x.flatten().tolist()]
    return torch.tensor(undone, dtype=torch.float64).view(x.shape)


def difference(exercise: Exercise, ours: Tensor, right: Tensor, n: int, case: tuple) -> str:
    """Return where two tensors first differ, in words. n: the number of the case, from 1."""
    if ours.shape != right.shape:
        return f"On case {n} its shape is {tuple(ours.shape)}, not {tuple(right.shape)}."
    index = tuple((~close(exercise, ours, right)).nonzero()[0].tolist())
    show = exercise.shown or float
    yours, wanted = apart(show(ours[index].item()), show(right[index].item()))
    if exercise.says:
        return f"On case {n}, {exercise.says(index, *case)}: yours {yours}, right {wanted}."
    where = f" at {list(index)}" if index else ""
    if plain(exercise) or exercise.shown:
        return f"On case {n} you return {yours}{where}; right is {wanted}."
    return f"On case {n} the number compared{where} is {yours}; right is {wanted}."


def arguments(name: str, exercise: Exercise, n: int, case: tuple, *results: Tensor) -> str:
    """Return the arguments of a case, and its results, ours and the right ones, if they are few."""
    lines = list(listed(exercise.reference, case))
    if any(LARGE in line for line in lines):
        lines.append(f'whole: check("{name}", ...).case')
    if results and plain(exercise) and all(1 < r.numel() <= 16 for r in results):
        for who, result in zip(("yours", "right"), results, strict=True):
            lines.append(f"{who}: {rows(result.double().tolist(), 7)}")
    text = "\n".join(lines).replace("\n", "\n    ")
    return f"Case {n}:\n    {text}" if lines else ""


def sizes(exercise: Exercise, cases: Sequence[tuple]) -> dict[str, list[float]]:
    """Return the arguments that are single numbers, and the sizes of the others, of every case."""
    found: dict[str, list[float]] = {}
    for case in cases:
        for name, value in zip(names(exercise.reference, len(case)), case, strict=True):
            if isinstance(value, Tensor) and value.ndim:
                for axis, size in enumerate(value.shape):
                    what = f"{name}.shape[{axis}]" if axis else f"len({name})"
                    found.setdefault(what, []).append(size)
            elif isinstance(value, int | float | Tensor) and not isinstance(value, bool):
                found.setdefault(name, []).append(float(value))
    return {what: values for what, values in found.items() if len(values) == len(cases)}


# -------------------------------------------------------------------------------- to try an answer


class Trial:
    """An answer while it is tried, and what there is to say of it besides its numbers."""

    def __init__(self, answer: Callable) -> None:
        self.answer = answer
        self.shape: tuple[int, ...] = ()
        """of what it returned last"""
        self.changes: set[int] = set()
        """the places of arguments that it has changed"""

    def __call__(self, *given) -> Tensor:
        """Return what the answer returns as a tensor. Raises Unusable."""
        kept = [a.detach().clone() if isinstance(a, Tensor) else None for a in given]
        said = tensor_of(self.answer, *given)
        self.shape = tuple(said.shape)
        for n, (before, after) in enumerate(zip(kept, given, strict=True)):
            if before is not None and not unchanged(before, after):
                self.changes.add(n)
        return said

    def remark(self, exercise: Exercise) -> str:
        """Return a sentence on the arguments that a right answer changes, or nothing."""
        known = names(exercise.reference, 1 + max(self.changes, default=-1))
        changed = " and ".join(known[n] for n in sorted(self.changes))
        return f" It changes {changed}, which its caller may still need." if changed else ""


def unchanged(before: Tensor, after: Tensor) -> bool:
    """Tell whether an argument still holds what it held."""
    after = after.detach()
    return before.shape == after.shape and bool(torch.isclose(before, after, 0, 0, True).all())


def numbers(exercise: Exercise, answer: Callable, case: tuple) -> Tensor:
    """Return the numbers of an answer that are compared, for one case. Raises Unusable.

    It gets a copy, so that an answer that works in place spoils the case for no other.
    """
    trial = answer if isinstance(answer, Trial) else Trial(answer)
    try:
        return exercise.measure(trial, *copy.deepcopy(case)).detach().clone()
    except Unusable:
        raise
    except Exception as error:  # of the measure, which got what it did not expect
        if answer is exercise.reference:
            raise
        sound = Trial(exercise.reference)
        exercise.measure(sound, *copy.deepcopy(case))
        if trial.shape != sound.shape:
            raise wrong_shape(trial.shape, sound.shape) from error
        raise Unusable(f"gave something that cannot be compared: {meaning(error)}") from error


def wrong_shape(shape: Sequence[int], right: Sequence[int]) -> Unusable:
    """Return the Unusable for an answer with the wrong shape, for a measure to raise."""
    return Unusable(f"gave the shape {tuple(shape)}, not {tuple(right)}")
