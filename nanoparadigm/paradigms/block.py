"""Block diffusion: left to right over blocks, masked diffusion inside each.

    (1)  p(x) = prod_b p(x^b | x^<b)                     the chain rule over blocks of S tokens
    (2)  x^b by masked diffusion: x^<b clean, x^>b masked                    noise, loss_terms
    (3)  -log p(x) <= sum_b S_b E_k[ mean over k masks of block b of -log p(x_i | z) ]   nll_bound
    (4)  block after block, drawn by any sampler of it   BlockByBlock

Arriola et al. 2025 (2503.09573), for any network. S = 1 is the chain rule, S = L masked diffusion.
Tokens given after a gap are seen when it is filled, though training shows none after a block.
"""

from collections.abc import Iterator
from types import SimpleNamespace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..decoding import masked
from ..errors import InputError
from .mdlm import MaskedDiffusion, PerText, Rng, TokenIds, Where
from .schedules import stratified_uniform


class BlockByBlock:
    """Make the sampler that is the next base of a class draw one block after another."""

    def __call__(
        self, model: "BlockDiffusion", z: TokenIds, known: Where, steps: int, *how: object
    ) -> Iterator[TokenIds]:
        """Yield z (B, L) after each step of each block with a gap; these share the steps evenly.

        how: `draw` and `generator`.
        """
        S, L, base, known = model.block_length, z.shape[1], super(), known.clone()
        view = SimpleNamespace(mask_id=model.mask_id, sampling_schedule=model.sampling_schedule)
        ends = [end for end in range(S, L + S, S) if not known[:, end - S : end].all()]
        for end in ends:
            # the denoiser of a text z (B, end) that is followed by the rest (B, L - end)
            view.denoise = lambda z, where, level, rest=z[:, end:]: model.denoise(
                torch.cat([z, rest], 1), F.pad(where, (0, rest.shape[1])), level
            )
            share = -(-steps // len(ends))
            for state in base.__call__(view, z[:, :end], known[:, :end], share, *how):  # type: ignore[operator]
                z = torch.cat([state, z[:, end:]], dim=1)
                yield z
            known[:, :end] = True  # a finished block is never masked again


class BlockDiffusion(MaskedDiffusion):
    """Masked diffusion of one block of `block_length` tokens after another."""

    samplers = {n: type(k.__name__, (BlockByBlock, k), {}) for n, k in masked.SAMPLERS.items()}

    def __init__(
        self, net: nn.Module, vocab_size: int, schedule: str = "linear", block_length: int = 8
    ) -> None:
        super().__init__(net, vocab_size, schedule)
        if block_length < 1:
            raise InputError(f"block_length is {block_length}: give 1 or more")
        self.block_length = block_length

    def block(self, x: TokenIds, u: PerText) -> tuple[Tensor, Where, Where]:
        """Return the block of each token of x (B, L), and which are in that at u (B,) or after."""
        place = torch.arange(x.shape[1], device=x.device) // self.block_length
        mine = (u * (int(place[-1]) + 1)).long()[:, None]
        return place, place == mine, place > mine

    def noise(self, x: TokenIds, generator: Rng = None) -> tuple[Tensor, ...]:
        """Draw times t (B,), x at these times z (B, L), and a block of each text, at u (B,)."""
        return *super().noise(x, generator), stratified_uniform(0, 1, len(x), generator, x.device)

    def loss_terms(self, x: TokenIds, *noise: Tensor) -> tuple[Tensor, Tensor]:
        """Return the summed cross-entropy of the targets of (2), nats, and their number."""
        t, noisy, u = noise
        (place, inside, later), masks = self.block(x, u), torch.full_like(x, self.mask_id)
        z, around = torch.where(later, masks, torch.where(inside, noisy, x)), []
        if getattr(self.net, "blockwise", False):  # all blocks, each as in (2), in one pass
            z, inside, around = noisy, torch.ones_like(inside), [(x, masks[:1], place)]
        target = inside if self.hollow else inside & (z == self.mask_id)
        logits = self.net(z, 1 - self.schedule.alpha(t), *around)[target][:, : self.vocab_size]
        return F.cross_entropy(logits, x[target], reduction="sum"), target.sum()

    def nll_bound(self, x: TokenIds, generator: Rng = None, num_samples: int = 8) -> PerText:
        """Return (3) (B,), nats: each sample takes one block, stratified over all, and k in it."""
        (B, L), total, blocks = x.shape, torch.zeros(()), -(-x.shape[1] // self.block_length)
        for d in range(num_samples):
            u = stratified_uniform(d, num_samples, B, generator, x.device)
            _, inside, later = self.block(x, u)
            k = (u * blocks % 1 * inside.sum(-1)).ceil().clamp(min=1)
            order = torch.where(inside, torch.rand(B, L, device=x.device, generator=generator), 2.0)
            hidden = (inside & (order.argsort(-1).argsort(-1) < k[:, None])) | later
            ce = self.cross_entropy(x, x.where(~hidden, self.mask_id), hidden.double().mean(-1))
            total = total + blocks * inside.sum(-1) / k * (ce * inside).sum(-1)
        return total / num_samples
