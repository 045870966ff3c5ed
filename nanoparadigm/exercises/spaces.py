"""Chapter 9, state spaces: the kernel, the FFT, a hold that is linear, silence, and counting."""

import math

import torch
import torch.nn.functional as F

from .fresh import normal, varied
from .grader import Exercise, Mistake

# ------------------------------------------------------------------------------------ the kernel


def kernel(a, b, C, L):
    return (C * b) @ a[:, None] ** torch.arange(L)


def kernel_by_impulse(a, b, C, L):
    h, K = b, []
    for _ in range(L):
        K.append(C @ h)
        h = a * h
    return torch.stack(K)


def powers(a, L):
    return a[:, None] ** torch.arange(L)


# ------------------------------------------------------------------------- a causal convolution


def causal_convolution(K, u):
    n = 2 * len(u)
    return torch.fft.irfft(torch.fft.rfft(K, n) * torch.fft.rfft(u, n), n)[: len(u)]


def causal_convolution_by_sums(K, u):
    return torch.stack([K[: k + 1].flip(0) @ u[: k + 1] for k in range(len(u))])


def padded(K, u, n):
    """Return the circular convolution of K and u, both padded to n numbers."""
    return torch.fft.irfft(torch.fft.rfft(K, n) * torch.fft.rfft(u, n), n)


def correlation(K, u):
    n = 2 * len(u)
    return torch.fft.irfft(torch.fft.rfft(K, n).conj() * torch.fft.rfft(u, n), n)[: len(u)]


# --------------------------------------------------------------------------- a hold that is linear


def linear_hold(A, delta):
    z = delta * A
    new = (math.expm1(z) - z) / (z * A)
    return torch.tensor([math.expm1(z) / A - new, new], dtype=torch.float64)


