"""The selective scan, forward and backward: the loop, the log-depth form, the blocked form."""

import torch
import torch.nn.functional as F
from measure import report, side_by_side

from nanoparadigm.scan import scan_log_depth, scan_loop, selective_scan


def inputs(batch, length, D=256, N=16):
    g = torch.Generator().manual_seed(0)
    u, delta = (torch.randn(batch, D, length, generator=g) for _ in range(2))
    B, C = (torch.randn(batch, N, length, generator=g) for _ in range(2))
    A = -torch.arange(1.0, N + 1).repeat(D, 1)
    return [x.requires_grad_() for x in (u, F.softplus(delta - 4).detach(), A, B, C)]


def both_ways(form, parts):
    return lambda: torch.autograd.grad(form(*parts).sum(), parts)


for batch, length in ((32, 128), (8, 1024)):
    parts = inputs(batch, length)
    forms = {
        "loop": lambda *p: scan_loop(*p)[0],
        "log depth": scan_log_depth,
        "blocked": selective_scan,
    }
    times = side_by_side({n: both_ways(f, parts) for n, f in forms.items()}, repeats=5)
    report(f"scan, B={batch} L={length} D=256 N=16", times)
