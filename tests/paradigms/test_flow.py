"""Discrete flow: corruption, rates, reversal, and the bound, against float64 identities."""

import itertools
import math

import pytest
import torch
import torch.nn.functional as F
from helpers import Table, generator, random_model

from nanoparadigm import InputError
from nanoparadigm.decoding.uniform import euler_step, posterior_step
from nanoparadigm.paradigms import DiscreteFlow
from nanoparadigm.paradigms.flow import phi

K = 5


def q(x, alpha):
    """q(z | x) (..., K) for clean x (...)."""
    return alpha * F.one_hot(x, K).double() + (1 - alpha) / K


@pytest.fixture
def table():
    logits = torch.randn(K, generator=generator(), dtype=torch.float64)
    return DiscreteFlow(Table(logits), K), logits.softmax(0)


def test_corruption_has_the_marginals_it_should():
    model = DiscreteFlow(None, K)
    x = torch.full((1, 50_000), 2)
    z = model.corrupt(x, torch.tensor([0.3], dtype=torch.float64), generator())
    frequency = z.flatten().bincount(minlength=K) / 50_000
    assert torch.allclose(frequency.double(), q(torch.tensor(2), 0.3), atol=0.01)


def test_the_posterior_is_bayes_of_the_leave_one_out_prediction(table):
    """With one token, leave-one-out is the prior: the bump must turn it into Bayes' posterior."""
    model, prior = table
    for a in (0.001, 0.4, 0.999):
        alpha = torch.tensor([a], dtype=torch.float64)
        for z in range(K):
            bayes = prior * torch.stack([q(torch.tensor(x), a)[z] for x in range(K)])
            ours = model.posterior(torch.tensor([[z]]), alpha).softmax(-1)
            assert torch.allclose(ours.flatten(), bayes / bayes.sum(), rtol=1e-10)


def test_the_reversal_is_bayes_for_every_pair_of_times(table):
    model, _ = table
    x = torch.tensor(3)
    for a, b in [(0.0, 0.2), (0.1, 0.5), (0.5, 0.9), (0.7, 1.0)]:
        for z in range(K):
            # q(z_s = y | z_t = z, x) is proportional to q(z_s = y | x) q(z_t = z | z_s = y)
            onward = a / b * torch.eye(K).double() + (1 - a / b) / K
            bayes = q(x, b) * onward[:, z]
            theta = F.one_hot(x, K).double()[None, None]
            ours = posterior_step(
                torch.tensor([[z]]), theta, torch.tensor(a), torch.tensor(b).double()
            ).flatten()
            assert torch.allclose(ours / ours.sum(), bayes / bayes.sum(), atol=1e-7)


@pytest.mark.parametrize("eta", [0.0, 0.5, 3.0])
def test_euler_steps_carry_one_marginal_to_the_next(table, eta):
    """For data x, the rates keep q(z | x) on its path: the error of a step is O(step^2)."""
    model, _ = table
    x = torch.tensor(1)
    theta = F.one_hot(x, K).double().expand(1, K, K)
    z = torch.arange(K)[None]
    for a in (0.05, 0.5, 0.8):
        errors = []
        for h in (1e-3, 1e-4):
            a_, b_ = (torch.tensor(v, dtype=torch.float64) for v in (a, a + h))
            step = euler_step(z, theta, a_, b_, eta)[0]
            assert torch.allclose(step.sum(-1), torch.ones(K).double())
            errors.append((q(x, a) @ step - q(x, a + h)).abs().max().item())
        assert errors[1] < 0.02 * errors[0] + 1e-12


def naive_integrand(theta, x, z, alpha, dalpha):
    """The bound as the papers write it, in float64, one token at a time."""
    xbar = K * alpha * F.one_hot(x, K).double() + 1 - alpha
    model = K * alpha * theta + 1 - alpha
    ratio, model_ratio = xbar / xbar[z], model / model[z]
    inner = K / xbar[z] - K / model[z] - (ratio * (ratio / model_ratio).log()).sum()
    return dalpha / (K * alpha) * inner


def test_the_integrand_is_the_published_one(table):
    model, theta = table
    for a in (0.01, 0.3, 0.7, 0.99):
        for x, z in itertools.product(range(K), repeat=2):
            ours = model.integrand(torch.tensor([[x]]), torch.tensor([[z]]), 1 - a).item()
            published = naive_integrand(theta, torch.tensor(x), torch.tensor(z), a, -1.0).item()
            assert ours == pytest.approx(published, rel=1e-9, abs=1e-10)
            assert ours >= 0


