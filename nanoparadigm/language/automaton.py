"""A language we know everything about: an automaton whose next state the word spoken decides.

In state s the next word is v with probability P[s, v], and then the state is successor[s, v]. That
class is rich enough for grammar, and everything about it is exact: the likelihood of a text by
walking, the entropy as a sum over states, the best prediction from k words of memory, and, by
forward-backward, the posterior of every word given any other words, also through noise.

Shapes: B texts, L words in a text, V words in the vocabulary, S states, E edges (s, v) with
P[s, v] > 0. Everything is float64.
"""

from collections.abc import Iterable, Sequence

import torch
from torch import Generator, Tensor


class Automaton:
    """A language: P (S, V), the next-word probabilities, and successor (S, V), the next states.

    State 0 starts every text. Where P is zero, successor is the state in which a listener goes on
    after that mistake. words: the vocabulary; states: a readable name for every state.
    """

    def __init__(
        self,
        words: Iterable[str],
        P: Tensor | Sequence[Sequence[float]],
        successor: Tensor | Sequence[Sequence[int]],
        states: Sequence[str] | None = None,
    ) -> None:
        self.words = list(words)
        self.P = torch.as_tensor(P, dtype=torch.float64)
        self.successor = torch.as_tensor(successor)
        self.states = states or [str(s) for s in range(len(self.P))]
        self.V = len(self.words)
        self.source, self.word = self.P.nonzero(as_tuple=True)
        self.target = self.successor[self.source, self.word]
        self.p = self.P[self.source, self.word]

    def __str__(self) -> str:
        """Return every state with its next words, a line each."""
        lines = []
        for s, state in enumerate(self.states):
            row = [
                f"{self.words[v]} {self.P[s, v]:.3g} -> {self.successor[s, v]}"
                for v in self.P[s].nonzero().flatten()
            ]
            lines.append(f"{s} ({state}): {', '.join(row)}")
        return "\n".join(lines)

    # ------------------------------------------------------------------------------- speaking

    def sample(self, n: int, L: int, generator: Generator) -> Tensor:
        """Draw n texts of L words (n, L)."""
        cdf = self.P.cumsum(1) / self.P.sum(1, keepdim=True)
        state = torch.zeros(n, dtype=torch.long)
        x = torch.empty(n, L, dtype=torch.long)
        for i in range(L):
            u = torch.rand(n, 1, dtype=torch.float64, generator=generator)
            x[:, i] = (cdf[state] <= u).sum(1)  # the first word whose cdf exceeds u
            state = self.successor[state, x[:, i]]
        return x

    def walk(self, x: Tensor) -> Tensor:
        """Return the state before each word of x (B, L), and after the last: (B, L + 1)."""
        states = [torch.zeros(len(x), dtype=torch.long)]
        for word in x.unbind(1):
            states.append(self.successor[states[-1], word])
        return torch.stack(states, dim=1)

    def log_prob(self, x: Tensor, slip: float = 0.0) -> Tensor:
        """Return log p(x) (B,) of x (B, L), nats, -inf for an impossible text.

        slip: the probability that a word is replaced by a uniformly random one, which the listener
        accepts. With slip > 0 every text has a probability, and a mistake costs about
        log(V / slip) nats.
        """
        p = self.P[self.walk(x)[:, :-1], x]
        return ((1 - slip) * p + slip / self.V).log().sum(1)

    def next_word(self, prefix: Sequence[str | int]) -> Tensor:
        """Return p(next word | prefix), (V,), for a list of words or of ids."""
        ids = [w if isinstance(w, int) else self.words.index(w) for w in prefix]
        return self.P[self.walk(torch.tensor([ids], dtype=torch.long))[0, -1]]

    # ------------------------------------------------------------------------------- entropies

    def transition(self) -> Tensor:
        """Return p(next state | state), (S, S)."""
        T = torch.zeros(len(self.P), len(self.P), dtype=torch.float64)
        return T.index_put_((self.source, self.target), self.p, accumulate=True)

    def occupancy(self, L: int) -> Tensor:
        """Return the probability of each state before word 1, ..., L: (L, S)."""
        T, rows = self.transition(), [torch.eye(len(self.P), dtype=torch.float64)[0]]
        for _ in range(L - 1):
            rows.append(rows[-1] @ T)
        return torch.stack(rows)

    def entropy(self, L: int) -> float:
        """Return H(x_1 ... x_L), nats: the sum over positions of occupancy times next-word entropy.

        The chain rule, which is a sum over states because the state decides the next word.
        """
        return (self.occupancy(L).sum(0) @ entropy(self.P)).item()

    def entropy_rate(self) -> float:
        """Return lim H(x_1 ... x_L) / L, nats per word.

        The occupancy is averaged over 2^50 positions, by doubling: the average exists even where
        the occupancy itself oscillates for ever.
        """
        T = self.transition()
        average = torch.eye(len(T), dtype=torch.float64)[:1]
        for _ in range(50):
            average = (average + average @ T) / 2
            T = T @ T
            T = T / T.sum(1, keepdim=True)
        return (average @ entropy(self.P)).item()

    def k_gram_entropy(self, k: int, L: int) -> float:
        """Return the nats per word of the best predictor with k words of memory, on L-word texts.

        The predictor knows the last k words, not the position. Fewer than k words into a text it
        knows all of them, and that the text began there.
        """
        occupancy = self.occupancy(L)
        total, begun = 0.0, torch.zeros(len(self.P), dtype=torch.float64)
        begun[0] = 1
        for length in range(min(k, L)):  # texts of fewer than k words so far
            total += self._conditional_entropy(begun, length)
        if L > k:
            total += self._conditional_entropy(occupancy[: L - k].sum(0), k)
        return total / L

    def _conditional_entropy(self, weight: Tensor, k: int) -> float:
        """Return H(next word | the k words before it), nats, times the mass of `weight`.

        weight (S,): the measure of the state before those k words, not normalised.
        """
        state = weight.nonzero().flatten()
        weight, code = weight[state], torch.zeros_like(state)
        for _ in range(k):
            before, word = self.P[state].nonzero(as_tuple=True)
            weight = weight[before] * self.P[state[before], word]
            code = code[before] * self.V + word
            state = self.successor[state[before], word]
        contexts, group = code.unique(return_inverse=True)
        joint = torch.zeros(len(contexts), self.V, dtype=torch.float64)
        joint.index_add_(0, group, weight[:, None] * self.P[state])
        mass = joint.sum(1, keepdim=True)
        return (mass.squeeze(1) @ entropy(joint / mass)).item()

    # ------------------------------------------------------------------------------- posteriors

    def likelihood(self, z: Tensor, alpha: Tensor | None = None) -> Tensor:
        """Return p(z_i | x_i = v) up to a factor, (B, L, V): the evidence z_i gives about x_i.

        z (B, L): word ids, or V for a hidden word. alpha None: a visible word is certain. alpha
        (B,): each word survived with probability alpha, and is otherwise uniformly random.
        """
        seen = torch.nn.functional.one_hot(z, self.V + 1)[..., : self.V].double()
        if alpha is None:
            noise = torch.zeros(len(z), 1, 1, dtype=torch.float64)
        else:
            noise = ((1 - alpha) / alpha.clamp(min=1e-300) / self.V).double()[:, None, None]
        return torch.where((z == self.V)[..., None], 1.0, seen + noise)

    def leave_one_out(self, z: Tensor, alpha: Tensor | None = None, rows: int = 256) -> Tensor:
        """Return p(x_i = v | every z_j but z_i), (B, L, V), by forward-backward.

        z (B, L), alpha (B,) or None: as in `likelihood`. Uniform where the rest of z is impossible.
        rows: how many texts are computed at a time.
        """
        evidence = self.likelihood(z, alpha).permute(1, 2, 0)  # (L, V, B): rows are words
        parts = evidence.split(rows, dim=2)  # few texts at a time stay in cache
        return torch.cat([self._forward_backward(part) for part in parts], dim=2).permute(2, 0, 1)

    def posterior(self, z: Tensor, alpha: Tensor | None = None) -> Tensor:
        """Return p(x_i = v | z), (B, L, V). z (B, L), alpha (B,) or None: as in `likelihood`."""
        joint = self.leave_one_out(z, alpha) * self.likelihood(z, alpha)
        return normalise(joint, dim=-1)

    def _forward_backward(self, evidence: Tensor) -> Tensor:
        """Return the leave-one-out probabilities (L, V, B) of evidence (L, V, B).

        Both messages are rescaled at every word, so that they never underflow: only their
        proportions matter.
        """
        L, V, B = evidence.shape
        S = len(self.P)
        p = self.p[:, None]
        forward = evidence.new_zeros(L, S, B)  # p(state before word i, the evidence before it)
        forward[0, 0] = 1
        for i in range(L - 1):
            flow = forward[i][self.source].mul_(p).mul_(evidence[i][self.word])
            forward[i + 1].index_add_(0, self.target, flow)
            forward[i + 1] /= forward[i + 1].sum(0).clamp(min=1e-300)
        backward = evidence.new_ones(S, B)  # p(the evidence from word i on | state)
        out = torch.empty_like(evidence)
        for i in range(L - 1, -1, -1):
            onward = backward[self.target].mul_(p)
            joint = evidence.new_zeros(V, B)
            joint.index_add_(0, self.word, forward[i][self.source].mul_(onward))
            out[i] = normalise(joint, dim=0)
            backward = evidence.new_zeros(S, B)
            backward.index_add_(0, self.source, onward.mul_(evidence[i][self.word]))
            backward /= backward.amax(0).clamp(min=1e-300)
        return out


def entropy(p: Tensor) -> Tensor:
    """Return the entropy (...) of distributions p (..., V), nats."""
    return -torch.special.xlogy(p, p).sum(-1)


def normalise(p: Tensor, dim: int) -> Tensor:
    """Return p divided by its sum along `dim`, uniform where that sum is zero."""
    total = p.sum(dim, keepdim=True)
    return torch.where(total > 0, p / total, 1 / p.shape[dim])
