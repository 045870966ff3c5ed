"""A text is what it holds: every command finds the text of a run wherever both have gone, takes it
under any name, and takes no other under its name."""

import json
import random
import shlex
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_main import LINES, TEXT, CommandResult, contents, main, quiet, table_rows, tiny

from nanoparadigm import atomic, corpora, evaluate, shards
from nanoparadigm.commands import main as cli
from nanoparadigm.data.corpora import of_run
from nanoparadigm.data.corpus import Corpus, TokenizedCorpus
from nanoparadigm.data.tokenizers import BPETokenizer, CharTokenizer
from nanoparadigm.errors import InputError
from nanoparadigm.evaluate import comparison
from nanoparadigm.studies.schedules import study
from nanoparadigm.training import checkpoint

OTHER = "".join(random.Random(1).choices(LINES, k=40))  # in the same characters and words
KINDS = ["char", "bpe", "word", "shards"]
kinds = pytest.mark.parametrize("kind", KINDS)
FAST = shlex.join(tiny(max_steps=2, eval_interval=1, batch_size=2))


def quick(patch):
    """Without bars, and of a measurement no more than what depends on the text."""
    quiet(patch)
    patch.setattr(comparison, "accuracy", lambda *given: evaluate.Estimate(0.5, 0.1))
    patch.setattr(comparison, "generation_speed", lambda *given: evaluate.Speed(1.0, 1, 1))


def name_of(kind):
    return "shards" if kind == "shards" else "text.txt"


def put(text, kind, name):
    """The text as a file, or in a folder of shards, of that name."""
    if kind != "shards":
        Path(name).write_text(text)
        return
    tokenizer = BPETokenizer.train("".join(LINES), 270).with_end_of_text()
    documents = text.splitlines(keepends=True)
    assert [*shards.write(documents, tokenizer, name, 200, validation_tokens=50)]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with a text, the same in shards, a run in each kind of tokens, and a comparison."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        quick(patch)
        for kind in KINDS:
            if not Path(name_of(kind)).exists():
                put(TEXT, kind, name_of(kind))
            flags = "" if kind == "shards" else f"--tokenizer {kind}"
            flags += " --bpe_vocab_size 270" if kind == "bpe" else ""
            main(f"train --out runs/{kind} --dataset {name_of(kind)} {flags} {FAST}")
        main(f"{COMPARE} --models ar --dataset text.txt {FAST}")
    return home


COMPARE = "compare --out runs/both"


@pytest.fixture
def home(trained, tmp_path, monkeypatch):
    """A copy of it, and the folder one is in."""
    monkeypatch.chdir(shutil.copytree(trained, tmp_path / "home"))
    quick(monkeypatch)
    return Path.cwd()


@pytest.fixture
def say(capsys):
    return lambda line: CommandResult(line, capsys)


def lines(kind, at="."):
    """Every command that reads the text of a run; the last one also writes into it."""
    run = f"{at}/runs/{kind}"
    return [
        f"evaluate --checkpoint {run} --no_baselines",
        f"prepare entropy --checkpoint {run} --tokens 64 --out found.npy",
        f"train --resume --out {run} --max_steps 3",
    ]


def measured(kind, at="."):
    """The same in the demo."""
    answers = pytest.importorskip("nanoparadigm.show.demo_handlers")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(answers.evaluate, "measure", lambda model, data, **options: dict(
            exact=True, bits_per_character=dict(mean=1.0, se=0.1), windows=[1.0, 2.0],
            corpus=data.corpus,
        ))  # fmt: skip
        return answers.Handlers(f"{at}/runs", 1).measure([kind], lambda *given, **named: None)


@kinds
def test_a_run_and_its_text_move_together(kind, home, say, tmp_path, monkeypatch):
    """Seen from another folder, in which another text has its name."""
    bits = table_rows(say(lines(kind)[0]).out)[0][1]
    there = shutil.move(home, tmp_path / "there")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    put(OTHER, kind, name_of(kind))
    assert ">char</td>" in measured("char", there)
    for line in lines(kind, there):
        said = say(line)
        assert said.status == 0, said.err
        if line.startswith("evaluate"):
            assert table_rows(said.out)[0][1] == bits
            assert f": on the validation split of {there / name_of(kind)}." in said.out
    assert checkpoint.load(there / "runs" / kind, "last").config["step"] == 3


@kinds
def test_another_text_of_the_same_name_is_not_taken(kind, home, say):
    name = Path(name_of(kind))
    shutil.rmtree(name) if name.is_dir() else name.unlink()
    put(OTHER, kind, name)
    before = contents()
    for line in lines(kind):
        for flag in "", f"--dataset ./{name}":
            if flag and not line.startswith("train"):
                continue
            said = say(f"{line} {flag}")
            assert said.status == 2 and said.out == "" and said.err.count("\n") == 1
            where = f"./{name}" if flag else name
            assert f"was trained on, {name}, is not here ({where} holds another text): " in said.err
            assert said.err.endswith("put it back, or name it with --dataset\n")
    with pytest.raises(Exception, match=f"{name}, is not here .{name} holds another text.: "):
        measured(kind)
    assert contents() == before


