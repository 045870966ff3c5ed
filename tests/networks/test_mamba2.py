"""Mamba-2: its chunks of matrix products are the recurrence, and they are attention. With rotation
the state is a complex diagonal, which counts ones modulo two, as real decays cannot."""

import math
from functools import partial

import by_hand
import pytest
import torch
from helpers import generator, random_model
from test_networks import equals

from nanoparadigm import InputError, build
from nanoparadigm.networks.base import NetworkConfig
from nanoparadigm.networks.mamba2 import Mixer, RotaryMamba2, dual, turned

b, H, N, P = 2, 3, 4, 5


def drawn(L, decay=1.0):
    """x, delta, A, B, C, D and a state for L steps, in float64, all with gradients."""
    g = generator()
    shapes = (L, b, H, P), (L, b, H), (H,), (L, b, N), (L, b, N), (H,), (b, H, N, P)
    x, delta, A, B, C, D, S = (torch.randn(s, dtype=torch.float64, generator=g) for s in shapes)
    return [v.requires_grad_() for v in (x, delta.abs(), -decay * (1 + A.abs()), B, C, D, S)]


def recurrence(x, delta, A, B, C, D, S):
    """Equation (2), a step at a time."""
    y = []
    for x_t, d_t, B_t, C_t in zip(x, delta, B, C, strict=True):
        drive = torch.einsum("bn,bh,bhp->bhnp", B_t, d_t, x_t)
        S = (d_t * A).exp()[..., None, None] * S + drive
        y.append(torch.einsum("bn,bhnp->bhp", C_t, S) + D[:, None] * x_t)
    return torch.stack(y), S


def attention(x, delta, A, B, C, D):
    """Equation (3), and D x: the whole text at once, from a state of zeros."""
    c = (delta * A).cumsum(0)
    weight = torch.einsum("tbn,sbn->tsb", C, B)[..., None] * (c[:, None] - c[None]).exp() * delta
    seen = torch.ones(len(x), len(x), dtype=torch.bool).tril()
    y = torch.einsum("tsbh,sbhp->tbhp", weight.where(seen[..., None, None], 0.0), x)
    return y + D[:, None] * x


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


