"""`nanoparadigm diff`: what it says of two models is true of them, and changes when they do."""

import inspect
import re
import sys
from functools import cache
from itertools import permutations
from pathlib import Path

import pytest
import torch
from helpers import CELLS, ROOT, mutate

from nanoparadigm import PRESETS, InputError
from nanoparadigm.commands import main as cli
from nanoparadigm.decoding.autoregressive import LeftToRight
from nanoparadigm.decoding.masked import Ancestral
from nanoparadigm.networks.base import Network
from nanoparadigm.networks.hollow import Hollow
from nanoparadigm.networks.transformer import Attention
from nanoparadigm.paradigms import Autoregressive, DiscreteFlow, MaskedDiffusion, Paradigm
from nanoparadigm.show import model_diff, shared_code

answers, lines_run = cache(model_diff.answers), cache(shared_code.lines_run)
pairs = pytest.mark.parametrize("one, other", [*permutations(PRESETS, 2)])
L, STEPS = model_diff.L, model_diff.STEPS
LIBRARY = ROOT / "nanoparadigm"
WRITES = f"{L} tokens in {STEPS} steps"


@pytest.fixture
def kept(monkeypatch):
    """What has been asked once is not asked again."""
    monkeypatch.setattr(model_diff, "answers", answers)
    monkeypatch.setattr(shared_code, "lines_run", lines_run)


def said(name, network=None, ask=answers):
    return {question: answer for question, (answer, _) in ask(name, network).items()}


AR = {
    "paradigm": "Autoregressive",
    "vocabulary": "V and a start symbol",
    "a prediction sees": "positions up to its own",
    "told the noise level": "no",
    "training input": "the text, moved by one",
    "training target": "the next token",
    "positions that pay in training": "all",
    "positions that pay in its number": "all",
    "its number": "-log p(x) itself",
    "writing begins with": "nothing",
    WRITES: "one at a time, from left to right, each once",
    "network calls": str(L),
    "positions computed": str(L),
    "a gap is filled": "from its left; candidates are ranked",
}
DIFFUSION = {
    "paradigm": "MaskedDiffusion",
    "vocabulary": "V and a mask symbol",
    "told the noise level": "no",
    "training input": "the text, 50 % of it masked",
    "training target": "the token in its place",
    "positions that pay in its number": "the masked, 53 %",  # (L + 1) / 2L of them
    "its number": "an upper bound",
    "writing begins with": "nothing",
    WRITES: f"{L / STEPS:.1f} at a time, in any order, each once",
    "a gap is filled": "with both sides in view",
}
FLOW = {
    "paradigm": "DiscreteFlow",
    "vocabulary": "V",
    "told the noise level": "yes",
    "training target": "the token in its place",
    "positions that pay in training": "all",
    "positions that pay in its number": "all",
    "its number": "an upper bound",
    "writing begins with": "random symbols",
    "network calls": str(STEPS),
    "positions computed": str(STEPS * L),
    "a gap is filled": "with both sides in view",
}
BLOCK = {
    "paradigm": "BlockDiffusion",
    "vocabulary": "V and a mask symbol",
    "told the noise level": "no",
    "training target": "the token in its place",
    "its number": "an upper bound",
    "writing begins with": "nothing",
    "a gap is filled": "with both sides in view",
}
FACTS = {"ar": AR, "mamba": AR, "mamba2": AR, "diffusion": DIFFUSION, "flow": FLOW, "block": BLOCK}


@pytest.mark.parametrize("name, network", [*CELLS, ("flow", "hollow_mamba")])
def test_the_answers_are_the_facts(name, network):
    found = said(name, network)
    network = network or PRESETS[name].network
    facts = FACTS.get(name, {}) | {"network": network}
    facts["reads at once"] = "a text of any length" if "mamba" in network else "its block"
    if name in ("diffusion", "flow"):
        hollow = "hollow" in network
        facts["a prediction sees"] = "every position" + (" but its own" if hollow else "")
    if name == "diffusion":
        facts["positions that pay in training"] = "all" if hollow else "the masked, 50 %"
    assert {question: found[question] for question in facts} == facts


