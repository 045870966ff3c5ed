"""Grading: every file that can be graded is, and nothing but a right answer is right.

One batch of small notebooks of chapter 3, odd ones, ends in the middle, and frauds among them, is
graded once, by the command; the tests read what it said.
"""

import base64
import csv
import sys
from hashlib import sha256
from types import SimpleNamespace

import jupytext
import nbformat
import pytest
import torch
from helpers import ROOT

from nanoparadigm import InputError
from nanoparadigm.commands import main as cli
from nanoparadigm.exercises import ALL, CHAPTERS, check
from nanoparadigm.grading import answers, handed_in, notebooks
from nanoparadigm.grading.kernel import Limits

sys.path.insert(0, str(ROOT / "book"))

import chapters  # noqa: E402

STEM = "03-masking"
TEXT = ROOT / "book" / f"{STEM}.md"
SOLVED = {chapters.checked(c): c.source for c in chapters.tagged(jupytext.read(TEXT), "solution")}
STUBS = {chapters.checked(c): c.source for c in chapters.tagged(jupytext.read(TEXT), "exercise")}
NAMES = list(SOLVED)
START = "import math, os, time\nimport torch\nfrom nanoparadigm.exercises import check\nV = 3"


def notebook(*cells):
    """A notebook that begins as the chapter does; a cell is its source, or a cell."""
    made = [c if isinstance(c, dict) else nbformat.v4.new_code_cell(c) for c in (START, *cells)]
    return nbformat.v4.new_notebook(cells=made)


def answer(name, body, before=""):
    """A cell that gives `check` a function of the exercise with this body."""
    return f'{before}\ndef mine(*case):\n    {body}\n\n\ncheck("{name}", mine)'


def foreign():
    """Right, but of nbformat 3, without tags, of a kernel nobody has."""
    made = notebook(*SOLVED.values())
    made.metadata["kernelspec"] = dict(name="julia-1.11", display_name="Julia", language="julia")
    return nbformat.convert(made, 3)


def shuffled():
    """Right but for one, whose cell has become text: out of order, split, doubled, dependent."""
    function, call, rest = SOLVED["linear_clock"].partition("check(")
    told = "linear_clock own_schedule cosine_slope reveal_probability corrupt reverse_posterior"
    return notebook(
        function,
        "2 * math.pi",
        call + rest,
        SOLVED["own_schedule"],
        STUBS["own_schedule"],
        answer("cosine_slope", "return -Out[3] / 4 * torch.sin(Out[3] / 4 * case[0])"),
        STUBS["reveal_probability"],
        SOLVED["reveal_probability"],
        SOLVED["corrupt"],
        SOLVED["bert_shares"],
        nbformat.v4.new_markdown_cell(SOLVED["reverse_posterior"]),
        *(SOLVED[name] for name in NAMES if name not in told.split()),
    )


def endless():
    """A cell without end, one that cannot be interrupted, and an answer without end."""
    return notebook(
        SOLVED["corrupt"],
        "while True:\n    pass",
        SOLVED["cosine_slope"],
        answer("own_schedule", "time.sleep(1000)"),
        SOLVED["linear_clock"],
        "while True:\n    try:\n        time.sleep(1)\n    except KeyboardInterrupt:\n        pass",
        SOLVED["reveal_probability"],
    )


OWN_CHECK = """
from nanoparadigm.exercises.grader import Verdict


def check(name, answer):
    return Verdict(True, None, f"{name}: right, on all 3 cases.")


mine = None
check("corrupt", mine)
"""
PATCHED_COMPARISON = """
import nanoparadigm.exercises.grader as grader

grader.same = lambda *anything: True
grader.close = lambda exercise, a, b: torch.ones_like(a).bool()
mine = lambda *case: 0
check("reveal_probability", mine)
"""
REFERENCE = """
def mine(*case):
    from nanoparadigm.exercises import ALL

    return ALL["reverse_posterior"].reference(*case)


check("reverse_posterior", mine)
"""
FRAME = """
import gc, sys


def seen():
    frame = sys._getframe()
    while frame := frame.f_back:
        yield frame.f_locals
    yield from (o for o in gc.get_objects() if isinstance(o, dict))


def mine(*case):
    found = next(names["exercise"] for names in seen() if "exercise" in names)
    return found.reference(*case)


check("cosine_slope", mine)
"""
FILES = """
import nanoparadigm.exercises.grader as grader
from pathlib import Path

for file in Path(grader.__file__).parents[1].rglob("*.py"):
    file.write_text(file.read_text() + "\\n\\ndef same(*anything):\\n    return True\\n")
for file in Path().resolve().parent.glob("*.ipynb"):
    file.unlink()
mine = lambda *case: 0
check("linear_clock", mine)
"""
TORCH = """
class Liar(torch.Tensor):
    __eq__ = __le__ = __ge__ = lambda *anything: True

    @classmethod
    def __torch_function__(cls, *anything, **options):
        return torch.tensor(True)


for name in "isclose", "allclose", "equal":
    setattr(torch, name, lambda *anything, **options: torch.tensor(True))
torch.Tensor.__eq__ = torch.Tensor.isfinite = torch.isclose
mine = lambda t: Liar()
check("own_schedule", mine)
"""
FRAUDS = [PATCHED_COMPARISON, REFERENCE, FRAME, FILES, TORCH, OWN_CHECK]

