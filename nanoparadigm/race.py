"""Watching text appear: how each of some models wrote one text, side by side on one clock.

A `Run` is one text with a `Frame` for each state it went through. `moments` puts some runs on one
clock, network calls or seconds. The rest shows them: `plain`, `terminal` and `play` in a terminal,
`page` as HTML that needs nothing else, `gif` as a picture.

The ground under a token is the stronger, the surer the network was of it when it was written; what
has just changed is bold and underlined. Numbers say the same, for whoever sees no colours.
"""

import json
import time
import unicodedata
from bisect import bisect_right
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from string import Template
from typing import NamedTuple

import torch

from . import evaluate
from .errors import choose
from .tokenizers import BLANK
from .viz import GREY, MARKERS, PALETTE

CLOCKS = {"calls": "network calls", "seconds": "seconds"}
UNWRITTEN = "·"
RECENT = 4  # network calls for which a token counts as new
COST = (
    "A call does not cost the same everywhere: diffusion and flow compute all positions they read "
    "in every call, ar and mamba only the new one."
)


@dataclass(frozen=True)
class Frame:
    """One state of a text, and what it took to come so far. The tuples have an entry per token."""

    symbols: tuple[str, ...]
    """what to show: `shown` of its text, BLANK where it is masked, UNWRITTEN where not begun"""
    calls: int
    """of the network"""
    positions: int
    """token positions that these calls computed"""
    seconds: float
    """the model's own time; what it takes to keep the frames is left out"""
    changed: tuple[int | None, ...]
    """`calls` when the token last changed; None where it is given or still blank"""
    sure: tuple[float | None, ...]
    """the probability that the network gave to the token in the call it comes from, before any
    sharpening; None where it is given, blank, or drawn without the network (the noise of flow)"""

    @property
    def surety(self):
        """The mean of `sure`; None where no token has one."""
        known = [p for p in self.sure if p is not None]
        return sum(known) / len(known) if known else None


@dataclass(frozen=True)
class Run:
    """How one model wrote one text."""

    name: str
    kind: str
    """ar, diffusion, flow or mamba, for the colour"""
    joiner: str
    """what stands between two tokens, as in `Tokenizer`"""
    given: tuple[bool, ...]
    """which tokens were given"""
    text: str
    frames: tuple[Frame, ...]


class Moment(NamedTuple):
    at: float
    """on the clock of the race"""
    frames: tuple[Frame, ...]
    """the last that each run has reached by then"""


def record(name, model, tokenizer, template, generator, **options):
    """Let a model write one text that agrees with `template` (a list of L ids, `model.blank` where
    nothing is given), and keep every state: a Run. The options are those of `write`.

    A causal model's last logits are of the token that comes next, another model's of every token it
    reads. With `corrections` the logits are those of the last one, though the token may be older.
    Raises InputError as `write` does.
    """
    canvas, known = model.canvas(template, 1)
    model.sample(1, 1, torch.Generator(model.device), steps=1)  # no run shall pay for waking torch
    masks = model.extra_symbols > 0 and not model.causal
    changed, sure = [None] * len(template), [None] * len(template)
    frames, ids, seconds = [], list(template), 0.0
    with evaluate.counting(model) as counted, torch.inference_mode():
        states = model.write(canvas, known, generator, **options)
        while True:
            calls, began = counted.calls, time.perf_counter()
            step = next(states, None)
            seconds += time.perf_counter() - began
            if step is None:
                break
            (state, window), before = step, ids
            ids = state[0].tolist()
            called = counted.calls > calls
            if called:
                p = counted.logits[0, :, : model.vocab_size].double().softmax(-1)
            for i, (token, old) in enumerate(zip(ids, before, strict=True)):
                if token != old:
                    blank = token == model.blank
                    row = -1 if model.causal else i - window.start
                    changed[i] = None if blank else counted.calls
                    sure[i] = p[row, token].item() if called and not blank else None
            symbols = [shown(piece) for piece in tokenizer.pieces(ids)]
            for i, token in enumerate(ids):
                if token == model.blank:
                    masked = masks and window.start <= i < window.stop
                    symbols[i] = BLANK if masked else UNWRITTEN
            costs = dict(calls=counted.calls, positions=counted.positions, seconds=seconds)
            kept = dict(symbols=tuple(symbols), changed=tuple(changed), sure=tuple(sure))
            frames.append(Frame(**costs, **kept))
    return Run(
        name=name,
        kind=model.recipe["name"],
        joiner=tokenizer.joiner,
        given=tuple(known[0].tolist()),
        text=tokenizer.decode(ids),
        frames=tuple(frames),
    )