@kinds
def test_a_text_goes_by_any_name(kind, home, say):
    """Without it nothing is done but to ask for it."""
    bits = table_rows(say(lines(kind)[0]).out)[0][1]
    Path("a place").mkdir()
    Path(name_of(kind)).rename("a place/it")
    for line in lines(kind):
        before = contents()
        said = say(line)
        sentence = f"was trained on, {name_of(kind)}, is not here: put it back, or name it with"
        assert said.status == 2 and sentence in said.err
        assert contents() == before
        said = say(f"{line} --dataset './a place/../a place/it'")
        assert said.status == 0, said.err
        if line.startswith("evaluate"):
            assert table_rows(said.out)[0][1] == bits and "another text" not in said.out
    assert say(lines(kind)[0]).status == 0  # it has learned where its text is


def test_a_comparison_goes_on_with_its_own_text_or_not_at_all(home, say):
    Path("text.txt").rename("it.txt")
    Path("text.txt").write_text(OTHER)
    before, line = contents(), f"{COMPARE} --models mamba ar --no_equal_size --resume"
    line += f" {FAST} --dataset"
    said = say(f"{line} text.txt")
    assert said.status == 2 and "text.txt is not the text that the run in runs/both/ar" in said.err
    assert contents() == before
    assert say(f"{line} it.txt").status == 0


def test_evaluate_says_which_text_it_was(home, say):
    Path("more.txt").write_text(OTHER)
    fast = "--no_baselines"
    said = say(f"evaluate --checkpoint runs/char runs/both/ar --dataset more.txt {fast}")
    names = "runs/char (trained on another text), runs/both/ar (trained on another text)"
    assert said.out.endswith(f"{names}: on the validation split of more.txt.\n")


def test_one_text_is_one_whatever_it_is_called_and_two_are_two(home, say):
    """In evaluate, which measures what only one text allows, and in the demo."""
    shutil.copy("text.txt", "it.txt")
    main(f"train --out runs/it --dataset it.txt --tokenizer bpe {FAST}")
    runs = "evaluate --checkpoint runs/char"
    said = say(f"{runs} runs/it")
    assert "different texts" not in said.out and "uniform, " in said.out
    assert said.out.endswith("\nruns/char, runs/it: on the validation split of text.txt.\n")
    Path("b").mkdir()
    Path("b/text.txt").write_text(OTHER)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir("b")
        main(f"train --out ../runs/b --dataset text.txt {FAST}")
    said = say(f"{runs} runs/b")
    assert "different texts" in said.out and "uniform" not in said.out
    assert f"\nruns/b: on the validation split of {home}/b/text.txt.\n" in said.out
    answers = pytest.importorskip("nanoparadigm.show.demo_handlers").Handlers("runs", 1)
    for other in "it", "b":
        tables = answers.measure(["char", other], lambda *given, **named: None)
        assert ("different texts" in tables) == (other == "b")


def test_two_texts_with_the_same_tokens_are_two_exams():
    def data(letters):
        corpus = Corpus("it", letters * 40, letters * 9)
        return TokenizedCorpus(corpus, CharTokenizer.train(letters), 8)

    one, same, other = data("ab"), data("ab"), data("cd")
    assert one.fingerprint == other.fingerprint
    exams = evaluate.by_exam([("one", one), ("other", other), ("same", same)])
    assert [rows for _, rows in exams] == [["one", "same"], ["other"]]


splits = st.tuples(*[st.text(st.characters(categories=["L", "Cs", "Cc", "Nd"]), max_size=4)] * 2)


@given(splits, splits)
def test_a_fingerprint_is_of_what_the_splits_hold(one, other):
    first, second = Corpus("a", *one, test="b"), Corpus("c", *other, path="d")
    assert (first.fingerprint == second.fingerprint) == (one == other)


@pytest.mark.parametrize("text", ["abc", "\ud800ab", "12"])
def test_a_fingerprint_knows_where_the_split_is(text):
    cuts = [Corpus("a", text[:cut], text[cut:]).fingerprint for cut in range(len(text) + 1)]
    assert len({*cuts}) == len(cuts)


def a_run(folder, name, **known):
    tokenizer = CharTokenizer.train(TEXT)
    config = dict(corpus=name, recipe=dict(block_size=8), **known)
    return SimpleNamespace(config=config, tokenizer=tokenizer, folder=folder / "runs/it/step-1")


