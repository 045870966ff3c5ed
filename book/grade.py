"""Grade notebooks handed in: which exercises of its chapter are right in each.

python book/grade.py handed-in/                     as a list
python book/grade.py --csv marks.csv handed-in/     and as a table, a row an exercise
python book/grade.py --totals sums.csv handed-in/   and as one for a gradebook, a row a student

Give folders, files, or both. A student is called as the file is, without the chapter's name, or,
where nothing is left of that, as the folder. Each notebook runs in a process of its own, in a
temporary folder, beside a copy of the package that holds no exercises. This process runs no line of
it. It sends every answer that the notebook gives to `check` cases that nobody has seen, and gets
numbers back, which it compares with those of the reference. The exit status is 1 if a notebook
could not be graded to its end.
"""

import argparse
import csv
import json
import os
import queue
import re
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import NamedTuple

import jupytext
import nbformat
import torch
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import KernelManager
from safetensors import safe_open
from safetensors.torch import save_file

import nanoparadigm
from nanoparadigm import InputError
from nanoparadigm.exercises import check
from nanoparadigm.explain.calling import Unusable
from nanoparadigm.files import read_json

BOOK = Path(__file__).parent
PATIENCE = 5  # seconds in which an interrupted cell must end
START = 60  # seconds for what is ours: to import torch, on a busy machine, and the like
NONE = 'raise ImportError("a notebook that is graded has no exercises to look at")'
CHECK = re.compile(r"""\bcheck\(\s*["'](\w+)["']""")


@dataclass
class Grade:
    """What was found of one notebook."""

    path: Path
    chapter: str = ""
    verdicts: dict = field(default_factory=dict)
    """the name of each exercise of the chapter -> its Verdict, None where no answer came"""
    cells: dict = field(default_factory=dict)
    """the number of a code cell, from 1 -> how it was stopped"""
    problem: str = ""
    """a sentence if it could not be graded, or not to its end"""

    def remarks(self):
        """The name of each exercise -> what there is to say of it."""
        missing = "{}: not yet. No answer was given to check."
        return {
            name: missing.format(name) if verdict is None else verdict.message
            for name, verdict in self.verdicts.items()
        }

    def lines(self):
        if self.verdicts:
            right = sum(map(bool, self.verdicts.values()))
            yield f"{self.path}: {right} of {len(self.verdicts)} right"
        if self.problem:
            yield self.problem
        yield from (f"  {remark}" for remark in self.remarks().values())
        yield from (f"  code cell {n} {how}" for n, how in self.cells.items())

    @property
    def student(self):
        """Who handed it in: the name of the file without the chapter's, or else of its folder."""
        other = rf"{re.escape(self.chapter)}|(?<![^\W_])copy(?![^\W_])"
        name = re.sub(other, "", self.path.stem, flags=re.IGNORECASE)
        return name.strip(" -_.()") if re.search(r"[^\W\d_]", name) else self.path.parent.name

    def rows(self):
        """student, chapter, exercise, points, hint, file: a point for a right answer"""
        for name, remark in self.remarks().items():
            points = int(bool(self.verdicts[name]))
            yield self.student, self.chapter, name, points, remark, self.path
        if self.problem:
            yield self.student, self.chapter, "", "", self.problem, self.path


def notebooks(paths):
    """The files named, and all notebooks in the folders named."""
    for path in paths:
        inside = sorted(path.rglob("*.ipynb")) if path.is_dir() else []
        yield from (file for file in inside if ".ipynb_checkpoints" not in file.parts)
        if not inside:
            yield path


def totals(grades):
    """The rows of a table: student, points in each chapter, their sum. Of two tries the better."""
    points = {}
    for found in grades:
        mine = points.setdefault(found.student, {})
        right = sum(map(bool, found.verdicts.values()))
        mine[found.chapter] = max(right, mine.get(found.chapter, 0))
    handed_in = sorted({chapter for mine in points.values() for chapter in mine if chapter})
    yield "student", *handed_in, "total"
    for student, mine in sorted(points.items()):
        yield student, *(mine.get(chapter, 0) for chapter in handed_in), sum(mine.values())


def exercises():
    """The chapter's file stem -> the names of its exercises, in order, of all chapters."""
    return {text.stem: asked(jupytext.read(text)) for text in sorted(BOOK.glob("[0-9]*.md"))}


def asked(notebook):
    """The names of the exercises that a notebook's cells check, each once."""
    return list(dict.fromkeys(n for cell in notebook.cells for n in CHECK.findall(cell.source)))


def read(path):
    """The notebook in a file, whatever its version. InputError if it holds none."""
    content = read_json(path, dict, "ask for the notebook again")
    try:
        notebook = nbformat.reads(json.dumps(content), as_version=4)
        asked(notebook)
    except Exception as error:  # nbformat raises whatever a dict that is no notebook leads to
        raise InputError(f"{path} is not a notebook: ask for it again") from error
    return notebook


