"""What is on disk is whole: the same model comes back, and no interruption leaves half of one."""

import builtins
import copy
import errno
import io
import json
import math
import os
import pickle
import random
import resource
import shutil
import zlib
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from helpers import refusal
from hypothesis import example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from nanoparadigm import PRESETS, InputError, atomic, build, corpora, tokenizers
from nanoparadigm.atomic import write_json
from nanoparadigm.commands import main as cli
from nanoparadigm.training import checkpoint
from nanoparadigm.training.checkpoint import flatten, load, load_training, save, unflatten
from nanoparadigm.training.log import read_log
from nanoparadigm.training.resume import Began
from nanoparadigm.training.settings import Settings
from nanoparadigm.training.trainer import train

LENGTH = 8
TINY = dict(n_layer=1, n_head=2, n_embd=16, block_size=LENGTH, d_state=4)
SETTINGS = Settings(max_steps=6, batch_size=4, eval_interval=3, eval_windows=4)
FILES = "config.json model.safetensors tokenizer.json training.json training.safetensors".split()

presets = pytest.mark.parametrize("name", PRESETS)


@pytest.fixture(scope="module")
def data():
    corpus = corpora.Corpus("cats", "the cat sat on the mat\n" * 9, "a hat\nthe moth ate\n" * 2)
    return corpora.TokenizedCorpus(corpus, tokenizers.build("char", corpus, None), LENGTH)


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

    def __init__(self, patch, n, error, late, operations=OPERATIONS):
        self.left, self.error, self.late = n, error, late
        for owner, name in operations:
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
    assert said.endswith("; what is saved is intact")


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
        assert "cannot be resumed" in said and "start a new run without `resume`" in said
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
    assert refusal(load, run).endswith("format is nanoparadigm-9, not nanoparadigm-1): train again")


def test_a_tokenizer_with_another_vocabulary_is_refused(run):
    path = run / "step-6" / "tokenizer.json"
    vocabulary = json.loads(path.read_text())["vocabulary"]
    whole = read(path.parent)
    for other in vocabulary[:-1], ["X", *vocabulary[1:]], vocabulary[::-1]:
        write(path.parent, whole)
        tokenizers.CharTokenizer(other).save(path)
        assert "(tokenizer.json has changed since it was saved)" in refusal(load, run)
        as_earlier_versions_saved(path.parent)
        assert "(tokenizer.json has another vocabulary than the model)" in refusal(load, run)
        config = read(path.parent)
        del config["vocabulary"]
        write(path.parent, config)
        if len(other) < len(vocabulary):
            assert "tokenizer.json has 10 symbols, the model 11" in refusal(load, run)


def test_a_damaged_checkpoint_is_answered_with_one_that_is_whole(run):
    saved = load(run)
    save(run, saved.model, saved.tokenizer, {**saved.config, "step": 7}, {}, best=False)
    (run / "step-6" / "model.safetensors").write_bytes(b"")
    assert refusal(load, run).endswith(f": try {run / 'step-7'}, or train again")
    assert load(run / "step-7").config["step"] == 7
    (run / "run.json").write_text("{")
    said = refusal(load, run)
    assert said.startswith(f"{run}/run.json is damaged (")
    assert said.endswith(f"): name a checkpoint itself ({run / 'step-6'}, {run / 'step-7'})")


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
            assert "give `out` a folder of its own" in refusal(checkpoint.set_aside, path)
    assert contents(run) == before


def users_own(run):
    """What a user may keep in the folder of a run, under names much like those of the run."""
    shutil.copytree(run / "step-6", run / "step-30-keep")
    names = "step-1.notes step-by-step step-6.unfinished.mine step-6.1.1 step-٣ Step-6".split()
    paths = [run / name / "notes.txt" for name in [*names, "step-6", "step-5"]]
    paths += [run / "thesis.txt", run / "step-x.unfinished", run / "step-3.txt"]
    for path in paths:
        path.parent.mkdir(exist_ok=True)
        path.write_text("mine")
    paths += (run / "step-30-keep").iterdir()
    return {path: path.read_bytes() for path in paths}


