"""Every number of a study's report is the one that was stored, under its own head and worked out
another way, and its sentences name the right ones."""

import json
import math
import statistics
from dataclasses import asdict, replace
from itertools import pairwise

import numpy as np
import pytest
from helpers import generator, hostile, unknown
from matplotlib.figure import Figure
from test_study import measured

from nanoparadigm import SCHEDULES, InputError, atomic
from nanoparadigm.language import KINDS
from nanoparadigm.studies import kept
from nanoparadigm.studies.schedules import report, study
from nanoparadigm.studies.schedules.significance import Interval, Ranking
from nanoparadigm.studies.schedules.study import MASKINGS


def trial(rng, schedule, masking, seed, known):
    """What is known of a trial, every number another one: of a language that is known, or of a
    text. Its bound falls, rises and falls again while it learns."""

    def some(low=0.0, high=1.0):
        return float(rng.uniform(low, high))

    def estimate():
        return dict(mean=some(), se=some(0.01, 0.02))

    def written():
        found = dict(judged=estimate(), tokens=estimate(), mauve=dict(mean=some(), n=6, length=9))
        found["mauve"]["embedder"] = "a judge"
        found["distinct"] = {n: some() for n in "123"}
        names = ["ungrammatical", "surprise", "entropy", "divergence"]
        known_of = {name: estimate() for name in names} | dict(mistakes={k: some() for k in KINDS})
        return found | (known_of if known else {})

    names = "bound own_exam gradient_snr zero_shot".split() + ["excess"] * known
    found = {name: some(1, 2) for name in names}
    found |= {f"{name}_se": some(0.01, 0.02) for name in names if name != "gradient_snr"}
    dips = [2.0, some(1.2, 1.4), some(1.7, 1.9), some(1.3, 1.6), some(1.0, 1.1), some(1.1, 1.2)]
    steps = np.sort(rng.choice(10_000, size=len(dips), replace=False)).tolist()
    seconds = np.sort(rng.uniform(0, 100, size=len(dips))).tolist()
    points = zip(steps, seconds, dips, strict=True)
    curve = [dict(zip(("step", "seconds", "val"), point, strict=True)) for point in points]
    return dict(
        schedule=schedule, masking=masking, seed=seed, **{"excess": None, **found},
        entropy=1.25 if known else None, left_out=0.0, judge="a judge", written=written(),
        real=written(), nats_per_bit=dict(bound=0.55, zero_shot=0.8), curve=curve,
        independent=dict(bound=known, zero_shot=known),
    )  # fmt: skip


def trials(known, seeds=(0, 1, 2)):
    rng = np.random.default_rng(len(seeds) + 10 * known)
    kinds = [("cosine", "entropy"), ("sqrt", "uniform"), ("cosine", "uniform")]
    return {f"{s}-{m}-{seed}": trial(rng, s, m, seed, known) for s, m in kinds for seed in seeds}


def parsed(table):
    """(schedule, masking) -> head -> cell, of a table in Markdown."""
    head, _, *lines = [
        [cell.strip() for cell in line.strip("|\n").split("|")] for line in table.splitlines()
    ]
    return {tuple(line[:2]): dict(zip(head[2:], line[2:], strict=True)) for line in lines}


def of(found, kind):
    return [t for t in found.values() if (t["schedule"], t["masking"]) == kind]


def said(values, digits, scale=1.0, se=None):
    """A mean ± its standard error over these values, or of the one with this error of its own."""
    if len(values) > 1:
        se = statistics.stdev(values) / math.sqrt(len(values))
    text = f"{scale * statistics.fmean(values):.{digits}f}"
    return text if se is None else f"{text} ± {scale * se:.{digits}f}"


def first_as_low(curve, nats):
    for point in curve:
        if point["val"] <= nats:
            return point


def test_the_order_of_the_rows_is_that_of_the_maskings_and_schedules():
    order = [("cosine", "uniform"), ("sqrt", "uniform"), ("cosine", "entropy")]
    assert [*parsed(report.model_quality_table(trials(True)))] == order
    assert [*parsed(report.sample_quality_table(trials(True)))] == [*order, ("real texts", "")]


