"""Figures. One palette, safe for colour-blind eyes and for a dark page."""

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
