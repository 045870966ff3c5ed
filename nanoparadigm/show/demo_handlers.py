"""The handlers of the demo's buttons: one method each, which returns what the page shows.

Gradio makes an endpoint of most of them, so their arguments are those of the API, and their
annotations are what `checked` lets pass.
"""

import inspect
import math
import random
import reprlib
from collections.abc import Callable, Collection, Sequence
from functools import wraps
from html import escape
from os import PathLike
from pathlib import Path
from typing import Any

import gradio as gr
import torch
from markdown_it import MarkdownIt

from .. import evaluate
from ..data import corpora, tokenizers
from ..data.tokenizers import BLANK, Tokenizer, encode_gaps, hide
from ..errors import InputError, lookup
from ..files import typed
from ..paradigms import PRESETS, Paradigm, names
from ..terminal import harmless
from ..training import checkpoint
from ..training.checkpoint import Checkpoint
from ..training.matching import build_alike
from ..training.settings import Settings
from ..training.trainer import train
from . import animation

# What a page may send; None for a field that is empty.
Name, Names, Number = str | None, list[str] | None, float | None
Whole = int | None
WANTED = {str: "a text", Name: "a name", Names: "a list of names", Number: "a number"}
WANTED |= {Whole: "a whole number", tuple[int, int]: "a start and an end"}

LANGUAGE = "pretrained/language/"  # how the names of the package's models of it begin
MOST_SEEDS = 2**53  # what JavaScript can count
LONGEST, MOST_STEPS = 1000, 500  # what a browser can still play
WINDOWS = 50  # of the validation text, in a measurement here
WORDS = 100  # of a vocabulary, on the page
TABLES = MarkdownIt("zero").enable("table")  # and all else, HTML and links too, as it is written
RANKED = "<p>Chosen among 64 whole candidates, so there is no animation.</p>"
DOWNLOAD = (  # of the page in the iframe before it
    '<p><a href="#" download="race.html" onclick="this.href = window.URL.createObjectURL(new Blob('
    "[this.parentNode.previousElementSibling.srcdoc], {type: 'text/html'}))\">"
    "Download the animation as an HTML page</a></p>"
)
BAR = gr.Progress()  # of whichever call it is used in


def in_a_sentence(answer: Callable) -> Callable:
    """Wrap a handler so that its InputErrors and OSErrors are shown on the page."""

    @wraps(answer)
    def answered(*given, **named) -> Any:
        try:
            return answer(*given, **named)
        except (InputError, OSError) as error:
            message = escape(harmless(str(error)), quote=False)
            raise gr.Error(message, print_exception=False) from error

    return answered


@in_a_sentence
def checked(answer: Callable, sent: Sequence[Any]) -> list:
    """Return the values sent to a handler, each converted to the type that its annotation says.

    Raises InputError if there are too few or too many, or if one does not fit.
    """
    takes = {p.name: p.annotation for p in inspect.signature(answer).parameters.values()}
    takes = {name: kind for name, kind in takes.items() if kind in WANTED}
    if len(sent) != len(takes):
        listed = f": {', '.join(takes)}" if takes else ""
        raise InputError(f"{len(sent)} values were sent: give {len(takes)}{listed}")
    return [
        fitting(value, kind, name) for (name, kind), value in zip(takes.items(), sent, strict=True)
    ]


def fitting(value: Any, kind: Any, name: str) -> Any:
    """Return the value called `name`, converted. Raises InputError if it does not fit."""
    wanted = f"give {WANTED[kind]}"
    try:
        return typed(whole(value) if kind == Whole else value, kind, name, wanted)
    except InputError as error:
        shown = "empty" if value is None else reprlib.repr(value)
        raise InputError(f"{name} is {shown}: {wanted}") from error


