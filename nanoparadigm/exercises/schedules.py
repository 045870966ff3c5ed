"""Chapter 6b, noise schedules: what they cannot change, what they do, and which number ranks what.

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


def probabilities(masked, u):
    """Return the probability of each set of masks (2^L, L) at each noise level u (n,), (n, 2^L)."""
    k = masked.sum(-1)
    return u[:, None] ** k * (1 - u[:, None]) ** (L - k)


TIMES = torch.tensor([0.05, 0.2, 0.4, 0.7, 0.95], dtype=torch.float64)
ENDS = torch.tensor([0.0, 1e-4, 1.0], dtype=torch.float64)
HALF = math.pi / 2

# ------------------------------------------------------------------------------ the change of time


def cosine_time(t):
    """Return t' where cos(pi t' / 2) = 1 - sqrt(t)."""
    return 2 / math.pi * torch.arccos(1 - t.sqrt())


def cosine_time_by_half_angle(t):
    return 4 / math.pi * torch.arcsin((t.sqrt() / 2).sqrt())


# ------------------------------------------------------------------------------ the three averages


def three_averages(ce, masked, u):
    """Return the mean over noisy texts, that over texts with a mask, and that over masked tokens.

    u (n,): the noise levels of times spread evenly. A text without masks counts 0 in the first.
    """
    return averages(ce * masked, masked, probabilities(masked, u))


def averages(cost, masked, chance):
    mean = over_texts(cost, masked, chance)
    return torch.stack([mean, mean / some(masked, chance), over_tokens(cost, masked, chance)])


def over_texts(cost, masked, chance):
    return (chance @ (cost.sum(-1) / masked.sum(-1).clamp(min=1))).mean()


def over_tokens(cost, masked, chance):
    return (chance @ cost.sum(-1)).sum() / (chance @ masked.sum(-1).double()).sum()


def some(masked, chance):
    """Return how often a noisy text has a mask."""
    return chance[:, masked.any(-1)].sum(-1).mean()


def three_averages_by_counts(ce, masked, u):
    k, mean, pooled, empty = masked.sum(-1), 0.0, 0.0, (1 - u).pow(L).mean()
    for n in range(1, L + 1):
        often = (math.comb(L, n) * u**n * (1 - u) ** (L - n)).mean()
        curve = (ce * masked)[k == n].sum(-1).mean() / n
        mean, pooled = mean + often * curve, pooled + n * often * curve
    return mean, mean / (1 - empty), pooled / (L * u.mean())


def of(first=None, second=None, third=None):
    """Return an answer some of whose parts are wrong, each a function of (cost, masked, chance)."""

    def answer(ce, masked, u):
        cost, chance = ce * masked, probabilities(masked, u)
        right, wrong = averages(cost, masked, chance), (first, second, third)
        found = [f(cost, masked, chance) if f else r for f, r in zip(wrong, right, strict=True)]
        return torch.stack(found)

    return answer


def over_texts_with_masks(cost, masked, chance):
    return over_texts(cost, masked, chance) / some(masked, chance)


def level_by_level(cost, masked, chance):
    mean = chance @ (cost.sum(-1) / masked.sum(-1).clamp(min=1))
    return (mean / chance[:, masked.any(-1)].sum(-1)).mean()


def pooled_level_by_level(cost, masked, chance):
    return ((chance @ cost.sum(-1)) / (chance @ masked.sum(-1).double())).mean()


def total(cost, masked, chance):
    return (chance @ cost.sum(-1)).mean()


def nothing_over_nothing(cost, masked, chance):
    return cost.sum() * math.nan


# -------------------------------------------------------------------------------- the common bound


def common_bound(cost, u, slope):
    """Return the mean of w(t) cost over evenly spread times, w = slope / u."""
    return (slope / u * cost).mean()


def common_bound_in_a_loop(cost, u, slope):
    triples = zip(cost.tolist(), u.tolist(), slope.tolist(), strict=True)
    return sum(c * d / v for c, v, d in triples) / len(cost)


def at_times(seed=0):
    """Return the costs of noisy texts, their noise levels and the slopes, of four schedules."""
    found = []
    for i, (n, level, slope) in enumerate(
        (
            (40, lambda t: t, torch.ones_like),
            (60, lambda t: 1 - torch.cos(HALF * t), lambda t: HALF * torch.sin(HALF * t)),
            (30, lambda t: t.sqrt(), lambda t: 0.5 / t.sqrt()),
            (9, lambda t: t**2, lambda t: 2 * t),
        )
    ):
        t = middles(n)
        cost = probabilities(PATTERNS, level(t)) @ (cross_entropies(i) * PATTERNS).sum(-1)
        found.append((varied(seed, cost), level(t), slope(t)))
    return found


# ------------------------------------------------------------------------------- the best density


def best_density(second, u):
    """Return f, proportional to sqrt(E C^2) / u, with mean 1 over the middles u of equal parts."""
    return with_mean_one(second.sqrt() / u)


def with_mean_one(f):
    return f / f.mean()


def best_density_by_logarithms(second, u):
    log_f = second.log() / 2 - u.log()
    return (log_f - log_f.logsumexp(0) + math.log(len(u))).exp()


def second_moments(seed=0):
    """Return the mean squared cost of a noisy text at evenly spread noise levels, and these."""
    found = []
    for i, n in enumerate((8, 30, 13)):
        cost = varied(seed, (cross_entropies(i) * PATTERNS).sum(-1))
        found.append((probabilities(PATTERNS, middles(n)) @ cost**2, middles(n)))
    return [*found, (varied(seed, torch.tensor([4.0, 0.25, 9.0, 1.0]).double()), middles(4))]


# ------------------------------------------------------------------------------- the clipped bound


def under_the_weight(ce, masked, u):
    return ((probabilities(masked, u) @ (ce * masked).sum(-1)) / u).mean()


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


EXERCISES = {
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
    "three_averages": Exercise(
        three_averages,
        three_averages_by_counts,
        {
            "of a whole text": Mistake(
                lambda ce, masked, u: L * three_averages(ce, masked, u),
                "These are nats for a whole text: the averages are per masked word, so do not "
                "multiply them by L.",
            ),
            "the first two swapped": Mistake(
                of(over_texts_with_masks, over_texts),
                "You return the second average first: in the first, a noisy text without masks "
                "counts as 0.",
            ),
            "empty texts left out twice": Mistake(
                of(first=over_texts_with_masks),
                "Your first average leaves out the noisy texts without a mask: there they count as "
                "0, which lowers the mean.",
            ),
            "empty texts counted twice": Mistake(
                of(second=over_texts),
                "Your second average still counts the noisy texts without a mask: divide the first "
                "by the probability that a noisy text has a mask.",
            ),
            "level by level": Mistake(
                of(second=level_by_level),
                "You leave out the empty texts at each noise level, and then average over levels: "
                "average over all noisy texts that have a mask, whatever their level.",
            ),
            "pooled level by level": Mistake(
                of(third=pooled_level_by_level),
                "You pool at each noise level, and then average over levels: pooling divides one "
                "total cross-entropy by one total number of masks.",
            ),
            "per word, masked or not": Mistake(
                of(third=lambda cost, masked, chance: total(cost, masked, chance) / L),
                "You divide the total by all words: pooling divides it by the masked ones only.",
            ),
            "the total, not divided": Mistake(
                of(third=total),
                "Your third is the total cross-entropy of a noisy text: divide it by the mean "
                "number of masks.",
            ),
            "a mean over all words": Mistake(
                of(
                    lambda cost, masked, chance: total(cost, masked, chance) / L,
                    lambda cost, masked, chance: (
                        total(cost, masked, chance) / L / some(masked, chance)
                    ),
                ),
                "You divide each text by its five words: divide by the number of those that are "
                "masked.",
            ),
            "a sum over times": Mistake(
                lambda ce, masked, u: (
                    three_averages(ce, masked, u) * torch.tensor([len(u), len(u), 1.0]).double()
                ),
                "You add up over the n times: they are spread evenly, so take the mean.",
            ),
            "visible for masked": Mistake(
                lambda ce, masked, u: three_averages(ce, masked, 1 - u),
                "You mask each word with probability 1 - u: u is the noise level, the probability "
                "of a mask.",
            ),
            "no mean over masks": Mistake(
                of(
                    total,
                    lambda cost, masked, chance: total(cost, masked, chance) / some(masked, chance),
                ),
                "You average the total cross-entropy of each text: first divide it by the text's "
                "number of masks.",
            ),
            "every set of masks alike": Mistake(
                lambda ce, masked, u: averages(
                    ce * masked, masked, torch.full((len(u), len(masked)), 1 / len(masked)).double()
                ),
                "You give every set of masks the same weight, so the schedule has no effect: a "
                "set of k masks has probability u^k (1 - u)^(L - k).",
            ),
            "visible tokens count": Mistake(
                lambda ce, masked, u: averages(ce, masked, probabilities(masked, u)),
                "You add the cross-entropies of visible tokens too: only masked tokens count, so "
                "multiply ce by masked.",
            ),
            "0 / 0": Mistake(
                of(nothing_over_nothing),
                "A text without masks makes 0 / 0, which is nan: in the first average it counts "
                "as 0, so divide by at least 1, as with clamp(min=1).",
            ),
            "0 / 0 twice": Mistake(
                of(nothing_over_nothing, nothing_over_nothing),
                "A text without masks makes 0 / 0, which is nan and spoils both means: divide by "
                "at least 1, as with clamp(min=1).",
            ),
        },
        cases=lambda seed=0: [
            (varied(seed, cross_entropies(i)), PATTERNS, u)
            for i, u in enumerate(
                [middles(100), middles(60).sqrt(), 0.3 * middles(100) ** 2, 1e-3 * middles(7)]
            )
        ],
    ),
    "common_bound": Exercise(
        common_bound,
        common_bound_in_a_loop,
        {
            "the code as it was": Mistake(
                lambda cost, u, slope: (cost / u.clamp(min=0.05)).mean(),
                "Both bugs are still there: ask how often the schedule draws each noise level, and "
                "what the clamp does to low ones.",
            ),
            "1 / u": Mistake(
                lambda cost, u, slope: (cost / u).mean(),
                "The weight 1 / u is right if u is uniform, and yours is drawn by a schedule: with "
                "du = slope dt the weight is slope / u.",
            ),
            "the clamp": Mistake(
                lambda cost, u, slope: (slope / u.clamp(min=0.05) * cost).mean(),
                "The weight is right now. The clamp cuts off a part of the bound: take it away.",
            ),
            "no weight": Mistake(
                lambda cost, u, slope: cost.mean(),
                "Without a weight this is what a noisy text costs on average: the integrand of the "
                "bound is w(t) times that, w = slope / u.",
            ),
            "the slope alone": Mistake(
                lambda cost, u, slope: (slope * cost).mean(),
                "This is the integral of the cost over u: the bound has 1 / u in it, too.",
            ),
            "divided by the slope": Mistake(
                lambda cost, u, slope: (cost / (u * slope)).mean(),
                "You divide by the slope: du = slope dt, so multiply by it.",
            ),
            "weights that add up to one": Mistake(
                lambda cost, u, slope: (slope / u * cost).sum() / (slope / u).sum(),
                "You divide by the sum of the weights: they need not add up to one, so take the "
                "mean over the n times.",
            ),
            "the sum": Mistake(
                lambda cost, u, slope: (slope / u * cost).sum(),
                "This is a sum over n times: an integral over t from 0 to 1 is their mean.",
            ),
            "1 - u": Mistake(
                lambda cost, u, slope: (slope / (1 - u) * cost).mean(),
                "You divide by 1 - u, the share that is visible: the weight is slope / u.",
            ),
            "1 / t": Mistake(
                lambda cost, u, slope: (cost / middles(len(u))).mean(),
                "The weight 1 / t is that of the linear schedule: in general it is slope / u.",
            ),
            "trapezoids over t": Mistake(
                lambda cost, u, slope: torch.trapezoid(slope / u * cost, dx=1 / len(u)),
                "You count the first and the last time only half: all n lie inside (0, 1) and "
                "have the same weight, so take the mean.",
            ),
            "trapezoids over u": Mistake(
                lambda cost, u, slope: torch.trapezoid(cost / u, u),
                "You integrate over u between the first and the last level, which leaves out both "
                "ends: take the mean over the times, which are spread over all of (0, 1).",
            ),
        },
        cases=at_times,
    ),
    "best_density": Exercise(
        best_density,
        best_density_by_logarithms,
        {
            "no root": Mistake(
                lambda second, u: with_mean_one(second / u**2),
                "This is the integrand E C^2 / u^2 itself: the f that makes the integral of it "
                "over f smallest is proportional to its square root.",
            ),
            "no root of the cost": Mistake(
                lambda second, u: with_mean_one(second / u),
                "Take the square root of E C^2, too: f is proportional to the root of E C^2 / u^2.",
            ),
            "root of both": Mistake(
                lambda second, u: with_mean_one((second / u).sqrt()),
                "You take the root of E C^2 / u: in the variance it is divided by u^2, whose root "
                "is u.",
            ),
            "no 1 / u": Mistake(
                lambda second, u: with_mean_one(second.sqrt()),
                "You leave out the weight: a sample is C / (u f), so that E C^2 is divided by u^2.",
            ),
            "not normalised": Mistake(
                lambda second, u: second.sqrt() / u,
                "The shape is right, but a density integrates to 1: divide by the mean of your "
                "numbers.",
            ),
            "adds up to one": Mistake(
                lambda second, u: best_density(second, u) / len(u),
                "Your numbers add up to 1: a density integrates to 1 over u, so their mean must be "
                "1.",
            ),
            "trapezoids": Mistake(
                lambda second, u: second.sqrt() / u / torch.trapezoid(second.sqrt() / u, u),
                "You normalise by trapezoids between the first and the last u: they are the "
                "middles of n parts of (0, 1), so divide by the mean.",
            ),
            "upside down": Mistake(
                lambda second, u: with_mean_one(u / second.sqrt()),
                "Yours is 1 / f: draw a level more often where samples are large, not less often.",
            ),
            "1 / u alone": Mistake(
                lambda second, u: with_mean_one(1 / u),
                "You look at the weight alone: a low level has a large weight, but its texts "
                "seldom have a mask, so use E C^2 as well.",
            ),
            "at most one": Mistake(
                lambda second, u: second.sqrt() / u / (second.sqrt() / u).max(),
                "Your largest number is 1: a density integrates to 1, so its mean must be 1.",
            ),
            "second moments": Mistake(
                lambda second, u: with_mean_one(second),
                "You leave out the weight and the root: f is proportional to the root of E C^2 / "
                "u^2.",
            ),
            "uniform": Mistake(
                lambda second, u: torch.ones_like(u),
                "This is the density of the linear schedule: vary f, and see where the integral of "
                "E C^2 / (u^2 f) is smallest.",
            ),
        },
        cases=second_moments,
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
            "the slope alone": Mistake(
                lambda c, u: torch.stack([(c * u).clamp(max=1), torch.where(c * u < 1, c, 0.0)]),
                "Your weight is the derivative of c u: divide it by c u, since a token that is "
                "masked is given.",
            ),
            "visible for masked": Mistake(
                lambda c, u: torch.stack([1 - token_masks(c, u)[0], token_masks(c, u)[1]]),
                "Your probability is that of a visible token: a mask has probability c u, at most "
                "1.",
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
}
