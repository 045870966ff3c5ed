"""Chapter 2, training without mystery."""

import math
from itertools import combinations

import torch
import torch.nn.functional as F

from .fresh import varied, varied_rows
from .grader import Exercise, Mistake

# ------------------------------------------------------------- the gradient of the cross-entropy


def logit_gradient(logits, y, T):
    p = (logits / T).softmax(1)
    return (p - F.one_hot(y, logits.shape[1])) / (T * len(y))


def logit_gradient_by_autograd(logits, y, T):
    logits = logits.clone().requires_grad_()
    F.cross_entropy(logits / T, y).backward()
    return logits.grad


def with_p(p):
    """Return a gradient with p(logits, T) in the place of the probabilities."""

    def answer(logits, y, T):
        return (p(logits, T) - F.one_hot(y, logits.shape[1])) / (T * len(y))

    return answer


def targets_alone(logits, y, T):
    hit = F.one_hot(y, logits.shape[1])
    return hit * logit_gradient(logits, y, T)


def whole_columns(logits, y, T):
    p = (logits / T).softmax(1)
    p[:, y] -= 1
    return p / (T * len(y))


LOGITS = torch.tensor(
    [[1.0, 0.2, -0.7, 0.0], [-2.0, 1.5, 0.3, 0.9], [0.4, 0.4, -1.1, 2.2]], dtype=torch.float64
)
Y = torch.tensor([1, 1, 3])


def gradient_cases(seed=0):
    logits = varied(seed, LOGITS)
    return [
        (logits, Y, 2.0),
        (logits[:2, :3], Y[:2], 0.4),
        (3 * logits, Y, 1.5),
    ]


# ---------------------------------------------------------------------------------------- AdamW


def adamw(theta, gradients, lr, decay):
    m = v = torch.zeros_like(theta)
    for t, g in enumerate(gradients, 1):
        m = 0.9 * m + 0.1 * g
        v = 0.95 * v + 0.05 * g**2
        step = (m / (1 - 0.9**t)) / ((v / (1 - 0.95**t)).sqrt() + 1e-8)
        theta = theta - lr * (step + decay * theta)
    return theta


def adamw_of_torch(theta, gradients, lr, decay):
    theta = torch.nn.Parameter(theta.clone())
    optimizer = torch.optim.AdamW([theta], lr, betas=(0.9, 0.95), weight_decay=decay)
    for g in gradients:
        theta.grad = g.clone()
        optimizer.step()
    return theta.detach()


def adamw_with(
    fix_m=True,
    fix_v=True,
    first=1,
    betas=(0.9, 0.95),
    eps=(0.0, 1e-8),
    coupled=False,
    square=lambda m, g: g**2,
    decayed=lambda lr, decay: lr * decay,
    after=False,
    root=torch.sqrt,
    sign=1,
):
    """Return `adamw` with something else in one place. eps: inside the root, and outside."""

    def answer(theta, gradients, lr, decay):
        m = v = torch.zeros_like(theta)
        b1, b2 = betas
        for t, g in enumerate(gradients, first):
            if coupled:
                g = g + decay * theta
            m = b1 * m + (1 - b1) * g
            v = b2 * v + (1 - b2) * square(m, g)
            m_hat = m / (1 - b1**t if fix_m else 1.0)
            v_hat = v / (1 - b2**t if fix_v else 1.0)
            step = lr * m_hat / (root(v_hat + eps[0]) + eps[1])
            shrink = 0.0 if coupled else decayed(lr, decay)
            old = theta
            theta = theta - sign * step
            theta = theta - shrink * (theta if after else old)
        return theta

    return answer


def corrections_kept(theta, gradients, lr, decay):
    m = v = torch.zeros_like(theta)
    for t, g in enumerate(gradients, 1):
        m = (0.9 * m + 0.1 * g) / (1 - 0.9**t)
        v = (0.95 * v + 0.05 * g**2) / (1 - 0.95**t)
        theta = theta - lr * (m / (v.sqrt() + 1e-8) + decay * theta)
    return theta


