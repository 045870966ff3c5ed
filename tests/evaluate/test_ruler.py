"""The ruler itself: honest standard errors, and the truth measured against itself."""

import math
from collections import Counter, defaultdict
from dataclasses import replace
from functools import cache
from types import SimpleNamespace

import pytest
import torch
from helpers import TINY, Table, generator

from nanoparadigm import PRESETS, build, corpora, evaluate, tokenizers
from nanoparadigm.language import KINDS, LENGTH, Automaton, language, oracle, tiny
from nanoparadigm.paradigms import Autoregressive, DiscreteFlow, MaskedDiffusion


@pytest.mark.parametrize("kind", [Autoregressive, MaskedDiffusion, DiscreteFlow])
def test_the_standard_error_is_honest(kind):
    """Over 200 evaluations of fresh texts, the exact value lies within two standard errors in 90 to
    99 % of them: the noise of the bound and the choice of texts are both in the error."""
    automaton, L = tiny(), 5
    model, truth = oracle(kind, automaton), automaton.entropy(L) / L
    texts, noise, inside = generator(1), generator(2), 0
    known = dict(length=L, tokenizer=SimpleNamespace(vocab_size=automaton.V), aligned=True)
    for _ in range(200):
        data = SimpleNamespace(validation=[automaton.sample(150, L, texts)], **known)
        estimate = evaluate.nats_per_token(model, data, noise, num_samples=4, batch_size=150)
        inside += abs(estimate.mean - truth) <= 2 * estimate.se
    assert 180 <= inside <= 198


def changing_texts(n, length, stay, generator):
    """A text of n windows whose subject, one of three, stays with that probability from window to
    window; the chance of each of four words depends on it. Returns windows (n, length)."""
    chances = torch.tensor([[7, 1, 1, 1], [2, 4, 2, 2], [1, 1, 2, 6]], dtype=torch.float64) / 10
    subject = torch.randint(3, (n,), generator=generator)
    moves = torch.rand(n, generator=generator) > stay
    for i in range(1, n):
        if not moves[i]:
            subject[i] = subject[i - 1]
    return chances[subject].multinomial(length, True, generator=generator), chances


def test_the_standard_error_is_honest_for_a_text_that_changes_slowly():
    """Two errors cover the truth in 90 to 99 of a hundred texts, of one model and of the difference
    between two; those that take every window for independent do in fewer than two of three."""
    n, L, texts, away = 400, 16, generator(1), torch.tensor([0.5, 0.2, 0.2, 0.1])
    models = [Autoregressive(Table(p.log()), 4) for p in (away, torch.tensor([0.2, 0.2, 0.2, 0.4]))]
    inside = dict.fromkeys(["one", "difference", "one, naive", "difference, naive"], 0)
    for _ in range(200):
        x, chances = changing_texts(n, L, 0.9, texts)
        data = SimpleNamespace(
            validation=[x], length=L, tokenizer=SimpleNamespace(vocab_size=4), aligned=False,
            characters_per_token=1 / math.log(2),
        )  # fmt: skip
        rows = []
        for i, model in enumerate(models):
            windows = evaluate.window_nats(model, data, None)
            nats = evaluate.per_token(windows, data)
            rows.append(
                dict(
                    name=f"{i}", exact=True, windows=(windows[0][1] / L).tolist(), truth=0,
                    bits_per_character=vars(evaluate.bits_per_character(nats, data)),
                )
            )  # fmt: skip
        first, second = (torch.tensor(row["windows"]) for row in rows)
        naive = evaluate.Estimate.of(first), evaluate.Estimate.of(second - first)
        evaluate.add_differences(rows, data)
        one = evaluate.nats_per_token(models[0], data, None)
        two = rows[1]["difference"]
        p = chances.mean(0)
        truth = [-(p * m.net.logits.log_softmax(-1)).sum().item() for m in models]
        for name, mean, se, true in (
            ("one", one.mean, one.se, truth[0]),
            ("difference", two["mean"], two["se"], truth[1] - truth[0]),
            ("one, naive", naive[0].mean, naive[0].se, truth[0]),
            ("difference, naive", naive[1].mean, naive[1].se, truth[1] - truth[0]),
        ):
            inside[name] += abs(mean - true) <= 2 * se
    assert 180 <= inside["one"] <= 198 and 180 <= inside["difference"] <= 198, inside
    assert inside["one, naive"] < 133 and inside["difference, naive"] < 133, inside


