"""Chapter 9: three forms of one system, and what a decay and a rotation do to a count."""

import math

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle

from ..figures import COLOURS, GREY, PALETTE
from .canvas import INK, PAPER, arrow, rounded, sheet, tint, words

BLUE, GREEN = COLOURS[0], COLOURS[2]
ORANGE = PALETTE["diffusion"]

# ------------------------------------------------------------------------------------ three forms


def form(axes: Axes, x: float, y: float, title: str, formula: str, good: str, colour: str) -> None:
    """Draw a box around (x, y): a form of the system, its formula, and what it is good for."""
    rounded(axes, x, y, 4.5, 2.5, 0.3, ec=colour, fc=tint(colour, 0.08))
    words(axes, x, y + 0.78, title, weight="bold")
    words(axes, x, y, formula)
    words(axes, x, y - 0.78, good, size=10)


def three_forms() -> Figure:
    """Draw how the equation becomes a recurrence, and the recurrence a convolution."""
    figure, axes = sheet(16.4, 4.0, scale=0.42)
    y, xs = 1.45, (2.5, 8.2, 13.9)
    form(axes, xs[0], y, "equation", "$h$′$ = A h + B u$", "for any step size", BLUE)
    form(
        axes,
        xs[1],
        y,
        "recurrence",
        "$h_k = a\\, h_{k-1} + b\\, u_k$",
        "to write word by word",
        ORANGE,
    )
    form(axes, xs[2], y, "convolution", "$y = K * u$", "to train, all at once", GREEN)
    for left, right, says in (
        (xs[0], xs[1], "choose a step Δ"),
        (xs[1], xs[2], "unroll, if fixed"),
    ):
        arrow(axes, (left + 2.3, y), (right - 2.3, y), INK)
        words(axes, (left + right) / 2, y + 1.75, says)
        arrow(axes, ((left + right) / 2, y + 1.48), ((left + right) / 2, y + 0.2), GREY, lw=0.8)
    return figure


# ----------------------------------------------------------------------------------------- counting


def counting() -> Figure:
    """Draw a positive state and a rotated one after 0 to 8 ones."""
    figure, axes = sheet(15.4, 6.0, scale=0.44)
    left, right, y = 1.0, 7.6, 2.9
    axes.plot([left, right], [y, y], color=GREY, lw=1)
    words(axes, (left + right) / 2, 5.4, "$0 < a < 1$: always further along", weight="bold")
    for k in range(9):
        x = right - (right - left) * 0.66**k
        odd = k % 2
        axes.add_patch(
            Circle((x, y), 0.14, fc=ORANGE if odd else PAPER, ec=ORANGE, lw=1.5, zorder=3)
        )
        if k < 4:
            words(axes, x, y - 0.5, str(k))
    for k in range(3):
        a, b = (right - (right - left) * 0.66 ** (k + n) for n in (0, 1))
        arrow(axes, (a, y + 0.1), (b, y + 0.1), GREY, bend=-0.5, gap=0.15)
    words(axes, (left + right) / 2, 0.7, "odd and even run together")
    x, radius = 12.0, 1.5
    axes.add_patch(Circle((x, y), radius, fc="none", ec=GREY, lw=1))
    words(axes, x, 5.4, "$a = -1$: half a turn for each one", weight="bold")
    for side, colour, says in ((1, PAPER, "0, 2, 4, ..."), (-1, ORANGE, "1, 3, 5, ...")):
        axes.add_patch(Circle((x + side * radius, y), 0.16, fc=colour, ec=ORANGE, lw=1.5, zorder=3))
        words(
            axes, x + side * (radius + 0.32), y, says, ha="left" if side > 0 else "right", size=10
        )
    for start in (0.0, math.pi):
        tail, head = (
            (x + 0.8 * math.cos(t), y + 0.8 * math.sin(t)) for t in (start + 0.3, start + 2.84)
        )
        arrow(axes, tail, head, GREY, bend=0.5)
    words(axes, x, 0.7, "two places, for any number of ones")
    return figure
