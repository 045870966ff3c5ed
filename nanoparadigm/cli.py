"""The command line: every command is a dataclass, its fields are the flags, `run` does it."""

import functools
import inspect
import io
import math
import os
import re
import shlex
import sys
from contextlib import redirect_stderr, suppress
from dataclasses import asdict, dataclass, field, fields, is_dataclass, replace
from itertools import dropwhile, takewhile
from pathlib import Path
from typing import Annotated

import torch
import tyro
from rich.console import Console
from tqdm import tqdm

from . import (
    __version__,
    checkpoint,
    cluster,
    corpora,
    differences,
    distributed,
    documents,
    entropy,
    evaluate,
    judging,
    race,
    report,
    shards,
    shared_code,
    study,
    tokenizers,
    viz,
)
from .errors import InputError, at_least_one, check_seed, choose
from .machine import keep_memory
from .network import Sizes
from .paradigms import PRESETS, Autoregressive, build, build_alike, parameters
from .stopping import INTERRUPTED, UNFINISHED, stop_signals
from .tokenizers import encode
from .train import FREE, Settings, read_log, total_steps, train, usable

# ---------------------------------------------------------------------------------- the commands


@dataclass(frozen=True)
class Text:
    """What to learn from."""

    dataset: str = "language"
    """language, pydocs, shakespeare, wikitext2, or the path of a UTF-8 text file or of a folder of
    shards"""
    tokenizer: str | None = None
    """char, bpe, word or gpt2 (default: word for language, char for the others)"""
    bpe_vocab_size: int = 500
    """symbols of the byte-pair tokenizer"""

    def load(self, block_size):
        """The corpus as tokens, in windows of block_size, or of the corpus's own length."""
        corpus = corpora.load(self.dataset)
        if corpus.tokenizer and self.tokenizer not in (None, corpus.tokenizer.kind):
            raise InputError(f"{self.dataset} is written in its own tokens: drop --tokenizer")
        kind = self.tokenizer or ("word" if corpus.sequence_length else "char")
        tokenizer = corpus.tokenizer or tokenizers.build(kind, corpus, self.bpe_vocab_size)
        if block_size == Sizes.block_size and corpus.sequence_length:
            block_size = corpus.sequence_length
        return corpora.Data(corpus, tokenizer, block_size)


@dataclass(frozen=True)
class Train:
    """Train one model and keep its best and last checkpoints.

    Ctrl-C finishes the step, saves, and says how to go on. So do SIGTERM and SIGUSR1, with exit
    status 75: what it takes to finish is the same command once more, with --resume. Examples:

      nanoparadigm train --model ar --dataset shakespeare --max_steps 2000 --eval_interval 500
      nanoparadigm train --model mamba --dataset shakespeare --n_embd 64 --d_state 8 --n_layer 2
      nanoparadigm train --model diffusion --dataset my-novel.txt --tokenizer bpe
      nanoparadigm train --model diffusion --resume
      torchrun --nproc_per_node 2 -m nanoparadigm train --model flow --dataset shakespeare --resume
    """

    model: str = "ar"
    """ar, diffusion, flow or mamba"""
    network: str | None = None
    """another network under the same paradigm: transformer, mamba, hollow or hollow_mamba"""
    schedule: str | None = None
    """of the noise, linear, cosine, loglinear, sqrt, clipped_cosine or sigmoid (diffusion, flow)"""
    out: str | None = None
    """folder of the run (default: runs/MODEL)"""
    resume: bool = False
    """go on with the run in that folder, with its own settings; with --dataset, begin it if nothing
    is saved there yet"""
    overwrite: bool = False
    """replace an earlier run in that folder; otherwise it is kept as MODEL.1, MODEL.2 ..."""
    text: Text = field(default_factory=Text)
    sizes: Sizes = field(default_factory=Sizes)
    settings: Settings = field(default_factory=Settings)

    @property
    def folder(self):
        return self.out or f"runs/{self.model}"

    def stored(self):
        """The command that began the run to be resumed."""
        saved = checkpoint.load(self.folder, "last")
        if saved.folder == Path(self.folder):
            raise InputError(
                f"{saved.folder} is one checkpoint, not a run: add --out {saved.folder.parent}"
            )
        recipe, tokenizer = saved.config["recipe"], saved.tokenizer
        text = Text(dataset=saved.config["corpus"], tokenizer=tokenizer.kind)
        if tokenizer.kind == "bpe":
            text = replace(text, bpe_vocab_size=tokenizer.vocab_size)
        return Train(
            model=recipe["name"],
            network=recipe["network"],
            schedule=recipe["schedule"],
            out=self.folder,
            resume=True,
            text=text,
            sizes=Sizes(**{f.name: recipe[f.name] for f in fields(Sizes)}),
            settings=Settings(**saved.config["settings"]),
        )

    def check_same(self, stored):
        """InputError if a flag would change what the resumed run already is."""
        old, new = flat(stored), flat(self)
        one, other = (corpora.DATASETS.get(f["dataset"], f["dataset"]) for f in (old, new))
        if one == other:  # two names of one text
            new["dataset"] = old["dataset"]
        for name in new:
            if name not in (*FREE, "out") and new[name] != old[name]:
                raise InputError(
                    f"the run in {self.folder} has {name} {old[name]}, which --resume cannot "
                    f"change to {new[name]}: drop --{name}, or start a new run with --out"
                )

    @property
    def saved(self):
        """Whether there is anything in the folder to go on with."""
        folder = Path(self.folder)
        return bool(checkpoint.read_pointer(folder)) or (folder / "config.json").exists()

    def begin(self):
        choose("model", self.model, PRESETS)
        data = self.text.load(self.sizes.block_size)
        model = build(
            self.model,
            data.tokenizer.vocab_size,
            network=self.network,
            schedule=self.schedule,
            seed=self.settings.seed,
            **asdict(replace(self.sizes, block_size=data.length)),
        )
        usable(self.settings.device)
        if distributed.rank() == 0:
            make_room(self.folder, [self.folder], self.overwrite)
        return model, data

    def go_on(self):
        saved = checkpoint.load(self.folder, "last")
        corpus = corpora.load(self.text.dataset)
        return saved.model, corpora.Data(corpus, saved.tokenizer, self.sizes.block_size)

    def run(self):
        with distributed.joined(self.settings.device):
            model, data = self.go_on() if self.resume else self.begin()
            say(
                f"{self.model}: {parameters(model):,} parameters, "
                f"{total_steps(self.settings, data):,} steps of "
                f"{self.settings.batch_size * self.settings.grad_accumulation * data.length:,} "
                f"tokens, {data.corpus.name} in {data.tokenizer.vocab_size} symbols "
                f"({data.tokenizer.kind})"
            )
            with stop_signals() as stop:
                done = fit(self.model, model, data, self.settings, self.folder, self.resume, stop)
            if not done:
                say(f"stopped and saved; go on with: {self.how_to_resume()}")
                raise SystemExit(stop.status)
            say(f"saved in {self.folder}; look with: {self.how_to_sample()}")

    def how_to_resume(self):
        where = ["--out", self.out] if self.out else ["--model", self.model]
        return shlex.join(["nanoparadigm", "train", *where, "--resume"])

    def how_to_sample(self):
        return shlex.join(["nanoparadigm", "sample", "--checkpoint", self.folder])


