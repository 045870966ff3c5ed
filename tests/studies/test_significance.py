"""The report cries wolf as seldom as it says, and is not deaf."""

import itertools
import math

import numpy as np
import pytest
from helpers import generator

from nanoparadigm.studies.schedules import significance
from nanoparadigm.studies.schedules.significance import (
    bootstrap,
    permutation_p,
    rank,
    tukey_threshold,
)

NAMES = ["linear", "cosine", "loglinear", "sqrt", "clipped", "sigmoid"]
TWINS = ("linear", "loglinear")


def runs(rng, effects, seeds=3, noise=0.01, heavy=False):
    draw = rng.standard_t(2, (seeds, len(effects))) if heavy else rng.normal(size=(seeds, 6))
    return rng.normal(size=(seeds, 1)) + np.asarray(effects) + noise * draw


@pytest.mark.parametrize("heavy", [False, True])
def test_a_ranking_of_equals_is_printed_in_at_most_one_of_twenty(heavy):
    rng = np.random.default_rng(0)
    g = generator()
    wolves = sum(
        bool(rank(NAMES, runs(rng, [0] * 6, heavy=heavy), TWINS, g).better) for _ in range(400)
    )
    assert wolves <= 0.05 * 400


def test_the_same_runs_under_shuffled_names_are_ranked_in_at_most_one_of_twenty():
    """Whatever real effects there are in them."""
    rng = np.random.default_rng(1)
    values = runs(rng, [0, 0.1, 0, 0.3, -0.2, 0.05], seeds=5)
    wolves, g = 0, generator()
    for _ in range(200):
        relabelled = np.stack([rng.permutation(row) for row in values])
        wolves += bool(rank(NAMES, relabelled, TWINS, g).better)
    assert wolves <= 0.05 * 200


def test_what_differs_is_found_and_twins_never_are():
    rng = np.random.default_rng(2)
    found = rank(NAMES, runs(rng, [0, 0.1, 0, 0.3, 0.1, 0.1]), TWINS, generator())
    assert found.p < 0.025
    assert {("linear", "sqrt"), ("loglinear", "sqrt"), ("cosine", "sqrt")} <= set(found.better)
    assert not {TWINS, TWINS[::-1]} & set(found.better)
    assert all(a != "sqrt" for a, _ in found.better)


def test_nothing_is_claimed_inside_the_noise_floor():
    """The twins lie as far apart as anything else: no seed can make up for that."""
    rng = np.random.default_rng(3)
    values = runs(rng, [0, 0.1, 0.12, 0.05, 0.1, 0.1], noise=1e-4)
    assert rank(NAMES, values, TWINS, generator()).better == ()


def test_one_seed_ranks_nothing():
    rng = np.random.default_rng(4)
    found = rank(NAMES, runs(rng, [0, 5, 0, 9, 1, 1], seeds=1), TWINS, generator())
    assert found.better == () and found.threshold == math.inf


def test_the_threshold_is_tukeys():
    """q(0.05; 3 treatments, 8 degrees of freedom) = 4.041."""
    rng = np.random.default_rng(5)
    values = rng.normal(size=(5, 3))
    rest = values - values.mean(0) - values.mean(1, keepdims=True) + values.mean()
    expected = 4.041 * math.sqrt((rest**2).sum() / 8 / 5)
    assert tukey_threshold(values, generator(), level=0.05, repeats=200_000) == pytest.approx(
        expected, rel=0.02
    )


def test_the_chance_is_uniform_among_equals():
    rng = np.random.default_rng(6)
    g = generator()
    p = [permutation_p(runs(rng, [0] * 6), g, repeats=200) for _ in range(300)]
    assert 0.4 < np.mean(p) < 0.6 and np.mean(np.array(p) < 0.2) == pytest.approx(0.2, abs=0.08)


def test_the_bootstrap_is_paired():
    """A seed moves both treatments alike: the interval is of the difference, not of the means."""
    rng = np.random.default_rng(7)
    values = runs(rng, [0, 0.5, 0, 0, 0, 0], seeds=20)
    found = bootstrap(values[:, 1] - values[:, 0], generator())
    assert found.low < found.mean < found.high
    assert abs(found.mean - 0.5) < 0.02 and found.high - found.low < 0.03
    assert str(found).startswith("+0.")


# ----------------------------------------------------------------------- numbers worked otherwise


def test_the_interval_of_three_seeds_is_that_of_their_27_resamples():
    """Each of which is as likely: three equal ones have 1/27 = 0.037, which is more than the 0.025
    on either side of 95 per cent, and less than the 0.05 on either side of 90."""
    d = [0.0, 3.0, 30.0]
    means = np.sort([np.mean(chosen) for chosen in itertools.product(d, repeat=3)])
    found = bootstrap(d, generator())
    assert (found.mean, found.low, found.high) == (11, means[0], means[-1])
    wide = generator(1)
    low, high = (np.quantile(means, q, method="inverted_cdf") for q in (0.025, 0.975))
    assert (bootstrap(d, wide).low, bootstrap(d, wide).high) == (low, high)


def test_an_interval_is_said_with_its_signs():
    assert str(significance.Interval(0.12346, -1, 2.5)) == "+0.1235 [-1.0000, +2.5000]"


def test_the_interval_of_many_seeds_is_1_96_standard_errors_wide():
    d = np.random.default_rng(8).normal(3, size=400)
    found, se = bootstrap(d, generator()), d.std() / 20
    assert found.mean == pytest.approx(d.mean())
    assert found.low == pytest.approx(d.mean() - 1.96 * se, abs=0.1 * se)
    assert found.high == pytest.approx(d.mean() + 1.96 * se, abs=0.1 * se)


