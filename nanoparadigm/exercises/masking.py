"""Chapter 3, the mathematics of masking. The mask is symbol V, here 3."""

import math
from itertools import combinations

import torch

from .fresh import obeys, varied
from .grader import Exercise, Mistake, wrong_shape

V = 3
X = torch.tensor([0, 1, 2, 1])
# a schedule is tried at both ends, and where 1 - alpha is tiny
TIMES = torch.tensor([0.0, 0.001, 0.05, 0.3, 0.5, 0.8, 0.97, 1.0], dtype=torch.float64)
MORE_TIMES = torch.tensor([0.25, 0.6, 0.9], dtype=torch.float64)

# ------------------------------------------------------------------------------------- corrupt


def corrupt(x, alpha, generator):
    U = torch.rand(x.shape, generator=generator)
    return torch.where(U < alpha, x, V)


def corrupt_in_place(x, alpha, generator):
    z = x.clone()
    z[torch.rand(x.shape, generator=generator) >= alpha] = V
    return z


def corrupt_backwards(x, alpha, generator):
    return corrupt(x, 1 - alpha, generator)


def by_coins(coins, mask=V):
    """Return `corrupt` with the numbers that coins(x, generator) draws, and another mask."""
    return lambda x, alpha, generator: torch.where(coins(x, generator) < alpha, x, mask)


def one_coin_a_text(x, generator):
    return torch.rand(len(x), 1, generator=generator)


def one_coin_a_place(x, generator):
    return torch.rand(x.shape[-1], generator=generator)


def one_coin_a_word(x, generator):
    return torch.rand(V, generator=generator)[x]


def one_coin(x, generator):
    return torch.rand(1, generator=generator)


def normal(x, generator):
    return torch.randn(x.shape, generator=generator)


def usual(x, generator):
    return torch.rand(x.shape, generator=generator)


def ignores(x, generator):
    return torch.rand(x.shape)


def reseeds(x, generator):
    return torch.rand(x.shape, generator=torch.Generator().manual_seed(0))


