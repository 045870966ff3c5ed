"""What a model is measured by, what it is measured against, and differences between models."""

from dataclasses import asdict

import torch

from ..paradigms import parameters
from . import ngram
from .cost import generation_speed
from .ground_truth import against_the_truth
from .likelihood import (
    Estimate,
    accuracy,
    bits_per_character,
    nats_per_bit,
    of_windows,
    per_token,
    window_nats,
)

COUNTED = 12_000_000  # tokens that n-gram models count, at most: more take minutes and gigabytes
CANDIDATES = 2_000  # ids, at most, that an autoregressive model tries one by one


def baselines(data, orders=(0, 1, 3, 5)):
    """Rows as those of `measure`: n-gram models counted on the training text, or on the beginning
    of a very long one, scored in the same windows, the best of them also without windows, and the
    language itself where it is known."""
    train, x = data.train[:COUNTED], data.validation
    held_out = torch.cat([part.flatten() for part in x])
    vocab_size = data.tokenizer.vocab_size

    def row(name, nll):
        whole = nll[: x[0].numel()].view(x[0].shape).mean(1)
        nats = Estimate(nll.mean().item(), of_windows(data.aligned)(whole).se)
        return dict(
            name=name,
            exact=True,
            windows=whole.tolist(),
            nats_per_token=asdict(nats),
            bits_per_character=asdict(bits_per_character(nats, data)),
            tokens=0 if name == "uniform" else len(train),
        )

    def count(order, length):
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


def floors(data, rows):
    """Lines to hold a learning curve against, label -> nats per token: where the language is known
    its entropy and the best that k words of memory can do, else the n-gram models in `rows`."""
    truth = data.truth
    if truth is None:
        counted = [row for row in rows if row["name"] in ("1-gram", "3-gram", "5-gram")]
        return {row["name"]: row["nats_per_token"]["mean"] for row in counted}
    lines = {f"memory of {k}": truth.k_gram_entropy(k, data.length) for k in (1, 3, 5)}
    return {**lines, "entropy": truth.entropy(data.length) / data.length}


def by_exam(measured):
    """Group pairs (row, Data) by the windows that were measured: a list of (Data, rows)."""
    exams = {}
    for row, data in measured:
        exam = data.corpus.fingerprint, data.fingerprint, data.length
        exams.setdefault(exam, (data, []))[1].append(row)
    return [*exams.values()]


SIGNS = {(True, True): "= ", (False, True): "<= ", (True, False): ">= ", (False, False): ""}
"""(a number is exact, the one subtracted is exact) -> what may be said of the true difference;
nothing where both are bounds, which says which bound is lower and not which model is better"""


def add_differences(rows, data):
    """Replace the `windows` of rows of `measure` and `baselines` on one Data by `difference`: how
    many bits per character each row but the first has more than the first, and the standard error
    of that, from the differences window by window. Rows with other windows get none."""
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


def measure(model, data, seed=0, draws=8, max_windows=None, steps=64):
    """Everything above for one model, as a dict that JSON can hold. windows: the nats per token of
    each full window, which `add_differences` takes away again.

    The reverse question is None for an autoregressive model of a large vocabulary: it would take
    as many passes as there are ids.
    """
    generator = torch.Generator(model.device).manual_seed(seed)
    windows = window_nats(model, data, generator, draws, max_windows)
    nats = per_token(windows, data)
    answers = not model.causal or data.tokenizer.vocab_size <= CANDIDATES
    return dict(
        exact=model.exact,
        windows=(windows[0][1] / data.length).tolist(),
        nats_per_token=asdict(nats),
        bits_per_character=asdict(bits_per_character(nats, data)),
        forward=asdict(accuracy(model, data, -1, generator)),
        reverse=asdict(accuracy(model, data, 0, generator)) if answers else None,
        speed=asdict(generation_speed(model, data.length, generator, steps)),
        parameters=parameters(model),
        truth=against_the_truth(model, data, windows, generator, steps) if data.truth else None,
    )
