"""Five paradigms on the language of 32 words, from three seeds each: the study of chapter 12.

The networks have equal numbers of parameters and read the same texts in the same order. Each is
measured on the same held-out texts by everything that the chapter compares: its likelihood or
bound, the texts it writes, the gaps it fills, and the positions that all this computes.
"""

import time
from collections import deque
from itertools import islice
from typing import Any

import torch
from torch import Generator

from ..data import corpora, tokenizers
from ..data.corpus import TokenizedCorpus
from ..decoding.masked import left_to_right_nll
from ..evaluate.cost import counting
from ..evaluate.decoding_likelihood import decoding_nll
from ..evaluate.likelihood import nats_per_token
from ..language.grammar import LENGTH, grammatical
from ..paradigms import MaskedDiffusion, Paradigm, build
from ..shapes import TokenIds
from ..training.matching import build_alike
from ..training.settings import Settings
from ..training.trainer import train
from .kept import kept

NAMES = "ar", "mamba", "block", "diffusion", "flow"
SEEDS = 0, 1, 2
SIZES = dict(n_layer=2, n_head=4, n_embd=64, block_size=LENGTH)
STEPS, BATCH, POINTS = 400, 32, 5  # of a training; evaluations of its learning curve
HELD_OUT, WRITTEN, GAPS = 400, 200, 120  # texts to score, to write, to fill a gap in
GAP = slice(12, 20)  # the words that are hidden

RANDOM, LEFT, SURE = (dict(sampler=s) for s in ("first_hitting", "left_to_right", "confidence"))
WRITE: dict[str, dict[str, dict[str, Any]]] = {
    "ar": {"left to right": {}},
    "mamba": {"left to right": {}},
    "diffusion": {
        "random order": RANDOM,
        "left to right": LEFT | dict(steps=LENGTH),
        "by confidence": SURE | dict(steps=LENGTH),
        **{f"{T} steps": dict(sampler="random_order", steps=T) for T in (2, 4, 8, 16)},
    },
    "flow": {
        **{f"{T} steps": dict(steps=T) for T in (2, 4, 8, 16, 32, 64)},
        "32 steps, corrected": dict(steps=32, corrections=1),
    },
}
WRITE["block"] = {k: v for k, v in WRITE["diffusion"].items() if k not in ("2 steps", "4 steps")}
RANKED = {f"{n} candidates": dict(candidates=n) for n in (1, 5, 16, 64)}
FILL: dict[str, dict[str, dict[str, Any]]] = {
    "ar": RANKED,
    "mamba": RANKED,
    "block": {"random order": RANDOM, "by confidence": SURE | dict(steps=LENGTH)},
    "diffusion": {
        "random order": RANDOM,
        "left to right": LEFT | dict(steps=8),
        "by confidence": SURE | dict(steps=8),
    },
    "flow": {
        "8 steps": dict(steps=8),
        "4 steps, 1 correction each": dict(steps=4, corrections=1),
        "64 steps": dict(steps=64),
        "32 steps, 1 correction each": dict(steps=32, corrections=1),
        "64 steps, 4 corrections each": dict(steps=64, corrections=4),
    },
}
"""model -> how it is called -> options of `sample`; of `infill`"""

Row = dict[str, Any]


def texts() -> TokenizedCorpus:
    """Return the language as all of them read it."""
    corpus = corpora.load("language")
    return TokenizedCorpus(corpus, tokenizers.build("word", corpus), LENGTH)


def network(name: str, seed: int, vocab_size: int) -> Paradigm:
    """Return one of NAMES, untrained, with as many parameters as the first of them."""
    alike = build_alike(dict.fromkeys([NAMES[0], name]), vocab_size, **SIZES)
    return build(**{**(alike[name].recipe or {}), "seed": seed})


