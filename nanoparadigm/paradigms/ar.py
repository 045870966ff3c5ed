"""Autoregressive language model: one token after another, from left to right.

    (1)  p(x) = prod_i p(x_i | x_1 ... x_{i-1})                   the chain rule
    (2)  p(x_i | x_<i) = softmax(net(start, x_1 ... x_{i-1}))_i   a causal network, shifted by one
    (3)  -log p(x) = sum_i cross_entropy_i                        exact, in one pass
    (4)  x_i ~ p(. | x_<i),  i = 1 ... L                          sampling

The first token is predicted from a learned start symbol, so all L tokens of a window are paid for.
The network may be a transformer, a Mamba, or anything causal.
"""

import torch
import torch.nn.functional as F

from ..errors import InputError
from .base import Paradigm, draw, probabilities


class Autoregressive(Paradigm):
    exact, causal, extra_symbols = True, True, 1
    decodings = {
        "plain": {},
        "temperature": dict(temperature=0.8),
        "top_k": dict(top_k=4),
        "top_p": dict(top_p=0.9),
    }

    def logits(self, x):
        """x (B, L) -> logits (B, L, V): at i, those of x_i given x_<i. Equation (2)."""
        start = x.new_full((len(x), 1), self.blank)
        return self.net(torch.cat([start, x[:, :-1]], dim=1), None)[..., : self.vocab_size]

    def token_nll(self, x):
        """x (B, L) -> (B, L) nats, -log p(x_i | x_<i)."""
        return F.cross_entropy(self.logits(x).mT, x, reduction="none")

    def nll_bound(self, x, generator=None, draws=1):
        """x (B, L) -> (B,) nats: exactly -log p(x). Equation (3)."""
        return self.token_nll(x).sum(-1)

    def loss_terms(self, x):
        """-log p(x) and the number of tokens: the loss is the likelihood."""
        logits = self.logits(x).flatten(0, 1)
        return F.cross_entropy(logits, x.flatten(), reduction="sum"), x.numel()

    def trajectory(
        self, canvas, known, generator, steps=None, temperature=1.0, top_k=None, top_p=None
    ):
        """Equation (4). `canvas` may hold a prefix; `steps` is ignored, each token is one.

        A text longer than the network reads at once is continued from the last half of its block.
        """
        n = prefix_length(known)
        net = self.net if hasattr(self.net, "step") else Recompute(self.net)
        reach = getattr(self.net, "max_length", None) or known.shape[1]
        x = torch.where(known, canvas, self.blank)
        yield x
        held = reach
        for i in range(n, x.shape[1]):
            if held == reach:
                kept = i if i < reach else reach // 2
                state = net.init_state(len(x))
                start = x.new_full((len(x), 1), self.blank)
                new = torch.cat([start, x[:, i - kept : i]], dim=1)
                held = 0
            else:
                new = x[:, i - 1 : i]
            logits, state = net.step(new, state)
            held += new.shape[1]
            p = probabilities(logits[:, -1, : self.vocab_size], temperature, top_k, top_p)
            x = x.clone()
            x[:, i] = draw(p, generator)
            yield x

    def infill(self, n, prefix, suffix, fill_length, generator, candidates=64, **options):
        """n texts (n, L): the prefix, `fill_length` new tokens, the suffix.

        What comes after a gap cannot be seen while it is filled. So for each text as many
        `candidates` are written after the prefix alone, and one of them is drawn in proportion to
        p(suffix | prefix, candidate): sampling by importance, which comes to p(fill | both sides)
        as the candidates grow in number. At temperature 0 the candidates are drawn as they are and
        the most probable text is taken. Where the network reads less than the whole, the ends of it
        are left out of the sum.
        """
        if candidates < 1:
            raise InputError(f"candidates is {candidates}: give a whole number of 1 or more")
        greedy = options.get("temperature") == 0
        if greedy:
            options = {**options, "temperature": 1.0}
        filled = len(prefix) + fill_length
        texts = self.sample(n * candidates, filled, generator, prompt=prefix, **options)
        after = torch.tensor(suffix, dtype=texts.dtype, device=texts.device)
        texts = torch.cat([texts, after.expand(len(texts), -1)], dim=1)
        reach = getattr(self.net, "max_length", None) or texts.shape[1]
        end = min(texts.shape[1], filled + max(reach - fill_length, reach // 2))
        seen = slice(max(0, end - reach), end)
        with torch.inference_mode():
            log_p = -self.token_nll(texts[:, seen])
        first = len(prefix) if greedy else filled
        weight = log_p[:, max(first - seen.start, 0) :].sum(-1).double().view(n, candidates)
        chosen = weight.argmax(-1) if greedy else draw(weight.softmax(-1), generator)
        return texts.view(n, candidates, -1)[torch.arange(n, device=texts.device), chosen]

    def conditional(self, x, i, generator=None):
        """Bayes: p(x_i = v | the others) is proportional to p(x with v at i), V passes over x.

        At the last position that is the prediction itself, one pass.
        """
        if i % x.shape[1] == x.shape[1] - 1:
            return self.logits(x)[:, -1].log_softmax(-1)
        scores = []
        for v in range(self.vocab_size):
            candidate = x.clone()
            candidate[:, i] = v
            scores.append(-self.nll_bound(candidate))
        return torch.stack(scores, dim=-1).log_softmax(-1)


def prefix_length(known):
    """How many tokens are given on the left; InputError if others are given too."""
    n = int(known[0].sum())
    if not (known == (torch.arange(known.shape[1], device=known.device) < n)).all():
        raise InputError(
            "an autoregressive model writes from left to right and cannot be given text after a "
            "gap: use a diffusion or flow model, or `infill`, which ranks candidates for one gap"
        )
    return n


class Recompute:
    """Steps for a network that has none: keeps the text and reads it anew each time."""

    def __init__(self, net):
        self.net = net

    def init_state(self, batch):
        return None

    def step(self, z, state):
        text = z if state is None else torch.cat([state, z], dim=1)
        return self.net(text, None)[:, -z.shape[1] :], text
