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
from torch import Generator, Tensor

from ..decoding import autoregressive
from .base import Logits, Paradigm, PerSymbol, PerText, PerToken, Rng, TokenIds, Where
from .bayes import by_bayes


class Autoregressive(Paradigm):
    """The chain rule over any causal network; `nll_bound` is -log p(x) itself."""

    exact, causal, extra_symbols = True, True, 1
    samplers, decodings = autoregressive.SAMPLERS, autoregressive.DECODINGS
    infill = autoregressive.infill_by_ranking

    @property
    def bos_id(self) -> int:
        """Return the symbol that every text starts with."""
        return self.vocab_size

    def logits(self, x: TokenIds) -> Logits:
        """Return the logits (B, L, V) of x_i given x_<i, for x (B, L). Equation (2)."""
        bos = x.new_full((len(x), 1), self.bos_id)
        return self.net(torch.cat([bos, x[:, :-1]], dim=1), None)[..., : self.vocab_size]

    def token_nll(self, x: TokenIds) -> PerToken:
        """Return -log p(x_i | x_<i) (B, L) of x (B, L), nats."""
        return F.cross_entropy(self.logits(x).mT, x, reduction="none")

    def nll_bound(self, x: TokenIds, generator: Rng = None, num_samples: int = 1) -> PerText:
        """Return -log p(x) (B,) of x (B, L), nats, exactly. Equation (3)."""
        return self.token_nll(x).sum(-1)

    def loss_terms(self, x: TokenIds) -> tuple[Tensor, int]:
        """Return -log p(x) summed over x (B, L), nats, and the number of tokens: equation (3)."""
        logits = self.logits(x).flatten(0, 1)
        return F.cross_entropy(logits, x.flatten(), reduction="sum"), x.numel()

    def prior(self, canvas: TokenIds, known: Where, generator: Generator) -> TokenIds:
        """Return the prefix, and masks after it. Raises InputError for tokens after a gap."""
        autoregressive.prefix_length(known)
        return torch.where(known, canvas, self.mask_id)

    def conditional(self, x: TokenIds, i: int, generator: Rng = None) -> PerSymbol:
        """Return log p(x_i = v | the others) (B, V), by Bayes' rule, for x (B, L).

        It is proportional to p(x with v at i): V passes over x. At the last position the model
        predicts it in one pass.
        """
        if i % x.shape[1] == x.shape[1] - 1:
            return self.logits(x)[:, -1].log_softmax(-1)
        return by_bayes(self, x, i)
