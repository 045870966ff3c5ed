"""Texts too long for memory, as token ids on disk: what a folder of shards holds.

Documents follow one another, each ended by the end-of-text token:

    metadata.json      what it was made from; of every file its tokens, documents and hash
    tokenizer.json
    validation.bin     the first documents, held out; raw little-endian uint16
    train-00000.bin    the following documents, in files of equal size, cut wherever that falls
    train-00001.bin    ...
"""

import hashlib
import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal, TypedDict

import numpy as np
import torch
from msgspec import Meta
from torch import Tensor

from ..data import tokenizers
from ..data.corpus import Tokens
from ..data.tokenizers import Tokenizer
from ..errors import InputError
from ..files import read_json

FORMAT = "nanoparadigm-shards-1"
VALIDATION = "validation.bin"
ID = np.dtype("<u2")
ANEW = "put it back, or prepare the folder anew"
AGAIN = "give the command that wrote it once more"

Count = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Positive = Annotated[int, Meta(ge=1, le=2**63 - 1)]


class Facts(TypedDict):
    """What metadata.json holds of each file."""

    tokens: Positive
    documents: Count
    characters: Count
    sha256: str


class Arguments(TypedDict):
    """The arguments of `write` that an interrupted call and its continuation must share."""

    source: str
    tokenizer: str
    tokens: Positive
    shard_tokens: Positive
    validation_tokens: Positive


class Metadata(TypedDict):
    """What metadata.json holds."""

    format: Literal[FORMAT]
    complete: bool
    arguments: Arguments
    end_of_text: Count
    unfinished: Count
    """tokens in the files of a document whose end they do not hold"""
    files: dict[str, Facts]


def is_whole(folder: Path, metadata: Metadata, name: str) -> bool:
    """Return whether a file that the metadata name is there and has its size."""
    path, bytes_ = folder / name, metadata["files"][name]["tokens"] * ID.itemsize
    return path.is_file() and path.stat().st_size == bytes_


class Shards:
    """What `write` wrote: a corpus that comes as tokens, used in place of a `corpora.Corpus`.

    Sizes are checked here, hashes by `check`. Raises InputError for a folder that is unfinished,
    damaged, or was not written by `write`.
    """

    sequence_length = None
    truth = None

    def __init__(self, folder: str | Path, name: str | None = None) -> None:
        self.name = name or str(folder)
        self.path = str(folder)
        self.folder = Path(folder)
        self.metadata = read_metadata(self.folder)
        if not self.metadata["complete"]:
            raise InputError(f"{folder} is not finished: give the command that began it once more")
        self.tokenizer = tokenizers.load(self.folder / "tokenizer.json")
        if identity(self.tokenizer) != self.metadata["arguments"]["tokenizer"]:
            raise InputError(f"{folder}/tokenizer.json is not the one it was written with: {AGAIN}")
        for name, facts in self.metadata["files"].items():
            if not is_whole(self.folder, self.metadata, name):
                tokens = facts["tokens"]
                raise InputError(f"{self.folder / name} does not hold {tokens:,} tokens: {AGAIN}")

    @property
    def fingerprint(self) -> str:
        """The SHA-256, in hexadecimal, of what the metadata say of the files and the tokenizer."""
        held = [self.metadata["arguments"]["tokenizer"], self.metadata["files"]]
        return hashlib.sha256(json.dumps(held, sort_keys=True).encode()).hexdigest()

    def tokens(self, tokenizer: Tokenizer) -> Tokens:
        """Return the Tokens, whose `train` stays on disk.

        Raises InputError if the tokenizer is not the one that the shards were written with.
        """
        if identity(tokenizer) != identity(self.tokenizer):
            raise InputError(
                f"{self.name} is written in other tokens than the model's: use the text that it "
                "was trained on, or train another model"
            )
        files = self.metadata["files"]
        train = [self.folder / name for name in files if name != VALIDATION]
        path, size = self.folder / VALIDATION, self.tokenizer.vocab_size
        validation = _known(np.fromfile(path, ID), size, path).astype(np.int64)
        return Tokens(
            Stream(train, size),
            torch.from_numpy(validation),
            files[VALIDATION]["characters"],
            zlib.crc32(json.dumps(files).encode()),
        )

    def check(self) -> Iterator[int]:
        """Read every file; yield the tokens read so far.

        Raises InputError for a file that has changed since it was written.
        """
        done = 0
        for name, facts in self.metadata["files"].items():
            with open(self.folder / name, "rb") as f:
                if hashlib.file_digest(f, "sha256").hexdigest() != facts["sha256"]:
                    raise InputError(
                        f"{f.name} has changed since it was written: delete it, and {AGAIN}"
                    )
            done += facts["tokens"]
            yield done


class Stream:
    """The tokens of files of equal size, the last of which may be shorter, as one text (T,).

    stream[i] is a LongTensor for a LongTensor i of any shape, or for a slice; only what is asked
    for is read. Raises InputError for an id that is not below vocab_size.
    """

    def __init__(self, paths: list[Path], vocab_size: int = 2**16) -> None:
        self.vocab_size = vocab_size
        self.parts = [np.memmap(path, ID, mode="r") for path in paths]

    def __len__(self) -> int:
        return sum(map(len, self.parts))

    def __getitem__(self, i: Tensor | slice) -> Tensor:
        if isinstance(i, slice):
            i = torch.arange(*i.indices(len(self)))
        part, place = np.divmod(i.numpy(), len(self.parts[0]))
        found = np.empty(part.shape, np.int64)
        for k in np.unique(part):
            ids = self.parts[k][place[part == k]]
            found[part == k] = _known(ids, self.vocab_size, self.parts[k].filename)
        return torch.from_numpy(found)


def _known(ids: np.ndarray, vocab_size: int, path: str | Path) -> np.ndarray:
    """Return the ids. Raises InputError for one that is not in the vocabulary."""
    if ids.size and ids.max() >= vocab_size:
        raise InputError(
            f"{path} holds the id {ids.max()}, and there are {vocab_size:,}: delete it, and {AGAIN}"
        )
    return ids


def read_metadata(folder: Path) -> Metadata:
    """Read the Metadata of a folder. Raises InputError if they are damaged."""
    path = folder / "metadata.json"
    metadata = read_json(path, Metadata, ANEW)
    names = [VALIDATION, *(f"train-{i:05}.bin" for i in range(len(metadata["files"])))]
    sizes = [facts["tokens"] for facts in metadata["files"].values()]
    full, train = metadata["arguments"]["shard_tokens"], sizes[1:]
    if (
        [*metadata["files"]] != names[: len(sizes)]
        or any(size != full for size in train[:-1])
        or max(train, default=0) > full
        or (metadata["complete"] and not train)
    ):
        raise InputError(f"{path} names other files than these arguments make: {ANEW}")
    return metadata


def identity(tokenizer: Tokenizer) -> str:
    """Return a line that tells a tokenizer from others."""
    sha256 = hashlib.sha256(json.dumps(tokenizer.vocabulary).encode()).hexdigest()
    return f"{tokenizer.kind}, {tokenizer.vocab_size} ids, SHA-256 {sha256}"
