"""Chapter 8, discrete flow matching. Texts of L = 5 over V = 3 words, and no mask among them.

Most probabilities that the cases hand out are those of the tiny language: loo (L, V) is p(x_i = v |
z without z_i), and p (L, V) the posterior p(x_i = v | z). The levels of noise come near both ends,
and one text lacks the last word, so that neither can be clamped and V cannot be read off it.
"""

import math

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


FAINT = torch.tensor(
    [[0.0, 0.3, 0.7], [0.6, 0.0, 0.4], [0.002, 0.9, 0.098], [0.5, 0.4995, 0.0005], [1.0, 0.0, 0.0]],
    dtype=torch.float64,
)
"""distributions that no language gave, which no clamp leaves as they are"""


def here(z):
    return one_hot(z, V).double()


def faint(what, i, seed):
    """Return `known`, but in place of the second text FAINT."""
    return varied_rows(seed, FAINT) if i == 1 else known(what, i, seed)


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


def noise_of_the_exercise(x, alpha, generator):
    """Return the noise with two bugs: always another word, and one coin for all of a text."""
    other = (x + torch.randint(1, V, x.shape, generator=generator)) % V
    return torch.where(torch.rand(len(x), 1, generator=generator) < alpha, x, other)


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


def one_number(x, alpha, generator):
    """Return noise in which the number that decides whether a token is lost also says the word."""
    u = torch.rand(x.shape, generator=generator)
    return torch.where(u < alpha, x, (V * u).long())


def words_of_the_text(x, alpha, generator):
    noise = x.flatten()[torch.randint(x.numel(), x.shape, generator=generator)]
    return torch.where(torch.rand(x.shape, generator=generator) < alpha, x, noise)


def without_luck(x, alpha, generator):
    """Give the clean word alpha and every other (1 - alpha) / V, over their sum."""
    kept = alpha / (alpha + (1 - alpha) * (V - 1) / V)
    return always_another(x, kept, generator)


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
    """Return the posterior mean of the rates of the noise run backwards, (L, V)."""
    c = odds(alpha)
    at_z = p.gather(-1, z[:, None])
    return complete((p * (1 + c) + at_z / (1 + c) + 1 - p - at_z) / (V * alpha), z)


def rate_by_texts(p, z, alpha):
    c = odds(alpha)
    R = torch.zeros(len(z), V, dtype=p.dtype)
    for i, seen in enumerate(z.tolist()):
        for clean in range(V):
            ratio = [(1 + c * (j == clean)) / (1 + c * (seen == clean)) for j in range(V)]
            R[i] += p[i, clean] * torch.tensor(ratio, dtype=p.dtype) / (V * alpha)
        R[i, seen] = R[i, seen] - R[i].sum()
    return R


def complete(R, z):
    """Return rates with the entry at z_i that makes each row sum to zero."""
    R = leaving(R, z)
    return R - R.sum(-1, keepdim=True) * here(z)


def of_ratio(prediction, z, alpha, symbols=V):
    """Return the rates of the noise run backwards with a prediction in place of the clean text."""
    xbar = 1 + odds(alpha, symbols) * prediction
    return complete(xbar / xbar.gather(-1, z[:, None]) / (symbols * alpha), z)


def forward_rate(p, z, alpha):
    return (p - here(z)) / (1 - alpha)


def weighted(of_j, of_z, of_others):
    """Return an answer that takes, in place of the ratios 1 + c, 1 / (1 + c) and 1, these of c."""

    def mine(p, z, alpha):
        c, at_z = odds(alpha), p.gather(-1, z[:, None])
        mean = p * of_j(c) + at_z * of_z(c) + (1 - p - at_z) * of_others(c)
        return complete(mean / (V * alpha), z)

    return mine


def product_of_means(p, z, alpha):
    c, at_z = odds(alpha), p.gather(-1, z[:, None])
    return complete((1 + c * p) * (1 - at_z + at_z / (1 + c)) / (V * alpha), z)


def step(R, z, h):
    return here(z) + h * R