def test_a_flow_replaces_and_goes_over_its_text_again_and_again():
    found = said("flow")
    share = (1 - 1 / model_diff.V) / 2  # half of it is drawn anew, sometimes as it was
    assert found["training input"] in {
        f"the text, {100 * share + off:.0f} % of it replaced" for off in (-1, 0, 1)
    }
    at_once, order, times = found[WRITES].split(", ")
    assert float(at_once.split()[0]) > L / STEPS and order == "in any order"
    assert float(times.split()[1]) > 1


def test_how_a_text_comes_to_be_is_read_from_its_states():
    """By hand: two texts of three tokens, each state a row."""

    def order(*texts):
        return model_diff.order(torch.tensor(texts).transpose(0, 1))

    left = [[9, 9, 9], [1, 9, 9], [1, 2, 9], [1, 2, 3]]
    right = [[9, 9, 9], [9, 9, 3], [9, 2, 3], [1, 2, 3]]
    assert order(left, left) == "one at a time, from left to right, each once"
    assert order(left, right) == "one at a time, in any order, each once"
    assert order(right, right) == "one at a time, from right to left, each once"
    pairs = [[9, 9, 9, 9], [1, 2, 9, 9], [1, 2, 3, 4]]
    assert order(pairs, pairs) == "2.0 at a time, from left to right, each once"
    again = [[9, 9, 9], [1, 1, 9], [2, 1, 9], [2, 1, 2]]  # 2, 1 and 1 at a time; 2, 1 and 1 times
    assert order(again, again) == "1.3 at a time, in any order, each 1.3 times"
    more = [[9, 9, 9], [1, 1, 9], [2, 2, 1], [2, 2, 2]]  # 2, 3 and 1; twice each
    assert order(again, more) == "1.7 at a time, in any order, each 1.7 times"


CHANGES = [
    # of whom, what must be said then, and what to change in the live source
    (
        ("ar", None),
        {"a prediction sees": "every position"},
        (Attention.forward, "None, self.causal and", "None, False and"),
    ),
    (
        ("ar", None),
        {
            "vocabulary": "V",
            "training input": "the text",
            "training target": "the token in its place",
        },
        (Autoregressive.logits, "torch.cat([bos, x[:, :-1]], dim=1)", "x"),
    ),
    (
        ("ar", None),
        {WRITES: "one at a time, from right to left, each once"},
        (LeftToRight.__call__, "z[:, i] = draw", "z[:, -1 - i] = draw"),
    ),
    (
        ("ar", None),
        {"a gap is filled": "with both sides in view"},
        (Autoregressive.prior, "autoregressive.prefix_length(known)", "pass"),
    ),
    (
        ("mamba", None),
        {"network calls": f"{2 * L}", "positions computed": f"{2 * L}"},
        (LeftToRight.__call__, "logits, state =", "net.step(new, state); logits, state ="),
    ),
    (
        ("diffusion", "transformer"),
        {"positions that pay in training": "all"},
        (MaskedDiffusion.loss_terms, "z == self.mask_id", "torch.ones_like(z, dtype=torch.bool)"),
    ),
    (
        ("diffusion", None),
        {"positions that pay in training": "the masked, 50 %"},
        (MaskedDiffusion.loss_terms, "if self.hollow", "if False"),
    ),
    (
        ("diffusion", None),
        {"training target": "the next token"},
        (MaskedDiffusion.loss_terms, "x[target]", "x.roll(-1, 1)[target]"),
    ),
    (
        ("diffusion", None),
        {"positions that pay in its number": "all"},
        (
            MaskedDiffusion.log_probs,
            "torch.where(visible, torch",
            "torch.where(visible & False, torch",
        ),
    ),
    (
        ("diffusion", None),
        {WRITES: "one at a time, in any order, each once", "network calls": f"{L}"},
        (
            Ancestral.__call__,
            "t = torch.linspace",
            "return (yield from FirstHitting()(model, z, known, steps, draw, generator))\n    "
            "t = torch.linspace",
        ),
    ),
    (
        ("diffusion", None),
        {"a prediction sees": f"{50 * (L - 1) / L:.0f} % of the positions"},
        (Hollow.forward, "rms_norm(before) + rms_norm(after)", "rms_norm(before)"),
    ),
    (
        ("flow", None),
        {"training input": "the text"},
        (DiscreteFlow.corrupt, "u < alpha[:, None]", "u < 1"),
    ),
    (
        ("flow", None),
        {"writing begins with": "nothing"},
        (Paradigm.trajectory, "yield z\n", "yield canvas\n"),
    ),
    (
        ("flow", None),
        {"told the noise level": "no"},
        (Network.hidden, "self.time is not None", "False"),
    ),
]