def chapter(path, notebook, chapters):
    """The chapter that a notebook is of, by its file name and by its exercises. InputError."""
    names = set(asked(notebook))
    held = {stem for stem, exercises in chapters.items() if names & set(exercises)}
    named = {stem for stem in chapters if stem in path.stem.lower()}
    fitting = named & held if named and held else named | held
    if len(fitting) == 1:
        return fitting.pop()
    held, named = (" and ".join(sorted(stems)) or "no chapter" for stems in (held, named))
    raise InputError(
        f"{path} could be of any chapter: its name has that of {named}, its exercises are of "
        f"{held}; name it after its chapter, as in ada-{min(chapters)}.ipynb"
    )


class Stopped(Exception):
    """The notebook's process did not do what it was told; the message says why, as in "it ..."."""


class Limits(NamedTuple):
    """How many seconds each may take, and how much memory a notebook."""

    answer: float = 30
    """one call of an answer"""
    cell: float = 300
    notebook: float = 1200
    memory: float = 8
    """in GiB, where the system can limit it"""


class Kernel:
    """The process that runs the cells of one notebook and calls the answers it gives."""

    def __init__(self, folder, limits):
        self.folder, self.limits, self.end = folder, limits, time.monotonic() + limits.notebook
        package = Path(nanoparadigm.__file__).parent
        shutil.copytree(package, folder / package.name)
        shutil.copytree(BOOK / "studies", folder / "book" / "studies")
        for file in (folder / package.name / "exercises").glob("*.py"):
            # emptied, not left out: an editable installation would find the package's own
            if file.name == "__init__.py":
                file.write_text(f"def __getattr__(name):\n    {NONE}\n", encoding="utf-8")
            elif file.name != "grader.py":
                file.write_text(f"{NONE}\n", encoding="utf-8")
        shutil.copy(BOOK / "handed_in.py", folder)
        ours = KernelSpecManager(kernel_dirs=[])  # none that was installed, for another Python
        files = dict(transport="ipc", ip=str(folder / "kernel"))  # ports may be taken meanwhile
        self.manager = KernelManager(kernel_name="python3", kernel_spec_manager=ours, **files)
        own = dict(PYTHONPATH=str(folder), IPYTHONDIR=str(folder / "ipython"))
        environment = {"TQDM_DISABLE": "1"} | os.environ | own
        quiet = dict(stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.manager.start_kernel(cwd=str(folder), env=environment, **quiet)
        self.client = self.manager.client()
        self.client.start_channels()

    def close(self):
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)

    def over(self):
        """Why it can run nothing more, or None."""
        if not self.manager.is_alive():
            return "its process ended"
        return "its time was over" if time.monotonic() > self.end else None

    def run(self, code, seconds, silent=False):
        """Execute code. Raises Stopped if it does not come to its end."""
        began = time.monotonic()
        limit = min(began + seconds, self.end)
        sent = self.client.execute(code, silent=silent, allow_stdin=False, stop_on_error=False)
        try:
            said = self.result(sent, limit)
        except TimeoutError:
            self.manager.interrupt_kernel()
            try:
                self.result(sent, time.monotonic() + PATIENCE)
            except TimeoutError:
                self.manager.shutdown_kernel(now=True)
            took = time.monotonic() - began
            raise Stopped(f"was stopped after {took:.0f} seconds") from None
        if said["status"] != "ok":
            reason = (said["evalue"].splitlines() or ["without a reason"])[0]
            raise Stopped(f"stopped with {said['ename']}: {reason.rstrip('.')}")

    def result(self, sent, limit):
        """What became of a request. Raises TimeoutError, or Stopped if the process has ended."""
        while time.monotonic() < limit:
            try:
                message = self.client.get_shell_msg(timeout=0.2)
            except queue.Empty:
                if not self.manager.is_alive():
                    raise Stopped("ended the process") from None
                continue
            if message["parent_header"].get("msg_id") == sent:
                return message["content"]
        raise TimeoutError

    def handed_in(self):
        """The names for which `check` was given an answer since this was last asked."""
        if self.over():
            return []
        path = self.folder / "names"
        self.run(f"__import__('handed_in').names({str(path)!r})", START, silent=True)
        return read_json(path, list[str])

    def answer(self, name):
        """The answer given to `check` under that name, as a function that is called there."""
        return lambda *arguments: Elsewhere.apply(partial(self.call, name, arguments), *arguments)

    def call(self, name, arguments, slope=None):
        """What the answer returns, or the gradients of slope x it -> tensors, whether it has them.

        Raises Unusable.
        """
        asked, answered = self.folder / "asked", self.folder / "answered"
        answered.unlink(missing_ok=True)
        pack(asked, arguments, slope)
        try:
            code = f"__import__('handed_in').reply({name!r}, {str(asked)!r}, {str(answered)!r})"
            self.run(code, self.limits.answer, silent=True)
            with safe_open(answered, "pt") as file:
                said = file.metadata()
                tensors = {name: file.get_tensor(name) for name in file.keys()}
        except Stopped as problem:
            raise Unusable(str(problem)) from problem
        except Exception as error:  # whatever a file is that the notebook has written
            raise Unusable("gave no numbers") from error
        if "problem" in said:
            raise Unusable(said["problem"])
        return tensors, said.get("smooth") == "true"


