"""How far texts and models are from the language they come from, where that language is known."""

from collections import Counter
from dataclasses import asdict, replace

import torch

from ..language.grammar import KINDS, grammatical
from .cost import counting
from .likelihood import Estimate

SLIP = 1e-3  # the chance of a slip under which samples with mistakes are scored


@torch.no_grad()
def against_the_truth(model, data, windows, generator, steps=64, n=256):
    """How far a model is from the language its texts come from, as a dict.

    excess: nll_bound minus the exact -log p, nats per token, on the validation texts of `windows`
    (from `window_nats`): an estimate of the divergence KL(truth || model) per token, plus the slack
    of the bound. entropy: of the language, nats per token. surprise: -log p of n samples under the
    truth with slips, nats per token: lower than the entropy means sharpened, higher means mistakes.
    ungrammatical: the share of samples with a mistake; mistakes: how many of each kind a sample.
    """
    model.eval()
    truth, (x, nats) = data.truth, windows[0]
    samples = model.sample(n, data.length, generator, steps=steps).cpu()
    return dict(
        excess=asdict(Estimate.of((nats + truth.log_prob(x)) / data.length)),
        entropy=truth.entropy(data.length) / data.length,
        **worth(samples, truth),
    )


def worth(texts, truth):
    """surprise, ungrammatical and mistakes of texts (n, L), as in `against_the_truth`."""
    found = grammatical(texts)
    kinds = Counter(mistake.kind for mistakes in found for mistake in mistakes)
    return dict(
        surprise=asdict(Estimate.of(-truth.log_prob(texts, SLIP) / texts.shape[1])),
        ungrammatical=asdict(Estimate.of(torch.tensor([float(bool(m)) for m in found]))),
        mistakes={kind: kinds[kind] / len(texts) for kind in KINDS},
    )


def variety(texts, truth):
    """entropy and excess of texts (n, L), in nats per token, and their standard errors.

    In each state of the language an event is a word that may follow, or a mistake. entropy: of the
    next event in its state, as the texts have it: low where they repeat themselves; the language's
    own is `truth.entropy`. excess: the divergence of these events from those of the truth with
    slips. To forget all but the state and the event can only bring two laws nearer, so it is a
    lower bound of KL(sampler || truth) per token, up to noise and to what is left of the bias of
    counting after the correction of Miller and Madow: texts of the truth itself show how much.
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
    excess = Estimate.of((log_p - true.log().flatten()[event]).mean(1))
    return dict(
        entropy=asdict(replace(entropy, mean=entropy.mean + bias)),
        excess=asdict(replace(excess, mean=excess.mean - bias)),
    )


@torch.no_grad()
def decoding(model, data, name, options, seed=0, steps=64, n=512, batch_size=128):
    """What the n texts that a model writes with these options are worth and what they cost, as a
    dict: calls of the network that a text took part in and positions computed for it, both means,
    and what `worth` and `variety` say. Equal seeds start all ways of writing alike."""
    model.eval()
    generator = torch.Generator(model.device).manual_seed(seed)
    options = {"steps": steps} | options
    sizes = [batch_size] * (n // batch_size) + [n % batch_size] * (n % batch_size > 0)
    with counting(model) as counted:
        texts = [model.sample(size, data.length, generator, **options).cpu() for size in sizes]
    texts = torch.cat(texts)
    cost = dict(calls=counted.rows / n, positions=counted.positions / n)
    truth = data.truth
    return dict(name=name, **cost, **worth(texts, truth), **variety(texts, truth))


def decoding_of_the_truth(data, seed=0, n=512):
    """The same for texts of the language itself: what a perfect writer gets."""
    truth = data.truth
    texts = truth.sample(n, data.length, torch.Generator().manual_seed(seed))
    return dict(name="the truth", **worth(texts, truth), **variety(texts, truth))
