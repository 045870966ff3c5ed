"""The baseline: n-gram models, counted in seconds, that a neural model should beat.

    p_n(w | c) = ( count(c w) + kinds(c) p_{n-1}(w | c') ) / ( count(c) + kinds(c) )

where c is the last n - 1 tokens, c' the last n - 2, and kinds(c) the number of different tokens
seen after c; p_0 is uniform over the vocabulary (Witten & Bell 1991, interpolated).
"""

import numpy as np
from numpy.typing import ArrayLike


def token_nll(
    train: ArrayLike,
    held_out: ArrayLike,
    vocab_size: int,
    order: int,
    length: int | None = None,
) -> np.ndarray:
    """Return -log p of every token of `held_out` (T,) under the n-gram model of that order, counted
    on `train`: nats, (T,) float64.

    Order 0 is uniform, 1 the unigram. length: forget the context at the start of every window of
    that many tokens, as the models do; None reads the text as one.
    """
    train, held_out = np.asarray(train), np.asarray(held_out)
    n = len(train)
    token = np.concatenate([train, held_out])
    # how many tokens of context each position has: none of it may come from across the split
    reach = np.arange(len(held_out)) if length is None else np.arange(len(held_out)) % length
    reach = np.concatenate([np.arange(n), reach])
    p = np.full(len(held_out), 1 / vocab_size)
    context = np.zeros(len(token), dtype=np.int64)  # a number for the last k tokens
    for k in range(order):
        if k:  # the last k tokens: the last k - 1 before the last one, and that one
            shifted = np.concatenate([[0], context[:-1] * vocab_size + token[:-1]])
            context = np.unique(shifted, return_inverse=True)[1]
        pair = np.unique(context * vocab_size + token, return_inverse=True)[1]
        counted = np.arange(n)[k:]
        asked = np.flatnonzero(reach[n:] >= k)
        pairs = np.bincount(pair[counted], minlength=pair.max() + 1)
        contexts = np.bincount(context[counted], minlength=context.max() + 1)
        first = np.unique(pair[counted], return_index=True)[1]
        kinds = np.bincount(context[counted][first], minlength=context.max() + 1)
        c, w = context[n + asked], pair[n + asked]
        seen = contexts[c] > 0
        asked, c, w = asked[seen], c[seen], w[seen]
        p[asked] = (pairs[w] + kinds[c] * p[asked]) / (contexts[c] + kinds[c])
    return -np.log(p)
