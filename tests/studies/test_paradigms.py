"""The study of five paradigms: a perfect model has no excess and makes no mistake, costs are those
that can be counted by hand, and what is stored is whole."""

from itertools import product

import pytest
import torch
from helpers import generator

from nanoparadigm.language import LENGTH, Automaton, grammatical, language, oracle
from nanoparadigm.paradigms import Autoregressive, BlockDiffusion, DiscreteFlow, MaskedDiffusion
from nanoparadigm.studies import paradigms as study

KINDS = dict(ar=Autoregressive, block=BlockDiffusion, diffusion=MaskedDiffusion, flow=DiscreteFlow)
WORDS = study.GAP.stop - study.GAP.start


@pytest.fixture(scope="module")
def data():
    return study.texts()


@pytest.fixture(scope="module")
def perfect():
    truth, slip = language(), 1e-9
    whole = Automaton(truth.words, (1 - slip) * truth.P + slip / truth.V, truth.successor)
    return {name: oracle(kind, whole) for name, kind in KINDS.items()}


@pytest.mark.parametrize("name", ["ar", "block", "diffusion"])
def test_the_exact_posterior_has_no_excess_in_any_order(perfect, data, name):
    found = study.excesses(perfect[name], data, n=20)
    orders = {"ar": 1, "block": 2, "diffusion": 3}
    assert len(found) == orders[name]
    for order, values in found.items():
        values = torch.tensor(values)
        assert len(values) == 20 and abs(values.mean()) < 4 * values.std() / 20**0.5 + 1e-5, order


@pytest.mark.parametrize("name", ["block", "diffusion"])
def test_the_exact_posterior_writes_and_fills_without_a_mistake(perfect, data, name):
    gaps = data.validation[0][:5]
    for found in (
        study.write(perfect[name], study.RANDOM, n=5),
        *(study.fill(perfect[name], gaps, how) for how in study.FILL[name].values()),
    ):
        assert found["good"] == 1 and found["mistakes"] == found["se"] == 0


def test_a_gap_is_filled_and_nothing_else(perfect, data):
    gaps, seen = data.validation[0][:4], []

    def watched(z, cost):
        seen.append(z)
        return {}

    judged, study.judged = study.judged, watched
    try:
        for name, how in (("ar", dict(candidates=2)), ("diffusion", study.LEFT), ("flow", {})):
            study.fill(perfect[name], gaps, how)
    finally:
        study.judged = judged
    for z in seen:
        same = z == gaps
        assert same[:, : study.GAP.start].all() and same[:, study.GAP.stop :].all()
        assert z.shape == gaps.shape and not same.all()


def test_a_gap_costs_what_can_be_counted(perfect, data):
    """Candidates are written with a cache and read once; the others compute all words each time."""
    gaps = data.validation[0][:2]
    for c in (1, 5):
        found = study.fill(perfect["ar"], gaps, dict(candidates=c))
        assert found["positions"] == c * (study.GAP.stop + LENGTH) and found["calls"] == 9 * c
    found = study.fill(perfect["diffusion"], gaps, study.RANDOM)
    assert (found["calls"], found["positions"]) == (WORDS, WORDS * LENGTH)
    found = study.fill(perfect["flow"], gaps, dict(steps=4, corrections=1))
    assert (found["calls"], found["positions"]) == (8, 8 * LENGTH)


def test_a_text_with_one_mistake_is_not_without_a_mistake():
    z = language().sample(10, LENGTH, generator())
    for z[3, -1] in range(language().V):
        if len(grammatical(z[3:4])[0]) == 1:
            break
    found = study.judged(z, dict(calls=1.0))
    assert found["good"] == 0.9 and found["mistakes"] == 0.1 and found["calls"] == 1
    assert found["se"] == pytest.approx(0.1)  # nine zeros and a one


def test_a_training_is_repeated_by_its_seed(data):
    curves = []
    for seed in (1, 1, 2):
        model = study.network("ar", seed, data.tokenizer.vocab_size)
        curves.append([point["nats"] for point in study.learn(model, data, seed, steps=10)])
    assert len(curves[0]) == study.POINTS and curves[0] == curves[1] != curves[2]


def test_what_is_stored_is_whole():
    runs = study.stored()["runs"]
    assert tuple(runs) == study.NAMES
    sizes = [run["parameters"] for rows in runs.values() for run in rows]
    assert max(sizes) <= 1.02 * min(sizes)
    for name, rows in runs.items():
        assert tuple(run["seed"] for run in rows) == study.SEEDS
        for run in rows:
            assert [point["words"] for point in run["curve"]] == [
                study.STEPS * study.BATCH * LENGTH * (n + 1) // study.POINTS
                for n in range(study.POINTS)
            ]
            assert run["written"].keys() == study.WRITE[name].keys()
            assert run["filled"].keys() == study.FILL[name].keys()
            assert {len(values) for values in run["excess"].values()} == {study.HELD_OUT}
        for a, b in product(rows, rows):
            assert a is b or a["excess"]["bound"] != b["excess"]["bound"]
