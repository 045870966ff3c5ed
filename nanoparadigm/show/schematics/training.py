"""Chapter 2: the training loop, the steepest step under three norms, Muon's polynomial."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle, Rectangle

from ..figures import COLOURS, GREY
from .canvas import INK, PAPER, arrow, rounded, sheet, tint, words

BLUE, RED, GREEN = COLOURS[:3]
MUON = (3.4445, -4.7750, 2.0315)
CUBIC = (1.5, -0.5, 0.0)
ON_PAPER = dict(facecolor=PAPER, edgecolor="none", pad=1.5)

STATIONS = [
    ("draw a batch", "$x \\sim p$", "words and targets\ndo not match:\nnever below 2.7"),
    ("loss", "$-\\log p_\\theta(x)$", "sees its target:\nbelow the entropy"),
    ("gradient", "$p_\\theta - y$, backwards", "plus for minus:\nthe loss rises"),
    ("step", "$\\theta - \\eta\\, d$", "rate above $2/\\lambda$:\ndiverges"),
    ("clear", "gradient $= 0$", "forgotten:\nold ones add up"),
]
"""of the loop, clockwise from the top: what is done, on what, and what happens if it goes wrong"""
PLACES = [(6.0, 8.9), (9.7, 6.55), (8.55, 2.2), (3.45, 2.2), (2.3, 6.55)]


def station(axes: Axes, x: float, y: float, name: str, what: str, wrong: str) -> None:
    """Draw a station of the loop around (x, y): a box, and below it what goes wrong."""
    rounded(axes, x, y, 3.9, 1.5, 0.3, ec=BLUE, fc=tint(BLUE, 0.12))
    words(axes, x, y + 0.33, name, size=13, weight="bold")
    words(axes, x, y - 0.34, what, size=13)
    words(axes, x, y - 0.92, wrong, RED, 12, va="top", linespacing=1.15)


def loop() -> Figure:
    """Draw the training loop as a cycle of five stations, each with what goes wrong in it."""
    figure, axes = sheet(12, 9.9)
    for place, texts in zip(PLACES, STATIONS, strict=True):
        station(axes, *place, *texts)
    for start, end, bend in [
        ((8.1, 8.9), (9.9, 7.45), -0.3),
        ((9.9, 4.55), (9.1, 3.1), -0.15),
        ((6.5, 2.2), (5.5, 2.2), 0.0),
        ((2.9, 3.1), (2.1, 4.55), -0.15),
        ((2.1, 7.45), (3.9, 8.9), -0.3),
    ]:
        arrow(axes, start, end, GREY, bend, lw=2.0, mutation_scale=16)
    words(axes, 6.0, 4.9, "a few hundred\ntimes", GREY, 13)
    return figure


GRADIENT = np.array([0.96, 0.28])  # of length one, so that a step can be seen beside it


def panel(axes: Axes, x: float, y: float, title: str, labels: tuple[str, str]) -> None:
    """Draw the cross of two axes around (x, y), with a title above and names at their ends."""
    arrow(axes, (x - 1.75, y), (x + 1.8, y), GREY, lw=0.8, mutation_scale=8)
    arrow(axes, (x, y - 1.75), (x, y + 1.8), GREY, lw=0.8, mutation_scale=8)
    words(axes, x, y + 2.55, title, size=13)
    words(axes, x + 1.7, y - 0.3, labels[0], GREY, 12)
    words(axes, x - 0.35, y + 1.7, labels[1], GREY, 12)


def steepest() -> Figure:
    """Draw the farthest point in the direction of a gradient of three unit balls."""
    figure, axes = sheet(13, 6.4, 0.48)
    panels = [
        ("length", ("$d_1$", "$d_2$"), GRADIENT, BLUE, "gradient descent", "$g / |g|$"),
        ("largest entry", ("$d_1$", "$d_2$"), np.ones(2), RED, "Adam, no memory", "sign $g$"),
        ("spectral norm", ("$\\sigma_1$", "$\\sigma_2$"), np.ones(2), GREEN, "Muon", "$U V^T$"),
    ]
    for n, (title, labels, tip, colour, who, what) in enumerate(panels):
        x, y, radius = 2.2 + 4.3 * n, 3.35, 1.3
        panel(axes, x, y, title, labels)
        if n == 0:
            axes.add_patch(Circle((x, y), radius, ec=colour, fc=tint(colour, 0.15), lw=1.5))
        else:
            low = (x - radius, y - radius)
            square = Rectangle(
                low, 2 * radius, 2 * radius, ec=colour, fc=tint(colour, 0.15), lw=1.5
            )
            axes.add_patch(square)
        end = np.array([x, y]) + radius * tip
        across = np.array([-GRADIENT[1], GRADIENT[0]])  # where g . d is the same
        a, b = end - 1.0 * across, end + 0.85 * across
        axes.plot([a[0], b[0]], [a[1], b[1]], color=GREY, lw=1.2, ls=(0, (4, 3)))
        arrow(axes, (x, y), (x + 0.8 * GRADIENT[0], y + 0.8 * GRADIENT[1]), INK, lw=1.5)
        arrow(axes, (x, y), tuple(end), colour, lw=2.4, mutation_scale=15)
        words(axes, x, 0.95, who, colour, 13)
        words(axes, x, 0.3, what, size=13)
        words(axes, x + 0.6, y - 0.3, "$g$", size=13)
    return figure


def polynomial(s: np.ndarray, coefficients: tuple[float, float, float], times: int) -> np.ndarray:
    """Return a s + b s^3 + c s^5, applied so many times."""
    a, b, c = coefficients
    for _ in range(times):
        s = a * s + b * s**3 + c * s**5
    return s


def singular_values() -> Figure:
    """Draw what becomes of a singular value in one, three and five rounds of Muon's polynomial."""
    with plt.style.context("nanoparadigm.show.book"):
        figure = Figure(figsize=(6, 3.8))
        axes = figure.subplots()
    s = np.logspace(-3, 0, 1501)
    axes.axhspan(0.682, 1.202, fc=tint(GREEN, 0.18), lw=0)
    axes.text(1.1e-3, 1.235, "where the rounds stay: 0.68 to 1.20", fontsize=10, color=GREEN)
    for times, colour in ((1, COLOURS[5]), (3, BLUE), (5, GREEN)):
        axes.plot(s, polynomial(s, MUON, times), color=colour, lw=1.6 if times < 5 else 2.2)
    axes.plot(s, polynomial(s, CUBIC, 5), color=RED, lw=1.6, ls=(0, (5, 2)))
    axes.plot(s, s, color=GREY, lw=1.2, ls=":")
    axes.text(0.056, 0.13, "1 round", color=COLOURS[5], ha="left")
    axes.text(0.0084, 0.37, "3 rounds", color=BLUE, ha="right")
    axes.text(0.0041, 0.83, "5 rounds", color=GREEN, ha="center")
    axes.text(0.1, 0.56, "cubic, 5 rounds", color=RED, ha="left", bbox=ON_PAPER)
    axes.text(0.98, 0.14, "as it was", color=GREY, ha="right")
    axes.set(xscale="log", xlim=(1e-3, 1), ylim=(0, 1.35))
    axes.set(xlabel="singular value before, of a matrix with norm 1", ylabel="after")
    ticks = [0.001, 0.01, 0.1, 1]
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    return figure
