"""Does the freedom of order help? 4 x 4 Sudoku, small enough to count every answer.

    python benchmarks/sudoku.py                 every run below; none depends on the clock
    python benchmarks/sudoku.py --only ar       the runs whose name begins so

A puzzle is one of the 288 grids with some of its cells given. Two autoregressive models write the
other cells, a word such as a1=2 for each: one in row order, one in the order in which a solver
fills them. Masked diffusion sees the grid with its blanks and can fill them in any order. Three
seeds each, and two readers that need no training. Runs are written to results/sudoku.json as they
end, and those there are not repeated.
"""

import argparse
import json
import math
from collections import defaultdict
from functools import cache, partial
from itertools import permutations

import torch
import torch.nn.functional as F
from measure import RESULTS, save
from torch import Generator, nn

from nanoparadigm import Settings, build, train
from nanoparadigm.data.corpus import Corpus, TokenizedCorpus
from nanoparadigm.data.tokenizers import WordTokenizer
from nanoparadigm.decoding.categorical import Categorical, sample_categorical
from nanoparadigm.decoding.masked import Confidence, LeftToRight, Ordered, RandomOrder
from nanoparadigm.paradigms import parameters
from nanoparadigm.paradigms.ar import Autoregressive
from nanoparadigm.paradigms.mdlm import MaskedDiffusion

DIGITS, CELLS = 4, 16
BLANK = DIGITS  # the mask of a diffusion over the digits
SEPARATOR = CELLS * DIGITS  # between a puzzle and its answer
WORDS = [*(f"{i}{j}={digit}" for i in "abcd" for j in "1234" for digit in "1234"), "|"]
LENGTH = CELLS + 1  # an autoregressive text: a word for each cell, and the separator

SEEDS, STEPS, BATCH = 3, 500, 64
SIZES = dict(n_layer=4, n_head=4, n_embd=64)
HELD_OUT = 72  # grids that no model is trained on
GIVEN = 4, 8  # cells given in a test puzzle: the least and the most
SEVERAL = 4, 8  # solutions of a puzzle with several: the least and the most
DRAWS, PATHS = 8, 4  # answers to each of those, and random orders that a likelihood averages over
TESTS = dict(one=500, unseen=250, several=100)

# ------------------------------------------------------------------------------------- the puzzles

PLACES = torch.arange(CELLS).view(4, 4)
BOXES = PLACES.view(2, 2, 2, 2).transpose(1, 2).reshape(4, 4)
UNITS = torch.cat([PLACES, PLACES.T, BOXES])  # (12, 4): rows, columns, boxes
_INSIDE = F.one_hot(UNITS, CELLS).sum(1).double()
PEERS = ((_INSIDE.T @ _INSIDE) > 0).double().fill_diagonal_(0)


def all_grids():
    """The 288 grids (288, 16), digits from 0 to 3."""
    rows = torch.tensor(list(permutations(range(DIGITS))))
    grids = rows[torch.cartesian_prod(*[torch.arange(len(rows))] * 4)].flatten(1)
    # four powers of two add up to 15 only if they are 1, 2, 4 and 8
    return grids[((2**grids)[:, UNITS].sum(-1) == 15).all(-1)]


GRIDS = all_grids()
_SHOWN = F.one_hot(GRIDS, DIGITS).double().flatten(1)
TRAINED = torch.ones(len(GRIDS), dtype=torch.bool)
TRAINED[torch.randperm(len(GRIDS), generator=Generator().manual_seed(0))[:HELD_OUT]] = False


def possible(z):
    """Which of the grids agree with z (B, 16) wherever it is not blank: (B, 288)."""
    return ((z[:, None] == GRIDS) | (z[:, None] == BLANK)).all(-1)


def posterior(z):
    """In how many of the possible grids each cell holds each digit (B, 16, 4)."""
    return (possible(z).double() @ _SHOWN).view(-1, CELLS, DIGITS)


def candidates(z):
    """Which digits no other cell of the same row, column or box shows (B, 16, 4), as 0 and 1."""
    return (PEERS @ F.one_hot(z, DIGITS + 1)[..., :DIGITS].double() == 0).double()


def draw_puzzles(grids, least, most, n, generator):
    """Draw n grids and a number of given cells for each; return puzzles and grids (n, 16)."""
    grids = grids[torch.randint(len(grids), (n,), generator=generator)]
    given = torch.randint(least, most + 1, (n, 1), generator=generator)
    rank = torch.rand(n, CELLS, generator=generator).argsort(-1).argsort(-1)
    return torch.where(rank < given, grids, BLANK), grids


