"""Texts too long for memory: written to disk once as token ids, and read from there.

A folder of shards. Documents follow one another, each ended by the end-of-text token:

    metadata.json      what it was made from; of every file its tokens, documents and hash
    tokenizer.json
    validation.bin     the first documents, held out; raw little-endian uint16
    train-00000.bin    the following documents, in files of equal size, cut wherever that falls
    train-00001.bin    ...

A file is written under another name first and counts only once metadata.json names it: whatever
interrupts the writing, the same call continues after the last whole file. It also rewrites what was
damaged later, as far as sizes tell; `Shards.check` reads everything.
"""

import hashlib
import json
import os
import zlib
from collections.abc import Iterable, Iterator
from contextlib import closing
from itertools import islice, takewhile
from pathlib import Path
from typing import Annotated, Any, Literal, TypedDict

import numpy as np
import torch
from msgspec import Meta
from torch import Tensor

from ..atomic import sole_writer, write_json
from ..errors import InputError
from ..files import read_json
from . import tokenizers
from .corpus import Tokens
from .encode_parallel import ID, Encoded, encode
from .tokenizers import Tokenizer

FORMAT = "nanoparadigm-shards-1"
VALIDATION = "validation.bin"
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


def write(
    documents: Iterable[str],
    tokenizer: Tokenizer,
    out: str | Path,
    tokens: int,
    source: str = "",
    shard_tokens: int = 100_000_000,
    validation_tokens: int = 1_000_000,
    workers: int = 1,
) -> Iterator[int]:
    """Write documents to the folder `out`; yield the number of training tokens written so far.

    The validation split is the first documents, as few as hold validation_tokens. The training
    split is exactly the next `tokens` tokens, or fewer if the documents end. The same call always
    leaves the same bytes, whatever the number of workers (processes). It continues where a call was
    interrupted, or before the first file whose size has changed. source: a line that tells these
    documents from others. Raises InputError for a folder begun with other arguments, for a
    tokenizer without an end of text and for one with more ids than uint16 holds; OSError if the
    disk refuses or a worker dies.
    """
    counts = dict(tokens=tokens, shard_tokens=shard_tokens, validation_tokens=validation_tokens)
    for name, value in (counts | {"workers": workers}).items():
        if value < 1:
            raise InputError(f"{name} is {value}: give a whole number of 1 or more")
    if tokenizer.end_of_text is None or tokenizer.vocab_size >= 2**16:
        raise InputError(
            f"a {tokenizer.kind} tokenizer of {tokenizer.vocab_size:,} ids cannot write shards, "
            "which want an end of text and at most 65,535 ids: use GPT-2's"
        )
    out = Path(out)
    with sole_writer(out):
        arguments = dict(source=source, tokenizer=_identity(tokenizer), **counts)
        metadata = _begin(out, tokenizer, arguments)
        _keep_whole(out, metadata)
        if not metadata["complete"]:
            seen = sum(facts["documents"] for facts in metadata["files"].values())
            rest = islice(documents, seen, None)
            with closing(encode(rest, tokenizer, out / "tokenizer.json", workers)) as encoded:
                yield from _fill(out, metadata, encoded)
        yield _trained(metadata)


def _begin(out: Path, tokenizer: Tokenizer, arguments: dict[str, Any]) -> Metadata:
    """Return the metadata to go on with: those of an interrupted call, or new ones."""
    if (out / "metadata.json").exists():
        metadata = _metadata(out)
        for name, old in metadata["arguments"].items() if metadata["files"] else ():
            if old != arguments[name]:
                raise InputError(
                    f"{out} was begun with the {name} {old} and cannot go on with "
                    f"{arguments[name]}: keep it, or give another folder"
                )
        if metadata["files"]:
            try:
                there = _identity(tokenizers.load(out / "tokenizer.json"))
            except InputError:
                there = None
            if there != arguments["tokenizer"]:
                _save(tokenizer, out)
            return metadata
    metadata = Metadata(
        format=FORMAT,
        complete=False,
        arguments=arguments,
        end_of_text=tokenizer.end_of_text,
        unfinished=0,
        files={},
    )
    _save(tokenizer, out)
    write_json(out / "metadata.json", metadata)
    return metadata


def _save(tokenizer: Tokenizer, out: Path) -> None:
    unfinished = out / "tokenizer.json.unfinished"
    tokenizer.save(unfinished)
    os.replace(unfinished, out / "tokenizer.json")


