"""Shards give back every document, whoever wrote them and whatever came between, and are read where
they lie; documents come in order from every kind of source; the entropy of a token is a mean."""

import gzip
import inspect
import itertools
import json
import os
import random
import signal
import subprocess
import sys
import time
import types
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from pathlib import Path

import numpy as np
import pooch
import pytest
import torch
from helpers import ROOT, generator, hostile, random_model, refusal
from hypothesis import given, settings
from hypothesis import strategies as st

from nanoparadigm import build, corpora, shards, tokenizers
from nanoparadigm.commands import main as cli
from nanoparadigm.data.corpus import TokenizedCorpus, WindowBatches
from nanoparadigm.errors import InputError
from nanoparadigm.shards import encode_parallel, readers
from nanoparadigm.shards.folder import VALIDATION, Shards, Stream
from nanoparadigm.shards.writer import write
from nanoparadigm.studies.schedules.scorers import GPT2
from nanoparadigm.studies.schedules.token_entropy import spread, token_entropy
from nanoparadigm.training.settings import Settings
from nanoparadigm.training.trainer import train

TEXT = "the cat sat on the café mat\nand 猫 the hat <|endoftext|> \U0001f600\r\n\t"
TOKENIZER = tokenizers.BPETokenizer.train(TEXT * 3, 280).with_end_of_text()
END = TOKENIZER.end_of_text
linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")


def some_documents(n, seed=0):
    """Documents of very different lengths, some of them empty, one as long as several shards."""
    chance = random.Random(seed)
    lengths = [chance.choice((0, 1, 9, 50, 400)) for _ in range(n)]
    lengths[n // 2] = 2000
    return ["".join(chance.choices(TEXT, k=length)) for length in lengths]


def put(texts, out, tokens=6000, workers=1, tokenizer=TOKENIZER, **options):
    """Write; return the folder, and how far the writing says it came."""
    options = dict(shard_tokens=1000, validation_tokens=300) | options
    done = [*write(texts, tokenizer, out, tokens, workers=workers, **options)]
    assert done == sorted(done)
    return Path(out), done[-1]


def contents(out):
    return {p.name: p.read_bytes() for p in Path(out).iterdir() if p.name != "lock"}


def read_back(out, tokenizer=TOKENIZER):
    """The held-out documents, the training documents, and what is left of one that was cut."""
    splits = []
    for pattern in VALIDATION, "train-*.bin":
        files = [np.fromfile(p, "<u2").tolist() for p in sorted(Path(out).glob(pattern))]
        text, ended = [], []
        for i in itertools.chain(*files):
            if i == tokenizer.end_of_text:
                ended.append(tokenizer.decode(text))
                text = []
            else:
                text.append(i)
        splits.append((ended, text))
    assert splits[0][1] == []
    return splits[0][0], *splits[1]


@pytest.fixture(scope="module", autouse=True)
def small_chunks():
    """A few documents at a time go to a worker, and a few are lost where the writing stops."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(encode_parallel, "CHUNK", 100)
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder of shards, to be read only."""
    return put(some_documents(60), tmp_path_factory.mktemp("shards"), source="made up")[0]


# ---------------------------------------------------------------------------------------- writing


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.text(max_size=30), min_size=2, max_size=20),
    *(st.integers(1, n) for n in (200, 50, 60)),
)
def test_every_document_comes_back(tmp_path_factory, texts, tokens, shard_tokens, held_out):
    options = dict(tokens=tokens, shard_tokens=shard_tokens, validation_tokens=held_out)
    encoded = [[*TOKENIZER.encode(text), END] for text in texts]
    ends = np.cumsum([len(ids) for ids in encoded])
    whole = int(np.searchsorted(ends, held_out)) + 1  # documents held out
    out = tmp_path_factory.mktemp("out")
    if whole >= len(texts):
        said = refusal(put, texts, out, **options)
        assert said.startswith(f"all {ends[-1]} tokens of the documents would be held out")
        return
    out, done = put(texts, out, **options)
    assert done == min(tokens, ends[-1] - ends[whole - 1])
    validation, training, rest = read_back(out)
    assert validation == texts[:whole]
    assert training == texts[whole : whole + len(training)]
    cut = [ids for ids in encoded[whole + len(training) :][:1] if rest]
    assert rest == [i for ids in cut for i in ids[: len(rest)]]

    metadata = json.loads((out / "metadata.json").read_text())
    files = metadata["files"]
    assert {*files, "metadata.json", "tokenizer.json", "lock"} == {p.name for p in out.iterdir()}
    sizes = [facts["tokens"] for name, facts in files.items() if name != VALIDATION]
    assert sizes[:-1] == [shard_tokens] * (len(sizes) - 1) and sizes[-1] <= shard_tokens
    for name, facts in files.items():
        ids = np.fromfile(out / name, "<u2")
        assert (facts["tokens"], facts["documents"]) == (len(ids), (ids == END).sum())
    assert sum(facts["characters"] for facts in files.values()) == sum(
        map(len, validation + training)
    )
    assert files[VALIDATION]["characters"] == sum(map(len, validation))
    assert [*Shards(out).check()][-1] == done + files[VALIDATION]["tokens"]


