"""Counts as a prior: one rule for n-grams, distributions that stay proper, weights that help."""

import itertools

import pytest
import torch
from helpers import random_model

from nanoparadigm import build, tokenizers
from nanoparadigm.data.corpora import language_corpus
from nanoparadigm.data.corpus import TokenizedCorpus
from nanoparadigm.errors import InputError
from nanoparadigm.evaluate.ngram import token_nll
from nanoparadigm.paradigms import Autoregressive, MaskedDiffusion
from nanoparadigm.studies.counts import (
    Counts,
    Leaning,
    counted_alone,
    counts_of,
    leaning,
    leans,
    shifted,
)

V, L = 3, 5


@pytest.fixture
def train():
    return torch.randint(V, (80,), generator=torch.Generator().manual_seed(0))


@pytest.fixture
def texts():
    return torch.tensor([*itertools.product(range(V), repeat=L)])


def without_network(counts, order):
    """The n-gram model as an autoregressive one."""
    net = Leaning(None, counts)
    with torch.no_grad():
        net.weights.zero_()[0, order - 1] = 1.0
    return Autoregressive(net, V)


@pytest.mark.parametrize("order", range(1, 5))
def test_alone_they_are_the_n_gram_model(train, texts, order):
    nats = without_network(Counts(train, V, 4), order).token_nll(texts)
    asked = torch.from_numpy(token_nll(train, texts.flatten(), V, order, L)).view(texts.shape)
    assert torch.allclose(nats.double(), asked, atol=1e-5)


def test_a_token_that_is_left_out_was_never_counted(train):
    """The last token of a text, without its own occurrence: as counted on all the text before."""
    x = train[-6:][None]
    whole, before = Counts(train, V, 4), Counts(train[:-1], V, 4)
    z = shifted(x, whole)
    assert torch.allclose(whole.log_p(z, own=x)[:, :, -1], before.log_p(z)[:, :, -1])
    assert not torch.allclose(whole.log_p(z)[:, :, -1], before.log_p(z)[:, :, -1])


def test_a_mask_ends_the_context(train):
    counts = Counts(train, V, 4)
    z = torch.tensor([[0, 1, V, 2, 1]])
    assert torch.equal(counts.log_p(z)[:, :, 3], counts.log_p(z[:, 3:])[:, :, 0])
    assert torch.equal(counts.log_p(z)[:, :, 4], counts.log_p(z[:, 3:])[:, :, 1])
    unigram = counts.log_p(z)[0, 0, 0]
    assert torch.equal(counts.log_p(z)[:, 0, 2], unigram.expand(4, V))


def test_the_likelihood_of_all_texts_adds_up_to_one(train, texts):
    model = random_model("ar", V, block_size=L)
    model.net = Leaning(model.net, Counts(train, V, 4))
    torch.nn.init.normal_(model.net.weights, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        assert (-model.nll_bound(texts).double()).exp().sum() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("alone", [True, False])
def test_the_bound_of_a_masked_model_leaves_no_room_for_more_than_one(train, texts, alone):
    left, right = Counts(train, V, 4), Counts(train.flip(0), V, 4)
    if alone:
        model = counted_alone((left, right))
    else:
        model = random_model("diffusion", V, block_size=L)
        model.net = Leaning(model.net, left, right)
        torch.nn.init.normal_(model.net.weights, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        bound = model.nll_bound(texts, torch.Generator().manual_seed(0), num_samples=256)
    assert (-bound.double()).exp().sum() < 1


def test_a_hollow_network_that_leans_still_never_sees_its_token(train):
    model = random_model("diffusion", V, block_size=L)
    net = Leaning(model.net, Counts(train, V, 4), Counts(train.flip(0), V, 4))
    torch.nn.init.normal_(net.weights, generator=torch.Generator().manual_seed(1))
    z = torch.tensor([[0, 1, V, 2, 1]])
    for i in range(L):
        other = z.clone()
        other[0, i] = (z[0, i] + 1) % V
        assert torch.allclose(net(z)[0, i], net(other)[0, i], atol=1e-6)
        assert not torch.allclose(net(z), net(other), atol=1e-3)


@pytest.fixture(scope="module")
def data():
    corpus = language_corpus(n_train=400, n_validation=100)
    return TokenizedCorpus(corpus, tokenizers.build("word", corpus), corpus.sequence_length)


@pytest.mark.parametrize("name", ["ar", "diffusion"])
def test_fitted_weights_help_a_model_that_has_learned_nothing(data, name):
    model = build(name, data.tokenizer.vocab_size, n_layer=2, n_embd=16, block_size=data.length)
    twin, g = leaning(model, counts_of(data), data), torch.Generator
    x = data.validation[0]
    with torch.no_grad():
        before, after = (m.nll_bound(x, g().manual_seed(0)).mean() for m in (model, twin))
    assert after < before - 5  # nats a text
    assert model.net is not twin.net and twin.net.net is model.net
    assert isinstance(twin, MaskedDiffusion) == (name == "diffusion")
    assert torch.equal(twin.net.weights, leaning(model, counts_of(data), data).net.weights)


def test_a_token_that_is_counted_itself_is_trusted_less_when_left_out(data):
    """Fitted with every token in its own counts, the weights are worse on other text."""
    model = build("ar", data.tokenizer.vocab_size, n_layer=2, n_embd=16, block_size=data.length)
    good = leaning(model, counts_of(data), data)
    log_p = Counts.log_p
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Counts, "log_p", lambda self, before, own=None: log_p(self, before))
        bad = leaning(model, counts_of(data), data)
    x = data.validation[0]
    with torch.no_grad():
        assert good.nll_bound(x).mean() < bad.nll_bound(x).mean() - 0.5


def test_only_models_whose_symbols_are_text_lean():
    assert [n for n in ("ar", "mamba", "diffusion", "flow", "block") if leans(build(n, 5))] == [
        "ar",
        "mamba",
        "diffusion",
    ]


def test_too_many_symbols_are_refused(monkeypatch):
    monkeypatch.setattr("nanoparadigm.studies.counts.MOST_NUMBERS", 100)
    with pytest.raises(InputError, match="a model that reads characters"):
        Counts(torch.arange(50), 50)


def test_the_number_of_counts_is_that_of_different_n_grams():
    assert len(Counts(torch.tensor([0, 1, 0, 1, 0]), 2, 2)) == 4  # 0, 1, 01, 10
