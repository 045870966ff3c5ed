"""How much code two models have in common: the lines that run for both, or for one alone.

Both are taken through the same programme while Python tells of every line that it runs. What runs
for one alone is what there is to read to know the difference.
"""

import ast
import sys
from collections import Counter
from functools import cache
from pathlib import Path

import torch

from ..data.corpus import Corpus, TokenizedCorpus
from ..data.tokenizers import build as build_tokenizer
from ..evaluate.tables import markdown
from ..paradigms import build
from ..training.settings import Settings
from ..training.trainer import train

PACKAGE = Path(__file__).parents[1]
L = 16  # tokens in a text


def table(one, other, network=None):
    """The share of the lines that two of PRESETS have in common, and in Markdown, file by file, how
    many run for one alone. `network`: another than their own, for both."""
    ours, theirs = lines_run(one, network), lines_run(other, network)
    alone = [Counter(file for file, _ in lines) for lines in (ours - theirs, theirs - ours)]
    both, all_lines = len(ours & theirs), len(ours | theirs)
    said = (
        f"Of the {all_lines} lines of code that run to build, train and measure one or the other, "
        f"to write and to fill a gap, {100 * both / all_lines:.0f} % run for both.\n"
    )
    files = sorted(alone[0] | alone[1], key=lambda file: (-alone[0][file] - alone[1][file], file))
    rows = [[file, *(f"{lines[file] or ''}" for lines in alone)] for file in files]
    return said + ("\n" + markdown(["lines for one alone", one, other], rows) if rows else "")


def lines_run(name, network=None):
    """(file, line) of all lines of this package that run in `programme`, as a set."""
    ran = set()

    def note(frame, event, _):
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


def programme(name, network):
    """Build a model, train and measure it, let it write, and fill a gap."""
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
def statements(path):
    """line -> the lines of its statement, or of the head of a compound one: a statement counts
    alike however it is broken into lines. Comments and docstrings do not run, so do not count."""
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
