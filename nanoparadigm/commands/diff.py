"""The command `diff`: how two models differ."""

from dataclasses import dataclass

import tyro

from ..show import model_diff, shared_code
from .registry import MODELS, NETWORK_NAMES, flag
from .shared import Command


@dataclass(frozen=True)
class Diff(Command):
    """Say how two models differ, as found out from the code itself, and what they share.

    Every answer names the code that it comes from. Examples:

      nanoparadigm diff ar diffusion
      nanoparadigm diff diffusion flow --network transformer
      nanoparadigm diff ar mamba
    """

    models: tyro.conf.Positional[flag(tuple[str, str], f"two of {MODELS}")]
    network: flag(str | None, f"network of both, instead of their own: {NETWORK_NAMES}") = None

    def run(self) -> None:
        """Print how the two models differ, and how much code they share."""
        print(model_diff.table(*self.models, self.network))
        print(shared_code.table(*self.models, self.network), end="")
