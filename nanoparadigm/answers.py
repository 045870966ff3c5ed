"""What the buttons of the demo do: one method each, which answers with what the page shows.

Gradio makes an endpoint of most of them, so their arguments are those of the API.
"""

from functools import wraps
from html import escape
from pathlib import Path

import gradio as gr
import torch

from . import checkpoint, corpora, evaluate, race, tokenizers
from .errors import InputError, choose
from .paradigms import PRESETS, build_alike
from .tokenizers import BLANK, encode_gaps, hide
from .train import Settings, train

LONGEST, MOST_STEPS = 1000, 500  # what a browser can still play
WINDOWS = 50  # of the validation text, in a measurement here
RANKED = "<p>One of 64 candidates, ranked as wholes: there is no animation of that.</p>"
BAR = gr.Progress()  # of whichever call it is used in


def in_a_sentence(answer):
    """The method with its InputErrors shown on the page."""

    @wraps(answer)
    def answered(*given, **named):
        try:
            return answer(*given, **named)
        except (InputError, OSError) as error:
            raise gr.Error(escape(str(error), quote=False), print_exception=False) from error

    return answered


class Answers:
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
        saved = checkpoint.load(choose("model", name, runs))
        saved.model.eval()
        return saved

    def whole(self):
        """The names of the runs that can be loaded, and a sentence for each of the others."""
        names, problems = [], []
        for name in self.runs():
            try:
                self.load(name)
                names.append(name)
            except InputError as error:
                problems.append(f"Left out: {error}.")
        return names, problems

    @in_a_sentence
    def models(self):
        """What the page shows of the folder, for `lists` in `app`."""
        names, said = self.whole()
        tables = [
            f"### {path.parent.as_posix()}\n\n{path.read_text(encoding='utf-8', errors='replace')}"
            for path in sorted({*self.folder.glob("table.md"), *self.folder.glob("*/table.md")})
        ]
        first = dict(choices=names, value=names[0] if names else None)
        return (
            "\n\n".join(said),
            gr.update(visible=not names),
            gr.update(visible=bool(names)),
            gr.update(**first),
            gr.update(**first),
            gr.update(choices=names, value=names[:4]),
            "\n\n".join(tables),
        )

    @in_a_sentence
    def decodings(self, name):
        if not name:
            return gr.update()
        names = list(decodings(self.load(name).model))
        return gr.update(choices=names, value=names[0])

    def record(self, name, prompt, length, *options):
        """The Run of one model that goes on with a prompt; options: those of `sampling`."""
        saved = self.load(name)
        options = sampling(saved.model, *options)
        within("length", length, 1, LONGEST)
        template = saved.model.template(length, encode_gaps(saved.tokenizer, prompt))
        return race.record(name, saved.model, saved.tokenizer, template, **options)

    @in_a_sentence
    def write(self, model, prompt, length, steps, temperature, seed, decoding):
        run = self.record(model, prompt, length, steps, temperature, seed, decoding)
        return run.text, framed([run], "Watching text appear")

    @in_a_sentence
    def compare(self, models, prompt, length, steps, temperature, seed):
        options = prompt, length, steps, temperature, seed
        return framed([self.record(name, *options) for name in chosen(models)], "One task for all")

    @in_a_sentence
    def hide(self, model, text, selection):
        """The text with BLANK for every token of the selected part."""
        if selection[0] == selection[1]:
            raise InputError("nothing is selected: mark a part of the text first")
        return hide(self.load(model).tokenizer, text, *in_characters(text, *selection))

    @in_a_sentence
    def fill(self, model, text, steps, temperature, seed, decoding):
        saved = self.load(model)
        paradigm, tokenizer = saved.model, saved.tokenizer
        options = sampling(paradigm, steps, temperature, seed, decoding)
        template = encode_gaps(tokenizer, text)
        within("length of the text", len(template), 0, LONGEST)
        gaps = [i for i, token in enumerate(template) if token == paradigm.blank]
        if not gaps:
            raise InputError(f"nothing is hidden: mark a part and hide it, or write {BLANK} there")
        start, end = gaps[0], gaps[-1] + 1
        one_inside = end < len(template) and end - start == len(gaps)
        if one_inside and not paradigm.infills:
            texts = paradigm.infill(1, template[:start], template[end:], len(gaps), **options)
            return tokenizer.decode(texts[0]), RANKED
        run = race.record(model, paradigm, tokenizer, template, **options)
        return run.text, framed([run], "Watching gaps being filled")

    @in_a_sentence
    def measure(self, models, progress=BAR):
        """The tables of `evaluate`, from WINDOWS windows of the text that each was trained on."""
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
        data = corpora.Data(corpus, tokenizers.build("word", corpus), corpus.sequence_length)
        sizes = dict(n_layer=2, n_embd=64, block_size=data.length)
        models = build_alike(PRESETS, data.tokenizer.vocab_size, **sizes)
        settings = Settings(max_steps=self.steps, eval_interval=self.steps)
        tiny, total = self.folder / "tiny", len(models) * self.steps
        for i, (name, model) in enumerate(models.items()):
            for record in train(model, data, settings, tiny / name):
                progress((i * self.steps + record["step"], total), desc=f"training {name}")
        table = self.measure(self.whole()[0], progress)
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


def decodings(model):
    """Those of the model that leave the temperature to the page."""
    return {name: o for name, o in model.decodings.items() if "temperature" not in o}


def sampling(model, steps, temperature, seed, decoding=""):
    """The options of `write`. decoding: one of `decodings`, or "" for the model's own."""
    if temperature is None:
        raise InputError("temperature is empty: give 0 (most probable token) or more")
    return dict(
        generator=torch.Generator().manual_seed(within("seed", seed, 0, 2**53)),
        steps=within("steps", steps, 1, MOST_STEPS),
        temperature=temperature,
        **(choose("decoding", decoding, decodings(model)) if decoding else {}),
    )


def in_characters(text, *places):
    """Places in the text as a browser counts them, in units of UTF-16, as Python counts them."""
    units = text.encode("utf-16-le", "surrogatepass")
    return [len(units[: 2 * place].decode("utf-16-le", "surrogatepass")) for place in places]


def framed(runs, title):
    """The animation in a frame of its own, which can reach nothing of the page around it."""
    page = escape(race.page(runs, "calls", title))
    look = f'title="{title}" style="height: {26 + 8 * len(runs)}rem"'
    return f'<iframe {look} sandbox="allow-scripts" srcdoc="{page}"></iframe>'
