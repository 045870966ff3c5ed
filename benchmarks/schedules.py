"""What studies of noise schedules, and of many passes, have found, kept with the book.

    nanoparadigm study --preset tiny
    python benchmarks/schedules.py --studies studies tiny

The second keeps studies/tiny/results.json as book/studies/tiny.json, with the machine;
with --shared, because the machine did other things meanwhile, without the seconds.
"""

import argparse
import json
from pathlib import Path

from measure import machine

KEPT = Path(__file__).parents[1] / "book" / "studies"


def keep(studies, name, shared):
    facts = json.loads((studies / name / "results.json").read_text(encoding="utf-8"))
    if shared:
        for trial in facts.get("trials", {}).values():
            for timed in (trial, *trial["curve"]):
                del timed["seconds"]
    path = KEPT / f"{name}.json"
    path.write_text(json.dumps(dict(machine=machine(), **facts)) + "\n", encoding="utf-8")
    print(f"written: {path}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=Path, default=Path("studies"))
    parser.add_argument("--shared", action="store_true")
    parser.add_argument("names", nargs="+")
    chosen = parser.parse_args()
    for name in chosen.names:
        keep(chosen.studies, name, chosen.shared)
