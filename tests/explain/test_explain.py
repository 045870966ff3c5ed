"""What verdicts say: arguments that can be typed in, errors in plain words, true sentences."""

import math

import pytest
import torch

from nanoparadigm.explain.arguments import apart, listed, names, number, rows, typed
from nanoparadigm.explain.differences import kind
from nanoparadigm.explain.errors import MEANINGS, meaning, place

# ----------------------------------------------------------------------------------- the arguments

FLOATS = torch.tensor([[0.7, 0.3, 0.0], [-0.0, 1e-200, 1 - 1e-9]], dtype=torch.float64)
ODD = torch.tensor([math.nan, math.inf, -math.inf, 1.0])


@pytest.mark.parametrize(
    "value",
    [
        FLOATS,
        ODD,
        torch.tensor(0.25),
        torch.tensor([[0, 3], [2, 1]]),
        torch.tensor([True, False]),
        torch.zeros(0, 3),
        torch.arange(30).double().view(2, 3, 5) / 7,
        torch.tensor(3),
        0.1,
        1e-9,
        7,
        True,
        [0.5, [1, 2], (3,)],
        "a text",
        None,
    ],
)
def test_what_is_typed_in_again_is_the_same(value):
    again = eval(typed(value))
    if isinstance(value, torch.Tensor):
        assert again.dtype == value.dtype and again.shape == value.shape
        again, value = again.double(), value.double()
        assert torch.allclose(again, value, rtol=1e-5, equal_nan=True)
        assert (again == again.round()).equal(value == value.round())  # none has become whole
    else:
        assert again == value


def test_what_is_large_is_told_by_shape_and_type():
    assert typed(torch.zeros(32, 5).bool()) == "...  # a tensor of shape (32, 5), torch.bool"
    assert typed(torch.zeros(31, dtype=torch.float64)).endswith("shape (31,), torch.float64")
    assert typed({n: n for n in range(99)}) == "...  # a dict"
    assert typed(len) == "...  # the function len"


def test_long_rows_stand_below_one_another():
    case = torch.arange(15).double().view(5, 3) / 7, 5
    lines = "\n".join(listed(lambda first, second: 0, case)).splitlines()
    assert lines[0] == "first = torch.tensor([[0.0, 0.142857, 0.285714],"
    assert lines[4] == "                      [1.71429, 1.85714, 2.0]], dtype=torch.float64)"
    assert lines[5] == "second = 5"
    assert all(len(line) < 100 for line in lines)


def test_arguments_have_the_names_of_the_reference():
    assert names(lambda x, alpha, generator: 0, 2) == ["x", "alpha"]
    assert names(lambda x, *rest, also: 0, 3) == ["x", "rest", "argument_3"]


def test_a_number_has_as_many_digits_as_it_needs():
    """Six, more only where they would make it whole, and none that are the error of floats."""
    assert [rows(x, 0) for x in (1 - 1e-16, 2 + 1e-15, -0.0)] == ["1.0", "2.0", "0.0"]
    assert [rows(x, 0) for x in (1 / 3, 1 - 1e-9, 1e-200)] == ["0.333333", "0.999999999", "1e-200"]
    assert [rows(x, 0) for x in (1234567.0, 1234567.25)] == ["1234567.0", "1234567.2"]


def test_numbers_of_a_sentence():
    assert [number(x) for x in (-0.0, 3.0, 1 / 3, math.inf)] == ["0", "3", "0.333333", "inf"]
    assert apart(1.0, 2.0) == ("1", "2") and apart(2.0, 2.0 + 3e-8) == ("2", "2.00000003")


# -------------------------------------------------------------------------------------- the errors

t, F, zeros = torch.tensor, torch.nn.functional, torch.zeros


