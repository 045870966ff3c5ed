"""The demo as its users have it: through an API, through a browser, and without Gradio."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import closing
from html import unescape

import pytest

from nanoparadigm import PRESETS, InputError, Settings, build, cli, corpora, tokenizers, train
from nanoparadigm.tokenizers import BLANK

pytest.importorskip("gradio")

from browser import CHROMIUM, Browser  # noqa: E402
from gradio_client import Client  # noqa: E402
from gradio_client.exceptions import AppError  # noqa: E402
from helpers import presets  # noqa: E402

from nanoparadigm import demo  # noqa: E402
from nanoparadigm.answers import in_characters  # noqa: E402

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
    data = corpora.Data(corpus, tokenizer, LENGTH)
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
    page = demo.start(folder, 0)
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
    assert 'sandbox="allow-scripts"' in frame
    page = unescape(frame.split('srcdoc="')[1].rpartition('"')[0])
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
    assert cli.main(f"{line} --sampling_steps 7 --temperature 0.7".split()) == 0
    assert ask("write", f"mine/{name}", "a", 15, 7, 0.7, 5)[0] == capsys.readouterr().out.strip()


@presets
def test_filling_changes_nothing_but_the_gap(name, ask):
    before, after = "a cow eats . ".split(" ")[:-1], "and a bat sings .".split(" ")
    text = " ".join([*before, *[BLANK] * 3, *after])
    filled, frame = ask("fill", f"mine/{name}", text, 8, 1.0, 0)
    words = filled.split(" ")
    assert words[:4] == before and words[-5:] == after and len(words) == LENGTH
    assert BLANK not in filled
    assert ("srcdoc" in frame) == (name in ("diffusion", "flow"))


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
    table = ask("measure", ["mine/ar", "mine/diffusion"])
    exact, bound = table.splitlines()[2:4]
    assert exact.startswith("| mine/ar ") and "| = " in " ".join(exact.split())
    assert bound.startswith("| mine/diffusion ") and "| <= " in " ".join(bound.split())


def test_only_this_machine_can_open_it(page):
    port = page.server_port
    with closing(socket.create_connection(("127.0.0.1", port), timeout=5)):
        pass
    with pytest.raises(OSError):  # all of 127.0.0.0/8 is this machine, but it listens on one
        socket.create_connection(("127.0.0.2", port), timeout=5).close()
    assert page.share_url is None and not page.analytics_enabled


def test_a_port_that_is_taken_is_said(page, folder):
    for port in page.server_port, 2**16, -1:
        with pytest.raises(InputError, match=f"port {port} cannot be had"):
            demo.start(folder, port)


def test_without_models_it_offers_to_train_them(tmp_path):
    page = demo.start(tmp_path / "runs", 0, steps=3)
    try:
        client = Client(page.local_url, verbose=False)
        with pytest.raises(AppError, match="no trained model"):
            client.predict("ar", api_name="/write")
        *_, writers, _, racers, table = client.predict(api_name="/train")
        names = [f"tiny/{name}" for name in PRESETS]
        assert sorted(value for _, value in racers["choices"]) == names
        assert sorted(racers["value"]) == names and writers["value"] in names
        assert all(f"| {name} " in table for name in names)
        for name in names:
            text, _ = client.predict(name, "lo", 32, 4, api_name="/write")
            assert text.startswith("lo ") and len(text.split(" ")) == 32
        before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.safetensors")}
        client.predict(api_name="/train")  # a second one, from another window of the browser
        assert before == {path: path.stat().st_mtime_ns for path in before}
    finally:
        page.close(verbose=False)


def test_without_gradio_the_command_says_how_to_install_it(monkeypatch, capsys):
    for module in "demo", "answers":
        monkeypatch.delitem(sys.modules, f"nanoparadigm.{module}")
        monkeypatch.delattr(f"nanoparadigm.{module}")
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


def test_the_page_works_in_a_browser_without_a_network(page, tmp_path):
    if not CHROMIUM:
        pytest.skip("there is no Chromium here: apt-get install chromium")
    browser = Browser(tmp_path)
    try:
        seen = Page(browser, page.local_url)
        seen.press("Write")
        text = seen.text(1)
        assert len(text.split(" ")) == 32
        assert "Left out: " in browser.ask("document.body.innerText")
        seen.seen("iframe", "found.length")
        browser.wait(lambda: browser.ask_frame("document.querySelectorAll('.text span').length"))
        end = "document.dispatchEvent(new KeyboardEvent('keydown', {key: 'End'}))"
        assert browser.ask_frame(f"{end}, document.querySelector('.text').textContent") == text

        seen.press("Fill", "button[role=tab]")
        seen.press("Take the text written")
        assert seen.text(0) == text
        first, second, *rest = text.split(" ")
        seen.seen(
            "textarea", f"found[0].setSelectionRange({len(first) + 2}, {len(first) + 3}) || 1"
        )
        seen.press("Hide the selection")
        seen.seen("textarea", f"found[0].value.includes('{BLANK}')")
        assert seen.text(0) == " ".join([first, BLANK, *rest])
        seen.press("Fill")
        filled = seen.text(1).split(" ")
        assert [filled[0], *filled[2:]] == [first, *rest]

        outside = [url for url in browser.requests if not url.startswith((page.local_url, "data:"))]
        assert not outside and not browser.errors
    finally:
        browser.close()
