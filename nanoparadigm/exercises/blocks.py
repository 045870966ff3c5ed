"""Chapter 13, block diffusion."""

from itertools import permutations

import torch

from .fresh import telling
from .grader import Exercise, Mistake

# ---------------------------------------------------------------------------------- two streams


def two_stream_mask(L, S):
    place = torch.arange(L) // S
    before, same = place[:, None] > place, place[:, None] == place
    return parts(before | same, torch.zeros_like(same), before, same)


def two_stream_mask_by_asking(L, S):
    def sees(i, j):
        ours, theirs = i % L // S, j % L // S
        if i < L:
            return j < L and theirs <= ours
        return theirs < ours if j < L else theirs == ours

    return torch.tensor([[sees(i, j) for j in range(2 * L)] for i in range(2 * L)])


def parts(clean_clean, clean_noisy, noisy_clean, noisy_noisy):
    """Return the whole mask (2L, 2L) of four parts (L, L): who reads, and what is read."""
    rows = [clean_clean, clean_noisy], [noisy_clean, noisy_noisy]
    return torch.cat([torch.cat(row, 1) for row in rows])


def with_part(row, column, change):
    """Return an answer whose part in a row and a column of two by two is change(before, same)."""

    def answer(L, S):
        sees, place = two_stream_mask(L, S), torch.arange(L) // S
        before, same = place[:, None] > place, place[:, None] == place
        sees[row * L : (row + 1) * L, column * L : (column + 1) * L] = change(before, same)
        return sees

    return answer


def both_wrong(L, S):
    sees = with_part(1, 0, lambda before, same: before | same)(L, S)
    sees[L:, L:] = with_part(1, 1, lambda before, same: before | same)(L, S)[L:, L:]
    return sees


def one_long_text(L, S):
    place = torch.arange(2 * L) // S
    return place[:, None] >= place


def two_texts(L, S):
    place = torch.arange(L) // S
    sees = place[:, None] >= place
    return parts(sees, torch.zeros_like(sees), torch.zeros_like(sees), sees)


def noisy_first(L, S):
    return two_stream_mask(L, S).roll((L, L), (0, 1))


def reads(index, L, S):
    """Return what a number of the mask says, in words."""
    reader, read = (f"{'noisy' if n >= L else 'clean'} word {n % L}" for n in index)
    return f"in blocks of {S}, may {reader} read {read} (1 yes, 0 no)"


# ------------------------------------------------------------------------------- the exact number


def exact_block(p):
    n, S = p.shape
    chance = torch.ones(n, dtype=torch.float64)
    for a in range(1, n):
        hidden = [i for i in range(S) if a >> i & 1]
        chance[a] = sum(p[a, i] * chance[a - 2**i] for i in hidden) / len(hidden)
    return -chance[-1].log()


def costs_of_orders(p):
    """Return what each order of the words costs, nats."""
    n, S = p.shape
    costs = []
    for order in permutations(range(S)):
        hidden, cost = n - 1, 0.0
        for i in order:
            cost = cost - p[hidden, i].log()
            hidden -= 2**i
        costs.append(cost)
    return torch.stack(costs)


def exact_block_by_orders(p):
    costs = costs_of_orders(p)
    return torch.tensor(len(costs)).double().log() - (-costs).logsumexp(0)


def layer_by_layer(p):
    """Return what the mean probabilities of all predictions with 1, 2, ... masks cost together."""
    n, S = p.shape
    layers = [[] for _ in range(S)]
    for a in range(1, n):
        hidden = [i for i in range(S) if a >> i & 1]
        layers[len(hidden) - 1] += [p[a, i] for i in hidden]
    return -sum(torch.stack(layer).mean().log() for layer in layers)


