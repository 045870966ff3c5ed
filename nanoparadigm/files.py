"""Files that others published or wrote: found or fetched, read, or refused in one sentence."""

import os
from pathlib import Path

import pooch

from .errors import InputError


def read(path):
    """The bytes of a file."""
    path = Path(path)
    if path.is_dir():
        raise InputError(f"{path} is a directory: give the path of one text file")
    try:
        return path.read_bytes()
    except OSError as error:
        reason = error.strerror or error
        raise InputError(f"cannot read {path} ({reason}): give a file you may read") from error


def decode(data, source):
    """The text of UTF-8 bytes, without a byte order mark; `source` says where they are from."""
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


def folder_with(files):
    """The first place on this machine that holds all the files, or None."""
    places = [os.environ.get("NANOPARADIGM_DATA"), pooch.os_cache("nanoparadigm")]
    for folder in (Path(place) for place in places if place):
        if all((folder / file).is_file() for file in files):
            return folder
    return None


def download(name, files, url, sha256, file, instead):
    """The path of the file in the user's cache, fetched from the url unless it is there already.

    InputError where that fails, which names the `files` that would do and what to use `instead`.
    """
    pooch.get_logger().setLevel("WARNING")  # it writes every download to the terminal otherwise
    try:
        path = Path(pooch.os_cache("nanoparadigm")) / file
        known = dict(known_hash=sha256, fname=path.name, path=path.parent)
        return Path(pooch.retrieve(url, **known))
    except (OSError, ValueError) as error:  # no network or no room, or not the file we know
        raise InputError(
            f"{name} is not on this machine and its download failed ({type(error).__name__}): "
            "connect and try again, or set NANOPARADIGM_DATA to a folder that holds "
            f"{' and '.join(files)}, or {instead}"
        ) from error
