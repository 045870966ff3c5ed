"""How one token is drawn from logits: as the model says, or sharpened and truncated."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Generator, Tensor

from ..errors import InputError, lookup


@dataclass(frozen=True)
class Categorical:
    """How every sampler draws a token from a distribution over the vocabulary.

    No likelihood here belongs to a text whose distributions were sharpened or truncated.
    """

    temperature: float = 1.0
    """below 1 sharpens; 0 takes the most probable token"""
    top_k: int | None = None
    """draw from the k most probable tokens only"""
    top_p: float | None = None
    """draw from the most probable tokens that make up this share only"""

    def __post_init__(self) -> None:
        if not self.temperature >= 0:
            raise InputError(
                f"temperature is {self.temperature}: give 0 (most probable token) or more"
            )
        if self.top_k is not None and self.top_k < 1:
            raise InputError(f"top_k is {self.top_k}: give 1 or more, or leave it out")
        if self.top_p is not None and not 0 < self.top_p <= 1:
            raise InputError(
                f"top_p is {self.top_p}: give a share above 0 and up to 1, or leave it out"
            )

    def probabilities(self, logits: Tensor) -> Tensor:
        """Return the float64 probabilities (..., V) of logits (..., V), sharpened and truncated.

        In float64, because float32 cuts off the tail of the distribution, which makes samples look
        better than the model is (Zheng et al. 2024, 2409.02908).
        """
        logits, top_k = logits.double(), self.top_k
        if self.temperature == 0:
            top_k = 1
        else:
            # the largest first brought to 0: however small the temperature, nothing overflows
            logits = (logits - logits.amax(-1, keepdim=True)) / self.temperature
        if top_k is not None and top_k < logits.shape[-1]:
            best = logits.topk(top_k).indices
            logits = torch.full_like(logits, -torch.inf).scatter(-1, best, logits.gather(-1, best))
        p = logits.softmax(-1)
        if self.top_p is not None:
            ordered, order = p.sort(descending=True)
            # a token stays while the more probable ones have not yet reached top_p
            ordered = ordered * (ordered.cumsum(-1) - ordered < self.top_p)
            p = torch.zeros_like(p).scatter(-1, order, ordered)
            p = p / p.sum(-1, keepdim=True)
        return p

    def __call__(self, logits: Tensor, generator: Generator) -> Tensor:
        """Draw token ids (...) from logits (..., V)."""
        return sample_categorical(self.probabilities(logits), generator)


def sample_categorical(p: Tensor, generator: Generator) -> Tensor:
    """Draw one index (...) from each row of unnormalised float64 probabilities p (..., V)."""
    cdf = p.cumsum(-1)
    u = torch.rand(*p.shape[:-1], 1, dtype=p.dtype, device=p.device, generator=generator)
    # right=True: the first index whose cdf exceeds u, so never one of probability zero
    return torch.searchsorted(cdf, u * cdf[..., -1:], right=True).squeeze(-1)


def uniform(z: Tensor, generator: Generator) -> Tensor:
    """Draw a number (B, L) in [0, 1) for every token of z (B, L)."""
    return torch.rand(z.shape, dtype=torch.float64, device=z.device, generator=generator)


def choose_sampler(
    samplers: Mapping[str, type], name: str | None = None, **options: Any
) -> tuple[Callable[..., Iterator[Tensor]], Categorical]:
    """Return the sampler of that name (default: the first) and the Categorical with these options.

    samplers: name -> class, a dataclass whose fields are its options. Raises InputError for an
    option of neither, and names the sampler that it belongs to.
    """
    name = name or next(iter(samplers))
    kind = lookup("sampler", name, samplers)
    draw = {f.name: options.pop(f.name) for f in fields(Categorical) if f.name in options}
    for option in options.keys() - {f.name for f in fields(kind)}:
        owners = [n for n, k in samplers.items() if option in {f.name for f in fields(k)}]
        if not owners:
            raise InputError(f"no sampler of this model has the option `{option}`: drop it")
        raise InputError(
            f"`{option}` belongs to `sampler` {' or '.join(owners)}, not {name}: choose that, or "
            f"drop `{option}`"
        )
    return kind(**options), Categorical(**draw)
