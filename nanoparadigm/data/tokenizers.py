"""Turn text into token ids and back, by characters, by words, or by byte pairs.

Ids run from 0 to vocab_size - 1. The id vocab_size itself is the one symbol a model may add (a mask
or the beginning of a text); every tokenizer shows it as BLANK.
"""

import codecs
import hashlib
import json
import re
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future, wait
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Protocol, Self, TypeVar

import tokenizers as library
import torch
from torch import Tensor

from .. import files
from ..errors import InputError, lookup
from . import download

BLANK = "░"
END_OF_TEXT = "<|endoftext|>"
PIECE = 1024  # bytes: merges are learned from pieces of words no longer than that

Ids = Iterable[int] | Tensor
"""token ids of one text, a list of ints or a LongTensor (L,)"""
Result = TypeVar("Result")


class Tokenizer(Protocol):
    """What all tokenizers share. `vocabulary`, which JSON can hold, determines all the rest."""

    kind: str
    vocabulary: list[str] | str
    vocab_size: int
    end_of_text: int | None = None
    """the id that separates texts and that no text encodes to, where there is one"""
    joiner: str = ""
    """what stands between the texts of two ids"""

    def encode(self, text: str) -> list[int]:
        """Return the ids of the text."""

    def decode(self, ids: Ids) -> str:
        """Return the text of the ids (L,)."""
        return self.joiner.join(self.pieces(ids))

    def pieces(self, ids: Ids) -> list[str]:
        """Return the text of each of the ids (L,); joined by `joiner`, they are `decode(ids)`."""

    def unseen(self, text: str) -> list[str]:
        """Return the distinct pieces of the text that are not in the vocabulary, sorted."""

    def save(self, path: files.StrPath) -> None:
        """Write the tokenizer to a JSON file, for `load`."""
        data = {"kind": self.kind, "vocabulary": self.vocabulary}
        Path(path).write_text(json.dumps(data), encoding="utf-8")


class CharTokenizer(Tokenizer):
    """One id for every character of an alphabet. decode(encode(s)) == s for every string s.

    A character c outside the alphabet gets the id vocab_size + 1 + ord(c), which no model reads.
    """

    kind = "char"

    def __init__(self, vocabulary: Iterable[str]) -> None:
        # A list: JSON would join two lone surrogates that follow each other in a string.
        self.vocabulary = list(vocabulary)
        self.vocab_size = len(self.vocabulary)
        self._ids = {c: i for i, c in enumerate(self.vocabulary)}

    @classmethod
    def train(cls, *texts: str) -> Self:
        """Return the tokenizer of the distinct characters of the texts, sorted."""
        return cls(sorted(set().union(*texts)))

    def encode(self, text: str) -> list[int]:
        """Return an id for each character of the text."""
        beyond = self.vocab_size + 1
        return [self._ids.get(c, beyond + ord(c)) for c in text]

    def pieces(self, ids: Ids) -> list[str]:
        """Return the character of each of the ids (L,)."""
        beyond = self.vocab_size + 1
        symbols = [*self.vocabulary, BLANK]
        return [symbols[i] if i < beyond else chr(i - beyond) for i in _ints(ids)]

    def unseen(self, text: str) -> list[str]:
        """Return the distinct characters of the text outside the alphabet, sorted."""
        return sorted(set(text) - set(self.vocabulary))


class WordTokenizer(Tokenizer):
    """One id for every word, where words are what single spaces separate."""

    kind, joiner = "word", " "

    def __init__(self, vocabulary: Iterable[str]) -> None:
        self.vocabulary = list(vocabulary)
        self.vocab_size = len(self.vocabulary)
        self._ids = {word: i for i, word in enumerate(self.vocabulary)}

    @classmethod
    def train(cls, *texts: str) -> Self:
        """Return the tokenizer of the distinct words of the texts, sorted."""
        return cls(sorted(set().union(*map(_words, texts))))

    def encode(self, text: str) -> list[int]:
        """Return the ids of the text's words. Raises InputError for a word that has none."""
        return [lookup("word", word, self._ids) for word in _words(text)]

    def pieces(self, ids: Ids) -> list[str]:
        """Return the word of each of the ids (L,)."""
        symbols = [*self.vocabulary, BLANK]
        return [symbols[i] for i in _ints(ids)]

    def unseen(self, text: str) -> list[str]:
        """Return the distinct words of the text outside the vocabulary, sorted."""
        return sorted(set(_words(text)) - set(self.vocabulary))


