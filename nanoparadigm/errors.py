"""Bad input ends in one sentence: what was wrong, and what to do."""

import difflib


class InputError(Exception):
    """What the user gave cannot be used; the message says what to do.

    The command line prints the message and exits with status 2.
    """


def choose(kind, name, options):
    """options[name], or an InputError that names the nearest valid name and lists them all."""
    if name in options:
        return options[name]
    near = difflib.get_close_matches(str(name), options, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}? " if near else ""
    raise InputError(f"unknown {kind} {name!r}: {hint}(choose from {', '.join(options)})")


def at_least_one(settings, names):
    """InputError if one of these attributes is a number below 1; None, for "not given", passes."""
    for name in names:
        value = getattr(settings, name)
        if value is not None and value < 1:
            raise InputError(f"{name} is {value}: give a whole number of 1 or more")