def whole(value: Any) -> Any:
    """Return a float without a fraction as an int, and anything else as it is."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


class Handlers:
    """What the page can ask for. Models are loaded anew for every request: training may go on."""

    def __init__(self, folder: str | PathLike, steps: int) -> None:
        self.folder, self.steps = Path(folder), steps

    def own(self) -> dict[str, Path]:
        """Return name -> folder of every run, also one level deeper."""
        depths = "run.json", "*/run.json", "*/*/run.json"
        found = sorted({path.parent for depth in depths for path in self.folder.glob(depth)})
        short = {path: path.relative_to(self.folder).as_posix() for path in found}
        return {self.folder.name if name == "." else name: path for path, name in short.items()}

    def runs(self) -> dict[str, Path]:
        """Return name -> folder of every run, and then of the models that come with the package."""
        own = self.own()
        return own | {k: path for k, path in checkpoint.pretrained().items() if k not in own}

    def load(self, name: str) -> Checkpoint:
        """Return the checkpoint of a run, by its name or by an unambiguous end of its path.

        Raises InputError if there is none.
        """
        runs = self.runs()
        if not runs:
            raise InputError(f"there is no trained model in {self.folder}: train one first")
        saved = checkpoint.load(lookup("model", self.full(name, runs), runs))
        saved.model.eval()
        return saved

    def full(self, name: str, runs: Collection[str]) -> str:
        """Return the run that `name` is an unambiguous end of, or the name itself if there is none.

        The folder's own runs are tried first, then the models of the built-in language.
        """
        if name in runs:
            return name
        ends = [run for run in runs if run.endswith(f"/{name}")]
        own, known = self.own(), [run for run in ends if run.startswith(LANGUAGE)]
        found = [run for run in ends if run in own] or known or ends
        return found[0] if len(found) == 1 else name

    def whole(self) -> tuple[dict[str, bool], list[str]]:
        """Return the runs that can be loaded, and a sentence about each of the others.

        The runs are name -> whether it fills gaps by itself: the folder's own, then the package's
        models of the built-in language, then its others, each in the order of PRESETS.
        """
        own, models, problems = self.own(), {}, []
        for name in self.runs():
            try:
                models[name] = self.load(name).model
            except InputError as error:
                problems.append(f"Left out: {error}.")
        order = {kind: i for i, kind in enumerate(PRESETS)}
        place = {
            name: (name not in own, not name.startswith(LANGUAGE), order[model.recipe["name"]])
            for name, model in models.items()
        }
        ordered = sorted(models.items(), key=lambda run: place[run[0]])
        return {name: model.infills for name, model in ordered}, problems

    @in_a_sentence
    def models(self) -> tuple:
        """Return what the page shows of the folder: the values of `lists` in `app`."""
        fills, problems = self.whole()
        names = list(fills)
        tables = [
            f"<h3>{escape(path.parent.as_posix())}</h3>"
            + TABLES.render(path.read_text(encoding="utf-8", errors="replace"))
            for path in sorted({*self.folder.glob("table.md"), *self.folder.glob("*/table.md")})
        ]
        own = [name for name in names if name in self.own()]
        beside = [name for name in names if Path(name).parent == Path(names[0]).parent]
        racers = own or beside
        filler = next((name for name in names if fills[name]), names[0] if names else None)
        return (
            "".join(f"<p>{escape(problem)}</p>" for problem in problems),
            gr.update(visible=not own),
            gr.update(visible=bool(names)),
            gr.update(choices=names, value=names[0] if names else None),
            gr.update(choices=names, value=filler),
            gr.update(choices=names, value=racers[:4]),
            "".join(tables),
        )

    @in_a_sentence
    def decodings(self, name: Name) -> tuple:
        """Return the decoding strategies that a model has, and what it can read."""
        if not name:
            return gr.update(), ""
        saved = self.load(name)
        names = list(decodings(saved.model))
        return gr.update(choices=names, value=names[0]), readable(saved.tokenizer)

    @in_a_sentence
    def examples(self, writer: Name, filler: Name, prompt: str, text: str) -> tuple[str, str]:
        """Return a prompt and a text with gaps, filled with the models' own words if empty."""
        if writer and not prompt and (saved := self.load(writer)).tokenizer.joiner:
            prompt = saved.tokenizer.decode(own_words(saved)[:2])
        if filler and not text:
            saved = self.load(filler)
            words = own_words(saved)
            for start in (3, 8) if saved.model.infills else (3,):
                gap = slice(start, start + 2)
                words[gap] = [saved.model.mask_id] * len(words[gap])
            text = saved.tokenizer.decode(words)
        return prompt, text

    @in_a_sentence
    def opening(
        self,
        models: Names,
        prompt: str,
        length: Whole,
        steps: Whole,
        temperature: Number,
        seed: Whole,
    ) -> str:
        """Return the race that runs when the page opens, or nothing if there are no models."""
        return self.compare(models, prompt, length, steps, temperature, seed) if models else ""

    def record(self, name: str, prompt: str, length: int | None, *options) -> animation.Run:
        """Return the Run of one model that continues a prompt. options: those of `sampling`."""
        saved = self.load(name)
        options = sampling(saved.model, *options)
        within("length", length, 1, LONGEST)
        apart(saved.tokenizer, prompt)
        template = saved.model.template(length, encode_gaps(saved.tokenizer, prompt))
        return animation.record(name, saved.model, saved.tokenizer, template, **options)

    @in_a_sentence
    def write(
        self,
        model: Name,
        prompt: str,
        length: Whole,
        steps: Whole,
        temperature: Number,
        seed: Whole,
        decoding: Name,
    ) -> tuple[str, str]:
        """Return a generated text and its animation."""
        run = self.record(model, prompt, length, steps, temperature, seed, decoding)
        return run.text, framed([run], "Watching text appear")

    @in_a_sentence
    def compare(
        self,
        models: Names,
        prompt: str,
        length: Whole,
        steps: Whole,
        temperature: Number,
        seed: Whole,
    ) -> str:
        """Return the animation of all chosen models at the same task."""
        options = prompt, length, steps, temperature, seed
        return framed([self.record(name, *options) for name in chosen(models)], "One task for all")

    def another_seed(self) -> int:
        """Return a seed drawn at random."""
        return random.randrange(10**6)

    def take(self, text: str) -> str:
        """Return the generated text, for the field of the text to fill."""
        return text

    @in_a_sentence
    def hide(self, model: Name, text: str, selection: tuple[int, int]) -> str:
        """Return the text with BLANK for every token of the selected part."""
        if selection[0] == selection[1]:
            raise InputError("nothing is selected: mark a part of the text first")
        return hide(self.load(model).tokenizer, text, *in_characters(text, *selection))

    @in_a_sentence
    def fill(
        self,
        model: Name,
        text: str,
        steps: Whole,
        temperature: Number,
        seed: Whole,
        decoding: Name,
    ) -> tuple[str, str]:
        """Return the text with its gaps filled, and the animation.

        Raises InputError if nothing is hidden, or if the model cannot fill such gaps.
        """
        saved = self.load(model)
        paradigm, tokenizer = saved.model, saved.tokenizer
        options = sampling(paradigm, steps, temperature, seed, decoding)
        apart(tokenizer, text)
        template = encode_gaps(tokenizer, text)
        within("length of the text", len(template), 0, LONGEST)
        gaps = [i for i, token in enumerate(template) if token == paradigm.mask_id]
        if not gaps:
            raise InputError(f"nothing is hidden: mark a part and hide it, or write {BLANK} there")
        start, end = gaps[0], gaps[-1] + 1
        one_inside = end < len(template) and end - start == len(gaps)
        if one_inside and not paradigm.infills:
            texts = paradigm.infill(1, template[:start], template[end:], len(gaps), **options)
            return tokenizer.decode(texts[0]), RANKED
        if not paradigm.infills and gaps != list(range(start, len(template))):
            raise InputError(
                f"{model} writes from left to right and fills a single gap: leave one, or choose a "
                f"{names(lambda p: p.infills)} model"
            )
        run = animation.record(model, paradigm, tokenizer, template, **options)
        return run.text, framed([run], "Watching gaps being filled")

    @in_a_sentence
    def measure(self, models: Names, progress: gr.Progress = BAR) -> str:
        """Return the tables of `evaluate` as HTML.

        They are measured on WINDOWS windows of the text that each model was trained on.
        """
        return TABLES.render(self.tables(models, progress))

    def tables(self, models: Names, progress: gr.Progress) -> str:
        """Return the same tables in Markdown."""
        rows, read = [], []
        for i, name in enumerate(chosen(models)):
            progress((i, len(models)), desc=f"measuring {name}")
            saved = self.load(name)
            data = corpora.of_run(saved)
            numbers = evaluate.measure(saved.model, data, max_windows=WINDOWS)
            rows.append(dict(name=name, tokens=saved.config["tokens"], **numbers))
            read.append(data)
        for data, taken in evaluate.by_exam(zip(rows, read, strict=True)):
            evaluate.add_differences(taken, data)
        tables = [evaluate.table(rows), evaluate.truth_table(rows)]
        if len({data.corpus.fingerprint for data in read}) > 1:
            tables.append("These were measured on different texts and do not compare.")
        return "\n\n".join(filter(None, tables))

    @in_a_sentence
    def train(self, progress: gr.Progress = BAR) -> tuple:
        """Train a tiny model of each kind on the built-in language, if the folder has no model."""
        if self.own().keys() & self.whole()[0]:
            return self.models()
        corpus = corpora.load("language")
        data = corpora.TokenizedCorpus(
            corpus, tokenizers.build("word", corpus), corpus.sequence_length
        )
        sizes = dict(n_layer=2, n_embd=64, block_size=data.length)
        compared = [name for name, preset in PRESETS.items() if preset.compared]
        models = build_alike(compared, data.tokenizer.vocab_size, **sizes)
        settings = Settings(max_steps=self.steps, eval_interval=self.steps)
        tiny, total = self.folder / "tiny", len(models) * self.steps
        for i, (name, model) in enumerate(models.items()):
            for record in train(model, data, settings, tiny / name):
                progress((i * self.steps + record["step"], total), desc=f"training {name}")
        table = self.tables([*self.own()], progress)
        (tiny / "table.md").write_text(table, encoding="utf-8")
        return self.models()


