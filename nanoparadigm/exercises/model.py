"""Chapter 5, a masked diffusion language model. V = 3 words, the mask is symbol V."""

import torch
import torch.nn.functional as F

from .fresh import normal, varied
from .grader import Exercise, Mistake

V = 3

# --------------------------------------------------------------------------------------- the loss


def masked_loss(logits, x, z):
    masked = z == V
    return F.cross_entropy(logits[masked][:, :V], x[masked])


def masked_loss_by_weights(logits, x, z):
    return (token_losses(logits, x) * (z == V)).sum() / (z == V).sum()


def token_losses(logits, x, symbols=V):
    log_p = logits[..., :symbols].log_softmax(-1)
    return -log_p.gather(-1, x[..., None]).squeeze(-1)


def mean_of_rows(logits, x, z):
    masked = z == V
    return ((token_losses(logits, x) * masked).sum(1) / masked.sum(1)).mean()


def row_means(logits, x, z, symbols=V):
    masked = z == V
    return (token_losses(logits, x, symbols) * masked).sum(1) / masked.sum(1).clamp(min=1)


def off_by_one(logits, x, z):
    masked = (z == V)[:, 1:]
    return token_losses(logits[:, :-1], x[:, 1:])[masked].mean()


def softmax_twice(logits, x, z):
    masked = z == V
    return F.cross_entropy(logits[masked][:, :V].softmax(-1), x[masked])


# --------------------------------------------------------------------------- reading from both ends


def hollow_inputs(z, start):
    begin = torch.full((len(z), 1), start)
    return torch.stack([torch.cat([begin, y[:, :-1]], dim=1) for y in (z, z.flip(1))])


def hollow_inputs_by_padding(z, start):
    return F.pad(torch.stack([z, z.flip(1)]), (1, -1), value=start)


def readers(mistaken):
    """Return an answer whose two rows are mistaken(the right first one, the right second one)."""
    return lambda z, start: torch.stack(mistaken(*hollow_inputs(z, start)))


# ------------------------------------------------------------------------------------ a step back


def ancestral_step(z, words, t, s, U):
    return torch.where((z == V) & (U < (t - s) / t), words, z)


def ancestral_step_by_staying(z, words, t, s, U):
    revealed = z.clone()
    for place in (z == V).nonzero().tolist():
        if U[tuple(place)] < 1 - s / t:
            revealed[tuple(place)] = words[tuple(place)]
    return revealed


def reveals(chance, where=lambda z: z == V, otherwise=lambda z: z):
    """Return a step that reveals with chance(t, s) at `where` and leaves `otherwise`."""
    return lambda z, words, t, s, U: torch.where(where(z) & (U < chance(t, s)), words, otherwise(z))


def anywhere(z):
    return torch.ones_like(z, dtype=torch.bool)


# ------------------------------------------------------------------------------- two neighbours


def neighbours_line(h):
    return (h @ torch.tensor([1 / 3, 1 / 6, 1 / 6, 1 / 3], dtype=h.dtype)).sum()


def neighbours_line_by_noise_levels(h):
    """Average over noise levels, by Simpson's rule, which is exact for parabolas."""
    u = torch.tensor([0.0, 0.5, 1.0], dtype=h.dtype)
    weights = torch.tensor([1.0, 4.0, 1.0], dtype=h.dtype) / 6
    seen = torch.stack([u * u, u * (1 - u), u * (1 - u), (1 - u) ** 2], dim=1)
    return (weights @ seen @ h.T).sum()


def weighted(none, left, right, both):
    """Return an answer that weights the four entropies so."""
    return lambda h: (h @ torch.tensor([none, left, right, both], dtype=h.dtype)).sum()


# --------------------------------------------------------------------------------- drawn together


def drawn_together(L, T):
    return L * (L - 1) / 2 / T


def drawn_together_by_counting(L, T):
    return sum(1 / T for j in range(L) for i in range(j))


