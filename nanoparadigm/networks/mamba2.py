"""Mamba-2: a state space model whose channels share one decay a head, so that it is also attention.

    x, B_t, C_t <- SiLU(conv(x, B_t, C_t)),    delta_t = softplus(W_delta h_t + b)      (1)
    S_t = exp(delta_t A) S_{t-1} + B_t (delta_t x_t)^T,    y_t = S_t^T C_t + D x_t      (2)
    y_t = sum_{s <= t} (C_t . B_s) exp(c_t - c_s) delta_s x_s,    c_t = sum_{s <= t} delta_s A  (3)
    h <- h + W_out norm(y * SiLU(z))                                                    (4)

Dao & Gu 2024, 2405.21060, sections 3, 6 and 7. A head has P channels, one number A < 0 and a state
S (N, P); B and C are shared by all heads. (3) is (2) written out: causal attention whose softmax is
replaced by a decay. `dual` uses (3) within chunks, where it is a few matrix products, and (2) from
chunk to chunk, so that the work grows with L and not with its square. Inside, time comes first.

As an option each pair of the N numbers also turns, which a real decay cannot do:

    S_t = exp(delta_t A) R_t S_{t-1} + B_t (delta_t x_t)^T,   R_t turns pair n by delta_t theta_tn,
    theta_t = pi tanh(W_theta h_t)                                                      (5)

This is the complex state of Mamba-3 (Lahoti et al. 2026, 2603.15569), written in real numbers.
Unrolled, it is (3) with B and C turned back by the sum of all angles so far, like the queries and
keys of rotary positions. The rest of Mamba-3 is left out.
"""

import math
from functools import partial

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from ..errors import InputError
from .base import Linear, NetworkConfig
from .fused_ops import rms_norm, short_conv
from .mamba import DELTA_FLOOR, DELTA_MAX, DELTA_MIN, Block, Mamba, State
from .transformer import rotate

CHUNK = 16
A_MAX = 16.0


def dual(
    x: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor,
    state: Tensor,
    chunk: int = CHUNK,
) -> tuple[Tensor, Tensor]:
    """Return y (L, B, H, P) of equation (2), and the last state (B, H, N, P).

    x (L, B, H, P), delta (L, B, H), A (H,) negative, B and C (L, B, N), D (H,), state (B, H, N, P):
    the one before the first step.
    """
    L, (heads, P) = len(x), x.shape[2:]
    if L == 1:  # equation (2) itself, in fewer operations
        added = B[0, :, None, :, None] * (delta[0, ..., None] * x[0])[:, :, None]
        state = torch.addcmul(added, (delta[0] * A).exp()[..., None, None], state)
        return (C[None, 0, :, None, None] @ state)[..., 0, :] + D[:, None] * x, state
    if missing := -L % chunk:  # steps of delta = 0, which decay nothing and add nothing
        longer = (F.pad(v, (0, 0) * (v.dim() - 1) + (0, missing)) for v in (x, delta, B, C))
        x, delta, B, C = longer
        y, state = dual(x, delta, A, B, C, D, state, chunk)
        return y[:L], state

    delta, B, C = (v.unflatten(0, (-1, chunk)).transpose(1, 2) for v in (delta, B, C))
    delta, B, C = delta.mT, B[:, :, None], C[:, :, None]  # (chunks, B, H, t) and (..., 1, t, N)
    c = (delta * A[:, None]).cumsum(-1)
    later = torch.ones(chunk, chunk, dtype=torch.bool, device=x.device).triu(1)
    apart = c[..., None] - c[..., None, :]  # (..., t, s), not above 0 for s <= t
    weight = C @ B.mT * apart.masked_fill(later, -math.inf).exp() * delta[..., None, :]
    weight = weight + D[:, None, None] * torch.eye(chunk, dtype=D.dtype, device=D.device)
    to_end = (c[..., -1:] - c).exp() * delta
    parts = weight, c.exp()[..., None] * C, (to_end[..., None] * B).mT, c[..., -1:, None].exp()

    # a head of a text is a matrix of x's own memory: nothing is copied before it is multiplied
    values = x.reshape(-1, chunk, heads * x.shape[1], P).transpose(1, 2)
    each, now = [], state.flatten(0, 1)
    for x_k, *parts_k in zip(values, *(part.flatten(1, 2) for part in parts), strict=True):
        weight_k, seen, added, kept = parts_k
        each.append(torch.baddbmm(seen @ now, weight_k, x_k).transpose(0, 1))
        now = kept * now + added @ x_k  # in 32 bits, whatever the products are in
    return torch.cat(each).view_as(x), now.view_as(state)


