"""Docstrings for the page on the package: prose with `code`, as they are written, made into RST.

Sphinx loads this file as an extension. A name in backticks leads to its entry on the page if it has
one; everything else in backticks is code, and so is an argument where it is explained, as in
"steps: of the sampler". An indented paragraph is a block of code, and what RST would take for
markup is text.
"""

import inspect
import re
from dataclasses import fields, is_dataclass

MOST_FIELDS = 4  # of a class whose signature says as much as the list of its fields


def rst(text, arguments=()):
    """The text of a docstring of something that takes these arguments, as RST."""
    return "\n\n".join(
        paragraph(part, arguments) for part in re.split(r"\n\s*\n", text.strip("\n"))
    )


def paragraph(text, arguments):
    lines = text.splitlines()
    if all(line.startswith("    ") for line in lines):
        return "\n".join([".. code-block:: text", "", *lines])
    if arguments:  # "n:", "x (B, L):" and "x, z (B, L):" at the beginning of a sentence
        name = "|".join(arguments)
        explained = rf"(?:^|(?<=[.;]\s))(?:{name})(?:, (?:{name}))*(?= ?(?:\([^)]*\))?:\s)"
        text = re.sub(explained, lambda found: quoted(found[0]), text)
    pieces = text.split("`")
    for i, piece in enumerate(pieces):
        pieces[i] = code(piece) if i % 2 else re.sub(r"([\\*|_])", r"\\\1", piece)
    return r"\ ".join(pieces)  # a space that is not shown, without which `name`s would not be code


def quoted(names):
    return re.sub(r"\w+", r"`\g<0>`", names)


def code(piece):
    return f":py:obj:`{piece}`" if re.fullmatch(r"[A-Za-z_][\w.]*", piece) else f"``{piece}``"


def arguments(obj):
    """The names of what can be given to it."""
    try:
        return [*inspect.signature(obj).parameters] if callable(obj) else []
    except (TypeError, ValueError):
        return []


def rewrite(app, what, name, obj, options, lines):
    lines[:] = rst("\n".join(lines), arguments(obj)).splitlines()


def shorten(app, what, name, obj, options, signature, returned):
    """Leave out the signature of a protocol and of a class of many fields, which follow it."""
    many = is_dataclass(obj) and len(fields(obj)) > MOST_FIELDS
    if many or getattr(obj, "_is_protocol", False):
        return "", None


def setup(app):
    app.connect("autodoc-process-docstring", rewrite)
    app.connect("autodoc-process-signature", shorten)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
