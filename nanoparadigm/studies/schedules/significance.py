"""When a difference may be called one: paired values, few seeds, several treatments.

Values (S, K) are a measure for S seeds under K treatments. A seed fixes the weights, the order of
the data and the noise of all its runs, so differences are taken within a row. Nothing here assumes
that what is measured is a likelihood. `generator` is a torch.Generator.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch

LEVEL = 0.025  # of a claim: so that a test of the report itself counts fewer than one in twenty
INSIDE = 0.95  # of an interval


@dataclass(frozen=True)
class Interval:
    mean: float
    low: float
    high: float

    def __str__(self):
        return f"{self.mean:+.4f} [{self.low:+.4f}, {self.high:+.4f}]"


def bootstrap(differences, generator, repeats=10_000):
    """The mean of paired differences (S,) and the middle 95 % of its bootstrap over seeds.

    With S seeds there are few different resamples, and the interval of three is too narrow: read
    it as the spread that was seen.
    """
    d = np.asarray(differences, dtype=float)
    chosen = torch.randint(len(d), (repeats, len(d)), generator=generator).numpy()
    means = d[chosen].mean(1)
    return Interval(d.mean(), *np.quantile(means, [(1 - INSIDE) / 2, (1 + INSIDE) / 2]))


def between(values):
    """How far the treatments' means lie apart: their sum of squares, of values (..., S, K)."""
    return values.mean(-2).var(-1)


def permutation_p(values, generator, repeats=2000):
    """The chance of treatments so far apart if they were all one: their names are shuffled within
    every seed. Exact at any number of seeds, whatever the noise looks like."""
    values = np.asarray(values, dtype=float)
    order = torch.rand(repeats, *values.shape, generator=generator).argsort(-1).numpy()
    shuffled = np.take_along_axis(np.broadcast_to(values, order.shape), order, -1)
    as_far = ~(between(shuffled) < between(values) * (1 - 1e-12))  # where one is nan, too
    return (1 + as_far.sum()) / (1 + repeats)


def tukey_threshold(values, generator, level=LEVEL, repeats=20_000):
    """How far two of K means must lie apart, so that among equal treatments with normal noise any
    pair does with the chance `level`: Tukey's honest significant difference, paired by seed."""
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
    """What may be said of K treatments."""

    p: float
    """of `permutation_p`"""
    floor: float
    """the difference of the two treatments that are one (A/A)"""
    threshold: float
    """of `tukey_threshold`"""
    better: tuple[tuple[str, str], ...]
    """pairs (a, b), a with the lower mean, that are further apart than all of this allows"""


def rank(names, values, twins, generator, level=LEVEL):
    """The Ranking of treatments by their values (S, K), lower being better.

    twins: two of the names whose treatment is the same. Nothing is claimed unless the treatments
    differ as a whole (p below the level), and of a pair only if it differs by more than Tukey's
    threshold and by more than the twins do.
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
