"""Audit a scorer, and say what is wrong with its number."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from textwrap import fill

from ..errors import InputError
from ..evaluate.tables import markdown
from ..language.automaton import entropy
from . import asking, checks, examples
from .asking import Misshapen
from .checks import Case, Fault
from .networks import TEXTS, L, models

MOST_DRAWS = 10_000


@dataclass(frozen=True)
class Report:
    """What an audit found; true if it found nothing, and printed as a page of text."""

    name: str
    """of the scorer"""
    unit: str
    bound: bool
    random: bool
    """two calls differ"""
    faults: tuple[Fault, ...]
    sums: dict[str, tuple[float, float]]
    """network -> the sum of exp(-score) over all texts, and its standard error; of a scorer that
    draws it is what the sum is at least"""
    means: dict[str, tuple[float, float]]
    """network -> the mean score of texts drawn from what the network describes, nats, and its
    standard error; only networks that describe a distribution"""
    entropies: dict[str, float]
    """the same networks -> the entropy of that distribution, below which no mean can be, nats"""
    seconds: float = field(compare=False)

    def __bool__(self) -> bool:
        return not self.faults

    def __str__(self) -> str:
        """Return the report as text."""
        called = "an upper bound of -log p" if self.bound else "-log p itself"
        unit = self.unit.replace("-", " ")
        parts = [f"{self.name}: {unit} per text, called {called}" if "per" not in unit
                 else f"{self.name}: {unit}, called {called}"]  # fmt: skip
        if self.sums:
            parts.append(self.table().rstrip())
        for fault in self.faults:
            parts.append(f"{fault.name}\n{indented(fault.seen)}\n{indented(fault.do)}")
        if not self.faults:
            parts.append(
                fill(
                    f"Nothing found: on {len(TEXTS)} texts of {L} words and seven networks the "
                    "number keeps the laws of a likelihood. What an audit cannot see is the text "
                    "it is computed on: that no part of it was trained on, and that every window "
                    "counts.",
                    96,
                )
            )
        return "\n\n".join(parts)

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of the faults."""
        return tuple(fault.name for fault in self.faults)

    def table(self) -> str:
        """Return the sums and the means as a Markdown table."""
        lines = []
        for name, (value, se) in self.sums.items():
            least = ">= " if self.random else ""
            mean = with_se(*self.means[name]) if name in self.means else ""
            limit = f"{self.entropies[name]:.3f}" if name in self.entropies else ""
            lines.append([name, least + with_se(value, se), mean, limit])
        return markdown(["network", "sum of exp(-score)", "mean, nats", "entropy, nats"], lines)


def with_se(value: float, se: float) -> str:
    """Return a number, with its standard error if it has one."""
    shown = f"{value:.3f}" if value < 1e4 else f"{value:.3g}"
    return f"{shown} ± {se:.3f}" if se else shown


def indented(text: str) -> str:
    """Return a paragraph of at most 96 columns, indented by 4."""
    return fill(text, 96, initial_indent="    ", subsequent_indent="    ")


def audit(
    function: Callable,
    unit: str | None = None,
    bound: bool | None = None,
    seed: int = 0,
    draws: int = 32,
) -> Report:
    """Try a scorer on networks whose law is known, and return what is wrong with its number.

    function: (texts (B, L), model) -> a number for each text (B,); `Model` says what it may ask.
    unit: one of UNITS; bound: the number is an upper bound of -log p, and not -log p itself. None
    stands for the attribute of that name of the function, or for nats and False. draws: how often a
    scorer is asked that draws its numbers. Raises InputError for a function that stops, does not
    end or returns no numbers.
    """
    began = time.perf_counter()
    if not 4 <= draws <= MOST_DRAWS:
        raise InputError(f"`draws` is {draws}: give a whole number from 4 to {MOST_DRAWS}")
    scorer = asking.scorer(function, unit, bound, seed)
    case, faults, apart = Case(scorer), [], 0.0
    try:
        apart, own_noise = asking.randomness(scorer)
        if apart > 1e-6:
            case = Case(replace(scorer, draws=draws))
        for check in checks.MECHANICS:
            if fault := check(case):
                faults.append(fault)
                break
        else:
            faults = laws_and_causes(case, apart, own_noise)
    except Misshapen as problem:
        faults = [shape(problem)]
    fits = not faults or faults[0].name not in ("shape", "numbers", "batch", "unit", "ratio")
    sums = {name: case.log_sum(name) for name in checks.NETWORKS} if fits else {}
    described = [name for name in sums if name != "wrong"]
    means = {name: checks.mean(case.on(name) @ models()[name].law) for name in described}
    return Report(
        scorer.name,
        scorer.unit,
        scorer.bound,
        apart > 1e-6,
        tuple(faults),
        {name: (math.exp(value), math.exp(value) * se) for name, (value, se) in sums.items()},
        {name: (value.item(), se.item()) for name, (value, se) in means.items()},
        {name: entropy(models()[name].law).item() for name in described},
        time.perf_counter() - began,
    )


def laws_and_causes(case: Case, apart: float, own_noise: bool) -> list[Fault]:
    """Return the faults of a number whose mechanics are in order."""
    found = [fault for law in checks.LAWS if (fault := law(case))]
    if noise := checks.noise(case, apart, own_noise):
        found.append(noise)
    if not case.above():
        tail = checks.tail(case)
        return [*found, tail] if tail else found
    causes: dict[str, Fault] = {}
    for cause in checks.CAUSES:
        if fault := cause(case):
            causes.setdefault(fault.name, fault)  # the first says most
    if causes:
        found[0] = replace(found[0], do="No model has these probabilities. The cause is below.")
    return [*found, *causes.values()]


def shape(problem: Misshapen) -> Fault:
    """Return the fault of a scorer that does not return a number for each text."""
    return Fault(
        "shape",
        f"Asked for a number for each text, {problem}.",
        "Sum over the words of each text, and over nothing else; a batch of a single text has the "
        "shape (1,), so beware of squeeze().",
    )


def confusion(seed: int = 0) -> str:
    """Return a Markdown table: what the auditor finds in each of the example scorers."""
    scorers = examples.VALID | {name: f for name, (f, _) in examples.INVALID.items()}
    reports = {name: audit(f, seed=seed) for name, f in scorers.items()}
    names = [n for n in checks.NAMES if any(n in report.names for report in reports.values())]
    lines = [
        [name, "invalid" if name in examples.INVALID else "valid"]
        + ["x" if n in report.names else "" for n in names]
        for name, report in reports.items()
    ]
    return markdown(["scorer", "is", *names], lines, left=2)
