"""What hostile hands do, by the thousand: `rule` says what must hold, the others what is tried.

`make fuzz` tries ten times as many. One case again: see what a failure says first, for example
`python tests/hostile/run.py --family lines --number 17`.
"""

import subprocess
import sys

import run


def test_nothing_hostile_breaks_the_rule():
    """In a process of its own: what has run a network must not be forked."""
    command = [sys.executable, run.__file__, "--cases", "2000", "--workers", "2"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, f"{done.stdout[-9000:]}\n{done.stderr[-3000:]}"
    assert done.stdout.endswith("0 of 2000 cases break the rule\n")


def test_what_is_tried_depends_on_the_seed_and_on_nothing_else():
    once, again, other = (
        [run.case(task).said for task in run.tasks(200, seed)] for seed in (0, 0, 1)
    )
    assert once == again and len({*once} & {*other}) < 100