# ------------------------------------------------------------------------------------- the cases

TEXTS = [
    torch.tensor([[0, 1, 2, 2, 1], [2, 1, 0, 2, 2], [1, 0, 0, 1, 2]]),
    torch.tensor([[2, 0], [1, 1], [0, 2], [2, 1]]),
    torch.tensor([[1, 1, 0, 2, 0, 2, 1], [0, 2, 1, 1, 2, 0, 0]]),
]
NOISY = [
    torch.tensor([[0, V, V, V, 1], [V, 1, 0, 2, 2], [1, V, 0, V, 2]]),
    torch.tensor([[V, V], [1, V], [0, 2], [V, 1]]),  # one text has no mask
    torch.tensor([[1, V, 0, V, V, 2, V], [V, V, V, V, V, V, V]]),
]


def uniforms(*shape, seed=0):
    return torch.rand(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def steps_back(seed=0):
    """Return steps in the middle, at the end, and close to the end, with words nearly at random."""
    times = [(0.8, 0.5), (0.5, 0.4), (0.05, 0.02), (0.25, 0.0), (1.0, 0.9)]
    return [
        (
            torch.where(uniforms(rows, 12, seed=n) < 0.6, V, n % V),
            torch.randint(V, (rows, 12), generator=torch.Generator().manual_seed(n)),
            *pair,
            uniforms(rows, 12, seed=n + 5),
        )
        for n, (rows, pair) in enumerate(zip((4, 5, 4, 3, 4), times, strict=True), seed)
    ]


def entropies(L, seed=0):
    """Return four entropies (L, 4) for each word, less where more is seen."""
    u = uniforms(L, 4, seed=seed)
    return 2.5 * u.sort(dim=1, descending=True).values * (1 + uniforms(L, 1, seed=seed + 1))


EXERCISES = {
    "masked_loss": Exercise(
        masked_loss,
        masked_loss_by_weights,
        {
            "every token pays": Mistake(
                lambda logits, x, z: token_losses(logits, x).mean(),
                "You count the visible tokens too. The network sees those and would learn to copy "
                "them: only masked tokens are targets.",
            ),
            "only visible tokens pay": Mistake(
                lambda logits, x, z: token_losses(logits, x)[z != V].mean(),
                "Your targets are the visible tokens: pick those where z is the mask, `z == 3`.",
            ),
            "the mask is a word": Mistake(
                lambda logits, x, z: token_losses(logits, x, V + 1)[z == V].mean(),
                "Your softmax includes the mask, which no clean text contains: cut the logits to "
                "the first V before it.",
            ),
            "every token pays, the mask is a word": Mistake(
                lambda logits, x, z: token_losses(logits, x, V + 1).mean(),
                "Two things: visible tokens are no targets, so keep only those where z is masked; "
                "and the mask is no word, so cut the logits to the first V.",
            ),
            "the mask is the target": Mistake(
                lambda logits, x, z: token_losses(logits, z, V + 1)[z == V].mean(),
                "Your target is z, the mask itself: the network would learn to predict masks. The "
                "target is the clean word x.",
            ),
            "softmax twice": Mistake(
                softmax_twice,
                "You take the softmax twice: F.cross_entropy takes one itself, so give it "
                "logits, not probabilities.",
            ),
            "probabilities": Mistake(
                lambda logits, x, z: (-token_losses(logits, x)[z == V]).exp().neg().mean(),
                "You average probabilities: the loss is the average of their negative logarithms.",
            ),
            "probabilities, the mask is a word": Mistake(
                lambda logits, x, z: (-token_losses(logits, x, V + 1)[z == V]).exp().neg().mean(),
                "Two things: the loss is the average of negative logarithms of probabilities, not "
                "of probabilities; and the mask is no word, so cut the logits to the first V.",
            ),
            "the mask is the target where a word is visible": Mistake(
                lambda logits, x, z: token_losses(logits, x.where(z == V, V), V + 1).mean(),
                "Visible tokens get the mask as their target, so the network would learn to "
                "predict masks: leave them out, and cut the logits to the first V.",
            ),
            "the target is z, everywhere": Mistake(
                lambda logits, x, z: token_losses(logits, z, V + 1).mean(),
                "Your target is z, which the network sees: it would learn to copy. The target is "
                "the clean word x, where z is masked.",
            ),
            "off by one, as in a GPT": Mistake(
                off_by_one,
                "You compare position i with word i + 1, as a GPT does. Here the logits at i "
                "predict the word at i itself: no shift.",
            ),
            "summed": Mistake(
                lambda logits, x, z: (token_losses(logits, x) * (z == V)).sum(),
                "You sum over the masked tokens: divide by how many there are.",
            ),
            "a mean of means": Mistake(
                mean_of_rows,
                "You average within each text first, so that a lone masked token counts as much as "
                "a whole text of them: divide the total loss by the number of all masked tokens.",
            ),
            "a mean of means, without a mask 0": Mistake(
                lambda logits, x, z: row_means(logits, x, z).mean(),
                "You average within each text first, so that a lone masked token counts as much as "
                "a whole text of them: divide the total loss by the number of all masked tokens.",
            ),
            "a mean of means, where there is a mask": Mistake(
                lambda logits, x, z: row_means(logits, x, z)[(z == V).any(1)].mean(),
                "You average within each text first, so that a lone masked token counts as much as "
                "a whole text of them: divide the total loss by the number of all masked tokens.",
            ),
            "a mean of means, the mask is a word": Mistake(
                lambda logits, x, z: row_means(logits, x, z, V + 1).mean(),
                "Two things: divide the total loss by the number of all masked tokens, not text by "
                "text; and the mask is no word, so cut the logits to the first V.",
            ),
            "the bound": Mistake(
                lambda logits, x, z: x.shape[1] * row_means(logits, x, z).mean(),
                "This is the bound of chapter 4, by mask counts. The loss asked for pools the "
                "batch: divide the total loss by the number of all masked tokens.",
            ),
            "divided by the texts": Mistake(
                lambda logits, x, z: (token_losses(logits, x) * (z == V)).sum() / len(x),
                "You divide by the number of texts: divide by the number of masked tokens.",
            ),
            "divided by all tokens": Mistake(
                lambda logits, x, z: (token_losses(logits, x) * (z == V)).mean(),
                "You divide by the number of all tokens: divide by the number of masked ones.",
            ),
        },
        cases=lambda seed=0: [
            (normal(*x.shape, V + 1, seed=n), varied(seed, x), z)
            for n, (x, z) in enumerate(zip(TEXTS, NOISY, strict=True), seed)
        ],
    ),
    "hollow_inputs": Exercise(
        hollow_inputs,
        hollow_inputs_by_padding,
        {
            "not shifted": Mistake(
                lambda z, start: torch.stack([z, z.flip(1)]),
                "Your readers have already read token i when they predict it: shift each by one, "
                "with the start symbol in front.",
            ),
            "left reader not shifted": Mistake(
                lambda z, start: torch.stack([z, hollow_inputs(z, start)[1]]),
                "The reader from the left has read token i when it predicts it: shift it by one "
                "too, with the start symbol in front.",
            ),
            "right reader not shifted": Mistake(
                lambda z, start: torch.stack([hollow_inputs(z, start)[0], z.flip(1)]),
                "The reader from the right has read token i when it predicts it: shift it by one "
                "too, with the start symbol in front.",
            ),
            "begun with 0": Mistake(
                lambda z, start: hollow_inputs(z, 0),
                "Your rows begin with 0, which is a word: begin with `start`. F.pad takes it as "
                "`value`.",
            ),
            "both from the left": Mistake(
                readers(lambda left, right: (left, left)),
                "Both of your readers read from the left: the second begins at the end of the "
                "text, so flip it first.",
            ),
            "flipped after the shift": Mistake(
                readers(lambda left, right: (left, left.flip(1))),
                "You shift before you flip, so the right reader starts with a token from the "
                "middle and ends with the start symbol: flip first, then shift.",
            ),
            "right reader turned back": Mistake(
                readers(lambda left, right: (left, right.flip(1))),
                "Your right reader's rows are flipped back into the order of the text: leave them "
                "in the order in which they are read, from the start symbol on.",
            ),
            "right reader first": Mistake(
                readers(lambda left, right: (right, left)),
                "Your two readers are in the wrong order: the one from the left comes first.",
            ),
            "texts first": Mistake(
                lambda z, start: hollow_inputs(z, start).transpose(0, 1),
                "Your result is (B, 2, L): the readers come first, (2, B, L), so stack along "
                "dimension 0.",
            ),
            "one too long": Mistake(
                lambda z, start: F.pad(torch.stack([z, z.flip(1)]), (1, 0), value=start),
                "Your rows have L + 1 tokens: after its last token a reader has nothing left to "
                "predict, so leave that token out.",
            ),
            "in a ring": Mistake(
                lambda z, start: torch.stack([z.roll(1, 1), z.flip(1).roll(1, 1)]),
                "Your rows wrap around: the token that drops out at the end comes in at the front, "
                "where a reader should know nothing yet. Put the start symbol there.",
            ),
            "the mask as start": Mistake(
                lambda z, start: hollow_inputs(z, V),
                "Your rows begin with the mask: begin with `start`, a symbol of its own, so "
                "that a reader knows where the text ends.",
            ),
            "texts turned round": Mistake(
                lambda z, start: torch.stack(
                    [hollow_inputs(z, start)[0], hollow_inputs(z.flip(0), start)[0]]
                ),
                "You flip the order of the texts, flip(0): flip the words of each text, flip(1).",
            ),
        },
        cases=lambda seed=0: [
            (varied(seed, z), start)
            for z, start in (
                (torch.tensor([[4, 1, 2, 6], [0, 5, 3, 3], [1, 6, 2, 0]]), 7),
                (torch.tensor([[0, 1, 2, 2, 1], [2, 1, 0, 4, 6]]), 9),
                (torch.tensor([[2], [5], [0], [3]]), 8),
            )
        ],
    ),
    "ancestral_step": Exercise(
        ancestral_step,
        ancestral_step_by_staying,
        {
            "both bugs": Mistake(
                reveals(lambda t, s: t - s, anywhere),
                "This is the function as it was given. Ask what it does to a visible word, and "
                "what it does in the last step, where s is 0.",
            ),
            "writes over what stands": Mistake(
                reveals(lambda t, s: (t - s) / t, anywhere),
                "The chance is right now; but visible words are still replaced, and a word that "
                "has been revealed must stay: ask for z == 3 too.",
            ),
            "not given the mask": Mistake(
                reveals(lambda t, s: t - s),
                "Visible words stay now; but t - s is the chance before anything is known. Given "
                "that the token is masked at t, it is (t - s) / t.",
            ),
            "reveals with the chance to stay": Mistake(
                reveals(lambda t, s: s / t),
                "You reveal with s / t, the chance of staying masked: take the rest, (t - s) / t.",
            ),
            "reveals with s": Mistake(
                reveals(lambda t, s: s),
                "You reveal with probability s, the share that should still be masked afterwards: "
                "the chance of a masked token is (t - s) / t.",
            ),
            "reveals with 1 - s": Mistake(
                reveals(lambda t, s: 1 - s),
                "You reveal with 1 - s, the share of all tokens that is visible at s: of those "
                "that are masked at t, the share (t - s) / t is revealed.",
            ),
            "the way out": Mistake(
                reveals(lambda t, s: (t - s) / (1 - s)),
                "Your (t - s) / (1 - s) is the chance that a word visible at s has vanished by t. "
                "On the way back the token is masked at t: divide by t.",
            ),
            "everything at once": Mistake(
                reveals(lambda t, s: 2.0),
                "You reveal all masks in one step: reveal each with probability (t - s) / t.",
            ),
            "t and s exchanged": Mistake(
                reveals(lambda t, s: 1 - t / s if s else -1.0),
                "You reveal nothing. If your chance is 1 - t / s, it is negative, since t is the "
                "later time: take 1 - s / t, which is (t - s) / t.",
            ),
            "t for alpha": Mistake(
                reveals(lambda t, s: (t - s) / (1 - t) if t < 1 else 2.0),
                "You put t where alpha belongs: with alpha = 1 - t the chance is (t - s) / t.",
            ),
            "the mask turned round": Mistake(
                reveals(lambda t, s: (t - s) / t, lambda z: z != V),
                "You replace visible words and leave the masks: ask for z == 3, not z != 3.",
            ),
            "masks what was visible": Mistake(
                reveals(lambda t, s: (t - s) / t, otherwise=lambda z: torch.full_like(z, V)),
                "You put the mask wherever nothing is revealed, even over visible words: those "
                "stay as they are in z.",
            ),
            "words and z exchanged": Mistake(
                lambda z, words, t, s, U: torch.where((z == V) & (U < (t - s) / t), z, words),
                "Your condition is right, but torch.where takes what holds where it is true first: "
                "`words`, then `z`.",
            ),
            "or instead of and": Mistake(
                lambda z, words, t, s, U: torch.where((z == V) | (U < (t - s) / t), words, z),
                "You reveal where the token is masked *or* its number is below the chance: both "
                "must hold, `&`.",
            ),
            "& before ==": Mistake(
                lambda z, words, t, s, U: torch.where(z == (V & (U < (t - s) / t)), words, z),
                "Python reads `z == 3 & (...)` as `z == (3 & (...))`: write `(z == 3) & (...)`.",
            ),
            "reveals with t": Mistake(
                reveals(lambda t, s: t),
                "You reveal with t, the chance of being masked at t: of the tokens masked at t, "
                "the share (t - s) / t is revealed.",
            ),
            "reveals with 1 - t": Mistake(
                reveals(lambda t, s: 1 - t),
                "You reveal with 1 - t, the share of tokens already visible at t: of those that "
                "are masked at t, the share (t - s) / t is revealed.",
            ),
            "times t": Mistake(
                reveals(lambda t, s: (t - s) * t),
                "You multiply by t: given that the token is masked at t, divide by t.",
            ),
            "one number for all": Mistake(
                lambda z, words, t, s, U: torch.where(
                    (z == V) & (U[:, :1] < (t - s) / t), words, z
                ),
                "You use one number for all tokens of a text: each token has its own in `U`.",
            ),
            "above instead of below": Mistake(
                lambda z, words, t, s, U: torch.where((z == V) & (U > (t - s) / t), words, z),
                "You reveal where U is above the probability: a uniform number is below it with "
                "exactly that probability.",
            ),
        },
        cases=steps_back,
    ),
    "neighbours_line": Exercise(
        neighbours_line,
        neighbours_line_by_noise_levels,
        {
            "a quarter each": Mistake(
                weighted(0.25, 0.25, 0.25, 0.25),
                "A quarter each would be right if the noise level were always one half. It is "
                "uniform, and both neighbours share it: average over u.",
            ),
            "both always seen": Mistake(
                weighted(0, 0, 0, 1),
                "You let the network always see both neighbours: they are masked as often as any "
                "other word, with probability u.",
            ),
            "nothing ever seen": Mistake(
                weighted(1, 0, 0, 0),
                "You let the network see nothing but the position: at noise level u a neighbour is "
                "visible with probability 1 - u.",
            ),
            "as in the loss": Mistake(
                weighted(1 / 2, 1 / 6, 1 / 6, 1 / 6),
                "This is what the training loss would stop at, which gives noise level u the "
                "weight u. The bound gives every u the same weight for a word.",
            ),
            "one or the other": Mistake(
                weighted(0, 0.5, 0.5, 0),
                "You let exactly one neighbour be visible: at noise level u neither is with "
                "probability u^2, and both are with (1 - u)^2.",
            ),
            "all or nothing": Mistake(
                weighted(0.5, 0, 0, 0.5),
                "You let both neighbours be masked or visible together: they share the noise level "
                "u, but given u they are independent.",
            ),
            "thirds and sixths exchanged": Mistake(
                weighted(1 / 6, 1 / 3, 1 / 3, 1 / 6),
                "You give the thirds to one visible neighbour on either side: each of those has "
                "the integral of u (1 - u), a sixth; none and both have a third each.",
            ),
            "without the weight of the bound": Mistake(
                weighted(1 / 4, 1 / 12, 1 / 12, 1 / 12),
                "You count a word as often as it is masked, with probability u, and forget the "
                "weight 1 / u of the bound, which cancels that.",
            ),
            "not halved": Mistake(
                weighted(1 / 3, 1 / 3, 1 / 3, 1 / 3),
                "Your weights add up to 4/3. One visible neighbour has a third altogether: a sixth "
                "if it is the left one, a sixth if it is the right one.",
            ),
            "a mean over words": Mistake(
                lambda h: neighbours_line(h) / len(h),
                "This is the bound per word: return that of the whole text, the sum over its "
                "words.",
            ),
        },
        cases=lambda seed=0: [(entropies(L, seed + 10 * n),) for n, L in enumerate((5, 3, 8))],
    ),
    "drawn_together": Exercise(
        drawn_together,
        drawn_together_by_counting,
        {
            "ordered pairs": Mistake(
                lambda L, T: L * (L - 1) / T,
                "You count each pair twice: L words make L (L - 1) / 2 pairs.",
            ),
            "exactly L / T a step": Mistake(
                lambda L, T: L / 2 * (L / T - 1),
                "This is for exactly L / T words a step. The number is random, and steps with more "
                "words than that hold more pairs: count pair by pair.",
            ),
            "one given step": Mistake(
                lambda L, T: L * (L - 1) / 2 / T**2,
                "This is the number of pairs in one given step: there are T steps in which a pair "
                "may come together.",
            ),
            "one pair": Mistake(
                lambda L, T: 1 / T,
                "This is the chance of one pair: there are L (L - 1) / 2 of them.",
            ),
            "words a step": Mistake(
                lambda L, T: L / T,
                "This is the number of words a step: count the pairs of words that come in the "
                "same step, over all steps.",
            ),
            "neighbours": Mistake(
                lambda L, T: (L - 1) / T,
                "You count L - 1 pairs, those of neighbours or of one word with the others: any "
                "two words may come in the same step.",
            ),
            "a word with itself": Mistake(
                lambda L, T: L * (L + 1) / 2 / T,
                "You let a word make a pair with itself: L words make L (L - 1) / 2 pairs.",
            ),
            "half of the square": Mistake(
                lambda L, T: L * L / 2 / T,
                "You count L^2 / 2 pairs, half of those of a word with itself among them: L words "
                "make L (L - 1) / 2 pairs.",
            ),
            "pairs that come apart": Mistake(
                lambda L, T: L * (L - 1) / 2 * (1 - 1 / T),
                "You count the pairs that come in different steps: two words meet with probability "
                "1 / T.",
            ),
            "one step of L / T words": Mistake(
                lambda L, T: L / T * (L / T - 1) / 2,
                "This is one step of exactly L / T words. There are T steps, and the number of "
                "words in each is random: count pair by pair.",
            ),
        },
        cases=lambda seed=0: [
            (5 + seed % 7, 1),
            (32 - seed % 11, 16),
            (12 + seed % 5, 64),
            (7, 3 + seed % 3),
        ],
    ),
}
