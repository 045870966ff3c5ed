"""Which network learns most in the same seconds? `ar`, `mamba` and `mamba2` on Tiny Shakespeare.

    python benchmarks/equal_seconds.py             twenty minutes on two cores
    python benchmarks/equal_seconds.py --again     forget what has been measured before

All three are autoregressive, so that only the network differs: about 0.8 M parameters, two threads,
the speedrun's second recipe, three seeds. First one step of each is timed in turn, again and again,
on a machine that does nothing else; the medians say how many steps of a network are 120 seconds.
The trainings then take that many steps, however busy the machine is meanwhile. Quality is the exact
`nll_bound` over the whole validation split, in windows of the length trained on. Runs are written
to results/equal_seconds.json as they end, and those already there are not repeated.
"""

import argparse
import json
from functools import partial

import speedrun
import torch
from measure import RESULTS, save, show, side_by_side, summary

from nanoparadigm import Settings, corpora, tokenizers, train
from nanoparadigm.commands.allocator import keep_memory
from nanoparadigm.data.corpus import TokenizedCorpus
from nanoparadigm.paradigms import parameters

MODELS = "ar", "mamba", "mamba2"
SECONDS, SEEDS, THREADS, REPEATS = 120, 3, 2, 40


def step_times(data):
    """Time one step of each network in turn: name -> milliseconds, their median, least and most."""
    settings = Settings(
        max_steps=REPEATS + 2, eval_windows=1, eval_interval=10**9, **speedrun.SECOND
    )
    V = data.tokenizer.vocab_size
    runs = {
        name: train(speedrun.make(name, V, 0, speedrun.SECOND), data, settings) for name in MODELS
    }
    times = side_by_side({name: partial(next, run) for name, run in runs.items()}, REPEATS)
    show(times)
    return {name: summary(ms) for name, ms in times.items()}


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
    facts = {} if again else json.loads(path.read_bytes())
    keep_memory()
    torch.set_num_threads(THREADS)
    corpus = corpora.load("shakespeare")
    tokenizer = tokenizers.build("char", corpus)
    data = TokenizedCorpus(corpus, tokenizer, speedrun.LENGTH)
    rows, times = facts.get("runs", []), facts.get("step_ms") or step_times(data)
    save("equal_seconds", seconds=SECONDS, step_ms=times, runs=rows)
    for seed in range(SEEDS):
        for name in MODELS:
            if any((row["name"], row["seed"]) == (name, seed) for row in rows):
                continue
            steps = max(1, round(1000 * SECONDS / times[name]["median"]))
            rows.append(one(name, seed, data, steps))
            save("equal_seconds", seconds=SECONDS, step_ms=times, runs=rows)


if __name__ == "__main__":
    main()
