"""Chapter 5, a masked diffusion language model. V = 3 words, the mask is symbol V."""

import torch
import torch.nn.functional as F

from .fresh import varied
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


# --------------------------------------------------------------------------- reading from both ends


def hollow_inputs(z, start):
    begin = torch.full((len(z), 1), start)
    return torch.stack([torch.cat([begin, y[:, :-1]], dim=1) for y in (z, z.flip(1))])


def hollow_inputs_by_padding(z, start):
    return F.pad(torch.stack([z, z.flip(1)]), (1, -1), value=start)


# ------------------------------------------------------------------------------- the divergence


def divergence(p, q):
    return (torch.special.xlogy(p, p) - torch.special.xlogy(p, q)).sum(-1)


def divergence_of_the_possible(p, q):
    possible = p > 0
    return torch.where(possible, p * (p.log() - q.log()), 0.0).sum(-1)


# -------------------------------------------------------------------------------- a step, a draw


def ancestral_step(z, words, t, s, u):
    return torch.where((z == V) & (u < (t - s) / t), words, z)


def ancestral_step_by_staying(z, words, t, s, u):
    revealed = z.clone()
    for place in (z == V).nonzero().tolist():
        if u[tuple(place)] < 1 - s / t:
            revealed[tuple(place)] = words[tuple(place)]
    return revealed


def gumbel_draw(p, u):
    return (p.log() - (-u.log()).log()).argmax(-1)


def first_to_ring(p, u):
    """Return which of several clocks rings first, after exponential times with rates p."""
    return (-u.log() / p).argmin(-1)


# ------------------------------------------------------------------------------------- the cases

TEXTS = torch.tensor([[0, 1, 2, 2, 1], [2, 1, 0, 2, 2]])
NOISY = [
    torch.tensor([[0, V, V, V, 1], [V, 1, 0, 2, 2]]),
    torch.tensor([[V, V, V, V, V], [2, V, 0, V, 2]]),
    torch.tensor([[V, 1, 2, 2, 1], [2, V, V, V, 2]]),
]


