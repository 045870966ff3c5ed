"""Models that write in a page, live: `write` puts all that `<nano-race>` needs into a folder, and
`race` into a View for a notebook.

The released weights are read as they are, by the modules beside this file: networks.js (the
networks), samplers.js (how each model writes), worker.js (runs them beside the page) and race.js
(the element). Nothing is computed elsewhere, and nothing is taken from another site.
"""

import filecmp
import json
import re
import shutil
from base64 import b64encode
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any

from ...data.tokenizers import load
from ...paradigms import PRESETS
from ...training.checkpoint import PRETRAINED
from ..animation import SHAPES, rgb
from ..figures import View
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
TITLE = "Models write, live"
FRAME = "width:100%;height:30em;border:0;color-scheme:normal"
PAGE = """\
<!doctype html><meta charset="utf-8"><style>body {{ margin: 2px; font: 14px system-ui }}</style>
<script>globalThis.raceFiles = {files};</script>
<script type="module" src="{script}"></script>
<nano-race {attributes}></nano-race>
<script>
  const {{ color }} = getComputedStyle(frameElement);
  document.body.style.color = color; // of the notebook, light or dark
  new ResizeObserver(() => frameElement.style.height = document.documentElement.offsetHeight + "px")
    .observe(document.body);
</script>"""
SETS = {
    "language": dict(folder="language/", title="the language of 32 words", joiner=" ", truth=True),
    "shakespeare": dict(folder="", title="Tiny Shakespeare", joiner="", truth=False),
}


def write(folder: Path) -> None:
    """Write the modules, the facts and the weights to `folder`; weights it has are not copied."""
    sets = {name: models_of(name) for name in SETS}
    facts = dict(language=language_facts(), help=HELP, sets=sets)
    texts = {"live.json": json.dumps(facts, separators=(",", ":"))}
    texts |= {f"{name}.js": module(name) for name in MODULES}
    for name, what in SHARED.items():
        texts[f"{name}.js"] = f"{source(name)}\nexport {{ {what} }};\n"
    paths = [model["path"] for chosen in sets.values() for model in chosen["models"]]
    copies = {
        folder / path / file: PRETRAINED / path.removeprefix("models/") / file
        for path in paths
        for file in ("config.json", "model.safetensors")
    }
    found = {path for path in folder.rglob("*") if path.is_file()}
    for old in found - {folder / name for name in texts} - set(copies):
        old.unlink()
    for there, origin in copies.items():
        there.parent.mkdir(parents=True, exist_ok=True)
        if there not in found or not filecmp.cmp(origin, there):  # size and time, or else the bytes
            shutil.copy2(origin, there)
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")


def module(name: str) -> str:
    """Return the text of `NAME.js`."""
    return files(__package__).joinpath(f"{name}.js").read_text(encoding="utf-8")


def race(**attributes: Any) -> View:
    """Return `<nano-race>` with these attributes, for a notebook: whole in itself, 0.3 MB a model.

    attributes: as race.js lists them, such as models="ar mamba" or seed=4.
    """
    name = attributes.get("set", "language")
    chosen = models_of(name)
    wanted = attributes.get("models", " ".join(model["name"] for model in chosen["models"])).split()
    chosen["models"] = [model for model in chosen["models"] if model["name"] in wanted]
    facts = dict(language=language_facts(), help=HELP, sets={name: chosen})
    worker = bundle(source("kit"), *map(module, ("networks", "samplers", "worker")))
    held = {"./live.json": json.dumps(facts).encode(), "./worker.js": worker.encode()}
    for model in chosen["models"]:
        for file in ("config.json", "model.safetensors"):
            path = PRETRAINED / model["path"].removeprefix("models/") / file
            held[f"./{model['path']}/{file}"] = path.read_bytes()
    page = PAGE.format(
        files=json.dumps({path: data_url(data) for path, data in held.items()}),
        script=data_url(bundle(source("kit"), source("language"), module("race")).encode()),
        attributes=" ".join(f'{key}="{escape(str(value))}"' for key, value in attributes.items()),
    )
    frame = f'<iframe title="{TITLE}" srcdoc="{escape(page)}" style="{FRAME}"></iframe>'
    return View(frame, f"{TITLE}: {', '.join(wanted)}")


def data_url(data: bytes) -> str:
    """Return the address that is its own content; a script or anything that is fetched."""
    return f"data:text/javascript;base64,{b64encode(data).decode()}"


def bundle(*texts: str) -> str:
    """Return modules as one script: what they import from one another stands before them."""
    return re.sub(r"^import .*\n|^export (?=\w)", "", "\n".join(texts), flags=re.M)


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
