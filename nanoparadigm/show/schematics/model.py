"""Chapter 5: who sees whom, a hollow network from inside, and what a text costs to write."""

from collections.abc import Callable, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle

from ..figures import COLOURS, GREY, PALETTE
from .canvas import INK, PAPER, Colour, arrow, circle, grid, sheet, tint, token, words

N = 8  # words of the texts drawn here
LEFT, RIGHT = COLOURS[0], COLOURS[2]  # the readers from the left and from the right
ORANGE = PALETTE["diffusion"]
SIZE = 0.5  # of a square

# ------------------------------------------------------------------------------- who sees whom


def squares(
    axes: Axes, x: float, y: float, sees: Callable[[int, int], bool], colour: Colour
) -> None:
    """Draw an N x N grid, its lower left corner at (x, y), with the (row, column) that `sees`."""
    cells = [[0.75 * sees(i, j) for j in range(N)] for i in range(N)]
    grid(axes, x, y, cells, colour, SIZE)


def heading(
    axes: Axes, x: float, top: float, title: str, says: str, below: tuple[float, str]
) -> None:
    """Write a title and what it says above a grid that ends at `top`, and (y, words) below it."""
    middle = x + N * SIZE / 2
    words(axes, middle, top + 0.58, title, weight="bold", size=12)
    words(axes, middle, top, says, size=11)
    words(axes, middle, *below, size=11)


def dot(axes: Axes, x: float, y: float, row: float, column: float) -> None:
    """Mark a square of the grid whose upper left corner is (x, y)."""
    place = x + (column + 0.5) * SIZE, y - (row + 0.5) * SIZE
    axes.add_patch(Circle(place, 0.12, fc=PAPER, ec=INK, lw=0.8))


def labels(axes: Axes, starts: Sequence[float], y: float, below: str) -> None:
    """Write what rows and columns are: grids of N x N, their lower left corners (x, y)."""
    side = N * SIZE
    for i in (0, N - 1):
        for x in starts:
            words(axes, x + (i + 0.5) * SIZE, y + side + 0.18, str(i + 1), size=10)
        words(axes, 1.2, y + side - (i + 0.5) * SIZE, str(i + 1), size=10)
    words(axes, 0.45, y + side / 2, "the word predicted", rotation=90, size=11)
    words(axes, starts[1] + side / 2, 0.35, below, size=11)


def who_sees_whom() -> Figure:
    """Draw three grids: which tokens the prediction of each word reads."""
    figure, axes = sheet(16.2, 7.1, scale=0.42)
    y, side = 1.55, N * SIZE
    starts = [1.5, 6.55, 11.6]
    says = [
        ("causal", "the words before", "every word is a target"),
        ("bidirectional", "every token, its own too", "only masked words are"),
        ("hollow", "every token but its own", "every word is a target"),
    ]
    for x, (title, reads, lesson) in zip(starts, says, strict=True):
        heading(axes, x, y + side + 0.62, title, reads, (y - 0.45, lesson))
    squares(axes, starts[0], y, lambda i, j: j < i, LEFT)
    squares(axes, starts[1], y, lambda i, j: True, ORANGE)
    squares(axes, starts[2], y, lambda i, j: j < i, LEFT)
    squares(axes, starts[2], y, lambda i, j: j > i, RIGHT)
    for i in range(N):  # the token where the word itself is or was
        dot(axes, starts[1], y + side, i, i)
    labels(axes, starts, y, "columns: the tokens that its prediction reads")
    return figure


# --------------------------------------------------------------------------- a hollow network


def two_readers() -> Figure:
    """Draw the readers of a hollow network, which meet at the word that neither has seen."""
    text = ["some", "wee", "hens", "____", ".", "a", "cow", "eats"]
    figure, axes = sheet(16, 6.6, scale=0.42)
    at = [1.1 + 1.97 * i for i in range(N)]
    low, high, top = 0.75, 2.9, 5.0
    here = 3  # the word to be predicted, counted from 0
    for i, (x, word) in enumerate(zip(at, text, strict=True)):
        fill = tint(GREY, 0.15) if i == here else "none"
        token(axes, x, low, word, fill=fill, width=1.6, height=0.8)
    y = high
    for path, colour in ((range(here), LEFT), (range(N - 1, here, -1), RIGHT)):
        spots = [at[i] for i in path]
        for x in spots:
            arrow(axes, (x, low + 0.42), (x, y - 0.28), colour, lw=1.2)
            circle(axes, x, y, colour=colour, fill=tint(colour, 0.3), radius=0.26)
        for a, b in zip(spots, spots[1:], strict=False):
            arrow(axes, (a, y), (b, y), colour, gap=0.3)
        arrow(axes, (spots[-1], y), (at[here], top), colour, gap=0.36)
    circle(axes, at[here], top, "+", colour=INK, radius=0.34)
    arrow(axes, (at[here] + 0.36, top), (at[here] + 1.75, top), INK)
    words(axes, at[here] + 1.95, top, "what may stand here", ha="left")
    words(axes, 0.35, high + 0.8, "reads from the left", LEFT, ha="left")
    words(axes, 15.75, high + 0.8, "reads from the right", RIGHT, ha="right")
    words(axes, at[here], 6.05, "they meet, and neither has read the token in the gap")
    return figure


# ----------------------------------------------------------------------------- what is computed


def what_is_computed() -> Figure:
    """Draw which positions each call of a network computes, of a GPT and of a masked diffusion."""
    figure, axes = sheet(16.2, 7.1, scale=0.42)
    y, side = 1.55, N * SIZE
    starts = [1.5, 6.55, 11.6]
    order = [4, 1, 6, 3, 7, 0, 2, 5]  # in which the words are revealed
    titles = [
        ("GPT with a cache", "one new position a call", "8 positions"),
        ("one word a call", "all positions, 8 calls", "64 positions"),
        ("two words a call", "all positions, 4 calls", "32 positions"),
    ]
    for x, (title, reads, total) in zip(starts, titles, strict=True):
        heading(axes, x, y + side + 0.42, title, reads, (y - 0.45, total))
    squares(axes, starts[0], y, lambda i, j: i == j, LEFT)
    squares(axes, starts[1], y, lambda i, j: True, ORANGE)
    grid(axes, starts[2], y + side / 2, [[0.75] * N] * (N // 2), ORANGE, SIZE)
    for call, place in enumerate(order):
        for x, row in ((starts[1], call), (starts[2], call // 2)):
            dot(axes, x, y + side, row, place)
    for i in range(N):
        dot(axes, starts[0], y + side, i, i)
    words(axes, 0.8, y + side / 2, "calls, from the first", rotation=90, size=11)
    words(
        axes, starts[1] + side / 2, 0.35, "columns: positions; a dot: the word it reveals", size=11
    )
    return figure
