"""Texts too long for memory: read as documents, encoded in parallel, kept on disk as tokens."""

from ..data import corpora
from .folder import Shards
from .writer import write

__all__ = ["Shards", "write"]

corpora.FOLDERS["metadata.json"] = Shards
