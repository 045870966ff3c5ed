"""The models that come with the package: train them, write them with a card, measure them again.

    make weights                                     all, some hours on two cores
    python benchmarks/weights.py --only language     those whose name begins so
    python benchmarks/weights.py --check             measure those in the package once more

Runs lie in runs/weights, and the same command continues one that was interrupted. A model is
written to nanoparadigm/pretrained in half precision if that changes its number by less than
0.001 nats a token, and with it what config.json needs to find its text again: no state of the
training, and no optimiser.
"""

import argparse
import shutil
from dataclasses import asdict
from pathlib import Path

import torch
from measure import machine
from safetensors.torch import save_file
from tqdm import tqdm

from nanoparadigm import PRESETS, Settings, corpora, tokenizers, train
from nanoparadigm.atomic import write_json
from nanoparadigm.commands.allocator import keep_memory
from nanoparadigm.data.corpus import TokenizedCorpus
from nanoparadigm.evaluate.likelihood import Estimate, bits_per_character, nats_per_token
from nanoparadigm.evaluate.tables import with_error
from nanoparadigm.paradigms import parameters
from nanoparadigm.training import checkpoint
from nanoparadigm.training.matching import build_alike

RUNS = Path("runs/weights")
SAME = 0.001  # nats a token: what half precision may change
FEW = 32  # windows that a test can afford to measure again

# folder -> its text, the sizes of its `ar`, which the others match, and the settings they share
GROUPS = {
    "": (
        "shakespeare",
        dict(n_layer=4, n_embd=128, block_size=128),
        dict(dtype="bfloat16", muon_momentum=0.9, eval_interval=1000),
    ),
    "language/": (
        "language",
        dict(n_layer=2, n_embd=64, block_size=32),
        dict(max_steps=8_000, eval_interval=500),
    ),
}
# Of one model alone: about half an hour of steps on one core, and dropout. An autoregressive model
# soon knows a million characters by heart; one that reads noise never sees the same text twice.
OWN = {
    "ar": dict(max_steps=5_000, dropout=0.1),
    "diffusion": dict(max_steps=7_000),
    "mamba": dict(max_steps=4_000, dropout=0.1),
    "flow": dict(max_steps=5_000, lr=0.02),
    "block": dict(max_steps=3_500, lr=0.02),
}
RECIPES = {name: ("", name) for name in OWN}
RECIPES |= {f"language/{name}": ("language/", name) for name in OWN}


def prepared(name):
    """The model as it begins, its text in tokens, and the settings of its training."""
    folder, preset = RECIPES[name]
    dataset, sizes, changes = GROUPS[folder]
    corpus = corpora.load(dataset)
    tokenizer = tokenizers.build(None, corpus)
    data = TokenizedCorpus(corpus, tokenizer, sizes["block_size"])
    own = OWN.get(name, {}).copy()
    sizes = sizes | dict(dropout=own.pop("dropout", 0.0))
    model = build_alike(dict.fromkeys(["ar", preset]), tokenizer.vocab_size, **sizes)[preset]
    return model, data, Settings(eval_windows=128, **changes, **own)


def trained(name):
    """Train the model, or go on with it; its best checkpoint, and its text."""
    model, data, settings = prepared(name)
    run = RUNS / name
    done = checkpoint.steps_done(run)
    with tqdm(total=settings.max_steps, initial=done, desc=name) as bar:
        for record in train(model, data, settings, run, resume=done > 0):
            bar.update()
            if "val" in record:
                bar.set_postfix_str(f"val {record['val']:.4f} ± {record['val_se']:.4f}")
    return checkpoint.load(run), data


def number(model, data, windows=None, num_samples=16):
    """Nats a token on the validation split, the same noise in every call."""
    g = torch.Generator().manual_seed(0)
    return nats_per_token(model, data, g, num_samples=num_samples, max_windows=windows)


