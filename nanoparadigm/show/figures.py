"""Figures and views. One palette, safe for colour-blind eyes and for a dark page.

A view is a piece of HTML that needs no kernel, no network and no library: it looks the same in a
notebook and on the published page. Its frames are computed in advance, and a slider, which the
keyboard moves too, shows one of them. Nothing moves before its Play button is pressed. With a
kernel, `explore` can do more: it also draws what lies between the frames.
"""

import math
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from html import escape
from os import PathLike
from typing import Any

import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from ..paradigms import PRESETS

PALETTE = {name: preset.colour for name, preset in PRESETS.items()}
MARKERS = {name: preset.marker for name, preset in PRESETS.items()}
GREY = "#808080"
COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"]
DASHES = ["", "8 3", "2 3", "8 3 2 3", "12 3", "5 5"]
SURE = "#D55E00"  # the ground of a token that is sure
STRONGEST = 0.55  # the most that a ground may cover, for letters to be read on it in either theme
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


def heat(
    tokens: Iterable[str],
    values: Iterable[float | None],
    highest: float = 1.0,
    colour: str = SURE,
) -> str:
    """Return tokens as HTML, the background of each stronger the higher its value.

    values: from 0 to `highest`, or None for no background; a tooltip shows the number. In the whole
    book a strong SURE means one thing: the model is sure, so the value is a probability. Anything
    else, such as a weight, takes another colour. Either way `legend` explains it.
    """
    spans = []
    for token, value in zip(tokens, values, strict=True):
        if value is None:
            spans.append(f"<span>{escape(token)}</span>")
        else:
            value = max(value, 0.0)  # and no -0.00
            ground = f"background:{tint(value / highest, colour)}"
            spans.append(f'<span style="{ground}" title="{value:.2f}">{escape(token)}</span>')
    return " ".join(spans)


def tint(share: float, colour: str = SURE) -> str:
    """Return a colour of CSS, as strong as a share from 0 to 1, on which either theme can write."""
    r, g, b = (round(255 * part) for part in to_rgb(colour))
    return f"rgba({r},{g},{b},{STRONGEST * min(share, 1.0):.2f})"


def legend(low: str = "unsure", high: str = "sure", colour: str = SURE) -> str:
    """Return the line of HTML that says what the strength of `heat` means."""
    strip = "display:inline-block;width:5em;height:0.8em;border:1px solid #808080"
    ground = f"linear-gradient(to right,{tint(0, colour)},{tint(1, colour)})"
    return f'{escape(low)} <span style="{strip};background:{ground}"></span> {escape(high)}'


# What moves a view. All that belongs to frame i has data-frame="i", and only one is seen; all keep
# their space, so that nothing around them moves. Without a script the first stays.
SHOW = """\
var view=this.closest('figure'),at=this.value,button=this.previousElementSibling;
if(event&&button.timer)button.click();
view.querySelectorAll('[data-frame]').forEach(function(e){
e.style.visibility=e.dataset.frame==at?'':'hidden';
if(e.dataset.frame==at&&e.dataset.label)this.setAttribute('aria-valuetext',e.dataset.label)
},this)"""
# From the first frame to the last, unless it was paused between. `event` is there if a reader has
# moved the slider, which pauses. Whoever wants less motion gets one step at each press.
PLAY = """\
var button=this,range=this.nextElementSibling;
function go(to){range.value=to;range.oninput()}
function stop(){clearInterval(button.timer);button.timer=0;button.textContent='Play'}
function step(){go(range.value==range.max?0:+range.value+1)}
if(button.timer)stop();
else if(matchMedia('(prefers-reduced-motion: reduce)').matches){
button.textContent='Step';step()
}else{
if(range.value==range.max||range.value==range.defaultValue)go(0);
button.textContent='Pause';
button.timer=setInterval(function(){step();
if(range.value==range.max||!button.isConnected)stop()},350)
}"""
STACK = "display:grid;grid-template-columns:minmax(0,1fr)"  # everything in one cell, 1/1
BUTTON = (
    "font:inherit;color:inherit;background:none;border:1px solid #808080;border-radius:0.3em;"
    "padding:0.1em 0.6em;min-width:4.5em;cursor:pointer"
)


