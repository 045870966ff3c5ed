"""A model on disk: safetensors and JSON in, the same model out. Nothing is ever half written.

A run is a folder, and each of its checkpoints is a folder inside it:

    runs/ar/run.json       which checkpoint is the best and which the last; replaced in one move
    runs/ar/log.jsonl      one record a line
    runs/ar/step-2000/     model.safetensors  config.json  tokenizer.json
                           training.safetensors  training.json     what a resumed run needs
"""

import json
import os
import shutil
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from . import tokenizers
from .errors import InputError
from .paradigms import Paradigm, build

FORMAT = "nanoparadigm-1"


@dataclass
class Checkpoint:
    model: Paradigm
    tokenizer: tokenizers.Tokenizer
    config: dict
    """format, recipe, step, corpus, tokens seen, the training settings, validation"""
    folder: Path


def save(run, model, tokenizer, config, training, best):
    """Write checkpoint step-N of a run and make it its last, and its best if `best` says so.

    training: nested dicts of tensors, numbers and strings. The folder is written under another
    name first, and counts only once run.json names it, so that whatever interrupts this function,
    the earlier checkpoints stay whole. Raises OSError where the disk refuses.
    """
    run = Path(run)
    name = f"step-{config['step']}"
    unfinished = run / f"{name}.unfinished"
    shutil.rmtree(unfinished, ignore_errors=True)
    try:
        unfinished.mkdir(parents=True)
        save_file(model.state_dict(), unfinished / "model.safetensors")
        tensors = {}
        outline = flatten(training, tensors)
        save_file(tensors, unfinished / "training.safetensors")
        write_json(unfinished / "training.json", outline)
        write_json(unfinished / "config.json", {"format": FORMAT, **config, "recipe": model.recipe})
        tokenizer.save(unfinished / "tokenizer.json")
        for file in unfinished.iterdir():
            with open(file, "rb") as f:
                os.fsync(f.fileno())
        shutil.rmtree(run / name, ignore_errors=True)
        unfinished.rename(run / name)
        pointer = {**read_pointer(run), "last": name}
        if best or "best" not in pointer:
            pointer["best"] = name
        write_json(run / "run.json", pointer)
    except (OSError, SafetensorError) as error:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise OSError(f"could not save {run / name}: {error}") from error
    for old in run.glob("step-*"):
        if old.name not in pointer.values():
            shutil.rmtree(old, ignore_errors=True)


def load(path, which="best", device="cpu"):
    """The Checkpoint in a run's folder ("best" or "last") or in a checkpoint's own folder.

    Raises InputError for a folder that is missing, damaged, or not ours.
    """
    folder = find(path, which)
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        if config["format"] != FORMAT:
            raise InputError(f"{folder} is in format {config['format']}, not {FORMAT}: train again")
        model = build(**config["recipe"])
        weights = load_file(folder / "model.safetensors", device=str(device))
        model.to(device).load_state_dict(weights)
    except InputError:
        raise
    except Exception as error:
        reason = str(error).splitlines()[0]
        others = [p.name for p in folder.parent.glob("step-*") if p != folder]
        hint = f"try {folder.parent / others[0]}, or train again" if others else "train again"
        raise InputError(f"{folder} is damaged or not a checkpoint ({reason}): {hint}") from error
    tokenizer = tokenizers.load(folder / "tokenizer.json")
    if tokenizer.vocab_size != model.vocab_size:
        raise InputError(
            f"{folder} mixes two vocabularies: its tokenizer has {tokenizer.vocab_size} symbols "
            f"and its model {model.vocab_size}; put back the tokenizer.json it was trained with"
        )
    return Checkpoint(model, tokenizer, config, folder)


def load_training(checkpoint):
    """What `save` was given as `training`."""
    try:
        outline = json.loads((checkpoint.folder / "training.json").read_text(encoding="utf-8"))
        return unflatten(outline, load_file(checkpoint.folder / "training.safetensors"))
    except Exception as error:
        raise InputError(
            f"{checkpoint.folder} cannot be resumed ({error}): start a new run without --resume"
        ) from error


def find(path, which="best"):
    """The folder of one checkpoint: `path` itself, or the one its run.json names."""
    path = Path(path)
    if (path / "config.json").exists():
        return path
    name = read_pointer(path).get(which)
    if name is None:
        found = sorted(str(p.parent) for p in path.parent.glob("*/run.json"))
        hint = f"there are {', '.join(found)}" if found else "make one with nanoparadigm train"
        raise InputError(f"{path} holds no checkpoint: {hint}")
    return path / name


def read_pointer(run):
    try:
        pointer = json.loads((Path(run) / "run.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        steps = ", ".join(str(p) for p in Path(run).glob("step-*")) or "train again"
        raise InputError(
            f"{run}/run.json is damaged: name a checkpoint itself ({steps})"
        ) from error
    return pointer


def write_json(path, data):
    """Replace a JSON file in one move: a reader sees the old one or the new one, whole."""
    path = Path(path)
    unfinished = path.with_name(path.name + ".unfinished")
    with open(unfinished, "w", encoding="utf-8") as f:
        json.dump(data, f, indent=1)
        f.flush()
        os.fsync(f.fileno())
    os.replace(unfinished, path)


def set_aside(run):
    """Rename the folder of an earlier run to a free NAME.N; returns the new path or None."""
    run = Path(run)
    if not (run / "run.json").exists():
        return None
    kept = next(p for i in count(1) if not (p := run.with_name(f"{run.name}.{i}")).exists())
    run.rename(kept)
    return kept


def flatten(value, tensors, name=""):
    """Nested dicts and lists -> the same with every tensor replaced by its name in `tensors`."""
    if isinstance(value, torch.Tensor):
        tensors[name] = value.contiguous()
        return {"tensor": name}
    if isinstance(value, dict):
        # JSON turns the optimiser's integer keys into strings, so they are listed as pairs
        return {"pairs": [[k, flatten(v, tensors, f"{name}.{k}")] for k, v in value.items()]}
    if isinstance(value, list | tuple):
        return [flatten(v, tensors, f"{name}.{i}") for i, v in enumerate(value)]
    return value


def unflatten(outline, tensors):
    if isinstance(outline, list):
        return [unflatten(v, tensors) for v in outline]
    if isinstance(outline, dict):
        if "tensor" in outline:
            return tensors[outline["tensor"]]
        return {k: unflatten(v, tensors) for k, v in outline["pairs"]}
    return outline