def shown(piece):
    """A token's text with nothing in it that cannot be seen or that a terminal might obey."""
    return "".join(map(visible, piece))


def visible(c):
    if c == "\n":
        return "↵\n"
    if c < " " or c == "\x7f":
        return chr(0x2400 + ord(c)) if c < " " else "␡"
    return "\ufffd" if unicodedata.category(c)[0] == "C" or c in "\u2028\u2029" else c


def moments(runs, clock="calls"):
    """Every time at which a run has a new frame, in order: Moments, each with a frame per run.

    clock: one of CLOCKS. Before its first frame a run stands on that.
    """
    choose("clock", clock, CLOCKS)
    times = [[getattr(frame, clock) for frame in run.frames] for run in runs]
    return [
        Moment(
            at,
            tuple(
                run.frames[max(bisect_right(reached, at) - 1, 0)]
                for run, reached in zip(runs, times, strict=True)
            ),
        )
        for at in sorted(set().union(*times))
    ]


def page(runs, clock="calls", title="Watching text appear"):
    """The race as HTML that stands alone: no network, no library. It starts on that clock."""
    race = dict(
        clock=clock,
        recent=RECENT,
        runs=[outline(run) for run in runs],
        moments={name: places(runs, name) for name in CLOCKS},
    )
    choose("clock", clock, CLOCKS)
    parts = [
        f'<section style="--hue: {" ".join(map(str, rgb(PALETTE.get(run.kind, GREY))))}" '
        f'aria-labelledby="name{i}"><h2 id="name{i}"><span aria-hidden="true">'
        f'{SIGNS.get(run.kind, "")}</span> {escape(run.name)}</h2><p class="costs"></p>'
        f'<div class="text">{escape(run.joiner.join(run.frames[-1].symbols))}</div></section>'
        for i, run in enumerate(runs)
    ]
    template = Template(files(__package__).joinpath("race.html").read_text(encoding="utf-8"))
    return template.substitute(
        title=escape(title),
        runs="\n".join(parts),
        recent=RECENT,
        blank=BLANK,
        unwritten=UNWRITTEN,
        cost=COST,
        race=json.dumps(race).replace("<", "\\u003c"),  # no text can end the script it stands in
    )


def outline(run):
    """A run for JSON: of each frame its costs, and only those tokens that differ from the last."""
    frames, before = [], [None] * len(run.given)
    for frame in run.frames:
        sure = [None if p is None else round(p, 4) for p in frame.sure]
        now = list(zip(frame.symbols, frame.changed, sure, strict=True))
        pairs = enumerate(zip(now, before, strict=True))
        tokens = [[i, *new] for i, (new, old) in pairs if new != old]
        costs = dict(calls=frame.calls, positions=frame.positions, seconds=frame.seconds)
        frames.append(dict(**costs, surety=frame.surety, tokens=tokens))
        before = now
    return dict(name=run.name, joiner=run.joiner, given=run.given, frames=frames)


def places(runs, clock):
    """`moments` with the number of each frame in its run: lists [at, number, ...]."""
    number = {id(frame): i for run in runs for i, frame in enumerate(run.frames)}
    return [[at, *(number[id(frame)] for frame in frames)] for at, frames in moments(runs, clock)]


SIGNS = {kind: {"o": "●", "s": "■", "^": "▲", "D": "◆"}[sign] for kind, sign in MARKERS.items()}


def rgb(colour):
    """ "#rrggbb" -> three numbers from 0 to 255."""
    return tuple(int(colour[i : i + 2], 16) for i in (1, 3, 5))
