"""Time functions side by side: interleaved, several repeats, medians and spread."""

import json
import platform
import statistics
import time
from pathlib import Path

import torch


def side_by_side(functions, repeats=9):
    """name -> function to name -> sorted milliseconds, one call of each in turn after a warm-up."""
    times = {name: [] for name in functions}
    for repeat in range(repeats + 1):
        for name, function in functions.items():
            began = time.perf_counter()
            function()
            if repeat:
                times[name].append(1000 * (time.perf_counter() - began))
    return {name: sorted(ms) for name, ms in times.items()}


def report(title, times, out=None):
    """Print a table, ratios to the first row, and the machine; write JSON where asked."""
    machine = dict(
        processor=platform.processor() or platform.machine(),
        threads=torch.get_num_threads(),
        torch=torch.__version__,
        python=platform.python_version(),
    )
    print(f"\n{title}  {machine}")
    first = statistics.median(next(iter(times.values())))
    for name, ms in times.items():
        median = statistics.median(ms)
        print(f"{name:24} {median:9.1f} ms  ({ms[0]:.1f} to {ms[-1]:.1f})  x {first / median:.2f}")
    if out:
        Path(out).write_text(json.dumps(dict(title=title, machine=machine, ms=times), indent=1))
