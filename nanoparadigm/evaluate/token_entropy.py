"""How uncertain a left-to-right model is before each token of a vocabulary, on the average.

    h(v) = mean of H(p(. | x_<i)) over the places i of a text where x_i = v

with H the entropy of the model's prediction, in nats: small for tokens that come where little else
could, large for those that come where much could. Ids that the text lacks get the mean over all
places.
"""

import io
import os
from dataclasses import dataclass

import numpy as np
import torch

from .. import files
from ..atomic import write_json
from ..errors import InputError


@dataclass(frozen=True)
class TokenEntropy:
    values: torch.Tensor
    """h (V,), float32 nats"""
    counts: torch.Tensor
    """places that were read of every id (V,), int64; where there are none, h is the default"""
    default: float
    """the mean over all places"""

    @property
    def coverage(self):
        """The share of the ids that were read at least once."""
        return (self.counts > 0).double().mean().item()

    def coverage_of(self, tokens):
        """The share of a text's tokens (T,) whose id was read at least once."""
        return (self.counts[tokens] > 0).double().mean().item()

    def save(self, path, facts):
        """Write h to a .npy file, and beside it what is known of it, with the `facts`, as JSON."""
        array = io.BytesIO()
        np.save(array, self.values.numpy(), allow_pickle=False)
        unfinished = path.with_name(path.name + ".unfinished")
        unfinished.write_bytes(array.getvalue())
        os.replace(unfinished, path)
        known = dict(default=self.default, coverage=self.coverage, tokens=self.counts.sum().item())
        write_json(path.with_suffix(".json"), {**facts, **known})


def load(path, vocab_size):
    """h (V,), float32, of a file that `TokenEntropy.save` wrote; InputError for any other."""
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
def token_entropy(model, batches, vocab_size):
    """The TokenEntropy of a model whose `logits` (B, L, V) at i are those of x_i given x_<i.

    batches: LongTensors (B, L).
    """
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


def spread(tokens, length, n):
    """Where windows side by side begin in a text (T,), LongTensor: all, or as many of them, spread
    evenly over the text, as hold n tokens."""
    whole = len(tokens) // length
    chosen = torch.linspace(0, whole - 1, min(max(n // length, 1), whole), dtype=torch.double)
    return length * chosen.round().long()
