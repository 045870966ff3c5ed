"""Several processes that train one model: each reads its rows of every batch, all take one step.

    torchrun --nproc_per_node 2 -m nanoparadigm train --model ar --dataset shakespeare

torchrun starts the processes and tells each, in its environment, which of how many it is. Inside
`process_group` the functions here connect them; with one process they change nothing. The numbers
travel by gloo, the gradients by gloo or, on GPUs, by NCCL.

A signal to any of the processes stops all of them. torchrun passes SIGTERM on, and SIGUSR1 if
started with --signals-to-handle SIGTERM,SIGINT,SIGUSR1, but it ends with status 1 whatever their
status was. Where the status matters, the cluster itself starts the processes, each with WORLD_SIZE
and the variables in TOLD.
"""

import os
import traceback
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import timedelta

import torch
from torch import Tensor, distributed, nn

from ..errors import InputError
from ..paradigms import Paradigm
from ..shapes import TokenIds

# A process that ends is noticed at once; one that falls silent, or never comes, after this time.
# It is longer than an evaluation and a checkpoint, during which the others wait for the first.
PATIENCE = timedelta(minutes=30)
TOLD = "RANK LOCAL_RANK MASTER_ADDR MASTER_PORT".split()


def launched() -> int:
    """Return how many processes were started together, according to the environment."""
    return int(os.environ.get("WORLD_SIZE", 1))


@contextmanager
def process_group(device: str = "cpu") -> Iterator[None]:
    """Connect with the other processes, if there are any, for as long as the block lasts.

    On cuda each process takes the GPU of its LOCAL_RANK as its current one. Raises InputError if
    the environment is not torchrun's or a process finds no GPU to take, and ConnectionError (an
    OSError) if another process does not come, or once one is gone.
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


def connected() -> bool:
    """Return whether this is inside `process_group`, with other processes."""
    return distributed.is_available() and distributed.is_initialized()


def rank() -> int:
    """Return which of the processes this is. The first, 0, alone writes, evaluates and speaks."""
    return distributed.get_rank() if connected() else 0


def world_size() -> int:
    """Return how many processes there are."""
    return distributed.get_world_size() if connected() else 1


def all_reduce_sum(*numbers: float) -> list[float]:
    """Return the sum of each number over all processes."""
    total = torch.tensor(numbers, dtype=torch.float64)
    if connected():
        distributed.all_reduce(total)
    return total.tolist()


def broadcast(*numbers: float) -> list[float]:
    """Return the numbers that the first process gave; those of the others are ignored."""
    first = torch.tensor(numbers, dtype=torch.float64)
    if connected():
        distributed.broadcast(first, 0)
    return first.tolist()


def barrier() -> None:
    """Wait until every process has come this far."""
    all_reduce_sum(0)


class LossTerms(nn.Module):
    """The `loss_terms` of a paradigm, as a module of its own."""

    def __init__(self, model: Paradigm) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: TokenIds, *noise: Tensor) -> tuple[Tensor, Tensor | int]:
        """Return `model.loss_terms(x, *noise)`."""
        return self.model.loss_terms(x, *noise)

    def no_sync(self) -> AbstractContextManager:
        """Do nothing; DistributedDataParallel has this, too."""
        return nullcontext()


Terms = LossTerms | nn.parallel.DistributedDataParallel


def parallel(model: Paradigm, rows: int, length: int) -> Terms:
    """Return `LossTerms` whose backward pass, outside of its `no_sync`, leaves in every process the
    mean over all processes of the gradients that each has accumulated.

    rows, length: of the token ids that each process will call it with.
    """
    if not connected():
        return LossTerms(model)
    terms = nn.parallel.DistributedDataParallel(LossTerms(model), forward_sync_buffers=False)
    # In its first step it settles the order in which it adds up, and for three numbers the order
    # changes the rounding. This rehearsal lets a resumed run add up as the steps before it did.
    x = torch.zeros(rows, length, dtype=torch.long, device=model.device)
    total, _ = terms(x, *model.noise(x, torch.Generator(model.device)))
    total.backward()
    model.zero_grad()
    return terms
