"""Chapter 0: the tiny automaton, the grammar of the language, what stands behind a mask."""

from typing import Any

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, Wedge
from matplotlib.path import Path

from ...language import Automaton, tiny
from ..figures import COLOURS, GREY
from .canvas import INK, PAPER, arrow, circle, sheet, tint, token, words

BLUE, ORANGE, GREEN = COLOURS[:3]  # of the words a, b, c of the tiny language
RADIUS = 0.55  # of a state
POINTS = 36  # a unit of a sheet, in points

# ---------------------------------------------------------------------------- the tiny automaton

# (state, word) -> how its arrow bends, and how far from the middle of the arrow its label stands
BENDS = {
    (0, 0): (-0.16, 0.0),
    (1, 2): (-0.16, 0.0),
    (0, 2): (-0.18, 0.75),
    (3, 0): (-0.18, -0.75),
    (1, 0): (-0.18, 0.75),
    (2, 2): (-0.18, -0.75),
    (2, 0): (-0.22, 0.0),
    (2, 1): (0.0, 0.0),
    (3, 2): (-0.22, 0.0),
    (0, 1): (0.0, -1.5),
    (3, 1): (0.0, -1.5),
}


def automaton() -> Figure:
    """Draw `tiny()`: a circle for each state, an arrow for each word that it may say."""
    small = tiny()
    figure, axes = sheet(12, 7)
    place = [(2.9, 5.2), (9.1, 5.2), (9.1, 1.2), (2.9, 1.2)]
    for (s, v), (bend, aside) in BENDS.items():
        (x, y), (u, w) = place[s], place[int(small.successor[s, v])]
        reach: dict[str, Any] = dict(shrinkA=RADIUS * POINTS, shrinkB=RADIUS * POINTS)
        arrow(axes, (x, y), (u, w), COLOURS[v], bend=bend, **reach)
        slope = (w - y) / (u - x) if u != x else 0
        at = (x + u + bend * (w - y)) / 2 + aside, (y + w - bend * (u - x)) / 2 + aside * slope
        label(axes, small, s, v, *at)
    x, y = place[1]
    corners = [(0.1, 0.54), (0.3, 1.9), (1.9, 0.3), (0.54, 0.1)]
    loop = Path([(x + a, y + b) for a, b in corners], [1, 4, 4, 4])
    style: dict[str, Any] = dict(arrowstyle="-|>", mutation_scale=12, lw=1.5, color=COLOURS[1])
    axes.add_patch(FancyArrowPatch(path=loop, **style))
    label(axes, small, 1, 1, x + 1.2, y + 1.1)
    for s, (x, y) in enumerate(place):
        circle(axes, x, y, str(s), INK, radius=RADIUS)
    arrow(axes, (0.9, 5.2), place[0], INK, shrinkB=RADIUS * POINTS)
    words(axes, 0.9, 5.6, "start", ha="left")
    return figure


def label(axes: Axes, small: Automaton, s: int, v: int, x: float, y: float) -> None:
    """Write a word and how probable it is in a state."""
    text = f"{small.words[v]}  {small.P[s, v]:.2f}"
    words(axes, x, y, text, COLOURS[v], bbox=dict(fc=PAPER, ec="none", pad=1.5))


# ----------------------------------------------------------------- the grammar of the language


def grammar() -> Figure:
    """Draw the rules of `language()` as two railroads: a text, and the sentences it is made of."""
    figure, axes = sheet(12, 9.4)
    # a text: a refrain, then sentences
    words(axes, 0.2, 8.9, "a text", ha="left", weight="bold")
    rail(axes, [(0.3, 6.9), (0.7, 6.9)])
    stop(axes, 1.4, 6.9, "la\nlo", 1.2, 1.3, GREEN)
    rail(axes, [(2.0, 6.9), (4.0, 6.9)])
    token(axes, 5.2, 6.9, "sentence", INK, width=2.4)
    rail(axes, [(6.4, 6.9), (7.5, 6.9)])
    for y, text, share, colour in (
        (7.8, "la or lo", "15 %", GREEN),
        (6.9, ".", "55 %", INK),
        (6.0, "and", "30 %", INK),
    ):
        if y != 6.9:
            rail(axes, [(6.8, 6.9), (7.0, y), (7.5, y)])
            rail(axes, [(9.3, y), (9.8, y), (10.0, 6.9)], head=False)
        stop(axes, 8.4, y, text, 1.8, 0.65, colour)
        words(axes, 10.2, y, share, GREY, ha="left", size=10)
    rail(axes, [(9.3, 6.9), (10.0, 6.9), (10.0, 5.2), (3.0, 5.2), (3.0, 6.8)])
    memory(axes, 1.4, 8.5, 8.4, 8.5, "the same refrain", GREEN, 7.65, 8.2)
    # a sentence: determiner, noun, verb, and perhaps a clause
    words(axes, 0.2, 4.5, "a sentence", ha="left", weight="bold")
    rail(axes, [(0.2, 2.7), (0.5, 2.7)])
    stop(axes, 1.2, 2.7, "a\nsome", 1.3, 1.3, BLUE)
    rail(axes, [(1.85, 2.7), (4.15, 2.7)])
    rail(axes, [(2.2, 2.7), (2.4, 3.7), (2.5, 3.7)], head=False)
    stop(axes, 3.1, 3.7, "wee", 1.2, 0.65, INK)
    rail(axes, [(3.7, 3.7), (3.8, 3.7), (4.0, 2.7)], head=False)
    words(axes, 3.1, 4.3, "30 %", GREY, size=10)
    stop(axes, 5.15, 2.7, "hen  cow\ncrab  seal\ncrow  bat", 2.0, 1.7, ORANGE)
    rail(axes, [(6.15, 2.7), (9.65, 2.7)])
    rail(axes, [(6.25, 2.7), (6.45, 3.7), (6.5, 3.7)], head=False)
    stop(axes, 7.9, 3.7, "that + sentence", 2.8, 0.65, INK)
    rail(axes, [(9.3, 3.7), (9.35, 3.7), (9.55, 2.7)], head=False)
    words(axes, 7.9, 4.3, "35 %, inside a clause 25 %", GREY, size=10)
    stop(axes, 10.75, 2.7, "eat  run\nswim  dive\nsoar  sing", 2.1, 1.7, ORANGE)
    memory(axes, 1.2, 0.5, 10.9, 0.5, "the same number", BLUE, 2.0, 1.8, also=5.0)
    memory(axes, 5.3, 1.3, 10.7, 1.3, "the same topic", ORANGE, 1.8, 1.8)
    return figure


