"""The ruler itself: honest standard errors, and the truth measured against itself."""

import math
from types import SimpleNamespace

import pytest
import torch
from helpers import TINY, generator

from nanoparadigm import build, corpora, evaluate, tokenizers
from nanoparadigm.automaton import Automaton, oracle
from nanoparadigm.language import LENGTH, language, tiny
from nanoparadigm.paradigms import Autoregressive, DiscreteFlow, MaskedDiffusion


@pytest.mark.parametrize("kind", [Autoregressive, MaskedDiffusion, DiscreteFlow])
def test_the_standard_error_is_honest(kind):
    """Over 200 evaluations of fresh texts, the exact value lies within two standard errors in 90 to
    99 % of them: the noise of the bound and the choice of texts are both in the error."""
    automaton, L = tiny(), 5
    model, truth = oracle(kind, automaton), automaton.entropy(L) / L
    texts, noise, inside = generator(1), generator(2), 0
    known = dict(length=L, tokenizer=SimpleNamespace(vocab_size=automaton.V))
    for _ in range(200):
        data = SimpleNamespace(validation=[automaton.sample(150, L, texts)], **known)
        estimate = evaluate.nats_per_token(model, data, noise, draws=4, batch_size=150)
        inside += abs(estimate.mean - truth) <= 2 * estimate.se
    assert 180 <= inside <= 198


@pytest.fixture(scope="module")
def data():
    corpus = corpora.load("language")
    tokenizer = tokenizers.build("word", corpus, 0)
    data = corpora.Data(corpus, tokenizer, LENGTH)
    data.validation = [data.validation[0][:200]]
    return data


@pytest.mark.parametrize("kind", [Autoregressive, MaskedDiffusion])
def test_the_truth_has_no_excess_and_makes_no_mistakes(kind, data):
    model = oracle(kind, data.corpus.truth)
    windows = evaluate.window_nats(model, data, generator(), draws=4)
    row = evaluate.against_the_truth(model, data, windows, generator(), steps=LENGTH * 8, n=64)
    excess, surprise = row["excess"], row["surprise"]
    assert abs(excess["mean"]) <= 4 * excess["se"] + 1e-9
    if kind.exact:
        assert row["ungrammatical"]["mean"] == 0 and sum(row["mistakes"].values()) == 0
        assert abs(surprise["mean"] - row["entropy"]) < 4 * surprise["se"]


def test_sharpened_samples_surprise_less_and_mistakes_surprise_more(data):
    truth = data.corpus.truth
    model = oracle(Autoregressive, truth)
    entropy = truth.entropy(LENGTH) / LENGTH
    sharp = model.sample(64, LENGTH, generator(), temperature=0.5)
    assert -truth.log_prob(sharp, evaluate.SLIP).mean() / LENGTH < entropy - 0.05
    broken = model.sample(64, LENGTH, generator())
    broken[:, 10] = torch.randint(32, (64,), generator=generator())
    assert -truth.log_prob(broken, evaluate.SLIP).mean() / LENGTH > entropy + 0.05


def test_floors_are_in_order_and_the_truth_is_the_lowest(data):
    rows = evaluate.baselines(data)
    nats = {row["name"]: row["nats_per_token"]["mean"] for row in rows}
    assert list(nats) == ["uniform", "1-gram", "3-gram", "5-gram", "the truth"]
    assert nats["uniform"] == pytest.approx(math.log(32))
    assert nats["uniform"] > nats["1-gram"] > nats["3-gram"] > nats["5-gram"] > nats["the truth"]
    # four words of context cannot be better than the best that four words of memory can do
    best = data.corpus.truth.k_gram_entropy(4, LENGTH)
    assert nats["5-gram"] > best - 3 * rows[3]["nats_per_token"]["se"]


def test_tables_leave_out_what_a_row_does_not_have(data):
    rows = evaluate.baselines(data)
    table = evaluate.table(rows)
    assert len({line.count("|") for line in table.splitlines()}) == 1
    assert "the truth" in table and "None" not in table
    assert evaluate.truth_table(rows) == ""


def test_the_language_is_as_varied_as_its_entropy_and_has_no_excess():
    truth = language()
    texts = truth.sample(4000, LENGTH, generator())
    found = evaluate.variety(texts, truth)
    true = truth.entropy(LENGTH) / LENGTH
    assert abs(found["entropy"]["mean"] - true) < 4 * found["entropy"]["se"] + 1e-3
    assert -1e-3 < found["excess"]["mean"] < 3e-3  # what the slips cost


def test_the_excess_of_a_writer_whose_law_is_known_is_its_divergence():
    """Words of the language, with mistakes, from an automaton over the same states."""
    truth = language()
    writer = Automaton(truth.words, 0.97 * truth.P + 0.03 / truth.V, truth.successor)
    texts = writer.sample(4000, LENGTH, generator())
    true = (writer.log_prob(texts) - truth.log_prob(texts, evaluate.SLIP)).mean() / LENGTH
    found = evaluate.variety(texts, truth)
    assert true > 0.05 and abs(found["excess"]["mean"] - true) < 0.005


def test_a_writer_of_one_text_is_not_varied():
    """However good the text is, and however often it is written."""
    truth = language()
    text = truth.sample(1, LENGTH, generator()).expand(500, -1)
    found = evaluate.variety(text, truth)
    assert found["entropy"]["mean"] < 0.5 and found["excess"]["mean"] > 0.5
    assert evaluate.worth(text, truth)["ungrammatical"]["mean"] == 0


def test_a_way_of_writing_costs_what_it_computes(data):
    ar, diffusion = (
        build(name, 32, **{**TINY, "block_size": LENGTH}) for name in ("ar", "diffusion")
    )
    for model, options, calls, positions in (
        (ar, {}, LENGTH, LENGTH),
        (diffusion, dict(sampler="first_hitting"), LENGTH, LENGTH**2),
        (diffusion, dict(sampler="left_to_right", steps=4), 4, 4 * LENGTH),
        (diffusion, dict(sampler="confidence", threshold=0.0), 1, LENGTH),
    ):
        row = evaluate.decoding(model, data, "so", options, n=10, batch_size=4)
        assert (row["calls"], row["positions"]) == (calls, positions)
        assert row == evaluate.decoding(model, data, "so", options, n=10, batch_size=4)
