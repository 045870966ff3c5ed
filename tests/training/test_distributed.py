"""Several processes take the steps that one would take, and end and go on together."""

import contextlib
import io
import itertools
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import time
import weakref
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from unittest.mock import patch

import pytest
import torch
from helpers import CELLS, ROOT, TINY, build, perturb_

from nanoparadigm import InputError, corpora, tokenizers, train
from nanoparadigm.commands import main as cli
from nanoparadigm.signals import EXIT_REQUEUE
from nanoparadigm.training import checkpoint, distributed
from nanoparadigm.training import run as training_run
from nanoparadigm.training.log import read_log
from nanoparadigm.training.settings import Settings

processes = multiprocessing.get_context("forkserver")
slow_to_load = ["nanoparadigm.commands.main", "torch._dynamo", "pytest", "yaml"]
processes.set_forkserver_preload(slow_to_load)

LINES = "the cat sat on the mat\n", "a dog ran to a red hut\n", "the hen hid in the hay\n"
ORDER = torch.randint(3, (30,), generator=torch.Generator().manual_seed(0)).tolist()
TEXT = "".join(LINES[i] for i in ORDER)
SETTINGS = Settings(max_steps=12, batch_size=4, eval_interval=5, eval_windows=8, log_interval=1)
cells = pytest.mark.parametrize("name, network", CELLS)


def data(text=TEXT):
    corpus = corpora.Corpus("cats", text[:600], text[600:])
    return corpora.TokenizedCorpus(corpus, tokenizers.build("char", corpus), TINY["block_size"])


def new(name="ar", network=None, dtype=torch.float32, **options):
    """A model none of whose weights is zero, so that all of them have a gradient."""
    model = build(name, data().tokenizer.vocab_size, network=network, **{**TINY, **options})
    return perturb_(model, 0.1).to(dtype)


def after(steps):
    """A `stop` that says yes after so many steps."""
    asked = iter(range(1, steps + 1))
    return lambda: next(asked) == steps


class Together:
    """`work(rank, *arguments)` in several processes that know of each other as torchrun's do."""

    def __init__(self, work, *arguments, world=2):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            place = dict(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(free.getsockname()[1]))
        self.processes, self.pipes = [], []
        for rank in range(world):
            here, there = processes.Pipe(duplex=False)
            told = dict(place, RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE=str(world))
            process = processes.Process(
                target=run, args=(there, told, work, rank, *arguments), daemon=True
            )
            process.start()
            there.close()
            self.processes.append(process)
            self.pipes.append(here)

    def results(self):
        assert all(pipe.poll(120) for pipe in self.pipes), "they wait for one another"
        found = [pipe.recv() for pipe in self.pipes]
        for process in self.processes:
            process.join()
        return found


def run(pipe, told, work, *arguments):
    os.environ.update(told, TQDM_DISABLE="1")
    torch.set_num_threads(1)
    pipe.send(work(*arguments))


def together(work, *arguments, world=2):
    """What `work` returned in each process, all of them joined."""
    return Together(joined, work, *arguments, world=world).results()


def joined(rank, work, *arguments):
    with distributed.process_group():
        return work(rank, *arguments)


def losses(records):
    return [record["loss"] for record in records]


# ------------------------------------------------------------------------------------- one step


def sums_and_first(rank):
    large = 2.0**24 + 1 + rank  # more than float32 can tell from its neighbours
    return distributed.all_reduce_sum(large, 0.1), distributed.broadcast(large, rank)


def test_numbers_of_one_process_are_kept_in_full():
    large = 2.0**24 + 1
    assert sums_and_first(0) == ([large, 0.1], [large, 0.0])


def test_numbers_travel_in_full():
    large = 2.0**24 + 1
    for added, first in together(sums_and_first):
        assert added == [2 * large + 1, 0.2] and first == [large, 0.0]


def first_steps(rank, cases, settings):
    """The loss and the gradient of the first step in each case."""
    found = []
    for name, network, dtype in cases:
        gradients = []

        def take(parameters, norm, gradients=gradients):
            gradients.extend(p.grad.flatten().clone() for p in parameters)

        with patch("torch.nn.utils.clip_grad_norm_", take):
            (record,) = train(new(name, network, dtype), data(), settings)
        found.append((record["loss"], torch.cat(gradients).numpy()))
    return found


ACCURACY = {torch.float64: 1e-9, torch.float32: 1e-6}
CASES = [(*cell, dtype) for cell in CELLS for dtype in ACCURACY]


@pytest.fixture(scope="module")
def shared_steps():
    settings = replace(SETTINGS, max_steps=1, grad_accumulation=2)
    first, second = together(first_steps, CASES, settings)
    return dict(zip(CASES, zip(first, second, strict=True), strict=True))