def step_by_entries(R, z, h):
    p = h * R
    for i, stay in enumerate(z.tolist()):
        p[i, stay] = 0
        p[i, stay] = 1 - p[i].sum()
    return p


def step_of_the_exercise(R, z, h):
    """Return the step with the bug: a 1 where the token stands, then each row over its sum."""
    p = h * R
    p[torch.arange(len(z)), z] = 1
    return p / p.sum(-1, keepdim=True)


def whole_columns(R, z, h):
    p = h * R
    p[:, z] = 1 + p[:, z]
    return p


def leaving(R, z):
    """Return the rates off the diagonal."""
    return R * (1 - here(z))


# ----------------------------------------------------------------------- what the others say, and z


def odds(alpha, symbols=V):
    return symbols * alpha / (1 - alpha)


def uniform_posterior(loo, z, alpha):
    return normalised(loo * (1 + odds(alpha) * here(z)))


def normalised(p):
    return p / p.sum(-1, keepdim=True)


def posterior(loo, z, alpha, source):
    return normalised(loo * (alpha * here(z) + (1 - alpha) * source[z][:, None]))


def posterior_by_factor(loo, z, alpha, source):
    factor = 1 + alpha / ((1 - alpha) * source[z])
    p = loo.clone()
    p[torch.arange(len(z)), z] *= factor
    return p / p.sum(-1, keepdim=True)


SOURCES = torch.tensor(
    [[0.5, 0.3, 0.2], [0.2, 0.5, 0.3], [0.1, 0.15, 0.75], [0.6, 0.1, 0.3], [0.25, 0.05, 0.7]],
    dtype=torch.float64,
)

# ------------------------------------------------------------------------------------- jumps


def jumps(V, alpha):
    lost = 1 - alpha
    return [lost, lost * (V - 1) / V, (1 - 1 / V) * math.log(1 / alpha)]


def jumps_by_adding_up(V, alpha, n=2000):
    """Add up the rate of the noise that is run backwards, by Simpson's rule in log(alpha)."""
    grid = torch.linspace(math.log(alpha), 0, 2 * n + 1, dtype=torch.float64)
    rate = torch.exp(-grid) * (1 - 1 / V)  # per unit of alpha
    weights = torch.ones_like(grid)
    weights[1:-1:2], weights[2:-1:2] = 4, 2
    back = (weights * rate * torch.exp(grid)).sum() * (grid[1] - grid[0]) / 3
    wrong = 1 - (alpha + (1 - alpha) / V)
    return torch.stack([torch.tensor(1 - alpha, dtype=torch.float64), back.new_tensor(wrong), back])


def counted(masks, once, back):
    """Return an answer with these three functions of (V, alpha)."""
    return lambda V, alpha: [masks(V, alpha), once(V, alpha), back(V, alpha)]


def right(n):
    return lambda V, alpha: jumps(V, alpha)[n]


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


def only_to_the_clean_word(loo, x, z, alpha):
    c = odds(alpha)
    true, model = 1 + c * here(x), 1 + c * loo
    rho, rho_model = (xbar / xbar.gather(-1, z[:, None]) for xbar in (true, model))
    return leaving(here(x) * rho * phi((rho / rho_model).log()), z).sum() / (V * alpha)


def not_relative_to_z(loo, x, z, alpha):
    c = odds(alpha)
    true, model = 1 + c * here(x), 1 + c * loo
    rho = true / true.gather(-1, z[:, None])
    return leaving(rho * phi((true / model).log()), z).sum() / (V * alpha)