def test_what_the_user_keeps_in_a_run_outlives_saves_and_the_run(run):
    mine = users_own(run)
    saved = load(run)
    for step in 5, 7, 8:
        save(run, saved.model, saved.tokenizer, {**saved.config, "step": step}, {}, True)
        assert load(run).config["step"] == step
    assert {path: path.read_bytes() for path in mine} == mine
    checkpoint.remove(run)
    left = {run / path: data for path, data in contents(run).items()}
    assert left == mine | {run / "lock": b""}
    checkpoint.remove(run, run / "missing")


@pytest.mark.parametrize("late", [False, True])
def test_runs_are_removed_together_or_not_at_all(late, run, tmp_path):
    """Whatever the disk refuses."""
    runs = run, shutil.copytree(run, tmp_path / "other")
    before = contents(tmp_path)
    for n in range(2):
        with pytest.MonkeyPatch.context() as patch:
            Interruption(patch, n, FULL, late, [(os, "replace")])
            with pytest.raises(OSError, match="No space"):
                checkpoint.remove(*runs)
        assert contents(tmp_path) == before
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "access", lambda path, mode: path != runs[1] / "step-6")
        assert "step-6 may not be changed: " in refusal(checkpoint.remove, *runs)
    assert contents(tmp_path) == before
    checkpoint.remove(*runs)
    assert {path.name for path in contents(tmp_path)} == {"lock"}


class Disk:
    """What a disk is sure to hold: of every file and folder what it was when last synced."""

    def __init__(self):
        self.held = {}  # by the number that stands for a file: its bytes, or names -> numbers

    def fsync(self, opened):
        path = Path(f"/proc/self/fd/{opened}").resolve()
        if path.is_dir():
            self.held[path.stat().st_ino] = {p.name: p.stat().st_ino for p in path.iterdir()}
        else:
            self.held[path.stat().st_ino] = path.read_bytes()

    def after_a_power_cut(self, number, path):
        found = self.held.get(number, b"")
        if isinstance(found, bytes):
            path.write_bytes(found)
            return
        path.mkdir()
        for name, inner in found.items():
            self.after_a_power_cut(inner, path / name)


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc")
def test_what_a_checkpoint_vouches_for_outlives_a_power_cut(data, tmp_path, monkeypatch):
    """The model, and each line of the log up to it."""
    disk, here = Disk(), tmp_path / "here"
    here.mkdir()
    monkeypatch.setattr(os, "fsync", disk.fsync)
    settings = replace(SETTINGS, max_steps=5, eval_interval=2, log_interval=1)
    model = build("ar", data.tokenizer.vocab_size, **TINY)
    for record in train(model, data, settings, here / "runs" / "ar"):
        image = tmp_path / f"after-{record['step']}"
        disk.after_a_power_cut(here.stat().st_ino, image)
        if record["step"] > 1:
            saved = load(image / "runs" / "ar", "last")
            assert saved.config["step"] == record["step"] // 2 * 2 or record["step"] == 5
            load_training(saved)
            logged = [r["step"] for r in read_log(image / "runs" / "ar")]
            assert logged[: saved.config["step"]] == [*range(1, saved.config["step"] + 1)]


@pytest.mark.parametrize("which", ["best", "last"])
@pytest.mark.parametrize("part", ["read_config", "check_files", "load_file"])
def test_a_model_is_read_while_a_training_saves(part, which, run, monkeypatch):
    saved, real, left = load(run), getattr(checkpoint, part), [7, 8, 9]

    def meanwhile(*arguments, **options):
        if left:
            config = {**saved.config, "step": left.pop(0)}
            save(run, saved.model, saved.tokenizer, config, {}, best=True)
        return real(*arguments, **options)

    monkeypatch.setattr(checkpoint, part, meanwhile)
    assert load(run, which).config["step"] == 9
    assert checkpoint.steps_done(run) == 9