def linear_hold_by_quadrature(A, delta):
    n = 4000  # Simpson's rule
    share = torch.linspace(0, 1, n + 1, dtype=torch.float64)
    rule = torch.tensor([4.0, 2.0], dtype=torch.float64).repeat(n // 2)[:-1]
    rule = F.pad(rule, (1, 1), value=1.0) * delta / (3 * n)
    fades = torch.exp(A * delta * (1 - share))
    return torch.stack([(rule * fades * (1 - share)).sum(), (rule * fades * share).sum()])


FIRST = torch.tensor([1.0, 0.0], dtype=torch.float64)


def weights(function):
    """Return an answer whose two weights are function(e^z, delta, the whole weight of a hold)."""

    def answer(A, delta):
        two = function(math.exp(delta * A), delta, math.expm1(delta * A) / A)
        return torch.tensor(two, dtype=torch.float64)

    return answer


# ------------------------------------------------------------------------------------ silence


def legs(N):
    n = torch.arange(N, dtype=torch.float64)
    root = (2 * n + 1).sqrt()
    return torch.outer(root, root).tril(-1) + torch.diag(n + 1)


def silence(c, s):
    return torch.matrix_exp(-math.log(s) * legs(len(c))) @ c


def silence_by_quadrature(c, s):
    """Squeeze the remembered signal into the first 1 / s of the time, and project it again."""
    N, cells = len(c), 4000
    r = (torch.arange(cells, dtype=torch.float64) + 0.5) / cells
    x, p = 2 * r - 1, [torch.ones_like(r)]
    p += [x] if N > 1 else []
    for n in range(1, N - 1):
        p.append(((2 * n + 1) * x * p[n] - n * p[n - 1]) / (n + 1))
    squeezed = [p[0]] + ([2 * r / s - 1] if N > 1 else [])
    for n in range(1, N - 1):
        squeezed.append(((2 * n + 1) * squeezed[1] * squeezed[n] - n * squeezed[n - 1]) / (n + 1))
    root = (2 * torch.arange(N, dtype=torch.float64) + 1).sqrt()
    signal = (c * root) @ torch.stack(p)
    return root * (torch.stack(squeezed) @ signal) / cells / s


def grown(exponent, matrix=legs):
    """Return an answer that multiplies c by exp(exponent(s) M)."""
    return lambda c, s: torch.matrix_exp(exponent(s) * matrix(len(c))) @ c


# ----------------------------------------------------------------------------- counting in a circle


def count_on_circle(x, values, m):
    angle = 2 * math.pi * values[x].cumsum(0).double() / m
    return torch.stack([angle.cos(), angle.sin()], dim=1)


def count_on_circle_by_turns(x, values, m):
    a = torch.polar(torch.ones(len(values)).double(), 2 * math.pi * values.double() / m)
    h, states = torch.ones((), dtype=torch.complex128), []
    for word in x:
        h = a[word] * h
        states.append(torch.view_as_real(h))
    return torch.stack(states)


def at(angles):
    """Return an answer with the states at angles(values of the words, m)."""

    def answer(x, values, m):
        angle = angles(values[x].double(), m)
        return torch.stack([angle.cos(), angle.sin()], dim=1)

    return answer


# ------------------------------------------------------------------------------------ the cases


def varied_pair(seed, A, delta):
    return varied(seed, A), varied(seed + 1 if seed else 0, delta)


RATES = [(-1.0, 0.5), (-0.3, 0.01), (-2.5, 2.0), (-16.0, 0.75), (0.4, 1.5), (-5.0, 0.0005)]
STATES = [1, 2, 5, 9]  # numbers in a state
SILENCES = [(1, 2.0), (2, 3.0), (3, 1.25), (5, 1.5), (4, 6.0)]


def kernels(seed=0):
    """Return systems that fade, alternate, or forget at once, and one kernel of length 1."""
    a = [[0.9, 0.5, 0.2], [0.7, -0.6], [0.0, 0.8, 0.3, -0.9], [0.95, 0.4]]
    lengths = [6, 9, 3, 1]
    return [
        (
            varied(seed, torch.tensor(row).double(), 0.8, 1.05),
            *normal(2, len(row), seed=n + seed),
            L,
        )
        for n, (row, L) in enumerate(zip(a, lengths, strict=True))
    ]


def texts(seed=0):
    """Return texts with every word in them, of values that may be 0, negative, or above m."""
    g = torch.Generator().manual_seed(seed + 3)
    values = [[0, 1], [0, 1, 2], [3, -1, 7, 0], [1, 5, 2]]
    return [
        (torch.randperm(L, generator=g) % len(row), torch.tensor(row), m)
        for row, L, m in zip(values, (9, 12, 10, 7), (2, 3, 5, 12), strict=True)
    ]


EXERCISES = {
    "kernel": Exercise(
        kernel,
        kernel_by_impulse,
        {
            "one step late": Mistake(
                lambda a, b, C, L: (C * b) @ (a[:, None] * powers(a, L)),
                "Your kernel begins with a: the present word has not faded yet, so begin with a to "
                "the power of 0.",
            ),
            "without b": Mistake(
                lambda a, b, C, L: C @ powers(a, L),
                "You leave out b, which says how strongly a word is written into the state.",
            ),
            "without C": Mistake(
                lambda a, b, C, L: b @ powers(a, L),
                "You leave out C, which says how the state is read.",
            ),
            "not summed, states first": Mistake(
                lambda a, b, C, L: (C * b)[:, None] * powers(a, L),
                "You return a kernel for each number of the state: the output is their sum, so sum "
                "over N.",
            ),
            "not summed, steps first": Mistake(
                lambda a, b, C, L: ((C * b)[:, None] * powers(a, L)).T,
                "You return a kernel for each number of the state: the output is their sum, so sum "
                "over N, the last axis.",
            ),
            "averaged": Mistake(
                lambda a, b, C, L: (C * b) @ powers(a, L) / len(a),
                "You average over the numbers of the state: the output is their sum.",
            ),
            "reversed": Mistake(
                lambda a, b, C, L: ((C * b) @ powers(a, L)).flip(0),
                "Your kernel runs backwards: K_0, the weight of the present word, comes first.",
            ),
            "a times j": Mistake(
                lambda a, b, C, L: (C * b) @ (a[:, None] * torch.arange(L)),
                "You multiply a by j: after j steps the state has been multiplied by a j times, "
                "which is a ** j.",
            ),
            "a as a rate": Mistake(
                lambda a, b, C, L: (C * b) @ torch.exp(a[:, None] * torch.arange(L)),
                "You take a for the rate A: it is already exp(delta A), so take its powers.",
            ),
            "the response to a step": Mistake(
                lambda a, b, C, L: ((C * b) @ powers(a, L)).cumsum(0),
                "This is the output for an input of 1 at every step. The kernel is the output for "
                "a single 1, followed by zeros.",
            ),
        },
        cases=kernels,
    ),
    "causal_convolution": Exercise(
        causal_convolution,
        causal_convolution_by_sums,
        {
            "in a circle": Mistake(
                lambda K, u: padded(K, u, len(u)),
                "Your convolution is circular: the last words reach the first outputs. Pad both "
                "with zeros to 2 L first, and keep L numbers.",
            ),
            "in a circle, without n": Mistake(
                lambda K, u: torch.fft.irfft(torch.fft.rfft(K) * torch.fft.rfft(u)),
                "Your convolution is circular, and without n, irfft returns an even number of "
                "outputs: pad both with zeros to 2 L first, and keep L numbers.",
            ),
            "multiplied in place": Mistake(
                lambda K, u: K * u,
                "You multiply weight j by word j, which is right only for frequencies. In output "
                "k, K[j] multiplies the word k - j, and the products are added.",
            ),
            "without the present word": Mistake(
                lambda K, u: causal_convolution(K, u) - K[0] * u,
                "You leave out the present word: its weight is K[0].",
            ),
            "padded by one": Mistake(
                lambda K, u: padded(K, u, len(u) + 1)[: len(u)],
                "You pad by a single zero, and most late words still come round to the front: "
                "K and u together reach 2 L - 1 steps.",
            ),
            "padded by half": Mistake(
                lambda K, u: padded(K, u, len(u) + len(u) // 2)[: len(u)],
                "You pad too little, so that late words still come round to the front: K and u "
                "together reach 2 L - 1 steps.",
            ),
            "not cut, 2 L": Mistake(
                lambda K, u: padded(K, u, 2 * len(u)),
                "You return 2 L numbers: the outputs after the end of the text are not wanted, so "
                "keep the first L.",
            ),
            "not cut, 2 L - 1": Mistake(
                lambda K, u: F.pad(
                    causal_convolution(F.pad(K, (0, len(u))), F.pad(u, (0, len(u)))), (0, -1)
                ),
                "You return 2 L - 1 numbers: the outputs after the end of the text are not wanted, "
                "so keep the first L.",
            ),
            "the last L": Mistake(
                lambda K, u: padded(K, u, 2 * len(u))[len(u) :],
                "You keep the last L numbers, which come after the text has ended: keep the first.",
            ),
            "a correlation": Mistake(
                correlation,
                "This is a correlation: it weighs later words, not earlier ones. Do not conjugate, "
                "and do not reverse the kernel.",
            ),
            "a reversed kernel": Mistake(
                lambda K, u: causal_convolution(K.flip(0), u),
                "Your kernel is reversed, as conv1d wants it; the FFT wants it as it is.",
            ),
        },
        cases=lambda seed=0: [
            (normal(L, seed=L + seed), normal(L, seed=L + 50 + seed)) for L in (2, 3, 5, 8, 33)
        ],
    ),
    "linear_hold": Exercise(
        linear_hold,
        linear_hold_by_quadrature,
        {
            "the trapezoid": Mistake(
                weights(lambda kept, d, hold: [kept * d / 2, d / 2]),
                "This is the trapezoid, which replaces the whole integrand by a line. Here only "
                "the input is linear: integrate the exponential exactly.",
            ),
            "half a step each": Mistake(
                weights(lambda kept, d, hold: [d / 2, d / 2]),
                "You give both words half a step, as if nothing faded within it: weigh the input "
                "at time s of the step by exp(A (delta - s)).",
            ),
            "the bilinear rule": Mistake(
                lambda A, delta: torch.full((2,), delta / (2 - delta * A), dtype=torch.float64),
                "These are the weights of the bilinear rule. Here only the input is linear: "
                "integrate the exponential exactly.",
            ),
            "rises by the new word": Mistake(
                lambda A, delta: linear_hold(A, delta) + linear_hold(A, delta)[1] * FIRST,
                "You let the input rise by u_k. It rises by u_k - u_{k-1}, so the old word loses "
                "the share that the new one gains.",
            ),
            "a hold of the new word": Mistake(
                weights(lambda kept, d, hold: [0.0, hold]),
                "This holds the new word for the whole step. Here the input moves from the old "
                "word to the new one.",
            ),
            "a hold of the old word": Mistake(
                weights(lambda kept, d, hold: [hold, 0.0]),
                "This holds the old word for the whole step. Here the input moves from the old "
                "word to the new one.",
            ),
            "a hold, divided evenly": Mistake(
                weights(lambda kept, d, hold: [hold / 2, hold / 2]),
                "You divide the weight of a hold evenly. The old word is strong early in the step, "
                "and that part has faded more: the two weights differ.",
            ),
            "swapped": Mistake(
                lambda A, delta: linear_hold(A, delta).flip(0),
                "Your two weights are in the wrong order, or you let the late part of the step "
                "fade instead of the early one.",
            ),
            "per unit of time": Mistake(
                lambda A, delta: linear_hold(A, delta) / delta,
                "Your weights are divided by delta: the integral runs over the time of the step, "
                "from 0 to delta.",
            ),
            "divided by A": Mistake(
                lambda A, delta: linear_hold(A, delta) / A,
                "You divide by A once too often.",
            ),
        },
        cases=lambda seed=0: [
            varied_pair(seed + 7 * n if seed else 0, *p) for n, p in enumerate(RATES)
        ],
    ),
    "silence": Exercise(
        silence,
        silence_by_quadrature,
        {
            "time, not its logarithm": Mistake(
                grown(lambda s: -(s - 1)),
                "You integrate as if the rate were M throughout. It is M / tau and falls: the "
                "integral of 1 / tau from T to s T is log s.",
            ),
            "minus s": Mistake(
                grown(lambda s: -s),
                "Your exponent is -s M: it must vanish for s = 1. The integral of 1 / tau from T "
                "to s T is log s.",
            ),
            "grows": Mistake(
                grown(math.log),
                "Your sign is wrong: in silence c' = -M c / tau, so the exponent is -log(s) M.",
            ),
            "one step of Euler": Mistake(
                lambda c, s: c - (s - 1) * legs(len(c)) @ c,
                "This is a single Euler step, right only for s close to 1: solve the equation "
                "with matrix_exp.",
            ),
            "only the diagonal": Mistake(
                grown(lambda s: -math.log(s), lambda N: legs(N).diag().diag()),
                "You use the diagonal of M only. What is below it mixes the numbers: exponentiate "
                "the whole matrix.",
            ),
            "transposed": Mistake(
                grown(lambda s: -math.log(s), lambda N: legs(N).T),
                "Your M is transposed: it is lower triangular, and number n changes through the "
                "numbers below n.",
            ),
            "element by element": Mistake(
                lambda c, s: (-math.log(s) * legs(len(c))).exp() @ c,
                "You exponentiate element by element: the solution needs the exponential of a "
                "matrix, torch.matrix_exp.",
            ),
            "unchanged": Mistake(
                lambda c, s: c,
                "You leave the state as it is. But it describes the whole past up to now, which "
                "gets longer in silence: solve c' = -M c / tau.",
            ),
            "one step of Euler in log tau": Mistake(
                lambda c, s: c - math.log(s) * legs(len(c)) @ c,
                "This is a single Euler step in log tau, right only for s close to 1: solve the "
                "equation with matrix_exp.",
            ),
            "divided by s": Mistake(
                lambda c, s: c / s,
                "You divide every number by s. Only the average, c[0], behaves like that; the "
                "others change among themselves as the signal is squeezed.",
            ),
        },
        cases=lambda seed=0: [
            (normal(N, seed=n + 5 + seed), varied(seed + n if seed else 0, s, 1.05, 1.3))
            for n, (N, s) in enumerate(SILENCES)
        ],
        tolerance=1e-4,
    ),
    "count_on_circle": Exercise(
        count_on_circle,
        count_on_circle_by_turns,
        {
            "half a circle": Mistake(
                at(lambda v, m: math.pi * v.cumsum(0) / m),
                "A sum of m turns your state by half a circle: it must be a whole one, 2 pi, so "
                "that 0 and m are the same place.",
            ),
            "every word counts one": Mistake(
                at(lambda v, m: 2 * math.pi * torch.ones_like(v).cumsum(0) / m),
                "Each of your words turns the state by the same angle: the turn is in proportion "
                "to the value of the word.",
            ),
            "words, not values": Mistake(
                lambda x, values, m: at(lambda v, m: 2 * math.pi * v.cumsum(0) / m)(
                    x, torch.arange(len(values)), m
                ),
                "You add up the words themselves: look up the value of each, values[x].",
            ),
            "in degrees": Mistake(
                at(lambda v, m: 360 * v.cumsum(0) / m),
                "Your angle is in degrees: cos and sin take radians, and a whole circle is 2 pi.",
            ),
            "angles": Mistake(
                lambda x, values, m: 2 * math.pi * values[x].cumsum(0).double() / m,
                "You return the angles: return where the state is, their cosines and sines.",
            ),
            "one word late": Mistake(
                at(lambda v, m: 2 * math.pi * (v.cumsum(0) - v) / m),
                "Your states come before their words: state k has already been turned by word k.",
            ),
            "words alone": Mistake(
                at(lambda v, m: 2 * math.pi * v / m),
                "Each of your states knows only its own word: multiply the state before it by the "
                "turn, so that angles add up.",
            ),
            "the other way round": Mistake(
                at(lambda v, m: -2 * math.pi * v.cumsum(0) / m),
                "You turn clockwise: exp(2 pi i v / m) turns the other way.",
            ),
            "sine first": Mistake(
                lambda x, values, m: count_on_circle(x, values, m).flip(1),
                "Your parts are in the wrong order: the real part, the cosine, comes first.",
            ),
            "without 2 pi": Mistake(
                at(lambda v, m: v.cumsum(0) / m),
                "Your angle is the sum over m, in radians: a whole circle is 2 pi.",
            ),
            "the remainder": Mistake(
                lambda x, values, m: values[x].cumsum(0) % m,
                "You return remainders: return where the state is, its real and imaginary part.",
            ),
            "begun at the bottom": Mistake(
                lambda x, values, m: F.pad(count_on_circle(x, values, m), (0, 0, 1, 0), value=1.0),
                "You return one state too many: leave out h_0, and begin with the state after the "
                "first word.",
            ),
        },
        cases=texts,
    ),
    "longest_parity": Exercise(
        lambda N: N + 1,
        lambda N: len(range(N)) + 1,
        {
            "N": Mistake(
                lambda N: N,
                "You forget the constant of the read-out: N numbers and the constant make N + 1 "
                "functions of k.",
            ),
            "N + 2": Mistake(
                lambda N: N + 2,
                "One too many: L texts in a row need L - 1 changes of sign, and N numbers allow N.",
            ),
            "N - 1": Mistake(
                lambda N: N - 1,
                "Too few: N numbers and the constant of the read-out make N + 1 functions of k, "
                "which can be fitted to N + 1 texts.",
            ),
            "twice N": Mistake(
                lambda N: 2 * N,
                "Positive decays do not have N frequencies: a sum of N of them and a constant "
                "changes sign at most N times.",
            ),
            "2 to the N": Mistake(
                lambda N: 2**N,
                "N bits would have 2 ** N states, but a linear read-out of positive decays cannot "
                "use them: it changes sign at most N times.",
            ),
            "no limit": Mistake(
                lambda N: math.inf,
                "There is a limit: a sum of N positive decays and a constant changes sign at most "
                "N times, and the right answers alternate.",
            ),
            "none": Mistake(
                lambda N: 0,
                "It can do more than nothing: N + 1 functions of k can be fitted to several texts. "
                "Count the functions.",
            ),
            "one number": Mistake(
                lambda N: 1,
                "It can do more than one text: N + 1 functions of k can be fitted to several of "
                "them. Count the functions.",
            ),
        },
        cases=lambda seed=0: [(N + seed % 5,) for N in STATES],
    ),
}
