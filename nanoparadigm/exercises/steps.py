"""Chapter 6, how many steps. V = 3 words, the mask is symbol V."""

import math

import torch
import torch.nn.functional as F

from .fresh import normal, telling, varied
from .grader import Exercise, Mistake

V = 3

# ------------------------------------------------------------------------------- a plan, its cost


def given_earlier(p, step, seen=None):
    """Return the law of the sampler that reveals word i in step[i]; seen(i, j): does i see j?"""
    seen = seen or (lambda i, j: step[j] < step[i])
    law = torch.ones_like(p)
    for i in range(p.ndim):
        hidden = [j for j in range(p.ndim) if j != i and not seen(i, j)]
        joint = p.sum(hidden, keepdim=True) if hidden else p
        law = law * joint / joint.sum(i, keepdim=True)
    return law


def plan_cost(p, step):
    return (p * (p / given_earlier(p, step)).log()).sum().clamp(min=0.0)  # not -7e-17


def plan_cost_by_entropies(p, step):
    def H(words):
        rest = [i for i in range(p.ndim) if i not in words]
        return torch.special.entr(p.sum(rest) if rest else p).sum()

    seen, total = [], 0.0
    for n in sorted(set(step.tolist())):
        chosen = [i for i in range(p.ndim) if step[i] == n]
        total += sum(H([*seen, i]) - H(seen) for i in chosen) - H([*seen, *chosen]) + H(seen)
        seen += chosen
    return total


def costs(seen):
    """Return an answer that sees, when it draws word i, the words j of seen(step, i, j)."""

    def answer(p, step):
        law = given_earlier(p, step, lambda i, j: seen(step, i, j))
        return (p * (p / law).log()).sum()

    return answer


def pairs(p, step):
    def alone(*words):
        rest = [i for i in range(p.ndim) if i not in words]
        return torch.special.entr(p.sum(rest)).sum()

    found = torch.zeros(()).double()
    for i in range(p.ndim):
        for j in range(i):
            if step[i] == step[j]:
                found += alone(i) + alone(j) - alone(i, j)
    return found


def unseen(p, step):
    total = torch.zeros(()).double()
    for n in sorted(set(step.tolist())):
        rest = [i for i in range(p.ndim) if step[i] != n]
        joint = p.sum(rest) if rest else p
        total += plan_cost(joint, torch.ones(joint.ndim))
    return total


# ------------------------------------------------------------------------------ a plan at random


def mixture_kl(p, laws):
    return (p * (p / laws.mean(0)).log()).sum()


def mixture_kl_by_logarithms(p, laws):
    log_q = laws.log().logsumexp(0) - math.log(len(laws))
    return -torch.special.entr(p).sum() - (p * log_q).sum()


# ----------------------------------------------------------------------- what a decoder reveals


def next_nll(p, x, z, n):
    return revealed_nll(p, x, z, p.amax(-1), n)


def revealed_nll(p, x, z, score, n, masked=None):
    """-log of the words x at the n positions of the highest score, the first of equal ones."""
    masked = z == V if masked is None else masked
    score = torch.where(masked, score, -torch.inf)
    rank = score.argsort(dim=-1, descending=True, stable=True).argsort(-1)
    at_x = p.gather(-1, x[..., None]).squeeze(-1)
    return -torch.where(masked & (rank < n), at_x.log(), 0.0).sum(-1)


def next_nll_by_loops(p, x, z, n):
    found = []
    for probabilities, text, noisy in zip(p.tolist(), x.tolist(), z.tolist(), strict=True):
        masked = [i for i, symbol in enumerate(noisy) if symbol == V]
        chosen = sorted(masked, key=lambda i: -max(probabilities[i]))[:n]  # a sort keeps ties
        found.append(-sum(math.log(probabilities[i][text[i]]) for i in chosen))
    return found


def by(score, masked=lambda z: z == V):
    """Return an answer that orders by score(p, x), among those of masked(z)."""
    return lambda p, x, z, n: revealed_nll(p, x, z, score(p, x), n, masked(z))


