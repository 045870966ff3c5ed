"""Worlds small enough to enumerate: the laws of samplers and the values of bounds, exactly.

Everything is taken from a live model (its network, its `reverse`, its `integrand`, its clock), so a
fault planted in the model shows. x (n, L) are texts, the answers are (n,). Masked models are
followed over the 2^L sets of positions already revealed, flow models over all V^L states.
"""

import itertools
import math

import torch

from nanoparadigm.decoding.uniform import posterior_step


class RandomTable(torch.nn.Module):
    """A network that is a fixed random table: every state has logits of its own, whatever t."""

    def __init__(self, symbols, vocab_size, length, seed=0, scale=1.5):
        super().__init__()
        g = torch.Generator().manual_seed(seed)
        shape = symbols**length, length, vocab_size
        self.table = scale * torch.randn(shape, generator=g, dtype=torch.float64)
        self.place = symbols ** torch.arange(length - 1, -1, -1)

    def forward(self, z, t=None):
        return self.table[(z * self.place).sum(1)]


def texts(vocab_size, length):
    return torch.tensor(list(itertools.product(range(vocab_size), repeat=length)))


def subsets(length):
    """All sets of positions, (2^L, L) bool, in the order of their binary number."""
    return torch.tensor(list(itertools.product([False, True], repeat=length)))


# --------------------------------------------------------------------------------------- masked


def log_p_given(model, x):
    """log p(x_i | x on the set S) for every S: (2^L, n, L); zero where i is in S."""
    shown = subsets(x.shape[1])
    return torch.stack(
        [
            -model.cross_entropy(x, torch.where(s, x, model.mask_id), noise_level(s, x))
            for s in shown
        ]
    )


def noise_level(shown, x):
    return (~shown).double().mean().expand(len(x))


def masked_nelbo(model, x):
    """Equation (5): the mean over mask counts and sets, by enumeration."""
    L = x.shape[1]
    total = 0.0
    for s, log_p in zip(subsets(L), log_p_given(model, x), strict=True):
        k = int((~s).sum())
        if k:
            total = total - log_p.sum(1) / k / math.comb(L, k)
    return total


def masked_nelbo_in_time(model, x, extra_terms=True, nodes=400):
    """Equation (4) under the model's own schedule, by quadrature of its integrand; with what a
    clipped schedule needs besides, unless told not to."""
    L, schedule = x.shape[1], model.schedule
    total = 0.0
    # Gauss-Legendre in s with t = s^2: smooth for all six schedules, also at t = 0
    s, weight = legendre(nodes)
    for node, w in zip(s, weight, strict=True):
        t = node**2
        alpha = schedule.alpha(t)
        for shown in subsets(L):
            chance = alpha ** shown.sum() * (1 - alpha) ** (~shown).sum()
            z = torch.where(shown, x, model.mask_id)
            total = total + w * 2 * node * chance * model.integrand(x, z, t).sum(1)
    if extra_terms:
        total = total + schedule.alpha1 * L * math.log(model.vocab_size)
        u0 = 1 - schedule.alpha0
        for shown, log_p in zip(subsets(L), log_p_given(model, x), strict=True):
            hidden = (~shown).sum()
            total = total - u0**hidden * (1 - u0) ** (L - hidden) * log_p.sum(1)
    return total


def random_order_law(model, x):
    """log p(x) of the sampler that reveals one token at a time in random order, by dynamic
    programming over the sets revealed."""
    p = torch.zeros(2 ** x.shape[1], len(x), dtype=torch.float64)
    p[0] = 1
    return revealed_one_by_one(p, log_p_given(model, x))


def revealed_one_by_one(p, log_p):
    """log p(x) when the set shown at first has the probabilities p (2^L, n), and the rest is
    revealed one token at a time in random order."""
    L = log_p.shape[2]
    number = 2 ** torch.arange(L - 1, -1, -1)
    for s, shown in enumerate(subsets(L)):
        for i in (~shown).nonzero().flatten().tolist():
            p[s + number[i]] += p[s] * log_p[s, :, i].exp() / (~shown).sum()
    return p[-1].log()


