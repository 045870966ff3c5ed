"""Proof that the laws bite: each planted fault is a small change of the live source, and a named
law fails on it. A mutant that survives is a missing law."""

import importlib
import inspect

import laws
import pytest
import test_automaton
import test_block
import test_categorical
import test_contract
import test_decoding
import test_mdlm
import test_networks
import test_schedules
import test_selective_scan
import torch
from helpers import mutate

from nanoparadigm.decoding import autoregressive, blocks, categorical, masked, uniform
from nanoparadigm.language import automaton
from nanoparadigm.networks import selective_scan
from nanoparadigm.networks.hollow import Hollow
from nanoparadigm.networks.mamba import Mixer
from nanoparadigm.networks.transformer import Attention, Cache, Streams, Transformer
from nanoparadigm.paradigms import (
    Autoregressive,
    DiscreteFlow,
    MaskedDiffusion,
    schedules,
)
from nanoparadigm.paradigms.block import BlockByBlock, BlockDiffusion
from nanoparadigm.studies.schedules import bounds


def scan_law(form):
    return lambda: test_selective_scan.test_equals_the_loop_in_float64(
        test_selective_scan.FORMS[form], 37, False
    )


def causality(name):
    return lambda: test_contract.test_causality_is_what_the_paradigm_claims(name, None)


def parts(name):
    law = test_contract.test_the_loss_of_a_batch_is_made_of_the_terms_of_its_parts
    return lambda: law(name, "transformer")


def block_law(law, *arguments):
    return lambda: getattr(test_block, law)(*arguments)


def block_mean(block_length):
    return block_law("test_the_estimate_has_the_mean_of_the_bound", block_length)


def block_loss(block_length):
    return block_law("test_the_loss_is_the_mean_over_blocks_of_what_the_bound_weighs", block_length)


def block_sampler(block_length):
    law = "test_the_sampler_has_its_law"
    return block_law(law, block_length, dict(sampler="first_hitting"))


def streams():
    test_block.test_two_streams_give_the_logits_of_a_pass_for_each_block(5, 4)


def flow_is_tight():
    laws.flow_bound_is_tight_with_the_posterior(every=40)


BERNOULLI = """u = torch.rand(len(x), 1, dtype=torch.float64, generator=generator)
    masked = torch.rand(x.shape, dtype=torch.float64, generator=generator) < u
    ce = self.cross_entropy(x, torch.where(masked, self.mask_id, x), u.squeeze(-1))
    """

