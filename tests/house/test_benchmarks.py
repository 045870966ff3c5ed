"""What the README and the book say of speed is what was measured; nothing here is timed."""

import json
import math
import re
import sys
from itertools import islice, repeat

import pytest
import torch
from helpers import COMPARED, ROOT, random_model

from nanoparadigm import build, corpora, parameters
from nanoparadigm.data.corpora import language_corpus
from nanoparadigm.exercises.real import longest_copy
from nanoparadigm.networks.selective_scan import selective_scan
from nanoparadigm.paradigms import PRESETS
from nanoparadigm.show.figures import PALETTE

sys.path.insert(0, str(ROOT / "benchmarks"))

import classic  # noqa: E402
import context  # noqa: E402
import equal_seconds  # noqa: E402
import fused_scan  # noqa: E402
import gpu  # noqa: E402
import measure  # noqa: E402
import real_text  # noqa: E402
import report  # noqa: E402
import search  # noqa: E402
import speedrun  # noqa: E402


def test_the_readme_and_the_pages_are_made_from_the_results():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert report.headline() in readme, "run: python benchmarks/report.py"
    files = (ROOT / "book" / "four-files.md").read_text(encoding="utf-8")
    assert report.micro_section() in files
    assert report.page() == (ROOT / "book" / "speed.md").read_text(encoding="utf-8")
    assert report.decoding_page() == (ROOT / "book" / "decoding.md").read_text(encoding="utf-8")
    assert report.schedules_page() == (ROOT / "book" / "schedules.md").read_text(encoding="utf-8")


def test_no_zero_has_a_minus_and_no_single_thing_an_s():
    for text in report.headline(), report.page(), report.decoding_page():
        assert not re.search(r"-0\.0+\b", text) and not re.search(r"\b1 (core|thread)s", text)


def test_a_model_has_one_colour_on_the_page_on_speed():
    drawn = {}
    for figure in report.speed_figure(), report.learning_figure():
        for line in (line for axes in figure.axes for line in axes.lines):
            name = re.match("[a-z]*", line.get_label())[0]
            drawn.setdefault(name, set()).add(line.get_color())
    assert all(drawn[name] == {PALETTE[name]} for name in COMPARED)


@pytest.mark.parametrize("path", sorted(report.RESULTS.glob("*.json")), ids=lambda p: p.stem)
def test_every_result_names_its_machine(path):
    machine = report.read(path.stem)["machine"]
    assert all(machine[key] for key in ("processor", "cores", "threads", "torch", "python"))


@pytest.mark.skipif(not fused_scan.available(), reason="needs g++")
def test_the_yardstick_computes_the_same_scan():
    g = torch.Generator().manual_seed(0)
    u, delta, dy = (torch.randn(3, 32, 20, generator=g) for _ in range(3))
    B, C = (torch.randn(3, 4, 20, generator=g) for _ in range(2))
    A = -torch.arange(1.0, 5).repeat(32, 1)
    parts = [x.requires_grad_() for x in (u, delta.exp() / 20, A, B, C)]
    ours, theirs = selective_scan(*parts), fused_scan.fused_scan(*parts)
    torch.testing.assert_close(theirs, ours, rtol=1e-4, atol=1e-4)
    gradients = [torch.autograd.grad(y, parts, dy) for y in (ours, theirs)]
    torch.testing.assert_close(*gradients, rtol=1e-4, atol=1e-4)


def test_every_path_that_a_gpu_would_take_is_right_here():
    """In float32 and bfloat16; to compile takes minutes."""
    found = gpu.correct(torch.device("cpu"), compiled=False)
    assert [*found] == [*PRESETS]
    for name, row in found.items():
        assert row["float32"]["loss"] < 1e-5 and row["float32"]["gradient"] < 1e-3
        assert row["bfloat16"]["loss"] < 0.02
        assert row["samplers"] == [*PRESETS[name].paradigm.samplers]


