"""Discrete flow with uniform corruption: tokens are replaced by random symbols, and flow back.

    (1)  q(z_i | x_i) = alpha 1[z_i = x_i] + (1 - alpha) / K        K the data vocabulary, no mask
    (2)  the network's f gives p(x_i | z without z_i) = softmax(f), leave-one-out, and
         p(x_i | z) = softmax(f + log(1 + c) 1[v = z_i]),  c = K alpha / (1 - alpha), the posterior;
         train either by cross-entropy
    (3)  -log p(x) <= int_t0^1 (-alpha' / (K alpha)) E_z[ sum_i sum_{y != z_i} rho_y phi(d_y) ] dt
                      + E[ -log p(x | z_t0) ],
         rho_y = xbar_y / xbar_{z_i},   xbar = K alpha x + 1 - alpha,   phi(d) = e^-d - 1 + d,
         d_y = log rho_y - the same with softmax(f) in place of x
    (4)  rate(z_i -> j) = (1 + eta + eta (K-1) alpha) / (1 - alpha) p(j | z) + eta p(z_i | z)

Discrete flow models: Campbell et al. 2024 (2402.04997), whose rates are (4); discrete flow
matching: Gat et al. 2024 (2407.15595), whose velocity is (4) at eta = 0. The bound (3) is that of
uniform-state diffusion, Schiff et al. 2024 (2412.10193) and Sahoo et al. 2025 (2506.10892). It is
tight only when read with the leave-one-out probabilities (Gourevitch et al. 2026, 2605.22765): the
reverse rate is a mean of ratios, not the ratio of means. These papers run the clock the other way
in part; here t = 0 is clean text throughout.
"""

import math

import torch
import torch.nn.functional as F

from ..errors import InputError, choose
from ..schedules import SCHEDULES, stratified_times, stratum
from .base import Paradigm, draw, probabilities

END = 1e-3
"""t0 in (3): the noise level at which the process that `nll_bound` bounds decodes what is left"""


