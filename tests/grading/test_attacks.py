"""What a hostile notebook does costs its own points alone: the command goes on, and is not fooled.

A folder of such notebooks is graded once, by the command in a process of its own; the tests read
what it said. What is no attack on the grader, but copying, is not stopped: see the last test.
"""

import csv
import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest
from helpers import ROOT
from test_grading import NAMES, SOLVED, STEM, answer, notebook

GRADE = """
import sys
from nanoparadigm.commands.main import main

try:
    main(["grade", *sys.argv[1:]])
finally:  # `getrusage` would also count what the process that began this one takes
    print(*(line for line in open("/proc/self/status", "rb") if line.startswith(b"VmHWM")))
"""
MARK = f"{1000 + os.getpid()}.5"
"""how long the processes of ours sleep that a notebook leaves behind, by which they are known"""

IMPORTS = (
    "import base64, pickle, shutil, signal, struct, subprocess, sys, threading\nimport handed_in"
)
LIES = """
def text(data):
    return base64.b64encode(data).decode()

def header(told):
    return text(struct.pack("<Q", len(told)) + told)

class Text:
    def __repr__(self):
        return "__import__('os')._exit(0)"

true = handed_in.reply
lies = {
    "reveal_probability": lambda: text(pickle.dumps(torch.ones(3))),
    "reverse_posterior": Text,
    "bert_shares": lambda: header(
        b'{"said":{"dtype":"F64","shape":[1000000000000],"data_offsets":[0,8000000000000]}}'
    ),
    "cosine_slope": lambda: handed_in.sent(handed_in.save({"said": torch.full((8,), torch.nan)})),
    "own_schedule": lambda: handed_in.sent(handed_in.save({"said": torch.ones(8, dtype=torch.int8),
                                                           "smooth": torch.tensor(True)})),
    "linear_clock": lambda: "x" * (300 * 2**20),  # the last exercise: no reply comes after it
}

def lie(name, *packed):
    return lies[name]() if name in lies else true(name, *packed)

handed_in.reply = lie
"""
NAMES_LIES = [
    'handed_in.names = lambda: handed_in.sent(b"[" * 100_000)',
    "handed_in.names = lambda: 7",
]
STRAYS = f"""
subprocess.Popen(["sleep", "{MARK}"])
subprocess.Popen(["sleep", "{MARK}"], start_new_session=True)
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.execvp("sleep", ["sleep", "{MARK}"])
    os._exit(0)
threading.Thread(target=lambda: [0 for _ in iter(int, 1)]).start()
"""
DEEP = "for _ in range(3000):\n    os.mkdir('d')\n    os.chdir('d')"
BLOCKED = """
signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 64))
while True:
    time.sleep(1)
"""
ATTACKS = {
    "liar": [SOLVED["corrupt"], LIES, *(answer(name, "return 0") for name in NAMES[1:])],
    "namer": [SOLVED["corrupt"], NAMES_LIES[0], SOLVED["cosine_slope"]],
    "number": [SOLVED["corrupt"], NAMES_LIES[1], SOLVED["cosine_slope"]],
    "parricide": [SOLVED["corrupt"], "os.kill(os.getppid(), 9)", "time.sleep(1000)"],
    "jailer": [STRAYS, "os.kill(os.getppid(), signal.SIGSTOP)", SOLVED["corrupt"]],
    "strays": [STRAYS, "os.chdir('/')", SOLVED["corrupt"]],
    "prints": ["for _ in range(8):\n    print('x' * 10**8, flush=True)", SOLVED["corrupt"]],
    "raises": [SOLVED["corrupt"], "raise ValueError('x' * 10**8)", SOLVED["cosine_slope"]],
    "wordy": ["raise ValueError('x' * 10**6)", SOLVED["corrupt"]],
    "deep": [SOLVED["corrupt"], DEEP],
    "eraser": ["shutil.rmtree('.', ignore_errors=True)", SOLVED["corrupt"]],
    "blocked": [STRAYS, SOLVED["corrupt"], BLOCKED, SOLVED["cosine_slope"]],
    "=A1": [SOLVED["corrupt"]],
}


@pytest.fixture(scope="module")
def said(tmp_path_factory):
    """What the command says of all of them, and of an honest one that comes last."""
    folder = tmp_path_factory.mktemp("hostile")
    for name, cells in {**ATTACKS, "zoe": [SOLVED["corrupt"]]}.items():
        made = notebook(IMPORTS, *cells)
        nbformat.write(made, folder / f"{name}-{STEM}.ipynb")
    files = [f"{name}-{STEM}.ipynb" for name in (*ATTACKS, "zoe")]
    limits = "--cell 10 --answer 6 --notebook 60 --memory 4 --jobs 2 --csv table.csv".split()
    command = [sys.executable, "-c", GRADE, *files, *limits]
    environment = os.environ | dict(PYTHONPATH=str(ROOT), TQDM_DISABLE="1")
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=900
    )
    assert "Traceback" not in done.stderr and done.returncode == 1, done.stderr
    with (folder / "table.csv").open(newline="") as table:
        rows = list(csv.DictReader(table))
    return SimpleNamespace(out=done.stdout, rows=rows, files=files)


def of(said, student):
    """Of one student: the exercises that are right, what is said of each, and what went wrong."""
    rows = [row for row in said.rows if row["student"] == student]
    right = [row["exercise"] for row in rows if row["points"] == "1"]
    remarks = {row["exercise"]: row["hint"] for row in rows}
    return right, remarks, remarks.pop("", "")


def test_all_are_graded_in_the_order_given(said):
    assert [*dict.fromkeys(row["file"].lstrip("'") for row in said.rows)] == said.files
    assert of(said, "zoe")[0] == ["corrupt"]


@pytest.mark.parametrize("name", NAMES[1:])
def test_no_forged_reply_is_right_and_each_costs_its_own_exercise_alone(said, name):
    right, remarks, _ = of(said, "liar")
    assert right == ["corrupt"] and "not yet" in remarks[name]


@pytest.mark.parametrize(
    "student", ["namer", "number", "parricide", "jailer", "raises", "deep", "blocked"]
)
def test_what_was_right_before_stays_right_and_the_grader_goes_on(said, student):
    right, _, problem = of(said, student)
    assert right[:1] == ["corrupt"] and "cosine_slope" not in right[:1]
    assert "\n" not in problem and len(problem) < 2000


@pytest.mark.parametrize("student", ["strays", "prints", "eraser", "wordy"])
def test_what_comes_after_is_graded(said, student):
    assert of(said, student)[0] == ["corrupt"]


def test_no_process_is_left_behind(said):
    running = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            running.append(path.read_bytes())
        except OSError:
            continue
    assert running and not any(MARK.encode() in line for line in running)


def test_neither_what_is_printed_nor_what_is_sent_fills_the_memory_of_the_grader(said):
    assert int(re.search(r"VmHWM:\D+(\d+) kB", said.out)[1]) < 700 * 2**10
    assert len(said.out) < 20_000


def test_a_name_is_no_formula(said):
    assert of(said, "'=A1")[0] == ["corrupt"]
