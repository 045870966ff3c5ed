"""The ground-truth language: 32 words that read like English, and everything about them is known.

    la some wee hens that a cow eats run . a crab swims and some seals dive la some bats ...

* Subjects and verbs agree in number, across up to two relative clauses, one inside the other.
* A new subject mostly keeps the topic (farm, sea or sky); inside a clause it always does.
* A text opens with its refrain, la or lo, and a sentence may end with the same one again: a word
  to be remembered for as long as the text lasts.

The definition is `next_words`, below; `language()` compiles it into an `Automaton`.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import torch
from torch import Tensor

from .automaton import Automaton

LENGTH = 32  # words in a text

# ------------------------------------------------------------------------------------- the words

REFRAINS = ("la", "lo")
NOUNS = {"farm": ("hen", "cow"), "sea": ("crab", "seal"), "sky": ("crow", "bat")}
VERBS = {"farm": ("eat", "run"), "sea": ("swim", "dive"), "sky": ("soar", "sing")}
NOUN_ENDING = {"singular": "", "plural": "s"}
VERB_ENDING = {"singular": "s", "plural": ""}

DETERMINERS = {"singular": "a", "plural": "some"}

# ------------------------------------------------------------------------------ how often they come


@dataclass(frozen=True)
class Frequencies:
    """The probabilities of the grammar: those of the book, or, with others, another language."""

    wee: float = 0.3
    """an adjective before the noun"""
    same_topic: float = 0.85
    """of a new subject outside any clause"""
    clause: tuple[float, float] = (0.35, 0.25)
    """a relative clause, where one subject waits for its verb, and where two do"""
    end: tuple[float, float, float] = (0.15, 0.55, 0.30)
    """after a sentence: the refrain, a full stop, and"""
    first: float = 0.6
    """the first of two nouns, verbs or refrains, rather than the second"""


def frequencies(seed: int = 0) -> Frequencies:
    """Return the book's frequencies for seed 0; for any other, of a language that has its own."""
    if seed == 0:
        return Frequencies()
    u = torch.rand(7, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)).tolist()
    return Frequencies(
        wee=0.2 + 0.2 * u[0],
        same_topic=0.75 + 0.15 * u[1],
        clause=(0.25 + 0.2 * u[2], 0.15 + 0.2 * u[3]),
        end=(0.1 + 0.1 * u[4], 0.4 + 0.2 * u[5], 0.5 - 0.1 * u[4] - 0.2 * u[5]),
        first=0.55 + 0.15 * u[6],
    )


# ------------------------------------------------------------------------------------- the rules

Slot = Literal["refrain", "determiner", "adjective", "noun", "clause", "verb", "end"]


@dataclass(frozen=True)
class State:
    """All that the next word depends on."""

    slot: Slot = "refrain"
    """what comes next"""
    waiting: tuple[str, ...] = ()
    """the number of each subject that waits for its verb, the innermost last"""
    topic: str = "farm"
    refrain: str | None = None

    def __str__(self) -> str:
        waiting = " ".join(self.waiting) or "nobody"
        return f"{self.slot}; {waiting} waiting; {self.topic}; {self.refrain}"

    def then(self, slot: Slot, **changes: Any) -> "State":
        """Return the state with another slot, and with these changes."""
        return State(**{**vars(self), "slot": slot, **changes})


def next_words(s: State, often: Frequencies) -> list[tuple[str, float, State]]:
    """Return the words that may follow in state s, each as (word, probability, next state)."""
    of_two = often.first, 1 - often.first
    match s.slot:
        case "refrain":
            return [
                (w, p, s.then("determiner", refrain=w))
                for w, p in zip(REFRAINS, of_two, strict=True)
            ]
        case "determiner":
            return [
                (word, 0.5, s.then("adjective", waiting=(*s.waiting, number)))
                for number, word in DETERMINERS.items()
            ]
        case "adjective":
            nouns = next_words(s.then("noun"), often)
            bare = [(w, (1 - often.wee) * p, n) for w, p, n in nouns]
            return [("wee", often.wee, s.then("noun")), *bare]
        case "noun":
            ending = NOUN_ENDING[s.waiting[-1]]
            return [
                (noun + ending, p_topic * p, s.then("clause", topic=topic))
                for topic, p_topic in topics(s, often.same_topic).items()
                for noun, p in zip(NOUNS[topic], of_two, strict=True)
            ]
        case "clause":
            p_clause = (*often.clause, 0.0)[len(s.waiting) - 1]
            clause = [("that", p_clause, s.then("determiner"))] if p_clause else []
            return clause + [
                (w, (1 - p_clause) * p, n) for w, p, n in next_words(s.then("verb"), often)
            ]
        case "verb":
            rest = s.waiting[:-1]
            after = s.then("verb" if rest else "end", waiting=rest)
            ending = VERB_ENDING[s.waiting[-1]]
            return [(v + ending, p, after) for v, p in zip(VERBS[s.topic], of_two, strict=True)]
        case "end":
            return [
                (w, p, s.then("determiner"))
                for w, p in zip((str(s.refrain), ".", "and"), often.end, strict=True)
            ]


def topics(s: State, same: float) -> dict[str, float]:
    """Return topic -> probability for the subject that state s is about to name."""
    if len(s.waiting) > 1:
        return {s.topic: 1.0}
    others = (1 - same) / (len(NOUNS) - 1)
    return {topic: same if topic == s.topic else others for topic in NOUNS}


# ---------------------------------------------------------------------------------- its mistakes