def test_the_tokenizer_alone_is_that_of_the_best_checkpoint(run, data):
    assert checkpoint.load_tokenizer(run).vocabulary == data.tokenizer.vocabulary
    path = run / "step-6" / "tokenizer.json"
    path.write_bytes(path.read_bytes().replace(b"h", b"H"))
    assert "(tokenizer.json has changed" in refusal(checkpoint.load_tokenizer, run / "step-6")


@pytest.mark.parametrize("umask", [0o022, 0o077, 0o002])
def test_every_file_of_a_checkpoint_may_be_read_by_those_whom_the_user_lets(umask, run):
    before = os.umask(umask)
    try:
        saved = load(run)
        save(run, saved.model, saved.tokenizer, {**saved.config, "step": 7}, {}, True)
    finally:
        os.umask(before)
    paths = [*(run / "step-7").iterdir(), run / "run.json"]
    assert {path.stat().st_mode & 0o777 for path in paths} == {0o666 & ~umask}


@pytest.mark.parametrize("file", [*FILES, "run.json"])
def test_a_file_that_may_not_be_read_is_not_called_damaged(file, run, monkeypatch):
    path = run / file if file == "run.json" else run / "step-6" / file
    real = io.open

    def refused(file, *arguments, **options):
        if os.fspath(file) == str(path):
            raise PermissionError(errno.EACCES, "Permission denied", str(file))
        return real(file, *arguments, **options)

    for module in (builtins, io):
        monkeypatch.setattr(module, "open", refused)
    said = refusal(resume, run)
    assert said.startswith(f"{path} may not be read") and "damaged" not in said


@pytest.mark.parametrize("which", ["best", "last"])
@pytest.mark.parametrize(
    "name",
    ["../other/step-6", "/", "step-6/../step-6", "step-6\n", "", ".", "step-", "step-٣", "notes"]
    + ["step-6.", "step-6.unfinished", "\0", 6, None, ["step-6"], "step-6\\x"],
)
def test_run_json_names_folders_of_its_run_alone(name, which, run, tmp_path):
    for other in (tmp_path / "other", run / "notes", run / "step-٣"):
        shutil.copytree(run, other)
    write_json(run / "run.json", {"best": "step-6", "last": "step-6", which: name})
    assert f"{run}/run.json is damaged (" in refusal(load, run)
    assert load(run / "step-6")


# ---------------------------------------------------------------------------- hostile contents


def read(folder):
    return json.loads((folder / "config.json").read_text())


def write(folder, config):
    """A config as `save` would have written it."""
    write_json(folder / "config.json", config | {"checksum": checkpoint.checksum(config)})


def seal(folder):
    """Let a checkpoint vouch for its files as they now are."""
    sums = {name: checkpoint.sha256(folder / name) for name in read(folder)["files"]}
    crc = zlib.crc32((folder / "tokenizer.json").read_bytes())
    write(folder, read(folder) | {"files": sums, "vocabulary": crc})


def as_earlier_versions_saved(folder):
    config = read(folder)
    del config["files"], config["checksum"]
    write_json(folder / "config.json", config)


def test_a_checkpoint_of_an_earlier_version_is_loaded(run, data):
    before, state = load(run, "last"), resume(run)
    as_earlier_versions_saved(run / "step-6")
    after = load(run, "last")
    assert same(after.model.state_dict(), before.model.state_dict())
    assert same(resume(run), state)
    assert not list(train(after.model, data, SETTINGS, run, resume=True))


