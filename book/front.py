"""The race on the front page and in the README, recorded from four models that `make book` trains.

    nanoparadigm compare --dataset language --out runs/compare
    python book/front.py                       or FOLDER, of such a comparison

It writes book/figures/race.html (the page of `nanoparadigm visualize`, with a dress for a small
frame) and race.svg (the same race as a picture that moves). From the page every build of the site
draws `card`, a still for link previews.
"""

import argparse
import json
import re
from html import escape
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import torch
from matplotlib.figure import Figure

from nanoparadigm.commands.sample import Decoding
from nanoparadigm.data.tokenizers import BLANK
from nanoparadigm.show import animation
from nanoparadigm.show.figures import PALETTE
from nanoparadigm.training import checkpoint

FIGURES = Path(__file__).parent / "figures"
SEED = 1
HOW = {
    "ar": "one word after another",
    "mamba": "the same, fixed memory",
    "diffusion": "unmasks words",
    "flow": "refines random words",
}
TITLE = "Four models write the same language"

# In a frame: without title and legend, which the page around it has; as high as it needs, in two
# columns where they fit, and in the theme of that page. A page opened as a file has no
# `frameElement`: there wide.css has a height, and the theme is what the system prefers.
FRAMED = """
<script>
  if (parent !== window) document.documentElement.classList.add("framed");
  if (frameElement) {
    const root = document.documentElement, around = parent.document.documentElement;
    const follow = () => root.dataset.theme = around.dataset.theme;
    new MutationObserver(follow).observe(around, { attributeFilter: ["data-theme"] });
    new ResizeObserver(() => frameElement.style.height = root.offsetHeight + "px").observe(root);
    follow();
  }
</script>
<style>
  .framed { --paper: transparent }
  .framed[data-theme=light] { color-scheme: light; --ink: #1a1a1a; --dim: #5f6368 }
  .framed[data-theme=dark] { color-scheme: dark; --ink: #ececec; --dim: #a3a8b0 }
  .framed[data-theme=light] { --wrong: #d00000 }
  .framed[data-theme=dark] { --wrong: #ff6369 }
  .framed h1, .framed dl { display: none }
  .framed body { padding: 2px; max-width: none }
  .framed .race { grid-template-columns: repeat(auto-fit, minmax(min(100%, 20rem), 1fr)) }
  .framed section { padding: .5rem .75rem }
  .framed .costs { font-size: .78rem }
  .framed .text { font-size: .95rem; line-height: 1.6 }
  .framed output { margin: .25rem 0 .5rem }
</style>"""

COLUMNS, CELL, LINE = 8, 58, 30  # words in a row, and the pixels of one
WIDE, HIGH, GAP, HEAD = COLUMNS * CELL + 24, 4 * LINE + 54, 16, 34
PLAYS, STANDS = 12, 4  # seconds
PLAIN = """
  svg { --paper: #ffffff; --ink: #1a1a1a; --dim: #5f6368 }
  @media (prefers-color-scheme: dark) { svg { --paper: #14161a; --ink: #ececec; --dim: #a3a8b0 } }
  text { fill: var(--ink); font: 15px ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace }
  .head { font: 600 16px system-ui, sans-serif }
  .more { font-size: 15px; font-weight: 400; fill: var(--dim) }
  .dim { fill: var(--dim) } .wrong { stroke: #e5484d; stroke-width: 2.5 }
  .then { visibility: hidden }
  @media (prefers-reduced-motion: reduce) { g { animation: none !important } }
"""


def recorded(folder):
    """The Runs of the four models in the folder of a comparison."""
    runs = []
    for number, name in enumerate(HOW):
        saved = checkpoint.load(folder / name)
        model, tokenizer = saved.model.eval(), saved.tokenizer
        how = Decoding()
        template = model.template(how.length(saved), [])
        g = torch.Generator().manual_seed(SEED + number)
        runs.append(animation.record(name, model, tokenizer, template, g, **how.options(saved)))
    return runs


def states(run, place):
    """[(calls from which it stands there, symbol, how sure), ...] of one token."""
    tokens = [(frame.calls, frame.new[place]) for frame in run.frames if place in frame.new]
    return [(calls, token.symbol, token.sure) for calls, token in tokens]


def corner(number):
    """Where on the canvas a run has its pane: left, top."""
    return GAP + number % 2 * (WIDE + GAP), HEAD + number // 2 * (HIGH + GAP)


def word(symbol):
    return symbol * 3 if symbol == BLANK else symbol


def heading(run):
    said = animation.count(len(run.mistakes), "mistake") if run.mistakes else "no mistake"
    return f"{HOW[run.kind]}: {run.frames[-1].calls} calls, {said}"


