"""Refuse bad input in one sentence: what was wrong, and what to do."""

import difflib
from collections.abc import Iterable, Mapping
from typing import Any


class InputError(Exception):
    """Input that cannot be used; the message says what to do instead.

    The command line prints the message and exits with status 2.
    """


def lookup(kind: str, name: str, options: Mapping[str, Any]) -> Any:
    """Return options[name].

    Raises InputError, which calls the name an unknown `kind`, suggests the nearest valid name and
    lists them all.
    """
    if isinstance(name, str) and name in options:
        return options[name]
    lower = {option.lower(): option for option in options}
    near = difflib.get_close_matches(str(name).lower(), lower, n=1, cutoff=0.5)
    listed = f"choose from {', '.join(options)}"
    hint = f"did you mean {lower[near[0]]!r}? ({listed})" if near else listed
    shown = repr(name)
    shown = shown if len(shown) <= 200 else f"{shown[:100]} ... {shown[-100:]}"
    raise InputError(f"unknown {kind} {shown}: {hint}")


MOST = 2**31 - 1
"""the largest count that is accepted: no machine has more, and some cannot count further"""


def check_positive(settings: Any, names: Iterable[str]) -> None:
    """Raise InputError if one of these attributes is a number below 1 or above MOST.

    None, which stands for "not given", passes.
    """
    for name in names:
        value = getattr(settings, name)
        if value is None:
            continue
        if not value >= 1:
            raise InputError(f"{name} is {value}: give a whole number of 1 or more")
        if value > MOST:
            raise InputError(f"{name} is too large: give a whole number below 2**31")


def check_seed(seed: int) -> None:
    """Raise InputError if a torch.Generator cannot take this seed or one soon after it."""
    if not 0 <= seed < 2**63:
        shown = seed if abs(seed) < 10**30 else "out of range"
        raise InputError(f"seed is {shown}: give a whole number from 0 to 2**63 - 1")
