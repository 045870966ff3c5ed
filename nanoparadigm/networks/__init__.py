"""The networks, functions net(z, t) -> logits that know no paradigm."""

from functools import partial

from .hollow import Hollow
from .mamba import Mamba
from .mamba2 import Mamba2, RotaryMamba2
from .transformer import Transformer

NETWORKS = {
    "transformer": Transformer,
    "mamba": Mamba,
    "mamba2": Mamba2,
    "rotary_mamba2": RotaryMamba2,
    "hollow": partial(Hollow, Transformer),
    "hollow_mamba": partial(Hollow, Mamba),
}
