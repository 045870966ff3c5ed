"""The study of noise schedules: six schedules x two maskings x seeds, under one estimator.

A study is data, a TOML file of `studies/`: a text, a network and a budget that all trials share.
What tells them apart is the schedule, the masking and the seed, and nothing else. Every checkpoint
is measured alike: `nll_bound` under uniform masks on the same windows with the same noise, whatever
it was trained with; beside it what it would get under its own exam, to show why that ranks nothing.

    study/study.json             what it is
    study/judge/                 an autoregressive model of the half of the text no trial reads
    study/entropy.npy            from it: how hard each token is to predict, for the masking
    study/runs/ID/               a run, as any other
    study/runs/ID/measures.json  what it was found to be worth

"linear" and "loglinear" differ by a thousandth: they are twins, and what tells them apart is noise.
"""

import hashlib
import json
import math
import multiprocessing
import time
import tomllib
from concurrent.futures import ProcessPoolExecutor, as_completed
from copy import copy
from dataclasses import asdict, dataclass, field, fields, replace
from importlib.resources import files
from pathlib import Path

import numpy as np
import torch

from . import checkpoint, corpora, evaluate, tokenizers
from .entropy import GPT2, token_entropy
from .errors import InputError, at_least_one, choose
from .network import Sizes
from .paradigms import build, parameters
from .paradigms.mdlm import MASKINGS, entropy_weights
from .schedules import SCHEDULES
from .stopping import stop_signals
from .train import Settings, train

TWINS = ("linear", "loglinear")
ENTROPY_TOKENS = 2**20  # of the judge's text, to say how hard each token is
STUDIES = files(__package__).joinpath("studies")  # NAME.toml, and NAME.json: what was found
PRESETS = tuple(sorted(f.name[:-5] for f in STUDIES.iterdir() if f.name.endswith(".toml")))


@dataclass(frozen=True)
class Trial:
    """One run of a study."""

    schedule: str
    masking: str
    seed: int

    @property
    def id(self):
        return f"{self.schedule}-{self.masking}-{self.seed}"


@dataclass(frozen=True)
class Judge:
    """The autoregressive model that judges what the trials write."""

    model: str = "ar"
    """ar, trained on the half of the text that no trial reads; or gpt2, through transformers"""
    max_steps: int = 300


@dataclass(frozen=True)
class Study:
    """What all trials share, and what tells them apart."""

    dataset: str
    zero_shot: str = ""
    """a second text, on which nobody was trained; "" for none"""
    tokenizer: str = ""
    """as in `train`; "" for the usual one of the dataset"""
    network: str = "transformer"
    seeds: tuple[int, ...] = (0,)
    windows: int = 256
    """validation windows in every measurement"""
    draws: int = 8
    """noisy copies of each"""
    samples: int = 256
    """texts that each model writes"""
    sampling_steps: int = 64
    sizes: Sizes = field(default_factory=Sizes)
    settings: Settings = field(default_factory=Settings)
    judge: Judge = field(default_factory=Judge)

    def __post_init__(self):
        at_least_one(self, ["windows", "draws", "samples", "sampling_steps"])
        choose("judge", self.judge.model, {"ar": "", "gpt2": ""})
        if not self.seeds:
            raise InputError("a study needs a seed: give seeds = [0], or more")

    @property
    def trials(self):
        """All of them, seed by seed, so that what is there first is one of each kind."""
        return [Trial(s, m, seed) for seed in self.seeds for m in MASKINGS for s in SCHEDULES]

    @property
    def hash(self):
        """A name for what all trials share."""
        shared = {k: v for k, v in asdict(self).items() if k != "seeds"}
        return hashlib.sha256(json.dumps(shared, sort_keys=True).encode()).hexdigest()[:12]

    def model(self, trial, vocab_size):
        """The freshly initialised model of a trial."""
        return build(
            "diffusion",
            vocab_size,
            network=self.network,
            schedule=trial.schedule,
            masking=trial.masking,
            seed=trial.seed,
            **asdict(self.sizes),
        )


def load(name):
    """The Study of that name in PRESETS, or in the TOML file of that path."""
    path = Path(name)
    if path.suffix == ".toml" and path.exists():
        text = path.read_text(encoding="utf-8")
    else:
        choose("study", name, dict.fromkeys(PRESETS))
        text = STUDIES.joinpath(f"{name}.toml").read_text(encoding="utf-8")
    try:
        return filled(Study, tomllib.loads(text), name)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{name} is not TOML ({error}): mend that line") from error


