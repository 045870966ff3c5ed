"""Networks: the incremental form equals the parallel one; positions, sizes and starting weights."""

import math
from functools import partial

import by_hand
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from helpers import SMALL, generator, random_model

from nanoparadigm import InputError, build
from nanoparadigm.decoding.autoregressive import Recompute
from nanoparadigm.networks import base
from nanoparadigm.networks.base import Dropout, Linear, NetworkConfig, TimeFeatures
from nanoparadigm.networks.fused_ops import short_conv
from nanoparadigm.networks.transformer import inner_width, rotate, rotations

V, L = 7, SMALL["block_size"]


@pytest.mark.parametrize("name", ["ar", "mamba", "mamba2"])
@pytest.mark.parametrize("chunks", [[1] * L, [5, 1, 1, 5], [L], [3, 9]])
def test_steps_equal_the_parallel_pass(name, chunks):
    """One token at a time, several at once, or a prompt and then tokens: the same logits."""
    net = random_model(name).net
    z = torch.randint(V, (3, L), generator=generator())
    with torch.no_grad():
        whole = net(z)
        state, out = net.init_state(3), []
        for part in z.split(chunks, dim=1):
            logits, state = net.step(part, state)
            out.append(logits)
    assert torch.allclose(torch.cat(out, 1), whole, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", ["ar", "mamba", "mamba2"])
def test_states_do_not_leak_between_the_rows_of_a_batch(name):
    net = random_model(name).net
    z = torch.randint(V, (3, L), generator=generator())
    with torch.no_grad():
        alone = net(z[1:2])
        together = net(z)
    assert torch.allclose(alone[0], together[1], rtol=1e-10, atol=1e-12)


def test_recomputing_is_the_same_as_stepping():
    net = random_model("ar").net
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


@pytest.mark.parametrize("d_head", [2, 8, 32])
def test_the_angles_of_the_rotary_positions_by_hand(d_head):
    """position x 10,000^(-2k / d), d the width of a head and not the number of its pairs."""
    turns = rotations(30, d_head)
    assert turns.shape == (30, 1, 1, d_head // 2, 2)
    for position in (0, 1, 7, 29):
        for k in range(d_head // 2):
            angle = position * 10_000 ** (-2 * k / d_head)
            expected = pytest.approx([math.cos(angle), math.sin(angle)], abs=1e-6)
            assert turns[position, 0, 0, k].tolist() == expected


def test_equal_vectors_at_a_distance_agree_by_the_known_cosine():
    """<x, x> of two positions n apart is the sum of |x_k|^2 cos(n 10,000^(-2k / d)) over pairs."""
    x = torch.randn(8, dtype=torch.float64, generator=generator())
    size = x.view(4, 2).square().sum(-1).tolist()
    turned = rotate(x.expand(30, 8), rotations(30, 8)[:, 0, 0])
    for i, j in [(0, 0), (5, 4), (3, 17), (29, 0)]:
        cosines = [math.cos((i - j) * 10_000 ** (-k / 4)) for k in range(4)]
        expected = sum(a * b for a, b in zip(size, cosines, strict=True))
        assert (turned[i] @ turned[j]).item() == pytest.approx(expected, abs=1e-5)


def equals(net, t, h_of):
    """The logits of a network, of every row by itself, are what the formulas say."""
    z = torch.randint(V, (2, 9), generator=generator())
    times = None if t is None else torch.full((2,), t, dtype=torch.float64)
    with torch.no_grad():
        logits = net(z, times)
    w = by_hand.weights(net)
    for row, ours in zip(z.tolist(), logits.numpy(), strict=True):
        truth = by_hand.read(w, h_of(w, row, t))
        np.testing.assert_allclose(ours, truth, rtol=0, atol=1e-5 * np.abs(truth).max())


@pytest.mark.parametrize("mlp", ["swiglu", "relu2"])
@pytest.mark.parametrize("name, t", [("ar", None), ("diffusion", None), ("flow", 0.3)])
def test_the_transformer_is_its_formulas(name, t, mlp):
    net = random_model(name, network="transformer", mlp=mlp).net
    equals(net, t, partial(by_hand.transformer, heads=2, kind=mlp, causal=name == "ar"))


@pytest.mark.parametrize("name, t", [("mamba", None), ("diffusion", None), ("flow", 0.3)])
def test_mamba_is_its_formulas(name, t):
    equals(random_model(name, network="mamba").net, t, by_hand.mamba)


@pytest.mark.parametrize("name, t", [("mamba2", None), ("diffusion", None), ("flow", 0.3)])
def test_mamba2_is_its_formulas(name, t):
    equals(
        random_model(name, network="mamba2").net, t, partial(by_hand.mamba, mixer=by_hand.mixer2)
    )


@pytest.mark.parametrize("name, t", [("diffusion", None), ("flow", 0.3)])
def test_a_hollow_network_is_its_formulas(name, t):
    reader = partial(by_hand.transformer, heads=2, kind="swiglu", causal=True)
    equals(random_model(name).net, t, partial(by_hand.hollow, reader=reader, kind="swiglu"))
    net = random_model(name, network="hollow_mamba").net
    equals(net, t, partial(by_hand.hollow, reader=by_hand.mamba, kind="swiglu"))


def test_the_features_of_the_time_by_hand():
    features = TimeFeatures(16)
    with torch.no_grad():
        features.mix.copy_(torch.eye(16))
        found = features(torch.tensor([0.0, 0.3, 1.0]))
    for t, row in zip((0.0, 0.3, 1.0), found.tolist(), strict=True):
        expected = by_hand.time_features(np.eye(16), t)
        assert row == pytest.approx(expected.tolist(), abs=1e-5)


def test_queries_and_keys_have_unit_root_mean_square():
    model = random_model("ar")
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


def spread(weights, expected):
    """Mean 0 and that standard deviation, within 4.5 standard errors of either."""
    n = weights.numel()
    assert abs(weights.mean().item()) < 4.5 * expected / n**0.5
    assert abs(weights.std().item() / expected - 1) < 4.5 / (2 * n) ** 0.5


def test_weights_begin_at_the_sizes_they_are_said_to():
    """scale / sqrt(inputs), so that outputs are as large as inputs; embeddings at 0.02."""
    layer = Linear(400, 100, generator(), scale=2.0, maps=5)
    assert layer.weight.shape == (100, 400) and layer.maps == 5 and len([*layer.parameters()]) == 1
    spread(layer.weight, 0.1)
    net = build("mamba", 400, n_layer=1).net
    spread(net.embedding.weight, 0.02)
    mixer = net.blocks[0].forwards
    for name, inputs in ("in_proj", 128), ("x_proj", 256), ("delta_proj", 8):
        spread(getattr(mixer, name).weight, inputs**-0.5)
    assert 0.49 < mixer.conv.abs().max() <= 0.5  # uniform to d_conv^-0.5
    spread(mixer.conv, 0.5 / 3**0.5)
    attention = build("ar", 9, n_layer=1).net.blocks[0].attention
    spread(attention.qkv.weight, 128**-0.5)


@pytest.mark.parametrize("name", ["ar", "flow"])
@pytest.mark.parametrize("d_conv", [1, 3, 4])
def test_a_fresh_transformer_begins_with_the_token_itself(name, d_conv):
    net = build(name, V, network="transformer", d_conv=d_conv).net
    z = torch.randint(V, (2, 9), generator=generator())
    token = net.embedding.weight[z]
    token = token / token.square().mean(-1, keepdim=True).sqrt()
    assert torch.allclose(net.embed(z), token, atol=1e-3)


def test_inner_widths_by_hand():
    """8/3 of 128 is 341.3, of which the nearest multiple of 8 is 344."""
    assert inner_width(NetworkConfig(n_embd=128, mlp="swiglu")) == 344
    assert inner_width(NetworkConfig(n_embd=128, mlp="relu2")) == 512
    assert inner_width(NetworkConfig(n_embd=128, n_inner=100)) == 100


@pytest.mark.parametrize(
    "n_layer, each, inner", [(1, 1, 232), (2, 1, 232), (3, 2, 272), (4, 2, 272)]
)
def test_the_layers_of_a_hollow_network_by_hand(n_layer, each, inner):
    """Half of them to a reader, rounded up; 344 x 2/3 is 229.3 and 344 x 4/5 is 275.2."""
    net = build("diffusion", V, n_layer=n_layer).net
    assert len(net.left.blocks) == len(net.right.blocks) == each
    widths = [b.mlp.down.in_features for b in (*net.left.blocks, *net.right.blocks)]
    assert {*widths, net.mlp.down.in_features} == {inner}
    assert build("diffusion", V, n_layer=n_layer, n_inner=40).net.mlp.down.in_features == 40


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
    mixer = random_model("mamba").net.blocks[0].forwards
    K, E = mixer.conv.shape
    x = torch.randn(L, 2, E, dtype=torch.float64, generator=generator())
    padded = torch.cat([x.new_zeros(K - 1, 2, E), x])
    library = F.conv1d(padded.permute(1, 2, 0), mixer.conv.mT[:, None], mixer.conv_bias, groups=E)
    ours = short_conv(padded, mixer.conv, mixer.conv_bias)
    assert torch.allclose(ours, library.permute(2, 0, 1))


@pytest.mark.parametrize("d_conv", [1, 2, 4])
@pytest.mark.parametrize("expand_factor", [1, 2, 3])
@pytest.mark.parametrize("name", ["mamba", "mamba2"])
def test_mamba_of_any_shape_steps_as_it_reads(name, d_conv, expand_factor):
    net = random_model(name, d_conv=d_conv, expand_factor=expand_factor).net
    z = torch.randint(V, (2, 9), generator=generator())
    state, out = net.init_state(2), []
    for token in z.split(1, dim=1):
        logits, state = net.step(token, state)
        out.append(logits)
    assert torch.allclose(torch.cat(out, 1), net(z), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("d_conv", [1, 2, 3, 4])
def test_the_transformer_sees_its_neighbours_and_steps_as_it_reads(d_conv):
    net = random_model("ar", d_conv=d_conv).net
    z = torch.randint(V, (2, 9), generator=generator())
    state, out = net.init_state(2), []
    for part in z.split([2, 1, 5, 1], dim=1):
        logits, state = net.step(part, state)
        out.append(logits)
    assert torch.allclose(torch.cat(out, 1), net(z), rtol=1e-9, atol=1e-12)
    both = random_model("diffusion", network="transformer", d_conv=d_conv).net
    e = torch.zeros(1, 9 + both.before + both.after, 16, dtype=torch.float64)
    e[0, both.before + 4] = 1
    reached = both.blend(e)[0].abs().sum(-1).nonzero().flatten().tolist()
    assert reached == list(range(4 - d_conv // 2, 5 + d_conv // 2))


def test_a_state_that_is_full_says_so():
    net = random_model("ar").net
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
    with pytest.raises(InputError, match="n_layer is 1000000000: give 10,000 or fewer"):
        build("ar", 7, n_layer=10**9)
    with pytest.raises(InputError, match="n_layer is 0"):
        build("ar", V, n_layer=0)
    with pytest.raises(InputError, match="did you mean 'swiglu'"):
        build("ar", V, mlp="swigloo")
    with pytest.raises(InputError, match="has no schedule"):
        build("mamba", V, schedule="cosine")
    with pytest.raises(InputError, match="do not fit this network's block of 12"):
        random_model("diffusion").net(torch.zeros(1, 13, dtype=torch.long))
    with pytest.raises(InputError, match="bidirectional"):
        random_model("diffusion", network="transformer").net.init_state(1)


def test_the_earlier_name_of_the_sizes_is_the_class_it_became():
    with pytest.warns(
        DeprecationWarning,
        match="networks.base.Sizes goes away .* use networks.base.NetworkConfig$",
    ):
        assert getattr(base, "Sizes") is base.NetworkConfig  # noqa: B009
    with pytest.raises(AttributeError, match="has no attribute 'Size'"):
        base.Size  # noqa: B018
