"""Chapter 14, real text: bits per character, copies, two sides of a gap, and where curves cross."""

import math
from difflib import SequenceMatcher
from itertools import pairwise

import torch

from .fresh import normal, varied
from .grader import Exercise, Mistake

# ------------------------------------------------------------------------------ bits per character


def bits_per_character(nats, tokens, characters):
    return (nats * tokens).sum() / characters.sum() / math.log(2)


def bits_per_character_in_a_loop(nats, tokens, characters):
    bits = 0.0
    for mean, n in zip(nats.tolist(), tokens.tolist(), strict=True):
        bits += n * mean * math.log2(math.e)
    return bits / sum(characters.tolist())


def corpora(seed=0):
    """Return nats per token, tokens and characters of the texts of some corpora.

    Short texts are the hard ones, and have short tokens, so that it matters what is averaged. At
    last a text of one token, a long one, and one that the model nearly knows by heart.
    """
    found = []
    for k, n in enumerate((4, 1, 9)):
        g = torch.Generator().manual_seed(seed + k)
        share = torch.linspace(0, 1, n, dtype=torch.float64)
        tokens = 20 + (400 * share).long() + torch.randint(40, (n,), generator=g)
        size = 2.5 + 2 * share + 0.5 * torch.rand(n, dtype=torch.float64, generator=g)
        nats = 4.5 - 2 * share + torch.rand(n, dtype=torch.float64, generator=g)
        found.append((nats, tokens, (tokens * size).long()))
    nats = varied(seed, torch.tensor([9.0, 2.5, 0.04], dtype=torch.float64))
    tokens = torch.tensor([1, 900 + seed % 97, 300])
    return [*found, (nats, tokens, torch.tensor([1, 4100, 1350]))]


# --------------------------------------------------------------------------------- the longest copy


def longest_copy(text, source):
    longest = 0
    runs = torch.zeros(1 + len(source), dtype=torch.int64)
    for token in text:  # runs[j]: tokens of the copy that ends here and before source[j]
        runs[1:] = torch.where(source == token, runs[:-1] + 1, 0)
        longest = max(longest, runs.max().item())
    return longest


def longest_copy_by_grams(text, source):
    n = 0
    while grams(text, n + 1) & grams(source, n + 1):
        n += 1
    return n


def grams(x, n):
    x = tuple(x.tolist())
    return {x[i : i + n] for i in range(len(x) - n + 1)}


def longest_run(occurs):
    """Return an answer: the length of the longest run of the text with occurs(run, source)."""

    def answer(text, source):
        text, source = text.tolist(), source.tolist()
        runs = (text[i:j] for i in range(len(text)) for j in range(i + 1, len(text) + 1))
        return max((len(run) for run in runs if occurs(run, source)), default=0)

    return answer


def stands_in(run, source):
    n = len(run)
    return any(source[i : i + n] == run for i in range(len(source) - n + 1))


def same_places(text, source):
    n = min(len(text), len(source))
    best = run = 0
    for same in (text[:n] == source[:n]).tolist():
        run = run + 1 if same else 0
        best = max(best, run)
    return best


def with_gaps(text, source):
    best = [0] * (1 + len(source))
    for token in text.tolist():
        before = best.copy()
        for j, other in enumerate(source.tolist(), 1):
            best[j] = before[j - 1] + 1 if token == other else max(before[j], best[j - 1])
    return best[-1]


def prefix(text, source):
    text, source = text.tolist(), source.tolist()
    return max(n for n in range(1 + len(text)) if stands_in(text[:n], source))


def from_first_places(text, source):
    text, source, best = text.tolist(), source.tolist(), 0
    for i, token in enumerate(text):
        n, j = 0, source.index(token) if token in source else len(source)
        while i + n < len(text) and j + n < len(source) and text[i + n] == source[j + n]:
            n += 1
        best = max(best, n)
    return best


def without_popular(text, source):
    return SequenceMatcher(None, text.tolist(), source.tolist()).find_longest_match().size


def written_out(run, source):
    return " ".join(map(str, run)) in " ".join(map(str, source))


