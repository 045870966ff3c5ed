"""The settings of a training, and the learning rate and number of steps that follow from them."""

import math
from dataclasses import dataclass

import torch

from ..data.corpus import TokenizedCorpus
from ..errors import MOST, InputError, check_positive, check_seed, lookup

RESUMABLE = "max_steps epochs eval_interval eval_windows log_interval device compile".split()
"""the settings that a resumed run may change"""
STEEPEST = 1000
"""the largest learning rate and weight decay allowed: no training survives one near it"""


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
    muon_momentum: float = 0.95
    """share of its gradients so far that Muon keeps: less for a short run"""
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
    """float32, bfloat16, float16, or auto: on a GPU bfloat16, or float16 where it has no such"""
    compile: bool = False
    """compile the network first (needs a C++ compiler)"""
    device: str = "cpu"
    """cpu or cuda"""
    seed: int = 0
    """of the weights, the data order and the noise"""

    def __post_init__(self) -> None:
        counts = "max_steps batch_size grad_accumulation eval_interval eval_windows log_interval"
        check_positive(self, counts.split())
        check_seed(self.seed)
        if not 0 <= self.muon_momentum < 1:
            raise InputError(f"muon_momentum is {self.muon_momentum}: give a share from 0 up to 1")
        if self.epochs is not None and not 0 < self.epochs < math.inf:
            raise InputError(f"epochs is {self.epochs}: give a number above 0")
        if not 0 < self.lr <= STEEPEST:
            raise InputError(
                f"lr is {self.lr}: give a number above 0 and up to {STEEPEST}, 0.003 for example"
            )
        if not 0 <= self.warmup < 1:
            raise InputError(f"warmup is {self.warmup}: give a share of the steps, from 0 to 1")
        lookup("decay", self.decay, DECAYS)
        if not 0 <= self.final_lr <= 1:
            raise InputError(f"final_lr is {self.final_lr}: give a share of the peak, from 0 to 1")
        for name in ("muon_lr", "weight_decay"):
            if not 0 <= getattr(self, name) <= STEEPEST:
                raise InputError(
                    f"{name} is {getattr(self, name)}: give a number from 0 to {STEEPEST}"
                )
        if not 0 <= self.grad_clip < math.inf:
            raise InputError(f"grad_clip is {self.grad_clip}: give a number of 0 or more")
        if self.dtype not in DTYPES:
            raise InputError(f"dtype is {self.dtype!r}: choose from {', '.join(DTYPES)}")


DTYPES = "auto float32 bfloat16 float16".split()
DECAYS = dict(linear=lambda left: left, cosine=lambda left: (1 - math.cos(math.pi * left)) / 2)
"""name -> the share of the way down still ahead, from the share of the steps still ahead"""


def lr_multiplier(step: int, total: int, settings: Settings) -> float:
    """Return the share of its peak that a learning rate has after `step` of `total` steps.

    It rises linearly over the warm-up, then falls.
    """
    rising = max(1, round(settings.warmup * total))
    if step < rising:
        return (step + 1) / rising
    left = DECAYS[settings.decay]((total - step) / max(1, total - rising))
    return settings.final_lr + (1 - settings.final_lr) * left


def total_steps(settings: Settings, data: TokenizedCorpus) -> int:
    """Return max_steps or, if `epochs` is given, the steps that so many passes over the text take.

    Raises InputError if they are too many to count.
    """
    if settings.epochs is None:
        return settings.max_steps
    per_step = settings.batch_size * settings.grad_accumulation * data.length
    steps = settings.epochs * len(data.train) / per_step
    if steps > MOST:
        raise InputError(f"epochs is {settings.epochs}: that is {steps:.0e} steps, give fewer")
    return max(1, round(steps))


def resolve_device(name: str) -> torch.device:
    """Return the torch.device of that name. Raises InputError if it cannot be trained on here."""
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
        torch.Generator(device)
    except (RuntimeError, AssertionError) as error:
        raise InputError(f"device {name!r} cannot be used here: try `device` cpu") from error
    return device


def precision(dtype: str, device: torch.device) -> torch.dtype:
    """Return the type that the loss is computed in: `dtype`, or what `auto` stands for there."""
    if dtype != "auto":
        return getattr(torch, dtype)
    if device.type != "cuda":
        return torch.float32
    native = torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.bfloat16 if native else torch.float16
