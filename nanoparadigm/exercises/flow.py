"""Chapter 8, discrete flow matching. Texts of L = 5 over V = 3 words, and no mask among them.

The probabilities that the cases hand out are those of the tiny language: loo (L, V) is p(x_i = v |
z without z_i), and p (L, V) the posterior p(x_i = v | z). The levels of noise come near both ends,
and one text lacks the last word, so that neither can be clamped and V cannot be read off it.
"""

import torch
from torch.nn.functional import one_hot

from ..language.grammar import tiny
from ..paradigms.flow import phi
from .fresh import obeys, varied, varied_rows
from .grader import Exercise, Mistake, wrong_shape

L, V = 5, 3
X = torch.tensor(
    [[0, 1, 2, 2, 1], [2, 1, 0, 2, 2], [1, 1, 2, 0, 1], [1, 0, 0, 1, 2], [0, 0, 1, 2, 1]]
)
Z = torch.tensor(
    [[0, 2, 2, 2, 0], [2, 1, 0, 1, 2], [0, 1, 1, 2, 1], [1, 0, 0, 1, 0], [0, 2, 1, 2, 1]]
)
ALPHAS = torch.tensor([0.2, 0.5, 0.85, 0.0005, 0.9999], dtype=torch.float64)
TEXTS = range(len(X))


def known(what, i, seed):
    """Return tiny().leave_one_out or .posterior of the i-th text at the i-th alpha, (L, V)."""
    return varied_rows(seed, getattr(tiny(), what)(Z[i : i + 1], ALPHAS[i : i + 1])[0])


def here(z):
    return one_hot(z, V).double()


# ------------------------------------------------------------------------------------- corrupt


def corrupt(x, alpha, generator, symbols=V):
    u = torch.rand(x.shape, generator=generator)
    noise = torch.randint(symbols, x.shape, generator=generator)
    return torch.where(u < alpha, x, noise)


def corrupt_in_place(x, alpha, generator):
    z = x.clone()
    lost = torch.rand(x.shape, generator=generator) >= alpha
    z[lost] = torch.randint(V, (int(lost.sum()),), generator=generator)
    return z


def one_coin_a_text(x, alpha, generator):
    noise = torch.randint(V, x.shape, generator=generator)
    return torch.where(torch.rand(len(x), 1, generator=generator) < alpha, x, noise)


def always_another(x, alpha, generator):
    other = (x + torch.randint(1, V, x.shape, generator=generator)) % V
    return torch.where(torch.rand(x.shape, generator=generator) < alpha, x, other)


def without_the_generator(x, alpha, generator):
    return torch.where(torch.rand(x.shape) < alpha, x, torch.randint(V, x.shape))


def seeded_inside(x, alpha, generator):
    return corrupt(x, alpha, generator.manual_seed(1234))


def an_exact_number(x, alpha, generator):
    place = torch.rand(x.shape, generator=generator).argsort(-1).argsort(-1)
    noise = torch.randint(V, x.shape, generator=generator)
    return torch.where(place < round(alpha * x.shape[-1]), x, noise)


def one_noise_a_text(x, alpha, generator):
    noise = torch.randint(V, (len(x), 1), generator=generator)
    return torch.where(torch.rand(x.shape, generator=generator) < alpha, x, noise)


def frequencies(answer, x, alpha, n=20_000):
    """Return how often tokens stay, pairs of them, all, and one position of two texts in a row.

    Then the share of each word, the mask among them, and how often two tokens come out the same; at
    the end whether the generator is obeyed.
    """
    text = x.expand(n, -1)
    z = answer(text.clone(), alpha, torch.Generator().manual_seed(0))
    if z.shape != text.shape:
        raise wrong_shape(z.shape, text.shape)
    same = (z == text).double()
    words = torch.stack([(z == v).double() for v in range(V + 1)])
    return torch.cat(
        [
            same.mean(0),
            of_pairs(same.T @ same / n),
            same.prod(1).mean()[None],
            (same[::2] * same[1::2]).mean(0),
            words.mean((1, 2)),
            of_pairs((words.mT @ words).sum(0) / n),
            obeys(lambda g: answer(text[:100].clone(), alpha, g)),
        ]
    )