def filled(kind, values, where):
    """A dataclass from a table of TOML, its nested ones too; InputError for what it has not."""
    known = {f.name: f for f in fields(kind)}
    for key in values:
        choose(f"key of {where}", key, known)
    nested = {
        key: filled(known[key].default_factory, value, f"{where}, [{key}]")
        if isinstance(value, dict)
        else tuple(value)
        if isinstance(value, list)
        else value
        for key, value in values.items()
    }
    try:
        return kind(**nested)
    except TypeError as error:
        raise InputError(f"{where}: {error}") from error


# ------------------------------------------------------------------------------------- its texts


def halves(data):
    """The Data with the first half of its training text, and with the second. A folder of shards
    is too long to cut: its judge is a published model."""
    if data.corpus.tokenizer:
        return data, data
    middle = len(data.train) // 2 // data.length * data.length
    first, second = copy(data), copy(data)
    first.train, second.train = data.train[:middle], data.train[middle:]
    return first, second


@dataclass(frozen=True)
class Texts:
    """What a study reads, as `Data`: the trials' half, the judge's half, and the second text."""

    ours: corpora.Data
    judges: corpora.Data
    zero_shot: corpora.Data | None

    @classmethod
    def of(cls, study):
        corpus, length = corpora.load(study.dataset), study.sizes.block_size
        kind = study.tokenizer or ("word" if corpus.sequence_length else "char")
        tokenizer = corpus.tokenizer or tokenizers.build(kind, corpus)
        other = None
        if study.zero_shot:
            other = corpora.Data(corpora.load(study.zero_shot), tokenizer, length)
        return cls(*halves(corpora.Data(corpus, tokenizer, length)), other)


def vocab_size(study):
    if study.tokenizer == "gpt2":
        return tokenizers.gpt2().vocab_size  # known before the text is
    return Texts.of(study).ours.tokenizer.vocab_size


# --------------------------------------------------------------------------------------- running


def begin(study, out):
    """Write down what the study is; InputError if another one is in that folder."""
    file = Path(out) / "study.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    if file.exists():
        there = json.loads(file.read_text(encoding="utf-8"))["hash"]
        if there != study.hash:
            raise InputError(
                f"{out} holds another study ({there}, not {study.hash}): give --out another folder"
            )
    ids = [trial.id for trial in study.trials]
    checkpoint.write_json(file, dict(hash=study.hash, trials=ids, study=asdict(study)))


def train_judge(study, texts, out):
    """Yield the records of training the judge, if it is one of ours; token entropies by it."""
    if study.judge.model == "ar":
        model = build("ar", texts.ours.tokenizer.vocab_size, **asdict(study.sizes))
        settings = replace(study.settings, max_steps=study.judge.max_steps, seed=0)
        folder = Path(out) / "judge"
        yield from train(model, texts.judges, settings, folder, (folder / "run.json").exists())
    tokens, length = texts.judges.train[:ENTROPY_TOKENS], texts.ours.length
    batches = corpora.windows(tokens, length)[0].split(32)
    found = token_entropy(judge(study, out), batches, texts.ours.tokenizer.vocab_size)
    found.save(Path(out) / "entropy.npy", dict(model=study.judge.model, corpus=study.dataset))


def judge(study, out):
    """What has `logits` (B, L, V) of x_i given x_<i, for x (B, L)."""
    if study.judge.model == "ar":
        return checkpoint.load(Path(out) / "judge").model.eval()
    return GPT2(study.settings.device)


def train_trial(study, trial, texts, out, stop=lambda: False):
    """Yield the records of training a trial, from where it stands; measured once it is done."""
    folder = Path(out) / "runs" / trial.id
    model = study.model(trial, texts.ours.tokenizer.vocab_size)
    if model.weights is not None:
        entropy = torch.from_numpy(np.load(Path(out) / "entropy.npy", allow_pickle=False))
        model.weights.copy_(entropy_weights(entropy))
    settings = replace(study.settings, seed=trial.seed)
    yield from train(model, texts.ours, settings, folder, (folder / "run.json").exists(), stop)
    if steps_done(folder) == settings.max_steps and not (folder / "measures.json").exists():
        checkpoint.write_json(folder / "measures.json", measure(study, folder, texts, out))


def steps_done(folder):
    """Of a run, as its last checkpoint has them; 0 where there is none."""
    name = checkpoint.read_pointer(folder).get("last")
    if name is None:
        return 0
    return json.loads((folder / name / "config.json").read_text(encoding="utf-8"))["step"]


