"""The report of a study: tables, curves, intervals, and a ranking only if there is one."""

import json
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from operator import itemgetter
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib import rcParams
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ... import atomic
from ...errors import InputError, lookup
from ...evaluate.likelihood import of_windows
from ...evaluate.tables import markdown, with_error
from ...paradigms.schedules import SCHEDULES
from ...show.figures import COLOURS, GREY, save
from ...training.log import read_log
from ..kept import kept
from .significance import bootstrap, rank
from .study import MASKINGS, TWINS, begun, is_measured, read_measures, renamed

MARKERS = {"uniform": "o", "entropy": "s"}
DASHES = ["-", ":", "--", "-.", (0, (5, 1)), (0, (1, 1))]
STORED = "tiny", "shakespeare"
Results = dict[str, Any]
"""what `collect` returns of one trial; or, in `cell`, a part of it"""
Trials = dict[str, Results]
"""id -> results"""
Findings = dict[str, Any]
"""what `analyse` returns"""
STYLES = dict(zip(SCHEDULES, zip(COLOURS, DASHES, strict=True), strict=True))


def collect(out: str | PathLike) -> Trials:
    """Return id -> results, for every trial of the study in that folder that has been measured.

    The results are its measures, averaged over windows, the standard errors of these as NAME_se,
    and its learning curve. Raises InputError if no trial has been measured.
    """
    found = {}
    for name in begun(out).trials:
        folder = Path(out) / "runs" / name
        if is_measured(folder):
            measures = read_measures(folder)
            lists = {k: np.array(v, float) for k, v in measures.items() if isinstance(v, list)}
            means = {k: float(np.mean(v)) for k, v in lists.items()}
            errors = {
                f"{k}_se": se
                for k, v in lists.items()
                if not np.isnan(se := standard_error(v, measures["independent"], k))
            }
            schedule, masking, seed = name.rsplit("-", 2)
            trial = dict(schedule=schedule, masking=masking, seed=int(seed))
            points = [r for r in read_log(folder) if "val" in r]
            if not points:
                raise InputError(
                    f"{folder}/log.jsonl holds no evaluation: delete that folder and train again"
                )
            curve = [{k: r[k] for k in ("step", "seconds", "val")} for r in points]
            found[name] = trial | measures | means | errors | dict(curve=curve)
    if not found:
        raise InputError(
            f"no trial of {out} is done and measured as this version measures: give the command "
            "that began it again"
        )
    return found


def standard_error(
    values: Sequence[float] | np.ndarray, independent: Mapping[str, bool | None], name: str
) -> float:
    """Return the standard error of the mean of values, one a window, in the order of the text."""
    alone = independent["zero_shot" if name == "zero_shot" else "bound"]
    return of_windows(alone)(torch.as_tensor(values, dtype=torch.float64)).se


def stored(preset: str) -> dict[str, Any]:
    """Return the results that the authors of the package got for a preset.

    They are the dict that `write` leaves in results.json, and the machine it was run on. They come
    with the book, and are downloaded if the book is not there. Raises InputError for a preset that
    was not run, and if the download fails.
    """
    lookup("stored study", preset, dict.fromkeys(STORED))
    facts = kept(preset)
    for trial in facts["trials"].values():
        renamed(trial)
    return facts


def values(
    trials: Iterable[Results], masking: str, measure: Callable[[Results], float]
) -> np.ndarray:
    """Return measure(trial) as an array (S, K), seeds by schedules, under one masking.

    Seeds that lack a schedule are left out.
    """
    mine = [t for t in trials if t["masking"] == masking and not math.isnan(measure(t))]
    table = {(t["seed"], t["schedule"]): measure(t) for t in mine}
    seeds = sorted({seed for seed, _ in table})
    whole = [s for s in seeds if all((s, schedule) in table for schedule in SCHEDULES)]
    rows = [[table[seed, schedule] for schedule in SCHEDULES] for seed in whole]
    return np.array(rows).reshape(len(rows), len(SCHEDULES))


def target(trials: Iterable[Results]) -> float:
    """Return the lowest bound that every trial has reached: the highest of their last ones.

    It is nan if no last one is known.
    """
    return max((last for t in trials if (last := t["curve"][-1]["val"]) == last), default=math.nan)


