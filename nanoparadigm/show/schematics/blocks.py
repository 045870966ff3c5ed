"""Chapter 13: who sees whom in blocks, the two streams, the orders, and what a cache saves."""

from functools import partial
from itertools import combinations

from matplotlib.figure import Figure

from ..figures import GREY
from .canvas import INK, PAPER, Colour, arrow, circle, grid, sheet, tint, words
from .model import LEFT, ORANGE, SIZE, N, dot, heading, labels, squares

# ------------------------------------------------------------------------------- who sees whom


def earlier(S: int, i: int, j: int) -> bool:
    """Tell whether position j is in a block before that of i."""
    return j // S < i // S


def same(S: int, i: int, j: int) -> bool:
    """Tell whether positions i and j are in one block."""
    return j // S == i // S


def who_sees_whom() -> Figure:
    """Draw three grids: which tokens the prediction of each word reads, for three block lengths."""
    figure, axes = sheet(16.2, 7.1, scale=0.42)
    y, side = 1.55, N * SIZE
    says = [
        (1, "S = 1", "a GPT, word by word"),
        (4, "S = 4", "two blocks of four"),
        (8, "S = 8", "masked diffusion"),
    ]
    starts = [1.5, 6.55, 11.6]
    orders = ["1 order", "24 · 24 orders", "40,320 orders"]
    for x, (S, title, reads), below in zip(starts, says, orders, strict=True):
        heading(axes, x, y + side + 0.62, title, reads, (y - 0.45, below))
        squares(axes, x, y, partial(earlier, S), LEFT)
        squares(axes, x, y, partial(same, S), ORANGE)
        for i in range(N):
            dot(axes, x, y + side, i, i)
    labels(axes, starts, y, "columns: the tokens that its prediction reads; a dot: its own mask")
    return figure


# ---------------------------------------------------------------------------------- two streams


