"""The demo: a page on which the trained models in a folder write, fill gaps, and race.

It is made with Gradio, an optional extra, so only the command `nanoparadigm demo` imports this
file. The page is served to this machine alone and takes nothing from the network. Its buttons are
also endpoints, /write, /fill, /compare, /measure and /train, which `gradio_client` can call.
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
HEAD = "# nanoParadigm\nFour ways a machine can model language, at work on this machine."
FILL = f"""
Mark a part of the text and hide it, or write {BLANK} yourself: each {BLANK} stands for one token (a
character, a word or a byte pair) to be written anew. All else stays as it is. diffusion and flow
fill any gaps. ar and mamba cannot see what comes after a gap: they fill one, by writing 64
candidates and drawing one of them in proportion to how probable it makes the rest.
"""
RANKED = "<p>One of 64 candidates, ranked as wholes: there is no animation of that.</p>"
RULER = "`=` is exact, `<=` an upper bound, ± one standard error."
NOTHING = (
    "There is no trained model in {} yet. Train four tiny ones here, on the built-in language, in "
    "about a minute, or larger ones with `nanoparadigm train`."
)
BAR = gr.Progress()  # Gradio puts a bar for each call in its place
THEME = gr.themes.Default(primary_hue="blue").set(  # whose own colours are hard to read
    button_primary_background_fill="*primary_700",
    button_primary_background_fill_dark="*primary_700",
    block_info_text_color="*neutral_600",
    block_info_text_color_dark="*neutral_300",
)
CSS = """
iframe { width: 100%; border: 0; resize: vertical; }
.numbers { overflow-x: auto; }
.numbers table { white-space: nowrap; font-variant-numeric: tabular-nums; }
.numbers :is(td, th):not(:first-child) { text-align: right; }
"""


def start(folder, port, steps=500):
    """Serve `app` on the loopback, until `close` is called on what is returned.

    port: 0 for a free one. Raises InputError for a port that cannot be had.
    """
    page = app(folder, steps)
    try:
        page.launch(
            server_name="127.0.0.1",
            server_port=port or None,
            share=False,
            ssr_mode=False,
            run_history=False,
            footer_links=["api", "settings"],
            theme=THEME,
            css=CSS,
            quiet=True,
            prevent_thread_lock=True,
        )
    except (OSError, OverflowError) as error:
        raise InputError(
            f"port {port} cannot be had: give another with --port, or 0 for a free one"
        ) from error
    return page


def app(folder="runs", steps=500):
    """The page, as gradio.Blocks. steps: of the training that it offers where there is no model."""
    answers = Answers(folder, steps)
    with gr.Blocks(title="nanoParadigm", analytics_enabled=False) as page:
        gr.Markdown(HEAD)
        notice = gr.Markdown()
        offer = gr.Button("Train four tiny ones", variant="primary", visible=False)
        with gr.Tabs(visible=False) as tabs:
            with gr.Tab("Write"), gr.Row():
                with gr.Column():
                    writer, decoding = one_of("model"), one_of("decoding", value="")
                    prompt, length = task()
                    how = knobs()
                    write = gr.Button("Write", variant="primary")
                with gr.Column(scale=2):
                    written = gr.Textbox(label="text", lines=3, buttons=["copy"])
                    writing = gr.HTML(label="animation")
            with gr.Tab("Fill"), gr.Row():
                with gr.Column():
                    filler, fill_decoding = one_of("model"), one_of("decoding", value="")
                    text = gr.Textbox(
                        label="text", lines=4, placeholder="one that the model can read"
                    )
                    with gr.Row():
                        take = gr.Button("Take the text written", size="md")
                        hide = gr.Button("Hide the selection", size="md")
                    gr.Markdown(FILL)
                    fill_how = knobs()
                    fill = gr.Button("Fill", variant="primary")
                with gr.Column(scale=2):
                    filled = gr.Textbox(label="filled", lines=3, buttons=["copy"])
                    filling = gr.HTML(label="animation")
            with gr.Tab("Compare"):
                with gr.Row():
                    with gr.Column():
                        racers = one_of("models", multiselect=True)
                        compare_task = task()
                        compare_how = knobs()
                        compare = gr.Button("Race", variant="primary")
                    with gr.Column(scale=2):
                        racing = gr.HTML(label="animation")
                numbers = gr.Markdown(label="table", elem_classes="numbers")
                measure = gr.Button(f"Measure these models on {WINDOWS} windows")
        selection = gr.State()
        lists = [notice, offer, tabs, writer, filler, racers, numbers]
        silent = dict(api_visibility="private", show_progress="hidden")
        page.load(answers.models, None, lists, **silent)
        offer.click(answers.train, None, lists, api_name="train")
        writer.change(answers.decodings, writer, decoding, **silent)
        filler.change(answers.decodings, filler, fill_decoding, **silent)
        given = [writer, prompt, length, *how, decoding]
        write.click(answers.write, given, [written, writing], api_name="write")
        take.click(lambda text: text, written, text, **silent)
        text.select(selected, None, selection, **silent)
        hide.click(answers.hide, [filler, text, selection], text, **silent)
        given = [filler, text, *fill_how, fill_decoding]
        fill.click(answers.fill, given, [filled, filling], api_name="fill")
        given = [racers, *compare_task, *compare_how]
        compare.click(answers.compare, given, racing, api_name="compare")
        measure.click(answers.measure, racers, numbers, api_name="measure")
    return page


def one_of(label, **options):
    """A list that is filled later. `choose` checks what is sent, and says it better than Gradio."""
    return gr.Dropdown(label=label, allow_custom_value=True, **options)


def task():
    prompt = gr.Textbox("", label="prompt", info="what the text begins with")
    return prompt, gr.Number(32, label="length", info="tokens, the prompt's included", precision=0)


def knobs():
    with gr.Row():
        return (
            gr.Number(32, label="steps", info="of diffusion and flow", precision=0, min_width=110),
            gr.Number(
                1, label="temperature", info="0 takes the likeliest", step=0.1, min_width=110
            ),
            gr.Number(0, label="seed", info="same seed, same text", precision=0, min_width=110),
        )


def selected(event: gr.SelectData):
    return event.index


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
        return {path.relative_to(self.folder.parent).as_posix(): path for path in found}

    def load(self, name):
        saved = checkpoint.load(choose("model", name, self.runs()))
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
        if not names:
            said.append(NOTHING.format(self.folder))
        tables = [
            f"### {path.parent.as_posix()}\n\n{path.read_text(encoding='utf-8')}"
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
            "\n\n".join([*tables, RULER] if tables else []),
        )

    @in_a_sentence
    def decodings(self, name):
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
        if not selection or selection[0] == selection[1]:
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
        rows, texts = [], set()
        for name in progress.tqdm(chosen(models), desc="measuring"):
            saved = self.load(name)
            corpus, length = saved.config["corpus"], saved.config["recipe"]["block_size"]
            data = corpora.Data(corpora.load(corpus), saved.tokenizer, length)
            numbers = evaluate.measure(saved.model, data, max_windows=WINDOWS)
            rows.append(dict(name=name, tokens=saved.config["tokens"], **numbers))
            texts.add(corpus)
        tables = [evaluate.table(rows), evaluate.truth_table(rows), RULER]
        if len(texts) > 1:
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
