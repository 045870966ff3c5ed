"""Chapter 12, one ruler: what may be said of numbers that come with errors, and of bounds."""

import math

import torch

from .fresh import normal, varied
from .grader import Exercise, Mistake

# ------------------------------------------------------------------------------ a mean, its error


def standard_error(values):
    return values.std() / len(values) ** 0.5


def standard_error_by_squares(values):
    n = len(values)
    return (((values - values.mean()) ** 2).sum() / (n * (n - 1))).sqrt()


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


# -------------------------------------------------------------------------------------- the price


def positions(L, T):
    """Return the positions computed for L tokens: with a cache, without one, refined in T steps."""
    return torch.tensor([L, L * (L + 1) // 2, T * L])


def positions_by_sums(L, T):
    return [L, sum(range(1, L + 1)), sum(L for _ in range(T))]


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
    "standard_error": Exercise(
        standard_error,
        standard_error_by_squares,
        {
            "spread": Mistake(
                lambda values: values.std(),
                "This is the spread of single values; the error of their mean is smaller by the "
                "square root of their number.",
            ),
            "variance": Mistake(
                lambda values: values.var() / len(values),
                "This is the square of the error: take its root, so that it has the unit of the "
                "mean.",
            ),
            "divided by n": Mistake(
                lambda values: values.std() / len(values),
                "Errors of independent values add as squares: divide by the square root of n.",
            ),
            "n - 1 twice": Mistake(
                lambda values: values.std() / (len(values) - 1) ** 0.5,
                "The standard deviation has already been divided by n - 1: divide it by the root "
                "of n.",
            ),
            "known mean": Mistake(
                lambda values: values.std(unbiased=False) / len(values) ** 0.5,
                "The mean was taken from the same values, which makes them look closer to it than "
                "they are: divide the squares by n - 1.",
            ),
        },
        cases=lambda seed=0: [
            (some(n, seed + n, 3, mean),) for n, mean in ((4, 30), (9, 30), (50, 30), (6, 0))
        ],
    ),
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
    "positions": Exercise(
        positions,
        positions_by_sums,
        {
            "calls": Mistake(
                lambda L, T: torch.tensor([L, L, T]),
                "These are network calls: count the tokens that each call computes.",
            ),
            "the cache forgotten": Mistake(
                lambda L, T: torch.tensor([L * (L + 1) // 2, L * (L + 1) // 2, T * L]),
                "With a cache every call computes only one new token, L in all.",
            ),
            "always the whole text": Mistake(
                lambda L, T: torch.tensor([L, L * L, T * L]),
                "Without a cache a call reads all the text so far, one token more each time: 1 + "
                "2 + ... + L.",
            ),
            "off by one": Mistake(
                lambda L, T: torch.tensor([L, L * (L - 1) // 2, T * L]),
                "The last call reads L tokens, the start symbol and L - 1 words: 1 + 2 + ... + L.",
            ),
            "fewer and fewer masks": Mistake(
                lambda L, T: torch.tensor([L, L * (L + 1) // 2, T * L // 2]),
                "A step computes visible tokens as well, because the masked ones need them: all "
                "L, in every step.",
            ),
        },
        cases=lambda seed=0: [
            (L + seed % 7, T + seed % 5) for L, T in ((32, 16), (128, 8), (5, 5))
        ],
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
}
