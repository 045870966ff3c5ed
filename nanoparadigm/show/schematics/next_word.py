"""Chapter 1: one pass over a text, attention as an average, who sees whom, a block, rotations."""

import math

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Arc, Circle, FancyBboxPatch

from ...language import language
from ..figures import COLOURS, GREY
from .canvas import INK, PAPER, Colour, arrow, circle, grid, rounded, sheet, tint, token, words

BLUE, ORANGE, GREEN, PINK = COLOURS[:4]

# ----------------------------------------------------------------------------------- one pass

TEXT = "la some hens that a cow eats run".split()


def one_pass() -> Figure:
    """Draw the words a network reads, the words it predicts, and which of them it may use."""
    truth = language()
    ids = torch.tensor([[truth.words.index(word) for word in TEXT]])
    p = truth.P[truth.walk(ids)[0, :-1], ids[0]].tolist()
    figure, axes = sheet(12.9, 7.5)
    across = [1.05 + 1.54 * i for i in range(len(TEXT))]
    low, high = 1.9, 4.85
    last = len(TEXT) - 1
    for j in range(last):
        for i in range(j + 1):
            arrow(axes, (across[i], low), (across[j], high), GREY, gap=0.2, lw=0.6, arrowstyle="-")
    for i in range(last + 1):
        width = 3.2 if TEXT[i - 1] == "hens" else 1.4
        start, end = (across[i], low), (across[last], high)
        arrow(axes, start, end, BLUE, gap=0.22, lw=width, mutation_scale=9)
    for i, (x, word) in enumerate(zip(across, TEXT, strict=True)):
        chosen = i == last
        colour = BLUE if chosen else INK
        circle(axes, x, low, "", GREY, radius=0.15)
        circle(axes, x, high, "", colour, radius=0.15)
        token(axes, x, 1.1, ["start", *TEXT][i], GREY, width=1.38)
        fill = tint(BLUE, 0.15) if chosen else "none"
        token(axes, x, 5.65, word, colour, fill=fill, width=1.38)
        words(axes, x, 6.4, f"{-math.log(p[i]):.2f}", colour)
    words(axes, 0.3, 7.08, "what each of these words costs, in nats", GREY, ha="left")
    words(axes, 0.3, 0.3, "what the network reads", GREY, ha="left")
    return figure


# ----------------------------------------------------------------------- attention is an average

SCORES = (0.0, 2.0, 1.0)
VALUES = ((1, 0), (0, 1), (1, 1))


def average() -> Figure:
    """Draw three words, their scores, the weights, and the weighted average of their vectors."""
    figure, axes = sheet(12, 8.2)
    weights = torch.tensor(SCORES).softmax(0).tolist()
    mixed = [sum(w * v[n] for w, v in zip(weights, VALUES, strict=True)) for n in (0, 1)]
    across, out = (3.2, 6.2, 9.2), (6.2, 7.0)
    read = zip(across, ("some", "hens", "that"), SCORES, weights, VALUES, strict=True)
    for x, word, score, weight, value in read:
        ends = (x, 4.95), (out[0] + 0.25 * (x - out[0]), out[1] - 0.1)
        arrow(axes, *ends, BLUE, lw=0.8 + 6 * weight, mutation_scale=15)
        words(axes, x, 4.5, f"({value[0]}, {value[1]})", size=12)
        axes.add_patch(
            FancyBboxPatch((x - 0.35, 2.5), 0.7, 1.5 * weight, "round,pad=0", fc=BLUE, ec="none")
        )
        words(axes, x + 0.5, 2.75, f"{weight:.2f}", BLUE, 12, ha="left")
        words(axes, x, 1.9, f"{score:.0f}", size=12)
        token(axes, x, 0.7, word, INK, width=1.7)
    axes.plot([2.4, 10.4], [2.48, 2.48], color=GREY, lw=0.8)
    words(axes, out[0], out[1] + 0.4, f"({mixed[0]:.2f}, {mixed[1]:.2f})", BLUE, 13)
    rows = {7.4: "average", 4.5: "values", 2.95: "weights", 1.9: "scores", 0.7: "words"}
    for y, text in rows.items():
        words(axes, 0.3, y, text, GREY, ha="left")
    words(axes, 10.25, 0.7, "asks", GREY, ha="left")
    return figure


# --------------------------------------------------------------------------------- who sees whom


def masks() -> Figure:
    """Draw three tables of who sees whom: all words so far, the last three, and the mistake."""
    figure, axes = sheet(12.6, 5.9)
    n, size = 6, 0.55
    seen = torch.ones(n, n).tril()
    panels = [
        ("all so far", seen, BLUE),
        ("a window of 3", seen - seen.tril(-3), GREEN),
        ("transposed: a leak", seen.T, ORANGE),
    ]
    for k, (title, cells, colour) in enumerate(panels):
        x, y = 0.95 + 4.05 * k, 1.15
        grid(axes, x, y, (0.75 * cells).tolist(), colour, size)
        words(axes, x + n * size / 2, y + n * size + 0.95, title, size=12)
        for i in range(n):
            words(axes, x + (i + 0.5) * size, y + n * size + 0.3, str(i), GREY, 10)
            words(axes, x - 0.3, y + (n - i - 0.5) * size, str(i), GREY, 10)
        words(axes, x + n * size / 2, 0.75, "the position read", GREY, 10)
    words(axes, 0.25, 1.15 + n * size / 2, "the position that reads", GREY, 10, rotation=90)
    return figure