@pytest.mark.parametrize(
    "does, said",
    [
        (lambda: zeros(3) + zeros(4), "on axis 0 one has size 3, the other 4"),
        (lambda: zeros(3).expand(4), "axis 0 has size 3 and cannot become 4"),
        (lambda: zeros(3).numpy() + zeros(4).numpy(), "their shapes are (3,) and (4,)"),
        (lambda: zeros(2, 3) @ zeros(2, 4), "no matrix product of (2, 3) and (2, 4), because 3"),
        (lambda: zeros(2, 3) @ zeros(2), "a matrix (2, 3) and a vector of 2, because 3 is not 2"),
        (lambda: zeros(3) @ zeros(4), "no dot product of 3 numbers and 4"),
        (lambda: zeros(5, 2, 3) @ zeros(5, 2, 3), "begin with (5, 3), not (5, 2)"),
        (lambda: torch.einsum("ij,jk->ik", zeros(2, 3), zeros(2, 3)), "letter j stands for size 2"),
        (lambda: torch.einsum("ij->i", zeros(2)), "2 letters, and the number of its axes is 1"),
        (lambda: zeros(2, 3)[zeros(3).bool()], "a mask of shape (3) cannot choose from"),
        (lambda: zeros(3).__setitem__(t([0, 1]), zeros(3)), "do not fit where you put them"),
        (lambda: zeros(3, 3)[t([0, 1]), t([0, 1, 2])], "the indices do not fit together"),
        (lambda: zeros(3).gather(0, t([[1]])), "an index with as many axes as the tensor"),
        (lambda: zeros(4).view(3), "4 numbers cannot be arranged in the shape (3)"),
        (lambda: zeros(2, 3).t().view(6), "use reshape"),
        (lambda: torch.stack([zeros(2), zeros(3)]), "tensors of one shape, and got (2) and (3)"),
        (lambda: torch.cat([zeros(2, 2), zeros(3, 3)]), "differ only on axis 0"),
        (lambda: torch.cat([zeros(2, 2), zeros(3)]), "equally many axes; these have 2 and 1"),
        (lambda: torch.cat([t(1.0), t(2.0)]), "use torch.stack"),
        (lambda: torch.tensor([[1, 2], [3]]), "the rows of a list differ in length: 2 and 1"),
        (lambda: float(zeros(3)), "a tensor of several numbers stands where Python needs one"),
        (lambda: math.log(zeros(3)), "a tensor of several numbers stands where Python needs one"),
        (lambda: zeros(3).item(), "a tensor of several numbers stands where Python needs one"),
        (lambda: 1 if zeros(3) else 2, "a condition (if, and, or, not) needs one truth value"),
        (lambda: range(t(2.0)), "an index or a range needs one whole number"),
        (lambda: [*t(1.0)], "a tensor that is a single number has no length"),
        (lambda: t(1.0)[0], "a tensor that is a single number cannot be indexed"),
        (lambda: zeros(3).sum(1), "there is no axis 1: the axes of this tensor are -1 to 0"),
        (lambda: t(1.0).size(0), "there is no axis 0: this tensor is a single number"),
        (lambda: zeros(3)[0, 1], "more indices than axes, of which this tensor has 1"),
        (lambda: zeros(3)[5], "no index 5 on axis 0, whose size is 3"),
        (lambda: zeros(3).numpy()[5], "no index 5 on axis 0, whose size is 3"),
        (lambda: F.embedding(t([9]), zeros(3, 2)), "larger than the table"),
        (lambda: zeros(3).cumsum(), "cumsum needs to be told the axis, as in x.cumsum(-1)"),
        (lambda: zeros(3)[zeros(3)], "an index must be whole numbers: convert it with .long()"),
        (lambda: zeros(3)[1.0], "an index must be a whole number"),
        (lambda: zeros(3).gather(0, zeros(3)), "gather needs whole numbers as its index"),
        (lambda: F.one_hot(zeros(3)), "one_hot needs whole numbers"),
        (lambda: t([1, 2]).mean(), "this needs numbers with a fraction"),
        (lambda: t([1, 2]).std(), "this needs numbers with a fraction"),
        (lambda: t([1, 2]).softmax(-1), "this needs numbers with a fraction"),
        (lambda: zeros(3, 3) @ zeros(3, 3).double(), "a product of float and double numbers"),
        (lambda: zeros(3) @ zeros(3).double(), "of two types, Float and Double"),
        (lambda: zeros(3, 3) @ zeros(3).double(), "of two types, Double and Float"),
        (lambda: zeros(3).index_put_((t([1]),), t([1.0]).double()), "of two types, Float and Dou"),
        (lambda: t([1]).add_(0.5), "Float numbers cannot be kept in a tensor of Long ones"),
        (lambda: torch.where(zeros(3), 1.0, 2.0), "a condition or mask must be truth values"),
        (lambda: zeros(3).masked_fill(zeros(3), 0), "a condition or mask must be truth values"),
        (lambda: 1 - t([True]), "truth values cannot be subtracted"),
        (lambda: ~zeros(3), "need truth values: convert with .bool()"),
        (lambda: zeros(3) & zeros(3), "need truth values: convert with .bool()"),
        (lambda: (0.5).log(), "a Python float has no .log: torch.tensor(x) makes a tensor of it"),
        (lambda: torch.log(0.5), "torch.log needs a tensor and got a Python float"),
        (lambda: torch.stack([1.0, 2.0]), "one of them is a Python float"),
        (lambda: torch.where(True, 1.0, 2.0), "torch.where does not take arguments of these ty"),
        (lambda: F.one_hot(t([3]), 3), "one_hot got a number that is not below num_classes"),
        (lambda: F.one_hot(t([-1]), 3), "one_hot got a negative number"),
        (
            lambda: F.cross_entropy(zeros(2, 4, 3), zeros(2, 4).long()),
            "would have shape (2, 3), and they have (2, 4)",
        ),
        (lambda: F.cross_entropy(zeros(2, 3), t([1, 1, 1])), "2 rows of logits for 3 targets"),
        (lambda: F.cross_entropy(zeros(1, 3), t([3])), "the target 3, for which"),
        (lambda: F.nll_loss(zeros(2, 3), zeros(2)), "the numbers of the classes, whole ones"),
        (lambda: F.cross_entropy(zeros(2, 3), t([[1], [2]])), "one for each row of logits"),
        (lambda: torch.multinomial(t([-1.0, 2.0]), 1), "numbers that are not negative"),
        (lambda: math.log(0), "torch.log(0) is -inf, and torch.special.xlogy takes 0 log 0 as 0"),
        (lambda: math.sqrt(-1), "a function of math got a number for which it has no value"),
        (lambda: math.exp(1000), "a result is too large for a float"),
        (lambda: zeros(3).sum().backward(), "there is nothing to differentiate"),
        (lambda: zeros(3).grad.zero_(), "the gradient is None until backward() was called, and No"),
        (lambda: zeros(3) - 0.1 * zeros(3).grad, "something is None where a tensor or a number"),
        (lambda: zeros(3).sub_(zeros(3).grad), "a gradient is None until backward() was called"),
        (lambda: zeros(3).grad[0], "a gradient is None until backward() was called, and a functi"),
        (lambda: zeros(3, requires_grad=True).add_(1), "was changed in place: make a new tensor"),
        (lambda: zeros(3, requires_grad=True).numpy(), "numpy keeps no gradient: stay in torch"),
        (lambda: torch.empty(10**15), "it asked for more memory than there is"),
        (lambda: (f := lambda n: f(n + 1))(0), "a function calls itself without end"),
        (lambda: exit(3), "it ended the program, by exit, quit or sys.exit"),
        (lambda: throw(NotImplementedError()), "it is not written yet"),
        (lambda: throw(AssertionError()), "an assert in it failed"),
        (lambda: throw(KeyError()), "KeyError: without a reason"),
        (lambda: throw(ValueError("one.\ntwo")), "ValueError: one"),
        (lambda: {}["a"], "KeyError: 'a'"),
    ],
)
def test_an_error_is_told_in_plain_words(does, said):
    with pytest.raises(BaseException) as caught:
        does()
    told = meaning(caught.value)
    assert said in told and "{" not in told and "\n" not in told and not told.endswith("."), told


