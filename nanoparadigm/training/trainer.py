"""The training loop, as a generator: `for record in train(model, data, settings)`.

It knows no paradigm: a batch of text in, its loss down, and every so often `model.nll_bound` on
fixed windows of the validation split with fixed noise. Two generators do all the drawing, one for
the order of the data (so that every model of a comparison reads the same) and one for the noise;
their states are saved, so a run that was interrupted repeats the rest bit for bit (on a CPU).

Where several processes train together (`distributed.py`) all of them draw the same, and each takes
its own rows: the step is the one that a single process would take.
"""

import math
import time
from contextlib import nullcontext
from dataclasses import asdict

import torch

from .. import atomic
from ..data import corpora
from ..errors import InputError
from ..evaluate.likelihood import nats_per_token
from ..networks.base import Dropout, largest_weight
from . import checkpoint, distributed
from .log import Log
from .optimizer import make_optimizers
from .resume import _restore, check_same
from .settings import Settings, peak_share, total_steps, usable


def train(model, data, settings=None, run=None, resume=False, stop=lambda: False, lock=None):
    """Train the model on a `corpora.Data`; yield a record (dict) after every step.

    A record: step, loss (nats per token), lr, tokens and seconds (of training, so far); after an
    evaluation also val and val_se (nats per token: `nll_bound` on some validation windows).
    run: a folder for checkpoints and log.jsonl, or None to keep nothing. resume: go on from its
    last checkpoint. stop: asked in every step; once it says yes, in any process, the step is
    finished, a checkpoint saved, and the generator ends. lock: of the run, from a caller that holds
    it as `checkpoint.sole_writer` does. Inside `distributed.joined` every process
    calls this alike; the first alone evaluates and writes, and all yield its records (the seconds
    are their own). Raises InputError for a run that does not fit or that another process is writing
    to and for a training that diverged, OSError where the disk refuses.
    """
    settings = settings or Settings()
    writes = run and distributed.rank() == 0
    with (lock or atomic.sole_writer(run)) if writes else nullcontext():
        yield from _train(model, data, settings, run, resume, stop)


