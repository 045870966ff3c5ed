"""The questions that the auditor asks of a number, one function each.

Two laws hold for every likelihood and for every upper bound of one, whatever the network:

    (1)  sum_x exp(-score(x)) <= 1              (Kraft)  with equality if the score is -log p
    (2)  sum_x p(x) score(x) >= H(p)            (Gibbs)  for every distribution p of the texts

(2) follows from (1), and is how (1) is asked of a scorer that draws: with p chosen from half of its
draws, the other half estimates without bias how far it is below H(p), which is how far the log of
the sum is, at least, above 0. What breaks the laws is found by changing the network in one respect
and looking at what the score does.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from ..language.automaton import entropy
from .asking import UNITS, Scorer
from .networks import TEXTS, TINY, L, V, along_every_order, counting, models

NETWORKS = {
    "exact": "the posterior of the language",
    "echo": "of a language that mostly repeats its first word",
    "wrong": "whose predictions fit no language",
    "ignorant": "which finds all words equally likely",
    "constant": "which says the same whatever it sees",
}
"""the networks on which the laws are tried -> which they are"""
DEPENDENT = "exact", "echo", "wrong"
"""those of them whose predictions depend on the words that they see"""
CLOSE = 1e-3
"""what rounding in float32 may change of a number in nats"""
ERRORS = 5
"""how many standard errors a fault of a scorer that draws must be away from chance"""


@dataclass(frozen=True)
class Fault:
    """What is wrong with a number."""

    name: str
    seen: str
    """what was seen, with numbers"""
    do: str
    """what to do"""


@dataclass
class Case:
    """A scorer, and its scores on the networks as far as they have been asked for."""

    scorer: Scorer
    scores: dict[str, Tensor] = field(default_factory=dict)

    def on(self, network: str) -> Tensor:
        """Return the scores of all texts by a network, nats, (draws, V^L)."""
        if network not in self.scores:
            self.scores[network] = self.scorer.nats(models()[network])
        return self.scores[network]

    def log_sum(self, network: str) -> tuple[float, float]:
        """Return `log_sum` of these scores."""
        return log_sum(self.on(network))

    def above(self) -> dict[str, float]:
        """Return network -> the sum of exp(-score), where that is more than 1 beyond chance."""
        sums = {name: self.log_sum(name) for name in NETWORKS}
        return {n: math.exp(s) for n, (s, se) in sums.items() if s - ERRORS * se > CLOSE}

    def dependent(self) -> list[str]:
        """Return the networks of `above` whose predictions depend on the words that they see."""
        return [name for name in self.above() if name in DEPENDENT]

    def free(self) -> list[int]:
        """Return the positions, from 1, whose words cost nothing."""
        found = []
        for i, (slope, se) in enumerate(position_slopes(self.on("constant")), 1):
            if abs(slope) < 0.02 + ERRORS * se < 0.4:
                found.append(i)
        return found

    def mixes(self) -> bool:
        """Tell whether probabilities of its own make words likelier, and add up to more than 1.

        So it is if texts cost too little on the ignorant network, and neither because some
        positions cost nothing nor because all costs are multiplied by one number.
        """
        if "ignorant" not in self.above() or self.free():
            return False
        costs = mean(self.on("ignorant"))[0] / (L * math.log(V))
        slopes = torch.tensor([slope for slope, _ in position_slopes(self.on("constant"))])
        factors = torch.cat([costs, slopes])
        return bool(factors.max() - factors.min() > 0.02)


def mean(scores: Tensor) -> tuple[Tensor, Tensor]:
    """Return the mean of scores (draws, ...) and its standard error, 0 for a single draw."""
    if len(scores) == 1:
        return scores[0], torch.zeros_like(scores[0])
    return scores.mean(0), scores.std(0) / len(scores) ** 0.5


def log_sum(scores: Tensor) -> tuple[float, float]:
    """Return log sum_x exp(-score(x)) of scores (draws, V^L), and its standard error.

    Of several draws: by (2), with the distribution that the first half of them stands for.
    """
    if len(scores) == 1:
        return torch.logsumexp(-scores[0], 0).item(), 0.0
    first, second = scores.tensor_split(2)
    p = first.mean(0).neg().softmax(0)
    value, se = mean(entropy(p) - second @ p)
    return value.item(), se.item()


def position_slopes(scores: Tensor) -> list[tuple[float, float]]:
    """Return how many of the nats of each word are counted, by position, with standard errors.

    scores (draws, V^L): of the network `constant`, where a text should cost the sum of its words'
    -log q_i(x_i). The slope of the score on that of one position is 1 if it counts in full.
    """
    log_q = models()["constant"].table[0]
    found = []
    for i in range(L):
        due = -log_q[i, TEXTS[:, i]]
        due = due - due.mean()
        slope, se = mean(scores @ due / (due @ due))
        found.append((slope.item(), se.item()))
    return found


def words_per_count(scorer: Scorer) -> tuple[Tensor, Tensor]:
    """Return how many words of a text are counted with k = 1 ... L words hidden, (L,), and errors.

    On the network `counting(k)` a text of the word 0 costs less by so many times the difference
    between a word that is nearly sure and one that is not.
    """
    texts = torch.zeros(9, L, dtype=torch.long)
    before = scorer.nats(models()["ignorant"], texts).mean(1)
    each = math.log(V) + math.log(0.98)
    found = []
    for k in range(1, L + 1):
        after = scorer.nats(counting(k), texts).mean(1)
        found.append(mean((before - after) / each))
    counts, errors = zip(*found, strict=True)
    return torch.stack(counts), torch.stack(errors)


# ------------------------------------------------------------------------------------ the mechanics


def numbers(case: Case) -> Fault | None:
    """Find scores that are no finite numbers."""
    for name, which in NETWORKS.items():
        scores = case.on(name)
        bad = ~scores.isfinite()
        if bad.any():
            n = int(bad.any(0).nonzero()[0])
            value = scores[:, n][bad[:, n]][0].item()
            many = int(bad.any(0).sum())
            return Fault(
                "numbers",
                f'{many} of {len(TEXTS)} texts have no finite score on the network "{name}" '
                f"({which}): {TEXTS[n].tolist()} has {value}. No word is impossible there.",
                "Look for 0 times infinity (a one-hot text times log-probabilities of visible "
                "words: use gather), for the log of a probability that was rounded to 0, and for "
                "a division by a count that may be 0.",
            )
    return None


def batch(case: Case) -> Fault | None:
    """Find scores that depend on the other texts of the batch."""
    few = TEXTS[torch.linspace(0, len(TEXTS) - 1, 24).round().long()]
    network, ask = models()["exact"], case.scorer.nats
    alone = [ask(network, few[n : n + 1], 1 + n * case.scorer.draws) for n in range(len(few))]
    ways = {
        "alone": torch.cat(alone, dim=1),
        "in a batch whose order is reversed": ask(network, few.repeat(10, 1).flip(0)).flip(1),
    }
    together = ask(network, few.repeat(10, 1)).unflatten(1, (10, -1)).mean(1)
    for how, other in ways.items():
        other = other.unflatten(1, (-1, len(few))).mean(1)
        # text by text, or on average over the texts of each draw
        apart, se = mean(other - together if len(other) == 1 else (other - together).mean(1))
        worst = apart.abs().max().item()
        if worst > CLOSE + ERRORS * se.max().item():
            noise = " on average" if len(other) > 1 else ""
            return Fault(
                "batch",
                f"The same text has another score when it is scored {how}: the difference is "
                f"{worst:.3g} nats{noise}.",
                "A text's number must not depend on the texts beside it. Divide by the text's own "
                "counts, not the batch's; normalise nothing over the batch; call model.eval(); "
                "mask the padding.",
            )
    return None


def noise(case: Case, apart: float, own_noise: bool) -> Fault | None:
    """Find noise in a number that is called exact."""
    if case.scorer.draws == 1 or case.scorer.bound:
        return None
    unseeded = " even from the same seed of model.generator," if own_noise else ""
    return Fault(
        "random",
        f"Two calls differ by up to {apart:.3g} on the same text,{unseeded} and the number is "
        "called exact.",
        "A likelihood has no noise. If this estimates an upper bound, declare it a bound and give "
        "its standard error; draw from model.generator, so that others can repeat it.",
    )


# ----------------------------------------------------------------------------------------- the unit


def unit(case: Case) -> Fault | None:
    """Find another unit than the declared one, or a ratio that is not the texts' own.

    On the ignorant network every text costs L log V nats, whatever the method.
    """
    scorer, network = case.scorer, models()["ignorant"]
    raw, se = mean(scorer.raw(network))
    due = L * math.log(V)

    def fits(factor: Tensor | float, due: float = due) -> bool:
        wrong, error = (raw * factor / due - 1).abs(), (se * factor / due).abs()
        return bool((wrong < 0.01 + ERRORS * error).all() and (error < 0.02).all())

    nats = UNITS[scorer.unit](network, TEXTS)
    if fits(nats):
        return None
    declared = scorer.unit.replace("-", " ")
    known = f"Where all words are equally likely, {L} words cost {L} log {V} = {due:.3f} nats"
    if fits(-nats):
        return Fault(
            "unit",
            f"{known}; your number is {raw.mean():.3f}, its negative.",
            "Return -log p, which is positive, not log p.",
        )
    for other, of in UNITS.items():
        if other != scorer.unit and fits(of(network, TEXTS)):
            named = other.replace("-", " ")
            return Fault(
                "unit",
                f"{known}. Your numbers average {raw.mean():.4g}, which is the same in {named}; "
                f"you declared {declared}.",
                f"Convert them, or declare --unit {other}.",
            )
    if fits(1.0, due=float(V)):
        return Fault(
            "unit",
            f"{known}; your number is {raw.mean():.3f} for each text, the perplexity of a word.",
            "Return the logarithm: perplexities cannot be averaged over texts.",
        )
    if scorer.unit.endswith(("character", "byte")):
        what = "characters" if scorer.unit.endswith("character") else "bytes"
        size = (network.characters if what == "characters" else network.bytes)(TEXTS)
        implied = due / (raw * nats / size)
        if (implied / implied.mean() - 1).abs().max() < 0.01 and implied.mean() > 0:
            return Fault(
                "ratio",
                f"Every text is divided by {implied.mean():.1f} {what}, "
                f"{implied.mean() / L:.2f} a word, but these texts have {int(size.min())} to "
                f"{int(size.max())}, {size.double().mean() / L:.2f} a word on average.",
                f"Divide by the {what} of the text itself (model.{what}(texts)), not by a ratio "
                "that was measured elsewhere.",
            )
    return None


# ----------------------------------------------------------------------------------------- the laws


def sums(case: Case) -> Fault | None:
    """Find a network on which law (1) is broken."""
    above = case.above()
    if not above:
        return None
    worst = max(above, key=lambda name: above[name])
    others = [f"{value:.4g} on {name}" for name, value in above.items() if name != worst]
    also = f" (and to {', '.join(others)})" if others else ""
    return Fault(
        "sum",
        f'On the network "{worst}" ({NETWORKS[worst]}), exp(-score) adds up to {above[worst]:.4g} '
        f"over all {len(TEXTS)} texts{also}. The probabilities of all texts add up to 1, and an "
        "upper bound of -log p can only make the sum smaller.",
        "No model has these probabilities, so do not compare the number with anybody's. Find what "
        "is counted too little: a word, a position, a normalising constant, a choice made after "
        "seeing the text.",
    )


def below_entropy(case: Case) -> Fault | None:
    """Find a mean below the entropy, on texts of the language itself."""
    law = models()["exact"].law
    value, se = mean(case.on("exact") @ law)
    least = entropy(law).item()
    if value.item() + ERRORS * se.item() > least - CLOSE:
        return None
    return Fault(
        "entropy",
        f"On texts of the language the mean score is {value:.4f} nats, and the entropy of the "
        f"language is {least:.4f}: no model can be {least - value:.4f} nats better than the truth.",
        "A mean below the entropy is no sign of a good model. The number is not a likelihood.",
    )


def loose(case: Case) -> Fault | None:
    """Find a number that is called exact and is only an upper bound."""
    if case.scorer.bound or case.scorer.draws > 1 or case.above():
        return None
    found = {name: case.log_sum(name)[0] for name in NETWORKS}
    worst = min(found, key=lambda name: found[name])
    if found[worst] > -CLOSE:
        return None
    return Fault(
        "loose",
        f'On the network "{worst}" ({NETWORKS[worst]}), exp(-score) adds up to '
        f"{math.exp(found[worst]):.4g} over all texts; for -log p itself that is 1.",
        "The number lies above -log p. If it is an upper bound, declare it: --bound.",
    )


# --------------------------------------------------------------------------------------- the causes


def position(case: Case) -> Fault | None:
    """Find positions whose words cost nothing."""
    free = case.free()
    if not free:
        return None
    numbered = ", ".join(map(str, free))
    words = f"words at positions {numbered}" if free[1:] else f"word at position {numbered}"
    slopes = ", ".join(f"{slope:.2f}" for slope, _ in position_slopes(case.on("constant")))
    return Fault(
        "position",
        f"The {words} of {L} cost{'' if free[1:] else 's'} nothing. Of the nats of each position, "
        f"on a network that says the same whatever it sees, you count {slopes}.",
        "Count every word, the first too (it is predicted from nothing), and predict no word that "
        "the network is shown.",
    )


def mixture(case: Case) -> Fault | None:
    """Find probabilities that do not come from the network, and add up to more than 1.

    On the ignorant network all texts should cost the same. If they cost less, something else makes
    words likelier: by the words around them, by their own index, or all of them.
    """
    if not case.mixes():
        return None
    cost, se = mean(case.on("ignorant"))
    words = torch.stack([(TEXTS == v).double().sum(1) for v in range(V)], dim=1)  # how many of each
    by_word = torch.linalg.lstsq(words, cost[:, None]).solution.squeeze(1)
    rest = (cost - words @ by_word).abs()
    start = (
        f"A network that finds all {V} words equally likely gives every text {L * math.log(V):.3f} "
        f"nats. Yours cost {cost.min():.3f} to {cost.max():.3f}, and exp(-score) adds up to "
        f"{case.above()['ignorant']:.4g}"
    )
    uneven = (by_word.max() - by_word.min()).item() > 0.01
    if uneven and not (rest > 0.01 + ERRORS * se).any():
        costs = ", ".join(f"{c:.3f}" for c in by_word.tolist())
        return Fault(
            "symbols",
            f"{start}. The cost of a word depends on its index: words 0 to {V - 1} cost {costs}, "
            f"and exp(-cost) adds up to {by_word.neg().exp().sum():.4f}.",
            "If words are split into sub-tokens, predict each sub-token from the ones that are "
            "visible and count it once; where a part of a word is visible, do not count the whole "
            "word again. If you add a table of your own, normalise the mixture.",
        )
    return Fault(
        "mixture",
        f"{start}: something other than the network makes words more likely, and nothing makes "
        "other words less likely.",
        "If you mix the network with a cache or an n-gram table, or take the maximum of several "
        "models, divide by the sum over the whole vocabulary, for each word of each text.",
    )


def joint(case: Case) -> Fault | None:
    """Find a bound for independent words that is given a denoiser which couples them."""
    for name in case.dependent():
        scores = case.scorer.nats(replace(models()[name], coupled=False))
        if (scores - case.on(name)).abs().max() < 1e-6:
            continue
        independent, se = log_sum(scores)
        if independent - ERRORS * se <= CLOSE:
            return Fault(
                "joint",
                f'On the network "{name}" exp(-score) adds up to {case.above()[name]:.4g} if '
                "model.joint couples the hidden words, and to "
                f"{math.exp(independent):.4g} if it draws them independently.",
                "This loss bounds -log p only if the hidden words are drawn independently given "
                "the visible ones. A denoiser that couples them needs a bound of its own, in which "
                "words that are drawn together are counted once.",
            )
    return None


def schedule(case: Case) -> Fault | None:
    """Find a loss that counts too many words where few are hidden, or too few words."""
    if case.free() or case.mixes() or not case.dependent():
        return None
    counts, errors = words_per_count(case.scorer)
    so_far, error = counts.cumsum(0), errors.square().cumsum(0).sqrt()
    k = torch.arange(1, L + 1)
    early = bool((so_far > k + 0.02 + ERRORS * error).any())
    few = bool(so_far[-1] + ERRORS * error[-1] < L - 0.1)
    if not (early or few):
        return None
    listed = ", ".join(f"{count:.2f}" for count in counts.tolist())
    seen = (
        f"Of the {L} words of a text you count {listed} with 1 to {L} words hidden, "
        f"{so_far[-1]:.2f} in all. A text that is written word by word has one of each, {L} in all"
    )
    together = torch.tensor([sum(1 / n for n in range(j, L + 1)) for j in range(1, L + 1)])
    if (counts - together).abs().max() < 0.05:
        return Fault(
            "joint",
            f"{seen}; these counts are those of the bound for words that are drawn independently, "
            "if the hidden words are instead predicted one after another.",
            "That bound holds only if the hidden words are drawn independently given the visible "
            "ones. Words that are drawn together have to be counted once.",
        )
    if few:
        seen, why = f"{seen}.", "The weights are too small"
    else:
        seen = f"{seen}: you predict too many words with few words hidden, where it is easy."
        why = "The noise schedule, or a mean over the hidden words, sets these weights"
    if counts[0] > L - 0.05:
        why = "To predict each word from all others is a pseudo-likelihood, not a likelihood"
    return Fault(
        "schedule",
        seen,
        f"{why}. Draw the number of hidden words uniformly from 1 to {L} and multiply their mean "
        f"cost by {L}, or weight the times with -alpha' / (1 - alpha), over all of (0, 1).",
    )


def order(case: Case) -> Fault | None:
    """Find an order of the words that is chosen after seeing the text."""
    if "wrong" not in case.above():
        return None
    scores = case.on("wrong")[0]
    orders, costs = along_every_order(models()["wrong"])
    match = (costs - scores).abs() < CLOSE
    if not match.any(0).all():
        return None
    taken = len(match.double().argmax(0).unique())
    lowest = bool((costs.amin(0) - scores).abs().max() < CLOSE)
    how = f"the best of all {len(orders)}" if lowest else f"{taken} different ones in all"
    return Fault(
        "order",
        'On the network "wrong" every score is the chain rule along some order of the words, but '
        f"the order differs from text to text: {how}. Along any one order exp(-score) adds up to "
        f"1; here it adds up to {case.above()['wrong']:.4g}.",
        "Fix the order in advance, or let it depend on words that are already revealed and on "
        "nothing else.",
    )


def tail(case: Case) -> Fault | None:
    """Find very small probabilities that are lost."""
    constant = models()["constant"]
    score, se = mean(case.on("constant"))
    if ((score + constant.law.log()).abs() > 0.01 + ERRORS * se).any():
        return None  # the number is not the network's, or not tight, for ordinary words either
    texts = torch.tensor([[v] * L for v in range(1, V)])
    score, se = mean(case.scorer.nats(models()["sure"], texts))
    each, due = score.min().item() / L, -math.log(TINY)
    if score.isfinite().all() and each + ERRORS * se.max().item() / L > 0.9 * due:
        return None
    lost = f"{each:.2f} nats" if math.isfinite(each) else f"{each}"
    return Fault(
        "tail",
        f"A word to which the network gives the probability {TINY:.0e} costs {lost}, and "
        f"{due:.2f} nats are due; ordinary words cost what they should.",
        "Stay in log-probabilities (log_softmax), add nothing inside the logarithm, and clamp "
        "nothing; where probabilities are needed, or samples by the Gumbel trick, use float64.",
    )


MECHANICS: tuple[Callable[[Case], Fault | None], ...] = (numbers, batch, unit)
"""where one of these is found, the other questions have no meaning"""
LAWS: tuple[Callable[[Case], Fault | None], ...] = (sums, below_entropy, loose)
CAUSES: tuple[Callable[[Case], Fault | None], ...] = (position, mixture, joint, schedule, order)
NAMES = (
    "shape", "numbers", "batch", "unit", "ratio", "random", "sum", "entropy", "loose",
    "position", "mixture", "symbols", "joint", "schedule", "order", "tail",
)  # fmt: skip
"""of the faults"""
