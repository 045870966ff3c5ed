"""The training loop, as a generator: `for record in train(model, data, settings)`.

It knows no paradigm: a batch of text in, its loss down, and every so often `model.nll_bound` on
fixed windows of the validation split with fixed noise. Two generators do all the drawing, one for
the order of the data (so that every model of a comparison reads the same) and one for the noise;
their states are saved, so a run that was interrupted repeats the rest bit for bit (on a CPU).

Where several processes train together (`distributed.py`) all of them draw the same, and each takes
its own rows: the step is the one that a single process would take.
"""

import json
import math
import os
import time
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import torch
from msgspec import Meta

from . import checkpoint, corpora, distributed, files
from .errors import MOST, InputError, at_least_one, check_seed, choose
from .evaluate import nats_per_token
from .network import Dropout
from .optimizer import Muon, make_optimizers
from .paradigms.base import largest_weight

FREE = "max_steps epochs eval_interval eval_windows log_interval device compile".split()
"""the settings that a resumed run may change"""
STEEPEST = 1000
"""the largest learning rate and weight decay: no training survives one near it"""

MOMENTS = {Muon: ["momentum"], torch.optim.AdamW: ["step", "exp_avg", "exp_avg_sq"]}
"""what an optimiser keeps of every parameter; `step` is a number, the others are like it"""


@dataclass(frozen=True)
class Settings:
    """How to train."""

    max_steps: int = 2000
    """optimiser steps"""
    epochs: float | None = None
    """passes over the training text, instead of max_steps; a resumed run may be given either"""
    batch_size: int = 16
    """windows in a batch, of all processes together"""
    grad_accumulation: int = 1
    """batches whose gradients make up one step"""
    muon_lr: float = 0.04
    """peak learning rate of the matrices inside the blocks, by Muon; 0 leaves them to AdamW"""
    lr: float = 12e-3
    """peak learning rate of everything else, by AdamW"""
    warmup: float = 0.05
    """share of the steps in which the learning rates rise"""
    decay: str = "linear"
    """how they then fall: linear or cosine"""
    final_lr: float = 0.0
    """share of the peak at which they end"""
    weight_decay: float = 0.1
    """of the matrices inside the blocks"""
    grad_clip: float = 1.0
    """largest norm of the gradient; 0 leaves it alone"""
    eval_interval: int = 250
    """steps between evaluations, each of which also saves a checkpoint"""
    eval_windows: int = 64
    """validation windows in an evaluation while training"""
    log_interval: int = 100
    """steps between lines of log.jsonl"""
    dtype: str = "auto"
    """float32, bfloat16, or auto: bfloat16 where a GPU has it"""
    compile: bool = False
    """compile the network first (needs a C++ compiler)"""
    device: str = "cpu"
    """cpu or cuda"""
    seed: int = 0
    """of the weights, the data order and the noise"""

    def __post_init__(self):
        counts = "max_steps batch_size grad_accumulation eval_interval eval_windows log_interval"
        at_least_one(self, counts.split())
        check_seed(self.seed)
        if self.epochs is not None and not 0 < self.epochs < math.inf:
            raise InputError(f"epochs is {self.epochs}: give a number above 0")
        if not 0 < self.lr <= STEEPEST:
            raise InputError(
                f"lr is {self.lr}: give a number above 0 and up to {STEEPEST}, 0.003 for example"
            )
        if not 0 <= self.warmup < 1:
            raise InputError(f"warmup is {self.warmup}: give a share of the steps, from 0 to 1")
        choose("decay", self.decay, DECAYS)
        if not 0 <= self.final_lr <= 1:
            raise InputError(f"final_lr is {self.final_lr}: give a share of the peak, from 0 to 1")
        for name in ("muon_lr", "weight_decay"):
            if not 0 <= getattr(self, name) <= STEEPEST:
                raise InputError(
                    f"{name} is {getattr(self, name)}: give a number from 0 to {STEEPEST}"
                )
        if not 0 <= self.grad_clip < math.inf:
            raise InputError(f"grad_clip is {self.grad_clip}: give a number of 0 or more")
        if self.dtype not in ("auto", "float32", "bfloat16"):
            raise InputError(f"dtype is {self.dtype!r}: choose from auto, float32, bfloat16")


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
    with (lock or checkpoint.sole_writer(run)) if writes else nullcontext():
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


@dataclass(frozen=True)
class Began:
    """What a checkpoint says of how its run began."""

    corpus: str
    text: int | str
    settings: Settings

    @classmethod
    def of(cls, saved):
        """Raises InputError where the checkpoint does not say it all."""
        source = f"{saved.folder}/config.json"
        return files.typed(saved.config, cls, source, checkpoint.RESTART)


def check_same(run, saved, model, data, settings):
    """InputError if a run that began with one model, text and settings would go on with others."""
    began = Began.of(saved)
    old = saved.model.recipe | asdict(began.settings)
    for name, value in (model.recipe | asdict(settings)).items():
        if name not in FREE and old.get(name) != value:
            raise InputError(
                f"the run in {run} has {name} {old.get(name)} and cannot go on with {value}: "
                "keep it, or start a new run in another folder"
            )
    its = corpora.is_text_of(saved.config, data.corpus, saved.tokenizer)
    if not its or began.text != data.fingerprint:
        raise InputError(
            f"{data.corpus.name} is not the text that the run in {run} began with: "
            "put that text back, or start a new run"
        )


@dataclass(frozen=True)
class Kept:
    """What a checkpoint keeps of one optimiser: the tensors of each parameter, by its number."""

    state: dict[int, dict[str, torch.Tensor]]


