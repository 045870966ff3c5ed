"""What generating costs: network calls, token positions computed, seconds."""

import time
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import nn


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
