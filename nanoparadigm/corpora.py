"""Texts to learn from: where each one is found, how it is split, how it becomes batches of tokens.

A published text is looked for in the folder named by the environment variable NANOPARADIGM_DATA,
then in the user's cache folder, and only then downloaded to that cache.
"""

import hashlib
import os
import zipfile
import zlib
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from . import files
from .automaton import Automaton
from .errors import InputError, choose


@dataclass(frozen=True)
class Tokens:
    """The splits of a corpus as one tokenizer writes them."""

    train: torch.Tensor
    """LongTensor (T,), or anything that has a length and turns indices into LongTensors"""
    validation: torch.Tensor
    """LongTensor"""
    characters: int
    """of the validation split"""
    fingerprint: int
    """tells these tokens from others"""


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

    tokenizer = None
    """a text is written in no tokens yet"""

    def tokens(self, tokenizer):
        """The Tokens of the text; InputError for a tokenizer that cannot read it."""
        unseen = {*tokenizer.unseen(self.train), *tokenizer.unseen(self.validation)}
        if unseen:
            some = ", ".join(map(repr, sorted(unseen)[:5]))
            raise InputError(
                f"{self.name} holds {some}, which this tokenizer has "
                "never seen: use the corpus it was made for, or train with --tokenizer bpe"
            )
        train, validation = (
            torch.tensor(tokenizer.encode(text), dtype=torch.long)
            for text in (self.train, self.validation)
        )
        fingerprint = zlib.crc32(torch.cat([train, validation]).numpy())
        return Tokens(train, validation, len(self.validation), fingerprint)


def load(name):
    """The Corpus of that name in DATASETS, or the one made from the UTF-8 text file at that path,
    or the `shards.Shards` in that folder.

    Newlines stay as they are in the file and a byte order mark is dropped. Raises InputError for an
    unknown name, for a file that is not a UTF-8 text, and where a download is needed and fails.
    """
    if name not in DATASETS and os.path.exists(name):
        path = Path(name)
        if (path / "metadata.json").exists():
            from .shards import Shards

            return Shards(name)
        return _first_ninety_percent(name, files.decode(files.read(path), path))
    return choose("dataset or file", name, DATASETS)()


def held_out(name):
    """The Corpus of that name with its validation split alone, for models that were trained on
    another: nothing else of WikiText-2 need be on this machine."""
    if DATASETS.get(name) is _wikitext2:
        [text] = _wikitext2_splits("valid")
        return Corpus("wikitext2", text, text)
    corpus = load(name)
    if corpus.tokenizer:
        return corpus
    return replace(corpus, train=corpus.validation, test="")


def _language():
    from .language import corpus

    return corpus()


def _language_flat():
    from .language import corpus, flat

    return corpus(n_train=1000, name="language_flat", automaton=flat())


def _pydocs():
    # The language reference that comes with Python: its text depends on the version of Python.
    from pydoc_data.topics import topics

    return _first_ninety_percent("pydocs", "\n".join(topics[key] for key in sorted(topics)))


def _shakespeare():
    file = "tinyshakespeare.txt"
    sha256 = "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed"
    url = (
        "https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt"
    )
    folder = files.folder_with([file])
    path = folder / file if folder else _download("shakespeare", [file], url, sha256, file)
    data = files.read(path)
    if hashlib.sha256(data).hexdigest() != sha256:
        raise InputError(
            f"{path} is not Tiny Shakespeare (its SHA-256 differs): delete or replace the file, "
            "or give its path as the dataset to train on what it holds"
        )
    return _first_ninety_percent("shakespeare", files.decode(data, path))


def _wikitext2():
    return Corpus("wikitext2", *_wikitext2_splits("train", "valid", "test"))


def _wikitext2_splits(*splits):
    names = [f"wikitext2/wiki.{split}.tokens" for split in splits]
    url = "https://wikitext.smerity.com/wikitext-2-v1.zip"
    sha256 = "92675f1d63015c1c8b51f1656a52d5bdbc33aafa60cc47a218a66e7ee817488c"
    folder = files.folder_with(names)
    if folder:
        return [files.decode(files.read(folder / name), folder / name) for name in names]
    # Read in place: an unpacking that is interrupted would leave half a text in the cache.
    path = _download("wikitext2", names, url, sha256, "wikitext-2-v1.zip")
    with zipfile.ZipFile(path) as archive:
        members = [f"wikitext-2/wiki.{split}.tokens" for split in splits]
        return [files.decode(archive.read(member), member) for member in members]


