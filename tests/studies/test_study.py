"""A study is what it says: twelve trials a seed that differ in schedule and masking alone, measured
alike, and reported with no ranking that the noise could have made."""

import json
import math
import os
import random
import shlex
import shutil
import signal
import subprocess
import sys
import time
import tomllib
import types
from contextlib import suppress
from copy import deepcopy
from dataclasses import asdict, fields, is_dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import generator, hostile

from nanoparadigm import SCHEDULES, InputError, atomic, build, corpora, evaluate, parameters
from nanoparadigm.commands import main as cli
from nanoparadigm.commands.study import Study as Command
from nanoparadigm.data.corpora import language_corpus
from nanoparadigm.data.tokenizers import CharTokenizer
from nanoparadigm.evaluate import likelihood
from nanoparadigm.evaluate.likelihood import Estimate
from nanoparadigm.language import flat, grammatical, language
from nanoparadigm.signals import EXIT_REQUEUE
from nanoparadigm.studies.schedules import bounds, report, study
from nanoparadigm.studies.schedules.study import MASKINGS
from nanoparadigm.studies.schedules.token_entropy import load
from nanoparadigm.training import checkpoint
from nanoparadigm.training.log import read_log

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


def leaves(value, path=()):
    """(path, value) of every field of a dataclass, those of its nested ones too."""
    for f in fields(value):
        here = getattr(value, f.name)
        if is_dataclass(here):
            yield from leaves(here, (*path, f.name))
        else:
            yield (*path, f.name), here


def test_the_hash_names_every_field_that_trials_share():
    plan = study.load("tiny")
    for path, value in leaves(plan):
        other = deepcopy(plan)
        part = other
        for name in path[:-1]:
            part = getattr(part, name)
        object.__setattr__(part, path[-1], "something else")
        assert (other.hash == plan.hash) == (path == ("seeds",)), (path, value)


OTHER = dict(
    network="mamba", tokenizer="bpe", decay="cosine", dtype="float32", model="gpt2", epochs=2.5
)


def test_every_key_of_a_file_arrives_in_its_own_place(tmp_path):
    """A file in which nothing is as it is by default, and every number another one."""
    tables, expected = {}, {}
    for n, (path, value) in enumerate(leaves(study.Study("language")), 1):
        name = path[-1]
        if name == "seeds":
            said = [5, 3]
        elif isinstance(value, bool):
            said = not value
        elif isinstance(value, int):
            said = value + n
        elif isinstance(value, float):
            said = value / 2 + n / 1000
        else:
            said = OTHER.get(name, f"the {name}")
        expected[path] = tuple(said) if isinstance(said, list) else said
        tables.setdefault(path[:-1], []).append(f"{name} = {json.dumps(said)}\n")
    text = "".join(
        "".join([f"[{'.'.join(path)}]\n" * bool(path), *tables[path]]) for path in tables
    )
    (tmp_path / "mine.toml").write_text(text)
    assert dict(leaves(study.load(tmp_path / "mine.toml"))) == expected


def test_trials_are_numbered_seed_by_seed_masking_by_masking():
    """The numbers are those of the tasks of a cluster: another order would mix up their runs."""
    ids = [trial.id for trial in replace(study.load("tiny"), seeds=(4, 1)).trials]
    names = ["linear", "cosine", "loglinear", "sqrt", "clipped_cosine", "sigmoid"]
    assert ids[:6] == [f"{name}-uniform-4" for name in names]
    assert ids[6:12] == [f"{name}-entropy-4" for name in names]
    assert ids[12:] == [name.replace("-4", "-1") for name in ids[:12]]


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
    assert parameters(model) == 123_536_640
    s = plan.settings
    assert s.max_steps * s.batch_size * plan.sizes.block_size == 3_276_800_000
    assert (s.muon_lr, s.lr, s.lr * s.final_lr) == (0, 6e-4, pytest.approx(6e-5))
    assert (s.decay, s.warmup * s.max_steps, s.dtype) == ("cosine", 2000, "bfloat16")


