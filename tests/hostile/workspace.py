"""A small place of work: texts, four trained models, shards, a study, and files of the user's."""

import json
import random
from pathlib import Path

SIZES = "--n_layer 1 --n_embd 8 --block_size 16 --batch_size 4"
BRIEF = f"{SIZES} --max_steps 6 --eval_interval 3 --eval_windows 4"
TINY = f"{BRIEF} --n_head 2"
LINES = "the cat sat on the mat\n", "a dog ran to a red hut\n", "the hen hid in the hay\n"
RUNS = {
    "ar": f"--model ar --tokenizer char {TINY}",
    "diffusion": f"--model diffusion --tokenizer char {TINY}",
    "flow": f"--model flow --tokenizer char {TINY}",
    "mamba": f"--model mamba --tokenizer char {BRIEF} --d_state 4",
    "bpe": f"--model ar --tokenizer bpe --bpe_vocab_size 270 {TINY}",
}


def words(line, run):
    """A command of a run, in which {steps} and {draws} stand for flags that not every model has."""
    noisy = run in ("diffusion", "flow")
    steps, draws = ("--sampling_steps 3", "--draws 2") if noisy else ("", "")
    return line.format(run=run, steps=steps, draws=draws).split()


STUDY = """\
dataset = "text.txt"
seeds = [0]
windows = 4
draws = 2
samples = 4
sampling_steps = 2
[sizes]
n_layer = 1
n_head = 2
n_embd = 8
block_size = 16
[settings]
max_steps = 2
batch_size = 4
eval_windows = 2
[judge]
max_steps = 2
"""


def make(folder):
    """Fill an empty folder, by the commands themselves; the current folder must be it."""
    from nanoparadigm.commands import main as cli

    rng = random.Random(0)
    text = "".join(rng.choices(LINES, k=120))
    folder = Path(folder)
    (folder / "text.txt").write_text(text, encoding="utf-8")
    (folder / "novel.md").write_text("a novel of mine", encoding="utf-8")
    documents = [json.dumps({"text": line * 3}) + "\n" for line in text.splitlines()]
    (folder / "documents.jsonl").write_text("".join(documents), encoding="utf-8")
    (folder / "study.toml").write_text(STUDY, encoding="utf-8")
    for name, flags in RUNS.items():
        line = f"train {flags} --dataset text.txt --out runs/{name}"
        assert cli.main(line.split()) == 0
    counts = "--tokens 600 --shard_tokens 300 --validation_tokens 60 --workers 1"
    line = f"prepare fineweb --source documents.jsonl --tokenizer runs/bpe --out shards {counts}"
    assert cli.main(line.split()) == 0
    (folder / "runs/ar/notes.md").write_text("what I think of it", encoding="utf-8")
    (folder / "runs/ar/step-3-keep").mkdir()
    (folder / "runs/ar/step-3-keep/my.txt").write_text("mine", encoding="utf-8")
