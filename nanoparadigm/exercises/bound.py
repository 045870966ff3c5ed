"""Chapter 4, the masked-diffusion bound. Texts of L = 5 over V = 3 words, the mask is symbol V.

The cross-entropies ce (..., L) that the cases hand out are those of the tiny language's exact
posterior, so that a right bound is the true -log p(x), string by string.
"""

from functools import cache
from itertools import product
from math import comb

import torch

from ..language.grammar import tiny
from .fresh import varied
from .grader import Exercise, Mistake

L, V = 5, 3
TEXTS = torch.tensor([[0, 1, 2, 2, 1], [0, 0, 0, 0, 0], [2, 1, 0, 2, 2], [1, 1, 2, 0, 1]])
PATTERNS = torch.tensor(list(product([False, True], repeat=L)))  # every set of masked positions


@cache
def cross_entropies(i):
    """Return -log p(x_j | z) of text i under every pattern, (2^L, L), 0 where a token is seen."""
    x = TEXTS[i].expand(len(PATTERNS), L)
    p = tiny().posterior(torch.where(PATTERNS, V, x))
    return -p.gather(-1, x[..., None]).squeeze(-1).log()


# ------------------------------------------------------------------------ one noisy copy, weighted


def weighted_sum(ce, masked, t):
    return (ce * masked).sum(-1) / t


def weighted_sum_of_chosen(ce, masked, t):
    return torch.stack([row[m].sum() for row, m in zip(ce, masked, strict=True)]) / t


# --------------------------------------------------------------------------------- by mask counts


def by_mask_counts(ce, masked):
    """Sum, over k = 1 ... L, the mean cross-entropy of k masked tokens."""
    return by_mask_counts_of_rows(ce, masked, lambda s, n: (s / n).mean())


def by_mask_counts_weighted(ce, masked):
    k = masked.sum(-1)
    patterns = torch.tensor([comb(L, int(n)) for n in k], dtype=torch.float64)
    weight = torch.where(k > 0, 1 / (k.clamp(min=1) * patterns), 0.0)
    return (weight * ce.sum(-1)).sum()


def by_mask_counts_of_rows(ce, masked, mean):
    k = masked.sum(-1)
    return torch.stack([mean(ce[k == n].sum(-1), n) for n in range(1, L + 1)]).sum()


# ------------------------------------------------------------------------------------------- SUBS


def subs(logits, z):
    log_p = logits[..., :V].log_softmax(-1)
    seen = torch.where(torch.nn.functional.one_hot(z, V + 1)[..., :V].bool(), 0.0, -torch.inf)
    return torch.where((z != V)[..., None], seen.to(log_p.dtype), log_p)


def subs_by_infinity(logits, z):
    logits = logits.clone()
    logits[..., V] = -torch.inf
    log_p = logits.log_softmax(-1)[..., :V]
    for place in (z != V).nonzero():
        b, i = place.tolist()
        log_p[b, i] = -torch.inf
        log_p[b, i, z[b, i]] = 0
    return log_p


def mask_allowed(logits, z):
    log_p = logits.log_softmax(-1)[..., :V]
    return torch.where((z != V)[..., None], subs(logits, z), log_p)


def logits_where_masked(logits, z):
    return torch.where((z != V)[..., None], subs(logits, z), logits[..., :V])


def finite(answer, *case):
    """Return exp of the answer, since -inf cannot be compared by differences."""
    return answer(*case).exp()


# ----------------------------------------------------------------------------------- T steps


def step_cost(alpha_s, alpha_t, ce):
    return (alpha_s - alpha_t) / (1 - alpha_t) * ce


def step_cost_by_complement(alpha_s, alpha_t, ce):
    return ce - (1 - alpha_s) / (1 - alpha_t) * ce


# ---------------------------------------------------------------------------------- the weight


def bound_weight(alpha, dalpha):
    return -dalpha / (1 - alpha)


def bound_weight_by_logarithm(alpha, dalpha):
    """Differentiate log(1 - alpha)."""
    alpha = alpha.clone().requires_grad_()
    (slope,) = torch.autograd.grad((1 - alpha).log().sum(), alpha)
    return slope * dalpha


def some_schedules(seed=0):
    t = varied(seed, torch.tensor([0.1, 0.4, 0.7, 0.95], dtype=torch.float64), 0.8, 1.05)
    return [
        (1 - t, -torch.ones_like(t)),
        (1 - t.sqrt(), -0.5 / t.sqrt()),
        ((1 - t) ** 2, 2 * t - 2),
    ]


