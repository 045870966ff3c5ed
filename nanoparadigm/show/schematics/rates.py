"""Chapter 7: rates on a graph, darts thrown at them, rates averaged, a step read backwards."""

import math
from collections.abc import Sequence
from random import Random
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch
from matplotlib.path import Path

from ..figures import COLOURS, GREY, PALETTE
from .canvas import INK, PAPER, arrow, circle, sheet, tint, words

WORDS = "abc"
RATES = [[0, 2, 0.5], [0.5, 0, 1.5], [1, 0.5, 0]]  # of the chain that the chapter begins with
ORANGE = PALETTE["diffusion"]
Place = tuple[float, float]

# ----------------------------------------------------------------------- a graph and one path


def triangle(x: float, y: float, side: float) -> list[Place]:
    """Return the places of a, b, c around (x, y): a on top, b on the right, c on the left."""
    low = y - side / math.sqrt(12)
    return [(x, y + side / math.sqrt(3)), (x + side / 2, low), (x - side / 2, low)]


def jump(
    axes: Axes, start: Place, end: Place, colour: str, rate: str, aside: float = 0.34, **how: Any
) -> None:
    """Draw a bent arrow between the circles of two states, with its rate `aside` from it."""
    bend = 0.2
    arrow(axes, start, end, colour, bend=bend, **dict(shrinkA=17, shrinkB=17) | how)
    (x, y), (u, w) = start, end
    reach = bend / 2 + aside / math.hypot(
        u - x, w - y
    )  # of the label, from the middle of the chord
    place = (x + u) / 2 + reach * (w - y), (y + w) / 2 - reach * (u - x)
    words(axes, *place, rate, colour)


def graph_and_path() -> Figure:
    """Draw three states with the rates between them, and one path that a token takes."""
    figure, axes = sheet(15.6, 6.6, scale=0.42)
    places = triangle(3.4, 2.85, 4.2)
    for i, start in enumerate(places):
        for j, end in enumerate(places):
            if i != j:
                jump(axes, start, end, COLOURS[i], f"{RATES[i][j]:g}")
    for i, place in enumerate(places):
        circle(axes, *place, WORDS[i], COLOURS[i], radius=0.52)
    left, right, low, step = 8.6, 15.1, 1.5, 1.5
    levels = [low + 2 * step, low + step, low]
    stay = [(0, 0.0), (1, 0.29), (2, 0.86), (0, 1.92), (1, 2.08), (2, 2.31), (1, 2.73)]
    ends = [time for _, time in stay[1:]] + [3.0]
    for word, y, colour in zip(WORDS, levels, COLOURS, strict=False):
        words(axes, left - 0.45, y, word, colour)
        axes.plot([left, right], [y, y], color=GREY, lw=0.7, ls=(0, (1, 3)))
    along = [left + (right - left) * time / 3 for time in [0.0, *ends]]
    for n, (state, _) in enumerate(stay):
        axes.plot(along[n : n + 2], [levels[state]] * 2, color=COLOURS[state], lw=4)
        if n:
            before = levels[stay[n - 1][0]]
            arrow(axes, (along[n], before), (along[n], levels[state]), GREY, lw=1)
    axes.plot([left, right], [0.85, 0.85], color=INK, lw=0.8)
    for time in range(4):
        x = left + (right - left) * time / 3
        axes.plot([x, x], [0.85, 0.72], color=INK, lw=0.8)
        words(axes, x, 0.4, str(time), size=10)
    words(axes, (left + right) / 2, 5.7, "one path: it waits, then it jumps")
    words(axes, (left + right) / 2, 0.4, "time", size=10)
    return figure


# ------------------------------------------------------------------------ thinning with darts


def darts() -> Figure:
    """Draw candidate times as darts: those below the exit rate of the present state are jumps."""
    figure, axes = sheet(15.4, 6.6, scale=0.42)
    left, right, low, high, most = 1.6, 12.3, 1.3, 5.2, 5.0
    random, state, time = Random(13), 0, 0.0

    def at(time: float, rate: float) -> Place:
        return left + (right - left) * time, low + (high - low) * rate / most

    hits, since = [], 0.0
    runs: list[tuple[int, float, float]] = []
    while (time := time + random.expovariate(most)) < 1:
        height = most * random.random()
        exits = [2 * time * rate for rate in RATES[state]]
        hit = height < sum(exits)
        hits.append((time, height, hit))
        if hit:
            runs.append((state, since, time))
            state, since = random.choices(range(3), exits)[0], time
    runs.append((state, since, 1.0))
    for state, start, end in runs:
        exit_rate = 2 * sum(RATES[state])
        corners = [at(start, 0), at(start, exit_rate * start), at(end, exit_rate * end), at(end, 0)]
        x, y = zip(*corners, strict=True)
        axes.fill(x, y, fc=tint(COLOURS[state], 0.3), ec="none")
        axes.plot(x[1:3], y[1:3], color=COLOURS[state], lw=2)
        words(axes, (x[1] + x[2]) / 2, 0.85, WORDS[state], COLOURS[state])
    for time, height, hit in hits:
        style: dict[str, Any] = dict(ms=7, mec=INK if hit else GREY, mfc=INK if hit else PAPER)
        axes.plot(*at(time, height), "o", **style)
    axes.plot([left, right], [high, high], color=GREY, lw=1.2, ls=(0, (4, 3)))
    axes.plot([left, left, right], [high + 0.2, low, low], color=INK, lw=0.8)
    words(axes, left - 0.3, high, "Λ", ha="right")
    words(axes, left - 0.3, low, "0", ha="right", size=10)
    words(axes, 0.5, (low + high) / 2, "rate", rotation=90, size=10)
    words(axes, (left + right) / 2, 0.3, "the state, over time", size=10)
    axes.plot(left + 0.3, 6.1, "o", ms=7, mec=INK, mfc=INK)
    words(axes, left + 0.65, 6.1, "below the exit rate: a jump", ha="left")
    axes.plot(8.3, 6.1, "o", ms=7, mec=GREY, mfc=PAPER)
    words(axes, 8.65, 6.1, "above: nothing happens", ha="left")
    text = f"exit rate of\nstate {WORDS[state]}"
    words(axes, right + 0.25, at(1, 2 * sum(RATES[state]))[1], text, size=10, ha="left")
    return figure


