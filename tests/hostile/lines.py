"""Command lines that almost make sense: (random.Random) -> Case."""

import re
import string
from pathlib import Path

from rule import Case
from workspace import RUNS, TINY, words

from nanoparadigm.commands import COMMANDS
from nanoparadigm.commands import main as cli
from nanoparadigm.training import checkpoint
from nanoparadigm.training.log import read_log

NUMBERS = "0 -1 1 2 3 7 2147483648 4294967297 9223372036854775807 9223372036854775808".split()
NUMBERS += "-9223372036854775809 1e3 1e30 1e999 0.5 -0.0 1e-320 nan inf -inf 1_0 0x10".split()
NUMBERS += "٣ ½ 1,5 1.0 true None".split()
NUMBERS += ["9" * 5000, "", " ", "1 2"]
WORDS = [
    "",
    " ",
    "\n",
    "-",
    "--",
    "---",
    "--- Act",
    "--x",
    "-1",
    "=",
    "a" * 5000,
    "\x1b[31mred",
    "░",
]
WORDS += [
    "é",
    "e\u0301",
    "\u202e",
    "\udcff",
    "\ud83d",
    "🜂",
    "the cat",
    "the ░",
    "[",
    "*",
    "runs/*",
    "~",
]
WORDS += ["null", "None", "{}", "%s", "{0}", "$HOME", "`id`", "../..", "/", ".", "/dev/null"]
PLACES = [
    "text.txt",
    "novel.md",
    "runs",
    "runs/ar",
    "runs/flow",
    "runs/diffusion",
    "runs/bpe",
    "shards",
]
PLACES += ["runs/ar/step-6", "runs/ar/notes.md", "study.toml", "nowhere", "no/where", "/dev/full"]
PLACES += [
    "/proc/self/cmdline",
    "documents.jsonl",
    "language",
    "shakespear",
    "/root/x",
    "text.txt/x",
]
CHOICES = "ar diffusion flow mamba transformer hollow linear cosine euler ancestral confidence char"
CHOICES = (
    CHOICES + " bpe word gpt2 cpu cuda calls seconds all blocks float32 swiglu AR Flow"
).split()
VALUES = NUMBERS + WORDS + PLACES + CHOICES

# what each command needs to do something small, flag by flag
BASE = {
    "train": f"--dataset text.txt --out runs/new {TINY}",
    "sample": "--checkpoint runs/{run} --length 12 {steps}",
    "infill": "--checkpoint runs/{run} --prefix the --suffix cat --fill_length 3",
    "visualize": "--checkpoint runs/{run} --length 10 --seconds 0 {steps}",
    "evaluate": "--checkpoint runs/{run} --eval_windows 3 {draws} {steps}",
    "compare": f"--models ar --dataset text.txt --out runs/versus {TINY}",
    "audit": "nanoparadigm.audit.examples:chain_rule --unit nats --draws 8 --seed 1",
    "study": "--preset study.toml --out studies/s --dry_run",
    "diff": "ar {run}",
    "prepare fineweb": "--source documents.jsonl --tokenizer runs/bpe --out new --tokens 600 "
    "--validation_tokens 60 --workers 1",
    "prepare entropy": "--checkpoint runs/{run} --tokens 200 --out e.npy",
    "prepare check": "--dataset shards",
}
# as often as they cost little
COMMON = ["sample"] * 6 + ["infill"] * 3 + ["train"] * 4 + ["visualize"] * 2 + ["evaluate"] * 2
COMMON += ["compare", "audit", "study", "diff"]
COMMON += ["prepare fineweb", "prepare entropy", "prepare check"]


def lines(rng):
    """A command line that makes sense, with one to three things wrong with it."""
    command = rng.choice(COMMON)
    said = command.split() + words(BASE[command], rng.choice([*RUNS]))
    # a compilation takes minutes on a busy machine
    known = [f"--{flag}" for flag in cli.flags(COMMANDS[command]) if flag != "compile"]
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        said = wrong(rng, said, known, len(command.split()))
    return line(said)


def wrong(rng, said, known, named):
    """The words of a command line with one thing changed, after those that name the command."""
    said, flags = [*said], [i for i, word in enumerate(said) if word.startswith("--")]
    kind = rng.choice(
        "value value value value more more more twice bare equals drop swap letter".split()
    )
    if kind == "value" and flags:
        place = rng.choice(flags) + 1
        said[place : place + 1] = [rng.choice(VALUES)]
    elif kind in ("more", "equals"):
        flag, value = rng.choice(known), rng.choice(VALUES)
        said += [f"{flag}={value}"] if kind == "equals" else [flag, value]
    elif kind == "twice" and flags:
        place = rng.choice(flags)
        said += said[place : place + 2]
    elif kind == "bare":
        said.append(rng.choice(known))
    elif kind == "drop" and len(said) > named:
        del said[rng.randrange(named, len(said))]
    elif kind == "swap" and len(said) > named + 1:
        i, j = (rng.randrange(named, len(said)) for _ in range(2))
        said[i], said[j] = said[j], said[i]
    elif kind == "letter":
        place = rng.randrange(len(said))
        letters = [*said[place]] or [""]
        letters[rng.randrange(len(letters))] = rng.choice(string.printable + "éß░")
        said[place] = "".join(letters)
    return [word.replace("\0", "") for word in said]


def line(said):
    if said[:1] == ["demo"]:  # it would serve for ever
        said = ["sample"]
    return Case(f"nanoparadigm {said!r}", lambda: cli.main(said), lambda out: lie(said, out))


def lie(said, out):
    """What is false in the answer of a command that was content."""
    strange = re.search(r"(?<![\w.])(nan|NaN|None|inf)(?![\w.])", out)
    if strange and strange[0] not in said:
        return f"it says {strange[0]}: {out[-500:]!r}"
    for run in Path("runs").glob("*"):
        if (run / "run.json").exists():
            for which in "best", "last":
                model = checkpoint.load(run, which).model
                if not all(p.isfinite().all() for p in model.parameters()):
                    return f"{run} holds weights that are no numbers"
            steps = [record["step"] for record in read_log(run)]
            if steps != sorted({*steps}):
                return f"the log of {run} has the steps {steps}"
    for file in Path().rglob("*.json"):
        if re.search(r"\b(NaN|Infinity)\b", file.read_text(encoding="utf-8")):
            return f"{file} is no JSON"
    return None
