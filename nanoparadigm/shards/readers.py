"""Read documents one after another, from files or from a hub, without ever holding them all.

A source is the path of a file, a folder, a pattern such as "data/*.parquet", or else the name of a
dataset on the Hugging Face hub, OWNER/NAME or OWNER/NAME/CONFIGURATION. Files, by their endings,
in lower or upper case:

    .jsonl  .jsonl.gz    one object per line, whose "text" is a document
    .parquet             one document per row, in the column "text" (needs pyarrow)
    .txt  .txt.gz        one document per file
"""

import glob
import gzip
import os
import re
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from .. import files
from ..errors import InputError

INSTALL = "install it with pip install 'nanoparadigm[scale]'"
DAMAGED = EOFError, gzip.BadGzipFile, zlib.error

Records = Iterator[tuple[Path | str, Any]]
"""pairs of where a record is, for messages, and the record: a dict whose "text" is a document"""


def find(sources: Iterable[str]) -> list[Path | str]:
    """Return the files (Paths) and hub names (strings) that the sources stand for, in their order.

    The files of a folder or a pattern are sorted by name. Raises InputError for a source that
    stands for nothing.
    """
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
            here = _matching(path)
        if not here or not all(isinstance(part, str) or _reader(part) for part in here):
            raise InputError(
                f"there is nothing to read at {source}: give files that end in "
                f"{', '.join(READERS)}, or a dataset of the hub, OWNER/NAME"
            )
        found += here
    return found


def _matching(pattern: Path) -> list[Path]:
    """Return the paths that match a pattern, sorted. Names may hold brackets: a part of the pattern
    that exists under its own name stands for itself."""

    def inside(folder: Path, part: str) -> list[str]:
        return [part] if os.path.exists(folder / part) else glob.glob(part, root_dir=folder)

    found = [Path()]
    for part in pattern.parts:
        found = [folder / name for folder in found for name in inside(folder, part)]
    return sorted(found)


def describe(found: list[Path | str]) -> str:
    """Return a line that tells what `find` found from anything else, by its names and sizes."""
    names = [p if isinstance(p, str) else f"{p.name} ({p.stat().st_size:,} bytes)" for p in found]
    if len(names) == 1:
        return names[0]
    return f"{names[0]} to {names[-1]}, {len(names)} in all, {zlib.crc32(repr(names).encode()):08x}"


class Texts:
    """The documents of what `find` found, one after another.

    Documents whose "text" is null or missing are left out, and counted in `skipped`. Raises
    InputError for a document that cannot be read, naming the file and the line, and if no document
    has a text.
    """

    def __init__(self, found: list[Path | str]) -> None:
        self.found, self.skipped = found, 0

    def __iter__(self) -> Iterator[str]:
        self.skipped = read = 0
        for part in self.found:
            for where, record in _hub(part) if isinstance(part, str) else _reader(part)(part):
                text = _document(record, where)
                if text is None:
                    self.skipped += 1
                else:
                    read += 1
                    yield text
        if self.skipped and not read:
            raise InputError(
                f'none of the {self.skipped:,} documents has a "text": give files that have one'
            )


def _reader(path: Path) -> Callable[[Path], Records] | None:
    name = path.name.lower()
    return next((reader for ending, reader in READERS.items() if name.endswith(ending)), None)


def _document(record: Any, where: Path | str) -> str | None:
    """Return record["text"], or None if there is none. Raises InputError if it is not a string, or
    one that UTF-8 cannot write."""
    if not isinstance(record, dict):
        raise InputError(f'{where} is no object with a "text": mend it or leave it out')
    text = record.get("text")
    if text is None:
        return None
    if not isinstance(text, str):
        raise InputError(f'{where} has a "text" that is no string: mend it or leave it out')
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise InputError(f"{where} holds half a surrogate pair: remove it") from error
    return text


def _packed(path: Path) -> bool:
    return path.name.lower().endswith(".gz")


def _jsonl(path: Path) -> Records:
    opened = gzip.open if _packed(path) else open
    number = 0
    try:
        with opened(path, "rb") as lines:
            for number, line in enumerate(lines, 1):
                where = f"{path}, line {number},"
                if (text := files.decode(line, where)).strip():
                    yield where, files.parse_json(text, Any, where, "mend it or leave it out")
    except DAMAGED as error:
        raise InputError(f"{path} is damaged after line {number} ({error}): get it anew") from error


def _parquet(path: Path) -> Records:
    try:
        import pyarrow
        from pyarrow.parquet import ParquetFile
    except ImportError as error:
        raise InputError(f"{path} needs pyarrow to be read: {INSTALL}") from error
    row = 0
    try:
        with ParquetFile(path) as file:
            place = file.schema_arrow.get_field_index("text")
            if place < 0:
                raise InputError(f'{path} has no column "text": give files that have one')
            kind = file.schema_arrow.field(place).type
            if pyarrow.types.is_dictionary(kind):
                kind = kind.value_type
            if kind not in (pyarrow.string(), pyarrow.large_string(), pyarrow.string_view()):
                raise InputError(f'{path} has a column "text" of {kind}: give one of strings')
            for batch in file.iter_batches(columns=["text"]):
                for record in batch.to_pylist():
                    row += 1
                    yield f"{path}, row {row},", record
    except (pyarrow.ArrowException, OSError, UnicodeDecodeError) as error:
        if getattr(error, "errno", None):  # of the disk, and not of what is in the file
            raise
        said = files.reason(error)
        raise InputError(f"{path} is damaged after row {row} ({said}): get it anew") from error


def _text(path: Path) -> Records:
    data = files.read(path)
    try:
        data = gzip.decompress(data) if _packed(path) else data
    except DAMAGED as error:
        raise InputError(f"{path} is damaged ({error}): get it anew") from error
    yield path, {"text": files.decode(data, path)}


def _hub(name: str) -> Records:
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
        yield f"{name}, document {number},", record


READERS = {
    ".jsonl": _jsonl,
    ".jsonl.gz": _jsonl,
    ".parquet": _parquet,
    ".txt": _text,
    ".txt.gz": _text,
}
