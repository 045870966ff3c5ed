"""Whatever is printed, a terminal shows it and obeys nothing; a pipe gets it byte for byte."""

import io
import sys
from types import SimpleNamespace

import pytest
import torch
from helpers import TINY
from hypothesis import given
from hypothesis import strategies as st

from nanoparadigm import InputError, build
from nanoparadigm.commands import main as cli
from nanoparadigm.commands import shared
from nanoparadigm.data.tokenizers import WordTokenizer
from nanoparadigm.terminal import harmless
from nanoparadigm.training import checkpoint

EVIL = "\x1b[2J", "\x9b2J", "a\rb", "\x1b]0;title\x07", "\u202eabc", "\x7f", "tab\there\nand here"
OBEYED = {*map(chr, range(32)), *map(chr, range(127, 160)), *"\u202a\u202b\u202d\u202e\u2066\u2067"}
OBEYED -= {"\n", "\t"}


class Stream(io.StringIO):
    def __init__(self, terminal):
        super().__init__(newline="")
        self.isatty = lambda: terminal


def printed(monkeypatch, run, terminal=True):
    """What `main` has sent to the two streams for a command that does `run`."""
    out, err = Stream(terminal), Stream(terminal)
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)
    monkeypatch.setattr(cli, "parse", lambda arguments: SimpleNamespace(run=run))
    cli.main([])
    return out.getvalue(), err.getvalue()


@given(st.text(st.characters()))
def test_a_terminal_gets_a_sign_for_everything_it_might_obey(text):
    shown = harmless(text)
    assert len(shown) == len(text) and not OBEYED & {*shown}
    assert all(c == was for c, was in zip(shown, text, strict=True) if was.isprintable())
    assert all(c == was for c, was in zip(shown, text, strict=True) if was in "\n\t")


@pytest.mark.parametrize("evil", EVIL)
def test_what_a_command_prints_is_shown_at_a_terminal_and_exact_in_a_pipe(evil, monkeypatch):
    def run():
        print(evil)
        print(evil, file=sys.stderr)
        sys.stdout.writelines([evil])

    assert printed(monkeypatch, run) == (
        f"{harmless(evil)}\n{harmless(evil)}",
        f"{harmless(evil)}\n",
    )
    assert printed(monkeypatch, run, terminal=False) == (f"{evil}\n{evil}", f"{evil}\n")


@pytest.mark.parametrize("evil", EVIL)
@pytest.mark.parametrize(
    "error", [InputError, OSError, lambda said: RuntimeError("memory " + said)]
)
def test_no_error_carries_what_it_is_about(error, evil, monkeypatch):
    def run():
        raise error(f"cannot read {evil}")

    out, err = printed(monkeypatch, run)
    assert not out and err.startswith("nanoparadigm: ") and not OBEYED & {*err}


def test_a_bar_moves_and_its_label_is_harmless(monkeypatch):
    monkeypatch.setenv("TQDM_DISABLE", "0")

    def run():
        with shared.progress(range(3), "run \x1b[2J", disable=False) as bar:
            list(bar)

    _, err = printed(monkeypatch, run)
    assert "\r" in err and "run ␛[2J: 100%" in err and "\x1b[2J" not in err


@pytest.mark.parametrize("terminal", [True, False])
def test_a_model_of_escape_sequences_writes_none_to_a_terminal(terminal, monkeypatch):
    tokenizer = WordTokenizer(EVIL)
    model = build("ar", tokenizer.vocab_size, **TINY)
    config = dict(recipe=dict(block_size=9, name="ar"))
    saved = SimpleNamespace(model=model, tokenizer=tokenizer, config=config)
    monkeypatch.setattr(checkpoint, "load", lambda path: saved)
    with torch.no_grad():
        text = tokenizer.decode(model.sample(1, 9, torch.Generator().manual_seed(0))[0])
    for line in (
        "sample --checkpoint it --length 9",
        "visualize --checkpoint it --length 9 --seconds 0",
    ):
        run = cli.parse(line.split()).run
        with pytest.MonkeyPatch.context() as patch:
            out, _ = printed(patch, run, terminal)
        if "sample" in line:
            assert out == f"{harmless(text) if terminal else text}\n" and OBEYED & {*text}
        else:
            assert not OBEYED & {*out}
