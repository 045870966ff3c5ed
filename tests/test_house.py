"""The house stands: its files agree with one another."""

import ast
import os
import re
import shutil
import sys
import tomllib

import pytest
import yaml
from helpers import ROOT, make, pages
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

import nanoparadigm

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
LIBRARY = sorted((ROOT / "nanoparadigm").rglob("*.py"))
SOURCES = [*LIBRARY, *(path for d in ("book", "benchmarks") for path in (ROOT / d).glob("*.py"))]

TOP = """
    .ci/run .gitignore CITATION.cff LICENSE Makefile README.md pyproject.toml requirements.txt
    _config.yml _toc.yml book nanoparadigm tests
""".split()

FORBIDDEN = {
    "print": "only the command line talks to the terminal",
    "pickle": "loading one runs whatever is in it: use safetensors and JSON",
    "torch.load": "it is pickle by another name: use safetensors and JSON",
    "torch.save": "it is pickle by another name: use safetensors and JSON",
    "torch.manual_seed": "randomness comes from an explicit torch.Generator",
    "torch.random.manual_seed": "randomness comes from an explicit torch.Generator",
    "numpy.random": "randomness comes from an explicit torch.Generator",
}


def names_used(source):
    """The modules a source imports, and every dotted name in it with its import aliases undone."""
    tree = ast.parse(source)
    modules, names, alias = set(), set(), {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            modules |= {name.name for name in node.names}
            alias |= {name.asname: name.name for name in node.names if name.asname}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            modules.add(node.module)
            alias |= {name.asname or name.name: f"{node.module}.{name.name}" for name in node.names}
    for node in ast.walk(tree):
        if isinstance(node, ast.Name | ast.Attribute):
            first, *rest = ast.unparse(node).split(".")
            names.add(".".join([alias.get(first, first), *rest]))
    return modules, names | modules | set(alias.values())


def offences(source):
    _, names = names_used(source)
    return {bad for bad in FORBIDDEN for name in names if f"{name}.".startswith(f"{bad}.")}


def without_encoding(source):
    """The calls that read or write text in whatever encoding the machine prefers."""
    for call in ast.walk(ast.parse(source)):
        if not isinstance(call, ast.Call):
            continue
        name = getattr(call.func, "attr", getattr(call.func, "id", None))
        named = {keyword.arg for keyword in call.keywords}
        given = ast.unparse(call)
        opened = isinstance(call.func, ast.Name) and name == "open"
        if opened and not re.search("""['"][rwxa+]*b[rwxa+]*['"]""", given):
            places = 4
        elif name in ("read_text", "write_text"):
            places = 1 + (name == "write_text")
        else:
            continue
        if "encoding" not in named and len(call.args) < places:
            yield given


@pytest.mark.parametrize("path", TOP)
def test_the_top_level_is_there(path):
    assert (ROOT / path).exists()


@pytest.mark.parametrize("page", pages())
def test_every_page_of_the_contents_has_a_file(page):
    assert any((ROOT / f"{page}{suffix}").exists() for suffix in (".md", ".ipynb"))


def test_the_pins_are_exact_and_satisfy_the_dependencies():
    lines = [line.partition("#")[0].strip() for line in (ROOT / "requirements.txt").open()]
    pins = {canonicalize_name(pin.name): pin for pin in map(Requirement, filter(None, lines))}
    for pin in pins.values():
        assert [clause.operator for clause in pin.specifier] == ["=="], f"{pin} is not an exact pin"
    for dependency in map(Requirement, PROJECT["dependencies"]):
        pin = pins[canonicalize_name(dependency.name)]
        assert dependency.specifier.contains(next(iter(pin.specifier)).version), pin


def test_the_version_is_the_same_everywhere():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert PROJECT["version"] == citation["version"] == nanoparadigm.__version__


def test_binder_gets_a_python_that_will_do_the_pins_and_the_package():
    name, version = (ROOT / ".binder/runtime.txt").read_text().split("-")
    assert name == "python" and version.strip() in SpecifierSet(PROJECT["requires-python"])
    wanted = (ROOT / ".binder/requirements.txt").read_text().splitlines()
    assert {"-r ../requirements.txt", "-e ."} <= set(wanted)


def test_the_continuous_integration_can_start():
    assert os.access(ROOT / ".ci/run", os.X_OK)


@pytest.mark.skipif(not shutil.which("make"), reason="needs make")
def test_bare_make_lists_the_targets():
    listed = [line.split()[1] for line in make(cwd=ROOT).splitlines()]
    targets = "help book site race chapters lab learn student grade test fuzz test-slurm format"
    assert listed == [*targets.split(), "clean"]


@pytest.mark.parametrize("path", LIBRARY, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_import_is_declared(path):
    extras = PROJECT.get("optional-dependencies", {}).values()
    declared = {
        canonicalize_name(Requirement(line).name) for line in sum(extras, PROJECT["dependencies"])
    }
    modules, _ = names_used(path.read_text())
    imported = {module.partition(".")[0] for module in modules}
    foreign = imported - sys.stdlib_module_names - {"nanoparadigm"}
    sold_as = {"PIL": "pillow", "mauve": "mauve-text", "markdown_it": "markdown-it-py"}
    assert {canonicalize_name(sold_as.get(name, name)) for name in foreign} <= declared


@pytest.mark.parametrize("path", LIBRARY, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_library_keeps_its_habits(path):
    speaks = path.parent.name == "commands"
    found = offences(path.read_text()) - ({"print"} if speaks else set())
    assert not found, {bad: FORBIDDEN[bad] for bad in found}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_text_is_read_and_written_in_an_encoding_that_is_named(path):
    """A machine whose own is ASCII or Latin-1 reads the same."""
    assert [*without_encoding(path.read_text(encoding="utf-8"))] == []


@pytest.mark.parametrize(
    "source, found",
    [
        ("open(p)", 1),
        ("open(p, 'w')", 1),
        ("with open(p, mode='a') as f: p.read_text()", 2),
        ("Path(p).write_text(text, newline='')", 1),
        ("open(p, 'rb'), open(p, mode='r+b'), gzip.open(p)", 0),
        ("open(p, 'w', encoding='utf-8')", 0),
        ("p.read_text('utf-8'), p.write_text(text, 'utf-8'), p.read_text(encoding=e)", 0),
    ],
)
def test_the_encoding_check_can_tell(source, found):
    assert len([*without_encoding(source)]) == found


@pytest.mark.parametrize(
    "source, found",
    [
        ("print('x')", {"print"}),
        ("import pickle as p", {"pickle"}),
        ("from torch import manual_seed as seed", {"torch.manual_seed"}),
        ("import torch as t\nt.manual_seed(0)", {"torch.manual_seed"}),
        ("import numpy as np\nnp.random.rand()", {"numpy.random"}),
        ("from numpy import random", {"numpy.random"}),
        ("import torch\nloaded = torch.load", {"torch.load"}),
        ("import torch\ntorch.Generator().manual_seed(0)", set()),
        ("from .print import numpy\nprinted = a.print", set()),
    ],
)
def test_the_habit_check_can_tell(source, found):
    assert offences(source) == found
