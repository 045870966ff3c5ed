"""What a study found: one table, curves, intervals, and a ranking only where there is one."""

import json
from operator import itemgetter
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure

from . import checkpoint
from .errors import InputError, choose
from .evaluate import markdown, percent
from .paradigms.mdlm import MASKINGS
from .schedules import SCHEDULES
from .statistics import bootstrap, rank
from .study import PRESETS, STUDIES, TWINS
from .train import read_log
from .viz import COLOURS, GREY

MARKERS = {"uniform": "o", "entropy": "s"}
DASHES = ["-", ":", "--", "-.", (0, (5, 1)), (0, (1, 1))]
STYLES = dict(zip(SCHEDULES, zip(COLOURS, DASHES, strict=True), strict=True))


def collect(out):
    """id -> what is known of every trial of the study in that folder that has been measured: its
    measures, windows averaged, and its learning curve. Raises InputError where there is none."""
    file = Path(out) / "study.json"
    if not file.exists():
        raise InputError(f"{out} holds no study: nanoparadigm study --out {out} makes one")
    found = {}
    for name in json.loads(file.read_text(encoding="utf-8"))["trials"]:
        folder = Path(out) / "runs" / name
        if (folder / "measures.json").exists():
            measures = json.loads((folder / "measures.json").read_text(encoding="utf-8"))
            means = {k: float(np.mean(v)) for k, v in measures.items() if isinstance(v, list)}
            schedule, masking, seed = name.rsplit("-", 2)
            trial = dict(schedule=schedule, masking=masking, seed=int(seed))
            points = [r for r in read_log(folder) if "val" in r]
            curve = [{k: r[k] for k in ("step", "seconds", "val")} for r in points]
            found[name] = trial | measures | means | dict(curve=curve)
    if not found:
        raise InputError(f"no trial of {out} is done yet: nanoparadigm study --out {out} goes on")
    return found


def stored(preset):
    """What the study of a preset has found on the machine of its authors: the dict that `write`
    leaves in results.json, and that machine. InputError for a preset that was not run."""
    names = [name for name in PRESETS if (STUDIES / f"{name}.json").is_file()]
    choose("stored study", preset, dict.fromkeys(names))
    return json.loads((STUDIES / f"{preset}.json").read_text(encoding="utf-8"))


def values(trials, masking, measure):
    """measure(trial) as (S, K): the seeds that have every schedule under this masking, by the
    schedules."""
    table = {(t["seed"], t["schedule"]): measure(t) for t in trials if t["masking"] == masking}
    seeds = sorted({seed for seed, _ in table})
    whole = [s for s in seeds if all((s, schedule) in table for schedule in SCHEDULES)]
    rows = [[table[seed, schedule] for schedule in SCHEDULES] for seed in whole]
    return np.array(rows).reshape(len(rows), len(SCHEDULES))


def target(trials):
    """The lowest bound that all of them have reached: the highest of their last ones."""
    return max(t["curve"][-1]["val"] for t in trials)


def steps_to(trial, nats):
    return next(point["step"] for point in trial["curve"] if point["val"] <= nats)


def analyse(trials, generator):
    """What may be said, as a dict that JSON can hold. trials: those of `collect`."""
    trials, names = list(trials.values()), list(SCHEDULES)
    found = {}
    for masking in MASKINGS:
        scores = values(trials, masking, itemgetter("bound"))
        if not len(scores):
            continue
        exams = values(trials, masking, itemgetter("own_exam"))
        base = scores[:, names.index(TWINS[0])]
        differences = {n: bootstrap(scores[:, i] - base, generator) for i, n in enumerate(names)}
        ranking = rank(names, scores, TWINS, generator)
        found[masking] = dict(
            seeds=len(scores),
            means=dict(zip(names, scores.mean(0).tolist(), strict=True)),
            own_exams=dict(zip(names, exams.mean(0).tolist(), strict=True)),
            against_linear={n: vars(d) for n, d in differences.items()},
            **vars(ranking),
        )
    both = [values(trials, masking, itemgetter("bound")) for masking in MASKINGS]
    if len(both[0]) == len(both[1]) > 0:
        effect = [bootstrap(both[1][:, i] - both[0][:, i], generator) for i in range(len(names))]
        found["entropy_minus_uniform"] = {
            n: vars(e) for n, e in zip(names, effect, strict=True)
        } | {"all": vars(bootstrap((both[1] - both[0]).mean(1), generator))}
    return found


def verdict(found):
    """The findings in sentences."""
    lines = []
    for masking in MASKINGS:
        if masking not in found:
            continue
        f = found[masking]
        easiest = sorted(f["own_exams"], key=f["own_exams"].get)
        best = sorted(f["means"], key=f["means"].get)
        lines.append(
            f"Masking {masking}, {f['seeds']} seeds: the twins {TWINS[0]} and {TWINS[1]} lie "
            f"{f['floor']:.4f} nats per token apart, and a difference must exceed "
            f"{max(f['floor'], f['threshold']):.4f} to be told from noise (schedules as a whole: "
            f"p <= {f['p']:.4f})."
        )
        if f["better"]:
            pairs = "; ".join(f"{a} is better than {b}" for a, b in f["better"])
            lines.append(f"Outside the noise: {pairs}. Of all other pairs nothing can be said.")
        else:
            lines.append("No ranking: what separates them is not outside the noise.")
        lines.append(
            f"By their own exams the order would be {', '.join(easiest)}; by the common bound it "
            f"is {', '.join(best)}."
        )
    if "entropy_minus_uniform" in found:
        e = found["entropy_minus_uniform"]["all"]
        lines.append(
            f"Masking by entropy changes the bound by {e['mean']:+.4f} nats per token "
            f"({e['low']:+.4f} to {e['high']:+.4f} over seeds)."
        )
    return "\n\n".join(lines)


