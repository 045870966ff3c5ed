"""Watching text appear: what is kept is what happened, and all that shows it shows the same."""

import gc
import io
import json
import re
from functools import partial
from itertools import pairwise
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch
from bs4 import BeautifulSoup
from helpers import COMPARED, SMALL, contrast, generator, luminance, presets, random_model
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image
from rich.console import Console
from rich.style import Style

from nanoparadigm import InputError
from nanoparadigm.data.tokenizers import BLANK, CharTokenizer, WordTokenizer
from nanoparadigm.decoding.masked import left_to_right_nll
from nanoparadigm.evaluate.cost import counting
from nanoparadigm.language import grammatical, language
from nanoparadigm.show import animation
from nanoparadigm.show.animation import Frame, Moment, Run, Token
from nanoparadigm.show.figures import PALETTE

LETTERS = CharTokenizer("abcdefg")
WORDS = WordTokenizer("a bee can do every fine game".split())
L = SMALL["block_size"]
EMPTY = [LETTERS.vocab_size] * L
GAP = [3, 1] + [LETTERS.vocab_size] * (L - 4) + [0, 5]

DECODINGS = [
    ("ar", EMPTY, {}),
    ("mamba", [2, 4] + EMPTY[2:], {"temperature": 0.5}),
    ("ar", EMPTY * 2, {}),
    ("diffusion", EMPTY, {}),
    ("diffusion", GAP, {"eta": 5.0, "steps": 30}),
    ("diffusion", GAP, {"sampler": "first_hitting"}),
    ("diffusion", EMPTY, {"sampler": "confidence", "threshold": 0.2}),
    ("diffusion", EMPTY * 2, {"sampler": "left_to_right", "blocks": 3, "steps": 9}),
    ("flow", GAP, {"steps": 9}),
    ("flow", EMPTY * 2, {"sampler": "euler", "blocks": 3, "steps": 9}),
    ("flow", EMPTY, {"corrections": 2, "steps": 9}),
]
decodings = pytest.mark.parametrize("name, template, options", DECODINGS, ids=str)


def written(name, template=EMPTY, tokenizer=LETTERS, seed=0, **options):
    return animation.record(
        name, random_model(name), tokenizer, template, generator(seed), **options
    )


def symbols(frame):
    return tuple(token.symbol for token in frame.tokens)


def changed(frame):
    return tuple(token.changed for token in frame.tokens)


def sure(frame):
    return tuple(token.sure for token in frame.tokens)


def whole(symbols, changed, sure, calls, positions, seconds, before=None):
    """A Frame in which all tokens are new."""
    new = dict(enumerate(map(Token, symbols, changed, sure)))
    return Frame(new, before, calls, positions, seconds, animation.surety(sure))


def states(model, template, options):
    """What `record` saw: each state as a list, and the slice of it that the network reads."""
    with torch.no_grad():
        for state, window in model.generate(*model.canvas(template, 1), generator(), **options):
            yield state[0].tolist(), window


@decodings
def test_a_run_is_the_text_that_the_model_writes_and_every_state_on_the_way(
    name, template, options
):
    model = random_model(name)
    run = animation.record("it", model, LETTERS, template, generator(), **options)
    with counting(model) as counted:
        text = model.fill(template, 1, generator(), **options)[0]
    assert run.text == LETTERS.decode(text) == "".join(symbols(run.frames[-1]))
    assert run.given == tuple(token != model.mask_id for token in template)
    assert (run.name, run.kind) == ("it", name)
    last = run.frames[-1]
    assert (last.calls, last.positions) == (counted.calls, counted.positions)

    seen = list(states(model, template, options))
    assert len(run.frames) == len(seen)
    for frame, (ids, _) in zip(run.frames, seen, strict=True):
        shown = [LETTERS.decode([i]) for i in ids]
        assert [s if s != animation.UNWRITTEN else BLANK for s in symbols(frame)] == shown
    for a, b in pairwise(run.frames):
        assert a.calls <= b.calls and a.positions <= b.positions and a.seconds < b.seconds


@decodings
def test_a_token_says_when_it_changed_and_nothing_else_does(name, template, options):
    model = random_model(name)
    run = animation.record(name, model, LETTERS, template, generator(), **options)
    before, last = template, None
    for frame, (ids, _) in zip(run.frames, states(model, template, options), strict=True):
        for i, token in enumerate(ids):
            if token == model.mask_id or run.given[i]:
                assert changed(frame)[i] is None and sure(frame)[i] is None
            elif token != before[i]:
                assert changed(frame)[i] == frame.calls
                called = last is not None and frame.calls > last.calls
                assert (sure(frame)[i] is not None) == called  # else it is the noise of flow
            else:
                assert frame.tokens[i][1:] == last.tokens[i][1:]
        before, last = ids, frame
    assert name == "flow" or all(p is not None or run.given[i] for i, p in enumerate(sure(last)))