def root_before_correction(theta, gradients, lr, decay):
    m = v = torch.zeros_like(theta)
    for t, g in enumerate(gradients, 1):
        m = 0.9 * m + 0.1 * g
        v = 0.95 * v + 0.05 * g**2
        step = m / (1 - 0.9**t) / (v.sqrt() / (1 - 0.95**t) + 1e-8)
        theta = theta - lr * (step + decay * theta)
    return theta


def averages_begun_anew(theta, gradients, lr, decay):
    for t, g in enumerate(gradients, 1):
        step = 0.1 * g / (1 - 0.9**t) / ((0.05 * g**2 / (1 - 0.95**t)).sqrt() + 1e-8)
        theta = theta - lr * (step + decay * theta)
    return theta


def one_tensor(theta, gradients, lr, decay):
    m = v = torch.zeros_like(theta)
    for t, g in enumerate(gradients, 1):
        m.mul_(0.9).add_(0.1 * g)
        v.mul_(0.95).add_(0.05 * g**2)
        step = m / (1 - 0.9**t) / ((v / (1 - 0.95**t)).sqrt() + 1e-8)
        theta = theta - lr * (step + decay * theta)
    return theta


def sums_for_averages(theta, gradients, lr, decay):
    m = v = torch.zeros_like(theta)
    for t, g in enumerate(gradients, 1):
        m, v = 0.9 * m + g, 0.95 * v + g**2
        step = m / (1 - 0.9**t) / ((v / (1 - 0.95**t)).sqrt() + 1e-8)
        theta = theta - lr * (step + decay * theta)
    return theta


THETA = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
# in the first coordinate of the second case every gradient is zero; those of the third are tiny
GRADIENTS = torch.tensor(
    [[0.3, -1.0, 2.0], [0.1, 0.5, -1.0], [-0.7, 0.2, 0.4], [0.3, 0.3, 1.1]], dtype=torch.float64
)
STILL = torch.tensor([[0.0, 0.4, -3.0], [0.0, -0.1, -2.0]], dtype=torch.float64)


def adamw_cases(seed=0):
    theta, gradients = varied(seed, THETA), varied(seed, GRADIENTS)
    return [
        (theta, gradients, 0.1, 0.5),
        (theta, STILL, 0.05, 0.2),
        (theta, 1e-5 * gradients, 0.2, 0.1),
        (theta, gradients[:1], 0.1, 0.3),
    ]


# ------------------------------------------------------------------- the cubic that does converge


def polar(G, steps):
    X = G / G.norm()
    for _ in range(steps):
        X = 1.5 * X - 0.5 * X @ X.mT @ X
    return X


def polar_by_decomposition(G, steps):
    U, s, Vh = torch.linalg.svd(G, full_matrices=False)
    s = s / s.square().sum().sqrt()
    for _ in range(steps):
        s = s * (3 - s**2) / 2
    return U @ torch.diag(s) @ Vh


def polar_from(start, turn=lambda X: 1.5 * X - 0.5 * X @ X.mT @ X, more=0):
    """Return `polar` that begins with start(G), turns by another rule, or a few steps more."""

    def answer(G, steps):
        X = start(G)
        for _ in range(steps + more):
            X = turn(X)
        return X

    return answer


def unit(G):
    return G / G.norm()


def quintic(X):
    A = X @ X.mT
    return 3.4445 * X - 4.7750 * A @ X + 2.0315 * A @ A @ X


G = torch.tensor([[2.0, 0.5, -1.0], [0.3, -1.5, 0.8]], dtype=torch.float64)
SQUARE = torch.tensor([[1.0, 2.0], [3.0, 4.5]], dtype=torch.float64)


def polar_cases(seed=0):
    wide, square = varied(seed, G), varied(seed, SQUARE)
    return [(wide, 1), (wide.mT.contiguous(), 3), (square, 2), (square, 12)]


# ----------------------------------------------------------------------------------- the schedule


def schedule(step, total, warmup):
    if step < warmup:
        return (step + 1) / warmup
    return (total - step) / (total - warmup)


def schedule_by_minimum(step, total, warmup):
    rise = (step + 1) / warmup if warmup else 1.0
    return min(rise, (total - step) / (total - warmup), 1.0)


def cosine(step, total, warmup):
    fall = 0.5 + 0.5 * math.cos(math.pi * (step - warmup) / (total - warmup))
    return schedule(step, total, warmup) if step < warmup else fall