def test_a_folder_by_hand(tmp_path):
    """Two documents are held out, for the first is too short, and the last is cut."""
    texts = ["the", "café cat", "sat", "on the mat", "", "and 猫"]
    ids = [[*TOKENIZER.encode(text), END] for text in texts]
    rest = [i for document in ids[2:] for i in document]
    options = dict(tokens=len(rest) - 1, shard_tokens=5, validation_tokens=len(ids[0]) + 1)
    out, done = put(texts, tmp_path, **options)
    assert done == len(rest) - 1 and done % 5
    parts = [rest[start:-1][:5] for start in range(0, done, 5)]
    names = [f"train-{i:05}.bin" for i in range(len(parts))]
    found = {p.name: np.fromfile(p, "<u2").tolist() for p in out.glob("*.bin")}
    assert found == {VALIDATION: ids[0] + ids[1]} | dict(zip(names, parts, strict=True))
    tokens = Shards(out).tokens(TOKENIZER)
    assert len(tokens.train) == done
    assert tokens.train[:].tolist() == rest[:-1]
    backwards = torch.arange(done).flip(0)
    assert tokens.train[backwards].tolist() == rest[:-1][::-1]
    assert tokens.validation.tolist() == ids[0] + ids[1]
    assert tokens.characters == len("thecafé cat")


def test_the_bytes_do_not_depend_on_the_workers(folder, tmp_path):
    """Three here; two, killed half-way, below."""
    put(some_documents(60), tmp_path, workers=3, source="made up")
    assert contents(tmp_path) == contents(folder)


def threads(workers, *_, **__):
    """In the place of processes, which take seconds to begin."""
    return ThreadPoolExecutor(workers)


def test_a_worker_that_dies_is_told(tmp_path, monkeypatch):
    def die(*_):
        raise BrokenProcessPool

    monkeypatch.setattr(encode_parallel, "ProcessPoolExecutor", threads)
    monkeypatch.setattr(encode_parallel, "_encode_apart", die)
    with pytest.raises(OSError, match="a process that encodes died"):
        put(some_documents(60), tmp_path, workers=2)


KILLER = """
import os, random, signal, sys, time
sys.path += sys.argv[1].split(os.pathsep)
from test_shards import encode_parallel, put, some_documents

out, chance, lives = sys.argv[2], random.Random(0), 0
encode_parallel.CHUNK = 100
def write():
    def slow():
        for text in some_documents(60):
            time.sleep(0.0005)
            yield text
    put(slow(), out, source="made up")
    os._exit(0)
while True:
    lives += 1
    child = os.fork()
    if child == 0:
        write()
    time.sleep(chance.uniform(0, 0.01 * lives))
    os.kill(child, signal.SIGKILL)
    if os.waitpid(child, 0)[1] == 0:
        break
print(lives)
"""


def run(*arguments):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TQDM_DISABLE": "1"}
    return subprocess.Popen(
        [sys.executable, *arguments], env=environment, text=True, stdout=-1, stderr=-1
    )


def test_a_writing_that_is_killed_again_and_again_leaves_the_same_bytes(folder, tmp_path):
    out, err = run("-c", KILLER, os.pathsep.join(sys.path), str(tmp_path)).communicate()
    assert err == "" and int(out) > 4
    assert contents(tmp_path) == contents(folder)


@linux
def test_the_workers_of_a_writing_that_is_killed_end_too(tmp_path):
    """And the same command, with other workers, goes on where it stopped."""
    source = tmp_path / "source.jsonl"
    texts = some_documents(4000)
    source.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    TOKENIZER.save(tmp_path / "tokenizer.json")
    counts = "--tokens 1e9 --shard_tokens 2e4 --validation_tokens 9e3".split()
    flags = ["--source", str(source), "--tokenizer", str(tmp_path / "tokenizer.json"), *counts]
    command = ["prepare", "fineweb", *flags, "--out", str(tmp_path / "out")]
    begin = "import sys; from nanoparadigm.commands import main; "
    begin += "from nanoparadigm.shards import encode_parallel; encode_parallel.CHUNK = 5000; "
    begin += "main.main(sys.argv[1:])"
    process = run("-c", begin, *command, "--workers", "2")
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    while not (tmp_path / "out" / "train-00002.bin").exists():
        assert process.poll() is None, process.communicate()
        workers = children.read_text().split()
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert len(workers) >= 2
    for _ in range(600):
        left = [pid for pid in workers if Path(f"/proc/{pid}").exists()]
        if not left:
            break
        time.sleep(0.01)
    assert not left
    assert not json.loads((tmp_path / "out" / "metadata.json").read_text())["complete"]
    assert cli.main([*command, "--workers", "1"]) == 0
    assert cli.main([*command[:-1], str(tmp_path / "straight"), "--workers", "1"]) == 0
    assert contents(tmp_path / "out") == contents(tmp_path / "straight")
    validation, training, rest = read_back(tmp_path / "out")
    assert (validation + training, rest) == (texts, [])


def interrupted(out, after):
    """A folder whose documents failed to come after so many."""

    def texts():
        yield from some_documents(60)[:after]
        raise ConnectionError

    with pytest.raises(ConnectionError):
        put(texts(), out, source="made up")
    return out


