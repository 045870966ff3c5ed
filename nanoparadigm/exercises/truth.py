"""Chapter 0, a language we know everything about. P (S, V) and successor (S, V) as in `Automaton`;
state 0 starts every text."""

import math

import torch

from ..language.automaton import Automaton
from ..language.grammar import tiny
from .fresh import varied, varied_rows
from .grader import Exercise, Mistake

# --------------------------------------------------------------------------------- log_prob


def log_prob(P, successor, x):
    return walked(P, successor, x).log().sum()


def log_prob_of_product(P, successor, x):
    state, p = 0, torch.ones((), dtype=torch.float64)
    for word in x.tolist():
        p, state = p * P[state, word], successor[state, word]
    return p.log()


def walked(P, successor, x):
    """Return the probability of each word of a text in turn."""
    state, found = 0, []
    for word in x.tolist():
        found.append(P[state, word])
        state = int(successor[state, word])
    return torch.stack(found)


def never_moves(P, successor, x):
    return P[0, x].log().sum()


def moves_too_early(P, successor, x):
    state, total = 0, 0.0
    for word in x.tolist():
        state = int(successor[state, word])
        total = total + P[state, word].log()
    return total


def skips_zeros(P, successor, x):
    p = walked(P, successor, x)
    return p[p > 0].log().sum()


# --------------------------------------------------------------------------------- occupancy


def transition(P, successor):
    return Automaton(range(P.shape[1]), P, successor).transition()


def occupancy(P, successor, L):
    return occupancy_from(P, successor, L, torch.eye(len(P), dtype=torch.float64)[0])


def occupancy_by_powers(P, successor, L):
    T = transition(P, successor)
    return torch.stack([torch.linalg.matrix_power(T, i)[0] for i in range(L)])


def occupancy_from(P, successor, L, start):
    T, rows = transition(P, successor), [start]
    for _ in range(L - 1):
        rows.append(rows[-1] @ T)
    return torch.stack(rows)


def stationary(P, successor):
    return torch.linalg.matrix_power(transition(P, successor), 1000)[0]


def occupancy_transposed(P, successor, L):
    T, rows = transition(P, successor), [torch.eye(len(P), dtype=torch.float64)[0]]
    for _ in range(L - 1):
        rows.append(T @ rows[-1])
    return torch.stack(rows)


def occupancy_with_words_lost(P, successor, L):
    T = torch.zeros(len(P), len(P), dtype=P.dtype)
    for state in range(len(P)):
        for word in range(P.shape[1]):
            T[state, successor[state, word]] = P[state, word]
    return torch.stack([torch.linalg.matrix_power(T, i)[0] for i in range(L)])


# ----------------------------------------------------------------------------------- entropy


def surprise(P):
    """Return H(next word | state), nats, for every state."""
    return -torch.special.xlogy(P, P).sum(1)


def entropy(P, successor, L):
    return occupancy(P, successor, L).sum(0) @ surprise(P)


def entropy_by_the_library(P, successor, L):
    return Automaton(range(P.shape[1]), P, successor).entropy(L)


# ------------------------------------------------------------------------ bits a character


def bits_per_character(nats_per_word, words, characters):
    return nats_per_word * words / characters / math.log(2)


def bits_per_character_in_total(nats_per_word, words, characters):
    bits = nats_per_word * words * math.log2(math.e)
    return bits / characters


# ------------------------------------------------------------------------------- memory of one


def memory_of_one(P, weight):
    """Return H(next word | the word before), nats.

    weight (S, V): p(state, the word that led to it).
    """
    total = 0.0
    for word in range(weight.shape[1]):
        mass = weight[:, word].sum()
        if mass > 0:
            p = weight[:, word] @ P / mass
            total = total - mass * torch.special.xlogy(p, p).sum()
    return total


def memory_of_one_by_the_joint(P, weight):
    joint = weight.T @ P  # p(the word before, the next)
    before = joint.sum(1, keepdim=True)
    return -(torch.special.xlogy(joint, joint / before.clamp(min=1e-300))).sum()


