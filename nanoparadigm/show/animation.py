"""Watching text appear: how each of some models wrote one text, side by side on one clock.

A `Run` is one text with a `Frame` for each state it went through. `moments` puts some runs on one
clock, network calls or seconds. The rest shows them: `plain`, `terminal` and `play` in a terminal,
`page` as HTML that needs nothing else, `gif` as a picture.

The ground under a token is the stronger, the surer the network was of it when it was written; what
has just changed is bold and underlined. Numbers say the same, for whoever sees no colours.
"""

import json
import time
from bisect import bisect_right
from dataclasses import dataclass
from functools import cache, cached_property
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template
from textwrap import wrap
from typing import NamedTuple

import torch
from matplotlib import get_data_path
from PIL import Image, ImageDraw, ImageFont
from rich.box import ROUNDED
from rich.cells import cell_len
from rich.console import Group
from rich.live import Live
from rich.panel import Panel
from rich.style import Style
from rich.table import Column, Table
from rich.text import Text

from .. import evaluate
from ..data.tokenizers import BLANK
from ..errors import lookup
from ..paradigms import names
from ..terminal import visible
from .figures import GREY, MARKERS, PALETTE

CLOCKS = {"calls": "network calls", "seconds": "seconds"}
UNWRITTEN = "·"
RECENT = 4  # network calls for which a token counts as new
SIGNS = {
    "given": "the text it was given to begin with",
    "noise": "a random symbol that no network has chosen",
    BLANK: "masked",
    UNWRITTEN: "not begun",
    "↵": "end of a line",
}
ALL_AT_ONCE = names(lambda paradigm: not paradigm.causal, "and")
ONE_BY_ONE = names(lambda paradigm: paradigm.causal, "and")
NOTES = (
    "mean p: of the probabilities that the network gave to the tokens when it wrote them; each "
    "model has seen other parts of the text by then, so it does not tell which is the better.",
    f"A call does not cost the same everywhere: {ALL_AT_ONCE} compute all positions they read "
    f"in every call, {ONE_BY_ONE} hardly more than the new one.",
    "Seconds are those of one run on one machine: the next may take others.",
)


class Token(NamedTuple):
    """What a frame shows of a token."""

    symbol: str
    """`shown` of its text, BLANK where it is masked, UNWRITTEN where not begun"""
    changed: int | None = None
    """`calls` of the frame in which it last changed; None where it is given or still blank"""
    sure: float | None = None
    """the probability that the network gave to the token in the call it comes from, before any
    sharpening; None where it is given, blank, or drawn without the network (the noise of flow)"""


@dataclass(frozen=True, eq=False)
class Frame:
    """One state of a text, and what it took to come so far. It holds only what is new in it, so a
    run takes memory in proportion to its changes, not to the square of its length."""

    new: dict[int, Token]
    """position -> the token there, where it differs from that of the frame before"""
    before: "Frame | None"
    """None for the first, in which all is new"""
    calls: int
    """of the network"""
    positions: int
    """token positions that these calls computed"""
    seconds: float
    """the model's own time; what it takes to keep the frames is left out"""
    surety: float | None
    """the mean of `sure` over the tokens that have one; None where none has"""

    @property
    def tokens(self):
        """All tokens of the text, a list."""
        frame, tokens = self, {}
        while frame:
            for i, token in frame.new.items():
                tokens.setdefault(i, token)
            frame = frame.before
        return [tokens[i] for i in range(len(tokens))]


@dataclass(frozen=True, eq=False)
class Run:
    """How one model wrote one text."""

    name: str
    kind: str
    """its name in PRESETS, for the colour"""
    joiner: str
    """what stands between two tokens, as in `Tokenizer`"""
    given: tuple[bool, ...]
    """which tokens were given"""
    text: str
    frames: tuple[Frame, ...]

    @cached_property
    def signs(self):
        """Those of SIGNS that its frames show."""
        found = set()
        for i, (symbol, changed, sure) in (item for f in self.frames for item in f.new.items()):
            if self.given[i]:
                found.add("given")
            elif changed is None:
                found.add(symbol)
            elif sure is None:
                found.add("noise")
            if "\n" in symbol:
                found.add("↵")
        return found


