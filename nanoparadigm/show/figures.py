"""Figures and views. One palette, safe for colour-blind eyes and for a dark page.

A view is a piece of HTML that needs no kernel, no network and no library: it looks the same in a
notebook and on the published page. Its frames are computed in advance, and a slider, which the
keyboard moves too, shows one of them. Nothing moves by itself. With a kernel, `explore` can do
more: it also draws what lies between the frames.
"""

import math
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from html import escape
from os import PathLike
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ..paradigms import PRESETS

PALETTE = {name: preset.colour for name, preset in PRESETS.items()}
MARKERS = {name: preset.marker for name, preset in PRESETS.items()}
GREY = "#808080"
COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"]
DASHES = ["", "8 3", "2 3", "8 3 2 3", "12 3", "5 5"]
WIDGET = "application/vnd.jupyter.widget-view+json"


AXES = "tokens", "seconds", "val", "val_se"


def learning_curves(
    logs: Mapping[str, Sequence[dict]],
    reference_levels: Mapping[str, float],
    nats_per_bit: float,
    title: str = "",
) -> Figure:
    """Plot bits per character on the validation split against tokens read and seconds of training.

    logs: name -> the records of a run. reference_levels: label -> nats per token, drawn as level
    lines. What is nan is left out.
    """
    reference_levels = {
        label: nats for label, nats in reference_levels.items() if not math.isnan(nats)
    }
    figure = Figure(figsize=(10, 4.5), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    for name, records in logs.items():
        points = [r for r in records if "val" in r]
        of = {k: np.array([r[k] for r in points], dtype=float) for k in AXES}  # null is nan
        bits, se = of["val"] / nats_per_bit, of["val_se"] / nats_per_bit
        style = dict(color=PALETTE.get(name, GREY), marker=MARKERS.get(name, "x"), capsize=2)
        for axes, x in zip(panels, ("tokens", "seconds"), strict=True):
            axes.errorbar(of[x], bits, se, label=name, **style)
    panels[0].set_xlabel("tokens read")
    panels[0].set_ylabel("bits per character")
    panels[1].set_xlabel("seconds of training")
    for axes in panels:
        for i, (label, nats) in enumerate(reference_levels.items()):
            last = i == len(reference_levels) - 1
            axes.axhline(nats / nats_per_bit, color=GREY, lw=1.5, ls="-" if last else ":")
            if axes is panels[1]:
                place = dict(x=1.01, y=nats / nats_per_bit, transform=axes.get_yaxis_transform())
                axes.text(s=label, color=GREY, fontsize=8, va="center", **place)
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].legend(frameon=False)
    figure.suptitle(title)
    return figure


def save(path: str | PathLike, draw: Callable[..., Figure], *given) -> None:
    """Save the figure that draw(*given) returns. Raises OSError if it cannot be drawn or saved."""
    try:
        draw(*given).savefig(path, dpi=150)
    except Exception as error:  # of matplotlib, any: what the figure shows has been said
        raise OSError(f"could not draw {path} ({type(error).__name__}: {error})") from error


class View:
    """HTML for a notebook or a page, and elsewhere a sentence that says what it shows.

    live: None, or a function without arguments that makes a widget. Jupyter prefers the widget to
    the HTML as long as there is a kernel; book/chapters.py keeps only the HTML.
    """

    def __init__(self, html: str, says: str, live: Callable[[], Any] | None = None) -> None:
        self.html, self.says, self.live = html, says, live

    def _repr_html_(self) -> str:
        return self.html

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        try:
            widget = self.live and self.live()
        except ImportError:  # without ipywidgets there is still the HTML
            widget = None
        if not widget:
            return {}
        return {WIDGET: {"version_major": 2, "version_minor": 0, "model_id": widget.model_id}}

    def __repr__(self) -> str:
        return self.says


