"""The ruler is right: what it reports is what can be worked out by hand."""

import inspect
import json
import math
from contextlib import contextmanager
from functools import cache
from types import SimpleNamespace

import pytest
import torch
from helpers import LENGTH, TINY, generator, perturb_, presets, unknown
from torch import nn

from nanoparadigm import PRESETS, InputError, build, corpora, evaluate, parameters, tokenizers
from nanoparadigm.evaluate import comparison, cost, likelihood
from nanoparadigm.evaluate.comparison import measure
from nanoparadigm.evaluate.cost import CountingNetwork, generation_speed
from nanoparadigm.evaluate.likelihood import Estimate, accuracy, bits_per_character, nats_per_token
from nanoparadigm.evaluate.tables import table
from nanoparadigm.show import animation


def of_text(kind):
    """A corpus whose validation split ends in the middle of a window, with é, of two bytes."""
    train = "the cat sat on the café mat and the cat ate the hat\n" * 4
    corpus = corpora.Corpus("cats", train, "the cat at the café sat on a mat and a hat\n" * 2)
    tokenizer = tokenizers.build(kind, corpus, 270)
    data = corpora.TokenizedCorpus(corpus, tokenizer, LENGTH)
    assert len(data.validation) == 2
    return data


def new(data, name):
    """A model none of whose weights is zero, so that its predictions depend on what it reads."""
    return perturb_(build(name, data.tokenizer.vocab_size, **TINY), 0.2)


@pytest.fixture(scope="module", params=["char", "bpe"])
def data(request):
    return of_text(request.param)


def student(n):
    """What Student's t makes of an error that n values say of themselves."""
    return 1 + 1.25 / (n - 1) + 1.53 / (n - 1) ** 2


class Priced(nn.Module):
    """A model that charges (i + 1) nats a token for the i-th window it is shown."""

    device = torch.device("cpu")

    def __init__(self):
        super().__init__()
        self.shown = []

    def nll_bound(self, x, generator, num_samples):
        first = len(self.shown)
        self.shown += x.tolist()
        return x.shape[1] * torch.arange(first + 1, first + len(x) + 1)


def test_every_token_of_the_validation_split_is_paid_for_once(data):
    model = Priced()
    estimate = nats_per_token(model, data, None, batch_size=3)
    assert sum(model.shown, []) == data.tokenizer.encode(data.corpus.validation)
    *full, tail = model.shown
    price = sum(LENGTH * (i + 1) for i in range(len(full))) + len(tail) * (len(full) + 1)
    assert estimate.mean == pytest.approx(price / (LENGTH * len(full) + len(tail)))
    spread = torch.arange(1.0, len(full) + 1).std().item()
    assert len(full) < 16  # too few for pairs
    assert estimate.se == pytest.approx(spread / len(full) ** 0.5 * student(len(full)))


def test_a_share_of_the_windows_is_spread_over_the_split(data):
    full = data.validation[0].tolist()
    for n in range(2, len(full)):
        model = Priced()
        nats_per_token(model, data, None, max_windows=n)
        places = [full.index(window) for window in model.shown]
        assert len(places) == n and places == sorted(set(places))
        assert (places[0], places[-1]) == (0, len(full) - 1)
    model = Priced()
    nats_per_token(model, data, None, max_windows=len(full))
    assert len(model.shown) == len(full) + 1


def test_one_bit_a_token_is_tokens_over_characters_in_bits_a_character(data):
    nats = Estimate(math.log(2), math.log(4))
    tokens = len(data.tokenizer.encode(data.corpus.validation))
    bits = bits_per_character(nats, data)
    assert bits.mean == pytest.approx(tokens / len(data.corpus.validation))
    assert bits.se == pytest.approx(2 * tokens / len(data.corpus.validation))