@pytest.mark.parametrize("prompt", [[], [2, 4, 4]])
@pytest.mark.parametrize("name", ["ar", "mamba", "mamba2"])
@pytest.mark.parametrize("options", [{}, {"temperature": 0.3}, {"top_k": 2}], ids=str)
def test_an_autoregressive_model_is_as_sure_as_its_likelihood_says(name, prompt, options):
    model = random_model(name)
    template = model.template(L, prompt)
    run = animation.record(name, model, LETTERS, template, generator(), **options)
    with torch.no_grad():
        p = (-model.token_nll(torch.tensor([LETTERS.encode(run.text)]))).exp()[0]
    found = torch.tensor(sure(run.frames[-1])[len(prompt) :], dtype=p.dtype)
    torch.testing.assert_close(found, p[len(prompt) :])


def test_from_left_to_right_masked_diffusion_is_as_sure_as_that_likelihood_says():
    model = random_model("diffusion")
    options = dict(sampler="left_to_right", steps=L)
    run = animation.record("it", model, LETTERS, EMPTY, generator(), **options)
    with torch.no_grad():
        nll = left_to_right_nll(model, torch.tensor([LETTERS.encode(run.text)]))
    found = torch.tensor(sure(run.frames[-1]), dtype=nll.dtype)
    torch.testing.assert_close(-found.log().sum()[None], nll)


@pytest.mark.parametrize("name", ["diffusion", "flow"])
@pytest.mark.parametrize("template", [GAP, GAP[:2] + EMPTY * 2], ids=["gap", "blocks"])
def test_a_token_is_as_sure_as_the_network_that_saw_the_state_before_it(name, template):
    model, steps = random_model(name), 9
    options = dict(sampler="first_hitting") if name == "diffusion" else dict(steps=steps)
    run = animation.record(name, model, LETTERS, template, generator(), **options)
    grid = model.sampling_schedule.alpha(torch.linspace(1, 0, steps + 1, dtype=torch.float64))
    level, checked = 0, 0
    pairs = pairwise(zip(run.frames, states(model, template, options), strict=True))
    for (a, (before, _)), (b, (after, window)) in pairs:
        if b.calls == a.calls:
            level = 0
            continue
        z = torch.tensor([before])[:, window]
        with torch.no_grad():
            if name == "flow":
                p = model.leave_one_out(z, grid[level : level + 1]).softmax(-1)[0]
                level += 1
            else:
                p = model.log_probs(z, (z == model.mask_id).double().mean(-1)).exp()[0]
        for i, (old, new) in enumerate(zip(before, after, strict=True)):
            if old != new:
                assert sure(b)[i] == pytest.approx(p[i - window.start, new].item())
                checked += 1
    assert checked >= len(template) - 4


def kept(thing):
    """The number of references in all that a thing holds on to."""
    seen, queue, count = set(), [thing], 0
    while queue:
        held = [
            one for one in gc.get_referents(queue.pop()) if not isinstance(one, type | ModuleType)
        ]
        count += len(held)
        fresh = {id(one): one for one in held if id(one) not in seen}
        seen |= fresh.keys()
        queue += fresh.values()
    return count


GROWING = [("ar", {}), ("diffusion", dict(sampler="first_hitting")), ("flow", {})]


@pytest.mark.parametrize("name, options", GROWING, ids=str)
def test_what_is_kept_grows_with_the_length_and_not_with_its_square(name, options):
    """Of a run and of its page: of a text four times as long at most five times as much."""
    short, long = (written(name, EMPTY[:1] * n, seed=0, **options) for n in (20, 80))
    assert len(long.frames) == 81 or name != "ar"
    assert kept(long) < 5 * kept(short)
    assert len(json.dumps(animation.outline(long))) < 5 * len(json.dumps(animation.outline(short)))


def test_a_mask_and_a_place_not_begun_are_told_apart():
    first, *_, last = written("diffusion", EMPTY * 2, blocks=4).frames[1:]
    assert symbols(first) == (BLANK,) * 6 + (animation.UNWRITTEN,) * 18
    assert not {BLANK, animation.UNWRITTEN} & {*symbols(last)}
    assert set(symbols(written("ar").frames[0])) == {animation.UNWRITTEN}
    noise = symbols(written("flow", EMPTY * 2, blocks=4).frames[1])
    assert animation.UNWRITTEN not in noise[:6] and noise[6:] == (animation.UNWRITTEN,) * 18


def test_what_cannot_be_asked_is_refused_and_the_network_is_put_back():
    model = random_model("ar")
    net = model.net
    with pytest.raises(InputError, match="left to right"):
        animation.record("it", model, LETTERS, GAP, generator())
    assert model.net is net


@given(st.text(st.characters(), max_size=30))
def test_nothing_is_shown_that_a_terminal_might_obey(text):
    shown = animation.shown(text)
    assert "".join(filter(str.isprintable, text)) == "".join(
        c for c, was in zip(shown.replace("↵\n", "↵"), text, strict=True) if was.isprintable()
    )
    rest = shown.replace("↵\n", "")
    shown.encode()
    assert not any(c < " " or "\x7f" <= c < "\xa0" or c in "\u2028\u2029\u202e" for c in rest)


