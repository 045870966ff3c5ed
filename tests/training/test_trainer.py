"""Training repeats itself bit for bit however it is interrupted, and touches nothing else."""

import functools
import itertools
import json
import math
import re
import shutil
from copy import deepcopy
from dataclasses import asdict, replace
from types import SimpleNamespace
from unittest.mock import patch

import numpy as np
import pytest
import torch
from helpers import CELLS, LENGTH, TINY, perturb_, presets

from nanoparadigm import PRESETS, InputError, build, corpora, tokenizers
from nanoparadigm.evaluate.comparison import measure
from nanoparadigm.evaluate.likelihood import nats_per_token
from nanoparadigm.networks.base import Dropout, NetworkConfig
from nanoparadigm.training import checkpoint
from nanoparadigm.training import run as training_run
from nanoparadigm.training.log import Log, read_lines, read_log
from nanoparadigm.training.optimizer import make_optimizers
from nanoparadigm.training.run import TrainingRun
from nanoparadigm.training.settings import (
    RESUMABLE,
    Settings,
    lr_multiplier,
    precision,
    total_steps,
)
from nanoparadigm.training.trainer import train

SETTINGS = Settings(max_steps=20, batch_size=4, eval_interval=100, eval_windows=8, log_interval=1)

# build's options, and what is different in the settings
CASES = {name: ({"name": name}, {}) for name in PRESETS}
CASES["diffusion over Mamba"] = {"name": "diffusion", "network": "mamba"}, {}
CASES["accumulation"] = {"name": "flow"}, {"batch_size": 2, "grad_accumulation": 2}
CASES["bfloat16"] = {"name": "ar"}, {"dtype": "bfloat16"}
CASES["float16"] = {"name": "ar"}, {"dtype": "float16"}
CASES |= {f"{name}, dropout": ({"name": name, "dropout": 0.1}, {}) for name in PRESETS}
cases = pytest.mark.parametrize("options, changes", CASES.values(), ids=CASES)


@pytest.fixture(scope="module")
def data():
    return cats()


@functools.cache
def cats():
    """26 or 27 windows of training text: at 4 to a step, an epoch ends in the middle of step 7."""
    lines = "the cat sat on the mat\n", "a dog ran to a red hut\n", "the hen hid in the hay\n"
    order = torch.randint(3, (11,), generator=torch.Generator().manual_seed(0)).tolist()
    text = "".join(lines[i] for i in order)
    return of_text(text[:216], text[216:])


def of_text(text, validation):
    corpus = corpora.Corpus("cats", text, validation)
    return corpora.TokenizedCorpus(corpus, tokenizers.build("char", corpus, None), LENGTH)


def new(data, name="ar", **options):
    return build(name, data.tokenizer.vocab_size, **{**TINY, **options})


def after(steps):
    """A `stop` that says yes after so many steps."""
    asked = iter(range(1, steps + 1))
    return lambda: next(asked) == steps


def same_weights(model, other):
    pairs = zip(model.parameters(), other.parameters(), strict=True)
    return all(torch.equal(p, q) for p, q in pairs)


def losses(records):
    return [record["loss"] for record in records]


@cases
def test_a_resumed_run_repeats_the_rest_bit_for_bit(options, changes, data, tmp_path):
    settings = replace(SETTINGS, **changes)
    straight = new(data, **options)
    expected = losses(train(straight, data, settings))
    assert len(set(expected)) == 20

    parts = losses(train(new(data, **options), data, settings, tmp_path, stop=after(10)))
    model = new(data, **options)
    parts += losses(train(model, data, settings, tmp_path, resume=True))
    assert parts == expected
    assert same_weights(model, straight)


@pytest.mark.parametrize("k", [1, 5, 6, 7, 10, 13, 19])
def test_a_run_may_be_interrupted_anywhere(k, data, tmp_path):
    settings = replace(SETTINGS, eval_interval=6)
    expected = list(train(new(data), data, settings, tmp_path / "straight"))
    for resume in (False, True):
        list(train(new(data), data, settings, tmp_path / "cut", resume, after(k)))
    parts = list(train(new(data), data, settings, tmp_path / "cut", resume=True))
    assert losses(parts) == losses(expected)[min(2 * k, 20) :]
    logs = [read_log(tmp_path / run) for run in ("straight", "cut")]
    assert losses(logs[0]) == losses(expected)
    straight, cut = ([{**record, "seconds": 0} for record in log] for log in logs)
    assert straight == cut
    pointers = [checkpoint.read_pointer(tmp_path / run) for run in ("straight", "cut")]
    assert pointers[0] == pointers[1]
    last = [checkpoint.load(tmp_path / run, "last").model for run in ("straight", "cut")]
    assert same_weights(*last)


