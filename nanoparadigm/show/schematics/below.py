"""Chapter 15: ten numbers beside the entropy, and the budget of one that a likelihood divides."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from ..figures import COLOURS, GREY
from .canvas import INK, Colour, arrow, sheet, tint, words

ENTROPY = 4.77
CLAIMS = {
    "1 dependent denoiser": 4.34,
    "2 shuffled sub-tokens": 4.26,
    "3 best of 120 orders": 2.09,
    "4 cache, not normalised": 2.26,
    "5 training loss, cosine": 3.08,
    "6 pseudo-log-likelihood": 3.79,
    "7 wrong bytes per token": 2.70,
    "8 generative perplexity": 3.40,
    "9 low-precision sampling": 4.44,
    "10 bound of another family": 6.23,
}
"""nats for a text of five words, as the chapter computes them"""
GROUPS = [COLOURS[0]] * 4 + [COLOURS[1]] * 2 + [COLOURS[2]] + [COLOURS[3]] * 3

# ------------------------------------------------------------------------------- a line of numbers


def line() -> Figure:
    """Draw ten claimed numbers on one axis, and the entropy that no likelihood goes below."""
    figure, axes = sheet(16.2, 10.4, scale=0.42)
    left, unit, low, step = 6.9, 1.22, 1.5, 0.78
    top = low + step * len(CLAIMS)
    end = left + unit * ENTROPY
    axes.add_patch(Rectangle((left, low), end - left, top - low, fc=tint(GREY, 0.2), lw=0))
    words(axes, (left + end) / 2, top + 0.45, "impossible for a likelihood", size=12)
    words(axes, end + 0.2, top + 0.45, "entropy", size=12, ha="left", weight="bold")
    axes.plot([end, end], [low, top + 0.75], color=INK, lw=1.8)
    arrow(axes, (left, low), (15.9, low), INK)
    for n in range(0, 8):
        axes.plot([left + unit * n] * 2, [low, low - 0.12], color=INK, lw=1)
        words(axes, left + unit * n, low - 0.45, str(n))
    words(axes, (left + 15.9) / 2, 0.35, "nats for a text of five words", size=12)
    for row, ((name, nats), colour) in enumerate(zip(CLAIMS.items(), GROUPS, strict=True)):
        x, y = left + unit * nats, top - step * (row + 0.5)
        words(axes, left - 0.3, y, name, ha="right")
        axes.plot([x, end], [y, y], color=colour, lw=1.5)
        axes.plot(x, y, "o", color=colour, ms=8)
        side = -1 if nats < ENTROPY else 1
        words(axes, x + side * 0.3, y, f"{nats:.2f}", ha="right" if side < 0 else "left")
    return figure


# --------------------------------------------------------------------------------- a budget of one

START, UNIT = 3.4, 7.0  # where a bar begins, and how long a probability of one is


def pieces(axes: Axes, y: float, parts: list[tuple[float, str, Colour]]) -> None:
    """Draw a bar at height y, cut into parts (probability, label, colour)."""
    x, unit = START, UNIT
    for share, label, colour in parts:
        box = Rectangle((x, y - 0.45), share * unit, 0.9, fc=tint(colour, 0.3), ec=GREY, lw=1.2)
        axes.add_patch(box)
        words(axes, x + 0.9, y, label)
        x += share * unit


def budget() -> Figure:
    """Draw three ways to give two texts a probability: two of them fit into one."""
    figure, axes = sheet(16.2, 5.6, scale=0.42)
    blue, orange = COLOURS[0], COLOURS[1]
    one = START + UNIT
    rows: list[tuple[float, str, list[tuple[float, str, Colour]], str]] = [
        (4.3, "the language", [(0.5, "0.50", blue), (0.5, "0.50", orange)], "0.69 nats"),
        (2.9, "a model", [(0.67, "0.67", blue), (0.33, "0.33", orange)], "0.75 nats"),
        (1.5, "a claim", [(0.67, "0.67", blue), (0.67, "0.67", orange)], "0.40 nats"),
    ]
    for y, name, parts, nats in rows:
        words(axes, START - 0.3, y, name, ha="right", size=12)
        pieces(axes, y, parts)
        words(axes, 15.6, y, nats, ha="right")
    axes.plot([one, one], [0.85, 4.95], color=INK, lw=1.8)
    words(axes, one, 5.25, "1", size=12)
    words(axes, START, 0.35, "blue: New York; orange: San Diego", ha="left")
    return figure
