"""Save a model as safetensors and JSON, and load the same model again. Nothing is half written.

A run is a folder, and each of its checkpoints is a folder inside it:

    runs/ar/run.json       which checkpoint is the best and which the last; replaced in one move
    runs/ar/log.jsonl      one record a line
    runs/ar/lock           held by the process that trains into it; never deleted
    runs/ar/step-2000/     model.safetensors  config.json  tokenizer.json
                           training.safetensors  training.json     what a resumed run needs

config.json holds the SHA-256 of the other four files and of its own content, so that a damaged
checkpoint is refused. Checkpoints of earlier versions hold no SHA-256 and are loaded all the same.
Folders named step-N and step-N.K belong to the run, which deletes those that it no longer needs:
the five files by their names, and the folder if nothing else is in it.
"""

import hashlib
import json
import os
import re
import shutil
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path
from typing import Annotated, Any

import torch
from msgspec import Meta
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from .. import files
from ..atomic import make, sync, without_nan, write_json
from ..data import tokenizers
from ..errors import InputError, lookup
from ..files import StrPath
from ..networks.base import NetworkConfig
from ..paradigms import Paradigm, build

FORMAT = "nanoparadigm-1"
PRETRAINED = Path(__file__).parents[1] / "pretrained"
WEIGHTS = "model.safetensors", "tokenizer.json"
TRAINING = "training.safetensors", "training.json"
OURS = re.compile(r"step-[0-9]+(\.[0-9]+)?")
MOST_IN_TABLES = 2**28  # numbers that a network computes from its sizes and keeps
VOUCHED = "files", "checksum"
"""the checksums in a config, of its files and of itself; earlier versions had neither"""
RESTART = "start a new run without `resume`"

Count = Annotated[int, Meta(ge=0, le=2**63 - 1)]


@dataclass(frozen=True, kw_only=True)
class Recipe(NetworkConfig):
    """The options that `build` was given."""

    name: str
    vocab_size: Annotated[int, Meta(ge=1)]
    network: str | None = None
    schedule: str | None = None
    masking: str | None = None
    seed: Count = 0


@dataclass(frozen=True, kw_only=True)
class Config:
    """The keys of config.json, required and optional; others are kept as they are."""

    recipe: Recipe
    step: Count
    corpus: str | None = None
    text: int | None = None
    settings: dict | None = None
    files: dict[str, str] | None = None
    vocabulary: int | None = None
    """CRC-32 of tokenizer.json, in checkpoints of earlier versions"""


Name = Annotated[str, Meta(pattern=rf"^{OURS.pattern}\Z")]


@dataclass(frozen=True)
class Pointer:
    """The contents of run.json: the names of two checkpoints of the run."""

    last: Name
    best: Name


@dataclass
class Checkpoint:
    """A checkpoint in memory, as `load` returns it."""

    model: Paradigm
    tokenizer: tokenizers.Tokenizer
    config: dict
    """format, recipe, step, corpus, tokens seen, the training settings, validation, numbers that
    tell the text from others, and the SHA-256 of the files"""
    folder: Path


def save(
    run: StrPath,
    model: Paradigm,
    tokenizer: tokenizers.Tokenizer,
    config: dict,
    training: dict,
    best: bool,
) -> None:
    """Write checkpoint step-N of a run, and make it the run's last and, if `best`, its best.

    training: nested dicts of tensors, numbers and strings. The folder is written under another
    name first and counts only once run.json names it. So the earlier checkpoints stay whole
    whatever interrupts this function, even a power cut. Raises OSError where the disk refuses.
    """
    run = Path(run)
    tidy(run)
    pointer = read_pointer(run)
    name = f"step-{config['step']}"
    if (run / name).exists():
        name = free(run / name).name
    unfinished = run / f"{name}.unfinished"
    try:
        make(unfinished)
        tensors: dict[str, torch.Tensor] = {}
        write_json(unfinished / "training.json", flatten(training, tensors))
        tokenizer.save(unfinished / "tokenizer.json")
        for file, content in zip(("model", "training"), (model.state_dict(), tensors), strict=True):
            save_file(content, unfinished / f"{file}.safetensors")
            shutil.copymode(unfinished / "training.json", unfinished / f"{file}.safetensors")
        sums = {file: sha256(unfinished / file) for file in (*WEIGHTS, *TRAINING)}
        vocabulary = zlib.crc32((unfinished / "tokenizer.json").read_bytes())
        config = {**config, "vocabulary": vocabulary, "files": sums}
        config = {"format": FORMAT, **config, "recipe": model.recipe}
        write_json(unfinished / "config.json", config | {"checksum": checksum(config)})
        for path in (*unfinished.iterdir(), unfinished, run / "log.jsonl"):
            if path.exists():
                sync(path)
        unfinished.rename(run / name)
        sync(run)
        pointer["last"] = name
        if best or "best" not in pointer:
            pointer["best"] = name
        write_json(run / "run.json", pointer)
    except BaseException as error:
        shutil.rmtree(unfinished, ignore_errors=True)
        if isinstance(error, OSError | SafetensorError):
            raise OSError(f"could not save {run / name}: {error}") from error
        raise
    tidy(run)


