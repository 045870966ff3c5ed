"""Functions that lose their digits if they are computed as they are written."""

import torch
from torch import Tensor


def phi(d: Tensor) -> Tensor:
    """Return e^-d - 1 + d >= 0, without the cancellation near zero."""
    series = torch.ones_like(d)
    for k in range(9, 2, -1):  # 1 - d/3 (1 - d/4 (1 - ...)), times d^2/2
        series = 1 - d / k * series
    return torch.where(d.abs() < 0.05, d * d / 2 * series, torch.expm1(-d) + d)
