"""Views: what a reader, a keyboard and a screen reader get, with a kernel and without one."""

import math
import re
import sys
from types import SimpleNamespace

import nbformat
import pytest
from bs4 import BeautifulSoup
from helpers import COMPARED, ROOT, THEMES, contrast
from matplotlib.colors import to_rgb

from nanoparadigm.show import figures

sys.path.insert(0, str(ROOT / "book"))

import chapters  # noqa: E402

CURVES = {
    "ar": [(4096 * k, 1 + 2 * math.exp(-k / 5)) for k in range(1, 31)],
    "mamba": [(8192 * k, 1.1 + 2 * math.exp(-k / 5)) for k in range(1, 16)],
}
LEVELS = {"2-gram": 1.458, "3-gram": 1.407, "entropy": 1.041}
CELL = """\
from nanoparadigm.show.figures import explore
explore(lambda k: "*" * k, [1, 3, 5], "Stars")"""


def stars():
    return figures.explore(lambda k: f"<b>{'*' * k}</b>", [1, 3, 5], "Stars", "{} of them".format)


def learning():
    names = dict(x="tokens", y="nats per word")
    return figures.follow(CURVES, "Learning", levels=LEVELS, **names)


def parts(view):
    """Its frames and the words for each, in the order of the slider, and the slider itself."""
    soup = BeautifulSoup(view.html, "html.parser")
    numbered = soup(attrs={"data-frame": True})
    frames = [part for part in numbered if part.has_attr("data-label")]
    words = [part for part in numbered if part.parent.name == "output"]
    assert len(numbered) == len(frames) + len(words)
    return frames, words, soup.find("input")


def shown(parts):
    """The indices of those that are seen before any script has run."""
    return [i for i, part in enumerate(parts) if "visibility:hidden" not in part["style"]]


@pytest.mark.parametrize("view", [stars(), learning()], ids=["explore", "follow"])
def test_a_view_is_small_stands_alone_and_moves_only_when_asked(view):
    frames, words, moved = parts(view)
    assert [part["data-frame"] for part in frames] == [str(i) for i in range(len(frames))]
    assert [frame["data-label"] for frame in frames] == [word.text for word in words]
    assert moved["type"] == "range" and int(moved["max"]) == len(frames) - 1
    assert [int(moved["value"])] == shown(frames) == shown(words)
    assert moved["aria-label"]
    assert moved["aria-valuetext"] == frames[int(moved["value"])]["data-label"]
    button = moved.find_previous_sibling("button")
    assert button.text == "Play" and button["type"] == "button"
    assert view.html.count("setInterval") == 1 == button["onclick"].count("setInterval")
    assert len(view.html) < 50_000 and not re.search("https?:|<script|<link|src=", view.html)
    assert not re.search("transition|animation|<animate|setTimeout|autofocus", view.html)


def test_all_frames_share_one_place_so_that_nothing_around_them_moves():
    for view in stars(), learning():
        frames, words, _ = parts(view)
        for stacked in frames, words:
            assert "display:grid" in stacked[0].parent["style"]
            assert all("grid-area:1/1" in part["style"] for part in stacked)
            assert not any(part.has_attr("hidden") for part in stacked)
    ground = parts(learning())[0][0].parent.find("div", recursive=False)
    assert "grid-area:1/1" in ground["style"] and ground.find("svg", role="img")


@pytest.mark.parametrize("start, index", [(0, 0), (1, 1), (-1, 2)])
def test_a_view_rests_where_it_says_most(start, index):
    views = [
        figures.slider(["a", "b", "c"], ["1", "2", "3"], "Three", start=start),
        figures.explore(str, [1, 3, 5], "Numbers", start=start),
        figures.follow({"ar": [(0, 1), (1, 2), (2, 3)]}, "Learning", start=start),
    ]
    for view in views:
        frames, words, moved = parts(view)
        assert shown(frames) == shown(words) == [index] == [int(moved["value"])]
    assert views[1].live().children[1].children[0].value == [1, 3, 5][index]
    with pytest.raises(IndexError):
        figures.slider(["a"], ["1"], "One", start=1)


