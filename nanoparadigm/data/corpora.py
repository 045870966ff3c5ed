"""Texts to learn from: where each one is found, how it is split, how it becomes batches of tokens.

A published text is looked for in the folder named by the environment variable NANOPARADIGM_DATA,
then in the user's cache folder, and only then downloaded to that cache. The text of a run is
recognised by its fingerprint, whatever it is called and wherever it lies: see `of_run`.
"""

import hashlib
import os
import platform
import warnings
import zipfile
from collections.abc import Callable, Collection
from dataclasses import replace
from pathlib import Path
from pydoc_data import topics
from typing import Any, Protocol

import torch

from .. import files
from ..errors import InputError, lookup
from ..language.automaton import Automaton
from ..language.grammar import LENGTH, flat, language
from . import download
from .corpus import (  # noqa: F401, for all who read texts
    Corpus,
    Source,
    TokenizedCorpus,
    Tokens,
    WindowBatches,
    windows,
)
from .tokenizers import Tokenizer

RENAMED = {"Data": TokenizedCorpus, "Batches": WindowBatches}
"""names of earlier versions that keep working for one more release"""

PUBLISHED = {
    "shakespeare": ["tinyshakespeare.txt"],
    "wikitext2": [f"wikitext2/wiki.{split}.tokens" for split in ("train", "valid", "test")],
}
"""the texts of DATASETS that do not come with this package or with Python -> their files"""


def __getattr__(name: str) -> type:
    """Return the class that a name of RENAMED stands for, with a DeprecationWarning."""
    if name not in RENAMED:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    new = RENAMED[name]
    message = f"corpora.{name} goes away in the next release: use corpora.{new.__name__}"
    warnings.warn(message, DeprecationWarning, stacklevel=2)
    return new


