"""Proof that the laws bite: each planted fault is a small change of the live source, and a named
law fails on it. A mutant that survives is a missing law."""

import importlib
import inspect

import laws
import pytest
import test_automaton
import test_contract
import test_decoding
import test_masked
import test_networks
import test_sampling
import test_scan
import test_schedules
import torch
from helpers import mutate

from nanoparadigm.decoding import autoregressive, blocks, categorical, masked, uniform
from nanoparadigm.language import automaton
from nanoparadigm.networks import selective_scan
from nanoparadigm.networks.hollow import Hollow
from nanoparadigm.networks.mamba import Mixer
from nanoparadigm.networks.transformer import Attention, Cache
from nanoparadigm.paradigms import (
    Autoregressive,
    DiscreteFlow,
    MaskedDiffusion,
    schedules,
)
from nanoparadigm.studies.schedules import bounds


def scan_law(form):
    return lambda: test_scan.test_equals_the_loop_in_float64(test_scan.FORMS[form], 37, False)


def causality(name):
    return lambda: test_contract.test_causality_is_what_the_paradigm_claims(name, None)


def parts(name):
    law = test_contract.test_the_loss_of_a_batch_is_made_of_the_terms_of_its_parts
    return lambda: law(name, "transformer")


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
        test_masked.test_corruption_masks_at_the_rate_of_the_schedule,
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
        masked.Ordered.__call__,
        "rank < count",
        "rank <= count",
        laws.every_order_with_the_posterior_draws_the_language,
    ),
    "gives a token the word of another": (
        masked.Ordered.__call__,
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
        test_sampling.test_the_tail_is_reached,
    ),
    "probabilities in float32": (
        categorical.Categorical.probabilities,
        "logits.double()",
        "logits.float()",
        test_sampling.test_the_tail_keeps_its_share,
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
        "total / num_samples + self.decoding_nll(x, z, alpha).sum(-1)",
        "total / num_samples",
        laws.flow_bound_holds_where_the_network_is_sure_and_wrong,
    ),
    "decoded without the copy logit": (
        DiscreteFlow.decoding_nll,
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
        test_scan.test_the_options_are_what_they_say,
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
        test_masked.test_corruption_masks_at_the_rate_of_the_schedule,
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
    assert len(MUTANTS) >= 67
    for name, least in tables.items():
        assert len(importlib.import_module(f"test_mutants_{name}").MUTANTS) >= least, name
