"""The networks, functions net(z, t) -> logits that know no paradigm."""

from functools import partial

from .hollow import Hollow
from .mamba import Mamba
from .transformer import Transformer

NETWORKS = {
    "transformer": Transformer,
    "mamba": Mamba,
    "hollow": partial(Hollow, Transformer),
    "hollow_mamba": partial(Hollow, Mamba),
}