def throw(error):
    raise error


def test_a_tensor_that_was_changed_although_its_gradient_needs_it():
    x = torch.ones(2, requires_grad=True)
    y = x.exp()
    y += 1
    with pytest.raises(RuntimeError) as caught:
        y.sum().backward()
    assert meaning(caught.value).startswith("a tensor that the gradient needs was changed")


def test_every_translation_takes_what_its_pattern_finds():
    for plain in MEANINGS.values():
        assert plain.format("0", "1", "2", "3") and not plain.endswith(".")


def caught(does):
    with pytest.raises(Exception) as error:
        does()
    return place(error.value)


def test_the_line_of_an_error_is_the_students_own():
    def outer(x):
        y = x + 1
        return inner(y)

    def inner(y):
        found = 0
        return [math.log(number + found) for number in y]

    space = {}
    source = "def mine(x):\n    if x:\n        return F.one_hot(x)\n"
    exec(compile(source, "<a cell>", "exec"), {"F": F}, space)
    here = " in line 3 of inner, `return [math.log(number + found) for number in y]`"
    assert caught(lambda: outer(torch.tensor([3.0, -1.0]))) == here
    assert caught(lambda: space["mine"](t([1.0]))) == " in line 3 of mine"
    assert place(ValueError("raised nowhere")) == ""


# --------------------------------------------------------------------------------- the differences


