"""Text that a terminal shows and never obeys.

A text that a model wrote, a vocabulary and the name of a folder can hold escape sequences, which
recolour, clear or rename the terminal that prints them.
"""

import sys
import unicodedata
from contextlib import contextmanager, redirect_stderr, redirect_stdout


def visible(c):
    """A sign for a character that a terminal might obey or that cannot be seen; else itself."""
    if c < " " or c == "\x7f":
        return chr(0x2400 + ord(c)) if c < " " else "␡"
    return "\ufffd" if unicodedata.category(c)[0] == "C" or c in "\u2028\u2029" else c


def harmless(text):
    """The text with a sign for every such character but the newline and the tab."""
    return "".join(c if c in "\n\t" else visible(c) for c in text)


class Guarded:
    """A stream to a terminal, to which only `harmless` text is written."""

    def __init__(self, stream):
        self.stream = stream

    def write(self, text):
        self.stream.write(harmless(text))
        return len(text)

    def writelines(self, texts):
        for text in texts:
            self.write(text)

    def __getattr__(self, name):
        return getattr(self.stream, name)


def unguarded(stream):
    """The stream itself, for the bars and colours of our own."""
    return stream.stream if isinstance(stream, Guarded) else stream


@contextmanager
def guarded():
    """Guard the standard streams that are terminals; a pipe or a file gets every byte as it is."""
    out, err = (Guarded(s) if s.isatty() else s for s in (sys.stdout, sys.stderr))
    with redirect_stdout(out), redirect_stderr(err):
        yield
