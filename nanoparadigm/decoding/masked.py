"""Samplers of masked diffusion: which masks to reveal next, and which tokens to mask again.

A sampler is called as `sampler(model, z, known, steps, draw, generator)` and yields the states
(B, L) that follow z; tokens where `known` (B, L) is true never change. Its fields are its options,
so an option that a sampler does not have cannot be given to it. `MaskedModel` is all that it asks
of a model.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Generator, Tensor

from ..errors import InputError, lookup
from ..shapes import PerSymbol, PerText, Times, TokenIds, Where
from .categorical import Categorical, uniform
from .protocols import MaskedModel


@dataclass(frozen=True)
class Ancestral:
    """Reveal each mask by a coin of its own: equation (5) of `paradigms/mdlm.py`.

    The tokens of one step do not see each other: few steps are fast and wrong, and in the limit of
    many this is the model that `nll_bound` bounds. In a step that reveals nothing the network is
    not called.

    eta > 0 masks a visible token again with probability sigma = eta (alpha_s - alpha_t), clipped so
    that a share alpha_s can still be visible, and reveals more masks to make up for it, so that
    mistakes can be corrected (Wang et al. 2025, 2503.00307; with sigma in proportion to the step
    the limit of many steps exists: Campbell et al. 2024, 2402.04997). The exact posterior still
    samples the language; with a network `nll_bound` does not bound this sampler.
    """

    eta: float = 0.0
    """how often a revealed token is masked again"""

    def __post_init__(self) -> None:
        if not 0 <= self.eta < math.inf:
            raise InputError(f"eta is {self.eta}: give 0 (no token is masked again) or more")

    def __call__(
        self,
        model: MaskedModel,
        z: TokenIds,
        known: Where,
        steps: int,
        draw: Categorical,
        generator: Generator,
    ) -> Iterator[TokenIds]:
        """Yield z (B, L) after each of `steps` steps."""
        t = torch.linspace(1, 0, steps + 1, dtype=torch.float64, device=z.device)
        for alpha_t, alpha_s in pairwise(model.sampling_schedule.alpha(t)):
            masked, u = z == model.mask_id, uniform(z, generator)
            room = (1 - alpha_s) / alpha_t.clamp(min=1e-300)
            sigma = (self.eta * (alpha_s - alpha_t)).clamp(max=room)
            revealed = masked & (u < (alpha_s - (1 - sigma) * alpha_t) / (1 - alpha_t))
            remasked = ~masked & ~known & (u < sigma)
            z = reveal(model, z, revealed, (1 - alpha_t).expand(len(z)), draw, generator)
            z = torch.where(remasked, model.mask_id, z)
            yield z


@dataclass(frozen=True)
class FirstHitting:
    """Reveal one mask after another, in uniformly random order; `steps` is ignored.

    Exactly the limit of many ancestral steps, in as many network calls as there are masks
    (Zheng et al. 2024, 2409.02908).
    """

    def __call__(
        self,
        model: MaskedModel,
        z: TokenIds,
        known: Where,
        steps: int,
        draw: Categorical,
        generator: Generator,
    ) -> Iterator[TokenIds]:
        """Yield z (B, L) after each token."""
        while (masked := z == model.mask_id).any():
            chosen = torch.where(masked, uniform(z, generator), -1.0).argmax(-1, keepdim=True)
            revealed = torch.zeros_like(masked).scatter(-1, chosen, True) & masked
            z = reveal(model, z, revealed, masked.double().mean(-1), draw, generator)
            yield z


@dataclass(frozen=True)
class Ordered:
    """Reveal the masks in `steps` parts, those of the highest `score` first.

    The tokens of one part do not see each other. One at a time, each is drawn given everything
    revealed so far, so with the exact posterior any order samples the language. With a network,
    each order samples a law of its own. Token by token, a random order samples the law that
    `nll_bound` bounds; left to right has the likelihood `left_to_right_nll`. Confidence, and
    larger parts of either, have that of `evaluate.decoding_nll`.
    """

    unmasking: str = "linear"
    """as many tokens in every step (linear), or few at first (cosine, Chang et al. 2022)"""
    threshold = None  # type: float | None  # not a field: only Confidence takes it

    def __post_init__(self) -> None:
        lookup("unmasking", self.unmasking, UNMASKING)

    def __call__(
        self,
        model: MaskedModel,
        z: TokenIds,
        known: Where,
        steps: int,
        draw: Categorical,
        generator: Generator,
    ) -> Iterator[TokenIds]:
        """Yield z (B, L) after each of `steps` parts."""
        for left in self.remaining((z == model.mask_id).sum(-1, keepdim=True), steps):
            if chosen := self.choose(model, z, left, generator):
                revealed, logits = chosen
                z = z.clone()
                z[revealed] = draw(logits, generator)
            yield z

    def remaining(self, total: Tensor, steps: int) -> Iterator[Tensor]:
        """Yield how many masks (B, 1) of the `total` (B, 1) are left after each step, at most."""
        steps = steps if self.threshold is None else int(total.max())
        for n in range(1, 1 + steps):
            yield (total * UNMASKING[self.unmasking]((steps - n) / steps) + 1e-9).floor()

    def choose(
        self, model: MaskedModel, z: TokenIds, left: Tensor, generator: Generator
    ) -> tuple[Where, PerSymbol] | None:
        """Return the masks (B, L) of z to reveal until `left` (B, 1) remain, and logits (n, V).

        Of equal scores the first position goes first. Returns None, without a network call, where
        there is nothing to reveal.
        """
        masked = z == model.mask_id
        count = masked.sum(-1, keepdim=True) - left
        if not masked.any() or (self.threshold is None and not (count > 0).any()):
            return None
        logits = model.denoise(z, masked, masked.double().mean(-1))
        p = Categorical().probabilities(logits)  # a sharpened one would be sure of all
        scores = torch.full(z.shape, -torch.inf, dtype=p.dtype, device=z.device)
        scores[masked] = self.score(p, masked, generator)
        if self.threshold is not None:
            count = (scores > self.threshold).sum(-1, keepdim=True).clamp(min=1)
        rank = scores.argsort(dim=-1, descending=True, stable=True).argsort(-1)
        revealed = masked & (rank < count)
        return revealed, logits[revealed[masked]]

    def score(self, p: PerSymbol, masked: Where, generator: Generator) -> Tensor:
        """Return the scores (n,) of the n tokens at `masked` (B, L), of probabilities p (n, V)."""
        raise NotImplementedError


class RandomOrder(Ordered):
    """Reveal the masks in uniformly random order, as many at a time as the steps ask for."""

    def score(self, p: PerSymbol, masked: Where, generator: Generator) -> Tensor:
        """Draw the scores (n,)."""
        return torch.rand(len(p), dtype=p.dtype, device=p.device, generator=generator)


class LeftToRight(Ordered):
    """Reveal the masks from left to right."""

    def score(self, p: PerSymbol, masked: Where, generator: Generator) -> Tensor:
        """Return the positions (n,), negated."""
        return -masked.nonzero()[:, 1].to(p.dtype)


@dataclass(frozen=True)
class Confidence(Ordered):
    """Reveal first the tokens that the network is surest of.

    With a threshold, each step reveals every token whose largest probability is above it, and at
    least one (Wu et al. 2025, 2505.22618); `steps` is then ignored.
    """

    threshold: float | None = None
    """in each step reveal what is more probable than this"""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.threshold is None:
            return
        if not 0 <= self.threshold <= 1:
            raise InputError(f"threshold is {self.threshold}: give a probability, from 0 to 1")
        if self.unmasking != "linear":
            raise InputError("threshold decides how many are revealed: drop unmasking, or drop it")

    def score(self, p: PerSymbol, masked: Where, generator: Generator) -> Tensor:
        """Return the largest probability of each token (n,).

        Not the probability of the token drawn: an order that looks at it would favour probable
        tokens.
        """
        return p.max(-1).values


UNMASKING: dict[str, Callable[[float], float]] = {
    "linear": lambda left: left,
    "cosine": lambda left: math.sin(math.pi / 2 * left),
}
"""name -> function from the share of the steps still to come to the share still masked"""

SAMPLERS: dict[str, type] = {
    "ancestral": Ancestral,
    "first_hitting": FirstHitting,
    "random_order": RandomOrder,
    "left_to_right": LeftToRight,
    "confidence": Confidence,
}

DECODINGS: dict[str, dict[str, Any]] = {
    "ancestral": {},
    "remasking": dict(eta=4.0),
    "first_hitting": dict(sampler="first_hitting"),
    "random_order": dict(sampler="random_order"),
    "left_to_right": dict(sampler="left_to_right"),
    "confidence": dict(sampler="confidence"),
    "cosine": dict(sampler="confidence", unmasking="cosine"),
    "threshold": dict(sampler="confidence", threshold=0.9),
    "blocks": dict(sampler="confidence", blocks=4),
    "temperature": dict(temperature=0.8),
}


def reveal(
    model: MaskedModel,
    z: TokenIds,
    where: Where,
    noise_level: Times,
    draw: Categorical,
    generator: Generator,
) -> TokenIds:
    """Return z (B, L) with the tokens at `where` (B, L) drawn, each given z as it is.

    noise_level (B,): what the network is told. It is not called if `where` is false everywhere.
    """
    if not where.any():
        return z
    after = z.clone()
    after[where] = draw(model.denoise(z, where, noise_level), generator)
    return after


def left_to_right_nll(model: Any, x: TokenIds) -> PerText:
    """Return -log p(x) (B,) of x (B, L), nats, exactly, for `left_to_right` token by token.

    model: a MaskedDiffusion. The chain rule with every later token masked, in L passes over x. It
    is not the law that `nll_bound` bounds, though the network is the same.
    """
    nll, last = torch.zeros(()), x.shape[1]
    for i in range(last):
        z = x.clone()
        z[:, i:] = model.mask_id
        noise_level = torch.full((len(x),), 1 - i / last, dtype=torch.float64, device=x.device)
        nll = nll + model.cross_entropy(x, z, noise_level)[:, i]
    return nll
