"""What the buttons of the demo do: one method each, which answers with what the page shows.

Gradio makes an endpoint of most of them, so their arguments are those of the API, of the types that
`checked` lets pass.
"""

import inspect
import math
from functools import wraps
from html import escape
from pathlib import Path
from typing import Annotated

import gradio as gr
import torch
from markdown_it import MarkdownIt
from msgspec import Meta

from .. import evaluate
from ..data import corpora, tokenizers
from ..data.tokenizers import BLANK, encode_gaps, hide
from ..errors import InputError, lookup
from ..files import typed
from ..paradigms import PRESETS, names
from ..terminal import harmless
from ..training import checkpoint
from ..training.matching import build_alike
from ..training.settings import Settings
from ..training.trainer import train
from . import animation

# What a page may send; None for a field that is empty.
Name, Names, Number = str | None, list[str] | None, float | None
Whole = Annotated[int, Meta(ge=-(2**53), le=2**53)] | None  # what JavaScript can count
WANTED = {str: "a text", Name: "a name", Names: "a list of names", Number: "a number"}
WANTED |= {Whole: "a whole number", tuple[int, int]: "a start and an end"}

LONGEST, MOST_STEPS = 1000, 500  # what a browser can still play
WINDOWS = 50  # of the validation text, in a measurement here
WORDS = 100  # of a vocabulary, on the page
TABLES = MarkdownIt("zero").enable("table")  # and all else, HTML and links too, as it is written
RANKED = "<p>One of 64 candidates, ranked as wholes: there is no animation of that.</p>"
BAR = gr.Progress()  # of whichever call it is used in


def in_a_sentence(answer):
    """The function with its InputErrors shown on the page."""

    @wraps(answer)
    def answered(*given, **named):
        try:
            return answer(*given, **named)
        except (InputError, OSError) as error:
            said = escape(harmless(str(error)), quote=False)
            raise gr.Error(said, print_exception=False) from error

    return answered


@in_a_sentence
def checked(answer, sent):
    """What was sent to a method of Handlers, each value as its annotation says."""
    takes = {p.name: p.annotation for p in inspect.signature(answer).parameters.values()}
    takes = {name: kind for name, kind in takes.items() if kind in WANTED}
    if len(sent) != len(takes):
        listed = f": {', '.join(takes)}" if takes else ""
        raise InputError(f"the values sent are {len(sent)}: give {len(takes)}{listed}")
    return [
        typed(whole(value) if kind == Whole else value, kind, name, f"give {WANTED[kind]}")
        for (name, kind), value in zip(takes.items(), sent, strict=True)
    ]


def whole(value):
    """A float without a fraction as the int that it is."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


class Handlers:
    """What the page asks for. Models are read anew for every answer: training may go on."""

    def __init__(self, folder, steps):
        self.folder, self.steps = Path(folder), steps

    def runs(self):
        """name -> folder of every run, also one level deeper."""
        depths = "run.json", "*/run.json", "*/*/run.json"
        found = sorted({path.parent for depth in depths for path in self.folder.glob(depth)})
        short = {path: path.relative_to(self.folder).as_posix() for path in found}
        return {self.folder.name if name == "." else name: path for path, name in short.items()}

    def load(self, name):
        runs = self.runs()
        if not runs:
            raise InputError(f"there is no trained model in {self.folder}: train one first")
        ends = [run for run in runs if run.rpartition("/")[2] == name]
        if name not in runs and len(ends) == 1:
            (name,) = ends
        saved = checkpoint.load(lookup("model", name, runs))
        saved.model.eval()
        return saved

    def whole(self):
        """name -> whether it fills gaps by itself, of every run that can be loaded, in the order of
        PRESETS; and a sentence for each of the others."""
        models, problems = {}, []
        for name in self.runs():
            try:
                models[name] = self.load(name).model
            except InputError as error:
                problems.append(f"Left out: {error}.")
        order = {kind: i for i, kind in enumerate(PRESETS)}
        ordered = sorted(models.items(), key=lambda run: order[run[1].recipe["name"]])
        return {name: model.infills for name, model in ordered}, problems

    @in_a_sentence
    def models(self):
        """What the page shows of the folder, for `lists` in `app`."""
        found, said = self.whole()
        names = list(found)
        tables = [
            f"<h3>{escape(path.parent.as_posix())}</h3>"
            + TABLES.render(path.read_text(encoding="utf-8", errors="replace"))
            for path in sorted({*self.folder.glob("table.md"), *self.folder.glob("*/table.md")})
        ]
        filler = next((name for name in names if found[name]), names[0] if names else None)
        return (
            "".join(f"<p>{escape(problem)}</p>" for problem in said),
            gr.update(visible=not names),
            gr.update(visible=bool(names)),
            gr.update(choices=names, value=names[0] if names else None),
            gr.update(choices=names, value=filler),
            gr.update(choices=names, value=names[:4]),
            "".join(tables),
        )

    @in_a_sentence
    def decodings(self, name: Name):
        """The ways of writing that a model has, and what it can read."""
        if not name:
            return gr.update(), ""
        saved = self.load(name)
        names = list(decodings(saved.model))
        return gr.update(choices=names, value=names[0]), readable(saved.tokenizer)

    @in_a_sentence
    def examples(self, writer: Name, filler: Name, prompt: str, text: str):
        """A prompt and a text with gaps, of the models' own words, where there is nothing yet."""
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
    ):
        """The race that is on when the page opens; nothing without models."""
        return self.compare(models, prompt, length, steps, temperature, seed) if models else ""

    def record(self, name, prompt, length, *options):
        """The Run of one model that goes on with a prompt; options: those of `sampling`."""
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
    ):
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
    ):
        options = prompt, length, steps, temperature, seed
        return framed([self.record(name, *options) for name in chosen(models)], "One task for all")

    def take(self, text: str):
        return text

    @in_a_sentence
    def hide(self, model: Name, text: str, selection: tuple[int, int]):
        """The text with BLANK for every token of the selected part."""
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
    ):
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
                f"{model} writes from left to right and fills one gap only: leave one, or choose a "
                f"{names(lambda p: p.infills)} model"
            )
        run = animation.record(model, paradigm, tokenizer, template, **options)
        return run.text, framed([run], "Watching gaps being filled")

    @in_a_sentence
    def measure(self, models: Names, progress=BAR):
        """The tables of `evaluate`, from WINDOWS windows of the text that each was trained on."""
        return TABLES.render(self.tables(models, progress))

    def tables(self, models, progress):
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
            tables.append("These were measured on different texts, so do not compare them.")
        return "\n\n".join(filter(None, tables))

    @in_a_sentence
    def train(self, progress=BAR):
        """Train one of each on the built-in language, unless somebody else just has."""
        if self.whole()[0]:
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
        table = self.tables(self.whole()[0], progress)
        (tiny / "table.md").write_text(table, encoding="utf-8")
        return self.models()


