"""Texts to learn from: where each one is found, how it is split, how it becomes batches of tokens.

A published text is looked for in the folder named by the environment variable NANOPARADIGM_DATA,
then in the user's cache folder, and only then downloaded to that cache.
"""

import hashlib
import os
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pooch
import torch

from .automaton import Automaton
from .errors import InputError, choose


@dataclass(frozen=True)
class Corpus:
    """A text in its splits."""

    name: str
    train: str
    validation: str
    test: str = ""
    """a third split, where the corpus comes with one"""
    sequence_length: int | None = None
    """tokens in each sequence, where the corpus is made of sequences of one fixed length"""
    truth: Automaton | None = None
    """the language the corpus was drawn from, where it is known"""


def load(name):
    """The Corpus of that name in DATASETS, or the one made from the UTF-8 text file at that path.

    Newlines stay as they are in the file and a byte order mark is dropped. Raises InputError for an
    unknown name, for a file that is not a UTF-8 text, and where a download is needed and fails.
    """
    if name not in DATASETS and os.path.exists(name):
        path = Path(name)
        return _first_ninety_percent(name, _decode(_read(path), path))
    return choose("dataset or file", name, DATASETS)()


def _language():
    from .language import corpus

    return corpus()


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
    folder = _folder_with([file])
    path = folder / file if folder else _download("shakespeare", [file], url, sha256, file)
    data = _read(path)
    if hashlib.sha256(data).hexdigest() != sha256:
        raise InputError(
            f"{path} is not Tiny Shakespeare (its SHA-256 differs): delete or replace the file, "
            "or give its path as the dataset to train on what it holds"
        )
    return _first_ninety_percent("shakespeare", _decode(data, path))


def _wikitext2():
    splits = ("train", "valid", "test")
    files = [f"wikitext2/wiki.{split}.tokens" for split in splits]
    url = "https://wikitext.smerity.com/wikitext-2-v1.zip"
    sha256 = "92675f1d63015c1c8b51f1656a52d5bdbc33aafa60cc47a218a66e7ee817488c"
    folder = _folder_with(files)
    if folder:
        texts = [_decode(_read(folder / file), folder / file) for file in files]
    else:
        # Read in place: an unpacking that is interrupted would leave half a text in the cache.
        path = _download("wikitext2", files, url, sha256, "wikitext-2-v1.zip")
        with zipfile.ZipFile(path) as archive:
            members = [f"wikitext-2/wiki.{split}.tokens" for split in splits]
            texts = [_decode(archive.read(member), member) for member in members]
    return Corpus("wikitext2", *texts)


DATASETS = {
    "language": _language,
    "pydocs": _pydocs,
    "shakespeare": _shakespeare,
    "wikitext2": _wikitext2,
    "wikitext": _wikitext2,
}


def _first_ninety_percent(name, text):
    cut = len(text) * 9 // 10
    return Corpus(name, train=text[:cut], validation=text[cut:])


def _read(path):
    if path.is_dir():
        raise InputError(f"{path} is a directory: give the path of one text file")
    try:
        return path.read_bytes()
    except OSError as error:
        reason = error.strerror or error
        raise InputError(f"cannot read {path} ({reason}): give a file you may read") from error


def _decode(data, source):
    try:
        text = data.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise InputError(
            f"{source} is not UTF-8 text (byte {error.start} is 0x{data[error.start]:02x}): "
            "convert it to UTF-8"
        ) from error
    if not text:
        raise InputError(f"{source} is empty: give a file that holds text")
    return text


def _folder_with(files):
    """The first place on this machine that holds all the files, or None."""
    places = [os.environ.get("NANOPARADIGM_DATA"), pooch.os_cache("nanoparadigm")]
    for folder in (Path(place) for place in places if place):
        if all((folder / file).is_file() for file in files):
            return folder
    return None


def _download(dataset, files, url, sha256, file):
    """The path of the file in the user's cache, fetched from the url unless it is there already."""
    pooch.get_logger().setLevel("WARNING")  # it writes every download to the terminal otherwise
    try:
        cache = pooch.os_cache("nanoparadigm")
        return Path(pooch.retrieve(url, known_hash=sha256, fname=file, path=cache))
    except (OSError, ValueError) as error:  # no network or no room, or not the file we know
        raise InputError(
            f"{dataset} is not on this machine and its download failed ({type(error).__name__}): "
            "connect and try again, or set NANOPARADIGM_DATA to a folder that holds "
            f"{' and '.join(files)}, or use a dataset that needs no download, language or pydocs"
        ) from error


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
    scored on. characters_per_token: of the validation split, what turns nats per token into bits
    per character. Raises InputError for a text with no window to train or to score on, and for a
    tokenizer that cannot read the text.
    """

    def __init__(self, corpus, tokenizer, length):
        self.corpus = corpus
        self.tokenizer = tokenizer
        self.length = length
        self.aligned = corpus.sequence_length is not None
        if self.aligned and length != corpus.sequence_length:
            raise InputError(
                f"the texts of {corpus.name} are {corpus.sequence_length} tokens long and are not "
                f"cut: use --block_size {corpus.sequence_length}"
            )
        unseen = {*tokenizer.unseen(corpus.train), *tokenizer.unseen(corpus.validation)}
        if unseen:
            some = ", ".join(map(repr, sorted(unseen)[:5]))
            raise InputError(
                f"{corpus.name} holds {some}, which this tokenizer has "
                "never seen: use the corpus it was made for, or train with --tokenizer bpe"
            )
        self.train = torch.tensor(tokenizer.encode(corpus.train), dtype=torch.long)
        held_out = torch.tensor(tokenizer.encode(corpus.validation), dtype=torch.long)
        for name, tokens in ("training", self.train), ("validation", held_out):
            if len(tokens) < length:
                raise InputError(
                    f"the {name} split of {corpus.name} holds {len(tokens)} of the {length} tokens "
                    "that one window needs: use a smaller --block_size or a longer text"
                )
        self.validation = windows(held_out, length)
        self.characters_per_token = len(corpus.validation) / len(held_out)


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
        self._starts = (offset + self.length * order).tolist()

    def _next_start(self):
        if self._position == len(self._starts):
            self._begin(self._epoch + 1)
        self._position += 1
        return self._starts[self._position - 1]

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
