"""Views that a reader can change, in a notebook or on a page, with neither kernel nor network.

Such a view is a script of `playgrounds/`, put into the page beside its data: the body of a function
of `root`, the empty element it fills; `data`; and `kit`, the helpers of `playgrounds/kit.js`. Some
use `playgrounds/language.js` too.
"""

import json
from collections.abc import Mapping, Sequence
from hashlib import sha256
from html import escape
from importlib.resources import files
from typing import Any

import torch

from ..language import KINDS, Automaton
from ..language.grammar import DETERMINERS, compiled, features
from .figures import View

USES = {"denoise": ["language"], "hide": ["language"]}  # script -> others whose functions it calls
FRAME = """\
<figure role="group" aria-label="{title}" data-playground="{key}" style="margin:1em 0">
<figcaption style="color:inherit;font-weight:inherit">{title}</figcaption>
<div>This view needs JavaScript. In a notebook, run its cell.</div>
<script>
(function () {{
"use strict";
const data = {data};
{kit}
function fill(root) {{
{script}
}}
for (const figure of document.querySelectorAll('[data-playground="{key}"]:not([data-filled])')) {{
figure.dataset.filled = "";
const root = figure.querySelector("div");
root.textContent = "";
fill(root);
}}
}})();
</script>
</figure>"""


def playground(name: str, data: dict, title: str, says: str) -> View:
    """Return the View `playgrounds/NAME.js` of `data`, which must fit JSON.

    says: what it shows, for where there is no HTML. Raises FileNotFoundError for an unknown name,
    ValueError for data with nan or infinity.
    """
    kit = "\n".join(map(source, ["kit", *USES.get(name, [])]))
    given = json.dumps(data, separators=(",", ":"), allow_nan=False)
    given = given.replace("<", "\\u003c")  # neither </script> nor <!-- ends or bends the script
    key = sha256((name + given).encode()).hexdigest()[:12]
    html = FRAME.format(title=escape(title), key=key, data=given, kit=kit, script=source(name))
    return View(html, says)


def source(name: str) -> str:
    """Return the text of `playgrounds/NAME.js`."""
    return files(__package__).joinpath("playgrounds", f"{name}.js").read_text(encoding="utf-8")


def arrows(truth: Automaton) -> list[list[float]]:
    """Return every arrow of an automaton: its state, word, probability and next state.

    Probabilities are rounded to twelve digits, which are the same on every machine.
    """
    return [
        [s, v, round(truth.P[s, v].item(), 12), int(truth.successor[s, v])]
        for s, v in truth.P.nonzero().tolist()
    ]


def language_facts(slip: float = 1e-6) -> dict[str, Any]:
    """Return the language as `playgrounds/language.js` reads it.

    slip: the probability that a word is replaced by a random one.
    """
    truth, _, kinds = compiled()
    V, rows = truth.V, range(len(truth.P))
    marks = ["".join(kinds.get((s, v), " ")[0] for v in range(V)) for s in rows]
    reasons = sorted(set(marks))
    after: list[list[list[int]]] = [[] for _ in rows]
    for s, v in (truth.P == 0).nonzero().tolist():
        if truth.successor[s, v] != s:
            after[s].append([v, int(truth.successor[s, v])])
    letters = {"noun": "n", "verb": "v"} | {word: "d" for word in DETERMINERS.values()}
    return dict(
        words=truth.words,
        slip=slip,
        arrows=arrows(truth),
        after=after,
        wrong=[reasons.index(row) for row in marks],
        reasons=reasons,
        names={kind[0]: kind for kind in KINDS},
        classes="".join(letters.get(features(word)[0], ".") for word in truth.words),
    )


def guess_a_word(
    truth: Automaton,
    texts: Sequence[Sequence[int]],
    given: Sequence[int],
    rows: Sequence[str],
    lines: Mapping[str, float],
    title: str,
) -> View:
    """Return the View in which a reader guesses texts word by word, and pays in nats.

    It is `playgrounds/guess.js`. texts: lists of word ids; given: how many words of each are shown
    at first. rows: the words as they stand on the board, a string a row. lines: label -> nats a
    word, the marks of the scale.
    """
    games = []
    for text, shown in zip(texts, given, strict=True):
        ids = [int(word) for word in text]
        states = truth.walk(torch.tensor([ids]))[0, :-1]
        likely = [
            [[v, round(row[v].item(), 12)] for v in row.nonzero().flatten().tolist()]
            for row in truth.P[states]
        ]
        games.append(dict(words=ids, given=shown, likely=likely))
    data = dict(
        words=truth.words,
        groups=[[truth.words.index(word) for word in row.split()] for row in rows],
        texts=games,
        lines=[[label, round(nats, 6)] for label, nats in lines.items()],
        kept=0.05,  # the share of a guess that is spread over all words
    )
    marks = ", ".join(f"{label} {nats:.2f}" for label, nats in lines.items())
    return playground("guess", data, title, f"{title}: a game whose scale has the marks {marks}")


def hide_a_word(
    truth: Automaton,
    text: Sequence[int],
    hidden: Sequence[int],
    title: str,
    chosen: int | None = None,
    together: bool = False,
) -> View:
    """Return the View in which a reader hides words of a text and sees what may stand there.

    It is `playgrounds/hide.js`: forward-backward on the automaton, in the page. text: L word ids.
    hidden: the positions hidden at first; chosen: the one of them whose distribution is shown at
    first, by default the first. together: whether it also says what writing the hidden words
    independently of one another would cost, nats.
    """
    places = [int(i) for i in hidden]
    data: dict[str, Any] = dict(
        words=truth.words,
        start=0,
        arrows=arrows(truth),
        text=[int(word) for word in text],
        hidden=places,
        together=together,
    )
    first = chosen if chosen is not None else next(iter(places), None)
    if first is not None:
        data["chosen"] = first
    says = f"{title}: {' '.join(truth.words[word] for word in data['text'])}"
    return playground("hide", data, title, says)
