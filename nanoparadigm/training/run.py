"""A training in progress: what it holds, and the parts of a step. `trainer.train` is the loop.

Two generators do all the drawing, one for the order of the data (so that every model of a
comparison reads the same) and one for the noise. Their states are saved, so a run that was
interrupted repeats the rest bit for bit (on a CPU).

Where several processes train together (`distributed.py`) all of them draw the same, and each takes
its own rows: the step is the one that a single process would take.
"""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import asdict
from typing import Any, Self

import torch
from torch import Tensor

from .. import atomic
from ..data import corpora
from ..errors import InputError
from ..evaluate.likelihood import nats_per_token
from ..files import StrPath
from ..networks.base import Dropout, largest_weight
from ..paradigms import Paradigm
from ..shapes import TokenIds
from . import checkpoint, distributed
from .log import Log
from .optimizer import make_optimizers
from .resume import check_same, restore
from .settings import Settings, lr_multiplier, precision, resolve_device, total_steps


class TrainingRun:
    """Set up a training, and hold the lock of its folder while the block lasts.

        with TrainingRun(model, data, settings, run) as job: ...

    The arguments are those of `trainer.train`, which is the loop over the methods below, in their
    order. Entering the block raises what `train` says.

    batches: the windows of each step, (rows, L), as an iterator. step, total_steps: optimiser steps
    taken, and to take. seconds: of training so far. best: the lowest validation so far, in nats per
    token. stopping: how many processes were asked to stop.
    """

    def __init__(
        self,
        model: Paradigm,
        data: corpora.TokenizedCorpus,
        settings: Settings,
        run: StrPath | None = None,
        resume: bool = False,
        stop: Callable[[], bool] = lambda: False,
        lock: AbstractContextManager | None = None,
    ) -> None:
        self.model, self.data, self.settings = model, data, settings
        self.run, self.resume, self.stop = run or "", resume, stop
        self.rank, self.world_size = distributed.rank(), distributed.world_size()
        writes = run and self.rank == 0
        self.lock = (lock or atomic.sole_writer(self.run)) if writes else nullcontext()
        self.step, self.seconds, self.best, self.stopping = 0, 0.0, math.inf, 0.0

    def __enter__(self) -> Self:
        with ExitStack() as stack:  # frees the lock if the rest fails
            stack.enter_context(self.lock)
            self.prepare()
            if self.resume:
                self.go_on()
            self.connect()
            self.held = stack.pop_all()
        return self

    def __exit__(self, *error: Any) -> bool | None:
        return self.held.__exit__(*error)

    # ----------------------------------------------------------------------------- before the loop

    def prepare(self) -> None:
        """Make the generators, the batches and the optimisers of a training that begins."""
        data, settings = self.data, self.settings
        self.device = resolve_device(settings.device)
        self.rows = rows_per_process(settings)
        self.model.to(self.device)
        data_order = torch.Generator().manual_seed(settings.seed)
        self.noise = torch.Generator(self.device).manual_seed(settings.seed + 1)
        self.dropout = torch.Generator(self.device)
        for module in self.model.modules():
            if isinstance(module, Dropout):
                module.generator = self.dropout
        windows = settings.batch_size * settings.grad_accumulation
        self.tokens_per_step = windows * data.length
        self.batches = corpora.WindowBatches(
            data.train, windows, data.length, data_order, data.aligned
        )
        rates = settings.muon_lr, settings.lr, settings.weight_decay, settings.muon_momentum
        self.optimizers = make_optimizers(self.model, *rates)
        self.dtype = precision(settings.dtype, self.device)
        # Small gradients would be lost in float16, so they are those of a multiple of the loss:
        # at first of 2**16 times its mean, of which `terms` are the sum.
        self.scaler = torch.amp.GradScaler(
            self.device.type,
            init_scale=max(1.0, 2**16 / (self.rows * data.length)),
            enabled=self.dtype is torch.float16,
        )
        self.total_steps = total_steps(settings, data)

    def go_on(self) -> None:
        """Put everything back as it was at the last checkpoint of the run."""
        saved = checkpoint.load(self.run, "last", self.device)
        check_same(self.run, saved, self.model, self.data, self.settings)
        self.step, self.seconds, self.best = restore(
            saved, self.model, self.optimizers, self.batches, self.noise, self.scaler
        )
        if self.step > self.total_steps:
            raise InputError(
                f"the run in {self.run} has taken {self.step:,} steps, and {self.total_steps:,} "
                "are asked for: ask for more, or start a new run in another folder"
            )
        if self.rank == 0:
            checkpoint.tidy(self.run)

    def connect(self) -> None:
        """Agree with the other processes on the step, open the log, and make `terms`, the loss."""
        if distributed.broadcast(self.step) != [self.step]:
            raise InputError(
                f"another process goes on from another step than {self.step}: start all of them on "
                f"one {self.run}, in a file system that they share"
            )
        self.log = Log(self.run, keep_to=self.step) if self.run and self.rank == 0 else None
        if self.settings.compile:
            self.model.net.compile()
        self.terms = distributed.parallel(self.model, self.rows, self.data.length)

    # ---------------------------------------------------------------------------- parts of a step

    @contextmanager
    def stopwatch(self) -> Iterator[None]:
        """Add the time that the block takes to `seconds`."""
        began = time.perf_counter()
        yield
        self.seconds += time.perf_counter() - began

    def loss_and_gradients(self, x: TokenIds) -> float:
        """Return the loss of windows x (rows, L), nats per token, with its gradient in `p.grad`.

        Each process reads rows of its own, and all of them get the loss and the gradient of the
        whole batch. They also learn whether any was asked to stop. Raises InputError if the loss is
        not finite.
        """
        model, settings = self.model, self.settings
        model.train()
        mine = [part[self.rank :: self.world_size] for part in (x, *model.noise(x, self.noise))]
        # a seed for each step and process: nothing of it need be saved
        self.dropout.manual_seed(settings.seed + 3 + self.step * self.world_size + self.rank)
        sums = backward(self.terms, mine, settings.grad_accumulation, self.dtype, self.scaler)
        loss_sum, weight, self.stopping = distributed.all_reduce_sum(*sums, self.stop())
        loss = loss_sum / (weight or 1)
        check_finite("loss", loss, self.step + 1, settings)
        for p in model.parameters():
            if p.grad is not None:
                # it was the gradient of sums, and the mean over all processes
                p.grad *= self.world_size / (weight or 1)
        return loss

    def update(self) -> None:
        """Clip the gradient, and step every optimiser at its learning rate of this step.

        A gradient that overflows float16 moves nothing, and the next multiple is smaller.
        """
        for optimizer in self.optimizers:
            self.scaler.unscale_(optimizer)
        largest = self.settings.grad_clip or math.inf
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), largest)
        overflow = self.scaler.is_enabled() and not norm.isfinite()
        multiplier = lr_multiplier(self.step, self.total_steps, self.settings)
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = multiplier * group["peak"]
            if not overflow:
                optimizer.step()
            optimizer.zero_grad()
        self.scaler.update()
        self.lr = multiplier * self.settings.lr
        self.step += 1

    def record(self, loss: float) -> dict:
        """Return the record of the step just taken."""
        tokens = self.step * self.tokens_per_step
        return dict(step=self.step, loss=loss, lr=self.lr, tokens=tokens, seconds=self.seconds)

    def evaluation_is_due(self) -> bool:
        """Return whether the step just taken is one of every `eval_interval`, or the last."""
        return self.step % self.settings.eval_interval == 0 or self.step == self.total_steps

    def validate(self) -> dict:
        """Return val and val_se, as the first process finds them.

        Raises InputError if a weight or val is not finite.
        """
        self.check_weights()
        found = validation(self.model, self.data, self.settings) if self.rank == 0 else (0.0, 0.0)
        val, val_se = distributed.broadcast(*found)
        check_finite("validation", val, self.step, self.settings)
        return dict(val=val, val_se=val_se)

    def log_and_save(self, record: dict) -> None:
        """Log the record every `log_interval` steps and after an evaluation; save a checkpoint
        after an evaluation or if asked to stop.

        Raises InputError if what would be saved is not finite, OSError where the disk refuses.
        """
        evaluated = "val" in record
        if self.stopping and not evaluated:
            self.check_weights()
        # before the checkpoint: a run killed in between then logs this step again, and not never
        if self.log and (evaluated or self.step % self.settings.log_interval == 0):
            self.log.write(record)
        if self.log and (evaluated or self.stopping):
            self.save(record)
        if self.stopping:
            distributed.barrier()  # whoever started the processes may end all once one has ended

    def check_weights(self) -> None:
        """Raise InputError if a weight is not finite, in any process."""
        largest = distributed.all_reduce_sum(largest_weight(self.model))[0]
        check_finite("largest weight", largest, self.step, self.settings)

    def save(self, record: dict) -> None:
        """Write a checkpoint: the run's last, and its best if no validation was as low before."""
        val = record.get("val", math.inf)
        improved, self.best = val < self.best, min(self.best, val)
        text = corpora.identity(self.data, self.run)
        config = dict(record, **text, settings=asdict(self.settings))
        state = dict(
            optimizers=[optimizer.state_dict() for optimizer in self.optimizers],
            batches=self.batches.state_dict(),
            noise=self.noise.get_state(),
            scaler=self.scaler.state_dict(),
            step=self.step,
            seconds=self.seconds,
            best=self.best,
        )
        checkpoint.save(self.run, self.model, self.data.tokenizer, config, state, best=improved)


