"""Four ways a machine can model language, one interface, one ruler.

In a few lines:

    from nanoparadigm import build, corpora, tokenizers, train

    corpus = corpora.load("shakespeare")
    tokenizer = tokenizers.build("char", corpus)
    data = corpora.TokenizedCorpus(corpus, tokenizer, length=128)
    model = build("diffusion", tokenizer.vocab_size, block_size=128)
    for record in train(model, data):
        ...
"""

from . import evaluate, shards  # noqa: F401, which makes folders of shards known to `corpora`
from .data import corpora, tokenizers
from .errors import InputError
from .paradigms import PRESETS, build, parameters
from .paradigms.schedules import SCHEDULES
from .training.checkpoint import load
from .training.matching import matched
from .training.settings import Settings
from .training.trainer import train

__version__ = "0.1.0"
__all__ = [
    "PRESETS",
    "SCHEDULES",
    "InputError",
    "Settings",
    "build",
    "corpora",
    "evaluate",
    "load",
    "matched",
    "parameters",
    "tokenizers",
    "train",
]
