"""The plans for teachers name sections and exercises that the chapters have."""

import re

import pytest
from helpers import ROOT

from nanoparadigm.exercises import ALL

BOOK = ROOT / "book"
PAGE = (BOOK / "teachers.md").read_text(encoding="utf-8")
ROWS = [line for line in PAGE.splitlines() if re.match(r"\| \d+.*\(#exit-\w+\)", line)]
NAMED = [
    (chapter, section)
    for row in ROWS
    for chapter, named in re.findall(r"\]\(([\w-]+\.md)\):? ([^|]*?)(?=; \[|\s*\|)", row)
    for section in re.findall(r"\*([^*]+)\*", named)
]


def test_there_are_three_plans():
    assert len(ROWS) == 6 + 8 + 14 and len(NAMED) > 100


@pytest.mark.parametrize("chapter, section", sorted({*NAMED}))
def test_a_plan_names_a_section_of_the_chapter(chapter, section):
    assert f"\n## {section}\n" in (BOOK / chapter).read_text(encoding="utf-8")


@pytest.mark.parametrize("row", ROWS)
def test_a_session_has_ninety_minutes_exercises_and_a_question(row):
    *_, minutes, exercises, question, _ = row.split("|")
    assert sum(map(int, re.findall(r"\d+", minutes))) + 5 == 90
    assert {*re.findall(r"`(\w+)`", exercises)} <= {*ALL}
    [name] = re.findall(r"#(exit-\w+)", question)
    assert f":name: {name}\n" in PAGE
