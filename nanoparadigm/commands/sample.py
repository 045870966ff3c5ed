"""Let a model write, freely or in a gap."""

import inspect
import sys
from dataclasses import dataclass, field

import torch

from ..data.tokenizers import encode
from ..decoding.categorical import choose_sampler
from ..errors import check_positive, check_seed
from ..training import checkpoint
from .registry import IN_STEPS, LEFT_TO_RIGHT, as_flags, flag, sampler_options
from .shared import Command, goes_with_paradigms, paradigms, seeded, taken

CANDIDATES = (
    f"{LEFT_TO_RIGHT}: how many texts to write for the gap, to choose one that fits (default: 64)"
)


@dataclass(frozen=True)
class Common:
    """How to write, whatever the model."""

    sampling_steps: flag(int, f"steps of {IN_STEPS}") = 64
    temperature: float = 1.0
    """below 1 sharpens, 0 takes the most probable token"""
    top_k: int | None = None
    """draw from the k most probable tokens only"""
    top_p: float | None = None
    """draw from the most probable tokens that make up this share only"""
    blocks: int | None = None
    """write in N blocks from left to right, each finished before the next is begun; the default
    length is then N halves of the model's block, at least one block (causal models go from token to
    token by themselves)"""

    def options(self, saved):
        """Return the options of `generate` for a Checkpoint's model. Raises InputError for those
        that none of its samplers takes."""
        check_positive(self, ["sampling_steps"])
        mine = vars(self).copy()
        every = {name: mine.pop(name) for name in ("temperature", "top_k", "top_p", "blocks")}
        every["steps"] = mine.pop("sampling_steps")
        mine = {name: value for name, value in mine.items() if value is not None}
        own = mine.copy()
        choose_sampler(saved.model.samplers, own.pop("sampler", None), **own)
        return every | mine

    @staticmethod
    def goes(paths, length):
        """`Command.goes` of these flags, for texts of a length that was asked for or not."""
        steps, how = goes_with_paradigms(paradigms(paths))["sampling_steps"]
        return dict(
            sampling_steps=(steps, how),
            blocks=(steps or length is None, f"{how}, or without --length"),
        )

    def length(self, saved):
        """Tokens in a text whose length is not asked for."""
        block = saved.config["recipe"]["block_size"]
        return max(block, (self.blocks or 0) * block // 2)


Decoding = as_flags("Decoding", sampler_options(), bases=(Common,))
"""How to write: what every model can, and the options of the samplers of each."""


@dataclass(frozen=True)
class Sample(Command):
    """Let a model write.

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
    """texts"""
    seed: int = 0
    """same seed, same text"""
    infill: bool = False
    """fill the gap between --prefix and --suffix, as the command infill does"""
    prefix: str = ""
    """text before the gap"""
    suffix: str = ""
    """text after the gap"""
    fill_length: int = 30
    """tokens in the gap"""
    candidates: flag(int | None, CANDIDATES) = None
    decoding: Decoding = field(default_factory=Decoding)

    def goes(self):
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

    def run(self):
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
    """Fill a gap in a text; what is on either side stays, character for character.

    A model of masks or of noise sees both sides. One that goes from left to right writes candidates
    after the first side and chooses one by how probable it makes the second. Example:

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
    """texts"""
    seed: int = 0
    """same seed, same text"""
    candidates: flag(int | None, CANDIDATES) = None
    decoding: Decoding = field(default_factory=Decoding)

    def goes(self):
        return Sample(infill=True, **vars(self)).goes()

    def run(self):
        Sample(infill=True, **vars(self)).run()