HUGE = [2**31, 2**63, 2**70, 10**9, 10**400]
RECIPES = [{size: n} for size in ("n_layer", "n_embd", "vocab_size", "block_size") for n in HUGE]
RECIPES += [{"n_layer": 0}, {"n_layer": 3}, {"n_embd": -8}, {"n_embd": 32}, {"n_head": 3}]
RECIPES += [{"name": "ar"}, {"name": "gpt"}, {"network": "mamba"}, {"mlp": "relu2"}, {"rank": 1}]
RECIPES += [{"masking": "entropy"}, {"n_layer": 1.5}, {"n_inner": 2**40}, {"d_conv": 10**12}]
RECIPES += [{"n_layer": True}, {"dropout": math.inf}, {"seed": -1}, {"seed": 2**64}]


@pytest.mark.parametrize("change", RECIPES, ids=lambda c: repr(c)[:40])
def test_a_recipe_of_another_model_than_the_weights_is_refused_before_one_is_built(change, run):
    config = read(run / "step-6")
    write(run / "step-6", config | {"recipe": config["recipe"] | change})
    with pytest.MonkeyPatch.context() as patch:
        real = checkpoint.build

        def on_meta(**recipe):
            assert torch.empty(0).device.type == "meta", "a model of a foreign size was built"
            return real(**recipe)

        patch.setattr(checkpoint, "build", on_meta)
        assert "step-6 is damaged or not a checkpoint (" in refusal(load, run)


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float64, torch.int32], ids=str)
def test_weights_of_another_kind_of_number_are_refused(kind, run):
    """Half precision is not among them: that is how models that come with the package are kept."""
    path = run / "step-6" / "model.safetensors"
    save_file({name: tensor.to(kind) for name, tensor in load_file(path).items()}, path)
    seal(run / "step-6")
    assert "its weights are of another model than its recipe" in refusal(load, run)


def go_on(run, data):
    """Resume a run that is at its end."""
    saved = load(run, "last")
    return list(train(saved.model, data, Began.of(saved).settings, run, resume=True))


TENSORS = {
    "another model's": lambda name, t: torch.zeros(3, 5),
    "longer": lambda name, t: torch.cat([t, t]) if t.dim() else torch.zeros(9),
    "empty": lambda name, t: t[:0] if t.dim() else torch.zeros(0),
    "of another kind": lambda name, t: t.double() if t.is_floating_point() else t.float(),
    "zeros": lambda name, t: t if t.is_floating_point() else torch.zeros_like(t),
}


@pytest.mark.parametrize("change", TENSORS.values(), ids=TENSORS)
def test_a_foreign_training_state_reaches_no_optimizer_and_no_generator(change, run, data):
    path = run / "step-6" / "training.safetensors"
    whole = load_file(path)
    one_of_each_kind = {name.rpartition(".")[2]: name for name in whole}
    assert one_of_each_kind.keys() == {*"momentum step exp_avg exp_avg_sq generator noise".split()}
    for name in one_of_each_kind.values():
        tensor = whole[name]
        foreign = change(name, tensor)
        if foreign is not tensor:
            save_file(whole | {name: foreign}, path)
            seal(run / "step-6")
            assert "step-6 cannot be resumed (" in refusal(go_on, run, data)
    save_file(whole, path)
    seal(run / "step-6")
    assert go_on(run, data) == []


HOSTILE = [
    None,
    True,
    -1,
    2**31,
    2**63,
    2**64,
    10**400,
    1e308,
    math.nan,
    math.inf,
    "",
    "../..",
    "\0",
]
HOSTILE += ["step-6", [], {}, [[]], {"tensor": "0"}, {"pairs": [[[], 1]]}, {"pairs": 5}, "\ud800"]


def paths_in(value, path=()):
    """The way to every value inside nested dicts and lists."""
    yield path
    if isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from paths_in(item, (*path, key))


def edited(value, path, new):
    """A copy in which one value is another, or gone."""
    if not path:
        return new
    value = copy.copy(value)
    first, *rest = path
    if new is GONE and not rest:
        del value[first]
    else:
        value[first] = edited(value[first], rest, new)
    return value


GONE = object()


