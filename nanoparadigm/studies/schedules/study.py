"""The study of noise schedules: six schedules x two maskings x seeds, under one estimator.

A study is data, a TOML file of `presets/`: a text, a network and a budget that all trials share.
They differ in the schedule, the masking and the seed, and in nothing else. Every checkpoint is
measured in the same way: `nll_bound` under uniform masks, on the same windows with the same noise,
whatever it was trained with; and, beside it, the cross-entropy under its own training schedule (its
"own exam"), to show why that ranks nothing.

    study/study.json             what the study is
    study/judge/                 an autoregressive model of the half of the text no trial reads
    study/entropy.npy            from the judge: how hard each token is to predict, for the masking
    study/runs/ID/               the run of a trial, like any other
    study/runs/ID/measures.json  what was measured of it

"linear" and "loglinear" differ by a thousandth: they are twins, so a difference between their
results is noise.
"""

import hashlib
import json
import time
from collections.abc import Callable, Iterator
from copy import copy
from dataclasses import asdict, dataclass, field, fields, is_dataclass, replace
from importlib import resources
from os import PathLike
from pathlib import Path
from typing import Annotated, Any, NotRequired, Self, TypedDict

import torch
from msgspec import Meta
from torch import Tensor

from ... import atomic, evaluate, files
from ...data import corpora, tokenizers
from ...errors import InputError, check_positive, check_seed, lookup
from ...evaluate.likelihood import micro_batch_size
from ...networks.base import NetworkConfig
from ...paradigms import MaskedDiffusion, Paradigm, build, parameters
from ...paradigms.schedules import SCHEDULES
from ...training import checkpoint
from ...training.checkpoint import steps_done
from ...training.settings import Settings
from ...training.trainer import train
from ..workers import Train
from . import bounds, scorers, token_entropy

MASKINGS = ("uniform", "entropy")
TWINS = ("linear", "loglinear")
ENTROPY_TOKENS = 2**20  # of the judge's text, to say how hard each token is
UNREADABLE = 0.1  # at most this share of a second text's characters may be left out
FOLDER = resources.files(__package__) / "presets"
PRESETS = tuple(sorted(f.name.removesuffix(".toml") for f in FOLDER.iterdir()))


@dataclass(frozen=True)
class Trial:
    """One run of a study."""

    schedule: str
    masking: str
    seed: int

    @property
    def id(self) -> str:
        """Return the name of its folder."""
        return f"{self.schedule}-{self.masking}-{self.seed}"


@dataclass(frozen=True)
class Judge:
    """The autoregressive model that scores the texts that the trials generate."""

    model: str = "ar"
    """ar, trained on the half of the text that no trial reads; or, for texts in tokens of GPT-2,
    gpt2, through transformers, or a folder with a GPT-2 that transformers saved"""
    max_steps: int = 300


@dataclass(frozen=True)
class Study:
    """What all trials share, and the seeds."""

    dataset: str
    zero_shot: str = ""
    """a second text, on which no model was trained; "" for none. Characters that are missing from a
    character tokenizer are left out"""
    tokenizer: str = ""
    """as in `train`; "" for the dataset's default"""
    network: str = "transformer"
    seeds: tuple[int, ...] = (0,)
    windows: int = 256
    """validation windows in every measurement"""
    draws: int = 8
    """noisy copies of each window"""
    samples: int = 256
    """texts that each model generates"""
    sampling_steps: int = 64
    sizes: NetworkConfig = field(default_factory=NetworkConfig)
    settings: Settings = field(default_factory=Settings)
    judge: Judge = field(default_factory=Judge)

    def __post_init__(self) -> None:
        if self.windows == 1:
            raise InputError("windows is 1, which has no standard error: give 2 or more")
        check_positive(self, ["windows", "draws", "samples", "sampling_steps"])
        if not scorers.is_gpt2(self.judge.model):
            lookup("judge", self.judge.model, {"ar": "", "gpt2": ""})
        if not self.seeds:
            raise InputError("a study needs a seed: give seeds = [0], or more")
        for seed in self.seeds:
            check_seed(seed)

    @property
    def trials(self) -> list[Trial]:
        """Return all trials, seed by seed, so that the first ones cover each kind once."""
        return [Trial(s, m, seed) for seed in self.seeds for m in MASKINGS for s in SCHEDULES]

    @property
    def hash(self) -> str:
        """Return a hash of what all trials share, so without the seeds."""
        shared = {k: v for k, v in asdict(self).items() if k != "seeds"}
        return hashlib.sha256(json.dumps(shared, sort_keys=True).encode()).hexdigest()[:12]

    def model(self, trial: Trial, vocab_size: int) -> Paradigm:
        """Return the freshly initialised model of a trial."""
        return build(
            "diffusion",
            vocab_size,
            network=self.network,
            schedule=trial.schedule,
            masking=trial.masking,
            seed=trial.seed,
            **asdict(self.sizes),
        )


