"""Mamba-2: its chunks of matrix products are the recurrence, and they are attention."""

import pytest
import torch
from helpers import generator

from nanoparadigm import InputError, build
from nanoparadigm.networks.mamba2 import dual

b, H, N, P = 2, 3, 4, 5


def drawn(L, decay=1.0):
    """x, delta, A, B, C and a state for L steps, in float64, all with gradients."""
    g = generator()
    shapes = (L, b, H, P), (L, b, H), (H,), (L, b, N), (L, b, N), (b, H, N, P)
    x, delta, A, B, C, S = (torch.randn(s, dtype=torch.float64, generator=g) for s in shapes)
    return [v.requires_grad_() for v in (x, delta.abs(), -decay * (1 + A.abs()), B, C, S)]


def recurrence(x, delta, A, B, C, S):
    """Equation (2), a step at a time."""
    y = []
    for x_t, d_t, B_t, C_t in zip(x, delta, B, C, strict=True):
        drive = torch.einsum("bn,bh,bhp->bhnp", B_t, d_t, x_t)
        S = (d_t * A).exp()[..., None, None] * S + drive
        y.append(torch.einsum("bn,bhnp->bhp", C_t, S))
    return torch.stack(y), S


def attention(x, delta, A, B, C):
    """Equation (3): the whole text at once, from a state of zeros."""
    c = (delta * A).cumsum(0)
    weight = torch.einsum("tbn,sbn->tsb", C, B)[..., None] * (c[:, None] - c[None]).exp() * delta
    seen = torch.ones(len(x), len(x), dtype=torch.bool).tril()
    return torch.einsum("tsbh,sbhp->tbhp", weight.where(seen[..., None, None], 0.0), x)


@pytest.mark.parametrize("chunk", [1, 4, 32])
@pytest.mark.parametrize("L", [1, 5, 32, 33, 70])
def test_chunks_are_the_recurrence_in_values_and_gradients(L, chunk):
    """Also where the text is no multiple of a chunk, and from a state that is not zero."""
    inputs, found = drawn(L), []
    for f in (recurrence, lambda *v: dual(*v, chunk=chunk)):
        y, S = f(*inputs)
        gradients = torch.autograd.grad((y.sin()).sum() + S.cos().sum(), inputs)
        found.append((y, S, *gradients))
    for ours, theirs in zip(*found, strict=True):
        assert torch.allclose(ours, theirs, rtol=1e-10, atol=1e-10)


def test_it_is_masked_attention():
    *inputs, S = drawn(21)
    y, _ = dual(*inputs, torch.zeros_like(S), chunk=8)
    assert torch.allclose(y, attention(*inputs), rtol=1e-10, atol=1e-10)


def test_a_decay_that_float32_cannot_hold_is_zero_and_not_nan():
    """exp(c_t - c_s) is taken as one number: exp(c_t) / exp(c_s) would be 0 / 0 here."""
    inputs = [v.detach().float().requires_grad_() for v in drawn(40, decay=200.0)]
    y, S = dual(*inputs)
    gradients = torch.autograd.grad(y.sum() + S.sum(), inputs)
    assert all(v.isfinite().all() for v in (y, S, *gradients))
    slow, last = recurrence(*inputs)
    assert torch.allclose(y, slow, rtol=1e-4, atol=1e-4)
    assert torch.allclose(S, last, rtol=1e-4, atol=1e-4)


def test_mamba2_starts_as_in_the_paper():
    mixer = build("mamba2", 65).net.blocks[0].forwards
    assert mixer.A_log.shape == mixer.D.shape == mixer.delta_bias.shape == (4,)
    A, delta = mixer.A_log.exp(), torch.nn.functional.softplus(mixer.delta_bias)
    assert A.min() >= 1 and A.max() <= 16
    assert delta.min() >= 1e-3 * 0.999 and delta.max() <= 0.1 * 1.001


def test_channels_that_make_no_whole_heads_are_refused():
    with pytest.raises(InputError, match="256 inner channels do not divide into 3 heads"):
        build("mamba2", 65, n_head=3)
