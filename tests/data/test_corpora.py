"""Corpora are found, split and refused as documented; batches and windows obey their laws."""

import io
import logging
import zipfile
from dataclasses import replace
from pathlib import Path

import pooch
import pytest
import torch
from helpers import published_here, refusal
from hypothesis import given, settings
from hypothesis import strategies as st

from nanoparadigm.data import corpora
from nanoparadigm.data.corpora import load, validation_only
from nanoparadigm.data.corpus import Corpus, TokenizedCorpus, WindowBatches, windows
from nanoparadigm.data.tokenizers import WordTokenizer

SPLITS = {"train": "a train text", "valid": "a validation text", "test": "a test text"}


@pytest.fixture(scope="module")
def shakespeare():
    return published_here(load, "shakespeare")


@pytest.fixture
def data(tmp_path, monkeypatch):
    """An empty folder named by NANOPARADIGM_DATA, beside an empty cache, without a network."""

    def refuse(url, path, pooch):
        raise ConnectionError("the network is down")

    monkeypatch.setenv("NANOPARADIGM_DATA", str(tmp_path / "data"))
    monkeypatch.setattr(pooch, "os_cache", lambda project: tmp_path / "cache" / project)
    offer(monkeypatch, refuse)
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


@pytest.fixture
def cache(data):
    return pooch.os_cache("nanoparadigm")


def offer(monkeypatch, downloader):
    """Let pooch fetch with downloader(url, path, pooch) in the place of the network."""
    monkeypatch.setattr(pooch.core, "choose_downloader", lambda url, progressbar: downloader)


def write(folder, splits):
    (folder / "wikitext2").mkdir(parents=True)
    for split, text in splits.items():
        (folder / f"wikitext2/wiki.{split}.tokens").write_text(text)


def test_tiny_shakespeare_is_the_published_one(shakespeare):
    text = shakespeare.train + shakespeare.validation
    assert len(text) == 1_115_394
    assert len(set(text)) == 65
    assert len(shakespeare.train) == 1_003_854
    assert (shakespeare.test, shakespeare.sequence_length) == ("", None)


def test_tiny_shakespeare_is_found_in_the_cache(shakespeare, cache, monkeypatch):
    text = shakespeare.train + shakespeare.validation
    cache.mkdir(parents=True)
    (cache / "tinyshakespeare.txt").write_text(text, newline="")
    assert load("shakespeare") == shakespeare
    monkeypatch.delenv("NANOPARADIGM_DATA")
    assert load("shakespeare") == shakespeare


def test_tiny_shakespeare_is_downloaded_once_and_in_silence(shakespeare, data, monkeypatch):
    asked = []

    def fetch(url, path, pooch):
        asked.append(url)
        text = shakespeare.train + shakespeare.validation
        Path(path).write_text(text, newline="")

    offer(monkeypatch, fetch)
    heard = io.StringIO()
    monkeypatch.setattr(pooch.get_logger(), "level", logging.NOTSET)
    monkeypatch.setattr(pooch.get_logger().handlers[0], "stream", heard)
    assert load("shakespeare") == load("shakespeare") == shakespeare
    assert len(asked) == 1
    assert heard.getvalue() == ""


def test_a_damaged_tiny_shakespeare_is_refused(data):
    (data / "tinyshakespeare.txt").write_text("First Citizen:\r\nBefore we proceed")
    said = refusal(load, "shakespeare")
    assert "is not Tiny Shakespeare (its SHA-256 differs): delete or replace the file" in said


def test_a_download_of_something_else_is_refused(cache, monkeypatch):
    offer(monkeypatch, lambda url, path, pooch: Path(path).write_text("404 not found"))
    assert "its download failed (ValueError)" in refusal(load, "shakespeare")
    assert not list(cache.iterdir())


@pytest.mark.parametrize(
    "name, files",
    [("shakespeare", ["tinyshakespeare.txt"])]
    + [("wikitext2", [f"wikitext2/wiki.{split}.tokens" for split in SPLITS])],
)
def test_without_a_network_the_ways_out_are_named(name, files, data):
    said = refusal(load, name)
    assert f"{name} is not on this machine and its download failed (ConnectionError)" in said
    assert f"set NANOPARADIGM_DATA to a folder that holds {' and '.join(files)}, or" in said
    assert "connect and try again" in said
    assert "use a dataset that needs no download, language or pydocs" in said


@pytest.mark.parametrize("name", ["wikitext2", "wikitext"])
def test_wikitext2_is_found_in_the_data_folder_before_the_cache(name, data, cache):
    write(cache, dict.fromkeys(SPLITS, "from the cache"))
    write(data, SPLITS)
    assert load(name) == Corpus("wikitext2", *SPLITS.values())


