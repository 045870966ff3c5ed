"""Chapter 10, selection and the scan. The recurrence h_t = a_t h_{t-1} + b_t, from h_0 = 0.

L steps come first, N independent states last. The hot cases multiply decays to less than any
floating-point number holds, where forms that divide by the product fail.
"""

import math

import torch
import torch.nn.functional as F

from .fresh import normal
from .grader import Exercise, Mistake, wrong_shape

# ------------------------------------------------------------------------------------ discretise


def discretise(delta, A, B):
    """Return what Mamba takes for a and for b / u, (2, L, N).

    delta (L,); A (N,), negative; B (L, N).
    """
    delta = delta[:, None]
    return torch.stack([(delta * A).exp(), delta * B])


def discretise_step_by_step(delta, A, B):
    decay = [torch.pow(math.e, d * A) for d in delta]
    drive = [d * row for d, row in zip(delta, B, strict=True)]
    return torch.stack([torch.stack(decay), torch.stack(drive)])


# ------------------------------------------------------------------------------- selective_delta


def selective_delta(x, W, bias):
    """Return step sizes (L, E) from x (L, R), W (E, R) and bias (E,)."""
    return F.softplus(F.linear(x, W, bias))


def selective_delta_by_logarithms(x, W, bias):
    z = x @ W.T + bias
    return torch.logaddexp(z, torch.zeros_like(z))


# --------------------------------------------------------------------------------------- combine


def combine(a1, b1, a2, b2):
    """Return step 1 followed by step 2 as one step, (2, ...)."""
    return torch.stack([a2 * a1, a2 * b1 + b2])


def combine_by_matrices(a1, b1, a2, b2):
    """Multiply matrices: h -> a h + b is (a b; 0 1) applied to (h, 1)."""
    first, second = (
        torch.stack([a, b, torch.zeros_like(a), torch.ones_like(a)], -1).unflatten(-1, (2, 2))
        for a, b in ((a1, b1), (a2, b2))
    )
    return (second @ first)[..., 0, :].movedim(-1, 0)


# ------------------------------------------------------------------------------------------ scan


def scan(a, b):
    """Return the states h_1 ... h_L, (L, N), from a and b (L, N)."""
    h, states = torch.zeros_like(b[0]), []
    for a_t, b_t in zip(a, b, strict=True):
        h = a_t * h + b_t
        states.append(h)
    return torch.stack(states)


def scan_in_log_depth(a, b):
    shift = 1
    while shift < len(a):
        b = torch.cat([b[:shift], a[shift:] * b[:-shift] + b[shift:]])
        a = torch.cat([a[:shift], a[shift:] * a[:-shift]])
        shift *= 2
    return b


def shifted(h):
    """Return the state before each step."""
    return torch.cat([torch.zeros_like(h[:1]), h[:-1]])


def scan_late(a, b):
    """Return the states before each step."""
    return shifted(scan(a, b))


def scan_decays_late(a, b):
    return scan(torch.cat([torch.ones_like(a[:1]), a[:-1]]), b)


def scan_from_ones(a, b):
    return scan(a, torch.cat([a[:1] + b[:1], b[1:]]))


def scan_fading_at_once(a, b):
    return scan(a, a * b)


def scan_from_the_first(a, b):
    return scan(a, torch.cat([a[:1] * b[:1] + b[:1], b[1:]]))


def scan_from_the_end(a, b):
    return scan(a.flip(0), b.flip(0)).flip(0)


def scan_by_division(a, b):
    product = a.cumprod(0)
    return product * (b / product).cumsum(0)


def scan_by_guarded_division(a, b):
    product = a.cumprod(0)
    return product * (b / (product + 1e-12)).cumsum(0)


def scan_into_one_tensor(a, b):
    """Append the same tensor again and again, and change it in place."""
    return scan(a, b)[-1].expand(len(a), -1)


def scan_decays_first(a, b):
    shift = 1
    while shift < len(a):
        a = torch.cat([a[:shift], a[shift:] * a[:-shift]])
        b = torch.cat([b[:shift], a[shift:] * b[:-shift] + b[shift:]])
        shift *= 2
    return b


def scan_decays_alone(a, b):
    shift = 1
    while shift < len(a):
        b = torch.cat([b[:shift], a[shift:] * b[:-shift] + b[shift:]])
        shift *= 2
    return b