def load(name: str) -> Study:
    """Return the Study of that name in PRESETS, or in the TOML file of that path.

    Raises InputError for any other name, and for a file that is not a study.
    """
    path = Path(name)
    if path.suffix == ".toml" and path.exists():
        return filled(Study, files.read_toml(path), name)
    lookup("study", name, dict.fromkeys(PRESETS))
    text = FOLDER.joinpath(f"{name}.toml").read_text(encoding="utf-8")
    return filled(Study, files.parse_toml(text), name)


def filled(kind: type, values: dict[str, Any], where: str) -> Any:
    """Return the dataclass `kind` filled from a table of TOML, nested ones included.

    where: the file, for messages. Raises InputError for unknown keys and values of a wrong type.
    """
    check_keys(kind, values, where)
    return files.typed(values, kind, where, "correct that key")


def check_keys(kind: type, values: dict[str, Any], where: str) -> None:
    """Raise InputError for a key that is not a field, or a number of more than 64 bits."""
    known = {f.name: f.type for f in fields(kind)}
    for key, value in values.items():
        lookup(f"key of {where}", key, known)
        if isinstance(value, dict) and is_dataclass(known[key]):
            check_keys(known[key], value, f"{where}, [{key}]")
        if isinstance(value, int) and abs(value) >= 2**63:
            raise InputError(f"{where}: {key} has more than 64 bits: give a smaller number")


# ------------------------------------------------------------------------------------- its texts


def halves(
    data: corpora.TokenizedCorpus,
) -> tuple[corpora.TokenizedCorpus, corpora.TokenizedCorpus]:
    """Return two TokenizedCorpus, with the first and with the second half of the training text.

    A folder of shards is too long to cut and is returned twice: its judge is a published model.
    """
    if data.corpus.tokenizer:
        return data, data
    middle = len(data.train) // 2 // data.length * data.length
    first, second = copy(data), copy(data)
    first.train, second.train = data.train[:middle], data.train[middle:]
    return first, second


@dataclass(frozen=True)
class Texts:
    """The texts of a study, tokenized: the trials' half, the judge's half, the second text."""

    ours: corpora.TokenizedCorpus
    judges: corpora.TokenizedCorpus
    zero_shot: corpora.TokenizedCorpus | None
    left_out: float
    """the share of the second text's characters that are not in the alphabet of the first"""

    @classmethod
    def of(cls, study: Study) -> Self:
        """Read the texts of a study. Raises InputError for one that cannot be used."""
        corpus, length = corpora.load(study.dataset), study.sizes.block_size
        tokenizer = corpus.tokenizer or tokenizers.build(study.tokenizer, corpus)
        ours, judges = halves(corpora.TokenizedCorpus(corpus, tokenizer, length))
        if not study.zero_shot:
            return cls(ours, judges, None, 0.0)
        other, left_out = readable(corpora.validation_only(study.zero_shot), tokenizer)
        return cls(ours, judges, corpora.TokenizedCorpus(other, tokenizer, length), left_out)

    @property
    def fingerprints(self) -> dict[str, str | None]:
        """Return the fingerprint of each text, by the name it has in a study."""
        other = self.zero_shot and self.zero_shot.corpus.fingerprint
        return dict(dataset=self.ours.corpus.fingerprint, zero_shot=other)


def readable(
    corpus: corpora.Corpus, tokenizer: tokenizers.Tokenizer
) -> tuple[corpora.Corpus, float]:
    """Return the held-out Corpus without unknown characters, and the share that was left out.

    Only a tokenizer of characters has unknown ones. Raises InputError if there are too many to
    leave out: it would be another text.
    """
    if tokenizer.kind != "char" or corpus.tokenizer:
        return corpus, 0.0
    unseen = {*tokenizer.unseen(corpus.validation)}
    kept = "".join(c for c in corpus.validation if c not in unseen)
    left_out = 1 - len(kept) / len(corpus.validation)
    if left_out > UNREADABLE:
        raise InputError(
            f"{left_out:.0%} of the characters of {corpus.name} are not in the alphabet of the "
            'text to train on: give another zero_shot, or tokenizer = "bpe", which reads anything'
        )
    return replace(corpus, train=kept, validation=kept), left_out


