"""Chapter 3, the mathematics of masking. The mask is symbol V, here 3."""

import math

import torch

from .fresh import varied
from .grader import Exercise, Mistake

V = 3
TIMES = torch.tensor([0.05, 0.3, 0.5, 0.8, 0.97], dtype=torch.float64)

# ------------------------------------------------------------------------------------- corrupt


def corrupt(x, alpha, generator):
    u = torch.rand(x.shape, generator=generator)
    return torch.where(u < alpha, x, V)


def corrupt_in_place(x, alpha, generator):
    z = x.clone()
    z[torch.rand(x.shape, generator=generator) >= alpha] = V
    return z


def corrupt_backwards(x, alpha, generator):
    return corrupt(x, 1 - alpha, generator)


def one_coin_a_text(x, alpha, generator):
    return torch.where(torch.rand(len(x), 1, generator=generator) < alpha, x, V)


def fixed_number(x, alpha, generator):
    place = torch.rand(x.shape, generator=generator).argsort(-1).argsort(-1)
    return torch.where(place < round((1 - alpha) * x.shape[-1]), V, x)


def random_symbols(x, alpha, generator):
    noise = torch.randint(V, x.shape, generator=generator)
    return torch.where(torch.rand(x.shape, generator=generator) < alpha, x, noise)


def masked_frequencies(answer, x, alpha, n=20_000):
    """Return how often a token is masked, two neighbours are, and a visible one changes."""
    text = x.expand(n, -1)
    z = answer(text.clone(), alpha, torch.Generator().manual_seed(0))
    masked = (z == V).double()
    return torch.cat(
        [
            masked.mean(0),
            (masked[:, 1:] * masked[:, :-1]).mean(0),
            ((z != V) & (z != text)).double().mean(0),
        ]
    )


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


def reverse_posterior_at_once(z, x, alpha_s, alpha_t, reveal=reveal_probability):
    one_hot = torch.nn.functional.one_hot
    stay, go = one_hot(z, V + 1).double(), one_hot(x, V + 1).double()
    r = reveal(alpha_s, alpha_t)
    return torch.where((z == V)[:, None], r * go + (1 - r) * stay, stay)


def visible_tokens_too(z, x, alpha_s, alpha_t):
    r = reveal_probability(alpha_s, alpha_t)
    one_hot = torch.nn.functional.one_hot
    return r * one_hot(x, V + 1).double() + (1 - r) * one_hot(torch.full_like(x, V), V + 1)


def forward_instead(z, x, alpha_s, alpha_t):
    one_hot = torch.nn.functional.one_hot
    return alpha_s * one_hot(x, V + 1).double() + (1 - alpha_s) * one_hot(
        torch.full_like(x, V), V + 1
    )


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
        return torch.zeros(9)
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
    ]
    return torch.stack(holds).long().cumprod(0)


# the time at which the linear schedule is as noisy as the cosine schedule at t


def linear_clock(t):
    return 1 - torch.cos(math.pi / 2 * t)


def linear_clock_by_half_angle(t):
    return 2 * torch.sin(math.pi / 4 * t) ** 2


PAIRS = torch.tensor(
    [[0.9, 0.1], [0.5, 0.4], [1.0, 0.0], [0.3, 0.0], [1.0, 0.6]], dtype=torch.float64
)
X, Z = torch.tensor([0, 1, 2, 1, 0]), torch.tensor([0, V, V, 1, V])

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
                one_coin_a_text,
                "All tokens of a text vanish together: draw a number for every token, so u has "
                "the shape of x.",
            ),
            "a fixed number": Mistake(
                fixed_number,
                "You mask a fixed number of tokens in each text: each token has its own coin, and "
                "how many are masked varies.",
            ),
            "random symbols": Mistake(
                random_symbols,
                "What does not survive becomes the mask, symbol V; random symbols are the noise of "
                "a flow, chapter 8.",
            ),
        },
        # alpha L is whole, so that a fixed number is the same however it is rounded
        cases=lambda seed=0: [(varied(seed, X[:4]), alpha) for alpha in (0.25, 0.5, 0.75)],
        measure=masked_frequencies,
        tolerance=0.02,
    ),
    "reveal_probability": Exercise(
        reveal_probability,
        reveal_by_complement,
        {
            "divided by 1 - alpha_s": Mistake(
                lambda s, t: (s - t) / (1 - s),
                "You divide by the chance to be masked at s, but it is the mask at t that is "
                "given: divide by 1 - alpha_t.",
            ),
            "stays masked": Mistake(
                lambda s, t: (1 - s) / (1 - t),
                "That is the chance to stay masked: the chance to be revealed is one minus it.",
            ),
            "not given the mask": Mistake(
                lambda s, t: s - t,
                "That is the chance of both, visible at s and masked at t; given the mask at t, "
                "divide by 1 - alpha_t.",
            ),
            "forward survival": Mistake(
                lambda s, t: t / s,
                "alpha_t / alpha_s is the forward direction, the chance to survive from s to t; "
                "Bayes' rule reverses it.",
            ),
            "forward loss": Mistake(
                lambda s, t: 1 - t / s,
                "That is the chance that a token visible at s vanishes; the exercise asks for the "
                "reverse, of a token masked at t.",
            ),
            "visible at s": Mistake(
                lambda s, t: s + 0 * t,
                "That is the chance to be visible at s before anything is known: condition on the "
                "mask at t.",
            ),
        },
        cases=lambda seed=0: [(s, varied(seed, t, 0.7, 1.0)) for s, t in PAIRS],
    ),
    "reverse_posterior": Exercise(
        reverse_posterior,
        reverse_posterior_at_once,
        {
            "visible tokens change": Mistake(
                visible_tokens_too,
                "A token that z_t shows is certain, and z_s shows it too: only masked positions "
                "leave anything to decide.",
            ),
            "forward instead of backward": Mistake(
                forward_instead,
                "That is q(z_s | x), which does not know z_t: condition on z_t as well.",
            ),
            "stays masked with the reveal probability": Mistake(
                lambda z, x, s, t: reverse_posterior_at_once(
                    z, x, s, t, lambda s, t: 1 - reveal_probability(s, t)
                ),
                "A masked token is revealed with probability (alpha_s - alpha_t) / (1 - alpha_t) "
                "and otherwise stays masked: you have the two the other way round.",
            ),
        },
        cases=lambda seed=0: [(Z, X, s.item(), varied(seed, t.item(), 0.7, 1.0)) for s, t in PAIRS],
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
        },
        cases=lambda seed=0: [(varied(seed, TIMES, 0.7, 1.03),)],
    ),
    "own_schedule": Exercise(
        lambda t: 1 - t,
        lambda t: (1 - t) ** 3,
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
        },
        cases=lambda seed=0: [()],
        measure=properties_of_a_schedule,
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
                "That goes from the linear clock to the cosine clock: the exercise asks for the "
                "other direction.",
            ),
            "no change of time": Mistake(
                lambda t: t,
                "The cosine schedule is less noisy than the linear one at the same t, so u is not "
                "t: solve 1 - u = cos(pi t / 2).",
            ),
        },
        cases=lambda seed=0: [(varied(seed, TIMES, 0.7, 1.03),)],
    ),
}
