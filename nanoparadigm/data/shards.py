"""Texts too long to hold: written once to disk as token ids, read where they lie.

A folder of shards. Documents follow one another, each ended by the end-of-text token:

    metadata.json      what it was made from; of every file its tokens, documents and hash
    tokenizer.json
    validation.bin     the first documents, held out; raw little-endian uint16
    train-00000.bin    the following documents, in files of equal size wherever that cuts them
    train-00001.bin    ...

A file is written under another name first and counts only once metadata.json names it: whatever
interrupts the writing, the same call goes on after the last whole file. It also writes anew what
was damaged later, as far as sizes tell; `Shards.check` reads everything.
"""

import hashlib
import json
import os
import zlib
from contextlib import closing
from itertools import islice, takewhile
from pathlib import Path
from typing import Annotated, Literal, TypedDict

import numpy as np
import torch
from msgspec import Meta

from ..atomic import sole_writer, write_json
from ..errors import InputError
from ..files import read_json
from . import tokenizers
from .corpus import Tokens
from .encode_parallel import ID, encode

FORMAT = "nanoparadigm-shards-1"
VALIDATION = "validation.bin"
ANEW = "put it back, or prepare the folder anew"
AGAIN = "give the command that wrote it once more"

Count = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Positive = Annotated[int, Meta(ge=1, le=2**63 - 1)]


class Facts(TypedDict):
    """Of a file."""

    tokens: Positive
    documents: Count
    characters: Count
    sha256: str


class Arguments(TypedDict):
    """Of `write`: what the same call has in common with an earlier one."""

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
    """tokens in the files of a document that they do not hold to its end"""
    files: dict[str, Facts]


def write(
    documents,
    tokenizer,
    out,
    tokens,
    source="",
    shard_tokens=100_000_000,
    validation_tokens=1_000_000,
    workers=1,
):
    """Write documents, an iterable of texts, to the folder `out`; yield the training tokens so far.

    The validation split is the first documents, as few as hold validation_tokens. Training is
    exactly the next `tokens` tokens, or fewer where the documents end. The same call always leaves
    the same bytes, whatever the number of workers (processes). It goes on where one was
    interrupted, or before the first file that is no longer of its size. source: a line that tells
    these documents from others. Raises InputError for a folder begun with other arguments and for a
    tokenizer without an end of text or with more ids than uint16 holds; OSError where the disk
    refuses or a worker dies.
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


def _begin(out, tokenizer, arguments):
    """The metadata to go on with: those of an interrupted call, or new ones."""
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


def _save(tokenizer, out):
    unfinished = out / "tokenizer.json.unfinished"
    tokenizer.save(unfinished)
    os.replace(unfinished, out / "tokenizer.json")


def _keep_whole(out, metadata):
    """Forget the files from the first one on that is not of its size."""
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


def _is_whole(folder, metadata, name):
    path, bytes_ = folder / name, metadata["files"][name]["tokens"] * ID.itemsize
    return path.is_file() and path.stat().st_size == bytes_


def _fill(out, metadata, encoded):
    """Write the files that the folder lacks from (ids, characters) of every document it lacks."""
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


def _trained(metadata):
    return sum(f["tokens"] for name, f in metadata["files"].items() if name != VALIDATION)


class Shards:
    """What `write` wrote: a corpus that comes as tokens, in the place of a `corpora.Corpus`.

    Sizes are checked here, hashes by `check`. Raises InputError for a folder that is not finished,
    damaged, or not ours.
    """

    sequence_length = None
    truth = None

    def __init__(self, folder, name=None):
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
    def fingerprint(self):
        """The SHA-256 of what the metadata say of the files and the tokenizer, in hexadecimal."""
        held = [self.metadata["arguments"]["tokenizer"], self.metadata["files"]]
        return hashlib.sha256(json.dumps(held, sort_keys=True).encode()).hexdigest()

    def tokens(self, tokenizer):
        """The corpora.Tokens, of which train stays on disk; InputError for another tokenizer."""
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

    def check(self):
        """Read every file; yield the tokens read so far. InputError names a file that changed."""
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

    stream[i], i a LongTensor of any shape or a slice -> LongTensor. Nothing else is loaded.
    InputError for an id that is not below vocab_size.
    """

    def __init__(self, paths, vocab_size=2**16):
        self.vocab_size = vocab_size
        self.parts = [np.memmap(path, ID, mode="r") for path in paths]

    def __len__(self):
        return sum(map(len, self.parts))

    def __getitem__(self, i):
        if isinstance(i, slice):
            i = torch.arange(*i.indices(len(self)))
        part, place = np.divmod(i.numpy(), len(self.parts[0]))
        found = np.empty(part.shape, np.int64)
        for k in np.unique(part):
            ids = self.parts[k][place[part == k]]
            found[part == k] = _known(ids, self.vocab_size, self.parts[k].filename)
        return torch.from_numpy(found)


def _known(ids, vocab_size, path):
    """The ids; InputError for one that the vocabulary has not."""
    if ids.size and ids.max() >= vocab_size:
        raise InputError(
            f"{path} holds the id {ids.max()}, and there are {vocab_size:,}: delete it, and {AGAIN}"
        )
    return ids


def _metadata(folder):
    """The Metadata of a folder; InputError where they are damaged."""
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


def _identity(tokenizer):
    """A line that tells a tokenizer from others."""
    sha256 = hashlib.sha256(json.dumps(tokenizer.vocabulary).encode()).hexdigest()
    return f"{tokenizer.kind}, {tokenizer.vocab_size} ids, SHA-256 {sha256}"
