"""Chapter 11: a Mamba block, the shapes inside its scan, and a text cut into chunks."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from ..figures import COLOURS, GREY
from .canvas import INK, Colour, arrow, circle, grid, rounded, sheet, tint, words

BLUE, ORANGE, GREEN, PINK = COLOURS[:4]

# ----------------------------------------------------------------------------------- the block


def box(
    axes: Axes, x: float, y: float, text: str, colour: Colour, width: float = 3.0, height: float = 1
) -> None:
    """Draw a part of the block around (x, y)."""
    rounded(axes, x, y, width, height, 0.2, ec=colour, fc=tint(colour, 0.18))
    words(axes, x, y, text)


def block() -> Figure:
    """Draw a Mamba block, from the word's vector at the bottom to the new one at the top."""
    figure, axes = sheet(13, 13.4, scale=0.42)
    left, right, middle = 4.6, 9.6, 7.1
    ys = dict(inp=2.5, conv=4.5, silu=6.1, scan=8.3, gate=10.2, out=11.8)
    box(axes, middle, ys["inp"], "in projection,  D to 2 E", GREY, width=8)
    box(axes, left, ys["conv"], "short convolution", BLUE, width=4.4)
    box(axes, left, ys["silu"], "SiLU", GREY, width=2)
    box(axes, left, ys["scan"], "selective scan", ORANGE, width=4.4, height=1.2)
    box(axes, right, ys["silu"], "SiLU", GREY, width=2)
    circle(axes, left, ys["gate"], "×", INK, radius=0.38)
    box(axes, left, ys["out"], "out projection,  E to D", GREY, width=5.4)
    arrow(axes, (middle, 0.9), (middle, ys["inp"] - 0.5))
    for x, top in ((left, ys["conv"] - 0.5), (right, ys["silu"] - 0.5)):
        arrow(axes, (x, ys["inp"] + 0.5), (x, top))
    arrow(axes, (left, ys["conv"] + 0.5), (left, ys["silu"] - 0.5))
    arrow(axes, (left, ys["silu"] + 0.5), (left, ys["scan"] - 0.6))
    arrow(axes, (left, ys["scan"] + 0.6), (left, ys["gate"] - 0.38))
    arrow(axes, (left, ys["gate"] + 0.38), (left, ys["out"] - 0.5))
    axes.plot([right, right], [ys["silu"] + 0.5, ys["gate"]], color=GREY, lw=1.5)
    arrow(axes, (right, ys["gate"]), (left + 0.38, ys["gate"]))
    arrow(axes, (left, ys["out"] + 0.5), (left, 13.2))
    words(axes, middle, 0.5, "the normalised vector of each word,  D numbers")
    words(axes, left - 0.3, 3.45, "x", ha="right")
    words(axes, right + 0.3, 3.45, "z, the gate", ha="left")
    words(axes, left + 0.35, 7.2, "x  gives  Δ, B and C", ORANGE, ha="left")
    words(axes, left + 0.35, 9.3, "y + D x", ha="left")
    words(axes, left + 0.35, 12.85, "added to the residual stream", ha="left")
    words(axes, 1.2, 5.3, "mixes", BLUE)
    words(axes, 1.2, 4.7, "4 words", BLUE)
    words(axes, 1.2, 8.9, "mixes", ORANGE)
    words(axes, 1.2, 8.3, "all words", ORANGE)
    words(axes, 1.2, 7.7, "before", ORANGE)
    return figure


# ----------------------------------------------------------------------------------- the shapes


def shapes() -> Figure:
    """Draw the state after a word, E channels x N states, and what has which size."""
    figure, axes = sheet(15, 10, scale=0.42)
    E, N, size = 6, 4, 0.8
    x, y = 5.2, 2.2
    cells = [[0.12 + 0.6 * (((3 * i + 5 * j) % 7) / 7) for j in range(N)] for i in range(E)]
    grid(axes, x, y, cells, GREY, size)
    grid(axes, x - 1.9, y, [[0.55]] * E, ORANGE, size)
    grid(axes, x - 3.5, y, [[0.55]] * E, BLUE, size)
    grid(axes, x, y + E * size + 0.7, [[0.55] * N], GREEN, size)
    grid(axes, x, y - 1.5, [[0.55] * N], PINK, size)
    grid(axes, x + N * size + 2.2, y, [[0.55]] * E, BLUE, size)
    top = y + E * size
    words(axes, x - 1.5, top + 0.35, "Δ", weight="bold")
    words(axes, x - 3.1, top + 0.35, "x", weight="bold")
    words(axes, x + N * size + 2.6, top + 0.35, "y", weight="bold")
    words(axes, x - 0.35, top + 1.1, "B", weight="bold")
    words(axes, x - 0.35, y - 1.1, "C", weight="bold")
    words(axes, x + N * size + 0.3, top + 1.1, "where to write, N numbers", ha="left")
    words(axes, x + N * size + 0.3, y - 1.1, "where to read, N numbers", ha="left")
    arrow(axes, (x + N * size + 0.25, y + 2.4), (x + N * size + 2.0, y + 2.4))
    words(axes, x + 1.6, top + 2.2, "the state after a word,  E × N")
    words(axes, 0.5, y + 2.4, "E channels", rotation=90)
    words(axes, 13.35, y + 2.9, "B and C are")
    words(axes, 13.35, y + 2.2, "shared by all")
    words(axes, 13.35, y + 1.5, "channels")
    return figure


# ----------------------------------------------------------------------------------- the chunks


def chunks() -> Figure:
    """Draw the matrix of a text of 12 words in chunks of 4: blocks, and the state between them."""
    figure, axes = sheet(15, 9.6, scale=0.42)
    L, Q, size = 12, 4, 0.6
    x, y = 1.6, 1.3
    side = L * size
    colour = {0: ORANGE, 1: BLUE}
    for i in range(L):
        for j in range(i + 1):
            same = i // Q == j // Q
            share = 0.7 if same else 0.3
            corner = (x + j * size, y + (L - 1 - i) * size)
            fill = tint(colour[not same], share)
            axes.add_patch(Rectangle(corner, size, size, fc=fill, ec=GREY, lw=0.6))
    for k in range(L // Q + 1):
        at = k * Q * size
        axes.plot([x + at, x + at], [y, y + side], color=INK, lw=1.3)
        axes.plot([x, x + side], [y + at, y + at], color=INK, lw=1.3)
    words(axes, x - 0.5, y + side / 2, "the word that reads", rotation=90)
    words(axes, x + side / 2, y - 0.55, "the word that wrote")
    words(axes, 9.4, 7.6, "within a chunk:", ORANGE, ha="left")
    words(axes, 9.4, 6.95, "the matrix itself", ORANGE, ha="left")
    words(axes, 9.4, 5.3, "from earlier chunks:", BLUE, ha="left")
    words(axes, 9.4, 4.65, "through one state,", BLUE, ha="left")
    words(axes, 9.4, 4.0, "N × P numbers", BLUE, ha="left")
    words(axes, 9.4, 2.3, "later words:", ha="left")
    words(axes, 9.4, 1.65, "nothing", ha="left")
    return figure
