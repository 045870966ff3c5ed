"""Tokenizers give back every text, also after a save; what they cannot do, they say."""

import inspect
import json
import random
import threading
import types
from collections import Counter
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pooch
import pytest
import torch
from helpers import published_here, refusal
from hypothesis import example, given, settings
from hypothesis import strategies as st

from nanoparadigm import corpora, tokenizers
from nanoparadigm.data import download
from nanoparadigm.data.corpus import Corpus
from nanoparadigm.data.tokenizers import (
    BLANK,
    BPETokenizer,
    CharTokenizer,
    WordTokenizer,
    build,
    encode_gaps,
    gpt2,
    hide,
    load,
)

STRINGS = st.text(st.characters(exclude_categories=()))  # lone surrogates too
UNICODE = st.text()
WORDS = st.text("abc", min_size=1)
TOKENIZERS = {
    "bpe": BPETokenizer.train("the café, the cat, the 猫", 270),
    "char": CharTokenizer.train("the cat"),
    "word": WordTokenizer.train("the cat sees the dog"),
}


@pytest.fixture(scope="module")
def shakespeare():
    return published_here(corpora.load, "shakespeare")


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """What comes back of a tokenizer that was saved."""

    def save_and_load(tokenizer):
        tokenizer.save(path)
        return load(str(path))

    path = tmp_path_factory.mktemp("saved") / "tokenizer.json"
    return save_and_load


@settings(deadline=None)
@given(STRINGS, STRINGS)
@example("ab", "a\ud800\udc00b" + BLANK)
def test_characters_give_back_every_string(alphabet, text):
    tokenizer = CharTokenizer.train(alphabet)
    assert tokenizer.decode(tokenizer.encode(text)) == text


@settings(deadline=None)
@given(STRINGS, STRINGS)
def test_characters_tell_seen_from_unseen(alphabet, text):
    tokenizer = CharTokenizer.train(alphabet)
    readable = set(range(tokenizer.vocab_size))
    assert tokenizer.vocab_size == len(set(alphabet))
    for c, i in zip(text, tokenizer.encode(text), strict=True):
        assert (i in readable) == (c in alphabet)
        assert i != tokenizer.vocab_size
    assert tokenizer.unseen(text) == sorted(set(text) - set(alphabet))


@settings(deadline=None, max_examples=50)
@given(UNICODE, UNICODE)
@example("", "'s  \r\n\t\0  é\u0301 猫\U0001f600\ufffd\ufeff")
def test_byte_pairs_give_back_every_string(trained_on, text):
    tokenizer = BPETokenizer.train(trained_on, 300)
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids) == text
    assert all(0 <= i < tokenizer.vocab_size for i in ids)
    assert tokenizer.unseen(text) == []


@settings(deadline=None)
@given(st.lists(WORDS), st.data())
def test_words_give_back_every_sentence(words, data):
    tokenizer = WordTokenizer.train(" ".join(words))
    sentence = " ".join(data.draw(st.lists(st.sampled_from(words)))) if words else ""
    ids = tokenizer.encode(sentence)
    assert tokenizer.decode(ids) == sentence
    assert len(ids) == len(sentence.split())
    assert tokenizer.vocab_size == len(set(words))


@settings(deadline=None)
@given(STRINGS, STRINGS)
@example("\udbff\udc00", "\udbff\udc00")
def test_saved_characters_come_back(saved, alphabet, text):
    tokenizer = CharTokenizer.train(alphabet)
    assert saved(tokenizer).encode(text) == tokenizer.encode(text)


@pytest.mark.parametrize("kind", TOKENIZERS)
def test_a_saved_tokenizer_comes_back(kind, saved):
    tokenizer = TOKENIZERS[kind]
    again = saved(tokenizer)
    assert type(again) is type(tokenizer)
    assert again.vocabulary == tokenizer.vocabulary
    assert again.vocab_size == tokenizer.vocab_size
    assert again.encode("the cat the") == tokenizer.encode("the cat the")


