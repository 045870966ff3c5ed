"""A model on disk: safetensors and JSON in, the same model out. Nothing is ever half written.

A run is a folder, and each of its checkpoints is a folder inside it:

    runs/ar/run.json       which checkpoint is the best and which the last; replaced in one move
    runs/ar/log.jsonl      one record a line
    runs/ar/lock           held by the process that trains into it
    runs/ar/step-2000/     model.safetensors  config.json  tokenizer.json
                           training.safetensors  training.json     what a resumed run needs
"""

import json
import math
import os
import shutil
import zlib
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import torch
from filelock import FileLock, Timeout
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
    """format, recipe, step, corpus, tokens seen, the training settings, validation, and numbers
    that tell the text and the vocabulary from others"""
    folder: Path


def save(run, model, tokenizer, config, training, best):
    """Write checkpoint step-N of a run and make it its last, and its best if `best` says so.

    training: nested dicts of tensors, numbers and strings. The folder is written under another
    name first, and counts only once run.json names it, so that whatever interrupts this function,
    the earlier checkpoints stay whole. Raises OSError where the disk refuses.
    """
    run = Path(run)
    pointer = read_pointer(run)
    name = f"step-{config['step']}"
    if name in pointer.values():  # of an earlier run; run.json names it until ours is complete
        name = free(run / name).name
    unfinished = run / f"{name}.unfinished"
    shutil.rmtree(unfinished, ignore_errors=True)
    try:
        unfinished.mkdir(parents=True)
        save_file(model.state_dict(), unfinished / "model.safetensors")
        tensors = {}
        outline = flatten(training, tensors)
        save_file(tensors, unfinished / "training.safetensors")
        write_json(unfinished / "training.json", outline)
        tokenizer.save(unfinished / "tokenizer.json")
        config = {**config, "vocabulary": zlib.crc32((unfinished / "tokenizer.json").read_bytes())}
        write_json(unfinished / "config.json", {"format": FORMAT, **config, "recipe": model.recipe})
        for file in unfinished.iterdir():
            with open(file, "rb") as f:
                os.fsync(f.fileno())
        shutil.rmtree(run / name, ignore_errors=True)
        unfinished.rename(run / name)
        pointer["last"] = name
        if best or "best" not in pointer:
            pointer["best"] = name
        write_json(run / "run.json", pointer)
    except BaseException as error:
        shutil.rmtree(unfinished, ignore_errors=True)
        if isinstance(error, OSError | SafetensorError):
            raise OSError(f"could not save {run / name}: {error}") from error
        raise
    for old in run.glob("step-[0-9]*"):
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
        vocabulary = zlib.crc32((folder / "tokenizer.json").read_bytes())
        tokenizer = tokenizers.load(folder / "tokenizer.json")
        if vocabulary != config["vocabulary"]:
            raise InputError(
                f"{folder}/tokenizer.json holds another vocabulary than the one its model was "
                "trained with: put that one back"
            )
    except InputError:
        raise
    except Exception as error:
        reason = "".join(str(error).splitlines()[:1]) or "no reason given"
        others = [str(p) for p in checkpoints(folder.parent) if p != folder]
        hint = f"try {others[0]}, or train again" if others else "train again"
        raise InputError(
            f"{folder} is damaged or not a checkpoint ({type(error).__name__}: {reason}): {hint}"
        ) from error
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
        inside, beside = path.glob("*/run.json"), path.parent.glob("*/run.json")
        found = sorted({str(p.parent) for p in (*inside, *beside)})
        hint = f"there are {', '.join(found)}" if found else "make one with nanoparadigm train"
        raise InputError(f"{path} holds no checkpoint: {hint}")
    return path / name


def read_pointer(run):
    """What run.json says: "last" and "best" -> the name of a checkpoint. {} where there is none."""
    try:
        pointer = json.loads((Path(run) / "run.json").read_text(encoding="utf-8"))
        return {which: str(Path(pointer[which])) for which in ("last", "best")}
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError, TypeError, KeyError) as error:
        whole = ", ".join(map(str, checkpoints(run)))
        hint = f"name a checkpoint itself ({whole})" if whole else "train again"
        raise InputError(f"{run}/run.json is damaged: {hint}") from error


def checkpoints(run):
    """The folders of the checkpoints that a run's folder holds, named in run.json or not."""
    return sorted(p.parent for p in Path(run).glob("step-*[0-9]/config.json"))


def write_json(path, data):
    """Replace a JSON file in one move: a reader sees the old one or the new one, whole."""
    path = Path(path)
    unfinished = path.with_name(path.name + ".unfinished")
    try:
        with open(unfinished, "w", encoding="utf-8") as f:
            json.dump(without_nan(data), f, indent=1)
            f.flush()
            os.fsync(f.fileno())
        os.replace(unfinished, path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise


def without_nan(value):
    """JSON knows no NaN (the standard error of a single window, say): null in its place."""
    if isinstance(value, dict):
        return {k: without_nan(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [without_nan(v) for v in value]
    return None if isinstance(value, float) and math.isnan(value) else value


@contextmanager
def sole_writer(run):
    """Hold the folder of a run for as long as the block lasts; InputError if another process does.

    The operating system frees it when a process ends, however it ends.
    """
    Path(run).mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(Path(run) / "lock", timeout=0):
            yield
    except Timeout as error:
        raise InputError(
            f"another process is writing to {run}: wait until it has ended, or give --out a "
            "folder of its own"
        ) from error


def set_aside(folder):
    """Rename the folder of an earlier run to a free NAME.N; returns the new path."""
    folder = Path(folder)
    here = Path.cwd()
    if folder.resolve() in (here, *here.parents):
        raise InputError(
            "the folder you are in holds an earlier run, which cannot be moved: give --out a "
            "folder of its own, or add --overwrite"
        )
    return folder.rename(free(folder))


def free(path):
    """The first of path.1, path.2 ... that does not exist."""
    return next(p for i in count(1) if not (p := path.with_name(f"{path.name}.{i}")).exists())


def remove(run):
    """Delete a run, and nothing else that its folder may hold."""
    in_order = "run.json", "log.jsonl", "step-[0-9]*", "lock"  # so that no part of it is a run
    for pattern in in_order:
        for path in Path(run).glob(pattern):
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def flatten(value, tensors, name=""):
    """Nested dicts and lists -> the same with every tensor replaced by its name in `tensors`."""
    if isinstance(value, torch.Tensor):
        name = f"{len(tensors)}{name}"  # the number tells {"a": {"b": x}} from {"a.b": x}
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
