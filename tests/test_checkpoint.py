"""What is on disk is whole: the same model comes back, and no interruption leaves half of one."""

import errno
import json
import os
import pickle
import resource
import shutil
from pathlib import Path

import pytest
import torch
from hypothesis import example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from nanoparadigm import PRESETS, InputError, build, checkpoint, cli, corpora, tokenizers
from nanoparadigm.checkpoint import flatten, load, load_training, save, unflatten
from nanoparadigm.train import Settings, train

LENGTH = 8
TINY = dict(n_layer=1, n_head=2, n_embd=16, block_size=LENGTH, d_state=4)
SETTINGS = Settings(max_steps=6, batch_size=4, eval_interval=3, eval_windows=4)
FILES = "config.json model.safetensors tokenizer.json training.json training.safetensors".split()

presets = pytest.mark.parametrize("name", PRESETS)


@pytest.fixture(scope="module")
def data():
    corpus = corpora.Corpus("cats", "the cat sat on the mat\n" * 9, "a hat\nthe moth ate\n" * 2)
    return corpora.Data(corpus, tokenizers.build("char", corpus, None), LENGTH)


@pytest.fixture(scope="module")
def originals(data, tmp_path_factory):
    """Each model trained for six steps: its name -> its folder and the model as it was then."""
    made = {}
    for name in PRESETS:
        run = tmp_path_factory.mktemp("runs") / name
        model = build(name, data.tokenizer.vocab_size, **TINY)
        list(train(model, data, SETTINGS, run))
        made[name] = run, model
    return made


@pytest.fixture
def run(originals, tmp_path):
    """A run of masked diffusion that a test may damage. Its last checkpoint is step-6."""
    return shutil.copytree(originals["diffusion"][0], tmp_path / "runs" / "diffusion")


def contents(folder):
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def refusal(call, *args):
    """The one sentence with which the call is refused."""
    with pytest.raises(InputError) as refused:
        call(*args)
    assert "\n" not in str(refused.value)
    return str(refused.value)


def resume(run):
    return load_training(load(run, "last"))


@presets
def test_the_same_model_comes_back(name, originals, data):
    run, model = originals[name]
    saved = load(run, "last")
    assert saved.folder == run / "step-6"
    assert saved.model.recipe == saved.config["recipe"] == model.recipe
    assert not [(k, v) for k, v in saved.config["settings"].items() if getattr(SETTINGS, k) != v]
    assert saved.tokenizer.vocabulary == data.tokenizer.vocabulary
    x = data.validation[0]
    bounds = [m.nll_bound(x, torch.Generator().manual_seed(0)) for m in (model, saved.model)]
    assert torch.equal(*bounds)
    texts = [m.sample(2, LENGTH, torch.Generator().manual_seed(0)) for m in (model, saved.model)]
    assert torch.equal(*texts)


@presets
def test_a_checkpoint_is_five_files_of_plain_json_and_tensors(name, originals, monkeypatch):
    def forbid(*args, **kwargs):
        raise AssertionError("a checkpoint that needs pickle can run code")

    for module, names in (pickle, ("load", "loads", "Unpickler")), (torch, ("load", "save")):
        for call in names:
            monkeypatch.setattr(module, call, forbid)
    run = originals[name][0]
    names = sorted(p.name for p in run.iterdir())
    assert names == ["lock", "log.jsonl", "run.json", "step-6"]
    assert sorted(p.name for p in (run / "step-6").iterdir()) == FILES
    for file in (run / "step-6").iterdir():
        json.loads(file.read_text()) if file.suffix == ".json" else load_file(file)
    resume(run)


def test_only_the_best_and_the_last_are_kept(run):
    saved = load(run)
    for step, best in (7, False), (8, True), (9, False), (10, False), (11, True):
        save(run, saved.model, saved.tokenizer, {**saved.config, "step": step}, {}, best)
        names = {"step-11"} if step == 11 else {f"step-{step}", "step-8" if step > 7 else "step-6"}
        assert {p.name for p in run.glob("step-*")} == names
        assert load(run, "last").config["step"] == step
    assert load(run, "best").config["step"] == 11
    assert load(run / "step-11").config["step"] == 11


def test_a_notebook_of_steps_in_the_folder_is_nobodys_checkpoint(run):
    (run / "step-by-step").mkdir()
    (run / "step-by-step" / "notes.txt").write_text("mine")
    saved = load(run)
    save(run, saved.model, saved.tokenizer, {**saved.config, "step": 7}, {}, True)
    assert (run / "step-by-step" / "notes.txt").read_text() == "mine"


OPERATIONS = [
    (checkpoint, "save_file"),
    (tokenizers.CharTokenizer, "save"),
    (checkpoint, "write_json"),
    (os, "fsync"),
    (os, "replace"),
    (Path, "mkdir"),
    (Path, "rename"),
]


