"""What a study says of a model does not depend on how much of it fits into memory, and what it
says of texts is said with a judge's name."""

import math

import pytest
import torch
from helpers import awake, generator

from nanoparadigm import evaluate, judging, study
from nanoparadigm.corpora import Corpus, Data
from nanoparadigm.tokenizers import CharTokenizer

TEXT = "".join("abcdefg"[i * i % 7] for i in range(600))


@pytest.fixture
def data():
    return Data(Corpus("letters", TEXT, TEXT[:120]), CharTokenizer("abcdefg"), 12)


def asked(model, monkeypatch):
    """The logits of every call of the model's network from now on, as a list that grows."""
    found, forward = [], type(model.net).forward

    def counted(net, z, t=None):
        logits = forward(net, z, t)
        found.append(logits.numel() // logits.shape[-1] * model.vocab_size)
        return logits

    monkeypatch.setattr(type(model.net), "forward", counted)
    return found


def test_a_network_is_never_asked_for_more_than_it_may_be_at_once(data, monkeypatch):
    monkeypatch.setattr(evaluate, "LOGITS", 2 * 12 * 7 + 1)
    model = awake("diffusion", vocab_size=7, block_size=12)
    found = asked(model, monkeypatch)
    evaluate.window_nats(model, data, generator(), draws=1)
    study.own_exam(model, data.validation[0], 1)
    study.gradient_noise(model, data, batch_size=5, draws=2)
    study.sample(model, 5, 12, steps=3)
    evaluate.accuracy(model, data, 0, generator())
    judge = judging.Own(awake("ar", vocab_size=7, block_size=12), "a judge")
    ours = len(found)
    judging.read(judge, data.validation[0])
    assert ours > 20 and max(found) == 2 * 12 * 7


def test_the_noise_of_the_gradient_is_that_of_whole_batches(data, monkeypatch):
    model = awake("diffusion", vocab_size=7, block_size=12)
    whole = study.gradient_noise(model, data, batch_size=5, draws=6)
    monkeypatch.setattr(evaluate, "LOGITS", 2 * 12 * 7)
    assert study.gradient_noise(model, data, batch_size=5, draws=6) == pytest.approx(whole, 1e-4)
    batches = study.corpora.Batches(data.train, 5, 12, generator(0))
    noise, gradients = generator(1), []
    for _ in range(6):
        loss = model.loss(next(batches), noise)
        found = torch.autograd.grad(loss, list(model.parameters()))
        gradients.append(torch.cat([g.flatten() for g in found]).double())
    gradients = torch.stack(gradients)
    spread = gradients.var(0).sum()
    signal = gradients.mean(0).square().sum() - spread / 6
    assert whole == pytest.approx((spread / signal).item(), 1e-4)


def test_a_judge_reads_texts_in_parts_as_it_reads_them_at_once(data, monkeypatch):
    model, texts = awake("ar", vocab_size=7, block_size=12), data.validation[0]
    judge = judging.Own(model, "a judge")
    nats, endings = judging.read(judge, texts)
    assert torch.allclose(nats, model.nll_bound(texts) / 12, atol=1e-5)
    monkeypatch.setattr(evaluate, "LOGITS", 3 * 12 * 7)
    for whole, parts in zip((nats, endings), judging.read(judge, texts), strict=True):
        assert torch.allclose(whole, parts, atol=1e-5)


def test_an_ending_is_what_the_last_prediction_is_read_from(data):
    model, texts = awake("ar", vocab_size=7, block_size=12), data.validation[0]
    _, endings = judging.read(judging.Own(model, "a judge"), texts)
    assert torch.allclose(model.net.read(endings)[:, :7], model.logits(texts)[:, -1], atol=1e-5)


def test_token_variety_is_the_entropy_of_what_a_text_holds():
    texts = torch.tensor([[0, 0, 0, 0], [0, 1, 2, 50_000], [3, 3, 9, 9]])
    assert judging.token_variety(texts).tolist() == pytest.approx([0, math.log(4), math.log(2)])
    assert judging.distinct(texts, 1) == 6 / 12 and judging.distinct(texts, 2) == 7 / 9
