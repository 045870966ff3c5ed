"""Chapter 11, a Mamba language model. Texts of L steps; E or P channels, N numbers of state."""

import torch
import torch.nn.functional as F

from .fresh import normal, varied
from .grader import Exercise, Mistake

# ------------------------------------------------------------------------- the short convolution


def causal_conv(x, w, b):
    """Return y (L, E) with y_t = b + sum_k w_k x_{t-K+1+k}, the last tap on the word itself."""
    K = len(w)
    padded = F.pad(x, (0, 0, K - 1, 0))
    return b + sum(w[k] * padded[k : k + len(x)] for k in range(K))


def causal_conv_by_torch(x, w, b):
    y = F.conv1d(x.T[None], w.T[:, None], b, padding=len(w) - 1, groups=x.shape[1])
    return y[0, :, : len(x)].T


def padded_by(before, after):
    def answer(x, w, b):
        padded = F.pad(x, (0, 0, before(len(w)), after(len(w))))
        return b + sum(w[k] * padded[k : k + len(x)] for k in range(len(w)))

    return answer


def with_the_last_again(x, w, b):
    padded = torch.cat([x[:1].expand(len(w) - 1, -1), x])
    return b + sum(w[k] * padded[k : k + len(x)] for k in range(len(w)))


def in_a_ring(x, w, b):
    return b + sum(w[-1 - k] * x.roll(k, 0) for k in range(len(w)))


def bias_at_every_tap(x, w, b):
    return causal_conv(x, w, b) + (len(w) - 1) * b


def whole_windows_only(first):
    """Return an answer whose first K - 1 rows are first(b), as no whole window ends there."""

    def answer(x, w, b):
        early = torch.arange(len(x))[:, None] < len(w) - 1
        return torch.where(early, first(b), causal_conv(x, w, b))

    return answer


CENTRED = (
    "Your window is centred on the word, so about half of it is the future: put all K - 1 rows of "
    "zeros in front."
)
WHOLE_WINDOWS = (
    "Your first K - 1 words get no convolution, because no whole window ends there: put K - 1 rows "
    "of zeros in front of the text, so that each word has a window."
)

# --------------------------------------------------------------------------- the bias of the steps


def delta_bias(delta):
    """Return the bias whose softplus is delta (E,)."""
    return delta + (-torch.expm1(-delta)).log()


def delta_bias_by_cases(delta):
    return torch.where(delta > 1, delta + torch.log1p(-(-delta).exp()), delta.expm1().log())


SOFTPLUS_AGAIN = (
    "This is the softplus itself, log(exp(delta) + 1): undo it, so that the softplus of the bias "
    "is delta."
)

# ------------------------------------------------------------------------------------- who stores


def break_even(D, E, N, K):
    """Return the smallest n with 2 D n > E (N + K - 1)."""
    return E * (N + K - 1) // (2 * D) + 1


def break_even_by_counting(D, E, N, K):
    n = 0
    while 2 * D * n <= E * (N + K - 1):
        n += 1
    return n


# ------------------------------------------------------------------------------ masked attention


def weights(delta, A, B, C, keep=torch.tril):
    """Return the matrix (L, L) of the dual form."""
    c = (delta * A).cumsum(0)
    hidden = keep(torch.ones(len(c), len(c))) == 0
    return (C @ B.T) * (c[:, None] - c).masked_fill(hidden, -torch.inf).exp() * delta


def dual_form(x, delta, A, B, C):
    """Return y (L, P) of one head."""
    return weights(delta, A, B, C) @ x


def dual_form_by_loop(x, delta, A, B, C):
    S, y = torch.zeros(B.shape[1], x.shape[1], dtype=x.dtype), []
    for x_t, d_t, B_t, C_t in zip(x, delta, B, C, strict=True):
        S = (d_t * A).exp() * S + torch.outer(B_t, d_t * x_t)
        y.append(S.T @ C_t)
    return torch.stack(y)


def divided(x, delta, A, B, C):
    P = (delta * A).cumsum(0).exp()
    return ((C @ B.T).tril() * P[:, None] / P * delta) @ x


