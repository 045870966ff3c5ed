"""Chapter 12: what an exact number says, what a bound says, and what no number can say."""

from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from ..figures import GREY, PALETTE
from .canvas import INK, arrow, sheet, tint, words


def line() -> Figure:
    """Draw one axis of nats with the entropy, an exact number and a bound."""
    figure, axes = sheet(13, 5.4, 0.5)
    left, entropy, exact, bound, right, y = 0.6, 3.6, 6.0, 10.2, 12.4, 2.2
    axes.add_patch(Rectangle((left, y), entropy - left, 2.0, fc=tint(GREY, 0.25), lw=0))
    words(axes, (left + entropy) / 2, y + 1.0, "no model\nis here")
    arrow(axes, (left, y), (right, y), INK)
    axes.plot([entropy, entropy], [y - 0.25, y + 2.0], color=INK, lw=1.5)
    words(axes, entropy, y - 0.65, "entropy")
    blue, orange = PALETTE["ar"], PALETTE["diffusion"]
    axes.plot([exact - 0.5, exact + 0.5], [y + 0.6, y + 0.6], color=blue, lw=2)
    axes.plot(exact, y + 0.6, "o", color=blue, ms=9)
    words(axes, exact, y + 1.25, "= exact", blue)
    axes.plot([bound - 0.5, bound + 0.5], [y + 0.6, y + 0.6], color=orange, lw=2)
    axes.plot(bound, y + 0.6, "s", color=orange, ms=9)
    arrow(axes, (bound - 0.6, y + 0.6), (exact + 1.2, y + 0.6), orange)
    words(axes, bound, y + 1.25, "≤ a bound", orange)
    words(axes, (exact + bound) / 2 + 0.4, y - 0.65, "its model is somewhere to the left", orange)
    words(axes, right, 0.5, "nats a word: further left is better", ha="right")
    words(axes, left, 0.5, "short lines: ± one standard error", ha="left")
    return figure
