"""Masked diffusion: tokens vanish one by one into a mask symbol m, and a network brings them back.

    (1)  q(z_i | x_i) = alpha(t) x_i + (1 - alpha(t)) m                        corrupt
    (2)  SUBS: p(x_i | z) puts nothing on m, and a visible token is itself     log_probs
    (3)  -log p(x) <= int_0^1 w(t) E_z[ sum_{i masked} -log p(x_i | z) ] dt,   integrand
         w = -alpha' / (1 - alpha);  trained on without the weight             loss_terms
    (4)  the same with k masks, uniform on 1 ... L, in place of t:
         -log p(x) <= L E_k[ mean over the k masks of -log p(x_i | z) ]        nll_bound
    (5)  q(z_s | z_t, x): a masked token is revealed with probability
         (alpha_s - alpha_t) / (1 - alpha_t), s < t                            decoding/masked.py

Sahoo et al. 2024 (2406.07524, MDLM); (3) also Shi et al., Ou et al. 2024 (2406.04329, 2406.03736).
With u = 1 - alpha(t) it becomes int du/u: the schedule drops out. (4) is the order-agnostic NADE of
Uria et al. 2014 (1310.1757), identified with this diffusion by Hoogeboom et al. 2021 (2110.02037).
"""

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from ..decoding import masked
from ..errors import lookup
from .base import Logits, Paradigm, PerSymbol, PerText, PerToken, Rng, Times, TokenIds, Where
from .schedules import SCHEDULES, stratified_times, stratified_uniform


class MaskedDiffusion(Paradigm):
    """`schedule` shapes training; if it is clipped, sampling uses the linear one instead."""

    tied, extra_symbols, infills = True, 1, True
    samplers, decodings = masked.SAMPLERS, masked.DECODINGS
    weights: Tensor | None  # "entropy" masks token v with probability min(1, weights_v (1 - alpha))

    def __init__(
        self, net: nn.Module, vocab_size: int, schedule: str = "linear", masking: str = "uniform"
    ) -> None:
        super().__init__(net, vocab_size)
        self.schedule = lookup("schedule", schedule, SCHEDULES)
        self.sampling_schedule = SCHEDULES["linear"] if self.schedule.clipped else self.schedule
        weights = lookup("masking", masking, dict(uniform=None, entropy=torch.ones(vocab_size)))
        self.register_buffer("weights", weights)

    # -------------------------------------------------------------------------- (1) the corruption

    def corrupt(self, x: TokenIds, t: Times, generator: Rng) -> TokenIds:
        """Return z (B, L): x (B, L) at times t (B,), partly masked. Equation (1)."""
        survive = self.schedule.alpha(t)[:, None]
        if self.weights is not None:
            survive = 1 - (self.weights[x] * (1 - survive)).clamp(max=1)
        u = torch.rand(x.shape, dtype=t.dtype, device=x.device, generator=generator)
        return torch.where(u < survive, x, self.mask_id)

    # -------------------------------------------------------------------------- (2) the prediction

    def log_probs(self, z: TokenIds, noise_level: Times) -> Logits:
        """Return log p(x_i | z) (B, L, V) for z (B, L) and noise levels (B,). Equation (2)."""
        log_p = self.net(z, noise_level)[..., : self.vocab_size].log_softmax(-1)  # nothing on m
        visible = (z != self.mask_id)[..., None]
        itself = z[..., None] == torch.arange(self.vocab_size, device=z.device)
        return torch.where(visible, torch.where(itself, 0.0, -torch.inf).to(log_p.dtype), log_p)

    def cross_entropy(self, x: TokenIds, z: TokenIds, noise_level: Times) -> PerToken:
        """Return -log p(x_i | z) (B, L), nats, zero where the token is visible."""
        return -self.log_probs(z, noise_level).gather(-1, x[..., None]).squeeze(-1)

    # --------------------------------------------------------------------------- (3) the objective

    def noise(self, x: TokenIds, generator: Rng = None) -> tuple[Tensor, ...]:
        """Draw times t (B,), spread evenly over the batch, and z (B, L)."""
        t = stratified_times(len(x), generator, x.device)
        return t, self.corrupt(x, t, generator)

    def loss_terms(self, x: TokenIds, t: Times, z: TokenIds) -> tuple[Tensor, Tensor]:
        """Return the summed cross-entropy of the targets, nats, and their number.

        The targets are the masked tokens, without w: (3) keeps its minimum, and gradients vary far
        less. A hollow network never sees the token it predicts, so all are targets; averaged over
        the masks that makes w = 1, and with the linear schedule the loss is the bound."""
        target = torch.ones_like(z, dtype=torch.bool) if self.hollow else z == self.mask_id
        logits = self.net(z, 1 - self.schedule.alpha(t))[target][:, : self.vocab_size]
        return F.cross_entropy(logits, x[target], reduction="sum"), target.sum()

    def integrand(self, x: TokenIds, z: TokenIds, t: Times | float) -> PerToken:
        """Return the integrand of (3) for one z (B, L), (B, L) nats. t (B,) in (0, 1)."""
        t = torch.as_tensor(t, dtype=torch.float64, device=x.device).expand(len(x))
        ce = self.cross_entropy(x, z, 1 - self.schedule.alpha(t))
        return self.schedule.weight(t).to(ce.dtype)[:, None] * ce

    # ------------------------------------------------------------------------------- (4) the bound

    def nll_bound(self, x: TokenIds, generator: Rng = None, num_samples: int = 8) -> PerText:
        """Return (4) (B,), nats, for the sampler that reveals one token at a time in random order,
        the limit of many steps with any schedule. The mask counts of a row are stratified."""
        (B, L), total = x.shape, torch.zeros(())
        for d in range(num_samples):
            u = stratified_uniform(d, num_samples, B, generator, x.device)
            k = (u[:, None] * L).ceil().clamp(min=1)
            order = torch.rand(B, L, device=x.device, generator=generator).argsort(-1).argsort(-1)
            z = torch.where(order < k, self.mask_id, x)
            ce = self.cross_entropy(x, z, k.squeeze(-1) / L)
            total = total + L / k.squeeze(-1) * ce.sum(-1)
        return total / num_samples

    # -------------------------------------------------------------------------------- (5) sampling

    def denoise(self, z: TokenIds, where: Where, noise_level: Times) -> PerSymbol:
        """Return the logits (n, V) of the n tokens of z (B, L) at `where` (B, L)."""
        rows = where.any(-1)  # the other texts stay as they are and need no network
        return self.net(z[rows], noise_level[rows])[where[rows]][:, : self.vocab_size]

    def prior(self, canvas: TokenIds, known: Where, generator: Generator) -> TokenIds:
        """Return masks, and the canvas where it is known (B, L)."""
        return torch.where(known, canvas, self.mask_id)

    def conditional(self, x: TokenIds, i: int, generator: Rng = None) -> PerSymbol:
        """Return log p(x_i | the others) (B, V), in one pass with x_i masked."""
        z = x.clone()
        z[:, i] = self.mask_id
        level = torch.full((len(x),), 1 / x.shape[1], dtype=torch.float64, device=x.device)
        return self.log_probs(z, level)[:, i]
