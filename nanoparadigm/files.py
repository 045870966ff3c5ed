"""Files that others published or wrote: found or fetched, read, or refused in one sentence."""

import codecs
import json
import re
import tomllib
from pathlib import Path
from typing import Any

import msgspec

from .errors import InputError


def read(path):
    """The bytes of a file."""
    path = Path(path)
    if path.is_dir():
        raise InputError(f"{path} is a directory: give the path of one text file")
    if path.is_char_device():
        raise InputError(f"{path} is a device, which may have no end: give the path of a file")
    try:
        return path.read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a path that holds a zero byte
        said = getattr(error, "strerror", None) or error
        raise InputError(f"cannot read {path} ({said}): give a file you may read") from error


def decode(data, source):
    """The text of UTF-8 bytes, without a byte order mark; `source` says where they are from."""
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


def read_json(path, kind=Any, hint="put back the file that was there"):
    """What a JSON file holds, as a value of the type `kind`: `parse_json` of its bytes."""
    return parse_json(read(path), kind, path, hint)


def parse_json(data, kind=Any, source="the line", hint="mend it"):
    """The value of the type `kind` that bytes or a string of JSON hold.

    kind: any type that msgspec can convert to, a dataclass for example; numbers may be NaN or
    infinite. Raises InputError, which says what was found where, and ends with the hint.
    """
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:  # not JSON, not UTF-8, a number without end
        raise InputError(f"{source} is not JSON ({reason(error)}): {hint}") from error
    return typed(value, kind, source, hint)


def read_toml(path, kind=Any, hint="mend that line"):
    """What a TOML file holds, as a value of the type `kind`: see `parse_json`."""
    return parse_toml(decode(read(path), path), kind, path, hint)


def parse_toml(text, kind=Any, source="the text", hint="mend that line"):
    """The value of the type `kind` that a text of TOML holds: see `parse_json`."""
    try:
        value = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{source} is not TOML ({reason(error)}): {hint}") from error
    return typed(value, kind, source, hint)


def typed(value, kind, source, hint):
    """The value as one of the type `kind`; InputError that names the place where it is none."""
    try:
        return msgspec.convert(value, kind)
    except InputError as error:  # of a dataclass that checks itself
        raise InputError(f"{source}: {error}") from error
    except (msgspec.ValidationError, OverflowError, RecursionError, UnicodeError) as error:
        said = str(error).replace("`", "")
        said, _, place = said.partition(" - at ")
        place = re.sub(r"^key in |[$][.]?", "", place)
        where = f"{source}, {place}," if place else source
        said = said[:1].lower() + said[1:]
        raise InputError(f"{where} cannot be used ({said}): {hint}") from error


def reason(error):
    """An error of a library in a line."""
    return "".join(str(error).splitlines()[:1]) or type(error).__name__