def some(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def uniforms(*shape, seed=0):
    return torch.rand(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def draws(seed=0):
    """Return ordinary cases, and one whose winner depends on a uniform number close to 1."""
    close = torch.full((1, V), 0.5, dtype=torch.float64)
    close[0, 2] = 1 - 1e-9
    close[0, 1] = 1 - 1e-8
    even = torch.full((1, V), 1 / V, dtype=torch.float64)
    ordinary = [
        (some(40, V, seed=n).softmax(-1), uniforms(40, V, seed=n + 9)) for n in (seed, seed + 1)
    ]
    return [*ordinary, (even, close)]


EXERCISES = {
    "masked_loss": Exercise(
        masked_loss,
        masked_loss_by_weights,
        {
            "every token pays": Mistake(
                lambda logits, x, z: token_losses(logits, x).mean(),
                "You let the visible tokens pay as well: the network sees those, and would learn "
                "to copy; only masked ones count.",
            ),
            "the mask is a word": Mistake(
                lambda logits, x, z: token_losses(logits, x, V + 1)[z == V].mean(),
                "Your softmax runs over the mask too, which no clean text holds: first cut the "
                "logits to the first V.",
            ),
            "every token pays, the mask is a word": Mistake(
                lambda logits, x, z: token_losses(logits, x, V + 1).mean(),
                "Every token pays here, and the mask is a word: pick the tokens where z is masked, "
                "and cut the logits to the first V.",
            ),
            "summed": Mistake(
                lambda logits, x, z: (token_losses(logits, x) * (z == V)).sum(),
                "You sum over the masked tokens: divide by how many there are.",
            ),
            "a mean of means": Mistake(
                mean_of_rows,
                "You average within each text first, which counts a lone masked token as much as "
                "a whole text of them: divide the total loss by the total number of masked tokens.",
            ),
            "divided by all tokens": Mistake(
                lambda logits, x, z: (token_losses(logits, x) * (z == V)).mean(),
                "You divide by the number of all tokens: divide by the number of masked ones.",
            ),
        },
        cases=lambda seed=0: [
            (some(2, 5, V + 1, seed=n), TEXTS, z) for n, z in enumerate(NOISY, seed)
        ],
    ),
    "hollow_inputs": Exercise(
        hollow_inputs,
        hollow_inputs_by_padding,
        {
            "not shifted": Mistake(
                lambda z, start: torch.stack([z, z.flip(1)]),
                "Your readers have read token i when they predict it: shift each by one, with the "
                "start symbol in front.",
            ),
            "both from the left": Mistake(
                lambda z, start: hollow_inputs(z, start)[:1].expand(2, -1, -1),
                "Both of your readers read from the left: the second begins at the end of the "
                "text, so flip it first.",
            ),
            "flipped after the shift": Mistake(
                lambda z, start: torch.stack(
                    [hollow_inputs(z, start)[0], hollow_inputs(z, start)[0].flip(1)]
                ),
                "You shift before you flip, so the right reader starts with a token from the "
                "middle and ends with the start symbol: flip first, then shift.",
            ),
            "right reader turned back": Mistake(
                lambda z, start: torch.stack(
                    [hollow_inputs(z, start)[0], hollow_inputs(z, start)[1].flip(1)]
                ),
                "Your second row is turned back into the order of the text: leave it in the order "
                "in which it is read, from the start symbol on.",
            ),
        },
        cases=lambda seed=0: [
            (varied(seed, z), 7) for z in (torch.tensor([[4, 1, 2, 6], [0, 5, 3, 3]]), TEXTS)
        ],
    ),
    "divergence": Exercise(
        divergence,
        divergence_of_the_possible,
        {
            "the other way round": Mistake(
                lambda p, q: divergence(q, p),
                "This is KL(q || p): the words are drawn from the true distribution, so weight "
                "with p.",
            ),
            "cross-entropy": Mistake(
                lambda p, q: -torch.special.xlogy(p, q).sum(-1),
                "This is the cross-entropy, which is positive even for a perfect model: subtract "
                "the entropy of p.",
            ),
            "0 log 0": Mistake(
                lambda p, q: (p * (p / q).log()).sum(-1),
                "Where p is 0 you compute 0 times minus infinity, which is nan: its limit is 0, "
                "which torch.special.xlogy returns.",
            ),
            "bits": Mistake(
                lambda p, q: divergence(p, q) / torch.tensor(2.0).log(),
                "This is in bits: use the natural logarithm.",
            ),
        },
        cases=lambda seed=0: [
            (some(4, V, seed=seed + 1).softmax(-1), some(4, V, seed=seed + 2).softmax(-1)),
            (torch.tensor([[0.5, 0.5, 0.0]]).double(), torch.tensor([[0.6, 0.3, 0.1]]).double()),
        ],
    ),
    "ancestral_step": Exercise(
        ancestral_step,
        ancestral_step_by_staying,
        {
            "reveals with the chance to stay": Mistake(
                lambda z, words, t, s, u: torch.where((z == V) & (u < s / t), words, z),
                "You reveal with s / t, the chance to stay masked: take the rest, (t - s) / t.",
            ),
            "everything at once": Mistake(
                lambda z, words, t, s, u: torch.where(z == V, words, z),
                "You reveal all masks in one step, and the words do not see one another: reveal "
                "each with probability (t - s) / t only.",
            ),
            "writes over what stands": Mistake(
                lambda z, words, t, s, u: torch.where(u < (t - s) / t, words, z),
                "You replace visible words too: a word that has been revealed stays as it is.",
            ),
            "not given the mask": Mistake(
                lambda z, words, t, s, u: torch.where((z == V) & (u < t - s), words, z),
                "You reveal with t - s, the chance before anything is known: the token is masked "
                "at t, so divide by t, or the last step leaves masks behind.",
            ),
            "t for alpha": Mistake(
                lambda z, words, t, s, u: torch.where((z == V) & (u < (t - s) / (1 - t)), words, z),
                "You put t where alpha belongs: with alpha = 1 - t the chance is (t - s) / t.",
            ),
            "above instead of below": Mistake(
                lambda z, words, t, s, u: torch.where((z == V) & (u > (t - s) / t), words, z),
                "You reveal where u is above the probability: a uniform number is below it with "
                "exactly that probability.",
            ),
        },
        cases=lambda seed=0: [
            (
                torch.where(uniforms(4, 12, seed=n) < 0.6, V, n % V),
                torch.randint(V, (4, 12), generator=torch.Generator().manual_seed(n)),
                *times,
                uniforms(4, 12, seed=n + 5),
            )
            for n, times in enumerate([(0.8, 0.5), (0.5, 0.4), (0.25, 0.0)], seed)
        ],
    ),
    "gumbel_draw": Exercise(
        gumbel_draw,
        first_to_ring,
        {
            "no chance": Mistake(
                lambda p, u: p.argmax(-1),
                "You take the most probable word each time (as you also do if all words of a row "
                "get the same noise): that is a mode, not a sample.",
            ),
            "the noise subtracted": Mistake(
                lambda p, u: (p.log() + (-u.log()).log()).argmax(-1),
                "Gumbel noise is -log(-log u); you have its negative, whose largest values come "
                "from small u.",
            ),
            "one logarithm": Mistake(
                lambda p, u: (p.log() - u.log()).argmax(-1),
                "Your noise is -log u, which is exponential; Gumbel noise takes the logarithm "
                "once more, -log(-log u).",
            ),
            "1 - u": Mistake(
                lambda p, u: gumbel_draw(p, 1 - u),
                "Use u as it is given: with 1 - u the words are equally probable, but they are "
                "different draws.",
            ),
            "noise on the probability": Mistake(
                lambda p, u: (p - (-u.log()).log()).argmax(-1),
                "You add the noise to p; it belongs to log p.",
            ),
            "float32": Mistake(
                lambda p, u: gumbel_draw(p.float(), u.float()),
                "In float32 all numbers close to 1 become 1, so their Gumbel noise is infinite "
                "and equal: draw in float64.",
            ),
        },
        cases=draws,
    ),
}
