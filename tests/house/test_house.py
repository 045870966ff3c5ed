"""The house stands: its files agree with one another."""

import ast
import os
import pkgutil
import re
import shutil
import sys
import tomllib
from graphlib import CycleError, TopologicalSorter
from importlib.util import resolve_name

import pytest
import yaml
from helpers import ROOT, make, pages
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

import nanoparadigm
from nanoparadigm import evaluate
from nanoparadigm.decoding import autoregressive, masked, uniform

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
LIBRARY = sorted((ROOT / "nanoparadigm").rglob("*.py"))
SOURCES = [*LIBRARY, *(path for d in ("book", "benchmarks") for path in (ROOT / d).glob("*.py"))]

TOP = """
    .ci/run .gitignore .pre-commit-config.yaml CHANGELOG.md CITATION.cff CONTRIBUTING.md LICENSE
    LICENSE-TEXT Makefile README.md pyproject.toml requirements.txt _config.yml _toc.yml book micro
    nanoparadigm tests
""".split()

# No module imports a room that stands later in this list.
ROOMS = """
    errors shapes files atomic language networks decoding paradigms data evaluate training
    terminal signals shards explain exercises audit show studies grading
    commands
""".split()
CORE = ROOMS[: ROOMS.index("terminal")]
MOST_STATEMENTS = 3_000  # in the core
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in LIBRARY
}
SOLD_AS = {
    "PIL": "pillow",
    "mauve": "mauve-text",
    "markdown_it": "markdown-it-py",
    "zmq": "pyzmq",
}

PROSE = [f"book/{path.name}" for path in sorted((ROOT / "book").glob("[!0-9]*.md"))]

FORBIDDEN = {
    "print": "only the command line talks to the terminal",
    "pickle": "loading one runs whatever is in it: use safetensors and JSON",
    "torch.load": "it is pickle by another name: use safetensors and JSON",
    "torch.save": "it is pickle by another name: use safetensors and JSON",
    "torch.manual_seed": "randomness comes from an explicit torch.Generator",
    "torch.random.manual_seed": "randomness comes from an explicit torch.Generator",
    "numpy.random": "randomness comes from an explicit torch.Generator",
}


def read(path):
    return (ROOT / path).read_text(encoding="utf-8")


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


def imports(name, tree):
    """The modules, dotted, that a module of that name imports anywhere in a syntax tree of it."""
    package = name if MODULES[name].name == "__init__.py" else name.rpartition(".")[0]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = resolve_name("." * node.level + (node.module or ""), package)
            names = [f"{base}.{each.name}" for each in node.names]
            yield from (whole if whole in MODULES else base for whole in names)


def room(module):
    """The room of a module of ours; None for the front doors and for foreign modules."""
    ours, _, rest = module.partition(".")
    first = rest.partition(".")[0]
    return first if ours == "nanoparadigm" and first in ROOMS else None


def upstairs(name, source):
    """What a module imports from rooms that stand later than its own."""
    later = ROOMS[ROOMS.index(room(name)) + 1 :]
    return [module for module in imports(name, ast.parse(source)) if room(module) in later]


def hidden(name, source):
    """What the functions of a module import: modules of ours, and packages of others."""
    functions = [f for f in ast.walk(ast.parse(source)) if isinstance(f, ast.FunctionDef)]
    found = {module for function in functions for module in imports(name, function)}
    return {module if room(module) else module.partition(".")[0] for module in found}


def statements(source):
    """How many lines of code: statements, whatever their layout, without imports and docstrings."""
    nodes = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.stmt)]
    return sum(
        not isinstance(node, ast.Import | ast.ImportFrom)
        and not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
        for node in nodes
    )


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


def test_a_commit_is_checked_by_what_make_test_runs():
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
    hooks = [hook["entry"] for repository in config["repos"] for hook in repository["hooks"]]
    commands = [entry.removesuffix(" --force-exclude").split("/")[-1] for entry in hooks]
    test = (ROOT / "Makefile").read_text().partition("\ntest:")[2].partition("\n\n")[0]
    assert commands == re.findall(r"\$\(BIN\)/((?:ruff|mypy).*)", test)


