"""Texts to learn from: where each one is found, how it is split, how it becomes batches of tokens.

A published text is looked for in the folder named by the environment variable NANOPARADIGM_DATA,
then in the user's cache folder, and only then downloaded to that cache. The text of a run is known
by its fingerprint, whatever its name is and wherever it lies: see `of_run`.
"""

import hashlib
import os
import platform
import zipfile
import zlib
from dataclasses import dataclass, field, replace
from functools import cached_property
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
    """tells these tokens from others: a CRC-32, against accidents and not against malice"""


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
    """the file it was read from, where it is no text of DATASETS"""

    tokenizer = None
    """a text is written in no tokens yet"""

    @cached_property
    def fingerprint(self):
        """The SHA-256 of the two splits that are read, and of where one ends, in hexadecimal."""
        text = f"{len(self.train)} {self.train}{self.validation}"
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()

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


def load(name, path=None):
    """The Corpus of that name in DATASETS, or the one made from the UTF-8 text file at that path,
    or the `shards.Shards` in that folder.

    path: where the file or the folder lies, if its name does not say so. Newlines stay as they are
    in the file and a byte order mark is dropped. Raises InputError for an unknown name, for a file
    that is not a UTF-8 text, and where a download is needed and fails.
    """
    if path is None and (name in DATASETS or not os.path.exists(name)):
        return choose("dataset or file", name, DATASETS)()
    path = str(path or name)
    if os.path.exists(os.path.join(path, "metadata.json")):
        from .shards import Shards

        return Shards(path, name)
    return _first_ninety_percent(name, files.decode(files.read(path), path), path)


def of_run(saved, dataset=None):
    """The Data of the text that the run of a Checkpoint was trained on, wherever it lies now.

    It is looked for where it lay as seen from the run, so that both may move together, and then
    under its name; dataset: its name or path, if that is known. Only a text that holds what the run
    has read is taken. Raises InputError if that is not to be found.
    """
    config, tokenizer, others = saved.config, saved.tokenizer, []
    if "corpus" not in config or config.keys().isdisjoint(("corpus_sha256", "text")):
        raise InputError(f"{saved.folder} does not say what it was trained on: train again")
    for name, path in [(dataset, None)] if dataset else _places(saved):
        try:
            corpus = load(name, path)
        except InputError as error:
            if path is None:
                raise
            others.append(str(error))
            continue
        if is_text_of(config, corpus, tokenizer):
            return Data(corpus, tokenizer, config["recipe"]["block_size"])
        others.append(f"{corpus.path or corpus.name} holds another text")
    hint = "put it back, or name it with --dataset"
    if config["corpus"] == "pydocs":
        version = platform.python_version()
        others = [f"it comes with Python and depends on its version, which is {version} here"]
        hint = "use the version that the run began with"
    why = f" ({'; '.join(others)})" if others else ""
    raise InputError(
        f"the text that {saved.folder} was trained on, {config['corpus']}, is not here{why}: {hint}"
    )


def _places(saved):
    """Where to look for the text of a run: pairs of a name and a path, for `load`."""
    name, place = saved.config["corpus"], saved.config.get("corpus_place")
    if place is None and name in DATASETS:
        return [(name, None)]
    run = saved.folder.resolve().parent
    there = [os.path.abspath(run / place)] if place else []  # earlier versions kept no place
    paths = {os.path.abspath(path): path for path in (*there, name)}
    return [(name, path) for path in paths.values() if os.path.exists(path)]


def is_text_of(config, corpus, tokenizer):
    """Whether a run with this config, which has that tokenizer, was trained on the corpus.

    Earlier versions kept the fingerprint of the tokens alone.
    """
    if "corpus_sha256" in config:
        return config["corpus_sha256"] == corpus.fingerprint
    try:
        return config["text"] == corpus.tokens(tokenizer).fingerprint
    except InputError:  # it cannot even be written in these tokens
        return False


def identity(data, run):
    """What the config of a run says of its text, for `of_run`: a dict.

    corpus: its name, as given. corpus_place: where it lies as seen from the folder of the run, None
    for a text of DATASETS. corpus_sha256: its fingerprint. text: that of its tokens.
    """
    corpus = data.corpus
    return dict(
        corpus=corpus.name,
        corpus_place=corpus.path and _seen_from(run, corpus.path),
        corpus_sha256=corpus.fingerprint,
        text=data.fingerprint,
    )


def _seen_from(folder, path):
    """The path relative to the folder; as it is where it lies on another drive."""
    path = Path(path).parent.resolve() / Path(path).name
    try:
        return Path(os.path.relpath(path, Path(folder).resolve())).as_posix()
    except ValueError:
        return path.as_posix()


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


def _first_ninety_percent(name, text, path=None):
    cut = len(text) * 9 // 10
    return Corpus(name, train=text[:cut], validation=text[cut:], path=path)


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