def test_a_run_of_an_earlier_version_knows_its_text_by_the_tokens(tmp_path, monkeypatch):
    """It kept neither a fingerprint of the text nor its place."""
    monkeypatch.chdir(tmp_path)
    Path("text.txt").write_text(TEXT)
    tokens = corpora.load("text.txt").tokens(CharTokenizer.train(TEXT))
    saved = a_run(tmp_path, "text.txt", text=tokens.fingerprint)
    assert of_run(saved).fingerprint == tokens.fingerprint
    Path("text.txt").rename("it.txt")
    assert of_run(saved, "it.txt").fingerprint == tokens.fingerprint
    for text in OTHER, "Ä" * 99, "":
        Path("text.txt").write_text(text)
        with pytest.raises(InputError, match="text.txt, is not here"):
            of_run(saved)


def test_where_a_text_lies_is_kept_as_seen_from_the_run(tmp_path, monkeypatch):
    """Through links too: a run may lie on another disk than the text."""
    (tmp_path / "home/texts").mkdir(parents=True)
    (tmp_path / "disk/runs").mkdir(parents=True)
    (tmp_path / "home/runs").symlink_to("../disk/runs")
    (tmp_path / "home/texts/it.txt").write_text(TEXT)
    monkeypatch.chdir(tmp_path / "home/texts")
    data = TokenizedCorpus(corpora.load("it.txt"), CharTokenizer.train(TEXT), 8)
    known = corpora.identity(data, "../runs/it")
    assert known["corpus"] == "it.txt"
    monkeypatch.chdir(tmp_path)
    saved = a_run(tmp_path / "home", known.pop("corpus"), **known)
    assert of_run(saved).corpus == data.corpus


def test_pydocs_of_another_python_are_refused_with_the_reason(tmp_path, monkeypatch):
    data = TokenizedCorpus(
        corpora.load("pydocs"), CharTokenizer.train(corpora.load("pydocs").train), 8
    )
    known = corpora.identity(data, tmp_path)
    assert known["corpus_place"] is None
    saved = a_run(tmp_path, known.pop("corpus"), **known)
    saved.tokenizer = data.tokenizer
    assert of_run(saved).fingerprint == data.fingerprint
    monkeypatch.setattr("pydoc_data.topics.topics", {"assert": TEXT})
    monkeypatch.setattr("platform.python_version", lambda: "3.99.1")
    with pytest.raises(InputError) as refused:
        of_run(saved)
    assert str(refused.value).endswith(
        "pydocs, is not here (it comes with Python and depends on its version, which is 3.99.1 "
        "here): use the version that the run began with"
    )


# ------------------------------------------------------------------------------------- the study

STUDY = """
dataset = "text.txt"
zero_shot = "second.txt"
windows = 4
sizes = {n_layer = 1, n_head = 1, n_embd = 8, block_size = 8}
settings = {max_steps = 1, batch_size = 2, eval_windows = 2, eval_interval = 1}
judge = {max_steps = 1}
"""


@pytest.fixture
def begun(tmp_path, monkeypatch):
    """A study of two texts, of which no more than the judge is trained."""
    monkeypatch.chdir(tmp_path)
    quiet(monkeypatch)
    Path("mine.toml").write_text(STUDY)
    Path("text.txt").write_text(TEXT)
    Path("second.txt").write_text(TEXT[::-1])
    main("study --preset mine.toml --out it --trial judge")
    return study.load("mine.toml")


@pytest.mark.parametrize("earlier", [False, True])
@pytest.mark.parametrize("text", ["dataset", "zero_shot"])
def test_a_study_goes_on_with_its_own_texts_or_not_at_all(text, earlier, begun, say):
    """That of an earlier version has kept what its runs have read, and no second text."""
    if earlier:
        facts = json.loads(Path("it/study.json").read_text())
        del facts["fingerprints"]
        atomic.write_json("it/study.json", facts)
    name = getattr(begun, text)
    Path(name).rename("moved.txt")
    Path(name).write_text(OTHER)
    before, line = contents(), "study --preset mine.toml --out it --trial judge"
    if not earlier or text == "dataset":
        said = say(line)
        assert said.status == 2
        assert f"{name} is not the {text} that the study in it began with" in said.err
        assert contents() == before
    Path("mine.toml").write_text(STUDY.replace(name, "moved.txt"))
    assert say(line).status == 0
    with pytest.raises(InputError, match="it holds another study"):
        study.begin(replace(begun, draws=9, **{text: "moved.txt"}), "it")


def test_entropy_says_what_it_was_measured_on(home):
    assert cli.main(shlex.split(lines("char")[1])) == 0
    assert json.loads(Path("found.json").read_text())["corpus"] == "text.txt"
    assert np.load("found.npy").ndim == 1
