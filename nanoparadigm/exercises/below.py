"""Chapter 15, numbers below the truth: the mass of a number, what a choice costs, and units."""

import math

import torch

from .fresh import normal, telling, varied
from .grader import Exercise, Mistake

# ------------------------------------------------------------------------------- to weigh a number


def weigh(p, nats):
    mass = (-nats).exp().sum()
    gap = expected(p, nats) - expected(p, -p.log())
    return torch.stack([mass, gap, gap + mass.log()])


def weigh_by_divergence(p, nats):
    log_mass = (-nats).logsumexp(0)
    inside = p > 0
    divergence = (p[inside] * (p[inside].log() + nats[inside] + log_mass)).sum()
    return torch.stack([log_mass.exp(), divergence - log_mass, divergence])


def expected(p, values):
    """Return the mean over the language, in which a text of probability 0 does not count."""
    return torch.where(p > 0, p * values, 0.0).sum()


def changed(mass=None, gap=None, divergence=None):
    """Return an answer whose parts are changed: functions of p, nats and the right three."""

    def answer(p, nats):
        right = weigh(p, nats)
        parts = [
            change(p, nats, *right) if change else value
            for change, value in zip((mass, gap, divergence), right, strict=True)
        ]
        return torch.stack([torch.as_tensor(part, dtype=torch.float64) for part in parts])

    return answer


def with_nan(p, nats):
    mass = (-nats).exp().sum()
    gap = (p * nats).sum() + (p * p.log()).sum()
    return torch.stack([mass, gap, gap + mass.log()])


def reversed_divergence(p, nats, mass, gap, divergence):
    q = (-nats).exp() / mass
    return (torch.special.xlogy(q, q) - torch.special.xlogy(q, p)).sum()


def says_weigh(index, *case):
    names = "the mass", "the mean minus the entropy", "the divergence"
    return names[index[0]]


def languages(seed=0):
    """Return (p, nats): a proper likelihood, a number that is none, and one with impossible texts.

    Where p is 0 the number is finite or infinite.
    """
    found = []
    for k, (n, size, shift) in enumerate(((6, 0.0, 0.0), (8, 0.8, -0.4), (5, 1.0, 0.5))):
        p = (3 * normal(n, seed=seed + 7 * k)).softmax(0)
        found.append((p, -p.log() + size * normal(n, seed=seed + 7 * k + 3) + shift))
    found[0] = (found[0][0], -normal(6, seed=seed + 50).log_softmax(0))
    p, nats = found[2]
    p, nats = torch.cat([p, torch.zeros(2)]), torch.cat([nats, torch.tensor([1.2, torch.inf])])
    return [*found[:2], (p, nats)]


# ------------------------------------------------------------------ copies and a dependent bound


def copies_claim(h, L, r):
    return h * L / r**2


def copies_claim_by_counts(h, L, r):
    """Integrate h times the chance that all copies are masked, over the level, numerically."""
    u = (torch.arange(200_000, dtype=torch.float64) + 0.5) / 200_000
    return L // r * h * (u ** (r - 1)).mean()


# ------------------------------------------------------------------------------ to pay for a choice


def paid(nll, prior):
    costs = nll - prior.log()[:, None]
    return torch.stack([costs.amin(0), -(-costs).logsumexp(0)])


def paid_by_probabilities(nll, prior):
    shares = prior[:, None] * (-nll).exp()
    return -torch.stack([shares.amax(0), shares.sum(0)]).log()


def rows(first=None, second=None):
    """Return an answer with another first or second row, functions of nll and prior."""

    def answer(nll, prior):
        right = paid(nll, prior)
        one = first(nll, prior) if first else right[0]
        two = second(nll, prior) if second else right[1]
        return torch.stack([one, two])

    return answer


def chosen_then_charged(nll, prior):
    best = nll.argmin(0)
    return nll.gather(0, best[None])[0] - prior.log()[best]


def one_for_all(nll, prior):
    costs = nll - prior.log()[:, None]
    return costs[costs.mean(1).argmin()]


def says_paid(index, *case):
    which = "the cost of naming a model", "the cost of a model that is drawn"
    return f"{which[index[0]]}, text {index[1]}"


def choices(seed=0):
    """Return costs of texts under some models, and priors, one of which excludes a model."""
    found = []
    for k, (n, B) in enumerate(((2, 3), (4, 5), (3, 4))):
        prior = (1.2 * normal(n, seed=seed + 5 * k)).softmax(0)
        nll = 3 + 1.5 * normal(n, B, seed=seed + 5 * k + 2)
        nll[:2, 0] = torch.tensor([1.0, 1.1]) if prior[0] < prior[1] else torch.tensor([1.1, 1.0])
        found.append((nll, prior))
    nll, prior = found[2]
    prior = torch.cat([prior, torch.zeros(1)])
    return [*found[:2], (torch.cat([nll, torch.full((1, 4), 0.5)]), prior)]


