"""The commands do what their help says, and answer anything else in one sentence."""

import io
import itertools
import json
import math
import os
import random
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import MISSING, asdict, fields
from functools import partial
from pathlib import Path

import pytest
import torch
from helpers import COMPARED, ROOT
from safetensors.torch import save_file
from tqdm import tqdm

from nanoparadigm import (
    PRESETS,
    __version__,
    atomic,
    build,
    commands,
    corpora,
    evaluate,
    parameters,
)
from nanoparadigm.commands import COMMANDS
from nanoparadigm.commands import main as cli
from nanoparadigm.data import download
from nanoparadigm.show import animation, figures
from nanoparadigm.signals import EXIT_REQUEUE, INTERRUPTED, stop_signals
from nanoparadigm.training import checkpoint
from nanoparadigm.training.log import Log, read_log
from nanoparadigm.training.settings import Settings
from nanoparadigm.training.trainer import train

LINES = "the cat sat on the mat\n", "a dog ran to a red hut\n", "the hen hid in the hay\n"
TEXT = "".join(random.Random(0).choices(LINES, k=40))


def tiny(**changes):
    """The flags of a quick training, some of them changed: no flag is given twice."""
    flags = dict(
        n_layer=1, n_embd=16, block_size=16, batch_size=4, max_steps=6, eval_interval=3,
        eval_windows=4,
    )  # fmt: skip
    return [word for name, value in (flags | changes).items() for word in (f"--{name}", f"{value}")]


TINY = tiny()

presets = pytest.mark.parametrize("name", PRESETS)


class CommandResult:
    """What one command said: its exit status, its output, and its complaints."""

    def __init__(self, line, capsys):
        arguments = shlex.split(line) if isinstance(line, str) else line
        try:
            self.status = cli.main(arguments)
        except SystemExit as done:
            self.status = done.code
        self.out, self.err = capsys.readouterr()


@pytest.fixture
def say(capsys, monkeypatch):
    """Give the command line a line, in this process and without progress bars."""
    capsys.readouterr()
    quiet(monkeypatch)
    return lambda line: CommandResult(line, capsys)


def quiet(patch):
    for module in vars(commands).values():
        if hasattr(module, "progress"):
            patch.setattr(module, "progress", Quiet)


class Quiet:
    """A progress bar that shows nothing."""

    n = 0

    def __init__(self, items, label, **options):
        self.items = items

    def __iter__(self):
        return iter(self.items)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def update(self, *_):
        pass

    def set_postfix_str(self, *_, **__):
        pass


def main(line):
    """For fixtures: the command must succeed."""
    assert cli.main(shlex.split(line)) == 0


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with a text and a run of each model on it, under runs/."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        quiet(patch)
        Path("text.txt").write_text(TEXT)
        for name in PRESETS:
            main(f"train --model {name} --dataset text.txt {shlex.join(TINY)}")
    return home


@pytest.fixture
def home(trained, monkeypatch):
    """The same folder, to be read only."""
    monkeypatch.chdir(trained)
    return trained


@pytest.fixture
def copy(trained, tmp_path, monkeypatch):
    """A copy of it, to be written in."""
    home = shutil.copytree(trained, tmp_path / "home")
    monkeypatch.chdir(home)
    return home


def contents(folder="."):
    return {p: p.read_bytes() for p in Path(folder).rglob("*") if p.is_file()}


def table_rows(out, head="model"):
    """The rows of the first Markdown table, its head and its rule left out: lists of cells."""
    table = out[out.index(f"| {head}") :].split("\n\n")[0].splitlines()[2:]
    return [[c.strip() for c in line.strip("|").split("|")] for line in table if line[:1] == "|"]


# ------------------------------------------------------------------------------ train and sample


SAID = dict(
    text=dict(tokenizer="bpe", bpe_vocab_size=261),
    sizes=dict(
        n_layer=3, n_head=4, n_embd=24, block_size=9, dropout=0.2, mlp="relu2", n_inner=17,
        d_state=5, expand_factor=3, d_conv=3,
    ),
    settings=dict(
        max_steps=123, epochs=1.5, batch_size=7, grad_accumulation=2, muon_lr=0.03,
        muon_momentum=0.8, lr=0.02, warmup=0.1, decay="cosine",
        final_lr=0.3, weight_decay=0.04, grad_clip=0.5,
        eval_interval=31, eval_windows=11, log_interval=13, dtype="bfloat16", compile=True, seed=3,
    ),
)  # fmt: skip
"""A value for every flag of train that has no name, file or device for one, none the usual."""


@pytest.mark.parametrize("network, without", [("hollow", "epochs"), ("hollow_mamba", "max_steps")])
def test_every_flag_of_train_reaches_what_it_names(network, without, tmp_path):
    text, out, fits = tmp_path / "text", str(tmp_path / "run"), []
    text.write_text(TEXT)
    others = ("d_state", "expand_factor") if network == "hollow" else ("n_head",)
    said = {name: value for name, value in SAID["sizes"].items() if name not in others}
    settings = {k: v for k, v in SAID["settings"].items() if k != without}
    flags = dict(dataset=text, **SAID["text"], **said, **settings)
    line = f"train --model block --network {network} --schedule cosine --out {out} --compile "
    line += "--block_length 3 "
    line += " ".join(f"--{name} {value}" for name, value in flags.items() if name != "compile")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(commands.train, "fit", lambda *given: fits.append(given) or True)
        main(line)
    command = commands.shared.flat(cli.parse(shlex.split(line)))
    unsaid = {*"model network schedule block_length out resume overwrite device".split(), without}
    unsaid |= {*others}
    assert {*command} - {*flags} == unsaid
    [(name, model, data, settings, run, resume, *_)] = fits
    assert (name, run, resume) == ("block", out, False)
    assert settings == Settings(**{k: v for k, v in SAID["settings"].items() if k != without})
    assert (data.corpus.train + data.corpus.validation, data.length) == (TEXT, 9)
    assert (data.tokenizer.kind, data.tokenizer.vocab_size) == ("bpe", 261)
    options = dict(network=network, schedule="cosine", block_length=3, seed=3, **said)
    twin = build("block", 261, **options)
    assert model.recipe == twin.recipe and model.recipe["seed"] == 3
    assert {name: model.recipe[name] for name in said} == said
    assert model.schedule.name == "cosine" and model.block_length == 3
    for p, q in zip(model.parameters(), twin.parameters(), strict=True):
        assert torch.equal(p, q)


@presets
def test_training_leaves_a_run_and_says_what_to_do_with_it(name, home, say):
    run = home / "runs" / name
    assert sorted(p.name for p in run.glob("*.json*")) == ["log.jsonl", "run.json"]
    assert [r["step"] for r in read_log(run)] == [3, 6]
    said = say(f"train --model {name} --resume")
    assert said.status == 0
    assert said.out.startswith(f"{name}: ")
    assert said.out.endswith(f"saved in runs/{name}; try it with: {look(name)}\n")
    assert say(look(name).removeprefix("nanoparadigm ")).status == 0


def steps(name, n):
    """The flag for n steps, for a model that writes in steps."""
    return [] if PRESETS[name].paradigm.causal else ["--sampling_steps", str(n)]


def look(name):
    return f"nanoparadigm sample --checkpoint runs/{name}"


@presets
@pytest.mark.parametrize("prompt", ["", "the ", "a hen hid in the"])
def test_a_sample_has_the_length_asked_for_and_begins_with_the_prompt(name, prompt, home, say):
    for length in range(max(len(prompt), 1), 17, 3):
        said = say(["sample", "--checkpoint", f"runs/{name}", "--prompt", prompt]
                   + ["--length", str(length), *steps(name, 4)])  # fmt: skip
        assert said.status == 0, said.err
        assert said.out.startswith(prompt)
        assert len(said.out) == length + 1 and said.out[-1] == "\n"


@presets
def test_the_same_seed_writes_the_same_text(name, home, say):
    sample = shlex.join(["sample", "--checkpoint", f"runs/{name}", *steps(name, 9)])
    texts = [say(f"{sample} --seed {seed}").out for seed in (0, 0, 1, 2)]
    assert len(texts[0]) == 17
    assert texts[0] == texts[1]
    assert len(set(texts)) == 3


@presets
def test_a_text_may_be_longer_than_the_block(name, home, say):
    sample = shlex.join(["sample", "--checkpoint", f"runs/{name}", *steps(name, 9)])
    for flags, length in ("--length 50", 50), ("--blocks 5", 40), ("--blocks 2", 16):
        said = say(f"{sample} {flags}")
        assert (said.status, len(said.out)) == (0, length + 1)
    in_one, in_two = (say(f"{sample} --blocks {n}").out for n in (1, 2))
    assert in_one == say(sample).out
    assert (in_one == in_two) == (name in ("ar", "mamba", "mamba2"))


@presets
def test_the_flags_of_sample_have_their_effect(name, home, say):
    def sample(flags="", n=9):
        said = say(f"sample --checkpoint runs/{name} {shlex.join(steps(name, n))} {flags}")
        assert said.status == 0, said.err
        return said.out

    texts = sample("--n 3").removesuffix("\n").split("\n---\n")
    assert [len(text) for text in texts] == [16] * 3 and len(set(texts)) == 3
    assert sample("--top_k 3") != sample() != sample("--temperature 0.1")
    assert sample("--top_p 0.2") != sample()
    if name == "ar":
        greedy = {sample(f"--seed {seed} --temperature 0") for seed in (0, 1)}
        assert greedy == {sample("--top_k 1")} == {sample("--top_p 0.0001")}
    if name in ("diffusion", "flow"):
        assert sample(n=3) != sample()
    if name == "flow":
        euler = "--sampler euler"
        flags = ["", euler, f"{euler} --eta 2", "--corrections 3"]
        assert len({sample(flag) for flag in flags}) == 4
    if name == "diffusion":
        order = "--sampler confidence"
        flags = ["", order, f"{order} --unmasking cosine", f"{order} --threshold 0.2", "--eta 2"]
        assert len({sample(flag) for flag in flags}) == 5


