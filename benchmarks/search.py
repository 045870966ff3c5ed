"""The search behind the default recipe: the same trials for each of the four, and no more for any.

    python benchmarks/search.py          (some twenty-five minutes on two cores, one trial on each)

Every trial trains on Tiny Shakespeare at about 0.8 M parameters on the same number of tokens, and
changes one thing in the default recipe (the last trial is the one variant that a paradigm has of
its own). It is scored by `nll_bound` on the same 128 validation windows with the same noise, so
that differences between trials are surer than the standard errors say. One recipe is kept for all
four as long as no trial of its own is better for one of them by more than the noise.
"""

import argparse
import json
import multiprocessing
import os

import speedrun
import torch
from measure import RESULTS, save

from nanoparadigm import Settings, corpora, tokenizers, train
from nanoparadigm.commands.allocator import keep_memory
from nanoparadigm.data.corpus import TokenizedCorpus
from nanoparadigm.evaluate.likelihood import nats_per_token

STEPS, BATCH = 300, 16
TRIALS = {
    "the default": {},
    "Muon 0.02": dict(muon_lr=0.02),
    "Muon 0.08": dict(muon_lr=0.08),
    "AdamW's part 0.006": dict(lr=6e-3),
    "AdamW's part 0.024": dict(lr=24e-3),
    "AdamW alone, 0.003": dict(muon_lr=0.0, lr=3e-3),
    "AdamW alone, 0.006": dict(muon_lr=0.0, lr=6e-3),
    "batch 32, half the steps": dict(batch_size=2 * BATCH, max_steps=STEPS // 2),
}
OWN = {
    "ar": "squared ReLU",
    "mamba": "state size 8",
    "diffusion": "not hollow",
    "flow": "not hollow",
}
VARIANTS = {
    "squared ReLU": dict(mlp="relu2"),
    "state size 8": dict(d_state=8),
    "not hollow": dict(network="transformer"),
}


def trial(job):
    name, label = job
    torch.set_num_threads(1)
    keep_memory()
    corpus = corpora.load("shakespeare")
    data = TokenizedCorpus(corpus, tokenizers.build("char", corpus), speedrun.LENGTH)
    sizes = VARIANTS.get(label, {})
    model = speedrun.make(name, data.tokenizer.vocab_size, 0, {}, **sizes)
    recipe = {"max_steps": STEPS, "batch_size": BATCH, **TRIALS.get(label, {})}
    settings = Settings(eval_interval=10**9, eval_windows=1, **recipe)
    *_, last = train(model, data, settings)
    noise = torch.Generator().manual_seed(0)
    nats = nats_per_token(model, data, noise, num_samples=8, max_windows=128)
    row = dict(model=name, trial=label, mean=nats.mean, se=nats.se, seconds=last["seconds"])
    print(f"{name:10} {label:26} {nats.mean:.3f} ± {nats.se:.3f}", flush=True)
    return row


def jobs():
    """(model, trial) of all trials: those that all four share, then the one that each has alone."""
    return [(name, label) for label in TRIALS for name in OWN] + list(OWN.items())


def main():
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    os.environ.update(OMP_NUM_THREADS="1")
    path = RESULTS / "search.json"
    rows = json.loads(path.read_bytes())["trials"] if path.exists() else []
    done = {(row["model"], row["trial"]) for row in rows}
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        for row in pool.imap_unordered(trial, [job for job in jobs() if job not in done]):
            rows.append(row)
            save("search", steps=STEPS, tokens=STEPS * BATCH * speedrun.LENGTH, trials=rows)


if __name__ == "__main__":
    main()
