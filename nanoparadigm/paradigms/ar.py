"""Autoregressive language model: one token after another, from left to right.

    (1)  p(x) = prod_i p(x_i | x_1 ... x_{i-1})                 the chain rule
    (2)  p(x_i | x_<i) = softmax(net(bos, x_1 ... x_{i-1}))_i   logits: a causal network, shifted
    (3)  -log p(x) = sum_i cross_entropy_i                      nll_bound: exact, in one pass
    (4)  x_i ~ p(. | x_<i),  i = 1 ... L                        decoding/autoregressive.py

The first token is predicted from a learned start symbol, so all L tokens of a window are targets.
The network may be a transformer, a Mamba, or anything causal.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from ..decoding import autoregressive
from .base import Paradigm


class Autoregressive(Paradigm):
    """The chain rule over any causal network; `nll_bound` is -log p(x) itself."""

    exact, causal, extra_symbols = True, True, 1
    samplers, decodings = autoregressive.SAMPLERS, autoregressive.DECODINGS
    infill = autoregressive.infill_by_ranking

    @property
    def bos_id(self) -> int:
        """Return the symbol that every text starts with."""
        return self.vocab_size

    def logits(self, x: Tensor) -> Tensor:
        """Return logits (B, L, V) for x (B, L): at i, those of x_i given x_<i. Equation (2)."""
        bos = x.new_full((len(x), 1), self.bos_id)
        return self.net(torch.cat([bos, x[:, :-1]], dim=1), None)[..., : self.vocab_size]

    def token_nll(self, x: Tensor) -> Tensor:
        """Return -log p(x_i | x_<i) (B, L), nats."""
        return F.cross_entropy(self.logits(x).mT, x, reduction="none")

    def nll_bound(self, x, generator=None, num_samples=1) -> Tensor:
        """Return -log p(x) (B,), nats, exactly. Equation (3)."""
        return self.token_nll(x).sum(-1)

    def loss_terms(self, x: Tensor) -> tuple[Tensor, int]:
        """Return -log p(x) and the number of tokens: the loss is the likelihood."""
        logits = self.logits(x).flatten(0, 1)
        return F.cross_entropy(logits, x.flatten(), reduction="sum"), x.numel()

    def prior(self, canvas, known, generator) -> Tensor:
        """Return the prefix, and masks after it. Raises InputError for tokens after a gap."""
        autoregressive.prefix_length(known)
        return torch.where(known, canvas, self.mask_id)

    def conditional(self, x, i, generator=None) -> Tensor:
        """Return log p(x_i | the others) (B, V) by Bayes, V passes over x. At the last position
        that is the prediction itself, one pass."""
        if i % x.shape[1] == x.shape[1] - 1:
            return self.logits(x)[:, -1].log_softmax(-1)
        return self.by_bayes(x, i)
