"""What is exact must be exact: every quantity of the automaton against brute enumeration."""

import itertools
import math

import pytest
import torch
from helpers import generator

from nanoparadigm.language import Automaton, Posterior, language, tiny

A = tiny()
L = 5
TEXTS = torch.tensor(list(itertools.product(range(3), repeat=L)))
P_TEXT = A.log_prob(TEXTS).exp()


def test_there_are_243_texts_and_their_probabilities_sum_to_one():
    assert len(TEXTS) == 243
    assert P_TEXT.sum().item() == pytest.approx(1, abs=1e-14)


def test_the_tiny_language_has_no_symmetry():
    """Neither renaming words, nor moving positions, nor both, leaves the law as it is."""
    cube = P_TEXT.view(3, 3, 3, 3, 3)
    for names in itertools.permutations(range(3)):
        renamed = cube[torch.meshgrid(*[torch.tensor(names)] * 5, indexing="ij")]
        for places in itertools.permutations(range(5)):
            if (names, places) != ((0, 1, 2), (0, 1, 2, 3, 4)):
                assert (renamed.permute(places) - cube).abs().sum() / 2 > 0.05


def test_log_prob_is_the_chain_rule_by_hand():
    for x in (TEXTS[0], TEXTS[100], TEXTS[242]):
        state, p = 0, 1.0
        for v in x.tolist():
            p *= A.P[state, v].item()
            state = A.successor[state, v].item()
        assert A.log_prob(x[None]).item() == pytest.approx(math.log(p))


def test_entropy_is_the_sum_over_all_texts():
    assert A.entropy(L) == pytest.approx(-(P_TEXT * P_TEXT.log()).sum().item(), abs=1e-12)
    assert A.entropy(1) == pytest.approx(-(A.P[0] * A.P[0].log()).sum().item(), abs=1e-12)


def test_the_entropy_rate_is_what_one_more_word_adds_in_the_end():
    for automaton in (A, language()):
        n = 3000
        added = (automaton.entropy(2 * n) - automaton.entropy(n)) / n
        assert automaton.entropy_rate() == pytest.approx(added, abs=1e-9)


def test_the_start_is_not_the_stationary_state():
    """What a text of 5 words costs is not five times the rate: the start is known."""
    assert abs(A.entropy(L) / L - A.entropy_rate()) > 1e-3


@pytest.mark.parametrize("k", range(6))
def test_k_gram_entropy_is_that_of_the_best_table(k):
    """Count, over all texts and positions, the next word after the last k words; entropy of it."""
    joint = {}
    for x, p in zip(TEXTS.tolist(), P_TEXT.tolist(), strict=True):
        for i, v in enumerate(x):
            context = ("start", *x[:i]) if i < k else tuple(x[i - k : i])
            row = joint.setdefault(context, [0.0] * 3)
            row[v] += p
    expected = -sum(p * math.log(p / sum(row)) for row in joint.values() for p in row if p > 0)
    assert A.k_gram_entropy(k, L) == pytest.approx(expected / L, abs=1e-12)


def test_more_memory_never_hurts_and_the_end_is_the_entropy():
    for automaton, length in ((A, 5), (language(), 32)):
        lines = [automaton.k_gram_entropy(k, length) for k in range(5)]
        assert all(a >= b for a, b in itertools.pairwise(lines))
        assert lines[-1] >= automaton.entropy(length) / length - 1e-12
    assert A.k_gram_entropy(5, 5) == pytest.approx(A.entropy(5) / 5, abs=1e-12)


def test_next_word_is_a_conditional_of_the_enumeration():
    for prefix in ([], [0], [2, 1], [1, 1, 0, 2]):
        n = len(prefix)
        agree = (TEXTS[:, :n] == torch.tensor(prefix, dtype=torch.long)).all(1)
        expected = torch.stack([P_TEXT[agree & (TEXTS[:, n] == v)].sum() for v in range(3)])
        assert torch.allclose(A.next_word(prefix), expected / expected.sum())
        assert torch.allclose(A.next_word([A.words[v] for v in prefix]), A.next_word(prefix))


