"""Chapter 10: the shapes of a selective state, a Mamba mixer, and a recurrence in rounds."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..figures import GREY, PALETTE
from .canvas import INK, PAPER, Colour, arrow, circle, grid, sheet, tint, token, words

COLOUR = PALETTE["mamba"]
CHOSEN = PALETTE["diffusion"]  # what depends on the word
E, N, SIZE = 6, 4, 0.62  # channels, numbers in the state of each, and the size of a square


def shapes() -> Figure:
    """Draw the state of E channels x N numbers between what comes in and what goes out."""
    figure, axes = sheet(14.6, 8.6, 0.48)
    low, x = 2.3, 6.2
    top, middle = low + E * SIZE, low + E * SIZE / 2
    cells = [[0.25 + 0.12 * ((3 * e + 2 * n) % 5) for n in range(N)] for e in range(E)]
    grid(axes, x, low, cells, COLOUR, SIZE)
    columns = (2.5, "u", GREY), (4.1, "Δ", CHOSEN), (x + N * SIZE + 1.6, "y", GREY)
    for left, name, colour in columns:
        grid(axes, left, low, [[0.35]] * E, colour, SIZE)
        words(axes, left + SIZE / 2, top + 0.4, name, size=13, weight="bold")
    for y, name in ((top + 0.9, "B"), (low - 0.9 - SIZE, "C")):
        grid(axes, x, y, [[0.35] * N], CHOSEN, SIZE)
        words(axes, x - 0.45, y + SIZE / 2, name, size=13, weight="bold")
        words(axes, x + N * SIZE + 0.3, y + SIZE / 2, "shared by all rows", ha="left")
    arrow(axes, (x + N * SIZE / 2, top + 0.85), (x + N * SIZE / 2, top + 0.08))
    arrow(axes, (x + N * SIZE / 2, low - 0.85), (x + N * SIZE / 2, low - 0.08))
    arrow(axes, (4.1 + SIZE + 0.15, middle), (x - 0.15, middle))
    arrow(axes, (x + N * SIZE + 0.15, middle), (x + N * SIZE + 1.45, middle))
    words(axes, 2.2, middle, "E channels", ha="right")
    words(axes, x + N * SIZE / 2, 0.3, "N numbers in each channel")
    words(axes, x + N * SIZE / 2, 8.2, "the state h after one word", weight="bold")
    words(axes, 11.1, middle, "each row has its\nown u, Δ and y", ha="left")
    return figure


def path(axes: Axes, *places: tuple[float, float], colour: Colour = GREY) -> None:
    """Draw a line through these places with an arrow at its end."""
    axes.plot(*zip(*places[:-1], strict=True), color=colour, lw=1.5, solid_capstyle="butt")
    arrow(axes, places[-2], places[-1], colour)


def block() -> Figure:
    """Draw the parts of a Mamba mixer, from the input below to the output on top."""
    figure, axes = sheet(14.6, 12.4, 0.46)
    left, right = 6.2, 11.6
    middle = (left + right) / 2

    def part(
        x: float, y: float, text: str, colour: Colour = GREY, wide: float = 3.6, share: float = 0.2
    ) -> None:
        token(axes, x, y, text, colour, tint(colour, share), width=wide, height=0.9)

    def up(x: float, heights: Sequence[float]) -> None:
        for low, high in zip(heights, heights[1:], strict=False):
            arrow(axes, (x, low + 0.45), (x, high - 0.45))

    words(axes, middle, 0.4, "a vector of D numbers for each word")
    arrow(axes, (middle, 0.7), (middle, 1.25))
    part(middle, 1.7, "linear, D to 2 E", wide=5.4)
    path(axes, (middle - 1.2, 2.15), (middle - 1.2, 2.6), (left, 2.6), (left, 3.15))
    path(axes, (middle + 1.2, 2.15), (middle + 1.2, 2.6), (right, 2.6), (right, 6.9 - 0.45))
    part(left, 3.6, "convolution")
    part(left, 5.0, "SiLU")
    part(left, 8.3, "state, E x N", COLOUR, share=0.3)
    part(right, 6.9, "SiLU", wide=2.6)
    up(left, (3.6, 5.0))
    arrow(axes, (left, 5.45), (left, 7.85))
    words(axes, left + 0.3, 6.7, "u", size=13, weight="bold", ha="left")
    part(1.9, 6.7, "linear", CHOSEN, wide=2.2)
    path(axes, (left, 5.75), (1.9, 5.75), (1.9, 6.25), colour=CHOSEN)
    path(axes, (1.9, 7.15), (1.9, 8.3), (left - 1.8, 8.3), colour=CHOSEN)
    words(axes, 2.95, 8.75, "Δ, B, C", size=12)
    words(axes, 11.9, 4.5, "z", size=13, weight="bold", ha="left")
    circle(axes, left, 9.9, "×", INK, PAPER, 0.35)
    arrow(axes, (left, 8.75), (left, 9.55))
    path(axes, (right, 7.35), (right, 9.9), (left + 0.35, 9.9))
    words(axes, left + 0.3, 9.15, "y", size=13, weight="bold", ha="left")
    part(left, 11.15, "linear, E to D")
    arrow(axes, (left, 10.25), (left, 10.7))
    words(axes, left, 12.1, "added to the block's input")
    return figure


def rounds() -> Figure:
    """Draw three rounds over eight steps: each joins what two shorter stretches have found."""
    figure, axes = sheet(13, 7.2, 0.5)
    left, apart, high, down = 3.2, 1.25, 6.2, 1.75
    said = "1 step", "2 steps", "4 steps", "8 steps: all"
    for row, text in enumerate(said):
        y = high - row * down
        words(axes, left - 0.8, y, text, ha="right")
        for i in range(8):
            done = i + 1 <= 2**row
            fill = tint(COLOUR, 0.55 if done else 0.18)
            circle(axes, left + i * apart, y, str(i + 1) if row == 0 else "", COLOUR, fill, 0.36)
            if row:
                before, shift = y + down, 2 ** (row - 1)
                arrow(axes, (left + i * apart, before), (left + i * apart, y), GREY, gap=0.42)
                if i >= shift:
                    begin = left + (i - shift) * apart
                    arrow(axes, (begin, before), (left + i * apart, y), INK, gap=0.42, lw=1.1)
    return figure
