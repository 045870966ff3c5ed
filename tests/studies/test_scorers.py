"""What a study says of a model does not depend on how much of it fits into memory, and what it
says of texts is said with a judge's name."""

import json
import math
import sys
import types
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import generator, random_model

from nanoparadigm import InputError, evaluate, tokenizers
from nanoparadigm.commands import main as cli
from nanoparadigm.data.corpus import Corpus, TokenizedCorpus
from nanoparadigm.data.tokenizers import CharTokenizer
from nanoparadigm.evaluate import likelihood
from nanoparadigm.studies.schedules import scorers, study

TEXT = "".join("abcdefg"[i] for i in torch.randint(7, (600,), generator=generator()))


@pytest.fixture
def data():
    return letters()


def letters():
    return TokenizedCorpus(Corpus("letters", TEXT, TEXT[:120]), CharTokenizer("abcdefg"), 12)


def asked(model, monkeypatch):
    """The logits of every call of the model's network from now on, as a list that grows."""
    found, forward = [], type(model.net).forward

    def counted(net, z, t=None):
        logits = forward(net, z, t)
        found.append(logits.numel() // logits.shape[-1] * model.vocab_size)
        return logits

    monkeypatch.setattr(type(model.net), "forward", counted)
    return found


def test_a_network_is_never_asked_for_more_than_it_may_be_at_once(data, monkeypatch):
    monkeypatch.setattr(likelihood, "MAX_LOGITS", 2 * 12 * 7 + 1)
    model = random_model("diffusion", vocab_size=7, network="transformer", block_size=12)
    found = asked(model, monkeypatch)
    evaluate.window_nats(model, data, generator(), num_samples=1)
    study.in_schedule_cross_entropy(model, data.validation[0], 1)
    study.gradient_snr(model, data, batch_size=5, draws=2)
    study.sample(model, 5, 12, steps=3)
    evaluate.accuracy(model, data, 0, generator())
    judge = scorers.AutoregressiveScorer(random_model("ar", vocab_size=7, block_size=12), "a judge")
    ours = len(found)
    scorers.score(judge, data.validation[0])
    assert ours > 20 and max(found) == 2 * 12 * 7


def test_the_noise_of_the_gradient_is_that_of_whole_batches(data, monkeypatch):
    model = random_model("diffusion", vocab_size=7, network="transformer", block_size=12)
    whole = study.gradient_snr(model, data, batch_size=5, draws=6)
    monkeypatch.setattr(likelihood, "MAX_LOGITS", 2 * 12 * 7)
    assert study.gradient_snr(model, data, batch_size=5, draws=6) == pytest.approx(whole, 1e-4)
    batches = study.corpora.WindowBatches(data.train, 5, 12, generator(0))
    noise, gradients = generator(1), []
    for _ in range(6):
        loss = model.loss(next(batches), noise)
        found = torch.autograd.grad(loss, list(model.parameters()))
        gradients.append(torch.cat([g.flatten() for g in found]).double())
    gradients = torch.stack(gradients)
    spread = gradients.var(0).sum()
    signal = gradients.mean(0).square().sum() - spread / 6
    assert whole == pytest.approx((signal / spread).item(), 1e-4)


def test_a_judge_reads_texts_in_parts_as_it_reads_them_at_once(data, monkeypatch):
    model, texts = random_model("ar", vocab_size=7, block_size=12), data.validation[0]
    judge = scorers.AutoregressiveScorer(model, "a judge")
    nats, endings = scorers.score(judge, texts)
    assert torch.allclose(nats, model.nll_bound(texts) / 12, atol=1e-5)
    monkeypatch.setattr(likelihood, "MAX_LOGITS", 3 * 12 * 7)
    for whole, parts in zip((nats, endings), scorers.score(judge, texts), strict=True):
        assert torch.allclose(whole, parts, atol=1e-5)


def test_an_ending_is_what_the_last_prediction_is_read_from(data):
    model, texts = random_model("ar", vocab_size=7, block_size=12), data.validation[0]
    _, endings = scorers.score(scorers.AutoregressiveScorer(model, "a judge"), texts)
    assert torch.allclose(model.net.read(endings)[:, :7], model.logits(texts)[:, -1], atol=1e-5)


def test_token_variety_is_the_entropy_of_what_a_text_holds():
    texts = torch.tensor([[0, 0, 0, 0], [0, 1, 2, 50_000], [3, 3, 9, 9]])
    assert scorers.token_variety(texts).tolist() == pytest.approx([0, math.log(4), math.log(2)])
    assert scorers.distinct(texts, 1) == 6 / 12 and scorers.distinct(texts, 2) == 7 / 9


def test_mauve_tells_texts_from_others_and_says_of_what_it_is():
    pytest.importorskip("mauve")
    judge = scorers.AutoregressiveScorer(random_model("ar", vocab_size=7), "somebody")
    human, same = torch.randn(2, 200, 8, generator=generator())
    near = scorers.mauve(human, same, judge, 32)
    far = scorers.mauve(human, same + 2, judge, 32)
    assert near == scorers.mauve(human, same, judge, 32)  # whatever was drawn before
    assert near["mean"] > 0.9 and far["mean"] < 0.1
    assert near | {"mean": 0} == dict(
        mean=0, n=200, length=32, embedder="the last hidden state of somebody"
    )


def test_texts_and_their_ceiling_are_measured_against_the_same_others(data, monkeypatch):
    seen = []
    monkeypatch.setattr(
        scorers, "mauve", lambda human, texts, judge, length: seen.append((human, texts, length))
    )
    judge = scorers.AutoregressiveScorer(random_model("ar", vocab_size=7, block_size=12), "a judge")
    samples = data.train[: 9 * 12].view(9, 12)
    study.score_samples(samples, data, judge)
    (human, texts, length), (same, real, _) = seen
    assert torch.equal(human, same) and length == 12
    assert len(human) == len(texts) == len(real) == 5  # of the ten there are
    endings = scorers.score(judge, data.validation[0])[1]
    both = torch.cat([human, real])
    places = (both[:, None] - endings).abs().sum(-1).argmin(-1)
    assert sorted(places.tolist()) == list(range(10))  # no text is in both


def test_without_mauve_nothing_is_said(monkeypatch):
    monkeypatch.setitem(sys.modules, "mauve", None)
    assert scorers.mauve(torch.zeros(3, 2), torch.zeros(3, 2), None, 5) is None


def test_mauve_is_asked_of_what_is_written_against_what_is_human(monkeypatch):
    """p are the human ones, and of the answer the number called mauve is told."""
    asked = []

    def compute_mauve(p_features, q_features):
        asked.extend([p_features, q_features])
        return types.SimpleNamespace(mauve=0.25, frontier_integral=0.75, num_buckets=5)

    module = types.SimpleNamespace(compute_mauve=compute_mauve)
    monkeypatch.setitem(sys.modules, "mauve", module)
    human, written = torch.zeros(3, 2, dtype=torch.bfloat16), torch.ones(3, 2)
    found = scorers.mauve(human, written, types.SimpleNamespace(name="somebody"), 5)
    assert found == dict(mean=0.25, n=3, length=5, embedder="the last hidden state of somebody")
    assert asked[0].max() == 0 and asked[1].min() == 1


def test_an_opinion_is_what_its_parts_are_worked_to_be():
    """Shares of different tokens, pairs and triples among all of them, by sets; entropies by
    counting; means and standard errors by hand."""
    texts = torch.tensor([[1, 1, 2, 3], [1, 2, 3, 3], [5, 5, 5, 5]])
    found = scorers.sample_metrics(texts, torch.tensor([1.0, 2.0, 6.0]))
    assert found["judged"] == dict(mean=3, se=pytest.approx(math.sqrt(7 / 3)))
    h = [1.5 * math.log(2), 1.5 * math.log(2), 0.0]
    mean = sum(h) / 3
    se = math.sqrt(sum((v - mean) ** 2 for v in h) / 2 / 3)
    assert found["tokens"] == dict(mean=pytest.approx(mean), se=pytest.approx(se))
    assert found["distinct"] == {1: 4 / 12, 2: 5 / 9, 3: 4 / 6}


class Prices:
    """A judge with a price list for every place; an ending is the text itself."""

    name, device, vocab_size = "prices", "cpu", 7

    def __init__(self, length):
        self.log_p = torch.randn(length, 7, generator=generator(3)).log_softmax(-1)

    def logits(self, x):
        return self.log_p.expand(len(x), -1, -1)

    def endings(self, x):
        return x.float()

    def price(self, text):
        return -sum(self.log_p[i, int(v)].item() for i, v in enumerate(text)) / len(text)


def test_a_judge_pays_every_place_of_a_text():
    judge, texts = Prices(12), torch.randint(7, (5, 12), generator=generator())
    nats, endings = scorers.score(judge, texts)
    assert nats.tolist() == pytest.approx([judge.price(text) for text in texts], rel=1e-5)
    assert endings.shape == (5, 12)


def test_texts_and_real_ones_are_each_judged_by_their_own_nats(data, monkeypatch):
    """What is written is judged as what is written, real texts as what is real, and MAUVE has
    their endings against the other half of the real ones."""
    monkeypatch.setattr(scorers, "mauve", lambda human, texts, judge, length: (human, texts))
    samples, judge = data.train[: 4 * 12].view(4, 12), Prices(12)
    found = study.score_samples(samples, data, judge)
    (human, written), (same, real) = found["written"]["mauve"], found["real"]["mauve"]
    assert torch.equal(written, samples.float()) and torch.equal(human, same)

    def judged(texts):
        return sum(map(judge.price, texts)) / len(texts)

    assert found["written"]["judged"]["mean"] == pytest.approx(judged(written))
    assert found["real"]["judged"]["mean"] == pytest.approx(judged(real))
    assert found["real"]["distinct"][1] == len(real.unique()) / real.numel()
    split = {tuple(text) for text in data.validation[0].tolist()}
    both = [tuple(text) for text in torch.cat([human, real]).long().tolist()]
    assert len({*both}) == 8 and {*both} <= split
    assert {*both} != {*map(tuple, data.validation[0][:8].tolist())}  # not just the first ones


# ----------------------------------------------------------------------------------- GPT-2 judges


@pytest.fixture(scope="module")
def gpt2(tmp_path_factory):
    """A folder with a GPT-2 of the real vocabulary, small and untrained, and a text."""
    transformers = pytest.importorskip("transformers")
    try:
        tokenizers.gpt2()
    except InputError as error:
        pytest.skip(str(error))
    home = tmp_path_factory.mktemp("gpt2")
    sizes = dict(n_embd=8, n_layer=1, n_head=1, n_positions=16)
    net = transformers.GPT2LMHeadModel(transformers.GPT2Config(vocab_size=50_257, **sizes))
    net.save_pretrained(home / "judge")
    (home / "text.txt").write_text("To be, or not to be, that is the question. " * 60)
    return home


STUDY = """
dataset = "text.txt"
tokenizer = "{tokenizer}"
windows = 2
draws = 1
samples = 2
sampling_steps = 2

[sizes]
n_layer = 1
n_head = 1
n_embd = 8
block_size = {length}

[settings]
max_steps = 2
batch_size = 2
eval_interval = 2
eval_windows = 2

[judge]
model = "{judge}"
"""


def plan(home, monkeypatch, tokenizer="gpt2", length=16, judge="judge"):
    monkeypatch.chdir(home)
    text = STUDY.format(tokenizer=tokenizer, length=length, judge=judge)
    Path("mine.toml").write_text(text)
    return "study --preset mine.toml --trial linear-entropy-0 --out"


def test_a_gpt2_in_a_folder_judges_a_study(gpt2, monkeypatch):
    assert cli.main([*plan(gpt2, monkeypatch).split(), "mine"]) == 0
    measures = json.loads(Path("mine/runs/linear-entropy-0/measures.json").read_text())
    assert 10.7 < measures["written"]["judged"]["mean"] < 11  # log 50257 = 10.82: untrained
    assert np.load("mine/entropy.npy").shape == (50_257,)


def test_an_ending_of_gpt2_is_what_its_last_prediction_is_read_from(gpt2):
    judge = scorers.GPT2(source=str(gpt2 / "judge"))
    x = torch.randint(50_257, (3, 16), generator=generator())
    nats, endings = scorers.score(judge, x)
    with torch.no_grad():
        assert torch.allclose(judge.net.lm_head(endings), judge.logits(x)[:, -1], atol=1e-5)
        start = torch.cat([torch.full((3, 1), judge.net.config.bos_token_id), x], dim=1)[:, :-1]
        theirs = judge.net(start).logits.log_softmax(-1).gather(-1, x[..., None])
    assert torch.allclose(nats, -theirs.squeeze(-1).mean(1), atol=1e-4)


def test_gpt2_in_a_folder_says_how_hard_tokens_are(gpt2, monkeypatch):
    monkeypatch.chdir(gpt2)
    command = "prepare entropy --checkpoint judge --dataset text.txt --tokens 100 --out h.npy"
    assert cli.main(command.split()) == 0
    assert 10.7 < np.load("h.npy").mean() < 10.83


@pytest.mark.parametrize(
    "options, said",
    [
        (dict(tokenizer="char"), "the judge judge reads tokens of GPT-2, and this study writes"),
        (dict(length=32), "reads 16 tokens of 50,257 kinds, and this study writes 32"),
        (dict(judge="folder"), "unknown judge 'folder'"),
    ],
)
def test_a_judge_that_cannot_read_a_study_ends_it_before_it_begins(
    gpt2, monkeypatch, capsys, options, said
):
    assert cli.main([*plan(gpt2, monkeypatch, **options).split(), "refused"]) == 2
    assert said in capsys.readouterr().err
    assert not Path("refused").exists()


def test_the_published_judge_wants_its_own_tokens(tmp_path, monkeypatch, capsys):
    """Said without the package transformers, too."""
    (tmp_path / "text.txt").write_text(TEXT)
    command = plan(tmp_path, monkeypatch, tokenizer="char", judge="gpt2")
    assert cli.main([*command.split(), "refused"]) == 2
    assert "reads tokens of GPT-2, and this study writes those of a char" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["", "[]", "{", "\xff", "[" * 10**5])
def test_a_damaged_configuration_of_a_judge_is_named(text, tmp_path):
    (tmp_path / "config.json").write_text(text, encoding="latin-1")
    with pytest.raises(InputError, match="config.json"):
        study.Study("language", judge=study.Judge(str(tmp_path)))


@pytest.mark.parametrize("text", ["{}", '{"model_type": ["gpt2"]}', '{"model_type": "gpt3"}'])
def test_another_model_in_a_folder_is_no_gpt2(text, tmp_path):
    (tmp_path / "config.json").write_text(text)
    assert not scorers.is_gpt2(str(tmp_path)) and not scorers.is_gpt2("a\0b")