class Elsewhere(torch.autograd.Function):
    """Calls an answer in the notebook's process, for its value and, if asked for, its gradient."""

    @staticmethod
    def forward(ctx, call, *arguments):
        tensors, smooth = call()
        if not smooth:
            ctx.mark_non_differentiable(tensors["said"])
        ctx.call, ctx.count = call, len(arguments)
        return tensors["said"]

    @staticmethod
    def backward(ctx, slope):
        found, _ = ctx.call(slope)
        return None, *(found.get(str(n)) for n in range(ctx.count))


def pack(path, arguments, slope):
    """Write arguments, which are tensors, numbers or generators, for `handed_in.unpacked`."""
    tensors, kinds = {} if slope is None else {"slope": slope}, []
    for n, argument in enumerate(arguments):
        if isinstance(argument, torch.Generator):
            kinds.append("generator")
            tensors[str(n)] = argument.get_state()
        elif isinstance(argument, torch.Tensor):
            kinds.append("leaf" if argument.requires_grad else "tensor")
            tensors[str(n)] = argument.detach()
        else:
            kinds.append(argument)
    plain = {name: tensor.clone().contiguous() for name, tensor in tensors.items()}
    save_file(plain, path, {"arguments": json.dumps(kinds)})


def grade(path, chapters, seed, limits):
    """The Grade of a file."""
    found = Grade(path)
    try:
        notebook = read(path)
        found.chapter = chapter(path, notebook, chapters)
    except InputError as problem:
        found.problem = str(problem)
        return found
    found.verdicts = dict.fromkeys(chapters[found.chapter])
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        with closing(Kernel(Path(folder), limits)) as kernel:
            try:
                kernel.run("import handed_in", START, silent=True)
                kernel.run(f"handed_in.limit({limits.memory})", START, silent=True)
                execute(notebook, kernel, found, seed)
            except Exception as error:  # whatever a notebook does to its process; others wait
                found.problem = f"{path} could not be graded: {error or type(error).__name__}"
    return found


def execute(notebook, kernel, found, seed):
    """Run the code cells in order; what one gives to `check` is judged before the next one runs."""
    sources = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    for n, source in enumerate(sources, 1):
        if reason := kernel.over():
            found.problem = f"{found.path} could be graded only up to code cell {n - 1}: {reason}"
            return
        try:
            kernel.run(source, kernel.limits.cell)
        except Stopped as how:
            found.cells[n] = str(how)
        for name in kernel.handed_in():
            if name in found.verdicts and not found.verdicts[name]:
                found.verdicts[name] = check(name, kernel.answer(name), seed)


def main(arguments=None):
    """Grade the files that the arguments name -> the exit status."""
    raw = argparse.RawTextHelpFormatter
    parser = argparse.ArgumentParser("grade.py", description=__doc__, formatter_class=raw)
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
    for table, row in ("csv", "an exercise"), ("totals", "a student"):
        told = f"where a table with a row {row} is written"
        parser.add_argument(f"--{table}", default=os.devnull, metavar="OUT", help=told)
    for limit, default in Limits._field_defaults.items():
        unit = "GiB" if limit == "memory" else "seconds"
        told = f"{unit} a notebook may take" if unit == "GiB" else f"{unit} it may take"
        parser.add_argument(f"--{limit}", type=float, default=default, help=told)
    options = parser.parse_args(arguments)
    limits = Limits(*(getattr(options, limit) for limit in Limits._fields))
    chapters, seed, grades = exercises(), 1 + secrets.randbelow(2**31), []
    with open(options.csv, "w", newline="", encoding="utf-8", buffering=1) as out:
        table = csv.writer(out)
        table.writerow(["student", "chapter", "exercise", "points", "hint", "file"])
        for path in notebooks(options.files):
            found = grade(path, chapters, seed, limits)
            print("\n".join(map(plain, found.lines())), flush=True)
            table.writerows([plain(str(entry)) for entry in row] for row in found.rows())
            grades.append(found)
    with open(options.totals, "w", newline="", encoding="utf-8") as out:
        csv.writer(out).writerows([plain(str(entry)) for entry in row] for row in totals(grades))
    return int(any(found.problem for found in grades))


def plain(text):
    """Text of a stranger's that a terminal can show, in one line and without commands to it."""
    return "".join(c if c.isprintable() else "?" for c in text)


if __name__ == "__main__":
    sys.exit(main())
