"""Files damaged before they are read: (random.Random) -> Case."""

import json
import math
import random
from pathlib import Path

from rule import Case
from workspace import RUNS, STUDY, TINY, words

from nanoparadigm import corpora
from nanoparadigm.commands import main as cli
from nanoparadigm.errors import InputError
from nanoparadigm.training.log import read_log

LOOKS = {
    "sample": "sample --checkpoint runs/{run} --length 12 {steps}",
    "evaluate": "evaluate --checkpoint runs/{run} --eval_windows 3 {draws} {steps} "
    "--no_baselines --json numbers.json",
    "resume": "train --resume --out runs/{run} --max_steps 8",
}
TRUTHS = {}
"""what each of LOOKS answers of each run that nobody has touched"""


def answer(look, run, out):
    """What must not depend on damage: the text, the likelihood, the losses of the steps to come."""
    if look == "sample":
        return out
    if look == "evaluate":
        return [row["bits_per_character"] for row in json.loads(Path("numbers.json").read_text())]
    return [(r["step"], r["loss"]) for r in read_log(Path("runs") / run) if r["step"] > 6]


def damaged(rng, damage, said):
    """A command that reads a run after its folder was damaged: the same answer, or a refusal."""
    run, look = rng.choice([*RUNS]), rng.choice([*LOOKS])
    command = words(LOOKS[look], run)

    def act():
        damage(Path("runs") / run)
        return cli.main(command)

    def truth(out):
        found = answer(look, run, out)
        return None if found == TRUTHS[look, run] else f"{found!r}, not {TRUTHS[look, run]!r}"

    return Case(f"{said} in runs/{run}; nanoparadigm {' '.join(command)}", act, truth)


def files(run):
    return sorted(
        p for p in run.rglob("*") if p.is_file() and p.name not in ("lock", "notes.md", "my.txt")
    )


def flips(rng):
    """A byte changed, a file cut, emptied, removed, or made into something else."""
    kind = rng.choice("flip flip flip cut cut empty remove folder double zeros swap".split())
    at, which, bit = rng.random(), rng.random(), 1 << rng.randrange(8)

    def damage(run):
        path = files(run)[int(which * len(files(run)))]
        data = bytearray(path.read_bytes())
        place = int(at * len(data))
        if kind == "flip" and data:
            data[place] ^= bit
        elif kind == "cut":
            del data[place:]
        elif kind == "empty":
            data.clear()
        elif kind == "double":
            data += bytes(data)
        elif kind == "zeros":
            data[place:] = bytes(len(data) - place)
        elif kind == "swap":
            others = [p for p in files(run) if p != path]
            data = bytearray(others[place % len(others)].read_bytes())
        path.unlink()
        if kind == "folder":
            path.mkdir()
        elif kind != "remove":
            path.write_bytes(data)

    return damaged(rng, damage, f"{kind} (file {which:.4f}, place {at:.4f}, bit {bit})")


ATOMS = [
    None,
    True,
    False,
    0,
    -1,
    1,
    7,
    2**31,
    2**63,
    2**64,
    10**30,
    -(2**63) - 1,
    0.5,
    -0.0,
    1e308,
]
ATOMS += [
    math.nan,
    math.inf,
    "",
    "x",
    "a" * 5000,
    "\x1b[31m",
    "\ud83d",
    "../ar",
    "/",
    "step-3",
    "ar",
    [],
    {},
]
ATOMS += [[[]], [1, "a"], {"a": 1}, {"": None}, {"tensor": "x"}, {"pairs": 3}, {"pairs": [[1]]}]


def edits(rng):
    """A value of one of the JSON files of a run changed, removed, added, or nested too deep."""
    which, seed = rng.random(), rng.random()

    def damage(run):
        inner = random.Random(seed)
        paths = [p for p in files(run) if p.suffix in (".json", ".jsonl")]
        path = paths[int(which * len(paths))]
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".jsonl":
            rows = text.splitlines()
            place = inner.randrange(len(rows))
            rows[place] = edited(inner, rows[place])
            text = "\n".join(rows) + "\n"
        else:
            text = edited(inner, text)
        path.write_text(text, encoding="utf-8", errors="surrogatepass")

    return damaged(rng, damage, f"an edit (file {which:.4f}, seed {seed})")


