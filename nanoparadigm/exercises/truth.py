"""Chapter 0, a language we know everything about. P (S, V) and successor (S, V) as in `Automaton`;
state 0 starts every text, and in a masked text z symbol V hides a word."""

import itertools
import math
from functools import cache

import torch

from ..language.automaton import Automaton
from ..language.grammar import tiny
from .fresh import telling, varied, varied_rows
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
    return walked_by(P, x, lambda state, word: int(successor[state, word]))


def walked_by(P, x, after):
    """Return the same if after(state, word) is the next state."""
    state, found = 0, []
    for word in x.tolist():
        found.append(P[state, word])
        state = after(state, word)
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


def stops_at_zero(P, successor, x):
    p = walked(P, successor, x)
    return p[: int((p > 0).cumprod(0).sum())].log().sum()


def zero_where_impossible(P, successor, x):
    found = log_prob(P, successor, x)
    return torch.where(found.isinf(), 0.0, found)


def clamped_at(least):
    return lambda P, successor, x: walked(P, successor, x).clamp(min=least).log().sum()


# --------------------------------------------------------------------------------- occupancy


def transition(P, successor):
    return Automaton(range(P.shape[1]), P, successor).transition()


def occupancy(P, successor, L):
    return occupancy_from(P, successor, L, torch.eye(len(P), dtype=torch.float64)[0])


def occupancy_by_powers(P, successor, L):
    return first_rows(transition(P, successor), L)


def first_rows(T, L):
    """Return the first rows of the powers 0 ... L - 1 of a matrix."""
    return torch.stack([torch.linalg.matrix_power(T, i)[0] for i in range(L)])


def occupancy_from(P, successor, L, start):
    T, rows = transition(P, successor), [start]
    for _ in range(L - 1):
        rows.append(rows[-1] @ T)
    return torch.stack(rows)


def stationary(P, successor):
    return torch.linalg.matrix_power(transition(P, successor), 1000)[0]


def occupancy_with_words_lost(P, successor, L):
    T = torch.zeros(len(P), len(P), dtype=P.dtype)
    for state in range(len(P)):
        for word in range(P.shape[1]):
            T[state, successor[state, word]] = P[state, word]
    return first_rows(T, L)


def occupancy_with_arrows_lost(P, successor, L):
    rows = [torch.eye(len(P), dtype=torch.float64)[0]]
    for _ in range(L - 1):
        flow = (rows[-1][:, None] * P).flatten()
        rows.append(last_write_wins(torch.zeros_like(rows[0]), 0, successor.flatten(), flow))
    return torch.stack(rows)


def occupancy_of_one_step(P, successor, L):
    first, second = occupancy(P, successor, 2)
    return torch.stack([first] + [second] * (L - 1))


# ------------------------------------------------------------------------------- memory of one


def memory_of_one(P, weight):
    """Return H(next word | the word before), nats.

    weight (S, V): p(state, the word that led to it).
    """
    return weight.sum(0) @ entropies(after_each_word(P, weight))


def memory_of_one_by_the_joint(P, weight):
    joint = weight.T @ P  # p(the word before, the next)
    return entropies(joint).sum() - entropies(joint.sum(1)[None]).sum()


def entropies(P):
    """Return the entropy of each row, nats."""
    return -torch.special.xlogy(P, P).sum(1)


def after_each_word(P, weight):
    """Return p(next word | the word before), a row for each word before."""
    return weight.T @ P / weight.sum(0)[:, None].clamp(min=1e-300)


def no_memory(P, weight):
    return entropies((weight.sum(1) @ P)[None]).sum()


def of_the_state(P, weight):
    return entropies(weight.T).sum() - entropies(weight.sum(0)[None]).sum()


def possible_states_alike(P, weight):
    possible = (weight > 0).double()
    mixed = possible.T @ P / possible.sum(0)[:, None].clamp(min=1)
    return weight.sum(0) @ entropies(mixed)


# ----------------------------------------------------------------------- what is behind a mask


def allowed(z, V):
    """Return 1 for the words that may stand at each position and 0 for all others, (L, V)."""
    seen = torch.nn.functional.one_hot(z, V + 1)[:, :V].double()
    return torch.where((z == V)[:, None], 1.0, seen)


