"""The selective scan: the loop that defines it, a log-depth form, and the fast one.

    h_t = exp(delta_t A) h_{t-1} + delta_t B_t u_t,      y_t = <C_t, h_t>          for each channel

(Gu & Dao 2023, 2312.00752, algorithm 2: zero-order hold for A, Euler for B.)
u, delta (B, D, L), A (D, N) negative, B and C (B, N, L), state h (B, D, N).

No form here divides by a cumulative product of decays. That popular shortcut overflows, or with a
guard against overflow is silently wrong, as soon as the decays multiply to less than float32 holds.

Why `BlockedScan` is fast. A scan is bound by memory, not arithmetic: (B, L, D, N) numbers are 67 MB
at B=32, L=128, D=256, N=16, and a naive backward writes and reads several such tensors. Here
* a block of a few rows and time steps is expanded at a time, into buffers small enough to stay in
  cache and used again for every block, so that almost nothing of what is expanded goes to memory;
* time comes first and channels last: a step is one in-place multiply-add on contiguous memory;
* the decays of a block are one exp2 call, with log2(e) folded into A (exp2 is cheaper than exp);
* only the state at each block's start is kept; the backward pass recomputes the states within it.
"""

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

STATE = 1 << 16  # numbers in the states of one block's rows: 256 KiB of float32
BUFFER = 1 << 19  # numbers in one expanded block: 2 MiB of float32, which a cache still holds


def selective_scan(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None = None,
    z: Tensor | None = None,
    delta_bias: Tensor | None = None,
    delta_softplus: bool = False,
    return_last_state: bool = False,
    initial_state: Tensor | None = None,
) -> Tensor | tuple[Tensor, Tensor]:
    """Run the recurrence at the head of this file over a whole sequence.

    u, delta, z (B, D, L); A (D, N); B, C (B, N, L); D, delta_bias (D,); initial_state (B, D, N).
    Adds D u and multiplies by SiLU(z), where they are given. Returns y (B, D, L), and with
    `return_last_state` also h_L (B, D, N), through which no gradient flows unless an initial state
    is given. Computes in the precision of A.
    """
    if delta_bias is not None:
        delta = delta + delta_bias[:, None]
    if delta_softplus:
        delta = F.softplus(delta)
    inputs = [x.to(A.dtype) for x in (u, delta, A, B, C)]
    if initial_state is None:
        y, last = BlockedScan.apply(*inputs)
    else:
        y, last = scan_loop(*inputs, h=initial_state)
    if D is not None:
        y = y + D[:, None] * u
    if z is not None:
        y = y * F.silu(z)
    y = y.to(u.dtype)
    return (y, last) if return_last_state else y


