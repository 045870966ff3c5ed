"""Chapter 4, the masked-diffusion bound. Texts of L = 5 over V = 3 words, the mask is symbol V.

The cross-entropies ce (..., L) that the cases hand out are those of the tiny language's exact
posterior, so that a right bound is the true -log p(x), string by string. What they say of a token
that is seen is no zero, since a right answer does not look at it.
"""

import math
from functools import cache
from itertools import combinations, product
from math import comb

import torch

from ..language.grammar import tiny
from .fresh import varied
from .grader import Exercise, Mistake

L, V = 5, 3
TEXTS = torch.tensor([[0, 1, 2, 2, 1], [0, 0, 0, 0, 0], [2, 1, 0, 2, 2], [1, 1, 2, 0, 1]])
PATTERNS = torch.tensor(list(product([False, True], repeat=L)))  # every set of masked positions
COUNT = PATTERNS.sum(1)


@cache
def cross_entropies(i):
    """Return -log p(x_j | z) of text i under every pattern, (2^L, L), 0.25 where it is seen."""
    x = TEXTS[i].expand(len(PATTERNS), L)
    p = tiny().posterior(torch.where(PATTERNS, V, x))
    ce = -p.gather(-1, x[..., None]).squeeze(-1).log()
    return torch.where(PATTERNS, ce, 0.25)  # what is seen must not matter


# ------------------------------------------------------------------------------------- one step


def step_cost(alpha_s, alpha_t, ce):
    return (alpha_s - alpha_t) / (1 - alpha_t) * ce


def step_cost_by_complement(alpha_s, alpha_t, ce):
    return ce - (1 - alpha_s) / (1 - alpha_t) * ce


def step_cross_entropy(alpha_s, alpha_t, ce):
    """Return the cross-entropy of the two steps, where their divergence is asked for."""
    reveal = (alpha_s - alpha_t) / (1 - alpha_t)
    stay = 1 - reveal
    return reveal * (ce - reveal.log()) - torch.special.xlogy(stay, stay)


def shorter(seed, alpha_s, alpha_t):
    """Return an alpha_t between the usual one and alpha_s, for any seed but 0."""
    return alpha_s - varied(seed, alpha_s - alpha_t, 0.8, 1.0) if seed else alpha_t


# ----------------------------------------------------------------------------- one sample, weighted


def weighted_sum(ce, masked, t):
    return (ce * masked).sum(-1) / t


def weighted_sum_of_chosen(ce, masked, t):
    return torch.stack([row[m].sum() for row, m in zip(ce, masked, strict=True)]) / t


# --------------------------------------------------------------------------------- by mask counts


def by_mask_counts(ce, masked):
    """Sum, over k = 1 ... L, the mean cross-entropy of k masked tokens."""
    return of_each_count(ce * masked, masked, lambda cost, k: (cost / k).mean()).sum()


def by_mask_counts_weighted(ce, masked):
    k = masked.sum(-1)
    patterns = torch.tensor([comb(L, int(n)) for n in k], dtype=torch.float64)
    weight = torch.where(k > 0, 1 / (k.clamp(min=1) * patterns), 0.0)
    return (weight * (ce * masked).sum(-1)).sum()


def of_each_count(ce, masked, mean):
    """Return mean(the costs of the patterns with k masks, k) for k = 1 ... L."""
    count, cost = masked.sum(-1), ce.sum(-1)
    return torch.stack([mean(cost[count == k], k) for k in range(1, L + 1)])


def of_masked(ce, masked):
    """Return the mean over the masked tokens of each pattern, 0 for the empty one."""
    return (ce * masked).sum(-1) / masked.sum(-1).clamp(min=1)


# ------------------------------------------------------------------------------------------- SUBS


def subs(logits, z):
    log_p = logits[..., :V].log_softmax(-1)
    return torch.where((z != V)[..., None], one_hot(z).log(), log_p)


