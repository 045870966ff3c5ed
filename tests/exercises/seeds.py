"""Every exercise on the cases of many seeds, as the copies of `make student SEED=...` have them.

    python tests/exercises/seeds.py              seeds 1 to 1000, some half an hour of one core
    python tests/exercises/seeds.py 1 100        seeds 1 to 100
    python tests/exercises/seeds.py 1 100 subs   of these exercises

On each, the reference and its variant must be right, every known mistake must be called by its
name, and no answer that is a row of numbers may be right for another seed as well. What does not
hold is printed, and the exit status is 1. An answer that has few values, such as yes or no, is the
same for many seeds, of course; how often is printed too.
"""

import math
import sys
from collections import defaultdict

import torch

from nanoparadigm.exercises import ALL, QUESTIONS
from nanoparadigm.exercises.grader import numbers, same
from nanoparadigm.explain.calling import Unusable

FEW = {
    "corrupt": "frequencies of what is drawn, in hundredths",
    "flow_corrupt": "frequencies of what is drawn, in hundredths",
    "own_schedule": "whether it has each of eleven properties",
    "sure_count": "counts of words",
    "longest_parity": "lengths",
    "break_even": "counts of words",
    "verdict": "one of three verdicts",
    "longest_copy": "lengths",
    "fill_positions": "counts of positions",
    "block_positions": "counts of positions",
    "two_stream_mask": "who sees whom",
    "cached_mask": "who sees whom",
}
"""what is asked for where answers have few values"""


def exercises(seed):
    """name -> exercise, also the questions about the seed's own language."""
    return ALL | {name: question.exercise(seed) for name, question in QUESTIONS.items()}


def told(exercise, answer, cases):
    """The numbers of an answer on every case, or what makes it unusable."""
    try:
        return [numbers(exercise, answer, case) for case in cases]
    except Unusable as problem:
        return str(problem)


def alike(exercise, ours, others):
    """Whether the grader takes one row of results for the other."""
    if isinstance(ours, str) or isinstance(others, str):
        return ours == others
    return all(same(exercise, a, b) for a, b in zip(ours, others, strict=True))


def faults(name, exercise, seed):
    """What does not hold of an exercise at a seed, a sentence each, and the right numbers."""
    cases, found = exercise.cases(seed), []
    right = told(exercise, exercise.reference, cases)
    if not alike(exercise, told(exercise, exercise.variant, cases), right):
        found.append(f"{name}, seed {seed}: the variant is not right")
    before = {}
    for mistake, known in exercise.mistakes.items():
        said = told(exercise, known.function, cases)
        if alike(exercise, said, right):
            found.append(f"{name}, seed {seed}: {mistake!r} is right")
        if twins := [other for other in before if alike(exercise, said, before[other])]:
            found.append(f"{name}, seed {seed}: {mistake!r} is called {twins[0]!r}")
        before[mistake] = said
    return found, right


def row(right):
    """Results as one row, which is the same to six digits if a grader could not tell them apart."""
    numbers = torch.cat([result.double().flatten() for result in right]).tolist()
    return tuple(round(x, 6) if math.isfinite(x) else str(x) for x in numbers)


def main(first=1, last=1000, *names):
    first, last = int(first), int(last)
    seen, shared, wrong = defaultdict(dict), defaultdict(int), 0
    for seed in range(first, last + 1):
        for name, exercise in exercises(seed).items():
            if names and name not in names:
                continue
            problems, right = faults(name, exercise, seed)
            key = row(right)
            if key in seen[name]:
                shared[name] += 1
                if name not in FEW:
                    other = seen[name][key]
                    problems.append(f"{name}: seeds {other} and {seed} have one answer")
            seen[name].setdefault(key, seed)
            wrong += len(problems)
            for problem in problems:
                print(problem, flush=True)
        if seed % 10 == 0:
            print(f"... seed {seed}: {wrong} faults so far", flush=True)
    count = last - first + 1
    print(f"{count} seeds, {len(seen)} exercises, {wrong} faults")
    for name, how in shared.items():
        print(f"  {name}: {how} of {count} answers had come before ({FEW.get(name, 'a fault')})")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
