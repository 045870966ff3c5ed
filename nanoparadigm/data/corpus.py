"""A text in its splits, as tokens, as windows, and as an endless stream of batches."""

import hashlib
import zlib
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol, Self

import torch
from torch import Generator, Tensor

from ..errors import InputError
from ..language.automaton import Automaton
from .tokenizers import Tokenizer


class TokenSequence(Protocol):
    """A text (T,) of token ids that need not be in memory: a LongTensor, or one on disk."""

    def __len__(self) -> int: ...

    def __getitem__(self, i: Any) -> Tensor: ...


@dataclass(frozen=True)
class Tokens:
    """The splits of a corpus as one tokenizer writes them."""

    train: TokenSequence
    """LongTensor (T,), or anything that has a length and turns indices into LongTensors"""
    validation: Tensor
    """LongTensor (T,)"""
    characters: int
    """in the validation split"""
    fingerprint: int
    """tells these tokens from others: a CRC-32, against accidents and not against malice"""


class Source(Protocol):
    """What is cut into windows: a Corpus, or a text that came as tokens (`shards.Shards`)."""

    @property
    def name(self) -> str:
        """What it is called."""

    @property
    def path(self) -> str | None:
        """Where it was read from, unless it is a text of DATASETS."""

    @property
    def sequence_length(self) -> int | None:
        """Words in each sequence, where it is made of sequences of one fixed length."""

    @property
    def truth(self) -> Automaton | None:
        """The language it was drawn from, where it is known."""

    @property
    def tokenizer(self) -> Tokenizer | None:
        """The one it was written with, if it came as tokens."""

    @property
    def fingerprint(self) -> str:
        """Tells it from other texts, whatever it is called."""

    def tokens(self, tokenizer: Tokenizer) -> Tokens:
        """Return its Tokens. Raises InputError if the tokenizer cannot read it."""


@dataclass(frozen=True)
class Corpus:
    """A text in its splits."""

    name: str
    train: str
    validation: str
    test: str = ""
    """a third split, where the corpus comes with one"""
    sequence_length: int | None = None
    """words in each sequence, where the corpus is made of sequences of one fixed length"""
    truth: Automaton | None = None
    """the language the corpus was drawn from, where it is known"""
    path: str | None = field(default=None, compare=False)
    """the file it was read from, unless it is a text of DATASETS"""

    tokenizer = None
    """a text has not been tokenized yet"""

    @cached_property
    def fingerprint(self) -> str:
        """The SHA-256, in hexadecimal, of the training and validation splits and of the position
        where the first of them ends."""
        text = f"{len(self.train)} {self.train}{self.validation}"
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()

    def tokens(self, tokenizer: Tokenizer) -> Tokens:
        """Return the Tokens of the text. Raises InputError if the tokenizer cannot read it."""
        unseen = {*tokenizer.unseen(self.train), *tokenizer.unseen(self.validation)}
        if unseen:
            some = ", ".join(map(repr, sorted(unseen)[:5]))
            raise InputError(
                f"{self.name} holds {some}, which this tokenizer has "
                "never seen: use the corpus it was made for, or train with `tokenizer` bpe"
            )
        train, validation = (
            torch.tensor(tokenizer.encode(text), dtype=torch.long)
            for text in (self.train, self.validation)
        )
        fingerprint = zlib.crc32(torch.cat([train, validation]).numpy().data)
        return Tokens(train, validation, len(self.validation), fingerprint)


def windows(tokens: Tensor, length: int) -> list[Tensor]:
    """Cut a text into the fixed windows it is scored in: in order, side by side, with every token
    in exactly one.

    tokens (T,) -> a list of LongTensors: the full windows (T // length, length), then the shorter
    one at the end (1, T % length). Either is left out where it would be empty.
    """
    whole = len(tokens) // length * length
    parts = [tokens[:whole].view(-1, length), tokens[whole:].view(1, -1)]
    return [part for part in parts if part.numel()]