@pytest.mark.parametrize("cell, then, change", CHANGES)
def test_a_change_in_the_code_changes_the_answer(cell, then, change, monkeypatch):
    assert not then.items() & said(*cell).items()
    mutate(monkeypatch, *change)
    assert then.items() <= said(*cell, ask=model_diff.answers).items()


@pairs
def test_what_is_said_of_two_is_what_is_said_of_each(one, other, kept):
    rows = model_diff.ask(one, other)
    assert {row.question: row.answers[0] for row in rows} == said(one)
    assert {row.question: row.answers[1] for row in rows} == said(other)
    differs = model_diff.table(one, other).split("\n\n")[0].splitlines()[2:]
    assert [line.split("|")[1].strip() for line in differs] == [
        row.question for row in rows if row.answers[0] != row.answers[1]
    ]


@pairs
def test_every_answer_names_code_that_is_there(one, other, kept):
    for row in model_diff.ask(one, other):
        for place in row.where.split("; "):
            files, name = place.split(": ")
            for file in files.split(", "):
                pages = {*LIBRARY.glob("exercises/*"), *LIBRARY.glob("show/schematics/*")}
                (path,) = {*LIBRARY.rglob(file)} - pages
                assert re.search(rf"^ *(def|class) {name}\b", path.read_text(), re.MULTILINE)


def test_the_same_model_twice_differs_in_nothing(kept):
    text = model_diff.table("flow", "flow")
    assert "what differs" not in text and text.count("\n") == 2 + len(said("flow"))
    assert shared_code.table("flow", "flow").endswith("100 % run for both.\n")


def counts(text):
    """Of what `shared_code.table` says: all lines, the share of both, and file -> lines alone."""
    total, share = map(int, re.search(r"Of the (\d+) lines.* (\d+) % run for both", text).groups())
    rows = [[c.strip() for c in line.split("|")[1:-1]] for line in text.splitlines()[4:]]
    return total, share, {file: (int(a or 0), int(b or 0)) for file, a, b in rows}


@pairs
def test_the_shared_code_adds_up_and_is_the_same_from_either_side(one, other, kept):
    total, share, alone = counts(shared_code.table(one, other))
    mine, theirs = (sum(lines) for lines in zip(*alone.values(), strict=True))
    ran = len(lines_run(one)), len(lines_run(other))
    assert (total - theirs, total - mine) == ran
    assert share == round(100 * (total - mine - theirs) / total)
    swapped = {file: (b, a) for file, (a, b) in alone.items()}
    assert counts(shared_code.table(other, one)) == (total, share, swapped)


