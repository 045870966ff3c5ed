"""How often may a text be read? The same small text, once to a hundred times, for several models.

A model that reads a small text again and again learns it by heart, and does worse on other text.
Masked diffusion sees another puzzle at each reading: does it overtake autoregression, and where?
Every number of passes is a training of its own, with its own warm-up and decay of the learning
rate, so no model is judged in the middle of its schedule. A masked model is also measured as the
one that writes from left to right, whose likelihood is exact: a bound alone can win and not lose.
Where one curve crosses another is interpolated in the logarithm of the passes, for every seed by
itself.

    passes/study.json              what the study is
    passes/runs/ID/                the run of a trial, like any other
    passes/runs/ID/measures.json   nats per token on other text, and on the text it read
    passes/results.json            all of these
"""

import json
import math
from collections.abc import Callable, Iterator, Sequence
from copy import copy
from dataclasses import asdict, dataclass, field, replace
from importlib import resources
from itertools import cycle, pairwise
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure

from .. import atomic
from ..data import corpora, tokenizers
from ..data.corpus import TokenizedCorpus, windows
from ..decoding.masked import left_to_right_nll
from ..errors import InputError, check_positive, check_seed, lookup
from ..evaluate.likelihood import nats_per_token
from ..evaluate.tables import markdown, with_error
from ..files import parse_toml, read_json, read_toml
from ..networks.base import NetworkConfig
from ..paradigms import PRESETS, MaskedDiffusion, build
from ..show.figures import COLOURS, save
from ..training import checkpoint
from ..training.checkpoint import steps_done
from ..training.settings import Settings, total_steps
from ..training.trainer import train
from .schedules.report import listed, name_ends
from .schedules.significance import student
from .schedules.study import filled
from .workers import Train

LEFT = ", left to right"
"""what is added to the name of a masked model that writes so"""
PRESET = resources.files(__package__) / "passes.toml"
Rows = list[dict[str, Any]]
"""of each trial: variant, passes, seed, and the nats of `measure`"""


@dataclass(frozen=True)
class Variant:
    """A model, and what its recipe does against learning by heart."""

    model: str
    dropout: float = 0.0
    weight_decay: float = 0.1


@dataclass(frozen=True)
class Trial:
    """One run of the study."""

    variant: str
    passes: int
    seed: int

    @property
    def id(self) -> str:
        """Return the name of its folder."""
        return f"{self.variant}-{self.passes}-{self.seed}"


@dataclass(frozen=True)
class Passes:
    """What all trials share, and in what they differ."""

    dataset: str
    tokens: int
    """of the training text that the models read"""
    passes: tuple[int, ...]
    variants: dict[str, Variant]
    seeds: tuple[int, ...] = (0,)
    windows: int = 256
    """validation windows in every measurement"""
    draws: int = 8
    """noisy copies of each window"""
    sizes: NetworkConfig = field(default_factory=NetworkConfig)
    settings: Settings = field(default_factory=Settings)

    def __post_init__(self) -> None:
        check_positive(self, ["tokens", "windows", "draws"])
        if not (self.passes and self.seeds and self.variants):
            raise InputError("a study needs passes, seeds and variants: give at least one of each")
        if min(self.passes) < 1 or [*self.passes] != sorted({*self.passes}):
            raise InputError("passes must rise, from 1 or more: give [1, 3, 10], for example")
        for variant in self.variants.values():
            lookup("model", variant.model, PRESETS)
        for seed in self.seeds:
            check_seed(seed)

    @property
    def trials(self) -> list[Trial]:
        """Return all trials, seed by seed, the long ones first: the last to end are short."""
        passes = self.passes[::-1]
        return [Trial(v, n, seed) for seed in self.seeds for n in passes for v in self.variants]


def is_one(name: str) -> bool:
    """Tell whether a preset or a TOML file of that path is a study of passes."""
    path = Path(name)
    return name == "passes" or (
        path.suffix == ".toml" and path.exists() and "passes" in read_toml(path, dict[str, Any])
    )


def load(name: str) -> Passes:
    """Return the Passes of the preset "passes", or of the TOML file of that path.

    Raises InputError for a file that is not such a study.
    """
    if name != "passes":
        return filled(Passes, read_toml(name), name)
    return filled(Passes, parse_toml(PRESET.read_text(encoding="utf-8")), name)


# --------------------------------------------------------------------------------------- running


def read(study: Passes) -> TokenizedCorpus:
    """Return the text of the study. Raises InputError if it is too short."""
    corpus = corpora.load(study.dataset)
    tokenizer = corpus.tokenizer or tokenizers.build("", corpus)
    data = copy(TokenizedCorpus(corpus, tokenizer, study.sizes.block_size))
    if len(data.train) < study.tokens:
        raise InputError(
            f"{study.dataset} has {len(data.train):,} tokens to train on, and the study asks for "
            f"{study.tokens:,}: give fewer"
        )
    data.train = data.train[: study.tokens]
    return data