@pytest.mark.parametrize("seeds", [(0, 1, 2), (4,)])
@pytest.mark.parametrize("known", [True, False])
def test_what_a_model_is_worth_stands_under_its_own_head(known, seeds):
    found = trials(known, seeds)
    table, nats = (
        parsed(report.model_quality_table(found)),
        max(t["curve"][-1]["val"] for t in found.values()),
    )
    scaled = ("excess", "excess", 1) if known else ("bits per character", "bound", 1 / 0.55)
    for kind, row in table.items():
        mine = of(found, kind)

        def cell(name, scale=1.0, mine=mine):
            se = mine[0].get(f"{name}_se")
            return said([t[name] for t in mine], 3, scale, se)

        points = [first_as_low(t["curve"], nats) for t in mine]
        assert row == {
            "seeds": str(len(seeds)),
            "bound": f"<= {cell('bound')}",
            scaled[0]: f"<= {cell(*scaled[1:])}",
            "own exam": cell("own_exam"),
            "zero-shot": f"<= {cell('zero_shot')}",
            "gradient SNR": cell("gradient_snr"),
            f"steps to {nats:.3f}": said([p["step"] for p in points], 0),
            f"seconds to {nats:.3f}": said([p["seconds"] for p in points], 1),
        }


@pytest.mark.parametrize("seeds", [(0, 1, 2), (4,)])
@pytest.mark.parametrize("known", [True, False])
def test_what_a_model_writes_stands_under_its_own_head(known, seeds):
    found = trials(known, seeds)
    for kind, row in parsed(report.sample_quality_table(found)).items():
        mine = [t["written"] for t in of(found, kind)] or [[*found.values()][0]["real"]]

        def cell(name, digits=3, scale=1.0, mine=mine):
            values = [written[name]["mean"] for written in mine]
            return said(values, digits, scale, mine[0][name].get("se"))

        shares = [statistics.fmean(written["distinct"][n] for written in mine) for n in "123"]
        expected = {
            "judged": cell("judged"),
            "entropy": cell("entropy" if known else "tokens"),
            "distinct-1, 2, 3": ", ".join(f"{share:.3f}" for share in shares),
            "MAUVE": cell("mauve"),
        }
        if known:
            mistakes = [sum(written["mistakes"][k] for k in KINDS) for written in mine]
            expected |= {
                "ungrammatical": cell("ungrammatical", 1, 100) + " %",
                "mistakes": said(mistakes, 1),
                "surprise": cell("surprise"),
                "divergence": f">= {cell('divergence')}",
            }
        assert row == expected


def test_a_bound_is_reached_when_it_is_first_as_low():
    curve = [dict(step=n, val=val) for n, val in enumerate([2.0, 1.6, 1.9, 1.5, 1.7])]
    steps = [report.reached(dict(curve=curve), nats)["step"] for nats in (1.7, 1.6, 1.59)]
    assert steps == [1, 1, 3]


def test_the_target_is_what_the_last_evaluation_of_every_run_has_reached():
    runs = [[3.0, 1.2, 1.5], [2.0, 1.3, 1.6], [4.0, 1.1, 1.4]]
    found = [dict(curve=[dict(val=val) for val in run]) for run in runs]
    assert report.target(found) == 1.6


def test_seeds_that_lack_a_schedule_are_left_out_and_the_others_stand_in_order():
    whole = [
        dict(schedule=s, masking=m, seed=seed, score=1000 * (m == "entropy") + 10 * seed + i)
        for seed in (12, 3, 7)
        for m in MASKINGS
        for i, s in reversed([*enumerate(SCHEDULES)])
    ]
    some = [t for t in whole if (t["schedule"], t["seed"]) != ("sqrt", 7)]
    found = report.values(some, "entropy", lambda t: t["score"])
    assert found.tolist() == [[1000 + 10 * seed + i for i in range(6)] for seed in (3, 12)]
    assert report.values([], "uniform", lambda t: t["score"]).shape == (0, 6)


