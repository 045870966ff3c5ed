"""Count what generating costs: network calls, token positions computed, seconds.

Everywhere in this project a network call is one run of the network on one text, over one position
(with a cache) or many; a step that draws nothing of a text needs none, corrections and candidates
count too, and what is reported is the mean over the texts that were written.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Generator, nn

from ..paradigms import Paradigm
from ..shapes import Logits, Times, TokenIds


class CountingNetwork(nn.Module):
    """A network that counts its calls, the texts in them (`rows`) and the token positions it
    computes, and keeps the logits of its last call. It steps if the network inside does."""

    logits: Logits

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net
        self.max_length = getattr(net, "max_length", None)
        self.calls = self.rows = self.positions = 0
        if hasattr(net, "step"):
            self.init_state, self.step = net.init_state, self.counted_step

    def count(self, z: TokenIds) -> None:
        """Count one call on tokens z (B, L)."""
        self.calls += 1
        self.rows += len(z)
        self.positions += z.numel()

    def forward(self, z: TokenIds, t: Times | None = None) -> Logits:
        """Return the logits (B, L, V) of the network inside, and count the call."""
        self.count(z)
        self.logits = self.net(z, t)
        return self.logits

    def counted_step(self, z: TokenIds, state: Any) -> tuple[Logits, Any]:
        """Return the logits (B, 1, V) and the new state of the network inside, and count the call.

        z (B, 1): one token of each text.
        """
        self.count(z)
        self.logits, state = self.net.step(z, state)  # type: ignore[operator]
        return self.logits, state

    def per_text(self, n: int) -> dict[str, float]:
        """Return the calls and the positions for each of n texts, on average, by these names."""
        return dict(calls=self.rows / n, positions=self.positions / n)


@contextmanager
def counting(model: Paradigm) -> Iterator[CountingNetwork]:
    """Replace the model's network by a CountingNetwork around it while the block lasts."""
    net = model.net
    model.net = counted = CountingNetwork(net)
    try:
        yield counted
    finally:
        model.net = net


@dataclass(frozen=True)
class Speed:
    """The cost of generating one text: tokens per second, network calls, token positions."""

    tokens_per_second: float
    calls: float
    positions: float


@torch.no_grad()
def generation_speed(
    model: Paradigm, length: int, generator: Generator, steps: int = 64, repeats: int = 3
) -> Speed:
    """Measure the Speed of sampling one text of `length` tokens.

    The tokens per second are the median of `repeats`, after a warm-up; calls and positions are
    means over all these texts.
    """
    model.eval()
    seconds = []
    with counting(model) as counted:
        for _ in range(repeats + 1):
            began = time.perf_counter()
            model.sample(1, length, generator, steps=steps)
            seconds.append(time.perf_counter() - began)
    median = sorted(seconds[1:])[repeats // 2]
    return Speed(length / median, **counted.per_text(repeats + 1))
