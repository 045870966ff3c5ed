"""Figures as drawings: what becomes of them on a page, and in notebooks that are run again."""

import io
import re
import subprocess
import sys

import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pytest
from bs4 import BeautifulSoup
from helpers import ROOT
from matplotlib.figure import Figure
from sphinx.application import Sphinx

from nanoparadigm.show.figures import COLOURS, GREY, slider
from nanoparadigm.show.schematics import canvas

sys.path.insert(0, str(ROOT / "book"))

from inline_svg import PAPER, ink, inline  # noqa: E402


def saved(figure):
    """What a notebook stores of a figure."""
    file = io.StringIO()
    with plt.style.context("nanoparadigm.show.book"):
        figure.savefig(file, format="svg")
    return file.getvalue()


def plot():
    """Curves with markers, clipped, a filled band, an image, words in colours and a formula."""
    with plt.style.context("nanoparadigm.show.book"):
        figure = Figure()
        axes = figure.subplots()
        for colour in COLOURS[:2]:
            axes.plot(range(5), np.sin(range(5)), "o-", color=colour)
        axes.fill_between([1, 2], 0, 1, color="black", alpha=0.2)
        axes.imshow(np.eye(2), extent=(3, 4, 0, 1))
        axes.text(0, 0.5, "in blue & <bold>", color=COLOURS[0], bbox=dict(fc="white", ec="none"))
        axes.text(0, 0.8, "a level", color=GREY)
        axes.set(xlabel=r"time $t$", ylabel="$1 - t^2$", title="A title", xlim=(0, 3.5))
        axes.legend(["first", "second"], frameon=True)
    return saved(figure)


def boxes():
    figure, axes = canvas.sheet(8, 4)
    canvas.circle(axes, 2, 2, "s")
    canvas.token(axes, 6, 2, "word", fill=canvas.tint(COLOURS[0]))
    canvas.words(axes, 6, 2.8, "white", "white")
    return saved(figure)


def soup(html):
    return BeautifulSoup(html[html.index("<svg") :], "html.parser").find("svg")


@pytest.mark.parametrize("draw", [plot, boxes])
def test_a_drawing_on_a_page_stands_alone_and_leaves_the_page_as_it_is(draw):
    html = inline(draw(), 'What "one" would see & <more>', "first-")
    assert not re.search(r"<\?xml|<!DOCTYPE|https?:|<style|metadata|rdf", html)
    drawn = soup(html)
    assert drawn["role"] == "img" and drawn["aria-label"] == 'What "one" would see & <more>'
    assert drawn["fill"] == "currentColor"
    assert all(tag["id"].startswith("first-") for tag in drawn(id=True))
    ids = {tag["id"] for tag in drawn(id=True)}
    named = set(re.findall(r'url\(#(.+?)\)|href="#(.+?)"', html))
    assert ids == {a or b for a, b in named} and len(ids) >= 1
    assert "aria-label" not in soup(inline(draw())).attrs


def test_what_is_drawn_is_what_was_drawn():
    """All words, shapes and marks but the two grounds, each where it was."""
    before, after = soup(plot()), soup(inline(plot()))
    for tag in "text", "tspan", "use", "image":
        assert len(after(tag)) == len(before(tag)) > 0, tag
    paths = [[path["d"].split() for path in tree("path")] for tree in (before, after)]
    assert paths[0][2:] == paths[1] and len(paths[1]) > 10
    words = [[text.text.split() for text in tree("text")] for tree in (before, after)]
    assert ["".join(parts) for parts in words[0]] == ["".join(parts) for parts in words[1]]
    assert ["in", "blue", "&", "<bold>"] in words[1] and ["time", "t"] in words[1]
    places = [[(use["x"], use["y"]) for use in tree("use")] for tree in (before, after)]
    assert places[0] == places[1]
    assert after.find("image")["href"].startswith("data:image/png")


def test_only_the_grounds_are_taken_away():
    """White boxes below words, and circles of paper, still hide the lines below them."""
    figure = soup(inline(plot()))
    grounds = [path for path in figure("path") if PAPER in path.get("style", "")]
    assert len(grounds) == 2  # of the words in blue and of the legend
    box, circle = (path["style"] for path in soup(inline(boxes()))("path"))
    assert f"fill: {PAPER}" in circle and f"stroke: {GREY}" in circle
    assert f"fill: {COLOURS[0].lower()}; fill-opacity: 0.25" in box


def test_it_has_its_own_size_at_most():
    figure = soup(inline(plot()))
    assert figure["viewbox"] == "0 0 432 259.2" and "width" not in figure.attrs
    assert "width:100%;max-width:576px;height:auto" in figure["style"]
    assert "max-width:12em" in soup(inline(plot(), width="12em"))["style"]


