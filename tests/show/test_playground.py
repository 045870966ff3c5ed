"""Views in a browser: those of frames, and those that a reader can change. All open as files."""

import json
import math
import re
from collections import Counter
from importlib import import_module

import nbformat
import pytest
import torch
from bs4 import BeautifulSoup
from helpers import ROOT, THEMES

from nanoparadigm.show import figures
from nanoparadigm.show.playground import playground, source

module = import_module("nanoparadigm.show.playground")
SCRIPTS = sorted((ROOT / "nanoparadigm/show/playgrounds").glob("*.js"))
CHAPTERS = sorted((ROOT / "book").glob("[0-9]*.ipynb"))

# What takes something from elsewhere. The name of SVG is no address.
BORROWED = r"""\bsrc\s*=|\bhref\s*=|url\(|fetch\(|import\s*\(|XMLHttp|WebSocket|sendBeacon
    |https?:(?!//www\.w3\.org/2000/svg)"""
PAGE = """\
<!doctype html><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<style>body {{ margin: 1rem; font-family: sans-serif; color: {ink}; background: {paper} }}</style>
<p id="before">before</p>
{views}
<p id="after">after</p>"""


@pytest.fixture
def show(browser, tmp_path):
    """Open a page of these views: a function of their HTML, a width, a scheme and other wishes."""

    def opened(*views, width=800, scheme="light", **wishes):
        ink, paper = THEMES[scheme]
        page = tmp_path / "page.html"
        page.write_text(PAGE.format(ink=ink, paper=paper, views="\n".join(views)))
        browser.prefers(**dict(color_scheme=scheme) | wishes)
        browser.resize(width)
        browser.open(page.as_uri())
        assert browser.requests in ([page.as_uri()], [page.as_uri(), "data:,"])
        return browser

    yield opened
    browser.call("Emulation.clearDeviceMetricsOverride")
    browser.prefers()


@pytest.fixture
def probe(monkeypatch):
    """A playground with this script: a function of the script and of its data."""

    def made(script, data=None, title="A probe"):
        texts = {"kit": source("kit"), "probe": script}
        monkeypatch.setattr(module, "source", texts.get)
        return playground("probe", data or {}, title, "what it shows").html

    return made


# What is in the HTML


def test_a_playground_takes_nothing_from_elsewhere_and_says_what_to_do_before_it_runs(probe):
    html = probe("root.append('done');", {"words": ["a", "b"]}, 'A "title" & <more>')
    soup = BeautifulSoup(html, "html.parser")
    figure, script = soup.find("figure"), soup.find("script")
    assert figure["aria-label"] == figure.find("figcaption").text == 'A "title" & <more>'
    assert figure.find("div").text == "This view needs JavaScript. In a notebook, run its cell."
    assert not script.attrs and len(soup("script")) == 1
    assert not re.search(BORROWED, html, flags=re.X)


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_a_script_takes_nothing_from_elsewhere_and_stays_inside_its_element(path):
    text = path.read_text()
    assert not re.search(BORROWED, text, flags=re.X)
    assert not re.search("</script|<!--", text, flags=re.I)


def test_what_takes_from_elsewhere_is_noticed():
    for line in 'src="a.png"', "href = x", "url(#a)", "fetch('b')", "https://c.d", "import('e')":
        assert re.search(BORROWED, line, flags=re.X), line
    assert not re.search(BORROWED, 'createElementNS("http://www.w3.org/2000/svg")', flags=re.X)


def test_what_json_cannot_say_is_refused():
    for bad in math.nan, math.inf:
        with pytest.raises(ValueError):
            playground("kit", {"number": bad}, "A probe", "")
    with pytest.raises(FileNotFoundError):
        playground("nothing_of_this_name", {}, "A probe", "")


# In a browser

SAID = "document.querySelector('figure > div').textContent"


def test_data_cannot_break_out_of_the_script(probe, show):
    data = {
        "ends": "</script><script>window.out = 1</script></SCRIPT >",
        "bends": "<!-- <script>",
        "lines": "a\u2028b\u2029c\nd",
        "quotes": "'\"`\\${window.out = 1}",
        "beyond": "\u00e9 \U0001f40b",
        "</script><img src=x>": [1, -0.5, True, None],
    }
    browser = show(probe("root.textContent = JSON.stringify(data);", data))
    assert json.loads(browser.ask(SAID)) == data
    assert (
        browser.ask("window.out === undefined && document.querySelectorAll('script').length") == 1
    )
    assert not browser.errors


