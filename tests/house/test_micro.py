"""The five files of micro/: what the package computes, in a page each that needs PyTorch alone."""

import ast
import difflib
import re
import subprocess
import sys
from itertools import combinations

import pytest
import torch
from helpers import ROOT, generator, perturb_

from nanoparadigm import build

sys.path.insert(0, str(ROOT / "benchmarks"))

from micro import FILES, load  # noqa: E402

NAMES = {preset: file for file, preset in FILES.items()}
SOURCES = {n: (ROOT / f"micro/{n}.py").read_text(encoding="utf-8") for n in NAMES.values()}
MOST_LINES, MOST_DIFFERENT = 200, 70
PARTS = "data network corrupt loss number sample train".split()
V, B, N = 30, 5, 20_000

each = pytest.mark.parametrize("name", NAMES)


def twins(name):
    """A model of the package, and the network of the file, with the same random weights."""
    file, options = load(NAMES[name]), {} if name == "mamba" else dict(network="transformer")
    model = perturb_(build(name, V, **options).double(), 0.1).eval()
    net, weights = file.Network(V).double(), model.net.state_dict().items()
    net.load_state_dict(
        {
            re.sub(r"\b(attention|mlp|forwards|time)\.", "", key).replace("blocks", "layers"): w
            for key, w in weights
        }
    )
    return model, file, net, torch.randint(V, (B, file.L), generator=generator(1))


@each
def test_the_logits_are_the_packages(name):
    model, file, net, x = twins(name)
    t = (torch.rand(B, generator=generator(2), dtype=torch.float64),) if model.timed else ()
    torch.testing.assert_close(net(x, *t), model.net(x, *t)[..., :V], rtol=0, atol=1e-5)


@each
def test_the_loss_is_the_packages(name):
    model, file, net, x = twins(name)
    theirs, ours = model.loss(x, generator(3)), file.loss(net, x, generator(3))
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-5)
    for other, p in zip(
        net.parameters(), torch.autograd.grad(ours, [*net.parameters()]), strict=True
    ):
        assert p.shape == other.shape and p.isfinite().all() and p.abs().max() > 0


@each
def test_the_number_is_the_packages(name):
    model, file, net, x = twins(name)
    theirs = model.nll_bound(x, generator(3), num_samples=1)
    ours = file.number(net, x, generator(3))
    torch.testing.assert_close(ours / file.L, theirs / file.L, rtol=0, atol=1e-5)
    assert {"=": True, "<=": False}[file.SIGN] == model.exact


@each
def test_the_number_of_a_text_is_the_mean_of_its_windows(name):
    _, file, net, _ = twins(name)
    text = torch.randint(V, (3 * file.L + 5,), generator=generator(1))
    mean, error = file.measure(net, text, generator(4))
    g = generator(4)
    x = text[: 3 * file.L].view(3, file.L)
    with torch.no_grad():
        nats = sum(file.number(net, x, g) for _ in range(file.COPIES)) / file.COPIES / file.L
    assert mean == pytest.approx(nats.mean().item(), rel=1e-6)
    assert error == pytest.approx(nats.std().item() / 3**0.5, rel=1e-6)


