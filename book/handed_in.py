"""What runs beside a notebook that is graded, in its process: `check` keeps what it is given.

`grade.py` copies this file into the folder in which the notebook runs. No exercise is there, and
nothing here knows what is right: an answer is given arguments, and its numbers are sent back.
"""

import json
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file

import nanoparadigm.exercises
from nanoparadigm.exercises.grader import Verdict
from nanoparadigm.explain.calling import Unusable, stopped, tensor_of

ANSWERS = {}
"""the name of an exercise -> the answer that `check` was given last"""
NEW = set()


def check(name, answer, seed=0):
    ANSWERS[str(name)] = answer
    NEW.add(str(name))
    return Verdict(True, None, f"{name}: handed in.")


nanoparadigm.exercises.check = check


def limit(gib):
    """Let this process take so much memory and no more, where the system can limit it."""
    try:
        import resource
    except ImportError:
        return  # as on Windows
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    asked = int(gib * 2**30)
    most = asked if most == resource.RLIM_INFINITY else min(asked, most)
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


def names(path):
    """Write the names for which `check` was given an answer since this was last called."""
    Path(path).write_text(json.dumps(sorted(NEW)), encoding="utf-8")
    NEW.clear()


def reply(name, asked, answered):
    """Call an answer with the arguments in the file `asked`, and write the file `answered`.

    That holds what the answer returns; if a "slope" is asked for, the gradients of the sum of the
    slope times it, by the number of the argument; or, as metadata, the problem that there was.
    """
    try:
        arguments, slope = unpacked(asked)
        said = tensor_of(ANSWERS[name], *arguments)
        leaves = [n for n, a in enumerate(arguments) if getattr(a, "requires_grad", False)]
        tensors, smooth = {"said": said}, bool(leaves) and said.requires_grad
        if slope is not None:
            found = torch.autograd.grad(said, [arguments[n] for n in leaves], slope)
            tensors = {str(n): gradient for n, gradient in zip(leaves, found, strict=True)}
        plain = {name: tensor.detach().clone().contiguous() for name, tensor in tensors.items()}
        save_file(plain, answered, {"smooth": json.dumps(smooth)})
    except Unusable as problem:
        save_file({}, answered, {"problem": str(problem)})
    except Exception as error:
        save_file({}, answered, {"problem": str(stopped(error))})


def unpacked(path):
    """The arguments that `grade.pack` has written, and the slope or None."""
    with safe_open(path, "pt") as file:
        arguments = json.loads(file.metadata()["arguments"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}
    for n, kind in enumerate(arguments):
        if kind in ("tensor", "leaf"):
            arguments[n] = tensors[str(n)].requires_grad_(kind == "leaf")
        elif kind == "generator":
            arguments[n] = torch.Generator()
            arguments[n].set_state(tensors[str(n)])
    return arguments, tensors.get("slope")
