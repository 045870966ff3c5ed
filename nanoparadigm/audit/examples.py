"""Scorers: six that are right, by the formulas of the papers, and some that are not.

Each is written as one would write it, for texts (B, L) and a model that answers as any network
does. `VALID` and `INVALID` list them; the auditor must find nothing in the first and call each of
the second by its name.
"""

import itertools
import math

import torch

# ------------------------------------------------------------------------------------------ right


def chain_rule(texts, model):
    """Score from left to right: -log p(x) = sum_i -log p(x_i | x_1 ... x_{i-1})."""
    total = 0
    for i in range(model.L):
        log_p = model.next(texts[:, :i])
        total = total - log_p.gather(1, texts[:, i : i + 1]).squeeze(1)
    return total


def by_confidence(texts, model):
    """Score in the order of a decoder that reveals its surest word first (DUEL, 2603.01367)."""
    z, total = torch.full_like(texts, model.mask_id), 0
    for _ in range(model.L):
        log_p = model.denoise(z)
        surest = log_p.amax(-1).masked_fill(z != model.mask_id, -math.inf).argmax(-1)[:, None]
        x_i = texts.gather(1, surest)
        total = total + cost(log_p, texts).gather(1, surest).squeeze(1)
        z = z.scatter(1, surest, x_i)
    return total


def in_time(texts, model):
    """Bound by masked diffusion in continuous time (MDLM, 2406.07524), with the cosine schedule.

    The integral over t of -alpha'(t) / (1 - alpha(t)) E[the costs of the hidden words], by Gauss
    and Legendre, and the expectation by trying all sets of hidden words.
    """
    t, dt = nodes(24)
    weight = math.pi / 2 / torch.tan(math.pi / 4 * t)  # of alpha = cos(pi t / 2)
    hide = 2 * torch.sin(math.pi / 4 * t) ** 2  # 1 - alpha
    total = 0
    for hidden in sets(model.L):
        k = hidden.sum()
        chance = hide**k * (1 - hide) ** (model.L - k)
        total = total + (dt * weight * chance).sum() * hidden_cost(texts, model, hidden)
    return total


def any_order(texts, model, draws=2):
    """Bound by k hidden words, k uniform on 1 ... L (2110.02037), with random sets."""
    total = 0
    for _ in range(draws):
        k = 1 + torch.randint(model.L, (len(texts), 1), generator=model.generator)
        rank = torch.rand(texts.shape, generator=model.generator).argsort(-1).argsort(-1)
        total = total + model.L / k.squeeze(1) * hidden_cost(texts, model, rank < k)
    return total / draws


def in_blocks(texts, model, size=2):
    """Bound by block diffusion (BD3-LM, 2503.09573): blocks from left to right, of two words."""
    total = 0
    for start in range(0, model.L, size):
        inside = [start <= i < start + size for i in range(model.L)]
        later = torch.tensor([i >= start + size for i in range(model.L)])
        n = sum(inside)
        for hidden in sets(model.L):
            k = int(hidden.sum())
            if k and all(not h or i for h, i in zip(hidden, inside, strict=True)):
                z = torch.where(hidden | later, model.mask_id, texts)
                costs = (cost(model.denoise(z), texts) * hidden).sum(1)
                total = total + costs / k / math.comb(n, k)
    return total


def uniform_noise(texts, model, draws=1, end=1e-3):
    """Bound by diffusion with uniform noise (UDLM, 2412.10193, continuous time), t = s^2."""
    B, K, total = len(texts), model.V, 0
    low = math.sqrt(end)
    for _ in range(draws):
        u = (torch.arange(B) + torch.rand(B, generator=model.generator).double()) / B
        s = low + (1 - low) * u[torch.randperm(B, generator=model.generator)]
        alpha = (1 - s**2).clamp(min=1e-6)
        z = corrupted(texts, alpha, model)
        a = alpha[:, None, None]
        clean = torch.nn.functional.one_hot(texts, K).double()
        x, y = (K * a * p + 1 - a for p in (clean, model.leave_one_out(z, alpha).exp()))
        x_z, y_z = x.gather(-1, z[..., None]), y.gather(-1, z[..., None])
        ratios = (x / x_z * (y_z * x / (y * x_z)).log()).sum(-1, keepdim=True)
        rate = -1 / (K * a) * (K / x_z - K / y_z - ratios)
        total = total + 2 * s * (1 - low) * rate.sum((1, 2))
    alpha = torch.full((B,), 1 - end, dtype=torch.float64)  # the words are read off at the end
    z = corrupted(texts, alpha, model)
    seen = torch.nn.functional.one_hot(z, K) * math.log1p(K * (1 - end) / end)
    log_p = (model.leave_one_out(z, alpha) + seen).log_softmax(-1)
    return total / draws + cost(log_p, texts).sum(1)