def vocab_size(study: Study) -> int:
    """Return the number of symbols that the trials read."""
    if study.tokenizer == "gpt2":
        return tokenizers.gpt2().vocab_size  # known before the text is
    return Texts.of(study).ours.tokenizer.vocab_size


# --------------------------------------------------------------------------------------- running


def begin(study: Study, out: str | PathLike, texts: Texts | None = None) -> None:
    """Write study.json, which says what the study is.

    texts: read here unless they are given. Raises InputError if the folder holds another study, or
    the same one on other texts, or if the texts or the judge cannot be read.
    """
    file, texts = Path(out) / "study.json", texts or Texts.of(study)
    there = begun(out) if file.exists() else None
    if there is None:
        check(study, texts)
    else:
        check_same(study, texts, there, out)
    ids = [trial.id for trial in study.trials]
    facts = dict(hash=study.hash, trials=ids, fingerprints=texts.fingerprints)
    # only where they are new: the tasks of a cluster begin all at once
    if there is None or not facts.items() <= vars(there).items():
        file.parent.mkdir(parents=True, exist_ok=True)
        atomic.write_json(file, dict(facts, study=asdict(study)))


def check_same(study: Study, texts: Texts, there: "Begun", out: str | PathLike) -> None:
    """Raise InputError if the study in that folder is another one, or began with other texts.

    there: the Begun of that folder. A text may have been renamed since.
    """
    named = {text: getattr(there.study, text) for text in texts.fingerprints}
    if there.hash != (as_named := replace(study, **named)).hash:
        raise InputError(
            f"{out} holds another study ({there.hash}, not {as_named.hash}): "
            "give `out` another folder"
        )
    known = there.fingerprints
    if not known:  # an earlier version began it: its runs say what they read
        runs = [checkpoint.load(file.parent, "last") for file in Path(out).glob("**/run.json")]
        if any(run.config["text"] != texts.ours.fingerprint for run in runs):
            known = dict(dataset=None)
    for text, fingerprint in texts.fingerprints.items():
        if known.get(text, fingerprint) != fingerprint:
            raise InputError(
                f"{getattr(study, text) or 'none'} is not the {text} that the study in {out} began "
                "with: put that text back, or give `out` another folder"
            )


def check(study: Study, texts: Texts) -> None:
    """Raise InputError if the study cannot be measured.

    There may be too few texts, or a judge that cannot read what the trials will generate, or that
    has read their text.
    """
    if len(texts.ours.validation[0]) < 2:
        raise InputError(
            f"the validation split of {study.dataset} holds a single window: give a longer text, "
            "or a smaller block_size"
        )
    tokenizer, length = texts.ours.tokenizer, texts.ours.length
    if study.judge.model == "ar":
        if texts.ours.corpus.tokenizer:
            raise InputError(
                f"a judge must not read the text of those it judges, and {study.dataset} is too "
                'long to cut in two: give [judge] model = "gpt2"'
            )
        return
    if tokenizer.kind != "gpt2":
        raise InputError(
            f"the judge {study.judge.model} reads tokens of GPT-2, and this study writes those of "
            f'a {tokenizer.kind} tokenizer: give tokenizer = "gpt2", or [judge] model = "ar"'
        )
    judge = scorers.GPT2(source=study.judge.model)
    if judge.vocab_size != tokenizer.vocab_size or judge.length < length:
        raise InputError(
            f"the judge {study.judge.model} reads {judge.length} tokens of {judge.vocab_size:,} "
            f"kinds, and this study writes {length} of {tokenizer.vocab_size:,}: give another judge"
        )


@dataclass(frozen=True)
class Begun:
    """The content of study.json."""

    hash: str
    trials: list[str]
    """their ids"""
    study: Study
    fingerprints: dict[str, str | None] = field(default_factory=dict)
    """those of its `Texts`; none if an earlier version began the study"""

    def __post_init__(self) -> None:
        strange = {*self.trials} - {trial.id for trial in self.study.trials}
        if strange:
            raise InputError(f"{min(strange)!r} is not a trial of this study: leave it out")


