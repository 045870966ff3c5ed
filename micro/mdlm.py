"""A masked diffusion language model (MDLM) in one file.

    z: x with each character masked with probability t, on which p(x_i | z) does not depend
    -log p(x) <= int_0^1 (1/t) E_z[ sum over masked i of -log p(x_i | z) ] dt
               = L E_k[ mean over k masked i of -log p(x_i | z) ],  k uniform on 1 ... L

    python micro/mdlm.py play.txt --prompt "To be~~~~~not to be"

Without a file it trains on the help texts that come with Python.
"""

import argparse
import math
from pathlib import Path
from pydoc_data.topics import topics

import torch
import torch.nn.functional as F
from torch import nn

B, L, D, LAYERS = 16, 128, 128, 4  # batch size, characters per text, width, layers
STEPS, RATE = 1800, 3e-3  # training steps, peak learning rate
SIGN, COPIES = "<=", 8  # the number is an upper bound, averaged over this many noisy copies
HEADS, INNER, CAUSAL, BEFORE, AFTER = 4, 344, False, 2, 2  # width of the MLP; neighbours blended


# data ---------------------------------------------------------------------------------------------
def read(path):
    """Return the alphabet of a text (V symbols), and the text as indices into it."""
    text = path.read_text("utf-8", "replace") if path else "".join(topics.values())
    place = {symbol: i for i, symbol in enumerate(sorted({*text}))}
    return [*place], torch.tensor([place[symbol] for symbol in text])


# network ------------------------------------------------------------------------------------------
def linear(d_in, d_out, scale=1.0):
    """A linear map without bias. With scale 0 the layer that ends in it starts as the identity."""
    layer = nn.Linear(d_in, d_out, bias=False)
    nn.init.normal_(layer.weight, std=scale / math.sqrt(d_in))
    return layer


def norm(x):
    return F.rms_norm(x, x.shape[-1:])


def rotate(x):
    """Rotate pairs of numbers by the position (RoPE), so that q k depends on the distance."""
    length, d = x.shape[-2:]
    angle = torch.arange(length)[:, None] / 1e4 ** (torch.arange(0, d, 2).double() / d)
    a, b, cos, sin = x[..., ::2], x[..., 1::2], angle.cos().to(x), angle.sin().to(x)
    return torch.stack([a * cos - b * sin, a * sin + b * cos], -1).flatten(-2)


class Layer(nn.Module):
    """A transformer layer: attention, then an MLP, each added to the residual stream h."""

    def __init__(self):
        super().__init__()
        self.qkv, self.out = linear(D, 3 * D), linear(D, D, scale=0)
        self.up, self.down = linear(D, 2 * INNER), linear(INNER, D, scale=0)

    def forward(self, h):
        q, k, v = self.qkv(norm(h)).unflatten(-1, (3, HEADS, -1)).permute(2, 0, 3, 1, 4)
        q, k = rotate(norm(q)), rotate(norm(k))  # whose scaled product is 12 times a cosine
        y = F.scaled_dot_product_attention(q, k, v, is_causal=CAUSAL, scale=12 * HEADS / D)
        h = h + self.out(y.transpose(1, 2).flatten(2))
        gate, up = self.up(norm(h)).chunk(2, dim=-1)
        return h + self.down(F.silu(gate) * up)


class Network(nn.Module):
    """Map characters z (B, L) to logits (B, L, V). It predicts no start or mask symbol."""

    def __init__(self, V):
        super().__init__()
        self.V = V
        self.embedding = nn.Embedding(V + 1, D)  # V: the mask
        nn.init.normal_(self.embedding.weight, std=0.02)
        blend = torch.eye(BEFORE + 1 + AFTER)[BEFORE]  # starts as the character itself
        self.conv = nn.Parameter(blend[:, None].repeat(1, D))
        self.layers = nn.Sequential(*(Layer() for _ in range(LAYERS)))

    def forward(self, z):
        e = F.pad(norm(self.embedding(z)), (0, 0, BEFORE, AFTER))
        h = sum(w * e[:, i : i + z.shape[1]] for i, w in enumerate(self.conv))
        return F.linear(norm(self.layers(h)), self.embedding.weight)[..., : self.V]


# corrupt ------------------------------------------------------------------------------------------
def corrupt(net, x, t, g):
    """Mask each character with probability t (B,), the noise level: 0 is clean, 1 all noise."""
    u = torch.rand(x.shape, dtype=torch.float64, generator=g)
    return torch.where(u < 1 - t[:, None], x, net.V)


