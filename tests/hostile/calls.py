"""The library and the demo called with what they may not like: (random.Random) -> Case."""

import math
import string
import sys
from contextlib import suppress
from dataclasses import fields

import gradio as gr
import torch
from lines import CHOICES, PLACES, WORDS
from rule import Case
from workspace import RUNS

from nanoparadigm import build, corpora, tokenizers
from nanoparadigm.commands.main import sentence
from nanoparadigm.errors import InputError
from nanoparadigm.exercises import ALL, check
from nanoparadigm.networks.base import NetworkConfig
from nanoparadigm.show.demo_handlers import Handlers, checked
from nanoparadigm.training.settings import Settings

INTS = [0, -1, 1, 2, 3, 7, 2**31, 2**63 - 1, 2**63, 10**30]
REALS = [0.0, -0.0, -1.0, 0.5, 1.0, 1e-320, 1e300, math.nan, math.inf, -math.inf]


def api(rng):
    """A call of the library with numbers and strings that it may not like."""
    return rng.choice([settings, sizes, sampling, reading, cutting, catalogue, answers])(rng)


def call(said, does):
    """A call that gives something, or raises InputError with one sentence."""

    def act():
        try:
            does()
        except InputError as error:
            print(f"nanoparadigm: {sentence(error)}", file=sys.stderr)
            return 2
        return 0

    return Case(said, act)


def some(rng, kind):
    """A keyword argument or two of a dataclass, of the types it asks for."""
    found = {}
    for f in rng.sample(fields(kind), 2):
        pools = dict(int=INTS, float=REALS + INTS[:4], str=WORDS + CHOICES, bool=[True, False])
        found[f.name] = rng.choice(pools.get(str(getattr(f.type, "__name__", f.type)), REALS))
    return found


def settings(rng):
    given = some(rng, Settings)
    return call(f"Settings(**{given})", lambda: Settings(**given))


def sizes(rng):
    given, name = some(rng, NetworkConfig), rng.choice([*RUNS, "x"]).replace("bpe", "ar")
    small = dict(n_layer=1, n_head=2, n_embd=8, block_size=8, d_state=4) | given
    vocabulary = rng.choice(INTS)

    def does():
        build(name, min(vocabulary, 50) if vocabulary > 0 else vocabulary, **small)

    return call(f"build({name!r}, {vocabulary}, **{small})", does)


def sampling(rng):
    name = rng.choice(["ar", "diffusion", "flow", "mamba"])
    n, length = rng.choice(INTS[:6]), rng.choice(INTS[:6])
    options = {
        "steps": rng.choice(INTS[:6]),
        "temperature": rng.choice(REALS),
        "top_k": rng.choice([None, *INTS]),
        "top_p": rng.choice([None, *REALS]),
        "blocks": rng.choice([None, *INTS]),
    }
    options = {k: options[k] for k in rng.sample([*options], 2)}
    prompt = rng.choice([[], [0], [4], [5], [-1], [99], [0] * 20])

    def does():
        model = build(name, 5, n_layer=1, n_head=2, n_embd=8, block_size=8, d_state=4).eval()
        texts = model.sample(n, length, torch.Generator().manual_seed(0), prompt=prompt, **options)
        assert texts.shape == (n, length) and texts.max() < 5 and texts.min() >= 0
        given = torch.tensor(prompt, dtype=torch.long)
        assert ((texts[:, : len(prompt)] == given) | (given == 5)).all()  # 5 is a gap

    return call(f"{name}: sample({n}, {length}, prompt={prompt}, **{options})", does)


def letters(rng):
    pools = string.printable, "éß🜂░\u202e\x00\ufeff\ud800\udfff", "aaaa", "  \n\n"
    return "".join(rng.choice(rng.choice(pools)) for _ in range(rng.choice([0, 1, 2, 10, 200])))


