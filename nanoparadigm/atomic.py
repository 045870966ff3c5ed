"""Replace files in one move, so that nobody reads half of one; lock the folder of a run."""

import json
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from .errors import InputError
from .files import StrPath


def write_json(path: StrPath, data: Any) -> None:
    """Replace a JSON file in one move: a reader sees the old one or the new one, whole.

    NaN and infinity are written as null. Raises OSError where the disk refuses.
    """
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


def without_nan(value: Any) -> Any:
    """Return the value with None in place of NaN and infinity, which JSON does not have.

    The standard error of a single window is NaN, for example, and the threshold of a single seed is
    infinite.
    """
    if isinstance(value, dict):
        return {k: without_nan(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [without_nan(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def make(folder: Path) -> None:
    """Make a folder and those above it, unless they exist, so that they survive a power cut."""
    if not folder.is_dir():
        make(folder.parent)
        folder.mkdir(exist_ok=True)
        sync(folder.parent)


def sync(path: StrPath) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


@contextmanager
def sole_writer(run: StrPath) -> Iterator[FileLock]:
    """Lock the folder of a run while the block lasts; yield the lock, which may be taken again.

    The operating system frees the lock when a process ends, however it ends. Nobody deletes the
    file: a lock on a file that is gone keeps nobody out. Raises InputError if another process holds
    the lock.
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