def scan_rolled(a, b):
    shift = 1
    while shift < len(a):
        a, b = a * a.roll(shift, 0), a * b.roll(shift, 0) + b
        shift *= 2
    return b


def scan_of_the_inputs_alone(a, b):
    """Multiply the input of the step before, not the state."""
    return b + a * shifted(b)


# --------------------------------------------------------------------------------- segment_decay


def segment_decay(log_a):
    """Return M (K, K), what is left of step s at step t: a_{s+1} ... a_t, and 0 for s > t.

    log_a (K,).
    """
    exponent, future = exponents(log_a)
    return exponent.masked_fill(future, -torch.inf).exp()


def segment_decay_by_sums(log_a):
    K = len(log_a)
    rows = [
        torch.stack(
            [log_a[s + 1 : t + 1].sum().exp() if s <= t else 0 * log_a[0] for s in range(K)]
        )
        for t in range(K)
    ]
    return torch.stack(rows)


def exponents(log_a):
    c = log_a.cumsum(0)
    exponent = c[:, None] - c
    return exponent, torch.ones(len(c), len(c)).triu(1).bool()


def divided(log_a):
    product = log_a.cumsum(0).exp()
    return (product[:, None] / product).tril()


def divided_products(log_a):
    product = log_a.exp().cumprod(0)
    return (product[:, None] / product).tril()


def with_its_gradient(answer, log_a):
    """Return the rows of the matrix, and below them the gradient of a weighted sum of it.

    A hidden infinity shows in the gradient.
    """
    log_a = log_a.requires_grad_()
    M = answer(log_a)
    K = len(log_a)
    if M.shape != (K, K):
        raise wrong_shape(M.shape, (K, K))
    gradient = torch.zeros_like(log_a)
    if M.requires_grad:
        weights = torch.linspace(-1, 1, K * K, dtype=torch.float64).view(K, K)
        (gradient,) = torch.autograd.grad((M * weights).sum(), log_a)
    return torch.cat([M.detach(), gradient[None]])


def says_entry(index, log_a):
    """Say what the number at an index of `with_its_gradient` is."""
    t, s = index
    if t < len(log_a):
        return f"M[{t}, {s}]"
    return f"the gradient of a weighted sum of M in log_a[{s}]"


# --------------------------------------------------------------------------------- scan_gradient


def scan_gradient(a, h, g):
    """Return the gradients of the loss in a and in b, (2, L, N).

    a, h (L, N): decays and states. g (L, N): the gradient in each state through its own output
    alone.
    """
    G, out = torch.zeros_like(g[0]), []
    for t in range(len(a) - 1, -1, -1):
        G = g[t] + (a[t + 1] * G if t + 1 < len(a) else 0)
        out.append(G)
    G = torch.stack(out[::-1])
    return torch.stack([G * shifted(h), G])


def scan_gradient_by_autograd(a, h, g):
    b = h - a * shifted(h)
    a, b = a.clone().requires_grad_(), b.clone().requires_grad_()
    return torch.stack(torch.autograd.grad((scan(a, b) * g).sum(), (a, b)))


def not_reversed(a, h, g):
    G = scan(a, g)
    return torch.stack([G * shifted(h), G])


def not_shifted(a, h, g):
    G = scan_from_the_end(a, g)
    return torch.stack([G * shifted(h), G])


def of_the_state_after(a, h, g):
    _, G = scan_gradient(a, h, g)
    return torch.stack([G * h, G])


def not_turned_back(G, h):
    return torch.stack([G.flip(0) * shifted(h), G.flip(0)])


def only_directly(a, h, g):
    return torch.stack([g * shifted(h), g])


def nothing_fades(a, h, g):
    return scan_gradient(torch.ones_like(a), h, g)


def wraps_round(a, h, g):
    _, G = scan_gradient(a, h, g)
    return torch.stack([G * h.roll(1, 0), G])


def one_step_ahead(a, h, g):
    G = g + torch.cat([a[1:] * g[1:], torch.zeros_like(g[:1])])
    return torch.stack([G * shifted(h), G])


# ------------------------------------------------------------------------------------------ cases


def decays(*shape, seed=0):
    return normal(*shape, seed=seed).sigmoid()