def edited(rng, text):
    """A text of JSON with one place of it changed."""
    if rng.random() < 0.05:
        return rng.choice(
            ["[" * 100_000, '{"a":' * 50_000, "9" * 5000, "nul", "\ufeff" + text, text * 2]
        )
    value = json.loads(text)
    places = [*walk(value)]
    if not places:
        return json.dumps(rng.choice(ATOMS))
    parent, key = rng.choice(places)
    kind = rng.choice(["change", "change", "change", "remove", "add", "other"])
    if kind == "remove":
        del parent[key]
    elif kind == "add" and isinstance(parent, dict):
        parent[rng.choice(["x", "", "__class__", "name"])] = rng.choice(ATOMS)
    elif kind == "other" and type(parent[key]) in (int, float):
        parent[key] = parent[key] + rng.choice([1, -1, 1e-9, 1000])
    else:
        parent[key] = rng.choice(ATOMS)
    return json.dumps(value)


def walk(value):
    """(container, key) of every place in a JSON value."""
    for key, inner in [
        *(
            value.items()
            if isinstance(value, dict)
            else enumerate(value)
            if isinstance(value, list)
            else ()
        )
    ]:
        yield value, key
        yield from walk(inner)


VALUES = ["1", "-1", "0", "0.5", "nan", "inf", "1e400", '"x"', '""', "[]", "{}", "true", "[[1]]"]
VALUES += [
    "1979-05-27",
    "9" * 30,
    "9" * 5000,
    '"\\ud800"',
    "[" * 3000,
    "'''",
    '"text.txt"',
    "{a = 1}",
]
VALUES += ["[1, 'a']"]
KEYS = ["x", "n_layers", "model", "", '"a b"']
TABLES = ["[sizes]", "[[sizes]]", "[settings.lr]", "[x]", "[]", "sizes = 3"]


def studies(rng):
    """A study file with a line of it changed, in a dry run, or asked about."""
    rows = STUDY.splitlines()
    place = rng.randrange(len(rows))
    kind = rng.choice(["value", "value", "value", "key", "drop", "bytes", "table"])
    if kind == "value":
        rows[place] = f"{rows[place].split(' = ')[0]} = {rng.choice(VALUES)}"
    elif kind == "key":
        rows[place] = f"{rng.choice(KEYS)} = {rng.choice(VALUES)}"
    elif kind == "drop":
        del rows[place]
    elif kind == "table":
        rows[place] = rng.choice(TABLES)
    data = bytearray("\n".join(rows).encode())
    if kind == "bytes":
        data[rng.randrange(len(data))] = rng.choice([0, 0xFF, 0x80, 10, 34])
    what = rng.choice(["--dry_run", "--dry_run", "--status", "--report"])
    command = f"study --preset study.toml --out studies/s {what}".split()

    def act():
        Path("study.toml").write_bytes(data)
        return cli.main(command)

    return Case(f"study.toml {bytes(data)!r}; nanoparadigm {' '.join(command)}", act)


SHARDS = [
    "prepare check --dataset shards",
    f"train --dataset shards --out runs/s --model ar {TINY}",
    "prepare fineweb --source documents.jsonl --tokenizer runs/bpe --out shards --tokens 600 "
    "--shard_tokens 300 --validation_tokens 60 --workers 1",
]


def shards(rng):
    """A folder of shards damaged, then checked, trained on, or prepared again."""
    kind, command = rng.choice(["flip", "cut", "remove", "edit", "grow"]), rng.choice(SHARDS)
    at, which, bit, seed = rng.random(), rng.random(), 1 << rng.randrange(8), rng.random()

    def act():
        paths = sorted(p for p in Path("shards").iterdir() if p.name != "lock")
        path = paths[int(which * len(paths))]
        data = bytearray(path.read_bytes())
        place = int(at * len(data))
        if kind == "edit" and path.suffix == ".json":
            data = edited(random.Random(seed), data.decode()).encode("utf-8", "surrogatepass")
        elif kind == "flip":
            data[place] ^= bit
        elif kind == "cut":
            del data[place:]
        else:
            data += b"\xff\xff"
        path.write_bytes(data)
        if kind == "remove":
            path.unlink()
        return cli.main(command.split())

    def truth(out):
        """`prepare` looks at sizes; only `prepare check` reads every byte."""
        if command.startswith("prepare"):
            try:
                corpora.load("shards")
            except InputError as error:
                return str(error)
        return None

    damage = f"{kind} (file {which:.4f}, place {at:.4f}, bit {bit}, seed {seed})"
    return Case(f"shards: {damage}; nanoparadigm {command}", act, truth)
