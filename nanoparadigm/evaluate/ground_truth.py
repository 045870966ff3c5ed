"""Measure how far texts and models are from the language they come from, where it is known."""

from collections import Counter
from dataclasses import asdict, replace
from typing import Any

import torch
from torch import Generator

from ..data.corpus import TokenizedCorpus
from ..language.automaton import Automaton
from ..language.grammar import KINDS, grammatical
from ..paradigms import Paradigm
from ..shapes import TokenIds
from .cost import counting
from .likelihood import Estimate, Windows

SLIP = 1e-3
"""the smoothing under which samples with mistakes are scored: the chance of a slip"""


@torch.no_grad()
def ground_truth_metrics(
    model: Paradigm,
    data: TokenizedCorpus,
    windows: Windows,
    generator: Generator,
    steps: int = 64,
    n: int = 256,
) -> dict[str, Any]:
    """Measure how far a model is from the language its texts come from: return a dict.

    excess: nll_bound minus the exact -log p, nats per token, on the validation texts of `windows`
    (from `window_nats`). It estimates the divergence KL(truth || model) per token, plus the slack
    of the bound. entropy: of the language, nats per token. surprise, ungrammatical, mistakes:
    `sample_quality` of n samples, drawn in `steps` steps.
    """
    assert data.truth
    model.eval()
    truth, (x, nats) = data.truth, windows[0]
    samples = model.sample(n, data.length, generator, steps=steps).cpu()
    return dict(
        excess=asdict(Estimate.of((nats + truth.log_prob(x)) / data.length)),
        entropy=truth.entropy(data.length) / data.length,
        **sample_quality(samples, truth),
    )


def sample_quality(texts: TokenIds, truth: Automaton) -> dict[str, Any]:
    """Score texts (n, L) by the language itself: return a dict.

    surprise: their -log p under the truth with slips, nats per token. Below the entropy of the
    language the texts are sharpened, above it they hold mistakes. ungrammatical: the share of texts
    with a mistake. mistakes: how many of each of KINDS a text has on average.
    """
    found = grammatical(texts)
    kinds = Counter(mistake.kind for mistakes in found for mistake in mistakes)
    return dict(
        surprise=asdict(Estimate.of(-truth.log_prob(texts, SLIP) / texts.shape[1])),
        ungrammatical=asdict(Estimate.of(torch.tensor([float(bool(m)) for m in found]))),
        mistakes={kind: kinds[kind] / len(texts) for kind in KINDS},
    )


def sample_diversity(texts: TokenIds, truth: Automaton) -> dict[str, Any]:
    """Return the entropy and the divergence of texts (n, L), nats per token, with standard errors.

    In each state of the language an event is a word that may follow, or a mistake. entropy: of the
    next event given its state, as counted in the texts. It is low for texts that repeat themselves;
    that of the language is `truth.entropy`. divergence: of these events from those of the truth
    with slips. Forgetting all but the state and the event can only bring two distributions closer,
    so this is a lower bound of KL(sampler || truth) per token, up to noise and to the bias of
    counting that the correction of Miller and Madow leaves: texts of the language itself show how
    much.
    """
    n, L = texts.shape
    states = truth.walk(texts)[:, :-1]
    right, mistake = truth.P > 0, truth.V
    true = (1 - SLIP) * truth.P + SLIP / truth.V
    true = torch.cat([true * right, (true * ~right).sum(1, keepdim=True)], dim=1)
    event = states * true.shape[1] + torch.where(right[states, texts], texts, mistake)
    counts = event.flatten().bincount(minlength=true.numel()).view_as(true).double()
    log_p = (counts / counts.sum(1, keepdim=True)).log().flatten()[event]
    bias = ((counts > 0).sum(1) - 1).clamp(min=0).sum().item() / (2 * n * L)
    entropy = Estimate.of(-log_p.mean(1))
    divergence = Estimate.of((log_p - true.log().flatten()[event]).mean(1))
    return dict(
        entropy=asdict(replace(entropy, mean=entropy.mean + bias)),
        divergence=asdict(replace(divergence, mean=divergence.mean - bias)),
    )


@torch.no_grad()
def decoding_metrics(
    model: Paradigm,
    data: TokenizedCorpus,
    name: str,
    options: dict[str, Any],
    seed: int = 0,
    steps: int = 64,
    n: int = 512,
    batch_size: int = 128,
) -> dict[str, Any]:
    """Measure the quality and the cost of n texts that a model samples with these options.

    Returns a dict: the name; the options; the block_length of a model that has one; calls and
    positions, as `cost` counts them; and all of `sample_quality` and `sample_diversity`. options:
    of `sample`, where `steps` may be one. With equal seeds all decoding strategies start from the
    same noise.
    """
    assert data.truth
    model.eval()
    generator = torch.Generator(model.device).manual_seed(seed)
    asked = {"steps": steps} | options
    sizes = [batch_size] * (n // batch_size) + [n % batch_size] * (n % batch_size > 0)
    with counting(model) as counted:
        parts = [model.sample(size, data.length, generator, **asked).cpu() for size in sizes]
    texts = torch.cat(parts)
    return dict(
        name=name,
        options=options,
        **({"block_length": model.block_length} if hasattr(model, "block_length") else {}),
        **counted.per_text(n),
        **sample_quality(texts, data.truth),
        **sample_diversity(texts, data.truth),
    )


def decoding_of_language(data: TokenizedCorpus, seed: int = 0, n: int = 512) -> dict[str, Any]:
    """Return `decoding_metrics` without the cost for n texts of the language itself, which no
    sampler can beat."""
    assert data.truth
    truth = data.truth
    texts = truth.sample(n, data.length, torch.Generator().manual_seed(seed))
    return dict(name="the truth", **sample_quality(texts, truth), **sample_diversity(texts, truth))
