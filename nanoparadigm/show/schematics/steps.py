"""Chapter 6: two words that know each other, drawn apart; and how many ways lead to one text."""

from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from ..figures import COLOURS, GREY, PALETTE
from .canvas import INK, arrow, sheet, tint, token, words

BLUE, ORANGE = COLOURS[0], PALETTE["diffusion"]
HIDDEN = "▢"

# ----------------------------------------------------------------------------------- two words


def two_words() -> Figure:
    """Draw the joint probabilities of two words, and the product of what each has alone."""
    figure, axes = sheet(16.2, 6.4, scale=0.42)
    side, low = 1.55, 1.35
    tables = [
        (2.3, "the language", [["½", "0"], ["0", "½"]], BLUE),
        (10.6, "both in one step", [["¼", "¼"], ["¼", "¼"]], ORANGE),
    ]
    share = {"½": 0.6, "¼": 0.3, "0": 0.0}
    for x, title, cells, colour in tables:
        words(axes, x + side, low + 2 * side + 1.25, title, weight="bold", size=12)
        for j, second in enumerate(("York", "Diego")):
            words(axes, x + (j + 0.5) * side, low + 2 * side + 0.4, second)
        for i, first in enumerate(("New", "San")):
            y = low + (1 - i) * side
            words(axes, x - 0.75, y + side / 2, first)
            for j, chance in enumerate(cells[i]):
                fill = tint(colour, share[chance])
                axes.add_patch(Rectangle((x + j * side, y), side, side, fc=fill, ec=GREY, lw=1))
                words(axes, x + (j + 0.5) * side, y + side / 2, chance, size=13)
        words(axes, x + side, low - 0.55, "rows and columns: ½ each")
    arrow(axes, (6.1, low + side), (8.7, low + side), INK)
    words(axes, 7.4, low + side + 0.55, "the same")
    words(axes, 7.4, low + side - 0.55, "margins")
    return figure


# ------------------------------------------------------------------------------- one way, or many


def one_way() -> Figure:
    """Draw the ways to a text of two words, with an order that is decided and with a random one."""
    figure, axes = sheet(16.2, 6.6, scale=0.42)
    for x, title, says, paths in (
        (0.6, "the order is decided", "one way: a product", ["first"]),
        (8.7, "the order is drawn", "two ways: a mean of products", ["first", "second"]),
    ):
        words(axes, x + 3.4, 5.95, title, weight="bold", size=12)
        start, end = (x + 0.95, 3.1), (x + 5.95, 3.1)
        token(axes, *start, f"{HIDDEN} {HIDDEN}", width=1.5)
        token(axes, *end, "a c", width=1.5)
        for way, text, y in (("first", f"a {HIDDEN}", 4.35), ("second", f"{HIDDEN} c", 1.85)):
            taken = way in paths
            colour = ORANGE if taken else GREY
            token(axes, x + 3.45, y, text, width=1.5, fill=tint(colour, 0.25 if taken else 0.0))
            style = dict(lw=2.0 if taken else 1.0, ls="-" if taken else ":")
            for a, b in (start, (x + 3.45, y)), ((x + 3.45, y), end):
                arrow(axes, a, b, colour, gap=0.95, **style)
        words(axes, x + 3.4, 0.65, says)
    return figure