def two_streams() -> Figure:
    """Draw the attention mask of one pass over the clean text and the noisy one, S = 2."""
    figure, axes = sheet(16.2, 9.4, scale=0.42)
    size, S = 0.46, 2
    x, y, side = 1.7, 1.1, 2 * N * 0.46
    block = [i % N // S for i in range(2 * N)]
    clean = [i < N for i in range(2 * N)]
    rows = range(2 * N)
    before = [
        [
            0.75 * (clean[j] and (block[j] < block[i] or (clean[i] and block[j] == block[i])))
            for j in rows
        ]
        for i in rows
    ]
    own = [
        [0.75 * (not clean[i] and not clean[j] and block[j] == block[i]) for j in rows]
        for i in rows
    ]
    grid(axes, x, y, before, LEFT, size)
    grid(axes, x, y, own, ORANGE, size)
    for place in (0, 1):  # the lines between the streams
        low, high = (x + side / 2, y), (x + side / 2, y + side)
        if place:
            low, high = (x, y + side / 2), (x + side, y + side / 2)
        axes.plot(*zip(low, high, strict=True), color=INK, lw=1.8)
    for n, name in enumerate(("clean x", "noisy z")):
        words(axes, x + (n + 0.5) * side / 2, y + side + 0.35, name, size=12)
        words(axes, x - 0.4, y + side * (0.75 - n / 2), name, rotation=90, size=12)
    words(axes, 0.6, y + side / 2, "reads", rotation=90, size=11)
    words(axes, x + side / 2, 0.6, "is read", size=11)
    left = x + side + 0.5
    for height, colour, title, lines in (
        (
            8.1,
            LEFT,
            "clean reads clean:",
            ["its block and the blocks", "before: what a cache keeps"],
        ),
        (6.15, INK, "clean never reads noisy:", ["what is kept does", "not depend on noise"]),
        (4.2, LEFT, "noisy reads clean:", ["the blocks before its own,", "and never the answer"]),
        (2.25, ORANGE, "noisy reads noisy:", ["its own block"]),
    ):
        words(axes, left, height, title, colour, size=12, ha="left", weight="bold")
        for n, line in enumerate(lines):
            words(axes, left, height - 0.55 * (n + 1), line, size=11, ha="left")
    return figure


# --------------------------------------------------------------------------------------- orders


def lattice(S: int, length: int = 4) -> tuple[list[set[frozenset[int]]], list[tuple]]:
    """Return the sets of words shown after each step, and the arrows (set, larger set)."""
    layers: list[set[frozenset[int]]] = []
    for n in range(length + 1):
        full = frozenset(range(n // S * S))
        now = range(len(full), min(len(full) + S, length))
        layers.append({full | frozenset(more) for more in combinations(now, n % S)})
    pairs = zip(layers, layers[1:], strict=False)
    return layers, [(a, b) for low, high in pairs for a in low for b in high if a < b]


def orders() -> Figure:
    """Draw the ways to reveal four words, for three block lengths."""
    figure, axes = sheet(16.2, 10.6, scale=0.42)
    left, step = 1.0, 2.35
    rows: list[tuple[int, float, float, str, str, Colour]] = [
        (1, 9.3, 0.0, "S = 1: 1 order", "4 predictions", LEFT),
        (2, 7.1, 1.1, "S = 2: 2 · 2 orders", "8 predictions", ORANGE),
        (4, 3.2, 0.85, "S = 4: 24 orders", "32 predictions", ORANGE),
    ]
    for S, y, apart, title, says, colour in rows:
        layers, arrows = lattice(S)
        at = {}
        for n, layer in enumerate(layers):
            for i, shown in enumerate(sorted(layer, key=sorted)):
                at[shown] = (left + n * step, y + apart * ((len(layer) - 1) / 2 - i))
        for a, b in arrows:
            arrow(axes, at[a], at[b], colour, gap=0.24, lw=1.2, mutation_scale=9)
        for n, layer in enumerate(layers):
            for shown in layer:
                done = n % S == 0
                fill = tint(GREY, 0.5) if done else PAPER
                circle(axes, *at[shown], colour=INK if done else GREY, fill=fill, radius=0.2)
        words(axes, 11.3, y + 0.3, title, size=12, ha="left", weight="bold")
        words(axes, 11.3, y - 0.35, says, size=11, ha="left")
    words(axes, left - 0.6, 0.4, "nothing shown", size=11, ha="left")
    words(axes, left + 4 * step + 0.3, 0.4, "all four words", size=11, ha="center")
    return figure


# ----------------------------------------------------------------------------- what is computed


def what_is_computed() -> Figure:
    """Draw which positions each call computes: a GPT, blocks of four with a cache, diffusion."""
    figure, axes = sheet(16.2, 7.1, scale=0.42)
    y, side = 1.55, N * SIZE
    starts = [1.5, 6.55, 11.6]
    order = [2, 0, 3, 1, 5, 7, 4, 6]  # in which the words are revealed, two a call
    titles = [
        ("GPT, cached", "8 calls", "8 positions"),
        ("blocks of 4, cached", "4 calls", "20 positions"),
        ("one block of 8", "4 calls", "32 positions"),
    ]
    for x, (title, reads, total) in zip(starts, titles, strict=True):
        heading(axes, x, y + side + 0.42, title, reads, (y - 0.45, total))
    squares(axes, starts[0], y, lambda i, j: i == j, LEFT)
    fills = [[0.75 * (j // 4 == i // 2) for j in range(N)] for i in range(4)]
    keeps = [[0.75 * (i == 2 and j < 4) for j in range(N)] for i in range(4)]
    grid(axes, starts[1], y + side / 2, fills, ORANGE, SIZE)
    grid(axes, starts[1], y + side / 2, keeps, LEFT, SIZE)
    grid(axes, starts[2], y + side / 2, [[0.75] * N] * 4, ORANGE, SIZE)
    anywhere = [4, 1, 6, 3, 7, 0, 2, 5]
    for n in range(N):
        dot(axes, starts[0], y + side, n, n)
        dot(axes, starts[1], y + side, n // 2, order[n])
        dot(axes, starts[2], y + side, n // 2, anywhere[n])
    words(axes, 0.8, y + side / 2, "calls, from the first", rotation=90, size=11)
    below = "columns: positions; a dot: a word revealed; blue: computed once and kept"
    words(axes, starts[1] + side / 2, 0.35, below, size=11)
    return figure