def size_and_seconds(study, tokens):
    """The parameters of a trial's model, and about how long training on so many tokens takes here:
    6 operations for each parameter and token, at half the speed of a matrix product. An order of
    magnitude."""
    size = parameters(study.model(study.trials[0], vocab_size(study)))
    a = torch.randn(1024, 1024)
    a @ a
    began = time.perf_counter()
    for _ in range(5):
        a @ a
    speed = 5 * 2 * 1024**3 / (time.perf_counter() - began)
    return size, 6 * size * tokens / (speed / 2)


def is_done(out, trial):
    return (Path(out) / "runs" / trial.id / "measures.json").exists()


def train_all(study, trials, out, workers):
    """Train the trials, `workers` at a time, each in a process on one thread. Yields each of them,
    and whether it is done, as they end. A signal to all processes makes each save and end."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context, _enter, (study, out)) as pool:
        jobs = {pool.submit(_train_one, trial): trial for trial in trials}
        for job in as_completed(jobs):
            yield jobs[job], job.result()


def _enter(study, out):
    torch.set_num_threads(1)
    global _here  # of a worker's own process, so that it reads the texts once
    _here = study, Texts.of(study), out


def _train_one(trial):
    study, texts, out = _here
    with stop_signals() as stop:
        for _ in train_trial(study, trial, texts, out, stop):
            pass
    return not stop()


# ------------------------------------------------------------------------------------- measuring


def measure(study, folder, texts, out):
    """What the last checkpoint of a trial is worth, as a dict that JSON can hold. Nats per token.

    bound: `nll_bound` of every window, uniform masks, the same windows and noise for all trials.
    own_exam: of the same windows, under the schedule and masking it was trained with. zero_shot:
    `bound` on the second text. gradient_noise: see below. written: what its samples are worth.
    """
    saved = checkpoint.load(folder, "last")
    model, data = saved.model.eval(), texts.ours

    def bound(data):
        generator = torch.Generator().manual_seed(0)
        windows, nats = evaluate.window_nats(model, data, generator, study.draws, study.windows)[0]
        return windows, (nats / data.length).tolist()

    windows, nats = bound(data)
    with torch.no_grad():
        own = model.own_exam(windows, torch.Generator().manual_seed(0), study.draws)
    return dict(
        bound=nats,
        own_exam=(own.double() / data.length).tolist(),
        zero_shot=bound(texts.zero_shot)[1] if texts.zero_shot else None,
        gradient_noise=gradient_noise(model, data, study.settings.batch_size),
        written=written(study, model, texts, out),
        seconds=saved.config["seconds"],
    )


def gradient_noise(model, data, batch_size, draws=32):
    """How much the gradient varies from batch to batch, over its own size: E |g - E g|^2 / |E g|^2.

    At the model's own loss, its own corruption; the batches and the noise are the same for all.
    """
    batches = corpora.Batches(
        data.train, batch_size, data.length, torch.Generator().manual_seed(0), data.aligned
    )
    noise, gradients = torch.Generator().manual_seed(1), []
    for _ in range(draws):
        parts = torch.autograd.grad(model.loss(next(batches), noise), list(model.parameters()))
        gradients.append(torch.cat([part.flatten() for part in parts]))
    gradients = torch.stack(gradients)
    spread = gradients.var(0).sum()
    signal = gradients.mean(0).square().sum() - spread / draws  # without what is left of the noise
    return (spread / signal).item() if signal > 0 else math.inf


def written(study, model, texts, out):
    """What a model writes, under the judge and beside how varied it is: nobody is good who always
    says the same. Where the language is known, under the truth too."""
    generator, data = torch.Generator().manual_seed(0), texts.ours
    written = model.sample(study.samples, data.length, generator, steps=study.sampling_steps)
    with torch.no_grad():
        logits = judge(study, out).logits(written)
        nats = torch.nn.functional.cross_entropy(logits.mT, written, reduction="none")
    found = dict(
        judged=asdict(evaluate.Estimate.of(nats.mean(1))),
        tokens=asdict(evaluate.Estimate.of(token_variety(written))),
        distinct={n: distinct(written, n) for n in (1, 2, 3)},
    )
    if evaluate.knows_the_truth(data):
        truth = data.corpus.truth
        found |= evaluate.worth(written, truth) | evaluate.variety(written, truth)
    return found


def token_variety(texts):
    """The entropy (n,) of the tokens within each text (n, L), nats: what the field calls sample
    entropy. The same text again and again may have a high one."""
    counts = torch.nn.functional.one_hot(texts).double().sum(1)
    p = counts / counts.sum(-1, keepdim=True)
    return -torch.special.xlogy(p, p).sum(-1)


def distinct(texts, n):
    """The share of different n-grams among all that the texts (B, L) hold."""
    grams = texts.unfold(1, n, 1).reshape(-1, n)
    return len(grams.unique(dim=0)) / len(grams)
