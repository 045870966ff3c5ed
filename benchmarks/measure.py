"""What the benchmarks share: interleaved timings with their spread, the machine, one JSON each.

Run them one at a time on a machine that does nothing else. A ratio counts when both of its sides
come from one run; absolute times are of one machine.
"""

import json
import os
import platform
import statistics
import subprocess
import sys
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from nanoparadigm.commands.allocator import keep_memory
from nanoparadigm.commands.doctor import processor

RESULTS = Path(__file__).parent / "results"


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


def summary(ms):
    """Median, least and most."""
    return dict(median=statistics.median(ms), least=ms[0], most=ms[-1])


def show(times):
    """Print `side_by_side`'s answer, with ratios to the first row."""
    first = statistics.median(next(iter(times.values())))
    for name, ms in times.items():
        median = statistics.median(ms)
        spread = f"({ms[0]:.1f} to {ms[-1]:.1f})"
        print(f"  {name:34} {median:9.1f} ms  {spread:22}  x {first / median:.2f}", flush=True)


def matmul_gflops(n=1024, repeats=30):
    """The machine's float32 matrix products: the median over `repeats` of GFLOP/s at n x n."""
    a, b = torch.randn(2, n, n)
    times = side_by_side({"mm": lambda: a @ b}, repeats)["mm"]
    return 2 * n**3 / statistics.median(times) / 1e6


def machine():
    names = ("torch", "numpy", "mambapy")
    return dict(
        processor=processor(),
        cores=os.cpu_count(),
        threads=torch.get_num_threads(),
        system=platform.system(),
        python=platform.python_version(),
        **{name: installed(name) for name in names},
    )


def installed(name):
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def save(name, **numbers):
    """Write benchmarks/results/NAME.json, which the README's section is made from."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    numbers = dict(machine=machine(), **numbers)
    path.write_text(json.dumps(numbers, indent=1) + "\n", encoding="utf-8")
    print(f"written: {path}")


def use_allocator(name):
    """ "default": as it comes; "kept": under `keep_memory`. Ends the process where it has none."""
    if name == "kept" and not keep_memory():
        sys.exit("this machine's allocator has no such setting")


def in_a_process(*arguments):
    """Run a benchmark of this folder again in a process of its own; what it prints last, as JSON.

    For what belongs to a process: its peak memory, its allocator's settings.
    """
    command = [sys.executable, *map(str, arguments)]
    done = subprocess.run(command, cwd=Path(__file__).parent, stdout=subprocess.PIPE, check=True)
    *before, last = done.stdout.decode().splitlines()
    print(*before, sep="\n", end="\n" if before else "", flush=True)
    return json.loads(last)
