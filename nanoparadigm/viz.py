"""Figures and views. One palette, safe for colour-blind eyes and for a dark page.

A view is a piece of HTML that needs no kernel, no network and no library: it is the same in a
notebook and on the published page. Its frames are computed beforehand, and a slider, which the
keyboard moves too, shows one of them.
"""

from html import escape

from matplotlib.figure import Figure

PALETTE = {"ar": "#0072B2", "diffusion": "#D55E00", "flow": "#009E73", "mamba": "#CC79A7"}
MARKERS = {"ar": "o", "diffusion": "s", "flow": "^", "mamba": "D"}
GREY = "#808080"


def learning_curves(logs, floors, nats_per_bit, title=""):
    """Bits per character on the validation split against tokens read and seconds of training.

    logs: name -> the records of a run. floors: label -> nats per token, drawn as level lines.
    """
    figure = Figure(figsize=(10, 4.5), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    for name, records in logs.items():
        points = [r for r in records if "val" in r]
        bits = [r["val"] / nats_per_bit for r in points]
        se = [r["val_se"] / nats_per_bit for r in points]
        style = dict(color=PALETTE.get(name, GREY), marker=MARKERS.get(name, "x"), capsize=2)
        for axes, x in zip(panels, ("tokens", "seconds"), strict=True):
            axes.errorbar([r[x] for r in points], bits, se, label=name, **style)
    panels[0].set_xlabel("tokens read")
    panels[0].set_ylabel("bits per character")
    panels[1].set_xlabel("seconds of training")
    for axes in panels:
        for i, (label, nats) in enumerate(floors.items()):
            last = i == len(floors) - 1
            axes.axhline(nats / nats_per_bit, color=GREY, lw=1.5, ls="-" if last else ":")
            if axes is panels[1]:
                place = dict(x=1.01, y=nats / nats_per_bit, transform=axes.get_yaxis_transform())
                axes.text(s=label, color=GREY, fontsize=8, va="center", **place)
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].legend(frameon=False)
    figure.suptitle(title)
    return figure


class View:
    """HTML for a notebook or a page; elsewhere a sentence that says what it shows."""

    def __init__(self, html, says):
        self.html, self.says = html, says

    def _repr_html_(self):
        return self.html

    def __repr__(self):
        return self.says


def heat(tokens, values, highest=1.0):
    """Tokens as HTML, each on a ground that is the stronger the higher its value, which it tells
    when pointed at. values: from 0 to `highest`, or None for no ground."""
    spans = []
    for token, value in zip(tokens, values, strict=True):
        if value is None:
            spans.append(f"<span>{escape(token)}</span>")
        else:
            share = min(max(value / highest, 0.0), 1.0)
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


def slider(frames, labels, title):
    """A View of HTML frames, one at a time, under a slider: arrow keys, Home and End move it."""
    first = escape(labels[0])
    parts = [
        f'<figure role="group" aria-label="{escape(title)}" style="margin:1em 0">',
        f'<figcaption>{escape(title)}<br><input type="range" min="0" max="{len(frames) - 1}" '
        f'value="0" style="width:60%" aria-label="{escape(title)}" aria-valuetext="{first}" '
        f'oninput="{SLIDE}"> <output>{first}</output></figcaption>',
    ]
    for i, (frame, label) in enumerate(zip(frames, labels, strict=True)):
        hidden = " hidden" if i else ""
        parts.append(
            f'<div data-label="{escape(label)}" style="font-family:monospace;line-height:1.9"'
            f"{hidden}>{frame}</div>"
        )
    html = "\n".join([*parts, "</figure>"])
    return View(html, f"{title}: {len(frames)} frames, from {labels[0]} to {labels[-1]}")