@pytest.mark.parametrize("command", ["infill", "sample --infill"])
@presets
def test_infilling_keeps_both_sides_and_fills_exactly_the_gap(command, name, home, say):
    for prefix, n, suffix in ("the ca", 4, " sat"), ("", 3, "n\nthe"), ("a\n", 1, ""), ("", 16, ""):
        flags = ["--prefix", prefix, "--suffix", suffix, "--fill_length", str(n), "--n", "2"]
        flags += steps(name, 5)
        said = say([*command.split(), "--checkpoint", f"runs/{name}", *flags])
        assert said.status == 0, said.err
        texts = said.out.removesuffix("\n").split("\n---\n")
        assert len(texts) == 2
        for text in texts:
            assert text.startswith(prefix) and text.endswith(suffix)
            assert len(text) == len(prefix) + n + len(suffix)
        blind = name in ("ar", "mamba", "mamba2") and suffix
        assert bool(blind) == ("cannot see the text after a gap" in said.err) == bool(said.err)


@pytest.mark.parametrize("name", ["ar", "mamba", "mamba2"])
def test_a_model_that_sees_no_suffix_says_among_how_many_candidates_it_chose(name, home, say):
    infill = f"infill --checkpoint runs/{name} --prefix the --suffix mat --fill_length 5"
    few, usual = (say(f"{infill} {flag}") for flag in ("--candidates 2", ""))
    assert few.status == usual.status == 0 and few.out != usual.out
    for said, n in (few, 2), (usual, 64):
        assert re.fullmatch(rf"runs/{name} cannot [^\n.]* among {n} candidates [^\n.]*\n", said.err)


@pytest.mark.parametrize("kind", ["bpe --bpe_vocab_size 280", "word"])
def test_other_tokenizers_train_write_and_resume(kind, copy, say):
    flags = f"--dataset text.txt --tokenizer {kind}"
    assert say(["train", "--out", "other", *shlex.split(flags), *TINY]).status == 0
    said = say("sample --checkpoint other --prompt 'the cat' --length 8 --n 3")
    assert said.status == 0
    assert all(text.startswith("the cat") for text in said.out.split("\n---\n"))
    assert say(f"train --out other --resume --max_steps 7 {flags}").status == 0
    assert checkpoint.load("other", "last").config["step"] == 7


def test_bidirectional_mamba_is_a_legal_cell(copy, say):
    mixed = "train --model diffusion --network mamba --schedule cosine --out mixed"
    assert say([*mixed.split(), "--dataset", "text.txt", *TINY]).status == 0
    recipe = checkpoint.load("mixed").config["recipe"]
    assert (recipe["network"], recipe["schedule"]) == ("mamba", "cosine")
    assert len(say("infill --checkpoint mixed --suffix 'a' --fill_length 15").out) == 17


def test_an_earlier_run_is_kept_unless_told_otherwise(copy, say):
    again = ["train", "--dataset", "text.txt", *TINY]
    first = contents("runs/ar")
    said = say(again)
    assert said.out.startswith("the earlier runs/ar is kept as runs/ar.1\n")
    assert [*contents("runs/ar.1").values()] == [*first.values()]
    assert say(again).out.startswith("the earlier runs/ar is kept as runs/ar.2\n")
    Path("runs/ar/thesis.txt").write_text("mine")
    said = say([*again[:3], *tiny(max_steps=7), "--overwrite"])
    assert said.status == 0 and "kept" not in said.out
    assert checkpoint.load("runs/ar", "last").config["step"] == 7
    assert Path("runs/ar/thesis.txt").read_text() == "mine"
    assert sorted(p.name for p in Path("runs").glob("ar*")) == ["ar", "ar.1", "ar.2"]


@pytest.mark.parametrize("flag", ["--no_resume", "--overwrite", "--resume"])
def test_a_run_that_is_being_written_is_left_alone(flag, copy, say):
    before = contents()
    with atomic.sole_writer("runs/ar"):
        said = say(["train", flag, "--dataset", "text.txt", *TINY])
    assert said.status == 2 and "another process is writing to runs/ar" in said.err
    assert contents() == before


def test_a_run_in_the_folder_one_stands_in(copy, say):
    here = ["train", "--out", ".", "--dataset", "text.txt", *TINY]
    before = contents()
    assert say(here).status == 0
    assert say(here).status == 2
    assert say([*here, "--overwrite"]).status == 0
    assert before.items() <= contents().items()


def test_the_bar_shows_the_loss_and_the_bound(copy, capsys, monkeypatch):
    monkeypatch.setattr(
        commands.shared, "tqdm", partial(tqdm, disable=False)
    )  # TQDM_DISABLE may be set
    said = CommandResult(["train", "--model", "flow", "--dataset", "text.txt", *TINY], capsys)
    assert re.search(r"flow: 100%.* 6/6 .*loss \d+\.\d+, val <= \d+\.\d+ ± \d", said.err)


# -------------------------------------------------------------------------------------- visualize


def race_of(*names, flags=""):
    runs = " ".join(f"runs/{name}" for name in names)
    in_steps = "--sampling_steps 9" if {"diffusion", "flow"} & {*names} else ""
    return f"visualize {in_steps} --checkpoint {runs} {flags}"


def test_without_a_terminal_a_race_is_a_few_stills_in_plain_text(home, say, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")  # as many build servers do
    said = say(race_of(*PRESETS, flags="--prompt the"))
    assert (said.status, said.err) == (0, "")
    assert "\x1b" not in said.out
    clocks = [int(n) for n in re.findall(r"^network calls: (\d+)$", said.out, re.MULTILINE)]
    assert clocks == sorted(set(clocks)) and len(clocks) <= 6
    assert (clocks[0], clocks[-1]) == (0, 13)
    last = said.out.split("network calls: 13")[1]
    stills, summary = last.split("░ masked")
    for name in PRESETS:
        written = ["sample", "--checkpoint", f"runs/{name}", *steps(name, 9), "--prompt", "the"]
        text = say(written).out
        shown = text.removesuffix("\n").replace("\n", "↵\n    ")
        assert f"  {name}, finished: " in stills and shown in stills
        calls = re.search(rf"^{name}: (\d+) calls?, (\d+) positions?, ", summary, re.MULTILINE)
        reads_all = not PRESETS[name].paradigm.causal
        assert int(calls[2]) == 16 * (int(calls[1]) if reads_all else 1)
    assert "does not cost the same" in summary


def test_a_race_by_seconds_of_texts_in_blocks(home, say):
    said = say(race_of("diffusion", "flow", flags="--clock seconds --blocks 4"))
    assert said.status == 0 and said.out.startswith("seconds: 0.") and "·" in said.out
    texts = said.out.split("finished: ")[-1].split("░")[0].splitlines()[1:]
    assert sum(len(line.removesuffix("↵")) - 4 + line.endswith("↵") for line in texts if line) == 32


def test_models_of_one_kind_go_by_their_folders(home, say):
    said = say(race_of("ar", "ar/step-6", flags="--seconds 0"))
    assert "\nruns/ar: 16 calls" in said.out and "\nruns/ar/step-6: 16 calls" in said.out


def test_a_race_leaves_a_page_and_a_picture(home, say, tmp_path):
    page, picture = tmp_path / "race.html", tmp_path / "race.gif"
    said = say(race_of("ar", "diffusion", flags=f"--html {page} --gif {picture}"))
    assert said.out.endswith(f"saved in {page}\nsaved in {picture}\n")
    assert "<title>" in page.read_text() and picture.read_bytes().startswith(b"GIF89a")


def at_a_terminal(monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)


def test_at_a_terminal_the_race_moves(home, say, monkeypatch):
    at_a_terminal(monkeypatch)
    said = say(race_of("ar", "flow", flags="--seconds 0.01"))
    assert said.status == 0 and "\x1b[?25l" in said.out
    assert re.search(r"\x1b\[\?25har: 16 calls, 16 positions, [\d.]+ s\nflow: ", said.out)
    stills = say(race_of("ar", "flow", flags="--seconds 0")).out
    assert "\x1b" not in stills and "network calls: 0\n" in stills


def test_ctrl_c_ends_the_show_and_no_more(home, say, monkeypatch, tmp_path):
    at_a_terminal(monkeypatch)
    show = animation.terminal

    def interrupted(*args):
        signal.raise_signal(signal.SIGINT)
        return show(*args)

    monkeypatch.setattr(animation, "terminal", interrupted)
    said = say(race_of("ar", flags=f"--seconds 60 --html {tmp_path}/race.html"))
    assert (said.status, said.err) == (0, "")
    assert "\x1b[?25h" in said.out and said.out.endswith(f"saved in {tmp_path}/race.html\n")


@pytest.mark.parametrize("flag", ["html", "gif"])
def test_where_nothing_can_be_saved_nothing_is_run(flag, home, say, monkeypatch):
    monkeypatch.setattr(checkpoint, "load", None)
    said = say(race_of("ar", flags=f"--{flag} nowhere/race.{flag}"))
    sentence = f"there is no folder nowhere for nowhere/race.{flag}: make it, or name another"
    assert (said.status, said.err) == (2, f"nanoparadigm: {sentence}\n")


# ------------------------------------------------------------------------- interrupted processes

STEPS = 100_000  # never reached: the learning rate depends on it
LIVE = tiny(log_interval=1, max_steps=STEPS, eval_interval=50)


def losses(run):
    return {record["step"]: record["loss"] for record in read_log(run)}


class Straight:
    """The losses of a run that nothing interrupts, as far as they are asked for."""

    def __init__(self, flags):
        command = cli.parse(["train", *flags])
        data = command.text.load(command.sizes.block_size)
        model = build(command.model, data.tokenizer.vocab_size, **asdict(command.sizes))
        self.records = train(model, data, command.settings)
        self.seen = {}

    def until(self, step):
        while len(self.seen) < step:
            record = next(self.records)
            self.seen[record["step"]] = record["loss"]
        return {s: self.seen[s] for s in range(1, step + 1)}


@pytest.fixture(scope="module")
def straight(trained):
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(trained)
        return Straight(["--dataset", "text.txt", *LIVE])


def start(arguments):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TQDM_DISABLE": "1"}
    command = [sys.executable, "-m", "nanoparadigm", *arguments]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, env=environment, text=True, stdout=pipe, stderr=pipe)


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGUSR1"])
def test_a_signal_saves_and_says_how_to_go_on(name, straight, copy, say, monkeypatch):
    number, cut = getattr(signal, name), f"cut by {name}"
    status = INTERRUPTED if name == "SIGINT" else EXIT_REQUEUE
    process = start(["train", "--out", cut, "--dataset", "text.txt", *LIVE])
    while process.poll() is None and len(losses(cut)) < 3:
        time.sleep(0.01)
    process.send_signal(number)
    out, err = process.communicate()
    assert (process.returncode, err) == (status, "")
    hint = re.fullmatch(r"(?s).*\nstopped and saved; continue with: nanoparadigm (.*)\n", out)
    done = len(losses(cut))
    assert checkpoint.load(cut, "last").config["step"] == done
    assert losses(cut) == straight.until(done)

    write = Log.write

    def stop_later(log, record):
        write(log, record)
        if record["step"] == done + 5:
            signal.raise_signal(number)

    monkeypatch.setattr(Log, "write", stop_later)
    said = say(hint[1])
    assert said.status == status
    assert losses(cut) == straight.until(max(losses(cut)))
    assert max(losses(cut)) in (done + 5, done + 6)


