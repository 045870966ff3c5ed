"""Noise schedules: alpha(t), the probability that a token survives to time t, from 1 towards 0.

Each gives alpha, its derivative, and the weight of the masked-diffusion bound
w(t) = -alpha'(t) / (1 - alpha(t)) in closed form: computed as a quotient in float32, the cosine's
weight is already wrong by a per cent at t = 0.001. Times are float64 throughout the package: they
are B numbers, so precision there costs nothing.

A schedule is clipped when alpha(0) < 1 or alpha(1) > 0. Its bound then needs two more terms (see
`paradigms/mdlm.py`), and it differs from the bound of every unclipped schedule; all unclipped ones
agree (Sahoo et al. 2024, 2406.07524; Kingma et al. 2021, 2107.00630).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ..shapes import Rng, Times

PI = math.pi
EPS = 1e-3  # what is left unmasked at the end of MDLM's "log-linear" schedule


@dataclass(frozen=True)
class Schedule:
    """A noise schedule: three functions of times t in [0, 1], each to a tensor of t's shape."""

    name: str
    alpha: Callable[[Tensor], Tensor]
    """the probability that a token survives to time t"""
    dalpha: Callable[[Tensor], Tensor]
    """its derivative"""
    weight: Callable[[Tensor], Tensor]
    """-dalpha / (1 - alpha)"""
    alpha0: float = 1.0
    """alpha(0)"""
    alpha1: float = 0.0
    """alpha(1)"""

    @property
    def clipped(self) -> bool:
        """Tell whether alpha(0) < 1 or alpha(1) > 0."""
        return self.alpha0 < 1 or self.alpha1 > 0


_ALL = [
    Schedule(
        "linear",
        alpha=lambda t: 1 - t,
        dalpha=lambda t: -torch.ones_like(t),
        weight=lambda t: 1 / t,
    ),
    Schedule(
        "cosine",
        # cos(pi t / 2) written so that it is exactly 0 at t = 1
        alpha=lambda t: torch.sin(PI / 2 * (1 - t)),
        dalpha=lambda t: -PI / 2 * torch.sin(PI / 2 * t),
        weight=lambda t: PI / 2 / torch.tan(PI / 4 * t),
    ),
    Schedule(
        "loglinear",
        alpha=lambda t: 1 - (1 - EPS) * t,
        dalpha=lambda t: -(1 - EPS) * torch.ones_like(t),
        weight=lambda t: 1 / t,
        alpha1=EPS,
    ),
    Schedule(
        "sqrt",
        alpha=lambda t: 1 - t.sqrt(),
        dalpha=lambda t: -0.5 / t.sqrt(),
        weight=lambda t: 0.5 / t,
    ),
    Schedule(
        "clipped_cosine",
        alpha=lambda t: 0.05 + 0.90 * torch.cos(PI / 2 * t),
        dalpha=lambda t: -0.45 * PI * torch.sin(PI / 2 * t),
        weight=lambda t: 0.45 * PI * torch.sin(PI / 2 * t) / (0.95 - 0.90 * torch.cos(PI / 2 * t)),
        alpha0=0.95,
        alpha1=0.05,
    ),
    Schedule(
        "sigmoid",
        alpha=lambda t: torch.sigmoid(-10 * (t - 0.5)),
        dalpha=lambda t: -10 * torch.sigmoid(-10 * (t - 0.5)) * torch.sigmoid(10 * (t - 0.5)),
        weight=lambda t: 10 * torch.sigmoid(-10 * (t - 0.5)),
        alpha0=1 / (1 + math.exp(-5)),
        alpha1=1 / (1 + math.exp(5)),
    ),
]
SCHEDULES = {schedule.name: schedule for schedule in _ALL}
"""name -> Schedule"""


def stratified_uniform(
    d: int, num_samples: int, n: int, generator: Rng, device: torch.device | None = None
) -> Tensor:
    """Draw n numbers (n,), float64, uniform in the d-th of `num_samples` equal parts of (0, 1)."""
    u = torch.rand(n, dtype=torch.float64, generator=generator, device=device)
    return (d + u) / num_samples


def stratified_times(n: int, generator: Rng, device: torch.device | None = None) -> Times:
    """Draw n times (n,), float64, one in each of n equal parts of (0, 1).

    Averages over them are unbiased, and vary much less than over independent times.
    """
    u = torch.rand(n, dtype=torch.float64, generator=generator, device=device)
    t = (torch.arange(n, dtype=torch.float64, device=device) + u) / n
    return t.clamp(1e-12, 1 - 1e-12)  # the two ends have probability zero and divide by zero