def turning(L):
    """What `drawn` gives, with angles (L, b, N / 2) before the state."""
    theta = 3 * torch.randn(L, b, N // 2, dtype=torch.float64, generator=generator(1))
    *inputs, S = drawn(L)
    return [*inputs, theta.requires_grad_(), S]


def pairs(v):
    """Neighbours of the last dimension as complex numbers."""
    return torch.view_as_complex(v.unflatten(-1, (-1, 2)).contiguous())


def complex_recurrence(x, delta, A, B, C, D, theta, S):
    """Equation (5) as a complex diagonal, S <- exp(delta (A + i theta)) S + B (delta x)^T."""
    S, y = pairs(S.mT), []  # (b, H, P, N / 2)
    for x_t, d_t, B_t, C_t, theta_t in zip(x, delta, pairs(B), pairs(C), theta, strict=True):
        kept = (d_t[..., None] * (A[:, None] + 1j * theta_t[:, None])).exp()
        S = kept[:, :, None] * S + torch.einsum("bn,bhp->bhpn", B_t, (d_t[..., None] * x_t) + 0j)
        y.append(torch.einsum("bn,bhpn->bhp", C_t.conj(), S).real + D[:, None] * x_t)
    return torch.stack(y), torch.view_as_real(S).flatten(-2).mT


@pytest.mark.parametrize("chunk", [1, 4, 32])
@pytest.mark.parametrize("L", [1, 5, 33, 70])
def test_a_turning_state_is_a_complex_one_in_values_and_gradients(L, chunk):
    inputs, found = turning(L), []
    for f in (complex_recurrence, lambda *v: turned(*v, chunk=chunk)):
        y, S = f(*inputs)
        found.append((y, S, *torch.autograd.grad(y.sin().sum() + S.cos().sum(), inputs)))
    for ours, theirs in zip(*found, strict=True):
        assert torch.allclose(ours, theirs, rtol=1e-10, atol=1e-10)


def test_angles_are_added_up_in_the_precision_of_the_weights():
    """In 16 bits the sum of a few hundred of them would be off by more than a radian."""
    x, delta, A, B, C, D, theta, S = (v.detach().float() for v in turning(300))
    delta, theta = delta.bfloat16(), theta.bfloat16()
    y, _ = turned(x, delta, A, B, C, D, theta, S)
    exact, _ = turned(x, delta.float(), A, B, C, D, theta.float(), S)
    assert torch.allclose(y, exact, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("name, t", [("mamba2", None), ("diffusion", None), ("flow", 0.3)])
def test_rotary_mamba2_is_its_formulas(name, t):
    net = random_model(name, network="rotary_mamba2").net
    equals(net, t, partial(by_hand.mamba, mixer=by_hand.mixer2))


@pytest.mark.parametrize("pieces", [[1] * 12, [5, 1, 1, 5], [3, 9]])
def test_a_turning_state_goes_on_where_the_text_was_cut(pieces):
    net = random_model("mamba2", network="rotary_mamba2").net
    z = torch.randint(7, (3, 12), generator=generator())
    with torch.no_grad():
        state, out = net.init_state(3), []
        for part in z.split(pieces, dim=1):
            logits, state = net.step(part, state)
            out.append(logits)
        assert torch.allclose(torch.cat(out, 1), net(z), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", ["mamba2", "diffusion"])
def test_a_turning_state_sees_the_past_or_from_both_ends_all(name):
    net = random_model(name, network="rotary_mamba2").net
    z = torch.randint(7, (1, 12), generator=generator())
    with torch.no_grad():
        for j in range(12):
            other = z.clone()
            other[0, j] = (z[0, j] + 1) % 7
            sees = (net(z) != net(other)).any(-1)[0]
            assert sees[j:].all()
            assert sees[:j].all() if name == "diffusion" else not sees[:j].any()


def test_without_angles_the_network_is_mamba2():
    plain, rotary = (random_model("mamba2", network=n).net for n in ("mamba2", "rotary_mamba2"))
    rotary.load_state_dict(plain.state_dict(), strict=False)
    with torch.no_grad():
        for block in rotary.blocks:
            block.forwards.theta_proj.weight.zero_()
        z = torch.randint(7, (3, 12), generator=generator())
        assert torch.allclose(rotary(z), plain(z), rtol=1e-10, atol=1e-12)


def test_a_state_that_has_no_pairs_is_refused():
    with pytest.raises(InputError, match="d_state is 5: .* give an even number"):
        build("mamba2", 65, network="rotary_mamba2", d_state=5)


def counter(dtype):
    """A network that says whether the ones so far are odd, by weights set by hand.

    Its tokens are 0, 1 and the start. The start alone writes a number into the state, which does
    not fade, and a one turns it by half a circle.
    """
    sizes = NetworkConfig(n_layer=1, n_head=1, n_embd=4, d_state=2, expand_factor=1, d_conv=1)
    options = dict(causal=True, timed=False, tied=False, generator=generator())
    net = RotaryMamba2(3, sizes, **options).to(dtype)
    mixer = net.blocks[0].forwards
    with torch.no_grad():
        for p in net.parameters():
            p.zero_()
        net.embedding.weight.copy_(torch.eye(3, 4))
        mixer.in_proj.weight[0, 2] = 1  # x
        mixer.in_proj.weight[4, :3] = 1  # z
        mixer.x_proj.weight[::2, :3] = 1  # the first numbers of B and of C
        mixer.conv.fill_(1)
        mixer.delta_bias.fill_(math.log(math.e - 1))  # delta = 1
        mixer.A_log.fill_(-40)
        mixer.theta_proj.weight[0, 1] = 20
        mixer.out_proj.weight[3, 0] = 1
        net.readout[:2, 3] = torch.tensor([1.0, -1.0])
    return net


@pytest.mark.parametrize("dtype, error", [(torch.float64, 1e-9), (torch.float32, 1e-3)])
def test_a_turning_state_counts_ones_modulo_two_at_any_length(dtype, error):
    """The margin is the same after 2,000 tokens as after one: 2^0.5 for "even", as much below 0
    for "odd"."""
    net = counter(dtype)
    bits = torch.randint(2, (4, 2000), generator=generator())
    z = torch.cat([torch.full((4, 1), 2), bits], 1)
    sign = torch.cat([torch.ones(4, 1), 1.0 - 2 * (bits.cumsum(1) % 2)], 1).to(dtype)
    with torch.no_grad():
        assert torch.allclose(net(z)[..., 0], 2**0.5 * sign, atol=error)
        state = net.init_state(4)
        for token, expected in zip(z[:, :200].T, sign.T, strict=False):
            logits, state = net.step(token[:, None], state)
            assert torch.allclose(logits[:, 0, 0], 2**0.5 * expected, atol=error)


def after_ones(mixer, one, times):
    """A constant and the state of the recurrence after 0, 1, 2, ... equal tokens (times, ...)."""
    state = mixer.init_state(1)
    state = state[0], torch.randn(state[1].shape, dtype=torch.float64, generator=generator(2))
    rows = []
    with torch.no_grad():
        for _ in range(times):
            rows.append(torch.cat([torch.ones(1), state[1].flatten()]))
            _, state = mixer.step(one, state)
    return torch.stack(rows)


def turns_of_sign(values):
    return ((values[1:] > 0) != (values[:-1] > 0)).sum(0)


@pytest.mark.parametrize("heads", [1, 2, 3])
def test_without_rotation_no_read_out_of_the_state_counts_ones(heads):
    """After k ones each number is p + q a^k with the a of its head, in (0, 1). By Descartes' rule a
    sum of such numbers and a constant changes its sign at most once a head, and parity would do so
    at every one. So a read-out made to be right for `heads` + 1 texts is wrong for the next."""
    sizes = NetworkConfig(n_embd=6, n_head=heads, d_state=4, d_conv=1)
    mixer = Mixer(sizes, generator()).double()
    a = torch.linspace(0.2, 0.8, heads).double()
    with torch.no_grad():
        mixer.delta_proj.weight.zero_()
        mixer.delta_bias.fill_(math.log(math.e - 1))  # delta = 1
        mixer.A_log.copy_((-a.log()).log())
    one = torch.randn(1, 6, dtype=torch.float64, generator=generator(3))
    states = after_ones(mixer, one, 40)
    change = states.diff(dim=0)[:, 1:].unflatten(1, (heads, -1))
    assert torch.allclose(change[1:], a[:, None] * change[:-1], rtol=1e-9, atol=1e-12)
    read_outs = torch.randn(states.shape[1], 1000, dtype=torch.float64, generator=generator(4))
    assert turns_of_sign(states @ read_outs).max() <= heads
    odd = (-1.0) ** torch.arange(40).double()
    fitted = torch.linalg.pinv(states[: heads + 1]) @ odd[: heads + 1]
    says = states @ fitted
    assert torch.allclose(says[: heads + 1], odd[: heads + 1])
    assert turns_of_sign(says) == heads and says[heads + 1] * odd[heads + 1] < 0


def test_with_rotation_a_number_of_the_state_changes_its_sign_at_every_one():
    mixer = counter(torch.float64).blocks[0].forwards
    states = after_ones(mixer, torch.tensor([[0.0, 2, 0, 0]]).double(), 40)
    assert turns_of_sign(states[:, 1]) == 39