def divided_by(number):
    """Return the recursion that divides by number(hidden words, S) in place of the first."""

    def answer(p):
        n, S = p.shape
        chance = torch.ones(n, dtype=torch.float64)
        for a in range(1, n):
            hidden = [i for i in range(S) if a >> i & 1]
            total = sum(p[a, i] * chance[a - 2**i] for i in hidden)
            chance[a] = total / number(len(hidden), S)
        return -chance[-1].log()

    return answer


def turned(p):
    """Return p with the bits of each set read from the other end."""
    n, S = p.shape
    return p[[int(f"{a:0{S}b}"[::-1], 2) for a in range(n)]]


# ------------------------------------------------------------------------------ one block a text


def one_block_bound(ce, masked, inside, blocks):
    hidden = masked & inside
    return blocks * inside.sum(1) / hidden.sum(1) * (ce * hidden).sum(1)


def one_block_bound_by_text(ce, masked, inside, blocks):
    means = [row[m & s].mean() for row, m, s in zip(ce, masked, inside, strict=True)]
    return torch.stack(means) * inside.sum(1) * blocks


def over_all_masks(ce, masked):
    return (ce * masked).sum(1) / masked.sum(1)


# -------------------------------------------------------------------------------------- positions


def block_positions(L, S, m):
    return L * S // m + L - S