class DiscreteFlow(Paradigm):
    """`schedule` shapes training; a clipped one leaves evaluation and sampling to the linear clock,
    which runs from pure noise to clean text. The network is told the noise level, so it may."""

    timed, infills = True, True
    decodings = {
        "ancestral": {},
        "euler": dict(sampler="euler"),
        "euler_eta": dict(sampler="euler", eta=0.25),
        "corrected": dict(corrections=4),
        "blocks": dict(blocks=4),
        "temperature": dict(temperature=0.8),
    }

    def __init__(self, net, vocab_size, schedule="linear"):
        super().__init__(net, vocab_size)
        self.schedule = choose("schedule", schedule, SCHEDULES)
        self.clock = SCHEDULES["linear"] if self.schedule.clipped else self.schedule

    def corrupt(self, x, alpha, generator):
        """x (B, L), survival probabilities alpha (B,) -> z (B, L). Equation (1)."""
        u = torch.rand(x.shape, dtype=alpha.dtype, device=x.device, generator=generator)
        noise = torch.randint(self.vocab_size, x.shape, device=x.device, generator=generator)
        return torch.where(u < alpha[:, None], x, noise)

    def leave_one_out(self, z, alpha):
        """z (B, L), alpha (B,) -> logits f (B, L, K) of x_i given z without z_i. Equation (2)."""
        return self.net(z, 1 - alpha)[..., : self.vocab_size]

    def odds(self, alpha):
        """c = K alpha / (1 - alpha), for alpha (B,). Kept finite where 1 - alpha rounds to zero."""
        return self.vocab_size * alpha / (1 - alpha).clamp(min=1e-15)

    def bump(self, alpha):
        """log(1 + c): what z_i itself says about x_i. alpha (B,) -> (B,)."""
        return self.odds(alpha).log1p()

    def posterior(self, z, alpha):
        """Logits (B, L, K) of x_i given all of z. Equation (2)."""
        f = self.leave_one_out(z, alpha)
        bump = self.bump(alpha).to(f.dtype)[:, None, None]
        return f.scatter_add(-1, z[..., None], bump.expand(*z.shape, 1))

    def noise(self, x, generator=None):
        """z (B, L) and alpha (B,), at times spread evenly over the batch."""
        alpha = self.schedule.alpha(stratified_times(len(x), generator, x.device))
        return self.corrupt(x, alpha, generator), alpha

    def loss_terms(self, x, z, alpha):
        """Cross-entropy over all positions, of f if the network is hollow, else of the posterior:
        nats, but no bound.

        Both have their minimum at the true p(x_i | z without z_i), which is what the bound needs.
        But of the posterior a token that was not replaced is all but certain and teaches little,
        while a hollow network, which cannot see it, must predict it. Rows count by their alpha:
        there is little to learn from almost pure noise.
        """
        logits = self.leave_one_out(z, alpha) if self.hollow else self.posterior(z, alpha)
        ce = F.cross_entropy(logits.transpose(1, 2), x, reduction="none").mean(1)
        alpha = alpha.to(ce.dtype)
        return ce @ alpha, alpha.sum()

    def integrand(self, x, z, t):
        """The term under the integral of (3) for one corrupted z: (B, L) nats. t (B,) in (0, 1).

        With everything divided by 1 - alpha, xbar_y = 1 + c 1[y = x_i], and the logarithms of
        ratios are differences of log1p, which stay accurate in float32 down to alpha = 0.001.
        """
        return self._integrand(x, z, t, self.schedule)

    def _integrand(self, x, z, t, schedule):
        t = torch.as_tensor(t, dtype=torch.float64, device=x.device).expand(len(x))
        alpha = schedule.alpha(t)
        theta = self.leave_one_out(z, alpha).softmax(-1)
        bump = self.bump(alpha).to(theta.dtype)[:, None]
        c = self.odds(alpha).to(theta.dtype)[:, None, None]
        weight = (-schedule.dalpha(t) / (self.vocab_size * alpha)).to(theta.dtype)[:, None]

        at_x, at_z = x[..., None], z[..., None]
        log_model = torch.log1p(c * theta)
        zero = torch.zeros_like(log_model)
        log_true = zero.scatter(-1, at_x, bump[..., None].expand(*x.shape, 1))
        log_rho = log_true - log_true.gather(-1, at_z)
        d = log_rho - (log_model - log_model.gather(-1, at_z))
        terms = log_rho.exp() * phi(d)
        return weight * terms.scatter(-1, at_z, 0.0).sum(-1)

    def mixture_integrand(self, x, z, t):
        """The same for the bound of the Euler sampler at eta = 0: (B, L) nats, valid but loose.

            -alpha' / (1 - alpha) ( 1[z_i = x_i] - p(z_i | z) - 1[z_i != x_i] log p(x_i | z) )

        Even with the exact posterior it lies above -log p(x): the process it conditions on knows
        whether a token has jumped yet, which the model cannot see (Shaul et al. 2024, 2412.03487).
        """
        t = torch.as_tensor(t, dtype=torch.float64, device=x.device).expand(len(x))
        alpha = self.schedule.alpha(t)
        log_p = self.posterior(z, alpha).log_softmax(-1)
        at_x, at_z = (log_p.gather(-1, i[..., None]).squeeze(-1) for i in (x, z))
        rate = (-self.schedule.dalpha(t) / (1 - alpha)).to(log_p.dtype)[:, None]
        same = (x == z).to(log_p.dtype)
        return rate * (same - at_z.exp() - torch.where(x == z, 0.0, at_x))

    def nll_bound(self, x, generator=None, draws=16, end=END):
        """x (B, L) -> (B,) nats: equation (3) on the linear clock, times stratified within a row.

        Bounds the sampler that takes many steps of the reversal down to the noise level `end` and
        there draws every token from its posterior, as the last step of `trajectory` does. For any
        network: where one is certain and wrong the integral alone saturates, at 15 nats a token
        down to 1e-6, and the last term is the rest of -log p(x). Whatever `end` is, both together
        are exact where tokens are independent; else decoding them at once costs their total
        correlation given z, of order end^2.

        Times are drawn as t = s^2, s uniform: with t uniform its variance would be infinite as
        `end` goes to 0, because a token that is wrong at noise level t, which happens with
        probability of order t, costs of order log(1/t) / t.
        """
        if not 0 < end < 1:
            raise InputError(f"end is {end}: give a noise level above 0 and below 1")
        clock, low, total = SCHEDULES["linear"], end**0.5, 0.0
        for d in range(draws):
            s = low + (1 - low) * stratum(d, draws, len(x), generator, x.device)
            s = s.clamp(max=1 - 1e-9)  # at 1, which has probability zero, alpha divides
            z = self.corrupt(x, clock.alpha(s**2), generator)
            total = total + 2 * s * (1 - low) * self._integrand(x, z, s**2, clock).sum(-1)
        alpha = torch.full((len(x),), 1 - end, dtype=torch.float64, device=x.device)
        z = self.corrupt(x, alpha, generator)
        return total / draws + self.decoding_nll(x, z, alpha).sum(-1)

    def decoding_nll(self, x, z, alpha):
        """-log p(x_i | z) (B, L) nats: what is left of (3) at the noise level 1 - alpha (B,)."""
        return F.cross_entropy(self.posterior(z, alpha).mT, x, reduction="none")

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
        corrections=0,
        begin=0.0,
    ):
        """Start from random symbols and let every token jump, all at once, `steps` times.

        "ancestral" steps with the reversal q(z_s | z_t, x), the process that (3) bounds, in the
        limit of many steps; "euler" with the rates (4), where eta > 0 adds jumps that undo each
        other and correct mistakes. corrections: how often `correct` follows each step. With the
        exact posterior and many steps all of them draw the language; with a network `nll_bound` is
        no bound of any but the first. begin: alpha at the start; above 0 what is not known of the
        canvas is a text with mistakes, which is taken for a noisy one and repaired.
        """
        step = choose("sampler", sampler, {"ancestral": self.reverse, "euler": self.euler})
        if not 0 <= eta < math.inf:
            raise InputError(f"eta is {eta}: give 0 (no extra jumps) or more")
        if eta > 0 and sampler != "euler":
            raise InputError("eta belongs to the Euler sampler: add --sampler euler, or drop eta")
        if corrections < 0:
            raise InputError(f"corrections is {corrections}: give 0 (none) or more")
        if not 0 <= begin < 1:
            raise InputError(f"begin is {begin}: give 0 (pure noise) or more, and less than 1")

        def read(z, alpha):
            """p(x_i | z without z_i) (B, L, K)."""
            f = self.leave_one_out(z, alpha.expand(len(z)))
            return probabilities(f, temperature, top_k, top_p)

        grid = torch.linspace(1, 0, steps + 1, dtype=torch.float64, device=canvas.device)
        alpha = begin + (1 - begin) * self.clock.alpha(grid)
        noise = torch.randint(
            self.vocab_size, canvas.shape, device=canvas.device, generator=generator
        )
        z = canvas if begin else torch.where(known, canvas, noise)
        yield z
        for a, b in zip(alpha[:-1], alpha[1:], strict=True):
            z = torch.where(known, canvas, draw(step(z, read(z, a), a, b, eta), generator))
            for _ in range(corrections):
                z = self.correct(z, ~known, read(z, b), b, generator)
            yield z

    def correct(self, z, free, theta, alpha, generator):
        """Draw one of the `free` (B, L) tokens of each text anew, given all others.

        From q(z_i | the others) = alpha theta_i + (1 - alpha) / K, theta (B, L, K) being p(x_i | z
        without z_i): a Gibbs step, which changes nothing in the law of z at this noise level, but
        takes mistakes out of a z that has some.
        """
        u = torch.rand(z.shape, dtype=torch.float64, device=z.device, generator=generator)
        at = torch.where(free, u, -1.0).argmax(-1, keepdim=True)
        p = alpha * theta[torch.arange(len(z), device=z.device), at.squeeze(-1)]
        new = draw(p + (1 - alpha) / self.vocab_size, generator)[:, None]
        return z.scatter(-1, at, torch.where(free.gather(-1, at), new, z.gather(-1, at)))

    def reverse(self, z, theta, a, b, eta=0.0):
        """q(z_s | z_t, x) with theta (B, L, K) in place of x: unnormalised (B, L, K).

        a = alpha_t, b = alpha_s; z could come from x at time t (Bayes) and through time s.
        """
        K = self.vocab_size
        r = a / b
        here = F.one_hot(z, K).to(theta.dtype)
        return K * a * theta * here + (r - a) * here + (b - a) * theta + (1 - r) * (1 - b) / K

    def euler(self, z, theta, a, b, eta):
        """One step of length b - a along the rates (4): probabilities (B, L, K).

        The last step, b = 1, has no time left for extra jumps: it decodes x ~ p(x | z).
        """
        K = self.vocab_size
        here = F.one_hot(z, K).to(theta.dtype)
        p = theta * (1 + K * a / (1 - a) * here)
        p = p / p.sum(-1, keepdim=True)
        if b == 1:
            return p
        stay = (p * here).sum(-1, keepdim=True)
        rate = (1 + eta + eta * (K - 1) * a) / (1 - a) * p + eta * stay
        jump = ((b - a) * rate).clamp(max=1) * (1 - here)
        return jump + here * (1 - jump.sum(-1, keepdim=True)).clamp(min=0)

    def conditional(self, x, i, generator=None):
        """One pass at the noise level where one token in L is wrong, x_i replaced by noise (which
        only a network that is not hollow sees)."""
        z = x.clone()
        z[:, i] = torch.randint(self.vocab_size, (len(x),), device=x.device, generator=generator)
        alpha = torch.full((len(x),), 1 - 1 / x.shape[1], dtype=torch.float64, device=x.device)
        return self.leave_one_out(z, alpha)[:, i].log_softmax(-1)


def phi(d):
    """e^-d - 1 + d >= 0, without the cancellation near zero."""
    series = torch.ones_like(d)
    for k in range(9, 2, -1):  # 1 - d/3 (1 - d/4 (1 - ...)), times d^2/2
        series = 1 - d / k * series
    return torch.where(d.abs() < 0.05, d * d / 2 * series, torch.expm1(-d) + d)
