"""The auditor calls every fault by its name, and finds nothing in a number that is right."""

import math
import re
import time

import numpy as np
import pytest
import torch

from nanoparadigm import audit as room
from nanoparadigm.audit import INVALID, NAMES, TEXTS, UNITS, VALID, audit, confusion, models
from nanoparadigm.audit import report as module
from nanoparadigm.audit.checks import log_sum
from nanoparadigm.audit.examples import (
    any_order,
    best_order,
    by_confidence,
    chain_rule,
    cost,
    coupled,
    first_word_free,
    hidden_cost,
    in_time,
    nodes,
    sets,
)
from nanoparadigm.errors import InputError
from nanoparadigm.evaluate import decoding_nll
from nanoparadigm.explain import calling
from nanoparadigm.paradigms import (
    Autoregressive,
    BlockDiffusion,
    DiscreteFlow,
    MaskedDiffusion,
)

LAWS = {"sum", "entropy"}
TOOK = {}
"""name of an example -> the seconds of its audit, of the processor"""


def causes(report):
    return {*report.names} - LAWS


# ------------------------------------------------------------------------------- the examples


@pytest.fixture(scope="module")
def reports():
    """Every example, audited once."""
    scorers = VALID | {name: scorer for name, (scorer, _) in INVALID.items()}
    found = {}
    for name, scorer in scorers.items():
        began = time.process_time()
        found[name] = audit(scorer)
        TOOK[name] = time.process_time() - began
    return found


@pytest.mark.parametrize("name", VALID)
def test_nothing_is_found_in_a_valid_scorer(name, reports):
    assert reports[name] and reports[name].faults == (), str(reports[name])


@pytest.mark.parametrize("name", INVALID)
def test_an_invalid_scorer_is_called_by_its_fault_and_by_no_other(name, reports):
    report, fault = reports[name], INVALID[name][1]
    assert not report and causes(report) == {fault}, str(report)
    lawless = fault in ("position", "mixture", "symbols", "joint", "schedule", "order")
    assert ("sum" in report.names) == lawless, str(report)


def test_every_audit_takes_seconds(reports):
    assert reports.keys() == TOOK.keys()
    assert {name: seconds for name, seconds in TOOK.items() if seconds > 8} == {}


def test_the_table_shows_every_example_and_its_faults(reports, monkeypatch):
    monkeypatch.setattr(module, "audit", lambda scorer, seed: reports[scorer.__name__])
    rows = {}
    head, _, *lines = confusion().splitlines()
    names = [cell.strip() for cell in head.strip("|").split("|")][2:]
    for line in lines:
        name, kind, *marks = (cell.strip() for cell in line.strip("|").split("|"))
        rows[name] = kind, [n for n, mark in zip(names, marks, strict=True) if mark]
    assert rows.keys() == reports.keys()
    for name, (kind, found) in rows.items():
        assert kind == ("valid" if name in VALID else "invalid")
        assert {*found} == {*reports[name].names}


@pytest.mark.parametrize(
    "name, seed", [*(("any_order", seed) for seed in range(1, 7)), ("uniform_noise", 1)]
)
def test_chance_makes_no_fault(name, seed):
    report = audit(VALID[name], seed=seed)
    assert report, str(report)


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("name", ["batch_average", "one_draw"])
def test_chance_hides_no_fault(name, seed):
    assert causes(audit(INVALID[name][0], seed=seed)) == {INVALID[name][1]}


# --------------------------------------------------------------------------------------- the laws


def test_the_sums_are_those_of_the_scores(reports):
    for name in "chain_rule", "best_order", "in_blocks":
        scorer = VALID.get(name) or INVALID[name][0]
        for network, (value, se) in reports[name].sums.items():
            due = (-scorer(TEXTS, models()[network])).exp().sum().item()
            assert value == pytest.approx(due) and se == 0
    assert all(v == pytest.approx(1) for v, _ in reports["chain_rule"].sums.values())
    report = reports["chain_rule"]
    assert report.means["exact"][0] == pytest.approx(report.entropies["exact"])