@cells
@pytest.mark.parametrize("dtype", ACCURACY, ids=str)
def test_two_processes_have_the_gradient_of_one(name, network, dtype, shared_steps):
    """And of the whole batch at once, as the paradigm itself gives it."""
    model, g = new(name, network, dtype), torch.Generator().manual_seed(SETTINGS.seed)
    x = next(corpora.WindowBatches(data().train, 8, TINY["block_size"], g))
    loss = model.loss(x, torch.Generator().manual_seed(SETTINGS.seed + 1))
    loss.backward()
    gradient = torch.cat([p.grad.flatten() for p in model.parameters()])
    assert gradient.abs().max() > 0.01
    for shared_loss, shared in shared_steps[name, network, dtype]:
        assert shared_loss == pytest.approx(loss.item(), abs=ACCURACY[dtype])
        error = (torch.from_numpy(shared) - gradient).abs().max()
        assert error <= ACCURACY[dtype], error


def read_by(rank, settings):
    """The windows of each part of a step that a process reads, as lists of tokens."""
    model, parts = new(), []
    terms = model.loss_terms
    model.loss_terms = lambda x: parts.append(x.tolist()) or terms(x)
    list(train(model, data(), settings))
    return parts[1:]  # the first is the rehearsal


@pytest.mark.parametrize("world", [2, 4])
def test_every_window_is_read_once_by_one_of_the_processes(world):
    settings = replace(SETTINGS, max_steps=3, grad_accumulation=2)
    shares = together(read_by, settings, world=world)
    g = torch.Generator().manual_seed(SETTINGS.seed)
    batches = corpora.WindowBatches(data().train, 8, TINY["block_size"], g)
    for step in range(3):
        parts = [part for share in shares for part in share[2 * step : 2 * step + 2]]
        assert {len(part) for part in parts} == {4 // world}
        assert sorted(sum(parts, [])) == sorted(next(batches).tolist())


def dropped_by(rank):
    """What a process's own rows pay in each step, where all rows are the same."""
    paid, add = [], distributed.all_reduce_sum

    def listen(*numbers):
        paid.append(numbers[0])
        return add(*numbers)

    with patch.object(distributed, "all_reduce_sum", listen):
        list(train(new(dropout=0.5), data("a" * 700), replace(SETTINGS, max_steps=3)))
    return paid


def test_every_process_drops_its_own():
    one, other = together(dropped_by)
    assert all(a != b for a, b in zip(one[:3], other[:3], strict=True))


# --------------------------------------------------------------------------------- a whole run


def trained(rank, options, settings, folder=None, resume=False, stop=None):
    """The records of a run. stop: which process asks to stop, and after which step."""
    asks = after(stop[1]) if stop and stop[0] == rank else lambda: False
    return list(train(new(**options), data(), settings, folder, resume, asks))


@pytest.mark.parametrize("name", ["ar", "diffusion", "flow"])
def test_a_run_of_two_processes_has_the_losses_of_one(name):
    options, numbers = dict(name=name, dtype=torch.float64), {"loss", "val", "val_se"}
    expected = trained(0, options, SETTINGS)
    for records in together(trained, options, SETTINGS):
        assert [r["step"] for r in records] == list(range(1, 13))
        for record, single in zip(records, expected, strict=True):
            assert record.keys() == single.keys()
            for key in record.keys() & numbers:
                assert record[key] == pytest.approx(single[key], abs=1e-9)


@pytest.mark.parametrize("world", [2, 3])
@pytest.mark.parametrize("name, dropout", [("ar", 0.2), ("diffusion", 0.0), ("flow", 0.0)])
def test_a_resumed_run_of_some_processes_repeats_the_rest_bit_for_bit(
    name, dropout, world, tmp_path
):
    options, settings = dict(name=name, dropout=dropout), replace(SETTINGS, batch_size=6)
    runs = str(tmp_path / "straight"), str(tmp_path / "cut")
    straight = together(trained, options, settings, runs[0], world=world)
    cut = together(trained, options, settings, runs[1], False, (1, 7), world=world)
    rest = together(trained, options, settings, runs[1], True, world=world)
    for expected, begun, ended in zip(straight, cut, rest, strict=True):
        assert len(begun) == 7
        assert losses(begun + ended) == losses(straight[0]) == losses(expected)
    logs = [[{**r, "seconds": 0} for r in read_log(run)] for run in runs]
    assert logs[0] == logs[1] and len(logs[0]) == 12
    weights = [[*checkpoint.load(run, "last").model.parameters()] for run in runs]
    assert all(torch.equal(p, q) for p, q in zip(*weights, strict=True))


def test_a_run_goes_on_with_another_number_of_processes(tmp_path):
    expected = losses(trained(0, {}, SETTINGS))
    begun = together(trained, {}, SETTINGS, str(tmp_path), False, (0, 4))[0]
    onward = together(trained, {}, SETTINGS, str(tmp_path), True, (3, 4), world=4)[0]
    ended = trained(0, {}, SETTINGS, tmp_path, True)
    assert losses(begun + onward + ended) == pytest.approx(expected, rel=1e-5)


def in_folders_of_their_own(rank, folder):
    evaluated = []
    model, folder = new(), Path(folder, str(rank))
    bound = model.nll_bound
    model.nll_bound = lambda *args, **options: evaluated.append(1) or bound(*args, **options)
    records = list(train(model, data(), SETTINGS, folder))
    return [{**r, "seconds": 0} for r in records], len(evaluated) > 0


def test_only_the_first_process_writes_and_evaluates_and_all_tell_the_same(tmp_path):
    (first, evaluates), (second, evaluates_too) = together(in_folders_of_their_own, str(tmp_path))
    assert evaluates and not evaluates_too
    assert first == second == [{**r, "seconds": 0} for r in read_log(tmp_path / "0")]
    assert [r["step"] for r in first if "val" in r] == [5, 10, 12]
    assert [p.name for p in tmp_path.iterdir()] == ["0"]


# ------------------------------------------------------------------------------- what is refused


def refused(rank, settings, folder=None, resume=(False, False)):
    try:
        list(train(new(), data(), settings, folder and Path(folder, str(rank)), resume[rank]))
    except InputError as error:
        return str(error)


def test_rows_that_cannot_be_shared_evenly_are_refused():
    for said in together(refused, replace(SETTINGS, batch_size=5)):
        assert said == ("batch_size 5 cannot be shared evenly by 2 processes: give a multiple of 2")


def diverges(rank, folder, at):
    """What a process says when the first alone finds a weight that is nan after step `at`."""
    look, steps = training_run.largest_weight, itertools.count(1)

    def largest(model):
        return float("nan") if next(steps) == at and rank == 0 else look(model)

    try:
        with patch.object(training_run, "largest_weight", largest):
            list(train(new(), data(), replace(SETTINGS, eval_interval=1), Path(folder)))
    except InputError as error:
        return str(error)


def test_a_divergence_is_told_by_all_processes_before_anything_is_saved(tmp_path):
    for said in together(diverges, str(tmp_path), 2):
        assert said.startswith("the training diverged, its largest weight is nan at step 2: start")
    assert checkpoint.read_pointer(tmp_path) == dict(last="step-1", best="step-1")


def test_processes_that_do_not_see_one_folder_do_not_go_on(tmp_path):
    trained(0, {}, SETTINGS, tmp_path / "0", stop=(0, 2))
    both = Together(lonely, str(tmp_path))
    first, second = both.results()
    assert first == "ConnectionError: another process of this training has ended"
    assert second.startswith("InputError: another process goes on from another step than 0")


def lonely(rank, folder):
    try:
        with distributed.process_group():
            list(train(new(), data(), SETTINGS, Path(folder, str(rank)), rank == 0))
    except (InputError, OSError) as error:
        return f"{type(error).__name__}: {error}"


def test_half_of_an_environment_is_refused(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "0")
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    with pytest.raises(InputError, match="2 processes, but LOCAL_RANK is not set: start them with"):
        with distributed.process_group():
            pass


def test_a_process_without_a_gpu_of_its_own_is_refused(monkeypatch):
    for name, value in dict.fromkeys(distributed.TOLD, "1").items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(InputError, match="has 1 GPUs, one for each process: --nproc_per_node 1"):
        with distributed.process_group("cuda"):
            pass


@pytest.mark.parametrize("line", ["compare", "evaluate", "diff ar flow", "sample --checkpoint x"])
def test_a_command_for_one_process_is_refused(line, monkeypatch, capsys):
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert cli.main(line.split()) == 2
    said = f"nanoparadigm: {line.split()[0]} runs in one process: start it without torchrun"
    assert capsys.readouterr().err == f"{said}\n"


# ------------------------------------------------------------------------------- the command line

LINE = (
    "train --dataset text.txt --out run --n_layer 1 --n_head 2 --n_embd 16 --block_size 16 "
    "--batch_size 4 --eval_windows 4 --log_interval 1 --eval_interval 5 --resume"
).split()


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("text.txt").write_text(TEXT)
    return tmp_path


def command(rank, home, line):
    """Exit status, output and complaints of a command in one of the processes."""
    os.chdir(home)
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            status = cli.main(line)
        except SystemExit as done:
            status = done.code
    return status, out.getvalue(), err.getvalue()


def begun(home, steps=3):
    """Two processes in the middle of a long run."""
    both = Together(command, str(home), [*LINE, "--max_steps", "100000"])
    while len(read_log("run")) < steps:
        time.sleep(0.01)
    return both


@pytest.mark.parametrize("name, rank", [("SIGTERM", 1), ("SIGUSR1", 0)])
def test_a_signal_to_one_process_stops_all_and_one_command_goes_on(name, rank, home):
    both = begun(home)
    os.kill(both.processes[rank].pid, getattr(signal, name))
    (status, out, err), *others = both.results()
    assert (status, err) == (EXIT_REQUEUE, "") and others == [(EXIT_REQUEUE, "", "")]
    assert out.endswith("stopped and saved; continue with: nanoparadigm train --out run --resume\n")
    done = len(read_log("run"))
    assert checkpoint.load("run", "last").config["step"] == done

    again = Together(command, str(home), [*LINE, "--max_steps", "100000"])
    while len(read_log("run")) < done + 3:
        time.sleep(0.01)
    os.kill(again.processes[rank].pid, getattr(signal, name))
    assert [status for status, _, _ in again.results()] == [EXIT_REQUEUE] * 2
    steps = [record["step"] for record in read_log("run")]
    assert steps == list(range(1, len(steps) + 1))


def test_a_process_that_is_killed_ends_all_in_one_sentence(home):
    both = begun(home, steps=6)
    both.processes[1].kill()
    assert both.pipes[0].poll(120), "it waits for the other"
    status, _, err = both.pipes[0].recv()
    both.processes[0].join(120)
    assert not both.processes[0].is_alive(), "it said so, and did not end"
    said = "another process of this training has ended; what is saved is intact"
    assert (status, err) == (1, f"nanoparadigm: {said}\n")
    assert checkpoint.load("run", "last").config["step"] % 5 == 0


def left_by_a_failure(rank):
    """Whether what trains was freed before the group of the processes."""
    seen, destroy = [], torch.distributed.destroy_process_group

    def fail():
        terms = distributed.parallel(new(), 2, TINY["block_size"])
        seen.append(weakref.ref(terms))
        raise ValueError

    def listen():
        seen.append(seen[0]() is None)
        destroy()

    with patch.object(torch.distributed, "destroy_process_group", listen):
        with contextlib.suppress(ValueError), distributed.process_group():
            fail()
    return seen[1]


def left_by_a_training_that_fails(rank):
    """The same of a whole training that fails in its second step, while the clock runs."""
    seen, make, destroy = [], distributed.parallel, torch.distributed.destroy_process_group
    model, calls = new(), itertools.count()

    def listen(*arguments):
        terms = make(*arguments)
        seen.append(weakref.ref(terms))
        return terms

    def fail(x):
        if next(calls) == 2:
            raise ValueError
        return type(model).loss_terms(model, x)

    def end():
        seen.append(seen[0]() is None)
        destroy()

    model.loss_terms = fail
    with (
        patch.object(distributed, "parallel", listen),
        patch.object(torch.distributed, "destroy_process_group", end),
    ):
        with contextlib.suppress(ValueError), distributed.process_group():
            list(train(model, data(), SETTINGS))
    return seen[1]


@pytest.mark.parametrize("work", [left_by_a_failure, left_by_a_training_that_fails])
def test_nothing_of_a_failed_training_outlives_the_group(work):
    """What does may end it while it holds Python's lock, and wait for ever: one kill in three."""
    assert Together(work).results() == [True, True]


def waits(rank):
    if rank == 1:
        return "never comes"
    with patch.object(distributed, "PATIENCE", timedelta(seconds=1)):
        try:
            with distributed.process_group():
                pass
        except ConnectionError as error:
            return str(error)


def test_a_process_that_never_comes_is_not_waited_for_for_ever():
    said = "the other processes of this training did not come"
    assert Together(waits).results()[0] == said


def test_torchrun_trains_as_one_process_does(home):
    line = [*LINE, "--max_steps", "6"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TQDM_DISABLE": "1"}
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    torchrun += ["--nproc_per_node", "2", "-m", "nanoparadigm"]
    done = subprocess.run([*torchrun, *line], env=environment, text=True, capture_output=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("saved in run; try it with") == 1
    shared = losses(read_log("run"))
    line[line.index("run")] = "single"
    assert cli.main(line) == 0
    assert shared == pytest.approx(losses(read_log("single")), rel=1e-5)
