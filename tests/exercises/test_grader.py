"""The grader: right answers pass however written, each mistake is called by its name."""

import math
import re

import pytest
import torch

from nanoparadigm import InputError
from nanoparadigm.exercises import ALL, CHAPTERS, check
from nanoparadigm.exercises.grader import Exercise, Mistake, numbers, returned

names = pytest.mark.parametrize("name", ALL)
MISTAKES = [(name, mistake) for name, exercise in ALL.items() for mistake in exercise.mistakes]


def test_no_two_chapters_share_a_name():
    assert len(ALL) == sum(len(chapter.EXERCISES) for chapter in CHAPTERS.values())


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
    assert verdict.message == f"{name}: not yet. {ALL[name].mistakes[mistake].hint}"
    assert repr(verdict).startswith(verdict.message) and "\n" not in verdict.message


def flat(cases):
    """All numbers of some cases, in a row."""
    return torch.cat([torch.as_tensor(a).double().flatten() for case in cases for a in case])


@names
def test_fresh_cases_are_others_on_which_the_same_is_right_and_wrong(name):
    exercise, others = ALL[name], 0
    for seed in (1, 1000, 2**31):
        usual, fresh = exercise.cases(), exercise.cases(seed)
        assert [len(case) for case in fresh] == [len(case) for case in usual]
        if any(usual):  # own_schedule is given nothing
            others += not flat(fresh).equal(flat(usual))
            assert flat(fresh).equal(flat(exercise.cases(seed)))
        for answer in (exercise.reference, exercise.variant):
            assert check(name, answer, seed), seed
        for mistake, known in exercise.mistakes.items():
            assert not check(name, known.function, seed), (mistake, seed)
    assert others >= 2 or name == "own_schedule"


def test_what_is_known_by_heart_is_wrong_on_fresh_cases():
    right = [ALL["linear_clock"].reference(*case) for case in ALL["linear_clock"].cases()]
    for seed, passes in (0, True), (1, False):
        known = iter(right)
        assert bool(check("linear_clock", lambda t, known=known: next(known), seed)) is passes


@names
def test_an_exercise_has_mistakes_to_name_in_a_sentence_or_two_each(name):
    mistakes = ALL[name].mistakes
    assert len(mistakes) >= 4
    for mistake in mistakes.values():
        first = mistake.hint.split()[0]
        assert first[0].isupper() or first[0].isdigit() or first in ("alpha", "alpha_t", "k", "t")
        assert mistake.hint.endswith(".") and len(mistake.hint) < 240 and "\n" not in mistake.hint


@names
def test_what_is_not_returned_has_a_name_in_the_students_words(name):
    exercise = ALL[name]
    if exercise.measure is returned:
        return
    assert exercise.says or exercise.shown
    for case in exercise.cases() if exercise.says else ():
        for place in torch.ones_like(numbers(exercise, exercise.reference, case)).nonzero():
            said = exercise.says(tuple(place.tolist()), *case)
            assert 3 < len(said) < 120 and not said.endswith("."), said