def test_words_are_set_in_the_type_of_the_page_and_formulas_in_one_as_wide():
    families = {
        tag.text.strip(): re.findall("font-family: ([^;]+)", tag["style"])
        for tag in soup(inline(plot()))(["text", "tspan"])
        if tag.get("style")
    }
    assert families["A title"] == [] and "Verdana" in families["t"][0]
    monospace = Figure()
    monospace.text(0.5, 0.5, "code", family="monospace")
    assert "monospace" in soup(inline(saved(monospace))).find("text")["style"]


@pytest.mark.parametrize(
    "colour, line, letters",
    [
        ("none", "none", "none"),
        ("#000000", "currentColor", "currentColor"),
        ("#ffffff", PAPER, "#ffffff"),
        ("#808080", "#808080", "color-mix(in srgb, #808080 60%, currentColor)"),
        ("#262626", f"color-mix(in srgb, currentColor 85%, {PAPER})", None),
        ("#e6e6e6", f"color-mix(in srgb, currentColor 10%, {PAPER})", None),
        ("#0072b2", "#0072b2", "color-mix(in srgb, #0072b2 60%, currentColor)"),
        ("url(#a)", "url(#a)", "url(#a)"),
    ],
)
def test_colours_follow_the_theme(colour, line, letters):
    assert ink(colour) == line and ink(colour, text=True) == (letters or line)


# A site of one figure


CAPTION = "The *two* curves are those of $t$."
ALT = "Two curves between 0 and 3, one in blue & one in orange."
PAGE = """\
# Others

![An icon](icon.svg)

![A picture](picture.png)

```{figure} drawn.svg
:alt: Drawn elsewhere.
:width: 200px

Another one.
```
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The folder of a built site: two figures of a notebook, and images that are none of ours."""
    root = tmp_path_factory.mktemp("site")
    code = nbformat.v4.new_code_cell
    figure = {"caption": CAPTION, "name": "fig-curves"}
    cells = [nbformat.v4.new_markdown_cell("# Figures"), code("a"), code("b")]
    cells[1].metadata["mystnb"] = {"figure": figure, "image": {"alt": ALT}}
    for cell, svg in zip(cells[1:], (plot(), boxes()), strict=True):
        data = {"image/svg+xml": svg, "text/plain": "<Figure>"}
        cell.outputs = [nbformat.v4.new_output("display_data", data)]
    view = {"text/html": slider(["a", "b"], ["1", "2"], "Two").html, "text/plain": "Two"}
    cells += [code("c", outputs=[nbformat.v4.new_output("display_data", view)])]
    notebook = nbformat.v4.new_notebook(cells=cells)
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
    notebook.metadata["language_info"] = {"name": "python", "pygments_lexer": "ipython3"}
    nbformat.write(notebook, root / "figures.ipynb")
    (root / "others.md").write_text(PAGE)
    (root / "icon.svg").write_bytes((ROOT / "book/figures/icon.svg").read_bytes())
    (root / "drawn.svg").write_text(plot())
    Figure(figsize=(1, 1)).savefig(root / "picture.png")
    names = ["figures", "others", *(f"page{i}" for i in range(6))]  # enough to be built in parallel
    for name in names[2:]:
        (root / f"{name}.md").write_text(f"# {name}\n")
    (root / "index.md").write_text("# Contents\n\n```{toctree}\n" + "\n".join(names) + "\n```\n")
    (root / "wide.css").write_bytes((ROOT / "book/wide.css").read_bytes())
    settings = dict(
        extensions=["myst_nb", "inline_svg"],
        nb_execution_mode="off",
        myst_enable_extensions=["dollarmath"],
        html_theme="sphinx_book_theme",
        html_static_path=[str(root / "wide.css")],
        html_css_files=["wide.css"],
        mathjax_path="nowhere.js",
    )
    folders = [root / "html", root / "trees"]
    more = dict(confoverrides=settings, status=None, warningiserror=True, parallel=2)
    app = Sphinx(root, None, *folders, "html", **more)
    app.build()
    assert app.statuscode == 0
    return root / "html"


def page(site, name):
    return BeautifulSoup((site / f"{name}.html").read_text(), "html.parser").find("article")


def test_a_figure_of_a_notebook_is_part_of_the_page_with_its_caption(site):
    article = page(site, "figures")
    captioned, bare = article.select("svg.drawn")
    figure = captioned.parent
    assert figure.name == "figure" and figure["id"] == "fig-curves"
    assert captioned["aria-label"] == ALT and "aria-label" not in bare.attrs
    assert figure.find("figcaption").text.strip().startswith("The two curves are those of ")
    assert figure.find("figcaption").find("em").text == "two"
    assert not article("img") and not article("object")
    ids = [tag["id"] for tag in article(id=True)]
    assert len(ids) == len(set(ids)) > 5


