"""Block diffusion lies between the chain rule and masked diffusion, and both ends are reached."""

import itertools
import math

import exact
import laws
import pytest
import torch
from helpers import generator, random_model

from nanoparadigm import InputError, build
from nanoparadigm.language import oracle
from nanoparadigm.paradigms.block import BlockDiffusion

V, L = 3, 4
WORLD = exact.texts(V, L)  # of 81 texts


def arbitrary(block_length, seed=0):
    """One over a random table: every state, masks included, has logits of its own."""
    return BlockDiffusion(exact.RandomTable(V + 1, V + 1, L, seed), V, block_length=block_length)


class LeftOut(torch.nn.Module):
    """A hollow network: what the one inside says of each token when that token is masked."""

    hollow = True

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, z, t=None):
        hidden = (torch.where(torch.arange(L) == i, V, z) for i in range(L))
        return torch.stack([self.net(each)[:, i] for i, each in enumerate(hidden)], 1)


def log_p(model, x, shown):
    """log p(x_i | the tokens shown) (n, L), every other token masked."""
    z = torch.where(shown, x, model.mask_id)
    return -model.cross_entropy(x, z, (~shown).double().mean().expand(len(x)))


def parts(model):
    """The blocks, as lists of positions."""
    S = model.block_length
    return [list(range(start, min(start + S, L))) for start in range(0, L, S)]


def upto(places):
    return torch.isin(torch.arange(L), torch.tensor(list(places), dtype=torch.long))


def bound(model, x):
    """Equation (3): the mean over numbers and sets of masks in every block, by enumeration."""
    total = 0.0
    for block in parts(model):
        for k in range(1, len(block) + 1):
            sets = list(itertools.combinations(block, k))
            for hidden in sets:
                shown = upto(range(block[0])) | (upto(block) & ~upto(hidden))
                total = total - log_p(model, x, shown)[:, hidden].sum(1) / k / len(sets)
    return total


def law(model, x):
    """log p(x) of the sampler: in every block one mask after another, in random order."""
    total = 0.0
    for block in parts(model):
        orders = list(itertools.permutations(block))
        paths = []
        for order in orders:
            shown, path = upto(range(block[0])), 0.0
            for i in order:
                path = path + log_p(model, x, shown)[:, i]
                shown = shown | upto([i])
            paths.append(path)
        total = total + torch.stack(paths).logsumexp(0) - math.log(len(orders))
    return total


@pytest.mark.parametrize("block_length", [1, 2, 3, 4, 9])
def test_the_bound_lies_above_every_text_of_the_world(block_length):
    model = arbitrary(block_length)
    laws.never_below(bound(model, WORLD), -law(model, WORLD))
    assert law(model, WORLD).exp().sum().item() == pytest.approx(1, abs=1e-9)


def test_blocks_of_one_token_are_the_chain_rule():
    model = arbitrary(1)
    chain = sum(log_p(model, WORLD, upto(range(i)))[:, i] for i in range(L))
    laws.close(law(model, WORLD), chain)
    laws.close(bound(model, WORLD), -chain)


def test_one_block_of_all_tokens_is_masked_diffusion():
    model, masked = arbitrary(L), exact.RandomTable(V + 1, V + 1, L)
    masked = laws.MaskedDiffusion(masked, V)
    laws.close(bound(model, WORLD), exact.masked_nelbo(masked, WORLD))
    laws.close(law(model, WORLD), exact.random_order_law(masked, WORLD))
    ours, theirs = (m.nll_bound(WORLD, generator(), num_samples=5) for m in (model, masked))
    assert torch.equal(ours, theirs)


@pytest.mark.parametrize("block_length", [1, 2, 3, 4])
def test_the_estimate_has_the_mean_of_the_bound(block_length):
    model, n = arbitrary(block_length, seed=3), 4000
    x = WORLD[[0, 17, 80]]
    found = model.nll_bound(x.repeat_interleave(n, 0), generator(), num_samples=3).view(3, n)
    error = found.std(1) / n**0.5
    assert ((found.mean(1) - bound(model, x)).abs() <= 4.5 * error + 1e-9).all()


