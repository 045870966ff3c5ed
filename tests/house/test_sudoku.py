"""The study of orders: its grids are all there, its posterior is exact, its orders are legal."""

import sys
from collections import Counter
from itertools import combinations

import pytest
import torch
from helpers import ROOT, generator, perturb_

sys.path.insert(0, str(ROOT / "benchmarks"))

import report  # noqa: E402
import sudoku  # noqa: E402

from nanoparadigm.paradigms.mdlm import MaskedDiffusion  # noqa: E402

BLANK, GRIDS = sudoku.BLANK, sudoku.GRIDS
SMALL = dict(one=12, unseen=12, several=6)
EXACT = MaskedDiffusion(sudoku.Reader(sudoku.posterior), sudoku.DIGITS)
fixed_orders = pytest.mark.parametrize("name", [*sudoku.ORDERS][:3])


@pytest.fixture(scope="module")
def tests():
    return sudoku.test_sets(SMALL)


def rows_columns_boxes():
    for i in range(4):
        yield [4 * i + j for j in range(4)]
        yield [4 * j + i for j in range(4)]
        yield [8 * (i // 2) + 2 * (i % 2) + j for j in (0, 1, 4, 5)]


def test_the_288_grids_hold_every_digit_once_in_every_row_column_and_box():
    assert len({tuple(grid) for grid in GRIDS.tolist()}) == len(GRIDS) == 288
    for unit in rows_columns_boxes():
        assert (GRIDS[:, unit].sort(-1).values == torch.arange(4)).all()


# the sequence A109252 of the OEIS: puzzles with n given cells and one solution
@pytest.mark.parametrize("given, puzzles", [(4, 25_728), (14, 34_560), (15, 4_608)])
def test_as_many_puzzles_have_one_solution_as_others_have_counted(given, puzzles):
    found = 0
    for cells in combinations(range(16), given):
        z = torch.full_like(GRIDS, BLANK)
        z[:, cells] = GRIDS[:, cells]
        found += int((sudoku.possible(z).sum(-1) == 1).sum())
    assert found == puzzles


def test_the_posterior_counts_the_grids_that_agree(tests):
    puzzle = tests["several"][0][0]
    agreeing = [
        grid
        for grid in GRIDS.tolist()
        if all(shown in (BLANK, digit) for shown, digit in zip(puzzle.tolist(), grid, strict=True))
    ]
    by_hand = torch.zeros(16, 4)
    for grid in agreeing:
        by_hand[range(16), grid] += 1
    assert torch.equal(sudoku.posterior(puzzle[None])[0].float(), by_hand)
    assert sudoku.possible(puzzle[None]).sum() == len(agreeing)


def test_the_test_puzzles_are_what_they_are_called(tests):
    for name, (puzzles, grids) in tests.items():
        assert len(puzzles) == len(grids) == SMALL[name]
        assert ((puzzles == grids) | (puzzles == BLANK)).all()
        found = sudoku.possible(puzzles)
        count, known = found.sum(-1), (found & sudoku.TRAINED).sum(-1)
        assert (count > 3 if name == "several" else count == 1).all()
        assert torch.equal(known, torch.zeros_like(count) if name == "unseen" else count)


def test_the_solver_fills_every_blank_once_and_always_one_with_the_fewest_candidates(tests):
    puzzles, grids = tests["one"]
    turns = torch.zeros_like(puzzles)
    for z, chosen in sudoku.filling(puzzles, grids, sudoku.solver_order):
        turns += chosen
        for state, picked in zip(z.tolist(), chosen, strict=True):
            left = {
                i: 4 - len({state[j] for u in rows_columns_boxes() if i in u for j in u} - {BLANK})
                for i in range(16)
                if state[i] == BLANK
            }
            best = [min(left, key=lambda i: (left[i], i))] if left else []
            assert picked.nonzero()[:, 0].tolist() == best
    assert torch.equal(turns, (puzzles == BLANK).long())


def test_a_text_says_the_puzzle_first_and_then_every_other_cell(tests):
    puzzles, grids = tests["one"]
    by_row, by_solver = (
        sudoku.written(puzzles, grids, score) for score in (sudoku.row_order, sudoku.solver_order)
    )
    for puzzle, grid, *texts in zip(
        puzzles.tolist(), grids.tolist(), by_row.tolist(), by_solver.tolist(), strict=True
    ):
        given = [i for i in range(16) if puzzle[i] != BLANK]
        others = [i for i in range(16) if puzzle[i] == BLANK]
        for x in texts:
            assert x[len(given)] == sudoku.SEPARATOR and x.count(sudoku.SEPARATOR) == 1
            del x[len(given)]
            cells = ["abcd".index(sudoku.WORDS[i][0]) * 4 + int(sudoku.WORDS[i][1]) - 1 for i in x]
            assert cells[: len(given)] == given and sorted(cells[len(given) :]) == others
            assert [f"={grid[i] + 1}" for i in cells] == [sudoku.WORDS[i][2:] for i in x]
        assert texts[0] == [sudoku.DIGITS * i + grid[i] for i in given + others]
    assert not torch.equal(by_row, by_solver)


@fixed_orders
def test_the_exact_posterior_solves_every_puzzle_in_every_order(name, tests):
    order, g = sudoku.ORDERS[name], generator()
    for puzzles, grids in tests.values():
        filled = sudoku.fill(EXACT, order, puzzles, g)
        assert sudoku.solutions(puzzles, filled).any(-1).all()
        nll = sudoku.path_nll(EXACT, order, puzzles, grids, g)
        count = sudoku.possible(puzzles).sum(-1).double()
        torch.testing.assert_close(nll, count.log())


@pytest.mark.parametrize("name", sudoku.ORDERS)
def test_the_exact_posterior_draws_every_solution_as_often_as_computed(name, tests):
    laws = {tuple(z): sudoku.drawn_law(tuple(z)) for z in tests["several"][0].tolist()}
    z, law = max(laws.items(), key=lambda item: max(item[1].values()) * len(item[1]))
    puzzle = torch.tensor(z)  # the one whose solutions differ most in probability
    filled = sudoku.fill(EXACT, sudoku.ORDERS[name], puzzle.expand(4000, -1), generator())
    drawn = Counter(sudoku.solutions(puzzle[None], filled).nonzero()[:, 1].tolist())
    assert sum(law.values()) == pytest.approx(1) and sum(drawn.values()) == 4000
    if name != "confidence in the digit drawn":
        law = dict.fromkeys(law, 1 / len(law))
    expected = {grid: 4000 * q for grid, q in law.items()}
    chi2 = sum((drawn[grid] - n) ** 2 / n for grid, n in expected.items())
    assert chi2 < 35, (drawn, expected)  # at most 7 degrees of freedom: once in 90,000


def test_an_order_that_looks_at_what_was_drawn_prefers_some_solutions(tests):
    laws = [[*sudoku.drawn_law(tuple(z)).values()] for z in tests["several"][0].tolist()]
    assert max(max(law) * len(law) for law in laws) > 1.1
    found = sudoku.exact_drawn(tests)
    assert found["excess"] > 0


def test_only_the_answer_is_learned(tests):
    puzzles, grids = tests["one"]
    x = sudoku.written(puzzles, grids, sudoku.row_order)
    model = sudoku.build("ar", len(sudoku.WORDS), block_size=sudoku.LENGTH, n_layer=1, n_embd=16)
    model.__class__ = sudoku.Answers
    total, weight = model.loss_terms(x)
    assert weight == (puzzles == BLANK).sum()
    expected = sudoku.text_nll(model, sudoku.row_order, puzzles, grids).sum()
    torch.testing.assert_close(total.double(), expected, rtol=1e-5, atol=0.0)


def test_a_model_that_is_told_the_cell_has_a_likelihood_that_adds_up_to_one(tests):
    """Over all ways to fill the last two cells of a puzzle, whether they are solutions or not."""
    model = sudoku.build("ar", len(sudoku.WORDS), block_size=sudoku.LENGTH, n_layer=1, n_embd=16)
    perturb_(model, 0.3)
    puzzle = GRIDS[0].clone()
    puzzle[[3, 9]] = BLANK
    grids = puzzle.repeat(16, 1)
    grids[:, [3, 9]] = torch.cartesian_prod(torch.arange(4), torch.arange(4))
    p = (-sudoku.given_nll(model, sudoku.row_order, puzzle.expand(16, -1), grids)).exp()
    assert float(p.sum()) == pytest.approx(1) and p.std() > 0.01
    drawn = sudoku.write_given(model, sudoku.row_order, puzzle.expand(4000, -1), generator())
    count = (drawn[:, None] == grids).all(-1).sum(0)
    assert count.sum() == 4000
    assert ((count - 4000 * p) ** 2 / (4000 * p)).sum() < 56  # 15 degrees: once in 10^6


def test_a_model_that_is_told_the_cell_chooses_among_its_four_words(tests):
    puzzles, grids = tests["one"]
    model = sudoku.build("ar", len(sudoku.WORDS), block_size=sudoku.LENGTH, n_layer=1, n_embd=16)
    perturb_(model, 0.3)
    texts = sudoku.written(puzzles, grids, sudoku.solver_order)
    found = sudoku.given_nll(model, sudoku.solver_order, puzzles, grids)
    for x, logits, nll in zip(texts.tolist(), model.logits(texts).double(), found, strict=True):
        answers = range(x.index(sudoku.SEPARATOR) + 1, sudoku.LENGTH)
        words = [logits[i, x[i] // 4 * 4 : x[i] // 4 * 4 + 4].log_softmax(-1) for i in answers]
        by_hand = -sum(log_p[x[i] % 4] for i, log_p in zip(answers, words, strict=True))
        torch.testing.assert_close(nll, by_hand, rtol=1e-4, atol=0.0)


def test_an_answer_that_makes_no_sense_solves_nothing(tests):
    puzzles, grids = tests["one"]
    spoiled = grids.clone()
    spoiled[0, (puzzles[0] == BLANK).nonzero()[0]] = BLANK
    given = (puzzles[1] != BLANK).nonzero()[0]
    spoiled[1] = GRIDS[(GRIDS[:, given] != grids[1, given])[:, 0]][0]  # a grid, of another puzzle
    solved = sudoku.solutions(puzzles, spoiled).any(-1)
    assert not solved[:2].any() and solved[2:].all()


@pytest.mark.parametrize("name", ["rules of one cell", "ar, solver's order", "diffusion"])
def test_a_small_run_gives_a_row(name, tests):
    options = dict(steps=2, sizes=dict(n_layer=1, n_head=2, n_embd=16))
    row = sudoku.run(name, 0, tests, **options if name not in sudoku.READERS else {})
    for order, found in row["orders"].items():
        assert {*found} >= {"one", "unseen", "valid", "found"}
        assert ("excess" in found) == (order != "confidence in the digit drawn")
        assert all(0 <= found[key] <= 1 for key in ("one", "unseen", "valid", "found"))


def test_the_intervals_are_those_of_the_textbooks():
    assert report.student([1.0, 2.0, 3.0]) == pytest.approx((2, 2 - 2.484, 2 + 2.484), abs=1e-3)
    assert report.wilson(0.8, 10) == pytest.approx((0.8, 0.490, 0.943), abs=1e-3)


def test_the_page_is_made_from_the_results():
    page = (ROOT / "book/order.md").read_text(encoding="utf-8")
    assert report.order_page() == page, "run: python benchmarks/report.py"
