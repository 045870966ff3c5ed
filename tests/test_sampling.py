"""Sharpening and drawing: every option does what its name says, and the tail is not cut off."""

import pytest
import torch
from helpers import generator

from nanoparadigm import InputError
from nanoparadigm.paradigms.base import draw, probabilities

LOGITS = torch.tensor([2.0, 1.0, 0.5, -1.0, -3.0])


def test_plain_probabilities_are_a_float64_softmax():
    p = probabilities(LOGITS)
    assert p.dtype == torch.float64
    assert torch.allclose(p, LOGITS.double().softmax(-1))


def test_temperature_divides_logits_and_zero_is_the_most_probable():
    assert torch.allclose(probabilities(LOGITS, 0.5), (LOGITS.double() * 2).softmax(-1))
    assert probabilities(LOGITS, 0.0).tolist() == [1, 0, 0, 0, 0]


def test_top_k_keeps_k_and_their_proportions():
    full = probabilities(LOGITS)
    for k in range(1, 8):
        p = probabilities(LOGITS, top_k=k)
        assert (p > 0).sum() == min(k, 5)
        assert torch.allclose(p[: min(k, 5)], full[: min(k, 5)] / full[: min(k, 5)].sum())
    ties = probabilities(torch.zeros(6), top_k=2)
    assert (ties > 0).sum() == 2


def test_top_p_keeps_the_fewest_that_reach_the_share():
    full = probabilities(LOGITS)
    for top_p in (0.01, 0.5, 0.62, 0.9, 0.999, 1.0):
        p = probabilities(LOGITS, top_p=top_p)
        kept = int((p > 0).sum())
        assert full[:kept].sum() >= top_p - 1e-12
        assert kept == 1 or full[: kept - 1].sum() < top_p
        assert torch.allclose(p.sum(), torch.tensor(1.0, dtype=torch.float64))


def test_draws_follow_the_probabilities_and_never_reach_a_token_of_probability_zero():
    p = torch.tensor([0.0, 0.5, 0.0, 0.3, 0.2, 0.0], dtype=torch.float64)
    x = draw(p.expand(200_000, 6), generator())
    frequency = x.bincount(minlength=6) / 200_000
    assert (frequency[[0, 2, 5]] == 0).all()
    assert torch.allclose(frequency.double(), p, atol=0.005)


def test_the_tail_keeps_its_share():
    """In float32 the first of these two tokens would fill the whole unit interval."""
    logits = torch.tensor([20.7, 0.0])
    cut = probabilities(logits).cumsum(0)[0]
    assert 0.9e-9 < 1 - cut < 1.1e-9
    assert cut.float() == 1


def test_the_tail_is_reached():
    """The last thousandth of the unit interval's last 1e-9 belongs to the rare token."""
    p = torch.tensor([[1 - 1e-9, 1e-9]], dtype=torch.float64)
    rand = torch.rand
    try:
        torch.rand = lambda *shape, dtype=torch.float32, **_: torch.full(
            shape if isinstance(shape[0], int) else shape[0], 1 - 1e-12, dtype=torch.float64
        ).to(dtype)
        assert draw(p, None).item() == 1
    finally:
        torch.rand = rand


@pytest.mark.parametrize(
    "options, message",
    [
        ({"temperature": -1}, "temperature is -1"),
        ({"top_k": 0}, "top_k is 0"),
        ({"top_p": 2.0}, "top_p is 2"),
        ({"top_p": 0.0}, "top_p is 0"),
    ],
)
def test_options_that_cannot_be_are_named(options, message):
    with pytest.raises(InputError, match=message):
        probabilities(LOGITS, **options)