def reached(trial: Results, nats: float) -> dict[str, float]:
    """Return the first point of a learning curve at or below `nats`, or a point of nans."""
    points = (point for point in trial["curve"] if point["val"] <= nats)
    return next(points, dict(step=math.nan, seconds=math.nan))


def analyse(trials: Trials, generator: torch.Generator) -> Findings:
    """Return the findings, as a dict that JSON can hold. trials: those of `collect`."""
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
    done = Counter(t["seed"] for t in trials)
    shared = [t for t in trials if done[t["seed"]] == len(MASKINGS) * len(SCHEDULES)]
    both = [values(shared, masking, itemgetter("bound")) for masking in MASKINGS]
    if len(both[0]):
        effect = [bootstrap(both[1][:, i] - both[0][:, i], generator) for i in range(len(names))]
        found["entropy_minus_uniform"] = {
            n: vars(e) for n, e in zip(names, effect, strict=True)
        } | {"all": vars(bootstrap((both[1] - both[0]).mean(1), generator))}
    return found


def verdict(found: Findings) -> str:
    """Return the findings in sentences. found: the dict of `analyse`."""
    lines = []
    for masking in MASKINGS:
        if masking not in found:
            continue
        f = found[masking]
        easiest = sorted(f["own_exams"], key=f["own_exams"].get)
        best = sorted(f["means"], key=f["means"].get)
        seeds = f"{f['seeds']} seed{'s' * (f['seeds'] > 1)}"
        least = apart(f)
        told = "with so few, no difference can be told from noise"
        if math.isfinite(least):
            told = f"a difference must exceed {least:.4f} to be told from noise"
        lines.append(
            f"Masking {masking}, {seeds}: the twins {TWINS[0]} and {TWINS[1]} lie "
            f"{f['floor']:.4f} nats per token apart, and {told} (schedules as a whole: "
            f"p <= {f['p']:.4f})."
        )
        if f["better"]:
            pairs = "; ".join(f"{a} is better than {b}" for a, b in grouped(f["better"]))
            lines.append(f"Outside the noise: {pairs}. The data cannot rank the other pairs.")
        else:
            lines.append("No ranking: all differences are within the noise.")
        lines.append(
            f"Ranked by their own exams, from the best: {', '.join(easiest)}. Ranked by the common "
            f"bound: {', '.join(best)}."
        )
    if "entropy_minus_uniform" in found:
        e = found["entropy_minus_uniform"]["all"]
        lines.append(
            f"Masking by entropy changes the bound by {e['mean']:+.4f} nats per token "
            f"({e['low']:+.4f} to {e['high']:+.4f} over seeds)."
        )
    return "\n\n".join(lines)


def grouped(pairs: Iterable[Sequence[str]]) -> list[tuple[str, str]]:
    """Return (a, "b, c and d") for all pairs (a, b), (a, c), (a, d), in their order."""
    found: dict[str, list[str]] = {}
    for a, b in pairs:
        found.setdefault(a, []).append(b)
    return [(a, listed(worse)) for a, worse in found.items()]


def listed(names: Sequence[str], word: str = "and") -> str:
    """Return names as a list in a sentence: "a, b and c", or with another word before the last."""
    *others, last = names
    return f"{', '.join(others)} {word} {last}" if others else last


def kinds(trials: Trials) -> Iterator[tuple[str, str, list[Results]]]:
    """Yield each schedule and masking that has trials, with those trials."""
    for masking in MASKINGS:
        for schedule in SCHEDULES:
            kind = [
                t for t in trials.values() if (t["schedule"], t["masking"]) == (schedule, masking)
            ]
            if kind:
                yield schedule, masking, kind


def cell(
    kind: Sequence[Results],
    measure: Callable[[Results], Any],
    digits: int = 3,
    scale: float = 1.0,
    before: str = "",
    after: str = "",
) -> str:
    """Return the mean over trials of measure(trial) ± its standard error, as text.

    measure: returns a number, or an Estimate as a dict. The error is over seeds, or for a single
    trial its own.
    """
    found = [f if isinstance(f, dict) else dict(mean=f) for f in map(measure, kind)]
    means = np.array([f["mean"] for f in found], float)
    se = found[0].get("se") if len(found) == 1 else means.std(ddof=1) / len(means) ** 0.5
    return with_error(dict(mean=means.mean(), se=se), f".{digits}f", scale, before, after)


