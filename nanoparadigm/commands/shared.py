"""What the commands share: flags of the text, progress bars, and the checks of flags."""

import inspect
import os
import sys
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, fields, is_dataclass
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock
from tqdm import tqdm

from .. import atomic, files
from ..data import corpora, tokenizers
from ..errors import InputError
from ..evaluate.tables import with_error
from ..networks.base import NetworkConfig
from ..paradigms import PRESETS, Paradigm
from ..terminal import harmless, unguarded
from ..training import checkpoint, distributed
from ..training.log import read_lines
from ..training.settings import Settings, total_steps
from ..training.trainer import train
from .registry import BOUNDED

Goes = dict[str, tuple[Any, str]]
"""what `Command.goes` returns"""


class Command:
    """What the command line runs: the fields are the flags, `run` does the work."""

    def goes(self) -> Goes:
        """Return flag -> whether it has an effect, and with or without what else it has one.

        A flag that is typed and would have no effect is refused.
        """
        return {}


@dataclass(frozen=True)
class Text:
    """The text to learn from."""

    dataset: str = "language"
    """language, pydocs, shakespeare, wikitext2, or the path of a UTF-8 text file or of a folder of
    shards"""
    tokenizer: str | None = None
    """char, bpe, word or gpt2 (default: word for language, char for the others)"""
    bpe_vocab_size: int = 500
    """symbols of the byte-pair tokenizer"""

    def load(self, block_size: int) -> corpora.TokenizedCorpus:
        """Return the corpus as tokens, in windows of block_size.

        If block_size is the default, a corpus of texts of one length is read in windows of that.
        Raises InputError if the text cannot be read, or not with this tokenizer.
        """
        corpus = corpora.load(self.dataset)
        if corpus.tokenizer and self.tokenizer not in (None, corpus.tokenizer.kind):
            raise InputError(f"{self.dataset} is written in its own tokens: drop --tokenizer")
        tokenizer = corpus.tokenizer or self.build(corpus)
        in_words = tokenizer.kind == "word"
        if block_size == NetworkConfig.block_size and corpus.sequence_length and in_words:
            block_size = corpus.sequence_length
        return corpora.TokenizedCorpus(corpus, tokenizer, block_size)

    def build(self, corpus: corpora.Corpus) -> tokenizers.Tokenizer:
        """Return its tokenizer; the time it takes is shown if that is more than a second."""
        brief = dict(bar_format="{desc}: {elapsed}", delay=1, leave=False)
        with progress(None, "learning byte pairs", **brief) as bar:
            waiting = partial(bar.update, 0)
            return tokenizers.build(self.tokenizer, corpus, self.bpe_vocab_size, waiting)


def paradigms(paths: Iterable[str]) -> list[type[Paradigm]]:
    """Return the paradigms of the checkpoints in these folders.

    Those that cannot be read are left out: `load` reports them.
    """
    found = []
    for path in paths:
        with suppress(InputError, KeyError, TypeError):
            config = files.read_json(checkpoint.find(path) / "config.json")
            found.append(PRESETS[config["recipe"]["name"]].paradigm)
    return found


def goes_with_paradigms(found: Collection[type[Paradigm]]) -> Goes:
    """Return `Command.goes` of the flags that not every paradigm has."""
    steps = not found or any(not paradigm.causal for paradigm in found)
    bounds = not found or any(not paradigm.exact for paradigm in found)
    return dict(
        sampling_steps=(steps, f"with {BOUNDED}"),
        draws=(bounds, f"with {BOUNDED}"),
    )


