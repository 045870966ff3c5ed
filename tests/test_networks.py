"""Networks: the incremental form equals the parallel one; positions, sizes and starting weights."""

import pytest
import torch
import torch.nn.functional as F
from helpers import SMALL, awake, generator

from nanoparadigm import InputError, build
from nanoparadigm.fused import short_conv
from nanoparadigm.network import Dropout
from nanoparadigm.paradigms.ar import Recompute
from nanoparadigm.transformer import rotate, rotations

V, L = 7, SMALL["block_size"]


@pytest.mark.parametrize("name", ["ar", "mamba"])
@pytest.mark.parametrize("chunks", [[1] * L, [5, 1, 1, 5], [L], [3, 9]])
def test_steps_equal_the_parallel_pass(name, chunks):
    """One token at a time, several at once, or a prompt and then tokens: the same logits."""
    net = awake(name).net
    z = torch.randint(V, (3, L), generator=generator())
    with torch.no_grad():
        whole = net(z)
        state, out = net.init_state(3), []
        for part in z.split(chunks, dim=1):
            logits, state = net.step(part, state)
            out.append(logits)
    assert torch.allclose(torch.cat(out, 1), whole, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", ["ar", "mamba"])
def test_states_do_not_leak_between_the_rows_of_a_batch(name):
    net = awake(name).net
    z = torch.randint(V, (3, L), generator=generator())
    with torch.no_grad():
        alone = net(z[1:2])
        together = net(z)
    assert torch.allclose(alone[0], together[1], rtol=1e-10, atol=1e-12)


def test_recomputing_is_the_same_as_stepping():
    net = awake("ar").net
    slow = Recompute(net)
    z = torch.randint(V, (2, 6), generator=generator())
    fast_state, slow_state = net.init_state(2), slow.init_state(2)
    for part in z.split([2, 1, 3], dim=1):
        a, fast_state = net.step(part, fast_state)
        b, slow_state = slow.step(part, slow_state)
        assert torch.allclose(a, b, rtol=1e-10, atol=1e-12)


def test_rotary_positions_are_relative():
    """<rotate(q, i), rotate(k, j)> depends on i - j alone."""
    q, k = torch.randn(2, 8, dtype=torch.float64, generator=generator())
    turns = rotations(30, 8)[:, 0, 0]

    def score(i, j):
        return rotate(q, turns[i]) @ rotate(k, turns[j])

    for i, j, shift in [(0, 0, 9), (3, 1, 20), (1, 6, 11)]:
        assert torch.allclose(score(i, j), score(i + shift, j + shift), atol=1e-5)
    assert not torch.allclose(score(3, 1), score(4, 1))


def test_queries_and_keys_have_unit_root_mean_square():
    model = awake("ar")
    seen = []
    original = F.scaled_dot_product_attention
    try:
        F.scaled_dot_product_attention = lambda q, k, v, **o: (
            seen.extend([q, k]) or original(q, k, v, **o)
        )
        model.net(torch.zeros(1, L, dtype=torch.long))
    finally:
        F.scaled_dot_product_attention = original
    assert seen
    for x in seen:
        assert torch.allclose(x.square().mean(-1), torch.ones_like(x[..., 0]), atol=1e-4)


def test_a_fresh_transformer_passes_its_input_on_and_predicts_uniformly():
    model = build("ar", 65)
    for block in model.net.blocks:
        assert block.attention.out.weight.abs().max() == 0
        assert block.mlp.down.weight.abs().max() == 0
    x = torch.randint(65, (4, 128), generator=generator())
    assert torch.allclose(model.loss(x), torch.tensor(65.0).log())


@pytest.mark.parametrize("mlp", ["relu2", "swiglu"])
def test_both_mlps_have_about_the_same_size_and_the_read_out_is_not_tied(mlp):
    model = build("ar", 65, mlp=mlp)
    per_layer = 4 * 128 * 128 + 8 * 128 * 128
    assert abs(sum(p.numel() for p in model.net.blocks.parameters()) / (4 * per_layer) - 1) < 0.01
    shapes = [tuple(p.shape) for p in model.parameters()]
    assert shapes.count((66, 128)) == 2
    assert all("bias" not in name for name, _ in model.named_parameters())


def test_mamba_starts_as_in_the_paper():
    mixer = build("mamba", 65).net.blocks[0].forwards
    E, N = mixer.A_log.shape
    assert (E, N) == (256, 16)
    assert torch.allclose(-mixer.A_log.exp(), -torch.arange(1.0, N + 1).expand(E, N))
    delta = F.softplus(mixer.delta_bias)
    assert delta.min() >= 1e-3 * 0.999 and delta.max() <= 0.1 * 1.001
    # log-uniform: a quarter of the step sizes in each quarter of the logarithmic range
    quarter = ((delta / 1e-3).log() / torch.tensor(100.0).log() * 4).long().clamp(max=3)
    assert (quarter.bincount(minlength=4) > E / 8).all()
    assert torch.equal(mixer.D, torch.ones(E))


def test_mamba_convolution_is_causal_and_equals_the_library_one():
    mixer = awake("mamba").net.blocks[0].forwards
    K, E = mixer.conv.shape
    x = torch.randn(L, 2, E, dtype=torch.float64, generator=generator())
    padded = torch.cat([x.new_zeros(K - 1, 2, E), x])
    library = F.conv1d(padded.permute(1, 2, 0), mixer.conv.mT[:, None], mixer.conv_bias, groups=E)
    ours = short_conv(padded, mixer.conv, mixer.conv_bias)
    assert torch.allclose(ours, library.permute(2, 0, 1))


@pytest.mark.parametrize("d_conv", [1, 2, 4])
@pytest.mark.parametrize("expand_factor", [1, 2, 3])
def test_mamba_of_any_shape_steps_as_it_reads(d_conv, expand_factor):
    net = awake("mamba", d_conv=d_conv, expand_factor=expand_factor).net
    z = torch.randint(V, (2, 9), generator=generator())
    state, out = net.init_state(2), []
    for token in z.split(1, dim=1):
        logits, state = net.step(token, state)
        out.append(logits)
    assert torch.allclose(torch.cat(out, 1), net(z), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("d_conv", [1, 2, 3, 4])
def test_the_transformer_sees_its_neighbours_and_steps_as_it_reads(d_conv):
    net = awake("ar", d_conv=d_conv).net
    z = torch.randint(V, (2, 9), generator=generator())
    state, out = net.init_state(2), []
    for part in z.split([2, 1, 5, 1], dim=1):
        logits, state = net.step(part, state)
        out.append(logits)
    assert torch.allclose(torch.cat(out, 1), net(z), rtol=1e-9, atol=1e-12)
    both = awake("diffusion", network="transformer", d_conv=d_conv).net
    e = torch.zeros(1, 9 + both.before + both.after, 16, dtype=torch.float64)
    e[0, both.before + 4] = 1
    reached = both.blend(e)[0].abs().sum(-1).nonzero().flatten().tolist()
    assert reached == list(range(4 - d_conv // 2, 5 + d_conv // 2))


def test_a_state_that_is_full_says_so():
    net = awake("ar").net
    _, state = net.step(torch.zeros(1, L, dtype=torch.long), net.init_state(1))
    with pytest.raises(InputError, match=f"token {L + 1} does not fit this network's block of {L}"):
        net.step(torch.zeros(1, 1, dtype=torch.long), state)


def test_dropout_follows_its_generator_and_rests_in_evaluation():
    drop = Dropout(0.25)
    x = torch.ones(1000)
    drop.generator = generator()
    one = drop(x)
    drop.generator = generator()
    assert torch.equal(one, drop(x))
    assert abs(one.mean() - 1) < 0.1 and one.unique().numel() == 2
    assert torch.equal(drop.eval()(x), x)


def test_sizes_that_cannot_be_are_named():
    with pytest.raises(
        InputError, match="n_head 3 does not divide n_embd 16 .* choose n_head from"
    ):
        build("ar", V, n_embd=16, n_head=3)
    with pytest.raises(InputError, match="n_layer is 0"):
        build("ar", V, n_layer=0)
    with pytest.raises(InputError, match="did you mean 'swiglu'"):
        build("ar", V, mlp="swigloo")
    with pytest.raises(InputError, match="has no schedule"):
        build("mamba", V, schedule="cosine")
    with pytest.raises(InputError, match="do not fit this network's block of 12"):
        awake("diffusion").net(torch.zeros(1, 13, dtype=torch.long))
    with pytest.raises(InputError, match="bidirectional"):
        awake("diffusion", network="transformer").net.init_state(1)