# ---------------------------------------------------------------------- the rates of one state

POSTERIOR = [0.24352, 0.64249, 0.11399]  # of the first word of tiny(), which shows b at t = 1/2


def averaging() -> Figure:
    """Draw the rates out of b for each target, and their mean over the posterior."""
    figure, axes = sheet(16.2, 6.4, scale=0.42)
    centres = [2.0, 5.7, 9.4, 13.9]
    for n, x in enumerate(centres):
        last = n == 3
        places = triangle(x, 2.3, 2.4)
        for j, end in enumerate(places):
            rate = sum(2 * POSTERIOR[j] * (j == k) for k in range(3)) if last else 2.0 * (j == n)
            if j != 1 and rate:
                colour = INK if last else COLOURS[j]
                wide = dict(lw=0.8 + 1.3 * rate, shrinkA=14, shrinkB=14)
                label = f"{rate:.2f}" if last else f"{rate:g}"
                jump(axes, places[1], end, colour, label, 0.5, **wide)
        for j, place in enumerate(places):
            fill = tint(ORANGE, 0.5) if j == 1 else PAPER
            circle(axes, *place, WORDS[j], GREY, fill, radius=0.42)
        title = "their mean" if last else f"if the word was {WORDS[n]}"
        words(axes, x, 5.75, title, INK if last else COLOURS[n])
        says = "the rates out of b" if last else f"probability {POSTERIOR[n]:.3f}"
        words(axes, x, 5.1, says, size=10)
    words(axes, centres[1], 0.5, "b is right: it stays", size=10)
    for x, sign in ((3.85, "+"), (7.55, "+"), (11.6, "=")):
        words(axes, x, 2.3, sign, size=16)
    return figure


# -------------------------------------------------------------------- a step, read both ways


def stripe(axes: Axes, x: float, u: float, left: Sequence[float], right: Sequence[float],
           colour: str, share: float) -> None:  # fmt: skip
    """Draw a band from (low, high) `left` at x to (low, high) `right` at u."""
    middle = (x + u) / 2
    corners = [
        (x, left[1]), (middle, left[1]), (middle, right[1]), (u, right[1]),
        (u, right[0]), (middle, right[0]), (middle, left[0]), (x, left[0]), (x, left[1]),
    ]  # fmt: skip
    codes = [1, 4, 4, 4, 2, 4, 4, 4, 79]
    axes.add_patch(PathPatch(Path(corners, codes), fc=tint(colour, share), ec="none"))


def both_ways() -> Figure:
    """Draw a step of the noise as bands between the states at two times, one band marked."""
    figure, axes = sheet(15, 7.7, scale=0.42)
    p, s, t = [0.47, 0.31, 0.22], 0.3, 0.6
    keep = (1 - t) / (1 - s)
    before = [(1 - s) * share + s / 3 for share in p]
    bands = [
        [q * (keep * (i == j) + (1 - keep) / 3) for j in range(3)] for i, q in enumerate(before)
    ]
    low, tall, gap, x, u, wide = 1.15, 4.6, 0.35, 5.0, 10.0, 0.5
    after = [sum(row[j] for row in bands) for j in range(3)]

    def tops(shares: Sequence[float]) -> list[float]:
        """Where the bar of each state begins, from the top."""
        y = low + tall + 2 * gap
        return [y - tall * sum(shares[:i]) - gap * i for i in range(3)]

    from_y, to_y = tops(before), tops(after)
    for i in range(3):
        for j in range(3):
            height = tall * bands[i][j]
            left, right = (from_y[i] - height, from_y[i]), (to_y[j] - height, to_y[j])
            marked = (i, j) == (0, 1)
            stripe(
                axes, x + wide, u, left, right, ORANGE if marked else GREY, 0.85 if marked else 0.16
            )
            from_y[i] -= height
            to_y[j] -= height
    for i, (y, w) in enumerate(zip(tops(before), tops(after), strict=True)):
        for at, top, shares in ((x, y, before), (u, w, after)):
            height = tall * shares[i]
            corners = [at, at + wide, at + wide, at], [top, top, top - height, top - height]
            axes.fill(*corners, fc=tint(COLOURS[i], 0.45), ec=COLOURS[i], lw=1.2)
        words(axes, x - 0.35, y - tall * before[i] / 2, WORDS[i], COLOURS[i], ha="right")
        words(axes, u + 0.85, w - tall * after[i] / 2, WORDS[i], COLOURS[i], ha="left")
    words(axes, x + wide / 2, 7.0, "at t − h")
    words(axes, u + wide / 2, 7.0, "at t")
    arrow(axes, (6.4, 7.0), (9.1, 7.0), GREY)
    words(axes, 7.75, 7.4, "noise", size=10)
    arrow(axes, (9.1, 0.3), (6.4, 0.3), ORANGE)
    words(axes, 7.75, 0.75, "the same, backwards", ORANGE, size=10)
    words(axes, 2.3, 4.7, "of the tokens on a,\nwhich share\njumps to b?", size=10)
    words(axes, 13.0, 2.95, "of the tokens on b,\nwhich share\ncame from a?", size=10)
    return figure