def test_the_error_of_a_text_is_worked_by_hand():
    """16 values: the windows themselves, pairs, and no longer blocks, of which there would be 4
    (and their error larger). The pairs decide, with Student's t at seven degrees of freedom."""
    pairs = torch.tensor([1.0, 2.0, 1.0, 2.0, 5.0, 6.0, 5.0, 6.0], dtype=torch.float64)
    values = pairs.repeat_interleave(2)
    spread = ((pairs - 3.5) ** 2).sum() / 7
    by_hand = (spread / 8) ** 0.5 * (1 + 1.25 / 7 + 1.53 / 49)
    found = evaluate.Estimate.of_text(values)
    assert found.mean == 3.5 and found.se == pytest.approx(by_hand.item(), rel=1e-12)
    # a t of two errors leaves as little outside as a normal does: 2.43 with seven degrees
    assert 2 * (1 + 1.25 / 7 + 1.53 / 49) == pytest.approx(2.429, abs=0.01)


def test_long_blocks_see_what_changes_slowly():
    """Of 256 windows, in two halves that differ by 2: as blocks double, the error grows as the root
    of their length, up to the longest of which there are eight."""
    values = torch.cat([torch.zeros(128), torch.full((128,), 2.0)])
    blocks = torch.tensor([0.0] * 4 + [2.0] * 4, dtype=torch.float64)
    by_hand = blocks.std() / 8**0.5 * (1 + 1.25 / 7 + 1.53 / 49)
    assert evaluate.Estimate.of_text(values).se == pytest.approx(by_hand.item(), rel=1e-12)


def row_of(name, exact, nats):
    """What `add_differences` reads of a row, where a bit per character is log 2 nats per token."""
    bits = dict(mean=sum(nats) / len(nats) / math.log(2))
    return dict(name=name, exact=exact, windows=nats, bits_per_character=bits)


def test_a_difference_is_paired_and_has_its_sign():
    """Worked by hand: windows that differ by 2, 4, 2, 4, ... nats, whatever they have in common."""
    data = SimpleNamespace(aligned=True, characters_per_token=1)
    common = [10.0, 3.0, 7.0, 1.0] * 4
    more = [c + d for c, d in zip(common, [2.0, 4.0] * 8, strict=True)]
    rows = [row_of("a", True, common), row_of("b", False, more), row_of("c", True, common[:5])]
    evaluate.add_differences(rows, data)
    assert not any("windows" in row for row in rows)
    assert "difference" not in rows[0] and "difference" not in rows[2]
    found = rows[1]["difference"]
    assert (found["other"], found["sign"]) == ("a", "<= ")
    assert found["mean"] == pytest.approx(3 / math.log(2))
    assert found["se"] == pytest.approx((16 / 15) ** 0.5 / 4 / math.log(2))
    rows = [row_of("a", False, more), row_of("b", False, more), row_of("c", True, common)]
    evaluate.add_differences(rows, data)
    assert [row["difference"]["sign"] for row in rows[1:]] == ["", ">= "]
    assert rows[2]["difference"]["mean"] == pytest.approx(-3 / math.log(2))


def test_sequences_that_are_independent_count_one_by_one():
    values = torch.cat([torch.zeros(128), torch.full((128,), 2.0)])
    for independent, estimate in (True, evaluate.Estimate.of), (False, evaluate.Estimate.of_text):
        assert evaluate.of_windows(independent)(values) == estimate(values)


