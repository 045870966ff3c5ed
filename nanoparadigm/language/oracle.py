"""The exact posterior of the ground-truth language, as a network: the Bayes-optimal denoiser."""

import torch
from torch import nn


class Posterior(nn.Module):
    """The exact posterior as a network: net(z, t) -> logits (B, L, V), for any paradigm.

    causal: z begins with the start symbol V, and the logits at i are those of the next word.
    timed: z went through uniform noise of level t, and the logits are the leave-one-out ones.
    Neither: symbol V hides a word, and the logits are those of the word behind it.
    """

    def __init__(self, automaton, causal, timed):
        super().__init__()
        self.automaton, self.causal, self.timed = automaton, causal, timed
        self.hollow = not causal  # leave-one-out probabilities are

    def forward(self, z, t=None):
        if self.causal:
            return self.automaton.P[self.automaton.walk(z[:, 1:])].log()
        return self.automaton.leave_one_out(z, 1 - t if self.timed else None).log()

    def init_state(self, batch):
        return None

    def step(self, z, state):
        """The states of the automaton are the recurrent state; a first z begins with V."""
        if state is None:
            state, z = torch.zeros(len(z), dtype=torch.long), z[:, 1:]
            visited = [state]
        else:
            visited = []
        for word in z.unbind(1):
            state = self.automaton.successor[state, word]
            visited.append(state)
        return self.automaton.P[torch.stack(visited, dim=1)].log(), state


def oracle(kind, automaton, **options):
    """The paradigm `kind` (a subclass of Paradigm) over the exact posterior of an automaton."""
    return kind(Posterior(automaton, kind.causal, kind.timed), automaton.V, **options)