class Moment(NamedTuple):
    at: float
    """on the clock of the race"""
    frames: tuple[Frame, ...]
    """the last that each run has reached by then"""


def record(name, model, tokenizer, template, generator, **options):
    """Let a model write one text that agrees with `template` (L ids, `model.mask_id` where
    nothing is given), and keep every state: a Run. The options are those of `write`.

    A causal model's last logits are of the token that comes next, another model's of every token it
    reads. With `corrections` the logits are those of the last one, though the token may be older.
    Raises InputError as `write` does.
    """
    canvas, known = model.canvas(template, 1)
    model.sample(1, 1, torch.Generator(model.device), steps=1)  # no run shall pay for waking torch
    changed, sure = [None] * len(template), [None] * len(template)
    now = [None] * len(template)
    frames, ids, seconds = [], template, 0.0
    with evaluate.counting(model) as counted, torch.inference_mode():
        states = model.generate(canvas, known, generator, **options)
        while True:
            calls, began = counted.calls, time.perf_counter()
            step = next(states, None)
            seconds += time.perf_counter() - began
            if step is None:
                break
            (state, window), before = step, ids
            ids = state[0].tolist()
            new = [i for i, token in enumerate(ids) if token != before[i]]
            p = [None] * len(new)
            if counted.calls > calls:
                rows = [-1 if model.causal else i - window.start for i in new]
                tokens = [ids[i] if ids[i] != model.mask_id else 0 for i in new]
                p = counted.logits[0, rows, : model.vocab_size].double().softmax(-1)
                p = p[range(len(new)), tokens].tolist()
            for i, p_i in zip(new, p, strict=True):
                blank = ids[i] == model.mask_id
                changed[i], sure[i] = (None, None) if blank else (counted.calls, p_i)
            was = now
            now = list(zip(symbols(model, tokenizer, ids, window), changed, sure, strict=True))
            frames.append(
                Frame(
                    new={i: Token(*token) for i, token in enumerate(now) if token != was[i]},
                    before=frames[-1] if frames else None,
                    calls=counted.calls,
                    positions=counted.positions,
                    seconds=seconds,
                    surety=surety(sure),
                )
            )
    return Run(
        name=shown(name),
        kind=model.recipe["name"],
        joiner=tokenizer.joiner,
        given=tuple(known[0].tolist()),
        text=tokenizer.decode(ids),
        frames=tuple(frames),
    )


def surety(sure):
    """The mean probability of the tokens that have one; None where none has."""
    known = [p for p in sure if p is not None]
    return sum(known) / len(known) if known else None


def symbols(model, tokenizer, ids, window):
    """What to show for each of the ids. A blank is a mask where a network that knows masks reads it
    just now, in `window` (a slice); else it has not been begun."""
    masks = range(*window.indices(len(ids))) if model.extra_symbols and not model.causal else ()
    return tuple(
        (BLANK if i in masks else UNWRITTEN) if token == model.mask_id else shown(piece)
        for i, (token, piece) in enumerate(zip(ids, tokenizer.pieces(ids), strict=True))
    )


def shown(piece):
    """A token's text with nothing in it that cannot be seen or that a terminal might obey."""
    return "".join("↵\n" if c == "\n" else visible(c) for c in piece)


def moments(runs, clock="calls"):
    """Every time at which a run has a new frame, in order: Moments, each with a frame per run.

    clock: one of CLOCKS. Before its first frame a run stands on that.
    """
    lookup("clock", clock, CLOCKS)
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


def signs(runs):
    """Those of SIGNS that some of the runs show, in their order."""
    return [sign for sign in SIGNS if any(sign in run.signs for run in runs)]


def key(runs):
    """What the signs mean that stand for no text, in a line."""
    return "   ".join(f"{sign} {SIGNS[sign]}" for sign in signs(runs) if len(sign) == 1)