@pytest.mark.parametrize(
    "kind, shown",
    [("bpe", "the{0}{0}the"), ("char", "the{0}{0}the"), ("word", "the {0} {0} the")],
)
def test_the_extra_symbol_is_shown_as_blank(kind, shown):
    tokenizer = TOKENIZERS[kind]
    the, extra = tokenizer.encode("the"), tokenizer.vocab_size
    ids = [*the, extra, extra, *the]
    assert tokenizer.decode(ids) == tokenizer.decode(torch.tensor(ids)) == shown.format(BLANK)
    assert tokenizer.decode([]) == ""


@settings(deadline=None, max_examples=50)
@given(st.data())
@pytest.mark.parametrize("kind", TOKENIZERS)
def test_the_pieces_of_a_text_are_one_for_each_id_and_joined_the_text(kind, data):
    tokenizer = TOKENIZERS[kind]
    ids = data.draw(st.lists(st.integers(0, tokenizer.vocab_size)))
    pieces = tokenizer.pieces(ids)
    assert len(pieces) == len(ids) and tokenizer.pieces(torch.tensor(ids)) == pieces
    assert tokenizer.joiner.join(pieces) == tokenizer.decode(ids)


def test_a_character_of_several_bytes_is_a_piece_of_its_last():
    tokenizer = BPETokenizer.train("ab", 300)
    ids = tokenizer.encode("猫a猫")
    assert tokenizer.pieces(ids) == ["", "", "猫", "a", "", "", "猫"]
    assert tokenizer.pieces(ids[:5]) == ["", "", "猫", "a", "\ufffd"]


def test_tiny_shakespeare_by_characters(shakespeare):
    tokenizer = build("char", shakespeare, 500)
    ids = tokenizer.encode(shakespeare.train)
    assert tokenizer.vocab_size == 65
    assert tokenizer.encode("\n Az") == [0, 1, 13, 64]
    assert len(ids) == len(shakespeare.train) and max(ids) == 64
    assert tokenizer.decode(ids) == shakespeare.train
    assert tokenizer.unseen("To be or not 2 be, é") == ["2", "é"]


def test_tiny_shakespeare_by_byte_pairs(shakespeare):
    tokenizer = build("bpe", shakespeare, 500)
    ids = tokenizer.encode(shakespeare.validation)
    assert tokenizer.vocab_size == 500
    assert tokenizer.decode(ids) == shakespeare.validation
    assert len(ids) < 0.6 * len(shakespeare.validation)
    assert BPETokenizer.train(shakespeare.train, 500).vocabulary == tokenizer.vocabulary


def test_byte_pairs_are_merged_by_frequency():
    tokenizer = BPETokenizer.train("ab ab ab ab cd", 258)
    assert tokenizer.vocab_size == 258
    assert [tokenizer.decode([i]) for i in (256, 257)] == ["ab", " ab"]


def merges_by_hand(words, n):
    """The most frequent pair of neighbours within a word, again and again. words: word -> count."""
    split, merges = {tuple(word): count for word, count in words.items()}, []
    for _ in range(n):
        counts = Counter()
        for symbols, count in split.items():
            for pair in pairwise(symbols):
                counts[pair] += count
        (best, most), (_, second) = counts.most_common(2)
        assert most > second, "a tie, which either may win"
        merges.append("".join(best))
        merged = {}
        for symbols, count in split.items():
            new = []
            for symbol in symbols:
                if new and (new[-1], symbol) == best:
                    new[-1] += symbol
                else:
                    new.append(symbol)
            merged[tuple(new)] = count
        split = merged
    return merges


def test_byte_pairs_by_hand():
    """Within words alone, each with the space before it; what is merged first has the lower id."""
    words = {" an": 18, " ban": 11, " banana": 5, " nab": 18, " bad": 23}
    words |= {" dan": 18, " and": 10, " band": 26, " add": 17}
    text = "".join(word * count for word, count in words.items())
    tokenizer = BPETokenizer.train(text, 256 + 7)
    merges = [tokenizer.decode([256 + i]) for i in range(7)]
    assert merges == merges_by_hand(words, 7)
    assert merges == ["an", " b", " ban", "ad", " an", " band", " bad"]
    pieces = [tokenizer.decode([i]) for i in tokenizer.encode(" banana bad xan")]
    assert pieces == [" ban", "an", "a", " bad", " ", "x", "an"]