@pytest.mark.parametrize(
    "names, status", [("SIGTERM", 75), ("SIGUSR1", 75), ("SIGINT", 130), ("SIGTERM SIGUSR1", 75)]
)
def test_what_asked_a_training_to_stop_decides_its_status(names, status):
    """The numbers themselves, which a cluster is told; afterwards signals are whose they were."""
    numbers = [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1]
    before = [signal.getsignal(number) for number in numbers]
    with stop_signals() as stop:
        assert not stop()
        for name in names.split():
            signal.raise_signal(getattr(signal, name))
        assert stop() and stop.status == status
    assert [signal.getsignal(number) for number in numbers] == before


def raising(*names):
    """A `fit` in which these signals arrive, and which then ends before its last step."""

    def fit(*args):
        for name in names:
            signal.raise_signal(getattr(signal, name))
        return False

    return fit


def test_a_second_ctrl_c_insists(copy, say, monkeypatch):
    before = contents("runs/ar")
    monkeypatch.setattr(commands.train, "fit", raising("SIGINT", "SIGINT"))
    handler = signal.getsignal(signal.SIGINT)
    said = say("train --resume --max_steps 9")
    assert said.status == INTERRUPTED and "stopped and saved" not in said.out
    assert signal.getsignal(signal.SIGINT) is handler
    assert contents("runs/ar") == before


@pytest.mark.parametrize("names", ["SIGUSR1 SIGTERM", "SIGTERM SIGTERM", "SIGTERM SIGUSR1"])
def test_what_a_cluster_sends_after_its_first_signal_changes_nothing(names, copy, say, monkeypatch):
    monkeypatch.setattr(commands.train, "fit", raising(*names.split()))
    said = say("train --resume --max_steps 9")
    assert said.status == EXIT_REQUEUE and "stopped and saved" in said.out


def test_a_signal_in_the_last_step_asks_for_no_requeue(copy, say, monkeypatch):
    write = Log.write

    def stop_late(log, record):
        write(log, record)
        if record["step"] == 8:
            signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(Log, "write", stop_late)
    said = say("train --resume --max_steps 9 --log_interval 1")
    assert said.status == 0 and "\nsaved in runs/ar; try it with" in said.out
    assert checkpoint.load("runs/ar", "last").config["step"] == 9


def test_one_command_begins_a_run_and_goes_on_with_it(copy, say):
    line = ["train", "--out", "new", "--dataset", "text.txt", "--resume", *TINY]
    Path("new").mkdir()
    (Path("new") / "log.jsonl").write_text('{"step": 1}\n')  # of a run killed before its first save
    assert say(line).status == 0
    assert [record["step"] for record in read_log("new")] == [3, 6]
    before = contents("new")
    assert say(line).status == 0
    assert contents("new") == before
    assert say([*line[: -len(TINY)], *tiny(max_steps=7)]).status == 0
    assert [record["step"] for record in read_log("new")] == [3, 6, 7]


def test_a_resumed_text_may_go_by_either_of_its_names(copy):
    saved = checkpoint.load("runs/ar", "last")
    config = saved.config | dict(corpus="wikitext2")
    config["checksum"] = checkpoint.checksum(config)
    atomic.write_json(saved.folder / "config.json", config)
    assert cli.parse("train --resume --dataset wikitext".split()).resume


KILLER = """
import os, random, signal, sys, time
from nanoparadigm.commands.main import main
from nanoparadigm.training.checkpoint import load, load_training, read_pointer
from torch import optim, zeros

optim.AdamW([zeros(1)])  # loads, for a second, what every child would load again
kills, chance, run = int(sys.argv[1]), random.Random(0), 1
while True:
    child = os.fork()
    if child == 0:
        os._exit(main([*sys.argv[2:], "--out", f"cut/{run}"]))
    if kills:
        time.sleep(chance.uniform(0, 0.6))
        os.kill(child, signal.SIGKILL)
    end = os.waitpid(child, 0)[1]
    for which in read_pointer(f"cut/{run}"):
        load_training(load(f"cut/{run}", which))
    if end == 0:
        run += 1
        if not kills:
            break
    else:
        assert end == signal.SIGKILL, end
        kills -= 1
"""


def test_however_often_a_run_is_killed_one_command_repeats_it(copy):
    """SIGKILL at random moments, saves and the start among them, until the run is done."""
    line = ["train", "--model", "diffusion", "--dataset", "text.txt", "--resume"]
    line += tiny(max_steps=40, eval_interval=2, log_interval=1)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TQDM_DISABLE": "1"}
    command = [sys.executable, "-c", KILLER, "100", *line]
    killer = subprocess.run(command, env=environment, text=True, capture_output=True)
    assert killer.returncode == 0, killer.stderr
    expected = Straight(line[1:]).until(40)
    for run in Path("cut").iterdir():
        assert [record["step"] for record in read_log(run)] == list(range(1, 41))
        assert losses(run) == expected
        assert len([*run.iterdir()]) <= 5


# --------------------------------------------------------------------------- evaluate and compare


def test_evaluate_puts_every_run_on_one_line(home, say):
    said = say("evaluate --draws 2 --sampling_steps 4 --no_baselines")
    assert (said.status, said.err) == (0, "")
    rows = {row[0]: row for row in table_rows(said.out)}
    assert [*rows] == sorted(f"runs/{name}" for name in PRESETS)
    for name in PRESETS:
        exact = name in ("ar", "mamba", "mamba2")
        assert rows[f"runs/{name}"][1].startswith("= " if exact else "<= ")
        assert rows[f"runs/{name}"][-1] == f"{6 * 4 * 16}"


def test_evaluate_does_without_the_checkpoints_that_are_missing(home, say):
    paths = "runs/none runs/ar nowhere/at/all runs/flow/step-6"
    said = say(f"evaluate --checkpoint {paths} --draws 1 --sampling_steps 2")
    assert said.status == 0
    assert [row[0] for row in table_rows(said.out)][:2] == ["runs/ar", "runs/flow/step-6"]
    for line, path in zip(said.err.splitlines(), ("runs/none", "nowhere/at/all"), strict=True):
        assert line.startswith(f"left out: {path} holds no checkpoint: ")


