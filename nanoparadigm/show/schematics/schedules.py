"""Chapter 6b: one process of masking, and the noise levels at which six schedules look at it."""

import torch
from matplotlib.figure import Figure

from ...paradigms.schedules import SCHEDULES
from ..figures import COLOURS
from .canvas import INK, arrow, sheet, words

STEPS = 12
TWIN = "loglinear"  # linear up to a thousandth, so in its colour


def speeds() -> Figure:
    """Draw where the steps of each schedule fall on the way from text to masks."""
    figure, axes = sheet(13, 6.4, 0.5)
    left, width, high = 3.0, 9.4, 5.8
    t = torch.linspace(0, 1, STEPS + 1, dtype=torch.float64)
    names = [name for name in SCHEDULES if name != TWIN]
    for row, (name, schedule) in enumerate(SCHEDULES.items()):
        y = high - row * 4.1 / (len(SCHEDULES) - 1)
        places = left + width * (1 - schedule.alpha(t))
        colour = COLOURS[names.index("linear" if name == TWIN else name)]
        axes.plot([left, left + width], [y, y], color=colour, lw=0.8)
        axes.plot(places, [y] * len(places), "|", color=colour, ms=14, mew=2)
        words(axes, left - 0.5, y, name.replace("_", " "), ha="right")
    arrow(axes, (left, 0.75), (left + width, 0.75), INK)
    words(axes, left, 0.3, "text", ha="left")
    words(axes, left + width, 0.3, "masks", ha="right")
    words(axes, left + width / 2, 0.3, f"share of masks, at {STEPS} equal steps of time")
    return figure