def copied(seed=0):
    """Return texts and sources; letters stand for tokens that differ with the seed.

    A copy in the midst of other tokens, and of four tokens that all are frequent; one that would
    go on if the source began again at its end; a text that has the whole source, and the reverse;
    one that begins in the midst of its own beginning; pairs that are all known; a gap; tokens whose
    digits continue; and nothing in common.
    """
    g = torch.Generator().manual_seed(seed)
    ids = torch.randperm(50_000, generator=g)[:26]

    def spelled(letters):
        return ids[[ord(letter) - ord("a") for letter in letters]]

    text, source = (torch.randint(50_000, (n,), generator=g) for n in (25, 60))
    source[[29, 39]] = torch.tensor([41_001, 40_001])
    text[8:18] = source[29:39]
    text[[8, 18]] = torch.tensor([41_000, 40_000])  # one less: no copy
    digit = 1 + seed % 9
    numbers = torch.tensor([digit, 20, 7]), torch.tensor([10 + digit, 20, 8])
    few = [ids[torch.randint(4, (n,), generator=g)] for n in (30, 240)]
    words = [
        ("abcdexyz", "qrabcdstbcd"),
        ("xijklabcdey", "abcdefghijkl"),
        ("uvwabcdefghxyz", "abcdefgh"),
        ("efgh", "abcdefgh"),
        ("caabd", "aaabdc"),
        ("abcde", "abzbczcdzde"),
        ("abxcd", "abycd"),
        ("abcab", "xyzxyz"),
    ]
    spelt = [(spelled(a), spelled(b)) for a, b in words]
    return [spelt[0], (text, source), *spelt[1:], numbers, tuple(few)]


# -------------------------------------------------------------------------------------- two sides


def two_sided(left, right, single):
    return (left + right - single).log_softmax(-1)


def two_sided_by_rows(left, right, single):
    found = []
    for one, other in zip(left.tolist(), right.tolist(), strict=True):
        score = [a + b - c for a, b, c in zip(one, other, single.tolist(), strict=True)]
        top = max(score)
        total = top + math.log(sum(math.exp(s - top) for s in score))
        found.append([s - total for s in score])
    return found


def by_product(left, right, single):
    p = left.exp() * right.exp() / single.exp()
    return (p / p.sum(-1, keepdim=True)).log()


def sides(seed=0):
    """Return what each side says of a character, and its frequency, as logarithms.

    In the third case a side rules a character out. In the last each side is sure of another one.
    """
    found = []
    for k, (n, V, sharp) in enumerate(((2, 4, 1.0), (6, 27, 2.0), (1, 3, 1.5), (5, 5, 1.0))):
        single = normal(V, seed=seed + 10 * k).log_softmax(-1)
        left, right = (single + sharp * normal(n, V, seed=seed + 10 * k + j) for j in (1, 2))
        if k == 2:
            left[0, 1] = -torch.inf
        if k == 3:
            left[1, 0] += 900
            right[1, 2] += 900
        found.append((left.log_softmax(-1), right.log_softmax(-1), single))
    return found


# -------------------------------------------------------------------------------------- a crossing


def crossing(passes, a, b):
    return each(last_crossing)(passes, a, b)


def each(rule):
    """Return an answer that applies rule(passes, gap) to the gap a - b (P,) of each seed."""
    return lambda passes, a, b: torch.stack([rule(passes.double(), gap) for gap in a - b])


def geometric(passes, gap, k):
    """Return where the line from gap[k] to gap[k + 1], over the logarithm of passes, is 0."""
    share = gap[k] / (gap[k] - gap[k + 1])
    return passes[k] * (passes[k + 1] / passes[k]) ** share


def linear(passes, gap, k):
    return passes[k] + gap[k] / (gap[k] - gap[k + 1]) * (passes[k + 1] - passes[k])


def last_crossing(passes, gap, between=geometric, never=math.nan):
    if gap[-1] >= 0:
        return torch.full_like(passes[0], never)
    above = (gap >= 0).nonzero().flatten()
    return between(passes, gap, above[-1]) if len(above) else passes[0]


def crossing_from_the_end(passes, a, b):
    found = []
    for one, other in zip(a.tolist(), b.tolist(), strict=True):
        gap = [x - y for x, y in zip(one, other, strict=True)]
        n = len(gap)
        while n and gap[n - 1] < 0:
            n -= 1
        if n == len(gap):
            found.append(math.nan)
        elif n == 0:
            found.append(float(passes[0]))
        else:
            (x, y), (before, after) = (
                passes[n - 1 : n + 1].double().log().tolist(),
                gap[n - 1 : n + 1],
            )
            found.append(math.exp((before * y - after * x) / (before - after)))
    return found