def rising(step, warmup):
    return (step + 1) / warmup if step < warmup else None


PLACES = [(0, 100, 10), (8, 100, 10), (10, 100, 10), (55, 100, 10), (99, 100, 10), (0, 40, 0)]
PLACES += [(39, 40, 0), (3, 8, 4), (4, 8, 4), (70, 100, 40), (0, 9000, 2500), (8999, 9000, 20)]


def schedule_cases(seed=0):
    k = 1 if seed == 0 else 2 + seed % 401
    more = 0 if seed == 0 else 1 + seed % 3
    return [(step * k, total * k + more, warmup * k) for step, total, warmup in PLACES]


# ------------------------------------------------------------------------------ three predictions


def predictions(f, L, n):
    present = f[f > 0]
    return torch.stack(
        [
            torch.tensor(len(f)).double().log(),
            -(present * present.log()).sum(),
            torch.tensor(n).double().log() / L,
        ]
    )


def predictions_in_a_loop(f, L, n):
    nats = 0.0
    for share in f.tolist():
        nats -= share * math.log(share) if share else 0.0
    return [math.log(len(f)), nats, math.log(n) / L]


def predicted(first=None, second=None, third=None):
    """Return `predictions` with one of the three numbers by another function of (f, L, n)."""

    def answer(f, L, n):
        said = [*predictions_in_a_loop(f, L, n)]
        for place, other in enumerate((first, second, third)):
            if other:
                said[place] = float(other(f, L, n))
        return said

    return answer


PREDICTED = (
    "the loss of a network that has learned nothing",
    "the loss of one that knows how often each word occurs",
    "the training loss of one that knows its texts by heart",
)

F_BOOK = torch.tensor([0.5, 0.25, 0.125, 0.125, 0.0], dtype=torch.float64)
F_OTHER = torch.tensor([0.0004, 0.005, 0.2946, 0.7], dtype=torch.float64)


def prediction_cases(seed=0):
    return [
        (varied_rows(seed, F_BOOK), 32, 50 + seed % 40),
        (varied_rows(seed, F_OTHER), 8, 3 + seed % 5),
    ]


# --------------------------------------------------------------------------- the loop with bugs

BUGS = {
    "softmax": "F.cross_entropy takes logits and does its own softmax; the one here is the second.",
    "sum": "The loss is a mean over the examples: with a sum the step grows with their number.",
    "sign": "It walks uphill: subtract the gradient.",
    "zero": "It never clears W.grad, to which backward() adds: clear it before each step.",
    "train": "The last line still drops numbers: the loss is measured on x as it is.",
}


def dropped(x, mask):
    return x * mask / 0.5


def loop(*bugs):
    """Return the training loop with some of the bugs."""

    def answer(W, x, y, keep, lr):
        W = W.clone().requires_grad_()
        for mask in keep:
            if "zero" not in bugs:
                W.grad = None
            z = dropped(x, mask) @ W.T
            z = z.softmax(1) if "softmax" in bugs else z
            F.cross_entropy(z, y, reduction="sum" if "sum" in bugs else "mean").backward()
            with torch.no_grad():
                W += (lr if "sign" in bugs else -lr) * W.grad
        x = dropped(x, keep[-1]) if "train" in bugs else x
        return F.cross_entropy(x @ W.T, y).detach()

    return answer


def loss_by_hand(W, x, y):
    p = (x @ W.T).softmax(1)
    return -p[torch.arange(len(y)), y].log().mean()


def moved(W, seen, y, lr):
    p = (seen @ W.T).softmax(1)
    return W - lr * (p - F.one_hot(y, len(W))).T @ seen / len(y)


def loop_by_hand(W, x, y, keep, lr):
    for mask in keep:
        W = moved(W, dropped(x, mask), y, lr)
    return loss_by_hand(W, x, y)


def never_moves(W, x, y, keep, lr):
    return loss_by_hand(W, x, y)


def one_step_less(W, x, y, keep, lr):
    return loop_by_hand(W, x, y, keep[:-1], lr)


