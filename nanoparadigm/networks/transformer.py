"""The transformer: RMSNorm, rotary positions, QK-norm, no biases. One flag, `causal`, says for both
that mix positions, the attention and the short convolution, whether they see what comes after.

    h_i = sum_k w_k * e_{i+k},  e the embedded tokens,  k over a few neighbours
    h <- h + W_o attention(RoPE(norm(q)), RoPE(norm(k)), v),   q, k, v = W_qkv norm(h)
    h <- h + W_2 f(W_1 norm(h)),                               f = squared ReLU, or SwiGLU

Vaswani et al. 2017 (1706.03762); rotary positions: Su et al. 2021 (2104.09864); QK-norm: Henry et
al. 2020 (2010.04245); squared ReLU: So et al. 2021 (2109.08668); SwiGLU: Shazeer 2020 (2002.05202).
The short convolution, one for the whole stack, spares the first layer from finding neighbours by
attention; such convolutions: So et al. 2021 and Mamba.
"""

import torch
import torch.nn.functional as F
from torch import nn

from ..errors import InputError, choose
from .base import Dropout, Network, linear
from .fused_ops import rms_norm, short_conv, squared_relu

# With normed queries and keys the logits of attention are a cosine times this. The usual d^0.5, 5.7
# for heads of 32, leaves them too blunt to point at one token among a hundred.
SHARPNESS = 12.0


def rotations(length, d_head, base=10_000.0):
    """Real and imaginary part of e^{i position frequency}: (length, 1, 1, d_head / 2, 2)."""
    frequency = base ** (-torch.arange(0, d_head, 2, dtype=torch.float64) / d_head)
    angle = torch.arange(length, dtype=torch.float64)[:, None, None, None] * frequency
    return torch.stack([angle.cos(), angle.sin()], dim=-1).float()


def rotate(x, turn):
    """Turn each pair of neighbours of x (B, L, ..., d), read as one complex number, by `turn`."""
    dtype = torch.promote_types(x.dtype, torch.float32)  # there are no 16-bit complex numbers
    pairs, turn = x.to(dtype).unflatten(-1, (-1, 2)), turn.to(dtype)
    turned = torch.view_as_complex(pairs) * torch.view_as_complex(turn)
    return torch.view_as_real(turned).flatten(-2).to(x.dtype)


class Cache:
    """Keys and values of the tokens read so far, in buffers for a whole block, made once."""

    def __init__(self, keys, values):
        self.keys, self.values = keys, values  # (B, H, block, d)
        self.length = 0

    def append(self, k, v):
        """Add those of the next tokens (B, H, n, d); returns all so far, as views."""
        start, self.length = self.length, self.length + k.shape[2]
        self.keys[:, :, start : self.length] = k
        self.values[:, :, start : self.length] = v
        return self.keys[:, :, : self.length], self.values[:, :, : self.length]