def reading(rng):
    kind, text, other = rng.choice(["char", "word", "bpe"]), letters(rng), letters(rng)

    def does():
        if kind == "bpe":
            tokenizer = tokenizers.BPETokenizer.train(text, 260)
        else:
            tokenizer = tokenizers.TOKENIZERS[kind].train(text)
        assert tokenizer.decode(tokenizer.encode(text)) == text
        with suppress(InputError):
            ids = tokenizers.encode(tokenizer, other)
            assert tokenizer.decode(ids) == other and all(
                0 <= i < tokenizer.vocab_size for i in ids
            )
        ids = tokenizers.encode_gaps(tokenizer, other)
        assert all(0 <= i <= tokenizer.vocab_size for i in ids)

    return call(f"a {kind} tokenizer of {text!r} reads {other!r}", does)


def cutting(rng):
    text, length = letters(rng) * rng.choice([1, 30]), rng.choice(INTS)

    def does():
        corpus = corpora.Corpus("it", text, text)
        data = corpora.TokenizedCorpus(corpus, tokenizers.build("char", corpus), length)
        assert sum(part.numel() for part in data.validation) == len(text)

    return call(f"TokenizedCorpus({text!r}, length={length})", does)


def catalogue(rng):
    name = rng.choice(WORDS + PLACES)
    return call(f"corpora.load({name!r})", lambda: corpora.load(name))


ANSWERS = {
    "None": lambda *a: None,
    "nan": lambda *a: math.nan,
    "a string": lambda *a: "right",
    "text of a number": lambda *a: "0.5",
    "its arguments": lambda *a: a,
    "its first argument": lambda *a: a[0],
    "a generator": lambda *a: iter(a),
    "complex": lambda *a: 1j,
    "an empty tensor": lambda *a: torch.empty(0),
    "a huge view": lambda *a: torch.zeros(1).expand(2**40),
    "sparse": lambda *a: torch.zeros(3, 3).to_sparse(),
    "meta": lambda *a: torch.empty(3, device="meta"),
    "a class": int,
    "no function": 3,
    "no arguments": lambda: 0,
    "recursion": lambda *a: ANSWERS["recursion"](*a),
    "an exception without words": lambda *a: (_ for _ in ()).throw(Exception),
    "an exit": lambda *a: (_ for _ in ()).throw(SystemExit(0)),
    "an interrupt of many lines": lambda *a: (_ for _ in ()).throw(ValueError("one\ntwo\x1b[31m")),
    "all bits": lambda *a: torch.tensor(True),
    "a self-containing list": lambda *a: (lambda x: x.append(x) or x)([]),
}


def answers(rng):
    """An exercise answered with anything at all: the verdict is a sentence, and never "right"."""
    name, answer = rng.choice([*ALL]), rng.choice([*ANSWERS])

    def does():
        verdict = check(name, ANSWERS[answer])
        assert not verdict and "\n" not in verdict.message and len(verdict.message) < 1000, repr(
            verdict
        )

    return call(f"check({name!r}, {answer})", does)


ODD = [
    None,
    True,
    False,
    0,
    -1,
    3,
    2**63,
    10**30,
    0.5,
    1e300,
    math.nan,
    math.inf,
    "",
    "x",
    "ar",
    "░",
]
ODD += [
    "the ░ cat",
    "<img src=x>",
    "\x1b[31m",
    "\ud83d",
    "a" * 3000,
    [],
    {},
    [[]],
    ["ar"],
    ["ar", None],
]
ODD += [[1, 2], {"a": 1}, ["ar"] * 50, "../ar", "runs/ar"]
ASKED = {
    "write": ["ar", "the ", 12, 3, 1.0, 0, ""],
    "fill": ["diffusion", "the ░at", 3, 1.0, 0, ""],
    "compare": [["ar", "flow"], "the ", 12, 3, 1.0, 0],
    "measure": [["ar"]],
    "decodings": ["flow"],
    "hide": ["ar", "the cat", [0, 3]],
}


def demo(rng):
    """What the page answers, asked with values of wrong types and sizes."""
    name = rng.choice([*ASKED])
    given = [*ASKED[name]]
    for _ in range(rng.choice([1, 1, 2])):
        given[rng.randrange(len(given))] = rng.choice(ODD)

    def does():
        try:
            answer = getattr(Handlers("runs", 1), name)
            answer(*checked(answer, given))
        except gr.Error as error:
            raise InputError(str(error)) from error

    return call(f"demo: {name}(*{given!r})", does)
