"""Masked diffusion against what can be computed by hand or by enumeration."""

import itertools
import math

import pytest
import torch
from helpers import Table, generator, random_model

from nanoparadigm import SCHEDULES
from nanoparadigm.paradigms import MaskedDiffusion
from nanoparadigm.studies.schedules import bounds

V, L = 5, 4
UNCLIPPED = [name for name, s in SCHEDULES.items() if not s.clipped]


@pytest.fixture
def independent():
    """A model that ignores its context, so that -log p(x) is a sum over tokens."""
    logits = torch.randn(V + 1, generator=generator(), dtype=torch.float64)
    logits[V] = 5.0
    log_p = logits[:V].log_softmax(0)
    x = torch.randint(V, (1, L), generator=generator(1))
    return logits, x, -log_p[x].sum()


def all_masks():
    return torch.tensor(list(itertools.product([False, True], repeat=L)))


def test_subs_puts_nothing_on_the_mask_and_copies_what_is_visible():
    model = random_model("diffusion", vocab_size=V)
    z = torch.tensor([[0, V, 3, V, 1]])
    p = model.log_probs(z, torch.tensor([0.5])).exp()
    assert p.shape == (1, 5, V)
    assert torch.allclose(p.sum(-1), torch.ones(1, 5, dtype=torch.float64))
    for i in (0, 2, 4):
        assert p[0, i, z[0, i]] == 1
    assert (p[0, [1, 3]] > 0).all()


def test_corruption_masks_at_the_rate_of_the_schedule():
    x = torch.randint(V, (2, 20_000), generator=generator())
    for schedule in SCHEDULES:
        model = MaskedDiffusion(None, V, schedule)
        t = torch.tensor([0.2, 0.7], dtype=torch.float64)
        z = model.corrupt(x, t, generator(1))
        rate = (z == V).double().mean(1)
        assert torch.allclose(rate, 1 - model.schedule.alpha(t), atol=0.015)
        assert (z[z != V] == x[z != V]).all()


def test_masking_by_entropy_masks_what_is_easy_more():
    x = torch.randint(V, (2, 40_000), generator=generator())
    model = MaskedDiffusion(None, V, masking="entropy")
    model.weights = bounds.entropy_weights(torch.tensor([0.0, 0.5, 1.0, 1.3, 2.2]))
    assert torch.allclose(model.weights, torch.tensor([1.5, 1.5, 1.0, 0.7, 0.5]))
    t = torch.tensor([0.3, 0.9], dtype=torch.float64)
    z = model.corrupt(x, t, generator(1))
    for v in range(V):
        rate = torch.stack(
            [(row == V)[seen == v].double().mean() for row, seen in zip(z, x, strict=True)]
        )
        assert torch.allclose(rate, (model.weights[v] * t).clamp(max=1), atol=0.02)


def test_the_own_exam_is_not_the_bound():
    """The mean over mask sets of the mean cross-entropy of what is masked."""
    model = random_model("diffusion", vocab_size=V)
    x = torch.randint(V, (1, L), generator=generator()).expand(4000, L)
    with torch.no_grad():
        marks = bounds.in_schedule_cross_entropy(model, x, generator(1))
    exact = 0.0
    for mask in all_masks()[1:]:
        k = int(mask.sum())
        z = torch.where(mask, V, x[:1])
        # u uniform: k of L tokens are masked with probability 1 / (L + 1), all sets of k alike
        chance = math.factorial(k) * math.factorial(L - k) / math.factorial(L + 1)
        exact = exact + chance * L * model.cross_entropy(x[:1], z, None).sum() / k
    assert abs(marks.mean() - exact) < 4 * marks.std() / 4000**0.5


def exam(model, x, nodes=400):
    """What the own exam of a text (1, L) is on the average: over the times in the middle of so many
    equal parts of (0, 1), and over all masks, each by its probability."""
    t = (torch.arange(nodes, dtype=torch.float64) + 0.5) / nodes
    hide = 1 - model.schedule.alpha(t)[:, None]
    if model.weights is not None:
        hide = (model.weights[x].double() * hide).clamp(max=1)
    total = 0.0
    for mask in all_masks()[1:]:  # of the first nothing is asked
        chance = torch.where(mask, hide, 1 - hide).prod(1).mean()
        log_p = model.net(torch.where(mask, V, x), None)[..., :V].log_softmax(-1)
        total = total - chance * log_p[0, mask, x[0, mask]].mean() * L
    return total.item()


@pytest.mark.parametrize("masking", ["uniform", "entropy"])
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_the_own_exam_is_under_the_models_own_schedule_and_masking(schedule, masking):
    model = random_model("diffusion", vocab_size=V, schedule=schedule, masking=masking)
    if masking == "entropy":
        model.weights = torch.tensor([0.5, 1.4, 1.0, 0.7, 1.3])
    x, n = torch.tensor([[1, 0, 4, 2]]), 3000
    with torch.no_grad():
        marks = bounds.in_schedule_cross_entropy(model, x.expand(n, L), generator(1), num_samples=3)
        expected = exam(model, x)
    assert abs(marks.mean() - expected) < 4.5 * marks.std() / n**0.5 + 1e-3


def test_weights_are_one_at_the_mean_and_as_far_from_it_as_the_entropy():
    """By hand, with a mean, 8 / 5 = 1.6, that is not the median."""
    found = bounds.entropy_weights(torch.tensor([0.0, 1.0, 2.0, 1.0, 4.0]))
    assert found.tolist() == pytest.approx([1.5, 1.375, 0.75, 1.375, 0.5])


