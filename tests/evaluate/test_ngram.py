"""The n-gram floor against counting by hand, and against the published figure."""

import math
import os
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pytest

from nanoparadigm import corpora, tokenizers
from nanoparadigm.evaluate.ngram import token_nll


def by_hand(train, context, word, order, vocab_size):
    """The definition, with dictionaries."""
    if order == 0:
        return 1 / vocab_size
    k = order - 1
    lower = by_hand(train, context[1:] if len(context) >= k else context, word, k, vocab_size)
    if len(context) < k:
        return by_hand(train, context, word, k, vocab_size)
    after = defaultdict(Counter)
    for i in range(k, len(train)):
        after[tuple(train[i - k : i])][train[i]] += 1
    counts = after[tuple(context[len(context) - k :])]
    total, kinds = sum(counts.values()), len(counts)
    return (counts[word] + kinds * lower) / (total + kinds) if total else lower


@pytest.mark.parametrize("order", range(5))
@pytest.mark.parametrize("length", [None, 7])
def test_equals_counting_by_hand(order, length):
    rng = np.random.default_rng(0)
    V = 4
    train = rng.integers(V, size=60).tolist()
    held_out = rng.integers(V, size=20).tolist()
    ours = token_nll(train, held_out, V, order, length)
    for i, word in enumerate(held_out):
        begin = 0 if length is None else i - i % length
        context = held_out[begin:i][-(order - 1) :] if order > 1 else []
        assert ours[i] == pytest.approx(-math.log(by_hand(train, context, word, order, V)))


def test_predictions_are_distributions():
    rng = np.random.default_rng(1)
    V = 5
    train, context = rng.integers(V, size=300), rng.integers(V, size=6)
    for order in range(6):
        last = [token_nll(train, [*context, w], V, order)[-1] for w in range(V)]
        assert np.exp(-np.array(last)).sum() == pytest.approx(1)


def test_a_large_vocabulary_does_not_overflow():
    rng = np.random.default_rng(2)
    train = rng.integers(50_000, size=2000)
    assert np.isfinite(token_nll(train, train[:500], 50_257, 6)).all()


@pytest.mark.skipif(
    not (Path(os.environ.get("NANOPARADIGM_DATA", "")) / "tinyshakespeare.txt").is_file(),
    reason="NANOPARADIGM_DATA names no folder with tinyshakespeare.txt",
)
def test_published_figures_on_tiny_shakespeare():
    corpus = corpora.load("shakespeare")
    tokenizer = tokenizers.build("char", corpus, 0)
    train, held_out = tokenizer.encode(corpus.train), tokenizer.encode(corpus.validation)
    for order, length, nats in [
        (0, None, 4.174),
        (1, None, 3.347),
        (3, None, 2.049),
        (5, None, 1.669),
        # a window's first tokens have less context: (3.35 + 2.49 + 2.05 + 1.77 - 4 x 1.67) / length
        (5, 64, 1.713),
        (5, 256, 1.680),
    ]:
        mean = token_nll(train, held_out, 65, order, length).mean()
        assert mean == pytest.approx(nats, abs=0.002), (order, length)
