"""The demo: a page on which the trained models in a folder generate text, fill gaps, and race.

It is built with Gradio, an optional extra, so only the command `nanoparadigm demo` imports this
file. The page is served to this machine alone and loads nothing from the network. Its buttons are
also endpoints, /write, /fill, /compare, /measure and /train, which `gradio_client` can call.

Any other page that is open in the browser can send requests here too. `Door` lets in only what the
page itself and a program on this machine would send, and `Page` only values of the right types.
"""

import re
from collections.abc import Callable
from html import escape
from os import PathLike
from typing import Any

import gradio as gr
from starlette.datastructures import Headers
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from ..data.tokenizers import BLANK
from ..errors import InputError
from ..paradigms import names
from .demo_handlers import WINDOWS, Handlers, checked

HEAD = "# nanoParadigm\nFour ways a machine can model language, at work on this machine."
FILL = f"""
Mark a part of the text and hide it, or write {BLANK} yourself: each {BLANK} stands for one token (a
character, a word or a byte pair) to be generated. Everything else stays as it is.
{names(lambda p: p.infills, "and")} fill any gaps. {names(lambda p: not p.infills, "and")} cannot
see what comes after a gap: they fill a single one, by generating 64 candidates and drawing one in
proportion to how probable it makes the rest.
"""
RULER = "Bits per character: `=` is exact, `<=` an upper bound, ± one standard error."
NOTHING = (
    "<p>There is no model of your own in {} yet: below are those that come with the package. Four "
    "tiny ones can be trained here, on the built-in language, in a minute or two; "
    "<code>nanoparadigm train</code> makes larger ones.</p>"
)
THEME = gr.themes.Default(primary_hue="blue").set(  # whose own colours are hard to read
    button_primary_background_fill="*primary_700",
    button_primary_background_fill_dark="*primary_700",
    block_info_text_color="*neutral_600",
    block_info_text_color_dark="*neutral_300",
)
SELECTION = """(model, text) => {
    const area = document.querySelector("#gaps textarea");
    return [model, area.value, [area.selectionStart, area.selectionEnd]];
}"""
CSS = """
iframe { width: 100%; height: calc(26rem + 8rem * var(--texts)); border: 0; resize: vertical; }
@media (max-width: 40rem) { iframe { height: calc(40rem + 20rem * var(--texts)); } }
.numbers { overflow-x: auto; }
.numbers table { white-space: nowrap; font-variant-numeric: tabular-nums; }
.numbers :is(td, th) { padding: 0.4rem 0.6rem !important; }
.numbers :is(td, th):not(:first-child) { text-align: right; }
"""


HOSTS = "localhost", "127.0.0.1", "[::1]"
# What the page and `gradio_client` ask for. Gradio has more, which stores, fetches or reads files.
ROUTES = re.compile(
    r"/|/config|/theme\.css|/favicon\.ico|/robots\.txt|/manifest\.json|/(assets|static|svelte)/.+"
    r"|/gradio_api/(info|openapi\.json|app_id|startup-events|theme\.css|heartbeat/\w+)"
    r"|/gradio_api/(call/(v2/)?\w+(/\w+)?|queue/(join|data)|cancel|reset)"
)


class Door:
    """ASGI middleware that refuses requests that neither the page nor a local program would send.

    It refuses another host, which is a name made to point at this machine; another origin, which is
    somebody else's page; and any route but ROUTES.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a refused request with status 403, and pass any other on."""
        problem = refusal(scope) if scope["type"] != "lifespan" else None
        app = PlainTextResponse(problem, status_code=403) if problem else self.app
        await app(scope, receive, send)


def refusal(scope: Scope) -> str | None:
    """Return why a request is refused, or None if it is let in."""
    headers = Headers(scope=scope)
    host, origin = headers.get("host", ""), headers.get("origin")
    if re.sub(r":\d+$", "", host) not in HOSTS:
        return "this page can be opened on its own machine only: open it as 127.0.0.1 or localhost"
    if origin not in (None, f"http://{host}"):
        return "other pages may not use this one: open it directly"
    if not ROUTES.fullmatch(scope["path"].removesuffix("/") or "/"):
        return "the demo has no such address: open / for the page"
    return None


class Page(gr.Blocks):
    """The page of the demo, which checks what is sent to its endpoints."""

    async def preprocess_data(self, block_fn: Any, inputs: list, *_, **__) -> list:
        """Return the values sent to an endpoint, checked.

        Gradio would instead convert what it can, fail at the rest, and copy the files and fetch the
        addresses that a value may name.
        """
        return checked(block_fn.fn, inputs)