def small(seed=0):
    """Return a decay of nearly nothing, and one of nearly everything."""
    nothing, loss = 1e-3 * decays(2, seed=seed)
    return torch.stack([nothing, 1 - loss])


def tiny_second(seed=0):
    """Return an ordinary number, and one of a size that a clamp would change."""
    return normal(2, seed=seed) * torch.tensor([1.0, 1e-4])


def some_scans(seed=0):
    hot = decays(12, 2, seed=seed + 4)
    hot[3:5] = 1e-200  # the product of these two is less than the smallest number
    return [
        (decays(1, 2, seed=seed), normal(1, 2, seed=seed + 1)),
        (decays(7, 3, seed=seed + 2), normal(7, 3, seed=seed + 3)),
        (hot, normal(12, 2, seed=seed + 5)),
    ]


def some_gradients(seed=0):
    cases = []
    for n, L in enumerate((3, 6), seed):
        a, b, g = decays(L, 2, seed=n), normal(L, 2, seed=n + 10), normal(L, 2, seed=n + 20)
        cases.append((a, scan(a, b), g))
    return cases


DELTA = torch.tensor([0.0004, 0.05, 0.4, 2.0], dtype=torch.float64)
A = torch.tensor([-0.5, -1.0, -16.0], dtype=torch.float64)

