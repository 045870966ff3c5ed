"""Chapter 3: one step back, read off a bar; when a word vanishes; a chain that ends in the mask."""

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from ..figures import COLOURS, GREY, PALETTE
from .canvas import INK, arrow, circle, sheet, words

ORANGE, BLUE = PALETTE["diffusion"], COLOURS[0]
NUMBERS = {"lo": 0.16, "hen": 0.36, "runs": 0.62, "seal": 0.88}  # the U of crossing(): word -> U


def step() -> Figure:
    """Draw the bar of all words, cut at s and t, and its masked part stretched to length one."""
    figure, axes = sheet(13, 7.4, 0.5)
    left, width, height = 0.6, 11.8, 1.05
    alpha_s, alpha_t = 0.6, 0.5

    def bar(y: float, start: float, end: float, strength: float, text: str) -> None:
        place = left + width * start
        box = (place, y), width * (end - start), height
        axes.add_patch(Rectangle(*box, fc=ORANGE, alpha=strength, lw=0))
        axes.add_patch(Rectangle(*box, fc="none", ec=INK, lw=1.5))
        words(axes, place + width * (end - start) / 2, y + height / 2, text, size=12)

    def under(share: float, text: str, aside: float = 0.0, **how: str) -> None:
        words(axes, left + width * share + aside, top - 0.42, text, size=12, **how)

    words(axes, left, 6.95, "all words, those that vanish first on the left", ha="left", size=12)
    top, low = 5.4, 1.5
    bar(top, 0, 1 - alpha_s, 0.2, "masked at s and t")
    bar(top, 1 - alpha_s, 1 - alpha_t, 0.55, "")
    bar(top, 1 - alpha_t, 1, 0.0, "visible at s and t")
    under(0, "0")
    under(1 - alpha_s, r"$1-\alpha(s)$", 0.3, ha="right")
    under(1 - alpha_t, r"$1-\alpha(t)$", -0.3, ha="left")
    under(1, "1")

    for share in 0, 1 - alpha_s, 1 - alpha_t:
        across = left + width * np.array([share, share / (1 - alpha_t)])
        axes.plot(across, [top - 0.85, low + height], color=GREY, lw=1.2, ls=(0, (3, 3)))
    words(axes, left, low + height + 0.45, "  given: masked at t", ha="left", size=12)
    stays = (1 - alpha_s) / (1 - alpha_t)
    bar(low, 0, stays, 0.2, "still a mask at s")
    bar(low, stays, 1, 0.55, "revealed")
    half = stays / 2, (1 + stays) / 2
    words(axes, left + width * half[0], 0.62, r"$\frac{1-\alpha(s)}{1-\alpha(t)}$", size=17)
    text = r"$\frac{\alpha(s)-\alpha(t)}{1-\alpha(t)}$"
    words(axes, left + width * half[1], 0.62, text, size=17)
    return figure


def crossing() -> Figure:
    """Draw two falling curves and the level of each word: it vanishes where the curve meets it."""
    t = np.linspace(0, 1, 201)
    with plt.style.context("nanoparadigm.show.book"):
        figure = Figure(figsize=(6, 3.7), layout="constrained")
        axes = figure.subplots()
        axes.plot(t, 1 - t, color=BLUE)
        axes.plot(t, np.cos(np.pi * t / 2), color=ORANGE)
        for word, U in NUMBERS.items():
            linear, cosine = 1 - U, 2 / np.pi * np.arccos(U)
            axes.plot([0, cosine], [U, U], color=GREY, lw=1)
            for time, colour in (linear, BLUE), (cosine, ORANGE):
                axes.plot([time, time], [0, U], color=colour, lw=1.2, ls=(0, (2, 2)))
                axes.plot(time, U, "o", color=colour, ms=5)
                axes.plot(time, 0, "v", color=colour, ms=7, clip_on=False)
            axes.text(-0.02, U, f"{word} {U}", ha="right", va="center", fontsize=12)
        axes.text(0.3, 0.58, "linear", color=BLUE, ha="right", fontsize=12)
        axes.text(0.62, 0.66, "cosine", color=ORANGE, fontsize=12)
        axes.set(xlim=(0, 1), ylim=(0, 1.02), yticks=[], xticks=[0, 0.5, 1])
        axes.set_xlabel("time t", fontsize=12)
        axes.set_title(r"$\alpha(t)$, and a number for each word", fontsize=12)
        axes.tick_params(labelsize=12)
    return figure


def chain() -> Figure:
    """Draw the two states of a token, and what may happen to it from s to t."""
    figure, axes = sheet(12, 3.4, 0.5)
    word, mask, y = (3.2, 1.5), (8.8, 1.5), 1.5
    arrow(axes, word, mask, ORANGE, gap=0.95)
    for x in 3.2, 8.8:
        arrow(axes, (x - 0.55, y + 0.7), (x + 0.55, y + 0.7), GREY, bend=-1.5)
    circle(axes, *word, "hen", radius=0.85)
    circle(axes, *mask, "mask", radius=0.85)
    words(axes, 6, y + 0.5, r"$1-\alpha(t)\,/\,\alpha(s)$", size=13)
    words(axes, 1.9, y + 1.35, r"$\alpha(t)\,/\,\alpha(s)$", ha="right", size=13)
    words(axes, 10.1, y + 1.35, "1", ha="left", size=13)
    words(axes, 6, y - 0.55, "vanishes", size=12)
    words(axes, 10.1, y - 0.1, "no way out", ha="left", size=12)
    return figure