def at(p, x):
    return p.gather(-1, x[..., None]).squeeze(-1)


def last_of_ties(p, x, z, n):
    flipped = (part.flip(1) for part in (p, x, z))
    return next_nll(*flipped, n)


def of_text(index, p, x, z, n):
    """Return what next_nll's number at an index is, in the student's words."""
    sure = p[index].amax(-1)[z[index] == V].sort(descending=True).values
    tie = len(sure) > n and sure[n - 1] == sure[n]
    chosen = ", where one of two equally sure masks is chosen" if tie else ""
    return f"the cost of text {index[0]} for n = {n}{chosen}"


# -------------------------------------------------------------------------------- random places


def mean_plan_cost(h, sizes):
    total, seen = 0.0, 0
    for k in sizes:
        total = total + (h[seen] - h[seen : seen + k]).sum()
        seen += k
    return total


def mean_plan_cost_by_entropies(h, sizes):
    starts = [sum(sizes[:n]) for n in range(len(sizes))]
    return sum(k * h[s] for k, s in zip(sizes, starts, strict=True)) - h.sum()


def by_steps(of):
    """Return an answer that adds up of(h of the step, the h that comes after it or 0, seen)."""

    def answer(h, sizes):
        ends = torch.tensor(sizes).cumsum(0).tolist()
        padded = torch.cat([h, h[-1:]])
        parts = [
            of(h[end - k : end], padded[end], end - k) for k, end in zip(sizes, ends, strict=True)
        ]
        return torch.stack(parts).sum()

    return answer


# --------------------------------------------------------------------------------- sure enough


def sure_count(p, gamma):
    H = torch.special.entr(p).sum(-1).sort().values
    bound = H.cumsum(0) - H
    return int((bound <= gamma).sum())


def sure_count_by_loop(p, gamma):
    entropies = sorted(-sum(q * math.log(q) for q in row if q > 0) for row in p.tolist())
    n = 1
    while n < len(entropies) and sum(entropies[:n]) <= gamma:
        n += 1
    return n


def counting(order, bound=lambda H: H.cumsum(0) - H, least=1):
    """Return an answer that takes the words in an order, while their bound is at most gamma."""

    def answer(p, gamma):
        H = torch.special.entr(p).sum(-1)[order(p)]
        return max(least, int((bound(H) <= gamma).cumprod(0).sum()))

    return answer


def by_product(p, gamma):
    H = (-(p * p.log()).sum(-1)).sort().values
    return int((H.cumsum(0) - H <= gamma).sum())


def surest(p):
    return torch.special.entr(p).sum(-1).argsort()


# ------------------------------------------------------------------------------------- the cases


def joint(seed, *shape, sharp=1.0):
    p = (sharp * normal(*shape, seed=seed)).exp()
    return p / p.sum()


def predictions(seed, *shape, sharp=1.5):
    return (sharp * normal(*shape, V, seed=seed)).softmax(-1)


PLANS = [[1, 1, 2], [2, 1, 1], [1, 1, 1], [2, 1, 2], [1, 3, 3], [3, 1, 2], [2, 2, 3]]
"""of the last but two, no word is revealed in step 2, and of the last, none in step 1"""
LEVEL = torch.tensor([[0.6, 0.3, 0.1], [0.1, 0.3, 0.6]]).double()  # equally sure