def behind_the_mask(P, successor, z):
    e = allowed(z, P.shape[1])
    return from_both_sides(P, successor, e, forwards(P, successor, e), backwards(P, successor, e))


def from_both_sides(P, successor, e, forward, backward):
    """Return p(x_i = v | z), (L, V), of the messages before each word, (L, S), and after it."""
    joint = with_all_words(P, successor, e, forward, backward)
    return joint / joint.sum(1, keepdim=True)


def with_all_words(P, successor, e, forward, backward):
    """Return p(x_i = v, the visible words), (L, V)."""
    onward = P * e[:, None] * backward[1:][:, successor]
    return torch.einsum("is,isv->iv", forward[:-1], onward)


def forwards(P, successor, e, start=0, gather=torch.Tensor.index_add):
    """Return p(the visible words so far, state) before each word and after the last, (L + 1, S)."""
    first = torch.eye(len(P), dtype=torch.float64)[0]
    rows = [first if start == 0 else torch.full_like(first, 1 / len(P))]
    for now in e:
        flow = rows[-1][:, None] * P * now
        rows.append(gather(torch.zeros_like(first), 0, successor.flatten(), flow.flatten()))
    return torch.stack(rows)


def backwards(P, successor, e):
    """Return p(the visible words to come | state) before each word and after the last."""
    rows = [torch.ones(len(P), dtype=torch.float64)]
    for now in e.flip(0):
        rows.append((P * now * rows[-1][successor]).sum(1))
    return torch.stack(rows[::-1])


def behind_the_mask_by_counting(P, successor, z):
    """Return the same as a sum over all texts."""
    texts, log_p = that_fit(P, successor, z)
    one_hot = torch.nn.functional.one_hot(texts, P.shape[1]).double()
    return (log_p.softmax(0)[:, None, None] * one_hot).sum(0)


def that_fit(P, successor, z):
    """Return every text that fits z, (n, L), and its log-probability (n,)."""
    V = P.shape[1]
    texts = torch.cartesian_prod(*[torch.arange(V)] * len(z))
    texts = texts[((texts == z) | (z == V)).all(1)]
    return texts, Automaton(range(V), P, successor).log_prob(texts)


def mistaken_posterior(forward=forwards, backward=backwards, evidence=lambda e: e):
    """Return `behind_the_mask` with other messages, or another evidence where they meet."""

    def answer(P, successor, z):
        e = allowed(z, P.shape[1])
        messages = forward(P, successor, e), backward(P, successor, e)
        return from_both_sides(P, successor, evidence(e), *messages)

    return answer


def nothing_seen(passes):
    """Return the same messages as if every word were hidden."""
    return lambda P, successor, e: passes(P, successor, torch.ones_like(e))


def not_normalised(P, successor, z):
    e = allowed(z, P.shape[1])
    messages = forwards(P, successor, e), backwards(P, successor, e)
    return with_all_words(P, successor, e, *messages)


def mask_without_words(P, successor, z):
    e = allowed(z, P.shape[1]) * (z != P.shape[1])[:, None]
    return from_both_sides(P, successor, e, forwards(P, successor, e), backwards(P, successor, e))


def before_the_word(P, successor, z):
    e = allowed(z, P.shape[1])
    here = forwards(P, successor, e)[:-1] * backwards(P, successor, e)[:-1]
    joint = (here @ P) * e
    return joint / joint.sum(1, keepdim=True)


def last_write_wins(into, dim, index, flow):
    into = into.clone()
    for place, amount in zip(index.tolist(), flow.tolist(), strict=True):
        into[place] = amount
    return into


# ------------------------------------------------------------------------------ the best filling


def best_filling(P, successor, z):
    """Return the most probable text (L,) that fits z: forward with max for sum, then back."""
    best, came = torch.full((len(P),), -math.inf, dtype=torch.float64), []
    best[0] = 0
    for now in allowed(z, P.shape[1]):
        reached, by = torch.full_like(best, -math.inf), {}
        for state, word in (P * now).nonzero().tolist():
            there, score = int(successor[state, word]), best[state] + P[state, word].log()
            if score > reached[there]:
                reached[there], by[there] = score, (state, word)
        best = reached
        came.append(by)
    state, text = int(best.argmax()), []
    for by in reversed(came):
        state, word = by[state]
        text.append(word)
    return torch.tensor(text[::-1])