def chosen(names):
    if not names:
        raise InputError("no model is chosen: choose one or more")
    return names


def within(what, value, least, most):
    """The value, if it is a number from `least` to `most`; InputError otherwise."""
    if value is None or not least <= value <= most:
        said = "empty" if value is None else f"{value:,}"
        raise InputError(f"{what} is {said}: give a whole number from {least:,} to {most:,}")
    return value


def apart(tokenizer, text):
    """InputError for a gap that is part of a word, where all of a word is a token."""
    for word in text.split(tokenizer.joiner) if tokenizer.joiner else ():
        if BLANK in word and word != BLANK:
            spaced = f" {BLANK} ".join(word.split(BLANK)).strip()
            raise InputError(f"{BLANK} stands for a word: put spaces around it, as in {spaced!r}")


def own_words(saved):
    """The ids of a short text that the model writes, without empty words."""
    length = min(16, saved.config["recipe"]["block_size"])
    ids = saved.model.sample(1, length, torch.Generator().manual_seed(0), steps=32)[0].tolist()
    pieces = saved.tokenizer.pieces(ids)
    return [i for i, piece in zip(ids, pieces, strict=True) if piece and BLANK not in piece]


def readable(tokenizer):
    """What the model can read, as HTML."""
    if tokenizer.kind not in ("char", "word"):
        return "<p>This model can read any text.</p>"
    what = "words" if tokenizer.joiner else "characters"
    known = " ".join(map(animation.shown, filter(None, tokenizer.vocabulary[:WORDS])))
    more = " …" if tokenizer.vocab_size > WORDS else ""
    return (
        f"<p>This model can read {tokenizer.vocab_size:,} {what}: <code>{escape(known)}</code>"
        f"{more}</p>"
    )


def decodings(model):
    """Those of the model that leave the temperature to the page."""
    return {name: o for name, o in model.decodings.items() if "temperature" not in o}


def sampling(model, steps, temperature, seed, decoding=""):
    """The options of `write`. decoding: one of `decodings`, or "" for the model's own."""
    if temperature is None or not 0 <= temperature < math.inf:
        said = "empty" if temperature is None else temperature
        raise InputError(f"temperature is {said}: give 0 (most probable token) or more")
    return dict(
        generator=torch.Generator().manual_seed(within("seed", seed, 0, 2**53)),
        steps=within("steps", steps, 1, MOST_STEPS),
        temperature=temperature,
        **(lookup("decoding", decoding, decodings(model)) if decoding else {}),
    )


def in_characters(text, *places):
    """Places in the text as a browser counts them, in units of UTF-16, as Python counts them."""
    units = text.encode("utf-16-le", "surrogatepass")
    return [len(units[: 2 * place].decode("utf-16-le", "surrogatepass")) for place in places]


def framed(runs, title):
    """The animation in a frame of its own, which can reach nothing of the page around it."""
    page = escape(animation.page(runs, "calls", title))
    look = f'title="{title}" style="--texts: {len(runs)}"'
    return f'<iframe {look} sandbox="allow-scripts" srcdoc="{page}"></iframe>'