def test_the_same_view_twice_is_two_views(probe, show):
    script = """window.fills = (window.fills || 0) + 1;
        root.append(kit.button('more', () => root.append('!')));"""
    html = probe(script)
    browser = show(html, html)
    browser.ask("document.querySelectorAll('button')[1].click()")
    shown = "[...document.querySelectorAll('figure > div')].map(e => e.textContent)"
    assert browser.ask(shown) == ["more", "more!"] and not browser.errors
    assert browser.ask("window.fills") == 2


def test_a_view_put_into_the_page_later_is_filled_as_a_notebook_does_it(probe, show):
    """JupyterLab sets innerHTML, then puts each script anew in its place."""
    browser = show("<div id='output'></div>")
    html = json.dumps(probe("root.textContent = 'done';"))
    browser.ask(
        f"""(() => {{
            const output = document.querySelector('#output');
            output.innerHTML = {html};
            const old = output.querySelector('script'), made = document.createElement('script');
            made.textContent = old.textContent;
            old.replaceWith(made);
        }})()"""
    )
    assert browser.ask(SAID) == "done" and not browser.errors


def test_an_error_of_a_script_is_an_error_of_the_page(probe, show):
    assert "missing is not defined" in show(probe("missing();")).errors[0]
    assert "not defined" in show(probe("unnamed = 1;")).errors[0]  # no global by mistake


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_a_script_can_be_read(path, browser):
    text = f'"use strict";\n{path.read_text()}'
    assert browser.ask(f"!!new Function('root', 'data', 'kit_', {json.dumps(text)})")


def test_a_script_that_cannot_be_read_is_noticed(browser):
    with pytest.raises(RuntimeError, match="SyntaxError"):
        browser.ask("!!new Function('root', 'data', 'kit_', 'const kit = {')")


def test_the_helpers_of_a_playground(probe, show):
    script = """
        const random = kit.random(7), again = kit.random(7), other = kit.random(8);
        const draws = Array.from({length: 10000}, random);
        const next = kit.random(1);
        const element = kit.el("p", {style: "color: red", hidden: true, title: false, lang: null,
            onclick: () => { element.title = "clicked"; }}, "a", kit.el("b", null, "c"), null);
        element.click();
        root.append(kit.legend("no", "yes"));
        root.dataset.said = JSON.stringify({
            heats: [-1, 0, 0.5, 1, 2].map(kit.heat),
            same: draws.slice(0, 100).every((u) => u === again()),
            different: draws[0] !== other(),
            within: draws.every((u) => 0 <= u && u < 1),
            mean: draws.reduce((sum, u) => sum + u, 0) / draws.length,
            chosen: Array.from({length: 8000}, () => kit.choose([1, 0, 2, 5], next)),
            last: kit.choose([0.1, 0.2, 0], () => 1),
            element: element.outerHTML,
            circle: kit.svg("circle", {r: 2}).namespaceURI,
        });"""
    browser = show(probe(script))
    assert not browser.errors
    said = json.loads(browser.ask("document.querySelector('figure > div').dataset.said"))

    def plain(colour):
        return [float(part) for part in re.findall(r"[\d.]+", colour)]

    strengths = [plain(figures.tint(share)) for share in (0, 0, 0.5, 1, 1)]
    assert [plain(colour) for colour in said["heats"]] == strengths
    assert said["same"] and said["different"] and said["within"] and abs(said["mean"] - 0.5) < 0.02
    counts = Counter(said["chosen"])
    assert counts.keys() == {0, 2, 3} and said["last"] == 1
    for index, weight in (0, 1), (2, 2), (3, 5):
        assert abs(counts[index] / 8000 - weight / 8) < 0.02
    assert said["element"] == '<p style="color: red" hidden="" title="clicked">a<b>c</b></p>'
    assert said["circle"] == "http://www.w3.org/2000/svg"
    strip = "getComputedStyle(document.querySelector('figure > div span')).backgroundImage"
    assert browser.ask(SAID) == "no  yes" and "0.55" in browser.ask(strip)


RANGE = """
    const seen = [];
    const frames = kit.frames(["short", "a b c d e f g h ".repeat(40)].map((text) =>
        kit.el("div", null, text)));
    const range = kit.range("share", {min: 0, max: 1, step: 0.25, value: 0.5}, (share) => {
        seen.push(share);
        frames.show(share < 0.5 ? 0 : 1);
        root.dataset.seen = JSON.stringify(seen);
    }, (share) => `${100 * share} %`);
    root.append(kit.play(range, 20), range, frames);"""
