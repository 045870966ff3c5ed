"""Questions about a language of one's own: other numbers for everybody, and told to nobody."""

import math
import re

import pytest
import torch
from seeds import faults

from nanoparadigm import InputError
from nanoparadigm.exercises import ALL, CHAPTERS, QUESTIONS, check
from nanoparadigm.exercises.grader import same
from nanoparadigm.exercises.yours import people_in, seed_of

questions = pytest.mark.parametrize("name", QUESTIONS)
SEEDS = (1, 17, 2**31 - 1)


def numbers(name, seed):
    return QUESTIONS[name].right(seed)


def test_a_question_belongs_to_a_chapter_and_has_a_name_of_its_own():
    chapters = [question.chapter for question in QUESTIONS.values()]
    assert len({*chapters}) == len(chapters) and {*chapters} <= {*CHAPTERS}
    assert not {*ALL} & {*QUESTIONS}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", [*ALL, *QUESTIONS])
def test_on_the_cases_of_a_seed_what_is_right_is_right_and_each_mistake_has_its_name(name, seed):
    exercise = ALL[name] if name in ALL else QUESTIONS[name].exercise(seed)
    assert faults(name, exercise, seed)[0] == []


def test_tables_with_which_a_mistake_is_never_one_are_drawn_anew():
    assert faults("best_filling", ALL["best_filling"], 717)[0] == []


@questions
def test_the_numbers_are_right_by_two_ways_and_to_four_digits_after_the_point(name):
    for seed in (0, *SEEDS):
        right, again = numbers(name, seed), QUESTIONS[name].again(seed)
        assert right == pytest.approx(again, abs=1e-9) and all(map(math.isfinite, right))
        assert check(name, lambda right=right: [round(x, 4) for x in right], seed)


@questions
def test_nobody_elses_numbers_are_right(name):
    rows = torch.tensor([numbers(name, seed) for seed in range(1, 61)], dtype=torch.float64)
    exercise = QUESTIONS[name].exercise(1)
    for i in range(len(rows)):
        for j in range(i):
            assert not same(exercise, rows[i], rows[j]), (j + 1, i + 1)


@questions
def test_the_book_s_numbers_are_called_so(name):
    verdict = check(name, lambda: numbers(name, 0), 17)
    assert verdict.mistake == "the book's language" and "language(17)" in verdict.message


@questions
def test_a_verdict_does_not_tell_the_right_numbers(name):
    right = numbers(name, 17)
    for wrong in (
        [x + 0.1 for x in right],
        right[:-1],
        [*right[:-1], 9.0],
        [2.0 * x for x in right],
    ):
        verdict = check(name, lambda wrong=wrong: wrong, 17)
        assert not verdict and verdict.details == ""
        assert not re.search(r"\d\.\d", verdict.message), verdict.message
    last = check(name, lambda: [*right[:-1], 9.0], 17)
    assert last.message.endswith(f"Number {len(right)} of {len(right)} is not right.")


def test_people_have_seeds_of_their_own(tmp_path):
    path = tmp_path / "class.txt"
    path.write_text("Ada Lovelace\n\n  Émile   Borel \nada lovelace 2\n", encoding="utf-8")
    people = people_in(path)
    assert [*people] == ["Ada Lovelace", "Émile Borel", "ada lovelace 2"]
    assert people["Ada Lovelace"] == seed_of("ADA  lovelace") and len({*people.values()}) == 3
    assert seed_of("E\u0301mile Borel") == seed_of("Émile Borel")
    assert all(0 < seed_of(str(n)) < 2**31 for n in range(1000))


@pytest.mark.parametrize(
    "text, said",
    [
        ("ada\nADA\n", "twice"),
        ("a/b\n", "cannot be the name"),
        ("..\n", "cannot be the name"),
        ("a\x1bb\n", "cannot be the name"),
        ("x" * 101, "at most 100"),
        (" \n\n", "no names"),
    ],
)
def test_a_list_of_names_that_cannot_be_used(tmp_path, text, said):
    path = tmp_path / "class.txt"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=said):
        people_in(path)