def test_what_cannot_be_seen_has_a_sign():
    assert animation.shown("a\t\0\x7f\n\u202e\ud800é") == "a␉␀␡↵\n\ufffd\ufffdé"


THEMES = animation.DARK, animation.LIGHT
SPOKEN = WordTokenizer(language().words)


def recited(text, begun=0):
    """A Run in which these words appear in one call, but for the first `begun`, which are given."""
    words = text.split(" ")
    given = [i < begun for i in range(len(words))]
    blank = [word if kept else animation.UNWRITTEN for word, kept in zip(words, given, strict=True)]
    never, once = [None] * len(words), [None if kept else 1 for kept in given]
    frames = whole(blank, never, never, 0, 0, 0.0), whole(words, once, once, 1, 1, 0.1)
    wrong = animation.mistakes(SPOKEN, SPOKEN.encode(text))
    return Run("it", "ar", " ", tuple(given), text, frames, wrong)


FAULTY = "la a cow that some hens eats run lo"  # eat, eats: the numbers are the wrong way round


def test_the_mistakes_of_a_text_are_those_of_the_grammar():
    for seed in range(3):
        run = animation.record(
            "it", random_model("flow", 32), SPOKEN, [32] * 20, generator(seed), steps=3
        )
        (found,) = grammatical(torch.tensor([SPOKEN.encode(run.text)]))
        assert list(run.mistakes) == found != []
        assert {*run.reasons} == {mistake.position for mistake in found}
    assert recited("la a cow eats .").mistakes == () == written("ar", tokenizer=WORDS).mistakes
    backwards = WordTokenizer(language().words[::-1])  # other ids, so another language
    assert animation.mistakes(backwards, [0, 0, 0]) == ()


def test_a_reason_says_what_is_wrong_and_which_word_forbids_it():
    assert recited(FAULTY).reasons == {
        6: "agreement, 2 words back",
        7: "agreement, 6 words back",
        8: "echo, 8 words back",
    }
    assert recited("cow a cow eats .").reasons == {0: "order"}


def run_of(times):
    """A Run of one token, which is drawn anew in a frame at each of (calls, seconds)."""
    frames = [whole("a", (n,), (1 / (n + 1),), n, n, s) for n, s in times]
    return Run("it", "ar", "", (False,), "a", tuple(frames))


counts = st.lists(st.integers(0, 9), min_size=1, max_size=6)


@given(st.lists(counts.map(sorted), min_size=1, max_size=4), st.sampled_from([*animation.CLOCKS]))
def test_at_every_moment_each_run_has_come_as_far_as_its_clock_says(times, clock):
    runs = [run_of([(n, n / 8) for n in its]) for its in times]
    found = animation.moments(runs, clock)
    own = [[getattr(frame, clock) for frame in run.frames] for run in runs]
    assert [moment.at for moment in found] == sorted(set(sum(own, [])))
    for at, frames in found:
        for run, frame, reached in zip(runs, frames, own, strict=True):
            behind = [f for f, t in zip(run.frames, reached, strict=True) if t <= at]
            assert frame is (behind[-1] if behind else run.frames[0])


@decodings
def test_the_clock_of_a_run_is_the_time_of_the_model_and_of_nothing_else(name, template, options):
    """A second for each call of the network; a hundred, that nobody pays, for each frame kept."""
    model, now, look = random_model(name), [0.0], animation.symbols

    def kept(*given):
        now[0] += 100
        return look(*given)

    with pytest.MonkeyPatch.context() as patch:
        for method in "forward", "step":
            if run := getattr(model.net, method, None):
                patch.setattr(model.net, method, partial(after_a_second, now, run))
        patch.setattr(animation, "symbols", kept)
        patch.setattr(animation, "time", SimpleNamespace(perf_counter=lambda: now[0]))
        run = animation.record("it", model, LETTERS, template, generator(), **options)
    assert [frame.seconds for frame in run.frames] == [frame.calls for frame in run.frames]
    assert run.frames[-1].seconds > 0
    page = BeautifulSoup(animation.page([run]), "html.parser").find(id="race").string
    frames = json.loads(page)["runs"][0]["frames"]
    assert [frame["seconds"] for frame in frames] == [frame.seconds for frame in run.frames]


def after_a_second(now, run, *given):
    now[0] += 1
    return run(*given)


def test_surety_is_the_mean_of_the_tokens_that_the_network_was_asked_for():
    assert animation.surety((None, 0.25, None, 0.75)) == 0.5
    assert animation.surety((None,)) is None


@decodings
def test_a_frame_says_how_sure_the_network_was_in_the_mean(name, template, options):
    for frame in written(name, template, **options).frames:
        assert frame.surety == animation.surety(sure(frame))


