"""One ruler for all: bits per character, accuracy in both directions, the cost of generating, and,
where the language is known, the distance to the truth.

Bits per character are `nll_bound` over the whole validation split, cut into the same windows for
every model, with all tokens paid for; "=" marks an exact likelihood, "<=" a bound. The standard
error is that of a mean over windows, each of which carries its own independent noise. Windows that
were drawn independently count one by one; those of a running text do not, because neighbours are
alike, and what is said of it holds for other texts like it (`Estimate.of_text`). Two models are
compared window by window.
"""

from .comparison import (
    CANDIDATES,
    COUNTED,
    SIGNS,
    add_differences,
    baselines,
    by_exam,
    floors,
    measure,
)
from .cost import Counted, Speed, counting, generation_speed
from .ground_truth import (
    SLIP,
    against_the_truth,
    decoding,
    decoding_of_the_truth,
    variety,
    worth,
)
from .likelihood import (
    BLOCKS,
    LOGITS,
    Estimate,
    accuracy,
    at_once,
    bits_per_character,
    nats_per_bit,
    nats_per_token,
    of_windows,
    per_token,
    window_nats,
)
from .tables import decoding_table, difference, markdown, percent, said, table, truth_table

__all__ = [
    "BLOCKS",
    "CANDIDATES",
    "COUNTED",
    "LOGITS",
    "SIGNS",
    "SLIP",
    "Counted",
    "Estimate",
    "Speed",
    "accuracy",
    "add_differences",
    "against_the_truth",
    "at_once",
    "baselines",
    "bits_per_character",
    "by_exam",
    "counting",
    "decoding",
    "decoding_of_the_truth",
    "decoding_table",
    "difference",
    "floors",
    "generation_speed",
    "markdown",
    "measure",
    "nats_per_bit",
    "nats_per_token",
    "of_windows",
    "per_token",
    "percent",
    "said",
    "table",
    "truth_table",
    "variety",
    "window_nats",
    "worth",
]