def test_sets(sizes=TESTS):
    """name -> puzzles and grids (n, 16). one: with a single solution, which was trained on in other
    puzzles; unseen: with a single solution, which was never trained on; several: with several
    solutions, all trained on, so that the law trained on and the rules have the same posterior."""

    def wanted(name, puzzles):
        found = possible(puzzles)
        count, trained = found.sum(-1), (found & TRAINED).sum(-1)
        few = (count >= SEVERAL[0]) & (count <= SEVERAL[1])
        rules = dict(
            one=(count == 1) & (trained == 1),
            unseen=(count == 1) & (trained == 0),
            several=few & (trained == count),
        )
        return rules[name]

    generator, sets = Generator().manual_seed(1), {}
    for name, n in sizes.items():
        kept = [torch.zeros(2, 0, CELLS, dtype=torch.long)]
        while sum(pair.shape[1] for pair in kept) < n:
            pair = torch.stack(draw_puzzles(GRIDS, *GIVEN, 1024, generator))
            kept.append(pair[:, wanted(name, pair[0])])
        sets[name] = torch.cat(kept, 1)[:, :n].unbind()
    return sets


# -------------------------------------------------------------------------------------- the orders


def next_cell(z, score):
    """The blank cell of z (B, 16) with the lowest score(z) (B, 1), the first of equal ones."""
    scores = torch.where(z == BLANK, score(z).double(), math.inf)
    return scores.argsort(dim=-1, stable=True)[:, :1]


def filling(puzzles, grids, score):
    """Yield states z (B, 16) and the cells filled next (B, 16), those of the lowest score(z)."""
    z = puzzles
    while (blank := z == BLANK).any():
        chosen = torch.zeros_like(blank).scatter(1, next_cell(z, score), True) & blank
        yield z, chosen
        z = torch.where(chosen, grids, z)


def row_order(z):
    return torch.arange(CELLS).expand(z.shape)


def solver_order(z):
    """A solver's next cell is the one with the fewest candidates, the first of them by row."""
    return candidates(z).sum(-1)


def forced(puzzles, grids, score):
    """The share of the cells that have a single candidate when their turn comes."""
    steps = [(candidates(z).sum(-1) == 1)[chosen] for z, chosen in filling(puzzles, grids, score)]
    return torch.cat(steps).double().mean().item()


class Drawn(Ordered):
    """Draw a digit for every blank and keep the one that is most probable, as LLaDA's code does.

    `Confidence` chooses the cell before anything is drawn; this rule favours probable digits.
    """

    def __call__(self, model, z, known, steps, draw, generator):
        while (blank := z == model.mask_id).any():
            p = draw.probabilities(model.denoise(z, blank, blank.double().mean(-1)))
            digits, scores = z.clone(), torch.full(z.shape, -1.0, dtype=p.dtype)
            digits[blank] = sample_categorical(p, generator)
            of_digits = p.gather(-1, digits[blank][:, None]).squeeze(-1)
            scores[blank] = of_digits.round(decimals=9)  # so that equal ones are equal
            first = scores.argsort(dim=-1, descending=True, stable=True)[:, :1]
            z = torch.where(torch.zeros_like(blank).scatter(1, first, True) & blank, digits, z)
            yield z


ORDERS = {
    "row order": LeftToRight(),
    "random order": RandomOrder(),
    "confidence": Confidence(),
    "confidence in the digit drawn": Drawn(),
}


def fill(model, order, puzzles, generator, steps=CELLS):
    """The puzzles (B, 16), filled by a sampler of masked diffusion."""
    with torch.inference_mode():
        *_, z = order(model, puzzles, puzzles != BLANK, steps, Categorical(), generator)
    return z.clone()


def path_nll(model, order, puzzles, grids, generator):
    """-log p(grid | puzzle) (B,), nats, if the cells are filled one by one in this order."""

    def score(z):
        blank, scores = z == BLANK, torch.zeros(z.shape, dtype=torch.float64)
        p = model.log_probs(z, None).double().exp()
        scores[blank] = -order.score(p[blank], blank, generator).double()
        return scores

    nll = torch.zeros(len(puzzles), dtype=torch.float64)
    with torch.inference_mode():
        for z, chosen in filling(puzzles, grids, score):
            log_p = model.log_probs(z, None).double().gather(-1, grids[..., None]).squeeze(-1)
            nll -= torch.where(chosen, log_p, 0.0).sum(-1)
    return nll