INPUT = "document.querySelector('input')"


def seen(browser):
    return json.loads(browser.ask("document.querySelector('figure > div').dataset.seen || '[]'"))


def test_a_range_is_labelled_speaks_and_obeys_the_keyboard(probe, show):
    browser = show(probe(RANGE))
    spoken = f"{INPUT}.getAttribute('aria-valuetext')"
    assert browser.ask(f"{INPUT}.labels[0].textContent") == "share: 50 %"
    assert browser.ask(spoken) == "50 %" and seen(browser) == []
    height = browser.ask("document.querySelector('figure').offsetHeight")
    browser.ask(f"{INPUT}.focus()")
    for key in "ArrowRight", "Home", "End":
        browser.press(key)
    assert seen(browser) == [0.75, 0, 1] and browser.ask(spoken) == "100 %"
    assert browser.ask("document.querySelector('figure').offsetHeight") == height
    visible = "[...document.querySelectorAll('figure > div > div > div')].map("
    visible += "e => e.checkVisibility({visibilityProperty: true}))"
    assert browser.ask(visible) == [False, True]
    browser.press("Home")
    assert browser.ask(visible) == [True, False] and not browser.errors


def playing(browser):
    return browser.ask("document.querySelector('button').textContent")


def press(browser):
    browser.ask("document.querySelector('button').click()")


def test_a_range_plays_once_from_the_first_to_the_last_and_can_be_paused(probe, show):
    browser = show(probe(RANGE))
    press(browser)
    assert browser.wait(lambda: playing(browser) == "Play")
    assert seen(browser) == [0, 0.25, 0.5, 0.75, 1]
    press(browser)  # at the end: anew
    press(browser)
    assert seen(browser)[5:] == [0] and playing(browser) == "Play"
    browser.ask(f"{INPUT}.focus()")
    browser.press("End")
    press(browser)
    assert playing(browser) == "Pause"
    browser.press("ArrowRight")  # the reader takes hold of it
    assert playing(browser) == "Play"
    browser = show(probe(RANGE), reduced_motion="reduce")
    for _ in range(4):
        press(browser)
    assert seen(browser) == [0.75, 1, 0, 0.25] and playing(browser) == "Play"


# Views of frames

FRAMES = ["<b>one</b>", "two <br> lines", "three", "and a long one " * 30]


def slider(**more):
    labels = [f"step {i} " + "of many words " * (10 * i) for i in range(4)]
    return figures.slider(FRAMES, labels, "Four frames", start=2, **more).html


STATE = """(() => {
    const seen = (e) => e.checkVisibility({visibilityProperty: true});
    const top = (e) => Math.round(e.getBoundingClientRect().top);
    const [one, two] = ['[data-label]', 'output > span'].map((parts) =>
        [...document.querySelectorAll(parts)]);
    const [frames, words] = [one.map(seen), two.map(seen)];
    const stacked = [one, two].every((parts) => new Set(parts.map(top)).size === 1);
    const input = document.querySelector('input');
    const spoken = input.getAttribute('aria-valuetext');
    const right = spoken === document.querySelectorAll('[data-label]')[input.value].dataset.label;
    return [frames.filter(Boolean).length, words.filter(Boolean).length, frames.indexOf(true),
        words.indexOf(true), +input.value, right && stacked,
        document.querySelector('figure').offsetHeight,
        document.querySelector('#after').offsetTop, input.getBoundingClientRect().width];
})()"""


def state(browser):
    """The frame that is seen, and where things are; all that tells of the frame must agree."""
    frames, words, frame, word, value, right, *places = browser.ask(STATE)
    assert frames == words == 1 and frame == word == value and right
    return frame, places


@pytest.mark.parametrize("width", [800, 390])
@pytest.mark.parametrize("more", [{}, {"ground": "<p>below</p>", "legend": figures.legend()}])
def test_a_slider_obeys_the_keyboard_and_nothing_around_it_moves(width, more, show):
    browser = show(slider(**more), width=width)
    frame, places = state(browser)
    assert frame == 2
    browser.ask("document.querySelector('input').focus()")
    for key, index in ("Home", 0), ("ArrowRight", 1), ("End", 3), ("ArrowLeft", 2):
        browser.press(key)
        assert state(browser) == (index, places)
    assert browser.ask("document.documentElement.scrollWidth <= innerWidth")
    assert not browser.errors


