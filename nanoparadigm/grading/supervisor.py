"""Starts the process of a notebook, waits for it, and ends with it all that it has started.

Run as a script: supervisor.py GIB COMMAND..., where no process may take more than so much memory. A
notebook that kills its parent kills this process, and not the one that grades all of them. On Linux
a process whose parent has ended becomes a child of this one, so that none is left behind.
"""

import ctypes
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

SET_CHILD_SUBREAPER = 36  # from linux/prctl.h


def main(gib: float, command: list[str]) -> None:
    """Run the command until it ends, until the parent of this process does, or until SIGTERM."""
    parent = os.getppid()
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(SET_CHILD_SUBREAPER, 1)
    signal.signal(signal.SIGINT, lambda *_: None)  # it is meant for the notebook
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    limit_memory(gib)
    own = {"JPY_PARENT_PID": str(os.getpid())}  # with whose end a kernel ends
    process = subprocess.Popen(command, env=os.environ | own)
    try:
        while process.poll() is None and os.getppid() == parent:
            time.sleep(0.2)
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        process.kill()
        end_children()


def limit_memory(gib: float) -> None:
    """Let this process and those it starts take so much memory each, where that can be limited."""
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    asked = int(gib * 2**30)
    most = asked if most == resource.RLIM_INFINITY else min(asked, most)
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


def end_children() -> None:
    """Kill the children of this process until it has none: those of one that ends become its own.

    Where the system does not list them, its caller kills their group.
    """
    listed = Path(f"/proc/self/task/{os.getpid()}/children")
    while listed.exists():
        for child in listed.read_text(encoding="ascii").split():
            os.kill(int(child), signal.SIGKILL)
        try:
            os.wait()
        except ChildProcessError:
            return


if __name__ == "__main__":
    main(float(sys.argv[1]), sys.argv[2:])
