"""Quality per second on Tiny Shakespeare: a leaderboard of training runs, each from nothing.

    python benchmarks/speedrun.py                 every run below, an hour on two cores
    python benchmarks/speedrun.py --only ar       the runs whose name begins so
    python benchmarks/speedrun.py --again         forget what has been measured before
    python benchmarks/speedrun.py --measure       measure the models in runs/speedrun once more

All models have about 0.8 M parameters. The budget of a run is in seconds of training, a share of
what the classic recipe takes here (first row, three seeds); the number of steps that fill it is
found beforehand by timing some. Quality is `nll_bound` over the whole validation split, nats per
character: in windows of 64 for every autoregressive transformer, which is all the classic one can
read, and in windows of 128, the length trained on, for every model but that one. Standard errors
are those of a text, from blocks of windows. Runs are written
to results/speedrun.json as they end, and those already there are not repeated.
"""

import argparse
import json
import statistics
import time
from dataclasses import asdict
from pathlib import Path

import classic
import torch
from measure import RESULTS, save
from safetensors.torch import load_file, save_file

from nanoparadigm import Settings, build, corpora, tokenizers, train
from nanoparadigm.commands.allocator import keep_memory
from nanoparadigm.data.corpus import TokenizedCorpus, WindowBatches
from nanoparadigm.evaluate import ngram
from nanoparadigm.evaluate.likelihood import nats_per_token
from nanoparadigm.paradigms import MaskedDiffusion, parameters
from nanoparadigm.training import checkpoint
from nanoparadigm.training.matching import matched

LENGTH, DRAWS = 128, 16
# the recipe that the new one replaced: AdamW alone, diffusion and flow with a bidirectional
# transformer, which is no target where it sees the token, and masked diffusion trained on its bound
OLD = dict(muon_lr=0.0, lr=3e-3, batch_size=32)

# the second recipe: Muon with a shorter memory, and 16 bits, for processors with units for them
SECOND = dict(muon_momentum=0.9, dtype="bfloat16")

# name, model, seconds (None: a multiple of the classic recipe's), its multiple, settings, seeds
RUNS = [
    ("ar, a fifth of the time", "ar", None, 1 / 5, {}, 3),
    ("ar, the same time", "ar", None, 1, {}, 3),
    ("diffusion, 240 s", "diffusion", 240, None, {}, 1),
    ("flow, 240 s", "flow", 240, None, {}, 1),
    ("ar, 240 s", "ar", 240, None, {}, 1),
    ("mamba, 240 s", "mamba", 240, None, {}, 1),
    ("ar, second recipe, 70 s", "ar", 70, None, SECOND, 3),
    ("ar, second recipe, 240 s", "ar", 240, None, SECOND, 3),
    ("mamba, second recipe, 240 s", "mamba", 240, None, SECOND, 3),
    ("diffusion, second recipe, 240 s", "diffusion", 240, None, SECOND | dict(lr=0.02), 3),
    ("flow, second recipe, 240 s", "flow", 240, None, SECOND | dict(lr=0.02), 3),
    ("diffusion, old recipe, 240 s", "diffusion", 240, None, OLD, 1),
    ("flow, old recipe, 240 s", "flow", 240, None, OLD, 1),
    ("mamba, old recipe, 240 s", "mamba", 240, None, OLD, 1),
    ("ar, old recipe, 240 s", "ar", 240, None, OLD, 1),
]


class TrainedOnItsBound(MaskedDiffusion):
    def loss_terms(self, x, t, z):
        return self.integrand(x, z, t).sum(), x.numel()


def make(name, vocab_size, seed, settings, **sizes):
    sizes = dict(block_size=LENGTH, seed=seed, **sizes)
    if settings is OLD and name in ("diffusion", "flow"):
        sizes["network"] = "transformer"
    target = parameters(build("ar", vocab_size, block_size=LENGTH))
    model = matched(name, vocab_size, target, **sizes)
    if settings is OLD and name == "diffusion":
        model.__class__ = TrainedOnItsBound
    return model


def steps_in(seconds, name, data, changes, tries=60):
    """How many steps fill so many seconds, by the median time of a few on a model thrown away."""
    settings = Settings(max_steps=tries, eval_windows=1, eval_interval=10**9, **changes)
    model = make(name, data.tokenizer.vocab_size, 0, changes)
    times = [0.0] + [record["seconds"] for record in train(model, data, settings)]
    each = statistics.median(b - a for a, b in zip(times[2:-1], times[3:], strict=True))
    return int(seconds / each)


def folder_of(label, seed):
    return Path("runs/speedrun") / f"{label.replace(', ', '-').replace(' ', '-')}-{seed}"


