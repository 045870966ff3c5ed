"""The transformer: RMSNorm, rotary positions, QK-norm, no biases. One flag, `causal`, says whether
the two parts that mix positions, the attention and the short convolution, see what comes after.

    h_i = sum_k w_k * e_{i+k},  e the embedded tokens,  k over a few neighbours
    h <- h + W_o attention(RoPE(norm(q)), RoPE(norm(k)), v),   q, k, v = W_qkv norm(h)
    h <- h + W_2 f(W_1 norm(h)),                               f = squared ReLU, or SwiGLU

Vaswani et al. 2017 (1706.03762); rotary positions: Su et al. 2021 (2104.09864); QK-norm: Henry et
al. 2020 (2010.04245); squared ReLU: So et al. 2021 (2109.08668); SwiGLU: Shazeer 2020 (2002.05202).
The short convolution, one for the whole stack, saves the first layer from having to find neighbours
by attention; such convolutions: So et al. 2021 and Mamba.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from ..errors import InputError, lookup
from ..shapes import Logits, TokenIds
from .base import Dropout, Linear, Network, NetworkConfig
from .fused_ops import rms_norm, short_conv, squared_relu

# With normed queries and keys the logits of attention are a cosine times this number. The usual
# d^0.5, 5.7 for heads of 32, leaves them too blunt to point at one token among a hundred.
SHARPNESS = 12.0


def rotations(length: int, d_head: int, base: float = 10_000.0) -> Tensor:
    """Return the real and imaginary parts of e^{i position frequency}, as a tensor
    (length, 1, 1, d_head / 2, 2)."""
    frequency = base ** (-torch.arange(0, d_head, 2, dtype=torch.float64) / d_head)
    angle = torch.arange(length, dtype=torch.float64)[:, None, None, None] * frequency
    return torch.stack([angle.cos(), angle.sin()], dim=-1).float()


def rotate(x: Tensor, turn: Tensor) -> Tensor:
    """Multiply each pair of neighbours of x (B, L, ..., d), as one complex number, by `turn`."""
    dtype = torch.promote_types(x.dtype, torch.float32)  # there are no 16-bit complex numbers
    pairs, turn = x.to(dtype).unflatten(-1, (-1, 2)), turn.to(dtype)
    turned = torch.view_as_complex(pairs) * torch.view_as_complex(turn)
    return torch.view_as_real(turned).flatten(-2).to(x.dtype)


def attend(q: Tensor, k: Tensor, v: Tensor, **options: Any) -> Tensor:
    """Return softmax(scale q k^T) v (B, H, L, d) of q, k and v (B, H, L, d).

    In 16 bits PyTorch's backward pass takes a processor twice as long as in 32.
    """
    if q.dtype.itemsize == 2 and q.device.type == "cpu":
        with torch.autocast("cpu", enabled=False):
            return F.scaled_dot_product_attention(q.float(), k.float(), v.float(), **options)
    return F.scaled_dot_product_attention(q, k, v, **options)


class Cache:
    """The keys and values of the tokens read so far, in buffers for a whole block, made once."""

    def __init__(self, keys: Tensor, values: Tensor) -> None:
        self.keys, self.values = keys, values  # (B, H, block, d)
        self.length = 0

    def append(self, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Add those of the next tokens (B, H, n, d); return all so far, as views."""
        start, self.length = self.length, self.length + k.shape[2]
        self.keys[:, :, start : self.length] = k
        self.values[:, :, start : self.length] = v
        return self.keys[:, :, : self.length], self.values[:, :, : self.length]

    def mask(self, n: int) -> Tensor:
        """Return which keys so far each of the last n tokens may see (n, length)."""
        sees = torch.ones(n, self.length, dtype=torch.bool, device=self.keys.device)
        return sees.tril(self.length - n)