def of_pairs(matrix):
    """Return what stands above the diagonal of a matrix (L, L)."""
    return matrix[tuple(torch.triu_indices(L, L, 1))]


def says_frequency(index, x, alpha):
    """Say what the number at an index of `frequencies` is."""
    pairs = torch.triu_indices(L, L, 1).T.tolist()
    words = [*(f"word {v}" for v in range(V)), "the mask"]
    said = [f"the share of draws in which token {i} stays what it was" for i in range(L)]
    said += [f"the share of draws in which tokens {i} and {j} both stay" for i, j in pairs]
    said += ["the share of draws in which all tokens stay"]
    said += [f"the share of draws in which token {i} stays in two texts in a row" for i in range(L)]
    said += [f"the share of {word} among all tokens drawn" for word in words]
    said += [f"the share of draws in which tokens {i} and {j} come out the same" for i, j in pairs]
    said += ["whether equal generators give equal draws (1: yes)"]
    said += ["whether different generators give different draws (1: yes)"]
    return said[index[0]]


# --------------------------------------------------------------------------------- rates and steps


def rate(p, z, alpha):
    return (p - here(z)) / (1 - alpha)


def rate_by_entries(p, z, alpha):
    R = p / (1 - alpha)
    for i, stay in enumerate(z.tolist()):
        R[i, stay] = 0
        R[i, stay] = -R[i].sum()
    return R


def step(R, z, h):
    return here(z) + h * R


def step_by_entries(R, z, h):
    p = h * R
    for i, stay in enumerate(z.tolist()):
        p[i, stay] = 0
        p[i, stay] = 1 - p[i].sum()
    return p


def leaving(R, z):
    """Return the rates off the diagonal."""
    return R * (1 - here(z))


# ----------------------------------------------------------------------- what the others say, and z


def odds(alpha, symbols=V):
    return symbols * alpha / (1 - alpha)


def posterior(loo, z, alpha, odds=odds):
    p = loo * (1 + odds(alpha) * here(z))
    return p / p.sum(-1, keepdim=True)


def posterior_by_likelihood(loo, z, alpha):
    joint = loo * (alpha * here(z) + (1 - alpha) / V)
    return (joint.log() - joint.sum(-1, keepdim=True).log()).exp()


# ------------------------------------------------------------------------------------- the bound


def bound_term(loo, x, z, alpha, symbols=V):
    """Return 1 / (V alpha) times the sum, over positions and y != z_i, of rho_y phi(d_y)."""
    return of_jumps(loo, x, z, alpha, lambda rho, d: rho * phi(d), symbols)


def of_jumps(loo, x, z, alpha, price, symbols=V):
    """Return 1 / (V alpha) times the sum of price(rho, d) over jumps."""
    c = odds(alpha, symbols)
    true, model = 1 + c * here(x), 1 + c * loo
    rho, rho_model = (xbar / xbar.gather(-1, z[:, None]) for xbar in (true, model))
    return leaving(price(rho, (rho / rho_model).log()), z).sum() / (symbols * alpha)


def bound_term_by_rates(loo, x, z, alpha):
    """Return the divergence of two chains, R_x log(R_x / R) - R_x + R, jump by jump."""
    total = 0.0
    for i, (clean, seen) in enumerate(zip(x.tolist(), z.tolist(), strict=True)):
        q = [alpha * (v == clean) + (1 - alpha) / V for v in range(V)]
        m = [alpha * loo[i, v] + (1 - alpha) / V for v in range(V)]
        for y in {*range(V)} - {seen}:
            a, b = q[y] / q[seen] / (V * alpha), m[y] / m[seen] / (V * alpha)
            total = total + a * (a / b).log() - a + b
    return total


def cross_entropy(p, x):
    return -p.gather(-1, x[:, None]).log().sum()