@pytest.mark.parametrize("name", ["ar", "mamba", "mamba2"])
def test_bits_per_character_by_hand(name, data):
    """Token after token through the recurrent form, softmax and logarithm spelled out."""
    model = new(data, name).requires_grad_(False)
    tokens = data.tokenizer.encode(data.corpus.validation)
    bits = 0.0
    for start in range(0, len(tokens), LENGTH):
        state, last = model.net.init_state(1), model.bos_id
        for token in tokens[start : start + LENGTH]:
            logits, state = model.net.step(torch.tensor([[last]]), state)
            p = logits[0, 0, : model.vocab_size].double().exp()
            bits -= math.log2(p[token] / p.sum())
            last = token
    expected = bits / len(data.corpus.validation)
    measured = bits_per_character(nats_per_token(model, data, generator()), data)
    assert measured.mean == pytest.approx(expected, rel=1e-5)


@presets
def test_the_noise_is_the_seed_and_nothing_else(name):
    data = of_text("char")
    model = new(data, name)
    first, again, other = (measure(model, data, seed, num_samples=2) for seed in (0, 0, 1))
    for numbers in (first, again, other):
        assert numbers.pop("speed")["tokens_per_second"] > 0
    assert first == again
    assert (first["nats_per_token"] == other["nats_per_token"]) == model.exact


@presets
def test_measuring_changes_nothing_and_fits_in_json(name):
    data = of_text("char")
    model = new(data, name)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    net, state = model.net, torch.get_rng_state()
    numbers = measure(model, data, num_samples=1)
    assert json.loads(json.dumps(numbers)) == numbers
    assert numbers["exact"] == PRESETS[name].paradigm.exact
    assert numbers["parameters"] == sum(v.numel() for v in before.values())
    after = model.state_dict()
    assert model.net is net and all(torch.equal(before[k], after[k]) for k in after)
    assert torch.equal(torch.get_rng_state(), state)
    assert not any(p.grad is not None for p in model.parameters())


def test_what_grows_with_the_vocabulary_is_asked_of_small_ones_only(monkeypatch):
    data = of_text("char")
    ids = data.tokenizer.vocab_size
    for most, answers in (ids, True), (ids - 1, False):
        monkeypatch.setattr(comparison, "MAX_CANDIDATES", most)
        for name in "ar", "diffusion":
            row = measure(new(data, name), data, num_samples=1)
            assert (row["reverse"] is not None) == (answers or name == "diffusion")
            assert table([row | dict(name=name, tokens=1)])


def test_of_a_very_long_text_the_baselines_count_the_beginning(monkeypatch):
    data = of_text("char")
    monkeypatch.setattr(comparison, "MAX_COUNTED_TOKENS", 50)
    some = evaluate.baselines(data)
    data.train = data.train[:50]
    assert some == evaluate.baselines(data)
    assert some[-1]["tokens"] == 50


class Knowing(nn.Module):
    """A model that gets the token at `position` right in every window whose number divides by n."""

    device = torch.device("cpu")

    def __init__(self, windows, position, n):
        super().__init__()
        self.windows, self.position, self.n = windows.tolist(), position, n

    def conditional(self, x, i, generator):
        scores = torch.zeros(len(x), 300)
        for row, window in zip(scores, x.tolist(), strict=True):
            right = self.windows.index(window) % self.n == 0
            row[window[i] if right and i == self.position else 299] = 1.0
        return scores


@pytest.mark.parametrize("position", [0, -1])
@pytest.mark.parametrize("n", [1, 2, 3])
def test_accuracy_counts_what_is_right(position, n, data):
    windows = data.validation[0]
    model = Knowing(windows, position, n)
    right = len(range(0, len(windows), n)) / len(windows)
    estimate = accuracy(model, data, position, None, batch_size=2)
    assert estimate.mean == pytest.approx(right)
    scale = len(windows) / (len(windows) - 1)
    error = (scale * right * (1 - right) / len(windows)) ** 0.5
    assert estimate.se == pytest.approx(error * student(len(windows)))
    assert accuracy(model, data, -1 - position, None).mean == 0


@presets
def test_accuracy_does_not_peek(name):
    """Nothing about the token asked for reaches the model: other tokens there, same answer."""
    data = of_text("char")
    model = new(data, name).eval()
    for position in (0, -1):
        x = data.validation[0].clone()
        answers = []
        for _ in range(2):
            answers.append(model.conditional(x, position, generator()))
            x[:, position] = (x[:, position] + 1) % model.vocab_size
        torch.testing.assert_close(*answers)