def test_evaluate_writes_the_numbers_it_shows(home, say, tmp_path):
    flags = f"--draws 1 --sampling_steps 2 --json {tmp_path}/numbers.json --no_baselines"
    said = say(f"evaluate --checkpoint runs/ar runs/flow {flags}")
    numbers = json.loads((tmp_path / "numbers.json").read_text())
    for row, shown in zip(numbers, table_rows(said.out), strict=True):
        assert shown[0] == row["name"]
        assert f" {row['bits_per_character']['mean']:.3f} " in shown[1]
    saved = checkpoint.load("runs/ar")
    x = [torch.tensor(saved.tokenizer.encode(TEXT[len(TEXT) * 9 // 10 :]))]
    x = corpora.windows(x[0], 16)
    nats = sum(saved.model.nll_bound(part).sum().item() for part in x)
    bits = nats / math.log(2) / (len(TEXT) - len(TEXT) * 9 // 10)
    assert numbers[0]["bits_per_character"]["mean"] == pytest.approx(bits, rel=1e-5)


def test_evaluate_compares_with_the_first_window_by_window(home, say, tmp_path):
    """Each other row says how much more it has, with an error of its own; a bound minus a bound has
    no sign of its own."""
    flags = f"--draws 2 --sampling_steps 2 --json {tmp_path}/numbers.json"
    said = say(f"evaluate --checkpoint runs/ar runs/mamba runs/flow {flags}")
    numbers = json.loads((tmp_path / "numbers.json").read_text())
    assert "minus runs/ar" in said.out.splitlines()[0]
    first = numbers[0]["bits_per_character"]["mean"]
    assert "difference" not in numbers[0] and not any("windows" in row for row in numbers)
    saved = [checkpoint.load(f"runs/{name}") for name in ("ar", "mamba")]
    data = corpora.TokenizedCorpus(corpora.load("text.txt"), saved[0].tokenizer, 16)
    a, b = (s.model.eval().nll_bound(data.validation[0]).detach() for s in saved)
    bits = evaluate.Estimate.of_text((b - a).double() / 16).se / evaluate.nats_per_bit(data)
    for row, shown in zip(numbers[1:], table_rows(said.out)[1:], strict=True):
        d = row["difference"]
        assert d["mean"] == pytest.approx(row["bits_per_character"]["mean"] - first)
        sign = "=" if row["exact"] else "<="
        assert shown[2] == f"{sign} {d['mean']:+.3f} ± {d['se']:.3f}"
    assert numbers[1]["difference"]["se"] == pytest.approx(bits, rel=1e-4)
    said = say(f"evaluate --checkpoint runs/flow runs/diffusion --no_baselines {flags}")
    assert table_rows(said.out)[1][2][0] in "+-"


def test_evaluate_lets_models_lean_on_counts_in_a_table_of_their_own(home, say, tmp_path):
    flags = f"--draws 2 --sampling_steps 2 --no_baselines --json {tmp_path}/numbers.json"
    runs = "evaluate --checkpoint runs/ar runs/flow runs/diffusion"
    pure, both = say(f"{runs} {flags}"), say(f"{runs} {flags} --counts")
    shown = [[row[:3] for row in table_rows(said.out)] for said in (pure, both)]
    assert both.status == 0 and shown[0] == shown[1][:3]
    rows = json.loads((tmp_path / "numbers.json").read_text())
    counts = r"\([\d,]+ counts\)"
    patterns = [
        rf"runs/ar \+ 5-gram {counts}",
        rf"runs/diffusion \+ 5-grams of both sides {counts}",
        rf"without a network: 5-grams of both sides {counts}",
    ]
    for pattern, row in zip(patterns, rows[3:], strict=True):
        assert re.fullmatch(pattern, row["name"]) and row["name"] in both.out
        assert row["exact"] == ("ar" in row["name"].split()[0])
        assert row["difference"]["other"] == "runs/ar" and "windows" not in row
    assert rows[3]["parameters"] == rows[0]["parameters"] + 5
    assert rows[4]["parameters"] == rows[2]["parameters"] + 10 and rows[5]["parameters"] == 10
    # these models have learned next to nothing
    assert rows[3]["difference"]["mean"] < -0.5
    assert rows[4]["bits_per_character"]["mean"] < rows[2]["bits_per_character"]["mean"] - 0.5


def test_evaluate_goes_on_where_there_is_too_much_to_count(home, say, monkeypatch):
    monkeypatch.setattr("nanoparadigm.studies.counts.MOST_NUMBERS", 10)
    flags = "--draws 1 --sampling_steps 2 --no_baselines --counts"
    said = say(f"evaluate --checkpoint runs/ar runs/flow {flags}")
    assert said.status == 0 and [row[0] for row in table_rows(said.out)] == ["runs/ar", "runs/flow"]
    assert said.err.startswith("left out: runs/ar with counts: ") and "With counts" not in said.out


def test_evaluate_compares_ways_of_writing(home, say, tmp_path):
    for name in ("ar", "diffusion"):
        main(f"train --model {name} --out {tmp_path / name} {shlex.join(tiny(block_size=32))}")
    runs = f"evaluate --checkpoint {tmp_path / 'ar'} {tmp_path / 'diffusion'}"
    said = say(f"{runs} --decoding all --n 5 --sampling_steps 4 --json {tmp_path}/rows.json")
    kinds = {name: PRESETS[name].paradigm.decodings for name in ("ar", "diffusion")}
    names = [f"{tmp_path / name}: {way}" for name, ways in kinds.items() for way in ways]
    assert [row[0] for row in table_rows(said.out, "decoding")] == [*names, "the truth"]
    rows = json.loads((tmp_path / "rows.json").read_text())
    assert rows[0]["calls"] == 32 and 0 < rows[0]["ungrammatical"]["mean"] <= 1
    said = say(f"{runs} --decoding confidence top_p --n 5 --sampling_steps 4")
    names = [f"{tmp_path}/ar: top_p", f"{tmp_path}/diffusion: confidence", "the truth"]
    assert [row[0] for row in table_rows(said.out, "decoding")] == names
    said = say(f"{runs} --decoding confidense")
    assert said.status == 2 and "unknown decoding 'confidense': did you mean" in said.err
    said = say("evaluate --checkpoint runs/ar --decoding all")
    assert said.status == 2 and "runs/ar reads text.txt in char tokens" in said.err


def test_the_help_of_evaluate_names_every_way_of_writing(say):
    said = say("evaluate --help").out
    for preset in PRESETS.values():
        assert all(name in said for name in preset.paradigm.decodings)


def test_evaluate_on_another_text(copy, say):
    Path("more.txt").write_text(TEXT[::-1])
    Path("foreign.txt").write_text("ÄÖÜ" * 200)
    own = table_rows(say("evaluate --checkpoint runs/ar --no_baselines").out)[0][1]
    said = say("evaluate --checkpoint runs/ar runs/mamba --dataset more.txt --no_baselines")
    assert said.status == 0 and table_rows(said.out)[0][1] != own
    flags = shlex.join(TINY)
    main(f"train --out bytes --tokenizer bpe --bpe_vocab_size 257 --dataset text.txt {flags}")
    said = say("evaluate --checkpoint runs/ar bytes --dataset foreign.txt --no_baselines")
    assert said.status == 0 and [row[0] for row in table_rows(said.out)] == ["bytes"]
    assert said.err.startswith("left out: foreign.txt holds 'Ä', 'Ö', 'Ü', ")
    main(f"train --out other --dataset more.txt {flags}")
    said = say("evaluate --checkpoint runs/ar other --no_baselines")
    assert "These were evaluated on different texts" in said.out


@pytest.mark.parametrize("tokenizer", ["char", "bpe"])
def test_the_language_in_other_tokens_is_a_text_like_any_other(
    tokenizer, say, tmp_path, monkeypatch
):
    """Its truth is of words: in other tokens it is asked for nothing, and stands in no table and on
    no figure. Windows that cut its sentences are those of a running text."""
    monkeypatch.chdir(tmp_path)
    flags = f"--dataset language --tokenizer {tokenizer} --n_layer 1 --n_embd 16 --n_head 2"
    flags += " --max_steps 3 --eval_windows 4 --draws 1 --sampling_steps 2 --block_size 48"
    said = say(f"compare --models ar flow {flags}")
    assert said.status == 0, said.err
    names = [row[0] for row in table_rows(said.out)]
    best = ["1-gram", "3-gram", "5-gram", "5-gram, no windows"]
    assert names == ["ar", "flow", "uniform", *best]
    assert "inf" not in said.out and "nan" not in said.out
    said = say(
        "evaluate --checkpoint runs/compare-language/ar runs/compare-language/flow --draws 1"
    )
    assert said.status == 0 and "the truth" not in said.out
    data = corpora.TokenizedCorpus(
        corpora.load("language"), checkpoint.load("runs/compare-language/ar").tokenizer, 48
    )
    assert data.truth is None and not data.aligned
    said = say("evaluate --checkpoint runs/compare-language/flow --decoding all")
    assert said.status == 2 and "measured against a known language" in said.err


def test_a_comparison_takes_in_models_of_the_package(say, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    name = "pretrained/language/ar"
    packaged = {k: checkpoint.pretrained()[k] for k in (name, "pretrained/language/flow")}
    monkeypatch.setattr(checkpoint, "pretrained", lambda: {name: packaged[name]})
    flags = "--n_layer 1 --n_embd 16 --n_head 2 --max_steps 3 --eval_windows 4"
    said = say(f"compare --models ar --pretrained {flags}")
    assert said.status == 0, said.err
    rows = table_rows(said.out)
    assert [row[0] for row in rows][:2] == ["ar", name]
    expected = checkpoint.load(name).config["pretrained"]["bits_per_character"]["mean"]
    assert rows[1][1].startswith(f"= {expected:.3f}") and rows[1][2].startswith("= -")
    results = json.loads(Path("runs/compare-language/results.json").read_text())
    assert results[1]["tokens"] == checkpoint.load(name).config["tokens"]


COMPARE = ["compare", *tiny(n_embd=32), "--dataset", "text.txt"]
COMPARE += ["--draws", "1", "--sampling_steps", "2"]


@pytest.fixture(scope="module")
def compared(trained, tmp_path_factory):
    """A folder with a finished comparison, and the batches each of its models read."""
    home = tmp_path_factory.mktemp("compared")
    batches = []
    serve, fit = corpora.WindowBatches.__next__, commands.shared.fit

    def listen(self):
        batches[-1].append(serve(self).tolist())
        return torch.tensor(batches[-1][-1])

    def begin(*args):
        batches.append([])
        return fit(*args)

    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        patch.setattr(corpora.WindowBatches, "__next__", listen)
        patch.setattr(commands.compare, "fit", begin)
        quiet(patch)
        Path("text.txt").write_text(TEXT)
        assert cli.main(COMPARE) == 0
    return home, batches


def results(folder):
    """results.json without what a clock had a say in, and without the rows that are no models."""
    rows = json.loads((Path(folder) / "results.json").read_text())
    rows = [row for row in rows if "parameters" in row]
    for row in rows:
        del row["speed"]
    return rows


def test_compared_models_are_of_one_size_and_read_the_same(compared):
    home, batches = compared
    rows = results(home / "runs/compare-text")
    assert [row["name"] for row in rows] == COMPARED
    for row in rows:
        assert abs(row["parameters"] / rows[0]["parameters"] - 1) <= 0.02
        assert row["tokens"] == 6 * 4 * 16
        saved = checkpoint.load(home / "runs/compare-text" / row["name"])
        assert parameters(saved.model) == row["parameters"]
    assert len(batches) == 4 and len(batches[0]) == 6
    assert all(read == batches[0] for read in batches)


def test_a_comparison_leaves_a_table_a_figure_and_the_runs(compared):
    folder = compared[0] / "runs/compare-text"
    names = sorted([*COMPARED, "table.md", "figure.png", "results.json"])
    assert sorted(p.name for p in folder.iterdir()) == names
    signs = {row[0]: row[1].split()[0] for row in table_rows((folder / "table.md").read_text())}
    for name in COMPARED:
        assert signs[name] == ("=" if PRESETS[name].paradigm.exact else "<=")
    assert (folder / "figure.png").read_bytes().startswith(b"\x89PNG")


def test_an_interrupted_comparison_ends_the_same(compared, tmp_path, say, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("text.txt").write_text(TEXT)
    write, written = Log.write, []

    def stop_in_the_third(log, record):
        write(log, record)
        written.append(record)
        if len(written) == 5:
            signal.raise_signal(signal.SIGTERM)

    with monkeypatch.context() as patch:
        patch.setattr(Log, "write", stop_in_the_third)
        said = say(COMPARE)
    folder = Path("runs/compare-text")
    assert said.status == EXIT_REQUEUE
    assert said.out.endswith("stopped and saved; add --resume to continue\n")
    assert sorted(p.name for p in folder.iterdir()) == ["ar", "diffusion", "flow"]
    assert say([*COMPARE, "--resume", "--lr", "0.1"]).status == 2
    assert say([*COMPARE, "--resume", "--out", str(folder)]).status == 0
    assert results(folder) == results(compared[0] / folder)

    before = contents(folder)
    assert say([*COMPARE[:-4], "--models", "ar"]).out.startswith(
        f"the earlier {folder} is kept as {folder}.1\n"
    )
    assert [*contents(f"{folder}.1").values()] == [*before.values()]
    (folder / "thesis.txt").write_text("mine")
    assert say([*COMPARE, "--models", "flow", "ar", "--overwrite"]).status == 0
    assert (folder / "thesis.txt").exists()
    assert [row["name"] for row in results(folder)] == ["flow", "ar"]
    assert sorted(p.name for p in Path("runs").iterdir()) == [folder.name, f"{folder.name}.1"]


@pytest.mark.parametrize("windows", ["--eval_windows 1", "--block_size 90"])
def test_a_single_window_has_no_error_and_says_none(windows, say, tmp_path, monkeypatch):
    """On the bar, in the table, and in the figure, which is drawn all the same."""
    monkeypatch.chdir(tmp_path)
    Path("text.txt").write_text(TEXT)
    flags = dict(eval_windows=1) if "eval" in windows else dict(block_size=90)
    assert len(TEXT) // 10 < 180
    shown = []
    monkeypatch.setattr(Quiet, "set_postfix_str", lambda bar, text, **_: shown.append(text))
    said = say(["compare", *tiny(n_embd=32, **flags), "--models", "ar", "--dataset", "text.txt"])
    assert said.status == 0, said.err
    assert re.search(r"loss [\d.]+, val = [\d.]+$", shown[-1])
    assert "nan" not in said.out
    assert Path("runs/compare-text/figure.png").read_bytes().startswith(b"\x89PNG")


def test_a_table_is_told_whatever_becomes_of_the_figure(compared, say, tmp_path, monkeypatch):
    home = shutil.copytree(compared[0], tmp_path / "home")
    monkeypatch.chdir(home)
    folder = Path("runs/compare-text")
    (folder / "figure.png").unlink()
    (folder / "table.md").unlink()
    monkeypatch.setattr(figures, "learning_curves", None)
    said = say([*COMPARE, "--resume"])
    assert said.status == 1 and (folder / "table.md").read_text() in said.out
    assert re.fullmatch(r"nanoparadigm: could not draw [^\n]*figure.png [^\n]*\n", said.err)


@pytest.mark.parametrize("command", ["sample", "infill", "visualize", "evaluate"])
def test_a_network_that_has_diverged_is_refused(command, copy, say):
    saved = checkpoint.load("runs/flow")
    next(saved.model.parameters()).data.view(-1)[0] = math.nan
    checkpoint.save("runs/flow", saved.model, saved.tokenizer, saved.config, {}, best=True)
    said = say(f"{command} --checkpoint runs/flow")
    assert said.status == 2 and "the network's weights are not all finite" in said.err
    assert said.out == "" and re.fullmatch(r"nanoparadigm: [^\n]+\n", said.err)


def test_a_resumed_run_may_be_given_its_length_in_steps_or_in_epochs(copy, say):
    """Whichever it had: the one that is typed counts, and the first line says what it comes to."""
    steps = round(0.7 * (len(TEXT) * 9 // 10) / 64)
    for line in "train --resume --epochs 0.7", "train --resume":
        assert say(line).out.startswith(f"ar: 3,584 parameters, {steps} steps of 64 tokens")
    said = say("train --resume --max_steps 11")
    assert said.out.startswith("ar: 3,584 parameters, 11 steps of 64 tokens")
    assert checkpoint.load("runs/ar", "last").config["settings"]["epochs"] is None


@pytest.mark.parametrize("text", ["--- Act", "-", "--", "-x", "--a b", "-1"])
def test_a_text_may_begin_like_a_flag(text):
    line = ["sample", "--checkpoint", "x"]
    assert cli.parse([*line, f"--prompt={text}", "--n", "2"]).prompt == text
    parsed = cli.parse([*line, "--prompt", text, "--n", "2"])
    assert (parsed.prompt, parsed.n) == (text, 2)


STREAMS = ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"]


@pytest.mark.parametrize("streams", STREAMS)
def test_training_goes_through_without_the_standard_streams(streams, copy):
    line = shlex.join([sys.executable, "-m", "nanoparadigm", "train", "--resume"])
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    shell = f"{line} --max_steps 7 {streams}"
    done = subprocess.run(["sh", "-c", shell], env=environment, capture_output=True, text=True)
    assert done.returncode == 0 and "Traceback" not in done.stderr
    assert checkpoint.load("runs/ar", "last").config["step"] == 7
    for file in Path("runs").rglob("*"):
        held = b"" if file.is_dir() else file.read_bytes()
        assert b" parameters, " not in held and b"it/s" not in held


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no full device here")
@pytest.mark.parametrize("command", ["train --resume --max_steps 7", "--help", "train --help"])
def test_what_cannot_be_written_is_told_in_a_sentence(command, copy):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": ""}
    environment["TQDM_DISABLE"] = "1"
    line = [sys.executable, "-m", "nanoparadigm", *command.split()]
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            line, env=environment, stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.returncode == 1
    assert re.fullmatch(r"nanoparadigm: \[Errno 28\] [^\n]+\n", done.stderr)
    if "train --resume" in command:
        assert checkpoint.load("runs/ar", "last").config["step"] == 7


# -------------------------------------------------------------------------------------- the flags


def example_lines():
    """Every command line in the README, the book and the help, `nanoparadigm` itself left out."""
    pages = [(ROOT / page).read_text() for page in ("README.md", "book/commands.md")]
    docs = [*pages, *(c.__doc__ for c in COMMANDS.values())]
    text = "\n".join(docs).replace("\\\n", " ")
    names = "|".join(COMMANDS)
    return re.findall(rf"^ *nanoparadigm ((?:{names})\b.*)$", text, re.MULTILINE)


@pytest.mark.parametrize("line", dict.fromkeys(example_lines()))
def test_the_examples_in_the_documentation_parse(line, home):
    command = cli.parse(shlex.split(line))
    assert isinstance(command, next(c for name, c in COMMANDS.items() if line.startswith(name)))


USUAL = """
train --model ar --dataset shakespeare --max_steps 2000 --eval_interval 500
train --model mamba --dataset shakespeare --max_steps 2000 --n_embd 64 --d_state 8 --n_layer 2
train --model ar --dataset shakespeare --tokenizer bpe --bpe_vocab_size 500 --max_steps 200
sample --checkpoint runs/ar --prompt "ROMEO:" --length 200
sample --checkpoint runs/diffusion --length 128 --sampling_steps 64
infill --checkpoint runs/diffusion --prefix "To be" --suffix "that is the question" --fill_length 30
evaluate --checkpoint runs/ar runs/diffusion runs/flow runs/mamba
visualize --checkpoint runs/ar runs/diffusion runs/flow runs/mamba
compare --dataset shakespeare --max_steps 500
""".strip().splitlines()


@pytest.fixture(scope="module")
def globe(tmp_path_factory):
    """A folder whose runs/ have blocks of 128 characters and know the letters of USUAL."""
    home = tmp_path_factory.mktemp("globe")
    letters = "ROMEO: To be, or not to be, that is the question\n"
    text = letters + "".join(random.Random(0).choices(letters, k=6000))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        quiet(patch)
        Path("globe.txt").write_text(text)
        for name in PRESETS:
            size = "--n_layer 1 --n_embd 8 --batch_size 1 --max_steps 1"
            main(f"train --model {name} --dataset globe.txt {size}")
    return home


@pytest.mark.parametrize("line", USUAL)
def test_the_usual_lines_run(line, globe, say, tmp_path, monkeypatch):
    monkeypatch.chdir(globe)
    small = dict(n_layer=1, n_embd=32, batch_size=2, max_steps=2, eval_windows=2)
    if line.split()[0] in ("train", "compare"):
        words = shlex.split(line)
        assert cli.parse(words)
        given = {name: value for name, value in small.items() if f"--{name}" in words}
        for name, value in given.items():
            words[words.index(f"--{name}") + 1] = str(value)
        rest = [f"--{name} {value}" for name, value in small.items() if name not in given]
        line = shlex.join(words) + f" --out {tmp_path} {' '.join(rest)}"
        assert cli.parse(shlex.split(line)).text.dataset == "shakespeare"
        if "compare" in line:  # which evaluates on the whole of the validation split
            line = line.replace("shakespeare", "globe.txt") + " --draws 1"
    if "shakespeare" in line and not download.folder_with(["tinyshakespeare.txt"]):
        line = line.replace("shakespeare", "globe.txt")
    if "evaluate" in line:
        line += " --draws 1 --sampling_steps 4"
    said = say(line)
    assert said.status == 0, said.err
    if "ROMEO" in line:
        assert said.out.startswith("ROMEO:") and len(said.out) == 201
    if "64" in line and "sample" in line:
        assert len(said.out) == 129
    if "infill" in line:
        assert re.fullmatch(r"(?s)To be.{30}that is the question\n", said.out)


every_flag = pytest.mark.parametrize(
    "name, flag", [(name, flag) for name, c in COMMANDS.items() for flag in cli.flags(c)]
)
BESIDE = {
    ("train", "bpe_vocab_size"): ["--tokenizer", "bpe"],
    ("train", "d_state"): ["--model", "mamba"],
    ("train", "expand_factor"): ["--model", "mamba"],
    ("compare", "bpe_vocab_size"): ["--tokenizer", "bpe"],
    ("evaluate", "n"): ["--decoding", "all"],
    ("infill", "candidates"): ["--suffix", "x"],
    ("study", "cap"): ["--submit"],
    ("study", "sbatch"): ["--submit"],
    ("study", "patience"): ["--status"],
    ("study", "requeue_stalled"): ["--status"],
    **{("sample", f): ["--infill"] for f in ("prefix", "suffix", "fill_length")},
    ("sample", "candidates"): ["--infill", "--suffix", "x"],
    ("visualize", "light"): ["--gif", "x.gif"],
}
"""What a flag goes with, where it does nothing alone."""


@every_flag
def test_every_flag_is_read_with_either_dash(name, flag):
    required = [
        word
        for f in fields(COMMANDS[name])
        if f.default is f.default_factory is MISSING
        for word in (f"--{f.name}", "x")
    ]
    required = ["ar", "flow"] if name == "diff" else required
    words = [*name.split(), *required]
    beside = BESIDE.get((name, flag), [])
    default = commands.shared.flat(quietly(*words, *beside))
    kind = cli.kind(cli.flags(COMMANDS[name])[flag])
    value = {int: "3", float: "0.5", str: "y"}.get(kind, "3")
    for typed in f"--{flag}", f"--{flag.replace('_', '-')}":
        if kind is bool:
            typed = typed if not default[flag] else typed.replace("--", "--no_", 1)
            parsed = commands.shared.flat(quietly(*words, *beside, typed))
        else:
            value = {"dtype": "bfloat16", "decay": "cosine"}.get(flag, value)
            others = words if f"--{flag}" not in words else words[: words.index(f"--{flag}")]
            parsed = commands.shared.flat(quietly(*others, *beside, typed, value))
        assert parsed[flag] != default[flag]
        assert {k: v for k, v in parsed.items() if k != flag} == {
            k: v for k, v in default.items() if k != flag
        }


def quietly(*arguments):
    """`parse`, in which --resume looks for no run."""
    if arguments[0] == "train" and "--resume" in arguments:
        return cli.read(commands.Train, args=arguments[1:], prog="", config=())
    return cli.parse(arguments)


def required(name):
    """What must be given to a command."""
    if name == "diff":
        return ["ar", "flow"]
    needed = [f for f in fields(COMMANDS[name]) if f.default is f.default_factory is MISSING]
    return [word for f in needed for word in (f"--{f.name}", "x")]


@every_flag
def test_no_flag_is_given_twice(name, flag, say):
    """However it is written: nothing that is typed is passed over."""
    kind = cli.kind(cli.flags(COMMANDS[name])[flag])
    rest = [word for word in required(name) if word != f"--{flag}"]
    rest = rest if len(rest) == len(required(name)) else []
    dashed = flag.replace("_", "-")
    forms = [f"--{flag}=3"], [f"--{dashed}", "3"]
    if kind is bool:
        forms = [f"--{flag}"], [f"--no-{dashed}"]
    for one, other in itertools.product(forms, forms):
        said = say([*name.split(), *rest, *one, *other])
        assert said.status == 2 and f"--{flag} is given twice: give it once" in said.err


@every_flag
def test_a_flag_is_not_given_a_value_that_none_of_its_kind_can_have(name, flag, say):
    """Numbers that no machine can count up to, texts that are empty, values of a switch."""
    f = cli.flags(COMMANDS[name])[flag]
    kind = cli.kind(f)
    rest = [word for word in required(name) if word != f"--{flag}"]
    rest = rest if len(rest) == len(required(name)) else []
    if kind is bool:
        values = [["=False"], [" False"], ["=True"], [" yes"]]
    elif kind in (str, str | None, tuple[str, ...]):
        values = [] if f.default == "" else [["="]]
    elif kind in (float, float | None):
        values = [["=nan"]]
    else:
        numbers = 2**31 - 1 + (2**63 if "seed" in flag or kind not in (int, int | None) else 1)
        values = [[f"={numbers}"], [f"={-numbers}"], [f"={'9' * 5000}"]]
    for (value,) in values:
        said = say([*name.split(), *rest, *f"--{flag}{value}".split()])
        assert said.status == 2
        assert re.fullmatch(r"nanoparadigm: [^\n]{1,400}\n", said.err), said.err


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_explains_every_flag(name, say):
    said = say(f"{name} --help")
    assert (said.status, said.err) == (0, "")
    assert COMMANDS[name].__doc__.splitlines()[0] in said.out
    for flag, f in cli.flags(COMMANDS[name]).items():
        assert re.search(rf"--{flag}\b", said.out)
        assert f.name == flag


def test_without_a_command_the_commands_are_listed(say):
    for line, status in ("", 2), ("-h", 0), ("--help", 0), ("prepare", 2), ("prepare --help", 0):
        said = say(line)
        assert said.status == status
        assert all(f"\n  {name} " in said.out for name in COMMANDS)


def test_the_module_runs_and_says_its_version():
    process = start(["--version"])
    assert process.communicate() == (f"{__version__}\n", "")
    assert process.returncode == 0


# -------------------------------------------------------------------------------------- bad input

AR, DIFFUSION, FLOW = (f"--checkpoint runs/{name}" for name in ("ar", "diffusion", "flow"))
SMALL = f"--dataset text.txt --out new {' '.join(TINY)}"

MISUSE = [
    # what does not exist is answered with what does
    ("trian", "unknown command 'trian': did you mean 'train'?"),
    ("TRAIN", "unknown command 'TRAIN': did you mean 'train'?"),
    ("train --modle ar", "unknown flag '--modle': did you mean '--model'?"),
    ("sample --max_steps 3", "unknown flag '--max_steps': "),
    (f"train --model mambo {SMALL}", "unknown model 'mambo': did you mean 'mamba'?"),
    (f"train --model gpt {SMALL}", "unknown model 'gpt': choose from ar, diffusion, flow, mamba"),
    (f"train --network transfomer {SMALL}", "did you mean 'transformer'?"),
    ("train --dataset shakespere", "unknown dataset or file 'shakespere': did you mean 'shake"),
    (f"train --model flow --schedule cosin {SMALL}", "did you mean 'cosine'?"),
    (f"train --tokenizer bep {SMALL}", "unknown tokenizer 'bep': did you mean 'bpe'?"),
    (f"train --mlp relu {SMALL}", "unknown mlp 'relu': did you mean 'relu2'?"),
    ("compare --models ar difusion", "did you mean 'diffusion'?"),
    ("diff ar difusion", "did you mean 'diffusion'?"),
    ("diff ar flow --network mambo", "did you mean 'mamba'?"),
    (f"sample {FLOW} --sampler eular", "unknown sampler 'eular': did you mean 'euler'?"),
    # what cannot be parsed
    ("train --n_layer two", "'two'"),
    ("train --lr fast", "'fast'"),
    ("train --max_steps 1.5", "'1.5'"),
    ("train --max_steps", "--max_steps"),
    ("train -model ar", "-model"),
    ("train ar", "ar"),
    ("sample", "--checkpoint"),
    ("sample runs/ar", "--checkpoint"),
    ("train --resume=yes", "--resume takes no value: write --resume or --no_resume"),
    ("diff", "two of ar, diffusion, flow, mamba, mamba2 or block"),
    ("diff ar", "Expected 2 values"),
    ("diff ar diffusion flow", "flow"),
    ("diff --models ar flow", "unknown flag '--models'"),
    ("diff ar flow --network hollow", "choose another --network"),
    # texts
    ("train --dataset empty.txt", "empty.txt is empty: give a file that holds text"),
    ("train --dataset short.txt", "short.txt holds 8 of the 128 tokens that one window needs"),
    ("train --dataset latin.txt", "latin.txt is not UTF-8 text (byte 3 is 0xe9)"),
    ("train --dataset runs", "runs is a directory"),
    ("train --dataset /dev/zero", "/dev/zero is a device, which may have no end"),
    ("train --dataset missing.txt", "unknown dataset or file 'missing.txt'"),
    (f"train --tokenizer bpe --bpe_vocab_size 100 {SMALL}", "ask for 257 or more"),
    ("evaluate --dataset foreign.txt", "no model to evaluate: foreign.txt holds 'Ä', 'Ö', 'Ü', "),
    ("evaluate --dataset missing.txt", "unknown dataset or file"),
    (f"sample {AR} --prompt ÄÖÜ", "this model has never seen 'Ä', 'Ö', 'Ü': leave it out"),
    (f"infill {FLOW} --prefix a --suffix Ü", "this model has never seen 'Ü'"),
    # sizes and settings
    ("train --n_head 3", "n_head 3 does not divide n_embd 128 into even parts"),
    ("train --n_layer 0", "n_layer is 0: give a whole number of 1 or more"),
    ("train --d_state -1 --model mamba", "d_state is -1"),
    ("train --block_size 0", "block_size is 0"),
    ("train --batch_size 0", "batch_size is 0"),
    ("train --max_steps 0", "max_steps is 0: give a whole number of 1 or more"),
    ("train --eval_interval 0", "eval_interval is 0"),
    ("train --epochs 0", "epochs is 0.0: give a number above 0"),
    ("train --lr -1", "lr is -1.0: give a number above 0"),
    ("train --lr nan", "lr is nan: give a number above 0"),
    ("train --lr inf", "lr is inf: give a number above 0"),
    ("train --dropout 1", "dropout is 1.0: give a share from 0 up to 1"),
    ("train --seed 99999999999999999999", "give a whole number from 0 to 2**63 - 1"),
    (f"train --device nonsense {SMALL}", "device 'nonsense' cannot be used here: try --device cpu"),
    (f"train --device meta {SMALL}", "device 'meta' cannot be used here: try --device cpu"),
    (f"train --schedule cosine {SMALL}", "ar has no schedule: drop --schedule"),
    (f"train {SMALL} --muon_lr 1000 --weight_decay 1000", "the training diverged, its "),
    ("compare --models", "--models is given without a value: give one or more, or drop it"),
    ("compare --dataset text.txt --n_embd 2 --n_head 1 --block_size 8", "choose a larger --n_em"),
    # flags that say the same, or nothing
    ("train --epochs 1 --max_steps 5", "--epochs and --max_steps both say how long to train"),
    ("compare --epochs 1 --max_steps 5", "--epochs and --max_steps both say how long to train"),
    ("train --bpe_vocab_size 300", "--bpe_vocab_size works only with --tokenizer bpe"),
    ("train --model mamba --n_head 2", "--n_head works only with heads"),
    ("train --model mamba --mlp relu2", "--mlp works only with an MLP"),
    ("train --model flow --network mamba --n_inner 9", "--n_inner works only with an MLP"),
    ("train --d_state 8", "--d_state works only with --network mamba"),
    ("train --expand_factor 3", "--expand_factor works only with --network mamba"),
    (
        "compare --models ar --pretrained --dataset text.txt --block_size 64",
        "no model that comes with the package reads text.txt in these symbols and windows of 64",
    ),
    ("compare --models ar --no_equal_size", "--equal_size works only with several --models"),
    ("compare --models ar mamba --draws 4", "--draws works only with diffusion, flow or block"),
    ("compare --models ar --sampling_steps 4", "--sampling_steps works only with diffusion"),
    ("compare --models ar --d_state 4", "--d_state works only with --network mamba"),
    ("evaluate --n 5", "--n works only with --decoding"),
    ("evaluate --decoding all --draws 4", "--draws works only without --decoding"),
    ("evaluate --decoding all --eval_windows 4", "--eval_windows works only without --decoding"),
    ("evaluate --decoding all --no_baselines", "--baselines works only without --decoding"),
    (f"evaluate {AR} --draws 4", "--draws works only with diffusion, flow or block"),
    (f"evaluate {AR} runs/mamba --sampling_steps 4", "--sampling_steps works only with diffusion"),
    (f"sample {AR} --sampling_steps 4", "--sampling_steps works only with diffusion"),
    (f"sample {AR} --blocks 2 --length 9", "works only with diffusion, flow or block, or without"),
    (f"sample {FLOW} --fill_length 9", "--fill_length works only with --infill"),
    (f"infill {AR} --candidates 9", "--candidates works only with --infill and --suffix"),
    (f"visualize {AR} runs/mamba --sampling_steps 4", "--sampling_steps works only with diffusion"),
    ("study --status --report", "--report works only without --status"),
    ("study --trial judge --workers 3", "--workers works only without --trial"),
    ("study --trial judge --submit", "--submit works only without --trial"),
    ("study --cap 3", "--cap works only with --submit"),
    ("study --sbatch=--time=9", "--sbatch works only with --submit"),
    ("study --patience 3", "--patience works only with --status"),
    ("study --requeue_stalled", "--requeue_stalled works only with --status"),
    ("study --report --seeds 3", "--seeds works only without --report and --status"),
    (f"sample {AR} --prompt --act", "for that text, write --prompt=--act"),
    ("train --lr 1e30", "lr is 1e+30: give a number above 0 and up to 1000"),
    ("train --muon_lr 1e300", "muon_lr is 1e+300: give a number from 0 to 1000"),
    ("train --muon_lr inf", "muon_lr is inf: give a number from 0 to 1000"),
    (f"train {SMALL.replace('--max_steps 6', '--epochs 1e300')}", "steps, give fewer"),
    ("prepare fineweb --tokens 1e30", "1e30 is not a whole number below 2**53"),
    # resuming
    ("train --resume --max_steps 2", "the run in runs/ar has taken 6 steps, and 2 are asked for"),
    ("train --resume --out missing", "missing holds no checkpoint"),
    ("train --resume --out runs/ar/step-6 --dataset text.txt", "is one checkpoint, not a run"),
    ("train --resume --out runs/ar/step-6", "runs/ar/step-6 is one checkpoint"),
    ("train --resume --lr 0.1", "has lr 0.012, which --resume cannot change to 0.1: drop --lr"),
    ("train --resume --n_layer 2", "has n_layer 1, which --resume cannot change to 2"),
    ("train --resume --dataset language", "text.txt, is not here (language holds another text): "),
    ("train --resume --tokenizer bpe", "has tokenizer char, which --resume cannot change to bpe"),
    ("train --resume --model flow --out runs/ar", "has model ar, which --resume cannot change"),
    ("train --resume --overwrite", "drop one of them"),
    ("compare --resume --overwrite", "drop one of them"),
    # checkpoints
    ("sample --checkpoint missing", "missing holds no checkpoint"),
    ("sample --checkpoint runs", "runs holds no checkpoint: there are runs/ar, runs/block"),
    ("sample --checkpoint text.txt", "text.txt holds no checkpoint"),
    ("sample --checkpoint truncated", "truncated/step-6 is damaged or not a checkpoint"),
    ("sample --checkpoint foreign", "foreign is damaged or not a checkpoint"),
    ("train --resume --out truncated", "is damaged or not a checkpoint"),
    ("evaluate --checkpoint missing truncated", "no model to evaluate: missing holds no ch"),
    # sampling
    (f"sample {FLOW} --length 0", "nothing to generate: ask for a length and"),
    (f"sample {AR} --length -3", "length -3 is shorter than the prompt"),
    (f"sample {AR} --prompt the --length 2", "length 2 is shorter than the prompt (3 tokens)"),
    (f"sample {FLOW} --blocks 0", "blocks is 0: give a whole number of 1 or more"),
    (f"sample {AR} --temperature -1", "temperature is -1.0: give 0"),
    (f"sample {AR} --temperature nan", "--temperature is not a number: give one"),
    (f"sample {AR} --top_k 0", "top_k is 0: give 1 or more"),
    (f"sample {AR} --top_p 2", "top_p is 2.0: give a share above 0 and up to 1"),
    (f"sample {AR} --n 0", "n is 0: give a whole number of 1 or more"),
    (f"sample {FLOW} --sampling_steps 0", "sampling_steps is 0"),
    (f"sample {AR} --seed -1", "seed is -1: give a whole number from 0"),
    (f"sample {DIFFUSION} --eta 1 --sampler confidence", "choose that, or drop --eta"),
    (f"sample {AR} --eta 1", "no sampler of this model has the option --eta: drop it"),
    (f"sample {AR} --sampler ancestral", "unknown sampler 'ancestral': choose from left_to_right"),
    (f"sample {FLOW} --eta 1", "--eta belongs to --sampler euler, not ancestral"),
    (f"sample {FLOW} --sampler euler --eta -1", "eta is -1.0: give 0 (no extra jumps) or more"),
    (f"sample {FLOW} --unmasking cosine", "no sampler of this model has the option --unmasking"),
    (f"sample {DIFFUSION} --unmasking cosine", "to --sampler random_order or left"),
    (f"sample {DIFFUSION} --sampler confidence --unmasking cosin", "did you mean 'cosine'?"),
    (f"sample {DIFFUSION} --threshold 0.9", "to --sampler confidence, not ancestral"),
    (f"sample {DIFFUSION} --sampler confidence --threshold 2", "threshold is 2.0: give a prob"),
    (f"sample {AR} --threshold 0.9", "has the option --threshold: drop it"),
    (f"sample {DIFFUSION} --corrections 1", "has the option --corrections"),
    (f"sample {FLOW} --corrections -1", "corrections is -1: give 0 (none) or more"),
    (f"sample {AR} --candidates 9", "--candidates works only with --infill"),
    (f"sample {FLOW} --prefix a", "--prefix works only with --infill"),
    (f"sample {FLOW} --infill --prompt a", "--prompt works only without --infill"),
    # infilling
    (f"infill {AR} --suffix mat --candidates 0", "candidates is 0: give a whole number of 1"),
    (f"infill {FLOW} --suffix mat --candidates 9", "a model of kind flow takes no candidates"),
    (f"infill {AR} --suffix mat --sampler euler", "sampler 'euler': choose from left_to_right"),
    (f"infill {DIFFUSION} --fill_length 0", "fill_length is 0: give a whole number of 1 or more"),
    # watching
    ("visualize", "--checkpoint"),
    ("visualize --checkpoint", "--checkpoint is given without a value: give one or more"),
    ("visualize --checkpoint runs/ar missing", "missing holds no checkpoint"),
    (f"visualize {AR} --clock call", "unknown clock 'call': did you mean 'calls'?"),
    (f"visualize {AR} --seconds -1", "seconds is -1.0: give 0 (stills) or more"),
    (f"visualize {AR} --seconds inf", "seconds is inf: give 0 (stills) or more"),
    (f"visualize {AR} --html runs", "--html runs is no .html file: give a name that ends so"),
    (f"visualize {AR} --gif race.png", "--gif race.png is no .gif file: give a name"),
    (f"evaluate {AR} --json .", "--json . is no .json file: give a name that ends so"),
    (f"evaluate {AR} --json text.txt", "--json text.txt is no .json file: give a name"),
    (f"evaluate {AR} --json runs/ar/run.json", "holds something else than rows: give --json"),
    ("evaluate --checkpoint --draws 2", "--checkpoint is given without a value: give one or more"),
    ("prepare fineweb --out new --tokens 9 --source", "--source is given without a value"),
    (f"visualize {AR} --html new/race.html", "there is no folder new for new/race.html"),
    (f"visualize {AR} --prompt Ü", "this model has never seen 'Ü'"),
    (f"visualize {AR} --prompt the --length 2", "length 2 is shorter than the prompt"),
    (f"visualize {AR} runs/flow --sampler euler", "sampler 'euler': choose from left_to_right"),
    (f"visualize {FLOW} --sampling_steps 0", "sampling_steps is 0"),
    (f"visualize {AR} --seed -1", "seed is -1"),
    # evaluating
    ("evaluate --draws 0", "draws is 0: give a whole number of 1 or more"),
    ("evaluate --eval_windows 0", "eval_windows is 0"),
    ("evaluate --seed -1", "seed is -1"),
]  # fmt: skip


@pytest.fixture(scope="module")
def traps(trained, tmp_path_factory):
    """A copy of the trained runs, among files that no command can use."""
    home = tmp_path_factory.mktemp("traps") / "home"
    shutil.copytree(trained, home)
    (home / "empty.txt").write_bytes(b"")
    (home / "short.txt").write_text("too short")
    (home / "latin.txt").write_bytes(b"caf\xe9" * 100)
    (home / "foreign.txt").write_text("ÄÖÜ" * 100)
    shutil.copytree(home / "runs/ar", home / "truncated")
    model = home / "truncated/step-6/model.safetensors"
    model.write_bytes(model.read_bytes()[:100])
    (home / "foreign").mkdir()
    (home / "foreign/config.json").write_text('{"model_type": "gpt2"}')
    save_file({"wte": torch.zeros(2)}, home / "foreign/model.safetensors")
    return home


@pytest.mark.parametrize("line, said", MISUSE)
def test_misuse_is_answered_in_a_sentence_and_changes_nothing(line, said, traps, say, monkeypatch):
    monkeypatch.chdir(traps)
    before = contents()
    answer = say(line)
    assert answer.status == 2, answer.out + answer.err
    assert re.fullmatch(r"nanoparadigm: [^\n]+\n", answer.err)
    assert said in answer.err
    assert answer.err.rstrip().endswith(("--help", ")", "'")) or ":" in answer.err[15:]
    assert {p: b for p, b in contents().items() if p.parts[0] != "new"} == before
    shutil.rmtree("new", ignore_errors=True)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_a_gpu_that_is_not_there(traps, say, monkeypatch):
    monkeypatch.chdir(traps)
    for command in "train", "train --overwrite", "compare":
        before = contents()
        said = say(f"{command} --device cuda --dataset text.txt {' '.join(TINY)}")
        assert said.err == "nanoparadigm: device 'cuda' cannot be used here: try --device cpu\n"
        assert (said.status, contents()) == (2, before)


def test_half_a_character_is_refused_in_a_sentence(traps, capsys, monkeypatch):
    monkeypatch.chdir(traps)
    before = contents()
    assert cli.main(["train", "--dataset", "text.txt", "--out", "\ud83d", *TINY]) == 2
    assert capsys.readouterr().err == "nanoparadigm: '\\ud83d' is not text\n"
    assert contents() == before


@pytest.mark.parametrize(
    "line",
    [
        f"train {SMALL}".replace("new", "text.txt"),
        f"train {SMALL}".replace("new", "text.txt/run"),
        f"compare {SMALL} --no_equal_size".replace("new", "text.txt/run"),
        f"evaluate {AR} --json text.txt/numbers.json",
    ],
)
def test_what_the_machine_refuses_is_told_in_one_sentence(line, traps, say, monkeypatch):
    monkeypatch.chdir(traps)
    before = contents()
    said = say(line)
    assert said.status == 1
    assert re.fullmatch(r"nanoparadigm: [^\n]+\n", said.err)
    assert contents() == before


def test_a_run_whose_text_has_changed_is_not_resumed(copy, say):
    Path("text.txt").write_text(TEXT + "\nthe hen")
    said = say("train --resume --max_steps 9")
    assert said.status == 2
    assert "text.txt, is not here (text.txt holds another text): put it back, or" in said.err


def no_compiler(_):
    error = type("InductorError", (RuntimeError,), {"__module__": "torch._inductor.exc"})
    raise error("InvalidCxxCompiler: none found\nSet TORCHDYNAMO_VERBOSE=1 for more")


@pytest.mark.parametrize(
    "refuse, said",
    [
        (lambda _: torch.empty(10**15), "not enough memory: ask for less at a time"),
        (no_compiler, "cannot compile here: drop --compile (InvalidCxxCompiler: none found)"),
    ],
)
def test_what_torch_is_refused_is_told_in_one_sentence(refuse, said, say, monkeypatch):
    monkeypatch.setattr(commands.Sample, "run", refuse)
    answer = say(f"sample {AR}")
    assert (answer.status, answer.err) == (1, f"nanoparadigm: {said}\n")


def test_a_defect_is_not_passed_off_as_bad_input(say, monkeypatch):
    monkeypatch.setattr(commands.Sample, "run", lambda _: torch.ones(2, 3) @ torch.ones(2, 3))
    with pytest.raises(RuntimeError, match="shapes"):
        say(f"sample {AR}")


def test_complaints_are_plain_on_a_terminal_too(say, monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    said = say("train --n_layer two")
    assert said.err.startswith("nanoparadigm: Error parsing --n_layer: ")
    assert said.err.isascii() and said.err.isprintable() == said.err.endswith("x") is False


def test_a_terminal_that_cannot_show_a_character_shows_a_question_mark(home, monkeypatch):
    narrow = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", narrow)
    assert cli.main(f"evaluate {AR} --no_baselines".split()) == 0
    narrow.seek(0)
    assert " ? " in narrow.read()


def test_a_reader_who_leaves_early_is_no_error_of_ours(home):
    read, write = os.pipe()
    os.close(read)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": ""}
    command = [sys.executable, "-m", "nanoparadigm", "sample", *AR.split()]
    done = subprocess.run(command, env=environment, stdout=write, stderr=subprocess.PIPE, text=True)
    os.close(write)
    assert (done.returncode, done.stderr) == (1, "")