def write(name, saved, data):
    """Write the model, its card and its numbers to the package."""
    folder = checkpoint.PRETRAINED / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    model = saved.model.eval()
    full = number(model, data)
    weights = model.state_dict()
    half = {key: w.half() for key, w in weights.items()}
    model.load_state_dict({key: w.float() for key, w in half.items()})
    nats, precision, kept = number(model, data), "float16", half
    if abs(nats.mean - full.mean) >= SAME:
        model.load_state_dict(weights)
        nats, precision, kept = full, "float32", weights
    save_file(kept, folder / "model.safetensors")
    data.tokenizer.save(folder / "tokenizer.json")
    shutil.copymode(folder / "tokenizer.json", folder / "model.safetensors")
    facts = dict(
        nats_per_token=asdict(nats),
        bits_per_character=asdict(bits_per_character(nats, data)),
        few=number(model, data, FEW, 4).mean,
        exact=model.exact,
        parameters=parameters(model),
        precision=precision,
        machine=machine(),
    )
    keys = "format recipe step corpus corpus_place corpus_sha256 text tokens seconds settings"
    config = {key: saved.config[key] for key in keys.split()} | dict(pretrained=facts)
    config["files"] = {file: checkpoint.sha256(folder / file) for file in checkpoint.WEIGHTS}
    write_json(folder / "config.json", config | {"checksum": checkpoint.checksum(config)})
    (folder / "README.md").write_text(card(name, config), encoding="utf-8")
    print(f"{name}: {said(facts)} nats a token, {precision}")


def said(facts):
    before = "= " if facts["exact"] else "<= "
    return with_error(facts["nats_per_token"], ".4f", before=before)


def card(name, config):
    """The model's card, as hubs of models read it: facts as YAML, then words."""
    facts, recipe = config["pretrained"], config["recipe"]
    title = PRESETS[recipe["name"]].title
    bits = with_error(facts["bits_per_character"], before="= " if facts["exact"] else "<= ")
    source = {
        "shakespeare": "Tiny Shakespeare, 1,115,394 characters of plays (public domain)",
        "language": "the language of this package, whose every probability is known",
    }[config["corpus"]]
    minutes = config["seconds"] / 60
    return f"""---
library_name: nanoparadigm
license: mit
language: en
tags: [{recipe["name"]}, {recipe["network"]}]
---

# {name}: {title}

| | |
|---|---|
| text | {source} |
| parameters | {facts["parameters"]:,}, kept in {facts["precision"]} |
| network | {recipe["network"]}, width {recipe["n_embd"]}, {recipe["n_layer"]} layers |
| trained | {config["step"]:,} steps, {config["tokens"]:,} tokens, {minutes:.0f} minutes |
| nats a token | {said(facts)} |
| bits a character | {bits} |

The numbers are for the whole validation split. The model was not trained on it, but its best
checkpoint was chosen on a part of it. "=" is an exact likelihood and "<=" an upper bound; ± is one
standard error of the mean over windows, which allows for neighbouring windows that resemble each
other. A model of this size writes words and verses but makes no sense: it is for learning how such
models work.

    nanoparadigm sample --checkpoint pretrained/{name}

`make weights` trains it anew from the recipe in config.json.
"""


def check(name):
    """Whether the packaged model still has its number."""
    saved = checkpoint.load(f"pretrained/{name}")
    data = corpora.of_run(saved)
    nats, facts = number(saved.model.eval(), data), saved.config["pretrained"]
    then = Estimate(**facts["nats_per_token"])
    same = abs(nats.mean - then.mean) <= 2 * then.se
    print(f"{name}: {then.mean:.4f} then, {nats.mean:.4f} now, {'ok' if same else 'OFF'}")
    return same


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="models whose name begins so")
    parser.add_argument("--check", action="store_true", help="measure those in the package again")
    options = parser.parse_args()
    keep_memory()
    chosen = [name for name in RECIPES if name.startswith(options.only)]
    if options.check:
        raise SystemExit(not all([check(name) for name in chosen]))
    for name in chosen:
        write(name, *trained(name))


if __name__ == "__main__":
    main()
