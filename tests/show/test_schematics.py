"""The drawn pictures of the book: whole, legible, and to be read in the light and in the dark."""

import importlib
import inspect
import pkgutil
import re
import sys

import numpy as np
import pytest
from helpers import ROOT, THEMES, contrast
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex, to_rgb, to_rgba
from matplotlib.figure import Figure
from matplotlib.mathtext import MathTextParser
from matplotlib.patches import Patch
from matplotlib.text import Text

from nanoparadigm.show import schematics
from nanoparadigm.show.schematics import canvas

sys.path.insert(0, str(ROOT / "book"))

import inline_svg  # noqa: E402


def found():
    """Every schematic by its name: the public functions that say that they return a Figure."""
    for module in pkgutil.iter_modules(schematics.__path__, f"{schematics.__name__}."):
        if not module.name.endswith(".canvas"):
            functions = inspect.getmembers(importlib.import_module(module.name), inspect.isfunction)
            for name, function in functions:
                here = function.__module__ == module.name and not name.startswith("_")
                if here and inspect.get_annotations(function, eval_str=True)["return"] is Figure:
                    yield f"{module.name.rpartition('.')[2]}.{name}", function


ALL = dict(found())
each = pytest.mark.parametrize("name", ALL)


def drawn(figure):
    """What has been drawn: the texts with their boxes, in pixels, and the picture (H, W, 4)."""
    texts = []

    def draw(self, renderer, *args, **kwargs):
        if self.get_visible() and self.get_text().strip():
            texts.append(self)
        return original(self, renderer, *args, **kwargs)

    original, Text.draw = Text.draw, draw
    try:
        sheet = FigureCanvasAgg(figure)
        sheet.draw()
    finally:
        Text.draw = original
    renderer = sheet.get_renderer()
    boxes = [
        Text.get_window_extent(text, renderer).extents for text in texts
    ]  # not what it points to
    return list(zip(texts, boxes, strict=True)), np.asarray(sheet.buffer_rgba())


def outside(figure):
    """The texts and shapes that reach over the edge of the figure."""
    texts, _ = drawn(figure)
    width, height = figure.bbox.size
    renderer = figure.canvas.get_renderer()
    shapes = [
        (type(patch).__name__, patch.get_window_extent(renderer).extents)
        for axes in figure.axes
        for patch in axes.patches
        if patch.get_visible()
    ]
    for what, (left, low, right, high) in [(t.get_text(), box) for t, box in texts] + shapes:
        if left < -1 or low < -1 or right > width + 1 or high > height + 1:
            yield what


def overlapping(figure):
    """The pairs of texts whose boxes share more than a pixel."""
    texts, _ = drawn(figure)
    for i, (one, a) in enumerate(texts):
        for other, b in texts[:i]:
            if (np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]) > 1).all():
                yield other.get_text(), one.get_text()


def small(figure):
    """The texts below 9 points, or below 7 pixels on a telephone, whose page has 350."""
    for text, _ in drawn(figure)[0]:
        size = text.get_fontsize()
        if size < 9 or size * 350 / (72 * figure.get_figwidth()) < 7:
            yield text.get_text()


def foreign(figure):
    """The texts with a symbol of a font that no page has: it shows another symbol there."""
    for text, _ in drawn(figure)[0]:
        if "$" in text.get_text():
            found = MathTextParser("path").parse(text.get_text(), 72, text.get_fontproperties())
            if any(font.family_name.startswith("cm") for font, *_ in found.glyphs):
                yield text.get_text()


def on_page(colour, ink, paper):
    """The colour (r, g, b) that letters of a colour have on the page, whose colours these are."""
    said = inline_svg.ink(to_hex(colour), text=True)
    named = {"currentColor": ink, inline_svg.PAPER: paper}
    if mixed := re.fullmatch(r"color-mix\(in srgb, (.+) (\d+)%, (.+)\)", said):
        one, share, other = mixed.groups()
        a, b = (np.array(to_rgb(named.get(c, c))) for c in (one, other))
        return (a * int(share) + b * (100 - int(share))) / 100
    return np.array(to_rgb(named.get(said, said)))


def illegible(figure, ink, paper):
    """The texts that the ground below more than an eighth of them does not let be read."""
    figure.set_facecolor(paper)
    behind = [text.get_bbox_patch() for text in figure.findobj(Text) if text.get_bbox_patch()]
    for patch in [*figure.findobj(Patch), *behind]:
        for get, put in (
            (patch.get_facecolor, patch.set_facecolor),
            (patch.get_edgecolor, patch.set_edgecolor),
        ):
            *rgb, alpha = get()
            swapped = {(1, 1, 1): paper, (0, 0, 0): ink}.get(tuple(rgb))
            if swapped and alpha:
                put(to_rgba(swapped, alpha))
    colours = [text.get_color() for text, _ in drawn(figure)[0]]
    for text in figure.findobj(Text):
        text.set_color((0, 0, 0, 0))
    texts, picture = drawn(figure)
    for (text, box), colour in zip(texts, colours, strict=True):
        left, low, right, high = np.round(box).astype(int)
        ground = picture[len(picture) - high : len(picture) - low, left:right, :3] / 255
        if np.mean(contrast(ground, on_page(colour, ink, paper)) < 4.5) > 1 / 8:
            yield text.get_text()


