"""The grader: right answers pass however written, each mistake is called by its name."""

import pytest
import torch

from nanoparadigm import InputError
from nanoparadigm.check import check
from nanoparadigm.exercises import ALL, CHAPTERS

names = pytest.mark.parametrize("name", ALL)
MISTAKES = [(name, mistake) for name, exercise in ALL.items() for mistake in exercise.mistakes]


def test_no_two_chapters_share_a_name():
    assert len(ALL) == sum(len(chapter.EXERCISES) for chapter in CHAPTERS)


@names
def test_the_reference_and_its_variant_are_right(name):
    for answer in (ALL[name].reference, ALL[name].variant):
        verdict = check(name, answer)
        assert verdict and verdict.mistake is None, verdict
        assert repr(verdict).startswith(f"{name}: right")


@pytest.mark.parametrize("name, mistake", MISTAKES)
def test_every_mistake_is_called_by_its_name(name, mistake):
    verdict = check(name, ALL[name].mistakes[mistake].function)
    assert not verdict and verdict.mistake == mistake
    assert repr(verdict) == f"{name}: not yet. {ALL[name].mistakes[mistake].hint}"


@names
def test_an_exercise_has_mistakes_to_name_in_one_sentence_each(name):
    mistakes = ALL[name].mistakes
    assert len(mistakes) >= 3
    for mistake in mistakes.values():
        first = mistake.hint.split()[0]
        assert first[0].isupper() or first in ("alpha", "alpha_t", "k", "t", "0", "1")
        assert mistake.hint.endswith(".") and len(mistake.hint) < 200 and "\n" not in mistake.hint


@names
@pytest.mark.parametrize(
    "answer, said",
    [
        (lambda *case: None, "gave nothing: end it with return"),
        (lambda *case: ..., "gave nothing"),
        (lambda *case: "later", "gave a str, not a tensor of numbers"),
        (lambda *case: 1 / 0, "stopped with ZeroDivisionError: division by zero"),
        (lambda: 0, "stopped with TypeError"),
    ],
)
def test_what_is_no_answer_is_told_so(name, answer, said):
    verdict = check(name, answer)
    assert not verdict and verdict.mistake is None
    assert verdict.message.startswith(f"{name}: not yet. On case 1 it {said}"), verdict


@names
def test_a_random_answer_is_wrong_and_told_where(name):
    generator = torch.Generator().manual_seed(0)

    def answer(*case):
        shape = torch.as_tensor(ALL[name].reference(*case)).shape
        return torch.rand(shape, generator=generator)

    verdict = check(name, answer)
    assert not verdict
    if name != "own_schedule":  # of which only properties are asked, and a few suffice to name it
        assert verdict.mistake is None
        assert "right on 0 of" in verdict.message and "On case 1" in verdict.message


def test_an_answer_may_work_in_place():
    def subs(logits, z):
        logits[..., 3] = -torch.inf
        log_p = logits.log_softmax(-1)[..., :3]
        log_p[z != 3] = torch.where(torch.arange(3) == z[z != 3][:, None], 0.0, -torch.inf).double()
        z.fill_(3)
        return log_p

    assert check("subs", subs)


def test_an_answer_of_several_tensors_need_not_be_stacked():
    assert check("hollow_inputs", lambda z, start: tuple(ALL["hollow_inputs"].reference(z, start)))
    assert check("paired_difference", lambda a, b: [*ALL["paired_difference"].reference(a, b)])
    assert not check("hollow_inputs", lambda z, start: (z, z[0]))


def test_a_name_that_is_none():
    with pytest.raises(InputError, match="did you mean 'subs'"):
        check("sub", None)
