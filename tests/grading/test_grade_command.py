"""The command `grade`: what it refuses, what it repeats, and how it is stopped."""

import csv
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest
from helpers import ROOT
from test_grading import SOLVED, STEM, notebook

from nanoparadigm import grading
from nanoparadigm.commands import main as cli
from nanoparadigm.exercises import CHAPTERS, check


@pytest.mark.parametrize(
    "line, said",
    [
        ("", "no notebook is named: give files, or folders with notebooks in them"),
        ("in --csv in/ada.ipynb", "in/ada.ipynb is no .csv file"),
        ("in --totals /dev/sda", "/dev/sda is no .csv file"),
        ("in --csv a.csv --totals a.csv", "--csv and --totals are one file"),
        ("in --jobs 0", "jobs is 0"),
        ("in --seed -1", "seed is -1"),
        ("in --cell 0", "cell is 0.0: give a number above 0"),
        ("in --memory -3", "memory is -3.0: give a number above 0"),
        ("in --notebook nan", "--notebook is not a number"),
    ],
)
def test_what_nothing_can_be_graded_with_is_refused_in_a_sentence(line, said, capsys):
    assert cli.main(["grade", *line.split()]) == 2
    out, err = capsys.readouterr()
    assert said in err and err.count("\n") == 1 and not out


@pytest.mark.parametrize("missing", ["nbformat", "jupyter_client.connect", "zmq"])
def test_what_is_not_installed_is_named(missing, monkeypatch, capsys):
    for name in [name for name in sys.modules if name.startswith("nanoparadigm.grading")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delattr("nanoparadigm.grading")
    monkeypatch.setitem(sys.modules, missing, None)
    assert cli.main(["grade", "in"]) == 2
    said = capsys.readouterr().err
    assert missing in said and "pip install 'nanoparadigm[grade]'" in said


def test_windows_is_refused_in_a_sentence(monkeypatch, capsys):
    monkeypatch.delattr(os, "killpg")
    assert cli.main(["grade", "in"]) == 2
    assert "on Windows, do it in WSL" in capsys.readouterr().err


def stand_in():
    """What stands in the place of `grading.graded`, and a list of what it is asked."""
    asked = []

    def graded(paths, cases, limits, jobs):
        asked.append((paths, cases.seed, limits, jobs))
        for path in paths:
            names = CHAPTERS[STEM].EXERCISES
            verdict = check("corrupt", CHAPTERS[STEM].EXERCISES["corrupt"].reference)
            yield grading.Grade(path, STEM, dict.fromkeys(names) | {"corrupt": verdict})

    return asked, graded


def test_the_flags_reach_what_they_name_and_the_seed_is_told(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    asked, graded = stand_in()
    monkeypatch.setattr(grading, "graded", graded)
    flags = "--answer 1 --cell 2 --notebook 3 --memory 4 --jobs 9999 --csv a.csv --totals b.csv"
    assert cli.main(["grade", "x/ada.ipynb", "y/ada.ipynb", *flags.split()]) == 0
    assert cli.main(["grade", "x/ada.ipynb", "--seed", "7"]) == 0
    (paths, seed, limits, jobs), (_, given, usual, one) = asked
    assert paths == [Path("x/ada.ipynb"), Path("y/ada.ipynb")] and (jobs, one) == (9999, 1)
    assert limits == grading.Limits(1, 2, 3, 4, threads=1) and usual == grading.Limits()
    assert 0 < seed < 2**32 and given == 7
    out = capsys.readouterr().out
    assert f"these cases again: --seed {seed}\n" in out and out.endswith("--seed 7\n")
    assert f"ada has 2 notebooks of {STEM}: x/ada.ipynb, y/ada.ipynb; in the totals" in out
    rows = list(csv.DictReader(Path("a.csv").open(encoding="utf-8", newline="")))
    assert [row["exercise"] for row in rows] == 2 * [*CHAPTERS[STEM].EXERCISES]
    assert [row["points"] for row in rows].count("1") == 2
    assert Path("b.csv").read_text(encoding="utf-8").split() == [f"student,{STEM},total", "ada,1,1"]


def test_other_seeds_draw_other_cases_and_one_seed_the_same(tmp_path):
    """Of an answer that tells its arguments by the hint for a wrong one."""
    telling = "def mine(s, t):\n    return 1000 + t\n\n\ncheck('reveal_probability', mine)"
    nbformat.write(notebook(telling), path := tmp_path / f"ada-{STEM}.ipynb")
    one, again, other = (
        grading.grade(path, grading.Cases(seed), grading.Limits()).remarks()["reveal_probability"]
        for seed in (5, 5, 6)
    )
    assert "you return" in one and one == again != other


@pytest.mark.parametrize("number, status", [(signal.SIGINT, 130), (signal.SIGKILL, -9)])
def test_what_stops_the_command_stops_the_notebooks(number, status, tmp_path):
    mark = f"{2000 + os.getpid()}.{number}"
    cell = f"import subprocess; subprocess.Popen(['sleep', '{mark}'], start_new_session=True)"
    endless = notebook(SOLVED["corrupt"], cell, "while True:\n    pass")
    for name in "ada", "bob", "eve":
        nbformat.write(endless, tmp_path / f"{name}-{STEM}.ipynb")
    command = [sys.executable, "-m", "nanoparadigm", "grade", ".", "--jobs", "2"]
    environment = os.environ | dict(PYTHONPATH=str(ROOT), TQDM_DISABLE="1")
    process = subprocess.Popen(command, cwd=tmp_path, env=environment)
    wait(lambda: running(mark) == 2, 120)
    process.send_signal(number)
    assert process.wait(60) == status
    wait(lambda: running(mark) == 0, 20)


def running(mark):
    """How many processes have this mark as an argument."""
    lines = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            lines.append(path.read_bytes())
        except OSError:
            continue
    return sum(mark.encode() in line.split(b"\0") for line in lines)


def wait(until, seconds):
    """Wait until it is so. Fails if that takes longer."""
    end = time.monotonic() + seconds
    while not until():
        assert time.monotonic() < end
        time.sleep(0.2)


def test_the_tables_hold_what_is_graded_when_the_command_is_killed(monkeypatch, tmp_path):
    asked, graded = stand_in()

    def killed(*given):
        yield from graded([Path("ada.ipynb")], *given[1:])
        raise KeyboardInterrupt

    monkeypatch.setattr(grading, "graded", killed)
    monkeypatch.chdir(tmp_path)
    assert cli.main(["grade", "x", "y", "--csv", "a.csv"]) == 130
    assert len(re.findall("^ada,", Path("a.csv").read_text(), flags=re.M)) == 7