def reveal_step(log_p, reveal):
    """p(set after | set before), (2^L, 2^L, n), when each masked token is revealed, and is right,
    with probability reveal x p."""
    sets = subsets(log_p.shape[2])
    step = torch.zeros(len(sets), len(sets), log_p.shape[1], dtype=torch.float64)
    for a, before in enumerate(sets):
        for b, after in enumerate(sets):
            if (after | ~before).all():
                new = after & ~before
                stay = (~after).sum()
                step[a, b] = reveal ** new.sum() * (1 - reveal) ** stay
                step[a, b] *= log_p[a][:, new].sum(1).exp()
    return step


def masked_law(model, x, steps):
    """log p_T(x) of the ancestral sampler with T steps."""
    grid = torch.linspace(1, 0, steps + 1, dtype=torch.float64)
    alpha = model.sampling_schedule.alpha(grid)
    log_p = log_p_given(model, x)
    p = torch.zeros(len(log_p), len(x), dtype=torch.float64)
    p[0] = 1
    for a, b in itertools.pairwise(alpha):
        p = torch.einsum("an,abn->bn", p, reveal_step(log_p, (b - a) / (1 - a)))
    return p[-1].log()


def remasking_law(model, length, steps, eta):
    """p_T over all texts of the ancestral sampler that hides tokens again: (V^L,)."""
    V, m = model.vocab_size, model.mask_id
    states = texts(V + 1, length)
    log_p = model.log_probs(states, torch.ones(len(states), dtype=torch.float64))
    p = (states == m).all(1).double()
    alpha = model.sampling_schedule.alpha(torch.linspace(1, 0, steps + 1, dtype=torch.float64))
    for a, b in itertools.pairwise(alpha.tolist()):
        sigma = min(eta * (b - a), (1 - b) / a) if a else eta * b
        reveal = (b - (1 - sigma) * a) / (1 - a)
        move = torch.ones(len(states), len(states), dtype=torch.float64)
        for i in range(length):
            before, after = states[:, i, None], states[None, :, i]
            word = log_p[:, i].exp()[:, states[:, i].clamp(max=V - 1)]
            from_mask = torch.where(after == m, 1 - reveal, reveal * word)
            from_word = torch.where(after == m, sigma, (1 - sigma) * (before == after))
            move *= torch.where(before == m, from_mask, from_word)
        p = p @ move
    return p[(states != m).all(1)]


def masked_nelbo_in_steps(model, x, steps):
    """The bound of the T-step sampler: sum over k of (alpha_s - alpha_t) / (1 - alpha_t) E[CE]."""
    grid = torch.linspace(1, 0, steps + 1, dtype=torch.float64)
    log_p, total = log_p_given(model, x), 0.0
    for a, b in itertools.pairwise(model.sampling_schedule.alpha(grid)):
        for shown, lp in zip(subsets(x.shape[1]), log_p, strict=True):
            chance = a ** shown.sum() * (1 - a) ** (~shown).sum()
            total = total - (b - a) / (1 - a) * chance * lp.sum(1)
    return total


def clipped_law(model, x):
    """log p(x) of the process a clipped schedule belongs to: tokens start masked with 1 - alpha(1),
    else uniform; are revealed one by one until alpha(0); and what is left is decoded at once."""
    L, V, schedule = x.shape[1], model.vocab_size, model.schedule
    u0, u1 = 1 - schedule.alpha0, 1 - schedule.alpha1
    log_p, sets = log_p_given(model, x), subsets(L)
    number = 2 ** torch.arange(L - 1, -1, -1)
    count = sets.sum(1).double()
    start = (1 - u1) ** count * u1 ** (L - count) / float(V) ** count
    rates = torch.zeros(len(x), len(sets), len(sets), dtype=torch.float64)
    for s, shown in enumerate(sets):
        rates[:, s, s] = -(~shown).sum().double()
        for i in (~shown).nonzero().flatten().tolist():
            rates[:, s, s + number[i]] = log_p[s, :, i].exp()
    if u0 > 0:
        revealed = start @ torch.matrix_exp(rates * math.log(u1 / u0))
        return (revealed.squeeze() * log_p.sum(2).exp().T).sum(1).log()
    # until nothing is masked: the order alone matters
    return revealed_one_by_one(start[:, None].repeat(1, len(x)), log_p)