def fades_at_once(x, delta, A, B, C):
    return weights(delta, A, B * (delta * A).exp()[:, None], C) @ x


def by_softmax(x, delta, A, B, C):
    seen = torch.ones(len(x), len(x)).tril().bool()
    return (C @ B.T).masked_fill(~seen, -torch.inf).softmax(-1) @ x


def step_of_the_reader(x, delta, A, B, C):
    return delta[:, None] * (weights(delta, A, B, C) / delta) @ x


def hidden_too_late(x, delta, A, B, C):
    c = (delta * A).cumsum(0)
    seen = torch.ones(len(c), len(c)).tril()
    return ((C @ B.T) * (c[:, None] - c).exp() * seen * delta) @ x


def hidden_by_zero(x, delta, A, B, C):
    c = (delta * A).cumsum(0)
    return ((C @ B.T) * (c[:, None] - c).tril().exp() * delta) @ x


def hidden_in_the_scores(x, delta, A, B, C):
    c, scores = (delta * A).cumsum(0), C @ B.T
    scores = scores.masked_fill(torch.ones_like(scores).triu(1) == 1, -torch.inf)
    return (scores * (c[:, None] - c).exp() * delta) @ x


def one_word_early(x, delta, A, B, C):
    c = (delta * A).cumsum(0) - delta * A
    hidden = torch.ones(len(c), len(c)).triu(1) == 1
    return ((C @ B.T) * (c[:, None] - c).masked_fill(hidden, -torch.inf).exp() * delta) @ x


def reads_before_it_writes(x, delta, A, B, C):
    S, y = torch.zeros(B.shape[1], x.shape[1], dtype=x.dtype), []
    for x_t, d_t, B_t, C_t in zip(x, delta, B, C, strict=True):
        y.append(S.T @ C_t)
        S = (d_t * A).exp() * S + torch.outer(B_t, d_t * x_t)
    return torch.stack(y)


def anticausal(x, delta, A, B, C):
    c = (delta * A).cumsum(0)
    return ((C @ B.T) * (-(c[:, None] - c).abs()).exp() * delta) @ x


# ---------------------------------------------------------------------------- what a chunk leaves


def chunk_state(x, delta, A, B, S):
    """Return the state (N, P) after a chunk that begins with the state S."""
    c = (delta * A).cumsum(0)
    return c[-1].exp() * S + (B * ((c[-1] - c).exp() * delta)[:, None]).T @ x


def chunk_state_by_loop(x, delta, A, B, S):
    for x_t, d_t, B_t in zip(x, delta, B, strict=True):
        S = (d_t * A).exp() * S + torch.outer(B_t, d_t * x_t)
    return S


def leaves(kept, faded, written=lambda delta: delta):
    """Return an answer: kept(c) of the old state, and faded(c) of what each step wrote."""

    def answer(x, delta, A, B, S):
        c = (delta * A).cumsum(0)
        return kept(c) * S + (B * (faded(c) * written(delta))[:, None]).T @ x

    return answer


def right_kept(c):
    return c[-1].exp()


def right_faded(c):
    return (c[-1] - c).exp()


def one_step_late(c):
    """Let what a step writes fade in that step too."""
    return (c[-1] - torch.cat([torch.zeros_like(c[:1]), c[:-1]])).exp()


# ---------------------------------------------------------------------------------- the delta rule


def delta_rule(k, v, beta, q):
    """Return what is read, (L, P), of S_t = S_{t-1} + beta_t (v_t - S_{t-1} k_t) k_t^T."""
    S, y = torch.zeros(v.shape[1], k.shape[1], dtype=v.dtype), []
    for k_t, v_t, b_t, q_t in zip(k, v, beta, q, strict=True):
        S = S + b_t * torch.outer(v_t - S @ k_t, k_t)
        y.append(S @ q_t)
    return torch.stack(y)


