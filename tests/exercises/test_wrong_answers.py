"""Wrong answers that would be right on easier cases, and right ones that are written oddly.

`mutate.py` finds such answers; these were found by it, or handed in.
"""

import math

import pytest
import torch
import torch.nn.functional as F

from nanoparadigm.exercises import ALL, check
from nanoparadigm.exercises.fresh import obeys


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
