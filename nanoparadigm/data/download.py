"""Find a published file on this machine, or download it once."""

import os
from collections.abc import Collection
from pathlib import Path

import pooch

from ..errors import InputError


def folder_with(files: Collection[str]) -> Path | None:
    """Return the first folder on this machine that holds all the files, or None."""
    places = [os.environ.get("NANOPARADIGM_DATA"), pooch.os_cache("nanoparadigm")]
    for folder in (Path(place) for place in places if place):
        if all((folder / file).is_file() for file in files):
            return folder
    return None


def download(
    name: str, files: Collection[str], url: str, sha256: str, file: str, instead: str
) -> Path:
    """Return the path of the file in the user's cache, fetched from the url unless it is there.

    name: of what is downloaded. Raises InputError if the download fails; the message names the
    `files` to provide by hand and what to do `instead`.
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