def test_the_gpu_script_measures_training_and_speed(monkeypatch):
    here = corpora.load("pydocs")
    monkeypatch.setattr(gpu.corpora, "load", lambda name: here)
    learned = gpu.learn(torch.device("cpu"), 0.5, dict(gpu.USUAL, **gpu.TINY))
    assert learned["curve"][-1]["nats"] < math.log(100) and learned["steps"] >= 10
    seconds, count = gpu.step_time(
        "flow", torch.device("cpu"), torch.float32, gpu.TINY, 65, 2, False, 2
    )
    assert seconds > 0 and count == parameters(build("flow", 65, **gpu.TINY))


def test_the_search_gives_every_paradigm_the_same_budget():
    jobs = search.jobs()
    counts = {name: sum(model == name for model, _ in jobs) for name in COMPARED}
    assert len(set(counts.values())) == 1 and counts["ar"] > 5
    assert len(set(jobs)) == len(jobs)


def test_the_rivals_of_the_speedrun_are_of_one_size():
    target = parameters(build("ar", 65))
    models = [classic.build(65, seed=0)]
    models += [speedrun.make(name, 65, 0, {}) for name in PRESETS]
    assert all(abs(parameters(model) / target - 1) < 0.03 for model in models)


def test_the_classic_recipe_learns_and_follows_its_schedule():
    rates = [classic.learning_rate(step, classic.STEPS) for step in range(classic.STEPS)]
    assert max(rates) == classic.PEAK == rates[classic.WARMUP]
    assert rates[-1] == pytest.approx(classic.LEAST, rel=1e-3)
    model = classic.build(32, seed=0)
    words = language_corpus().truth.sample(12, 32, torch.Generator().manual_seed(0))
    losses = list(islice(classic.train(model, repeat(words)), 40))
    assert losses[-1] < 0.8 * losses[0]


def test_what_a_network_keeps_of_a_text_by_hand():
    """Keys and values of 4 layers of 128 numbers and a window of 3 vectors, in 4 bytes each."""
    found = context.measure(positions=(16, 32), repeats=1)
    assert found["kept"]["ar"] == {str(p): 4 * 128 * (2 * 4 * p + 3) for p in (16, 32)}
    for name in "mamba", "mamba2":
        assert len({*found["kept"][name].values()}) == 1
    assert {*found["milliseconds"]} == {*context.MODELS}


