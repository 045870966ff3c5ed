"""Measure the bits per character of a model on held-out text, and their standard error."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import torch
from torch import Generator, Tensor

from ..data.corpus import TokenizedCorpus
from ..networks.base import check_weights
from ..paradigms import Paradigm
from ..shapes import PerText, TokenIds

MAX_LOGITS = 2**26
"""how many logits a network is asked for in one call: a quarter of a gigabyte"""
MIN_BLOCKS = 8
"""of a text, from whose spread its standard error is taken"""

Windows = list[tuple[TokenIds, PerText]]
"""pairs of windows (n, L) and their nats (n,): the full windows first, then any shorter one"""


@dataclass(frozen=True)
class Estimate:
    """A mean and its standard error."""

    mean: float
    se: float

    @classmethod
    def of(cls, values: Tensor) -> Self:
        """Return the Estimate of independent values (n,). The error of one value is nan."""
        values = values.double()
        se = values.std() / len(values) ** 0.5 if len(values) > 1 else torch.tensor(math.nan)
        return cls(values.mean().item(), se.item())

    @classmethod
    def of_text(cls, values: Tensor) -> Self:
        """Return the Estimate of values (n,) of windows in text order, with similar neighbours.

        The error is the largest of those computed from the means of blocks of 1, 2, 4, ...
        neighbouring windows, as long as there are at least MIN_BLOCKS blocks. Blocks longer than
        the memory of the text have nearly independent means, and the largest error finds that
        length from the values themselves. It is never below the error of `of`. A spread estimated
        from few blocks is itself uncertain, so each error is multiplied by the ratio of Student's t
        to a normal at two errors (Abramowitz & Stegun 26.7.5): twice the error still covers the
        truth in about 95 of 100 texts.
        """
        values, blocks = values.double(), len(values)
        errors: list[float] = []
        while blocks >= 2 and (not errors or blocks >= MIN_BLOCKS):
            means = torch.stack([block.mean() for block in values.tensor_split(blocks)])
            freedom = blocks - 1
            student = 1 + 1.25 / freedom + 1.53 / freedom**2
            errors.append((means.std() / blocks**0.5).item() * student)
            blocks = len(values) // 2 ** len(errors)
        return cls(values.mean().item(), max(errors, default=math.nan))


def of_windows(independent: bool) -> Callable[[Tensor], Estimate]:
    """Return the function that makes an Estimate from the values of windows, in their order.

    independent: the windows are sequences drawn one by one, as those of an `aligned`
    TokenizedCorpus, and not pieces of a running text.
    """
    return Estimate.of if independent else Estimate.of_text


def micro_batch_size(vocab_size: int, length: int, most: int) -> int:
    """Return how many texts of `length` tokens to give a network in one call: `most`, reduced so
    that they have at most MAX_LOGITS logits, and at least 1.

    The noise of a call is drawn for all its texts together, so the number must not depend on the
    machine.
    """
    return max(1, min(most, MAX_LOGITS // (vocab_size * length)))


@torch.no_grad()
def window_nats(
    model: Paradigm,
    data: TokenizedCorpus,
    generator: Generator,
    num_samples: int = 8,
    max_windows: int | None = None,
    batch_size: int = 32,
) -> Windows:
    """Return pairs of validation windows x (n, L) and their nll_bound (n,), float64 nats.

    The full windows come first, then the shorter one at the end. With max_windows below their
    number: only that many full windows, spread evenly over the split. num_samples: noisy copies of
    each window. Raises InputError for a network that has diverged.
    """
    check_weights(model)
    model.eval()
    full, *rest = data.validation
    if max_windows is not None and max_windows < len(full):
        full, rest = full[torch.linspace(0, len(full) - 1, max_windows).round().long()], []

    def nats(x: TokenIds) -> PerText:
        size = micro_batch_size(data.tokenizer.vocab_size, x.shape[1], batch_size)
        parts = x.to(model.device).split(size)
        return torch.cat(
            [model.nll_bound(part, generator, num_samples=num_samples) for part in parts]
        )

    return [(x, nats(x).cpu().double()) for x in (full, *rest)]


def per_token(windows: Windows, data: TokenizedCorpus) -> Estimate:
    """Return the Estimate of the nats per token from the pairs of `window_nats`.

    Every token counts equally in the average. The standard error is that of the full windows.
    """
    full, nats = windows[0]
    mean = sum(nats.sum() for _, nats in windows) / sum(x.numel() for x, _ in windows)
    return Estimate(float(mean), of_windows(data.aligned)(nats / full.shape[1]).se)


def nats_per_token(
    model: Paradigm,
    data: TokenizedCorpus,
    generator: Generator,
    num_samples: int = 8,
    max_windows: int | None = None,
    batch_size: int = 32,
) -> Estimate:
    """Return the Estimate of nll_bound per token on data.validation; arguments: `window_nats`."""
    windows = window_nats(model, data, generator, num_samples, max_windows, batch_size)
    return per_token(windows, data)


def nats_per_bit(data: TokenizedCorpus) -> float:
    """Return how many nats per token are one bit per character."""
    return math.log(2) * data.characters_per_token


def bits_per_character(nats: Estimate, data: TokenizedCorpus) -> Estimate:
    """Convert an Estimate in nats per token to bits per character."""
    return Estimate(nats.mean / nats_per_bit(data), nats.se / nats_per_bit(data))


@torch.no_grad()
def accuracy(
    model: Paradigm,
    data: TokenizedCorpus,
    position: int,
    generator: Generator,
    n: int = 200,
    batch_size: int = 50,
) -> Estimate:
    """Return the Estimate of how often the most probable token at `position` is the right one,
    given all other tokens of the window: -1 is forward (given A, predict B), 0 is reverse (given B,
    predict A).

    n: windows to ask, spread evenly over the validation split. An autoregressive model answers the
    reverse question by Bayes, with one pass for each candidate.
    """
    model.eval()
    full = data.validation[0]
    full = full[torch.linspace(0, len(full) - 1, min(n, len(full))).round().long()]
    right = []
    size = micro_batch_size(data.tokenizer.vocab_size, data.length, batch_size)
    for x in full.to(model.device).split(size):
        guess = model.conditional(x, position, generator).argmax(-1)
        right.append((guess == x[:, position]).double())
    return of_windows(data.aligned)(torch.cat(right))