def test_a_legend_stands_below_the_title_and_above_what_it_explains():
    legend = figures.legend("weak", "<strong>")
    views = [
        figures.slider(["frame"], ["words"], "The title", legend=legend),
        figures.explore(lambda _: "frame", [1], "The title", lambda _: "words", legend=legend),
    ]
    for view in views:
        text = " ".join(BeautifulSoup(view.html, "html.parser").text.split())
        assert text == "The titleweak <strong> Play words frame"
    assert views[1].live().children[1].value == legend
    learning = figures.follow({"ar": [(0, 1), (1, 2)]}, "Learning", legend=legend)
    assert legend in learning.html


def test_a_point_says_where_it_is_and_waits_where_its_curve_has_no_point():
    soup = BeautifulSoup(learning().html, "html.parser")
    labels = [frame["data-label"] for frame in parts(learning())[0]]
    assert labels[:3] == [
        "tokens 4,096: ar 2.64",
        "tokens 8,192: ar 2.34, mamba 2.74",
        "tokens 12,288: ar 2.10, mamba 2.74",
    ]
    assert len(labels) == 30 and len(soup("circle")) == 59 and len(soup("polyline")) == 2
    says = soup.find("svg", role="img")["aria-label"]
    assert says.startswith("nats per word against tokens: ar, mamba, 2-gram at 1.46")


def test_a_curve_and_its_point_are_drawn_where_they_are():
    """Left and right, top and bottom, by hand: x from 0 to 8, y from 1, a level line, to 3."""
    curves = {"ar": [(0, 3.0), (4, 2.0), (8, 1.5)], "flow": [(2, 2.5), (8, 1.25)]}
    view = figures.follow(curves, "Learning", levels={"entropy": 1.0})
    soup = BeautifulSoup(view.html, "html.parser")

    def at(x, y):
        across = figures.LEFT + (figures.RIGHT - figures.LEFT) * x / 8
        return across, figures.BOTTOM - (figures.BOTTOM - figures.TOP) * (y - 1) / 2

    def said(point):
        return "{:.1f},{:.1f}".format(*at(*point))

    assert [line["points"] for line in soup("polyline")] == [
        " ".join(map(said, curve)) for curve in curves.values()
    ]
    seen = [
        [(f"{dot['cx']},{dot['cy']}", dot["fill"]) for dot in frame("circle")]
        for frame in soup(attrs={"data-label": True})
    ]
    expected = [[(0, 3.0)], [(0, 3.0), (2, 2.5)], [(4, 2.0), (2, 2.5)], [(8, 1.5), (8, 1.25)]]
    for dots, points in zip(seen, expected, strict=True):
        colours = [figures.PALETTE[name] for name in ("ar", "flow")][: len(points)]
        assert dots == list(zip(map(said, points), colours, strict=True))
    level = soup.find("path", attrs={"stroke-dasharray": "2 4"})["d"]
    assert level == f"M{figures.LEFT} {figures.BOTTOM:.1f}H{figures.RIGHT}"


def test_learning_curves_are_bits_over_tokens_and_over_seconds():
    """Of the records with a validation, and in bits all that was in nats: means, errors, floors."""
    records = [
        dict(tokens=10, seconds=1.5, val=3.0, val_se=0.3),
        dict(tokens=20, seconds=2.5),
        dict(tokens=30, seconds=4.0, val=1.5, val_se=0.6),
    ]
    floors = {"3-gram": 1.2, "entropy": 0.9}
    panels = figures.learning_curves({"ar": records}, floors, nats_per_bit=0.75).axes
    for axes, x in zip(panels, ([10, 30], [1.5, 4.0]), strict=True):
        (bars,) = axes.containers
        line, (low, high), _ = bars.lines
        assert line.get_xdata() == pytest.approx(x)
        assert line.get_ydata() == pytest.approx([4.0, 2.0])
        assert low.get_ydata() == pytest.approx([3.6, 1.2])
        assert high.get_ydata() == pytest.approx([4.4, 2.8])
        assert line.get_color() == figures.PALETTE["ar"]
        levels = [line for line in axes.lines if list(line.get_xdata()) == [0, 1]]
        assert [line.get_ydata()[0] for line in levels] == pytest.approx([1.6, 1.2])
        assert [line.get_linestyle() for line in levels] == [":", "-"]
    assert [axes.get_xlabel() for axes in panels] == ["tokens read", "seconds of training"]
    assert {text.get_text(): text.get_position()[1] for text in panels[1].texts} == {
        "3-gram": pytest.approx(1.6),
        "entropy": pytest.approx(1.2),
    }


