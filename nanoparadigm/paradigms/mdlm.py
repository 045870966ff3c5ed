"""Masked diffusion: tokens vanish one by one into a mask symbol m, and a network brings them back.

    (1)  q(z_i | x_i) = alpha x_i + (1 - alpha) m            each token survives with alpha(t)
    (2)  q(z_s | z_t, x): a visible token stays; a masked one is revealed
         with probability (alpha_s - alpha_t) / (1 - alpha_t), s < t
    (3)  SUBS: p(x_i | z) puts nothing on m, and where z_i is visible it is z_i
    (4)  -log p(x) <= int_0^1 w(t) E_z[ sum_{i masked} -log p(x_i | z) ] dt,
         w = -alpha' / (1 - alpha)

Sahoo et al. 2024 (2406.07524, MDLM); the same bound in Shi et al. 2024 (2406.04329) and Ou et al.
2024 (2406.03736). With u = 1 - alpha(t) equation (4) becomes int du/u: the schedule drops out, and
with k masked tokens, uniform on 1 ... L, in place of u it becomes

    (5)  -log p(x) <= L E_k[ mean over the k masked tokens of -log p(x_i | z) ],

no singular weight, and the form evaluated here. The mean over orders and over their lengths is that
of order-agnostic NADE (Uria, Murray and Larochelle 2014, 1310.1757); Hoogeboom et al. 2021
(2110.02037) saw that it is this diffusion.
"""

import math
from functools import partial

import torch
import torch.nn.functional as F

from ..errors import InputError, choose
from ..schedules import SCHEDULES, stratified_times, stratum
from .base import Paradigm, draw, probabilities