def test_other_images_stay_images_and_the_files_of_drawings_stay_away(site):
    article = page(site, "others")
    assert [img["alt"] for img in article("img")] == ["An icon", "A picture"]
    drawn = article.select_one("figure svg.drawn")
    assert drawn["aria-label"] == "Drawn elsewhere." and "max-width:200px" in drawn["style"]
    assert sorted(path.name for path in (site / "_images").iterdir()) == ["icon.svg", "picture.png"]


LOOKS = """(() => {
    const style = (e) => getComputedStyle(e), box = (e) => e.getBoundingClientRect();
    const svg = document.querySelector('svg.drawn');
    const caption = document.querySelector('figcaption p');
    const view = document.querySelector('figure[role=group]');
    const words = [...svg.querySelectorAll('text')].find((e) => e.textContent === 'A title');
    return {
        page: style(document.querySelector('article')).color,
        caption: style(caption).color, weight: style(caption).fontWeight,
        left: box(caption).left - box(svg).left, size: parseFloat(style(caption).fontSize),
        words: style(words).fill, ground: style(svg).backgroundColor, filter: style(svg).filter,
        view: [view, view.parentElement, view.querySelector('output')].map((e) =>
            [style(e).color, style(e).backgroundColor]),
        starts: [...view.children].map((e) => box(e).left - box(svg).left),
        paper: style(document.body).backgroundColor,
        boxes: [...svg.querySelectorAll('path')].map((e) => style(e).fill),
        width: box(svg).width, ratio: box(svg).width / box(svg).height,
        sideways: document.documentElement.scrollWidth > innerWidth,
    };
})()"""


@pytest.mark.parametrize("width", [1200, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_figure_follows_the_theme_and_the_screen(scheme, width, site, browser):
    browser.prefers(color_scheme=scheme)
    browser.resize(width)
    browser.open((site / "figures.html").as_uri())
    assert browser.ask("document.documentElement.dataset.theme") == scheme
    looks = browser.ask(LOOKS)
    dark = sum(map(int, re.findall(r"\d+", looks["paper"])[:3])) < 384
    assert dark == (scheme == "dark")
    assert looks["words"] == looks["caption"] == looks["page"] != looks["paper"]
    assert looks["ground"] == "rgba(0, 0, 0, 0)" and looks["filter"] == "none"
    assert looks["view"] == [[looks["page"], looks["ground"]]] * 3
    assert looks["starts"] == pytest.approx([0] * len(looks["starts"]), abs=0.5)
    assert looks["boxes"].count(looks["paper"]) == 2
    assert looks["width"] == pytest.approx(576 if width == 1200 else 390 - 2 * 16, abs=2)
    assert looks["ratio"] == pytest.approx(432 / 259.2, abs=0.01)
    assert looks["weight"] == "400" and 12 <= looks["size"] < 16
    assert looks["left"] == pytest.approx(0, abs=0.5) and not looks["sideways"]


# Notebooks that are run again


def test_the_same_plot_is_the_same_file(monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "0")
    assert plot() == plot() and "1970-01-01" in plot()


SVG = """\
from IPython.display import HTML, display
display({"image/svg+xml": "<?xml version='1.0'?>\\n<svg>\\n1.00</svg>\\n"}, raw=True)"""


def test_nbval_asks_for_a_figure_and_for_everything_else_to_the_letter(tmp_path):
    """Of four stored outputs that are others: only that of a figure may be."""
    from nbclient import NotebookClient

    sources = [SVG, "print('1.00')", "HTML('<svg>1.00</svg>')", "display(HTML('1'))"]
    notebook = nbformat.v4.new_notebook(cells=list(map(nbformat.v4.new_code_cell, sources)))
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
    NotebookClient(notebook, timeout=100).execute()
    figure, printed, view, other = (cell.outputs[0] for cell in notebook.cells)
    figure.data["image/svg+xml"] = figure.data["image/svg+xml"].replace("1.00", "1.01")
    printed.text = "1.01\n"
    view.data["text/html"] = view.data["text/html"].replace("1.00", "1.01")
    other.data["image/svg+xml"] = figure.data["image/svg+xml"]  # a figure that is no longer drawn
    nbformat.write(notebook, tmp_path / "stored.ipynb")

    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:xdist", "--nbval", "stored.ipynb"]
    for options, wrong in [
        ([f"--nbval-sanitize-with={ROOT}/tests/nbval.ini"], "234"),
        ([], "1234"),
    ]:
        done = subprocess.run([*command, *options], cwd=tmp_path, capture_output=True, text=True)
        numbers = re.findall(r"^FAILED \S*::Cell (\d)", done.stdout, flags=re.M)
        assert "".join(str(int(number) + 1) for number in numbers) == wrong, done.stdout
