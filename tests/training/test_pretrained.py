"""The models that come with the package: found by name, with the numbers on their cards."""

import shutil
import sys

import pytest
import torch
from helpers import ROOT, published_here

from nanoparadigm import InputError, corpora, load
from nanoparadigm.commands import main as cli
from nanoparadigm.data.corpus import TokenizedCorpus
from nanoparadigm.show import live
from nanoparadigm.training import checkpoint

sys.path.insert(0, str(ROOT / "benchmarks"))

import weights  # noqa: E402

NAMES = checkpoint.pretrained()


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder in place of the package's, with two models of a few steps, and where they were
    trained."""
    place = tmp_path_factory.mktemp("shelf")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checkpoint, "PRETRAINED", place / "pretrained")
        patch.setattr(weights, "RUNS", place / "runs")
        tiny = dict(n_layer=1, n_embd=16, block_size=32), dict(max_steps=6, batch_size=2)
        patch.setattr(weights, "GROUPS", {"language/": ("language", *tiny)})
        patch.setattr(weights, "number", lambda *_, **__: weights.Estimate(1.0, 0.1))
        for name in "language/ar", "language/diffusion":
            weights.write(name, *weights.trained(name))
    return place


@pytest.fixture
def shelf(made, monkeypatch):
    """That folder, while a test lasts."""
    monkeypatch.setattr(checkpoint, "PRETRAINED", made / "pretrained")
    return made


def test_a_pretrained_model_is_the_best_of_its_run_in_half_precision(shelf, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    kept = load("pretrained/language/diffusion").model.state_dict()
    trained = load(shelf / "runs/language/diffusion").model.state_dict()
    assert {w.dtype for w in kept.values()} == {torch.float32}
    assert all(torch.equal(kept[key], trained[key].half().float()) for key in trained)


def test_a_pretrained_model_writes_and_is_measured_by_name(shelf, monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["sample", "--checkpoint", "pretrained/language/ar", "--length", "8"]) == 0
    assert len(capsys.readouterr().out.split()) == 8
    both = ["pretrained/language/ar", "pretrained/language/diffusion"]
    flags = ["--eval_windows", "4", "--draws", "1", "--sampling_steps", "2"]
    assert cli.main(["evaluate", "--checkpoint", *both, *flags]) == 0
    table = capsys.readouterr().out
    assert all(name in table for name in both)


def test_another_name_is_answered_with_those_there_are(shelf):
    with pytest.raises(InputError, match="did you mean 'pretrained/language/ar'.*language/diff"):
        load("pretrained/ar")


def test_a_folder_of_the_users_comes_first(shelf, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(shelf / "runs/language/ar", tmp_path / "pretrained/language/ar")
    assert not load("pretrained/language/ar").folder.is_relative_to(shelf)


def test_an_empty_folder_of_that_name_is_in_nobodys_way(shelf, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pretrained/language/ar").mkdir(parents=True)
    assert load("pretrained/language/ar").folder.is_relative_to(shelf)


def test_it_cannot_be_resumed_in_place(shelf, monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["train", "--resume", "--out", "pretrained/language/ar"]) == 2
    assert "keeps no state of its training: train" in capsys.readouterr().err
    assert not (tmp_path / "pretrained").exists()


def test_the_package_stays_small():
    assert sum(p.stat().st_size for p in checkpoint.PRETRAINED.rglob("*")) < 12e6


@pytest.mark.parametrize("name", NAMES)
def test_the_number_on_the_card_is_measured_again(name):
    """On some windows, with the noise of then."""
    saved = load(name)
    data, facts = published_here(corpora.of_run, saved), saved.config["pretrained"]
    assert isinstance(data, TokenizedCorpus)
    now = weights.number(saved.model.eval(), data, weights.FEW, 4).mean
    assert now == pytest.approx(facts["few"], abs=1e-3)
    card = (NAMES[name] / "README.md").read_text(encoding="utf-8")
    assert weights.said(facts) in card and f"--checkpoint {name}" in card


def test_every_model_of_the_recipes_is_there():
    assert {*weights.OWN} == {*live.HOW}  # the race on the pages has each of them
    folders = {name.removeprefix("pretrained/").rpartition("/")[0] for name in NAMES}
    for folder, group in weights.GROUPS.items():
        if folder.rstrip("/") in folders:
            wanted = {name for name, (of, _) in weights.RECIPES.items() if of == folder}
            assert {f"pretrained/{name}" for name in wanted} <= {*NAMES}, group


def test_a_state_of_training_is_not_kept(shelf):
    files = {path.name for path in shelf.glob("pretrained/language/ar/*")}
    assert files == {"README.md", "config.json", "model.safetensors", "tokenizer.json"}