class MaskedDiffusion(Paradigm):
    """`schedule` shapes training. Where it is clipped, sampling runs on the linear clock instead,
    which starts from all masks and ends with none: the model that `nll_bound` speaks of."""

    tied, extra_symbols, infills = True, 1, True
    decodings = {
        "ancestral": {},
        "remasking": dict(eta=4.0),
        "first_hitting": dict(sampler="first_hitting"),
        "random_order": dict(sampler="random_order"),
        "left_to_right": dict(sampler="left_to_right"),
        "confidence": dict(sampler="confidence"),
        "cosine": dict(sampler="confidence", reveal="cosine"),
        "threshold": dict(sampler="confidence", threshold=0.9),
        "blocks": dict(sampler="confidence", blocks=4),
        "temperature": dict(temperature=0.8),
    }

    def __init__(self, net, vocab_size, schedule="linear", masking="uniform"):
        super().__init__(net, vocab_size)
        self.schedule = choose("schedule", schedule, SCHEDULES)
        self.clock = SCHEDULES["linear"] if self.schedule.clipped else self.schedule
        if choose("masking", masking, MASKINGS):
            self.register_buffer("weights", torch.ones(vocab_size))
        else:
            self.weights = None

    def corrupt(self, x, t, generator):
        """x (B, L), times t (B,) -> z (B, L). Equation (1); with `weights` (V,), masking
        "entropy", a token v is masked with min(1, weights_v (1 - alpha)) instead."""
        survive = self.schedule.alpha(t)[:, None]
        if self.weights is not None:
            survive = 1 - (self.weights[x] * (1 - survive)).clamp(max=1)
        u = torch.rand(x.shape, dtype=t.dtype, device=x.device, generator=generator)
        return torch.where(u < survive, x, self.blank)

    def log_probs(self, z, noise_level):
        """z (B, L), noise levels (B,) -> log p(x_i | z) (B, L, V). Equation (3), both halves."""
        log_p = self.net(z, noise_level)[..., : self.vocab_size].log_softmax(-1)  # nothing on m
        visible = (z != self.blank)[..., None]
        symbols = torch.arange(self.vocab_size, device=z.device)
        point_mass = torch.where(z[..., None] == symbols, 0.0, -torch.inf).to(log_p.dtype)
        return torch.where(visible, point_mass, log_p)

    def cross_entropy(self, x, z, noise_level):
        """-log p(x_i | z) (B, L) nats; zero where z shows the token."""
        return -self.log_probs(z, noise_level).gather(-1, x[..., None]).squeeze(-1)

    def integrand(self, x, z, t):
        """The term under the integral of (4) for one corrupted z: (B, L) nats. t (B,) in (0, 1)."""
        t = torch.as_tensor(t, dtype=torch.float64, device=x.device).expand(len(x))
        ce = self.cross_entropy(x, z, 1 - self.schedule.alpha(t))
        return self.schedule.weight(t).to(ce.dtype)[:, None] * ce

    def noise(self, x, generator=None):
        """Times t (B,), spread evenly over the batch, and z (B, L)."""
        t = stratified_times(len(x), generator, x.device)
        return t, self.corrupt(x, t, generator)

    def loss_terms(self, x, t, z):
        """The cross-entropy of the tokens that pay, nats, and how many they are.

        If the network is hollow, all of them: whether token i is itself masked changes nothing for
        p(x_i | the rest of z), and averaged over that, w(t) 1[i masked] in (4) becomes 1. The loss
        under the linear schedule is then the bound per token. Else the masked ones of the batch,
        each alike, where (4) weighs those of a lightly masked row more: the minimum is the same,
        the true p(x_i | z), and the gradient varies far less, but it is no bound.
        """
        pays = torch.ones_like(z, dtype=torch.bool) if self.hollow else z == self.blank
        logits = self.net(z, 1 - self.schedule.alpha(t))[pays][:, : self.vocab_size]
        return F.cross_entropy(logits, x[pays], reduction="sum"), pays.sum()

    def nll_bound(self, x, generator=None, draws=8):
        """x (B, L) -> (B,) nats, equation (5); the mask counts of a row are stratified.

        Bounds the sampler that reveals one token at a time in uniformly random order, which is the
        limit of `trajectory` for many steps, under any schedule.
        """
        B, L = x.shape
        total = 0.0
        for d in range(draws):
            u = stratum(d, draws, B, generator, x.device)[:, None]
            k = (u * L).ceil().clamp(min=1)
            order = torch.rand(B, L, device=x.device, generator=generator).argsort(-1).argsort(-1)
            masked = order < k
            z = torch.where(masked, self.blank, x)
            ce = self.cross_entropy(x, z, k.squeeze(-1) / L)
            total = total + L / k.squeeze(-1) * ce.sum(-1)
        return total / draws

    def nelbo(self, x, generator=None, draws=8):
        """x (B, L) -> (B,) nats: the bound under the model's own schedule, clipped or not.

        Equation (4) between the schedule's ends, and, where it is clipped, the two terms without
        which it is no bound: the prior (a start token is m with 1 - alpha(1), else uniform) and the
        reconstruction (what is still masked at t = 0 is decoded at once). The integral is taken
        over u = s^2, s uniform, in place of t: with t uniform the variance would be infinite under
        the linear schedule, and worse under sqrt, because few masks come with a large weight.
        """
        u0, u1 = 1 - self.schedule.alpha0, 1 - self.schedule.alpha1
        low, high = u0**0.5, u1**0.5
        total = self.schedule.alpha1 * x.shape[1] * math.log(self.vocab_size)
        for d in range(draws):
            s = low + (high - low) * stratum(d, draws, len(x), generator, x.device)
            s = s.clamp(1e-9)  # 0 has probability zero and divides
            ce = self.cross_entropy(x, self.hide(x, s[:, None] ** 2, generator), s**2).sum(-1)
            total = total + 2 * (high - low) / s * ce / draws
            if u0 > 0:
                u = torch.full_like(s, u0)
                z = self.hide(x, u[:, None], generator)
                total = total + self.cross_entropy(x, z, u).sum(-1) / draws
        return total

    def hide(self, x, u, generator):
        """x (B, L) with every token masked with probability u, (B, 1) or (B, L)."""
        noise = torch.rand(x.shape, dtype=u.dtype, device=x.device, generator=generator)
        return torch.where(noise < u, self.blank, x)

    def weighted_nelbo(self, x, generator=None, start=0.5, draws=8):
        """x (B, L) -> (B,) nats: the bound that belongs to masks by `weights` c, schedule apart.

        Of the reverse process that reveals every masked token at the rate 1/u, u going from 1 to
        0, and begins with masks with probability `start`, else with uniform tokens. With c = c_v of
        each token and a = min(1, c), each pays

            int_0^min(1, 1/c) du/u E[1[masked] CE] + max(0, log c)
            + a log(a / start) + (1 - a) log((1 - a) V / (1 - start))

        since one of c > 1 is masked for sure above u = 1/c, which the model does not know, and one
        of c < 1 may be seen at the very start. The masked cross-entropy alone, with whatever
        weight, is no bound. `nll_bound` is what to evaluate with: of the same network, without
        these costs.
        """
        c = self.weights[x].double()
        a = c.clamp(max=1)
        leak = torch.special.xlogy(1 - a, (1 - a) * self.vocab_size / (1 - start))
        total = (c.clamp(min=1).log() + a * (a / start).log() + leak).sum(-1)
        for d in range(draws):
            # u = s^2: with u uniform the variance would be infinite
            s = stratum(d, draws, len(x), generator, x.device).clamp(1e-9)[:, None]
            z = self.hide(x, (c * s**2).clamp(max=1), generator)
            ce = self.cross_entropy(x, z, (z == self.blank).double().mean(-1))
            total = total + (2 / s * ce * (c * s**2 < 1)).sum(-1) / draws
        return total

    def own_exam(self, x, generator=None, draws=8):
        """x (B, L) -> (B,) nats, and no bound: the mean cross-entropy of the masked tokens under
        the model's own schedule and masking, times L. It ranks the exams, not those who sat them:
        a schedule that masks less is asked easier questions."""
        total = 0.0
        for d in range(draws):
            z = self.corrupt(x, stratum(d, draws, len(x), generator, x.device), generator)
            masked = (z == self.blank).double()
            ce = self.cross_entropy(x, z, masked.mean(-1)).sum(-1)
            total = total + x.shape[1] * ce / masked.sum(-1).clamp(min=1)
        return total / draws

    def trajectory(
        self,
        canvas,
        known,
        generator,
        steps=64,
        temperature=1.0,
        top_k=None,
        top_p=None,
        sampler="ancestral",
        eta=0.0,
        reveal="linear",
        threshold=None,
    ):
        """From all masks to none. sampler: "ancestral" or "first_hitting", the methods below, or
        one of ORDERS, for `in_order`. eta: how often the ancestral one takes a word back. reveal,
        threshold: how many tokens at a time those of ORDERS reveal."""
        ancestral = partial(self.ancestral, known=known, eta=eta)
        moves = dict(ancestral=ancestral, first_hitting=self.first)
        move = choose("sampler", sampler, moves | ORDERS)
        stays = choose("reveal", reveal, REVEALS)
        if not 0 <= eta < math.inf:
            raise InputError(f"eta is {eta}: give 0 (no word is taken back) or more")
        if eta > 0 and sampler != "ancestral":
            raise InputError("eta belongs to the ancestral sampler: drop --sampler, or drop eta")
        if reveal != "linear" and sampler not in ORDERS:
            raise InputError(f"reveal goes with --sampler {' or '.join(ORDERS)}: add one")
        if threshold is not None and (sampler != "confidence" or reveal != "linear"):
            raise InputError(
                "threshold goes with --sampler confidence and without reveal: add the one, or drop "
                "the other"
            )
        if threshold is not None and not 0 <= threshold <= 1:
            raise InputError(f"threshold is {threshold}: give a probability, from 0 to 1")

        def predict(z, where, noise_level):
            """Logits (n, V) of the n tokens where `where` (B, L) is true."""
            rows = where.any(-1)  # the other texts stay as they are and need no network
            return self.net(z[rows], noise_level[rows])[where[rows]][:, : self.vocab_size]

        def drawn(logits):
            return draw(probabilities(logits, temperature, top_k, top_p), generator)

        z = torch.where(known, canvas, self.blank)
        yield z
        if sampler in ORDERS:
            yield from self.in_order(z, generator, move, predict, drawn, steps, stays, threshold)
            return
        for shown, hide, noise_level in move(z, generator, steps):
            before, z = z, z.clone()
            if shown.any():
                z[shown] = drawn(predict(before, shown, noise_level))
            z[hide] = self.blank
            yield z

    def in_order(self, z, generator, score, predict, drawn, steps, stays, threshold):
        """Reveal the masked tokens in `steps` parts, those of highest score first.

        After the share s of the steps the share stays(1 - s) of them is still masked; or, with a
        threshold, each part is what the network is surer of than that, and at least one token
        (Wu et al. 2025, 2505.22618). By confidence with a cosine: Chang et al. 2022 (2202.04200).

        The tokens of one part do not see each other. One at a time, each is drawn given all that is
        revealed, so with the exact posterior any of ORDERS samples the language. With a network
        each order samples a law of its own: in single steps that of a random order is the one
        `nll_bound` bounds, that of left to right has the likelihood `left_to_right_nll`, and that
        of confidence has one too, but of its own; in larger parts none has one here.
        """
        total = (z == self.blank).sum(-1, keepdim=True)
        for k in range(1, 1 + (steps if threshold is None else int(total.max()))):
            masked = z == self.blank
            part = (
                masked.sum(-1, keepdim=True) - (total * stays((steps - k) / steps) + 1e-9).floor()
            )
            if masked.any() and (threshold is not None or (part > 0).any()):
                logits = predict(z, masked, masked.double().mean(-1))
                p = probabilities(logits)  # as they are: a sharpened one would be sure of all
                first = torch.full(z.shape, -torch.inf, dtype=p.dtype, device=z.device)
                first[masked] = score(p, masked, generator)
                if threshold is not None:
                    part = (first > threshold).sum(-1, keepdim=True).clamp(min=1)
                shown = masked & (first.argsort(-1, descending=True).argsort(-1) < part)
                z = z.clone()
                z[shown] = drawn(logits[shown[masked]])
            yield z

    def ancestral(self, z, generator, steps, known=None, eta=0.0):
        """Yield which tokens each of the steps reveals and which it hides again, both (B, L), and
        the noise level (B,).

        Equation (2) with the network's prediction in place of x. Every masked token decides alone,
        so the tokens of one step do not see each other: few steps are fast and wrong, many are the
        model that `nll_bound` bounds. Where nothing is revealed the network is not called.

        eta > 0 hides a visible token that is not `known` with probability sigma = eta (alpha_s -
        alpha_t), as far as that leaves alpha_s visible at all, and reveals so many more:

            (alpha_s - (1 - sigma) alpha_t) / (1 - alpha_t)

        So mistakes can be taken back (Wang et al. 2025, 2503.00307; with sigma in proportion to the
        step the limit of many steps exists: Campbell et al. 2024, 2402.04997). The exact posterior
        still samples the language; `nll_bound` is no bound of this sampler with a network.
        """
        masked = z == self.blank
        grid = torch.linspace(1, 0, steps + 1, dtype=torch.float64, device=z.device)
        alpha = self.clock.alpha(grid)
        for alpha_t, alpha_s in zip(alpha[:-1], alpha[1:], strict=True):
            u = torch.rand(z.shape, dtype=torch.float64, device=z.device, generator=generator)
            sigma = (eta * (alpha_s - alpha_t)).clamp(max=(1 - alpha_s) / alpha_t.clamp(min=1e-300))
            shown = masked & (u < (alpha_s - (1 - sigma) * alpha_t) / (1 - alpha_t))
            hide = ~masked & (u < sigma)
            if known is not None:
                hide = hide & ~known
            masked = (masked & ~shown) | hide
            yield shown, hide, (1 - alpha_t).expand(len(z))

    def first(self, z, generator, steps):
        """The same for one masked token after another, in uniformly random order.

        Exactly the limit of many ancestral steps, in as many network calls as there are masks
        (Zheng et al. 2024, 2409.02908); `steps` is ignored.
        """
        masked = z == self.blank
        while masked.any():
            u = torch.rand(z.shape, dtype=torch.float64, device=z.device, generator=generator)
            chosen = torch.where(masked, u, -1.0).argmax(-1, keepdim=True)
            shown = torch.zeros_like(masked).scatter(-1, chosen, True) & masked
            yield shown, torch.zeros_like(shown), masked.double().mean(-1)
            masked = masked & ~shown

    def left_to_right_nll(self, x):
        """x (B, L) -> (B,) nats: exactly -log p(x) of the sampler "left_to_right" in single steps.

        The chain rule with every later token masked: L passes. Another law than the one `nll_bound`
        is of, from the same network.
        """
        nll, last = 0.0, x.shape[1]
        for i in range(last):
            z = x.clone()
            z[:, i:] = self.blank
            noise_level = torch.full((len(x),), 1 - i / last, dtype=torch.float64, device=x.device)
            nll = nll + self.cross_entropy(x, z, noise_level)[:, i]
        return nll

    def conditional(self, x, i, generator=None):
        """One pass with x_i masked."""
        z = x.clone()
        z[:, i] = self.blank
        noise_level = torch.full((len(x),), 1 / x.shape[1], dtype=torch.float64, device=x.device)
        return self.log_probs(z, noise_level)[:, i]


MASKINGS = {"uniform": False, "entropy": True}
"""name -> whether tokens have `weights` of their own"""


def entropy_weights(entropy):
    """Entropies (V,) of what is predicted where each token stands -> `weights` (V,): between 0.5
    and 1.5, the lower the harder a token is to predict, 1 at the mean."""
    return (2 - entropy / entropy.mean()).clamp(0.5, 1.5)


def random_order(p, masked, generator):
    return torch.rand(len(p), dtype=p.dtype, device=p.device, generator=generator)


def left_to_right(p, masked, generator):
    return -masked.nonzero()[:, 1].to(p.dtype)


def confidence(p, masked, generator):
    """The largest probability of each, and not that of the word drawn: an order that looks at the
    word would favour probable words."""
    return p.max(-1).values


ORDERS = dict(random_order=random_order, left_to_right=left_to_right, confidence=confidence)
"""name -> score (n,) of the n masked tokens, from p (n, V) and where they are (B, L)"""

REVEALS = dict(linear=lambda left: left, cosine=lambda left: math.sin(math.pi / 2 * left))
"""name -> the share still masked, from the share of the steps still to come"""
