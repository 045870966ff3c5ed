"""Schedules: closed forms against autograd, ends, order; stratified times."""

import pytest
import torch
from helpers import generator

from nanoparadigm import SCHEDULES
from nanoparadigm.paradigms.schedules import stratified_times, stratified_uniform

each = pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=SCHEDULES)
TIMES = torch.linspace(0.001, 0.999, 999, dtype=torch.float64)


def test_there_are_six():
    names = "linear cosine loglinear sqrt clipped_cosine sigmoid"
    assert " ".join(SCHEDULES) == names


@each
def test_derivative_and_weight_agree_with_autograd(schedule):
    t = TIMES.clone().requires_grad_()
    alpha = schedule.alpha(t)
    (derivative,) = torch.autograd.grad(alpha.sum(), t)
    assert torch.allclose(schedule.dalpha(TIMES), derivative, rtol=1e-10)
    assert torch.allclose(schedule.weight(TIMES), -derivative / (1 - alpha), rtol=1e-8)


@each
def test_the_weight_is_accurate_in_float32(schedule):
    exact = schedule.weight(TIMES)
    assert torch.allclose(schedule.weight(TIMES.float()).double(), exact, rtol=2e-5)


@each
def test_alpha_falls_between_the_ends_it_declares(schedule):
    t = torch.linspace(0, 1, 1001, dtype=torch.float64)
    alpha = schedule.alpha(t)
    assert (alpha.diff() < 0).all()
    assert alpha[0].item() == pytest.approx(schedule.alpha0, abs=1e-15)
    assert alpha[-1].item() == pytest.approx(schedule.alpha1, abs=1e-15)
    assert schedule.clipped == (schedule.alpha0 != 1 or schedule.alpha1 != 0)
    if not schedule.clipped:
        assert alpha[0] == 1 and alpha[-1] == 0


def test_published_ends():
    """Log-linear is not exp(-t log 2), whose alpha(1) is one half; the clipped ones say so."""
    ends = {name: (s.alpha0, s.alpha1) for name, s in SCHEDULES.items() if s.clipped}
    assert ends["loglinear"] == (1, 1e-3)
    assert ends["clipped_cosine"] == (0.95, 0.05)
    assert ends["sigmoid"] == pytest.approx((0.99331, 0.00669), abs=1e-5)


@pytest.mark.parametrize("n", [1, 2, 7, 64])
def test_stratified_times_put_one_in_each_part(n):
    t = stratified_times(n, generator())
    assert t.dtype == torch.float64
    assert ((t * n).long() == torch.arange(n)).all()


def test_stratified_times_are_uniform_one_by_one():
    g = generator()
    t = torch.stack([stratified_times(4, g) for _ in range(4000)])
    assert torch.allclose(t.mean(0), (torch.arange(4) + 0.5).double() / 4, atol=0.005)


def test_a_stratum_is_uniform_within_its_own_part():
    n = 20_000
    for d, draws in [(0, 1), (0, 4), (3, 4)]:
        t = stratified_uniform(d, draws, n, generator()) * draws - d
        assert t.dtype == torch.float64 and t.shape == (n,)
        assert 0 <= t.min() < 0.001 and 0.999 < t.max() < 1
        assert abs(t.mean() - 0.5) < 4.5 / (12 * n) ** 0.5
        assert abs((t < 0.25).double().mean() - 0.25) < 4.5 * (0.25 * 0.75 / n) ** 0.5