def svg(runs):
    """The race as a picture that moves by itself, on the clock of calls, again and again."""
    last = max(run.frames[-1].calls for run in runs)
    parts, rules = [], {}

    def share(calls):
        return f"{100 * PLAYS / (PLAYS + STANDS) * calls / last:.4g}%"

    for number, run in enumerate(runs):
        left, top = corner(number)
        colour = PALETTE[run.kind]
        parts.append(
            f'<rect x="{left}" y="{top}" width="{WIDE}" height="{HIGH}" rx="8" fill="none" '
            f'stroke="{colour}" stroke-width="2"/>'
            f'<text class="head" x="{left + 14}" y="{top + 26}">'
            f'<tspan fill="{colour}">{animation.SHAPES[run.kind]}</tspan> {run.name} '
            f'<tspan class="more" dx="6">{escape(heading(run))}</tspan></text>'
        )
        for place in range(len(run.given)):
            x, y = left + 14 + place % COLUMNS * CELL, top + 58 + place // COLUMNS * LINE
            for (since, symbol, sure), then in pairwise([*states(run, place), None]):
                times = since, then and then[0]
                name = rules.setdefault(times, f"k{len(rules)}")
                look = "" if then is None else " then"
                parts.append(f'<g class="{name}{look}">')
                if sure is not None:
                    parts.append(
                        f'<rect x="{x - 3}" y="{y - 16}" width="{CELL - 4}" height="22" rx="3" '
                        f'fill="{colour}" fill-opacity="{animation.STRONGEST * sure:.2f}"/>'
                    )
                dim = ' class="dim"' if sure is None else ""
                parts.append(f'<text{dim} x="{x}" y="{y}">{escape(word(symbol))}</text>')
                if then is None and place in run.reasons:
                    parts.append(f'<path class="wrong" d="M{x} {y + 5}h{9 * len(symbol)}"/>')
                parts.append("</g>")
    style = [PLAIN]
    for (since, until), name in rules.items():
        steps = [("0%", since == 0), (share(since), True)]
        steps += [(share(until), False)] if until is not None else []
        frames = "".join(f"{at}{{visibility:{'visible' if on else 'hidden'}}}" for at, on in steps)
        style.append(f".{name}{{animation:{name} {PLAYS + STANDS}s step-end infinite}}")
        style.append(f"@keyframes {name}{{{frames}}}")
    width, height = 2 * WIDE + 3 * GAP, HEAD + 2 * (HIGH + GAP)
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img">',
            f"<title>{TITLE}</title><style>{''.join(style)}</style>",
            f'<rect width="{width}" height="{height}" fill="var(--paper)"/>',
            f'<text class="head more" x="{GAP}" y="22">The stronger the colour, the surer the '
            "network was of the word. Underlined in red: a mistake in the finished text.</text>",
            *parts,
            "</svg>\n",
        ]
    )


def reread(page):
    """What `card` needs of the runs of a page that `animation.page` has made."""
    for run in json.loads(re.search(r'id="race">(.*?)</script>', page, flags=re.S)[1])["runs"]:
        frames = [
            SimpleNamespace(
                calls=frame["calls"],
                new={
                    place: SimpleNamespace(symbol=symbol, sure=sure)
                    for place, symbol, _, sure in frame["tokens"]
                },
            )
            for frame in run["frames"]
        ]
        name = run["name"]
        yield SimpleNamespace(name=name, kind=name, given=run["given"], frames=frames)


def card(runs, share=0.3):
    """A still of the race, 1200 x 630 pixels, under the name of the project."""
    theme = animation.DARK
    figure = Figure(figsize=(12, 6.3), dpi=100, facecolor=theme.paper)

    def put(x, y, words, **more):
        figure.text(x / 1200, 1 - y / 630, words, **dict(color=theme.ink, va="center") | more)

    put(60, 70, "nanoParadigm", size=44, weight="bold")
    put(60, 130, "Four ways to model language, in a book you can run", size=22, color=theme.dim)
    last = max(run.frames[-1].calls for run in runs)
    for number, run in enumerate(runs):
        left, top = 60 + number % 2 * 550, 205 + number // 2 * 215
        put(left, top, f"{animation.SHAPES[run.kind]} {run.name}", size=19, color=PALETTE[run.kind])
        put(left + 150, top, HOW[run.kind], size=15, color=theme.dim)
        for place in range(len(run.given)):
            x, y = left + place % COLUMNS * 66, top + 38 + place // COLUMNS * 36
            _, symbol, sure = [s for s in states(run, place) if s[0] <= share * last][-1]
            ground = theme.paper if sure is None else theme.ground(PALETTE[run.kind], sure)
            box = dict(facecolor=ground, edgecolor="none", pad=3)
            ink = theme.dim if sure is None else theme.ink
            put(x, y, word(symbol), size=15, family="monospace", color=ink, bbox=box)
    return figure


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("folder", nargs="?", type=Path, default="runs/compare")
    torch.set_num_threads(1)  # more would wait for one another: the networks are small
    runs = recorded(parser.parse_args().folder)
    page = animation.page(runs, title=TITLE)
    page = page.replace("</style>", "</style>" + FRAMED, 1)
    (FIGURES / "race.html").write_text(page, encoding="utf-8")
    (FIGURES / "race.svg").write_text(svg(runs), encoding="utf-8")


if __name__ == "__main__":
    main()
