"""Quality at five minutes: the files of micro/, the package's models, and the classic small GPT.

    python benchmarks/micro.py               every run below, some three hours on two cores
    python benchmarks/micro.py --only mdlm   the runs whose name begins so

All train on the first nine tenths of Tiny Shakespeare for five minutes on two threads, three seeds
each, and have about 0.8 M parameters. A file is trained as it is, but for as many steps as fill
the time. Quality is `nll_bound`, in a file `number`, over the last tenth, in nats per character
and windows of 128 (the classic model reads 64). Runs are written to results/micro.json as they
end, and those already there are not repeated.
"""

import argparse
import contextlib
import importlib.util
import io
import json
import time
from functools import partial
from pathlib import Path

import classic
import speedrun
import torch
from measure import RESULTS, save

from nanoparadigm import corpora, tokenizers
from nanoparadigm.commands.allocator import keep_memory
from nanoparadigm.data.corpus import TokenizedCorpus
from nanoparadigm.paradigms import parameters

FILES = {"ar": "ar", "mamba": "mamba", "mdlm": "diffusion", "flow": "flow", "block": "block"}
SECONDS, SEEDS = 300, 3


def load(name):
    """A file of micro/ as a module."""
    path = Path(__file__).parents[1] / "micro" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"micro_{name}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def train(file, vocab_size, text, steps, seed):
    """Train a file's network as its last lines do; the network, and how many seconds it took."""
    g = torch.manual_seed(seed)
    net = file.Network(vocab_size)
    began = time.perf_counter()
    with contextlib.redirect_stdout(io.StringIO()):
        file.train(net, text, steps, g)
    return net, time.perf_counter() - began


def run_file(name, data, seed, seconds=SECONDS, tries=40):
    file, V = load(name), data.tokenizer.vocab_size
    train(file, V, data.train, 3, seed)
    steps = int(seconds / (train(file, V, data.train, tries, seed)[1] / tries))
    net, took = train(file, V, data.train, steps, seed)
    held_out = torch.cat([part.flatten() for part in data.validation])
    mean, se = file.measure(net, held_out, torch.Generator().manual_seed(0))
    row = dict(seconds=took, steps=steps, exact=file.SIGN == "=", parameters=parameters(net))
    return row | dict(nats=mean, se=se)


def run_package(name, data, seed):
    model, took = speedrun.run(f"micro, {name}", name, data, SECONDS, {}, seed)
    nats = speedrun.quality(model, data)
    row = dict(seconds=took["seconds"], steps=took["steps"], exact=model.exact)
    return row | dict(parameters=parameters(model), nats=nats["mean"], se=nats["se"])


def run_classic(data, seed, tries=200):
    speedrun.run_classic(data, seed, 10)
    each = speedrun.run_classic(data, seed, tries)[1]["seconds"] / tries
    model, took = speedrun.run_classic(data, seed, int(SECONDS / each))
    nats = speedrun.quality(model, data)
    row = dict(seconds=took["seconds"], steps=took["steps"], exact=True)
    return row | dict(parameters=parameters(model), nats=nats["mean"], se=nats["se"])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="runs whose name begins so")
    only = parser.parse_args().only
    path = RESULTS / "micro.json"
    rows = json.loads(path.read_bytes())["runs"] if path.exists() else []
    keep_memory()
    corpus = corpora.load("shakespeare")
    tokenizer = tokenizers.build("char", corpus)
    data = TokenizedCorpus(corpus, tokenizer, speedrun.LENGTH)
    short = TokenizedCorpus(corpus, tokenizer, classic.LENGTH)
    for seed in range(SEEDS):
        runs = {f"{name}.py": partial(run_file, name, data, seed) for name in FILES}
        runs |= {f"package, {n}": partial(run_package, n, data, seed) for n in FILES.values()}
        runs |= {"classic": partial(run_classic, short, seed)}
        for name, run in runs.items():
            done = any((row["name"], row["seed"]) == (name, seed) for row in rows)
            if name.startswith(only) and not done:
                row = dict(name=name, seed=seed, **run())
                rows.append(row)
                print(
                    f"{name}, seed {seed}: {row['nats']:.3f} in {row['seconds']:.0f} s", flush=True
                )
                save("micro", runs=rows)


if __name__ == "__main__":
    main()
