"""The house stands: its files agree with one another, and the site builds from what is there."""

import ast
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from urllib.parse import unquote, urlsplit

import matplotlib
import pytest
import yaml
from bs4 import BeautifulSoup
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import nanoparadigm

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
LIBRARY = sorted((ROOT / "nanoparadigm").rglob("*.py"))

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


def make(*arguments, cwd):
    """What make says, when the make that may have started these tests is kept out of it."""
    clean = {name: value for name, value in os.environ.items() if "MAKE" not in name}
    done = subprocess.run(["make", *arguments], cwd=cwd, env=clean, text=True, capture_output=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def toc_files(node):
    """The pages a table of contents names, depth first."""
    if isinstance(node, list):
        return [file for child in node for file in toc_files(child)]
    if not isinstance(node, dict):
        return []
    here = [node[key] for key in ("root", "file") if key in node]
    return here + [file for child in node.values() for file in toc_files(child)]


def pages():
    return toc_files(yaml.safe_load((ROOT / "_toc.yml").read_text()))


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


def test_the_continuous_integration_can_start():
    assert os.access(ROOT / ".ci/run", os.X_OK)


@pytest.mark.skipif(not shutil.which("make"), reason="needs make")
def test_bare_make_lists_the_targets():
    listed = [line.split()[1] for line in make(cwd=ROOT).splitlines()]
    assert listed == "help book site chapters student test format clean".split()


@pytest.mark.parametrize("path", LIBRARY, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_import_is_declared(path):
    extras = PROJECT.get("optional-dependencies", {}).values()
    declared = {
        canonicalize_name(Requirement(line).name) for line in sum(extras, PROJECT["dependencies"])
    }
    modules, _ = names_used(path.read_text())
    imported = {module.partition(".")[0] for module in modules}
    foreign = imported - sys.stdlib_module_names - {"nanoparadigm"}
    assert {canonicalize_name(name) for name in foreign} <= declared


@pytest.mark.parametrize("path", LIBRARY, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_library_keeps_its_habits(path):
    found = offences(path.read_text()) - ({"print"} if path.name == "cli.py" else set())
    assert not found, {bad: FORBIDDEN[bad] for bad in found}


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


class Site:
    """A copy of the book in which `make site` runs on the Python these tests run on."""

    def __init__(self, root):
        self.root, self.html = root, root / "_build/html"
        for name in ("Makefile", "_config.yml", "_toc.yml"):
            shutil.copy(ROOT / name, root)
        leftovers = shutil.ignore_patterns("_fresh", ".ipynb_checkpoints")
        shutil.copytree(ROOT / "book", root / "book", ignore=leftovers)
        (root / ".venv").symlink_to(sys.prefix)

    def build(self):
        """The page about this machine after `make site`; -o keeps make from installing anything."""
        make("-o", ".venv/installed", "site", cwd=self.root)
        return BeautifulSoup((self.html / "book/your-machine.html").read_text(), "html.parser")

    def dead_links(self):
        """Every (page, link) inside the site that leads nowhere."""
        soups = {
            path: BeautifulSoup(path.read_text(), "html.parser")
            for path in self.html.rglob("*.html")
            if path.parent.name != "_static"  # the theme leaves a template there
        }
        anchors = {path: {tag["id"] for tag in soup(id=True)} for path, soup in soups.items()}
        for path, soup in soups.items():
            for tag in soup(href=True) + soup(src=True):
                link = urlsplit(tag.get("href") or tag.get("src"))
                if link.scheme or link.netloc:
                    continue
                target = (path.parent / unquote(link.path)).resolve() if link.path else path
                lost = link.fragment and link.fragment not in anchors.get(target, {link.fragment})
                if lost or not target.exists():
                    yield str(path.relative_to(self.html)), link.geturl()


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    if not shutil.which("make") or not Path(sys.prefix, "bin/jupyter-book").exists():
        pytest.skip("needs make and jupyter-book")
    return Site(tmp_path_factory.mktemp("site"))


def test_the_site_builds_without_and_then_with_a_comparison(site):
    assert "Nothing has been compared" in site.build().text

    run = site.root / "runs/compare"
    run.mkdir(parents=True)
    (run / "table.md").write_text("| model | bits per character |\n|---|---|\n| ar | = 1.25 |\n")
    shutil.copy(Path(matplotlib.get_data_path(), "images/home.png"), run / "figure.png")
    page = site.build()
    assert "Nothing has been compared" not in page.text
    assert [cell.text for cell in page.find("table")("td")] == ["ar", "= 1.25"]
    assert page.find("img", alt=True, src="../_images/figure.png")
    assert not list(site.dead_links())
    for name in pages():
        assert (site.html / f"{name}.html").exists()


def test_the_link_check_can_fail(site):
    site.html.mkdir(parents=True, exist_ok=True)
    lost = site.html / "lost.html"
    lost.write_text(
        '<a href="nowhere.html">a</a> <a href="#nothing">b</a> <a href="https://c.d">c</a>'
    )
    dead = [link for page, link in site.dead_links() if page == "lost.html"]
    lost.unlink()
    assert dead == ["nowhere.html", "#nothing"]