def over_windows(name: str) -> Callable[[Results], dict[str, float | None]]:
    """Return a function for `cell`: the measure of that name with its error over windows."""
    return lambda t: dict(mean=t[name], se=t.get(f"{name}_se"))


def model_quality_table(trials: Trials) -> str:
    """Return a Markdown table of how good the models are, a row for each kind."""
    first, nats = next(iter(trials.values())), target(trials.values())
    columns = {"seeds": lambda kind: f"{len(kind)}"}
    columns["bound"] = lambda kind: cell(kind, over_windows("bound"), before="<= ")
    if first["excess"] is not None:
        columns["excess"] = lambda kind: cell(kind, over_windows("excess"), before="<= ")
    else:
        bit = first["nats_per_bit"]["bound"]
        columns["bits per character"] = lambda kind: cell(
            kind, over_windows("bound"), scale=1 / bit, before="<= "
        )
    columns["own exam"] = lambda kind: cell(kind, over_windows("own_exam"))
    if first["zero_shot"] is not None:
        columns["zero-shot"] = lambda kind: cell(kind, over_windows("zero_shot"), before="<= ")
    columns["gradient SNR"] = lambda kind: cell(kind, itemgetter("gradient_snr"))
    columns[f"steps to {with_error(nats)}"] = lambda kind: cell(
        kind, lambda t: reached(t, nats)["step"], 0
    )
    if "seconds" in first["curve"][0]:
        columns[f"seconds to {with_error(nats)}"] = lambda kind: cell(
            kind, lambda t: reached(t, nats)["seconds"], 1
        )
    lines = [[s, m, *(column(kind) for column in columns.values())] for s, m, kind in kinds(trials)]
    return markdown(["schedule", "masking", *columns], lines)


def sample_quality_table(trials: Trials) -> str:
    """Return a Markdown table of how good their samples are: a row a kind, and real texts."""
    first = next(iter(trials.values()))
    known = "ungrammatical" in first["real"]
    columns = {"judged": lambda kind: cell(kind, itemgetter("judged"))}
    columns["entropy"] = lambda kind: cell(kind, itemgetter("entropy" if known else "tokens"))
    columns["distinct-1, 2, 3"] = lambda kind: ", ".join(
        with_error(np.mean([written["distinct"][n] for written in kind])) for n in "123"
    )
    if all(t["written"]["mauve"] for t in trials.values()):
        columns["MAUVE"] = lambda kind: cell(kind, itemgetter("mauve"))
    if known:
        columns["ungrammatical"] = lambda kind: cell(
            kind, itemgetter("ungrammatical"), 1, scale=100, after=" %"
        )
        columns["mistakes"] = lambda kind: cell(kind, lambda w: sum(w["mistakes"].values()), 1)
        columns["surprise"] = lambda kind: cell(kind, itemgetter("surprise"))
        columns["divergence"] = lambda kind: cell(kind, itemgetter("divergence"), before=">= ")
    rows = [(s, m, [t["written"] for t in kind]) for s, m, kind in kinds(trials)]
    rows.append(("real texts", "", [first["real"]]))
    lines = [[s, m, *(column(kind) for column in columns.values())] for s, m, kind in rows]
    return markdown(["schedule", "masking", *columns], lines)


