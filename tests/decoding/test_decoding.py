"""Every way of writing, under one contract: what is known stays, the length is the one asked for,
whatever it is, and the same seed gives the same text; and what each promises beyond that."""

import itertools
import shutil

import exact
import laws
import pytest
import torch
from helpers import SMALL, Table, generator, presets, random_model

from nanoparadigm import PRESETS, InputError
from nanoparadigm.decoding.categorical import choose_sampler
from nanoparadigm.language import grammatical, language, oracle
from nanoparadigm.paradigms import Autoregressive, DiscreteFlow, MaskedDiffusion

V, BLOCK = 7, SMALL["block_size"]
DECODINGS = [
    (name, decoding) for name, preset in PRESETS.items() for decoding in preset.paradigm.decodings
]


@pytest.fixture(autouse=True)
def no_grad():
    with torch.no_grad():
        yield


class Watched(torch.nn.Module):
    """A network that keeps what it was given to read."""

    def __init__(self, net):
        super().__init__()
        self.net, self.max_length, self.seen = net, net.max_length, []

    def forward(self, z, t=None):
        self.seen.append(z)
        return self.net(z, t)


class LastTwo(torch.nn.Module):
    """A network of a short memory: logits (V + 1, V + 1, V) after the last two tokens."""

    def __init__(self, table, reach):
        super().__init__()
        self.table, self.max_length = table, reach

    def forward(self, z, t=None):
        assert z.shape[1] <= self.max_length
        start = torch.full((len(z), 1), len(self.table) - 1)
        return self.table[torch.cat([start, z[:, :-1]], dim=1), z]


def canvas(length, known):
    """Three rows of tokens, given at the places `known`, the same in each."""
    x = torch.randint(V, (3, length), generator=generator(2))
    where = torch.zeros(3, length, dtype=torch.bool)
    where[:, known] = True
    return x, where


