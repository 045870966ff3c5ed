"""The laws of the ground truth, one function each: an assertion that a right model passes.

`test_laws.py` asserts them; `test_mutants.py` plants faults and sees them fail. `oracle(kind)` is a
paradigm over the exact posterior of the tiny language, `arbitrary(kind)` one over a random table.
"""

import math

import exact
import torch
from helpers import Table, generator

from nanoparadigm.decoding.masked import left_to_right_nll
from nanoparadigm.decoding.uniform import gibbs_step
from nanoparadigm.language import language, tiny
from nanoparadigm.language import oracle as over_posterior
from nanoparadigm.paradigms import Autoregressive, BlockDiffusion, DiscreteFlow, MaskedDiffusion
from nanoparadigm.studies.schedules import bounds

END = 1e-3  # where the bound of a flow decodes what is left, unless told otherwise
PARADIGMS = [Autoregressive, MaskedDiffusion, DiscreteFlow, BlockDiffusion]
TINY, L = tiny(), 5
TEXTS = exact.texts(3, L)
NLL = -TINY.log_prob(TEXTS)
SHORT = 3  # the length of the texts of arbitrary models
DRAWS = 20_000


def oracle(kind, **options):
    return over_posterior(kind, TINY, **options)


def arbitrary(kind, length=SHORT, seed=0, **options):
    net = exact.RandomTable(3 + kind.extra_symbols, 3 + kind.extra_symbols, length, seed)
    return kind(net, 3, **options)


def close(a, b, tolerance=1e-9):
    assert (a - b).abs().max() <= tolerance, f"off by {(a - b).abs().max():.3g}"


def never_below(bound, nll, slack=1e-9):
    assert (bound - nll).min() >= -slack, f"below by {(nll - bound).max():.3g}"


# ---------------------------------------------------------- 1. the posterior as network is tight


def ar_is_exact_with_the_posterior():
    close(oracle(Autoregressive).nll_bound(TEXTS), NLL, 1e-12)


def masked_bound_is_tight_with_the_posterior():
    close(exact.masked_nelbo(oracle(MaskedDiffusion), TEXTS), NLL)


def masked_integrand_is_tight_with_the_posterior():
    close(exact.masked_nelbo_in_time(oracle(MaskedDiffusion), TEXTS[::9], nodes=60), NLL[::9])


def flow_bound_is_tight_with_the_posterior(every=1):
    close(exact.flow_nelbo(oracle(DiscreteFlow), TEXTS[::every]), NLL[::every])


def flow_posterior_is_the_exact_one():
    """Leave-one-out and the bump together are the posterior given all of z."""
    model = oracle(DiscreteFlow)
    for a in (0.0, 0.01, 0.5, 0.99):
        alpha = torch.full((len(TEXTS),), a, dtype=torch.float64)
        close(model.posterior(TEXTS, alpha).softmax(-1), TINY.posterior(TEXTS, alpha), 1e-12)


