"""The auditor's networks are what they are called: against the automaton, and against sums."""

import itertools
import math
from dataclasses import replace

import pytest
import torch

from nanoparadigm.audit import TEXTS, models
from nanoparadigm.audit.networks import (
    HIDDEN,
    STATES,
    TINY,
    L,
    V,
    along_every_order,
    counting,
    picked,
)
from nanoparadigm.errors import InputError
from nanoparadigm.language import tiny

LAWFUL = [name for name in models() if name != "wrong"]
EVERY = [*models().items(), *((f"counting {k}", counting(k)) for k in range(1, L + 1))]
every = pytest.mark.parametrize("network", [n for _, n in EVERY], ids=[name for name, _ in EVERY])


def same(a, b, **close):
    torch.testing.assert_close(a, b, **(close or dict(rtol=1e-9, atol=1e-9)))


def test_the_exact_network_is_the_posterior_of_the_automaton():
    exact, language = models()["exact"], tiny()
    same(exact.law, language.log_prob(TEXTS).exp())
    same(exact.denoise(STATES).exp(), language.posterior(STATES))
    for alpha in 0.0, 0.3, 0.999:
        levels = torch.full((len(TEXTS),), alpha, dtype=torch.float64)
        same(exact.leave_one_out(TEXTS, alpha).exp(), language.leave_one_out(TEXTS, levels))


@every
def test_every_answer_is_a_distribution_over_words(network):
    ones = torch.ones(1, dtype=torch.float64)
    for log_p in network.denoise(STATES), network.leave_one_out(TEXTS, 0.4):
        same(log_p.exp().sum(-1), ones.expand(log_p.shape[:2]))
    for n in range(L):
        log_p = network.next(TEXTS[:, :n])
        same(log_p.exp().sum(-1), ones.expand(len(TEXTS)))
        hidden = torch.where(torch.arange(L) < n, TEXTS, HIDDEN)
        same(log_p, network.denoise(hidden)[:, n])


@every
def test_a_visible_word_is_itself(network):
    log_p = network.denoise(TEXTS)
    assert (picked(log_p, TEXTS) == 0).all() and (log_p.exp().sum(-1) == 1).all()


@pytest.mark.parametrize("name", LAWFUL)
def test_a_network_that_has_a_law_gives_every_text_its_probability_along_every_order(name):
    network = models()[name]
    same(network.law.sum(), torch.tensor(1.0, dtype=torch.float64))
    _, costs = along_every_order(network)
    same(costs, -network.law.log().expand(math.factorial(L), -1), rtol=1e-6, atol=1e-6)


def test_the_orders_of_the_wrong_network_disagree_and_each_adds_up_to_one():
    orders, costs = along_every_order(models()["wrong"])
    assert orders == [*itertools.permutations(range(L))]
    sums = (-costs).exp().sum(1)
    same(sums, torch.ones_like(sums))
    assert (-costs.amin(0)).exp().sum() > 5 and costs.std(0).min() > 0.1


@pytest.mark.parametrize("name", LAWFUL)
def test_the_hidden_words_together_have_the_probability_that_the_law_gives_them(name):
    network = models()[name]
    for hidden in itertools.product([False, True], repeat=L):
        z = torch.where(torch.tensor(hidden), HIDDEN, TEXTS)
        fits = ((z[:, None] == TEXTS) | (z[:, None] == HIDDEN)).all(-1).double()
        due = network.law.log() - (fits @ network.law).log()
        same(network.joint(TEXTS, z), due, rtol=1e-6, atol=1e-6)


def test_without_coupling_the_hidden_words_are_independent():
    network = replace(models()["echo"], coupled=False)
    z = torch.where(torch.arange(L) < 2, TEXTS, HIDDEN)
    same(network.joint(TEXTS, z), picked(network.denoise(z), TEXTS)[:, 2:].sum(1))


def test_the_echo_repeats_itself_and_the_constant_says_the_same():
    echo = models()["echo"]
    z = torch.full((1, L), HIDDEN)
    z[0, 3] = 2
    assert echo.denoise(z)[0, 0, 2].exp() > 0.9
    constant = models()["constant"].denoise(STATES)
    hidden = (STATES == HIDDEN)[..., None].expand_as(constant)
    assert torch.equal(constant[hidden], constant[-1].expand_as(constant)[hidden])


def test_the_sure_network_leaves_two_words_almost_nothing():
    log_p = models()["sure"].next(TEXTS[:1, :0])
    same(log_p[0, 1:], torch.full((2,), math.log(TINY), dtype=torch.float64))


@pytest.mark.parametrize("k", range(1, L + 1))
def test_a_counting_network_is_nearly_sure_where_so_many_words_are_hidden(k):
    log_p, hidden = counting(k).denoise(STATES), STATES == HIDDEN
    here = hidden & (hidden.sum(1) == k)[:, None]
    assert (log_p[here][:, 0].exp() > 0.97).all()
    elsewhere = log_p[hidden & ~here].exp()
    same(elsewhere, torch.full_like(elsewhere, 1 / V))


def test_texts_have_characters_and_bytes():
    network = models()["exact"]
    texts = torch.tensor([[0, 1, 2, 2, 0]])
    written = "".join(network.words[v] for v in texts[0])
    assert network.characters(texts).tolist() == [len(written)]
    assert network.bytes(texts).tolist() == [len(written.encode())] != [len(written)]
    assert len({len(word) for word in network.words}) == V


@pytest.mark.parametrize(
    "method, given, says",
    [
        ("denoise", (torch.zeros(2, L),), "word ids"),
        ("denoise", ([[0] * L],), "word ids"),
        ("denoise", (TEXTS[:, :4],), r"the shape \(B, 5\), and was given \(243, 4\)"),
        ("denoise", (TEXTS + 2,), "words from 2 to 4: the words are 0 to 2, and 3 hides one"),
        ("denoise", (TEXTS - 1,), "words from -1 to 1"),
        ("next", (TEXTS,), "a whole text"),
        ("next", (STATES[:, :2],), "words from 0 to 3: the words are 0 to 2"),
        ("leave_one_out", (STATES, 0.5), "the words are 0 to 2"),
        ("joint", (STATES, STATES), "the words are 0 to 2"),
    ],
)
def test_a_wrong_question_gets_a_sentence(method, given, says):
    with pytest.raises(InputError, match=says):
        getattr(models()["exact"], method)(*given)
