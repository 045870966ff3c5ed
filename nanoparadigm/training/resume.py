"""Resume a run: with the model, text and settings it began with and no others, bit for bit."""

import math
from dataclasses import asdict, dataclass
from typing import Annotated, Any, Self

import torch
from msgspec import Meta

from .. import files
from ..data import corpora
from ..errors import InputError
from ..files import StrPath
from ..paradigms import Paradigm
from . import checkpoint
from .optimizer import Muon
from .settings import RESUMABLE, Settings

MOMENTS = {Muon: ["momentum"], torch.optim.AdamW: ["step", "exp_avg", "exp_avg_sq"]}
"""what an optimiser keeps for every parameter: `step` is a number, the others have its shape"""


@dataclass(frozen=True)
class Began:
    """What a checkpoint says about how its run began."""

    corpus: str
    text: int | str
    settings: Settings

    @classmethod
    def of(cls, saved: checkpoint.Checkpoint) -> Self:
        """Read a checkpoint. Raises InputError if something is missing."""
        source = f"{saved.folder}/config.json"
        return files.typed(saved.config, cls, source, checkpoint.RESTART)


def check_same(
    run: StrPath,
    saved: checkpoint.Checkpoint,
    model: Paradigm,
    data: corpora.TokenizedCorpus,
    settings: Settings,
) -> None:
    """Raise InputError if the run began with another model, another text or other settings.

    RESUMABLE settings may differ.
    """
    began = Began.of(saved)
    assert saved.model.recipe and model.recipe  # `build` made both
    old = saved.model.recipe | asdict(began.settings)
    for name, value in (model.recipe | asdict(settings)).items():
        if name not in RESUMABLE and old.get(name) != value:
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
    """What a checkpoint keeps of one optimiser: tensors for each parameter, by its number."""

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
    scaler: dict[str, float] | None = None
    """of the loss in float16; earlier versions had none"""


def restore(
    saved: checkpoint.Checkpoint,
    model: Paradigm,
    optimizers: list[torch.optim.Optimizer],
    batches: corpora.WindowBatches,
    noise: torch.Generator,
    scaler: torch.amp.GradScaler,
) -> tuple[int, float, float]:
    """Put everything back as it was when the checkpoint was saved.

    Returns the step, the seconds of training, and the lowest validation so far. Raises InputError
    if the checkpoint is damaged or of another model.
    """
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
            # everything else follows from the settings, which are those of the run
            optimizer.load_state_dict(optimizer.state_dict() | dict(state=stored["state"]))
        if kept := state.get("scaler"):
            scaler.load_state_dict(kept)
    model.load_state_dict(saved.model.state_dict())
    best = math.inf if state["best"] is None else state["best"]
    return state["step"], state["seconds"], best


def check_moments(
    optimizer: torch.optim.Optimizer, state: dict[int, dict[str, torch.Tensor]]
) -> None:
    """Raise ValueError if the moments do not fit this optimiser's parameters.

    Its kernels would read and write beyond their memory without a check.
    """
    parameters = dict(enumerate(p for group in optimizer.param_groups for p in group["params"]))
    for i, found in state.items():
        wanted: dict[str, Any] = dict.fromkeys(MOMENTS[type(optimizer)], parameters.get(i))
        if "step" in wanted:
            wanted["step"] = torch.empty(())
        if i not in parameters or checkpoint.shapes(found) != checkpoint.shapes(wanted):
            raise ValueError("its training state is of another model")
