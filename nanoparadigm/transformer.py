"""The transformer: RMSNorm, rotary positions, QK-norm, no biases. Causal or not by one flag.

    h <- h + W_o attention(RoPE(norm(q)), RoPE(norm(k)), v),   q, k, v = W_qkv norm(h)
    h <- h + W_2 f(W_1 norm(h)),                               f = squared ReLU, or SwiGLU

Vaswani et al. 2017 (1706.03762); rotary positions: Su et al. 2021 (2104.09864); QK-norm: Henry et
al. 2020 (2010.04245); squared ReLU: So et al. 2021 (2109.08668); SwiGLU: Shazeer 2020 (2002.05202).
"""

import torch
import torch.nn.functional as F
from torch import nn

from .errors import InputError, choose
from .network import Dropout, Network, linear


def rotary_table(length, d_head, base=10_000.0):
    """cos and sin of position x frequency, each (length, d_head / 2)."""
    frequency = base ** (-torch.arange(0, d_head, 2, dtype=torch.float64) / d_head)
    angle = torch.arange(length, dtype=torch.float64)[:, None] * frequency
    return angle.cos().float(), angle.sin().float()


def rotate(x, cos, sin):
    """Turn each pair (x_i, x_{i + d/2}) of x (B, H, L, d) by its position's angle."""
    a, b = x.chunk(2, dim=-1)
    return torch.cat([a * cos - b * sin, a * sin + b * cos], dim=-1)


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
        self.qkv = linear(d, 3 * d, generator)
        self.out = linear(d, d, generator, scale=0)
        cos, sin = rotary_table(sizes.block_size, d // h)
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)

    def forward(self, x, cache=None):
        """x (B, L, D); cache: keys and values (B, H, n, d) of the n tokens before x, or None."""
        B, L, D = x.shape
        q, k, v = self.qkv(x).view(B, L, 3, self.n_head, D // self.n_head).permute(2, 0, 3, 1, 4)
        start = 0 if cache is None else cache[0].shape[2]
        cos, sin = self.cos[start : start + L], self.sin[start : start + L]
        q = rotate(F.rms_norm(q, q.shape[-1:]), cos, sin)
        k = rotate(F.rms_norm(k, k.shape[-1:]), cos, sin)
        if cache is None:
            y = F.scaled_dot_product_attention(q, k, v, is_causal=self.causal)
        else:
            k, v = torch.cat([cache[0], k], 2), torch.cat([cache[1], v], 2)
            # is_causal would align the mask top-left: query i may see keys up to start + i
            seen = torch.ones(L, start + L, dtype=torch.bool, device=x.device).tril(start)
            y = F.scaled_dot_product_attention(q, k, v, attn_mask=seen if L > 1 else None)
            cache = k, v
        return self.out(y.transpose(1, 2).reshape(B, L, D)), cache


class SquaredReLU(nn.Module):
    def __init__(self, d, generator):
        super().__init__()
        self.up = linear(d, 4 * d, generator)
        self.down = linear(4 * d, d, generator, scale=0)

    def forward(self, x):
        return self.down(F.relu(self.up(x)).square())


class SwiGLU(nn.Module):
    """Gated, with 8/3 of the width so that it has the parameters of the 4-fold plain MLP."""

    def __init__(self, d, generator):
        super().__init__()
        inner = 8 * d // 3
        self.gate = linear(d, inner, generator)
        self.up = linear(d, inner, generator)
        self.down = linear(inner, d, generator, scale=0)

    def forward(self, x):
        return self.down(F.silu(self.gate(x)) * self.up(x))


MLPS = {"relu2": SquaredReLU, "swiglu": SwiGLU}


class Block(nn.Module):
    def __init__(self, sizes, causal, generator):
        super().__init__()
        d = sizes.n_embd
        self.norm1, self.attention = nn.RMSNorm(d), Attention(sizes, causal, generator)
        self.norm2, self.mlp = nn.RMSNorm(d), choose("mlp", sizes.mlp, MLPS)(d, generator)
        self.dropout = Dropout(sizes.dropout)

    def forward(self, h, cache=None):
        y, cache = self.attention(self.norm1(h), cache)
        h = h + self.dropout(y)
        return h + self.dropout(self.mlp(self.norm2(h))), cache

    def init_state(self, batch):
        a = self.attention
        empty = a.qkv.weight.new_empty(batch, a.n_head, 0, a.qkv.in_features // a.n_head)
        return empty, empty


class Transformer(Network):
    def __init__(self, vocab_size, sizes, causal, timed, generator):
        super().__init__(vocab_size, sizes, causal, timed, generator)
        self.max_length = sizes.block_size

    def block(self, sizes, causal, generator):
        return Block(sizes, causal, generator)
