"""A training step, B=32 L=128: forward and backward alone, and with the update of the weights.

    python benchmarks/training_step.py   (needs: pip install mambapy==1.2.0, the rival)

Utilisation is 6 x parameters x tokens over the time, as a share of what this machine reaches in a
float32 matrix product at n = 1024 in the same process.
"""

import json
import statistics
import sys

import torch
import torch.nn.functional as F
from mambapy.mamba import Mamba, MambaConfig, RMSNorm
from measure import in_a_process, matmul_gflops, save, show, side_by_side, summary, use_allocator

from nanoparadigm import build
from nanoparadigm.paradigms import PRESETS, parameters
from nanoparadigm.training.matching import build_alike
from nanoparadigm.training.optimizer import make_optimizers

B, L, V = 32, 128, 65
SMALL = dict(n_embd=64, d_state=8, n_layer=2)
WHOLE = "ar", "mamba", "mamba2"  # of these a whole step is timed


def mambapy_step(x):
    """The rival at the small preset's sizes, on the same shifted tokens.

    Put together as its language model is, whose module cannot be imported without Triton.
    """
    torch.manual_seed(0)
    model = torch.nn.Sequential(
        torch.nn.Embedding(V + 1, 64),
        Mamba(MambaConfig(d_model=64, n_layers=2, d_state=8)),
        RMSNorm(64, 1e-5),
        torch.nn.Linear(64, V + 1, bias=False),
    )
    start = x.new_full((B, 1), V)

    def step():
        logits = model(torch.cat([start, x[:, :-1]], 1))[..., :V]
        F.cross_entropy(logits.flatten(0, 1), x.flatten()).backward()

    return step, sum(p.numel() for p in model.parameters())


def whole_step(model, x, g):
    """Forward, backward, and the update by Muon and AdamW."""
    optimizers = make_optimizers(model, muon_lr=0.02, lr=1e-3, weight_decay=0.1)

    def step():
        for optimizer in optimizers:
            optimizer.zero_grad()
        model.loss(x, g).backward()
        for optimizer in optimizers:
            optimizer.step()

    return step


def measure(allocator):
    use_allocator(allocator)
    g = torch.Generator().manual_seed(0)
    x = torch.randint(V, (B, L), generator=g)
    models = build_alike(PRESETS, V, block_size=L)
    models["mamba, small"] = build("mamba", V, block_size=L, **SMALL)
    steps = {name: lambda m=m: m.loss(x, g).backward() for name, m in models.items()}
    sizes = {name: parameters(m) for name, m in models.items()}
    steps["mambapy, small"], sizes["mambapy, small"] = mambapy_step(x)
    muon, adam = make_optimizers(models["ar"], muon_lr=0.02, lr=1e-3, weight_decay=0.1)
    (alone,) = make_optimizers(models["ar"], muon_lr=0, lr=1e-3, weight_decay=0.1)

    def in_16_bits(model):
        with torch.autocast("cpu", torch.bfloat16):
            loss = model.loss(x, g)
        loss.backward()

    halves = {name: lambda m=m: in_16_bits(m) for name, m in models.items() if name in PRESETS}
    before = matmul_gflops()
    times = side_by_side(steps, repeats=25)
    shorter = side_by_side(halves, repeats=25)
    both = {"Muon and AdamW": lambda: (muon.step(), adam.step()), "AdamW alone": alone.step}
    updates = side_by_side(both, repeats=25)
    profiles = profile(steps["ar"]), profile(steps["mamba"])
    # last, because it moves the weights
    whole = side_by_side({n: whole_step(models[n], x, g) for n in WHOLE}, repeats=25)
    gflops = statistics.mean([before, matmul_gflops()])

    print(f"\nB={B} L={L}, allocator {allocator}; matrix products {gflops:.0f} GFLOP/s")
    show(times)
    print("in bfloat16")
    show(shorter)
    print("optimiser, on the transformer's parameters")
    show(updates)
    print("whole steps")
    show(whole)
    share = {
        name: 6 * sizes[name] * B * L / statistics.median(ms) / 1e6 / gflops
        for name, ms in times.items()
    }
    print("  utilisation: " + ", ".join(f"{name} {s:.0%}" for name, s in share.items()))
    return dict(
        gflops=gflops,
        parameters=sizes,
        milliseconds={name: summary(ms) for name, ms in times.items()},
        bfloat16={name: summary(ms) for name, ms in shorter.items()},
        utilisation=share,
        optimiser={name: summary(ms) for name, ms in updates.items()},
        whole={name: summary(ms) for name, ms in whole.items()},
        profile=profiles[0],
        profile_mamba=profiles[1],
    )


def profile(step, repeats=5):
    """Share of the step's time in each kind of operation, the largest first."""
    with torch.profiler.profile() as seen:
        for _ in range(repeats):
            step()
    own = {e.key: e.self_cpu_time_total for e in seen.key_averages()}
    total = sum(own.values())
    largest = sorted(own.items(), key=lambda item: -item[1])[:10]
    return {name.removeprefix("aten::"): time / total for name, time in largest}


if __name__ == "__main__":
    if sys.argv[1:]:
        print(json.dumps(measure(sys.argv[1])))
    else:
        save(
            "training_step", **{a: in_a_process("training_step.py", a) for a in ("default", "kept")}
        )
