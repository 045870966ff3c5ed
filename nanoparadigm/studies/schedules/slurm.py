"""A study on a SLURM cluster: one array job, a task for each trial, each requeued until it is done.

SIGUSR1 tells a task that its time is almost over. The trial then saves and ends with status 75, and
the task puts itself back into the queue, as often as it takes. Nothing is lost when a task fails or
is killed: the same command submits again what is not done.
"""

import shlex
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from string import Template

from ... import files
from ...atomic import write_json
from ...errors import InputError
from ...signals import EXIT_REQUEUE
from ...training.checkpoint import steps_done
from .study import Study, is_done

NOTICE = 120  # seconds between the signal and the end of a task's time
SCRIPT = Template("""\
#!/usr/bin/env bash
#SBATCH --job-name=$name
#SBATCH --signal=B:USR1@$notice
#SBATCH --requeue
#SBATCH --open-mode=append
# bash heeds a signal only while it waits: so the trial runs beside it
$command --trial "$${SLURM_ARRAY_TASK_ID:-judge}" &
trial=$$!
trap 'kill -USR1 "$$trial"' USR1
trap 'kill -TERM "$$trial"' TERM
while wait "$$trial"; status=$$?; kill -0 "$$trial" 2>/dev/null; do :; done
if [ "$$status" = $unfinished ]; then
    task=$${SLURM_ARRAY_TASK_ID:+_$$SLURM_ARRAY_TASK_ID}
    scontrol requeue "$${SLURM_ARRAY_JOB_ID:-$$SLURM_JOB_ID}$$task"
fi
exit "$$status"
""")


def script(study_flags: Iterable[str], name: str) -> str:
    """Return the text of the job script. study_flags: the flags of the command `study`."""
    command = shlex.join([sys.executable, "-m", "nanoparadigm", "study", *study_flags])
    return SCRIPT.substitute(name=name, notice=NOTICE, command=command, unfinished=EXIT_REQUEUE)


def slurm(*words) -> str:
    """Return the output of a SLURM command. Raises InputError if it is missing or fails."""
    try:
        done = subprocess.run(words, capture_output=True, text=True, check=True)
    except FileNotFoundError as error:
        raise InputError(
            f"there is no {words[0]} here: run this on a machine of a SLURM cluster"
        ) from error
    except subprocess.CalledProcessError as error:
        raise InputError(f"{words[0]} refused: {error.stderr.strip() or error}") from error
    return done.stdout.strip()


def submit(
    study: Study,
    out: str | PathLike,
    flags: Sequence[str],
    cap: int = 4,
    options: Sequence[str] = (),
) -> str:
    """Submit all trials that are not done, after the judge, and return the array job's number.

    cap: how many may run at a time. flags: of the command `study`. options: of sbatch. Raises
    InputError if the study is in the queue already, or if nothing is left to do.
    """
    out = Path(out)
    queued = in_queue(out)
    if queued:
        raise InputError(
            f"job {submitted(out)} of this study is still in the queue ({len(queued)} tasks): "
            "wait for it, or end it with scancel"
        )
    waiting = [i for i, trial in enumerate(study.trials) if not is_done(out, trial)]
    if not waiting:
        raise InputError(f"every trial of {out} is done: leave out `submit` for the report")
    file = out / "study.sbatch"
    file.write_text(script(flags, out.name), encoding="utf-8")
    log = f"--output={out.resolve()}/slurm-%A_%a.log"
    send = ["sbatch", "--parsable", log, *options]
    if not (out / "entropy.npy").exists():
        judge = slurm(*send, str(file)).split(";")[0]
        send += [f"--dependency=afterok:{judge}", "--kill-on-invalid-dep=yes"]
    array = f"--array={','.join(map(str, waiting))}%{cap}"
    job = slurm(*send, array, str(file)).split(";")[0]
    write_json(out / "cluster.json", dict(job=job))
    return job


@dataclass(frozen=True)
class Submitted:
    """The content of cluster.json."""

    job: str


def submitted(out: str | PathLike) -> str | None:
    """Return the number of the study's last array job, or None."""
    file = Path(out) / "cluster.json"
    return files.read_json(file, Submitted, "delete it").job if file.exists() else None


def in_queue(out: str | PathLike) -> dict[int, str]:
    """Return the number of a trial -> SLURM's state of its task, for all tasks in the queue."""
    job = submitted(out)
    if job is None:
        return {}
    try:
        lines = slurm("squeue", "-h", "-r", "-j", job, "-o", "%K %T").splitlines()
    except InputError as error:
        if "Invalid job id" in str(error):  # it ended so long ago that SLURM has forgotten it
            return {}
        raise
    return {int(task): state.lower() for task, state in map(str.split, lines)}


@dataclass(frozen=True)
class Standing:
    """Where a trial stands."""

    trial: str
    state: str
    """done, running, stalled, pending (or another of SLURM's states), stopped, or not begun"""
    step: int
    silent: float | None
    """seconds since it last wrote to its log"""


def standings(study: Study, out: str | PathLike, patience: float) -> list[Standing]:
    """Return the Standing of every trial.

    patience: seconds without a line in its log after which a running trial counts as stalled.
    """
    found, queued = [], in_queue(out)
    for i, trial in enumerate(study.trials):
        folder = Path(out) / "runs" / trial.id
        log, step = folder / "log.jsonl", steps_done(folder)
        silent = time.time() - log.stat().st_mtime if log.exists() else None
        state = queued.get(i, "stopped" if log.exists() else "not begun")
        if is_done(out, trial):
            state = "done"
        elif state == "running" and silent is not None and silent > patience:
            state = "stalled"
        found.append(Standing(trial.id, state, step, silent))
    return found


def requeue(out: str | PathLike, number: int) -> None:
    """Put the task of a trial that has stalled back into the queue."""
    slurm("scontrol", "requeue", f"{submitted(out)}_{number}")
