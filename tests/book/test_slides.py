"""The decks: figures, equations, exercises; no solution, no network, and nothing is cut off.

The last part opens every deck, as a file, in a headless Chromium that reaches only this machine.
"""

import os
import re
import subprocess
import sys
from functools import cache
from types import SimpleNamespace

import assets
import chapters
import nbformat
import pytest
import slides
from bs4 import BeautifulSoup

import student

TEXTS = chapters.texts()
each = pytest.mark.parametrize("text", TEXTS, ids=lambda path: path.stem)


@pytest.fixture(scope="module")
def decks(tmp_path_factory):
    folder = tmp_path_factory.mktemp("slides")
    for text in TEXTS:
        assert not slides.write(text, folder)
    slides.index(folder)
    if all(assets.folder(package).exists() for package in (*assets.PACKAGES, *assets.FOR_SLIDES)):
        slides.furnish(folder)
    return folder


@cache
def executed(text):
    return nbformat.read(text.with_suffix(".ipynb"), as_version=4)


@cache
def soup(decks, text):
    """The page of a deck, as it was when first asked for."""
    return BeautifulSoup((decks / f"{text.stem}.html").read_text(encoding="utf-8"), "html.parser")


def words(tag):
    return " ".join(tag.get_text(" ").split())


@cache
def taught(text):
    """The copy to hand out as one Markdown, up to where the papers are compared."""
    cells = student.student(executed(text)).cells
    prose = "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    return slides.published(prose.partition("\n## Where the papers differ\n")[0])


@each
def test_a_deck_has_every_figure_with_its_words_and_its_caption(text, decks):
    page = soup(decks, text)
    stored = [c.metadata["mystnb"] for c in executed(text).cells if "mystnb" in c.metadata]
    shown = [drawing["aria-label"] for drawing in page.select(".figure svg[role=img]")]
    assert shown == [" ".join(cell["image"]["alt"].split()) for cell in stored]
    captions = [figure.find_next_sibling("p").get_text() for figure in page.select(".figure")]
    for caption, cell in zip(captions, stored, strict=True):
        number = student.numbers()[cell["figure"]["name"]][1]
        assert caption.startswith(f"Fig. {number}. {cell['figure']['caption'][:15]}")


@each
def test_a_deck_has_the_drawing_that_the_chapter_has(text, decks):
    drawings = soup(decks, text).select(".figure svg")
    outputs = [o.get("data", {}) for c in executed(text).cells for o in c.get("outputs", [])]
    stored = [data["image/svg+xml"] for data in outputs if "image/svg+xml" in data]
    assert len(drawings) == len(stored)
    for drawing, svg in zip(drawings, stored, strict=True):
        letters = [words(tag) for tag in BeautifulSoup(svg, "html.parser")("text")]
        assert [words(tag) for tag in drawing("text")] == letters


@each
def test_a_deck_has_every_view(text, decks):
    frames = soup(decks, text)("iframe")
    outputs = [o.get("data", {}) for c in executed(text).cells for o in c.get("outputs", [])]
    views = [data for data in outputs if "text/html" in data]
    assert len(frames) == len(views)
    for frame, data in zip(frames, views, strict=True):
        assert frame["title"] == " ".join(data["text/plain"].split())
        assert data["text/html"] in (decks / frame["data-src"]).read_text(encoding="utf-8")


@each
def test_a_deck_has_every_equation_with_its_number(text, decks):
    copied = re.findall(r"^\$\$\n([^$]+)\n\$\$$", taught(text), flags=re.M)
    blocks = [tag.get_text().strip() for tag in soup(decks, text).select("div.math")]
    assert [rf"\[{equation.strip()}\]" for equation in copied] == blocks
    tagged = [label for kind, label in student.labels(executed(text)) if kind == "equation"]
    tags = re.findall(r"\\tag\{(.+?)\}", "".join(blocks))
    assert tags == [student.numbers()[label][1] for label in tagged][: len(tags)] and tags


@each
def test_a_slide_has_few_equations(text, decks):
    counts = [len(slide.select("div.math")) for slide in soup(decks, text).select(".slide")]
    assert max(counts) <= 2


@each
def test_a_deck_has_every_exercise_and_the_summary(text, decks):
    notebook, page = executed(text), soup(decks, text)
    headings = [words(tag) for tag in page.select(".slide > h2")]
    numbers = [
        student.numbers()[label][1]
        for kind, label in student.labels(notebook)
        if kind == "exercise"
    ]
    asked = [re.match(r"Exercise (\S+)(?: · (\w+))?$", heading) for heading in headings]
    assert [found[1] for found in asked if found] == numbers
    names = [chapters.checked(cell) for cell in chapters.tagged(notebook, "exercise")]
    assert [found[2] for found in asked if found and found[2]] == names
    told = re.sub(r"\W", "", " ".join(words(tag) for tag in page.select(".body")))
    source = text.read_text(encoding="utf-8")
    for statement in re.findall(r"\{exercise-start\}\n:label:.*\n```\n([^`$({]+)", source):
        assert re.sub(r"\W", "", statement) in told
    assert headings[-1] in ("Summary", "References") and "Summary" in headings