class BPETokenizer(Tokenizer):
    """Byte-level byte-pair encoding. decode(encode(s)) == s for every string s of valid Unicode.

    Every byte has an id of its own, so no text is unseen. Ids that cut a character of several bytes
    in two decode to U+FFFD there.
    """

    kind = "bpe"

    def __init__(self, vocabulary: str) -> None:
        self.vocabulary = vocabulary
        self._bpe = library.Tokenizer.from_str(vocabulary)
        self.vocab_size = self._bpe.get_vocab_size()
        # No merge ever makes this symbol, so its letters in a text are encoded as letters.
        self.end_of_text = self._bpe.token_to_id(END_OF_TEXT)

    @classmethod
    def train(cls, text: str, vocab_size: int, waiting: Callable[[], None] = lambda: None) -> Self:
        """Merge the most frequent pairs of the text until there are vocab_size ids.

        A short text may hold fewer pairs than that. waiting: called twice a second until it is
        done. Raises InputError if vocab_size is below 257.
        """
        if vocab_size < 257:
            raise InputError(
                f"a BPE vocabulary of {vocab_size} has no room for the 256 bytes and one merge: "
                "ask for 257 or more, or use the char tokenizer"
            )
        _check_utf8(text)
        bpe = library.Tokenizer(library.models.BPE())
        words = library.pre_tokenizers.ByteLevel(add_prefix_space=False)
        # Its time is quadratic in the longest word, and some scripts write no spaces.
        pieces = library.pre_tokenizers.FixedLength(PIECE)
        bpe.pre_tokenizer = library.pre_tokenizers.Sequence([words, pieces])
        trainer = library.trainers.BpeTrainer(
            vocab_size=vocab_size,
            initial_alphabet=library.pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        )
        _beside(lambda: bpe.train_from_iterator([text], trainer), waiting)
        bpe.pre_tokenizer, bpe.decoder = words, library.decoders.ByteLevel()
        return cls(bpe.to_str())

    def encode(self, text: str) -> list[int]:
        """Return the ids of the text.

        Raises InputError for half a surrogate pair, which UTF-8 cannot write.
        """
        _check_utf8(text)
        # Plain `encode` also keeps every token's place in the text and takes twice as long.
        return self._bpe.encode_batch_fast([text])[0].ids

    def decode(self, ids: Ids) -> str:
        """Return the text of the ids (L,); U+FFFD stands for bytes that are no character."""
        runs = groupby(_ints(ids), key=lambda i: i == self.vocab_size)
        return "".join(
            BLANK * len(list(run)) if blank else self._bpe.decode(list(run)) for blank, run in runs
        )

    def pieces(self, ids: Ids) -> list[str]:
        """Return the text of each of the ids (L,). A character that several ids share belongs to
        the last of them; what is left of a broken one is U+FFFD."""
        texts = []
        for blank, run in groupby(_ints(ids), key=lambda i: i == self.vocab_size):
            if blank:
                texts += [BLANK for _ in run]
                continue
            reader = codecs.getincrementaldecoder("utf-8")("replace")
            texts += [reader.decode(_bytes(self._bpe.id_to_token(i))) for i in run]  # type: ignore[arg-type]
            texts[-1] += reader.decode(b"", final=True)
        return texts

    def unseen(self, text: str) -> list[str]:
        """Return an empty list: every byte is in the vocabulary."""
        return []

    def with_end_of_text(self) -> "BPETokenizer":
        """Return the same tokenizer with one more id, the end of a text; itself if it has one."""
        if self.end_of_text is not None:
            return self
        data = json.loads(self.vocabulary)
        data["model"]["vocab"][END_OF_TEXT] = self.vocab_size
        return BPETokenizer(json.dumps(data))


class GPT2Tokenizer(BPETokenizer):
    """The tokenizer of GPT-2: 50,257 ids, of which 50,256 ends a text. `gpt2` makes one."""

    kind = "gpt2"


TOKENIZERS = {
    kind.kind: kind for kind in (BPETokenizer, CharTokenizer, GPT2Tokenizer, WordTokenizer)
}


class Splits(Protocol):
    """The texts of a corpus, as `corpus.Corpus` has them."""

    train: str
    validation: str
    test: str
    sequence_length: int | None


def build(
    name: str | None,
    corpus: Splits,
    bpe_vocab_size: int = 500,
    waiting: Callable[[], None] = lambda: None,
) -> Tokenizer:
    """Return a tokenizer of the kind `name`, one of TOKENIZERS, made for a Corpus.

    Without a name: words for a corpus of fixed-length sequences, characters for any other text.
    waiting: called twice a second while byte pairs are learned. Raises InputError for an unknown
    kind.

    Byte pairs are learned from the train split alone. Characters and words come from all splits: an
    alphabet is not a statistic, and without all of it the other splits could not be scored.
    """
    name = name or ("word" if corpus.sequence_length else "char")
    kind = lookup("tokenizer", name, TOKENIZERS)
    if kind is GPT2Tokenizer:
        return gpt2()
    if kind is BPETokenizer:
        return kind.train(corpus.train, bpe_vocab_size, waiting)
    return kind.train(corpus.train, corpus.validation, corpus.test)


GPT2_FILES = {
    "gpt2/vocab.json": (
        "encoder.json",
        "196139668be63f3b5d6574427317ae82f612a97c5d1cdaf36ed2256dbf636783",
    ),
    "gpt2/merges.txt": (
        "vocab.bpe",
        "1ce1664773c50f3e0cc8842619a93edc4624525b728b188a9e0be33b7726adc5",
    ),
}
"""where GPT-2's vocabulary is found -> the published name of the file, and its SHA-256"""


