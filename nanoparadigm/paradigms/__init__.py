"""The registry: models on the grid of paradigm x network, and `build`, which makes one.

A new paradigm is one file beside these, one row of PRESETS, and one row of the contract test.
"""

import inspect
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, fields
from typing import Any

import torch
from torch import nn

from ..errors import InputError, lookup
from ..networks import NETWORKS
from ..networks.base import NetworkConfig
from .ar import Autoregressive
from .base import Paradigm
from .block import BlockDiffusion
from .flow import DiscreteFlow
from .mdlm import MaskedDiffusion


@dataclass(frozen=True)
class Preset:
    """A paradigm with the network it usually runs on, and how both are shown."""

    paradigm: type[Paradigm]
    network: str
    title: str
    colour: str
    marker: str
    """of matplotlib"""
    compared: bool = True
    """`compare` trains it unless told otherwise"""


PRESETS = {
    "ar": Preset(Autoregressive, "transformer", "autoregressive (GPT)", "#0072B2", "o"),
    "diffusion": Preset(MaskedDiffusion, "hollow", "masked diffusion (MDLM)", "#D55E00", "s"),
    "flow": Preset(DiscreteFlow, "hollow", "discrete flow, uniform noise", "#009E73", "^"),
    "mamba": Preset(Autoregressive, "mamba", "autoregressive (Mamba)", "#CC79A7", "D"),
    "mamba2": Preset(
        Autoregressive, "mamba2", "autoregressive (Mamba-2)", "#7E6BC4", "P", compared=False
    ),
    "block": Preset(BlockDiffusion, "hollow", "block diffusion", "#A6761D", "v", compared=False),
}
"""name -> what `build` makes under it, and how that is shown"""


def build(
    name: str, vocab_size: int, *, network: str | None = None, seed: int = 0, **options: Any
) -> Paradigm:
    """Return one of PRESETS over `vocab_size` symbols, freshly initialised from `seed`.

    network: another of NETWORKS under the same paradigm. options: fields of `NetworkConfig`, and
    what the paradigm's constructor takes (`options_of`); None stands for the usual value. What was
    given stays as `model.recipe`, so that `build(**model.recipe)` makes a twin. Raises InputError.
    """
    preset = lookup("model", name, PRESETS)
    kind, network = preset.paradigm, network or preset.network
    make = lookup("network", network, NETWORKS)
    options = {option: value for option, value in options.items() if value is not None}
    own, shared = options_of(kind), {f.name for f in fields(NetworkConfig)}
    given = {option: options.pop(option) for option in own if option in options}
    for option, value in given.items():
        if not isinstance(value, own[option].annotation) or isinstance(value, bool):
            wanted = own[option].annotation.__name__
            raise InputError(f"`{option}` is {value!r}: give a value of type {wanted}")
    for option in options.keys() - shared:
        if any(option in options_of(other.paradigm) for other in PRESETS.values()):
            raise InputError(f"{name} has no {option}: drop `{option}`")
        lookup("option", option, dict.fromkeys([*shared, *own]))
    sizes = NetworkConfig(**options)
    if vocab_size < 1:
        raise InputError(f"vocab_size is {vocab_size}: give the number of symbols, 1 or more")
    net = make(
        vocab_size + kind.extra_symbols,
        sizes,
        causal=kind.causal,
        timed=kind.timed,
        tied=kind.tied,
        generator=torch.Generator().manual_seed(seed),
    )
    model = kind(net, vocab_size, **given)
    what = dict(name=name, vocab_size=vocab_size, network=network, seed=seed)
    model.recipe = what | given | asdict(sizes)
    return model


def options_of(paradigm: type[Paradigm]) -> dict[str, inspect.Parameter]:
    """Return name -> Parameter of what a constructor takes besides net and vocab_size."""
    _, _, *rest = inspect.signature(paradigm).parameters.values()
    return {parameter.name: parameter for parameter in rest}


def parameters(model: nn.Module) -> int:
    """Return how many numbers of the model are trained."""
    return sum(p.numel() for p in model.parameters())


def names(test: Callable[[type[Paradigm]], bool] = lambda paradigm: True, last: str = "or") -> str:
    """Return the PRESETS whose paradigm passes the test, in words: "ar, diffusion or flow"."""
    return listed([name for name, preset in PRESETS.items() if test(preset.paradigm)], last)


def listed(words: Iterable[str], last: str = "or") -> str:
    """Return the words as one says them: "transformer, mamba or hollow"."""
    *first, end = words
    return f"{', '.join(first)} {last} {end}" if first else end