@each
def test_no_deck_has_a_solution(text, decks):
    notebook, page = executed(text), soup(decks, text)
    told = re.sub(r"\s", "", page.get_text() + (decks / text.name).read_text(encoding="utf-8"))
    others = [c.source for c in notebook.cells if "solution" not in c.metadata.get("tags", [])]
    given = re.sub(r"\s", "", "\n".join(others))
    secrets = []
    for cell in chapters.tagged(notebook, "solution"):
        lines = [re.sub(r"\s", "", line) for line in cell.source.splitlines()]
        secrets += [line for line in lines if len(line) > 12 and line not in given]
    source = text.read_text(encoding="utf-8")
    answers = re.findall(r"\{solution-start\}[^`]*```\s+([\w ,.]{20,})", source)
    secrets += [re.sub(r"\s", "", answer) for answer in answers]
    assert len(secrets) > 6
    assert not [secret for secret in secrets if secret in told]


@each
def test_the_speaker_has_every_paragraph(text, decks):
    notes = " ".join(words(tag) for tag in soup(decks, text)("aside"))
    prose = taught(text).partition("\n## Exercises\n")[0].partition("\n## ")
    paragraphs = [i.source for i in slides.written("".join(prose[1:])) if i.kind == "paragraph"]
    kept = [p for p in paragraphs if not p.startswith("*Fig. ")]
    assert len(kept) > 10
    assert not [p for p in kept if slides.plain(p) not in notes]


@each
def test_a_deck_says_where_it_comes_from(text, decks):
    first = soup(decks, text).section
    title, question = student.title(text.stem)
    assert words(first.h1) == title and question[:20] in words(first)
    links = [link["href"] for link in first("a")]
    assert student.config()["html"]["baseurl"] in links
    assert "https://creativecommons.org/licenses/by/4.0/" in links


@each
def test_a_deck_loads_only_what_lies_beside_it(text, decks):
    own(decks)
    for page in [decks / f"{text.stem}.html", *decks.glob(f"views/{text.stem}-*.html")]:
        html = BeautifulSoup(page.read_text(encoding="utf-8"), "html.parser")
        loads = [tag[key] for key in ("src", "data-src") for tag in html.find_all(**{key: True})]
        loads += [tag["href"] for tag in html("link")]
        assert loads and all((page.parent / load).is_file() for load in loads)


def own(decks):
    """Skip a test of whole decks where npm could not bring what they need."""
    if not (decks / "deck.css").exists():
        message = "npm has not brought reveal.js: run `make slides`"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(message)


def test_the_index_leads_to_every_deck(decks):
    html = BeautifulSoup((decks / "index.html").read_text(encoding="utf-8"), "html.parser")
    links = [link["href"] for link in html.select("li a")]
    assert links == [f"{text.stem}.html" for text in TEXTS]
    assert all((decks / link).exists() for link in links)


def test_sentences_lose_nothing_and_keep_formulas_whole():
    said = (
        "**Theorem.** It holds. Let $a. B$ be (as in Li et al. (2022)). Then `x. Y` is *it*: Yes?"
    )
    found = slides.sentences(said)
    assert " ".join(found) == said
    assert found[0] == "**Theorem.** It holds." and len(found) == 4


@pytest.mark.parametrize(
    "sentence, holds",
    [("A *term* is here.", True), ("A **fact**.", True), ("`a * b * c`", False), ("3 * 4", False)],
)
def test_what_is_stressed(sentence, holds):
    assert slides.stressed(sentence) == holds


def test_a_list_that_needs_several_slides_is_cut_into_even_parts():
    stack = slides.Stack("## A")
    stack.listing([f"* {'word ' * 30}{i}" for i in range(6)])
    assert [len(slide.pieces) for slide in stack.slides] == [3, 3]


def test_what_a_lecturer_has_changed_is_kept(tmp_path):
    text = TEXTS[-1]
    path = tmp_path / text.name
    assert not slides.write(text, tmp_path)
    made = path.read_text(encoding="utf-8")
    changed = made.replace("## Summary", "## What is $x_1$ to us?\n\nMine.\n\n---\n\n## Summary", 1)
    path.write_text(changed, encoding="utf-8")
    assert slides.write(text, tmp_path)
    assert path.read_text(encoding="utf-8") == changed
    changed = BeautifulSoup(path.with_suffix(".html").read_text(encoding="utf-8"), "html.parser")
    headings = [words(tag) for tag in changed("h2")]
    assert headings[headings.index(r"What is \(x_1\) to us?") + 1] == "Summary"
    assert not slides.write(text, tmp_path, overwrite=True)
    assert path.read_text(encoding="utf-8") == made