def loss_of_the_loop(W, x, y, keep, lr):
    for mask in keep:
        seen = dropped(x, mask)
        loss, W = loss_by_hand(W, seen, y), moved(W, seen, y, lr)
    return loss


def without_dropout(W, x, y, keep, lr):
    return loop_by_hand(W, x, y, torch.ones_like(keep) / 2, lr)


def not_rescaled(W, x, y, keep, lr):
    for mask in keep:
        W = moved(W, x * mask, y, lr)
    return loss_by_hand(W, x, y)


def ends_with(change):
    """Return the loop with a last line that measures the loss on change(x, mask)."""

    def answer(W, x, y, keep, lr):
        for mask in keep:
            W = moved(W, dropped(x, mask), y, lr)
        return loss_by_hand(W, change(x, mask), y)

    return answer


def returns_in_the_loop(W, x, y, keep, lr):
    return loop_by_hand(W, x, y, keep[:1], lr)


def step_after_the_loop(W, x, y, keep, lr):
    return loop_by_hand(W, x, y, keep[-1:], lr)


def summed_at_the_end(W, x, y, keep, lr):
    return len(y) * loop_by_hand(W, x, y, keep, lr)


def left(bugs):
    """Return the Mistake of one who has left these bugs in."""
    count = ("", "One bug is left. ", "Two bugs are left. ", "Three bugs are left. ")
    count += ("Four bugs are left. ", "All five bugs are still there. ")
    return Mistake(loop(*bugs), count[len(bugs)] + BUGS[bugs[0]])


LEFT = {
    f"left in: {', '.join(bugs)}": left(bugs)
    for count in range(1, 6)
    for bugs in combinations(BUGS, count)
}

W = torch.tensor([[0.1, -0.3], [0.5, 0.2], [-0.4, 0.0]], dtype=torch.float64)
EXAMPLES = torch.tensor([[1.0, 0.5], [-0.5, 2.0], [0.3, -1.0], [1.5, 1.0]], dtype=torch.float64)
LABELS = torch.tensor([0, 2, 1, 0])
KEEP = torch.tensor(
    [
        [[1, 0], [1, 1], [0, 1], [0, 1]],
        [[0, 1], [1, 0], [1, 1], [0, 0]],
        [[1, 1], [0, 0], [0, 1], [1, 0]],
    ],
    dtype=torch.float64,
)


def loop_cases(seed=0):
    w, x = varied(seed, W), varied(seed, EXAMPLES)
    return [
        (w, x, LABELS, KEEP, 0.5),
        (w, x[:3], LABELS[:3], KEEP[1:, :3], 0.2),
        (w, x, LABELS, KEEP[:1], 0.3),
    ]


