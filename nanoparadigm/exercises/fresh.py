"""Vary the cases of an exercise, so that nobody has seen them: for `Exercise.cases`."""

import itertools
from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor

T = TypeVar("T", float, Tensor)
C = TypeVar("C")


def varied(seed: int, usual: T, low: float = 0.8, high: float = 1.25) -> T:
    """Return the usual numbers for seed 0, and for any other seed numbers like them.

    usual: a float, or a tensor of floats, each of which is multiplied by a factor of its own, drawn
    uniformly between low and high; or a tensor of whole numbers, which change places.
    """
    if seed == 0:
        return usual
    if isinstance(usual, float):
        return varied(seed, torch.tensor(usual, dtype=torch.float64), low, high).item()
    # numbers that come alone get factors of their own, and not all the first that the seed draws
    salt = hash(usual.item()) * 2654435761 if usual.numel() == 1 else 0
    g = torch.Generator().manual_seed((seed + salt) % 2**32)  # of which it reads 32 bits
    if not usual.is_floating_point():
        return usual.flatten()[torch.randperm(usual.numel(), generator=g)].view_as(usual)
    return usual * torch.empty_like(usual).uniform_(low, high, generator=g)


def varied_rows(seed: int, usual: Tensor) -> Tensor:
    """Return distributions (..., V), varied in the same way; zeros stay, and rows sum to one."""
    return usual if seed == 0 else torch.nn.functional.normalize(varied(seed, usual), p=1, dim=-1)


def telling(seed: int, draw: Callable[[int], C], tells: Callable[[C], bool]) -> C:
    """Return draw(seed); if that does not tell what it should, the first later draw that does.

    For cases that leave it to chance whether a known mistake shows. Seed 0, the book's, is chosen.
    """
    return next(
        cases for n in itertools.count() if tells(cases := draw(seed + n * 1_000_003)) or seed == 0
    )


def normal(*shape: int, seed: int = 0) -> Tensor:
    """Return normal numbers, the same whenever the seed is."""
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def obeys(draw: Callable[[torch.Generator], Tensor]) -> Tensor:
    """Return two numbers for the measure of an answer that draws, each 1 if it is so and 0 if not.

    The same generator gives the same draw: else it is not used. Another one gives another draw:
    else the answer has seeded it. draw: calls the answer with a generator.
    """
    first, again, other = (draw(torch.Generator().manual_seed(seed)) for seed in (0, 0, 1))
    return torch.tensor([first.equal(again), not first.equal(other)]).double()
