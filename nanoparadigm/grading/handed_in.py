"""What runs beside a notebook that is graded, in its process: `check` keeps what it is given.

`kernel.py` copies this file into the folder in which the notebook runs. No exercise is there, and
nothing here knows what is right: an answer is given arguments, and its numbers are sent back.
"""

import base64
import json
from collections.abc import Callable
from typing import Any

import torch
from safetensors.torch import load, save
from torch import Tensor

import nanoparadigm.exercises
from nanoparadigm.exercises.grader import Verdict
from nanoparadigm.explain.calling import Unusable, stopped, tensor_of

ANSWERS: dict[str, Callable] = {}
"""the name of an exercise -> the answer that `check` was given last"""
NEW: set[str] = set()


def check(name: str, answer: Callable, seed: int = 0) -> Verdict:
    """Keep an answer."""
    ANSWERS[str(name)] = answer
    NEW.add(str(name))
    return Verdict(True, None, f"{name}: handed in.")


def begin() -> None:
    """Put `check` in the place of the package's."""
    nanoparadigm.exercises.check = check


def names() -> str:
    """Return the names for which `check` was given an answer since this was last called."""
    text = json.dumps(sorted(NEW))
    NEW.clear()
    return sent(text.encode())


def reply(name: str, kinds: str, packed: str) -> str:
    """Call an answer with the arguments that `answers.pack` has packed.

    Return what it returns; if there is a "slope", the gradients of the sum of the slope times it,
    by the number of the argument; or the problem that there was.
    """
    try:
        arguments, slope = unpacked(json.loads(kinds), load(base64.b64decode(packed)))
        said = tensor_of(ANSWERS[name], *arguments)
        leaves = [n for n, a in enumerate(arguments) if getattr(a, "requires_grad", False)]
        smooth = bool(leaves) and said.requires_grad
        tensors = {"said": said, "smooth": torch.tensor(smooth)}
        if slope is not None:
            found = torch.autograd.grad(said, [arguments[n] for n in leaves], slope)
            tensors = {str(n): gradient for n, gradient in zip(leaves, found, strict=True)}
        return sent(save({n: t.detach().clone().contiguous() for n, t in tensors.items()}))
    except Exception as error:
        problem = error if isinstance(error, Unusable) else stopped(error)
        return sent(save({"problem": torch.tensor([*str(problem).encode()], dtype=torch.uint8)}))


def unpacked(kinds: list, tensors: dict[str, Tensor]) -> tuple[list[Any], Tensor | None]:
    """Return the arguments that `answers.pack` has packed, and the slope or None."""
    arguments = kinds[:]
    for n, kind in enumerate(kinds):
        if kind in ("tensor", "leaf"):
            arguments[n] = tensors[str(n)].requires_grad_(kind == "leaf")
        elif kind == "generator":
            arguments[n] = torch.Generator()
            arguments[n].set_state(tensors[str(n)])
    return arguments, tensors.get("slope")


def sent(data: bytes) -> str:
    """Return bytes as text that needs no escapes."""
    return base64.b64encode(data).decode()
