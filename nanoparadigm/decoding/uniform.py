"""Samplers of uniform noise: every token may jump in every step, and jump again.

A sampler is called as `sampler(model, z, known, steps, draw, generator)`, as those of `masked.py`
are. `UniformModel` is all that it asks of a model.
"""

import math
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from ..errors import InputError
from ..shapes import PerToken, Times, TokenIds, Where
from .categorical import Categorical, choose_sampler, sample_categorical, uniform
from .protocols import UniformModel


@dataclass(frozen=True)
class Ancestral:
    """Step with q(z_s | z_t, x), equation (4) of `paradigms/flow.py`.

    In the limit of many steps this is the process that `nll_bound` bounds.
    """

    corrections: int = 0
    """after each step, how often to draw one token anew, given all others. Without corrections,
    tokens that are given count as noisy as the rest, so gaps are filled with the wrong
    probabilities in any number of steps"""

    def __post_init__(self) -> None:
        if self.corrections < 0:
            raise InputError(f"corrections is {self.corrections}: give 0 (none) or more")

    def __call__(
        self,
        model: UniformModel,
        z: TokenIds,
        known: Where,
        steps: int,
        draw: Categorical,
        generator: Generator,
        start: float = 0.0,
    ) -> Iterator[TokenIds]:
        """Yield z (B, L) after each of `steps` steps.

        start: alpha of the z given; above 0 it is a text with mistakes rather than pure noise.
        """
        grid = torch.linspace(1, 0, steps + 1, dtype=torch.float64, device=z.device)
        for a, b in pairwise(start + (1 - start) * model.sampling_schedule.alpha(grid)):
            jumped = sample_categorical(self.step(z, theta(model, z, a, draw), a, b), generator)
            z = torch.where(known, z, jumped)
            for _ in range(self.corrections):
                z = gibbs_step(z, ~known, theta(model, z, b, draw), b, generator)
            yield z

    def step(self, z: TokenIds, theta: Tensor, a: Tensor, b: Tensor) -> Tensor:
        """Return the odds (B, L, K) of the next z, unnormalised, from alpha = a to alpha = b."""
        return posterior_step(z, theta, a, b)


@dataclass(frozen=True)
class Euler(Ancestral):
    """Step along the rates of the flow; `nll_bound` does not bound this sampler.

        rate(z_i -> j) = (1 + eta + eta (K-1) alpha) / (1 - alpha) p(j | z) + eta p(z_i | z)

    Campbell et al. 2024 (2402.04997); at eta = 0 the velocity of Gat et al. 2024 (2407.15595).
    """

    eta: float = 0.0
    """extra jumps that undo each other, and correct mistakes"""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.eta < math.inf:
            raise InputError(f"eta is {self.eta}: give 0 (no extra jumps) or more")

    def step(self, z: TokenIds, theta: Tensor, a: Tensor, b: Tensor) -> Tensor:
        """Return the probabilities (B, L, K) of the next z, from alpha = a to alpha = b."""
        return euler_step(z, theta, a, b, self.eta)


SAMPLERS: dict[str, type] = {"ancestral": Ancestral, "euler": Euler}

DECODINGS: dict[str, dict[str, Any]] = {
    "ancestral": {},
    "euler": dict(sampler="euler"),
    "euler_eta": dict(sampler="euler", eta=0.25),
    "corrected": dict(corrections=4),
    "blocks": dict(blocks=4),
    "temperature": dict(temperature=0.8),
}


def theta(model: UniformModel, z: TokenIds, alpha: Tensor, draw: Categorical) -> Tensor:
    """Return p(x_i | z without z_i) (B, L, K) at the one alpha, float64, as `draw` sharpens it."""
    return draw.probabilities(model.leave_one_out(z, alpha.expand(len(z))))


