"""Ask a training to stop: it finishes its step and saves, and its command ends with a status that
says whether to run it again."""

import multiprocessing
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

EXIT_REQUEUE = 75  # EX_TEMPFAIL of sysexits.h: try again; a shell gives it to no killed process
INTERRUPTED = 130  # of Ctrl-C, everywhere


@dataclass
class StopRequest:
    """Whether a signal has asked this process to stop: call it, as the `stop` of `train`."""

    asked: bool = False
    status: int = EXIT_REQUEUE
    """to exit with; another process may have been asked, so it holds even if this one was not"""

    def __call__(self) -> bool:
        """Return whether a signal has come."""
        return self.asked


def install_handlers() -> tuple[StopRequest, dict]:
    """Let SIGINT, SIGTERM and SIGUSR1 ask the training loop to save and end.

    Returns the StopRequest that the signals set, and the handlers before, name -> handler. A second
    Ctrl-C raises KeyboardInterrupt. A second of the other signals does nothing: a cluster may send
    one and then another, or torchrun and the cluster the same one, while the checkpoint is being
    written.
    """
    stop = StopRequest()

    def handler(number: int, frame: FrameType | None) -> None:
        if stop.status == INTERRUPTED and number == signal.SIGINT:
            raise KeyboardInterrupt
        stop.asked = True
        stop.status = INTERRUPTED if number == signal.SIGINT else EXIT_REQUEUE

    names = [name for name in ("SIGINT", "SIGTERM", "SIGUSR1") if hasattr(signal, name)]
    return stop, {n: signal.signal(getattr(signal, n), handler) for n in names}


@contextmanager
def stop_signals() -> Iterator[StopRequest]:
    """Install the handlers for as long as the block lasts; yield their StopRequest."""
    stop, before = install_handlers()
    try:
        yield stop
    finally:
        for name, old in before.items():
            signal.signal(getattr(signal, name), old)


def after_parent(act: Callable[[], None]) -> None:
    """Call `act` once the parent of this worker is gone, however it ended.

    A thread waits for that. Nothing else would tell the worker, and one that waits for work would
    wait for ever.
    """

    def wait() -> None:
        multiprocessing.parent_process().join()
        act()

    threading.Thread(target=wait, daemon=True).start()
