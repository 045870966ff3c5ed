"""The files of micro/ beside the package's models and the classic small GPT.

    python benchmarks/micro.py               every run below: hours, and none depends on the clock
    python benchmarks/micro.py --only mdlm   the runs whose name begins so
    python benchmarks/micro.py --time        how long a training step of each takes, side by side

A file is trained as it is; the package's default recipe takes the same number of steps, the classic
GPT as many as read the same number of characters. All train on the first nine tenths of Tiny
Shakespeare, three seeds each, and have about 0.8 M parameters. Quality is `nll_bound`, in a file
`number`, over the last tenth, in nats per character and windows of 128 (the classic model reads
64). Runs are written to results/micro.json as they end, and those there are not repeated; several
processes may share them out with --only.
"""

import argparse
import contextlib
import importlib.util
import io
import json
from functools import partial
from pathlib import Path

import classic
import speedrun
import torch
from measure import RESULTS, save, show, side_by_side, summary

from nanoparadigm import Settings, corpora, tokenizers, train
from nanoparadigm.commands.allocator import keep_memory
from nanoparadigm.data.corpus import TokenizedCorpus
from nanoparadigm.paradigms import parameters

FILES = {"ar": "ar", "mamba": "mamba", "mdlm": "diffusion", "flow": "flow", "block": "block"}
SEEDS = 3


def load(name):
    """A file of micro/ as a module of its own, whose sizes a test may change."""
    path = Path(__file__).parents[1] / "micro" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"micro_{name}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def trained(file, data, seed, steps):
    """The network of a file, trained as its last lines do."""
    g = torch.manual_seed(seed)
    net = file.Network(data.tokenizer.vocab_size)
    with contextlib.redirect_stdout(io.StringIO()):
        file.train(net, data.train, steps, g)
    return net


def run_file(name, data, seed):
    file = load(name)
    net = trained(file, data, seed, file.STEPS)
    held_out = torch.cat([part.flatten() for part in data.validation])
    mean, se = file.measure(net, held_out, torch.Generator().manual_seed(0))
    row = dict(steps=file.STEPS, exact=file.SIGN == "=", parameters=parameters(net))
    return row | dict(nats=mean, se=se)


def run_package(name, data, seed):
    file = load(next(key for key, value in FILES.items() if value == name))
    model = speedrun.make(name, data.tokenizer.vocab_size, seed, {})
    settings = Settings(max_steps=file.STEPS, seed=seed, eval_interval=10**9, eval_windows=1)
    for _ in train(model, data, settings):
        pass
    return row_of(model, data, file.STEPS)


def run_classic(data, seed):
    file = load("ar")
    steps = file.STEPS * file.B * file.L // (classic.BATCH * classic.LENGTH)
    return row_of(speedrun.run_classic(data, seed, steps)[0], data, steps)


def row_of(model, data, steps):
    nats = speedrun.quality(model, data)
    row = dict(steps=steps, exact=model.exact, parameters=parameters(model))
    return row | dict(nats=nats["mean"], se=nats["se"])


def times(data):
    """Milliseconds of a training step of each file, side by side."""
    files = {name: load(name) for name in FILES}
    steps = {f"{n}.py": partial(trained, file, data, 0, 10) for n, file in files.items()}
    taken = side_by_side(steps, repeats=3)
    show(taken)
    return {name: summary([t / 10 for t in ms]) for name, ms in taken.items()}


def so_far():
    """What has been measured: runs, and the milliseconds of a step."""
    path = RESULTS / "micro.json"
    found = json.loads(path.read_bytes()) if path.exists() else {}
    return {key: found.get(key, empty) for key, empty in (("runs", []), ("milliseconds", {}))}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="runs whose name begins so")
    parser.add_argument("--time", action="store_true", help="only time the training steps")
    options = parser.parse_args()
    keep_memory()
    corpus = corpora.load("shakespeare")
    tokenizer = tokenizers.build("char", corpus)
    data = TokenizedCorpus(corpus, tokenizer, speedrun.LENGTH)
    short = TokenizedCorpus(corpus, tokenizer, classic.LENGTH)
    if options.time:
        save("micro", **so_far() | dict(milliseconds=times(data)))
        return
    for seed in range(SEEDS):
        runs = {f"{name}.py": partial(run_file, name, data, seed) for name in FILES}
        runs |= {f"package, {n}": partial(run_package, n, data, seed) for n in FILES.values()}
        runs |= {"classic": partial(run_classic, short, seed)}
        for name, run in runs.items():
            done = any((row["name"], row["seed"]) == (name, seed) for row in so_far()["runs"])
            if name.startswith(options.only) and not done:
                row = dict(name=name, seed=seed, **run())
                print(f"{name}, seed {seed}: {row['nats']:.3f}", flush=True)
                found = so_far()
                save("micro", **found | dict(runs=[*found["runs"], row]))


if __name__ == "__main__":
    main()