@dataclass(frozen=True)
class Place:
    """What a checkpoint keeps of the batches."""

    epoch: Annotated[int, Meta(ge=0, le=2**40)]
    position: Annotated[int, Meta(ge=0)]
    generator: torch.Tensor


@dataclass(frozen=True)
class State:
    """What a checkpoint keeps so that a run can go on."""

    optimizers: list[Kept]
    batches: Place
    noise: torch.Tensor
    step: int
    seconds: Annotated[float, Meta(ge=0)]
    best: float | None
    """validation; None before the first"""


def _restore(saved, model, optimizers, batches, noise):
    """Put everything back as it was; returns step, seconds, best validation."""
    state = checkpoint.load_training(saved)
    with checkpoint.blame(f"{saved.folder} cannot be resumed", checkpoint.RESTART):
        files.typed(state, State, "its training state", "")
        if state["step"] != saved.config["step"]:
            raise ValueError("its training state is of another step")
        for optimizer, stored in zip(optimizers, state["optimizers"], strict=True):
            check_moments(optimizer, stored["state"])
        batches.load_state_dict(state["batches"])
        if batches.epoch > state["batches"]["epoch"] + 1:
            raise ValueError("its place in the text is beyond the end")
        noise.set_state(state["noise"].cpu())
        for optimizer, stored in zip(optimizers, state["optimizers"], strict=True):
            # the settings, which are those of the run, have decided on all else
            optimizer.load_state_dict(optimizer.state_dict() | dict(state=stored["state"]))
    model.load_state_dict(saved.model.state_dict())
    best = math.inf if state["best"] is None else state["best"]
    return state["step"], state["seconds"], best


def check_moments(optimizer, state):
    """ValueError for moments of other parameters than this optimiser's, whose memory its kernels
    would read and write unseen."""
    parameters = dict(enumerate(p for group in optimizer.param_groups for p in group["params"]))
    for i, found in state.items():
        wanted = dict.fromkeys(MOMENTS[type(optimizer)], parameters.get(i))
        if "step" in wanted:
            wanted["step"] = torch.empty(())
        if i not in parameters or checkpoint.shapes(found) != checkpoint.shapes(wanted):
            raise ValueError("its training state is of another model")


DECAYS = dict(linear=lambda left: left, cosine=lambda left: (1 - math.cos(math.pi * left)) / 2)
"""name -> the share of the way down still ahead, from the share of the steps still ahead"""


def peak_share(step, total, settings):
    """Which share of its peak a learning rate has: linear up over the warm-up, then down."""
    rising = max(1, round(settings.warmup * total))
    if step < rising:
        return (step + 1) / rising
    left = DECAYS[settings.decay]((total - step) / max(1, total - rising))
    return settings.final_lr + (1 - settings.final_lr) * left


def total_steps(settings, data):
    """max_steps, or the steps that `epochs` passes over the text take."""
    if settings.epochs is None:
        return settings.max_steps
    per_step = settings.batch_size * settings.grad_accumulation * data.length
    steps = settings.epochs * len(data.train) / per_step
    if steps > MOST:
        raise InputError(f"epochs is {settings.epochs}: that is {steps:.0e} steps, give fewer")
    return max(1, round(steps))


@dataclass(frozen=True)
class Record:
    """A line of log.jsonl, in which null stands for NaN."""

    step: Annotated[int, Meta(ge=0)]
    loss: float | None
    lr: float | None
    seconds: float | None


@dataclass(frozen=True)
class Evaluated(Record):
    """One of an evaluation."""

    val: float | None
    val_se: float | None


class Log:
    """log.jsonl: one record a line. What an interrupted run wrote after `keep_to` is dropped."""

    def __init__(self, run, keep_to):
        self.path = Path(run) / "log.jsonl"
        checkpoint.make(self.path.parent)
        kept = [r for r in read_log(run) if r["step"] <= keep_to] if keep_to else []
        lines = "".join(map(self.line, kept))
        unfinished = self.path.with_name("log.jsonl.unfinished")
        unfinished.write_text(lines, encoding="utf-8")
        checkpoint.sync(unfinished)
        os.replace(unfinished, self.path)
        checkpoint.sync(self.path.parent)

    def write(self, record):
        with open(self.path, "a", encoding="utf-8") as f:
            f.write(self.line(record))

    @staticmethod
    def line(record):
        return json.dumps(checkpoint.without_nan(record)) + "\n"


def read_log(run):
    """The records of a run's log.jsonl, those that `read_lines` can read."""
    return read_lines(run)[0]


def read_lines(run):
    """The records of a run's log.jsonl, and the numbers of the lines that hold none.

    A power cut or an editor may have damaged those. Where a record has null, NaN is given back.
    """
    path = Path(run) / "log.jsonl"
    records, damaged = [], []
    for number, line in enumerate(files.read(path).splitlines() if path.exists() else [], 1):
        try:
            record = files.parse_json(line)
            files.typed(record, dict[str, float | None], path, "")
            files.typed(record, Evaluated if "val" in record else Record, path, "")
        except InputError:
            damaged.append(number)
            continue
        records.append({k: math.nan if v is None else v for k, v in record.items()})
    return records, damaged


def usable(name):
    """The torch.device of that name; InputError if this machine has none that can train."""
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
        torch.Generator(device)
    except (RuntimeError, AssertionError) as error:
        raise InputError(f"device {name!r} cannot be used here: try --device cpu") from error
    return device


def _autocast(dtype, device):
    wanted = dtype == "bfloat16" or (
        dtype == "auto" and device.type == "cuda" and torch.cuda.is_bf16_supported()
    )
    return torch.autocast(device.type, torch.bfloat16) if wanted else nullcontext()