def test_the_truth_is_known_in_its_own_words_alone():
    corpus = corpora.load("language")
    train, validation = (
        " ".join(text.split()[: 200 * LENGTH]) for text in (corpus.train, corpus.validation)
    )
    short = replace(corpus, train=train, validation=validation)
    for kind in "word", "char", "bpe":
        tokenizer = tokenizers.build(kind, short, 300)
        data = corpora.TokenizedCorpus(short, tokenizer, LENGTH)
        assert data.aligned == (kind == "word")
        assert data.truth is (corpus.truth if kind == "word" else None)


def test_the_error_of_a_text_is_never_below_the_naive_one():
    g = generator()
    for n in (2, 3, 15, 16, 100, 871):
        for values in (torch.randn(n, generator=g), torch.arange(n).float(), torch.ones(n)):
            of, of_text = evaluate.Estimate.of(values), evaluate.Estimate.of_text(values)
            assert of_text.mean == of.mean and of_text.se >= of.se
    assert math.isnan(evaluate.Estimate.of_text(torch.ones(1)).se)


@pytest.fixture(scope="module")
def data():
    corpus = corpora.load("language")
    tokenizer = tokenizers.build("word", corpus, 0)
    data = corpora.TokenizedCorpus(corpus, tokenizer, LENGTH)
    data.validation = [data.validation[0][:200]]
    return data


@pytest.mark.parametrize("kind", [Autoregressive, MaskedDiffusion])
def test_the_truth_has_no_excess_and_makes_no_mistakes(kind, data):
    model = oracle(kind, data.corpus.truth)
    windows = evaluate.window_nats(model, data, generator(), num_samples=4)
    row = evaluate.ground_truth_metrics(model, data, windows, generator(), steps=LENGTH * 8, n=64)
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


def test_the_language_is_as_varied_as_its_entropy_and_diverges_from_nothing():
    truth = language()
    texts = truth.sample(4000, LENGTH, generator())
    found = evaluate.sample_diversity(texts, truth)
    true = truth.entropy(LENGTH) / LENGTH
    assert abs(found["entropy"]["mean"] - true) < 4 * found["entropy"]["se"] + 1e-3
    assert -1e-3 < found["divergence"]["mean"] < 3e-3  # what the slips cost


def test_the_divergence_of_a_writer_whose_law_is_known_is_found():
    """Words of the language, with mistakes, from an automaton over the same states."""
    truth = language()
    writer = Automaton(truth.words, 0.97 * truth.P + 0.03 / truth.V, truth.successor)
    texts = writer.sample(4000, LENGTH, generator())
    true = (writer.log_prob(texts) - truth.log_prob(texts, evaluate.SLIP)).mean() / LENGTH
    found = evaluate.sample_diversity(texts, truth)
    assert true > 0.05 and abs(found["divergence"]["mean"] - true) < 0.005


def test_a_writer_of_one_text_is_not_varied():
    """However good the text is, and however often it is written."""
    truth = language()
    text = truth.sample(1, LENGTH, generator()).expand(500, -1)
    found = evaluate.sample_diversity(text, truth)
    assert found["entropy"]["mean"] < 0.5 and found["divergence"]["mean"] > 0.5
    assert evaluate.sample_quality(text, truth)["ungrammatical"]["mean"] == 0


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
        row = evaluate.decoding_metrics(model, data, "so", options, n=10, batch_size=4)
        assert (row["calls"], row["positions"]) == (calls, positions)
        assert row == evaluate.decoding_metrics(model, data, "so", options, n=10, batch_size=4)


# ----------------------------------------------------------------- numbers that are known otherwise

PARADIGMS = list(dict.fromkeys(preset.paradigm for preset in PRESETS.values()))
TEXTS = {
    "la a hen runs . a cow eats": {},
    "la a hen swims . a cows eats": {"topic": 1, "agreement": 1},
    "lo a hen run lo some cow eat": {"agreement": 2},
    "la a a hen run lo some cows": {"order": 1, "agreement": 1, "echo": 1},
    "lo some bats soar lo a crow sings": {},
}
"""texts of eight words, and their mistakes"""


def spoken():
    words = language().words
    return torch.tensor([[words.index(word) for word in text.split()] for text in TEXTS])