def mean_path_nll(*arguments):
    """The mean of `path_nll` over some random orders, which bounds the -log p of their mixture."""
    return torch.stack([path_nll(*arguments) for _ in range(PATHS)]).mean(0)


@cache
def drawn_law(z):
    """Index of a grid -> its exact probability, if `Drawn` fills z, a tuple, by the posterior."""
    z = torch.tensor(z)
    p = posterior(z[None])[0]
    p = p / p.sum(-1, keepdim=True)
    z = torch.where(p.amax(-1) == 1, p.argmax(-1), z)  # sure cells always go first
    blank = (z == BLANK).nonzero().squeeze(-1)
    if not len(blank):
        return {int(possible(z[None])[0].nonzero()): 1.0}
    p, i = p[blank], torch.arange(len(blank))
    less = p < p[:, :, None, None] - 1e-9
    equal = (p - p[:, :, None, None]).abs() <= 1e-9
    others = ((less | (equal & (i[:, None, None, None] < i[:, None]))) * p).sum(-1)
    others[i, :, i] = 1.0
    wins, law = p * others.prod(-1), defaultdict(float)
    for cell, digit in wins.nonzero().tolist():
        after = z.clone()
        after[blank[cell]] = digit
        for grid, q in drawn_law(tuple(after.tolist())).items():
            law[grid] += wins[cell, digit].item() * q
    return dict(law)


# -------------------------------------------------------------------------------------- the models


class Reader(nn.Module):
    """A network that needs no training: the probabilities are in proportion to weights(z), and
    equal where these are all zero."""

    def __init__(self, weights):
        super().__init__()
        self.weights = weights

    def forward(self, z, t=None):
        w = self.weights(z)
        return torch.where(w.sum(-1, keepdim=True) > 0, w, 1.0).log()


READERS = {"exact posterior": posterior, "rules of one cell": candidates}


class Answers(Autoregressive):
    """It learns what follows a puzzle, and not the puzzle."""

    def loss_terms(self, x):
        return (self.token_nll(x) * answered(x)).sum(), answered(x).sum()


def answered(x):
    """Which tokens (B, L) stand behind the separator."""
    return ((x == SEPARATOR).cumsum(-1) > 0) & (x != SEPARATOR)


def written(puzzles, grids, score):
    """Texts (B, 17): the given cells in row order, the separator, the others in this order."""
    given = puzzles != BLANK
    turn = torch.where(given, 0, CELLS)
    for n, (_, chosen) in enumerate(filling(puzzles, grids, score)):
        turn += n * chosen
    cells = turn.argsort(dim=-1, stable=True)
    words, i = DIGITS * cells + grids.gather(1, cells), torch.arange(CELLS)
    x = torch.full((len(puzzles), LENGTH), SEPARATOR)
    return x.scatter(1, i + (i >= given.sum(-1, keepdim=True)), words)


