"""The optimiser: Muon for the matrices inside the blocks, AdamW for everything else.

Muon (Jordan 2024, kellerjordan.github.io/posts/muon) keeps a momentum M of the gradient and moves a
matrix not along M = U S V^T but along the nearest orthogonal matrix U V^T, so that every direction
the gradient points in is learned at the same rate, however small its singular value:

    M <- mu M + (1 - mu) G,     W <- W - lr (sqrt(max(1, rows / columns)) U V^T + decay W)

U V^T comes from a few products of matrices, without a decomposition (`orthogonalize`).
Embeddings, gains, biases, convolutions and the decays A of a Mamba do not map vectors to vectors in
this sense; they get AdamW (Loshchilov & Hutter 2019, 1711.05101).

PyTorch's own Muon takes one matrix after another in bfloat16. Here equal shapes are stacked, and
everything is float32: processors without bfloat16 units are much faster that way, and all machines
agree.
"""

from collections import defaultdict
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from ..networks.base import Linear


def make_optimizers(
    model: nn.Module, muon_lr: float, lr: float, weight_decay: float, momentum: float = 0.95
) -> list[torch.optim.Optimizer]:
    """Return the optimisers of a model: Muon, unless muon_lr is 0, and AdamW.

    The weights of its `Linear` layers are Muon's, and they alone decay. Each group of parameters
    keeps its peak learning rate as `peak`. momentum: of Muon.
    """
    layers = [module for module in model.modules() if isinstance(module, Linear)]
    matrices = {layer.weight: None for layer in layers}
    others = [p for p in model.parameters() if p not in matrices]
    groups = [dict(params=others, weight_decay=0.0)]
    optimizers: list[torch.optim.Optimizer] = []
    if muon_lr > 0:
        optimizers.append(Muon(layers, muon_lr, momentum, weight_decay))
    else:
        groups.append(dict(params=[*matrices], weight_decay=weight_decay))
    groups = [group for group in groups if group["params"]]
    optimizers.append(torch.optim.AdamW(groups, lr, betas=(0.9, 0.95), fused=True))
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["peak"] = group["lr"]
    return optimizers


def orthogonalize(m: Tensor, steps: int = 5) -> Tensor:
    """Return about U V^T of each of the matrices m (n, r, c): singular values between 0.7 and 1.2.

    Newton-Schulz: x <- p(x x^T) x with a quadratic p acts on the singular values alone, and this
    one drives those above about 0.01 towards 1 in five rounds. Since all the p commute, the rounds
    are made of the small r x r matrices, and the long side of x takes part twice.
    """
    a, b, c = 3.4445, -4.7750, 2.0315
    tall = m.shape[-2] > m.shape[-1]
    x = m.mT if tall else m
    x = x / x.norm(dim=(-2, -1), keepdim=True).clamp(min=1e-7)
    gram = x @ x.mT
    total, identity = None, torch.eye(x.shape[-2], dtype=x.dtype, device=x.device)
    for left in reversed(range(steps)):
        p = torch.baddbmm(gram, gram, gram, beta=b, alpha=c) + a * identity
        total = p if total is None else p @ total
        gram = p @ gram @ p if left else None
    x = total @ x
    return x.mT if tall else x


class Muon(torch.optim.Optimizer):
    """Optimise the weights of `Linear` layers, each of the maps that a weight packs on its own."""

    def __init__(
        self,
        layers: Iterable[Linear],
        lr: float = 0.02,
        momentum: float = 0.95,
        weight_decay: float = 0.0,
    ) -> None:
        layers = [*layers]
        group = dict(params=[la.weight for la in layers], maps=[la.maps for la in layers])
        super().__init__([group], dict(lr=lr, momentum=momentum, weight_decay=weight_decay))

    @torch.no_grad()
    def step(self) -> None:  # type: ignore[override]  # it takes no closure
        """Move every weight that has a gradient by the equations at the head of this file."""
        for group in self.param_groups:
            mu, alike = group["momentum"], defaultdict(list)
            for p, maps in zip(group["params"], group["maps"], strict=True):
                if p.grad is None:
                    continue
                state = self.state[p]
                if not state:
                    state["momentum"] = torch.zeros_like(p)
                momentum = state["momentum"].lerp_(p.grad, 1 - mu)
                # Nesterov: one step further along the gradient just seen
                ahead = torch.lerp(p.grad, momentum, mu).view(maps, -1, p.shape[1])
                alike[ahead.shape[1:]].append((p, ahead))
            for (rows, columns), pairs in alike.items():
                scale = max(1, rows / columns) ** 0.5
                moves = orthogonalize(torch.cat([ahead for _, ahead in pairs]))
                parts = moves.split([len(ahead) for _, ahead in pairs])
                for (p, _), move in zip(pairs, parts, strict=True):
                    p.mul_(1 - group["lr"] * group["weight_decay"])
                    p.sub_(move.reshape(p.shape), alpha=group["lr"] * scale)
