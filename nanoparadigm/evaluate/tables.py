"""Rows of numbers as Markdown tables; every mean with its standard error."""

import math

from ..language.grammar import KINDS


def decoding_table(rows):
    """Rows of `decoding`, in Markdown."""
    head = (
        "decoding",
        "network calls",
        "positions",
        "ungrammatical",
        "surprise",
        "entropy",
        "excess",
    )
    lines = [
        [
            row["name"],
            *(said(row.get(k), ",.0f") for k in ("calls", "positions")),
            percent(row["ungrammatical"]),
            *(said(row[k]) for k in head[4:]),
        ]
        for row in rows
    ]
    return markdown(head, lines)


def table(rows):
    """Rows of `measure` or `baselines`, each with `name` and `tokens` (trained on), in Markdown."""
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
                said(row["bits_per_character"], before=sign),
                *([difference(row)] if others else []),
                *(said(speed.get(k), ",.0f") for k in ("tokens_per_second", "calls", "positions")),
                *(percent(row.get(way)) for way in ("forward", "reverse")),
                f"{row['parameters']:,}" if "parameters" in row else "",
                f"{row['tokens']:,}" if row["tokens"] else "",
            ]
        )
    return markdown(head, lines)


def difference(row):
    if "difference" not in row:
        return ""
    return said(row["difference"], "+.3f", before=row["difference"]["sign"])


def truth_table(rows):
    """The distance to the truth of rows of `measure` that know it, in Markdown; "" if none does."""
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
                said(t["excess"], ".4f", before=sign),
                percent(t["ungrammatical"]),
                *(said(t["mistakes"][kind], ".2f") for kind in KINDS),
                said(t["surprise"]),
                said(t["entropy"]),
            ]
        )
    return markdown(head, lines)


def percent(share):
    return said(share, ".1f", scale=100, after=" %")


def said(number, form=".3f", scale=1, before="", after=""):
    """A number in words, or an Estimate as a dict: its mean ± its standard error. What is not known
    (nan, None, or null in a file) is left out."""
    if not isinstance(number, dict):
        number = dict(mean=number)
    mean, se = (math.nan if (v := number.get(k)) is None else scale * v for k in ("mean", "se"))
    if math.isnan(mean):
        return ""
    error = "" if math.isnan(se) else f" ± {se:{form.removeprefix('+')}}"
    return f"{before}{mean:{form}}{error}{after}"


def markdown(head, lines, texts=False):
    """A table with its first column on the left and the others on the right, as numbers stand, or
    on the left too if they are texts."""
    widths = [max(map(len, column)) for column in zip(head, *lines, strict=True)]
    rule = ["-" * widths[0], *("-" * (w - 1) + ("-" if texts else ":") for w in widths[1:])]
    text = ""
    for name, *cells in [head, rule, *lines]:
        justify = str.ljust if texts else str.rjust
        padded = [justify(cell, w) for cell, w in zip(cells, widths[1:], strict=True)]
        text += "| " + " | ".join([name.ljust(widths[0]), *padded]) + " |\n"
    return text