def subs_by_infinity(logits, z):
    logits = logits.clone()
    logits[..., V] = -torch.inf
    log_p = logits.log_softmax(-1)[..., :V]
    for place in (z != V).nonzero():
        b, i = place.tolist()
        log_p[b, i] = -torch.inf
        log_p[b, i, z[b, i]] = 0
    return log_p


def where_masked(log_p):
    """Return a mistaken SUBS, whose log-probabilities of masked tokens are log_p(logits)."""
    return lambda logits, z: torch.where((z != V)[..., None], subs(logits, z), log_p(logits))


def where_seen(value):
    """Return a mistaken SUBS, whose answer for visible tokens is value(log_p, z)."""

    def mistaken(logits, z):
        log_p = logits[..., :V].log_softmax(-1)
        return torch.where((z != V)[..., None], value(log_p, z), log_p)

    return mistaken


def one_hot(z):
    return torch.nn.functional.one_hot(z, V + 1)[..., :V].double()


def with_mask_logit(value):
    """Return a softmax over all V + 1 symbols, the logit of the mask set to `value`."""

    def log_p(logits):
        column = torch.full_like(logits[..., :1], value)
        return torch.cat([logits[..., :V], column], -1).log_softmax(-1)[..., :V]

    return log_p


def probabilities(answer, *case):
    """Return exp of the answer, since -inf cannot be compared by differences."""
    return answer(*case).exp()


def log_of(p):
    """Undo `probabilities`, number by number; nan stays nan."""
    return -math.inf if p <= 0 else math.log(p)


# -------------------------------------------------------------------------------------- the spread


def spread(c, L, t):
    return c * math.sqrt(L * (1 - t) / t), 0.0


def spread_by_variance(c, L, t):
    of_a_token = t * (1 - t) * (c / t) ** 2
    return torch.tensor([L * of_a_token, 0.0], dtype=torch.float64).sqrt()


def says_spread(index, *case):
    return f"the standard deviation of the {('first', 'second')[index[0]]} kind of sample"


# ---------------------------------------------------------------------------------- the bug to find


def steps_bound(expected, alpha):
    s, t = alpha[:-1], alpha[1:]
    return ((s - t) / (1 - t) * expected[1:]).sum()


def steps_bound_in_a_loop(expected, alpha):
    total = 0.0
    for k in range(1, len(alpha)):
        stays = (1 - alpha[k - 1]) / (1 - alpha[k])
        total = total + (1 - stays) * expected[k]
    return total


def over_steps(cost):
    """Return an answer that adds up cost(alpha_s, alpha_t, expected_s, expected_t)."""
    return lambda expected, alpha: cost(alpha[:-1], alpha[1:], expected[:-1], expected[1:]).sum()


def some_steps(seed=0):
    """Return (expected, alpha) of texts in 1, 4, 2, 1000 steps, linear and cosine."""
    cases = []
    for i, T in enumerate((1, 4, 2, 1000)):
        time = torch.arange(T + 1, dtype=torch.float64) / T
        alpha = torch.cos(math.pi / 2 * time) if i % 2 else 1 - time
        alpha[-1] = 0.0
        noise = 1 - alpha[:, None]
        chance = noise**COUNT * (1 - noise) ** (L - COUNT)
        cases.append((varied(seed, chance @ (cross_entropies(i) * PATTERNS).sum(-1)), alpha))
    return cases


# ------------------------------------------------------------------------------- total correlation


def entropy(p):
    return -torch.special.xlogy(p, p).sum()


def table_of(p, words):
    """Return the joint table of some of the words of a joint table p."""
    others = [i for i in range(p.dim()) if i not in words]
    return p.sum(others) if others else p  # sum([]) would sum over all of them


def marginals(p):
    return [table_of(p, [i]) for i in range(p.dim())]


def total_correlation(p):
    return sum(entropy(q) for q in marginals(p)) - entropy(p)


def product_of(marginals):
    """Return the joint table of independent words."""
    joint = marginals[0]
    for q in marginals[1:]:
        joint = joint[..., None] * q
    return joint