def page(runs, clock="calls", title="Watching text appear", home=None):
    """The race as HTML that stands alone: no network, no library. It starts on that clock.

    home: the address of the project, for a link back.
    """
    lookup("clock", clock, CLOCKS)
    race = dict(
        clock=clock,
        recent=RECENT,
        runs=[outline(run) for run in runs],
        moments={name: places(runs, name) for name in CLOCKS},
    )
    parts = [
        f'<section style="--hue: {" ".join(map(str, rgb(hue(run))))}" '
        f'aria-labelledby="name{i}"><h2 id="name{i}"><span aria-hidden="true">'
        f'{SHAPES.get(run.kind, "")}</span> {escape(run.name)}</h2><p class="costs"></p>'
        f'<div class="text">{escape(final(run))}</div></section>'
        for i, run in enumerate(runs)
    ]
    classes = {"given": "given", "noise": "noise", BLANK: "blank", UNWRITTEN: "blank", "↵": ""}
    rows = [
        f'<dt><span class="{classes[sign]}">{sign}</span></dt><dd>{SIGNS[sign]}</dd>'
        for sign in signs(runs)
    ]
    name = f'<a href="{escape(home)}">nanoParadigm</a>' if home else "nanoParadigm"
    template = Template(files(__package__).joinpath("animation.html").read_text(encoding="utf-8"))
    return template.substitute(
        title=escape(title),
        runs="\n".join(parts),
        recent=RECENT,
        signs="\n  ".join(rows),
        name=name,
        notes="".join(f"<dt></dt><dd>{note}</dd>" for note in NOTES),
        race=json.dumps(race).replace("<", "\\u003c"),  # no text can end the script it stands in
    )


def final(run):
    """The text as it is shown in the end."""
    return run.joiner.join(token.symbol for token in run.frames[-1].tokens)


def outline(run):
    """A run for JSON: of each frame its costs, and only those tokens that differ from the last."""
    frames = []
    for frame in run.frames:
        tokens = [
            [i, symbol, changed, None if sure is None else round(sure, 4)]
            for i, (symbol, changed, sure) in frame.new.items()
        ]
        costs = dict(calls=frame.calls, positions=frame.positions, seconds=frame.seconds)
        frames.append(dict(**costs, surety=frame.surety, tokens=tokens))
    return dict(name=run.name, joiner=run.joiner, given=run.given, frames=frames)


def places(runs, clock):
    """`moments` with the number of each frame in its run: lists [at, number, ...]."""
    number = {frame: i for run in runs for i, frame in enumerate(run.frames)}
    return [[at, *(number[frame] for frame in frames)] for at, frames in moments(runs, clock)]


def still(moments, share):
    """The last of the moments at or before that share, from 0 to 1, of the time they span."""
    first, last = moments[0].at, moments[-1].at
    at = last if share == 1 else first + share * (last - first)
    return moments[bisect_right(moments, at, key=lambda moment: moment.at) - 1]


def stills(moments, n):
    """At most n of the moments, evenly spaced on the clock, the first and the last among them."""
    chosen = [still(moments, k / (n - 1)) for k in range(n)]
    return [m for m, before in zip(chosen, [None, *chosen], strict=False) if m is not before]


def heading(moment, clock):
    at = moment.at if clock == "calls" else f"{moment.at:.3f}"
    return f"{CLOCKS[clock]}: {at}"


def costs(frame):
    """What it has taken to come so far."""
    counts = (frame.calls, "call"), (frame.positions, "position")
    said = [f"{n:,} {what}{'s' if n != 1 else ''}" for n, what in counts]
    return ", ".join([*said, f"{frame.seconds:.3f} s"])


def standing(frame):
    """The same, and how sure the network was."""
    return costs(frame) + ("" if frame.surety is None else f", mean p {frame.surety:.2f}")


def title(run, frame):
    return run.name + (", finished" if frame is run.frames[-1] else "")


PAPER, INK, DIM = "#14161a", "#ececec", "#a3a8b0"  # of the terminal and of the picture
STRONGEST = 0.6  # the share of the hue in the ground under a token that was certain
GRADES = 32  # of that ground


def ground(colour, sure):
    """The colour under a token."""
    return mixed(colour, round(GRADES * sure))


@cache
def mixed(colour, grade):
    share = STRONGEST * grade / GRADES
    pairs = zip(rgb(colour), rgb(PAPER), strict=True)
    return "#" + "".join(f"{round(share * a + (1 - share) * b):02x}" for a, b in pairs)


def hue(run):
    return PALETTE.get(run.kind, GREY)


