"""Chapter 1, next-word prediction. V = 3 words; the start symbol is row V of a table."""

import math

import torch
import torch.nn.functional as F

from .fresh import normal, varied, varied_rows
from .grader import Exercise, Mistake
from .truth import NEXT, SMALL, moves_too_early, walked

V = 3

# --------------------------------------------------------------------------------- next_word_nll


def next_word_nll(table, x):
    return scored(table, shifted(x), x).sum(1)


def next_word_nll_by_loop(table, x):
    log_p, found = table.log_softmax(-1), []
    for text in x.tolist():
        before, total = V, torch.zeros((), dtype=torch.float64)
        for word in text:
            total, before = total - log_p[before, word], word
        found.append(total)
    return torch.stack(found)


def shifted(x, start=V):
    return F.pad(x[:, :-1], (1, 0), value=start)


def scored(table, z, x):
    """Return -log p (B, L) of the words x after the words z."""
    return -table.log_softmax(-1)[z, x]


# ------------------------------------------------------------------------------ causal_attention


def causal_attention(q, k, v):
    return attended(q, k, v, all_so_far(q))


def causal_attention_by_the_library(q, k, v):
    q, k, v = (part[None, None] for part in (q, k, v))
    return F.scaled_dot_product_attention(q, k, v, is_causal=True)[0, 0]


def attended(q, k, v, sees, scale=None):
    """Return the averages (L, d) of the values that each position sees."""
    scale = q.shape[1] ** -0.5 if scale is None else scale
    return (scale * q @ k.T).masked_fill(~sees, -torch.inf).softmax(-1) @ v


def all_so_far(q):
    return torch.ones(len(q), len(q), dtype=torch.bool).tril()


# ------------------------------------------------------------------------------------- farthest


def farthest(window, layers, taps):
    return layers * (window - 1) + (taps - 1) + 1


def farthest_by_steps(window, layers, taps):
    back = 0  # of the farthest word that is seen, 0 for the last one
    for width in [taps] + [window] * layers:
        back += width - 1
    return back + 1


# ---------------------------------------------------------------------------- tempered_log_prob


def tempered_log_prob(P, successor, x, T):
    logits = P.log() / T
    return tempered_by(logits - logits.logsumexp(-1, keepdim=True), successor, x)


def tempered_log_prob_by_powers(P, successor, x, T):
    power = P ** (1 / T)
    return tempered_by((power / power.sum(-1, keepdim=True)).log(), successor, x)


def tempered_by(log_p, successor, x):
    """Return the sum of log_p[state, word] along a text."""
    return walked(log_p, successor, x).sum()


def tempered_as_a_whole(P, successor, x, T):
    texts = torch.cartesian_prod(*[torch.arange(P.shape[1])] * len(x)).view(-1, len(x))
    every = torch.stack([tempered_by(P.log(), successor, text) for text in texts])
    return tempered_by(P.log(), successor, x) / T - (every / T).logsumexp(0)


def tempered_after_moving(P, successor, x, T):
    return moves_too_early((P.log() / T).softmax(-1), successor, x)


def normalised_after_the_word(P, successor, x, T):
    log_z = (P.log() / T).logsumexp(-1)
    return tempered_by(P.log() / T - log_z[successor], successor, x)


# -------------------------------------------------------------------------------------- nucleus


def nucleus(p, top_p):
    ordered, order = p.sort(descending=True, stable=True)
    kept = ordered * (ordered.cumsum(-1) - ordered < top_p)
    return normalised(torch.zeros_like(p).scatter(-1, order, kept))


def nucleus_by_pairs(p, top_p):
    more = (p[:, None, :] > p[:, :, None]).to(p) @ p[..., None]  # what the more probable ones have
    return normalised(p * (more.squeeze(-1) < top_p))


def normalised(p):
    return p / p.sum(-1, keepdim=True)


def nucleus_cut(p, top_p, keeps, back=True, descending=True):
    """Return p without the words that `keeps` says no to, in the order of their probability."""
    ordered, order = p.sort(descending=descending, stable=True)
    kept = ordered * keeps(ordered, ordered.cumsum(-1), top_p)
    return torch.zeros_like(p).scatter(-1, order, kept) if back else kept