class TokenizedCorpus:
    """A corpus as one tokenizer writes it, cut into windows of `length` tokens.

    corpus: a Corpus, or another Source. train (T,): the tokens to draw batches from. validation:
    the fixed windows every paradigm is scored on, as `windows` cuts them. aligned: each window is
    one of the sequences that the corpus is made of. truth: the language of the corpus, an
    Automaton, if it is known and its words are the tokens. characters_per_token: of the validation
    split; it turns nats per token into bits per character. fingerprint: a number that tells this
    text, as tokens, from others. Raises InputError if a split is shorter than one window, and if
    the tokenizer cannot read the text.
    """

    def __init__(self, corpus: Source, tokenizer: Tokenizer, length: int) -> None:
        if length < 1:
            raise InputError(f"a window of {length} tokens holds none: ask for 1 or more")
        self.corpus = corpus
        self.tokenizer = tokenizer
        self.length = length
        # cut into other tokens than its words, a language is a text like any other
        in_words = tokenizer.kind == "word"
        self.aligned = corpus.sequence_length is not None and in_words
        known = in_words and corpus.truth and [*corpus.truth.words] == tokenizer.vocabulary
        self.truth = corpus.truth if known else None
        if self.aligned and length != corpus.sequence_length:
            raise InputError(
                f"the texts of {corpus.name} are {corpus.sequence_length} tokens long and are not "
                f"cut: use `block_size` {corpus.sequence_length}"
            )
        tokens = corpus.tokens(tokenizer)
        self.train = tokens.train
        for name, split in ("training", tokens.train), ("validation", tokens.validation):
            if len(split) < length:
                raise InputError(
                    f"the {name} split of {corpus.name} holds {len(split)} of the {length} tokens "
                    "that one window needs: use a smaller `block_size` or a longer text"
                )
        self.validation = windows(tokens.validation, length)
        self.characters_per_token = tokens.characters / len(tokens.validation)
        self.fingerprint = tokens.fingerprint


class WindowBatches:
    """An endless iterator over random batches, LongTensors (batch_size, length), of a text (T,).

    Every epoch cuts the text into windows side by side, starting at a new random offset below
    `length`, and serves each window once, in a new random order. A batch that one epoch cannot fill
    is completed from the next, so every batch is full. With `aligned` the offset stays 0: the
    windows are then the sequences of a corpus of fixed-length sequences.

    The generator belongs to this object: nothing else may draw from it. Raises InputError if the
    text is shorter than one window.
    """

    def __init__(
        self,
        tokens: TokenSequence,
        batch_size: int,
        length: int,
        generator: Generator,
        aligned: bool = False,
    ) -> None:
        if len(tokens) < length:
            raise InputError(
                f"the training text holds only {len(tokens)} of the {length} tokens that one "
                "window needs: use a smaller `block_size` or a longer text"
            )
        self.tokens = tokens
        self.batch_size = batch_size
        self.length = length
        self.generator = generator
        self.aligned = aligned
        self._begin(epoch=0)

    def _begin(self, epoch: int) -> None:
        self._epoch = epoch
        self._position = 0
        self._generator_state = self.generator.get_state()
        # A text of less than two windows leaves less room to shift: one window must always fit.
        room = 1 if self.aligned else min(self.length, len(self.tokens) - self.length + 1)
        offset = int(torch.randint(room, (), generator=self.generator))
        count = (len(self.tokens) - offset) // self.length
        order = torch.randperm(count, generator=self.generator)
        self._starts = offset + self.length * order

    def _next_start(self) -> int:
        if self._position == len(self._starts):
            self._begin(self._epoch + 1)
        self._position += 1
        return int(self._starts[self._position - 1])

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Tensor:
        starts = torch.tensor([self._next_start() for _ in range(self.batch_size)])
        return self.tokens[starts[:, None] + torch.arange(self.length)]

    @property
    def epoch(self) -> float:
        """How often the text has been served so far."""
        return self._epoch + self._position / len(self._starts)

    def state_dict(self) -> dict[str, Any]:
        """Return the position in the stream: two ints and the state of the generator, a tensor."""
        return {
            "epoch": self._epoch,
            "position": self._position,
            "generator": self._generator_state,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from where `state_dict` was called, on an iterator over the same text and sizes."""
        self.generator.set_state(state["generator"])
        self._begin(state["epoch"])
        self._position = state["position"]
