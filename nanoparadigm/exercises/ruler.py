"""Chapter 12, one ruler: what may be said of numbers that come with errors, and of bounds."""

import math

import torch

from .fresh import normal, varied
from .grader import Exercise, Mistake


def standard_error(values):
    return values.std() / len(values) ** 0.5


# --------------------------------------------------------------------------------- two on one text


def paired_difference(a, b):
    d = a - b
    return torch.stack([d.mean(), standard_error(d)])


def paired_by_covariance(a, b):
    n = len(a)
    covariance = ((a - a.mean()) * (b - b.mean())).sum() / (n - 1)
    return torch.stack([a.mean() - b.mean(), ((a.var() + b.var() - 2 * covariance) / n).sqrt()])


def unpaired(a, b):
    return torch.stack([a.mean() - b.mean(), (a.var() / len(a) + b.var() / len(b)).sqrt()])


# ----------------------------------------------------------------------------- two, over the seeds


def interval(d, t):
    """Return the interval of t errors around the mean of values d (S,)."""
    half = t * standard_error(d)
    return torch.stack([d.mean() - half, d.mean() + half])


def seed_interval(a, b, t):
    return interval((a - b).mean(1), t)


def seed_interval_in_a_loop(a, b, t):
    d = [sum((x - y).tolist()) / len(x) for x, y in zip(a, b, strict=True)]
    S, mean = len(d), sum(d) / len(d)
    half = t * math.sqrt(sum((v - mean) ** 2 for v in d) / (S * (S - 1)))
    return [mean - half, mean + half]


def not_paired_by_seed(a, b, t):
    a, b = a.mean(1), b.mean(1)
    half = t * ((a.var() + b.var()) / len(a)).sqrt()
    return torch.stack([a.mean() - b.mean() - half, a.mean() - b.mean() + half])


def trained(seed=0):
    """Return two models from a few seeds each, (S, n), texts hard for both, and a t for S seeds."""
    cases = []
    for S, n, t in ((3, 40, 4.303), (5, 12, 2.776), (2, 30, 12.706)):
        texts, luck = 30 + 6 * normal(n, seed=seed + S), normal(S, 1, seed=seed + S + 1)
        a = texts + luck + 0.5 * normal(S, n, seed=seed + S + 2)
        b = texts + 0.7 + 0.8 * normal(S, 1, seed=seed + S + 3)
        cases.append((a, b + 0.5 * normal(S, n, seed=seed + S + 4), t))
    return cases


# -------------------------------------------------------------------------------------- the verdict


def verdict(a, a_error, a_exact, b, b_error, b_exact):
    """Return 1 if A is better, -1 if B is, and 0 if nothing is known.

    Lower is better, and a bound may be too high, so it can win but cannot lose.
    """
    clear = abs(a - b) > 2 * math.hypot(a_error, b_error)
    if clear and a < b and b_exact:
        return 1
    if clear and b < a and a_exact:
        return -1
    return 0


def verdict_by_intervals(a, a_error, a_exact, b, b_error, b_exact):
    """Compare the lowest value that is possible for each."""
    error = math.hypot(a_error, b_error)
    a_least, b_least = (a if a_exact else -math.inf), (b if b_exact else -math.inf)
    return int(a + 2 * error < b_least) - int(b + 2 * error < a_least)


# ----------------------------------------------------------------------------- the cost of a gap


def fill_positions(before, gap, after, c):
    """Return the positions computed to fill a gap: by ranking c candidates, and one mask a call."""
    L = before + gap + after
    return torch.tensor([c * (before + gap + L), gap * L])


def fill_positions_by_calls(before, gap, after, c):
    written = (1 + before) + sum(1 for _ in range(gap - 1))
    return [
        sum(written + before + gap + after for _ in range(c)),
        sum([before + gap + after] * gap),
    ]


# ------------------------------------------------------------------------------- several questions


def false_alarms(level, questions):
    """Return how often any of the questions is a false alarm, and Bonferroni's level of each."""
    return torch.tensor([1 - (1 - level) ** questions, level / questions])


def false_alarms_one_by_one(level, questions):
    silent = 1.0
    for _ in range(questions):
        silent *= 1 - level
    return [1 - silent, level / questions]


# ----------------------------------------------------------------------------- the permutation test


def far(values):
    """Return how far apart the means of the treatments are, of values (..., S, K)."""
    return values.mean(-2).var(-1)