def only_wrong_tokens(loo, x, z, alpha):
    wrong = x != z
    return bound_term(loo[wrong], x[wrong], z[wrong], alpha)


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
    p, same = uniform_posterior(loo, z, alpha), (x == z).double()
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
            "the noise of the exercise": Mistake(
                noise_of_the_exercise,
                "That is the noise with both bugs: all tokens of a text are lost together, and a "
                "lost one never becomes what it was.",
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
            "the same number twice": Mistake(
                one_number,
                "One number decides both whether a token is lost and which word it becomes: draw "
                "two.",
            ),
            "words of the text": Mistake(
                words_of_the_text,
                "You draw the noise from the words of x: the source does not know the text, so all "
                "V words are equally likely.",
            ),
            "luck left out": Mistake(
                without_luck,
                "The clean word has its share of the noise too: it shows with probability alpha + "
                "(1 - alpha) / V.",
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
    "flow_posterior": Exercise(
        posterior,
        posterior_by_factor,
        {
            "what stands there forgotten": Mistake(
                lambda loo, z, alpha, source: loo,
                "You return the prediction from the other tokens: z_i itself is evidence too, so "
                "multiply by its probability given v.",
            ),
            "uniform noise": Mistake(
                lambda loo, z, alpha, source: uniform_posterior(loo, z, alpha),
                "That is the posterior under uniform noise: here z_i comes out of the noise with "
                "probability source[z_i], not 1 / 3.",
            ),
            "the source at v": Mistake(
                lambda loo, z, alpha, source: normalised(
                    loo * (alpha * here(z) + (1 - alpha) * source)
                ),
                "You take source[v]: the noise drew z_i, whatever the clean word v, so take "
                "source[z_i], one number a row.",
            ),
            "the source forgotten": Mistake(
                lambda loo, z, alpha, source: normalised(loo * (alpha * here(z) + 1 - alpha)),
                "A lost token becomes z_i with probability (1 - alpha) source[z_i]: yours lacks "
                "the source.",
            ),
            "times the source": Mistake(
                lambda loo, z, alpha, source: normalised(
                    loo * (1 + odds(alpha) * source[z][:, None] * here(z))
                ),
                "You multiply by source[z_i]: a word that noise seldom draws is better evidence, "
                "so it divides.",
            ),
            "alpha and 1 - alpha swapped": Mistake(
                lambda loo, z, alpha, source: posterior(loo, z, 1 - alpha, source),
                "You swap alpha and 1 - alpha: a token is kept with alpha, and replaced by a draw "
                "from the source with 1 - alpha.",
            ),
            "c for 1 + c": Mistake(
                lambda loo, z, alpha, source: normalised(
                    loo * (1 - here(z) + here(z) * alpha / ((1 - alpha) * source[z][:, None]))
                ),
                "Your factor at z_i leaves out its 1: z_i may also be noise that happens to be "
                "that word.",
            ),
            "does not sum to one": Mistake(
                lambda loo, z, alpha, source: (
                    loo * (1 + alpha / ((1 - alpha) * source[z][:, None]) * here(z))
                ),
                "Bayes' rule has a denominator: divide each row by its sum.",
            ),
            "the wrong axis": Mistake(
                lambda loo, z, alpha, source: (
                    (q := loo * (alpha * here(z) + (1 - alpha) * source[z][:, None])) / q.sum(0)
                ),
                "You divide columns by their sums: the words of one position, a row, must sum to "
                "one.",
            ),
            "over the whole text": Mistake(
                lambda loo, z, alpha, source: (
                    (q := loo * (alpha * here(z) + (1 - alpha) * source[z][:, None])) / q.sum()
                ),
                "You divide by the sum of all numbers: each position has its own posterior, so "
                "divide each row by its sum.",
            ),
            "the joint probability": Mistake(
                lambda loo, z, alpha, source: (
                    loo * (alpha * here(z) + (1 - alpha) * source[z][:, None])
                ),
                "That is the probability of v and of z_i together: given z_i, divide each row by "
                "its sum.",
            ),
            "a mixture": Mistake(
                lambda loo, z, alpha, source: alpha * here(z) + (1 - alpha) * loo,
                "The probability that z_i was kept depends on how probable the other tokens make "
                "it: multiply by the likelihood of z_i, then divide each row by its sum.",
            ),
            "the source for the others": Mistake(
                lambda loo, z, alpha, source: normalised(
                    source * (alpha * here(z) + (1 - alpha) * source[z][:, None])
                ),
                "You leave loo out: the source says what noise draws, loo what the clean word may "
                "be. Multiply loo by the likelihood of z_i.",
            ),
            "carried over": Mistake(
                lambda loo, z, alpha, source: here(z),
                "You take z_i to be certain, which holds under masks; here z_i may be noise.",
            ),
        },
        cases=lambda seed=0: [
            (faint("leave_one_out", i, seed), Z[i], ALPHAS[i], varied_rows(seed, SOURCES[i]))
            for i in TEXTS
        ],
    ),
    "flow_rate": Exercise(
        rate,
        rate_by_texts,
        {
            "the posterior for the others": Mistake(
                of_ratio,
                "You put the posterior where the clean word stood, a ratio of means: average the "
                "rates themselves over x_i, which gives a mean of ratios.",
            ),
            "the other set of rates": Mistake(
                forward_rate,
                "These are the rates that wait and jump once, p / (1 - alpha): asked for are those "
                "of the noise run backwards.",
            ),
            "nothing is taken away": Mistake(
                lambda p, z, alpha: leaving(rate(p, z, alpha), z),
                "Your rows do not sum to zero: the entry at z_i is minus the sum of the others.",
            ),
            "a rate to itself": Mistake(
                lambda p, z, alpha: leaving(rate(p, z, alpha), z) + here(z) / (V * alpha),
                "Your rows do not sum to zero: a jump from z_i to z_i is no jump, so its entry is "
                "minus the sum of the others.",
            ),
            "other words forgotten": Mistake(
                weighted(lambda c: 1 + c, lambda c: 1 / (1 + c), lambda c: 0),
                "The clean word may be neither j nor z_i: then the ratio is 1, with the "
                "probability 1 - p_j - p_(z_i).",
            ),
            "z counted twice": Mistake(
                lambda p, z, alpha: complete(
                    rate(p, z, alpha) + p.gather(-1, z[:, None]) / (V * alpha), z
                ),
                "You count z_i twice, by itself and among the other words: those have the "
                "probability 1 - p_j - p_(z_i).",
            ),
            "z as any other word": Mistake(
                weighted(lambda c: 1 + c, lambda c: 1, lambda c: 1),
                "If z_i itself is the clean word, a jump away is rarer, by 1 / (1 + c): you give "
                "it the ratio 1.",
            ),
            "only to the clean word": Mistake(
                weighted(lambda c: 1 + c, lambda c: 0, lambda c: 0),
                "You let a token jump only to its clean word: noise run backwards also jumps from "
                "one wrong word to another.",
            ),
            "c for 1 + c": Mistake(
                weighted(lambda c: c, lambda c: 1 / c, lambda c: 1),
                "Your ratios are c and 1 / c: they are 1 + c and 1 / (1 + c), because noise may "
                "also draw the clean word.",
            ),
            "ratio upside down": Mistake(
                weighted(lambda c: 1 / (1 + c), lambda c: 1 + c, lambda c: 1),
                "Your ratio is upside down: the word that a jump goes to is above, the word that "
                "it leaves is below.",
            ),
            "not averaged": Mistake(
                lambda p, z, alpha: of_ratio(here(p.argmax(-1)), z, alpha),
                "You take the most probable word to be the clean one: weight the rates for every "
                "clean word by p.",
            ),
            "1 / alpha": Mistake(
                lambda p, z, alpha: V * rate(p, z, alpha),
                "Your factor is 1 / alpha: each of the V words has 1 / V of the noise, so it is "
                "1 / (V alpha).",
            ),
            "a product of means": Mistake(
                product_of_means,
                "You average above and below by themselves: both belong to the same clean word, so "
                "average their ratio.",
            ),
            "1 - alpha below": Mistake(
                lambda p, z, alpha: alpha / (1 - alpha) * rate(p, z, alpha),
                "Your factor is 1 / (V (1 - alpha)): as alpha falls, noise draws each word at the "
                "rate 1 / (V alpha).",
            ),
            "no weight": Mistake(
                lambda p, z, alpha: V * alpha * rate(p, z, alpha),
                "The factor 1 / (V alpha), the rate at which noise draws each word, is missing.",
            ),
            "sign": Mistake(
                lambda p, z, alpha: -rate(p, z, alpha),
                "Your rates to other words are negative: probability leaves z_i and arrives at "
                "the other words.",
            ),
        },
        cases=lambda seed=0: [(faint("posterior", i, seed), Z[i], ALPHAS[i]) for i in TEXTS],
    ),
    "euler_step": Exercise(
        step,
        step_by_entries,
        {
            "the step of the exercise": Mistake(
                step_of_the_exercise,
                "That is the step with the bug: dividing by the sum hides that the 1 is too much, "
                "and shrinks every jump. What stays is what does not jump.",
            ),
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
            "whole columns": Mistake(
                whole_columns,
                "You change whole columns with p[:, z]: take one entry of each row, as "
                "p[torch.arange(len(z)), z] does.",
            ),
            "one sum for all": Mistake(
                lambda R, z, h: h * leaving(R, z) + here(z) * (1 - h * leaving(R, z).sum()),
                "You take the jumps of all tokens from each: what stays is 1 minus the sum of its "
                "own row.",
            ),
            "an exponential": Mistake(
                lambda R, z, h: here(z) * (h * R).exp() + (1 - here(z)) * h * R,
                "Your rows do not sum to one: in an Euler step a token stays with probability 1 + "
                "h R (R at z_i is negative), not with exp(h R).",
            ),
        },
        cases=lambda seed=0: [
            (forward_rate(known("posterior", i, seed), Z[i], ALPHAS[i]), Z[i], h)
            for i, h in enumerate((0.1, 0.05, 0.02, 0.001, 0.0004))
        ],
    ),
    "flow_jumps": Exercise(
        jumps,
        jumps_by_adding_up,
        {
            "luck forgotten": Mistake(
                counted(right(0), right(0), right(2)),
                "A random word is the right one with probability 1 / V, and then it need not "
                "jump: the second number is smaller than the first.",
            ),
            "luck under masks": Mistake(
                counted(right(1), right(1), right(2)),
                "A mask is never the right word by luck: each lost token jumps exactly once, so "
                "the first number is 1 - alpha.",
            ),
            "one jump each": Mistake(
                counted(right(0), right(1), right(1)),
                "Noise run backwards jumps more than once: count the replacements while alpha "
                "falls from 1, at the rate 1 / alpha.",
            ),
            "replaced by itself": Mistake(
                counted(right(0), right(1), lambda V, alpha: math.log(1 / alpha)),
                "You count replacements: one in V puts the same word there again, which is no "
                "jump.",
            ),
            "luck forgotten twice": Mistake(
                counted(right(0), right(0), lambda V, alpha: math.log(1 / alpha)),
                "You forget luck twice: a random word is the right one, and a replacement the same "
                "word again, with probability 1 / V.",
            ),
            "kept for lost": Mistake(
                lambda V, alpha: [alpha, alpha * (V - 1) / V, right(2)(V, alpha)],
                "alpha is the probability that a token is still there: those that must jump are "
                "the lost ones, 1 - alpha.",
            ),
            "from pure noise": Mistake(
                counted(lambda V, alpha: 1.0, lambda V, alpha: 1 - 1 / V, right(2)),
                "Your first two numbers are those from pure noise: at alpha only the share "
                "1 - alpha of the tokens is lost.",
            ),
            "every other word": Mistake(
                counted(right(0), right(1), lambda V, alpha: (V - 1) * math.log(1 / alpha)),
                "Your third number is V times too large: each other word is drawn at the rate "
                "1 / (V alpha).",
            ),
            "a rate that does not change": Mistake(
                counted(right(0), right(1), lambda V, alpha: (1 - 1 / V) * (1 - alpha) / alpha),
                "You multiply the last rate by the time: the rate 1 / alpha changes on the way, so "
                "integrate it.",
            ),
            "the other rate": Mistake(
                counted(
                    right(0),
                    right(1),
                    lambda V, alpha: (1 - 1 / V) * -math.log(max(1 - alpha, 1e-12)),
                ),
                "You integrate 1 / (1 - alpha): noise replaces a token at the rate 1 / alpha, as "
                "alpha falls.",
            ),
            "a sign": Mistake(
                counted(right(0), right(1), lambda V, alpha: -right(2)(V, alpha)),
                "Your third number is negative: log(alpha) is, and the number of jumps is its "
                "opposite.",
            ),
            "luck for its opposite": Mistake(
                counted(
                    right(0),
                    lambda V, alpha: (1 - alpha) / V,
                    lambda V, alpha: math.log(1 / alpha) / V,
                ),
                "1 / V is the probability to be right by luck: those that must jump are the rest, "
                "1 - 1 / V.",
            ),
            "luck of all": Mistake(
                counted(right(0), lambda V, alpha: 1 - alpha - 1 / V, right(2)),
                "You take 1 / V from all tokens: only a lost token can be right by luck, which has "
                "the probability (1 - alpha) / V.",
            ),
            "only the lost": Mistake(
                counted(right(0), right(1), lambda V, alpha: (1 - alpha) * right(2)(V, alpha)),
                "You multiply the last number by 1 - alpha: in noise run backwards a token that is "
                "right may jump away too, and back, so count all.",
            ),
            "bits": Mistake(
                counted(right(0), right(1), lambda V, alpha: right(2)(V, alpha) / math.log(2)),
                "Your logarithm has base 2: the integral of 1 / alpha is the natural one.",
            ),
        },
        cases=lambda seed=0: [
            (V, varied(seed, alpha, 0.8, 1.0))
            for V, alpha in ((3, 0.5), (32, 0.25), (2, 0.9), (50, 0.01), (7, 1.0))
        ],
    ),
    "flow_bound_term": Exercise(
        bound_term,
        bound_term_by_rates,
        {
            "cross-entropy": Mistake(
                lambda loo, x, z, alpha: cross_entropy(uniform_posterior(loo, z, alpha), x),
                "That is the cross-entropy of the posterior: a loss to train with, but no bound.",
            ),
            "cross-entropy of the others": Mistake(
                lambda loo, x, z, alpha: cross_entropy(loo, x),
                "That is a cross-entropy: under masks it is a bound (chapter 4), but not here.",
            ),
            "the loose bound": Mistake(
                mixture_term,
                "That is the bound of the chain that jumps once: it holds, but even for the exact "
                "posterior it is above -log p(x). Take the noise run backwards.",
            ),
            "the posterior for the others": Mistake(
                lambda loo, x, z, alpha: bound_term(uniform_posterior(loo, z, alpha), x, z, alpha),
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
            "only the clean word": Mistake(
                only_to_the_clean_word,
                "You count only the jumps to the clean word: noise run backwards also jumps from "
                "one wrong word to another, and away from a right one.",
            ),
            "only wrong tokens": Mistake(
                only_wrong_tokens,
                "You leave out the tokens that are right: they may jump away, at rates that differ "
                "between the two chains.",
            ),
            "d without z": Mistake(
                not_relative_to_z,
                "Your d leaves out what the rates have at z_i: it is the logarithm of the whole "
                "ratio of the rates, R_x / R.",
            ),
            "rho beside phi": Mistake(
                lambda loo, x, z, alpha: of_jumps(
                    loo, x, z, alpha, lambda rho, d: rho * (d - 1) + (-d).exp()
                ),
                "Your e^-d is not multiplied by rho: rho times phi(d) is rho e^-d - rho + rho d.",
            ),
            "the other way round": Mistake(
                lambda loo, x, z, alpha: of_jumps(
                    loo, x, z, alpha, lambda rho, d: rho * (-d).exp() * phi(-d)
                ),
                "That is the divergence the other way round: the chain that knows x comes first, "
                "R_x log(R_x / R) - R_x + R.",
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