@each
def test_a_schematic_is_whole_and_its_words_stand_apart(name):
    figure = ALL[name]()
    assert isinstance(figure, Figure) and figure.get_figwidth() <= 7.5
    assert not list(outside(figure))
    assert not list(overlapping(figure))
    assert not list(small(figure))
    assert not list(foreign(figure))


@each
@pytest.mark.parametrize("theme", THEMES)
def test_the_words_of_a_schematic_can_be_read_in_either_theme(name, theme):
    assert not list(illegible(ALL[name](), *THEMES[theme]))


def test_a_schematic_can_be_drawn_without_arguments():
    assert ALL, "there are no schematics"
    for name, function in ALL.items():
        parameters = inspect.signature(function).parameters.values()
        assert all(p.default is not p.empty for p in parameters), name


def test_the_faults_are_noticed():
    figure, axes = canvas.sheet(8, 4)
    canvas.words(axes, 2, 3, "one")
    assert not list(outside(figure)) and not list(overlapping(figure)) and not list(small(figure))
    canvas.words(axes, 2.3, 3.1, "two")
    canvas.words(axes, 7.9, 1, "cut off")
    canvas.words(axes, 1, 1, "tiny", size=8)
    canvas.words(axes, 6, 3, "$h' = -h$")
    canvas.circle(axes, 4, 0.2, "", radius=0.5)
    assert set(outside(figure)) == {"cut off", "Circle"}
    assert list(overlapping(figure)) == [("one", "two")] and list(small(figure)) == ["tiny"]
    assert list(foreign(figure)) == ["$h' = -h$"]
    wide, axes = canvas.sheet(14, 4)
    canvas.words(axes, 7, 2, "of ten points", size=9.5)
    assert list(small(wide)) == ["of ten points"]


@pytest.mark.parametrize("theme", THEMES)
def test_what_cannot_be_read_is_noticed(theme):
    figure, axes = canvas.sheet(12, 8)
    fills = {
        "nothing": "none",
        "paper": canvas.PAPER,
        "a tint": canvas.tint("#0072B2"),
        "a pastel": "#e8f1fa",
        "dark blue": "#0b2a40",
    }
    for y, (text, fill) in enumerate(fills.items()):
        canvas.token(axes, 3, 1 + 1.5 * y, text, fill=fill, width=4)
    canvas.words(axes, 8, 2, "orange", "#E69F00")
    canvas.words(axes, 8, 4, "white", "white")
    found = {"light": {"dark blue", "white"}, "dark": {"a pastel"}}
    assert set(illegible(figure, *THEMES[theme])) == found[theme]


def test_the_parts_of_a_sheet_stand_where_they_are_said_to():
    figure, axes = canvas.sheet(10, 5, scale=0.4)
    assert tuple(figure.get_size_inches()) == (4, 2) and not axes.axison
    canvas.token(axes, 2, 3, "word", width=3, height=1)
    canvas.circle(axes, 6, 3, "s", radius=0.75)
    canvas.grid(axes, 1, 0.5, [[0, 1], [0.5, 0]], "#009E73", size=0.4)
    canvas.arrow(axes, (3.5, 3), (6, 3), gap=0.5)
    (texts, picture), scale = drawn(figure), figure.dpi * 0.4
    for (text, box), (word, x, y) in zip(texts, [("word", 2, 3), ("s", 6, 3)], strict=True):
        assert text.get_text() == word
        assert (box[:2] + box[2:]) / 2 == pytest.approx([x * scale, y * scale], abs=3)

    def at(x, y):
        """What is seen there, as (r, g, b)."""
        return tuple(picture[len(picture) - 1 - round(y * scale), round(x * scale), :3].tolist())

    white, green, pale = (255, 255, 255), (0, 158, 115), (127, 206, 184)
    assert [at(1.2, 1.1), at(1.6, 1.1), at(1.2, 0.7), at(1.6, 0.7)] == [white, green, pale, white]
    grey = (128, 128, 128)
    assert at(4.6, 3) == grey and at(3.7, 3) == white  # the shaft, and the gap before it
    assert at(2, 2.5) == at(0.5, 3) == at(6, 2.25) == grey  # edges of the box and of the circle