def test_the_ground_of_a_token_is_its_share_of_the_highest():
    soup = BeautifulSoup(figures.heat("abcd", [0.5, 2.0, None, -0.1], highest=2.0), "html.parser")
    assert [(span.text, span.get("title")) for span in soup("span")] == [
        ("a", "0.50"), ("b", "2.00"), ("c", None), ("d", "0.00")
    ]  # fmt: skip
    strength = [re.findall(r"[\d.]+(?=\))", span.get("style", "")) for span in soup("span")]
    assert strength == [["0.14"], ["0.55"], [], ["0.00"]]  # of at most 0.55
    assert "rgba(0,158,115,0.55)" in figures.heat("a", [1.0], colour=figures.PALETTE["flow"])


@pytest.mark.parametrize("ink, paper", THEMES.values())
def test_letters_on_the_strongest_ground_can_be_read_in_either_theme(ink, paper):
    assert contrast(to_rgb(ink), to_rgb(paper)) > 11
    for colour in figures.SURE, *(figures.PALETTE[name] for name in COMPARED):
        r, g, b, share = map(float, re.findall(r"[\d.]+", figures.tint(1.0, colour)))
        ground = [
            share * top / 255 + (1 - share) * under
            for top, under in zip((r, g, b), to_rgb(paper), strict=True)
        ]
        assert contrast(to_rgb(ink), ground) >= 4.5, colour


def test_the_strip_of_a_legend_goes_from_no_ground_to_the_strongest():
    for colour in figures.SURE, figures.PALETTE["mamba"]:
        weak, strong = figures.heat("ab", [0, 1], colour=colour).split(" <")
        grounds = [re.search(r"rgba\(.*?\)", token)[0] for token in (weak, strong)]
        assert f"linear-gradient(to right,{','.join(grounds)})" in figures.legend(colour=colour)
    assert BeautifulSoup(figures.legend(), "html.parser").text == "unsure  sure"


def test_the_labels_of_close_lines_do_not_touch():
    soup = BeautifulSoup(learning().html, "html.parser")
    heights = sorted(int(t["y"]) for t in soup("text") if t.text in LEVELS)
    assert all(b - a >= 12 for a, b in zip(heights, heights[1:], strict=False))


def test_with_a_kernel_the_slider_stops_between_the_values_too():
    widget = stars().live()
    top, shown = widget.children[1:]
    moved, said = top.children
    assert (moved.min, moved.max, moved.step, moved.value) == (1, 5, 1, 1)
    moved.value = 4
    assert "<b>****</b>" in shown.value and said.value == "4 of them"
    between = figures.explore(str, [0.0, 0.5, 1.0], "Numbers").live().children[1].children[0]
    assert between.step == 0.005


def test_one_call_gives_both_and_the_page_keeps_what_needs_no_kernel(tmp_path, monkeypatch):
    run, live = chapters.run, []

    def seen(notebook):
        run(notebook)
        live.extend(set(output.data) for output in notebook.cells[-1].outputs)

    monkeypatch.setattr(chapters, "run", seen)
    text = tmp_path / "01-stars.md"
    kernel = "---\nkernelspec: {name: python3, display_name: Python 3}\n---\n\n"
    text.write_text(f"{kernel}# Stars\n\n```{{code-cell}} ipython3\n{CELL}\n```\n")
    chapters.execute(text)
    stored = nbformat.read(text.with_suffix(".ipynb"), as_version=4)
    (output,) = stored.cells[-1].outputs
    assert live == [{figures.WIDGET, "text/html", "text/plain"}]
    assert set(output.data) == {"text/html", "text/plain"} and "widgets" not in stored.metadata

    assert chapters.stale(text) is None
    output.data[figures.WIDGET] = {"model_id": "gone"}
    nbformat.write(stored, text.with_suffix(".ipynb"))
    assert "widget" in chapters.stale(text)


