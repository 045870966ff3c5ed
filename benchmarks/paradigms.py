"""Train and measure five paradigms from three seeds each, for chapter 12; kept with the book.

    OMP_NUM_THREADS=1 python benchmarks/paradigms.py

What is there already is not trained again: delete book/studies/paradigms.json to begin anew.
"""

import argparse
import json
from pathlib import Path

import torch
from measure import machine

from nanoparadigm import parameters
from nanoparadigm.studies import paradigms as study

KEPT = Path(__file__).parents[1] / "book" / "studies" / "paradigms.json"


def rounded(value, digits=5):
    """The same with shorter numbers, so that the file stays small."""
    if isinstance(value, dict):
        return {k: rounded(v, digits) for k, v in value.items()}
    if isinstance(value, list):
        return [rounded(v, digits) for v in value]
    return round(value, digits) if isinstance(value, float) else value


def run(path, seeds=study.SEEDS):
    torch.set_num_threads(1)
    data = study.texts()
    facts = dict(machine=machine(), runs={name: [] for name in study.NAMES})
    if path.exists():
        facts = json.loads(path.read_text(encoding="utf-8"))
    warm = study.network("ar", 0, data.tokenizer.vocab_size)
    study.learn(warm, data, 0, steps=study.POINTS)  # what only the first training pays for
    for seed in seeds:
        for name, runs in facts["runs"].items():
            if seed in [row["seed"] for row in runs]:
                continue
            model = study.network(name, seed, data.tokenizer.vocab_size)
            row = dict(seed=seed, parameters=parameters(model))
            row |= dict(curve=study.learn(model, data, seed)) | study.measure(name, model, data)
            runs.append(rounded(row))
            path.write_text(json.dumps(facts) + "\n", encoding="utf-8")
            excess = sum(row["excess"]["bound"]) / len(row["excess"]["bound"])
            print(f"{name} {seed}: {row['curve'][-1]}, excess {excess:.4f}", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=KEPT)
    run(parser.parse_args().out)
