"""Whatever an answer does or returns, `check` comes back with one sentence, and in time."""

import os
import signal
import sys
import threading
import time

import numpy as np
import pytest
import torch
from test_grader import CASES, graded

from nanoparadigm.exercises import ALL, check, grader
from nanoparadigm.explain import calling

PER_TENSOR = 0.1, 0, torch.quint8


def generated(x):
    yield 2 * x


async def later(x):
    return 2 * x


def endless(x):
    while True:
        try:
            x = x + 1
        except Exception:
            pass


def recursion(x):
    return recursion(x)


def within_itself(x):
    found = []
    found.append(found)
    return found


def leaves(error):
    def mine(x):
        raise error

    return mine


RETURNED = {
    "None": (lambda x: None, "gave nothing: end it with return"),
    "a text": (lambda x: "2", "gave a str, not a tensor of numbers"),
    "bytes": (lambda x: b"2", "gave a bytes, not a tensor of numbers"),
    "a dict": (lambda x: {"x": x}, "gave a dict, not a tensor of numbers"),
    "a set": (lambda x: {1, 2}, "gave a set, not a tensor of numbers"),
    "a function": (lambda x: lambda: 2 * x, "gave a function (call it), not a tensor of numbers"),
    "a type": (lambda x: int, "gave a type (call it), not a tensor of numbers"),
    "a map": (lambda x: map(float, x), "gave a map (list makes a list of it), not a tensor"),
    "a generator": (generated, "gave a generator (write return for yield, or [...] for (...))"),
    "a coroutine": (later, "gave a coroutine (write def without async), not a tensor"),
    "a list of texts": (lambda x: ["2", "40"], "gave a list of something other than numbers"),
    "None in a list": (lambda x: [2.0, None], "gave a list of something other than numbers"),
    "None beside a tensor": (lambda x: [x, None], "gave a list of something other than numbers"),
    "a list within itself": (within_itself, "gave a list of something other than numbers"),
    "ragged rows": (lambda x: [[2.0], [40.0, 1.0]], "gave parts of different shapes, (1,) and (2,"),
    "ragged tensors": (lambda x: (x, x[0]), "gave parts of different shapes, (2,) and ()"),
    "values and indices": (lambda x: x.max(0), "gave values and indices together: take .values"),
    "an array of texts": (lambda x: np.array(["2"]), "gave a ndarray of something other than num"),
    "an array of objects": (lambda x: np.array([x, None], dtype=object), "gave a ndarray of some"),
    "a module": (lambda x: torch, "gave a module, not a tensor of numbers"),
    "complex": (lambda x: 2j * x, "gave a complex tensor: return ordinary numbers"),
    "a complex number": (lambda x: 2j, "gave a complex, not a tensor of numbers"),
    "a complex number of numpy": (lambda x: np.complex128(2), "gave a complex tensor: return"),
    "several of these": (lambda x: [np.complex128(2)], "gave a complex tensor: return ordinary"),
    "quantised": (
        lambda x: torch.quantize_per_tensor(2 * x, *PER_TENSOR),
        "gave a quantised tensor: return ordinary numbers",
    ),
    "nested": (lambda x: torch.nested.nested_tensor([x, x[:1]]), "gave a nested tensor: return"),
    "jagged": (
        lambda x: torch.nested.nested_tensor([x, x[:1]], layout=torch.jagged),
        "gave a nested tensor: return ordinary numbers",
    ),
    "meta": (lambda x: x.to("meta"), "gave a meta tensor: return ordinary numbers"),
    "a huge view": (
        lambda x: x[0].expand(2**20, 2**20),
        "gave 1,099,511,627,776 numbers, a tensor of shape (1048576, 1048576)",
    ),
    "huge and sparse": (
        lambda x: torch.sparse_coo_tensor([[0]], [1.0], (2**40,)),
        "gave 1,099,511,627,776 numbers, a tensor of shape (1099511627776,)",
    ),
}

STOPPED = {
    "exit": (lambda x: sys.exit("bye"), "it ended the program, by exit, quit or sys.exit: return"),
    "a plain exit": (lambda x: exit(), "it ended the program"),
    "SystemExit": (leaves(SystemExit(0)), "stopped in line 2 of mine, `raise error`: it ended"),
    "an interrupt": (leaves(KeyboardInterrupt), "`raise error`: KeyboardInterrupt: without a reas"),
    "GeneratorExit": (leaves(GeneratorExit), "`raise error`: GeneratorExit: without a reason"),
    "no reason": (leaves(Exception), "`raise error`: Exception: without a reason"),
    "a reason of several lines": (
        leaves(ValueError("one.\ntwo")),
        "`raise error`: ValueError: one",
    ),
    "recursion": (recursion, "`return recursion(x)`: a function calls itself without end"),
    "memory": (lambda x: torch.empty(10**15), "it asked for more memory than there is"),
    "not written": (leaves(NotImplementedError), "`raise error`: it is not written yet"),
    "another number of arguments": (lambda a, b: a, "cannot be called with 1 argument: "),
    "one that stopped elsewhere": (leaves(calling.Unusable("was stopped")), "1 it was stopped."),
    "a function of torch": (
        torch.rand,
        "cannot be called with 1 argument: TypeError: rand(): argument 'size'",
    ),
    "no function": (3, "is not a function (int): give check the function, not what it returns."),
    "what it returned": (CASES[0][0], "is not a function (Tensor): give check the function"),
}