def write(model, puzzles, generator):
    """The puzzles (B, 16) as an autoregressive model fills them: blank where it writes no sense."""
    filled, given = puzzles.clone(), (puzzles != BLANK).sum(-1)
    for n in given.unique().tolist():
        rows = (given == n).nonzero().squeeze(-1)
        canvas = written(puzzles[rows], puzzles[rows].clamp(max=DIGITS - 1), row_order)
        known = (torch.arange(LENGTH) <= n).expand(canvas.shape)
        with torch.inference_mode():
            *_, x = model.trajectory(canvas, known, generator)
        words = x[:, n + 1 :]
        cells = (words // DIGITS).clamp(max=CELLS - 1)
        digits = torch.where(words < SEPARATOR, words % DIGITS, BLANK)
        filled[rows] = puzzles[rows].scatter(1, cells, digits)
    return filled


def text_nll(model, score, puzzles, grids):
    """-log p (B,), nats, of the answers in the order trained on. Other orders of the same cells add
    to p(grid | puzzle), so it is a bound."""
    x = written(puzzles, grids, score)
    with torch.inference_mode():
        return (model.token_nll(x) * answered(x)).sum(-1).double()


def digit_logits(model, z, x, cell):
    """The logits (B, 4) of the digits of one cell (B, 1) each, given texts x (B, 17) that say z."""
    n = (z != BLANK).sum(-1)
    logits = model.logits(x)[torch.arange(len(x)), (n + 1).clamp(max=CELLS)]
    return logits.gather(1, DIGITS * cell + torch.arange(DIGITS))


def write_given(model, score, puzzles, generator):
    """The puzzles (B, 16), filled by an autoregressive model that is told which cell comes next."""
    x, z = written(puzzles, puzzles.clamp(max=DIGITS - 1), score), puzzles.clone()
    while (blank := (z == BLANK).any(-1)).any():
        cell, place = next_cell(z, score), (z != BLANK).sum(-1, keepdim=True) + 1
        with torch.inference_mode():
            digit = Categorical()(digit_logits(model, z, x, cell), generator)[:, None]
        rows = blank.nonzero()[:, 0]
        z[rows] = z[rows].scatter(1, cell[rows], digit[rows])
        x[rows] = x[rows].scatter(1, place[rows], (DIGITS * cell + digit)[rows])
    return z


def given_nll(model, score, puzzles, grids):
    """-log p(grid | puzzle) (B,), nats, of a model that is told which cell comes next."""
    x, nll = written(puzzles, grids, score), torch.zeros(len(puzzles), dtype=torch.float64)
    with torch.inference_mode():
        for z, chosen in filling(puzzles, grids, score):
            cell = chosen.int().argmax(-1, keepdim=True)
            log_p = digit_logits(model, z, x, cell).double().log_softmax(-1)
            log_p = log_p.gather(1, grids.gather(1, cell)).squeeze(-1)
            nll -= torch.where(chosen.any(-1), log_p, 0.0)
    return nll


AUTOREGRESSIVE = {
    "ar, row order": ("row order", row_order),
    "ar, solver's order": ("solver's order", solver_order),
}


def trained(name, seed, steps=STEPS, sizes=SIZES):
    """A model, and the last record of its training."""
    if name in AUTOREGRESSIVE:
        generator, n = Generator().manual_seed(seed), steps * BATCH
        grids = GRIDS[TRAINED][torch.randint(int(TRAINED.sum()), (n,), generator=generator)]
        t = torch.rand(n, 1, generator=generator)  # as masked diffusion hides cells
        hidden = torch.rand(n, CELLS, generator=generator) < t
        x = written(torch.where(hidden, BLANK, grids), grids, AUTOREGRESSIVE[name][1])
        tokenizer = WordTokenizer(WORDS)
        model = build("ar", len(WORDS), block_size=LENGTH, seed=seed, **sizes)
        model.__class__ = Answers
    else:
        x, tokenizer = GRIDS[TRAINED], WordTokenizer("1234")
        sizes = dict(sizes, network="transformer", block_size=CELLS)
        model = build("diffusion", DIGITS, seed=seed, **sizes)
    texts = [tokenizer.decode(part.flatten().tolist()) for part in (x, x[:1])]
    corpus = Corpus("sudoku", *texts, sequence_length=x.shape[1])
    data = TokenizedCorpus(corpus, tokenizer, x.shape[1])
    settings = Settings(
        max_steps=steps, batch_size=BATCH, seed=seed, eval_interval=10**9, eval_windows=1
    )
    *_, record = train(model, data, settings)
    return model.eval(), record


# ------------------------------------------------------------------------------------ the measures


def solutions(puzzles, filled):
    """Which of the grids each filled puzzle (B, 16) is, if it solves the puzzle: (B, 288)."""
    return possible(puzzles) & (filled[:, None] == GRIDS).all(-1)


def measured(tests, filler, nll=None, repeats=1):
    """What one way of filling does. filler(puzzles) -> grids (B, 16); nll(puzzles, grids) -> (B,).

    one, unseen: the share solved. valid: the share of the answers to puzzles with several solutions
    that are a solution. found: the share of the solutions among DRAWS answers, tried `repeats`
    times. excess: nats above the uniform law over the solutions.
    """
    row = {}
    for name in ("one", "unseen"):
        puzzles, _ = tests[name]
        row[name] = solutions(puzzles, filler(puzzles)).any(-1).double().mean().item()
    puzzles, grids = tests["several"]
    count, many = possible(puzzles).sum(-1).double(), puzzles.repeat_interleave(repeats * DRAWS, 0)
    hits = solutions(many, filler(many)).view(len(puzzles), repeats, DRAWS, -1)
    row["valid"] = hits.any(-1).double().mean().item()
    row["found"] = (hits.any(2).sum(-1) / count[:, None]).mean().item()
    if nll:
        row["excess"] = (nll(puzzles, grids) - count.log()).mean().item()
    return row


def measured_orders(model, tests, seed, repeats=1):
    """order -> `measured`, for masked diffusion over any network."""
    generator, rows = Generator().manual_seed(seed), {}
    for name, order in ORDERS.items():
        many = mean_path_nll if name == "random order" else path_nll
        nll = None if name == "confidence in the digit drawn" else many
        rows[name] = measured(
            tests,
            lambda puzzles, order=order: fill(model, order, puzzles, generator),
            nll and (lambda *pair, order=order, nll=nll: nll(model, order, *pair, generator)),
            repeats,
        )
    return rows


def exact_drawn(tests):
    """found and excess of the exact posterior with `Drawn`, computed and not drawn."""
    found, excess = [], []
    for puzzle in tests["several"][0]:
        law = drawn_law(tuple(puzzle.tolist()))
        q = torch.tensor([law[grid] for grid in possible(puzzle[None])[0].nonzero()[:, 0].tolist()])
        found.append((1 - (1 - q) ** DRAWS).mean())
        excess.append(-math.log(len(q)) - q.log().mean())
    return dict(found=torch.stack(found).mean().item(), excess=torch.stack(excess).mean().item())


def without_training(tests):
    """What needs no network: the exact posterior's best, and what an order alone makes easy."""
    puzzles, _ = tests["several"]
    count, generator = possible(puzzles).sum(-1), Generator().manual_seed(0)
    exact, calls = MaskedDiffusion(Reader(posterior), DIGITS), {}
    many = puzzles.repeat_interleave(DRAWS, 0)
    for name, order in ORDERS.items():
        if name != "confidence in the digit drawn":
            filled = {n: fill(exact, order, many, generator, n) for n in (1, 2, 4)}
            right = {n: solutions(many, z).any(-1).double() for n, z in filled.items()}
            calls[name] = {n: hits.mean().item() for n, hits in right.items()}
    orders = dict(
        row=row_order,
        random=lambda z: torch.rand(z.shape, generator=generator),
        solver=solver_order,
    )
    return dict(
        solutions=count.double().mean().item(),
        best_found=(1 - (1 - 1 / count) ** DRAWS).mean().item(),
        exact_drawn=exact_drawn(tests),
        forced={name: forced(*tests["one"], score) for name, score in orders.items()},
        calls=calls,
    )


def run(name, seed, tests, **options):
    """A row of the results: what one model does in every order that it can."""
    if name in READERS:
        model = MaskedDiffusion(Reader(READERS[name]), DIGITS)
        return dict(orders=measured_orders(model, tests, seed, repeats=20))
    model, record = trained(name, seed, **options)
    row = {key: record[key] for key in ("loss", "tokens")}
    row |= dict(steps=record["step"], parameters=parameters(model))
    if name not in AUTOREGRESSIVE:
        return row | dict(orders=measured_orders(model, tests, seed))
    (order, score), generator = AUTOREGRESSIVE[name], Generator().manual_seed(seed)
    ways = {
        order: (lambda puzzles: write(model, puzzles, generator), text_nll),
        f"{order}, cell given": (
            lambda puzzles: write_given(model, score, puzzles, generator),
            given_nll,
        ),
    }
    found = {
        way: measured(tests, filler, partial(nll, model, score))
        for way, (filler, nll) in ways.items()
    }
    return row | dict(orders=found)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="runs whose name begins so")
    only = parser.parse_args().only
    path = RESULTS / "sudoku.json"
    rows = json.loads(path.read_bytes())["runs"] if path.exists() else []
    tests = test_sets()
    facts = dict(sizes=SIZES, batch=BATCH, draws=DRAWS, tests=TESTS, **without_training(tests))
    jobs = [(name, 0) for name in READERS]
    jobs += [(name, s) for s in range(SEEDS) for name in (*AUTOREGRESSIVE, "diffusion")]
    for name, seed in jobs:
        if name.startswith(only) and not any((r["name"], r["seed"]) == (name, seed) for r in rows):
            rows.append(dict(name=name, seed=seed, **run(name, seed, tests)))
            save("sudoku", **facts, runs=rows)
            for order, found in rows[-1]["orders"].items():
                shown = ", ".join(f"{key} {value:.3f}" for key, value in found.items())
                print(f"{name}, seed {seed}, {order}: {shown}", flush=True)


if __name__ == "__main__":
    main()