def _keep_whole(out: Path, metadata: Metadata) -> None:
    """Forget the first file that does not have its size, and all files after it."""
    whole = [*takewhile(lambda name: _is_whole(out, metadata, name), metadata["files"])]
    if len(whole) == len(metadata["files"]):
        return
    metadata["files"] = {name: metadata["files"][name] for name in whole}
    metadata["complete"], metadata["unfinished"] = False, 0
    for name in reversed(whole[1:]):
        ids = np.fromfile(out / name, ID)
        ends = np.flatnonzero(ids == metadata["end_of_text"])
        metadata["unfinished"] += len(ids) - (ends[-1].item() + 1 if len(ends) else 0)
        if len(ends):
            break
    write_json(out / "metadata.json", metadata)


def _is_whole(folder: Path, metadata: Metadata, name: str) -> bool:
    path, bytes_ = folder / name, metadata["files"][name]["tokens"] * ID.itemsize
    return path.is_file() and path.stat().st_size == bytes_


def _fill(out: Path, metadata: Metadata, encoded: Iterator[Encoded]) -> Iterator[int]:
    """Write the files that the folder lacks from the documents it lacks; yield the training tokens
    so far."""
    arguments, files = metadata["arguments"], metadata["files"]
    size, tokens = arguments["shard_tokens"], arguments["tokens"]
    plan = {VALIDATION: arguments["validation_tokens"]}
    for i, start in enumerate(range(0, tokens, size)):
        plan[f"train-{i:05}.bin"] = min(size, tokens - start)
    document, at = next(encoded, None), metadata["unfinished"]
    if document and at >= len(document[0]):
        raise InputError(
            f"the documents are not those that {out} was begun with: give those, or another folder"
        )
    for name in [name for name in plan if name not in files]:
        if document is None:
            break
        before = _trained(metadata)
        facts, sha256 = dict(tokens=0, documents=0, characters=0), hashlib.sha256()
        with open(out / f"{name}.unfinished", "wb") as f:
            while document and facts["tokens"] < plan[name]:
                ids, characters = document
                room = len(ids) if name == VALIDATION else plan[name] - facts["tokens"]
                part = ids[at : at + room]
                f.write(part)
                sha256.update(part)
                facts["tokens"] += len(part)
                at += len(part)
                if at == len(ids):
                    facts["documents"] += 1
                    facts["characters"] += characters
                    document, at = next(encoded, None), 0
                if name != VALIDATION:
                    yield before + facts["tokens"]
            f.flush()
            os.fsync(f.fileno())
        os.replace(out / f"{name}.unfinished", out / name)
        files[name] = {**facts, "sha256": sha256.hexdigest()}
        metadata["unfinished"] = at
        write_json(out / "metadata.json", metadata)
    if not _trained(metadata):
        held_out = sum(facts["tokens"] for facts in files.values())
        files.clear()
        write_json(out / "metadata.json", metadata)
        raise InputError(
            f"all {held_out:,} tokens of the documents would be held out for validation: "
            "give more documents, or a smaller `validation_tokens`"
        )
    metadata["complete"] = True
    write_json(out / "metadata.json", metadata)


def _trained(metadata: Metadata) -> int:
    return sum(f["tokens"] for name, f in metadata["files"].items() if name != VALIDATION)


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
        self.metadata = _metadata(self.folder)
        if not self.metadata["complete"]:
            raise InputError(f"{folder} is not finished: give the command that began it once more")
        self.tokenizer = tokenizers.load(self.folder / "tokenizer.json")
        if _identity(self.tokenizer) != self.metadata["arguments"]["tokenizer"]:
            raise InputError(f"{folder}/tokenizer.json is not the one it was written with: {AGAIN}")
        for name, facts in self.metadata["files"].items():
            if not _is_whole(self.folder, self.metadata, name):
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
        if _identity(tokenizer) != _identity(self.tokenizer):
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


def _metadata(folder: Path) -> Metadata:
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


def _identity(tokenizer: Tokenizer) -> str:
    """Return a line that tells a tokenizer from others."""
    sha256 = hashlib.sha256(json.dumps(tokenizer.vocabulary).encode()).hexdigest()
    return f"{tokenizer.kind}, {tokenizer.vocab_size} ids, SHA-256 {sha256}"
