"""log.jsonl, a record a line: written as training goes, read back whatever has become of it."""

import json
import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from msgspec import Meta

from .. import atomic, files
from ..errors import InputError


@dataclass(frozen=True)
class Record:
    """A line of log.jsonl, in which null stands for NaN."""

    step: Annotated[int, Meta(ge=0)]
    loss: float | None
    lr: float | None
    seconds: float | None


@dataclass(frozen=True)
class Evaluated(Record):
    """One of an evaluation."""

    val: float | None
    val_se: float | None


class Log:
    """log.jsonl: one record a line. What an interrupted run wrote after `keep_to` is dropped."""

    def __init__(self, run, keep_to):
        self.path = Path(run) / "log.jsonl"
        atomic.make(self.path.parent)
        kept = [r for r in read_log(run) if r["step"] <= keep_to] if keep_to else []
        lines = "".join(map(self.line, kept))
        unfinished = self.path.with_name("log.jsonl.unfinished")
        unfinished.write_text(lines, encoding="utf-8")
        atomic.sync(unfinished)
        os.replace(unfinished, self.path)
        atomic.sync(self.path.parent)

    def write(self, record):
        with open(self.path, "a", encoding="utf-8") as f:
            f.write(self.line(record))

    @staticmethod
    def line(record):
        return json.dumps(atomic.without_nan(record)) + "\n"


def read_log(run):
    """The records of a run's log.jsonl, those that `read_lines` can read."""
    return read_lines(run)[0]


def read_lines(run):
    """The records of a run's log.jsonl, and the numbers of the lines that hold none.

    A power cut or an editor may have damaged those. Where a record has null, NaN is given back.
    """
    path = Path(run) / "log.jsonl"
    records, damaged = [], []
    for number, line in enumerate(files.read(path).splitlines() if path.exists() else [], 1):
        try:
            record = files.parse_json(line)
            files.typed(record, dict[str, float | None], path, "")
            files.typed(record, Evaluated if "val" in record else Record, path, "")
        except InputError:
            damaged.append(number)
            continue
        records.append({k: math.nan if v is None else v for k, v in record.items()})
    return records, damaged
