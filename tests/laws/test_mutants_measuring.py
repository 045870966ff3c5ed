"""Faults planted in what measures, writes and shows: each dies by a test of value."""

from functools import partial
from importlib.util import find_spec

import laws
import pytest
import test_animation
import test_automaton
import test_categorical
import test_cost
import test_decoding
import test_decoding_likelihood
import test_evaluate
import test_figures
import test_flags
import test_model_diff
import test_ngram
import test_ruler
import test_scorers
import torch
from helpers import dies, patched

from nanoparadigm import evaluate
from nanoparadigm.commands import Compare, Evaluate, Infill, Sample, Visualize
from nanoparadigm.commands.sample import Decoding
from nanoparadigm.decoding import autoregressive, blocks, categorical, masked, uniform
from nanoparadigm.evaluate import decoding_likelihood, ngram
from nanoparadigm.language import automaton, grammar
from nanoparadigm.paradigms import Autoregressive, DiscreteFlow, MaskedDiffusion
from nanoparadigm.show import animation, figures, model_diff, shared_code
from nanoparadigm.studies.schedules import scorers


def accuracy_of(kind):
    law = test_ruler.test_with_the_exact_posterior_all_are_right_as_often_in_both_directions
    return partial(law, kind)


def speed(name):
    return partial(
        test_evaluate.test_the_speed_is_the_tokens_of_a_text_over_the_median_of_the_times, name
    )


def at_rest(what):
    return partial(test_evaluate.test_nothing_is_dropped_where_it_is_measured, what)


def on_cats(law):
    return lambda: law(test_evaluate.of_text("char"))


def constant(kind, way="temperature"):
    law = (
        test_categorical.test_sharpened_words_that_know_nothing_of_each_other_have_the_sharpened_law
    )
    return partial(law, kind, way)


def sharpened(kind, way):
    law = (
        test_categorical.test_a_sharpened_model_writes_what_a_model_of_sharpened_predictions_writes
    )
    return partial(law, kind, way)


def by_confidence(sharper=None, **options):
    law = test_categorical.test_an_order_by_confidence_has_its_own_law
    return partial(law, options, sharper or {})


def word_by_word(temperature=1.0, top_k=None, top_p=None):
    law = test_categorical.test_probabilities_are_those_worked_out_word_by_word
    return partial(law, temperature, top_k, top_p)


def in_blocks(length, blocks, sizes):
    law = test_decoding.test_blocks_are_as_many_as_were_asked_for_and_nearly_alike
    return partial(law, length, blocks, sizes)


def repair(**options):
    return partial(test_decoding.test_a_repair_draws_from_its_own_law, options)


def counting(order, length=None):
    return partial(test_ngram.test_equals_counting_by_hand, order, length)


def clock_of(name, template, **options):
    law = test_animation.test_the_clock_of_a_run_is_the_time_of_the_model_and_of_nothing_else
    return partial(law, name, template, options)


def facts(name):
    """Asked anew each time: the tests keep the answers."""

    def run():
        test_model_diff.answers.cache_clear()
        try:
            test_model_diff.test_the_answers_are_the_facts(name, None)
        finally:
            test_model_diff.answers.cache_clear()

    return run


def flag(command, name, flags):
    law = test_flags.test_the_flags_of_writing_reach_the_model
    ((*_, expected),) = [row for row in test_flags.WRITING if row[:2] == (name, flags)]
    return partial(law, command, name, flags, expected)


def named_mistakes():
    """With the language compiled anew, and as it was again afterwards."""
    grammar.compiled.cache_clear()
    try:
        for text, kind in (
            ("la a hen run .", "agreement"),
            ("la a hen swims .", "topic"),
            ("la a hen runs lo", "echo"),
            ("la hen runs .", "order"),
        ):
            words = grammar.language().words
            ids = torch.tensor([[words.index(word) for word in text.split()]])
            assert grammar.grammatical(ids)[0][0].kind == kind
    finally:
        grammar.compiled.cache_clear()