def test_a_frame_says_what_it_took():
    frame = whole("a", (1,), (0.25,), 1, 2_345, 0.5)
    assert animation.costs(frame) == "1 call, 2,345 positions, 0.500 s"
    assert animation.standing(frame) == "1 call, 2,345 positions, 0.500 s, mean p 0.25"
    assert [animation.heading(Moment(2, ()), clock) for clock in animation.CLOCKS] == [
        "network calls: 2", "seconds: 2.000"
    ]  # fmt: skip


def test_a_still_is_the_last_moment_before_its_share_of_the_time():
    found = animation.moments([run_of([(t, t) for t in (10, 11, 14, 20)])])
    for share, at in (0, 10), (0.09, 10), (0.1, 11), (0.39, 11), (0.4, 14), (0.99, 14), (1, 20):
        assert animation.still(found, share).at == at
    assert [moment.at for moment in animation.stills(found, 3)] == [10, 14, 20]


def test_a_token_is_new_for_as_many_calls_as_the_legend_says():
    ages = []
    for calls in range(5, 12):
        frame = whole("a", (5,), (0.5,), calls, calls, 1.0)
        run = Run("it", "ar", "", (False,), "a", (frame,))
        ages.append(animation.lines(run, frame, 9)[0][0].new)
    assert ages == [True] * animation.RECENT + [False] * (7 - animation.RECENT)


def test_an_unknown_clock_is_answered_with_those_there_are():
    with pytest.raises(InputError, match="did you mean 'calls'"):
        animation.moments([run_of([(0, 0)])], "call")
    with pytest.raises(InputError, match="calls, seconds"):
        animation.page([run_of([(0, 0)])], "hours")


@given(st.lists(st.floats(0, 9), min_size=1, max_size=30).map(sorted), st.integers(2, 9))
@example([1.3, 3.4], 2)  # where 1.3 + (3.4 - 1.3) comes out below 3.4
def test_stills_are_spread_evenly_and_have_both_ends(times, n):
    found = animation.moments([run_of([(t, t) for t in times])])
    chosen = animation.stills(found, n)
    assert chosen[0] is found[0] and chosen[-1] is found[-1]
    assert len(chosen) <= n and chosen == sorted(set(chosen), key=lambda moment: moment.at)
    even = (found[-1].at - found[0].at) / (n - 1)
    for moment in found:
        assert min(abs(moment.at - c.at) for c in chosen) <= max(even, widest(times)) + 1e-9


def widest(times):
    return max((b - a for a, b in pairwise(times)), default=0)


# ------------------------------------------------------------------------------------- the showing

EVIL = ["</script><script>document.title = 'evil'</script>", "[red]", "\x1b[2J", "&amp;\n", "<b>"]


def evil(name="<i>evil</i>[bold]"):
    """A model whose every symbol is an attack on what shows it."""
    return animation.record(
        name, random_model("flow", 5), WordTokenizer(EVIL), [5] * 9, generator(), steps=5
    )


def four(**options):
    return [written(name, EMPTY, WORDS, **options) for name in COMPARED]


@decodings
@pytest.mark.parametrize("tokenizer", [LETTERS, WORDS], ids=["letters", "words"])
@pytest.mark.parametrize("width", [7, 40])
def test_lines_hold_all_tokens_in_order_and_no_more_than_fits(
    name, template, options, tokenizer, width
):
    run = written(name, template, tokenizer, **options)
    for frame in run.frames:
        rows = animation.lines(run, frame, width)
        assert all(sum(len(piece.text) for piece in row) <= width for row in rows)
        text = run.joiner.join("".join(piece.text for piece in row) for row in rows)
        assert text == run.joiner.join(symbols(frame))


def test_a_line_ends_where_the_text_says_so():
    run = animation.record("it", random_model("ar", 1), CharTokenizer("\n"), [1, 1, 1], generator())
    assert [[piece.text for piece in row] for row in animation.lines(run, run.frames[-1], 9)] == [
        ["↵"], ["↵"], ["↵"], []
    ]  # fmt: skip


def on_a_terminal(shown, width=120, colour="truecolor"):
    """What rich sends to a terminal of that width; colour None: one that knows no escape codes."""
    for remembered in Style.parse, Style._add:  # with the colours of the terminal it first was on
        remembered.cache_clear()
    stream = io.StringIO()
    console = dict(force_terminal=colour is not None, color_system=colour)
    Console(file=stream, width=width, **console).print(shown)
    return stream.getvalue()