NAMES = ["linear", "cosine", "loglinear", "sqrt", "clipped_cosine", "sigmoid"]
BOUNDS = [1.0, 1.5, 1.25, 1.125, 2.0, 0.5]  # of seed 0, uniform
EXAMS = [0.5, 0.25, 0.75, 2.5, 1.5, 1.0]
MASKED = [[0.5, 0.25, 1.0, 0.0, 0.75, 0.5], [1.5, 0.25, 2.0, 0.5, 0.75, 1.0]]  # what entropy adds


def told(seeds=(0, 1)):
    """Seeds without noise: each has a bound that is 3 higher, and half an exam more."""
    found = {}
    for seed in seeds:
        for i, s in enumerate(NAMES):
            for masking in MASKINGS:
                bound = BOUNDS[i] + 3 * seed + (masking == "entropy") * MASKED[seed % 2][i]
                exam = EXAMS[i] * (1 + 0.5 * seed)
                found[f"{s}-{masking}-{seed}"] = dict(
                    schedule=s, masking=masking, seed=seed, bound=bound, own_exam=exam
                )
    return found


def test_an_analysis_is_of_bounds_within_seeds_against_linear():
    asked = []

    def rank(names, scores, twins, generator):
        asked.append((names, scores.tolist(), twins))
        return Ranking(0.01, 0.25, 0.5, (("a", "b"),))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(report, "rank", rank)
        found = report.analyse(told(), generator())
    uniform = [[b + 3 * seed for b in BOUNDS] for seed in (0, 1)]
    entropy = [[b + m for b, m in zip(uniform[seed], MASKED[seed], strict=True)] for seed in (0, 1)]
    assert asked == [(NAMES, rows, ("linear", "loglinear")) for rows in (uniform, entropy)]
    for masking, rows in ("uniform", uniform), ("entropy", entropy):
        f = found[masking]
        assert (f["seeds"], f["p"], f["floor"], f["threshold"]) == (2, 0.01, 0.25, 0.5)
        assert f["better"] == (("a", "b"),)
        for i, name in enumerate(NAMES):
            assert f["means"][name] == pytest.approx((rows[0][i] + rows[1][i]) / 2)
            assert f["own_exams"][name] == pytest.approx(EXAMS[i] * 1.25)
            # of two seeds a quarter of the resamples are twice the same: the interval is both
            low, high = sorted(row[i] - row[0] for row in rows)
            assert f["against_linear"][name] == pytest.approx(
                dict(mean=(low + high) / 2, low=low, high=high)
            )
    both = found["entropy_minus_uniform"]
    for i, name in enumerate(NAMES):
        low, high = MASKED[0][i], MASKED[1][i]
        assert both[name] == dict(mean=(low + high) / 2, low=low, high=high)
    assert both["all"] == dict(mean=0.75, low=0.5, high=1.0)


def test_masking_by_entropy_is_held_against_the_same_seeds():
    """Each masking has two whole seeds so far, but only seed 0 is whole under both. Seed 1 of the
    one and seed 2 of the other lie 3 nats apart, and that is no effect of masking."""
    found = told(seeds=(0, 1, 2))
    del found["cosine-uniform-2"], found["sqrt-entropy-1"]
    found = report.analyse(found, generator())
    assert found["uniform"]["seeds"] == found["entropy"]["seeds"] == 2
    for i, name in enumerate(NAMES):
        effect = MASKED[0][i]
        assert found["entropy_minus_uniform"][name] == dict(mean=effect, low=effect, high=effect)
    found = told()
    del found["cosine-uniform-0"], found["sqrt-entropy-1"]
    assert "entropy_minus_uniform" not in report.analyse(found, generator())