RECORD = """(() => {
    window.seen = [];
    document.querySelector('input').setAttribute = function (name, value) {
        Element.prototype.setAttribute.call(this, name, value);
        if (name === 'aria-valuetext') seen.push([+this.value, performance.now()]);
    };
})()"""


def test_a_slider_moves_only_once_play_is_pressed_three_frames_a_second(show):
    browser = show(slider())
    browser.ask(RECORD)
    browser.ask("new Promise((done) => setTimeout(done, 800))")
    assert state(browser)[0] == 2 and playing(browser) == "Play" and browser.ask("seen") == []
    press(browser)
    assert playing(browser) == "Pause"
    assert browser.wait(lambda: playing(browser) == "Play")
    frames, times = zip(*browser.ask("seen"), strict=True)
    assert frames == (0, 1, 2, 3) and state(browser)[0] == 3
    assert all(b - a > 300 for a, b in zip(times, times[1:], strict=False))
    browser.ask("new Promise((done) => setTimeout(done, 500))")
    assert state(browser)[0] == 3  # once


def test_a_slider_pauses_when_told_and_when_a_reader_takes_hold_of_it(show):
    browser = show(slider())
    press(browser)
    browser.wait(lambda: state(browser)[0] == 1)
    press(browser)
    assert playing(browser) == "Play" and state(browser)[0] == 1
    press(browser)  # goes on from where it was
    assert state(browser)[0] == 1 and playing(browser) == "Pause"
    browser.ask("document.querySelector('input').focus()")
    browser.press("Home")
    assert state(browser)[0] == 0 and playing(browser) == "Play"
    browser.ask("new Promise((done) => setTimeout(done, 500))")
    assert state(browser)[0] == 0 and not browser.errors


def test_a_slider_steps_for_whoever_wants_less_motion(show):
    browser = show(slider(), reduced_motion="reduce")
    steps = []
    for _ in range(3):
        press(browser)
        steps.append(state(browser)[0])
    assert steps == [3, 0, 1] and playing(browser) == "Step"
    browser.ask("new Promise((done) => setTimeout(done, 500))")
    assert state(browser)[0] == 1


def test_two_sliders_do_not_touch_one_another(show):
    browser = show(slider(), slider())
    browser.ask("document.querySelectorAll('input')[1].focus()")
    browser.press("Home")
    values = "[...document.querySelectorAll('input')].map(e => +e.value)"
    assert browser.ask(values) == [2, 0] and browser.ask(
        "document.querySelectorAll('figure').length"
    )
    first = "document.querySelector('figure').querySelectorAll('[data-frame=\"2\"]')"
    assert browser.ask(f"[...{first}].every(e => e.style.visibility === '')")


# The views of the chapters


def views(path):
    """The HTML of the views that a chapter holds."""
    cells = nbformat.read(path, as_version=4).cells
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    return [o.data["text/html"] for o in outputs if "text/html" in o.get("data", {})]