def rgb(colour):
    """A colour as "#rrggbb" -> three numbers from 0 to 255."""
    return tuple(int(colour[i : i + 2], 16) for i in (1, 3, 5))


class Piece(NamedTuple):
    """Some letters of a line, and how they look."""

    text: str
    ink: str | None = None
    ground: str | None = None
    new: bool = False
    given: bool = False


def lines(run, frame, width):
    """The tokens in lines of at most `width` cells: lists of Pieces.

    Broken wherever a line is full, so that a token stays where it is while others change.
    """
    rows, used = [[]], 0
    for token, given in zip(frame.tokens, run.given, strict=True):
        for k, part in enumerate(token.symbol.split("\n")):
            gap = run.joiner if used else ""
            cells = cell_len(part)
            if k or used and used + len(gap) + cells > width:
                rows.append([])
                used, gap = 0, ""
            rows[-1] += [Piece(gap)] * bool(gap)
            rows[-1] += [piece(run, frame, token, given, part)] * bool(part)
            used += len(gap) + cells
    return rows


def piece(run, frame, token, given, text):
    if given:
        return Piece(text, given=True)
    if token.sure is None:
        return Piece(text, DIM)
    new = frame.calls - token.changed < RECENT
    return Piece(text, INK, ground(hue(run), token.sure), new=new)


GLYPHS = {"o": "●", "s": "■", "^": "▲", "D": "◆", "v": "▼", "*": "★", "P": "✚", "X": "✖"}
SHAPES = {kind: GLYPHS[sign] for kind, sign in MARKERS.items()}


def legend(runs):
    """Lines of Pieces that say what the looks and the signs mean that these runs show."""
    looks = {"given": Piece("given", given=True), "noise": Piece("noise", DIM, PAPER)}
    shown = [part for sign in signs(runs) if sign in looks for part in (looks[sign], Piece("   "))]
    return [
        [
            *(Piece(f" {p:g} ", INK, ground(GREY, p)) for p in (0.1, 0.5, 1)),
            Piece(" how sure the network was of a token when it wrote it"),
        ],
        [
            Piece("new", new=True),
            Piece(f" in the last {RECENT} calls   "),
            *shown,
            Piece(key(runs)),
        ],
    ]


def plain(runs, moment, clock="calls", width=80):
    """A moment as text without any colours, in lines of at most `width` characters."""
    parts = [heading(moment, clock)]
    for run, frame in zip(runs, moment.frames, strict=True):
        parts.append(f"  {title(run, frame)}: {standing(frame)}")
        for row in lines(run, frame, width - 4):
            parts.append("    " + "".join(piece.text for piece in row))
    return "\n".join(parts)


