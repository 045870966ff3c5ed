"""Call a function that somebody wrote, whatever it does, and take the numbers that it returns."""

import dis
import inspect
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

from .errors import meaning, place

SECONDS = 60
"""how long one call of an answer may take"""
MOST = 10_000_000
"""how many numbers an answer may return"""


class Unusable(Exception):
    """Raised if an answer stops or gives no numbers; the message says which, as in "it ..."."""


class Nothing(Unusable):
    """Raised if an answer returns nothing."""


def tensor_of(answer: Callable, *given) -> Tensor:
    """Return what an answer returns as a tensor. Raises Unusable, whatever the answer does.

    Only an interrupt that comes from outside, by which somebody stops the cell, goes on.
    """
    if not callable(answer):
        what = type(answer).__name__
        raise Unusable(f"is not a function ({what}): give check the function, not what it returns")
    try:
        with limited(SECONDS):
            said = answer(*given)
    except Unusable:  # of an answer that is called in another process
        raise
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt) and not raised(error):
            raise
        if isinstance(error, TypeError) and not place(error):
            count = f"{len(given)} argument{'s' * (len(given) != 1)}"
            raise Unusable(f"cannot be called with {count}: {meaning(error)}") from error
        raise stopped(error) from error
    if said is None or said is Ellipsis:
        raise Nothing("gave nothing: end it with return")
    return tensor(said)


def stopped(error: BaseException) -> Unusable:
    """Return the Unusable that says which error stopped an answer, and in which line of it."""
    if isinstance(error, TooLong):
        return Unusable(f"had not finished after {SECONDS} seconds{place(error)}")
    return Unusable(f"stopped{place(error)}: {meaning(error)}")


def raised(error: BaseException) -> bool:
    """Tell whether a `raise` raised an error: an interrupt from outside comes anywhere else."""
    step = error.__traceback__
    while step and step.tb_next:
        step = step.tb_next
    raising = dis.opmap["RAISE_VARARGS"]
    return step is not None and step.tb_frame.f_code.co_code[step.tb_lasti] == raising


def unwritten(answer: Callable) -> bool:
    """Tell whether a function has nothing in it, as `...`, so that nobody has begun to write it."""
    nothing = {"RESUME", "NOP", "LOAD_CONST", "RETURN_VALUE", "RETURN_CONST"}
    return inspect.isfunction(answer) and nothing >= {
        step.opname for step in dis.get_instructions(answer)
    }


class TooLong(BaseException):
    """Raised in an answer that does not end; no Exception, which the answer might catch."""


@contextmanager
def limited(seconds: float) -> Iterator[None]:
    """Raise TooLong in the block after so many seconds, where that can be done.

    By a signal, which ends any loop in Python, and sleep, and leaves no thread behind that computes
    on. It comes in the main thread, which is that of a notebook; Windows has none. Where there is
    none, or another alarm is set, an answer without end must be interrupted by hand.
    """
    main = threading.current_thread() is threading.main_thread()
    if not main or not hasattr(signal, "setitimer") or signal.getitimer(signal.ITIMER_REAL)[0]:
        yield
        return

    def too_long(*anything) -> None:
        raise TooLong

    before = signal.signal(signal.SIGALRM, too_long)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


# ------------------------------------------------------------------------ what an answer returned

UNFIT = {
    "generator": "gave a generator (write return for yield, or [...] for (...))",
    "coroutine": "gave a coroutine (write def without async)",
    "function": "gave a function (call it)",
    "type": "gave a type (call it)",
    "map": "gave a map (list makes a list of it)",
}
"""a type whose values are no numbers -> what to say of them"""


def tensor(said: object) -> Tensor:
    """Return what an answer returned as a tensor of numbers. Raises Unusable if it is none."""
    name = type(said).__name__
    try:
        if type(said).__module__ == "torch.return_types":
            raise Unusable("gave values and indices together: take .values or .indices")
        if isinstance(said, Tensor | np.ndarray | np.generic | list | tuple | int | float):
            return gathered(said)
    except Unusable:
        raise
    except Exception as error:
        raise Unusable(f"gave a {name} of something other than numbers") from error
    raise Unusable(f"{UNFIT.get(name, f'gave a {name}')}, not a tensor of numbers")


def gathered(said: object) -> Tensor:
    """Return a number, a tensor, an array, or nested lists of them as one tensor."""
    several = isinstance(said, list | tuple)
    if several and not all(isinstance(item, int | float) for item in said):
        parts = [gathered(item) for item in said]
        shapes = list(dict.fromkeys(tuple(part.shape) for part in parts))
        if len(shapes) > 1:
            raise Unusable(f"gave parts of different shapes, {shapes[0]} and {shapes[1]}")
        return ordinary(torch.stack(parts))
    if isinstance(said, np.ndarray):
        said = said.copy()  # torch takes no array that runs backwards
    exact = several or type(said) in (int, float)
    return ordinary(torch.as_tensor(said, dtype=torch.float64 if exact else None))


def ordinary(said: Tensor) -> Tensor:
    """Return a tensor on the CPU, with all its numbers. Raises Unusable if it is odd, or huge."""
    kinds = {
        "complex": said.is_complex(),
        "quantised": said.is_quantized,
        "nested": said.is_nested,
        "meta": said.is_meta,
    }
    for what, found in kinds.items():
        if found:
            raise Unusable(f"gave a {what} tensor: return ordinary numbers")
    if said.numel() > MOST:
        raise Unusable(f"gave {said.numel():,} numbers, a tensor of shape {tuple(said.shape)}")
    return said.cpu().to_dense().as_subclass(Tensor)
