"""The exact posterior of the ground-truth language, as a network: the Bayes-optimal denoiser."""

from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor, nn

from ..shapes import Logits, Times, TokenIds
from .automaton import Automaton


class Posterior(nn.Module):
    """The exact posterior as a network: net(z, t) -> logits (B, L, V), for any paradigm.

    causal: z begins with the start symbol V, and the logits at i are those of the next word.
    timed: z went through uniform noise of level t, and the logits are the leave-one-out ones.
    Neither: symbol V hides a word, and the logits are those of the word behind it.
    """

    def __init__(self, automaton: Automaton, causal: bool, timed: bool) -> None:
        super().__init__()
        self.automaton, self.causal, self.timed = automaton, causal, timed
        self.hollow = not causal  # leave-one-out probabilities are

    def forward(self, z: TokenIds, t: Times | None = None) -> Logits:
        """Return log-probabilities (B, L, V) for z (B, L) and, if timed, noise levels t (B,)."""
        if self.causal:
            return self.automaton.P[self.automaton.walk(z[:, 1:])].log()
        if not self.timed:
            return self.automaton.leave_one_out(z).log()
        assert t is not None  # a timed network is always told the noise level
        return self.automaton.leave_one_out(z, 1 - t).log()

    def init_state(self, batch: int) -> None:
        """Return None, the state before the first token."""

    def step(self, z: TokenIds, state: Tensor | None) -> tuple[Logits, Tensor]:
        """Return the log-probabilities (B, n, V) after each token of z (B, n), and the new state.

        The state (B,) is that of the automaton. If it is None, z begins with the start symbol V.
        """
        if state is None:
            state, z = torch.zeros(len(z), dtype=torch.long), z[:, 1:]
            visited = [state]
        else:
            visited = []
        for word in z.unbind(1):
            state = self.automaton.successor[state, word]
            visited.append(state)
        return self.automaton.P[torch.stack(visited, dim=1)].log(), state


class Kind(Protocol):
    """What a class of paradigms says of the network it wants, and is made from."""

    causal: bool
    timed: bool

    def __init__(self, net: nn.Module, vocab_size: int, **options: Any) -> None: ...


Model = TypeVar("Model", bound=Kind)


def oracle(kind: type[Model], automaton: Automaton, **options: Any) -> Model:
    """Return the paradigm `kind`, a subclass of Paradigm, over the exact posterior of an automaton.

    options: of the constructor of `kind`.
    """
    return kind(Posterior(automaton, kind.causal, kind.timed), automaton.V, **options)