def the_best_model_changes(cases):
    """Tell whether somewhere no single model is the best for all texts."""
    return any((one_for_all(*case) - paid(*case)[0]).abs().max() > 1e-3 for case in cases)


# ------------------------------------------------------------------------------------- a cache


def mixed_nats(p, c, a, x):
    share = c / c.sum(1, keepdim=True)
    q = torch.where(c.sum(1, keepdim=True) > 0, (1 - a) * p + a * share, p)
    return -at(q, x).log()


def mixed_nats_by_rows(p, c, a, x):
    found = []
    for row, scores, word in zip(p.tolist(), c.tolist(), x.tolist(), strict=True):
        total = sum(scores)
        cache = scores[word] / total if total else row[word]
        found.append(-math.log((1 - a) * row[word] + a * cache))
    return found


def at(q, x):
    return q.gather(1, x[:, None])[:, 0]


def with_share(share):
    """Return an answer whose cache gives share(c, x, p), (B, V)."""

    def answer(p, c, a, x):
        return -at((1 - a) * p + a * share(c, x, p), x).log()

    return answer


def over_all(p, c, a, x):
    q = (1 - a) * p + a * c
    return -at(q / q.sum(1, keepdim=True), x).log()


def or_own(c, share, p):
    return torch.where(c.sum(1, keepdim=True) > 0, share, p)


def caches(seed=0):
    """Return predictions, scores of a cache that add up to more or less than 1, weights, words.

    In the second case a row of the cache is empty.
    """
    found = []
    for k, (B, V, a) in enumerate(((4, 3, 0.5), (5, 4, 0.2), (3, 6, 0.7))):
        g = torch.Generator().manual_seed(seed + k)
        p = (3 * normal(B, V, seed=seed + 3 * k)).softmax(1)
        c = torch.rand(B, V, dtype=torch.float64, generator=g) * (0.9 if k else 1.4)
        x = torch.randint(V, (B,), generator=g)
        c[0, x[0]] = 0  # a word that the cache has not seen
        if k == 1:
            c[2] = 0
        found.append((p, c, varied(seed, a, 0.9, 1.1), x))
    return found


# ------------------------------------------------------------------------------------------- bytes


def bits_per_byte(nats, x, size):
    return nats.sum() / size[x].sum() / math.log(2)


def bits_per_byte_by_tokens(nats, x, size):
    bits = sum(v / math.log(2) for v in nats.tolist())
    return bits / sum(int(size[token]) for token in x.tolist())


def tokens(seed=0):
    """Return costs, ids and sizes of tokens, the first of which, the end of a text, has no byte.

    Rare tokens are long, so that neither the mean over the vocabulary nor that of the ratios is
    right.
    """
    found = []
    for k, (N, V) in enumerate(((12, 5), (20, 6), (9, 4))):
        g = torch.Generator().manual_seed(seed + k)
        size = torch.arange(V) * (1 + k % 2) + (torch.arange(V) > 0)
        often = 1 / (1 + torch.arange(V, dtype=torch.float64))
        x = often.multinomial(N, replacement=True, generator=g)
        x[0], x[1] = 0, V - 1
        nats = 0.3 + torch.rand(N, dtype=torch.float64, generator=g) + 0.6 * x
        found.append((nats, x, size))
    return found


IN_BITS = "Your numbers are in bits: take natural logarithms."