def begun(out: str | PathLike) -> Begun:
    """Return the study.json of a folder, as a Begun. Raises InputError if there is none."""
    file = Path(out) / "study.json"
    if not file.exists():
        raise InputError(f"{out} holds no study: nanoparadigm study --out {out} makes one")
    return files.read_json(file, Begun)


def train_judge(
    study: Study, texts: Texts, out: str | PathLike, stop: Callable[[], bool] = lambda: False
) -> Iterator[dict]:
    """Train the judge, if it is a model of this package, and yield the records.

    Unless the training was stopped, the entropies of tokens under the judge are then saved in
    entropy.npy.
    """
    if study.judge.model == "ar":
        model = build("ar", texts.ours.tokenizer.vocab_size, **asdict(study.sizes))
        settings = replace(study.settings, max_steps=study.judge.max_steps, seed=0)
        folder = Path(out) / "judge"
        resume = (folder / "run.json").exists()
        yield from train(model, texts.judges, settings, folder, resume, stop)
        if stop():
            return
    tokens, length = texts.judges.train[:ENTROPY_TOKENS], texts.ours.length
    vocab_size = texts.ours.tokenizer.vocab_size
    batches = corpora.windows(tokens, length)[0].split(micro_batch_size(vocab_size, length, 32))
    found = token_entropy.token_entropy(judge(study, out), batches, vocab_size)
    found.save(Path(out) / "entropy.npy", dict(model=study.judge.model, corpus=study.dataset))


def judge(study: Study, out: str | PathLike) -> scorers.Scorer:
    """Return the judge of a study."""
    device = study.settings.device
    if study.judge.model != "ar":
        return scorers.GPT2(device, study.judge.model)
    name = f"an autoregressive model of the other half of the text ({study.judge.max_steps} steps)"
    return scorers.AutoregressiveScorer(
        checkpoint.load(Path(out) / "judge", device=device).model, name
    )


def train_trial(
    study: Study,
    trial: Trial,
    texts: Texts,
    out: str | PathLike,
    stop: Callable[[], bool] = lambda: False,
) -> Iterator[dict]:
    """Train a trial from its last checkpoint, yield the records, and measure it at the end."""
    folder = Path(out) / "runs" / trial.id
    model = study.model(trial, texts.ours.tokenizer.vocab_size)
    if model.weights is not None:
        hard = token_entropy.load(Path(out) / "entropy.npy", len(model.weights))
        model.weights.copy_(bounds.entropy_weights(hard))
    settings = replace(study.settings, seed=trial.seed)
    yield from train(model, texts.ours, settings, folder, (folder / "run.json").exists(), stop)
    if steps_done(folder) == settings.max_steps and not is_measured(folder):
        atomic.write_json(folder / "measures.json", measure(study, folder, texts, out))


def size_and_seconds(study: Study, tokens: int) -> tuple[int, float]:
    """Return the parameters of a trial's model, and about how many seconds `tokens` tokens take.

    An estimate of the order of magnitude: 6 operations for each parameter and token, at half the
    speed of a matrix product on this machine.
    """
    size = parameters(study.model(study.trials[0], vocab_size(study)))
    a = torch.randn(1024, 1024)
    a @ a
    began = time.perf_counter()
    for _ in range(5):
        a @ a
    speed = 5 * 2 * 1024**3 / (time.perf_counter() - began)
    return size, 6 * size * tokens / (speed / 2)


def is_done(out: str | PathLike, trial: Trial) -> bool:
    """Tell whether a trial of the study in that folder is trained and measured."""
    return is_measured(Path(out) / "runs" / trial.id)


def is_measured(folder: str | PathLike) -> bool:
    """Tell whether the trial in that folder is trained, and everything `measure` returns is there.

    Earlier versions measured less.
    """
    file = Path(folder) / "measures.json"
    return file.exists() and MEASURED <= {*files.read_json(file, dict[str, Any], REMEASURE)}


def begin_worker(study: Study, out: str | PathLike) -> Train:
    """Read the texts of a study, and return what trains its trials: see `workers.train_all`."""
    texts = Texts.of(study)
    return lambda trial, stop: train_trial(study, trial, texts, out, stop)


# ------------------------------------------------------------------------------------- measuring

REMEASURE = "delete it, and give the command of the study again"
Number = float | None  # null is how JSON writes NaN
Windows = Annotated[list[Number], Meta(min_length=1)]


