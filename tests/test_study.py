"""A study is what it says: twelve trials a seed that differ in schedule and masking alone, measured
alike, and reported with no ranking that the noise could have made."""

import json
import shlex
import tomllib
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import generator

from nanoparadigm import SCHEDULES, InputError, checkpoint, cli, corpora, parameters, report, study
from nanoparadigm.language import flat, grammatical, language
from nanoparadigm.paradigms.mdlm import MASKINGS

MINI = """
dataset = "language"
zero_shot = "language_flat"
seeds = [0, 1]
windows = 8
draws = 2
samples = 6
sampling_steps = 4

[sizes]
n_layer = 1
n_head = 1
n_embd = 8
block_size = 32

[settings]
max_steps = 4
batch_size = 2
eval_interval = 2
eval_windows = 4

[judge]
max_steps = 3
"""


@pytest.mark.parametrize("name", study.PRESETS)
def test_a_preset_is_twelve_trials_a_seed(name):
    plan = study.load(name)
    ids = [trial.id for trial in plan.trials]
    assert len(ids) == len(set(ids)) == 12 * len(plan.seeds)
    for seed in plan.seeds:
        kinds = {(t.schedule, t.masking) for t in plan.trials if t.seed == seed}
        assert kinds == {(s, m) for s in SCHEDULES for m in MASKINGS}
    assert ids[0] == "linear-uniform-0"


def test_the_hash_names_what_is_shared_and_nothing_else():
    plan = study.load("tiny")
    assert replace(plan, seeds=(7, 8)).hash == plan.hash
    assert replace(plan, draws=9).hash != plan.hash
    assert replace(plan, settings=replace(plan.settings, lr=0.001)).hash != plan.hash


def test_trials_differ_in_nothing_but_what_they_are_named_for():
    plan = study.load("tiny")
    first = study.Trial("linear", "uniform", 0)
    for trial in plan.trials:
        model, base = plan.model(trial, 32), plan.model(replace(first, seed=trial.seed), 32)
        same = {"schedule", "masking"}
        assert {k: v for k, v in model.recipe.items() if k not in same} == {
            k: v for k, v in base.recipe.items() if k not in same
        }
        for a, b in zip(model.parameters(), base.parameters(), strict=True):
            assert torch.equal(a, b)


def test_the_published_size_has_its_parameters():
    plan = study.load("fineweb-124m")
    model = plan.model(plan.trials[0], 50_257)
    assert parameters(model) == pytest.approx(123.5e6, rel=0.002)
    s = plan.settings
    assert s.max_steps * s.batch_size * plan.sizes.block_size == 3_276_800_000
    assert (s.muon_lr, s.lr, s.lr * s.final_lr) == (0, 6e-4, pytest.approx(6e-5))
    assert (s.decay, s.warmup * s.max_steps, s.dtype) == ("cosine", 2000, "bfloat16")