def price(text, slip):
    """-log p of a text of ids, nats a word, walked state by state."""
    truth, state, nats = language(), 0, 0.0
    for word in text:
        nats -= math.log((1 - slip) * truth.P[state, word].item() + slip / truth.V)
        state = truth.successor[state, word].item()
    return nats / len(text)


def mean_and_error(values):
    mean = sum(values) / len(values)
    spread = sum((v - mean) ** 2 for v in values) / (len(values) - 1)
    return pytest.approx(dict(mean=mean, se=(spread / len(values)) ** 0.5))


@cache
def held_out():
    """The validation split of the built-in language, text by text."""
    tokenizer = tokenizers.WordTokenizer(language().words)
    return corpora.load("language").tokens(tokenizer).validation.view(-1, LENGTH)


def known_language(texts):
    """A TokenizedCorpus whose texts (n, L) are of the language."""
    return SimpleNamespace(
        truth=language(),
        aligned=True,
        tokenizer=SimpleNamespace(vocab_size=32),
        length=texts.shape[1],
        validation=[texts],
        characters_per_token=3.0,
    )


@pytest.mark.parametrize("kind", PARADIGMS)
def test_with_the_exact_posterior_all_are_right_as_often_in_both_directions(kind):
    """As often as Bayes over the 32 texts that differ in one word, which is not the same forward
    and in reverse; whatever `measure` is asked besides."""
    truth, data = language(), known_language(held_out()[:300])
    data.truth = None
    row = evaluate.measure(oracle(kind, truth), data, num_samples=1, max_windows=2, steps=2)
    asked = [round(k * 299 / 199) for k in range(200)]
    rates = []
    for way, place in ("forward", LENGTH - 1), ("reverse", 0):
        right = []
        for x in data.validation[0][asked]:
            texts = x.repeat(truth.V, 1)
            texts[:, place] = torch.arange(truth.V)
            right.append(float(truth.log_prob(texts).argmax() == x[place]))
        assert row[way] == mean_and_error(right)
        rates.append(sum(right) / len(right))
    assert rates[1] - rates[0] > 0.2


def test_texts_are_worth_what_their_mistakes_and_their_words_say():
    found = evaluate.sample_quality(spoken(), language())
    assert found["ungrammatical"] == mean_and_error([float(bool(m)) for m in TEXTS.values()])
    assert found["mistakes"] == {
        kind: sum(m.get(kind, 0) for m in TEXTS.values()) / len(TEXTS) for kind in KINDS
    }
    prices = [price(text, evaluate.SLIP) for text in spoken().tolist()]
    assert found["surprise"] == mean_and_error(prices)


def naive_variety(texts):
    """With dictionaries, token by token."""
    truth, slip = language(), evaluate.SLIP
    counts, seen = defaultdict(Counter), []
    for text in texts:
        state, row = 0, []
        for word in text:
            event = word if truth.P[state, word] > 0 else "a mistake"
            counts[state][event] += 1
            row.append((state, event))
            state = truth.successor[state, word].item()
        seen.append(row)

    def true(state, event):
        said = (1 - slip) * truth.P[state] + slip / truth.V
        return (said[truth.P[state] == 0].sum() if event == "a mistake" else said[event]).item()

    def counted(state, event):
        return counts[state][event] / sum(counts[state].values())

    entropy = [-sum(math.log(counted(*at)) for at in row) / len(row) for row in seen]
    apart = [sum(math.log(counted(*at) / true(*at)) for at in row) / len(row) for row in seen]
    # Miller and Madow: of a state met n times counting makes the entropy too small by
    # (kinds - 1) / 2n, and n of all tokens are there
    missing = sum((len(c) - 1) / 2 for c in counts.values())
    return entropy, apart, missing / sum(map(len, seen))


def test_variety_is_what_counting_with_dictionaries_says():
    texts = language().sample(40, LENGTH, generator())
    texts[::4, 9] = torch.randint(32, (10,), generator=generator(1))
    entropy, apart, bias = naive_variety(texts.tolist())
    found = evaluate.sample_diversity(texts, language())
    assert bias > 0.01
    found["entropy"]["mean"] -= bias
    found["divergence"]["mean"] += bias
    assert found == {"entropy": mean_and_error(entropy), "divergence": mean_and_error(apart)}