def gpt2() -> GPT2Tokenizer:
    """Return the GPT2Tokenizer, made from the published files.

    They are looked for as the texts of `corpora` are, in a folder gpt2/. Raises InputError if they
    are damaged, or neither here nor to be downloaded.
    """
    folder, paths = download.folder_with(GPT2_FILES), []
    for name, (file, sha256) in GPT2_FILES.items():
        url = f"https://openaipublic.blob.core.windows.net/gpt-2/encodings/main/{file}"
        instead = "use a tokenizer that you have saved"
        path = (
            folder / name
            if folder
            else download.download("GPT-2's vocabulary", GPT2_FILES, url, sha256, name, instead)
        )
        if hashlib.sha256(files.read(path)).hexdigest() != sha256:
            raise InputError(f"{path} is not GPT-2's (its SHA-256 differs): delete or replace it")
        paths.append(str(path))
    bpe = library.Tokenizer(library.models.BPE.from_file(*paths))
    bpe.pre_tokenizer = library.pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = library.decoders.ByteLevel()
    return GPT2Tokenizer(bpe.to_str())


def encode(tokenizer: Tokenizer, text: str) -> list[int]:
    """Return the ids of the text. Raises InputError for a character the model has never seen."""
    unseen = tokenizer.unseen(text)
    if unseen:
        raise InputError(
            f"this model has never seen {', '.join(map(repr, unseen[:5]))}: leave it out of the "
            "text given, or train a model with `tokenizer` bpe, which can read anything"
        )
    return tokenizer.encode(text)


def encode_gaps(tokenizer: Tokenizer, text: str) -> list[int]:
    """Return the ids of the text, where every BLANK is one token to fill in: the id vocab_size.

    Raises InputError as `encode` does, and for words that are not separated by single spaces.
    """
    if not text or not tokenizer.joiner:
        pieces = re.split(f"({BLANK})", text)
    elif "" in (pieces := text.split(tokenizer.joiner)):
        raise InputError("words are separated by single spaces: take out the other spaces")
    blank = [tokenizer.vocab_size]
    return [i for piece in pieces for i in (blank if piece == BLANK else encode(tokenizer, piece))]


def hide(tokenizer: Tokenizer, text: str, start: int, end: int) -> str:
    """Replace text[start:end] by as many BLANKs as it has tokens, for `encode_gaps`. A tokenizer of
    words hides every word it touches as a whole."""
    if tokenizer.joiner:

        def hidden(word: re.Match[str]) -> str:
            return BLANK if max(word.start(), start) < min(word.end(), end) else word[0]

        return re.sub(f"[^{tokenizer.joiner}]+", hidden, text)
    pieces = text[start:end].split(BLANK)
    count = len(pieces) - 1 + sum(len(tokenizer.encode(piece)) for piece in pieces)
    return text[:start] + BLANK * count + text[end:]


@dataclass(frozen=True)
class Saved:
    """What `Tokenizer.save` writes."""

    kind: str
    vocabulary: list[str] | str


def load(path: files.StrPath) -> Tokenizer:
    """Load the tokenizer in a file that `Tokenizer.save` wrote. Raises InputError for any other."""
    try:
        saved = files.read_json(path, Saved)
        return TOKENIZERS[saved.kind](saved.vocabulary)
    except Exception as error:  # the library raises no narrower one for a vocabulary it cannot read
        if isinstance(cause := error.__cause__, OSError):
            reason = cause.strerror or cause
            raise InputError(f"cannot read {path} ({reason}): give a saved tokenizer") from cause
        raise InputError(f"{path} is damaged or not a tokenizer: give a saved tokenizer") from error


def _beside(call: Callable[[], Result], waiting: Callable[[], None]) -> Result:
    """Make the call in a thread of its own: only the main thread hears Ctrl-C, and only while it
    runs Python."""
    done: Future[Result] = Future()

    def work() -> None:
        try:
            done.set_result(call())
        except BaseException as error:
            done.set_exception(error)

    threading.Thread(target=work, daemon=True).start()
    while not wait([done], timeout=0.5).done:
        waiting()
    return done.result()


def _bytes(symbol: str) -> bytes:
    return bytes(map(_byte_of().__getitem__, symbol))


@cache
def _byte_of() -> dict[str, int]:
    """Return the byte that each letter of byte-level symbols stands for: its own code below 256;
    those above stand, in their order, for the bytes that are no visible character."""
    letters = sorted(library.pre_tokenizers.ByteLevel.alphabet())
    hidden = [byte for byte in range(256) if chr(byte) not in letters]
    return {c: ord(c) if ord(c) < 256 else hidden[ord(c) - 256] for c in letters}


def _ints(ids: Ids) -> list[int]:
    return torch.as_tensor(ids).tolist()  # a tensor on an accelerator comes over at once


def _words(text: str) -> list[str]:
    return text.split(" ") if text else []


def _check_utf8(text: str) -> None:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise InputError(
            f"character {error.start} of the text is half a surrogate pair, which is not valid "
            "Unicode: remove it, or use the char tokenizer"
        ) from error
