"""A training step, forward and backward, of each preset at its default size, B=32 L=128."""

import torch
from measure import report, side_by_side

from nanoparadigm import build

g = torch.Generator().manual_seed(0)
x = torch.randint(65, (32, 128), generator=g)
models = {name: build(name, 65) for name in ("ar", "diffusion", "flow", "mamba")}
models["mamba, small"] = build("mamba", 65, n_embd=64, d_state=8, n_layer=2)


def step(model):
    return lambda: model.loss(x, g).backward()


times = side_by_side({name: step(model) for name, model in models.items()})
report("training step", times)