# ------------------------------------------------------------------------------------------ wrong


def best_order(texts, model):
    """Take the order that suits each text best, after seeing it."""
    costs, found = {}, []
    for hidden in sets(model.L):
        z = torch.where(hidden, model.mask_id, texts)
        costs[tuple(hidden.tolist())] = cost(model.denoise(z), texts)
    for order in itertools.permutations(range(model.L)):
        hidden = [tuple(i not in order[:n] for i in range(model.L)) for n in range(model.L)]
        found.append(sum(costs[h][:, i] for h, i in zip(hidden, order, strict=True)))
    return torch.stack(found).amin(0)


def own_schedule(texts, model):
    """Average over the hidden words, under a schedule of one's own that hides at most half."""
    t, dt = nodes(24)
    hide = t / 2
    costs, counts = 0, 0
    for hidden in sets(model.L):
        k = hidden.sum()
        chance = (dt * hide**k * (1 - hide) ** (model.L - k)).sum()
        costs = costs + chance * hidden_cost(texts, model, hidden)
        counts = counts + chance * k
    return model.L * costs / counts


def pseudo_likelihood(texts, model):
    """Predict each word from all the others."""
    return sum(hidden_cost(texts, model, one) for one in torch.eye(model.L, dtype=torch.bool))


def coupled(texts, model):
    """Put a denoiser that draws the hidden words together into the bound of one that does not."""
    total = 0
    for hidden in sets(model.L):
        if k := int(hidden.sum()):
            z = torch.where(hidden, model.mask_id, texts)
            total = total - model.joint(texts, z) / k / math.comb(model.L, k)
    return total


def cache(texts, model):
    """Raise the probability of every word that the text had before to at least 0.7."""
    total = 0
    for i in range(model.L):
        p = model.next(texts[:, :i]).gather(1, texts[:, i : i + 1]).squeeze(1).exp()
        seen = (texts[:, :i] == texts[:, i : i + 1]).any(1)
        total = total - torch.where(seen, p.clamp(min=0.7), p).log()
    return total


def sub_tokens(texts, model):
    """Write each word as two bits, hide bits, and count the word where any of its bits is hidden.

    A network that knows a bit of a word finds the words that begin otherwise impossible.
    """
    ids, total = torch.arange(model.V), 0
    for i in range(model.L):
        p = model.next(texts[:, :i]).exp()
        x = texts[:, i : i + 1]
        right = p.gather(1, x).squeeze(1)
        for hidden, weight in ((1, 1 / 2), (2, 1 / 2), (3, 1 / 2)):  # one bit, the other, both
            fits = (ids & ~hidden) == (x & ~hidden)
            total = total - weight * (right / (p * fits).sum(1)).log()
    return total


def first_word_free(texts, model):
    """Begin with the second word, as a loss on shifted targets does."""
    total = 0
    for i in range(1, model.L):
        total = total - model.next(texts[:, :i]).gather(1, texts[:, i : i + 1]).squeeze(1)
    return total


def in_bits(texts, model):
    """Return bits, where nats are declared."""
    return chain_rule(texts, model) / math.log(2)


def hard_coded_ratio(texts, model):
    """Divide by the 4.3 characters that a word of another text has."""
    return chain_rule(texts, model) / math.log(2) / (4.3 * model.L)


def floor(texts, model):
    """Add 1e-10 inside the logarithm, in float32."""
    total = 0
    for i in range(model.L):
        p = model.next(texts[:, :i]).exp().float()
        total = total - (p + 1e-10).log().gather(1, texts[:, i : i + 1]).squeeze(1)
    return total


def batch_average(texts, model):
    """Divide by the mean number of hidden words in the batch."""
    hide = torch.rand(len(texts), 1, generator=model.generator)
    hidden = torch.rand(texts.shape, generator=model.generator) < hide
    count = hidden.double().sum() / len(texts)
    return model.L * hidden_cost(texts, model, hidden) / count.clamp(min=1)