@pytest.mark.parametrize(
    "name, calls, positions",
    [("ar", LENGTH, LENGTH), ("mamba", LENGTH, LENGTH), ("flow", 20, 20 * LENGTH)],
)
def test_the_cost_of_a_text_is_counted(name, calls, positions):
    speed = generation_speed(new(of_text("char"), name), LENGTH, generator(), steps=20)
    assert (speed.calls, speed.positions) == (calls, positions)


def test_diffusion_calls_its_network_only_when_something_is_revealed():
    model = new(of_text("char"), "diffusion")
    one = generation_speed(model, LENGTH, generator(), steps=1)
    assert (one.calls, one.positions) == (1, LENGTH)
    many = generation_speed(model, LENGTH, generator(), steps=1000)
    assert many.calls <= LENGTH and many.positions == many.calls * LENGTH


@presets
def test_the_network_is_put_back_whatever_happens(name):
    model = new(of_text("char"), name)
    net = model.net
    with pytest.raises(TypeError):
        generation_speed(model, LENGTH, generator(), steps="many")
        model.sample(1, None, generator())
    assert model.net is net and not isinstance(net, CountingNetwork)


def test_an_estimate_is_a_mean_with_its_standard_error():
    values = torch.randn(50, generator=generator(), dtype=torch.float64)
    estimate = Estimate.of(values)
    assert estimate.mean == pytest.approx(values.sum().item() / 50)
    squares = ((values - values.mean()) ** 2).sum().item()
    assert estimate.se == pytest.approx((squares / 49 / 50) ** 0.5)
    assert math.isnan(Estimate.of(values[:1]).se)


def test_the_table_has_a_row_for_each_model_and_its_columns_are_straight():
    data = of_text("char")
    rows = [
        dict(
            name=f"runs/{'x' * i}{name}",
            tokens=10**i,
            **measure(new(data, name), data, num_samples=1),
        )
        for i, name in enumerate(PRESETS)
    ]
    head, rule, *lines = table(rows).splitlines()
    assert len({len(line) for line in (head, rule, *lines)}) == 1
    assert {*rule} == {*"|-: "}
    for row, line in zip(rows, lines, strict=True):
        name, bits, speed, calls, positions, forward, _, size, tokens = (
            cell.strip() for cell in line.strip("|").split("|")
        )
        assert name == row["name"]
        sign, mean, _, se = bits.split()
        assert sign == ("=" if row["exact"] else "<=")
        assert float(mean) == pytest.approx(row["bits_per_character"]["mean"], abs=5e-4)
        assert float(se) == pytest.approx(row["bits_per_character"]["se"], abs=5e-4)
        assert forward.startswith(f"{100 * row['forward']['mean']:.1f} ± ")
        numbers = [round(row["speed"][k]) for k in ("calls", "positions")] + [row["parameters"]]
        shown = [int(cell.replace(",", "")) for cell in (calls, positions, size, tokens)]
        assert shown == [*numbers, row["tokens"]]
        assert int(speed.replace(",", "")) == round(row["speed"]["tokens_per_second"])


# --------------------------------------------------------------------- the time, told to the ruler


