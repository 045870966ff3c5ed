"""The command `evaluate`: compare trained models."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from .. import atomic, evaluate
from ..data import corpora
from ..errors import InputError, check_positive, check_seed, lookup
from ..evaluate.tables import Row
from ..paradigms import PRESETS, Paradigm
from ..studies import counts
from ..training import checkpoint
from .registry import DECODINGS, IN_STEPS, flag
from .shared import Command, Goes, check_output, goes_with_paradigms, paradigms, progress, working


@dataclass(frozen=True)
class Evaluate(Command):
    """Compare trained models in one table, in one unit.

    "=" marks an exact likelihood, "<=" an upper bound; ± is one standard error, which on running
    text allows for the similarity of neighbouring windows. "minus" is the difference from the first
    model, window by window, with its own standard error. Examples:

      nanoparadigm evaluate
      nanoparadigm evaluate --checkpoint runs/ar runs/diffusion runs/flow runs/mamba
      nanoparadigm evaluate --checkpoint runs/ar --dataset another.txt --eval_windows 200
      nanoparadigm evaluate --checkpoint runs/compare/diffusion --decoding all
    """

    checkpoint: tuple[str, ...] = ()
    """folders of runs (default: every run under runs/)"""
    dataset: str | None = None
    """text to evaluate on (default: the one each model was trained on)"""
    eval_windows: int | None = None
    """validation windows to use (default: all)"""
    draws: int = 8
    """noisy copies of each window, for the bounds"""
    sampling_steps: flag(int, f"steps of {IN_STEPS} when they generate") = 64
    decoding: flag(
        tuple[str, ...],
        f"compare decoding strategies instead, on the language: all, or some of {DECODINGS}",
    ) = ()
    n: int = 512
    """texts to generate with each strategy"""
    baselines: bool = True
    """add rows for n-gram models, counted in the models' symbols and windows, and for the truth"""
    counts: bool = False
    """add rows for the models whose networks may lean on counts of the training text, n-grams to
    either side that they see, and for masked diffusion by such counts alone"""
    seed: int = 0
    """seed of the noise"""
    json: str | None = None
    """file to write the numbers to, as well"""

    @property
    def paths(self) -> Sequence[str]:
        """Return the folders of the runs to evaluate."""
        return self.checkpoint or sorted(str(p.parent) for p in Path("runs").glob("*/run.json"))

    def goes(self) -> Goes:
        """Return which flags have an effect: see `Command.goes`."""
        rows, ways = (not self.decoding, "without --decoding"), (self.decoding, "with --decoding")
        models = goes_with_paradigms(paradigms(self.paths))
        draws = models["draws"] if rows[0] else rows
        return models | dict(draws=draws, eval_windows=rows, baselines=rows, counts=rows, n=ways)

    def run(self) -> None:
        """Measure the models and print the tables. Raises InputError if no model can be read."""
        check_positive(self, ["draws", "sampling_steps", "eval_windows", "n"])
        check_seed(self.seed)
        check_output("json", self.json)
        other = self.dataset and corpora.load(self.dataset)
        rows, leaning, problems, read, texts = [], [], [], [], {}
        for path in progress(self.paths, "evaluating"):
            try:
                saved = checkpoint.load(path)
                length = saved.config["recipe"]["block_size"]
                data = (
                    corpora.TokenizedCorpus(other, saved.tokenizer, length)
                    if other
                    else corpora.of_run(saved)
                )
                if self.decoding:
                    rows += self.decodings(path, saved.model, data)
            except InputError as error:
                problems.append(error)
                continue
            read.append(data)
            corpus = data.corpus
            own = not other or corpora.is_text_of(saved.config, other, saved.tokenizer)
            name = path if own else f"{path} (trained on another text)"
            texts.setdefault(corpus.fingerprint, (corpus, []))[1].append(name)
            if self.decoding:
                continue
            numbers = evaluate.measure(
                saved.model, data, self.seed, self.draws, self.eval_windows, self.sampling_steps
            )
            text = dict(corpus=corpus.name, corpus_sha256=corpus.fingerprint)
            rows.append(dict(name=path, **text, tokens=saved.config["tokens"], **numbers))
            if self.counts and counts.leans(saved.model):
                try:
                    extra = self.with_counts(path, saved.model, data)
                    leaning += [(text | row, data) for row in extra]
                except InputError as error:
                    problems.append(InputError(f"{path} with counts: {error}"))
        if not rows:
            reasons = "; ".join(dict.fromkeys(map(str, problems)))
            raise InputError(f"no model to evaluate: {reasons or 'nanoparadigm train makes one'}")
        for error in problems:
            print(f"left out: {error}", file=sys.stderr)
        if self.decoding:
            if len(texts) > 1:
                raise InputError("these models read different languages: name one with --dataset")
            rows.append(evaluate.decoding_of_language(read[-1], self.seed, self.n))
            print(evaluate.decoding_table(rows), end="")
            self.save(rows)
            return
        exams = evaluate.by_exam([*zip(rows, read, strict=True), *leaning])
        for data, taken in exams:
            if self.baselines and len(texts) == 1:
                symbols = f"{data.tokenizer.vocab_size} symbols ({data.tokenizer.kind})"
                exam = f", {symbols}, windows of {data.length}" if len(exams) > 1 else ""
                with working("counting n-grams"):
                    counted = evaluate.baselines(data)
                counted = [{**row, "name": row["name"] + exam} for row in counted]
                rows += counted
                taken += counted
            evaluate.add_differences(taken, data)
        extra = [row for row, _ in leaning]
        print(evaluate.table(rows), end="")
        if truths := evaluate.truth_table(rows):
            print(f"\n{truths}", end="")
        if leaning:
            print(f"\nWith counts of the training text:\n\n{evaluate.table(extra)}", end="")
        for corpus, names in texts.values():
            print(f"{', '.join(names)}: on the validation split of {corpus.path or corpus.name}.")
        if len(texts) > 1:
            print("These were evaluated on different texts: name one with --dataset to compare.")
        self.save(rows + extra)

    def with_counts(self, path: str, model: Paradigm, data: corpora.TokenizedCorpus) -> list[Row]:
        """Return rows of a model that leans on counts and, if it is a masked diffusion, of the
        counts without it. Raises InputError for too many symbols."""
        with working("counting"):
            counted = counts.counts_of(data)
        models = [(f"{path} +", counts.leaning(model, counted, data))]
        if not model.causal:
            models.append(("without a network:", counts.counted_alone(counted)))
        return [
            counts.measured(
                name, twin, data, torch.Generator().manual_seed(self.seed), self.draws,
                self.eval_windows,
            )
            for name, twin in models
        ]  # fmt: skip

    def decodings(self, path: str, model: Paradigm, data: corpora.TokenizedCorpus) -> list[Row]:
        """Return a row for each decoding strategy that was asked for and that the model has.

        Raises InputError if the language of its text is not known.
        """
        if not data.truth:
            raise InputError(
                f"{path} reads {data.corpus.name} in {data.tokenizer.kind} tokens, and "
                "decoding strategies are measured against a known language: train one with "
                "--dataset language"
            )
        known = {name: name for p in PRESETS.values() for name in p.paradigm.decodings}
        names = [lookup("decoding", name, known | {"all": "all"}) for name in self.decoding]
        chosen = [name for name in model.decodings if name in names or "all" in names]
        return [
            evaluate.decoding_metrics(
                model, data, f"{path}: {name}", dict(model.decodings[name]),
                self.seed, self.sampling_steps, self.n,
            )
            for name in progress(chosen, path)
        ]  # fmt: skip

    def save(self, rows: list[Row]) -> None:
        """Write the rows to the file of --json, if there is one."""
        if self.json:
            atomic.write_json(self.json, rows)