def train_trial(
    study: Passes,
    trial: Trial,
    data: TokenizedCorpus,
    out: str | PathLike,
    stop: Callable[[], bool] = lambda: False,
) -> Iterator[dict]:
    """Train a trial from its last checkpoint, yield the records, and measure it at the end."""
    folder, variant = Path(out) / "runs" / trial.id, study.variants[trial.variant]
    sizes = asdict(replace(study.sizes, dropout=variant.dropout))
    model = build(variant.model, data.tokenizer.vocab_size, seed=trial.seed, **sizes)
    settings = replace(study.settings, epochs=trial.passes, seed=trial.seed)
    settings = replace(settings, weight_decay=variant.weight_decay, max_steps=1)
    steps = total_steps(settings, data)
    settings = replace(settings, epochs=None, max_steps=steps, eval_interval=steps)
    yield from train(model, data, settings, folder, (folder / "run.json").exists(), stop)
    if steps_done(folder) == steps:
        model = checkpoint.load(folder, "last", settings.device).model.eval()
        atomic.write_json(folder / "measures.json", measure(study, model, data))


def measure(study: Passes, model: Any, data: TokenizedCorpus) -> dict[str, Any]:
    """Return the nats per token on other text (nats, se) and on the text that was read (read).

    And both of a masked model that writes from left to right (left).
    """
    own = copy(data)
    own.validation = windows(data.train[:], data.length)

    def nats(data: TokenizedCorpus) -> Any:
        noise = torch.Generator(model.device).manual_seed(0)
        return nats_per_token(model, data, noise, study.draws, study.windows)

    @torch.no_grad()
    def left(data: TokenizedCorpus) -> float:
        x = data.validation[0].to(model.device)
        x = x[torch.linspace(0, len(x) - 1, min(study.windows, len(x))).round().long()]
        return float(left_to_right_nll(model, x).double().mean() / x.shape[1])

    other = nats(data)
    found = dict(nats=other.mean, se=other.se, read=nats(own).mean, exact=model.exact)
    if isinstance(model, MaskedDiffusion):
        found["left"] = dict(nats=left(data), read=left(own))
    return found


def is_done(out: str | PathLike, trial: Trial) -> bool:
    """Tell whether a trial of the study in that folder is trained and measured."""
    return (Path(out) / "runs" / trial.id / "measures.json").exists()


def begin_worker(study: Passes, out: str | PathLike) -> Train:
    """Read the text of a study, and return what trains its trials: see `workers.train_all`."""
    data = read(study)
    return lambda trial, stop: train_trial(study, trial, data, out, stop)


def begin(study: Passes, out: str | PathLike) -> None:
    """Write study.json. Raises InputError if the folder holds another study.

    Seeds, passes and variants may be added to a study that has begun, but nothing else changed.
    """
    file, facts = Path(out) / "study.json", json.loads(json.dumps(asdict(study)))
    if file.exists():
        there = read_json(file, dict[str, Any])
        may_grow = {"seeds": 0, "passes": 0, "variants": 0}
        changed = there | may_grow != facts | may_grow
        known = there["variants"]
        if changed or any(known.get(name, v) != v for name, v in facts["variants"].items()):
            raise InputError(f"{out} holds another study: give `out` another folder")
    file.parent.mkdir(parents=True, exist_ok=True)
    atomic.write_json(file, facts)


# ------------------------------------------------------------------------------------- reporting


def collect(study: Passes, out: str | PathLike) -> Rows:
    """Return the rows of all trials that are done. Raises InputError if there is none.

    A masked model has a second row, as the one that writes from left to right.
    """
    rows = []
    for trial in study.trials:
        if is_done(out, trial):
            file = Path(out) / "runs" / trial.id / "measures.json"
            row = asdict(trial) | read_json(file, dict[str, Any])
            left = row.pop("left", None)
            rows.append(row)
            if left:
                name = trial.variant + LEFT
                rows.append(row | left | dict(variant=name, se=None, exact=True))
    if not rows:
        raise InputError(f"no trial in {out} is done: give the command without --report")
    return rows


def curves(rows: Rows, measure: str = "nats") -> dict[str, np.ndarray]:
    """Return variant -> nats (S, P) of S seeds and P numbers of passes; nan where not done."""
    seeds, passes = (sorted({row[k] for row in rows}) for k in ("seed", "passes"))
    found = {row["variant"]: np.full((len(seeds), len(passes)), np.nan) for row in rows}
    for row in rows:
        found[row["variant"]][seeds.index(row["seed"]), passes.index(row["passes"])] = row[measure]
    return found