def estimate_is_right(kind, draws=4, repeats=1500, n=20):
    """The mean of nll_bound over fresh noise is -log p(x), string by string, within 4.5 standard
    errors (and exactly so where the estimate does not vary)."""
    model, x = oracle(kind), TEXTS[:: len(TEXTS) // n]
    many = x.repeat_interleave(repeats, 0)
    estimates = model.nll_bound(many, generator(), num_samples=draws).view(len(x), repeats)
    error = estimates.std(1) / repeats**0.5
    difference = (estimates.mean(1) + TINY.log_prob(x)).abs()
    assert (difference <= 4.5 * error + 1e-9).all(), f"{(difference / error).max():.1f} errors off"


def masked_estimate_is_right():
    estimate_is_right(MaskedDiffusion)


def flow_estimate_is_right():
    estimate_is_right(DiscreteFlow)


def flow_loss_rewards_no_copying():
    """A network that sees z_i and adds some of it to the true leave-one-out logits loses by it."""
    model, x = oracle(DiscreteFlow), TINY.sample(20_000, L, generator(3))
    model.net.hollow = False
    best, net = model.loss(x, generator(4)), model.net.forward
    symbols = torch.eye(TINY.V, dtype=torch.float64)
    model.net.forward = lambda z, t=None: net(z, t) + 0.2 * symbols[z]
    assert model.loss(x, generator(4)) > best


def hollow_masked_loss_is_the_bound(repeats=300, n=20):
    """With the exact posterior, string by string: the mean of -log p(x) for each of its tokens."""
    model = oracle(MaskedDiffusion)
    for x in TEXTS[:: len(TEXTS) // n]:
        losses = [model.loss(x.expand(8, L), g) for g in map(generator, range(repeats))]
        losses = torch.stack(losses)
        error = losses.std() / repeats**0.5
        difference = (losses.mean() + TINY.log_prob(x[None]).item() / L).abs()
        assert difference <= 4.5 * error + 1e-9, f"{difference / error:.1f} errors off"


def losses_are_minimal_at_the_posterior():
    """No loss can be made smaller by moving away from the truth: sharpened, flattened or mixed."""
    x = TINY.sample(20_000, L, generator(3))
    for kind, hollow in ((kind, hollow) for kind in PARADIGMS for hollow in (True, False)):
        model = oracle(kind)
        model.net.hollow = hollow
        best = model.loss(x, generator(4))
        net = model.net.forward
        for change in (lambda f: 1.15 * f, lambda f: 0.85 * f, mixed):
            model.net.forward = lambda z, t=None, net=net, change=change: change(
                net(z, t).clamp(min=-60)
            )
            assert model.loss(x, generator(4)) > best - 1e-9
        model.net.forward = net


def mixed(logits):
    """A little of every symbol."""
    return torch.logaddexp(logits.log_softmax(-1), torch.full_like(logits, -3.0))


# ------------------------------------------------------- 2. no bound is below what it is a bound of


def masked_bound_holds_for_any_network():
    model, x = arbitrary(MaskedDiffusion), exact.texts(3, SHORT)
    law = exact.random_order_law(model, x)
    close(law.exp().sum(), torch.tensor(1.0), 1e-12)
    never_below(exact.masked_nelbo(model, x), -law)


def masked_estimate_has_the_enumerated_mean():
    model, x = arbitrary(MaskedDiffusion), exact.texts(3, SHORT)
    mean = exact.masked_nelbo(model, x)
    for draws in (1, 2, 5):
        estimates = model.nll_bound(x.repeat(1000, 1), generator(), num_samples=draws)
        estimates = estimates.view(1000, len(x))
        error = estimates.std(0) / 1000**0.5
        assert ((estimates.mean(0) - mean).abs() <= 4.5 * error + 1e-9).all()


def masked_bound_holds_for_any_number_of_steps(steps=(1, 2, 4, 8, 32, 128), schedule="linear"):
    model, x = arbitrary(MaskedDiffusion, schedule=schedule), exact.texts(3, SHORT)
    for T in steps:
        law = exact.masked_law(model, x, T)
        close(law.exp().sum(), torch.tensor(1.0), 1e-12)
        never_below(exact.masked_nelbo_in_steps(model, x, T), -law)


def clipped_bound_holds_with_its_terms(schedule="clipped_cosine"):
    model, x = arbitrary(MaskedDiffusion, schedule=schedule), exact.texts(3, SHORT)
    law = exact.clipped_law(model, x)
    close(law.exp().sum(), torch.tensor(1.0), 1e-10)
    never_below(exact.masked_nelbo_in_time(model, x, nodes=60), -law, 1e-7)


def clipped_estimate_has_its_terms(schedule="clipped_cosine"):
    """`nelbo` estimates the integral and both terms."""
    model, x = arbitrary(MaskedDiffusion, schedule=schedule), exact.texts(3, SHORT)[::3]
    mean = exact.masked_nelbo_in_time(model, x, nodes=60)
    estimates = bounds.nelbo(model, x.repeat(4000, 1), generator(), num_samples=2).view(
        4000, len(x)
    )
    error = estimates.std(0) / 4000**0.5
    assert ((estimates.mean(0) - mean).abs() <= 4.5 * error + 1e-9).all()


def nelbo_has_an_honest_error(schedule="sqrt"):
    """Under every schedule the mean of 200 texts lies within two of its standard errors in 92 to 98
    evaluations of a hundred: the variance is finite."""
    x = exact.texts(3, SHORT)[5:6]
    for make in (arbitrary, oracle):
        model = make(MaskedDiffusion, schedule=schedule)
        mean = exact.masked_nelbo_in_time(model, x, nodes=60)
        estimates = bounds.nelbo(model, x.expand(200_000, SHORT), generator(1), num_samples=1).view(
            1000, 200
        )
        error = estimates.std(1) / 200**0.5
        inside = ((estimates.mean(1) - mean).abs() <= 2 * error).double().mean()
        assert 0.92 <= inside <= 0.98, f"{inside:.1%} inside"


def by_weights(make):
    model = make(MaskedDiffusion, masking="entropy")
    model.weights = torch.tensor([0.5, 1.4, 0.9])
    return model


def weighted_bound_holds_for_any_network():
    x = exact.texts(3, SHORT)
    for model in by_weights(arbitrary), by_weights(oracle):
        for start in 0.3, 0.8:
            law = exact.weighted_law(model, x, start)
            close(law.exp().sum(), torch.tensor(1.0), 1e-12)
            never_below(exact.weighted_nelbo(model, x, start), -law)


def weighted_estimate_has_the_quadrature_mean():
    model, x = by_weights(arbitrary), exact.texts(3, SHORT)
    mean = exact.weighted_nelbo(model, x, start=0.7)
    estimates = bounds.token_masked_nelbo(
        model, x.repeat(3000, 1), generator(), start=0.7, num_samples=3
    )
    estimates = estimates.view(3000, len(x))
    error = estimates.std(0) / 3000**0.5
    assert ((estimates.mean(0) - mean).abs() <= 4.5 * error + 1e-9).all()


def weighted_cross_entropy_alone_is_no_bound():
    """With the exact posterior the integral lies below -log p of every process there is."""
    x = exact.texts(3, SHORT)
    model = by_weights(oracle)
    below = -TINY.log_prob(x) - exact.weighted_nelbo(model, x, bare=True)
    assert below.max() > 0.3


def flow_bound_holds_for_any_network():
    model, x = arbitrary(DiscreteFlow), exact.texts(3, SHORT)
    law = exact.flow_law_in_continuous_time(model, SHORT)
    close(law.sum(), torch.tensor(1.0), 1e-9)
    never_below(exact.flow_nelbo(model, x), -law.log(), 1e-6)


def flow_bound_holds_wherever_it_stops(ends=(0.3, 0.05, 1e-3)):
    """The process that stops at a noise level and decodes what is left, any network: its law sums
    to 1, and the bound with its last term is never below."""
    model, x = arbitrary(DiscreteFlow), exact.texts(3, SHORT)
    for end in ends:
        law = exact.flow_law_in_continuous_time(model, SHORT, end=end)
        close(law.sum(), torch.tensor(1.0), 1e-9)
        never_below(exact.flow_nelbo(model, x, end=end), -law.log(), 1e-6)


def flow_bound_stops_at_no_cost():
    """With the exact posterior what decoding at END costs is, over the language, the total
    correlation there: it falls as the square of END, and is a millionth of a nat a word."""
    x, model = exact.texts(3, SHORT), oracle(DiscreteFlow)
    log_p = TINY.log_prob(x)
    ten_times, cost = (
        (log_p.exp() * (exact.flow_nelbo(model, x, end=end) + log_p)).sum() / SHORT
        for end in (10 * END, END)
    )
    assert 0 < cost < 3e-6 and 80 < ten_times / cost < 100, f"{ten_times:.3g}, {cost:.3g}"


def constant(kind, nats, dtype=torch.float64, vocab_size=4):
    """A model of a constant network that gives symbol 0 the probability e^-nats, and all others the
    same."""
    others = math.log(-math.expm1(-nats) / (vocab_size - 1))
    logits = torch.full((vocab_size + kind.extra_symbols,), others, dtype=dtype)
    logits[0] = -nats
    return kind(Table(logits), vocab_size)


def flow_bound_is_exact_for_one_token_however_wrong():
    """Integral and last term, wherever it stops: the surer the network, the more is in the last."""
    x = torch.zeros(1, 1, dtype=torch.long)
    for nats in (1.7014, 14.0, 32.2, 200.0):
        model = constant(DiscreteFlow, nats)
        for end in (1e-12, 1e-6, 1e-3, 0.1):
            close(exact.flow_nelbo(model, x, end=end), torch.tensor(nats), 1e-4)


def confidently_wrong(kind):
    """A constant network is exact whatever it is certain of: nll_bound is -log p(x) for texts of
    symbols that it holds for all but impossible, in single precision too."""
    x = torch.zeros(2000, SHORT, dtype=torch.long)
    for dtype in (torch.float32, torch.float64):
        for nats in (-math.log(1e-5), -math.log(1e-14), 200.0):
            found = constant(kind, nats, dtype).nll_bound(x, generator()).double()
            error = found.std() / len(x) ** 0.5
            off = (found.mean() - SHORT * nats).abs()
            assert off <= 4.5 * error + 1e-6 * nats, f"{found.mean():.2f} for {SHORT * nats:.2f}"
            assert error < 0.003 * SHORT * nats, f"an error of {error:.2f} would hide all"


def ar_bound_holds_where_the_network_is_sure_and_wrong():
    confidently_wrong(Autoregressive)


def masked_bound_holds_where_the_network_is_sure_and_wrong():
    confidently_wrong(MaskedDiffusion)


def flow_bound_holds_where_the_network_is_sure_and_wrong():
    confidently_wrong(DiscreteFlow)


def flow_bound_holds_for_any_number_of_steps(steps=(1, 2, 4, 8, 32, 128)):
    model, x = arbitrary(DiscreteFlow), exact.texts(3, SHORT)
    for T in steps:
        law = exact.flow_law(model, SHORT, T)
        close(law.sum(), torch.tensor(1.0), 1e-9)
        never_below(exact.flow_nelbo_in_steps(model, x, T), -law.log(), 1e-9)


def flow_estimate_has_the_quadrature_mean():
    model, x = arbitrary(DiscreteFlow), exact.texts(3, SHORT)
    mean = exact.flow_nelbo(model, x, end=END)
    estimates = model.nll_bound(x.repeat(2000, 1), generator(), num_samples=4).view(2000, len(x))
    error = estimates.std(0) / 2000**0.5
    assert ((estimates.mean(0) - mean).abs() <= 4.5 * error + 1e-9).all()


# ----------------------------------------------------------- 3. samplers draw from their own law


def ar_samples_the_language():
    model = oracle(Autoregressive)
    assert exact.fits(model.sample(DRAWS, L, generator()), NLL.neg().exp())


def ancestral_samples_its_own_law(steps=(1, 3, 16)):
    model = arbitrary(MaskedDiffusion)
    for T in steps:
        p = exact.masked_law(model, exact.texts(3, SHORT), T).exp()
        assert exact.fits(model.sample(DRAWS, SHORT, generator(), steps=T), p), f"T = {T}"


def remasking_samples_its_own_law(steps=(1, 3, 8), eta=1.5):
    """The table's network knows no time, so one table serves all steps."""
    model = arbitrary(MaskedDiffusion)
    for T in steps:
        p = exact.remasking_law(model, SHORT, T, eta)
        close(p.sum(), torch.tensor(1.0), 1e-6)
        assert exact.fits(model.sample(DRAWS, SHORT, generator(), steps=T, eta=eta), p), f"T = {T}"


def remasking_with_the_posterior_comes_to_the_language(eta=2.0):
    """Its distance halves as the steps double, as without remasking."""
    away = []
    for T in (16, 32, 64):
        p = exact.remasking_law(oracle(MaskedDiffusion), SHORT, T, eta)
        away.append((p - TINY.log_prob(exact.texts(3, SHORT)).exp()).abs().sum().item() / 2)
    assert away[1] < 0.6 * away[0] and away[2] < 0.6 * away[1] and away[2] < 0.05, away


def first_hitting_samples_the_random_order_law():
    model = arbitrary(MaskedDiffusion)
    p = exact.random_order_law(model, exact.texts(3, SHORT)).exp()
    assert exact.fits(model.sample(DRAWS, SHORT, generator(), sampler="first_hitting"), p)


def masked_sampling_with_the_posterior_draws_the_language():
    model = oracle(MaskedDiffusion)
    x = model.sample(DRAWS, L, generator(), sampler="first_hitting")
    assert exact.fits(x, NLL.neg().exp())


def every_order_with_the_posterior_draws_the_language():
    """One token at a time, also when there are more steps than tokens."""
    for order, steps in ("random_order", L), ("left_to_right", L), ("confidence", L + 3):
        x = oracle(MaskedDiffusion).sample(DRAWS, L, generator(), sampler=order, steps=steps)
        assert exact.fits(x, NLL.neg().exp()), order


def single_steps_in_random_order_sample_the_random_order_law():
    model = arbitrary(MaskedDiffusion)
    p = exact.random_order_law(model, exact.texts(3, SHORT)).exp()
    x = model.sample(DRAWS, SHORT, generator(), sampler="random_order", steps=SHORT)
    assert exact.fits(x, p)


def left_to_right_samples_the_chain_rule():
    """From left to right the law of any network is the product of its predictions of the first
    masked token."""
    model, x = arbitrary(MaskedDiffusion), exact.texts(3, SHORT)
    log_p = torch.zeros(len(x), dtype=torch.float64)
    for i in range(SHORT):
        z = torch.where(torch.arange(SHORT) < i, x, model.mask_id)
        level = torch.full((len(x),), 1 - i / SHORT, dtype=torch.float64)
        log_p += model.log_probs(z, level)[:, i].gather(-1, x[:, i : i + 1]).squeeze(-1)
    drawn = model.sample(DRAWS, SHORT, generator(), sampler="left_to_right", steps=SHORT)
    assert exact.fits(drawn, log_p.exp())


def left_to_right_has_a_likelihood():
    model, x = arbitrary(MaskedDiffusion), exact.texts(3, SHORT)
    p = left_to_right_nll(model, x).neg().exp()
    close(p.sum(), torch.tensor(1.0), 1e-12)
    drawn = model.sample(DRAWS, SHORT, generator(), sampler="left_to_right", steps=SHORT)
    assert exact.fits(drawn, p)
    close(left_to_right_nll(oracle(MaskedDiffusion), TEXTS), NLL, 1e-12)


def other_ways_to_one_token_at_a_time_draw_the_language_too():
    """Nothing is surer than 1; a cosine of many steps; blocks, each in sight of those before."""
    for options in (
        dict(sampler="confidence", threshold=1.0),
        dict(sampler="confidence", unmasking="cosine", steps=8 * L),
        dict(sampler="random_order", blocks=2, steps=L),
    ):
        x = oracle(MaskedDiffusion).sample(DRAWS, L, generator(), **options)
        assert exact.fits(x, NLL.neg().exp()), options


def candidates_are_drawn_by_what_follows():
    """Of two candidates: p(c) p(d) w_c / (w_c + w_d), either way round; of many, the posterior."""
    model = oracle(Autoregressive)
    x = exact.texts(3, 3)
    x = x[(x[:, 0] == 1) & (x[:, 2] == 2)]
    nll = model.token_nll(x)
    p, w = nll[:, 1].neg().exp(), nll[:, 2].neg().exp()
    law = 2 * p * (p * w[:, None] / (w[:, None] + w)).sum(1)
    drawn = model.infill(DRAWS, [1], [2], 1, generator(), candidates=2)
    assert exact.fits(drawn[:, 1:2], law)
    drawn = model.infill(DRAWS // 4, [1], [2], 1, generator(), candidates=200)
    assert exact.fits(drawn[:, 1:2], p * w / (p * w).sum())


def correcting_leaves_the_noisy_law_as_it_is(alpha=0.6):
    """With the exact posterior, whatever is known: q(z) before, q(z) after."""
    model, alpha = oracle(DiscreteFlow), torch.tensor(alpha, dtype=torch.float64)
    g = generator()
    z = model.corrupt(TINY.sample(DRAWS, SHORT, g), alpha.expand(DRAWS), g)
    before, free = z, torch.tensor([True, False, True]).expand(DRAWS, SHORT)
    for _ in range(6):
        theta = model.leave_one_out(z, alpha.expand(DRAWS)).softmax(-1)
        z = gibbs_step(z, free, theta, alpha, g)
    assert (z != before)[:, 0].any() and (z == before)[:, 1].all()
    x = exact.texts(3, SHORT)
    assert exact.fits(z, TINY.log_prob(x).exp() @ exact.corruption(model, x, alpha))


def corrected_samples_its_own_law():
    flow_samples_its_own_law(steps=(1, 3), corrections=2)


def correcting_with_the_posterior_comes_to_the_language_sooner():
    """One correction after each of T steps, 2 T calls of the network, leaves less distance than
    2 T steps, and more than halves it as T doubles."""
    model, truth = oracle(DiscreteFlow), NLL.neg().exp()

    def away(T, corrections):
        law = exact.flow_law(model, L, T, corrections=corrections)
        return (law - truth).abs().sum().item() / 2

    assert away(32, 1) < away(64, 0) / 2
    assert away(64, 1) < away(32, 1) / 2.5


def flow_samples_its_own_law(steps=(1, 3, 16), **options):
    model = arbitrary(DiscreteFlow)
    for T in steps:
        p = exact.flow_law(model, SHORT, T, **options)
        x = model.sample(DRAWS, SHORT, generator(), steps=T, **options)
        assert exact.fits(x, p), f"T = {T}"


def flow_sampling_with_the_posterior_draws_the_language(**options):
    """In the limit of many steps: the total variation between the law of T steps and the language
    halves as T doubles."""
    model, truth = oracle(DiscreteFlow), NLL.neg().exp()
    far, near = (
        (exact.flow_law(model, L, T, **options) - truth).abs().sum().item() / 2 for T in (64, 128)
    )
    assert near < 0.02 and 1.6 < far / near < 2.4, f"{far:.3g} -> {near:.3g}"
    x = model.sample(DRAWS, L, generator(), steps=16, **options)
    assert exact.fits(x, exact.flow_law(model, L, 16, **options))


def infilling_with_the_posterior_is_conditioning():
    """Known words in the middle: first-hitting fills the rest from the exact conditional."""
    model = oracle(MaskedDiffusion)
    canvas = torch.tensor([[3, 3, 1, 0, 3]]).expand(DRAWS, L)
    fill = generator()
    *_, x = model.trajectory(canvas, canvas != 3, fill, sampler="first_hitting")
    agree = ((TEXTS == canvas[0]) | (canvas[0] == 3)).all(1)
    p = torch.where(agree, NLL.neg().exp(), 0.0)
    assert exact.fits(x, p / p.sum())


def a_flow_fills_gaps_by_conditioning_only_if_it_corrects():
    """Even the posterior: the tokens given are clean, and a flow reads all tokens as noisy ones. So
    more steps do not bring it to the conditional probability, and corrections do."""
    model = oracle(DiscreteFlow)
    for template in ([3, 3, 1, 0, 3], [1, 1, 3, 3, 3]):
        template = torch.tensor(template)
        agree = ((TEXTS == template) | (template == 3)).all(1)
        p = NLL.neg().exp()[agree]
        p = p / p.sum()

        def away(*how, template=template, p=p):
            return (exact.flow_filling_law(model, template, *how) - p).abs().sum().item() / 2

        assert away(32) > away(128) > 0.14
        assert away(128, 4) < 0.02 and away(128, 4) < away(32, 4) < away(32, 1) < away(32) / 2
    x = model.infill(DRAWS, [1, 1], [], 3, generator(), steps=16, corrections=2)
    law = torch.zeros(len(TEXTS), dtype=torch.float64)
    law[agree] = exact.flow_filling_law(model, template, 16, 2)
    assert exact.fits(x, law)


# -------------------------------------------------------------------------- 7. the limit cases


def steps_converge_as_one_over_their_number():
    """The T-step bound and law go to the continuous ones, the gap halving as T doubles."""
    x = exact.texts(3, SHORT)
    masked, flow = arbitrary(MaskedDiffusion), arbitrary(DiscreteFlow)
    for in_steps, limit in (
        (lambda T: exact.masked_nelbo_in_steps(masked, x, T), exact.masked_nelbo(masked, x)),
        (lambda T: exact.masked_law(masked, x, T), exact.random_order_law(masked, x)),
        (lambda T: exact.flow_nelbo_in_steps(flow, x, T), exact.flow_nelbo(flow, x)),
        (
            lambda T: exact.flow_law(flow, SHORT, T).log(),
            exact.flow_law_in_continuous_time(flow, SHORT).log(),
        ),
    ):
        far, near = ((in_steps(T) - limit).abs().max() for T in (64, 128))
        assert near < 0.1 and 1.6 < far / near < 2.4, f"{far:.3g} -> {near:.3g}"


def unclipped_schedules_agree():
    x = exact.texts(3, SHORT)
    truth = exact.masked_nelbo(arbitrary(MaskedDiffusion), x)
    for schedule in ("linear", "cosine", "sqrt"):
        model = arbitrary(MaskedDiffusion, schedule=schedule)
        close(exact.masked_nelbo_in_time(model, x, nodes=100), truth)


def unclipped_schedules_agree_for_the_flow():
    x = exact.texts(3, SHORT)
    truth = exact.flow_nelbo(arbitrary(DiscreteFlow), x)
    for schedule in ("cosine", "sqrt"):
        # 1 - alpha itself is only good to 1e-16 near t = 0, where it goes like t^2 (cosine)
        close(exact.flow_nelbo(arbitrary(DiscreteFlow, schedule=schedule), x), truth, 1e-5)


# ------------------------------------------------------------------- the 32-word language itself


def estimates_are_right_on_the_language(kind, repeats=60, n=50):
    """50 strings of 32 words, each within 4 standard errors of its own -log p."""
    automaton = language()
    model = over_posterior(kind, automaton)
    repeats = 2 if model.exact else repeats
    x = automaton.sample(n, 32, generator(7))
    estimates = model.nll_bound(x.repeat_interleave(repeats, 0), generator(), num_samples=1)
    estimates = estimates.view(n, repeats)
    error = estimates.std(1) / repeats**0.5
    difference = (estimates.mean(1) + automaton.log_prob(x)).abs()
    assert (difference <= 4 * error + 1e-9).all(), f"{(difference / error).max():.1f} errors off"
