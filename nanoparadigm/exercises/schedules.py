"""Chapter 6b, noise schedules: what they cannot change, what they do, and when a difference is one.

Texts of L = 5 over V = 3 words, the mask is symbol V; the cross-entropies ce (2^L, L) under every
set of masks (2^L, L) are those of the tiny language's exact posterior, as in chapter 4, and no zero
where a token is seen, since a right answer does not look at it.
"""

import math

import torch

from .bound import PATTERNS, L, V, cross_entropies
from .fresh import varied
from .grader import Exercise, Mistake


def middles(n):
    """Return the middles of n equal parts of (0, 1)."""
    return (torch.arange(n, dtype=torch.float64) + 0.5) / n


TIMES = torch.tensor([0.05, 0.2, 0.4, 0.7, 0.95], dtype=torch.float64)
ENDS = torch.tensor([0.0, 1e-4, 1.0], dtype=torch.float64)
ALPHAS = [
    torch.cos(math.pi / 2 * middles(40)),
    1 - middles(25).sqrt(),
    1 - middles(10) ** 3,
    (1 - middles(30)) ** 4,  # nearly 0 for a third of the time
]

# ----------------------------------------------------------------------------- the mean mask rate


def mean_mask_rate(alpha):
    return 1 - alpha.mean()


def mean_mask_rate_by_addition(alpha):
    return sum(1 - a for a in alpha.tolist()) / len(alpha)


def weighted_by_w(alpha):
    u = 1 - alpha
    w = u.diff() / u[1:]
    return (w * u[1:]).sum() / w.sum()


# ------------------------------------------------------------------------------ the change of time


def cosine_time(t):
    """Return t' where cos(pi t' / 2) = 1 - sqrt(t)."""
    return 2 / math.pi * torch.arccos(1 - t.sqrt())


def cosine_time_by_half_angle(t):
    return 4 / math.pi * torch.arcsin((t.sqrt() / 2).sqrt())


# ------------------------------------------------------------------------------------ the own exam


def probabilities(masked, u):
    """Return the probability of each set of masks (2^L, L) at each noise level u (n,), (n, 2^L)."""
    k = masked.sum(-1)
    return u[:, None] ** k * (1 - u[:, None]) ** (L - k)


def own_exam(ce, masked, u):
    """Return L times the mean cross-entropy of the masked tokens, which is 0 if none is masked."""
    return own_exam_of(ce * masked, masked, u)


def own_exam_of(paid, masked, u):
    mark = L * paid.sum(-1) / masked.sum(-1).clamp(min=1)
    return (probabilities(masked, u) @ mark).mean()


def own_exam_by_counts(ce, masked, u):
    k, total = masked.sum(-1), 0.0
    for n in range(1, L + 1):
        often = (math.comb(L, n) * u**n * (1 - u) ** (L - n)).mean()
        total = total + often * L * (ce * masked)[k == n].sum(-1).mean() / n
    return total


def pooled(ce, masked, u):
    p = probabilities(masked, u)
    return L * (p @ (ce * masked).sum(-1)).sum() / (p @ masked.sum(-1).double()).sum()


def under_the_weight(ce, masked, u):
    return ((probabilities(masked, u) @ (ce * masked).sum(-1)) / u).mean()


def of_those_with_masks(ce, masked, u):
    return own_exam(ce, masked, u) / (1 - probabilities(masked, u)[:, 0].mean())


# ------------------------------------------------------------------------------- the clipped bound


def clipped_bound(bare, ce, masked, alpha0, alpha1):
    return bare + prior(alpha1) + reconstruction(ce * masked, masked, alpha0)


def prior(alpha1, symbols=V, length=L):
    return length * alpha1 * math.log(symbols)


def reconstruction(paid, masked, alpha0):
    return probabilities(masked, 1 - alpha0[None])[0] @ paid.sum(-1)


def clipped_bound_token_by_token(bare, ce, masked, alpha0, alpha1):
    total = bare - L * alpha1 * math.log(1 / V)
    for pays, hidden in zip(ce, masked, strict=True):
        total = total + torch.where(hidden, 1 - alpha0, alpha0).prod() * pays[hidden].sum()
    return total