@pytest.mark.parametrize("what", RETURNED | STOPPED)
@pytest.mark.filterwarnings("ignore")
def test_an_odd_answer_ends_in_one_sentence(what):
    answer, said = (RETURNED | STOPPED)[what]
    verdict = graded(answer)
    assert not verdict and verdict.mistake is None
    assert verdict.message.startswith("twice: not yet. On case 1 it ")
    assert said in verdict.message and "\n" not in verdict.message, verdict
    assert verdict.message.endswith(".") and not verdict.message.endswith("..")


class Own(torch.Tensor):
    """A kind of tensor of one's own."""


RIGHT = {
    "a list": lambda x: (2 * x).tolist(),
    "a tuple of numbers": lambda x: tuple(2 * v for v in x.tolist()),
    "a list of tensors": lambda x: [2 * v for v in x],
    "numbers and tensors": lambda x: [2 * x[0], 2 * x[1].item()],
    "an array": lambda x: 2 * x.numpy(),
    "an array backwards": lambda x: (2 * x.numpy()[::-1])[::-1],
    "a list of arrays": lambda x: [np.asarray(2 * v) for v in x.numpy()],
    "a list of numbers of numpy": lambda x: [*(2 * x.numpy())],
    "a parameter": lambda x: torch.nn.Parameter(2 * x),
    "with a gradient": lambda x: 2 * x * torch.ones(2, requires_grad=True),
    "sparse": lambda x: (2 * x).to_sparse(),
    "double": lambda x: 2 * x.double(),
    "a view": lambda x: torch.stack([2 * x, x], 1)[:, 0],
    "one's own kind": lambda x: (2 * x).as_subclass(Own),
    "without gradients from here on": lambda x: torch.no_grad()(lambda: 2 * x)(),
}


@pytest.mark.parametrize("what", RIGHT)
def test_a_right_answer_is_right_in_whatever_form_it_comes(what):
    assert graded(RIGHT[what]).message == "twice: right, on all 3 cases."


def test_a_single_number_may_be_of_any_kind():
    one = dict(cases=lambda seed: [(torch.tensor(0.5),), (torch.tensor(2.0),)])
    for kind in float, np.float32, np.float64, torch.tensor, lambda v: np.array(2 * v) / 2:
        assert graded(lambda x, kind=kind: kind(2 * x.item()), **one), kind
    half = dict(cases=lambda seed: [(torch.tensor(0.5),)])
    assert graded(lambda x: True, **half) and graded(lambda x: 1, **half)
    assert not graded(lambda x: 10**30, **half) and not graded(lambda x: False, **half)


# ------------------------------------------------------------------------------ what does not end


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs an alarm")
@pytest.mark.parametrize("answer", [endless, lambda x: time.sleep(100)])
def test_an_answer_without_end_is_ended(answer, monkeypatch):
    monkeypatch.setattr(calling, "SECONDS", 0.3)
    before, began = signal.getsignal(signal.SIGALRM), time.monotonic()
    message = graded(answer).message
    assert time.monotonic() - began < 30
    assert message.startswith("twice: not yet. On case 1 it had not finished after 0.3 seconds in")
    assert signal.getsignal(signal.SIGALRM) is before
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)
    assert graded(lambda x: 2 * x)


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs an alarm")
def test_an_alarm_that_is_set_stays_and_a_thread_sets_none(monkeypatch):
    monkeypatch.setattr(calling, "SECONDS", 0.2)
    rung, verdicts = [], []
    before = signal.signal(signal.SIGALRM, lambda *anything: rung.append(1))
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.5, 10)
        verdicts.append(graded(lambda x: (time.sleep(0.3), 2 * x)[1]))
        assert len(rung) == 1 and signal.getsignal(signal.SIGALRM) is not before
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    slow = threading.Thread(
        target=lambda: verdicts.append(graded(lambda x: (time.sleep(0.3), 2 * x)[1]))
    )
    slow.start()
    slow.join()
    assert len(verdicts) == 2 and all(verdicts)


def test_an_interrupt_from_outside_stops_the_cell():
    def interrupted(x):
        os.kill(os.getpid(), signal.SIGINT)
        while True:
            pass

    # a run in the background begins deaf to it
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            graded(interrupted)
    finally:
        signal.signal(signal.SIGINT, before)


# --------------------------------------------------------------------- what an answer leaves behind


@pytest.mark.parametrize("name", ALL)
def test_an_answer_that_spoils_its_arguments_spoils_no_other_case(name):
    exercise = ALL[name]

    def spoils(*case):
        said = torch.as_tensor(exercise.reference(*case)).clone()
        for argument in case:
            if isinstance(argument, torch.Tensor) and not argument.requires_grad:
                argument.zero_()
        return said

    before = check(name, exercise.reference)
    verdict = check(name, spoils)
    if exercise.measure is grader.returned:
        assert verdict and verdict.message.startswith(before.message)
    assert check(name, exercise.reference) == before