def goes_with_networks(networks: set[str], tokenizer: str | None) -> Goes:
    """Return `Command.goes` of the flags that not every network or tokenizer has."""
    heads = not networks.isdisjoint({"transformer", "hollow", "mamba2", "rotary_mamba2"})
    recurrence = not networks.isdisjoint({"mamba", "mamba2", "rotary_mamba2", "hollow_mamba"})
    mlp = not networks <= {"mamba", "mamba2", "rotary_mamba2"}
    return dict(
        n_head=(heads, "with heads, any --network but mamba and hollow_mamba"),
        mlp=(mlp, "with an MLP, --network transformer, hollow or hollow_mamba"),
        n_inner=(mlp, "with an MLP, --network transformer, hollow or hollow_mamba"),
        d_state=(recurrence, "with --network mamba, mamba2, rotary_mamba2 or hollow_mamba"),
        expand_factor=(recurrence, "with --network mamba, mamba2, rotary_mamba2 or hollow_mamba"),
        bpe_vocab_size=(tokenizer == "bpe", "with --tokenizer bpe"),
    )


def fit(
    name: str,
    model: Paradigm,
    data: corpora.TokenizedCorpus,
    settings: Settings,
    run: str | PathLike,
    resume: bool,
    stop: Callable[[], bool],
    lock: FileLock | None = None,
) -> bool:
    """Train with a progress bar; return whether the last step was reached.

    stop, lock: as in `train`.
    """
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


def check_output(flag: str, path: str | None) -> None:
    """Raise InputError if the flag must not write to a path, which may be None.

    So it is with a file of another kind than its name says, and with one that holds something
    else than what is written there.
    """
    if path is None:
        return
    if not path.endswith(f".{flag}"):
        raise InputError(f"--{flag} {path} is no .{flag} file: give a name that ends so")
    if flag == "json" and os.path.isfile(path) and not files.read(path).lstrip().startswith(b"["):
        raise InputError(f"{path} holds something else than rows: give --json another name")


def say(text: str) -> None:
    """Print in the first of the processes that train together, and not in the others."""
    if distributed.rank() == 0:
        print(text)


def duration(seconds: float) -> str:
    """Return a time in the unit in which people would say it."""
    for unit, size in ("days", 86400), ("hours", 3600), ("minutes", 60):
        if seconds >= 2 * size:
            return f"{seconds / size:,.0f} {unit}"
    return f"{seconds:.0f} seconds"


def progress(items: Iterable | None, label: str, **options) -> tqdm:
    """Return a progress bar over the items, or without items one to be updated by hand."""
    if distributed.rank() > 0:
        options["disable"] = True
    options |= dict(desc=harmless(label), file=unguarded(sys.stderr))
    return tqdm(items, dynamic_ncols=True, mininterval=0.5, **options)


def working(label: str) -> tqdm:
    """Show a sign of life while the block lasts, for work whose end is not known."""
    return progress(None, label, bar_format="{desc} ...", leave=False)


def flat(command: Any) -> dict[str, Any]:
    """Return the values of all flags of a command, by name."""
    values = {}
    for f in fields(command):
        value = getattr(command, f.name)
        values |= flat(value) if is_dataclass(value) else {f.name: value}
    return values


def taken(saved: checkpoint.Checkpoint, method: Callable, **options) -> dict[str, Any]:
    """Return the options that are not None.

    Raises InputError for one that the method of the model does not take.
    """
    given = {name: value for name, value in options.items() if value is not None}
    for name in given:
        if name not in inspect.signature(method).parameters:
            raise InputError(
                f"a model of kind {saved.config['recipe']['name']} takes no {name}: drop --{name}"
            )
    return given


def seeded(seed: int) -> torch.Generator:
    """Return a generator with that seed."""
    return torch.Generator().manual_seed(seed)


def tell_damage(run: str | PathLike) -> None:
    """Report on stderr which lines of a run's log cannot be read."""
    if damaged := read_lines(run)[1]:
        lines = f"line{'s' * (len(damaged) > 1)} {', '.join(map(str, damaged))}"
        print(f"{run}/log.jsonl, {lines}: damaged and skipped", file=sys.stderr)


@contextmanager
def make_room(
    folder: str | PathLike, runs: Iterable[str | PathLike], overwrite: bool
) -> Iterator[dict[Any, FileLock]]:
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
