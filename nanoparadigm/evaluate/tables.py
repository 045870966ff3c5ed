"""Write rows of numbers as Markdown tables, every mean with its standard error."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

from ..language.grammar import KINDS

Row = dict[str, Any]
"""what was measured of one model or one decoding strategy: `measure` and `decoding_metrics` say
which keys there are"""


def decoding_table(rows: Iterable[Row]) -> str:
    """Return rows of `decoding_metrics` as a Markdown table."""
    head = (
        "decoding",
        "options",
        "network calls",
        "positions",
        "ungrammatical",
        "surprise",
        "entropy",
        "divergence",
    )
    lines = [
        [
            row["name"],
            options(row),
            *(with_error(row.get(k), ",.0f") for k in ("calls", "positions")),
            percent(row["ungrammatical"]),
            *(with_error(row[k]) for k in ("surprise", "entropy")),
            with_error(row["divergence"], before=">= "),
        ]
        for row in rows
    ]
    return markdown(head, lines, left=2)


def options(row: Row) -> str:
    """Return the options of a decoding strategy, and the length of a model's blocks, as text."""
    if "options" not in row:
        return ""
    found = {k: row[k] for k in ("block_length",) if k in row} | row["options"]
    return ", ".join(f"{k}={v}" for k, v in found.items()) or "default"


def table(rows: Sequence[Row]) -> str:
    """Return rows of `measure` or `baselines` as a Markdown table.

    Each row also has a `name` and the `tokens` that the model was trained on.
    """
    others = {row["difference"]["other"] for row in rows if "difference" in row}
    paired = [f"minus {min(others) if len(others) == 1 else 'the first'}"] if others else []
    head = [
        "model", "bits per character", *paired, "tokens/s", "network calls", "positions computed",
        "forward accuracy", "reverse accuracy", "parameters", "trained on",
    ]  # fmt: skip
    lines = []
    for row in rows:
        sign, speed = "= " if row["exact"] else "<= ", row.get("speed", {})
        lines.append(
            [
                row["name"],
                with_error(row["bits_per_character"], before=sign),
                *([difference(row)] if others else []),
                *(
                    with_error(speed.get(k), ",.0f")
                    for k in ("tokens_per_second", "calls", "positions")
                ),
                *(percent(row.get(way)) for way in ("forward", "reverse")),
                f"{row['parameters']:,}" if "parameters" in row else "",
                f"{row['tokens']:,}" if row["tokens"] else "",
            ]
        )
    return markdown(head, lines)


def difference(row: Row) -> str:
    """Return the `difference` of a row, as `add_differences` put it there; "" if it has none."""
    if "difference" not in row:
        return ""
    return with_error(row["difference"], "+.3f", before=row["difference"]["sign"])


def truth_table(rows: Iterable[Row]) -> str:
    """Return the distance to the truth of those rows of `measure` that have one as a Markdown
    table; "" if none has."""
    rows = [row for row in rows if row.get("truth")]
    if not rows:
        return ""
    head = ["model", "excess, nats per word", "ungrammatical", *KINDS, "surprise", "entropy"]
    lines = []
    for row in rows:
        t = row["truth"]
        sign = "= " if row["exact"] else "<= "
        lines.append(
            [
                row["name"],
                with_error(t["excess"], ".4f", before=sign),
                percent(t["ungrammatical"]),
                *(with_error(t["mistakes"][kind], ".2f") for kind in KINDS),
                with_error(t["surprise"]),
                with_error(t["entropy"]),
            ]
        )
    return markdown(head, lines)


def percent(share: Row | float | None) -> str:
    """Return a share as `with_error` writes it, in percent."""
    return with_error(share, ".1f", scale=100, after=" %")


def with_error(
    number: Row | float | None,
    form: str = ".3f",
    scale: float = 1,
    before: str = "",
    after: str = "",
) -> str:
    """Return a number as text; of an Estimate as a dict, its mean ± its standard error.

    form: a format specification. scale: a factor of both. before, after: text around them. What is
    not known (nan, None, or null in a file) is left out: without a mean the text is empty.
    """
    if not isinstance(number, dict):
        number = dict(mean=number)
    mean, se = (math.nan if (v := number.get(k)) is None else scale * v for k in ("mean", "se"))
    if math.isnan(mean):
        return ""
    error = "" if math.isnan(se) else f" ± {se:{form.removeprefix('+')}}"
    return f"{before}{mean:{form}}{error}{after}"


def markdown(
    head: Sequence[str], lines: Sequence[Sequence[str]], texts: bool = False, left: int = 1
) -> str:
    """Return a Markdown table of these cells, its first `left` columns aligned on the left and the
    others on the right, or all on the left if they are texts."""
    widths = [max(map(len, column)) for column in zip(head, *lines, strict=True)]
    left = len(widths) if texts else left
    rule = ["-" * w if i < left else "-" * (w - 1) + ":" for i, w in enumerate(widths)]
    text = ""
    for cells in [head, rule, *lines]:
        padded = [
            cell.ljust(w) if i < left else cell.rjust(w)
            for i, (cell, w) in enumerate(zip(cells, widths, strict=True))
        ]
        text += "| " + " | ".join(padded) + " |\n"
    return text
