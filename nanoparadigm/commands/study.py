"""The command `study`: a study of noise schedules or of many passes, here or on a cluster."""

import shlex
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from .. import evaluate
from ..errors import InputError, check_positive, check_seed, lookup
from ..signals import StopRequest, stop_signals
from ..studies import passes
from ..studies.schedules import report, slurm, study
from ..studies.workers import Ended, Train, train_all
from .shared import Command, Goes, duration, progress, tell_damage


@dataclass(frozen=True)
class Study(Command):
    """Does the noise schedule matter? And how often may a text be read? Train many, measure all.

    The trials of a study differ in schedule, masking and seed alone, and are measured by one
    estimator. Those of the preset `passes` read one small text once to a hundred times, with and
    without dropout and weight decay. The same command continues a study that was interrupted.
    Examples:

      nanoparadigm study
      nanoparadigm study --preset passes
      nanoparadigm study --preset shakespeare --dry_run
      nanoparadigm study --preset my-study.toml --seeds 0 1 2 3 4
      nanoparadigm study --preset fineweb-124m --submit --sbatch="--gres=gpu:1 --time=7:30:00"
      nanoparadigm study --preset fineweb-124m --status --requeue_stalled
    """

    preset: str = "tiny"
    """tiny, shakespeare, fineweb-124m, passes, or the path of a TOML file like these"""
    out: str | None = None
    """folder (default: studies/PRESET)"""
    seeds: tuple[int, ...] = ()
    """seeds to run instead of those of the preset"""
    dry_run: bool = False
    """only say what would be trained, and how long it would take"""
    trial: str | None = None
    """run only this trial, by its name or its number in the dry run; or judge"""
    workers: int = 2
    """trials to train at a time, each on one thread"""
    submit: bool = False
    """submit the trials that are not done to a SLURM cluster, as an array job"""
    cap: int = 4
    """tasks of that job at a time"""
    sbatch: str = ""
    """options for sbatch, in one string after an equals sign"""
    report: bool = False
    """only write the report of the trials that are done"""
    status: bool = False
    """say how far every trial is"""
    patience: float = 60.0
    """minutes of silence after which a running task counts as stalled"""
    requeue_stalled: bool = False
    """with --status: put stalled tasks back into the queue"""

    @property
    def folder(self) -> str:
        """Return the folder of the study."""
        return self.out or f"studies/{Path(self.preset).stem}"

    def goes(self) -> Goes:
        """Return which flags have an effect: see `Command.goes`."""
        modes = "dry_run", "report", "status", "submit", "trial"
        asked = [mode for mode in modes if getattr(self, mode)]
        others = {mode: [other for other in asked if other != mode] for mode in modes}
        alone = {
            mode: (not rest, f"without --{', --'.join(rest)}") for mode, rest in others.items()
        }
        return alone | dict(
            workers=(not asked, f"without --{', --'.join(asked)}"),
            seeds=(not (self.report or self.status), "without --report and --status"),
            cap=(self.submit, "with --submit"),
            sbatch=(self.submit, "with --submit"),
            patience=(self.status, "with --status"),
            requeue_stalled=(self.status, "with --status"),
        )

    def run(self) -> None:
        """Train the trials here, submit them, or report on them, as the flags say."""
        check_positive(self, ["workers", "cap"])
        for seed in self.seeds:
            check_seed(seed)
        if passes.is_one(self.preset):
            self.run_passes()
            return
        plan = study.load(self.preset)
        if self.seeds:
            plan = replace(plan, seeds=self.seeds)
        if self.dry_run:
            print(self.plan(plan), end="")
            return
        if self.report:
            self.tell_report()
        elif self.status:
            self.tell(replace(plan, seeds=study.begun(self.folder).study.seeds))
        elif self.submit:
            self.leave_to_cluster(plan)
        else:
            self.train(plan)

    def run_passes(self) -> None:
        """Train the trials of a study of passes on this machine, and report."""
        others = "trial", "submit", "status"
        if asked := [flag for flag in others if getattr(self, flag)]:
            raise InputError(
                f"a study of passes runs on this machine, all trials of it: drop --{asked[0]}"
            )
        plan = passes.load(self.preset)
        if self.seeds:
            plan = replace(plan, seeds=self.seeds)
        if self.dry_run:
            rows = [[t.id, t.variant, f"{t.passes}", f"{t.seed}"] for t in plan.trials]
            print(evaluate.markdown(["trial", "variant", "passes", "seed"], rows), end="")
            return
        if not self.report:
            passes.read(plan)  # says at once what is wrong with it
            passes.begin(plan, self.folder)
            left = [trial for trial in plan.trials if not passes.is_done(self.folder, trial)]
            with stop_signals() as stop:
                failed = self.train_left(
                    partial(passes.begin_worker, plan, self.folder), left, stop
                )
            if stop():
                end_stopped(stop)
            tell_failed(failed)
            if failed:
                raise SystemExit(1)
        print(passes.write(plan, self.folder), end="")
        print(f"\nsaved in {self.folder}: report.md, results.json, curves.png")

    def train_left(
        self, begin: Callable[[], Train], left: Sequence[Any], stop: StopRequest
    ) -> list[Ended]:
        """Train the trials that are left, and return those that fail."""
        ends = progress(train_all(begin, left, self.workers, stop), "trials", total=len(left))
        return [end for end in ends if end.problem]

    def leave_to_cluster(self, plan: study.Study) -> None:
        """Submit the trials that are not done to the cluster."""
        study.begin(plan, self.folder)
        flags = ["--preset", self.preset, "--out", self.folder]
        flags += ["--seeds", *map(str, self.seeds)] if self.seeds else []
        job = slurm.submit(plan, self.folder, flags, self.cap, shlex.split(self.sbatch))
        look = shlex.join(["nanoparadigm", "study", *flags[:4], "--status"])
        print(f"submitted as job {job}; look with: {look}")

    def train(self, plan: study.Study) -> None:
        """Train and measure the judge and the chosen trials here, and report if all were chosen."""
        trials, texts = self.chosen(plan), study.Texts.of(plan)
        study.begin(plan, self.folder, texts)
        entropy, failed = Path(self.folder) / "entropy.npy", []

        def left() -> list[study.Trial]:
            return [trial for trial in trials if not study.is_done(self.folder, trial)]

        with stop_signals() as stop:
            if not entropy.exists():
                for _ in progress(study.train_judge(plan, texts, self.folder, stop), "judge"):
                    pass
            if self.trial is None and not stop():
                begin = partial(study.begin_worker, plan, self.folder)
                failed = self.train_left(begin, left(), stop)
            elif trials and not stop():
                records = study.train_trial(plan, trials[0], texts, self.folder, stop)
                for _ in progress(records, trials[0].id, total=plan.settings.max_steps):
                    pass
        if stop() and (left() or not entropy.exists()):
            end_stopped(stop)
        tell_failed(failed)
        if self.trial is None and len(failed) < len(plan.trials):
            self.tell_report()
        if failed:
            raise SystemExit(1)

    def tell_report(self) -> None:
        """Write the report of the trials that are done, and print it."""
        for run in sorted(Path(self.folder).glob("runs/*")):
            tell_damage(run)
        print(report.write(self.folder), end="")
        report.draw(self.folder)
        print(f"\nsaved in {self.folder}: report.md, results.json, curves.png, forest.png")

    def tell(self, plan: study.Study) -> None:
        """Print how far every trial is, and requeue stalled ones if asked to."""
        standings = slurm.standings(plan, self.folder, 60 * self.patience)
        rows = [
            [s.trial, s.state, f"{s.step:,}", "" if s.silent is None else duration(s.silent)]
            for s in standings
        ]
        print(evaluate.markdown(["trial", "state", "saved at step", "silent for"], rows), end="")
        for i, standing in enumerate(standings):
            if self.requeue_stalled and standing.state == "stalled":
                slurm.requeue(self.folder, i)
                print(f"requeued: {standing.trial}")

    def chosen(self, plan: study.Study) -> list[study.Trial]:
        """Return the trials that --trial asks for; none for the judge."""
        if self.trial is None:
            return plan.trials
        if self.trial == "judge":
            return []
        names = {trial.id: trial for trial in plan.trials}
        if self.trial.isdecimal() and int(self.trial) < len(names):
            return [plan.trials[int(self.trial)]]
        return [lookup("trial", self.trial, names | {"judge": None})]

    def plan(self, plan: study.Study) -> str:
        """Return what a dry run prints."""
        s = plan.settings
        tokens = s.max_steps * s.batch_size * s.grad_accumulation * plan.sizes.block_size
        size, seconds = study.size_and_seconds(plan, tokens)
        rows = [
            [f"{i}", t.id, t.schedule, t.masking, f"{t.seed}", f"{size:,}", f"{tokens:,}"]
            for i, t in enumerate(plan.trials)
        ]
        head = ["number", "trial", "schedule", "masking", "seed", "parameters", "tokens"]
        return (
            f"{evaluate.markdown(head, rows)}\n{len(rows)} trials, configuration {plan.hash}: "
            f"about {duration(seconds)} each on this machine, {duration(seconds * len(rows))} in "
            "all, evaluations not counted.\n"
        )


def end_stopped(stop: StopRequest) -> NoReturn:
    """End a study that was stopped."""
    print("stopped and saved; the same command continues")
    raise SystemExit(stop.status)


def tell_failed(failed: Iterable[Ended]) -> None:
    """Say which trials failed, and why."""
    for end in failed:
        print(f"{end.trial.id} failed: {end.problem}", file=sys.stderr)
