"""Chapter 7, flows on discrete states.

Rates R (V, V) of a token: R[i, j] from symbol i to symbol j, and on the diagonal what makes every
row sum to zero. The chances of the cases keep clear of the uniform numbers, so that no answer
depends on how a sum is rounded.
"""

import math

import torch

from .fresh import varied, varied_rows
from .grader import Exercise, Mistake


def uniforms(*shape, seed=0):
    return torch.rand(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def closed(rates):
    """Return rates (..., V, V) with a diagonal that makes every row sum to zero."""
    rates = rates - torch.diag_embed(rates.diagonal(dim1=-2, dim2=-1))
    return rates - torch.diag_embed(rates.sum(-1))


def off_diagonal(rates):
    return rates - torch.diag_embed(rates.diagonal(dim1=-2, dim2=-1))


# ------------------------------------------------------------------------------------- thinning


def thinned_path(R, most, start, U):
    states, state = [], start
    for rates, u in zip(R, U, strict=True):
        move = rates[state] / most
        move[state] += 1
        state = first_above(move, u)
        states.append(state)
    return torch.tensor(states)


def first_above(chances, u):
    """Return the first state whose cumulative probability exceeds u."""
    return min(int((chances.cumsum(0) <= u).sum()), len(chances) - 1)


def thinned_path_by_matrices(R, most, start, U):
    V = R.shape[-1]
    edges = (torch.eye(V).to(R) + R / most).cumsum(-1)
    states = [start]
    for n in range(len(U)):
        row = edges[n, states[-1]].tolist()
        states.append(next((j for j in range(V) if row[j] > U[n].item()), V - 1))
    return states[1:]


def with_chances(chances, follow=True):
    """Return an answer whose next state has chances(rates (V, V), most, state)."""

    def answer(R, most, start, U):
        states, state = [], start
        for n, u in enumerate(U):
            new = first_above(chances(R[n], most, state), u)
            states.append(new)
            state = new if follow else start
        return torch.tensor(states)

    return answer


def move_of(row, most, state):
    """Return the chances (V,) after a candidate, from the rates (V,) out of a state."""
    move = row / most
    move[state] += 1
    return move


def always_jumps(rates, most, state):
    chances = rates[state].clamp(min=0)
    return chances / chances.sum()


def stays_first(R, most, start, U):
    states, state = [], start
    for rates, u in zip(R, U, strict=True):
        move = move_of(rates[state], most, state)
        order = [state, *(j for j in range(len(move)) if j != state)]
        state = order[first_above(move[order], u)]
        states.append(state)
    return torch.tensor(states)


def jumps_first(R, most, start, U):
    states, state = [], start
    for rates, u in zip(R, U, strict=True):
        move = move_of(rates[state], most, state)
        order = [*(j for j in range(len(move)) if j != state), state]
        state = order[first_above(move[order], u)]
        states.append(state)
    return torch.tensor(states)


def states_before(R, most, start, U):
    return torch.cat([torch.tensor([start]), thinned_path(R, most, start, U)[:-1]])


def with_start(R, most, start, U):
    return torch.cat([torch.tensor([start]), thinned_path(R, most, start, U)])


def thinning_cases(seed=0):
    """Return candidates for 3 and 4 states, most of which are dropped where `most` is large."""
    cases = []
    for n, (V, most, start) in enumerate([(3, 5.0, 0), (4, 9.0, 2), (3, 20.0, 1), (5, 8.5, 4)]):
        grow = torch.linspace(0.2, 1, 14, dtype=torch.float64)[:, None, None]
        R = closed(2 * uniforms(14, V, V, seed=10 * n + seed) * grow)
        edges = (torch.eye(V).to(R) + R / most).cumsum(-1)
        U = uniforms(14, seed=10 * n + 5 + seed)
        near = (edges - U[:, None, None]).abs().amin((1, 2)) < 1e-5
        cases.append((R, most, start, torch.where(near, U + 3e-5, U)))
    return cases


# ----------------------------------------------------------------------------- marginal rates


def marginal_rates(p, q, R):
    joint = p[:, None] * q
    return torch.einsum("xz,xzy->zy", joint / joint.sum(0), R)


def marginal_rates_by_loops(p, q, R):
    total = torch.zeros_like(R[0])
    for z in range(q.shape[1]):
        marginal = sum(p[x] * q[x, z] for x in range(len(p)))
        for x in range(len(p)):
            total[z] += p[x] * q[x, z] / marginal * R[x, z]
    return total


def averaged(weights):
    """Return an answer that averages the rates with weights(p, q), (X, Z)."""
    return lambda p, q, R: torch.einsum("xz,xzy->zy", weights(p, q), R)


def joint(p, q):
    return p[:, None] * q


def at_arrival(p, q, R):
    posterior = joint(p, q) / joint(p, q).sum(0)
    return closed(torch.einsum("xy,xzy->zy", posterior, R))


def at_arrival_as_it_is(p, q, R):
    posterior = joint(p, q) / joint(p, q).sum(0)
    return torch.einsum("xy,xzy->zy", posterior, R)


def of_the_likeliest(p, q, R):
    best = joint(p, q).argmax(0)
    return R[best, torch.arange(q.shape[1])]


def marginal_cases(seed=0):
    """Return targets and states in several numbers, with masks that no two targets share."""
    cases = []
    for n, (X, Z) in enumerate([(3, 3), (3, 4), (4, 2), (2, 5)]):
        p = uniforms(X, seed=20 * n + seed) + 0.1
        p[0] = 0.004 if n == 2 else p[0]  # a rare target
        q = uniforms(X, Z, seed=20 * n + 5 + seed) ** 2 + 0.01
        if X < Z:  # as with masks: a word shows only itself, the mask hides all
            shown = torch.eye(X, Z, dtype=torch.bool) | (torch.arange(Z) >= X)
            q = q * shown
        q = varied_rows(seed, q / q.sum(1, keepdim=True))
        R = closed(3 * uniforms(X, Z, Z, seed=20 * n + 9 + seed))
        cases.append((p / p.sum(), q, R))
    return cases


# ------------------------------------------------------------------------------- time reversal


def reverse_rates(F, q):
    return closed(F.T * q / q[:, None])


def reverse_rates_by_loops(F, q):
    V = len(q)
    R = torch.zeros_like(F)
    for z in range(V):
        for y in range(V):
            if y != z:
                R[z, y] = q[y] * F[y, z] / q[z]
        R[z, z] = -R[z].sum()
    return R


def reversal_cases(seed=0):
    """Return noise and marginals that are not at rest, with a rare state and an arrow missing."""
    cases = []
    for n, V in enumerate((3, 3, 4, 2)):
        q = uniforms(V, seed=30 * n + seed) + 0.05
        if n == 1:
            q[1] = 1e-4
        rates = 2 * uniforms(V, V, seed=30 * n + 7 + seed)
        rates[0, 1] *= n != 2
        cases.append((closed(rates), q / q.sum()))
    return cases


# ----------------------------------------------------------------------------- expected jumps


def expected_jumps(L, V, eta):
    return L * ((V - 1) / V + eta * (V * V - 1) / V)


def expected_jumps_by_quadrature(L, V, eta, n=1000):
    alpha = (torch.arange(n, dtype=torch.float64) + 0.5) / n
    right, wrong = alpha + (1 - alpha) / V, (1 - alpha) * (V - 1) / V
    away = eta * (V - 1)
    home = (1 + eta * (1 + (V - 1) * alpha)) / (1 - alpha)
    return L * (right * away + wrong * home).mean()


# ------------------------------------------------------------------------------ path divergence


def clock_divergence(a, b, T):
    return -math.expm1(-a * T) / a * (a * math.log(a / b) - a + b)


def clock_divergence_by_jumps(a, b, T):
    """Return the mean log ratio of densities: of the first jump, and of no jump."""
    jumps = -math.expm1(-a * T)
    waited = jumps / a - T * math.exp(-a * T)  # E[time of the jump; it comes before T]
    return jumps * math.log(a / b) - (a - b) * (waited + T * math.exp(-a * T))


def bernoulli_divergence(a, b, T):
    p, q = -math.expm1(-a * T), -math.expm1(-b * T)
    return p * math.log(p / q) + math.exp(-a * T) * (b - a) * T


def term(a, b):
    return a * math.log(a / b) - a + b


def waiting(a, T):
    return -math.expm1(-a * T) / a


# ------------------------------------------------------------------------------ detailed balance


def balanced_rates(q, eta):
    return closed(eta * (q / q[:, None]).clamp(max=1))


def balanced_rates_by_pairs(q, eta):
    V = len(q)
    B = torch.zeros(V, V, dtype=torch.float64)
    for z in range(V):
        for y in range(V):
            if y != z:
                B[z, y] = eta if q[y] >= q[z] else eta * q[y] / q[z]
                B[z, z] -= B[z, y]
    return B


def ties_left_out(q, eta):
    ratio = q / q[:, None]
    return closed(eta * torch.where(ratio == 1, 0.0, ratio.clamp(max=1)))


EXERCISES = {
    "thinned_path": Exercise(
        thinned_path,
        thinned_path_by_matrices,
        {
            "always jumps": Mistake(
                with_chances(always_jumps),
                "You jump at every candidate. Most candidates are dropped: the chance of j is "
                "R[n, i, j] / most, and with what is left the token stays on i.",
            ),
            "columns": Mistake(
                with_chances(lambda R, most, state: move_of(R[:, state], most, state)),
                "You use a column, the rates into the present state: those out of it are its row, "
                "R[n, state].",
            ),
            "the state never moves on": Mistake(
                with_chances(lambda R, most, state: move_of(R[state], most, state), follow=False),
                "You start from `start` at every candidate: go on from the state that the last "
                "candidate left.",
            ),
            "rates of the first time": Mistake(
                lambda R, most, start, U: thinned_path(R[:1].expand_as(R), most, start, U),
                "You use the rates of the first candidate at all of them: they change with time, "
                "so use R[n] at candidate n.",
            ),
            "rates one candidate late": Mistake(
                lambda R, most, start, U: thinned_path(torch.cat([R[:1], R[:-1]]), most, start, U),
                "You use the rates of the candidate before: candidate n is judged by the rates at "
                "its own time, R[n].",
            ),
            "staying first": Mistake(
                stays_first,
                "Your chances are right, but you lay the chance of staying first. The statement "
                "wants the states in their order, 0, 1, 2, ..., so that one U gives one answer.",
            ),
            "jumps first": Mistake(
                jumps_first,
                "Your chances are right, but you lay the chance of staying last. The statement "
                "wants the states in their order, 0, 1, 2, ..., so that one U gives one answer.",
            ),
            "numbers from above": Mistake(
                lambda R, most, start, U: thinned_path(R, most, start, 1 - U),
                "You read the uniform numbers from above, as 1 - U: the next state is the first "
                "whose cumulative probability exceeds U.",
            ),
            "the states before": Mistake(
                states_before,
                "You return the states before the candidates: return those after them, the first "
                "candidate's result first.",
            ),
            "the start as well": Mistake(
                with_start,
                "You return N + 1 states: leave out the start, and return one state for each "
                "candidate.",
            ),
            "only the last": Mistake(
                lambda R, most, start, U: thinned_path(R, most, start, U)[-1],
                "You return the last state only: return the state after every candidate, (N,).",
            ),
        },
        cases=thinning_cases,
    ),
    "marginal_rates": Exercise(
        marginal_rates,
        marginal_rates_by_loops,
        {
            "as it was given": Mistake(
                averaged(lambda p, q: joint(p, q) / joint(p, q).sum(1, keepdim=True)),
                "This is the function as it was given. Its weights sum to 1 over z for each x. "
                "A posterior p(x | z, t) sums to 1 over something else.",
            ),
            "the prior": Mistake(
                averaged(lambda p, q: p[:, None].expand_as(q)),
                "You average with p(x), as if z told nothing about x: weight target x with "
                "p(x | z, t), which is p(x) q(z | x) divided by its sum over x.",
            ),
            "no prior": Mistake(
                averaged(lambda p, q: q / q.sum(0)),
                "Your weights sum to 1 over x, but they leave out p(x): Bayes' rule multiplies "
                "q(z | x) by p(x) first.",
            ),
            "a sum, not a mean": Mistake(
                averaged(joint),
                "Your weights are the joint p(x) q(z | x): divide by their sum over x, so that "
                "they are a posterior.",
            ),
            "weights at the arrival": Mistake(
                at_arrival,
                "You take the posterior of the state that the jump goes to: what is known when it "
                "jumps is the state it leaves, z.",
            ),
            "weights at the arrival, rows that do not sum to zero": Mistake(
                at_arrival_as_it_is,
                "You take the posterior of the state that the jump goes to: what is known when it "
                "jumps is the state it leaves, z. With that, your rows also sum to zero.",
            ),
            "the likeliest target": Mistake(
                of_the_likeliest,
                "You take the rates of the most probable target alone: the theorem needs their "
                "mean over the posterior.",
            ),
            "all targets alike": Mistake(
                lambda p, q, R: R.mean(0),
                "You give every target the same weight: weight target x with p(x | z, t).",
            ),
            "transposed": Mistake(
                lambda p, q, R: marginal_rates(p, q, R).T,
                "You return the rates from y to z: row z holds the rates out of z.",
            ),
        },
        cases=marginal_cases,
    ),
    "reverse_rates": Exercise(
        reverse_rates,
        reverse_rates_by_loops,
        {
            "the ratio upside down": Mistake(
                lambda F, q: closed(F.T * q[:, None] / q),
                "Your ratio is upside down: divide by the probability of the state that the jump "
                "back leaves, q[z].",
            ),
            "not transposed": Mistake(
                lambda F, q: closed(F * q / q[:, None]),
                "You use F[z, y], the noise from z to y. A jump back from z to y undoes a jump of "
                "the noise from y to z: F[y, z].",
            ),
            "not transposed, the ratio upside down": Mistake(
                lambda F, q: closed(F * q[:, None] / q),
                "You have the rates back from y to z where those from z to y belong: row z holds "
                "F[y, z] q[y] / q[z], the rates out of z.",
            ),
            "without the ratio": Mistake(
                lambda F, q: closed(F.T.clone()),
                "You turn the arrows round and keep their rates: a jump back also depends on how "
                "many tokens are at either end, q[y] / q[z].",
            ),
            "time with a minus sign": Mistake(
                lambda F, q: -F,
                "You return -F, whose rates are negative: a chain is reversed by Bayes' rule, not "
                "by changing the sign.",
            ),
            "the diagonal of the noise": Mistake(
                lambda F, q: F.T * q / q[:, None],
                "Off the diagonal you are right. On it you have F[z, z]; but each row of rates "
                "must sum to zero, so the diagonal is minus the sum of the row.",
            ),
            "no diagonal": Mistake(
                lambda F, q: off_diagonal(F.T * q / q[:, None]),
                "Off the diagonal you are right, but your rows do not sum to zero: put minus the "
                "sum of each row on the diagonal.",
            ),
            "rates into a state": Mistake(
                lambda F, q: reverse_rates(F, q).T,
                "You return the transpose: row z holds the rates out of z.",
            ),
            "only what is left": Mistake(
                lambda F, q: closed(F.T / q[:, None]),
                "You divide by q[z] but forget to multiply by q[y], the probability of the state "
                "that the jump goes back to.",
            ),
            "only what is reached": Mistake(
                lambda F, q: closed(F.T * q),
                "You multiply by q[y] but forget to divide by q[z], the probability of the state "
                "that the jump back leaves.",
            ),
        },
        cases=reversal_cases,
    ),
    "expected_jumps": Exercise(
        expected_jumps,
        expected_jumps_by_quadrature,
        {
            "once for every token": Mistake(
                lambda L, V, eta: L * (1 + eta * (V * V - 1) / V),
                "At eta = 0 you let every token jump once: one token in V is right from the "
                "beginning, by chance, and never has to.",
            ),
            "no pairs": Mistake(
                lambda L, V, eta: L * (V - 1) / V,
                "This is right at eta = 0. The pairs add jumps, as many home to x as away from it.",
            ),
            "half of every pair": Mistake(
                lambda L, V, eta: L * ((V - 1) / V + eta * (V * V - 1) / V / 2),
                "You count the extra jumps away from x, or those home to it: in balance there are "
                "as many of either, so count both.",
            ),
            "always at home": Mistake(
                lambda L, V, eta: L * ((V - 1) / V + 2 * eta * (V - 1)),
                "You let a token sit on x all the time: it does with probability "
                "alpha + (1 - alpha) / V, whose mean over alpha is (V + 1) / (2 V).",
            ),
            "one way out": Mistake(
                lambda L, V, eta: L * ((V - 1) / V + eta * (V + 1) / V),
                "You let a token leave x at the total rate eta: it is eta for each of the other "
                "V - 1 symbols.",
            ),
            "right with probability alpha": Mistake(
                lambda L, V, eta: L * ((V - 1) / V + eta * (V - 1)),
                "You take alpha for the probability of sitting on x: a token that was replaced may "
                "be x as well, so it is alpha + (1 - alpha) / V.",
            ),
            "of one token": Mistake(
                lambda L, V, eta: expected_jumps(1, V, eta),
                "This is the number for one token: a text has L of them.",
            ),
        },
        cases=lambda seed=0: [
            (5 + seed % 7, 3, 0.0),
            (32 - seed % 5, 32, 0.25),
            (7, 4 + seed % 3, varied(seed, 2.0)),
            (1, 2, varied(seed, 0.5)),
        ],
    ),
    "clock_divergence": Exercise(
        clock_divergence,
        clock_divergence_by_jumps,
        {
            "it waits for ever": Mistake(
                lambda a, b, T: T * term(a, b),
                "You let the token wait until T. After its jump nothing more can happen, and the "
                "two chains no longer differ: count only the expected time that it waits.",
            ),
            "looks once, at the end": Mistake(
                bernoulli_divergence,
                "You compare whether the token has jumped by T. A path also says when it did, so "
                "its divergence is larger.",
            ),
            "waiting after the jump": Mistake(
                lambda a, b, T: -math.expm1(-a * T) * math.log(a / b) + (b - a) * T,
                "Your part of the jumps is right, but you let the waiting, - a + b, last until T: "
                "it ends with the jump, after (1 - exp(-a T)) / a on average.",
            ),
            "the logarithm upside down": Mistake(
                lambda a, b, T: waiting(a, T) * (a * math.log(b / a) - a + b),
                "Your logarithm has the wrong sign: it is log(a / b), the rate of the first "
                "process above that of the second.",
            ),
            "without an end": Mistake(
                lambda a, b, T: term(a, b) / a,
                "This is the divergence if nobody stops watching: until T the token waits for "
                "(1 - exp(-a T)) / a on average, not for 1 / a.",
            ),
            "the other way round": Mistake(
                lambda a, b, T: clock_divergence(b, a, T),
                "You have KL(b || a): the expectation is over the chain with rate a, which also "
                "stands in front of the logarithm.",
            ),
            "the waiting time of the other": Mistake(
                lambda a, b, T: waiting(b, T) * term(a, b),
                "Your waiting time is that of rate b: the expectation is over the chain with rate "
                "a.",
            ),
            "jumps only": Mistake(
                lambda a, b, T: waiting(a, T) * a * math.log(a / b),
                "You count the jumps and forget the waiting, - a + b: that a token does not jump "
                "is evidence too.",
            ),
            "a chance instead of a time": Mistake(
                lambda a, b, T: a * waiting(a, T) * term(a, b),
                "You multiply by the chance that it jumps, 1 - exp(-a T): you need the expected "
                "time that it waits, which is this divided by a.",
            ),
            "the signs of the waiting": Mistake(
                lambda a, b, T: waiting(a, T) * (a * math.log(a / b) + a - b),
                "Your signs of a and b are exchanged: it is a log(a / b) - a + b, which is 0 where "
                "a = b and positive elsewhere.",
            ),
        },
        cases=lambda seed=0: [
            (varied(seed, 1.0), varied(seed, 2.0), 1.0),
            (varied(seed, 3.0), varied(seed, 0.5), varied(seed, 0.7)),
            (varied(seed, 0.4), varied(seed, 0.9), 20.0),
            (varied(seed, 3.0), varied(seed, 0.01), varied(seed, 4e-4)),
            (varied(seed, 50.0), varied(seed, 1.0), 0.5),
            (varied(seed, 0.02), varied(seed, 0.005), 10.0),
        ],
        tolerance=1e-6,
    ),
    "balanced_rates": Exercise(
        balanced_rates,
        balanced_rates_by_pairs,
        {
            "downhill": Mistake(
                lambda q, eta: closed(eta * (q[:, None] / q).clamp(max=1)),
                "Your rate is eta towards the less probable state: it is eta uphill, and downhill "
                "smaller by the ratio q[y] / q[z].",
            ),
            "eta everywhere": Mistake(
                lambda q, eta: closed(eta * torch.ones(len(q), len(q)).to(q)),
                "With eta in both directions more tokens leave the probable state than come back: "
                "downhill, multiply by q[y] / q[z].",
            ),
            "no cap": Mistake(
                lambda q, eta: closed(eta * q / q[:, None]),
                "Uphill your rate exceeds eta, and the pair is out of balance: the ratio counts "
                "downhill only, so cap it at 1.",
            ),
            "a floor for a cap": Mistake(
                lambda q, eta: closed(eta * (q / q[:, None]).clamp(min=1)),
                "You have eta downhill and more than eta uphill: take the smaller of 1 and the "
                "ratio, not the larger.",
            ),
            "jumps as probable as where they go": Mistake(
                lambda q, eta: closed(eta * q.expand(len(q), len(q)).clone()),
                "Your pairs are in balance, but uphill the rate should be eta, not eta q[y].",
            ),
            "no diagonal": Mistake(
                lambda q, eta: off_diagonal(balanced_rates(q, eta)),
                "Off the diagonal you are right, but your rows do not sum to zero: put minus the "
                "sum of each row on the diagonal.",
            ),
            "ones on the diagonal": Mistake(
                lambda q, eta: eta * (q / q[:, None]).clamp(max=1),
                "Off the diagonal you are right; on it the ratio is 1, and eta is left. Each row "
                "must sum to zero.",
            ),
            "transposed": Mistake(
                lambda q, eta: balanced_rates(q, eta).T,
                "You return the transpose: row z holds the rates out of z.",
            ),
            "nothing between equals": Mistake(
                ties_left_out,
                "Where q[y] = q[z] you have no jumps: the rate between equally probable states is "
                "eta in both directions.",
            ),
            "uphill only": Mistake(
                lambda q, eta: closed(torch.where(q >= q[:, None], eta, 0.0).to(q)),
                "You let tokens jump uphill and never back, which is out of balance: downhill the "
                "rate is eta q[y] / q[z].",
            ),
            "the smaller probability": Mistake(
                lambda q, eta: closed(eta * torch.minimum(q, q[:, None])),
                "Your rates are the flow itself, q[z] times the rate, which is the same both ways: "
                "divide row z by q[z].",
            ),
            "a share of the two": Mistake(
                lambda q, eta: closed(eta * q / (q + q[:, None])),
                "Your pairs are in balance, but the rate uphill is eta q[y] / (q[y] + q[z]): it "
                "should be eta itself.",
            ),
            "the square root": Mistake(
                lambda q, eta: closed(eta * (q / q[:, None]).sqrt()),
                "Your pairs are in balance, but symmetrically so: the rate uphill should be eta "
                "itself.",
            ),
        },
        cases=lambda seed=0: (
            [
                (varied_rows(seed, torch.tensor(q, dtype=torch.float64)), varied(seed, eta))
                for q, eta in (
                    ([0.47, 0.31, 0.22], 1.0),
                    ([0.05, 0.6, 0.1, 0.25], 0.25),
                    ([0.998, 0.0015, 0.0005], 3.0),
                )
            ]
            + [(torch.tensor([0.3, 0.3, 0.4], dtype=torch.float64), varied(seed, 2.0))]
        ),
    ),
}
