"""Chapter 10: a recurrence in as many rounds as its length can be halved."""

from matplotlib.figure import Figure

from ..figures import GREY, PALETTE
from .canvas import INK, arrow, circle, sheet, tint, words

COLOUR = PALETTE["mamba"]


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
