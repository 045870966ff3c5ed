"""In what two models differ."""

from dataclasses import dataclass

import tyro

from .. import differences, shared_code
from .shared import Command


@dataclass(frozen=True)
class Diff(Command):
    """Say in what two models differ, as found out from the code itself, and what they share.

    Every answer names the code it was got from. Examples:

      nanoparadigm diff ar diffusion
      nanoparadigm diff diffusion flow --network transformer
      nanoparadigm diff ar mamba
    """

    models: tyro.conf.Positional[tuple[str, str]]
    """two of ar, diffusion, flow, mamba"""
    network: str | None = None
    """of both, instead of their own: transformer, mamba, hollow or hollow_mamba"""

    def run(self):
        print(differences.table(*self.models, self.network))
        print(shared_code.table(*self.models, self.network), end="")
