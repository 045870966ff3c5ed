"""Contract laws 1, 2, 3 and 7: tight with the truth, never below, own law, and the limits."""

import re
from functools import partial

import exact
import laws
import pytest
import torch
from helpers import ROOT, generator

from nanoparadigm import PRESETS, SCHEDULES
from nanoparadigm.decoding.uniform import euler_integrand
from nanoparadigm.paradigms import DiscreteFlow, MaskedDiffusion

CLIPPED = [name for name, schedule in SCHEDULES.items() if schedule.clipped]
PLAIN = [
    law
    for law in vars(laws).values()
    if getattr(law, "__module__", "") == "laws"
    and law.__name__
    not in (
        "oracle",
        "arbitrary",
        "close",
        "never_below",
        "mixed",
        "estimate_is_right",
        "by_weights",
        "constant",
        "confidently_wrong",
    )
    and "on_the_language" not in law.__name__
]


@pytest.fixture(autouse=True)
def no_grad():
    with torch.no_grad():
        yield


@pytest.mark.parametrize("law", PLAIN, ids=lambda law: law.__name__)
def test_law(law):
    law()


def test_every_law_is_stated_in_words():
    """tests/README.md names each law here, and each test of the contract and of block diffusion."""
    tests = ROOT / "tests"
    named = set(
        re.findall(r"^\| `(\w+)` \|", (tests / "README.md").read_text("utf-8"), re.MULTILINE)
    )
    tested = {
        name
        for file in ("laws/test_contract.py", "paradigms/test_block.py")
        for name in re.findall(r"^def (test_\w+)", (tests / file).read_text("utf-8"), re.MULTILINE)
    }
    assert named == {law.__name__ for law in PLAIN} | tested | {
        laws.estimates_are_right_on_the_language.__name__
    }


def test_every_registered_paradigm_has_its_laws():
    """A new paradigm needs its row here, and laws of its own where its mathematics is new."""
    assert {preset.paradigm for preset in PRESETS.values()} == set(laws.PARADIGMS)


@pytest.mark.parametrize("kind", laws.PARADIGMS)
def test_estimates_are_right_on_the_language(kind):
    laws.estimates_are_right_on_the_language(kind)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_the_masked_bound_holds_for_any_number_of_steps_under_any_clock(schedule):
    laws.masked_bound_holds_for_any_number_of_steps(steps=(1, 4, 16), schedule=schedule)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_the_bound_under_a_schedule_has_an_honest_error(schedule):
    laws.nelbo_has_an_honest_error(schedule)


@pytest.mark.parametrize("schedule", CLIPPED)
def test_clipped_schedules_hold_with_their_terms(schedule):
    laws.clipped_bound_holds_with_its_terms(schedule)
    laws.clipped_estimate_has_its_terms(schedule)


@pytest.mark.parametrize(
    "schedule, depth", [("loglinear", 0.001), ("clipped_cosine", 0.3), ("sigmoid", 0.02)]
)
def test_clipped_schedules_break_without_their_terms(schedule, depth):
    """With the exact posterior the bare integral lies below -log p of the clipped process itself,
    and of the language: it is no bound. With both terms it is."""
    model, x = laws.oracle(MaskedDiffusion, schedule=schedule), laws.TEXTS[::9]
    law = exact.clipped_law(model, x)
    bare = exact.masked_nelbo_in_time(model, x, extra_terms=False, nodes=60)
    assert (-law - bare).max() > depth
    assert (laws.NLL[::9] - bare).max() > depth
    laws.never_below(exact.masked_nelbo_in_time(model, x, nodes=60), -law, 1e-7)
    # and it differs from the bound of the unclipped schedules, which all agree
    assert (bare - exact.masked_nelbo(model, x)).abs().max() > depth


@pytest.mark.parametrize("options", [{}, {"eta": 0.5}, {"eta": 4.0}], ids=str)
def test_euler_samples_its_own_law(options):
    laws.flow_samples_its_own_law(sampler="euler", **options)


def test_euler_with_the_posterior_draws_the_language():
    laws.flow_sampling_with_the_posterior_draws_the_language(sampler="euler")
    laws.flow_sampling_with_the_posterior_draws_the_language(sampler="euler", eta=0.3)


def test_a_wrong_law_would_be_noticed():
    """20,000 draws tell p_T at T = 16 from p at T = infinity: the test has teeth."""
    model = laws.arbitrary(MaskedDiffusion)
    x = model.sample(laws.DRAWS, laws.SHORT, generator(), steps=4)
    assert not exact.fits(x, exact.random_order_law(model, exact.texts(3, laws.SHORT)).exp())


def test_the_mixture_bound_is_valid_and_loose_and_the_reversal_bound_is_tight():
    """With the exact posterior every sampler draws the language, so all bounds speak of one law:
    the reversal bound is -log p(x), the mixture-path bound lies above it for every text."""
    model, x = laws.oracle(DiscreteFlow), laws.TEXTS[::9]
    tight = exact.flow_nelbo(model, x)
    loose = exact.flow_nelbo(model, x, integrand=partial(euler_integrand, model))
    laws.close(tight, laws.NLL[::9])
    assert ((loose - tight) / laws.L > 0.05).all()


def test_the_mixture_bound_holds_for_the_euler_sampler_of_any_network():
    model, x = laws.arbitrary(DiscreteFlow), exact.texts(3, laws.SHORT)
    loose = exact.flow_nelbo(model, x, integrand=partial(euler_integrand, model))
    law = exact.flow_law(model, laws.SHORT, 1024, sampler="euler")
    laws.never_below(loose, -law.log(), 5e-3)


def test_posterior_in_place_of_leave_one_out_is_a_bound_of_another_sampler():
    """Plugged in without the bump, exact posteriors give a bound far above the truth, and a sampler
    that does not draw the language."""
    model, x = laws.oracle(DiscreteFlow), laws.TEXTS[::9]
    plugged = laws.oracle(DiscreteFlow)
    plugged.leave_one_out = model.posterior
    assert (exact.flow_nelbo(plugged, x) - laws.NLL[::9]).mean() / laws.L > 0.1
    law = exact.flow_law(plugged, laws.L, 64)
    assert (law - laws.NLL.neg().exp()).abs().sum() / 2 > 0.1


def test_a_flow_from_the_mask_is_masked_diffusion():
    """Rates from m to v, p(v | z) / (1 - tau), in the bound of any conditional process with rates R
    against model rates, R log(R / model) - R + model: the integrand of masked diffusion."""
    model, x = laws.arbitrary(MaskedDiffusion), exact.texts(3, laws.SHORT)
    z = torch.where(torch.tensor([True, False, True]), model.mask_id, x)
    for t in (0.1, 0.5, 0.9):
        rate = 1 / t  # tau = 1 - t
        p = model.log_probs(z, torch.full((len(x),), t)).exp()
        at_x = p.gather(-1, x[..., None]).squeeze(-1)
        terms = rate * (rate / (rate * at_x)).log() - rate + rate * p.sum(-1)
        general = torch.where(z == model.mask_id, terms, 0.0)
        assert torch.allclose(general, model.integrand(x, z, t), atol=1e-12)
        # and an Euler step of length h unmasks with the probability of the ancestral step
        h = 0.01
        a, b = (model.schedule.alpha(torch.tensor(s, dtype=torch.float64)) for s in (t, t - h))
        assert ((b - a) / (1 - a)).item() == pytest.approx(h * rate)
