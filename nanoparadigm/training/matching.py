"""Build models of equal size, for comparisons."""

from collections.abc import Iterable, Iterator
from typing import Any

from ..errors import InputError
from ..networks.base import NetworkConfig
from ..paradigms import Paradigm, build, parameters


def matched(
    name: str, vocab_size: int, target: int, tolerance: float = 0.02, **options: Any
) -> Paradigm:
    """Build a model of about `target` parameters, changing its shape as little as necessary.

    The inner width of the MLP changes if by up to a half is enough; otherwise depth and width
    change too. tolerance: the largest relative error in the number of parameters. Raises InputError
    if no shape comes within the tolerance.
    """
    for shape in _shapes(name, vocab_size, target, options):
        for model in _inner_widths(name, vocab_size, target, shape):
            if abs(parameters(model) / target - 1) <= tolerance:
                return model
    raise InputError(f"no {name} of about {target:,} parameters: choose a larger `n_embd`")


def _shapes(name: str, vocab_size: int, target: int, options: dict) -> Iterator[dict]:
    """Yield the options as they are, then those of each width, nearest first, at its best depth."""
    yield options
    sizes = NetworkConfig(
        **{k: v for k, v in options.items() if k in NetworkConfig.__dataclass_fields__}
    )
    grain = 2 * sizes.n_head
    for change in range(0, sizes.n_embd // grain):
        for width in (sizes.n_embd + change * grain, sizes.n_embd - change * grain):
            shape = {**options, "n_embd": width}
            # every two layers add the same number of parameters: two depths tell which fits
            one, three = (
                parameters(build(name, vocab_size, **{**shape, "n_layer": n})) for n in (1, 3)
            )
            depth = max(1, round(1 + 2 * (target - one) / (three - one)))
            yield {**shape, "n_layer": depth}


def _inner_widths(name: str, vocab_size: int, target: int, options: dict) -> Iterator[Paradigm]:
    """Yield the model as it is, then with the inner width that gives `target`, unless that is far
    from the usual one."""
    model = build(name, vocab_size, **options)
    yield model
    # every unit of it adds the same number of parameters: two widths tell which fits
    one, two = (parameters(build(name, vocab_size, **{**options, "n_inner": n})) for n in (1, 2))
    if two > one:  # a Mamba has no MLP
        usual = 1 + (parameters(model) - one) / (two - one)
        inner = round(1 + (target - one) / (two - one))
        if abs(inner / usual - 1) <= 0.5:
            yield build(name, vocab_size, **{**options, "n_inner": inner})


def build_alike(names: Iterable[str], vocab_size: int, **options: Any) -> dict[str, Paradigm]:
    """Return name -> model: the first as `build` makes it, the others `matched` to its size."""
    models: dict[str, Paradigm] = {}
    for name in names:
        if not models:
            models[name] = build(name, vocab_size, **options)
            target = parameters(models[name])
        else:
            models[name] = matched(name, vocab_size, target, **options)
    return models
