"""The one rule: exit status 0 and a true answer, or 1 or 2 and one sentence; no traceback, no hang,
nothing lost.

A case acts in a process of its own, forked from one that has imported everything, inside a fresh
copy of a small workspace. What it may not do is found out from the outside.
"""

import hashlib
import multiprocessing
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

MEMORY = 12 * 2**30  # bytes of address space, of which PyTorch alone reserves some
FAILED = 99  # of a child whose command ended in an exception

MINE = "text.txt", "novel.md", "runs/ar/notes.md", "runs/ar/step-3-keep/my.txt", "documents.jsonl"
"""files that no command has any business with, or only to read"""


@dataclass(frozen=True)
class Case:
    said: str
    """what is done, for whoever must do it again"""
    act: Callable
    """() -> exit status, called in a copy of the workspace"""
    truth: Callable = lambda output: None
    """(standard output) -> what is false in an answer that ended with 0, or None"""
    limit: float = 60
    """seconds that it may take on a busy machine: a hundred times what it needs on a quiet one"""


def broken(case, workspace):
    """How a case breaks the rule, in a line or more; None where it keeps it."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "here"
        shutil.copytree(workspace, folder, symlinks=True)
        digests = {name: digest(folder / name) for name in MINE}
        status, took = in_a_child(case, folder, Path(place))
        out, err, false = (
            (Path(place) / name).read_text(encoding="utf-8", errors="replace")
            for name in ("out", "err", "false")
        )
        if status is None:
            return f"hangs (killed after {took:.0f} seconds)"
        if status < 0:
            return f"killed by {signal.Signals(-status).name}: {err[-500:]}"
        if "Traceback (most recent call last)" in out + err or status == FAILED:
            return f"a traceback: {(out + err)[-1500:]}"
        if status not in (0, 1, 2):
            return f"exit status {status}: {err[-300:]}"
        if status and (problem := no_sentence(err)):
            return f"exit status {status} and {problem}: {err[-600:]!r}"
        if false:
            return f"exit status 0 and a false answer: {false}"
        # a run that makes room for another moves as a whole, with all that is in it
        after = {digest(path) for path in folder.rglob("*")}
        lost = [name for name in MINE if digests[name] not in after]
        return f"lost: {', '.join(lost)}" if lost else None


def in_a_child(case, folder, place):
    """The exit status (below 0 for a signal, None for a hang) and the seconds."""
    for name in ("out", "err", "false"):
        (place / name).touch()
    began, child = time.monotonic(), os.fork()
    if child == 0:
        perform(case, folder, place)
    while time.monotonic() - began < case.limit:
        done, how = os.waitpid(child, os.WNOHANG)
        if done:
            status = os.WEXITSTATUS(how) if os.WIFEXITED(how) else -os.WTERMSIG(how)
            return status, time.monotonic() - began
        time.sleep(0.002)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None, time.monotonic() - began


def perform(case, folder, place):
    """The life of the child, which ends here."""
    os.setpgid(0, 0)  # whatever it starts goes with it
    multiprocessing.current_process()._config["daemon"] = False  # a pool's worker starts nothing
    tqdm._instances.clear()  # the bar of all cases is not this one's to make room for
    status = FAILED
    try:
        os.chdir(folder)
        for number, name in (1, "out"), (2, "err"):
            os.dup2(os.open(place / name, os.O_WRONLY), number)
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        try:
            status = case.act()
        except SystemExit as done:
            status = done.code or 0
        flush()
        if status == 0:
            output = (place / "out").read_text(encoding="utf-8", errors="replace")
            (place / "false").write_text(case.truth(output) or "", encoding="utf-8")
    except BaseException:
        status = FAILED
        traceback.print_exc()
    finally:
        flush()
        os._exit(status if isinstance(status, int) and 0 <= status < 256 else FAILED)


def flush():
    for stream in sys.stdout, sys.stderr:
        try:
            stream.flush()
        except (OSError, ValueError, AttributeError):
            pass


def no_sentence(err):
    """What a complaint lacks to be one sentence of ours, or None."""
    lines = [line for line in err.splitlines() if line.startswith("nanoparadigm: ")]
    if len(lines) != 1:
        return f"{len(lines)} sentences"
    if err.rstrip("\n").splitlines()[-1] != lines[0]:
        return "something after the sentence"
    if len(lines[0]) > 1500:
        return f"a sentence of {len(lines[0])} characters"
    return None


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None
