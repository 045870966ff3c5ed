"""Counts as a prior: what a model gains if its network may lean on n-grams of the training text.

    (1)  p_n(v | c) = (count(c v) + kinds(c) p_{n-1}(v | c')) / (count(c) + kinds(c))
    (2)  logits_v = net(z, t)_v + sum_n w_n log p_n(v | tokens to the left)      leaning
                  [ + sum_n w'_n log p_n(v | tokens to the right) ]

(1) is Witten and Bell's, as in `evaluate/ngram.py`. The softmax of (2) is a distribution for any
weights, so likelihoods and bounds are what they were: the counts are one more network. Masked
diffusion has tokens on both sides, and reads them up to the next mask; a network need not be there
at all. A flow cannot use counts, since its noise looks like text.

The weights are fitted on training text, where each token is in the counts itself. It is left out of
them, or they would be trusted far too much.
"""

import copy
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from ..data.corpus import TokenizedCorpus
from ..errors import InputError
from ..evaluate.comparison import MAX_COUNTED_TOKENS, scores
from ..evaluate.likelihood import per_token, window_nats
from ..evaluate.tables import Row
from ..paradigms import Paradigm, parameters
from ..paradigms.ar import Autoregressive
from ..paradigms.mdlm import MaskedDiffusion
from ..shapes import Logits, Times, TokenIds

ORDER = 5
MOST_NUMBERS = 2**26  # in a table: a quarter of a gigabyte
WINDOWS = 64  # of the training text, to fit the weights on


class Counts:
    """How often each symbol followed each context of up to `order` - 1 tokens in `train` (T,).

    Raises InputError if the tables would be too large, as for many symbols.
    """

    def __init__(self, train: Tensor, vocab_size: int, order: int = ORDER) -> None:
        self.vocab_size, self.tables = vocab_size, []
        train, context = train.long(), torch.zeros(len(train), dtype=torch.long)
        for n in range(order):
            if n:  # the oldest token counts most, so that a context is its tokens in base V
                context = context + F.pad(train[:-n], (n, 0)) * vocab_size ** (n - 1)
            keys, row = context[n:].unique(return_inverse=True)
            if len(keys) * vocab_size > MOST_NUMBERS:
                raise InputError(
                    f"{len(keys):,} contexts of {n} tokens and {vocab_size:,} symbols are too many "
                    "to count: use a model that reads characters"
                )
            table = torch.zeros(len(keys) * vocab_size)
            one = torch.ones(len(row))
            table.index_add_(0, row * vocab_size + train[n:], one)
            self.tables.append((keys, table.view(-1, vocab_size)))

    def __len__(self) -> int:
        """Return how many counts there are, zeros aside."""
        return sum(int(table.count_nonzero()) for _, table in self.tables)

    def log_p(self, before: TokenIds, own: TokenIds | None = None) -> Tensor:
        """Return log p_n (order, B, L, V) of what follows each token of `before` (B, L).

        A symbol outside the vocabulary, as a mask, ends the context. own (B, L): tokens whose own
        occurrence is left out of the counts.
        """
        V, L = self.vocab_size, before.shape[1]
        p = torch.full((*before.shape, V), 1 / V)
        context, whole = torch.zeros_like(before), torch.ones_like(before, dtype=torch.bool)
        orders = []
        for n, (keys, table) in enumerate(self.tables):
            if n:
                past = F.pad(before, (n - 1, 0), value=V)[:, :L]
                whole = whole & (past < V)
                context = context + past.clamp(max=V - 1) * V ** (n - 1)
            row = torch.searchsorted(keys, context).clamp(max=len(keys) - 1)
            count = table[row] * (whole & (keys[row] == context))[..., None]
            if own is not None:
                count = (count - F.one_hot(own, V)).clamp(min=0)
            total, kinds = count.sum(-1, keepdim=True), (count > 0).sum(-1, keepdim=True)
            p = torch.where(total > 0, (count + kinds * p) / (total + kinds).clamp(min=1), p)
            orders.append(p.log())
        return torch.stack(orders)