def features(word: str) -> tuple[str, str | None, str | None]:
    """Return the class, number and topic of a word, None where it has none."""
    for topic in NOUNS:
        for number in NOUN_ENDING:
            if word in [noun + NOUN_ENDING[number] for noun in NOUNS[topic]]:
                return "noun", number, topic
            if word in [verb + VERB_ENDING[number] for verb in VERBS[topic]]:
                return "verb", number, topic
    return ("refrain" if word in REFRAINS else word), None, None


KINDS = ("agreement", "topic", "echo", "order")


def mistake(state: State, word: str) -> tuple[str, State]:
    """Return the kind of mistake `word` is in `state`, and the state in which a listener goes on.

    agreement: the right class of word in the wrong number; topic: of the wrong topic; echo: the
    wrong refrain; order: a word of a class that cannot come here, which the listener skips (in
    place of the opening refrain, the listener goes on as if it had been la).
    """
    kind, number, topic = features(word)
    allowed = next_words(state, Frequencies())
    options = [(features(w), after) for w, _, after in allowed]
    same = [(f, after) for f, after in options if f[0] == kind]
    if not same:
        return "order", allowed[0][2] if state.slot == "refrain" else state
    if kind == "refrain":
        return "echo", same[0][1]
    right_number = same[0][0][1] == number
    on_topic = [after for f, after in same if f[2] == topic]
    return ("topic" if right_number else "agreement"), (on_topic or [same[0][1]])[0]


@dataclass(frozen=True)
class Mistake:
    """A word that the grammar forbids where it stands."""

    position: int
    kind: str
    """agreement, topic, echo or order"""
    distance: int
    """words back to the word that forbids it: the determiner of the subject (agreement), the noun
    that set the topic (topic), the first word (echo), the word before (order)"""


def grammatical(x: Tensor) -> list[list[Mistake]]:
    """Return the mistakes in each text of word ids x (B, L), an empty list where there is none."""
    automaton, states, kinds = compiled()
    visited = automaton.walk(x)[:, :-1]
    wrong = automaton.P[visited, x] == 0
    found: list[list[Mistake]] = [[] for _ in x]
    for b in wrong.any(1).nonzero().flatten().tolist():
        subjects: list[int] = []  # where the determiner of each waiting subject stands
        topic_at = 0  # where the noun that set the topic stands
        for i, (s, v) in enumerate(zip(visited[b].tolist(), x[b].tolist(), strict=True)):
            kind = kinds.get((s, v))
            here = features(automaton.words[v])[0]
            if kind is not None:
                back = {"agreement": subjects[-1] if subjects else 0, "topic": topic_at, "echo": 0}
                found[b].append(Mistake(i, kind, i - back.get(kind, i - 1)))
            if kind == "order":
                continue
            if automaton.words[v] in ("a", "some"):
                subjects.append(i)
            elif here == "verb":
                subjects.pop()
            elif here == "noun" and len(subjects) == 1:
                topic_at = i
    return found


# ----------------------------------------------------------------------------------- compilation


@lru_cache(maxsize=64)
def compiled(seed: int = 0) -> tuple[Automaton, list[State], dict[tuple[int, int], str]]:
    """Return the automaton, its states, and (state, word) -> kind of mistake, by their numbers."""
    states, often = [State()], frequencies(seed)
    for state in states:  # grows while we go
        reached = (n for _, _, n in next_words(state, often))
        states += [s for s in dict.fromkeys(reached) if s not in states]
    words = sorted({w for s in states for w, _, _ in next_words(s, often)})  # as tokenizers do
    number = {state: i for i, state in enumerate(states)}
    P = torch.zeros(len(states), len(words), dtype=torch.float64)
    successor = torch.zeros(len(states), len(words), dtype=torch.long)
    kinds = {}
    for s, state in enumerate(states):
        for word, p, then in next_words(state, often):
            P[s, words.index(word)] = p
            successor[s, words.index(word)] = number[then]
        for v in (P[s] == 0).nonzero().flatten().tolist():
            kinds[s, v], then = mistake(state, words[v])
            successor[s, v] = number[then]
    return Automaton(words, P, successor, [str(s) for s in states]), states, kinds


def language(seed: int = 0) -> Automaton:
    """Return the ground-truth language: the book's, or one of your own with its words and rules.

    seed: 0 is the book's. Any other draws the `frequencies`: a text is grammatical in all of these
    languages or in none.
    """
    return compiled(seed)[0]


def tiny(seed: int = 0) -> Automaton:
    """Return a language small enough to enumerate: 3 words, so 243 texts of 5 words.

    Every text is possible, and the numbers are irregular, so that no symmetry hides a mistake.
    seed: 0 is the book's. Any other draws the probabilities, in thousandths, and which word leads
    where.
    """
    P = torch.tensor(
        [[0.47, 0.31, 0.22], [0.12, 0.27, 0.61], [0.68, 0.07, 0.25], [0.16, 0.55, 0.29]],
        dtype=torch.float64,
    )
    successor = torch.tensor([[1, 2, 3], [2, 1, 0], [3, 3, 1], [0, 1, 2]])
    if seed != 0:
        g = torch.Generator().manual_seed(seed)
        P[:, :2] = torch.empty(4, 2).uniform_(0.1, 0.45, generator=g).double().round(decimals=3)
        P[:, 2] = 1 - P[:, 0] - P[:, 1]
        successor = successor[:, torch.randperm(3, generator=g)]
    return Automaton("abc", P, successor)


def flat() -> Automaton:
    """Return the language with the same words and rules, and with more nearly equal frequencies.

    A text is grammatical in both or in neither.
    """
    automaton = language()
    P = automaton.P.sqrt()
    return Automaton(automaton.words, P / P.sum(1, keepdim=True), automaton.successor)
