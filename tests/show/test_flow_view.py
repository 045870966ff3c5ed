"""What flow.js computes in the page is the library's: leave-one-out, posterior, and both steps."""

import json
import os
import shutil
import subprocess

import pytest
import torch

from nanoparadigm.decoding.uniform import euler_step, posterior_step
from nanoparadigm.language import LENGTH, language, tiny
from nanoparadigm.show.playground import arrows, source

RUN = """
const [script, cases] = JSON.parse(require("fs").readFileSync(0, "utf8"));
const choose = (weights) => { const sum = weights.reduce((a, b) => a + b, 0);
                              return Array.from(weights, (w) => w / sum); };
const run = new Function("data", "kit", script + `
return data.cases.map(({z, a, b}) => {
  kind = 2;
  const says = leaveOneOut(z, doubtAt(a)), sure = sureOf(z, a, says);
  const back = step(z, a, b, says, () => 0);
  kind = 1;
  return {says: says.map((p) => Array.from(p)), sure, back, once: step(z, a, b, says, () => 0)};
});`);
console.log(JSON.stringify(cases.map((data) => run(data, {choose}))));
"""


@pytest.mark.skipif(not (shutil.which("node") or os.environ.get("CI")), reason="needs node")
@pytest.mark.parametrize("truth, L", [(tiny(), 5), (language(), LENGTH)], ids=["tiny", "language"])
def test_what_the_page_does_to_random_words_is_exact(truth, L):
    g = torch.Generator().manual_seed(5)
    z, a = torch.randint(truth.V, (6, L), generator=g), torch.linspace(0.05, 0.9, 6).double()
    b = a + 0.05
    data = dict(words=truth.words, arrows=arrows(truth), length=L, steps=20, kind=2, seed=1)
    data |= dict(at=0, broken=[])
    data["cases"] = [
        dict(z=row.tolist(), a=s.item(), b=t.item()) for row, s, t in zip(z, a, b, strict=True)
    ]
    script = source("flow").partition("// the whole way")[0]
    done = subprocess.run(
        ["node", "-e", RUN], input=json.dumps([script, [data]]), capture_output=True, text=True
    )
    for n, found in enumerate(json.loads(done.stdout)[0]):
        found = {k: torch.tensor(v, dtype=torch.float64) for k, v in found.items()}
        each, s, t = z[n : n + 1], a[n], b[n]
        loo = truth.leave_one_out(each, a[n : n + 1])
        assert torch.allclose(found["says"], loo[0], atol=1e-9)
        posterior = truth.posterior(each, a[n : n + 1])
        at_z = posterior.gather(-1, each[..., None])[0, :, 0]
        assert torch.allclose(found["sure"], at_z, atol=1e-9)
        odds = posterior_step(each, loo, s, t)[0]
        assert torch.allclose(found["back"], odds / odds.sum(-1, keepdim=True), atol=1e-9)
        # where a token jumps to, if it does: drawn from the posterior
        once = euler_step(each, loo, s, t, eta=0.0)[0]
        here = torch.nn.functional.one_hot(each[0], truth.V)
        jumps = (t - s) / (1 - s) * found["once"] + (1 - (t - s) / (1 - s)) * here
        assert torch.allclose(jumps, once, atol=1e-9)