def test_the_terminal_tells_confidence_by_the_ground_and_age_by_weight():
    frame = whole("abcd·", (None, 2, 9, 0, None), (None, 0.5, 1.0, None, None), 9, 9, 1.0)
    run = Run("it", "ar", "", (True, *[False] * 4), "abcd", (frame,))
    (row,) = animation.lines(run, frame, 9)
    grounds, new, given_, begun = (
        [getattr(piece, name) for piece in row] for name in ("ground", "new", "given", "ink")
    )
    assert [bool(ground) for ground in grounds] == [False, True, True, False, False]
    assert new == [False, False, True, False, False] and given_ == [True] + [False] * 4
    assert begun[3] == begun[4] == animation.DARK.dim
    red, green, blue = animation.rgb(animation.hue(run))
    strong = animation.rgb(row[2].ground)
    assert (
        strong[2] - strong[0]
        > animation.rgb(row[1].ground)[2] - animation.rgb(row[1].ground)[0]
        > 0
    )
    said = on_a_terminal(animation.terminal([run], Moment(9, (frame,))))
    assert "\x1b[1;4;" in said and "48;2;{};{};{}m".format(*strong) in said
    assert "\x1b[38;2;{};{};{};".format(*animation.rgb(animation.DARK.dim)) in said


def test_a_mistake_is_marked_in_the_finished_text_and_not_before():
    run = recited(FAULTY, begun=7)
    for frame in run.frames:
        (row,) = animation.lines(run, frame, 80)
        pieces = [piece for piece in row if piece.text != " "]
        marked = [i for i, piece in enumerate(pieces) if piece.wrong]
        assert marked == (list(run.reasons) if frame is run.frames[-1] else [])
    red = "38;2;{};{};{}".format(*animation.rgb(animation.DARK.wrong))
    first, last = animation.moments([run])
    assert red not in on_a_terminal(animation.terminal([run], first)).split("how sure")[0]
    said = on_a_terminal(animation.terminal([run], last))
    assert re.findall(rf"4;{red}[0-9;]*m(\w+)\x1b", said) == ["eats", "run", "lo", "mistake"]
    assert "it, finished, 3 mistakes" in animation.plain([run], last)
    assert "mistake" not in animation.plain([run], first)
    one = recited("la a cow eat .")
    assert "it, finished, 1 mistake:" in animation.plain([one], animation.moments([one])[-1])


@pytest.mark.parametrize("theme", THEMES, ids=["dark", "light"])
def test_the_picture_underlines_a_mistake_in_red(theme):
    def reds(run, moment):
        picture = animation.picture([run], moment, "calls", 60, [1], theme)
        return sum(n for n, pixel in picture.getcolors(1 << 20) if pixel == red)

    red = animation.rgb(theme.wrong)
    run, right = recited(FAULTY), recited("la a cow eats .")
    first, last = animation.moments([run])
    legend = reds(run, first)
    letters = sum(len(word) for word in ("eats", "run", "lo"))
    assert legend > 0 and reds(run, last) - legend == pytest.approx(letters * legend / 7, rel=0.1)
    assert reds(right, animation.moments([right])[-1]) == 0


def test_every_view_says_in_numbers_and_words_what_colours_say():
    runs = four(steps=6)
    moment = animation.moments(runs)[-1]
    views = [
        animation.plain(runs, moment),
        on_a_terminal(animation.terminal(runs, moment), 140, None),
    ]
    for view in views:
        assert "network calls: 12" in view
        assert "\x1b" not in view
        for run, frame in zip(runs, moment.frames, strict=True):
            known = [p for p in sure(frame) if p is not None]
            assert f"{run.name}, finished" in view
            assert f"{frame.calls} calls, {frame.positions} positions, " in view
            assert f" s, mean p {sum(known) / len(known):.2f}" in view
    legend = "how sure", "new", "noise", "masked", "not begun", "does not cost the same"
    assert all(words in views[1] for words in legend)


