"""What a button asks for is what the model is asked: the answers of the demo without its page."""

from types import SimpleNamespace

import pytest
import torch
from helpers import TINY

from nanoparadigm import build, corpora, evaluate
from nanoparadigm.data.tokenizers import BLANK, CharTokenizer
from nanoparadigm.show import animation

pytest.importorskip("gradio")

from nanoparadigm.show import demo_handlers

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of Gradio

LETTERS = CharTokenizer("abcdefg")


def asked_of(name, question, *given):
    """What `record` or the model's `infill` is asked when a method of Handlers is."""
    model = build(name, 7, **TINY)
    one = SimpleNamespace(model=model, tokenizer=LETTERS)
    asked = []

    def note(*given, generator, **options):
        asked.append(dict(given=given, seed=generator.initial_seed(), **options))
        frame = animation.Frame({}, None, 1, 1, 0.5, None)
        return animation.Run("it", name, "", (), "", (frame,))

    def infill(*given, **options):
        note(*given, **options)
        return torch.zeros(1, 1, dtype=torch.long)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(demo_handlers.Handlers, "load", lambda self, name: one)
        patch.setattr(animation, "record", note)
        patch.setattr(model, "infill", infill)
        getattr(demo_handlers.Handlers("runs", 3), question)(*given)
    return model, asked


def test_what_is_to_be_written_reaches_the_model():
    """Length, steps, temperature and seed, each a number of its own, and the way of writing."""
    model, (asked,) = asked_of("diffusion", "write", "it", "ab", 6, 9, 0.3, 5, "left_to_right")
    assert asked.pop("given") == ("it", model, LETTERS, [0, 1, 7, 7, 7, 7])
    assert asked == dict(seed=5, steps=9, temperature=0.3, sampler="left_to_right")


def test_in_a_race_all_are_asked_alike():
    _, asked = asked_of("flow", "compare", ["one", "other"], "ab", 6, 9, 0.3, 5)
    assert [runner.pop("given")[0] for runner in asked] == ["one", "other"]
    assert asked == [dict(seed=5, steps=9, temperature=0.3)] * 2


def test_what_is_to_be_filled_reaches_the_model():
    text = f"ab{BLANK}{BLANK}c"
    model, (asked,) = asked_of("flow", "fill", "it", text, 9, 0.3, 5, "")
    assert asked.pop("given") == ("it", model, LETTERS, [0, 1, 7, 7, 2])
    assert asked == dict(seed=5, steps=9, temperature=0.3)
    _, (asked,) = asked_of("ar", "fill", "it", text, 9, 0.3, 5, "top_k")
    assert asked.pop("given") == (1, [0, 1], [2], 2)
    assert asked == dict(seed=5, steps=9, temperature=0.3, top_k=4)


def test_what_is_measured_is_the_windows_that_the_button_names(monkeypatch):
    text, asked = corpora.Corpus("language", "abcdefg" * 40, "abcdefg" * 40), []
    config = dict(corpus="language", recipe=dict(block_size=10), tokens=1_234)
    config["corpus_sha256"] = text.fingerprint
    one = SimpleNamespace(model="a model", tokenizer=LETTERS, config=config)

    def measure(model, data, **options):
        asked.append((model, data.corpus.name, data.length, options))
        bits = dict(mean=2.0, se=0.5)
        return dict(exact=True, bits_per_character=bits, windows=[1.0, 2.0])

    monkeypatch.setattr(demo_handlers.Handlers, "load", lambda self, name: one)
    monkeypatch.setattr(corpora, "load", lambda name, path: text)
    monkeypatch.setattr(evaluate, "measure", measure)
    table = demo_handlers.Handlers("runs", 3).measure(["mine"], lambda *given, **named: None)
    assert asked == [("a model", "language", 10, dict(max_windows=demo_handlers.WINDOWS))]
    assert all(f">{said}</td>" in table for said in ("mine", "= 2.000 ± 0.500", "1,234"))