# What is wrong with the figures of the page as they stand: what hangs over, what cannot be read.
WRONG = """(() => {
    const found = [];
    if (document.documentElement.scrollWidth > innerWidth) found.push('the page scrolls sideways');
    const colour = (text) => { const n = text.match(/[\\d.]+/g).map(Number); return [n[0], n[1],
        n[2], n.length > 3 ? n[3] : 1]; };
    const over = (top, under) => [0, 1, 2].map((i) => top[3] * top[i] + (1 - top[3]) * under[i]);
    const light = (rgb) => rgb.map((c) => c / 255).map((c) =>
        c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4).reduce((sum, c, i) =>
        sum + c * [0.2126, 0.7152, 0.0722][i], 0);
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
        const text = walker.currentNode.data.trim(), holder = walker.currentNode.parentElement;
        if (!text || !holder.closest('figure') || holder.closest('script, svg, option')) continue;
        if (!holder.checkVisibility({visibilityProperty: true, opacityProperty: true})) continue;
        if (holder.closest(':disabled')) continue;
        const around = [];
        for (let e = holder; e; e = e.parentElement) around.unshift(getComputedStyle(e));
        let ground = [255, 255, 255], opacity = 1;
        for (const style of around) {
            ground = over(colour(style.backgroundColor), ground);
            opacity *= style.opacity;
        }
        const ink = colour(getComputedStyle(holder).color);
        ink[3] *= opacity;
        if (!ink[3]) continue;
        const [a, b] = [light(over(ink, ground)), light(ground)];
        const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
        if (ratio < 4.5) found.push(`${ratio.toFixed(1)} to 1: ${text.slice(0, 40)}`);
    }
    for (const figure of document.querySelectorAll('figure')) {
        const edge = figure.getBoundingClientRect().right + 1;
        const root = figure.querySelector('div');
        if (figure.dataset.playground && !root.childElementCount) found.push('an empty view');
        for (const e of figure.querySelectorAll('*'))
            if (e.getBoundingClientRect().right > edge && !e.closest('[style*=overflow]'))
                found.push(`${e.tagName} hangs over by ${e.getBoundingClientRect().right - edge}`);
        for (const e of figure.querySelectorAll('input, select, textarea'))
            if (!e.labels.length && !e.getAttribute('aria-label')) found.push('a nameless input');
        for (const e of figure.querySelectorAll('button'))
            if (!e.textContent.trim() && !e.getAttribute('aria-label'))
                found.push('a nameless button');
    }
    return found;
})()"""
# Use everything that can be used, and say where the page has moved.
USED = """(async () => {
    const found = [], heights = new Map();
    const figures = [...document.querySelectorAll('figure')];
    for (const figure of figures) heights.set(figure, figure.offsetHeight);
    const check = (figure, what) => {
        const grown = figure.offsetHeight - heights.get(figure);
        if (Math.abs(grown) > 1)
            found.push(`${figure.ariaLabel}: ${what} moves the page by ${grown}`);
        heights.set(figure, figure.offsetHeight);
    };
    for (const figure of figures) {
        for (const input of figure.querySelectorAll('[type=range]'))
            for (const share of [0, 0.3, 0.7, 1]) {
                input.value = +input.min + share * (input.max - input.min);
                input.dispatchEvent(new Event('input', {bubbles: true}));
                input.dispatchEvent(new Event('change', {bubbles: true}));
                check(figure, `a range at ${share}`);
            }
        for (const select of figure.querySelectorAll('select'))
            for (let i = 0; i < select.options.length; i++) {
                select.selectedIndex = i;
                select.dispatchEvent(new Event('input', {bubbles: true}));
                select.dispatchEvent(new Event('change', {bubbles: true}));
                check(figure, `choice ${i}`);
            }
        for (let i = 0; i < figure.querySelectorAll('button').length; i++) {
            const button = figure.querySelectorAll('button')[i], said = button.textContent;
            if (button.disabled) continue;
            button.click();
            check(figure, `the button ${said}`);
            await new Promise(requestAnimationFrame);
        }
    }
    return found;
})()"""


@pytest.mark.parametrize("scheme", THEMES)
@pytest.mark.parametrize("width", [800, 390])
@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_the_views_of_a_chapter_work_in_either_scheme_on_any_screen(path, width, scheme, show):
    browser = show(*views(path), width=width, scheme=scheme)
    assert [*browser.errors, *browser.ask(WRONG)] == []
    assert [*browser.ask(USED), *browser.errors, *browser.ask(WRONG)] == []


BAD = {
    "the page scrolls sideways": '<figure><div style="width:2000px">a</div></figure>',
    "1.9 to 1: pale": '<figure><p style="color:#bbb">pale</p></figure>',
    "1.9 to 1: dim": '<figure><p style="opacity:0.3">dim</p></figure>',
    "1.5 to 1: on": '<figure><p style="background:#444">on</p></figure>',
    "an empty view": '<figure data-playground="a"><div></div></figure>',
    "hangs over": '<figure><p style="margin-right:-9px">a</p></figure>',
    "a nameless input": "<figure><input></figure>",
    "a nameless button": "<figure><button></button></figure>",
}


@pytest.mark.parametrize("fault", BAD)
def test_what_is_wrong_with_a_view_is_noticed(fault, show):
    assert any(fault in found for found in show(BAD[fault]).ask(WRONG))


def test_what_moves_the_page_is_noticed(probe, show):
    script = """root.append(kit.button("more", () => root.append(kit.el("p", null, "!"))),
        kit.range("rows", {min: 0, max: 3}, (n) => { root.style.height = `${50 + 20 * n}px`; }));"""
    found = show(probe(script)).ask(USED)
    assert any("a range at 1 moves" in line for line in found)
    assert show(slider()).ask(USED) == []


