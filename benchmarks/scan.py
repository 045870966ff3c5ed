"""The selective scan, forward and backward, and the memory it takes beyond its inputs.

    python benchmarks/scan.py            (needs: pip install mambapy==1.2.0, the rival)

The rival is the parallel scan of PyPI's mambapy, called as its own model calls it; the yardstick, a
scan fused in C++ (fused_scan.py), where there is a compiler. Times are taken
under the allocator as it comes and again under `keep_memory`, which helps the rival more.
"""

import json
import resource
import sys

import torch
import torch.nn.functional as F
from fused_scan import available, fused_scan
from mambapy.pscan import pscan
from measure import in_a_process, save, show, side_by_side, summary, use_allocator

from nanoparadigm.networks.selective_scan import scan_log_depth, scan_loop, selective_scan

D, N = 256, 16
SHAPES = ((32, 128), (8, 1024))


def inputs(batch, length):
    """u, delta, A, B, C, channels last in memory as a model has them."""
    g = torch.Generator().manual_seed(0)
    u, delta = (torch.randn(batch, length, D, generator=g).mT for _ in range(2))
    B, C = (torch.randn(batch, length, N, generator=g).mT for _ in range(2))
    A = -torch.arange(1.0, N + 1).repeat(D, 1)
    return [x.requires_grad_() for x in (u, F.softplus(delta - 4).detach(), A, B, C)]


def mambapy_scan(u, delta, A, B, C):
    u, delta, B, C = (x.mT for x in (u, delta, B, C))
    decay = torch.exp(delta.unsqueeze(-1) * A)
    drive = delta.unsqueeze(-1) * B.unsqueeze(2) * u.unsqueeze(-1)
    return (pscan(decay, drive) @ C.unsqueeze(-1)).squeeze(3).mT


FORMS = {
    "mambapy": mambapy_scan,
    "loop": lambda *p: scan_loop(*p)[0],
    "log depth": scan_log_depth,
    "blocked": selective_scan,
}
if available():
    FORMS["fused in C++"] = fused_scan


def both_ways(form, parts):
    dy = torch.randn(parts[0].mT.shape).mT
    return lambda: torch.autograd.grad(form(*parts), parts, dy)


def time_all(allocator):
    use_allocator(allocator)
    rows = {}
    for batch, length in SHAPES:
        parts = inputs(batch, length)
        run = {name: both_ways(form, parts) for name, form in FORMS.items()}
        slow = {"log depth": run.pop("log depth")}
        times = side_by_side(run, repeats=15) | side_by_side(slow, repeats=1)
        print(f"B={batch} L={length} D={D} N={N}, allocator {allocator}")
        show(times)
        rows[f"{batch} x {length}"] = {name: summary(ms) for name, ms in times.items()}
    return rows


def peak(name, batch, length):
    """MiB by which one pass forward and backward raises the peak of this process's memory."""
    parts = inputs(batch, length)
    small = inputs(1, 2)
    both_ways(FORMS[name], small)()  # what the libraries load on their first call is not counted
    run = both_ways(FORMS[name], parts)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    run()
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024


if __name__ == "__main__":
    if sys.argv[1:2] == ["time"]:
        print(json.dumps(time_all(sys.argv[2])))
    elif sys.argv[1:2] == ["memory"]:
        print(json.dumps(peak(sys.argv[2], *map(int, sys.argv[3:]))))
    else:
        times = {a: in_a_process("scan.py", "time", a) for a in ("default", "kept")}
        memory = {
            f"{b} x {n}": {name: in_a_process("scan.py", "memory", name, b, n) for name in FORMS}
            for b, n in SHAPES
        }
        print("extra memory, MiB:", memory)
        save("scan", milliseconds=times, extra_mib=memory)