class Streams(Cache):
    """The keys and values of clean texts and of noisy ones, (1 or B, and B) rows of one batch.

    A token sees the clean text in the blocks before its own, and its own stream inside its block.
    place (L,): the block of each token, in any numbers.
    """

    def __init__(self, clean: int, place: Tensor) -> None:
        self.clean, self.length, inside = clean, 0, place[:, None] == place
        self.sees = torch.cat([~inside, inside], 1) & torch.ones_like(inside).tril().repeat(1, 2)

    def append(self, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Return those of the clean text and then those of each row itself (rows, H, 2L, d)."""
        C, times = self.clean, (len(k) // self.clean, 1, 1, 1)
        return torch.cat([k[:C].repeat(times), k], 2), torch.cat([v[:C].repeat(times), v], 2)

    def mask(self, n: int) -> Tensor:
        """Return which of these keys each token may see (L, 2L)."""
        return self.sees


class Attention(nn.Module):
    """Multi-head attention to all positions or, if causal, to those up to one's own.

    Raises InputError if n_head does not divide n_embd into even parts.
    """

    turns: Tensor

    def __init__(self, sizes: NetworkConfig, causal: bool, generator: Generator) -> None:
        super().__init__()
        d, h = sizes.n_embd, sizes.n_head
        if d % h or (d // h) % 2:
            good = [n for n in range(1, d + 1) if d % n == 0 and (d // n) % 2 == 0]
            raise InputError(
                f"n_head {h} does not divide n_embd {d} into even parts: "
                f"choose n_head from {', '.join(map(str, good)) or 'nothing (n_embd must be even)'}"
            )
        self.n_head, self.causal = h, causal
        self.qkv = Linear(d, 3 * d, generator, maps=3)
        self.out = Linear(d, d, generator, scale=0)
        self.register_buffer("turns", rotations(sizes.block_size, d // h), persistent=False)

    def forward(self, x: Tensor, cache: Cache | None = None) -> tuple[Tensor, Cache | None]:
        """Map x (B, L, D) to (B, L, D); return it and the cache.

        cache: the keys and values of the tokens before x, to which those of x are added, or None.
        """
        B, L, D = x.shape
        qkv = self.qkv(x).view(B, L, 3, self.n_head, D // self.n_head)
        start = 0 if cache is None else cache.length
        qk = rotate(rms_norm(qkv[:, :, :2]), self.turns[start : start + L])
        q, k, v = (y.transpose(1, 2) for y in (*qk.unbind(2), qkv[:, :, 2]))
        mask, causal = None, self.causal and cache is None
        if cache is not None:
            k, v = cache.append(k, v)
            mask = cache.mask(L) if L > 1 else None  # is_causal would align it top-left
        y = attend(q, k, v, attn_mask=mask, is_causal=causal, scale=SHARPNESS / q.shape[-1])
        return self.out(y.transpose(1, 2).reshape(B, L, D)), cache


class SquaredReLU(nn.Module):
    """The MLP W_2 max(W_1 x, 0)^2."""

    def __init__(self, d: int, inner: int, generator: Generator) -> None:
        super().__init__()
        self.up = Linear(d, inner, generator)
        self.down = Linear(inner, d, generator, scale=0)

    def forward(self, x: Tensor) -> Tensor:
        """Map x (..., D) to (..., D)."""
        return self.down(squared_relu(self.up(x)))


class SwiGLU(nn.Module):
    """The gated MLP W_2 (SiLU(W_g x) * W_1 x)."""

    def __init__(self, d: int, inner: int, generator: Generator) -> None:
        super().__init__()
        self.up = Linear(d, 2 * inner, generator, maps=2)
        self.down = Linear(inner, d, generator, scale=0)

    def forward(self, x: Tensor) -> Tensor:
        """Map x (..., D) to (..., D)."""
        gate, up = self.up(x).chunk(2, dim=-1)
        return self.down(F.silu(gate) * up)


# each with its usual inner width over D: 8/3 gives a gated MLP the parameters of a plain one with 4
MLPS = {"relu2": (SquaredReLU, 4), "swiglu": (SwiGLU, 8 / 3)}


def inner_width(sizes: NetworkConfig) -> int:
    """Return the inner width of the MLP: n_inner, or the usual one as a multiple of 8.

    Raises InputError if there is no such `mlp`.
    """
    return sizes.n_inner or 8 * round(lookup("mlp", sizes.mlp, MLPS)[1] * sizes.n_embd / 8)


def make_mlp(sizes: NetworkConfig, generator: Generator) -> nn.Module:
    """Return a new MLP. Raises InputError if there is no such `mlp`."""
    return lookup("mlp", sizes.mlp, MLPS)[0](sizes.n_embd, inner_width(sizes), generator)


class Block(nn.Module):
    """A residual block: attention, then the MLP."""

    def __init__(self, sizes: NetworkConfig, causal: bool, generator: Generator) -> None:
        super().__init__()
        self.attention = Attention(sizes, causal, generator)
        self.mlp = make_mlp(sizes, generator)
        self.dropout = Dropout(sizes.dropout)

    def forward(self, h: Tensor, cache: Cache | None = None) -> tuple[Tensor, Cache | None]:
        """Map h (B, L, D) to (B, L, D); return it and the cache."""
        y, cache = self.attention(rms_norm(h), cache)
        h = h + self.dropout(y)
        return h + self.dropout(self.mlp(rms_norm(h))), cache

    def init_state(self, batch: int) -> Cache:
        """Return an empty cache for so many texts."""
        a = self.attention
        sizes = batch, a.n_head, len(a.turns), a.qkv.in_features // a.n_head
        return Cache(*(a.qkv.weight.new_empty(sizes) for _ in "kv"))


class Transformer(Network):
    """The network whose blocks mix positions by attention."""

    def __init__(self, vocab_size: int, sizes: NetworkConfig, **options: Any) -> None:
        super().__init__(vocab_size, sizes, **options)
        self.max_length: int = sizes.block_size
        K = sizes.d_conv
        self.before, self.after = (K - 1, 0) if self.causal else (K // 2, K // 2)
        self.conv = nn.Parameter(torch.zeros(self.before + 1 + self.after, sizes.n_embd))
        nn.init.ones_(self.conv[self.before])  # begins by passing the token itself on

    def block(self, sizes: NetworkConfig, causal: bool, generator: Generator) -> Block:
        """Return a new residual block."""
        return Block(sizes, causal, generator)

    def embed(self, z: TokenIds) -> Tensor:
        """Return tokens z (B, L) as vectors (B, L, D), blended with their neighbours."""
        return self.blend(F.pad(super().embed(z), (0, 0, self.before, self.after)))

    def blend(self, e: Tensor) -> Tensor:
        """Blend vectors with their neighbours: (B, before + L + after, D) -> (B, L, D)."""
        return short_conv(e.transpose(0, 1), self.conv).transpose(0, 1)

    def two_streams(self, z: Tensor, clean: Tensor, place: Tensor) -> Tensor:
        """Return the vectors (B, L, D) of z (B, L), in each block as `hidden` gives them behind the
        text `clean` (1 or B, L). place: as in `Streams`."""
        C, L = clean.shape
        e = F.pad(super().embed(torch.cat([clean, z])), (0, 0, self.before, 0))
        inside = F.pad(place, (self.before, 0)).unfold(0, len(self.conv), 1) == place[:, None]
        noisy = sum(
            w * torch.where(inside[:, k, None], e[C:, k : k + L], e[:C, k : k + L])
            for k, w in enumerate(self.conv)
        )
        h = torch.cat([self.blend(e[:C]), noisy])
        return self.run(h, [Streams(C, place)] * len(self.blocks))[0][C:]

    def init_state(self, batch: int) -> list:
        """Return the vectors that the convolution still sees, then a cache for each block."""
        caches = super().init_state(batch)
        return [self.conv.new_zeros(batch, self.before, self.conv.shape[1]), *caches]

    def step(self, z: TokenIds, state: list) -> tuple[Logits, list]:
        """Return the logits (B, n, V) of the next tokens z (B, n), and the new state.

        The caches in `state` are written to. Raises InputError where the block is full.
        """
        before, *caches = state
        if caches[0].length + z.shape[1] > self.max_length:
            raise InputError(
                f"token {caches[0].length + z.shape[1]} does not fit this network's block of "
                f"{self.max_length}: begin a new state"
            )
        e = torch.cat([before, super().embed(z)], dim=1)
        h, caches = self.run(self.blend(e), caches)
        return self.read(h), [e[:, z.shape[1] :], *caches]
