"""Chapter 4: the cube of masks, its layers, and the three terms of the diffusion bound."""

from functools import cache
from itertools import combinations

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from ...language.grammar import tiny
from ..figures import GREY, PALETTE
from .canvas import INK, PAPER, arrow, rounded, sheet, words

TEXT = (0, 2, 1)  # a c b, of the tiny language
MASK = 3
CELL = 0.58  # the side of a token, in units
COLUMNS = (1.1, 4.37, 7.63, 10.9)  # where the nodes with 0, 1, 2, 3 words visible stand
ROWS = (7.3, 4.75, 2.2)

Seen = tuple[int, ...]  # the positions that are visible, in order


@cache
def cost(seen: Seen, i: int) -> float:
    """Return -log p(word i | the words seen) of TEXT, nats, by the exact posterior."""
    z = torch.tensor([[TEXT[j] if j in seen else MASK for j in range(3)]])
    return -float(tiny().posterior(z)[0, i, TEXT[i]].log())


def places() -> dict[Seen, tuple[float, float]]:
    """Return visible positions -> where that node of the cube stands."""
    at: dict[Seen, tuple[float, float]] = {}
    for n, x in enumerate(COLUMNS):
        nodes = list(combinations(range(3), n))
        rows = ROWS if len(nodes) == 3 else (ROWS[1],)
        at |= {seen: (x, y) for seen, y in zip(nodes, rows, strict=True)}
    return at


def node(axes: Axes, x: float, y: float, seen: Seen) -> None:
    """Draw a text of three words around (x, y), what is masked as a dark square."""
    for i, v in enumerate(TEXT):
        left, below = x + (i - 1.5) * CELL, y - CELL / 2
        fill = PAPER if i in seen else GREY
        square = Rectangle((left, below), CELL, CELL, fc=fill, ec=INK, lw=1.0, zorder=3)
        axes.add_patch(square)
        if i in seen:
            words(axes, left + CELL / 2, y - 0.03, "abc"[v], size=14, zorder=4)


def edges() -> list[tuple[Seen, int, Seen]]:
    """Return the twelve arrows of the cube as (visible before, revealed, visible after)."""
    return [
        (seen, i, tuple(sorted((*seen, i)))) for seen in places() for i in range(3) if i not in seen
    ]


def draw_cube(axes: Axes, paths: dict[str, tuple[int, ...]], lift: float = 0.0) -> None:
    """Draw nodes and priced arrows, those of each path (colour -> order) in its colour."""
    at = {seen: (x, y + lift) for seen, (x, y) in places().items()}
    paint = {}
    for colour, order in paths.items():
        for n, i in enumerate(order):
            paint[tuple(sorted(order[:n])), i] = colour
    for seen, i, after in edges():
        (x, y), (u, v) = at[seen], at[after]
        colour = paint.get((seen, i), GREY)
        start, end = (x + 1.5 * CELL + 0.05, y), (u - 1.5 * CELL - 0.05, v)
        arrow(axes, start, end, colour, lw=2.4 if (seen, i) in paint else 1.1, zorder=1)
        share = 0.5 if len(seen) != 1 else (0.5 if y == v else 0.27)  # beside where arrows cross
        above = 0.0 if y != v else (-0.34 if y < at[()][1] else 0.32)
        place = (start[0] + share * (u - x - 3 * CELL), y + share * (v - y) + above)
        ink = colour if (seen, i) in paint else INK
        box = dict(facecolor=PAPER, edgecolor="none", pad=0.8)
        words(axes, *place, f"{cost(seen, i):.2f}", ink, 12, bbox=box, zorder=2)
    for seen, (x, y) in at.items():
        node(axes, x, y, seen)


def total(order: tuple[int, ...]) -> str:
    """Return the chain rule in that order as a sum."""
    terms = [cost(tuple(sorted(order[:n])), i) for n, i in enumerate(order)]
    return f"{' + '.join(f'{term:.2f}' for term in terms)} = {sum(terms):.2f}"


def cube() -> Figure:
    """Draw the eight masks of a three-word text: every path is a chain rule, and costs the same."""
    figure, axes = sheet(12, 9.5)
    first, second = PALETTE["ar"], PALETTE["diffusion"]
    draw_cube(axes, {first: (0, 1, 2), second: (2, 1, 0)}, lift=1.2)
    words(axes, COLUMNS[0], 6.7, "all masked", size=12)
    words(axes, COLUMNS[3], 6.7, "clear", size=12)
    words(axes, 6.0, 1.75, f"left to right: {total((0, 1, 2))}", first, 13)
    words(axes, 6.0, 0.85, f"right to left: {total((2, 1, 0))}", second, 13)
    return figure


def layers() -> Figure:
    """Draw the cube by the number of masks: every path crosses each layer once."""
    figure, axes = sheet(12, 9.5)
    colour = PALETTE["diffusion"]
    means = []
    for n in range(3):
        left, right = COLUMNS[n] + 1.5 * CELL, COLUMNS[n + 1] - 1.5 * CELL
        middle = (left + right) / 2
        how = dict(fc=colour, ec="none", alpha=0.14, zorder=0)
        rounded(axes, middle, 5.925, right - left - 0.04, 6.85, 0.15, **how)
        layer = [cost(seen, i) for seen, i, _ in edges() if len(seen) == n]
        means.append(sum(layer) / len(layer))
        words(axes, middle, 2.05, f"{3 - n} mask{'s' if n < 2 else ''}", size=12)
        words(axes, middle, 1.4, f"mean {means[-1]:.2f}", size=13)
    draw_cube(axes, {}, lift=1.2)
    sums = " + ".join(f"{mean:.2f}" for mean in means)
    words(axes, 6.0, 0.45, f"{sums} = {sum(means):.2f}", colour, 14)
    return figure


def terms() -> Figure:
    """Draw the path from text to masks and back, and where each term of the bound sits on it."""
    figure, axes = sheet(12, 6.6)
    back = PALETTE["diffusion"]
    places = {0.8: "$x$", 3.2: "$z_0$", 5.2: "$z_s$", 7.2: "$z_t$", 9.2: "$z_1$"}
    y = 3.6
    for x, label in places.items():
        box = Rectangle((x - 0.5, y - 0.5), 1.0, 1.0, fc=PAPER, ec=INK, lw=1.2, zorder=3)
        axes.add_patch(box)
        words(axes, x, y, label, size=15, zorder=4)
    xs = list(places)
    for a, b in zip(xs, xs[1:], strict=False):
        arrow(axes, (a + 0.4, y + 0.55), (b - 0.4, y + 0.55), GREY, bend=-0.45, lw=1.8)
        arrow(axes, (b - 0.4, y - 0.55), (a + 0.4, y - 0.55), back, bend=-0.45, lw=1.8)
    words(axes, 5.2, 5.65, "noise $q$: words turn into masks", size=13)
    words(axes, 5.2, 2.05, r"model $p_\theta$: masks turn into words", back, size=13)
    arrow(axes, (11.3, y), (9.8, y), back, lw=1.8)
    words(axes, 10.55, y + 0.45, "$p(z_1)$", back, size=12)
    for left, right, name, why in (
        (0.3, 3.1, "reconstruction", r"0 if $\alpha(0) = 1$"),
        (3.4, 8.9, "steps", "the bound"),
        (9.2, 11.7, "prior", r"0 if $\alpha(1) = 0$"),
    ):
        axes.plot([left, left, right, right], [1.5, 1.35, 1.35, 1.5], color=INK, lw=1.2)
        words(axes, (left + right) / 2, 0.95, name, size=13)
        words(axes, (left + right) / 2, 0.35, why, size=12)
    return figure