def as_printed(passes, a, b):
    gap = (a - b).mean(0)
    k = int((gap < 0).nonzero()[0])
    return linear(passes, gap, k - 1)


def first_below(passes, gap, between=geometric):
    below = (gap < 0).nonzero().flatten()
    if len(below) == 0:
        return torch.full_like(passes[0], math.nan)
    return between(passes, gap, below[0] - 1) if below[0] else passes[0]


def first_if_it_ends_below(passes, gap):
    return first_below(passes, gap) if gap[-1] < 0 else torch.full_like(passes[0], math.nan)


def last_way_down(passes, gap):
    down = ((gap[:-1] >= 0) & (gap[1:] < 0)).nonzero().flatten()
    return geometric(passes, gap, down[-1]) if len(down) else last_crossing(passes, gap)


def of_the_mean(passes, a, b):
    return crossing(passes, a.mean(0)[None], b.mean(0)[None]).expand(len(a))


GAPS = [
    ((1, 2, 4, 8), [[0.3, 0.1, -0.2, -0.4]]),
    (
        (1, 3, 10, 30, 100),
        [
            [0.4, 0.3, 0.1, -0.2, -0.3],
            [0.3, -0.1, 0.2, 0.1, -0.3],  # below twice
            [0.5, 0.4, 0.3, 0.2, 0.1],  # never
            [-0.1, -0.2, -0.2, -0.3, -0.6],  # everywhere
        ],
    ),
    ((2, 5, 50), [[0.2, -0.1, 0.3], [-0.3, 0.1, -0.2], [0.2, -0.1, -0.3]]),
    (  # equal at one number of passes
        (4, 8, 12, 40),
        [[0.2, 0.0, -0.1, -0.3], [0.3, 0.1, -0.2, 0.0], [-0.2, 0.0, -0.1, -0.3]],
    ),
    ((7, 9), [[0.004, -0.001]]),
]
"""passes and a - b of each seed: the sign decides what is right, so fresh ones have the same"""


def curves(seed=0):
    found = []
    for k, (passes, gap) in enumerate(GAPS):
        gap = varied(seed and seed + k, torch.tensor(gap, dtype=torch.float64))
        b = 4 + 0.3 * normal(*gap.shape, seed=seed + k)
        found.append((torch.tensor(passes) * (1 + seed % 4), b + gap, b))
    return found