class Attention(nn.Module):
    """Multi-head attention over what came before (causal) or over everything."""

    def __init__(self, sizes, causal, generator):
        super().__init__()
        d, h = sizes.n_embd, sizes.n_head
        if d % h or (d // h) % 2:
            good = [n for n in range(1, d + 1) if d % n == 0 and (d // n) % 2 == 0]
            raise InputError(
                f"n_head {h} does not divide n_embd {d} into even parts: "
                f"choose n_head from {', '.join(map(str, good)) or 'nothing (n_embd must be even)'}"
            )
        self.n_head, self.causal = h, causal
        self.qkv = linear(d, 3 * d, generator, maps=3)
        self.out = linear(d, d, generator, scale=0)
        self.register_buffer("turns", rotations(sizes.block_size, d // h), persistent=False)

    def forward(self, x, cache=None):
        """x (B, L, D); cache: the keys and values of the tokens before x, or None."""
        B, L, D = x.shape
        qkv = self.qkv(x).view(B, L, 3, self.n_head, D // self.n_head)
        start = 0 if cache is None else cache.length
        qk = rotate(rms_norm(qkv[:, :, :2]), self.turns[start : start + L])
        q, k, v = (y.transpose(1, 2) for y in (*qk.unbind(2), qkv[:, :, 2]))
        mask, causal = None, self.causal and cache is None
        if cache is not None:
            k, v = cache.append(k, v)
            if L > 1:  # is_causal would align it top-left: query i may see keys up to start + i
                mask = torch.ones(L, start + L, dtype=torch.bool, device=x.device).tril(start)
        y = F.scaled_dot_product_attention(
            q, k, v, attn_mask=mask, is_causal=causal, scale=SHARPNESS / q.shape[-1]
        )
        return self.out(y.transpose(1, 2).reshape(B, L, D)), cache


class SquaredReLU(nn.Module):
    def __init__(self, d, inner, generator):
        super().__init__()
        self.up = linear(d, inner, generator)
        self.down = linear(inner, d, generator, scale=0)

    def forward(self, x):
        return self.down(squared_relu(self.up(x)))


class SwiGLU(nn.Module):
    def __init__(self, d, inner, generator):
        super().__init__()
        self.up = linear(d, 2 * inner, generator, maps=2)
        self.down = linear(inner, d, generator, scale=0)

    def forward(self, x):
        gate, up = self.up(x).chunk(2, dim=-1)
        return self.down(F.silu(gate) * up)


# each with its usual inner width over D: gated, 8/3 gives the parameters of the plain fourfold
MLPS = {"relu2": (SquaredReLU, 4), "swiglu": (SwiGLU, 8 / 3)}


def inner_width(sizes):
    """Of the MLP: n_inner, or the usual one as a multiple of 8."""
    return sizes.n_inner or 8 * round(choose("mlp", sizes.mlp, MLPS)[1] * sizes.n_embd / 8)


def make_mlp(sizes, generator):
    return choose("mlp", sizes.mlp, MLPS)[0](sizes.n_embd, inner_width(sizes), generator)


class Block(nn.Module):
    def __init__(self, sizes, causal, generator):
        super().__init__()
        self.attention = Attention(sizes, causal, generator)
        self.mlp = make_mlp(sizes, generator)
        self.dropout = Dropout(sizes.dropout)

    def forward(self, h, cache=None):
        y, cache = self.attention(rms_norm(h), cache)
        h = h + self.dropout(y)
        return h + self.dropout(self.mlp(rms_norm(h))), cache

    def init_state(self, batch):
        a = self.attention
        sizes = batch, a.n_head, len(a.turns), a.qkv.in_features // a.n_head
        return Cache(*(a.qkv.weight.new_empty(sizes) for _ in "kv"))


class Transformer(Network):
    def __init__(self, vocab_size, sizes, **options):
        super().__init__(vocab_size, sizes, **options)
        self.max_length = sizes.block_size
        K = sizes.d_conv
        self.before, self.after = (K - 1, 0) if self.causal else (K // 2, K // 2)
        self.conv = nn.Parameter(torch.zeros(self.before + 1 + self.after, sizes.n_embd))
        nn.init.ones_(self.conv[self.before])  # begins by passing the token itself on

    def block(self, sizes, causal, generator):
        return Block(sizes, causal, generator)

    def embed(self, z):
        return self.blend(F.pad(super().embed(z), (0, 0, self.before, self.after)))

    def blend(self, e):
        """Vectors with their neighbours, (B, before + L + after, D) -> (B, L, D)."""
        return short_conv(e.transpose(0, 1), self.conv).transpose(0, 1)

    def init_state(self, batch):
        """The vectors that the convolution still sees, then a cache for each block."""
        caches = super().init_state(batch)
        return [self.conv.new_zeros(batch, self.before, self.conv.shape[1]), *caches]

    def step(self, z, state):
        before, *caches = state
        if caches[0].length + z.shape[1] > self.max_length:
            raise InputError(
                f"token {caches[0].length + z.shape[1]} does not fit this network's block of "
                f"{self.max_length}: begin a new state"
            )
        e = torch.cat([before, super().embed(z)], dim=1)
        h, caches = self.run(self.blend(e), caches)
        return self.read(h), [e[:, z.shape[1] :], *caches]
