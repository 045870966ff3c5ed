"""Proof that the tests of the ruler bite: what an error is of, what a difference is, and whose
truth may be asked. Each fault is planted in the live source, and a named test fails on it."""

import pytest
import test_ruler
from helpers import dies

from nanoparadigm import evaluate
from nanoparadigm.data.corpus import TokenizedCorpus
from nanoparadigm.evaluate.likelihood import Estimate

MUTANTS = {
    "windows of a text taken for independent": (
        evaluate.of_windows,
        "Estimate.of if independent else Estimate.of_text",
        "Estimate.of",
        test_ruler.test_the_standard_error_is_honest_for_a_text_that_changes_slowly,
    ),
    "independent sequences taken for a text": (
        evaluate.of_windows,
        "if independent",
        "if not independent",
        test_ruler.test_sequences_that_are_independent_count_one_by_one,
    ),
    "a difference with the error of one of the two": (
        evaluate.add_differences,
        "(own - nats[0])",
        "(own)",
        test_ruler.test_a_difference_is_paired_and_has_its_sign,
    ),
    "a difference as if the windows were other ones": (
        evaluate.add_differences,
        "of_windows(data.aligned)(own - nats[0]).se",
        "of_windows(data.aligned)(torch.cat([own, nats[0]])).se",
        test_ruler.test_a_difference_is_paired_and_has_its_sign,
    ),
    "a difference turned round": (
        evaluate.add_differences,
        'row["bits_per_character"]["mean"] - first["bits_per_character"]["mean"]',
        'first["bits_per_character"]["mean"] - row["bits_per_character"]["mean"]',
        test_ruler.test_a_difference_is_paired_and_has_its_sign,
    ),
    "an error in nats beside a difference in bits": (
        evaluate.add_differences,
        " / nats_per_bit(data)",
        "",
        test_ruler.test_a_difference_is_paired_and_has_its_sign,
    ),
    "a bound minus a bound called a bound": (
        evaluate.add_differences,
        'SIGNS[row["exact"], first["exact"]]',
        'SIGNS[row["exact"], True]',
        test_ruler.test_a_difference_is_paired_and_has_its_sign,
    ),
    "two blocks are enough": (
        Estimate.of_text.__func__,
        "blocks >= MIN_BLOCKS",
        "blocks >= 2",
        test_ruler.test_the_error_of_a_text_is_worked_by_hand,
    ),
    "a normal for a Student's t": (
        Estimate.of_text.__func__,
        " * student",
        "",
        test_ruler.test_the_error_of_a_text_is_worked_by_hand,
    ),
    "the smallest of the errors": (
        Estimate.of_text.__func__,
        "max(errors",
        "min(errors",
        test_ruler.test_the_error_of_a_text_is_worked_by_hand,
    ),
    "blocks of windows that are far apart": (
        Estimate.of_text.__func__,
        "values.tensor_split(blocks)",
        "[values[i::blocks] for i in range(blocks)]",
        test_ruler.test_the_error_of_a_text_is_worked_by_hand,
    ),
    "blocks of two and no longer": (
        Estimate.of_text.__func__,
        "len(values) // 2 ** len(errors)",
        "len(values) // 2 if len(errors) == 1 else 0",
        test_ruler.test_long_blocks_see_what_changes_slowly,
    ),
    "a truth of words asked of characters": (
        TokenizedCorpus.__init__,
        "corpus.truth if known else None",
        "corpus.truth",
        test_ruler.test_the_truth_is_known_in_its_own_words_alone,
    ),
    "texts of 32 words taken for texts of 32 characters": (
        TokenizedCorpus.__init__,
        "corpus.sequence_length is not None and in_words",
        "corpus.sequence_length is not None",
        test_ruler.test_the_truth_is_known_in_its_own_words_alone,
    ),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_every_mutant_dies(name, monkeypatch):
    dies(monkeypatch, MUTANTS[name])
