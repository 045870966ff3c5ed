"""Read files that somebody else wrote, or refuse them in one sentence."""

import codecs
import json
import re
import tomllib
from os import PathLike
from pathlib import Path
from typing import Any

import msgspec

from .errors import InputError

StrPath = str | PathLike[str]
"""a path as anybody writes it"""


def read(path: StrPath) -> bytes:
    """Return the bytes of a file.

    Raises InputError if it is a directory or a device, or cannot be read.
    """
    path = Path(path)
    if path.is_dir():
        raise InputError(f"{path} is a directory: give the path of one text file")
    if path.is_char_device():
        raise InputError(f"{path} is a device, which may have no end: give the path of a file")
    try:
        return path.read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a path that holds a zero byte
        problem = getattr(error, "strerror", None) or error
        raise InputError(f"cannot read {path} ({problem}): give a file you may read") from error


def decode(data: bytes, source: StrPath) -> str:
    """Return the text of UTF-8 bytes, without a byte order mark.

    source: where they come from, for messages. Raises InputError if they are not UTF-8, or empty.
    """
    try:
        text = data.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            raise InputError(f"{source} is UTF-16 text: convert it to UTF-8") from error
        raise InputError(
            f"{source} is not UTF-8 text (byte {error.start} is 0x{data[error.start]:02x}): "
            "convert it to UTF-8"
        ) from error
    if not text:
        raise InputError(f"{source} is empty: give a file that holds text")
    return text


def read_json(
    path: StrPath, kind: Any = Any, hint: str = "put back the file that was there"
) -> Any:
    """Return the contents of a JSON file as a value of type `kind`; see `parse_json`."""
    return parse_json(read(path), kind, path, hint)


def parse_json(
    data: bytes | str,
    kind: Any = Any,
    source: StrPath = "the line",
    hint: str = "correct it",
) -> Any:
    """Return the value of type `kind` that the JSON holds.

    kind: any type that msgspec can convert to, a dataclass for example; numbers may be NaN or
    infinite. source: where the JSON comes from, for messages. Raises InputError, which says what is
    wrong and where, and ends with the hint.
    """
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:  # not JSON, not UTF-8, a number without end
        raise InputError(f"{source} is not JSON ({reason(error)}): {hint}") from error
    return typed(value, kind, source, hint)


def read_toml(path: StrPath, kind: Any = Any, hint: str = "correct that line") -> Any:
    """Return the contents of a TOML file as a value of type `kind`; see `parse_json`."""
    return parse_toml(decode(read(path), path), kind, path, hint)


def parse_toml(
    text: str,
    kind: Any = Any,
    source: StrPath = "the text",
    hint: str = "correct that line",
) -> Any:
    """Return the value of type `kind` that the TOML holds; see `parse_json`."""
    try:
        value = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{source} is not TOML ({reason(error)}): {hint}") from error
    return typed(value, kind, source, hint)


def typed(value: Any, kind: Any, source: StrPath, hint: str) -> Any:
    """Return the value converted to type `kind`.

    Raises InputError, which names the source and the place in it that does not fit.
    """
    try:
        return msgspec.convert(value, kind)
    except InputError as error:  # of a dataclass that checks itself
        raise InputError(f"{source}: {error}") from error
    except (msgspec.ValidationError, OverflowError, RecursionError, UnicodeError) as error:
        problem, _, place = str(error).replace("`", "").partition(" - at ")
        place = re.sub(r"^key in |[$][.]?", "", place)
        where = f"{source}, {place}," if place else source
        problem = problem[:1].lower() + problem[1:]
        raise InputError(f"{where} cannot be used ({problem}): {hint}") from error


def reason(error: BaseException) -> str:
    """Return the first line of a library's error message, or the name of its type."""
    return "".join(str(error).splitlines()[:1]) or type(error).__name__