def tidy(run: StrPath) -> None:
    """Delete the checkpoints that run.json does not name, also those that a kill left half done."""
    for old in {*written(run)} - {Path(run) / name for name in read_pointer(run).values()}:
        delete(old)
    for old in Path(run).glob("step-*.unfinished"):
        if OURS.fullmatch(old.stem):
            shutil.rmtree(old, ignore_errors=True)


def load(path: StrPath, which: str = "best", device: str | torch.device = "cpu") -> Checkpoint:
    """Load a checkpoint from a run's folder ("best" or "last") or from its own folder.

    Raises InputError if the folder is missing or damaged or holds no checkpoint.
    """
    return newest(path, which, lambda folder: _load(folder, device))


def newest(path: StrPath, which: str, read: Callable[[Path], Any]) -> Any:
    """Return read(folder) of a checkpoint; retry if a training has replaced it meanwhile."""
    folder = find(path, which)
    while True:
        try:
            return read(folder)
        except InputError:
            if folder == (folder := find(path, which)):
                raise


def _load(folder: Path, device: str | torch.device) -> Checkpoint:
    with blame_checkpoint(folder):
        config = read_config(folder)
        check_files(folder, config, WEIGHTS)
        recipe = config["recipe"]
        tokenizer = tokenizers.load(folder / "tokenizer.json")
        if (symbols := tokenizer.vocab_size) != recipe["vocab_size"]:
            raise ValueError(
                f"tokenizer.json has {symbols} symbols, the model {recipe['vocab_size']}"
            )
        weights = load_file(folder / "model.safetensors")
        # weights may be kept in half precision; they are computed with in single
        weights = {n: w.float() if w.dtype is torch.half else w for n, w in weights.items()}
        check_sizes(files.typed(recipe, Recipe, folder / "config.json", ""), weights)
        model = build(**recipe)
        if shapes(weights) != shapes(model.state_dict()):
            raise ValueError("its weights are of another model than its recipe")
    model.load_state_dict(weights)
    return Checkpoint(model.to(device), tokenizer, config, folder)


def load_tokenizer(path: StrPath) -> tokenizers.Tokenizer:
    """Load only the tokenizer of the checkpoint that `load` would read."""

    def read(folder: Path) -> tokenizers.Tokenizer:
        with blame_checkpoint(folder):
            check_files(folder, read_config(folder), ["tokenizer.json"])
            return tokenizers.load(folder / "tokenizer.json")

    return newest(path, "best", read)


@dataclass(frozen=True)
class Step:
    """The part of config.json that `steps_done` reads."""

    step: Count


def steps_done(run: StrPath) -> int:
    """Return the steps that a run has taken up to its last checkpoint, 0 if there is none."""
    if not read_pointer(run):
        return 0
    return newest(run, "last", lambda folder: files.read_json(folder / "config.json", Step).step)


def load_training(checkpoint: Checkpoint) -> dict:
    """Load what `save` was given as `training`. Raises InputError if the files are damaged."""
    folder = checkpoint.folder
    with blame(f"{folder} cannot be resumed", RESTART):
        check_files(folder, checkpoint.config, TRAINING)
        outline = files.read_json(folder / "training.json")
        return unflatten(outline, load_file(folder / "training.safetensors"))


