"""Discrete flow with uniform corruption: tokens are replaced by random symbols, and flow back.

    (1)  q(z_i | x_i) = alpha 1[z_i = x_i] + (1 - alpha) / K,  no mask         corrupt
    (2)  the network's f gives p(x_i | z without z_i) = softmax(f)             leave_one_out
         and p(x_i | z) = softmax(f + log(1 + c) 1[v = z_i]),
         c = K alpha / (1 - alpha);  train either by cross-entropy             posterior, loss_terms
    (3)  -log p(x) <= E[ -log p(x | z_t0) ] + int_t0^1 (-alpha' / (K alpha))
         E_z[ sum_i sum_{y != z_i} rho_y phi(d_y) ] dt,                        integrand, nll_bound
         rho_y = xbar_y / xbar_{z_i},  xbar = K alpha x + 1 - alpha,
         phi(d) = e^-d - 1 + d,  d_y = log rho_y - the same with softmax(f) in place of x
    (4)  q(z_s | z_t, x), with softmax(f) in place of x, or its rates          decoding/uniform.py

Campbell et al. 2024 (2402.04997), Gat et al. 2024 (2407.15595). (3): Schiff et al. 2024
(2412.10193), Sahoo et al. 2025 (2506.10892); leave-one-out: Gourevitch et al. 2026 (2605.22765).
"""

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from ..decoding import uniform
from ..errors import InputError, lookup
from .base import Logits, Paradigm, PerSymbol, PerText, PerToken, Rng, Times, TokenIds, Where
from .numerics import phi
from .schedules import SCHEDULES, Schedule, stratified_times, stratified_uniform