@dataclass(frozen=True)
class Decoding:
    """How to write."""

    sampling_steps: int = 64
    """steps of diffusion and flow"""
    temperature: float = 1.0
    """below 1 sharpens, 0 takes the most probable token"""
    top_k: int | None = None
    """draw from the k most probable tokens only"""
    top_p: float | None = None
    """draw from the most probable tokens that make up this share only"""
    blocks: int | None = None
    """write in N blocks from left to right, each finished before the next is begun; the default
    length is then N halves of the model's block, at least one block (ar and mamba go from token to
    token by themselves)"""
    sampler: str | None = None
    """ancestral (default); diffusion: or first_hitting, random_order, left_to_right, confidence;
    flow: or euler"""
    eta: float | None = None
    """flow, euler: extra jumps that correct mistakes; diffusion, ancestral: how often a
    word that has been revealed is taken back"""
    reveal: str | None = None
    """diffusion, samplers with an order: linear (default), as many tokens in each step, or cosine,
    few at first"""
    threshold: float | None = None
    """diffusion, confidence: in each step reveal what is more probable than this"""
    corrections: int | None = None
    """flow: after each step, how often to draw one token anew, given all others"""

    def options(self, saved):
        """What `write` of a Checkpoint's model is to be given; InputError for what it has not."""
        at_least_one(self, ["sampling_steps"])
        mine = vars(self).copy()
        every = {name: mine.pop(name) for name in ("temperature", "top_k", "top_p", "blocks")}
        every["steps"] = mine.pop("sampling_steps")
        return every | taken(saved, saved.model.trajectory, **mine)

    def length(self, saved):
        """Tokens in a text whose length is not asked for."""
        block = saved.config["recipe"]["block_size"]
        return max(block, (self.blocks or 0) * block // 2)


@dataclass(frozen=True)
class Sample:
    """Let a model write.

    Examples:

      nanoparadigm sample --checkpoint runs/ar --prompt "ROMEO:" --length 200
      nanoparadigm sample --checkpoint runs/diffusion --length 128 --sampling_steps 64
      nanoparadigm sample --checkpoint runs/diffusion --sampler confidence --threshold 0.9
      nanoparadigm sample --checkpoint runs/flow --blocks 8 --corrections 1
      nanoparadigm sample --checkpoint runs/flow --length 128 --sampler euler --eta 0.5
      nanoparadigm sample --checkpoint runs/diffusion --infill --prefix "To be" --suffix "question"
    """

    checkpoint: str
    """folder of a run or of one checkpoint"""
    prompt: str = ""
    """text to begin with"""
    length: int | None = None
    """tokens in the text, the prompt's included (default: the model's block; see --blocks)"""
    n: int = 1
    """texts"""
    seed: int = 0
    """same seed, same text"""
    infill: bool = False
    """fill the gap between --prefix and --suffix, as the command infill does"""
    prefix: str = ""
    """text before the gap"""
    suffix: str = ""
    """text after the gap"""
    fill_length: int = 30
    """tokens in the gap"""
    candidates: int | None = None
    """ar, mamba: how many texts to write for the gap, to choose one that fits (default: 64)"""
    decoding: Decoding = field(default_factory=Decoding)

    def run(self):
        at_least_one(self, ["n", "fill_length", "candidates"])
        check_seed(self.seed)
        filling = ("prefix", "suffix", "fill_length", "candidates")
        idle = ("prompt", "length") if self.infill else filling
        for f in fields(self):
            if f.name in idle and getattr(self, f.name) != f.default:
                raise InputError(
                    f"--{f.name} goes {'without' if self.infill else 'with'} --infill: "
                    f"{'drop' if self.infill else 'add'} one of the two"
                )
        saved = checkpoint.load(self.checkpoint)
        model, tokenizer = saved.model.eval(), saved.tokenizer
        options = dict(generator=seeded(self.seed), **self.decoding.options(saved))
        with torch.no_grad():
            if self.infill:
                options |= taken(saved, model.infill, candidates=self.candidates)
                prefix, suffix = (encode(tokenizer, text) for text in (self.prefix, self.suffix))
                texts = model.infill(self.n, prefix, suffix, self.fill_length, **options)
                if suffix and not model.infills:
                    usual = inspect.signature(model.infill).parameters["candidates"].default
                    print(
                        f"{self.checkpoint} cannot see the text after a gap: it chose among "
                        f"{self.candidates or usual} candidates by how probable they make "
                        "what follows",
                        file=sys.stderr,
                    )
            else:
                length = self.decoding.length(saved) if self.length is None else self.length
                prompt = encode(tokenizer, self.prompt)
                texts = model.sample(self.n, length, prompt=prompt, **options)
        print("\n---\n".join(tokenizer.decode(text) for text in texts))


@dataclass(frozen=True)
class Infill:
    """Fill a gap in a text; what is on either side stays, character for character.

    Diffusion and flow see both sides. ar and mamba write candidates after the first side and choose
    one by how probable it makes the second. Example:

      nanoparadigm infill --checkpoint runs/diffusion --prefix "To be" \\
          --suffix "that is the question" --fill_length 30
    """

    checkpoint: str
    """folder of a run or of one checkpoint"""
    prefix: str = ""
    """text before the gap"""
    suffix: str = ""
    """text after the gap"""
    fill_length: int = 30
    """tokens in the gap"""
    n: int = 1
    """texts"""
    seed: int = 0
    """same seed, same text"""
    candidates: int | None = None
    """ar, mamba: how many texts to write for the gap, to choose one that fits (default: 64)"""
    decoding: Decoding = field(default_factory=Decoding)

    def run(self):
        Sample(infill=True, **vars(self)).run()


@dataclass(frozen=True)
class Visualize:
    """Watch some models write, side by side on one clock.

    Each writes its text first; the show then takes as long as is asked for. Where the output is no
    terminal, a few stills are printed instead. A call of the network does not cost the same
    everywhere: diffusion and flow compute all positions they read in every call, ar and mamba
    hardly more than the new one. Examples:

      nanoparadigm visualize --checkpoint runs/ar runs/diffusion runs/flow runs/mamba
      nanoparadigm visualize --checkpoint runs/ar runs/diffusion --clock seconds --html race.html
      nanoparadigm visualize --checkpoint runs/diffusion --blocks 4 --seconds 30 --gif race.gif
    """

    checkpoint: tuple[str, ...]
    """folders of runs or of checkpoints"""
    prompt: str = ""
    """text to begin with"""
    length: int | None = None
    """tokens in the text, the prompt's included (default: the model's block; see --blocks)"""
    clock: str = "calls"
    """calls, of the network, or seconds, that the model took"""
    seconds: float = 10.0
    """how long the show takes; 0 for stills"""
    html: str | None = None
    """file for a page of the same race, which needs nothing else to be read"""
    gif: str | None = None
    """file for a picture of it"""
    seed: int = 0
    """same seed, same texts"""
    decoding: Decoding = field(default_factory=Decoding)

    def run(self):
        check_seed(self.seed)
        choose("clock", self.clock, race.CLOCKS)
        if not 0 <= self.seconds < math.inf:
            raise InputError(f"seconds is {self.seconds}: give 0 (stills) or more")
        if not self.checkpoint:
            raise InputError("--checkpoint names no model: give the folders of one or more runs")
        for path in filter(None, (self.html, self.gif)):
            if not Path(path).parent.is_dir():
                raise InputError(
                    f"there is no folder {Path(path).parent} for {path}: make it, or name another"
                )
        entries = []
        for path in self.checkpoint:
            saved = checkpoint.load(path)
            model, tokenizer = saved.model.eval(), saved.tokenizer
            prompt = encode(tokenizer, self.prompt)
            length = self.decoding.length(saved) if self.length is None else self.length
            template = model.template(length, prompt)
            entries.append((model, tokenizer, template, self.decoding.options(saved)))
        kinds = [model.recipe["name"] for model, *_ in entries]
        names = kinds if len(set(kinds)) == len(kinds) else self.checkpoint
        runs = []
        for name, (model, tokenizer, template, options) in zip(names, entries, strict=True):
            runs.append(race.record(name, model, tokenizer, template, seeded(self.seed), **options))
        if self.html:
            Path(self.html).write_text(race.page(runs, self.clock), encoding="utf-8")
        if self.gif:
            race.gif(runs, self.clock, self.gif)
        console = Console()
        if self.seconds and sys.stdout.isatty() and console.is_interactive:
            with suppress(KeyboardInterrupt):
                race.play(runs, self.clock, self.seconds, console)
        else:
            stills = race.stills(race.moments(runs, self.clock), 6)
            print(*(race.plain(runs, moment, self.clock) for moment in stills), sep="\n\n")
            print("", race.SIGNS, *race.NOTES, "", sep="\n")
        for run in runs:
            print(f"{run.name}: {race.costs(run.frames[-1])}")
        for path in filter(None, (self.html, self.gif)):
            print(f"saved in {path}")


@dataclass(frozen=True)
class Evaluate:
    """Put trained models side by side: one table, one unit.

    "=" is an exact likelihood, "<=" an upper bound; ± one standard error. Examples:

      nanoparadigm evaluate
      nanoparadigm evaluate --checkpoint runs/ar runs/diffusion runs/flow runs/mamba
      nanoparadigm evaluate --checkpoint runs/ar --dataset another.txt --eval_windows 200
      nanoparadigm evaluate --checkpoint runs/compare/diffusion --decoding all
    """

    checkpoint: tuple[str, ...] = ()
    """folders of runs (default: every run under runs/)"""
    dataset: str | None = None
    """text to evaluate on (default: the one each model was trained on)"""
    eval_windows: int | None = None
    """validation windows to use (default: all)"""
    draws: int = 8
    """noisy copies of each window, for the bounds"""
    sampling_steps: int = 64
    """steps of diffusion and flow when they write"""
    decoding: tuple[str, ...] = ()
    """compare ways of writing instead, on the language: all, or some of ancestral, remasking,
    first_hitting, random_order, left_to_right, confidence, cosine, threshold, blocks, euler,
    euler_eta, corrected, plain, temperature, top_k, top_p"""
    n: int = 512
    """texts that each way writes"""
    baselines: bool = True
    """rows for n-gram models, counted in the models' own symbols and windows, and for the truth"""
    seed: int = 0
    """of the noise"""
    json: str | None = None
    """file to write the numbers to as well"""

    def run(self):
        at_least_one(self, ["draws", "sampling_steps", "eval_windows", "n"])
        check_seed(self.seed)
        texts = functools.cache(corpora.load)
        paths = self.checkpoint or sorted(str(p.parent) for p in Path("runs").glob("*/run.json"))
        rows, problems, exams = [], [], {}
        for path in progress(paths, "evaluating"):
            try:
                saved = checkpoint.load(path)
                corpus = texts(self.dataset or saved.config["corpus"])
                data = corpora.Data(corpus, saved.tokenizer, saved.config["recipe"]["block_size"])
                if self.decoding:
                    rows += self.decodings(path, saved.model, data)
                    continue
            except InputError as error:
                problems.append(error)
                continue
            numbers = evaluate.measure(
                saved.model, data, self.seed, self.draws, self.eval_windows, self.sampling_steps
            )
            rows.append(
                dict(name=path, corpus=data.corpus.name, tokens=saved.config["tokens"], **numbers)
            )
            symbols = f"{data.tokenizer.vocab_size} symbols ({data.tokenizer.kind})"
            exams[f"{symbols}, windows of {data.length}"] = data
        if not rows:
            reasons = "; ".join(dict.fromkeys(map(str, problems)))
            raise InputError(f"no model to evaluate: {reasons or 'nanoparadigm train makes one'}")
        for error in problems:
            print(f"left out: {error}", file=sys.stderr)
        if self.decoding:
            rows.append(evaluate.decoding_of_the_truth(data, self.seed, self.n))
            print(evaluate.decoding_table(rows), end="")
            self.save(rows)
            return
        same_text = len({row["corpus"] for row in rows}) == 1
        if self.baselines and same_text:
            for exam, data in exams.items():
                for row in evaluate.baselines(data):
                    name = row["name"] + (f", {exam}" if len(exams) > 1 else "")
                    rows.append({**row, "name": name})
        print(evaluate.table(rows), end="")
        if truths := evaluate.truth_table(rows):
            print(f"\n{truths}", end="")
        if not same_text:
            print("These were evaluated on different texts: name one with --dataset to compare.")
        self.save(rows)

    def decodings(self, path, model, data):
        """A row for each of the ways of writing asked for that the model has."""
        if not evaluate.knows_the_truth(data):
            raise InputError(
                f"{path} reads {data.corpus.name} in {data.tokenizer.kind} tokens, and ways of "
                "writing are judged by the truth: train one with --dataset language"
            )
        known = {name: name for p in PRESETS.values() for name in p.paradigm.decodings}
        names = [choose("decoding", name, known | {"all": "all"}) for name in self.decoding]
        chosen = [name for name in model.decodings if name in names or "all" in names]
        return [
            dict(
                evaluate.decoding(
                    model, data, f"{path}: {name}", model.decodings[name],
                    self.seed, self.sampling_steps, self.n,
                ),
                options=model.decodings[name],
            )
            for name in progress(chosen, path)
        ]  # fmt: skip

    def save(self, rows):
        if self.json:
            checkpoint.write_json(self.json, rows)


@dataclass(frozen=True)
class Compare:
    """Train all four models on the same data at the same size, and put them side by side.

    Same data order, steps and batches; parameters equal within 2 %. Writes a run for each model,
    table.md, figure.png and results.json. Examples:

      nanoparadigm compare
      nanoparadigm compare --dataset shakespeare --max_steps 500
      nanoparadigm compare --models ar diffusion --dataset pydocs
    """

    models: tuple[str, ...] = tuple(PRESETS)
    """which, of ar, diffusion, flow, mamba"""
    out: str | None = None
    """folder (default: runs/compare-DATASET)"""
    resume: bool = False
    """go on where an interrupted comparison stopped"""
    overwrite: bool = False
    """replace an earlier comparison; otherwise it is kept under another name"""
    equal_size: bool = True
    """change depth and width so that all have the parameters of the first"""
    draws: int = 8
    """noisy copies of each window in the final evaluation, for the bounds"""
    sampling_steps: int = 64
    """steps of diffusion and flow when their speed is measured"""
    text: Text = field(default_factory=Text)
    sizes: Sizes = field(default_factory=lambda: Sizes(n_layer=2, n_embd=64))
    settings: Settings = field(default_factory=lambda: Settings(max_steps=1000, eval_interval=100))

    def run(self):
        at_least_one(self, ["draws", "sampling_steps"])
        if not self.models:
            raise InputError(f"--models names no model: give some of {', '.join(PRESETS)}")
        for name in self.models:
            choose("model", name, PRESETS)
        usable(self.settings.device)
        data = self.text.load(self.sizes.block_size)
        out = Path(self.out or f"runs/compare-{Path(data.corpus.name).stem}")
        sizes = asdict(replace(self.sizes, block_size=data.length))
        options = dict(vocab_size=data.tokenizer.vocab_size, seed=self.settings.seed, **sizes)
        if self.equal_size:
            models = build_alike(self.models, **options)
        else:
            models = {name: build(name, **options) for name in self.models}
        if not self.resume:
            make_room(out, [out / name for name in PRESETS], self.overwrite)
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
            resume = self.resume and (run / "run.json").exists()
            with stop_signals() as stop:
                done = fit(name, model, data, self.settings, run, resume, stop)
                if stop() or not done:
                    print(f"stopped and saved; add --resume --out {shlex.quote(str(out))} to go on")
                    raise SystemExit(stop.status)
            saved = checkpoint.load(run)
            numbers = evaluate.measure(
                saved.model, data, self.settings.seed, self.draws, steps=self.sampling_steps
            )
            rows.append(dict(name=name, tokens=steps * per_step, **numbers))
        rows += evaluate.baselines(data)
        table = "\n".join(filter(None, (evaluate.table(rows), evaluate.truth_table(rows))))
        (out / "table.md").write_text(table, encoding="utf-8")
        checkpoint.write_json(out / "results.json", rows)
        figure = viz.learning_curves(
            {name: read_log(out / name) for name in models},
            evaluate.floors(data, rows),
            evaluate.nats_per_bit(data),
            data.corpus.name,
        )
        figure.savefig(out / "figure.png", dpi=150)
        print(table, end="")
        print(f"saved in {out}: table.md, figure.png, results.json and the runs")


@dataclass(frozen=True)
class Study:
    """Does the noise schedule matter? Train masked diffusion under six, and measure all alike.

    All trials of a study share everything but schedule, masking and seed, and are measured by one
    estimator. What was interrupted goes on with the same command. Examples:

      nanoparadigm study
      nanoparadigm study --preset shakespeare --dry_run
      nanoparadigm study --preset my-study.toml --seeds 0 1 2 3 4
      nanoparadigm study --preset fineweb-124m --submit --sbatch="--gres=gpu:1 --time=7:30:00"
      nanoparadigm study --preset fineweb-124m --status --requeue_stalled
    """

    preset: str = "tiny"
    """tiny, shakespeare, fineweb-124m, or the path of a TOML file like these"""
    out: str | None = None
    """folder (default: studies/PRESET)"""
    seeds: tuple[int, ...] = ()
    """instead of those of the preset"""
    dry_run: bool = False
    """only say what would be done"""
    trial: str | None = None
    """only this one, by its name or its number in the dry run, or judge"""
    workers: int = 2
    """trials at a time, each on one thread"""
    submit: bool = False
    """leave the trials that are not done to a SLURM cluster, as an array job"""
    cap: int = 4
    """tasks of that job at a time"""
    sbatch: str = ""
    """options of sbatch in one string, after an equals sign"""
    status: bool = False
    """say where every trial stands"""
    patience: float = 60.0
    """minutes of silence after which a running task counts as stalled"""
    requeue_stalled: bool = False
    """with --status: put those back into the queue"""

    @property
    def folder(self):
        return self.out or f"studies/{Path(self.preset).stem}"

    def run(self):
        at_least_one(self, ["workers", "cap"])
        for seed in self.seeds:
            check_seed(seed)
        if self.requeue_stalled and not self.status:
            raise InputError("--requeue_stalled goes with --status: add it")
        plan = study.load(self.preset)
        if self.seeds:
            plan = replace(plan, seeds=self.seeds)
        if self.dry_run:
            print(self.plan(plan), end="")
            return
        study.begin(plan, self.folder)
        if self.status:
            self.tell(plan)
            return
        if self.submit:
            flags = ["--preset", self.preset, "--out", self.folder]
            flags += ["--seeds", *map(str, self.seeds)] if self.seeds else []
            job = cluster.submit(plan, self.folder, flags, self.cap, shlex.split(self.sbatch))
            print(f"submitted as job {job}; look with the same command and --status")
            return
        texts = study.Texts.of(plan)
        if not (Path(self.folder) / "entropy.npy").exists():
            for _ in progress(study.train_judge(plan, texts, self.folder), "judge"):
                pass
        if self.trial == "judge":
            return
        if self.trial is not None:
            self.train_one(plan, self.chosen(plan), texts)
            return
        left = [trial for trial in plan.trials if not study.is_done(self.folder, trial)]
        ends = study.train_all(plan, left, self.folder, self.workers)
        if not all([ended for _, ended in progress(ends, "trials", total=len(left))]):
            print("stopped and saved; the same command goes on")
            raise SystemExit(UNFINISHED)
        print(report.write(self.folder), end="")
        print(f"\nsaved in {self.folder}: report.md, results.json, curves.png, forest.png")

    def tell(self, plan):
        """Print where every trial stands."""
        found = cluster.standings(plan, self.folder, 60 * self.patience)
        rows = [
            [s.trial, s.state, f"{s.step:,}", "" if s.silent is None else duration(s.silent)]
            for s in found
        ]
        print(evaluate.markdown(["trial", "state", "saved at step", "silent for"], rows), end="")
        for i, standing in enumerate(found):
            if self.requeue_stalled and standing.state == "stalled":
                cluster.requeue(self.folder, i)
                print(f"requeued: {standing.trial}")

    def chosen(self, plan):
        names = {trial.id: trial for trial in plan.trials}
        if self.trial.isdecimal() and int(self.trial) < len(names):
            return plan.trials[int(self.trial)]
        return choose("trial", self.trial, names)

    def train_one(self, plan, trial, texts):
        with stop_signals() as stop:
            records = study.train_trial(plan, trial, texts, self.folder, stop)
            for _ in progress(records, trial.id, total=plan.settings.max_steps):
                pass
        if not study.is_done(self.folder, trial):
            print("stopped and saved; the same command goes on")
            raise SystemExit(stop.status)

    def plan(self, plan):
        """What a dry run says."""
        s = plan.settings
        tokens = s.max_steps * s.batch_size * s.grad_accumulation * plan.sizes.block_size
        size, seconds = study.size_and_seconds(plan, tokens)
        rows = [
            [f"{i}", t.id, t.schedule, t.masking, f"{t.seed}", f"{size:,}", f"{tokens:,}"]
            for i, t in enumerate(plan.trials)
        ]
        head = ["number", "trial", "schedule", "masking", "seed", "parameters", "tokens"]
        return (
            f"{evaluate.markdown(head, rows)}\n{len(rows)} trials, configuration {plan.hash}: "
            f"about {duration(seconds)} each on this machine, {duration(seconds * len(rows))} in "
            "all, evaluations not counted.\n"
        )


@dataclass(frozen=True)
class Diff:
    """Say in what two models differ, as found out from the code itself, and what they share.

    Every answer names the code it was got from. Examples:

      nanoparadigm diff ar diffusion
      nanoparadigm diff diffusion flow --network transformer
      nanoparadigm diff ar mamba
    """

    models: tyro.conf.Positional[tuple[str, str]]
    """two of ar, diffusion, flow, mamba"""
    network: str | None = None
    """of both, instead of their own: transformer, mamba, hollow or hollow_mamba"""

    def run(self):
        print(differences.table(*self.models, self.network))
        print(shared_code.table(*self.models, self.network), end="")


@dataclass(frozen=True)
class Demo:
    """Open a page in the browser on which the trained models write, fill gaps, and race.

    Only this machine can open it, and it needs no network. Without trained models it offers to
    train tiny ones. Its buttons answer programs too: /write, /fill, /compare. Examples:

      nanoparadigm demo
      nanoparadigm demo --folder runs/compare-language --port 0

      from gradio_client import Client
      client = Client("http://127.0.0.1:7860")
      text, page = client.predict("ar", "lo a", length=32, seed=1, api_name="/write")
    """

    folder: str = "runs"
    """where to look for runs, also one level deeper"""
    port: int = 7860
    """of 127.0.0.1; 0 for a free one"""

    def run(self):
        try:
            from . import demo
        except ModuleNotFoundError as error:
            if error.name != "gradio":
                raise
            raise InputError(
                "the demo needs Gradio, which is not installed: pip install gradio"
            ) from error
        os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")  # nothing is to be told to anybody
        # Gradio asks its own page whether it is there, which no proxy can tell
        beside = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or "localhost"
        os.environ["no_proxy"] = f"{beside},127.0.0.1"
        page = demo.start(self.folder, self.port)
        print(f"the demo is at {page.local_url} (Ctrl-C ends it)", flush=True)
        page.block_thread()
        sys.stdout.flush()
        os._exit(0)  # a training or an answer under way would make an ordinary end hang or abort


def whole_number(said):
    """The int of the one string in `said`, which may be written as 1e9; ValueError for others."""
    number = float(said[0])
    if not number.is_integer():
        raise ValueError(f"{said[0]} is not a whole number")
    return int(number)


Count = Annotated[
    int,
    tyro.constructors.PrimitiveConstructorSpec(
        nargs=1,
        metavar="COUNT",
        instance_from_str=whole_number,
        is_instance=lambda x: isinstance(x, int),
        str_from_instance=lambda x: [f"{x:g}".replace("e+0", "e")],
    ),
]


@dataclass(frozen=True)
class PrepareFineweb:
    """Write a text of any length to disk as tokens, for `--dataset FOLDER`.

    Documents are read one after another; the first are held out for validation. The same command
    goes on where one was interrupted, and leaves the same bytes whatever the --workers. Examples:

      nanoparadigm prepare fineweb --tokens 1e9
      nanoparadigm prepare fineweb --source "parts/*.parquet" more.jsonl.gz --out data/mine
      nanoparadigm train --model diffusion --dataset data/fineweb
    """

    source: tuple[str, ...] = ("HuggingFaceFW/fineweb-edu/sample-10BT",)
    """files (.jsonl, .jsonl.gz, .parquet, .txt), folders or patterns of them, or a dataset of the
    Hugging Face hub, OWNER/NAME or OWNER/NAME/CONFIGURATION"""
    tokens: Count = 10**9
    """tokens to train on"""
    out: str = "data/fineweb"
    """folder"""
    tokenizer: str = "gpt2"
    """gpt2, or the run or the tokenizer.json of a byte-pair tokenizer of your own"""
    shard_tokens: Count = 10**8
    """tokens in a file"""
    validation_tokens: Count = 10**6
    """tokens to hold out, at least: whole documents"""
    workers: int = field(default_factory=lambda: os.cpu_count() or 1)
    """processes that encode: as many as there are cores, unless told"""

    def run(self):
        found = documents.find(self.source)
        tokenizer = self.load_tokenizer()
        with progress(None, "preparing", total=self.tokens, unit="tok", unit_scale=True) as bar:
            for done in shards.write(
                documents.texts(found),
                tokenizer,
                self.out,
                self.tokens,
                documents.describe(found),
                self.shard_tokens,
                self.validation_tokens,
                self.workers,
            ):
                bar.update(done - bar.n)
        ended = "" if done == self.tokens else f" and no more, of the {self.tokens:,} asked for"
        print(f"saved in {self.out}: {done:,} tokens to train on{ended}")

    def load_tokenizer(self):
        if self.tokenizer == "gpt2":
            return tokenizers.gpt2()
        path = Path(self.tokenizer)
        if path.is_dir():
            path = checkpoint.find(path) / "tokenizer.json"
        tokenizer = tokenizers.load(path)
        return tokenizer.with_end_of_text() if tokenizer.kind == "bpe" else tokenizer


@dataclass(frozen=True)
class PrepareEntropy:
    """Measure how uncertain a left-to-right model is before each token of its vocabulary.

    Of each id the mean entropy of the predictions in whose place it stands, float32 nats; ids that
    the text lacks get the mean over all places. Beside the .npy file a .json says what it is from.

      nanoparadigm prepare entropy --checkpoint runs/ar
      nanoparadigm prepare entropy --checkpoint gpt2 --dataset data/fineweb --device cuda
    """

    checkpoint: str
    """folder of a run of ar or mamba, or gpt2, the published model, or a folder with a GPT-2 that
    transformers saved"""
    dataset: str | None = None
    """text to read, as in train (default: the one the model was trained on)"""
    tokens: Count = 10**6
    """tokens to read of its training split, spread over it"""
    out: str = "token_entropy.npy"
    """file"""
    device: str = "cpu"
    """cpu or cuda"""

    def run(self):
        at_least_one(self, ["tokens"])
        out = Path(self.out)
        if out.suffix != ".npy":
            raise InputError(f"--out is {self.out}: give a name that ends in .npy")
        usable(self.device)
        if judging.is_gpt2(self.checkpoint):
            if self.dataset is None:
                raise InputError("gpt2 has no text of its own here: name one with --dataset")
            model = judging.GPT2(self.device, self.checkpoint)
            tokenizer, dataset, length = tokenizers.gpt2(), self.dataset, model.length
        else:
            saved = checkpoint.load(self.checkpoint, device=self.device)
            model, tokenizer = saved.model.eval(), saved.tokenizer
            dataset = self.dataset or saved.config["corpus"]
            length = saved.config["recipe"]["block_size"]
            if not isinstance(model, Autoregressive):
                raise InputError(
                    f"{self.checkpoint} does not predict from left to right: give a run of ar or "
                    "mamba, or gpt2"
                )
        data = corpora.Data(corpora.load(dataset), tokenizer, length)
        starts = progress(entropy.spread(data.train, length, self.tokens).split(8), "reading")
        batches = (data.train[part[:, None] + torch.arange(length)] for part in starts)
        found = entropy.token_entropy(model, batches, tokenizer.vocab_size)
        held_out = found.coverage_of(torch.cat([part.flatten() for part in data.validation]))
        found.save(out, dict(model=self.checkpoint, corpus=dataset, coverage_of_text=held_out))
        print(
            f"saved in {out}: {found.counts.sum():,} tokens read, {found.coverage:.1%} of the "
            f"{tokenizer.vocab_size:,} ids seen, which are {held_out:.1%} of the validation split; "
            f"the others get the mean, {found.default:.3f} nats"
        )


@dataclass(frozen=True)
class PrepareCheck:
    """Read a folder of shards from end to end and compare it with its hashes.

    nanoparadigm prepare check --dataset data/fineweb
    """

    dataset: str
    """folder"""

    def run(self):
        folder = shards.Shards(self.dataset)
        with progress(None, "checking", unit="tok", unit_scale=True) as bar:
            for done in folder.check():
                bar.update(done - bar.n)
        print(f"{self.dataset} is as it was written: {done:,} tokens")


COMMANDS = {
    re.sub(r"\B(?=[A-Z])", " ", c.__name__).lower(): c
    for c in (
        Train, Sample, Infill, Visualize, Evaluate, Compare, Study, Diff, Demo,
        PrepareFineweb, PrepareEntropy, PrepareCheck,
    )
}  # fmt: skip

# ------------------------------------------------------------------------------- what they share


def fit(name, model, data, settings, run, resume, stop):
    """Train with a progress bar; whether the last step was reached, and not a stop."""
    shown, total = {}, total_steps(settings, data)
    step = total
    with progress(None, name, total=total) as bar:
        for record in train(model, data, settings, run, resume, stop):
            step = record["step"]
            shown["loss"] = f"{record['loss']:.3f}"
            if "val" in record:
                sign = "=" if model.exact else "<="
                shown["val"] = f"{sign} {record['val']:.3f} ± {record['val_se']:.3f}"
            bar.set_postfix_str(", ".join(f"{k} {v}" for k, v in shown.items()), refresh=False)
            bar.update(step - bar.n)
    return step == total


def say(text):
    """Print, if this is the first of the processes that train together."""
    if distributed.rank() == 0:
        print(text)


def duration(seconds):
    """In the unit one would say it in."""
    for unit, size in ("days", 86400), ("hours", 3600), ("minutes", 60):
        if seconds >= 2 * size:
            return f"{seconds / size:,.0f} {unit}"
    return f"{seconds:.0f} seconds"


def progress(items, label, **options):
    if distributed.rank() > 0:
        options["disable"] = True
    return tqdm(items, desc=label, dynamic_ncols=True, mininterval=0.5, **options)


def taken(saved, method, **options):
    """The options that are not None; InputError for one that this method of the model has not."""
    given = {name: value for name, value in options.items() if value is not None}
    for name in given:
        if name not in inspect.signature(method).parameters:
            raise InputError(
                f"a model of kind {saved.config['recipe']['name']} has no {name}: drop --{name}"
            )
    return given


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def make_room(folder, runs, overwrite):
    """Move a folder out of the way if there are runs in it, or delete these if asked to."""
    if not any((Path(run) / "run.json").exists() for run in runs):
        return
    for run in runs:
        if Path(run).exists():
            with checkpoint.sole_writer(run):
                pass
    if overwrite:
        for run in runs:
            checkpoint.remove(run)
    else:
        print(f"the earlier {folder} is kept as {checkpoint.set_aside(folder)}")


# ------------------------------------------------------------------------------------ the parsing


def flags(command):
    """name -> field of every flag of a command, those of its nested groups included."""
    found = {}
    for f in fields(command):
        if tyro.conf.Positional in getattr(f.type, "__metadata__", ()):
            continue
        group = f.default_factory() if callable(f.default_factory) else None
        found |= flags(type(group)) if is_dataclass(group) else {f.name: f}
    return found


def flat(command):
    """The values of all flags of a command, by name."""
    values = {}
    for f in fields(command):
        value = getattr(command, f.name)
        values |= flat(value) if is_dataclass(value) else {f.name: value}
    return values


def parse(arguments):
    """The command, an instance of one of COMMANDS."""
    if not arguments or arguments[0] in ("-h", "--help"):
        print(usage())
        raise SystemExit(0 if arguments else 2)
    if arguments[0] == "--version":
        print(__version__)
        raise SystemExit(0)
    words = 2 if arguments[0] == "prepare" else 1
    name, rest = " ".join(arguments[:words]), arguments[words:]
    if name in ("prepare", "prepare -h", "prepare --help"):
        print(usage())
        raise SystemExit(0 if words == len(arguments) else 2)
    command = choose("command", name, COMMANDS)
    known, typed = {f"--{flag}": None for flag in [*flags(command), "help"]}, set()
    for argument in rest:
        if argument.startswith("--"):
            flag = argument.split("=")[0].replace("-", "_").replace("__", "--", 1)
            choose("flag", flag.replace("--no_", "--", 1), known)
            typed.add(flag)
    options = dict(
        prog=f"nanoparadigm {name}",
        args=rest,
        use_underscores=True,
        config=(tyro.conf.OmitArgPrefixes,),
    )
    parsed = read(command, **options)
    if command is not Train and distributed.launched() > 1:
        raise InputError(f"{name} is the work of one process: start it without torchrun")
    if getattr(parsed, "resume", False) and parsed.overwrite:
        raise InputError("--resume goes on with a run and --overwrite deletes it: drop one of them")
    if command is Train and parsed.resume and "--dataset" in typed and not parsed.saved:
        parsed = replace(parsed, resume=False)
    if command is Train and parsed.resume:
        stored = parsed.stored()
        parsed = read(command, default=stored, **options)
        parsed.check_same(stored)
    for name, value in flat(parsed).items():
        if isinstance(value, float) and math.isnan(value):
            raise InputError(f"--{name} is not a number: give one")
    return parsed


def read(command, **options):
    """tyro.cli, whose complaints are boxes of many lines, with an InputError of one instead."""
    box = io.StringIO()
    try:
        with redirect_stderr(box):
            return tyro.cli(command, **options)
    except SystemExit as done:
        if done.code != 2:
            raise
    plain = re.sub(r"\x1b\[[\d;]*m", "", box.getvalue())  # no colours
    lines = [line.strip("│ ") for line in plain.splitlines()[1:]]  # no title and no frame

    def is_rule(line):
        return not re.search(r"\w", line)

    said = " ".join(takewhile(lambda line: not is_rule(line), dropwhile(is_rule, lines)))
    raise InputError(f"{said.rstrip('.')}: see {options['prog']} --help")


def usage():
    lines = ["usage: nanoparadigm COMMAND [flags]      (nanoparadigm COMMAND --help explains)", ""]
    lines += [f"  {name:15} {c.__doc__.splitlines()[0]}" for name, c in COMMANDS.items()]
    return "\n".join(lines)


def main(arguments=None):
    """Run a command; the exit status is 0, 2 for misuse, 1 where the machine refused, UNFINISHED
    or INTERRUPTED for a training that was stopped and saved."""
    if hasattr(sys.stdout, "reconfigure"):  # not every terminal can show ± or what a model writes
        sys.stdout.reconfigure(errors="replace")
    keep_memory()
    try:
        parse(sys.argv[1:] if arguments is None else arguments).run()
        sys.stdout.flush()
    except InputError as error:
        print(f"nanoparadigm: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # the reader of our output, head for one, has left
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        print(f"nanoparadigm: {error}; what was saved before is untouched", file=sys.stderr)
        return 1
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, MemoryError) or "memory" in str(error):
            said = "too little memory here: ask for less at a time"
        elif type(error).__module__.startswith("torch._inductor"):
            said = f"cannot compile here: drop --compile ({str(error).splitlines()[0]})"
        else:
            raise
        print(f"nanoparadigm: {said}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED
    return 0