@pytest.mark.parametrize(
    "text, said",
    [
        ("dataset = 'language'\nsedes = [0]", "unknown key of mine.toml 'sedes': did you mean"),
        ("dataset = 'language'\n[sizes]\nwidth = 3", "unknown key of mine.toml, .sizes. 'width'"),
        ("seeds = [0]", "mine.toml cannot be used .object missing required field dataset"),
        ("dataset = language", "mine.toml is not TOML"),
        ("dataset = 'language'\nseeds = []", "a study needs a seed"),
        ("dataset = 'language'\ndraws = 0", "mine.toml: draws is 0"),
        ("dataset = 'language'\nsizes = 3", "mine.toml, sizes, cannot be used .expected object"),
        ("dataset = 'language'\nseeds = [-1]", "mine.toml: seed is -1"),
        (
            "dataset = 'language'\nseeds = ['a']",
            "mine.toml, seeds.0., cannot be used .expected int",
        ),
        ("dataset = 'language'\n[sizes]\nn_embd = 0x" + "f" * 9999, "n_embd has more than 64 bits"),
        ("dataset = 'language'\n[settings]\nlr = nan", "mine.toml: lr is nan"),
        ("dataset = 'language'\nx = " + "[" * 10**5, "mine.toml is not TOML"),
        ("dataset = 'caf\xe9'", "mine.toml is not UTF-8 text"),
        ("dataset = 'language'\nwindows = 1", "windows is 1, which has no standard error"),
    ],
)
def test_what_is_wrong_in_a_file_is_said(text, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("mine.toml").write_text(text, encoding="latin-1")
    with pytest.raises(InputError, match=said):
        study.load("mine.toml")


def toml(values, table=""):
    """A text of TOML, as far as `hostile` needs it: what it cannot write is left as JSON has it."""
    flat = {k: v for k, v in values.items() if not (isinstance(v, dict) and v)}
    lines = [f"{json.dumps(k)} = {json.dumps(v).lower()}\n" for k, v in flat.items()]
    inner = [toml(v, k) for k, v in values.items() if k not in flat]
    return "".join([f"[{table}]\n" * bool(table), *lines, *inner])


def test_a_file_that_was_edited_is_a_study_or_refused(tmp_path):
    file, refused = tmp_path / "mine.toml", 0
    whole = asdict(study.Study("language"))
    whole["settings"]["epochs"] = 2.5
    file.write_text(toml(whole))
    assert study.load(file) == study.filled(study.Study, whole, "")
    for edited in hostile(whole, 400, toml):
        file.write_bytes(edited)
        try:
            assert study.load(file).trials
        except InputError as error:
            refused += 1
            assert str(file) in str(error) or str(error).startswith("unknown"), edited
            assert "\n" not in str(error)
    assert refused > 200


@pytest.mark.parametrize(
    "array",
    [
        np.ones(6, np.float32),
        np.ones((7, 1), np.float32),
        np.ones(7),
        np.zeros(7, np.float32),
        -np.ones(7, np.float32),
        np.full(7, np.nan, np.float32),
        np.full(7, np.inf, np.float32),
        np.array(["a"] * 7),
        np.array([{}] * 7),
    ],
)
def test_entropies_of_another_kind_are_refused(array, tmp_path):
    np.save(tmp_path / "entropy.npy", array)
    with pytest.raises(InputError, match="entropy.npy does not hold the entropies of 7 tokens: de"):
        load(tmp_path / "entropy.npy", 7)


def test_damaged_entropies_are_refused_or_read(tmp_path):
    file, chance = tmp_path / "entropy.npy", random.Random(0)
    np.save(file, np.arange(7, dtype=np.float32))
    whole = file.read_bytes()
    assert load(file, 7).tolist() == [*range(7)]
    for i in range(200):
        damaged = bytearray(whole)
        damaged[chance.randrange(len(whole))] = chance.randrange(256)
        file.write_bytes(damaged if i % 2 else whole[: chance.randrange(len(whole))])
        with suppress(InputError):
            assert load(file, 7).shape == (7,)


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
        command = "study --preset mini.toml --out mini"
        assert cli.main(shlex.split(f"{command} --trial sqrt-entropy-1")) == 0
        assert cli.main(shlex.split(command)) == 0
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
        nats = one.nll_bound(full, torch.Generator().manual_seed(0), num_samples=2) / 32
    assert trials["sigmoid-entropy-1"]["bound"] == pytest.approx(nats.tolist(), rel=1e-6)


def test_the_excess_is_against_the_exact_probability_of_the_same_windows(done):
    measures = json.loads((done / "runs/sqrt-uniform-0/measures.json").read_text())
    assert set(measures) == study.MEASURED
    x = study.Texts.of(study.load(done.parent / "mini.toml")).ours.validation[0]
    full = x[torch.linspace(0, len(x) - 1, 8).round().long()]
    exact = -language().log_prob(full) / 32
    bound = torch.tensor(measures["bound"], dtype=torch.double)
    assert measures["excess"] == pytest.approx((bound - exact).tolist(), abs=1e-6)
    assert measures["entropy"] == pytest.approx(language().entropy(32) / 32)


def test_real_texts_stand_beside_what_is_written(done):
    """They have no mistakes, are the same for all trials, and are those of the validation split."""
    found = [json.loads(p.read_text()) for p in done.rglob("measures.json")]
    real = found[0]["real"]
    assert all(f["real"] == real for f in found)
    assert real["ungrammatical"]["mean"] == 0 and not any(real["mistakes"].values())
    assert found[0]["written"]["judged"]["mean"] != real["judged"]["mean"]


def test_masking_by_entropy_took_its_weights_from_the_judge(done):
    model = checkpoint.load(done / "runs" / "linear-entropy-0").model
    entropy = torch.from_numpy(np.load(done / "entropy.npy"))
    expected = (2 - entropy / entropy.mean()).clamp(0.5, 1.5)
    assert torch.allclose(model.weights, expected) and model.weights.std() > 0
    assert checkpoint.load(done / "runs" / "linear-uniform-0").model.weights is None


def test_a_report_says_what_was_found_and_no_more(done):
    text = (done / "report.md").read_text(encoding="utf-8")
    assert "\n24 trials" in text and text.count("| sigmoid ") == 4
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


def test_a_report_can_be_had_of_what_is_done_so_far(done, tmp_path, capsys):
    shutil.copytree(done, tmp_path / "mini")
    (tmp_path / "mini/runs/cosine-uniform-1/measures.json").unlink()
    shutil.rmtree(tmp_path / "mini/judge")
    line = f"study --preset {done.parent}/mini.toml --out {tmp_path}/mini"
    assert cli.main(shlex.split(f"{line} --status")) == 0
    assert capsys.readouterr().out.count(" done ") == 23  # of the seeds that it was begun with
    assert cli.main(shlex.split(f"{line} --report")) == 0
    said = capsys.readouterr().out
    assert "Not done yet: 1 of 24 trials. 23 trials, " in said
    assert "Masking entropy, 2 seeds" in said and "Masking uniform, 1 seed:" in said
    assert not (tmp_path / "mini/runs/cosine-uniform-1/measures.json").exists()


NEVER = "max_steps = 1_000_000\nlog_interval = 1"
ENDLESS = MINI.replace("max_steps = 4", NEVER).replace("interval = 2", "interval = 1_000_000")


@pytest.fixture
def under_way(tmp_path):
    """A process with a study of trials without end, two at a time, once both have begun to learn;
    and its folder."""
    (tmp_path / "endless.toml").write_text(ENDLESS)
    line = "-m nanoparadigm study --preset endless.toml --out endless --workers 2"
    process = subprocess.Popen(
        [sys.executable, *shlex.split(line)], cwd=tmp_path, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    while len([*tmp_path.glob("endless/runs/*/log.jsonl")]) < 2:
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.1)
    yield process, tmp_path / "endless"
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def nobody_is_left(group):
    """All processes of a group are gone, after a while."""
    for _ in range(300):
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.1)
    return False


