"""Every flag reaches what it names: the commands are run with models, texts and measurements that
note what they are asked."""

import inspect
import math
from dataclasses import replace
from functools import wraps
from types import SimpleNamespace

import pytest
import torch
from helpers import TINY

from nanoparadigm import build, commands, corpora, evaluate, tokenizers
from nanoparadigm.commands import main as cli
from nanoparadigm.data.corpora import language_corpus
from nanoparadigm.data.tokenizers import CharTokenizer
from nanoparadigm.language import language
from nanoparadigm.show import animation, figures
from nanoparadigm.training import checkpoint

LETTERS = CharTokenizer("abcdefg")
MEASURED = dict(exact=True, bits_per_character=dict(mean=1.0, se=0.1), windows=[1.0, 2.0])


def saved(name, tokenizer=LETTERS, text=None, **sizes):
    """A Checkpoint of a fresh model, of a run that read 1,234 tokens of the text, a Corpus."""
    model = build(name, tokenizer.vocab_size, **{**TINY, **sizes})
    config = dict(recipe=model.recipe, corpus="language", tokens=1_234)
    if text:
        config["corpus_sha256"] = text.fingerprint
    return SimpleNamespace(model=model, tokenizer=tokenizer, config=config)


class Notes(list):
    """Functions that are replaced by one that notes its arguments, by name, as a dict, and gives
    what is given for it."""

    def __init__(self, patch):
        self.patch = patch

    def of(self, place, name, gives):
        function = getattr(place, name)
        asked = inspect.signature(function)

        @wraps(function)  # whoever asks for its signature gets it
        def note(*given, **named):
            bound = asked.bind(*given, **named)
            bound.apply_defaults()
            self.append(bound.arguments)
            return gives

        self.patch.setattr(place, name, note)


def run(line):
    assert cli.main(line.split()) == 0


def loads(patch, one):
    patch.setattr(checkpoint, "load", lambda path: one)


STEPS = "--sampling_steps 9"
WRITING = [
    ("ar", "", dict(n=1, length=8, steps=64, temperature=1.0, top_k=None, top_p=None, blocks=None)),
    ("ar", "--n 3 --length 5 --prompt ab", dict(n=3, length=5, prompt=[0, 1])),
    ("ar", "--seed 7", dict(seed=7)),
    ("ar", "--temperature 0.3 --top_k 4 --top_p 0.6", dict(temperature=0.3, top_k=4, top_p=0.6)),
    ("diffusion", STEPS, dict(steps=9)),
    ("diffusion", "--blocks 5", dict(blocks=5, length=20)),
    ("diffusion", "--sampler ancestral --eta 2.5", dict(sampler="ancestral", eta=2.5)),
    (
        "diffusion",
        "--sampler confidence --unmasking cosine",
        dict(sampler="confidence", unmasking="cosine"),
    ),
    (
        "diffusion",
        "--sampler confidence --threshold 0.4",
        dict(sampler="confidence", threshold=0.4),
    ),
    (
        "flow",
        f"--sampler euler --eta 0.5 --corrections 3 {STEPS}",
        dict(sampler="euler", eta=0.5, corrections=3, steps=9),
    ),
]


@pytest.mark.parametrize("name, flags, expected", WRITING)
@pytest.mark.parametrize("command", ["sample", "visualize --seconds 0"])
def test_the_flags_of_writing_reach_the_model(command, name, flags, expected):
    """In `sample`, and in `visualize`, which writes one text, but for its number of texts."""
    if command != "sample" and "--n " in flags:
        return
    with pytest.MonkeyPatch.context() as patch:
        notes, one = Notes(patch), saved(name)
        loads(patch, one)
        notes.of(one.model, "fill", torch.zeros(1, 1, dtype=torch.long))
        notes.of(animation, "record", animation.Run("it", name, "", (), "", (frame(),)))
        run(f"{command} --checkpoint it {flags}")
    (asked,) = notes
    options = asked.pop("options")
    template = asked["template"]
    found = {**asked, **options, "length": len(template), "seed": asked["generator"].initial_seed()}
    found["prompt"] = [token for token in template if token != one.model.mask_id]
    for option, value in expected.items():
        if command == "sample" or option != "n":
            assert found.get(option, "nothing") == value, option


def frame():
    return animation.Frame({}, None, 1, 1, 0.5, None)


def test_the_flags_of_infill_reach_the_model():
    with pytest.MonkeyPatch.context() as patch:
        notes, one = Notes(patch), saved("ar")
        loads(patch, one)
        notes.of(one.model, "infill", torch.zeros(1, 1, dtype=torch.long))
        flags = "--prefix ab --suffix c --fill_length 4 --n 2 --seed 5 --candidates 9"
        run(f"infill --checkpoint it {flags} --temperature 0.3")
    (asked,) = notes
    assert (asked["prefix"], asked["suffix"], asked["fill_length"]) == ([0, 1], [2], 4)
    assert (asked["n"], asked["candidates"], asked["generator"].initial_seed()) == (2, 9, 5)
    assert asked["options"]["temperature"] == 0.3