worth = test_ruler.test_texts_are_worth_what_their_mistakes_and_their_words_say
variety = test_ruler.test_variety_is_what_counting_with_dictionaries_says
distance = test_ruler.test_the_distance_to_the_truth_is_worked_out_from_windows_and_texts
way = test_ruler.test_a_way_of_writing_is_judged_by_all_its_texts_and_charged_for_each
table = test_ruler.test_every_number_of_a_model_stands_in_its_column
truth_table = test_ruler.test_every_distance_to_the_truth_stands_in_its_column
decoding_table = test_ruler.test_every_number_of_a_way_of_writing_stands_in_its_column
asked = patched(test_evaluate.test_what_measure_is_asked_reaches_what_measures)
candidates = test_decoding.test_candidates_are_weighed_by_all_that_follows
seams = test_decoding.test_a_long_text_of_a_short_memory_is_the_same_however_short_the_block
ranked = partial(
    test_decoding.test_candidates_of_a_long_text_are_ranked_by_what_the_network_reads_around_the_gap,
    1.0,
)
curves = test_figures.test_learning_curves_are_bits_over_tokens_and_over_seconds
points = test_figures.test_a_curve_and_its_point_are_drawn_where_they_are
measured = test_flags.test_the_flags_of_evaluate_reach_the_measurement
ways = test_flags.test_the_flags_of_evaluate_reach_the_ways_of_writing
BOTH = """\
forward=asdict(accuracy(model, data, -1, generator)),
        reverse=asdict(accuracy(model, data, 0, generator))"""