def noisy(scores, draws, seed, spread=2.0):
    """Draws whose mean is `scores` (N,), with a long tail above it."""
    g = torch.Generator().manual_seed(seed)
    u = torch.rand(draws, len(scores), dtype=torch.float64, generator=g)
    return scores + spread * (-(1 - u).log() - 1)  # exponential, less its mean


def test_the_sum_of_noisy_scores_is_not_overstated():
    """By more than five of its errors, in none of 300 cases with sums of exactly 1; and the mean of
    the estimates is at most the truth."""
    scores = -models()["exact"].law.log()
    found = [log_sum(noisy(scores, 32, seed)) for seed in range(300)]
    assert all(value < 5 * se for value, se in found)
    assert np.mean([value for value, _ in found]) < 0.01
    over = [log_sum(noisy(scores - 0.3, 64, seed)) for seed in range(20)]
    assert np.mean([value for value, _ in over]) > 0.15
    assert log_sum(noisy(scores - 0.3, 1, 0, spread=0))[0] == pytest.approx(0.3)


def test_a_number_below_the_entropy_breaks_both_laws():
    report = audit(lambda texts, model: chain_rule(texts, model) - 0.2)
    assert LAWS <= {*report.names}
    assert report.sums["exact"][0] == pytest.approx(math.exp(0.2))


# -------------------------------------------------------------------- what else is right and wrong


def bound(function):
    function.bound = True
    return function


def along_random_orders(texts, model, orders):
    """-log p(x) (orders, B) along random orders, others for each text."""
    found = []
    for _ in range(orders):
        order = torch.rand(texts.shape, generator=model.generator).argsort(-1)
        z, total = torch.full_like(texts, model.mask_id), 0
        for i in order.unbind(1):
            i = i[:, None]
            total = total + cost(model.denoise(z), texts).gather(1, i).squeeze(1)
            z = z.scatter(1, i, texts.gather(1, i))
        found.append(total)
    return torch.stack(found)


@bound
def importance(texts, model, orders=4):
    """-log of the mean of p(x) along a few random orders."""
    return math.log(orders) - (-along_random_orders(texts, model, orders)).logsumexp(0)


def normalised_cache(texts, model):
    total = 0
    for i in range(model.L):
        p = model.next(texts[:, :i]).exp()
        seen = torch.nn.functional.one_hot(texts[:, :i], model.V).sum(1).double()
        p = (p + seen) / (1 + seen.sum(1, keepdim=True))
        total = total - p.gather(1, texts[:, i : i + 1]).squeeze(1).log()
    return total


def tempered(texts, model):
    total = 0
    for i in range(model.L):
        log_p = (1.3 * model.next(texts[:, :i])).log_softmax(-1)
        total = total - log_p.gather(1, texts[:, i : i + 1]).squeeze(1)
    return total


def two_at_a_time(texts, model):
    z, total = torch.full_like(texts, model.mask_id), 0
    while (z == model.mask_id).any():
        log_p = model.denoise(z)
        sure = log_p.amax(-1).masked_fill(z != model.mask_id, -math.inf)
        two = sure.argsort(dim=-1, descending=True, stable=True)[:, : min(2, (z[0] == 3).sum())]
        total = total + cost(log_p, texts).gather(1, two).sum(1)
        z = z.scatter(1, two, texts.gather(1, two))
    return total


@bound
def unweighted(texts, model):
    """The mean over hidden words with times that are uniform: a bound, though no tight one."""
    t, dt = nodes(24)
    costs, counts = 0, 0
    for hidden in sets(model.L):
        chance = (dt * t ** hidden.sum() * (1 - t) ** (~hidden).sum()).sum()
        costs = costs + chance * hidden_cost(texts, model, hidden)
        counts = counts + chance * hidden.sum()
    return model.L * costs / counts