def bayes(likelihood):
    """p(x_i = v | evidence) by summing over all texts; likelihood (L, V)."""
    weight = P_TEXT * likelihood[torch.arange(L), TEXTS].prod(1)
    q = torch.zeros(L, 3, dtype=torch.float64)
    for i in range(L):
        q[i].index_add_(0, TEXTS[:, i], weight)
    return q / weight.sum()


def test_posterior_of_every_visible_subset_of_every_text():
    for visible in itertools.product([True, False], repeat=L):
        z = torch.where(torch.tensor(visible), TEXTS[::17], 3)
        ours = A.posterior(z)
        for row, q in zip(z, ours, strict=True):
            seen = torch.nn.functional.one_hot(row, 4)[:, :3].double()
            seen[row == 3] = 1
            assert torch.allclose(q, bayes(seen), atol=1e-13)


@pytest.mark.parametrize("alpha", [0.0, 0.001, 0.3, 0.9, 0.999, 1.0])
def test_posterior_through_uniform_noise(alpha):
    z = TEXTS[::7]
    ours = A.posterior(z, torch.full((len(z),), alpha, dtype=torch.float64))
    for row, q in zip(z, ours, strict=True):
        seen = alpha * torch.nn.functional.one_hot(row, 3).double() + (1 - alpha) / 3
        assert torch.allclose(q, bayes(seen), atol=1e-12)


def test_leave_one_out_leaves_one_out():
    """It does not depend on the word at its own position, and is Bayes with that word unseen."""
    alpha = torch.tensor([0.6], dtype=torch.float64)
    z = torch.tensor([[0, 2, 1, 1, 0]])
    q = A.leave_one_out(z, alpha)
    for i in range(L):
        seen = 0.6 * torch.nn.functional.one_hot(z[0], 3).double() + 0.4 / 3
        seen[i] = 1
        assert torch.allclose(q[0, i], bayes(seen)[i], atol=1e-13)
        for v in range(3):
            other = z.clone()
            other[0, i] = v
            assert torch.allclose(A.leave_one_out(other, alpha)[0, i], q[0, i], atol=1e-14)


def test_evidence_that_cannot_be_tells_nothing():
    one = Automaton("ab", [[1.0, 0.0], [0.0, 1.0]], [[1, 0], [1, 0]])  # a b a b ... alone
    q = one.leave_one_out(torch.tensor([[1, 2, 2]]))
    assert torch.allclose(q[0, 1:], torch.full((2, 2), 0.5, dtype=torch.float64))
    assert torch.allclose(
        one.leave_one_out(torch.tensor([[0, 2, 2]]))[0, 1:], torch.eye(2).double().flip(0)
    )


def test_samples_have_the_frequencies_of_the_enumeration():
    n = 40_000
    x = A.sample(n, L, generator())
    index = (x * 3 ** torch.arange(L - 1, -1, -1)).sum(1)
    expected = P_TEXT * n
    rare = expected < 5
    observed = index.bincount(minlength=243).double()
    cells = torch.cat([expected[~rare], expected[rare].sum()[None]])
    counts = torch.cat([observed[~rare], observed[rare].sum()[None]])
    chi2 = ((counts - cells) ** 2 / cells).sum().item()
    df = len(cells) - 1
    assert chi2 < df + 4.5 * math.sqrt(2 * df)


def test_the_causal_posterior_steps_as_it_reads():
    net = Posterior(A, causal=True, timed=False)
    z = torch.cat([torch.full((4, 1), 3), TEXTS[::70]], dim=1)
    whole = net(z)
    for chunks in ([1] * 6, [3, 1, 2], [6]):
        state, out = net.init_state(4), []
        for part in z.split(chunks, dim=1):
            logits, state = net.step(part, state)
            out.append(logits)
        assert torch.equal(torch.cat(out, 1), whole)


def test_printing_shows_every_state_and_word():
    lines = str(language()).splitlines()
    assert len(lines) == len(language().P)
    assert lines[0].startswith("0 (refrain; nobody waiting; farm; None): la 0.6 -> 1, lo 0.4 -> 2")