def weighted_masks(model, x, nodes=40):
    """Quadrature over u of masks by weights: yields du, u, the number of a set of `subsets`, and
    the probability (n,) that it is what is shown."""
    c = model.weights.double()
    ends = sorted({0.0, 1.0, *(1 / c[c > 1]).tolist()})
    points, weight = legendre(nodes)
    for low, high in itertools.pairwise(ends):
        for node, w in zip(points, weight, strict=True):
            u = low + (high - low) * node
            hidden = (c[x] * u).clamp(max=1)
            for s, shown in enumerate(subsets(x.shape[1])):
                yield (high - low) * w, u, s, torch.where(shown, 1 - hidden, hidden).prod(1)


def weighted_nelbo(model, x, start=0.5, bare=False):
    """The bound of masking by weights; bare: its integral alone."""
    c = model.weights.double()[x]
    a = c.clamp(max=1)
    leak = torch.special.xlogy(1 - a, (1 - a) * model.vocab_size / (1 - start))
    costs = c.clamp(min=1).log() + a * (a / start).log() + leak
    total = torch.zeros(len(x), dtype=torch.float64) if bare else costs.sum(1)
    log_p = log_p_given(model, x)
    for du, u, s, chance in weighted_masks(model, x):
        total = total - du / u * chance * (log_p[s] * (c * u < 1)).sum(1)  # zero where it is shown
    return total


def weighted_law(model, x, start=0.5):
    """log p(x) of the reverse process of that bound: each token begins as a mask with probability
    `start`, else uniform, and the masks are revealed in random order."""
    L, seen = x.shape[1], subsets(x.shape[1]).sum(1).double()
    p = ((1 - start) / model.vocab_size) ** seen * start ** (L - seen)
    return revealed_one_by_one(p[:, None].repeat(1, len(x)), log_p_given(model, x))


# ----------------------------------------------------------------------------------------- flow


def corruption(model, x, alpha):
    """q(z | x) for all texts x and all states z: (n, V^L)."""
    V, L = model.vocab_size, x.shape[1]
    z = texts(V, L)
    same = (x[:, None] == z).double()
    return (alpha * same + (1 - alpha) / V).prod(2)


def flow_nelbo(model, x, integrand=None, step=0.4, end=0.0):
    """Equation (3) by quadrature in logit(t): by the trapezoidal rule, which converges
    exponentially where nothing is cut, else by Gauss and Legendre's from `end` on, with the last
    term."""
    z = texts(model.vocab_size, x.shape[1])
    n, states = len(x), len(z)
    total = torch.zeros(n, dtype=torch.float64)
    xs = x.repeat_interleave(states, 0)
    zs = z.repeat(n, 1)
    net, model.net = model.net, EveryState(model.net, z, n)
    if end:
        low = math.log(end / (1 - end))
        nodes, weights = legendre(150)
        nodes, weights = low + (36 - low) * nodes, (36 - low) * weights
    else:
        nodes = torch.arange(-36, 36 + step, step, dtype=torch.float64)
        weights = torch.full_like(nodes, step)
    for s, weight in zip(nodes, weights, strict=True):
        t = torch.sigmoid(s)
        terms = (integrand or model.integrand)(xs, zs, t).sum(1).view(n, states)
        q = corruption(model, x, model.schedule.alpha(t))
        total += weight * t * (1 - t) * (q * terms).sum(1)
    if end:
        alpha = torch.full((len(xs),), 1 - end, dtype=torch.float64)
        terms = model.end_term(xs, zs, alpha).sum(1).view(n, states)
        total += (corruption(model, x, 1 - end) * terms).sum(1)
    model.net = net
    return total


