"""The next token behind a long text: bytes of what a network keeps of it, and milliseconds.

    python benchmarks/context.py        (about a minute, on one thread)

`ar` keeps the keys and values of all tokens so far, `mamba` and `mamba2` a state of fixed size. The
networks have about 0.8 M parameters and are untrained, because neither time nor memory depends on
the weights. Each call reads the same few tokens, the last of them at the position that is named.
"""

import copy

import torch
from measure import save, show, side_by_side, summary

from nanoparadigm.commands.allocator import keep_memory
from nanoparadigm.networks.transformer import Cache
from nanoparadigm.paradigms import parameters
from nanoparadigm.training.matching import build_alike

MODELS = "ar", "mamba", "mamba2"
POSITIONS = 64, 128, 256, 512, 1024, 2048, 4096
VOCAB, TOKENS, REPEATS = 65, 8, 31


def after(net, z):
    """The state of a network after the tokens z (1, L)."""
    state = net.init_state(1)
    for part in z.split(256, dim=1):  # keeps the mask of `ar` small
        _, state = net.step(part, state)
    return state


def one_by_one(net, state, z):
    """The state after the tokens z (1, n) too. The old one can be gone on from again.

    A copy of a cache has the same buffers and a length of its own.
    """
    state = [copy.copy(part) if isinstance(part, Cache) else part for part in state]
    for token in z.split(1, dim=1):
        _, state = net.step(token, state)
    return state


def kept(state):
    """The bytes that a state holds of one text; of a cache only the part in use counts."""
    if isinstance(state, Cache):
        return sum(v[:, :, : state.length].nbytes for v in (state.keys, state.values))
    return state.nbytes if torch.is_tensor(state) else sum(map(kept, state))


@torch.inference_mode()
def measure(positions=POSITIONS, repeats=REPEATS):
    models = build_alike(MODELS, VOCAB, block_size=max(positions))
    z = torch.randint(VOCAB, (1, max(positions)), generator=torch.Generator().manual_seed(0))
    calls, sizes = {}, {}
    for position in positions:
        last = z[:, position - TOKENS : position]
        for name, model in models.items():
            net, state = model.net, after(model.net, z[:, : position - TOKENS])
            sizes[name, position] = kept(one_by_one(net, state, last))
            calls[name, position] = lambda n=net, s=state, t=last: one_by_one(n, s, t)
    times = side_by_side(calls, repeats)
    times = {key: [ms / TOKENS for ms in found] for key, found in times.items()}
    show({f"{name}, position {position:,}": ms for (name, position), ms in times.items()})
    return dict(
        tokens=TOKENS,
        calls=repeats,
        parameters={name: parameters(model) for name, model in models.items()},
        kept={n: {str(p): sizes[n, p] for p in positions} for n in models},
        milliseconds={n: {str(p): summary(times[n, p]) for p in positions} for n in models},
    )


if __name__ == "__main__":
    keep_memory()
    torch.set_num_threads(1)
    save("context", **measure())