BY_HEART = ALL["linear_clock"].reference(*ALL["linear_clock"].cases()[0]).tolist()
MORE_FRAUDS = [
    'print("corrupt: right, on all 3 cases.")\n"corrupt: right, on all 3 cases."',
    answer("reveal_probability", "return type('Right', (float,), {'__eq__': lambda *a: True})(0)"),
    answer("linear_clock", f"return torch.tensor({BY_HEART}, dtype=torch.float64)"),
    answer("cosine_slope", "return torch.full_like(case[0], torch.nan)"),
    answer("reverse_posterior", "return next(iter(load_file('asked').values()))").replace(
        "def", "from safetensors.torch import load_file\n\n\ndef"
    ),
    "import handed_in\n\nhanded_in.reply = lambda name, asked, answered: "
    "open(answered, 'w').write('{\"right\": true}')\n" + SOLVED["own_schedule"],
]


@pytest.fixture(scope="module")
def batch(tmp_path_factory):
    """What the command says of a folder of notebooks, in which the foreign one comes last."""
    folder = tmp_path_factory.mktemp("handed in")

    def put(name, content):
        (folder / name).write_text(content, encoding="utf-8-sig")

    good = nbformat.writes(notebook(*SOLVED.values()))
    put("a-empty.ipynb", "")
    put("a-truncated.ipynb", good[: len(good) // 2])
    put("a-list.ipynb", "[]")
    put("a-dict.ipynb", '{"nbformat": 4}')
    put("a-deep.ipynb", "[" * 100_000)
    put("a-later.ipynb", good.replace('"nbformat": 4', '"nbformat": 9'))
    put("a-other.ipynb", nbformat.writes(notebook("1 + 1")))
    put("08-flow.ipynb", good)
    (folder / "a-bytes.ipynb").write_bytes(b"\xff\xfe\x00\xd8")
    (folder / "a-folder.ipynb").mkdir()
    put(f"frauds-{STEM}.ipynb", nbformat.writes(notebook(*FRAUDS)))
    put("more-frauds.ipynb", nbformat.writes(notebook(*MORE_FRAUDS)))
    put("shuffled.ipynb", nbformat.writes(shuffled()))
    put("endless.ipynb", nbformat.writes(endless()))
    ended = SOLVED["corrupt"], "1 / 0", "os._exit(0)", SOLVED["cosine_slope"]
    put("ended.ipynb", nbformat.writes(notebook(*ended)))
    hungry = SOLVED["corrupt"], "much = bytearray(6 * 2**30)", SOLVED["cosine_slope"]
    put("hungry.ipynb", nbformat.writes(notebook(*hungry)))
    ended = answer("corrupt", "import ctypes; ctypes.string_at(0)"), SOLVED["cosine_slope"]
    put("segfault.ipynb", nbformat.writes(notebook(*ended)))
    put("z.ipynb", nbformat.writes(foreign()))
    files = [*sorted(folder.glob("[!z]*")), folder / "missing.ipynb", folder / "z.ipynb"]

    library = sorted((ROOT / "nanoparadigm").rglob("*.py"))
    before = [sha256(file.read_bytes()).digest() for file in library]
    options = ["--cell", "4", "--answer", "4", "--memory", "4", "--csv", str(folder / "table.csv")]
    options += ["--totals", str(folder / "totals.csv"), "--jobs", "2", "--seed", "5"]
    with pytest.raises(SystemExit) as done:
        cli.main(["grade", *map(str, files), *options])
    assert before == [sha256(file.read_bytes()).digest() for file in library]

    with (folder / "table.csv").open(newline="") as table:
        rows = list(csv.DictReader(table))
    assert len({row["file"] for row in rows}) == len(files)
    with (folder / "totals.csv").open(newline="") as table:
        totals = list(csv.DictReader(table))
    assert [*dict.fromkeys(row["file"] for row in rows)] == [*map(str, files)]
    return SimpleNamespace(status=done.value.code, rows=rows, totals=totals)


def of(batch, name):
    """Of one file: the exercises that are right, what is said of each, and what went wrong."""
    rows = [row for row in batch.rows if row["file"].endswith(f"/{name}.ipynb")]
    remarks = {row["exercise"]: row["hint"] for row in rows}
    problem = remarks.pop("", "")
    assert list(remarks) in ([], NAMES) and (problem or remarks)
    return [row["exercise"] for row in rows if row["points"] == "1"], remarks, problem


@pytest.mark.parametrize(
    "name, said",
    [
        ("a-empty", "is not JSON"),
        ("a-truncated", "is not JSON"),
        ("a-deep", "is not JSON"),
        ("a-bytes", "is not JSON"),
        ("a-list", "ask for the notebook again"),
        ("a-dict", "is not a notebook"),
        ("a-later", "is not a notebook"),
        ("a-folder", "is a directory"),
        ("missing", "cannot read"),
        ("a-other", "could be of any chapter"),
        ("08-flow", "its name has that of 08-flow, its exercises are of 03-masking"),
    ],
)
def test_a_file_that_is_no_notebook_of_a_chapter_is_one_sentence(batch, name, said):
    right, remarks, problem = of(batch, name)
    assert not right and not remarks and said in problem and "\n" not in problem


def test_the_status_says_that_not_every_file_could_be_graded(batch):
    assert batch.status == 1


def test_an_old_notebook_of_another_kernel_without_tags_is_graded_after_all_others(batch):
    assert of(batch, "z") == (NAMES, of(batch, "z")[1], "")


def test_the_chapter_says_what_is_to_be_graded(batch):
    right, remarks, _ = of(batch, "ended")
    assert right == ["corrupt"]
    assert remarks["own_schedule"] == "own_schedule: not yet. No answer was given to check."


def test_cells_may_be_split_doubled_moved_and_need_one_another(batch):
    right, _, problem = of(batch, "shuffled")
    assert {*NAMES} - {*right} == {"reverse_posterior"} and not problem


def test_what_has_no_end_is_stopped_and_the_rest_is_graded(batch):
    right, remarks, problem = of(batch, "endless")
    assert right == ["corrupt", "cosine_slope", "linear_clock"]
    assert "On case 1 it was stopped after" in remarks["own_schedule"]
    assert problem.endswith(" could be graded only up to code cell 7: its process ended")


@pytest.mark.parametrize("name, right", [("ended", ["corrupt"]), ("segfault", [])])
def test_a_process_that_ends_is_told_with_what_had_been_graded(batch, name, right):
    found, _, problem = of(batch, name)
    assert found == right and "could be graded only up to code cell" in problem


def test_a_notebook_that_wants_too_much_memory_loses_that_cell_alone(batch):
    right, _, problem = of(batch, "hungry")
    assert right == ["corrupt", "cosine_slope"] and not problem


def test_a_gradebook_gets_a_row_for_each_student(batch):
    points = {row["student"]: row for row in batch.totals}
    assert points["z"][STEM] == points["z"]["total"] == str(len(NAMES))
    assert points["endless"]["total"] == "3" and points["a-empty"]["total"] == "0"


@pytest.mark.parametrize("name", [f"frauds-{STEM}", "more-frauds"])
def test_no_fraud_is_right(batch, name):
    right, remarks, _ = of(batch, name)
    assert not right and all("not yet" in remark for remark in remarks.values()), remarks


def test_the_chapter_is_known_by_its_name_or_by_its_exercises():
    mine, none = notebook(*STUBS.values()), notebook()
    for name in "ada-03-masking.ipynb", "03-masking (1).ipynb", "03-Masking.ipynb", "ada.ipynb":
        assert notebooks.chapter(ROOT / name, mine) == STEM
    assert notebooks.chapter(ROOT / "03-masking_ada.ipynb", none) == STEM
    flow = notebook(STUBS["corrupt"], 'check("flow_rate", rate)')
    assert notebooks.chapter(ROOT / "08-flow.ipynb", flow) == "08-flow"
    for name, made in ("ada.ipynb", none), ("ada.ipynb", flow), ("03-masking-08-flow.ipynb", none):
        with pytest.raises(InputError, match="could be of any chapter"):
            notebooks.chapter(ROOT / name, made)


def test_the_package_knows_the_exercises_of_every_chapter():
    assert [*CHAPTERS] == [text.stem for text in chapters.texts()]
    for text in chapters.texts():
        tagged = chapters.tagged(jupytext.read(text), "exercise")
        assert [*map(chapters.checked, tagged)] == [*CHAPTERS[text.stem].EXERCISES], text.stem


class Here:
    """Calls answers by the same code, in this process."""

    limits = Limits()

    def ask(self, call, seconds):
        with torch.enable_grad():  # as there, where it is not called by autograd
            return base64.b64decode(eval(f"handed_in.{call}"))


@pytest.mark.parametrize("name", ALL)
def test_an_answer_that_is_called_elsewhere_is_told_the_same(name):
    exercise = ALL[name]
    functions = {m: known.function for m, known in exercise.mistakes.items()}
    functions |= dict(reference=exercise.reference, stub=lambda *case: ..., stops=lambda: 0)
    for what, function in functions.items():
        handed_in.check(name, function)
        assert check(name, answers.answer(Here(), name)) == check(name, function), what
