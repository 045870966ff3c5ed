"""Types: what the samplers ask of a model, and nothing else."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

from torch import Generator, Tensor, nn

from ..shapes import Logits, PerSymbol, PerToken, Times, TokenIds, Where


class Schedule(Protocol):
    """A noise schedule."""

    @property
    def alpha(self) -> Callable[[Tensor], Tensor]:
        """Return the function from times t in [0, 1] to the probability that a token survives."""


class MaskedModel(Protocol):
    """A masked diffusion, as the samplers of `masked.py` see it."""

    @property
    def mask_id(self) -> int:
        """Return the symbol of a token that is not there yet."""

    @property
    def sampling_schedule(self) -> Schedule:
        """Return the schedule along which texts are drawn."""

    def denoise(self, z: TokenIds, where: Where, noise_level: Times) -> PerSymbol:
        """Return the logits (n, V) of the n tokens of z (B, L) at `where` (B, L)."""


class UniformModel(Protocol):
    """A flow with uniform noise, as the samplers of `uniform.py` see it."""

    @property
    def sampling_schedule(self) -> Schedule:
        """Return the schedule along which texts are drawn."""

    def leave_one_out(self, z: TokenIds, alpha: Times) -> Logits:
        """Return logits (B, L, K) of p(x_i | z without z_i), for z (B, L) and alpha (B,)."""


class CausalModel(Protocol):
    """An autoregressive model, as `autoregressive.py` sees it."""

    net: nn.Module
    vocab_size: int

    @property
    def bos_id(self) -> int:
        """Return the symbol that every text starts with."""

    def token_nll(self, x: TokenIds) -> PerToken:
        """Return -log p(x_i | x_<i) (B, L), nats, of x (B, L)."""

    def sample(
        self, n: int, length: int, generator: Generator, prompt: Sequence[int] = (), **options: Any
    ) -> TokenIds:
        """Return n texts (n, length) that start with the prompt."""


class AnyModel(Protocol):
    """A model that draws a text state by state, as `blocks.py` sees it."""

    net: nn.Module
    causal: bool
    mask_id: int

    def trajectory(
        self, canvas: TokenIds, known: Where, generator: Generator, **options: Any
    ) -> Iterator[TokenIds]:
        """Yield states (B, L), from the first to the text."""
