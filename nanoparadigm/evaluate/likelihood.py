"""Bits per character of a model on held-out text, and how sure we are of them."""

import math
from dataclasses import dataclass

import torch

from ..networks.base import check_weights

LOGITS = 2**26  # that a network is asked for at once, at most: a quarter of a gigabyte
BLOCKS = 8  # of a text, at least, from whose spread its standard error is taken


@dataclass(frozen=True)
class Estimate:
    """A mean and its standard error."""

    mean: float
    se: float

    @classmethod
    def of(cls, values):
        """From independent values (n,)."""
        values = values.double()
        se = values.std() / len(values) ** 0.5 if len(values) > 1 else torch.tensor(math.nan)
        return cls(values.mean().item(), se.item())

    @classmethod
    def of_text(cls, values):
        """From values (n,) of windows in the order of a text, where neighbours are alike.

        The error is the largest of those computed from the means of blocks of 1, 2, 4, ...
        neighbouring windows, as long as there are at least BLOCKS blocks. Blocks that are longer
        than the text's memory have nearly independent means; how long that is, the values decide.
        It is never below the error of `of`. A spread that is estimated from few blocks is itself
        uncertain, so each error is multiplied by what Student's t has more than a normal at two
        errors (Abramowitz & Stegun 26.7.5): twice the error still covers the truth in about 95 of
        100 texts.
        """
        values, errors, blocks = values.double(), [], len(values)
        while blocks >= 2 and (not errors or blocks >= BLOCKS):
            means = torch.stack([block.mean() for block in values.tensor_split(blocks)])
            freedom = blocks - 1
            student = 1 + 1.25 / freedom + 1.53 / freedom**2
            errors.append((means.std() / blocks**0.5).item() * student)
            blocks = len(values) // 2 ** len(errors)
        return cls(values.mean().item(), max(errors, default=math.nan))


def of_windows(independent):
    """Return what makes an Estimate of values of windows, given in their order: `Estimate.of` where
    they are sequences that were drawn one by one, as those of a Data that is `aligned`."""
    return Estimate.of if independent else Estimate.of_text


def at_once(vocab_size, length, most):
    """How many texts of `length` tokens to give a network at once: `most`, or as few as LOGITS
    allow. The noise is drawn for them together, so this depends on nothing of the machine."""
    return max(1, min(most, LOGITS // (vocab_size * length)))


@torch.no_grad()
def window_nats(model, data, generator, draws=8, max_windows=None, batch_size=32):
    """Pairs of validation windows x (n, L) and their nll_bound (n,), float64: the full windows, or
    max_windows of them, and with all of them the shorter one at the end. InputError for a network
    that has diverged.
    """
    check_weights(model)
    model.eval()
    full, *rest = data.validation
    if max_windows is not None and max_windows < len(full):
        full, rest = full[torch.linspace(0, len(full) - 1, max_windows).round().long()], []

    def nats(x):
        parts = x.to(model.device).split(at_once(data.tokenizer.vocab_size, x.shape[1], batch_size))
        return torch.cat([model.nll_bound(part, generator, num_samples=draws) for part in parts])

    return [(x, nats(x).cpu().double()) for x in (full, *rest)]


def per_token(windows, data):
    """Estimate of the nats per token of what `window_nats` found: every token counts alike, and the
    standard error is of the full windows."""
    full, nats = windows[0]
    mean = sum(nats.sum() for _, nats in windows) / sum(x.numel() for x, _ in windows)
    return Estimate(mean.item(), of_windows(data.aligned)(nats / full.shape[1]).se)


def nats_per_token(model, data, generator, draws=8, max_windows=None, batch_size=32):
    """Estimate of nll_bound per token on data.validation, every window, or max_windows of them."""
    return per_token(window_nats(model, data, generator, draws, max_windows, batch_size), data)


def nats_per_bit(data):
    """What a bit per character is in nats per token."""
    return math.log(2) * data.characters_per_token


def bits_per_character(nats, data):
    """Nats per token -> bits per character, for an Estimate."""
    return Estimate(nats.mean / nats_per_bit(data), nats.se / nats_per_bit(data))


@torch.no_grad()
def accuracy(model, data, position, generator, n=200, batch_size=50):
    """Estimate of how often the most probable token at `position` is the right one, all other
    tokens of the window given: -1 is forward (given A, predict B), 0 reverse (given B, predict A).

    An autoregressive model answers the reverse question by Bayes, a pass for each candidate.
    """
    model.eval()
    full = data.validation[0]
    full = full[torch.linspace(0, len(full) - 1, min(n, len(full))).round().long()]
    right = []
    size = at_once(data.tokenizer.vocab_size, data.length, batch_size)
    for x in full.to(model.device).split(size):
        guess = model.conditional(x, position, generator).argmax(-1)
        right.append((guess == x[:, position]).double())
    return of_windows(data.aligned)(torch.cat(right))