def divergence(p, q):
    return (torch.special.xlogy(p, p) - torch.special.xlogy(p, q)).sum()


def total_correlation_as_divergence(p):
    return divergence(p, product_of(marginals(p)))


def without_zeros(p):
    return sum(-(q * q.log()).sum() for q in marginals(p)) + (p * p.log()).sum()


def of_neighbours(p):
    return sum(total_correlation(table_of(p, (i, i + 1))) for i in range(p.dim() - 1))


def of_pairs(p):
    return sum(total_correlation(table_of(p, pair)) for pair in combinations(range(p.dim()), 2))


def some_joints(seed=0):
    """Return tables of five words of the tiny language, of two words of which some pairs cannot
    be, of three independent words, and of four binary words that are all the same."""
    texts = torch.tensor(list(product(range(V), repeat=L)))
    alike = torch.zeros(2, 2, 2, 2, dtype=torch.float64)
    alike[0, 0, 0, 0], alike[1, 1, 1, 1] = 0.3, 0.7
    independent = torch.tensor([[0.2, 0.5, 0.3], [0.6, 0.1, 0.3], [0.1, 0.1, 0.8]]).double()
    joints = [
        tiny().log_prob(texts).exp().view(*[V] * L),
        torch.tensor([[0.4, 0.0], [0.1, 0.5]], dtype=torch.float64),
        alike,
    ]
    tables = [varied(seed, p) for p in joints]
    rows = varied(seed, independent)
    tables.append(product_of(list(rows / rows.sum(1, keepdim=True))))
    return [(p / p.sum(),) for p in tables]


TIMES = [0.35, 0.03, 5e-7, 1.0]
SOME = [(3, 9, 21, 28), (8, 30, 5), (16, 7), (31, 26, 12, 19, 1, 14)]  # patterns
SHUFFLED = torch.randperm(len(PATTERNS), generator=torch.Generator().manual_seed(0))
PAIRS = [(0.9, 0.8), (0.5, 0.2), (0.05, 0.02), (0.9999995, 0.999999), (1.0, 0.0)]
LOGITS = torch.tensor(
    [
        [[0.3, -1.0, 2.0, 1.5], [0.0, 0.5, -0.5, 3.0], [1.0, 1.0, 0.2, -2.0]],
        [[-0.7, 0.1, 0.4, 0.6], [2.0, -2.0, 0.0, 1.0], [0.9, 0.3, 0.3, 0.0]],
    ],
    dtype=torch.float64,
)
SEEN = torch.tensor([[V, 1, V], [2, V, V]])

