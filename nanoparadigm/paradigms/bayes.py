"""One token given all others, by Bayes' rule, for any paradigm whose likelihood is exact."""

import torch

from .base import Paradigm, PerSymbol, TokenIds


def by_bayes(model: Paradigm, x: TokenIds, i: int) -> PerSymbol:
    """Return log p(x_i = v | every other token of x) (B, V), for x (B, L).

    It is proportional to p(x with v at i): V calls of `nll_bound`.
    """
    scores = []
    for v in range(model.vocab_size):
        candidate = x.clone()
        candidate[:, i] = v
        scores.append(-model.nll_bound(candidate))
    return torch.stack(scores, dim=-1).log_softmax(-1)