def best_filling_by_trying(P, successor, z):
    texts, log_p = that_fit(P, successor, z)
    return texts[log_p.argmax()]


def word_by_word(P, successor, z):
    return behind_the_mask(P, successor, z).argmax(1)


def greedy(P, successor, z):
    state, text = 0, []
    for symbol in z.tolist():
        text.append(int(P[state].argmax()) if symbol == P.shape[1] else symbol)
        state = int(successor[state, text[-1]])
    return torch.tensor(text)


def one_by_one(choose):
    """Return a function that fills the masks in turn, each with its most probable word.

    choose(p, hidden): which of the masks at `hidden` is next, given p (L, V) behind each.
    """

    def answer(P, successor, z):
        z, V = z.clone(), P.shape[1]
        while len(hidden := (z == V).nonzero().flatten()):
            p = behind_the_mask(P, successor, z)
            i = choose(p, hidden)
            z[i] = p[i].argmax()
        return z

    return answer


from_the_left = one_by_one(lambda p, hidden: hidden[0])
from_the_right = one_by_one(lambda p, hidden: hidden[-1])
surest_first = one_by_one(lambda p, hidden: hidden[p[hidden].amax(1).argmax()])
least_entropy_first = one_by_one(lambda p, hidden: hidden[entropies(p[hidden]).argmin()])
clearest_first = one_by_one(lambda p, hidden: hidden[p[hidden].topk(2).values.diff().argmin()])


def last_way(P, successor, z):
    """Return the text if, of the ways to a state, the last one is kept instead of the best."""
    ways = {0: (1.0, [])}
    for now in allowed(z, P.shape[1]):
        longer = {}
        for state, (p, text) in ways.items():
            for word in now.nonzero().flatten().tolist():
                there = int(successor[state, word])
                longer[there] = p * P[state, word].item(), [*text, word]
        ways = longer
    return torch.tensor(max(ways.values())[1])


def summed_ways(P, successor, z):
    """Return the text if the sum over all ways to a state is kept, and the best last step."""
    e, text = allowed(z, P.shape[1]), []
    forward = forwards(P, successor, e)
    state = int(forward[-1].argmax())
    for f, now in zip(forward[:-1].flip(0), e.flip(0), strict=True):
        flow = f[:, None] * P * now * (successor == state)
        state, word = divmod(int(flow.argmax()), P.shape[1])
        text.append(word)
    return torch.tensor(text[::-1])


def its_states(P, successor, z):
    states = [0]
    for word in best_filling(P, successor, z).tolist():
        states.append(int(successor[states[-1], word]))
    return torch.tensor(states[1:])


def least_probable(P, successor, z):
    texts, log_p = that_fit(P, successor, z)
    return texts[log_p.argmin()]


def all_hidden(answer):
    return lambda P, successor, z: answer(P, successor, torch.full_like(z, P.shape[1]))


# -------------------------------------------------------------------------------- every word twice


def stuttered(nats_per_word, words, characters):
    """Return nats a word, perplexity and bits a character of a text whose words stand twice."""
    nats = nats_per_word / 2
    return [nats, math.exp(nats), nats * 2 * words / (2 * characters) / math.log(2)]


def stuttered_in_total(nats_per_word, words, characters):
    bits = nats_per_word * words * math.log2(math.e)  # in all: a copy is no surprise
    return [bits * math.log(2) / (2 * words), 2 ** (bits / (2 * words)), bits / (2 * characters)]


def stuttered_but(place, value):
    """Return `stuttered` with another value(nats, words, characters) at a place."""

    def answer(nats_per_word, words, characters):
        found = stuttered(nats_per_word, words, characters)
        found[place] = value(nats_per_word, words, characters)
        return found

    return answer


NUMBERS = ("the nats per word", "the perplexity", "the bits per character")

# ---------------------------------------------------------------------------------------- cases

