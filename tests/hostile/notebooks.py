"""Notebooks handed in, odd in every way: (random.Random) -> Case."""

import json
import re
from pathlib import Path

import nbformat
from damage import ATOMS, walk
from rule import Case

from nanoparadigm.commands import main as cli

RIGHT = """\
from nanoparadigm.exercises import check

def mine(s, t):
    return (s - t) / (1 - t)

check("reveal_probability", mine)
"""
CELLS = [
    "1 / 0",
    "raise SystemExit",
    "import os; os._exit(3)",
    "import sys; sys.exit()",
    "%%bash\nkill",
]
CELLS += [
    "def check(*a):\n    return True",
    "input()",
    "x = [",
    "\\x00",
    "!kill -9 $PPID",
    "%reset -f",
]
CELLS += ["import builtins; builtins.print = None", "import sys; sys.modules.clear()"]
CELLS += ["import shutil; shutil.rmtree('.')", "import torch; torch.isclose = lambda *a, **k: 1"]


def notebooks(rng):
    """A notebook with one right answer and one thing wrong with it, graded before a whole one."""
    whole = nbformat.v4.new_notebook()
    whole.cells = [nbformat.v4.new_code_cell(RIGHT), nbformat.v4.new_markdown_cell("# Words")]
    text = nbformat.writes(whole)
    kind = rng.choice(["cell", "edit", "edit", "bytes", "cut", "order"])
    if kind == "cell":
        odd = nbformat.v4.new_code_cell(rng.choice(CELLS))
        whole.cells.insert(rng.randrange(3), odd)
        data = nbformat.writes(whole).encode()
    elif kind == "order":
        whole.cells = [nbformat.v4.new_code_cell(line) for line in RIGHT.split("\n\n")]
        rng.shuffle(whole.cells)
        data = nbformat.writes(whole).encode()
    elif kind == "edit":
        value = json.loads(text)
        parent, key = rng.choice([*walk(value)])
        parent[key] = rng.choice(ATOMS)
        data = json.dumps(value).encode()
    else:
        data = bytearray(text.encode())
        place = rng.randrange(len(data))
        if kind == "cut":
            del data[place:]
        else:
            data[place] = rng.choice([0, 0xFF, 0xEF, 34, 123])
    limits = ["--answer", "10", "--cell", "10", "--notebook", "25"]

    def act():
        Path("odd-03-masking.ipynb").write_bytes(data)
        Path("whole-03-masking.ipynb").write_text(text, encoding="utf-8")
        try:
            return cli.main(["grade", *limits, "odd-03-masking.ipynb", "whole-03-masking.ipynb"])
        except SystemExit as done:
            return 0 if done.code == 1 else done.code

    def truth(out):
        """Each of them has been told of, and the whole one is graded whatever the other was."""
        if not re.search(r"whole-03-masking.ipynb: 1 of \d+ right", out):
            return f"the whole one is not graded: {out!r}"
        return None if "odd-03-masking.ipynb" in out else f"nothing is said of the odd one: {out!r}"

    return Case(f"a notebook ({kind}): {bytes(data)!r}", act, truth, limit=600)
