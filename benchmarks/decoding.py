"""Every way of writing, of the four models that `make book` trains and of block diffusion.

    nanoparadigm compare --dataset language --models ar block --out runs/block
    python benchmarks/decoding.py runs/compare/{ar,diffusion,flow,mamba} runs/block/block

Some seven minutes on two cores. The rows of models that are not named stay as they are.
No timing: the cost is in network calls and positions computed.
"""

import argparse
import json
from pathlib import Path

from measure import RESULTS, save

from nanoparadigm import corpora, evaluate
from nanoparadigm.paradigms import PRESETS
from nanoparadigm.training import checkpoint

STEPS, TEXTS = (16, 64), 1024


def measured(saved, data):
    """steps -> a row of `evaluate.decoding_metrics` for every way of writing of one model."""
    name, found = saved.model.recipe["name"], {steps: [] for steps in STEPS}
    for steps, rows in found.items():
        if saved.model.exact and steps != STEPS[-1]:
            continue  # it takes a step for every token, whatever is asked
        for way, options in saved.model.decodings.items():
            row = evaluate.decoding_metrics(
                saved.model, data, f"{name}: {way}", dict(options), steps=steps, n=TEXTS
            )
            rows.append(row | dict(model=name, way=way))
            print(evaluate.decoding_table([row]).splitlines()[-1], flush=True)
    return found


def merged(stored, found):
    """The stored rows, steps -> rows, with those that were found in place of the same models'."""
    steps = {}
    for n in STEPS:
        old = [row for row in stored.get(str(n), []) if row.get("model") not in {None, *found}]
        new = [row for rows in found.values() for row in rows[n]]
        steps[n] = sorted(old + new, key=lambda row: [*PRESETS].index(row["model"]))
    return steps


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", nargs="+", type=Path)
    found, file = {}, RESULTS / "decoding.json"
    for run in parser.parse_args().runs:
        saved = checkpoint.load(run)
        data = corpora.of_run(saved)
        found[saved.model.recipe["name"]] = measured(saved, data)
    steps = merged(json.loads(file.read_bytes())["steps"] if file.exists() else {}, found)
    steps[STEPS[-1]].append(evaluate.decoding_of_language(data, n=TEXTS))
    save("decoding", texts=TEXTS, steps=steps)
