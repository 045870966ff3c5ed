"""The exact likelihood of a masked diffusion whose order of writing is not left to chance.

    (1)  p(x) = prod_n prod_{i in S_n} p(x_i | the tokens of S_1, ..., S_(n-1))

S_n, the positions revealed in step n, is a function of what stood there before that step. So a text
can be written in one way only, and there is nothing to sum over: Turok, De Sa and Kuleshov 2026
(2603.01367). The best of several orders, chosen after seeing the text, is not such a function: its
products add up to more than 1.
"""

from typing import Any

import torch
from torch import Generator

from ..decoding.categorical import choose_sampler
from ..decoding.masked import Confidence, LeftToRight
from ..errors import InputError
from ..paradigms import MaskedDiffusion, Paradigm
from ..shapes import PerText, TokenIds


@torch.no_grad()
def decoding_nll(
    model: Paradigm,
    x: TokenIds,
    sampler: str = "confidence",
    steps: int | None = None,
    **options: Any,
) -> PerText:
    """Return -log p(x) (B,) of x (B, L), float64 nats, exactly, for texts drawn by this sampler.

    model: a MaskedDiffusion. sampler: `confidence` or `left_to_right`; of equally sure tokens the
    first goes first. steps, options: as of `model.sample`; None stands for one token in each step.
    Equation (1), with one network call in each step. It is not the likelihood that `nll_bound`
    bounds. Raises InputError for other models and for samplers that leave the order to chance.
    """
    if not isinstance(model, MaskedDiffusion):
        raise InputError(f"{type(model).__name__} reveals no masks: give a MaskedDiffusion")
    order, draw = choose_sampler(model.samplers, sampler, **options)
    if not (type(order) is Confidence or type(order) is LeftToRight):
        known = "confidence or left_to_right of a MaskedDiffusion"
        raise InputError(f"no likelihood is known here of {sampler} of this model: choose {known}")
    B, L = x.shape
    steps = L if steps is None else steps
    if steps < 1:
        raise InputError(f"steps is {steps}: give a whole number of 1 or more")
    z = torch.full_like(x, model.mask_id)
    nll = torch.zeros(B, dtype=torch.float64, device=x.device)
    for left in order.remaining(torch.full_like(x[:, :1], L), steps):
        if not (chosen := order.choose(model, z, left, Generator(z.device))):
            continue
        revealed, logits = chosen
        p = draw.probabilities(logits).gather(-1, x[revealed][:, None])
        nll.index_add_(0, revealed.nonzero()[:, 0], -p.squeeze(-1).log())
        z = torch.where(revealed, x, z)
    return nll