@pytest.mark.parametrize("name, decoding", DECODINGS)
@pytest.mark.parametrize("length", [3, BLOCK, 2 * BLOCK + 7])
def test_every_decoding_keeps_the_contract_at_any_length(name, decoding, length):
    model = random_model(name)
    patterns = [[], [0, 1], list(range(length))]
    if model.infills:
        patterns += [[length - 1], [0, length // 2, length - 2]]
    for places in patterns:
        x, known = canvas(length, places)
        options = dict(steps=5) | model.decodings[decoding]
        states = [state for state, _ in model.generate(x, known, generator(), **options)]
        again = [state for state, _ in model.generate(x, known, generator(), **options)]
        for state, same in zip(states, again, strict=True):
            assert state.shape == (3, length) and (state == same).all()
            assert (state[known] == x[known]).all()
        assert ((states[-1] >= 0) & (states[-1] < V)).all()


@presets
def test_the_first_decoding_is_the_default_and_all_are_options(name):
    kind = PRESETS[name].paradigm
    assert next(iter(kind.decodings.values())) == {}
    for options in kind.decodings.values():
        own = {name: value for name, value in options.items() if name != "blocks"}
        choose_sampler(kind.samplers, own.pop("sampler", None), **own)


@pytest.mark.parametrize("name", ["diffusion", "flow"])
@pytest.mark.parametrize("length, blocks", [(BLOCK, 3), (2 * BLOCK + 7, None), (50, 13)])
def test_a_finished_block_never_changes(name, length, blocks):
    """And the network reads no more than it can, and a new block in sight of the one before."""
    model = random_model(name)
    x, known = canvas(length, [0])
    model.net = Watched(model.net)
    _, *states = model.generate(x, known, generator(), blocks=blocks, steps=3)
    assert max(z.shape[1] for z in model.net.seen) <= BLOCK
    windows = sorted({(seen.start, seen.stop) for _, seen in states})
    assert len(windows) >= (blocks or 4) and windows[-1][1] == length
    for before, after in itertools.pairwise(windows):
        assert after[0] < before[1] < after[1]
    finished = 1
    for (state, seen), (following, then) in itertools.pairwise(states):
        finished = seen.stop if then.stop > seen.stop else finished
        assert (following[:, :finished] == state[:, :finished]).all()


def test_every_text_may_have_gaps_of_its_own():
    """Block by block too: no gap is left, and what is given in one text is not in another."""
    model, length = random_model("diffusion"), 2 * BLOCK + 7
    x, _ = canvas(length, [])
    known = torch.rand(x.shape, generator=generator(3)) < 0.5
    *_, (text, _) = model.generate(x, given := known.clone(), generator(), steps=3)
    assert (text[known] == x[known]).all() and (text < V).all()
    assert (given == known).all()


@pytest.mark.parametrize(
    "length, blocks, sizes",
    [
        (12, None, [12]),
        (12, 1, [12]),
        (12, 2, [6, 6]),
        (12, 3, [4, 4, 4]),
        (12, 5, [3, 3, 2, 2, 2]),
        (12, 12, [1] * 12),
        (12, 20, [1] * 12),
        (31, None, [6, 6, 6, 6, 6, 1]),
        (30, 2, [6, 6, 6, 6, 6]),
        (30, 7, [5, 5, 4, 4, 4, 4, 4]),
    ],
)
def test_blocks_are_as_many_as_were_asked_for_and_nearly_alike(length, blocks, sizes):
    """More only where the network, which reads twelve tokens, would see too little around them."""

    class Noted(MaskedDiffusion):
        def trajectory(self, canvas, known, generator):
            written.append(int((~known[0]).sum()))
            yield torch.where(known, canvas, 0)

    written, model = [], Noted(Table(torch.zeros(V + 1)), V)
    model.net.max_length = BLOCK
    text = model.sample(1, length, generator(), blocks=blocks)
    assert written == sizes and text.shape == (1, length)


@pytest.mark.parametrize("name", ["diffusion", "flow"])
def test_the_text_after_a_gap_is_in_sight(name):
    """However long the text is before and after it."""
    model, g = random_model(name), generator(5)
    left, right = (torch.randint(V, (40,), generator=g).tolist() for _ in "lr")
    model.net = Watched(model.net)
    text = model.infill(2, left, right, 3, generator(), steps=4)
    assert text.shape == (2, 83)
    assert text[0, :40].tolist() == left and text[0, 43:].tolist() == right
    for z in model.net.seen:
        assert z.shape[1] == BLOCK
        assert z[0, :5].tolist() == left[-5:] and z[0, 8:].tolist() == right[:4]


def test_a_threshold_reveals_what_is_surer_and_at_least_one():
    """A network that is surer of later tokens: 0.2, 0.4, ... 0.95 at the eight places."""
    sure = torch.linspace(0.2, 0.95, 8, dtype=torch.float64)
    logits = torch.stack([sure, *((1 - sure) / (V - 1)).expand(V - 1, -1)], -1).log()

    class Sure(torch.nn.Module):
        def forward(self, z, t=None):
            return logits.expand(len(z), -1, -1)

    model = MaskedDiffusion(Sure(), V)
    x, known = canvas(8, [])

    def shown(threshold):
        options = dict(sampler="confidence", threshold=threshold)
        states = list(model.trajectory(x, known, generator(), **options))
        return [(state[0] != model.mask_id).tolist() for state in states]

    assert shown(0.0)[1] == [True] * 8
    assert shown(0.5)[1] == (sure > 0.5).tolist()
    one_by_one = shown(0.99)
    assert [sum(s) for s in one_by_one] == list(range(9))
    assert one_by_one[1] == [False] * 7 + [True]


def test_a_cosine_begins_with_few_and_a_line_reveals_equal_parts():
    model = MaskedDiffusion(Table(torch.zeros(V + 1)), V)
    x, known = canvas(100, [])

    def left(reveal):
        options = dict(sampler="random_order", steps=10, unmasking=reveal)
        states = model.trajectory(x, known, generator(), **options)
        return [int((state[0] == model.mask_id).sum()) for state in states]

    assert left("linear") == list(range(100, -1, -10))
    assert left("cosine") == [100, 98, 95, 89, 80, 70, 58, 45, 30, 15, 0]


def test_the_order_by_confidence_does_not_depend_on_the_temperature():
    """Sharpened, the network would be sure of every token, and a threshold would reveal all."""
    model = random_model("diffusion")
    x, known = canvas(BLOCK, [])
    options = dict(sampler="confidence", threshold=0.9, temperature=0.0)
    states = list(model.trajectory(x, known, generator(), **options))
    assert (states[1] == model.mask_id).any()


def test_a_long_text_of_a_short_memory_is_the_same_however_short_the_block():
    """A network that looks at the last two tokens writes the same text, token for token, whether it
    keeps all of it or begins anew from half a block: nothing is repeated or left out at a seam."""
    table = torch.randn(V + 1, V + 1, V, generator=generator(), dtype=torch.float64)
    texts = [
        Autoregressive(LastTwo(table, reach), V).sample(3, 200, generator(), prompt=[1, 2])
        for reach in (500, 64, 9)
    ]
    assert (texts[0] == texts[1]).all() and (texts[0] == texts[2]).all()


@pytest.mark.parametrize("name", ["ar", "mamba", "mamba2"])
def test_a_text_far_from_its_gap_does_not_hinder_ranking(name):
    """Prefix and suffix each longer than the block."""
    model = random_model(name)
    text = model.infill(2, [1] * 40, [2] * 40, 5, generator(), candidates=3)
    assert text.shape == (2, 85)
    assert (text[:, :40] == 1).all() and (text[:, 45:] == 2).all()


def test_at_temperature_0_the_most_probable_candidate_is_taken():
    model = random_model("ar")
    best = model.infill(1, [1], [2, 3], 2, generator(), candidates=500, temperature=0.0)
    texts = torch.tensor([[1, a, b, 2, 3] for a in range(V) for b in range(V)])
    assert (best[0] == texts[model.nll_bound(texts).argmin()]).all()


def test_candidates_are_weighed_by_all_that_follows():
    """Of two, c and d, for one token: drawn with p(c) p(d) w_c / (w_c + w_d), either way round,
    where w is the probability of both tokens after the gap."""
    table = 2 * torch.randn(4, 4, 3, generator=generator(), dtype=torch.float64)
    model, suffix = Autoregressive(LastTwo(table, 500), 3), [2, 0]
    texts = torch.tensor([[1, c, *suffix] for c in range(3)])
    nll = model.token_nll(texts)
    p, w = nll[:, 1].neg().exp(), nll[:, 2:].sum(1).neg().exp()
    law = 2 * p * (p * w[:, None] / (w[:, None] + w)).sum(1)
    drawn = model.infill(20_000, [1], suffix, 1, generator(), candidates=2)
    assert exact.fits(drawn[:, 1:2], law)


@pytest.mark.parametrize("temperature", [1.0, 0.0])
def test_candidates_of_a_long_text_are_ranked_by_what_the_network_reads_around_the_gap(temperature):
    """A network that looks at two tokens chooses alike whether it reads all of the text or nine
    tokens of it, of which those after the gap are the first to be read."""
    table = 2 * torch.randn(V + 1, V + 1, V, generator=generator(), dtype=torch.float64)
    g = generator(3)
    before, after = (torch.randint(V, (n,), generator=g).tolist() for n in (20, 4))
    texts = [
        Autoregressive(LastTwo(table, reach), V).infill(
            50, before, after, 3, generator(), candidates=5, temperature=temperature
        )
        for reach in (500, 9)
    ]
    assert (texts[0] == texts[1]).all() and (texts[0][:, 20:23] != texts[0][:1, 20:23]).any()


@pytest.mark.parametrize("options", [{}, dict(sampler="euler", eta=0.5), dict(corrections=2)])
def test_a_repair_draws_from_its_own_law(options):
    """From a text taken for one of noise 1 - begin, what is known of it left alone."""
    model, L, begin, steps = laws.arbitrary(DiscreteFlow), laws.SHORT, 0.4, 3
    text = torch.tensor([[2, 0, 1]])
    states = exact.texts(3, L)
    p = (states == text).all(1).double()
    alpha = begin + (1 - begin) * torch.linspace(0, 1, steps + 1, dtype=torch.float64)
    corrections = options.get("corrections", 0)
    for a, b in itertools.pairwise(alpha):
        p = p @ exact.flow_step(model, L, a, b, **options)
        p = p @ torch.linalg.matrix_power(exact.correction(model, L, b), corrections)
    x = model.repair(text.expand(laws.DRAWS, L), begin, generator(), steps=steps, **options)
    assert exact.fits(x, p)


def test_planted_mistakes_are_repaired():
    """By the exact posterior: a wrong word in every text of the language."""
    automaton, g = language(), generator()
    model = oracle(DiscreteFlow, automaton)
    clean = automaton.sample(60, 32, g)
    where = torch.randint(32, (60,), generator=g)
    broken = clean.clone()
    broken[torch.arange(60), where] = torch.randint(automaton.V, (60,), generator=g)

    def wrong(x):
        return sum(bool(mistakes) for mistakes in grammatical(x)) / len(x)

    mended = model.repair(broken, 0.95, g, steps=8)
    assert wrong(broken) > 0.8 and wrong(mended) < 0.05
    assert (mended == clean).double().mean() > 0.95
    mended = model.repair(broken, 0.95, g, steps=8, corrections=6)
    assert wrong(mended) < 0.05


@pytest.mark.parametrize(
    "name, options, said",
    [
        ("diffusion", dict(blocks=0), "blocks is 0"),
        ("diffusion", dict(steps=0), "steps is 0"),
        ("flow", dict(steps=-1), "steps is -1"),
        ("diffusion", dict(unmasking="cosine"), "`unmasking` belongs to `sampler` random_order or"),
        (
            "diffusion",
            dict(threshold=0.5),
            "`threshold` belongs to `sampler` confidence, not ancestral",
        ),
        ("diffusion", dict(sampler="confidence", threshold=1.5), "threshold is 1.5"),
        ("diffusion", dict(sampler="confidence", unmasking="sudden"), "unknown unmasking"),
        ("flow", dict(corrections=-1), "corrections is -1"),
        ("flow", dict(threshold=0.5), "no sampler of this model has the option `threshold`"),
        ("ar", dict(eta=0.5), "no sampler of this model has the option `eta`"),
        ("flow", dict(eta=0.5), "`eta` belongs to `sampler` euler, not ancestral"),
    ],
    ids=str,
)
def test_what_cannot_be_done_is_said(name, options, said):
    with pytest.raises(InputError, match=said):
        random_model(name).sample(1, 5, generator(), **options)


def test_candidates_are_at_least_one():
    with pytest.raises(InputError, match="candidates is 0"):
        random_model("ar").infill(1, [1], [2], 2, generator(), candidates=0)


@pytest.mark.skipif(not shutil.which("g++"), reason="needs a C++ compiler")
@pytest.mark.parametrize("name", ["ar", "mamba", "mamba2"])
def test_a_compiled_step_writes_the_same_text(name):
    model = random_model(name, V, block_size=12, n_layer=1)
    plain = model.sample(2, 20, generator(0), prompt=[1, 2])
    model.net.step = torch.compile(model.net.step, options={"cpp_wrapper": True})
    assert torch.equal(model.sample(2, 20, generator(0), prompt=[1, 2]), plain)
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"]
