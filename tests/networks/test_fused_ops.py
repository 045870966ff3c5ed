"""Operations with gradients by hand equal what autograd makes of their definitions."""

import pytest
import torch
import torch.nn.functional as F
from helpers import generator
from hypothesis import given, settings
from hypothesis import strategies as st

from nanoparadigm.networks.fused_ops import rms_norm, short_conv, squared_relu


def normal(*shape, seed=0):
    g = generator(seed)
    return torch.randn(shape, generator=g, dtype=torch.float64).requires_grad_()


def conv(padded, weight, bias):
    L = len(padded) - len(weight) + 1
    return bias + sum(w * padded[i : i + L] for i, w in enumerate(weight))


def compare(ours, definition, inputs):
    y, z = ours(*inputs), definition(*inputs)
    dy = normal(*y.shape, seed=1).detach()
    for a, b in zip(
        (y, *torch.autograd.grad(y, inputs, dy)), (z, *torch.autograd.grad(z, inputs, dy)),
        strict=True,
    ):  # fmt: skip
        assert torch.allclose(a, b, rtol=1e-9, atol=1e-11)


sizes = st.integers(1, 9)


@settings(deadline=None, max_examples=25)
@given(shape=st.lists(sizes, min_size=1, max_size=4), seed=st.integers(0, 99))
def test_norm_and_activation(shape, seed):
    x = normal(*shape, seed=seed)
    compare(rms_norm, lambda x: F.rms_norm(x, x.shape[-1:]), [x])
    compare(squared_relu, lambda x: F.relu(x).square(), [x])
    compare(lambda x: rms_norm(x.mT), lambda x: F.rms_norm(x.mT, x.mT.shape[-1:]), [x[None]])


@settings(deadline=None, max_examples=25)
@given(L=sizes, B=sizes, E=sizes, K=st.integers(1, 5), seed=st.integers(0, 99))
def test_convolution(L, B, E, K, seed):
    inputs = [normal(*shape, seed=seed) for shape in ((K - 1 + L, B, E), (K, E), (E,))]
    compare(short_conv, conv, inputs)
    compare(lambda p, w: short_conv(p, w), lambda p, w: conv(p, w, 0), inputs[:2])
    compare(
        lambda p, w: short_conv(p.transpose(0, 1), w),
        lambda p, w: conv(p.transpose(0, 1), w, 0),
        [normal(B, K - 1 + L, E, seed=seed), inputs[1]],
    )


@pytest.mark.parametrize("function", [rms_norm, squared_relu])
def test_against_finite_differences(function):
    assert torch.autograd.gradcheck(function, [normal(3, 4)])


def test_a_row_of_zeros_has_a_finite_norm_and_gradient():
    x = torch.zeros(2, 3, requires_grad=True)
    rms_norm(x).sum().backward()
    assert (rms_norm(x) == 0).all() and x.grad.isfinite().all()


def test_without_gradients_the_numbers_are_the_same():
    x = normal(4, 6)
    with torch.no_grad():
        assert torch.allclose(rms_norm(x), rms_norm(x.detach().requires_grad_()), rtol=1e-12)
