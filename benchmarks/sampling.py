"""Sampling: tokens per second with and without memory of the past, and quality against compute.

    python benchmarks/sampling.py        (some fifteen minutes on two cores, training included)

Speed: texts of 256 symbols from models of about 0.8 M parameters, untrained, since speed does not
depend on the weights. Quality: small models of equal size, trained on the built-in language, whose
truth is known; each sampler writes 512 texts of 32 words, scored by their exact probability under
the truth and by its grammar, and is timed writing one text and writing 64.
"""

import argparse
import copy
import json
import statistics
from functools import partial
from pathlib import Path

import classic
import torch
from measure import RESULTS, save, show, side_by_side, summary

from nanoparadigm import Settings, build, corpora, load, tokenizers, train
from nanoparadigm.commands.allocator import keep_memory
from nanoparadigm.evaluate.cost import counting
from nanoparadigm.evaluate.ground_truth import sample_quality
from nanoparadigm.paradigms import PRESETS, parameters
from nanoparadigm.training.matching import build_alike, matched

LENGTH, VOCAB = 256, 65
STEPS = (8, 16, 32, 64, 128, 256)
RUNS = Path("runs/benchmark")
SMALL = dict(n_layer=2, n_embd=64)
SETTINGS = Settings(max_steps=2000, eval_interval=500)


class Uncached(torch.nn.Module):
    """A network without `step`, so that every token costs a pass over all before it."""

    def __init__(self, net):
        super().__init__()
        self.net, self.max_length = net, net.max_length

    def forward(self, z, t=None):
        return self.net(z, t)


class Classic:
    """The classic small GPT and the loop it is usually sampled with: the whole text, every time."""

    def __init__(self):
        self.net = classic.GPT(VOCAB, length=LENGTH).eval()

    @torch.inference_mode()
    def sample(self, n, length, generator):
        z = torch.zeros(n, 1, dtype=torch.long)
        for _ in range(length):
            p = self.net(z[:, -LENGTH:])[:, -1].softmax(-1)
            z = torch.cat([z, torch.multinomial(p, 1, generator=generator)], dim=1)
        return z[:, 1:]


def compiled(model):
    """The same model, a step of its network being one call of compiled code."""
    model = copy.deepcopy(model)
    model.net.step = torch.compile(model.net.step, options={"cpp_wrapper": True})
    return model


def speed(repeats=5):
    """tokens per second: threads -> batch -> name -> summary."""
    ar = build("ar", VOCAB, block_size=LENGTH).eval()
    uncached = build("ar", VOCAB, block_size=LENGTH).eval()
    uncached.net = Uncached(uncached.net)
    mamba = matched("mamba", VOCAB, parameters(ar), block_size=LENGTH).eval()
    models = {"transformer, uncached": uncached, "transformer, cached": ar, "mamba": mamba}
    # a text at a time only: to compile anew for every batch takes minutes
    alone = {"the classic GPT's loop": Classic()}
    alone |= {f"{name}, compiled": compiled(models[name]) for name in [*models][1:]}
    found = {}
    for threads in (1, 2):
        torch.set_num_threads(threads)
        for batch in (1, 64):
            g = torch.Generator().manual_seed(0)
            here = models | (alone if threads == batch == 1 else {})
            times = side_by_side(
                {name: partial(m.sample, batch, LENGTH, g) for name, m in here.items()},
                repeats if batch == 1 else 1,
            )
            setting = f"{threads} thread{'s' * (threads > 1)}, batch {batch}"
            print(f"{LENGTH} symbols, {setting}")
            show(times)
            rates = {n: sorted(1000 * batch * LENGTH / t for t in ms) for n, ms in times.items()}
            found[setting] = {n: summary(r) for n, r in rates.items()}
    return found


def trained(data):
    """The four models, from runs/benchmark or trained now."""
    models = build_alike(PRESETS, data.tokenizer.vocab_size, block_size=data.length, **SMALL)
    for name, model in models.items():
        run = RUNS / name
        if not (run / "run.json").exists():
            for record in train(model, data, SETTINGS, run):
                if "val" in record:
                    print(f"  {name}: step {record['step']}, {record['val']:.3f} nats", flush=True)
        models[name] = load(run).model.eval()
    return models


def samplers():
    """label -> model, options of `sample`."""
    found = {"ar, cached": ("ar", {}), "mamba": ("mamba", {})}
    found["diffusion, first hitting"] = "diffusion", dict(sampler="first_hitting")
    for T in STEPS:
        found[f"diffusion, {T} steps"] = "diffusion", dict(steps=T)
    for T in STEPS:
        found[f"flow, {T} steps"] = "flow", dict(steps=T)
    for T in STEPS:
        found[f"flow, Euler, {T} steps"] = "flow", dict(steps=T, sampler="euler")
    return found


def quality(model, data, options, n):
    """What `n` texts are worth and what they cost."""
    with counting(model) as counted:
        texts = model.sample(n, data.length, torch.Generator().manual_seed(0), **options)
    return dict(
        **counted.per_text(n),
        **sample_quality(texts, data.corpus.truth),
    )


def cost(model, data, options, batch, repeats):
    """Milliseconds a text."""
    g = torch.Generator().manual_seed(0)
    times = side_by_side({"": lambda: model.sample(batch, data.length, g, **options)}, repeats)[""]
    return statistics.median(times) / batch


def against_the_truth(n=512):
    torch.set_num_threads(1)
    corpus = corpora.load("language")
    tokenizer = tokenizers.build("word", corpus)
    data = corpora.TokenizedCorpus(corpus, tokenizer, corpus.sequence_length)
    models = trained(data)
    rows = []
    for label, (name, options) in samplers().items():
        row = dict(name=label, **quality(models[name], data, options, n))
        for batch, repeats in ((1, 7), (64, 3)):
            row[f"milliseconds_{batch}"] = cost(models[name], data, options, batch, repeats)
        rows.append(row)
        print(
            f"{label:26} {row['calls']:4.0f} calls {row['positions']:7.0f} positions  "
            f"{row['milliseconds_1']:7.1f} and {row['milliseconds_64']:6.2f} ms a text  "
            f"surprise {row['surprise']['mean']:.3f} ± {row['surprise']['se']:.3f}  "
            f"ungrammatical {row['ungrammatical']['mean']:.1%}",
            flush=True,
        )
    # the same n texts by the language itself: what a perfect sampler would score
    exact = corpus.truth.sample(n, data.length, torch.Generator().manual_seed(0))
    return dict(
        samplers=rows,
        entropy=corpus.truth.entropy(data.length) / data.length,
        truth=sample_quality(exact, corpus.truth)["surprise"],
        parameters={name: parameters(model) for name, model in models.items()},
        steps=SETTINGS.max_steps,
        texts=n,
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--speed", action="store_true", help="measure only the speed again")
    again = parser.parse_args().speed
    keep_memory()
    kept = json.loads((RESULTS / "sampling.json").read_bytes())["truth"] if again else None
    save("sampling", speed=speed(), truth=kept or against_the_truth())
