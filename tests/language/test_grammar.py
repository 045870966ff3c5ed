"""The ground-truth language: its rules hold in what it says, and its mistakes are named."""

import pytest
import torch
from helpers import generator

from nanoparadigm import corpora, tokenizers
from nanoparadigm.language.grammar import (
    LENGTH,
    NOUNS,
    VERBS,
    compiled,
    frequencies,
    grammatical,
    language,
    tiny,
)

A = language()
X = A.sample(2000, LENGTH, generator())


def ids(text):
    return torch.tensor([[A.words.index(w) for w in text.split()]])


def test_32_words_and_every_probability_sums_to_one():
    assert A.V == 32
    assert torch.allclose(A.P.sum(1), torch.ones(len(A.P)).double(), atol=1e-14)
    assert len(A.P) == len(A.successor) == len(A.states)


def test_the_next_state_is_certain():
    """One successor for each state and word, within the states there are."""
    assert ((A.successor >= 0) & (A.successor < len(A.P))).all()


def test_verbs_agree_with_their_subjects_across_clauses():
    """Read the samples with a stack, knowing nothing of the automaton."""
    plural_verbs = {v for pair in VERBS.values() for v in pair}
    depths = set()
    for x in X:
        waiting = []
        for word in (A.words[i] for i in x):
            if word in ("a", "some"):
                waiting.append(word)
                depths.add(len(waiting))
            elif word in plural_verbs:
                assert waiting.pop() == "some"
            elif word.rstrip("s") in plural_verbs:
                assert waiting.pop() == "a"
            elif word in (".", "and", "la", "lo"):
                assert not waiting
    assert depths == {1, 2, 3}


def test_the_refrain_that_returns_is_the_one_it_began_with():
    refrains = torch.tensor([A.words.index(w) for w in ("la", "lo")])
    assert torch.isin(X[:, 0], refrains).all()
    later = torch.isin(X[:, 1:], refrains)
    assert later.any(1).double().mean() > 0.3
    assert (X[:, 1:] == X[:, :1])[later].all()


def test_topics_persist_and_clauses_keep_them():
    topic = {n: t for t, pair in NOUNS.items() for n in pair}
    topic |= {n + "s": t for n, t in topic.items()}
    same = []
    for x in X[:500]:
        last, depth = "farm", 0
        for word in (A.words[i] for i in x):
            if word in ("a", "some"):
                depth += 1
            elif word in topic:
                if depth == 1:
                    same.append(topic[word] == last)
                else:
                    assert topic[word] == last
                last = topic[word]
            elif word not in ("that", "wee", ".", "and", "la", "lo"):
                depth -= 1
    assert sum(same) / len(same) == pytest.approx(0.85, abs=0.02)


def test_what_the_language_says_has_no_mistakes_and_what_has_mistakes_has_no_probability():
    assert not any(grammatical(X))
    broken = X.clone()
    place = torch.randint(LENGTH, (len(X),), generator=generator(1))
    broken[torch.arange(len(X)), place] = torch.randint(32, (len(X),), generator=generator(2))
    for mistakes, log_p in zip(grammatical(broken), A.log_prob(broken), strict=True):
        assert bool(mistakes) == (log_p == -torch.inf)


@pytest.mark.parametrize(
    "text, kind, position, distance",
    [
        ("la a hen run .", "agreement", 3, 2),
        ("la some hens eats .", "agreement", 3, 2),
        ("la some hens that a cow eats eats .", "agreement", 7, 6),
        ("la some hens that a cow eat run .", "agreement", 6, 2),
        ("la a hens runs .", "agreement", 2, 1),
        ("la a hen swims .", "topic", 3, 1),
        ("la a hen that some crabs eat eats .", "topic", 5, 3),
        ("la a hen runs lo", "echo", 4, 4),
        ("lo a hen runs . a cow eats la", "echo", 8, 8),
        ("la a a hen runs .", "order", 2, 1),
        ("la hen runs .", "order", 1, 1),
        ("la a hen . runs", "order", 3, 1),
    ],
)
def test_mistakes_are_named_with_their_distance(text, kind, position, distance):
    (mistakes,) = grammatical(ids(text))
    first = mistakes[0]
    assert (first.kind, first.position, first.distance) == (kind, position, distance)


