"""What an earlier version saved still loads, measures, writes and resumes, number by number.

`earlier/` holds two runs of four steps on `language` as commit ec52e67 wrote them, when a
checkpoint held no SHA-256, and what that version said of them: on two texts the logits of the last
two tokens and `nll_bound`, and the steps that come after the fourth. The run of masked diffusion
reads the texts with every second word masked. No change of the code may ask for other files: to
read these is the promise.
"""

import json
import shutil

import pytest
import torch
from helpers import ROOT, generator

from nanoparadigm import Settings, build, corpora, evaluate, load, train
from nanoparadigm.training.log import read_log

EARLIER = ROOT / "tests/training/earlier"
EXPECTED = json.loads((EARLIER / "expected.json").read_text("utf-8"))
X = torch.tensor(EXPECTED["tokens"])

runs = pytest.mark.parametrize("name", ["ar", "diffusion"])


def logits(model):
    if model.causal:
        return model.logits(X)
    z = X.clone()
    z[:, ::2] = model.mask_id
    level = torch.full((len(z),), 0.5, dtype=torch.float64)
    return model.net(z, level)[..., : model.vocab_size]


@runs
def test_it_is_loaded_though_it_vouches_for_nothing(name):
    saved = load(EARLIER / name)
    assert saved.config["step"] == 4 and saved.tokenizer.vocab_size == saved.model.vocab_size
    assert saved.config.keys().isdisjoint(("files", "checksum", "corpus_sha256"))


@runs
@torch.no_grad()
def test_its_numbers_are_what_they_were(name):
    model, expected = load(EARLIER / name).model.eval(), EXPECTED[name]
    torch.testing.assert_close(
        logits(model)[0, -2:], torch.tensor(expected["logits"]), rtol=0, atol=1e-6
    )
    nll = model.nll_bound(X, generator()).tolist()
    assert nll == pytest.approx(expected["nll_bound"], rel=1e-6)


@runs
def test_it_writes_and_is_measured(name):
    saved = load(EARLIER / name)
    written = saved.model.sample(2, 32, generator(), prompt=[1, 2], steps=4)
    assert written.shape == (2, 32) and written.max() < saved.model.vocab_size
    data = corpora.of_run(saved)
    row = evaluate.measure(saved.model, data, num_samples=2, max_windows=8, steps=4)
    assert 2 < row["nats_per_token"]["mean"] < 4 and row["exact"] == saved.model.exact


@runs
def test_its_training_goes_on_as_it_would_have(name, tmp_path):
    run = shutil.copytree(EARLIER / name, tmp_path / name)
    saved = load(run, "last")
    model = build(**saved.config["recipe"])
    settings = Settings(**saved.config["settings"])
    records = list(train(model, corpora.of_run(saved), settings, run, resume=True))
    for record, expected in zip(records, EXPECTED[name]["records"], strict=True):
        assert {key: record[key] for key in expected} == pytest.approx(expected, rel=1e-5)
    assert [record["step"] for record in read_log(run)] == [*range(1, 9)]
    # saved by the version of today, it vouches for its files
    assert load(run, "last").config.keys() >= {"files", "checksum", "corpus_sha256"}