def run(label, name, data, steps, changes, seed):
    """Train so many steps; returns the model and what it took, with the curve on some validation
    windows.

    The model stays in runs/speedrun, to be sampled from and evaluated.
    """
    settings = Settings(
        max_steps=steps, seed=seed, eval_interval=max(1, steps // 10), eval_windows=32, **changes
    )
    model = make(name, data.tokenizer.vocab_size, seed, changes)
    folder = folder_of(label, seed)
    checkpoint.remove(folder)
    curve = [
        dict(seconds=r["seconds"], nats=r["val"])
        for r in train(model, data, settings, folder)
        if "val" in (last := r)
    ]
    took = dict(seconds=last["seconds"], steps=steps, tokens=last["tokens"], curve=curve)
    return model, took


def run_classic(data, seed, steps=classic.STEPS):
    model = classic.build(data.tokenizer.vocab_size, seed)
    order = torch.Generator().manual_seed(seed)
    batches = WindowBatches(data.train, classic.BATCH, classic.LENGTH, order)
    began = time.perf_counter()
    for _ in classic.train(model, batches, steps):
        pass
    seconds = time.perf_counter() - began
    folder = folder_of("classic", seed)
    folder.mkdir(parents=True, exist_ok=True)
    save_file(model.state_dict(), folder / "model.safetensors")
    tokens = steps * classic.BATCH * classic.LENGTH
    return model, dict(seconds=seconds, steps=steps, tokens=tokens)


def trained(label, seed, vocab_size):
    """The model that a run has left in runs/speedrun."""
    folder = folder_of(label, seed)
    if label != "classic":
        return checkpoint.load(folder, "last").model
    model = classic.build(vocab_size, seed)
    model.load_state_dict(load_file(folder / "model.safetensors"))
    return model


def quality(model, data):
    return asdict(nats_per_token(model, data, torch.Generator().manual_seed(0), num_samples=DRAWS))


def record(label, seed, model, took, data, short):
    """One row of the leaderboard."""
    row = dict(took, name=label, seed=seed, exact=model.exact, parameters=parameters(model))
    if getattr(model.net, "max_length", None):
        row["nats_64"] = quality(model, short) if model.exact else None
    if getattr(model.net, "max_length", None) != classic.LENGTH:
        row["nats"] = quality(model, data)
    shown = ", ".join(
        f"{'=' if model.exact else '<='} {row[k]['mean']:.3f} ± {row[k]['se']:.3f} ({k})"
        for k in ("nats", "nats_64")
        if row.get(k)
    )
    print(
        f"{label:32} seed {seed}  {row['seconds']:6.1f} s  {row['steps']:5} steps  {shown}",
        flush=True,
    )
    return row


def five_gram(data, length):
    held_out = torch.cat([part.flatten() for part in data.validation])
    nll = ngram.token_nll(data.train, held_out, data.tokenizer.vocab_size, 5, length)
    return float(nll.mean())


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="runs whose name begins so")
    parser.add_argument("--again", action="store_true", help="forget earlier results")
    parser.add_argument("--measure", action="store_true", help="only measure what was trained")
    options = parser.parse_args()
    path = RESULTS / "speedrun.json"
    rows = json.loads(path.read_bytes())["runs"] if path.exists() and not options.again else []
    keep_memory()
    corpus = corpora.load("shakespeare")
    tokenizer = tokenizers.build("char", corpus)
    data, short = (
        TokenizedCorpus(corpus, tokenizer, length) for length in (LENGTH, classic.LENGTH)
    )
    lines = {str(n): five_gram(data, n) for n in (classic.LENGTH, LENGTH, None)}

    if options.measure:
        for i, row in enumerate(rows):
            if row["name"].startswith(options.only):
                model = trained(row["name"], row["seed"], tokenizer.vocab_size)
                rows[i] = record(row["name"], row["seed"], model, row, data, short)
                save("speedrun", five_gram=lines, runs=rows)
        return

    def done(label, seed):
        return any((row["name"], row["seed"]) == (label, seed) for row in rows)

    def keep(row):
        rows.append(row)
        save("speedrun", five_gram=lines, runs=rows)

    for seed in range(3):
        if not done("classic", seed):
            keep(record("classic", seed, *run_classic(short, seed), data, short))
    unit = statistics.median(row["seconds"] for row in rows if row["name"] == "classic")
    for label, name, seconds, multiple, changes, seeds in RUNS:
        for seed in range(seeds):
            if label.startswith(options.only) and not done(label, seed):
                budget = seconds or multiple * unit
                steps = steps_in(budget, name, data, changes)
                model, took = run(label, name, data, steps, changes, seed)
                keep(record(label, seed, model, dict(took, budget=budget), data, short))


if __name__ == "__main__":
    main()
