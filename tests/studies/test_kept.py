"""Results that the book shows: they are there, and whoever has no book gets them, or a sentence."""

import pytest

from nanoparadigm import InputError
from nanoparadigm.studies import kept, passes


@pytest.mark.parametrize("name", kept.KEPT)
def test_what_the_book_shows_is_kept_with_the_machine(name):
    assert "machine" in kept.kept(name)


def test_without_the_book_they_are_downloaded(tmp_path, monkeypatch):
    (tmp_path / "cache.json").write_text("{}", encoding="utf-8")
    asked = []
    monkeypatch.setattr(kept, "BOOK", tmp_path)
    monkeypatch.setattr(
        kept, "download", lambda *given: asked.append(given) or tmp_path / "cache.json"
    )
    assert kept.kept("real") == {}
    [(what, [file], url, _, _, instead)] = asked
    assert what == "the study real" and file == "real.json" and url.endswith("/studies/real.json")
    assert instead == "run benchmarks/real_text.py"


def test_another_name_is_refused():
    with pytest.raises(InputError, match="unknown stored study 'riel': did you mean 'real'"):
        kept.kept("riel")


def test_the_study_of_passes_is_kept_whole():
    facts, plan = kept.kept("passes"), passes.load("passes")
    done = [
        (row["variant"], row["passes"], row["seed"])
        for row in facts["rows"]
        if not row["variant"].endswith(passes.LEFT)
    ]
    assert done == [(t.variant, t.passes, t.seed) for t in plan.trials]
    assert facts["study"]["tokens"] == plan.tokens and len(passes.verdicts(facts["rows"])) == 16


def test_the_models_of_chapter_14_are_of_one_size_and_measured_in_one_unit():
    facts = kept.kept("real")
    rows = [row for row in facts["trained"] if row["tokenizer"] == "char"]
    sizes = [row["parameters"] for row in rows]
    assert max(sizes) <= 1.05 * min(sizes)
    symbols = {row["tokenizer"]: row["characters_per_token"] for row in facts["counted"]}
    for row in facts["trained"]:
        bits = row["nats"]["mean"] / symbols[row["tokenizer"]] / 0.6931471805599453
        assert row["bits"]["mean"] == pytest.approx(bits, rel=1e-3)
    assert {len(row[what]) for row in facts["judged"] for what in ("words", "copies")} == {40}
