"""The command `audit`: what is wrong with the number of a scoring function."""

import importlib
import importlib.util
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import tyro

from .. import audit, files
from ..audit.examples import STARTER
from ..errors import InputError, lookup
from ..explain.errors import meaning
from .registry import flag
from .shared import Command, Goes

OWN_NAME = "audited_file"
"""what a file is called as a module"""


@dataclass(frozen=True)
class Audit(Command):
    """Say what is wrong with the number that a scoring function returns.

    The function gets texts and a model, and returns a number for each text. It is tried on all 243
    texts of a language whose probabilities are known, with networks whose probabilities are known:
    exp(-score) must add up to 1, or to less if the score is an upper bound, and the mean must not
    be below the entropy. If a law is broken, the audit looks for the cause. Examples:

      nanoparadigm audit --example
      nanoparadigm audit mine.py:score
      nanoparadigm audit package.module:function --bound --unit bits-per-character
      nanoparadigm audit nanoparadigm.audit.examples:best_order

    The first prints a file to start from. Exit status: 0 if nothing is found, 1 if something is,
    2 if the function cannot be tried.
    """

    scorer: tyro.conf.Positional[flag(str, "file.py:function or package.module:function")] = ""
    unit: flag(
        str | None,
        f"of the score: {', '.join(audit.UNITS)} (default: score.unit, or nats); nats and bits "
        "are per text",
    ) = None
    bound: bool = False
    """the score is an upper bound of -log p (default: score.bound, or not)"""
    draws: int = 32
    """how often a score that is random is computed"""
    seed: int = 0
    """of model.generator"""
    example: bool = False
    """print a file to start from, and do nothing else"""

    def goes(self) -> Goes:
        """Return which flags have an effect: see `Command.goes`."""
        alone = (not self.example, "without --example")
        return dict(unit=alone, bound=alone, draws=alone, seed=alone)

    def run(self) -> None:
        """Print the report. Raises InputError for a function that cannot be tried."""
        if self.example:
            if self.scorer:
                raise InputError("--example prints a file and tries no function: drop one of them")
            print(STARTER, end="")
            return
        where, colon, name = self.scorer.rpartition(":")
        if not (where and name):
            given = f"{self.scorer!r} names no function" if self.scorer else "no function is named"
            raise InputError(f"{given}: write file.py:function or package.module:function")
        with importing(where) as module:
            report = audit.audit(
                function(module, name), self.unit, self.bound or None, self.seed, self.draws
            )
        print(report)
        if not report:
            found = ", ".join(report.names)
            print(f"nanoparadigm: {report.name} is not what it says: {found}", file=sys.stderr)
            raise SystemExit(1)


def function(module: ModuleType, name: str) -> Callable:
    """Return the function of that name in a module.

    Raises InputError if there is none; it suggests one that there is.
    """
    found = {n: f for n, f in vars(module).items() if callable(f) and not n.startswith("_")}
    if name in vars(module):
        return vars(module)[name]
    if not found:
        raise InputError("that file has no function: write one, --example shows how")
    return lookup("function", name, found)


@contextmanager
def importing(where: str) -> Iterator[ModuleType]:
    """Import a file, or a module by its name, while the block lasts.

    The folder of the file, or the current one, is looked in first. Raises InputError if that fails.
    """
    is_file = where.endswith(".py")
    if is_file:
        files.read(where)
    elif not all(part.isidentifier() for part in where.split(".")):
        raise InputError(f"{where} is no module: give the path of a .py file, or package.module")
    before = sys.path[:]
    sys.path.insert(0, str(Path(where).resolve().parent if is_file else Path.cwd()))
    try:
        yield imported(where, is_file)
    finally:
        sys.path[:] = before
        sys.modules.pop(OWN_NAME, None)


def imported(where: str, is_file: bool) -> ModuleType:
    """Return a module. Raises InputError, whatever stops its import."""
    try:
        if not is_file:
            return importlib.import_module(where)
        spec = importlib.util.spec_from_file_location(OWN_NAME, where)
        assert spec and spec.loader  # of a name that ends in .py there are both
        module = importlib.util.module_from_spec(spec)
        sys.modules[OWN_NAME] = module  # where a dataclass looks for the module it is in
        spec.loader.exec_module(module)
        return module
    except KeyboardInterrupt:
        raise
    except ModuleNotFoundError as error:
        if not is_file and error.name and f"{where}.".startswith(f"{error.name}."):
            raise InputError(
                f"there is no module {error.name}: give the path of a file, as mine.py:score, or a "
                "module that Python can import from here"
            ) from error
        raise InputError(f"{where} needs {error.name}, which is not installed") from error
    except BaseException as error:
        raise InputError(f"{where} cannot be imported: {meaning(error)}") from error
