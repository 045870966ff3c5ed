"""One ruler for all: bits per character, accuracy in both directions, the cost of generating, and,
where the language is known, the distance to the truth.

Bits per character are `nll_bound` over the whole validation split, cut into the same windows for
every model, with all tokens paid for; "=" marks an exact likelihood, "<=" a bound. The standard
error is that of a mean over windows, each of which carries its own independent noise. Windows that
were drawn independently count one by one; those of a running text do not, because neighbours are
alike, and what is said of it holds for other texts like it (`Estimate.of_text`). Two models are
compared window by window.
"""

import math
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace

import torch
from torch import nn

from . import ngram
from .language import KINDS, grammatical
from .paradigms import parameters
from .paradigms.base import check_weights

COUNTED = 12_000_000  # tokens that n-gram models count, at most: more take minutes and gigabytes
CANDIDATES = 2_000  # ids, at most, that an autoregressive model tries one by one
SLIP = 1e-3  # the chance of a slip under which samples with mistakes are scored
LOGITS = 2**26  # that a network is asked for at once, at most: a quarter of a gigabyte
BLOCKS = 8  # of a text, at least, from whose spread its standard error is taken


@dataclass(frozen=True)
class Estimate:
    """A mean and its standard error."""

    mean: float
    se: float

    @classmethod
    def of(cls, values):
        """From independent values (n,)."""
        values = values.double()
        se = values.std() / len(values) ** 0.5 if len(values) > 1 else torch.tensor(math.nan)
        return cls(values.mean().item(), se.item())

    @classmethod
    def of_text(cls, values):
        """From values (n,) of windows in the order of a text, where neighbours are alike.

        The error is the largest of those computed from the means of blocks of 1, 2, 4, ...
        neighbouring windows, as long as there are at least BLOCKS blocks. Blocks that are longer
        than the text's memory have nearly independent means; how long that is, the values decide.
        It is never below the error of `of`. A spread that is estimated from few blocks is itself
        uncertain, so each error is multiplied by what Student's t has more than a normal at two
        errors (Abramowitz & Stegun 26.7.5): twice the error still covers the truth in about 95 of
        100 texts.
        """
        values, errors, blocks = values.double(), [], len(values)
        while blocks >= 2 and (not errors or blocks >= BLOCKS):
            means = torch.stack([block.mean() for block in values.tensor_split(blocks)])
            freedom = blocks - 1
            student = 1 + 1.25 / freedom + 1.53 / freedom**2
            errors.append((means.std() / blocks**0.5).item() * student)
            blocks = len(values) // 2 ** len(errors)
        return cls(values.mean().item(), max(errors, default=math.nan))


def of_windows(independent):
    """Return what makes an Estimate of values of windows, given in their order: `Estimate.of` where
    they are sequences that were drawn one by one, as those of a Data that is `aligned`."""
    return Estimate.of if independent else Estimate.of_text