def model_quality_notes(trials: Trials) -> str:
    """Return what the columns of `model_quality_table` mean, in Markdown."""
    first, bits = next(iter(trials.values())), {}
    for name, nats in first["nats_per_bit"].items():
        bits[name] = nats and f"{1 / nats:.4f} bits per character"
    errors = [t["bound_se"] for t in trials.values() if "bound_se" in t]
    lines = [
        "All numbers are in nats per token unless the column says otherwise. `bound` is "
        "`nll_bound` under uniform masks, on the same windows and with the same noise for every "
        "model, however it was trained. `own exam` is the training-schedule loss: the mean "
        "cross-entropy of the tokens that the model's own schedule and masking hide. It ranks the "
        "exams, not the models.",
        "± is the standard error over seeds, or over windows or texts if there is only one seed. "
        "Over the windows of a single model, the standard error of the bound is "
        f"{with_error(np.median(errors or [math.nan])) or 'not known'}"
        + (
            "."
            if first["independent"]["bound"]
            else ", computed from blocks of windows because neighbouring windows of a text are "
            "similar. Every model reads the same windows, so most of this error cancels in the "
            "difference between two models."
        ),
    ]
    if first["excess"] is not None:
        lines.append(
            "`excess` is the bound minus the exact -log p of the same windows: the divergence "
            "KL(language || model) plus the slack of the bound. The entropy of the language is "
            f"{first['entropy']:.3f}."
        )
    else:
        lines.append(f"One nat per token is {bits['bound']}.")
        if bits["zero_shot"] and bits["zero_shot"] != bits["bound"]:
            lines.append(f"On the second text, one nat per token is {bits['zero_shot']}.")
    if first["zero_shot"] is not None:
        second = "`zero-shot` is the bound on a second text, on which no model was trained"
        if first["left_out"]:
            second += (
                f", without {first['left_out']:.1%} of its characters, which do not occur in the "
                "first text"
            )
        lines.append(f"{second}.")
    lines.append(
        "`gradient SNR` is the signal-to-noise ratio of a batch's gradient, "
        "|E g|^2 / E |g - E g|^2, at the end of training. `steps to` counts the training steps "
        "until the bound, as measured during training, first reached the lowest value that every "
        "model reached."
    )
    if "seconds" in first["curve"][0]:
        lines.append(
            "`seconds to` counts training time alone. Seconds can be compared only if the machine "
            "did nothing else and always trained the same number of models at once; steps can "
            "always be compared."
        )
    return "".join(f"- {line}\n" for line in lines)


def sample_quality_notes(trials: Trials) -> str:
    """Return what the columns of `sample_quality_table` mean, in Markdown."""
    first = next(iter(trials.values()))
    mauve = first["written"]["mauve"]
    lines = [
        f"`judged` is the cross-entropy of the samples, in nats per token, under {first['judge']}. "
        "It means nothing without `entropy`, which measures how varied the samples are, and "
        "`distinct`, the share of different tokens, pairs and triples. The last row is the score "
        "of real texts."
    ]
    if all(t["written"]["mauve"] for t in trials.values()):
        lines.append(
            f"`MAUVE` compares {mauve['n']} texts of {mauve['length']} tokens with as many real "
            f"ones, using {mauve['embedder']}. It sees only what that model sees, and it depends "
            "on the number of texts, so read it against the last row, which compares two sets of "
            "real texts."
        )
    else:
        lines.append(
            "MAUVE was not measured. To measure it: pip install 'nanoparadigm[mauve]', delete the "
            "files runs/*/measures.json, and run the same command again."
        )
    if first["entropy"] is not None:
        lines.append(
            "`mistakes` is the mean number of mistakes per text. `surprise` is E[-log p] under the "
            "language, where a mistake counts as a slip: compare it with the entropy of the "
            "language. `divergence` is a lower bound of KL(model || language), computed from "
            "counts. `entropy` here is the entropy of the next event given its state."
        )
    return "".join(f"- {line}\n" for line in lines)


def curves(trials: Trials) -> Figure:
    """Plot the bound during training: the mean over seeds, and their range.

    The panels stand below one another, for a phone to show them with letters that can be read.
    """
    figure = Figure(figsize=(5.5, 6.4), layout="constrained")
    column = figure.subplots(len(MASKINGS), 1, sharex=True, sharey=True)
    panels = dict(zip(MASKINGS, column, strict=True))
    last: dict[str, dict[str, float]] = {masking: {} for masking in MASKINGS}
    for schedule, masking, kind in kinds(trials):
        colour, dashes = STYLES[schedule]
        steps = [point["step"] for point in kind[0]["curve"]]
        y = np.array([[point["val"] for point in trial["curve"]] for trial in kind], dtype=float)
        panels[masking].plot(steps, y.mean(0), color=colour, ls=dashes, label=schedule)
        panels[masking].fill_between(steps, y.min(0), y.max(0), color=colour, alpha=0.12, lw=0)
        last[masking][schedule] = float(y.mean(0)[-1])
    for masking, axes in panels.items():
        axes.set(title=f"masking {masking}", ylabel="nll_bound, nats per token")
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
        name_ends(axes, last[masking], {name: colour for name, (colour, _) in STYLES.items()})
    column[-1].set_xlabel("steps")
    return figure


