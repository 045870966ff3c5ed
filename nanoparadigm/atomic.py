"""Write files so that a reader sees the old one or the new one whole, and by one process alone."""

import json
import math
import os
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from .errors import InputError


def write_json(path, data):
    """Replace a JSON file in one move: a reader sees the old one or the new one, whole."""
    path = Path(path)
    unfinished = path.with_name(path.name + ".unfinished")
    try:
        with open(unfinished, "w", encoding="utf-8") as f:
            json.dump(without_nan(data), f, indent=1)
            f.flush()
            os.fsync(f.fileno())
        os.replace(unfinished, path)
        sync(path.parent)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise


def without_nan(value):
    """Return the value with null for what JSON does not know: NaN (the standard error of a single
    window, say) and infinity (the threshold of a single seed)."""
    if isinstance(value, dict):
        return {k: without_nan(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [without_nan(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def make(folder):
    """Make a folder, and those above it, where there is none; a power cut leaves them."""
    if not folder.is_dir():
        make(folder.parent)
        folder.mkdir(exist_ok=True)
        sync(folder.parent)


def sync(path):
    """Wait until the disk holds a file, or the names in a folder."""
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


@contextmanager
def sole_writer(run):
    """Hold the folder of a run while the block lasts: yields its lock, which may be taken again.

    The operating system frees it when a process ends, however it ends. Nobody deletes the file: a
    lock on a file that is gone keeps nobody out. Raises InputError if another process holds it.
    """
    make(Path(run))
    lock = FileLock(Path(run) / "lock", timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        raise InputError(
            f"another process is writing to {run}: wait until it has ended, or give `out` a "
            "folder of its own"
        ) from error
    with lock:
        lock.release()
        yield lock
