"""Texts to learn from: where each one is found, how it is split, how it becomes batches of tokens.

A published text is looked for in the folder named by the environment variable NANOPARADIGM_DATA,
then in the user's cache folder, and only then downloaded to that cache. The text of a run is known
by its fingerprint, whatever its name is and wherever it lies: see `of_run`.
"""

import hashlib
import os
import platform
import zipfile
from dataclasses import replace
from pathlib import Path
from pydoc_data import topics

import torch

from .. import files
from ..errors import InputError, choose
from ..language.grammar import LENGTH, flat, language
from . import download
from .corpus import Batches, Corpus, Data, Tokens, windows  # noqa: F401, for all who read texts
from .shards import Shards


def load(name, path=None):
    """The Corpus of that name in DATASETS, or the one made from the UTF-8 text file at that path,
    or the `shards.Shards` in that folder.

    path: where the file or the folder lies, if its name does not say so. Newlines stay as they are
    in the file and a byte order mark is dropped. Raises InputError for an unknown name, for a file
    that is not a UTF-8 text, and where a download is needed and fails.
    """
    if path is None and (name in DATASETS or not os.path.exists(name)):
        return choose("dataset or file", name, DATASETS)()
    path = str(path or name)
    if os.path.exists(os.path.join(path, "metadata.json")):
        return Shards(path, name)
    return _first_ninety_percent(name, files.decode(files.read(path), path), path)


def of_run(saved, dataset=None):
    """The Data of the text that the run of a Checkpoint was trained on, wherever it lies now.

    It is looked for where it lay as seen from the run, so that both may move together, and then
    under its name; dataset: its name or path, if that is known. Only a text that holds what the run
    has read is taken. Raises InputError if that is not to be found.
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
            return Data(corpus, tokenizer, config["recipe"]["block_size"])
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


def _places(saved):
    """Where to look for the text of a run: pairs of a name and a path, for `load`."""
    name, place = saved.config["corpus"], saved.config.get("corpus_place")
    if place is None and name in DATASETS:
        return [(name, None)]
    run = saved.folder.resolve().parent
    there = [os.path.abspath(run / place)] if place else []  # earlier versions kept no place
    paths = {os.path.abspath(path): path for path in (*there, name)}
    return [(name, path) for path in paths.values() if os.path.exists(path)]


def is_text_of(config, corpus, tokenizer):
    """Whether a run with this config, which has that tokenizer, was trained on the corpus.

    Earlier versions kept the fingerprint of the tokens alone.
    """
    if "corpus_sha256" in config:
        return config["corpus_sha256"] == corpus.fingerprint
    try:
        return config["text"] == corpus.tokens(tokenizer).fingerprint
    except InputError:  # it cannot even be written in these tokens
        return False


def identity(data, run):
    """What the config of a run says of its text, for `of_run`: a dict.

    corpus: its name, as given. corpus_place: where it lies as seen from the folder of the run, None
    for a text of DATASETS. corpus_sha256: its fingerprint. text: that of its tokens.
    """
    corpus = data.corpus
    return dict(
        corpus=corpus.name,
        corpus_place=corpus.path and _seen_from(run, corpus.path),
        corpus_sha256=corpus.fingerprint,
        text=data.fingerprint,
    )


def _seen_from(folder, path):
    """The path relative to the folder; as it is where it lies on another drive."""
    path = Path(path).parent.resolve() / Path(path).name
    try:
        return Path(os.path.relpath(path, Path(folder).resolve())).as_posix()
    except ValueError:
        return path.as_posix()


def held_out(name):
    """The Corpus of that name with its validation split alone, for models that were trained on
    another: nothing else of WikiText-2 need be on this machine."""
    if DATASETS.get(name) is _wikitext2:
        [text] = _wikitext2_splits("valid")
        return Corpus("wikitext2", text, text)
    corpus = load(name)
    if corpus.tokenizer:
        return corpus
    return replace(corpus, train=corpus.validation, test="")


def _language():
    return language_corpus()


def _language_flat():
    return language_corpus(n_train=1000, name="language_flat", automaton=flat())


def _pydocs():
    # The language reference that comes with Python: its text depends on the version of Python.
    return _first_ninety_percent(
        "pydocs", "\n".join(text for _, text in sorted(topics.topics.items()))
    )


def _shakespeare():
    file = "tinyshakespeare.txt"
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


def _wikitext2():
    return Corpus("wikitext2", *_wikitext2_splits("train", "valid", "test"))


def _wikitext2_splits(*splits):
    names = [f"wikitext2/wiki.{split}.tokens" for split in splits]
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


DATASETS = {
    "language": _language,
    "language_flat": _language_flat,
    "pydocs": _pydocs,
    "shakespeare": _shakespeare,
    "wikitext2": _wikitext2,
    "wikitext": _wikitext2,
}


def _first_ninety_percent(name, text, path=None):
    cut = len(text) * 9 // 10
    return Corpus(name, train=text[:cut], validation=text[cut:], path=path)


def _download(dataset, names, url, sha256, file):
    instead = "use a dataset that needs no download, language or pydocs"
    return download.download(dataset, names, url, sha256, file, instead)


def language_corpus(n_train=20_000, n_validation=1000, seed=0, name="language", automaton=None):
    """The language, or another automaton, as a corpus: texts of LENGTH words, one after another."""
    automaton = automaton or language()
    x = automaton.sample(n_train + n_validation, LENGTH, torch.Generator().manual_seed(seed))
    train, validation = (
        " ".join(automaton.words[i] for i in part.flatten().tolist()) for part in x.split(n_train)
    )
    return Corpus(name, train, validation, sequence_length=LENGTH, truth=automaton)