def test_a_study_told_to_stop_saves_both_trials_and_leaves_nobody_behind(under_way):
    process, folder = under_way
    process.terminate()
    out, err = process.communicate(timeout=120)
    assert process.returncode == EXIT_REQUEUE and "the same command continues" in out, err
    assert nobody_is_left(process.pid)
    runs = [*(folder / "runs").iterdir()]
    assert len(runs) == 2  # and no third was begun
    for run in runs:
        assert study.steps_done(run) == read_log(run)[-1]["step"] > 0


def test_the_trials_of_a_study_that_is_killed_save_and_end(under_way):
    process, folder = under_way
    process.kill()
    process.communicate(timeout=120)  # until nobody holds its output any more
    assert nobody_is_left(process.pid)
    assert all(study.steps_done(run) > 0 for run in (folder / "runs").iterdir())


def test_a_trial_that_fails_leaves_the_others_alone(done, tmp_path, capsys):
    shutil.copytree(done, tmp_path / "mini")
    names = ["cosine-uniform-1", "sqrt-entropy-0"]
    held, other = (tmp_path / "mini/runs" / name for name in names)
    for run in (held, other):
        (run / "measures.json").unlink()
    line = f"study --preset {done.parent}/mini.toml --out {tmp_path}/mini"
    with atomic.sole_writer(held), pytest.raises(SystemExit, match="1"):
        cli.main(shlex.split(line))
    said = capsys.readouterr()
    assert said.err.startswith(f"{names[0]} failed: ") and said.err.count("\n") == 1
    assert (other / "measures.json").exists() and "Not done yet: 1 of 24" in said.out
    assert cli.main(shlex.split(line)) == 0 and (held / "measures.json").exists()


def test_another_study_does_not_write_into_the_folder_of_one(done, capsys):
    Path(done.parent / "other.toml").write_text(MINI.replace("max_steps = 4", "max_steps = 6"))
    assert cli.main(shlex.split(f"study --preset {done.parent}/other.toml --out {done}")) == 2
    assert "holds another study" in capsys.readouterr().err


def test_what_an_earlier_version_measured_is_measured_again(done, tmp_path, monkeypatch):
    shutil.copytree(done, tmp_path / "mini")
    file = tmp_path / "mini/runs/sqrt-uniform-0/measures.json"
    whole = json.loads(file.read_text())
    atomic.write_json(file, {k: v for k, v in whole.items() if k != "excess"})
    plan = study.load(done.parent / "mini.toml")
    left = [trial.id for trial in plan.trials if not study.is_done(tmp_path / "mini", trial)]
    assert left == ["sqrt-uniform-0"]
    assert " 23 trials, " in report.write(tmp_path / "mini")
    monkeypatch.chdir(tmp_path)
    command = f"study --preset {done.parent}/mini.toml --out mini --trial sqrt-uniform-0"
    assert cli.main(shlex.split(command)) == 0
    assert json.loads(file.read_text()) == whole


def test_a_report_says_when_a_bound_was_reached(done):
    """The first evaluation of each run that is as low as the last of the worst."""
    logs = {p.parent.name: read_log(p.parent) for p in done.rglob("runs/*/log.jsonl")}
    nats = max(log[-1]["val"] for log in logs.values())
    row = next(
        line.split("|")
        for line in (done / "report.md").read_text(encoding="utf-8").splitlines()
        if line.startswith("| cosine ") and " entropy " in line
    )
    reached = [
        next(r for r in logs[f"cosine-entropy-{seed}"] if r.get("val", nats + 1) <= nats)
        for seed in (0, 1)
    ]
    for place, name, digits in (-3, "step", 0), (-2, "seconds", 1):
        mean = sum(r[name] for r in reached) / 2
        assert row[place].split("±")[0].strip() == f"{mean:.{digits}f}"