def rows_per_process(settings: Settings) -> int:
    """Return how many windows of a batch each process reads.

    Raises InputError if the processes cannot share them evenly.
    """
    world_size = distributed.world_size()
    if settings.batch_size % world_size:
        raise InputError(
            f"batch_size {settings.batch_size} cannot be shared evenly by {world_size} processes: "
            f"give a multiple of {world_size}"
        )
    return settings.batch_size // world_size


def check_finite(name: str, value: float, step: int, settings: Settings) -> None:
    """Raise InputError if a number of the training is not finite: the training diverged.

    Call it in all processes with a number that all of them share.
    """
    if not math.isfinite(value):
        lower = f"a muon_lr below {settings.muon_lr:g} or " if settings.muon_lr else ""
        raise InputError(
            f"the training diverged, its {name} is {value} at step {step}: start again with "
            f"{lower}an lr below {settings.lr:g}"
        )


def backward(
    terms: distributed.Terms,
    batch: list[Tensor],
    grad_accumulation: int,
    dtype: torch.dtype,
    scaler: torch.amp.GradScaler,
) -> tuple[float, float]:
    """Accumulate the gradients of a process's rows, in `grad_accumulation` parts.

    batch: x and its noise, tensors (rows, ...). Returns the sum of the losses of all rows, nats,
    and the sum of their weights; the gradients are those of the first sum.
    """
    parts = [*zip(*(rows.chunk(grad_accumulation) for rows in batch), strict=True)]
    loss_sum = weight = 0.0
    for part in parts:
        with nullcontext() if part is parts[-1] else terms.no_sync():
            with torch.autocast(part[0].device.type, dtype, enabled=dtype is not torch.float32):
                part_sum, part_weight = terms(*part)
            scaler.scale(part_sum).backward()
        loss_sum += part_sum.item()
        weight += float(part_weight)
    return loss_sum, weight


def validation(
    model: Paradigm, data: corpora.TokenizedCorpus, settings: Settings
) -> tuple[float, float]:
    """Return the nats per token of some validation windows and the standard error.

    The windows and the noise are the same in every evaluation.
    """
    generator = torch.Generator(model.device).manual_seed(settings.seed + 2)
    val = nats_per_token(model, data, generator, num_samples=4, max_windows=settings.eval_windows)
    return val.mean, val.se