class EveryState(torch.nn.Module):
    """A network asked about the same states z once for each of n texts: it is called once."""

    def __init__(self, net, z, n):
        super().__init__()
        self.net, self.z, self.n = net, z, n

    def forward(self, z, t):
        return self.net(self.z, t[: len(self.z)]).repeat(self.n, 1, 1)


def flow_step(model, length, a, b, **options):
    """p(z_s | z_t) of the live sampler, for all pairs of states: (V^L, V^L)."""
    z = texts(model.vocab_size, length)
    theta = model.leave_one_out(z, a.expand(len(z))).softmax(-1)
    mine = {name: value for name, value in options.items() if name == "eta"}
    p = model.samplers[options.get("sampler", "ancestral")](**mine).step(z, theta, a, b)
    p = p / p.sum(-1, keepdim=True)
    step = torch.ones(len(z), len(z), dtype=torch.float64)
    for i in range(z.shape[1]):
        step *= p[:, i][:, z[:, i]]
    return step


def correction(model, length, alpha):
    """p(after | before) of the corrector at one noise level: one token of L is drawn anew."""
    z = texts(model.vocab_size, length)
    theta = model.leave_one_out(z, alpha.expand(len(z))).softmax(-1)
    p = alpha * theta + (1 - alpha) / model.vocab_size
    step = torch.zeros(len(z), len(z), dtype=torch.float64)
    for i in range(length):
        others = torch.arange(length) != i
        agree = (z[:, None, others] == z[None, :, others]).all(-1)
        step += agree * p[:, i][:, z[:, i]] / length
    return step


def flow_filling_law(model, template, steps, corrections=0):
    """p_T over the texts that agree with a template (L,) where it is no mask, as the live sampler
    fills it: the tokens given never move, and the others are told nothing of that."""
    z = texts(model.vocab_size, len(template))
    open_ = template == model.mask_id
    z = z[((z == template) | open_).all(1)]
    p = torch.full((len(z),), 1 / len(z), dtype=torch.float64)
    sampler = model.samplers["ancestral"]()
    grid = torch.linspace(1, 0, steps + 1, dtype=torch.float64)
    for a, b in itertools.pairwise(model.sampling_schedule.alpha(grid)):
        theta, later = (model.leave_one_out(z, t.expand(len(z))).softmax(-1) for t in (a, b))
        moved = sampler.step(z, theta, a, b)
        moved = moved / moved.sum(-1, keepdim=True)
        drawn = b * later + (1 - b) / model.vocab_size
        step = torch.ones(len(z), len(z), dtype=torch.float64)
        again = torch.zeros_like(step)
        for i in open_.nonzero().flatten():
            step *= moved[:, i][:, z[:, i]]
            others = torch.arange(len(template)) != i
            agree = (z[:, None, others] == z[None, :, others]).all(-1)
            again += agree * drawn[:, i][:, z[:, i]] / open_.sum()
        p = p @ step @ torch.linalg.matrix_power(again, corrections)
    return p


def flow_law(model, length, steps, corrections=0, **options):
    """p_T over all texts of the sampler with T steps, from uniform noise: (V^L,)."""
    grid = torch.linspace(1, 0, steps + 1, dtype=torch.float64)
    states = model.vocab_size**length
    p = torch.full((states,), 1 / states, dtype=torch.float64)
    for a, b in itertools.pairwise(model.sampling_schedule.alpha(grid)):
        p = p @ flow_step(model, length, a, b, **options)
        if corrections:
            p = p @ torch.linalg.matrix_power(correction(model, length, b), corrections)
    return p