def fits(ordered, total, top_p):
    return total <= top_p


def below(ordered, total, top_p):
    return total < top_p


def reaches(ordered, total, top_p):
    return total - ordered < top_p


# ---------------------------------------------------------------------------------- cached_mask


def cached_mask(new, past):
    return torch.ones(new, past + new, dtype=torch.bool).tril(past)


def cached_mask_by_positions(new, past):
    reads, read = past + torch.arange(new)[:, None], torch.arange(past + new)
    return read <= reads


# ---------------------------------------------------------------------------------------- cases


def some_texts(B, L, seed):
    """Return texts (B, L), among which there are some that end in each of the words."""
    x = torch.randint(V, (B, L), generator=torch.Generator().manual_seed(seed))
    x[:V, -1] = torch.arange(V)[: len(x)]
    return x


def turned(seed, rows):
    """Return distributions with their words in another order, which the seed says: 0 for none."""
    rows = torch.tensor(rows, dtype=torch.float64)
    if seed == 0:
        return rows
    return rows[:, torch.randperm(rows.shape[1], generator=torch.Generator().manual_seed(seed))]


# sums of the first words that are exact, in binary; words that are nearly sure; words nearly alike
EXACT = [
    [0.5, 0.25, 0.125, 0.0625, 0.0625],
    [0.25, 0.5, 0.1875, 0.0625, 0],
    [0.9375, 0, 0, 0, 0.0625],
]
RARE = [[0.9, 0.06, 0.03, 0.006, 0.004], [0.001, 0.002, 0.003, 0.004, 0.99]]
ALIKE = [[0.4, 0.35, 0.25], [0.1, 0.2, 0.7]]

# four states, with words that cannot be
P = torch.tensor(
    [[0.7, 0.3, 0.0], [0.1, 0.4, 0.5], [0.2, 0.2, 0.6], [0.05, 0.9, 0.05]], dtype=torch.float64
)