def no_memory(P, weight):
    p = weight.sum(1) @ P
    return -torch.special.xlogy(p, p).sum()


SMALL = tiny()
# four states, with words that cannot be
P = torch.tensor(
    [[0.7, 0.3, 0.0], [0.0, 0.5, 0.5], [0.2, 0.2, 0.6], [1.0, 0.0, 0.0]], dtype=torch.float64
)
NEXT = torch.tensor([[1, 2, 0], [0, 3, 2], [2, 1, 0], [1, 3, 3]])
TEXTS = [[0, 1, 0, 2], [1, 2, 0, 0, 1], [1, 0, 0, 0], [0, 0, 1, 0]]


def flow_into(automaton, L=20):
    """Return p(state, the word that led to it), averaged over the positions of texts of L words."""
    weight = torch.zeros(len(automaton.P), automaton.V, dtype=torch.float64)
    before = automaton.occupancy(L).mean(0)
    for state in range(len(automaton.P)):
        for word in range(automaton.V):
            after = automaton.successor[state, word]
            weight[after, word] += before[state] * automaton.P[state, word]
    return weight


def two_automata(seed=0):
    return [
        (varied_rows(seed, P), NEXT, 6),
        (varied_rows(seed, SMALL.P), SMALL.successor, 5),
    ]