@pytest.fixture
def trainings(monkeypatch):
    """What the library is given to learn from, piece by piece."""
    seen, learn = [], tokenizers._beside

    def listen(call, waiting):
        given = inspect.getclosurevars(call).nonlocals
        pieces = given["bpe"].pre_tokenizer.pre_tokenize_str(given["text"])
        seen.append([piece for piece, _ in pieces])
        return learn(call, waiting)

    monkeypatch.setattr(tokenizers, "_beside", listen)
    return seen


@pytest.mark.parametrize("letters", ["abcdefgh", "猫犬鳥魚", "=", " "])
def test_a_text_without_spaces_is_learned_from_in_pieces(letters, trainings):
    """The library takes minutes for these as one word each, and its time grows as their square."""
    text = "".join(random.Random(0).choices(letters, k=200_000))
    tokenizer = BPETokenizer.train(text, 300)
    [pieces] = trainings
    assert max(map(len, pieces)) <= tokenizers.PIECE
    assert sum(map(len, pieces)) == len(text.encode())
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids) == text and len(ids) < len(text.encode()) / 1.5


def test_words_shorter_than_a_piece_are_learned_as_they_are(shakespeare, monkeypatch):
    text = shakespeare.train[:50_000] + " " + "猫" * (tokenizers.PIECE // 3 - 1)
    usual = BPETokenizer.train(text, 400).vocabulary
    monkeypatch.setattr(tokenizers, "PIECE", 10**9)
    assert BPETokenizer.train(text, 400).vocabulary == usual


def test_byte_pairs_can_be_given_up_while_they_are_learned(monkeypatch):
    """As by Ctrl-C, which is heard in Python alone: the main thread must not be in the library."""
    held = threading.Event()
    library = types.SimpleNamespace(**vars(tokenizers.library))

    class Slow:
        def __init__(self, model):
            pass

        def train_from_iterator(self, texts, trainer):
            assert threading.current_thread() is not threading.main_thread()
            held.wait()

    def give_up():
        raise KeyboardInterrupt

    library.Tokenizer = Slow
    monkeypatch.setattr(tokenizers, "library", library)
    with pytest.raises(KeyboardInterrupt):
        BPETokenizer.train("abc", 300, waiting=give_up)
    held.set()


def test_what_fails_while_byte_pairs_are_learned_is_told():
    with pytest.raises(ZeroDivisionError):
        tokenizers._beside(lambda: 1 / 0, lambda: None)


def test_a_short_text_has_fewer_byte_pairs():
    assert BPETokenizer.train("abc", 500).vocab_size == 258
    assert BPETokenizer.train("", 500).vocab_size == 256


def test_a_cut_character_decodes_to_the_replacement_character():
    tokenizer = BPETokenizer.train("", 257)
    assert tokenizer.decode(tokenizer.encode("猫")[:2]) == "\ufffd"


def test_byte_pairs_are_learned_from_the_train_split_alone():
    one, other = (
        build("bpe", Corpus("x", "ab ab ab cd cd", validation, test), 270)
        for validation, test in [("xy xy xy", ""), ("zz zz zz zz", "zq zq zq zq")]
    )
    assert one.vocabulary == other.vocabulary
    assert one.vocabulary != BPETokenizer.train("xy xy xy", 270).vocabulary


def test_characters_and_words_come_from_every_split():
    corpus = Corpus("x", "b", "a", "c")
    assert build("char", corpus, 500).vocabulary == ["a", "b", "c"]
    assert build("word", corpus, 500).vocabulary == ["a", "b", "c"]
    assert build("word", Corpus("x", "b a", "a"), 500).vocabulary == ["a", "b"]


def test_without_a_name_sequences_are_written_in_words_and_other_texts_in_characters():
    sequences = Corpus("x", "ab c", "c ab", sequence_length=2)
    assert (build(None, sequences).kind, build(None, sequences).vocabulary) == ("word", ["ab", "c"])
    assert build(None, replace(sequences, sequence_length=None)).kind == "char"


def test_what_cannot_be_encoded_is_refused():
    word = TOKENIZERS["word"]
    assert refusal(word.encode, "the dig sees") == (
        "unknown word 'dig': did you mean 'dog'? (choose from cat, dog, sees, the)"
    )
    assert word.unseen("the dig sees a cat") == ["a", "dig"]
    surrogate = "character 2 of the text is half a surrogate pair"
    assert surrogate in refusal(TOKENIZERS["bpe"].encode, "ab\ud800")
    assert surrogate in refusal(BPETokenizer.train, "ab\ud800", 300)


def test_too_small_a_vocabulary_is_refused():
    assert BPETokenizer.train("abab", 257).vocab_size == 257
    assert refusal(BPETokenizer.train, "abab", 256) == (
        "a BPE vocabulary of 256 has no room for the 256 bytes and one merge: "
        "ask for 257 or more, or use the char tokenizer"
    )


def test_an_unknown_tokenizer_is_answered_with_the_nearest():
    assert refusal(build, "chars", Corpus("x", "a", "b"), 500) == (
        "unknown tokenizer 'chars': did you mean 'char'? (choose from bpe, char, gpt2, word)"
    )


@pytest.mark.parametrize("kind", TOKENIZERS)
def test_a_truncated_file_is_refused(kind, tmp_path):
    path = tmp_path / "tokenizer.json"
    TOKENIZERS[kind].save(path)
    whole = path.read_bytes()
    for length in (0, 1, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        assert (
            refusal(load, path) == f"{path} is damaged or not a tokenizer: give a saved tokenizer"
        )


@pytest.mark.parametrize(
    "foreign",
    [
        b"\xff\xfe",
        b"[]",
        b"{}",
        b'{"kind": "char"}',
        b'{"kind": "gpt", "vocabulary": []}',
        b'{"kind": ["char"], "vocabulary": []}',
        b'{"kind": "char", "vocabulary": 5}',
        b'{"kind": "bpe", "vocabulary": "{}"}',
    ],
)
def test_a_foreign_file_is_refused(foreign, tmp_path):
    path = tmp_path / "tokenizer.json"
    path.write_bytes(foreign)
    assert "is damaged or not a tokenizer" in refusal(load, path)


def test_a_missing_file_is_refused(tmp_path):
    path = tmp_path / "none.json"
    assert refusal(load, path) == (
        f"cannot read {path} (No such file or directory): give a saved tokenizer"
    )


def test_the_file_is_plain_json(tmp_path):
    path = tmp_path / "tokenizer.json"
    TOKENIZERS["word"].save(path)
    words = ["cat", "dog", "sees", "the"]
    assert json.loads(path.read_text()) == {"kind": "word", "vocabulary": words}


@pytest.mark.parametrize("kind", TOKENIZERS)
@settings(deadline=None)
@given(data=st.data())
def test_hidden_text_becomes_as_many_gaps_and_the_rest_stays(kind, data):
    tokenizer = TOKENIZERS[kind]
    if kind == "word":
        words = st.sampled_from([*tokenizer.vocabulary, BLANK])
        text = " ".join(data.draw(st.lists(words, max_size=8)))
    else:
        text = "".join(data.draw(st.lists(st.sampled_from(["the ", "c", "a", "t", BLANK]))))
    start, end = sorted(data.draw(st.tuples(*[st.integers(0, len(text))] * 2)))
    gaps = hide(tokenizer, text, start, end)
    ids = encode_gaps(tokenizer, gaps)
    assert tokenizer.decode(ids) == gaps and ids.count(tokenizer.vocab_size) == gaps.count(BLANK)
    if kind == "word":
        hidden, at = set(range(start, end)), 0
        for new, old in zip(gaps.split(" "), text.split(" "), strict=True):
            assert new == (BLANK if hidden & set(range(at, at + len(old))) else old)
            at += len(old) + 1
    else:
        count = len(encode_gaps(tokenizer, text[start:end]))
        assert gaps == text[:start] + BLANK * count + text[end:]


def test_gaps_in_words_need_single_spaces():
    for text in "the  cat", " the", f"the {BLANK} ":
        assert "single spaces" in refusal(encode_gaps, TOKENIZERS["word"], text)
    assert "never seen" in refusal(encode_gaps, TOKENIZERS["word"], f"the {BLANK}at")


# ------------------------------------------------------------------------------------------- GPT-2


@pytest.fixture(scope="module")
def published():
    return published_here(gpt2)


@pytest.mark.parametrize(
    "text, ids",
    [
        ("Hello world", [15496, 995]),
        (" the", [262]),
        ("", []),
        ("<|endoftext|>", [27, 91, 437, 1659, 5239, 91, 29]),
    ],
)
def test_gpt2_writes_as_published(text, ids, published):
    assert published.encode(text) == ids
    assert (published.vocab_size, published.end_of_text) == (50_257, 50_256)
    assert published.decode([50_256]) == "<|endoftext|>"


@settings(deadline=None)
@given(UNICODE)
@example("'s  \r\n\t\0  é\u0301 猫\U0001f600\ufffd\ufeff <|endoftext|>")
def test_gpt2_gives_back_every_string(published, text):
    ids = published.encode(text)
    assert published.decode(ids) == text
    assert published.end_of_text not in ids


def test_gpt2_is_the_same_for_every_corpus(published):
    assert build("gpt2", Corpus("x", "a", "b"), 500).vocabulary == published.vocabulary


def test_gpt2_comes_back_from_a_file(published, saved):
    again = saved(published)
    assert type(again) is type(published) and again.end_of_text == 50_256
    assert again.vocabulary == published.vocabulary
    assert again.encode("Hello world") == [15496, 995]


def test_gpt2_is_refused_where_it_is_damaged_or_not_to_be_had(tmp_path, monkeypatch):
    def refuse(*args, **kwargs):
        raise ConnectionError

    monkeypatch.setenv("NANOPARADIGM_DATA", str(tmp_path))
    monkeypatch.setattr(pooch, "os_cache", lambda project: tmp_path / "cache")
    monkeypatch.setattr(pooch, "retrieve", refuse)
    said = refusal(gpt2)
    assert said.startswith("GPT-2's vocabulary is not on this machine and its download failed")
    assert "a folder that holds gpt2/vocab.json and gpt2/merges.txt, or use a tokenizer" in said
    (tmp_path / "gpt2").mkdir()
    for file in "vocab.json", "merges.txt":
        (tmp_path / "gpt2" / file).write_text("{}")
    assert "vocab.json is not GPT-2's (its SHA-256 differs): delete or" in refusal(gpt2)


def test_gpt2_is_downloaded_to_the_cache_once(published, tmp_path, monkeypatch):
    names = {"encoder.json": "gpt2/vocab.json", "vocab.bpe": "gpt2/merges.txt"}
    source, asked = download.folder_with(names.values()), []

    def fetch(url, path, pooch):
        asked.append(url)
        Path(path).write_bytes((source / names[url.rpartition("/")[2]]).read_bytes())

    monkeypatch.setenv("NANOPARADIGM_DATA", "")
    monkeypatch.setattr(pooch, "os_cache", lambda project: tmp_path / "cache")
    monkeypatch.setattr(pooch.core, "choose_downloader", lambda url, progressbar: fetch)
    for _ in range(2):
        assert gpt2().vocabulary == published.vocabulary
    assert len(asked) == 2


def test_an_end_of_text_is_one_id_more_that_no_text_encodes_to():
    text = "a <|endoftext|> b" * 30
    plain = BPETokenizer.train(text, 400)
    ended = plain.with_end_of_text()
    assert (plain.end_of_text, ended.end_of_text) == (None, plain.vocab_size)
    assert ended.vocab_size == plain.vocab_size + 1
    assert ended.encode(text) == plain.encode(text)
    assert ended.decode([*ended.encode("ab"), ended.end_of_text]) == "ab<|endoftext|>"
    assert ended.with_end_of_text() is ended
    assert BPETokenizer(ended.vocabulary).end_of_text == ended.end_of_text
    assert TOKENIZERS["char"].end_of_text is TOKENIZERS["word"].end_of_text is None
