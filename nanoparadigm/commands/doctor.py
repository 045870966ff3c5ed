"""What this machine can do."""

import os
import platform
import re
import shutil
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

import torch

from .. import __version__
from ..data import corpora, download, tokenizers
from ..training import checkpoint
from ..training.settings import precision
from .allocator import keep_memory
from .shared import Command

RESULTS = "runs"


@dataclass(frozen=True)
class Doctor(Command):
    """Say what this machine can do: read it, or paste it into a bug report."""

    def run(self) -> None:
        """Print a line for each thing that is known."""
        facts = examine()
        width = max(map(len, facts))
        print("\n".join(f"{name:{width}}  {fact}" for name, fact in facts.items()))


def examine() -> dict[str, str]:
    """Return what -> how it is here: versions, devices, optional packages, texts, runs, disk."""
    return {
        "nanoparadigm": __version__,
        "python": f"{platform.python_version()}, {platform.platform()}",
        "torch": f"{torch.__version__}, numpy {version('numpy')}",
        "processor": f"{processor()}, {os.cpu_count()} cores",
        "threads": f"{torch.get_num_threads()} (torch.set_num_threads, OMP_NUM_THREADS)",
        "memory": "kept between steps" if keep_memory() else "returned between steps",
        **devices(),
        "--compile": compiler(),
        **extras(),
        **texts(),
        "weights": ", ".join(checkpoint.pretrained()) or "none come with this package",
        "runs": runs(),
        "free disk": f"{shutil.disk_usage(os.getcwd()).free / 1e9:,.0f} GB here",
    }


def processor() -> str:
    """Return the name of the processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.partition(": ")[2] for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def devices() -> dict[str, str]:
    """Return each device that `--device` may name -> its memory, and what `--dtype auto` is."""
    found = {"device cpu": f"--dtype auto is {chosen('cpu')}"}
    for i in range(torch.cuda.device_count()):
        name, memory = torch.cuda.get_device_name(i), torch.cuda.mem_get_info(i)[1]
        auto = f"--dtype auto is {chosen(f'cuda:{i}')}"
        found[f"device cuda:{i}"] = f"{name}, {memory / 2**30:,.0f} GiB, {auto}"
    if len(found) == 1:
        built = torch.version.cuda
        found["device cuda"] = "no GPU found" if built else "none: this PyTorch is built without"
    return found


def chosen(device: str) -> str:
    """Return the name of the type that `auto` stands for on a device."""
    return str(precision("auto", torch.device(device))).removeprefix("torch.")


def compiler() -> str:
    """Return whether `--compile` can work here."""
    found = next(filter(shutil.which, [os.environ.get("CXX") or "g++", "clang++", "cl"]), None)
    return f"with {found}" if found else "needs a C++ compiler, and there is none"


def extras() -> dict[str, str]:
    """Return each group of optional packages -> what is installed of it, and what is missing."""
    groups = {}
    for line in requires("nanoparadigm") or ():
        if found := re.match(r"([\w.-]+).*; extra == \W(\w+)", line):
            groups.setdefault(f"[{found[2]}]", []).append(installed(found[1]))
    return {group: ", ".join(packages) for group, packages in groups.items()}


def installed(package: str) -> str:
    """Return the name and the version of a package, or that it is missing."""
    try:
        return f"{package} {version(package)}"
    except PackageNotFoundError:
        return f"no {package}"


def texts() -> dict[str, str]:
    """Return each published text or vocabulary -> where it lies, or how to get it."""
    found = {}
    for name, files in {**corpora.PUBLISHED, "gpt2's vocabulary": tokenizers.GPT2_FILES}.items():
        folder = download.folder_with(files)
        found[name] = str(folder) if folder else "not here yet: downloaded when first asked for"
    return found


def runs() -> str:
    """Return how many runs there are in the usual folder."""
    count = len([*Path(RESULTS).glob("*/run.json")])
    return f"{count} in {Path(RESULTS).resolve()}"