def heat(tokens: Iterable[str], values: Iterable[float | None], highest: float = 1.0) -> str:
    """Return tokens as HTML, the background of each stronger the higher its value.

    values: from 0 to `highest`, or None for no background; a tooltip shows the number.
    """
    spans = []
    for token, value in zip(tokens, values, strict=True):
        if value is None:
            spans.append(f"<span>{escape(token)}</span>")
        else:
            value = max(value, 0.0)  # and no -0.00
            share = min(value / highest, 1.0)
            ground = f"background:rgba(213,94,0,{0.75 * share:.2f})"
            spans.append(f'<span style="{ground}" title="{value:.2f}">{escape(token)}</span>')
    return " ".join(spans)


# a frame is shown by taking away its `hidden`, so that the first is there without any script
SLIDE = (
    "var f=this.closest('figure').querySelectorAll('[data-label]');"
    "for(var i=0;i<f.length;i++)f[i].hidden=i!=this.value;"
    "this.setAttribute('aria-valuetext',f[this.value].dataset.label);"
    "this.nextElementSibling.textContent=f[this.value].dataset.label"
)


def slider(frames: Sequence[str], labels: Sequence[str], title: str, ground: str = "") -> View:
    """Return a View that shows one of several HTML frames under a slider.

    Arrow keys, Home and End move it. ground: HTML under all frames, for what they have in common.
    """
    first = escape(labels[0])
    block = ' style="display:block"' if ground else ""
    place = ";position:absolute;inset:0" if ground else ""
    parts = [
        f'<figure role="group" aria-label="{escape(title)}" style="margin:1em 0">',
        # a theme that dims captions dims them below what can be read
        f'<figcaption style="color:inherit;font-weight:inherit">{escape(title)}<br>'
        f'<input type="range" min="0" max="{len(frames) - 1}" value="0" style="width:60%" '
        f'aria-label="{escape(title)}" aria-valuetext="{first}" '
        f'oninput="{SLIDE}"> <output{block}>{first}</output></figcaption>',
    ]
    if ground:
        parts.append(f'<div style="position:relative">{ground}')
    for i, (frame, label) in enumerate(zip(frames, labels, strict=True)):
        hidden = " hidden" if i else ""
        parts.append(
            f'<div data-label="{escape(label)}" '
            f'style="font-family:monospace;line-height:1.9{place}"{hidden}>{frame}</div>'
        )
    html = "\n".join([*parts, "</div></figure>" if ground else "</figure>"])
    return View(html, f"{title}: {len(frames)} frames, from {labels[0]} to {labels[-1]}")


def explore(
    draw: Callable[[float], str],
    values: Sequence[float],
    title: str,
    label: Callable[[float], str] = str,
) -> View:
    """Return a View of draw(value), which is HTML, for each of some increasing numbers.

    label(value) describes it. In a live kernel with ipywidgets the slider also stops between the
    values and draws anew, so whatever `draw` looks up must then still be what it was.
    """

    def live() -> Any:
        import ipywidgets

        whole = all(isinstance(value, int) for value in values)
        kind = ipywidgets.IntSlider if whole else ipywidgets.FloatSlider
        step = 1 if whole else (values[-1] - values[0]) / 200
        span = dict(value=values[0], min=values[0], max=values[-1], step=step)
        moved = kind(**span, readout=False, layout=ipywidgets.Layout(width="60%"))
        moved.tooltip = title
        caption, shown = ipywidgets.Label(), ipywidgets.HTML()

        def move(_: Any = None) -> None:
            caption.value = label(moved.value)
            shown.value = f'<div style="font-family:monospace">{draw(moved.value)}</div>'

        moved.observe(move, "value")
        move()
        top = ipywidgets.HBox([moved, caption])
        return ipywidgets.VBox([ipywidgets.Label(title), top, shown])

    view = slider([draw(value) for value in values], [label(value) for value in values], title)
    return View(view.html, view.says, live)


WIDTH, LEFT, RIGHT, TOP, BOTTOM = 640, 48, 520, 52, 312  # of the plot that `follow` draws


def svg(inside: Iterable[str], more: str) -> str:
    """Return drawn parts on the canvas of `follow`."""
    box = f'viewBox="0 0 {WIDTH} 352" style="display:block;max-width:{WIDTH}px"'
    return f'<svg {box} font-size="12" fill="currentColor" {more}>{"".join(inside)}</svg>'