def mixture_term(loo, x, z, alpha):
    p, same = posterior(loo, z, alpha), (x == z).double()
    at_x, at_z = (p.gather(-1, i[:, None]).squeeze(-1) for i in (x, z))
    return (same - at_z - (1 - same) * at_x.log()).sum() / (1 - alpha)


EXERCISES = {
    "flow_corrupt": Exercise(
        corrupt,
        corrupt_in_place,
        {
            "survives with 1 - alpha": Mistake(
                lambda x, alpha, g: corrupt(x, 1 - alpha, g),
                "alpha is the probability that a token is kept; you replace tokens with that "
                "probability.",
            ),
            "one coin a text": Mistake(
                one_coin_a_text,
                "All tokens of a text are replaced together: draw a number for every token, so u "
                "has the shape of x.",
            ),
            "the mask among the symbols": Mistake(
                lambda x, alpha, g: corrupt(x, alpha, g, V + 1),
                "You draw from V + 1 symbols: this noise has no mask, so draw from 0 to V - 1.",
            ),
            "always another word": Mistake(
                always_another,
                "You never draw the word that stood there: all V symbols are equally likely, so a "
                "replaced token may be what it was.",
            ),
            "a word left out": Mistake(
                lambda x, alpha, g: corrupt(x, alpha, g, V - 1),
                "One word is never drawn: the upper end of torch.randint is exclusive.",
            ),
            "masked": Mistake(
                lambda x, alpha, g: torch.where(torch.rand(x.shape, generator=g) < alpha, x, V),
                "That is the noise of chapter 3: here a lost token becomes a random word, not the "
                "mask.",
            ),
            "one noise a text": Mistake(
                one_noise_a_text,
                "All lost tokens of a text become the same word: draw one for every token, so the "
                "noise has the shape of x.",
            ),
            "an exact number": Mistake(
                an_exact_number,
                "You keep the same number of tokens in every text: each token is kept or lost by "
                "itself, so their number varies.",
            ),
            "the generator unused": Mistake(
                without_the_generator,
                "The same generator gives other draws each time: pass generator=generator to rand "
                "and to randint.",
            ),
            "seeded inside": Mistake(
                seeded_inside,
                "Every call returns the same draw: take the generator as it is, without "
                "manual_seed.",
            ),
        },
        # alpha L is whole, so that an exact number is the same however it is rounded
        cases=lambda seed=0: [
            (varied(seed, x), alpha) for x, alpha in zip(X, (0.2, 0.6, 0.8, 0.0, 1.0), strict=True)
        ],
        measure=frequencies,
        tolerance=0.025,
        says=says_frequency,
    ),
    "flow_rate": Exercise(
        rate,
        rate_by_entries,
        {
            "nothing is taken away": Mistake(
                lambda p, z, alpha: leaving(p, z) / (1 - alpha),
                "Your rows do not sum to zero: what leaves z_i must be taken from it, so its own "
                "entry is minus the sum of the others.",
            ),
            "a rate to itself": Mistake(
                lambda p, z, alpha: p / (1 - alpha),
                "Your rows do not sum to zero: a jump from z_i to z_i is no jump, so its entry is "
                "minus the sum of the others.",
            ),
            "what stays instead of what leaves": Mistake(
                lambda p, z, alpha: p * (1 - 2 * here(z)) / (1 - alpha),
                "Your rows do not sum to zero: the entry at z_i is minus what goes elsewhere, "
                "1 - p, where you have -p.",
            ),
            "divided by alpha": Mistake(
                lambda p, z, alpha: rate(p, z, 1 - alpha),
                "You divide by alpha: a wrong token has 1 - alpha of its path left, so divide by "
                "that.",
            ),
            "sign": Mistake(
                lambda p, z, alpha: -rate(p, z, alpha),
                "Your rates to other words are negative: probability leaves z_i and arrives at "
                "the other words.",
            ),
            "no rate": Mistake(
                lambda p, z, alpha: p - here(z),
                "That says where the flow goes, not how fast: divide by 1 - alpha.",
            ),
            "times 1 - alpha": Mistake(
                lambda p, z, alpha: (p - here(z)) * (1 - alpha),
                "You multiply by 1 - alpha: the less of the path is left, the faster the flow must "
                "be, so divide by it.",
            ),
            "always where it stands": Mistake(
                lambda p, z, alpha: rate(p, p.argmax(-1), alpha),
                "You take the negative entry to be at the most probable word: it belongs at z_i, "
                "the word that stands there now.",
            ),
        },
        cases=lambda seed=0: [(known("posterior", i, seed), Z[i], ALPHAS[i]) for i in TEXTS],
    ),
    "euler_step": Exercise(
        step,
        step_by_entries,
        {
            "never stays": Mistake(
                lambda R, z, h: h * leaving(R, z),
                "Your probabilities sum to less than one: what does not jump stays where it is.",
            ),
            "always stays as well": Mistake(
                lambda R, z, h: here(z) + h * leaving(R, z),
                "Your probabilities sum to more than one: what jumps away must be subtracted "
                "where it stood.",
            ),
            "only the change": Mistake(
                lambda R, z, h: h * R,
                "That is only the change of the probabilities, which sums to zero: add it to the "
                "one-hot vector of z.",
            ),
            "always jumps": Mistake(
                lambda R, z, h: leaving(R, z) / leaving(R, z).sum(-1, keepdim=True) + 0 * h,
                "These are the probabilities of where a jump goes if there is one: in a short "
                "step most tokens stay.",
            ),
            "time reversed": Mistake(
                lambda R, z, h: here(z) - h * R,
                "You step against the rates, which makes probabilities negative: add h R, do not "
                "subtract it.",
            ),
            "no step": Mistake(
                lambda R, z, h: here(z) + R + 0 * h,
                "A rate is a probability per time: multiply it by the length h of the step.",
            ),
            "divided by h": Mistake(
                lambda R, z, h: here(z) + R / h,
                "You divide by h: a shorter step changes less, so multiply the rates by h.",
            ),
            "an exponential": Mistake(
                lambda R, z, h: here(z) * (h * R).exp() + (1 - here(z)) * h * R,
                "Your rows do not sum to one: in an Euler step a token stays with probability 1 + "
                "h R (R at z_i is negative), not with exp(h R).",
            ),
        },
        cases=lambda seed=0: [
            (rate(known("posterior", i, seed), Z[i], ALPHAS[i]), Z[i], h)
            for i, h in enumerate((0.1, 0.05, 0.02, 0.001, 0.0004))
        ],
    ),
    "flow_posterior": Exercise(
        posterior,
        posterior_by_likelihood,
        {
            "what stands there forgotten": Mistake(
                lambda loo, z, alpha: loo,
                "You return the prediction from the other tokens: z_i itself adds a factor 1 + c "
                "at v = z_i.",
            ),
            "alpha and 1 - alpha swapped": Mistake(
                lambda loo, z, alpha: posterior(loo, z, 1 - alpha),
                "You swap alpha and 1 - alpha: a token is kept with alpha, and replaced by any of "
                "the V words with 1 - alpha.",
            ),
            "c for 1 + c": Mistake(
                lambda loo, z, alpha: posterior(loo, z, alpha, lambda a: odds(a) - 1),
                "You multiply by c at z_i: the factor is 1 + c, because z_i may also be noise that "
                "happens to be that word.",
            ),
            "V forgotten": Mistake(
                lambda loo, z, alpha: posterior(loo, z, alpha, lambda a: odds(a, 1)),
                "A replaced token is z_i with probability (1 - alpha) / V, so c = V alpha / "
                "(1 - alpha): yours lacks the V.",
            ),
            "the mask counted in V": Mistake(
                lambda loo, z, alpha: posterior(loo, z, alpha, lambda a: odds(a, V + 1)),
                "You count V + 1 symbols: the noise draws from the V words only.",
            ),
            "does not sum to one": Mistake(
                lambda loo, z, alpha: loo * (1 + odds(alpha) * here(z)),
                "Bayes' rule has a denominator: divide each row by its sum.",
            ),
            "the joint probability": Mistake(
                lambda loo, z, alpha: loo * (alpha * here(z) + (1 - alpha) / V),
                "That is the probability of v and of z_i together: given z_i, divide each row by "
                "its sum.",
            ),
            "a mixture": Mistake(
                lambda loo, z, alpha: alpha * here(z) + (1 - alpha) * loo,
                "The probability that z_i was kept depends on how probable the other tokens make "
                "it: multiply by the likelihood of z_i, then divide each row by its sum.",
            ),
            "carried over": Mistake(
                lambda loo, z, alpha: here(z),
                "You take z_i to be certain, which holds under masks; here z_i may be noise, and "
                "1 + c is finite.",
            ),
        },
        cases=lambda seed=0: [(known("leave_one_out", i, seed), Z[i], ALPHAS[i]) for i in TEXTS],
    ),
    "flow_bound_term": Exercise(
        bound_term,
        bound_term_by_rates,
        {
            "cross-entropy": Mistake(
                lambda loo, x, z, alpha: cross_entropy(posterior(loo, z, alpha), x),
                "That is the cross-entropy of the posterior: a loss to train with, but no bound.",
            ),
            "cross-entropy of the others": Mistake(
                lambda loo, x, z, alpha: cross_entropy(loo, x),
                "That is a cross-entropy: it bounds the likelihood under masks (chapter 4), but "
                "not here.",
            ),
            "the loose bound": Mistake(
                mixture_term,
                "That is the bound with the forward rates: it holds, but even the exact posterior "
                "stays above -log p(x) with it. Use the reversal rates.",
            ),
            "the posterior for the others": Mistake(
                lambda loo, x, z, alpha: bound_term(posterior(loo, z, alpha), x, z, alpha),
                "You count z_i twice: the ratio of the rates needs the prediction from the other "
                "tokens, so use loo as it is.",
            ),
            "the mask counted in V": Mistake(
                lambda loo, x, z, alpha: bound_term(loo, x, z, alpha, V + 1),
                "You count V + 1 symbols: the noise draws from the V words only.",
            ),
            "no weight": Mistake(
                lambda loo, x, z, alpha: V * alpha * bound_term(loo, x, z, alpha),
                "The factor 1 / (V alpha), which all rates share, is missing.",
            ),
            "logarithms only": Mistake(
                lambda loo, x, z, alpha: of_jumps(loo, x, z, alpha, lambda rho, d: rho * d),
                "Not jumping is evidence too: R_x log(R_x / R) comes with - R_x + R.",
            ),
            "1 / alpha": Mistake(
                lambda loo, x, z, alpha: V * bound_term(loo, x, z, alpha),
                "Your factor is 1 / alpha: each of the V words has 1 / V of the noise, so it is "
                "1 / (V alpha).",
            ),
            "sign of d": Mistake(
                lambda loo, x, z, alpha: of_jumps(loo, x, z, alpha, lambda rho, d: rho * phi(-d)),
                "You have the ratio upside down: d is the logarithm of the rate that knows x over "
                "the rate of the model.",
            ),
            "rho left out": Mistake(
                lambda loo, x, z, alpha: of_jumps(loo, x, z, alpha, lambda rho, d: phi(d)),
                "You weight all jumps alike: each counts with its own rate, the ratio rho for the "
                "text x.",
            ),
            "weighted by the model": Mistake(
                lambda loo, x, z, alpha: of_jumps(
                    loo, x, z, alpha, lambda rho, d: rho * (-d).exp() * phi(d)
                ),
                "You weight the jumps by the rates of the model: the chain that knows x is the one "
                "that jumps, so weight by its rates.",
            ),
            "mean": Mistake(
                lambda loo, x, z, alpha: bound_term(loo, x, z, alpha) / L,
                "You average over positions: the bound of a text is the sum over all of them.",
            ),
        },
        cases=lambda seed=0: [
            (known("leave_one_out", i, seed), X[i], Z[i], ALPHAS[i]) for i in TEXTS
        ],
    ),
}
