"""The fast scan equals the loop that defines it, in values and in every gradient."""

from unittest.mock import patch

import pytest
import torch
import torch.nn.functional as F
from helpers import generator
from hypothesis import given, settings
from hypothesis import strategies as st

from nanoparadigm.networks import selective_scan as scan
from nanoparadigm.networks.selective_scan import (
    BlockedScan,
    scan_log_depth,
    scan_loop,
    selective_scan,
)

LENGTHS = [1, 2, 37, 128, 257]


def inputs(length, hot=False, dtype=torch.float64, seed=0, batch=2, D=3, N=4):
    """u, delta, A, B, C. Hot: the logarithms of the decays sum to less than -10,000."""
    g = generator(seed)

    def normal(*shape):
        return torch.randn(*shape, generator=g, dtype=torch.float64)

    delta = F.softplus(normal(batch, D, length) - 2) * (200 if hot else 1)
    A = -torch.arange(1, N + 1, dtype=torch.float64).repeat(D, 1) * (1 + 0.1 * normal(D, 1).abs())
    if hot and length >= 128:
        assert (delta.sum(-1).amin() * A.amin()) < -10_000
    parts = normal(batch, D, length), delta, A, normal(batch, N, length), normal(batch, N, length)
    return [x.to(dtype).requires_grad_() for x in parts]


def value_and_gradients(form, parts):
    y = form(*parts)
    weights = torch.randn(y.shape, generator=generator(9), dtype=torch.float64).to(y.dtype)
    return y, *torch.autograd.grad((y * weights).sum(), parts, materialize_grads=True)


FORMS = {
    "log depth": scan_log_depth,
    "blocked": lambda *parts: BlockedScan.apply(*parts)[0],
    "selective_scan": selective_scan,
}


@pytest.mark.parametrize("hot", [False, True], ids=["mild", "hot"])
@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_equals_the_loop_in_float64(form, length, hot):
    parts = inputs(length, hot)
    truth = value_and_gradients(lambda *p: scan_loop(*p)[0], parts)
    for a, b in zip(value_and_gradients(form, parts), truth, strict=True):
        assert torch.allclose(a, b, rtol=1e-10, atol=1e-11)


@pytest.mark.parametrize("hot", [False, True], ids=["mild", "hot"])
@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_float32_stays_near_the_float64_loop(form, length, hot):
    parts = inputs(length, hot)
    truth = value_and_gradients(lambda *p: scan_loop(*p)[0], parts)
    single = [x.detach().float().requires_grad_() for x in parts]
    for a, b in zip(value_and_gradients(form, single), truth, strict=True):
        assert a.isfinite().all()
        assert (a - b).abs().max() <= 2e-5 * b.abs().max() + 1e-7


@pytest.mark.parametrize("block", [1, 2, 5, 36, 37, 38])
def test_the_size_of_a_block_changes_nothing(block, monkeypatch):
    parts = inputs(37)
    truth = value_and_gradients(lambda *p: scan_loop(*p)[0], parts)
    monkeypatch.setattr(scan, "BUFFER", block * 2 * 3 * 4)
    for a, b in zip(value_and_gradients(FORMS["blocked"], parts), truth, strict=True):
        assert torch.allclose(a, b, rtol=1e-10, atol=1e-11)


@settings(deadline=None, max_examples=40)
@given(
    shape=st.tuples(*(st.integers(1, most) for most in (5, 6, 40, 5))),
    state=st.integers(1, 200),
    buffer=st.integers(1, 2000),
    seed=st.integers(0, 99),
)
def test_any_shape_in_any_blocks_equals_the_loop(shape, state, buffer, seed):
    parts = inputs(shape[2], seed=seed, batch=shape[0], D=shape[1], N=shape[3])
    truth = value_and_gradients(lambda *p: scan_loop(*p)[0], parts)
    with patch.multiple(scan, STATE=state, BUFFER=buffer):
        ours = value_and_gradients(FORMS["blocked"], parts)
        last = BlockedScan.apply(*parts)[1]
    for a, b in zip(ours, truth, strict=True):
        assert torch.allclose(a, b, rtol=1e-9, atol=1e-10)
    assert torch.allclose(last, scan_loop(*parts)[1], rtol=1e-9, atol=1e-10)


def test_gradients_against_finite_differences():
    parts = inputs(5)
    assert torch.autograd.gradcheck(lambda *p: BlockedScan.apply(*p)[0], parts)


def test_a_text_read_in_two_parts_is_a_text_read_at_once():
    u, delta, A, B, C = (x.detach() for x in inputs(37))
    y, last = selective_scan(u, delta, A, B, C, return_last_state=True)
    first, state = selective_scan(
        *(x[..., :20] for x in (u, delta)), A, B[..., :20], C[..., :20], return_last_state=True
    )
    second, end = selective_scan(
        *(x[..., 20:] for x in (u, delta)),
        A,
        B[..., 20:],
        C[..., 20:],
        return_last_state=True,
        initial_state=state,
    )
    assert torch.allclose(torch.cat([first, second], -1), y, atol=1e-12)
    assert torch.allclose(end, last, atol=1e-12)
    assert torch.allclose(last, scan_loop(u, delta, A, B, C)[1], atol=1e-12)


def test_the_options_are_what_they_say():
    u, delta, A, B, C = (x.detach() for x in inputs(9))
    D = torch.tensor([0.5, -1.0, 2.0], dtype=torch.float64)
    bias = torch.tensor([0.1, 0.2, 0.3], dtype=torch.float64)
    z = torch.randn(u.shape, generator=generator(), dtype=torch.float64)
    y = selective_scan(u, delta, A, B, C, D=D, z=z, delta_bias=bias, delta_softplus=True)
    step = F.softplus(delta + bias[:, None])
    expected = (scan_loop(u, step, A, B, C)[0] + D[:, None] * u) * F.silu(z)
    assert torch.allclose(y, expected, atol=1e-12)


def test_half_precision_inputs_are_computed_in_the_precision_of_A():
    u, delta, A, B, C = (x.detach().float() for x in inputs(64))
    y = selective_scan(u.bfloat16(), delta, A, B, C)
    assert y.dtype == torch.bfloat16
    exact = selective_scan(u.bfloat16().float(), delta, A, B, C)
    assert torch.allclose(y.float(), exact, rtol=1e-2, atol=1e-2)


def test_dividing_by_the_cumulative_product_would_fail_here():
    """The popular shortcut, on the hot case: why no form in selective_scan.py uses it."""
    u, delta, A, B, C = (x.detach().float() for x in inputs(128, hot=True))
    decay = torch.exp((delta[..., None] * A[:, None]).cumsum(2))
    drive = (delta * u)[..., None] * B.mT[:, None]
    truth = scan_loop(u, delta, A, B, C)[0]
    for guard in (0.0, 1e-12):
        h = decay * (drive / (decay + guard)).cumsum(2)
        y = torch.einsum("bdln,bnl->bdl", h, C)
        assert not torch.allclose(y, truth, rtol=0.1, atol=1e-3)
