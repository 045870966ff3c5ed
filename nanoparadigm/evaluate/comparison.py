"""Measure a model, and what it is compared with: baselines, the known language, other models."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict

import torch
from torch import Tensor

from ..data.corpus import TokenizedCorpus
from ..paradigms import Paradigm, parameters
from . import ngram
from .cost import generation_speed
from .ground_truth import ground_truth_metrics
from .likelihood import (
    Estimate,
    accuracy,
    bits_per_character,
    nats_per_bit,
    of_windows,
    per_token,
    window_nats,
)
from .tables import Row

MAX_COUNTED_TOKENS = 12_000_000
"""how many tokens n-gram models count: more take minutes and gigabytes"""
MAX_CANDIDATES = 2_000
"""how many ids an autoregressive model tries one by one"""


def baselines(data: TokenizedCorpus, orders: Sequence[int] = (0, 1, 3, 5)) -> list[Row]:
    """Return rows like those of `measure` for n-gram models and, where it is known, the language.

    The n-gram models are counted on the first MAX_COUNTED_TOKENS tokens of the training text and
    scored in the same windows as every model; the last of `orders` also without windows, if the
    windows are not sequences of their own.
    """
    train, x = data.train[:MAX_COUNTED_TOKENS], data.validation
    held_out = torch.cat([part.flatten() for part in x])
    vocab_size = data.tokenizer.vocab_size

    def row(name: str, nll: Tensor) -> Row:
        whole = nll[: x[0].numel()].view(x[0].shape).mean(1)
        nats = Estimate(nll.mean().item(), of_windows(data.aligned)(whole).se)
        return dict(
            name=name,
            exact=True,
            **scores(nats, whole, data),
            tokens=0 if name == "uniform" else len(train),
        )

    def count(order: int, length: int | None) -> Tensor:
        nll = ngram.token_nll(train, held_out, vocab_size, order, length)
        return torch.from_numpy(nll)

    rows = [row(f"{n}-gram" if n else "uniform", count(n, data.length)) for n in orders]
    if not data.aligned:
        rows.append(row(f"{orders[-1]}-gram, no windows", count(orders[-1], None)))
    if data.truth:
        truth = data.truth
        p = truth.P[truth.walk(x[0])[:, :-1], x[0]]
        rows.append({**row("the truth", -p.log().flatten()), "tokens": 0})
    return rows


def scores(nats: Estimate, windows: Tensor, data: TokenizedCorpus) -> Row:
    """Return the keys of a row that `measure` takes from nats per token: of all tokens, and of each
    full window (n,)."""
    bits = bits_per_character(nats, data)
    return dict(
        windows=windows.tolist(), nats_per_token=asdict(nats), bits_per_character=asdict(bits)
    )


def reference_levels(data: TokenizedCorpus, rows: list[Row]) -> dict[str, float]:
    """Return the levels to compare a learning curve with: label -> nats per token.

    If the language is known: its entropy, and the best that k words of context can do. Otherwise:
    the n-gram models among `rows`, those of `baselines`.
    """
    truth = data.truth
    if truth is None:
        counted = [row for row in rows if row["name"] in ("1-gram", "3-gram", "5-gram")]
        return {row["name"]: row["nats_per_token"]["mean"] for row in counted}
    lines = {f"memory of {k}": truth.k_gram_entropy(k, data.length) for k in (1, 3, 5)}
    return {**lines, "entropy": truth.entropy(data.length) / data.length}


def by_exam(
    measured: Iterable[tuple[Row, TokenizedCorpus]],
) -> list[tuple[TokenizedCorpus, list[Row]]]:
    """Group pairs (row, data) by the windows that the row was measured on: pairs (data, rows)."""
    exams: dict[tuple[str, int, int], tuple[TokenizedCorpus, list[Row]]] = {}
    for row, data in measured:
        exam = data.corpus.fingerprint, data.fingerprint, data.length
        exams.setdefault(exam, (data, []))[1].append(row)
    return [*exams.values()]


SIGNS = {(True, True): "= ", (False, True): "<= ", (True, False): ">= ", (False, False): ""}
"""(a number is exact, the one subtracted is exact) -> how the true difference relates to theirs;
empty if both are bounds, which tells which bound is lower and not which model is better"""


def add_differences(rows: list[Row], data: TokenizedCorpus) -> None:
    """Replace the `windows` of rows that were measured on the same data by their `difference` from
    the first row.

    The difference is in bits per character, positive for a row that is worse than the first; its
    standard error comes from the differences window by window. The first row gets none, and neither
    does a row with another number of windows.
    """
    nats = [torch.tensor(row.pop("windows"), dtype=torch.float64) for row in rows]
    first = rows[0]
    for row, own in zip(rows[1:], nats[1:], strict=True):
        if len(own) == len(nats[0]):
            row["difference"] = dict(
                other=first["name"],
                sign=SIGNS[row["exact"], first["exact"]],
                mean=row["bits_per_character"]["mean"] - first["bits_per_character"]["mean"],
                se=of_windows(data.aligned)(own - nats[0]).se / nats_per_bit(data),
            )


def measure(
    model: Paradigm,
    data: TokenizedCorpus,
    seed: int = 0,
    num_samples: int = 8,
    max_windows: int | None = None,
    steps: int = 64,
) -> Row:
    """Measure a model by all that this package knows: return a dict that JSON can hold.

    exact: whether the likelihood is exact or a bound. windows: the nats per token of each full
    window, which `add_differences` removes again. nats_per_token, bits_per_character, forward and
    reverse (accuracies): a mean and its standard error each, as in `Estimate`. speed: as in
    `Speed`. parameters: how many. truth: `ground_truth_metrics`, None if the language is not known.
    reverse is None for an autoregressive model with more than MAX_CANDIDATES ids: it would take a
    pass for each.

    num_samples: noisy copies of each window, for a bound. max_windows: windows to score, all by
    default. steps: of the sampler. Raises InputError for a network that has diverged.
    """
    generator = torch.Generator(model.device).manual_seed(seed)
    windows = window_nats(model, data, generator, num_samples, max_windows)
    nats = per_token(windows, data)
    answers = not model.causal or data.tokenizer.vocab_size <= MAX_CANDIDATES
    return dict(
        exact=model.exact,
        **scores(nats, windows[0][1] / data.length, data),
        forward=asdict(accuracy(model, data, -1, generator)),
        reverse=asdict(accuracy(model, data, 0, generator)) if answers else None,
        speed=asdict(generation_speed(model, data.length, generator, steps)),
        parameters=parameters(model),
        truth=ground_truth_metrics(model, data, windows, generator, steps) if data.truth else None,
    )