class Mean(TypedDict):
    """An Estimate."""

    mean: Number
    se: Number


class Mauve(TypedDict):
    """The MAUVE score of n texts of `length` tokens, and whose hidden states it compares."""

    mean: Number
    n: int
    length: int
    embedder: str


Distinct = TypedDict("Distinct", {"1": float, "2": float, "3": float})


class SampleMetrics(TypedDict):
    """What was measured of a set of texts; the last five only where the language is known."""

    judged: Mean
    tokens: Mean
    distinct: Distinct
    mauve: Mauve | None
    surprise: NotRequired[Mean]
    ungrammatical: NotRequired[Mean]
    mistakes: NotRequired[dict[str, float]]
    entropy: NotRequired[Mean]
    divergence: NotRequired[Mean]


class Independent(TypedDict):
    """Whether the windows of either text are independent."""

    bound: bool
    zero_shot: bool | None


class NatsPerBit(TypedDict):
    """How many nats per token a bit per character is, for either text."""

    bound: Annotated[float, Meta(gt=0)]
    zero_shot: Annotated[float, Meta(gt=0)] | None


class Measures(TypedDict):
    """The content of measures.json: see `measure`."""

    bound: Windows
    own_exam: Windows
    excess: Windows | None
    entropy: float | None
    zero_shot: Windows | None
    left_out: float
    independent: Independent
    gradient_snr: Number
    written: SampleMetrics
    real: SampleMetrics
    nats_per_bit: NatsPerBit
    judge: str
    seconds: float


MEASURED = {*Measures.__annotations__}


def read_measures(folder: str | PathLike) -> Measures:
    """Return the Measures of the trial in that folder. Raises InputError if they are damaged."""
    file = Path(folder) / "measures.json"
    kept = renamed(files.read_json(file, dict[str, Any], REMEASURE))
    found = files.typed(kept, Measures, file, REMEASURE)
    lacking = [found[name] is None for name in ("excess", "entropy")]
    for texts in found["written"], found["real"]:
        lacking += [name not in texts for name in SampleMetrics.__optional_keys__]
    if any(lacking) and not all(lacking):
        raise InputError(f"{file} holds only some of the measures of a known language: {REMEASURE}")
    return found


def renamed(measures: dict[str, Any]) -> dict[str, Any]:
    """Return measures that an older version may have kept, with the names of this version.

    The divergence of texts was called their excess, like that of a model.
    """
    for texts in measures.get("written"), measures.get("real"):
        if isinstance(texts, dict) and "excess" in texts:
            texts["divergence"] = texts.pop("excess")
    return measures


def measure(
    study: Study, folder: str | PathLike, texts: Texts, out: str | PathLike
) -> dict[str, Any]:
    """Return the Measures of the last checkpoint of a trial, a dict that JSON can hold.

    All in nats per token. bound: `nll_bound` of every window under uniform masks, the same windows
    and noise for all trials. own_exam: `in_schedule_cross_entropy` of the same windows, under the
    schedule and masking that the trial was trained with. excess: the bound minus the exact -log p,
    where the language is known, beside its entropy. zero_shot: `bound` on the second text, and the
    share of that text that was `left_out`. independent: whether the windows of either text are.
    gradient_snr: see there. written, real: the `score_samples` of its samples and of validation
    texts. nats_per_bit: what a bit per character is in nats per token, for either text.
    """
    saved = checkpoint.load(folder, "last", study.settings.device)
    model, data = saved.model.eval(), texts.ours

    def bound(data: corpora.TokenizedCorpus) -> tuple[Tensor, list[float]]:
        noise = seeded(0, model)
        windows, nats = evaluate.window_nats(model, data, noise, study.draws, study.windows)[0]
        return windows, (nats / data.length).tolist()

    windows, nats = bound(data)
    truth, other = data.truth, texts.zero_shot
    scorer = judge(study, out)
    samples = sample(model, study.samples, data.length, study.sampling_steps)
    return dict(
        bound=nats,
        own_exam=in_schedule_cross_entropy(model, windows, study.draws),
        excess=(torch.tensor(nats) + truth.log_prob(windows) / data.length).tolist()
        if truth
        else None,
        entropy=truth.entropy(data.length) / data.length if truth else None,
        zero_shot=bound(other)[1] if other else None,
        left_out=texts.left_out,
        independent=dict(bound=data.aligned, zero_shot=other.aligned if other else None),
        gradient_snr=gradient_snr(model, data, study.settings.batch_size),
        **score_samples(samples, data, scorer),
        nats_per_bit=dict(
            bound=evaluate.nats_per_bit(data),
            zero_shot=evaluate.nats_per_bit(other) if other else None,
        ),
        judge=scorer.name,
        seconds=saved.config["seconds"],
    )