class Interruption:
    """Lets n operations on the disk pass and breaks the next, before or after doing it."""

    def __init__(self, patch, n, error, late):
        self.left, self.error, self.late = n, error, late
        for owner, name in OPERATIONS:
            patch.setattr(owner, name, self.wrap(getattr(owner, name)))

    def wrap(self, operation):
        def wrapped(*args, **kwargs):
            self.left -= 1
            if self.left == -1 and not self.late:
                raise self.error
            result = operation(*args, **kwargs)
            if self.left == -1:
                raise self.error
            return result

        return wrapped


FULL = OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("error", [FULL, KeyboardInterrupt()], ids=["full", "Ctrl-C"])
@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("step", [6, 7])
def test_whatever_interrupts_a_save_the_run_stays_whole(error, late, step, run, monkeypatch):
    saved = load(run, "last")
    with torch.no_grad():
        next(saved.model.parameters()).add_(1)
    state = resume(run)
    config = {**saved.config, "step": step}
    earlier = contents(run / "step-6")
    for n in range(100):
        with monkeypatch.context() as patch:
            interruption = Interruption(patch, n, error, late)
            try:
                save(run, saved.model, saved.tokenizer, config, state, best=False)
            except (OSError, KeyboardInterrupt) as raised:
                assert type(raised) is type(error)
                assert isinstance(raised, KeyboardInterrupt) or "could not save" in str(raised)
        if interruption.left >= 0:
            break
        pointer = json.loads((run / "run.json").read_text())
        assert pointer["best"] == "step-6"
        assert contents(run / "step-6") == earlier
        for which in ("best", "last"):
            assert resume(run).keys() == state.keys()
            models = load(run, which).model, saved.model
            new = torch.equal(*(next(model.parameters()) for model in models))
            assert new == (pointer[which] != "step-6")
        assert not list(run.rglob("*unfinished*"))
    assert n > 15
    assert load(run, "best").folder == run / "step-6"
    assert load(run, "last").folder != run / "step-6"
    assert len(list(run.glob("step-*"))) == 2


def test_what_a_killed_save_left_is_in_nobodys_way(run):
    for leftover in ("step-7", "step-7.unfinished", "step-8.unfinished"):
        shutil.copytree(run / "step-6", run / leftover)
        (run / leftover / "model.safetensors").write_bytes(b"half")
    (run / "run.json.unfinished").write_text('{"la')
    saved = load(run, "last")
    assert saved.folder == run / "step-6"
    save(run, saved.model, saved.tokenizer, {**saved.config, "step": 7}, {}, False)
    assert load(run, "last").folder == run / "step-7"
    assert {p.name for p in run.glob("step-*")} == {"step-6", "step-7"}


@pytest.mark.parametrize("room", [100, 1000, 4000, 20_000])
def test_a_disk_that_is_really_full(room, run, monkeypatch, capsys):
    """A limit on the size of a file: the disk takes so many bytes and not one more."""
    saved, before = load(run, "last"), contents(run)
    monkeypatch.chdir(run.parent)
    Path("text").write_text("text" * 30)
    tiny = "--max_steps 1 --n_layer 1 --n_head 1 --n_embd 16 --block_size 8 --dataset text"
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, hard))
    try:
        with pytest.raises(OSError, match="could not save .*step-7: "):
            save(run, saved.model, saved.tokenizer, {**saved.config, "step": 7}, resume(run), True)
        assert cli.main(f"train --out new {tiny}".split()) == 1
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert contents(run) == before
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert said.startswith("nanoparadigm: ")
    assert said.endswith("; what was saved before is untouched")


@pytest.mark.parametrize("file", [*FILES, "run.json"])
@pytest.mark.parametrize("keep", [0.0, 0.5, -1, None], ids=["empty", "half", "a byte less", "gone"])
def test_a_damaged_file_is_refused_in_a_sentence(file, keep, run):
    path = run / file if file == "run.json" else run / "step-6" / file
    whole = path.read_bytes()
    if keep is None:
        path.unlink()
    else:
        path.write_bytes(whole[: keep if keep < 0 else int(keep * len(whole))])
    said = refusal(resume, run)
    assert str(run) in said
    if file.startswith("training"):
        load(run)
        assert "cannot be resumed" in said and "start a new run without --resume" in said
    elif (file, keep) != ("run.json", None):
        assert "is damaged" in said
    path.write_bytes(whole)
    resume(run)


@pytest.mark.parametrize(
    "file, foreign",
    [
        ("config.json", {"model_type": "gpt2", "n_layer": 12}),
        ("config.json", ["a", "list"]),
        ("config.json", None),
        ("tokenizer.json", {"version": "1.0", "model": {"type": "BPE"}}),
        ("tokenizer.json", []),
        ("run.json", []),
        ("run.json", None),
        ("run.json", {"last": 6, "best": 6}),
        ("run.json", {"name": "of another program"}),
    ],
)
def test_the_files_of_another_program_are_refused(file, foreign, run):
    path = run / file if file == "run.json" else run / "step-6" / file
    path.write_text(json.dumps(foreign))
    assert "is damaged or not a" in refusal(load, run) or file == "run.json"


