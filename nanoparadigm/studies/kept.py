"""Results of long trainings that the authors of the package ran, and that the book shows."""

from pathlib import Path
from typing import Any

from ..data.download import download
from ..errors import lookup
from ..files import read_json

BOOK = Path(__file__).parents[2] / "book" / "studies"  # in a checkout, no part of the package
KEPT = {
    "tiny": "run the study",
    "shakespeare": "run the study",
    "paradigms": "run benchmarks/paradigms.py",
    "passes": "run the study",
    "real": "run benchmarks/real_text.py",
}
"""name -> how to get results of one's own"""


def kept(name: str) -> dict[str, Any]:
    """Return the results of that name, and the machine they were got on.

    They come with the book, and are downloaded if the book is not there. Raises InputError for a
    name that is not in KEPT, and if the download fails.
    """
    instead, path = lookup("stored study", name, KEPT), BOOK / f"{name}.json"
    if not path.is_file():
        url = f"https://raw.githubusercontent.com/nanoparadigm/nanoparadigm/main/book/studies/{path.name}"
        path = download(f"the study {name}", [path.name], url, None, path.name, instead)
    return read_json(path)
