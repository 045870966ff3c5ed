"""Watch text appear: how several models each generated one text, side by side on one clock.

A `Run` is one text with a `Frame` for each state it went through. `moments` puts several runs on
one clock, which counts network calls or seconds. The rest shows them: `plain`, `terminal` and
`play` in a terminal, `page` as self-contained HTML, `gif` as a picture.

The background of a token is stronger the more probable the network found it when it was generated;
what has just changed is bold and underlined. In a finished text of the built-in language, mistakes
are underlined in red. The same is written in numbers, for readers who do not see colours.
"""

import json
import time
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from html import escape
from importlib.resources import files
from os import PathLike
from pathlib import Path
from string import Template
from typing import Any, NamedTuple

import torch
from matplotlib import get_data_path
from PIL import Image, ImageDraw, ImageFont
from rich.box import ROUNDED
from rich.cells import cell_len
from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.style import Style
from rich.table import Column, Table
from rich.text import Text

from .. import evaluate
from ..data.tokenizers import BLANK, Tokenizer
from ..errors import lookup
from ..language import Mistake, grammatical, language
from ..paradigms import Paradigm, listed, names
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
    "mistake": "a word that the grammar forbids there, in a finished text",
}
ALL_AT_ONCE = names(lambda paradigm: not paradigm.causal, "and")
ONE_BY_ONE = names(lambda paradigm: paradigm.causal, "and")
NOTES = (
    f"A call does not cost the same everywhere: {ALL_AT_ONCE} compute all positions they read "
    f"in every call, {ONE_BY_ONE} hardly more than the new one.",
    "Seconds are those of one run on one machine: the next may take others.",
)
MEAN_P = (
    "mean p: of the probabilities that the network gave to the tokens when it wrote them; each "
    "model has seen other parts of the text by then, so it does not tell which is the better."
)
DESCRIPTION = "write, call by call, and see how sure the network was of every token"
HOME = "https://nanoparadigm.github.io/nanoparadigm/"
"""the address of the project's site"""


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
    """One state of a text, and the cost of getting there.

    It holds only what is new in it, so the memory of a run is proportional to its changes, not to
    the square of its length.
    """

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
    def tokens(self) -> list[Token]:
        """Return all tokens of the text."""
        frame, tokens = self, {}
        while frame:
            for i, token in frame.new.items():
                tokens.setdefault(i, token)
            frame = frame.before
        return [tokens[i] for i in range(len(tokens))]


@dataclass(frozen=True, eq=False)
class Run:
    """The states of one text while one model generates it."""

    name: str
    kind: str
    """its name in PRESETS, for the colour"""
    joiner: str
    """what stands between two tokens, as in `Tokenizer`"""
    given: tuple[bool, ...]
    """which tokens were given"""
    text: str
    frames: tuple[Frame, ...]
    mistakes: tuple[Mistake, ...] = ()
    """of the finished text; empty where it is of another language than the built-in one"""

    @cached_property
    def reasons(self) -> dict[int, str]:
        """Return position -> why the token there is a mistake."""
        return {mistake.position: reason(mistake) for mistake in self.mistakes}

    @cached_property
    def signs(self) -> set[str]:
        """Return those of SIGNS that its frames show."""
        found = {"mistake"} if self.mistakes else set()
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
    """A time on the clock of the race, and where every run was then."""

    at: float
    """on the clock of the race"""
    frames: tuple[Frame, ...]
    """the last that each run has reached by then"""


def record(
    name: str,
    model: Paradigm,
    tokenizer: Tokenizer,
    template: list[int],
    generator: torch.Generator,
    **options,
) -> Run:
    """Let a model generate one text and keep every state of it, as a Run.

    template: L token ids, `model.mask_id` where nothing is given. options: those of `generate`.
    Raises InputError as `generate` does.

    A causal model's last logits belong to the next token, any other model's to every token it
    reads. With `corrections` the logits are those of the last correction, though the token may be
    older.
    """
    canvas, known = model.canvas(template, 1)
    # torch is slow on its first call, which is not to count in anyone's seconds
    model.sample(1, 1, torch.Generator(model.device), steps=1)
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
        mistakes=mistakes(tokenizer, ids),
    )


def mistakes(tokenizer: Tokenizer, ids: list[int]) -> tuple[Mistake, ...]:
    """Return the mistakes in a text of the built-in language, and none for any other tokenizer."""
    if list(tokenizer.vocabulary) != language().words:
        return ()
    return tuple(grammatical(torch.tensor([ids]))[0])


