"""Chapter 8: what a flow is made of, and one token on its way under two sets of rates."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from ..figures import GREY, PALETTE
from .canvas import INK, Colour, arrow, sheet, tint, token, words

GREEN, ORANGE = PALETTE["flow"], PALETTE["diffusion"]
TEXT = ["la", "some", "hens", "run"]
LUCK = ["crab", "that", "bat", "eats"]  # a source text of random words
KEPT = [True, False, True, False]  # which tokens show their clean word in the middle

# ------------------------------------------------------------------------ source, coupling, path


def column(axes: Axes, x: float, y: float, shown: Sequence[str], clean: Sequence[bool]) -> None:
    """Draw the tokens of one state below one another, from y downwards; the clean ones coloured."""
    for i, (text, right) in enumerate(zip(shown, clean, strict=True)):
        style = dict(colour=GREEN, fill=tint(GREEN, 0.25)) if right else dict(colour=GREY)
        token(axes, x, y - 0.95 * i, text, width=1.9, height=0.76, **style)


def path() -> Figure:
    """Draw a pair of a source text and a clean text, and a state between, for either source."""
    figure, axes = sheet(15.6, 6.5, scale=0.42)
    top, low = 4.45, 0.45
    sources = [("source: masks", ["____"] * 4), ("source: random words", LUCK)]
    for left, (name, source) in zip((0.4, 8.2), sources, strict=True):
        at = [left + 1.0, left + 3.5, left + 6.0]
        words(axes, left + 3.5, 6.05, name, weight="bold", size=12)
        middle = [x if kept else z for x, z, kept in zip(TEXT, source, KEPT, strict=True)]
        column(axes, at[0], top, source, [False] * 4)
        column(axes, at[1], top, middle, KEPT)
        column(axes, at[2], top, TEXT, [True] * 4)
        for a, b in zip(at, at[1:], strict=False):
            arrow(axes, (a + 1.0, top - 1.42), (b - 1.0, top - 1.42), INK, lw=1.2)
        for x, text in zip(at, (r"$\alpha=0$", r"$\alpha=0.5$", r"$\alpha=1$"), strict=True):
            words(axes, x, top + 0.8, text, size=11)
        words(axes, at[0], low, "noise")
        words(axes, at[2], low, "text")
    axes.plot([7.8, 7.8], [0.3, 6.3], color=GREY, lw=0.8)
    return figure


# --------------------------------------------------------------------- one token under two rates

ONE = [(0.0, "crab"), (0.62, "hens")]  # when it becomes which word, in alpha
MANY = [(0.0, ""), (0.045, ""), (0.09, ""), (0.15, "bat"), (0.27, "that"), (0.43, "cow")]
MANY += [(0.63, "hens")]


def strip(axes: Axes, y: float, jumps: Sequence[tuple[float, str]], colour: Colour) -> None:
    """Draw which word a token is at each alpha; the last is the clean one."""
    left, width, height = 0.6, 13.0, 1.0
    ends = [start for start, _ in jumps[1:]] + [1.0]
    for (start, text), end in zip(jumps, ends, strict=True):
        box = (left + width * start, y), width * (end - start), height
        fill = tint(colour, 0.4) if end == 1.0 else "none"
        axes.add_patch(Rectangle(*box, fc=fill, ec=GREY, lw=1))
        words(axes, left + width * (start + end) / 2, y + height / 2, text)


def two_ways() -> Figure:
    """Draw one token on its way to the word hens: with one jump, and by noise run backwards."""
    figure, axes = sheet(14.2, 6.2, scale=0.45)
    left, width = 0.6, 13.0
    for y, jumps, colour, says in (
        (4.1, ONE, ORANGE, r"wait, then jump once: rate $1/(1-\alpha)$ to the clean word"),
        (1.6, MANY, GREEN, r"noise run backwards: many jumps, most of them early"),
    ):
        strip(axes, y, jumps, colour)
        words(axes, left, y + 1.45, says, ha="left")
    arrow(axes, (left, 1.0), (left + width, 1.0), INK, lw=1.2)
    for alpha, text in ((0, "0"), (0.5, "0.5"), (1, "1")):
        words(axes, left + width * alpha, 0.5, text, size=10)
    words(axes, left + width * 0.25, 0.5, "noise")
    words(axes, left + width * 0.75, 0.5, r"$\alpha$, towards text")
    return figure
