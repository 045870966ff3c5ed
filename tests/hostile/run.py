"""Every family of cases under the rule: python tests/hostile/run.py --cases 20000."""

import argparse
import contextlib
import gc
import io
import json
import multiprocessing
import os
import random
import shutil
import sys
import tempfile
from functools import partial
from itertools import product
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

import workspace  # noqa: E402
from calls import api, demo  # noqa: E402
from damage import LOOKS, TRUTHS, answer, edits, flips, shards, studies  # noqa: E402
from lines import BASE, lines  # noqa: E402
from notebooks import notebooks  # noqa: E402
from rule import broken  # noqa: E402
from tqdm import tqdm  # noqa: E402

from nanoparadigm import PRESETS, build  # noqa: E402
from nanoparadigm.commands import main as cli  # noqa: E402

FAMILIES = {
    lines: 550, flips: 350, edits: 350, studies: 200, shards: 150, api: 250, demo: 144, notebooks: 6
}  # fmt: skip
"""(random.Random) -> Case: how many of two thousand cases"""
NAMED = {family.__name__: family for family in FAMILIES}


def tasks(cases, seed=0):
    """(family, seed, number) of so many cases of all families together, one of each in turn."""
    counts = {family.__name__: cases * share // 2000 for family, share in FAMILIES.items()}
    every = [(name, n) for name, count in counts.items() for n in range(count)]
    return [(name, seed, n) for name, n in sorted(every, key=lambda task: task[1])]


def apart(does, folder):
    """What a function gives as JSON, in a process of its own in that folder."""
    with tempfile.TemporaryDirectory() as place:
        child = os.fork()
        if child == 0:
            status = 1
            try:
                os.chdir(folder)
                with contextlib.redirect_stdout(io.StringIO()) as out:
                    found = does(out)
                (Path(place) / "found").write_text(json.dumps(found), encoding="utf-8")
                status = 0
            finally:
                os._exit(status)
        _, status = os.waitpid(child, 0)
        assert status == 0, "the workspace could not be made"
        return json.loads((Path(place) / "found").read_text(encoding="utf-8"))


def warm():
    """Import what PyTorch imports when it is first used: every child would do it again."""
    for name in PRESETS:
        build(name, 3, n_layer=1, n_head=1, n_embd=4, block_size=4)
    for command, flags in BASE.items():
        cli.parse([*command.split(), *workspace.words(flags, "ar")])
    gc.collect()
    gc.freeze()  # or the first collection in a child would copy every page that it looks at


def prepare(folder):
    """Make the workspace, and learn what the commands answer of runs that nobody has damaged."""
    warm()
    apart(lambda out: workspace.make(folder), folder)
    for look, run in product(LOOKS, workspace.RUNS):
        command = workspace.words(LOOKS[look], run)
        with tempfile.TemporaryDirectory() as place:
            copy = Path(place) / "here"
            shutil.copytree(folder, copy)

            def does(out, look=look, run=run, command=command):
                assert cli.main(command) == 0
                return answer(look, run, out.getvalue())

            found = apart(does, copy)
        TRUTHS[look, run] = [tuple(r) for r in found] if look == "resume" else found


def case(task):
    family, seed, number = task
    return NAMED[family](random.Random(f"{family} {seed} {number}"))


def one(task, folder):
    """(the task, how its case breaks the rule, or None)."""
    tried = case(task)
    problem = broken(tried, folder)
    return task, problem and f"{' '.join(map(str, task))}: {tried.said[:1500]}\n    {problem}"


def run(asked, folder, workers=1):
    """Yield what `one` says of every task."""
    if workers == 1:
        yield from map(partial(one, folder=folder), asked)
        return
    with multiprocessing.get_context("fork").Pool(workers) as pool:
        yield from pool.imap_unordered(partial(one, folder=folder), asked, chunksize=4)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=2000, help="of all families together")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--family", choices=NAMED, help="only this one")
    parser.add_argument("--number", type=int, help="only this case of a family")
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    options = parser.parse_args()
    if options.number is not None:
        asked = [(options.family, options.seed, options.number)]
    elif options.family:
        asked = [(options.family, options.seed, n) for n in range(options.cases)]
    else:
        asked = tasks(options.cases, options.seed)
    with tempfile.TemporaryDirectory() as folder:
        prepare(folder)
        faults = 0
        for _, problem in tqdm(run(asked, folder, options.workers), total=len(asked)):
            if problem:
                faults += 1
                tqdm.write(problem)
    print(f"{faults} of {len(asked)} cases break the rule")
    raise SystemExit(faults > 0)


if __name__ == "__main__":
    main()