@bound
def one_over_t(texts, model, draws=8):
    """Uniform times and the weight 1/t, whose variance is infinite."""
    total = 0
    for _ in range(draws):
        t = torch.rand(len(texts), 1, dtype=torch.float64, generator=model.generator)
        u = torch.rand(texts.shape, dtype=torch.float64, generator=model.generator)
        total = total + hidden_cost(texts, model, u < t) / t.squeeze(1)
    return total / draws


def in_float32(texts, model):
    return chain_rule(texts, model).float()


def from_right_to_left(texts, model):
    z, total = torch.full_like(texts, model.mask_id), 0
    for i in reversed(range(model.L)):
        total = total + cost(model.denoise(z), texts)[:, i]
        z = z.clone()
        z[:, i] = texts[:, i]
    return total


def as_list(texts, model):
    return chain_rule(texts, model).tolist()


def as_array(texts, model):
    return chain_rule(texts, model).numpy()


def that_prints_and_spoils(texts, model):
    print("scoring")
    total = chain_rule(texts, model)
    texts.zero_()
    return total


@pytest.mark.parametrize(
    "scorer",
    [
        importance, normalised_cache, tempered, two_at_a_time, unweighted, one_over_t, in_float32,
        from_right_to_left, as_list, as_array, that_prints_and_spoils,
    ],
    ids=lambda f: f.__name__,
)  # fmt: skip
def test_nothing_is_found_in_other_valid_scorers(scorer, capsys):
    report = audit(scorer)
    assert report, str(report)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("seed", range(5))
def test_a_long_tail_is_no_fault(seed):
    report = audit(one_over_t, seed=seed)
    assert report, str(report)


@bound
def best_of_a_few(texts, model):
    """The best of eight random orders, others for each text."""
    return along_random_orders(texts, model, 8).amin(0)


def either_end(texts, model):
    return torch.minimum(chain_rule(texts, model), from_right_to_left(texts, model))


@bound
def coupled_by_hand(texts, model):
    """The hidden words one after another, in the bound for independent ones."""
    total = 0
    for hidden in sets(model.L):
        k = int(hidden.sum())
        z = torch.where(hidden, model.mask_id, texts)
        for i in hidden.nonzero().flatten():
            total = total + cost(model.denoise(z), texts)[:, i] / k / math.comb(model.L, k)
            z = z.clone()
            z[:, i] = texts[:, i]
    return total


def shown(texts, model):
    """Asks for words that the network sees."""
    return cost(model.denoise(texts), texts).sum(1)


@bound
def five_times(texts, model):
    """The ELBO on five times, as a leaderboard once had it."""
    total = 0
    for t in 0.1, 0.3, 0.5, 0.7, 0.9:
        for hidden in sets(model.L):
            chance = t ** hidden.sum() * (1 - t) ** (~hidden).sum()
            total = total + chance * hidden_cost(texts, model, hidden) / t / 5
    return total


def last_two_free(texts, model):
    later = chain_rule(texts, model)
    for i in (3, 4):
        later = later + model.next(texts[:, :i]).gather(1, texts[:, i : i + 1]).squeeze(1)
    return later


def doubled_probability(texts, model):
    """A maximum of two models, which is none: here of the network and of equal chances."""
    total = 0
    for i in range(model.L):
        log_p = model.next(texts[:, :i]).clamp(min=math.log(0.4))
        total = total - log_p.gather(1, texts[:, i : i + 1]).squeeze(1)
    return total


def centred(texts, model):
    total = chain_rule(texts, model)
    return total - total.mean() + 5


def unseeded(texts, model):
    return chain_rule(texts, model) + 0.1 * torch.rand(len(texts), dtype=torch.float64)


def zero(texts, model):
    return torch.zeros(len(texts))