def pressing(name):
    """A script that presses the button that says so."""
    return f"""[...document.querySelectorAll('figure button')]
               .find(b => b.textContent === {json.dumps(name)}).click()"""


def test_the_dot_of_the_rates_follows_the_exponential_and_the_walkers_follow_the_dot(show):
    browser = show(*views(ROOT / "book" / "07-rates.ipynb"))
    table = torch.tensor([[0, 2, 0.5], [0.5, 0, 1.5], [1, 0.5, 0]]).double()
    for time in (0.0, 0.5, 3.0):
        browser.ask(f"""(() => {{ const time = document.querySelector('figure label input');
            time.value = {time}; time.dispatchEvent(new Event('input')); }})()""")
        said = browser.ask("document.querySelector('figure svg').getAttribute('aria-label')")
        numbers = [float(n) for n in re.findall(r"\d\.\d+", said)]
        exact, seen = torch.tensor(numbers).double().view(2, 3)
        law = torch.matrix_exp(time * (table - table.sum(1).diag()))[0]
        assert torch.allclose(exact, law, atol=6e-3)
        assert ((seen - law).abs() < 4 * (law * (1 - law) / 200).sqrt() + 6e-3).all()
    browser.ask(pressing("everything to b"))
    rates = browser.ask(
        "[...document.querySelectorAll('figure input[aria-label^=rate]')]"
        ".map(e => [e.ariaLabel, +e.value])"
    )
    moving = {name for name, rate in rates if rate}
    assert moving == {"rate from a to b", "rate from c to b"} and not browser.errors


def test_the_best_plan_of_three_steps_costs_what_the_chapter_says(show):
    browser = show(*views(ROOT / "book" / "06-steps.ipynb"))
    browser.ask(pressing("The best plan in as many steps"))
    said = browser.ask("document.querySelector('figure').innerText")
    assert "3 steps" in said and "0.024" in said and not browser.errors


def test_only_gates_that_open_at_the_marks_alone_make_no_error(show):
    browser = show(*views(ROOT / "book" / "10-scan.ipynb")[:1])
    for name, right in ("One gate for all", False), ("Open at the marks only", True):
        browser.ask(pressing(name))
        said = browser.ask("document.querySelector('figure').innerText")
        assert (float(re.search(r"words: (\d\.\d\d)", said)[1]) == 0) == right
    assert not browser.errors


def test_the_decay_says_how_many_entries_the_chunks_compute(show):
    browser = show(*views(ROOT / "book" / "11-mamba.ipynb")[:1])
    said = "document.querySelector('figure').innerText"
    for size, told in (16, "computes all 136 entries"), (4, "compute 40 of 136 entries"):
        browser.ask(f"""(() => {{
            const size = document.querySelector('select[aria-label="words in a chunk"]');
            const option = [...size.options].find((o) => parseInt(o.textContent) === {size});
            size.value = option.value; size.dispatchEvent(new Event('change')); }})()""")
        assert told in " ".join(browser.ask(said).split()) and not browser.errors


def test_the_output_of_the_pole_is_that_of_its_recurrence(show):
    browser = show(*views(ROOT / "book" / "09-spaces.ipynb"))
    said = "document.querySelector('figure output').textContent"
    u = [int(k in (1, 4, 5, 11, 18, 19, 20, 26)) for k in range(31)]
    a, h = torch.tensor(-0.12 + 0.8j).exp().item(), 0.0
    go = """(() => {{ const word = [...document.querySelectorAll('input')].at(-1);
        word.value = {}; word.dispatchEvent(new Event('input')); }})()"""
    for k in range(31):
        h = a * h + u[k]
        browser.ask(go.format(k))
        seen = float(re.search(r"output is (-?\d\.\d+)", browser.ask(said))[1])
        assert abs(seen - h.real) < 6e-3
    browser.ask(pressing("alternates, a = −1"))
    browser.ask("""(() => { const choice = document.querySelector('select');
        choice.value = 'a word at every step'; choice.dispatchEvent(new Event('change')); })()""")
    for k in (28, 29):
        browser.ask(go.format(k))
        assert f"output is {1 - k % 2}.00" in browser.ask(said)
    assert "turns by 180°" in browser.ask(said) and not browser.errors