def seeded(seed: int, model: Paradigm) -> torch.Generator:
    """Return a generator with that seed, on the device of the model."""
    return torch.Generator(model.device).manual_seed(seed)


@torch.no_grad()
def in_schedule_cross_entropy(model: MaskedDiffusion, windows: Tensor, draws: int) -> list[float]:
    """Return the `in_schedule_cross_entropy` of every window (n, L), nats per token, a list."""
    noise, (n, length) = seeded(0, model), windows.shape
    parts = windows.to(model.device).split(micro_batch_size(model.vocab_size, length, n))
    nats = torch.cat(
        [bounds.in_schedule_cross_entropy(model, part, noise, draws) for part in parts]
    )
    return (nats.cpu().double() / length).tolist()


def gradient_snr(
    model: Paradigm, data: corpora.TokenizedCorpus, batch_size: int, draws: int = 32
) -> float:
    """Return the signal-to-noise ratio of the gradient g of a batch, |E g|^2 / E |g - E g|^2.

    It is estimated from `draws` batches with an unbiased numerator, so without a signal it may be
    below 0. The loss and the corruption are the model's own; all models get the same batches and
    the same noise.
    """
    batches = corpora.WindowBatches(
        data.train, batch_size, data.length, torch.Generator().manual_seed(0), data.aligned
    )
    noise, parameters = seeded(1, model), list(model.parameters())
    size = micro_batch_size(model.vocab_size, data.length, batch_size)
    total = squares = 0.0  # of the gradients, which together would not fit into memory
    for _ in range(draws):
        x = next(batches).to(model.device)
        gradient = weight = 0.0
        for part in zip(*(rows.split(size) for rows in (x, *model.noise(x, noise))), strict=True):
            part_paid, part_weight = model.loss_terms(*part)
            found = torch.autograd.grad(part_paid, parameters)
            gradient = gradient + torch.cat([g.flatten() for g in found]).double()
            weight += float(part_weight)
        gradient = gradient / (weight or 1)
        total, squares = total + gradient, squares + gradient.square().sum()
    spread = (squares - total.square().sum() / draws) / (draws - 1)
    signal = total.square().sum() / draws**2 - spread / draws  # without what is left of the noise
    return (signal / spread).item()


def sample(model: Paradigm, n: int, length: int, steps: int) -> Tensor:
    """Sample n texts (n, length) from a model, always with the same noise."""
    noise, size = seeded(0, model), micro_batch_size(model.vocab_size, length, n)
    parts = [len(part) for part in torch.arange(n).split(size)]
    return torch.cat([model.sample(part, length, noise, steps=steps).cpu() for part in parts])


def score_samples(
    samples: Tensor, data: corpora.TokenizedCorpus, judge: scorers.Scorer
) -> dict[str, Any]:
    """Return the SampleMetrics of samples (n, L), as `written`, and of real texts, as `real`.

    They are measured by the judge, and by the true language if it is known. There are n real texts
    if the validation split has twice as many; MAUVE compares either with the other half of these.
    """
    full = data.validation[0]
    n = min(len(samples), len(full) // 2)
    order = torch.randperm(len(full), generator=torch.Generator().manual_seed(0))
    real, human = (full[part.sort().values] for part in (order[:n], order[n : 2 * n]))
    _, references = scorers.score(judge, human)

    def metrics(texts: Tensor, estimate: Callable[[Tensor], evaluate.Estimate]) -> dict[str, Any]:
        nats, endings = scorers.score(judge, texts)
        found = scorers.sample_metrics(texts, nats, estimate)
        found["mauve"] = scorers.mauve(references, endings[:n], judge, data.length)
        if data.truth:
            found |= evaluate.sample_quality(texts, data.truth)
            found |= evaluate.sample_diversity(texts, data.truth)
        return found

    return dict(
        written=metrics(samples, evaluate.Estimate.of),
        real=metrics(real, evaluate.of_windows(data.aligned)),
    )