def posterior_step(z: TokenIds, theta: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """Return q(z_s | z_t, x) with theta (B, L, K) in place of x: unnormalised (B, L, K).

    a = alpha_t, b = alpha_s. Bayes' rule: the probability of z_s given x, times that of z_t given
    z_s.
    """
    K = theta.shape[-1]
    r = a / b
    here = F.one_hot(z, K).to(theta.dtype)
    return K * a * theta * here + (r - a) * here + (b - a) * theta + (1 - r) * (1 - b) / K


def euler_step(z: TokenIds, theta: Tensor, a: Tensor, b: Tensor, eta: float) -> Tensor:
    """Return the probabilities (B, L, K) after one step of length b - a along the rates.

    The last step, b = 1, has no time left for extra jumps: it decodes x ~ p(x | z).
    """
    K = theta.shape[-1]
    here = F.one_hot(z, K).to(theta.dtype)
    p = theta * (1 + K * a / (1 - a) * here)
    p = p / p.sum(-1, keepdim=True)
    if b == 1:
        return p
    stay = (p * here).sum(-1, keepdim=True)
    rate = (1 + eta + eta * (K - 1) * a) / (1 - a) * p + eta * stay
    jump = ((b - a) * rate).clamp(max=1) * (1 - here)
    return jump + here * (1 - jump.sum(-1, keepdim=True)).clamp(min=0)


def gibbs_step(
    z: TokenIds, free: Where, theta: Tensor, alpha: Tensor, generator: Generator
) -> TokenIds:
    """Draw one of the `free` (B, L) tokens of each text z (B, L) anew, given all others.

    The token is drawn from q(z_i | the others) = alpha theta_i + (1 - alpha) / K. This leaves the
    law of z at this noise level as it is, and corrects a z that has mistakes.
    """
    at = torch.where(free, uniform(z, generator), -1.0).argmax(-1, keepdim=True)
    p = alpha * theta[torch.arange(len(z), device=z.device), at.squeeze(-1)]
    new = sample_categorical(p + (1 - alpha) / theta.shape[-1], generator)[:, None]
    return z.scatter(-1, at, torch.where(free.gather(-1, at), new, z.gather(-1, at)))


def repair(
    model: UniformModel,
    text: TokenIds,
    alpha: float,
    generator: Generator,
    known: Where | None = None,
    steps: int = 64,
    sampler: str | None = None,
    **options: Any,
) -> TokenIds:
    """Return text (B, L) with its mistakes corrected, by a sampler that starts from it.

    A text with mistakes is taken for one that went through noise of survival probability alpha, in
    [0, 1). known (B, L): tokens that never change. options: of the sampler and of `Categorical`.
    Raises InputError for an alpha outside, and for options that no sampler has.
    """
    if not 0 <= alpha < 1:
        raise InputError(f"alpha is {alpha}: give 0 (pure noise) or more, and less than 1")
    move, draw = choose_sampler(SAMPLERS, sampler, **options)
    known = torch.zeros_like(text, dtype=torch.bool) if known is None else known
    states = move(model, text, known, steps, draw, generator, start=alpha)
    return deque(states, maxlen=1).pop()


def euler_integrand(model: Any, x: TokenIds, z: TokenIds, t: Times | float) -> PerToken:
    """Return the integrand (B, L) of a bound for Euler's sampler at eta = 0, nats, valid but loose.

    model: a DiscreteFlow. x, z (B, L), t (B,) in (0, 1).

        -alpha' / (1 - alpha) ( 1[z_i = x_i] - p(z_i | z) - 1[z_i != x_i] log p(x_i | z) )

    Even with the exact posterior the bound lies above -log p(x): it conditions on a process that
    knows whether a token has jumped yet, which the model cannot see (Shaul et al. 2024,
    2412.03487).
    """
    t = torch.as_tensor(t, dtype=torch.float64, device=x.device).expand(len(x))
    alpha = model.schedule.alpha(t)
    log_p = model.posterior(z, alpha).log_softmax(-1)
    at_x, at_z = (log_p.gather(-1, i[..., None]).squeeze(-1) for i in (x, z))
    rate = (-model.schedule.dalpha(t) / (1 - alpha)).to(log_p.dtype)[:, None]
    same = (x == z).to(log_p.dtype)
    return rate * (same - at_z.exp() - torch.where(x == z, 0.0, at_x))
