"""The command `compare`: train several models in the same way, and compare them."""

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from filelock import FileLock

from .. import atomic, evaluate
from ..data.corpus import TokenizedCorpus
from ..errors import InputError, check_positive, lookup
from ..evaluate.tables import Row
from ..networks.base import NetworkConfig
from ..paradigms import PRESETS, Paradigm, build, parameters
from ..show import figures
from ..signals import stop_signals
from ..training import checkpoint
from ..training.log import read_log
from ..training.matching import build_alike
from ..training.resume import check_same
from ..training.settings import Settings, resolve_device, total_steps
from .registry import IN_STEPS, flag
from .shared import (
    Command,
    Goes,
    Text,
    fit,
    goes_with_networks,
    goes_with_paradigms,
    make_room,
    working,
)


@dataclass(frozen=True)
class Compare(Command):
    """Train several models on the same data at the same size, and compare them.

    The data order, the steps and the batches are the same, and the numbers of parameters are equal
    within 2 %. Writes a run for each model, table.md, figure.png and results.json. Examples:

      nanoparadigm compare
      nanoparadigm compare --dataset shakespeare --max_steps 500
      nanoparadigm compare --models ar diffusion --dataset pydocs
      nanoparadigm compare --models ar --pretrained
    """

    models: flag(tuple[str, ...], f"models to compare, of {', '.join(PRESETS)}") = tuple(
        name for name, preset in PRESETS.items() if preset.compared
    )
    out: str | None = None
    """folder (default: runs/compare-DATASET)"""
    resume: bool = False
    """continue an interrupted comparison"""
    overwrite: bool = False
    """replace an earlier comparison; otherwise it is kept under another name"""
    equal_size: bool = True
    """adjust depth and width so that all have as many parameters as the first"""
    pretrained: bool = False
    """add the models that come with the package and read the same windows"""
    draws: int = 8
    """noisy copies of each window in the final evaluation, for the bounds"""
    sampling_steps: flag(int, f"steps of {IN_STEPS} when their speed is measured") = 64
    text: Text = field(default_factory=Text)
    sizes: NetworkConfig = field(default_factory=lambda: NetworkConfig(n_layer=2, n_embd=64))
    settings: Settings = field(default_factory=lambda: Settings(max_steps=1000, eval_interval=100))

    def goes(self) -> Goes:
        """Return which flags have an effect: see `Command.goes`."""
        chosen = [PRESETS[name] for name in self.models if name in PRESETS]
        networks = {preset.network for preset in chosen} or {"hollow", "hollow_mamba"}
        return (
            goes_with_networks(networks, self.text.tokenizer)
            | goes_with_paradigms([preset.paradigm for preset in chosen])
            | dict(equal_size=(len(self.models) > 1, "with several --models"))
        )

    def run(self) -> None:
        """Build the models, make room for their runs, then train and compare them."""
        check_positive(self, ["draws", "sampling_steps"])
        for name in self.models:
            lookup("model", name, PRESETS)
        resolve_device(self.settings.device)
        with working("reading the text"):
            data = self.text.load(self.sizes.block_size)
        beside = released(data) if self.pretrained else {}
        out = Path(self.out or f"runs/compare-{Path(data.corpus.name).stem}")
        sizes = asdict(replace(self.sizes, block_size=data.length))
        options = dict(vocab_size=data.tokenizer.vocab_size, seed=self.settings.seed, **sizes)
        with working("building the models"):
            if self.equal_size:
                models = build_alike(self.models, **options)
            else:
                models = {name: build(name, **options) for name in self.models}
        begun = [name for name in models if self.resume and (out / name / "run.json").exists()]
        for name in begun:  # before any of the others is trained on what may be another text
            saved = checkpoint.load(out / name, "last")
            check_same(out / name, saved, models[name], data, self.settings)
        runs = [out / name for name in PRESETS]
        with nullcontext({}) if self.resume else make_room(out, runs, self.overwrite) as locks:
            self.train_and_compare(models, data, out, begun, locks, beside)

    def train_and_compare(
        self,
        models: dict[str, Paradigm],
        data: TokenizedCorpus,
        out: Path,
        begun: list[str],
        locks: Mapping[Path, FileLock],
        beside: Mapping[str, checkpoint.Checkpoint],
    ) -> None:
        """Train and measure the models one after another, and write the tables and the figure.

        begun: names of those to resume. locks: run -> the lock that `make_room` holds for it.
        beside: trained models to measure too.
        """
        steps = total_steps(self.settings, data)
        per_step = self.settings.batch_size * self.settings.grad_accumulation * data.length
        print(
            f"The budget of each: {steps:,} steps of {per_step:,} tokens of {data.corpus.name} "
            f"({steps * per_step / len(data.train):.1f} passes); parameters "
            + ", ".join(f"{name} {parameters(model):,}" for name, model in models.items())
        )
        rows = []
        for name, model in models.items():
            run = out / name
            with stop_signals() as stop:
                lock, resume = locks.get(run), name in begun
                done = fit(name, model, data, self.settings, run, resume, stop, lock)
                if stop() or not done:
                    print("stopped and saved; add --resume to continue")
                    raise SystemExit(stop.status)
            rows.append(self.measured(name, checkpoint.load(run), data, steps * per_step))
        for name, saved in beside.items():
            rows.append(self.measured(name, saved, data, saved.config["tokens"]))
        with working("counting n-grams"):
            rows += evaluate.baselines(data)
        evaluate.add_differences(rows, data)
        table = "\n".join(filter(None, (evaluate.table(rows), evaluate.truth_table(rows))))
        (out / "table.md").write_text(table, encoding="utf-8")
        atomic.write_json(out / "results.json", rows)
        print(table, end="")
        figures.save(
            out / "figure.png",
            figures.learning_curves,
            {name: read_log(out / name) for name in models},
            evaluate.reference_levels(data, rows),
            evaluate.nats_per_bit(data),
            data.corpus.name,
        )
        print(f"saved in {out}: table.md, figure.png, results.json and the runs")

    def measured(
        self, name: str, saved: checkpoint.Checkpoint, data: TokenizedCorpus, tokens: int
    ) -> Row:
        """Return the row of a trained model."""
        with working(f"measuring {name}"):
            numbers = evaluate.measure(
                saved.model, data, self.settings.seed, self.draws, steps=self.sampling_steps
            )
        return dict(name=name, tokens=tokens, **numbers)


def released(data: TokenizedCorpus) -> dict[str, checkpoint.Checkpoint]:
    """Return name -> Checkpoint of the models that come with the package and read these windows.

    Raises InputError if there are none.
    """
    every = {name: checkpoint.load(folder) for name, folder in checkpoint.pretrained().items()}
    exams = {
        name: (saved.config["text"], saved.config["recipe"]["block_size"])
        for name, saved in every.items()
    }
    found = {name: every[name] for name in exams if exams[name] == (data.fingerprint, data.length)}
    if not found:
        raise InputError(
            f"no model that comes with the package reads {data.corpus.name} in these symbols and "
            f"windows of {data.length}: drop `pretrained`"
        )
    return found
