"""Documents one after another, from files or from a hub, without ever holding them all.

A source is the path of a file, a folder, a pattern such as "data/*.parquet", or else the name of a
dataset on the Hugging Face hub, OWNER/NAME or OWNER/NAME/CONFIGURATION. Files, by their endings:

    .jsonl  .jsonl.gz    an object a line, whose "text" is a document
    .parquet             a row each, whose column "text" is a document (needs pyarrow)
    .txt                 one document each
"""

import glob
import gzip
import json
import re
import zlib
from pathlib import Path

from . import files
from .errors import InputError

INSTALL = "install it with pip install 'nanoparadigm[scale]'"


def find(sources):
    """The files (Paths, by name within a folder or pattern) and hub names (strings) that the
    sources stand for, in their order; InputError for a source that stands for nothing."""
    found = []
    for source in sources:
        path = Path(source)
        if path.is_dir():
            here = sorted(p for p in path.iterdir() if _reader(p))
        elif path.is_file():
            here = [path]
        elif re.fullmatch(r"[\w.-]+/[\w.-]+(/[\w.-]+)?", source) and not _reader(path):
            here = [source]
        else:
            here = sorted(map(Path, glob.glob(source)))
        if not here or not all(isinstance(part, str) or _reader(part) for part in here):
            raise InputError(
                f"there is nothing to read at {source}: give files that end in "
                f"{', '.join(READERS)}, or a dataset of the hub, OWNER/NAME"
            )
        found += here
    return found


def describe(found):
    """A line that tells what `find` found from anything else by its names and sizes."""
    names = [p if isinstance(p, str) else f"{p.name} ({p.stat().st_size:,} bytes)" for p in found]
    if len(names) == 1:
        return names[0]
    return f"{names[0]} to {names[-1]}, {len(names)} in all, {zlib.crc32(repr(names).encode()):08x}"


def texts(found):
    """The documents of what `find` found. InputError for one that cannot be read: it names the
    file and the line."""
    for part in found:
        yield from _hub(part) if isinstance(part, str) else _reader(part)(part)


def _reader(path):
    return next((reader for ending, reader in READERS.items() if path.name.endswith(ending)), None)


def _document(record, where):
    """record["text"], if there is one that UTF-8 can write."""
    text = record.get("text") if isinstance(record, dict) else None
    if not isinstance(text, str):
        raise InputError(f'{where} has no "text": leave it out, or give files that have one')
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise InputError(f"{where} holds half a surrogate pair: remove it") from error
    return text


def _jsonl(path):
    opened = gzip.open if path.name.endswith(".gz") else open
    number = 0
    try:
        with opened(path, "rb") as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    yield _document(json.loads(line.decode("utf-8")), f"{path}, line {number},")
    except ValueError as error:  # not JSON, or not UTF-8
        raise InputError(
            f"{path}, line {number}, is not JSON in UTF-8 ({error}): mend it or leave it out"
        ) from error
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise InputError(f"{path} is damaged after line {number} ({error}): get it anew") from error


def _parquet(path):
    try:
        from pyarrow import ArrowException
        from pyarrow.parquet import ParquetFile
    except ImportError as error:
        raise InputError(f"{path} needs pyarrow to be read: {INSTALL}") from error
    row = 0
    try:
        with ParquetFile(path) as file:
            for batch in file.iter_batches(columns=["text"]):
                for record in batch.to_pylist():
                    row += 1
                    yield _document(record, f"{path}, row {row},")
    except (ArrowException, UnicodeDecodeError) as error:
        raise InputError(f"{path} is damaged after row {row} ({error}): get it anew") from error


def _text(path):
    yield files.decode(files.read(path), path)


def _hub(name):
    try:
        from datasets import load_dataset
    except ImportError as error:
        raise InputError(
            f"{name} is no file here, and the hub needs datasets: {INSTALL}, or give files"
        ) from error
    owner, dataset, *configuration = name.split("/")
    try:
        rows = load_dataset(f"{owner}/{dataset}", *configuration, split="train", streaming=True)
    except Exception as error:  # the library raises of many kinds, with or without a network
        said = str(error).partition("\n")[0]
        raise InputError(
            f"{name} cannot be had from the hub ({said}): give files instead"
        ) from error
    for number, record in enumerate(rows, 1):
        yield _document(record, f"{name}, document {number},")


READERS = {".jsonl": _jsonl, ".jsonl.gz": _jsonl, ".parquet": _parquet, ".txt": _text}