def chosen(names: Names) -> list[str]:
    """Return the names. Raises InputError if there are none."""
    if not names:
        raise InputError("no model is chosen: choose one or more")
    return names


def within(what: str, value: float | None, least: int, most: int) -> float:
    """Return the value. Raises InputError unless it is a number from `least` to `most`."""
    if value is None or not least <= value <= most:
        shown = "empty" if value is None else f"{value:,}"
        raise InputError(f"{what} is {shown}: give a whole number from {least:,} to {most:,}")
    return value


def apart(tokenizer: Tokenizer, text: str) -> None:
    """Raise InputError for a gap within a word, if the tokens are whole words."""
    for word in text.split(tokenizer.joiner) if tokenizer.joiner else ():
        if BLANK in word and word != BLANK:
            spaced = f" {BLANK} ".join(word.split(BLANK)).strip()
            raise InputError(
                f"{BLANK} stands for a whole word: put spaces around it, as in {spaced!r}"
            )


def own_words(saved: Checkpoint) -> list[int]:
    """Return the ids of a short text that the model generates, without empty words."""
    length = min(16, saved.config["recipe"]["block_size"])
    ids = saved.model.sample(1, length, torch.Generator().manual_seed(0), steps=32)[0].tolist()
    pieces = saved.tokenizer.pieces(ids)
    return [i for i, piece in zip(ids, pieces, strict=True) if piece and BLANK not in piece]


