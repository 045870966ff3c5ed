"""Wrong answers that would be right on easier cases, and right ones that are written oddly.

`mutate.py` finds such answers; these were found by it, or handed in.
"""

import math
from difflib import SequenceMatcher

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from nanoparadigm.exercises import ALL, check
from nanoparadigm.exercises.fresh import obeys
from nanoparadigm.studies import passes as study_of_passes


def given(name, **changed):
    """The reference, for arguments that are changed first."""
    exercise = ALL[name]
    parameters = list(exercise.reference.__code__.co_varnames)

    def answer(*case):
        case = [*case]
        for argument, change in changed.items():
            n = parameters.index(argument)
            case[n] = change(case[n])
        return exercise.reference(*case)

    return answer


def at_least(low):
    return lambda x: max(x, low) if isinstance(x, float) else x.clamp(min=low)


def counted(z):
    """What z says where the number of words is taken from it."""
    return F.one_hot(z).double()


def antithetic(x, alpha, generator):
    u = torch.rand(len(x) // 2, x.shape[1], generator=generator)
    u = torch.stack([u, 1 - u], 1).view(-1, x.shape[1])
    return torch.where(u < alpha, x, torch.randint(3, x.shape, generator=generator))


def every_other(x, alpha, generator):
    u = torch.rand(len(x), 2, generator=generator)[:, [0, 1, 0, 1, 0]]
    return torch.where(u < alpha, x, torch.randint(3, x.shape, generator=generator))


def trapezoid(ce, masked, u):
    k = masked.sum(-1)
    chance = u[:, None] ** k * (1 - u[:, None]) ** (5 - k)
    cost = (ce * masked).sum(-1)
    mean = (chance[:, 1:] @ (cost / k)[1:]).sum() / (len(u) - 1)
    pooled = (chance @ cost).sum() / (chance @ k.double()).sum()
    return mean, mean / chance[:, 1:].sum(1).mean(), pooled


def three_averages_one_by_one(ce, masked, u):
    noisy = []
    for level in u.tolist():
        for costs, row in zip(ce.tolist(), masked.tolist(), strict=True):
            chance = math.prod(level if hidden else 1 - level for hidden in row)
            noisy.append((chance, sum(c for c, m in zip(costs, row, strict=True) if m), sum(row)))
    some = [(chance, cost, n) for chance, cost, n in noisy if n]
    mean = sum(chance * cost / n for chance, cost, n in some)
    pooled = sum(chance * cost for chance, cost, _ in some) / sum(c * n for c, _, n in some)
    return [mean / len(u), mean / sum(chance for chance, _, _ in some), pooled]


def variances(factor):
    def verdict(a, a_error, a_exact, b, b_error, b_exact):
        clear = abs(a - b) > factor * (a_error + b_error)
        return (clear and a < b and b_exact) - (clear and b < a and a_exact)

    return verdict


def never_looks_back(text, source):
    """At a token that does not continue a copy it forgets that one may have begun in its midst."""
    best = 0
    for i in range(len(text)):
        n = 0
        for token in source:
            n = n + 1 if i + n < len(text) and token == text[i + n] else 0
            best = max(best, n)
    return best


def in_any_order(text, source):
    def windows(x, n):
        return {tuple(sorted(x[i : i + n].tolist())) for i in range(len(x) - n + 1)}

    return max(
        (n for n in range(1, 1 + len(text)) if windows(text, n) & windows(source, n)), default=0
    )


def stands_at(text, source, n):
    """Whether a run of n tokens is copied, by comparing all windows with all."""
    if n > min(len(text), len(source)):
        return False
    return (text.unfold(0, n, 1)[:, None] == source.unfold(0, n, 1)).all(-1).any().item()


def by_halving(text, source):
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if stands_at(text, source, middle) else (low, middle - 1)
    return torch.tensor(low)


def by_letters(text, source):
    text, source = ("".join(map(chr, x.tolist())) for x in (text, source))
    ends = range(1 + len(text))
    return max(j - i for j in ends for i in range(j + 1) if text[i:j] in source)


def crossings(last):
    """An answer that interpolates after the place last(gap), the first of passes if it is None."""

    def answer(passes, a, b):
        found, log_p = [], passes.double().log()
        for gap in a - b:
            k = last(gap)
            if gap[-1] >= 0:
                found.append(math.nan)
            elif k is None:
                found.append(passes[0].item())
            else:
                share = gap[k] / (gap[k] - gap[k + 1])
                found.append((log_p[k] + share * (log_p[k + 1] - log_p[k])).exp().item())
        return found

    return answer


def where_signs_change(gap):
    return next((k for k in reversed(range(len(gap) - 1)) if gap[k] * gap[k + 1] < 0), None)


def after_as_many(gap):
    above = int((gap >= 0).sum())
    return above - 1 if above else None


def as_if_falling(passes, a, b):
    log_p = passes.double().log().numpy()
    return [
        np.exp(np.interp(0, -gap, log_p)) if gap[-1] < 0 else math.nan for gap in (a - b).numpy()
    ]


def crossings_at_once(passes, a, b):
    gap, log_p, most = a - b, passes.double().log(), len(passes) - 1
    k = torch.where(gap >= 0, torch.arange(1 + most), -1).amax(1)
    i = k.clamp(0, most - 1)
    before, after = (gap.gather(1, j[:, None]).squeeze(1) for j in (i, i + 1))
    found = (log_p[i] + before / (before - after) * (log_p[i + 1] - log_p[i])).exp()
    return found.where(k >= 0, passes[0].double()).where(k < most, math.nan)


WRONG = [
    ("flow_corrupt", antithetic, None),
    ("flow_corrupt", every_other, None),
    ("flow_corrupt", given("flow_corrupt", alpha=at_least(0.1)), None),
    ("flow_rate", lambda p, z, alpha: (p - counted(z)) / (1 - alpha), "stops"),
    ("flow_rate", lambda p, z, alpha: (p - F.one_hot(z, 3)) / (1 - alpha).clamp(min=1e-3), None),
    ("euler_step", given("euler_step", h=at_least(1e-2)), None),
    ("euler_step", lambda R, z, h: counted(z) + h * R, "stops"),
    ("flow_posterior", given("flow_posterior", alpha=at_least(1e-2)), None),
    ("flow_posterior", given("flow_posterior", alpha=lambda a: a.clamp(max=0.999)), None),
    ("flow_bound_term", given("flow_bound_term", alpha=at_least(1e-2)), None),
    ("flow_bound_term", given("flow_bound_term", alpha=lambda a: a.clamp(max=0.999)), None),
    ("discretise", given("discretise", delta=at_least(1e-3)), None),
    ("count_on_circle", given("count_on_circle", values=abs), None),
    ("kernel", given("kernel", a=abs), None),
    ("scan", lambda a, b: ALL["scan"].reference(a.half(), b.half()), None),
    ("combine", given("combine", b1=abs), None),
    ("combine", given("combine", a2=at_least(0.1)), None),
    ("combine", given("combine", b1=at_least(1e-3)), None),
    ("seed_interval", given("seed_interval", t=lambda t: min(t, 10)), None),
    ("paired_difference", given("paired_difference", a=at_least(0.1)), None),
    ("verdict", variances(1), "intervals apart"),
    ("verdict", variances(2), "errors added"),
    ("grammatical_at_least", lambda excess, L: max(0.1, math.exp(-excess * L)), None),
    ("cosine_time", given("cosine_time", t=at_least(1e-3)), None),
    ("three_averages", trapezoid, None),
    ("common_bound", given("common_bound", u=at_least(1e-2)), None),
    ("best_density", given("best_density", u=at_least(0.05)), None),
    ("three_averages", given("three_averages", masked=torch.ones_like), None),
    ("clipped_bound", given("clipped_bound", alpha1=at_least(1e-2)), None),
    ("clipped_bound", given("clipped_bound", alpha0=lambda a: a.clamp(max=0.999)), None),
    ("token_masks", given("token_masks", u=at_least(0.1)), None),
    ("permutation_test", given("permutation_test", values=lambda v: v.abs()), None),
    ("permutation_test", given("permutation_test", orders=lambda o: o[:-1]), None),
    ("bits_per_character", given("bits_per_character", nats=at_least(0.1)), None),
    ("bits_per_character", given("bits_per_character", tokens=at_least(20)), None),
    ("bits_per_character", lambda v, n, c: (v * n / c).median() / math.log(2), None),
    ("bits_per_character", lambda v, n, c: (v * n / c) @ n.double() / n.sum() / math.log(2), None),
    ("longest_copy", lambda a, b: ALL["longest_copy"].reference(a.half(), b.half()), None),
    ("longest_copy", never_looks_back, None),
    ("longest_copy", in_any_order, None),
    ("longest_copy", lambda a, b: b.unfold(0, len(a), 1).eq(a).sum(1).max(), "stops"),
    ("two_sided", given("two_sided", left=at_least(-30)), None),
    ("two_sided", lambda a, b, c: ((a + b - c).softmax(-1) + 1e-9).log(), None),
    ("two_sided", lambda a, b, c: a + (b - c).log_softmax(-1), None),
    ("two_sided", lambda a, b, c: (a + b - c[:, None]).log_softmax(-1), "stops"),
    ("crossing", crossings(where_signs_change), None),
    ("crossing", crossings(after_as_many), None),
    ("crossing", as_if_falling, "the first crossing of those that last"),
    ("crossing", given("crossing", passes=lambda p: p / p[0]), None),
]


@pytest.mark.parametrize("seed", [0, 7])
@pytest.mark.parametrize("n", range(len(WRONG)), ids=[f"{w[0]}-{n}" for n, w in enumerate(WRONG)])
def test_what_is_right_on_easy_cases_only_is_wrong(n, seed):
    name, answer, mistake = WRONG[n]
    verdict = check(name, answer, seed)
    stops = mistake == "stops"
    assert not verdict and verdict.mistake == (None if stops else mistake), verdict
    assert ("stopped" in verdict.message) is stops, verdict


RIGHT = [
    ("flow_bound_term", lambda *case: ALL["flow_bound_term"].variant(*case).item()),
    (
        "selective_delta",
        lambda x, W, bias: [
            [F.softplus(w @ r + c) for w, c in zip(W, bias, strict=True)] for r in x
        ],
    ),
    (
        "segment_decay",
        lambda log_a: (
            (log_a.cumsum(0)[:, None] - log_a.cumsum(0))
            .where(torch.ones(len(log_a), len(log_a)).tril().bool(), torch.tensor(-1e9).double())
            .exp()
        ),
    ),
    (
        "verdict",
        lambda a, ea, xa, b, eb, xb: (
            bool(xb and b - a > 2 * (ea * ea + eb * eb) ** 0.5)
            - bool(xa and a - b > 2 * (ea * ea + eb * eb) ** 0.5)
        ),
    ),
    ("false_alarms", lambda level, n: (-math.expm1(n * math.log1p(-level)), level / n)),
    ("three_averages", three_averages_one_by_one),
    ("common_bound", lambda cost, u, slope: (cost @ (slope / u)).item() / len(u)),
    ("best_density", lambda second, u: F.normalize(second**0.5 / u, p=1, dim=0) * len(u)),
    (
        "permutation_test",
        lambda values, orders: (
            (
                1
                + sum(
                    bool(values.gather(1, o).mean(0).var() >= values.mean(0).var()) for o in orders
                )
            )
            / (1 + len(orders))
        ),
    ),
    ("bits_per_character", lambda v, n, c: np.average(v * n / c / math.log(2), weights=c)),
    ("bits_per_character", lambda v, n, c: torch.log2(v.exp()) @ n.double() / c.sum()),
    (
        "longest_copy",
        lambda a, b: (
            SequenceMatcher(None, a.tolist(), b.tolist(), autojunk=False).find_longest_match().size
        ),
    ),
    ("longest_copy", by_halving),
    ("longest_copy", by_letters),
    (
        "two_sided",
        lambda a, b, c: torch.distributions.Categorical(logits=c + (a - c) + (b - c)).logits,
    ),
    ("two_sided", lambda a, b, c: [(x + y - c).log_softmax(0) for x, y in zip(a, b, strict=True)]),
    ("crossing", crossings_at_once),
    (
        "crossing",
        lambda passes, a, b: [
            study_of_passes.crossing(passes.tolist(), gap.tolist()) or math.nan for gap in a - b
        ],
    ),
]


@pytest.mark.parametrize("name, answer", RIGHT, ids=[name for name, _ in RIGHT])
@pytest.mark.parametrize("seed", [0, 7])
def test_what_is_right_is_right_however_it_is_written(name, answer, seed):
    assert check(name, answer, seed), check(name, answer, seed)


def test_a_wrong_shape_is_told_before_frequencies_are_counted():
    for shaped, shape in (lambda x: x[:, :1], (20000, 1)), (lambda x: x.sum(1), (20000,)):
        said = check("flow_corrupt", lambda x, alpha, g, shaped=shaped: shaped(x)).message
        assert (
            said == f"flow_corrupt: not yet. On case 1 it gave the shape {shape}, not (20000, 5)."
        )
    said = check("segment_decay", lambda log_a: log_a).message
    assert said == "segment_decay: not yet. On case 1 it gave the shape (4,), not (4, 4)."


def test_whether_a_generator_is_obeyed_is_seen():
    assert obeys(lambda g: torch.rand(9, generator=g)).tolist() == [1, 1]
    assert obeys(lambda g: torch.rand(9)).tolist() == [0, 1]
    assert obeys(lambda g: torch.rand(9, generator=g.manual_seed(3))).tolist() == [1, 0]