def name_ends(axes: Axes, ends: Mapping[str, float], colours: Mapping[str, str]) -> None:
    """Write the names of lines to the right of the plot, at the height of their ends.

    Names that would overlap are pushed up. ends: name -> y; one that is not finite is left out.
    """
    known = sorted((y, name) for name, y in ends.items() if math.isfinite(y))
    low, high = axes.get_ylim()
    points = 72 * axes.get_window_extent().height / axes.get_figure().dpi
    gap = 1.3 * rcParams["font.size"] / points * (high - low)
    below = low - gap
    for y, name in known:
        below = max(y, below + gap)
        axes.annotate(
            name, (1, below), (6, 0), axes.get_yaxis_transform(), "offset points",
            color=colours[name], va="center", annotation_clip=False,
        )  # fmt: skip


def forest(found: Findings) -> Figure:
    """Plot the differences from linear with their intervals; those in the band may be noise."""
    maskings = [m for m in MASKINGS if m in found]
    figure = Figure(figsize=(5.5, 0.6 + 2.6 * len(maskings)), layout="constrained")
    panels = np.atleast_1d(figure.subplots(len(maskings), 1, sharex=True, sharey=True))
    for axes, masking in zip(panels, maskings, strict=True):
        f = found[masking]
        least = apart(f)
        if np.isfinite(least):
            axes.axvspan(-least, least, color=GREY, alpha=0.25, lw=0)
        for i, (schedule, d) in enumerate(f["against_linear"].items()):
            colour, _ = STYLES[schedule]
            axes.plot([d["low"], d["high"]], [i, i], color=colour, lw=2)
            axes.plot(d["mean"], i, MARKERS[masking], color=colour)
        axes.set_yticks(range(len(f["against_linear"])), list(f["against_linear"]))
        axes.axvline(0, color=GREY, lw=1)
        axes.set_title(f"masking {masking}")
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].invert_yaxis()
    panels[-1].set_xlabel("nats per token more than linear")
    return figure


def apart(found: dict[str, Any]) -> float:
    """Return how far apart two treatments must be for a claim, in nats per token.

    It is infinite if that is not known (null in a file), as with few seeds.
    """
    known = [found[name] for name in ("floor", "threshold") if found[name] is not None]
    return max(known) if len(known) == 2 else math.inf


def text(facts: Mapping[str, Any]) -> str:
    """Return the report in Markdown: tables and sentences. facts: the dict of results.json."""
    trials = facts["trials"]
    return (
        f"{len(trials)} trials, configuration {facts['hash']}.\n\n"
        "How good the models are:\n\n"
        f"{model_quality_table(trials)}\n{model_quality_notes(trials)}\n"
        "How good their samples are:\n\n"
        f"{sample_quality_table(trials)}\n{sample_quality_notes(trials)}\n"
        f"{verdict(facts['found'])}\n\n"
        "Intervals are bootstrap intervals of paired differences, resampled over seeds.\n"
    )


def write(out: str | PathLike) -> str:
    """Write report.md and results.json in the folder of a study, and return the report."""
    out, trials = Path(out), collect(out)
    plan = begun(out)
    planned, facts = len(plan.trials), dict(hash=plan.hash, study=asdict(plan.study))
    facts |= dict(found=analyse(trials, torch.Generator().manual_seed(0)), trials=trials)
    report = f"# A study of noise schedules on {facts['study']['dataset']}\n\n"
    missing = planned - len(trials)
    report += f"Not done yet: {missing} of {planned} trials. " if missing else ""
    report += text(facts)
    (out / "report.md").write_text(report, encoding="utf-8")
    atomic.write_json(out / "results.json", facts)
    return report


def draw(out: str | PathLike) -> None:
    """Draw curves.png and forest.png in the folder of a study, from what `write` left there."""
    facts = json.loads((Path(out) / "results.json").read_text(encoding="utf-8"))
    save(Path(out) / "curves.png", curves, facts["trials"])
    if not {*MASKINGS}.isdisjoint(facts["found"]):
        save(Path(out) / "forest.png", forest, facts["found"])