def readable(tokenizer: Tokenizer) -> str:
    """Return what the model can read, as HTML."""
    if tokenizer.kind not in ("char", "word"):
        return "<p>This model can read any text.</p>"
    what = "words" if tokenizer.joiner else "characters"
    known = " ".join(map(animation.shown, filter(None, tokenizer.vocabulary[:WORDS])))
    more = " …" if tokenizer.vocab_size > WORDS else ""
    return (
        f"<p>This model can read {tokenizer.vocab_size:,} {what}: <code>{escape(known)}</code>"
        f"{more}</p>"
    )


def decodings(model: Paradigm) -> dict[str, Any]:
    """Return the model's decoding strategies that leave the temperature to the page."""
    return {name: o for name, o in model.decodings.items() if "temperature" not in o}


def sampling(
    model: Paradigm,
    steps: int | None,
    temperature: float | None,
    seed: int | None,
    decoding: str | None = "",
) -> dict[str, Any]:
    """Return the options of `generate`.

    decoding: one of `decodings`, or "" for the model's default. Raises InputError for a value out
    of range.
    """
    if temperature is None or not 0 <= temperature < math.inf:
        shown = "empty" if temperature is None else temperature
        raise InputError(f"temperature is {shown}: give 0 (most probable token) or more")
    return dict(
        generator=torch.Generator().manual_seed(within("seed", seed, 0, MOST_SEEDS)),
        steps=within("steps", steps, 1, MOST_STEPS),
        temperature=temperature,
        **(lookup("decoding", decoding, decodings(model)) if decoding else {}),
    )


def in_characters(text: str, *places) -> list[int]:
    """Return places in the text counted in characters, as Python does.

    places: the same in units of UTF-16, as a browser counts.
    """
    units = text.encode("utf-16-le", "surrogatepass")
    return [len(units[: 2 * place].decode("utf-16-le", "surrogatepass")) for place in places]


def framed(runs: Sequence[animation.Run], title: str) -> str:
    """Return the animation in an iframe, with a link that downloads it.

    The iframe can reach nothing of the page around it, and so cannot offer a download itself. Its
    link to the project leaves the page, if somebody presses it.
    """
    page = escape(animation.page(runs, "calls", title))
    look = f'title="{title}" style="--texts: {len(runs)}"'
    rights = 'sandbox="allow-scripts allow-top-navigation-by-user-activation"'
    return f'<iframe {look} {rights} srcdoc="{page}"></iframe>{DOWNLOAD}'
