"""A hollow network: its logits at i depend on every token but the i-th.

    a_i = left(start, z_1 ... z_{i-1}),     b_i = right(start, z_L ... z_{i+1})
    h_i = norm(a_i) + norm(b_i),     h <- h + W_2 f(W_1 norm(h)),     logits = W norm(h)

Two causal networks of one kind read the text from its two ends, each shifted by one token, so that
neither has seen z_i when they meet at i. The result is a leave-one-out probability,
p(x_i | z without z_i), exactly and for any weights. So every token of a text can be a target at
once, while a network that saw z_i and had to predict x_i would learn to copy it.

This is the hollow transformer of Sun et al. 2023 (2211.16750), with a sum where theirs attends to
both sides.
"""

from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from ..errors import InputError
from ..shapes import Logits, Times, TokenIds
from .base import Dropout, Network, NetworkConfig
from .fused_ops import rms_norm
from .transformer import inner_width, make_mlp


class Hollow(nn.Module):
    """Two causal networks that meet at each position without having seen its token.

    network: the class of both, each with half of the `n_layer` blocks, rounded up. The read-out is
    the hollow network's own. Raises InputError if it is asked to be causal.
    """

    hollow = True

    def __init__(
        self,
        network: type[Network],
        vocab_size: int,
        sizes: NetworkConfig,
        causal: bool,
        timed: bool,
        tied: bool,
        generator: Generator,
    ) -> None:
        super().__init__()
        if causal:
            raise InputError(
                "a hollow network reads from both ends, and this model from left to right alone: "
                "choose another `network`"
            )
        half = replace(sizes, n_layer=(sizes.n_layer + 1) // 2)
        if not sizes.n_inner:  # narrower MLPs, so that the one that joins adds no parameters
            blocks = 2 * half.n_layer
            half = replace(half, n_inner=8 * round(inner_width(sizes) / 8 * blocks / (blocks + 1)))
        self.start = vocab_size
        options: dict[str, Any] = dict(causal=True, timed=timed, tied=True, generator=generator)
        self.left, self.right = (network(vocab_size + 1, half, **options) for _ in "lr")
        self.max_length = self.left.max_length
        self.blockwise = not timed and hasattr(network, "two_streams")
        self.mlp = make_mlp(half, generator)
        self.dropout = Dropout(sizes.dropout)
        self.readout = nn.Parameter(torch.zeros(vocab_size, sizes.n_embd))

    def forward(
        self, z: TokenIds, t: Times | None = None, around: tuple[Tensor, ...] | None = None
    ) -> Logits:
        """Return logits (B, L, vocab_size) for token ids z (B, L) at the noise level t (B,).

        around, if `blockwise`: the texts (1 or B, L) that each block of z stands between, in place
        of its other blocks, and the block (L,) of each token. All of them take one pass together.
        """
        if around is None:
            before = self.left.hidden(self.shifted(z), t)
            after = self.right.hidden(self.shifted(z.flip(1)), t).flip(1)
        else:
            before, after, place = around
            before = self.behind(self.left, z, before, place)
            after = self.behind(self.right, z.flip(1), after.flip(1), place.flip(0)).flip(1)
        h = rms_norm(before) + rms_norm(after)
        h = h + self.dropout(self.mlp(rms_norm(h)))
        return F.linear(rms_norm(h), self.readout)

    def behind(self, reader: Network, z: TokenIds, clean: TokenIds, place: Tensor) -> Tensor:
        """Return a reader's vectors (B, L, D) of z (B, L), each block behind the clean text."""
        clean, z, first = self.shifted(clean), self.shifted(z), place != place.roll(1)
        return reader.two_streams(  # type: ignore[operator]  # which a `blockwise` one has
            torch.where(first, clean, z), clean, place
        )

    def shifted(self, z: TokenIds) -> TokenIds:
        """Return z (B, L) moved one place on, behind a start token."""
        return F.pad(z[:, :-1], (1, 0), value=self.start)
