"""The likelihood of a decoder: its law sums to one, and is the law of what the decoder writes."""

from itertools import permutations

import exact
import pytest
import torch
from helpers import Table, generator, refusal
from laws import NLL, TEXTS, L, arbitrary, close, oracle

from nanoparadigm.decoding.masked import left_to_right_nll
from nanoparadigm.evaluate import decoding_nll
from nanoparadigm.paradigms import Autoregressive, BlockDiffusion, DiscreteFlow, MaskedDiffusion

ORDERS = "confidence", "left_to_right"
HOW = [dict(sampler=order, steps=steps) for order in ORDERS for steps in (None, 5, 3, 1, 7)]
HOW += [
    dict(steps=3, unmasking="cosine"),
    dict(threshold=0.5),
    dict(sampler="left_to_right", steps=3, temperature=0.7),
    dict(steps=3, top_k=2),
]


def total(nll):
    return (-nll).exp().sum().item()


@pytest.mark.parametrize("how", HOW, ids=str)
@pytest.mark.parametrize("seed", [0, 1])
def test_the_probabilities_of_all_texts_sum_to_one(how, seed):
    """At 1, 2 and 5 tokens a step, for a network whose orders contradict one another."""
    nll = decoding_nll(arbitrary(MaskedDiffusion, L, seed), TEXTS, **how)
    assert nll.dtype == torch.float64 and nll.shape == (len(TEXTS),)
    assert abs(total(nll) - 1) < 1e-12


def test_left_to_right_in_single_steps_is_the_chain_rule():
    model = arbitrary(MaskedDiffusion, L)
    close(decoding_nll(model, TEXTS, "left_to_right"), left_to_right_nll(model, TEXTS), 1e-12)


@pytest.mark.parametrize("order", ORDERS)
def test_the_posterior_is_right_in_any_order_and_at_once_costs_the_total_correlation(order):
    model, p = oracle(MaskedDiffusion), (-NLL).exp()
    close(decoding_nll(model, TEXTS, order), NLL, 1e-12)
    alone = p @ torch.nn.functional.one_hot(TEXTS).double().flatten(1)
    together = torch.special.entr(alone).sum() - p @ NLL
    close(p @ (decoding_nll(model, TEXTS, order, 1) - NLL), together, 1e-12)


def test_of_equally_sure_tokens_the_first_is_revealed_first():
    model = MaskedDiffusion(FirstMask(), 3)
    for steps in (None, 3, 2):
        left = decoding_nll(model, TEXTS, "left_to_right", steps)
        close(decoding_nll(model, TEXTS, "confidence", steps), left, 1e-12)


class FirstMask(torch.nn.Module):
    """Equally sure everywhere, but of what depends on where the masks are: the order matters."""

    def forward(self, z, t=None):
        word = ((z == 3) * torch.arange(1, 1 + z.shape[1])).sum(1) % 3
        return torch.eye(3).double()[word][:, None].expand(*z.shape, 3)


@pytest.mark.parametrize(
    "how",
    [
        dict(sampler="confidence", steps=3),
        dict(sampler="confidence", steps=2),
        dict(sampler="left_to_right", steps=2),
        dict(sampler="confidence", threshold=0.6),
        dict(sampler="confidence", steps=2, temperature=0.6),
        dict(sampler="confidence", threshold=0.6, temperature=0.4),
        dict(sampler="confidence", steps=2, unmasking="cosine"),
    ],
    ids=str,
)
def test_the_decoder_writes_texts_as_often_as_it_says(how):
    model, x = arbitrary(MaskedDiffusion), exact.texts(3, 3)
    p = (-decoding_nll(model, x, **how)).exp()
    assert exact.fits(model.sample(20_000, 3, generator(), **how), p)
    assert not exact.fits(model.sample(20_000, 3, generator(), sampler="first_hitting"), p)


def test_the_best_order_of_each_text_is_no_likelihood():
    model, x = arbitrary(MaskedDiffusion), exact.texts(3, 3)
    costs = []
    for order in permutations(range(3)):
        z, cost = torch.full_like(x, 3), 0.0
        for i in order:
            cost = cost + model.cross_entropy(x, z, torch.ones(len(x)))[:, i]
            z = z.clone()
            z[:, i] = x[:, i]
        assert abs(total(cost) - 1) < 1e-12
        costs.append(cost)
    assert total(torch.stack(costs).amin(0)) > 1.5


@pytest.mark.parametrize("kind", [Autoregressive, DiscreteFlow])
def test_a_model_without_masks_is_refused(kind):
    said = refusal(decoding_nll, kind(Table(torch.zeros(4)), 3), TEXTS)
    assert f"{kind.__name__} reveals no masks: give a MaskedDiffusion" == said


@pytest.mark.parametrize("sampler", ["ancestral", "first_hitting", "random_order"])
def test_an_order_left_to_chance_is_refused(sampler):
    said = refusal(decoding_nll, arbitrary(MaskedDiffusion), TEXTS[:, :3], sampler)
    assert said.startswith("no likelihood is known here of") and "left_to_right" in said


def test_what_cannot_be_asked_is_refused():
    model, x = arbitrary(MaskedDiffusion), exact.texts(3, 3)
    blocks = BlockDiffusion(Table(torch.zeros(3)), 3)
    assert "choose confidence or left_to_right of a MaskedDiff" in refusal(decoding_nll, blocks, x)
    assert "steps is 0" in refusal(decoding_nll, model, x, steps=0)
    assert "unknown sampler" in refusal(decoding_nll, model, x, "right_to_left")
    assert "`threshold` belongs" in refusal(decoding_nll, model, x, "left_to_right", threshold=0.5)