class TrainedRun(Protocol):
    """What `of_run` asks of a trained model on disk; a `training.checkpoint.Checkpoint` has it."""

    @property
    def folder(self) -> Path:
        """The folder of the checkpoint, inside that of the run."""

    @property
    def config(self) -> dict[str, Any]:
        """What config.json holds."""

    @property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer that the model reads with."""


def load(name: str, path: files.StrPath | None = None) -> Source:
    """Load the Corpus of that name in DATASETS, the UTF-8 text file at that path as a Corpus, or
    what a folder of FOLDERS holds.

    path: where the file or the folder lies, if `name` is not its path. Newlines stay as they are in
    the file and a byte order mark is dropped. Raises InputError for an unknown name, for a file
    that is not UTF-8 text, and if a download is needed and fails.
    """
    if path is None and (name in DATASETS or not os.path.exists(name)):
        return lookup("dataset or file", name, DATASETS)()
    path = str(path or name)
    for file, folder in FOLDERS.items():
        if os.path.exists(os.path.join(path, file)):
            return folder(path, name)
    return _first_ninety_percent(name, files.decode(files.read(path), path), path)


def of_run(saved: TrainedRun, dataset: str | None = None) -> TokenizedCorpus:
    """Find the text that a run was trained on, wherever it lies now, and tokenize it for its model.

    The text is looked for at its old path relative to the run, so that both may move together, and
    then under its name; dataset: its name or path, if known. Only a text with the fingerprint that
    the run recorded is accepted. Raises InputError if there is none.
    """
    config, tokenizer, others = saved.config, saved.tokenizer, []
    if "corpus" not in config or config.keys().isdisjoint(("corpus_sha256", "text")):
        raise InputError(f"{saved.folder} does not say what it was trained on: train again")
    for name, path in [(dataset, None)] if dataset else _places(saved):
        try:
            corpus = load(name, path)
        except InputError as error:
            if path is None:
                raise
            others.append(str(error))
            continue
        if is_text_of(config, corpus, tokenizer):
            return TokenizedCorpus(corpus, tokenizer, config["recipe"]["block_size"])
        others.append(f"{corpus.path or corpus.name} holds another text")
    hint = "put it back, or name it with `dataset`"
    if config["corpus"] == "pydocs":
        version = platform.python_version()
        others = [f"it comes with Python and depends on its version, which is {version} here"]
        hint = "use the version that the run began with"
    why = f" ({'; '.join(others)})" if others else ""
    raise InputError(
        f"the text that {saved.folder} was trained on, {config['corpus']}, is not here{why}: {hint}"
    )


def _places(saved: TrainedRun) -> list[tuple[str, str | None]]:
    """Return where to look for the text of a run: pairs of a name and a path, for `load`."""
    name, place = saved.config["corpus"], saved.config.get("corpus_place")
    if place is None and name in DATASETS:
        return [(name, None)]
    run = saved.folder.resolve().parent
    there = [os.path.abspath(run / place)] if place else []  # earlier versions kept no place
    paths = {os.path.abspath(path): path for path in (*there, name)}
    return [(name, path) for path in paths.values() if os.path.exists(path)]


def is_text_of(config: dict[str, Any], corpus: Source, tokenizer: Tokenizer) -> bool:
    """Return whether a run with this config and this tokenizer was trained on the corpus.

    Earlier versions recorded only the fingerprint of the tokens.
    """
    if "corpus_sha256" in config:
        return config["corpus_sha256"] == corpus.fingerprint
    try:
        return config["text"] == corpus.tokens(tokenizer).fingerprint
    except InputError:  # it cannot even be written in these tokens
        return False


def identity(data: TokenizedCorpus, run: files.StrPath) -> dict[str, Any]:
    """Return what the config of a run records of its text, so that `of_run` finds it again.

    corpus: its name, as given. corpus_place: its path relative to the folder of the run, None for a
    text of DATASETS. corpus_sha256: its fingerprint. text: the fingerprint of its tokens.
    """
    corpus = data.corpus
    return dict(
        corpus=corpus.name,
        corpus_place=corpus.path and _seen_from(run, corpus.path),
        corpus_sha256=corpus.fingerprint,
        text=data.fingerprint,
    )


def _seen_from(folder: files.StrPath, path: files.StrPath) -> str:
    """Return the path relative to the folder, or unchanged if it lies on another drive."""
    path = Path(path).parent.resolve() / Path(path).name
    try:
        return Path(os.path.relpath(path, Path(folder).resolve())).as_posix()
    except ValueError:
        return path.as_posix()


def validation_only(name: str) -> Source:
    """Load the validation split of a corpus, for models that were trained on another text.

    The Corpus has that split as `train` too, and no test split; of WikiText-2 no other need be on
    this machine. A folder comes whole. Raises InputError as `load` does.
    """
    if DATASETS.get(name) is _wikitext2:
        [text] = _wikitext2_splits("valid")
        return Corpus("wikitext2", text, text)
    corpus = load(name)
    if not isinstance(corpus, Corpus):
        return corpus
    return replace(corpus, train=corpus.validation, test="")


def _language() -> Corpus:
    return language_corpus()


def _language_flat() -> Corpus:
    return language_corpus(n_train=1000, name="language_flat", automaton=flat())


def _pydocs() -> Corpus:
    # The language reference that comes with Python: its text depends on the version of Python.
    return _first_ninety_percent(
        "pydocs", "\n".join(text for _, text in sorted(topics.topics.items()))
    )


def _shakespeare() -> Corpus:
    [file] = PUBLISHED["shakespeare"]
    sha256 = "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed"
    url = (
        "https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt"
    )
    folder = download.folder_with([file])
    path = folder / file if folder else _download("shakespeare", [file], url, sha256, file)
    data = files.read(path)
    if hashlib.sha256(data).hexdigest() != sha256:
        raise InputError(
            f"{path} is not Tiny Shakespeare (its SHA-256 differs): delete or replace the file, "
            "or give its path as the dataset to train on what it holds"
        )
    return _first_ninety_percent("shakespeare", files.decode(data, path))


def _wikitext2() -> Corpus:
    train, validation, test = _wikitext2_splits("train", "valid", "test")
    return Corpus("wikitext2", train, validation, test)


def _wikitext2_splits(*splits: str) -> list[str]:
    names = [name for name in PUBLISHED["wikitext2"] if name.split(".")[1] in splits]
    url = "https://wikitext.smerity.com/wikitext-2-v1.zip"
    sha256 = "92675f1d63015c1c8b51f1656a52d5bdbc33aafa60cc47a218a66e7ee817488c"
    folder = download.folder_with(names)
    if folder:
        return [files.decode(files.read(folder / name), folder / name) for name in names]
    # Read in place: an unpacking that is interrupted would leave half a text in the cache.
    path = _download("wikitext2", names, url, sha256, "wikitext-2-v1.zip")
    with zipfile.ZipFile(path) as archive:
        members = [f"wikitext-2/wiki.{split}.tokens" for split in splits]
        return [files.decode(archive.read(member), member) for member in members]


DATASETS: dict[str, Callable[[], Corpus]] = {
    "language": _language,
    "language_flat": _language_flat,
    "pydocs": _pydocs,
    "shakespeare": _shakespeare,
    "wikitext2": _wikitext2,
    "wikitext": _wikitext2,
}

FOLDERS: dict[str, Callable[[str, str], Source]] = {}
"""a file that tells a kind of folder from others -> what opens it, given its path and its name"""


def _first_ninety_percent(name: str, text: str, path: str | None = None) -> Corpus:
    cut = len(text) * 9 // 10
    return Corpus(name, train=text[:cut], validation=text[cut:], path=path)


def _download(dataset: str, names: Collection[str], url: str, sha256: str, file: str) -> Path:
    instead = "use a dataset that needs no download, language or pydocs"
    return download.download(dataset, names, url, sha256, file, instead)


def language_corpus(
    n_train: int = 20_000,
    n_validation: int = 1000,
    seed: int = 0,
    name: str = "language",
    automaton: Automaton | None = None,
) -> Corpus:
    """Draw a corpus from the language, or from another automaton: n_train + n_validation texts of
    LENGTH words, one after another."""
    automaton = automaton or language()
    x = automaton.sample(n_train + n_validation, LENGTH, torch.Generator().manual_seed(seed))
    train, validation = (
        " ".join(automaton.words[i] for i in part.flatten().tolist()) for part in x.split(n_train)
    )
    return Corpus(name, train, validation, sequence_length=LENGTH, truth=automaton)
