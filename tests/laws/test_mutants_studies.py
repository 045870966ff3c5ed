"""Proof that the tests of studies bite: of what is trained, measured, ranked, reported, submitted
and graded. Each planted fault is a small change of the live source, and a named law fails on it."""

from dataclasses import asdict
from functools import partial
from pathlib import Path

import laws
import pytest
import test_figures
import test_grader
import test_mdlm
import test_passes
import test_report
import test_scorers
import test_shared
import test_significance
import test_slurm
import test_study
import torch
from helpers import dies, patched

from nanoparadigm import atomic
from nanoparadigm.commands import shared
from nanoparadigm.commands.study import Study as Command
from nanoparadigm.exercises import grader
from nanoparadigm.show import figures
from nanoparadigm.studies import passes
from nanoparadigm.studies.schedules import (
    bounds,
    report,
    scorers,
    significance,
    slurm,
    study,
    token_entropy,
)
from nanoparadigm.training import checkpoint


def on_cluster(law):
    """A law of test_slurm.py, in a folder of its own; its study is begun without its texts."""

    def begin(plan, out):
        Path(out).mkdir()
        ids = [trial.id for trial in plan.trials]
        facts = dict(hash=plan.hash, trials=ids, study=asdict(plan))
        atomic.write_json(Path(out) / "study.json", facts)

    def holds(folder):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(study, "begin", begin)
            law(test_slurm.a_cluster(folder, patch), study.load("tiny"))

    return holds


def without_gradients(law):
    return torch.no_grad()(law)


def shuffled(n):
    law = test_significance.test_the_chance_is_the_share_of_all_shufflings_within_the_seeds
    return partial(law, VALUES[n])


VALUES = (
    [[1.0, 2.0, 4.0], [10.0, 13.0, 12.5]],
    [[0.1, 0.7, 0.4], [5.5, 5.4, 5.9], [-2.0, -2.0, -1.9]],
)
tukey = partial(test_significance.test_thresholds_are_those_of_tukeys_table, 3, 6, 0.05, 4.912)
worth = partial(test_report.test_what_a_model_is_worth_stands_under_its_own_head, True, (0, 1, 2))
worth_of_a_text = partial(
    test_report.test_what_a_model_is_worth_stands_under_its_own_head, False, (0, 1, 2)
)
writes = partial(test_report.test_what_a_model_writes_stands_under_its_own_head, True, (0, 1, 2))
clipped_exam = partial(
    test_mdlm.test_the_own_exam_is_under_the_models_own_schedule_and_masking,
    "clipped_cosine",
    "entropy",
)
the_signal = partial(test_study.signal_to_noise, 0.02, 6)
no_signal = partial(test_study.signal_to_noise, 0.0, 1)
weighted = without_gradients(laws.weighted_estimate_has_the_quadrature_mean)
a_tolerance = partial(
    test_grader.test_a_number_may_be_off_by_the_tolerance_and_its_own_share_of_it, 1, 8001e-5
)

