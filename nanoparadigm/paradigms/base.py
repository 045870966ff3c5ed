"""The contract: what every paradigm answers, whatever its network.

A paradigm is a language model over V symbols, made from any callable `net(z, t) -> logits`. It says
how text is corrupted or factorised, what the training loss is, what the likelihood is or is bounded
by, and how to generate. Time t runs from 0 (clean text) to 1 (noise) in all of them; a network is
told the noise level 1 - alpha(t), which for the linear schedule is t itself.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Generator, Tensor, nn

from ..decoding.categorical import choose_sampler
from ..decoding.generation import Generation
from ..shapes import Logits, PerSymbol, PerText, PerToken, Rng, Times, TokenIds, Where  # noqa: F401


class Paradigm(Generation, ABC):
    """A language model over V symbols made from net(z, t) -> logits (B, L, >= V)."""

    exact = False
    """nll_bound is the negative log-likelihood itself, not an upper bound of it"""
    causal = False
    """the network must read from left to right"""
    timed = False
    """the network is told the noise level"""
    tied = False
    """the network reads out with its embedding"""
    extra_symbols = 0
    """symbols the network reads beyond the vocabulary"""
    infills = False
    """`trajectory` can be given tokens anywhere, and not only a beginning"""
    samplers: Mapping[str, type] = {}
    """name -> class of sampler; the first is the one that `nll_bound` speaks of"""
    decodings: Mapping[str, Mapping[str, Any]] = {}
    """name -> options of `sample`: the decoding strategies that `evaluate` compares"""

    def __init__(self, net: nn.Module, vocab_size: int) -> None:
        super().__init__()
        self.net = net
        self.vocab_size = vocab_size
        self.mask_id = vocab_size
        """stands for a token that is not there yet"""
        self.recipe: dict[str, Any] | None = None
        """what `build` was given, if it made this model"""

    @property
    def hollow(self) -> bool:
        """Tell whether the network never sees the token it predicts, so that all may be targets."""
        return getattr(self.net, "hollow", False)

    @property
    def device(self) -> torch.device:
        """Return the device of the weights."""
        return next((p.device for p in self.parameters()), torch.device("cpu"))

    # ------------------------------------------------------------------------------- the likelihood

    @abstractmethod
    def nll_bound(self, x: TokenIds, generator: Rng = None, num_samples: int = 1) -> PerText:
        """Return -log p(x) (B,) of x (B, L), nats, or an unbiased estimate of a proven upper bound.

        The rows are independent estimates, so their spread gives an honest standard error.
        num_samples: the noisy copies of each row to average over; an exact paradigm needs none.
        """

    @abstractmethod
    def conditional(self, x: TokenIds, i: int, generator: Rng = None) -> PerSymbol:
        """Return log p(x_i = v | every other token of x (B, L)), (B, V). x_i itself is not used."""

    # --------------------------------------------------------------------------------- the training

    def noise(self, x: TokenIds, generator: Rng = None) -> tuple[Tensor, ...]:
        """Draw everything random that `loss_terms` needs for tokens x (B, L): tensors (B, ...)."""
        return ()

    @abstractmethod
    def loss_terms(self, x: TokenIds, *noise: Any) -> tuple[Tensor, Tensor | int]:
        """Return the summed loss of tokens x (B, L), nats, and the weight to divide it by.

        noise: what `noise(x)` drew. The weight does not depend on the parameters. For any split of
        the rows both are the sums over the parts, so the gradient of a large batch is the sum of
        those of its parts, wherever each is computed.
        """

    def loss(self, x: TokenIds, generator: Rng = None) -> Tensor:
        """Return the training loss of x (B, L), nats per token; it need not be a bound."""
        total, weight = self.loss_terms(x, *self.noise(x, generator))
        return total / (weight or 1)  # where nothing is a target both are 0

    # --------------------------------------------------------------------------------- the sampling

    @abstractmethod
    def prior(self, canvas: TokenIds, known: Where, generator: Generator) -> TokenIds:
        """Return the first state (B, L): noise, with the canvas (B, L) where known (B, L) is true.

        Raises InputError if the paradigm cannot condition on tokens at these positions.
        """

    def trajectory(
        self,
        canvas: TokenIds,
        known: Where,
        generator: Generator,
        steps: int = 64,
        sampler: str | None = None,
        **options: Any,
    ) -> Iterator[TokenIds]:
        """Yield states (B, L), from the prior to the sample.

        canvas (B, L) holds given tokens where known (B, L) is true; they never change. sampler: one
        of `samplers`. options: fields of it and of `Categorical`. Raises InputError for others.
        """
        move, draw = choose_sampler(self.samplers, sampler, **options)
        z = self.prior(canvas, known, generator)
        yield z
        yield from move(self, z, known, steps, draw, generator)