def test_two_trainings_do_not_share_a_folder(data, tmp_path):
    first = train(new(data), data, SETTINGS, tmp_path)
    next(first)
    with pytest.raises(InputError, match="another process is writing to .* `out` a folder of its"):
        next(train(new(data), data, SETTINGS, tmp_path))
    assert len(list(first)) == 19
    assert len(list(train(new(data), data, SETTINGS, tmp_path))) == 20


def test_resuming_a_finished_run_changes_nothing(data, tmp_path):
    list(train(new(data), data, SETTINGS, tmp_path))
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert list(train(new(data), data, SETTINGS, tmp_path, resume=True)) == []
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_a_resumed_run_deletes_the_checkpoints_that_a_kill_left_behind(data, tmp_path):
    list(train(new(data), data, SETTINGS, tmp_path))
    before = {*tmp_path.iterdir()}
    last = tmp_path / checkpoint.read_pointer(tmp_path)["last"]
    for name in ("step-1", "step-2.unfinished"):
        shutil.copytree(last, tmp_path / name)
    list(train(new(data), data, SETTINGS, tmp_path, resume=True))
    assert {*tmp_path.iterdir()} == before


def test_a_step_is_logged_once_even_if_its_checkpoint_never_came(data, tmp_path, monkeypatch):
    settings = replace(SETTINGS, eval_interval=5)
    expected = losses(train(new(data), data, settings))

    def crash(*args, **kwargs):
        raise KeyboardInterrupt

    def interrupted(part, **options):
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(checkpoint, part, crash)
            list(train(new(data), data, settings, tmp_path, **options))

    list(train(new(data), data, settings, tmp_path, stop=after(7)))
    interrupted("save_file", resume=True)  # step 10 is in the log and in no checkpoint
    assert losses(read_log(tmp_path)) == expected[:10]
    with open(tmp_path / "log.jsonl", "a") as log:
        log.write('{"step": 11, "lo')
    list(train(new(data), data, settings, tmp_path, resume=True))
    assert losses(read_log(tmp_path)) == expected
    assert [record["step"] for record in read_log(tmp_path)] == list(range(1, 21))


def test_a_step_killed_after_its_save_is_in_the_log(data, tmp_path):
    settings = replace(SETTINGS, eval_interval=1)
    saved_then_killed = train(new(data), data, settings, tmp_path)
    for _ in range(3):
        next(saved_then_killed)
    saved_then_killed.close()
    assert [record["step"] for record in read_log(tmp_path)] == [1, 2, 3]
    assert checkpoint.load(tmp_path, "last").config["step"] == 3


CHANGES = {
    "batch_size": 5,
    "grad_accumulation": 2,
    "lr": 0.1,
    "warmup": 0.5,
    "weight_decay": 0.2,
    "grad_clip": 2.0,
    "dtype": "float32",
    "seed": 1,
    "muon_lr": 0.01,
    "muon_momentum": 0.9,
    "decay": "cosine",
    "final_lr": 0.5,
}


@pytest.fixture(scope="module")
def begun(data, tmp_path_factory):
    """A run that stopped after 5 of its 20 steps."""
    run = tmp_path_factory.mktemp("begun")
    list(train(new(data), data, SETTINGS, run, stop=after(5)))
    return run


def test_every_setting_is_either_free_or_kept():
    assert {*RESUMABLE} | {*CHANGES} == {*asdict(SETTINGS)}
    assert not {*RESUMABLE} & {*CHANGES}


@pytest.mark.parametrize("setting", CHANGES)
def test_a_run_does_not_go_on_with_another_setting(setting, data, begun):
    changed = replace(SETTINGS, **{setting: CHANGES[setting]})
    with pytest.raises(InputError, match=f"has {setting} .* cannot go on with {CHANGES[setting]}"):
        list(train(new(data), data, changed, begun, resume=True))


@pytest.mark.parametrize("options", [{"n_layer": 2}, {"name": "diffusion"}, {"mlp": "relu2"}])
def test_a_run_does_not_go_on_with_another_model(options, data, begun):
    (option,) = options
    with pytest.raises(InputError, match=f"has {option} "):
        list(train(new(data, **options), data, SETTINGS, begun, resume=True))