EXERCISES = {
    "discretise": Exercise(
        discretise,
        discretise_step_by_step,
        {
            "zero-order hold for B": Mistake(
                lambda delta, A, B: torch.stack(
                    [(delta[:, None] * A).exp(), torch.expm1(delta[:, None] * A) / A * B]
                ),
                "Your B is that of the zero-order hold, (exp(delta A) - 1) / A B; Mamba's code "
                "takes the Euler step, delta B.",
            ),
            "one minus the decay": Mistake(
                lambda delta, A, B: torch.stack(
                    [(delta[:, None] * A).exp(), -torch.expm1(delta[:, None] * A) * B]
                ),
                "You write as much as is forgotten, 1 - exp(delta A), as a gate does; Mamba's code "
                "takes delta B.",
            ),
            "exponential of B": Mistake(
                lambda delta, A, B: torch.stack(
                    [(delta[:, None] * A).exp(), (delta[:, None] * B).exp()]
                ),
                "Only A stands in the exponential: what is written is delta B itself.",
            ),
            "bilinear for A": Mistake(
                lambda delta, A, B: torch.stack(
                    [(2 + delta[:, None] * A) / (2 - delta[:, None] * A), delta[:, None] * B]
                ),
                "Your decay is that of the bilinear rule; Mamba keeps the exact one, exp(delta A).",
            ),
            "Euler for A": Mistake(
                lambda delta, A, B: torch.stack([1 + delta[:, None] * A, delta[:, None] * B]),
                "You take the Euler step for A too: 1 + delta A is negative for a long step, "
                "which makes the state oscillate; take exp(delta A).",
            ),
            "backward Euler for A": Mistake(
                lambda delta, A, B: torch.stack([1 / (1 - delta[:, None] * A), delta[:, None] * B]),
                "Your decay is 1 / (1 - delta A), the backward Euler step; Mamba keeps the exact "
                "decay, exp(delta A).",
            ),
            "no delta in B": Mistake(
                lambda delta, A, B: torch.stack([(delta[:, None] * A).exp(), B + 0 * A]),
                "Your B lacks the step size: a word that is passed over, with delta near 0, must "
                "leave the state alone.",
            ),
            "sign of A": Mistake(
                lambda delta, A, B: torch.stack([(-delta[:, None] * A).exp(), delta[:, None] * B]),
                "Your state grows without end: A is negative already, so take exp(delta A).",
            ),
            "no exponential": Mistake(
                lambda delta, A, B: torch.stack([delta[:, None] * A, delta[:, None] * B]),
                "You return delta A itself, which is negative: the decay is its exponential.",
            ),
            "delta as the decay": Mistake(
                lambda delta, A, B: torch.stack(
                    [(-delta[:, None] + 0 * A).exp(), delta[:, None] * B]
                ),
                "You leave out A: each state has its own rate, so the decay is exp(delta A).",
            ),
        },
        cases=lambda seed=0: [
            (DELTA, A, normal(4, 3, seed=seed)),
            (2 * DELTA[:2], A[:1], normal(2, 1, seed=seed + 1)),
        ],
    ),
    "selective_delta": Exercise(
        selective_delta,
        selective_delta_by_logarithms,
        {
            "no softplus": Mistake(
                lambda x, W, bias: x @ W.T + bias,
                "Without the softplus a step size may be negative, and exp(delta A) then grows.",
            ),
            "bias outside": Mistake(
                lambda x, W, bias: F.softplus(x @ W.T) + bias,
                "The bias belongs inside the softplus; outside, a negative one makes negative "
                "steps.",
            ),
            "clamped": Mistake(
                lambda x, W, bias: (F.softplus(x @ W.T) + bias).clamp(min=0),
                "You cut off negative steps. They come from the bias, which belongs inside the "
                "softplus: then every step is positive.",
            ),
            "softplus twice": Mistake(
                lambda x, W, bias: F.softplus(F.softplus(x @ W.T) + bias),
                "You take the softplus twice: add the bias to x @ W.T, and take it once.",
            ),
            "exp for softplus": Mistake(
                lambda x, W, bias: (x @ W.T + bias).exp(),
                "You take the exponential: softplus(z) = log(1 + exp(z)) grows only like z.",
            ),
            "no bias": Mistake(
                lambda x, W, bias: F.softplus(x @ W.T) + 0 * bias,
                "You leave out the bias, which gives each channel its own time scale.",
            ),
            "sigmoid": Mistake(
                lambda x, W, bias: (x @ W.T + bias).sigmoid(),
                "A sigmoid never exceeds 1, so no step could be longer: delta is a softplus.",
            ),
            "relu": Mistake(
                lambda x, W, bias: (x @ W.T + bias).relu(),
                "With relu half of the steps are exactly 0, and no gradient comes back from them: "
                "delta is a softplus, which is always positive.",
            ),
        },
        cases=lambda seed=0: [
            (normal(4, 2, seed=seed), normal(3, 2, seed=seed + 1), normal(3, seed=seed + 2)),
            (
                3 * normal(2, 1, seed=seed + 3),
                normal(2, 1, seed=seed + 4),
                normal(2, seed=seed + 5) - 4,
            ),
        ],
    ),
    "combine": Exercise(
        combine,
        combine_by_matrices,
        {
            "order swapped": Mistake(
                lambda a1, b1, a2, b2: torch.stack([a1 * a2, a1 * b2 + b1]),
                "You let step 2 come first: what step 1 wrote fades in step 2, so b1 is multiplied "
                "by a2.",
            ),
            "nothing fades": Mistake(
                lambda a1, b1, a2, b2: torch.stack([a2 * a1, b1 + b2]),
                "What step 1 wrote passes through step 2: multiply b1 by a2.",
            ),
            "both fade": Mistake(
                lambda a1, b1, a2, b2: torch.stack([a2 * a1, a2 * (b1 + b2)]),
                "You let step 2 shrink what it writes itself: only b1, which was there before "
                "step 2, is multiplied by a2.",
            ),
            "own decay": Mistake(
                lambda a1, b1, a2, b2: torch.stack([a2 * a1, a1 * b1 + b2]),
                "You let b1 fade by its own step's decay; it is written after that, and fades in "
                "step 2.",
            ),
            "fades twice": Mistake(
                lambda a1, b1, a2, b2: torch.stack([a2 * a1, a2 * a1 * b1 + b2]),
                "You let b1 fade in both steps: step 1 writes it after the old state has faded, so "
                "it fades in step 2 only.",
            ),
            "first decay alone": Mistake(
                lambda a1, b1, a2, b2: torch.stack([a1, a2 * b1 + b2]),
                "What was there before both steps fades in both: the decay is a2 times a1.",
            ),
            "inputs multiplied": Mistake(
                lambda a1, b1, a2, b2: torch.stack([a2 * a1, b1 * b2]),
                "You multiply what the steps write: b1 is multiplied by a2, and b2 is added.",
            ),
            "decays add": Mistake(
                lambda a1, b1, a2, b2: torch.stack([a2 + a1, a2 * b1 + b2]),
                "Decays multiply; it is their logarithms that add.",
            ),
            "decay forgotten": Mistake(
                lambda a1, b1, a2, b2: torch.stack([a2, a2 * b1 + b2]),
                "What was there before both steps fades in both: the decay is a2 times a1.",
            ),
        },
        cases=lambda seed=0: [
            tuple(torch.tensor(v, dtype=torch.float64) for v in (0.5, 1.0, 0.25, -2.0)),
            tuple(draw(3, seed=seed + n) for n, draw in enumerate((decays, normal) * 2)),
            (small(seed), tiny_second(seed + 4), small(seed + 5), normal(2, seed=seed + 6)),
        ],
    ),
    "scan": Exercise(
        scan,
        scan_in_log_depth,
        {
            "late by one": Mistake(
                scan_late,
                "You give the state before each step: h_t already holds b_t.",
            ),
            "decays late by one": Mistake(
                scan_decays_late,
                "You use the decay of the step before: h_t = a_t h_{t-1} + b_t.",
            ),
            "starts from ones": Mistake(
                scan_from_ones,
                "You start from a state of ones: before the first step there is nothing, h_0 = 0.",
            ),
            "starts from the first input": Mistake(
                scan_from_the_first,
                "You start from the first b and add it again in the first step: start from "
                "h_0 = 0, or go on with the second step.",
            ),
            "fades at once": Mistake(
                scan_fading_at_once,
                "What step t writes does not fade in step t: multiply the old state by a_t, then "
                "add b_t.",
            ),
            "from the end": Mistake(
                scan_from_the_end,
                "You run from the end: h_t holds what was written up to step t, so begin with the "
                "first step.",
            ),
            "one tensor": Mistake(
                scan_into_one_tensor,
                "All your rows are the last state: h *= a_t changes the tensor that is already in "
                "the list, so write h = a_t * h + b_t.",
            ),
            "one step back": Mistake(
                scan_of_the_inputs_alone,
                "You look back one step only: what fades is the state h_{t-1}, which holds all "
                "steps before, not the input b_{t-1}.",
            ),
            "no decay": Mistake(
                lambda a, b: b.cumsum(0),
                "Nothing fades in your state: multiply the old state by a_t before you add b_t.",
            ),
            "divided by the product": Mistake(
                scan_by_division,
                "You divide by the product of the decays, which underflows to 0: go step by step, "
                "or combine neighbours.",
            ),
            "divided by the guarded product": Mistake(
                scan_by_guarded_division,
                "The small number in your denominator hides the division by 0 and gives wrong "
                "results instead: go step by step, or combine neighbours.",
            ),
            "mixed": Mistake(
                lambda a, b: scan(a, (1 - a) * b),
                "You multiply b_t by 1 - a_t, as a gate does. Here b_t is added as it is.",
            ),
            "products and sums apart": Mistake(
                lambda a, b: a.cumprod(0) * b.cumsum(0),
                "You multiply all inputs by the same product. What step s writes fades from step "
                "s + 1 on, so each input has a product of its own.",
            ),
            "decays combined first": Mistake(
                scan_decays_first,
                "In each round you combine the decays before you use them: b needs the decays of "
                "the round before, so compute the new b first.",
            ),
            "decays not combined": Mistake(
                scan_decays_alone,
                "From round to round your decays stay those of a single step: a span that has "
                "doubled fades by the product of both halves' decays.",
            ),
            "rounds wrap round": Mistake(
                scan_rolled,
                "The end of the text reaches its beginning, because roll wraps round: the first "
                "positions have nothing before them to take in.",
            ),
        },
        cases=some_scans,
    ),
    "segment_decay": Exercise(
        segment_decay,
        segment_decay_by_sums,
        {
            "own decay": Mistake(
                lambda log_a: segment_decay(log_a) * log_a.exp(),
                "You let step s fade by its own decay; what it writes fades from step s + 1 on, "
                "so the diagonal is 1.",
            ),
            "diagonal left out": Mistake(
                lambda log_a: segment_decay(log_a) - torch.eye(len(log_a), dtype=log_a.dtype),
                "Your diagonal is 0: what step t writes is in h_t in full.",
            ),
            "transposed": Mistake(
                lambda log_a: segment_decay(log_a).T,
                "You let the past see the future: the row is the later step, the column the "
                "earlier one.",
            ),
            "no gradient": Mistake(
                lambda log_a: segment_decay(log_a).detach(),
                "The gradient is lost: stay in torch, without detach, numpy or new tensors made "
                "from the numbers.",
            ),
            "no mask": Mistake(
                lambda log_a: exponents(log_a)[0].exp(),
                "No step reaches an earlier one, so M is 0 above the diagonal: put -inf there, "
                "then take exp.",
            ),
            "divided": Mistake(
                divided,
                "You divide one product by another, which is 0 by 0 once they underflow: subtract "
                "their logarithms, then take exp.",
            ),
            "divided products": Mistake(
                divided_products,
                "You divide one product by another, which is 0 by 0 once they underflow: subtract "
                "the sums of their logarithms, then take exp.",
            ),
            "subtracted the wrong way": Mistake(
                lambda log_a: (
                    (-exponents(log_a)[0]).masked_fill(exponents(log_a)[1], -torch.inf).exp()
                ),
                "Your entries grow with the distance: M[t, s] is exp(c_t - c_s), with the later "
                "step first.",
            ),
            "no exponential": Mistake(
                lambda log_a: exponents(log_a)[0].masked_fill(exponents(log_a)[1], -torch.inf),
                "You return the logarithms: take exp at the end.",
            ),
            "without sums": Mistake(
                lambda log_a: (
                    (log_a[:, None] - log_a).masked_fill(exponents(log_a)[1], -torch.inf).exp()
                ),
                "You subtract single logarithms: between s and t all decays multiply, so subtract "
                "cumulative sums.",
            ),
            "zero before the exponential": Mistake(
                lambda log_a: exponents(log_a)[0].tril().exp(),
                "Above the diagonal you put 0, whose exponential is 1: put -inf there.",
            ),
            "masked after the exponential": Mistake(
                lambda log_a: exponents(log_a)[0].exp().tril(),
                "Above the diagonal your exponential overflows before it is hidden, and its "
                "gradient is nan: put -inf there first, then take exp.",
            ),
            "multiplied by a mask": Mistake(
                lambda log_a: exponents(log_a)[0].exp() * ~exponents(log_a)[1],
                "Above the diagonal your exponential overflows, and infinity times 0 is nan: put "
                "-inf there first, then take exp.",
            ),
        },
        cases=lambda seed=0: [
            (decays(4, seed=seed).log(),),
            (torch.tensor([-1.0, -800.0, -0.5, -900.0, -0.1], dtype=torch.float64),),
        ],
        measure=with_its_gradient,
        says=says_entry,
    ),
    "scan_gradient": Exercise(
        scan_gradient,
        scan_gradient_by_autograd,
        {
            "not reversed": Mistake(
                not_reversed,
                "You run forwards: a state matters to the states after it, so begin at the end.",
            ),
            "not shifted": Mistake(
                not_shifted,
                "Your decays are one step off: h_t reaches h_{t+1} through a_{t+1}, not a_t.",
            ),
            "state after the step": Mistake(
                of_the_state_after,
                "What a_t multiplies is the state before the step: its gradient is G_t h_{t-1}, "
                "not G_t h_t.",
            ),
            "not turned back": Mistake(
                lambda a, h, g: not_turned_back(scan_gradient(a, h, g)[1], h),
                "You run from the end, but leave the result in that order: flip it back, so that "
                "G_1 comes first.",
            ),
            "directly for the decays": Mistake(
                lambda a, h, g: torch.stack([g * shifted(h), scan_gradient(a, h, g)[1]]),
                "For a you count only what a state does to its own output: its gradient is "
                "G_t h_{t-1}, with the whole gradient G_t.",
            ),
            "the other way round": Mistake(
                lambda a, h, g: scan_gradient(a, h, g).flip(0),
                "You stack them in the wrong order: the gradient in a comes first, then the one "
                "in b.",
            ),
            "wraps round": Mistake(
                wraps_round,
                "At the first step you multiply by the last state, because roll puts the end at "
                "the beginning: before step 1 the state is 0.",
            ),
            "one step ahead": Mistake(
                one_step_ahead,
                "You add only the gradient of the next state's own output: G_{t+1}, which also "
                "holds all later ones, is what comes back.",
            ),
            "nothing fades": Mistake(
                nothing_fades,
                "You add up all later gradients as they are: on its way back, each is multiplied "
                "by the decays that it passes.",
            ),
            "only directly": Mistake(
                only_directly,
                "You count only what a state does to its own output, and not what it does to the "
                "states after it.",
            ),
        },
        cases=some_gradients,
    ),
}