def written(u: float, v: float, words: str, anchor: str = "middle", more: str = "") -> str:
    """Return words at a place of that canvas."""
    return f'<text x="{u:.0f}" y="{v:.0f}" text-anchor="{anchor}"{more}>{escape(words)}</text>'


def number(u: float) -> str:
    """Return a number as a label: whole and with commas from 1000 on."""
    return f"{u:,.0f}" if abs(u) >= 1000 else f"{u:g}"


def follow(
    curves: Mapping[str, Sequence[tuple[float, float]]],
    title: str,
    x: str = "",
    y: str = "",
    levels: Mapping[str, float] | None = None,
    digits: int = 2,
) -> View:
    """Return a View of at most six curves, each with a point that a slider leads along it.

    curves: name -> [(x, y), ...] from left to right. levels: label -> y, drawn as level lines.
    Where a curve has no point at a place of the slider, its last one before stays.
    """
    levels = levels or {}
    places = sorted({u for curve in curves.values() for u, _ in curve})
    values = [v for curve in curves.values() for _, v in curve] + list(levels.values())
    first, last, low, high = places[0], places[-1], min(values), max(values)
    spare = [c for c in COLOURS if c not in {PALETTE.get(name) for name in curves}]
    paint = {name: PALETTE.get(name) or spare.pop(0) for name in curves}

    def across(u: float) -> float:
        return LEFT + (RIGHT - LEFT) * (u - first) / ((last - first) or 1)

    def up(v: float) -> float:
        return BOTTOM - (BOTTOM - TOP) * (v - low) / ((high - low) or 1)

    still = [
        f'<path d="M{LEFT} {TOP}V{BOTTOM}H{RIGHT}" fill="none" stroke="{GREY}"/>',
        written(LEFT - 6, TOP + 4, f"{high:.{digits}f}", "end"),
        written(LEFT - 6, BOTTOM + 4, f"{low:.{digits}f}", "end"),
        written(LEFT, BOTTOM + 16, number(first)),
        written(RIGHT, BOTTOM + 16, number(last)),
        written((LEFT + RIGHT) / 2, BOTTOM + 32, x),
        written(0, 0, y, more=f' transform="translate(14 {(TOP + BOTTOM) / 2}) rotate(-90)"'),
    ]
    below = BOTTOM + 17  # the labels of lines that lie close are pushed apart, from the lowest up
    for label, v in sorted(levels.items(), key=lambda level: level[1]):
        below = min(up(v) + 4, below - 13)
        still.append(
            f'<path d="M{LEFT} {up(v):.1f}H{RIGHT}" stroke="{GREY}" stroke-dasharray="2 4"/>'
        )
        still.append(written(RIGHT + 6, below, label, "start"))
    for i, (name, curve) in enumerate(curves.items()):
        points = " ".join(f"{across(u):.1f},{up(v):.1f}" for u, v in curve)
        style = (
            f'fill="none" stroke="{paint[name]}" stroke-dasharray="{DASHES[i]}" stroke-width="2"'
        )
        u, v = LEFT + i % 3 * 190, 14 + i // 3 * 18  # its place in the legend
        still.append(f'<polyline points="{points}" {style}/><path d="M{u} {v}h28" {style}/>')
        still.append(written(u + 34, v + 4, name, "start"))

    frames, labels = [], []
    for place in places:
        begun = {name: bisect_right(c, place, key=lambda at: at[0]) for name, c in curves.items()}
        now = {name: curves[name][i - 1] for name, i in begun.items() if i}
        dots = [
            f'<circle cx="{across(u):.1f}" cy="{up(v):.1f}" r="5" fill="{paint[name]}"/>'
            for name, (u, v) in now.items()
        ]
        frames.append(svg(dots, 'aria-hidden="true"'))
        heights = ", ".join(f"{name} {v:.{digits}f}" for name, (_, v) in now.items())
        labels.append(f"{x} {number(place)}: {heights}")
    lines = [f"{label} at {v:.{digits}f}" for label, v in levels.items()]
    says = f"{y} against {x}: {', '.join([*curves, *lines])}"
    return slider(frames, labels, title, svg(still, f'role="img" aria-label="{escape(says)}"'))