@pytest.mark.parametrize("split", ["train", "validation"])
def test_a_run_does_not_go_on_with_another_text(split, data, begun):
    corpus = replace(data.corpus, **{split: getattr(data.corpus, split)[::-1]})
    edited = corpora.TokenizedCorpus(corpus, data.tokenizer, LENGTH)
    with pytest.raises(InputError, match="cats is not the text that the run in .* began with"):
        list(train(new(data), edited, SETTINGS, begun, resume=True))


@presets
@pytest.mark.parametrize("muon_lr", [0.0, 0.04])
def test_a_copy_of_a_model_trains_exactly_like_the_original(name, muon_lr, data):
    """All that the optimisers know of a model is in its modules; the decay shows a matrix lost."""
    settings = replace(SETTINGS, max_steps=6, muon_lr=muon_lr, weight_decay=1.0)
    model = new(data, name, dropout=0.1)
    copy = deepcopy(model)
    expected = losses(train(model, data, settings))
    assert losses(train(copy, data, settings)) == expected
    assert same_weights(copy, model)
    again = deepcopy(model)  # and one that has been trained
    assert losses(train(again, data, settings)) == losses(train(model, data, settings))
    assert same_weights(again, model)


@presets
def test_every_model_reads_the_same_batches(name, data, monkeypatch):
    def read_by(model):
        seen, terms = [], type(model).loss_terms

        def listen(self, x, *noise):
            seen.append(x.clone())
            return terms(self, x, *noise)

        with monkeypatch.context() as patch:
            patch.setattr(type(model), "loss_terms", listen)
            list(train(model, data, SETTINGS))
        return torch.stack(seen)

    order = torch.Generator().manual_seed(SETTINGS.seed)
    batches = corpora.WindowBatches(data.train, SETTINGS.batch_size, LENGTH, order)
    expected = torch.stack([next(batches) for _ in range(SETTINGS.max_steps)])
    assert torch.equal(read_by(new(data, name, dropout=0.1)), expected)


@presets
def test_the_seed_decides_everything(name, data):
    def run(seed):
        return losses(train(new(data, name, seed=seed), data, replace(SETTINGS, seed=seed)))

    first = run(0)
    assert run(0) == first
    assert run(1) != first


@presets
def test_the_global_generator_is_left_alone(name, data, tmp_path):
    before = torch.get_rng_state()
    model = new(data, name, dropout=0.1)
    list(train(model, data, SETTINGS, tmp_path, stop=after(5)))
    list(train(model, data, SETTINGS, tmp_path, resume=True))
    model.sample(2, LENGTH, torch.Generator().manual_seed(0))
    measure(model, data)
    checkpoint.load(tmp_path)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("name, network", CELLS)