SMALL = tiny()
# four states, with words that cannot be; in state 0 the likeliest word is not number 0
P = torch.tensor(
    [[0.3, 0.7, 0.0], [0.0, 0.45, 0.55], [0.2, 0.2, 0.6], [1.0, 0.0, 0.0]], dtype=torch.float64
)
NEXT = torch.tensor([[1, 2, 0], [0, 3, 2], [2, 1, 0], [1, 3, 3]])
TEXTS = [[0, 1, 0, 2], [1, 2, 0, 0, 1], [1, 0, 0, 0], [0, 0, 1, 0]]
MASKED = [
    [3, 2, 3, 3, 1],
    [3, 3, 0, 3, 3],
    [1, 3, 3, 2],
    [3, 3, 3, 3, 3],
    [1, 0, 2, 0, 1, 3, 2, 3],  # improbable
    [1, 0, 2, 0],  # without a mask
]


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


def weights(seed=0):
    """Return cases (P, p(state, the word that led to it)), with a rare word and an unseen one."""
    rare = [[0.985, 0.01, 0.005], [0.6, 0.399, 0.001], [0.3, 0.7, 0.0], [1.0, 0.0, 0.0]]
    unseen = [[0.4, 0.6, 0.0], [0.75, 0.25, 0.0], [0.1, 0.9, 0.0], [1.0, 0.0, 0.0]]
    others = [(varied_rows(seed, torch.tensor(rows).double()), NEXT) for rows in (rare, unseen)]
    both = [(rows, successor) for rows, successor, _ in two_automata(seed)[::-1]] + others
    return [(rows, flow_into(Automaton("abc", rows, successor))) for rows, successor in both]


def masked_texts(seed=0):
    return [
        (rows, successor, torch.tensor(z))
        for rows, successor, _ in two_automata(seed)[::-1]
        for z in MASKED
    ]


