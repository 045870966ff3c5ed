"""The networks that the auditor hands to a scorer: tables small enough to know all of them.

The texts are all 243 texts of 5 words in a vocabulary of 3. Seven networks read them:

    exact      the posterior of the tiny language, whose entropy is known
    echo       of a language that mostly repeats its first word: the words depend on one another
               as strongly as they can
    wrong      of no language: each order of the words gives another product of its predictions
    ignorant   finds all words equally likely, always
    constant   makes the same predictions whatever it sees, different ones at each position
    sure       is constant too, and leaves two of the words a probability of e^-60
    counting   ignorant, but nearly sure of one word where a given number of words is hidden
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cache

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from ..errors import InputError
from ..language import tiny
from ..shapes import Logits, PerSymbol, PerText, TokenIds

L, V = 5, 3
HIDDEN = V
TEXTS = torch.tensor(list(itertools.product(range(V), repeat=L)))
"""all texts (V^L, L)"""
STATES = torch.tensor(list(itertools.product(range(V + 1), repeat=L)))
"""all texts with some words hidden ((V + 1)^L, L)"""
WORDS = "a ", "bee ", "café "
"""how the words are written: of several lengths, and one longer in bytes than in characters"""
TINY = 1e-26
"""about e^-60: what the network `sure` leaves to each of two words"""


@dataclass(frozen=True)
class Model:
    """What a scorer may ask: a denoiser, a left-to-right network, and how the words are written.

    Every answer holds natural logarithms of probabilities, float64. z (B, L) are texts with
    `mask_id` in place of a hidden word.
    """

    table: Tensor = field(repr=False)
    """log p(x_i = v | z) for every state z, ((V + 1)^L, L, V), as if each word were hidden"""
    law: Tensor = field(repr=False)
    """the distribution of the texts (V^L,) that answers under uniform noise"""
    noise: Tensor | None = field(default=None, repr=False)
    """what is added to these answers in each state, (V^L, L, V)"""
    coupled: bool = True
    """`joint` takes into account how hidden words depend on one another"""
    words: Sequence[str] = WORDS
    """how the words are written, spaces included"""
    generator: Generator = field(default_factory=Generator, repr=False)
    """where a scorer takes its randomness from"""
    L: int = L
    """words in a text"""
    V: int = V
    """words in the vocabulary"""
    mask_id: int = HIDDEN
    """stands for a hidden word"""

    def denoise(self, z: TokenIds, t: object = None) -> Logits:
        """Return log p(x_i = v | z) (B, L, V): a visible word is itself. t is not needed."""
        z = states(z, "denoise", HIDDEN, L)
        itself = torch.arange(V) == z[..., None]
        visible = torch.where(itself, 0.0, -torch.inf).double()
        return torch.where((z == HIDDEN)[..., None], self.table[code(z, V + 1)], visible)

    def next(self, prefix: TokenIds) -> PerSymbol:
        """Return log p(next word | prefix) (B, V), for a prefix (B, n) of 0 to L - 1 words."""
        prefix = states(prefix, "next", V - 1)
        B, n = prefix.shape
        if n >= L:
            raise InputError(f"next was given {n} words, a whole text: give at most {L - 1}")
        return self.denoise(torch.cat([prefix, prefix.new_full((B, L - n), HIDDEN)], dim=1))[:, n]

    def leave_one_out(self, z: TokenIds, alpha: Tensor | float) -> Logits:
        """Return log p(x_i = v | every z_j but z_i) (B, L, V), under uniform noise.

        z (B, L): each word survived with probability alpha, a number or (B,), and is otherwise any
        of the V words.
        """
        z = states(z, "leave_one_out", V - 1, L)
        alpha = torch.as_tensor(alpha, dtype=torch.float64).expand(len(z))[:, None, None]
        evidence = alpha * F.one_hot(z, V) + (1 - alpha) / V  # p(z_j | x_j) (B, L, V)
        law, axes, answers = self.law.view([V] * L), "abcde", []
        for i in range(L):
            others = [j for j in range(L) if j != i]
            equation = f"{axes},{','.join(f'z{axes[j]}' for j in others)}->z{axes[i]}"
            answers.append(torch.einsum(equation, law, *(evidence[:, j] for j in others)).log())
        logits = torch.stack(answers, dim=1)
        if self.noise is not None:
            logits = logits + self.noise[code(z, V)]
        return logits.log_softmax(-1)

    def joint(self, x: TokenIds, z: TokenIds) -> PerText:
        """Return log p(the hidden words of z are those of x | z) (B,), all of them together.

        One hidden word is predicted after another, from left to right, given those before it.
        """
        x, z = states(x, "joint", V - 1, L), states(z, "joint", HIDDEN, L)
        if not self.coupled:
            return picked(self.denoise(z), x).sum(-1)
        total = torch.zeros(len(z), dtype=torch.float64)
        for i in range(L):
            total = total + picked(self.denoise(z), x)[:, i]  # nothing for a visible word
            z = torch.cat([z[:, :i], x[:, i : i + 1], z[:, i + 1 :]], dim=1)
        return total

    @property
    def lengths(self) -> Tensor:
        """Return how many characters each word is written with, (V,)."""
        return torch.tensor([len(word) for word in self.words])

    def characters(self, texts: TokenIds) -> Tensor:
        """Return how many characters each of the texts (B, L) is written with, (B,)."""
        return self.lengths[texts].sum(-1)

    def bytes(self, texts: TokenIds) -> Tensor:
        """Return how many bytes of UTF-8 each of the texts (B, L) is written with, (B,)."""
        sizes = torch.tensor([len(word.encode("utf-8")) for word in self.words])
        return sizes[texts].sum(-1)


def states(z: object, method: str, most: int, length: int | None = None) -> TokenIds:
    """Return z (B, n), which a scorer gave to a method, or raise InputError if it is no state.

    most: the largest word. length: how long the rows have to be, where it is fixed.
    """
    if not isinstance(z, Tensor) or z.dtype.is_floating_point or z.dtype.is_complex:
        raise InputError(f"{method} wants a tensor of word ids, int64: convert it with .long()")
    if z.ndim != 2 or (length is not None and z.shape[1] != length):
        wanted = f"(B, {length or 'n'})"
        raise InputError(f"{method} wants the shape {wanted}, and was given {tuple(z.shape)}")
    if z.numel() and not 0 <= int(z.min()) <= int(z.max()) <= most:
        hides = f", and {HIDDEN} hides one" if most == HIDDEN else ""
        raise InputError(
            f"{method} was given words from {int(z.min())} to {int(z.max())}: "
            f"the words are 0 to {V - 1}{hides}"
        )
    return z.long()


def code(z: TokenIds, symbols: int) -> Tensor:
    """Return which row of STATES, or with V symbols of TEXTS, each row of z (B, L) is."""
    return (z * symbols ** torch.arange(L - 1, -1, -1)).sum(-1)


def picked(log_p: Logits, x: TokenIds) -> Tensor:
    """Return log_p (B, L, V) of the words of x (B, L), (B, L)."""
    return log_p.gather(-1, x[..., None]).squeeze(-1)


# ----------------------------------------------------------------------------------- the networks


def posterior(law: Tensor) -> Tensor:
    """Return log p(x_i = v | z) for every state z, ((V + 1)^L, L, V), by Bayes' rule from a law.

    law (V^L,): the probability of each text, never zero.
    """
    fits = ((STATES[:, None] == TEXTS) | (STATES[:, None] == HIDDEN)).all(-1)  # ((V + 1)^L, V^L)
    joint = torch.einsum("zx,x,xiv->ziv", fits.double(), law, F.one_hot(TEXTS, V).double())
    return joint.log()


def of_law(law: Tensor) -> Model:
    """Return the network that is the exact posterior of a law (V^L,)."""
    return Model(posterior(law).log_softmax(-1), law)


def of_words(log_q: Tensor) -> Model:
    """Return the network that says log_q (L, V) whatever it sees."""
    table = log_q.expand(len(STATES), L, V)
    return Model(table, picked(log_q.expand(len(TEXTS), L, V), TEXTS).sum(-1).exp())


@cache
def models() -> dict[str, Model]:
    """Return name -> network, but for those of `counting`."""
    generator = Generator().manual_seed(0)

    def draw(*shape: int) -> Tensor:
        return torch.randn(shape, dtype=torch.float64, generator=generator)

    truth = tiny().log_prob(TEXTS).exp()
    same = (TEXTS == TEXTS[:, :1]).all(-1).double()
    echo = 0.97 * same / V + 0.03 / len(TEXTS)
    known, uniform = of_law(truth), torch.zeros(L, V, dtype=torch.float64)
    disagreeing = (known.table + 1.5 * draw(*known.table.shape)).log_softmax(-1)
    sure = torch.tensor([1 - 2 * TINY, TINY, TINY], dtype=torch.float64).log().expand(L, V)
    return dict(
        exact=known,
        echo=of_law(echo),
        wrong=Model(disagreeing, truth, 1.5 * draw(len(TEXTS), L, V)),
        ignorant=of_words(uniform.log_softmax(-1)),
        constant=of_words(draw(L, V).log_softmax(-1)),
        sure=of_words(sure),
    )


def counting(k: int, p: float = 0.98) -> Model:
    """Return the ignorant network that is nearly sure of word 0 where k words are hidden."""
    ignorant = models()["ignorant"]
    sure = torch.tensor([p, (1 - p) / 2, (1 - p) / 2], dtype=torch.float64).log()
    here = ((STATES == HIDDEN).sum(-1) == k)[:, None, None]
    return replace(ignorant, table=torch.where(here, sure, ignorant.table))


# ------------------------------------------------------------------------------------------ orders


def along_every_order(model: Model) -> tuple[list[tuple[int, ...]], Tensor]:
    """Return all L! orders, and -log p of every text by the chain rule along each, (L!, V^L)."""
    cost = {}
    for shown in itertools.product([False, True], repeat=L):
        z = torch.where(torch.tensor(shown), TEXTS, HIDDEN)
        cost[shown] = -picked(model.denoise(z), TEXTS)
    orders = list(itertools.permutations(range(L)))
    totals = []
    for order in orders:
        before = [tuple(j in order[:n] for j in range(L)) for n in range(L)]
        totals.append(sum(cost[s][:, i] for s, i in zip(before, order, strict=True)))
    return orders, torch.stack(totals)