def clipped(seed=0):
    cases = []
    for i, (alpha0, alpha1) in enumerate([(0.95, 0.05), (0.9, 0.002), (0.9995, 0.1), (1.0, 0.0)]):
        u = (1 - alpha0) + (alpha0 - alpha1) * middles(1000)
        ce = varied(seed, cross_entropies(i))
        bare = (alpha0 - alpha1) * under_the_weight(ce, PATTERNS, u)
        ends = (torch.tensor(a, dtype=torch.float64) for a in (alpha0, alpha1))
        cases.append((bare, ce, PATTERNS, *ends))
    return cases


# ----------------------------------------------------------------------- masks that know the token


def token_masks(c, u):
    """Return the probability that each token is masked, and the weight of its loss in du."""
    return torch.stack([(c * u).clamp(max=1), torch.where(c * u < 1, 1 / u, 0.0)])


def token_masks_by_slope(c, u):
    """Differentiate log a by u for the weight, where a is the chance to be masked."""
    u = u.clone().requires_grad_()
    a = torch.minimum(c * u, torch.ones_like(c))
    slopes = [torch.autograd.grad(one.log(), u, retain_graph=True)[0] for one in a]
    return torch.stack([a.detach(), torch.stack(slopes)])


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


EXERCISES = {
    "mean_mask_rate": Exercise(
        mean_mask_rate,
        mean_mask_rate_by_addition,
        {
            "what survives": Mistake(
                lambda alpha: alpha.mean(),
                "This is the average share of visible tokens: the mask rate is 1 minus it.",
            ),
            "half way": Mistake(
                lambda alpha: 1 - (alpha[len(alpha) // 2 - 1] + alpha[len(alpha) // 2]) / 2,
                "This is the mask rate at t = 1/2: average it over all times.",
            ),
            "the ends": Mistake(
                lambda alpha: 1 - (alpha[0] + alpha[-1]) / 2,
                "You average the two ends, which most schedules share: what matters is how long "
                "each rate lasts.",
            ),
            "weighted by w": Mistake(
                weighted_by_w,
                "You weight the times as the bound does, but the question is how often each mask "
                "rate is drawn, and t is uniform.",
            ),
            "one too few": Mistake(
                lambda alpha: (1 - alpha).sum() / (len(alpha) - 1),
                "You divide by n - 1, which is for a variance: a mean divides by n.",
            ),
            "from end to end": Mistake(
                lambda alpha: torch.trapezoid(1 - alpha, torch.linspace(0, 1, len(alpha)).double()),
                "You count the first and the last time only half, as if they were t = 0 and t = 1: "
                "all n lie inside (0, 1) and have the same weight, so take the mean.",
            ),
        },
        cases=lambda seed=0: [(alpha ** varied(seed, 1.0),) for alpha in ALPHAS],
    ),
    "cosine_time": Exercise(
        cosine_time,
        cosine_time_by_half_angle,
        {
            "the other way": Mistake(
                lambda t: (1 - torch.cos(math.pi / 2 * t)) ** 2,
                "That turns a time of the cosine schedule into one of the square root: the "
                "exercise asks for the opposite direction.",
            ),
            "not inverted": Mistake(
                lambda t: torch.cos(math.pi / 2 * (1 - t.sqrt())),
                "You take the cosine where its inverse is needed: solve cos(pi t' / 2) = 1 - "
                "sqrt(t) for t'.",
            ),
            "the noise for alpha": Mistake(
                lambda t: 2 / math.pi * torch.arccos(t.sqrt()),
                "You set the cosine equal to the noise level sqrt(t): it must equal the share of "
                "visible tokens, 1 - sqrt(t).",
            ),
            "from the linear clock": Mistake(
                lambda t: 2 / math.pi * torch.arccos(1 - t),
                "That is the time for the noise level t of the linear schedule: the noise level "
                "of the square root is sqrt(t).",
            ),
            "no change of time": Mistake(
                lambda t: t,
                "At the same t the two are not equally noisy: solve cos(pi t' / 2) = 1 - sqrt(t) "
                "for t'.",
            ),
            "no 2 / pi": Mistake(
                lambda t: torch.arccos(1 - t.sqrt()),
                "The arccosine is pi t' / 2: multiply it by 2 / pi, so that t' runs from 0 to 1.",
            ),
            "arcsin": Mistake(
                lambda t: 2 / math.pi * torch.arcsin(1 - t.sqrt()),
                "You invert a sine, and yours falls with t: the schedule is a cosine, so take "
                "arccos.",
            ),
            "pi for pi / 2": Mistake(
                lambda t: torch.arccos(1 - t.sqrt()) / math.pi,
                "You divide by pi: the angle is pi t' / 2, so multiply arccos by 2 / pi.",
            ),
        },
        cases=lambda seed=0: [
            (varied(seed, TIMES, 0.7, 1.05),),
            (torch.cat([ENDS, varied(seed, TIMES[2:4])]),),
        ],
    ),
    "own_exam": Exercise(
        own_exam,
        own_exam_by_counts,
        {
            "the bound": Mistake(
                under_the_weight,
                "With the weight 1 / u this is the bound: a training-schedule loss averages over "
                "the masked tokens of each text, and all noise levels have the same weight.",
            ),
            "no mean": Mistake(
                lambda ce, masked, u: (probabilities(masked, u) @ (ce * masked).sum(-1)).mean(),
                "You sum over the masked tokens: divide by their number, and multiply by L.",
            ),
            "pooled": Mistake(
                pooled,
                "You divide the total loss by the total number of masks: first take the mean over "
                "the masked tokens of each noisy text.",
            ),
            "texts without masks left out": Mistake(
                of_those_with_masks,
                "You leave out the noisy texts without a mask: their loss is 0, and it counts in "
                "the mean.",
            ),
            "every set of masks alike": Mistake(
                lambda ce, masked, u: (
                    L * (ce * masked).sum(-1) / masked.sum(-1).clamp(min=1)
                ).mean(),
                "You give every set of masks the same weight, so the schedule has no effect: a "
                "set of k masks has probability u^k (1 - u)^(L - k).",
            ),
            "per token": Mistake(
                lambda ce, masked, u: own_exam(ce, masked, u) / L,
                "This is in nats per token: multiply by L to compare it with the bound of a whole "
                "text.",
            ),
            "visible tokens pay": Mistake(
                lambda ce, masked, u: own_exam_of(ce, masked, u),
                "You add the cross-entropies of visible tokens too: only masked tokens count, so "
                "multiply ce by masked.",
            ),
            "0 / 0": Mistake(
                lambda ce, masked, u: ce.sum() * math.nan,
                "A text without masks makes 0 / 0, which is nan: its loss is 0, so divide by at "
                "least 1, as with clamp(min=1).",
            ),
        },
        cases=lambda seed=0: [
            (varied(seed, cross_entropies(i)), PATTERNS, u)
            for i, u in enumerate(
                [middles(100), middles(60).sqrt(), 0.3 * middles(100) ** 2, 1e-3 * middles(7)]
            )
        ],
    ),
    "clipped_bound": Exercise(
        clipped_bound,
        clipped_bound_token_by_token,
        {
            "nothing added": Mistake(
                lambda bare, ce, masked, alpha0, alpha1: bare,
                "This is the bare integral, which lies below the truth: add the prior and the "
                "reconstruction.",
            ),
            "no prior": Mistake(
                lambda bare, ce, masked, alpha0, alpha1: (
                    bare + reconstruction(ce * masked, masked, alpha0)
                ),
                "At t = 1 each token is still visible with probability alpha1, and the sampler "
                "must draw it from V words: add L alpha1 log V.",
            ),
            "no reconstruction": Mistake(
                lambda bare, ce, masked, alpha0, alpha1: bare + prior(alpha1),
                "At t = 0 some tokens are still masked and must be predicted: add their "
                "cross-entropy at noise level 1 - alpha0.",
            ),
            "the mask among the words": Mistake(
                lambda bare, ce, masked, alpha0, alpha1: (
                    bare + prior(alpha1, V + 1) + reconstruction(ce * masked, masked, alpha0)
                ),
                "In this part of the prior no token is the mask: it is uniform on V words, not on "
                "V + 1 symbols.",
            ),
            "prior of one token": Mistake(
                lambda bare, ce, masked, alpha0, alpha1: (
                    bare + prior(alpha1, V, 1) + reconstruction(ce * masked, masked, alpha0)
                ),
                "The prior has one term for each of the L tokens: multiply it by L.",
            ),
            "the ends swapped": Mistake(
                lambda bare, ce, masked, alpha0, alpha1: clipped_bound(
                    bare, ce, masked, 1 - alpha1, 1 - alpha0
                ),
                "You have the two ends the other way round: alpha1, left at t = 1, belongs to the "
                "prior, and 1 - alpha0, masked at t = 0, to the reconstruction.",
            ),
            "1 - alpha1 in the prior": Mistake(
                lambda bare, ce, masked, alpha0, alpha1: clipped_bound(
                    bare, ce, masked, alpha0, 1 - alpha1
                ),
                "Your prior has 1 - alpha1, the share that is masked at t = 1: only what is still "
                "there, alpha1, must be drawn.",
            ),
            "alpha0 for 1 - alpha0": Mistake(
                lambda bare, ce, masked, alpha0, alpha1: clipped_bound(
                    bare, ce, masked, 1 - alpha0, alpha1
                ),
                "Your reconstruction masks each token with probability alpha0: at t = 0 that is "
                "the share that is left, and 1 - alpha0 are masked.",
            ),
            "visible tokens pay": Mistake(
                lambda bare, ce, masked, alpha0, alpha1: (
                    bare + prior(alpha1) + reconstruction(ce, masked, alpha0)
                ),
                "Your reconstruction counts visible tokens too: only masked tokens must be "
                "predicted, so multiply ce by masked.",
            ),
            "reconstruction by chance": Mistake(
                lambda bare, ce, masked, alpha0, alpha1: (
                    bare + L * (alpha1 + 1 - alpha0) * math.log(V)
                ),
                "You predict the tokens masked at t = 0 blindly, at log V each: the model sees "
                "the other tokens, so the cost is its cross-entropy.",
            ),
        },
        cases=clipped,
    ),
    "token_masks": Exercise(
        token_masks,
        token_masks_by_slope,
        {
            "c in the weight": Mistake(
                lambda c, u: torch.stack(
                    [token_masks(c, u)[0], torch.where(c * u < 1, 1 / (c * u), 0.0)]
                ),
                "The weight is a' / a with a = c u, so that c cancels and 1 / u is left.",
            ),
            "one over the chance": Mistake(
                lambda c, u: torch.stack([c * u, 1 / (c * u)]),
                "You divide by c u, but the weight is the derivative of c u divided by c u, in "
                "which c cancels. And a probability cannot exceed 1, so clamp it.",
            ),
            "not clamped": Mistake(
                lambda c, u: torch.stack([c * u, 1 / u + 0 * c]),
                "The product c u can exceed 1, which a probability cannot: clamp it.",
            ),
            "pays when it is certain": Mistake(
                lambda c, u: torch.stack([(c * u).clamp(max=1), 1 / u + 0 * c]),
                "Once a token is certain to be masked, its probability no longer changes, so a' / "
                "a is 0: its weight is 0 there.",
            ),
            "by the clamped chance": Mistake(
                lambda c, u: torch.stack([(c * u).clamp(max=1), 1 / (c * u).clamp(max=1)]),
                "You divide by the probability of a mask: the weight is the derivative of that "
                "probability divided by it, 1 / u where c u < 1 and 0 above.",
            ),
            "survival scaled": Mistake(
                lambda c, u: torch.stack([1 - c * (1 - u), c / (1 - c * (1 - u))]),
                "You multiply the probability of staying visible by c: it is the probability of a "
                "mask that is c u.",
            ),
        },
        cases=lambda seed=0: [
            (varied(seed, torch.tensor(c).double(), 0.97, 1.03), torch.tensor(u).double())
            for c, u in (
                ([0.5, 0.8, 1.2, 1.5], 0.3),
                ([1.5, 0.5, 0.8, 1.2], 0.7),
                ([0.05, 1.5, 0.8], 0.9),
                ([0.6, 3.0, 30.0, 0.2, 1.1], 0.05),
            )
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
}
