"""The leaderboard: how many seconds of training it takes to model Tiny Shakespeare so well.

    python benchmarks/records.py run benchmarks/records/ar-1.88.json      train its seeds, keep them
    python benchmarks/records.py check                                    all that are there

A record is one file: the line it reaches, the recipe, and what `run` adds: for every seed the
seconds, the number and the log, then the machine, the versions, and the seconds that the classic
recipe takes on the same machine. The rules are in records/README.md. To enter, write the first half
of such a file, let `run` write the second, and send both with the code.
"""

import argparse
import json
import math
import statistics
import time
from pathlib import Path

import classic
import numpy as np
import speedrun
import torch
from measure import machine

from nanoparadigm import Settings, corpora, tokenizers, train
from nanoparadigm.commands.allocator import keep_memory
from nanoparadigm.data.corpus import TokenizedCorpus, WindowBatches
from nanoparadigm.errors import InputError
from nanoparadigm.paradigms import PRESETS, parameters
from nanoparadigm.studies.schedules.significance import student_law

RECORDS = Path(__file__).parent / "records"
MOST_PARAMETERS, FEWEST_SEEDS, LEVEL = 850_000, 3, 0.01
EXACT = {"1.88": 1.88, "5-gram": 1.669, "1.50": 1.50}
BOUND = {"1.88": 1.88, "1.75": 1.75}
ASKED = {"line", "model", "what", "by", "date", "options", "settings", "seeds"}
FILLED = {"runs", "parameters", "classic_seconds", "machine"}
TIMED = 100  # steps of the classic recipe that tell how long all of it takes


def lines(model):
    """The lines that such a model may be entered for: name -> nats per character."""
    exact = model == "classic" or PRESETS[model].paradigm.exact
    return EXACT if exact else BOUND


def p_value(nats, line):
    """Student's t: how probable means this far below the line are, if the true mean is on it."""
    n, spread = len(nats), statistics.stdev(nats)
    t = (line - statistics.mean(nats)) / (max(spread, 1e-12) / math.sqrt(n))
    beyond = 1 - float(np.interp(abs(t), *student_law(n)))  # on both sides
    return beyond / 2 if t > 0 else 1 - beyond / 2


def faults(record):
    """What keeps a record off the leaderboard: sentences, none if it may stay."""
    found = [f"{key} is missing" for key in sorted((ASKED | FILLED) - record.keys())]
    if found:
        return found
    if record["model"] not in ["classic", *PRESETS]:
        return [f"model {record['model']} is not one of classic, {', '.join(PRESETS)}"]
    possible = lines(record["model"])
    if record["line"] not in possible:
        return [f"line {record['line']} is not one of {', '.join(possible)}"]
    if record["parameters"] > MOST_PARAMETERS:
        found.append(f"it has {record['parameters']:,} parameters, above {MOST_PARAMETERS:,}")
    nats = [run["nats"] for run in record["runs"]]
    if len(record["seeds"]) < FEWEST_SEEDS:
        found.append(f"it has {len(record['seeds'])} seeds: give {FEWEST_SEEDS} or more")
    elif [run["seed"] for run in record["runs"]] != record["seeds"]:
        found.append("not all of its seeds were run: go on with `run`")
    elif (p := p_value(nats, possible[record["line"]])) >= LEVEL:
        found.append(
            f"the mean of its seeds, {statistics.mean(nats):.3f}, is not surely below the line: "
            f"p is {p:.3f}, not under {LEVEL}"
        )
    return found


def classic_seconds(data):
    """How long the classic recipe takes here, from some of its steps."""
    model = classic.build(data.tokenizer.vocab_size, 0)
    batches = WindowBatches(data.train, classic.BATCH, classic.LENGTH, torch.Generator())
    times = []
    for _ in zip(range(TIMED), classic.train(model, batches), strict=False):
        times.append(time.perf_counter())
    return classic.STEPS * statistics.median(np.diff(times).tolist())


def one(record, seed, corpus, tokenizer):
    """Train one seed of a record; return its row, and the number of parameters."""
    length = classic.LENGTH if record["model"] == "classic" else speedrun.LENGTH
    data = TokenizedCorpus(corpus, tokenizer, length)
    if record["model"] == "classic":
        steps = record["settings"]["max_steps"]
        model, took = speedrun.run_classic(data, seed, steps)
    else:
        model = speedrun.make(record["model"], tokenizer.vocab_size, seed, {}, **record["options"])
        settings = Settings(
            **record["settings"], seed=seed, eval_interval=10**9, eval_windows=1, log_interval=1
        )
        log = []
        for step in train(model, data, settings):
            log.append([round(step["seconds"], 2), round(step["loss"], 4)])
        thinned = log[:: max(1, len(log) // 50)]
        took = dict(seconds=step["seconds"], steps=step["step"], log=thinned)
    nats = speedrun.quality(model, data)
    row = dict(seed=seed, nats=nats["mean"], se=nats["se"], **took)
    return row, parameters(model)


def run(path):
    """Train every seed of the record at `path` that it lacks, and write the file after each."""
    record = json.loads(path.read_text(encoding="utf-8"))
    if missing := sorted(ASKED - record.keys()):
        raise SystemExit(f"{path} lacks {', '.join(missing)}: see {RECORDS / 'README.md'}")
    keep_memory()
    corpus = corpora.load("shakespeare")
    tokenizer = tokenizers.build("char", corpus)
    short = TokenizedCorpus(corpus, tokenizer, classic.LENGTH)
    record |= dict(classic_seconds=classic_seconds(short), machine=machine())
    runs = record.setdefault("runs", [])
    for seed in record["seeds"][len(runs) :]:
        row, record["parameters"] = one(record, seed, corpus, tokenizer)
        runs.append(row)
        path.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
        print(f"seed {seed}: {row['nats']:.3f} in {row['seconds']:.1f} s", flush=True)
    return check(path)


def check(path):
    """Print whether a record may stay, and return it."""
    record = json.loads(path.read_text(encoding="utf-8"))
    found = faults(record)
    print(f"{path.name}: {'; '.join(found) or 'good'}")
    return not found


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("do", choices=("run", "check"))
    parser.add_argument("files", nargs="*", type=Path, help="records (check: by default all)")
    options = parser.parse_args()
    if options.do == "run" and not options.files:
        parser.error("run: which file?")
    files = options.files or sorted(RECORDS.glob("*.json"))
    try:
        good = [dict(run=run, check=check)[options.do](path) for path in files]
    except (InputError, OSError, ValueError) as error:
        raise SystemExit(f"records: {error}") from error
    raise SystemExit(not all(good))


if __name__ == "__main__":
    main()
