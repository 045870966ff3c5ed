"""What every model can do once it has a `trajectory`: write, continue, and fill gaps."""

from abc import abstractmethod
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Generator, nn

from ..errors import InputError
from ..networks.base import check_weights
from ..shapes import TokenIds, Where
from .blocks import in_blocks


class Generation(nn.Module):
    """A model that writes, given its `net`, `mask_id`, `causal`, `device` and `trajectory`."""

    net: nn.Module
    mask_id: int
    causal: bool

    @property
    @abstractmethod
    def device(self) -> torch.device:
        """Return the device of the weights."""

    @abstractmethod
    def trajectory(
        self, canvas: TokenIds, known: Where, generator: Generator, **options: Any
    ) -> Iterator[TokenIds]:
        """Yield states (B, L), from the prior to the sample."""

    def generate(
        self,
        canvas: TokenIds,
        known: Where,
        generator: Generator,
        blocks: int | None = None,
        **options: Any,
    ) -> Iterator[tuple[TokenIds, slice]]:
        """Yield states (B, L) of a text of any length, each with the slice that the network reads.

        They are those of `trajectory`, block by block if the text is longer than the network's
        context or if `blocks` asks for it. options: of `trajectory`. Raises InputError.
        """
        return in_blocks(self, canvas, known, generator, blocks, **options)

    def sample(
        self, n: int, length: int, generator: Generator, prompt: Sequence[int] = (), **options: Any
    ) -> TokenIds:
        """Return n texts of `length` tokens (n, length), each starting with the prompt's tokens.

        options: of `generate` and `trajectory`. Raises InputError for what cannot be written.
        """
        return self.fill(self.template(length, prompt), n, generator, **options)

    def infill(
        self,
        n: int,
        prefix: Sequence[int],
        suffix: Sequence[int],
        fill_length: int,
        generator: Generator,
        **options: Any,
    ) -> TokenIds:
        """Return n texts (n, L): the prefix, `fill_length` new tokens, the suffix.

        options: of `generate` and `trajectory`. Raises InputError for what cannot be written.
        """
        template = [*prefix] + [self.mask_id] * fill_length + [*suffix]
        return self.fill(template, n, generator, **options)

    def template(self, length: int, prompt: Sequence[int] = ()) -> list[int]:
        """Return `length` ids, the prompt and then masks. Raises InputError for a longer prompt."""
        if length < len(prompt):
            raise InputError(
                f"length {length} is shorter than the prompt ({len(prompt)} tokens): "
                "ask for more, or shorten the prompt"
            )
        return [*prompt] + [self.mask_id] * (length - len(prompt))

    def fill(
        self, template: Sequence[int], n: int, generator: Generator, **options: Any
    ) -> TokenIds:
        """Return n texts (n, L) that agree with the template (L) wherever it is not a mask."""
        canvas, known = self.canvas(template, n)
        with torch.inference_mode():
            text, _ = deque(self.generate(canvas, known, generator, **options), maxlen=1).pop()
        return text.clone()  # outside, so that it is an ordinary tensor

    def canvas(self, template: Sequence[int], n: int) -> tuple[TokenIds, Where]:
        """Return the template's tokens repeated n times (n, L), and where they are given (n, L).

        Raises InputError for nothing to write, unknown symbols, or weights that are not finite.
        """
        if len(template) == 0 or n < 1:
            raise InputError("nothing to generate: ask for a length and a number of 1 or more")
        check_weights(self)
        canvas = torch.tensor([template] * n, device=self.device)
        if ((canvas < 0) | (canvas > self.mask_id)).any():
            raise InputError(
                "the text given holds symbols this model has never seen: "
                "use characters of the text it was trained on"
            )
        return canvas, canvas != self.mask_id