def shuffled(values, orders):
    return values.expand(len(orders), -1, -1).gather(-1, orders)


def as_far(values, orders):
    return (far(shuffled(values, orders)) >= far(values)).sum()


def permutation_test(values, orders):
    return (1 + as_far(values, orders)) / (1 + len(orders))


def permutation_test_in_a_loop(values, orders):
    found, count = far(values), 1
    for order in orders:
        table = torch.stack([row[o] for row, o in zip(values, order, strict=True)])
        spread = ((table.mean(0) - table.mean()) ** 2).sum() / (table.shape[1] - 1)
        count += bool(spread >= found)
    return count / (1 + len(orders))


def against_first(values, orders):
    def ahead(v):
        return v.mean(-2)[..., 0] - v.mean(-2).amin(-1)

    found = (ahead(shuffled(values, orders)) >= ahead(values)).sum()
    return (1 + found) / (1 + len(orders))


def studies(seed=0):
    """Return six treatments under a few seeds: no effect, a small one, a larger one.

    At last two treatments, of which many shuffles give the same difference: all numbers in it are
    few binary digits, so that the same is the same in whatever order one adds.
    """
    cases = []
    for S, effect in ((3, 0.0), (4, 0.5), (5, 1.0)):
        g = torch.Generator().manual_seed(seed + S)
        values = torch.randn(S, 6, generator=g, dtype=torch.float64)
        values = values + 3 * torch.randn(S, 1, generator=g, dtype=torch.float64)
        values[:, 3] += effect
        orders = torch.rand(199, S, 6, generator=g).argsort(-1)
        cases.append((values, orders))
    two = varied(seed, torch.tensor([1, 2, 3, 4, 6, 8, 5, 7])).view(4, 2).double()
    return [*cases, (two, torch.rand(99, 4, 2, generator=g).argsort(-1))]


# --------------------------------------------------------------------------------------- the cases


def some(n, seed, scale=1.0, mean=30.0):
    return mean + scale * normal(n, seed=seed)


def pairs(seed=0):
    """Return pairs of models on the same texts, hard ones for both; at last on very easy ones."""
    cases = []
    for n in (5, 12, 60):
        b = some(n, seed + n, 6)
        cases.append((b + 0.3 * (some(n, seed + n + 1) - 30), b))
    easy = some(7, seed + 7, 0.03, 0).abs()
    return [*cases, (easy + some(7, seed + 8, 0.01, 0).abs(), easy)]


VERDICTS = [
    (1.50, 0.01, True, 1.60, 0.01, True),  # clear
    (1.60, 0.01, True, 1.50, 0.01, True),
    (1.50, 0.01, True, 1.60, 0.01, False),  # the bound is above: it may be too high
    (1.60, 0.01, True, 1.50, 0.01, False),  # the bound is below: it wins
    (1.50, 0.01, False, 1.60, 0.01, True),
    (1.60, 0.01, False, 1.50, 0.01, False),  # two bounds
    (1.50, 0.04, True, 1.60, 0.04, True),  # inside the noise of both together
    (1.50, 0.03, True, 1.60, 0.03, True),  # just clear of it
    (1.525, 0.01, True, 1.51, 0.01, True),  # more than one error apart, less than two
    (1.538, 0.01, True, 1.51, 0.012, True),  # two of the wider, not of both
    (1.51, 0.01, True, 1.50, 0.01, True),  # less than one
    (1.55, 0.03, True, 1.50, 0.005, True),  # two of B's, not of both
    (1.55, 0.005, True, 1.50, 0.03, True),  # two of A's, not of both
    (31.0, 2.0, True, 27.0, 2.0, True),  # the same of large numbers, whose squares are larger
    (37.0, 2.0, True, 27.0, 2.0, True),
    (0.004, 0.001, True, 0.02, 0.001, False),  # and of small ones
    (0.004, 0.001, False, 0.02, 0.001, True),
]


def verdicts(seed=0):
    """Return VERDICTS in another unit for another seed, which changes no verdict."""
    unit = varied(seed, 1.0)
    return [tuple(v if isinstance(v, bool) else unit * v for v in case) for case in VERDICTS]


