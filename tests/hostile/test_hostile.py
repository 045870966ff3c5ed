"""What hostile hands do, by the thousand: `rule` says what must hold, the others what is tried.

`make fuzz` tries ten times as many. One case again: see what a failure says first, for example
`python tests/hostile/run.py --family lines --number 17`.
"""

import pytest
import run


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("workspace")
    run.prepare(folder)
    return folder


@pytest.mark.parametrize("family", run.NAMED)
def test_nothing_hostile_breaks_the_rule(family, folder):
    asked = [task for task in run.tasks(2000) if task[0] == family]
    broken = [problem for _, problem in run.run(asked, folder) if problem]
    assert not broken, f"{len(broken)} of {len(asked)}, the first:\n" + "\n".join(broken[:5])


def test_a_thousand_cases_of_another_seed_are_other_cases(folder):
    """What is tried depends on the seed, and on nothing else."""
    said = [run.case(task).said for seed in (0, 0, 1) for task in run.tasks(200, seed)]
    once, again, other = said[:200], said[200:400], said[400:]
    assert once == again and len({*once} & {*other}) < 20