class DiscreteFlow(Paradigm):
    """`schedule` shapes training. The bound is on the linear one, and sampling if it is clipped."""

    timed, infills = True, True
    samplers, decodings, repair = uniform.SAMPLERS, uniform.DECODINGS, uniform.repair

    def __init__(self, net: nn.Module, vocab_size: int, schedule: str = "linear") -> None:
        super().__init__(net, vocab_size)
        self.schedule = lookup("schedule", schedule, SCHEDULES)
        self.sampling_schedule = SCHEDULES["linear"] if self.schedule.clipped else self.schedule

    def corrupt(self, x: TokenIds, alpha: Times, generator: Rng) -> TokenIds:
        """Return x (B, L) corrupted with survival probabilities alpha (B,). Equation (1)."""
        u = torch.rand(x.shape, dtype=alpha.dtype, device=x.device, generator=generator)
        noise = torch.randint(self.vocab_size, x.shape, device=x.device, generator=generator)
        return torch.where(u < alpha[:, None], x, noise)

    def leave_one_out(self, z: TokenIds, alpha: Times) -> Logits:
        """Return logits f (B, L, K) of x_i given z (B, L) without z_i, alpha (B,). Equation (2)."""
        return self.net(z, 1 - alpha)[..., : self.vocab_size]

    def likelihood_ratio(self, alpha: Times) -> Tensor:
        """Return c of (2), (B, 1, 1), for alpha (B,); finite where 1 - alpha rounds to zero."""
        return (self.vocab_size * alpha / (1 - alpha).clamp(min=1e-15))[:, None, None]

    def posterior(self, z: TokenIds, alpha: Times) -> Logits:
        """Return logits (B, L, K) of x_i given all of z. Equation (2)."""
        f = self.leave_one_out(z, alpha)
        copy_logit = self.likelihood_ratio(alpha).log1p().to(f.dtype)
        return f.scatter_add(-1, z[..., None], copy_logit.expand(*z.shape, 1))

    def noise(self, x: TokenIds, generator: Rng = None) -> tuple[TokenIds, Times]:
        """Draw z (B, L) and alpha (B,), at times spread evenly over the batch."""
        alpha = self.schedule.alpha(stratified_times(len(x), generator, x.device))
        return self.corrupt(x, alpha, generator), alpha

    def loss_terms(self, x: TokenIds, z: TokenIds, alpha: Times) -> tuple[Tensor, Tensor]:
        """Return the cross-entropy summed over rows, nats per token, each times its alpha, and the
        sum of the alphas. Of f if the network is hollow, otherwise of the posterior, where kept
        tokens teach little: either is least at the true p(x_i | z without z_i)."""
        logits = self.leave_one_out(z, alpha) if self.hollow else self.posterior(z, alpha)
        ce = F.cross_entropy(logits.mT, x, reduction="none").mean(1)
        alpha = alpha.to(ce.dtype)
        return ce @ alpha, alpha.sum()

    def integrand(
        self, x: TokenIds, z: TokenIds, t: Times | float, schedule: Schedule | None = None
    ) -> PerToken:
        """Return the integrand of (3) for one z (B, L), (B, L) nats. t (B,) in (0, 1)."""
        schedule = schedule or self.schedule
        t = torch.as_tensor(t, dtype=torch.float64, device=x.device).expand(len(x))
        alpha = schedule.alpha(t)
        theta = self.leave_one_out(z, alpha).softmax(-1)
        weight = (-schedule.dalpha(t) / (self.vocab_size * alpha)).to(theta.dtype)[:, None]
        at_x, at_z, c = x[..., None], z[..., None], self.likelihood_ratio(alpha)
        copy_logit = c.log1p().to(theta.dtype).expand(*x.shape, 1)
        log_model = torch.log1p(c.to(theta.dtype) * theta)  # of xbar / (1 - alpha) = 1 + c x
        log_true = torch.zeros_like(log_model).scatter(-1, at_x, copy_logit)
        log_rho = log_true - log_true.gather(-1, at_z)
        d = log_rho - (log_model - log_model.gather(-1, at_z))
        return weight * (log_rho.exp() * phi(d)).scatter(-1, at_z, 0.0).sum(-1)

    def nll_bound(
        self, x: TokenIds, generator: Rng = None, num_samples: int = 16, end: float = 1e-3
    ) -> PerText:
        """Return (3) (B,), nats, on the linear schedule, t0 = `end`. t = s^2, s uniform: with t
        uniform the variance is infinite, as a token wrong at t, with chance t, costs log(1/t)/t."""
        if not 0 < end < 1:
            raise InputError(f"end is {end}: give a noise level above 0 and below 1")
        linear, low, total = SCHEDULES["linear"], end**0.5, torch.zeros(())
        for d in range(num_samples):
            s = low + (1 - low) * stratified_uniform(d, num_samples, len(x), generator, x.device)
            s = s.clamp(max=1 - 1e-9)  # at 1, which has probability zero, alpha divides
            z = self.corrupt(x, linear.alpha(s**2), generator)
            total = total + 2 * s * (1 - low) * self.integrand(x, z, s**2, linear).sum(-1)
        alpha = torch.full((len(x),), 1 - end, dtype=torch.float64, device=x.device)
        z = self.corrupt(x, alpha, generator)
        return total / num_samples + self.end_term(x, z, alpha).sum(-1)

    def end_term(self, x: TokenIds, z: TokenIds, alpha: Times) -> PerToken:
        """Return -log p(x_i | z) (B, L), nats: in (3), at t0, where sampling stops and decodes."""
        return F.cross_entropy(self.posterior(z, alpha).mT, x, reduction="none")

    def prior(self, canvas: TokenIds, known: Where, generator: Generator) -> TokenIds:
        """Return random symbols, and the canvas where it is known (B, L)."""
        z = torch.randint(self.vocab_size, known.shape, device=known.device, generator=generator)
        return torch.where(known, canvas, z)

    def conditional(self, x: TokenIds, i: int, generator: Rng = None) -> PerSymbol:
        """Return log p(x_i | the others) (B, V), x_i replaced by noise, at the level of 1 in L."""
        z, alpha = x.clone(), x.new_full((len(x),), 1 - 1 / x.shape[1], dtype=torch.float64)
        z[:, i] = torch.randint(self.vocab_size, (len(x),), device=x.device, generator=generator)
        return self.leave_one_out(z, alpha)[:, i].log_softmax(-1)