def test_a_live_view_is_what_ipywidgets_shows_and_asks_no_newer_one_for_it():
    """Colab has ipywidgets 7, whose widgets have no _repr_mimebundle_."""
    widget = stars().live()
    shown = figures.View("", "", lambda: widget)._repr_mimebundle_()
    assert shown[figures.WIDGET] == widget._repr_mimebundle_()[figures.WIDGET]
    older = SimpleNamespace(model_id="7")
    assert (
        figures.View("", "", lambda: older)._repr_mimebundle_()[figures.WIDGET]["model_id"] == "7"
    )


def test_without_ipywidgets_there_is_still_the_html(monkeypatch):
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    assert stars()._repr_mimebundle_() == {} and "input" in stars()._repr_html_()
    assert figures.slider(["a", "b"], ["1", "2"], "Two")._repr_mimebundle_() == {}


def test_learning_curves_are_bits_of_the_validation_against_tokens_and_seconds():
    """0.5 nats per token to a bit per character; what was not evaluated has no point."""
    lines = [(100, 1.5, 2.0, 0.25), (300, 4.0, 1.0, 0.125)]
    records = [
        dict(tokens=tokens, seconds=seconds, val=val, val_se=se, loss=9.0)
        for tokens, seconds, val, se in lines
    ]
    records.insert(1, dict(tokens=200, seconds=2.0, loss=8.0))
    floors = {"3-gram": 0.75, "entropy": 0.5}
    panels = figures.learning_curves({"ar": records}, floors, 0.5).axes
    for axes, x, said in zip(
        panels, [(100, 300), (1.5, 4.0)], ["tokens read", "seconds of training"], strict=True
    ):
        [drawn] = axes.containers
        line, _, [bars] = drawn.lines
        assert drawn.get_label() == "ar" and axes.get_xlabel() == said
        assert line.get_xydata().tolist() == [[x[0], 4], [x[1], 2]]
        spans = [segment.tolist() for segment in bars.get_segments()]
        assert spans == [[[x[0], 3.5], [x[0], 4.5]], [[x[1], 1.75], [x[1], 2.25]]]
        levels = [line.get_ydata()[0] for line in axes.lines if len({*line.get_ydata()}) == 1]
        assert sorted({*levels}) == [1, 1.5]
    assert [(t.get_text(), t.get_position()[1]) for t in panels[1].texts] == [
        ("3-gram", 1.5), ("entropy", 1.0)
    ]  # fmt: skip


def test_curves_and_floors_that_are_not_known_are_left_out(tmp_path):
    """A single window has no error, and a log may hold null: the rest is drawn."""
    known = dict(tokens=10, seconds=1.5, val=3.0, val_se=math.nan)
    lost = [{name: value for name in known} for value in (math.nan, None)]
    records = [known, *lost, dict(tokens=9, seconds=2.0, loss=1.0)]
    floors = {"3-gram": math.nan, "entropy": 0.5}
    figures.save(tmp_path / "figure.png", figures.learning_curves, {"ar": records}, floors, 0.5)
    assert (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")
    panels = figures.learning_curves({"ar": records}, floors, 0.5).axes
    assert [text.get_text() for text in panels[1].texts] == ["entropy"]
    assert panels[0].containers[0].lines[0].get_ydata()[0] == 6.0


def test_a_figure_that_cannot_be_drawn_is_told_in_a_sentence(tmp_path):
    def broken():
        raise ValueError("no such colour")

    with pytest.raises(OSError, match=r"^could not draw .*figure.png \(ValueError: no such col"):
        figures.save(tmp_path / "figure.png", broken)
