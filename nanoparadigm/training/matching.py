"""Models of equal size, for comparisons."""

from ..errors import InputError
from ..networks.base import Sizes
from ..paradigms import build, parameters


def matched(name, vocab_size, target, tolerance=0.02, **options):
    """`build` with its shape changed, as little as need be, to `target` parameters.

    By the inner width of the MLP if up to half more or less of it is enough, else by depth and
    width as well. Used to compare models at equal size. Raises InputError where no size within the
    tolerance fits.
    """
    for shape in _shapes(name, vocab_size, target, options):
        for model in _inner_widths(name, vocab_size, target, shape):
            if abs(parameters(model) / target - 1) <= tolerance:
                return model
    raise InputError(f"no {name} of about {target:,} parameters: choose a larger `n_embd`")


def _shapes(name, vocab_size, target, options):
    """The options as they are, then for every width, the nearest first, with the best depth."""
    yield options
    sizes = Sizes(**{k: v for k, v in options.items() if k in Sizes.__dataclass_fields__})
    grain = 2 * sizes.n_head
    for change in range(0, sizes.n_embd // grain):
        for width in (sizes.n_embd + change * grain, sizes.n_embd - change * grain):
            shape = {**options, "n_embd": width}
            # parameters grow by the same number with every two layers: two depths tell which fits
            one, three = (
                parameters(build(name, vocab_size, **{**shape, "n_layer": n})) for n in (1, 3)
            )
            depth = max(1, round(1 + 2 * (target - one) / (three - one)))
            yield {**shape, "n_layer": depth}


def _inner_widths(name, vocab_size, target, options):
    """The model as it is, then with the inner width that gives `target`, if not far from usual."""
    model = build(name, vocab_size, **options)
    yield model
    # parameters grow by the same number with every unit of it: two widths give all
    one, two = (parameters(build(name, vocab_size, **{**options, "n_inner": n})) for n in (1, 2))
    if two > one:  # a Mamba has no MLP
        usual = 1 + (parameters(model) - one) / (two - one)
        inner = round(1 + (target - one) / (two - one))
        if abs(inner / usual - 1) <= 0.5:
            yield build(name, vocab_size, **{**options, "n_inner": inner})


def build_alike(names, vocab_size, **options):
    """name -> model: the first as `build` makes it, the others `matched` to its parameters."""
    models = {}
    for name in names:
        if not models:
            models[name] = build(name, vocab_size, **options)
            target = parameters(models[name])
        else:
            models[name] = matched(name, vocab_size, target, **options)
    return models