def test_a_listener_goes_on_after_a_mistake():
    """One wrong number is one mistake, not a text full of them."""
    for text in (
        "la a hen run . some cows eat .",
        "la a hen swims . a cow eats",
        "la a hen runs lo a",
    ):
        assert len(grammatical(ids(text))[0]) == 1


def test_slips_give_every_text_a_probability_and_each_mistake_a_price():
    right, wrong = ids("la a hen runs . a cow eats"), ids("la a hen run . a cow eats")
    assert A.log_prob(wrong) == -torch.inf
    slip = 1e-3
    price = A.log_prob(right, slip) - A.log_prob(wrong, slip)
    assert price.item() == pytest.approx(
        torch.log(A.next_word("la a hen".split())[A.words.index("runs")] * 32 / slip).item(),
        abs=0.05,
    )
    x = A.sample(500, LENGTH, generator())
    assert torch.allclose(A.log_prob(x, 1e-9), A.log_prob(x), atol=1e-4)


def test_memory_lines_fall_towards_the_entropy_and_stay_above_it():
    """Each further word of memory helps, and even six do not suffice: there is a long range."""
    truth = A.entropy(LENGTH) / LENGTH
    lines = [A.k_gram_entropy(k, LENGTH) for k in range(7)]
    assert all(a > b + 0.005 for a, b in zip(lines, lines[1:], strict=False))
    assert lines[-1] > truth + 0.03
    assert truth == pytest.approx(0.991, abs=0.001)


def test_the_corpus_is_the_language_in_whole_texts():
    corpus = corpora.load("language")
    tokenizer = tokenizers.build("word", corpus, 0)
    assert tokenizer.vocabulary == corpus.truth.words
    data = corpora.TokenizedCorpus(corpus, tokenizer, LENGTH)
    (held_out,) = data.validation
    assert corpus.truth.log_prob(held_out).isfinite().all()
    assert (-corpus.truth.log_prob(held_out).mean() / LENGTH).item() == pytest.approx(
        A.entropy(LENGTH) / LENGTH, abs=0.015
    )
    batches = corpora.WindowBatches(data.train, 64, LENGTH, generator(), data.aligned)
    assert corpus.truth.log_prob(next(batches)).isfinite().all()


def test_compiling_is_done_once():
    assert compiled() is compiled()


@pytest.mark.parametrize("seed", [1, 17, 2**31 - 1])
def test_another_language_has_the_same_rules_and_other_frequencies(seed):
    B = language(seed)
    assert B.words == A.words and torch.equal(B.successor, A.successor)
    assert torch.equal(B.P > 0, A.P > 0) and torch.allclose(B.P.sum(1), torch.ones(()).double())
    assert abs(B.entropy(LENGTH) - A.entropy(LENGTH)) > 1e-3
    assert B.entropy(LENGTH) / LENGTH < B.k_gram_entropy(1, LENGTH)
    assert not any(grammatical(B.sample(200, LENGTH, generator())))
    often = frequencies(seed)
    assert sum(often.end) == pytest.approx(1) and frequencies(seed) == often


@pytest.mark.parametrize("seed", [0, *range(1, 200)])
def test_a_tiny_language_says_everything_in_thousandths_and_comes_everywhere(seed):
    small = tiny(seed)
    assert small.P.min() > 0.05 and torch.allclose(small.P.sum(1), torch.ones(()).double())
    parts = (1000 if seed else 100) * small.P
    assert torch.allclose(parts.round(), parts)
    assert torch.linalg.matrix_power(small.transition(), 6).min() > 0


def test_no_two_seeds_have_one_language():
    assert len({tuple(tiny(seed).P[:2].flatten().tolist()) for seed in range(1000)}) == 1000
    assert len({frequencies(seed) for seed in range(1000)}) == 1000
