"""Faults of training, planted: optimisers, schedule, loop, networks, texts, flags. Each dies by a
test whose expected value is worked another way."""

import math
from functools import partial

import pytest
import test_corpora
import test_distributed
import test_main
import test_mamba2
import test_networks
import test_optimizer
import test_schedules
import test_shards
import test_tokenizers
import test_trainer
import torch
from helpers import dies

from nanoparadigm import corpora, signals, tokenizers
from nanoparadigm.commands.prepare import PrepareFineweb
from nanoparadigm.commands.shared import Text
from nanoparadigm.commands.train import Train
from nanoparadigm.data.tokenizers import BPETokenizer
from nanoparadigm.networks import base, mamba2, transformer
from nanoparadigm.networks.base import Network, TimeFeatures
from nanoparadigm.networks.hollow import Hollow
from nanoparadigm.networks.mamba import Block as MambaBlock
from nanoparadigm.networks.mamba import Mixer
from nanoparadigm.networks.transformer import Attention, Block, SquaredReLU, SwiGLU, Transformer
from nanoparadigm.paradigms import schedules
from nanoparadigm.shards import encode_parallel, folder, writer
from nanoparadigm.training import checkpoint, distributed, optimizer, resume, settings
from nanoparadigm.training import run as training_run
from nanoparadigm.training.log import Log
from nanoparadigm.training.optimizer import Muon
from nanoparadigm.training.run import TrainingRun

steps_of_muon = test_optimizer.test_three_steps_of_muon_by_hand
tall, wide = partial(steps_of_muon, 6, 3, 1), partial(steps_of_muon, 3, 6, 1)
packed = partial(steps_of_muon, 5, 2, 2)
adam_alone = partial(test_optimizer.test_three_steps_of_adamw_by_hand, 0.0)
adam_beside = partial(test_optimizer.test_three_steps_of_adamw_by_hand, 0.04)
clipped = partial(test_trainer.test_the_steps_are_those_on_paper, 0.02, True)
unclipped = partial(test_trainer.test_the_steps_are_those_on_paper, 0.0, False)
mild = partial(test_trainer.test_the_steps_are_those_on_paper, 1.0, False)
rates = partial(test_trainer.test_the_rates_of_a_short_run_by_hand, "linear", 0.2)
cosine = partial(test_trainer.test_the_rates_of_a_short_run_by_hand, "cosine", 0.5)
followed = partial(
    test_trainer.test_every_parameter_follows_the_schedule_from_its_own_peak, "linear", 0.0
)
no_numbers = test_trainer.test_weights_that_are_no_numbers_are_not_saved
evaluated_poisoned = partial(no_numbers, 4, 9, 0.0, "an lr")
stopped_poisoned = partial(no_numbers, 3, 3, 0.0, "an lr")
best_resumed = test_trainer.test_the_best_checkpoint_stays_the_best_over_an_interruption
best_straight = test_trainer.test_the_best_checkpoint_of_a_run_without_interruption
clock = test_trainer.test_seconds_are_of_training_alone_and_go_on_after_an_interruption
dropped = test_trainer.test_what_is_dropped_is_drawn_anew_in_every_step_even_after_an_evaluation
half_precision = test_trainer.test_auto_is_half_precision_on_a_gpu_and_bfloat16_where_it_has_that
float16 = partial(test_trainer.test_float16_learns_as_float32_does, test_trainer.cats())
halved = partial(
    test_trainer.test_a_multiple_of_the_loss_that_overflows_is_halved_until_it_fits_and_goes_on_so,
    test_trainer.cats(),
)
causal = partial(test_networks.test_the_transformer_is_its_formulas, "ar", None, "swiglu")
plain_mlp = partial(test_networks.test_the_transformer_is_its_formulas, "ar", None, "relu2")
timed = partial(test_networks.test_the_transformer_is_its_formulas, "flow", 0.3, "swiglu")
angles = partial(test_networks.test_the_angles_of_the_rotary_positions_by_hand, 8)
two_chunks = partial(test_mamba2.test_chunks_are_the_recurrence_in_values_and_gradients, 5, 4)
turning = partial(test_mamba2.test_a_turning_state_is_a_complex_one_in_values_and_gradients, 5, 4)
cut = partial(test_mamba2.test_a_turning_state_goes_on_where_the_text_was_cut, [5, 1, 1, 5])
one_mamba2 = partial(test_networks.test_mamba2_is_its_formulas, "mamba2", None)
one_mamba = partial(test_networks.test_mamba_is_its_formulas, "mamba", None)
two_mambas = partial(test_networks.test_mamba_is_its_formulas, "diffusion", None)
two_readers = partial(test_networks.test_a_hollow_network_is_its_formulas, "flow", 0.3)
layers = partial(test_networks.test_the_layers_of_a_hollow_network_by_hand, 3, 2, 272)
sizes = test_networks.test_weights_begin_at_the_sizes_they_are_said_to
served = partial(test_corpora.test_an_epoch_serves_each_of_its_windows_once, False)
log = partial(test_trainer.test_a_damaged_line_costs_the_log_that_line_alone, b"{")
validated = partial(
    test_trainer.test_validation_is_a_number_of_the_weights_alone, "diffusion", test_trainer.cats()
)
shards_by_hand = test_shards.test_a_folder_by_hand
flags = partial(test_main.test_every_flag_of_train_reaches_what_it_names, "hollow", "epochs")
prepared = test_shards.test_every_flag_of_prepare_reaches_what_it_names