def one_draw(texts, model):
    """Estimate a bound with one draw, and call it the likelihood."""
    return any_order(texts, model, draws=1)


def loose(texts, model):
    """Call an upper bound the likelihood."""
    return in_time(texts, model)


def not_a_number(texts, model):
    """Multiply by a one-hot text: a visible word's impossible others make 0 times infinity."""
    total, text = 0, torch.nn.functional.one_hot(texts, model.V)
    for i in range(model.L):
        later = torch.arange(model.L) >= i
        log_p = model.denoise(torch.where(later, model.mask_id, texts))
        total = total - (text * log_p).sum(-1)[:, : i + 1].sum(1)
    return total


hard_coded_ratio.unit = "bits-per-character"
for scorer in (in_time, any_order, in_blocks, uniform_noise, own_schedule, coupled, batch_average):
    scorer.bound = True


# --------------------------------------------------------------------------------- what they share


def cost(log_p, texts):
    """Return -log p of the words of texts (B, L), (B, L)."""
    return -log_p.gather(-1, texts[..., None]).squeeze(-1)


def hidden_cost(texts, model, hidden):
    """Return the summed -log p of the words at `hidden` (L,) or (B, L), all hidden, (B,)."""
    z = torch.where(hidden, model.mask_id, texts)
    return cost(model.denoise(z), texts).sum(1)  # a visible word costs nothing


def sets(length):
    """Return all sets of positions, (2^L, L)."""
    return torch.tensor(list(itertools.product([False, True], repeat=length)))


def corrupted(texts, alpha, model):
    """Return the texts, each word replaced by any with probability 1 - alpha (B,)."""
    keep = torch.rand(texts.shape, generator=model.generator) < alpha[:, None]
    return torch.where(keep, texts, torch.randint(model.V, texts.shape, generator=model.generator))


def nodes(n):
    """Return the n nodes and weights of Gauss and Legendre on (0, 1)."""
    step = torch.arange(1, n, dtype=torch.float64)
    beside = step / (4 * step**2 - 1).sqrt()
    place, vectors = torch.linalg.eigh(torch.diag(beside, 1) + torch.diag(beside, -1))
    return (place + 1) / 2, vectors[0] ** 2


VALID = {
    f.__name__: f for f in (chain_rule, by_confidence, in_time, any_order, in_blocks, uniform_noise)
}
"""name -> scorer"""
INVALID = {
    "best_order": (best_order, "order"),
    "own_schedule": (own_schedule, "schedule"),
    "pseudo_likelihood": (pseudo_likelihood, "schedule"),
    "coupled": (coupled, "joint"),
    "cache": (cache, "mixture"),
    "sub_tokens": (sub_tokens, "symbols"),
    "first_word_free": (first_word_free, "position"),
    "in_bits": (in_bits, "unit"),
    "hard_coded_ratio": (hard_coded_ratio, "ratio"),
    "floor": (floor, "tail"),
    "batch_average": (batch_average, "batch"),
    "one_draw": (one_draw, "random"),
    "loose": (loose, "loose"),
    "not_a_number": (not_a_number, "numbers"),
}
"""name -> scorer, and the fault that it must be called"""

STARTER = '''\
"""Score texts: nanoparadigm audit THIS_FILE:score"""


def score(texts, model):
    """Return -log p of each text in nats; texts (B, L) holds word ids."""
    total = 0
    for i in range(model.L):
        log_p = model.next(texts[:, :i])  # (B, V): log p(next word | the words before)
        total = total - log_p.gather(1, texts[:, i : i + 1]).squeeze(1)
    return total


# model.denoise(z)               (B, L, V): log p(x_i = v | z), where model.mask_id hides a word
# model.leave_one_out(z, alpha)  (B, L, V): the same under uniform noise, without z_i itself
# model.joint(texts, z)          (B,): log p of all hidden words together, for coupled denoisers
# model.characters(texts)        (B,): how many characters the texts are written with
# model.generator                where your randomness has to come from
score.unit = "nats"  # or bits-per-character, ...: nanoparadigm audit --help
score.bound = False  # True: your number is an upper bound of -log p
'''
"""the file that `nanoparadigm audit --example` prints"""