def agree(a, b):
    return a.shape == b.shape and bool(torch.isclose(a, b, 1e-5, 1e-5, True).all())


def said(answer, *cases, right=lambda x: x, sizes=None):
    """What is said of an answer to "return right(x)"."""
    pairs = [(answer(x.clone()), right(x.clone())) for x in cases]
    return kind(pairs, agree, sizes or {})


ROW = torch.tensor([0.5, 2.0, -1.25, 4.0]).double()
PLUS = torch.tensor([0.5, 2.0, 1.25, 4.0]).double()
TABLE = torch.tensor([[0.1, 0.7, 0.2], [0.5, -0.3, 0.9]]).double()
SQUARE = torch.tensor([[0.1, 0.7], [0.5, 0.3]]).double()
CUBE = torch.arange(24).double().view(2, 3, 4) ** 2


@pytest.mark.parametrize(
    "answer, cases, expected",
    [
        (torch.neg, [ROW, TABLE], "right but for the sign: each is minus the right one."),
        (torch.abs, [ROW], "right but for the sign: none of yours is negative."),
        (lambda x: 1 - x, [ROW], "Each of your numbers is 1 minus the right one."),
        (lambda x: 3 * x, [ROW, TABLE], "the right one times 3."),
        (lambda x: x / 5, [ROW], "the right one times 1/5."),
        (lambda x: -x / 5, [ROW], "the right one times -1/5."),
        (lambda x: x / math.log(2), [ROW], "times 1.4427, which is 1 / log 2."),
        (lambda x: -math.pi * x, [ROW], "times -3.14159, which is minus pi."),
        (lambda x: 1.234567 * x, [ROW], "times 1.23457."),
        (lambda x: x + 0.5, [ROW], "Each of your numbers is 0.5 more than the right one."),
        (lambda x: x - 2, [ROW, TABLE], "Each of your numbers is 2 less than the right one."),
        (torch.exp, [ROW], "is e to the right one: take the logarithm, or leave out an exp."),
        (lambda x: (-x).exp(), [ROW], "is e to minus the right one"),
        (torch.log, [PLUS], "is the logarithm of the right one: take exp, or leave out a log."),
        (lambda x: -x.log(), [PLUS], "is minus the logarithm of the right one."),
        (torch.log2, [PLUS], "its logarithm to the base 2."),
        (torch.square, [ROW], "is the square of the right one."),
        (torch.sqrt, [PLUS], "is the square root of the right one."),
        (torch.reciprocal, [ROW], "is 1 over the right one."),
        (torch.round, [ROW], "they are rounded to whole numbers."),
        (lambda x: x.long(), [ROW], "they are rounded to whole numbers."),
        (lambda x: x > 0, [ROW], "You return truth values, and numbers are asked for."),
        (lambda x: 0 * x, [ROW, TABLE], "Every number that you return is 0."),
        (lambda x: -1e-17 * x, [PLUS], "Every number that you return is 0."),
        (lambda x: 0.3 + 1e-15 * x, [ROW], "Every number that you return is 0.3."),
        (lambda x: x.flip(0), [ROW], "but in reversed order."),
        (lambda x: x.flip(1), [TABLE], "but in reversed order along axis 1."),
        (lambda x: x.roll(1, 0), [ROW], "but one place too late."),
        (lambda x: x.roll(-1, 0), [ROW], "but one place too early."),
        (lambda x: torch.cat([0 * x[:1], x[:-1]]), [ROW[:1], ROW], "one place too late."),
        (lambda x: x.roll(1, 1), [TABLE], "one place too late along axis 1."),
        (lambda x: x.sort().values, [ROW], "the right ones, but they stand in other places."),
        (lambda x: x.T, [TABLE, SQUARE], "Your numbers are right, but transposed."),
        (lambda x: x.T, [SQUARE], "Your numbers are right, but transposed."),
        (lambda x: x.transpose(0, 2), [CUBE], "but transposed: axes 0 and 2 are swapped."),
        (lambda x: x + 1e-4, [ROW], "Each of your numbers is 0.0001 more"),
        (lambda x: x * (1 + 1e-3 * torch.rand(4)), [ROW], "Your numbers are nearly right"),
        (
            lambda x: x.bfloat16(),
            [ROW / 3],
            "0.003): perhaps you compute in torch.bfloat16, as in 0.693",
        ),
        (
            lambda x: x.clamp(min=0) / x.clamp(min=0),
            [ROW],
            "The first NaN among yours is at [2] of case 1; 0 / 0",
        ),
        (
            lambda x: 1 / (x - x),
            [ROW],
            "The first infinite number among yours is at [0] of case 1; a",
        ),
        (lambda x: x[None], [ROW, TABLE], "only axes of size 1 are too many or too few"),
        (lambda x: x.flatten(), [TABLE], "in the right order: only the shape is not."),
        (lambda x: x[1:], [ROW], "The first number is missing; the others are right."),
        (lambda x: x[:, :-1], [TABLE], "The last number along axis 1 is missing; the others"),
        (lambda x: torch.cat([x, x[:1]]), [ROW], "The last of your numbers is one too many"),
        (lambda x: torch.cat([x[:1], x]), [ROW], "The first of your numbers is one too many"),
    ],
)
def test_a_difference_of_one_kind_is_told(answer, cases, expected):
    told = said(answer, *cases)
    assert told and expected in told and told.endswith("."), told