@pytest.mark.parametrize(
    "text, said",
    [
        ("dataset = 'language'\nsedes = [0]", "unknown key of mine.toml 'sedes': did you mean"),
        ("dataset = 'language'\n[sizes]\nwidth = 3", "unknown key of mine.toml, .sizes. 'width'"),
        ("seeds = [0]", "missing 1 required positional argument: 'dataset'"),
        ("dataset = language", "mine.toml is not TOML"),
        ("dataset = 'language'\nseeds = []", "a study needs a seed"),
        ("dataset = 'language'\ndraws = 0", "draws is 0"),
    ],
)
def test_what_is_wrong_in_a_file_is_said(text, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("mine.toml").write_text(text)
    with pytest.raises(InputError, match=said):
        study.load("mine.toml")


def test_the_judge_reads_what_no_trial_reads():
    for text in "dataset = 'language'\nsizes = {block_size = 32}", "dataset = 'pydocs'":
        plan = study.filled(study.Study, tomllib.loads(text), "here")
        texts, whole = study.Texts.of(plan), corpora.load(plan.dataset)
        both = torch.cat([texts.ours.train, texts.judges.train])
        assert torch.equal(both, whole.tokens(texts.ours.tokenizer).train)
        assert len(texts.ours.train) % plan.sizes.block_size == 0
        assert abs(len(texts.ours.train) - len(texts.judges.train)) < 2 * plan.sizes.block_size


def test_the_second_text_has_the_same_rules_and_other_frequencies():
    truth, other = language(), flat()
    assert ((truth.P > 0) == (other.P > 0)).all()
    assert other.entropy(32) > truth.entropy(32)
    texts = other.sample(50, 32, torch.Generator().manual_seed(0))
    assert not any(grammatical(texts))


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A study of two seeds, its first trial stopped half way and gone on with."""
    home = tmp_path_factory.mktemp("study")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        Path("mini.toml").write_text(MINI)
        main = "study --preset mini.toml --out mini"
        assert cli.main(shlex.split(f"{main} --trial sqrt-entropy-1")) == 0
        assert cli.main(shlex.split(main)) == 0
    return home / "mini"


def test_every_trial_is_measured_on_the_same_windows_by_one_estimator(done):
    trials = {p.parent.name: json.loads(p.read_text()) for p in done.rglob("measures.json")}
    assert len(trials) == 24
    for trial in trials.values():
        assert len(trial["bound"]) == len(trial["own_exam"]) == len(trial["zero_shot"]) == 8
    one = checkpoint.load(done / "runs" / "sigmoid-entropy-1", "last").model.eval()
    x = study.Texts.of(study.load(done.parent / "mini.toml")).ours.validation[0]
    full = x[torch.linspace(0, len(x) - 1, 8).round().long()]
    with torch.no_grad():
        nats = one.nll_bound(full, torch.Generator().manual_seed(0), draws=2) / 32
    assert trials["sigmoid-entropy-1"]["bound"] == pytest.approx(nats.tolist(), rel=1e-6)


def test_masking_by_entropy_took_its_weights_from_the_judge(done):
    model = checkpoint.load(done / "runs" / "linear-entropy-0").model
    entropy = torch.from_numpy(np.load(done / "entropy.npy"))
    expected = (2 - entropy / entropy.mean()).clamp(0.5, 1.5)
    assert torch.allclose(model.weights, expected) and model.weights.std() > 0
    assert checkpoint.load(done / "runs" / "linear-uniform-0").model.weights is None


def test_a_report_says_what_was_found_and_no_more(done):
    text = (done / "report.md").read_text(encoding="utf-8")
    assert "\n24 trials" in text and text.count("| sigmoid ") == 2
    assert "the twins linear and loglinear lie" in text
    facts = json.loads((done / "results.json").read_text(encoding="utf-8"))
    assert set(facts["found"]) == {*MASKINGS, "entropy_minus_uniform"}
    assert report.text(facts) in text
    for name in ("curves.png", "forest.png"):
        assert (done / name).stat().st_size > 10_000


def test_what_is_done_is_not_done_again(done, capsys):
    before = {p: p.stat().st_mtime_ns for p in (done / "runs").rglob("measures.json")}
    assert cli.main(shlex.split(f"study --preset {done.parent}/mini.toml --out {done}")) == 0
    assert {p: p.stat().st_mtime_ns for p in before} == before


def test_another_study_does_not_write_into_the_folder_of_one(done, capsys):
    Path(done.parent / "other.toml").write_text(MINI.replace("max_steps = 4", "max_steps = 6"))
    assert cli.main(shlex.split(f"study --preset {done.parent}/other.toml --out {done}")) == 2
    assert "holds another study" in capsys.readouterr().err


def synthetic(rng, effects, seeds=4, noise=0.01):
    """Trials whose bound has these effects, and whose own exam has the reverse."""
    found = {}
    for seed in range(seeds):
        for masking in MASKINGS:
            for schedule, effect in zip(SCHEDULES, effects, strict=True):
                bound = 1 + effect + noise * rng.normal()
                found[f"{schedule}-{masking}-{seed}"] = dict(
                    schedule=schedule, masking=masking, seed=seed,
                    bound=bound, own_exam=1 - effect,
                )  # fmt: skip
    return found


@pytest.mark.parametrize("file", sorted(study.STUDIES.glob("*.json")), ids=lambda file: file.stem)
def test_what_is_stored_is_the_whole_study_of_the_preset_as_it_stands(file):
    stored, plan = report.stored(file.stem), study.load(file.stem)
    now, then = asdict(plan), stored["study"]
    for part in ("sizes", "settings", "judge"):
        assert then[part].items() <= now.pop(part).items()
    assert {k: v for k, v in then.items() if k in now} == json.loads(json.dumps(now))
    assert set(stored["trials"]) == {trial.id for trial in plan.trials}
    again = report.analyse(stored["trials"], generator())
    assert report.verdict(again) == report.verdict(stored["found"])


def test_what_was_not_run_is_not_stored():
    with pytest.raises(InputError, match="tiny"):
        report.stored("fineweb-124m")


def test_a_ranking_is_printed_only_outside_the_noise():
    rng = np.random.default_rng(0)
    nothing = report.verdict(report.analyse(synthetic(rng, [0] * 6), generator()))
    assert nothing.count("No ranking") == 2 and "better than" not in nothing
    said = report.verdict(report.analyse(synthetic(rng, [0, 0, 0, 0.5, 0, 0]), generator()))
    assert "linear is better than sqrt" in said
    assert "sqrt is better" not in said and "cosine is better than linear" not in said


def test_the_report_cries_wolf_in_at_most_one_of_twenty():
    """The same runs under shuffled names, 200 times."""
    rng = np.random.default_rng(1)
    trials = synthetic(rng, [0, 0.02, 0, 0.1, -0.05, 0.03])
    wolves, g = 0, generator()
    for _ in range(200):
        relabelled = {}
        for masking in MASKINGS:
            for seed in range(4):
                mine = [f"{s}-{masking}-{seed}" for s in SCHEDULES]
                for name, other in zip(mine, rng.permutation(mine), strict=True):
                    relabelled[name] = trials[name] | dict(bound=trials[other]["bound"])
        wolves += "better than" in report.verdict(report.analyse(relabelled, g))
    assert wolves <= 0.05 * 200