EXERCISES = {
    "bits_per_character": Exercise(
        bits_per_character,
        bits_per_character_in_a_loop,
        {
            "nats": Mistake(
                lambda nats, tokens, characters: (nats * tokens).sum() / characters.sum(),
                "This is in nats per character: a bit is log 2 nats, so divide by log 2.",
            ),
            "log 2 the wrong way": Mistake(
                lambda nats, tokens, characters: (
                    (nats * tokens).sum() / characters.sum() * math.log(2)
                ),
                "You multiply by log 2: a bit is 0.69 nats, so the number of bits is larger.",
            ),
            "the mean of the ratios": Mistake(
                lambda nats, tokens, characters: (nats * tokens / characters).mean() / math.log(2),
                "You average the texts' own bits per character, so that a short text weighs as "
                "much as a long one: divide all bits by all characters.",
            ),
            "one for each text": Mistake(
                lambda nats, tokens, characters: nats * tokens / characters / math.log(2),
                "You return one number for each text: add up the bits and the characters of all "
                "texts, and divide once.",
            ),
            "bits per token": Mistake(
                lambda nats, tokens, characters: (nats * tokens).sum() / tokens.sum() / math.log(2),
                "These are bits per token, which another tokenizer changes: divide by the "
                "characters.",
            ),
            "not times the tokens": Mistake(
                lambda nats, tokens, characters: nats.sum() / characters.sum() / math.log(2),
                "You add up the means of the texts: the text as a whole costs nats * tokens.",
            ),
            "every text the same weight": Mistake(
                lambda nats, tokens, characters: (
                    nats.mean() * tokens.sum() / characters.sum() / math.log(2)
                ),
                "You average nats per token over the texts, so that a short text weighs as much as "
                "a long one: multiply by the tokens of each text first.",
            ),
            "the mean length of a token": Mistake(
                lambda nats, tokens, characters: (
                    (nats * tokens).sum()
                    / tokens.sum()
                    / (characters / tokens).mean()
                    / math.log(2)
                ),
                "You take the characters per token of each text and average them: all "
                "characters over all tokens is another number.",
            ),
            "two means": Mistake(
                lambda nats, tokens, characters: (
                    nats.mean() / (characters / tokens).mean() / math.log(2)
                ),
                "You divide a mean over the texts by a mean over the texts, and the lengths of the "
                "texts do not count: divide all bits by all characters.",
            ),
            "upside down": Mistake(
                lambda nats, tokens, characters: (
                    characters.sum() / (nats * tokens).sum() * math.log(2)
                ),
                "These are characters per bit: turn the fraction over.",
            ),
        },
        cases=corpora,
    ),
    "longest_copy": Exercise(
        longest_copy,
        longest_copy_by_grams,
        {
            "the same place": Mistake(
                same_places,
                "You compare tokens at the same position only: a copy may begin anywhere in the "
                "text and anywhere in the source.",
            ),
            "with gaps": Mistake(
                with_gaps,
                "You let a copy skip tokens, as in a longest common subsequence: the tokens must "
                "follow one another in both.",
            ),
            "from the beginning": Mistake(
                prefix,
                "You only look at how long the beginning of the text is copied: a copy may begin "
                "at any token of the text.",
            ),
            "distinct tokens": Mistake(
                lambda text, source: len({*text.tolist()} & {*source.tolist()}),
                "You count the different tokens that both have: their order matters, so look for "
                "runs.",
            ),
            "known tokens": Mistake(
                longest_run(lambda run, source: {*run} <= {*source}),
                "Your run has tokens that all occur somewhere in the source: they must stand there "
                "one after the other.",
            ),
            "known pairs": Mistake(
                longest_run(
                    lambda run, source: (
                        {*run} <= {*source} and {*pairwise(run)} <= {*pairwise(source)}
                    )
                ),
                "Your run has neighbours that all occur in the source, but in different places: "
                "the whole run must stand in one place.",
            ),
            "the first place of a token": Mistake(
                from_first_places,
                "You follow each token from the first place where the source has it: try every "
                "place, because the longest copy may begin at a later one.",
            ),
            "one too few": Mistake(
                lambda text, source: max(longest_copy(text, source) - 1, 0),
                "You count one too few: a copy of n tokens has n tokens, and n - 1 steps from one "
                "to the next.",
            ),
            "one too many": Mistake(
                lambda text, source: longest_copy(text, source) + 1,
                "You return the first length that is not copied: the longest copy is one shorter.",
            ),
            "around the end": Mistake(
                longest_run(lambda run, source: stands_in(run, source + source)),
                "Your copy goes on at the beginning of the source after its end: it must stop "
                "there (torch.roll goes round too).",
            ),
            "frequent tokens left out": Mistake(
                without_popular,
                "SequenceMatcher ignores tokens that are frequent in a source of 200 or more: give "
                "it autojunk=False.",
            ),
            "digits": Mistake(
                longest_run(written_out),
                'You compare digits: "1 2" stands in "11 2", but the tokens 1, 2 do not. Compare '
                "tokens, or put a separator at both ends as well.",
            ),
        },
        cases=copied,
    ),
    "two_sided": Exercise(
        two_sided,
        two_sided_by_rows,
        {
            "not normalised": Mistake(
                lambda left, right, single: left + right - single,
                "Your probabilities do not add up to 1: Bayes' rule gives them up to a factor, "
                "which log_softmax puts right.",
            ),
            "the frequency not taken out": Mistake(
                lambda left, right, single: (left + right).log_softmax(-1),
                "Both sides know the frequency of the character, so your product counts it twice: "
                "divide by p(x) once.",
            ),
            "the frequency multiplied": Mistake(
                lambda left, right, single: (left + right + single).log_softmax(-1),
                "You multiply by p(x), and each side contains it already: divide by it, which "
                "subtracts its logarithm.",
            ),
            "the frequency taken out twice": Mistake(
                lambda left, right, single: (left + right - 2 * single).log_softmax(-1),
                "You divide both sides by p(x), so that the frequency does not count at all: it "
                "must count once, so divide once.",
            ),
            "a mixture": Mistake(
                lambda left, right, single: torch.logaddexp(left, right) - math.log(2),
                "This is the mean of the two predictions: evidence that is independent given x "
                "multiplies.",
            ),
            "a geometric mean": Mistake(
                lambda left, right, single: ((left + right) / 2).log_softmax(-1),
                "You average the logarithms, which is as cautious as one side alone: add them, and "
                "subtract log p(x).",
            ),
            "over the batch": Mistake(
                lambda left, right, single: (left + right - single).log_softmax(0),
                "You normalise over the batch, dim 0: the probabilities of the characters, dim -1, "
                "must add up to 1.",
            ),
            "probabilities": Mistake(
                lambda left, right, single: (left + right - single).softmax(-1),
                "These are probabilities: return their logarithms.",
            ),
            "products": Mistake(
                by_product,
                "You multiply probabilities, and where each side is sure of another character all "
                "products are 0 in floating point: add logarithms and use log_softmax.",
            ),
        },
        cases=sides,
    ),
    "crossing": Exercise(
        crossing,
        crossing_from_the_end,
        {
            "as printed": Mistake(
                as_printed,
                "This is the code as printed. Draw the gaps of three seeds by hand, one of which "
                "turns back, and follow the code with a finger.",
            ),
            "one for each seed": Mistake(
                each(lambda passes, gap: first_below(passes, gap, linear)),
                "One number for each seed is right. But later a may be above b again, so search "
                "from the end, and interpolate in the logarithm of the passes.",
            ),
            "the first crossing": Mistake(
                each(first_below),
                "You stop where a is below b for the first time: later it may be above again. "
                "Search from the end.",
            ),
            "the first crossing of those that last": Mistake(
                each(first_if_it_ends_below),
                "You see that a ends below b, and then take the first crossing: take the last one, "
                "from which a stays below.",
            ),
            "the last way down": Mistake(
                each(last_way_down),
                "You take the last crossing from above to below, even where a rises above b again "
                "after it: return nan where a does not end below b.",
            ),
            "not in the logarithm": Mistake(
                each(lambda passes, gap: last_crossing(passes, gap, linear)),
                "You interpolate in the passes: interpolate in their logarithm, and take exp at "
                "the end.",
            ),
            "the logarithm": Mistake(
                lambda passes, a, b: crossing(passes, a, b).log(),
                "You return the logarithm of the passes: take exp at the end.",
            ),
            "the mean curve": Mistake(
                of_the_mean,
                "You average the curves over the seeds before you look for the crossing: find one "
                "for each seed, so that their spread is seen.",
            ),
            "the next number of passes": Mistake(
                each(lambda passes, gap: last_crossing(passes, gap, lambda p, gap, k: p[k + 1])),
                "You return the first of the passes from which a is below: the curves cross before "
                "it, so interpolate.",
            ),
            "the one before": Mistake(
                each(lambda passes, gap: last_crossing(passes, gap, lambda p, gap, k: p[k])),
                "You return the last of the passes at which a is not below: the curves cross after "
                "it, so interpolate.",
            ),
            "the share from the other end": Mistake(
                each(
                    lambda passes, gap: last_crossing(
                        passes,
                        gap,
                        lambda p, gap, k: p[k + 1] * p[k] / geometric(p, gap, k),
                    )
                ),
                "You measure the crossing from the wrong end: it is closer to the passes at which "
                "the gap is smaller.",
            ),
            "the other sign": Mistake(
                lambda passes, a, b: crossing(passes, b, a),
                "You look for where b stays below a: the exercise asks from where a is the lower "
                "one.",
            ),
            "the last pass for nan": Mistake(
                each(lambda passes, gap: last_crossing(passes, gap, never=passes[-1].item())),
                "You return the most passes for a seed in which a does not end below b, as if the "
                "curves had crossed there: return nan, which says that no crossing was seen.",
            ),
            "nan where a is below everywhere": Mistake(
                each(
                    lambda passes, gap: (
                        last_crossing(passes, gap) if (gap >= 0).any() else math.nan * passes[0]
                    )
                ),
                "You return nan where a is below b everywhere: there it is below from the first of "
                "the passes on.",
            ),
        },
        cases=curves,
    ),
}