def decodings(seed=0):
    """Return steps with equally sure words, with texts nearly written, and with every word hidden.

    Visible words are surer than masked ones, as those of a network often are.
    """
    found = []
    for k, (B, L, n) in enumerate(((3, 5, 2), (4, 6, 1), (2, 4, 3), (3, 6, 4))):
        p = predictions(seed + k, B, L)
        p[:, 1], p[:, 3] = LEVEL
        g = torch.Generator().manual_seed(seed + k)
        x = torch.randint(V, (B, L), generator=g)
        z = torch.where(torch.rand(B, L, generator=g) < 0.3, x, V)
        z[:, 1], z[:, 3] = V, V
        if k < 2:
            z[:3] = V
        if k == 1:  # the two that are equally sure are the surest, and one of them is revealed
            p[0, [0, 2, 4, 5]] = predictions(seed + 9, 4, sharp=0.1)
            x[0, 1] = x[0, 3] = 0
            p[1:3] = p[0, 0]  # here neither the lowest entropy nor the widest margin is the surest
            p[1, 0], p[1, 2] = torch.tensor([[0.5, 0.49, 0.01], [0.55, 0.23, 0.22]]).double()
            p[2, 0], p[2, 2] = torch.tensor([[0.55, 0.44, 0.01], [0.5, 0.26, 0.24]]).double()
        z[(z == V).sum(1) < n] = V  # at least n are to be revealed
        visible = (z != V)[..., None] & F.one_hot(x, V).bool()
        p = torch.where(visible, 30.0, p)
        found.append((p / p.sum(-1, keepdim=True), x, z, n))
    return found


among_all = by(lambda p, x: p.amax(-1), lambda z: torch.ones_like(z, dtype=torch.bool))


def visible_words_are_surer(cases):
    """Tell whether choosing among them as well changes a number."""
    return any((among_all(*case) - next_nll(*case)).abs().max() > 1e-3 for case in cases)


def curves(seed=0):
    """Return curves that fall, fast at first, fast at last, or in the middle, and sizes."""
    places = [torch.linspace(0, 1, L).double() for L in (6, 7, 5, 8)]
    shapes = [2 - places[0].sqrt(), 2 - 1.5 * places[1] ** 3, 1.5 - places[2]]
    shapes.append(1.2 - torch.sigmoid(8 * (places[3] - 0.5)))
    sizes = [[2, 1, 3], [1, 4, 2], [3, 2], [1, 1, 2, 4]]
    falling = [varied(seed, h, 0.97, 1.03).sort(descending=True).values for h in shapes]
    return list(zip(falling, sizes, strict=True))


def beliefs(seed=0):
    """Return predictions, some of them certain, and gammas between the bounds of two counts.

    Of the last two, gamma is above every bound, and there is one masked word only.
    """
    found = []
    shapes = (6, 3, 2.0), (8, 3, 3.0), (5, 1, 0.5), (12, 5, 4.0), (20, 12, 2.0), (30, 9, 4.0)
    for k, (L, n, sharp) in enumerate(shapes):
        p = predictions(seed + 3 * k, L, sharp=sharp)
        if k in (1, 4):
            p[4] = torch.tensor([0.0, 1.0, 0.0])  # certain
            p[0] = torch.tensor([0.3, 0.0, 0.7])
        H = torch.special.entr(p).sum(-1).sort().values
        bound = H.cumsum(0) - H
        found.append((p, ((bound[n - 1] + bound[n]) / 2).item()))
    # the largest probability is in the second row, the lowest entropy in the first
    rows = torch.tensor([[0.5, 0.5, 0.0], [0.55, 0.23, 0.22], [0.4, 0.3, 0.3]]).double()
    found.append((rows[torch.randperm(3, generator=torch.Generator().manual_seed(seed))], 0.85))
    return [*found, (predictions(seed + 40, 4), 4.5), (predictions(seed + 50, 1), 0.01)]


# hints of mistakes that two exercises share
NOT_WEIGHTED = "You give every text the same weight: weight the logarithm of the ratio with p."
NOT_ABOVE_THE_ENTROPY = (
    "This is what texts of the language cost under the sampler: subtract the entropy of the "
    "language."
)
IN_BITS = "Your number is in bits: take natural logarithms."

