"""What `nanoparadigm doctor` says is so on the machine that it runs on."""

import platform
from unittest.mock import patch

import pytest
import torch

from nanoparadigm.commands import doctor
from nanoparadigm.commands import main as cli
from nanoparadigm.training import checkpoint


@pytest.fixture
def empty(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NANOPARADIGM_DATA", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path


def test_it_says_what_is_here(empty, capsys):
    assert cli.main(["doctor"]) == 0
    said = capsys.readouterr().out
    weights = ", ".join(checkpoint.pretrained())
    for fact in platform.python_version(), torch.__version__, weights, "device cpu", "GB here":
        assert fact in said
    assert said.count("not here yet") == 3 and f"0 in {empty}" in said
    (empty / "tinyshakespeare.txt").touch()
    (empty / "runs/a").mkdir(parents=True)
    (empty / "runs/a/run.json").touch()
    cli.main(["doctor"])
    said = capsys.readouterr().out
    assert said.count("not here yet") == 2 and f"1 in {empty}" in said


@pytest.mark.parametrize("native, dtype", [(True, "bfloat16"), (False, "float16")])
def test_it_names_every_gpu_and_the_precision_chosen_there(native, dtype, empty, capsys):
    with (
        patch("torch.cuda.device_count", lambda: 2),
        patch("torch.cuda.get_device_name", "Stand-in {}".format),
        patch("torch.cuda.mem_get_info", lambda i: (0, 16 * 2**30)),
        patch("torch.cuda.is_bf16_supported", lambda including_emulation=True: native),
    ):
        cli.main(["doctor"])
    said = capsys.readouterr().out
    assert f"device cuda:1      Stand-in 1, 16 GiB, --dtype auto is {dtype}\n" in said
    assert "device cpu         --dtype auto is float32\n" in said


def test_a_package_that_is_missing_is_called_missing():
    assert doctor.installed("no-such-package") == "no no-such-package"
    assert doctor.installed("torch").startswith("torch ")


def test_without_a_compiler_it_says_so(empty, monkeypatch, capsys):
    monkeypatch.setenv("PATH", str(empty))
    monkeypatch.delenv("CXX", raising=False)
    cli.main(["doctor"])
    assert "needs a C++ compiler, and there is none" in capsys.readouterr().out
