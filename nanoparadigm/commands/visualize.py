"""The command `visualize`: watch models generate text."""

import math
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console

from ..data.tokenizers import encode
from ..errors import InputError, check_seed, lookup
from ..show import animation
from ..terminal import unguarded
from ..training import checkpoint
from .sample import Decoding
from .shared import Command, Goes, check_output, seeded


@dataclass(frozen=True)
class Visualize(Command):
    """Watch several models generate text, side by side on one clock.

    Each generates its text first; the animation then takes as long as is asked for. If the output
    is no terminal, a few stills are printed instead. A network call does not cost the same
    everywhere: models of masks and noise compute all positions they read in every call, the others
    little more than the new one. Examples:

      nanoparadigm visualize --checkpoint runs/ar runs/diffusion runs/flow runs/mamba
      nanoparadigm visualize --checkpoint runs/ar runs/diffusion --clock seconds --html race.html
      nanoparadigm visualize --checkpoint runs/diffusion --blocks 4 --gif race.gif --light
    """

    checkpoint: tuple[str, ...]
    """folders of runs or of checkpoints"""
    prompt: str = ""
    """text to begin with"""
    length: int | None = None
    """tokens in the text, the prompt's included (default: the model's block; see --blocks)"""
    clock: str = "calls"
    """calls (of the network) or seconds (of the model)"""
    seconds: float = 10.0
    """how long the animation takes; 0 for stills"""
    html: str | None = None
    """file for the same race as one self-contained HTML page"""
    gif: str | None = None
    """file for the race as an animated picture, which plays again and again"""
    light: bool = False
    """make that picture on a light ground"""
    seed: int = 0
    """same seed, same texts"""
    decoding: Decoding = field(default_factory=Decoding)

    def goes(self) -> Goes:
        """Return which flags have an effect: see `Command.goes`."""
        light = dict(light=(self.gif is not None, "with --gif"))
        return self.decoding.goes(self.checkpoint, self.length) | light

    def run(self) -> None:
        """Generate the texts, then show them in the terminal and write the files."""
        check_seed(self.seed)
        lookup("clock", self.clock, animation.CLOCKS)
        check_output("html", self.html)
        check_output("gif", self.gif)
        if not 0 <= self.seconds < math.inf:
            raise InputError(f"seconds is {self.seconds}: give 0 (stills) or more")
        for path in filter(None, (self.html, self.gif)):
            if not Path(path).parent.is_dir():
                raise InputError(
                    f"there is no folder {Path(path).parent} for {path}: make it, or name another"
                )
        entries = []
        for path in self.checkpoint:
            saved = checkpoint.load(path)
            model, tokenizer = saved.model.eval(), saved.tokenizer
            prompt = encode(tokenizer, self.prompt)
            length = self.decoding.length(saved) if self.length is None else self.length
            template = model.template(length, prompt)
            entries.append((model, tokenizer, template, self.decoding.options(saved)))
        kinds = [model.recipe["name"] for model, *_ in entries]
        names = kinds if len(set(kinds)) == len(kinds) else self.checkpoint
        runs = []
        for name, (model, tokenizer, template, options) in zip(names, entries, strict=True):
            runs.append(
                animation.record(name, model, tokenizer, template, seeded(self.seed), **options)
            )
        if self.html:
            Path(self.html).write_text(animation.page(runs, self.clock), encoding="utf-8")
        if self.gif:
            pace = dict(seconds=self.seconds) if self.seconds else {}
            theme = animation.LIGHT if self.light else animation.DARK
            animation.gif(runs, self.clock, self.gif, theme=theme, **pace)
        console = Console(file=unguarded(sys.stdout))
        if self.seconds and sys.stdout.isatty() and console.is_interactive:
            with suppress(KeyboardInterrupt):
                animation.play(runs, self.clock, self.seconds, console)
        else:
            stills = animation.stills(animation.moments(runs, self.clock), 6)
            print(*(animation.plain(runs, moment, self.clock) for moment in stills), sep="\n\n")
            print("", animation.key(runs), animation.MEAN_P, *animation.NOTES, "", sep="\n")
        for run in runs:
            print(f"{run.name}: {animation.costs(run.frames[-1])}")
        for path in filter(None, (self.html, self.gif)):
            print(f"saved in {path}")
