"""How two models differ, asked of the living code: this file knows none of them by name.

Each is built small, with no weight left at zero, and watched: what its network is given, which
positions affect a prediction, which logits the objective pulls up, how a text comes to be.
`shared_code.py` says how much of the code they share.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Generator, Tensor, nn

from ..errors import InputError
from ..evaluate.cost import counting
from ..evaluate.tables import markdown
from ..paradigms import Paradigm, build

V, L, STEPS, TEXTS = 11, 16, 8, 256  # symbols, tokens in a text, steps of writing, texts watched
SIZES = dict(n_layer=2, n_head=2, n_embd=16, block_size=L, d_state=4)
ROUNDING = 1e-9


@dataclass(frozen=True)
class Row:
    """A question, and what each of two models answers."""

    question: str
    answers: tuple[str, str]
    where: str
    """the code that was asked, file: name"""


def ask(one: str, other: str, network: str | None = None) -> list[Row]:
    """Return a Row for each question, answered by two of PRESETS.

    network: another than their own, for both. Raises InputError for an unknown name, and for a
    network that does not fit.
    """
    pairs = zip(answers(one, network).items(), answers(other, network).values(), strict=True)
    return [Row(q, (a, b), where(here, there)) for (q, (a, here)), (b, there) in pairs]


def table(one: str, other: str, network: str | None = None) -> str:
    """Return the rows of `ask` in Markdown: what differs, then what is the same in both."""
    rows = ask(one, other, network)
    differs = [[r.question, *r.answers, r.where] for r in rows if len({*r.answers}) == 2]
    same = [[r.question, r.answers[0], r.where] for r in rows if len({*r.answers}) == 1]
    heads = ["what differs", one, other, "see"], ["the same in both", "", "see"]
    both = zip(heads, (differs, same), strict=True)
    return "\n".join(markdown(head, lines, texts=True) for head, lines in both if lines)


def answers(name: str, network: str | None = None) -> dict[str, tuple[str, Any]]:
    """Return question -> (answer, the class or function that was asked), for one of PRESETS."""
    model, generator = random_model(name, network), torch.Generator().manual_seed(1)
    kind, net = type(model), type(model.net)
    sampler = written(next(iter(kind.samplers.values())))
    x = torch.randint(V, (TEXTS, L), generator=generator)
    z, pull = pulls(model, lambda: model.loss(x, generator))
    noisy, counts = pulls(model, lambda: model.nll_bound(x, generator, num_samples=1).sum())
    blank, known = torch.full_like(x, V), torch.zeros_like(x, dtype=torch.bool)
    with torch.no_grad():
        states = torch.stack([*model.trajectory(blank, known, generator, steps=STEPS)])
        with counting(model) as counted:
            model.sample(1, L, generator, steps=STEPS)
    empty = (states[0] == blank).all()
    return {
        "paradigm": (kind.__name__, kind),
        "network": (model.recipe["network"], net),
        "vocabulary": (vocabulary(z), kind.loss_terms),
        "a prediction sees": (attention(model.net), net),
        "told the noise level": (told(model.net, z), net),
        "training input": (given(z, x), kind.loss_terms),
        "training target": (target(z, pull, x), kind.loss_terms),
        "positions that pay in training": (paying(z, pull), kind.loss_terms),
        "positions that pay in its number": (paying(noisy, counts), kind.nll_bound),
        "its number": ("-log p(x) itself" if model.exact else "an upper bound", kind.nll_bound),
        "writing begins with": ("nothing" if empty else "random symbols", kind.prior),
        f"{L} tokens in {STEPS} steps": (order(states), sampler),
        "network calls": (str(counted.calls), sampler),
        "positions computed": (str(counted.positions), sampler),
        "a gap is filled": (gap(model, x, generator), kind.infill),
        "reads at once": (reach(model.net), net),
    }


def random_model(name: str, network: str | None) -> Paradigm:
    """Return a small model none of whose weights is zero.

    A fresh one has layers that are zero and pass their input on unchanged.
    """
    model = build(name, V, network=network, **SIZES).double().eval()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for p in model.parameters():
            p += 0.3 * torch.randn(p.shape, generator=generator)
    return model


def pulls(model: Paradigm, objective: Callable[[], Tensor]) -> tuple[Tensor, Tensor]:
    """Return what the network is given (B, L), and the pull of the objective at its logits.

    The pull (B, L, V) is the negative gradient. Several calls stand one below the other.
    """
    noted = []

    def note(net: nn.Module, inputs: tuple, logits: Tensor) -> None:
        logits.retain_grad()
        noted.append((inputs[0], logits))

    hook = model.net.register_forward_hook(note)
    objective().backward()
    hook.remove()
    z, logits = zip(*noted, strict=True)
    return torch.cat(z), -torch.cat([each.grad for each in logits])[..., :V]


def logits(net: nn.Module, z: Tensor, noise_level: float) -> Tensor:
    """Return the logits of a network for z (B, L) at one noise level, without gradients."""
    with torch.no_grad():
        return net(z, torch.full((len(z),), noise_level, dtype=torch.float64))


def vocabulary(z: Tensor) -> str:
    """Say which symbols the network reads."""
    at = (z == V).any(0).nonzero().flatten().tolist()
    return f"V and a {'start' if at == [0] else 'mask'} symbol" if at else "V"


def attention(net: nn.Module) -> str:
    """Say which positions j of the text move the logits at i."""
    z = torch.zeros(L + 1, L, dtype=torch.long)
    z[range(L), range(L)] = 1  # in each text one other token, in the last none
    said = logits(net, z, 0.5)
    sees = ((said[:L] - said[L]).abs().amax(-1) > ROUNDING).mT
    if (sees == torch.ones_like(sees).tril()).all():
        return "positions up to its own"
    if (sees == ~torch.eye(L, dtype=torch.bool)).all():
        return "every position but its own"
    return "every position" if sees.all() else f"{percent(sees)} of the positions"


def told(net: nn.Module, z: Tensor) -> str:
    """Say whether the logits depend on the noise level."""
    change = logits(net, z, 0.2) - logits(net, z, 0.8)
    return "yes" if change.abs().max() > ROUNDING else "no"


def moved(a: Tensor, x: Tensor) -> int:
    """Return how many positions further right a (B, L) shows the text x (B, L): -1, 0 or 1."""
    return max((0, 1, -1), key=lambda s: (a.roll(-s, 1) == x).double().mean())


def given(z: Tensor, x: Tensor) -> str:
    """Say what the network is given of the text x (B, L) in training."""
    s = moved(z, x)
    masked, wrong = z == V, z != x.roll(s, 1)
    if s:
        return "the text, moved by one"
    for changed, word in (masked, "masked"), (wrong & ~masked, "replaced"):
        if changed.any():
            return f"the text, {percent(changed)} of it {word}"
    return "the text"


def target(z: Tensor, pull: Tensor, x: Tensor) -> str:
    """Say which token the objective pulls up, seen from the one given at that position."""
    token = torch.where(pull.any(-1), pull.argmax(-1), V)
    ahead = moved(z, x) - moved(token, x)
    return {0: "the token in its place", 1: "the next token"}.get(ahead, f"the token {ahead} ahead")


def paying(z: Tensor, pull: Tensor) -> str:
    """Say which positions contribute to the objective, and how many."""
    pays = pull.any(-1)
    if pays.all():
        return "all"
    return f"{'the masked' if (pays == (z == V)).all() else 'some'}, {percent(pays)}"


def order(states: Tensor) -> str:
    """Say how a text comes to be, from the states (T, B, L) of a trajectory."""
    changed = (states[1:] != states[:-1]).double()
    at_once, times = changed.sum(-1), changed.sum(0)
    many = "one" if (at_once == 1).all() else f"{at_once.mean():.1f}"
    once = (times <= 1).all()
    later = changed.argmax(0).diff()  # than the neighbour on the left; 0 in the same step
    ways = ("from left to right", later >= 0), ("from right to left", later <= 0)
    way = next((way for way, always in ways if once and always.all()), "in any order")
    often = "once" if once else f"{times.mean():.1f} times"
    return f"{many} at a time, {way}, each {often}"


def gap(model: Paradigm, x: Tensor, generator: Generator) -> str:
    """Say how the model fills a gap."""
    try:
        next(model.trajectory(x, torch.arange(L).expand_as(x) % 4 != 1, generator))
    except InputError:
        return "from its left; candidates are ranked"
    return "with both sides in view"


def reach(net: nn.Module) -> str:
    """Say how long a text the network can read."""
    return "a text of any length" if getattr(net, "max_length", None) is None else "its block"


def percent(share: Tensor) -> str:
    """Return the share of true values as a percentage."""
    return f"{100 * share.double().mean():.0f} %"


def written(kind: type) -> type:
    """Return the class, or the first it inherits from, that stands in a file.

    A sampler of block diffusion is made by `type` and stands in none.
    """
    files = {k: Path(inspect.getsourcefile(k)).read_text("utf-8") for k in kind.__mro__[:-1]}
    return next(k for k, text in files.items() if f"class {k.__name__}" in text)


def where(*things) -> str:
    """Return classes or functions as "file: name", a name that both share only once."""
    files = {}
    for thing in things:
        path = Path(inspect.getsourcefile(thing))
        file = f"{path.parent.name}/{path.name}" if path.name == "base.py" else path.name
        files.setdefault(thing.__name__, {})[file] = None
    return "; ".join(f"{', '.join(names)}: {name}" for name, names in files.items())