def test_the_workflows_call_targets_that_there_are():
    targets = set(re.findall(r"^([a-z-]+):.*## ", read("Makefile"), re.MULTILINE))
    for path in sorted((ROOT / ".github/workflows").glob("*.yml")):
        jobs = yaml.safe_load(path.read_text(encoding="utf-8"))["jobs"]
        steps = [step.get("run", "") for job in jobs.values() for step in job["steps"]]
        called = re.findall(r"\bmake (\S+)", "\n".join(steps))
        assert called and {*called} <= targets, path.name


def test_the_changelog_says_where_every_module_went():
    rows = re.findall(r"^\| `(nanoparadigm\.\w+)` \| (.*) \|$", read("CHANGELOG.md"), re.MULTILINE)
    old, new = zip(*rows, strict=True)
    assert not {*old} & {*MODULES} and len({*old}) == len(old) > 30
    assert {module for cell in new for module in re.findall(r"`(nanoparadigm[\w.]+)`", cell)} <= {
        *MODULES
    }


def test_a_page_has_a_line_for_every_file():
    """The tree of rooms, in the order of their imports, read back as paths."""
    section = read("CONTRIBUTING.md").partition("\n## The rooms\n")[2]
    tree = re.findall(r"^    (?: {4})?\S.*$", section.partition("\n## ")[0], re.MULTILINE)
    folder, found, rooms = "", [], []
    for line in tree:
        names = re.findall(r"\b\w+\.py\b", line)
        folder = folder if line.startswith(" " * 8) else ""
        if heading := re.match(r"    ([a-z/]+)/ ", line):
            folder = f"{heading[1]}/"
            rooms.append(heading[1].partition("/")[0])
        found += [folder + name for name in names]
    written = {str(path.relative_to(ROOT / "nanoparadigm")) for path in LIBRARY}
    written = {path for path in written if not path.endswith(("__init__.py", "__main__.py"))}
    assert sorted(found) == sorted(written)
    assert [*dict.fromkeys(rooms)] == [room for room in ROOMS if room in rooms]


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "tests/README.md", *PROSE])
def test_a_file_that_a_page_names_is_there(page):
    """Whole paths, files of the package from its own root, and links."""
    text = read(page)
    named = re.findall(r"`([\w./-]+/[\w.-]+\.(?:py|md|toml))`", text)
    links = re.findall(r"\]\(((?!http)[^)#\s]+\.md)\)", text)
    roots = ROOT, ROOT / "nanoparadigm", (ROOT / page).parent
    named = [path for path in named if "NN-" not in path]
    lost = [path for path in named if not any((root / path).exists() for root in roots)]
    lost += [link for link in links if not ((ROOT / page).parent / link).exists()]
    assert not lost


def test_the_glossary_names_what_the_code_names():
    """Every word of its columns "in code" is one of the package."""
    symbols = read("book/notation.md").partition("## Code and papers")[0]
    cells = re.findall(r"^\| \$.*?\| (.*?) \|", symbols, re.MULTILINE)
    table = read("book/notation.md").partition("| in the code |")[2].partition("\n\n")[0]
    cells += re.findall(r"^\| (`.*?) \|", table, re.MULTILINE)
    words = set(re.findall(r"[A-Za-z_]+", " ".join(re.findall(r"`([^`]+)`", " ".join(cells)))))
    code = {word for path in LIBRARY for word in re.findall(r"\w+", read(path))}
    assert len(words) > 50 and words <= code


def test_the_page_on_the_package_has_every_public_name():
    """And every sampler, each as what it is: the path on the page leads to the same object."""
    entries = re.findall(r"^\.\. auto\w+:: ([\w.]+)$", read("book/api.md"), re.MULTILINE)
    shown = {(path.rpartition(".")[2], id(pkgutil.resolve_name(path))) for path in entries}
    assert len(shown) == len(entries)
    public = [(name, module) for module in (nanoparadigm, evaluate) for name in module.__all__]
    wanted = {(name, id(getattr(module, name))) for name, module in public}
    for samplers in (decoding.SAMPLERS for decoding in (autoregressive, masked, uniform)):
        wanted |= {(sampler.__name__, id(sampler)) for sampler in samplers.values()}
    assert sorted(name for name, _ in wanted - shown) == []


