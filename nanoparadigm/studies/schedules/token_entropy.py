"""Measure how uncertain a left-to-right model is, on average, before each token of a vocabulary.

    h(v) = mean of H(p(. | x_<i)) over the positions i of a text where x_i = v

with H the entropy of the model's prediction, in nats: small for tokens that come where little else
could, large for those that come where much could. Ids that the text lacks get the mean over all
positions.
"""

import io
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from ... import files
from ...atomic import write_json
from ...data.corpus import TokenSequence
from ...errors import InputError


@dataclass(frozen=True)
class TokenEntropy:
    """h(v) for every id v of a vocabulary, and how often each id was read."""

    values: Tensor
    """h (V,), float32 nats"""
    counts: Tensor
    """positions where each id was read (V,), int64; where there are none, h is the default"""
    default: float
    """the mean over all positions, nats"""

    @property
    def coverage(self) -> float:
        """The share of the ids that were read at least once."""
        return (self.counts > 0).double().mean().item()

    def coverage_of(self, tokens: Tensor) -> float:
        """Return the share of a text's tokens (T,) whose id was read at least once."""
        return (self.counts[tokens] > 0).double().mean().item()

    def save(self, path: Path, facts: dict[str, Any]) -> None:
        """Write h to a .npy file, and the `facts` with what is known of h to JSON beside it."""
        array = io.BytesIO()
        np.save(array, self.values.numpy(), allow_pickle=False)
        unfinished = path.with_name(path.name + ".unfinished")
        unfinished.write_bytes(array.getvalue())
        os.replace(unfinished, path)
        known = dict(default=self.default, coverage=self.coverage, tokens=self.counts.sum().item())
        write_json(path.with_suffix(".json"), {**facts, **known})


class Predictor(Protocol):
    """What `token_entropy` asks of a left-to-right model: a paradigm or a scorer."""

    @property
    def device(self) -> torch.device:
        """The device of the weights."""

    def logits(self, x: Tensor) -> Tensor:
        """Return logits (B, L, V) for tokens x (B, L): those at i predict x_i from x_<i."""


def load(path: Path, vocab_size: int) -> Tensor:
    """Load h (V,), float32, from a file that `TokenEntropy.save` wrote.

    Raises InputError for any other file.
    """
    data = io.BytesIO(files.read(path))
    try:
        values = np.lib.format.read_array(data, allow_pickle=False)
        if values.shape == (vocab_size,) and values.dtype == np.float32:
            if np.isfinite(values).all() and values.min() >= 0 < values.max():
                return torch.from_numpy(values)
    except Exception:  # of many kinds, for a head that makes no sense; what it holds is not known
        pass
    raise InputError(
        f"{path} does not hold the entropies of {vocab_size:,} tokens: delete it, and give the "
        "command of the study once more"
    )


@torch.no_grad()
def token_entropy(model: Predictor, batches: Iterable[Tensor], vocab_size: int) -> TokenEntropy:
    """Measure the TokenEntropy of a model on batches, LongTensors (B, L)."""
    sums, counts = torch.zeros(vocab_size, dtype=torch.double), torch.zeros(vocab_size).long()
    for x in batches:
        for row, logits in zip(x, model.logits(x.to(model.device)), strict=True):
            log_p = logits.float().log_softmax(-1)
            entropy = -(log_p.exp() * log_p).sum(-1)
            sums.index_add_(0, row, entropy.cpu().double())
            counts += row.bincount(minlength=vocab_size)
    default = (sums.sum() / counts.sum()).item()
    values = torch.where(counts > 0, sums / counts, default)
    return TokenEntropy(values.float(), counts, default)


def spread(tokens: TokenSequence, length: int, n: int) -> Tensor:
    """Return where windows of `length` tokens begin in a text (T,), a LongTensor: as many as hold n
    tokens, spread evenly over the text, or all windows side by side if it is no longer than that.
    """
    whole = len(tokens) // length
    chosen = torch.linspace(0, whole - 1, min(max(n // length, 1), whole), dtype=torch.double)
    return length * chosen.round().long()
