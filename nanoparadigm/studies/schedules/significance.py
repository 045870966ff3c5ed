"""When a difference may be called a difference: paired values, few seeds, several treatments.

Values (S, K) are a measure for S seeds under K treatments. A seed fixes the weights, the order of
the data and the noise of all its runs, so differences are taken within a row. Nothing here assumes
that what is measured is a likelihood. `generator` is a torch.Generator.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike

LEVEL = 0.025  # of a claim, so that a test of the report itself finds fewer than one in twenty
INSIDE = 0.95  # of an interval


@dataclass(frozen=True)
class Interval:
    """A mean, and the interval around it."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.mean:+.4f} [{self.low:+.4f}, {self.high:+.4f}]"


def bootstrap(
    differences: ArrayLike, generator: torch.Generator, repeats: int = 10_000
) -> Interval:
    """Return the mean of paired differences (S,) and the middle 95 % of its bootstrap over seeds.

    S seeds have few different resamples, and with three the interval is too narrow: read it as the
    spread that was seen.
    """
    d = np.asarray(differences, dtype=float)
    chosen = torch.randint(len(d), (repeats, len(d)), generator=generator).numpy()
    means = d[chosen].mean(1)
    return Interval(d.mean(), *np.quantile(means, [(1 - INSIDE) / 2, (1 + INSIDE) / 2]))


def between(values: np.ndarray) -> np.ndarray:
    """Return the variance (...) between the means of the K treatments, of values (..., S, K)."""
    return values.mean(-2).var(-1)


def permutation_p(values: ArrayLike, generator: torch.Generator, repeats: int = 2000) -> float:
    """Return the p-value of "the treatments do not differ", of values (S, K).

    Their names are shuffled within every seed, so the test is exact with any number of seeds,
    whatever the distribution of the noise.
    """
    values = np.asarray(values, dtype=float)
    order = torch.rand(repeats, *values.shape, generator=generator).argsort(-1).numpy()
    shuffled = np.take_along_axis(np.broadcast_to(values, order.shape), order, -1)
    as_far = ~(between(shuffled) < between(values) * (1 - 1e-12))  # where one is nan, too
    return (1 + as_far.sum()) / (1 + repeats)


def tukey_threshold(
    values: ArrayLike, generator: torch.Generator, level: float = LEVEL, repeats: int = 20_000
) -> float:
    """Return Tukey's honest significant difference of the K means of values (S, K), paired by seed.

    Among equal treatments with normal noise, the probability that any two means are further apart
    is `level`. Infinite for a single seed or treatment.
    """
    values = np.asarray(values, dtype=float)
    S, K = values.shape
    if S < 2 or K < 2:
        return math.inf
    rest = values - values.mean(0) - values.mean(1, keepdims=True) + values.mean()
    freedom = (S - 1) * (K - 1)
    spread = math.sqrt((rest**2).sum() / freedom)
    normal = torch.randn(repeats, K + freedom, generator=generator).numpy()
    range_ = np.ptp(normal[:, :K], axis=1)
    scale = np.sqrt((normal[:, K:] ** 2).mean(1))
    if math.isnan(spread):
        return math.inf
    return spread / math.sqrt(S) * float(np.quantile(range_ / scale, 1 - level))


@dataclass(frozen=True)
class Ranking:
    """The claims that the data support about K treatments."""

    p: float
    """of `permutation_p`"""
    floor: float
    """the difference of the two treatments that are one (A/A)"""
    threshold: float
    """of `tukey_threshold`"""
    better: tuple[tuple[str, str], ...]
    """pairs (a, b), a with the lower mean, that are further apart than all of this allows"""


def rank(
    names: Sequence[str],
    values: ArrayLike,
    twins: tuple[str, str],
    generator: torch.Generator,
    level: float = LEVEL,
) -> Ranking:
    """Return the Ranking of treatments by their values (S, K), lower being better.

    names: of the K treatments. twins: two of them that are the same treatment. Nothing is claimed
    unless the treatments differ as a whole (p below the level), and a pair differs only if its
    means are further apart than Tukey's threshold and than the twins.
    """
    values = np.asarray(values, dtype=float)
    means = dict(zip(names, values.mean(0), strict=True))
    p = permutation_p(values, generator)
    floor = abs(means[twins[0]] - means[twins[1]])
    threshold = tukey_threshold(values, generator, level)
    least = max(floor, threshold)
    pairs = [(a, b) for a in names for b in names if means[b] - means[a] > least]
    pairs = [pair for pair in pairs if {*pair} != {*twins}]
    return Ranking(p, floor, threshold, tuple(pairs) if p < level else ())


def student(values: ArrayLike, inside: float = INSIDE) -> tuple[float, float, float]:
    """Return the mean of values (S,) and the ends of Student's t interval; nan for a single one."""
    values = np.asarray(values, dtype=float)
    n, mean = len(values), float(values.mean())
    if n < 2:
        return mean, math.nan, math.nan
    t, within = student_law(n)
    half = float(np.interp(inside, within, t) * values.std(ddof=1)) / math.sqrt(n)
    return mean, mean - half, mean + half


def student_law(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return rising values t >= 0, and how probable |T| <= t is for Student's T of n values."""
    # T = sqrt(n - 1) tan(angle) makes its density a power of a cosine
    angle = np.linspace(0, math.pi / 2, 200_001)
    density = np.cos(angle) ** (n - 2)
    within = np.cumsum(density) - (density + density[0]) / 2  # by trapezoids
    return math.sqrt(n - 1) * np.tan(angle), within / within[-1]
