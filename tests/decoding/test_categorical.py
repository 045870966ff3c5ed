"""Sharpening and drawing: every option does what its name says, and the tail is not cut off."""

import itertools
import math

import exact
import pytest
import torch
from helpers import Table, generator

from nanoparadigm import PRESETS, InputError
from nanoparadigm.decoding.categorical import Categorical, sample_categorical
from nanoparadigm.paradigms import MaskedDiffusion

LOGITS = torch.tensor([2.0, 1.0, 0.5, -1.0, -3.0])
WAYS = [
    (kind, way)
    for kind in dict.fromkeys(preset.paradigm for preset in PRESETS.values())
    for way in kind.decodings
]
every_way = pytest.mark.parametrize("kind, way", WAYS)
SHARPER = [
    {},
    dict(temperature=0.5),
    dict(temperature=2.0),
    dict(temperature=0.0),
    dict(top_k=2),
    dict(top_p=0.7),
    dict(temperature=0.6, top_k=3, top_p=0.85),
]


def by_hand(logits, temperature=1.0, top_k=None, top_p=None, **others):
    """The probabilities of logits (V,), a word at a time: the temperature, then the best top_k,
    then of what these leave the fewest that reach top_p."""
    best = sorted(range(len(logits)), key=lambda v: -logits[v])
    if temperature == 0:
        temperature, top_k = 1.0, 1
    weights = {v: math.exp((logits[v] - max(logits)) / temperature) for v in best[:top_k]}
    if top_p is not None:
        reached, total, nucleus = 0.0, sum(weights.values()), {}
        while reached < top_p and len(nucleus) < len(weights):
            v = best[len(nucleus)]
            nucleus[v] = weights[v]
            reached += weights[v] / total
        weights = nucleus
    total = sum(weights.values())
    return [weights.get(v, 0.0) / total for v in range(len(logits))]


def test_plain_probabilities_are_a_float64_softmax():
    p = Categorical().probabilities(LOGITS)
    assert p.dtype == torch.float64
    assert torch.allclose(p, LOGITS.double().softmax(-1))


def test_temperature_divides_logits_and_zero_is_the_most_probable():
    assert torch.allclose(Categorical(0.5).probabilities(LOGITS), (LOGITS.double() * 2).softmax(-1))
    assert Categorical(0.0).probabilities(LOGITS).tolist() == [1, 0, 0, 0, 0]


def test_top_k_keeps_k_and_their_proportions():
    full = Categorical().probabilities(LOGITS)
    for k in range(1, 8):
        p = Categorical(top_k=k).probabilities(LOGITS)
        assert (p > 0).sum() == min(k, 5)
        assert torch.allclose(p[: min(k, 5)], full[: min(k, 5)] / full[: min(k, 5)].sum())
    ties = Categorical(top_k=2).probabilities(torch.zeros(6))
    assert (ties > 0).sum() == 2


def test_top_p_keeps_the_fewest_that_reach_the_share():
    full = Categorical().probabilities(LOGITS)
    for top_p in (0.01, 0.5, 0.62, 0.9, 0.999, 1.0):
        p = Categorical(top_p=top_p).probabilities(LOGITS)
        kept = int((p > 0).sum())
        assert full[:kept].sum() >= top_p - 1e-12
        assert kept == 1 or full[: kept - 1].sum() < top_p
        assert torch.allclose(p.sum(), torch.tensor(1.0, dtype=torch.float64))


def test_draws_follow_the_probabilities_and_never_reach_a_token_of_probability_zero():
    p = torch.tensor([0.0, 0.5, 0.0, 0.3, 0.2, 0.0], dtype=torch.float64)
    x = sample_categorical(p.expand(200_000, 6), generator())
    frequency = x.bincount(minlength=6) / 200_000
    assert (frequency[[0, 2, 5]] == 0).all()
    assert torch.allclose(frequency.double(), p, atol=0.005)


def test_the_tail_keeps_its_share():
    """In float32 the first of these two tokens would fill the whole unit interval."""
    logits = torch.tensor([20.7, 0.0])
    cut = Categorical().probabilities(logits).cumsum(0)[0]
    assert 0.9e-9 < 1 - cut < 1.1e-9
    assert cut.float() == 1


def test_the_tail_is_reached():
    """The last thousandth of the unit interval's last 1e-9 belongs to the rare token."""
    p = torch.tensor([[1 - 1e-9, 1e-9]], dtype=torch.float64)
    rand = torch.rand
    try:
        torch.rand = lambda *shape, dtype=torch.float32, **_: torch.full(
            shape if isinstance(shape[0], int) else shape[0], 1 - 1e-12, dtype=torch.float64
        ).to(dtype)
        assert sample_categorical(p, None).item() == 1
    finally:
        torch.rand = rand


@pytest.mark.parametrize(
    "options, message",
    [
        ({"temperature": -1}, "temperature is -1"),
        ({"top_k": 0}, "top_k is 0"),
        ({"top_p": 2.0}, "top_p is 2"),
        ({"top_p": 0.0}, "top_p is 0"),
    ],
)
def test_options_that_cannot_be_are_named(options, message):
    with pytest.raises(InputError, match=message):
        Categorical(**options).probabilities(LOGITS)


@pytest.mark.parametrize("temperature", [0.0, 0.3, 1.0, 1.7])
@pytest.mark.parametrize("top_k", [None, 1, 2, 4, 9])
@pytest.mark.parametrize("top_p", [None, 0.2, 0.6, 0.95])
def test_probabilities_are_those_worked_out_word_by_word(temperature, top_k, top_p):
    logits = 2 * torch.randn(50, 6, generator=generator(), dtype=torch.float64)
    options = dict(temperature=temperature, top_k=top_k, top_p=top_p)
    expected = torch.tensor([by_hand(row, **options) for row in logits.tolist()])
    assert torch.allclose(
        Categorical(**options).probabilities(logits), expected.double(), atol=1e-6
    )


