"""Figures. One palette, safe for colour-blind eyes and for a dark page."""

from matplotlib.figure import Figure

PALETTE = {"ar": "#0072B2", "diffusion": "#D55E00", "flow": "#009E73", "mamba": "#CC79A7"}
MARKERS = {"ar": "o", "diffusion": "s", "flow": "^", "mamba": "D"}


def learning_curves(curves, title=""):
    """name -> list of (seconds, tokens, bits, standard error) to a figure with two panels:
    bits per character against tokens read and against seconds of training."""
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    by_tokens, by_seconds = figure.subplots(1, 2, sharey=True)
    for name, points in curves.items():
        seconds, tokens, bits, se = zip(*points, strict=True)
        style = dict(color=PALETTE.get(name, "#888888"), marker=MARKERS.get(name, "x"), capsize=2)
        by_tokens.errorbar(tokens, bits, se, label=name, **style)
        by_seconds.errorbar(seconds, bits, se, label=name, **style)
    by_tokens.set_xlabel("tokens read")
    by_tokens.set_ylabel("bits per character (validation)")
    by_seconds.set_xlabel("seconds of training")
    by_tokens.legend(frameon=False)
    for axes in (by_tokens, by_seconds):
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    figure.suptitle(title)
    return figure