def test_the_command_writes_a_deck_and_says_where(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(slides, "SLIDES", tmp_path)
    monkeypatch.setattr(slides, "bring", lambda: None)
    monkeypatch.setattr(slides, "furnish", lambda folder: None)
    monkeypatch.setattr(sys, "argv", ["slides.py", str(TEXTS[-1])])
    slides.main()
    (tmp_path / TEXTS[-1].name).write_text("# Mine\n")
    slides.main()
    said = capsys.readouterr().out
    assert said.count((tmp_path / "index.html").as_uri()) == 2 and said.count("kept: ") == 1
    assert "--overwrite" in said and "Mine" in soup(tmp_path, TEXTS[-1]).h1.text


def test_the_command_refuses_a_chapter_that_was_not_executed(tmp_path, monkeypatch):
    monkeypatch.setattr(slides, "SLIDES", tmp_path)
    monkeypatch.setattr(slides, "bring", lambda: None)
    monkeypatch.setattr(slides, "furnish", lambda folder: None)
    monkeypatch.setattr(sys, "argv", ["slides.py", str(TEXTS[0])])
    monkeypatch.setattr(chapters, "stale", lambda text: "its cells are others")
    with pytest.raises(SystemExit, match="its cells are others.*make chapters"):
        slides.main()


def test_without_npm_the_command_says_so(tmp_path, monkeypatch):
    def fail(packages):
        raise subprocess.SubprocessError("no npm")

    monkeypatch.setattr(assets, "STATIC", tmp_path)
    monkeypatch.setattr(assets, "bring", fail)
    monkeypatch.setattr(sys, "argv", ["slides.py"])
    with pytest.raises(SystemExit, match="reveal.js.*no npm"):
        slides.main()


def test_the_site_does_not_ship_what_only_slides_need(tmp_path, monkeypatch):
    monkeypatch.setattr(assets, "STATIC", tmp_path)
    config = SimpleNamespace(html_static_path=[], html_css_files=[], exclude_patterns=[])
    assets.use(None, config)
    assert {assets.folder(package).name for package in assets.FOR_SLIDES} <= {
        *config.exclude_patterns
    }


# In a browser

READY = "document.documentElement.classList.contains('ready')"
UNTYPESET = """[...document.querySelectorAll('.math')].filter(
    e => !e.querySelector('mjx-container') || e.querySelector('mjx-merror')).length"""
# Of every slide, laid out: what it is called, how large its letters and how high its figure are,
# and by how many pixels something in it is cut off.
MEASURED = """(() => {
    document.documentElement.classList.add("measuring");
    return [...document.querySelectorAll(".slide")].map((slide) => {
        const body = slide.querySelector(".body"), figure = slide.querySelector(".figure svg");
        const room = body.getBoundingClientRect();
        const parts = "p, li, pre, table, blockquote, svg, iframe, mjx-math";
        const seen = [...body.querySelectorAll(parts)].map((part) => part.getBoundingClientRect());
        return {
            heading: slide.textContent.trim().slice(0, 60),
            letters: parseFloat(body.style.fontSize),
            figure: figure ? figure.getBoundingClientRect().height : null,
            cut: Math.max(
                slide.scrollHeight - 720, slide.scrollWidth - 1280,
                ...seen.flatMap((box) => [
                    box.bottom - room.bottom, room.top - box.top, box.right - room.right]),
                ...[...body.querySelectorAll("pre")].map((p) => p.scrollWidth - p.clientWidth)),
        };
    });
})()"""


def opened(browser, address):
    browser.resize(1280, 720)
    browser.open(address)
    browser.wait(lambda: browser.ask(READY), 120)
    assert not browser.errors and not browser.ask(UNTYPESET)


@each
def test_no_slide_is_cut_off_and_none_needs_the_network(text, decks, browser):
    own(decks)
    opened(browser, (decks / f"{text.stem}.html").as_uri())
    asked = [url for url in browser.requests if not url.startswith((decks.as_uri(), "data:"))]
    assert not asked
    measured = browser.ask(MEASURED)
    assert len(measured) > 25
    assert not [slide for slide in measured if slide["cut"] > 4]
    assert not [slide for slide in measured if slide["letters"] < 0.7]
    assert not [slide for slide in measured if slide["figure"] and slide["figure"] < 380]


@each
def test_a_view_fits_its_frame(text, decks, browser):
    own(decks)
    browser.resize(1152, 560)
    for path in sorted(decks.glob(f"views/{text.stem}-*.html")):
        browser.open(path.as_uri())
        assert not browser.errors
        assert all(url.startswith((decks.as_uri(), "data:")) for url in browser.requests)
        size = browser.ask(
            "[document.documentElement.scrollWidth, document.documentElement.scrollHeight]"
        )
        assert size[0] <= 1152 and size[1] <= 564


def test_a_deck_goes_on_and_prints(decks, browser):
    own(decks)
    address = (decks / f"{TEXTS[0].stem}.html").as_uri()
    opened(browser, address)
    for _ in range(4):
        browser.ask("Reveal.next()")
    assert browser.ask("Reveal.getProgress()") > 0
    assert "figures" not in browser.ask("Reveal.getSlideNotes()") and browser.ask(
        "Reveal.getSlideNotes()"
    )
    opened(browser, f"{address}?print-pdf")
    browser.wait(lambda: browser.ask("document.querySelectorAll('.pdf-page').length"))
    pages = browser.ask("document.querySelectorAll('.pdf-page').length")
    assert pages == browser.ask("document.querySelectorAll('.slide').length")