def reason(mistake: Mistake) -> str:
    """Return the kind of a mistake and where the word stands that forbids it, in words."""
    if mistake.distance > mistake.position:  # the first word: none stands before it
        return mistake.kind
    return f"{mistake.kind}, {count(mistake.distance, 'word')} back"


def count(n: int, what: str) -> str:
    """Return a number of things in words: 1 call, 2 calls."""
    return f"{n:,} {what}{'s' if n != 1 else ''}"


def surety(sure: Iterable[float | None]) -> float | None:
    """Return the mean probability of the tokens that have one, or None if none has."""
    known = [p for p in sure if p is not None]
    return sum(known) / len(known) if known else None


def symbols(
    model: Paradigm, tokenizer: Tokenizer, ids: Sequence[int], window: slice
) -> tuple[str, ...]:
    """Return what to show for each of the ids.

    A token that is not there yet shows as a mask if a network that knows masks reads it just now,
    in `window`; otherwise as not begun.
    """
    masks = range(*window.indices(len(ids))) if model.extra_symbols and not model.causal else ()
    return tuple(
        (BLANK if i in masks else UNWRITTEN) if token == model.mask_id else shown(piece)
        for i, (token, piece) in enumerate(zip(ids, tokenizer.pieces(ids), strict=True))
    )


def shown(piece: str) -> str:
    """Return a token's text with a sign for everything invisible, or that a terminal might obey."""
    return "".join("↵\n" if c == "\n" else visible(c) for c in piece)


def moments(runs: Sequence[Run], clock: str = "calls") -> list[Moment]:
    """Return a Moment for every time at which a run has a new frame, in order.

    clock: one of CLOCKS. Before its first frame, a run is represented by that frame.
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


def signs(runs: Sequence[Run]) -> list[str]:
    """Return those of SIGNS that at least one of the runs shows, in their order."""
    return [sign for sign in SIGNS if any(sign in run.signs for run in runs)]


def key(runs: Sequence[Run]) -> str:
    """Return one line that explains the one-character signs among those the runs show."""
    return "   ".join(f"{sign} {SIGNS[sign]}" for sign in signs(runs) if len(sign) == 1)


def page(
    runs: Sequence[Run],
    clock: str = "calls",
    title: str = "Watching text appear",
    home: str = HOME,
) -> str:
    """Return the race as one HTML page that needs no network and no library.

    clock: the one of CLOCKS that it starts with. home: where its link to the project leads.
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
    classes = {BLANK: "blank", UNWRITTEN: "blank", "↵": "", "mistake": "wrong"}
    rows = [
        f'<dt><span class="{classes.get(sign, sign)}">{sign}</span></dt><dd>{SIGNS[sign]}</dd>'
        for sign in signs(runs)
    ]
    template = Template(files(__package__).joinpath("animation.html").read_text(encoding="utf-8"))
    return template.substitute(
        title=escape(title),
        description=escape(f"Watch {listed([run.name for run in runs], 'and')} {DESCRIPTION}."),
        runs="\n".join(parts),
        recent=RECENT,
        signs="\n  ".join(rows),
        home=escape(home),
        notes="".join(f"<dt></dt><dd>{note}</dd>" for note in NOTES),
        race=json.dumps(race).replace("<", "\\u003c"),  # no text can end the script it stands in
    )


def final(run: Run) -> str:
    """Return the finished text as it is shown."""
    return run.joiner.join(token.symbol for token in run.frames[-1].tokens)


def outline(run: Run) -> dict[str, Any]:
    """Return a run as JSON can hold it: the costs of each frame, and only its new tokens."""
    frames = []
    for frame in run.frames:
        tokens = [
            [i, symbol, changed, None if sure is None else round(sure, 4)]
            for i, (symbol, changed, sure) in frame.new.items()
        ]
        costs = dict(calls=frame.calls, positions=frame.positions, seconds=frame.seconds)
        frames.append(dict(**costs, tokens=tokens))
    return dict(
        name=run.name,
        joiner=run.joiner,
        given=run.given,
        frames=frames,
        ending=ending(run),
        reasons=run.reasons,
    )


def places(runs: Sequence[Run], clock: str) -> list[list]:
    """Return `moments` with frames as indices into their runs: lists [at, index, ...]."""
    number = {frame: i for run in runs for i, frame in enumerate(run.frames)}
    return [[at, *(number[frame] for frame in frames)] for at, frames in moments(runs, clock)]