DATASETS = {
    "language": _language,
    "language_flat": _language_flat,
    "pydocs": _pydocs,
    "shakespeare": _shakespeare,
    "wikitext2": _wikitext2,
    "wikitext": _wikitext2,
}


def _first_ninety_percent(name, text):
    cut = len(text) * 9 // 10
    return Corpus(name, train=text[:cut], validation=text[cut:])


def _download(dataset, names, url, sha256, file):
    instead = "use a dataset that needs no download, language or pydocs"
    return files.download(dataset, names, url, sha256, file, instead)


def windows(tokens, length):
    """The fixed windows a text is scored in: in order, side by side, every token in exactly one.

    tokens (T,) -> a list of LongTensors, (T // length, length) and, where the end is left over,
    (1, T % length). Either is left out where it would be empty.
    """
    whole = len(tokens) // length * length
    parts = [tokens[:whole].view(-1, length), tokens[whole:].view(1, -1)]
    return [part for part in parts if part.numel()]


class Data:
    """A corpus as one tokenizer writes it, cut for windows of `length` tokens.

    train (T,): the tokens to draw batches from. validation: the fixed windows every paradigm is
    scored on. aligned: each window is one of the sequences that the corpus is made of. truth: the
    language of the corpus, an Automaton, where it is known and its words are the tokens.
    characters_per_token: of the validation split, what turns nats per token into bits per
    character. fingerprint: a number that tells this text, as tokens, from others. Raises InputError
    for a text with no window to train or to score on, and for a tokenizer that cannot read the
    text.
    """

    def __init__(self, corpus, tokenizer, length):
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
                f"cut: use --block_size {corpus.sequence_length}"
            )
        tokens = corpus.tokens(tokenizer)
        self.train = tokens.train
        for name, split in ("training", tokens.train), ("validation", tokens.validation):
            if len(split) < length:
                raise InputError(
                    f"the {name} split of {corpus.name} holds {len(split)} of the {length} tokens "
                    "that one window needs: use a smaller --block_size or a longer text"
                )
        self.validation = windows(tokens.validation, length)
        self.characters_per_token = tokens.characters / len(tokens.validation)
        self.fingerprint = tokens.fingerprint


class Batches:
    """An endless iterator over random batches, LongTensors (batch_size, length), of a text (T,).

    Every epoch cuts the text into windows side by side, from a new random offset below `length`,
    and serves each once in a new random order. A batch that an epoch cannot fill goes on in the
    next one, so every batch is full. With `aligned` the offset stays 0: windows are then the
    sequences of a corpus of fixed-length sequences.

    The generator belongs to this object: nothing else may draw from it. Raises InputError if the
    text is shorter than one window.
    """

    def __init__(self, tokens, batch_size, length, generator, aligned=False):
        if len(tokens) < length:
            raise InputError(
                f"the training text holds only {len(tokens)} of the {length} tokens that one "
                "window needs: use a smaller --block_size or a longer text"
            )
        self.tokens = tokens
        self.batch_size = batch_size
        self.length = length
        self.generator = generator
        self.aligned = aligned
        self._begin(epoch=0)

    def _begin(self, epoch):
        self._epoch = epoch
        self._position = 0
        self._generator_state = self.generator.get_state()
        # A text of less than two windows leaves less room to shift: one window must always fit.
        room = 1 if self.aligned else min(self.length, len(self.tokens) - self.length + 1)
        offset = torch.randint(room, (), generator=self.generator).item()
        count = (len(self.tokens) - offset) // self.length
        order = torch.randperm(count, generator=self.generator)
        self._starts = offset + self.length * order

    def _next_start(self):
        if self._position == len(self._starts):
            self._begin(self._epoch + 1)
        self._position += 1
        return self._starts[self._position - 1].item()

    def __iter__(self):
        return self

    def __next__(self):
        starts = torch.tensor([self._next_start() for _ in range(self.batch_size)])
        return self.tokens[starts[:, None] + torch.arange(self.length)]

    @property
    def epoch(self):
        """How often the text has been served so far, a float."""
        return self._epoch + self._position / len(self._starts)

    def state_dict(self):
        """The place in the stream, as ints and one tensor."""
        return {
            "epoch": self._epoch,
            "position": self._position,
            "generator": self._generator_state,
        }

    def load_state_dict(self, state):
        """Go on where the `state_dict` of a Batches over the same text and sizes was taken."""
        self.generator.set_state(state["generator"])
        self._begin(state["epoch"])
        self._position = state["position"]
