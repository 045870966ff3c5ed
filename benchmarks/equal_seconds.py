"""Which network learns most in the same seconds? `ar`, `mamba` and `mamba2` on Tiny Shakespeare.

    python benchmarks/equal_seconds.py             twenty minutes on two cores
    python benchmarks/equal_seconds.py --again     forget what has been measured before

All three are autoregressive, so that only the network differs: about 0.8 M parameters, two threads,
the speedrun's second recipe, three seeds. How many steps of a network fill the seconds is found by
timing some before its first seed. The seeds take turns, so that a machine that slows down does so
for all. Quality is the exact `nll_bound` over the whole validation split, in windows of the length
trained on. Runs are written to results/equal_seconds.json as they end, and those already there are
not repeated.
"""

import argparse
import json

import speedrun
import torch
from measure import RESULTS, save

from nanoparadigm import corpora, tokenizers
from nanoparadigm.commands.allocator import keep_memory
from nanoparadigm.data.corpus import TokenizedCorpus
from nanoparadigm.paradigms import parameters

MODELS = "ar", "mamba", "mamba2"
SECONDS, SEEDS, THREADS, TRIES = 120, 3, 2, 30


def one(name, seed, data, steps):
    """Train one network, and measure it."""
    label = f"{name}, equal seconds"
    model, took = speedrun.run(label, name, data, steps, speedrun.SECOND, seed)
    nats = speedrun.quality(model, data)
    row = dict(took, name=name, seed=seed, exact=model.exact, parameters=parameters(model))
    said = f"{row['seconds']:6.1f} s  {steps:5} steps  {nats['mean']:.3f} ± {nats['se']:.3f}"
    print(f"{name:8} seed {seed}  {said} nats", flush=True)
    return row | dict(nats=nats)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--again", action="store_true", help="forget earlier results")
    path = RESULTS / "equal_seconds.json"
    again = parser.parse_args().again or not path.exists()
    rows = [] if again else json.loads(path.read_bytes())["runs"]
    keep_memory()
    torch.set_num_threads(THREADS)
    corpus = corpora.load("shakespeare")
    tokenizer = tokenizers.build("char", corpus)
    data = TokenizedCorpus(corpus, tokenizer, speedrun.LENGTH)
    steps = {row["name"]: row["steps"] for row in rows}
    for seed in range(SEEDS):
        for name in MODELS:
            if any((row["name"], row["seed"]) == (name, seed) for row in rows):
                continue
            if name not in steps:
                steps[name] = speedrun.steps_in(SECONDS, name, data, speedrun.SECOND, TRIES)
            rows.append(one(name, seed, data, steps[name]))
            save("equal_seconds", seconds=SECONDS, runs=rows)


if __name__ == "__main__":
    main()
