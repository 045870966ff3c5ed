"""The ground truth: a small language about which we know everything exactly."""

from .automaton import Automaton
from .grammar import (
    KINDS,
    LENGTH,
    Mistake,
    flat,
    grammatical,
    language,
    tiny,
)
from .oracle import Posterior, oracle

__all__ = [
    "KINDS",
    "LENGTH",
    "Automaton",
    "Mistake",
    "Posterior",
    "flat",
    "grammatical",
    "language",
    "oracle",
    "tiny",
]