def at_once(vocab_size, length, most):
    """How many texts of `length` tokens to give a network at once: `most`, or as few as LOGITS
    allow. The noise is drawn for them together, so this depends on nothing of the machine."""
    return max(1, min(most, LOGITS // (vocab_size * length)))


@torch.no_grad()
def window_nats(model, data, generator, draws=8, max_windows=None, batch_size=32):
    """Pairs of validation windows x (n, L) and their nll_bound (n,), float64: the full windows, or
    max_windows of them, and with all of them the shorter one at the end. InputError for a network
    that has diverged.
    """
    check_weights(model)
    model.eval()
    full, *rest = data.validation
    if max_windows is not None and max_windows < len(full):
        full, rest = full[torch.linspace(0, len(full) - 1, max_windows).round().long()], []

    def nats(x):
        parts = x.to(model.device).split(at_once(data.tokenizer.vocab_size, x.shape[1], batch_size))
        return torch.cat([model.nll_bound(part, generator, draws=draws) for part in parts])

    return [(x, nats(x).cpu().double()) for x in (full, *rest)]


def per_token(windows, data):
    """Estimate of the nats per token of what `window_nats` found: every token counts alike, and the
    standard error is of the full windows."""
    full, nats = windows[0]
    mean = sum(nats.sum() for _, nats in windows) / sum(x.numel() for x, _ in windows)
    return Estimate(mean.item(), of_windows(data.aligned)(nats / full.shape[1]).se)


def nats_per_token(model, data, generator, draws=8, max_windows=None, batch_size=32):
    """Estimate of nll_bound per token on data.validation, every window, or max_windows of them."""
    return per_token(window_nats(model, data, generator, draws, max_windows, batch_size), data)


@torch.no_grad()
def against_the_truth(model, data, windows, generator, steps=64, n=256):
    """How far a model is from the language its texts come from, as a dict.

    excess: nll_bound minus the exact -log p, nats per token, on the validation texts of `windows`
    (from `window_nats`): an estimate of the divergence KL(truth || model) per token, plus the slack
    of the bound. entropy: of the language, nats per token. surprise: -log p of n samples under the
    truth with slips, nats per token: lower than the entropy means sharpened, higher means mistakes.
    ungrammatical: the share of samples with a mistake; mistakes: how many of each kind a sample.
    """
    model.eval()
    truth, (x, nats) = data.truth, windows[0]
    samples = model.sample(n, data.length, generator, steps=steps).cpu()
    return dict(
        excess=asdict(Estimate.of((nats + truth.log_prob(x)) / data.length)),
        entropy=truth.entropy(data.length) / data.length,
        **worth(samples, truth),
    )


def worth(texts, truth):
    """surprise, ungrammatical and mistakes of texts (n, L), as in `against_the_truth`."""
    found = grammatical(texts)
    kinds = Counter(mistake.kind for mistakes in found for mistake in mistakes)
    return dict(
        surprise=asdict(Estimate.of(-truth.log_prob(texts, SLIP) / texts.shape[1])),
        ungrammatical=asdict(Estimate.of(torch.tensor([float(bool(m)) for m in found]))),
        mistakes={kind: kinds[kind] / len(texts) for kind in KINDS},
    )


def variety(texts, truth):
    """entropy and excess of texts (n, L), in nats per token, and their standard errors.

    In each state of the language an event is a word that may follow, or a mistake. entropy: of the
    next event in its state, as the texts have it: low where they repeat themselves; the language's
    own is `truth.entropy`. excess: the divergence of these events from those of the truth with
    slips. To forget all but the state and the event can only bring two laws nearer, so it is a
    lower bound of KL(sampler || truth) per token, up to noise and to what is left of the bias of
    counting after the correction of Miller and Madow: texts of the truth itself show how much.
    """
    n, L = texts.shape
    states = truth.walk(texts)[:, :-1]
    right, mistake = truth.P > 0, truth.V
    true = (1 - SLIP) * truth.P + SLIP / truth.V
    true = torch.cat([true * right, (true * ~right).sum(1, keepdim=True)], dim=1)
    event = states * true.shape[1] + torch.where(right[states, texts], texts, mistake)
    counts = event.flatten().bincount(minlength=true.numel()).view_as(true).double()
    log_p = (counts / counts.sum(1, keepdim=True)).log().flatten()[event]
    bias = ((counts > 0).sum(1) - 1).clamp(min=0).sum().item() / (2 * n * L)
    entropy = Estimate.of(-log_p.mean(1))
    excess = Estimate.of((log_p - true.log().flatten()[event]).mean(1))
    return dict(
        entropy=asdict(replace(entropy, mean=entropy.mean + bias)),
        excess=asdict(replace(excess, mean=excess.mean - bias)),
    )


@torch.no_grad()
def decoding(model, data, name, options, seed=0, steps=64, n=512, batch_size=128):
    """What the n texts that a model writes with these options are worth and what they cost, as a
    dict: calls of the network that a text took part in and positions computed for it, both means,
    and what `worth` and `variety` say. Equal seeds start all ways of writing alike."""
    model.eval()
    generator = torch.Generator(model.device).manual_seed(seed)
    options = {"steps": steps} | options
    sizes = [batch_size] * (n // batch_size) + [n % batch_size] * (n % batch_size > 0)
    with counting(model) as counted:
        texts = [model.sample(size, data.length, generator, **options).cpu() for size in sizes]
    texts = torch.cat(texts)
    cost = dict(calls=counted.rows / n, positions=counted.positions / n)
    truth = data.truth
    return dict(name=name, **cost, **worth(texts, truth), **variety(texts, truth))


def decoding_of_the_truth(data, seed=0, n=512):
    """The same for texts of the language itself: what a perfect writer gets."""
    truth = data.truth
    texts = truth.sample(n, data.length, torch.Generator().manual_seed(seed))
    return dict(name="the truth", **worth(texts, truth), **variety(texts, truth))


def decoding_table(rows):
    """Rows of `decoding`, in Markdown."""
    head = (
        "decoding",
        "network calls",
        "positions",
        "ungrammatical",
        "surprise",
        "entropy",
        "excess",
    )
    lines = [
        [
            row["name"],
            *(said(row.get(k), ",.0f") for k in ("calls", "positions")),
            percent(row["ungrammatical"]),
            *(said(row[k]) for k in head[4:]),
        ]
        for row in rows
    ]
    return markdown(head, lines)


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


def nats_per_bit(data):
    """What a bit per character is in nats per token."""
    return math.log(2) * data.characters_per_token


def bits_per_character(nats, data):
    """Nats per token -> bits per character, for an Estimate."""
    return Estimate(nats.mean / nats_per_bit(data), nats.se / nats_per_bit(data))


@torch.no_grad()
def accuracy(model, data, position, generator, n=200, batch_size=50):
    """Estimate of how often the most probable token at `position` is the right one, all other
    tokens of the window given: -1 is forward (given A, predict B), 0 reverse (given B, predict A).

    An autoregressive model answers the reverse question by Bayes, a pass for each candidate.
    """
    model.eval()
    full = data.validation[0]
    full = full[torch.linspace(0, len(full) - 1, min(n, len(full))).round().long()]
    right = []
    size = at_once(data.tokenizer.vocab_size, data.length, batch_size)
    for x in full.to(model.device).split(size):
        guess = model.conditional(x, position, generator).argmax(-1)
        right.append((guess == x[:, position]).double())
    return of_windows(data.aligned)(torch.cat(right))


class Counted(nn.Module):
    """A network that counts its calls, the texts in them (`rows`) and the token positions it
    computes, and keeps the logits of its last call. It steps if the network inside does."""

    def __init__(self, net):
        super().__init__()
        self.net = net
        self.max_length = getattr(net, "max_length", None)
        self.calls = self.rows = self.positions = 0
        self.logits = None
        if hasattr(net, "step"):
            self.init_state, self.step = net.init_state, self.counted_step

    def count(self, z):
        self.calls += 1
        self.rows += len(z)
        self.positions += z.numel()

    def forward(self, z, t=None):
        self.count(z)
        self.logits = self.net(z, t)
        return self.logits

    def counted_step(self, z, state):
        self.count(z)
        self.logits, state = self.net.step(z, state)
        return self.logits, state


@contextmanager
def counting(model):
    """The model's network as a `Counted`, for as long as the block lasts."""
    net = model.net
    model.net = counted = Counted(net)
    try:
        yield counted
    finally:
        model.net = net


@dataclass(frozen=True)
class Speed:
    """What generating one text took: tokens a second, network calls, token positions computed."""

    tokens_per_second: float
    calls: int
    positions: int


@torch.no_grad()
def generation_speed(model, length, generator, steps=64, repeats=3):
    """Speed of sampling one text of `length` tokens: the median of `repeats`, after a warm-up."""
    model.eval()
    seconds = []
    with counting(model) as counted:
        for _ in range(repeats + 1):
            counted.calls = counted.positions = 0
            began = time.perf_counter()
            model.sample(1, length, generator, steps=steps)
            seconds.append(time.perf_counter() - began)
    median = sorted(seconds[1:])[repeats // 2]
    return Speed(length / median, counted.calls, counted.positions)


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


def table(rows):
    """Rows of `measure` or `baselines`, each with `name` and `tokens` (trained on), in Markdown."""
    others = {row["difference"]["other"] for row in rows if "difference" in row}
    paired = [f"minus {min(others) if len(others) == 1 else 'the first'}"] if others else []
    head = [
        "model", "bits per character", *paired, "tokens/s", "network calls", "positions computed",
        "forward accuracy", "reverse accuracy", "parameters", "trained on",
    ]  # fmt: skip
    lines = []
    for row in rows:
        sign, speed = "= " if row["exact"] else "<= ", row.get("speed", {})
        lines.append(
            [
                row["name"],
                said(row["bits_per_character"], before=sign),
                *([difference(row)] if others else []),
                *(said(speed.get(k), ",.0f") for k in ("tokens_per_second", "calls", "positions")),
                *(percent(row.get(way)) for way in ("forward", "reverse")),
                f"{row['parameters']:,}" if "parameters" in row else "",
                f"{row['tokens']:,}" if row["tokens"] else "",
            ]
        )
    return markdown(head, lines)


def difference(row):
    if "difference" not in row:
        return ""
    return said(row["difference"], "+.3f", before=row["difference"]["sign"])


def truth_table(rows):
    """The distance to the truth of rows of `measure` that know it, in Markdown; "" if none does."""
    rows = [row for row in rows if row.get("truth")]
    if not rows:
        return ""
    head = ["model", "excess, nats per word", "ungrammatical", *KINDS, "surprise", "entropy"]
    lines = []
    for row in rows:
        t = row["truth"]
        sign = "= " if row["exact"] else "<= "
        lines.append(
            [
                row["name"],
                said(t["excess"], ".4f", before=sign),
                percent(t["ungrammatical"]),
                *(said(t["mistakes"][kind], ".2f") for kind in KINDS),
                said(t["surprise"]),
                said(t["entropy"]),
            ]
        )
    return markdown(head, lines)


def percent(share):
    return said(share, ".1f", scale=100, after=" %")


def said(number, form=".3f", scale=1, before="", after=""):
    """A number in words, or an Estimate as a dict: its mean ± its standard error. What is not known
    (nan, None, or null in a file) is left out."""
    if not isinstance(number, dict):
        number = dict(mean=number)
    mean, se = (math.nan if (v := number.get(k)) is None else scale * v for k in ("mean", "se"))
    if math.isnan(mean):
        return ""
    error = "" if math.isnan(se) else f" ± {se:{form.removeprefix('+')}}"
    return f"{before}{mean:{form}}{error}{after}"


def markdown(head, lines, texts=False):
    """A table with its first column on the left and the others on the right, as numbers stand, or
    on the left too if they are texts."""
    widths = [max(map(len, column)) for column in zip(head, *lines, strict=True)]
    rule = ["-" * widths[0], *("-" * (w - 1) + ("-" if texts else ":") for w in widths[1:])]
    text = ""
    for name, *cells in [head, rule, *lines]:
        justify = str.ljust if texts else str.rjust
        padded = [justify(cell, w) for cell, w in zip(cells, widths[1:], strict=True)]
        text += "| " + " | ".join([name.ljust(widths[0]), *padded]) + " |\n"
    return text