@contextmanager
def stopwatch(model, seconds):
    """While it lasts the clock stands still, but for the seconds that each text takes."""
    now, left, sample = [0.0], iter(seconds), model.sample

    def timed(*given, **options):
        now[0] += next(left)
        return sample(*given, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(model, "sample", timed)
        patch.setattr(cost, "time", SimpleNamespace(perf_counter=lambda: now[0]))
        yield


@presets
def test_the_speed_is_the_tokens_of_a_text_over_the_median_of_the_times(name):
    """Of the three after the first, which only wakes the machine; and it is tokens that count, not
    the positions that were computed for them."""
    model = new(of_text("char"), name)
    for repeats, seconds in (3, [100, 1, 8, 2]), (5, [0.1, 9, 1, 7, 4, 3]):
        with stopwatch(model, seconds):
            speed = generation_speed(model, 6, generator(), steps=3, repeats=repeats)
        assert speed.tokens_per_second == pytest.approx(6 / sorted(seconds[1:])[repeats // 2])


# ----------------------------------------------------------------------- what is asked of a model

MEASURES = {
    "window_nats": lambda model, data: [
        nats.tolist() for _, nats in evaluate.window_nats(model, data, generator(), max_windows=5)
    ],
    "accuracy": lambda model, data: accuracy(model, data, 0, generator(), n=30),
    "ground_truth_metrics": lambda model, data: evaluate.ground_truth_metrics(
        model, data, [(data.validation[0][:3], torch.zeros(3))], generator(), steps=3, n=4
    ),
    "decoding_metrics": lambda model, data: evaluate.decoding_metrics(
        model, data, "so", {}, steps=3, n=4
    ),
    "generation_speed": lambda model, data: written_by(model, data.length),
}


def written_by(model, length):
    """The texts that the measurement of the speed has a model write."""
    texts, sample = [], model.sample

    def note(*given, **options):
        texts.append(sample(*given, **options).tolist())

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(model, "sample", note)
        generation_speed(model, length, generator(), steps=3)
    return texts


@cache
def of_words():
    """The built-in language, of which some measurements are."""
    corpus = corpora.load("language")
    return corpora.TokenizedCorpus(corpus, tokenizers.build("word", corpus), corpus.sequence_length)


@pytest.mark.parametrize("what", MEASURES)
def test_nothing_is_dropped_where_it_is_measured(what):
    """A model with dropout that comes from its training gives what it gives at rest."""
    words = of_words()
    for name in "ar", "flow":
        sizes = {**TINY, "block_size": words.length, "dropout": 0.7}
        model = perturb_(build(name, words.tokenizer.vocab_size, **sizes), 0.2)
        found = [MEASURES[what](model.train(mode), words) for mode in (False, True)]
        assert found[0] == found[1]


def test_accuracy_is_asked_of_windows_spread_over_the_split(data):
    full = data.validation[0].tolist()

    class Asked(nn.Module):
        device, seen = torch.device("cpu"), []

        def conditional(self, x, i, generator):
            self.seen += x.tolist()
            return torch.zeros(len(x), 300)

    for n in (2, 5, 7, len(full) + 9):
        Asked.seen = []
        accuracy(Asked(), data, 0, None, n=n, batch_size=3)
        n = min(n, len(full))
        even = [(len(full) - 1) * k / (n - 1) for k in range(n)]
        for window, place in zip(Asked.seen, even, strict=True):
            assert abs(full.index(window) - place) <= 0.5


def test_what_measure_is_asked_reaches_what_measures(monkeypatch):
    """Each number is another, and all noise is of that seed."""
    data, asked = of_text("char"), {}
    model = new(data, "diffusion")

    def noted(name, gives):
        function = getattr(comparison, name)

        def note(*given, **options):
            bound = inspect.signature(function).bind(*given, **options)
            bound.apply_defaults()
            asked.setdefault(name, []).append(bound.arguments)
            return gives

        monkeypatch.setattr(comparison, name, note)

    nats = torch.tensor([1.0, 3.0], dtype=torch.float64) * LENGTH
    windows = [(data.validation[0][:2], nats)]
    noted("window_nats", windows)
    noted("accuracy", Estimate(0.5, 0.1))
    noted("generation_speed", evaluate.Speed(1.0, 2, 3))
    noted("ground_truth_metrics", {"excess": 4})
    data.truth = "a language"
    row = measure(model, data, seed=3, num_samples=5, max_windows=7, steps=9)
    (bound,), (speed,), (truth,) = (
        asked[name] for name in ("window_nats", "generation_speed", "ground_truth_metrics")
    )
    assert (bound["num_samples"], bound["max_windows"]) == (5, 7)
    assert (speed["length"], speed["steps"]) == (LENGTH, 9)
    assert truth["steps"] == 9 and truth["windows"] is windows
    assert [call["position"] for call in asked["accuracy"]] == [-1, 0]
    assert {call["generator"].initial_seed() for calls in asked.values() for call in calls} == {3}
    assert row["nats_per_token"]["mean"] == pytest.approx(2.0)
    bits = math.log(2) * data.characters_per_token
    expected = {name: nats / bits for name, nats in row["nats_per_token"].items()}
    assert row["bits_per_character"] == pytest.approx(expected)
    assert row["speed"] == dict(tokens_per_second=1.0, calls=2, positions=3)
    assert row["truth"] == {"excess": 4} and row["parameters"] == parameters(model)


def test_as_many_draws_as_are_asked_for_are_taken(data):
    class Drawn(Priced):
        def nll_bound(self, x, generator, num_samples):
            return torch.full((len(x),), float(num_samples * x.shape[1]))

    for draws in (1, 5):
        assert nats_per_token(Drawn(), data, None, num_samples=draws).mean == pytest.approx(draws)


def test_a_network_is_given_as_many_texts_as_its_logits_allow(monkeypatch):
    monkeypatch.setattr(likelihood, "MAX_LOGITS", 1000)
    found = [
        evaluate.micro_batch_size(V, L, 12) for V, L in ((10, 10), (9, 10), (10, 20), (100, 11))
    ]
    assert found == [10, 11, 5, 1]
    assert evaluate.micro_batch_size(2, 10, 12) == 12


# ------------------------------------------------------------------------------ what is not known


@pytest.mark.parametrize("mean, se, shown", [
    (1.25, 0.5, "<= +1.25 ± 0.50 %"), (1.25, math.nan, "<= +1.25 %"), (1.25, None, "<= +1.25 %"),
    (math.nan, 0.5, ""), (None, None, ""), (math.nan, math.nan, ""),
])  # fmt: skip
def test_what_is_not_known_of_a_number_is_left_out(mean, se, shown):
    number = dict(mean=mean, se=se)
    assert evaluate.with_error(number, "+.2f", before="<= ", after=" %") == shown
    assert evaluate.with_error(mean, "+.2f") == ("" if shown == "" else "+1.25")


@pytest.mark.parametrize("lost", ["errors", "all"])
def test_tables_of_what_is_not_known_say_nothing_of_it(lost):
    """Not even of a single window, which has no error: no table holds a nan."""
    text = corpora.load("language")
    data = corpora.TokenizedCorpus(text, tokenizers.build("word", text), text.sequence_length)
    sizes = TINY | dict(block_size=data.length)
    model = perturb_(build("flow", data.tokenizer.vocab_size, **sizes), 0.2)
    rows = [dict(name=n, tokens=9, **measure(model, data, 0, 1, 1, steps=2)) for n in "ab"]
    ways = [evaluate.decoding_metrics(model, data, "plain", {}, steps=2, n=1)]
    if lost == "all":
        rows, ways = unknown(rows), unknown(ways)
    evaluate.add_differences(rows, data)
    tables = [table(rows), evaluate.truth_table(rows), evaluate.decoding_table(ways)]
    assert all("nan" not in said and "± |" not in said for said in tables)
    bits = table(rows).splitlines()[2].split("|")[2].strip()
    assert bits == ("" if lost == "all" else f"<= {rows[0]['bits_per_character']['mean']:.3f}")


@presets
def test_a_network_that_has_diverged_neither_writes_nor_is_measured(name):
    data = of_text("char")
    model = new(data, name)
    with torch.no_grad():
        [*model.parameters()][-1].view(-1)[-1] = math.nan
    tasks = [
        lambda: model.sample(1, 3, generator(), steps=2),
        lambda: model.infill(1, [1], [2], 2, generator()),
        lambda: animation.record(name, model, data.tokenizer, [model.mask_id] * 3, generator()),
        lambda: measure(model, data, num_samples=1),
        lambda: nats_per_token(model, data, generator()),
    ]
    for task in tasks:
        with pytest.raises(InputError, match="^the network's weights are not all finite numbers"):
            task()