@pytest.mark.parametrize("width, columns", [(50, 1), (80, 1), (140, 2)])
def test_a_wide_terminal_shows_two_side_by_side_and_none_is_written_beyond(width, columns):
    runs = four(steps=6)
    for moment in animation.moments(runs):
        said = on_a_terminal(animation.terminal(runs, moment, "calls", width), width, None)
        lines = said.splitlines()
        assert max(map(len, lines)) <= width
        high = [
            max(len(animation.lines(run, f, width // columns - 4)) for f in (frame, run.frames[-1]))
            for run, frame in zip(runs, moment.frames, strict=True)
        ]
        inside = sum("│" in line for line in lines)
        assert inside == sum(max(high[i : i + columns]) for i in range(0, 4, columns))
        assert (
            sum("╭" in line for line in lines)
            == 4 / columns
            == 4 / max(line.count("╭") for line in lines)
        )
        assert all(word in said.split() for f in moment.frames for word in symbols(f))


def test_what_a_model_writes_cannot_harm_what_shows_it():
    run = evil()
    moment = animation.moments([run])[-1]
    for view in (
        animation.plain([run], moment),
        on_a_terminal(animation.terminal([run], moment), 200, None),
    ):
        assert "\x1b[2J" not in view
    shown = [animation.shown(piece) for piece in EVIL]
    assert set(symbols(run.frames[-1])) <= set(shown)
    soup = BeautifulSoup(animation.page([run], title="<u>$title</u>"), "html.parser")
    assert len(soup("script")) == 2 and soup.find("title").text == "<u>$title</u> · nanoParadigm"
    assert not soup("b") and not soup("i") and not soup("u")
    assert soup.find("h2").text.endswith(run.name)
    assert json.loads(soup.find(id="race").string)["runs"][0]["name"] == run.name


@decodings
def test_the_page_holds_every_frame(name, template, options):
    run = written(name, template, **options)
    html = animation.page([run, run_of([(1, 0.5), (2, 0.7)])], "seconds")
    data = json.loads(BeautifulSoup(html, "html.parser").find(id="race").string)
    assert data["clock"] == "seconds" and "http" not in html.replace(animation.HOME, "")
    second = data["runs"][1]["frames"]
    assert [frame["tokens"] for frame in second] == [[[0, "a", 1, 0.5]], [[0, "a", 2, 0.3333]]]
    tokens = [None] * len(template)
    for frame, kept in zip(run.frames, data["runs"][0]["frames"], strict=True):
        for i, *token in kept["tokens"]:
            tokens[i] = token
        shown, since, p = map(tuple, zip(*tokens, strict=True))
        assert (shown, since) == (symbols(frame), changed(frame))
        assert p == pytest.approx(sure(frame), abs=1e-4)
        assert (kept["calls"], kept["positions"]) == (frame.calls, frame.positions)


@decodings
def test_a_legend_holds_the_signs_that_occur_and_no_other(name, template, options):
    run = written(name, template, WORDS, **options)
    seen = {animation.UNWRITTEN, BLANK} & {s for frame in run.frames for s in symbols(frame)}
    seen |= {"given"} if any(run.given) else set()
    seen |= {"noise"} if name == "flow" else set()
    assert {*animation.signs([run])} == seen
    soup = BeautifulSoup(animation.page([run]), "html.parser").find("dl")
    assert {dt.text for dt in soup("dt")} & {*animation.SIGNS} == seen
    said = "".join(piece.text for row in animation.legend([run]) for piece in row)
    assert {sign for sign in animation.SIGNS if sign in said} == seen


def test_the_end_of_a_line_is_in_the_legend_where_there_is_one():
    frames = [whole((text,), (1,), (0.5,), 1, 1, 0.5) for text in ("a", "↵\n")]
    runs = [Run("it", "ar", "", (False,), "", (frame,)) for frame in frames]
    assert [animation.key([run]) for run in runs] == ["", "↵ end of a line"] and animation.key(
        runs
    ) == "↵ end of a line"


def test_a_page_leads_back_to_the_project():
    run = written("ar")
    for home in animation.HOME, 'https://x.org/"&':
        more = {} if home == animation.HOME else dict(home=home)
        (link,) = BeautifulSoup(animation.page([run], **more), "html.parser")("a")
        assert (link["href"], link.text) == (home, "nanoParadigm")


def test_a_page_says_what_it_is_where_it_is_linked_to():
    for runs, who in ([written("ar")], "ar"), (four(steps=6), "ar, diffusion, flow and mamba"):
        soup = BeautifulSoup(animation.page([evil(), *runs], title='"<b>'), "html.parser")
        said = {tag["property"]: tag["content"] for tag in soup("meta", property=True)}
        assert said["og:title"] == '"<b>' and not soup("b")
        assert (
            said["og:description"] == soup.find("meta", attrs=dict(name="description"))["content"]
        )
        soup = BeautifulSoup(animation.page(runs), "html.parser")
        said = {tag["property"]: tag["content"] for tag in soup("meta", property=True)}
        assert f" {who} " in said["og:description"]


@presets
def test_letters_can_be_read_on_every_ground(name):
    def share(colour):
        return np.divide(animation.rgb(colour), 255)

    for p in (0, 0.5, 1):
        for theme in THEMES:
            assert contrast(share(theme.ink), share(theme.ground(PALETTE[name], p))) >= 4.5
    for theme in THEMES:
        assert contrast(share(theme.dim), share(theme.paper)) >= 4.5
        assert contrast(share(theme.wrong), share(theme.paper)) >= 4.5


def test_the_show_ends_on_the_last_moment():
    stream = io.StringIO()
    console = Console(file=stream, width=80, force_terminal=True, color_system=None)
    runs = four(steps=6)
    animation.play(runs, "seconds", 0.01, console)
    last = stream.getvalue().rpartition("\x1b[2K")[2]
    assert all(f"{run.name}, finished" in last.replace("\x1b[1m", "") for run in runs)


def ground(picture):
    return picture.convert("RGB").getpixel((1, 1))


def test_the_picture_is_dark_or_light_and_has_one_line_below_the_panes(tmp_path):
    runs, sizes = four(steps=6), []
    for theme in THEMES:
        animation.gif(runs, "calls", tmp_path / "race.gif", n=3, theme=theme)
        with Image.open(tmp_path / "race.gif") as picture:
            sizes.append(picture.size)
            assert ground(picture) == pytest.approx(animation.rgb(theme.paper), abs=4)
    animation.gif(runs, "calls", tmp_path / "usual.gif", n=3)
    with Image.open(tmp_path / "usual.gif") as picture:
        assert ground(picture) == pytest.approx(animation.rgb(animation.DARK.paper), abs=4)
    high = [len(animation.lines(run, run.frames[-1], 60)) for run in runs]
    lines = 2 + sum(2 + max(high[i : i + 2]) for i in (0, 2))  # the clock, the strengths, the panes
    assert {height for _, height in sizes} == {animation.LEADING * lines + 6 * animation.MARGIN}
    words = "".join(piece.text for piece in animation.strength([recited(FAULTY)], animation.DARK))
    assert "how sure" in words and len(words) <= 60  # the width of a single pane


def test_the_picture_moves_and_keeps_its_size(tmp_path):
    runs = [*four(steps=6), evil()]
    animation.gif(runs, "calls", tmp_path / "race.any", seconds=1, n=20)
    with Image.open(tmp_path / "race.any") as picture:
        assert picture.info["loop"] == 0  # for ever
        assert picture.format == "GIF" and picture.n_frames == 13 == len(animation.moments(runs))
        shows = []
        for k in range(picture.n_frames):
            picture.seek(k)
            shows.append(picture.info["duration"])
        assert sum(shows[:-1]) + 1000 // 20 >= 900 and shows[-1] == 4000


def test_the_picture_shows_the_letters():
    def run(text):
        frame = whole(text, (1, 1), (0.5, 0.5), 1, 1, 1.0)
        return Run("it", "ar", "", (False, False), text, (frame,))

    one, other = run("ab"), run("ba")
    drawn = [
        animation.picture([r], animation.moments([r])[0], "calls", 30, [1])
        for r in (one, other, one)
    ]
    assert drawn[0] == drawn[2] != drawn[1]


def test_there_is_room_for_every_line_of_the_picture(tmp_path, monkeypatch):
    three = (1,) * 3, (0.5,) * 3
    frames = [whole((c,) * 3, *three, n, n, n / 2) for n, c in enumerate(["↵\n", "a"], 1)]
    shrinking = Run("it", "ar", "", (False,) * 3, "aaa", tuple(frames))
    draw, runs = animation.picture, [shrinking, evil()]

    def checked(runs, moment, clock, width, high, theme):
        for run, frame, room in zip(runs, moment.frames, high, strict=True):
            assert len(animation.lines(run, frame, width)) <= room
        return draw(runs, moment, clock, width, high, theme)

    monkeypatch.setattr(animation, "picture", checked)
    animation.gif(runs, "calls", tmp_path / "race.gif", n=9, width=30)
    tall, low = (draw(runs, animation.moments(runs)[0], "calls", 30, [n, n]).height for n in (9, 8))
    assert tall - low == animation.LEADING


@pytest.fixture
def opened(browser, tmp_path):
    """Open the page of a race, for a reader who wants what `media` says."""

    def opened(runs, clock="calls", **media):
        path = tmp_path / "race.html"
        path.write_text(animation.page(runs, clock), encoding="utf-8")
        browser.prefers(**media)
        browser.open(path.as_uri())
        assert browser.errors == []
        assert browser.requests == [path.as_uri()]
        return browser

    return opened


STILL = dict(reduced_motion="reduce")
AT = "+slider.value"


def texts(browser):
    return browser.ask("[...document.querySelectorAll('.text')].map(text => text.textContent)")


def test_the_page_plays_by_itself_to_the_end(opened):
    runs = four(steps=6)
    browser = opened(runs, reduced_motion="no-preference")
    assert browser.ask("play.textContent") == "Pause"
    browser.wait(lambda: browser.ask(f"{AT} > 0"))
    browser.press(" ")
    stood = browser.ask(AT)
    assert browser.ask("play.textContent") == "Play"
    browser.ask("new Promise(done => setTimeout(done, 300))")
    assert browser.ask(AT) == stood
    browser.ask("play.click()")
    browser.wait(lambda: browser.ask(f"{AT} > {stood}"))
    browser.press("End")
    browser.press("ArrowLeft")
    browser.ask("play.click()")
    browser.wait(lambda: browser.ask("slider.value === slider.max && play.textContent === 'Play'"))
    assert texts(browser) == [run.joiner.join(symbols(run.frames[-1])) for run in runs]


def test_nothing_moves_for_a_reader_who_wants_that(opened):
    runs = four(steps=6)
    browser = opened(runs, **STILL)
    browser.ask("new Promise(done => setTimeout(done, 300))")
    assert browser.ask("[slider.value === slider.max, play.textContent]") == [True, "Play"]
    assert texts(browser) == [run.joiner.join(symbols(run.frames[-1])) for run in runs]
    assert browser.ask("play.click(), [slider.value, play.textContent]") == ["0", "Pause"]


def test_the_keyboard_steps_through_every_moment(opened):
    runs = four(steps=6)
    browser = opened(runs, **STILL)
    found = animation.moments(runs)
    browser.press("Home")
    for moment in found:
        assert texts(browser) == [
            run.joiner.join(symbols(f)) for run, f in zip(runs, moment.frames, strict=True)
        ]
        said = browser.ask("slider.getAttribute('aria-valuetext')")
        assert said.startswith(f"network calls: {moment.at}: ar {moment.frames[0].calls} call")
        browser.press("ArrowRight")
    assert browser.ask(AT) == len(found) - 1
    browser.press("ArrowLeft")
    assert browser.ask(AT) == len(found) - 2
    browser.press("End")
    assert browser.ask(AT) == len(found) - 1


def test_the_page_marks_mistakes_in_the_finished_text_and_says_why(opened):
    run = recited(FAULTY)
    browser = opened([run, recited("la a cow eats .")], **STILL)
    marked = """[...document.querySelectorAll('.text .wrong')].map(span => [
        span.textContent, span.title.split(';')[0], getComputedStyle(span).textDecorationStyle])"""
    words = FAULTY.split(" ")
    expected = [[words[i], reason, "wavy"] for i, reason in run.reasons.items()]
    costs = "[...document.querySelectorAll('.costs')].map(costs => costs.textContent)"
    assert browser.ask(marked) == expected and len(expected) == 3
    assert browser.ask(f"{costs}.map(said => said.split(', finished')[1])") == [", 3 mistakes", ""]
    browser.press("Home")
    assert browser.ask(marked) == [] and "mistake" not in browser.ask(f"{costs}.join()")
    browser.press("End")
    assert browser.ask(marked) == expected
    assert "mean p" not in browser.ask("document.body.textContent")


KEPT = """(function kept(thing) {
  return thing instanceof Node || thing === null || typeof thing !== "object" ? 1
    : Object.values(thing).reduce((sum, one) => sum + kept(one), 1);
})(race.runs)"""


def test_the_page_too_keeps_no_state_twice(opened):
    short, long = (opened([written("ar", EMPTY[:1] * n)], **STILL).ask(KEPT) for n in (40, 160))
    assert long < 5 * short


def test_the_clock_can_be_changed(opened):
    runs = four(steps=6)
    browser = opened(runs, **STILL)
    browser.ask("document.querySelector('[value=seconds]').click()")
    assert browser.ask("+slider.max") == len(animation.moments(runs, "seconds")) - 1
    assert browser.ask("output.textContent").startswith("seconds: ")
    assert browser.ask("slider.value === slider.max")
    assert opened(runs, "seconds", **STILL).ask("document.querySelector('[value=seconds]').checked")


def test_attacks_stay_text(opened):
    run = evil()
    browser = opened([run], **STILL)
    assert browser.ask("document.title") == "Watching text appear · nanoParadigm"
    assert texts(browser) == [" ".join(symbols(run.frames[-1]))]


COLOURS = """[...document.querySelectorAll('section span, .costs, dt, dd, output, button, h2')]
  .filter(node => node.textContent.trim() && !node.ariaHidden).map(node => {
    const style = getComputedStyle(node), canvas = document.createElement('canvas');
    const brush = canvas.getContext('2d');
    for (const colour of [getComputedStyle(document.body).backgroundColor, style.backgroundColor]) {
      brush.fillStyle = colour;
      brush.fillRect(0, 0, 1, 1);
    }
    const ground = [...brush.getImageData(0, 0, 1, 1).data].slice(0, 3);
    brush.fillStyle = style.color;
    brush.fillRect(0, 0, 1, 1);
    return [[...brush.getImageData(0, 0, 1, 1).data].slice(0, 3), ground];
  })"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_can_be_read_in_both_schemes(scheme, opened):
    browser = opened(four(steps=6), color_scheme=scheme, **STILL)
    spans = "document.querySelectorAll('.text span')"
    browser.ask(f"{spans}.forEach(span => span.style.setProperty('--p', 1))")
    at_the_end = browser.ask(COLOURS)
    assert len({tuple(ground) for _, ground in at_the_end}) > 4
    browser.press("Home")
    for ink, ground in at_the_end + browser.ask(COLOURS):
        assert contrast(np.divide(ink, 255), np.divide(ground, 255)) >= 4.5
    paper = browser.ask(COLOURS)[-1][1]
    assert (luminance(np.divide(paper, 255)) > 0.5) == (scheme == "light")


def test_controls_have_names_and_a_page_without_scripts_has_the_texts():
    runs = four(steps=6)
    soup = BeautifulSoup(animation.page(runs), "html.parser")
    assert soup.find("div", class_="controls").has_attr("hidden")
    assert soup.find(id="slider")["aria-label"] and soup.find("html")["lang"] == "en"
    for run, section in zip(runs, soup("section"), strict=True):
        assert soup.find(id=section["aria-labelledby"]).text.endswith(run.name)
        assert section.find(class_="text").text == run.text
