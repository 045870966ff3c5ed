"""Answers that are called in the process of their notebook, and look like functions here."""

import base64
import json
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from safetensors.torch import load, save
from torch import Tensor

from ..explain.calling import Unusable
from .kernel import LONGEST, Kernel, Stopped


def answer(kernel: Kernel, name: str) -> Callable[..., Tensor]:
    """Return the answer given to `check` under that name, as a function that is called there."""
    return lambda *arguments: Elsewhere.apply(partial(call, kernel, name, arguments), *arguments)


class Elsewhere(torch.autograd.Function):
    """Calls an answer in the notebook's process, for its value and, if asked for, its gradient."""

    @staticmethod
    def forward(ctx: Any, call: Callable, *arguments) -> Tensor:
        """Return the value."""
        told = call()
        if "said" not in told:
            raise Unusable("gave no numbers")
        if not told.get("smooth", False):
            ctx.mark_non_differentiable(told["said"])
        ctx.call, ctx.count = call, len(arguments)
        return told["said"]

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients of the arguments."""
        told = ctx.call(slope)
        return None, *(told.get(str(n)) for n in range(ctx.count))


def call(
    kernel: Kernel, name: str, arguments: tuple, slope: Tensor | None = None
) -> dict[str, Tensor]:
    """Return what `handed_in.reply` tells of an answer. Raises Unusable."""
    kinds, packed = pack(arguments, slope)
    try:
        told = load(kernel.ask(f"reply({name!r}, {kinds!r}, {packed!r})", kernel.limits.answer))
    except Stopped as problem:
        raise Unusable(str(problem)) from problem
    except Exception as error:  # whatever the notebook has sent
        raise Unusable("gave no numbers") from error
    if "problem" in told:
        raise Unusable(bytes(told["problem"][:LONGEST].tolist()).decode(errors="replace"))
    return told


def pack(arguments: tuple, slope: Tensor | None) -> tuple[str, str]:
    """Return arguments, which are tensors, numbers or generators, for `handed_in.unpacked`."""
    tensors, kinds = {} if slope is None else {"slope": slope}, []
    for n, argument in enumerate(arguments):
        if isinstance(argument, torch.Generator):
            kinds.append("generator")
            tensors[str(n)] = argument.get_state()
        elif isinstance(argument, Tensor):
            kinds.append("leaf" if argument.requires_grad else "tensor")
            tensors[str(n)] = argument.detach()
        else:
            kinds.append(argument)
    plain = {name: tensor.clone().contiguous() for name, tensor in tensors.items()}
    return json.dumps(kinds), base64.b64encode(save(plain)).decode()