# ------------------------------------------------- the laws of what is written, for every paradigm

FEW_STEPS_ARE_ANOTHER_LAW = {"euler", "euler_eta"}  # even where the network is the exact posterior


@every_way
def test_sharpened_words_that_know_nothing_of_each_other_have_the_sharpened_law(kind, way):
    """A network that says the same everywhere: all words are independent, each with the sharpened
    probabilities, in one step and in several. Flow too: of independent words that network is the
    exact posterior at every noise level."""
    logits = torch.tensor([0.9, 0.2, -0.4, -1.1], dtype=torch.float64)
    for i, sharper in enumerate(SHARPER):
        options = kind.decodings[way] | sharper
        p = torch.tensor(by_hand(logits.tolist(), **options), dtype=torch.float64)
        model = kind(Table(torch.cat([logits, torch.full((kind.extra_symbols,), 9.0)])), 4)
        for steps in (1,) if way in FEW_STEPS_ARE_ANOTHER_LAW else (1, 3):
            x = model.sample(4000, 2, generator(i), **{"steps": steps} | options)
            assert (p[x] > 0).all(), "a word that was cut off"
            assert exact.fits(x, torch.outer(p, p).flatten()), (options, steps)


class Neighbours(torch.nn.Module):
    """A network that looks at the symbol at its place and at the one before: logits (S, S, V)."""

    def __init__(self, table):
        super().__init__()
        self.table = table

    def forward(self, z, t=None):
        return self.table[z.roll(1, 1).index_fill(1, torch.tensor([0]), 0), z]


@every_way
def test_a_sharpened_model_writes_what_a_model_of_sharpened_predictions_writes(kind, way):
    """Token for token, in as many steps as there are: the sharpening is in the predictions alone,
    once. An order by confidence goes by the predictions as they were: its law is further down."""
    plain = {k: v for k, v in kind.decodings[way].items() if k not in SHARPER[-1]}
    if plain.get("sampler") == "confidence":
        return
    V = 4
    S = V + kind.extra_symbols
    table = 1.5 * torch.randn(S, S, V, generator=generator(), dtype=torch.float64)
    for sharper in SHARPER:
        options = kind.decodings[way] | sharper
        rows = [by_hand(row, **options) for row in table.view(-1, V).tolist()]
        sharp = torch.tensor(rows, dtype=torch.float64).log().view(S, S, V)
        one, other = (
            kind(Neighbours(logits), V).sample(200, 6, generator(1), **{"steps": 4} | how)
            for logits, how in ((table, options), (sharp, plain))
        )
        assert (one == other).all(), options


def law_by_confidence(table, steps, share=None, threshold=None, **sharper):
    """p over all texts of an order by confidence, over a network given as a table of logits for
    every state of three places with three words and a mask: state by state, what is surest by the
    plain probabilities is drawn from the sharpened ones, all of one step at once."""
    L, V = 3, 3
    now = {(V,) * L: 1.0}
    for step in range(1, steps + 1):
        then = {}
        for state, p in now.items():
            masked = [i for i in range(L) if state[i] == V]
            said = {i: table[state][i] for i in masked}
            sure = {i: max(by_hand(said[i])) for i in masked}
            if threshold is None:
                n = len(masked) - math.floor(L * share(1 - step / steps) + 1e-9)
            else:
                n = max(sum(sure[i] > threshold for i in masked), 1)
            chosen = sorted(masked, key=lambda i: -sure[i])[:n]
            for words in itertools.product(range(V), repeat=len(chosen)):
                after, chance = list(state), p
                for i, word in zip(chosen, words, strict=True):
                    after[i] = word
                    chance *= by_hand(said[i], **sharper)[word]
                then[tuple(after)] = then.get(tuple(after), 0.0) + chance
        now = then
    law = [now.get(text, 0.0) for text in itertools.product(range(V), repeat=L)]
    return torch.tensor(law, dtype=torch.float64)


@pytest.mark.parametrize("sharper", SHARPER, ids=str)
@pytest.mark.parametrize(
    "options",
    [
        dict(steps=3),
        dict(steps=2),
        dict(steps=2, unmasking="cosine"),
        dict(steps=3, threshold=0.5),
    ],
    ids=str,
)
def test_an_order_by_confidence_has_its_own_law(options, sharper):
    """And the confidence is the largest of the plain probabilities, neither that of the word drawn
    nor a sharpened one."""
    net = exact.RandomTable(4, 3, 3, seed=2, scale=0.7)  # where margin and entropy order otherwise
    states = itertools.product(range(4), repeat=3)
    table = dict(zip(states, net.table.tolist(), strict=True))
    share = (lambda left: math.sin(math.pi / 2 * left)) if "unmasking" in options else float
    threshold = options.get("threshold")
    p = law_by_confidence(table, options["steps"], share, threshold, **sharper)
    assert p.sum().item() == pytest.approx(1)
    x = MaskedDiffusion(net, 3).sample(
        10_000, 3, generator(), sampler="confidence", **options, **sharper
    )
    assert exact.fits(x, p)


def test_a_threshold_asks_for_more_than_itself():
    """Two words of one half each are not surer than one half: one token at a time."""
    model = MaskedDiffusion(Table(torch.zeros(3)), 2)
    blank = torch.full((1, 4), 2)
    options = dict(sampler="confidence", threshold=0.5)
    states = model.trajectory(blank, blank != 2, generator(), **options)
    assert [int((state != 2).sum()) for state in states] == [0, 1, 2, 3, 4]
