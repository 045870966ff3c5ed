"""Mamba: a state space model whose step size, input and output maps depend on the input.

    x, z = W_in h                         x <- SiLU(conv(x))      (depthwise, causal, d_conv taps)
    r, B_t, C_t = W_x x_t                 delta_t = softplus(W_delta r_t + b)
    s_t = exp(delta_t A) s_{t-1} + delta_t B_t x_t,    y_t = <C_t, s_t> + D x_t
    h <- h + W_out (y * SiLU(z))

Gu & Dao 2023, 2312.00752, section 3.4 and appendix C. Code <-> paper: E = expand x D, the inner
width (the paper's ED); N the state size; R = ceil(D / 16), the rank of the step size.
Causal it is one recurrence; bidirectional it is two, one from either end, whose outputs add up.
"""

import math

import torch
import torch.nn.functional as F
from torch import nn

from .network import Dropout, Network, linear
from .scan import selective_scan

DELTA_MIN, DELTA_MAX, DELTA_FLOOR = 1e-3, 0.1, 1e-4


class Mixer(nn.Module):
    """The selective state space model between two linear maps."""

    def __init__(self, sizes, generator):
        super().__init__()
        D, N, K = sizes.n_embd, sizes.d_state, sizes.d_conv
        E, R = sizes.expand_factor * D, math.ceil(D / 16)
        self.split = [R, N, N]
        self.in_proj = linear(D, 2 * E, generator)
        conv = torch.empty(E, K).uniform_(-(K**-0.5), K**-0.5, generator=generator)
        self.conv = nn.Parameter(conv)
        self.conv_bias = nn.Parameter(torch.zeros(E))
        self.x_proj = linear(E, R + 2 * N, generator)
        self.delta_proj = linear(R, E, generator)
        # the step sizes start log-uniform between two time scales; the bias is softplus inverted
        scale = torch.rand(E, generator=generator) * math.log(DELTA_MAX / DELTA_MIN)
        delta = (scale.exp() * DELTA_MIN).clamp(min=DELTA_FLOOR)
        self.delta_bias = nn.Parameter(delta + torch.log(-torch.expm1(-delta)))
        # S4D-real: A = -1, ..., -N in every channel
        self.A_log = nn.Parameter(torch.arange(1, N + 1).float().log().repeat(E, 1))
        self.A_log.no_weight_decay = True
        self.D = nn.Parameter(torch.ones(E))
        self.out_proj = linear(E, D, generator, scale=0)

    def forward(self, h, state=None):
        """h (B, L, D) -> (B, L, D). state: the last d_conv - 1 inputs of the convolution
        (B, d_conv - 1, E) and the state of the recurrence (B, E, N), or None to start from zero."""
        x, z = self.in_proj(h).chunk(2, dim=-1)
        before, recurrent = state or (x.new_zeros(len(x), self.conv.shape[1] - 1, x.shape[2]), None)
        padded = torch.cat([before, x], dim=1)
        x = F.silu(self.causal_conv(padded, x.shape[1]))
        r, B, C = self.x_proj(x).split(self.split, dim=-1)
        y, recurrent = selective_scan(
            x.mT,
            self.delta_proj(r).mT,
            -torch.exp(self.A_log),
            B.mT,
            C.mT,
            D=self.D,
            z=z.mT,
            delta_bias=self.delta_bias,
            delta_softplus=True,
            return_last_state=True,
            initial_state=recurrent,
        )
        return self.out_proj(y.mT), (padded[:, x.shape[1] :], recurrent)

    def causal_conv(self, padded, length):
        """Each channel's last d_conv inputs, weighted: d_conv shifted copies of the sequence."""
        taps = self.conv.unbind(-1)
        return self.conv_bias + sum(w * padded[:, i : i + length] for i, w in enumerate(taps))

    def init_state(self, batch):
        E, K, N = *self.conv.shape, self.A_log.shape[1]
        return self.conv.new_zeros(batch, K - 1, E), self.A_log.new_zeros(batch, E, N)


class Block(nn.Module):
    def __init__(self, sizes, causal, generator):
        super().__init__()
        self.norm = nn.RMSNorm(sizes.n_embd)
        self.forwards = Mixer(sizes, generator)
        self.backwards = None if causal else Mixer(sizes, generator)
        self.dropout = Dropout(sizes.dropout)

    def forward(self, h, state=None):
        x = self.norm(h)
        y, state = self.forwards(x, state)
        if self.backwards is not None:
            y = y + self.backwards(x.flip(1))[0].flip(1)
        return h + self.dropout(y), state

    def init_state(self, batch):
        return self.forwards.init_state(batch)


class Mamba(Network):
    def block(self, sizes, causal, generator):
        return Block(sizes, causal, generator)
