"""What every network shares: its sizes, the residual stack, and how it is told the time.

A network is a function `net(z, t) -> logits`: token ids z (B, L) and, if it listens to the time,
the noise level t (B,) give logits (B, L, V). It knows no paradigm. A causal network can also run
one token after another, `init_state(B)` then `step(z, state)`, and gives the same logits.

Glossary: B batch, L length, V vocabulary, D width (`n_embd`), H heads, N state size,
E = expand x D.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import skip_init

from ..errors import InputError, at_least_one
from .fused_ops import rms_norm

MOST_LAYERS = 10_000  # what is built block by block would take for ever to run out of memory


@dataclass(frozen=True)
class Sizes:
    """How large a network is. A network takes the sizes it knows and ignores the others."""

    n_layer: int = 4
    """residual blocks (of both readers together, hollow)"""
    n_head: int = 4
    """attention heads (transformer)"""
    n_embd: int = 128
    """width of the residual stream, D"""
    block_size: int = 128
    """tokens in a training window, L"""
    dropout: float = 0.0
    """share of every block's output dropped in training"""
    mlp: str = "swiglu"
    """swiglu, or relu2, the squared ReLU (transformer)"""
    n_inner: int = 0
    """inner width of the MLP; 0 for 8/3 of n_embd (swiglu) or 4 times (relu2) (transformer)"""
    d_state: int = 16
    """state size of each channel, N (Mamba)"""
    expand_factor: int = 2
    """inner width over D (Mamba)"""
    d_conv: int = 4
    """reach of the short convolution: taps (causal), or twice the neighbours on either side"""

    def __post_init__(self):
        at_least_one(self, "n_layer n_head n_embd block_size d_state expand_factor d_conv".split())
        if self.n_layer > MOST_LAYERS:
            raise InputError(f"n_layer is {self.n_layer}: give {MOST_LAYERS:,} or fewer")
        if self.n_inner < 0:
            raise InputError(f"n_inner is {self.n_inner}: give 1 or more, or 0 for the usual width")
        if self.n_inner:
            at_least_one(self, ["n_inner"])
        if not 0 <= self.dropout < 1:
            raise InputError(f"dropout is {self.dropout}: give a share from 0 up to 1")


def linear(d_in, d_out, generator, scale=1.0, maps=1):
    """A bias-free linear map with weights of standard deviation scale / sqrt(d_in).

    maps: how many maps are packed into it, one below the other; the optimiser treats each alone.
    """
    layer = skip_init(nn.Linear, d_in, d_out, bias=False, device=torch.get_default_device())
    nn.init.normal_(layer.weight, std=scale / math.sqrt(d_in), generator=generator)
    layer.weight.maps = maps
    return layer


class Dropout(nn.Module):
    """Dropout that draws from a generator its trainer owns, so that a resumed run repeats it."""

    def __init__(self, p):
        super().__init__()
        self.p = p
        self.generator = None

    def forward(self, x):
        if not self.training or self.p == 0:
            return x
        keep = torch.rand(x.shape, device=x.device, generator=self.generator) >= self.p
        return x * keep / (1 - self.p)


class TimeFeatures(nn.Module):
    """The noise level as a vector: sines and cosines of t at some slow frequencies, mixed.

    Slow, since what a token is worth changes smoothly with the noise; and no `linear`, since Muon
    would move every direction of so few inputs at full speed. Both were seen to cost quality.
    """

    def __init__(self, d_out, n_frequencies=8):
        super().__init__()
        self.register_buffer("frequencies", torch.logspace(0, 1, n_frequencies), persistent=False)
        self.mix = nn.Parameter(torch.zeros(2 * n_frequencies, d_out))

    def forward(self, t):
        angle = t.to(self.frequencies.dtype)[:, None] * self.frequencies
        return torch.cat([angle.sin(), angle.cos()], dim=-1) @ self.mix


class Network(nn.Module):
    """Embedding, a stack of residual blocks, norm, read-out.

    A block is called as `block(h, state) -> (h, state)`, with state None outside generation.
    `max_length` is the longest sequence the network can read at once, None if there is no limit.
    """

    max_length = None

    def __init__(self, vocab_size, sizes, causal, timed, tied, generator):
        super().__init__()
        self.causal, self.tied = causal, tied
        self.embedding = skip_init(
            nn.Embedding, vocab_size, sizes.n_embd, device=torch.get_default_device()
        )
        # small, since `embed` divides by the size anyway: AdamW's first steps then reach further
        nn.init.normal_(self.embedding.weight, std=0.02, generator=generator)
        self.time = TimeFeatures(sizes.n_embd) if timed else None
        self.blocks = nn.ModuleList(
            self.block(sizes, causal, generator) for _ in range(sizes.n_layer)
        )
        # Tied, it learns faster, but begins by predicting the very token it reads, which a flow and
        # a model of the next token must unlearn. A masked position holds none.
        if not tied:
            self.readout = nn.Parameter(torch.zeros(vocab_size, sizes.n_embd))

    def block(self, sizes, causal, generator):
        raise NotImplementedError

    def forward(self, z, t=None):
        """Token ids z (B, L), noise level t (B,) or None -> logits (B, L, vocab_size)."""
        return self.read(self.hidden(z, t))

    def hidden(self, z, t=None):
        """The same up to the read-out: (B, L, D)."""
        if self.max_length is not None and z.shape[1] > self.max_length:
            raise InputError(
                f"{z.shape[1]} tokens do not fit this network's block of {self.max_length}: "
                f"ask for fewer, or train with `block_size` {z.shape[1]}"
            )
        h = self.embed(z)
        if self.time is not None:
            h = h + self.time(t)[:, None]
        return self.run(h, [None] * len(self.blocks))[0]

    def run(self, h, states):
        """Through all blocks: h (B, L, D) and a state each -> h and the new states."""
        new = []
        for block, state in zip(self.blocks, states, strict=True):
            h, state = block(h, state)
            new.append(state)
        return h, new

    def read(self, h):
        return F.linear(rms_norm(h), self.embedding.weight if self.tied else self.readout)

    def embed(self, z):
        """Tokens as vectors of unit root mean square (B, L, D)."""
        return rms_norm(self.embedding(z))

    def init_state(self, batch):
        """The state before the first token, one entry a block."""
        if not self.causal:
            raise InputError("a bidirectional network sees the whole text at once: it has no steps")
        return [block.init_state(batch) for block in self.blocks]

    def step(self, z, state):
        """The next tokens z (B, n) after those in `state` -> their logits (B, n, V), the new state.

        Equals the last n positions of `forward` on the whole text.
        """
        h, state = self.run(self.embed(z), state)
        return self.read(h), state


def largest_weight(model):
    """Return the largest absolute value of all weights, or nan where one is nan."""
    return torch.nn.utils.get_total_norm(model.parameters(), torch.inf).item()


def check_weights(model):
    """Raise InputError if a weight is not a finite number: such a network predicts nothing."""
    if not math.isfinite(largest_weight(model)):
        raise InputError(
            "the network's weights are not all finite numbers, as after a training that diverged: "
            "train again, at a lower learning rate"
        )
