"""Masked diffusion: tokens vanish one by one into a mask symbol m, and a network brings them back.

    (1)  q(z_i | x_i) = alpha(t) x_i + (1 - alpha(t)) m                        corrupt
    (2)  SUBS: p(x_i | z) puts nothing on m, and a visible token is itself     log_probs
    (3)  -log p(x) <= int_0^1 w(t) E_z[ sum_{i masked} -log p(x_i | z) ] dt,   integrand
         w = -alpha' / (1 - alpha);  trained on without the weight             loss_terms
    (4)  the same with k masks, uniform on 1 ... L, in place of t:
         -log p(x) <= L E_k[ mean over the k masks of -log p(x_i | z) ]        nll_bound
    (5)  q(z_s | z_t, x): a masked token is revealed with probability
         (alpha_s - alpha_t) / (1 - alpha_t), s < t                            decoding/masked.py

Sahoo et al. 2024 (2406.07524, MDLM); (3) also Shi et al. 2024 (2406.04329) and Ou et al. 2024
(2406.03736). With u = 1 - alpha(t) it becomes int du/u: the schedule drops out. (4) is the
order-agnostic NADE of Uria, Murray and Larochelle 2014 (1310.1757); that it is this diffusion was
seen by Hoogeboom et al. 2021 (2110.02037).
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from ..decoding import masked
from ..errors import lookup
from .base import Paradigm
from .schedules import SCHEDULES, stratified_times, stratified_uniform


class MaskedDiffusion(Paradigm):
    """`schedule` shapes training; where it is clipped, sampling takes the linear one instead.
    masking: "entropy" masks token v with probability min(1, weights_v (1 - alpha))."""

    tied, extra_symbols, infills = True, 1, True
    samplers, decodings = masked.SAMPLERS, masked.DECODINGS

    def __init__(self, net, vocab_size, schedule: str = "linear", masking: str = "uniform"):
        super().__init__(net, vocab_size)
        self.schedule = lookup("schedule", schedule, SCHEDULES)
        self.sampling_schedule = SCHEDULES["linear"] if self.schedule.clipped else self.schedule
        weights = lookup("masking", masking, dict(uniform=None, entropy=torch.ones(vocab_size)))
        self.register_buffer("weights", weights)

    # -------------------------------------------------------------------------- (1) the corruption

    def corrupt(self, x: Tensor, t: Tensor, generator) -> Tensor:
        """Return x (B, L) at times t (B,): z (B, L)."""
        survive = self.schedule.alpha(t)[:, None]
        if self.weights is not None:
            survive = 1 - (self.weights[x] * (1 - survive)).clamp(max=1)
        u = torch.rand(x.shape, dtype=t.dtype, device=x.device, generator=generator)
        return torch.where(u < survive, x, self.mask_id)

    # -------------------------------------------------------------------------- (2) the prediction

    def log_probs(self, z: Tensor, noise_level: Tensor) -> Tensor:
        """Return log p(x_i | z) (B, L, V) for z (B, L) and noise levels (B,)."""
        log_p = self.net(z, noise_level)[..., : self.vocab_size].log_softmax(-1)  # nothing on m
        visible = (z != self.mask_id)[..., None]
        itself = z[..., None] == torch.arange(self.vocab_size, device=z.device)
        return torch.where(visible, torch.where(itself, 0.0, -torch.inf).to(log_p.dtype), log_p)

    def cross_entropy(self, x: Tensor, z: Tensor, noise_level: Tensor) -> Tensor:
        """Return -log p(x_i | z) (B, L) nats, zero where z shows the token."""
        return -self.log_probs(z, noise_level).gather(-1, x[..., None]).squeeze(-1)

    # --------------------------------------------------------------------------- (3) the objective

    def noise(self, x, generator=None) -> tuple[Tensor, Tensor]:
        """Draw times t (B,), spread evenly over the batch, and z (B, L)."""
        t = stratified_times(len(x), generator, x.device)
        return t, self.corrupt(x, t, generator)

    def loss_terms(self, x: Tensor, t: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
        """Return the summed cross-entropy of the targets, nats, and their number.

        A hollow network predicts every token without seeing it, so all are targets; averaged over
        which are masked, w(t) then becomes 1, and under the linear schedule the loss is the bound.
        Otherwise the masked ones, unweighted: the minimum of (3), with far less varying gradients.
        """
        target = torch.ones_like(z, dtype=torch.bool) if self.hollow else z == self.mask_id
        logits = self.net(z, 1 - self.schedule.alpha(t))[target][:, : self.vocab_size]
        return F.cross_entropy(logits, x[target], reduction="sum"), target.sum()

    def integrand(self, x: Tensor, z: Tensor, t) -> Tensor:
        """Return what stands under the integral of (3) for one z: (B, L) nats. t (B,) in (0, 1)."""
        t = torch.as_tensor(t, dtype=torch.float64, device=x.device).expand(len(x))
        ce = self.cross_entropy(x, z, 1 - self.schedule.alpha(t))
        return self.schedule.weight(t).to(ce.dtype)[:, None] * ce

    # ------------------------------------------------------------------------------- (4) the bound

    def nll_bound(self, x, generator=None, num_samples=8) -> Tensor:
        """Return (4) of the sampler that reveals one token at a time in uniformly random order,
        the limit of many steps under any schedule; the mask counts of a row are stratified."""
        (B, L), total = x.shape, 0.0
        for d in range(num_samples):
            u = stratified_uniform(d, num_samples, B, generator, x.device)
            k = (u[:, None] * L).ceil().clamp(min=1)
            order = torch.rand(B, L, device=x.device, generator=generator).argsort(-1).argsort(-1)
            z = torch.where(order < k, self.mask_id, x)
            ce = self.cross_entropy(x, z, k.squeeze(-1) / L)
            total = total + L / k.squeeze(-1) * ce.sum(-1)
        return total / num_samples

    # -------------------------------------------------------------------------------- (5) sampling

    def denoise(self, z: Tensor, where: Tensor, noise_level: Tensor) -> Tensor:
        """Return the logits (n, V) of the n tokens at `where` (B, L)."""
        rows = where.any(-1)  # the other texts stay as they are and need no network
        return self.net(z[rows], noise_level[rows])[where[rows]][:, : self.vocab_size]

    def prior(self, canvas, known, generator) -> Tensor:
        """Return masks, and the known tokens in their places."""
        return torch.where(known, canvas, self.mask_id)

    def conditional(self, x, i, generator=None) -> Tensor:
        """Return log p(x_i | the others) (B, V), in one pass with x_i masked."""
        z = x.clone()
        z[:, i] = self.mask_id
        level = torch.full((len(x),), 1 / x.shape[1], dtype=torch.float64, device=x.device)
        return self.log_probs(z, level)[:, i]
