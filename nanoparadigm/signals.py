"""How a training is told to stop: it finishes its step and saves, and its command ends with a
status that says whether to call it again."""

import multiprocessing
import signal
import threading
from contextlib import contextmanager

UNFINISHED = 75  # EX_TEMPFAIL of sysexits.h: try again; a shell gives it to no killed process
INTERRUPTED = 130  # of Ctrl-C, everywhere


def heed_signals():
    """SIGINT, SIGTERM and SIGUSR1 ask the training loop to save and end; a second Ctrl-C insists.

    A second of the others does not: a cluster may send first one and then the other, or torchrun
    and the cluster the same, while the checkpoint is being written. Returns `stop`, which says
    whether one has come and has the `status` to end with, and the handlers before.
    """

    def handler(number, frame):
        if stop.status == INTERRUPTED and number == signal.SIGINT:
            raise KeyboardInterrupt
        stop.asked = True
        stop.status = INTERRUPTED if number == signal.SIGINT else UNFINISHED

    def stop():
        return stop.asked

    stop.asked, stop.status = False, UNFINISHED  # another process may have been asked
    names = [name for name in ("SIGINT", "SIGTERM", "SIGUSR1") if hasattr(signal, name)]
    return stop, {n: signal.signal(getattr(signal, n), handler) for n in names}


@contextmanager
def stop_signals():
    """`heed_signals` for as long as the block lasts; gives its `stop`."""
    stop, before = heed_signals()
    try:
        yield stop
    finally:
        for name, old in before.items():
            signal.signal(getattr(signal, name), old)


def after_parent(act):
    """In a worker: call `act` in a thread once the process that began it is gone, however that
    ended. Nothing else would tell: a worker that waits for work would wait for ever."""

    def wait():
        multiprocessing.parent_process().join()
        act()

    threading.Thread(target=wait, daemon=True).start()
