"""The laws every paradigm passes, whatever its network. A new one is one more row of CELLS."""

import pytest
import torch
from helpers import CELLS, SMALL, generator, perturb_, presets, random_model

from nanoparadigm import PRESETS, InputError, build, matched, parameters

V, L = 7, SMALL["block_size"]
cells = pytest.mark.parametrize("name, network", CELLS)


@pytest.fixture(autouse=True)
def no_grad():
    with torch.no_grad():
        yield


def tokens(n, length=L, seed=2):
    return torch.randint(V, (n, length), generator=generator(seed))


def givens(model):
    """Patterns of known positions (B, L) that the model can condition on."""
    place = torch.arange(L)
    prefixes = [place < n for n in (0, 1, 5, L - 1, L)]
    if not model.infills:
        return [p.expand(3, L) for p in prefixes]
    scattered = torch.rand(3, L, generator=generator(3)) < 0.5
    return [p.expand(3, L) for p in prefixes] + [(place >= 4).expand(3, L), scattered]


@cells
@pytest.mark.parametrize("options", [{}, {"temperature": 0.0}, {"top_k": 1}, {"top_p": 0.3}])
@pytest.mark.parametrize("steps", [1, 2, 30])
def test_what_is_known_stays_and_no_blank_survives(name, network, options, steps):
    model, x = random_model(name, network=network), tokens(3)
    for known in givens(model):
        states = list(model.trajectory(x, known, generator(), steps=steps, **options))
        for state in states:
            assert (state[known] == x[known]).all()
        assert ((states[-1] >= 0) & (states[-1] < V)).all()


@cells
def test_what_is_unknown_is_not_looked_at(name, network):
    model, known = random_model(name, network=network), torch.arange(L).expand(3, L) < 4
    a, b = tokens(3, seed=2), tokens(3, seed=4)
    b[known] = a[known]
    for one, other in zip(
        model.trajectory(a, known, generator(), steps=5),
        model.trajectory(b, known, generator(), steps=5),
        strict=True,
    ):
        assert (one == other).all()


@cells
def test_samples_have_the_length_and_the_prompt_asked_for_and_follow_the_seed(name, network):
    model = random_model(name, network=network)
    for length in (3, L):
        one, again, other = (
            model.sample(4, length, generator(s), prompt=[1, 2, 3]) for s in (0, 0, 1)
        )
        assert one.shape == (4, length)
        assert (one[:, :3] == torch.tensor([1, 2, 3])).all()
        assert (one == again).all()
        assert length == 3 or (one != other).any()


@cells
def test_infilling_keeps_both_sides(name, network):
    model = random_model(name, network=network)
    text = model.infill(2, [1, 2], [3, 4], 5, generator(), steps=4)
    assert text.shape == (2, 9)
    assert (text[:, :2] == torch.tensor([1, 2])).all()
    assert (text[:, -2:] == torch.tensor([3, 4])).all()


@cells
def test_scattered_gaps_are_filled_or_refused(name, network):
    model = random_model(name, network=network)
    template = [1, model.mask_id, 2, model.mask_id, 3]
    if model.infills:
        text = model.fill(template, 2, generator(), steps=4)
        assert (text[:, ::2] == torch.tensor([1, 2, 3])).all()
    else:
        with pytest.raises(InputError, match="left to right"):
            model.fill(template, 2, generator())


@cells
def test_a_suffix_is_used(name, network):
    """The tokens of a gap depend on what comes after it."""
    model = random_model(name, network=network)
    a = model.infill(200, [1], [2] * 6, 2, generator(), steps=4)
    b = model.infill(200, [1], [5] * 6, 2, generator(), steps=4)
    assert (a[:, 1:3] != b[:, 1:3]).any()


@cells
def test_causality_is_what_the_paradigm_claims(name, network):
    """Changing token j moves no logit before j (causal), and does (bidirectional); it moves those
    at j (not hollow), or does not."""
    model, x = random_model(name, network=network), tokens(1)
    t = torch.full((1,), 0.5, dtype=torch.float64)
    before = model.net(x, t)
    for j in range(1, L):
        changed = x.clone()
        changed[:, j] = (x[:, j] + 1) % V
        moved = (model.net(changed, t) - before).abs().amax((0, 2)) > 1e-12
        assert moved[j + 1 :].all() and moved[j] == (not model.hollow)
        assert moved[:j].any() == (not model.causal)


@cells
def test_the_network_hears_the_time_where_the_paradigm_says_so(name, network):
    model, x = random_model(name, network=network), tokens(1)
    early, late = (model.net(x, torch.full((1,), t, dtype=torch.float64)) for t in (0.1, 0.9))
    assert ((early - late).abs().max() > 1e-6) == model.timed


@cells
def test_bounds_are_nats_of_each_row_and_rows_do_not_mix(name, network):
    model, x = random_model(name, network=network), tokens(6)
    nats = model.nll_bound(x, generator())
    assert nats.shape == (6,) and (nats > 0).all() and nats.isfinite().all()
    if model.exact:
        assert torch.allclose(model.nll_bound(x[2:3]), nats[2:3], rtol=1e-12)