# loss ---------------------------------------------------------------------------------------------
def loss(net, x, g):
    """Return the mean of -log p(x_i | z) over all masks: the bound without 1/t, which is noisy."""
    t = (torch.arange(len(x)) + torch.rand(len(x), dtype=torch.float64, generator=g)) / len(x)
    z = corrupt(net, x, t, g)
    masked = z == net.V
    return F.cross_entropy(net(z)[masked], x[masked])


# number -------------------------------------------------------------------------------------------
def number(net, x, g):
    """Return an unbiased estimate of the bound (B,), with k random positions masked."""
    k = (torch.rand(len(x), 1, dtype=torch.float64, generator=g) * L).ceil().clamp(min=1)
    rank = torch.rand(x.shape, generator=g).argsort(-1).argsort(-1)
    masked = rank < k
    z = torch.where(masked, net.V, x)
    nll = F.cross_entropy(net(z).mT, x, reduction="none") * masked
    return L / k.squeeze(-1) * nll.sum(-1)


@torch.no_grad()
def measure(net, text, g):
    """Return nats per character, averaged over the windows of a text, and the standard error."""
    x = text[: len(text) // L * L].view(-1, L)
    copies = [torch.cat([number(net, w, g) for w in x.split(64)]) for _ in range(COPIES)]
    nats = sum(copies) / COPIES / L
    return nats.mean().item(), nats.std().item() / math.sqrt(len(nats))


# sample -------------------------------------------------------------------------------------------
@torch.no_grad()
def sample(net, x, known, g):
    """Fill the positions of x (B, L) that are not known (L,), in random order."""
    z = torch.where(known, x, net.V)
    for i in torch.randperm(L, generator=g):
        if not known[i]:
            p = net(z)[:, i].double().softmax(-1)
            z[:, i] = torch.multinomial(p, 1, generator=g).squeeze(-1)
    return z


def write(net, symbols, prompt, g, n):
    """Return n texts of L characters that continue the prompt and fill its gaps, marked ~."""
    if unknown := {*prompt} - {*symbols, "~"}:
        raise SystemExit(f"the text has no {sorted(unknown)}: leave them out of the prompt")
    canvas = prompt.ljust(L, "~")
    known = torch.tensor([symbol != "~" for symbol in canvas])
    x = torch.tensor([symbols.index(s) if s != "~" else 0 for s in canvas]).repeat(n, 1)
    return ["".join(symbols[i] for i in row) for row in sample(net, x, known, g).tolist()]


# train --------------------------------------------------------------------------------------------
def train(net, text, steps, g):
    """Train with AdamW; the learning rate rises for 100 steps at most, and ends at zero."""
    optimizer = torch.optim.AdamW(net.parameters(), betas=(0.9, 0.95))
    for step in range(1, steps + 1):
        x = text[torch.randint(len(text) - L + 1, (B, 1), generator=g) + torch.arange(L)]
        value = loss(net, x, g)
        optimizer.zero_grad()
        value.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.param_groups[0]["lr"] = RATE * min(step / 100, 1, 1.2 * (1 - step / steps))
        optimizer.step()
        if step % 100 == 0 or step == steps:
            print(f"step {step:5} of {steps}, loss {value.item():.3f}", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("text", nargs="?", type=Path, help="a text file (default: Python's help)")
    parser.add_argument("--prompt", default="", help="text to continue; ~ is a gap (not ar, mamba)")
    parser.add_argument("--steps", type=int, default=STEPS, help=f"of training (default: {STEPS})")
    parser.add_argument("--seed", type=int, default=0, help="another one trains another model")
    args = parser.parse_args()
    if args.text and not args.text.is_file():
        parser.error(f"{args.text} is not a file")
    g = torch.manual_seed(args.seed)  # the source of all randomness
    symbols, text = read(args.text)
    if len(text) < 20 * L:
        parser.error(f"the text has {len(text)} characters: give one of at least {20 * L}")
    if len(args.prompt) > L or args.steps < 1:
        parser.error(f"give a prompt of at most {L} characters, and at least 1 step")
    net = Network(len(symbols))
    print("before training:", *write(net, symbols, args.prompt, g, n=1))
    train(net, text[: len(text) * 9 // 10], args.steps, g)
    mean, error = measure(net, text[len(text) * 9 // 10 :], g)
    print(f"held-out text: -log p {SIGN} {mean:.3f} ± {error:.3f} (s.e.) nats per character")
    print(*write(net, symbols, args.prompt, g, n=2), sep="\n" + "-" * L + "\n")
