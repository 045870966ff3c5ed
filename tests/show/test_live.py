"""The models in a page are the models of the package: their logits, their samplers, the truth."""

import json
import os
import re
import shutil
import subprocess

import pytest
import torch
from browser import serve
from helpers import generator

from nanoparadigm.language import LENGTH, grammatical, language, oracle, tiny
from nanoparadigm.paradigms import PRESETS
from nanoparadigm.show import live
from nanoparadigm.show.playground import language_facts, source
from nanoparadigm.training import checkpoint

PRELUDE = """
import { readFileSync } from "node:fs";
const given = JSON.parse(readFileSync(0, "utf8")), here = (path) => `${given.folder}/${path}`;
const part = (name) => import(`file://${here(name)}.js`);
const { network } = await part("networks"), { SAMPLERS } = await part("samplers");
const { kit } = await part("kit"), { languageOf } = await part("language");
const loaded = (path) => {
  const config = JSON.parse(readFileSync(here(`${path}/config.json`)));
  const bytes = new Uint8Array(readFileSync(here(`${path}/model.safetensors`)));
  return network(config, bytes.buffer);
};
const say = (found) => console.log(JSON.stringify(found));
"""
needs_node = pytest.mark.skipif(
    not (shutil.which("node") or os.environ.get("CI")), reason="needs node"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site") / "live"
    live.write(folder)
    (folder / "package.json").write_text('{"type": "module"}')  # for node alone
    return folder


@pytest.fixture
def node(folder):
    """Run a script after PRELUDE: a function of it and of what it is given."""

    def run(script, **given):
        done = subprocess.run(
            ["node", "--input-type=module", "-e", PRELUDE + script],
            input=json.dumps(given | dict(folder=str(folder))),
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run


PATHS = [model["path"] for name in live.SETS for model in live.models_of(name)["models"]]


def test_only_weights_that_changed_are_copied_again(tmp_path):
    live.write(tmp_path)
    changed, old = tmp_path / PATHS[1] / "model.safetensors", tmp_path / "models/old.safetensors"
    weights = changed.read_bytes()
    changed.write_bytes(weights[:-1])
    old.touch()
    times = {path: path.stat().st_ctime_ns for path in tmp_path.rglob("model.safetensors")}
    live.write(tmp_path)
    assert changed.read_bytes() == weights and not old.exists()
    assert {path for path, time in times.items() if path.stat().st_ctime_ns != time} == {changed}


LOGITS = """
const net = loaded(given.path), times = given.times, t = (n) => times[n];
say(given.texts.map((text, n) => {
  const whole = [...net.logits(text, ...(net.fresh ? [net.fresh()] : [t(n)]))];
  if (!net.fresh) return [whole];
  const state = net.fresh();
  return [whole, text.flatMap((v) => [...net.logits([v], state)])];
}));
"""


@needs_node
@pytest.mark.parametrize("path", PATHS)
def test_every_logit_is_that_of_torch(path, node):
    saved = checkpoint.load(path.replace("models", "pretrained", 1))
    net, V = saved.model.eval().net, saved.model.vocab_size
    symbols = V + saved.model.extra_symbols
    L = saved.config["recipe"]["block_size"]
    z = torch.randint(symbols, (3, L), generator=generator())
    t = torch.tensor([0.0, 0.37, 1.0])
    with torch.no_grad():
        exact = net(z, t)
    in_page = node(LOGITS, path=path, texts=z.tolist(), times=t.tolist())
    for text, ways in zip(exact, in_page, strict=True):
        for found in ways:  # the whole text at once and, if it is causal, token by token
            assert torch.allclose(torch.tensor(found).view_as(text), text, atol=1e-4)


# Every sampler over the exact posterior of a language of 3 words, by a sum over its 27 texts.
LAW = """
const V = 3, L = 3, { texts, p } = given;
const posterior = (fits, i) => {
  const row = new Array(V + 1).fill(0);
  texts.forEach((x, n) => (row[x[i]] += p[n] * fits(x)));
  return row.slice(0, V).map(Math.log);
};
const nets = {
  ar: {
    fresh: () => [],
    logits: (read, seen) => Float64Array.from(read.flatMap((v) => {
      seen.push(v);
      const before = seen.slice(1);
      return posterior((x) => before.every((u, j) => x[j] === u), before.length);
    })),
  },
  masked: {
    logits: (z) => Float64Array.from(z.flatMap((_, i) =>
      posterior((x) => z.every((u, j) => j === i || u === V || u === x[j]), i))),
  },
  flow: {
    logits: (z, t) => Float64Array.from(z.flatMap((_, i) => posterior(
      (x) => z.reduce((q, u, j) => q * (j === i ? 1 : (1 - t) * (u === x[j]) + t / V), 1), i))),
  },
};
const net = nets[{ ar: "ar", mamba: "ar", flow: "flow" }[given.name] || "masked"];
const { steps, temperature } = given, random = kit.random(given.seed);
const options = { steps, temperature, random };
const model = { net, V, blockLength: 2 }, drawn = [];
while (drawn.length < given.n) {
  let last;
  for (const frame of SAMPLERS[given.name](model, given.text, options)) last = frame.text;
  drawn.push(last);
}
say(drawn);
"""


@needs_node
@pytest.mark.parametrize("temperature", [1, 0.6])
@pytest.mark.parametrize("given", [(3, 3, 3), (3, 1, 3)], ids=["free", "one given"])
@pytest.mark.parametrize("name", ["ar", "diffusion", "flow", "block"])
def test_a_sampler_draws_from_the_law_of_the_packages(name, given, temperature, node):
    """Two samples of 20,000, from the page and from the package, are of one distribution."""
    if name == "ar" and given != (3, 3, 3):
        pytest.skip("left to right the package takes a prefix alone")
    truth, n, steps = tiny(), 20_000, 4
    texts = torch.cartesian_prod(*[torch.arange(3)] * 3)
    p = truth.log_prob(texts).exp()
    more = dict(block_length=2) if name == "block" else {}
    model = oracle(PRESETS[name].paradigm, truth, **more)
    canvas = torch.tensor(given).expand(n, -1)
    ways = dict(steps=steps, temperature=temperature)
    *_, ours = model.trajectory(canvas, canvas < 3, generator(), **ways)
    theirs = torch.tensor(
        node(LAW, name=name, text=given, texts=texts.tolist(), p=p.tolist(), n=n, seed=1, **ways)
    )
    a, b = (
        (x * torch.tensor([9, 3, 1])).sum(1).bincount(minlength=27).double() for x in (ours, theirs)
    )
    apart = ((a - b) ** 2 / (a + b).clamp(min=1)).sum().item()
    cells = int((a + b > 0).sum())
    assert cells > 2 and apart < cells + 4.5 * (2 * cells) ** 0.5 + 10


TRUTH = """
const truth = languageOf(given.facts);
say(given.texts.map((x, n) => ({
  mistakes: truth.mistakes(x),
  surprise: truth.surprises(x).reduce((a, b) => a + b),
  posterior: truth.posterior(given.hidden[n]).map((row) => row && [...row]),
  fewest: truth.fewest(given.hidden[n]),
})));
"""


@needs_node
def test_the_page_knows_the_truth(node):
    truth, g = language(), generator(2)
    x = truth.sample(20, LENGTH, g)
    wrong = torch.rand(x.shape, generator=g) < torch.linspace(0, 1, 20)[:, None]
    x = torch.where(wrong, torch.randint(truth.V, x.shape, generator=g), x)
    hidden = torch.where(torch.rand(x.shape, generator=g) < 0.5, truth.V, x)
    given = dict(texts=x.tolist(), hidden=hidden.tolist())
    found = node(TRUTH, facts=language_facts(), **given)
    assert [row["mistakes"] for row in found] == [
        [[m.position, m.kind, m.distance] for m in text] for text in grammatical(x)
    ]
    assert sum(len(row["mistakes"]) for row in found) > 50
    nats = torch.tensor([row["surprise"] for row in found], dtype=torch.float64)
    slip = language_facts()["slip"]
    assert torch.allclose(nats, -truth.log_prob(x, slip), atol=1e-6)
    at_most = [len(text) for text in grammatical(x)]
    assert all(row["fewest"] <= m for row, m in zip(found, at_most, strict=True))
    possible = [n for n, row in enumerate(found) if row["fewest"] == 0]
    assert len(possible) > 1
    exact = truth.posterior(hidden)
    for n in possible:
        for row, p, v in zip(found[n]["posterior"], exact[n], hidden[n], strict=True):
            assert (row is None) == (v != truth.V)
            if row:
                assert torch.allclose(torch.tensor(row, dtype=torch.float64), p, atol=1e-4)


PAGE = """<!doctype html><meta charset="utf-8"><title>live</title><link rel="icon" href="data:,">
<script type="module" src="live/race.js"></script>
<nano-race {attributes}><p id="recorded">recorded</p></nano-race>"""
ELEMENT = "document.querySelector('nano-race')"
INSIDE = f"{ELEMENT}.shadowRoot"


@pytest.fixture
def race(browser, folder):
    """Open a page with the element: a function of its attributes."""
    with serve(folder.parent) as address:

        def opened(attributes="", fragment="", width=1200, **wishes):
            page = PAGE.format(attributes=attributes)
            (folder.parent / "index.html").write_text(page, encoding="utf-8")
            browser.prefers(**wishes)
            browser.resize(width)
            browser.open("about:blank")
            browser.open(f"{address}/index.html{fragment}")
            browser.wait(lambda: browser.ask(f"!!{INSIDE}?.querySelector('.main, slot')"))
            return browser

        yield opened
    browser.call("Emulation.clearDeviceMetricsOverride")
    browser.prefers()


def press(browser, label):
    """Press the button whose text or label begins so."""
    browser.ask(
        f"[...{INSIDE}.querySelectorAll('button')].find((b) => (b.ariaLabel || b.textContent)"
        f".startsWith({json.dumps(label)})).click()"
    )


def until_over(browser):
    over = f"{ELEMENT}.over() && !{ELEMENT}.ticking"
    browser.wait(lambda: browser.ask(over), 120)


def panes(browser):
    """name -> the words that stand in its pane, and those marked as mistakes."""
    return browser.ask(
        f"Object.fromEntries([...{ELEMENT}.panesOf].map(([name, pane]) => [name, "
        "[pane.spans.map((b) => b.textContent),"
        " pane.spans.flatMap((b, i) => b.classList.contains('wrong') ? [i] : [])]]))"
    )


def test_all_models_write_and_their_mistakes_are_marked(race):
    browser = race('given="la some wee hens that a cow _ _ ." steps="8"', reduced_motion="reduce")
    assert set(panes(browser)) == set(live.HOW)
    press(browser, "Play")
    until_over(browser)
    truth = language()
    for name, (words, marked) in panes(browser).items():
        assert words[:7] == "la some wee hens that a cow".split() and words[9] == "."
        ids = torch.tensor([[truth.words.index(word) for word in words]])
        assert marked == [m.position for m in grammatical(ids)[0]], name
    assert browser.errors == []
    assert not browser.ask(f"{INSIDE}.querySelector('slot') !== null")


def test_a_screen_reader_hears_where_a_race_stops_and_not_each_frame(race):
    browser = race('steps="8" models="ar diffusion"')
    browser.ask(f"""(() => {{
        const seen = (place, list) => new MutationObserver(() => list.push(place.textContent))
            .observe(place, {{childList: true, characterData: true, subtree: true}});
        seen({INSIDE}.querySelector('.said'), window.shown = []);
        seen({INSIDE}.querySelector('[role=status]'), window.heard = []);
    }})()""")
    press(browser, "Play")
    until_over(browser)
    shown, heard = browser.ask("shown"), browser.ask("heard")
    assert len(shown) > 20 and 1 <= len(heard) <= 3
    assert re.search(
        r"Each has computed \d+ positions.* ar: \d+ mistakes?.* diffusion: ", heard[-1]
    )
    live = f"[...{INSIDE}.querySelectorAll('[aria-live], [role=status], output')]"
    assert browser.ask(f"{live}.map((e) => e.className)") == ["heard"]
    spoken = f"{INSIDE}.querySelector('[type=range]').getAttribute('aria-valuetext')"
    assert re.fullmatch(r"[\d,]+ positions", browser.ask(spoken))


def test_a_link_brings_the_same_texts_back(race):
    browser = race('steps="4"', reduced_motion="reduce")
    browser.ask(f"{ELEMENT}.change('seed', 7)")
    press(browser, "Play")
    until_over(browser)
    first, link = panes(browser), browser.ask(f"{ELEMENT}.link()")
    assert "seed=7" in link and "steps=4" in link
    browser = race(fragment="#" + link.split("#")[1], reduced_motion="reduce")
    press(browser, "Play")
    until_over(browser)
    assert panes(browser) == first
    press(browser, "again")
    until_over(browser)
    assert panes(browser) != first


def test_words_are_hidden_and_come_back(race):
    browser = race('given="la some hens"')
    given = f"{ELEMENT}.state.given"
    press(browser, "word 2: some")
    assert browser.ask(given) == "la _ hens"
    press(browser, "word 2: hidden")
    assert browser.ask(given) == "la some hens"


@pytest.mark.parametrize(
    "given, said",
    [
        ("la some dogs", "The models have never seen “dogs”."),
        (" ".join(["la"] * 33), "A text here has 32 words; these are 33."),
        (" ".join(["la"] * 32), "Every word is given"),
    ],
)
def test_what_cannot_be_written_is_said(given, said, race):
    browser = race(f'given="{given}"')
    browser.ask(f"{ELEMENT}.play()")
    assert said in browser.ask(f"{INSIDE}.querySelector('.said').textContent")
    assert not browser.ask(f"Boolean({ELEMENT}.race)")


def test_the_words_of_a_pane_are_reached_by_the_keyboard(race):
    browser = race('steps="4" models="ar"', reduced_motion="reduce")
    press(browser, "Play")
    until_over(browser)
    stops = f"[...{INSIDE}.querySelectorAll('.text span')].filter((b) => b.tabIndex === 0).length"
    assert browser.ask(stops) == 1
    browser.ask(f"{INSIDE}.querySelector('.text span').focus()")
    browser.press("ArrowRight")
    there = f"[...{INSIDE}.querySelectorAll('.text span')].indexOf({INSIDE}.activeElement)"
    assert browser.ask(there) == 1 and browser.ask(stops) == 1
    assert "ar, “" in browser.ask(f"{INSIDE}.querySelector('.said').textContent")


@pytest.mark.parametrize("width", [1200, 390])
def test_a_race_keeps_its_height_and_its_width(width, race):
    browser = race('steps="8"', width=width)
    size = f"[{ELEMENT}.offsetHeight, document.documentElement.scrollWidth]"
    before = browser.ask(size)
    press(browser, "Play")
    browser.wait(lambda: browser.ask(f"{ELEMENT}.over()"), 120)
    assert browser.ask(size) == before and before[1] <= width


def test_without_the_facts_what_stands_inside_stays(race, folder):
    facts = (folder / "live.json").read_text()
    (folder / "live.json").unlink()
    try:
        browser = race()
        assert browser.ask("document.getElementById('recorded').offsetHeight") > 0
    finally:
        (folder / "live.json").write_text(facts)


@pytest.mark.parametrize("attributes", [dict(models="ar flow", seed=4), dict(set="shakespeare")])
def test_a_race_in_a_notebook_is_whole_in_itself(attributes, browser, tmp_path):
    view = live.race(**attributes, steps=4, given="la some" if "models" in attributes else "ROMEO")
    page = tmp_path / "notebook.html"
    page.write_text("<!doctype html><link rel='icon' href='data:,'><p id='output'></p>")
    browser.prefers(reduced_motion="reduce")
    browser.open(page.as_uri())
    inside = "document.querySelector('iframe')?.contentDocument.querySelector('nano-race')"
    browser.ask(f"document.querySelector('#output').innerHTML = {json.dumps(view.html)}; 0")
    browser.wait(lambda: browser.ask(f"!!{inside}?.shadowRoot?.querySelector('.main')"))
    browser.ask(f"{inside}.play()")
    browser.wait(lambda: browser.ask(f"{inside}.over()"), 240)
    names = browser.ask(f"[...{inside}.panesOf.keys()]")
    assert (
        names
        == attributes.get("models", " ".join(name for name in PRESETS if name in live.HOW)).split()
    )
    assert all(url.startswith(("data:", page.as_uri())) for url in browser.requests)
    assert "link to this" not in browser.ask(f"{inside}.shadowRoot.textContent")
    assert not browser.errors
    browser.prefers()


def test_the_modules_take_nothing_from_elsewhere():
    for name in live.MODULES:
        text = (live.files(live.__package__) / f"{name}.js").read_text(encoding="utf-8")
        assert "https:" not in text and "http:" not in text
    assert "export" not in source("language")
