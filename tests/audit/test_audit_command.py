"""`nanoparadigm audit`: its exit status, and one sentence for whatever cannot be tried."""

import re

import pytest

from nanoparadigm.commands import main as cli

GOOD = "nanoparadigm.audit.examples:chain_rule"
BAD = "nanoparadigm.audit.examples:best_order"


@pytest.fixture
def say(capsys, tmp_path, monkeypatch):
    """Give the command line words, in an empty folder: (status, output, complaints)."""
    monkeypatch.chdir(tmp_path)
    capsys.readouterr()

    def words(*arguments):
        try:
            status = cli.main(["audit", *arguments])
        except SystemExit as done:
            status = done.code
        return status, *capsys.readouterr()

    return words


def test_it_ends_with_0_if_nothing_is_found_and_with_1_if_something_is(say):
    status, out, err = say(GOOD)
    assert (status, err) == (0, "") and "Nothing found" in out
    status, out, err = say(BAD)
    assert status == 1 and "\norder\n" in out
    assert err == "nanoparadigm: best_order is not what it says: sum, order\n"


def test_the_flags_reach_the_audit(say):
    name = "nanoparadigm.audit.examples:loose"
    assert say(name)[0] == 1
    assert say(name, "--bound")[0] == 0
    assert say("nanoparadigm.audit.examples:in_bits", "--unit", "bits")[0] == 0
    assert say("nanoparadigm.audit.examples:any_order", "--seed", "5", "--draws", "8")[0] == 0


def test_the_example_is_a_file_to_start_from(say, tmp_path):
    status, out, err = say("--example")
    assert (status, err) == (0, "")
    (tmp_path / "mine.py").write_text(out)
    assert say("mine.py:score")[0] == 0
    assert say("mine:score")[0] == 0
    assert say(f"{tmp_path}/mine.py:score")[0] == 0


def test_a_file_may_import_what_lies_beside_it(say, tmp_path):
    folder = tmp_path / "theirs"
    folder.mkdir()
    (folder / "beside.py").write_text("from nanoparadigm.audit.examples import chain_rule\n")
    (folder / "it.py").write_text(
        "from __future__ import annotations\nfrom dataclasses import dataclass\n"
        "from beside import chain_rule\n@dataclass\nclass Settings:\n    x: int = 1\n"
        "def score(texts, model):\n    import beside\n    return beside.chain_rule(texts, model)\n"
    )
    assert say("theirs/it.py:score")[0] == 0


FILES = {
    "broken.py": "def score(:\n",
    "raises.py": "raise ValueError('one\\ntwo')\n",
    "leaves.py": "import sys; sys.exit(0)\n",
    "needs.py": "import no_such_package\n",
    "empty.py": "",
    "other.py": "def score(texts, model): return 1 / 0\nscores = 3\n",
}


@pytest.mark.parametrize(
    "words, says",
    [
        ([], "no function is named: write file.py:function"),
        (["mine"], "'mine' names no function"),
        ([":score"], "':score' names no function"),
        (["mine.py:"], "names no function"),
        (["nowhere.py:score"], "cannot read nowhere.py"),
        (["no_such_module:score"], "there is no module no_such_module"),
        (["../up:score"], r"\.\./up"),
        (["broken.py:score"], "broken.py cannot be imported: SyntaxError"),
        (["raises.py:score"], "raises.py cannot be imported: ValueError: one"),
        (["leaves.py:score"], "leaves.py cannot be imported: it ended the program"),
        (["needs.py:score"], "needs.py needs no_such_package, which is not installed"),
        (["empty.py:score"], "that file has no function"),
        (["other.py:scor"], "unknown function 'scor': did you mean 'score'"),
        (["other.py:scores"], "the scorer is of type int"),
        (["other.py:score"], "score stopped in line 1 of score.*division by zero"),
        ([GOOD, "--unit", "miles"], "unknown unit 'miles'"),
        ([GOOD, "--draws", "0"], "--draws is 0"),
        ([GOOD, "--example"], "--example prints a file"),
        (["--example", "--bound"], "--bound works only without --example"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_tried_gets_one_sentence(words, says, say, tmp_path):
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    status, out, err = say(*words)
    assert status == 2 and out == ""
    assert re.fullmatch(r"nanoparadigm: [^\n]+\n", err) and re.search(says, err), err