def still(moments: Sequence[Moment], share: float) -> Moment:
    """Return the last of the moments at or before a share, 0 to 1, of the time they span."""
    first, last = moments[0].at, moments[-1].at
    at = last if share == 1 else first + share * (last - first)
    return moments[bisect_right(moments, at, key=lambda moment: moment.at) - 1]


def stills(moments: Sequence[Moment], n: int) -> list[Moment]:
    """Return at most n of the moments, evenly spaced on the clock, with the first and the last."""
    chosen = [still(moments, k / (n - 1)) for k in range(n)]
    return [m for m, before in zip(chosen, [None, *chosen], strict=False) if m is not before]


def heading(moment: Moment, clock: str) -> str:
    """Return what the clock says, for a title."""
    at = moment.at if clock == "calls" else f"{moment.at:.3f}"
    return f"{CLOCKS[clock]}: {at}"


def costs(frame: Frame) -> str:
    """Return the calls, positions and seconds up to a frame, in words."""
    counts = (frame.calls, "call"), (frame.positions, "position")
    return ", ".join([*(count(*each) for each in counts), f"{frame.seconds:.3f} s"])


def standing(frame: Frame) -> str:
    """Return `costs` and the mean probability of the tokens so far, in words."""
    return costs(frame) + ("" if frame.surety is None else f", mean p {frame.surety:.2f}")


def title(run: Run, frame: Frame) -> str:
    """Return the name of a run, and whether it is finished."""
    return run.name + (ending(run) if frame is run.frames[-1] else "")


def ending(run: Run) -> str:
    """Return what is added to the name or the costs of a run once it is finished."""
    return ", finished" + (f", {count(len(run.mistakes), 'mistake')}" if run.mistakes else "")


STRONGEST = 0.6  # the share of the hue in the ground under a token that was certain
GRADES = 32  # of that ground


class Theme(NamedTuple):
    """The colours "#rrggbb" of a picture, beside those of the models."""

    paper: str
    ink: str
    dim: str
    wrong: str
    """of a mistake"""

    def ground(self, colour: str, sure: float) -> str:
        """Return the background of a token of probability `sure`, in a model's colour."""
        return mixed(colour, self.paper, round(GRADES * sure))


DARK = Theme("#14161a", "#ececec", "#a3a8b0", "#ff6369")  # which the terminal has too
LIGHT = Theme("#ffffff", "#1a1a1a", "#5f6368", "#d00000")


@cache
def mixed(colour: str, paper: str, grade: int) -> str:
    """Return the background for one of GRADES: that share of the colour on the paper."""
    share = STRONGEST * grade / GRADES
    pairs = zip(rgb(colour), rgb(paper), strict=True)
    return "#" + "".join(f"{round(share * a + (1 - share) * b):02x}" for a, b in pairs)


def hue(run: Run) -> str:
    """Return the colour of a run's model."""
    return PALETTE.get(run.kind, GREY)


def rgb(colour: str) -> tuple[int, ...]:
    """Return the three numbers, 0 to 255, of a colour "#rrggbb"."""
    return tuple(int(colour[i : i + 2], 16) for i in (1, 3, 5))


class Piece(NamedTuple):
    """A part of a line, and how it looks."""

    text: str
    ink: str | None = None
    ground: str | None = None
    new: bool = False
    given: bool = False
    wrong: bool = False


def lines(run: Run, frame: Frame, width: int, theme: Theme = DARK) -> list[list[Piece]]:
    """Return the tokens as lines of Pieces, each at most `width` cells wide.

    Lines break wherever they are full, so that a token stays in place while others change.
    """
    rows, used = [[]], 0
    for i, token in enumerate(frame.tokens):
        look = piece(run, frame, i, token, theme)
        for k, part in enumerate(token.symbol.split("\n")):
            gap = run.joiner if used else ""
            cells = cell_len(part)
            if k or used and used + len(gap) + cells > width:
                rows.append([])
                used, gap = 0, ""
            rows[-1] += [Piece(gap)] * bool(gap)
            rows[-1] += [look._replace(text=part)] * bool(part)
            used += len(gap) + cells
    return rows


def piece(run: Run, frame: Frame, i: int, token: Token, theme: Theme) -> Piece:
    """Return the Piece of token i of a frame."""
    wrong = frame is run.frames[-1] and i in run.reasons
    if run.given[i]:
        return Piece(token.symbol, given=True, wrong=wrong)
    if token.sure is None:
        return Piece(token.symbol, theme.dim, wrong=wrong)
    new = frame.calls - token.changed < RECENT
    return Piece(token.symbol, theme.ink, theme.ground(hue(run), token.sure), new, wrong=wrong)