EXERCISES = {
    "weigh": Exercise(
        weigh,
        weigh_by_divergence,
        {
            "zero times infinity": Mistake(
                with_nan,
                "A text of probability 0 may cost infinitely much, and 0 times infinity is nan: it "
                "does not count in a mean over the language.",
            ),
            "the mass of the language's texts": Mistake(
                changed(mass=lambda p, nats, *right: (-nats[p > 0]).exp().sum()),
                "Your mass leaves out the texts that the language does not have: a number spends "
                "probability on them too, so sum over all texts.",
            ),
            "the mass weighted": Mistake(
                changed(mass=lambda p, nats, *right: (p * (-nats).exp()).sum()),
                "You weight the mass with p: it is a plain sum over all texts, without the "
                "language.",
            ),
            "the logarithm of the mass": Mistake(
                changed(mass=lambda p, nats, mass, *right: mass.log()),
                "Your first number is the logarithm of the mass: return the mass itself.",
            ),
            "no entropy": Mistake(
                changed(gap=lambda p, nats, *right: expected(p, nats)),
                "Your second number is the mean: subtract the entropy of the language.",
            ),
            "an average over the list": Mistake(
                changed(gap=lambda p, nats, *right: nats.mean() - expected(p, -p.log())),
                "You average over the list of texts: weight each text with p.",
            ),
            "as if the mass were one": Mistake(
                changed(divergence=lambda p, nats, mass, gap, divergence: gap),
                "Your divergence is that of a number whose mass is 1: divide exp(-nats) by the "
                "mass first, which adds log Z.",
            ),
            "log Z with the other sign": Mistake(
                changed(divergence=lambda p, nats, mass, gap, divergence: gap - mass.log()),
                "You subtract log Z: the mean is the entropy plus the divergence minus log Z, so "
                "the divergence is the gap plus log Z.",
            ),
            "the divergence the other way": Mistake(
                changed(divergence=reversed_divergence),
                "This is the divergence of q from p, averaged over q: the mean is over texts of "
                "the language, so p stands in front.",
            ),
            "bits": Mistake(
                changed(
                    gap=lambda p, nats, mass, gap, divergence: gap / math.log(2),
                    divergence=lambda p, nats, mass, gap, divergence: divergence / math.log(2),
                ),
                IN_BITS,
            ),
        },
        cases=languages,
        says=says_weigh,
    ),
    "copies_claim": Exercise(
        copies_claim,
        copies_claim_by_counts,
        {
            "the truth": Mistake(
                lambda h, L, r: h * L / r,
                "This is the entropy of the text, and what the sum of independent costs gives. "
                "The dependent formula charges a group only where all its copies are masked.",
            ),
            "every word pays": Mistake(
                lambda h, L, r: h * L,
                "You charge every word: one visible copy gives the others away, so a group costs h "
                "at most once.",
            ),
            "one group": Mistake(
                lambda h, L, r: h / r,
                "This is one group, or a group that pays only where the whole text is masked: a "
                "text has L / r groups, and each is charged separately.",
            ),
            "no weight": Mistake(
                lambda h, L, r: h * L / r / (r + 1),
                "You integrate the chance u^r that all copies are masked without the weight 1 / u.",
            ),
            "any copy is masked": Mistake(
                lambda h, L, r: h * L / r * sum(1 / k for k in range(1, int(r) + 1)),
                "You charge a group where any copy is masked: a visible copy gives the others "
                "away, so all r must be masked.",
            ),
            "per word": Mistake(
                lambda h, L, r: h / r**2,
                "These are nats a word: return those of the whole text.",
            ),
        },
        cases=lambda seed=0: [
            (varied(seed, h), L, r) for h, L, r in ((0.69, 4, 2), (1.1, 12, 3), (2.0, 10, 5))
        ],
    ),
    "paid": Exercise(
        paid,
        paid_by_probabilities,
        {
            "the choice is free": Mistake(
                rows(first=lambda nll, prior: nll.amin(0)),
                "Your first row takes the best model for nothing, and its mass is above 1: naming "
                "model k costs -log prior[k].",
            ),
            "an excluded model is free": Mistake(
                rows(
                    first=lambda nll, prior: (
                        nll - torch.where(prior > 0, prior, 1.0).log()[:, None]
                    ).amin(0)
                ),
                "You charge nothing for a model with prior 0: it cannot be named at all, and its "
                "cost is infinite.",
            ),
            "log n": Mistake(
                rows(first=lambda nll, prior: nll.amin(0) + math.log(len(nll))),
                "You charge log n for every choice: that is right where all models are equally "
                "likely to be named; here model k costs -log prior[k].",
            ),
            "chosen, then charged": Mistake(
                rows(first=chosen_then_charged),
                "You choose by nll alone and charge afterwards: a valid number, but not the "
                "lowest. Add the cost of the name first, then take the minimum.",
            ),
            "the sign of the prior": Mistake(
                rows(first=lambda nll, prior: (nll + prior.log()[:, None]).amin(0)),
                "You add log prior, which is negative: the name of a model costs -log prior.",
            ),
            "one model for all texts": Mistake(
                rows(first=one_for_all),
                "You take one model for all texts: each text may name its own, since it is charged "
                "for the name.",
            ),
            "the mean of the costs": Mistake(
                rows(second=lambda nll, prior: torch.where(prior > 0, prior, 0.0) @ nll),
                "Your second row is the mean of the costs: average the probabilities, and take the "
                "logarithm of that mean. Jensen: yours is higher.",
            ),
            "drawn with equal chances": Mistake(
                rows(second=lambda nll, prior: math.log(len(nll)) - (-nll).logsumexp(0)),
                "You draw all models with the same probability: use the prior.",
            ),
            "a sum of laws": Mistake(
                rows(second=lambda nll, prior: -(-nll).logsumexp(0)),
                "You add up the probabilities of all models, so that the mass is n: weight them "
                "with the prior.",
            ),
            "probabilities": Mistake(
                lambda nll, prior: (-paid(nll, prior)).exp(),
                "These are probabilities: return -log of them, in nats.",
            ),
        },
        cases=lambda seed=0: telling(seed, choices, the_best_model_changes),
        says=says_paid,
    ),
    "mixed_nats": Exercise(
        mixed_nats,
        mixed_nats_by_rows,
        {
            "not normalised": Mistake(
                with_share(lambda c, x, p: or_own(c, c, p)),
                "You mix the scores as they are, and they do not add up to 1: divide each row by "
                "its sum first.",
            ),
            "not normalised, and empty rows kept": Mistake(
                with_share(lambda c, x, p: c),
                "You mix the scores as they are: divide each row by its sum, and use p alone where "
                "the row is empty.",
            ),
            "normalised after mixing": Mistake(
                over_all,
                "You mix first and normalise then: a distribution too, but another one, in which a "
                "row with high scores outweighs p. Normalise the cache, then mix.",
            ),
            "an empty row": Mistake(
                with_share(lambda c, x, p: c / c.sum(1, keepdim=True)),
                "A row of the cache may be empty, and 0 / 0 is nan: use p alone there.",
            ),
            "an empty row costs": Mistake(
                with_share(lambda c, x, p: c / c.sum(1, keepdim=True).clamp(min=1e-9)),
                "Where a row is empty your words add up to 1 - a: use p alone there, not "
                "(1 - a) times p.",
            ),
            "by the largest": Mistake(
                with_share(lambda c, x, p: or_own(c, c / c.amax(1, keepdim=True), p)),
                "You divide by the largest score of a row: divide by the sum of the row.",
            ),
            "a softmax": Mistake(
                with_share(lambda c, x, p: or_own(c, c.softmax(1), p)),
                "You take the softmax of the scores: they are estimates of probabilities already, "
                "so divide each row by its sum.",
            ),
            "by the batch": Mistake(
                with_share(lambda c, x, p: or_own(c, c / c.sum(0, keepdim=True), p)),
                "You divide by the sums over the batch: divide by those over the words, row by "
                "row.",
            ),
            "the weights exchanged": Mistake(
                lambda p, c, a, x: mixed_nats(p, c, 1 - a, x),
                "You give the cache the weight 1 - a: its weight is a.",
            ),
            "a probability": Mistake(
                lambda p, c, a, x: (-mixed_nats(p, c, a, x)).exp(),
                "These are probabilities: return -log of them, in nats.",
            ),
            "the mean": Mistake(
                lambda p, c, a, x: mixed_nats(p, c, a, x).mean(),
                "You average over the batch: return one number for each word.",
            ),
        },
        cases=caches,
    ),
    "bits_per_byte": Exercise(
        bits_per_byte,
        bits_per_byte_by_tokens,
        {
            "the code as it was": Mistake(
                lambda nats, x, size: (nats / size[x].clamp(min=1)).mean() / math.log(2),
                "Both bugs are still there. Ask what a long token and a short one weigh in this "
                "mean, and how many bytes the end of a text has.",
            ),
            "only the mean": Mistake(
                lambda nats, x, size: nats.sum() / size[x].clamp(min=1).sum() / math.log(2),
                "The ratio is right now: all bits over all bytes. But the clamp counts a byte for "
                "each end of a text, which is no byte of the text.",
            ),
            "only the clamp": Mistake(
                lambda nats, x, size: (nats / size[x])[size[x] > 0].mean() / math.log(2),
                "You still average ratios, in which a token of one byte weighs as much as one of "
                "nine: divide the sum of all bits by the sum of all bytes.",
            ),
            "ends are free": Mistake(
                lambda nats, x, size: nats[size[x] > 0].sum() / size[x].sum() / math.log(2),
                "You leave out what the end of a text costs: it has no bytes, but whoever wants "
                "the text back has to know where it ends, so its nats count.",
            ),
            "bytes of the vocabulary": Mistake(
                lambda nats, x, size: nats.mean() / size.double().mean() / math.log(2),
                "You divide by the mean size of the vocabulary's tokens: the text uses short ones "
                "more often, so count the bytes of the text, size[x].",
            ),
            "a constant": Mistake(
                lambda nats, x, size: nats.mean() / 4.3 / math.log(2),
                "You divide by 4.3 bytes a token, which belongs to another tokenizer: count "
                "the bytes of the text, size[x].",
            ),
            "nats": Mistake(
                lambda nats, x, size: nats.sum() / size[x].sum(),
                "This is in nats a byte: a bit is log 2 nats.",
            ),
            "log 2 the wrong way": Mistake(
                lambda nats, x, size: nats.sum() / size[x].sum() * math.log(2),
                "You multiply by log 2: a bit is 0.69 nats, so the number of bits is larger.",
            ),
            "bits a token": Mistake(
                lambda nats, x, size: nats.mean() / math.log(2),
                "These are bits a token: divide by the bytes of the text.",
            ),
        },
        cases=tokens,
    ),
}