def infinite(texts, model):
    """exp in float16: the rarest words become 0."""
    return -sum(
        (model.next(texts[:, :i]) * 9).log_softmax(-1).exp().half().log().double()
        .gather(1, texts[:, i : i + 1]).squeeze(1)
        for i in range(model.L)
    )  # fmt: skip


@pytest.mark.parametrize(
    "scorer, name",
    [
        (best_of_a_few, "order"),
        (either_end, "order"),
        (coupled_by_hand, "joint"),
        (shown, "position"),
        (five_times, "schedule"),
        (last_two_free, "position"),
        (doubled_probability, "mixture"),
        (centred, "batch"),
        (unseeded, "random"),
        (zero, "position"),
        (infinite, "numbers"),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_other_faults_are_called_by_their_names(scorer, name):
    report = audit(scorer)
    assert causes(report) == {name}, str(report)


def test_the_sentences_have_the_numbers():
    def said(scorer):
        return " ".join(fault.seen + fault.do for fault in audit(scorer).faults)

    assert "at position 1 of 5 costs nothing" in said(first_word_free)
    assert "at positions 4, 5 of 5 cost nothing" in said(last_two_free)
    assert "the best of all 120" in said(best_order)
    assert "even from the same seed" in said(unseeded)
    assert "4.30 a word" in said(INVALID["hard_coded_ratio"][0])
    assert "costs 23.03 nats" in said(INVALID["floor"][0])
    assert "pseudo-likelihood" in said(INVALID["pseudo_likelihood"][0])
    assert re.search(r"adds up to 1\.\d+ if model.joint couples", said(coupled))


# ------------------------------------------------------------------------------- the package's own


class AsNetwork(torch.nn.Module):
    """What a model answers, as a network of the package."""

    hollow = False

    def __init__(self, kind, model):
        super().__init__()
        self.kind, self.model = kind, model

    def forward(self, z, t):
        if self.kind.causal:
            return torch.stack([self.model.next(z[:, 1 : n + 1]) for n in range(z.shape[1])], 1)
        if self.kind.timed:
            return self.model.leave_one_out(z, 1 - t)
        return self.model.denoise(z)


@pytest.mark.parametrize(
    "kind, options",
    [
        (Autoregressive, {}),
        (MaskedDiffusion, {}),
        (BlockDiffusion, {"block_length": 2}),
        (DiscreteFlow, {}),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_nothing_is_found_in_what_the_package_reports(kind, options):
    def score(texts, model):
        whole = kind(AsNetwork(kind, model), model.V, **options)
        return whole.nll_bound(texts, model.generator, num_samples=1)

    report = audit(score, bound=not kind.exact)
    assert report, str(report)


@pytest.mark.parametrize("steps", [2, 3, 5])
def test_nothing_is_found_in_the_likelihood_of_a_decoder(steps):
    def score(texts, model):
        whole = MaskedDiffusion(AsNetwork(MaskedDiffusion, model), model.V)
        return decoding_nll(whole, texts, steps=steps)

    report = audit(score)
    assert report, str(report)


# --------------------------------------------------------------------------------------- the units


def in_unit(unit, scorer=chain_rule):
    def score(texts, model):
        return scorer(texts, model) / UNITS[unit](model, texts)

    return score


@pytest.mark.parametrize("unit", UNITS)
def test_every_unit_is_read(unit):
    report = audit(in_unit(unit), unit=unit)
    assert report and report.unit == unit, str(report)
    assert report.sums["exact"][0] == pytest.approx(1)


@pytest.mark.parametrize("declared", UNITS)
@pytest.mark.parametrize("unit", UNITS)
def test_another_unit_is_recognised(unit, declared):
    if unit != declared:
        (fault,) = audit(in_unit(unit), unit=declared).faults
        assert fault.name == "unit" and f"declare --unit {unit}." in fault.do


def test_the_unit_of_a_random_bound_is_recognised_too():
    score = in_unit("bits", any_order)
    (fault,) = audit(score, bound=True).faults
    assert fault.name == "unit" and "--unit bits." in fault.do


def test_a_sign_and_a_perplexity_are_recognised():
    (sign,) = audit(lambda texts, model: -chain_rule(texts, model)).faults
    assert sign.name == "unit" and "positive" in sign.do
    (perplexity,) = audit(lambda texts, model: (chain_rule(texts, model) / 5).exp()).faults
    assert perplexity.name == "unit" and "perplexity" in perplexity.seen


def test_the_function_says_what_its_number_is_unless_it_is_told():
    score = in_unit("bits")
    score.unit, score.bound = "bits", True
    report = audit(score)
    assert (report.unit, report.bound) == ("bits", True) and report
    report = audit(score, unit="nats", bound=False)
    assert (report.unit, report.bound) == ("nats", False) and report.names == ("unit",)


def test_a_bound_need_not_reach_one():
    assert audit(in_time, bound=False).names == ("loose",)
    report = audit(in_time)
    assert report and report.sums["wrong"][0] < 0.99


# ------------------------------------------------------------------------------ what cannot be used


@pytest.mark.parametrize(
    "scorer, says",
    [
        (lambda texts, model: 3.0, r"the shape \(\) for 243 texts"),
        (lambda texts, model: torch.zeros(texts.shape), r"the shape \(243, 5\)"),
        (lambda texts, model: torch.zeros(3), r"the shape \(3,\)"),
        (lambda texts, model: chain_rule(texts, model).squeeze(), r"\(\) for 1 texts"),
    ],
)
def test_not_one_number_for_each_text_is_a_fault_of_shape(scorer, says):
    (fault,) = audit(scorer).faults
    assert fault.name == "shape" and re.search(says, fault.seen)


def stops(texts, model):
    raise ValueError("no such thing\nat all")


def leaves(texts, model):
    raise SystemExit(0)


@pytest.mark.parametrize(
    "scorer, says",
    [
        (None, "the scorer is of type NoneType"),
        (stops, "stops stopped in line 2 of stops.*no such thing"),
        (leaves, "leaves stopped"),
        (lambda: 0, "cannot be called with 2 arguments"),
        (lambda texts, model: None, "gave nothing"),
        (lambda texts, model: "5.49", "gave a str"),
        (lambda texts, model: model.denoise(texts[:, :2]), "the shape .B, 5., and was given"),
    ],
)
def test_a_function_that_gives_no_numbers_gets_a_sentence(scorer, says):
    with pytest.raises(InputError, match=says) as error:
        audit(scorer)
    assert "\n" not in str(error.value)


def test_a_function_that_does_not_end_gets_a_sentence(monkeypatch):
    monkeypatch.setattr(calling, "SECONDS", 0.2)

    def hangs(texts, model):
        while True:
            pass

    with pytest.raises(InputError, match="had not finished after 0.2 seconds"):
        audit(hangs)


@pytest.mark.parametrize(
    "options, says",
    [
        (dict(unit="furlongs"), "unknown unit 'furlongs'"),
        (dict(seed=-1), "seed is -1"),
        (dict(draws=1), "`draws` is 1"),
    ],
)
def test_options_that_cannot_be_are_refused(options, says):
    with pytest.raises(InputError, match=says):
        audit(chain_rule, **options)


def test_a_report_reads_as_text():
    good, bad = str(audit(by_confidence)), str(audit(best_order))
    assert good.startswith("by_confidence: nats per text, called -log p itself\n\n| network")
    assert "Nothing found" in good and "Nothing found" not in bad
    assert '\n\norder\n    On the network "wrong"' in bad
    assert all(len(line) <= 100 for line in (good + bad).splitlines())


def test_every_name_is_listed():
    assert {name for _, name in INVALID.values()} | LAWS | {"shape"} == {*NAMES}
    assert {*room.__all__} <= {*dir(room)}
