"""The command line: from words to one of `commands`, and from what goes wrong to one sentence."""

import io
import math
import os
import re
import sys
from contextlib import redirect_stderr
from dataclasses import fields, is_dataclass, replace
from itertools import dropwhile, takewhile

import tyro

from . import __version__, distributed
from .commands import COMMANDS, Train
from .commands.shared import flat
from .errors import InputError, choose
from .machine import keep_memory
from .stopping import INTERRUPTED
from .terminal import guarded, harmless


def flags(command):
    """name -> field of every flag of a command, those of its nested groups included."""
    found = {}
    for f in fields(command):
        if tyro.conf.Positional in getattr(f.type, "__metadata__", ()):
            continue
        group = f.default_factory() if callable(f.default_factory) else None
        found |= flags(type(group)) if is_dataclass(group) else {f.name: f}
    return found


def parse(arguments):
    """The command, an instance of one of COMMANDS."""
    if not arguments or arguments[0] in ("-h", "--help"):
        print(usage())
        raise SystemExit(0 if arguments else 2)
    if arguments[0] == "--version":
        print(__version__)
        raise SystemExit(0)
    words = 2 if arguments[0] == "prepare" else 1
    name, rest = " ".join(arguments[:words]), arguments[words:]
    if name in ("prepare", "prepare -h", "prepare --help"):
        print(usage())
        raise SystemExit(0 if words == len(arguments) else 2)
    command = choose("command", name, COMMANDS)
    known, typed = {f"--{flag}": None for flag in [*flags(command), "help"]}, set()
    for argument in rest:
        if argument.startswith("--"):
            flag = argument.split("=")[0].replace("-", "_").replace("__", "--", 1)
            choose("flag", flag.replace("--no_", "--", 1), known)
            typed.add(flag)
    options = dict(
        prog=f"nanoparadigm {name}",
        args=rest,
        use_underscores=True,
        config=(tyro.conf.OmitArgPrefixes,),
    )
    parsed = read(command, **options)
    if command is not Train and distributed.launched() > 1:
        raise InputError(f"{name} is the work of one process: start it without torchrun")
    if getattr(parsed, "resume", False) and parsed.overwrite:
        raise InputError("--resume goes on with a run and --overwrite deletes it: drop one of them")
    if command is Train and parsed.resume and "--dataset" in typed and not parsed.saved:
        parsed = replace(parsed, resume=False)
    if command is Train and parsed.resume:
        stored = parsed.stored()
        parsed = read(command, default=stored, **options)
        parsed.check_same(stored)
    for name, value in flat(parsed).items():
        if isinstance(value, float) and math.isnan(value):
            raise InputError(f"--{name} is not a number: give one")
    return parsed


def read(command, **options):
    """tyro.cli, whose complaints are boxes of many lines, with an InputError of one instead."""
    box = io.StringIO()
    try:
        with redirect_stderr(box):
            return tyro.cli(command, **options)
    except SystemExit as done:
        if done.code != 2:
            raise
    plain = re.sub(r"\x1b\[[\d;]*m", "", box.getvalue())  # no colours
    lines = [line.strip("│ ") for line in plain.splitlines()[1:]]  # no title and no frame

    def is_rule(line):
        return not re.search(r"\w", line)

    said = " ".join(takewhile(lambda line: not is_rule(line), dropwhile(is_rule, lines)))
    raise InputError(f"{said.rstrip('.')}: see {options['prog']} --help")


def usage():
    lines = ["usage: nanoparadigm COMMAND [flags]      (nanoparadigm COMMAND --help explains)", ""]
    lines += [f"  {name:15} {c.__doc__.splitlines()[0]}" for name, c in COMMANDS.items()]
    return "\n".join(lines)


def main(arguments=None):
    """Run a command; the exit status is 0, 2 for misuse, 1 where the machine refused, UNFINISHED
    or INTERRUPTED for a training that was stopped and saved."""
    if hasattr(sys.stdout, "reconfigure"):  # not every terminal can show ± or what a model writes
        sys.stdout.reconfigure(errors="replace")
    keep_memory()
    try:
        command = parse(sys.argv[1:] if arguments is None else arguments)
        with guarded():
            command.run()
        sys.stdout.flush()
    except InputError as error:
        print(f"nanoparadigm: {harmless(str(error))}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # the reader of our output, head for one, has left
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        said = f"{harmless(str(error))}; what is saved is whole"
        print(f"nanoparadigm: {said}", file=sys.stderr)
        return 1
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, MemoryError) or "memory" in str(error):
            said = "too little memory here: ask for less at a time"
        elif type(error).__module__.startswith("torch._inductor"):
            said = f"cannot compile here: drop --compile ({str(error).splitlines()[0]})"
        else:
            raise
        print(f"nanoparadigm: {said}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED
    return 0