GLYPHS = {"o": "●", "s": "■", "^": "▲", "D": "◆", "v": "▼", "*": "★", "P": "✚", "X": "✖"}
SHAPES = {kind: GLYPHS[sign] for kind, sign in MARKERS.items()}


def legend(runs: Sequence[Run]) -> list[list[Piece]]:
    """Return lines of Pieces that explain the looks and signs that these runs show."""
    looks = {"given": Piece("given", given=True), "noise": Piece("noise", DARK.dim, DARK.paper)}
    shown = [part for sign in signs(runs) if sign in looks for part in (looks[sign], Piece("   "))]
    return [
        strength(runs, DARK),
        [
            Piece("new", new=True),
            Piece(f" in the last {RECENT} calls   "),
            *shown,
            Piece(key(runs)),
        ],
    ]


def strength(runs: Sequence[Run], theme: Theme) -> list[Piece]:
    """Return the line that explains the ground of a token, and the mistakes if there are any."""
    marked = any(run.mistakes for run in runs)
    return [
        *(Piece(f" {p:g} ", theme.ink, theme.ground(GREY, p)) for p in (0.1, 0.5, 1)),
        Piece(" how sure the network was of a token"),
        *[Piece("   "), Piece("mistake", wrong=True)] * marked,
    ]


def plain(runs: Sequence[Run], moment: Moment, clock: str = "calls", width: int = 80) -> str:
    """Return a moment as text without colours, in lines of at most `width` characters."""
    parts = [heading(moment, clock)]
    for run, frame in zip(runs, moment.frames, strict=True):
        parts.append(f"  {title(run, frame)}: {standing(frame)}")
        for row in lines(run, frame, width - 4):
            parts.append("    " + "".join(piece.text for piece in row))
    return "\n".join(parts)


