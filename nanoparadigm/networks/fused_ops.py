"""Elementwise operations in fewer passes over memory, with their gradients by hand.

On a CPU a residual block spends half its time on matrix products, which run at the speed of the
arithmetic, and half on elementwise work, which runs at the speed of memory. What counts there is
how often an activation is read and written. PyTorch composes `F.rms_norm` from five operations on a
CPU and saves the result of each.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


class _RMSNorm(torch.autograd.Function):
    """y = x / rms(x);  dx = (dy - y mean(dy y)) / rms(x)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        norm = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
        eps = torch.finfo(x.dtype).eps
        scale = (norm.square() / x.shape[-1] + eps).rsqrt()
        y = x * scale
        ctx.save_for_backward(y, scale)
        return y

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, dy: Tensor) -> Tensor:
        y, scale = ctx.saved_tensors
        along = torch.linalg.vecdot(dy, y).unsqueeze(-1)
        return torch.addcmul(dy, y, along, value=-1 / y.shape[-1]).mul_(scale)


class _SquaredReLU(torch.autograd.Function):
    """y = max(x, 0)^2;  dx = 2 max(x, 0) dy."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        positive = x.relu()
        ctx.save_for_backward(positive)
        return positive * positive

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, dy: Tensor) -> Tensor:
        (positive,) = ctx.saved_tensors
        return (dy * positive).mul_(2)


class _ShortConv(torch.autograd.Function):
    """y_t = b + sum_i w_i x_{t+i}: one multiply-add for each tap, on slices that are not copied."""

    @staticmethod
    def forward(ctx: Any, padded: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(padded, weight)
        L = len(padded) - len(weight) + 1
        y = padded[:L] * weight[0]
        for i, w in enumerate(weight[1:], 1):
            y.addcmul_(padded[i : i + L], w)
        return y if bias is None else y.add_(bias)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        padded, weight = ctx.saved_tensors
        L = len(dy)
        dpadded, dweight = torch.zeros_like(padded), torch.empty_like(weight)
        product = torch.empty_like(dy)
        for i, w in enumerate(weight):
            dpadded[i : i + L].addcmul_(dy, w)
            dweight[i] = torch.mul(dy, padded[i : i + L], out=product).sum((0, 1))
        return dpadded, dweight, dy.sum((0, 1)) if ctx.needs_input_grad[2] else None


def rms_norm(x: Tensor) -> Tensor:
    """Scale x (..., D) to a root mean square of one, as `F.rms_norm` does without a gain."""
    if not torch.is_grad_enabled():
        return F.rms_norm(x, x.shape[-1:])
    return _RMSNorm.apply(x)


def squared_relu(x: Tensor) -> Tensor:
    """Return max(x, 0)^2, elementwise (So et al. 2021, 2109.08668)."""
    return _SquaredReLU.apply(x)


def short_conv(padded: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return a depthwise convolution over time: a weighted sum of K inputs of each channel.

    padded (K - 1 + L, B, E), weight (K, E) and bias (E,) give (L, B, E). With the padding in front
    the convolution is causal.
    """
    return _ShortConv.apply(padded, weight, bias)
