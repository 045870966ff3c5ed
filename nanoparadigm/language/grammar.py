"""The ground-truth language: 32 words that read like English, and everything about them is known.

    la some wee hens that a cow eats run . a crab swims and some seals dive la some bats ...

* Subjects and verbs agree in number, across up to two relative clauses, one inside the other.
* A new subject mostly keeps the topic (farm, sea or sky); inside a clause it always does.
* A text opens with its refrain, la or lo, and a sentence may end with the same one again: a word
  to be remembered for as long as the text lasts.

The definition is `next_words`, below; `language()` compiles it into an `Automaton`.
"""

from dataclasses import dataclass
from functools import cache
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

# ------------------------------------------------------------------------------------- the rules

DETERMINERS = {"singular": ("a", 0.5), "plural": ("some", 0.5)}
P_WEE = 0.3  # an adjective before the noun
P_SAME_TOPIC = 0.85  # of a new subject outside any clause
P_CLAUSE = {1: 0.35, 2: 0.25, 3: 0.0}  # a relative clause, by how many subjects wait for a verb
P_END = {"refrain": 0.15, ".": 0.55, "and": 0.30}
P_OF_TWO = (0.6, 0.4)  # the first of two nouns, verbs or refrains, and the second

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


def next_words(s: State) -> list[tuple[str, float, State]]:
    """Return the words that may follow in state s, each as (word, probability, next state)."""
    match s.slot:
        case "refrain":
            return [
                (w, p, s.then("determiner", refrain=w))
                for w, p in zip(REFRAINS, P_OF_TWO, strict=True)
            ]
        case "determiner":
            return [
                (word, p, s.then("adjective", waiting=(*s.waiting, number)))
                for number, (word, p) in DETERMINERS.items()
            ]
        case "adjective":
            nouns = next_words(s.then("noun"))
            return [("wee", P_WEE, s.then("noun"))] + [(w, (1 - P_WEE) * p, n) for w, p, n in nouns]
        case "noun":
            ending = NOUN_ENDING[s.waiting[-1]]
            return [
                (noun + ending, p_topic * p, s.then("clause", topic=topic))
                for topic, p_topic in topics(s).items()
                for noun, p in zip(NOUNS[topic], P_OF_TWO, strict=True)
            ]
        case "clause":
            p_clause = P_CLAUSE[len(s.waiting)]
            clause = [("that", p_clause, s.then("determiner"))] if p_clause else []
            return clause + [(w, (1 - p_clause) * p, n) for w, p, n in next_words(s.then("verb"))]
        case "verb":
            rest = s.waiting[:-1]
            after = s.then("verb" if rest else "end", waiting=rest)
            ending = VERB_ENDING[s.waiting[-1]]
            return [(v + ending, p, after) for v, p in zip(VERBS[s.topic], P_OF_TWO, strict=True)]
        case "end":
            return [
                (str(s.refrain) if word == "refrain" else word, p, s.then("determiner"))
                for word, p in P_END.items()
            ]


def topics(s: State) -> dict[str, float]:
    """Return topic -> probability for the subject that state s is about to name."""
    if len(s.waiting) > 1:
        return {s.topic: 1.0}
    others = (1 - P_SAME_TOPIC) / (len(NOUNS) - 1)
    return {topic: P_SAME_TOPIC if topic == s.topic else others for topic in NOUNS}


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
    options = [(features(w), after) for w, _, after in next_words(state)]
    same = [(f, after) for f, after in options if f[0] == kind]
    if not same:
        return "order", next_words(state)[0][2] if state.slot == "refrain" else state
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


@cache
def compiled() -> tuple[Automaton, list[State], dict[tuple[int, int], str]]:
    """Return the automaton, its states, and (state, word) -> kind of mistake, by their numbers."""
    states = [State()]
    for state in states:  # grows while we go
        states += [s for s in dict.fromkeys(n for _, _, n in next_words(state)) if s not in states]
    words = sorted({w for s in states for w, _, _ in next_words(s)})  # as tokenizers order them
    number = {state: i for i, state in enumerate(states)}
    P = torch.zeros(len(states), len(words), dtype=torch.float64)
    successor = torch.zeros(len(states), len(words), dtype=torch.long)
    kinds = {}
    for s, state in enumerate(states):
        for word, p, after in next_words(state):
            P[s, words.index(word)] = p
            successor[s, words.index(word)] = number[after]
        for v in (P[s] == 0).nonzero().flatten().tolist():
            kinds[s, v], after = mistake(state, words[v])
            successor[s, v] = number[after]
    return Automaton(words, P, successor, [str(s) for s in states]), states, kinds


def language() -> Automaton:
    """Return the ground-truth language."""
    return compiled()[0]


def tiny() -> Automaton:
    """Return a language small enough to enumerate: 3 words, so 243 texts of 5 words.

    Every text is possible, and the numbers are irregular, so that no symmetry hides a mistake.
    """
    P = [[0.47, 0.31, 0.22], [0.12, 0.27, 0.61], [0.68, 0.07, 0.25], [0.16, 0.55, 0.29]]
    successor = [[1, 2, 3], [2, 1, 0], [3, 3, 1], [0, 1, 2]]
    return Automaton("abc", P, successor)


def flat() -> Automaton:
    """Return the language with the same words and rules, and with more nearly equal frequencies.

    A text is grammatical in both or in neither.
    """
    automaton = language()
    P = automaton.P.sqrt()
    return Automaton(automaton.words, P / P.sum(1, keepdim=True), automaton.successor)