# ------------------------------------------------------------- each part, on a text known by heart

LETTERS = "abcdefg"
# 900 letters to train on, of which the first half has others than the second, and 100 to score on
FIRST = "".join(LETTERS[i] for i in torch.randint(5, (450,), generator=generator()))
FIRST += "".join(LETTERS[i] for i in torch.randint(2, 7, (550,), generator=generator(1)))
SECOND = "".join((LETTERS + "XY")[i] for i in torch.randint(9, (400,), generator=generator(2)))
SECOND = SECOND.replace("Y", "a").replace("X", "b", 30)


def by_heart(folder, **changes):
    """A Study of that text, and what it reads."""
    for name, text in ("first", FIRST), ("second", SECOND):
        (folder / f"{name}.txt").write_text(text)
    options = dict(
        dataset=str(folder / "first.txt"), zero_shot=str(folder / "second.txt"),
        windows=4, draws=2, samples=3, sampling_steps=5, seeds=(0, 6),
        sizes=study.NetworkConfig(n_layer=1, n_head=1, n_embd=8, block_size=16),
        settings=study.Settings(max_steps=9, batch_size=2), judge=study.Judge(max_steps=7),
    )  # fmt: skip
    plan = study.Study(**options | changes)
    return plan, study.Texts.of(plan)


def letters(tokens):
    return "".join(LETTERS[i] for i in tokens.flatten().tolist())


class Prices:
    """A judge with a price list for every letter after every other, and for the first of a text."""

    name, device, vocab_size = "prices", "cpu", 7

    def __init__(self):
        self.log_p = torch.randn(8, 7, generator=generator(3)).log_softmax(-1)

    def logits(self, x):
        return self.log_p[torch.cat([torch.full((len(x), 1), 7), x[:, :-1]], 1)]

    def endings(self, x):
        return x.float()

    def rows(self, text):
        """Log-probabilities at every place of a text of letters."""
        return [self.log_p[i].tolist() for i in [7, *map(LETTERS.index, text[:-1])]]

    def price(self, text):
        rows = zip(self.rows(text), text, strict=True)
        return -sum(row[LETTERS.index(letter)] for row, letter in rows) / len(text)


def noted(asked, then=lambda **facts: None):
    """A `train` that only notes what it is asked for."""

    def train(model, data, settings, run, resume, stop):
        asked.append(dict(model=model, data=data, settings=settings, run=run, resume=resume))
        then(**asked[-1])
        yield {}

    return train


def test_the_halves_are_whole_windows_that_share_nothing(tmp_path):
    """450 letters are 28 windows of 16 and two letters."""
    plan, texts = by_heart(tmp_path)
    assert letters(texts.ours.train) == FIRST[:448]
    assert letters(texts.judges.train) == FIRST[448:900]
    for part in texts.ours, texts.judges:
        assert letters(part.validation[0]) + letters(part.validation[1]) == FIRST[900:]


def test_the_judge_learns_the_half_that_no_trial_reads(tmp_path):
    """As long as it is told, by seed 0, and else like the trials; and it is of this half, or of the
    beginning of it, that it says how hard each token is."""
    reader = Prices()
    for n, (most, read) in enumerate([(2**20, 448), (100, 96)]):
        folder, asked = tmp_path / str(n), []
        folder.mkdir()
        plan, texts = by_heart(folder)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(study, "train", noted(asked))
            patch.setattr(study, "judge", lambda *_: reader)
            patch.setattr(study, "ENTROPY_TOKENS", most)
            assert len([*study.train_judge(plan, texts, folder)]) == 1
        [fact] = asked
        assert letters(fact["data"].train) == FIRST[448:900]
        assert fact["settings"] == replace(plan.settings, max_steps=7, seed=0)
        assert fact["model"].exact and fact["run"] == folder / "judge"
        hard = {letter: [] for letter in LETTERS}
        for start in range(448, 448 + read, 16):
            text = FIRST[start : start + 16]
            for row, letter in zip(reader.rows(text), text, strict=True):
                hard[letter].append(-sum(math.exp(log_p) * log_p for log_p in row))
        everywhere = sum(hard.values(), [])
        mean = sum(everywhere) / read
        found = np.load(folder / "entropy.npy")
        expected = [sum(h) / len(h) if h else mean for h in hard.values()]
        assert found == pytest.approx(expected, rel=1e-5)
        said = json.loads((folder / "entropy.json").read_text())
        assert said == dict(
            model="ar", corpus=plan.dataset, tokens=read, default=pytest.approx(mean, rel=1e-5),
            coverage=sum(map(bool, hard.values())) / 7,
        )  # fmt: skip