@pytest.mark.parametrize("name", SOURCES)
def test_a_file_is_a_page_in_the_order_of_the_others(name):
    source = SOURCES[name]
    assert source.count("\n") <= MOST_LINES
    parts = re.findall(r"^# (\w+) -+$", source, re.MULTILINE)
    assert [{"shift": "corrupt"}.get(part, part) for part in parts] == PARTS
    modules = {
        module.partition(".")[0]
        for node in ast.walk(ast.parse(source))
        for module in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert modules - {*sys.stdlib_module_names} == {"torch"}


@pytest.mark.parametrize("one, other", [*combinations(SOURCES, 2)])
def test_any_two_differ_in_few_lines(one, other):
    """Those of either that the other lacks, comments and explanations too."""
    lines = difflib.unified_diff(*(SOURCES[n].splitlines() for n in (one, other)), n=0)
    signs = [line[0] for line in lines][2:]
    print(f"{one} {signs.count('-')}, {other} {signs.count('+')}")
    assert max(signs.count("-"), signs.count("+")) <= MOST_DIFFERENT


class Known:
    """In the place of a network: the exact probabilities of texts of two symbols out of three."""

    V = 3

    def __init__(self, p, name):
        self.p, self.name = p, name  # p (3, 3)

    def __call__(self, z, t=None):
        p = self.p
        if self.name in ("ar", "mamba"):  # z = start, x_1
            first = p.sum(1).expand(len(z), 3)
            second = p[z[:, 1] % 3] if z.shape[1] > 1 else first
            return torch.stack([first, second][: z.shape[1]], 1).log()
        left = torch.cat([p.T, p.sum(1)[None]])[z[:, 1]]  # of x_1 given z_2, where 3 is hidden
        right = torch.cat([p, p.sum(0)[None]])[z[:, 0]]
        return torch.stack([left, right], 1).log()


def apart(p):
    """The same words, drawn without regard for each other."""
    return p.sum(1)[:, None] * p.sum(0)


@pytest.mark.parametrize("name", SOURCES)
def test_samples_have_their_law(name):
    p = torch.rand(3, 3, generator=generator(5), dtype=torch.float64)
    p = p / p.sum()
    if name == "flow":  # whose steps are exact where the places are independent
        p = apart(p)
    file = load(name)
    file.L, file.S = 2, 1
    x = torch.zeros(N, 2, dtype=torch.long)
    drawn = file.sample(Known(p, name), x, torch.zeros(2, dtype=torch.bool), generator(6))
    seen = torch.bincount(drawn[:, 0] * 3 + drawn[:, 1], minlength=9).view(3, 3)
    expected = N * p
    chi2 = ((seen - expected) ** 2 / expected).sum()
    assert chi2 < 30  # 8 degrees of freedom: once in five thousand
    if name != "flow":
        assert ((seen - N * apart(p)) ** 2 / (N * apart(p))).sum() > 100


@pytest.mark.parametrize("name", SOURCES)
def test_what_is_given_stays(name):
    file = load(name)
    torch.manual_seed(0)
    net, symbols = file.Network(5), [*"abcde"]
    for text in file.write(net, symbols, "abc", generator(7), 3):
        assert len(text) == file.L and text.startswith("abc") and {*text} <= {*symbols}
    if name in ("ar", "mamba"):
        with pytest.raises(
            SystemExit, match="from left to right and cannot fill a gap: use mdlm.py"
        ):
            file.write(net, symbols, "ab~~ba", generator(7), 1)
    else:
        text = file.write(net, symbols, "ab~~ba", generator(7), 1)[0]
        assert re.match("ab[a-e]{2}ba", text)
    with pytest.raises(SystemExit, match=r"the text has no \['x'\]: leave them out of the prompt"):
        file.write(net, symbols, "axa", generator(7), 1)


@pytest.mark.parametrize("name", SOURCES)
def test_it_runs_by_itself(name, tmp_path):
    (tmp_path / "play.txt").write_text("to be or not to be, that is the question\n" * 80)

    def run(*words):
        command = [sys.executable, "-I", ROOT / f"micro/{name}.py", *words]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)

    done = run("play.txt", "--steps", "2", "--prompt", "to be")
    assert done.returncode == 0, done.stderr
    said, *_ = re.findall(r"^held-out text: -log p (\S+) \d\.\d{3} ± ", done.stdout, re.M)
    assert said == load(name).SIGN and done.stdout.count("to be") == 3
    assert "is not a file" in run("none.txt").stderr
    (tmp_path / "play.txt").write_text("to be")
    assert "has 5 characters: give one of at least 2560" in run("play.txt").stderr
    (tmp_path / "latin.txt").write_bytes("à la recherche ".encode("latin-1") * 200)
    for words in ("--prompt", "x" * 129), ("--steps", "0"):
        said = run("latin.txt", *words).stderr
        assert "give a prompt of at most 128 characters, and at least 1 step" in said


@pytest.mark.parametrize("name", SOURCES)
def test_it_learns(name):
    """A text that repeats itself is soon known: far better than by counting its symbols."""
    file = load(name)
    file.L = 16
    torch.manual_seed(0)
    text = torch.arange(5).repeat(400)
    net = file.Network(5)
    file.train(net, text, 60, generator(8))
    assert file.measure(net, text[:800], generator(9))[0] < 1.3  # log 5 = 1.61
