"""Flags that come from the registry: a new paradigm brings its own, and no command is edited."""

import ast
import inspect
import textwrap
from dataclasses import Field, field, fields, make_dataclass
from functools import cache
from typing import Annotated, Any

import tyro

from ..networks import NETWORKS
from ..paradigms import PRESETS, listed, names, options_of
from ..paradigms.schedules import SCHEDULES

LEFT_TO_RIGHT = names(lambda paradigm: not paradigm.infills, "and")
BOUNDED = names(lambda paradigm: not paradigm.exact)
IN_STEPS = names(lambda paradigm: not paradigm.causal, "and")
NOT_FLAGS = {"masking"}  # whose weights the study of schedules fills in
Options = dict[str, tuple[Any, str]]
"""name -> type and help"""
TOLD = {"schedule": f"of the noise: {', '.join(SCHEDULES)}"}


def flag(kind: Any, text: str) -> Any:
    """Return the type of a flag whose help is not a fixed text."""
    return Annotated[kind, tyro.conf.arg(help=text)]


def kind(f: Field) -> Any:
    """Return the type of a field, without its help."""
    return f.type.__origin__ if hasattr(f.type, "__metadata__") else f.type


def paradigm_options() -> Options:
    """Return name -> (type, help) of what the constructors of paradigms take."""
    found = {}
    for name, preset in PRESETS.items():
        for option, parameter in options_of(preset.paradigm).items():
            if option not in NOT_FLAGS:
                found.setdefault(option, (parameter, []))[1].append(name)
    return {
        option: (
            parameter.annotation,
            f"{', '.join(models)}: {TOLD.get(option, option.replace('_', ' '))} "
            f"(usually {parameter.default})",
        )
        for option, (parameter, models) in found.items()
    }


def sampler_options() -> Options:
    """Return name -> (type, help) of the fields of samplers, and of `sampler` itself."""
    found, choices = {}, []
    owners = {}  # a paradigm is listed once, under the name of its first preset
    for name, preset in PRESETS.items():
        owners.setdefault(preset.paradigm, name)
    for paradigm, name in owners.items():
        if len(paradigm.samplers) > 1:
            first, *rest = paradigm.samplers
            choices.append(f"{name}: {', '.join([f'{first} (default)', *rest])}")
        for sampler, make in paradigm.samplers.items():
            for f in fields(make):
                _, told = found.setdefault(f.name, (f.type, {}))
                told.setdefault(documented(make, f.name), []).append(f"{name} {sampler}")
    return {"sampler": (str, "; ".join(choices))} | {
        option: (wanted, "; ".join(f"{', '.join(whose)}: {text}" for text, whose in told.items()))
        for option, (wanted, told) in found.items()
    }


def documented(cls: type, name: str) -> str:
    """Return the string below the field of that name in the class, or in one it inherits from."""
    for owner in cls.__mro__:
        if name in vars(owner).get("__annotations__", {}):
            return docstrings(owner).get(name, name)
    return name


@cache
def docstrings(cls: type) -> dict[str, str]:
    """Return field -> the string below it, for the fields of a class that have one."""
    body = ast.parse(textwrap.dedent(inspect.getsource(cls))).body[0].body
    return {
        node.target.id: " ".join(ast.literal_eval(after.value).split())
        for node, after in zip(body, body[1:], strict=False)
        if isinstance(node, ast.AnnAssign) and isinstance(after, ast.Expr)
    }


def as_flags(name: str, options: Options, bases: tuple[type, ...] = ()) -> type:
    """Return a frozen dataclass with a field for each option, None where it is not given."""
    rows = [
        (option, flag(wanted | None, text), field(default=None))
        for option, (wanted, text) in options.items()
    ]
    return make_dataclass(name, rows, bases=bases, frozen=True)


MODELS = listed(PRESETS)
DECODINGS = ", ".join(
    {name: None for preset in PRESETS.values() for name in preset.paradigm.decodings}
)
NETWORK_NAMES = listed(NETWORKS)
