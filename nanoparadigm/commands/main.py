"""The command line: turn words into one of the commands, and errors into one sentence."""

import io
import math
import os
import re
import shlex
import sys
from collections.abc import Mapping
from contextlib import redirect_stderr
from dataclasses import Field, fields, is_dataclass, replace
from itertools import dropwhile, takewhile
from textwrap import shorten
from typing import Any

import tyro

from .. import __version__
from ..errors import MOST, InputError, lookup
from ..signals import INTERRUPTED
from ..terminal import guarded, visible
from ..training import distributed
from . import COMMANDS, Train
from .allocator import keep_memory
from .registry import kind
from .shared import Command, flat


def flags(command: type[Command]) -> dict[str, Field]:
    """Return name -> field of every flag of a command, those of its nested groups included."""
    found = {}
    for f in fields(command):
        if tyro.conf.Positional in getattr(f.type, "__metadata__", ()):
            continue
        group = f.default_factory() if callable(f.default_factory) else None
        found |= flags(type(group)) if is_dataclass(group) else {f.name: f}
    return found


def parse(arguments: list[str]) -> Command:
    """Return the command, an instance of one of COMMANDS.

    Raises InputError for flags that are unknown, contradict one another, or have no effect.
    """
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
    command = lookup("command", name, COMMANDS)
    rest, typed = split(rest, flags(command))
    options = dict(
        prog=f"nanoparadigm {name}",
        args=rest,
        use_underscores=True,
        config=(tyro.conf.OmitArgPrefixes,),
    )
    parsed = read(command, **options)
    if command is not Train and distributed.launched() > 1:
        raise InputError(f"{name} runs in one process: start it without torchrun")
    if getattr(parsed, "resume", False) and parsed.overwrite:
        raise InputError("--resume continues a run and --overwrite deletes it: drop one of them")
    if {"epochs", "max_steps"} <= typed:
        raise InputError("--epochs and --max_steps both say how long to train: drop one of them")
    if command is Train and parsed.resume and "dataset" in typed and not parsed.saved:
        parsed = replace(parsed, resume=False)
    if command is Train and parsed.resume:
        stored = parsed.stored()
        if "max_steps" in typed:
            stored = replace(stored, settings=replace(stored.settings, epochs=None))
        parsed = read(command, default=stored, **options)
        parsed.check_same(stored)
    for flag, value in flat(parsed).items():
        if flag in typed:
            check(flag, value, flags(command)[flag])
    for flag, (works, how) in parsed.goes().items():
        if flag in typed and not works:
            raise InputError(f"--{flag} works only {how}: drop it, or change that")
    return parsed


RENAMED = {"reveal": "unmasking"}
"""flags of the previous version -> what they are called now"""
FLAG = re.compile(r"-h|--[A-Za-z][\w-]*(=.*)?", re.DOTALL)


def split(arguments: list[str], known: Mapping[str, Field]) -> tuple[list[str], set[str]]:
    """Return the arguments as tyro can read them, and the names of the flags among them.

    known: name -> field of every flag. Raises InputError for a flag that is unknown or given twice,
    and for a value that would be ignored.
    """
    words, typed, before = [], set(), None
    for word in arguments:
        if before and kind(known[before]) is bool and not word.startswith("-"):
            raise InputError(f"--{before} takes no value: write --{before} or --no_{before}")
        one_text = before and kind(known[before]) in (str, str | None)
        flag, equals, _ = word.removeprefix("--").partition("=")
        before = None
        if word.startswith("-") and one_text and not FLAG.fullmatch(word):
            words[-1] += f"={word}"  # a text that only begins like a flag
            continue
        words.append(word)
        if not word.startswith("--"):
            continue
        flag = flag.replace("-", "_")
        if flag in RENAMED:
            flag = RENAMED[flag]
            words[-1] = f"--{flag}{equals}{word.partition('=')[2]}"
        positive = flag.removeprefix("no_")
        if flag not in known and positive in known and kind(known[positive]) is bool:
            flag = positive
        try:
            lookup("flag", f"--{flag}", {f"--{name}": None for name in (*known, "help")})
        except InputError as error:
            if not one_text:
                raise
            raise InputError(
                f"{error}; for that text, write {words[-2]}={shlex.quote(word)}"
            ) from error
        if flag in typed:
            raise InputError(f"--{flag} is given twice: give it once, with all its values")
        typed.add(flag)
        if equals and flag != "help" and kind(known[flag]) is bool:
            raise InputError(f"--{flag} takes no value: write --{flag} or --no_{flag}")
        before = None if equals or flag == "help" else flag
    return words, typed


