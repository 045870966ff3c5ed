"""The report cries wolf as seldom as it says, and is not deaf."""

import math

import numpy as np
import pytest
from helpers import generator

from nanoparadigm.statistics import bootstrap, permutation_p, rank, tukey_threshold

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
