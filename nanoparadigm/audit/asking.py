"""Ask a scorer, whatever it does, and turn its answers into nats."""

import io
import math
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, replace

import torch
from torch import Generator, Tensor

from ..errors import InputError, check_seed, lookup
from ..explain.calling import Unusable, tensor_of
from ..shapes import PerText, TokenIds
from .networks import TEXTS, Model, models

Nats = Callable[[Model, TokenIds], Tensor | float]

UNITS: dict[str, Nats] = {
    "nats": lambda model, texts: 1.0,
    "bits": lambda model, texts: math.log(2),
    "nats-per-word": lambda model, texts: float(model.L),
    "bits-per-word": lambda model, texts: math.log(2) * model.L,
    "nats-per-character": lambda model, texts: model.characters(texts),
    "bits-per-character": lambda model, texts: math.log(2) * model.characters(texts),
    "bits-per-byte": lambda model, texts: math.log(2) * model.bytes(texts),
}
"""name of a unit -> (model, texts) -> how many nats one of them is for each text"""


class Misshapen(Exception):
    """Raised if a scorer does not return one number for each text; the message says what it did."""


@dataclass(frozen=True)
class Scorer:
    """Somebody's function (texts, model) -> a number for each text, and what it is said to be."""

    function: Callable
    name: str
    unit: str
    """one of UNITS"""
    bound: bool
    """the number is an upper bound of -log p, not -log p itself"""
    seed: int = 0
    draws: int = 1
    """how often it is asked, each time with other random numbers"""

    def answer(self, model: Model, texts: TokenIds, draw: int = 0) -> PerText:
        """Return what the function returns (B,), float64, in its own unit.

        draw: which random numbers it gets. Raises Misshapen, or InputError if the function stops,
        does not end, or returns no numbers.
        """
        generator = Generator().manual_seed((self.seed * 1_000_003 + draw) % 2**63)
        silence = io.StringIO()
        try:
            with torch.no_grad(), redirect_stdout(silence), redirect_stderr(silence):
                given = replace(model, generator=generator)
                said = tensor_of(self.function, texts.clone(), given).detach().double()
        except Unusable as problem:
            raise InputError(f"{self.name} {problem}: correct it, and try again") from problem
        if said.shape != (len(texts),):
            raise Misshapen(f"it returned the shape {tuple(said.shape)} for {len(texts)} texts")
        return said

    def raw(self, model: Model, texts: TokenIds = TEXTS, first: int = 0) -> Tensor:
        """Return `answer` of each draw, (draws, B), beginning with draw number `first`."""
        draws = range(first, first + self.draws)
        return torch.stack([self.answer(model, texts, draw) for draw in draws])

    def nats(self, model: Model, texts: TokenIds = TEXTS, first: int = 0) -> Tensor:
        """Return `raw` in nats per text, (draws, B)."""
        return self.raw(model, texts, first) * UNITS[self.unit](model, texts)


def scorer(function: Callable, unit: str | None, bound: bool | None, seed: int) -> Scorer:
    """Return a Scorer of the function, which says of itself what is not given here.

    Raises InputError for an unknown unit or a seed that cannot be used.
    """
    if not callable(function):
        what = type(function).__name__
        raise InputError(f"the scorer is of type {what}: give a function of (texts, model)")
    check_seed(seed)
    unit = getattr(function, "unit", "nats") if unit is None else unit
    lookup("unit", unit, UNITS)
    bound = bool(getattr(function, "bound", False) if bound is None else bound)
    name = str(getattr(function, "__name__", type(function).__name__))
    return Scorer(function, name, unit, bound, seed)


def randomness(scorer: Scorer) -> tuple[float, bool]:
    """Return how far two calls differ, at most, in the scorer's unit, and whether it is noise of
    its own: they differ even if `model.generator` starts from the same seed."""
    network = models()["exact"]
    one, same, other = (scorer.answer(network, TEXTS, draw) for draw in (0, 0, 1))
    apart = torch.stack([same, other]).sub(one).abs().nan_to_num(0, 0, 0).amax(1)
    return apart.max().item(), bool(apart[0] > 1e-6)