@pytest.mark.parametrize("name", context.MODELS)
def test_a_token_that_is_timed_again_follows_the_same_text(name):
    net = random_model(name, 65, n_layer=1, block_size=32).net
    z = torch.randint(65, (1, 20), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        before = context.after(net, z[:, :12])
        again = [context.one_by_one(net, before, z[:, 12:]) for _ in range(2)]
        whole = context.after(net, z)
        logits = [net.step(z[:, :1], state)[0] for state in (*again, whole)]
    assert torch.equal(logits[0], logits[1])
    torch.testing.assert_close(logits[0], logits[2])


def made_up(folder):
    """Results of the benchmarks that a page of the book is ready for."""
    machine, row = report.read("speedrun")["machine"], dict(median=1.0, least=0.9, most=1.2)
    ms = {"ar": {"64": row, "4096": dict(row, median=3.0)}}
    kept = {"ar": {"64": 2**19, "4096": 2**24}}
    for name in "mamba", "mamba2":
        ms[name], kept[name] = ({"64": v, "4096": v} for v in (dict(row, median=2.0), 2**17))
    sizes = dict.fromkeys(ms, 800_000)
    long = dict(machine=machine, parameters=sizes, tokens=8, calls=3, kept=kept, milliseconds=ms)
    runs = [
        dict(name=name, seed=seed, seconds=119.0, steps=70 + i, tokens=10**6, exact=True,
             parameters=800_000, nats=dict(mean=1.7 - i / 10 + seed / 100, se=0.04))
        for i, name in enumerate(equal_seconds.MODELS)
        for seed in range(equal_seconds.SEEDS)
    ]  # fmt: skip
    steps = {name: row for name in equal_seconds.MODELS}
    short = dict(machine=machine, seconds=120, step_ms=steps, runs=runs)
    for name, found in ("context", long), ("equal_seconds", short):
        (folder / f"{name}.json").write_text(json.dumps(found), encoding="utf-8")
    return runs


def test_the_page_says_what_the_latest_benchmarks_find(tmp_path, monkeypatch):
    runs = made_up(tmp_path)
    monkeypatch.setattr(report, "RESULTS", tmp_path)
    text = report.context()
    assert "keeps 16.0 MiB, and its next token takes 3.0 ms, 3.0x as long as at 64." in text
    assert "`mamba2` keeps 128 KiB at every position." in text
    assert "`ar` is the fastest up to position 64." in text
    lines = [line for axes in report.context_figure().axes for line in axes.lines]
    assert [line.get_color() for line in lines] == 2 * [PALETTE[n] for n in context.MODELS]
    text = report.same_seconds()
    assert "`mamba2` has 1.510 nats per character, `mamba` 1.610 and `ar` 1.710." in text
    assert "Every seed of `mamba2` is ahead of every seed of `mamba`." in text
    for run in runs:
        run["nats"]["mean"] = 1.5 + run["seed"] / 100
    found = dict(report.read("equal_seconds"), runs=runs)
    (tmp_path / "equal_seconds.json").write_text(json.dumps(found), encoding="utf-8")
    assert "overlap, so 3 of each cannot tell the two apart" in report.same_seconds()
    (tmp_path / "equal_seconds.json").write_text(
        json.dumps(dict(found, runs=runs[:-1])), encoding="utf-8"
    )
    assert report.same_seconds() == ""


def test_the_page_can_do_without_the_latest_benchmarks(tmp_path, monkeypatch):
    kept = report.read("training_step")["kept"]
    monkeypatch.setattr(report, "RESULTS", tmp_path)
    assert report.context() == report.same_seconds() == ""
    assert report.whole_line(dict(kept={k: v for k, v in kept.items() if k != "whole"})) == ""
    ms = {name: dict(median=m) for name, m in (("ar", 200.0), ("mamba", 500.0), ("mamba2", 300.0))}
    said = report.whole_line(dict(kept=dict(milliseconds=ms, whole=ms)))
    assert said.count("2.5 (`mamba`) and 1.5 (`mamba2`) times as long") == 2
    assert "for `ar` it is 200 ms" in said


def test_networks_train_for_the_same_seconds_and_a_second_call_goes_on(tmp_path, monkeypatch):
    here, calls = corpora.load("pydocs"), []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(equal_seconds, "RESULTS", tmp_path)
    monkeypatch.setattr(measure, "RESULTS", tmp_path)
    monkeypatch.setattr(equal_seconds.corpora, "load", lambda name: here)
    monkeypatch.setattr(equal_seconds, "MODELS", ("ar", "mamba2"))
    monkeypatch.setattr(equal_seconds, "THREADS", torch.get_num_threads())
    monkeypatch.setattr(equal_seconds, "SECONDS", 0.0)
    monkeypatch.setattr(equal_seconds, "REPEATS", 2)
    step_times = equal_seconds.step_times
    monkeypatch.setattr(
        equal_seconds, "step_times", lambda data: calls.append(step_times(data)) or calls[-1]
    )
    monkeypatch.setattr(speedrun, "quality", lambda model, data: dict(mean=4.0, se=0.1))
    monkeypatch.setattr(sys, "argv", ["equal_seconds.py"])
    for seeds in 1, 2, 2:
        monkeypatch.setattr(equal_seconds, "SEEDS", seeds)
        equal_seconds.main()
        runs = json.loads((tmp_path / "equal_seconds.json").read_bytes())["runs"]
        found = [(row["name"], row["seed"]) for row in runs]
        assert found == [(name, seed) for seed in range(seeds) for name in ("ar", "mamba2")]
    [times] = calls  # once, before the first training
    assert [*times] == ["ar", "mamba2"] and all(0 < ms["median"] for ms in times.values())
    assert all(row["steps"] == 1 and row["tokens"] > 0 for row in runs)


@pytest.mark.parametrize("seed", range(20))
def test_the_longest_copy_is_that_of_the_exercise(seed):
    texts = (torch.randint(2, (n,), generator=torch.Generator().manual_seed(seed)) for n in (9, 40))
    text, source = ("".join(map(str, x.tolist())) for x in texts)
    ids = (torch.tensor([*map(int, x)]) for x in (text[:5] + "2" + text[5:], source))
    assert real_text.longest_copy(text[:5] + "2" + text[5:], source) == longest_copy(*ids)