def shapes(tensors: dict[str, torch.Tensor]) -> dict[str, tuple]:
    """Return name -> (shape, dtype) of the tensors."""
    return {name: (tensor.shape, tensor.dtype) for name, tensor in tensors.items()}


@contextmanager
def blame(what: str, hint: str) -> Iterator[None]:
    """Turn any error in the block into an InputError that reads "what (why): hint"."""
    try:
        yield
    except Exception as error:  # a library may raise anything at a file that it cannot read
        cause = error.__cause__ or error
        if isinstance(cause, PermissionError):
            denied = f"{cause.filename} may not be read: ask its owner for the permission"
            raise InputError(denied) from error
        why = files.reason(error)
        if isinstance(error, InputError):  # `hint` replaces its own
            why = why.rpartition(": ")[0]
        raise InputError(f"{what} ({why}): {hint}") from error


def blame_checkpoint(folder: Path) -> AbstractContextManager:
    """Turn any error in the block into an InputError that says the checkpoint is damaged."""
    others = [str(path) for path in checkpoints(folder.parent) if path != folder]
    hint = f"try {others[0]}, or train again" if others else "train again"
    return blame(f"{folder} is damaged or not a checkpoint", hint)


def read_config(folder: Path) -> dict:
    """Return the contents of config.json. Raises ValueError or InputError if they are no Config."""
    path = folder / "config.json"
    config = files.read_json(path, dict)
    if config.get("format") != FORMAT:
        raise ValueError(f"its format is {config.get('format')}, not {FORMAT}")
    if not config.keys().isdisjoint(VOUCHED) and config.get("checksum") != checksum(config):
        raise ValueError("config.json has changed since it was saved")
    files.typed(config, Config, path, "")
    return config


def checksum(config: dict) -> str:
    """Return the SHA-256 of a config without its checksum, in hexadecimal."""
    rest = {key: value for key, value in config.items() if key != "checksum"}
    return hashlib.sha256(json.dumps(without_nan(rest), sort_keys=True).encode()).hexdigest()


