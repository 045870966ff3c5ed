"""In what two models differ."""

from dataclasses import dataclass

import tyro

from ..show import model_diff, shared_code
from .registry import MODELS, NETWORK_NAMES, flag
from .shared import Command


@dataclass(frozen=True)
class Diff(Command):
    """Say in what two models differ, as found out from the code itself, and what they share.

    Every answer names the code it was got from. Examples:

      nanoparadigm diff ar diffusion
      nanoparadigm diff diffusion flow --network transformer
      nanoparadigm diff ar mamba
    """

    models: tyro.conf.Positional[flag(tuple[str, str], f"two of {MODELS}")]
    network: flag(str | None, f"of both, instead of their own: {NETWORK_NAMES}") = None

    def run(self):
        print(model_diff.table(*self.models, self.network))
        print(shared_code.table(*self.models, self.network), end="")
