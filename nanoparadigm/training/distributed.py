"""Several processes that train one model: each reads its rows of every batch, all take one step.

    torchrun --nproc_per_node 2 -m nanoparadigm train --model ar --dataset shakespeare

torchrun starts the processes and tells each, in its environment, which of how many it is. Inside
`joined` the functions here connect them; with one process they change nothing. The numbers travel
by gloo, the gradients by gloo or, on GPUs, by NCCL.

A signal to any of the processes stops all. torchrun passes SIGTERM on, and SIGUSR1 if started with
--signals-to-handle SIGTERM,SIGINT,SIGUSR1, but ends with status 1 whatever they ended with. Where
the status matters, a cluster starts them itself, each with WORLD_SIZE and what is in TOLD.
"""

import os
import traceback
from contextlib import contextmanager, nullcontext
from datetime import timedelta

import torch
from torch import distributed, nn

from ..errors import InputError

# That a process has ended is noticed at once; that it fell silent, or never came, after this: more
# than an evaluation and a checkpoint take, for which the others wait while the first is at it.
PATIENCE = timedelta(minutes=30)
TOLD = "RANK LOCAL_RANK MASTER_ADDR MASTER_PORT".split()


def launched():
    """How many processes the environment says were started together."""
    return int(os.environ.get("WORLD_SIZE", 1))


@contextmanager
def joined(device="cpu"):
    """Connect with the other processes, if there are any, for as long as the block lasts.

    On cuda each takes the GPU of its LOCAL_RANK as its current one. Raises InputError where the
    environment is not that of torchrun, or a process has no GPU to take, and ConnectionError (an
    OSError) once another process is gone, or where it did not come.
    """
    if launched() == 1:
        yield
        return
    missing = [name for name in TOLD if name not in os.environ]
    if missing:
        raise InputError(
            f"WORLD_SIZE speaks of {launched()} processes, but {missing[0]} is not set: "
            "start them with torchrun"
        )
    if device == "cuda" and torch.cuda.is_available():
        place, gpus = int(os.environ["LOCAL_RANK"]), torch.cuda.device_count()
        if place >= gpus:
            raise InputError(
                f"this machine has {gpus} GPUs, one for each process: --nproc_per_node {gpus}"
            )
        torch.cuda.set_device(place)
    try:
        distributed.init_process_group(timeout=PATIENCE)
    except distributed.DistError as error:
        raise ConnectionError("the other processes of this training did not come") from error
    try:
        yield
    except BaseException as error:
        # The last to let go of the group waits for the group's thread. DistributedDataParallel does
        # so without releasing Python's lock, which that thread may need to end: so it goes first.
        traceback.clear_frames(error.__traceback__)
        lost = isinstance(error, RuntimeError) and "gloo" in str(error)
        if lost or isinstance(error, distributed.DistError):
            raise ConnectionError("another process of this training has ended") from error
        raise
    finally:
        distributed.destroy_process_group()


def connected():
    return distributed.is_available() and distributed.is_initialized()


def rank():
    """Which of the processes this is; the first, 0, alone writes, evaluates and speaks."""
    return distributed.get_rank() if connected() else 0


def world():
    """How many processes there are."""
    return distributed.get_world_size() if connected() else 1


def add(*numbers):
    """The sums of each number over all processes, as floats."""
    numbers = torch.tensor(numbers, dtype=torch.float64)
    if connected():
        distributed.all_reduce(numbers)
    return numbers.tolist()


def from_first(*numbers):
    """The numbers that the first process gave, as floats; those of the others are ignored."""
    numbers = torch.tensor(numbers, dtype=torch.float64)
    if connected():
        distributed.broadcast(numbers, 0)
    return numbers.tolist()


def wait():
    """Until every process has come this far."""
    add(0)


class LossTerms(nn.Module):
    """`loss_terms` of a paradigm, as a module of its own."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, x, *noise):
        return self.model.loss_terms(x, *noise)

    def no_sync(self):
        return nullcontext()


def parallel(model, rows, length):
    """`LossTerms` whose backward pass leaves, outside of its `no_sync`, the mean over all processes
    of the gradients each has gathered. It will be called with `rows` texts of `length` tokens."""
    terms = LossTerms(model)
    if not connected():
        return terms
    terms = nn.parallel.DistributedDataParallel(terms, forward_sync_buffers=False)
    # It settles in its first step in which order to add up. Rehearsed, so that the first step of a
    # resumed run adds up as those before it did: of three numbers the order changes the rounding.
    x = torch.zeros(rows, length, dtype=torch.long, device=model.device)
    total, _ = terms(x, *model.noise(x, torch.Generator(model.device)))
    total.backward()
    model.zero_grad()
    return terms