def test_the_integrand_is_the_rate_of_divergence_of_the_sampler_it_bounds(table):
    """KL(q(z_s | z_t, x) || the sampler's step) / h -> the integrand as h -> 0."""
    model, theta = table
    a = torch.tensor(0.4, dtype=torch.float64)
    for x, z in [(1, 1), (1, 3), (0, 4)]:
        xs, zs = torch.tensor([[x]]), torch.tensor([[z]])
        limit = model.integrand(xs, zs, 0.6).item()
        for h in (1e-4, 1e-5):
            true = posterior_step(zs, F.one_hot(xs, K).double(), a, a + h).flatten()
            ours = posterior_step(zs, theta.expand(1, 1, K), a, a + h).flatten()
            true, ours = true / true.sum(), ours / ours.sum()
            divergence = (true * (true / ours).log()).sum().item() / h
            assert divergence == pytest.approx(limit, rel=30 * h)


def test_one_token_read_leave_one_out_is_bounded_by_its_own_likelihood(table):
    """L = 1: the integral over t, by quadrature, of the expectation over z is -log p(x)."""
    model, prior = table
    s = (torch.arange(40_000, dtype=torch.float64) + 0.5) / 40_000
    t = s**2 * (3 - 2 * s)  # crowds the points at both ends
    dt = 6 * s * (1 - s) / 40_000
    for x in range(K):
        total = 0.0
        for z in range(K):
            xs, zs = torch.full((len(t), 1), x), torch.full((len(t), 1), z)
            chance = (1 - t) * (x == z) + t / K
            total += (dt * chance * model.integrand(xs, zs, t).squeeze(-1)).sum().item()
        assert total == pytest.approx(-prior[x].log().item(), rel=1e-6)


def test_float32_agrees_with_float64_from_one_end_to_the_other():
    vocab = 65
    logits = 2 * torch.randn(40, vocab, generator=generator(), dtype=torch.float64)

    class Rows(torch.nn.Module):
        def __init__(self, dtype):
            super().__init__()
            self.dtype = dtype

        def forward(self, z, t):
            return logits.to(self.dtype).expand(len(z), -1, -1)

    x, z = torch.randint(vocab, (2, 9, 40), generator=generator(1))
    z[:, ::2] = x[:, ::2]
    alpha = torch.tensor([0.001, 0.01, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99, 0.999], dtype=torch.float64)
    exact, single = (
        DiscreteFlow(Rows(d), vocab).integrand(x, z, 1 - alpha)
        for d in (torch.float64, torch.float32)
    )
    assert single.dtype == torch.float32
    assert ((single - exact).abs() <= 1e-6 * (1 + exact.abs())).all()


def test_phi_is_smooth_through_zero():
    d = torch.tensor([0.0, 1e-9, 1e-3, 0.0499, 0.0501, 1.0, -0.0499, -0.0501, -3.0])
    exact = torch.exp(-d.double()) - 1 + d.double()
    assert torch.allclose(phi(d).double(), exact, rtol=3e-6, atol=1e-9)
    assert (phi(d) >= 0).all()


def test_the_samplers_reach_the_law_of_an_independent_model(table):
    """Where context says nothing, every sampler must draw each token from the table."""
    model, prior = table
    for options in ({}, {"sampler": "euler"}, {"sampler": "euler", "eta": 1.0}):
        text = model.sample(4000, 5, generator(), steps=200, **options)
        frequency = text.flatten().bincount(minlength=K).double() / text.numel()
        assert (frequency - prior).abs().max() < 0.012


def test_nll_bound_is_the_quadrature_in_the_mean(table):
    model, prior = table
    x = torch.randint(K, (1, 6), generator=generator())
    estimates = model.nll_bound(x.expand(20_000, 6), generator(), num_samples=8)
    error = estimates.std() / 20_000**0.5
    assert abs(estimates.mean() + prior.log()[x].sum()) < 4 * error


def test_wrong_options_are_named():
    model = random_model("flow")
    for end in (0.0, 1.0, math.nan):
        with pytest.raises(InputError, match="give a noise level"):
            model.nll_bound(torch.zeros(1, 4, dtype=torch.long), generator(), end=end)
    for options, message in [
        ({"sampler": "eular"}, "did you mean 'euler'"),
        ({"eta": 1.0}, "belongs to `sampler` euler"),
        ({"eta": -1.0, "sampler": "euler"}, "eta is -1"),
    ]:
        with pytest.raises(InputError, match=message):
            model.sample(1, 4, generator(), **options)
