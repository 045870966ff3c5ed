"""What several test files need."""

import inspect
import json
import math
import os
import random
import subprocess
import textwrap
from copy import deepcopy
from pathlib import Path

import numpy as np
import pooch
import pytest
import torch
import yaml

from nanoparadigm import PRESETS, InputError, build

ROOT = Path(__file__).parents[1]

# every preset, and cells of the grid that are no presets
CELLS = [(name, None) for name in PRESETS]
CELLS += [("diffusion", "transformer"), ("diffusion", "mamba"), ("diffusion", "hollow_mamba")]
CELLS += [("flow", "transformer"), ("flow", "mamba"), ("block", "transformer")]
CELLS += [("diffusion", "mamba2")]
presets = pytest.mark.parametrize("name", PRESETS)
COMPARED = [name for name, preset in PRESETS.items() if preset.compared]
LENGTH = 8
TINY = dict(n_layer=1, n_head=2, n_embd=16, block_size=LENGTH, d_state=4)
SMALL = dict(n_layer=2, n_head=2, n_embd=16, block_size=12, d_state=4)


# of a page: its ink and its paper
THEMES = {"light": ("#222832", "#ffffff"), "dark": ("#ced6dd", "#14181e")}


def luminance(rgb):
    """How light a colour (..., 3) from 0 to 1 is, as WCAG reckons."""
    rgb = np.asarray(rgb, dtype=float)
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return linear @ [0.2126, 0.7152, 0.0722]


def contrast(one, other):
    """The ratio of WCAG, 1 to 21, between colours (..., 3) from 0 to 1."""
    a, b = luminance(one), luminance(other)
    return (np.maximum(a, b) + 0.05) / (np.minimum(a, b) + 0.05)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def random_model(name, vocab_size=7, network=None, dtype=torch.float64, **options):
    """A model none of whose weights is zero: freshly built, blocks only pass their input on."""
    model = build(name, vocab_size, network=network, **{**SMALL, **options}).to(dtype)
    return perturb_(model, 0.3).eval()


def perturb_(model, scale):
    """The model with noise of that size on every weight."""
    g = generator(1)
    with torch.no_grad():
        for p in model.parameters():
            p += scale * torch.randn(p.shape, generator=g, dtype=p.dtype)
    return model


class Table(torch.nn.Module):
    """The network that looks at nothing: the same logits (V,) everywhere."""

    def __init__(self, logits):
        super().__init__()
        self.logits = logits

    def forward(self, z, t=None):
        return self.logits.expand(*z.shape, -1)


def refusal(call, *args, **options):
    """The one sentence with which the call is refused."""
    with pytest.raises(InputError) as refused:
        call(*args, **options)
    assert "\n" not in str(refused.value)
    return str(refused.value)


def published_here(call, *args):
    """What the call makes of published files in NANOPARADIGM_DATA or the user's cache; where they
    are missing the test is skipped, for tests download nothing."""

    def refuse(*args, **kwargs):
        raise ConnectionError

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pooch, "retrieve", refuse)
        try:
            return call(*args)
        except InputError as error:
            pytest.skip(str(error))


def unknown(value):
    """The value with nan in the place of every float."""
    if isinstance(value, dict):
        return {k: unknown(v) for k, v in value.items()}
    if isinstance(value, list):
        return [unknown(v) for v in value]
    return math.nan if isinstance(value, float) else value


def mutate(monkeypatch, function, said, says):
    """Compile the function's live source with one piece of it replaced, in its own module."""
    source = textwrap.dedent(inspect.getsource(function))
    assert said in source, "the source has moved on: mend the mutant"
    source = "\n".join(s for s in source.splitlines() if not s.startswith("@"))
    name, source = function.__name__, source.replace(said, says)
    function = inspect.unwrap(function)
    if cells := function.__code__.co_freevars:  # the class, where it says `super()`
        inner = textwrap.indent(source, "    ")
        source = f"def outer({', '.join(cells)}):\n{inner}\n    return {name}"
    names = {}
    exec(compile(source, "<mutant>", "exec"), function.__globals__, names)
    mutant = names["outer"](*cells) if cells else names[name]
    # the code object, so that everyone who imported the function by name gets the mutant
    monkeypatch.setattr(function, "__code__", mutant.__code__)


def dies(monkeypatch, mutant, tmp_path=None):
    """A mutant (function, what its source says, what the mutant says, law): the law holds, and no
    longer once the fault is planted. A law that takes an argument is given a fresh folder."""
    function, said, says, law = mutant

    def holds(name):
        if inspect.signature(law).parameters:
            (tmp_path / name).mkdir()
            law(tmp_path / name)
        else:
            law()

    holds("right")
    mutate(monkeypatch, function, said, says)
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        holds("mutant")


def patched(law, *arguments):
    """A law that takes pytest's monkeypatch after these arguments, with one of its own."""

    def holds():
        with pytest.MonkeyPatch.context() as patch:
            law(*arguments, patch)

    return holds


def make(*arguments, cwd, **environment):
    """What make says, when the make that may have started these tests is kept out of it."""
    clean = {name: value for name, value in os.environ.items() if "MAKE" not in name}
    command, env = ["make", *arguments], clean | environment
    done = subprocess.run(command, cwd=cwd, env=env, text=True, capture_output=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def toc_files(node):
    """The pages a table of contents names, depth first."""
    if isinstance(node, list):
        return [file for child in node for file in toc_files(child)]
    if not isinstance(node, dict):
        return []
    here = [node[key] for key in ("root", "file") if key in node]
    return here + [file for child in node.values() for file in toc_files(child)]


def pages():
    return toc_files(yaml.safe_load((ROOT / "_toc.yml").read_text()))


WORDS = ["", "a", "x" * 1000, "\0", "\ud800", "1", "nan", "../..", "[", "\u732b"]
NUMBERS = [0, -1, 1, 2, 10**30, -(10**30), 1e300, 0.5, math.nan, math.inf, -math.inf]
HOSTILE = [*WORDS, *NUMBERS, True, None, [], {}, [[]], [None], ["a"], [1, "a"], {"a": {}}, {"": 1}]


def hostile(whole, n, write=json.dumps):
    """n versions (bytes) of a file that `write` writes: a value in it another one, a key renamed
    or gone, bytes changed, cut or doubled."""
    chance = random.Random(0)
    places = [*_places(whole)]
    for i in range(n):
        edited = deepcopy(whole)
        *way, key = places[i % len(places)]
        inner = edited
        for step in way:
            inner = inner[step]
        if i % 7 < 5:
            inner[key] = chance.choice(HOSTILE)
        elif i % 7 == 5:
            value = inner.pop(key)
            if isinstance(inner, dict) and chance.random() < 0.5:
                inner[f"{key}s"] = value
        data = write(edited).encode("utf-8", "surrogatepass")
        if i % 7 == 6:
            start = chance.randrange(len(data))
            end = start + chance.choice([1, 2, 30, len(data)])
            noise = [
                b"",
                b"\xff",
                b"[" * 10**5,
                data[:30],
                b"9" * 5000,
                bytes([chance.randrange(256)]),
            ]
            data = data[:start] + chance.choice(noise) + data[end:]
        yield data


def _places(value, way=()):
    """The keys that lead to every value inside a nest of dicts and lists."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in pairs if isinstance(value, dict | list) else ():
        yield *way, key
        if isinstance(inner, dict | list):
            yield from _places(inner, (*way, key))