# name: function, what its source says, what the mutant says, the law that must fail
MUTANTS = {
    # ------------------------------------------------------------------------------ the ruler
    "forward and reverse accuracy swapped": (
        evaluate.measure,
        BOTH,
        BOTH.replace("-1", "1 - 1").replace(", 0,", ", -1,"),
        accuracy_of(MaskedDiffusion),
    ),
    "the reverse question answered from the left alone": (
        Autoregressive.conditional,
        "i % x.shape[1] == x.shape[1] - 1",
        "True",
        accuracy_of(Autoregressive),
    ),
    "a flow asked for a word gives the one before": (
        DiscreteFlow.conditional,
        "[:, i].log_softmax(-1)",
        "[:, i - 1].log_softmax(-1)",
        accuracy_of(DiscreteFlow),
    ),
    "positions a second for tokens a second": (
        evaluate.generation_speed,
        "length / median",
        "counted.positions / median",
        speed("flow"),
    ),
    "network calls a second for tokens a second": (
        evaluate.generation_speed,
        "length / median",
        "counted.calls / median",
        speed("diffusion"),
    ),
    "the fastest of the runs": (
        evaluate.generation_speed,
        "sorted(seconds[1:])[repeats // 2]",
        "min(seconds[1:])",
        speed("ar"),
    ),
    "the mean of the runs": (
        evaluate.generation_speed,
        "sorted(seconds[1:])[repeats // 2]",
        "sum(seconds[1:]) / repeats",
        speed("ar"),
    ),
    "the run that wakes the machine timed, and the last not": (
        evaluate.generation_speed,
        "seconds[1:]",
        "seconds[:-1]",
        speed("ar"),
    ),
    "dropout in the bound": (
        evaluate.window_nats,
        "model.eval()",
        "pass",
        at_rest("window_nats"),
    ),
    "dropout in the accuracy": (evaluate.accuracy, "model.eval()", "pass", at_rest("accuracy")),
    "dropout in the distance to the truth": (
        evaluate.ground_truth_metrics,
        "model.eval()",
        "pass",
        at_rest("ground_truth_metrics"),
    ),
    "dropout in the ways of writing": (
        evaluate.decoding_metrics,
        "model.eval()",
        "pass",
        at_rest("decoding_metrics"),
    ),
    "dropout in the speed": (
        evaluate.generation_speed,
        "model.eval()",
        "pass",
        at_rest("generation_speed"),
    ),
    "accuracy on the first windows": (
        evaluate.accuracy,
        "full[torch.linspace(0, len(full) - 1, min(n, len(full))).round().long()]",
        "full[:n]",
        on_cats(test_evaluate.test_accuracy_is_asked_of_windows_spread_over_the_split),
    ),
    "accuracy on windows that never reach the last": (
        evaluate.accuracy,
        "torch.linspace(0, len(full) - 1, min(n, len(full)))",
        "(torch.arange(min(n, len(full))) * (len(full) / min(n, len(full))))",
        on_cats(test_evaluate.test_accuracy_is_asked_of_windows_spread_over_the_split),
    ),
    "one draw whatever was asked for": (
        evaluate.window_nats,
        "num_samples=num_samples",
        "num_samples=1",
        on_cats(test_evaluate.test_as_many_draws_as_are_asked_for_are_taken),
    ),
    "logits of a text counted as those of a token": (
        evaluate.micro_batch_size,
        "MAX_LOGITS // (vocab_size * length)",
        "MAX_LOGITS // vocab_size",
        patched(test_evaluate.test_a_network_is_given_as_many_texts_as_its_logits_allow),
    ),
    "measure takes the usual draws": (
        evaluate.measure,
        "generator, num_samples, max_windows",
        "generator, max_windows=max_windows",
        asked,
    ),
    "the speed of the usual steps": (
        evaluate.measure,
        "data.length, generator, steps",
        "data.length, generator",
        asked,
    ),
    "samples of the usual steps against the truth": (
        evaluate.measure,
        "windows, generator, steps",
        "windows, generator",
        asked,
    ),
    "the error left in nats where the mean is in bits": (
        evaluate.bits_per_character,
        "nats.se / nats_per_bit(data)",
        "nats.se",
        asked,
    ),
    "characters a token for tokens a character": (
        evaluate.nats_per_bit,
        "math.log(2) * data.characters_per_token",
        "math.log(2) / data.characters_per_token",
        lambda: test_evaluate.test_one_bit_a_token_is_tokens_over_characters_in_bits_a_character(
            test_evaluate.of_text("bpe")
        ),
    ),
    # ---------------------------------------------------------------- the distance to the truth
    "excess of a text for that of a token": (
        evaluate.ground_truth_metrics,
        "(nats + truth.log_prob(x)) / data.length",
        "(nats + truth.log_prob(x))",
        distance,
    ),
    "excess over a truth that slips": (
        evaluate.ground_truth_metrics,
        "truth.log_prob(x)",
        "truth.log_prob(x, SLIP)",
        distance,
    ),
    "the sign of the excess": (
        evaluate.ground_truth_metrics,
        "(nats + truth.log_prob(x))",
        "(-nats - truth.log_prob(x))",
        distance,
    ),
    "the rate in the limit for the entropy of these texts": (
        evaluate.ground_truth_metrics,
        "truth.entropy(data.length) / data.length",
        "truth.entropy_rate()",
        distance,
    ),
    "samples against the truth in one step": (
        evaluate.ground_truth_metrics,
        "steps=steps",
        "steps=1",
        distance,
    ),
    "surprise without slips": (
        evaluate.sample_quality,
        "truth.log_prob(texts, SLIP)",
        "truth.log_prob(texts).clamp(min=-99)",
        worth,
    ),
    "surprise of a text": (evaluate.sample_quality, "SLIP) / texts.shape[1]", "SLIP)", worth),
    "mistakes a text for the share of texts with one": (
        evaluate.sample_quality,
        "float(bool(m))",
        "float(len(m))",
        worth,
    ),
    "kinds as shares of all mistakes": (
        evaluate.sample_quality,
        "kinds[kind] / len(texts)",
        "kinds[kind] / sum(kinds.values())",
        worth,
    ),
    "a kind counted once a text": (
        evaluate.sample_quality,
        "for mistake in mistakes)",
        "for mistake in {m.kind: m for m in mistakes}.values())",
        worth,
    ),
    "a wrong topic called a wrong number": (
        grammar.mistake,
        '("topic" if right_number else "agreement")',
        '("agreement" if right_number else "topic")',
        named_mistakes,
    ),
    "the sign of Miller and Madow in the entropy": (
        evaluate.sample_diversity,
        "entropy.mean + bias",
        "entropy.mean - bias",
        variety,
    ),
    "the sign of Miller and Madow in the divergence": (
        evaluate.sample_diversity,
        "divergence.mean - bias",
        "divergence.mean + bias",
        variety,
    ),
    "all of the bias of counting twice": (
        evaluate.sample_diversity,
        "(2 * n * L)",
        "(n * L)",
        variety,
    ),
    "an event too many in every state": (
        evaluate.sample_diversity,
        "(counts > 0).sum(1) - 1",
        "(counts > 0).sum(1)",
        variety,
    ),
    "states never met make the bias smaller": (
        evaluate.sample_diversity,
        ".clamp(min=0).sum()",
        ".sum()",
        variety,
    ),
    "the chance of a state and an event for that of the event in it": (
        evaluate.sample_diversity,
        "counts / counts.sum(1, keepdim=True)",
        "counts / counts.sum()",
        variety,
    ),
    "every mistake a price of its own": (
        evaluate.sample_diversity,
        "(true * ~right).sum(1, keepdim=True)",
        "(true * ~right).amax(1, keepdim=True)",
        variety,
    ),
    "variety in bits": (
        evaluate.sample_diversity,
        "Estimate.of(-log_p.mean(1))",
        "Estimate.of(-log_p.mean(1) / 0.6931471805599453)",
        variety,
    ),
    "calls a batch for calls a text": (
        evaluate.CountingNetwork.per_text,
        "self.rows / n",
        "self.calls / n",
        way,
    ),
    "positions a batch for positions a text": (
        evaluate.CountingNetwork.per_text,
        "self.positions / n",
        "self.positions / self.calls",
        way,
    ),
    "a batch counted as one text": (
        evaluate.CountingNetwork.count,
        "self.rows += len(z)",
        "self.rows += 1",
        test_cost.test_what_is_reported_is_a_mean_over_texts_and_not_over_batches,
    ),
    "what the first text cost charged to none": (
        evaluate.generation_speed,
        "per_text(repeats + 1)",
        "per_text(repeats)",
        patched(test_cost.test_compare_reports_the_runs_of_the_network_for_each_text, "flow"),
    ),
    "a text of a batch charged for the steps that reveal words of others": (
        MaskedDiffusion.denoise,
        "rows = where.any(-1)",
        "rows = torch.ones_like(where.any(-1))",
        partial(
            test_cost.test_a_text_is_charged_for_the_steps_that_reveal_something_of_it, "diffusion"
        ),
    ),
    "the last texts not written": (
        evaluate.decoding_metrics,
        " + [n % batch_size] * (n % batch_size > 0)",
        "",
        way,
    ),
    "a last batch as large as the others": (
        evaluate.decoding_metrics,
        "[n % batch_size] * (n",
        "[batch_size] * (n",
        way,
    ),
    "the usual steps in place of those of a way of writing": (
        evaluate.decoding_metrics,
        '{"steps": steps} | options',
        'options | {"steps": steps}',
        way,
    ),
    "all ways of writing from seed 0": (
        evaluate.decoding_metrics,
        "manual_seed(seed)",
        "manual_seed(0)",
        way,
    ),
    "the truth from seed 0": (
        evaluate.decoding_of_language,
        "manual_seed(seed)",
        "manual_seed(0)",
        test_ruler.test_the_truth_is_judged_by_as_many_texts_as_the_others,
    ),
    "a memory of a word less": (
        evaluate.reference_levels,
        "k_gram_entropy(k, data.length)",
        "k_gram_entropy(k - 1, data.length)",
        test_ruler.test_the_lines_to_hold_a_curve_against,
    ),
    "the floor of a text for that of a word": (
        evaluate.reference_levels,
        "truth.entropy(data.length) / data.length",
        "truth.entropy(data.length)",
        test_ruler.test_the_lines_to_hold_a_curve_against,
    ),
    # ------------------------------------------------------------------------------ the tables
    "the columns of forward and reverse swapped": (
        evaluate.table,
        '("forward", "reverse")',
        '("reverse", "forward")',
        table,
    ),
    "the columns of calls and positions swapped": (
        evaluate.table,
        '("tokens_per_second", "calls", "positions")',
        '("tokens_per_second", "positions", "calls")',
        table,
    ),
    "a bound for an exact number": (
        evaluate.truth_table,
        '"= " if row["exact"] else "<= "',
        '"<= " if row["exact"] else "= "',
        truth_table,
    ),
    "kinds of mistakes in another order than their heads": (
        evaluate.truth_table,
        "for kind in KINDS),",
        "for kind in sorted(KINDS)),",
        truth_table,
    ),
    "surprise and entropy of a way of writing swapped": (
        evaluate.decoding_table,
        '("surprise", "entropy")',
        '("entropy", "surprise")',
        decoding_table,
    ),
    "the entropy of a way of writing for its divergence": (
        evaluate.decoding_table,
        'row["divergence"]',
        'row["entropy"]',
        decoding_table,
    ),
    "positions for calls of a way of writing": (
        evaluate.decoding_table,
        '("calls", "positions")',
        '("positions", "calls")',
        decoding_table,
    ),
    "an error that is no percentage": (
        evaluate.with_error,
        "{se:{form",
        "{se / scale:{form",
        truth_table,
    ),
    # ------------------------------------------------------------- sharpening, for every paradigm
    "a temperature applied twice in masked diffusion": (
        masked.reveal,
        "draw(model.denoise(z, where, noise_level),",
        "draw(model.denoise(z, where, noise_level) / (draw.temperature or 1),",
        constant(MaskedDiffusion),
    ),
    "no top_k in masked diffusion": (
        masked.reveal,
        "draw(model",
        "type(draw)(draw.temperature, None, draw.top_p)(model",
        constant(MaskedDiffusion, "first_hitting"),
    ),
    "no top_p in masked diffusion": (
        masked.reveal,
        "draw(model",
        "type(draw)(draw.temperature, draw.top_k)(model",
        sharpened(MaskedDiffusion, "remasking"),
    ),
    "no top_p from left to right": (
        autoregressive.LeftToRight.__call__,
        "draw(logits",
        "type(draw)(draw.temperature, draw.top_k)(logits",
        sharpened(Autoregressive, "plain"),
    ),
    "a temperature applied twice from left to right": (
        autoregressive.LeftToRight.__call__,
        ": model.vocab_size],",
        ": model.vocab_size] / (draw.temperature or 1),",
        constant(Autoregressive),
    ),
    "a temperature applied twice in a flow": (
        uniform.theta,
        "alpha.expand(len(z)))",
        "alpha.expand(len(z))) / (draw.temperature or 1)",
        sharpened(DiscreteFlow, "euler"),
    ),
    "a nucleus of a token too few": (
        categorical.Categorical.probabilities,
        "ordered.cumsum(-1) - ordered < self.top_p",
        "ordered.cumsum(-1) < max(self.top_p, float(ordered[..., 0].max()) + 1e-9)",
        word_by_word(top_p=0.95),
    ),
    "a nucleus of a token too many": (
        categorical.Categorical.probabilities,
        "ordered.cumsum(-1) - ordered < self.top_p",
        "ordered.cumsum(-1) - ordered - ordered.roll(1, -1) < self.top_p",
        word_by_word(top_p=0.6),
    ),
    "a nucleus chosen before the temperature": (
        categorical.Categorical.probabilities,
        "ordered, order = p.sort(descending=True)\n",
        "plain, order = (logits * (self.temperature or 1)).softmax(-1).sort(descending=True)\n"
        "        kept = (plain.cumsum(-1) - plain < self.top_p).double()\n"
        "        p = p * torch.zeros_like(p).scatter(-1, order, kept)\n"
        "        return p / p.sum(-1, keepdim=True)\n",
        word_by_word(0.3, None, 0.6),
    ),
    "a nucleus of all words where top_k has cut some": (
        categorical.Categorical.probabilities,
        "ordered * (ordered.cumsum(-1) - ordered < self.top_p)",
        "ordered * (ordered.cumsum(-1) - ordered < self.top_p * (1 if top_k is None else 0.8))",
        word_by_word(1.0, 4, 0.95),
    ),
    "ties with the last of top_k kept": (
        categorical.Categorical.probabilities,
        "logits = torch.full_like(logits, -torch.inf).scatter(-1, best, logits.gather(-1, best))",
        "logits = logits.masked_fill(logits < logits.gather(-1, best).amin(-1, True), -torch.inf)",
        test_categorical.test_top_k_keeps_k_and_their_proportions,
    ),
    "an order by the probability of a word drawn": (
        masked.Confidence.score,
        "p.max(-1).values",
        "p.gather(-1, torch.multinomial(p, 1, generator=generator))[:, 0]",
        by_confidence(steps=3),
    ),
    "an order by the margin over the next best": (
        masked.Confidence.score,
        "p.max(-1).values",
        "-p.topk(2).values.diff(dim=-1)[:, 0]",
        by_confidence(steps=2),
    ),
    "an order by sharpened confidence": (
        masked.Ordered.choose,
        "Categorical().probabilities",
        "Categorical(top_p=0.5).probabilities",
        by_confidence(steps=3),
    ),
    "a threshold that is reached is enough": (
        masked.Ordered.choose,
        "scores > self.threshold",
        "scores >= self.threshold",
        test_categorical.test_a_threshold_asks_for_more_than_itself,
    ),
    "a cosine upside down": (
        masked.Ordered.remaining,
        "UNMASKING[self.unmasking]((steps - n) / steps)",
        "(1 - UNMASKING[self.unmasking](n / steps))",
        by_confidence(steps=2, unmasking="cosine"),
    ),
    "the share still masked rounded up": (
        masked.Ordered.remaining,
        "+ 1e-9).floor()",
        "- 1e-9).ceil()",
        by_confidence(steps=2),
    ),
    "no word taken back": (
        masked.Ancestral.__call__,
        "self.eta * (alpha_s - alpha_t)",
        "0.0 * (alpha_s - alpha_t)",
        lambda: laws.remasking_samples_its_own_law(steps=(3,)),
    ),
    "a block fewer than asked for": (
        blocks.in_blocks,
        "else length, blocks or 1",
        "else length, max((blocks or 1) - 1, 1)",
        in_blocks(12, 3, [4, 4, 4]),
    ),
    "blocks that no longer grow smaller": (
        blocks.cut,
        "left = gaps[len(block) :], left - 1",
        "left = gaps[len(block) :], left",
        in_blocks(12, 3, [4, 4, 4]),
    ),
    "blocks as large as what the network reads": (
        blocks.in_blocks,
        "max(context // 2, 1)",
        "context",
        in_blocks(30, 2, [6] * 5),
    ),
    "a repair that starts from noise": (
        uniform.repair,
        "move(model, text, known",
        "move(model, torch.randint_like(text, 3), known",
        repair(),
    ),
    "a repair on the whole clock": (
        uniform.Ancestral.__call__,
        "start + (1 - start) * model",
        "model",
        repair(),
    ),
    "a correction too few": (
        uniform.Ancestral.__call__,
        "range(self.corrections)",
        "range(self.corrections - 1)",
        repair(corrections=2),
    ),
    # ------------------------------------------------------------------------ from left to right
    "candidates weighed by the first token after the gap alone": (
        autoregressive.infill_by_ranking,
        "weight = log_p[:, max(first - seen.start, 0) :]",
        "weight = log_p[:, max(first - seen.start, 0) :][:, :1]",
        candidates,
    ),
    "candidates weighed without the end of what follows": (
        autoregressive.infill_by_ranking,
        "weight = log_p[:, max(first - seen.start, 0) :]",
        "weight = log_p[:, max(first - seen.start, 0) : -1]",
        candidates,
    ),
    "candidates of a long text ranked where they do not differ": (
        autoregressive.infill_by_ranking,
        "slice(max(0, end - context), end)",
        "slice(0, min(context, end))",
        ranked,
    ),
    "a token is lost where the block is full": (
        autoregressive.LeftToRight.__call__,
        "z[:, i - kept : i]",
        "z[:, i - kept : max(i - 1, i - kept)]",
        seams,
    ),
    "the block is never begun anew": (
        autoregressive.LeftToRight.__call__,
        "held = 0",
        "held = -(10**9)",
        seams,
    ),
    # ------------------------------------------------------------------ counting and the language
    "one kind of token after every context": (
        ngram.token_nll,
        "kinds[c] * p[asked]) / (contexts[c] + kinds[c])",
        "p[asked]) / (contexts[c] + 1)",
        counting(3),
    ),
    "a context from before the window": (
        ngram.token_nll,
        "np.arange(len(held_out)) % length",
        "np.arange(len(held_out))",
        counting(3, 7),
    ),
    "an order too many": (ngram.token_nll, "range(order)", "range(order + 1)", counting(2)),
    "kinds counted by how often they come": (
        ngram.token_nll,
        "np.bincount(context[counted][first]",
        "np.bincount(context[counted]",
        counting(3),
    ),
    "a slip says any one word": (
        automaton.Automaton.log_prob,
        "slip / self.V",
        "slip",
        worth,
    ),
    "a memory of k words that has forgotten one at the start": (
        automaton.Automaton.k_gram_entropy,
        "range(min(k, L))",
        "range(min(k - 1, L))",
        partial(test_automaton.test_k_gram_entropy_is_that_of_the_best_table, 3),
    ),
    "a memory of a word less after the start": (
        automaton.Automaton.k_gram_entropy,
        "occupancy[: L - k].sum(0), k)",
        "occupancy[1 : L - k + 1].sum(0), k - 1)",
        partial(test_automaton.test_k_gram_entropy_is_that_of_the_best_table, 2),
    ),
    "different n-grams as a share of the tokens": (
        scorers.distinct,
        "/ len(grams)",
        "/ texts.numel()",
        test_scorers.test_token_variety_is_the_entropy_of_what_a_text_holds,
    ),
    # ------------------------------------------------------------------------ races and figures
    "a clock that runs while frames are kept": (
        animation.record,
        "calls, began = counted.calls, time.perf_counter()",
        "calls, began = counted.calls, began if frames else time.perf_counter(); seconds = 0.0",
        clock_of("flow", test_animation.EMPTY, steps=9),
    ),
    "the time of the last call for that of all": (
        animation.record,
        "seconds += time.perf_counter() - began",
        "seconds = time.perf_counter() - began",
        clock_of("ar", test_animation.EMPTY),
    ),
    "calls for seconds on the page": (
        animation.outline,
        "seconds=frame.seconds",
        "seconds=frame.positions",
        clock_of("flow", test_animation.EMPTY, steps=9),
    ),
    "tokens that were never asked for count as doubtful": (
        animation.surety,
        "len(known) if known",
        "len(sure) if known",
        test_animation.test_surety_is_the_mean_of_the_tokens_that_the_network_was_asked_for,
    ),
    "calls and positions swapped in what a text took": (
        animation.costs,
        '(frame.calls, "call"), (frame.positions, "position")',
        '(frame.positions, "call"), (frame.calls, "position")',
        test_animation.test_a_frame_says_what_it_took,
    ),
    "a share of the time since the clock began": (
        animation.still,
        "first + share * (last - first)",
        "share * last",
        test_animation.test_a_still_is_the_last_moment_before_its_share_of_the_time,
    ),
    "new for a call too long": (
        animation.piece,
        "< RECENT",
        "<= RECENT",
        test_animation.test_a_token_is_new_for_as_many_calls_as_the_legend_says,
    ),
    "the probability of the token that was there before": (
        animation.record,
        "tokens = [ids[i] if ids[i] != model.mask_id",
        "tokens = [before[i] if before[i] != model.mask_id",
        partial(
            test_animation.test_a_token_is_as_sure_as_the_network_that_saw_the_state_before_it,
            "flow",
            test_animation.GAP,
        ),
    ),
    "errors in nats on a curve in bits": (
        figures.learning_curves,
        'of["val_se"] / nats_per_bit',
        'of["val_se"]',
        curves,
    ),
    "tokens and seconds swapped": (
        figures.learning_curves,
        '("tokens", "seconds")',
        '("seconds", "tokens")',
        curves,
    ),
    "floors in nats under curves in bits": (
        figures.learning_curves,
        "axes.axhline(nats / nats_per_bit,",
        "axes.axhline(nats,",
        curves,
    ),
    "a figure upside down": (
        figures.follow,
        "BOTTOM - (BOTTOM - TOP)",
        "TOP + (BOTTOM - TOP)",
        points,
    ),
    "a point behind the slider": (
        figures.follow,
        "curves[name][i - 1]",
        "curves[name][max(i - 2, 0)]",
        points,
    ),
    "a ground that does not know the highest": (
        figures.heat,
        "value / highest",
        "value",
        test_figures.test_the_ground_of_a_token_is_its_share_of_the_highest,
    ),
    # ------------------------------------------------------------------- what two models differ in
    "positions for calls in what two differ in": (
        model_diff.answers,
        '"network calls": (str(counted.calls)',
        '"network calls": (str(counted.positions)',
        facts("flow"),
    ),
    "moved the other way": (
        model_diff.moved,
        "a.roll(-s, 1)",
        "a.roll(s, 1)",
        facts("ar"),
    ),
    "the visible tokens for those that pay": (
        model_diff.paying,
        "pays == (z == V)",
        "pays == (z != V)",
        facts("diffusion"),
    ),
    "how often the token is written that is written most": (
        model_diff.order,
        "{times.mean():.1f}",
        "{times.amax():.1f}",
        test_model_diff.test_how_a_text_comes_to_be_is_read_from_its_states,
    ),
    "tokens at a time counted over the states, not the steps": (
        model_diff.order,
        "at_once.mean():.1f",
        "at_once.sum(0).mean() / len(states):.1f",
        test_model_diff.test_how_a_text_comes_to_be_is_read_from_its_states,
    ),
    "a level of noise that makes no difference": (
        model_diff.told,
        "logits(net, z, 0.8)",
        "logits(net, z, 0.2)",
        facts("flow"),
    ),
    "the head of a compound statement with the first line of its body": (
        shared_code.statements.__wrapped__,
        "max(body[0].lineno - 1, first)",
        "body[0].lineno",
        lambda folder: (
            test_model_diff.test_a_statement_counts_alike_however_it_is_broken_into_lines(folder)
        ),
    ),
    # ------------------------------------------------------------------------------- the commands
    "sample from seed 0": (
        Sample.run,
        "seeded(self.seed)",
        "seeded(0)",
        flag("sample", "ar", "--seed 7"),
    ),
    "visualize from seed 0": (
        Visualize.run,
        "seeded(self.seed)",
        "seeded(0)",
        flag("visualize --seconds 0", "ar", "--seed 7"),
    ),
    "the usual steps whatever was asked for": (
        Decoding.options,
        'every["steps"] = mine.pop("sampling_steps")',
        'mine.pop("sampling_steps")',
        flag("sample", "diffusion", "--sampling_steps 9"),
    ),
    "a nucleus that was asked for and forgotten": (
        Decoding.options,
        '"top_k", "top_p", "blocks")}',
        '"top_k", "blocks")}; mine.pop("top_p")',
        flag("sample", "ar", "--temperature 0.3 --top_k 4 --top_p 0.6"),
    ),
    "a length of one block for any number of blocks": (
        Decoding.length,
        "max(block, (self.blocks or 0) * block // 2)",
        "block",
        flag("sample", "diffusion", "--blocks 5"),
    ),
    "a decoder scored as if it did not sharpen": (
        decoding_likelihood.decoding_nll,
        "draw.probabilities(logits)",
        "logits.double().softmax(-1)",
        partial(
            test_decoding_likelihood.test_the_decoder_writes_texts_as_often_as_it_says,
            dict(sampler="confidence", threshold=0.6, temperature=0.4),
        ),
    ),
    "a decoder that plans for one token less": (
        decoding_likelihood.decoding_nll,
        "(x[:, :1], L)",
        "(x[:, :1], L - 1)",
        partial(
            test_decoding_likelihood.test_the_decoder_writes_texts_as_often_as_it_says,
            dict(sampler="confidence", steps=3),
        ),
    ),
    "infill without its options": (
        Infill.run,
        "**vars(self)",
        "**{**vars(self), 'decoding': Decoding()}",
        test_flags.test_the_flags_of_infill_reach_the_model,
    ),
    "evaluate takes the usual draws": (
        Evaluate.run,
        "self.seed, self.draws, self.eval_windows",
        "self.seed, 8, self.eval_windows",
        measured,
    ),
    "evaluate from seed 0": (
        Evaluate.run,
        "self.seed, self.draws, self.eval_windows",
        "0, self.draws, self.eval_windows",
        measured,
    ),
    "evaluate on all windows": (
        Evaluate.run,
        "self.draws, self.eval_windows,",
        "self.draws, None,",
        measured,
    ),
    "evaluate in the usual steps": (
        Evaluate.run,
        "self.eval_windows, self.sampling_steps",
        "self.eval_windows",
        measured,
    ),
    "ways of writing in the usual steps": (
        Evaluate.decodings,
        "self.seed, self.sampling_steps, self.n",
        "self.seed, 64, self.n",
        ways,
    ),
    "the truth judged by the usual number of texts": (
        Evaluate.run,
        "read[-1], self.seed, self.n",
        "read[-1], self.seed",
        ways,
    ),
    "compare measures with the usual draws": (
        Compare.measured,
        "self.settings.seed, self.draws",
        "self.settings.seed, 8",
        test_flags.test_the_flags_of_compare_reach_the_measurement,
    ),
    "compare measures the speed of the usual steps": (
        Compare.measured,
        ", steps=self.sampling_steps",
        "",
        test_flags.test_the_flags_of_compare_reach_the_measurement,
    ),
    "tokens of a sequence not counted in those that were read": (
        Compare.train_and_compare,
        "data, steps * per_step",
        "data, steps * self.settings.batch_size",
        test_flags.test_the_flags_of_compare_reach_the_measurement,
    ),
}

if find_spec("gradio"):
    import test_demo_handlers

    from nanoparadigm.show import demo_handlers

    MUTANTS |= {
        "the demo measures on every window": (
            demo_handlers.Handlers.tables,
            ", max_windows=WINDOWS",
            "",
            patched(test_demo_handlers.test_what_is_measured_is_the_windows_that_the_button_names),
        ),
        "a demo of one temperature": (
            demo_handlers.sampling,
            "temperature=temperature,",
            "temperature=1.0,",
            test_demo_handlers.test_what_is_to_be_written_reaches_the_model,
        ),
        "a gap of the demo filled in the way of nobody": (
            demo_handlers.Handlers.fill,
            "(paradigm, steps, temperature, seed, decoding)",
            "(paradigm, steps, temperature, seed)",
            test_demo_handlers.test_what_is_to_be_filled_reaches_the_model,
        ),
    }


@pytest.mark.parametrize("name", MUTANTS)
def test_every_mutant_dies(name, monkeypatch, tmp_path):
    with torch.set_grad_enabled(MUTANTS[name][0].__module__ == model_diff.__name__):
        dies(monkeypatch, MUTANTS[name], tmp_path)
