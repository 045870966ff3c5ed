"""One ruler for all: bits per character, accuracy in both directions, the cost of generating, and,
where the language is known, the distance to the truth.

Bits per character are `nll_bound` over the whole validation split, cut into the same windows for
every model, with every token counted; "=" marks an exact likelihood, "<=" an upper bound. The
standard error is that of a mean over windows, each with its own independent noise. Windows that
were drawn independently count one by one. Those of a running text do not, because neighbours
resemble each other: its standard error says how far the mean would move on another text like it
(`Estimate.of_text`). Two models are compared window by window.
"""

from .comparison import (
    MAX_COUNTED_TOKENS,
    add_differences,
    baselines,
    by_exam,
    measure,
    reference_levels,
)
from .cost import CountingNetwork, Speed, counting, generation_speed
from .decoding_likelihood import decoding_nll
from .ground_truth import (
    SLIP,
    decoding_metrics,
    decoding_of_language,
    ground_truth_metrics,
    sample_diversity,
    sample_quality,
)
from .likelihood import (
    Estimate,
    accuracy,
    bits_per_character,
    micro_batch_size,
    nats_per_bit,
    nats_per_token,
    of_windows,
    per_token,
    window_nats,
)
from .tables import decoding_table, difference, markdown, percent, table, truth_table, with_error

__all__ = [
    "MAX_COUNTED_TOKENS",
    "SLIP",
    "CountingNetwork",
    "Estimate",
    "Speed",
    "accuracy",
    "add_differences",
    "baselines",
    "bits_per_character",
    "by_exam",
    "counting",
    "decoding_metrics",
    "decoding_nll",
    "decoding_of_language",
    "decoding_table",
    "difference",
    "generation_speed",
    "ground_truth_metrics",
    "markdown",
    "measure",
    "micro_batch_size",
    "nats_per_bit",
    "nats_per_token",
    "of_windows",
    "per_token",
    "percent",
    "reference_levels",
    "sample_diversity",
    "sample_quality",
    "table",
    "truth_table",
    "window_nats",
    "with_error",
]