def scan_loop(
    u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, *, h: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Run the definition step by step; return y (B, D, L) and the last state (B, D, N).

    h (B, D, N): the state before the first step, by default zero.
    """
    h = u.new_zeros(*u.shape[:2], A.shape[1]) if h is None else h
    y = []
    # unbind, not x[..., t]: indexing would give autograd a full-size gradient at every step
    for u_t, delta_t, B_t, C_t in zip(*(x.unbind(-1) for x in (u, delta, B, C)), strict=True):
        y_t, h = selective_step(u_t, delta_t, A, B_t, C_t, h)
        y.append(y_t)
    return torch.stack(y, dim=-1), h


def selective_step(
    u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, h: Tensor
) -> tuple[Tensor, Tensor]:
    """Take one step, with u, delta (B, D), A (D, N), B and C (B, N) and the state h (B, D, N).

    Returns y (B, D) and the new h.
    """
    drive = (delta * u).unsqueeze(-1) * B.unsqueeze(1)
    h = torch.addcmul(drive, torch.exp(delta.unsqueeze(-1) * A), h)
    return (h @ C.unsqueeze(-1)).squeeze(-1), h


def scan_log_depth(u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor) -> Tensor:
    """Return the same y (B, D, L) in about log2(L) vectorised steps (Hillis & Steele 1986).

    The pair (a, b) stands for h -> a h + b. Applying (a1, b1) and then (a2, b2) is again such a
    pair, (a2 a1, a2 b1 + b2), and this product is associative: after the round with shift s,
    position t holds the product of the 2s steps that end at t.
    """
    a = torch.exp(delta[..., None] * A[:, None])  # (B, D, L, N)
    b = (delta * u)[..., None] * B.mT[:, None]
    shift = 1
    while shift < u.shape[-1]:
        b = torch.cat([b[:, :, :shift], a[:, :, shift:] * b[:, :, :-shift] + b[:, :, shift:]], 2)
        a = torch.cat([a[:, :, :shift], a[:, :, shift:] * a[:, :, :-shift]], 2)
        shift *= 2
    return torch.einsum("bdln,bnl->bdl", b, C)


def _time_major(x: Tensor) -> Tensor:
    return x.permute(2, 0, 1).contiguous()


class BlockedScan(torch.autograd.Function):
    """Compute y and the last state, a block of rows and time steps at a time.

    Inside, tensors are (time, B, N, D).

    Backward: with g_t = dy_t C_t, the gradient G_t of h_t runs the recurrence in reverse,
    G_t = g_t + exp(delta_{t+1} A) G_{t+1}, and every other gradient is a contraction with it.
    """

    @staticmethod
    def forward(
        ctx: Any, u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return y (B, D, L) and the last state (B, D, N), through which no gradient flows."""
        u, delta, B, C = map(_time_major, (u, delta, B, C))
        A = A.mT.contiguous()  # (N, D)
        L, batch, D = u.shape
        R, K = block_shape(L, batch, D, len(A))
        y = torch.empty_like(u)
        last = A.new_empty(batch, *A.shape)
        starts = []  # for each block of rows, the state before each block of time
        decay, drive = A.new_empty(2, K, R, *A.shape)
        for r in slices(batch, R):
            rows = r.stop - r.start
            h = A.new_empty(-(-L // K), rows, *A.shape)
            state = A.new_zeros(h.shape[1:])
            for block, t in enumerate(slices(L, K)):
                h[block] = state
                a, x = (b[: t.stop - t.start, :rows] for b in (decay, drive))
                expand(delta[t, r], u[t, r], A, B[t, r], a, x)
                advance(a, x, h[block])
                y[t, r] = (C[t, r].unsqueeze(-2) @ x).squeeze(-2)
                state = x[-1]
            last[r] = state
            starts.append(h)
        ctx.save_for_backward(u, delta, A, B, C, *starts)
        last = last.mT.clone()
        ctx.mark_non_differentiable(last)
        return y.permute(1, 2, 0), last

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, dy: Tensor, _: Tensor) -> tuple[Tensor, ...]:
        """Return the gradients of u, delta, A, B and C, given dy (B, D, L)."""
        u, delta, A, B, C, *starts = ctx.saved_tensors
        L, batch, D = u.shape
        R, K = block_shape(L, batch, D, len(A))
        dy = _time_major(dy)
        du, ddelta, dB, dC = (torch.empty_like(x) for x in (u, delta, B, C))
        dA = A.new_zeros(R, *A.shape)
        buffers = A.new_empty(3, K, R, *A.shape)
        for h, r in zip(starts, slices(batch, R), strict=True):
            rows = r.stop - r.start
            carry = A.new_zeros(h.shape[1:])  # exp(delta A) G of the first step of the block after
            for block, t in reversed([*enumerate(slices(L, K))]):
                dy_, u_, delta_, B_, C_ = (x[t, r] for x in (dy, u, delta, B, C))
                decay, state, G = (x[: len(u_), :rows] for x in buffers)
                expand(delta_, u_, A, B_, decay, state)
                advance(decay, state, h[block])
                dC[t, r] = (dy_.unsqueeze(-2) @ state.mT).squeeze(-2)

                torch.mul(dy_.unsqueeze(-2), C_.unsqueeze(-1), out=G)
                G[-1] += carry
                decays, Gs = decay.unbind(), G.unbind()
                for i in range(len(Gs) - 2, -1, -1):
                    Gs[i].addcmul_(decays[i + 1], Gs[i + 1])
                torch.mul(decays[0], Gs[0], out=carry)

                dB[t, r] = ((delta_ * u_).unsqueeze(-2) @ G.mT).squeeze(-2)
                dx = (B_.unsqueeze(-2) @ G).squeeze(-2)
                du[t, r] = dx * delta_

                G *= decay  # from here on: the gradient of delta A
                G[1:] *= state[:-1]
                G[0] *= h[block]
                for G_t, delta_t in zip(Gs, delta_.unsqueeze(-2).unbind(), strict=True):
                    dA[:rows].addcmul_(G_t, delta_t)
                ddelta[t, r] = torch.addcmul(G.mul_(A).sum(-2), dx, u_)
        du, ddelta, dB, dC = (x.permute(1, 2, 0) for x in (du, ddelta, dB, dC))
        return du, ddelta, dA.sum(0).mT, dB, dC


def block_shape(L: int, batch: int, D: int, N: int) -> tuple[int, int]:
    """Return how many rows and time steps make a block whose numbers stay in cache."""
    rows = max(1, min(batch, STATE // (N * D)))
    return rows, max(1, min(L, BUFFER // (rows * N * D)))


def slices(total: int, size: int) -> list[slice]:
    """Cut 0 ... total into parts of `size`; the last may be shorter."""
    return [slice(s, min(s + size, total)) for s in range(0, total, size)]


def expand(delta: Tensor, u: Tensor, A: Tensor, B: Tensor, decay: Tensor, drive: Tensor) -> None:
    """Fill decay <- exp(delta A) and drive <- delta u B, both (time, B, N, D)."""
    torch.mul(delta.unsqueeze(-2), A * math.log2(math.e), out=decay)
    decay.exp2_()
    torch.mul((delta * u).unsqueeze(-2), B.unsqueeze(-1), out=drive)


def advance(decay: Tensor, drive: Tensor, h: Tensor) -> None:
    """Run h <- decay_t h + drive_t, in place: drive becomes the states."""
    for decay_t, drive_t in zip(decay.unbind(), drive.unbind(), strict=True):
        h = drive_t.addcmul_(decay_t, h)
