"""The command `train`: train one model."""

import shlex
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path

from ..data import corpora
from ..errors import InputError, lookup
from ..networks.base import NetworkConfig
from ..paradigms import PRESETS, Paradigm, build, parameters
from ..signals import stop_signals
from ..training import checkpoint, distributed
from ..training.resume import Began
from ..training.run import rows_per_process
from ..training.settings import RESUMABLE, Settings, resolve_device, total_steps
from .registry import MODELS, NETWORK_NAMES, as_flags, flag, paradigm_options
from .shared import Command, Goes, Text, fit, flat, goes_with_networks, make_room, say, working

Options = as_flags("Options", paradigm_options())
"""The options of the constructors of paradigms."""


@dataclass(frozen=True)
class Train(Command):
    """Train one model and keep its best and last checkpoints.

    Ctrl-C finishes the step, saves, and says how to continue. So do SIGTERM and SIGUSR1, with exit
    status 75: the same command with --resume then continues the training. Examples:

      nanoparadigm train --model ar --dataset shakespeare --max_steps 2000 --eval_interval 500
      nanoparadigm train --model mamba --dataset shakespeare --n_embd 64 --d_state 8 --n_layer 2
      nanoparadigm train --model diffusion --dataset my-novel.txt --tokenizer bpe
      nanoparadigm train --model diffusion --resume
      torchrun --nproc_per_node 2 -m nanoparadigm train --model flow --dataset shakespeare --resume
    """

    model: flag(str, MODELS) = "ar"
    network: flag(str | None, f"another network for the same paradigm: {NETWORK_NAMES}") = None
    out: str | None = None
    """folder of the run (default: runs/MODEL)"""
    resume: bool = False
    """continue the run in that folder, with its own settings; with --dataset, start it if nothing
    is saved there yet"""
    overwrite: bool = False
    """replace an earlier run in that folder; otherwise it is kept as MODEL.1, MODEL.2 ..."""
    paradigm: Options = field(default_factory=Options)
    text: Text = field(default_factory=Text)
    sizes: NetworkConfig = field(default_factory=NetworkConfig)
    settings: Settings = field(default_factory=Settings)

    @property
    def folder(self) -> str:
        """Return the folder of the run."""
        return self.out or f"runs/{self.model}"

    def goes(self) -> Goes:
        """Return which flags have an effect: see `Command.goes`."""
        usual = PRESETS[self.model].network if self.model in PRESETS else "hollow_mamba"
        return goes_with_networks({self.network or usual}, self.text.tokenizer)

    def stored(self) -> "Train":
        """Return the command that began the run to be resumed."""
        saved = checkpoint.load(self.folder, "last")
        if "pretrained" in saved.config:
            raise InputError(
                f"{self.folder} keeps no state of its training: train a run of your own"
            )
        if saved.folder == Path(self.folder):
            raise InputError(
                f"{saved.folder} is one checkpoint, not a run: add --out {saved.folder.parent}"
            )
        recipe, tokenizer, began = saved.model.recipe, saved.tokenizer, Began.of(saved)
        text = Text(dataset=began.corpus, tokenizer=tokenizer.kind)
        if tokenizer.kind == "bpe":
            text = replace(text, bpe_vocab_size=tokenizer.vocab_size)
        return Train(
            model=recipe["name"],
            network=recipe["network"],
            out=self.folder,
            resume=True,
            text=text,
            paradigm=Options(**{f.name: recipe.get(f.name) for f in fields(Options)}),
            sizes=NetworkConfig(**{f.name: recipe[f.name] for f in fields(NetworkConfig)}),
            settings=began.settings,
        )

    def check_same(self, stored: "Train") -> None:
        """Raise InputError if a flag would change what the resumed run already is."""
        old, new = flat(stored), flat(self)
        for name in new:  # a text is known by what it holds: see `go_on`
            if name not in (*RESUMABLE, "out", "dataset") and new[name] != old[name]:
                raise InputError(
                    f"the run in {self.folder} has {name} {old[name]}, which --resume cannot "
                    f"change to {new[name]}: drop --{name}, or start a new run with --out"
                )

    @property
    def saved(self) -> bool:
        """Tell whether there is anything in the folder to continue from."""
        folder = Path(self.folder)
        return bool(checkpoint.read_pointer(folder)) or (folder / "config.json").exists()

    def begin(self) -> tuple[Paradigm, corpora.TokenizedCorpus]:
        """Return a freshly built model and the text to train it on."""
        lookup("model", self.model, PRESETS)
        with working("reading the text"):
            data = self.text.load(self.sizes.block_size)
        model = build(
            self.model,
            data.tokenizer.vocab_size,
            network=self.network,
            seed=self.settings.seed,
            **vars(self.paradigm),
            **asdict(replace(self.sizes, block_size=data.length)),
        )
        resolve_device(self.settings.device)
        rows_per_process(self.settings)
        return model, data

    def go_on(self) -> tuple[Paradigm, corpora.TokenizedCorpus]:
        """Return the model of the run to be resumed, and its text."""
        saved = checkpoint.load(self.folder, "last")
        same_name = self.text.dataset == saved.config["corpus"]
        with working("reading the text"):
            return saved.model, corpora.of_run(saved, None if same_name else self.text.dataset)

    def run(self) -> None:
        """Train the model, or continue its run, in one process of one or several."""
        with distributed.process_group(self.settings.device), ExitStack() as stack:
            model, data = self.go_on() if self.resume else self.begin()
            lock = None
            if not self.resume and distributed.rank() == 0:
                room = make_room(self.folder, [self.folder], self.overwrite)
                lock = stack.enter_context(room).get(self.folder)
            say(
                f"{self.model}: {parameters(model):,} parameters, "
                f"{total_steps(self.settings, data):,} steps of "
                f"{self.settings.batch_size * self.settings.grad_accumulation * data.length:,} "
                f"tokens, {data.corpus.name} in {data.tokenizer.vocab_size} symbols "
                f"({data.tokenizer.kind})"
            )
            with stop_signals() as stop:
                run, resume = self.folder, self.resume
                done = fit(self.model, model, data, self.settings, run, resume, stop, lock)
            if not done:
                say(f"stopped and saved; continue with: {self.how_to_resume()}")
                raise SystemExit(stop.status)
            say(f"saved in {self.folder}; try it with: {self.how_to_sample()}")

    def how_to_resume(self) -> str:
        """Return the command that resumes this run."""
        where = ["--out", self.out] if self.out else ["--model", self.model]
        return shlex.join(["nanoparadigm", "train", *where, "--resume"])

    def how_to_sample(self) -> str:
        """Return the command that generates text with this run."""
        return shlex.join(["nanoparadigm", "sample", "--checkpoint", self.folder])