# ------------------------------------------------------------------------------------------ a block


def block() -> Figure:
    """Draw the residual stream from the embedding to the read-out, and what is added to it."""
    figure, axes = sheet(10.4, 12.2)
    stream = 2.6
    arrow(axes, (stream, 1.35), (stream, 10.55), GREY, lw=5, mutation_scale=22)
    token(axes, stream, 0.85, "embedding of the word", INK, fill=PAPER, width=4.6, height=0.9)
    token(axes, stream, 11.1, "norm, read out: logits", INK, fill=PAPER, width=4.6, height=0.9)
    dashes = dict(fc=PAPER, ec=ORANGE, ls=(0, (4, 3)), zorder=3)
    rounded(axes, stream, 2.35, 4.6, 0.9, 0.2, **dashes)
    words(axes, stream, 2.35, "short convolution", size=11, zorder=4)
    words(axes, 5.2, 2.35, "the library's extra:\na few neighbours, blended", ORANGE, 11, ha="left")
    rounded(axes, 5.8, 6.575, 8.6, 6.45, 0.3, fc="none", ec=GREY, lw=1.0, ls=(0, (2, 2)))
    words(axes, 9.9, 9.35, "a block, repeated", GREY, 11, ha="right")
    branch(axes, stream, 3.75, "attention", "looks at other positions", BLUE)
    branch(axes, stream, 6.7, "MLP", "works at one position", GREEN)
    return figure


def branch(axes: Axes, x: float, y: float, name: str, what: str, colour: str) -> None:
    """Draw a part of a block: from the stream at (x, y), through a norm, and added further up."""
    arrow(axes, (x, y), (x + 1.1, y + 0.35), colour, bend=0.2)
    token(axes, x + 1.95, y + 0.45, "norm", GREY, fill=PAPER, width=1.6)
    arrow(axes, (x + 2.8, y + 0.45), (x + 3.5, y + 0.45), colour, bend=0.0)
    token(axes, x + 5.2, y + 0.6, name, colour, tint(colour, 0.15), width=3.3, height=1.1)
    words(axes, x + 5.2, y - 0.22, what, GREY, 10)
    arrow(axes, (x + 5.2, y + 1.2), (x + 0.35, y + 2.25), colour, connectionstyle="angle,rad=12")
    plus(axes, x, y + 2.25, colour)


def plus(axes: Axes, x: float, y: float, colour: Colour) -> None:
    """Draw a circle with a plus sign."""
    axes.add_patch(Circle((x, y), 0.33, ec=colour, fc=PAPER, lw=1.5, zorder=3))
    for a, b in ((0.18, 0.0), (0.0, 0.18)):
        axes.plot([x - a, x + a], [y - b, y + b], color=colour, lw=1.8, zorder=4)


# -------------------------------------------------------------------------------------- rotations


def rotation() -> Figure:
    """Draw a query and a key, turned by their positions, for two pairs at the same distance."""
    figure, axes = sheet(12.4, 6.2)
    step, query, key = 32.0, 20.0, 50.0  # degrees: a position, the query and the key at position 0
    for x, (i, j) in ((3.1, (3, 1)), (9.3, (6, 4))):
        turned(axes, x, 2.75, f"query at {i}, key at {j}", query + i * step, key + j * step)
    return figure


def turned(axes: Axes, x: float, y: float, title: str, query: float, key: float) -> None:
    """Draw two arrows from (x, y) at their angles in degrees, and the angle between them."""
    radius = 2.0
    axes.add_patch(Circle((x, y), radius, ec=GREY, fc="none", lw=0.8))
    words(axes, x, 5.75, title, size=12)
    for angle, colour, name in ((query, BLUE, "query"), (key, ORANGE, "key")):
        u, v = math.cos(math.radians(angle)), math.sin(math.radians(angle))
        arrow(axes, (x, y), (x + radius * u, y + radius * v), colour, lw=2.2, mutation_scale=15)
        words(axes, x + 2.6 * u, y + 2.3 * v, name, colour, 12)
    between = Arc((x, y), 1.5, 1.5, theta1=min(query, key), theta2=max(query, key), color=INK)
    between.set_linewidth(1.5)
    axes.add_patch(between)
    middle = math.radians((query + key) / 2)
    apart = f"{abs(query - key):.0f}°"
    words(axes, x + 1.25 * math.cos(middle), y + 1.2 * math.sin(middle), apart, size=12)
