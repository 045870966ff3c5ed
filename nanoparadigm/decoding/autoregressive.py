"""From left to right: each token is drawn given those before it, and a gap is filled by ranking.

A step for a single text is many small operations, which cost more to call than to compute. After
half a minute of compiling, which needs a C++ compiler, it takes a fraction of the time:

    model.net.step = torch.compile(model.net.step, options={"cpp_wrapper": True})
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Generator, nn

from ..errors import InputError
from ..shapes import Logits, TokenIds, Where
from .categorical import Categorical, sample_categorical
from .protocols import CausalModel


@dataclass(frozen=True)
class LeftToRight:
    """Draw one token after another, equation (4) of `paradigms/ar.py`; `steps` is ignored.

    A text longer than the network's context is continued from the last half of its context.
    """

    def __call__(
        self,
        model: CausalModel,
        z: TokenIds,
        known: Where,
        steps: int,
        draw: Categorical,
        generator: Generator,
    ) -> Iterator[TokenIds]:
        """Yield z (B, L) after each new token; `known` (B, L) must be a prefix."""
        net: Any = model.net if hasattr(model.net, "step") else Recompute(model.net)
        context = getattr(model.net, "max_length", None) or z.shape[1]
        held = context
        for i in range(prefix_length(known), z.shape[1]):
            if held == context:
                kept = i if i < context else context // 2
                state = net.init_state(len(z))
                bos = z.new_full((len(z), 1), model.bos_id)
                new = torch.cat([bos, z[:, i - kept : i]], dim=1)
                held = 0
            else:
                new = z[:, i - 1 : i]
            logits, state = net.step(new, state)
            held += new.shape[1]
            z = z.clone()
            z[:, i] = draw(logits[:, -1, : model.vocab_size], generator)
            yield z


SAMPLERS = {"left_to_right": LeftToRight}

DECODINGS: dict[str, dict[str, Any]] = {
    "plain": {},
    "temperature": dict(temperature=0.8),
    "top_k": dict(top_k=4),
    "top_p": dict(top_p=0.9),
}


def prefix_length(known: Where) -> int:
    """Return how many tokens `known` (B, L) gives on the left.

    Raises InputError if tokens after a gap are given too.
    """
    n = int(known[0].sum())
    if not (known == (torch.arange(known.shape[1], device=known.device) < n)).all():
        raise InputError(
            "an autoregressive model writes from left to right and cannot be given text after a "
            "gap: use a model that sees both sides, or `infill`, which ranks candidates for one gap"
        )
    return n


class Recompute:
    """The steps of a network that has none: keep the text and read it anew each time."""

    def __init__(self, net: nn.Module) -> None:
        self.net = net

    def init_state(self, batch: int) -> None:
        """Return None, the state before the first token."""

    def step(self, z: TokenIds, state: TokenIds | None) -> tuple[Logits, TokenIds]:
        """Return the logits (B, n, V) of z (B, n), and the text so far."""
        text = z if state is None else torch.cat([state, z], dim=1)
        return self.net(text, None)[:, -z.shape[1] :], text


def infill_by_ranking(
    model: CausalModel,
    n: int,
    prefix: Sequence[int],
    suffix: Sequence[int],
    fill_length: int,
    generator: Generator,
    candidates: int = 64,
    **options: Any,
) -> TokenIds:
    """Return n texts (n, L): the prefix, `fill_length` new tokens, the suffix.

    The model cannot see what comes after a gap while it fills it. So for each text it writes
    `candidates` continuations of the prefix alone, and one of them is drawn in proportion to
    p(suffix | prefix, candidate): importance sampling, which tends to p(fill | both sides) as the
    number of candidates grows. At temperature 0 the candidates are drawn at temperature 1 and the
    most probable text is taken. If the text is longer than the network's context, only the part
    around the gap that fits is scored. options: of `sample`. Raises InputError.
    """
    if candidates < 1:
        raise InputError(f"candidates is {candidates}: give a whole number of 1 or more")
    greedy = options.get("temperature") == 0
    if greedy:
        options = {**options, "temperature": 1.0}
    filled = len(prefix) + fill_length
    texts = model.sample(n * candidates, filled, generator, prompt=prefix, **options)
    after = torch.tensor(suffix, dtype=texts.dtype, device=texts.device)
    texts = torch.cat([texts, after.expand(len(texts), -1)], dim=1)
    context = getattr(model.net, "max_length", None) or texts.shape[1]
    end = min(texts.shape[1], filled + max(context - fill_length, context // 2))
    seen = slice(max(0, end - context), end)
    with torch.inference_mode():
        log_p = -model.token_nll(texts[:, seen])
    first = len(prefix) if greedy else filled
    weight = log_p[:, max(first - seen.start, 0) :].sum(-1).double().view(n, candidates)
    if greedy:
        chosen = weight.argmax(-1)
    else:
        chosen = sample_categorical(weight.softmax(-1), generator)
    return texts.view(n, candidates, -1)[torch.arange(n, device=texts.device), chosen]