EXERCISES = {
    "paired_difference": Exercise(
        paired_difference,
        paired_by_covariance,
        {
            "not paired": Mistake(
                unpaired,
                "You add the errors as if the texts were different ones: take the difference "
                "text by text first, so that what makes a text hard for both cancels.",
            ),
            "the other sign": Mistake(
                lambda a, b: paired_difference(b, a),
                "This is b - a: the exercise asks for a - b, which is negative where a is better.",
            ),
            "spread": Mistake(
                lambda a, b: torch.stack([(a - b).mean(), (a - b).std()]),
                "This is the spread of single differences; the error of their mean is smaller by "
                "the square root of their number.",
            ),
            "errors subtracted": Mistake(
                lambda a, b: torch.stack(
                    [(a - b).mean(), (standard_error(a) - standard_error(b)).abs()]
                ),
                "Errors are not subtracted like values: take the standard error of the differences "
                "themselves.",
            ),
            "known mean": Mistake(
                lambda a, b: torch.stack(
                    [(a - b).mean(), (a - b).std(unbiased=False) / len(a) ** 0.5]
                ),
                "The mean difference was taken from the same differences, which makes them look "
                "closer to it than they are: divide the squares by n - 1.",
            ),
            "variance": Mistake(
                lambda a, b: torch.stack([(a - b).mean(), (a - b).var() / len(a)]),
                "This is the square of the error: take its root, so that it has the unit of the "
                "difference.",
            ),
        },
        cases=pairs,
    ),
    "seed_interval": Exercise(
        seed_interval,
        seed_interval_in_a_loop,
        {
            "as printed": Mistake(
                lambda a, b, t: interval((a - b).flatten(), 2),
                "This is the code as printed: it treats all S n differences as independent and "
                "uses 2 for t. The texts of one seed share the luck of its training.",
            ),
            "texts as the unit": Mistake(
                lambda a, b, t: interval((a - b).flatten(), t),
                "You divide by the square root of S n, as if every text had a training of its own: "
                "take one mean difference for each seed first.",
            ),
            "seeds as the texts": Mistake(
                lambda a, b, t: interval((a - b).mean(0), t),
                "You average over the seeds, so that the spread among texts is left: average over "
                "the texts of each seed, dim 1.",
            ),
            "two for t": Mistake(
                lambda a, b, t: interval((a - b).mean(1), 2),
                "You use two errors, which is for many seeds: with few the spread is itself "
                "uncertain, so use t.",
            ),
            "not paired": Mistake(
                not_paired_by_seed,
                "You add the variances of the two models: take the difference seed by seed first, "
                "so that what the seeds share cancels.",
            ),
            "spread": Mistake(
                lambda a, b, t: interval((a - b).mean(1), t * len(a) ** 0.5),
                "You use the spread among seeds: the error of their mean is smaller by the square "
                "root of S.",
            ),
            "known mean": Mistake(
                lambda a, b, t: interval((a - b).mean(1), t * ((len(a) - 1) / len(a)) ** 0.5),
                "The mean difference was taken from the same seeds: divide the squares by S - 1.",
            ),
            "the other sign": Mistake(
                lambda a, b, t: seed_interval(b, a, t),
                "This is b - a: the exercise asks for a - b, which is negative where a is better.",
            ),
        },
        cases=trained,
    ),
    "verdict": Exercise(
        verdict,
        verdict_by_intervals,
        {
            "a bound read as a value": Mistake(
                lambda a, ea, exact_a, b, eb, exact_b: verdict(a, ea, True, b, eb, True),
                "A bound that lies above may simply be loose: only an exact number can lose.",
            ),
            "no interval": Mistake(
                lambda a, ea, exact_a, b, eb, exact_b: verdict(a, 0.0, exact_a, b, 0.0, exact_b),
                "You declare a winner inside the noise: ask for a difference of more than two "
                "errors.",
            ),
            "one error": Mistake(
                lambda a, ea, exact_a, b, eb, exact_b: verdict(
                    a, ea / 2, exact_a, b, eb / 2, exact_b
                ),
                "You ask for a difference of one error, which chance alone exceeds about one time "
                "in three: ask for two.",
            ),
            "errors added": Mistake(
                lambda a, ea, exact_a, b, eb, exact_b: verdict(
                    a, ea + eb, exact_a, b, 0.0, exact_b
                ),
                "You add the two errors; those of independent values add as squares.",
            ),
            "A's error only": Mistake(
                lambda a, ea, exact_a, b, eb, exact_b: verdict(a, ea, exact_a, b, 0.0, exact_b),
                "You use the error of A only; both means are uncertain, so take the root of the "
                "sum of the squares.",
            ),
            "B's error only": Mistake(
                lambda a, ea, exact_a, b, eb, exact_b: verdict(a, 0.0, exact_a, b, eb, exact_b),
                "You use the error of B only; both means are uncertain, so take the root of the "
                "sum of the squares.",
            ),
            "intervals apart": Mistake(
                lambda a, ea, exact_a, b, eb, exact_b: verdict(
                    a, (ea + eb) / 2, exact_a, b, 0.0, exact_b
                ),
                "You ask that intervals of one error each do not overlap: take two errors of the "
                "difference, which is the root of the sum of the squares.",
            ),
            "no root": Mistake(
                lambda a, ea, exact_a, b, eb, exact_b: verdict(
                    a, ea**2 + eb**2, exact_a, b, 0.0, exact_b
                ),
                "You compare with the sum of the squares, which is a variance: take its root.",
            ),
            "the wider error only": Mistake(
                lambda a, ea, exact_a, b, eb, exact_b: verdict(
                    a, max(ea, eb), exact_a, b, 0.0, exact_b
                ),
                "You take the larger of the two errors; both means are uncertain, so add the "
                "squares.",
            ),
            "both must be exact": Mistake(
                lambda a, ea, exact_a, b, eb, exact_b: (
                    verdict(a, ea, True, b, eb, True) if exact_a and exact_b else 0
                ),
                "A bound that lies below an exact number has won: only the loser must be exact.",
            ),
            "the winner must be exact": Mistake(
                lambda a, ea, exact_a, b, eb, exact_b: verdict(a, ea, exact_b, b, eb, exact_a),
                "You ask whether the winner is exact: it is the loser who must be, because a "
                "bound may be too high.",
            ),
            "the larger wins": Mistake(
                lambda *case: -verdict(*case),
                "You let the larger number win: nats and bits are what a text costs, so less is "
                "better.",
            ),
        },
        cases=verdicts,
    ),
    "grammatical_at_least": Exercise(
        lambda excess, L: math.exp(-excess * L),
        lambda excess, L: math.exp(-excess) ** L,
        {
            "per word": Mistake(
                lambda excess, L: math.exp(-excess),
                "This holds for one word: a text of L words has L times the excess.",
            ),
            "to first order": Mistake(
                lambda excess, L: 1 - excess * L,
                "This approximates the exponential only for small numbers, and falls below zero: "
                "use exp.",
            ),
            "the other share": Mistake(
                lambda excess, L: 1 - math.exp(-excess * L),
                "This is the share that may be wrong; the exercise asks for the share that must "
                "be right.",
            ),
            "sign": Mistake(
                lambda excess, L: math.exp(excess * L),
                "This is above 1, which no share can be: check the sign.",
            ),
            "divided by L": Mistake(
                lambda excess, L: math.exp(-excess / L),
                "The excess is per word, and a text has L words: multiply by L.",
            ),
            "read as bits": Mistake(
                lambda excess, L: 2.0 ** (-excess * L),
                "The excess is in nats, so the base is e, not 2.",
            ),
        },
        cases=lambda seed=0: [
            (varied(seed, excess), L)
            for excess, L in ((0.003, 32), (0.02, 32), (0.1, 5), (0.15, 20), (0.0002, 8))
        ],
    ),
    "false_alarms": Exercise(
        false_alarms,
        false_alarms_one_by_one,
        {
            "added": Mistake(
                lambda level, questions: torch.tensor([level * questions, level / questions]),
                "You add the levels, which counts two false alarms at once twice: take 1 minus the "
                "probability that no question gives one.",
            ),
            "no false alarm": Mistake(
                lambda level, questions: torch.tensor(
                    [(1 - level) ** questions, level / questions]
                ),
                "This is the probability that none of them is a false alarm: take 1 minus it.",
            ),
            "all of them": Mistake(
                lambda level, questions: torch.tensor([level**questions, level / questions]),
                "This is the probability that every question gives a false alarm: one is enough.",
            ),
            "the same level": Mistake(
                lambda level, questions: torch.tensor([1 - (1 - level) ** questions, level]),
                "Your second number is the level of a single question: Bonferroni divides it by "
                "their number.",
            ),
            "exact if independent": Mistake(
                lambda level, questions: torch.tensor(
                    [1 - (1 - level) ** questions, 1 - (1 - level) ** (1 / questions)]
                ),
                "Your second number is right for independent questions only; Bonferroni's level / "
                "questions holds for all.",
            ),
            "the root": Mistake(
                lambda level, questions: torch.tensor(
                    [1 - (1 - level) ** questions, level / questions**0.5]
                ),
                "Probabilities of false alarms add, and not their squares: divide by the number of "
                "questions, not by its root.",
            ),
        },
        cases=lambda seed=0: [
            (varied(seed, level), questions)
            for level, questions in ((0.05, 5), (0.05, 15), (0.1, 2), (0.01, 40))
        ],
    ),
    "permutation_test": Exercise(
        permutation_test,
        permutation_test_in_a_loop,
        {
            "without the one": Mistake(
                lambda values, orders: as_far(values, orders) / len(orders),
                "The names as they are count as one of the shuffles: add 1 to both counts, so "
                "that p is never 0.",
            ),
            "nothing changes": Mistake(
                lambda values, orders: permutation_test(
                    values, orders[:, :1].expand(-1, len(values), -1)
                ),
                "Your p is 1 for any data: shuffle each seed by its own order, and take the "
                "variance of the means over seeds.",
            ),
            "the other tail": Mistake(
                lambda values, orders: (
                    (1 + (far(shuffled(values, orders)) <= far(values)).sum()) / (1 + len(orders))
                ),
                "You count the shuffles with a smaller variance: p is the probability of a "
                "variance at least as large.",
            ),
            "larger only": Mistake(
                lambda values, orders: (
                    (1 + (far(shuffled(values, orders)) > far(values)).sum()) / (1 + len(orders))
                ),
                "You leave out the shuffles with the same variance: p counts those with one at "
                "least as large, >=.",
            ),
            "places for picks": Mistake(
                lambda values, orders: permutation_test(values, orders.argsort(-1)),
                "You read the orders the other way round: orders[r, s, k] is the treatment whose "
                "value comes to place k, as with gather (scatter does the reverse).",
            ),
            "the best against the first": Mistake(
                against_first,
                "You measure how far the best lies below the first: the statistic is the variance "
                "of all the means.",
            ),
        },
        cases=studies,
    ),
    "fill_positions": Exercise(
        fill_positions,
        fill_positions_by_calls,
        {
            "calls": Mistake(
                lambda before, gap, after, c: torch.tensor([c * (gap + 1), gap]),
                "These are network calls: count the positions that each call computes.",
            ),
            "no scoring": Mistake(
                lambda before, gap, after, c: torch.tensor(
                    [c * (before + gap), gap * (before + gap + after)]
                ),
                "You only count the writing: each candidate is then read once more, all L words, "
                "to see how probable it makes what comes after the gap.",
            ),
            "only what comes after": Mistake(
                lambda before, gap, after, c: torch.tensor(
                    [c * (before + gap + after), gap * (before + gap + after)]
                ),
                "You count only the words after the gap when a candidate is scored: the whole text "
                "is read anew, L positions.",
            ),
            "no prefix": Mistake(
                lambda before, gap, after, c: torch.tensor(
                    [c * (gap + before + gap + after), gap * (before + gap + after)]
                ),
                "You leave out what comes before the gap: the first call of each candidate reads "
                "the start symbol and those words.",
            ),
            "one too many": Mistake(
                lambda before, gap, after, c: torch.tensor(
                    [c * (1 + before + gap + before + gap + after), gap * (before + gap + after)]
                ),
                "You read the last word of the gap too while writing: it is drawn from the call "
                "before, so gap words take gap - 1 positions after the first call.",
            ),
            "a single candidate": Mistake(
                lambda before, gap, after, c: fill_positions(before, gap, after, 1),
                "This is the cost of one candidate: multiply it by c.",
            ),
            "only the gap": Mistake(
                lambda before, gap, after, c: torch.tensor(
                    [fill_positions(before, gap, after, c)[0], gap * gap]
                ),
                "Masked diffusion computes all L positions in every call, the given words too, "
                "because the masked ones need them.",
            ),
            "fewer and fewer masks": Mistake(
                lambda before, gap, after, c: torch.tensor(
                    [fill_positions(before, gap, after, c)[0], gap * (gap + 1) // 2]
                ),
                "You count only the words that are still masked: every call computes all L "
                "positions.",
            ),
        },
        cases=lambda seed=0: [
            (before + seed % 7, gap + seed % 5, after + seed % 31, c)
            for before, gap, after, c in ((12, 8, 12, 5), (3, 2, 7, 64), (40, 16, 8, 1))
        ],
    ),
}