@pytest.mark.parametrize("block_length", [1, 2, 3, 4])
@pytest.mark.parametrize("options", [dict(sampler="first_hitting"), dict(steps=400)], ids=str)
def test_the_sampler_has_its_law(block_length, options):
    model = arbitrary(block_length)
    n = 20_000 if "sampler" in options else 5000
    x = model.sample(n, L, generator(), **options)
    assert exact.fits(x, law(model, WORLD).exp())


@pytest.mark.parametrize("block_length", [1, 2, 5])
def test_with_the_posterior_it_draws_the_language_and_the_bound_is_its_entropy(block_length):
    model = oracle(BlockDiffusion, laws.TINY, block_length=block_length)
    assert exact.fits(model.sample(20_000, 5, generator(), steps=200), (-laws.NLL).exp())
    x, n = laws.TEXTS[::60], 1500
    found = model.nll_bound(x.repeat_interleave(n, 0), generator(), num_samples=5).view(len(x), n)
    error = found.std(1) / n**0.5
    assert ((found.mean(1) - laws.NLL[::60]).abs() <= 4.5 * error + 1e-9).all()


@pytest.mark.parametrize("block_length", [2, 3])
def test_the_loss_is_the_mean_over_blocks_of_what_the_bound_weighs(block_length):
    """Trained on with all masks of a block alike: the terms are those of its masked tokens."""
    model, x, given = arbitrary(block_length), WORLD[:40], []
    model.net.register_forward_hook(lambda net, inputs, logits: given.append(inputs[0]))
    t, noisy, u = model.noise(x, generator())
    total, weight = model.loss_terms(x, t, noisy, u)
    (z,) = given
    inside = torch.stack([upto(parts(model)[int(v * len(parts(model)))]) for v in u])
    masked = inside & (z == model.mask_id)
    ce = model.cross_entropy(x, z, 1 - t)
    assert total.item() == pytest.approx((ce * masked).sum().item())
    assert weight == masked.sum()
    place = torch.arange(L).expand_as(x)
    first, last = (
        f(torch.where(inside, place, s), 1) for f, s in ((torch.amin, L), (torch.amax, -1))
    )
    assert (z == x)[place < first[:, None]].all()
    assert (z == model.mask_id)[place > last[:, None]].all()


@pytest.mark.parametrize("block_length", [1, 2, 4])
def test_the_loss_of_a_hollow_network_is_the_bound_per_token(block_length, repeats=200, n=64):
    """All of the block are then targets, and blocks of one length count alike."""
    model = BlockDiffusion(LeftOut(arbitrary(block_length).net), V, block_length=block_length)
    for x in WORLD[[5, 44, 63]]:
        losses = [model.loss(x.expand(n, L), g) for g in map(generator, range(repeats))]
        losses = torch.stack(losses)
        error = losses.std() / repeats**0.5
        assert (losses.mean() - bound(model, x[None]) / L).abs() <= 4.5 * error + 1e-9


@pytest.mark.parametrize("options", BlockDiffusion.decodings.values(), ids=str)
def test_blocks_are_drawn_from_left_to_right_and_what_is_drawn_stays(options):
    model, nothing = arbitrary(2), torch.zeros(500, L, dtype=torch.bool)
    options = {key: value for key, value in options.items() if key != "blocks"}
    states = model.trajectory(nothing.long(), nothing, generator(), **{"steps": 8} | options)
    for (first, last), (then, _) in itertools.pairwise(z.split(2, 1) for z in states):
        begun = (last != model.mask_id).any(1)
        assert (first[begun] != model.mask_id).all() and (then[begun] == first[begun]).all()
    assert not nothing.any()