def terminal(runs: Sequence[Run], moment: Moment, clock: str = "calls", width: int = 80) -> Group:
    """Return a moment as something rich can print on a terminal of that width.

    A panel for each model, two side by side if there is room, and a legend.
    """
    columns = 2 if len(runs) > 1 and width >= 112 else 1
    grid = Table.grid(*[Column(width=width // columns) for _ in range(columns)])
    panels = [
        panel(run, frame, width // columns - 4)
        for run, frame in zip(runs, moment.frames, strict=True)
    ]
    for i in range(0, len(panels), columns):
        grid.add_row(*panels[i : i + columns])
    return Group(
        Text(heading(moment, clock)),
        grid,
        *map(painted, legend(runs)),
        *map(Text, (MEAN_P, *NOTES)),
    )


def panel(run: Run, frame: Frame, width: int) -> Panel:
    """Return the panel of one run, as high as its finished text needs."""
    rows = lines(run, frame, width)
    final = lines(run, run.frames[-1], width)
    rows += [[]] * (len(final) - len(rows))  # so that little moves below it
    name = Text.assemble(f"{SHAPES.get(run.kind, '')} ", (title(run, frame), f"bold {DARK.ink}"))
    return Panel(
        Group(*map(painted, rows)),
        title=name,
        title_align="left",
        subtitle=Text(standing(frame), DARK.ink),
        subtitle_align="left",
        border_style=Style(color=hue(run), bgcolor=DARK.paper),
        style=f"{DARK.ink} on {DARK.paper}",
        box=ROUNDED,
    )


def painted(row: Iterable[Piece]) -> Text:
    """Return a line of Pieces as a rich Text."""
    text = Text()
    for letters, *look in row:
        text.append(letters, style(*look))
    return text


@cache
def style(ink: str | None, ground: str | None, new: bool, given: bool, wrong: bool) -> Style:
    """Return the rich Style of a Piece."""
    if wrong:  # rich has no coloured underlines, and red letters need the plain ground to be read
        return Style(color=DARK.wrong, italic=given, bold=new, underline=True)
    return Style(color=ink, bgcolor=ground, italic=given, bold=new, underline=new)


def play(runs: Sequence[Run], clock: str, seconds: float, console: Console) -> None:
    """Play the race on a rich Console from start to end, in that many seconds."""
    race, began, moment = moments(runs, clock), time.monotonic(), None
    with Live(console=console, auto_refresh=False) as live:
        while moment is not race[-1]:
            now = still(race, min((time.monotonic() - began) / seconds, 1))
            if now is not moment:
                moment = now
                live.update(terminal(runs, moment, clock, console.width), refresh=True)
            time.sleep(1 / 25)


FONT, LEADING, MARGIN = 15, 24, 18  # pixels: the size of the letters, a line, the space around


def gif(
    runs: Sequence[Run],
    clock: str,
    path: str | PathLike,
    seconds: float = 10,
    n: int = 80,
    width: int = 60,
    theme: Theme = DARK,
) -> None:
    """Write the race as an animated GIF that plays for ever and rests on its last frame.

    It shows n stills over that many seconds. width: of a text, in characters. theme: DARK or LIGHT.
    """
    race = moments(runs, clock)
    chosen = [still(race, k / (n - 1)) for k in range(n)]
    high = [
        max(len(lines(run, moment.frames[i], width)) for moment in chosen)
        for i, run in enumerate(runs)
    ]
    frames = [picture(runs, moment, clock, width, high, theme) for moment in chosen]
    colours = frames[-1].quantize(256)  # the same for all, so that only what moves is stored
    frames = [frame.quantize(palette=colours, dither=Image.Dither.NONE) for frame in frames]
    pace = [1000 * seconds // n] * (n - 1) + [4000]
    more = dict(save_all=True, append_images=frames[1:], duration=pace, loop=0)
    frames[0].save(path, "GIF", **more)


def picture(
    runs: Sequence[Run],
    moment: Moment,
    clock: str,
    width: int,
    high: Sequence[int],
    theme: Theme = DARK,
) -> Image.Image:
    """Return a moment as an Image.

    width: of a text, in characters. high: the number of lines that each run may need.
    """
    columns = min(len(runs), 2)
    cell = fonts()[False, False].getlength(" ")
    wide = round(width * cell) + 3 * MARGIN
    bands = [
        LEADING * (2 + max(high[i : i + columns])) + 2 * MARGIN
        for i in range(0, len(runs), columns)
    ]
    size = columns * wide + MARGIN, sum(bands) + 2 * (LEADING + MARGIN)
    image = Image.new("RGB", size, theme.paper)
    canvas = ImageDraw.Draw(image)
    written(canvas, [[Piece(heading(moment, clock))]], MARGIN, MARGIN, theme)
    top = MARGIN + LEADING
    for i, (run, frame) in enumerate(zip(runs, moment.frames, strict=True)):
        left, below = MARGIN + i % columns * wide, top + sum(bands[: i // columns])
        box = left, below, left + wide - MARGIN, below + bands[i // columns] - MARGIN
        canvas.rounded_rectangle(box, 8, outline=hue(run), width=2)
        name = [Piece(f"{SHAPES.get(run.kind, '')} ", hue(run)), Piece(title(run, frame))]
        rows = [name, [Piece(costs(frame), theme.dim)], *lines(run, frame, width, theme)]
        written(canvas, rows, left + MARGIN, below + MARGIN // 2, theme)
    written(canvas, [strength(runs, theme)], MARGIN, top + sum(bands), theme)
    return image


def written(
    canvas: ImageDraw.ImageDraw,
    rows: Iterable[Iterable[Piece]],
    left: int,
    top: int,
    theme: Theme,
) -> None:
    """Draw rows of Pieces on a canvas, from that corner on."""
    cell = fonts()[False, False].getlength(" ")  # of all three
    for k, row in enumerate(rows):
        x, y = left, top + k * LEADING
        for piece in row:
            font = fonts()[piece.new, piece.given]
            end = x + cell_len(piece.text) * cell
            ink = piece.ink or theme.ink
            if piece.ground:
                canvas.rectangle((x, y, end, y + LEADING - 4), fill=piece.ground)
            canvas.text((x, y), piece.text, fill=ink, font=font)
            if piece.new:
                canvas.line((x, y + LEADING - 5, end, y + LEADING - 5), fill=ink, width=2)
            if piece.wrong:  # below the ground, where red can be seen
                canvas.line((x, y + LEADING - 3, end, y + LEADING - 3), fill=theme.wrong, width=3)
            x = end


@cache
def fonts() -> dict[tuple[bool, bool], ImageFont.FreeTypeFont]:
    """Return (bold, slanted) -> font, which comes with matplotlib and has every sign used here."""
    names = {(False, False): "", (True, False): "-Bold", (False, True): "-Oblique"}
    folder = Path(get_data_path()) / "fonts/ttf"
    return {
        style: ImageFont.truetype(folder / f"DejaVuSansMono{name}.ttf", FONT)
        for style, name in names.items()
    }