EXERCISES = {
    "logit_gradient": Exercise(
        logit_gradient,
        logit_gradient_by_autograd,
        {
            "sign": Mistake(
                lambda logits, y, T: -logit_gradient(logits, y, T),
                "That is y - p, the way downhill: the gradient points uphill, p - y.",
            ),
            "sum for mean": Mistake(
                lambda logits, y, T: len(y) * logit_gradient(logits, y, T),
                "That is the gradient of the sum over the batch: the loss is a mean, so divide by "
                "the number of rows.",
            ),
            "p - y and no factor": Mistake(
                lambda logits, y, T: T * len(y) * logit_gradient(logits, y, T),
                "That is p - y for logits / T, of one row: the chain rule leaves a factor 1 / T, "
                "and the mean one over the rows.",
            ),
            "mean over all numbers": Mistake(
                lambda logits, y, T: logit_gradient(logits, y, T) / logits.shape[1],
                "You divide by all numbers of logits: the mean is over the B rows only.",
            ),
            "outer factor": Mistake(
                lambda logits, y, T: T * logit_gradient(logits, y, T),
                "The softmax is right, but the loss depends on logits through logits / T: the "
                "chain rule leaves a factor 1 / T.",
            ),
            "inner factor": Mistake(
                with_p(lambda logits, T: logits.softmax(1)),
                "The factor 1 / T stands outside, but the softmax must be that of logits / T too.",
            ),
            "no temperature": Mistake(
                lambda logits, y, T: logit_gradient(logits, y, 1.0),
                "T is ignored: the loss is the cross-entropy of logits / T.",
            ),
            "multiplied by T": Mistake(
                lambda logits, y, T: logit_gradient(logits, y, 1 / T),
                "You multiply the logits by T: a high temperature flattens, so divide.",
            ),
            "softmax over the batch": Mistake(
                with_p(lambda logits, T: (logits / T).softmax(0)),
                "Your probabilities add up to 1 in each column: the softmax is over the words, "
                "dim 1.",
            ),
            "logits for probabilities": Mistake(
                with_p(lambda logits, T: logits / T),
                "You subtract y from the logits: take their softmax first.",
            ),
            "log-probabilities": Mistake(
                with_p(lambda logits, T: (logits / T).log_softmax(1)),
                "You subtract y from log-probabilities: it is p - y, without the logarithm.",
            ),
            "number of the word": Mistake(
                lambda logits, y, T: ((logits / T).softmax(1) - y[:, None]) / (T * len(y)),
                "You subtract the number of the word: subtract 1 at that word only, as with "
                "F.one_hot(y, V).",
            ),
            "whole columns": Mistake(
                whole_columns,
                "You change whole columns: p[:, y] takes them in every row, and "
                "p[torch.arange(B), y] takes one number of each row.",
            ),
            "without y": Mistake(
                lambda logits, y, T: (logits / T).softmax(1) / (T * len(y)),
                "The pull towards the word that came is missing: subtract 1 at y.",
            ),
            "targets alone": Mistake(
                targets_alone,
                "The other words have a gradient too, p itself: what the target gains they lose.",
            ),
        },
        cases=gradient_cases,
    ),
    "predictions": Exercise(
        predictions,
        predictions_in_a_loop,
        {
            "bits": Mistake(
                lambda f, L, n: predictions(f, L, n) / math.log(2),
                "These are bits: use the natural logarithm, for nats.",
            ),
            "second in bits": Mistake(
                predicted(second=lambda f, L, n: predictions(f, L, n)[1] / math.log(2)),
                "Your second number is in bits: use the natural logarithm there too, for nats.",
            ),
            "third in bits": Mistake(
                predicted(third=lambda f, L, n: math.log2(n) / L),
                "Your third number is in bits: use the natural logarithm there too, for nats.",
            ),
            "all for a text": Mistake(
                lambda f, L, n: L * predictions(f, L, n),
                "These are the losses of a whole text: divide by its L words.",
            ),
            "logarithm of n / L": Mistake(
                predicted(third=lambda f, L, n: math.log(n / L)),
                "You take the logarithm of n / L: divide the logarithm of n by L.",
            ),
            "by heart costs nothing": Mistake(
                predicted(third=lambda f, L, n: 0.0),
                "Not zero: who knows all n texts by heart must still guess which of them this is.",
            ),
            "a text, not a word": Mistake(
                predicted(third=lambda f, L, n: math.log(n)),
                "Your third number, log n, is the loss of a whole text: divide it by its L words.",
            ),
            "words for texts": Mistake(
                predicted(third=lambda f, L, n: math.log(n * L) / L),
                "You count n * L alternatives: there are n texts to choose from, at the first "
                "words.",
            ),
            "0 log 0": Mistake(
                predicted(second=lambda f, L, n: -(f * f.log()).sum()),
                "A word that never occurs gives 0 * log 0, which is nan: leave it out, or use "
                "torch.special.xlogy.",
            ),
            "words that occur": Mistake(
                predicted(first=lambda f, L, n: math.log((f > 0).sum())),
                "A network that has learned nothing does not know that a word never occurs: it "
                "spreads over all V words.",
            ),
            "always the commonest": Mistake(
                predicted(second=lambda f, L, n: -f.max().log()),
                "That is the surprise of the commonest word: average over all words, each as often "
                "as it occurs.",
            ),
            "uniform again": Mistake(
                predicted(second=lambda f, L, n: math.log(len(f))),
                "Frequencies can be learned without seeing another word: the second number is "
                "their entropy, below log V.",
            ),
            "mean over the vocabulary": Mistake(
                predicted(second=lambda f, L, n: predictions(f, L, n)[1] / len(f)),
                "You take the mean of - f log f: it is already weighted by f, so sum it.",
            ),
            "sum of surprises": Mistake(
                predicted(second=lambda f, L, n: -f[f > 0].log().sum()),
                "You add up the surprises of all words: weight each by how often the word occurs.",
            ),
            "sign": Mistake(
                predicted(second=lambda f, L, n: -predictions(f, L, n)[1]),
                "Your second number is negative: the surprise is minus the logarithm.",
            ),
        },
        cases=prediction_cases,
        says=lambda index, *case: PREDICTED[index[0]],
    ),
    "descend": Exercise(
        loop(),
        loop_by_hand,
        {
            **LEFT,
            "never moves": Mistake(
                never_moves,
                "This is the loss of the first W: move W in every step, and measure the last one.",
            ),
            "one step late": Mistake(
                one_step_less,
                "This is the loss before the last step: measure it after the loop.",
            ),
            "loss of the loop": Mistake(
                loss_of_the_loop,
                "This is the last loss of the loop, with dropout and before the last step: measure "
                "W after the loop, on all of x.",
            ),
            "no dropout at all": Mistake(
                without_dropout,
                "You train without dropout: that was no bug. Only the last line is without it.",
            ),
            "not rescaled": Mistake(
                not_rescaled,
                "You took out the division by 0.5: it makes the dropped numbers right on average.",
            ),
            "halved at the end": Mistake(
                ends_with(lambda x, mask: x / 2),
                "You halve x in the last line: the division by 0.5 in the loop has already made "
                "up for what is dropped, so measure on x as it is.",
            ),
            "doubled at the end": Mistake(
                ends_with(lambda x, mask: x / 0.5),
                "The last line still doubles x: nothing is dropped there, so measure on x as it "
                "is.",
            ),
            "dropped at the end": Mistake(
                ends_with(lambda x, mask: x * mask),
                "The last line still drops numbers: the loss is measured on x as it is.",
            ),
            "returns in the loop": Mistake(
                returns_in_the_loop,
                "You return after the first step: measure the loss after the loop.",
            ),
            "one step after the loop": Mistake(
                step_after_the_loop,
                "You move W once, after the loop: move it for every mask.",
            ),
            "summed at the end": Mistake(
                summed_at_the_end,
                "The loss that is returned is a mean over the examples, too.",
            ),
        },
        cases=loop_cases,
    ),
    "schedule": Exercise(
        schedule,
        schedule_by_minimum,
        {
            "first step at 0": Mistake(
                lambda step, total, warmup: (
                    step / warmup if step < warmup else (total - step) / (total - warmup)
                ),
                "Your first step has rate 0 and moves nothing: the steps of the warm-up have 1/w, "
                "2/w, ..., so use step + 1.",
            ),
            "last step at 0": Mistake(
                lambda step, total, warmup: (
                    rising(step, warmup) or (total - 1 - step) / (total - 1 - warmup)
                ),
                "Your last step has rate 0 and moves nothing: zero is reached at step = total, "
                "which is not taken.",
            ),
            "one step early": Mistake(
                lambda step, total, warmup: (
                    rising(step, warmup) or (total - step - 1) / (total - warmup)
                ),
                "Your fall is one step ahead: at step = warmup the rate is still 1.",
            ),
            "both ends at 0": Mistake(
                lambda step, total, warmup: (
                    step / warmup if step < warmup else (total - 1 - step) / (total - 1 - warmup)
                ),
                "Your first and your last step have rate 0 and move nothing: rise by "
                "(step + 1) / warmup, and reach zero only at step = total.",
            ),
            "rise from 0 to 1": Mistake(
                lambda step, total, warmup: (
                    step / (warmup - 1) if step < warmup else (total - step) / (total - warmup)
                ),
                "Your first step has rate 0 and moves nothing: the steps of the warm-up have 1/w, "
                "2/w, ..., up to 1.",
            ),
            "fall from step 0": Mistake(
                lambda step, total, warmup: rising(step, warmup) or 1 - step / (total - warmup),
                "Your fall counts its steps from 0: it begins at step = warmup, so count "
                "step - warmup.",
            ),
            "rises after the warm-up": Mistake(
                lambda step, total, warmup: (
                    (step + 1) / warmup if step < warmup else (step - warmup) / (total - warmup)
                ),
                "After the warm-up your rate rises from 0: take 1 minus that.",
            ),
            "peak one step late": Mistake(
                lambda step, total, warmup: (
                    (step + 1) / (warmup + 1)
                    if step < warmup
                    else (total - step) / (total - warmup)
                ),
                "You reach 1 only after the warm-up: its last step, warmup - 1, already has 1.",
            ),
            "falls from the first step": Mistake(
                lambda step, total, warmup: rising(step, warmup) or (total - step) / total,
                "After the warm-up your rate jumps: the fall has total - warmup steps, from 1 at "
                "step = warmup.",
            ),
            "no fall": Mistake(
                lambda step, total, warmup: rising(step, warmup) or 1.0,
                "The rate stays at 1 after the warm-up: it falls linearly to 0 at step = total.",
            ),
            "no warm-up": Mistake(
                lambda step, total, warmup: min(1.0, (total - step) / (total - warmup)),
                "The warm-up is missing: in the first `warmup` steps the rate rises.",
            ),
            "cosine": Mistake(
                cosine,
                "That falls as a cosine: here the fall is linear.",
            ),
            "product": Mistake(
                lambda step, total, warmup: (
                    ((step + 1) / warmup if step < warmup else 1.0) * (total - step) / total
                ),
                "You multiply the rise and the fall: the rate first rises to 1, then falls from 1.",
            ),
        },
        cases=schedule_cases,
    ),
    "adamw": Exercise(
        adamw,
        adamw_of_torch,
        {
            "no bias correction": Mistake(
                adamw_with(fix_m=False, fix_v=False),
                "Both m and v begin at zero and are too small at first: divide by 1 - beta ** t.",
            ),
            "only m corrected": Mistake(
                adamw_with(fix_v=False),
                "The bias of v is left in: divide it by 1 - 0.95 ** t as well.",
            ),
            "only v corrected": Mistake(
                adamw_with(fix_m=False),
                "The bias of m is left in: divide it by 1 - 0.9 ** t as well.",
            ),
            "steps counted from 0": Mistake(
                adamw_with(first=0),
                "The first step has t = 1: with t = 0 the correction 1 - beta ** t is zero.",
            ),
            "coupled decay": Mistake(
                adamw_with(coupled=True),
                "You add decay * theta to the gradient, which is L2 in Adam: the W in AdamW takes "
                "it from theta directly, past m and v.",
            ),
            "decay grows": Mistake(
                adamw_with(decayed=lambda lr, decay: -lr * decay),
                "Your decay lets the weights grow: it pulls them to zero, - lr * decay * theta.",
            ),
            "decay without lr": Mistake(
                adamw_with(decayed=lambda lr, decay: decay),
                "You take off decay * theta in every step: the learning rate multiplies it too.",
            ),
            "no decay": Mistake(
                adamw_with(decayed=lambda lr, decay: 0.0),
                "The weight decay is missing: every step also takes off lr * decay * theta.",
            ),
            "decay after the step": Mistake(
                adamw_with(after=True),
                "You decay the weights that have already moved: both parts of the step start from "
                "the old theta.",
            ),
            "eps inside the root": Mistake(
                adamw_with(eps=(1e-8, 0.0)),
                "You add eps under the root: it is sqrt(v) + eps. With tiny gradients it matters.",
            ),
            "no eps": Mistake(
                adamw_with(eps=(0.0, 0.0)),
                "Where a gradient has always been zero you divide 0 by 0: add eps to the root, "
                "below the line.",
            ),
            "corrections kept": Mistake(
                corrections_kept,
                "You keep the corrected m and v for the next step: keep the raw averages, and "
                "correct only what goes into the step.",
            ),
            "root before the correction": Mistake(
                root_before_correction,
                "You take the root of v before its correction: divide v by 1 - 0.95 ** t, then "
                "take the root.",
            ),
            "averages begun anew": Mistake(
                averages_begun_anew,
                "Your m and v begin at zero in every step: set them to zero once, before the loop.",
            ),
            "one tensor": Mistake(
                one_tensor,
                "Your m and v are one tensor, which you change in place twice: make two tensors "
                "of zeros.",
            ),
            "returns in the loop": Mistake(
                lambda theta, gradients, lr, decay: adamw(theta, gradients[:1], lr, decay),
                "You return after the first step: return theta after the loop.",
            ),
            "betas swapped": Mistake(
                adamw_with(betas=(0.95, 0.9)),
                "The 0.9 belongs to m and the 0.95 to v: you have them the other way round.",
            ),
            "another beta": Mistake(
                adamw_with(betas=(0.9, 0.999)),
                "You take 0.999 for v, as Adam's authors do: here it is 0.95.",
            ),
            "sums for averages": Mistake(
                sums_for_averages,
                "You sum: m and v are averages, in which what is new counts 1 - beta.",
            ),
            "square of the momentum": Mistake(
                adamw_with(square=lambda m, g: m**2),
                "You square m: v averages the squares of the gradients g themselves.",
            ),
            "no root": Mistake(
                adamw_with(root=lambda v: v),
                "You divide by v itself: it is the square root of v that has the size of a "
                "gradient.",
            ),
            "uphill": Mistake(
                adamw_with(sign=-1),
                "You add the step: subtract it to go downhill.",
            ),
        },
        cases=adamw_cases,
    ),
    "polar": Exercise(
        polar,
        polar_by_decomposition,
        {
            "not normalised": Mistake(
                polar_from(lambda G: G),
                "You start from G itself: the cubic converges only for singular values below "
                "sqrt(3), so divide by the norm first.",
            ),
            "Muon's polynomial": Mistake(
                polar_from(unit, quintic),
                "That is Muon's polynomial of degree 5: here the cubic 1.5 s - 0.5 s^3 is asked.",
            ),
            "entry by entry": Mistake(
                polar_from(unit, lambda X: 1.5 * X - 0.5 * X**3),
                "X ** 3 cubes each entry: the cube of a singular value is the matrix product "
                "X X^T X.",
            ),
            "plus": Mistake(
                polar_from(unit, lambda X: 1.5 * X + 0.5 * X @ X.mT @ X),
                "The cubic term is subtracted: 1.5 s - 0.5 s^3 has its fixed point at 1.",
            ),
            "one half and three halves": Mistake(
                polar_from(unit, lambda X: 0.5 * X + 0.5 * X @ X.mT @ X),
                "Your polynomial sends 1 to 1, but its slope at 0 is below 1, so small singular "
                "values die out: use 1.5 s - 0.5 s^3.",
            ),
            "one step too few": Mistake(
                polar_from(unit, more=-1),
                "You take one step too few: apply the polynomial `steps` times.",
            ),
            "one step too many": Mistake(
                polar_from(unit, more=1),
                "You take one step too many: apply the polynomial `steps` times.",
            ),
            "divided by the largest entry": Mistake(
                polar_from(lambda G: G / G.abs().max()),
                "You divide by the largest entry: divide by the norm, the root of the sum of all "
                "squares, which no singular value exceeds.",
            ),
            "divided by the spectral norm": Mistake(
                polar_from(lambda G: G / torch.linalg.matrix_norm(G, 2)),
                "You divide by the largest singular value: fine, but it needs the decomposition "
                "that this avoids. Divide by the root of the sum of squares.",
            ),
            "rows normalised": Mistake(
                polar_from(lambda G: G / G.norm(dim=1, keepdim=True)),
                "You normalise each row: one number divides the whole matrix, its Frobenius norm.",
            ),
            "columns normalised": Mistake(
                polar_from(lambda G: G / G.norm(dim=0)),
                "You normalise each column: one number divides the whole matrix, its Frobenius "
                "norm.",
            ),
            "no root in the norm": Mistake(
                polar_from(lambda G: G / G.square().sum()),
                "You divide by the sum of squares: the Frobenius norm is the root of it.",
            ),
            "normalised in every step": Mistake(
                polar_from(unit, lambda X: unit(1.5 * X - 0.5 * X @ X.mT @ X)),
                "You divide by the norm in every step: divide once, before the first.",
            ),
            "the limit": Mistake(
                lambda G, steps: polar(G, 60),
                "That is the limit U V^T: return the matrix after `steps` steps.",
            ),
        },
        cases=polar_cases,
    ),
}