def check_files(folder: Path, config: dict, names: Iterable[str]) -> None:
    """Raise ValueError if a file is not the one saved with this config, OSError if it is gone."""
    for name in names:
        found = sha256(folder / name)
        if config.get("files", {name: found}).get(name) != found:
            raise ValueError(f"{name} has changed since it was saved")
    # the one checksum that earlier versions kept
    if "vocabulary" in config:
        vocabulary = zlib.crc32((folder / "tokenizer.json").read_bytes())
        if config["vocabulary"] != vocabulary:
            raise ValueError("tokenizer.json has another vocabulary than the model")


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    with open(path, "rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


def check_sizes(recipe: Recipe, weights: dict[str, torch.Tensor]) -> None:
    """Raise ValueError if a model of this recipe is far larger than its weights: do not build it.

    (On the meta device it would take no memory, but PyTorch loads a compiler for that: seconds.)
    """
    r, width = recipe, recipe.n_embd * recipe.expand_factor
    matrices = (
        r.n_layer * r.n_embd**2,
        r.n_embd * r.n_inner,
        width * max(r.n_embd, r.d_state, r.d_conv),
    )
    if max(matrices) > 4 * sum(tensor.numel() for tensor in weights.values()):
        raise ValueError("its recipe is of a larger model than its weights")
    if r.n_layer * r.block_size * r.n_embd // r.n_head > MOST_IN_TABLES:
        raise ValueError(f"block_size {r.block_size} is too long for any machine")


def find(path: StrPath, which: str = "best") -> Path:
    """Return the folder of a checkpoint: `path` itself, or the one that its run.json names.

    A path pretrained/... without one is that of a model that comes with the package, see
    `pretrained`. Raises InputError if there is none.
    """
    path = Path(path)
    with blame(f"{path} cannot be looked into", "give the folder of a run or of a checkpoint"):
        if (path / "config.json").exists():
            return path
    name = read_pointer(path).get(which)
    if name is None and path.parts[:1] == ("pretrained",):
        return lookup("pretrained model", path.as_posix(), pretrained())
    if name is None:
        inside, beside = path.glob("*/run.json"), path.parent.glob("*/run.json")
        found = sorted({str(p.parent) for p in (*inside, *beside)})
        hint = f"there are {', '.join(found)}" if found else "make one with nanoparadigm train"
        raise InputError(f"{path} holds no checkpoint: {hint}")
    return path / name


def pretrained() -> dict[str, Path]:
    """Return name -> folder of the models that come with the package, pretrained/ar for one."""
    folders = sorted(path.parent for path in PRETRAINED.rglob("config.json"))
    return {folder.relative_to(PRETRAINED.parent).as_posix(): folder for folder in folders}


def read_pointer(run: StrPath) -> dict[str, str]:
    """Return the "last" and "best" checkpoint that run.json names, {} if there is no run.json.

    Raises InputError if it is damaged.
    """
    path = Path(run) / "run.json"
    if not os.path.lexists(path):
        return {}
    whole = ", ".join(map(str, checkpoints(run)))
    hint = f"name a checkpoint itself ({whole})" if whole else "train again"
    with blame(f"{path} is damaged", hint):
        return asdict(files.read_json(path, Pointer))


def checkpoints(run: StrPath) -> list[Path]:
    """Return the folders of a run's checkpoints, whether or not run.json names them."""
    return [path for path in written(run) if (path / "config.json").exists()]


def written(run: StrPath) -> list[Path]:
    """Return the paths in a run's folder that are named like its checkpoints, sorted."""
    return sorted(path for path in Path(run).glob("step-*") if OURS.fullmatch(path.name))


def set_aside(folder: StrPath) -> Path:
    """Rename the folder of an earlier run to NAME.N with the first N that is free; return the path.

    Raises InputError if the working directory is in it.
    """
    folder = Path(folder)
    here = Path.cwd()
    if folder.resolve() in (here, *here.parents):
        raise InputError(
            "the folder you are in holds an earlier run, which cannot be moved: give `out` a "
            "folder of its own, or add `overwrite`"
        )
    return folder.rename(free(folder))


def free(path: Path) -> Path:
    """Return the first of path.1, path.2, ... that does not exist."""
    return next(p for i in count(1) if not (p := path.with_name(f"{path.name}.{i}")).exists())


def remove(*folders: StrPath) -> None:
    """Delete all of the runs, or none if one cannot be deleted; keep other files in their folders.

    Raises InputError if one may not be deleted, OSError where the disk refuses.
    """
    runs = [run for run in map(Path, folders) if (run / "run.json").exists()]
    for folder in (path for run in runs for path in (run, *written(run))):
        if not os.access(folder, os.W_OK | os.X_OK):
            raise InputError(f"{folder} may not be changed: give `out` a folder of its own")
    hidden = []
    try:
        for run in runs:  # without a run.json the rest does not count as a run
            hidden.append(run)
            os.replace(run / "run.json", run / "run.json.unfinished")
    except BaseException:
        for run in hidden:
            if not (run / "run.json").exists():
                os.replace(run / "run.json.unfinished", run / "run.json")
        raise
    for run in runs:
        for path in written(run):
            delete(path)
        for name in ("log.jsonl", "run.json.unfinished"):
            with suppress(OSError):
                (run / name).unlink()


def delete(folder: Path) -> None:
    """Delete the files of a checkpoint, and the folder if it holds nothing else.

    What the disk refuses to delete stays until the next checkpoint is saved.
    """
    with suppress(OSError):
        # the config first: without one it is no checkpoint
        for name in ("config.json", *WEIGHTS, *TRAINING):
            (folder / name).unlink(missing_ok=True)
        folder.rmdir()


def flatten(value: Any, tensors: dict[str, torch.Tensor], name: str = "") -> Any:
    """Return nested dicts and lists as JSON can hold them: each tensor goes into `tensors`, and its
    name there takes its place."""
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


def unflatten(outline: Any, tensors: dict[str, torch.Tensor]) -> Any:
    """Undo `flatten`."""
    if isinstance(outline, list):
        return [unflatten(v, tensors) for v in outline]
    if isinstance(outline, dict):
        if "tensor" in outline:
            return tensors[outline["tensor"]]
        return {k: unflatten(v, tensors) for k, v in outline["pairs"]}
    return outline
