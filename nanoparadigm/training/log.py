"""Write log.jsonl, a record on each line, as training goes; read it back, even if it is damaged."""

import json
import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from msgspec import Meta

from .. import atomic, files
from ..errors import InputError
from ..files import StrPath


@dataclass(frozen=True)
class Record:
    """A line of log.jsonl, in which null stands for NaN."""

    step: Annotated[int, Meta(ge=0)]
    loss: float | None
    lr: float | None
    seconds: float | None


@dataclass(frozen=True)
class Evaluated(Record):
    """A line after an evaluation."""

    val: float | None
    val_se: float | None


class Log:
    """The log.jsonl of a run that is being trained.

    keep_to: the step the run goes on from. Records of later steps, from a run that was interrupted,
    are dropped, and so are all if it is 0.
    """

    def __init__(self, run: StrPath, keep_to: int) -> None:
        self.path = Path(run) / "log.jsonl"
        atomic.make(self.path.parent)
        kept = [r for r in read_log(run) if r["step"] <= keep_to] if keep_to else []
        lines = "".join(map(self.line, kept))
        unfinished = self.path.with_name("log.jsonl.unfinished")
        unfinished.write_text(lines, encoding="utf-8")
        atomic.sync(unfinished)
        os.replace(unfinished, self.path)
        atomic.sync(self.path.parent)

    def write(self, record: dict) -> None:
        """Append the record."""
        with open(self.path, "a", encoding="utf-8") as f:
            f.write(self.line(record))

    @staticmethod
    def line(record: dict) -> str:
        """Return the line of a record, in which null stands for NaN."""
        return json.dumps(atomic.without_nan(record)) + "\n"


def read_log(run: StrPath) -> list[dict]:
    """Return the records of a run's log.jsonl, without lines that are damaged."""
    return read_lines(run)[0]


def read_lines(run: StrPath) -> tuple[list[dict], list[int]]:
    """Return the records of a run's log.jsonl, and the numbers of the lines that are damaged.

    A power cut or an editor may have done that. Null in a record is read as NaN.
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
