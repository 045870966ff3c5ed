"""The array job of a study, against commands of SLURM that only note what they are told; a real
cluster: `make test-slurm`."""

import json
import os
import shlex
import subprocess
import time
import types
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import pytest

from nanoparadigm import InputError, atomic
from nanoparadigm.commands import main as cli
from nanoparadigm.signals import EXIT_REQUEUE
from nanoparadigm.studies.schedules import slurm as cluster
from nanoparadigm.studies.schedules import study

FLAGS = ["--preset", "tiny", "--out", "there"]


@pytest.fixture
def plan():
    return study.load("tiny")


@pytest.fixture
def slurm(tmp_path, monkeypatch):
    return a_cluster(tmp_path, monkeypatch)


def a_cluster(home, monkeypatch):
    """sbatch, squeue and scontrol that write down their arguments; what squeue answers is in a
    file. Gives their folder, and goes to the one it is in."""
    folder = home / "bin"
    folder.mkdir()
    answers = dict(sbatch="echo 41", squeue=f"cat {folder}/queue", scontrol="true")
    for name, answer in answers.items():
        file = folder / name
        file.write_text(f'#!/bin/sh\necho {name} "$@" >> {folder}/calls\n{answer}\n')
        file.chmod(0o755)
    (folder / "queue").write_text("")
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    monkeypatch.chdir(home)
    return folder


def calls(slurm, name):
    lines = [shlex.split(line) for line in (slurm / "calls").read_text().splitlines()]
    return [line[1:] for line in lines if line[0] == name]


def finish(out, trial):
    folder = Path(out) / "runs" / trial.id
    folder.mkdir(parents=True)
    atomic.write_json(folder / "measures.json", dict.fromkeys(study.MEASURED))


def test_what_is_not_done_is_submitted_after_the_judge(slurm, plan):
    study.begin(plan, "there")
    finish("there", plan.trials[1])
    assert cluster.submit(plan, "there", FLAGS, cap=3, options=["--time=9"]) == "41"
    judge, array = calls(slurm, "sbatch")
    assert "--time=9" in judge and not any("array" in word for word in judge)
    assert {"--dependency=afterok:41", "--kill-on-invalid-dep=yes"} <= {*array}
    wanted = [str(i) for i in range(len(plan.trials)) if i != 1]
    assert f"--array={','.join(wanted)}%3" in array


def test_nothing_is_submitted_twice(slurm, plan):
    study.begin(plan, "there")
    cluster.submit(plan, "there", FLAGS)
    (slurm / "queue").write_text("3 PENDING\n4 RUNNING\n")
    with pytest.raises(InputError, match="job 41 of this study is still in the queue"):
        cluster.submit(plan, "there", FLAGS)
    assert len(calls(slurm, "sbatch")) == 2
    (slurm / "queue").write_text("")
    cluster.submit(plan, "there", FLAGS)


def test_when_all_is_done_there_is_nothing_to_submit(slurm, plan):
    study.begin(plan, "there")
    for trial in plan.trials:
        finish("there", trial)
    with pytest.raises(InputError, match="every trial of there is done"):
        cluster.submit(plan, "there", FLAGS)


def test_standings_tell_what_is_done_running_stalled_stopped_and_waiting(slurm, plan):
    study.begin(plan, "there")
    cluster.submit(plan, "there", FLAGS)
    finish("there", plan.trials[0])
    for i, age in (1, 10), (2, 5000), (3, 5000):
        log = Path("there/runs", plan.trials[i].id, "log.jsonl")
        log.parent.mkdir(parents=True)
        log.write_text("")
        os.utime(log, (time.time() - age,) * 2)
    (slurm / "queue").write_text("1 RUNNING\n2 RUNNING\n4 PENDING\n")
    found = cluster.standings(plan, "there", patience=3600)
    states = [s.state for s in found[:6]]
    assert states == ["done", "running", "stalled", "stopped", "pending", "not begun"]
    line = "study --out there --status --patience 60 --requeue_stalled"
    assert cli.main(shlex.split(line)) == 0
    assert calls(slurm, "scontrol") == [["requeue", "41_2"]]


def numbered(slurm):
    """sbatch answers with another number every time, and with the name of its cluster."""
    answer = f'n=$(grep -c sbatch {slurm}/calls)\necho "$((60 + n));north"'
    (slurm / "sbatch").write_text(f'#!/bin/sh\necho sbatch "$@" >> {slurm}/calls\n{answer}\n')


def test_the_array_waits_for_the_judge_and_its_number_is_the_one_kept(slurm, plan):
    numbered(slurm)
    study.begin(plan, "there")
    assert cluster.submit(plan, "there", FLAGS) == "62" == cluster.submitted("there")
    judge, array = calls(slurm, "sbatch")
    assert judge[-1] == array[-1] == "there/study.sbatch"
    assert "--dependency=afterok:61" in array
    assert [word for word in array if word.startswith("--array=")] == [
        f"--array={','.join(map(str, range(36)))}%4"
    ]
    cluster.in_queue("there")
    assert calls(slurm, "squeue")[-1] == "-h -r -j 62 -o %K %T".split()
    cluster.requeue("there", 7)
    assert calls(slurm, "scontrol") == [["requeue", "62_7"]]


def test_a_judge_that_is_done_is_not_trained_again(slurm, plan):
    numbered(slurm)
    study.begin(plan, "there")
    Path("there/entropy.npy").write_bytes(b"")
    assert cluster.submit(plan, "there", FLAGS) == "61"
    [array] = calls(slurm, "sbatch")
    assert not any("dependency" in word for word in array)