@pytest.mark.parametrize("change", ["another program's", "another size", "an extra tensor"])
def test_foreign_weights_are_refused(change, run):
    path = run / "step-6" / "model.safetensors"
    weights = load_file(path)
    if change == "another program's":
        weights = {"transformer.wte.weight": torch.zeros(3, 4)}
    if change == "another size":
        weights["net.norm.weight"] = torch.zeros(17)
    if change == "an extra tensor":
        weights["net.extra"] = torch.zeros(1)
    save_file(weights, path)
    assert "step-6 is damaged or not a checkpoint (" in refusal(load, run)


def test_a_checkpoint_of_another_format_is_refused(run):
    path = run / "step-6" / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": "nanoparadigm-9"}))
    assert refusal(load, run).endswith("format nanoparadigm-9, not nanoparadigm-1: train again")


def test_a_tokenizer_with_another_vocabulary_is_refused(run):
    path = run / "step-6" / "tokenizer.json"
    vocabulary = json.loads(path.read_text())["vocabulary"]
    for other in vocabulary[:-1], ["X", *vocabulary[1:]], vocabulary[::-1]:
        tokenizers.CharTokenizer(other).save(path)
        said = refusal(load, run)
        assert f"{path} holds another vocabulary" in said and "put that one back" in said


def test_a_damaged_checkpoint_is_answered_with_one_that_is_whole(run):
    saved = load(run)
    save(run, saved.model, saved.tokenizer, {**saved.config, "step": 7}, {}, best=False)
    (run / "step-6" / "model.safetensors").write_bytes(b"")
    assert refusal(load, run).endswith(f": try {run / 'step-7'}, or train again")
    assert load(run / "step-7").config["step"] == 7
    (run / "run.json").write_text("{")
    assert refusal(load, run).endswith(
        f"run.json is damaged: name a checkpoint itself ({run / 'step-6'}, {run / 'step-7'})"
    )


def test_a_folder_without_a_checkpoint_is_answered_with_those_there_are(run, tmp_path):
    runs = run.parent
    for path in (runs, runs / "missing", runs / "file"):
        (runs / "file").write_text("no folder")
        assert refusal(load, path) == f"{path} holds no checkpoint: there are {run}"
    said = refusal(load, tmp_path / "elsewhere" / "missing")
    assert said.endswith("holds no checkpoint: make one with nanoparadigm train")


def test_setting_aside_takes_the_first_free_number(run):
    before = contents(run)
    (run.parent / "diffusion.1").mkdir()
    assert checkpoint.set_aside(run) == run.parent / "diffusion.2"
    assert not run.exists() and contents(run.parent / "diffusion.2") == before


def test_the_folder_one_stands_in_is_not_moved(run, monkeypatch):
    before = contents(run)
    for here in (run, run / "step-6"):
        monkeypatch.chdir(here)
        for path in (run, ".", ".." if here != run else "."):
            assert "give --out a folder of its own" in refusal(checkpoint.set_aside, path)
    assert contents(run) == before


def test_removing_a_run_removes_nothing_else(run):
    (run / "thesis.txt").write_text("mine")
    (run / "step-by-step").mkdir()
    checkpoint.remove(run)
    assert sorted(p.name for p in run.iterdir()) == ["step-by-step", "thesis.txt"]
    checkpoint.remove(run / "missing")


leaves = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False)
    | st.text(max_size=5)
    | st.integers(0, 5).map(lambda n: torch.arange(n, dtype=torch.uint8))
    | st.floats(width=32, allow_nan=False).map(torch.tensor)
)
keys = st.integers(0, 20) | st.sampled_from(["exp_avg", "tensor", "pairs", "a.b", ""])
trees = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
    max_leaves=12,
)


def same(a, b):
    if isinstance(a, torch.Tensor):
        return isinstance(b, torch.Tensor) and a.dtype == b.dtype and torch.equal(a, b)
    if isinstance(a, dict):
        return isinstance(b, dict) and [*a] == [*b] and all(same(a[k], b[k]) for k in a)
    if isinstance(a, list):
        return isinstance(b, list) and len(a) == len(b) and all(map(same, a, b))
    return type(a) is type(b) and a == b


zero, one = torch.tensor(0), torch.tensor(1)


@hypothesis_settings(deadline=None)
@given(trees)
@example([[zero], [one]])
@example({"a.b": zero, "a": {"b": one}})
@example({1: zero, "1": one})
def test_any_nested_state_survives_json(tree):
    tensors = {}
    outline = json.loads(json.dumps(flatten(tree, tensors)))
    assert same(unflatten(outline, tensors), tree)


def test_json_is_replaced_in_one_move(tmp_path):
    path = tmp_path / "a.json"
    checkpoint.write_json(path, [1])
    with pytest.raises(TypeError):
        checkpoint.write_json(path, [2, object()])
    assert json.loads(path.read_text()) == [1]
    assert list(tmp_path.iterdir()) == [path]


def test_saving_into_a_file_is_refused_by_the_disk(run, tmp_path):
    (tmp_path / "file").write_text("mine")
    saved = load(run)
    with pytest.raises(OSError, match="could not save"):
        save(tmp_path / "file", saved.model, saved.tokenizer, saved.config, {}, True)
    assert (tmp_path / "file").read_text() == "mine"
