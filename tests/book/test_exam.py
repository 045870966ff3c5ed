"""The exam: its solutions run, say in words what they print, and add up to its points."""

import re
import subprocess
import sys

from helpers import ROOT

EXAM = (ROOT / "book/exam/exam.md").read_text(encoding="utf-8")
SOLUTIONS = (ROOT / "book/exam/solutions.md").read_text(encoding="utf-8")


def test_the_words_of_a_solution_have_the_numbers_that_its_code_prints():
    parts = re.split(r"^## ", SOLUTIONS, flags=re.M)[1:]
    assert len(parts) == 8
    for part in parts:
        code, words = re.search(r"```python\n(.*?)```(.*)", part, re.S).groups()
        said = subprocess.check_output([sys.executable, "-c", code], text=True)
        numbers = re.findall(r"\d+\.\d+", said)
        words = words.replace("{,}", "")
        lost = [n for n in numbers if n not in words and n.rstrip("0").rstrip(".") not in words]
        assert not lost, (part[:20], lost)


def test_the_points_add_up():
    total = 0
    for part in re.split(r"^## ", EXAM, flags=re.M)[1:]:
        whole = int(re.search(r"\((\d+) points\)", part)[1])
        assert sum(map(int, re.findall(r"\*\((\d+) points\)\*", part))) == whole
        total += whole
    assert total == 90