def test_wikitext2_in_part_is_passed_over_for_the_cache(data, cache):
    write(data, {"valid": "v", "test": "t"})
    write(cache, SPLITS)
    assert load("wikitext2") == Corpus("wikitext2", *SPLITS.values())


def test_wikitext2_in_part_is_passed_over_for_the_archive(data, cache, monkeypatch):
    def retrieve(url, known_hash, fname, path):
        assert url == "https://wikitext.smerity.com/wikitext-2-v1.zip"
        assert (len(known_hash), path) == (64, cache)
        cache.mkdir(parents=True)
        with zipfile.ZipFile(cache / fname, "w") as archive:
            for split, text in SPLITS.items():
                archive.writestr(f"wikitext-2/wiki.{split}.tokens", text)
        return str(cache / fname)

    write(data, {"valid": "v", "test": "t"})
    monkeypatch.setattr(pooch, "retrieve", retrieve)
    assert load("wikitext2") == Corpus("wikitext2", *SPLITS.values())


def test_what_is_held_out_is_the_validation_split_and_needs_no_other(data, tmp_path):
    write(data, {"valid": "v"})
    assert validation_only("wikitext2") == Corpus("wikitext2", "v", "v")
    path = tmp_path / "mine.txt"
    path.write_text("abcdefghijklmnopqrst")
    assert validation_only(str(path)) == Corpus(str(path), "st", "st")
    language = load("language")
    assert validation_only("language") == replace(language, train=language.validation)


def test_pydocs_is_the_language_reference():
    corpus = load("pydocs")
    text = corpus.train + corpus.validation
    assert 'The "assert" statement' in text and 'The "while" statement' in text
    assert len(text) > 300_000
    assert len(corpus.train) == len(text) * 9 // 10


def test_language_comes_from_its_own_module(monkeypatch):
    expected = Corpus("language", "a b", "c d", sequence_length=2)
    monkeypatch.setattr(corpora, "language_corpus", lambda: expected)
    assert load("language") is expected


def test_a_file_is_split_by_characters_and_keeps_its_newlines(tmp_path):
    path = tmp_path / "poem.en.txt"
    path.write_bytes("\ufeffé\r\n345\r7\n9".encode())
    assert load(str(path)) == Corpus(str(path), "é\r\n345\r7\n", "9")


def test_an_unknown_name_is_answered_with_the_nearest(tmp_path):
    said = refusal(load, "shakespear")
    assert said == (
        "unknown dataset or file 'shakespear': did you mean 'shakespeare'? "
        "(choose from language, language_flat, pydocs, shakespeare, wikitext2, wikitext)"
    )
    assert "unknown dataset or file ''" in refusal(load, "")
    assert "unknown dataset or file" in refusal(load, str(tmp_path / "missing.txt"))


def test_a_file_that_is_no_text_is_refused(tmp_path):
    assert refusal(load, str(tmp_path)) == (
        f"{tmp_path} is a directory: give the path of one text file"
    )
    path = tmp_path / "file"
    for empty in (b"", b"\xef\xbb\xbf"):
        path.write_bytes(empty)
        assert refusal(load, str(path)) == f"{path} is empty: give a file that holds text"
    path.write_bytes(b"\xef\xbb\xbfcaf\xe9")
    assert refusal(load, str(path)) == (
        f"{path} is not UTF-8 text (byte 6 is 0xe9): convert it to UTF-8"
    )


def test_a_file_that_cannot_be_read_is_refused(tmp_path, monkeypatch):
    def deny(path):
        raise PermissionError(13, "Permission denied")

    path = tmp_path / "secret.txt"
    path.write_text("text")
    monkeypatch.setattr(Path, "read_bytes", deny)
    assert refusal(load, str(path)) == (
        f"cannot read {path} (Permission denied): give a file you may read"
    )


