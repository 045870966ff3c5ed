"""How much code two models have in common: the lines that run for both, or for one alone.

Both run the same program while Python reports every line that is executed. To know the difference,
read the lines that run for one alone.
"""

import ast
import sys
from collections import Counter
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import FrameType
from typing import Any

import torch

from ..data.corpus import Corpus, TokenizedCorpus
from ..data.tokenizers import build as build_tokenizer
from ..evaluate.tables import markdown
from ..paradigms import build
from ..training.settings import Settings
from ..training.trainer import train

PACKAGE = Path(__file__).parents[1]
L = 16  # tokens in a text


def table(one: str, other: str, network: str | None = None) -> str:
    """Return the share of lines that two of PRESETS have in common, and a table in Markdown.

    The table says, file by file, how many lines run for one alone. network: another than their own,
    for both.
    """
    ours, theirs = lines_run(one, network), lines_run(other, network)
    alone = [Counter(file for file, _ in lines) for lines in (ours - theirs, theirs - ours)]
    both, all_lines = len(ours & theirs), len(ours | theirs)
    sentence = (
        f"Of the {all_lines} lines of code that run to build, train and measure one or the other, "
        f"to write and to fill a gap, {100 * both / all_lines:.0f} % run for both.\n"
    )
    files = sorted(alone[0] | alone[1], key=lambda file: (-alone[0][file] - alone[1][file], file))
    rows = [[file, *(f"{lines[file] or ''}" for lines in alone)] for file in files]
    return sentence + ("\n" + markdown(["lines for one alone", one, other], rows) if rows else "")


def lines_run(name: str, network: str | None = None) -> set[tuple[str, int]]:
    """Return (file, line) of all lines of this package that run in `programme`, as a set."""
    ran = set()

    def note(frame: FrameType, event: str, _: Any) -> Callable | None:
        path = Path(frame.f_code.co_filename)
        if PACKAGE in path.parents and path != Path(__file__):
            file = path.relative_to(PACKAGE).as_posix()
            ran.update((file, line) for line in statements(path).get(frame.f_lineno, ()))
            return note

    before = sys.gettrace()
    sys.settrace(note)
    try:
        programme(name, network)
    finally:
        sys.settrace(before)
    return ran


def programme(name: str, network: str | None) -> None:
    """Build a model, train and measure it, generate a text, and fill a gap."""
    corpus = Corpus("counting", "one two three four " * 20, "four three two one " * 20)
    data = TokenizedCorpus(corpus, build_tokenizer("char", corpus), L)
    sizes = dict(n_layer=2, n_head=2, n_embd=16, block_size=L)
    model = build(name, data.tokenizer.vocab_size, network=network, **sizes)
    for _ in train(model, data, Settings(max_steps=2, batch_size=4)):
        pass  # the last step ends with an evaluation
    generator = torch.Generator().manual_seed(0)
    model.sample(1, L, generator, steps=8)
    before, after = data.train[:4].tolist(), data.train[8:12].tolist()
    model.infill(1, before, after, 4, generator, steps=8)


@cache
def statements(path: Path) -> dict[int, set[int]]:
    """Return line -> the lines of its statement, or of the head of a compound one.

    So a statement counts the same however it is broken into lines. Comments and docstrings do not
    run, so do not count.
    """
    source = path.read_text(encoding="utf-8")
    code = {n for n, line in enumerate(source.splitlines(), 1) if line.strip()[:1] not in ("", "#")}
    found = {}
    for node in ast.walk(ast.parse(source)):  # what is inside comes after what is around it
        if isinstance(node, ast.stmt):
            first = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", ()))])
            body = getattr(node, "body", None)
            last = max(body[0].lineno - 1, first) if body else node.end_lineno
            text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
            lines = range(first, last + 1)
            found |= dict.fromkeys(lines, set() if text else code & {*lines})
    return found
