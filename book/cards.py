"""The pictures on the cards of the front page: a drawing of each chapter, made anew in every build.

Sphinx loads this file as an extension. As every drawing they become part of the page (see
inline_svg.py) and follow its theme.
"""

from pathlib import Path

from nanoparadigm.show.schematics import bound, masking, model, next_word, training, truth

CARDS = Path(__file__).parent / "_fresh/cards"
PICTURES = {
    "00-language": truth.automaton,
    "01-next-word": next_word.one_pass,
    "02-training": training.steepest,
    "03-masking": masking.crossing,
    "04-bound": bound.terms,
    "05-model": model.two_readers,
}


def draw(app, config):
    CARDS.mkdir(parents=True, exist_ok=True)
    for name, picture in PICTURES.items():
        picture().savefig(CARDS / f"{name}.svg")


def setup(app):
    app.connect("config-inited", draw)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