def shared_coins(x, generator):
    half = torch.rand(len(x), x.shape[-1] // 2, generator=generator)
    return torch.cat([half, half], dim=-1)


def antithetic_coins(x, generator):
    half = torch.rand(len(x), x.shape[-1] // 2, generator=generator)
    return torch.cat([half, 1 - half], dim=-1)


def antithetic_texts(x, generator):
    half = torch.rand(len(x) // 2, x.shape[-1], generator=generator)
    return torch.cat([half, 1 - half])


def fixed_number(x, alpha, generator):
    place = torch.rand(x.shape, generator=generator).argsort(-1).argsort(-1)
    return torch.where(place < round((1 - alpha) * x.shape[-1]), V, x)


def fixed_number_of_the_batch(x, alpha, generator):
    place = torch.rand(x.numel(), generator=generator).argsort().argsort().view(x.shape)
    return torch.where(place < round((1 - alpha) * x.numel()), V, x)


def random_symbols(x, alpha, generator):
    noise = torch.randint(V, x.shape, generator=generator)
    return torch.where(torch.rand(x.shape, generator=generator) < alpha, x, noise)


def as_bert_does(x, alpha, generator):
    picked = torch.rand(x.shape, generator=generator) >= alpha
    kind = torch.rand(x.shape, generator=generator)
    noise = torch.randint(V, x.shape, generator=generator)
    return torch.where(picked, torch.where(kind < 0.8, V, torch.where(kind < 0.9, noise, x)), x)


def masked_frequencies(answer, x, alpha, n=20_000):
    """Return of n texts how often tokens are masked, alone and together, and what else tells.

    In this order, L tokens in a text: each is masked (L); two of a text are (every pair); a token
    is in two texts of the batch, n / 2 apart and side by side (2 L); a visible token is another
    than in x (L); equal generators agree, others differ; all of three batches have as many masks.
    """
    text = x.expand(n, -1)
    batches = [answer(text.clone(), alpha, torch.Generator().manual_seed(s)) for s in range(3)]
    for batch in batches:
        if batch.shape != text.shape:
            raise wrong_shape(batch.shape, text.shape)
    z = torch.stack(batches)
    masked = (z == V).double()
    pairs = [masked[..., i] * masked[..., j] for i, j in combinations(range(x.shape[-1]), 2)]
    apart = masked[:, : n // 2] * masked[:, n // 2 :], masked[:, ::2] * masked[:, 1::2]
    frequencies = [
        masked.mean((0, 1)),
        torch.stack(pairs).mean((1, 2)),
        *(both.mean((0, 1)) for both in apart),
        ((z != V) & (z != text)).double().mean((0, 1)),
    ]
    generated = obeys(lambda generator: answer(text[:200].clone(), alpha, generator))
    whole = len({int((batch == V).sum()) for batch in batches}) == 1
    shares = torch.cat(frequencies).round(decimals=2)  # a student is told 0.75, not 0.7514
    return torch.cat([shares, generated, torch.tensor([float(whole)])])


def frequency(index, x, alpha):
    """Say which of those numbers stands at a place."""
    L = x.shape[-1]
    said = [f"the share of draws in which token {i} is masked" for i in range(L)]
    for i, j in combinations(range(L), 2):
        said.append(f"the share of draws in which tokens {i} and {j} are both masked")
    for which in "the first half and the second half of the batch", "neighbouring rows":
        said += [f"how often token {i} is masked in two texts at once, {which}" for i in range(L)]
    said += [f"the share of draws in which token {i} is visible, but wrong" for i in range(L)]
    said.append("whether equal generators give equal texts (1 is yes)")
    said.append("whether different generators give different texts (1 is yes)")
    said.append("whether every batch has exactly the same number of masks (1 is yes)")
    return said[index[0]]


# ------------------------------------------------------------------------- the reverse posterior


def reveal_probability(alpha_s, alpha_t):
    return (alpha_s - alpha_t) / (1 - alpha_t)


def reveal_by_complement(alpha_s, alpha_t):
    return 1 - (1 - alpha_s) / (1 - alpha_t)


def reverse_posterior(z, x, alpha_s, alpha_t):
    p = torch.zeros(len(z), V + 1, dtype=torch.float64)
    for i, (seen, true) in enumerate(zip(z.tolist(), x.tolist(), strict=True)):
        if seen != V:
            p[i, seen] = 1
        else:
            p[i, true] = reveal_probability(alpha_s, alpha_t)
            p[i, V] = 1 - p[i, true]
    return p


def by_bayes(z, x, alpha_s, alpha_t):
    """Return the same as the chapter's matrices do."""

    def transition(survival):
        Q = survival * torch.eye(V + 1, dtype=torch.float64)
        Q[:, V] += 1 - survival
        return Q

    prior, onward, total = transition(alpha_s), transition(alpha_t / alpha_s), transition(alpha_t)
    return onward[:, z].T * prior[x] / total[x, z][:, None]


def one_hot(symbols):
    return torch.nn.functional.one_hot(symbols, V + 1).double()


def with_rows(masked_row, visible_row=None):
    """Return an answer with other rows: each (one-hot of x, of the mask, s, t) -> (L, V + 1)."""

    def answer(z, x, alpha_s, alpha_t):
        word, mask = one_hot(x), one_hot(torch.full_like(x, V))
        rows = masked_row(word, mask, alpha_s, alpha_t)
        visible = visible_row(word, mask, alpha_s, alpha_t) if visible_row else one_hot(z)
        return torch.where((z == V)[:, None], rows, visible)

    return answer


def entries(revealed, stays):
    """Return a row for `with_rows`: revealed(s, t) at the word and stays(s, t) at the mask.

    Everywhere else it is 0, as in a loop, also where one of the two is infinite.
    """

    def row(word, mask, s, t):
        return torch.where(word > 0, revealed(s, t), torch.where(mask > 0, stays(s, t), 0.0))

    return row


def by_alpha_s(alpha_s, alpha_t):
    return (alpha_s - alpha_t) / (1 - alpha_s)


def stays_masked(alpha_s, alpha_t):
    return (1 - alpha_s) / (1 - alpha_t)


def normalised(z, x, alpha_s, alpha_t):
    """Return the rows of the listing for masked tokens, each divided by its sum."""
    p = with_rows(entries(by_alpha_s, stays_masked))(z, x, alpha_s, alpha_t)
    return p / p.sum(1, keepdim=True)


def right_row(word, mask, s, t):
    return reveal_probability(s, t) * word + (1 - reveal_probability(s, t)) * mask


def listing(z, x, alpha_s, alpha_t):
    """Return what the listing of the exercise does, with both of its mistakes."""
    p = torch.zeros(len(z), V + 1, dtype=torch.float64)
    for i in range(len(z)):
        p[i, x[i]] = (alpha_s - alpha_t) / (1 - alpha_s)
        p[i, V] = (1 - alpha_s) / (1 - alpha_t)
    return p


def mask_first(z, x, alpha_s, alpha_t):
    return reverse_posterior(z, x, alpha_s, alpha_t).roll(1, dims=-1)


# ----------------------------------------------------------------------------------- BERT's masks


def bert_shares(picked, V):
    masked = 0.8 * picked
    wrong = 0.1 * picked * (V - 1) / V
    return torch.tensor([masked, wrong, 1 - masked - wrong], dtype=torch.float64)


def bert_shares_by_counting(picked, V):
    kept = 0.1 * picked + sum(0.1 * picked / V for word in range(V) if word == 0)
    return [0.8 * picked, sum(0.1 * picked / V for word in range(1, V)), 1 - picked + kept]


# ------------------------------------------------------------------------------------- schedules


def cosine_slope(t):
    return -math.pi / 2 * torch.sin(math.pi / 2 * t)


def cosine_slope_by_phase(t):
    return math.pi / 2 * torch.cos(math.pi / 2 * (t + 1))


def properties_of_a_schedule(answer):
    """Return which properties alpha has: 1 up to the first that fails, then 0.

    They stand in the order in which they are explained.
    """
    t = torch.linspace(0, 1, 101, dtype=torch.float64)
    alpha = answer(t).double()
    if alpha.shape != t.shape:
        return torch.zeros(11)
    steps = alpha[[75, 50, 25, 0]].diff(prepend=alpha[-1:])  # what four steps draw, the first first
    start, end = (alpha[0] - 1).abs() < 1e-6, alpha[-1].abs() < 1e-6
    holds = [
        torch.tensor(True),  # a number for every time
        alpha.isfinite().all(),
        alpha[-1] < alpha[0] + 1e-6,
        (alpha <= 1 + 1e-12).all(),
        (alpha >= -1e-12).all(),
        (alpha.diff() <= 1e-12).all(),
        start | end,
        start,
        end,
        (steps[0] <= steps[1:] + 1e-9).all(),
        (steps[-1] > steps[:-1] + 1e-9).all(),
    ]
    return torch.stack(holds).long().cumprod(0)


def property_of_a_schedule(index):
    """Say which of those properties stands at a place."""
    return [
        "whether there is one alpha for every time (1 is yes)",
        "whether every alpha is finite",
        "whether alpha(1) is below alpha(0)",
        "whether alpha is nowhere above 1",
        "whether alpha is nowhere below 0",
        "whether alpha never rises",
        "whether alpha(0) is 1 or alpha(1) is 0",
        "whether alpha(0) is 1",
        "whether alpha(1) is 0",
        "whether none of four equal steps draws fewer words than the first",
        "whether the last of four equal steps draws more words than any other",
    ][index[0]]


# the time at which the linear schedule is as noisy as the cosine schedule at t


def linear_clock(t):
    return 1 - torch.cos(math.pi / 2 * t)


def linear_clock_by_half_angle(t):
    return 2 * torch.sin(math.pi / 4 * t) ** 2


# ------------------------------------------------------------------------------------- the cases

# alpha at s and at t: also the whole way back, and where 1 - alpha_t or alpha_s is small
PAIRS = [
    (0.9, 0.1),
    (0.5, 0.4),
    (1.0, 0.0),
    (0.3, 0.02),
    (1.0, 0.6),
    (0.9999, 0.9995),
    (0.0004, 0.0003),
]
# a text for each, and where it is masked; nothing is visible where alpha_t is 0
TEXTS = [
    ([0, 1, 2, 1, 0], [0, 1, 1, 0, 1]),
    ([2, 2, 0, 1], [1, 0, 0, 1]),
    ([1, 0, 2], [1, 1, 1]),
    ([0, 2, 1, 1, 2, 0], [1, 1, 0, 0, 1, 0]),
    ([1, 2], [0, 0]),
    ([2, 1, 0, 0], [1, 0, 1, 0]),
    ([0, 1, 2, 2, 1], [0, 1, 1, 0, 1]),
]


def texts_and_shares(seed=0):
    """Return (x, alpha), x (1, L); alpha L is whole: a fixed number is the same however rounded."""
    shares = 0.25, 0.5, 0.75, 0.0, 1.0
    return [(varied(seed, X.roll(n))[None], alpha) for n, alpha in enumerate(shares)]


def pairs_of_alphas(seed=0):
    """Return (alpha_s, alpha_t), numbers as tensors, with alpha_t at most as in PAIRS."""
    number = dict(dtype=torch.float64)
    return [
        (torch.tensor(s, **number), varied(seed, torch.tensor(t, **number), 1 - 0.3 * (1 - t), 1.0))
        for s, t in PAIRS
    ]


def texts_and_alphas(seed=0):
    """Return (z, x, alpha_s, alpha_t), where z shows what x is, or a mask."""
    cases = []
    for (text, masks), alphas in zip(TEXTS, pairs_of_alphas(seed), strict=True):
        x = varied(seed, torch.tensor(text))
        cases.append((torch.where(torch.tensor(masks).bool(), V, x), x, *alphas))
    return cases


def vocabularies(seed=0):
    """Return (the share that is picked, V)."""
    shares = zip((0.15, 0.4, 1.0, 0.0005), (32, 2, 5, 30_000), strict=True)
    return [(varied(seed, share, 0.7, 1.0), V + seed % 7) for share, V in shares]


EXERCISES = {
    "corrupt": Exercise(
        corrupt,
        corrupt_in_place,
        {
            "survives with 1 - alpha": Mistake(
                corrupt_backwards,
                "alpha is the probability that a token survives; you mask tokens with that "
                "probability.",
            ),
            "one coin a text": Mistake(
                by_coins(one_coin_a_text),
                "All tokens of a text vanish together: draw a number for every token, so that U "
                "has the shape of x.",
            ),
            "one coin a position": Mistake(
                by_coins(one_coin_a_place),
                "All texts of the batch have their masks at the same positions: draw a number for "
                "every token, so that U has the shape of x.",
            ),
            "a fixed number": Mistake(
                fixed_number,
                "You mask a fixed number of tokens in each text: each token has a number U of its "
                "own, and how many are masked varies.",
            ),
            "a fixed number of the batch": Mistake(
                fixed_number_of_the_batch,
                "You mask a fixed number of tokens of the whole batch: each token has a number U "
                "of its own, and how many are masked varies.",
            ),
            "random symbols": Mistake(
                random_symbols,
                "What does not survive becomes the mask, symbol 3; random symbols are the noise of "
                "a flow, chapter 8.",
            ),
            "BERT's 80/10/10": Mistake(
                as_bert_does,
                "That is BERT's recipe: of the chosen tokens 80 % become the mask, 10 % a random "
                "word, 10 % stay. Here each of them becomes the mask.",
            ),
            "the mask is word 0": Mistake(
                by_coins(usual, mask=0),
                "Your mask is symbol 0, which is a word: the mask is one more symbol, number 3.",
            ),
            "another mask": Mistake(
                by_coins(usual, mask=-1),
                "Tokens that do not survive become a symbol that is neither a word nor the mask: "
                "there are three words here, so the mask is 3, not the chapter's V.",
            ),
            "one coin a word": Mistake(
                by_coins(one_coin_a_word),
                "A word vanishes wherever it stands, in all texts at once: draw a number for every "
                "token, so that U has the shape of x, not one for each word of the vocabulary.",
            ),
            "one coin": Mistake(
                by_coins(one_coin),
                "A single number decides for all tokens of all texts: draw one for every token, so "
                "that U has the shape of x.",
            ),
            "which survive": Mistake(
                lambda x, alpha, generator: usual(x, generator) < alpha,
                "You return which tokens survive, true or false: return the token where it "
                "survives, and 3 elsewhere, for example with torch.where.",
            ),
            "normal numbers": Mistake(
                by_coins(normal),
                "A normal number is below alpha with a probability other than alpha: draw U "
                "uniformly, with torch.rand.",
            ),
            "generator ignored": Mistake(
                by_coins(ignores),
                "Called twice with equal generators you give different texts: pass the generator "
                "to torch.rand, as generator=generator.",
            ),
            "seeded inside": Mistake(
                by_coins(reseeds),
                "You give the same masks whatever the generator: draw from the one you are given, "
                "and seed nothing inside.",
            ),
            "shared coins": Mistake(
                by_coins(shared_coins),
                "Tokens i and i + 2 vanish together: they share a number, and each needs its own.",
            ),
            "antithetic coins": Mistake(
                by_coins(antithetic_coins),
                "Tokens i and i + 2 use U and 1 - U, so the mask of one says something about the "
                "other: draw a number for each.",
            ),
            "antithetic texts": Mistake(
                by_coins(antithetic_texts),
                "The second half of the batch uses 1 - U of the first: draw a number for every "
                "token of every text.",
            ),
        },
        cases=texts_and_shares,
        measure=masked_frequencies,
        says=frequency,
        tolerance=0.02,
    ),
    "reveal_probability": Exercise(
        reveal_probability,
        reveal_by_complement,
        {
            "divided by 1 - alpha_s": Mistake(
                lambda alpha_s, alpha_t: (alpha_s - alpha_t) / (1 - alpha_s),
                "You divide by the chance to be masked at s, but it is the mask at t that is "
                "given: divide by 1 - alpha_t.",
            ),
            "stays masked": Mistake(
                lambda alpha_s, alpha_t: (1 - alpha_s) / (1 - alpha_t),
                "That is the chance to stay masked: the chance to be revealed is one minus it.",
            ),
            "not given the mask": Mistake(
                lambda alpha_s, alpha_t: alpha_s - alpha_t,
                "That is the chance of both, visible at s and masked at t; given the mask at t, "
                "divide by 1 - alpha_t.",
            ),
            "as if independent": Mistake(
                lambda alpha_s, alpha_t: alpha_s * (1 - alpha_t),
                "You multiply as if the two were independent: a token is visible at s and masked "
                "at t with probability alpha_s - alpha_t. Then divide by 1 - alpha_t.",
            ),
            "brackets": Mistake(
                lambda alpha_s, alpha_t: alpha_s - alpha_t / 1 - alpha_t,
                "Python divides before it subtracts: put alpha_s - alpha_t in brackets, and "
                "1 - alpha_t too.",
            ),
            "divided by alpha_t": Mistake(
                lambda alpha_s, alpha_t: (alpha_s - alpha_t) / alpha_t,
                "You divide by alpha_t, the chance to be visible at t: it is the mask at t that is "
                "given, so divide by 1 - alpha_t.",
            ),
            "forward survival": Mistake(
                lambda alpha_s, alpha_t: alpha_t / alpha_s,
                "alpha_t / alpha_s is the forward direction, the chance to survive from s to t; "
                "Bayes' rule reverses it.",
            ),
            "forward loss": Mistake(
                lambda alpha_s, alpha_t: 1 - alpha_t / alpha_s,
                "That is the chance that a token visible at s vanishes; the exercise asks for the "
                "reverse, of a token masked at t.",
            ),
            "visible at s": Mistake(
                lambda alpha_s, alpha_t: alpha_s + 0 * alpha_t,
                "That is the chance to be visible at s before anything is known: condition on the "
                "mask at t.",
            ),
            "masked at s": Mistake(
                lambda alpha_s, alpha_t: 1 - alpha_s + 0 * alpha_t,
                "That is the chance to be masked at s before anything is known: take the tokens "
                "that are masked at t, and ask which of them were visible at s.",
            ),
            "sign": Mistake(
                lambda alpha_s, alpha_t: (alpha_t - alpha_s) / (1 - alpha_t),
                "Yours is negative: s is the earlier time, when more was visible, so alpha_s is "
                "the larger of the two.",
            ),
            "alpha taken for the noise": Mistake(
                lambda alpha_s, alpha_t: (alpha_t - alpha_s) / alpha_t,
                "That is (u_t - u_s) / u_t with alpha in the place of u: the noise level is "
                "1 - alpha.",
            ),
        },
        cases=pairs_of_alphas,
    ),
    "reverse_posterior": Exercise(
        reverse_posterior,
        by_bayes,
        {
            "the listing": Mistake(
                listing,
                "Both mistakes are still there: look at the row of a visible token, and add up the "
                "row of a masked one.",
            ),
            "visible tokens change": Mistake(
                with_rows(right_row, right_row),
                "A token that z shows is certain, and was visible at s too: only masked positions "
                "leave anything to decide.",
            ),
            "visible tokens without a row": Mistake(
                with_rows(right_row, lambda word, mask, s, t: 0 * word),
                "The rows of visible tokens are zero: such a token is certain, so its row is 1 at "
                "the word that z shows.",
            ),
            "visible tokens with alpha_s": Mistake(
                with_rows(right_row, lambda word, mask, s, t: s * word + (1 - s) * mask),
                "You treat a visible token as if nothing were known of it: what is visible at t "
                "was visible at s, with certainty.",
            ),
            "divided by 1 - alpha_s": Mistake(
                with_rows(entries(by_alpha_s, stays_masked)),
                "The row of a masked token does not add up to 1: it is the mask at t that is "
                "given, so both entries are divided by 1 - alpha_t.",
            ),
            "both divided by 1 - alpha_s": Mistake(
                with_rows(entries(by_alpha_s, lambda s, t: 1 - by_alpha_s(s, t))),
                "The row adds up to 1, but the chance to be revealed is divided by 1 - alpha_s: it "
                "is the mask at t that is given, so divide by 1 - alpha_t.",
            ),
            "normalised afterwards": Mistake(
                normalised,
                "You divide each row by its sum, which hides the wrong entry: divide both by "
                "1 - alpha_t, and the row adds up to 1 without that.",
            ),
            "masked for visible": Mistake(
                with_rows(lambda word, mask, s, t: word, right_row),
                "You treat masked tokens as certain and visible ones as uncertain: it is a token "
                "with z equal to 3 that may be revealed.",
            ),
            "visible tokens vanish": Mistake(
                with_rows(right_row, lambda word, mask, s, t: t / s * word + (1 - t / s) * mask),
                "alpha_t / alpha_s is the chance to survive from s to t: a token that is visible "
                "at t has survived, so its row is 1 at the word that z shows.",
            ),
            "z for x": Mistake(
                with_rows(lambda word, mask, s, t: mask),
                "Your masked tokens are never revealed: what is revealed is the word x[i], not "
                "z[i], which is the mask.",
            ),
            "forward instead of backward": Mistake(
                with_rows(*[lambda word, mask, s, t: s * word + (1 - s) * mask] * 2),
                "That is q(z_s | x), which does not know z_t: condition on z_t as well.",
            ),
            "forward rate": Mistake(
                with_rows(lambda word, mask, s, t: (1 - t / s) * word + t / s * mask),
                "1 - alpha_t / alpha_s is the chance to vanish from s to t; a token masked at t is "
                "revealed with (alpha_s - alpha_t) / (1 - alpha_t).",
            ),
            "stays masked with the reveal probability": Mistake(
                with_rows(
                    lambda word, mask, s, t: (
                        (1 - reveal_probability(s, t)) * word + reveal_probability(s, t) * mask
                    )
                ),
                "A masked token is revealed with probability (alpha_s - alpha_t) / (1 - alpha_t) "
                "and otherwise stays masked: you have the two the other way round.",
            ),
            "not divided": Mistake(
                with_rows(lambda word, mask, s, t: (s - t) * word + (1 - s) * mask),
                "These are the chances together with the mask at t: given that mask, divide both "
                "by 1 - alpha_t, and the row adds up to 1.",
            ),
            "mask first": Mistake(
                mask_first,
                "Your first column is the mask: the words are columns 0, 1, 2, and the mask, "
                "symbol 3, is the last.",
            ),
        },
        cases=texts_and_alphas,
    ),
    "bert_shares": Exercise(
        bert_shares,
        bert_shares_by_counting,
        {
            "shares of the picked": Mistake(
                lambda picked, V: [0.8, 0.1 * (V - 1) / V, 0.1 + 0.1 / V],
                "Those are shares of the picked tokens: of all tokens, multiply by `picked`, and "
                "add those not picked to what stays right.",
            ),
            "80, 10, 10": Mistake(
                lambda picked, V: [0.8, 0.1, 0.1],
                "Those are BERT's shares of the picked tokens: take them of all tokens, and do not "
                "forget that a random word may be the right one.",
            ),
            "random is always wrong": Mistake(
                lambda picked, V: [0.8 * picked, 0.1 * picked, 1 - 0.9 * picked],
                "A word drawn at random from V is the right one with probability 1 / V.",
            ),
            "random is right": Mistake(
                lambda picked, V: [
                    0.8 * picked,
                    0.1 * picked / V,
                    1 - 0.8 * picked - 0.1 * picked / V,
                ],
                "1 / V is the chance that the random word is the right one: it is wrong with "
                "probability (V - 1) / V.",
            ),
            "every picked token is masked": Mistake(
                lambda picked, V: [picked, 0.0, 1 - picked],
                "Only 80 % of the picked tokens become the mask; a tenth becomes a random word, "
                "and a tenth stays what it was.",
            ),
            "the kept tenth is lost": Mistake(
                lambda picked, V: [0.8 * picked, 0.1 * picked * (V - 1) / V, 1 - picked],
                "Your three shares do not add up to 1: a tenth of the picked tokens stays what it "
                "was, and some random words are right.",
            ),
            "the tokens not picked are lost": Mistake(
                lambda picked, V: [
                    0.8 * picked,
                    0.1 * picked * (V - 1) / V,
                    0.1 * picked + 0.1 * picked / V,
                ],
                "Your three shares add up to `picked`, not to 1: the tokens that were not picked "
                "are visible and right.",
            ),
            "only the kept tenth": Mistake(
                lambda picked, V: [0.8 * picked, 0.1 * picked * (V - 1) / V, 0.1 * picked],
                "Visible and right are also the tokens that were not picked, and the random words "
                "that happen to be right: the three shares add up to 1.",
            ),
            "shares of the visible": Mistake(
                lambda picked, V: [
                    0.8 * picked,
                    (wrong := 0.1 * picked * (V - 1) / V / (1 - 0.8 * picked)),
                    1 - wrong,
                ],
                "Your last two are shares of the visible tokens: of all tokens, do not divide by "
                "the share that is visible.",
            ),
            "the lucky draws are lost": Mistake(
                lambda picked, V: [0.8 * picked, 0.1 * picked * (V - 1) / V, 1 - 0.9 * picked],
                "Your three shares do not add up to 1: the random words that happen to be right "
                "belong to the third.",
            ),
            "right before wrong": Mistake(
                lambda picked, V: bert_shares(picked, V)[[0, 2, 1]],
                "The order is masked, wrong, right: you have the last two the other way round.",
            ),
        },
        cases=vocabularies,
    ),
    "cosine_slope": Exercise(
        cosine_slope,
        cosine_slope_by_phase,
        {
            "sign": Mistake(
                lambda t: -cosine_slope(t),
                "alpha falls, so its derivative is negative: check the sign.",
            ),
            "inner derivative": Mistake(
                lambda t: -torch.sin(math.pi / 2 * t),
                "The chain rule leaves a factor pi / 2.",
            ),
            "not differentiated": Mistake(
                lambda t: torch.cos(math.pi / 2 * t),
                "That is alpha itself: differentiate it by t.",
            ),
            "the rate w": Mistake(
                lambda t: math.pi / 2 / torch.tan(math.pi / 4 * t),
                "That is w, the end of the derivation: the check asks for the derivative of alpha "
                "alone.",
            ),
            "the rate w as a quotient": Mistake(
                lambda t: cosine_slope(t) / (torch.cos(math.pi / 2 * t) - 1),
                "You have divided by alpha - 1 already: the check asks for the derivative of alpha "
                "alone.",
            ),
            "argument": Mistake(
                lambda t: -math.pi / 2 * torch.sin(t),
                "The factor is right, but the argument stays pi t / 2.",
            ),
            "cosine for sine": Mistake(
                lambda t: -math.pi / 2 * torch.cos(math.pi / 2 * t),
                "The factor is right, but the derivative of the cosine is minus the sine.",
            ),
            "pi for pi / 2": Mistake(
                lambda t: -math.pi * torch.sin(math.pi * t),
                "That is the slope of cos(pi t), which would fall to -1: the schedule is "
                "cos(pi t / 2).",
            ),
            "of the squared cosine": Mistake(
                lambda t: -math.pi / 2 * torch.sin(math.pi * t),
                "That is the slope of the squared cosine, another schedule: here alpha is the "
                "cosine itself.",
            ),
        },
        cases=lambda seed=0: [(varied(seed, t, 0.7, 1.0),) for t in (TIMES, MORE_TIMES)],
    ),
    "own_schedule": Exercise(
        lambda t: (1 - t) ** 3,
        lambda t: 1 - t**0.5,
        {
            "one number": Mistake(
                lambda t: t.mean(),
                "Your answer does not have the shape of t: return one alpha for every time in it.",
            ),
            "not finite": Mistake(
                lambda t: 1 / t - 1,
                "Somewhere in [0, 1] yours is infinite or nan: try it at t = 0 and t = 1.",
            ),
            "time reversed": Mistake(
                lambda t: t,
                "Yours rises: in this book t = 0 is clean text and t = 1 is noise.",
            ),
            "above 1": Mistake(
                lambda t: 1 + t - 2 * t**2,
                "Yours is above 1 somewhere: alpha is a probability, that a token is still "
                "visible, and begins at 1.",
            ),
            "below 0": Mistake(
                lambda t: torch.cos(math.pi * t),
                "Yours falls below 0: alpha is a probability, that a token is still visible, and "
                "ends at 0.",
            ),
            "both ends": Mistake(
                lambda t: torch.cos(math.pi / 2 * t).clamp(0.01, 0.99),
                "Neither end is right: alpha(0) is exactly 1, the clean text, and alpha(1) exactly "
                "0, nothing but masks.",
            ),
            "not clean at the start": Mistake(
                lambda t: 0.95 * (1 - t),
                "At t = 0 some tokens are already masked, alpha(0) < 1: the bound then needs one "
                "more term.",
            ),
            "not fully masked at the end": Mistake(
                lambda t: 1 - 0.9 * t,
                "At t = 1 part of the text is left, alpha(1) > 0: a sampler that starts from all "
                "masks does not start where the corruption ends.",
            ),
            "comes back": Mistake(
                lambda t: torch.cos(5 * math.pi / 2 * t) ** 2,
                "A masked token stays masked, so alpha may never rise.",
            ),
            "many words first": Mistake(
                lambda t: torch.cos(math.pi / 2 * t),
                "A schedule, but its first step draws more words than a later one: the sampler "
                "begins at t = 1, so alpha should change little there.",
            ),
            "as many in every step": Mistake(
                lambda t: 1 - t,
                "A schedule, but its last step draws no more words than another: let alpha fall "
                "most between t = 0 and t = 1/4, where the sampler ends.",
            ),
        },
        cases=lambda seed=0: [()],
        measure=properties_of_a_schedule,
        says=property_of_a_schedule,
    ),
    "linear_clock": Exercise(
        linear_clock,
        linear_clock_by_half_angle,
        {
            "alpha instead of the noise": Mistake(
                lambda t: torch.cos(math.pi / 2 * t),
                "That is alpha: the linear schedule has alpha = 1 - u, so u = 1 - alpha.",
            ),
            "the other way": Mistake(
                lambda t: 2 / math.pi * torch.arccos(1 - t),
                "That goes from the linear schedule to the cosine: the exercise asks for the other "
                "direction.",
            ),
            "where alpha is t": Mistake(
                lambda t: 2 / math.pi * torch.arccos(t),
                "That is the time at which the cosine schedule has alpha = t: the exercise asks "
                "where 1 - u, alpha of the linear schedule, equals cos(pi t / 2).",
            ),
            "no change of time": Mistake(
                lambda t: t,
                "The cosine schedule is less noisy than the linear one at the same t, so u is not "
                "t: solve 1 - u = cos(pi t / 2).",
            ),
            "reversed": Mistake(
                lambda t: 1 - t,
                "That is alpha of the linear schedule at t: set 1 - u equal to cos(pi t / 2), and "
                "solve for u.",
            ),
            "sine": Mistake(
                lambda t: torch.sin(math.pi / 2 * t),
                "That is the noise level of the mirrored cosine, as MaskGIT and MD4 have it: here "
                "alpha is cos(pi t / 2), and u is one minus it.",
            ),
            "the squared cosine": Mistake(
                lambda t: torch.cos(math.pi / 2 * t) ** 2,
                "That is the squared cosine: here alpha is the cosine itself, and u = 1 - alpha "
                "is asked for.",
            ),
            "of the squared cosine": Mistake(
                lambda t: torch.sin(math.pi / 2 * t) ** 2,
                "That is one minus the squared cosine, another schedule: here alpha is the cosine "
                "itself.",
            ),
        },
        cases=lambda seed=0: [(varied(seed, t, 0.7, 1.0),) for t in (TIMES, MORE_TIMES)],
    ),
}
