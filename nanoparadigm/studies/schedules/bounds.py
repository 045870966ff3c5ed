"""What only the study of noise schedules needs of masked diffusion: two bounds, a number that is no
bound, and weights for masks that depend on the token."""

import math
from collections.abc import Iterator

import torch
from torch import Generator, Tensor

from ...paradigms.mdlm import MaskedDiffusion
from ...paradigms.schedules import stratified_uniform


def nelbo(
    model: MaskedDiffusion, x: Tensor, generator: Generator | None = None, num_samples: int = 8
) -> Tensor:
    """Return the bound of x (B, L) under the model's own schedule, clipped or not, (B,) nats.

    Equation (3) of `paradigms/mdlm.py` between the schedule's ends, and, where it is clipped, the
    two terms without which it is no bound: the prior (a start token is m with 1 - alpha(1), else
    uniform) and the reconstruction (what is still masked at t = 0 is decoded at once). The integral
    is taken over u = s^2, s uniform, in place of t: with t uniform the variance would be infinite
    under the linear schedule, and worse under sqrt, because few masks come with a large weight.
    """
    u0, u1 = 1 - model.schedule.alpha0, 1 - model.schedule.alpha1
    low, high = u0**0.5, u1**0.5
    total = model.schedule.alpha1 * x.shape[1] * math.log(model.vocab_size)
    for s in strata(x, generator, num_samples):
        s = low + (high - low) * s
        s = s.clamp(1e-9)  # 0 has probability zero and divides
        z = hide(model, x, s[:, None] ** 2, generator)
        ce = model.cross_entropy(x, z, s**2).sum(-1)
        total = total + 2 * (high - low) / s * ce / num_samples
        if u0 > 0:
            u = torch.full_like(s, u0)
            z = hide(model, x, u[:, None], generator)
            total = total + model.cross_entropy(x, z, u).sum(-1) / num_samples
    return total


def token_masked_nelbo(
    model: MaskedDiffusion,
    x: Tensor,
    generator: Generator | None = None,
    start: float = 0.5,
    num_samples: int = 8,
) -> Tensor:
    """Return the bound of x (B, L) that belongs to masks by `weights` c, schedule apart, (B,) nats.

    It bounds the likelihood of the reverse process that reveals every masked token at the rate 1/u,
    with u going from 1 to 0, and begins with a mask with probability `start`, else with a uniform
    token. With c = c_v of each token
    and a = min(1, c), each contributes

        int_0^min(1, 1/c) du/u E[1[masked] CE] + max(0, log c)
        + a log(a / start) + (1 - a) log((1 - a) V / (1 - start))

    because a token of c > 1 is certainly masked above u = 1/c, which the model does not know, and
    one of c < 1 may be visible at the very start. The masked cross-entropy alone, with any weight,
    is no bound. Evaluate with `nll_bound`: the same network, without these costs.
    """
    c = model.weights[x].double()
    a = c.clamp(max=1)
    leak = torch.special.xlogy(1 - a, (1 - a) * model.vocab_size / (1 - start))
    total = (c.clamp(min=1).log() + a * (a / start).log() + leak).sum(-1)
    for s in strata(x, generator, num_samples):
        # u = s^2: with u uniform the variance would be infinite
        s = s.clamp(1e-9)[:, None]
        z = hide(model, x, (c * s**2).clamp(max=1), generator)
        ce = model.cross_entropy(x, z, (z == model.mask_id).double().mean(-1))
        total = total + (2 / s * ce * (c * s**2 < 1)).sum(-1) / num_samples
    return total


def in_schedule_cross_entropy(
    model: MaskedDiffusion, x: Tensor, generator: Generator | None = None, num_samples: int = 8
) -> Tensor:
    """Return L times the mean cross-entropy of the masked tokens of x (B, L), (B,) nats: no bound.

    The masks are those of the model's own schedule and masking. So it ranks schedules by how easy a
    task they set, not models by how well they do it: a schedule that masks less asks easier
    questions.
    """
    total = 0.0
    for t in strata(x, generator, num_samples):
        z = model.corrupt(x, t, generator)
        masked = (z == model.mask_id).double()
        ce = model.cross_entropy(x, z, masked.mean(-1)).sum(-1)
        total = total + x.shape[1] * ce / masked.sum(-1).clamp(min=1)
    return total / num_samples


def entropy_weights(entropy: Tensor) -> Tensor:
    """Return `weights` (V,) from the entropy (V,) of the predictions where each token stands.

    They lie between 0.5 and 1.5, lower for tokens that are harder to predict, and are 1 at the mean
    entropy.
    """
    return (2 - entropy / entropy.mean()).clamp(0.5, 1.5)


def strata(x: Tensor, generator: Generator | None, num_samples: int) -> Iterator[Tensor]:
    """Yield `num_samples` times t (B,), one from each of as many equal parts of (0, 1)."""
    return (
        stratified_uniform(d, num_samples, len(x), generator, x.device) for d in range(num_samples)
    )


def hide(model: MaskedDiffusion, x: Tensor, u: Tensor, generator: Generator | None) -> Tensor:
    """Return x (B, L) with each token masked with probability u, (B, 1) or (B, L)."""
    noise = torch.rand(x.shape, dtype=u.dtype, device=x.device, generator=generator)
    return torch.where(noise < u, model.mask_id, x)