@cache
def ambiguous_texts(seed=0):
    """Return masked texts with one best filling, each of which some usual mistake fills otherwise.

    Two texts that use the same arrows in another order are equally probable: these are left out.
    """
    wrong = word_by_word, greedy, all_hidden(best_filling), last_way
    wrong += from_the_left, from_the_right, surest_first, summed_ways
    wrong += least_entropy_first, clearest_first
    cases, g = [], torch.Generator().manual_seed(seed)
    for tries in itertools.count():
        if len(cases) == 2 * len(wrong):
            return cases
        # with some tables a mistake is never one: then others are drawn
        automata = two_automata(seed + tries // 500 * 1_000_003)
        rows, successor, _ = automata[int(torch.randint(2, (), generator=g))]
        L = 4 + len(cases) % 3
        z = torch.randint(rows.shape[1] + 3, (L,), generator=g).clamp(max=rows.shape[1])
        case = (rows, successor, z)
        first = that_fit(*case)[1].sort(descending=True).values[:2]
        clear = len(first) == 2 and first[0] > first[1] + 1e-3
        if clear and not wrong[len(cases) % len(wrong)](*case).equal(best_filling(*case)):
            cases.append(case)


def the_surest_is_not_always_the_leftmost(cases):
    return any(not surest_first(*case).equal(from_the_left(*case)) for case in cases)


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
            "probability": Mistake(
                lambda P, successor, x: log_prob(P, successor, x).exp(),
                "This is p(x) itself: return its logarithm.",
            ),
            "sum of probabilities": Mistake(
                lambda P, successor, x: walked(P, successor, x).sum().log(),
                "You add probabilities where the chain rule multiplies them: add their logarithms.",
            ),
            "not added up": Mistake(
                lambda P, successor, x: walked(P, successor, x).log(),
                "You return a number for every word: the log-probability of the text is their sum.",
            ),
            "per word": Mistake(
                lambda P, successor, x: log_prob(P, successor, x) / len(x),
                "You divide by the number of words: log p(x) of the whole text is the sum.",
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
            "word for state": Mistake(
                lambda P, successor, x: walked_by(P, x, lambda state, word: word).log().sum(),
                "You use the number of the word as the next state: the next state is "
                "successor[state, word].",
            ),
            "likeliest word for state": Mistake(
                lambda P, successor, x: (
                    walked_by(P, x, lambda state, word: int(P[state].argmax())).log().sum()
                ),
                "You take P[state].argmax(), which is the likeliest word, as the next state: the "
                "next state is successor[state, word].",
            ),
            "as if the likeliest word had come": Mistake(
                lambda P, successor, x: (
                    walked_by(P, x, lambda state, _: int(successor[state, P[state].argmax()]))
                    .log()
                    .sum()
                ),
                "You go on as if the likeliest word had been said: the word of the text decides "
                "the next state.",
            ),
            "first word skipped": Mistake(
                lambda P, successor, x: walked(P, successor, x)[1:].log().sum(),
                "You leave out the first word: it has a probability too, the one in state 0.",
            ),
            "last word skipped": Mistake(
                lambda P, successor, x: walked(P, successor, x)[:-1].log().sum(),
                "You leave out the last word: every word of the text counts.",
            ),
            "impossible words skipped": Mistake(
                skips_zeros,
                "A text with an impossible word has probability 0 and log-probability -inf; you "
                "leave the word out.",
            ),
            "stops at an impossible word": Mistake(
                stops_at_zero,
                "You stop at an impossible word and return the sum so far: such a text has "
                "probability 0 and log-probability -inf.",
            ),
            "0 for an impossible text": Mistake(
                zero_where_impossible,
                "You return 0 for an impossible text, which is the logarithm of 1: that of its "
                "probability, 0, is -inf.",
            ),
        }
        | {
            f"zeros raised to {least:g}": Mistake(
                clamped_at(least),
                f"You raise probabilities to at least {least:g}: that of an impossible word is 0, "
                "and the text's log-probability -inf.",
            )
            for least in (1e-12, 1e-10, 1e-8)
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
            "one row too many": Mistake(
                lambda P, successor, L: occupancy(P, successor, L + 1),
                "You also return the state after the last word: there are L rows, one before each "
                "word.",
            ),
            "states in rows": Mistake(
                lambda P, successor, L: occupancy(P, successor, L).T,
                "You return a row for each state: the result has a row for each position, (L, S).",
            ),
            "one tensor again and again": Mistake(
                lambda P, successor, L: occupancy(P, successor, L)[-1:].expand(L, -1),
                "All your rows are the last one: you change one tensor in place and keep it L "
                "times, so make a new one for every position.",
            ),
            "transposed": Mistake(
                lambda P, successor, L: first_rows(transition(P, successor).T, L),
                "A distribution is a row, on the left of the matrix whose rows add up to 1.",
            ),
            "one word a state": Mistake(
                occupancy_with_words_lost,
                "Two words may lead to the same state, and you keep only the last: add them up, "
                "as with += (or index_put with accumulate).",
            ),
            "one arrow a state": Mistake(
                occupancy_with_arrows_lost,
                "Your rows after the first are 0. Where several arrows lead to the same state, "
                "row[successor] += ... keeps only the last: add them all up, as index_add does.",
            ),
            "one step only": Mistake(
                occupancy_of_one_step,
                "All your rows after the first are the second: take each step from the row before "
                "it, not always from the first.",
            ),
        },
        cases=two_automata,
    ),
    "stuttered": Exercise(
        stuttered,
        stuttered_in_total,
        {
            "nothing changes per word": Mistake(
                lambda nats, words, characters: [
                    nats,
                    math.exp(nats),
                    nats * words / characters / math.log(2),
                ],
                "You let the copy of a word cost as much as the word: who has just read the word "
                "knows the copy, at 0 nats.",
            ),
            "nothing changes": Mistake(
                lambda nats, words, characters: [
                    nats,
                    math.exp(nats),
                    nats * words / (2 * characters) / math.log(2),
                ],
                "The text has the same nats in all, and twice as many words: so it has fewer nats "
                "per word.",
            ),
            "perplexity halved": Mistake(
                stuttered_but(1, lambda nats, words, characters: math.exp(nats) / 2),
                "You halve the perplexity: the nats per word are halved, and the perplexity is "
                "their exponential.",
            ),
            "perplexity kept": Mistake(
                stuttered_but(1, lambda nats, words, characters: math.exp(nats)),
                "You keep the perplexity of the plain text: it is exp of the new nats per word.",
            ),
            "perplexity of two": Mistake(
                stuttered_but(1, lambda nats, words, characters: 2 ** (nats / 2)),
                "You take 2 to the power of the nats: that would do for bits, nats need exp.",
            ),
            "characters of the plain text": Mistake(
                stuttered_but(
                    2, lambda nats, words, characters: nats * words / characters / math.log(2)
                ),
                "Your bits per character are those of the plain text: the same bits now spread "
                "over twice as many characters.",
            ),
            "words of the plain text": Mistake(
                stuttered_but(
                    2, lambda nats, words, characters: nats * words / characters / math.log(2) / 4
                ),
                "You multiply the halved nats by the words of the plain text: there are twice as "
                "many words now, as there are characters.",
            ),
            "nats per character": Mistake(
                stuttered_but(2, lambda nats, words, characters: nats * words / (2 * characters)),
                "The last of your numbers is in nats: divide by log 2.",
            ),
            "log 2 on the wrong side": Mistake(
                stuttered_but(
                    2,
                    lambda nats, words, characters: nats * words / (2 * characters) * math.log(2),
                ),
                "A nat is more than a bit, 1.44 of them: divide by log 2.",
            ),
            "0.693": Mistake(
                stuttered_but(
                    2, lambda nats, words, characters: nats * words / (2 * characters) / 0.693
                ),
                "0.693 is log 2 cut off after three digits: use math.log(2).",
            ),
        },
        cases=lambda seed=0: [
            (varied(seed, nats), *rest)
            for nats, *rest in ((1.0, 32, 128), (2.5, 1000, 5210), (0.01, 64, 300))
        ],
        says=lambda index, *case: NUMBERS[index[0]],
    ),
    "memory_of_one": Exercise(
        memory_of_one,
        memory_of_one_by_the_joint,
        {
            "knows the state": Mistake(
                lambda P, weight: weight.sum(1) @ entropies(P),
                "That is the entropy given the state, which one word does not determine: first "
                "mix the states that the word may have led to.",
            ),
            "no memory": Mistake(
                no_memory,
                "That is the entropy of a word by itself: condition on the word before.",
            ),
            "two words together": Mistake(
                lambda P, weight: entropies(weight.T @ P).sum(),
                "That is the entropy of the two words together: divide each row of the joint by "
                "the probability of the word before, inside the logarithm.",
            ),
            "the other way round": Mistake(
                lambda P, weight: entropies(weight.T @ P).sum() - no_memory(P, weight),
                "That is the entropy of the word before given the next: condition on the word "
                "before.",
            ),
            "not divided": Mistake(
                lambda P, weight: weight.sum(0) @ entropies(weight.T @ P),
                "Inside the logarithm you take the joint probability of two words: divide it by "
                "that of the word before, so that the next words add up to 1.",
            ),
            "of the state": Mistake(
                of_the_state,
                "That is the entropy of the state given the word before: mix the rows of P by the "
                "probability of each state, then take the entropy.",
            ),
            "possible states alike": Mistake(
                possible_states_alike,
                "You mix the states that a word leaves possible as if they were equally likely: "
                "weight them by weight[:, v].",
            ),
            "words alike": Mistake(
                lambda P, weight: entropies(after_each_word(P, weight)).mean(),
                "You take the plain mean over the words before: weight each by how often it "
                "occurs.",
            ),
            "not averaged": Mistake(
                lambda P, weight: entropies(after_each_word(P, weight)),
                "You return an entropy for each word before: average them, each weighted by how "
                "often its word occurs.",
            ),
            "bits": Mistake(
                lambda P, weight: memory_of_one(P, weight) / math.log(2),
                "These are bits: use the natural logarithm.",
            ),
            "sign": Mistake(
                lambda P, weight: -memory_of_one(P, weight),
                "An entropy is never negative: a minus sign is missing.",
            ),
        },
        cases=weights,
    ),
    "behind_the_mask": Exercise(
        behind_the_mask,
        behind_the_mask_by_counting,
        {
            "left only": Mistake(
                mistaken_posterior(backward=nothing_seen(backwards)),
                "The words to the right of a mask change nothing: the backward pass must also "
                "multiply by the evidence, 1 for the words that may stand there and 0 otherwise.",
            ),
            "right only": Mistake(
                mistaken_posterior(forward=nothing_seen(forwards)),
                "The words to the left of a mask change nothing: the forward pass must also "
                "multiply by the evidence.",
            ),
            "nothing seen": Mistake(
                mistaken_posterior(
                    forward=nothing_seen(forwards), backward=nothing_seen(backwards)
                ),
                "The visible words do not change what you say of the hidden ones: both passes "
                "must multiply by the evidence.",
            ),
            "leave-one-out": Mistake(
                mistaken_posterior(evidence=torch.ones_like),
                "Of a visible word you say what the others make of it: it is known, so it has "
                "probability 1.",
            ),
            "backward from the left": Mistake(
                mistaken_posterior(backward=lambda P, n, e: backwards(P, n, e.flip(0))),
                "Your backward pass reads the text from left to right: it begins at the last word.",
            ),
            "backward not turned round": Mistake(
                mistaken_posterior(backward=lambda P, n, e: backwards(P, n, e).flip(0)),
                "You use the backward messages in the order in which they are made, from the end "
                "of the text to its beginning: turn the list round.",
            ),
            "a mask allows no word": Mistake(
                mask_without_words,
                "At a mask your evidence is 0 for all words: any word may stand there, so it is 1.",
            ),
            "not normalised": Mistake(
                not_normalised,
                "Your rows add up to the probability of the visible words: divide each by its sum.",
            ),
            "backward of the state before": Mistake(
                before_the_word,
                "You multiply by the backward message of the state before the word: it belongs to "
                "the state after it, backward[successor].",
            ),
            "any state may start": Mistake(
                mistaken_posterior(forward=lambda P, n, e: forwards(P, n, e, start=None)),
                "You let a text begin in every state: the forward pass begins with 1 for state 0 "
                "and 0 for all others.",
            ),
            "one word a state": Mistake(
                mistaken_posterior(
                    forward=lambda P, n, e: forwards(P, n, e, gather=last_write_wins)
                ),
                "Two arrows may lead to the same state, and the forward pass keeps only the last: "
                "add them up.",
            ),
        },
        cases=masked_texts,
    ),
    "best_filling": Exercise(
        best_filling,
        best_filling_by_trying,
        {
            "word by word": Mistake(
                word_by_word,
                "You take the most probable word at every position by itself, and together they "
                "may be an improbable text, even an impossible one: maximise over whole texts.",
            ),
            "greedy": Mistake(
                greedy,
                "You go from left to right and take what is likeliest so far: keep the best path "
                "to every state, and choose only at the end.",
            ),
            "one by one from the left": Mistake(
                from_the_left,
                "You fill the masks from left to right, each with its most probable word, and an "
                "early choice may rule out the best text: keep the best path to each state.",
            ),
            "one by one from the right": Mistake(
                from_the_right,
                "You fill the masks from right to left, each with its most probable word, and an "
                "early choice may rule out the best text: keep the best path to each state.",
            ),
            "surest first": Mistake(
                surest_first,
                "You fill the surest mask first, then the surest of the others, and an early "
                "choice may rule out the best text: keep the best path to each state.",
            ),
            "ways added up": Mistake(
                summed_ways,
                "You keep the sum over all paths to a state, as the forward message does: keep the "
                "probability of the best path alone.",
            ),
            "last way kept": Mistake(
                last_way,
                "Of several paths to a state you keep the last: keep the most probable.",
            ),
            "states for words": Mistake(
                its_states,
                "You return the state after each word: return the words.",
            ),
            "visible words changed": Mistake(
                all_hidden(best_filling),
                "This is the most probable text of all: the visible words must stay as they are.",
            ),
            "least probable": Mistake(
                least_probable, "This is the least probable text that fits: maximise."
            ),
            "backwards": Mistake(
                lambda P, successor, z: best_filling(P, successor, z).flip(0),
                "Your text is the right one from its end to its beginning: turn it round.",
            ),
            "its log-probability": Mistake(
                lambda P, successor, z: log_prob(P, successor, best_filling(P, successor, z)),
                "This is the log-probability of the text: return the text, (L,) word numbers.",
            ),
            "its probability": Mistake(
                lambda P, successor, z: log_prob(P, successor, best_filling(P, successor, z)).exp(),
                "This is the probability of the text: return the text, (L,) word numbers.",
            ),
        },
        cases=lambda seed=0: telling(seed, ambiguous_texts, the_surest_is_not_always_the_leftmost),
        says=lambda index, *case: f"word {index[0] + 1} of the text",
    ),
}
