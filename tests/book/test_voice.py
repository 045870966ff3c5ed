"""The English of the book: what reads as translated is not in it."""

import re

import pytest
from helpers import ROOT

# The little words and the order of words that a reader took for a translation.
TRANSLATED = [
    r"in the mean",
    r"is (trained|built|called|made) so\b",
    r"asked is",
    r"what (it|that|one) has not",
    r"nobody can say",
    r"of which one can",
    r"the way back",
    r"the road back",
    r"shall (be|have|not)",
    r"neither makes a noise",
    r"nothing can be said",
    r"the chosen (\w+ )?serves",
]
FOUND = re.compile("|".join(rf"\b{words}\b" for words in TRANSLATED), re.IGNORECASE)
PAGES = sorted((ROOT / "book").glob("*.md"))


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_no_sentence_reads_as_translated(path):
    text = " ".join(path.read_text(encoding="utf-8").split())
    assert [match[0] for match in FOUND.finditer(text)] == []


def test_what_reads_as_translated_is_found():
    for words in "the surprise in the mean", "`diffusion` is trained so.", "asked is the bound":
        assert FOUND.search(words)
    assert not FOUND.search("the mean of the three is constrained so that it adds up")