def check(flag: str, value: Any, f: Field) -> None:
    """Raise InputError for a value that no flag of its kind can have. f: the flag's field."""
    if isinstance(value, float) and math.isnan(value):
        raise InputError(f"--{flag} is not a number: give one")
    if kind(f) in (int, int | None) and flag != "seed" and value is not None and abs(value) > MOST:
        raise InputError(f"--{flag} is too large: give a whole number below 2**31")
    if value == ():
        raise InputError(f"--{flag} is given without a value: give one or more, or drop it")
    if f.default != "" and "" in (value if isinstance(value, tuple) else (value,)):
        raise InputError(f"--{flag} is empty: give it a value, or drop it")


def read(command: type[Command], **options) -> Command:
    """Call tyro.cli. Raises InputError, in one line, in place of its boxes of many lines."""
    box = io.StringIO()
    try:
        with redirect_stderr(box):
            return tyro.cli(command, **options)
    except SystemExit as done:
        if done.code != 2:
            raise
    plain = re.sub(r"\x1b\[[\d;]*m", "", box.getvalue())  # no colours
    lines = [line.strip("│ ") for line in plain.splitlines()[1:]]  # no title and no frame

    def is_rule(line: str) -> bool:
        return not re.search(r"\w", line)

    complaint = " ".join(takewhile(lambda line: not is_rule(line), dropwhile(is_rule, lines)))
    complaint = shorten(complaint.rstrip("."), 300, placeholder=" ...")  # it repeats what was typed
    raise InputError(f"{complaint}: see {options['prog']} --help")


def usage() -> str:
    """Return the list of all commands."""
    lines = ["usage: nanoparadigm COMMAND [flags]      (nanoparadigm COMMAND --help explains)", ""]
    lines += [f"  {name:15} {c.__doc__.splitlines()[0]}" for name, c in COMMANDS.items()]
    return "\n".join(lines)


def open_streams() -> None:
    """Open the standard streams that the shell has closed.

    Otherwise a file of ours would take the place of one, and get its text.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.dup2(os.open(os.devnull, os.O_RDWR), number)
            os.set_inheritable(number, True)
        if getattr(sys, name) is None:
            setattr(
                sys,
                name,
                open(number, "r" if number == 0 else "w", encoding="utf-8", errors="replace"),
            )


def sentence(error: object) -> str:
    """Return what went wrong in one line that is safe for a terminal, a very long one shortened.

    Arguments in backticks become flags: `block_size` is --block_size.
    """
    line = "".join(map(visible, re.sub(r"`([a-z_]+)`", r"--\1", str(error))))
    return line if len(line) <= 1000 else f"{line[:500]} ... {line[-500:]}"


def main(arguments: list[str] | None = None) -> int:
    """Run a command and return the exit status.

    It is 0, 2 for misuse, 1 where the machine refused, EXIT_REQUEUE or INTERRUPTED for a training
    that was stopped and saved.
    """
    open_streams()
    if hasattr(sys.stdout, "reconfigure"):  # not every terminal can show ± or what a model writes
        sys.stdout.reconfigure(errors="replace")
    keep_memory()
    try:
        try:
            command = parse(sys.argv[1:] if arguments is None else arguments)
            with guarded():
                command.run()
        finally:
            sys.stdout.flush()
    except InputError as error:
        print(f"nanoparadigm: {sentence(error)}", file=sys.stderr)
        return 2
    except UnicodeEncodeError as error:  # half a character, which no shell passes on
        print(f"nanoparadigm: {sentence(ascii(error.object))} is not text", file=sys.stderr)
        return 2
    except OSError as error:
        if not isinstance(error, BrokenPipeError):  # the reader of our output, head for one, left
            print(f"nanoparadigm: {sentence(error)}; what is saved is intact", file=sys.stderr)
        try:
            sys.stdout.flush()
        except OSError:  # or Python would try once more to write it at exit
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, MemoryError) or "memory" in str(error):
            reason = "not enough memory: ask for less at a time"
        elif type(error).__module__.startswith("torch._inductor"):
            reason = f"cannot compile here: drop --compile ({str(error).splitlines()[0]})"
        else:
            raise
        print(f"nanoparadigm: {reason}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED
    return 0