# name: function, what its source says, what the mutant says, the law that must fail
MUTANTS = {
    # ------------------------------------------------------------------------------- optimisers
    "a momentum of 0.05": (Muon.step, "1 - mu)", "mu)", tall),
    "Muon without Nesterov": (Muon.step, "torch.lerp(p.grad, momentum, mu)", "momentum", tall),
    "Nesterov that looks ahead by 0.05 of the momentum": (
        Muon.step,
        "torch.lerp(p.grad, momentum, mu)",
        "torch.lerp(momentum, p.grad, mu)",
        tall,
    ),
    "a momentum that is a sum": (
        Muon.step,
        ".lerp_(p.grad, 1 - mu)",
        ".mul_(mu).add_(p.grad)",
        tall,
    ),
    "columns over rows in Muon's scale": (Muon.step, "rows / columns", "columns / rows", tall),
    "wide matrices moved by less": (Muon.step, "max(1, rows / columns)", "(rows / columns)", wide),
    "a packed matrix scaled as one": (
        Muon.step,
        "max(1, rows / columns)",
        "max(1, pairs[0][0].shape[0] / columns)",
        packed,
    ),
    "a packed matrix made orthogonal as one": (
        Muon.step,
        "view(maps, -1, p.shape[1])",
        "view(1, -1, p.shape[1])",
        packed,
    ),
    "decay that the learning rate does not scale": (
        Muon.step,
        'group["lr"] * group["weight_decay"]',
        'group["weight_decay"]',
        tall,
    ),
    "three rounds of Newton-Schulz": (
        optimizer.orthogonalize,
        "range(steps)",
        "range(3)",
        tall,
    ),
    "AdamW with its usual betas": (
        optimizer.make_optimizers,
        "betas=(0.9, 0.95), ",
        "",
        adam_beside,
    ),
    "decay of embeddings and gains": (
        optimizer.make_optimizers,
        "params=others, weight_decay=0.0",
        "params=others, weight_decay=weight_decay",
        adam_beside,
    ),
    "no decay where AdamW has the matrices": (
        optimizer.make_optimizers,
        "params=[*matrices], weight_decay=weight_decay",
        "params=[*matrices], weight_decay=0.0",
        adam_alone,
    ),
    # ------------------------------------------------------------------------ the learning rate
    "a rate that rises from 0": (
        settings.lr_multiplier,
        "(step + 1) / rising",
        "step / rising",
        rates,
    ),
    "a rate that falls from the first step on": (
        settings.lr_multiplier,
        "max(1, total - rising)",
        "total",
        rates,
    ),
    "a rate one step ahead": (
        settings.lr_multiplier,
        "(total - step)",
        "(total - step - 1)",
        rates,
    ),
    "linear whatever the decay": (
        settings.lr_multiplier,
        "DECAYS[settings.decay]",
        'DECAYS["linear"]',
        cosine,
    ),
    "a rate that ends at 0": (
        settings.lr_multiplier,
        "settings.final_lr + (1 - settings.final_lr) * left",
        "left",
        rates,
    ),
    "a floor under the whole fall": (
        settings.lr_multiplier,
        "settings.final_lr + (1 - settings.final_lr) * left",
        "max(settings.final_lr, left)",
        cosine,
    ),
    "the schedule applied to what it left": (
        TrainingRun.update,
        'multiplier * group["peak"]',
        'multiplier * group["lr"]',
        followed,
    ),
    "a schedule for Muon alone": (
        TrainingRun.update,
        "for group in optimizer.param_groups",
        "for group in self.optimizers[0].param_groups",
        followed,
    ),
    "the other rate in the record": (
        TrainingRun.update,
        "self.lr = multiplier * self.settings.lr",
        "self.lr = multiplier * self.settings.muon_lr",
        followed,
    ),
    # -------------------------------------------------------------------------------- the steps
    "weights that are no numbers saved by a stop": (
        TrainingRun.log_and_save,
        "self.check_weights()",
        "pass",
        stopped_poisoned,
    ),
    "weights that are no numbers saved by an evaluation": (
        TrainingRun.validate,
        "self.check_weights()",
        "pass",
        evaluated_poisoned,
    ),
    "an evaluation that is no number taken for one": (
        TrainingRun.validate,
        'check_finite("validation", val, self.step, self.settings)',
        "pass",
        partial(test_trainer.test_an_evaluation_that_is_no_number_is_a_divergence, math.inf),
    ),
    "gradients of sums": (
        TrainingRun.loss_and_gradients,
        "p.grad *= self.world_size / (weight or 1)",
        "p.grad *= self.world_size",
        unclipped,
    ),
    "gradients divided by the number of tokens": (
        TrainingRun.loss_and_gradients,
        "p.grad *= self.world_size / (weight or 1)",
        "p.grad *= self.world_size / self.tokens_per_step",
        unclipped,
    ),
    "clipped before the division": (
        training_run.backward,
        "    return loss_sum, weight",
        "    torch.nn.utils.clip_grad_norm_(terms.parameters(), 1.0)\n    return loss_sum, weight",
        mild,
    ),
    "clipped at 1 whatever was asked": (
        TrainingRun.update,
        "(self.model.parameters(), largest)",
        "(self.model.parameters(), 1.0)",
        clipped,
    ),
    "each value clipped and not the norm": (
        TrainingRun.update,
        "clip_grad_norm_(",
        "clip_grad_value_(",
        clipped,
    ),
    "no clipping taken for a clip at 0": (
        TrainingRun.update,
        "self.settings.grad_clip or math.inf",
        "self.settings.grad_clip",
        unclipped,
    ),
    "the loss of the last part for that of the batch": (
        training_run.backward,
        "loss_sum += part_sum.item()",
        "loss_sum = part_sum.item()",
        unclipped,
    ),
    "the tokens of one part of a step": (
        TrainingRun.prepare,
        "tokens_per_step = windows * data.length",
        "tokens_per_step = settings.batch_size * data.length",
        unclipped,
    ),
    "dropout alike in all steps": (
        TrainingRun.loss_and_gradients,
        "settings.seed + 3 + self.step * self.world_size + self.rank",
        "settings.seed + 3 + self.rank",
        dropped,
    ),
    "no dropout after an evaluation": (
        TrainingRun.loss_and_gradients,
        "model.train()",
        "pass",
        dropped,
    ),
    "epochs of single batches": (
        settings.total_steps,
        "settings.batch_size * settings.grad_accumulation * data.length",
        "settings.batch_size * data.length",
        test_trainer.test_epochs_count_every_batch_of_a_step,
    ),
    "bfloat16 on a GPU without it": (
        settings.precision,
        "including_emulation=False",
        "",
        partial(half_precision, False),
    ),
    "bfloat16 on the CPU of a machine whose GPU has it": (
        settings.precision,
        'device.type != "cuda"',
        "False",
        partial(half_precision, True),
    ),
    "a gradient clipped before its multiple is divided out": (
        TrainingRun.update,
        "self.scaler.unscale_(optimizer)",
        "pass",
        float16,
    ),
    "steps along a gradient that overflowed": (
        TrainingRun.update,
        "if not overflow:",
        "if True:",
        halved,
    ),
    "a multiple that stays too large": (
        TrainingRun.update,
        "self.scaler.update()",
        "self.scaler.update(self.scaler.get_scale())",
        halved,
    ),
    "the multiple of the loss forgotten": (
        TrainingRun.save,
        "scaler=self.scaler.state_dict(),",
        "scaler={},",
        halved,
    ),
    # -------------------------------------------------------------------- evaluations and saves
    "a resumed run that forgets its best": (
        resume.restore,
        'state["best"]',
        "math.inf",
        best_resumed,
    ),
    "the last of several that are equally good": (
        TrainingRun.save,
        "val < self.best",
        "val <= self.best",
        best_resumed,
    ),
    "better than the one before taken for the best": (
        TrainingRun.save,
        "min(self.best, val)",
        "val",
        best_straight,
    ),
    "every checkpoint called the best": (
        TrainingRun.save,
        "best=improved",
        "best=True",
        best_straight,
    ),
    "the first called the best for ever": (
        checkpoint.save,
        'if best or "best" not in pointer:',
        'if "best" not in pointer:',
        best_straight,
    ),
    "the highest value called the best": (
        TrainingRun.save,
        "val < self.best",
        "-val < self.best",
        best_straight,
    ),
    "an evaluation while the clock runs": (
        TrainingRun.update,
        "self.step += 1",
        "self.step += 1\n"
        "    if self.evaluation_is_due():\n"
        "        validation(self.model, self.data, self.settings)",
        clock,
    ),
    "seconds that begin anew where a run goes on": (
        resume.restore,
        'state["seconds"]',
        "0.0",
        clock,
    ),
    "seconds of the last step": (
        TrainingRun.stopwatch,
        "self.seconds += time",
        "self.seconds = time",
        clock,
    ),
    "numbers that travel in float32": (
        distributed.all_reduce_sum,
        ", dtype=torch.float64",
        "",
        test_distributed.test_numbers_of_one_process_are_kept_in_full,
    ),
    # --------------------------------------------------------------------------------- networks
    "rotary frequencies of half the width": (
        transformer.rotations,
        "/ d_head)",
        "/ (d_head // 2))",
        angles,
    ),
    "one frequency for two pairs": (
        transformer.rotations,
        "torch.arange(0, d_head, 2, dtype=torch.float64) / d_head",
        "torch.arange(d_head // 2, dtype=torch.float64) / d_head",
        test_networks.test_equal_vectors_at_a_distance_agree_by_the_known_cosine,
    ),
    "positions that turn the other way": (
        transformer.rotations,
        "angle.sin()",
        "-angle.sin()",
        angles,
    ),
    "attention as blunt as usual": (
        Attention.forward,
        "scale=SHARPNESS / q.shape[-1]",
        "scale=q.shape[-1] ** -0.5",
        causal,
    ),
    "sharpness over the root of the width": (
        Attention.forward,
        "SHARPNESS / q.shape[-1]",
        "SHARPNESS / q.shape[-1] ** 0.5",
        causal,
    ),
    "heads that cut across queries, keys and values": (
        Attention.forward,
        ".view(B, L, 3, self.n_head, D // self.n_head)",
        ".view(B, L, self.n_head, 3, D // self.n_head).transpose(2, 3)",
        causal,
    ),
    "values normed with queries and keys": (
        Attention.forward,
        "qkv[:, :, 2])",
        "rms_norm(qkv[:, :, 2]))",
        causal,
    ),
    "values turned with queries and keys": (
        Attention.forward,
        "qkv[:, :, 2])",
        "rotate(qkv[:, :, 2], self.turns[start : start + L, 0]))",
        causal,
    ),
    "queries turned before they are normed in pairs": (
        Attention.forward,
        "rms_norm(qkv[:, :, :2])",
        "rms_norm(qkv[:, :, :2].unflatten(-1, (-1, 2))).flatten(-2)",
        causal,
    ),
    "an MLP that reads what is not normed": (
        Block.forward,
        "self.mlp(rms_norm(h))",
        "self.mlp(h)",
        causal,
    ),
    "an MLP that reads what attention read": (
        Block.forward,
        "y, cache = self.attention(rms_norm(h), cache)\n"
        "    h = h + self.dropout(y)\n"
        "    return h + self.dropout(self.mlp(rms_norm(h))), cache",
        "y, cache = self.attention(rms_norm(h), cache)\n"
        "    return h + self.dropout(y) + self.dropout(self.mlp(rms_norm(h))), cache",
        causal,
    ),
    "a gate without SiLU": (SwiGLU.forward, "F.silu(gate)", "gate.sigmoid()", causal),
    "the gate and the gated swapped": (SwiGLU.forward, "gate, up =", "up, gate =", causal),
    "ReLU not squared": (SquaredReLU.forward, "squared_relu(", "F.relu(", plain_mlp),
    "logits of what is not normed": (Network.read, "rms_norm(h)", "h", causal),
    "embeddings at their own size": (
        Network.embed,
        "rms_norm(self.embedding(z))",
        "self.embedding(z)",
        causal,
    ),
    "the time told as fast frequencies": (
        TimeFeatures.forward,
        "* self.frequencies",
        "* self.frequencies * 2 * math.pi",
        timed,
    ),
    "a fresh network that begins with an earlier token": (
        Transformer.__init__,
        "self.conv[self.before]",
        "self.conv[0]",
        partial(test_networks.test_a_fresh_transformer_begins_with_the_token_itself, "ar", 4),
    ),
    "weights as large as the outputs ask": (
        base.Linear.__init__,
        "math.sqrt(d_in)",
        "math.sqrt(d_out)",
        sizes,
    ),
    "embeddings that begin at 1": (Network.__init__, "std=0.02, ", "", sizes),
    "a convolution that begins too wide": (
        Mixer.__init__,
        "uniform_(-(K**-0.5), K**-0.5,",
        "uniform_(-1, 1,",
        sizes,
    ),
    "a step size of half the rank": (
        Mixer.__init__,
        "math.ceil(D / 16)",
        "math.ceil(D / 32)",
        sizes,
    ),
    "two readers not normed before they meet": (
        Hollow.forward,
        "rms_norm(before) + rms_norm(after)",
        "before + after",
        two_readers,
    ),
    "a reader that is not told the time": (
        Hollow.forward,
        "self.shifted(z.flip(1)), t)",
        "self.shifted(z.flip(1)), torch.zeros_like(t))",
        two_readers,
    ),
    "half the layers, rounded down": (
        Hollow.__init__,
        "(sizes.n_layer + 1) // 2",
        "max(1, sizes.n_layer // 2)",
        layers,
    ),
    "an MLP more than was asked for": (
        Hollow.__init__,
        "if not sizes.n_inner:",
        "if False:",
        layers,
    ),
    "an inner width rounded down": (
        transformer.inner_width,
        "round(",
        "int(",
        test_networks.test_inner_widths_by_hand,
    ),
    "decays that are logarithms": (
        Mixer.selected,
        "-torch.exp(self.A_log)",
        "-self.A_log.abs()",
        one_mamba,
    ),
    "step sizes without their bias": (
        Mixer.selected,
        ", self.delta_bias",
        "",
        one_mamba,
    ),
    "no way past the state": (
        Mixer.forward,
        "torch.addcmul(y.permute(2, 0, 1), self.D, x)",
        "y.permute(2, 0, 1)",
        one_mamba,
    ),
    "a gate past which all goes": (Mixer.forward, "* F.silu(z)", "* z.sigmoid()", one_mamba),
    "a convolution without SiLU": (
        Mixer.forward,
        "F.silu(short_conv(padded, self.conv, self.conv_bias))",
        "short_conv(padded, self.conv, self.conv_bias)",
        one_mamba,
    ),
    "a chunk that forgets what was before": (
        mamba2.dual,
        "kept * now + added @ x_k",
        "added @ x_k",
        two_chunks,
    ),
    "what is handed on does not decay within its chunk": (
        mamba2.dual,
        "to_end = (c[..., -1:] - c).exp()",
        "to_end = torch.ones_like(c)",
        two_chunks,
    ),
    "a token that sees a later one of its chunk": (
        mamba2.dual,
        ".triu(1)",
        ".triu(2)",
        two_chunks,
    ),
    "a decay divided by a decay": (
        mamba2.dual,
        "apart.masked_fill(later, -math.inf).exp()",
        "(c.exp()[..., None] / c.exp()[..., None, :]).masked_fill(later, 0)",
        test_mamba2.test_a_decay_that_float32_cannot_hold_is_zero_and_not_nan,
    ),
    "a norm that comes before the gate": (
        mamba2.Mixer.forward,
        "rms_norm(y.flatten(-2) * F.silu(z))",
        "rms_norm(y.flatten(-2)) * F.silu(z)",
        one_mamba2,
    ),
    "B and C turned the other way": (
        mamba2.turned,
        "phase(-angle)",
        "phase(angle)",
        turning,
    ),
    "a state that is handed on as it was at the start": (
        mamba2.turned,
        "rotate(last.mT.contiguous(), phase(angle[-1])[:, :, None]).mT",
        "last",
        cut,
    ),
    "a turn whatever the step size": (
        mamba2.turned,
        "delta.to(A.dtype)",
        "torch.ones_like(delta)",
        turning,
    ),
    "angles added up in 16 bits": (
        mamba2.turned,
        "delta.to(A.dtype)",
        "delta",
        test_mamba2.test_angles_are_added_up_in_the_precision_of_the_weights,
    ),
    "a one that turns by one radian": (
        mamba2.Mixer.forward,
        "math.pi * self",
        "self",
        partial(
            test_mamba2.test_a_turning_state_counts_ones_modulo_two_at_any_length,
            torch.float64,
            1e-9,
        ),
    ),
    "the backward mixer not turned back": (
        MambaBlock.forward,
        "[0].flip(0)",
        "[0]",
        two_mambas,
    ),
    "a stratum as wide as all": (
        schedules.stratified_uniform,
        "(d + u) / num_samples",
        "(d + u * num_samples) / num_samples % 1",
        test_schedules.test_a_stratum_is_uniform_within_its_own_part,
    ),
    # ---------------------------------------------------------------------- texts and tokenizers
    "characters per token of the training split": (
        corpora.Corpus.tokens,
        "len(self.validation), fingerprint",
        "len(self.train), fingerprint",
        test_corpora.test_a_corpus_as_tokens_by_hand,
    ),
    "tokens per character": (
        corpora.TokenizedCorpus.__init__,
        "tokens.characters / len(tokens.validation)",
        "len(tokens.validation) / tokens.characters",
        test_corpora.test_a_corpus_as_tokens_by_hand,
    ),
    "the end of the held-out text dropped": (
        corpora.windows,
        "return [part for part in parts if part.numel()]",
        "return [part for part in parts[:1] if part.numel()]",
        test_corpora.test_a_corpus_as_tokens_by_hand,
    ),
    "epochs counted in tokens": (
        corpora.WindowBatches.epoch.fget,
        "len(self._starts)",
        "len(self.tokens)",
        test_corpora.test_how_often_a_text_has_been_served_by_hand,
    ),
    "merges across words": (
        BPETokenizer.train.__func__,
        "add_prefix_space=False)",
        "add_prefix_space=False, use_regex=False)",
        test_tokenizers.test_byte_pairs_by_hand,
    ),
    "one merge fewer than asked for": (
        BPETokenizer.train.__func__,
        "vocab_size=vocab_size,",
        "vocab_size=vocab_size - 1,",
        test_tokenizers.test_byte_pairs_by_hand,
    ),
    "sequences written in characters": (
        tokenizers.build,
        '"word" if corpus.sequence_length else "char"',
        '"char"',
        test_tokenizers.test_without_a_name_sequences_are_written_in_words_and_other_texts_in_characters,
    ),
    "a character never seen read as the mask": (
        tokenizers.CharTokenizer.encode,
        "beyond + ord(c)",
        "self.vocab_size",
        test_tokenizers.test_characters_tell_seen_from_unseen,
    ),
    "four fifths to train on": (
        corpora._first_ninety_percent,
        "* 9 // 10",
        "* 8 // 10",
        test_corpora.test_a_file_is_split_by_characters_and_keeps_its_newlines,
    ),
    "an epoch without its last window": (
        corpora.WindowBatches._begin,
        "torch.randperm(count,",
        "torch.randperm(count - 1,",
        served,
    ),
    "windows that overlap": (
        corpora.WindowBatches._begin,
        "self.length * order",
        "self.length // 2 * order",
        served,
    ),
    "the same cuts in every epoch": (
        corpora.WindowBatches._begin,
        "int(torch.randint(room, (), generator=self.generator))",
        "0",
        served,
    ),
    "windows in the order of the text": (
        corpora.WindowBatches._begin,
        "torch.randperm(count, generator=self.generator)",
        "torch.arange(count)",
        served,
    ),
    "an epoch begun anew where a run goes on": (
        corpora.WindowBatches.load_state_dict,
        "self._position = state",
        "state",
        partial(test_corpora.test_a_resumed_stream_goes_on_as_if_never_interrupted, 2),
    ),
    "the place in an epoch saved without the epoch's order": (
        corpora.WindowBatches.state_dict,
        "self._generator_state",
        "self.generator.get_state()",
        partial(test_corpora.test_a_resumed_stream_goes_on_as_if_never_interrupted, 2),
    ),
    "a log that keeps what came after": (
        Log.__init__,
        ' if r["step"] <= keep_to',
        "",
        log,
    ),
    "a log that drops the step it goes on from": (
        Log.__init__,
        "<= keep_to",
        "< keep_to",
        log,
    ),
    "noise that moves between evaluations": (
        training_run.validation,
        "generator = torch.Generator(model.device).manual_seed(settings.seed + 2)",
        "generator = torch.Generator(model.device)\n    generator.seed()",
        validated,
    ),
    "every window in an evaluation while training": (
        training_run.validation,
        ", max_windows=settings.eval_windows",
        "",
        validated,
    ),
    # --------------------------------------------------------------------------------- shards
    "documents that nothing ends": (
        encode_parallel._encode,
        "[*tokenizer.encode(text), end]",
        "tokenizer.encode(text)",
        shards_by_hand,
    ),
    "the end of a document at its head": (
        encode_parallel._encode,
        "[*tokenizer.encode(text), end]",
        "[end, *tokenizer.encode(text)]",
        shards_by_hand,
    ),
    "characters counted in bytes": (
        encode_parallel._encode,
        "len(text)",
        "len(text.encode())",
        shards_by_hand,
    ),
    "held-out documents cut where the count is full": (
        writer._fill,
        "room = len(ids) if name == VALIDATION else plan",
        "room = plan",
        shards_by_hand,
    ),
    "a last shard as long as the others": (
        writer._fill,
        "min(size, tokens - start)",
        "size",
        shards_by_hand,
    ),
    "held-out documents trained on": (
        folder.Shards.tokens,
        "for name in files if name != VALIDATION",
        "for name in files",
        shards_by_hand,
    ),
    "characters of all splits": (
        folder.Shards.tokens,
        'files[VALIDATION]["characters"]',
        'sum(facts["characters"] for facts in files.values())',
        shards_by_hand,
    ),
    "tokens in the order of the disk and not as asked": (
        folder.Stream.__getitem__,
        "place[part == k]]",
        "np.sort(place[part == k])]",
        shards_by_hand,
    ),
    # -------------------------------------------------------------------------------- the flags
    "the seed does not reach the weights": (
        Train.begin,
        "seed=self.settings.seed,",
        "",
        flags,
    ),
    "the schedule of the noise ignored": (
        Train.begin,
        "**vars(self.paradigm),",
        "",
        flags,
    ),
    "the size of the vocabulary ignored": (
        Text.build,
        "self.tokenizer, corpus, self.bpe_vocab_size",
        "self.tokenizer, corpus, 500",
        flags,
    ),
    "the usual block whatever was asked": (
        Text.load,
        "if block_size == NetworkConfig.block_size and corpus.sequence_length and in_words:\n"
        "        block_size = corpus.sequence_length",
        "block_size = corpus.sequence_length or NetworkConfig.block_size",
        flags,
    ),
    "sizes of shards and of what is held out swapped": (
        PrepareFineweb.run,
        "self.shard_tokens,\n            self.validation_tokens,",
        "self.validation_tokens,\n            self.shard_tokens,",
        prepared,
    ),
    "as many workers as it likes": (
        PrepareFineweb.run,
        "self.workers,",
        "",
        prepared,
    ),
    "a job told to end by SIGTERM takes itself for finished": (
        signals.install_handlers,
        "number == signal.SIGINT else EXIT_REQUEUE",
        "number != signal.SIGUSR1 else EXIT_REQUEUE",
        partial(test_main.test_what_asked_a_training_to_stop_decides_its_status, "SIGTERM", 75),
    ),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_every_mutant_dies(name, monkeypatch, tmp_path):
    dies(monkeypatch, MUTANTS[name], tmp_path)
