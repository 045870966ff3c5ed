"""Turn documents into token ids in several processes, and keep their order.

Every worker is a fresh Python, which takes seconds to import the package; a script that asks for
more than one must do so under `if __name__ == "__main__":`.
"""

import functools
import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import numpy as np

from ..data import tokenizers
from ..data.tokenizers import Tokenizer
from ..signals import after_parent
from .folder import ID

CHUNK = 2**19  # characters that a worker gets at a time: enough to outweigh sending them

Encoded = tuple[np.ndarray, int]
"""the ids (T,) of a document, uint16 with the end of text, and its characters"""


def encode(
    documents: Iterable[str], tokenizer: Tokenizer, saved: Path, workers: int
) -> Iterator[Encoded]:
    """Yield the ids (T,), uint16 with the end of text, and the characters of every document.

    saved: the path of the tokenizer's file, which the workers read. workers: processes; 1 encodes
    in this one. Documents are consumed only as fast as they are encoded. Raises OSError if a worker
    dies.
    """
    chunks = _chunks(documents)
    if workers == 1:
        for texts in chunks:
            yield from _encode(tokenizer, texts)
        return
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, context, initializer=_end_with_parent)
    pending = deque()
    try:
        for texts in chunks:
            pending.append(pool.submit(_encode_apart, saved, texts))
            if len(pending) > 3 * workers:  # no more: the documents may have no end
                yield from pending.popleft().result()
        while pending:
            yield from pending.popleft().result()
    except BrokenProcessPool as error:
        raise OSError("a process that encodes died (too little memory for `workers`?)") from error
    finally:
        pool.shutdown(cancel_futures=True)


def _chunks(documents: Iterable[str]) -> Iterator[list[str]]:
    """Yield lists of documents that take about the same time to encode."""
    chunk, size = [], 0
    for text in documents:
        chunk.append(text)
        size += len(text) + 1
        if size >= CHUNK:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


def _encode(tokenizer: Tokenizer, texts: list[str]) -> list[Encoded]:
    end = tokenizer.end_of_text
    return [(np.array([*tokenizer.encode(text), end], ID), len(text)) for text in texts]


def _encode_apart(path: Path, texts: list[str]) -> list[Encoded]:
    return _encode(_tokenizer(path), texts)


_tokenizer = functools.cache(tokenizers.load)  # a worker lives for one call of `encode`


def _end_with_parent() -> None:
    """Leave Ctrl-C to the parent of this worker, and end when the parent is killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    after_parent(lambda: os._exit(1))