@pytest.mark.skipif(not shutil.which("make"), reason="needs make")
def test_bare_make_lists_the_targets():
    listed = [line.split()[1] for line in make(cwd=ROOT).splitlines()]
    targets = "help book site race weights chapters lab learn student nbgrader slides pdf grade"
    assert listed == [*targets.split(), *"test fuzz test-slurm format clean".split()]


@pytest.mark.parametrize("path", LIBRARY, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_import_is_declared(path):
    extras = PROJECT.get("optional-dependencies", {}).values()
    declared = {
        canonicalize_name(Requirement(line).name) for line in sum(extras, PROJECT["dependencies"])
    }
    modules, _ = names_used(path.read_text())
    imported = {module.partition(".")[0] for module in modules}
    foreign = imported - sys.stdlib_module_names - {"nanoparadigm"}
    assert {canonicalize_name(SOLD_AS.get(name, name)) for name in foreign} <= declared


@pytest.mark.parametrize("name", [*filter(room, MODULES)])
def test_no_module_imports_a_later_room(name):
    assert not upstairs(name, MODULES[name].read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", MODULES)
def test_what_a_function_imports_is_optional(name):
    """Only what somebody may not have installed is imported where it is used."""
    extras = sum(PROJECT["optional-dependencies"].values(), [])
    optional = {Requirement(line).name for line in extras}
    if name == "nanoparadigm.commands.demo":
        optional.add("nanoparadigm.show.demo_page")  # which needs gradio
    if name == "nanoparadigm.commands.grade":
        optional.add("nanoparadigm.grading")  # which needs Jupyter
    found = hidden(name, MODULES[name].read_text(encoding="utf-8"))
    assert {SOLD_AS.get(module, module) for module in found} <= optional


def test_no_modules_import_one_another_in_a_circle():
    trees = {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in MODULES.items()}
    TopologicalSorter({name: {*imports(name, tree)} for name, tree in trees.items()}).prepare()


def test_every_file_stands_in_a_room():
    doors = {"nanoparadigm", "nanoparadigm.__main__"}
    assert {name for name in MODULES if not room(name)} == doors


def test_the_tests_stand_in_rooms_too():
    """A folder for each room, named to pytest, and no two files that Python would take for one."""
    rooms = {room(name) for name, path in MODULES.items() if path.name == "__init__.py"} - {None}
    files = sorted((ROOT / "tests").rglob("test_*.py"))
    folders = {str(file.parent.relative_to(ROOT / "tests")) for file in files}
    assert folders == rooms | {"laws", "book", "house", "hostile"}
    assert len({file.name for file in files}) == len(files)
    paths = tomllib.loads(read("pyproject.toml"))["tool"]["pytest"]["ini_options"]["pythonpath"]
    assert {*paths} == {"book", "tests", "tests/laws", *(f"tests/{name}" for name in rooms)}
    assert set(re.findall(r"^    (\w+)/ ", read("tests/README.md"), re.MULTILINE)) == folders


def test_the_core_stays_small():
    found = {name: statements(path.read_text()) for name, path in MODULES.items()}
    assert sum(n for name, n in found.items() if room(name) in CORE) <= MOST_STATEMENTS


def test_the_checks_of_imports_and_lines_can_tell():
    source = """
from ..training import trainer  # a room later
import pyarrow.parquet
def f():
    from ..show.figures import save
    import mauve.metrics
"""
    name = "nanoparadigm.data.corpora"
    assert upstairs(name, source) == ["nanoparadigm.training.trainer", "nanoparadigm.show.figures"]
    assert hidden(name, source) == {"nanoparadigm.show.figures", "mauve"}
    with pytest.raises(CycleError):
        TopologicalSorter({"a": {"b"}, "b": {"a"}}).prepare()
    source = '"""Doc."""\nimport re\n\nx = 1  # one\ny = [\n    2,\n]\nif x: y = 3; x = 4\n'
    assert statements(source) == 5


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
