"""The cards of the front page, made in every build: a picture, a title and a question a chapter.

Sphinx loads this file as an extension. Titles and questions are those of the table in using.md. As
every drawing the pictures become part of the page (see inline_svg.py) and follow its theme.
"""

import re
from pathlib import Path

from nanoparadigm.show.schematics import (
    below,
    blocks,
    bound,
    flow,
    mamba,
    masking,
    model,
    next_word,
    rates,
    real,
    ruler,
    scan,
    schedules,
    spaces,
    steps,
    training,
    truth,
)

BOOK = Path(__file__).parent
FRESH = BOOK / "_fresh"
PICTURES = {
    "00-language": truth.automaton,
    "01-next-word": next_word.one_pass,
    "02-training": training.steepest,
    "03-masking": masking.crossing,
    "04-bound": bound.terms,
    "05-model": model.two_readers,
    "06-steps": steps.two_words,
    "06b-schedules": schedules.speeds,
    "07-rates": rates.graph_and_path,
    "08-flow": flow.path,
    "09-spaces": spaces.counting,
    "10-scan": scan.rounds,
    "11-mamba": mamba.block,
    "12-ruler": ruler.line,
    "13-blocks": blocks.orders,
    "14-real": real.units,
    "15-below": below.budget,
}
ROW = re.compile(r"^\| \[(.+?)\]\(([\w-]+)\.md\) \| (.+?) \|", flags=re.M)
CARD = """\
:::{{grid-item-card}} {title}
:link: {name}
:link-type: doc
{picture}{question}
:::
"""


def chapters():
    """(title, name, question) of every chapter, in the order of the book."""
    return ROW.findall((BOOK / "using.md").read_text(encoding="utf-8"))


def cards():
    """The cards in Markdown, as a grid."""
    yield "::::{grid} 1 2 3 3\n:gutter: 2\n"
    for title, name, question in chapters():
        picture = f":img-top: _fresh/cards/{name}.svg\n" if name in PICTURES else ""
        yield CARD.format(title=title, name=name, picture=picture, question=question)
    yield "::::\n"


def draw(app, config):
    folder = FRESH / "cards"
    folder.mkdir(parents=True, exist_ok=True)
    for name, picture in PICTURES.items():
        picture().savefig(folder / f"{name}.svg")
    (FRESH / "cards.md").write_text("\n".join(cards()), encoding="utf-8")


def setup(app):
    app.connect("config-inited", draw)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
