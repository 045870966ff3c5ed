"""Text that a terminal shows and never obeys.

A text that a model wrote, a vocabulary and the name of a folder can hold escape sequences, which
recolour, clear or rename the terminal that prints them.
"""

import sys
import unicodedata
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import Any, TextIO


def visible(c: str) -> str:
    """Return a visible sign for a character that a terminal might obey or not show, else itself."""
    if c < " " or c == "\x7f":
        return chr(0x2400 + ord(c)) if c < " " else "␡"
    return "\ufffd" if unicodedata.category(c)[0] == "C" or c in "\u2028\u2029" else c


def harmless(text: str) -> str:
    """Return the text with `visible` applied to every character but newline and tab."""
    return "".join(c if c in "\n\t" else visible(c) for c in text)


class Guarded:
    """A terminal's stream that writes only `harmless` text to it."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream

    def write(self, text: str) -> int:
        """Write the text, made harmless; return the number of characters given."""
        self.stream.write(harmless(text))
        return len(text)

    def writelines(self, texts: Iterable[str]) -> None:
        """Write each of the texts."""
        for text in texts:
            self.write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


def unguarded(stream: TextIO) -> TextIO:
    """Return the stream behind a Guarded one, for our own progress bars and colours."""
    return stream.stream if isinstance(stream, Guarded) else stream


@contextmanager
def guarded() -> Iterator[None]:
    """Guard stdout and stderr while the block lasts, where they are terminals.

    A pipe or a file gets every byte as it is.
    """
    out, err = (Guarded(s) if s.isatty() else s for s in (sys.stdout, sys.stderr))
    with redirect_stdout(out), redirect_stderr(err):
        yield
