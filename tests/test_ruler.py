"""The ruler itself: honest standard errors, and the truth measured against itself."""

import math
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from helpers import TINY, Table, generator

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
    known = dict(length=L, tokenizer=SimpleNamespace(vocab_size=automaton.V), aligned=True)
    for _ in range(200):
        data = SimpleNamespace(validation=[automaton.sample(150, L, texts)], **known)
        estimate = evaluate.nats_per_token(model, data, noise, draws=4, batch_size=150)
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
    assert (found["other"], found["exact"]) == ("a", False)
    assert found["mean"] == pytest.approx(3 / math.log(2))
    assert found["se"] == pytest.approx((16 / 15) ** 0.5 / 4 / math.log(2))
    rows = [row_of("a", False, more), row_of("b", False, more), row_of("c", True, common)]
    evaluate.add_differences(rows, data)
    assert [row["difference"]["exact"] for row in rows[1:]] == [None, None]
    assert rows[2]["difference"]["mean"] == pytest.approx(-3 / math.log(2))


def test_sequences_that_are_independent_count_one_by_one():
    values = torch.cat([torch.zeros(128), torch.full((128,), 2.0)])
    for aligned, estimate in (True, evaluate.Estimate.of), (False, evaluate.Estimate.of_text):
        found = evaluate.of_windows(SimpleNamespace(aligned=aligned))(values)
        assert found == estimate(values)


def test_the_truth_is_known_in_its_own_words_alone():
    corpus = corpora.load("language")
    train, validation = (
        " ".join(text.split()[: 200 * LENGTH]) for text in (corpus.train, corpus.validation)
    )
    short = replace(corpus, train=train, validation=validation)
    for kind in "word", "char", "bpe":
        tokenizer = tokenizers.build(kind, short, 300)
        data = corpora.Data(short, tokenizer, LENGTH)
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
