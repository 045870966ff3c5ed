"""The commands `prepare`: write a text of any length to disk as tokens, check and measure it."""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import torch
import tyro

from .. import shards
from ..data import corpora, tokenizers
from ..errors import InputError, check_positive
from ..networks.base import check_weights
from ..paradigms import Autoregressive
from ..shards import readers
from ..studies.schedules import scorers, token_entropy
from ..training import checkpoint
from ..training.settings import resolve_device
from .registry import LEFT_TO_RIGHT, flag
from .shared import Command, progress


def whole_number(words: list[str]) -> int:
    """Return the whole number in the one string of `words`, which may be written as 1e9.

    Raises ValueError if it is none, or above 2**53.
    """
    number = float(words[0])
    if not number.is_integer() or abs(number) > 2**53:
        raise ValueError(f"{words[0]} is not a whole number below 2**53")
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
class PrepareFineweb(Command):
    """Write a text of any length to disk as tokens, for `--dataset FOLDER`.

    Documents are read one after another; the first are held out for validation. The same command
    continues one that was interrupted, and writes the same bytes with any number of --workers.
    Examples:

      nanoparadigm prepare fineweb --tokens 1e9
      nanoparadigm prepare fineweb --source "parts/*.parquet" more.jsonl.gz --out data/mine
      nanoparadigm train --model diffusion --dataset data/fineweb
    """

    source: tuple[str, ...] = ("HuggingFaceFW/fineweb-edu/sample-10BT",)
    """files (.jsonl, .jsonl.gz, .parquet, .txt, .txt.gz), folders or patterns of them, or a dataset
    on the Hugging Face hub, OWNER/NAME or OWNER/NAME/CONFIGURATION"""
    tokens: Count = 10**9
    """tokens to train on"""
    out: str = "data/fineweb"
    """folder"""
    tokenizer: str = "gpt2"
    """gpt2, or a byte-pair tokenizer of your own: the folder of a run, or a tokenizer.json"""
    shard_tokens: Count = 10**8
    """tokens in a file"""
    validation_tokens: Count = 10**6
    """tokens to hold out, at least, in whole documents"""
    workers: int = field(default_factory=lambda: os.cpu_count() or 1)
    """processes that encode (default: one for each core)"""

    def run(self) -> None:
        """Encode the documents and write the shards."""
        found = readers.find(self.source)
        texts = readers.Texts(found)
        tokenizer = self.load_tokenizer()
        with progress(None, "preparing", total=self.tokens, unit="tok", unit_scale=True) as bar:
            for done in shards.write(
                texts,
                tokenizer,
                self.out,
                self.tokens,
                readers.describe(found),
                self.shard_tokens,
                self.validation_tokens,
                self.workers,
            ):
                bar.update(done - bar.n)
        ended = "" if done == self.tokens else f", all there are, of the {self.tokens:,} asked for"
        print(f"saved in {self.out}: {done:,} tokens to train on{ended}")
        if texts.skipped:
            print(f"documents skipped because they hold no text: {texts.skipped:,}")

    def load_tokenizer(self) -> tokenizers.Tokenizer:
        """Return the tokenizer of --tokenizer, with an end-of-text symbol."""
        if self.tokenizer == "gpt2":
            return tokenizers.gpt2()
        path = Path(self.tokenizer)
        load = checkpoint.load_tokenizer if path.is_dir() else tokenizers.load
        tokenizer = load(path)
        return tokenizer.with_end_of_text() if tokenizer.kind == "bpe" else tokenizer


READERS = (
    f"folder of a run of {LEFT_TO_RIGHT}, or gpt2, the published model, or a folder with a GPT-2 "
    "that transformers saved"
)


@dataclass(frozen=True)
class PrepareEntropy(Command):
    """Measure how uncertain a left-to-right model is before each token of its vocabulary.

    For each token id: the mean entropy of the predictions at the positions where it occurs, float32
    nats. Ids that do not occur get the mean over all positions. A .json file beside the .npy file
    says what it was computed from.

      nanoparadigm prepare entropy --checkpoint runs/ar
      nanoparadigm prepare entropy --checkpoint gpt2 --dataset data/fineweb --device cuda
    """

    checkpoint: flag(str, READERS)
    dataset: str | None = None
    """text to read, as in train (default: the one the model was trained on)"""
    tokens: Count = 10**6
    """tokens to read, spread over its training split"""
    out: str = "token_entropy.npy"
    """file"""
    device: str = "cpu"
    """cpu or cuda"""

    def run(self) -> None:
        """Read the text with the model, and write the entropies."""
        check_positive(self, ["tokens"])
        out = Path(self.out)
        if out.suffix != ".npy":
            raise InputError(f"--out is {self.out}: give a name that ends in .npy")
        resolve_device(self.device)
        if scorers.is_gpt2(self.checkpoint):
            if self.dataset is None:
                raise InputError("gpt2 was not trained on a text of ours: name one with --dataset")
            model = scorers.GPT2(self.device, self.checkpoint)
            tokenizer, length = tokenizers.gpt2(), model.length
        else:
            saved = checkpoint.load(self.checkpoint, device=self.device)
            model, tokenizer = saved.model.eval(), saved.tokenizer
            length = saved.config["recipe"]["block_size"]
            if not isinstance(model, Autoregressive):
                raise InputError(
                    f"{self.checkpoint} does not predict from left to right: give a run of "
                    f"{LEFT_TO_RIGHT}, or gpt2"
                )
            check_weights(model)
        data = (
            corpora.TokenizedCorpus(corpora.load(self.dataset), tokenizer, length)
            if self.dataset
            else corpora.of_run(saved)
        )
        starts = progress(token_entropy.spread(data.train, length, self.tokens).split(8), "reading")
        batches = (data.train[part[:, None] + torch.arange(length)] for part in starts)
        found = token_entropy.token_entropy(model, batches, tokenizer.vocab_size)
        held_out = found.coverage_of(torch.cat([part.flatten() for part in data.validation]))
        found.save(
            out, dict(model=self.checkpoint, corpus=data.corpus.name, coverage_of_text=held_out)
        )
        print(
            f"saved in {out}: {found.counts.sum():,} tokens read, {found.coverage:.1%} of the "
            f"{tokenizer.vocab_size:,} ids seen, which cover {held_out:.1%} of the validation "
            f"split; the others get the mean, {found.default:.3f} nats"
        )


@dataclass(frozen=True)
class PrepareCheck(Command):
    """Read a folder of shards from end to end, and compare it with its hashes.

    nanoparadigm prepare check --dataset data/fineweb
    """

    dataset: str
    """folder"""

    def run(self) -> None:
        """Compare the shards with their hashes."""
        folder = shards.Shards(self.dataset)
        with progress(None, "checking", unit="tok", unit_scale=True) as bar:
            for done in folder.check():
                bar.update(done - bar.n)
        print(f"{self.dataset} is intact: {done:,} tokens")
