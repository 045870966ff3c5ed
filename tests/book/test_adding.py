"""The book's page on adding a paradigm is right: its three edits are made in a copy of the package,
and the copy passes the contract and runs every command."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from helpers import ROOT

PAGE = (ROOT / "book/adding-a-paradigm.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```\{code-block\} (\w+)\n:caption: ([^\n]+)\n(.*?)^```$", re.M | re.S)
BLOCKS = BLOCK.findall(PAGE)
RUN = """
import shlex, sys
from nanoparadigm.commands.main import main
for line in sys.stdin.read().splitlines():
    assert main(shlex.split(line)[1:]) == 0, line
"""


def edited(source, diff):
    """The source with the one place that a hunk without line numbers describes changed."""
    old, new = (
        "".join(line[1:] + "\n" for line in diff.splitlines() if line[0] in f" {sign}")
        for sign in "-+"
    )
    assert source.count(old) == 1, f"the page shows what is not there once:\n{old}"
    return source.replace(old, new)


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """A copy of the package and its tests in which the page has been followed."""
    root = tmp_path_factory.mktemp("copy")
    for name in ("nanoparadigm", "tests"):
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", root)
    (root / "book").mkdir()
    shutil.copy(ROOT / "book/browser.py", root / "book")
    for language, name, text in BLOCKS:
        path = root / name
        if language == "python":
            path.write_text(text, encoding="utf-8")
        elif language == "diff":
            source = path.read_text(encoding="utf-8")
            path.write_text(edited(source, text), encoding="utf-8")
    return root


def run(copy, *arguments, cwd=None, text=None):
    """What Python says when it finds the copy in place of the package."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    env = clean | {"PYTHONPATH": str(copy), "OMP_NUM_THREADS": "1", "TQDM_DISABLE": "1"}
    command = [sys.executable, *arguments]
    done = subprocess.run(
        command, cwd=cwd or copy, env=env, input=text, text=True, capture_output=True
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def test_the_page_makes_three_edits_and_adds_a_test():
    files = [name for language, name, _ in BLOCKS if language != "text"]
    package = "nanoparadigm/paradigms"
    edits = [f"{package}/backward.py", f"{package}/__init__.py", "tests/laws/laws.py"]
    assert [*dict.fromkeys(files)] == [*edits, "tests/paradigms/test_backward.py"]


def test_what_the_page_adds_is_in_the_style_of_the_package(copy):
    ruff = Path(sys.executable).with_name("ruff")
    names = {name for language, name, _ in BLOCKS if language != "text"}
    for task in (["check"], ["format", "--check"]):
        subprocess.run([ruff, *task, "--no-cache", *names], cwd=copy, check=True)


def test_what_the_page_adds_passes_the_contract_and_its_laws(copy):
    laws = ["tests/laws/test_contract.py", "tests/laws/test_laws.py"]
    tests = [*laws, "tests/paradigms/test_backward.py"]
    chosen = "backward or registered or losses_are_minimal"
    said = run(copy, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests, "-k", chosen)
    assert int(re.search(r"(\d+) passed", said)[1]) > 30


def test_every_command_of_the_page_knows_the_new_model(copy, tmp_path):
    (tmp_path / "little.txt").write_text("the cat sat on the mat and the dog on the log. " * 60)
    (commands,) = [text for _, name, text in BLOCKS if name == "commands"]
    said = run(copy, "-c", RUN, cwd=tmp_path, text=commands)
    names = {shlex.split(line)[1] for line in commands.splitlines()}
    assert names == {"train", "sample", "infill", "evaluate", "compare", "visualize", "diff"}
    for words in "saved in runs/backward", "= ", "16 calls, 256 positions", "from right to left":
        assert words in said


@pytest.mark.parametrize("diff", [" no such line\n+new\n", "+new\n", "-import torch\n"])
def test_an_edit_that_has_no_single_place_is_noticed(diff):
    with pytest.raises(AssertionError, match="not there once"):
        edited("import torch\nimport torch\n", diff)