def turned(
    x: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor,
    theta: Tensor,
    state: Tensor,
    chunk: int = CHUNK,
) -> tuple[Tensor, Tensor]:
    """Return y (L, B, H, P) of equation (5) plus D x, and the last state (B, H, N, P).

    theta (L, B, N / 2): the angle of each pair for delta = 1, in radians. The rest is as in `dual`,
    which takes each head as a text of its own here, since each turns at its own pace.
    """
    angle = (delta.to(A.dtype)[..., None] * theta[:, :, None]).cumsum(0)  # (L, B, H, N / 2)
    B, C = (rotate(v[:, :, None].contiguous(), phase(-angle)) for v in (B, C))  # (L, B, H, N)
    x, B, C = (v.flatten(1, 2) for v in (x, B, C))
    delta, (A, D) = delta.flatten(1, 2)[..., None], (v.repeat(len(state))[:, None] for v in (A, D))
    y, last = dual(x[:, :, None], delta, A, B, C, D, state.flatten(0, 1)[:, None], chunk)
    y, last = y.reshape(len(x), *state.shape[:2], -1), last.reshape(state.shape)
    return y, rotate(last.mT.contiguous(), phase(angle[-1])[:, :, None]).mT


def phase(angle: Tensor) -> Tensor:
    """Return the real and imaginary parts of e^{i angle}, as a tensor (..., 2)."""
    return torch.stack([angle.cos(), angle.sin()], dim=-1)


class Mixer(nn.Module):
    """The state space model of equation (2), or with `rotation` of (5), between two linear maps.

    Raises InputError if the inner width does not divide into `n_head` heads, or `d_state` numbers
    that turn into pairs.
    """

    def __init__(self, sizes: NetworkConfig, generator: Generator, rotation: bool = False) -> None:
        super().__init__()
        D, N, K, H = sizes.n_embd, sizes.d_state, sizes.d_conv, sizes.n_head
        E = sizes.expand_factor * D
        if E % H:
            raise InputError(f"{E} inner channels do not divide into {H} heads: change `n_head`")
        if rotation and N % 2:
            raise InputError(f"d_state is {N}: the state turns in pairs, give an even number")
        self.heads, self.split = H, [E, 2 * N]
        self.in_proj = Linear(D, 2 * E, generator, maps=2)
        self.x_proj = Linear(D, 2 * N, generator)
        self.delta_proj = Linear(D, H, generator)
        conv = torch.empty(K, E + 2 * N).uniform_(-(K**-0.5), K**-0.5, generator=generator)
        self.conv = nn.Parameter(conv)
        self.conv_bias = nn.Parameter(torch.zeros(E + 2 * N))
        scale = torch.rand(H, generator=generator) * math.log(DELTA_MAX / DELTA_MIN)
        delta = (scale.exp() * DELTA_MIN).clamp(min=DELTA_FLOOR)
        self.delta_bias = nn.Parameter(delta + torch.log(-torch.expm1(-delta)))
        self.A_log = nn.Parameter(torch.empty(H).uniform_(1, A_MAX, generator=generator).log())
        self.D = nn.Parameter(torch.ones(H))
        self.out_proj = Linear(E, D, generator, scale=0)
        self.theta_proj = Linear(D, N // 2, generator) if rotation else None

    def forward(self, h: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Map h (L, B, D) to (L, B, D); return it and the new state.

        state: the last d_conv - 1 inputs of the convolution (d_conv - 1, B, E + 2 N) and the state
        of the recurrence (B, H, N, P), or None to start from zero.
        """
        before, recurrent = state or self.init_state(h.shape[1])
        x, z = (F.linear(h, weight) for weight in self.in_proj.weight.chunk(2))
        inputs = zip(before.split(self.split, -1), (x, self.x_proj(h)), strict=True)
        padded = [torch.cat(pair) for pair in inputs]
        taps = self.conv.split(self.split, -1), self.conv_bias.split(self.split)
        x, BC = (F.silu(short_conv(*each)) for each in zip(padded, *taps, strict=True))
        B, C = BC.chunk(2, dim=-1)
        delta = F.softplus(F.linear(h, self.delta_proj.weight, self.delta_bias))
        x = x.unflatten(-1, (self.heads, -1))
        parts, chunk = (x, delta, -self.A_log.exp(), B, C, self.D), min(CHUNK, len(h))
        if self.theta_proj is None:
            y, recurrent = dual(*parts, recurrent, chunk)
        else:
            theta = math.pi * self.theta_proj(h).tanh()
            y, recurrent = turned(*parts, theta, recurrent, chunk)
        y = rms_norm(y.flatten(-2) * F.silu(z))
        return self.out_proj(y), (torch.cat([v[len(h) :] for v in padded], -1), recurrent)

    def step(self, h: Tensor, state: State) -> tuple[Tensor, State]:
        """Map one token, h (B, D), to (B, D) as `forward` would; return it and the new state."""
        y, state = self(h[None], state)
        return y[0], state

    def init_state(self, batch: int) -> State:
        """Return the state before the first token: zeros."""
        (K, channels), E = self.conv.shape, self.split[0]
        new = self.conv.new_zeros
        return new(K - 1, batch, channels), new(
            batch, self.heads, (channels - E) // 2, E // self.heads
        )


class Mamba2(Mamba):
    """The network whose blocks mix positions by the state space dual."""

    rotation = False

    def block(self, sizes: NetworkConfig, causal: bool, generator: Generator) -> Block:
        """Return a new residual block."""
        return Block(partial(Mixer, rotation=self.rotation), sizes, causal, generator)


class RotaryMamba2(Mamba2):
    """Mamba-2 with a state whose pairs turn, as in Mamba-3."""

    rotation = True