def test_the_verdict_says_what_was_found_in_sentences():
    values = [0.3, 0.1, 0.6, 0.5, 0.4, 0.2]
    f = dict(
        seeds=3, floor=0.0123, threshold=0.0456, p=0.0789,
        better=(("cosine", "sqrt"), ("sigmoid", "linear")),
        means=dict(zip(NAMES, values, strict=True)),
        own_exams=dict(zip(NAMES, values[::-1], strict=True)),
    )  # fmt: skip
    every = dict(mean=-0.25, low=-0.5, high=0.125)
    said = report.verdict({"uniform": f, "entropy_minus_uniform": {"all": every}}).split("\n\n")
    assert said == [
        "Masking uniform, 3 seeds: the twins linear and loglinear lie 0.0123 nats per token apart, "
        "and a difference must exceed 0.0456 to be told from noise (schedules as a whole: "
        "p <= 0.0789).",
        "Outside the noise: cosine is better than sqrt; sigmoid is better than linear. "
        "The data cannot rank the other pairs.",
        "Ranked by their own exams, from the best: clipped_cosine, linear, sigmoid, cosine, "
        "loglinear, sqrt. Ranked by the common bound: cosine, sigmoid, linear, clipped_cosine, "
        "sqrt, loglinear.",
        "Masking by entropy changes the bound by -0.2500 nats per token "
        "(-0.5000 to +0.1250 over seeds).",
    ]
    one = dict(f, seeds=1, floor=0.5, better=())
    said = report.verdict({"entropy": one}).split("\n\n")
    assert said[0].startswith("Masking entropy, 1 seed: ") and "must exceed 0.5000" in said[0]
    assert said[1] == "No ranking: all differences are within the noise." and len(said) == 3
    said = report.verdict({"entropy": dict(one, threshold=math.inf)})
    assert "and with so few, no difference can be told from noise (" in said and "inf" not in said
    many = dict(f, better=(("a", "b"), ("c", "b"), ("a", "d"), ("a", "e")))
    said = report.verdict({"entropy": many})
    assert "Outside the noise: a is better than b, d and e; c is better than b. The data" in said


def test_the_notes_say_what_a_nat_is_and_how_far_windows_scatter():
    found = {n: measured(bound_se=se) for n, se in enumerate([0.02, 0.5, 0.03])}
    said = report.model_quality_notes(found)
    assert "the standard error of the bound is 0.030, computed from blocks of windows" in said
    alone = measured(independent=dict(bound=True, zero_shot=False))
    assert "standard error of the bound is 0.030.\n" in report.model_quality_notes({"a": alone})
    assert "One nat per token is 1.6667 bits per character." in said  # 1 / 0.6
    assert "On the second text, one nat per token is 1.2500 bits per character." in said  # 1 / 0.8
    assert "without 4.8% of its characters" in said
    known = measured(excess=0.3, excess_se=0.1, entropy=1.2344)
    assert "The entropy of the language is 1.234." in report.model_quality_notes({"a": known})