def rail(axes: Axes, corners: list[tuple[float, float]], head: bool = True) -> None:
    """Draw a way from corner to corner, with an arrowhead at its end."""
    for start, end in zip(corners[:-1], corners[1:], strict=True):
        last = head and end == corners[-1]
        arrow(axes, start, end, GREY, arrowstyle="-|>" if last else "-", capstyle="round")


def stop(
    axes: Axes, x: float, y: float, text: str, width: float, height: float, colour: str
) -> None:
    """Draw the words that may be said there."""
    token(axes, x, y, text, colour, width=width, height=height)


def memory(
    axes: Axes,
    x: float,
    y: float,
    u: float,
    w: float,
    text: str,
    colour: str,
    left: float,
    right: float,
    also: float | None = None,
) -> None:
    """Draw the line from a word to the one that must remember it; left, right: where those end."""
    line: dict[str, Any] = dict(color=colour, lw=1.5, ls=(0, (3, 2)))
    axes.plot([x, x, u, u], [left, y, w, right], **line)
    if also is not None:
        axes.plot([also, also], [y, right], **line)
    words(axes, (x + u) / 2, y, text, colour, bbox=dict(fc=PAPER, ec="none", pad=2))


# ------------------------------------------------------------------------ what stands behind a mask

FORWARD, BACKWARD = COLOURS[3:5]
GAPS = (None, 2, None, None, 1)  # the masked text of the picture: ? c ? ? b


def lattice() -> Figure:
    """Draw states by positions for a masked text of the tiny language, and both passes over it."""
    small, L = tiny(), len(GAPS)
    forward, backward = passes(small)
    exact = small.posterior(torch.tensor([[small.V if v is None else v for v in GAPS]]))[0]
    figure, axes = sheet(12, 9.0)
    across, rows = [1.5 + 1.9 * i for i in range(L + 1)], [6.8, 5.6, 4.4, 3.2]
    for i, word in enumerate(GAPS):
        for s, v in small.P.nonzero().tolist():
            if word in (None, v) and forward[i, s] > 0:
                ends = (across[i], rows[s]), (across[i + 1], rows[int(small.successor[s, v])])
                reach: dict[str, Any] = dict(shrinkA=13, shrinkB=13, mutation_scale=8, lw=1.0)
                arrow(axes, *ends, COLOURS[v], bend=0.12 * (v - 1), **reach)
    for i, x in enumerate(across):
        for s, y in enumerate(rows):
            circle(axes, x, y, str(s), INK, radius=0.34)
            half(axes, x, y, 90, FORWARD, float(forward[i, s] / forward[i].sum()))
            half(axes, x, y, -90, BACKWARD, float(backward[i, s] / backward[i].max()))
    for i, word in enumerate(GAPS):
        x = (across[i] + across[i + 1]) / 2
        shown = "?" if word is None else small.words[word]
        token(axes, x, 2.15, shown, GREY if word is None else COLOURS[word], width=0.9)
        if word is None:
            said = [f"{w} {p:.2f}" for w, p in zip(small.words, exact[i].tolist(), strict=True)]
            for n, text in enumerate(said):
                words(axes, x, 1.35 - 0.45 * n, text, COLOURS[n])
    arrow(axes, (0.6, 7.8), (5.2, 7.8), FORWARD, lw=3)
    words(axes, 0.6, 8.4, "forward: the words so far", INK, ha="left")
    arrow(axes, (11.6, 7.8), (7.0, 7.8), BACKWARD, lw=3)
    words(axes, 11.6, 8.4, "backward: the words to come", INK, ha="right")
    return figure


def passes(small: Automaton) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the forward and the backward messages (L + 1, S) of GAPS."""
    seen = torch.zeros(len(GAPS), small.V, dtype=torch.float64)
    for i, word in enumerate(GAPS):
        seen[i, slice(None) if word is None else word] = 1
    forward, backward = [torch.eye(len(small.P), dtype=torch.float64)[0]], [torch.ones(4).double()]
    for e in seen:
        flow = forward[-1][:, None] * small.P * e
        there = torch.zeros_like(forward[-1])
        forward.append(there.index_add(0, small.successor.flatten(), flow.flatten()))
    for e in seen.flip(0):
        backward.append((small.P * e * backward[-1][small.successor]).sum(1))
    return torch.stack(forward), torch.stack(backward[::-1])


def half(axes: Axes, x: float, y: float, side: float, colour: str, share: float) -> None:
    """Fill the half of a circle that begins at an angle, the stronger the larger the share."""
    if share > 0.01:
        fill = tint(colour, 0.4 * share)
        of_circle = Wedge((x, y), 0.32, side, side + 180, fc=fill, ec="none")
        of_circle.set_zorder(2.5)  # between the circle and its number
        axes.add_patch(of_circle)