@settings(deadline=None)
@given(st.integers(0, 60), st.integers(1, 20))
def test_windows_hold_every_token_once_and_in_order(total, length):
    parts = windows(torch.arange(total), length)
    assert torch.cat([part.flatten() for part in parts] or [torch.tensor([])]).tolist() == list(
        range(total)
    )
    whole = [(total // length, length)] if total >= length else []
    rest = [(1, total % length)] if total % length else []
    assert [tuple(part.shape) for part in parts] == whole + rest


def batches(total, batch_size=3, length=10, seed=0, **options):
    generator = torch.Generator().manual_seed(seed)
    return WindowBatches(torch.arange(total), batch_size, length, generator, **options)


def epoch_starts(one_by_one):
    """The starts of all windows of the epoch that begins here, in the order served."""
    starts, end = [], one_by_one.epoch + 1
    while one_by_one.epoch < end:
        starts.append(next(one_by_one)[0, 0].item())
    return starts


@settings(deadline=None)
@given(st.integers(10, 60), st.integers(1, 5), st.booleans(), st.integers(0, 99))
def test_every_window_is_a_slice_of_the_text(total, batch_size, aligned, seed):
    stream = batches(total, batch_size, seed=seed, aligned=aligned)
    for _ in range(5):
        batch = next(stream)
        starts = batch[:, :1]
        assert batch.shape == (batch_size, 10)
        assert batch.dtype == torch.long
        assert torch.equal(batch, starts + torch.arange(10))
        assert 0 <= starts.min() and starts.max() <= total - 10
        assert not aligned or not (starts % 10).any()


@pytest.mark.parametrize("aligned", [False, True])
def test_an_epoch_serves_each_of_its_windows_once(aligned):
    stream = batches(103, batch_size=1, aligned=aligned)
    orders = [epoch_starts(stream) for _ in range(100)]
    offsets = [min(starts) for starts in orders]
    for starts, offset in zip(orders, offsets, strict=True):
        assert sorted(starts) == list(range(offset, 103 - 9, 10))
        assert starts != sorted(starts)
    assert set(offsets) == ({0} if aligned else set(range(10)))
    assert len({tuple(starts) for starts in orders}) > 90


def test_epochs_follow_one_another_without_a_gap():
    one_by_one = batches(73, batch_size=1)
    stream = batches(73, batch_size=4)
    served = torch.cat([next(stream) for _ in range(20)])
    assert torch.equal(served, torch.cat([next(one_by_one) for _ in range(80)]))
    assert stream.epoch == one_by_one.epoch > 10


def test_batches_depend_on_the_seed_alone():
    first, again, other = batches(500), batches(500), batches(500, seed=1)
    draws = [torch.stack([next(stream) for _ in range(40)]) for stream in (first, again, other)]
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])


@pytest.mark.parametrize("steps", range(12))
def test_a_resumed_stream_goes_on_as_if_never_interrupted(steps):
    stream = batches(143, batch_size=4)
    for _ in range(steps):
        next(stream)
    state = stream.state_dict()
    expected = torch.stack([next(stream) for _ in range(20)])
    assert all(isinstance(value, int | torch.Tensor) for value in state.values())

    resumed = batches(143, batch_size=4, seed=7)
    next(resumed)
    resumed.load_state_dict(state)
    assert torch.equal(torch.stack([next(resumed) for _ in range(20)]), expected)
    assert resumed.epoch == stream.epoch


@pytest.mark.parametrize("total, starts", [(10, {0}), (13, {0, 1, 2, 3})])
def test_a_text_of_one_window_still_fills_every_batch(total, starts):
    stream = batches(total, batch_size=8)
    drawn = torch.cat([next(stream) for _ in range(10)])
    assert set(drawn[:, 0].tolist()) == starts


def test_a_text_shorter_than_a_window_is_refused():
    assert refusal(batches, 9) == (
        "the training text holds only 9 of the 10 tokens that one window needs: "
        "use a smaller `block_size` or a longer text"
    )


def test_a_corpus_as_tokens_by_hand():
    """Ten characters of the validation split are three tokens, each of which is scored."""
    corpus = Corpus("x", "a b a a b b a b", "bbbb ccc a", "test")
    data = TokenizedCorpus(corpus, WordTokenizer(["a", "b", "bbbb", "ccc"]), 2)
    assert data.train.tolist() == [0, 1, 0, 0, 1, 1, 0, 1]
    assert [part.tolist() for part in data.validation] == [[[2, 3]], [[0]]]
    assert data.characters_per_token == 10 / 3
    assert data.length == 2 and not data.aligned


def test_how_often_a_text_has_been_served_by_hand():
    """53 tokens in place hold five windows of ten: three to a batch are three fifths of it."""
    stream = batches(53, aligned=True)
    epochs = [stream.epoch]
    for _ in range(5):
        next(stream)
        epochs.append(stream.epoch)
    assert epochs == pytest.approx([0, 0.6, 1.2, 1.8, 2.4, 3.0])


@pytest.mark.parametrize("length", [0, -1, -(2**63)])
def test_windows_of_no_token_are_refused(length):
    tokenizer = WordTokenizer(["a", "b"])
    assert "1 or more" in refusal(TokenizedCorpus, Corpus("it", "a b", "a b"), tokenizer, length)


@pytest.mark.parametrize("old, new", [("Data", TokenizedCorpus), ("Batches", WindowBatches)])
def test_a_name_of_an_earlier_version_is_the_class_it_became(old, new):
    with pytest.warns(DeprecationWarning, match=f"corpora.{old} .* use corpora.{new.__name__}$"):
        assert getattr(corpora, old) is new
    with pytest.raises(AttributeError, match="has no attribute 'Dat'"):
        corpora.Dat  # noqa: B018