EXERCISES = {
    "next_word_nll": Exercise(
        next_word_nll,
        next_word_nll_by_loop,
        {
            "sees itself": Mistake(
                lambda table, x: scored(table, x, x).sum(1),
                "Each word is predicted from itself: look up the row of the word before it, and "
                "row V for the first. A loss like this falls below the entropy.",
            ),
            "the first word is free": Mistake(
                lambda table, x: scored(table, shifted(x), x)[:, 1:].sum(1),
                "You leave out the first word. It is predicted from the start symbol, row V, and "
                "costs something too.",
            ),
            "shifted the wrong way": Mistake(
                lambda table, x: scored(table, F.pad(x[:, 1:], (0, 1), value=V), x).sum(1),
                "You look up the row of the word that comes after: the row is that of the word "
                "before.",
            ),
            "a ring": Mistake(
                lambda table, x: scored(table, x.roll(1, 1), x).sum(1),
                "The last word of the text stands before the first, as torch.roll puts it there: "
                "put the start symbol there, row V.",
            ),
            "word 0 for the start": Mistake(
                lambda table, x: scored(table, shifted(x, 0), x).sum(1),
                "Before the first word you look up row 0, which belongs to a word: the start "
                "symbol has row V, the last one.",
            ),
            "mean": Mistake(
                lambda table, x: next_word_nll(table, x) / x.shape[1],
                "This is the mean over the words: -log p(x) is their sum.",
            ),
            "all texts together": Mistake(
                lambda table, x: next_word_nll(table, x).sum(),
                "You sum over the texts as well: return one number for each text, (B,).",
            ),
            "mean over the texts": Mistake(
                lambda table, x: next_word_nll(table, x).mean(),
                "You average over the texts: return one number for each text, (B,).",
            ),
            "mean over everything": Mistake(
                lambda table, x: next_word_nll(table, x).mean() / x.shape[1],
                "This is what F.cross_entropy returns by default, a mean over texts and words: ask "
                'for reduction="none" and sum over the words.',
            ),
            "word by word": Mistake(
                lambda table, x: scored(table, shifted(x), x),
                "These are the words one by one, (B, L): sum over the words of each text.",
            ),
            "bits": Mistake(
                lambda table, x: next_word_nll(table, x) / math.log(2),
                "These are bits: use the natural logarithm.",
            ),
            "sign": Mistake(
                lambda table, x: -next_word_nll(table, x),
                "This is log p(x), which is never above 0: return -log p(x).",
            ),
            "logits for logarithms": Mistake(
                lambda table, x: -table[shifted(x), x].sum(1),
                "Logits are not yet log-probabilities: apply log_softmax to each row.",
            ),
            "probabilities for logarithms": Mistake(
                lambda table, x: (
                    -table.softmax(-1)[shifted(x)].gather(-1, x[..., None]).squeeze(-1).sum(1)
                ),
                "You add up probabilities: take the logarithm of each first, as log_softmax does.",
            ),
            "softmax twice": Mistake(
                lambda table, x: scored(table.softmax(-1), shifted(x), x).sum(1),
                "You apply softmax and then log_softmax, as F.cross_entropy does too: give it the "
                "logits themselves.",
            ),
            "rows and columns exchanged": Mistake(
                lambda table, x: -table.log_softmax(-1)[x, shifted(x).clamp(max=V - 1)].sum(1),
                "Rows and columns are exchanged: the row is the word before, the column the word "
                "that is predicted.",
            ),
            "the last word for the start": Mistake(
                lambda table, x: scored(table, shifted(x, V - 1), x).sum(1),
                "Before the first word you look up row V - 1, which belongs to a word: the start "
                "symbol has row V, the last one.",
            ),
            "softmax over the rows": Mistake(
                lambda table, x: -table.log_softmax(0)[shifted(x), x].sum(1),
                "Your softmax runs down the columns: the words of one row must add up to 1, so "
                "use the last dimension.",
            ),
        },
        cases=lambda seed=0: [
            (scale * normal(V + 1, V, seed=seed + n), some_texts(B, L, seed + n))
            for n, (B, L, scale) in enumerate(
                [(4, 5, 1), (3, 2, 2), (5, 1, 1), (1, 6, 1), (4, 4, 9)]
            )
        ],
    ),
    "causal_attention": Exercise(
        causal_attention,
        causal_attention_by_the_library,
        {
            "no mask": Mistake(
                lambda q, k, v: attended(q, k, v, torch.ones(len(q), len(q), dtype=torch.bool)),
                "Every position sees the whole text, also what comes after it: mask the scores "
                "of later positions with -inf.",
            ),
            "mask transposed": Mistake(
                lambda q, k, v: attended(q, k, v, all_so_far(q).T),
                "The mask is transposed: row i is the position that reads, and it may read the "
                "columns j <= i.",
            ),
            "mask after softmax": Mistake(
                lambda q, k, v: (
                    (q @ k.T / q.shape[1] ** 0.5).softmax(-1).masked_fill(~all_so_far(q), 0.0) @ v
                ),
                "You mask after the softmax, so the weights do not add up to 1, and what is "
                "missing reveals the words to come: set the scores to -inf before it.",
            ),
            "zero for minus infinity": Mistake(
                lambda q, k, v: (
                    (q @ k.T / q.shape[1] ** 0.5).masked_fill(~all_so_far(q), 0.0).softmax(-1) @ v
                ),
                "A score of 0 is not a mask: its weight is exp(0) over the sum. Set the scores of "
                "later positions to -inf.",
            ),
            "zero times infinity": Mistake(
                lambda q, k, v: v * torch.nan,
                "All your numbers are nan. If you multiply a mask by -inf, its zeros give 0 * "
                "-inf, which is nan: use masked_fill.",
            ),
            "upside down": Mistake(
                lambda q, k, v: attended(q, k, v, ~all_so_far(q)),
                "The mask is upside down: each position sees only what comes after it, and the "
                "last one nothing, hence nan. masked_fill fills where its mask is true.",
            ),
            "no softmax": Mistake(
                lambda q, k, v: (q @ k.T / q.shape[1] ** 0.5).masked_fill(~all_so_far(q), 0.0) @ v,
                "You average with the scores themselves: a softmax turns them into weights that "
                "add up to 1.",
            ),
            "scaled after the softmax": Mistake(
                lambda q, k, v: attended(q, k, v, all_so_far(q), 1.0) / q.shape[1] ** 0.5,
                "You divide by the square root of d after the softmax, so the weights do not add "
                "up to 1: divide the scores.",
            ),
            "the weights transposed": Mistake(
                lambda q, k, v: attended(q, k, torch.eye(len(q)).to(q), all_so_far(q)).T @ v,
                "The weights are transposed: the answer at i is the sum of w_ij v_j over j, "
                "weights @ v.",
            ),
            "keys for values": Mistake(
                lambda q, k, v: attended(q, k, k, all_so_far(q)),
                "You average the keys: the weights belong to the values v.",
            ),
            "not itself": Mistake(
                lambda q, k, v: attended(q, k, v, all_so_far(q).tril(-1)),
                "No position sees itself, and the first one sees nothing, hence nan: position i "
                "may read j <= i. The shift has already hidden the word to predict.",
            ),
            "one ahead": Mistake(
                lambda q, k, v: attended(
                    q, k, v, torch.ones(len(q), len(q), dtype=torch.bool).tril(1)
                ),
                "Each position also sees the next one: the last column that row i may read is i.",
            ),
            "not scaled": Mistake(
                lambda q, k, v: attended(q, k, v, all_so_far(q), 1.0),
                "The scores are not divided by the square root of d.",
            ),
            "divided by d": Mistake(
                lambda q, k, v: attended(q, k, v, all_so_far(q), 1 / q.shape[1]),
                "You divide by d: divide by its square root.",
            ),
            "the root of the length": Mistake(
                lambda q, k, v: attended(q, k, v, all_so_far(q), len(q) ** -0.5),
                "You divide by the square root of the number of positions: it is that of d, the "
                "numbers of a query.",
            ),
            "times the root": Mistake(
                lambda q, k, v: attended(q, k, v, all_so_far(q), q.shape[1] ** 0.5),
                "You multiply by the square root of d: divide by it.",
            ),
            "softmax over the queries": Mistake(
                lambda q, k, v: (
                    (q @ k.T / q.shape[1] ** 0.5).masked_fill(~all_so_far(q), -torch.inf).softmax(0)
                    @ v
                ),
                "Your softmax runs down the columns, over the positions that read: the weights "
                "of one row must add up to 1, so use the last dimension.",
            ),
            "queries and keys exchanged": Mistake(
                lambda q, k, v: attended(k, q, v, all_so_far(q)),
                "Queries and keys are exchanged: row i of the scores is q_i with every k_j, "
                "q @ k.T.",
            ),
            "weights only": Mistake(
                lambda q, k, v: attended(q, k, torch.eye(len(q)).to(q), all_so_far(q)),
                "These are the weights, (L, L): return the averages, weights @ v.",
            ),
        },
        cases=lambda seed=0: [
            tuple(normal(L, d, seed=3 * (seed + n) + part) for part in range(3))
            for n, (L, d) in enumerate([(4, 2), (5, 3), (3, 8), (1, 2)])
        ],
    ),
    "farthest": Exercise(
        farthest,
        farthest_by_steps,
        {
            "multiplied": Mistake(
                lambda window, layers, taps: layers * window + taps,
                "A window includes the word that reads: a layer reaches only window - 1 words "
                "farther back, and a convolution taps - 1.",
            ),
            "no overlap": Mistake(
                lambda window, layers, taps: layers * window + taps - 1,
                "A window includes the word that reads: the first layer sees window words, and "
                "each further one adds only window - 1.",
            ),
            "no overlap, no convolution": Mistake(
                lambda window, layers, taps: layers * window,
                "A window includes the word that reads, so a layer adds window - 1 words. And the "
                "convolution adds taps - 1.",
            ),
            "the length of the chapter's texts": Mistake(
                lambda window, layers, taps: min(32, layers * (window - 1) + taps),
                "You stop at 32 words, the length of this chapter's texts: the text here is as "
                "long as you like.",
            ),
            "a tree": Mistake(
                lambda window, layers, taps: window**layers + taps - 1,
                "You multiply the windows. A window slides by one word, so its parts overlap, "
                "and each layer adds window - 1 words.",
            ),
            "the last word not counted": Mistake(
                lambda window, layers, taps: layers * (window - 1) + taps - 1,
                "You count how far back the farthest word lies: count the words from there to "
                "the last one, both included.",
            ),
            "one layer": Mistake(
                lambda window, layers, taps: window,
                "That is what one layer sees. The next layer sees vectors that know of words "
                "farther back already.",
            ),
            "no convolution": Mistake(
                lambda window, layers, taps: layers * (window - 1) + 1,
                "You leave out the convolution, with which each position begins by knowing of "
                "taps - 1 words before it.",
            ),
            "a convolution in every layer": Mistake(
                lambda window, layers, taps: layers * (window + taps - 2) + 1,
                "There is one convolution, before the first layer: count its taps once.",
            ),
            "the convolution instead": Mistake(
                lambda window, layers, taps: max(layers * (window - 1) + 1, taps),
                "The convolution and the layers follow each other: their reaches add up.",
            ),
            "the convolution's word counted twice": Mistake(
                lambda window, layers, taps: layers * (window - 1) + taps + 1,
                "One word too many: one of the convolution's taps is the word itself, which you "
                "have counted already.",
            ),
        },
        cases=lambda seed=0: (
            [(2, 2, 1), (4, 1, 1), (1, 6, 1), (4, 3, 4), (16, 3, 3), (1, 1, 1), (2, 1, 4)]
            if seed == 0
            else [
                (2 + seed % 3, 3 + seed % 2, 4 - seed % 2),
                (4 + seed % 37, 1, 1),
                (1, 6 + seed % 7, 1),
                (4 + seed % 2, 3, 4 + seed % 3),
                (16 - seed % 4, 3 + seed % 2, 3),
                (1, 1, 1),
                (2, 1, 4 + seed % 41),
            ]
        ),
    ),
    "tempered_log_prob": Exercise(
        tempered_log_prob,
        tempered_log_prob_by_powers,
        {
            "not normalised": Mistake(
                lambda P, successor, x, T: tempered_by(P.log() / T, successor, x),
                "The powers p^(1/T) do not add up to 1: divide by their sum in every state.",
            ),
            "temperature upside down": Mistake(
                lambda P, successor, x, T: tempered_log_prob(P, successor, x, 1 / T),
                "You raise to the power T: the power is 1/T, so that a temperature below 1 "
                "sharpens.",
            ),
            "temperature on probabilities": Mistake(
                lambda P, successor, x, T: tempered_by((P / T).log_softmax(-1), successor, x),
                "You divide the probabilities by T and take a softmax: divide the "
                "log-probabilities.",
            ),
            "temperature on the result": Mistake(
                lambda P, successor, x, T: tempered_by(normalised(P / T).log(), successor, x),
                "This is log p(x), without T. If you divide probabilities by T, normalising takes "
                "it out again: raise them to the power 1/T.",
            ),
            "times the temperature": Mistake(
                lambda P, successor, x, T: tempered_by(P.log(), successor, x) * T,
                "You multiply log p(x) by T. The temperature is a power 1/T at every word, "
                "normalised there.",
            ),
            "the whole text": Mistake(
                tempered_as_a_whole,
                "You sharpen the distribution of whole texts. A sampler with a temperature "
                "sharpens one word after another, and normalises in every state.",
            ),
            "normalised down the columns": Mistake(
                lambda P, successor, x, T: tempered_by((P.log() / T).log_softmax(0), successor, x),
                "You normalise down the columns, over the states: the words of one state must add "
                "up to 1, so use the last dimension.",
            ),
            "normalised over the table": Mistake(
                lambda P, successor, x, T: tempered_by(
                    P.log() / T - (P.log() / T).logsumexp((0, 1)), successor, x
                ),
                "You divide by the sum of the whole table: each state has a sum of its own.",
            ),
            "a softmax of powers": Mistake(
                lambda P, successor, x, T: tempered_by(
                    (P ** (1 / T)).log_softmax(-1), successor, x
                ),
                "You take a softmax of the powers, which exponentiates them: divide them by their "
                "sum.",
            ),
            "the sum, not its logarithm": Mistake(
                lambda P, successor, x, T: tempered_by(
                    P.log() / T - (P ** (1 / T)).sum(-1, keepdim=True), successor, x
                ),
                "You subtract the sum of the powers: in logarithms, subtract its logarithm.",
            ),
            "the sum added": Mistake(
                lambda P, successor, x, T: tempered_by(
                    P.log() / T + (P.log() / T).logsumexp(-1, keepdim=True), successor, x
                ),
                "You add the logarithm of the sum, which multiplies by the sum: subtract it.",
            ),
            "the word for the state": Mistake(
                lambda P, successor, x, T: (
                    (P.log() / T).log_softmax(-1)[F.pad(x[:-1], (1, 0)), x].sum()
                ),
                "You take the word before for the state: the state is successor[state, word], from "
                "state 0 on.",
            ),
            "normalised in the next state": Mistake(
                normalised_after_the_word,
                "You divide by the sum in the state after the word: it is the state before the "
                "word that offered the choice.",
            ),
            "normalised once": Mistake(
                lambda P, successor, x, T: (
                    tempered_by(P.log() / T, successor, x) - (P[0].log() / T).logsumexp(0)
                ),
                "You normalise the first word only: every word is a choice of its own.",
            ),
            "normalised by the first state": Mistake(
                lambda P, successor, x, T: (
                    tempered_by(P.log() / T, successor, x) - len(x) * (P[0].log() / T).logsumexp(0)
                ),
                "You divide every word by the sum of state 0: each state has its own.",
            ),
            "the state never moves": Mistake(
                lambda P, successor, x, T: (P[0].log() / T).log_softmax(-1)[x].sum(),
                "You take every word's probability in state 0: after each word go on to "
                "successor[state, word].",
            ),
            "moves too early": Mistake(
                tempered_after_moving,
                "You move to the next state before you look up the word: look it up first.",
            ),
            "a probability": Mistake(
                lambda P, successor, x, T: tempered_log_prob(P, successor, x, T).exp(),
                "This is the probability: return its logarithm.",
            ),
        },
        cases=lambda seed=0: [
            (varied_rows(seed, rows), successor, torch.tensor(x), varied(seed, T))
            for (rows, successor), x, T in [
                ((SMALL.P, SMALL.successor), [0, 2, 0, 2], 0.5),
                ((SMALL.P, SMALL.successor), [1, 1, 2], 2.0),
                ((P, NEXT), [0, 1, 1, 0, 2], 0.7),
                ((P, NEXT), [1, 2, 1, 2], 0.25),
                ((P, NEXT), [0, 0, 2], 0.8),
                ((P, NEXT), [1, 0, 1, 0], 0.05),
            ]
        ],
    ),
    "nucleus": Exercise(
        nucleus,
        nucleus_by_pairs,
        {
            "as printed": Mistake(
                lambda p, top_p: nucleus_cut(p, top_p, fits),
                "Two things are wrong. The word with which the sum reaches top_p must stay, "
                "and what stays must add up to 1.",
            ),
            "the crossing word cut": Mistake(
                lambda p, top_p: normalised(nucleus_cut(p, top_p, fits)),
                "You cut the word with which the sum reaches top_p. Where the first word alone "
                "is above top_p nothing is left, hence nan: the crossing word stays.",
            ),
            "the crossing word cut, also at top_p": Mistake(
                lambda p, top_p: normalised(nucleus_cut(p, top_p, below)),
                "You cut the word with which the sum reaches top_p, also where it reaches it "
                "exactly. It stays; where it was the first, nothing is left, hence nan.",
            ),
            "the crossing word cut, also at top_p, and not normalised": Mistake(
                lambda p, top_p: nucleus_cut(p, top_p, below),
                "You cut the word with which the sum reaches top_p, also where it reaches it "
                "exactly. It stays, and what stays must add up to 1.",
            ),
            "the crossing word cut, but never the first": Mistake(
                lambda p, top_p: normalised(
                    nucleus_cut(p, top_p, lambda o, s, t: (s <= t) | (o == o[..., :1]))
                ),
                "You cut the word with which the sum reaches top_p, unless it is the first. It "
                "stays: the set must have at least the share top_p.",
            ),
            "not normalised": Mistake(
                lambda p, top_p: nucleus_cut(p, top_p, reaches),
                "The right words stay, but they do not add up to 1: divide by their sum.",
            ),
            "normalised over the rows": Mistake(
                lambda p, top_p: (
                    nucleus_cut(p, top_p, reaches) / nucleus_cut(p, top_p, reaches).sum(0)
                ),
                "You divide by the sums of the columns: each row must add up to 1, so sum over the "
                "last dimension.",
            ),
            "normalised over everything": Mistake(
                lambda p, top_p: (
                    nucleus_cut(p, top_p, reaches) / nucleus_cut(p, top_p, reaches).sum()
                ),
                "You divide by the sum of all rows together: each row must add up to 1, so sum "
                "over the last dimension.",
            ),
            "divided by top_p": Mistake(
                lambda p, top_p: nucleus_cut(p, top_p, reaches) / top_p,
                "You divide by top_p: what is kept adds up to top_p or more, so divide by its sum.",
            ),
            "gathered": Mistake(
                lambda p, top_p: normalised(nucleus_cut(p, top_p, reaches, back=False)).gather(
                    -1, p.sort(descending=True, stable=True)[1]
                ),
                "You take the words back with gather, which sorts once more: scatter puts each to "
                "the column that it came from.",
            ),
            "one too many": Mistake(
                lambda p, top_p: normalised(
                    nucleus_cut(p, top_p, lambda ordered, total, t: total - ordered <= t)
                ),
                "Where the sum reaches top_p exactly you keep one word more: a word stays while "
                "the more probable ones are still below top_p.",
            ),
            "in sorted order": Mistake(
                lambda p, top_p: normalised(nucleus_cut(p, top_p, reaches, back=False)),
                "Your probabilities are still sorted: put each back to its own word, as scatter "
                "does.",
            ),
            "the words of other columns": Mistake(
                lambda p, top_p: normalised(
                    p * reaches(s := p.sort(descending=True, stable=True)[0], s.cumsum(-1), top_p)
                ),
                "You decide in sorted order and apply it to the columns of p, whose words are "
                "others: put the decision back to its own word first, as scatter does.",
            ),
            "from the least probable": Mistake(
                lambda p, top_p: normalised(nucleus_cut(p, top_p, reaches, descending=False)),
                "You begin with the least probable words: sort in descending order.",
            ),
            "a threshold for each word": Mistake(
                lambda p, top_p: normalised(p * (p >= 1 - top_p)),
                "You compare each word's own probability with a threshold: it is their sum, "
                "from the most probable on, that must reach top_p.",
            ),
            "a share of the most probable": Mistake(
                lambda p, top_p: normalised(p * (p >= (1 - top_p) * p.amax(-1, keepdim=True))),
                "You compare with the most probable word, which is another rule (min-p): here "
                "the sum, from the most probable on, must reach top_p.",
            ),
            "a share of the words": Mistake(
                lambda p, top_p: normalised(
                    nucleus_cut(
                        p,
                        top_p,
                        lambda o, s, t: torch.arange(o.shape[-1]) < math.ceil(t * o.shape[-1]),
                    )
                ),
                "You keep a share of the number of words: keep a share of the probability.",
            ),
            "softmax": Mistake(
                lambda p, top_p: torch.where(nucleus(p, top_p) > 0, p, -torch.inf).softmax(-1),
                "You apply a softmax to probabilities, which flattens them: divide by the sum.",
            ),
        },
        cases=lambda seed=0: [
            (turned(seed, EXACT), 0.5),
            (turned(seed, EXACT), 0.75),
            (varied_rows(seed, turned(seed, EXACT)), varied(seed, 0.8, 0.9, 1.1)),
            (turned(seed, EXACT), 1.0),
            (turned(seed, RARE), 0.999),
            (turned(seed, ALIKE), 0.5),
            (turned(seed, ALIKE), 0.05),
            (varied_rows(seed, SMALL.P), varied(seed, 0.7, 0.9, 1.1)),
        ],
    ),
    "cached_mask": Exercise(
        cached_mask,
        cached_mask_by_positions,
        {
            "aligned at the top left": Mistake(
                lambda new, past: torch.ones(new, past + new, dtype=torch.bool).tril(),
                "Your triangle begins at the top left, as is_causal=True of PyTorch does: the "
                "first new word stands at position `past`, and sees all words before it.",
            ),
            "the past hidden": Mistake(
                lambda new, past: torch.cat(
                    [torch.zeros(new, past), torch.ones(new, new).tril()], 1
                ).bool(),
                "The new words do not see the past, which the cache keeps for them: the first "
                "`past` columns are all true.",
            ),
            "the past only": Mistake(
                lambda new, past: torch.cat([torch.ones(new, past), torch.zeros(new, new)], 1),
                "The new words do not see themselves: each sees its own position and the new "
                "ones before it.",
            ),
            "the future": Mistake(
                lambda new, past: torch.ones(new, past + new, dtype=torch.bool),
                "New words see those after them: among themselves the mask is causal.",
            ),
            "not itself": Mistake(
                lambda new, past: torch.ones(new, past + new, dtype=torch.bool).tril(past - 1),
                "No new word sees itself: row i may read the columns up to past + i.",
            ),
            "one ahead": Mistake(
                lambda new, past: torch.ones(new, past + new, dtype=torch.bool).tril(past + 1),
                "Each new word also sees the next one: row i may read the columns up to past + i.",
            ),
            "past and new exchanged": Mistake(
                lambda new, past: torch.ones(new, past + new, dtype=torch.bool).tril(new),
                "Your triangle begins at column `new`: the first new word stands at position "
                "`past`, so row i may read the columns up to past + i.",
            ),
            "the new words first": Mistake(
                lambda new, past: torch.cat(
                    [torch.ones(new, new).tril(), torch.ones(new, past)], 1
                ).bool(),
                "Your columns begin with the new words: the words of the cache come first.",
            ),
            "a row for every word": Mistake(
                lambda new, past: torch.ones(past + new, past + new, dtype=torch.bool).tril(),
                "You return a row for every word so far: only the new words read, which are the "
                "last `new` rows.",
            ),
            "scores": Mistake(
                lambda new, past: torch.zeros(new, past + new).masked_fill(
                    ~cached_mask(new, past), -torch.inf
                ),
                "These are numbers to add to the scores, 0 and -inf: return true where a word may "
                "be read and false elsewhere.",
            ),
            "transposed": Mistake(
                lambda new, past: cached_mask(new, past).T,
                "The mask is transposed: a row for each new word, a column for each word so far.",
            ),
            "upside down": Mistake(
                lambda new, past: ~cached_mask(new, past),
                "True and false are exchanged: true is what may be read.",
            ),
            "the other triangle": Mistake(
                lambda new, past: torch.ones(new, past + new, dtype=torch.bool).triu(past),
                "This is the upper triangle: each new word reads itself and what comes after. "
                "Take the lower one.",
            ),
            "without the past": Mistake(
                lambda new, past: torch.ones(new, new, dtype=torch.bool).tril(),
                "There are no columns for the past: past + new words can be read.",
            ),
        },
        cases=lambda seed=0: (
            [(1 + n + seed % 3, past + seed % 4) for n, past in enumerate([3, 4, 1, 5, 2])]
            + [(4 + seed % 2, 0), (1, 6 + seed % 3)]
        ),
    ),
}
