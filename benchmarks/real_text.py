"""Five models on texts that people wrote, for chapter 14; the results are kept with the book.

    OMP_NUM_THREADS=1 python benchmarks/real_text.py         the language reference of Python, twice
    OMP_NUM_THREADS=1 python benchmarks/real_text.py --judge what the released models write

The first trains five models of about 0.8 M parameters on the characters of `pydocs`, and `ar` and
`diffusion` on byte pairs of it as well, always for the same number of steps of 16 windows of 128
tokens. The second lets the released models write in the manner of Shakespeare and looks at it in
the ways that are left when no truth is known. What is there already is not done again: delete
book/studies/real.json to begin anew. Processes with different --seeds may share the work.
"""

import argparse
import fcntl
import json
import re
from dataclasses import asdict
from pathlib import Path

import numpy as np
import speedrun
import torch
from measure import machine
from paradigms import rounded

from nanoparadigm import Settings, corpora, parameters, tokenizers, train
from nanoparadigm.data.corpus import TokenizedCorpus
from nanoparadigm.evaluate import ngram
from nanoparadigm.evaluate.likelihood import bits_per_character, nats_per_bit, nats_per_token
from nanoparadigm.training import checkpoint

KEPT = Path(__file__).parents[1] / "book" / "studies" / "real.json"
NAMES = "ar", "mamba", "block", "diffusion", "flow"
KINDS = {"char": NAMES, "bpe": ("ar", "diffusion")}
STEPS, BATCH, DRAWS, SYMBOLS, SEEDS = 400, 16, 4, 500, range(2)
CHARACTERS, TEXTS = 256, 40  # of a text that is written, and how many
WAYS = {
    "ar": {"": {}, "temperature 0.5": dict(temperature=0.5)},
    "mamba": {"": {}},
    "block": {"64 steps": dict(steps=64)},
    "diffusion": {f"{n} steps": dict(steps=n) for n in (8, 32, 128, 256)},
    "flow": {f"{n} steps": dict(steps=n) for n in (8, 32, 128, 256)},
}
WORD = re.compile(r"[A-Za-z']+")


def add(path, kind, **row):
    """Put a row into the file, while no other process does."""
    with open(path.with_suffix(".lock"), "wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        facts = stored(path)
        facts[kind].append(rounded(row))
        path.write_text(json.dumps(facts) + "\n", encoding="utf-8")
    print(kind, {k: v for k, v in row.items() if not isinstance(v, list)}, flush=True)


def stored(path):
    if path.exists():
        return json.loads(path.read_text(encoding="utf-8"))
    return dict(machine=machine(), trained=[], counted=[], judged=[])


def texts(name, kind):
    corpus = corpora.load(name)
    return TokenizedCorpus(corpus, tokenizers.build(kind, corpus, SYMBOLS), speedrun.LENGTH)


def nats(model, data):
    generator = torch.Generator().manual_seed(0)
    return nats_per_token(model, data, generator, num_samples=DRAWS)


def one(kind, name, seed, data):
    """Train one model on the tokens of one kind, and measure it."""
    model = speedrun.make(name, data.tokenizer.vocab_size, seed, speedrun.SECOND)
    settings = Settings(
        max_steps=STEPS, batch_size=BATCH, seed=seed, eval_windows=1, **speedrun.SECOND
    )
    for _ in train(model, data, settings):
        pass
    measured = nats(model.eval(), data)
    return dict(
        tokenizer=kind,
        model=name,
        seed=seed,
        exact=model.exact,
        parameters=parameters(model),
        nats=asdict(measured),
        bits=asdict(bits_per_character(measured, data)),
    )


def counted(name, kind, data):
    """Return the 5-gram's numbers on a text, in the same windows."""
    five = speedrun.five_gram(data, speedrun.LENGTH)
    facts = dict(symbols=data.tokenizer.vocab_size, characters_per_token=data.characters_per_token)
    return dict(text=name, tokenizer=kind, nats=five, bits=five / nats_per_bit(data), **facts)


def longest_copy(text, source):
    """Return how many characters of `text` stand in one piece in `source`, at most."""
    longest = 0
    for start in range(len(text)):
        while start + longest < len(text) and text[start : start + longest + 1] in source:
            longest += 1
    return longest


def judge(written, data, words):
    """Return what can be said of texts without a truth: no number of these is a likelihood."""
    known, copies = [], []
    for text in written:
        found = WORD.findall(text)[1:-1]  # the first and the last may be cut
        known.append(sum(word.lower() in words for word in found) / max(1, len(found)))
        copies.append(longest_copy(text, data.corpus.train))
    tokens = torch.tensor(data.tokenizer.encode("".join(written)))
    five = ngram.token_nll(data.train, tokens, data.tokenizer.vocab_size, 5, CHARACTERS)
    surprise = (five.reshape(len(written), -1).mean(1) / np.log(2)).tolist()
    example = written[0]
    unknown = sorted({word for word in WORD.findall(example) if word.lower() not in words})
    return dict(words=known, copies=copies, surprise=surprise, example=example, unknown=unknown)


def judged(path):
    """Let the released models write, and judge that beside what Shakespeare wrote."""
    data = texts("shakespeare", "char")
    words = {word.lower() for word in WORD.findall(data.corpus.train)}
    places = np.linspace(0, len(data.corpus.validation) - CHARACTERS, TEXTS).astype(int)
    ways = {("Shakespeare", ""): None}
    ways |= {(name, way): options for name in WAYS for way, options in WAYS[name].items()}
    for (name, way), options in ways.items():
        if any((row["name"], row["way"]) == (name, way) for row in stored(path)["judged"]):
            continue
        if options is None:
            written = [data.corpus.validation[i : i + CHARACTERS] for i in places]
        else:
            saved = checkpoint.load(f"pretrained/{name}")
            generator = torch.Generator().manual_seed(0)
            drawn = saved.model.eval().sample(TEXTS, CHARACTERS, generator, **options)
            written = [saved.tokenizer.decode(row) for row in drawn.tolist()]
        add(path, "judged", name=name, way=way, **judge(written, data, words))


def run(path, seeds=SEEDS):
    for kind, names in KINDS.items():
        data = texts("pydocs", kind)
        if not any(row["tokenizer"] == kind for row in stored(path)["counted"]):
            add(path, "counted", **counted("pydocs", kind, data))
        for seed in seeds:
            for name in names:
                key = dict(tokenizer=kind, model=name, seed=seed)
                if not any(key.items() <= row.items() for row in stored(path)["trained"]):
                    add(path, "trained", **one(kind, name, seed, data))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--judge", action="store_true", help="what the released models write")
    parser.add_argument("--seeds", type=int, nargs="+", default=[*SEEDS])
    parser.add_argument("--out", type=Path, default=KEPT)
    options = parser.parse_args()
    torch.set_num_threads(1)
    judged(options.out) if options.judge else run(options.out, options.seeds)