@pytest.mark.parametrize("after", [0, 5, 30, 33, 36])
def test_what_was_interrupted_goes_on(after, folder, tmp_path):
    interrupted(tmp_path, after)
    put(some_documents(60), tmp_path, source="made up")
    assert contents(tmp_path) == contents(folder)


def test_a_finished_folder_is_left_alone(folder, tmp_path):
    before = {p: p.stat().st_mtime_ns for p in folder.iterdir() if p.name != "lock"}
    put(iter(()), folder, source="made up")
    assert {p: p.stat().st_mtime_ns for p in before} == before


@pytest.mark.parametrize(
    "changed, said",
    [
        (dict(tokens=7000), "tokens 6000 and cannot go on with 7000"),
        (dict(shard_tokens=501), "shard_tokens 1000 and cannot go on with 501"),
        (dict(validation_tokens=1), "validation_tokens 300 and cannot go on with 1"),
        (dict(source="other"), "source made up and cannot go on with other"),
        (
            dict(tokenizer=tokenizers.BPETokenizer.train("", 257).with_end_of_text()),
            "tokenizer bpe, 281 ids, SHA-256 ",
        ),
    ],
)
def test_a_folder_does_not_go_on_with_other_arguments(changed, said, tmp_path):
    interrupted(tmp_path, 36)
    before = contents(tmp_path)
    arguments = dict(source="made up") | changed
    refused = refusal(put, some_documents(60), tmp_path, **arguments)
    assert refused.startswith(f"{tmp_path} was begun with the {said}")
    assert contents(tmp_path) == before


def test_documents_that_have_changed_are_noticed(tmp_path):
    """Where nothing else tells them from those it was begun with."""
    interrupted(tmp_path, 36)
    assert "not those that" in refusal(put, ["a"] * 60, tmp_path, source="made up")


@pytest.mark.parametrize("workers", [1, 2])
def test_documents_are_read_no_further_than_wanted(workers, tmp_path, monkeypatch):
    monkeypatch.setattr(encode_parallel, "ProcessPoolExecutor", threads)
    served = itertools.count()
    texts = (f"the cat {next(served)}" * 1000 for _ in range(300))
    assert put(texts, tmp_path, workers=workers)[1] == 6000
    assert next(served) < 9 * workers


@pytest.mark.parametrize("name", ["tokens", "shard_tokens", "validation_tokens", "workers"])
def test_counts_start_at_one(name, tmp_path):
    assert f"{name} is 0: give a whole number" in refusal(put, ["a"], tmp_path, **{name: 0})


def test_a_tokenizer_that_cannot_write_shards_is_refused(tmp_path):
    char = tokenizers.CharTokenizer("abc")
    wide = types.SimpleNamespace(kind="wide", vocab_size=2**16, end_of_text=3)
    for tokenizer in char, wide, tokenizers.BPETokenizer.train("abc", 280):
        assert "want an end of text and at most 65,535 ids" in refusal(
            put, ["abc"], tmp_path, tokenizer=tokenizer
        )
    assert not any(tmp_path.iterdir())


def test_two_writings_to_one_folder(tmp_path):
    first = write(some_documents(60), TOKENIZER, tmp_path, 6000, validation_tokens=300)
    next(first)
    assert "another process is writing to" in refusal(put, some_documents(60), tmp_path)


# ---------------------------------------------------------------------------------------- reading


