"""What all networks share: their sizes, the residual stack, and how they are told the time.

A network is a function `net(z, t) -> logits`: from token ids z (B, L) and, if it is timed, the
noise level t (B,) to logits (B, L, V). It knows no paradigm. A causal network can also run one
token after another, `init_state(B)` and then `step(z, state)`, with the same logits.

Glossary: B batch, L length, V vocabulary, D width (`n_embd`), H heads, N state size,
E = expand x D.
"""

import math
import warnings
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from ..errors import InputError, check_positive
from ..shapes import Logits, Times, TokenIds
from .fused_ops import rms_norm

MOST_LAYERS = 10_000  # they are built one by one, so even running out of memory would take too long


@dataclass(frozen=True)
class NetworkConfig:
    """The sizes of a network. Each network reads those it has and ignores the others."""

    n_layer: int = 4
    """residual blocks (of both readers together, hollow)"""
    n_head: int = 4
    """attention heads (transformer), or heads that share a decay (Mamba-2)"""
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
    """state size of each channel, N (Mamba, Mamba-2)"""
    expand_factor: int = 2
    """inner width over D (Mamba, Mamba-2)"""
    d_conv: int = 4
    """reach of the short convolution: taps (causal), or twice the neighbours on either side"""

    def __post_init__(self) -> None:
        check_positive(
            self, "n_layer n_head n_embd block_size d_state expand_factor d_conv".split()
        )
        if self.n_layer > MOST_LAYERS:
            raise InputError(f"n_layer is {self.n_layer}: give {MOST_LAYERS:,} or fewer")
        if self.n_inner < 0:
            raise InputError(f"n_inner is {self.n_inner}: give 1 or more, or 0 for the usual width")
        if self.n_inner:
            check_positive(self, ["n_inner"])
        if not 0 <= self.dropout < 1:
            raise InputError(f"dropout is {self.dropout}: give a share from 0 up to 1")


def __getattr__(name: str) -> type:
    """Return NetworkConfig for `Sizes`, its name in earlier versions, with a DeprecationWarning."""
    if name != "Sizes":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    message = "networks.base.Sizes goes away in the next release: use networks.base.NetworkConfig"
    warnings.warn(message, DeprecationWarning, stacklevel=2)
    return NetworkConfig


class Linear(nn.Module):
    """A linear map without bias, y = W x, whose weights begin at a standard deviation of
    scale / sqrt(d_in).

    maps: how many maps W packs, one below the other; the optimiser treats each on its own.
    """

    def __init__(
        self, d_in: int, d_out: int, generator: Generator, scale: float = 1.0, maps: int = 1
    ) -> None:
        super().__init__()
        self.in_features, self.maps = d_in, maps
        # `nn.Linear` would draw from the global generator first; `skip_init` loads a compiler
        self.weight = nn.Parameter(torch.empty(d_out, d_in))
        nn.init.normal_(self.weight, std=scale / math.sqrt(d_in), generator=generator)

    def forward(self, x: Tensor) -> Tensor:
        """Map x (..., d_in) to (..., d_out)."""
        return F.linear(x, self.weight)