def terminal(runs, moment, clock="calls", width=80):
    """A moment for a terminal of that width, as rich can print it: a panel for each model, two side
    by side if there is room, and a legend."""
    columns = 2 if len(runs) > 1 and width >= 112 else 1
    grid = Table.grid(*[Column(width=width // columns) for _ in range(columns)])
    panels = [
        panel(run, frame, width // columns - 4)
        for run, frame in zip(runs, moment.frames, strict=True)
    ]
    for i in range(0, len(panels), columns):
        grid.add_row(*panels[i : i + columns])
    return Group(Text(heading(moment, clock)), grid, *map(painted, legend(runs)), *map(Text, NOTES))


def panel(run, frame, width):
    rows = lines(run, frame, width)
    final = lines(run, run.frames[-1], width)
    rows += [[]] * (len(final) - len(rows))  # so that little moves below it
    name = Text.assemble(f"{SHAPES.get(run.kind, '')} ", (title(run, frame), f"bold {INK}"))
    return Panel(
        Group(*map(painted, rows)),
        title=name,
        title_align="left",
        subtitle=Text(standing(frame), INK),
        subtitle_align="left",
        border_style=Style(color=hue(run), bgcolor=PAPER),
        style=f"{INK} on {PAPER}",
        box=ROUNDED,
    )


def painted(row):
    text = Text()
    for letters, *look in row:
        text.append(letters, style(*look))
    return text


@cache
def style(ink, ground, new, given):
    return Style(color=ink, bgcolor=ground, italic=given, bold=new, underline=new)


def play(runs, clock, seconds, console):
    """Show the race on a rich Console, from its start to its end in that many seconds."""
    race, began, moment = moments(runs, clock), time.monotonic(), None
    with Live(console=console, auto_refresh=False) as live:
        while moment is not race[-1]:
            now = still(race, min((time.monotonic() - began) / seconds, 1))
            if now is not moment:
                moment = now
                live.update(terminal(runs, moment, clock, console.width), refresh=True)
            time.sleep(1 / 25)


FONT, LEADING, MARGIN = 15, 24, 18  # pixels: the size of the letters, a line, the space around


def gif(runs, clock, path, seconds=10, n=80, width=60):
    """Write the race as a picture that plays for ever, `n` stills in as many seconds, and stands on
    the last for a while. width: of a text, in letters."""
    race = moments(runs, clock)
    chosen = [still(race, k / (n - 1)) for k in range(n)]
    high = [
        max(len(lines(run, moment.frames[i], width)) for moment in chosen)
        for i, run in enumerate(runs)
    ]
    frames = [picture(runs, moment, clock, width, high) for moment in chosen]
    colours = frames[-1].quantize(256)  # the same for all, so that only what moves is stored
    frames = [frame.quantize(palette=colours, dither=Image.Dither.NONE) for frame in frames]
    pace = [1000 * seconds // n] * (n - 1) + [4000]
    more = dict(save_all=True, append_images=frames[1:], duration=pace, loop=0)
    frames[0].save(path, "GIF", **more)


def picture(runs, moment, clock, width, high):
    """A moment as an Image. width: of a text, in letters; high: how many lines each may need."""
    columns = min(len(runs), 2)
    cell = fonts()[False, False].getlength(" ")
    wide = round(width * cell) + 3 * MARGIN
    notes = [part for note in NOTES for part in wrap(note, round(columns * wide / cell) - 2)]
    notes = [*legend(runs), *([Piece(part)] for part in notes)]
    bands = [
        LEADING * (2 + max(high[i : i + columns])) + 2 * MARGIN
        for i in range(0, len(runs), columns)
    ]
    size = columns * wide + MARGIN, sum(bands) + LEADING * (1 + len(notes)) + 2 * MARGIN
    image = Image.new("RGB", size, PAPER)
    canvas = ImageDraw.Draw(image)
    written(canvas, [[Piece(heading(moment, clock))]], MARGIN, MARGIN)
    top = MARGIN + LEADING
    for i, (run, frame) in enumerate(zip(runs, moment.frames, strict=True)):
        left, below = MARGIN + i % columns * wide, top + sum(bands[: i // columns])
        box = left, below, left + wide - MARGIN, below + bands[i // columns] - MARGIN
        canvas.rounded_rectangle(box, 8, outline=hue(run), width=2)
        name = [Piece(f"{SHAPES.get(run.kind, '')} ", hue(run)), Piece(title(run, frame))]
        rows = [name, [Piece(standing(frame), DIM)], *lines(run, frame, width)]
        written(canvas, rows, left + MARGIN, below + MARGIN // 2)
    written(canvas, notes, MARGIN, top + sum(bands))
    return image


def written(canvas, rows, left, top):
    """Draw rows of Pieces from that corner on."""
    cell = fonts()[False, False].getlength(" ")  # of all three
    for k, row in enumerate(rows):
        x, y = left, top + k * LEADING
        for piece in row:
            font = fonts()[piece.new, piece.given]
            end = x + cell_len(piece.text) * cell
            ink = piece.ink or INK
            if piece.ground:
                canvas.rectangle((x, y, end, y + LEADING - 4), fill=piece.ground)
            canvas.text((x, y), piece.text, fill=ink, font=font)
            if piece.new:
                canvas.line((x, y + LEADING - 5, end, y + LEADING - 5), fill=ink, width=2)
            x = end


@cache
def fonts():
    """(bold, slanted) -> the font, which comes with matplotlib and has all signs used here."""
    names = {(False, False): "", (True, False): "-Bold", (False, True): "-Oblique"}
    folder = Path(get_data_path()) / "fonts/ttf"
    return {
        style: ImageFont.truetype(folder / f"DejaVuSansMono{name}.ttf", FONT)
        for style, name in names.items()
    }