@pairs
def test_each_reads_its_own_paradigm_and_network(one, other, kept):
    _, _, alone = counts(shared_code.table(one, other))
    shared = {f"paradigms/{file}.py" for file in ("base", "schedules", "numerics")}
    paradigms = {file for file in alone if file.startswith("paradigms/")} - shared
    mine, theirs = (
        {
            f"paradigms/{Path(inspect.getsourcefile(kind)).name}"
            for kind in PRESETS[name].paradigm.__mro__
            if issubclass(kind, Paradigm) and kind is not Paradigm
        }
        for name in (one, other)
    )
    assert mine ^ theirs <= paradigms <= (mine | theirs if mine != theirs else set())
    assert not any(alone[file][1] for file in mine - theirs)
    assert not any(alone[file][0] for file in theirs - mine)
    for network in "hollow", "mamba", "mamba2":
        uses = [PRESETS[name].network == network for name in (one, other)]
        # of a hollow network block diffusion alone runs the pass over all blocks, and Mamba-2 runs
        # the blocks of Mamba
        part = network == "hollow" and (one == "block") != (other == "block")
        part |= network == "mamba" and (one == "mamba2") != (other == "mamba2")
        assert (f"networks/{network}.py" in alone) == (part or uses[0] != uses[1])


def test_the_lines_are_those_of_one_network_under_two_paradigms():
    mine, theirs = lines_run("diffusion", "transformer"), lines_run("flow", "transformer")
    files = {file for file, _ in mine ^ theirs}
    own = {f"{room}.py" for room in ("paradigms/mdlm", "decoding/masked")}
    theirs = {f"{room}.py" for room in ("paradigms/flow", "paradigms/numerics", "decoding/uniform")}
    # the rest: the network is told the time, and a step draws from probabilities, not from logits
    assert files == own | theirs | {"networks/base.py", "decoding/categorical.py"}


def test_whoever_watched_before_watches_again():
    def watch(frame, event, arg):
        return None

    before = sys.gettrace()
    sys.settrace(watch)
    try:
        assert shared_code.lines_run("ar") == lines_run("ar")
        assert sys.gettrace() is watch
        with pytest.raises(InputError):
            shared_code.lines_run("ar", "hollow")
        assert sys.gettrace() is watch
    finally:
        sys.settrace(before)


SOURCE = '''
"""A docstring."""

@decorated
def f(
    x,  # 6
):
    """A docstring."""
    if x and (
        # a comment
        x > 1
    ):
        return [

            x,
        ]
    else:
        x = 1; y = 2
'''


def test_a_statement_counts_alike_however_it_is_broken_into_lines(tmp_path):
    path = tmp_path / "source.py"
    path.write_text(SOURCE)
    found = shared_code.statements(path)
    whole = {4: {4, 5, 6, 7}, 9: {9, 11, 12}, 13: {13, 15, 16}, 18: {18}}
    for first, lines in whole.items():
        assert all(found[line] == lines for line in lines), first


def test_the_code_that_runs_counts_and_nothing_else():
    ran = lines_run("ar")
    for file, line in ran:
        text = (LIBRARY / file).read_text().splitlines()[line - 1].strip()
        assert text and text[0] != "#" and not text.startswith('"""'), (file, line)
    assert not any(file == "shared_code.py" for file, _ in ran)  # which only asks

    def counted(function):
        lines, first = inspect.getsourcelines(function)
        return [("paradigms/ar.py", first + i) in ran for i in range(len(lines))]

    assert counted(Autoregressive.logits) == [True, False, True, True]  # False: its docstring
    assert not any(counted(Autoregressive.conditional))


@pairs
def test_the_command_says_it_all(one, other, kept, capsys):
    assert cli.main(["diff", one, other]) == 0
    out = capsys.readouterr().out
    assert out == f"{model_diff.table(one, other)}\n{shared_code.table(one, other)}"


def test_the_command_takes_another_network(kept, capsys):
    assert cli.main("diff ar diffusion --network transformer".split()) == 0
    out = capsys.readouterr().out
    assert "every position" in out and "hollow.py" not in out


def test_the_book_shows_what_the_command_prints():
    differs = model_diff.table("ar", "diffusion").split("\n\n")[0]
    assert f"\n\n{differs}\n\n" in (ROOT / "book/commands.md").read_text()