def block_positions_by_calls(L, S, m):
    total = 0
    for start in range(0, L, S):
        for call in range(S // m):
            total += 2 * S if start and not call else S
    return total


# ------------------------------------------------------------------------------------ out of date


def out_of_date(sees, changed, layers):
    for _ in range(layers):
        changed = changed | (sees & changed).any(1)
    return changed


def out_of_date_by_paths(sees, changed, layers):
    step = (sees | torch.eye(len(sees), dtype=torch.bool)).double()
    return torch.linalg.matrix_power(step, layers) @ changed.double() > 0


def without_their_own(sees, changed, layers):
    for _ in range(layers):
        changed = (sees & changed).any(1)
    return changed


# ------------------------------------------------------------------------------------- the cases


def uniforms(*shape, seed=0):
    return torch.rand(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def predictions(S, seed):
    """Return p(word i | the words of a block that are not in a set) (2^S, S), by set and word."""
    return 0.05 + 0.9 * uniforms(2**S, S, seed=seed)


def some_predictions(seed):
    return [(predictions(S, seed + S),) for S in (2, 3, 4)]


def the_best_order_is_another(cases):
    """Tell whether it is neither from left to right nor from right to left on all cases."""
    costs = [costs_of_orders(p) for (p,) in cases]
    return all(any(c[place] > c.min() + 1e-3 for c in costs) for place in (0, -1))


def drawn_blocks(L, S, seed, rows=5):
    """Return the arguments of `one_block_bound` for texts of L words."""
    g = torch.Generator().manual_seed(seed)
    blocks = -(-L // S)
    mine = torch.arange(rows)[:, None] % blocks
    place = torch.arange(L) // S
    inside = place == mine
    masked = (torch.rand(rows, L, generator=g) < 0.6) & inside
    first = inside & (inside.cumsum(1) == 1)
    masked = torch.where(masked.any(1, keepdim=True), masked, first) | (place > mine)
    return 0.2 + 2 * uniforms(rows, L, seed=seed + 50), masked, inside, blocks


def window(L, before, after):
    """Return who reads whom (L, L) where each word reads those from i - before to i + after."""
    ahead = torch.arange(L) - torch.arange(L)[:, None]
    return (-before <= ahead) & (ahead <= after)


def one_of(L, i):
    """Return bool (L,), true at position i."""
    return torch.arange(L) == i


def readers(seed):
    """Return the arguments of `out_of_date` for five ways to read."""
    place, L = torch.arange(9) // 3, 14 + seed % 19
    scattered = uniforms(8, 8, seed=seed + 3) < 0.15
    return [
        (window(12 + seed % 13, 1, 1), one_of(12 + seed % 13, 5), 3),
        (window(10, 2, -1), one_of(10, 2 + seed % 3), 2),  # as a GPT after its shift by one
        (place[:, None] >= place, one_of(9, 3 + seed % 3), 2),
        (scattered | one_of(8, 6)[:, None] & one_of(8, 1), one_of(8, 1) | one_of(8, 4), 2),
        (window(L, 0, 2), one_of(L, 9 + seed % 4), 1 + seed % 2),
    ]


EXERCISES = {
    "two_stream_mask": Exercise(
        two_stream_mask,
        two_stream_mask_by_asking,
        {
            "sees the answer": Mistake(
                with_part(1, 0, lambda before, same: before | same),
                "Your noisy words read the clean text of their own block, which holds the answer: "
                "let them read the clean blocks before it only.",
            ),
            "sees the answer, and noisy blocks before": Mistake(
                both_wrong,
                "Your noisy words read what their clean copies read, in both streams: give them "
                "the clean blocks before their own, and the noisy text of their own block only.",
            ),
            "no clean text": Mistake(
                with_part(1, 0, lambda before, same: torch.zeros_like(same)),
                "Your noisy words read no clean text: a block depends on the clean blocks before.",
            ),
            "all of the clean text": Mistake(
                with_part(1, 0, lambda before, same: torch.ones_like(same)),
                "Your noisy words read the whole clean text, later blocks and the answer too: let "
                "them read the clean blocks before their own.",
            ),
            "all clean blocks but its own": Mistake(
                with_part(1, 0, lambda before, same: ~same),
                "Your noisy words read later clean blocks too, which are not there yet when the "
                "model writes: only those before.",
            ),
            "noisy blocks before": Mistake(
                with_part(1, 1, lambda before, same: before | same),
                "Your noisy words read the noisy text of earlier blocks: when a block is written, "
                "the blocks before it are finished, so they read the clean text there.",
            ),
            "all of the noisy text": Mistake(
                with_part(1, 1, lambda before, same: torch.ones_like(same)),
                "Your noisy words read all noisy text: in that stream each reads its own block.",
            ),
            "each word alone": Mistake(
                with_part(1, 1, lambda before, same: torch.eye(len(same), dtype=torch.bool)),
                "Your noisy words read only themselves in the noisy stream: they read their whole "
                "block, where other words may be visible.",
            ),
            "causal inside a block": Mistake(
                with_part(1, 1, lambda before, same: same.tril()),
                "Inside a block your noisy words read only what stands before them: a block is "
                "masked diffusion, which reads both sides.",
            ),
            "clean text causal": Mistake(
                with_part(0, 0, lambda before, same: (before | same).tril()),
                "Your clean words read no word after them in their own block. Then they are not "
                "what the network computes of a finished block, which reads all of itself.",
            ),
            "clean text sees all": Mistake(
                with_part(0, 0, lambda before, same: torch.ones_like(same)),
                "Your clean words read later blocks. What is computed of a block would then change "
                "when later blocks are written, and noisy words would learn of the answer.",
            ),
            "clean text without its own block": Mistake(
                with_part(0, 0, lambda before, same: before),
                "Your clean words do not read their own block: they read it and the blocks before.",
            ),
            "clean text sees its block alone": Mistake(
                with_part(0, 0, lambda before, same: same),
                "Your clean words read their own block and nothing before: let them read the "
                "blocks before it too.",
            ),
            "clean text sees noise": Mistake(
                with_part(0, 1, lambda before, same: same),
                "Your clean words read noisy ones: what is kept of a finished block must not "
                "depend on noise.",
            ),
            "one long text": Mistake(
                one_long_text,
                "You take the two streams for one text of 2 L words in blocks: word i of the noisy "
                "stream stands at position L + i and belongs to block i // S.",
            ),
            "two texts": Mistake(
                two_texts,
                "Your streams do not see each other: a noisy word reads the clean text of the "
                "blocks before its own, in place of their noisy text.",
            ),
            "noisy first": Mistake(
                noisy_first,
                "Your streams are in the other order: the clean text comes first, in rows and in "
                "columns.",
            ),
            "transposed": Mistake(
                lambda L, S: two_stream_mask(L, S).T,
                "Your mask is transposed: row i says what position i reads.",
            ),
            "forbidden": Mistake(
                lambda L, S: ~two_stream_mask(L, S),
                "Yours is true where reading is forbidden: make it true where it is allowed.",
            ),
            "to be added": Mistake(
                lambda L, S: torch.where(two_stream_mask(L, S), 0.0, -torch.inf),
                "This is a mask to be added to the scores, 0 and minus infinity: return True where "
                "reading is allowed and False elsewhere.",
            ),
            "S blocks": Mistake(
                lambda L, S: two_stream_mask(L, -(-L // S)),
                "You make S blocks: S is how many words a block has, so word i is in block i // S.",
            ),
        },
        cases=lambda seed=0: [
            (8 + 2 * (seed % 9), 2),
            (7 + 3 * (seed % 5), 3),
            (6 + seed % 7, 4),
            (5 + seed % 4, 1),
        ],
        says=reads,
    ),
    "exact_block": Exercise(
        exact_block,
        exact_block_by_orders,
        {
            "the bound": Mistake(
                lambda p: costs_of_orders(p).mean(),
                "This is the bound: the mean cost of the orders. Average the probabilities of the "
                "orders, and take the logarithm of that mean at the end.",
            ),
            "left to right": Mistake(
                lambda p: costs_of_orders(p)[0],
                "You follow one order only, from left to right: average the probability over all.",
            ),
            "right to left": Mistake(
                lambda p: costs_of_orders(p)[-1],
                "You follow one order only, from right to left: average the probability over all.",
            ),
            "the best order": Mistake(
                lambda p: costs_of_orders(p).min(),
                "You take the cheapest order, which is chosen after seeing the words: such numbers "
                "do not add up to one over all blocks. The order is drawn at random.",
            ),
            "layer by layer": Mistake(
                layer_by_layer,
                "You average over all sets of k masks, and multiply these averages: average the "
                "products along the orders. Which sets come next depends on the set before.",
            ),
            "all at once": Mistake(
                lambda p: -p[-1].log().sum(),
                "You draw all words in one call, with everything hidden: each word is drawn given "
                "those already revealed.",
            ),
            "the sum over orders": Mistake(
                divided_by(lambda k, S: 1),
                "You add up the probabilities of all orders: each order has the same chance, so "
                "divide by the number of hidden words in every step.",
            ),
            "divided by S": Mistake(
                divided_by(lambda k, S: S),
                "You divide by S in every step: the next word is one of those still hidden, so "
                "divide by their number.",
            ),
            "nothing at the start": Mistake(
                lambda p: torch.tensor(torch.inf),
                "Your probability is 0: begin with 1 for the empty set, where nothing is left to "
                "fill.",
            ),
            "the bits turned round": Mistake(
                lambda p: exact_block(turned(p)),
                "You read the sets from the other end: word i is hidden in set a if bit i of a is "
                "set, `a >> i & 1`.",
            ),
            "shown for hidden": Mistake(
                lambda p: exact_block(p.flip(0)),
                "You take a for the set of the words that are shown: it is the set of those that "
                "are hidden.",
            ),
            "a probability": Mistake(
                lambda p: (-exact_block(p)).exp(),
                "This is the probability of the block: return minus its logarithm, in nats.",
            ),
            "the sign": Mistake(
                lambda p: -exact_block(p),
                "This is log p: return -log p, which is positive.",
            ),
            "a word": Mistake(
                lambda p: exact_block(p) / p.shape[1],
                "This is nats a word: return those of the whole block.",
            ),
        },
        cases=lambda seed=0: telling(seed, some_predictions, the_best_order_is_another),
    ),
    "one_block_bound": Exercise(
        one_block_bound,
        one_block_bound_by_text,
        {
            "both bugs": Mistake(
                lambda ce, masked, inside, blocks: ce.shape[1] * over_all_masks(ce, masked),
                "This is the function as it was given. Ask which of the masks belong to the block, "
                "and what the factor is when the last block is shorter.",
            ),
            "later masks count": Mistake(
                lambda ce, masked, inside, blocks: (
                    blocks * inside.sum(1) * over_all_masks(ce, masked)
                ),
                "The factor is right now; but masks after the block are no targets: their blocks "
                "have terms of their own. Keep masked & inside.",
            ),
            "L for the block": Mistake(
                lambda ce, masked, inside, blocks: (
                    ce.shape[1] * over_all_masks(ce, masked & inside)
                ),
                "The targets are right now; but every block is drawn with the same chance, so a "
                "text weighs (number of blocks) x (length of its block), not L.",
            ),
            "later masks in k": Mistake(
                lambda ce, masked, inside, blocks: (
                    blocks * inside.sum(1) / masked.sum(1) * (ce * (masked & inside)).sum(1)
                ),
                "Your k counts the masks after the block too: it is the number of masks inside.",
            ),
            "later masks in the sum": Mistake(
                lambda ce, masked, inside, blocks: (
                    blocks * inside.sum(1) / (masked & inside).sum(1) * (ce * masked).sum(1)
                ),
                "Your sum includes masks after the block, though k does not: only masks inside are "
                "targets.",
            ),
            "one block": Mistake(
                lambda ce, masked, inside, blocks: (
                    inside.sum(1) * over_all_masks(ce, masked & inside)
                ),
                "This is the bound of the block that was drawn: multiply by the number of blocks, "
                "of which it is one.",
            ),
            "the mean of the masks": Mistake(
                lambda ce, masked, inside, blocks: blocks * over_all_masks(ce, masked & inside),
                "You take the mean over the masks of the block: multiply by the length of the "
                "block too, as in the bound.",
            ),
            "divided by the block": Mistake(
                lambda ce, masked, inside, blocks: blocks * (ce * (masked & inside)).sum(1),
                "You do not divide by the number of masks: the cost of k masks is their mean.",
            ),
            "visible words count": Mistake(
                lambda ce, masked, inside, blocks: blocks * (ce * inside).sum(1),
                "You add up all words of the block: a visible word costs nothing, and what `ce` "
                "holds there is no cost.",
            ),
            "an average over texts": Mistake(
                lambda *case: one_block_bound(*case).mean(),
                "You average over the texts: return one number for each.",
            ),
            "a word": Mistake(
                lambda ce, masked, inside, blocks: (
                    one_block_bound(ce, masked, inside, blocks) / ce.shape[1]
                ),
                "This is nats a word: return those of the whole text.",
            ),
        },
        cases=lambda seed=0: [
            drawn_blocks(7, 3, seed),
            drawn_blocks(8, 4, seed + 1),
            drawn_blocks(5, 2, seed + 2),
        ],
    ),
    "block_positions": Exercise(
        block_positions,
        block_positions_by_calls,
        {
            "nothing kept": Mistake(
                lambda L, S, m: L * S // m,
                "You count the calls on masks only: the keys of a block that is finished must be "
                "computed from its words, S positions more for each block but the last.",
            ),
            "the last one too": Mistake(
                lambda L, S, m: L * S // m + L,
                "You keep the last block too: no block reads it, so its words are never computed.",
            ),
            "one position to keep a block": Mistake(
                lambda L, S, m: L * S // m + L // S - 1,
                "You add one position for each block that is kept: it has S words, and each needs "
                "its keys and values.",
            ),
            "no cache, up to the block": Mistake(
                lambda L, S, m: S // m * S * (L // S) * (L // S + 1) // 2,
                "This is without a cache: each call would read all blocks up to its own again.",
            ),
            "no cache, the whole text": Mistake(
                lambda L, S, m: L * L // m,
                "This is masked diffusion of the whole text, L positions in every call: here a "
                "call computes the positions of one block.",
            ),
            "the calls": Mistake(
                lambda L, S, m: L // m,
                "This is the number of calls: count the positions that they compute.",
            ),
            "a GPT": Mistake(
                lambda L, S, m: L,
                "L positions are what a GPT computes: here every call on a block computes all S "
                "positions of it.",
            ),
            "one word a call": Mistake(
                lambda L, S, m: L * S + L - S,
                "You count S calls for a block: with m words a call there are S / m.",
            ),
            "m positions a call": Mistake(
                lambda L, S, m: L + L - S,
                "You count m positions a call, those that are revealed: the network computes all S "
                "positions of the block.",
            ),
            "one call a block": Mistake(
                lambda L, S, m: 2 * L - S if m < S else L * S // m,
                "You count one call for each block: it takes S / m calls, each of S positions.",
            ),
        },
        cases=lambda seed=0: [
            (32 + 8 * (seed % 7), 8, 2),
            (24 + 4 * (seed % 5), 4, 1),
            (24 + 12 * (seed % 4), 6, 3),
            (16, 16, 4),
            (12 + seed % 11, 1, 1),
        ],
    ),
    "out_of_date": Exercise(
        out_of_date,
        out_of_date_by_paths,
        {
            "the other way": Mistake(
                lambda sees, changed, layers: out_of_date(sees.T, changed, layers),
                "You follow the arrows the wrong way: row i of `sees` says what position i reads, "
                "so i is out of date if it reads one that is.",
            ),
            "both ways": Mistake(
                lambda sees, changed, layers: out_of_date(sees | sees.T, changed, layers),
                "You let a change go both ways: it passes from what is read (column) to what reads "
                "it (row), and not back.",
            ),
            "one layer": Mistake(
                lambda sees, changed, layers: out_of_date(sees, changed, 1),
                "This is after one layer: in the next one, whatever reads a position that is out "
                "of date is out of date as well.",
            ),
            "one layer too few": Mistake(
                lambda sees, changed, layers: out_of_date(sees, changed, layers - 1),
                "This is one layer too few: before the first layer only the changed tokens are out "
                "of date, and after each layer what reads them too.",
            ),
            "one layer too many": Mistake(
                lambda sees, changed, layers: out_of_date(sees, changed, layers + 1),
                "This is one layer too many: before the first layer only the changed tokens are "
                "out of date.",
            ),
            "until nothing changes": Mistake(
                lambda sees, changed, layers: out_of_date(sees, changed, len(sees)),
                "You go on until nothing changes any more: a change travels one reading further "
                "in each layer, and there are only `layers` of them.",
            ),
            "without their own": Mistake(
                without_their_own,
                "You forget that a layer adds to a vector: what was out of date before it is so "
                "after it, even where a position does not read itself.",
            ),
            "what was changed": Mistake(
                lambda sees, changed, layers: out_of_date(sees, changed, layers) & ~changed,
                "You leave out the changed tokens: their own vectors are out of date first.",
            ),
            "the changed tokens": Mistake(
                lambda sees, changed, layers: changed,
                "You return the changed tokens alone: whatever reads them has changed too.",
            ),
            "all that follow": Mistake(
                lambda sees, changed, layers: changed.cumsum(0) > 0,
                "You return everything after the first changed token, which is right for a causal "
                "network only: ask `sees` who reads what.",
            ),
            "everything": Mistake(
                lambda sees, changed, layers: torch.ones_like(changed),
                "You return every position, which is right for a network where all read all: ask "
                "`sees` who reads what.",
            ),
            "up to date": Mistake(
                lambda sees, changed, layers: ~out_of_date(sees, changed, layers),
                "Yours is true where a vector is still right: make it true where it is out of "
                "date.",
            ),
        },
        cases=lambda seed=0: readers(seed),
        says=lambda index, *case: f"is position {index[0]} out of date (1 yes, 0 no)",
    ),
}