def crossing(passes: Sequence[int], gap: Sequence[float]) -> float | None:
    """Return the passes from which `gap` (P,) stays below 0, None if it does not end below.

    Interpolated in the logarithm; the fewest passes there are, if all gaps are below 0.
    """
    if not gap[-1] < 0:
        return None
    for (a, before), (b, after) in reversed([*pairwise(zip(passes, gap, strict=True))]):
        if before >= 0:
            share = before / (before - after)
            return math.exp(math.log(a) + share * math.log(b / a))
    return float(passes[0])


def verdicts(rows: Rows) -> list[str]:
    """Return a sentence for each masked model and each other: from where the first is better."""
    passes = sorted({row["passes"] for row in rows})
    bounds = {row["variant"] for row in rows if not row["exact"]}
    masked = bounds | {name + LEFT for name in bounds}
    found, said = curves(rows), []
    for challenger in (name for name in found if name in masked):
        for name in (name for name in found if name not in masked):
            gaps = found[challenger] - found[name]
            where = [crossing(passes, gap) for gap in gaps]
            pair = f"**{challenger} against {name}**"
            if all(where):
                mean, low, high = np.exp(student(np.log(where)))
                interval = "" if len(where) == 1 else f" (95 %: {low:.1f} to {high:.1f})"
                said.append(f"{pair}: below from {mean:.1f} passes on{interval}.")
            elif any(where):
                said.append(f"{pair}: below at {passes[-1]} for {sum(map(bool, where))} of "
                            f"{len(where)} seeds only: no crossing can be claimed.")  # fmt: skip
            else:
                said.append(f"{pair}: no crossing up to {passes[-1]} passes.")
    return said


def best(rows: Rows) -> list[str]:
    """Return a sentence that says how well each variant does at its best number of passes."""
    passes, found = sorted({row["passes"] for row in rows}), curves(rows)
    said = []
    for name, nats in found.items():
        at = int(np.argmin(nats.mean(0)))
        mean, low, high = student(nats[:, at])
        interval = "" if len(nats) == 1 else f" ({low:.3f} to {high:.3f})"
        said.append(f"{name} {mean:.3f}{interval} at {passes[at]}")
    return said


def report(rows: Rows) -> str:
    """Return the report as Markdown."""
    passes, found = sorted({row["passes"] for row in rows}), curves(rows)
    exact = {row["variant"]: row["exact"] for row in rows}
    tables = []
    for measure in ("nats", "read"):
        lines = [
            [name, *(cell(column, exact[name]) for column in nats.T)]
            for name, nats in curves(rows, measure).items()
        ]
        tables.append(markdown(["model", *(f"{n} pass{'es' * (n > 1)}" for n in passes)], lines))
    seeds = len(next(iter(found.values())))
    return (
        "# How often may a text be read?\n\n"
        f"Nats per token on other text, the mean over {seeds} seeds and its standard error; "
        f"a bound is marked <=.\n\n{tables[0]}\nOn the text that was read:\n\n{tables[1]}\n"
        + "\n".join(f"* {sentence}" for sentence in verdicts(rows))
        + f"\n\nAt its best number of passes: {listed(best(rows))}.\n"
    )


def cell(nats: np.ndarray, exact: bool) -> str:
    """Return the mean over seeds (S,) and its standard error, as text."""
    se = nats.std(ddof=1) / math.sqrt(len(nats)) if len(nats) > 1 else math.nan
    return with_error(dict(mean=nats.mean(), se=se), before="= " if exact else "<= ")


def figure(rows: Rows) -> Figure:
    """Plot nats on other text against passes: the mean over seeds, and their range.

    Dashed is a masked model that writes from left to right.
    """
    drawn = Figure(figsize=(5.5, 3.6), layout="constrained")
    axes, passes, found = drawn.subplots(), sorted({row["passes"] for row in rows}), curves(rows)
    colours = dict(zip((n for n in found if not n.endswith(LEFT)), cycle(COLOURS), strict=False))
    colours |= {name + LEFT: colour for name, colour in colours.items()}
    for name, nats in found.items():
        style = "o--" if name.endswith(LEFT) else "o-"
        axes.plot(passes, nats.mean(0), style, color=colours[name], ms=3)
        axes.fill_between(passes, nats.min(0), nats.max(0), color=colours[name], alpha=0.12, lw=0)
    axes.set(xscale="log", xlabel="passes over the text", ylabel="nats per token, other text")
    axes.set_xticks(passes, list(map(str, passes)))
    axes.minorticks_off()
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    name_ends(axes, {name: float(nats.mean(0)[-1]) for name, nats in found.items()}, colours)
    return drawn


def write(study: Passes, out: str | PathLike) -> str:
    """Write report.md, results.json and curves.png in the folder; return the report."""
    rows = collect(study, out)
    (Path(out) / "report.md").write_text(text := report(rows), encoding="utf-8")
    atomic.write_json(Path(out) / "results.json", dict(study=asdict(study), rows=rows))
    save(Path(out) / "curves.png", figure, rows)
    return text