@cells
def test_more_draws_agree_with_fewer(name, network):
    """The bound is an average: 4 x 300 draws and 300 x 4 draws estimate the same number."""
    model, x = random_model(name, network=network), tokens(1, length=6)
    many = model.nll_bound(x.expand(300, -1), generator(1), num_samples=4)
    few = model.nll_bound(x.expand(300, -1), generator(2), num_samples=1)
    error = (many.var() / 300 + few.var() / 300).sqrt()
    assert (many.mean() - few.mean()).abs() <= 4 * error + 1e-9
    assert many.std() <= few.std() + 1e-9


@cells
def test_conditionals_are_distributions_and_do_not_look_at_the_answer(name, network):
    model, x = random_model(name, network=network), tokens(3)
    for i in (0, 4, -1):
        changed = x.clone()
        changed[:, i] = (x[:, i] + 3) % V
        log_p = model.conditional(x, i, generator(5))
        assert torch.allclose(log_p.exp().sum(-1), torch.ones(3, dtype=torch.float64))
        assert torch.allclose(log_p, model.conditional(changed, i, generator(5)), atol=1e-9)


@cells
def test_the_recipe_builds_the_same_model_again(name, network):
    model = build(name, V, network=network, **SMALL)
    twin = build(**model.recipe)
    for a, b in zip(model.parameters(), twin.parameters(), strict=True):
        assert torch.equal(a, b)


@cells
def test_the_global_generator_is_neither_seeded_nor_read(name, network):
    before = torch.get_rng_state()
    model = build(name, V, network=network, **SMALL)
    model.loss(tokens(2), generator())
    model.nll_bound(tokens(2), generator())
    model.sample(1, 5, generator())
    assert torch.equal(before, torch.get_rng_state())


@cells
def test_the_loss_of_a_batch_is_made_of_the_terms_of_its_parts(name, network):
    """Of any split of the rows; and what they are divided by is none of the network's business."""
    model, x = random_model(name, network=network), tokens(6)
    drawn = model.noise(x, generator())
    assert all(len(tensor) == 6 for tensor in drawn)
    total, weight = model.loss_terms(x, *drawn)
    close = dict(rel=1e-12)
    assert (total / weight).item() == pytest.approx(model.loss(x, generator()).item(), **close)
    for rows in ([0], [1, 2, 3], [4, 5]), ([5, 0, 3], [2, 4, 1]):
        parts = [model.loss_terms(x[part], *(tensor[part] for tensor in drawn)) for part in rows]
        totals, weights = zip(*parts, strict=True)
        assert float(sum(totals)) == pytest.approx(float(total), **close)
        assert float(sum(weights)) == pytest.approx(float(weight), **close)
    other, same = perturb_(model, 0.3).loss_terms(x, *drawn)
    assert other != total and same == weight


def test_a_batch_in_which_nothing_pays_costs_nothing():
    model, x = random_model("diffusion", network="transformer"), tokens(2)
    model.noise = lambda x, generator: (torch.zeros(2, dtype=torch.float64), x)
    assert model.loss(x) == 0


def test_matching_leaves_depth_and_width_alone_where_the_mlp_can_make_up_for_it():
    sizes = dict(n_layer=2, n_embd=64, block_size=32)
    target = parameters(build("ar", 32, **sizes))
    for name in ("diffusion", "flow"):
        recipe = matched(name, 32, target, **sizes).recipe
        assert (recipe["n_layer"], recipe["n_embd"]) == (2, 64) and recipe["n_inner"] > 0


@pytest.mark.parametrize("vocab_size", [65, 500])
def test_presets_have_equal_size_once_matched(vocab_size):
    target = parameters(build("ar", vocab_size))
    for name in PRESETS:
        model = matched(name, vocab_size, target)
        assert abs(parameters(model) / target - 1) <= 0.02
        logits = model.net(torch.zeros(1, 2, dtype=torch.long), torch.zeros(1))
        assert logits.shape == (1, 2, vocab_size + model.extra_symbols)


def test_ar_continues_past_its_block_from_the_last_half_of_it():
    model = random_model("ar")
    seen = []
    step = model.net.step
    model.net.step = lambda z, state: seen.append(z.shape[1]) or step(z, state)
    text = model.sample(2, 40, generator(), prompt=[1] * 5)
    assert text.shape == (2, 40)
    # the start and the prompt; then one by one until the block is full; then half a block anew
    assert seen[: L - 5 + 1] == [6] + [1] * (L - 6) + [1 + L // 2]
    assert max(seen) <= L


@presets
@pytest.mark.parametrize("n, length", [(0, 4), (-1, 4), (2, 0), (2, -1)])
def test_no_text_is_refused_in_a_sentence(name, n, length):
    with pytest.raises(InputError, match="of 1 or more|ask for more"):
        random_model(name).sample(n, length, generator())


@presets
@pytest.mark.parametrize("vocab_size", [0, -1])
def test_a_model_of_no_symbols_is_refused(name, vocab_size):
    with pytest.raises(InputError, match=f"vocab_size is {vocab_size}"):
        build(name, vocab_size)