@pytest.mark.parametrize("block_length", [1, 2, 3])
def test_the_steps_are_shared_by_the_blocks(block_length, steps=6):
    model, nothing = arbitrary(block_length), torch.zeros(1, L, dtype=torch.bool)
    _, *states = model.trajectory(nothing.long(), nothing, generator(), steps=steps)
    share = math.ceil(steps / len(parts(model)))
    assert len(states) == share * len(parts(model)) and (states[-1] < V).all()


def test_what_is_given_takes_no_steps():
    """Where only the last of two blocks has a gap, that one takes all steps."""
    model, known = arbitrary(2), upto([0, 1]).expand(WORLD.shape)
    assert len(list(model.trajectory(WORLD, known, generator(), steps=6))) == 1 + 6
    assert len(list(model.trajectory(WORLD, known | True, generator(), steps=6))) == 1


def test_tokens_given_anywhere_are_seen_from_the_first_block_on():
    """One of two is given in each of two blocks: the other is drawn from left to right."""
    model, given = arbitrary(2), torch.tensor([V, 1, 2, V])
    known = given != V
    first, last = (log_p(model, WORLD, shown) for shown in (known, known | upto([0])))
    p = (first[:, 0] + last[:, 3]).exp() * (WORLD == given)[:, known].all(1)
    x = model.fill(given.tolist(), 20_000, generator(), sampler="first_hitting")
    assert exact.fits(x, p)


def hollow(block_length, **sizes):
    """One whose network reads all blocks in one pass, a text (3, 12), and its noise."""
    model = random_model("block", V, block_length=block_length, n_layer=4, **sizes)
    assert model.net.blockwise and model.block_length == block_length
    x = torch.randint(V, (3, 12), generator=generator())
    return model, x, model.noise(x, generator(1))


@pytest.mark.parametrize("block_length", [1, 2, 5, 8, 20])
@pytest.mark.parametrize("d_conv", [1, 4, 7])
def test_two_streams_give_the_logits_of_a_pass_for_each_block(block_length, d_conv):
    model, x, (t, z, _) = hollow(block_length, d_conv=d_conv)
    place, masks = torch.arange(12) // block_length, torch.full_like(x, model.mask_id)
    with torch.no_grad():
        once = model.net(z, t, (x, masks[:1], place))
        assert torch.equal(model.net(z, t, (x, masks, place)), once)
        for b in place.unique():
            alone = model.net(torch.where(place < b, x, torch.where(place > b, masks, z)), t)
            laws.close(once[:, place == b], alone[:, place == b])


@pytest.mark.parametrize("block_length", [1, 5, 8, 20])
def test_the_loss_of_all_blocks_is_the_sum_over_each(block_length):
    """So, for any noise, it is the mean over the random block times their number; its gradient,
    too."""
    model, x, (t, z, _) = hollow(block_length)

    @torch.enable_grad()
    def terms(u):
        total, weight = model.loss_terms(x, t, z, torch.full_like(t, u))
        return total, weight, *torch.autograd.grad(total, [*model.parameters()])

    once, blocks = terms(0.0), -(-12 // block_length)
    model.net.blockwise = False
    each = [terms((b + 0.5) / blocks) for b in range(blocks)]
    assert once[1] == x.numel() and (blocks == 1 or each[0][1] < x.numel())
    for whole, *some in zip(once, *each, strict=True):
        laws.close(whole, sum(some))


@pytest.mark.parametrize("network", ["transformer", "mamba", "hollow_mamba"])
def test_other_networks_learn_from_one_block_of_each_text(network):
    model = random_model("block", V, network=network, block_length=3)
    x = torch.randint(V, (8, 12), generator=generator())
    t, z, u = model.noise(x, generator(1))
    targets = (z == model.mask_id) | model.hollow
    assert model.loss_terms(x, t, z, u)[1] == targets.view(8, 4, 3)[range(8), (u * 4).long()].sum()


def test_a_length_of_a_block_is_a_whole_number_of_one_or_more():
    for wrong, said in (0, "block_length is 0: give 1 or more"), (2.5, "give a value of type int"):
        with pytest.raises(InputError, match=said):
            build("block", 5, block_length=wrong, n_layer=1, n_embd=8)