def _train(model, data, settings, run, resume, stop):
    device = usable(settings.device)
    rank, world, rows = distributed.rank(), distributed.world(), rows_of_each(settings)
    model.to(device)
    data_order = torch.Generator().manual_seed(settings.seed)
    noise = torch.Generator(device).manual_seed(settings.seed + 1)
    dropout = torch.Generator(device)
    for module in model.modules():
        if isinstance(module, Dropout):
            module.generator = dropout
    windows = settings.batch_size * settings.grad_accumulation
    batches = corpora.Batches(data.train, windows, data.length, data_order, data.aligned)
    optimizers = make_optimizers(model, settings.muon_lr, settings.lr, settings.weight_decay)
    total = total_steps(settings, data)
    step, seconds, best = 0, 0.0, math.inf
    if resume:
        saved = checkpoint.load(run, "last", device)
        check_same(run, saved, model, data, settings)
        step, seconds, best = _restore(saved, model, optimizers, batches, noise)
        if step > total:
            raise InputError(
                f"the run in {run} has taken {step:,} steps, and {total:,} are asked for: ask for "
                "more, or start a new run in another folder"
            )
    if distributed.from_first(step) != [step]:
        raise InputError(
            f"another process goes on from another step than {step}: start all of them on one "
            f"{run}, in a file system that they share"
        )
    log = Log(run, keep_to=step) if run and rank == 0 else None
    if settings.compile:
        model.net.compile()
    terms = distributed.parallel(model, rows, data.length)
    per_step = windows * data.length

    while step < total:
        began = time.perf_counter()
        share = peak_share(step, total, settings)
        for optimizer in optimizers:
            for group in optimizer.param_groups:
                group["lr"] = share * group["peak"]
        model.train()
        x = next(batches).to(device)
        mine = [part[rank::world] for part in (x, *model.noise(x, noise))]
        dropout.manual_seed(settings.seed + 3 + step * world + rank)  # nothing of it to be saved
        sums = backward(terms, mine, settings, device)
        paid, weight, stopping = distributed.add(*sums, stop())
        loss = paid / (weight or 1)
        check_finite("loss", loss, step + 1, settings)
        for p in model.parameters():
            if p.grad is not None:
                p.grad *= world / (weight or 1)  # they were sums, and the mean of all processes
        if settings.grad_clip:
            torch.nn.utils.clip_grad_norm_(model.parameters(), settings.grad_clip)
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad()
        step += 1
        seconds += time.perf_counter() - began
        record = dict(
            step=step, loss=loss, lr=share * settings.lr, tokens=step * per_step, seconds=seconds
        )
        improved, evaluates = False, step % settings.eval_interval == 0 or step == total
        if evaluates or stopping:  # and so will be saved
            check_finite(
                "largest weight", distributed.add(largest_weight(model))[0], step, settings
            )
        if evaluates:
            val = validation(model, data, settings) if rank == 0 else (0.0, 0.0)
            record["val"], record["val_se"] = distributed.from_first(*val)
            check_finite("validation", record["val"], step, settings)
            improved = record["val"] < best
            best = min(best, record["val"])
        # before the checkpoint: a run killed in between then logs this step again, and not never
        if log and (step % settings.log_interval == 0 or "val" in record):
            log.write(record)
        if log and ("val" in record or stopping):
            config = dict(record, **corpora.identity(data, run), settings=asdict(settings))
            state = dict(
                optimizers=[optimizer.state_dict() for optimizer in optimizers],
                batches=batches.state_dict(),
                noise=noise.get_state(),
                step=step,
                seconds=seconds,
                best=best,
            )
            checkpoint.save(run, model, data.tokenizer, config, state, best=improved)
        if stopping:
            distributed.wait()  # whoever started the processes may end all once one has ended
        yield record
        if stopping:
            return


def rows_of_each(settings):
    """Windows of a batch for each process; InputError if they cannot be shared evenly."""
    world = distributed.world()
    if settings.batch_size % world:
        raise InputError(
            f"batch_size {settings.batch_size} cannot be shared evenly by {world} processes: "
            f"give a multiple of {world}"
        )
    return settings.batch_size // world


def check_finite(name, value, step, settings):
    """InputError where a number of the training is none: it diverged. All processes know it."""
    if not math.isfinite(value):
        lower = f"a muon_lr below {settings.muon_lr:g} or " if settings.muon_lr else ""
        raise InputError(
            f"the training diverged, its {name} is {value} at step {step}: start again with "
            f"{lower}an lr below {settings.lr:g}"
        )


def backward(terms, batch, settings, device):
    """Gather the gradients of a process's rows, part by part.

    batch: x and its noise, tensors (rows, ...). Returns the sum of what all rows paid and the sum
    of their weights; the gradients are of the former alone.
    """
    parts = [*zip(*(rows.chunk(settings.grad_accumulation) for rows in batch), strict=True)]
    paid = weight = 0.0
    for part in parts:
        with nullcontext() if part is parts[-1] else terms.no_sync():
            with _autocast(settings.dtype, device):
                part_paid, part_weight = terms(*part)
            part_paid.backward()
        paid += part_paid.item()
        weight += float(part_weight)
    return paid, weight


def validation(model, data, settings):
    """Nats per token of some validation windows, and the standard error, always by one noise."""
    generator = torch.Generator(model.device).manual_seed(settings.seed + 2)
    val = nats_per_token(model, data, generator, draws=4, max_windows=settings.eval_windows)
    return val.mean, val.se


def _autocast(dtype, device):
    wanted = dtype == "bfloat16" or (
        dtype == "auto" and device.type == "cuda" and torch.cuda.is_bf16_supported()
    )
    return torch.autocast(device.type, torch.bfloat16) if wanted else nullcontext()