@pytest.mark.parametrize("values", [
    [[1.0, 2.0, 4.0], [10.0, 13.0, 12.5]],
    [[0.1, 0.7, 0.4], [5.5, 5.4, 5.9], [-2.0, -2.0, -1.9]],
])  # fmt: skip
def test_the_chance_is_the_share_of_all_shufflings_within_the_seeds(values):
    orders = itertools.product(*(itertools.permutations(row) for row in values))

    def apart(rows):
        means = [sum(column) / len(rows) for column in zip(*rows, strict=True)]
        return sum((m - sum(means) / len(means)) ** 2 for m in means)

    as_far = [apart(rows) >= apart(values) - 1e-9 for rows in orders]
    share, n = sum(as_far) / len(as_far), 20_000
    assert 0.1 < share < 0.9
    p = permutation_p(values, generator(), repeats=n)
    assert abs(p - share) < 4.5 * math.sqrt(share * (1 - share) / n) + 1 / n


def test_a_chance_is_never_nought_and_a_tie_counts():
    """What was seen is one of the shufflings; and of one seed all shufflings are as far apart,
    whatever the order in which they are summed."""
    values = np.arange(6) + 0.01 * np.random.default_rng(9).random((8, 6))
    assert permutation_p(values, generator(), repeats=9) == 1 / 10
    assert permutation_p([[0.1, 0.2, 0.3, 0.7, 1.1, 1.3]], generator(), repeats=500) == 1


@pytest.mark.parametrize(
    "S, K, level, q",
    [(5, 3, 0.05, 4.041), (3, 6, 0.05, 4.912), (4, 4, 0.01, 5.957), (11, 3, 0.1, 3.112)],
)
def test_thresholds_are_those_of_tukeys_table(S, K, level, q):
    """q(level; K, (S - 1)(K - 1)) of the published tables; a seed's own level is no noise."""
    rng = np.random.default_rng(S * K)
    values = rng.normal(size=(S, K))
    rest = [
        [v - sum(row) / K - sum(column) / S + values.sum() / S / K
         for v, column in zip(row, values.T, strict=True)]
        for row in values
    ]  # fmt: skip
    spread = math.sqrt(sum(r * r for row in rest for r in row) / ((S - 1) * (K - 1)))
    moved = values + 5 * rng.normal(size=(S, 1)) + np.arange(K)
    found = tukey_threshold(moved, generator(), level, repeats=200_000)
    assert found == pytest.approx(q * spread / math.sqrt(S), rel=0.015)


def ranked(means, p, threshold, level=0.04):
    """`rank` of treatments a ... e, twins b and d, where chance and threshold are what it is told;
    and the levels that the threshold was asked for."""
    asked = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(significance, "permutation_p", lambda values, generator: p)
        patch.setattr(
            significance, "tukey_threshold", lambda v, g, level: asked.append(level) or threshold
        )
        values = np.array([means, means]) + [[1], [-1]]
        return rank("abcde", values, "bd", generator(), level), asked


def test_a_pair_is_ranked_beyond_both_the_twins_and_the_threshold():
    means = [1.0, 2.0, 2.3, 1.75, 2.6]  # the twins b and d are 0.25 apart
    found, asked = ranked(means, p=0.03, threshold=0.5)
    assert asked == [0.04] and (found.p, found.threshold) == (0.03, 0.5)
    assert found.floor == pytest.approx(0.25)
    assert {*found.better} == {(*"ab",), (*"ac",), (*"ad",), (*"ae",), (*"be",), (*"dc",), (*"de",)}
    found, _ = ranked(means, p=0.03, threshold=0.1)  # and now the twins are what it must exceed
    assert {*found.better} == {*map(tuple, "ab ac ad ae bc be dc de ce".split())}
    assert ranked([1, 2, 3, 4, 5], p=0.039, threshold=1.5)[0].better == (
        (*"ad",),
        (*"ae",),
        (*"be",),
    )


def test_where_the_treatments_are_one_as_a_whole_no_pair_is_ranked():
    assert ranked([1, 2, 3, 2, 5], p=0.04, threshold=0.5)[0].better == ()
    assert ranked([1, 2, 3, 2, 5], p=0.0399, threshold=0.5)[0].better
    assert ranked([1, 2, 3, 2, 5], p=0.1, threshold=0.5, level=0.2)[0].better


def test_twins_are_no_pair_however_far_apart():
    assert (*"bd",) not in ranked([1, 2, 2, 9, 30], p=0.001, threshold=0.5)[0].better
    assert {*ranked([1, 2, 2, 9, 30], p=0.001, threshold=0.5)[0].better} == {
        (*"ad",), (*"ae",), (*"be",), (*"ce",), (*"de",)
    }  # fmt: skip


def test_where_a_value_is_not_known_nothing_is_claimed():
    """However far apart the others are."""
    values = np.array([[0.0, 0.0, 5.0], [0.0, 0.01, 5.1], [0.01, 0.0, 5.0], [0, 0, 5.2], [0, 0, 5]])
    names, twins = ["a", "b", "c"], ("a", "b")
    g = generator()
    assert rank(names, values, twins, g).better
    values[0, 1] = math.nan
    assert rank(names, values, twins, g).better == ()
    values[0] = [0, 0, math.nan]
    assert rank(names, values, twins, g).better == ()
