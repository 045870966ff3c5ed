"""The race of the front page as a picture: every word of every text, and its mistakes marked."""

import re

import front
import pytest
from helpers import generator, random_model

from nanoparadigm.data.tokenizers import WordTokenizer
from nanoparadigm.language import language
from nanoparadigm.show import animation


@pytest.fixture(scope="module")
def runs():
    words = WordTokenizer(language().words)
    return [
        animation.record(name, random_model(name, 32), words, [32] * 12, generator(), **options)
        for name, options in zip(front.HOW, ({}, {}, {}, {"steps": 5}), strict=True)
    ]


def test_the_picture_ends_on_the_texts_and_marks_exactly_their_mistakes(runs):
    picture = front.svg(runs)
    stays = re.findall(r'<g class="k\d+">(.*?)</g>', picture, flags=re.S)
    words = [re.search(r"<text[^>]*>(.*)</text>", word)[1] for word in stays]
    assert " ".join(words) == " ".join(run.text for run in runs)
    wrong = [i in run.reasons for run in runs for i in range(12)]
    assert ["wrong" in word for word in stays] == wrong and any(wrong)
    for run in runs:
        assert f": {run.frames[-1].calls} calls, {len(run.mistakes)} mistake" in picture


def test_a_word_stands_from_the_call_that_wrote_it_to_the_next(runs):
    for run in runs:
        for place in range(12):
            for calls, symbol, sure in front.states(run, place):
                tokens = [frame.tokens[place] for frame in run.frames if frame.calls == calls]
                assert (symbol, sure) in [(token.symbol, token.sure) for token in tokens]
            assert symbol == run.frames[-1].tokens[place].symbol


def test_the_card_of_a_page_is_the_card_of_its_runs(runs):
    page = animation.page(runs)
    for run, read in zip(runs, front.reread(page), strict=True):
        assert (read.name, len(read.given)) == (run.name, len(run.given))
        for place in range(12):
            pairs = zip(front.states(run, place), front.states(read, place), strict=True)
            for (calls, symbol, sure), found in pairs:
                assert found == (calls, symbol, sure and round(sure, 4))


def test_the_card_is_of_the_size_that_link_previews_want(runs):
    figure = front.card(runs)
    assert tuple(figure.get_size_inches() * figure.dpi) == (1200, 630)
