"""Notebooks handed in: where they lie, what is in them, of which chapter and student they are."""

import json
import re
import unicodedata
from collections.abc import Iterable, Iterator
from pathlib import Path

import nbformat

from ..errors import InputError
from ..exercises import CHAPTERS, QUESTIONS
from ..files import parse_json, read

CHECK = re.compile(r"""\bcheck\(\s*["'](\w+)["']""")
LARGEST = 64 * 2**20
"""bytes of a notebook that is read"""


def find(paths: Iterable[Path]) -> Iterator[Path]:
    """Yield the files named, and all notebooks in the folders named, but for hidden ones."""
    for path in paths:
        inside = sorted(path.rglob("*.ipynb")) if path.is_dir() else []
        for file in inside:
            if not any(part.startswith(".") for part in file.relative_to(path).parts):
                yield file
        if not inside:
            yield path


def load(path: Path) -> nbformat.NotebookNode:
    """Return the notebook in a file, whatever its version. Raises InputError if it holds none."""
    again = "ask for the notebook again"
    if path.exists() and not path.is_dir():
        if not path.is_file():
            raise InputError(f"{path} is no ordinary file: {again}")
        if path.stat().st_size > LARGEST:
            raise InputError(f"{path} is larger than {LARGEST >> 20} MiB: {again}")
    content = parse_json(read(path), dict, path, again)
    try:
        notebook = nbformat.reads(json.dumps(content), as_version=4)
        asked(notebook)
    except Exception as error:  # nbformat raises whatever a dict that is no notebook leads to
        raise InputError(f"{path} is not a notebook: {again}") from error
    return notebook


def asked(notebook: nbformat.NotebookNode) -> set[str]:
    """Return the names of the exercises that a notebook's cells check."""
    return {name for cell in notebook.cells for name in CHECK.findall(cell.source)}


def own_seed(notebook: nbformat.NotebookNode) -> int:
    """Return the seed that `make student SEED=...` has written in a copy, 0 where there is none."""
    told = notebook.metadata.get("nanoparadigm")
    seed = told.get("seed") if isinstance(told, dict) else None
    return seed if isinstance(seed, int) and 0 <= seed < 2**31 else 0


def chapter(path: Path, notebook: nbformat.NotebookNode) -> str:
    """Return the chapter that a notebook is of, by its file name and by its exercises.

    Raises InputError if they do not agree on one.
    """
    names = asked(notebook)
    names |= {QUESTIONS[name].chapter for name in names & {*QUESTIONS}}
    held = {stem for stem, module in CHAPTERS.items() if names & {stem, *module.EXERCISES}}
    named = {stem for stem in CHAPTERS if stem in path.stem.lower()}
    fitting = named & held if named and held else named | held
    if len(fitting) == 1:
        return fitting.pop()
    held_by, name_of = (" and ".join(sorted(s)) or "no chapter" for s in (held, named))
    raise InputError(
        f"{path} could be of any chapter: its name has that of {name_of}, its exercises are of "
        f"{held_by}; name it after its chapter, as in ada-{min(CHAPTERS)}.ipynb"
    )


def student(path: Path, chapter: str) -> str:
    """Return who handed a file in: its name without the chapter's, or else that of its folder."""
    other = rf"{re.escape(chapter)}|(?<![^\W_])copy(?![^\W_])"
    name = re.sub(other, "", path.stem, flags=re.IGNORECASE).strip(" -_.()")
    folder = path.absolute().parent
    folder = folder.parent if folder.name == chapter else folder  # as nbgrader lays them out
    name = name if re.search(r"[^\W\d_]", name) else folder.name
    return unicodedata.normalize("NFC", name)  # some systems write é as two characters