class Writer(torch.nn.Module):
    """A model that writes the texts it was given, one after another, and notes how it was asked.

    For every batch its network is called as often as there were batches, on half of the texts."""

    device = torch.device("cpu")

    def __init__(self, texts):
        super().__init__()
        self.texts, self.asked, self.seeds = texts, [], []
        self.net = torch.nn.Identity()
        self.net.forward = lambda z, t=None: z

    def sample(self, n, length, generator, **options):
        first = sum(n for n, *_ in self.asked)
        self.asked.append((n, length, options))
        self.seeds.append(generator.initial_seed())
        text = self.texts[first : first + n]
        for _ in self.asked:
            self.net(text[: n // 2])
        return text


def test_the_distance_to_the_truth_is_worked_out_from_windows_and_texts():
    texts = spoken()
    data, right, off = known_language(texts), texts[[0, 4]], torch.tensor([0.3, -0.1])
    truth, writer = language(), Writer(texts)
    windows = [(right, (-truth.log_prob(right) + 8 * off).double()), (None, None)]
    row = evaluate.ground_truth_metrics(writer, data, windows, generator(7), steps=3, n=5)
    assert writer.asked == [(5, 8, dict(steps=3))] and writer.seeds == [7]
    assert row.pop("excess") == mean_and_error(off.tolist())
    # the chain rule: each word's entropy in its state, by the chance to be there
    p, entropy = [1.0] + [0.0] * (len(truth.P) - 1), 0.0
    for _ in range(8):
        then = [0.0] * len(p)
        for state, chance in enumerate(p):
            for word, q in enumerate(truth.P[state].tolist() if chance else ()):
                if q:
                    entropy -= chance * q * math.log(q)
                    then[truth.successor[state, word]] += chance * q
        p = then
    assert row.pop("entropy") == pytest.approx(entropy / 8)
    assert row == evaluate.sample_quality(texts, truth)


def test_a_way_of_writing_is_judged_by_all_its_texts_and_charged_for_each():
    """Batches of 2, 2 and 1: one call on a text of the first, two on one of the second."""
    texts, truth = spoken(), language()
    writer, data = Writer(texts), known_language(texts)
    options = dict(temperature=0.7)
    row = evaluate.decoding_metrics(writer, data, "so", options, seed=3, steps=9, n=5, batch_size=2)
    assert writer.asked == [(n, 8, dict(steps=9, temperature=0.7)) for n in (2, 2, 1)]
    assert writer.seeds == [3, 3, 3]
    cost = dict(name="so", options=options, calls=3 / 5, positions=3 * 8 / 5)
    assert row == cost | evaluate.sample_quality(texts, truth) | evaluate.sample_diversity(
        texts, truth
    )
    writer = Writer(texts)
    evaluate.decoding_metrics(writer, data, "so", dict(steps=2), steps=9, n=5)
    assert writer.asked == [(5, 8, dict(steps=2))]  # its own


def test_the_truth_is_judged_by_as_many_texts_as_the_others():
    data, truth = known_language(spoken()), language()
    texts = truth.sample(60, 8, generator(5))
    row = evaluate.decoding_of_language(data, seed=5, n=60)
    found = evaluate.sample_quality(texts, truth) | evaluate.sample_diversity(texts, truth)
    assert row == dict(name="the truth") | found


def test_the_lines_to_hold_a_curve_against():
    truth = SimpleNamespace(
        entropy=lambda length: 7.0 * length, k_gram_entropy=lambda k, length: 10.0 * k + length / 64
    )
    data = SimpleNamespace(truth=truth, length=32)
    lines = {"memory of 1": 10.5, "memory of 3": 30.5, "memory of 5": 50.5, "entropy": 7.0}
    assert evaluate.reference_levels(data, None) == lines
    data.truth = None
    names = ["uniform", "1-gram", "3-gram", "5-gram", "5-gram, no windows"]
    rows = [dict(name=n, nats_per_token=dict(mean=i, se=9)) for i, n in enumerate(names)]
    assert evaluate.reference_levels(data, rows) == {"1-gram": 1, "3-gram": 2, "5-gram": 3}


# ------------------------------------------------------------------------------- what a table shows


def cells(table):
    """The rows of a Markdown table, head -> cell."""
    head, _, *lines = [[c.strip() for c in t.strip("|").split("|")] for t in table.splitlines()]
    return [dict(zip(head, line, strict=True)) for line in lines]


def number(n):
    """An estimate that no other looks like."""
    return dict(mean=n + 0.1234, se=n + 0.5678)


def test_every_number_of_a_model_stands_in_its_column():
    row = dict(name="it", exact=False, bits_per_character=number(1), parameters=9_001, tokens=8_002)
    row |= dict(forward=number(0.2), reverse=number(0.4))
    row["speed"] = dict(tokens_per_second=7_003.4, calls=6_004, positions=5_005)
    expected = {
        "model": "it",
        "bits per character": "<= 1.123 ± 1.568",
        "tokens/s": "7,003",
        "network calls": "6,004",
        "positions computed": "5,005",
        "forward accuracy": "32.3 ± 76.8 %",
        "reverse accuracy": "52.3 ± 96.8 %",
        "parameters": "9,001",
        "trained on": "8,002",
    }
    (line,) = cells(evaluate.table([row]))
    assert line == expected and list(line) == list(expected)
    bare = dict(name="it", exact=True, bits_per_character=number(2), tokens=0)
    filled = {"model": "it", "bits per character": "= 2.123 ± 2.568"}
    assert cells(evaluate.table([bare])) == [dict.fromkeys(expected, "") | filled]


def test_every_distance_to_the_truth_stands_in_its_column():
    truth = dict(excess=number(1), ungrammatical=number(0.2), surprise=number(3), entropy=4.0625)
    truth["mistakes"] = {"agreement": 0.1, "topic": 0.2, "echo": 0.3, "order": 0.4}
    expected = {
        "model": "it",
        "excess, nats per word": "<= 1.1234 ± 1.5678",
        "ungrammatical": "32.3 ± 76.8 %",
        "agreement": "0.10",
        "topic": "0.20",
        "echo": "0.30",
        "order": "0.40",
        "surprise": "3.123 ± 3.568",
        "entropy": "4.062",
    }
    rows = [dict(name="it", exact=False, truth=truth), dict(name="unknown", exact=True, truth=None)]
    (line,) = cells(evaluate.truth_table(rows))
    assert line == expected and list(line) == list(expected)
    rows[0]["exact"] = True
    assert cells(evaluate.truth_table(rows))[0]["excess, nats per word"] == "= 1.1234 ± 1.5678"


def test_every_number_of_a_way_of_writing_stands_in_its_column():
    row = dict(name="so", calls=1_234.4, positions=5_678.4, ungrammatical=number(0.2))
    row |= dict(surprise=number(1), entropy=number(2), divergence=number(3))
    row |= dict(options=dict(eta=4.0, sampler="euler"))
    expected = {
        "decoding": "so",
        "options": "eta=4.0, sampler=euler",
        "network calls": "1,234",
        "positions": "5,678",
        "ungrammatical": "32.3 ± 76.8 %",
        "surprise": "1.123 ± 1.568",
        "entropy": "2.123 ± 2.568",
        "divergence": ">= 3.123 ± 3.568",
    }
    (line,) = cells(evaluate.decoding_table([row]))
    assert line == expected and list(line) == list(expected)
    row |= dict(options={})
    assert cells(evaluate.decoding_table([row]))[0]["options"] == "default"
    row |= dict(options={"eta": 1}, block_length=8)
    assert cells(evaluate.decoding_table([row]))[0]["options"] == "block_length=8, eta=1"
    del row["calls"], row["positions"], row["options"]
    (line,) = cells(evaluate.decoding_table([row]))
    assert line["network calls"] == line["options"] == ""