NOISE = torch.tensor([0.1, 0.35, 0.8], dtype=torch.float64)
SOME = torch.tensor([3, 9, 21, 28, 31])
PAIRS = [(0.9, 0.8), (0.5, 0.2), (1.0, 0.0), (0.25, 0.0)]
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
            "not given the mask": Mistake(
                lambda s, t, ce: (s - t) * ce,
                "The token is masked at t, which is given: divide by 1 - alpha_t.",
            ),
            "forward loss": Mistake(
                lambda s, t, ce: (1 - t / s) * ce,
                "You charge with 1 - alpha_t / alpha_s, the chance that a token visible at s "
                "vanishes; the exercise asks for the reverse, of a token masked at t.",
            ),
        },
        cases=lambda seed=0: [
            (
                *(torch.tensor(a, dtype=torch.float64) for a in pair),
                varied(seed, cross_entropies(0)[31]),
            )
            for pair in PAIRS
        ],
    ),
    "bound_weight": Exercise(
        bound_weight,
        bound_weight_by_logarithm,
        {
            "sign": Mistake(
                lambda alpha, dalpha: dalpha / (1 - alpha),
                "Your weight is negative: alpha falls, so the weight is minus its derivative over "
                "1 - alpha.",
            ),
            "divided by alpha": Mistake(
                lambda alpha, dalpha: -dalpha / alpha,
                "You divide by the chance to be visible; it is the masked tokens that pay, so "
                "divide by 1 - alpha.",
            ),
            "no derivative": Mistake(
                lambda alpha, dalpha: 1 / (1 - alpha),
                "1 / (1 - alpha) is right only for the linear schedule: multiply by -alpha'.",
            ),
        },
        cases=some_schedules,
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
                "weight of a clock that runs the other way.",
            ),
            "mean over the masked tokens": Mistake(
                lambda ce, masked, t: ce.shape[-1] * (ce * masked).sum(-1) / masked.sum(-1),
                "You divide by the number of tokens that happen to be masked, not by t L, their "
                "expected number: the mean of a ratio of random numbers is not the ratio of their "
                "means.",
            ),
            "mean cost of a masked token": Mistake(
                lambda ce, masked, t: (ce * masked).sum(-1) / masked.sum(-1),
                "This is the mean cost of a masked token, a loss and no bound: sum what the masked "
                "tokens pay and divide by t.",
            ),
            "every position pays": Mistake(
                lambda ce, masked, t: ce.sum(-1) / t,
                "The sum runs over the masked tokens only: what is seen costs nothing.",
            ),
            "per token": Mistake(
                lambda ce, masked, t: (ce * masked).mean(-1) / t,
                "This is nats per token; -log p(x) is of the whole text, so sum over positions.",
            ),
        },
        cases=lambda seed=0: [
            (
                varied(seed, cross_entropies(i)[SOME])
                + 0.25 * ~PATTERNS[SOME],  # what is seen must not matter
                PATTERNS[SOME],
                varied(seed, NOISE)[i % 3],
            )
            for i in range(len(TEXTS))
        ],
    ),
    "mask_count_bound": Exercise(
        by_mask_counts,
        by_mask_counts_weighted,
        {
            "mean over k of sums": Mistake(
                lambda ce, masked: by_mask_counts_of_rows(ce, masked, lambda s, n: s.mean() / L),
                "For each k, take L times the mean over the k masked tokens: divide by k, not L.",
            ),
            "mean over all patterns": Mistake(
                lambda ce, masked: (
                    L * (ce.sum(-1) / masked.sum(-1).clamp(min=1))[masked.any(-1)].mean()
                ),
                "k is uniform on 1 ... L, the patterns are not: average within each k first.",
            ),
            "pooled": Mistake(
                lambda ce, masked: L * ce.sum() / masked.sum(),
                "You divide all costs by all masked tokens, which counts a k with many patterns "
                "more: average within each k first.",
            ),
            "per token": Mistake(
                lambda ce, masked: by_mask_counts(ce, masked) / L,
                "This is nats per token: -log p(x) is of the whole text, L times it.",
            ),
            "k = 0 counted": Mistake(
                lambda ce, masked: by_mask_counts(ce, masked) * L / (L + 1),
                "You average over L + 1 counts, but k = 0 pays nothing and does not count: a "
                "factor (L + 1) / L is missing.",
            ),
        },
        cases=lambda seed=0: [
            (varied(seed, cross_entropies(i)), PATTERNS) for i in range(len(TEXTS))
        ],
    ),
    "subs": Exercise(
        subs,
        subs_by_infinity,
        {
            "mask allowed": Mistake(
                mask_allowed,
                "You leave probability on the mask: no clean text holds one, so take the softmax "
                "over the V words only.",
            ),
            "nothing carried over": Mistake(
                lambda logits, z: logits[..., :V].log_softmax(-1),
                "A token that z shows is certain: its log-probability is 0, and that of every "
                "other word -inf.",
            ),
            "carried over everywhere": Mistake(
                lambda logits, z: subs(logits, z.clamp(max=V - 1)),
                "You treat the mask as a word that was seen: carry over only where z is not V.",
            ),
            "probabilities": Mistake(
                lambda logits, z: subs(logits, z).exp(),
                "These are probabilities: take the logarithm, with log_softmax.",
            ),
            "not normalised": Mistake(
                logits_where_masked,
                "These are logits where z is masked: take log_softmax over the V words, so that "
                "their probabilities sum to one.",
            ),
        },
        cases=lambda seed=0: [
            (varied(seed, LOGITS), SEEN),
            (varied(seed, 2 * LOGITS), SEEN.flip(1)),
        ],
        measure=finite,
    ),
}
