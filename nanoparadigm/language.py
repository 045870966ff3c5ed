"""A small language of 32 words that reads like English, built in so that nothing needs a download.

It is a probabilistic automaton in which the word spoken decides the next state. Subjects and verbs
agree in number, also across relative clauses inside one another, and topics tend to persist:

    some old hens that a cow feeds run . a crab swims and ...
"""

import torch

from .corpora import Corpus

NOUNS = {"farm": ("hen", "cow"), "sea": ("crab", "seal"), "sky": ("crow", "bat")}
VERBS = {"farm": ("eat", "run"), "sea": ("swim", "dive"), "sky": ("fly", "sing")}
DETERMINERS = {"singular": "a", "plural": "some"}
ADJECTIVES = ("old", "wee")
STAY = 0.85  # a new subject keeps the topic
ADJECTIVE = 0.3
CLAUSE = (0.35, 0.25, 0.0)  # a relative clause follows, by the number of subjects that wait
ENDINGS = {".": 0.6, "!": 0.1, "and": 0.3}
LENGTH = 32  # words in a text

# A state is (slot, waiting, topic): what may come next, the number of every subject that still
# waits for its verb (the innermost last), and the topic.
START = ("subject", (), "farm")


def next_words(state):
    """The words that may follow: a list of (word, probability, next state)."""
    slot, waiting, topic = state
    if slot == "subject":
        return [
            (word, 1 / 2, ("adjective", (*waiting, number), topic))
            for number, word in DETERMINERS.items()
        ]
    if slot == "adjective":
        some = [(word, ADJECTIVE / 2, ("noun", waiting, topic)) for word in ADJECTIVES]
        return some + [(w, (1 - ADJECTIVE) * p, s) for w, p, s in next_words(("noun", *state[1:]))]
    if slot == "noun":
        return [
            (noun + plural_s(waiting), p / 2, ("verb", waiting, new))
            for new, p in next_topics(topic, len(waiting)).items()
            for noun in NOUNS[new]
        ]
    if slot == "verb":
        clause = CLAUSE[len(waiting) - 1]
        verbs = [
            (verb + singular_s(waiting), (1 - clause) / 2, ("after verb", waiting[:-1], topic))
            for verb in VERBS[topic]
        ]
        return verbs + ([("that", clause, ("subject", waiting, topic))] if clause else [])
    if waiting:  # after a verb inside a clause: the verb of the subject outside
        return [
            (verb + singular_s(waiting), 1 / 2, ("after verb", waiting[:-1], topic))
            for verb in VERBS[topic]
        ]
    return [(word, p, ("subject", (), topic)) for word, p in ENDINGS.items()]


def plural_s(waiting):
    return "s" if waiting[-1] == "plural" else ""


def singular_s(waiting):
    return "s" if waiting[-1] == "singular" else ""


def next_topics(topic, depth):
    """Topic -> probability. Inside a clause the topic stays."""
    if depth > 1:
        return {topic: 1.0}
    return {t: STAY if t == topic else (1 - STAY) / (len(NOUNS) - 1) for t in NOUNS}


def compile_states():
    """All states reachable from START, their next words and their probabilities, as arrays.

    Returns the words, probability (S, V) and successor (S, V), with state 0 the start.
    """
    states, edges = [START], []
    for state in states:
        edges.append(next_words(state))
        states.extend(dict.fromkeys(s for _, _, s in edges[-1] if s not in states))
    words = sorted({word for row in edges for word, _, _ in row})
    probability = torch.zeros(len(states), len(words), dtype=torch.float64)
    successor = torch.zeros(len(states), len(words), dtype=torch.long)
    for i, row in enumerate(edges):
        for word, p, state in row:
            probability[i, words.index(word)] = p
            successor[i, words.index(word)] = states.index(state)
    return words, probability, successor


def sample(n, length, generator):
    """n texts as word ids (n, length), each from the start state."""
    _, probability, successor = compile_states()
    state = torch.zeros(n, dtype=torch.long)
    x = torch.empty(n, length, dtype=torch.long)
    for i in range(length):
        x[:, i] = torch.multinomial(probability[state], 1, generator=generator).squeeze(1)
        state = successor[state, x[:, i]]
    return x


def corpus(n_train=20_000, n_validation=500, seed=0):
    """The language as a corpus: texts of LENGTH words, one after another."""
    words = compile_states()[0]
    x = sample(n_train + n_validation, LENGTH, torch.Generator().manual_seed(seed))
    text = [" ".join(words[i] for i in row.flatten().tolist()) for row in x.split(n_train)]
    return Corpus("language", *text, sequence_length=LENGTH)