EXERCISES = {
    "log_prob": Exercise(
        log_prob,
        log_prob_of_product,
        {
            "bits": Mistake(
                lambda P, successor, x: walked(P, successor, x).log2().sum(),
                "These are bits: a nat is a logarithm to the base e, a bit one to the base 2.",
            ),
            "sign": Mistake(
                lambda P, successor, x: -log_prob(P, successor, x),
                "This is the surprise, -log p(x): the exercise asks for log p(x), which is never "
                "above 0.",
            ),
            "sum of probabilities": Mistake(
                lambda P, successor, x: walked(P, successor, x).sum().log(),
                "You add probabilities where the chain rule multiplies them: add their logarithms.",
            ),
            "the state never moves": Mistake(
                never_moves,
                "You take every word's probability in state 0: after each word go on to "
                "successor[state, word].",
            ),
            "moves too early": Mistake(
                moves_too_early,
                "You move to the next state before you look up the word's probability: look it up "
                "first.",
            ),
            "impossible words skipped": Mistake(
                skips_zeros,
                "A text with an impossible word has probability 0 and log-probability -inf; you "
                "leave the word out.",
            ),
        },
        cases=lambda seed=0: (
            [(varied_rows(seed, P), NEXT, torch.tensor(x)) for x in TEXTS]
            + [(varied_rows(seed, SMALL.P), SMALL.successor, torch.tensor(x)) for x in TEXTS]
        ),
    ),
    "occupancy": Exercise(
        occupancy,
        occupancy_by_powers,
        {
            "stationary start": Mistake(
                lambda P, successor, L: occupancy_from(P, successor, L, stationary(P, successor)),
                "You begin in the stationary distribution, but every text begins in state 0.",
            ),
            "uniform start": Mistake(
                lambda P, successor, L: occupancy_from(
                    P, successor, L, torch.full((len(P),), 1 / len(P), dtype=torch.float64)
                ),
                "You begin in every state with the same probability, but every text begins in "
                "state 0.",
            ),
            "after the word instead of before": Mistake(
                lambda P, successor, L: occupancy(P, successor, L + 1)[1:],
                "Row i is the state before word i, and before the first word it is state 0.",
            ),
            "transposed": Mistake(
                occupancy_transposed,
                "A distribution is a row, on the left of the matrix whose rows add up to 1.",
            ),
            "one word a state": Mistake(
                occupancy_with_words_lost,
                "Two words may lead to the same state, and you keep only the last: add them up, "
                "as with += (or index_put with accumulate).",
            ),
        },
        cases=two_automata,
    ),
    "entropy": Exercise(
        entropy,
        entropy_by_the_library,
        {
            "bits": Mistake(
                lambda P, successor, L: entropy(P, successor, L) / math.log(2),
                "These are bits: use the natural logarithm.",
            ),
            "L times the rate": Mistake(
                lambda P, successor, L: L * stationary(P, successor) @ surprise(P),
                "That is L times the entropy rate, which is right for endless texts: these begin "
                "in state 0, and each position has its own occupancy.",
            ),
            "words by themselves": Mistake(
                lambda P, successor, L: surprise(occupancy(P, successor, L) @ P).sum(),
                "You forget the words before: take the entropy of each word given the state they "
                "led to, and weight the states by how often texts are in them.",
            ),
            "states alike": Mistake(
                lambda P, successor, L: L * surprise(P).mean(),
                "You take the plain mean over states: weight each by how often texts are in it.",
            ),
            "0 log 0": Mistake(
                lambda P, successor, L: occupancy(P, successor, L).sum(0) @ -(P * P.log()).sum(1),
                "To a computer 0 times log 0 is nan, but in an entropy it counts as 0: see "
                "torch.special.xlogy.",
            ),
            "per word": Mistake(
                lambda P, successor, L: entropy(P, successor, L) / L,
                "That is nats per word: the entropy of the text is the sum over its positions.",
            ),
        },
        cases=two_automata,
    ),
    "memory_of_one": Exercise(
        memory_of_one,
        memory_of_one_by_the_joint,
        {
            "knows the state": Mistake(
                lambda P, weight: weight.sum(1) @ surprise(P),
                "That is the entropy given the state, which one word does not determine: first "
                "mix the states that the word may have led to.",
            ),
            "no memory": Mistake(
                no_memory,
                "That is the entropy of a word by itself: condition on the word before.",
            ),
            "two words together": Mistake(
                lambda P, weight: surprise(weight.T @ P).sum(),
                "That is the entropy of the two words together: divide each row of the joint by "
                "the probability of the word before, inside the logarithm.",
            ),
            "words alike": Mistake(
                lambda P, weight: (
                    -torch.special.xlogy(
                        q := weight.T @ P / weight.sum(0)[:, None].clamp(min=1e-300), q
                    )
                    .sum(1)
                    .mean()
                ),
                "You take the plain mean over the words before: weight each by how often it "
                "occurs.",
            ),
        },
        cases=lambda seed=0: [
            (P, flow_into(Automaton("abc", P, successor)))
            for P, successor, _ in two_automata(seed)[::-1]
        ],
    ),
    "bits_per_character": Exercise(
        bits_per_character,
        bits_per_character_in_total,
        {
            "bits per word": Mistake(
                lambda nats, words, characters: nats / math.log(2),
                "These are bits per word: other tokenizers have other words, so spread the bits "
                "over the characters of the text.",
            ),
            "nats per character": Mistake(
                lambda nats, words, characters: nats * words / characters,
                "These are nats: divide by log 2.",
            ),
            "log 2 on the wrong side": Mistake(
                lambda nats, words, characters: nats * words / characters * math.log(2),
                "A nat is more than a bit, 1.44 of them: divide by log 2.",
            ),
            "words forgotten": Mistake(
                lambda nats, words, characters: nats / characters / math.log(2),
                "You spread the nats of one word over all characters: the whole text has nats "
                "times words.",
            ),
            "of the whole text": Mistake(
                lambda nats, words, characters: nats * words / math.log(2),
                "These are the bits of the whole text: divide them by its characters.",
            ),
            "upside down": Mistake(
                lambda nats, words, characters: nats * characters / words / math.log(2),
                "You give every word as many bits as it has characters: divide by the characters.",
            ),
        },
        cases=lambda seed=0: [
            (varied(seed, nats), *rest)
            for nats, *rest in ((1.0, 32, 128), (2.5, 1000, 5210), (0.99, 32, 32))
        ],
    ),
}
