"""Every way of writing, of the four models that `make book` trains, against the truth.

    python benchmarks/decoding.py --runs runs/compare        (some five minutes on two cores)

No timing: the cost is in network calls and positions computed.
"""

import argparse
from pathlib import Path

from measure import save

from nanoparadigm import corpora, evaluate
from nanoparadigm.paradigms import PRESETS
from nanoparadigm.training import checkpoint

STEPS, TEXTS = (16, 64), 1024


def measured(runs):
    """steps -> rows of `evaluate.decoding_metrics` for every model, and of texts of the truth."""
    found = {steps: [] for steps in STEPS}
    for name in PRESETS:
        saved = checkpoint.load(runs / name)
        data = corpora.of_run(saved)
        for steps, rows in found.items():
            if saved.model.exact and steps != STEPS[-1]:
                continue  # it takes a step for every token, whatever is asked
            for way, options in saved.model.decodings.items():
                options = {"steps": steps} | options
                row = evaluate.decoding_metrics(
                    saved.model, data, f"{name}: {way}", options, n=TEXTS
                )
                rows.append(row | dict(model=name, way=way))
                print(evaluate.decoding_table([row]).splitlines()[-1], flush=True)
    found[STEPS[-1]].append(evaluate.decoding_of_language(data, n=TEXTS))
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=Path, default=Path("runs/compare"))
    save("decoding", texts=TEXTS, steps=measured(parser.parse_args().runs))