def delta_rule_by_matrices(k, v, beta, q):
    one = torch.eye(k.shape[1], dtype=k.dtype)
    S, y = torch.zeros(k.shape[1], v.shape[1], dtype=v.dtype), []
    for t in range(len(k)):
        S = (one - beta[t] * torch.outer(k[t], k[t])) @ S + beta[t] * torch.outer(k[t], v[t])
        y.append(q[t] @ S)
    return torch.stack(y)


def rule(write, late=False):
    """Return an answer whose state becomes write(S, k, v, beta)."""

    def answer(k, v, beta, q):
        S, y = torch.zeros(v.shape[1], k.shape[1], dtype=v.dtype), []
        for k_t, v_t, b_t, q_t in zip(k, v, beta, q, strict=True):
            before, S = S, write(S, k_t, v_t, b_t)
            y.append((before if late else S) @ q_t)
        return torch.stack(y)

    return answer


def corrected(S, k, v, beta):
    return S + beta * torch.outer(v - S @ k, k)


def erased(S, k, beta):
    return S - beta * torch.outer(S @ k, k)


def asks_with_the_query(k, v, beta, q):
    S, y = torch.zeros(v.shape[1], k.shape[1], dtype=v.dtype), []
    for k_t, v_t, b_t, q_t in zip(k, v, beta, q, strict=True):
        S = S + b_t * torch.outer(v_t - S @ q_t, k_t)
        y.append(S @ q_t)
    return torch.stack(y)


# ------------------------------------------------------------------------------------------ cases


def steps(*shape, seed=0):
    """Return step sizes, some short and some long."""
    return F.softplus(2 * normal(*shape, seed=seed) - 1)


def number(value):
    return torch.tensor(value, dtype=torch.float64)


def some_heads(seed=0):
    """Return x, delta, A, B, C for one head; the last case forgets more than float64 holds."""
    cases = []
    for n, (L, N, P, A) in enumerate(((4, 2, 3, -1.0), (7, 3, 2, -0.3), (6, 2, 2, -5000.0))):
        s = seed + 10 * n
        B, C = normal(L, N, seed=s + 2), normal(L, N, seed=s + 3)
        cases.append((normal(L, P, seed=s), steps(L, seed=s + 1), number(A), B, C))
    return cases


def some_chunks(seed=0):
    cases = []
    for x, delta, A, B, _ in some_heads(seed)[:2]:
        cases.append((x, delta, A, B, normal(B.shape[1], x.shape[1], seed=seed + 50)))
    x, delta, A, B, _ = some_heads(seed + 3)[2]
    return [*cases, (x[:1], delta[:1] / 100, A / 100, B[:1], normal(2, 2, seed=seed + 51))]


def some_keys(seed=0):
    """Return k, v, beta, q: keys of length 1, some of which come back, and others."""
    cases = []
    for n, (L, N, P) in enumerate(((5, 2, 3), (6, 3, 2))):
        s = seed + 10 * n
        k = F.normalize(normal(L, N, seed=s), dim=-1) * (1 + n * steps(L, 1, seed=s + 5) / 4)
        k[3] = k[0]
        beta = normal(L, seed=s + 1).sigmoid()
        beta[3] = 1
        cases.append((k, normal(L, P, seed=s + 2), beta, normal(L, N, seed=s + 3)))
    return cases


