"""Mamba, a state space model whose step size, input and output maps depend on the input.

    x, z = W_in h                         x <- SiLU(conv(x))      (depthwise, causal, d_conv taps)
    r, B_t, C_t = W_x x_t                 delta_t = softplus(W_delta r_t + b)
    s_t = exp(delta_t A) s_{t-1} + delta_t B_t x_t,    y_t = <C_t, s_t> + D x_t
    h <- h + W_out (y * SiLU(z))

Gu & Dao 2023, 2312.00752, section 3.4 and appendix C. Code <-> paper: E = expand x D, the inner
width (the paper's ED); N the state size; R = ceil(D / 16), the rank of the step size.
A causal Mamba is one recurrence; a bidirectional one is two, from either end, whose outputs add up.
Inside, time comes first, (L, B, D), as the scan goes through memory.
"""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from .base import Dropout, Linear, Network, NetworkConfig
from .fused_ops import rms_norm, short_conv
from .selective_scan import selective_scan, selective_step

DELTA_MIN, DELTA_MAX, DELTA_FLOOR = 1e-3, 0.1, 1e-4
State = tuple[Tensor, Tensor]


class Mixer(nn.Module):
    """The selective state space model between two linear maps."""

    def __init__(self, sizes: NetworkConfig, generator: Generator) -> None:
        super().__init__()
        D, N, K = sizes.n_embd, sizes.d_state, sizes.d_conv
        E, R = sizes.expand_factor * D, math.ceil(D / 16)
        self.split = [R, N, N]
        self.in_proj = Linear(D, 2 * E, generator, maps=2)
        conv = torch.empty(K, E).uniform_(-(K**-0.5), K**-0.5, generator=generator)
        self.conv = nn.Parameter(conv)
        self.conv_bias = nn.Parameter(torch.zeros(E))
        self.x_proj = Linear(E, R + 2 * N, generator)
        self.delta_proj = Linear(R, E, generator)
        # the step sizes start log-uniform between two time scales; the bias is softplus inverted
        scale = torch.rand(E, generator=generator) * math.log(DELTA_MAX / DELTA_MIN)
        delta = (scale.exp() * DELTA_MIN).clamp(min=DELTA_FLOOR)
        self.delta_bias = nn.Parameter(delta + torch.log(-torch.expm1(-delta)))
        # S4D-real: A = -1, ..., -N in every channel
        self.A_log = nn.Parameter(torch.arange(1, N + 1).float().log().repeat(E, 1))
        self.D = nn.Parameter(torch.ones(E))
        self.out_proj = Linear(E, D, generator, scale=0)

    def forward(self, h: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Map h (L, B, D) to (L, B, D); return it and the new state.

        state: the last d_conv - 1 inputs of the convolution (d_conv - 1, B, E) and the state of the
        recurrence (B, E, N), or None to start from zero.
        """
        x, z = self.in_proj(h).chunk(2, dim=-1)
        before, recurrent = state or (x.new_zeros(len(self.conv) - 1, *x.shape[1:]), None)
        padded = torch.cat([before, x])
        x = F.silu(short_conv(padded, self.conv, self.conv_bias))
        delta, A, B, C = self.selected(x)
        u, delta, B, C = (v.permute(1, 2, 0) for v in (x, delta, B, C))  # nothing is moved
        y, recurrent = selective_scan(
            u, delta, A, B, C, return_last_state=True, initial_state=recurrent
        )
        y = torch.addcmul(y.permute(2, 0, 1), self.D, x) * F.silu(z)
        return self.out_proj(y), (padded[len(h) :], recurrent)

    def step(self, h: Tensor, state: State) -> tuple[Tensor, State]:
        """Map one token, h (B, D), to (B, D) as `forward` would; return it and the new state."""
        x, z = self.in_proj(h).chunk(2, dim=-1)
        before, recurrent = state
        window = torch.cat([before, x[None]])
        x = F.silu((window * self.conv[:, None]).sum(0) + self.conv_bias)
        y, recurrent = selective_step(x, *self.selected(x), recurrent)
        y = torch.addcmul(y, self.D, x) * F.silu(z)
        return self.out_proj(y), (window[1:], recurrent)

    def selected(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return delta (..., E), A (E, N), B and C (..., N). All but A depend on x (..., E)."""
        r, B, C = self.x_proj(x).split(self.split, dim=-1)
        delta = F.softplus(F.linear(r, self.delta_proj.weight, self.delta_bias))
        return delta, -torch.exp(self.A_log), B, C

    def init_state(self, batch: int) -> State:
        """Return the state before the first token: zeros."""
        K, E = self.conv.shape
        return self.conv.new_zeros(K - 1, batch, E), self.A_log.new_zeros(batch, *self.A_log.shape)


class Block(nn.Module):
    """A residual block: one mixer, or two that read from either end."""

    def __init__(
        self, mixer: Callable, sizes: NetworkConfig, causal: bool, generator: Generator
    ) -> None:
        super().__init__()
        self.forwards = mixer(sizes, generator)
        self.backwards = None if causal else mixer(sizes, generator)
        self.dropout = Dropout(sizes.dropout)

    def forward(self, h: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Map h (L, B, D) to (L, B, D); return it and the new state of the forward mixer."""
        x = rms_norm(h)
        if state and len(x) == 1:
            y, state = self.forwards.step(x[0], state)
        else:
            y, state = self.forwards(x, state)
        if self.backwards is not None:
            y = y + self.backwards(x.flip(0))[0].flip(0)
        return h + self.dropout(y), state

    def init_state(self, batch: int) -> State:
        """Return the state before the first token."""
        return self.forwards.init_state(batch)


class Mamba(Network):
    """The network whose blocks mix positions by a selective scan."""

    def block(self, sizes: NetworkConfig, causal: bool, generator: Generator) -> Block:
        """Return a new residual block."""
        return Block(Mixer, sizes, causal, generator)

    def run(self, h: Tensor, states: list) -> tuple[Tensor, list]:
        """Run h (B, L, D) through all blocks, time first inside."""
        h, states = super().run(h.transpose(0, 1).contiguous(), states)
        return h.transpose(0, 1), states
