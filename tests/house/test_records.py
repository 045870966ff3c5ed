"""The leaderboard keeps its own rules, and says which of them an entry breaks."""

import json
import math
import sys

import pytest
import torch
from helpers import ROOT

sys.path.insert(0, str(ROOT / "benchmarks"))

import records  # noqa: E402
import report  # noqa: E402

from nanoparadigm import corpora  # noqa: E402

ENTRIES = sorted(records.RECORDS.glob("*.json"))


@pytest.mark.parametrize("path", ENTRIES, ids=lambda path: path.stem)
def test_every_record_keeps_the_rules(path):
    assert not records.faults(json.loads(path.read_text(encoding="utf-8")))


def test_the_page_is_made_from_the_records():
    page = (ROOT / "book" / "records.md").read_text(encoding="utf-8")
    assert report.records_page() == page, "run: python benchmarks/report.py"


@pytest.mark.parametrize(
    "nats, line, p",
    [  # Student's t distribution, from tables
        ([1.0, 2.0, 3.0], 2 + 2.920 / math.sqrt(3), 0.05),
        ([1.0, 2.0, 3.0], 2 + 6.965 / math.sqrt(3), 0.01),
        ([0.0, 1.0, 2.0, 3.0, 4.0], 2 + 3.747 * math.sqrt(2.5 / 5), 0.01),
        ([1.0, 2.0, 3.0], 2.0, 0.5),
        ([1.0, 2.0, 3.0], 2 - 2.920 / math.sqrt(3), 0.95),
    ],
)
def test_the_test_is_students(nats, line, p):
    assert records.p_value(nats, line) == pytest.approx(p, rel=2e-3)


@pytest.fixture
def good():
    runs = [dict(seed=i, seconds=10.0, nats=1.80 + 0.001 * i) for i in range(3)]
    asked = dict(line="1.88", model="ar", what="a test", by="us", date="2026-01-01")
    asked |= dict(options={}, settings=dict(max_steps=3), seeds=[0, 1, 2])
    return asked | dict(runs=runs, parameters=800_000, classic_seconds=70.0, machine={})


@pytest.mark.parametrize(
    "change, sentence",
    [
        (dict(model="gpt"), "model gpt is not one of classic, ar, "),
        (dict(line="1.60"), "line 1.60 is not one of 1.88, 5-gram, 1.50"),
        (dict(line="5-gram", model="flow"), "line 5-gram is not one of 1.88, 1.75"),
        (dict(parameters=900_000), "it has 900,000 parameters, above 850,000"),
        (dict(seeds=[0, 1]), "it has 2 seeds: give 3 or more"),
        (dict(seeds=[0, 1, 2, 3]), "not all of its seeds were run"),
        (dict(seeds=[0, 1, 5]), "not all of its seeds were run"),
        (dict(line="5-gram"), "is not surely below the line"),
    ],
)
def test_what_breaks_a_rule_is_named(good, change, sentence):
    assert not records.faults(good)
    assert sentence in "; ".join(records.faults(good | change))
    assert records.faults({k: v for k, v in good.items() if k != "runs"}) == ["runs is missing"]


def test_an_entry_is_run_and_goes_on(tmp_path, monkeypatch, good):
    corpus = corpora.load("pydocs")
    short = corpora.Corpus("short", corpus.train[:20_000], corpus.validation[:3_000])
    monkeypatch.setattr(records.corpora, "load", lambda name: short)
    monkeypatch.setattr(records, "TIMED", 3)
    monkeypatch.setattr(records.speedrun, "make", lambda *a, **o: small())
    monkeypatch.setitem(records.EXACT, "1.88", 10.0)
    path = tmp_path / "entry.json"
    asked = {key: good[key] for key in records.ASKED}
    path.write_text(json.dumps(asked))
    assert records.run(path)
    record = json.loads(path.read_text())
    assert [run["seed"] for run in record["runs"]] == [0, 1, 2] and record["classic_seconds"] > 0
    first = record["runs"][0]
    assert first["steps"] == 3 and len(first["log"]) == 3 and 0 < first["nats"] < 10
    path.write_text(json.dumps(record | dict(runs=record["runs"][:2])))
    assert records.run(path)
    assert json.loads(path.read_text())["runs"][1] == record["runs"][1]
    assert len(json.loads(path.read_text())["runs"]) == 3


def small():
    from nanoparadigm import build

    torch.manual_seed(0)
    return build("ar", 100, n_layer=1, n_embd=16, n_head=2, block_size=128)