def test_accumulated_gradients_are_those_of_the_large_batch(name, network, data, monkeypatch):
    def first_step(**changes):
        settings = replace(SETTINGS, max_steps=1, **changes)
        with monkeypatch.context() as patch:
            clip = "clip_grad_norm_"
            patch.setattr(torch.nn.utils, clip, lambda ps, norm: found.extend(p.grad for p in ps))
            found = []
            (record,) = train(perturb_(new(data, name, network=network), 0.1), data, settings)
        return record["loss"], torch.cat([g.flatten().clone() for g in found])

    loss, gradient = first_step(batch_size=8)
    assert gradient.abs().max() > 0.01
    for parts in (2, 4):
        parts_loss, parts_gradient = first_step(batch_size=8 // parts, grad_accumulation=parts)
        assert parts_loss == pytest.approx(loss, abs=1e-6)
        torch.testing.assert_close(parts_gradient, gradient, atol=1e-6, rtol=0)


@presets
@pytest.mark.parametrize("muon_lr", [0.0, 0.04])
def test_weight_decay_is_on_matrices_only(name, muon_lr, data):
    model = new(data, name)
    groups = [g for o in make_optimizers(model, muon_lr, 1e-3, 0.1) for g in o.param_groups]
    decayed, free = sorted(groups, key=lambda group: -group["weight_decay"])
    assert (decayed["weight_decay"], free["weight_decay"]) == (0.1, 0.0)
    assert (decayed["peak"], free["peak"]) == (muon_lr or 1e-3, 1e-3)
    names = {id(p): n.split(".") for n, p in model.named_parameters()}
    decayed, free = ([names.pop(id(p)) for p in group["params"]] for group in (decayed, free))
    assert not names
    for path in decayed:
        assert path[-1] == "weight" and "embedding" not in path
    for path in free:
        named = {"A_log", "D", "conv", "conv_bias", "delta_bias", "mix"}
        assert path[-1] in named or "embedding" in path or "readout" in path
    assert any("A_log" in path for path in free) == ("mamba" in name)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float32"])
@presets
def test_both_precisions_train(name, dtype, data):
    records = list(train(new(data, name), data, replace(SETTINGS, dtype=dtype)))
    assert all(math.isfinite(loss) for loss in losses(records))
    same = losses(records) == losses(train(new(data, name), data, SETTINGS))
    assert same == (dtype == "float32")


@presets
def test_the_loss_goes_down(name, data):
    settings = replace(SETTINGS, max_steps=150, lr=1e-2)
    model = new(data, name)
    untrained = nats_per_token(model, data, torch.Generator().manual_seed(2)).mean
    records = list(train(model, data, settings))
    assert sum(losses(records[-20:])) < 0.95 * sum(losses(records[:20]))
    assert records[-1]["val"] < 0.9 * untrained


@presets
def test_validation_is_a_number_of_the_weights_alone(name, data):
    settings = replace(SETTINGS, max_steps=3, eval_interval=1, eval_windows=3)
    model = new(data, name)
    for record in train(model, data, settings):
        again = torch.Generator().manual_seed(settings.seed + 2)
        expected = nats_per_token(model, data, again, num_samples=4, max_windows=3)
        assert (record["val"], record["val_se"]) == (expected.mean, expected.se)


def test_the_records_count_tokens_and_time(data, tmp_path):
    settings = replace(SETTINGS, grad_accumulation=3, eval_interval=8, log_interval=5)
    records = list(train(new(data), data, settings, tmp_path))
    assert [r["step"] for r in records] == list(range(1, 21))
    assert [r["tokens"] for r in records] == [4 * 3 * LENGTH * r["step"] for r in records]
    assert [r["step"] for r in records if "val" in r] == [8, 16, 20]
    times = [r["seconds"] for r in records]
    assert 0 < times[0] and times == sorted(times)
    written = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert written == [r for r in records if r["step"] in (5, 8, 10, 15, 16, 20)]


@pytest.mark.parametrize("epochs, steps", [(1, 7), (0.5, 3), (2, 14), (1e-9, 1)])
def test_epochs_count_passes_over_the_text(epochs, steps, data):
    settings = replace(SETTINGS, epochs=epochs)
    assert len(data.train) == 216
    assert total_steps(settings, data) == steps
    assert len(list(train(new(data), data, settings))) == steps


@pytest.mark.parametrize("total", [1, 2, 20, 1000])
@pytest.mark.parametrize("warmup", [0.0, 0.05, 0.5, 0.99])
def test_the_learning_rate_rises_to_its_peak_and_falls_towards_zero(total, warmup):
    settings = Settings(warmup=warmup)
    rates = [lr_multiplier(step, total, settings) for step in range(total)]
    peak = rates.index(max(rates))
    assert rates[peak] == 1 and min(rates) > 0
    assert peak == max(1, round(warmup * total)) - 1
    assert rates[: peak + 1] == sorted(rates[: peak + 1])
    assert rates[peak:] == sorted(rates[peak:], reverse=True)
    assert lr_multiplier(total, total, settings) in (0, 2)


def test_a_cosine_ends_at_its_floor_and_is_half_way_down_in_the_middle():
    settings = Settings(warmup=0.02, decay="cosine", final_lr=0.1)
    rates = [lr_multiplier(step, 1000, settings) for step in range(1001)]
    assert max(rates) == rates[20] == 1 and rates[1000] == pytest.approx(0.1)
    assert rates[510] == pytest.approx(0.55)
    assert all(a >= b for a, b in itertools.pairwise(rates[20:]))


def test_training_that_diverges_says_so_and_keeps_what_was_saved(data, tmp_path):
    model = new(data)
    steps = train(model, data, replace(SETTINGS, eval_interval=1), tmp_path)
    next(steps)
    with torch.no_grad():
        model.net.blocks[0].mlp.up.weight[0, 0] = math.nan
    with pytest.raises(
        InputError, match="loss is nan at step 2: start again with a muon_lr below 0.04"
    ):
        next(steps)
    saved = checkpoint.load(tmp_path, "last")
    assert saved.config["step"] == 1
    assert all(p.isfinite().all() for p in saved.model.parameters())


def poisoned(at):
    """Optimisers that make a weight nan in that step, whatever the loss was."""

    def make(*arguments):
        *others, last = make_optimizers(*arguments)
        update, steps = last.step, itertools.count(1)

        def step():
            update()
            if next(steps) == at:
                last.param_groups[0]["params"][0].data.view(-1)[0] = math.nan

        last.step = step
        return [*others, last]

    return patch.object(training_run, "make_optimizers", make)


@pytest.mark.parametrize(
    "muon_lr, advice", [(0.04, "a muon_lr below 0.04 or an lr"), (0.0, "an lr")]
)
@pytest.mark.parametrize("at, stop", [(4, 9), (3, 3)])
def test_weights_that_are_no_numbers_are_not_saved(at, stop, muon_lr, advice, tmp_path):
    """Neither by an evaluation nor by a stop: the last good checkpoint stays the last."""
    settings = replace(SETTINGS, muon_lr=muon_lr, eval_interval=2)
    with poisoned(at), pytest.raises(InputError) as told:
        list(train(new(cats()), cats(), settings, tmp_path, stop=after(stop)))
    said = (
        f"the training diverged, its largest weight is nan at step {at}: start again with {advice}"
    )
    assert str(told.value) == f"{said} below {settings.lr:g}"
    assert checkpoint.read_pointer(tmp_path) == dict(last="step-2", best="step-2")
    assert checkpoint.load(tmp_path, "last").model.sample(1, 4, torch.Generator()).shape == (1, 4)
    assert [record["step"] for record in read_log(tmp_path)] == [*range(1, at)]


@pytest.mark.parametrize("value", [math.inf, math.nan])
def test_an_evaluation_that_is_no_number_is_a_divergence(value, tmp_path):
    with told(3.0, value), QUICK_DISK, pytest.raises(InputError, match=f"validation is {value} at"):
        settings = replace(SETTINGS, eval_interval=1, max_steps=2)
        list(train(new(cats()), cats(), settings, tmp_path))
    assert checkpoint.read_pointer(tmp_path) == dict(last="step-1", best="step-1")
    assert [record["step"] for record in read_log(tmp_path)] == [1]


def test_a_run_is_not_asked_for_fewer_steps_than_it_has_taken(data, begun):
    with pytest.raises(
        InputError, match="has taken 5 steps, and 4 are asked for: ask for more, or"
    ):
        next(train(new(data), data, replace(SETTINGS, max_steps=4), begun, resume=True))


def test_a_folder_that_cannot_be_written_is_found_out_before_training(data, tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(OSError):
        next(train(new(data), data, SETTINGS, tmp_path / "file" / "run"))
    assert (tmp_path / "file").read_text() == "mine"


WRONG = [
    *({name: 0} for name in "max_steps batch_size grad_accumulation eval_interval".split()),
    *({name: -1} for name in "eval_windows log_interval seed".split()),
    *({"lr": lr} for lr in (0.0, -1.0, math.nan, math.inf)),
    *({"epochs": epochs} for epochs in (0.0, -1.0, math.nan, math.inf)),
    *({"warmup": share} for share in (-0.1, 1.0, math.nan)),
    *({name: n} for name in ("grad_clip", "weight_decay") for n in (-1.0, math.nan, math.inf)),
    *({name: n} for name in ("lr", "muon_lr", "weight_decay") for n in (1e30, 1e300)),
    *({"muon_momentum": share} for share in (-0.1, 1.0, math.nan)),
    *({"muon_lr": n} for n in (-1.0, math.nan, math.inf)),
    {"dtype": "float8"},
    {"seed": 2**64},
]


@pytest.mark.parametrize("wrong", WRONG, ids=str)
def test_settings_that_cannot_be_are_refused(wrong):
    ((name, value),) = wrong.items()
    with pytest.raises(InputError) as refused:
        Settings(**wrong)
    assert re.fullmatch(rf"{name} is {re.escape(repr(value))}: .*", str(refused.value))


COUNTS = "max_steps batch_size grad_accumulation eval_interval eval_windows log_interval"


@pytest.mark.parametrize("n", [2**31, 10**5000, math.inf, math.nan], ids=range(4))
def test_numbers_that_nothing_can_count_up_to_are_refused(n):
    """One by one, before anything is made so large."""
    sizes = "n_layer n_head n_embd block_size n_inner d_state expand_factor d_conv"
    for kind, names in (Settings, COUNTS), (NetworkConfig, sizes):
        for name in names.split():
            with pytest.raises(InputError, match=f"^{name} is [^\n]{{1,99}}$"):
                kind(**{name: n})
    with pytest.raises(InputError, match="^seed is [^\n]{1,99}$"):
        Settings(seed=2**63 + n)


@pytest.mark.parametrize("epochs", [1e12, 1e308])
def test_more_steps_than_can_be_counted_are_refused(epochs, data):
    with pytest.raises(InputError, match="^epochs is [^\n]* steps, give fewer$"):
        next(train(new(data), data, replace(SETTINGS, epochs=epochs)))


@pytest.mark.parametrize("device", ["meta", "nonsense", "cuda:99", "cpu:x"])
def test_a_device_that_is_not_there_is_refused(device, data):
    with pytest.raises(InputError, match=f"device '{device}' cannot be used here: try `device` c"):
        next(train(new(data), data, replace(SETTINGS, device=device)))


def line(step, **more):
    return dict(step=step, loss=1.0, lr=0.1, tokens=8 * step, seconds=0.5) | more


DAMAGES = {
    "torn": b'{"step"',
    "a hole": bytes(20),
    "a list": b"[1]",
    "of another program": b'{"a": 1}',
    "no text": b"\xff",
    "a step that is no number": json.dumps(line("3")).encode(),
    "half a step": json.dumps(line(3.5)).encode(),
    "a step without its loss": json.dumps({"step": 3}).encode(),
    "a word for a number": json.dumps(line(3, val="low", val_se=0.1)).encode(),
    "an evaluation without its error": json.dumps(line(3, val=1.0)).encode(),
    "a nest": b"[" * 100_000,
    "a number without end": b'{"step": ' + b"9" * 5000 + b"}",
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_line_costs_the_log_that_line_alone(damage, tmp_path):
    log = Log(tmp_path, keep_to=0)
    for step in (1, 2, 3):
        log.write(line(step))
        with open(tmp_path / "log.jsonl", "ab") as f:
            f.write(damage + b"\n")
    assert read_lines(tmp_path) == ([line(1), line(2), line(3)], [2, 4, 6])
    Log(tmp_path, keep_to=2).write(line(3, val=2.0, val_se=0.1))
    assert read_lines(tmp_path) == ([line(1), line(2), line(3, val=2.0, val_se=0.1)], [])
    Log(tmp_path, keep_to=0)
    assert read_log(tmp_path) == []


def test_a_number_that_was_none_is_none_again(tmp_path):
    log = Log(tmp_path, keep_to=0)
    log.write(line(1, val=math.nan, val_se=math.nan, norm=math.nan))
    for _ in range(2):
        [record] = read_log(tmp_path)
        assert all(math.isnan(record.pop(name)) for name in ("val", "val_se", "norm"))
        assert record == line(1)
        Log(tmp_path, keep_to=1)


# ------------------------------------------------------------------- numbers worked another way


# What is on a disk after the power has gone is tested elsewhere.
QUICK_DISK = patch("os.fsync", lambda file: None)


class Told(torch.nn.Module):
    """A model of one number for each token, whose gradient can be counted: a text pays the numbers
    of its tokens and weighs what its tokens' ids add up to."""

    device, exact = torch.device("cpu"), True

    def __init__(self):
        super().__init__()
        self.price = torch.nn.Parameter(torch.linspace(-1, 1, 40, dtype=torch.float64))
        self.dropout = Dropout(0.5)
        self.read, self.dropped = [], []

    def noise(self, x, generator):
        return ()

    def loss_terms(self, x):
        self.read.append(x)
        self.dropped.append(self.dropout(torch.ones(64)))
        return self.price[x].sum(), x.sum()


def plain_descent(model, muon_lr, lr, weight_decay, momentum):
    """In the place of the optimisers, which hide how long a gradient is: W - lr times it."""
    optimizer = torch.optim.SGD(model.parameters(), lr)
    optimizer.param_groups[0]["peak"] = lr
    return [optimizer]


def told(*values, instead=lambda model: None):
    """A `validation` that finds one value after another."""
    values = iter(values)

    def validation(model, data, settings):
        instead(model)
        return next(values), 0.5

    return patch.object(training_run, "validation", validation)


RATES = {
    ("linear", 0.0): [1 / 2, 1, 1, 3 / 4, 1 / 2, 1 / 4],
    ("linear", 0.2): [1 / 2, 1, 1, 0.8, 0.6, 0.4],
    ("cosine", 0.0): [1 / 2, 1, 1, 0.853553, 1 / 2, 0.146447],
    ("cosine", 0.5): [1 / 2, 1, 1, 0.926777, 3 / 4, 0.573223],
}
"""of the peak, in six steps of which a third are warm-up: the last is one above the end"""
each_rate = pytest.mark.parametrize("decay, final_lr", RATES)


@each_rate
def test_the_rates_of_a_short_run_by_hand(decay, final_lr):
    settings = Settings(warmup=1 / 3, decay=decay, final_lr=final_lr)
    rates = [lr_multiplier(step, 6, settings) for step in range(6)]
    assert rates == pytest.approx(RATES[decay, final_lr], abs=1e-6)


@each_rate
def test_every_parameter_follows_the_schedule_from_its_own_peak(decay, final_lr):
    """Muon's and AdamW's, whatever the rates of the step before were; the record tells AdamW's."""
    settings = replace(SETTINGS, max_steps=6, warmup=1 / 3, decay=decay, final_lr=final_lr)
    settings, made = replace(settings, muon_lr=0.04, lr=0.01), []

    def make(*arguments):
        made.extend(make_optimizers(*arguments))
        return made

    with patch.object(training_run, "make_optimizers", make):
        for record, share in zip(
            train(new(cats()), cats(), settings), RATES[decay, final_lr], strict=True
        ):
            muon, adam = ({group["lr"] for group in o.param_groups} for o in made)
            assert [*muon] == pytest.approx([0.04 * share], abs=1e-7)
            assert [*adam] == [record["lr"]] == pytest.approx([0.01 * share], abs=1e-7)


def descend(clip):
    """The steps of a run of `Told`, and then the same on paper."""
    settings = dict(lr=0.5, warmup=1 / 3, grad_clip=clip, batch_size=3, grad_accumulation=2)
    model = Told()
    with patch.object(training_run, "make_optimizers", plain_descent), told(9.0):
        records = list(train(model, cats(), replace(SETTINGS, max_steps=6, **settings)))
    price = np.linspace(-1, 1, 40)
    parts = [part.numpy() for part in model.read]
    assert len(parts) == 12 and all(part.shape == (3, LENGTH) for part in parts)
    for step, (record, share) in enumerate(zip(records, RATES["linear", 0.0], strict=True)):
        x = np.concatenate(parts[2 * step : 2 * step + 2])
        loss = price[x].sum() / x.sum()
        gradient = np.bincount(x.ravel(), minlength=40) / x.sum()
        length = np.sqrt((gradient**2).sum())
        if clip:
            gradient = gradient * min(1, clip / length)
        price = price - 0.5 * share * gradient
        assert record["loss"] == pytest.approx(loss, abs=1e-6)
        assert record["lr"] == pytest.approx(0.5 * share)
        assert (record["step"], record["tokens"]) == (step + 1, (step + 1) * 6 * LENGTH)
    np.testing.assert_allclose(model.price.detach().numpy(), price, rtol=0, atol=1e-6)
    return length


@pytest.mark.parametrize("clip, clips", [(0.0, False), (0.02, True), (1.0, False)])
def test_the_steps_are_those_on_paper(clip, clips):
    """The gradient is that of what all rows pay over what all weigh, and is clipped after that."""
    assert clips == (0 < clip < descend(clip))


def test_what_is_dropped_is_drawn_anew_in_every_step_even_after_an_evaluation():
    """From seed + 3 + step, so that nothing of it need be saved."""
    model = Told()
    settings = replace(SETTINGS, max_steps=5, eval_interval=1, seed=7, muon_lr=0.0)
    with told(*[1.0] * 5, instead=lambda model: model.eval()):
        list(train(model, cats(), settings))
    for step, dropped in enumerate(model.dropped):
        u = torch.rand(64, generator=torch.Generator().manual_seed(7 + 3 + step))
        assert torch.equal(dropped, 2.0 * (u >= 0.5))


def test_the_best_checkpoint_stays_the_best_over_an_interruption(tmp_path):
    """And is the first of several that are equally good."""
    seen = [(3.0, 1), (1.0, 2), (2.0, 2), (1.5, 2), (1.0, 2), (0.5, 6)]
    for step, (value, best) in enumerate(seen, 1):
        with told(value), QUICK_DISK:
            settings = replace(SETTINGS, eval_interval=1)
            model = new(cats())
            list(train(model, cats(), settings, tmp_path, resume=step > 1, stop=after(1)))
        assert checkpoint.read_pointer(tmp_path) == dict(last=f"step-{step}", best=f"step-{best}")
        assert checkpoint.load(tmp_path).config["val"] == seen[best - 1][0]


def test_the_best_checkpoint_of_a_run_without_interruption(tmp_path):
    values = [3.0, 1.0, 2.0, 1.5, 1.2]
    with told(*values), QUICK_DISK:
        settings = replace(SETTINGS, max_steps=10, eval_interval=2)
        records = list(train(new(cats()), cats(), settings, tmp_path))
    found = [(r["step"], r["val"], r["val_se"]) for r in records if "val" in r]
    assert found == [(2 * i, value, 0.5) for i, value in enumerate(values, 1)]
    assert checkpoint.read_pointer(tmp_path) == dict(last="step-10", best="step-4")
    for step, value in (4, 1.0), (10, 1.2):
        config = checkpoint.load(tmp_path / f"step-{step}").config
        assert (config["step"], config["val"], config["tokens"]) == (step, value, step * 4 * LENGTH)


def test_seconds_are_of_training_alone_and_go_on_after_an_interruption(tmp_path):
    """By a clock that the work moves: 2 for a step, 100 for an evaluation, 1000 for a save."""
    clock = SimpleNamespace(now=50.0)

    def takes(seconds, function):
        def slow(*arguments, **options):
            clock.now += seconds
            return function(*arguments, **options)

        return slow

    settings = replace(SETTINGS, max_steps=8, eval_interval=2)
    fake = SimpleNamespace(perf_counter=lambda: clock.now)
    with (
        QUICK_DISK,
        patch.object(training_run, "time", fake),
        patch.object(training_run, "backward", takes(2.0, training_run.backward)),
        patch.object(training_run, "validation", takes(100.0, lambda *_: (1.0, 0.5))),
        patch.object(checkpoint, "save", takes(1000.0, checkpoint.save)),
    ):
        records = list(train(new(cats()), cats(), settings, tmp_path, stop=after(3)))
        clock.now += 10_000
        records += train(new(cats()), cats(), settings, tmp_path, resume=True)
    assert [record["seconds"] for record in records] == [2.0 * step for step in range(1, 9)]


def test_epochs_count_every_batch_of_a_step():
    """216 tokens are 2.25 times the 4 x 3 windows of 8 that one step reads."""
    settings = replace(SETTINGS, epochs=1, grad_accumulation=3)
    assert [total_steps(replace(settings, epochs=n), cats()) for n in (1, 3)] == [2, 7]


@pytest.mark.parametrize("native", [False, True])
def test_auto_is_half_precision_on_a_gpu_and_bfloat16_where_it_has_that(native):
    """A GPU that only imitates bfloat16 computes in float16: hence the stand-in's argument."""

    def supported(including_emulation=True):
        return native or including_emulation

    half = torch.bfloat16 if native else torch.float16
    wanted = {"auto": half, "float32": torch.float32, "float16": torch.float16}
    with patch("torch.cuda.is_bf16_supported", supported):
        for dtype, on_a_gpu in wanted.items():
            assert precision(dtype, torch.device("cuda")) == on_a_gpu
            assert precision(dtype, torch.device("cpu")) == (
                torch.float32 if dtype == "auto" else on_a_gpu
            )


def test_float16_learns_as_float32_does(data):
    settings = replace(SETTINGS, max_steps=60, eval_interval=60)
    half, full = (
        [*train(new(data), data, replace(settings, dtype=dtype))][-1]["val"]
        for dtype in ("float16", "float32")
    )
    assert half == pytest.approx(full, abs=0.03)


def test_a_multiple_of_the_loss_that_overflows_is_halved_until_it_fits_and_goes_on_so(
    data, tmp_path
):
    settings, model, moved = replace(SETTINGS, dtype="float16"), new(data), []
    with TrainingRun(model, data, settings, tmp_path) as job:
        job.scaler = torch.amp.GradScaler("cpu", init_scale=2.0**20)
        while job.step < 15:
            before = deepcopy(model.state_dict())
            loss = job.loss_and_gradients(next(job.batches))
            job.update()
            moved.append(any((before[k] != v).any() for k, v in model.state_dict().items()))
            assert not moved[0]
        assert any(moved)
        halvings, scale = moved.index(True), job.scaler.get_scale()
        job.save(job.record(loss))
    assert all(moved[halvings:]) and scale == 2.0 ** (20 - halvings)
    with TrainingRun(new(data), data, settings, tmp_path, resume=True) as job:
        assert job.scaler.get_scale() == scale


def test_the_momentum_given_is_muons(monkeypatch):
    made = []

    def keep(*arguments):
        made.extend(make_optimizers(*arguments))
        return made

    monkeypatch.setattr(training_run, "make_optimizers", keep)
    next(train(new(cats()), cats(), replace(SETTINGS, muon_momentum=0.7)))
    assert made[0].param_groups[0]["momentum"] == 0.7
