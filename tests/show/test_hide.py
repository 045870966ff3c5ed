"""What hide.js computes in the page is the library's posterior, and its entropies are exact."""

import json
import os
import random
import shutil
import subprocess

import pytest
import torch

from nanoparadigm.language import LENGTH, language, tiny
from nanoparadigm.show.playground import arrows, source

RUN = """
const stub = () => ({style: {}, append() {}, replaceChildren() {}, setAttribute() {},
                     addEventListener() {}, textContent: ""});
const kit = {el: stub, heat: () => "", button: stub, legend: stub, row: stub, frames: stub,
             percent: String};
const [script, cases] = JSON.parse(require("fs").readFileSync(0, "utf8"));
const behind = new Function("root", "data", "kit", script + "; return behind();");
console.log(JSON.stringify(cases.map((data) => behind(stub(), data, kit))));
"""


@pytest.mark.skipif(not (shutil.which("node") or os.environ.get("CI")), reason="needs node")
@pytest.mark.parametrize("truth, L", [(tiny(), 5), (language(), LENGTH)], ids=["tiny", "language"])
def test_what_the_page_says_of_hidden_words_is_exact(truth, L):
    rows = [[p for s, v, p, to in arrows(truth) if s == state] for state in range(len(truth.P))]
    assert all(abs(sum(row) - 1) < 1e-9 for row in rows)
    x, cases, chance = truth.sample(12, L, torch.Generator().manual_seed(3)), [], random.Random(0)
    for text in x.tolist():
        hidden = sorted(chance.sample(range(L), chance.randint(1, L)))
        cases.append(
            dict(words=truth.words, start=0, arrows=arrows(truth), text=text, hidden=hidden)
        )
    given = json.dumps([source("language") + source("hide"), cases])
    done = subprocess.run(["node", "-e", RUN], input=given, capture_output=True, text=True)
    for case, found in zip(cases, json.loads(done.stdout), strict=True):
        z = torch.tensor(case["text"])
        z[case["hidden"]] = truth.V
        p = truth.posterior(z[None])[0]
        assert torch.allclose(torch.tensor(found["p"], dtype=torch.float64), p, atol=1e-9)
        apart = -torch.special.xlogy(p, p).sum().item()
        assert found["apart"] == pytest.approx(apart)
        if L == 5:
            every = torch.cartesian_prod(*[torch.arange(truth.V)] * L)
            fits = truth.log_prob(every).exp() * ((every == z) | (z == truth.V)).all(1)
            joint = fits / fits.sum()
            together = -torch.special.xlogy(joint, joint).sum().item()
            assert found["together"] == pytest.approx(together) and together <= apart + 1e-9