# name: function, what its source says, what the mutant says, the law that must fail
MUTANTS = {
    "no weight": (
        MaskedDiffusion.integrand,
        "return self.schedule.weight(t).to(ce.dtype)[:, None] * ce",
        "return ce",
        laws.masked_integrand_is_tight_with_the_posterior,
    ),
    "weight 1 / (1 - t)": (
        MaskedDiffusion.integrand,
        "self.schedule.weight(t)",
        "(1 / (1 - t))",
        laws.masked_integrand_is_tight_with_the_posterior,
    ),
    "wrong sign of the derivative": (
        DiscreteFlow.integrand,
        "-schedule.dalpha(t)",
        "schedule.dalpha(t)",
        flow_is_tight,
    ),
    "batch-pooled mean": (
        MaskedDiffusion.nll_bound,
        "(B, L), total = x.shape, torch.zeros(())",
        BERNOULLI + "return (x.shape[1] * ce.sum() / masked.sum()).expand(len(x))",
        laws.masked_estimate_is_right,
    ),
    "missing (L + 1) / L": (
        MaskedDiffusion.nll_bound,
        "(B, L), total = x.shape, torch.zeros(())",
        BERNOULLI + "return x.shape[1] * ce.sum(1) / masked.sum(1).clamp(min=1)",
        laws.masked_estimate_is_right,
    ),
    "mask counts one too low": (
        MaskedDiffusion.nll_bound,
        ".ceil()",
        ".floor()",
        laws.masked_estimate_is_right,
    ),
    "every token pays, not only the masked": (
        MaskedDiffusion.nll_bound,
        "ce = self.cross_entropy(x, z, k.squeeze(-1) / L)",
        "ce = self.net(z)[..., : self.vocab_size].log_softmax(-1)"
        ".gather(-1, x[..., None]).squeeze(-1).neg()",
        laws.masked_estimate_is_right,
    ),
    "mask logit allowed": (
        MaskedDiffusion.log_probs,
        "self.net(z, noise_level)[..., : self.vocab_size].log_softmax(-1)",
        "self.net(z, noise_level).log_softmax(-1)[..., : self.vocab_size]",
        laws.masked_bound_holds_for_any_network,
    ),
    "no carry-over": (
        MaskedDiffusion.log_probs,
        "torch.where(visible, torch",
        "torch.where(visible & False, torch",
        laws.masked_bound_is_tight_with_the_posterior,
    ),
    "masks the survivors": (
        MaskedDiffusion.corrupt,
        "u < survive",
        "u > survive",
        test_mdlm.test_corruption_masks_at_the_rate_of_the_schedule,
    ),
    "hides the survivors": (
        bounds.hide,
        "noise < u",
        "noise > u",
        laws.clipped_estimate_has_its_terms,
    ),
    "a singular weight, and times that are uniform": (
        bounds.nelbo,
        "ce = model.cross_entropy(x, z, s**2).sum(-1)",
        "t = torch.rand(len(x), generator=generator, dtype=s.dtype).clamp(1e-12, 1 - 1e-12)\n"
        "        ce = model.integrand(x, model.corrupt(x, t, generator), t).sum(-1)\n"
        "        ce = ce * s / 2 / (high - low)",
        laws.nelbo_has_an_honest_error,
    ),
    "clipped schedule without its prior": (
        bounds.nelbo,
        "model.schedule.alpha1 * x.shape[1] * math.log(model.vocab_size)",
        "0.0",
        laws.clipped_estimate_has_its_terms,
    ),
    "clipped schedule without its reconstruction": (
        bounds.nelbo,
        "if u0 > 0:",
        "if False:",
        laws.clipped_estimate_has_its_terms,
    ),
    "reveals t - s instead of (t - s) / t": (
        masked.Ancestral.__call__,
        "(alpha_s - (1 - sigma) * alpha_t) / (1 - alpha_t)",
        "(alpha_s - alpha_t)",
        laws.ancestral_samples_its_own_law,
    ),
    "reveals everything at once": (
        masked.Ancestral.__call__,
        "(alpha_s - (1 - sigma) * alpha_t) / (1 - alpha_t)",
        "1.0",
        laws.ancestral_samples_its_own_law,
    ),
    "last step leaves masks": (
        masked.Ancestral.__call__,
        "torch.linspace(1, 0,",
        "torch.linspace(1, 0.02,",
        laws.ancestral_samples_its_own_law,
    ),
    "time reversed in sampling": (
        masked.Ancestral.__call__,
        "pairwise(model.sampling_schedule.alpha(t))",
        "pairwise(1 - model.sampling_schedule.alpha(t))",
        laws.ancestral_samples_its_own_law,
    ),
    "visible tokens masked again": (
        masked.Ancestral.__call__,
        "yield z",
        "yield z\n"
        "        z = torch.where(torch.rand(z.shape, generator=generator) < 0.1, model.mask_id, z)",
        laws.ancestral_samples_its_own_law,
    ),
    "takes words back and reveals no more for it": (
        masked.Ancestral.__call__,
        "(alpha_s - (1 - sigma) * alpha_t)",
        "(alpha_s - alpha_t)",
        laws.remasking_samples_its_own_law,
    ),
    "reveals one more than its share": (
        masked.Ordered.choose,
        "rank < count",
        "rank <= count",
        laws.every_order_with_the_posterior_draws_the_language,
    ),
    "gives a token the word of another": (
        masked.Ordered.choose,
        "logits[revealed[masked]]",
        "logits[revealed[masked].flip(0)]",
        laws.left_to_right_samples_the_chain_rule,
    ),
    "later words seen from the left": (
        masked.left_to_right_nll,
        "z[:, i:]",
        "z[:, i : i + 1]",
        laws.left_to_right_has_a_likelihood,
    ),
    "a block changes when it is finished": (
        blocks.in_blocks,
        "known[:, start:end] = True",
        "known[:, start:end] = (torch.arange(start, end) % 2 == 0)",
        lambda: test_decoding.test_a_finished_block_never_changes("diffusion", 12, 3),
    ),
    "a block sees nothing after it": (
        blocks.window,
        "after = min(given, max(room // 2, room - start))",
        "after = 0",
        lambda: test_decoding.test_the_text_after_a_gap_is_in_sight("flow"),
    ),
    "corrects without noise": (
        uniform.gibbs_step,
        "+ (1 - alpha) / theta.shape[-1]",
        "",
        laws.correcting_leaves_the_noisy_law_as_it_is,
    ),
    "corrects with too little noise left": (
        uniform.Ancestral.__call__,
        "theta(model, z, b, draw), b, generator",
        "theta(model, z, a, draw), a, generator",
        laws.corrected_samples_its_own_law,
    ),
    "candidates ranked by all their words": (
        autoregressive.infill_by_ranking,
        "len(prefix) if greedy else filled",
        "len(prefix)",
        laws.candidates_are_drawn_by_what_follows,
    ),
    "always reveals the first mask": (
        masked.FirstHitting.__call__,
        "torch.where(masked, uniform(z, generator), -1.0)",
        "torch.where(masked, 1.0, -1.0)",
        laws.first_hitting_samples_the_random_order_law,
    ),
    "argmax instead of sampling": (
        categorical.sample_categorical,
        "cdf = p.cumsum(-1)",
        "return p.argmax(-1)",
        laws.ar_samples_the_language,
    ),
    "Gumbel noise in float32": (
        categorical.sample_categorical,
        "cdf = p.cumsum(-1)",
        "u = torch.rand(p.shape, generator=generator)\n"
        "    return (p.log().float() - (-u.log()).log()).argmax(-1)",
        test_categorical.test_the_tail_is_reached,
    ),
    "probabilities in float32": (
        categorical.Categorical.probabilities,
        "logits.double()",
        "logits.float()",
        test_categorical.test_the_tail_keeps_its_share,
    ),
    "time reversed in the network": (
        DiscreteFlow.leave_one_out,
        "1 - alpha",
        "alpha",
        flow_is_tight,
    ),
    "copy logit forgotten": (
        DiscreteFlow.posterior,
        "return f.scatter_add(-1, z[..., None], copy_logit.expand(*z.shape, 1))",
        "return f",
        laws.flow_posterior_is_the_exact_one,
    ),
    "copy logit at the wrong alpha": (
        DiscreteFlow.posterior,
        "self.likelihood_ratio(alpha)",
        "self.likelihood_ratio(1 - alpha)",
        laws.flow_posterior_is_the_exact_one,
    ),
    "posterior where leave-one-out belongs": (
        DiscreteFlow.integrand,
        "self.leave_one_out(z, alpha)",
        "self.posterior(z, alpha)",
        flow_is_tight,
    ),
    "mask counted in the vocabulary": (
        DiscreteFlow.likelihood_ratio,
        "self.vocab_size",
        "(self.vocab_size + 1)",
        flow_is_tight,
    ),
    "density of the times left out": (
        DiscreteFlow.nll_bound,
        "2 * s * (1 - low) * self.integrand",
        "self.integrand",
        laws.flow_estimate_is_right,
    ),
    "an integral that is cut, and nothing in the place of what is cut": (
        DiscreteFlow.nll_bound,
        "total / num_samples + self.end_term(x, z, alpha).sum(-1)",
        "total / num_samples",
        laws.flow_bound_holds_where_the_network_is_sure_and_wrong,
    ),
    "decoded without the copy logit": (
        DiscreteFlow.end_term,
        "self.posterior(z, alpha)",
        "self.leave_one_out(z, alpha)",
        laws.flow_bound_stops_at_no_cost,
    ),
    "decoded from another noise level than the integral's end": (
        DiscreteFlow.nll_bound,
        "alpha = torch.full((len(x),), 1 - end,",
        "alpha = torch.full((len(x),), 1 - end**0.5,",
        laws.flow_bound_holds_where_the_network_is_sure_and_wrong,
    ),
    "times as if nothing were cut": (
        DiscreteFlow.nll_bound,
        "2 * s * (1 - low)",
        "2 * s",
        laws.flow_bound_holds_where_the_network_is_sure_and_wrong,
    ),
    "posterior in the reversal": (
        uniform.theta,
        "model.leave_one_out(z,",
        "model.posterior(z,",
        laws.flow_samples_its_own_law,
    ),
    "reversal without Bayes": (
        uniform.posterior_step,
        "K * a * theta * here +",
        "",
        laws.flow_sampling_with_the_posterior_draws_the_language,
    ),
    "Euler from leave-one-out": (
        uniform.euler_step,
        "theta * (1 + K * a / (1 - a) * here)",
        "theta",
        lambda: laws.flow_sampling_with_the_posterior_draws_the_language(sampler="euler"),
    ),
    "shift missing": (
        Autoregressive.logits,
        "torch.cat([bos, x[:, :-1]], dim=1)",
        "x",
        laws.ar_is_exact_with_the_posterior,
    ),
    "a reader that sees the token": (
        Hollow.shifted,
        "F.pad(z[:, :-1], (1, 0), value=self.start)",
        "z",
        causality("diffusion"),
    ),
    "the right reader not turned back": (
        Hollow.forward,
        "self.right.hidden(self.shifted(z.flip(1)), t).flip(1)",
        "self.right.hidden(self.shifted(z.flip(1)), t)",
        causality("flow"),
    ),
    "only masked tokens pay, unweighted, in a loss called the bound": (
        MaskedDiffusion.loss_terms,
        "torch.ones_like(z, dtype=torch.bool) if self.hollow else z == self.mask_id",
        "z == self.mask_id",
        laws.hollow_masked_loss_is_the_bound,
    ),
    "a target that the network sees": (
        DiscreteFlow.loss_terms,
        "if self.hollow else self.posterior(z, alpha)",
        "if True else None",
        laws.flow_loss_rewards_no_copying,
    ),
    "a mean over the masked tokens of a part for a sum": (
        MaskedDiffusion.loss_terms,
        'reduction="sum"), target.sum()',
        'reduction="mean"), 1',
        parts("diffusion"),
    ),
    "rows weighed within their part": (
        DiscreteFlow.loss_terms,
        "ce @ alpha, alpha.sum()",
        "ce @ alpha / alpha.sum() * len(x), len(x)",
        parts("flow"),
    ),
    "causal mask off by one": (
        Attention.forward,
        "attn_mask=mask, is_causal=causal",
        "attn_mask=torch.ones(L, L, dtype=torch.bool).tril(1) if causal else mask",
        causality("ar"),
    ),
    "cache forgets a token": (
        Cache.append,
        "self.length] = k",
        "self.length] = k * (start > 0)",
        lambda: test_networks.test_steps_equal_the_parallel_pass("ar", [5, 1, 1, 5]),
    ),
    "positions start anew at every step": (
        Attention.forward,
        "self.turns[start : start + L]",
        "self.turns[:L]",
        lambda: test_networks.test_steps_equal_the_parallel_pass("ar", [5, 1, 1, 5]),
    ),
    "a cache that shows what comes later": (
        Cache.mask,
        "self.length - n",
        "self.length - n + 1",
        lambda: test_networks.test_steps_equal_the_parallel_pass("ar", [5, 1, 1, 5]),
    ),
    "a block sees itself clean": (
        Streams.__init__,
        "[~inside, inside]",
        "[inside, inside]",
        streams,
    ),
    "a block does not see the clean text": (
        Streams.append,
        "v[:C].repeat(times)",
        "v * 0",
        streams,
    ),
    "a convolution that reaches for noisy neighbours": (
        Transformer.two_streams,
        "e[:C, k : k + L]",
        "e[C:, k : k + L]",
        streams,
    ),
    "a block that begins behind a noisy token": (
        Hollow.behind,
        "torch.where(first, clean, z)",
        "z",
        streams,
    ),
    "blocks of the right reader counted from its end": (
        Hollow.forward,
        "place.flip(0)",
        "place",
        streams,
    ),
    "noisy text before a block": (
        BlockDiffusion.loss_terms,
        "[(x, masks[:1], place)]",
        "[(noisy, masks[:1], place)]",
        lambda: test_block.test_the_loss_of_all_blocks_is_the_sum_over_each(5),
    ),
    "one block learned from where all could be": (
        BlockDiffusion.loss_terms,
        'getattr(self.net, "blockwise", False)',
        "False",
        lambda: test_block.test_the_loss_of_all_blocks_is_the_sum_over_each(5),
    ),
    "scan operator swapped": (
        selective_scan.scan_log_depth,
        "a[:, :, shift:] * b[:, :, :-shift] + b[:, :, shift:]",
        "a[:, :, :-shift] * b[:, :, shift:] + b[:, :, :-shift]",
        scan_law("log depth"),
    ),
    "reverse scan not shifted": (
        selective_scan.BlockedScan.backward,
        "decays[i + 1]",
        "decays[i]",
        scan_law("blocked"),
    ),
    "states of a block start from zero": (
        selective_scan.BlockedScan.forward,
        "advance(a, x, h[block])",
        "advance(a, x, h[0] * 0)",
        lambda: small_blocks(scan_law("blocked")),
    ),
    "softplus missing": (
        selective_scan.selective_scan,
        "F.softplus(delta)",
        "delta",
        test_selective_scan.test_the_options_are_what_they_say,
    ),
    "convolution not causal": (
        Mixer.forward,
        "torch.cat([before, x])",
        "torch.cat([x, before])",
        causality("mamba"),
    ),
    "state leaks between sequences": (
        Mixer.forward,
        "self.out_proj(y)",
        "self.out_proj(y + y.mean(1, keepdim=True))",
        lambda: test_networks.test_states_do_not_leak_between_the_rows_of_a_batch("mamba"),
    ),
    "step and parallel pass apart by one token": (
        Mixer.forward,
        "padded[len(h) :]",
        "padded[: len(padded) - len(h)]",
        lambda: test_networks.test_steps_equal_the_parallel_pass("mamba", [5, 1, 1, 5]),
    ),
    "entropy in bits": (
        automaton.entropy,
        "torch.special.xlogy(p, p)",
        "(torch.special.xlogy(p, p) / 0.6931471805599453)",
        test_automaton.test_entropy_is_the_sum_over_all_texts,
    ),
    "stationary instead of start": (
        automaton.Automaton.occupancy,
        "torch.eye(len(self.P), dtype=torch.float64)[0]",
        "torch.full_like(self.P[:, 0], 1 / len(self.P))",
        test_automaton.test_entropy_is_the_sum_over_all_texts,
    ),
    "a neighbour's word seen in leave-one-out": (
        automaton.Automaton._forward_backward,
        "forward[i][self.source].mul_(onward)",
        "forward[i][self.source].mul_(onward).mul_(evidence[i][self.word])",
        test_automaton.test_leave_one_out_leaves_one_out,
    ),
    "times not stratified": (
        schedules.stratified_times,
        "torch.arange(n, dtype=torch.float64, device=device) + u",
        "n * u",
        lambda: test_schedules.test_stratified_times_put_one_in_each_part(64),
    ),
    "mask rate of another time": (
        MaskedDiffusion.corrupt,
        "self.schedule.alpha(t)",
        "self.schedule.alpha(t**2)",
        test_mdlm.test_corruption_masks_at_the_rate_of_the_schedule,
    ),
    "every block one token early": (
        BlockDiffusion.block,
        "torch.arange(x.shape[1], device=x.device)",
        "torch.arange(1, x.shape[1] + 1, device=x.device)",
        block_mean(2),
    ),
    "the last block never chosen": (
        BlockDiffusion.block,
        "(int(place[-1]) + 1)",
        "max(int(place[-1]), 1)",
        block_mean(2),
    ),
    "the block itself among the later ones": (
        BlockDiffusion.block,
        "place > mine",
        "place >= mine",
        block_mean(2),
    ),
    "the next block in sight": (
        BlockDiffusion.block,
        "place > mine",
        "place > mine + 1",
        block_mean(1),
    ),
    "trained with the later blocks clean": (
        BlockDiffusion.loss_terms,
        "torch.where(later, masks, torch.where(inside, noisy, x))",
        "torch.where(inside, noisy, x)",
        block_loss(2),
    ),
    "trained with the earlier blocks as noisy as its own": (
        BlockDiffusion.loss_terms,
        "torch.where(inside, noisy, x)",
        "noisy",
        block_loss(2),
    ),
    "early blocks trained at early times": (
        BlockDiffusion.noise,
        "return *super().noise(x, generator), "
        "stratified_uniform(0, 1, len(x), generator, x.device)",
        "t, z = super().noise(x, generator)\n    return t, z, t",
        block_law("test_the_loss_of_a_hollow_network_is_the_bound_per_token", 2),
    ),
    "later blocks pay in training": (
        BlockDiffusion.loss_terms,
        "inside & (z == self.mask_id)",
        "z == self.mask_id",
        block_loss(2),
    ),
    "only masked tokens of a block pay in a loss called the bound": (
        BlockDiffusion.loss_terms,
        "inside if self.hollow else ",
        "",
        block_law("test_the_loss_of_a_hollow_network_is_the_bound_per_token", 4),
    ),
    "the mask among the predictions of a block": (
        BlockDiffusion.loss_terms,
        "[:, : self.vocab_size]",
        "",
        block_loss(3),
    ),
    "a bound of one block for that of all": (
        BlockDiffusion.nll_bound,
        "blocks * inside.sum(-1) / k",
        "inside.sum(-1) / k",
        block_mean(2),
    ),
    "a short last block weighed as a whole one": (
        BlockDiffusion.nll_bound,
        "blocks * inside.sum(-1) / k",
        "blocks * self.block_length / k",
        block_mean(3),
    ),
    "a short last block not counted": (
        BlockDiffusion.nll_bound,
        "-(-x.shape[1] // self.block_length)",
        "x.shape[1] // self.block_length",
        block_mean(3),
    ),
    "mask counts of a block one too low": (
        BlockDiffusion.nll_bound,
        ".ceil()",
        ".floor()",
        block_mean(4),
    ),
    "as many masks as the block comes late": (
        BlockDiffusion.nll_bound,
        "u * blocks % 1 *",
        "u *",
        block_mean(2),
    ),
    "masks counted in the block and drawn from all of the text": (
        BlockDiffusion.nll_bound,
        "torch.where(inside, torch.rand(B, L, device=x.device, generator=generator), 2.0)",
        "torch.rand(B, L, device=x.device, generator=generator)",
        block_mean(2),
    ),
    "a bound that reads the later blocks": (
        BlockDiffusion.nll_bound,
        " | later",
        "",
        block_mean(2),
    ),
    "a bound in which the later blocks pay": (
        BlockDiffusion.nll_bound,
        "(ce * inside)",
        "ce",
        block_mean(2),
    ),
    "two blocks drawn as one": (
        BlockByBlock.__call__,
        "range(S, L + S, S)",
        "range(2 * S, L + 2 * S, S)",
        block_sampler(2),
    ),
    "a short last block never drawn": (
        BlockByBlock.__call__,
        "range(S, L + S, S)",
        "range(S, L + 1, S)",
        block_law("test_the_steps_are_shared_by_the_blocks", 3),
    ),
    "all steps in every block": (
        BlockByBlock.__call__,
        "-(-steps // len(ends))",
        "steps",
        block_law("test_the_steps_are_shared_by_the_blocks", 2),
    ),
    "steps for a block without a gap": (
        BlockByBlock.__call__,
        " if not known[:, end - S : end].all()",
        "",
        block_law("test_what_is_given_takes_no_steps"),
    ),
    "steps of a block rounded down": (
        BlockByBlock.__call__,
        "-(-steps // len(ends))",
        "steps // len(ends)",
        block_law("test_the_steps_are_shared_by_the_blocks", 1),
    ),
    "a block drawn by the logits of the last one": (
        BlockByBlock.__call__,
        "F.pad(where, (0, rest.shape[1]))",
        "F.pad(where, (rest.shape[1], 0))",
        block_sampler(2),
    ),
    "what is given after a block not seen": (
        BlockByBlock.__call__,
        "torch.cat([z, rest], 1)",
        "torch.cat([z, torch.full_like(rest, model.mask_id)], 1)",
        block_law("test_tokens_given_anywhere_are_seen_from_the_first_block_on"),
    ),
    "what is given after a block overwritten": (
        BlockByBlock.__call__,
        "torch.cat([state, z[:, end:]], dim=1)",
        "torch.cat([state, torch.full_like(z[:, end:], model.mask_id)], dim=1)",
        lambda: test_contract.test_what_is_known_stays_and_no_blank_survives("block", None, {}, 2),
    ),
    "what is given masked again": (
        BlockByBlock.__call__,
        "known[:, :end], share",
        "known[:, :end] & False, share",
        lambda: test_decoding.test_every_decoding_keeps_the_contract_at_any_length(
            "block", "remasking", 3
        ),
    ),
    "a finished block masked again": (
        BlockByBlock.__call__,
        "known[:, :end] = True",
        "pass",
        block_law(
            "test_blocks_are_drawn_from_left_to_right_and_what_is_drawn_stays", dict(eta=4.0)
        ),
    ),
    "finished blocks noted in the caller's own tensor": (
        BlockByBlock.__call__,
        "known.clone()",
        "known",
        block_law("test_blocks_are_drawn_from_left_to_right_and_what_is_drawn_stays", {}),
    ),
    "what is written noted in the caller's own tensor": (
        blocks.in_blocks,
        "known.clone()",
        "known",
        test_decoding.test_every_text_may_have_gaps_of_its_own,
    ),
    "a block wider than half of what the network reads": (
        blocks.in_blocks,
        "max(context // 2, 1)",
        "context",
        lambda: test_decoding.test_blocks_are_as_many_as_were_asked_for_and_nearly_alike(
            31, None, [6, 6, 6, 6, 6, 1]
        ),
    ),
    "a block one token wider than allowed": (
        blocks.cut,
        "i < gaps[0] + most",
        "i <= gaps[0] + most",
        lambda: test_decoding.test_blocks_are_as_many_as_were_asked_for_and_nearly_alike(
            31, None, [6, 6, 6, 6, 6, 1]
        ),
    ),
    "blocks that do not share what is left": (
        blocks.cut,
        "left - 1",
        "left",
        lambda: test_decoding.test_blocks_are_as_many_as_were_asked_for_and_nearly_alike(
            12, 5, [3, 3, 2, 2, 2]
        ),
    ),
    "the text before a gap not in sight": (
        blocks.window,
        "max(start - (room - after), 0)",
        "start",
        lambda: test_decoding.test_the_text_after_a_gap_is_in_sight("diffusion"),
    ),
    "a gap in some texts only": (
        blocks.gaps_of,
        ".any(0)",
        ".all(0)",
        test_decoding.test_every_text_may_have_gaps_of_its_own,
    ),
}


def small_blocks(law):
    before, selective_scan.BUFFER = selective_scan.BUFFER, 5 * 2 * 3 * 4
    try:
        law()
    finally:
        selective_scan.BUFFER = before


def holds(law):
    grad = "scan" in law.__module__ or law.__qualname__.startswith("scan_law")
    with torch.set_grad_enabled(grad or "small_blocks" in inspect.getsource(law)):
        law()


@pytest.mark.parametrize("name", MUTANTS)
def test_every_mutant_dies(name, monkeypatch):
    function, said, says, law = MUTANTS[name]
    holds(law)
    mutate(monkeypatch, function, said, says)
    with pytest.raises(AssertionError):
        holds(law)


def test_their_number_only_rises():
    """Here, and in the tables of faults outside the paradigms."""
    tables = dict(ruler=14, training=113, measuring=132, studies=126)
    assert len(MUTANTS) >= 101
    for name, least in tables.items():
        assert len(importlib.import_module(f"test_mutants_{name}").MUTANTS) >= least, name