# name: function, what its source says, what the mutant says, the law that must fail
MUTANTS = {
    # ------------------------------------------------------------------------- what is trained
    "the judge learns the trials' half": (
        study.train_judge,
        "train(model, texts.judges,",
        "train(model, texts.ours,",
        test_study.test_the_judge_learns_the_half_that_no_trial_reads,
    ),
    "a trial learns the judge's half": (
        study.train_trial,
        "train(model, texts.ours,",
        "train(model, texts.judges,",
        test_study.test_a_trial_learns_the_half_that_the_judge_does_not_by_its_own_seed,
    ),
    "the halves are exchanged": (
        study.halves,
        "data.train[:middle], data.train[middle:]",
        "data.train[middle:], data.train[:middle]",
        test_study.test_the_halves_are_whole_windows_that_share_nothing,
    ),
    "the halves overlap by a window": (
        study.halves,
        "data.train[middle:]",
        "data.train[middle - data.length :]",
        test_study.test_the_halves_are_whole_windows_that_share_nothing,
    ),
    "a half ends within a window": (
        study.halves,
        "// 2 // data.length * data.length",
        "// 2",
        test_study.test_the_halves_are_whole_windows_that_share_nothing,
    ),
    "entropies of tokens in the trials' half": (
        study.train_judge,
        "texts.judges.train[:ENTROPY_TOKENS]",
        "texts.ours.train[:ENTROPY_TOKENS]",
        test_study.test_the_judge_learns_the_half_that_no_trial_reads,
    ),
    "entropies at the end of the text": (
        study.train_judge,
        "texts.judges.train[:ENTROPY_TOKENS]",
        "texts.judges.train[-ENTROPY_TOKENS:]",
        test_study.test_the_judge_learns_the_half_that_no_trial_reads,
    ),
    "the judge learns as long as a trial": (
        study.train_judge,
        "max_steps=study.judge.max_steps, ",
        "",
        test_study.test_the_judge_learns_the_half_that_no_trial_reads,
    ),
    "one order of the data for all seeds": (
        study.train_trial,
        "replace(study.settings, seed=trial.seed)",
        "study.settings",
        test_study.test_a_trial_learns_the_half_that_the_judge_does_not_by_its_own_seed,
    ),
    "the same weights for all seeds": (
        study.Study.model,
        "seed=trial.seed",
        "seed=0",
        test_study.test_a_seed_reaches_the_weights,
    ),
    "masked alike, whatever the entropies": (
        study.train_trial,
        "model.weights.copy_(bounds.entropy_weights(hard))",
        "bounds.entropy_weights(hard)",
        test_study.test_a_trial_learns_the_half_that_the_judge_does_not_by_its_own_seed,
    ),
    "measured before the last step": (
        study.train_trial,
        "steps_done(folder) == settings.max_steps and not is_measured(folder)",
        "not is_measured(folder)",
        test_study.test_a_trial_is_measured_once_at_its_last_step,
    ),
    "the steps of the best checkpoint": (
        checkpoint.steps_done,
        'newest(run, "last",',
        'newest(run, "best",',
        test_study.test_a_trial_is_measured_once_at_its_last_step,
    ),
    "a hash that forgets the judge": (
        study.Study.hash.fget,
        'if k != "seeds"',
        'if k not in ("seeds", "judge")',
        test_study.test_the_hash_names_every_field_that_trials_share,
    ),
    "tables of a file are left as they are by default": (
        study.filled,
        "files.typed(values, kind,",
        "files.typed({k: v for k, v in values.items() if not isinstance(v, dict)}, kind,",
        test_study.test_every_key_of_a_file_arrives_in_its_own_place,
    ),
    "trials in the order of their maskings": (
        study.Study.trials.fget,
        "for seed in self.seeds for m in MASKINGS for s in SCHEDULES",
        "for m in MASKINGS for seed in self.seeds for s in SCHEDULES",
        test_study.test_trials_are_numbered_seed_by_seed_masking_by_masking,
    ),
    # ------------------------------------------------------------------------ what is measured
    "the best checkpoint is measured": (
        study.measure,
        'checkpoint.load(folder, "last",',
        'checkpoint.load(folder, "best",',
        test_study.test_what_is_measured_is_the_last_checkpoint_and_each_number_its_own,
    ),
    "zero-shot on the first text": (
        study.measure,
        "bound(other)[1]",
        "bound(texts.ours)[1]",
        test_study.test_what_is_measured_is_the_last_checkpoint_and_each_number_its_own,
    ),
    "a noise of its own for every run": (
        study.measure,
        "noise = seeded(0, model)",
        'noise = seeded(saved.config["step"], model)',
        test_study.test_what_is_measured_is_the_last_checkpoint_and_each_number_its_own,
    ),
    "bits of the first text for the second": (
        study.measure,
        "evaluate.nats_per_bit(other)",
        "evaluate.nats_per_bit(data)",
        test_study.test_what_is_measured_is_the_last_checkpoint_and_each_number_its_own,
    ),
    "what the language costs is added to the bound": (
        study.measure,
        "torch.tensor(nats) + truth.log_prob",
        "torch.tensor(nats) - truth.log_prob",
        test_study.test_the_excess_is_over_what_walking_through_the_language_costs,
    ),
    "the entropy of a text for that of a token": (
        study.measure,
        "truth.entropy(data.length) / data.length",
        "truth.entropy(data.length)",
        test_study.test_the_excess_is_over_what_walking_through_the_language_costs,
    ),
    "as many texts as there are windows": (
        study.measure,
        "sample(model, study.samples,",
        "sample(model, study.windows,",
        test_study.test_what_is_measured_is_the_last_checkpoint_and_each_number_its_own,
    ),
    "eight draws in the own exam, whatever is asked": (
        study.in_schedule_cross_entropy,
        "bounds.in_schedule_cross_entropy(model, part, noise, draws)",
        "bounds.in_schedule_cross_entropy(model, part, noise, 8)",
        patched(test_study.test_the_own_exam_takes_the_draws_it_is_asked_for),
    ),
    "sampling steps ignored": (
        study.sample,
        "steps=steps",
        "steps=64",
        patched(test_study.test_samples_go_on_with_one_noise_in_as_many_steps_as_are_asked),
    ),
    "every part of the samples by the same noise": (
        study.sample,
        "model.sample(part, length, noise,",
        "model.sample(part, length, seeded(0, model),",
        patched(test_study.test_samples_go_on_with_one_noise_in_as_many_steps_as_are_asked),
    ),
    "what noise adds to a mean counted as signal": (
        study.gradient_snr,
        " - spread / draws",
        "",
        no_signal,
    ),
    "noise to signal": (study.gradient_snr, "signal / spread", "spread / signal", the_signal),
    "variance over all draws and not one less": (
        study.gradient_snr,
        "/ (draws - 1)",
        "/ draws",
        the_signal,
    ),
    "gradients of a batch's sum": (
        study.gradient_snr,
        "gradient = gradient / (weight or 1)",
        "pass",
        patched(
            test_scorers.test_the_noise_of_the_gradient_is_that_of_whole_batches,
            test_scorers.letters(),
        ),
    ),
    "a share of kinds left out, not of places": (
        study.readable,
        "1 - len(kept) / len(corpus.validation)",
        "len(unseen) / len({*corpus.validation})",
        partial(test_study.test_a_tenth_of_a_second_text_may_be_left_out_and_no_more, 11, False),
    ),
    "full speed": (
        study.size_and_seconds,
        "(speed / 2)",
        "speed",
        test_study.test_the_time_of_a_trial_is_that_of_six_operations_at_half_the_speed_of_a_product,
    ),
    "five products counted as one": (
        study.size_and_seconds,
        "5 * 2 * 1024**3",
        "2 * 1024**3",
        test_study.test_the_time_of_a_trial_is_that_of_six_operations_at_half_the_speed_of_a_product,
    ),
    "what is written judged in place of real texts": (
        study.score_samples,
        "real=metrics(real,",
        "real=metrics(samples,",
        patched(
            test_scorers.test_texts_and_real_ones_are_each_judged_by_their_own_nats,
            test_scorers.letters(),
        ),
    ),
    "the first real texts, and no sample of them": (
        study.score_samples,
        "torch.randperm(len(full), generator=torch.Generator().manual_seed(0))",
        "torch.arange(len(full))",
        patched(
            test_scorers.test_texts_and_real_ones_are_each_judged_by_their_own_nats,
            test_scorers.letters(),
        ),
    ),
    "MAUVE of real texts against themselves": (
        study.score_samples,
        "(order[:n], order[n : 2 * n])",
        "(order[:n], order[:n])",
        patched(
            test_scorers.test_texts_and_real_ones_are_each_judged_by_their_own_nats,
            test_scorers.letters(),
        ),
    ),
    "MAUVE the other way round": (
        scorers.mauve,
        "p_features=human.float().numpy(), q_features=endings.float().numpy()",
        "p_features=endings.float().numpy(), q_features=human.float().numpy()",
        patched(test_scorers.test_mauve_is_asked_of_what_is_written_against_what_is_human),
    ),
    "texts judged by what comes after": (
        scorers.score,
        "judge.logits(x).mT, x,",
        "judge.logits(x).roll(1, 1).mT, x,",
        test_scorers.test_a_judge_pays_every_place_of_a_text,
    ),
    "an ending that has not read the last prediction": (
        scorers.AutoregressiveScorer.endings,
        "torch.cat([start, x[:, :-1]], dim=1)",
        "x",
        lambda: test_scorers.test_an_ending_is_what_the_last_prediction_is_read_from(
            test_scorers.letters()
        ),
    ),
    "the first place of a text costs nothing": (
        scorers.score,
        'reduction="none").mean(1)',
        'reduction="none")[:, 1:].mean(1)',
        test_scorers.test_a_judge_pays_every_place_of_a_text,
    ),
    "different n-grams over all tokens": (
        scorers.distinct,
        "/ len(grams)",
        "/ texts.numel()",
        test_scorers.test_an_opinion_is_what_its_parts_are_worked_to_be,
    ),
    "n-grams within each text": (
        scorers.distinct,
        "len(grams.unique(dim=0))",
        "sum(len(text.unfold(0, n, 1).unique(dim=0)) for text in texts)",
        test_scorers.test_an_opinion_is_what_its_parts_are_worked_to_be,
    ),
    "variety in bits": (
        scorers.token_variety,
        "p.log()",
        "p.log2()",
        test_scorers.test_an_opinion_is_what_its_parts_are_worked_to_be,
    ),
    "entropies in bits": (
        token_entropy.token_entropy,
        "(log_p.exp() * log_p)",
        "(log_p.exp() * log_p / 0.6931471805599453)",
        test_study.test_the_judge_learns_the_half_that_no_trial_reads,
    ),
    "absent tokens get the mean over kinds": (
        token_entropy.token_entropy,
        "default = (sums.sum() / counts.sum()).item()",
        "default = (sums / counts).nanmean().item()",
        test_study.test_the_judge_learns_the_half_that_no_trial_reads,
    ),
    "kinds counted for places": (
        token_entropy.TokenEntropy.save,
        "self.counts.sum().item()",
        "(self.counts > 0).sum().item()",
        test_study.test_the_judge_learns_the_half_that_no_trial_reads,
    ),
    "weights of one at the median": (
        bounds.entropy_weights,
        "entropy.mean()",
        "entropy.median()",
        test_mdlm.test_weights_are_one_at_the_mean_and_as_far_from_it_as_the_entropy,
    ),
    "the harder, the more it is masked": (
        bounds.entropy_weights,
        "2 - entropy / entropy.mean()",
        "entropy / entropy.mean()",
        test_mdlm.test_weights_are_one_at_the_mean_and_as_far_from_it_as_the_entropy,
    ),
    "weights without their limits": (
        bounds.entropy_weights,
        ".clamp(0.5, 1.5)",
        "",
        test_mdlm.test_weights_are_one_at_the_mean_and_as_far_from_it_as_the_entropy,
    ),
    "the own exam masks by time, under no schedule": (
        bounds.in_schedule_cross_entropy,
        "model.corrupt(x, t, generator)",
        "torch.where(torch.rand(x.shape, generator=generator) < t[:, None], model.mask_id, x)",
        clipped_exam,
    ),
    "the own exam at the times of the last draw": (
        bounds.strata,
        "stratified_uniform(d, num_samples,",
        "stratified_uniform(num_samples - 1, num_samples,",
        clipped_exam,
    ),
    "tokens that may be seen for sure pay too": (
        bounds.token_masked_nelbo,
        " * (c * s**2 < 1)",
        "",
        weighted,
    ),
    "half of the start tokens are masks, whatever is asked": (
        bounds.token_masked_nelbo,
        "a * (a / start).log()",
        "a * (a / 0.5).log()",
        weighted,
    ),
    "every start token is a mask": (
        bounds.token_masked_nelbo,
        "a * (a / start).log()",
        "(a / start).log()",
        weighted,
    ),
    # -------------------------------------------------------------------------- what is ranked
    "an interval of 90 per cent": (
        significance.bootstrap,
        "[(1 - INSIDE) / 2, (1 + INSIDE) / 2]",
        "[1 - INSIDE, INSIDE]",
        test_significance.test_the_interval_of_three_seeds_is_that_of_their_27_resamples,
    ),
    "resamples of half the seeds": (
        significance.bootstrap,
        "(repeats, len(d))",
        "(repeats, len(d) // 2)",
        test_significance.test_the_interval_of_many_seeds_is_1_96_standard_errors_wide,
    ),
    "medians of the resamples": (
        significance.bootstrap,
        "d[chosen].mean(1)",
        "np.median(d[chosen], 1)",
        test_significance.test_the_interval_of_many_seeds_is_1_96_standard_errors_wide,
    ),
    "seeds shuffled within a treatment": (
        significance.permutation_p,
        ".argsort(-1).numpy()\n    shuffled = np.take_along_axis("
        "np.broadcast_to(values, order.shape), order, -1)",
        ".argsort(-2).numpy()\n    shuffled = np.take_along_axis("
        "np.broadcast_to(values, order.shape), order, -2)",
        shuffled(0),
    ),
    "every seed shuffled alike": (
        significance.permutation_p,
        "torch.rand(repeats, *values.shape, generator=generator).argsort(-1).numpy()",
        "torch.rand(repeats, 1, values.shape[1], generator=generator).argsort(-1)"
        ".expand(-1, *values.shape).numpy()",
        shuffled(0),
    ),
    "only larger differences count": (
        significance.permutation_p,
        "~(between(shuffled) < between(values) * (1 - 1e-12))",
        "between(shuffled) > between(values)",
        test_significance.test_a_chance_is_never_nought_and_a_tie_counts,
    ),
    "what was seen is no shuffling": (
        significance.permutation_p,
        "(1 + as_far.sum()) / (1 + repeats)",
        "as_far.sum() / repeats",
        test_significance.test_a_chance_is_never_nought_and_a_tie_counts,
    ),
    "the range of medians": (
        significance.between,
        "values.mean(-2).var(-1)",
        "np.median(values, -2).var(-1)",
        shuffled(1),
    ),
    "degrees of freedom of unpaired runs": (
        significance.tukey_threshold,
        "(S - 1) * (K - 1)",
        "(S - 1) * K",
        tukey,
    ),
    "Tukey's threshold for single runs": (
        significance.tukey_threshold,
        "spread / math.sqrt(S)",
        "spread",
        tukey,
    ),
    "a scale that is known for sure": (
        significance.tukey_threshold,
        "range_ / scale",
        "range_",
        tukey,
    ),
    "noise with the levels of the seeds in it": (
        significance.tukey_threshold,
        " - values.mean(1, keepdims=True) + values.mean()",
        "",
        tukey,
    ),
    "the smaller of floor and threshold": (
        significance.rank,
        "max(floor, threshold)",
        "min(floor, threshold)",
        test_significance.test_a_pair_is_ranked_beyond_both_the_twins_and_the_threshold,
    ),
    "the floor alone": (
        significance.rank,
        "max(floor, threshold)",
        "floor",
        test_significance.test_a_pair_is_ranked_beyond_both_the_twins_and_the_threshold,
    ),
    "a floor that may be below nought": (
        significance.rank,
        "abs(means[twins[0]] - means[twins[1]])",
        "means[twins[0]] - means[twins[1]]",
        test_significance.test_a_pair_is_ranked_beyond_both_the_twins_and_the_threshold,
    ),
    "twins are left out with all their pairs": (
        significance.rank,
        "if {*pair} != {*twins}",
        "if not {*pair} & {*twins}",
        test_significance.test_twins_are_no_pair_however_far_apart,
    ),
    "the higher mean is the better": (
        significance.rank,
        "means[b] - means[a] > least",
        "means[a] - means[b] > least",
        test_significance.test_a_pair_is_ranked_beyond_both_the_twins_and_the_threshold,
    ),
    "a threshold at another level than asked": (
        significance.rank,
        "tukey_threshold(values, generator, level)",
        "tukey_threshold(values, generator, LEVEL)",
        test_significance.test_a_pair_is_ranked_beyond_both_the_twins_and_the_threshold,
    ),
    "a chance at another level than asked": (
        significance.rank,
        "if p < level",
        "if p < LEVEL",
        test_significance.test_where_the_treatments_are_one_as_a_whole_no_pair_is_ranked,
    ),
    # ------------------------------------------------------------------------ what is reported
    "medians over windows": (
        report.collect,
        "float(np.mean(v))",
        "float(np.median(v))",
        test_report.test_what_is_known_of_a_trial_is_what_its_files_say,
    ),
    "seeds in the order in which they are found": (
        report.values,
        "sorted({seed for seed, _ in table})",
        "list(dict.fromkeys(seed for seed, _ in table))",
        test_report.test_seeds_that_lack_a_schedule_are_left_out_and_the_others_stand_in_order,
    ),
    "the lowest bound that any has reached": (
        report.target,
        "return max(",
        "return min(",
        test_report.test_the_target_is_what_the_last_evaluation_of_every_run_has_reached,
    ),
    "the best moment of every run for its last": (
        report.target,
        't["curve"][-1]["val"]',
        'min(point["val"] for point in t["curve"])',
        test_report.test_the_target_is_what_the_last_evaluation_of_every_run_has_reached,
    ),
    "the last time that it was as low": (
        report.reached,
        'in trial["curve"]',
        'in reversed(trial["curve"])',
        test_report.test_a_bound_is_reached_when_it_is_first_as_low,
    ),
    "lower, and not as low": (
        report.reached,
        "<= nats",
        "< nats",
        test_report.test_a_bound_is_reached_when_it_is_first_as_low,
    ),
    "differences from the other twin": (
        report.analyse,
        "names.index(TWINS[0])",
        "names.index(TWINS[1])",
        test_report.test_an_analysis_is_of_bounds_within_seeds_against_linear,
    ),
    "ranked by their own exams": (
        report.analyse,
        "rank(names, scores,",
        "rank(names, exams,",
        test_report.test_an_analysis_is_of_bounds_within_seeds_against_linear,
    ),
    "uniform minus entropy": (
        report.analyse,
        "both[1][:, i] - both[0][:, i]",
        "both[0][:, i] - both[1][:, i]",
        test_report.test_an_analysis_is_of_bounds_within_seeds_against_linear,
    ),
    "one masking's seeds against the other's": (
        report.analyse,
        "values(shared,",
        "values(trials,",
        test_report.test_masking_by_entropy_is_held_against_the_same_seeds,
    ),
    "resampled over schedules": (
        report.analyse,
        "(both[1] - both[0]).mean(1)",
        "(both[1] - both[0]).mean(0)",
        test_report.test_an_analysis_is_of_bounds_within_seeds_against_linear,
    ),
    "the verdict knows no floor": (
        report.apart,
        '("floor", "threshold") if',
        '("threshold", "threshold") if',
        test_report.test_the_verdict_says_what_was_found_in_sentences,
    ),
    "the worse of a pair is called better": (
        report.verdict,
        "{a} is better than {b}",
        "{b} is better than {a}",
        test_report.test_the_verdict_says_what_was_found_in_sentences,
    ),
    "the order of the exams is that of the bound": (
        report.verdict,
        'sorted(f["own_exams"], key=f["own_exams"].get)',
        'sorted(f["own_exams"], key=f["means"].get)',
        test_report.test_the_verdict_says_what_was_found_in_sentences,
    ),
    "a standard deviation of the whole population": (
        report.cell,
        "means.std(ddof=1)",
        "means.std()",
        worth,
    ),
    "an error in another unit than its mean": (
        report.cell,
        'mean=means.mean(), se=se), f".{digits}f", scale',
        'mean=means.mean() * scale, se=se), f".{digits}f", 1',
        worth_of_a_text,
    ),
    "steps in the column of seconds": (
        report.model_quality_table,
        'reached(t, nats)["seconds"]',
        'reached(t, nats)["step"]',
        worth,
    ),
    "the signal of the first seed alone": (
        report.model_quality_table,
        'cell(kind, itemgetter("gradient_snr"))',
        'cell(kind[:1], itemgetter("gradient_snr"))',
        worth,
    ),
    "bits per character by multiplying": (
        report.model_quality_table,
        "scale=1 / bit",
        "scale=bit",
        worth_of_a_text,
    ),
    "surprise in the column of divergence": (
        report.sample_quality_table,
        'itemgetter("divergence")',
        'itemgetter("surprise")',
        writes,
    ),
    "triples before tokens": (
        report.sample_quality_table,
        'for n in "123"',
        'for n in "321"',
        writes,
    ),
    "the most frequent mistake for all": (
        report.sample_quality_table,
        'sum(w["mistakes"].values())',
        'max(w["mistakes"].values())',
        writes,
    ),
    "written texts in the row of real ones": (
        report.sample_quality_table,
        '[first["real"]]',
        '[first["written"]]',
        writes,
    ),
    "nats in a bit for bits in a nat": (
        report.model_quality_notes,
        "{1 / nats:.4f}",
        "{nats:.4f}",
        test_report.test_the_notes_say_what_a_nat_is_and_how_far_windows_scatter,
    ),
    "a curve of the first seed": (
        report.curves,
        "y.mean(0)",
        "y[0]",
        test_report.test_curves_are_means_over_seeds_and_the_band_their_range,
    ),
    "a band of the floor alone": (
        report.apart,
        '("floor", "threshold") if',
        '("floor", "floor") if',
        test_report.test_a_forest_shows_every_interval_and_how_far_noise_may_go,
    ),
    "tokens in the panel of seconds": (
        figures.learning_curves,
        '("tokens", "seconds")',
        '("seconds", "tokens")',
        test_figures.test_learning_curves_are_bits_of_the_validation_against_tokens_and_seconds,
    ),
    "errors in nats beside bits": (
        figures.learning_curves,
        'of["val_se"] / nats_per_bit',
        'of["val_se"]',
        test_figures.test_learning_curves_are_bits_of_the_validation_against_tokens_and_seconds,
    ),
    # ---------------------------------------------------------- what is said of it and submitted
    "batches of a step not counted": (
        Command.plan,
        " * s.grad_accumulation",
        "",
        test_study.test_a_dry_run_counts_the_tokens_and_the_time_of_all_trials,
    ),
    "all trials in the time of one": (
        Command.plan,
        "duration(seconds * len(rows))",
        "duration(seconds)",
        test_study.test_a_dry_run_counts_the_tokens_and_the_time_of_all_trials,
    ),
    "trials counted from one": (
        Command.chosen,
        "plan.trials[int(self.trial)]",
        "plan.trials[int(self.trial) - 1]",
        test_study.test_a_trial_is_chosen_by_the_number_of_the_dry_run_or_by_its_name,
    ),
    "one day is days": (
        shared.duration,
        "seconds >= 2 * size",
        "seconds >= size",
        partial(
            test_shared.test_a_duration_is_in_the_largest_unit_of_which_there_are_two,
            7199,
            "120 minutes",
        ),
    ),
    "one size of vocabulary for all": (
        shared.Text.build,
        "self.tokenizer, corpus, self.bpe_vocab_size",
        "self.tokenizer, corpus, 500",
        test_shared.test_a_text_is_read_in_the_tokens_and_windows_that_are_asked_for,
    ),
    "a training that was stopped counts as whole": (
        shared.fit,
        "return step == total",
        "return step > 0",
        test_shared.test_a_fit_has_reached_its_end_if_the_last_step_was_taken_or_none_was_left,
    ),
    "patience in seconds": (
        Command.tell,
        "60 * self.patience",
        "self.patience",
        on_cluster(test_slurm.test_patience_is_in_minutes),
    ),
    "tasks counted from one": (
        slurm.submit,
        "[i for i, trial",
        "[i + 1 for i, trial",
        on_cluster(test_slurm.test_the_array_waits_for_the_judge_and_its_number_is_the_one_kept),
    ),
    "a judge that is done is trained again": (
        slurm.submit,
        'if not (out / "entropy.npy").exists():',
        "if True:",
        on_cluster(test_slurm.test_a_judge_that_is_done_is_not_trained_again),
    ),
    "the number of the judge is kept": (
        slurm.submit,
        "dict(job=job)",
        "dict(job=judge)",
        on_cluster(test_slurm.test_the_array_waits_for_the_judge_and_its_number_is_the_one_kept),
    ),
    "the name of the cluster in the number of a job": (
        slurm.submit,
        'slurm(*send, array, str(file)).split(";")[0]',
        "slurm(*send, array, str(file))",
        on_cluster(test_slurm.test_the_array_waits_for_the_judge_and_its_number_is_the_one_kept),
    ),
    "a judge that failed is good enough": (
        slurm.submit,
        "--dependency=afterok:",
        "--dependency=afterany:",
        on_cluster(test_slurm.test_the_array_waits_for_the_judge_and_its_number_is_the_one_kept),
    ),
    "all tasks at a time": (
        slurm.submit,
        "%{cap}",
        "",
        on_cluster(test_slurm.test_the_array_waits_for_the_judge_and_its_number_is_the_one_kept),
    ),
    "the trial of the next number is queued again": (
        slurm.requeue,
        "_{number}",
        "_{number + 1}",
        on_cluster(test_slurm.test_the_array_waits_for_the_judge_and_its_number_is_the_one_kept),
    ),
    "silent since somebody last looked": (
        slurm.standings,
        "log.stat().st_mtime",
        "log.stat().st_atime",
        on_cluster(test_slurm.test_a_standing_has_the_last_saved_step_and_the_age_of_the_log),
    ),
    "silent since the last checkpoint": (
        slurm.standings,
        "log.stat().st_mtime",
        "folder.stat().st_mtime",
        on_cluster(test_slurm.test_a_standing_has_the_last_saved_step_and_the_age_of_the_log),
    ),
    # -------------------------------------------------------------------------- what is graded
    "one right number is enough": (
        grader.same,
        ".all()",
        ".any()",
        test_grader.test_one_wrong_number_is_told_with_its_case_and_place_and_how_many_are_right,
    ),
    "a tolerance that large numbers have no share of": (
        grader.close,
        "rtol=tolerance",
        "rtol=0",
        a_tolerance,
    ),
    "one tolerance for all exercises": (
        grader.close,
        "tolerance = exercise.tolerance",
        "tolerance = 1e-5",
        a_tolerance,
    ),
    "a mistake that was made once": (
        grader.makes,
        "zip(cases, said, strict=True)",
        "zip(cases[-1:], said[-1:], strict=True)",
        test_grader.test_a_mistake_is_named_only_if_it_is_made_on_every_case,
    ),
    "the place of the last difference": (
        grader.difference,
        "nonzero()[0]",
        "nonzero()[-1]",
        test_grader.test_one_wrong_number_is_told_with_its_case_and_place_and_how_many_are_right,
    ),
    "the answer for the truth": (
        grader.difference,
        "you return {yours}{where}; right is {wanted}",
        "you return {wanted}{where}; right is {yours}",
        test_grader.test_one_wrong_number_is_told_with_its_case_and_place_and_how_many_are_right,
    ),
    "wrong cases counted as right": (
        grader.grade,
        "{len(cases) - len(wrong)} of",
        "{len(wrong)} of",
        test_grader.test_one_wrong_number_is_told_with_its_case_and_place_and_how_many_are_right,
    ),
    "the last wrong case": (
        grader.grade,
        "wrong[0]",
        "wrong[-1]",
        test_grader.test_one_wrong_number_is_told_with_its_case_and_place_and_how_many_are_right,
    ),
    "the book's cases whatever the seed": (
        grader.grade,
        "exercise.cases(seed)",
        "exercise.cases()",
        test_grader.test_what_is_known_by_heart_is_wrong_on_fresh_cases,
    ),
    "cases counted from nought": (
        grader.grade,
        "enumerate(cases, 1)",
        "enumerate(cases)",
        test_grader.test_no_answer_is_told_with_the_number_of_its_case,
    ),
    "a crossing from which the curves part again": (
        passes.crossing,
        "gap[-1] < 0",
        "min(gap) < 0",
        test_passes.test_lines_cross_where_they_do,
    ),
    "a crossing between the passes and not their logarithms": (
        passes.crossing,
        "math.exp(math.log(a) + share * math.log(b / a))",
        "a + share * (b - a)",
        test_passes.test_lines_cross_where_they_do,
    ),
    "an interval for more seeds than there are": (
        significance.student_law,
        "** (n - 2)",
        "** (n + 20)",
        test_passes.test_the_interval_of_student_covers_the_mean_as_often_as_it_says,
    ),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_every_mutant_dies(name, monkeypatch, tmp_path):
    dies(monkeypatch, MUTANTS[name], tmp_path)
