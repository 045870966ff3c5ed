"""One ruler for all: bits per character, accuracy in both directions, the cost of generating.

Bits per character are `nll_bound` over the whole validation split, cut into the same windows for
every model, with all tokens paid for; "=" marks an exact likelihood, "<=" a bound. The standard
error is that of a mean over windows, each of which carries its own independent noise.
"""

import math
import time
from dataclasses import asdict, dataclass

import torch
from torch import nn

from .paradigms import parameters


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


@torch.no_grad()
def nats_per_token(model, data, generator, draws=8, max_windows=None, batch_size=32):
    """Estimate of nll_bound per token on data.validation, every window, or max_windows of them.

    With all windows the shorter one at the end counts too, by its tokens; the standard error is of
    the full windows.
    """
    model.eval()
    full, *rest = data.validation
    if max_windows is not None and max_windows < len(full):
        full, rest = full[torch.linspace(0, len(full) - 1, max_windows).round().long()], []
    nats = torch.cat(
        [
            model.nll_bound(x.to(model.device), generator, draws=draws)
            for x in full.split(batch_size)
        ]
    )
    estimate = Estimate.of(nats / data.length)
    if not rest:
        return estimate
    tail = model.nll_bound(rest[0].to(model.device), generator, draws=draws).double()
    mean = (nats.double().sum() + tail.sum()) / (full.numel() + rest[0].numel())
    return Estimate(mean.item(), estimate.se)


def bits_per_character(nats, data):
    """Nats per token -> bits per character, for an Estimate."""
    unit = math.log(2) * data.characters_per_token
    return Estimate(nats.mean / unit, nats.se / unit)


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
    for x in full.to(model.device).split(batch_size):
        guess = model.conditional(x, position, generator).argmax(-1)
        right.append((guess == x[:, position]).double())
    return Estimate.of(torch.cat(right))


class Counted(nn.Module):
    """A network that counts its calls and the token positions it computes."""

    def __init__(self, net):
        super().__init__()
        self.net = net
        self.max_length = getattr(net, "max_length", None)
        self.calls = self.positions = 0

    def count(self, z):
        self.calls += 1
        self.positions += z.numel()

    def forward(self, z, t=None):
        self.count(z)
        return self.net(z, t)

    def init_state(self, batch):
        return self.net.init_state(batch)

    def step(self, z, state):
        self.count(z)
        return self.net.step(z, state)


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
    net = model.net
    model.net = counted = Counted(net)
    try:
        seconds = []
        for _ in range(repeats + 1):
            counted.calls = counted.positions = 0
            began = time.perf_counter()
            model.sample(1, length, generator, steps=steps)
            seconds.append(time.perf_counter() - began)
    finally:
        model.net = net
    median = sorted(seconds[1:])[repeats // 2]
    return Speed(length / median, counted.calls, counted.positions)


def measure(model, data, seed=0, draws=8, max_windows=None, steps=64):
    """Everything above for one model, as a dict that JSON can hold."""
    generator = torch.Generator(model.device).manual_seed(seed)
    nats = nats_per_token(model, data, generator, draws, max_windows)
    return dict(
        exact=model.exact,
        nats_per_token=asdict(nats),
        bits_per_character=asdict(bits_per_character(nats, data)),
        forward=asdict(accuracy(model, data, -1, generator)),
        reverse=asdict(accuracy(model, data, 0, generator)),
        speed=asdict(generation_speed(model, data.length, generator, steps)),
        parameters=parameters(model),
    )


def table(rows):
    """Rows of `measure`, each with `name` and `tokens` (trained on), as a Markdown table."""
    head = [
        "model", "bits per character", "tokens/s", "network calls", "positions computed",
        "forward accuracy", "reverse accuracy", "parameters", "trained on",
    ]  # fmt: skip
    lines = [head]
    for row in rows:
        bits, speed = row["bits_per_character"], row["speed"]
        lines.append(
            [
                row["name"],
                f"{'=' if row['exact'] else '<='} {bits['mean']:.3f} ± {bits['se']:.3f}",
                f"{speed['tokens_per_second']:,.0f}",
                f"{speed['calls']:,}",
                f"{speed['positions']:,}",
                *(
                    f"{100 * row[way]['mean']:.1f} ± {100 * row[way]['se']:.1f} %"
                    for way in ("forward", "reverse")
                ),
                f"{row['parameters']:,}",
                f"{row['tokens']:,}",
            ]
        )
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    lines.insert(1, ["-" * widths[0], *("-" * (w - 1) + ":" for w in widths[1:])])
    text = ""
    for name, *numbers in lines:
        cells = [name.ljust(widths[0])]
        cells += [cell.rjust(w) for cell, w in zip(numbers, widths[1:], strict=True)]
        text += "| " + " | ".join(cells) + " |\n"
    return text
