"""Train many trials, a few at a time, each in a process of one thread, and stop them all."""

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import Any

import torch

from ..errors import InputError
from ..signals import EXIT_REQUEUE, after_parent, install_handlers

Train = Callable[[Any, Callable[[], bool]], Iterable]
"""(trial, stop) -> the records of its training, which saves and ends once stop() is true"""


@dataclass(frozen=True)
class Ended:
    """How the training of a trial ended."""

    trial: Any
    problem: str = ""
    """the sentence that says why it cannot go on"""


def train_all(
    begin: Callable[[], Train],
    trials: Iterable,
    workers: int,
    stop: Callable[[], bool] = lambda: False,
) -> Iterator[Ended]:
    """Train the trials, `workers` at a time, each in a process on one thread; yield an Ended each.

    begin: called once in each process; it reads what all trials share. A trial that fails does not
    stop the others. stop: called repeatedly; once it returns true, all that are being trained save
    and end. Raises OSError if a process is killed.
    """
    context, told = multiprocessing.get_context("spawn"), False
    with ProcessPoolExecutor(workers, context, _enter, (begin,)) as pool:
        jobs = {pool.submit(_train_one, trial): trial for trial in trials}
        while jobs:
            if stop() and not told:
                told = True
                for worker in multiprocessing.active_children():
                    worker.terminate()  # SIGTERM, on which it saves
            for job in wait(jobs, timeout=0.5, return_when=FIRST_COMPLETED).done:
                trial = jobs.pop(job)
                try:
                    job.result()
                    yield Ended(trial)
                except (InputError, OSError) as error:
                    yield Ended(trial, str(error))
                except BrokenProcessPool as error:
                    if stop():  # it was told before it could listen
                        return
                    raise OSError(
                        "a process of the study was killed, perhaps because memory ran out: give "
                        "the same command again, with fewer `workers` if need be"
                    ) from error


class Worker:
    """A process that reads the texts once and trains one trial after another."""

    def __init__(self, begin: Callable[[], Train]) -> None:
        torch.set_num_threads(1)
        self.stop, _ = install_handlers()
        self.records = begin()
        self.training = threading.Lock()
        after_parent(self.save_and_end)

    def train(self, trial: Any) -> None:
        """Train a trial to its end, or until a signal comes."""
        with self.training:
            if not self.stop():
                for _ in self.records(trial, self.stop):
                    pass

    def save_and_end(self) -> None:
        """Stop the training, wait until it is saved, and end the process."""
        self.stop.asked = True
        with self.training:
            os._exit(EXIT_REQUEUE)


WORKER = []
"""the Worker of this process, if `train_all` started it; otherwise empty"""


def _enter(begin: Callable[[], Train]) -> None:
    WORKER.append(Worker(begin))


def _train_one(trial: Any) -> None:
    WORKER[0].train(trial)