def learn(model: Paradigm, data: TokenizedCorpus, seed: int, steps: int = STEPS) -> list[Row]:
    """Train a model; return its learning curve: `words` read, `seconds` and `nats` per word.

    steps: a multiple of POINTS. The seconds are those of the processor (`time.process_time`),
    without the evaluations, so that it matters little what else the machine does.
    """
    settings = Settings(
        max_steps=steps, batch_size=BATCH, eval_interval=steps, eval_windows=8, seed=seed
    )
    records, curve, seconds = train(model, data, settings), [], 0.0
    for _ in range(POINTS):
        began = time.process_time()
        *_, last = islice(records, steps // POINTS)
        seconds += time.process_time() - began
        nats = nats_per_token(model, data, Generator().manual_seed(0), max_windows=200)
        curve.append(dict(words=last["tokens"], seconds=seconds, nats=nats.mean))
    model.eval().requires_grad_(False)
    return curve


@torch.no_grad()
def excesses(model: Paradigm, data: TokenizedCorpus, n: int = HELD_OUT) -> dict[str, list[float]]:
    """Return how far -log p of n held-out texts lies above the truth, nats per word, each.

    bound: by `nll_bound`, exact if the model is. left to right, by confidence: of the same network
    writing in that order, exactly; under masks, and by confidence not in blocks.
    """
    assert data.truth
    x = data.validation[0][:n]
    nats = {"bound": model.nll_bound(x, Generator().manual_seed(2), num_samples=8)}
    if isinstance(model, MaskedDiffusion):
        nats["left to right"] = left_to_right_nll(model, x)
    if type(model) is MaskedDiffusion:
        nats["by confidence"] = decoding_nll(model, x, "confidence")
    truth = data.truth.log_prob(x)
    return {k: ((v.double() + truth) / data.length).tolist() for k, v in nats.items()}


def judged(z: TokenIds, cost: Row) -> Row:
    """Return the share of texts z (n, L) without a mistake, the mistakes in a text, their standard
    error, and the cost."""
    n = torch.tensor([float(len(found)) for found in grammatical(z)], dtype=torch.float64)
    error = (n.std() / len(n) ** 0.5).item()
    return dict(good=(n == 0).double().mean().item(), mistakes=n.mean().item(), se=error) | cost


def write(model: Paradigm, how: Row, n: int = WRITTEN, seed: int = 7) -> Row:
    """Return what is `judged` of n texts that a model writes with these options of `sample`."""
    with counting(model) as counted:
        z = model.sample(n, LENGTH, Generator().manual_seed(seed), **how)
    return judged(z, counted.per_text(n))


def fill(model: Paradigm, x: TokenIds, how: Row, seed: int = 10) -> Row:
    """Return what is `judged` of texts x (n, L) whose words at GAP a model has filled in anew."""
    g = Generator().manual_seed(seed)
    with counting(model) as counted, torch.inference_mode():
        if model.infills:  # all texts at once
            known = torch.ones_like(x, dtype=torch.bool)
            known[:, GAP] = False
            states = model.generate(torch.where(known, x, model.mask_id), known, g, **how)
            z, _ = deque(states, maxlen=1).pop()
        else:  # a causal model ranks candidates, for one text after another
            size = GAP.stop - GAP.start
            parts = [
                model.infill(1, a[: GAP.start].tolist(), a[GAP.stop :].tolist(), size, g, **how)
                for a in x
            ]
            z = torch.cat(parts)
    return judged(z, counted.per_text(len(x)))


def measure(name: str, model: Paradigm, data: TokenizedCorpus) -> Row:
    """Return everything that is measured of a trained model."""
    gaps = data.validation[0][HELD_OUT : HELD_OUT + GAPS]
    return dict(
        excess=excesses(model, data),
        written={label: write(model, how) for label, how in WRITE[name].items()},
        filled={label: fill(model, gaps, how) for label, how in FILL[name].items()},
    )


def stored() -> Row:
    """Return the results that the authors of the package got.

    machine: it was run on. runs: name -> a list of results by seed, each with `seed`, `parameters`,
    `curve` and what `measure` returns. They come with the book, and are downloaded if the book is
    not there. Raises InputError if that fails.
    """
    return kept("paradigms")
