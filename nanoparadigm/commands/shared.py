"""What the commands share."""

import inspect
import os
import sys
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, fields, is_dataclass
from functools import partial
from pathlib import Path

import torch
from tqdm import tqdm

from .. import atomic, files
from ..data import corpora, tokenizers
from ..errors import InputError
from ..evaluate.tables import with_error
from ..networks.base import NetworkConfig
from ..paradigms import PRESETS
from ..terminal import harmless, unguarded
from ..training import checkpoint, distributed
from ..training.log import read_lines
from ..training.settings import total_steps
from ..training.trainer import train
from .registry import BOUNDED


class Command:
    """What `cli` runs: the fields are the flags, `run` does the work."""

    def goes(self):
        """flag -> whether it does anything beside the others, and when it does: with or without
        what. One that is typed and would do nothing is refused."""
        return {}


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
        tokenizer = corpus.tokenizer or self.build(corpus)
        in_words = tokenizer.kind == "word"
        if block_size == NetworkConfig.block_size and corpus.sequence_length and in_words:
            block_size = corpus.sequence_length
        return corpora.TokenizedCorpus(corpus, tokenizer, block_size)

    def build(self, corpus):
        """Its tokenizer; where that takes more than a second, the time it has taken is shown."""
        brief = dict(bar_format="{desc}: {elapsed}", delay=1, leave=False)
        with progress(None, "learning byte pairs", **brief) as bar:
            waiting = partial(bar.update, 0)
            return tokenizers.build(self.tokenizer, corpus, self.bpe_vocab_size, waiting)


def paradigms(paths):
    """Those of the checkpoints in these folders; what cannot be read is left for `load` to say."""
    found = []
    for path in paths:
        with suppress(InputError, KeyError, TypeError):
            config = files.read_json(checkpoint.find(path) / "config.json")
            found.append(PRESETS[config["recipe"]["name"]].paradigm)
    return found


def goes_with_paradigms(found):
    """`Command.goes` of the flags that not every paradigm knows."""
    steps = not found or any(not paradigm.causal for paradigm in found)
    bounds = not found or any(not paradigm.exact for paradigm in found)
    return dict(
        sampling_steps=(steps, f"with {BOUNDED}"),
        draws=(bounds, f"with {BOUNDED}"),
    )


def goes_with_networks(networks, tokenizer):
    """`Command.goes` of the flags that not every network or tokenizer knows."""
    attention = not networks.isdisjoint({"transformer", "hollow"})
    recurrence = not networks.isdisjoint({"mamba", "hollow_mamba"})
    return dict(
        n_head=(attention, "with attention, --network transformer or hollow"),
        mlp=(networks != {"mamba"}, "with an MLP, any --network but mamba"),
        n_inner=(networks != {"mamba"}, "with an MLP, any --network but mamba"),
        d_state=(recurrence, "with --network mamba or hollow_mamba"),
        expand_factor=(recurrence, "with --network mamba or hollow_mamba"),
        bpe_vocab_size=(tokenizer == "bpe", "with --tokenizer bpe"),
    )


def fit(name, model, data, settings, run, resume, stop, lock=None):
    """Train with a progress bar; whether the last step was reached, and not a stop."""
    if resume and distributed.rank() == 0:
        tell_damage(run)
    shown, total = {}, total_steps(settings, data)
    step = total
    with progress(None, name, total=total) as bar:
        for record in train(model, data, settings, run, resume, stop, lock):
            step = record["step"]
            shown["loss"] = f"{record['loss']:.3f}"
            if "val" in record:
                val = dict(mean=record["val"], se=record["val_se"])
                shown["val"] = with_error(val, before="= " if model.exact else "<= ")
            bar.set_postfix_str(", ".join(f"{k} {v}" for k, v in shown.items()), refresh=False)
            bar.update(step - bar.n)
    return step == total


def check_output(flag, path):
    """InputError for a path, or None, to which that flag must not write: another kind of file than
    its name says, or one that holds something else than what is written there."""
    if path is None:
        return
    if not path.endswith(f".{flag}"):
        raise InputError(f"--{flag} {path} is no .{flag} file: give a name that ends so")
    if flag == "json" and os.path.isfile(path) and not files.read(path).lstrip().startswith(b"["):
        raise InputError(f"{path} holds something else than rows: give --json another name")


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
    options |= dict(desc=harmless(label), file=unguarded(sys.stderr))
    return tqdm(items, dynamic_ncols=True, mininterval=0.5, **options)


def working(label):
    """A sign of life for as long as the block lasts, in work of which no end is known."""
    return progress(None, label, bar_format="{desc} ...", leave=False)


def flat(command):
    """The values of all flags of a command, by name."""
    values = {}
    for f in fields(command):
        value = getattr(command, f.name)
        values |= flat(value) if is_dataclass(value) else {f.name: value}
    return values


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


def tell_damage(run):
    """Say on stderr which lines of a run's log cannot be read."""
    if damaged := read_lines(run)[1]:
        lines = f"line{'s' * (len(damaged) > 1)} {', '.join(map(str, damaged))}"
        print(f"{run}/log.jsonl, {lines}: damaged, and left out", file=sys.stderr)


@contextmanager
def make_room(folder, runs, overwrite):
    """Move a folder out of the way if there are runs in it, or delete these if asked to.

    Holds the deleted runs while the block lasts, and yields their locks: run -> lock. Raises
    InputError, and has then changed nothing.
    """
    if not any((Path(run) / "run.json").exists() for run in runs):
        yield {}
        return
    with ExitStack() as stack:
        there = [run for run in runs if Path(run).exists()]
        locks = {run: stack.enter_context(atomic.sole_writer(run)) for run in there}
        if overwrite:
            checkpoint.remove(*there)
            yield locks
            return
        kept = checkpoint.set_aside(folder)
    print(f"the earlier {folder} is kept as {kept}")
    yield {}