def accepted(call, *arguments):
    """What the call returns, or None where it is refused in a sentence; anything else fails."""
    try:
        return call(*arguments)
    except InputError as error:
        assert "\n" not in str(error) and len(str(error)) < 1000
        return None


@pytest.mark.parametrize("file", [*FILES, "run.json"])
def test_a_damaged_file_gives_the_same_checkpoint_or_one_sentence(file, run):
    """At bytes drawn by chance: each bit may flip, and the file may end."""
    draw = random.Random(0)
    path = run / file if file == "run.json" else run / "step-6" / file
    before, state, whole = load(run, "last"), resume(run), path.read_bytes()
    for at in draw.choices(range(len(whole)), k=200):
        flipped = bytes([whole[at] ^ (1 << draw.randrange(8))])
        for damaged in whole[:at] + flipped + whole[at + 1 :], whole[:at]:
            path.write_bytes(damaged)
            if file.startswith("training"):
                assert (found := accepted(load_training, before)) is None or same(found, state)
            elif after := accepted(load, run, "last"):
                assert after.config == before.config
                assert same(after.model.state_dict(), before.model.state_dict())


@pytest.mark.parametrize("file", ["config.json", "tokenizer.json", "training.json", "run.json"])
@pytest.mark.parametrize("sealed", [False, True])
def test_edited_json_is_taken_or_refused_in_one_sentence(file, sealed, run, data):
    """Where it is vouched for again as well."""
    draw = random.Random(0)
    folder = run / "step-6"
    path = run / file if file == "run.json" else folder / file
    whole, first = path.read_bytes(), read(folder)
    value = json.loads(whole)
    edits = [(p, new) for p in paths_in(value) for new in (*HOSTILE, GONE) if p or new is not GONE]
    for where, new in draw.sample(edits, k=40):
        write_json(folder / "config.json", first)
        path.write_text(json.dumps(edited(value, where, new)))
        if sealed and file != "config.json":
            seal(folder)
        elif sealed and where:
            write(folder, json.loads(path.read_text()))
        accepted(go_on, run, data)


@pytest.mark.parametrize("file", [*FILES, "run.json", "log.jsonl"])
def test_what_is_no_json_of_ours_is_refused_in_one_sentence(file, run, data):
    path = run / file if file in ("run.json", "log.jsonl") else run / "step-6" / file
    deep = b"[" * 100_000, b'{"a":' * 100_000, b'{"recipe":' + b"[" * 5000 + b"]" * 5000 + b"}"
    for content in (b"", b"\0" * 99, b"\xff\xfe", b"1" * 5000, b"{}", b"null", *deep):
        path.write_bytes(content)
        accepted(go_on, run, data)
    path.unlink()
    path.mkdir()
    accepted(go_on, run, data)


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
    atomic.write_json(path, [1])
    with pytest.raises(TypeError):
        atomic.write_json(path, [2, object()])
    assert json.loads(path.read_text()) == [1]
    assert list(tmp_path.iterdir()) == [path]


def test_saving_into_a_file_is_refused_by_the_disk(run, tmp_path):
    (tmp_path / "file").write_text("mine")
    saved = load(run)
    with pytest.raises(OSError, match="could not save"):
        save(tmp_path / "file", saved.model, saved.tokenizer, saved.config, {}, True)
    assert (tmp_path / "file").read_text() == "mine"


def test_what_is_no_number_is_null_in_json(tmp_path):
    """So that every reader of JSON can read it."""
    values = dict(se=math.nan, threshold=[math.inf, -math.inf, 1.5], rows=({"p": math.nan},))
    atomic.write_json(tmp_path / "numbers.json", values)

    def refuse(constant):
        raise AssertionError(f"{constant} is no JSON")

    text = (tmp_path / "numbers.json").read_text(encoding="utf-8")
    found = json.loads(text, parse_constant=refuse)
    assert found == dict(se=None, threshold=[None, None, 1.5], rows=[{"p": None}])