def slider(
    frames: Sequence[str],
    labels: Sequence[str],
    title: str,
    ground: str = "",
    start: int = 0,
    legend: str = "",
) -> View:
    """Return a View that shows one of several HTML frames under a slider with a Play button.

    Arrow keys, Home and End move it. ground: HTML under all frames, for what they have in common.
    start: the index of the frame shown first, -1 the last. legend: a line of HTML below the title.
    """
    start = range(len(frames))[start]

    def seen(i: int) -> str:
        hidden = ";visibility:hidden" if i != start else ""
        return f'data-frame="{i}" style="grid-area:1/1{hidden}"'

    said = "".join(f"<span {seen(i)}>{escape(label)}</span>" for i, label in enumerate(labels))
    drawn = [
        f'<div data-label="{escape(label)}" {seen(i)}>{frame}</div>'
        for i, (frame, label) in enumerate(zip(frames, labels, strict=True))
    ]
    if ground:
        drawn.insert(0, f'<div style="grid-area:1/1">{ground}</div>')
    line = f'<span style="display:block;font-size:0.9em">{legend}</span>' if legend else ""
    html = [
        f'<figure role="group" aria-label="{escape(title)}" style="margin:1em 0">',
        # a theme that dims captions dims them below what can be read
        f'<figcaption style="color:inherit;font-weight:inherit">{escape(title)}{line}',
        '<span style="display:flex;align-items:center;gap:0.6em">'
        f'<button type="button" style="{BUTTON}" onclick="{escape(PLAY)}">Play</button>'
        f'<input type="range" min="0" max="{len(frames) - 1}" value="{start}" autocomplete="off" '
        f'style="flex:0 1 24em;min-width:0;height:2em;margin:0" aria-label="{escape(title)}" '
        f'aria-valuetext="{escape(labels[start])}" oninput="{escape(SHOW)}"></span>',
        f'<output aria-live="off" style="{STACK}">{said}</output></figcaption>',
        f'<div style="{STACK};overflow-x:auto;font-family:monospace;line-height:1.9">',
        *drawn,
        "</div></figure>",
    ]
    says = f"{title}: {len(frames)} frames, from {labels[0]} to {labels[-1]}"
    return View("\n".join(html), says)


def explore(
    draw: Callable[[float], str],
    values: Sequence[float],
    title: str,
    label: Callable[[float], str] = str,
    start: int = 0,
    legend: str = "",
) -> View:
    """Return a View of draw(value), which is HTML, for each of some increasing numbers.

    label(value) describes it; `start` and `legend` are those of `slider`. In a live kernel with
    ipywidgets the slider also stops between the values and draws anew, so whatever `draw` looks up
    must then still be what it was.
    """

    def live() -> Any:
        import ipywidgets

        whole = all(isinstance(value, int) for value in values)
        kind = ipywidgets.IntSlider if whole else ipywidgets.FloatSlider
        step = 1 if whole else (values[-1] - values[0]) / 200
        span = dict(value=values[start], min=values[0], max=values[-1], step=step)
        moved = kind(**span, readout=False, layout=ipywidgets.Layout(width="60%"))
        moved.tooltip = title
        caption, shown = ipywidgets.Label(), ipywidgets.HTML()

        def move(_: Any = None) -> None:
            caption.value = label(moved.value)
            shown.value = f'<div style="font-family:monospace">{draw(moved.value)}</div>'

        moved.observe(move, "value")
        move()
        top = ipywidgets.HBox([moved, caption])
        explained = [ipywidgets.HTML(legend)] if legend else []
        return ipywidgets.VBox([ipywidgets.Label(title), *explained, top, shown])

    frames, labels = ([make(value) for value in values] for make in (draw, label))
    view = slider(frames, labels, title, start=start, legend=legend)
    return View(view.html, view.says, live)


WIDTH, HEIGHT = 480, 300  # of the plot that `follow` draws, small for a small screen to read it
LEFT, RIGHT, TOP, BOTTOM = 56, 380, 68, 260


def svg(inside: Iterable[str], more: str) -> str:
    """Return drawn parts on the canvas of `follow`."""
    box = f'viewBox="0 0 {WIDTH} {HEIGHT}" style="display:block;width:100%;max-width:38em"'
    return f'<svg {box} font-size="13" fill="currentColor" {more}>{"".join(inside)}</svg>'


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
    start: int = -1,
    legend: str = "",
) -> View:
    """Return a View of at most six curves, each with a point that a slider leads along it.

    curves: name -> [(x, y), ...] from left to right. levels: label -> y, drawn as level lines.
    Where a curve has no point at a place of the slider, its last one before stays. start: where the
    slider rests first, -1 at the end. legend: a line of HTML below the title.
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

    ticks = [low, (low + high) / 2, high] if high > low else [low]
    still = [
        f'<path d="M{LEFT} {TOP}V{BOTTOM}H{RIGHT}" fill="none" stroke="{GREY}"/>',
        *(written(LEFT - 6, up(v) + 4, f"{v:.{digits}f}", "end") for v in ticks),
        written(LEFT, BOTTOM + 16, number(first)),
        written(RIGHT, BOTTOM + 16, number(last)),
        written((LEFT + RIGHT) / 2, BOTTOM + 32, x),
        written(0, 0, y, more=f' transform="translate(12 {(TOP + BOTTOM) / 2}) rotate(-90)"'),
    ]
    below = BOTTOM + 17.0  # the labels of lines that lie close are pushed apart, from the lowest up
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
        u, v = 10 + i % 2 * 235, 14 + i // 2 * 18  # its place in the legend
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
    ground = svg(still, f'role="img" aria-label="{escape(says)}"')
    return slider(frames, labels, title, ground, start, legend)
