"""The registry: four models on the grid of paradigm x network, and `build`, which makes one."""

import inspect
from dataclasses import asdict, dataclass
from functools import partial

import torch

from ..errors import InputError, choose
from ..hollow import Hollow
from ..mamba import Mamba
from ..network import Sizes
from ..transformer import Transformer
from .ar import Autoregressive
from .base import Paradigm
from .flow import DiscreteFlow
from .mdlm import MaskedDiffusion

NETWORKS = {
    "transformer": Transformer,
    "mamba": Mamba,
    "hollow": partial(Hollow, Transformer),
    "hollow_mamba": partial(Hollow, Mamba),
}


@dataclass(frozen=True)
class Preset:
    paradigm: type[Paradigm]
    network: str
    title: str


PRESETS = {
    "ar": Preset(Autoregressive, "transformer", "autoregressive (GPT)"),
    "diffusion": Preset(MaskedDiffusion, "hollow", "masked diffusion (MDLM)"),
    "flow": Preset(DiscreteFlow, "hollow", "discrete flow, uniform noise"),
    "mamba": Preset(Autoregressive, "mamba", "autoregressive (Mamba)"),
}


def build(name, vocab_size, *, network=None, schedule=None, masking=None, seed=0, **sizes):
    """One of PRESETS over `vocab_size` symbols, freshly initialised from `seed`.

    network: another of NETWORKS under the same paradigm. schedule: one of SCHEDULES, for the
    paradigms that have a noise level. masking: "uniform" or "entropy", for the one that masks.
    sizes: see `Sizes`. The recipe stays on the model as
    `model.recipe`, so that `build(**model.recipe)` makes its twin. Raises InputError.
    """
    preset = choose("model", name, PRESETS)
    network = network or preset.network
    make = choose("network", network, NETWORKS)
    kind = preset.paradigm
    given = dict(schedule=schedule, masking=masking)
    options = {option: value for option, value in given.items() if value is not None}
    for option in options:
        if option not in inspect.signature(kind).parameters:
            raise InputError(f"{name} has no {option}: drop --{option}")
    sizes = Sizes(**sizes)
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
    model = kind(net, vocab_size, **options)
    model.recipe = dict(
        name=name,
        vocab_size=vocab_size,
        network=network,
        schedule=schedule,
        masking=masking,
        seed=seed,
        **asdict(sizes),
    )
    return model


def parameters(model):
    """Number of trained numbers."""
    return sum(p.numel() for p in model.parameters())


def matched(name, vocab_size, target, tolerance=0.02, **options):
    """`build` with its shape changed, as little as need be, to `target` parameters.

    By the inner width of the MLP if up to half more or less of it is enough, else by depth and
    width as well. Used to compare models at equal size. Raises InputError where no size within the
    tolerance fits.
    """
    for shape in _shapes(name, vocab_size, target, options):
        for model in _inner_widths(name, vocab_size, target, shape):
            if abs(parameters(model) / target - 1) <= tolerance:
                return model
    raise InputError(f"no {name} of about {target:,} parameters: choose a larger --n_embd")


def _shapes(name, vocab_size, target, options):
    """The options as they are, then for every width, the nearest first, with the best depth."""
    yield options
    sizes = Sizes(**{k: v for k, v in options.items() if k in Sizes.__dataclass_fields__})
    grain = 2 * sizes.n_head
    for change in range(0, sizes.n_embd // grain):
        for width in (sizes.n_embd + change * grain, sizes.n_embd - change * grain):
            shape = {**options, "n_embd": width}
            # parameters grow by the same number with every two layers: two depths tell which fits
            one, three = (
                parameters(build(name, vocab_size, **{**shape, "n_layer": n})) for n in (1, 3)
            )
            depth = max(1, round(1 + 2 * (target - one) / (three - one)))
            yield {**shape, "n_layer": depth}


def _inner_widths(name, vocab_size, target, options):
    """The model as it is, then with the inner width that gives `target`, if not far from usual."""
    model = build(name, vocab_size, **options)
    yield model
    # parameters grow by the same number with every unit of it: two widths give all
    one, two = (parameters(build(name, vocab_size, **{**options, "n_inner": n})) for n in (1, 2))
    if two > one:  # a Mamba has no MLP
        usual = 1 + (parameters(model) - one) / (two - one)
        inner = round(1 + (target - one) / (two - one))
        if abs(inner / usual - 1) <= 0.5:
            yield build(name, vocab_size, **{**options, "n_inner": inner})


def build_alike(names, vocab_size, **options):
    """name -> model: the first as `build` makes it, the others `matched` to its parameters."""
    models = {}
    for name in names:
        if not models:
            models[name] = build(name, vocab_size, **options)
            target = parameters(models[name])
        else:
            models[name] = matched(name, vocab_size, target, **options)
    return models