@pytest.mark.parametrize(
    "answer, right, expected",
    [
        (lambda x: x, lambda x: x.sum(0), "Summed over axis 0, your numbers are right."),
        (lambda x: x, lambda x: x.mean(1), "Averaged over axis 1, your numbers are right."),
        (lambda x: x, torch.sum, "The sum of all your numbers is right."),
        (lambda x: x, torch.mean, "The mean of all your numbers is right."),
        (lambda x: x.sum(1, True), lambda x: x.sum(1), "only axes of size 1 are too many"),
        (lambda x: x.sum(0), lambda x: x.sum(0).expand(2, 3), "they must be repeated (expand)."),
        (lambda x: x.sum(0), lambda x: x.mean(0), "the right one times 2."),
        (lambda x: x.exp(), lambda x: x.log_softmax(-1), None),
        (lambda x: x.softmax(-1), lambda x: x.log_softmax(-1), "take the logarithm"),
    ],
)
def test_what_is_still_to_be_done_is_told(answer, right, expected):
    told = said(answer, TABLE, TABLE + 1, right=right)
    assert told == expected or expected and expected in told


def test_a_factor_is_told_by_the_name_of_what_it_is():
    sizes = {"L": [2.0, 5.0], "len(x)": [4.0, 2.0], "x.shape[1]": [9.0, 3.0]}
    cases = ROW, TABLE
    for name, power, words in [
        ("L", 1, "times L"),
        ("len(x)", -1, "divided by len(x)"),
        ("x.shape[1]", 0.5, "times the square root of x.shape[1]"),
        ("L", -0.5, "divided by the square root of L"),
    ]:
        factors = iter(value**power for value in sizes[name])
        told = said(lambda x, factors=factors: next(factors) * x, *cases, sizes=sizes)
        assert told == f"Each of your numbers is the right one {words}."
    factors = iter([2.0, 4.0])
    assert said(lambda x: next(factors) * x, *cases, sizes=sizes) is None


def test_nothing_is_told_that_does_not_hold_for_every_number_of_every_case():
    """A rule for one case, or for all numbers but one, or that one number fits by luck."""
    rules = torch.neg, torch.exp, torch.square, lambda x: 3 * x, lambda x: x + 0.5
    for rule in rules:
        assert said(rule, ROW, TABLE) is not None
        assert said(lambda x, rule=rule: rule(x) if x.ndim == 1 else x, ROW, TABLE) is None

        def but_one(x, rule=rule):
            x, last = rule(x), x.flatten()[-1] * 7 + 1
            x.view(-1)[-1] = last
            return x

        assert said(but_one, ROW, TABLE) is None
    one = torch.tensor(2.0).double()
    assert said(lambda x: 3 * x, one) is None and said(lambda x: x + 1, one, one) is None
    same = torch.full((4,), 0.25).double()
    assert said(lambda x: torch.cat([x[:1] + 1, x[1:]]), same) is None  # not shifted
    assert said(lambda x: x * torch.tensor([2, 2, 2, 2.1]).double(), 1e-3 * ROW) is None
    assert said(lambda x: x.clamp(min=-700), torch.tensor([-math.inf, -1.0, -2.0])) is None


def test_a_random_answer_is_told_no_rule():
    g = torch.Generator().manual_seed(0)
    for _ in range(200):
        ours, right = torch.rand(2, 3, 4, generator=g).double()
        assert kind([(ours, right)], agree, {"n": [3.0], "m": [4.0]}) is None
        assert kind([(ours[0], right)], agree, {}) is None