@names
@pytest.mark.parametrize(
    "answer, said",
    [
        (lambda *case: None, "gave nothing: end it with return."),
        (lambda *case: ..., "gave nothing: end it with return."),
        (lambda *case: "later", "gave a str, not a tensor of numbers."),
        (lambda *case: torch.empty(3, device="meta"), "gave a meta tensor: return ordinary"),
        (lambda *case: 1 / 0, "stopped in `(lambda *case: 1 / 0,"),
        (lambda *, hidden: 0, "cannot be called with "),
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
        assert "On case 1" in verdict.message
        assert not re.search("right on [1-9]", verdict.message)


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


# ------------------------------------------------------------- an exercise whose verdicts are known

CASES = [(torch.tensor([1.0, 20.0]),), (torch.tensor([3.0, 4000.0]),), (torch.tensor([0.0, 1e-3]),)]


def graded(answer, **options):
    """The verdict on an answer to "say twice what you are given"."""
    mistakes = dict(
        half=Mistake(lambda x: x / 2, "It halves."),
        square=Mistake(lambda x: x * x, "It squares."),
        stops=Mistake(lambda x: 1 / 0, "It stops."),
        once=Mistake(lambda x: x, "It forgets to double."),
    )
    options = dict(cases=lambda seed: CASES) | options
    twice = Exercise(lambda x: 2 * x, lambda x: x + x, mistakes, **options)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(ALL, "twice", twice)
        return check("twice", answer)


def off_by(error, case, place=1):
    """The right answer, but for one number."""

    def answer(x):
        wrong = 2 * x.double()
        if x.equal(CASES[case][0]):
            wrong[place] += error
        return wrong

    return answer


@pytest.mark.parametrize(
    "case, allowed", [(0, 41e-5), (1, 8001e-5), (2, 1.002e-5)], ids=["40", "8000", "0.002"]
)
def test_a_number_may_be_off_by_the_tolerance_and_its_own_share_of_it(case, allowed):
    for sign in (-1, 1):
        assert graded(off_by(sign * 0.9 * allowed, case))
        assert not graded(off_by(sign * 1.1 * allowed, case))
        assert graded(off_by(sign * 0.9 * 100 * allowed, case), tolerance=1e-3)
        assert not graded(off_by(sign * 1.1 * 100 * allowed, case), tolerance=1e-3)


def test_one_wrong_number_is_told_with_its_case_and_place_and_how_many_are_right():
    said = graded(off_by(3.0, 1, place=0)).message
    assert said == (
        "twice: not yet, right on 2 of 3 cases. On case 2 you return 9 at [0]; right is 6."
    )
    said = graded(lambda x: 2 * x if x[0] == 1 else 2 * x + torch.tensor([0.0, 8.0])).message
    assert "right on 1 of 3 cases. On case 2 you return 8008 at [1]; right is 8000." in said
    said = graded(lambda x: 2 * x + 1).message
    assert "right on 0 of 3 cases. On case 1 you return 3 at [0]; right is 2." in said
    said = graded(lambda x: 5 * x[None]).message
    assert "right on 0 of 3 cases. On case 1 its shape is (1, 2), not (2,)." in said


def test_of_one_case_none_is_counted():
    said = graded(lambda x: x + 7, cases=lambda seed: CASES[:1]).message
    assert said.startswith("twice: not yet. On case 1 you return 8 at [0]; right is 2.")
    assert graded(lambda x: x + x, cases=lambda seed: CASES[:1]).message == "twice: right."


def test_the_arguments_of_the_first_wrong_case_stand_below_and_can_be_had():
    verdict = graded(off_by(3.0, 1, place=0))
    assert repr(verdict).splitlines()[1:] == [
        "Case 2:",
        "    x = torch.tensor([3.0, 4000.0])",
        "    yours: [9.0, 8000.0]",
        "    right: [6.0, 8000.0]",
    ]
    assert verdict.case[0].equal(CASES[1][0])
    assert graded(lambda x: x.clone()).details.startswith(
        "Case 1:\n    x = torch.tensor([1.0, 20.0])"
    )
    assert graded(lambda x: x / 0 if x[0] == 3 else 1 / 0).case is CASES[0]
    assert graded(lambda x: None).details == ""
    long = dict(cases=lambda seed: [(torch.ones(99),)])
    assert graded(lambda x: x + 3, **long).details.splitlines()[1:] == [
        "    x = ...  # a tensor of shape (99,), torch.float32",
        '    whole: check("twice", ...).case',
    ]
    assert graded(lambda x: 2 * x).case == () and graded(lambda x: 2 * x).details == ""


def test_what_is_wrong_everywhere_in_one_way_is_told():
    said = graded(lambda x: 6 * x).message
    assert said.endswith("right is 2. Each of your numbers is the right one times 3.")
    assert graded(lambda x: 6 * x if x[0] else 4 * x).message.endswith("right is 2.")


def measured(answer, **options):
    """The verdict where the exponential of what is returned is compared."""
    small = [(torch.tensor([-1.0, 0.5]),), (torch.tensor([0.25, -torch.inf]),)]
    measure = dict(measure=lambda answer, x: answer(x).exp(), cases=lambda seed: small)
    return graded(answer, **measure | options).message


def test_what_is_not_returned_is_not_told_as_returned():
    wrong = "twice: not yet, right on 0 of 2 cases. On case 1"
    said = measured(lambda x: 2 * x + 1)
    assert said == f"{wrong} the number compared at [0] is 0.367879; right is 0.135335."
    logarithm = dict(shown=lambda p: torch.tensor(p).log().item())
    said = measured(lambda x: 2 * x + x.exp(), **logarithm)
    assert said == f"{wrong} you return -1.63212 at [0]; right is -2."
    assert "you return 0 at [1]; right is -inf." in measured(
        lambda x: (2 * x).clamp(min=0) if x[1] < 0 else 2 * x, **logarithm
    )
    says = dict(says=lambda index, x: f"the chance of word {index[0]} after {x[0]:.0f}")
    said = measured(lambda x: 2 * x + 1, **says)
    assert said == f"{wrong}, the chance of word 0 after -1: yours 0.367879, right 0.135335."
    said = measured(lambda x: 2 * x + x.exp(), **says, **logarithm)
    assert said == f"{wrong}, the chance of word 0 after -1: yours -1.63212, right -2."


def test_what_is_wrong_in_one_way_is_told_of_what_is_returned_not_of_what_is_compared():
    logarithm = dict(shown=lambda p: torch.tensor(p, dtype=torch.float64).log().item())
    for answer, how in [
        (lambda x: 6 * x, "Each of your numbers is the right one times 3."),
        (lambda x: 2 * x + 1, "Each of your numbers is 1 more than the right one."),
        (lambda x: (2 * x).flip(0), "Your numbers are right, but in reversed order."),
    ]:
        assert measured(answer, **logarithm).endswith(f". {how}"), measured(answer, **logarithm)
        assert "our numbers" not in measured(answer)  # of a measure that cannot be undone
    said = check("subs", lambda logits, z: ALL["subs"].reference(logits, z) / math.log(2)).message
    assert said.endswith("Each of your numbers is the right one times 1.4427, which is 1 / log 2.")


def test_no_way_is_told_where_numbers_are_compared_that_nobody_returned():
    verdict = check("segment_decay", lambda log_a: 3 * ALL["segment_decay"].reference(log_a))
    assert verdict.message.endswith("M[0, 0]: yours 3, right 1."), verdict


def test_a_shape_with_which_the_measure_stops_is_told_as_a_wrong_shape():
    product = dict(measure=lambda answer, x: answer(x) @ torch.ones(2))
    said = graded(lambda x: torch.zeros(3), **product).message
    assert said == "twice: not yet. On case 1 it gave the shape (3,), not (2,)."
    said = graded(lambda x: torch.zeros(2).long(), **product).message
    assert said.startswith("twice: not yet. On case 1 it gave something that cannot be compared: ")


def test_numbers_that_differ_are_told_with_digits_that_differ():
    said = graded(lambda x: 2 * x.double() + 4e-9, tolerance=1e-9).message
    assert "you return 2.000000004 at [0]; right is 2." in said
    assert (
        "you return 2 at [0]; right is 1e-07"
        in graded(
            lambda x: 2 * x.clamp(min=1),
            cases=lambda seed: [(torch.tensor([5e-8, 3.0]),)],
            tolerance=1e-9,
        ).message
    )
    assert (
        "you return 5 at [0]; right is 0."
        in graded(lambda x: x + 5, cases=lambda seed: [(torch.tensor([-0.0]),)]).message
    )


def test_an_answer_that_nobody_has_begun_shows_nothing_in_a_notebook():
    def documented(x):
        """Say twice what you are given."""

    def dotted(x): ...

    def begun(x):
        x * 2

    def a_return(x):
        return

    shell = pytest.importorskip("IPython.core.formatters").DisplayFormatter()
    for answer in (documented, dotted, a_return, lambda x: None):
        verdict = graded(answer)
        assert repr(verdict) == "twice: not yet. On case 1 it gave nothing: end it with return."
        assert verdict.silent and shell.format(verdict) == ({}, {})
    for answer in (begun, lambda x: 3 * x, lambda x: x + x, print):
        verdict = graded(answer)
        assert not verdict.silent and shell.format(verdict)[0] == {"text/plain": repr(verdict)}


def test_a_right_answer_that_changes_its_argument_is_told():
    assert graded(lambda x: x.mul_(2)).message == (
        "twice: right, on all 3 cases. It changes x, which its caller may still need."
    )
    assert graded(lambda x: x.mul_(1).mul(2)).message == "twice: right, on all 3 cases."


def test_right_is_right_on_every_case_and_says_so():
    assert graded(lambda x: (x + x).tolist()).message == "twice: right, on all 3 cases."
    assert graded(lambda x: (x + x).to_sparse()).message == "twice: right, on all 3 cases."
    assert graded(lambda x: 2 * x if x[0] else x * 2 + 1).mistake is None


def test_a_mistake_is_named_only_if_it_is_made_on_every_case():
    assert graded(lambda x: x.clone()).mistake == "once"
    assert graded(lambda x: x * 0.5).message == "twice: not yet. It halves."
    for n in range(3):  # it halves here, and is right or wrong otherwise elsewhere

        def here(x, n=n):
            return x.equal(CASES[n][0])

        for other in (2.0, 3.0):
            verdict = graded(lambda x, here=here, other=other: x / 2 if here(x) else other * x)
            assert not verdict and verdict.mistake is None
    assert graded(lambda x: 1 / 0).mistake is None  # nor is a stop the mistake that stops


def test_no_answer_is_told_with_the_number_of_its_case():
    said = graded(lambda x: 2 * x if x[0] == 1 else None).message
    assert said == "twice: not yet. On case 2 it gave nothing: end it with return."
