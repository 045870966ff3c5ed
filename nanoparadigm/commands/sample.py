"""The commands `sample` and `infill`: generate a text, or what stands in a gap."""

import inspect
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import torch

from ..data.tokenizers import encode
from ..decoding.categorical import choose_sampler
from ..errors import check_positive, check_seed
from ..training import checkpoint
from .registry import IN_STEPS, LEFT_TO_RIGHT, as_flags, flag, sampler_options
from .shared import Command, Goes, goes_with_paradigms, paradigms, seeded, taken

CANDIDATES = (
    f"{LEFT_TO_RIGHT}: candidates to generate for the gap, of which one is drawn (default: 64)"
)


@dataclass(frozen=True)
class Common:
    """How to generate, with any model."""

    sampling_steps: flag(int, f"steps of {IN_STEPS}") = 64
    temperature: float = 1.0
    """below 1 sharpens, 0 takes the most probable token"""
    top_k: int | None = None
    """draw only from the k most probable tokens"""
    top_p: float | None = None
    """draw only from the most probable tokens, as many as make up this share"""
    blocks: int | None = None
    """generate in N blocks from left to right, each finished before the next begins; the default
    length is then N half-blocks of the model, at least one whole block (causal models go token by
    token anyway)"""

    def options(self, saved: checkpoint.Checkpoint) -> dict[str, Any]:
        """Return the options of `generate` for a Checkpoint's model.

        Raises InputError for options that none of its samplers takes.
        """
        check_positive(self, ["sampling_steps"])
        mine = vars(self).copy()
        every = {name: mine.pop(name) for name in ("temperature", "top_k", "top_p", "blocks")}
        every["steps"] = mine.pop("sampling_steps")
        mine = {name: value for name, value in mine.items() if value is not None}
        own = mine.copy()
        choose_sampler(saved.model.samplers, own.pop("sampler", None), **own)
        return every | mine

    @staticmethod
    def goes(paths: Iterable[str], length: int | None) -> Goes:
        """Return `Command.goes` of these flags. length: None if the flag was not given."""
        steps, how = goes_with_paradigms(paradigms(paths))["sampling_steps"]
        return dict(
            sampling_steps=(steps, how),
            blocks=(steps or length is None, f"{how}, or without --length"),
        )

    def length(self, saved: checkpoint.Checkpoint) -> int:
        """Return the number of tokens in a text if no length is asked for."""
        block = saved.config["recipe"]["block_size"]
        return max(block, (self.blocks or 0) * block // 2)


Decoding = as_flags("Decoding", sampler_options(), bases=(Common,))
"""How to generate: the options of every model, and those of the samplers of each."""


@dataclass(frozen=True)
class Sample(Command):
    """Generate text with a model.

    Examples:

      nanoparadigm sample --checkpoint runs/ar --prompt "ROMEO:" --length 200
      nanoparadigm sample --checkpoint runs/diffusion --length 128 --sampling_steps 64
      nanoparadigm sample --checkpoint runs/diffusion --sampler confidence --threshold 0.9
      nanoparadigm sample --checkpoint runs/flow --blocks 8 --corrections 1
      nanoparadigm sample --checkpoint runs/flow --length 128 --sampler euler --eta 0.5
      nanoparadigm sample --checkpoint runs/diffusion --infill --prefix "To be" --suffix "question"
    """

    checkpoint: str
    """folder of a run or of one checkpoint"""
    prompt: str = ""
    """text to begin with"""
    length: int | None = None
    """tokens in the text, the prompt's included (default: the model's block; see --blocks)"""
    n: int = 1
    """number of texts"""
    seed: int = 0
    """same seed, same text"""
    infill: bool = False
    """fill the gap between --prefix and --suffix, like the command infill"""
    prefix: str = ""
    """text before the gap"""
    suffix: str = ""
    """text after the gap"""
    fill_length: int = 30
    """tokens in the gap"""
    candidates: flag(int | None, CANDIDATES) = None
    decoding: Decoding = field(default_factory=Decoding)

    def goes(self) -> Goes:
        """Return which flags have an effect: see `Command.goes`."""
        free, filling = (not self.infill, "without --infill"), (self.infill, "with --infill")
        length = self.fill_length if self.infill else self.length
        return self.decoding.goes([self.checkpoint], length) | dict(
            prompt=free,
            length=free,
            prefix=filling,
            suffix=filling,
            fill_length=filling,
            candidates=(self.infill and self.suffix, "with --infill and --suffix"),
        )

    def run(self) -> None:
        """Generate the texts and print them."""
        check_positive(self, ["n", "fill_length", "candidates"])
        check_seed(self.seed)
        saved = checkpoint.load(self.checkpoint)
        model, tokenizer = saved.model.eval(), saved.tokenizer
        options = dict(generator=seeded(self.seed), **self.decoding.options(saved))
        with torch.no_grad():
            if self.infill:
                options |= taken(saved, model.infill, candidates=self.candidates)
                prefix, suffix = (encode(tokenizer, text) for text in (self.prefix, self.suffix))
                texts = model.infill(self.n, prefix, suffix, self.fill_length, **options)
                if suffix and not model.infills:
                    usual = inspect.signature(model.infill).parameters["candidates"].default
                    print(
                        f"{self.checkpoint} cannot see the text after a gap: it chose among "
                        f"{self.candidates or usual} candidates by how probable they make "
                        "what follows",
                        file=sys.stderr,
                    )
            else:
                length = self.decoding.length(saved) if self.length is None else self.length
                prompt = encode(tokenizer, self.prompt)
                texts = model.sample(self.n, length, prompt=prompt, **options)
        print("\n---\n".join(tokenizer.decode(text) for text in texts))


@dataclass(frozen=True)
class Infill(Command):
    """Fill a gap in a text; both sides of it stay, character for character.

    Models of masks or noise see both sides. A model that goes from left to right generates
    candidates after the first side, and draws one by how probable it makes the second. Example:

      nanoparadigm infill --checkpoint runs/diffusion --prefix "To be" \\
          --suffix "that is the question" --fill_length 30
    """

    checkpoint: str
    """folder of a run or of one checkpoint"""
    prefix: str = ""
    """text before the gap"""
    suffix: str = ""
    """text after the gap"""
    fill_length: int = 30
    """tokens in the gap"""
    n: int = 1
    """number of texts"""
    seed: int = 0
    """same seed, same text"""
    candidates: flag(int | None, CANDIDATES) = None
    decoding: Decoding = field(default_factory=Decoding)

    def goes(self) -> Goes:
        """Return which flags have an effect: see `Command.goes`."""
        return Sample(infill=True, **vars(self)).goes()

    def run(self) -> None:
        """Fill the gap and print the texts."""
        Sample(infill=True, **vars(self)).run()