def test_what_is_known_of_a_trial_is_what_its_files_say(tmp_path):
    """Means over windows, the points of the log that were evaluated, and the three parts of its
    name; of those alone that are measured."""
    plan = replace(study.load("tiny"), seeds=(0, 12))
    names = [t.id for t in plan.trials]
    atomic.write_json(tmp_path / "study.json", dict(hash="h", trials=names, study=asdict(plan)))
    wanted = {"clipped_cosine-entropy-12": 2.0, "sqrt-uniform-0": 5.0}
    for name, first in wanted.items():
        folder = tmp_path / "runs" / name
        folder.mkdir(parents=True)
        lists = dict(bound=[first, 3.0, 10.0], own_exam=[first, 0.5], zero_shot=[1.0, 1.0, 7.0])
        rest = dict(seconds=4, independent=dict(bound=True, zero_shot=False))
        atomic.write_json(folder / "measures.json", measured() | rest | lists)
        lines = [
            dict(step=10, loss=9.0, lr=1, seconds=1.5),
            dict(step=20, loss=8.0, lr=1, seconds=2.5, val=first, val_se=0.1),
            dict(step=30, loss=7.0, lr=1, seconds=4.5, val=first / 2, val_se=0.1),
        ]
        (folder / "log.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    unmeasured = tmp_path / "runs/linear-uniform-0"
    unmeasured.mkdir()
    atomic.write_json(unmeasured / "measures.json", dict(bound=[1.0, 2.0]))
    found = report.collect(tmp_path)
    assert {*found} == {*wanted}
    for name, first in wanted.items():
        t = found[name]
        assert f"{t['schedule']}-{t['masking']}-{t['seed']}" == name
        assert t["masking"] in MASKINGS and t["schedule"] in SCHEDULES
        assert t["bound"] == pytest.approx((first + 13) / 3) and t["zero_shot"] == 3
        assert t["own_exam"] == (first + 0.5) / 2 and t["judge"] == "a judge"
        assert t["curve"] == [
            dict(step=20, seconds=2.5, val=first),
            dict(step=30, seconds=4.5, val=first / 2),
        ]


def one_trial(folder, **changes):
    """A study in a folder, one trial of which is measured."""
    plan = study.load("tiny")
    run = folder / "runs" / plan.trials[0].id
    run.mkdir(parents=True)
    facts = dict(hash=plan.hash, trials=[t.id for t in plan.trials], study=asdict(plan))
    atomic.write_json(folder / "study.json", facts)
    lists = dict(bound=[1.5, 2.5], own_exam=[1.0, 2.0], zero_shot=[2.0, 3.0], seconds=3.0)
    atomic.write_json(run / "measures.json", measured() | lists | changes)
    point = dict(step=20, loss=1.5, lr=0.1, seconds=2.5, val=1.25, val_se=0.1)
    (run / "log.jsonl").write_text(json.dumps(point) + "\n")
    return run


def test_null_is_read_as_no_number_where_it_stands_for_one(tmp_path):
    """JSON knows no NaN. A whole measure that is null is not there."""
    one_trial(tmp_path, bound=[1.5, math.nan], gradient_snr=math.nan, excess=None)
    [found] = report.collect(tmp_path).values()
    assert math.isnan(found["bound"]) and "bound_se" not in found and found["own_exam"] == 1.5
    assert found["excess"] is None
    text = report.text(dict(hash="h", trials={"a": found}, found={}))
    row = next(line for line in text.splitlines() if line.startswith("| linear "))
    assert "nan" not in row
    assert row.count("|  ") >= 3  # the bound, bits per character, and the gradient are left out


def test_what_an_older_version_kept_is_read_under_the_names_of_this_one(tmp_path, monkeypatch):
    """The divergence of texts was called their excess; the excess of a model keeps its name."""

    def older(texts):
        return {"excess" if k == "divergence" else k: v for k, v in texts.items()}

    monkeypatch.setattr(kept, "BOOK", tmp_path)
    facts = dict(trials=trials(True))
    past = {
        name: t | dict(written=older(t["written"]), real=older(t["real"]))
        for name, t in facts["trials"].items()
    }
    atomic.write_json(tmp_path / "tiny.json", dict(trials=past))
    assert "divergence" not in (tmp_path / "tiny.json").read_text()
    assert report.stored("tiny") == facts

    t = next(iter(facts["trials"].values()))
    texts = dict(written=t["written"], real=t["real"])
    known = dict(excess=[0.5, 1.5], entropy=1.25)
    now = study.read_measures(one_trial(tmp_path / "now", **known, **texts))
    past = {name: older(found) for name, found in texts.items()}
    then = study.read_measures(one_trial(tmp_path / "then", **known, **past))
    assert now == then and now["written"]["divergence"] == t["written"]["divergence"]


def test_the_files_of_a_study_that_were_edited_are_used_or_refused(tmp_path):
    """In one sentence, which names the file."""
    run = one_trial(tmp_path, mauve=None)
    refused = 0
    for file in tmp_path / "study.json", run / "measures.json":
        whole = file.read_bytes()
        for edited in hostile(json.loads(whole), 300):
            file.write_bytes(edited)
            try:
                found = report.collect(tmp_path)
                assert report.text(dict(hash="h", trials=found, found={}))
            except InputError as error:
                refused += 1
                known = str(file) in str(error) or "no trial of" in str(error)
                assert known and "\n" not in str(error), edited
        file.write_bytes(whole)
    assert refused > 300
    for line in "{}", '{"step": "a", "val": 1}', '{"step": 1, "seconds": 1, "val": null}':
        (run / "log.jsonl").write_text(line + "\n")
        with pytest.raises(InputError, match="log.jsonl"):
            report.collect(tmp_path)


def test_curves_are_means_over_seeds_and_the_band_their_range():
    found = {}
    for k, (name, masking) in enumerate([("cosine", "uniform"), ("sqrt", "entropy")]):
        for seed, drop in enumerate([0.0, 0.5, 2.5]):
            curve = [dict(step=10, val=5.0 + k), dict(step=30, val=4.0 + k - drop)]
            found[name, seed] = dict(schedule=name, masking=masking, curve=curve)
    uniform, entropy = report.curves(found).axes
    for axes, k, name in (uniform, 0, "cosine"), (entropy, 1, "sqrt"):
        [line], [band] = axes.lines, axes.collections
        assert line.get_label() == name and axes.get_title() == f"masking {[*MASKINGS][k]}"
        assert line.get_xydata().tolist() == [[10, 5 + k], [30, 3 + k]]
        ends = {(x, y) for x, y in band.get_paths()[0].vertices.tolist()}
        assert ends == {(10, 5 + k), (30, 4 + k), (30, 1.5 + k)}
        [written] = axes.texts
        assert (written.get_text(), written.xy) == (name, (1, 3 + k))
        assert written.get_color() == line.get_color()


def test_names_at_the_ends_of_lines_keep_their_order_and_do_not_overlap():
    [axes] = [Figure().subplots()]
    axes.set(ylim=(0, 10))
    ends = dict(zip(NAMES, [1.0, 0.5, math.nan, 8.0, 1.2, 1.1], strict=True))
    report.name_ends(axes, ends, dict.fromkeys(NAMES, "black"))
    heights = {text.get_text(): text.xy[1] for text in axes.texts}
    assert [*heights] == ["cosine", "linear", "sigmoid", "clipped_cosine", "sqrt"]
    assert heights["cosine"] == 0.5 and heights["sqrt"] == 8
    points = 72 * axes.get_window_extent().height / axes.figure.dpi
    for lower, upper in pairwise(heights.values()):
        assert (upper - lower) / 10 * points >= axes.texts[0].get_fontsize()


def test_a_forest_shows_every_interval_and_how_far_noise_may_go():
    def found(floor, threshold, shift):
        spans = {
            n: Interval(shift + i, shift + i - 0.25, shift + i + 0.5) for i, n in enumerate(NAMES)
        }
        intervals = {name: vars(span) for name, span in spans.items()}
        return dict(floor=floor, threshold=threshold, against_linear=intervals)

    panels = report.forest(
        dict(uniform=found(0.1, 0.3, 0), entropy=found(0.4, 0.2, 10), entropy_minus_uniform={})
    ).axes
    for axes, masking, shift, least in zip(panels, MASKINGS, (0, 10), (0.3, 0.4), strict=True):
        assert axes.get_title() == f"masking {masking}"
        [band] = axes.patches
        assert band.get_extents().transformed(axes.transData.inverted()).intervalx.tolist() == (
            pytest.approx([-least, least])
        )
        drawn = [line.get_xydata().tolist() for line in axes.lines]
        for i in range(6):
            here = shift + i
            assert drawn[2 * i] == [[here - 0.25, i], [here + 0.5, i]]
            assert drawn[2 * i + 1] == [[here, i]]
    assert [tick.get_text() for tick in panels[0].get_yticklabels()] == NAMES


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("seeds", [(0, 1, 2), (4,)])
def test_what_is_not_known_of_a_trial_is_left_out(known, seeds, tmp_path):
    """Of one trial, or of all: nothing in the tables, the sentences or the figures is a nan."""
    fixed = ("nats_per_bit", "entropy", "left_out")

    def lost(trial):
        kept = {k: v for k, v in trial.items() if k in fixed or k.endswith("_se")}
        return unknown(trial) | kept

    every = trials(known, seeds)
    first, *_ = every
    for found in {**every, first: lost(every[first])}, {k: lost(t) for k, t in every.items()}:
        facts = report.analyse(found, generator())
        said = report.text(dict(hash="abc", trials=found, found=facts))
        assert "nan" not in said and "± |" not in said
        report.curves(found).savefig(tmp_path / "curves.png")