def test_the_clock_of_visualize_is_that_of_all_it_shows(tmp_path, capsys):
    with pytest.MonkeyPatch.context() as patch:
        notes, one = Notes(patch), saved("ar")
        loads(patch, one)
        notes.of(animation, "page", "a page")
        notes.of(animation, "gif", None)
        flags = f"--clock seconds --html {tmp_path}/a.html --gif {tmp_path}/a.gif"
        run(f"visualize --checkpoint it --length 3 {flags}")
    assert [asked["clock"] for asked in notes] == ["seconds", "seconds"]
    assert capsys.readouterr().out.startswith("seconds: 0.")


def measuring(patch):
    """Notes of what `evaluate.measure` is asked, of a model that is loaded from anywhere."""
    notes = Notes(patch)
    text = corpora.Corpus("", "abcdefg" * 40, "abcdefg" * 40)
    loads(patch, saved("ar", text=text))
    patch.setattr(corpora, "load", lambda name, path=None: replace(text, name=name))
    notes.of(evaluate, "measure", MEASURED)
    return notes


def test_the_flags_of_evaluate_reach_the_measurement():
    with pytest.MonkeyPatch.context() as patch:
        notes = measuring(patch)
        baselines = Notes(patch)
        baselines.of(evaluate, "baselines", [])
        flags = "--seed 3 --draws 5 --eval_windows 7 --sampling_steps 9"
        run(f"evaluate --checkpoint it --dataset another {flags}")
        run("evaluate --checkpoint it --no_baselines")
    found = [
        {k: asked[k] for k in ("seed", "num_samples", "max_windows", "steps")} for asked in notes
    ]
    assert found[0] == dict(seed=3, num_samples=5, max_windows=7, steps=9)
    assert found[1] == dict(seed=0, num_samples=8, max_windows=None, steps=64)
    assert [asked["data"].corpus.name for asked in notes] == ["another", "language"]
    assert [asked["data"].length for asked in notes] == [TINY["block_size"]] * 2
    assert len(baselines) == 1


def test_the_flags_of_evaluate_reach_the_ways_of_writing():
    words = tokenizers.WordTokenizer(language().words)
    with pytest.MonkeyPatch.context() as patch:
        notes, truth = Notes(patch), Notes(patch)
        one = saved("flow", words, text=language_corpus(5, 5), block_size=32)
        loads(patch, one)
        patch.setattr(corpora, "load", lambda name, path=None: language_corpus(5, 5))
        patch.setattr(evaluate, "decoding_table", lambda rows: "")
        notes.of(evaluate, "decoding_metrics", {})
        truth.of(evaluate, "decoding_of_language", {})
        flags = "--seed 3 --n 7 --sampling_steps 9"
        run(f"evaluate --checkpoint it --decoding euler_eta blocks {flags}")
    ways = one.model.decodings
    assert [asked["options"] for asked in notes] == [ways["euler_eta"], ways["blocks"]]
    assert [asked["name"] for asked in notes] == ["it: euler_eta", "it: blocks"]
    for asked in notes:
        assert (asked["seed"], asked["steps"], asked["n"]) == (3, 9, 7)
    assert [(asked["seed"], asked["n"]) for asked in truth] == [(3, 7)]


def test_the_flags_of_compare_reach_the_measurement(tmp_path):
    """And a row says how many tokens were read: steps x sequences x tokens in a sequence."""
    with pytest.MonkeyPatch.context() as patch:
        notes, floors = measuring(patch), Notes(patch)
        patch.setattr(commands.compare, "fit", lambda *given: True)
        patch.setattr(commands.compare, "read_log", lambda run: [])
        patch.setattr(evaluate, "baselines", lambda data: [])
        figure = SimpleNamespace(savefig=lambda path, dpi: None)
        floors.of(figures, "learning_curves", figure)
        rows = []
        patch.setattr(evaluate, "table", lambda given: rows.extend(given) or "")
        (tmp_path / "here").mkdir()
        flags = "--seed 3 --draws 5 --sampling_steps 9 --block_size 10 --batch_size 6"
        flags += " --max_steps 7 --grad_accumulation 2 --n_layer 1 --n_embd 16"
        run(f"compare --dataset letters --models ar diffusion --out {tmp_path}/here {flags}")
    assert len(notes) == 2
    for asked in notes:
        assert (asked["seed"], asked["num_samples"], asked["steps"]) == (3, 5, 9)
        assert asked["max_windows"] is None
    assert [row["name"] for row in rows] == ["ar", "diffusion"]
    assert {row["tokens"] for row in rows} == {7 * 6 * 2 * 10}
    (curves,) = floors
    assert [*curves["logs"]] == ["ar", "diffusion"]
    assert curves["nats_per_bit"] == pytest.approx(math.log(2))
