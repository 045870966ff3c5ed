"""The command `visualize`: what it leaves can be shared, and its ground is dark or light."""

import pytest
import torch
from helpers import random_model
from test_flags import Notes, loads, run, saved

from nanoparadigm.commands import main as cli
from nanoparadigm.data.tokenizers import WordTokenizer
from nanoparadigm.language import grammatical, language
from nanoparadigm.show import animation

WORDS = WordTokenizer(language().words)


@pytest.mark.parametrize("flag, theme", [("", animation.DARK), ("--light", animation.LIGHT)])
def test_the_picture_is_dark_unless_light_is_asked_for(flag, theme, tmp_path):
    with pytest.MonkeyPatch.context() as patch:
        notes = Notes(patch)
        loads(patch, saved("ar"))
        notes.of(animation, "gif", None)
        run(f"visualize --checkpoint it --length 3 --gif {tmp_path}/a.gif {flag}")
    assert [asked["theme"] for asked in notes] == [theme]


def test_light_without_a_picture_is_refused(capsys):
    assert cli.main("visualize --checkpoint it --light".split()) == 2
    assert "--light works only with --gif" in capsys.readouterr().err


def test_the_page_leads_back_and_the_stills_count_the_mistakes(tmp_path, capsys, monkeypatch):
    one = saved("flow", WORDS)
    one.model = random_model("flow", WORDS.vocab_size)
    loads(monkeypatch, one)
    run(f"visualize --checkpoint it --length 9 --html {tmp_path}/a.html --sampling_steps 4")
    assert f'<a href="{animation.HOME}" target="_top">' in (tmp_path / "a.html").read_text()
    text = capsys.readouterr().out.split(" mistakes: ")[1].split("\n")[1].strip()
    (found,) = grammatical(torch.tensor([WORDS.encode(text)]))
    assert f'"{found[0].position}": "{found[0].kind}' in (tmp_path / "a.html").read_text()