EXERCISES = {
    "step_cost": Exercise(
        step_cost,
        step_cost_by_complement,
        {
            "every step pays in full": Mistake(
                lambda s, t, ce: ce + 0 * s,
                "The token is revealed in this step only with some probability, and pays only "
                "then: multiply by (alpha_s - alpha_t) / (1 - alpha_t).",
            ),
            "pays for staying masked": Mistake(
                lambda s, t, ce: (1 - s) / (1 - t) * ce,
                "You charge for staying masked, where both distributions agree at no cost.",
            ),
            "masked at s, given nothing": Mistake(
                lambda s, t, ce: (1 - s) * ce,
                "1 - alpha_s is how likely a token is masked at s. You need how likely this step "
                "reveals it, given that it is masked at t: (alpha_s - alpha_t) / (1 - alpha_t).",
            ),
            "not given the mask": Mistake(
                lambda s, t, ce: (s - t) * ce,
                "The token is masked at t, which is given: divide by 1 - alpha_t.",
            ),
            "divided by 1 - alpha_s": Mistake(
                lambda s, t, ce: (s - t) / (1 - s) * ce,
                "You divide by the probability of a mask at s, but it is the mask at t that is "
                "given: divide by 1 - alpha_t.",
            ),
            "forward loss": Mistake(
                lambda s, t, ce: (1 - t / s) * ce,
                "You charge with 1 - alpha_t / alpha_s, the probability that a token visible at s "
                "vanishes; the exercise asks for the reverse, of a token masked at t.",
            ),
            "alphas read as noise levels": Mistake(
                lambda s, t, ce: (t - s) / t * ce,
                "You use alpha_s and alpha_t as noise levels: alpha is the probability that a "
                "token is still visible, so the noise level is 1 - alpha.",
            ),
            "sign": Mistake(
                lambda s, t, ce: (t - s) / (1 - t) * ce,
                "Your costs are negative: s is before t, so alpha_s is the larger of the two.",
            ),
            "cross-entropy for the divergence": Mistake(
                step_cross_entropy,
                "This is the cross-entropy of the two steps. Their divergence is smaller, by the "
                "entropy of the true step, which is random too.",
            ),
            **{
                f"denominator clamped at {low:g}": Mistake(
                    lambda s, t, ce, low=low: (s - t) / (1 - t).clamp(min=low) * ce,
                    f"Your denominator is never below {low:g}, which is wrong where hardly "
                    "anything is masked: at t something is, so 1 - alpha_t needs no clamp.",
                )
                for low in (1e-2, 1e-3, 1e-4, 1e-5)
            },
            "summed": Mistake(
                lambda s, t, ce: ((s - t) / (1 - t) * ce).sum(),
                "You add up the tokens: return the divergence of each, of shape (L,).",
            ),
        },
        cases=lambda seed=0: [
            (
                torch.tensor(s, dtype=torch.float64),
                torch.tensor(shorter(seed, s, t), dtype=torch.float64),
                (i + 1) / 50 * varied(seed, cross_entropies(i % 4)[pattern, PATTERNS[pattern]]),
            )
            for i, (pattern, (s, t)) in enumerate(zip((31, 23, 30, 15, 27), PAIRS, strict=True))
        ],
    ),
    "subs": Exercise(
        subs,
        subs_by_infinity,
        {
            "mask allowed": Mistake(
                where_masked(lambda logits: logits.log_softmax(-1)[..., :V]),
                "You leave probability on the mask: no clean text holds one, so take the softmax "
                "over the V words only.",
            ),
            "mask logit set to 0": Mistake(
                where_masked(with_mask_logit(0.0)),
                "A logit of 0 is a weight of exp(0) = 1, not of none: set the logit of the mask to "
                "-inf, or leave its column out.",
            ),
            "mask logit set to +inf": Mistake(
                where_masked(with_mask_logit(torch.inf)),
                "A logit of +inf makes the mask certain and everything else nan: it must be -inf.",
            ),
            "logit of the seen word set to +inf": Mistake(
                lambda logits, z: torch.where(
                    one_hot(z) > 0, torch.inf, logits[..., :V]
                ).log_softmax(-1),
                "With a logit of +inf for the visible word the softmax gives nan, inf - inf: set "
                "the logits of the other words to -inf instead, or the answer itself.",
            ),
            "all words 0 where seen": Mistake(
                where_seen(lambda log_p, z: torch.zeros_like(log_p)),
                "Where z shows a word you give every word log-probability 0, which is probability "
                "1: only the word seen has that, the others -inf.",
            ),
            "no logarithm where masked": Mistake(
                where_masked(lambda logits: logits[..., :V].softmax(-1)),
                "Where z is masked these are probabilities: take log_softmax.",
            ),
            "nothing carried over": Mistake(
                lambda logits, z: logits[..., :V].log_softmax(-1),
                "A token that z shows is certain: its log-probability is 0, and that of every "
                "other word -inf.",
            ),
            "only the seen word set": Mistake(
                where_seen(lambda log_p, z: torch.where(one_hot(z) > 0, 0.0, log_p)),
                "Where z shows a word you give it log-probability 0 and leave the other words what "
                "they had: theirs must be -inf.",
            ),
            "probabilities of the seen word": Mistake(
                where_seen(lambda log_p, z: one_hot(z)),
                "Where z shows a word you return the probabilities 0 and 1: their logarithms are "
                "-inf and 0.",
            ),
            "carried over everywhere": Mistake(
                lambda logits, z: subs(logits, z.clamp(max=V - 1)),
                "You treat the mask as a word that was seen: carry over only where z is not V.",
            ),
            "masks and words swapped": Mistake(
                lambda logits, z: torch.where(
                    (z == V)[..., None], one_hot(z).log(), logits[..., :V].log_softmax(-1)
                ),
                "You have the two cases the other way round: predict where z is the mask, carry "
                "over where it is not.",
            ),
            "probabilities": Mistake(
                lambda logits, z: subs(logits, z).exp(),
                "These are probabilities: take the logarithm, with log_softmax.",
            ),
            "not normalised": Mistake(
                where_masked(lambda logits: logits[..., :V]),
                "These are logits where z is masked: take log_softmax over the V words, so that "
                "their probabilities sum to one.",
            ),
            "softmax over positions": Mistake(
                where_masked(lambda logits: logits[..., :V].log_softmax(-2)),
                "You normalise over the positions: the words of one position, the last axis, must "
                "sum to one.",
            ),
            "four columns": Mistake(
                lambda logits, z: torch.cat(
                    [subs(logits, z), torch.full_like(logits[..., :1], -torch.inf)], -1
                ),
                "The mask has no column in the answer: return the V words only, (B, L, 3).",
            ),
        },
        cases=lambda seed=0: [
            (varied(seed, LOGITS), SEEN),
            (varied(seed, 2 * LOGITS), SEEN.flip(1)),
            (varied(seed, LOGITS.flatten(0, 1)[None, :5] - 1), torch.tensor([[1, 0, 0, 2, 1]])),
            (varied(seed, LOGITS.view(3, 2, V + 1)), torch.full((3, 2), V)),
        ],
        measure=probabilities,
        shown=log_of,
    ),
    "masked_bound": Exercise(
        weighted_sum,
        weighted_sum_of_chosen,
        {
            "no weight": Mistake(
                lambda ce, masked, t: (ce * masked).sum(-1),
                "Without the weight 1 / t this is a loss and no bound: lightly masked texts, which "
                "hold few masked tokens, must count for more.",
            ),
            "weight 1 / (1 - t)": Mistake(
                lambda ce, masked, t: (ce * masked).sum(-1) / (1 - t),
                "t is the chance to be masked, and 1 / t makes up for it; 1 / (1 - t) is the "
                "weight where time runs the other way.",
            ),
            "masked mean, and 1 / t": Mistake(
                lambda ce, masked, t: (ce * masked).sum(-1) / masked.sum(-1) / t,
                "You correct for the share of masks twice: sum over the masked tokens and divide "
                "by t, without dividing by their number as well.",
            ),
            "L times the masked mean, and 1 / t": Mistake(
                lambda ce, masked, t: L * (ce * masked).sum(-1) / masked.sum(-1) / t,
                "You correct for the share of masks twice, by their number and by t: sum over the "
                "masked tokens and divide by t.",
            ),
            "mean over the masked tokens": Mistake(
                lambda ce, masked, t: L * (ce * masked).sum(-1) / masked.sum(-1),
                "You divide by the share of tokens that happen to be masked, but the integrand "
                "divides by t, their expected share: it is another estimator.",
            ),
            "mean cost of a masked token": Mistake(
                lambda ce, masked, t: (ce * masked).sum(-1) / masked.sum(-1),
                "This is the mean cost of a masked token: sum what the masked tokens cost and "
                "divide by t.",
            ),
            "every position pays": Mistake(
                lambda ce, masked, t: ce.sum(-1) / t,
                "The sum runs over the masked tokens only: what is seen costs nothing.",
            ),
            "the seen tokens pay": Mistake(
                lambda ce, masked, t: (ce * ~masked).sum(-1) / t,
                "You sum over the visible tokens: `masked` is True where a token is hidden, and "
                "those pay.",
            ),
            **{
                f"t clamped at {low:g}": Mistake(
                    lambda ce, masked, t, low=low: (ce * masked).sum(-1) / t.clamp(min=low),
                    f"Your weight stops growing below t = {low:g}: the numbers vary less, but what "
                    "you cut off is part of the bound.",
                )
                for low in (0.1, 0.05, 0.01, 1e-3, 1e-4, 1e-5, 1e-6)
            },
            **{
                f"t + {eps:g}": Mistake(
                    lambda ce, masked, t, eps=eps: (ce * masked).sum(-1) / (t + eps),
                    f"You divide by t + {eps:g}: that makes every weight too small, and most where "
                    "t is small. Divide by t.",
                )
                for eps in (1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-8)
            },
            "per token": Mistake(
                lambda ce, masked, t: (ce * masked).mean(-1) / t,
                "This is nats per token; -log p(x) is of the whole text, so sum over positions.",
            ),
            "mean over the batch": Mistake(
                lambda ce, masked, t: ((ce * masked).sum(-1) / t).mean(),
                "You average over the batch: return one number for each text, of shape (B,).",
            ),
            "summed over the batch": Mistake(
                lambda ce, masked, t: (ce * masked).sum(0) / t,
                "You sum over the texts: sum over the positions, the last axis.",
            ),
            "sign": Mistake(
                lambda ce, masked, t: -(ce * masked).sum(-1) / t,
                "Your numbers are negative: a cross-entropy is -log p already.",
            ),
        },
        cases=lambda seed=0: [
            (
                varied(seed, cross_entropies(i)[list(some)]),
                PATTERNS[list(some)],
                torch.tensor(varied(seed, t, 0.8, 1.0), dtype=torch.float64),
            )
            for i, (some, t) in enumerate(zip(SOME, TIMES, strict=True))
        ],
    ),
    "mask_count_bound": Exercise(
        by_mask_counts,
        by_mask_counts_weighted,
        {
            "what is seen counts": Mistake(
                lambda ce, masked: of_each_count(ce, masked, lambda c, k: (c / k).mean()).sum(),
                "You sum over all tokens: multiply by `masked` first, since only masked tokens "
                "cost something.",
            ),
            "no 1 / k": Mistake(
                lambda ce, masked: of_each_count(ce * masked, masked, lambda c, k: c.mean()).sum(),
                "You take the sum over the k masked tokens: it must be their mean, so divide by k.",
            ),
            "divided by L": Mistake(
                lambda ce, masked: (
                    of_each_count(ce * masked, masked, lambda c, k: c.mean()).sum() / L
                ),
                "For each k, take L times the mean over the k masked tokens: divide by k, not L.",
            ),
            "sum over patterns": Mistake(
                lambda ce, masked: of_each_count(
                    ce * masked, masked, lambda c, k: c.sum() / k
                ).sum(),
                "You add up all patterns with k masks, and only one of them is drawn: take their "
                "mean.",
            ),
            "mean over all patterns": Mistake(
                lambda ce, masked: L * of_masked(ce, masked)[masked.any(-1)].mean(),
                "k is uniform on 1 ... L, the patterns are not: average within each k first.",
            ),
            "empty pattern counted in": Mistake(
                lambda ce, masked: L * of_masked(ce, masked).mean(),
                "You average over all 32 patterns, the empty one among them: average within each "
                "k first, and leave k = 0 out.",
            ),
            "pooled": Mistake(
                lambda ce, masked: L * (ce * masked).sum() / masked.sum(),
                "You divide all costs by all masked tokens, which counts a k with many patterns "
                "more: average within each k first.",
            ),
            "per token": Mistake(
                lambda ce, masked: by_mask_counts(ce, masked) / L,
                "This is nats per token: -log p(x) is of the whole text, L times it.",
            ),
            "neither 1 / k nor a mean for each k": Mistake(
                lambda ce, masked: (ce * masked).sum(-1).mean(),
                "This is what all 32 patterns cost on average: the bound takes the mean over the k "
                "masked tokens, averages within each k, then over k, times L.",
            ),
            "k = L left out": Mistake(
                lambda ce, masked: (
                    L * of_each_count(ce * masked, masked, lambda c, k: (c / k).mean())[:-1].mean()
                ),
                "You average over k = 1 ... L - 1: a text that is all masks belongs to the bound, "
                "and range(1, L) ends before L.",
            ),
            "k = 0 counted": Mistake(
                lambda ce, masked: by_mask_counts(ce, masked) * L / (L + 1),
                "You average over L + 1 counts, but k = 0 pays nothing and does not count: a "
                "factor (L + 1) / L is missing.",
            ),
        },
        cases=lambda seed=0: [
            (varied(seed, cross_entropies(i)[order]), PATTERNS[order])
            for i, order in enumerate((torch.arange(len(PATTERNS)), SHUFFLED, SHUFFLED.flip(0)))
        ],
    ),
    "sample_spread": Exercise(
        spread,
        spread_by_variance,
        {
            "variance": Mistake(
                lambda c, L, t: (c**2 * L * (1 - t) / t, 0.0),
                "These are variances: the exercise asks for standard deviations, so take the root.",
            ),
            "no weight": Mistake(
                lambda c, L, t: (c * math.sqrt(L * t * (1 - t)), 0.0),
                "This is the spread of the cost itself: the first sample is that cost over t.",
            ),
            "per token": Mistake(
                lambda c, L, t: (c * math.sqrt((1 - t) / t / L), 0.0),
                "This is the spread in nats per token: both samples are of the whole text.",
            ),
            "one token": Mistake(
                lambda c, L, t: (c * math.sqrt((1 - t) / t), 0.0),
                "This is the spread of one token: L of them are masked independently, and their "
                "variances add up.",
            ),
            "Poisson": Mistake(
                lambda c, L, t: (c * math.sqrt(L / t), 0.0),
                "The number of masks is binomial, with variance L t (1 - t): a factor 1 - t is "
                "missing, and at t = 1 nothing is left to chance.",
            ),
            "both alike": Mistake(
                lambda c, L, t: (spread(c, L, t)[0],) * 2,
                "The first is right. The second takes the mean over its k masked tokens: work out "
                "what that is if each of them costs c.",
            ),
            "second is the mean": Mistake(
                lambda c, L, t: (spread(c, L, t)[0], c * L),
                "The first is right. As the second you return the mean of the samples: say how far "
                "they lie from it.",
            ),
            "masks not averaged": Mistake(
                lambda c, L, t: (c * math.sqrt(L * (1 - t) / t), c * math.sqrt((L**2 - 1) / 12)),
                "The second takes the mean over its k masked tokens, so the number k itself has no "
                "effect if every token costs c.",
            ),
        },
        cases=lambda seed=0: [
            (varied(seed, c), n, varied(seed, t, 0.8, 1.05))
            for c, n, t in ((1.0, 32, 0.002), (2.0, 5, 0.5), (0.7, 12, 0.9), (1.3, 1024, 0.2))
        ],
        says=says_spread,
    ),
    "steps_bound": Exercise(
        steps_bound,
        steps_bound_in_a_loop,
        {
            "the code as it was": Mistake(
                over_steps(lambda s, t, ce_s, ce_t: (s - t) / (1 - s).clamp(min=1e-6) * ce_s),
                "Both bugs are still there: ask which of the two times, s or t, the mask is given "
                "at, and at which the network looks at the text.",
            ),
            "only the denominator": Mistake(
                over_steps(lambda s, t, ce_s, ce_t: (s - t) / (1 - t) * ce_s),
                "The probability is right now. The network sees z_t, not z_s, so its cross-entropy "
                "is that at the later time.",
            ),
            "only the cross-entropy": Mistake(
                over_steps(lambda s, t, ce_s, ce_t: (s - t) / (1 - s).clamp(min=1e-6) * ce_t),
                "The cross-entropy is right now. The mask is given at t, so divide by "
                "1 - alpha_t; a denominator that needs a clamp is a sign that it is the wrong one.",
            ),
            "only the clamp": Mistake(
                over_steps(lambda s, t, ce_s, ce_t: (s - t) / (1 - s) * ce_s),
                "You removed the clamp, and now the step that ends in the text gives 0 / 0: ask "
                "which of the two times, s or t, the mask is given at.",
            ),
            "the cross-entropy and the clamp": Mistake(
                over_steps(lambda s, t, ce_s, ce_t: (s - t) / (1 - s) * ce_t),
                "The cross-entropy is right now, but 1 - alpha_s is 0 in the step that ends in the "
                "text: the mask is given at t, so divide by 1 - alpha_t.",
            ),
            **{
                f"clamped at {low:g}": Mistake(
                    over_steps(
                        lambda s, t, ce_s, ce_t, low=low: (s - t) / (1 - t).clamp(min=low) * ce_t
                    ),
                    f"The times are right, but your denominator is never below {low:g}: with many "
                    "steps that is wrong near the text. 1 - alpha_t is above 0 in every step.",
                )
                for low in (1e-2, 1e-3, 1e-4)
            },
            "mean of both times": Mistake(
                over_steps(lambda s, t, ce_s, ce_t: (s - t) / (1 - t) * (ce_s + ce_t) / 2),
                "The probability is right. This is no integral to be approximated by the mean of "
                "both ends: in a step the network sees z_t only.",
            ),
            "mean over the steps": Mistake(
                lambda expected, alpha: steps_bound(expected, alpha) / (len(alpha) - 1),
                "The bound is the sum over the steps, not their mean.",
            ),
            "not given the mask": Mistake(
                over_steps(lambda s, t, ce_s, ce_t: (s - t) * ce_t),
                "A token that is masked at t is revealed with (alpha_s - alpha_t) / (1 - alpha_t): "
                "the denominator is gone.",
            ),
        },
        cases=some_steps,
    ),
    "total_correlation": Exercise(
        total_correlation,
        total_correlation_as_divergence,
        {
            "sign": Mistake(
                lambda p: -total_correlation(p),
                "Yours is negative: the entropies of the single words add up to at least that of "
                "the text.",
            ),
            "0 log 0": Mistake(
                without_zeros,
                "Some texts have probability 0, and 0 log 0 is nan in floating point: it counts as "
                "0, which torch.special.xlogy(p, p) knows.",
            ),
            "bits": Mistake(
                lambda p: total_correlation(p) / math.log(2),
                "These are bits: in this book logarithms are natural.",
            ),
            "neighbours only": Mistake(
                of_neighbours,
                "You add up what neighbours know of each other: words that stand further apart, "
                "and three together, count too.",
            ),
            "all pairs": Mistake(
                of_pairs,
                "You add up what the words of each pair know of each other: pairs overlap, and "
                "three words together can share more or less than their pairs.",
            ),
            "one word summed out": Mistake(
                lambda p: sum(entropy(p.sum(i)) for i in range(p.dim())) - entropy(p),
                "You sum over one axis, which leaves the joint table of all other words: for the "
                "distribution of word i, sum over every axis but i.",
            ),
            "the divergence the other way": Mistake(
                lambda p: divergence(product_of(marginals(p)), p),
                "This is the divergence of the independent words from p: the average is over texts "
                "of the language, so p stands in front.",
            ),
            "the first word for all": Mistake(
                lambda p: p.dim() * entropy(marginals(p)[0]) - entropy(p),
                "You take L times the entropy of the first word: every position has a "
                "distribution of its own.",
            ),
            "per word": Mistake(
                lambda p: total_correlation(p) / p.dim(),
                "This is per word: the gap is of the whole text.",
            ),
            "entropies of the words": Mistake(
                lambda p: total_correlation(p) + entropy(p),
                "This is what one step pays, the entropies of the single words: subtract the "
                "entropy of the text.",
            ),
        },
        cases=some_joints,
    ),
}