EXERCISES = {
    "plan_cost": Exercise(
        plan_cost,
        plan_cost_by_entropies,
        {
            "all in one step": Mistake(
                costs(lambda step, i, j: False),
                "You draw every word from its own margin, as if all came in one step: a word sees "
                "the words of the steps before its own.",
            ),
            "sees its own step": Mistake(
                costs(lambda step, i, j: step[j] <= step[i]),
                "Your words see the other words of their own step: they may see only those of "
                "earlier steps, step[j] < step[i].",
            ),
            "backwards": Mistake(
                costs(lambda step, i, j: step[j] > step[i]),
                "You go through the steps from the last to the first: step 1 comes first, and sees "
                "nothing.",
            ),
            "sees all other steps": Mistake(
                costs(lambda step, i, j: step[j] != step[i]),
                "Your words see later steps too, which are still masked: keep step[j] < step[i].",
            ),
            "the other direction": Mistake(
                lambda p, step: (
                    -(given_earlier(p, step) * (p / given_earlier(p, step)).log()).sum()
                ),
                "This is KL(sampler || language), averaged over what the sampler writes: average "
                "over the texts of the language, with weights p.",
            ),
            "not weighted": Mistake(
                lambda p, step: (p / given_earlier(p, step)).log().mean(),
                NOT_WEIGHTED,
            ),
            "the cross-entropy": Mistake(
                lambda p, step: -(p * given_earlier(p, step).log()).sum(),
                NOT_ABOVE_THE_ENTROPY,
            ),
            "nothing is seen": Mistake(
                unseen,
                "You add up the total correlation of each step by itself. It is meant given the "
                "words seen before: condition on them.",
            ),
            "pairs": Mistake(
                pairs,
                "You add up the mutual information of pairs, with nothing seen: three words share "
                "more or less than their pairs do, and earlier words are seen.",
            ),
            "bits": Mistake(
                lambda p, step: plan_cost(p, step) / math.log(2),
                IN_BITS,
            ),
        },
        cases=lambda seed=0: [
            (joint(seed + 10 * n, V, V, V, sharp=0.8 + 0.4 * n), torch.tensor(plan))
            for n, plan in enumerate(PLANS)
        ],
    ),
    "mixture_kl": Exercise(
        mixture_kl,
        mixture_kl_by_logarithms,
        {
            "the mean over plans": Mistake(
                lambda p, laws: (p * (p / laws).log()).sum(1).mean(),
                "This is the mean of the divergences of the plans, an upper bound: the law of the "
                "sampler is the mean of the laws, so average before the logarithm.",
            ),
            "the best plan": Mistake(
                lambda p, laws: (p * (p / laws).log()).sum(1).min(),
                "This is the divergence of the best plan: the sampler does not know it, and draws "
                "any plan.",
            ),
            "the best plan for each text": Mistake(
                lambda p, laws: (p * (p / laws.amax(0)).log()).sum(),
                "You take the plan that suits each text best: these numbers add up to more than "
                "one over all texts, so they are no law.",
            ),
            "the worst plan for each text": Mistake(
                lambda p, laws: (p * (p / laws.amin(0)).log()).sum(),
                "You take the least probability that any plan gives a text: take the mean.",
            ),
            "a geometric mean, normalised": Mistake(
                lambda p, laws: (p * (p / laws.log().mean(0).softmax(0)).log()).sum(),
                "You average logarithms of the laws and normalise: a sampler that draws its plan "
                "has the mean of the laws themselves.",
            ),
            "the sum of the laws": Mistake(
                lambda p, laws: (p * (p / laws.sum(0)).log()).sum(),
                "You add the laws: each plan is drawn with probability 1 / K, so take their mean.",
            ),
            "the other direction": Mistake(
                lambda p, laws: (laws.mean(0) * (laws.mean(0) / p).log()).sum(),
                "This is KL(sampler || language): average over texts of the language, with "
                "weights p.",
            ),
            "not weighted": Mistake(
                lambda p, laws: (p / laws.mean(0)).log().mean(),
                NOT_WEIGHTED,
            ),
            "the cross-entropy": Mistake(
                lambda p, laws: -(p * laws.mean(0).log()).sum(),
                NOT_ABOVE_THE_ENTROPY,
            ),
            "bits": Mistake(
                lambda p, laws: mixture_kl(p, laws) / math.log(2),
                IN_BITS,
            ),
        },
        cases=lambda seed=0: [
            (joint(seed + n, N), torch.stack([joint(seed + 7 * n + k, N) for k in range(1, K + 1)]))
            for n, (K, N) in enumerate(((2, 4), (5, 9), (3, 27)))
        ],
    ),
    "next_nll": Exercise(
        next_nll,
        next_nll_by_loops,
        {
            "peeks at the text": Mistake(
                by(at),
                "You order by the probability of the words of x, which the decoder does not know "
                "yet: order by the largest probability, p.amax(-1).",
            ),
            "visible words too": Mistake(
                among_all,
                "You choose among visible words too, which are already there: give them the score "
                "minus infinity.",
            ),
            "the least sure": Mistake(
                by(lambda p, x: -p.amax(-1)),
                "You reveal the words of which the network is least sure: sort in descending "
                "order.",
            ),
            "by entropy": Mistake(
                by(lambda p, x: -torch.special.entr(p).sum(-1)),
                "You order by entropy: confidence is the largest probability of each position, "
                "and the two orders can differ.",
            ),
            "from left to right": Mistake(
                by(lambda p, x: torch.zeros_like(p[..., 0])),
                "You reveal the first masks from the left: choose by confidence, the largest "
                "probability of each position.",
            ),
            "the last of equals": Mistake(
                last_of_ties,
                "Of equally sure words you take the last: sort with stable=True, so that the first "
                "stays first.",
            ),
            "all masks": Mistake(
                lambda p, x, z, n: next_nll(p, x, z, x.shape[1]),
                "You count all masked words: only n of them are revealed in this step.",
            ),
            "the words it would like": Mistake(
                lambda p, x, z, n: revealed_nll(p, p.argmax(-1), z, p.amax(-1), n),
                "You add up the largest probabilities: the positions are chosen by them, but the "
                "words that are written are those of x.",
            ),
            "a mean": Mistake(
                lambda p, x, z, n: next_nll(p, x, z, n) / n,
                "You average over the revealed words: their probabilities multiply, so their "
                "logarithms are added.",
            ),
            "a plus sign": Mistake(
                lambda p, x, z, n: -next_nll(p, x, z, n),
                "Your sign is wrong: -log of a probability is positive.",
            ),
        },
        cases=lambda seed=0: telling(seed, decodings, visible_words_are_surer),
        says=of_text,
    ),
    "mean_plan_cost": Exercise(
        mean_plan_cost,
        mean_plan_cost_by_entropies,
        {
            "the entropies themselves": Mistake(
                by_steps(lambda h, after, seen: len(h) * h[0]),
                "This is what the sampler pays: subtract what the words have by the chain rule, "
                "the sum of h.",
            ),
            "the end of the step": Mistake(
                by_steps(lambda h, after, seen: (h - after).sum()),
                "You take the uncertainty at the end of each step: a word of a step sees only what "
                "was there at its beginning, h[seen].",
            ),
            "once a step": Mistake(
                by_steps(lambda h, after, seen: h[0] - h[-1]),
                "You count one word of each step, the last: add h at the beginning of the step "
                "minus h[j] for each of its words.",
            ),
            "the first to the next": Mistake(
                by_steps(lambda h, after, seen: len(h) * (h[0] - after)),
                "You compare every word of a step with one that comes after the step: one by one, "
                "a word that comes after j others would see those j, so subtract h[j].",
            ),
            "from the very beginning": Mistake(
                lambda h, sizes: (h[0] - h).sum(),
                "This is the cost of one single step: the words of later steps see those of "
                "earlier ones, so begin each step with h[seen].",
            ),
            "the number of the step": Mistake(
                lambda h, sizes: sum(k * h[n] for n, k in enumerate(sizes)) - h.sum(),
                "You read h at the number of the step: h[j] is for j visible words, and before a "
                "step as many words are visible as all earlier steps have revealed.",
            ),
            "triangles": Mistake(
                by_steps(lambda h, after, seen: (len(h) - 1) * (h[0] - h[-1]) / 2),
                "You treat h as a straight line within a step: add up its values.",
            ),
            "half a step": Mistake(
                by_steps(lambda h, after, seen: len(h) * (h[0] - after) / 2),
                "This is the 1 / T law, with h a straight line: the exact cost takes h[seen] minus "
                "h[j] for each word.",
            ),
            "sizes backwards": Mistake(
                lambda h, sizes: mean_plan_cost(h, sizes[::-1]),
                "You take the sizes from the last to the first: sizes[0] is the first step, before "
                "which nothing is visible.",
            ),
            "masks for seen words": Mistake(
                lambda h, sizes: -mean_plan_cost(h.flip(0), sizes),
                "You read h by the number of masks: h[j] is for j words that are seen.",
            ),
            "the sign": Mistake(
                lambda h, sizes: -mean_plan_cost(h, sizes),
                "Your sign is wrong: a word knows less at the beginning of the step than one that "
                "sees the others, so h[seen] is the larger.",
            ),
            "the last word of the step": Mistake(
                by_steps(lambda h, after, seen: (h[-1] - h).sum()),
                "You let each word of a step see all others but the last: it sees only what was "
                "there at the beginning of the step, h[seen].",
            ),
            "a word": Mistake(
                lambda h, sizes: mean_plan_cost(h, sizes) / len(h),
                "This is the cost per word: return that of the whole text.",
            ),
            "a step": Mistake(
                lambda h, sizes: mean_plan_cost(h, sizes) / len(sizes),
                "You average over the steps: their costs add up.",
            ),
        },
        cases=curves,
    ),
    "sure_count": Exercise(
        sure_count,
        sure_count_by_loop,
        {
            "the last counts too": Mistake(
                counting(surest, lambda H: H.cumsum(0)),
                "You add up all entropies of the step: the largest of them may be left out, which "
                "here is that of the last word taken.",
            ),
            "the least sure first": Mistake(
                counting(lambda p: surest(p).flip(0)),
                "You begin with the words of the highest entropy: begin with the surest.",
            ),
            "in the order of the text": Mistake(
                counting(lambda p: torch.arange(len(p))),
                "You take the words from left to right: sort the entropies first.",
            ),
            "each by itself": Mistake(
                counting(surest, lambda H: H),
                "You compare each entropy with gamma by itself: the bound is on the words of the "
                "step together, so add the entropies up.",
            ),
            "a mean": Mistake(
                counting(surest, lambda H: (H.cumsum(0) - H) / torch.arange(1, 1 + len(H))),
                "You average the entropies: the bound is their sum.",
            ),
            "one too many": Mistake(
                lambda p, gamma: min(len(p), sure_count(p, gamma) + 1),
                "You take one word too many: n words have the bound of the sum of the n - 1 "
                "smallest entropies.",
            ),
            "bits": Mistake(
                counting(surest, lambda H: (H.cumsum(0) - H) / math.log(2)),
                "Your entropies are in bits, and gamma is in nats: take natural logarithms.",
            ),
            "by confidence": Mistake(
                counting(lambda p: p.amax(-1).argsort(descending=True)),
                "You sort by the largest probability: sort by the entropies, whose sum is bounded.",
            ),
            "unsureness for entropy": Mistake(
                lambda p, gamma: int(((1 - p.amax(-1)).sort().values.cumsum(0) <= gamma).sum()),
                "You add up one minus the largest probability: the bound is about entropies.",
            ),
            "nan": Mistake(
                by_product,
                "Where a probability is 0 your entropy is nan, 0 times minus infinity: use "
                "torch.special.entr.",
            ),
            "all of them": Mistake(
                lambda p, gamma: len(p),
                "You reveal all words at once: stop before the bound exceeds gamma.",
            ),
            "always one": Mistake(
                lambda p, gamma: 1,
                "You always reveal one word: take more, as long as the bound is at most gamma.",
            ),
            "one less": Mistake(
                lambda p, gamma: sure_count(p, gamma) - 1,
                "You count the entropies that fit into gamma: one more word may be revealed, whose "
                "own entropy is the largest and is left out.",
            ),
        },
        cases=beliefs,
    ),
}
