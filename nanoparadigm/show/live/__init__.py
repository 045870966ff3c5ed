"""Models that write in a page, live: `write` puts all that `<nano-race>` needs into a folder.

The released weights are read as they are, by the modules beside this file: networks.js (the
networks), samplers.js (how each model writes), worker.js (runs them beside the page) and race.js
(the element). Nothing is computed elsewhere, and nothing is taken from another site.
"""

import json
import shutil
from importlib.resources import files
from pathlib import Path
from typing import Any

from ...data.tokenizers import load
from ...paradigms import PRESETS
from ...training.checkpoint import PRETRAINED
from ..animation import SHAPES, rgb
from ..playground import language_facts, source

MODULES = "networks samplers worker race".split()
SHARED = {"kit": "kit", "language": "languageOf"}  # scripts of playgrounds/ -> what they define
HOW = {
    "ar": "one token after another",
    "mamba": "with a fixed memory",
    "diffusion": "unmasks anywhere",
    "flow": "revises random tokens",
    "block": "unmasks block by block",
}
HELP = (
    "Every pane holds a trained network of its own, and all write at the same time, on your "
    "machine. A stronger colour behind a word means that the model was surer of it.",
    "The autoregressive models compute one position for each word. Diffusion and flow compute all "
    "positions in every call of the network, so at equal compute the others have written many "
    "texts before these have one. With the clock at equal network calls it is the other way round.",
    "The language is artificial, so every mistake is known: subjects and verbs agree, a clause "
    "keeps its topic, and a sentence may end with the first word of the text. Words given after a "
    "gap are seen by diffusion, flow and block while they fill it; ar and mamba see only what "
    "comes before.",
)
SETS = {
    "language": dict(folder="language/", title="the language of 32 words", joiner=" ", truth=True),
    "shakespeare": dict(folder="", title="Tiny Shakespeare", joiner="", truth=False),
}


def write(folder: Path) -> None:
    """Write the modules, the facts and the weights to `folder`, which is made anew."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name in MODULES:
        text = files(__package__).joinpath(f"{name}.js").read_text(encoding="utf-8")
        (folder / f"{name}.js").write_text(text, encoding="utf-8")
    for name, what in SHARED.items():
        text = f"{source(name)}\nexport {{ {what} }};\n"
        (folder / f"{name}.js").write_text(text, encoding="utf-8")
    facts = dict(
        language=language_facts(), help=HELP, sets={name: models_of(name) for name in SETS}
    )
    (folder / "live.json").write_text(json.dumps(facts, separators=(",", ":")), encoding="utf-8")
    for chosen in facts["sets"].values():
        for model in chosen["models"]:
            there = folder / model["path"]
            there.mkdir(parents=True)
            for file in ("config.json", "model.safetensors"):
                shutil.copy(PRETRAINED / model["path"].removeprefix("models/") / file, there / file)


def models_of(name: str) -> dict[str, Any]:
    """Return what the page must know of a set of models that read the same text."""
    facts = SETS[name]
    there = [model for model in PRESETS if (PRETRAINED / facts["folder"] / model).exists()]
    config = json.loads((PRETRAINED / facts["folder"] / "ar/config.json").read_bytes())
    tokenizer = load(PRETRAINED / facts["folder"] / "ar/tokenizer.json")
    models = [
        dict(
            name=model,
            title=PRESETS[model].title,
            how=HOW[model],
            shape=SHAPES[model],
            hue=" ".join(map(str, rgb(PRESETS[model].colour))),
            path=f"models/{facts['folder']}{model}",
        )
        for model in there
    ]
    symbols = [tokenizer.decode([v]) for v in range(tokenizer.vocab_size)]
    length = config["recipe"]["block_size"]
    shown = {key: facts[key] for key in ("title", "joiner", "truth")}
    return shown | dict(symbols=symbols, length=length, models=models)
