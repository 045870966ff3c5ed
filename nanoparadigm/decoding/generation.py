"""What every model can do once it has a `trajectory`: write, continue, and fill gaps."""

from collections import deque
from collections.abc import Iterator, Sequence

import torch
from torch import Generator, Tensor

from ..errors import InputError
from ..networks.base import check_weights
from .blocks import in_blocks


class Generation:
    """Of a model: its `vocab_size`, `mask_id`, `device`, `net`, `causal` and `trajectory`."""

    def generate(self, canvas, known, generator, blocks=None, **options) -> Iterator[tuple]:
        """Yield states (B, L) of a text of any length, each with the slice that the network reads:
        those of `trajectory`, block by block where the text is too long, or as `blocks` asks."""
        return in_blocks(self, canvas, known, generator, blocks, **options)

    def sample(
        self, n: int, length: int, generator: Generator, prompt: Sequence[int] = (), **options
    ) -> Tensor:
        """Return n texts of `length` tokens (n, length), each starting with the prompt's tokens;
        the options are those of `generate` and of `trajectory`. Raises InputError."""
        return self.fill(self.template(length, prompt), n, generator, **options)

    def infill(self, n, prefix, suffix, fill_length, generator, **options) -> Tensor:
        """Return n texts (n, L): the prefix, `fill_length` new tokens, the suffix."""
        template = [*prefix] + [self.mask_id] * fill_length + [*suffix]
        return self.fill(template, n, generator, **options)

    def template(self, length: int, prompt: Sequence[int] = ()) -> list[int]:
        """Return the prompt's tokens and then masks, `length` ids."""
        if length < len(prompt):
            raise InputError(
                f"length {length} is shorter than the prompt ({len(prompt)} tokens): "
                "ask for more, or shorten the prompt"
            )
        return [*prompt] + [self.mask_id] * (length - len(prompt))

    def fill(self, template: Sequence[int], n: int, generator: Generator, **options) -> Tensor:
        """Return n texts (n, L) that agree with the template wherever it is not a mask."""
        canvas, known = self.canvas(template, n)
        with torch.inference_mode():
            text, _ = deque(self.generate(canvas, known, generator, **options), maxlen=1).pop()
        return text.clone()  # outside, so that it is an ordinary tensor

    def canvas(self, template: Sequence[int], n: int) -> tuple[Tensor, Tensor]:
        """Return the template's tokens repeated n times (n, L), and where they are given (n, L)."""
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