def test_a_standing_has_the_last_saved_step_and_the_age_of_the_log(slurm, plan):
    """The clock says 100,000; the last line of the log is 899.5 seconds old, whatever else in the
    folder is newer or older."""
    study.begin(plan, "there")
    folder = Path("there/runs", plan.trials[2].id)
    for name, step in ("step-30", 30), ("step-50", 50):
        (folder / name).mkdir(parents=True)
        atomic.write_json(folder / name / "config.json", dict(step=step))
    atomic.write_json(folder / "run.json", dict(best="step-30", last="step-50"))
    (folder / "log.jsonl").write_text("")
    os.utime(folder / "log.jsonl", (50_000, 99_100.5))
    os.utime(folder, (99_900, 99_900))
    atomic.write_json(Path("there/cluster.json"), dict(job="41"))
    (slurm / "queue").write_text("2 RUNNING\n")
    name, clock = plan.trials[2].id, types.SimpleNamespace(time=lambda: 100_000.0)
    for patience, state in (899.4, "stalled"), (899.6, "running"):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(cluster, "time", clock)
            found = cluster.standings(plan, "there", patience)
        assert found[2] == cluster.Standing(name, state, step=50, silent=899.5)
        assert found[1] == cluster.Standing(plan.trials[1].id, "not begun", 0, None)
    assert len(found) == len(plan.trials)


def test_patience_is_in_minutes(slurm, plan):
    study.begin(plan, "there")
    atomic.write_json(Path("there/cluster.json"), dict(job="41"))
    log = Path("there/runs", plan.trials[3].id, "log.jsonl")
    log.parent.mkdir(parents=True)
    log.write_text("")
    os.utime(log, (time.time() - 600,) * 2)
    (slurm / "queue").write_text("3 RUNNING\n")
    for patience, state in ("9", "stalled"), ("11", "running"):
        with redirect_stdout(StringIO()) as out:
            assert cli.main(["study", "--out", "there", "--status", "--patience", patience]) == 0
        line = out.getvalue().splitlines()[2 + 3]
        assert [cell.strip() for cell in line.split("|")[1:-1]] == [
            plan.trials[3].id, state, "0", "10 minutes"
        ]  # fmt: skip


@pytest.mark.parametrize("status", [0, 1, EXIT_REQUEUE])
@pytest.mark.parametrize("told", [False, True])
def test_a_task_is_requeued_exactly_if_its_trial_says_so(slurm, tmp_path, status, told):
    """The script itself, with a trial that takes a while to end once it is told by SIGUSR1."""
    trial = tmp_path / "trial.py"
    wait = "signal.signal(signal.SIGUSR1, lambda *_: (time.sleep(0.3), sys.exit(STATUS)))"
    trial.write_text(
        f"import signal, sys, time\nSTATUS = {status}\n{wait}\nopen('begun', 'w').close()\n"
        + ("time.sleep(20)\n" if told else "sys.exit(STATUS)\n")
    )
    text = cluster.script(FLAGS, "there").replace("-m nanoparadigm study", str(trial))
    (tmp_path / "job").write_text(text)
    environment = os.environ | dict(SLURM_ARRAY_JOB_ID="41", SLURM_ARRAY_TASK_ID="7")
    job = subprocess.Popen(["bash", tmp_path / "job"], env=environment)
    if told:
        while not Path("begun").exists():
            time.sleep(0.05)
        job.send_signal(10)
    assert job.wait(20) == status
    requeued = calls(slurm, "scontrol") if (slurm / "calls").exists() else []
    assert requeued == ([["requeue", "41_7"]] if status == EXIT_REQUEUE else [])


def test_without_slurm_it_is_said(plan, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    study.begin(plan, "there")
    with pytest.raises(InputError, match="there is no sbatch here"):
        cluster.submit(plan, "there", FLAGS)


def test_sbatch_may_refuse(slurm, plan):
    (slurm / "sbatch").write_text("#!/bin/sh\necho 'invalid partition' >&2\nexit 1\n")
    study.begin(plan, "there")
    with pytest.raises(InputError, match="sbatch refused: invalid partition"):
        cluster.submit(plan, "there", FLAGS)
    assert cluster.submitted("there") is None


def test_a_task_is_told_two_minutes_before_its_end():
    lines = cluster.script([*FLAGS, "--seeds", "3"], "there").splitlines()
    assert "#SBATCH --job-name=there" in lines and "#SBATCH --signal=B:USR1@120" in lines
    [command] = [line for line in lines if "nanoparadigm study" in line]
    words = " --preset tiny --out there --seeds 3 --trial "
    assert words + '"${SLURM_ARRAY_TASK_ID:-judge}" &' in command


def test_submit_hands_on_its_options(slurm):
    line = "study --out there --seeds 4 9 --cap 7 --submit --sbatch='--time=9 --gres=gpu:1'"
    assert cli.main(shlex.split(line)) == 0
    _, array = calls(slurm, "sbatch")
    assert {"--time=9", "--gres=gpu:1", f"--array={','.join(map(str, range(24)))}%7"} <= {*array}
    assert "--preset tiny --out there --seeds 4 9 --trial" in Path("there/study.sbatch").read_text()
    assert json.loads(Path("there/study.json").read_text())["study"]["seeds"] == [4, 9]


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"job": 3}', '{"job": null}', "\xff", "[" * 10**5]
)
def test_a_damaged_note_of_the_job_is_named(text, tmp_path):
    (tmp_path / "cluster.json").write_text(text, encoding="latin-1")
    with pytest.raises(InputError, match="cluster.json.*: delete it"):
        cluster.submitted(tmp_path)