def flow_nelbo_in_steps(model, x, steps):
    """The bound of the T-step ancestral sampler: the sum of E KL(q(z_s | z_t, x) || its step)."""
    grid = torch.linspace(1, 0, steps + 1, dtype=torch.float64)
    z = texts(model.vocab_size, x.shape[1])
    total = torch.zeros(len(x), dtype=torch.float64)
    for a, b in itertools.pairwise(model.sampling_schedule.alpha(grid)):
        theta = model.leave_one_out(z, a.expand(len(z))).softmax(-1)
        ours = posterior_step(z, theta, a, b)
        ours = ours / ours.sum(-1, keepdim=True)
        q = corruption(model, x, a)
        for row, text in enumerate(x):
            clean = torch.nn.functional.one_hot(text, model.vocab_size).double().expand_as(theta)
            true = posterior_step(z, clean, a, b)
            true = true / true.sum(-1, keepdim=True)
            divergence = (torch.special.xlogy(true, true) - torch.special.xlogy(true, ours)).sum(-1)
            total[row] += (q[row] * divergence.sum(1)).sum()
    return total


def flow_law_in_continuous_time(model, length, slices=200, end=0.0):
    """p over all texts of the reversal with rates (-alpha' / (K alpha)) xbar_v / xbar_z, by matrix
    exponentials over slices of logit(alpha), extrapolated to slices of length zero. With an `end`
    it stops at that noise level, and every token is drawn from its posterior."""
    last = math.log((1 - end) / end) if end else 16

    def product(n):
        K = model.vocab_size
        z = texts(K, length)
        p = torch.full((len(z),), 1 / len(z), dtype=torch.float64)
        grid = torch.linspace(-16, last, n + 1, dtype=torch.float64)
        number = K ** torch.arange(z.shape[1] - 1, -1, -1)
        for a, b in itertools.pairwise(grid):
            alpha = torch.sigmoid((a + b) / 2)
            theta = model.leave_one_out(z, alpha.expand(len(z))).softmax(-1)
            xbar = K * alpha * theta + 1 - alpha
            ratio = xbar / xbar.gather(-1, z[..., None])
            rates = torch.zeros(len(z), len(z), dtype=torch.float64)
            for i in range(z.shape[1]):
                for v in range(K):
                    there = (torch.arange(len(z)) + (v - z[:, i]) * number[i])[:, None]
                    rates.scatter_add_(1, there, ratio[:, i, v : v + 1])
            rates.fill_diagonal_(0)
            rates -= rates.sum(1).diag()
            # d alpha = alpha (1 - alpha) d logit
            p = p @ torch.matrix_exp(rates * (1 - alpha) / K * (b - a))
        return p

    p = (4 * product(2 * slices) - product(slices)) / 3
    if end:
        clean, at_end = torch.tensor([1.0, 1 - end], dtype=torch.float64)
        p = p @ flow_step(model, length, at_end, clean)
    return p


# --------------------------------------------------------------------------------------- others


def legendre(nodes):
    """Gauss-Legendre nodes and weights on (0, 1), from the eigenvalues of the Jacobi matrix."""
    k = torch.arange(1, nodes, dtype=torch.float64)
    off = k / (4 * k**2 - 1).sqrt()
    values, vectors = torch.linalg.eigh(torch.diag(off, 1) + torch.diag(off, -1))
    return (values + 1) / 2, vectors[0] ** 2


def chi_square(samples, p):
    """(statistic, degrees of freedom) of samples (n, L) against p over all texts, cells of fewer
    than 5 expected draws merged."""
    V = round(len(p) ** (1 / samples.shape[1]))
    assert ((samples >= 0) & (samples < V)).all(), "a symbol that is no word"
    number = V ** torch.arange(samples.shape[1] - 1, -1, -1)
    observed = (samples * number).sum(1).bincount(minlength=len(p)).double()
    expected = p * len(samples)
    rare = expected < 5
    cells = torch.cat([expected[~rare], expected[rare].sum()[None]])
    counts = torch.cat([observed[~rare], observed[rare].sum()[None]])
    used = cells > 0
    return ((counts - cells)[used] ** 2 / cells[used]).sum().item(), int(used.sum()) - 1


def fits(samples, p):
    """Whether a chi-square test at about one in 100,000 accepts."""
    statistic, df = chi_square(samples, p)
    return statistic < df + 4.5 * math.sqrt(2 * df) + 10