class Dropout(nn.Module):
    """Dropout that draws from a generator of the trainer's, so that a resumed run repeats it."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p
        self.generator: Generator | None = None

    def forward(self, x: Tensor) -> Tensor:
        """In training, set each number to 0 with probability p and divide the others by 1 - p."""
        if not self.training or self.p == 0:
            return x
        keep = torch.rand(x.shape, device=x.device, generator=self.generator) >= self.p
        return x * keep / (1 - self.p)


class TimeFeatures(nn.Module):
    """The noise level as a vector: a learned mix of sines and cosines of t at slow frequencies.

    The frequencies are slow because what a token tells changes smoothly with the noise. The mix is
    no `Linear`, because Muon would move every direction of so few inputs at full speed. Either was
    seen to cost quality.
    """

    frequencies: Tensor

    def __init__(self, d_out: int, n_frequencies: int = 8) -> None:
        super().__init__()
        self.register_buffer("frequencies", torch.logspace(0, 1, n_frequencies), persistent=False)
        self.mix = nn.Parameter(torch.zeros(2 * n_frequencies, d_out))

    def forward(self, t: Times) -> Tensor:
        """Return the vectors (B, d_out) of noise levels t (B,)."""
        angle = t.to(self.frequencies.dtype)[:, None] * self.frequencies
        return torch.cat([angle.sin(), angle.cos()], dim=-1) @ self.mix


class Network(nn.Module):
    """Embed the tokens, run a stack of residual blocks, normalise and read out.

    A block is called as `block(h, state) -> (h, state)`, with state None outside generation.
    `max_length` is the longest sequence that the network can read at once, None if there is no
    limit. timed: the network is told the noise level. tied: it reads out with its embedding.
    """

    max_length: int | None = None

    def __init__(
        self,
        vocab_size: int,
        sizes: NetworkConfig,
        causal: bool,
        timed: bool,
        tied: bool,
        generator: Generator,
    ) -> None:
        super().__init__()
        self.causal, self.tied = causal, tied
        # small, since `embed` divides by the size anyway: AdamW's first steps then reach further
        weights = torch.empty(vocab_size, sizes.n_embd)
        nn.init.normal_(weights, std=0.02, generator=generator)
        self.embedding = nn.Embedding.from_pretrained(weights, freeze=False)
        self.time = TimeFeatures(sizes.n_embd) if timed else None
        self.blocks = nn.ModuleList(
            self.block(sizes, causal, generator) for _ in range(sizes.n_layer)
        )
        # A tied network learns faster, but it begins by predicting the token that it reads, which a
        # flow and a model of the next token must unlearn. A masked position holds no token.
        if not tied:
            self.readout = nn.Parameter(torch.zeros(vocab_size, sizes.n_embd))

    def block(self, sizes: NetworkConfig, causal: bool, generator: Generator) -> nn.Module:
        """Return a new residual block."""
        raise NotImplementedError

    def forward(self, z: TokenIds, t: Times | None = None) -> Logits:
        """Return logits (B, L, vocab_size) for token ids z (B, L) at the noise level t (B,)."""
        return self.read(self.hidden(z, t))

    def hidden(self, z: TokenIds, t: Times | None = None) -> Tensor:
        """Return the vectors (B, L, D) before the read-out. Raises InputError if L > max_length."""
        if self.max_length is not None and z.shape[1] > self.max_length:
            raise InputError(
                f"{z.shape[1]} tokens do not fit this network's block of {self.max_length}: "
                f"ask for fewer, or train with `block_size` {z.shape[1]}"
            )
        h = self.embed(z)
        if self.time is not None:
            h = h + self.time(t)[:, None]
        return self.run(h, [None] * len(self.blocks))[0]

    def run(self, h: Tensor, states: list) -> tuple[Tensor, list]:
        """Run h (B, L, D) through all blocks, each with its state; return h and the new states."""
        new = []
        for block, state in zip(self.blocks, states, strict=True):
            h, state = block(h, state)
            new.append(state)
        return h, new

    def read(self, h: Tensor) -> Logits:
        """Return the logits (B, L, vocab_size) of vectors h (B, L, D)."""
        return F.linear(rms_norm(h), self.embedding.weight if self.tied else self.readout)

    def embed(self, z: TokenIds) -> Tensor:
        """Return tokens z (B, L) as vectors (B, L, D) of unit root mean square."""
        return rms_norm(self.embedding(z))

    def init_state(self, batch: int) -> list:
        """Return the state before the first token, an entry for each block.

        Raises InputError if the network is not causal.
        """
        if not self.causal:
            raise InputError("a bidirectional network sees the whole text at once: it has no steps")
        return [block.init_state(batch) for block in self.blocks]  # type: ignore[operator]

    def step(self, z: TokenIds, state: list) -> tuple[Logits, list]:
        """Return the logits (B, n, V) of the next tokens z (B, n), and the new state.

        They are the logits of the last n positions of `forward` on the whole text so far.
        """
        h, state = self.run(self.embed(z), state)
        return self.read(h), state


def largest_weight(model: nn.Module) -> float:
    """Return the largest absolute value of all weights, or nan where one is nan."""
    return torch.nn.utils.get_total_norm(model.parameters(), torch.inf).item()


def check_weights(model: nn.Module) -> None:
    """Raise InputError if a weight is not a finite number: such a network predicts nothing."""
    if not math.isfinite(largest_weight(model)):
        raise InputError(
            "the network's weights are not all finite numbers, as after a training that diverged: "
            "train again, at a lower learning rate"
        )