def table(trials):
    """A row for each kind of trial in Markdown: means over its seeds, ± their standard error."""
    nats = target(trials.values())
    head = ["schedule", "masking", "seeds", "bound", "own exam", "zero-shot", "gradient noise"]
    head += [f"steps to {nats:.3f}", "ungrammatical", "judged", "entropy", "distinct-2"]
    lines = []
    for masking in MASKINGS:
        for schedule in SCHEDULES:
            kind = [
                t for t in trials.values() if (t["schedule"], t["masking"]) == (schedule, masking)
            ]
            if not kind:
                continue
            known = "ungrammatical" in kind[0]["written"]
            variety = "entropy" if known else "tokens"

            def cell(measure, digits=3, kind=kind):
                numbers = np.array([measure(t) for t in kind], dtype=float)
                said = f"{numbers.mean():.{digits}f}"
                if len(numbers) > 1:
                    said += f" ± {numbers.std(ddof=1) / len(numbers) ** 0.5:.{digits}f}"
                return said

            lines.append(
                [
                    schedule,
                    masking,
                    f"{len(kind)}",
                    f"<= {cell(itemgetter('bound'))}",
                    cell(itemgetter("own_exam")),
                    f"<= {cell(itemgetter('zero_shot'))}" if kind[0]["zero_shot"] else "",
                    cell(itemgetter("gradient_noise"), 1),
                    cell(lambda t: steps_to(t, nats), 0),
                    percent(share(kind)) if known else "",
                    cell(lambda t: t["written"]["judged"]["mean"]),
                    cell(lambda t, variety=variety: t["written"][variety]["mean"]),
                    cell(lambda t: t["written"]["distinct"]["2"], 2),
                ]
            )
    return markdown(head, lines)


def share(kind):
    """Of ungrammatical samples over several runs, whose standard errors are independent."""
    parts = [t["written"]["ungrammatical"] for t in kind]
    mean = sum(p["mean"] for p in parts) / len(parts)
    return dict(mean=mean, se=sum(p["se"] ** 2 for p in parts) ** 0.5 / len(parts))


NOTES = """\
Nats per token. `bound` is `nll_bound` under uniform masks, the same windows and noise for all,
whatever a model was trained with; `own exam` the mean cross-entropy of what its own schedule and
masking hide, which ranks the exams. ± is the standard error over seeds. `gradient noise` is the
variance of the gradient over its square, at the end. `judged` is what an autoregressive model of
another half of the text finds in what was written, and says nothing without `entropy`, how varied
that is. Intervals are of paired differences, resampled over seeds.
"""


def curves(trials):
    """The bound while training, a line for each trial."""
    figure = Figure(figsize=(10, 4.5), layout="constrained")
    panels = figure.subplots(1, len(MASKINGS), sharey=True)
    for axes, masking in zip(panels, MASKINGS, strict=True):
        for schedule, (colour, dashes) in STYLES.items():
            kind = [
                t for t in trials.values() if (t["schedule"], t["masking"]) == (schedule, masking)
            ]
            for i, trial in enumerate(kind):
                x, y = ([point[key] for point in trial["curve"]] for key in ("step", "val"))
                style = dict(color=colour, ls=dashes, lw=1.4, label=None if i else schedule)
                axes.plot(x, y, **style)
        axes.set(title=f"masking {masking}", xlabel="steps")
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("nll_bound, nats per token")
    panels[0].legend(frameon=False)
    return figure


def forest(found):
    """Differences from linear with their intervals; the band is what noise may be."""
    maskings = [m for m in MASKINGS if m in found]
    figure = Figure(figsize=(10, 3.2), layout="constrained")
    panels = np.atleast_1d(figure.subplots(1, len(maskings), sharex=True, sharey=True))
    for axes, masking in zip(panels, maskings, strict=True):
        f = found[masking]
        least = max(f["floor"], f["threshold"])
        if np.isfinite(least):
            axes.axvspan(-least, least, color=GREY, alpha=0.25, lw=0)
        for i, (schedule, d) in enumerate(f["against_linear"].items()):
            colour, _ = STYLES[schedule]
            axes.plot([d["low"], d["high"]], [i, i], color=colour, lw=2)
            axes.plot(d["mean"], i, MARKERS[masking], color=colour)
        axes.set_yticks(range(len(f["against_linear"])), list(f["against_linear"]))
        axes.axvline(0, color=GREY, lw=1)
        axes.set(title=f"masking {masking}", xlabel="nats per token more than linear")
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].invert_yaxis()
    return figure


def text(facts):
    """What was found, in Markdown: tables and sentences. facts: the dict of results.json."""
    trials = facts["trials"]
    return (
        f"{len(trials)} trials, configuration {facts['hash']}.\n\n"
        f"{table(trials)}\n{NOTES}\n{verdict(facts['found'])}\n"
    )


def write(out):
    """report.md, results.json, curves.png and forest.png in the folder of a study; returns what
    report.md says."""
    out, trials = Path(out), collect(out)
    facts = json.loads((out / "study.json").read_text(encoding="utf-8"))
    missing = len(facts.pop("trials")) - len(trials)
    facts |= dict(found=analyse(trials, torch.Generator().manual_seed(0)), trials=trials)
    said = f"# A study of noise schedules on {facts['study']['dataset']}\n\n"
    said += f"{missing} trials are not done yet. " if missing else ""
    said += text(facts)
    (out / "report.md").write_text(said, encoding="utf-8")
    checkpoint.write_json(out / "results.json", facts)
    curves(trials).savefig(out / "curves.png", dpi=150)
    forest(facts["found"]).savefig(out / "forest.png", dpi=150)
    return said
