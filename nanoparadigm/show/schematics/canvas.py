"""What the schematics of the book are drawn with: a blank sheet, boxes for tokens, arrows, grids.

A sheet measures in its own units, y upwards, and shows neither axes nor frame. On a page INK is the
colour of the text and PAPER that of the page, light or dark. What words stand on is therefore PAPER
or a `tint`, through which the page is seen.
"""

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyArrowPatch, FancyBboxPatch, Rectangle

from ..figures import GREY

INK = "black"
PAPER = "white"
TYPE = 11  # points, of words on a sheet
Colour = str | tuple[float, float, float] | tuple[float, float, float, float]


def sheet(width: float, height: float, scale: float = 0.5) -> tuple[Figure, Axes]:
    """Return an empty figure of width x height units, each `scale` inches."""
    with plt.style.context("nanoparadigm.show.book"):
        figure = Figure(figsize=(width * scale, height * scale))
    figure.set_layout_engine("none")
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.set(xlim=(0, width), ylim=(0, height), aspect="equal")
    axes.axis("off")
    return figure, axes


def tint(colour: Colour, share: float = 0.25) -> tuple[float, float, float, float]:
    """Return a colour to fill a box with that words stand in: a share of it, the rest the page."""
    return to_rgba(colour, share)


def words(
    axes: Axes, x: float, y: float, text: str, colour: Colour = INK, size: float = TYPE, **how: Any
) -> None:
    """Write at a place, centred unless `how` says otherwise."""
    place: dict[str, Any] = dict(ha="center", va="center")
    axes.text(x, y, text, color=colour, fontsize=size, **place | how)


def rounded(
    axes: Axes, x: float, y: float, width: float, height: float, rounding: float, **how: Any
) -> None:
    """Draw a box with rounded corners around (x, y), all in units; how: as of a patch."""
    style: dict[str, Any] = dict(boxstyle=f"round,pad=0,rounding_size={rounding}", lw=1.5)
    corner = (x - width / 2, y - height / 2)
    axes.add_patch(FancyBboxPatch(corner, width, height, **style | how))


def token(
    axes: Axes,
    x: float,
    y: float,
    text: str,
    colour: Colour = GREY,
    fill: Colour = "none",
    width: float = 1.6,
    height: float = 0.8,
) -> None:
    """Draw a word in a rounded box of width x height units around (x, y)."""
    rounded(axes, x, y, width, height, min(width, height) / 4, ec=colour, fc=fill)
    words(axes, x, y, text)


def circle(
    axes: Axes,
    x: float,
    y: float,
    text: str = "",
    colour: Colour = GREY,
    fill: Colour = PAPER,
    radius: float = 0.5,
) -> None:
    """Draw a circle around (x, y) with a word in it. radius: in units."""
    axes.add_patch(Circle((x, y), radius, ec=colour, fc=fill, lw=1.5, zorder=2))
    words(axes, x, y, text, zorder=3)


def arrow(
    axes: Axes,
    start: tuple[float, float],
    end: tuple[float, float],
    colour: Colour = GREY,
    bend: float = 0.0,
    gap: float = 0.0,
    **how: Any,
) -> None:
    """Draw an arrow. bend: its curvature. gap: the units left free at either end."""
    a, b = np.array(start, dtype=float), np.array(end, dtype=float)
    along = (b - a) / max(float(np.hypot(*(b - a))), 1e-9)
    style: dict[str, Any] = dict(arrowstyle="-|>", mutation_scale=12, lw=1.5, shrinkA=0, shrinkB=0)
    style |= dict(color=colour, connectionstyle=f"arc3,rad={bend}") | how
    axes.add_patch(FancyArrowPatch(tuple(a + gap * along), tuple(b - gap * along), **style))


def grid(
    axes: Axes,
    x: float,
    y: float,
    cells: Sequence[Sequence[float]],
    colour: Colour,
    size: float = 0.4,
) -> None:
    """Draw a table of squares, its lower left corner at (x, y).

    cells: how strong each is coloured, from 0 to 1, the first row on top.
    """
    for i, row in enumerate(reversed(list(cells))):
        for j, share in enumerate(row):
            style: dict[str, Any] = dict(fc=tint(colour, float(share)), ec=GREY, lw=0.7)
            axes.add_patch(Rectangle((x + j * size, y + i * size), size, size, **style))