@pytest.mark.parametrize("schedule", UNCLIPPED)
def test_the_integrand_integrates_to_the_likelihood_of_an_independent_model(independent, schedule):
    """For every mask pattern weighed by its probability, at every t: w(t)(1 - alpha) CE = a total
    derivative, so the integral over t of the expectation is -log p(x), exactly."""
    logits, x, nll = independent
    model = MaskedDiffusion(Table(logits), V, schedule)
    masks = all_masks()
    nodes = torch.linspace(0, 1, 2001, dtype=torch.float64)
    # in u = 1 - alpha the integrand is smooth; take t there by bisection of a monotone function
    u = (nodes[1:] + nodes[:-1]) / 2
    low, high = torch.zeros_like(u), torch.ones_like(u)
    for _ in range(60):
        middle = (low + high) / 2
        below = 1 - model.schedule.alpha(middle) < u
        low, high = torch.where(below, middle, low), torch.where(below, high, middle)
    total = 0.0
    for mask in masks[masks.any(1)]:
        z = torch.where(mask, V, x)
        chance = u ** mask.sum() * (1 - u) ** (~mask).sum()
        term = model.integrand(x.expand(len(u), L), z.expand(len(u), L), middle).sum(-1)
        total = total + (chance * term / -model.schedule.dalpha(middle)).mean()
    assert total.item() == pytest.approx(nll.item(), rel=1e-6)


def test_the_integrand_is_the_weight_times_the_cross_entropy_of_masked_tokens():
    model = random_model("diffusion", vocab_size=V)
    x = torch.randint(V, (2, 6), generator=generator())
    z = model.corrupt(x, torch.tensor([0.5, 0.5], dtype=torch.float64), generator(3))
    t = torch.tensor([0.3, 0.8], dtype=torch.float64)
    log_p = model.net(z, 1 - t)[..., :V].log_softmax(-1).gather(-1, x[..., None]).squeeze(-1)
    expected = torch.where(z == V, -log_p / t[:, None], 0.0)
    assert torch.allclose(model.integrand(x, z, t), expected)
    assert torch.allclose(model.integrand(x, z, 0.3), torch.where(z == V, -log_p / 0.3, 0.0))


def test_the_estimator_has_the_mean_that_enumeration_gives():
    """E[nll_bound] = sum over k of 1/k x the mean over all k-subsets of their cross-entropies."""
    model = random_model("diffusion", vocab_size=V)
    x = torch.randint(V, (1, L), generator=generator())
    exact = 0.0
    for mask in all_masks()[1:]:
        k = int(mask.sum())
        ce = model.cross_entropy(x, torch.where(mask, V, x), None).sum()
        subsets = torch.tensor([L, 6, 4, 1])[k - 1]  # of size k out of 4: 4, 6, 4, 1
        exact = exact + ce / k / subsets
    with torch.no_grad():
        n = 8000
        for draws in (1, 3, 4, 8):
            estimates = model.nll_bound(x.expand(n, L), generator(draws), num_samples=draws)
            error = estimates.std() / n**0.5
            assert abs(estimates.mean() - exact) < 4 * error


def test_an_independent_model_is_bounded_by_its_own_likelihood(independent):
    """Mask counts 1 ... L in equal shares give -log p(x) exactly, whatever the subset means."""
    logits, x, nll = independent
    model = MaskedDiffusion(Table(logits), V)
    estimates = model.nll_bound(x.expand(5000, L), generator(), num_samples=4)
    assert abs(estimates.mean() - nll) < 4 * estimates.std() / 5000**0.5


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_the_bound_under_its_own_schedule_is_never_below(independent, schedule):
    """Equal where the schedule is not clipped; above it by the price of clipping where it is."""
    logits, x, nll = independent
    model = MaskedDiffusion(Table(logits), V, schedule)
    with torch.no_grad():
        estimates = bounds.nelbo(model, x.expand(40_000, L), generator(), num_samples=4)
    error = estimates.std() / 40_000**0.5
    difference = estimates.mean() - nll
    if schedule in UNCLIPPED:
        assert abs(difference) < 4 * error
    else:
        # u0 and u1 are the mask rates at the ends: alpha1 of the tokens come from the uniform
        # prior; of the rest, all are paid for, whether under the integral or by reconstruction
        alpha1 = model.schedule.alpha1
        price = alpha1 * (L * torch.tensor(float(V)).log() - nll)
        assert abs(difference - price) < 4 * error


def test_few_steps_reveal_everything_and_tokens_once_shown_stay():
    model = random_model("diffusion", vocab_size=V)
    blank = torch.full((4, 12), V)
    for schedule in SCHEDULES:
        model.schedule = SCHEDULES[schedule]
        for steps in (1, 3, 50):
            states = list(model.trajectory(blank, blank != V, generator(), steps=steps))
            assert len(states) == steps + 1
            for before, after in itertools.pairwise(states):
                shown = before != V
                assert (after[shown] == before[shown]).all()
            assert (states[-1] != V).all()


def test_the_number_revealed_follows_the_clock():
    model = random_model("diffusion", vocab_size=V)
    model.net = Table(torch.zeros(V + 1, dtype=torch.float64))
    for schedule in UNCLIPPED:
        model.sampling_schedule = SCHEDULES[schedule]
        blank = torch.full((200, 50), V)
        states = list(model.trajectory(blank, blank != V, generator(), steps=4))
        for k, state in enumerate(states):
            alpha = model.sampling_schedule.alpha(torch.tensor(1 - k / 4, dtype=torch.float64))
            assert abs((state != V).double().mean() - alpha) < 0.02
