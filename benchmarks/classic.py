"""The rival of the speedrun: the classic small GPT, as it is usually written and trained.

LayerNorm, GELU, learned positions, tied read-out (Radford et al. 2019); AdamW at 1e-3 with a cosine
down to 1e-4 after 100 steps of warm-up, batches of 12 windows of 64 characters, 2,000 steps.
"""

import math

import torch
import torch.nn.functional as F
from torch import nn

from nanoparadigm.paradigms import Autoregressive

BATCH, LENGTH, STEPS, WARMUP = 12, 64, 2000, 100
PEAK, LEAST = 1e-3, 1e-4


class Block(nn.Module):
    def __init__(self, d, heads):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = (nn.LayerNorm(d, bias=False) for _ in range(2))
        self.qkv, self.out = nn.Linear(d, 3 * d, bias=False), nn.Linear(d, d, bias=False)
        self.up, self.down = nn.Linear(d, 4 * d, bias=False), nn.Linear(4 * d, d, bias=False)

    def forward(self, h):
        q, k, v = self.qkv(self.norm1(h)).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        h = h + self.out(y.transpose(1, 2).flatten(2))
        return h + self.down(F.gelu(self.up(self.norm2(h))))


class GPT(nn.Module):
    def __init__(self, vocab_size, d=128, layers=4, heads=4, length=LENGTH):
        super().__init__()
        self.embedding, self.position = nn.Embedding(vocab_size, d), nn.Embedding(length, d)
        self.blocks = nn.Sequential(*(Block(d, heads) for _ in range(layers)))
        self.norm = nn.LayerNorm(d, bias=False)
        self.max_length = length
        for name, p in self.named_parameters():
            if p.ndim == 2:
                deep = name.endswith(("out.weight", "down.weight"))
                nn.init.normal_(p, std=0.02 / math.sqrt(2 * layers) if deep else 0.02)

    def forward(self, z, t=None):
        h = self.embedding(z) + self.position.weight[: z.shape[1]]
        return F.linear(self.norm(self.blocks(h)), self.embedding.weight)


def build(vocab_size, seed):
    torch.manual_seed(seed)
    return Autoregressive(GPT(vocab_size + 1), vocab_size)


def optimizer(model):
    groups = [
        dict(params=[p for p in model.parameters() if p.ndim >= 2], weight_decay=0.1),
        dict(params=[p for p in model.parameters() if p.ndim < 2], weight_decay=0.0),
    ]
    return torch.optim.AdamW(groups, lr=PEAK, betas=(0.9, 0.99), fused=True)


def learning_rate(step, steps):
    if step < WARMUP:
        return PEAK * (step + 1) / WARMUP
    done = (step - WARMUP) / (steps - WARMUP)
    return LEAST + (PEAK - LEAST) * (1 + math.cos(math.pi * done)) / 2


def train(model, batches, steps=STEPS):
    """Yield the loss of every step."""
    adam = optimizer(model)
    for step in range(steps):
        for group in adam.param_groups:
            group["lr"] = learning_rate(step, steps)
        loss = model.loss(next(batches))
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        adam.step()
        adam.zero_grad()
        yield loss.item()
