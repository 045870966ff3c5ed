"""What the commands share, by value."""

import types

import pytest

from nanoparadigm import atomic, commands
from nanoparadigm.commands import shared
from nanoparadigm.commands.shared import Text, duration, flat, make_room, taken
from nanoparadigm.errors import InputError
from nanoparadigm.networks.base import NetworkConfig


@pytest.mark.parametrize("seconds, said", [
    (0.4, "0 seconds"), (119.4, "119 seconds"), (120, "2 minutes"), (7199, "120 minutes"),
    (7200, "2 hours"), (172_799, "48 hours"), (172_800, "2 days"), (864e5, "1,000 days"),
])  # fmt: skip
def test_a_duration_is_in_the_largest_unit_of_which_there_are_two(seconds, said):
    assert duration(seconds) == said


def test_a_text_is_read_in_the_tokens_and_windows_that_are_asked_for(tmp_path):
    (tmp_path / "text.txt").write_text("the cat sat on the mat, and the dog on the hat. " * 40)
    name = str(tmp_path / "text.txt")
    assert Text(name).load(24).validation[0].shape[1] == 24
    for size in (260, 270):
        data = Text(name, "bpe", size).load(24)
        assert data.tokenizer.kind == "bpe" and data.tokenizer.vocab_size == size
    assert Text(name, "word").load(8).tokenizer.kind == "word"


def test_a_language_is_read_in_its_own_sentences_unless_another_length_is_asked_for():
    """Its texts are of 32 tokens, and are not cut: another length than the usual is refused."""
    assert NetworkConfig.block_size != 32
    assert (
        Text("language").load(NetworkConfig.block_size).length
        == 32
        == Text("language").load(32).length
    )
    with pytest.raises(InputError, match="use `block_size` 32"):
        Text("language").load(16)


def trained(steps, total):
    """Whether `fit` says that training reached the end, of records of these steps."""

    def train(model, data, settings, run, resume, stop, lock):
        for step in steps:
            yield dict(step=step, loss=1.0)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shared, "train", train)
        patch.setattr(shared, "total_steps", lambda settings, data: total)
        return shared.fit("ar", types.SimpleNamespace(exact=True), None, None, None, False, None)


def test_a_fit_has_reached_its_end_if_the_last_step_was_taken_or_none_was_left():
    assert trained([1, 2, 3], 3) and trained([3], 3) and trained([], 3)
    assert not trained([1, 2], 3)


def test_the_flags_of_a_command_are_told_with_those_of_its_parts():
    command = commands.Train(
        model="flow", sizes=NetworkConfig(n_layer=5), text=Text(dataset="pydocs")
    )
    found = flat(command)
    assert (found["model"], found["n_layer"], found["dataset"]) == ("flow", 5, "pydocs")
    assert not {"sizes", "settings", "text"} & {*found}


def test_an_option_that_a_model_has_not_is_refused_and_one_not_given_is_none():
    def sample(steps=1, eta=0.0):
        pass

    saved = types.SimpleNamespace(config=dict(recipe=dict(name="ar")))
    assert taken(saved, sample, steps=5, eta=None, top_k=None) == dict(steps=5)
    assert taken(saved, sample, eta=0.0) == dict(eta=0.0)
    with pytest.raises(InputError, match="a model of kind ar takes no top_k: drop --top_k"):
        taken(saved, sample, steps=5, top_k=3)


def test_room_is_made_by_setting_aside_or_by_deleting_the_runs_alone(tmp_path, capsys):
    folder, runs = tmp_path / "all", [tmp_path / "all/ar", tmp_path / "all/flow"]
    runs[1].mkdir(parents=True)
    (folder / "notes").write_text("mine")
    with make_room(folder, runs, overwrite=True) as locks:  # no run of ours: all stays
        assert runs[1].exists() and not locks
    atomic.write_json(runs[1] / "run.json", {})
    with make_room(folder, runs, overwrite=False) as locks:
        assert not folder.exists() and not locks
    assert "is kept as" in capsys.readouterr().out
    [kept] = tmp_path.iterdir()
    assert (kept / "notes").exists() and (kept / "flow/run.json").exists()
    kept.rename(folder)
    with make_room(folder, runs, overwrite=True) as locks:
        assert (folder / "notes").read_text() == "mine" and not (runs[1] / "run.json").exists()
        assert [*locks] == [runs[1]]
        with pytest.raises(InputError, match="another process"), atomic.sole_writer(runs[1]):
            pass
    with atomic.sole_writer(runs[1]):
        pass


@pytest.mark.parametrize("overwrite", [False, True])
def test_nothing_is_moved_or_deleted_where_one_of_the_runs_cannot_be(overwrite, tmp_path):
    folder, runs = tmp_path / "all", [tmp_path / "all/ar", tmp_path / "all/flow"]
    for run in runs:
        atomic.make(run)
        atomic.write_json(run / "run.json", {})
    with atomic.sole_writer(runs[1]), pytest.raises(InputError, match="another process"):
        with make_room(folder, runs, overwrite):
            pass
    assert all((run / "run.json").exists() for run in runs)
