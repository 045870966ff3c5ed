"""A network call is counted in one way everywhere: by runs of the network, watched from outside."""

import pytest
import torch
from helpers import TINY, generator, perturb_, presets
from test_live import folder, needs_node, node  # noqa: F401
from torch import nn

from nanoparadigm import PRESETS, build, corpora, evaluate, tokenizers
from nanoparadigm.evaluate.cost import CountingNetwork
from nanoparadigm.show import animation
from nanoparadigm.show.live import HOW

WAYS = [(name, way) for name in PRESETS for way in PRESETS[name].paradigm.decodings]
each_way = pytest.mark.parametrize("name, way", WAYS)


@pytest.fixture(scope="module")
def data():
    corpus = corpora.load("language")
    tokenizer = tokenizers.build(None, corpus)
    return corpora.TokenizedCorpus(corpus, tokenizer, corpus.sequence_length)


def new(name, length=32):
    return perturb_(build(name, 32, **TINY | dict(block_size=length)), 0.2).eval()


def watched(net, monkeypatch):
    """The shapes of all that the network is run on from now on: a list that grows."""
    runs = []

    def noting(run):
        def noted(z, *rest):
            runs.append(tuple(z.shape))
            return run(z, *rest)

        return noted

    for name in "forward", "step":
        if hasattr(net, name):
            monkeypatch.setattr(net, name, noting(getattr(net, name)))
    return runs


def per_text(runs, n):
    """What n texts cost each: a run of B texts is a call for each of them, over L positions."""
    return dict(calls=sum(B for B, _ in runs) / n, positions=sum(B * L for B, L in runs) / n)


@each_way
def test_evaluate_and_the_page_report_the_runs_of_the_network_for_each_text(
    name, way, data, monkeypatch
):
    model = new(name)
    runs = watched(model.net, monkeypatch)
    options = dict(model.decodings[way])
    row = evaluate.decoding_metrics(model, data, way, options, steps=6, n=5, batch_size=2)
    assert {k: row[k] for k in ("calls", "positions")} == per_text(runs, 5)
    assert max(B for B, _ in runs) == 2


@presets
def test_compare_reports_the_runs_of_the_network_for_each_text(name, monkeypatch):
    model = new(name)
    runs = watched(model.net, monkeypatch)
    speed = evaluate.generation_speed(model, 12, generator(), steps=5, repeats=2)
    assert dict(calls=speed.calls, positions=speed.positions) == per_text(runs, 3)


@each_way
def test_the_demo_and_the_race_report_the_runs_of_the_network(name, way, data, monkeypatch):
    model = new(name)
    runs = watched(model.net, monkeypatch)
    model.sample(1, 1, generator(), steps=1)  # as `record` does before it counts
    before, template = len(runs), model.template(32)
    options = dict(model.decodings[way])
    run = animation.record(name, model, data.tokenizer, template, generator(), steps=6, **options)
    last = run.frames[-1]
    assert dict(calls=last.calls, positions=last.positions) == per_text(runs[2 * before :], 1)


@pytest.mark.parametrize("name", ["diffusion", "block"])
def test_a_text_is_charged_for_the_steps_that_reveal_something_of_it(name):
    """As its states say, which know nothing of calls."""
    model, L, steps = new(name), 32, 24
    canvas, known = model.canvas(model.template(L), 40)
    with evaluate.counting(model) as counted, torch.no_grad():
        states = torch.stack([*model.trajectory(canvas, known, generator(), steps=steps)])
    revealing = (states[1:] != states[:-1]).any(-1).sum().item()
    assert counted.rows == revealing < 40 * (len(states) - 1)
    assert counted.positions == L * revealing


def test_a_network_without_a_memory_of_the_past_computes_the_whole_text_in_every_call():
    class Uncached(nn.Module):
        def __init__(self, net):
            super().__init__()
            self.net, self.max_length = net, net.max_length

        def forward(self, z, t=None):
            return self.net(z, t)

    model = new("ar")
    model.net = Uncached(model.net)
    speed = evaluate.generation_speed(model, 12, generator())
    assert (speed.calls, speed.positions) == (12, 12 * 13 / 2)


def test_what_is_reported_is_a_mean_over_texts_and_not_over_batches():
    counted = CountingNetwork(nn.Identity())
    counted.net.forward = lambda z, t=None: z
    for n in 3, 3, 1:
        counted(torch.zeros(n, 8))
    assert counted.calls == 3 and counted.per_text(3) == dict(calls=7 / 3, positions=7 * 8 / 3)


# In a page: how often each sampler runs its network, and what its frames say.
RUNS = """
const V = 32, L = 32, text = new Array(L).fill(V), random = kit.random(given.seed);
let calls = 0, positions = 0;
const run = (z) => {
  calls += 1;
  positions += z.length;
  return new Float64Array(z.length * (V + 1)).map(() => random());
};
const net = { logits: run, fresh: () => [] }, model = { net, V, blockLength: 8 };
const said = { calls: 0, positions: 0 };
for (const frame of SAMPLERS[given.name](model, text, { steps: 24, temperature: 1, random })) {
  said.positions += frame.positions;
  said.calls += frame.positions > 0; // as worker.js counts
}
say([said, { calls, positions }]);
"""


@needs_node
@pytest.mark.parametrize("name", HOW)
def test_the_race_in_a_page_reports_the_runs_of_its_networks(name, node):  # noqa: F811
    for seed in range(3):
        said, watched = node(RUNS, name=name, seed=seed)
        assert said == watched and said["calls"] > 0