class Leaning(nn.Module):
    """The network of equation (2): `net`, or none, and counts.

    left: of the text as it is. right: of the text read backwards, for a network that sees both
    sides. The weights begin as those of the longest contexts alone: with both sides their product
    over the unigram, as if the two sides were independent given the token.
    """

    def __init__(self, net: nn.Module | None, left: Counts, right: Counts | None = None) -> None:
        super().__init__()
        self.net, self.left, self.right = net, left, right
        self.hollow = net is None or getattr(net, "hollow", False)
        self.max_length = getattr(net, "max_length", None)
        self.own: TokenIds | None = None
        """tokens to leave out of the counts, while the weights are fitted"""
        weights = torch.zeros(1 if right is None else 2, len(left.tables))
        if net is None:
            weights[:, -1] = 1.0
            weights[1:, 0] -= 1.0
        self.weights = nn.Parameter(weights)

    def forward(self, z: TokenIds, t: Times | None = None) -> Logits:
        """Return logits (B, L, V) for token ids z (B, L) at the noise level t (B,)."""
        if self.right is None:  # a causal paradigm shifts z itself
            sides = [self.left.log_p(z, self.own)]
        else:
            own = None if self.own is None else self.own.flip(1)
            sides = [self.left.log_p(shifted(z, self.left), self.own)]
            sides.append(self.right.log_p(shifted(z.flip(1), self.right), own).flip(2))
        prior = torch.einsum("sn,snblv->blv", self.weights, torch.stack(sides))
        if self.net is None:
            return prior
        return self.net(z, t)[..., : self.left.vocab_size] + prior


def shifted(z: TokenIds, counts: Counts) -> TokenIds:
    """Return the token before each of z (B, L), and before the first a symbol of no vocabulary."""
    return F.pad(z[:, :-1], (1, 0), value=counts.vocab_size)


def counts_of(data: TokenizedCorpus) -> tuple[Counts, Counts]:
    """Return the counts of the training text, read forwards and backwards. Raises InputError."""
    train, V = torch.as_tensor(data.train[:MAX_COUNTED_TOKENS]), data.tokenizer.vocab_size
    return Counts(train, V), Counts(train.flip(0), V)


def leans(model: Paradigm) -> bool:
    """Return whether counts can be a prior of this model's network."""
    return type(model) in (Autoregressive, MaskedDiffusion)


def leaning(model: Paradigm, counts: tuple[Counts, Counts], data: TokenizedCorpus) -> Paradigm:
    """Return the model with (2) as its network, its weights fitted and everything else as it is."""
    left, right = counts
    twin = copy.copy(model)
    twin._modules = dict(model._modules)  # or the model would get the new network too
    twin.net = Leaning(model.net, left, None if model.causal else right)
    fit(twin, twin.net, data)
    return twin


def counted_alone(counts: tuple[Counts, Counts]) -> MaskedDiffusion:
    """Return masked diffusion without a network: nothing but counts, from both sides."""
    return MaskedDiffusion(Leaning(None, *counts), counts[0].vocab_size)


def fit(model: Paradigm, net: Leaning, data: TokenizedCorpus) -> None:
    """Fit the weights of `net` to the loss of the model on some windows of the training text.

    The logits are linear in them, so there is one minimum, and every seed would find it.
    """
    L, generator = data.length, Generator().manual_seed(0)
    begin = torch.linspace(0, len(data.train) - L, WINDOWS).round().long()
    if data.aligned:
        begin = begin // L * L
    x = torch.stack([torch.as_tensor(data.train[b : b + L]).long() for b in begin.tolist()])
    noise = model.noise(x, generator)
    optimizer = torch.optim.LBFGS([net.weights], max_iter=30, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        total, weight = model.loss_terms(x, *noise)
        (total / weight).backward(inputs=[net.weights])
        return (total / weight).detach()

    net.own = x
    step: Callable = optimizer.step
    step(loss)
    net.own = None


def measured(
    name: str,
    model: Paradigm,
    data: TokenizedCorpus,
    generator: Generator,
    num_samples: int = 8,
    max_windows: int | None = None,
) -> Row:
    """Return a row of `evaluate.table` with the bits per character of a model that leans on counts,
    whose number is added to the name. Arguments: `evaluate.measure`."""
    windows = window_nats(model, data, generator, num_samples, max_windows)
    sides = [side for side in (model.net.left, model.net.right) if side is not None]
    counted = sum(map(len, sides))
    return dict(
        name=f"{name} {ORDER}-gram{'s of both sides' * (len(sides) > 1)} ({counted:,} counts)",
        exact=model.exact,
        **scores(per_token(windows, data), windows[0][1] / data.length, data),
        tokens=None,
        parameters=parameters(model),
    )