def test_a_trial_learns_the_half_that_the_judge_does_not_by_its_own_seed(tmp_path):
    """Its order of the data and its noise, its weights, and what it masks more than others."""
    plan, texts = by_heart(tmp_path)
    entropy = np.array([1.0, 0.2, 0.9, 2.0, 1.1, 0.6, 1.2], dtype=np.float32)  # 1 on the average
    np.save(tmp_path / "entropy.npy", entropy)
    asked = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(study, "train", noted(asked))
        for trial in (t for t in plan.trials if t.schedule == "sqrt"):
            assert len([*study.train_trial(plan, trial, texts, tmp_path)]) == 1
            fact, model = asked[-1], asked[-1]["model"]
            assert letters(fact["data"].train) == FIRST[:448]
            assert fact["settings"] == replace(plan.settings, seed=trial.seed)
            assert fact["run"] == tmp_path / "runs" / trial.id and not fact["resume"]
            made = build(
                "diffusion", 7, network="transformer", seed=trial.seed, **asdict(plan.sizes)
            )
            assert all(map(torch.equal, model.parameters(), made.parameters()))
            if trial.masking == "uniform":
                assert model.weights is None
            else:
                expected = [1.0, 1.5, 1.1, 0.5, 0.9, 1.4, 0.8]
                assert model.weights.tolist() == pytest.approx(expected)
    assert sorted(fact["settings"].seed for fact in asked) == [0, 0, 6, 6]


def test_a_seed_reaches_the_weights(tmp_path):
    plan, _ = by_heart(tmp_path, seeds=(0, 3))
    first, other = (plan.model(plan.trials[number], 7) for number in (7, 19))
    made = build("diffusion", 7, network="transformer", seed=3, **asdict(plan.sizes))
    assert first.schedule.name == other.schedule.name == "cosine"
    assert all(map(torch.equal, other.parameters(), made.parameters()))
    assert not all(map(torch.equal, other.parameters(), first.parameters()))


def test_a_trial_is_measured_once_at_its_last_step(tmp_path):
    plan, texts = by_heart(tmp_path)
    trial, measured = plan.trials[0], []
    steps = iter([(9, 8), (None, 9), (None, 9)])  # of the best checkpoint and of the last

    def then(run, **_):
        best, last = next(steps)
        for step in filter(None, (best, last)):
            (run / f"step-{step}").mkdir(parents=True, exist_ok=True)
            atomic.write_json(run / f"step-{step}/config.json", dict(step=step))
        atomic.write_json(run / "run.json", dict(best="step-9", last=f"step-{last}"))

    def measure(*arguments):
        measured.append(arguments)
        return dict.fromkeys(study.MEASURED, 5)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(study, "train", noted([], then))
        patch.setattr(study, "measure", measure)
        for n in (0, 1, 1):
            for _ in study.train_trial(plan, trial, texts, tmp_path):
                pass
            assert len(measured) == n and study.is_done(tmp_path, trial) == bool(n)
    folder = tmp_path / "runs" / trial.id
    assert measured == [(plan, folder, texts, tmp_path)]
    assert json.loads((folder / "measures.json").read_text())["bound"] == 5