EXERCISES = {
    "causal_conv": Exercise(
        causal_conv,
        causal_conv_by_torch,
        {
            "taps in reverse": Mistake(
                lambda x, w, b: causal_conv(x, w.flip(0), b),
                "Your taps are in reverse: the last row of `w` belongs to the word itself, the row "
                "above it to the word before.",
            ),
            "sees ahead": Mistake(
                padded_by(lambda K: 0, lambda K: K - 1),
                "You pad at the end, so a word sees the words after it: put K - 1 rows of zeros in "
                "front.",
            ),
            "centred": Mistake(padded_by(lambda K: K // 2, lambda K: K), CENTRED),
            "padding same": Mistake(padded_by(lambda K: (K - 1) // 2, lambda K: K), CENTRED),
            "from the other end": Mistake(
                lambda x, w, b: causal_conv(x.flip(0), w, b).flip(0),
                "Your convolution runs backwards, so a word sees the words after it: the rows of "
                "`w` above the last one belong to the words before.",
            ),
            "one word late": Mistake(
                padded_by(lambda K: K, lambda K: 0),
                "Your output is one word late: K rows of zeros in front are one too many.",
            ),
            "no bias": Mistake(
                lambda x, w, b: causal_conv(x, w, 0 * b),
                "You leave out the bias `b`, one number a channel.",
            ),
            "bias at every tap": Mistake(
                bias_at_every_tap,
                "You add the bias `b` once for each row of `w`: add it once, to the whole sum.",
            ),
            "zeros at the start": Mistake(whole_windows_only(torch.zeros_like), WHOLE_WINDOWS),
            "bias at the start": Mistake(whole_windows_only(lambda b: b), WHOLE_WINDOWS),
            "in a ring": Mistake(
                in_a_ring,
                "Your first words see the last ones, as with `roll`: before the text there are "
                "only zeros.",
            ),
            "the first word again": Mistake(
                with_the_last_again,
                "You repeat the first word in front of the text: put zeros there.",
            ),
            "channels mixed": Mistake(
                lambda x, w, b: causal_conv(x.sum(1, keepdim=True).expand_as(x), w, b),
                "You add up the channels: each has taps of its own and reads no other channel.",
            ),
            "SiLU too": Mistake(
                lambda x, w, b: F.silu(causal_conv(x, w, b)),
                "You apply SiLU as well: return the convolution itself.",
            ),
        },
        cases=lambda seed=0: [
            (normal(L, E, seed=s), normal(K, E, seed=s + 1), normal(E, seed=s + 2))
            for s, (L, E, K) in enumerate(((6, 2, 3), (5, 3, 4), (2, 2, 4)), 5 * seed)
        ],
    ),
    "delta_bias": Exercise(
        delta_bias,
        delta_bias_by_cases,
        {
            "exp, then minus one": Mistake(
                lambda delta: (delta.exp() - 1).log(),
                "The formula is right, its numbers are not: exp(delta) - 1 is 0 for a tiny delta "
                "and infinite for a large one. Use expm1, on -delta.",
            ),
            "expm1 alone": Mistake(
                lambda delta: delta.expm1().log(),
                "Right for small steps, but expm1(delta) overflows for a large one: take delta out "
                "first, as in delta + log(-expm1(-delta)).",
            ),
            "one minus exp": Mistake(
                lambda delta: delta + (1 - (-delta).exp()).log(),
                "You take delta out of the logarithm, but for a tiny delta exp(-delta) is 1 to all "
                "digits, and 1 minus it is 0: write -expm1(-delta).",
            ),
            "delta left out": Mistake(
                lambda delta: (-torch.expm1(-delta)).log(),
                "You took exp(delta) out of the logarithm and dropped it: add delta.",
            ),
            "minus one outside": Mistake(
                lambda delta: delta - 1,
                "The 1 is subtracted inside the logarithm, log(exp(delta) - 1), and not after it.",
            ),
            "the logarithm": Mistake(
                lambda delta: delta.log(),
                "This is the inverse of exp, which is close for small steps only. The softplus is "
                "log(1 + exp(z)): solve that for z.",
            ),
            "softplus again": Mistake(F.softplus, SOFTPLUS_AGAIN),
            "softplus written out": Mistake(lambda delta: (delta.exp() + 1).log(), SOFTPLUS_AGAIN),
            "no logarithm": Mistake(
                torch.expm1,
                "You stop at exp(delta) - 1, which is exp of the bias: take its logarithm.",
            ),
            "sign": Mistake(
                lambda delta: -delta_bias(delta),
                "Your sign is wrong: a small step needs a very negative bias.",
            ),
            "the sigmoid's inverse": Mistake(
                lambda delta: delta.log() - torch.log1p(-delta),
                "This is the inverse of the sigmoid, whose values are all below 1: undo the "
                "softplus, log(1 + exp(z)).",
            ),
        },
        cases=lambda seed=0: [
            (varied(seed, number([0.001, 0.01, 0.1, 0.7])),),
            (varied(seed, number([1e-20, 1e-9, 3.0, 40.0])),),
            (varied(seed, number([900.0, 2.0])),),
        ],
        tolerance=1e-9,
    ),
    "break_even": Exercise(
        break_even,
        break_even_by_counting,
        {
            "the convolution forgotten": Mistake(
                lambda D, E, N, K: E * N // (2 * D) + 1,
                "You leave out what the convolution keeps: the last K - 1 inputs, E numbers each.",
            ),
            "K inputs": Mistake(
                lambda D, E, N, K: E * (N + K) // (2 * D) + 1,
                "You keep K inputs of the convolution: the newest comes with the step, so only "
                "K - 1 are kept.",
            ),
            "equal": Mistake(
                lambda D, E, N, K: -(-E * (N + K - 1) // (2 * D)),
                "At your n both may store the same: return the first n at which attention stores "
                "more.",
            ),
            "rounded down": Mistake(
                lambda D, E, N, K: E * (N + K - 1) // (2 * D),
                "At your n attention does not store more yet: it does one word later.",
            ),
            "not a whole number": Mistake(
                lambda D, E, N, K: E * (N + K - 1) / (2 * D),
                "This is where the two lines cross: return the first whole number of words beyond "
                "it.",
            ),
            "E is 2 D": Mistake(
                lambda D, E, N, K: N + K,
                "This is right for E = 2 D only: compare 2 D n with E (N + K - 1) for any D and E.",
            ),
            "keys without values": Mistake(
                lambda D, E, N, K: E * (N + K - 1) // D + 1,
                "Attention keeps a key *and* a value for every word, 2 D numbers.",
            ),
            "D for E": Mistake(
                lambda D, E, N, K: (N + K - 1) // 2 + 1,
                "You count D channels in the state: there are E, the width inside the block.",
            ),
        },
        cases=lambda seed=0: [
            (64, 128, 16 + seed % 97, 4),
            (48 + seed % 7, 96, 8, 4),
            (32, 64 + 32 * (seed % 3), 1, 2),
            (100, 60, 5 + 5 * (seed % 101), 4),  # never a whole number of words
        ],
    ),
    "dual_form": Exercise(
        dual_form,
        dual_form_by_loop,
        {
            "divided": Mistake(
                divided,
                "Right for mild decays, but exp(c_t) / exp(c_s) is 0 / 0 where the head forgets a "
                "lot: subtract first, then take the exponential.",
            ),
            "hidden too late": Mistake(
                hidden_too_late,
                "Right for mild decays, but for s > t the exponential is infinite where the head "
                "forgets a lot, and 0 times infinity is NaN: hide s > t before you take it.",
            ),
            "hidden by 0": Mistake(
                hidden_by_zero,
                "Your words see later ones too, because exp(0) is 1: put minus infinity into the "
                "exponent where s > t.",
            ),
            "minus infinity": Mistake(
                hidden_in_the_scores,
                "You put minus infinity into the scores, as before a softmax, but nothing takes "
                "their exponential: hide s > t in the exponent of the decay.",
            ),
            "decay without delta": Mistake(
                lambda x, delta, A, B, C: (weights(torch.ones_like(delta), A, B, C) * delta) @ x,
                "Your decay ignores the steps: c is the cumulative sum of delta * A, and not of A.",
            ),
            "decay one word early": Mistake(
                one_word_early,
                "Your c leaves out the word's own step: c_t includes delta_t A, so that what word "
                "s wrote fades at the words s + 1 to t.",
            ),
            "reads before it writes": Mistake(
                reads_before_it_writes,
                "You read the state before word t has written into it: y_t = S_t^T C_t, with the "
                "new S_t.",
            ),
            "no delta": Mistake(
                lambda x, delta, A, B, C: (weights(delta, A, B, C) / delta) @ x,
                "You leave out delta_s: what a word writes is multiplied by its own step.",
            ),
            "the reader's step": Mistake(
                step_of_the_reader,
                "You multiply by delta_t, the step of the word that reads: it is delta_s, the step "
                "of the word that wrote.",
            ),
            "fades at once": Mistake(
                fades_at_once,
                "What word s writes fades from step s + 1 on: the exponent is c_t - c_s, and 0 on "
                "the diagonal.",
            ),
            "not itself": Mistake(
                lambda x, delta, A, B, C: weights(delta, A, B, C, lambda m: m.tril(-1)) @ x,
                "Your words do not see themselves: the sum is over s <= t, with t itself.",
            ),
            "sees ahead": Mistake(
                anticausal,
                "Your words see later ones too: hide s > t before you take the exponential.",
            ),
            "no decay": Mistake(
                lambda x, delta, A, B, C: ((C @ B.T).tril() * delta) @ x,
                "Nothing fades: this is linear attention. Multiply by exp(c_t - c_s).",
            ),
            "sign of A": Mistake(
                lambda x, delta, A, B, C: weights(delta, -A, B, C) @ x,
                "Your weights grow with the distance: A is negative already, so c is the sum of "
                "delta * A up to each word.",
            ),
            "A left out": Mistake(
                lambda x, delta, A, B, C: weights(delta, 1.0, B, C) @ x,
                "You leave A out of c, so your weights grow with the distance: c is the cumulative "
                "sum of delta * A.",
            ),
            "B and C exchanged": Mistake(
                lambda x, delta, A, B, C: weights(delta, A, C, B) @ x,
                "You swapped B and C: word t reads with C_t what word s wrote with B_s.",
            ),
            "softmax": Mistake(
                by_softmax,
                "You take a softmax: here the weights are the products themselves, times the "
                "decay and the step.",
            ),
            "transposed": Mistake(
                lambda x, delta, A, B, C: weights(delta, A, B, C).T @ x,
                "Your matrix is transposed: rows are the words that read, columns those that "
                "wrote.",
            ),
        },
        cases=some_heads,
    ),
    "chunk_state": Exercise(
        chunk_state,
        chunk_state_by_loop,
        {
            "both bugs": Mistake(
                leaves(lambda c: 1.0, lambda c: c.exp()),
                "This is the function as it was given. Work out what is left at the end of the "
                "chunk: of the old state, and of what the last word wrote.",
            ),
            "old state kept whole": Mistake(
                leaves(lambda c: 1.0, right_faded),
                "What the words leave is right now, but the old state fades at every word of the "
                "chunk, to exp(c[-1]) of what it was.",
            ),
            "faded from the start": Mistake(
                leaves(right_kept, lambda c: c.exp()),
                "The old state is right now, but what word s wrote fades from s to the end, by "
                "exp(c[-1] - c[s]), and not from the start to s.",
            ),
            "fades at once": Mistake(
                leaves(right_kept, one_step_late),
                "What a word writes fades from the next word on, but yours fades in the word's own "
                "step too: nothing of the last word is lost at the end of the chunk.",
            ),
            "no delta": Mistake(
                leaves(right_kept, right_faded, torch.ones_like),
                "You dropped delta: what a word writes is multiplied by its step.",
            ),
            "sign of the exponent": Mistake(
                leaves(right_kept, lambda c: (c - c[-1]).exp()),
                "What the words write grows in your answer: c falls, so the exponent that is not "
                "above 0 is c[-1] - c[s].",
            ),
            "A left out": Mistake(
                lambda x, delta, A, B, S: chunk_state(x, delta, -A / A, B, S),
                "You leave A out of c: it is the cumulative sum of delta * A.",
            ),
            "sign of A": Mistake(
                lambda x, delta, A, B, S: chunk_state(x, delta, -A, B, S),
                "Your state grows: A is negative already, so c is the cumulative sum of delta * A.",
            ),
            "no exponential": Mistake(
                leaves(lambda c: c[-1], right_faded),
                "You multiply the old state by c[-1], which is a logarithm: exp(c[-1]) is left.",
            ),
            "nothing carried": Mistake(
                leaves(lambda c: 0.0, right_faded),
                "You forget the state that the chunk began with.",
            ),
            "one step of fading": Mistake(
                leaves(lambda c: (c[-1] - c[-2]).exp() if len(c) > 1 else c[-1].exp(), right_faded),
                "Your old state fades at the last word only: it fades at every word of the chunk.",
            ),
            "all fade equally": Mistake(
                leaves(right_kept, right_kept),
                "What the words write fades as if it had been there from the start: of what word s "
                "wrote, exp(c[-1] - c[s]) is left.",
            ),
            "words do not fade": Mistake(
                leaves(right_kept, torch.ones_like),
                "In your answer nothing that the words write fades: of what word s wrote, "
                "exp(c[-1] - c[s]) is left.",
            ),
            "transposed": Mistake(
                lambda x, delta, A, B, S: chunk_state(x, delta, A, B, S).T,
                "Your state has the shape (P, N): return it as it came, (N, P).",
            ),
        },
        cases=some_chunks,
    ),
    "delta_rule": Exercise(
        delta_rule,
        delta_rule_by_matrices,
        {
            "linear attention": Mistake(
                rule(lambda S, k, v, beta: S + beta * torch.outer(v, k)),
                "You only add, as linear attention does: take away what the key gave before, "
                "v_t - S^T k_t.",
            ),
            "linear attention without beta": Mistake(
                rule(lambda S, k, v, beta: S + torch.outer(v, k)),
                "You only add, and leave out beta: correct the share beta_t of the error, "
                "v_t - S^T k_t.",
            ),
            "reads before it writes": Mistake(
                rule(corrected, late=True),
                "You read the state before word t has written: y_t = S_t^T q_t, with the new S_t.",
            ),
            "without beta": Mistake(
                rule(lambda S, k, v, beta: corrected(S, k, v, 1.0)),
                "You leave out beta: it says which share of the error is corrected.",
            ),
            "erases all, writes a share": Mistake(
                rule(lambda S, k, v, beta: S + torch.outer(beta * v - S @ k, k)),
                "Your beta multiplies the new value, but not what is taken away: it multiplies the "
                "whole error, v_t - S^T k_t.",
            ),
            "erases a share, writes all": Mistake(
                rule(lambda S, k, v, beta: S + torch.outer(v - beta * (S @ k), k)),
                "Your beta multiplies what is taken away, but not the new value: it multiplies the "
                "whole error, v_t - S^T k_t.",
            ),
            "fades everything": Mistake(
                rule(lambda S, k, v, beta: (1 - beta) * S + beta * torch.outer(v, k)),
                "Your whole state fades by 1 - beta: correct only what this key gives.",
            ),
            "asks with the query": Mistake(
                asks_with_the_query,
                "You take away what the query q_t reads: the error is what the key gave before, "
                "v_t - S^T k_t.",
            ),
            "erases what it writes": Mistake(
                rule(lambda S, k, v, beta: erased(S + beta * torch.outer(v, k), k, beta)),
                "You write first and then erase, so a part of the new value is lost too: take away "
                "what the key gave *before*.",
            ),
            "reads with the key": Mistake(
                lambda k, v, beta, q: delta_rule(k, v, beta, k),
                "You read with the key k_t: y_t = S_t^T q_t.",
            ),
            "divided by the length": Mistake(
                rule(lambda S, k, v, beta: corrected(S, k, v, beta / (k @ k))),
                "You divide by the squared length of the key: the rule as given does not.",
            ),
            "erases twice": Mistake(
                rule(lambda S, k, v, beta: S + beta * torch.outer(v - 2 * (S @ k), k)),
                "You take the old value away twice: the error is v_t - S^T k_t.",
            ),
            "sign": Mistake(
                rule(lambda S, k, v, beta: S + beta * torch.outer(v + S @ k, k)),
                "Your sign is wrong: the old value is taken away, v_t - S^T k_t.",
            ),
            "keys normalised": Mistake(
                lambda k, v, beta, q: delta_rule(F.normalize(k, dim=-1), v, beta, q),
                "You normalise the keys: use them as they are given.",
            ),
        },
        cases=some_keys,
    ),
}
