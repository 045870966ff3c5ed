"""A study of passes finds the crossing that is there, and none where there is none."""

import math

import numpy as np
import pytest
import torch
from helpers import refusal

from nanoparadigm.commands import main as cli
from nanoparadigm.studies import passes
from nanoparadigm.studies.schedules.significance import student

MINI = """
dataset = "language"
tokens = 640
passes = [1, 2]
seeds = [0, 1]
windows = 8
draws = 2

[sizes]
n_layer = 1
n_head = 1
n_embd = 8
block_size = 32

[settings]
batch_size = 4

[variants.ar]
model = "ar"

[variants.ar-dropout]
model = "ar"
dropout = 0.5

[variants.diffusion]
model = "diffusion"
"""


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    folder = tmp_path_factory.mktemp("passes")
    (folder / "mini.toml").write_text(MINI)
    call = ["study", "--preset", str(folder / "mini.toml"), "--out", str(folder / "out")]
    cli.main([*call, "--workers", "1"])
    return folder, call


def test_all_trials_are_trained_for_the_steps_that_their_passes_take(done):
    folder, _ = done
    plan = passes.load(str(folder / "mini.toml"))
    rows = passes.collect(plan, folder / "out")
    masked = [row for row in rows if row["variant"].endswith(passes.LEFT)]
    assert len(rows) - len(masked) == len(plan.trials) == 2 * 2 * 3 and len(masked) == 2 * 2
    for trial in plan.trials:
        run = passes.checkpoint.load(folder / "out" / "runs" / trial.id, "last")
        assert run.config["settings"]["max_steps"] == trial.passes * 640 // (4 * 32)
        assert run.config["settings"]["seed"] == trial.seed
    by = {(r["variant"], r["passes"], r["seed"]): r["nats"] for r in rows}
    assert len({*by.values()}) == len(by)  # no variant is another one
    for row in masked:  # exact, and of the same network
        run = passes.checkpoint.load(
            folder / "out" / "runs" / f"diffusion-{row['passes']}-{row['seed']}", "last"
        )
        x = passes.read(plan).validation[0]
        x = x[torch.linspace(0, len(x) - 1, 8).round().long()]
        nll = [-sum(first_words(run.model, text)) / len(text) for text in x]
        assert row["exact"] and row["nats"] == pytest.approx(sum(nll) / 8, rel=1e-5)


@torch.no_grad()
def first_words(model, text):
    """log p of each token, from the tokens before it and masks."""
    for i, token in enumerate(text):
        z = torch.where(torch.arange(len(text)) < i, text, model.mask_id)[None]
        hidden = z == model.mask_id
        logits = model.denoise(z, hidden, torch.tensor([1 - i / len(text)]))
        yield float(logits.log_softmax(-1)[0, token])


def test_the_report_says_which_numbers_are_bounds_and_where_they_cross(done, capsys):
    folder, call = done
    cli.main([*call, "--report"])
    said = capsys.readouterr().out
    for word in ("<= ", "= ", "diffusion against ar-dropout", "2 passes", "1 pass "):
        assert word in said
    for name in ("report.md", "results.json", "curves.png"):
        assert (folder / "out" / name).exists()


def test_a_study_that_began_may_grow_and_not_change(done, tmp_path):
    folder, call = done
    cli.main([*call, "--seeds", "0", "--report"])
    for old, new in [("tokens = 640", "tokens = 512"), ("dropout = 0.5", "dropout = 0.4")]:
        (tmp_path / "other.toml").write_text(MINI.replace(old, new))
        plan = passes.load(str(tmp_path / "other.toml"))
        assert "holds another study" in refusal(passes.begin, plan, folder / "out")
    (tmp_path / "more.toml").write_text(MINI.replace("seeds = [0, 1]", "seeds = [0, 1, 2]"))
    passes.begin(passes.load(str(tmp_path / "more.toml")), folder / "out")


@pytest.mark.parametrize(
    "old, new, said",
    [
        ("passes = [1, 2]", "passes = [2, 1]", "passes must rise"),
        ("passes = [1, 2]", "passes = []", "at least one of each"),
        ("tokens = 640", "tokens = 0", "tokens is 0"),
        ("tokens = 640", "tokens = 640\nwidth = 3", "unknown key"),
        ('model = "diffusion"', 'model = "bert"', "unknown model"),
    ],
)
def test_what_is_no_study_of_passes_is_refused(tmp_path, old, new, said):
    (tmp_path / "bad.toml").write_text(MINI.replace(old, new))
    assert said in refusal(passes.load, str(tmp_path / "bad.toml"))


def test_a_text_that_is_too_short_is_refused(tmp_path):
    (tmp_path / "long.toml").write_text(MINI.replace("tokens = 640", "tokens = 640_000_000"))
    assert "give fewer" in refusal(passes.read, passes.load(str(tmp_path / "long.toml")))


def test_the_preset_asks_what_the_book_answers():
    plan = passes.load("passes")
    assert plan.passes[0] == 1 and plan.passes[-1] == 100 and len(plan.seeds) >= 3
    models = [variant.model for variant in plan.variants.values()]
    assert models.count("ar") == 4 and {"diffusion", "block"} < {*models}


def test_lines_cross_where_they_do():
    n = [1, 4, 16, 64]
    line = [math.log(10 / k) for k in n]
    assert math.isclose(passes.crossing(n, line), 10)
    assert passes.crossing(n, [1, 1, 1, 0]) is None  # to touch is not to cross
    assert passes.crossing(n, [-1, -1, 1, 2]) is None
    assert passes.crossing(n, [-1, -2, -1, -1]) == 1
    assert 16 < passes.crossing(n, [-1, 1, 1, -1]) < 64  # the last one counts


def rows(gaps):
    """A bound and a likelihood whose difference is given: seed -> gaps."""
    return [
        dict(variant=name, passes=n, seed=seed, nats=nats, read=1.0, exact=name == "a")
        for seed, gap in enumerate(gaps)
        for n, g in zip([1, 10, 100], gap, strict=True)
        for name, nats in [("a", 2.0), ("b", 2.0 + g)]
    ]


def test_a_crossing_is_claimed_only_where_all_seeds_cross():
    [all_] = passes.verdicts(rows([[1, 0.5, -0.5], [1, 1, -1], [1, 0.4, -0.4]]))
    assert "below from 31.6 passes on" in all_
    [some] = passes.verdicts(rows([[1, 1, -1], [1, 1, 1], [1, 1, -1]]))
    assert "for 2 of 3 seeds only" in some
    [none] = passes.verdicts(rows([[1, 1, 1]] * 3))
    assert "no crossing up to 100 passes" in none


def test_the_interval_of_student_covers_the_mean_as_often_as_it_says():
    draws = np.random.default_rng(0).normal(size=(2000, 3))
    ends = np.array([student(row)[1:] for row in draws[:400]])
    assert 0.92 < ((ends[:, 0] < 0) & (ends[:, 1] > 0)).mean() < 0.98
    assert student([1.0, 2.0, 3.0]) == pytest.approx((2, 2 - 2.4841, 2 + 2.4841), abs=1e-3)
    assert math.isnan(student([1.0])[1])
