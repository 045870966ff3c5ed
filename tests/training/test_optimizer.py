"""Muon moves along the orthogonal matrix nearest to its momentum, each packed map on its own."""

import numpy as np
import pytest
import torch
from helpers import generator
from hypothesis import given, settings
from hypothesis import strategies as st

from nanoparadigm import build
from nanoparadigm.networks.base import Linear
from nanoparadigm.training.optimizer import Muon, make_optimizers, orthogonalize


def matrix(*shape, seed=0):
    return torch.randn(shape, generator=generator(seed))


@settings(deadline=None, max_examples=25)
@given(
    n=st.integers(1, 3), rows=st.integers(2, 40), columns=st.integers(2, 40), seed=st.integers(0, 9)
)
def test_singular_vectors_stay_and_singular_values_go_to_one(n, rows, columns, seed):
    m = matrix(n, rows, columns, seed=seed)
    U, S, Vh = torch.linalg.svd(m, full_matrices=False)
    inside = U.mT @ orthogonalize(m) @ Vh.mT  # diagonal if the vectors are the same
    values = inside.diagonal(dim1=-2, dim2=-1)
    assert torch.allclose(inside, torch.diag_embed(values), atol=2e-3)
    large = S > 0.02 * m.norm(dim=(-2, -1))[:, None]
    assert (values[large] > 0.6).all() and (values < 1.3).all()


def test_the_scale_of_the_gradient_does_not_matter():
    m = matrix(2, 5, 7)
    assert torch.allclose(orthogonalize(m), orthogonalize(1e4 * m), atol=1e-4)
    assert orthogonalize(torch.zeros(1, 3, 3)).abs().max() == 0


def layer(values, maps=1):
    """A Linear layer of these weights."""
    made = Linear(*reversed(values.shape), generator(), maps=maps)
    made.weight = torch.nn.Parameter(values)
    return made


def test_a_packed_matrix_moves_as_its_maps_do_alone():
    values, gradient = matrix(12, 4), matrix(12, 4, seed=1)
    packed = layer(values.clone(), maps=3)
    alone = [layer(part.clone()) for part in values.split(4)]
    packed.weight.grad = gradient
    for part, g in zip(alone, gradient.split(4), strict=True):
        part.weight.grad = g
    for layers in [packed], alone:
        Muon(layers, lr=0.1, weight_decay=0.5).step()
    together = torch.cat([part.weight for part in alone])
    assert torch.allclose(packed.weight, together, atol=1e-6)
    whole = layer(values.clone())
    whole.weight.grad = gradient
    Muon([whole], lr=0.1, weight_decay=0.5).step()
    assert not torch.allclose(packed.weight, whole.weight, atol=1e-3)


def test_one_step_by_hand():
    """W - lr (sqrt(rows / columns) O(g) + decay W), momentum (1 - mu) g looking ahead."""
    values, gradient = matrix(8, 4), matrix(8, 4, seed=1)
    one = layer(values.clone())
    one.weight.grad = gradient
    Muon([one], lr=0.1, weight_decay=0.5).step()
    expected = values - 0.1 * (2**0.5 * orthogonalize(gradient[None])[0] + 0.5 * values)
    assert torch.allclose(one.weight, expected, atol=1e-5)


@pytest.mark.parametrize("name", ["ar", "mamba", "mamba2"])
def test_matrices_go_to_muon_and_a_parameter_without_gradient_stays(name):
    model = build(name, 9, n_layer=1, n_head=2, n_embd=16, block_size=8, d_state=4)
    muon, adam = make_optimizers(model, muon_lr=0.02, lr=0.01, weight_decay=0.1)
    assert all(p.ndim == 2 for group in muon.param_groups for p in group["params"])
    before = [p.clone() for p in model.parameters()]
    muon.step(), adam.step()
    assert all(torch.equal(p, q) for p, q in zip(before, model.parameters(), strict=True))


def newton_schulz(m):
    """Five rounds on the matrix itself, as published: x <- a x + b (x x^T) x + c (x x^T)^2 x."""
    x = m.T if m.shape[0] > m.shape[1] else m
    x = x / np.linalg.norm(x)
    for _ in range(5):
        gram = x @ x.T
        x = 3.4445 * x - 4.7750 * gram @ x + 2.0315 * gram @ gram @ x
    return x.T if m.shape[0] > m.shape[1] else x


@pytest.mark.parametrize("rows, columns, maps", [(6, 3, 1), (3, 6, 1), (4, 5, 3), (5, 2, 2)])
def test_three_steps_of_muon_by_hand(rows, columns, maps):
    """A single step tells nothing of the momentum, which is then along the gradient anyway."""
    W = matrix(maps * rows, columns).double()
    one = layer(W.clone(), maps)
    p, optimizer = one.weight, Muon([one], weight_decay=0.5)
    W, M = W.numpy(), 0.0
    for step, lr in enumerate((0.1, 0.05, 0.2), 1):
        G = matrix(maps * rows, columns, seed=step).double() * step
        p.grad = G
        optimizer.param_groups[0]["lr"] = lr
        optimizer.step()
        M = 0.95 * M + 0.05 * G.numpy()
        ahead = 0.95 * M + 0.05 * G.numpy()
        move = np.concatenate([newton_schulz(part) for part in np.split(ahead, maps)])
        W = W - lr * 0.5 * W - lr * max(1, rows / columns) ** 0.5 * move
        np.testing.assert_allclose(p.detach().numpy(), W, rtol=0, atol=1e-10)


@pytest.mark.parametrize("muon_lr", [0.0, 0.04])
def test_three_steps_of_adamw_by_hand(muon_lr):
    """Betas 0.9 and 0.95 for all that is no matrix; the matrix too, decaying, without Muon."""
    model = layer(matrix(3, 2).double())
    model.gain = torch.nn.Parameter(matrix(4, seed=1).double())
    held = [model.weight, model.gain]
    optimizers = make_optimizers(model, muon_lr, lr=0.1, weight_decay=0.5)
    assert [type(o).__name__ for o in optimizers] == ["Muon"] * (muon_lr > 0) + ["AdamW"]
    by_hand = [(held[0], 0.5)] * (not muon_lr) + [(held[1], 0.0)]
    W = [p.detach().numpy().copy() for p, _ in by_hand]
    m, v = [0.0] * len(W), [0.0] * len(W)
    for step in (1, 2, 3):
        for i, p in enumerate(held):
            p.grad = matrix(*p.shape, seed=10 * step + i).double() * step
        optimizers[-1].step()
        for i, (p, decay) in enumerate(by_hand):
            g = p.grad.numpy()
            m[i], v[i] = 0.9 * m[i] + 0.1 * g, 0.95 * v[i] + 0.05 * g**2
            mean, square = m[i] / (1 - 0.9**step), v[i] / (1 - 0.95**step)
            W[i] = W[i] * (1 - 0.1 * decay) - 0.1 * mean / (np.sqrt(square) + 1e-8)
            np.testing.assert_allclose(p.detach().numpy(), W[i], rtol=0, atol=1e-10)
