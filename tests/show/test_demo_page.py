"""The demo as its users have it: through an API, through a browser, and without Gradio."""

import asyncio
import inspect
import json
import math
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import warnings
from contextlib import closing
from html import unescape
from pathlib import Path

import pytest

from nanoparadigm import PRESETS, InputError, Settings, build, corpora, tokenizers, train
from nanoparadigm.commands import main as cli
from nanoparadigm.data.tokenizers import BLANK

pytest.importorskip("gradio")

import gradio as gr  # noqa: E402
import httpx  # noqa: E402
from bs4 import BeautifulSoup  # noqa: E402
from gradio_client import Client  # noqa: E402
from gradio_client.exceptions import AppError  # noqa: E402
from helpers import COMPARED, presets  # noqa: E402

from nanoparadigm.show import demo_page
from nanoparadigm.show.animation import HOME
from nanoparadigm.show.demo_handlers import Handlers, in_characters
from nanoparadigm.training import checkpoint

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of Gradio and pandas

WORDS = "a cow eats . a hen runs . some wee crabs swim and a bat sings . " * 60
LENGTH = 12


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A run of each model on a text of words, one folder down, and one that is damaged."""
    home = tmp_path_factory.mktemp("home")
    (home / "words.txt").write_text(WORDS.strip())
    corpus = corpora.load(str(home / "words.txt"))
    tokenizer = tokenizers.WordTokenizer.train(corpus.train, corpus.validation)
    data = corpora.TokenizedCorpus(corpus, tokenizer, LENGTH)
    settings = Settings(max_steps=5, batch_size=4, eval_interval=5, eval_windows=4)
    for name in PRESETS:
        model = build(name, tokenizer.vocab_size, n_layer=1, n_embd=16, n_head=2, block_size=LENGTH)
        *_, _ = train(model, data, settings, run=home / "runs" / "mine" / name)
    broken = shutil.copytree(home / "runs/mine/ar", home / "runs/broken")
    for weights in broken.glob("*/model.safetensors"):
        weights.write_bytes(b"")
    return home / "runs"


@pytest.fixture(scope="module")
def page(folder):
    page = demo_page.start(folder, 0)
    yield page
    page.close(verbose=False)


@pytest.fixture(scope="module")
def client(page):
    return Client(page.local_url, verbose=False)


@pytest.fixture(scope="module")
def ask(client):
    """What an endpoint answers, or the sentence it refuses with."""

    def ask(endpoint, *given, **named):
        try:
            return client.predict(*given, api_name=f"/{endpoint}", **named)
        except AppError as error:
            return str(error.message)

    return ask


def race_in(frame):
    """The runs that an animation shows, as its page holds them."""
    assert 'sandbox="allow-scripts allow-top-navigation-by-user-activation"' in frame
    page = unescape(frame.split('srcdoc="')[1].rpartition('"')[0])
    assert re.findall(r'<a href="https:[^>]*>', page) == [f'<a href="{HOME}" target="_top">']
    return json.loads(page.split('id="race">')[1].split("</script>")[0])["runs"]


@presets
def test_every_model_goes_on_with_a_prompt(name, ask):
    text, frame = ask("write", f"mine/{name}", "a cow", LENGTH, 8, 1.0, 3)
    assert text.startswith("a cow ") and len(text.split(" ")) == LENGTH
    assert ask("write", f"mine/{name}", "a cow", LENGTH, 8, 1.0, 3)[0] == text
    others = {ask("write", f"mine/{name}", "a cow", LENGTH, 8, 1.0, seed)[0] for seed in range(3)}
    assert others - {text}
    (run,) = race_in(frame)
    assert run["name"] == f"mine/{name}" and sum(run["given"]) == 2


@presets
def test_it_writes_what_the_command_writes(name, ask, folder, capsys):
    line = f"sample --checkpoint {folder / 'mine' / name} --prompt a --length 15 --seed 5"
    in_steps = "" if PRESETS[name].paradigm.causal else "--sampling_steps 7"
    assert cli.main(f"{line} {in_steps} --temperature 0.7".split()) == 0
    assert ask("write", f"mine/{name}", "a", 15, 7, 0.7, 5)[0] == capsys.readouterr().out.strip()


@presets
def test_filling_changes_nothing_but_the_gap(name, ask):
    before, after = "a cow eats . ".split(" ")[:-1], "and a bat sings .".split(" ")
    text = " ".join([*before, *[BLANK] * 3, *after])
    filled, frame = ask("fill", f"mine/{name}", text, 8, 1.0, 0)
    words = filled.split(" ")
    assert words[:4] == before and words[-5:] == after and len(words) == LENGTH
    assert BLANK not in filled
    assert ("srcdoc" in frame) == PRESETS[name].paradigm.infills


def test_several_gaps_are_for_those_who_see_both_sides(ask):
    text = f"a {BLANK} eats . {BLANK} hen"
    for name in "diffusion", "flow":
        words = ask("fill", f"mine/{name}", text, 8, 1.0, 0)[0].split(" ")
        assert [words[i] for i in (0, 2, 3, 5)] == ["a", "eats", ".", "hen"]
    for name in "ar", "mamba":
        assert "from left to right" in ask("fill", f"mine/{name}", text, 8, 1.0, 0)


def test_what_cannot_be_done_is_said_in_one_sentence(ask):
    good = dict(model="mine/flow", prompt="a cow", length=LENGTH, steps=4, temperature=1.0, seed=0)
    assert len(ask("write", **good)) == 2
    for bad, said in [
        (dict(model="mine/flw"), "did you mean 'mine/flow'?"),
        (dict(model=None), "unknown model None"),
        (dict(prompt="a <dog>"), "never seen '<dog>'"),
        (dict(prompt="a  cow"), "single spaces"),
        (dict(length=None), "length is empty"),
        (dict(length=0), "length is 0"),
        (dict(length=1), "shorter than the prompt"),
        (dict(length=10**6), "length is 1,000,000"),
        (dict(steps=0), "steps is 0"),
        (dict(steps=None), "steps is empty"),
        (dict(temperature=-1), "temperature is -1"),
        (dict(temperature=None), "temperature is empty"),
        (dict(seed=-1), "seed is -1"),
        (dict(seed=None), "seed is empty: give a whole number"),
        (dict(seed="x"), "seed is 'x': give a whole number"),
        (dict(seed=2.5), "seed is 2.5: give a whole number"),
        (dict(seed=2**60), "seed is 1,152,921,504,606,846,976: give a whole number from 0 to"),
        (dict(decoding="top_k"), "unknown decoding 'top_k'"),
    ]:
        sentence = unescape(ask("write", **good | bad))
        assert said in sentence and "\n" not in sentence, bad
    assert "nothing is hidden" in ask("fill", "mine/flow", "a cow", 4, 1.0, 0)
    assert "length of the text is" in ask("fill", "mine/flow", f"{BLANK} " * 2000 + "a", 4, 1.0, 0)
    assert "no model is chosen" in ask("compare", [], "a", LENGTH, 4, 1.0, 0)


def test_the_decodings_of_a_model_are_its_own(ask):
    plain = ask("write", "mine/diffusion", "a", LENGTH, 4, 1.0, 0)[0]
    assert ask("write", "mine/diffusion", "a", LENGTH, 4, 1.0, 0, "ancestral")[0] == plain
    (run,) = race_in(ask("write", "mine/diffusion", "a", LENGTH, 4, 1.0, 0, "left_to_right")[1])
    shown = [token[0] for frame in run["frames"][1:] for token in frame["tokens"]]
    assert shown == sorted(shown)


def test_a_race_is_between_all_that_are_chosen(ask):
    names = [f"mine/{name}" for name in PRESETS]
    runs = race_in(ask("compare", names, "a hen", LENGTH, 6, 1.0, 0))
    assert [run["name"] for run in runs] == names
    for name, run in zip(names, runs, strict=True):
        alone = race_in(ask("write", name, "a hen", LENGTH, 6, 1.0, 0)[1])
        tokens = [[frame["tokens"] for frame in r["frames"]] for r in (run, *alone)]
        assert tokens[0] == tokens[1]


def test_the_table_says_what_is_a_bound(ask):
    soup = BeautifulSoup(ask("measure", ["mine/ar", "mine/diffusion"]), "html.parser")
    exact, bound = ([cell.text for cell in row("td")] for row in soup("tr")[1:3])
    assert exact[0] == "mine/ar" and any(cell.startswith("= ") for cell in exact)
    assert bound[0] == "mine/diffusion" and any(cell.startswith("<= ") for cell in bound)


# What JSON can hold, and a program send for something else.
WRONG = None, True, 1.5, -1, 10**400, math.nan, math.inf, "x", "\ud800", [], ["x"], [1], [[]], {}
WRONG += ({"path": "http://127.0.0.1:9/x", "meta": {"_type": "gradio.FileData"}},)
RIGHT = dict(
    model="mine/flow", name="mine/flow", writer="mine/flow", filler="mine/flow",
    decoding="ancestral", models=["mine/flow"], prompt="a cow", text=f"a {BLANK} hen",
    length=LENGTH, steps=2, seed=0, temperature=1.0, selection=[0, 1],
)  # fmt: skip


@pytest.fixture(scope="module")
def answers(folder):
    """name -> what an endpoint of the page answers to a list of values, in this process."""
    page = demo_page.app(folder)

    def answer(function):
        async def answered(*sent):
            taken = await page.preprocess_data(function, [*sent], None)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return function.fn(*taken)

        return lambda *sent: asyncio.run(answered(*sent))

    return {function.fn.__name__: answer(function) for function in page.fns.values()}


def names_of(endpoint):
    taken = inspect.signature(getattr(Handlers, endpoint)).parameters
    return [name for name in taken if name not in ("self", "progress")]


ENDPOINTS = [function.fn.__name__ for function in demo_page.app().fns.values()]


@pytest.mark.parametrize("endpoint", sorted({*ENDPOINTS}))
def test_whatever_is_sent_is_answered_or_refused_in_one_sentence(endpoint, answers):
    """Each value in turn is one of the wrong kind, and then there are too few or too many."""
    right = [RIGHT[name] for name in names_of(endpoint)]
    if endpoint != "train":
        answers[endpoint](*right)
    lists = [[*right[:i], wrong, *right[i + 1 :]] for i in range(len(right)) for wrong in WRONG] + [
        [*right[:-1]],
        [*right, None],
        [None] * 20,
    ][not right :]
    for sent in lists:
        try:
            answers[endpoint](*sent)
        except gr.Error as error:
            assert not error.print_exception and error.message.encode()
            assert "\n" not in error.message and ": " in error.message, sent
        else:
            assert len(sent) == len(right)


def test_a_number_with_a_fraction_is_not_cut_to_a_whole_one(answers):
    right = [RIGHT[name] for name in names_of("write")]
    for name in "length", "steps", "seed":
        sent = [1.5 if name == other else RIGHT[other] for other in names_of("write")]
        with pytest.raises(gr.Error, match=f"^.?{name} is 1.5: give a whole number.?$"):
            answers["write"](*sent)
    text, _ = answers["write"](*right)
    floats = [float(value) if isinstance(value, int) else value for value in right]
    assert answers["write"](*floats)[0] == text


def test_only_this_machine_can_open_it(page):
    port = page.server_port
    with closing(socket.create_connection(("127.0.0.1", port), timeout=5)):
        pass
    with pytest.raises(OSError):  # all of 127.0.0.0/8 is this machine, but it listens on one
        socket.create_connection(("127.0.0.2", port), timeout=5).close()
    assert page.share_url is None and not page.analytics_enabled


def test_another_name_for_this_machine_is_refused(page):
    """A page of somebody else can make its own name point here, and then read what is answered."""
    port = page.server_port
    hosts = {f"{name}:{port}": 200 for name in ("localhost", "127.0.0.1", "[::1]")}
    hosts |= dict.fromkeys(("evil.example", f"evil.example:{port}", f"127.0.0.1.evil:{port}"), 403)
    hosts |= dict.fromkeys(
        (f"localhost.evil:{port}", "127.0.0.2", f"evil@localhost:{port}", ""), 403
    )
    for host, status in hosts.items():
        got = httpx.get(f"{page.local_url}config", headers=dict(host=host))
        assert got.status_code == status, host


def test_another_page_is_refused(page):
    own = f"http://127.0.0.1:{page.server_port}"
    others = "null", "https://evil.example", "http://127.0.0.1:1", own.replace("http", "https")
    for origin, status in ({None: 200, own: 200} | dict.fromkeys(others, 403)).items():
        headers = {} if origin is None else dict(origin=origin)
        body = dict(data=["mine/flow", "a cow", LENGTH, 2, 1, 0, ""])
        got = httpx.post(f"{own}/gradio_api/call/write", json=body, headers=headers)
        assert got.status_code == status, origin


def test_nothing_is_stored_fetched_or_read_for_anybody(page, folder, tmp_path, monkeypatch):
    """Of the routes of Gradio those that do so are not there, and no new one comes by itself."""
    routers = [getattr(route, "original_router", None) for route in page.app.routes]
    routes = [*page.app.routes, *(route for router in routers if router for route in router.routes)]
    served = {route.path for route in routes if hasattr(route, "path") and not door(route.path)}
    assert len(routes) > 50
    plain = {path.removesuffix("/").removeprefix("/gradio_api") for path in served}
    assert plain == {
        "", "/config", "/theme.css", "/favicon.ico", "/robots.txt", "/manifest.json",
        "/assets/{path:path}", "/static/{path:path}", "/svelte/{path:path}",
        "/info", "/openapi.json", "/app_id", "/startup-events", "/heartbeat/{session_hash}",
        "/call/{api_name}", "/call/{api_name}/{event_id}", "/call/v2/{api_name}",
        "/call/v2/{api_name}/{event_id}", "/queue/join", "/queue/data", "/cancel", "/reset",
    }  # fmt: skip
    api, secret = f"{page.local_url}gradio_api", folder / "mine/ar/run.json"
    there = set(Path(gr.utils.get_upload_folder()).rglob("*"))
    for method, path in [
        ("POST", "/upload"), ("POST", "/upload/"), ("GET", f"/file={secret}"),
        ("GET", "/deep_link"),
        ("GET", f"/file/{secret}"), ("GET", "/proxy=http://127.0.0.1:9/"), ("POST", "/stream/x"),
        ("POST", "/component_server"), ("POST", "/process_recording"), ("GET", "/%66ile=x"),
        ("POST", "/call/../upload"), ("POST", "/run/write"),
    ]:  # fmt: skip
        files = dict(files=dict(files=("x.txt", b"x"))) if method == "POST" else {}
        assert httpx.request(method, api + path, **files).status_code == 403, path
    assert set(Path(gr.utils.get_upload_folder()).rglob("*")) == there


def door(path):
    """What the door says of a request for a route from this machine."""
    path = re.sub(r"\{.*?\}", "x", path)
    return demo_page.refusal(dict(type="http", path=path, headers=[(b"host", b"localhost:1")]))


EVIL = "<img src=http://127.0.0.1:9/a.png> ![b](http://127.0.0.1:9/b.png) **c** [d](http://e)"


def test_the_page_shows_html_and_links_as_they_are_written(folder, tmp_path):
    home = tmp_path / "<b>x<b> & ![y]"
    (home / "runs").mkdir(parents=True)
    (home / "runs" / "table.md").write_text(
        f"| {EVIL} | n |\n| --- | ---: |\n| {EVIL} | <= 1 |\n\n{EVIL}\n"
    )
    shutil.copytree(folder / "broken", home / "<i>broken")
    notice, *_, tables = Handlers(home, 1).models()
    said, shown = (BeautifulSoup(html, "html.parser") for html in (notice, tables))
    assert {tag.name for tag in said()} == {"p"} and "<i>broken" in said.text
    assert {tag.name for tag in shown()} == set("h3 table thead tbody tr th td p".split())
    assert shown.find("h3").text == str(home / "runs")
    cells = [cell.text for cell in shown(["th", "td", "p"])]
    assert cells == [EVIL, "n", EVIL, "<= 1", EVIL]
    offer = [
        block.value for block in demo_page.app(home).blocks.values() if isinstance(block, gr.HTML)
    ]
    assert any(str(home) in BeautifulSoup(html, "html.parser").text for html in filter(None, offer))


def test_a_model_is_found_by_the_last_part_of_its_name(ask, folder, monkeypatch):
    task = "a cow", LENGTH, 4, 1.0, 0
    assert ask("write", "flow", *task)[0] == ask("write", "mine/flow", *task)[0]
    assert "did you mean 'mine/flow'" in ask("write", "flw", *task)
    two = {f"{home}/flow": folder / "mine/flow" for home in "ab"}
    monkeypatch.setattr(Handlers, "own", lambda self: two)
    with pytest.raises(InputError, match="unknown model 'flow'.*a/flow, b/flow"):
        Handlers(folder, 1).load("flow")
    monkeypatch.setattr(Handlers, "own", lambda self: {"it": folder / "mine/flow"})
    some = ["pretrained/ar", "pretrained/flow", "pretrained/language/ar", "pretrained/one/mamba"]
    monkeypatch.setattr(checkpoint, "pretrained", lambda: dict.fromkeys(some))
    for said, meant in [
        ("it", "it"),
        ("ar", "pretrained/language/ar"),  # of two, that of the language
        ("flow", "pretrained/flow"),
        ("mamba", "pretrained/one/mamba"),
        ("one/mamba", "pretrained/one/mamba"),
        ("language/ar", "pretrained/language/ar"),
        ("pretrained/ar", "pretrained/ar"),
        ("r", "r"),
        ("guage/ar", "guage/ar"),
        ("", ""),
    ]:
        handlers = Handlers(folder, 1)
        assert handlers.full(said, handlers.runs()) == meant
    monkeypatch.setattr(Handlers, "own", lambda self: {"mine/ar": folder / "mine/flow"})
    assert Handlers(folder, 1).full("ar", Handlers(folder, 1).runs()) == "mine/ar"
    monkeypatch.setattr(Handlers, "own", lambda self: {})
    monkeypatch.setattr(checkpoint, "pretrained", dict)
    with pytest.raises(InputError, match="there is no trained model in .*: train one first"):
        Handlers(folder, 1).load("flow")


def test_the_first_press_of_every_button_works(answers):
    """The page opens on a race, a model that fills gaps, and texts that the models can read."""
    updates = answers["models"]()
    writer, filler, racers = (update["value"] for update in updates[3:6])
    assert filler == "mine/diffusion" and set(racers) == {f"mine/{name}" for name in COMPARED}
    task = LENGTH, 4, 1.0, 0
    assert len(race_in(answers["opening"](racers, "", *task))) == 4
    prompt, text = answers["examples"](writer, filler, "", "")
    assert prompt and answers["write"](writer, prompt, *task, "")[0].startswith(prompt)
    assert 1 < len(re.findall(f"{BLANK}( {BLANK})*", text))
    filled, frame = answers["fill"](filler, text, *task[1:], "")
    assert BLANK not in filled and race_in(frame)
    assert answers["examples"](writer, filler, "mine", "own") == ("mine", "own")
    assert answers["opening"]([], "", *task) == answers["opening"](None, "", *task) == ""


def test_the_page_says_what_a_model_can_read(answers):
    _, said = answers["decodings"]("mine/ar")
    known = BeautifulSoup(said, "html.parser").find("code").text.split(" ")
    assert known == sorted({*WORDS.split()})


def test_a_gap_within_a_word_is_said(ask):
    text, said = f"a{BLANK}b .", f"put spaces around it, as in 'a {BLANK} b'"
    assert said in ask("fill", "mine/flow", text, 4, 1.0, 0)
    assert said in ask("write", "mine/flow", text, LENGTH, 4, 1.0, 0)


def test_another_seed_is_a_whole_number_that_the_field_takes(answers):
    seeds = [answers["another_seed"]() for _ in range(9)]
    assert len({*seeds}) > 1 and all(type(seed) is int for seed in seeds)
    right = [RIGHT[name] for name in names_of("write")]
    assert answers["write"](*right[:-2], seeds[0], right[-1])


def test_a_port_that_is_taken_is_said(page, folder):
    for port in page.server_port, 2**16, -1:
        with pytest.raises(InputError, match=f"port {port} cannot be used"):
            demo_page.start(folder, port)


def test_without_runs_the_page_opens_on_models_of_the_package(tmp_path):
    handlers, packaged = Handlers(tmp_path, 1), checkpoint.pretrained()
    _, offer, tabs, writer, filler, racers, _ = handlers.models()
    assert offer["visible"] and tabs["visible"]
    assert sorted(writer["choices"]) == sorted(packaged) and handlers.load(filler["value"])
    kinds = [handlers.load(name).model.recipe["name"] for name in racers["value"]]
    assert kinds == [name for name in PRESETS if f"pretrained/language/{name}" in packaged][:4]
    assert all(f"pretrained/language/{kind}" in racers["value"] for kind in kinds)
    assert writer["value"] in racers["value"] and filler["value"] in racers["value"]
    for kind in kinds:
        task = "lo a", LENGTH, 4, 1.0, 1
        texts = {handlers.write(name, *task, "")[0] for name in (kind, f"language/{kind}")}
        assert len(texts) == 1 and texts.pop().startswith("lo a ")
    assert len(race_in(handlers.opening(racers["value"], "", LENGTH, 4, 1.0, 0))) == len(kinds)


def test_without_runs_it_offers_to_train_some(tmp_path):
    page = demo_page.start(tmp_path / "runs", 0, steps=3)
    try:
        client = Client(page.local_url, verbose=False)
        with pytest.raises(AppError, match="unknown model"):
            client.predict("nobody", api_name="/write")
        *_, writers, _, racers, table = client.predict(api_name="/train")
        names = [f"tiny/{name}" for name in COMPARED]
        assert sorted(value for _, value in racers["choices"][: len(names)]) == names
        assert sorted(racers["value"]) == names and writers["value"] in names
        assert all(f"<td>{name}</td>" in table for name in names)
        for name in names:
            text, _ = client.predict(name, "lo", 32, 4, api_name="/write")
            assert text.startswith("lo ") and len(text.split(" ")) == 32
        before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.safetensors")}
        client.predict(api_name="/train")  # a second one, from another window of the browser
        assert before == {path: path.stat().st_mtime_ns for path in before}
    finally:
        page.close(verbose=False)


def test_without_gradio_the_command_says_how_to_install_it(monkeypatch, capsys):
    for module in "demo_page", "demo_handlers":
        monkeypatch.delitem(sys.modules, f"nanoparadigm.show.{module}")
        monkeypatch.delattr(f"nanoparadigm.show.{module}")
    monkeypatch.setitem(sys.modules, "gradio", None)
    assert cli.main(["demo"]) == 2
    assert "pip install gradio" in capsys.readouterr().err


def test_the_command_prints_its_address_and_ends_with_ctrl_c(folder):
    command = [sys.executable, "-m", "nanoparadigm", "demo", "--folder", folder, "--port", "0"]
    pipes = dict(stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    proxy = {"http_proxy": "http://127.0.0.1:9"}  # one that does not answer: it is not asked
    with subprocess.Popen(command, **pipes, env=os.environ | proxy) as process:
        address = process.stdout.readline().split(" is at ")[1].split()[0]
        busy = Client(address, verbose=False)
        job = busy.submit("mine/flow", length=1000, steps=500, api_name="/write")
        while job.status().code.name != "PROCESSING":
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    assert process.returncode == 0 and "Traceback" not in out + err


def test_a_browser_counts_in_utf_16():
    assert in_characters("a😀b", 0, 1, 3, 4) == [0, 1, 2, 3]


class Page:
    """The page in a browser, by what its user sees."""

    def __init__(self, browser, address):
        self.browser = browser
        browser.open(address)

    def seen(self, selector, then):
        """What JavaScript says of the visible elements `found`, once that is something."""
        found = f"[...document.querySelectorAll('{selector}')].filter(e => e.offsetParent)"
        return self.browser.wait(lambda: self.browser.ask(f"(found => {then})({found})"))

    def press(self, label, kind="button:is(.lg, .md)"):
        button = f"found.find(e => e.textContent.trim() == '{label}')"
        self.seen(kind, f"{button} && ({button}.click(), true)")

    def text(self, number):
        """The text in that of the visible boxes, once there is one."""
        return self.seen("textarea", f"found[{number}]?.value")


def test_the_page_works_in_a_browser_without_a_network(page, browser):
    seen = Page(browser, page.local_url)
    seen.seen("iframe", "found.length")
    end = "document.dispatchEvent(new KeyboardEvent('keydown', {key: 'End'}))"
    raced = f"{end}, document.querySelectorAll('.text').length"
    assert browser.wait(lambda: browser.ask_frame(raced)) == len(COMPARED)

    page_in_frame = seen.seen("iframe", "found[0]?.srcdoc")
    saved = """(link => {
        link.addEventListener('click', event => event.preventDefault());
        link.click();
        return fetch(link.href).then(page => page.text()).then(text => [link.download, text]);
    })(found.find(link => link.download))"""
    assert seen.seen("a", saved) == ["race.html", page_in_frame]

    seed = "input[aria-label^=seed]"
    before = seen.seen(seed, "found[0].value")
    seen.press("⚄ another seed", "button")
    seen.seen(seed, f"found[0].value != {before}")
    seen.seen("iframe", f"found[0].srcdoc != {json.dumps(page_in_frame)}")

    seen.press("Fill", "button[role=tab]")
    assert BLANK in seen.text(0)
    seen.press("Fill")
    first_filled = seen.text(1)
    assert BLANK not in first_filled

    seen.press("Write", "button[role=tab]")
    prompt = seen.text(0)
    seen.press("Write")
    text = seen.text(1)
    assert len(text.split(" ")) == 32 and text.startswith(prompt)
    assert "Left out: " in browser.ask("document.body.innerText")
    assert text in seen.seen("iframe", "found[0]?.srcdoc")

    seen.press("Fill", "button[role=tab]")
    seen.press("Take the text written")
    seen.seen("textarea", f"found[0].value == {json.dumps(text)}")
    first, second, *rest = text.split(" ")
    seen.seen("textarea", f"found[0].setSelectionRange({len(first) + 2}, {len(first) + 3}) || 1")
    seen.press("Hide the selection")
    seen.seen("textarea", f"found[0].value.includes('{BLANK}')")
    assert seen.text(0) == " ".join([first, BLANK, *rest])
    seen.press("Fill")
    seen.seen("textarea", f"found[1].value != {json.dumps(first_filled)}")
    filled = seen.text(1).split(" ")
    assert [filled[0], *filled[2:]] == [first, *rest]

    own = page.local_url, f"blob:{page.local_url}", "data:"
    outside = [url for url in browser.requests if not url.startswith(own)]
    assert not outside and not browser.errors