def test_what_is_measured_is_the_last_checkpoint_and_each_number_its_own(tmp_path):
    """A run whose best checkpoint is not its last, a judge whose prices are known, a second text of
    which a share is left out, and parts that are told their answers."""
    plan, texts = by_heart(tmp_path)
    trial, reader, folder = plan.trials[1], Prices(), tmp_path / "run"
    models = [plan.model(replace(trial, seed=seed), 7) for seed in (11, 12)]
    for step, model in enumerate(models, 1):
        for p in model.parameters():
            p.data += 0.5 * torch.randn(p.shape, generator=generator(step))
        config = dict(step=step, seconds=20.5 + step)
        checkpoint.save(folder, model, texts.ours.tokenizer, config, {}, best=step == 1)
    samples = torch.randint(7, (3, 16), generator=generator(5))
    asked = []

    def sample(*arguments):
        asked.append(arguments[1:])
        return samples

    def snr(model, data, batch_size):
        asked.append((model.schedule.name, letters(data.train), batch_size))
        return 3.25

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(study, "sample", sample)
        patch.setattr(study, "gradient_snr", snr)
        patch.setattr(study, "judge", lambda *_: reader)
        patch.setattr(evaluate, "nats_per_bit", lambda data: len(data.validation[0]) / 10)
        found = study.measure(plan, folder, texts, tmp_path)

    kept = "".join(letter for letter in SECOND[360:] if letter in LETTERS)
    first = [FIRST[900 + 16 * i :][:16] for i in (0, 2, 3, 5)]  # 4 of 6, evenly spread
    second = [kept[16 * i :][:16] for i in range(len(kept) // 16)]
    last, noise = models[1].eval(), generator

    def tokens(windows):
        return torch.tensor([[*map(LETTERS.index, text)] for text in windows])

    with torch.no_grad():
        bound = last.nll_bound(tokens(first), noise(0), num_samples=2) / 16
        other = last.nll_bound(tokens(second), noise(0), num_samples=2) / 16
        marks = bounds.in_schedule_cross_entropy(last, tokens(first), noise(0), num_samples=2) / 16
    assert found["bound"] == pytest.approx(bound.tolist(), rel=1e-5)
    assert found["zero_shot"] == pytest.approx(other.tolist(), rel=1e-5)
    assert found["own_exam"] == pytest.approx(marks.tolist(), rel=1e-5)
    assert 0 < found["left_out"] == pytest.approx(1 - len(kept) / 40)
    assert found["nats_per_bit"] == dict(bound=0.6, zero_shot=len(second) / 10)
    assert len(second) != 6
    assert asked == [(3, 16, 5), ("cosine", FIRST[:448], 2)]
    assert (found["gradient_snr"], found["judge"], found["seconds"]) == (3.25, "prices", 22.5)
    assert found["excess"] is found["entropy"] is None
    judged = [reader.price(letters(text)) for text in samples]
    assert found["written"]["judged"]["mean"] == pytest.approx(sum(judged) / 3, rel=1e-5)


def test_the_excess_is_over_what_walking_through_the_language_costs(tmp_path):
    """Word after word, by the probabilities of the state it is in; and the entropy by the chances
    of the states, place after place."""
    sizes = study.NetworkConfig(n_layer=1, n_head=1, n_embd=8, block_size=32)
    plan = study.Study("language", windows=3, draws=1, sizes=sizes)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(corpora, "load", lambda name: language_corpus(n_train=100, n_validation=41))
        texts, folder = study.Texts.of(plan), tmp_path / "run"
    model = plan.model(plan.trials[0], 32)
    checkpoint.save(folder, model, texts.ours.tokenizer, dict(step=1, seconds=1), {}, best=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(study, "sample", lambda *_: None)
        patch.setattr(study, "gradient_snr", lambda *_: None)
        patch.setattr(study, "score_samples", lambda *_: {})
        patch.setattr(study, "judge", lambda *_: Prices())
        found = study.measure(plan, folder, texts, tmp_path)
    truth, split = language(), texts.ours.validation[0].tolist()
    P, after = truth.P.tolist(), truth.successor.tolist()
    chosen = [split[0], split[round((len(split) - 1) / 2)], split[-1]]
    for bound, excess, text in zip(found["bound"], found["excess"], chosen, strict=True):
        state, cost = 0, 0.0
        for word in text:
            cost -= math.log(P[state][word])
            state = after[state][word]
        assert excess == pytest.approx(bound - cost / 32, abs=1e-6)
    chance, entropy = {0: 1.0}, 0.0
    for _ in range(32):
        then = {}
        for state, p in chance.items():
            for word, q in enumerate(P[state]):
                if q:
                    entropy -= p * q * math.log(q)
                    then[after[state][word]] = then.get(after[state][word], 0) + p * q
        chance = then
    assert found["entropy"] == pytest.approx(entropy / 32)
    assert found["zero_shot"] is found["nats_per_bit"]["zero_shot"] is None


def test_the_judge_of_a_study_is_the_one_it_has_trained(tmp_path):
    plan, texts = by_heart(tmp_path)
    model = build("ar", 7, seed=5, **asdict(plan.sizes))
    tokenizer = texts.ours.tokenizer
    checkpoint.save(tmp_path / "judge", model, tokenizer, dict(step=7), {}, best=True)
    judge, x = study.judge(plan, tmp_path), texts.ours.validation[0]
    assert judge.name == "an autoregressive model of the other half of the text (7 steps)"
    assert torch.equal(judge.logits(x), model.eval().logits(x))


def test_the_folder_of_a_study_is_named_for_its_preset():
    assert Command().folder == "studies/tiny"
    assert Command(preset="some/where/mine.toml").folder == "studies/mine"
    assert Command(preset="some/where/mine.toml", out="here").folder == "here"


def test_samples_go_on_with_one_noise_in_as_many_steps_as_are_asked(monkeypatch):
    model, asked = types.SimpleNamespace(device="cpu", vocab_size=7), []

    def sample(n, length, noise, steps):
        asked.append((n, length, steps))
        return torch.randint(7, (n, length), generator=noise)

    model.sample = sample
    monkeypatch.setattr(likelihood, "MAX_LOGITS", 2 * 16 * 7)
    found, noise = study.sample(model, 5, 16, 9), generator(0)
    assert asked == [(2, 16, 9), (2, 16, 9), (1, 16, 9)]
    expected = [torch.randint(7, (n, 16), generator=noise) for n in (2, 2, 1)]
    assert torch.equal(found, torch.cat(expected))


def test_the_own_exam_takes_the_draws_it_is_asked_for(monkeypatch):
    asked = []

    def own_exam(model, x, noise, draws):
        asked.append((draws, noise.initial_seed()))
        return x.sum(1).float() * draws

    monkeypatch.setattr(bounds, "in_schedule_cross_entropy", own_exam)
    model = types.SimpleNamespace(device="cpu", vocab_size=7)
    assert study.in_schedule_cross_entropy(
        model, torch.tensor([[1, 2, 3, 4], [5, 6, 0, 0]]), 3
    ) == [7.5, 8.25]
    assert asked == [(3, 0)]


class Noisy(torch.nn.Module):
    """A model whose gradient is known: its mean mu, and noise of variance 1 in every component for
    each row of a batch."""

    device, vocab_size = "cpu", 7

    def __init__(self, mu):
        super().__init__()
        self.mu = mu
        self.theta = torch.nn.Parameter(torch.zeros(len(mu)))

    def noise(self, x, generator):
        return (torch.randn(len(x), len(self.mu), generator=generator),)

    def loss_terms(self, x, noise):
        return ((self.mu + noise) @ self.theta).sum(), torch.tensor(len(x))


@pytest.mark.parametrize("size", [0.0, 0.02])
@pytest.mark.parametrize("batch", [1, 6])
def test_signal_to_noise_is_that_of_a_gradient_known_in_closed_form(size, batch, tmp_path):
    """|mu|^2 over D / batch, for D components; of no signal 0, and not the 1 / draws that the noise
    of the mean leaves. By its definition the estimate of a numerator and a denominator that both
    vary: over many components hardly."""
    signal_to_noise(size, batch, tmp_path)


def signal_to_noise(size, batch, folder):
    D, draws = 40_000, 4
    _, texts = by_heart(folder)
    found = study.gradient_snr(Noisy(torch.full((D,), size)), texts.ours, batch, draws)
    expected = size**2 * batch
    # the variance of a mean of squares of D normal numbers, and of its product with mu
    error = (2 / D) ** 0.5 / draws + 2 * (expected / draws / D) ** 0.5 + expected * (1 / D) ** 0.5
    assert abs(found - expected) < 4.5 * error


def test_the_time_of_a_trial_is_that_of_six_operations_at_half_the_speed_of_a_product(tmp_path):
    """Five products of matrices of a thousand rows took four seconds, says the clock."""
    plan, _ = by_heart(tmp_path)
    ticks = iter([100.0, 104.0])
    with pytest.MonkeyPatch.context() as patch:
        clock = types.SimpleNamespace(perf_counter=lambda: next(ticks))
        patch.setattr(study, "time", clock)
        size, seconds = study.size_and_seconds(plan, 1000)
    model = build("diffusion", 7, network="transformer", **asdict(plan.sizes))
    assert size == sum(p.numel() for p in model.parameters())
    operations_a_second = 5 * 2 * 1024 * 1024 * 1024 / 4
    assert seconds == pytest.approx(6 * size * 1000 / operations_a_second * 2)


def test_a_dry_run_counts_the_tokens_and_the_time_of_all_trials(tmp_path):
    """40 steps of 2 x 3 windows of 16, and 24 trials of a minute and a half."""
    settings = study.Settings(max_steps=40, batch_size=2, grad_accumulation=3)
    plan, _ = by_heart(tmp_path, settings=settings)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(study, "size_and_seconds", lambda study, tokens: (tokens + 1, 90.0))
        said = Command().plan(plan)
    head, _, *lines = [
        [cell.strip() for cell in line.split("|")[1:-1]]
        for line in said.splitlines()
        if line.startswith("|")
    ]
    assert head == "number trial schedule masking seed parameters tokens".split()
    assert lines[19] == ["19", "cosine-entropy-6", "cosine", "entropy", "6", "3,841", "3,840"]
    assert len(lines) == 24 and f"24 trials, configuration {plan.hash}: " in said
    assert "about 90 seconds each on this machine, 36 minutes in all" in said


def test_a_trial_is_chosen_by_the_number_of_the_dry_run_or_by_its_name():
    plan = study.load("tiny")
    assert [t.id for t in Command(trial="13").chosen(plan)] == ["cosine-uniform-1"]
    assert [t.id for t in Command(trial="0").chosen(plan)] == ["linear-uniform-0"]
    assert [t.id for t in Command(trial="sqrt-entropy-2").chosen(plan)] == ["sqrt-entropy-2"]
    assert Command(trial="judge").chosen(plan) == [] and Command().chosen(plan) == plan.trials
    with pytest.raises(InputError, match="unknown trial '36'"):
        Command(trial="36").chosen(plan)


@pytest.mark.parametrize("strange, fits", [(10, True), (11, False)])
def test_a_tenth_of_a_second_text_may_be_left_out_and_no_more(strange, fits):
    text = "a" * (100 - strange) + "?" * (strange - 1) + "!"
    corpus = corpora.Corpus("other", "train", text)
    if fits:
        kept, left_out = study.readable(corpus, CharTokenizer("abc"))
        assert kept.validation == kept.train == "a" * 90 and left_out == pytest.approx(0.1)
    else:
        with pytest.raises(InputError, match="11% of the characters of other are not in"):
            study.readable(corpus, CharTokenizer("abc"))


# --------------------------------------------------------------------------------- a second text


def text_study(folder, second, **changes):
    """A Study of a text of letters and spaces, with that second text."""
    (folder / "first.txt").write_text("a bird in the hand is worth two in the bush " * 30)
    (folder / "second.txt").write_text(second)
    options = dict(dataset=str(folder / "first.txt"), zero_shot=str(folder / "second.txt"))
    return study.Study(sizes=study.NetworkConfig(block_size=16), **options | changes)


def test_a_second_text_is_read_without_what_the_alphabet_lacks(tmp_path):
    text = "seven birds in 4 hands " * 50  # v and 4 are no letters of the first
    texts = study.Texts.of(text_study(tmp_path, text))
    tokens = torch.cat([part.flatten() for part in texts.zero_shot.validation])
    held_out = text[len(text) * 9 // 10 :]
    read = texts.zero_shot.tokenizer.decode(tokens)
    assert read == "".join(c for c in held_out if c not in "v4")
    assert texts.left_out == pytest.approx(1 - len(read) / len(held_out)) and texts.left_out > 0.05
    bpe = study.Texts.of(text_study(tmp_path, text, tokenizer="bpe"))
    assert bpe.left_out == 0 and bpe.zero_shot.characters_per_token > 1


@pytest.mark.parametrize(
    "second, said",
    [
        ("Π και Σ " * 100, "of the characters of .*second.txt are not in the alphabet"),
        ("a hand", "split of .*second.txt holds 1 of the 16 tokens"),
    ],
)
def test_a_second_text_that_cannot_be_read_ends_a_study_before_it_begins(second, said, tmp_path):
    with pytest.raises(InputError, match=said):
        study.begin(text_study(tmp_path, second), tmp_path / "study")
    assert not (tmp_path / "study").exists()


def test_a_second_text_of_other_words_is_refused_too(tmp_path):
    (tmp_path / "second.txt").write_text("other words " * 99)
    plan = replace(study.load("tiny"), zero_shot=str(tmp_path / "second.txt"))
    with pytest.raises(InputError, match="which this tokenizer has never seen"):
        study.begin(plan, tmp_path / "study")


# ------------------------------------------------------------------------------------- the report


def measured(seed=0, mauve=None, **changes):
    """What is known of a trial on a text, as `report.collect` has it."""

    def written(judged):
        found = dict(judged=dict(mean=judged, se=0.01), tokens=dict(mean=2.5, se=0.02))
        return found | dict(distinct={"1": 0.01, "2": 0.1, "3": 0.5}, mauve=mauve)

    return dict(
        schedule="linear", masking="uniform", seed=seed, bound=1.5, bound_se=0.03, own_exam=1.2,
        own_exam_se=0.04, excess=None, entropy=None, zero_shot=2.0, zero_shot_se=0.05,
        left_out=0.048, gradient_snr=7.0, judge="a judge", written=written(2.0),
        real=written(1.0), nats_per_bit=dict(bound=0.6, zero_shot=0.8),
        independent=dict(bound=False, zero_shot=False),
        curve=[dict(step=10, seconds=3.0, val=1.9), dict(step=20, seconds=6.0, val=1.6)],
    ) | changes  # fmt: skip


def row(table, name="linear"):
    head, _, *lines = table.splitlines()
    cells = next(line for line in lines if line.startswith(f"| {name} "))
    names = [cell.strip() for cell in head.split("|")]
    return dict(zip(names, (c.strip() for c in cells.split("|")), strict=True))


def test_bits_per_character_stand_beside_nats_per_token_of_a_text():
    found = row(report.model_quality_table({"a": measured()}))
    assert (
        found["bound"] == "<= 1.500 ± 0.030" and found["bits per character"] == "<= 2.500 ± 0.050"
    )
    said = report.model_quality_notes({"a": measured()})
    assert "One nat per token is 1.6667 bits per character" in said
    assert "without 4.8% of its characters" in said


def test_errors_are_over_seeds_where_there_are_some():
    trials = {"a": measured(0, bound=1.4), "b": measured(1, bound=1.6)}
    found = row(report.model_quality_table(trials))
    assert (
        found["bound"] == "<= 1.500 ± 0.100" and found["bits per character"] == "<= 2.500 ± 0.167"
    )
    assert found["own exam"] == "1.200 ± 0.000"


def test_mauve_is_said_with_its_n_length_and_embedder_or_how_to_get_it():
    without = {"a": measured()}
    assert "MAUVE" not in report.sample_quality_table(without).splitlines()[0]
    assert "pip install 'nanoparadigm[mauve]'" in report.sample_quality_notes(without)
    mauve = dict(mean=0.75, n=128, length=64, embedder="the last hidden state of a judge")
    trials = {"a": measured(mauve=mauve)}
    table, said = report.sample_quality_table(trials), report.sample_quality_notes(trials)
    assert row(table)["MAUVE"] == "0.750" and row(table, "real texts")["judged"] == "1.000 ± 0.010"
    assert "128 texts of 64 tokens" in said and "the last hidden state of a judge" in said


def test_what_is_written_down_is_left_alone_by_the_tasks_that_begin_at_once(tmp_path):
    plan, file = study.load("tiny"), tmp_path / "study.json"
    study.begin(plan, tmp_path)
    before = file.stat()
    study.begin(plan, tmp_path)
    assert (file.stat().st_ino, file.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    study.begin(replace(plan, seeds=(7,)), tmp_path)
    assert "linear-uniform-7" in json.loads(file.read_text())["trials"]


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


@pytest.mark.parametrize("name", report.STORED)
def test_what_is_stored_is_the_whole_study_of_the_preset_as_it_stands(name):
    stored, plan = report.stored(name), study.load(name)
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


def test_errors_over_the_windows_of_a_text_are_those_of_a_text():
    """And over sequences that were drawn one by one, of these."""
    values = torch.cat([torch.zeros(64), torch.ones(64)]).tolist()
    text, alone = Estimate.of_text(torch.tensor(values)).se, Estimate.of(torch.tensor(values)).se
    assert text > 2 * alone
    for independent in (dict(bound=False, zero_shot=True), dict(bound=True, zero_shot=False)):
        for name, key in ("bound", "bound"), ("own_exam", "bound"), ("zero_shot", "zero_shot"):
            expected = alone if independent[key] else text
            assert report.standard_error(values, independent, name) == expected