def start(folder: str | PathLike, port: int, steps: int = 500) -> gr.Blocks:
    """Serve `app` on the loopback interface until `close` is called on what is returned.

    port: 0 for a free one. steps: see `app`. Raises InputError if the port cannot be had.
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
            app_kwargs=dict(middleware=[Middleware(Door)]),
            prevent_thread_lock=True,
        )
    except (OSError, OverflowError) as error:
        raise InputError(
            f"port {port} cannot be used: give another with `port`, or 0 for a free one"
        ) from error
    return page


def app(folder: str | PathLike = "runs", steps: int = 500) -> gr.Blocks:
    """Return the page.

    folder: where the runs are. steps: of the training that it offers if there is no model yet.
    """
    handlers = Handlers(folder, steps)
    with Page(title="nanoParadigm", analytics_enabled=False) as page:
        gr.Markdown(HEAD)
        notice = gr.HTML()
        with gr.Column(visible=False) as offer:
            gr.HTML(NOTHING.format(escape(str(folder))))
            begin = gr.Button("Train four tiny ones", variant="primary")
            bar = gr.HTML(min_height=96)
        with gr.Tabs(visible=False) as tabs:
            with gr.Tab("Compare"):
                with gr.Row():
                    with gr.Column():
                        racers = one_of("models", multiselect=True)
                        compare_task = task()
                        *compare_how, compare_dice = knobs()
                        compare = gr.Button("Race", variant="primary")
                    with gr.Column(scale=2):
                        racing = gr.HTML(label="animation")
                numbers = gr.HTML(elem_classes="numbers")
                gr.Markdown(RULER)
                measure = gr.Button(f"Measure these models on {WINDOWS} windows")
            with gr.Tab("Write"), gr.Row():
                with gr.Column():
                    writer, decoding = one_of("model"), one_of("decoding", value="")
                    prompt, length = task()
                    words = gr.HTML()
                    *how, dice = knobs()
                    write = gr.Button("Write", variant="primary")
                with gr.Column(scale=2):
                    written = gr.Textbox("", label="text", lines=3, buttons=["copy"])
                    writing = gr.HTML(label="animation")
            with gr.Tab("Fill"), gr.Row():
                with gr.Column():
                    filler, fill_decoding = one_of("model"), one_of("decoding", value="")
                    text = gr.Textbox("", label="text", lines=4, elem_id="gaps")
                    with gr.Row():
                        take = gr.Button("Take the text written", size="md")
                        hide = gr.Button("Hide the selection", size="md")
                    fill_words = gr.HTML()
                    gr.Markdown(FILL)
                    *fill_how, fill_dice = knobs()
                    fill = gr.Button("Fill", variant="primary")
                with gr.Column(scale=2):
                    filled = gr.Textbox("", label="filled", lines=3, buttons=["copy"])
                    filling = gr.HTML(label="animation")
        selection = gr.JSON(visible=False)
        lists = [notice, offer, tabs, writer, filler, racers, numbers]

        def again(dice: gr.Button, seed: gr.Number, answer: Callable, *fields) -> None:
            """Let a button change the seed and then answer with the new one."""
            drawn = dice.click(handlers.another_seed, None, seed, **silent)
            drawn.success(answer, *fields, api_visibility="private")

        silent = dict(api_visibility="private", show_progress="hidden")
        opened = page.load(handlers.models, None, lists, **silent)
        trained = begin.click(handlers.train, None, lists, api_name="train", show_progress_on=bar)
        given = [racers, *compare_task, *compare_how]
        compare.click(handlers.compare, given, racing, api_name="compare")
        again(compare_dice, compare_how[-1], handlers.compare, given, racing)
        for ready in opened, trained:
            ready.success(handlers.opening, given, racing, api_visibility="private")
            examples = [writer, filler, prompt, text], [prompt, text]
            ready.success(handlers.examples, *examples, **silent)
        writer.change(handlers.decodings, writer, [decoding, words], **silent)
        filler.change(handlers.decodings, filler, [fill_decoding, fill_words], **silent)
        given = [writer, prompt, length, *how, decoding]
        write.click(handlers.write, given, [written, writing], api_name="write")
        again(dice, how[-1], handlers.write, given, [written, writing])
        take.click(handlers.take, written, text, **silent)
        hide.click(handlers.hide, [filler, text, selection], text, js=SELECTION, **silent)
        given = [filler, text, *fill_how, fill_decoding]
        fill.click(handlers.fill, given, [filled, filling], api_name="fill")
        again(fill_dice, fill_how[-1], handlers.fill, given, [filled, filling])
        measure.click(handlers.measure, racers, numbers, api_name="measure")
    return page


def one_of(label: str, **options) -> gr.Dropdown:
    """Return a dropdown that is filled later.

    It accepts any value: `lookup` checks it, and gives a better message than Gradio.
    """
    return gr.Dropdown(label=label, allow_custom_value=True, **options)


def task() -> tuple[gr.Textbox, gr.Number]:
    """Return the fields for the prompt and for the length."""
    prompt = gr.Textbox("", label="prompt", info="what the text begins with")
    return prompt, number("length", 32, "tokens, the prompt's included")


def knobs() -> tuple[gr.Number, gr.Number, gr.Number, gr.Button]:
    """Return the fields for steps, temperature and seed, and the button for another seed."""
    with gr.Row():
        return (
            number("steps", 32, f"of {names(lambda p: not p.causal, 'and')}"),
            number("temperature", 1, "0 takes the likeliest", precision=None, step=0.1),
            number("seed", 0, "same seed, same text"),
            gr.Button("⚄ another seed", size="md", min_width=110),
        )


def number(label: str, value: float, info: str, precision: int | None = 0, **options) -> gr.Number:
    """Return a field for a number, whole unless `precision` is None."""
    options |= dict(label=label, info=info, precision=precision, min_width=110)
    return gr.Number(value, **options)
