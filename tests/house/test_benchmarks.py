"""What the README and the book say of speed is what was measured; nothing here is timed."""

import math
import re
import sys
from itertools import islice, repeat

import pytest
import torch
from helpers import COMPARED, ROOT

from nanoparadigm import build, corpora, parameters
from nanoparadigm.data.corpora import language_corpus
from nanoparadigm.networks.selective_scan import selective_scan
from nanoparadigm.paradigms import PRESETS
from nanoparadigm.show.figures import PALETTE

sys.path.insert(0, str(ROOT / "benchmarks"))

import classic  # noqa: E402
import fused_scan  # noqa: E402
import gpu  # noqa: E402
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