@settings(deadline=None)
@given(st.integers(1, 40), st.integers(1, 100), st.data())
def test_a_stream_is_its_files_in_one(tmp_path_factory, size, total, data):
    whole = torch.arange(total) * 600 % 65_536
    paths = []
    for start in range(0, total, size):
        paths.append(tmp_path_factory.mktemp("parts") / "part")
        whole[start : start + size].numpy().astype("<u2").tofile(paths[-1])
    stream = Stream(paths)
    assert len(stream) == total and all(isinstance(part, np.memmap) for part in stream.parts)
    i = torch.tensor(data.draw(st.lists(st.integers(0, total - 1))), dtype=torch.long)
    assert torch.equal(stream[i], whole[i]) and stream[i].dtype == torch.long
    assert torch.equal(stream[: total // 2], whole[: total // 2])
    length = data.draw(st.integers(1, total))
    seed = data.draw(st.integers(0, 9))
    mapped, held = (WindowBatches(text, 3, length, generator(seed)) for text in (stream, whole))
    for _ in range(5):
        assert torch.equal(next(mapped), next(held))


def test_shards_are_a_corpus_like_any_other(folder):
    corpus = corpora.load(str(folder))
    data = TokenizedCorpus(corpus, corpus.tokenizer, 16)
    trained = np.concatenate([np.fromfile(p, "<u2") for p in sorted(folder.glob("train-*"))])
    held_out = np.fromfile(folder / VALIDATION, "<u2").astype(int)
    assert np.array_equal(data.train[:], trained)
    assert torch.cat([part.flatten() for part in data.validation]).tolist() == held_out.tolist()
    validation, _, _ = read_back(folder)
    assert data.characters_per_token == sum(map(len, validation)) / len(held_out)
    assert data.corpus.name == str(folder) and not data.aligned


@linux
def test_a_billion_tokens_are_opened_and_served_in_little_memory(folder, tmp_path):
    """In files that are two gigabytes long and, with nothing in them, take no room."""

    def resident():
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    metadata = json.loads((folder / "metadata.json").read_text())
    files = {VALIDATION: metadata["files"][VALIDATION]}
    metadata["arguments"]["shard_tokens"] = 10**8
    for i in range(10):
        files[f"train-{i:05}.bin"] = dict(tokens=10**8, documents=0, characters=0, sha256="")
        with open(tmp_path / f"train-{i:05}.bin", "wb") as f:
            f.truncate(2 * 10**8)
    (tmp_path / "metadata.json").write_text(json.dumps(metadata | {"files": files}))
    for name in VALIDATION, "tokenizer.json":
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    before = resident()
    data = TokenizedCorpus(corpora.load(str(tmp_path)), TOKENIZER, 100)
    batches = WindowBatches(data.train, 16, 1024, generator())
    for _ in range(20):
        assert not next(batches).any()
    assert len(data.train) == 10**9
    assert resident() - before < 100 * 2**20


def test_a_run_on_shards_resumes_bit_for_bit(folder, tmp_path):
    def data():
        return TokenizedCorpus(Shards(folder), TOKENIZER, 16)

    def new():
        size = dict(n_layer=1, n_head=2, n_embd=16, block_size=16)
        return build("diffusion", TOKENIZER.vocab_size, **size)

    options = Settings(batch_size=4, max_steps=60, eval_interval=5, eval_windows=3)
    straight = [*train(new(), data(), options)]
    steps = itertools.count(1)
    seen = [*train(new(), data(), options, tmp_path, stop=lambda: next(steps) == 30)]
    seen += train(new(), data(), options, tmp_path, resume=True)
    numbers = [[(r["step"], r["loss"], r.get("val")) for r in run] for run in (straight, seen)]
    assert numbers[0] == numbers[1]


def test_a_run_does_not_go_on_with_other_shards(folder, tmp_path):
    other, _ = put(some_documents(60, seed=1), tmp_path)
    first, second = (TokenizedCorpus(Shards(f), TOKENIZER, 16).fingerprint for f in (folder, other))
    assert first == TokenizedCorpus(Shards(folder), TOKENIZER, 8).fingerprint != second


def test_shards_are_read_in_their_own_tokens_only(folder):
    other = tokenizers.BPETokenizer.train("abab", 281)
    assert "is written in other tokens than the model's" in refusal(
        TokenizedCorpus, Shards(folder), other, 16
    )


@pytest.fixture
def copy(folder, tmp_path):
    for path in folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path


def test_a_shard_that_is_not_whole_is_named(copy):
    path = copy / "train-00002.bin"
    said = f"{path} does not hold 1,000 tokens: give the command that wrote it once more"
    path.write_bytes(path.read_bytes()[:-3])
    assert refusal(Shards, copy) == said
    path.unlink()
    assert refusal(Shards, copy) == said
    path.mkdir()
    assert refusal(Shards, copy) == said


def test_a_shard_that_has_changed_is_named(copy):
    path = copy / "train-00002.bin"
    path.write_bytes(path.read_bytes()[::-1])
    said = refusal(lambda: [*Shards(copy).check()])
    assert said.startswith(f"{path} has changed since it was written: delete it, and give")


FILES = [VALIDATION, *(f"train-{i:05}.bin" for i in range(6)), "tokenizer.json"]


@pytest.mark.parametrize("name", FILES)
def test_the_command_that_wrote_a_folder_mends_it(name, folder, copy):
    """A file that is missing, cut or too long; those after it are written anew."""
    for damage in (lambda data: None, lambda data: data[:-1], lambda data: data + b"  "):
        path = copy / name
        data = damage(path.read_bytes())
        path.unlink() if data is None else path.write_bytes(data)
        assert put(some_documents(60), copy, source="made up")[1] == 6000
        assert contents(copy) == contents(folder) or name == "tokenizer.json"
        assert [*Shards(copy).check()]


def test_a_mending_that_is_interrupted_goes_on(folder, copy):
    (copy / "train-00001.bin").unlink()
    interrupted(copy, 33)
    assert "is not finished" in refusal(Shards, copy)
    put(some_documents(60), copy, source="made up")
    assert contents(copy) == contents(folder)


def test_an_id_beyond_the_vocabulary_is_refused_where_it_is_read(copy):
    for name, row in (VALIDATION, None), ("train-00002.bin", 2100):
        path = copy / name
        whole = path.read_bytes()
        ids = np.frombuffer(whole, "<u2").copy()
        ids[100] = TOKENIZER.vocab_size
        path.write_bytes(ids.tobytes())
        said = f"{path} holds the id 281, and there are 281: delete it, and give the command"
        if row is None:
            assert refusal(Shards(copy).tokens, TOKENIZER).startswith(said)
        else:
            train = Shards(copy).tokens(TOKENIZER).train
            assert train[:row].max() < 281 and train[row + 1 :].max() < 281
            assert refusal(train.__getitem__, torch.tensor([[3, row]])).startswith(said)
        path.write_bytes(whole)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": "other"}', "{", "\xff", "[" * 10**5])
def test_metadata_of_another_kind_are_refused(text, copy):
    (copy / "metadata.json").write_bytes(text.encode("latin-1"))
    before = contents(copy)
    for call in Shards, lambda out: put(some_documents(60), out, source="made up"):
        assert refusal(call, copy).startswith((f"{copy}/metadata.json", "cannot read"))
    assert contents(copy) == before


def test_metadata_that_were_edited_are_used_or_refused(folder, copy):
    """Whatever was edited: a folder that opens also serves its tokens."""
    whole = json.loads((folder / "metadata.json").read_text())
    for edited in hostile(whole, 300):
        (copy / "metadata.json").write_bytes(edited)
        with suppress(InputError):
            tokens = Shards(copy).tokens(TOKENIZER)
            assert len(tokens.train[:]) == len(tokens.train) > 0


def test_another_tokenizer_beside_the_shards_is_refused(copy):
    tokenizers.CharTokenizer("abc").save(copy / "tokenizer.json")
    assert "tokenizer.json is not the one it was written with" in refusal(Shards, copy)


def test_a_folder_that_is_not_finished_is_refused(tmp_path):
    said = refusal(corpora.load, str(interrupted(tmp_path, 36)))
    assert said == f"{tmp_path} is not finished: give the command that began it once more"


# -------------------------------------------------------------------------------------- documents

TEXTS = ["a cat", "", "two\nlines, a caf\u00e9 and \U0001f600", "<|endoftext|>"]
LINES = "".join(json.dumps({"text": text, "id": 3}) + "\n" for text in TEXTS)


def read(*sources):
    return [*readers.Texts(readers.find(map(str, sources)))]


@pytest.fixture
def parts(tmp_path, monkeypatch):
    """A folder with a file of every kind that needs nothing else."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "parts"
    folder.mkdir()
    (folder / "b.jsonl").write_text(LINES)
    (folder / "a.jsonl.gz").write_bytes(gzip.compress(b'{"text": "first"}\n\n{"text": "second"}'))
    (folder / "c.txt").write_text("all of it\n\nat once", newline="")
    (folder / "c.md").write_text("not a document")
    return Path("parts")


def test_documents_come_in_the_order_of_their_sources(parts):
    a, b, c = ["first", "second"], TEXTS, ["all of it\n\nat once"]
    assert read(parts) == read("parts/*.*[ltz]") == a + b + c
    assert read(parts / "c.txt", parts / "b.jsonl", "parts/[ab]*") == c + b + a + b


def test_a_source_is_told_from_others(parts):
    def line(*sources):
        return readers.describe(readers.find(sources))

    assert line("parts/c.txt") == "c.txt (18 bytes)"
    lines = {line("parts"), line("parts/b.jsonl", "parts/a.jsonl.gz"), line("parts/[ab]*")}
    assert len(lines | {line("parts/b.jsonl", "parts/c.txt", "parts/a.jsonl.gz")}) == 4
    before = line("parts")
    (parts / "b.jsonl").write_text(LINES + LINES)
    assert line("parts") != before
    assert line("owner/name") == "owner/name"


@pytest.mark.parametrize(
    "line, said",
    [
        (b'{"text": "cut', "is not JSON (Invalid control character"),
        (b'{"text": "caf\xe9"}', "is not UTF-8 text (byte 13 is 0xe9): convert"),
        ('{"text": "a"}'.encode("utf-16"), "is UTF-16 text: convert it to UTF-8"),
        (b'{"text": 3}', 'has a "text" that is no string: mend'),
        (b'["text"]', 'is no object with a "text": mend'),
        (b'{"text": ' + b"[" * 100_000, "is not JSON (maximum recursion depth exceeded"),
        (b'{"text": "a", "id": ' + b"9" * 5000 + b"}", "is not JSON (Exceeds the limit (4300"),
        (b'{"text": "a\\ud800"}', "holds half a surrogate pair"),
    ],
)
def test_a_bad_line_is_named(line, said, parts):
    (parts / "b.jsonl").write_bytes(LINES.encode() + b"\n" + line + b"\n" + LINES.encode())
    assert refusal(read, parts).startswith(f"parts/b.jsonl, line 6, {said}")


def test_a_document_without_a_text_is_left_out_and_counted(parts):
    """A column of another name is not: none of the documents has a text then."""
    lines = [json.dumps(line) + "\n" for line in ({"text": None}, {"id": 3}, {"body": "a"})]
    (parts / "b.jsonl").write_text(LINES + "".join(lines) + LINES)
    texts = readers.Texts(readers.find(["parts"]))
    for _ in range(2):
        assert [*texts] == ["first", "second", *TEXTS, *TEXTS, "all of it\n\nat once"]
        assert texts.skipped == 3
    (parts / "b.jsonl").write_text("".join(lines))
    assert refusal(read, "parts/b.jsonl").startswith('none of the 3 documents has a "text": give')


def test_endings_and_the_first_bytes_of_a_text_may_be_those_of_any_machine(parts):
    """Capitals, a byte order mark, archives: a document is the same in all of them."""
    lines, whole = LINES.encode(), "a caf\u00e9\r\n".encode()
    kinds = {".jsonl": lines, ".jsonl.gz": lines, ".txt": whole, ".txt.gz": whole}
    for ending, data in kinds.items():
        for name, marked in itertools.product((ending, ending.upper()), (b"", b"\xef\xbb\xbf")):
            packed = gzip.compress(marked + data) if ending.endswith(".gz") else marked + data
            (parts / f"it{name}").write_bytes(packed)
            assert read(f"parts/it{name}") == (TEXTS if data == lines else ["a caf\u00e9\r\n"])


@pytest.mark.parametrize("name", ["dir [1]", "[ab]", "a*", "what?", "[", "**"])
def test_a_folder_that_is_there_is_no_pattern(name, parts):
    """Whatever its name holds, at any depth; and what looks like it by that pattern is not."""
    for folder in parts / name, parts / "inner" / name, parts / "dir 1", parts / "a":
        folder.mkdir(parents=True)
        (folder / "it.jsonl").write_text(json.dumps({"text": f"in {folder}"}))
    whole = parts.resolve() / name
    for source in f"parts/{name}", f"parts/{name}/*.jsonl", f"{whole}/it.*", f"parts/{name}/*[nl]":
        assert read(source) == [f"in parts/{name}"]
    assert (
        read(f"parts/in*/{name}/*.js*")
        == read(f"*/inner/{name}/it.jsonl")
        == [f"in parts/inner/{name}"]
    )


def test_a_damaged_archive_is_named(parts):
    for name, place in ("a.jsonl.gz", " after line "), ("d.txt.gz", " ("):
        whole = gzip.compress(b'{"text": "first"}\n\n{"text": "second"}')
        for damaged in whole[:-9], b"not gzip", whole[:10] + b"\xff" * 9:
            (parts / name).write_bytes(damaged)
            assert refusal(read, f"parts/{name}").startswith(f"parts/{name} is damaged{place}")


def test_what_holds_no_documents_is_refused(parts):
    (parts / "empty").mkdir()
    nothing = "parts/empty", "parts/d*.jsonl", "parts/none.jsonl", "none"
    for source in *nothing, "parts/c.md", "parts/*.md", "parts/c.*":
        said = refusal(read, source)
        assert said.startswith(f"there is nothing to read at {source}: give files that end in")


def test_without_the_extra_packages_their_absence_is_told(parts, monkeypatch):
    (parts / "d.parquet").write_bytes(b"PAR1")
    for package, source in ("pyarrow", "parts/d.parquet"), ("datasets", "owner/name"):
        monkeypatch.setitem(sys.modules, package, None)
        said = refusal(read, source)
        assert said.startswith(source) and package in said
        assert "install it with pip install 'nanoparadigm[scale]'" in said


def test_parquet_is_read_row_by_row(parts):
    """Whatever the kind of its strings; null is no text."""
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    path, texts = parts / "d.PARQUET", [f"caf\u00e9 {i}" for i in range(5000)]
    for kind in "string", "large_string", "string_view", "dictionary":
        column = pyarrow.array([None, *texts])
        column = column.dictionary_encode() if kind == "dictionary" else column.cast(kind)
        table = pyarrow.table({"id": range(5001), "text": column})
        parquet.write_table(table, path, row_group_size=700)
        assert read(path) == texts
    for table, said in (
        ({"body": ["a"]}, 'no column "text"'),
        ({"text": [3]}, 'a column "text" of int64'),
        ({"text": [["a"]]}, 'a column "text" of list<element: string>'),
        ({"text": [{"text": "a"}]}, 'a column "text" of struct<text: string>'),
        ({"text": [b"a"]}, 'a column "text" of binary'),
    ):
        parquet.write_table(pyarrow.table(table), path)
        assert refusal(read, path).startswith(f"{path} has {said}: give ")


def test_a_damaged_parquet_is_named(parts):
    """Or read, where the damage is not in what is read."""
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    path, chance = parts / "d.parquet", random.Random(0)
    parquet.write_table(pyarrow.table({"text": [TEXT] * 50}), path, row_group_size=20)
    whole = path.read_bytes()
    for damaged in b"", whole[:-9], b"not" + whole, whole[:100] + whole[120:], whole[4:]:
        path.write_bytes(damaged)
        assert refusal(read, path).startswith(f"{path} is damaged after row ")
    for _ in range(200):
        damaged = bytearray(whole)
        for place in chance.choices(range(len(whole)), k=chance.randint(1, 4)):
            damaged[place] = chance.randrange(256)
        path.write_bytes(damaged)
        try:
            assert len(read(path)) <= 50
        except InputError as error:
            assert str(error).startswith(str(path)) or "none of the" in str(error)


def test_a_dataset_of_the_hub_is_streamed(parts, monkeypatch):
    asked = []

    def load_dataset(*names, **options):
        asked.append((names, options))
        return ({"text": text} for text in TEXTS)

    monkeypatch.setitem(sys.modules, "datasets", types.SimpleNamespace(load_dataset=load_dataset))
    assert read("owner/name/part", "owner/na-me") == TEXTS * 2
    streamed = dict(split="train", streaming=True)
    assert asked == [(("owner/name", "part"), streamed), (("owner/na-me",), streamed)]

    def refuse(*names, **options):
        raise ConnectionError("no network\nat all")

    monkeypatch.setitem(sys.modules, "datasets", types.SimpleNamespace(load_dataset=refuse))
    assert refusal(read, "a/b").startswith("a/b cannot be had from the hub (no network): give")


# ------------------------------------------------------------------------------- real texts, GPT-2


@pytest.fixture(scope="module")
def gpt2():
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(pooch, "retrieve", lambda *_, **__: (_ for _ in ()).throw(OSError))
            return tokenizers.gpt2()
    except InputError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("file", ["wikitext2/wiki.valid.tokens", "tinyshakespeare.txt"])
def test_real_documents_come_back(file, gpt2, tmp_path):
    path = Path(os.environ.get("NANOPARADIGM_DATA", "none")) / file
    if not path.exists():
        pytest.skip(f"{path} is not here")
    text = path.read_text(encoding="utf-8")
    texts = text.split("\n = " if "wiki" in file else "\n\n")[:1500]
    options = dict(tokens=10**9, shard_tokens=20_000, validation_tokens=5000, tokenizer=gpt2)
    out, done = put(texts, tmp_path, **options)
    validation, training, rest = read_back(out, gpt2)
    assert validation + training == texts and not rest
    assert done > 50_000
    data = TokenizedCorpus(corpora.load(str(out)), gpt2, 128)
    assert 3 < data.characters_per_token < 5


# ---------------------------------------------------------------------------------------- entropy


def test_the_entropy_of_a_token_is_a_mean_over_its_places():
    model = random_model("ar", vocab_size=7)
    x = torch.randint(5, (6, 12), generator=generator())
    found = token_entropy(model, x.split(4), 7)
    h = torch.distributions.Categorical(logits=model.logits(x).detach()).entropy()
    for v in range(5):
        assert found.values[v].item() == pytest.approx(h[x == v].mean().item(), rel=1e-6)
        assert found.counts[v] == (x == v).sum()
    assert found.default == pytest.approx(h.mean().item())
    assert found.values[5:].tolist() == pytest.approx([found.default] * 2)
    assert found.values.dtype == torch.float32 and found.values.shape == (7,)
    assert found.coverage == 5 / 7
    assert found.coverage_of(torch.tensor([0, 0, 0, 6])) == 3 / 4


@given(st.integers(1, 60), st.integers(1, 9), st.integers(1, 99))
def test_windows_are_spread_over_the_text(total, length, n):
    total = max(total, length)
    starts = spread(range(total), length, n).tolist()
    assert len(starts) == min(max(n // length, 1), total // length)
    assert starts == sorted(set(starts)) and starts[0] == 0
    assert all(start % length == 0 and start + length <= total for start in starts)
    if len(starts) > 1:
        assert starts[-1] + 2 * length > total


def test_the_published_gpt2_is_read_like_our_own(monkeypatch):
    """What the package transformers returns at i is of the token after it."""
    ours = random_model("ar", vocab_size=7)

    class Theirs:
        config = types.SimpleNamespace(bos_token_id=7, n_positions=12, vocab_size=7)

        def from_pretrained(self, name, use_safetensors):
            assert name == "gpt2" and use_safetensors  # and no pickle
            return self

        def to(self, device):
            return self

        def eval(self):
            return self

        def __call__(self, x):
            return types.SimpleNamespace(logits=ours.net(x, None)[..., :7])

    package = types.SimpleNamespace(AutoModelForCausalLM=Theirs())
    monkeypatch.setitem(sys.modules, "transformers", package)
    x = torch.randint(7, (3, 12), generator=generator())
    theirs = GPT2()
    assert theirs.length == 12
    assert torch.equal(theirs.logits(x), ours.logits(x))
    monkeypatch.setitem(sys.modules, "transformers", None)
    assert "GPT-2 needs transformers: install it with pip" in refusal(GPT2)


# ------------------------------------------------------------------------------------ the commands


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A folder with shards made by the command, and a run on them."""
    home = tmp_path_factory.mktemp("home")
    TOKENIZER.save(home / "tokenizer.json")
    lines = [json.dumps({"text": text}) + "\n" for text in some_documents(300)]
    (home / "source.jsonl").write_text("".join(lines))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        assert cli.main(PREPARE.split()) == 0
        assert cli.main(f"train --out run --dataset tiny {SIZES}".split()) == 0
    return home


PREPARE = (
    "prepare fineweb --source source.jsonl --tokenizer tokenizer.json --out tiny --workers 1 "
    "--tokens 1.5e4 --shard_tokens 4e3 --validation_tokens 1e3"
)
SIZES = (
    "--n_layer 1 --n_head 2 --n_embd 16 --block_size 16 --batch_size 4 --max_steps 6 "
    "--eval_interval 3 --eval_windows 4"
)


@pytest.fixture
def say(prepared, capsys, monkeypatch):
    """Give the command line a line there; return its status, its output, and its complaints."""
    monkeypatch.chdir(prepared)
    capsys.readouterr()
    return lambda line: (cli.main(line.split()), *capsys.readouterr())


def test_prepared_texts_are_trained_on_resumed_and_evaluated(say):
    assert say(PREPARE)[:2] == (0, "saved in tiny: 15,000 tokens to train on\n")
    status, out, _ = say("prepare check --dataset tiny")
    held_out = Shards("tiny").metadata["files"][VALIDATION]["tokens"]
    assert (status, out) == (0, f"tiny is intact: {15_000 + held_out:,} tokens\n")
    assert say("train --out run --resume --max_steps 9")[0] == 0
    status, out, err = say("evaluate --checkpoint run")
    assert (status, err) == (0, "") and "5-gram" in out and "15,000" in out
    assert say(f"train --out other --dataset tiny --tokenizer bpe {SIZES}")[0] == 0
    status, _, err = say(f"train --out other --dataset tiny --tokenizer char {SIZES}")
    assert status == 2 and "tiny is written in its own tokens: drop --tokenizer" in err


def test_every_flag_of_prepare_reaches_what_it_names(tmp_path):
    """What the command gives to `write`; the rest of `write` is measured above."""
    (tmp_path / "a.txt").write_text("a cat")
    TOKENIZER.save(tmp_path / "tokenizer.json")
    flags = dict(tokens="3e4", shard_tokens=700, validation_tokens=50, workers=3)
    line = f"prepare fineweb --source {tmp_path}/a.txt --tokenizer {tmp_path}/tokenizer.json "
    line += f"--out {tmp_path}/out " + " ".join(f"--{n} {value}" for n, value in flags.items())
    given = []

    def listen(*arguments, **options):
        given.append(inspect.signature(write).bind(*arguments, **options).arguments)
        return iter([30_000])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shards, "write", listen)
        assert cli.main(line.split()) == 0
    [given] = given
    assert [*given.pop("documents")] == ["a cat"]
    assert given.pop("tokenizer").vocabulary == TOKENIZER.vocabulary
    assert (str(given.pop("out")), given.pop("source")) == (f"{tmp_path}/out", "a.txt (5 bytes)")
    assert given == flags | dict(tokens=30_000)


def test_fewer_tokens_than_asked_for_are_told(say):
    status, out, _ = say(PREPARE.replace("1.5e4", "1e9").replace("--out tiny", "--out all"))
    train = sum(len(np.fromfile(p, "<u2")) for p in Path("all").glob("train-*"))
    said = (
        f"saved in all: {train:,} tokens to train on, all there are, of the 1,000,000,000 asked for"
    )
    assert (status, out) == (0, said + "\n")


def test_documents_without_a_text_are_told(say):
    lines = Path("source.jsonl").read_text() + '{"text": null}\n' * 3
    Path("gaps.jsonl").write_text(lines)
    status, out, _ = say(
        PREPARE.replace("source.", "gaps.").replace("--out tiny", "--out g").replace("1.5e4", "1e9")
    )
    assert status == 0 and out.endswith("\ndocuments skipped because they hold no text: 3\n")


def test_the_entropy_of_tokens_is_saved(say):
    status, out, _ = say("prepare entropy --checkpoint run --out h.npy --tokens 1e3")
    values = np.load("h.npy", allow_pickle=False)
    assert (status, values.shape, values.dtype) == (0, (END + 1,), np.float32)
    facts = json.loads(Path("h.json").read_text())
    assert (facts["model"], facts["corpus"], facts["tokens"]) == ("run", "tiny", 992)
    unseen = values == np.float32(facts["default"])
    assert unseen.any() and facts["coverage"] == pytest.approx(1 - unseen.mean())
    assert f"992 tokens read, {facts['coverage']:.1%} of the {END + 1} ids seen" in out
    assert facts["coverage"] < facts["coverage_of_text"] <= 1


@pytest.mark.parametrize(
    "line, said",
    [
        ("prepare entropy --checkpoint gpt2", "name one with --dataset"),
        ("prepare entropy --checkpoint run --out h.txt", "give a name that ends in .npy"),
        ("prepare entropy --checkpoint run --tokens 0", "tokens is 0"),
        ("prepare entropy --checkpoint diffusion", "does not predict from left to right"),
        ("prepare check --dataset .", "cannot read metadata.json (No such file"),
        ("prepare wikipedia", "unknown command 'prepare wikipedia'"),
        (PREPARE.replace("1.5e4", "1.5"), "1.5 is not a whole number"),
        (PREPARE.replace("1.5e4", "inf"), "inf is not a whole number"),
        (PREPARE.replace("tokenizer.json", "char"), "cannot read char"),
        (
            PREPARE.replace("tokenizer.json", "diffusion"),
            "ids cannot write shards, which want an end of text",
        ),
        (PREPARE.replace("source.jsonl", "none.jsonl"), "there is nothing to read at none.jsonl"),
    ],
)
def test_misuse_is_answered_in_a_sentence(line, said, say):
    if "diffusion" in line:
        assert say(f"train --model diffusion --out diffusion --dataset pydocs {SIZES}")[0] == 0
    status, _, err = say(line)
    assert status == 2 and said in err and err.count("\n") == 1
