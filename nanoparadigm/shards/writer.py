"""Write documents to a folder of shards, once, and go on where that was interrupted.

A file is written under another name first and counts only once metadata.json names it: whatever
interrupts the writing, the same call continues after the last whole file. It also rewrites what was
damaged later, as far as sizes tell; `Shards.check` reads everything.
"""

import hashlib
import os
from collections.abc import Iterable, Iterator
from contextlib import closing
from itertools import islice, takewhile
from pathlib import Path
from typing import Any

import numpy as np

from ..atomic import sole_writer, write_json
from ..data import tokenizers
from ..data.tokenizers import Tokenizer
from ..errors import InputError
from .encode_parallel import Encoded, encode
from .folder import FORMAT, ID, VALIDATION, Metadata, identity, is_whole, read_metadata


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
        arguments = dict(source=source, tokenizer=identity(tokenizer), **counts)
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
        metadata = read_metadata(out)
        for name, old in metadata["arguments"].items() if metadata["files"] else ():
            if old != arguments[name]:
                raise InputError(
                    f"{out} was begun with the {name} {old} and cannot go on with "
                    f"{arguments[name]}: keep it, or give another folder"
                )
        if metadata["files"]:
            try:
                there = identity(tokenizers.load(out / "tokenizer.json"))
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
    whole = [*takewhile(lambda name: is_whole(out, metadata, name), metadata["files"])]
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
