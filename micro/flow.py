"""A discrete flow language model with uniform noise in one file.

    q(z_i | x_i) = (1 - t) 1[z_i = x_i] + t / V;    p(x_i | z) ∝ p(x_i | z without z_i) q(z_i | x_i)
    -log p(x) <= E[-log p(x | z_e)] + int_e^1 E[sum_i sum_y rho phi(log(rho / r))] / (V (1 - t)) dt
    rho = q(y | x_i) / q(z_i | x_i), r: with p(x_i | z without z_i) for x_i;  phi(d) = e^-d - 1 + d

    python micro/flow.py play.txt --prompt "To be~~~~~not to be"

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
SIGN, COPIES = "<=", 16  # the number is an upper bound, averaged over this many noisy copies
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
        self.embedding = nn.Embedding(V, D)
        nn.init.normal_(self.embedding.weight, std=0.02)
        self.mix = nn.Parameter(torch.zeros(16, D))  # of sines and cosines of t
        blend = torch.eye(BEFORE + 1 + AFTER)[BEFORE]  # starts as the character itself
        self.conv = nn.Parameter(blend[:, None].repeat(1, D))
        self.layers = nn.Sequential(*(Layer() for _ in range(LAYERS)))
        self.readout = nn.Parameter(torch.zeros(V, D))  # a shared one would begin by copying z

    def forward(self, z, t):
        e = F.pad(norm(self.embedding(z)), (0, 0, BEFORE, AFTER))
        h = sum(w * e[:, i : i + z.shape[1]] for i, w in enumerate(self.conv))
        angle = t[:, None] * torch.logspace(0, 1, 8, dtype=torch.float64)
        h = h + (torch.cat([angle.sin(), angle.cos()], -1).to(h.dtype) @ self.mix)[:, None]
        return F.linear(norm(self.layers(h)), self.readout)[..., : self.V]


# corrupt ------------------------------------------------------------------------------------------
def corrupt(net, x, t, g):
    """Replace each character at random with probability t (B,): 0 is clean, 1 all noise."""
    u = torch.rand(x.shape, dtype=torch.float64, generator=g)
    return torch.where(u < 1 - t[:, None], x, torch.randint(net.V, x.shape, generator=g))


def log_odds(p, z, t):
    """Return log q(y) / q(z_i) (B, L, V) of q = (1 - t) p + t / V, the p (B, L, V) after noise."""
    q = (1 - t)[:, None, None] * p + t[:, None, None] / p.shape[-1]
    return q.log() - q.gather(-1, z[..., None]).log()


# loss ---------------------------------------------------------------------------------------------
def loss(net, x, g):
    """Return the mean of -log p(x_i | z), each text weighted by 1 - t, its share of signal."""
    t = (torch.arange(len(x)) + torch.rand(len(x), dtype=torch.float64, generator=g)) / len(x)
    z = corrupt(net, x, t, g)
    logits = net(z, t) + log_odds(F.one_hot(z, net.V), z, t)
    nll = F.cross_entropy(logits.mT, x, reduction="none").mean(-1)
    return nll @ (1 - t) / (1 - t).sum()


# number -------------------------------------------------------------------------------------------
def number(net, x, g, e=1e-3):
    """Return an unbiased estimate of the bound (B,). t = u^2, because small t cost most."""
    u = e**0.5 + (1 - e**0.5) * torch.rand(len(x), dtype=torch.float64, generator=g)
    t, last = u**2, torch.full_like(u, e)
    z = corrupt(net, x, t, g)
    log_rho = log_odds(F.one_hot(x, net.V), z, t)
    d = log_rho - log_odds(net(z, t).double().softmax(-1), z, t)
    cost = (log_rho.exp() * ((-d).expm1() + d)).sum((1, 2)) / (net.V * (1 - t))
    z = corrupt(net, x, last, g)
    logits = net(z, last) + log_odds(F.one_hot(z, net.V), z, last)
    return 2 * u * (1 - e**0.5) * cost + F.cross_entropy(logits.mT, x, reduction="none").sum(-1)


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
    """Redraw all unknown positions of x (B, L) L times. The known ones are taken for noisy, too."""
    z = torch.where(known, x, torch.randint(net.V, x.shape, generator=g))
    for step in range(L):
        a, b = step / L, (step + 1) / L  # 1 - t before and after the step
        p, same = net(z, torch.full((len(z),), 1 - a)).double().softmax(-1), F.one_hot(z, net.V)
        q = (a / b * same + (1 - a / b) / net.V) * (b * p + (1 - b) / net.V)  # Bayes' rule
        z = torch.where(known, x, torch.multinomial(q.flatten(0, 1), 1, generator=g).view_as(z))
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
